/* The suite of TLS ports, for the BearSSL port; and its reading of certificates. */
#include "suite.h"

#include "loopback.h"

#define PORT_NAME "tls_bearssl"
#define DETAIL(bearssl, mbedtls) (bearssl)

static struct {
    unsb_bearssl tls;
    unsb_bearssl_config config;
    unsb_bearssl_trust trust;
    unsigned char records[BR_SSL_BUFSIZE_BIDI];
} port;

static void port_prepare(void)
{
    unsb_bearssl_wipe(&port.tls);
    memset(&port.config, 0, sizeof port.config);
    port.config.buffer = port.records;
    port.config.buffer_size = sizeof port.records;
}

static void port_trust(const char *pem)
{
    unsb_bearssl_free_trust(&port.trust);
    port.trust.now = 1; /* none of them has expired */
    if (pem != NULL)
        assert_int_equal(unsb_bearssl_load_pem(&port.trust, pem), UNSB_OK);
    port.config.anchors = port.trust.anchors;
    port.config.anchor_count = port.trust.count;
}

static unsb_transport port_transport(unsb_transport inner)
{
    port.config.inner = inner;
    return unsb_bearssl_transport(&port.tls, &port.config);
}

static void port_wipe(void)
{
    unsb_bearssl_wipe(&port.tls);
}

/* A number for what went wrong; 256 + n: the peer's alert. */
static int port_detail(void)
{
    return port.tls.error;
}

/* Is nothing of the connection left? */
static bool port_is_clean(void)
{
    return is_zero(port.records, sizeof port.records) &&
           is_zero(&port.tls.ssl, sizeof port.tls.ssl) &&
           is_zero(&port.tls.x509, sizeof port.tls.x509);
}

static bool port_has_session(void)
{
    return !is_zero(&port.tls.session, sizeof port.tls.session);
}

#if UNSB_BEARSSL_CHAIN == 0
#define STRICT "BearSSL takes certificates in order alone, and none is held"
#define PORT_OTHERWISE                                                                             \
    {"order_root_first", false, STRICT}, {"order_reversed", false, STRICT},                        \
        {"order_mixed", false, STRICT}, {"order_leaf_twice", false, STRICT},                       \
        {"order_issuer_twice", false, STRICT}, {"order_stranger", false, STRICT},                  \
        {"order_large", false, STRICT}, {"order_too_large", false, STRICT},
#elif UNSB_BEARSSL_CHAIN == 8192
#define PORT_OTHERWISE {"order_too_large", false, "it does not fit UNSB_BEARSSL_CHAIN"},
#endif

static void certificates_in_pieces(void **state);
static void certificates_with_errors(void **state);
static void chains_too_large(void **state);
static void weak_anchors(void **state);
static void anchors_left_out(void **state);
static void fragments(void **state);
static void dropped(void **state);
static void sentences(void **state);

#define PORT_TESTS                                                                                 \
    TEST(certificates_in_pieces), TEST(certificates_with_errors), TEST(chains_too_large),          \
        TEST(weak_anchors), TEST(anchors_left_out), TEST(fragments), TEST(dropped),                \
        TEST(sentences),

#include "tls_suite.h"

/* ======================================================================
 * >>cursor  The port reads certificates as they come, in pieces that the
 *           peer and BearSSL choose
 * ====================================================================== */

static size_t read_der(const char *name, uint8_t *der, size_t room)
{
    FILE *file = fopen(made(name), "rb");
    size_t size;

    assert_non_null(file);
    size = fread(der, 1, room, file);
    (void)fclose(file);
    assert_in_range(size, 100, room - 1);
    return size;
}

/* What the port's class says of a certificate that is pinned, without anchors. */
static unsigned verdict_of(const uint8_t *der, size_t size, size_t piece, const char *host)
{
    static br_ssl_client_context ssl;
    static unsbi_bearssl_x509 x509;
    const br_x509_class **ctx = &x509.vtable;
    char name[256];
    size_t at, n;

    memset(&x509, 0, sizeof x509);
    unsbi_bearssl_setup(&ssl, &x509.minimal, NULL, 0);
    br_x509_minimal_set_minrsa(&x509.minimal, 2048 / 8);
    br_x509_minimal_set_time(&x509.minimal, UNSBI_BEARSSL_NO_DAY, 0);
    assert_true(unsb_address_host(host, name, x509.address, &x509.address_size));
    x509.vtable = &unsbi_bearssl_x509_class;
    x509.pins_alone = true;
    x509.pins = port.config.pins;
    x509.pin_count = port.config.pin_count;
    x509.vtable->start_chain(ctx, x509.address_size != 0 ? NULL : name);
    x509.vtable->start_cert(ctx, (uint32_t)size);
    for (at = 0; at < size; at += n) {
        n = size - at < piece ? size - at : piece;
        x509.vtable->append(ctx, der + at, n);
    }
    x509.vtable->end_cert(ctx);
    return x509.vtable->end_chain(ctx);
}

