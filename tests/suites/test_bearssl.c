/* The BearSSL port: whom it trusts, what it refuses, how it fails, and what it keeps. The resolver
 * is a stub for which every name is this host, so no query ever leaves the process. */
#include "suite.h"

#include <netdb.h>
#include <sys/socket.h>

/* Every name, and every address of the 127.0.0.0/8 block, is 127.0.0.1. */
static int stub_resolve(const char *host, const char *port, const struct addrinfo *hints,
                        struct addrinfo **list)
{
    struct addrinfo numeric = *hints;
    bool is_address = strchr(host, ':') != NULL;

    if ((hints->ai_flags & AI_NUMERICHOST) != 0 && !is_address && strncmp(host, "127.", 4) != 0)
        return EAI_NONAME;
    numeric.ai_flags |= AI_NUMERICHOST;
    return getaddrinfo(is_address ? host : "127.0.0.1", port, &numeric, list);
}

#define UNSB_POSIX_GETADDRINFO stub_resolve
#include "service.h"

/* ======================================================================
 * >>servers  Small ones with one certificate each: they answer one request
 *            for each connection, and the end of it is the body's
 * ====================================================================== */

static const char server_code[] =
    "import os, socket, ssl, sys, threading, time\n"
    "mode, cert, key, host = sys.argv[1:]\n"
    "parent = os.getppid()\n"
    "def watch():\n"
    "    while os.getppid() == parent:\n"
    "        time.sleep(0.2)\n"
    "    os._exit(0)\n"
    "threading.Thread(target=watch, daemon=True).start()\n"
    "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
    "context.set_ciphers({'cbc': 'ECDHE+AES+SHA256:!AESGCM:!AESCCM:@SECLEVEL=0',\n"
    "                     'static': 'kRSA:@SECLEVEL=0'}.get(mode, 'DEFAULT:@SECLEVEL=0'))\n"
    "if mode == 'tls13':\n"
    "    context.minimum_version = ssl.TLSVersion.TLSv1_3\n"
    "else:\n"
    "    context.maximum_version = ssl.TLSVersion.TLSv1_2\n"
    "context.load_cert_chain(cert, key)\n"
    "family = socket.AF_INET6 if ':' in host else socket.AF_INET\n"
    "listener = socket.socket(family, socket.SOCK_STREAM)\n"
    "listener.bind((host, 0))\n"
    "listener.listen(16)\n"
    "print('tls_server: listening on port:%d' % listener.getsockname()[1], flush=True)\n"
    "while True:\n"
    "    sock = listener.accept()[0]\n"
    "    try:\n"
    "        sock.settimeout(60)\n"
    "        sock = context.wrap_socket(sock, server_side=True)\n"
    "        text = b''\n"
    "        while not text.endswith(b'\\r\\n\\r\\n'):\n"
    "            text += sock.recv(1)\n"
    "        sock.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n{\"languages\": [\"python\"]}')\n"
    "        if mode == 'cut':\n"
    "            socket.socket.shutdown(sock, socket.SHUT_WR)\n"
    "            while socket.socket.recv(sock, 4096):\n"
    "                pass\n"
    "        else:\n"
    "            sock.unwrap()\n"
    "    except (OSError, ValueError):\n"
    "        pass\n"
    "    finally:\n"
    "        sock.close()\n";

static service secure; /* sandboxd */

static void server_start(service *s, const char *mode, const char *certificate, const char *host)
{
    const char *script = scratch("tls_server.py");
    char cert[600], key[600];
    const char *argv[] = {"python3", "-B", script, mode, cert, key, host, NULL};

    if (access(script, R_OK) != 0)
        write_file(script, server_code, sizeof server_code - 1);
    (void)snprintf(cert, sizeof cert, "%s/%s.pem", scratch("own"), certificate);
    (void)snprintf(key, sizeof key, "%s/%s.key", scratch("own"), certificate);
    service_start_python(s, argv);
}

/* ======================================================================
 * >>helpers
 * ====================================================================== */

static rig g;
static unsb_result result;
static char out_memory[70000];
static unsb_bearssl_trust own_trust;
static uint32_t unix_time;
static unsigned entropy_calls;
static int entropy_result;

static uint32_t set_time(void *context)
{
    (void)context;
    return unix_time;
}

static int set_entropy(void *context, void *bytes, size_t size)
{
    (void)context;
    assert_int_equal(size, 32);
    memset(bytes, 0x42, size);
    entropy_calls++;
    return entropy_result;
}

