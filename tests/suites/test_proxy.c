/* The transport through an HTTP proxy, against scripted ones: what is asked, every answer, whole and
 * in single bytes, and the environment. */
#include "suite.h"
#include "unsandbox_proxy.h"

/* ======================================================================
 * >>line  A proxy that says what it is told, and keeps what it is sent
 * ====================================================================== */

static struct {
    /* set before */
    const char *answer;
    size_t answer_size;
    size_t piece;      /* bytes that a call moves; 0: all */
    bool stutter;      /* every other call moves nothing */
    int connects;      /* what connect returns, after one UNSB_PENDING */
    int sends;         /* an error of send; 0: none */
    int ends;          /* what recv returns after the answer: 0: nothing comes */
    bool endless;      /* the answer is said again and again from `again` on */
    size_t again;
    /* seen */
    char host[300], sent[4000];
    uint16_t port;
    size_t sent_size, at, given;
    unsigned dials, closed, dropped, turn, waits;
    int waited;
} line;

static int line_connect(void *context, const char *host, uint16_t port)
{
    (void)context;
    (void)snprintf(line.host, sizeof line.host, "%s", host);
    line.port = port;
    return line.dials++ == 0 ? UNSB_PENDING : line.connects;
}

static size_t line_most(size_t size)
{
    if (line.stutter && line.turn++ % 2 == 0)
        return 0;
    return line.piece != 0 && line.piece < size ? line.piece : size;
}

static int line_send(void *context, const void *data, size_t size)
{
    (void)context;
    if (line.sends != 0)
        return line.sends;
    size = line_most(size);
    assert_true(size < sizeof line.sent - line.sent_size);
    memcpy(line.sent + line.sent_size, data, size);
    line.sent_size += size;
    line.sent[line.sent_size] = '\0';
    return (int)size;
}

static int line_recv(void *context, void *data, size_t size)
{
    size_t most = line_most(size);

    (void)context;
    if (line.at == line.answer_size && line.endless)
        line.at = line.again;
    if (line.at == line.answer_size)
        return line.ends;
    size = line.answer_size - line.at < most ? line.answer_size - line.at : most;
    memcpy(data, line.answer + line.at, size);
    line.at += size;
    line.given += size;
    return (int)size;
}

static void line_close(void *context)
{
    (void)context;
    line.closed++;
}

static int line_wait(void *context, int interest, uint32_t timeout_ms)
{
    (void)context;
    (void)timeout_ms;
    line.waits++;
    line.waited = interest;
    return UNSB_OK;
}

static int line_interest(void *context, int interest)
{
    (void)context;
    return interest;
}

static void line_drop(void *context)
{
    (void)context;
    line.dropped++;
}

static const unsb_transport_class line_class = {line_connect, line_send,     line_recv, line_close,
                                                line_wait,    line_interest, line_drop};

static unsb_proxy proxy;
static unsb_proxy_settings settings;
static unsb_transport wire;

static void begin(const char *url, const char *answer)
{
    unsb_transport inner;

    memset(&line, 0, sizeof line);
    line.answer = answer;
    line.answer_size = strlen(answer);
    assert_int_equal(unsb_proxy_url(&settings, url), UNSB_OK);
    inner.vtable = &line_class;
    inner.context = NULL;
    wire = unsb_proxy_transport(&proxy, inner, &settings);
}

static int dial_to(const char *host, uint16_t port)
{
    unsigned turns;
    int rc = UNSB_PENDING;

    for (turns = 0; turns < 200000 && rc == UNSB_PENDING; turns++)
        rc = wire.vtable->connect(wire.context, host, port);
    return rc;
}

static int dial(void)
{
    return dial_to("api.test", 443);
}

#define OK_HEAD "HTTP/1.1 200 Connection established\r\n"

/* ======================================================================
 * >>request
 * ====================================================================== */

