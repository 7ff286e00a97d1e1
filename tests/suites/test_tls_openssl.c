/* The suite of TLS ports, for the OpenSSL port; and what is its own: TLS 1.3 after the handshake,
 * PEM files, words for errors, OpenSSL's queue of errors. */
#include "suite.h"

#include "loopback.h"
#include "unsandbox_openssl.h"

#define PORT_NAME "tls_openssl"
#define DETAIL(bearssl, mbedtls) (mbedtls)
#define PORT_TLS13 1
/* Certificates that it takes are not false ones: their issuers are trusted. */
#define PORT_OTHERWISE                                                                             \
    {"order_self_issued", false, "OpenSSL takes the first issuer of that name"},                   \
    {"purpose_of_issuer_any", false, "OpenSSL wants serverAuth of an issuer"},                     \
    {"purpose_of_issuer_any_critical", false, "OpenSSL wants serverAuth of an issuer"},            \
    {"nc_in_the_leaf", true, "OpenSSL does not look at it"},                                       \
    {"twice_unknown", true, "OpenSSL does not look at it"},                                        \
    {"version_1_with_extensions", true, "OpenSSL does not look at it"},                            \
    {"version_2_with_extensions", true, "OpenSSL does not look at it"},                            \
    {"nc_wildcard_excluded", true, "OpenSSL does not look at it"},                                 \
    {"nc_mask_with_a_gap", true, "OpenSSL does not look at it"},                                   \
    {"nc_uri", true, "OpenSSL does not look at it"},                                               \
    {"nc_too_many_names", true, "OpenSSL does not look at it"},                                    \
    {"nc_names_fit_1", true, "OpenSSL does not look at it"},                                       \
    {"version_1_issuer_with_extensions", true, "OpenSSL does not look at it"},                     \
    {"behind_names", true, "OpenSSL does not look at it"},                                         \
    {"length_not_shortest", true, "OpenSSL does not look at it"},                                  \
    {"extensions_too_many", true, "OpenSSL does not look at it"},
/* Ed25519, and RSA keys that are for PSS alone */
#define PORT_SIGNATURES 0x0807, 0x0809, 0x080A, 0x080B,
#define PORT_OWN_ENTROPY 1
#define PORT_ANY_PURPOSE BAD, BAD_PURPOSE
#define PORT_EXPIRED_AND_UNKNOWN NOT_TRUSTED /* its authority is asked for first */
#define PORT_CONFIG_ERROR UNSB_E_OPENSSL_CONFIG
#define RSA RSA_PIN /* to OpenSSL a type */

static struct {
    unsb_openssl tls;
    unsb_openssl_config config;
    unsb_openssl_trust trust;
} port;

static void port_prepare(void)
{
    unsb_openssl_wipe(&port.tls);
    memset(&port.config, 0, sizeof port.config);
}

static void port_trust(const char *pem)
{
    unsb_openssl_free_trust(&port.trust);
    port.config.anchors = NULL;
    if (pem != NULL) {
        assert_int_equal(unsb_openssl_load_pem(&port.trust, pem), UNSB_OK);
        port.config.anchors = port.trust.store;
    }
}

static unsb_transport port_transport(unsb_transport inner)
{
    port.config.inner = inner;
    return unsb_openssl_transport(&port.tls, &port.config);
}

static void port_wipe(void)
{
    unsb_openssl_wipe(&port.tls);
}

static int port_detail(void);

/* Is nothing of the connection left? */
static bool port_is_clean(void)
{
    return port.tls.ssl == NULL && port.tls.ssl_config == NULL && port.tls.records == NULL;
}

static bool port_has_session(void)
{
    return port.tls.session != NULL;
}

static void many_anchors(void **state);
static void words(void **state);
static void queue_of_errors(void **state);
static void after_the_handshake(void **state);
static void hello_retry(void **state);
static void half_a_ticket(void **state);
static void tickets_are_used_once(void **state);
static void messages_in_small_records(void **state);
static void dropped(void **state);