/* A client that trusts the authority of this suite's own certificates. */
static void begin(const char *host, uint16_t port, bool nonblocking)
{
    rig_close(&g);
    rig_prepare(&g, true, nonblocking, port);
    g.config.host = host;
    g.secure.anchors = own_trust.anchors;
    g.secure.anchor_count = own_trust.count;
}

/* One that trusts the authority of the local service. */
static void begin_local(uint16_t port, bool nonblocking)
{
    begin("localhost", port, nonblocking);
    g.secure.anchors = rig_load_trust()->anchors;
    g.secure.anchor_count = rig_load_trust()->count;
}

static void begun(void)
{
    rig_open(&g);
    memset(&result, 0, sizeof result);
    result.out = unsb_into(out_memory, sizeof out_memory);
}

static int get(void)
{
    return rig_end(&g, unsb_languages(&g.client, &result));
}

static void expect(int rc, int want, int error)
{
    if (rc != want || g.tls.error != error)
        fail_msg("%s: %d (%s), BearSSL %d, errno %d instead of %d, BearSSL %d", g.config.host, rc,
                 unsb_error_text(rc), g.tls.error, g.tcp.error, want, error);
}

/* One request to a host of this name, in both modes. */
static void expect_host(const char *host, const service *s, int want, int error)
{
    unsigned mode;

    for (mode = 0; mode < 2; mode++) {
        begin(host, s->port, mode != 0);
        begun();
        expect(get(), want, error);
        if (want != UNSB_OK)
            assert_int_equal(unsb_posix_fd(&g.tcp), -1);
    }
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&g);
    unsb_bearssl_wipe(&g.tls);
    peers_stop();
    return 0;
}

/* ======================================================================
 * >>trust
 * ====================================================================== */