static const struct {
    const char *file, *host;
    unsigned pin;
} pinned[] = {{"ecdsa.der", "good.test", LEAF},
              {"rsa.der", "good.test", RSA},
              {"usages.der", "good.test", LEAF},
              {"past.der", "good.test", LEAF},
              {"address.der", "127.0.0.1", LEAF}};

static void certificates_in_pieces(void **state)
{
    uint8_t der[4096];
    unsigned i;

    (void)state;
    for (i = 0; i < COUNT(pinned); i++) {
        size_t size = read_der(pinned[i].file, der, sizeof der), piece;
        for (piece = 1; piece <= size; piece += piece < 300 ? 1 : 97) {
            trust_and_pin(0, pinned[i].pin);
            assert_int_equal(verdict_of(der, size, piece, pinned[i].host), 0);
            trust_and_pin(0, ROOT);
            assert_int_equal(verdict_of(der, size, piece, pinned[i].host), UNSB_BEARSSL_NOT_PINNED);
        }
    }
}

static size_t find(const uint8_t *data, size_t size, const uint8_t *what, size_t what_size)
{
    size_t at;

    for (at = 0; at + what_size <= size; at++)
        if (memcmp(data + at, what, what_size) == 0)
            return at;
    return size;
}

/* Each byte damaged in turn, and the certificate cut after each. No signature is looked at, so what
 * does not matter may change: the key, the name and the form may not. */
static void certificates_with_errors(void **state)
{
    static const uint8_t changes[] = {0x01, 0x80};
    /* the OIDs rsaEncryption and id-ecPublicKey */
    static const uint8_t rsa[] = {0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01};
    static const uint8_t ec[] = {0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01};
    uint8_t der[4096], key[4096];
    unsigned i, taken = 0, count = 0;

    (void)state;
    for (i = 0; i < COUNT(pinned); i++) {
        size_t size = read_der(pinned[i].file, der, sizeof der), at, j;
        size_t key_at;
        trust_and_pin(0, pinned[i].pin);
        key_at = find(der, size, i == 1 ? rsa : ec, i == 1 ? sizeof rsa : sizeof ec);
        assert_true(key_at < size);
        for (at = 0; at < size; at++) {
            for (j = 0; j < COUNT(changes); j++) {
                bool good;
                memcpy(key, der, size);
                key[at] ^= changes[j];
                good = verdict_of(key, size, 1 + at % 7, pinned[i].host) == 0;
                if (good && at >= key_at && at < key_at + (i == 1 ? 280u : 80u))
                    fail_msg("%s: taken with byte %zu damaged, within the key", pinned[i].file, at);
                taken += good;
                count++;
            }
            assert_int_not_equal(verdict_of(der, at, 64, pinned[i].host), 0);
        }
        /* and with something behind it */
        memcpy(key, der, size);
        key[size] = 0;
        assert_int_not_equal(verdict_of(key, size + 1, 64, pinned[i].host), 0);
    }
    figures("%u certificates with an error, %u of them where it does not matter", count, taken);
}

/* ======================================================================
 * >>chains
 * ====================================================================== */

/* Sends a chain by its name, and says how the port judges it. */
static int judge_chain(const char *name, const br_x509_trust_anchor *anchors, size_t count)
{
    static x509_chain chain;
    static tls_peer t;
    x509_case c;
    int rc;

    memset(&c, 0, sizeof c);
    (void)snprintf(c.name, sizeof c.name, "%s", name);
    x509_read_chain(&c, &chain);
    tls_peer_start(&t, made("ecdsa.pem"), x509_path("leaf", ".key"), false);
    tls_peer_sends(&t, made("ecdsa.pem"), chain.der, chain.size, chain.count);
    begin("good.test", t.peer.port, false);
    if (anchors != NULL) {
        port.config.anchors = anchors;
        port.config.anchor_count = count;
    } else {
        port_trust(x509_path("root", ".pem"));
    }
    begun();
    rc = get();
    rig_close(&g);
    tls_peer_stop(&t);
    return rc;
}