#define PORT_TESTS                                                                                 \
    TEST(many_anchors), TEST(words), TEST(queue_of_errors),                                        \
        TEST(after_the_handshake), TEST(hello_retry), TEST(half_a_ticket),                         \
        TEST(tickets_are_used_once), TEST(messages_in_small_records), TEST(dropped),

#include "tls_suite.h"

/* OpenSSL's number as the suite has them, which are Mbed TLS's. `words` looks at the numbers
 * themselves. */
static int port_detail(void)
{
    int error = port.tls.error;

    if (port.tls.alert != 0)
        return 256 + port.tls.alert;
    switch (error) {
    case UNSB_OPENSSL_CUT:
        return MBEDTLS_ERR_SSL_CONN_EOF;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return MBEDTLS_X509_BADCERT_CN_MISMATCH;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_INVALID_CA:
        return MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    case X509_V_ERR_APPLICATION_VERIFICATION:
        return MBEDTLS_X509_BADCERT_OTHER;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return MBEDTLS_X509_BADCERT_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return MBEDTLS_X509_BADCERT_FUTURE;
    case X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE:
        return MBEDTLS_X509_BADCERT_KEY_USAGE;
    case X509_V_ERR_INVALID_PURPOSE:
        return MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return MBEDTLS_X509_BADCERT_BAD_MD;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
        return MBEDTLS_X509_BADCERT_BAD_KEY;
    case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
        return MBEDTLS_ERR_X509_INVALID_EXTENSIONS + MBEDTLS_ERR_ASN1_UNEXPECTED_TAG;
    default:
        if (error > 0x10000 &&
            ERR_GET_REASON((unsigned long)error) == SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC)
            return MBEDTLS_ERR_SSL_INVALID_MAC;
        return error;
    }
}

/* ======================================================================
 * >>anchors
 * ====================================================================== */

/* The system's bundle: none of it has signed the local service's certificate. Then that one's
 * authority, as the last of many; and as the only one, in a directory of hashed names. */
static void many_anchors(void **state)
{
    unsb_openssl_trust trust;
    const char *argv[] = {"openssl", "rehash", NULL, NULL};
    char folder[600], *ca;

    (void)state;
    memset(&trust, 0, sizeof trust);
    (void)unsetenv("SSL_CERT_FILE");
    (void)unsetenv("SSL_CERT_DIR");
    if (unsb_openssl_load_pem(&trust, NULL) != UNSB_OK && trust.error == ENOENT) {
        print_message("# skipped: this system has no bundle of certificates\n");
        skip();
    }
    assert_int_equal(trust.error, 0);
    assert_true(trust.count >= 20);
    figures("the system's bundle has %u anchors, and %u that cannot be used", (unsigned)trust.count,
            (unsigned)trust.skipped);
    begin("localhost", sandbox.port, false);
    port.config.anchors = trust.store;
    begun();
    expect("the system's bundle", get(), BAD, NOT_TRUSTED);
    rig_close(&g);
    assert_int_equal(unsb_openssl_load_pem(&trust, pki("ca.pem")), UNSB_OK);
    begin("localhost", sandbox.port, true);
    port.config.anchors = trust.store;
    begun();
    expect("one more", get(), UNSB_OK, 0);
    rig_close(&g);
    unsb_openssl_free_trust(&trust);

    (void)snprintf(folder, sizeof folder, "%s", scratch("hashed"));
    assert_int_equal(mkdir(folder, 0700), 0);
    (void)setenv("SSL_CERT_DIR", folder, 1);
    ca = read_text(pki("ca.pem"));
    write_file(scratch("hashed/ca.pem"), ca, strlen(ca));
    free(ca);
    argv[2] = folder;
    assert_int_equal(run(argv, -1), 0);
    assert_int_equal(unsb_openssl_load_pem(&trust, NULL), UNSB_OK);
    (void)unsetenv("SSL_CERT_DIR");
    begin("localhost", sandbox.port, false);
    port.config.anchors = trust.store;
    begun();
    expect("a directory", get(), UNSB_OK, 0);
    rig_close(&g);
    unsb_openssl_free_trust(&trust);
}