static void request(void **state)
{
    static const struct {
        const char *url, *host;
        uint16_t port;
        const char *proxy_host;
        uint16_t proxy_port;
        const char *text;
    } list[] = {
        {"http://proxy.test:3128", "api.test", 443, "proxy.test", 3128,
         "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n"},
        {"proxy.test", "api.test", 8443, "proxy.test", 1080,
         "CONNECT api.test:8443 HTTP/1.1\r\nHost: api.test:8443\r\n\r\n"},
        {"HTTP://[::1]:8080/", "2001:db8::7", 65535, "::1", 8080,
         "CONNECT [2001:db8::7]:65535 HTTP/1.1\r\nHost: [2001:db8::7]:65535\r\n\r\n"},
        {"http://127.0.0.1:1", "fe80::1%eth0", 1, "127.0.0.1", 1,
         "CONNECT [fe80::1]:1 HTTP/1.1\r\nHost: [fe80::1]:1\r\n\r\n"},
        {"http://Aladdin:open%20sesame@proxy.test:1", "a", 2, "proxy.test", 1, /* RFC 7617 */
         "CONNECT a:2 HTTP/1.1\r\nHost: a:2\r\n"
         "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"},
        {"u@p:1", "a", 2, "p", 1,
         "CONNECT a:2 HTTP/1.1\r\nHost: a:2\r\nProxy-Authorization: Basic dTo=\r\n\r\n"},
        {"u:a@b%3A/@p:1", NULL, 0, NULL, 0, NULL},
        {"u:%40:%c3%bc@p:1", "a", 2, "p", 1,
         "CONNECT a:2 HTTP/1.1\r\nHost: a:2\r\nProxy-Authorization: Basic dTpAOsO8\r\n\r\n"}};
    static const size_t pieces[] = {0, 1, 7};
    size_t i, way;

    (void)state;
    for (i = 0; i < COUNT(list); i++) {
        if (list[i].host == NULL) {
            assert_int_equal(unsb_proxy_url(&settings, list[i].url), UNSB_E_PROXY_CONFIG);
            continue;
        }
        for (way = 0; way < COUNT(pieces) * 2; way++) {
            begin(list[i].url, OK_HEAD "\r\n");
            line.piece = pieces[way / 2];
            line.stutter = way % 2 != 0;
            assert_int_equal(dial_to(list[i].host, list[i].port), UNSB_OK);
            assert_string_equal(line.host, list[i].proxy_host);
            assert_int_equal(line.port, list[i].proxy_port);
            assert_string_equal(line.sent, list[i].text);
            assert_int_equal(proxy.status, 200);
            /* nothing of it stays */
            assert_int_equal(proxy.begin, proxy.end);
            for (line.at = 0; line.at < sizeof proxy.buffer; line.at++)
                assert_int_equal(proxy.buffer[line.at], 0);
            wire.vtable->close(wire.context);
            assert_int_equal(line.closed, 1);
        }
    }
}

static void long_ones(void **state)
{
    char host[300];

    (void)state;
    memset(host, 'h', sizeof host);
    host[255] = '\0';
    begin("p", OK_HEAD "\r\n");
    memset(settings.user, 'u', sizeof settings.user - 1);
    memset(settings.password, 'p', sizeof settings.password - 1);
    assert_int_equal(dial_to(host, 65535), UNSB_OK); /* all of it fits */
    assert_true(line.sent_size > 850);
    assert_string_equal(line.sent + line.sent_size - 8, "cHBw\r\n\r\n");
    wire.vtable->close(wire.context);
    host[255] = 'h';
    host[256] = '\0';
    assert_int_equal(dial_to(host, 1), UNSB_E_PROXY_CONFIG);
    assert_int_equal(line.sent_size, strlen(line.sent));
    wire.vtable->close(wire.context);
    settings.password[sizeof settings.password - 1] = 'p'; /* without an end */
    assert_int_equal(dial(), UNSB_E_PROXY_CONFIG);
}