static void chains_too_large(void **state)
{
    (void)state;
    expect("too large", judge_chain("order_too_large", NULL, 0), BAD,
           UNSB_BEARSSL_CHAIN == 8192 ? UNSB_BEARSSL_CHAIN_SIZE : BR_ERR_X509_DN_MISMATCH);
}

static void append_dn(void *context, const void *data, size_t size)
{
    br_x500_name *dn = (br_x500_name *)context;

    memcpy(dn->data + dn->len, data, size);
    dn->len += size;
}

/* RSA keys of 512 and 1024 bits that were not loaded, but compiled in. */
static void weak_anchors(void **state)
{
    static const char *const names[] = {"rsa_512", "rsa_1024", "rsa_2048"};
    static uint8_t der[4096], dn[512];
    br_x509_decoder_context decoder;
    br_x509_trust_anchor anchor;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(names); i++) {
        FILE *file = fopen(x509_path(names[i], ".der"), "rb");
        size_t size;
        assert_non_null(file);
        size = fread(der, 1, sizeof der, file);
        (void)fclose(file);
        memset(&anchor, 0, sizeof anchor);
        anchor.dn.data = dn;
        br_x509_decoder_init(&decoder, append_dn, &anchor.dn);
        br_x509_decoder_push(&decoder, der, size);
        assert_non_null(br_x509_decoder_get_pkey(&decoder));
        anchor.flags = BR_X509_TA_CA;
        anchor.pkey = *br_x509_decoder_get_pkey(&decoder);
        expect(names[i], judge_chain(names[i], &anchor, 1), i < 2 ? BAD : UNSB_OK,
               i < 2 ? UNSB_BEARSSL_X509 + UNSB_X509_WEAK : 0);
        assert_true(i == 2 || strstr(unsb_bearssl_error_text(&port.tls), "2048") != NULL);
    }
}

/* What the PEM helper does not take. Each file has a second anchor, which is good. */
static void anchors_left_out(void **state)
{
    static const struct {
        const char *name;
        uint32_t now;
        size_t taken;
    } files[] = {{"root", 0, 1},          {"expired_anchor", 0, 1}, {"expired_anchor", 1, 2},
                 {"future_anchor", 0, 2}, {"root", IN_2048, 0},     {"constrained_anchor", 0, 1},
                 {"client_anchor", 0, 1}, {"server_anchor", 0, 2},  {"rsa_1024", 0, 1},
                 {"rsa_512", 0, 1},       {"rsa_2048", 0, 2}};
    unsb_bearssl_trust trust;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(files); i++) {
        memset(&trust, 0, sizeof trust);
        trust.now = files[i].now;
        assert_int_equal(unsb_bearssl_load_pem(&trust, x509_path(files[i].name, ".pem")),
                         files[i].taken != 0 ? UNSB_OK : UNSB_E_TRUST);
        assert_int_equal(trust.error, 0);
        if (trust.count != files[i].taken)
            fail_msg("%s: %u anchors", files[i].name, (unsigned)trust.count);
        assert_int_equal(trust.count + trust.skipped, strcmp(files[i].name, "root") == 0 ? 1 : 2);
        unsb_bearssl_free_trust(&trust);
    }
}

/* ======================================================================
 * >>connections
 * ====================================================================== */

/* RFC 5246 section 6.2.1: a message of the handshake may be cut into records at will. */
static void fragments(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 4, 7, 16, 64, 100, 511, 512, 4096};
    static tls_peer t;
    unsigned i;

    (void)state;
    for (i = 0; i < COUNT(sizes) * 2; i++) {
        tls_peer_start(&t, made("chain.pem"), made("chain.key"), false);
        t.cut = sizes[i / 2];
        ask_peer(&t, i % 2 != 0, 0);
        expect("fragments", get(), UNSB_OK, 0);
        assert_string_equal(out_memory, "");
        tls_peer_stop(&t);
    }
}

typedef struct counter {
    unsb_transport inner;
    unsigned sends, closes, drops;
} counter;