/* ======================================================================
 * >>errors
 * ====================================================================== */

static void words(void **state)
{
    static const struct {
        unsigned server;
        const char *host;
        unsigned trust, pins;
        int error;
        const char *text;
    } causes[] = {
        {SERVER_ecdsa, "good.test", ROOTS, 0, 0, "no error"},
        {SERVER_expired, "good.test", ROOTS, 0, X509_V_ERR_CERT_HAS_EXPIRED, "expired"},
        {SERVER_future, "good.test", ROOTS, 0, X509_V_ERR_CERT_NOT_YET_VALID, "not yet valid"},
        {SERVER_ecdsa, "other.test", ROOTS, 0, X509_V_ERR_HOSTNAME_MISMATCH, "wrong name"},
        {SERVER_ecdsa, "127.0.0.1", ROOTS, 0, X509_V_ERR_IP_ADDRESS_MISMATCH, "wrong name"},
        {SERVER_common, "good.test", ROOTS, 0, X509_V_ERR_HOSTNAME_MISMATCH, "wrong name"},
        {SERVER_ecdsa, "good.test", OTHER, 0, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
         "unknown authority"},
        {SERVER_missing, "good.test", ROOTS, 0, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
         "unknown authority"},
        {SERVER_self, "good.test", ROOTS, 0, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
         "unknown authority"},
        {SERVER_ecdsa, "good.test", ROOTS, RSA, X509_V_ERR_APPLICATION_VERIFICATION, "not pinned"},
        {SERVER_below, "good.test", ROOTS, 0, X509_V_ERR_INVALID_CA, "CA"},
        {SERVER_purpose, "good.test", ROOTS, 0, X509_V_ERR_INVALID_PURPOSE, "purpose"},
        {SERVER_usage, "good.test", ROOTS, 0, X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE,
         "digital signature"},
        {SERVER_weak, "good.test", ROOTS, 0, X509_V_ERR_EE_KEY_TOO_SMALL, "key too weak"},
        {SERVER_tls10, "good.test", ROOTS, 0, -1, "protocol version"},
        {SERVER_cbc, "good.test", ROOTS, 0, -1, "handshake failure"}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(causes); i++) {
        const char *text;
        begin(causes[i].host, server_ports[causes[i].server], i % 2 != 0);
        trust_and_pin(causes[i].trust, causes[i].pins);
        begun();
        (void)get();
        text = unsb_openssl_error_text(&port.tls);
        if (strstr(text, causes[i].text) == NULL)
            fail_msg("%u: \"%s\" instead of \"%s\"", (unsigned)i, text, causes[i].text);
        if (causes[i].error >= 0)
            assert_int_equal(port.tls.error, causes[i].error);
        rig_close(&g);
        assert_string_equal(unsb_openssl_error_text(&port.tls), text); /* it is kept */
    }
}

/* ---- the thread's queue ---- */

static void leave_errors(void)
{
    ERR_clear_error();
    ERR_raise_data(ERR_LIB_USER, 77, "left %s", "here");
    ERR_raise(ERR_LIB_USER, 78);
    ERR_raise_data(ERR_LIB_SYS, ENOENT, "a file");
}

static void find_errors(const char *when)
{
    static const int reasons[] = {77, 78, ENOENT};
    static const char *const texts[] = {"left here", "", "a file"};
    const char *file, *function, *text;
    int line, flags;
    size_t i;

    for (i = 0; i < COUNT(reasons); i++) {
        unsigned long code = ERR_get_error_all(&file, &line, &function, &text, &flags);
        if (ERR_GET_REASON(code) != reasons[i] || strcmp(text, texts[i]) != 0)
            fail_msg("%s: error %u of the queue is %lx (%s)", when, (unsigned)i, code, text);
        assert_int_equal(ERR_GET_LIB(code), i < 2 ? ERR_LIB_USER : ERR_LIB_SYS);
        assert_string_equal(function, "leave_errors");
        assert_non_null(strstr(file, "test_tls_openssl.c"));
        assert_true(line > 100);
    }
    assert_int_equal(ERR_peek_error(), 0);
}