static void bad_hosts(void **state)
{
    static const char *const hosts[] = {"", "a b", "a\r\nX: y", "a/b", "a@b", "a?b", "a#", "[::1]",
                                        "%eth0:", "\xff", "a\x7f"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(hosts); i++) {
        begin("p", OK_HEAD "\r\n");
        assert_int_equal(dial_to(hosts[i], 443), UNSB_E_PROXY_CONFIG);
        assert_int_equal(line.dials, 0);
    }
    for (i = 0; i < 3; i++) {
        begin("p", OK_HEAD "\r\n");
        (void)strcpy(i == 2 ? settings.password : settings.user,
                     i == 0 ? "a:b" : i == 1 ? "a\nb" : "\x7f");
        assert_int_equal(dial(), UNSB_E_PROXY_CONFIG);
        assert_int_equal(line.dials, 0);
    }
    wire.vtable->close(wire.context);
}

/* ======================================================================
 * >>answers
 * ====================================================================== */

#define HTML "Content-Type: text/html\r\nContent-Length: 20\r\n\r\n<html>no way.</html>"

static void answers(void **state)
{
    static const struct {
        const char *text;
        int want, status;
        const char *tunnel;
    } list[] = {
        {OK_HEAD "\r\n", UNSB_OK, 200, ""},
        {OK_HEAD "\r\nhello", UNSB_OK, 200, "hello"},
        {OK_HEAD "\r\n\r\n\x16\x03", UNSB_OK, 200, "\r\n\x16\x03"},
        {"HTTP/1.0 200 OK\r\n\r\nhello", UNSB_OK, 200, "hello"},
        {"HTTP/1.1 204\r\n\r\nhello", UNSB_OK, 204, "hello"},
        {"HTTP/1.1 299 x\nA: b\n\nhello", UNSB_OK, 299, "hello"},
        /* RFC 9110 section 9.3.6 */
        {OK_HEAD "Content-Length: 5\r\n\r\nhello", UNSB_OK, 200, "hello"},
        {OK_HEAD "content-length: five\r\nCONTENT-LENGTH: 6\r\n\r\nhello", UNSB_OK, 200, "hello"},
        {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello", UNSB_OK, 200, "5\r\nhello"},
        {OK_HEAD "Transfer-Encoding: gzip\r\nContent-Length: 0\r\n\r\nhello", UNSB_OK, 200,
         "hello"},
        {OK_HEAD "Connection: close\r\nProxy-Agent: x\r\n\r\nhello", UNSB_OK, 200, "hello"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: y\r\n\r\n" OK_HEAD "\r\nhello",
         UNSB_OK, 200, "hello"},
        {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n" HTML,
         UNSB_E_PROXY_AUTH, 407, NULL},
        {"HTTP/1.1 403 Forbidden\r\n" HTML, UNSB_E_PROXY_FORBIDDEN, 403, NULL},
        {"HTTP/1.1 401 x\r\n\r\n", UNSB_E_PROXY_AUTH, 401, NULL},
        {"HTTP/1.1 405 x\r\n\r\n", UNSB_E_PROXY_FORBIDDEN, 405, NULL},
        {"HTTP/1.1 451 x\r\n\r\n", UNSB_E_PROXY_FORBIDDEN, 451, NULL},
        {"HTTP/1.1 502 Bad Gateway\r\n" HTML, UNSB_E_CONNECT, 502, NULL},
        {"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", UNSB_E_CONNECT, 503, NULL},
        {"HTTP/1.1 504 x\r\n\r\n", UNSB_E_CONNECT, 504, NULL},
        {"HTTP/1.1 302 Found\r\nLocation: http://login.test/\r\n" HTML, UNSB_E_PROXY, 302, NULL},
        {"HTTP/1.1 400 x\r\n\r\n", UNSB_E_PROXY, 400, NULL},
        {"HTTP/1.1 404 x\r\n\r\n", UNSB_E_PROXY, 404, NULL},
        {"HTTP/1.1 429 x\r\n\r\n", UNSB_E_PROXY, 429, NULL},
        {"HTTP/1.1 500 x\r\n\r\n", UNSB_E_PROXY, 500, NULL},
        {"HTTP/1.1 101 Switching\r\n\r\n", UNSB_E_PROXY_ANSWER, 0, NULL},
        {"HTTP/2 200\r\n\r\n", UNSB_E_PROXY_ANSWER, 0, NULL},
        {"\x05\xff", UNSB_E_PROXY_ANSWER, 0, NULL},
        {"\x15\x03\x01\x00\x02\x02\x46", UNSB_E_PROXY_ANSWER, 0, NULL},
        {"220 mail.test ESMTP\r\n", UNSB_E_PROXY_ANSWER, 0, NULL},
        {"<html>no</html>", UNSB_E_PROXY_ANSWER, 0, NULL},
        {"HTTP/1.1 999 x\r\n\r\n", UNSB_E_PROXY, 999, NULL},
        {OK_HEAD "no field\r\n\r\n", UNSB_E_PROXY_ANSWER, 0, NULL},
        {OK_HEAD "A: b\r\n", UNSB_E_IO, 0, NULL},
        {"HTTP/1.1 4", UNSB_E_IO, 0, NULL},
        {"", UNSB_E_IO, 0, NULL}};
    static const size_t pieces[] = {0, 1, 3};
    size_t i, way;

    (void)state;
    for (i = 0; i < COUNT(list); i++)
        for (way = 0; way < COUNT(pieces) * 2; way++) {
            char byte[64];
            size_t have = 0;
            int rc;
            begin("http://user:secret@p:1", list[i].text);
            line.piece = pieces[way / 2];
            line.stutter = way % 2 != 0;
            line.ends = UNSB_E_CLOSED;
            rc = dial();
            if (rc != list[i].want || proxy.status != list[i].status)
                fail_msg("answer %u: %d, status %d", (unsigned)i, rc, proxy.status);
            assert_null(strstr(unsb_proxy_error_text(rc), "secret"));
            assert_true(unsb_proxy_error_text(rc)[0] != '\0');
            assert_int_equal(dial(), rc); /* it stays */
            if (rc != UNSB_OK) {
                assert_int_equal(wire.vtable->send(wire.context, "x", 1), rc);
                assert_int_equal(wire.vtable->recv(wire.context, byte, 1), rc);
                wire.vtable->close(wire.context);
                assert_int_equal(wire.vtable->recv(wire.context, byte, 1), UNSB_E_IO);
                continue;
            }
            /* all of the tunnel, its end, and each call as it should be waited for */
            while ((rc = wire.vtable->recv(wire.context, byte + have, 3)) >= 0)
                have += (size_t)rc;
            assert_int_equal(rc, UNSB_E_CLOSED);
            assert_int_equal(have, strlen(list[i].tunnel));
            assert_memory_equal(byte, list[i].tunnel, have);
            wire.vtable->close(wire.context);
        }
}

/* A head without an end, in one answer or in many interim ones, is not read for ever. */
static void endless_heads(void **state)
{
    static const struct {
        const char *text;
        size_t again;
    } list[] = {{OK_HEAD "A: b\r\n", sizeof OK_HEAD - 1},
                {OK_HEAD "A: bbbbb", sizeof OK_HEAD + 5},
                {"HTTP/1.1 200 xxxx", 14},
                {"HTTP/1.1 100 Continue\r\n\r\n", 0}};
    size_t i, way;

    (void)state;
    for (i = 0; i < COUNT(list); i++)
        for (way = 0; way < 2; way++) {
            begin("p", list[i].text);
            line.endless = true;
            line.again = list[i].again;
            line.piece = way;
            assert_int_equal(dial(), UNSB_E_PROXY_ANSWER);
            assert_in_range(line.given, UNSB_HTTP_HEAD_LIMIT - 1024, UNSB_HTTP_HEAD_LIMIT + 1024);
        }
}

static void failures_beneath(void **state)
{
    static const int codes[] = {UNSB_E_CONNECT, UNSB_E_RESOLVE, UNSB_E_IO, UNSB_E_USER - 3};
    unsb_transport none;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(codes); i++) {
        begin("p", "");
        line.connects = codes[i];
        assert_int_equal(dial(), codes[i]);
        assert_int_equal(proxy.status, 0);
        wire.vtable->close(wire.context);
        begin("p", "");
        line.sends = codes[i];
        assert_int_equal(dial(), codes[i]);
        begin("p", "HTTP/1.1 2");
        line.ends = codes[i];
        assert_int_equal(dial(), codes[i]);
    }
    begin("p", "");
    line.sends = UNSB_E_CLOSED;
    assert_int_equal(dial(), UNSB_E_IO);
    memset(&none, 0, sizeof none);
    wire = unsb_proxy_transport(&proxy, none, &settings);
    assert_null(wire.vtable->wait);
    assert_int_equal(dial(), UNSB_E_PROXY_CONFIG);
    wire.vtable->close(wire.context);
    wire.vtable->drop(wire.context);
}