static int count_connect(void *context, const char *host, uint16_t number)
{
    counter *c = (counter *)context;
    return c->inner.vtable->connect(c->inner.context, host, number);
}

static int count_send(void *context, const void *data, size_t size)
{
    counter *c = (counter *)context;
    c->sends++;
    return c->inner.vtable->send(c->inner.context, data, size);
}

static int count_recv(void *context, void *data, size_t size)
{
    counter *c = (counter *)context;
    return c->inner.vtable->recv(c->inner.context, data, size);
}

static void count_close(void *context)
{
    counter *c = (counter *)context;
    c->closes++;
    c->inner.vtable->close(c->inner.context);
}

static void count_drop(void *context)
{
    counter *c = (counter *)context;
    c->drops++;
    c->inner.vtable->close(c->inner.context);
}

/* After a fork: not a byte goes out, and the layer below is dropped, if it can be, or closed. */
static void dropped(void **state)
{
    static const unsb_transport_class classes[] = {
        {count_connect, count_send, count_recv, count_close, NULL, NULL, NULL},
        {count_connect, count_send, count_recv, count_close, NULL, NULL, count_drop}};
    unsigned way;

    (void)state;
    for (way = 0; way < 4; way++) { /* without and with a drop below; dropped, or closed */
        bool drops = way % 2 != 0, quiet = way < 2, done;
        static unsb_posix tcp;
        unsb_transport below, outer;
        counter c;
        unsigned sends;
        int rc = UNSB_PENDING;
        memset(&c, 0, sizeof c);
        c.inner = unsb_posix_transport(&tcp);
        below.vtable = &classes[drops];
        below.context = &c;
        port_prepare();
        set_up = true;
        port_trust(made("roots.pem"));
        outer = port_transport(below);
        EVENTUALLY((rc = outer.vtable->connect(outer.context, "good.test",
                                               server_ports[SERVER_ecdsa])) != UNSB_PENDING,
                   done);
        assert_true(done);
        assert_int_equal(rc, UNSB_OK);
        sends = c.sends;
        assert_true(sends != 0);
        if (quiet)
            outer.vtable->drop(outer.context);
        else
            outer.vtable->close(outer.context);
        assert_int_equal(c.sends, quiet ? sends : sends + 1); /* close_notify */
        assert_int_equal(c.drops, quiet && drops);
        assert_int_equal(c.closes, !(quiet && drops));
        assert_true(port_is_clean());
        outer.vtable->drop(outer.context);
        outer.vtable->close(outer.context);
        assert_int_equal(c.drops + c.closes, 1);
    }
}

static void says(const char *what, unsigned server, const char *host, uint32_t time,
                 const char *words)
{
    const char *text;

    begin(host, server_ports[server], false);
    if (time != 0) {
        unix_time = time == NOT_SET ? 0 : time;
        port.config.unix_time = set_time;
    }
    begun();
    assert_int_not_equal(get(), UNSB_OK);
    rig_close(&g);
    text = unsb_bearssl_error_text(&port.tls);
    if (strstr(text, words) == NULL)
        fail_msg("%s: \"%s\"", what, text);
}

static void sentences(void **state)
{
    int error;

    (void)state;
    says("expired", SERVER_expired, "good.test", 0, "expired");
    says("the clock", SERVER_ecdsa, "good.test", NOT_SET, "is the clock set");
    says("not yet valid", SERVER_future, "good.test", 0, "not valid yet");
    says("wrong name", SERVER_ecdsa, "other.test", 0, "another host");
    says("unknown authority", SERVER_untrusted, "good.test", 0, "no trust anchor");
    says("weak key", SERVER_weak, "good.test", 0, "below 2048");
    says("TLS 1.3 alone", SERVER_tls13, "good.test", 0, "no TLS 1.3");
    says("TLS 1.0", SERVER_tls10, "good.test", 0, "no cipher suite");
    says("purpose", SERVER_purpose, "good.test", 0, "not meant for");
    /* no number is without one, and none but 0 says nothing */
    for (error = 0; error < 600; error++) {
        port.tls.error = error;
        assert_true((unsb_bearssl_error_text(&port.tls)[0] == '\0') == (error == 0));
    }
    port.tls.error = UNSB_BEARSSL_X509 + UNSB_X509_CONSTRAINT;
    assert_non_null(strstr(unsb_bearssl_error_text(&port.tls), "name constraints"));
    port.tls.error = 0;
}
