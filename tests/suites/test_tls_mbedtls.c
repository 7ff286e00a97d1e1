/* The suite of TLS ports, for the Mbed TLS port; and its PEM files. */
#include "suite.h"

#include "loopback.h"
#include "unsandbox_mbedtls.h"
#include "unsandbox_mbedtls_pem.h"

#define PORT_NAME "tls_mbedtls"
#define DETAIL(bearssl, mbedtls) (mbedtls)
#define PORT_TLS13 UNSBI_MBEDTLS_TLS13
#if UNSBI_MBEDTLS_TLS13
#define ODD_CHOICE MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER
#else
#define ODD_CHOICE 0
#endif

static struct {
    unsb_mbedtls tls;
    unsb_mbedtls_config config;
    unsb_mbedtls_trust trust;
} port;

static void port_prepare(void)
{
    unsb_mbedtls_wipe(&port.tls);
    memset(&port.config, 0, sizeof port.config);
}

static void port_trust(const char *pem)
{
    unsb_mbedtls_free_trust(&port.trust);
    port.config.anchors = NULL;
    if (pem != NULL) {
        assert_int_equal(unsb_mbedtls_load_pem(&port.trust, pem), UNSB_OK);
        port.config.anchors = &port.trust.anchors;
    }
}

static unsb_transport port_transport(unsb_transport inner)
{
    port.config.inner = inner;
    return unsb_mbedtls_transport(&port.tls, &port.config);
}

static void port_wipe(void)
{
    unsb_mbedtls_wipe(&port.tls);
}