static void host_names(void **state)
{
    service s = {0, 0};

    (void)state;
    server_start(&s, "notify", "names", "127.0.0.1");
    expect_host("exact.test", &s, UNSB_OK, 0);
    expect_host("EXACT.Test", &s, UNSB_OK, 0);
    expect_host("exact.test.", &s, UNSB_OK, 0);
    expect_host("a.wild.test", &s, UNSB_OK, 0);
    expect_host("wild.test", &s, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    expect_host("a.b.wild.test", &s, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    expect_host("xact.test", &s, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    expect_host("exact.test.evil.test", &s, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    expect_host("names", &s, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    expect_host("127.0.0.1", &s, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    service_stop(&s);
}

/* Where there is no subjectAltName at all, the common name counts, for names. */
static void common_names(void **state)
{
    service s = {0, 0};

    (void)state;
    server_start(&s, "notify", "common", "127.0.0.1");
    expect_host("common", &s, UNSB_OK, 0);
    expect_host("uncommon", &s, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    expect_host("127.0.0.1", &s, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    service_stop(&s);
}

static void addresses(void **state)
{
    static const char *const neither[] = {"127.1",      "1.2.3", "300.1.1.1", "1.2.3.4.5", "a..",
                                          "127.0.0.01", ":1",    "1::2::3",   "fe80::g"};
    service s = {0, 0}, fake = {0, 0};
    size_t i;

    (void)state;
    server_start(&s, "notify", "addresses", "127.0.0.1");
    server_start(&fake, "notify", "fake", "127.0.0.1");
    expect_host("127.0.0.1", &s, UNSB_OK, 0);
    expect_host("named.test", &s, UNSB_OK, 0);
    expect_host("127.0.0.2", &s, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    /* an address among the names is no address */
    expect_host("127.0.0.1", &fake, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    for (i = 0; i < COUNT(neither); i++) {
        expect_host(neither[i], &s, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
        assert_int_equal(g.inside.attempts, 0); /* that is clear without a connection */
    }
    service_stop(&s);
    service_stop(&fake);
}

static void ipv6_addresses(void **state)
{
    service s = {0, 0};
    struct sockaddr_in6 loopback;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool usable;

    (void)state;
    memset(&loopback, 0, sizeof loopback);
    loopback.sin6_family = AF_INET6;
    loopback.sin6_addr = in6addr_loopback;
    usable = fd >= 0 && bind(fd, (struct sockaddr *)(void *)&loopback, sizeof loopback) == 0;
    if (fd >= 0)
        (void)close(fd);
    if (!usable) {
        print_message("# skipped: there is no ::1\n");
        skip();
    }
    server_start(&s, "notify", "addresses", "::1");
    expect_host("::1", &s, UNSB_OK, 0);
    expect_host("0:0:0:0:0:0:0:1", &s, UNSB_OK, 0);
    service_stop(&s);
    server_start(&s, "notify", "names", "::1");
    expect_host("::1", &s, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    service_stop(&s);
}

static void authorities(void **state)
{
    unsb_bearssl_trust other, self;
    service s = {0, 0};
    char path[600];
    unsigned round;

    (void)state;
    memset(&other, 0, sizeof other);
    memset(&self, 0, sizeof self);
    (void)snprintf(path, sizeof path, "%s/ca.pem", scratch("other"));
    assert_int_equal(unsb_bearssl_load_pem(&other, path), UNSB_OK);
    (void)snprintf(path, sizeof path, "%s/self.pem", scratch("own"));
    assert_int_equal(unsb_bearssl_load_pem(&self, path), UNSB_OK);
    server_start(&s, "notify", "names", "127.0.0.1");
    begin("exact.test", s.port, false);
    g.secure.anchors = other.anchors;
    begun();
    expect(get(), UNSB_E_CERTIFICATE, BR_ERR_X509_NOT_TRUSTED);
    service_stop(&s);

    server_start(&s, "notify", "self", "127.0.0.1");
    expect_host("self.test", &s, UNSB_E_CERTIFICATE, BR_ERR_X509_NOT_TRUSTED);
    for (round = 0; round < 2; round++) {
        begin(round == 0 ? "self.test" : "exact.test", s.port, true);
        g.secure.anchors = self.anchors;
        g.secure.anchor_count = self.count;
        begun();
        /* trusted for that very key and for its name only */
        if (round == 0)
            expect(get(), UNSB_OK, 0);
        else
            expect(get(), UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
        rig_close(&g);
    }
    service_stop(&s);
    unsb_bearssl_free_trust(&other);
    unsb_bearssl_free_trust(&self);
}

static void dates(void **state)
{
    static const int32_t days[] = {0, 40, -40, 20000, 1};
    uint32_t today = unsb_posix_unix_time(NULL);
    service s = {0, 0};
    size_t i;

    (void)state;
    server_start(&s, "notify", "names", "127.0.0.1");
    for (i = 0; i < COUNT(days); i++) {
        bool valid = days[i] == 0 || days[i] == 1;
        unix_time = today + (uint32_t)(days[i] * 86400);
        begin("exact.test", s.port, i % 2 != 0);
        g.secure.unix_time = set_time;
        begun();
        expect(get(), valid ? UNSB_OK : UNSB_E_CERTIFICATE, valid ? 0 : BR_ERR_X509_EXPIRED);
    }
    unix_time = 0; /* a clock that was never set */
    begin("exact.test", s.port, false);
    g.secure.unix_time = set_time;
    begun();
    expect(get(), UNSB_E_CERTIFICATE, BR_ERR_X509_EXPIRED);
    service_stop(&s);
}

/* ======================================================================
 * >>configuration
 * ====================================================================== */

static void no_anchors(void **state)
{
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 4; mode++) {
        begin("localhost", secure.port, mode % 2 != 0);
        if (mode < 2)
            g.secure.anchor_count = 0;
        begun();
        g.tls.config.anchors = mode < 2 ? g.tls.config.anchors : NULL;
        expect(get(), UNSB_E_TRUST, 0);
        assert_int_equal(g.inside.attempts, 0);
    }
}

static void entropy(void **state)
{
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        begin_local(secure.port, mode != 0);
        g.secure.entropy = set_entropy;
        entropy_calls = 0;
        entropy_result = UNSB_E_USER;
        begun();
        expect(get(), UNSB_E_ENTROPY, BR_ERR_NO_RANDOM);
        assert_int_equal(entropy_calls, 1);
        entropy_result = UNSB_OK;
        expect(get(), UNSB_OK, 0);
        assert_int_equal(entropy_calls, 2);
    }
}

static void wrong_configurations(void **state)
{
    unsigned which;

    (void)state;
    for (which = 0; which < 3; which++) {
        begin("localhost", secure.port, false);
        if (which == 0)
            g.secure.buffer_size = UNSB_BEARSSL_BUFFER_MIN - 1;
        if (which == 1)
            g.secure.buffer = NULL;
        begun();
        if (which == 2)
            g.tls.config.inner.vtable = NULL;
        expect(get(), UNSB_E_BEARSSL_CONFIG, BR_ERR_BAD_PARAM);
        assert_int_equal(g.inside.attempts, 0);
        if (which == 2)
            g.tls.config.inner = g.secure.inner;
    }
}

/* Without a wait below there is none above, so that a blocking client is refused. */
static void no_wait(void **state)
{
    static unsb_transport_class without;
    unsb_bearssl_config config;
    unsb_bearssl tls;
    unsb_posix tcp;

    (void)state;
    memset(&config, 0, sizeof config);
    config.inner = unsb_posix_transport(&tcp);
    assert_non_null(unsb_bearssl_transport(&tls, &config).vtable->wait);
    without = *config.inner.vtable;
    without.wait = NULL;
    config.inner.vtable = &without;
    assert_null(unsb_bearssl_transport(&tls, &config).vtable->wait);
}

/* Larger than most record buffers, in both directions. */
static void record_buffers(void **state)
{
    static const size_t sizes[] = {
        UNSB_BEARSSL_BUFFER_MIN, 1349, 2373, 4421, BR_SSL_BUFSIZE_MONO, BR_SSL_BUFSIZE_BIDI - 1,
        BR_SSL_BUFSIZE_BIDI};
    static char code[40000];
    unsb_program program;
    size_t i;

    (void)state;
    memset(&program, 0, sizeof program);
    memset(code, '#', sizeof code - 1);
    memcpy(code, "print('0123456789' * 5000)\n", 27);
    program.language = "python";
    program.code = unsb_text(code);
    for (i = 0; i < COUNT(sizes) * 2; i++) {
        begin_local(secure.port, i % 2 != 0);
        g.secure.buffer_size = sizes[i / 2];
        begun();
        expect(rig_end(&g, unsb_execute(&g.client, &program, &result)), UNSB_OK, 0);
        assert_int_equal(result.out.size, 50001);
        assert_int_equal(strspn(out_memory, "0123456789"), 50000);
        rig_close(&g);
    }
}

/* ======================================================================
 * >>servers that cannot or must not be reached
 * ====================================================================== */

static void protocols(void **state)
{
    static const struct {
        const char *mode, *certificate;
        int want, error;
    } servers[] = {{"notify", "rsa", UNSB_OK, 0},
                   {"notify", "weak", UNSB_E_CERTIFICATE, BR_ERR_X509_WEAK_PUBLIC_KEY},
                   {"tls13", "names", UNSB_E_TLS, BR_ERR_RECV_FATAL_ALERT + 70},
                   {"cbc", "names", UNSB_E_TLS, BR_ERR_RECV_FATAL_ALERT + 40},
                   {"static", "rsa", UNSB_E_TLS, BR_ERR_RECV_FATAL_ALERT + 40}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(servers); i++) {
        service s = {0, 0};
        server_start(&s, servers[i].mode, servers[i].certificate, "127.0.0.1");
        expect_host("exact.test", &s, servers[i].want, servers[i].error);
        service_stop(&s);
    }
}

static void serve_plain_text(peer *p, int fd)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

    (void)peer_send(p, fd, text, sizeof text - 1);
    peer_drain(p, fd);
}

static void serve_zeros(peer *p, int fd)
{
    static const char zeros[20000];

    (void)peer_send(p, fd, zeros, sizeof zeros);
    peer_drain(p, fd);
}

static void serve_end(peer *p, int fd)
{
    (void)shutdown(fd, SHUT_WR);
    peer_drain(p, fd);
}

static void serve_reset(peer *p, int fd)
{
    char byte;

    (void)peer_recv(p, fd, &byte, 1);
    reset_on_close(fd);
}

static void other_servers(void **state)
{
    static const struct {
        void (*serve)(peer *p, int fd);
        int want;
    } others[] = {{serve_plain_text, UNSB_E_TLS},
                  {serve_zeros, UNSB_E_TLS},
                  {serve_end, UNSB_E_IO},
                  {serve_reset, UNSB_E_IO}};
    unsigned i;

    (void)state;
    for (i = 0; i < 2 * COUNT(others); i++) {
        static peer p;
        int rc;
        peer_start(&p, others[i / 2].serve, NULL);
        begin("exact.test", p.port, i % 2 != 0);
        begun();
        rc = get();
        if (rc != others[i / 2].want)
            fail_msg("%u: %d (%s), BearSSL %d", i, rc, unsb_error_text(rc), g.tls.error);
        assert_true(rc != UNSB_E_TLS || g.tls.error != 0);
        assert_int_equal(result.http_status, 0);
        assert_int_equal(unsb_posix_fd(&g.tcp), -1);
        peer_stop(&p);
    }
}

static void serve_silence(peer *p, int fd)
{
    peer_drain(p, fd);
}

/* Silence from the start, and at several places of the handshake. */
static void stalled_handshakes(void **state)
{
    unsigned i;
    static proxy x;
    static peer p;

    (void)state;
    peer_start(&p, serve_silence, NULL);
    proxy_start(&x, secure.port);
    for (i = 0; i < 8; i++) {
        if (i >= 2) {
            x.cuts = 1;
            x.stall = true;
            x.down = i * 40;
        }
        begin_local(i < 2 ? p.port : x.peer.port, i % 2 != 0);
        g.config.connect_timeout_ms = 100 * RIG_SPEED;
        begun();
        expect(get(), UNSB_E_TIMEOUT, 0);
        assert_int_equal(unsb_posix_fd(&g.tcp), -1);
        peer_settle(&x.peer);
    }
    proxy_stop(&x);
    peer_stop(&p);
}

/* ======================================================================
 * >>ends
 * ====================================================================== */

/* The body has no length: its end is that of the stream. Anyone on the way can end the TCP stream,
 * but only the server the TLS one. */
static void ends_of_the_stream(void **state)
{
    service s = {0, 0};
    unsb_call call;
    unsigned mode;

    (void)state;
    memset(&call, 0, sizeof call);
    call.method = "GET";
    call.path = "/";
    server_start(&s, "notify", "names", "127.0.0.1");
    expect_host("exact.test", &s, UNSB_OK, 0);
    service_stop(&s);
    server_start(&s, "cut", "names", "127.0.0.1");
    expect_host("exact.test", &s, UNSB_E_IO, BR_ERR_IO);
    for (mode = 0; mode < 2; mode++) {
        begin("exact.test", s.port, mode != 0);
        begun();
        expect(rig_end(&g, unsb_request(&g.client, &call, &result)), UNSB_E_IO, BR_ERR_IO);
        assert_string_equal(out_memory, "{\"languages\": [\"python\"]}");
    }
    service_stop(&s);
}

/* A byte is damaged on the way: every 13th one in turn, from the handshake to the end of the
 * response. A few, as the version in a record's head, mean nothing; none may change the answer. */
static void damaged_streams(void **state)
{
    unsb_program program;
    unsigned ok = 0, count = 0;
    size_t end;
    static proxy x;

    (void)state;
    memset(&program, 0, sizeof program);
    program.language = "sh";
    program.code = unsb_text("echo unharmed");
    proxy_start(&x, secure.port);
    begin_local(x.peer.port, false);
    begun();
    expect(rig_end(&g, unsb_execute(&g.client, &program, &result)), UNSB_OK, 0);
    rig_close(&g);
    peer_settle(&x.peer);
    end = x.seen_down;
    assert_true(end > 800);
    for (x.flip = 0; x.flip < end; x.flip += 13) {
        int rc;
        begin_local(x.peer.port, count % 2 != 0);
        g.config.connect_timeout_ms = g.config.idle_timeout_ms = 200 * RIG_SPEED;
        begun();
        program.ttl_s = 1;
        rc = rig_end(&g, unsb_execute(&g.client, &program, &result));
        if (rc == UNSB_OK) {
            assert_string_equal(out_memory, "unharmed\n");
            ok++;
        } else if (rc != UNSB_E_TLS && rc != UNSB_E_CERTIFICATE && rc != UNSB_E_TIMEOUT &&
                   rc != UNSB_E_IO) {
            fail_msg("byte %zu: %d (%s)", x.flip, rc, unsb_error_text(rc));
        }
        assert_true(rc == UNSB_OK || out_memory[0] == '\0' || x.flip > end / 2);
        count++;
        rig_close(&g);
        peer_settle(&x.peer);
    }
    figures("%u damaged TLS streams, %u of them without effect", count, ok);
    assert_true(ok < count / 8);
    proxy_stop(&x);
}

static bool is_zero(const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    size_t i;

    for (i = 0; i < size && p[i] == 0; i++)
        continue;
    return i == size;
}

static void nothing_is_left(void **state)
{
    (void)state;
    begin_local(secure.port, false);
    begun();
    expect(get(), UNSB_OK, 0);
    assert_false(is_zero(g.records, sizeof g.records));
    rig_close(&g);
    assert_true(is_zero(g.records, sizeof g.records));
    assert_true(is_zero(&g.tls.ssl, sizeof g.tls.ssl));
    assert_true(is_zero(g.buffer, sizeof g.buffer));
    assert_false(is_zero(&g.tls.session, sizeof g.tls.session));
    unsb_bearssl_wipe(&g.tls);
    assert_true(is_zero(&g.tls.session, sizeof g.tls.session));
    unsb_bearssl_wipe(&g.tls);
}

/* ======================================================================
 * >>sessions
 * ====================================================================== */

/* Opens another client over the same TLS transport, which keeps the session. */
static void again(uint16_t port, const char *host)
{
    if (g.open)
        unsb_close(&g.client);
    g.config.port = port;
    g.config.host = host;
    assert_int_equal(unsb_init(&g.client, &g.config), UNSB_OK);
    g.open = true;
    expect(get(), UNSB_OK, 0);
}

static void resumption(void **state)
{
    service other = {0, 0};
    unsigned mode, round;

    (void)state;
    service_start(&other, 1, NULL);
    for (mode = 0; mode < 2; mode++) {
        begin_local(secure.port, mode != 0);
        g.config.no_keep_alive = true;
        begun();
        for (round = 0; round < 4; round++) {
            expect(get(), UNSB_OK, 0);
            assert_int_equal(g.tls.resumed, round != 0);
        }
        assert_int_equal(g.outside.connects, 4);
        again(secure.port, "localhost");
        assert_true(g.tls.resumed);
        /* what was agreed on with another port or by another name is not offered */
        again(other.port, "localhost");
        assert_false(g.tls.resumed);
        again(other.port, "localhost");
        assert_true(g.tls.resumed);
        again(other.port, "127.0.0.1");
        assert_false(g.tls.resumed);
        unsb_bearssl_wipe(&g.tls);
        again(other.port, "127.0.0.1");
        assert_false(g.tls.resumed);
        again(other.port, "127.0.0.1");
        assert_true(g.tls.resumed);
        rig_close(&g);
    }
    begin_local(secure.port, false);
    g.secure.no_resumption = true;
    begun();
    again(secure.port, "localhost");
    again(secure.port, "localhost");
    assert_false(g.tls.resumed);
    rig_close(&g);
    service_stop(&other);
}

/* A session that is older than a day, and one that the server does not know (it was started anew).
 */
static void sessions_that_do_not_hold(void **state)
{
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        uint32_t today = unsb_posix_unix_time(NULL);
        service first = {0, 0}, second = {0, 0};
        static proxy x;
        service_start(&first, 1, NULL);
        service_start(&second, 1, NULL);
        proxy_start(&x, first.port);
        begin_local(x.peer.port, mode != 0);
        g.secure.unix_time = set_time;
        unix_time = today;
        begun();
        again(x.peer.port, "localhost");
        again(x.peer.port, "localhost");
        assert_true(g.tls.resumed);
        unsb_close(&g.client);
        g.open = false;
        peer_settle(&x.peer);
        x.target = second.port;
        again(x.peer.port, "localhost");
        assert_false(g.tls.resumed);
        again(x.peer.port, "localhost");
        assert_true(g.tls.resumed);
        unix_time = today + 86400 + 1;
        again(x.peer.port, "localhost");
        assert_false(g.tls.resumed);
        rig_close(&g);
        proxy_stop(&x);
        service_stop(&first);
        service_stop(&second);
    }
}

/* ======================================================================
 * >>pem
 * ====================================================================== */

static void pem_files(void **state)
{
    unsb_bearssl_trust trust;
    char *ca = read_text(pki("ca.pem")), *key = read_text(pki("localhost.key"));
    char path[600], *text = (char *)malloc(3 * (strlen(ca) + strlen(key)) + 200);

    (void)state;
    if (text == NULL)
        fail_msg("out of memory");
    memset(&trust, 0, sizeof trust);
    assert_int_equal(unsb_bearssl_load_pem(&trust, scratch("missing")), UNSB_E_TRUST);
    assert_int_equal(trust.error, ENOENT);
    assert_int_equal(trust.count, 0);
    (void)setenv("SSL_CERT_FILE", scratch("missing"), 1);
    assert_int_equal(unsb_bearssl_load_pem(&trust, NULL), UNSB_E_TRUST);
    assert_int_equal(trust.error, ENOENT);
    assert_int_equal(unsb_bearssl_load_pem(&trust, scratch(".")), UNSB_E_TRUST);
    assert_int_equal(trust.error, EISDIR);
    write_file(scratch("empty"), "", 0);
    assert_int_equal(unsb_bearssl_load_pem(&trust, scratch("empty")), UNSB_E_TRUST);
    assert_int_equal(trust.error, 0);
    assert_int_equal(unsb_bearssl_add_pem(&trust, "", 0), UNSB_E_TRUST);
    assert_int_equal(unsb_bearssl_add_pem(&trust, "\0\xff garbage\n", 11), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 0);
    assert_int_equal(unsb_bearssl_add_pem(&trust, key, strlen(key)), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 1);
    /* cut in the middle; and with a character that base64 does not have */
    assert_int_equal(unsb_bearssl_add_pem(&trust, ca, strlen(ca) / 2), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 2);
    (void)strcpy(text, ca);
    text[strlen(ca) / 2] = '!';
    assert_int_equal(unsb_bearssl_add_pem(&trust, text, strlen(text)), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 3);
    (void)strcpy(text, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_int_equal(unsb_bearssl_add_pem(&trust, text, strlen(text)), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 4);
    assert_int_equal(trust.count, 0);

    /* text around it, a key among them, and no last line end; what was added before stays */
    (void)sprintf(text, "# a bundle\n%s\n%s%s", key, ca, ca);
    text[strlen(text) - 1] = '\0';
    assert_int_equal(unsb_bearssl_add_pem(&trust, text, strlen(text)), UNSB_OK);
    assert_int_equal(trust.count, 2);
    assert_int_equal(trust.skipped, 5);
    (void)snprintf(path, sizeof path, "%s", pki("ca.pem"));
    (void)setenv("SSL_CERT_FILE", path, 1);
    assert_int_equal(unsb_bearssl_load_pem(&trust, NULL), UNSB_OK);
    assert_int_equal(trust.count, 3);
    assert_int_equal(unsb_bearssl_load_pem(&trust, scratch("missing")), UNSB_E_TRUST);
    assert_int_equal(trust.count, 3);
    (void)unsetenv("SSL_CERT_FILE");
    unsb_bearssl_free_trust(&trust);
    assert_true(is_zero(&trust, sizeof trust));
    unsb_bearssl_free_trust(&trust);
    free(ca);
    free(key);
    free(text);
}

/* RFC 7468 section 3: lines end in CR LF as well as in LF. */
static void pem_line_ends(void **state)
{
    unsb_bearssl_trust trust;
    char *ca = read_text(pki("ca.pem")), *text = (char *)malloc(2 * strlen(ca) + 1);
    size_t size = 0, i;
    int rc;

    (void)state;
    if (text == NULL)
        fail_msg("out of memory");
    memset(&trust, 0, sizeof trust);
    for (i = 0; ca[i] != '\0'; i++) {
        if (ca[i] == '\n')
            text[size++] = '\r';
        text[size++] = ca[i];
    }
    rc = unsb_bearssl_add_pem(&trust, text, size);
    unsb_bearssl_free_trust(&trust);
    free(ca);
    free(text);
    assert_int_equal(rc, UNSB_OK);
}

static void many_anchors(void **state)
{
    unsb_bearssl_trust trust;
    char *ca = read_text(pki("ca.pem"));
    size_t i;

    (void)state;
    memset(&trust, 0, sizeof trust);
    for (i = 0; i < 41; i++)
        assert_int_equal(unsb_bearssl_add_pem(&trust, ca, strlen(ca)), UNSB_OK);
    assert_int_equal(trust.count, 41);
    assert_int_equal(trust.skipped, 0);
    for (i = 0; i < 41; i++) {
        assert_int_equal(trust.anchors[i].flags, BR_X509_TA_CA);
        assert_int_equal(trust.anchors[i].dn.len, trust.anchors[0].dn.len);
        assert_memory_equal(trust.anchors[i].dn.data, trust.anchors[0].dn.data,
                            trust.anchors[0].dn.len);
        assert_int_equal(trust.anchors[i].pkey.key_type, BR_KEYTYPE_EC);
        assert_int_equal(trust.anchors[i].pkey.key.ec.curve, BR_EC_secp256r1);
        assert_memory_equal(trust.anchors[i].pkey.key.ec.q, trust.anchors[0].pkey.key.ec.q,
                            trust.anchors[0].pkey.key.ec.qlen);
    }
    /* anchors from memory serve as well as those from a file */
    begin("localhost", secure.port, false);
    g.secure.anchors = trust.anchors;
    g.secure.anchor_count = trust.count;
    begun();
    expect(get(), UNSB_OK, 0);
    rig_close(&g);
    unsb_bearssl_free_trust(&trust);
    free(ca);
}

static void system_bundle(void **state)
{
    unsb_bearssl_trust trust;

    (void)state;
    memset(&trust, 0, sizeof trust);
    (void)unsetenv("SSL_CERT_FILE");
    if (unsb_bearssl_load_pem(&trust, NULL) != UNSB_OK && trust.error == ENOENT) {
        print_message("# skipped: this system has no bundle of certificates\n");
        skip();
    }
    assert_int_equal(trust.error, 0);
    assert_true(trust.count >= 20);
    figures("the system's bundle has %u anchors, and %u that cannot be used", (unsigned)trust.count,
            (unsigned)trust.skipped);
    /* none of them has signed the local service's certificate */
    begin("localhost", secure.port, false);
    g.secure.anchors = trust.anchors;
    g.secure.anchor_count = trust.count;
    begun();
    expect(get(), UNSB_E_CERTIFICATE, BR_ERR_X509_NOT_TRUSTED);
    rig_close(&g);
    unsb_bearssl_free_trust(&trust);
}

/* ======================================================================
 * >>main
 * ====================================================================== */

static const char make_certificates[] =
    "make_ca \"$1\" && make_ca \"$2\" &&"
    "make_cert \"$1\" names 'DNS:exact.test,DNS:*.wild.test' &&"
    "make_cert \"$1\" addresses 'DNS:named.test,IP:127.0.0.1,IP:::1,IP:192.0.2.7' &&"
    "make_cert \"$1\" fake 'DNS:127.0.0.1' && cd \"$1\" &&"
    "openssl x509 -req -in names.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2"
    " -set_serial 7 -subj /CN=common -out common.pem && cp names.key common.key &&"
    "for bits in 1024 2048; do openssl req -newkey rsa:$bits -nodes -subj /CN=rsa -keyout $bits.key"
    " -out $bits.csr && openssl x509 -req -in $bits.csr -CA ca.pem -CAkey ca.key -set_serial $bits"
    " -days 2 -extfile names.ext -out $bits.pem || exit 1; done &&"
    "mv 1024.pem weak.pem && mv 1024.key weak.key && mv 2048.pem rsa.pem && mv 2048.key rsa.key &&"
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=self"
    " -addext subjectAltName=DNS:self.test -addext basicConstraints=critical,CA:FALSE"
    " -keyout self.key -out self.pem";

static int start(void **state)
{
    char path[600];

    (void)state;
    shell(make_certificates, scratch("own"), scratch("other"));
    (void)snprintf(path, sizeof path, "%s/ca.pem", scratch("own"));
    assert_int_equal(unsb_bearssl_load_pem(&own_trust, path), UNSB_OK);
    service_start(&secure, 1, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    service_stop(&secure);
    unsb_bearssl_free_trust(&own_trust);
    return 0;
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(host_names),
                                       TEST(common_names),
                                       TEST(addresses),
                                       TEST(ipv6_addresses),
                                       TEST(authorities),
                                       TEST(dates),
                                       TEST(no_anchors),
                                       TEST(entropy),
                                       TEST(wrong_configurations),
                                       TEST(no_wait),
                                       TEST(record_buffers),
                                       TEST(protocols),
                                       TEST(other_servers),
                                       TEST(stalled_handshakes),
                                       TEST(ends_of_the_stream),
                                       TEST(damaged_streams),
                                       TEST(nothing_is_left),
                                       TEST(resumption),
                                       TEST(sessions_that_do_not_hold),
                                       TEST(pem_files),
                                       TEST(pem_line_ends),
                                       TEST(many_anchors),
                                       TEST(system_bundle)};

    return cmocka_run_group_tests_name("bearssl", tests, start, stop);
}