/* ======================================================================
 * >>wire  The port's inner transport, and OpenSSL's server at its other end,
 *         in one thread
 * ====================================================================== */

#define WIRE_ROOM 400000u

static struct {
    /* what wire_start() is told */
    int version; /* TLS1_2_VERSION or TLS1_3_VERSION */
    const char *groups;
    int tickets;          /* sent after the handshake */
    size_t ticket_size;   /* how much larger they are made */
    size_t cut;           /* handshake messages in the clear come in records of so many bytes */
    size_t most;          /* bytes that a call moves; 0: all */
    bool errors;          /* OpenSSL's queue of errors is looked after while it connects */
    /* what came of it */
    unsigned hellos, updates; /* of the client */
    unsigned closed, dropped;
    size_t received; /* bytes from the client */
    /* private */
    SSL_CTX *config;
    SSL *server;
    bool accepted, secret; /* the server's records are encrypted from now on */
    uint8_t raw[WIRE_ROOM], down[WIRE_ROOM];
    size_t raw_size, at, size, hold; /* `hold`: how much of `down` may not come yet */
    unsb_transport transport;
} wire;

static void wire_note(int sent, int version, int type, const void *data, size_t size, SSL *ssl,
                      void *context)
{
    const uint8_t *bytes = (const uint8_t *)data;

    (void)version;
    (void)ssl;
    (void)context;
    if (sent == 0 && type == SSL3_RT_HANDSHAKE && size != 0) {
        wire.hellos += bytes[0] == SSL3_MT_CLIENT_HELLO;
        wire.updates += bytes[0] == SSL3_MT_KEY_UPDATE;
    }
}

static int wire_fatten(SSL *ssl, void *context)
{
    static const char filling[4000];

    (void)context;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), filling, wire.ticket_size);
}

static SSL_TICKET_RETURN wire_take(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                   size_t name_size, SSL_TICKET_STATUS status, void *context)
{
    (void)ssl;
    (void)session;
    (void)name;
    (void)name_size;
    (void)context;
    return status == SSL_TICKET_SUCCESS         ? SSL_TICKET_RETURN_USE
           : status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW
                                                : SSL_TICKET_RETURN_IGNORE_RENEW;
}

static void wire_put(const uint8_t *data, size_t size)
{
    assert_true(size <= sizeof wire.down - wire.size);
    memcpy(wire.down + wire.size, data, size);
    wire.size += size;
}

/* What the server has written goes down, its messages cut. */
static void wire_collect(void)
{
    size_t at = 0, size;
    int n;

    while ((n = BIO_read(SSL_get_wbio(wire.server), wire.raw + wire.raw_size,
                         (int)(sizeof wire.raw - wire.raw_size))) > 0)
        wire.raw_size += (size_t)n;
    while (wire.raw_size - at >= 5) {
        uint8_t *record = wire.raw + at;
        size = 5u + ((size_t)record[3] << 8) + record[4];
        if (wire.raw_size - at < size)
            break;
        wire.secret = wire.secret || record[0] != SSL3_RT_HANDSHAKE;
        if (wire.cut != 0 && !wire.secret) {
            size_t from, piece;
            for (from = 5; from < size; from += piece) {
                uint8_t head[5];
                piece = size - from < wire.cut ? size - from : wire.cut;
                memcpy(head, record, 3);
                head[3] = (uint8_t)(piece >> 8);
                head[4] = (uint8_t)(piece & 0xFF);
                wire_put(head, 5);
                wire_put(record + from, piece);
            }
        } else {
            wire_put(record, size);
        }
        at += size;
    }
    memmove(wire.raw, wire.raw + at, wire.raw_size - at);
    wire.raw_size -= at;
}