/* A number for what went wrong; 256 + n: the peer's alert. */
static int port_detail(void)
{
    if (port.tls.error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        return 256 + port.tls.alert;
    return port.tls.error;
}

/* Is nothing of the connection left? */
static bool port_is_clean(void)
{
    return !port.tls.started && is_zero(&port.tls.ssl, sizeof port.tls.ssl) &&
           is_zero(&port.tls.ssl_config, sizeof port.tls.ssl_config) &&
           is_zero(&port.tls.random, sizeof port.tls.random) &&
           is_zero(&port.tls.entropy, sizeof port.tls.entropy);
}

static bool port_has_session(void)
{
    return !is_zero(&port.tls.session, sizeof port.tls.session);
}

#define PORT_OTHERWISE                                                                             \
    {"nc_name_permitted_critical", false, "Mbed TLS takes no critical name constraints"},          \
        {"nc_name_not_excluded_critical", false, "Mbed TLS takes no critical name constraints"},   \
        {"order_reversed", false, "Mbed TLS looks for issuers behind what they issued"},           \
        {"order_mixed", false, "Mbed TLS looks for issuers behind what they issued"},

static void many_anchors(void **state);
static void cut_handshakes(void **state);
static void broken_off_messages(void **state);
static void other_records(void **state);
static void texts(void **state);
static void configurations(void **state);
static void dropping(void **state);
static void a_server_of_its_own_mind(void **state);
#if UNSBI_MBEDTLS_TLS13
static void late_tickets(void **state);
static void tickets_and_a_full_wire(void **state);
static void tls13_of_openssl(void **state);
static void changes_of_keys(void **state);
#define TLS13_TESTS                                                                                \
    TEST(late_tickets), TEST(tickets_and_a_full_wire), TEST(tls13_of_openssl),                     \
        TEST(changes_of_keys),
#else
#define TLS13_TESTS
#endif

#define PORT_TESTS                                                                                 \
    TEST(many_anchors), TEST(cut_handshakes), TEST(broken_off_messages),                           \
        TEST(other_records), TEST(texts), TEST(configurations), TEST(dropping),                    \
        TEST(a_server_of_its_own_mind), TLS13_TESTS

#include "tls_suite.h"

/* ======================================================================
 * >>anchors
 * ====================================================================== */

/* The system's bundle: none of it has signed the local service's certificate. Then that one's
 * authority, as the last of many. */
static void many_anchors(void **state)
{
    unsb_mbedtls_trust trust;

    (void)state;
    memset(&trust, 0, sizeof trust);
    (void)unsetenv("SSL_CERT_FILE");
    if (unsb_mbedtls_load_pem(&trust, NULL) != UNSB_OK && trust.error == ENOENT) {
        print_message("# skipped: this system has no bundle of certificates\n");
        skip();
    }
    assert_int_equal(trust.error, 0);
    assert_true(trust.count >= 20);
    figures("the system's bundle has %u anchors, and %u that cannot be used", (unsigned)trust.count,
            (unsigned)trust.skipped);
    begin("localhost", sandbox.port, false);
    port.config.anchors = &trust.anchors;
    begun();
    expect("the system's bundle", get(), BAD, NOT_TRUSTED);
    rig_close(&g);
    assert_int_equal(unsb_mbedtls_load_pem(&trust, pki("ca.pem")), UNSB_OK);
    begin("localhost", sandbox.port, true);
    port.config.anchors = &trust.anchors;
    begun();
    expect("one more", get(), UNSB_OK, 0);
    rig_close(&g);
    unsb_mbedtls_free_trust(&trust);
}

/* ======================================================================
 * >>records  Messages of the handshake in pieces
 * ====================================================================== */

static void cut_handshakes(void **state)
{
    static const size_t cuts[] = {1, 2, 3, 4, 5, 7, 64, 512};
    static tls_peer t;
    unsigned i;

    (void)state;
    for (i = 0; i < COUNT(cuts) * 4; i++) {
        int rc;
        tls_peer_start(&t, made("ecdsa.pem"), made("ecdsa.key"), by_tls13());
        t.cut = cuts[i / 4];
        ask_peer(&t, i % 2 != 0, i % 4 >= 2 ? 1 : 0);
        rc = get();
        expect("cut", rc, UNSB_OK, 0);
        rig_close(&g);
        peer_settle(&t.peer);
        assert_int_equal(t.failure, 0);
        tls_peer_stop(&t);
    }
}

/* Another record within a message, wherever that is cut: an error, and no message made of both. */
static void broken_off_messages(void **state)
{
    static tls_peer t;
    unsigned i;

    (void)state;
    for (i = 0; i < 24; i++) {
        tls_peer_start(&t, made("ecdsa.pem"), made("ecdsa.key"), by_tls13());
        t.cut = 1 + i / 2;
        t.break_off = true;
        ask_peer(&t, i % 2 != 0, 0);
        expect("broken off", get(), UNSB_E_TLS, MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE);
        rig_close(&g);
        tls_peer_stop(&t);
    }
}

static const uint8_t *other_record;
static size_t other_record_size;

static void serve_record(peer *p, int fd)
{
    char byte;

    (void)peer_recv(p, fd, &byte, 1);
    (void)peer_send(p, fd, other_record, other_record_size);
    peer_drain(p, fd);
}

/* What is handed on as it is: alerts, also empty ones; records that are empty or too large. */
static void other_records(void **state)
{
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 40}, empty_alert[] = {21, 3, 3, 0, 0},
                         empty[] = {22, 3, 3, 0, 0, 22, 3, 3, 0, 0}, large[] = {22, 3, 3, 255, 255},
                         hello_request[] = {22, 3, 3, 0, 4, 0, 0, 0, 0},
                         huge[16400] = {22, 3, 3, 0x40, 0, 2, 255, 255, 255};
    static const struct {
        const uint8_t *bytes;
        size_t size;
        int detail; /* 0: any */
    } list[] = {{alert, sizeof alert, 256 + 40},
                {empty_alert, sizeof empty_alert, 0},
                {empty, sizeof empty, 0},
                {large, sizeof large, 0},
                {hello_request, sizeof hello_request, 0},
                {huge, sizeof huge, 0}};
    unsigned i;

    (void)state;
    for (i = 0; i < COUNT(list) * 2; i++) {
        static peer p;
        other_record = list[i / 2].bytes;
        other_record_size = list[i / 2].size;
        peer_start(&p, serve_record, NULL);
        begin("good.test", p.port, i % 2 != 0);
        g.config.connect_timeout_ms = 200 * RIG_SPEED;
        begun();
        if (list[i / 2].detail != 0)
            expect("a record", get(), UNSB_E_TLS, list[i / 2].detail);
        else if (get() == UNSB_OK)
            fail_msg("record %u is taken", i / 2);
        rig_close(&g);
        peer_stop(&p);
    }
}

