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
        {"order_issuer_twice", false, STRICT}, {"order_stranger", false, STRICT},
#endif

static void certificates_in_pieces(void **state);
static void certificates_with_errors(void **state);

#define PORT_TESTS TEST(certificates_in_pieces), TEST(certificates_with_errors),

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
    assert_true(unsbi_bearssl_host(host, name, x509.address, &x509.address_size));
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