/* The server's turn in its handshake. */
static void wire_accept(void)
{
    if (!wire.accepted)
        wire.accepted = SSL_do_handshake(wire.server) == 1;
    wire_collect();
}

static int wire_connect(void *context, const char *host, uint16_t number)
{
    (void)context;
    (void)host;
    (void)number;
    SSL_free(wire.server);
    wire.server = SSL_new(wire.config);
    assert_non_null(wire.server);
    SSL_set_bio(wire.server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(wire.server);
    SSL_set_msg_callback(wire.server, wire_note);
    wire.raw_size = wire.at = wire.size = wire.hold = 0;
    wire.accepted = wire.secret = false;
    wire.hellos = wire.updates = 0;
    return UNSB_OK;
}

static size_t wire_most(size_t size)
{
    return wire.most != 0 && wire.most < size ? wire.most : size;
}

static int wire_send(void *context, const void *data, size_t size)
{
    int n = BIO_write(SSL_get_rbio(wire.server), data, (int)wire_most(size));

    (void)context;
    wire.received += n > 0 ? (size_t)n : 0;
    return n;
}

static int wire_recv(void *context, void *data, size_t size)
{
    size_t have = wire.size - wire.at;

    (void)context;
    have -= wire.hold < have ? wire.hold : have;
    size = wire_most(size < have ? size : have);
    memcpy(data, wire.down + wire.at, size);
    wire.at += size;
    if (wire.at == wire.size)
        wire.at = wire.size = 0;
    return (int)size;
}

static void wire_close(void *context)
{
    (void)context;
    wire.closed++;
}

static void wire_drop(void *context)
{
    (void)context;
    wire.dropped++;
}

static const unsb_transport_class wire_class = {wire_connect, wire_send, wire_recv, wire_close,
                                                NULL,         NULL,      wire_drop};

static void wire_stop(void)
{
    SSL_free(wire.server);
    SSL_CTX_free(wire.config);
    wire.server = NULL;
    wire.config = NULL;
}

/* A server with the fields above, and a port in front of it. */
static void wire_set_up(const char *host_pem)
{
    char path[600];
    unsb_transport inner;

    wire_stop();
    wire.closed = wire.dropped = 0;
    wire.received = 0;
    wire.config = SSL_CTX_new(TLS_server_method());
    assert_non_null(wire.config);
    (void)snprintf(path, sizeof path, "%s.pem", host_pem);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(wire.config, made(path)), 1);
    (void)snprintf(path, sizeof path, "%s.key", host_pem);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(wire.config, made(path), SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_set_min_proto_version(wire.config, wire.version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(wire.config, wire.version), 1);
    assert_int_equal(SSL_CTX_set_num_tickets(wire.config, (size_t)wire.tickets), 1);
    assert_int_equal(SSL_CTX_set_max_send_fragment(wire.config, 512), 1);
    if (wire.groups != NULL)
        assert_int_equal(SSL_CTX_set1_groups_list(wire.config, wire.groups), 1);
    if (wire.ticket_size != 0)
        assert_int_equal(SSL_CTX_set_session_ticket_cb(wire.config, wire_fatten, wire_take, NULL),
                         1);
    port_prepare();
    set_up = true;
    port_trust(made("roots.pem"));
    inner.vtable = &wire_class;
    inner.context = NULL;
    wire.transport = port_transport(inner);
}

static void wire_defaults(int version)
{
    wire.version = version;
    wire.groups = NULL;
    wire.tickets = 2;
    wire.ticket_size = wire.cut = wire.most = 0;
    wire.errors = false;
}

static int wire_dial(void)
{
    unsigned turns;
    int rc = UNSB_PENDING;

    for (turns = 0; turns < 100000 && rc == UNSB_PENDING; turns++) {
        if (wire.errors)
            leave_errors();
        rc = wire.transport.vtable->connect(wire.transport.context, "good.test", 443);
        if (wire.errors)
            find_errors("connect");
        if (wire.server != NULL)
            wire_accept();
    }
    for (turns = 0; turns < 3 && rc == UNSB_OK; turns++)
        wire_accept();
    return rc;
}

/* A text each way, which must arrive whole, and nothing else. */
static void wire_exchange(const char *up, const char *down)
{
    char text[2000];
    size_t have = 0, sent = 0, size = strlen(up);
    unsigned turns;
    int rc;

    for (turns = 0; have < size; turns++) {
        rc = wire.transport.vtable->send(wire.transport.context, up + sent, size - sent);
        if (rc < 0 || turns > 100000)
            fail_msg("send: %d after %u bytes: %s", rc, (unsigned)sent,
                     unsb_openssl_error_text(&port.tls));
        sent += (size_t)rc;
        rc = wire.transport.vtable->recv(wire.transport.context, text + have, 1);
        assert_int_equal(rc, 0); /* but it sends what is left of send, and renews keys */
        rc = SSL_read(wire.server, text + have, (int)(sizeof text - have));
        have += rc > 0 ? (size_t)rc : 0;
        wire_collect();
    }
    assert_int_equal(have, size);
    assert_memory_equal(text, up, size);
    size = strlen(down);
    assert_int_equal(SSL_write(wire.server, down, (int)size), size);
    wire_collect();
    for (have = turns = 0; have < size; turns++) {
        rc = wire.transport.vtable->recv(wire.transport.context, text + have, sizeof text - have);
        if (rc < 0 || turns > 100000)
            fail_msg("recv: %d after %u bytes: %s", rc, (unsigned)have,
                     unsb_openssl_error_text(&port.tls));
        have += (size_t)rc;
    }
    assert_int_equal(have, size);
    assert_memory_equal(text, down, size);
    assert_int_equal(wire.transport.vtable->recv(wire.transport.context, text, 1), 0);
}

static void wire_end(void)
{
    wire.transport.vtable->close(wire.transport.context);
    port_wipe();
    wire_stop();
}

/* ======================================================================
 * >>tls13
 * ====================================================================== */

/* Tickets, and keys renewed by either side: neither data nor an end. */
static void after_the_handshake(void **state)
{
    static const size_t most[] = {0, 1, 7};
    static const int tickets[] = {0, 1, 8};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(most) * COUNT(tickets); i++) {
        unsigned round;
        char byte;
        wire_defaults(TLS1_3_VERSION);
        wire.tickets = tickets[i / COUNT(most)];
        wire.most = most[i % COUNT(most)];
        wire_set_up("ecdsa");
        assert_int_equal(wire_dial(), UNSB_OK);
        wire_accept();
        for (round = 0; round < 2000; round++)
            assert_int_equal(wire.transport.vtable->recv(wire.transport.context, &byte, 1), 0);
        assert_int_equal(port_has_session(), wire.tickets != 0);
        wire_exchange("first", "1");
        for (round = 1; round <= 4; round++) {
            /* asked for an answer, and not */
            assert_int_equal(SSL_key_update(wire.server, round % 2 != 0
                                                             ? SSL_KEY_UPDATE_REQUESTED
                                                             : SSL_KEY_UPDATE_NOT_REQUESTED),
                             1);
            assert_int_equal(SSL_do_handshake(wire.server), 1);
            wire_collect();
            wire_exchange("renewed", "yes");
            assert_int_equal(SSL_new_session_ticket(wire.server), 1);
            assert_int_equal(SSL_do_handshake(wire.server), 1);
            wire_collect();
            wire_exchange("ticket", "one more");
            /* before the next data (RFC 8446 section 4.6.3) */
            assert_int_equal(wire.updates, (round + 1) / 2);
            assert_true(port_has_session());
        }
        /* and the end is an end */
        assert_int_equal(SSL_shutdown(wire.server), 0);
        wire_collect();
        for (round = 0; wire.at != wire.size && round < 2000; round++)
            (void)wire.transport.vtable->recv(wire.transport.context, &byte, 1);
        assert_int_equal(wire.transport.vtable->recv(wire.transport.context, &byte, 1),
                         UNSB_E_CLOSED);
        wire_end();
    }
}