/* ======================================================================
 * >>causes
 * ====================================================================== */

static void expect_text(const char *part)
{
    const char *text = unsb_mbedtls_error_text(&port.tls);

    if ((part[0] == '\0') != (text[0] == '\0') || strstr(text, part) == NULL)
        fail_msg("\"%s\" instead of \"...%s...\"", text, part);
}

static void texts(void **state)
{
    static const struct {
        unsigned server;
        const char *host, *part;
        unsigned trust, pins;
    } list[] = {{SERVER_ecdsa, "good.test", "", ROOTS, 0},
                {SERVER_ecdsa, "other.test", "another host", ROOTS, 0},
                {SERVER_ecdsa, "good.test", "no authority", OTHER, 0},
                {SERVER_ecdsa, "good.test", "pinned", ROOTS, RSA},
                {SERVER_expired, "good.test", "expired", ROOTS, 0},
                {SERVER_future, "good.test", "not valid yet", ROOTS, 0},
                {SERVER_usage, "good.test", "not for a TLS server", ROOTS, 0},
                {SERVER_sha1, "good.test", "hash", ROOTS, 0},
                {SERVER_weak, "good.test", "weak", ROOTS, 0},
                {SERVER_critical, "good.test", "cannot be read", ROOTS, 0},
                {SERVER_null, "good.test", "no cipher", ROOTS, 0},
                {SERVER_ecdsa, "good.test", "nothing to trust", 0, 0}};
    unsigned i;

    (void)state;
    for (i = 0; i < COUNT(list); i++) {
        int rc;
        begin(list[i].host, server_ports[list[i].server], i % 2 != 0);
        trust_and_pin(list[i].trust, list[i].pins);
        begun();
        rc = get();
        assert_int_equal(port.tls.code, rc);
        expect_text(list[i].part); /* also when the connection is closed */
        rig_close(&g);
        expect_text(list[i].part);
    }
    begin("good.test", server_ports[SERVER_ecdsa], false);
    port.config.entropy = set_entropy;
    entropy_result = UNSB_E_USER;
    begun();
    assert_int_equal(get(), UNSB_E_ENTROPY);
    expect_text("randomness");
    rig_close(&g);
    begin("good.test", server_ports[SERVER_ecdsa], false);
    g.inside.refuse = 1;
    begun();
    assert_int_equal(get(), UNSB_E_CONNECT);
    expect_text("below");
}

static void configurations(void **state)
{
    mbedtls_x509_crt none;
    uint8_t pin[32] = {0};
    unsb_transport t;
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) { /* beside anchors: one without the other */
        begin("good.test", server_ports[SERVER_ecdsa], false);
        port.config.pins = i == 0 ? pin : NULL;
        port.config.pin_count = i == 0 ? 0 : 1;
        begun();
        expect("pins", get(), UNSB_E_MBEDTLS_CONFIG, UNSB_MBEDTLS_PINS);
        expect_text("pins");
        assert_int_equal(g.inside.attempts, 0);
        rig_close(&g);
    }
    mbedtls_x509_crt_init(&none);
    begin("good.test", server_ports[SERVER_ecdsa], false);
    port.config.anchors = &none;
    begun();
    expect("an empty list", get(), UNSB_E_TRUST, 0);
    rig_close(&g);
    port_prepare();
    t = unsb_mbedtls_transport(&port.tls, NULL);
    assert_null(t.vtable->wait);
    assert_int_equal(t.vtable->connect(t.context, "good.test", 443), UNSB_E_MBEDTLS_CONFIG);
    assert_int_equal(port.tls.error, UNSB_MBEDTLS_NO_INNER);
    expect_text("inner");
    t.vtable->drop(t.context);
    t.vtable->close(t.context);
}

static unsigned drops, sends_after;

static void count_drop(void *context)
{
    drops++;
    unsb_posix_transport((unsb_posix *)context);
}

static int count_send(void *context, const void *data, size_t size)
{
    sends_after++;
    return unsbi_posix_send(context, data, size);
}