/* Without a proxy, the host itself is dialled and nothing is added. */
static void direct(void **state)
{
    char byte[8];
    unsigned way;

    (void)state;
    for (way = 0; way < 2; way++) {
        begin("p", "hello");
        settings.host[0] = '\0';
        if (way == 1)
            proxy.settings = NULL;
        assert_int_equal(dial(), UNSB_OK);
        assert_string_equal(line.host, "api.test");
        assert_int_equal(line.port, 443);
        assert_int_equal(line.sent_size, 0);
        assert_int_equal(wire.vtable->recv(wire.context, byte, 8), 5);
        wire.vtable->drop(wire.context);
        assert_int_equal(line.dropped, 1);
        assert_int_equal(line.closed, 0);
    }
}

static void waiting(void **state)
{
    char byte;

    (void)state;
    begin("p", OK_HEAD "\r\nxy");
    assert_int_equal(wire.vtable->connect(wire.context, "a", 1), UNSB_PENDING);
    assert_int_equal(wire.vtable->interest(wire.context, UNSB_READABLE), UNSB_READABLE);
    assert_int_equal(wire.vtable->interest(wire.context, 0), 0);
    line.piece = 1;
    assert_int_equal(wire.vtable->connect(wire.context, "a", 1), UNSB_PENDING);
    /* the request is on its way, whatever the client waits for */
    assert_int_equal(wire.vtable->interest(wire.context, UNSB_READABLE), UNSB_WRITABLE);
    assert_int_equal(wire.vtable->wait(wire.context, UNSB_READABLE, 5), UNSB_OK);
    assert_int_equal(line.waited, UNSB_WRITABLE);
    while (proxy.state != UNSBI_PROXY_ANSWER)
        assert_int_equal(wire.vtable->connect(wire.context, "a", 1), UNSB_PENDING);
    assert_int_equal(wire.vtable->interest(wire.context, UNSB_WRITABLE), UNSB_READABLE);
    line.piece = 0;
    assert_int_equal(wire.vtable->connect(wire.context, "a", 1), UNSB_OK);
    /* two bytes came with the answer: nothing is waited for until they are fetched */
    line.waits = 0;
    assert_int_equal(wire.vtable->wait(wire.context, UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
    assert_int_equal(wire.vtable->recv(wire.context, &byte, 1), 1);
    assert_int_equal(wire.vtable->wait(wire.context, UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
    assert_int_equal(line.waits, 0);
    assert_int_equal(wire.vtable->recv(wire.context, &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(wire.vtable->wait(wire.context, UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
    assert_int_equal(line.waits, 1);
    assert_int_equal(line.waited, UNSB_READABLE);
    wire.vtable->close(wire.context);
}

/* ======================================================================
 * >>environment
 * ====================================================================== */

static void urls(void **state)
{
    static const struct {
        const char *url;
        int want;
    } list[] = {{"https://p:1", UNSB_E_PROXY_SCHEME},
                {"socks5://p:1", UNSB_E_PROXY_SCHEME},
                {"socks5h://u:secret@p", UNSB_E_PROXY_SCHEME},
                {"ftp://p", UNSB_E_PROXY_SCHEME},
                {"sock://p", UNSB_E_PROXY_SCHEME},
                {"http://p:8!", UNSB_E_PROXY_CONFIG},
                {"http://p\x7f", UNSB_E_PROXY_CONFIG},
                {"http://u%7f@p", UNSB_E_PROXY_CONFIG},
                {"http://", UNSB_E_PROXY_CONFIG},
                {"", UNSB_E_PROXY_CONFIG},
                {"http://p:", UNSB_E_PROXY_CONFIG},
                {"http://p:0", UNSB_E_PROXY_CONFIG},
                {"http://p:65536", UNSB_E_PROXY_CONFIG},
                {"http://p:99999999999", UNSB_E_PROXY_CONFIG},
                {"http://p:80x", UNSB_E_PROXY_CONFIG},
                {"http://p:8/path", UNSB_E_PROXY_CONFIG},
                {"http://p?x", UNSB_E_PROXY_CONFIG},
                {"http://::1", UNSB_E_PROXY_CONFIG},
                {"http://[::1", UNSB_E_PROXY_CONFIG},
                {"http://[p]:1", UNSB_E_PROXY_CONFIG},
                {"http://[::1]x", UNSB_E_PROXY_CONFIG},
                {"http://a b", UNSB_E_PROXY_CONFIG},
                {"http://u%0d%0a:x@p", UNSB_E_PROXY_CONFIG},
                {"http://u%00@p", UNSB_E_PROXY_CONFIG},
                {"http://u%3a@p", UNSB_E_PROXY_CONFIG},
                {"http://u%2@p", UNSB_E_PROXY_CONFIG},
                {"http://u%zz@p", UNSB_E_PROXY_CONFIG},
                {"http://u:x%4@p", UNSB_E_PROXY_CONFIG},
                {"http://p:65535", UNSB_OK},
                {"http://p/", UNSB_OK},
                {"http://u:x%40y@p", UNSB_OK}};
    static const unsb_proxy_settings none;
    char url[700];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(list); i++) {
        int rc;
        memset(&settings, 'x', sizeof settings);
        rc = unsb_proxy_url(&settings, list[i].url);
        if (rc != list[i].want)
            fail_msg("%s: %d", list[i].url, rc);
        if (rc != UNSB_OK)
            assert_memory_equal(&settings, &none, sizeof none);
    }
    assert_string_equal(settings.password, "x@y");
    for (i = 126; i <= 129; i++) { /* 127 is the most */
        memset(url, 'u', i);
        (void)strcpy(url + i, "@p");
        assert_int_equal(unsb_proxy_url(&settings, url), i <= 127 ? UNSB_OK : UNSB_E_PROXY_CONFIG);
    }
    for (i = 254; i <= 257; i++) {
        memset(url, 'h', i);
        url[i] = '\0';
        assert_int_equal(unsb_proxy_url(&settings, url), i <= 255 ? UNSB_OK : UNSB_E_PROXY_CONFIG);
    }
}

static void exceptions(void **state)
{
    static const struct {
        const char *list, *host;
        bool want;
    } cases[] = {{NULL, "a.test", false},
                 {"", "a.test", false},
                 {"*", "a.test", true},
                 {"*", "::1", true},
                 {"*, x", "a.test", false},
                 {"*.test", "a.test", false},
                 {"a.test", "a.test", true},
                 {"A.Test", "a.tesT", true},
                 {"test", "a.test", true},
                 {".test", "a.test", true},
                 {".a.test", "a.test", true},
                 {"est", "a.test", false},
                 {"b.a.test", "a.test", false},
                 {"a.test.", "a.test", true},
                 {"a.test", "a.test.", true},
                 {"x,y , a.test", "a.test", true},
                 {"x y\ta.test", "a.test", true},
                 {",,", "a.test", false},
                 {".", "a.test", false},
                 {"a.test:443", "a.test", false},
                 {"localhost,127.0.0.1", "127.0.0.1", true},
                 {"127.0.0.1", "127.0.0.2", false},
                 {"0.0.1", "127.0.0.1", false},
                 {"10.0.0.0/8", "10.255.1.2", true},
                 {"10.0.0.0/8", "11.0.0.0", false},
                 {"192.168.4.0/22", "192.168.7.255", true},
                 {"192.168.4.0/22", "192.168.8.0", false},
                 {"10.0.0.1/32", "10.0.0.1", true},
                 {"10.0.0.1/33", "10.0.0.1", false},
                 {"10.0.0.1/0", "10.0.0.2", false},
                 {"10.0.0.1/8x", "10.0.0.1", false},
                 {"10.0.0.1/1290", "10.0.0.1", false},
                 {"10.0.0.1/-8", "10.0.0.1", false},
                 {"0000000000000000000000000000000000000000000000000000000000000::1", "::1", false},
                 {"x", "", false},
                 {"a:b", "a:b", true},
                 {"a:b", "x.a:b", true},
                 {"10.0.0.0/8", "10.test", false},
                 {"::1", "::1", true},
                 {"0:0::1", "::1", true},
                 {"fd00::/8", "fdab::7", true},
                 {"fd00::/8", "fe00::7", false},
                 {"2001:db8::/33", "2001:db8:7fff::", true},
                 {"2001:db8::/33", "2001:db8:8000::", false},
                 {"::/129", "::1", false},
                 {"10.0.0.0/8", "::a00:1", false}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        if (unsb_proxy_excepted(cases[i].list, cases[i].host) != cases[i].want)
            fail_msg("%s in \"%s\"", cases[i].host, cases[i].list);
}

static void environment(void **state)
{
    static const struct {
        const char *all[6]; /* https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY, no_proxy, NO_PROXY */
        int want;
        const char *host;
    } cases[] = {{{NULL, NULL, NULL, NULL, NULL, NULL}, UNSB_OK, ""},
                 {{"a:1", "b:1", "c:1", "d:1", NULL, NULL}, UNSB_OK, "a"},
                 {{NULL, "b:1", "c:1", "d:1", NULL, NULL}, UNSB_OK, "b"},
                 {{NULL, NULL, "c:1", "d:1", NULL, NULL}, UNSB_OK, "c"},
                 {{NULL, NULL, NULL, "d:1", NULL, NULL}, UNSB_OK, "d"},
                 {{"", "b:1", "c:1", "d:1", NULL, NULL}, UNSB_OK, ""},
                 {{"a:1", NULL, NULL, NULL, "api.test", NULL}, UNSB_OK, ""},
                 {{"a:1", NULL, NULL, NULL, NULL, "test"}, UNSB_OK, ""},
                 {{"a:1", NULL, NULL, NULL, "", "*"}, UNSB_OK, "a"},
                 {{"a:1", NULL, NULL, NULL, "other", "*"}, UNSB_OK, "a"},
                 {{"https://a:1", "b:1", NULL, NULL, NULL, NULL}, UNSB_E_PROXY_SCHEME, ""},
                 {{"socks5://a:1", NULL, NULL, NULL, "test", NULL}, UNSB_OK, ""},
                 {{"http://a:x", NULL, NULL, NULL, NULL, NULL}, UNSB_E_PROXY_CONFIG, ""}};
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",   "no_proxy",    "NO_PROXY"};
    size_t i, j;

    (void)state;
    for (i = 0; i <= COUNT(cases); i++) {
        for (j = 0; j < COUNT(names); j++) {
            (void)unsetenv(names[j]);
            if (i < COUNT(cases) && cases[i].all[j] != NULL)
                (void)setenv(names[j], cases[i].all[j], 1);
        }
        if (i == COUNT(cases))
            break;
        if (unsb_proxy_environment(&settings, "api.test") != cases[i].want ||
            strcmp(settings.host, cases[i].host) != 0)
            fail_msg("%u: \"%s\"", (unsigned)i, settings.host);
    }
    /* http_proxy is not for https:// */
    (void)setenv("http_proxy", "a:1", 1);
    (void)setenv("HTTP_PROXY", "a:1", 1);
    assert_int_equal(unsb_proxy_environment(&settings, "api.test"), UNSB_OK);
    assert_string_equal(settings.host, "");
}

/* A head as long as it may be, and one byte more, wherever in a line that byte is: also where the
 * name of a header is passed on that must mean nothing. */
static void longest_heads(void **state)
{
    static char head[UNSB_HTTP_HEAD_LIMIT + 200];
    size_t pad;
    bool taken = true;

    (void)state;
    for (pad = UNSB_HTTP_HEAD_LIMIT - 150; pad < UNSB_HTTP_HEAD_LIMIT; pad++) {
        size_t size = (size_t)sprintf(head, OK_HEAD "A: ");
        int rc;

        memset(head + size, 'a', pad - size);
        (void)strcpy(head + pad, "\r\nContent-Lengthy: 1\r\nContent-Length: 5\r\n\r\nhello");
        begin("p", head);
        rc = dial();
        assert_int_equal(rc, rc == UNSB_OK ? UNSB_OK : UNSB_E_PROXY_ANSWER);
        assert_true(taken || rc != UNSB_OK); /* once too long, always */
        taken = rc == UNSB_OK;
        wire.vtable->close(wire.context);
    }
    assert_false(taken);
}

/* Inner transports that lack what they may lack, or are none. */
static void bare(void **state)
{
    static const unsb_transport_class bare_class = {line_connect, line_send, line_recv, line_close,
                                                    NULL,         NULL,      NULL};
    unsb_transport inner = {NULL, NULL};

    (void)state;
    begin("p", OK_HEAD "\r\n");
    inner.vtable = &bare_class;
    wire = unsb_proxy_transport(&proxy, inner, &settings);
    assert_ptr_equal(wire.vtable->wait, NULL);
    assert_int_equal(dial(), UNSB_OK);
    assert_int_equal(wire.vtable->interest(wire.context, UNSB_READABLE), UNSB_READABLE);
    wire.vtable->drop(wire.context);
    assert_int_equal(line.closed, 1);
    inner.vtable = NULL;
    wire = unsb_proxy_transport(&proxy, inner, &settings);
    assert_int_not_equal(wire.vtable->interest(wire.context, UNSB_WRITABLE) & UNSB_WRITABLE, 0);
    assert_int_equal(dial(), UNSB_E_PROXY_CONFIG);
    assert_int_not_equal(wire.vtable->interest(wire.context, UNSB_WRITABLE), 0);
    wire.vtable->drop(wire.context);
}

static void words(void **state)
{
    int i, j;

    (void)state;
    for (i = UNSB_E_PROXY; i >= UNSB_E_PROXY_SCHEME; i--) {
        assert_true(strlen(unsb_proxy_error_text(i)) > 10);
        for (j = UNSB_E_PROXY; j > i; j--)
            assert_string_not_equal(unsb_proxy_error_text(i), unsb_proxy_error_text(j));
    }
    assert_string_equal(unsb_proxy_error_text(UNSB_E_IO), unsb_error_text(UNSB_E_IO));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request),          cmocka_unit_test(long_ones),
        cmocka_unit_test(bad_hosts),        cmocka_unit_test(answers),
        cmocka_unit_test(endless_heads),    cmocka_unit_test(failures_beneath),
        cmocka_unit_test(direct),           cmocka_unit_test(waiting),
        cmocka_unit_test(urls),             cmocka_unit_test(exceptions),
        cmocka_unit_test(environment),      cmocka_unit_test(longest_heads),
        cmocka_unit_test(bare),             cmocka_unit_test(words)};

    return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