/* The server wants a key on a curve that the client has not sent one for. */
static void hello_retry(void **state)
{
    static const char *const groups[] = {"X25519", "P-384"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(groups) * 2; i++) {
        wire_defaults(TLS1_3_VERSION);
        wire.groups = groups[i / 2];
        wire.most = i % 2;
        wire_set_up("ecdsa");
        assert_int_equal(wire_dial(), UNSB_OK);
        assert_int_equal(wire.hellos, 1 + i / 2);
        wire_exchange("hello", "again");
        wire_end();
    }
}

/* While a message after the handshake is half here, OpenSSL sends nothing. The port says what it
 * waits for, and loses nothing. */
static void half_a_ticket(void **state)
{
    const unsb_transport_class *vtable;
    char byte;
    size_t whole;
    int rc;

    (void)state;
    wire_defaults(TLS1_3_VERSION);
    wire.tickets = 1;
    wire.ticket_size = 3000;
    wire_set_up("ecdsa");
    assert_int_equal(wire_dial(), UNSB_OK);
    vtable = wire.transport.vtable;
    whole = wire.size - wire.at;
    assert_true(whole > 3000); /* in records of 512 bytes */
    wire.hold = whole - 1500;
    assert_int_equal(vtable->recv(wire.transport.context, &byte, 1), 0);
    rc = vtable->send(wire.transport.context, "x", 1);
    assert_int_equal(rc, 0);
    assert_int_equal(vtable->interest(wire.transport.context, UNSB_WRITABLE), UNSB_READABLE);
    assert_false(port_has_session());
    wire.hold = 0;
    rc = vtable->send(wire.transport.context, "x", 1);
    assert_int_equal(rc, 1);
    assert_int_equal(SSL_read(wire.server, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_true(port_has_session());
    assert_int_equal(vtable->interest(wire.transport.context, UNSB_WRITABLE), UNSB_WRITABLE);
    wire_exchange("more", "data");
    wire_end();
}

static void tickets_are_used_once(void **state)
{
    static const bool resumed[] = {false, true, false, true};
    size_t i;

    (void)state;
    wire_defaults(TLS1_3_VERSION);
    wire_set_up("ecdsa");
    for (i = 0; i < COUNT(resumed); i++) {
        assert_int_equal(SSL_CTX_set_num_tickets(wire.config, resumed[i] ? 0 : 1), 1);
        assert_int_equal(wire_dial(), UNSB_OK);
        wire_exchange("hello", "there");
        assert_int_equal(port.tls.resumed, resumed[i]);
        assert_int_equal(port_has_session(), !resumed[i]);
        wire.transport.vtable->close(wire.transport.context);
    }
    wire_end();
}

/* Handshake messages in records of any size (RFC 8446 section 5.1), the ServerHello alone in TLS
 * 1.3, as the others are encrypted (and come in records of 512 bytes). */
static void messages_in_small_records(void **state)
{
    static const size_t cuts[] = {1, 2, 3, 4, 7, 64, 512, 0};
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cuts) * 2; i++) {
        wire_defaults(versions[i % 2]);
        wire.cut = cuts[i / 2];
        wire_set_up("chain");
        if (wire_dial() != UNSB_OK)
            fail_msg("records of %u bytes, version %u: %s", (unsigned)wire.cut, (unsigned)(i % 2),
                     unsb_openssl_error_text(&port.tls));
        wire_exchange("cut", "and joined");
        wire_end();
    }
}