/* Not a byte goes out, the inner transport is dropped too, or closed where it cannot be, and
 * nothing is left. */
static void dropping(void **state)
{
    unsigned with;

    (void)state;
    for (with = 0; with < 2; with++) {
        static unsb_transport_class counting;
        static unsb_posix tcp;
        unsb_transport inner = unsb_posix_transport(&tcp), t;
        int rc, fd;
        begin("good.test", server_ports[SERVER_ecdsa], false);
        counting = *inner.vtable;
        counting.send = count_send;
        counting.drop = with != 0 ? count_drop : NULL;
        inner.vtable = &counting;
        t = port_transport(inner);
        while ((rc = t.vtable->connect(t.context, "good.test", server_ports[SERVER_ecdsa])) ==
               UNSB_PENDING)
            (void)t.vtable->wait(t.context, UNSB_READABLE, 1000);
        assert_int_equal(rc, UNSB_OK);
        fd = unsb_posix_fd(&tcp);
        drops = sends_after = 0;
        t.vtable->drop(t.context);
        t.vtable->drop(t.context);
        assert_int_equal(sends_after, 0);
        assert_int_equal(drops, with);
        assert_true(port_is_clean());
        assert_false(port_has_session());
        if (with != 0)
            assert_int_equal(close(fd), 0);
        else
            assert_int_equal(unsb_posix_fd(&tcp), -1);
    }
}

/* One that goes by its own order of signatures, and likes PSS best: Mbed TLS 3.6.6 offers that for
 * TLS 1.3 and refuses it in 1.2. Without 1.3 it is not offered. */
static void a_server_of_its_own_mind(void **state)
{
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 4; mode++) {
        const bool refused = UNSBI_MBEDTLS_TLS13 && MBEDTLS_VERSION_NUMBER == 0x03060600;
        begin("good.test", server_ports[SERVER_own], mode % 2 != 0);
        port.config.no_tls13 = mode >= 2;
        begun();
        if (refused && mode < 2) {
            expect("PSS", get(), UNSB_E_TLS, ODD_CHOICE);
            expect_text("not offered");
        } else {
            expect("PSS", get(), UNSB_OK, 0);
            assert_false(port.tls.tls13);
        }
        rig_close(&g);
    }
}

/* ======================================================================
 * >>tls13
 * ====================================================================== */
#if UNSBI_MBEDTLS_TLS13

/* Tickets and nothing else: they are not data, no end, and no reason to be asked again at once. */
static void late_tickets(void **state)
{
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        uint16_t number = server_ports[SERVER_tls13];
        unsb_transport t;
        bool came;
        int rc;
        begin("good.test", number, false);
        g.inside.most = mode == 0 ? 0 : 1;
        t = port_transport(g.config.transport);
        while ((rc = t.vtable->connect(t.context, "good.test", number)) == UNSB_PENDING)
            (void)t.vtable->wait(t.context, UNSB_READABLE, 1000);
        assert_int_equal(rc, UNSB_OK);
        assert_true(port.tls.tls13);
        assert_false(port_has_session());
        EVENTUALLY((rc = t.vtable->recv(t.context, out_memory, sizeof out_memory)) != 0 ||
                       port_has_session(),
                   came);
        assert_int_equal(rc, 0);
        assert_true(came);
        /* the second, too */
        while ((rc = t.vtable->wait(t.context, UNSB_READABLE, 300)) == UNSB_OK)
            assert_int_equal(t.vtable->recv(t.context, out_memory, 1), 0);
        assert_int_equal(rc, UNSB_E_TIMEOUT);
        assert_int_equal(t.vtable->send(t.context, "GET / HTTP/1.1\r\n\r\n", 18), 18);
        EVENTUALLY((rc = t.vtable->recv(t.context, out_memory, 1)) != 0, came);
        assert_int_equal(rc, 1);
        t.vtable->close(t.context);
        assert_true(port_has_session());
        port_wipe();
    }
}

static bool held;
static int hold_error;

static int hold_send(void *context, const void *data, size_t size)
{
    return held ? hold_error : unsbi_posix_send(context, data, size);
}

/* A ticket that comes while a record cannot go out: Mbed TLS sends first, so what is to be waited
 * for is that, though there is something to read. If it cannot be sent, that is said. */
static void tickets_and_a_full_wire(void **state)
{
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        static unsb_transport_class holding;
        static unsb_posix tcp;
        unsb_transport inner = unsb_posix_transport(&tcp), t;
        bool came;
        int rc;
        begin("good.test", server_ports[SERVER_tls13], false);
        holding = *inner.vtable;
        holding.send = hold_send;
        held = false;
        hold_error = 0;
        inner.vtable = &holding;
        t = port_transport(inner);
        while ((rc = t.vtable->connect(t.context, "good.test", server_ports[SERVER_tls13])) ==
               UNSB_PENDING)
            (void)t.vtable->wait(t.context, UNSB_READABLE, 1000);
        assert_int_equal(rc, UNSB_OK);
        assert_int_equal(inner.vtable->wait(inner.context, UNSB_READABLE, PATIENCE_MS), UNSB_OK);
        held = true;
        assert_int_equal(t.vtable->send(t.context, "GET / HTTP/1.1\r\n\r\n", 18), 18);
        hold_error = mode != 0 ? UNSB_E_IO : 0;
        EVENTUALLY((rc = t.vtable->recv(t.context, out_memory, 1)) != 0 ||
                       t.vtable->interest(t.context, UNSB_READABLE) == UNSB_WRITABLE,
                   came);
        assert_true(came);
        if (mode != 0) {
            assert_int_equal(rc, UNSB_E_IO);
            assert_int_equal(t.vtable->recv(t.context, out_memory, 1), UNSB_E_IO);
        } else {
            assert_int_equal(rc, 0);
            held = false;
            EVENTUALLY((rc = t.vtable->recv(t.context, out_memory, 1)) != 0, came);
            assert_int_equal(rc, 1);
            assert_true(port_has_session());
        }
        t.vtable->close(t.context);
        port_wipe();
    }
}

static void ask_openssl(const char *how, const char *const *options, bool nonblocking, int want,
                        int detail)
{
    const char *argv[16] = {"python3",       "-B",           "suites/tls_openssl.py",
                            made("rsa.pem"), made("rsa.key"), how};
    service s;
    size_t n = 6;

    while (*options != NULL && n < COUNT(argv) - 1)
        argv[n++] = *options++;
    argv[n] = NULL;
    service_start_python(&s, argv);
    begin("good.test", s.port, nonblocking);
    begun();
    expect(argv[7], get(), want, detail);
    if (want == UNSB_OK)
        assert_int_equal(port.tls.tls13, strcmp(argv[6], "-tls1_3") == 0);
    rig_close(&g);
    service_stop(&s);
}

/* HelloRetryRequest (the client's share is for another group), the compatibility mode and without,
 * no tickets and many, and messages over several records, those that are encrypted too. */
static void tls13_of_openssl(void **state)
{
    static const char *const options[][5] = {{"-tls1_3", "-groups", "P-384", NULL, NULL},
                                             {"-tls1_3", "-groups", "P-521", "-no_middlebox", NULL},
                                             {"-tls1_3", "-no_middlebox", NULL, NULL, NULL},
                                             {"-tls1_3", "-num_tickets", "0", NULL, NULL},
                                             {"-tls1_3", "-num_tickets", "20", NULL, NULL},
                                             {"-tls1_3", "-max_send_frag", "512", NULL, NULL},
                                             {"-tls1_2", "-max_send_frag", "512", NULL, NULL}};
    unsigned i;

    (void)state;
    for (i = 0; i < COUNT(options) * 2; i++)
        ask_openssl("-", options[i / 2], i % 2 != 0, UNSB_OK, 0);
}

/* Mbed TLS 3.6 knows no KeyUpdate: an error with a name, and no data after it. */
static void changes_of_keys(void **state)
{
    static const char *const options[] = {"-tls1_3", NULL};
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        ask_openssl("update", options, mode != 0, UNSB_E_TLS, MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE);
        assert_string_equal(out_memory, "");
        expect_text("no place");
    }
}

#endif