/* ======================================================================
 * >>state of its own
 * ====================================================================== */

static void queue_of_errors(void **state)
{
    unsb_openssl_trust trust;
    unsigned way;
    char byte;

    (void)state;
    memset(&trust, 0, sizeof trust);
    leave_errors();
    assert_int_equal(unsb_openssl_add_pem(&trust, "-----BEGIN CERTIFICATE-----\nA", 29),
                     UNSB_E_TRUST);
    find_errors("a bad certificate");
    leave_errors();
    assert_int_equal(unsb_openssl_load_pem(&trust, scratch("missing")), UNSB_E_TRUST);
    find_errors("no file");
    unsb_openssl_free_trust(&trust);
    for (way = 0; way < 4; way++) {
        bool trusted = way % 2 == 0;
        wire_defaults(way < 2 ? TLS1_2_VERSION : TLS1_3_VERSION);
        wire_set_up(trusted ? "ecdsa" : "untrusted");
        /* each call, with errors left before: they may not be taken for its own */
        wire.errors = true;
        assert_int_equal(wire_dial(), trusted ? UNSB_OK : UNSB_E_CERTIFICATE);
        wire.errors = false;
        leave_errors();
        assert_int_equal(wire.transport.vtable->send(wire.transport.context, "x", 1),
                         trusted ? 1 : UNSB_E_CERTIFICATE);
        find_errors("send");
        leave_errors();
        assert_int_equal(wire.transport.vtable->recv(wire.transport.context, &byte, 1),
                         trusted ? 0 : UNSB_E_CERTIFICATE);
        find_errors("recv");
        leave_errors();
        (void)unsb_openssl_error_text(&port.tls);
        find_errors("the text");
        if (trusted) { /* what cannot be decrypted */
            static const uint8_t garbage[5 + 40] = {23, 3, 3, 0, 40};
            wire_put(garbage, sizeof garbage);
            leave_errors();
            while (wire.at != wire.size)
                (void)wire.transport.vtable->recv(wire.transport.context, &byte, 1);
            assert_int_equal(wire.transport.vtable->recv(wire.transport.context, &byte, 1),
                             UNSB_E_TLS);
            find_errors("garbage");
        }
        leave_errors();
        wire.transport.vtable->close(wire.transport.context);
        port_wipe();
        find_errors("close");
        /* and an empty one stays empty */
        ERR_clear_error();
        (void)wire.transport.vtable->connect(wire.transport.context, "good.test", 443);
        assert_int_equal(ERR_peek_error(), 0);
        wire.transport.vtable->close(wire.transport.context);
        port_wipe();
        assert_int_equal(ERR_peek_error(), 0);
        wire_end();
    }
}

/* A child's copy after fork(): nothing is sent, the inner transport is dropped, too. */
static void dropped(void **state)
{
    unsigned way;

    (void)state;
    for (way = 0; way < 4; way++) {
        static unsb_transport_class without;
        bool closes = way % 2 != 0;
        size_t before;
        wire_defaults(way < 2 ? TLS1_2_VERSION : TLS1_3_VERSION);
        wire_set_up("ecdsa");
        without = wire_class;
        without.drop = NULL;
        if (closes)
            port.tls.config.inner.vtable = &without;
        assert_int_equal(wire_dial(), UNSB_OK);
        wire_exchange("before", "after");
        assert_true(port_has_session());
        before = wire.received;
        wire.transport.vtable->drop(wire.transport.context);
        assert_int_equal(wire.received, before);
        assert_int_equal(wire.dropped, !closes);
        assert_int_equal(wire.closed, closes);
        assert_true(port_is_clean());
        assert_false(port_has_session());
        wire.transport.vtable->drop(wire.transport.context);
        assert_int_equal(wire.dropped, !closes);
        /* close says goodbye */
        assert_int_equal(wire_dial(), UNSB_OK);
        before = wire.received;
        wire.transport.vtable->close(wire.transport.context);
        assert_true(wire.received > before);
        assert_int_equal(SSL_read(wire.server, &(char){0}, 1), 0);
        assert_int_equal(SSL_get_shutdown(wire.server), SSL_RECEIVED_SHUTDOWN);
        wire_end();
    }
}
