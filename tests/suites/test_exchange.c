/* One request, one answer, and nothing of one taken for a part of another: what frames a request,
 * what ends a response, what a refusal is worth that breaks off, when a connection is kept. */
#include <stddef.h>

static void trace(const void *client, char what, const char *text, size_t size);
#define UNSB_TRACE(client, what, text, size) trace(client, what, text, size)
#include "answers.h"

static io_script scripts[IO_CONNECTIONS];
static unsb_call call;
static const way blocking = {256, 0, false, false};

static char traced[3][4096]; /* states, what was sent, what came */

static void trace(const void *client, char what, const char *text, size_t size)
{
    char *to = traced[what == '=' ? 0 : what == '>' ? 1 : 2];
    size_t had = strlen(to);

    assert_ptr_equal(client, &stage.client);
    assert_true(what == '=' || what == '>' || what == '<');
    if (had + size + 2 > sizeof traced[0])
        return;
    memcpy(to + had, text, size);
    if (what == '=')
        to[had + size++] = ' ';
    to[had + size] = '\0';
}

static void begin(size_t count, const way *w)
{
    stage_up(scripts, count, w);
    memset(&call, 0, sizeof call);
    call.method = "GET";
    call.path = "/x";
}

/* A peer that answers every request on one connection alike. */
static void begin_with(const char *reply, const way *w)
{
    size_t i;

    memset(scripts, 0, sizeof scripts);
    for (i = 0; i < IO_REPLIES; i++)
        scripts[0].replies[i] = reply;
    begin(1, w);
}

static int request(void)
{
    return io_finish(&stage.io, &stage.client,
                     unsb_request(&stage.client, &call, &stage.result));
}

static int operate(int operation)
{
    return io_finish(&stage.io, &stage.client, stage_begin(operation));
}

static void finish(void)
{
    unsb_close(&stage.client);
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned n = 0;

    for (; (text = strstr(text, what)) != NULL; text += strlen(what))
        n++;
    return n;
}

/* ---- requests ---- */

static const char victim[] = "DELETE /jobs/victim HTTP/1.1\r\nHost: x\r\n\r\n";

static int victim_read(void *context, unsb_size offset, void *buffer, size_t size)
{
    (void)context;
    memcpy(buffer, victim + offset, size);
    return (int)size;
}

/* The length depends on the body alone: whatever else is said of it, it is no next request. */
static void test_body_is_framed(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "GET", "QUERY", "HEAD"};
    static const char *const types[] = {NULL, "", "text/plain; charset=utf-8"};
    static const unsb_header header = {"X-Sudo-OTP", "123456"};
    size_t m, t, size;
    unsigned mode, headers;

    (void)state;
    for (m = 0; m < COUNT(methods); m++)
        for (t = 0; t < COUNT(types); t++)
            for (size = 0; size < 2; size++)
                for (mode = 0; mode < 4; mode++)
                    for (headers = 0; headers < 2; headers++) {
                        const way w = {mode >= 2 ? 128 : 1024, 0, (mode & 1) != 0, false};
                        const char *sent, *body;
                        char expected[64];
                        stage.is_signed = UNSB_SIGNING && mode == 3;
                        begin_with(io_reply(200, "", ""), &w);
                        call.method = methods[m];
                        call.content_type = types[t];
                        call.headers = &header;
                        call.header_count = headers;
                        if (size != 0)
                            call.body = unsb_text(victim);
                        if (size != 0 && mode == 1) {
                            call.body.data = NULL;
                            call.body.read = victim_read;
                        }
                        assert_int_equal(request(), UNSB_OK);
                        assert_int_equal(stage.io.count, 1);
                        assert_int_equal(io_requests(&stage.io), 1);
                        sent = stage.io.connection[0].sent;
                        body = strstr(sent, "\r\n\r\n");
                        assert_non_null(body);
                        assert_string_equal(body + 4, size != 0 ? victim : "");
                        assert_int_equal(strlen(sent), stage.io.connection[0].parsed);
                        snprintf(expected, sizeof expected, "\r\nContent-Length: %zu\r\n",
                                 size != 0 ? strlen(victim) : (size_t)0);
                        assert_int_equal(count_of(sent, expected),
                                         size != 0 || methods[m][0] == 'P');
                        assert_int_equal(count_of(sent, "\r\nContent-Length: "),
                                         size != 0 || methods[m][0] == 'P');
                        if (types[t] != NULL && types[t][0] == '\0')
                            assert_null(strstr(sent, "Content-Type"));
                        else
                            assert_int_equal(count_of(sent, "\r\nContent-Type: "),
                                             size != 0 || methods[m][0] == 'P');
                        assert_int_equal(count_of(sent, "\r\nX-Sudo-OTP: 123456\r\n"), headers);
                        finish();
                    }
}

static void test_methods_and_paths(void **state)
{
    static const char *const methods[] = {
        "",     "GE T",       "GET ",    " GET",    "GET\r\nX: y", "G(T",
        "GET:", "G\xC3\xA9T", "GET\x7F", "\"GET\"", "G/T",          "G,T"};
    static const char *const paths[] = {"/a#b",  "/#",  "/a b",   "/a\r\nX: y", "/\xC3\xA9",
                                        "/\x7F", "/\t", "/a\nb", "/ HTTP/1.1"};
    static const char *const good[] = {"/", "/a?b=c&d=%20", "/~x;y=1,2", "/a//b", "/*'()!$@:"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(methods); i++) {
        begin_with(io_reply(200, "", ""), &blocking);
        call.method = methods[i];
        assert_int_equal(request(), UNSB_E_HEADER_BYTE);
        assert_int_equal(stage.io.count, 0);
    }
    for (i = 0; i < COUNT(paths); i++) {
        begin_with(io_reply(200, "", ""), &blocking);
        call.path = paths[i];
        assert_int_equal(request(), UNSB_E_HEADER_BYTE);
        assert_int_equal(stage.io.count, 0);
    }
    for (i = 0; i < COUNT(good); i++) {
        char line[64];
        begin_with(io_reply(200, "", ""), &blocking);
        call.method = "M-SEARCH";
        call.path = good[i];
        assert_int_equal(request(), UNSB_OK);
        snprintf(line, sizeof line, "M-SEARCH %s HTTP/1.1\r\n", good[i]);
        assert_memory_equal(stage.io.connection[0].sent, line, strlen(line));
        finish();
    }
    begin_with(io_reply(200, "", ""), &blocking);
    call.path = "x";
    assert_int_equal(request(), UNSB_E_ARGUMENT);
    call.path = "";
    assert_int_equal(request(), UNSB_E_ARGUMENT);
    call.path = NULL;
    assert_int_equal(request(), UNSB_E_ARGUMENT);
    call.path = "/";
    call.method = NULL;
    assert_int_equal(request(), UNSB_E_ARGUMENT);
    assert_int_equal(stage.io.count, 0);
}

static int with_header(const char *name, const char *value)
{
    unsb_header headers[2];

    begin_with(io_reply(200, "", ""), &blocking);
    headers[0].name = "X-First";
    headers[0].value = "1";
    headers[1].name = name;
    headers[1].value = value;
    call.headers = headers;
    call.header_count = 2;
    return request();
}

static void test_header_fields(void **state)
{
    static const char *const ours[] = {
        "Host", "Content-Length", "Transfer-Encoding", "Connection", "Authorization", "X-Timestamp",
        "X-Signature", "Content-Type", "Accept-Encoding", "User-Agent", "Expect", "TE", "Trailer",
        "Upgrade", "hOST", "content-length", "TRANSFER-ENCODING", "x-signature", "Keep-Alive"};
    static const char *const names[] = {"",   "X A", "X:",       ":",    "X\r\nHost", "X\n",
                                        " X", "X ",  "\xC3\xA9", "X(1)", "X\x7F"};
    static const char *const bad[] = {"a\r\nHost: y", "a\nb",     "a\r", "\x01",
                                      "\x7F",         "\xC3\xA9", "\n"};
    static const char *const good[] = {"123456", "", " a\tb ", "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"};
    static const unsb_header none = {NULL, "x"}, empty = {"X", NULL};
    char line[128];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(ours); i++)
        assert_int_equal(with_header(ours[i], "x"), UNSB_E_HEADER);
    for (i = 0; i < COUNT(names); i++)
        assert_int_equal(with_header(names[i], "x"), UNSB_E_HEADER_BYTE);
    for (i = 0; i < COUNT(bad); i++) {
        assert_int_equal(with_header("X-Sudo-OTP", bad[i]), UNSB_E_HEADER_BYTE);
        assert_int_equal(stage.io.count, 0);
    }
    for (i = 0; i < COUNT(good); i++) {
        assert_int_equal(with_header("X-Sudo-OTP", good[i]), UNSB_OK);
        snprintf(line, sizeof line, "\r\nX-First: 1\r\nX-Sudo-OTP: %s\r\n", good[i]);
        assert_int_equal(count_of(stage.io.connection[0].sent, line), 1);
        assert_int_equal(io_requests(&stage.io), 1);
        finish();
    }
    assert_int_equal(with_header(NULL, "x"), UNSB_E_ARGUMENT);
    assert_int_equal(with_header("X", NULL), UNSB_E_ARGUMENT);
    begin_with(io_reply(200, "", ""), &blocking);
    call.header_count = 1;
    assert_int_equal(request(), UNSB_E_ARGUMENT);
    call.headers = &none;
    assert_int_equal(request(), UNSB_E_ARGUMENT);
    call.headers = &empty;
    assert_int_equal(request(), UNSB_E_ARGUMENT);
    assert_int_equal(stage.io.count, 0);
}

/* Many fields, longer than the buffer, with and without a signature, in pieces. */
static void test_many_header_fields(void **state)
{
    static unsb_header headers[60];
    static char names[60][16], values[60][200], expected[16384];
    size_t i, n = 0;
    unsigned mode;

    (void)state;
    for (i = 0; i < COUNT(headers); i++) {
        snprintf(names[i], sizeof names[i], "X-Field-%zu", i);
        memset(values[i], (int)('a' + i % 26), i * 3);
        headers[i].name = names[i];
        headers[i].value = values[i];
        n += (size_t)sprintf(expected + n, "\r\n%s: %s", names[i], values[i]);
    }
    strcpy(expected + n, "\r\n\r\nbody");
    for (mode = 0; mode < 4; mode++) {
        const way w = {128, 0, (mode & 1) != 0, false};
        stage.is_signed = UNSB_SIGNING && mode >= 2;
        begin_with(io_reply(200, "", ""), &w);
        stage.io.send_piece = 7;
        call.method = "PUT";
        call.body = unsb_text("body");
        call.headers = headers;
        call.header_count = COUNT(headers);
        assert_int_equal(request(), UNSB_OK);
        assert_int_equal(io_requests(&stage.io), 1);
        assert_non_null(strstr(stage.io.connection[0].sent, expected));
        finish();
    }
}

static void test_job_ids(void **state)
{
    static const char *const bad[] = {
        "", ".", "..", "0123456789012345678901234567890123456789012345678901234567890123"};
    static const struct {
        const char *id, *path;
    } good[] = {{"...", "/jobs/... "},
                {".a", "/jobs/.a "},
                {"a/../b", "/jobs/a%2F..%2Fb "},
                {"a#b?c", "/jobs/a%23b%3Fc "},
                {"a b\r\n", "/jobs/a%20b%0D%0A "},
                {"%2e", "/jobs/%252e "},
                {"012345678901234567890123456789012345678901234567890123456789012",
                 "/jobs/012345678901234567890123456789012345678901234567890123456789012 "}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        begin_with(io_reply(200, "", "{}"), &blocking);
        assert_int_equal(unsb_job_get(&stage.client, bad[i], &stage.result), UNSB_E_JOB_ID);
        assert_int_equal(unsb_job_wait(&stage.client, bad[i], 0, &stage.result), UNSB_E_JOB_ID);
        assert_int_equal(unsb_job_cancel(&stage.client, bad[i], &stage.result), UNSB_E_JOB_ID);
        assert_int_equal(stage.io.count, 0);
    }
    for (i = 0; i < COUNT(good); i++) {
        begin_with(io_reply(200, "", "{\"status\":\"completed\"}"), &blocking);
        assert_int_equal(unsb_job_get(&stage.client, good[i].id, &stage.result), UNSB_OK);
        assert_memory_equal(stage.io.connection[0].sent, "GET ", 4);
        assert_memory_equal(stage.io.connection[0].sent + 4, good[i].path, strlen(good[i].path));
        assert_string_equal(stage.result.job_id, good[i].id);
        finish();
    }
}

static void test_configurations_refused(void **state)
{
    unsb_config config;
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        const way w = {256, 0, mode != 0, false};
        begin_with(io_reply(200, "", ""), &w);
        config = stage.config;
        config.total_timeout_ms = 1000;
        config.now_ms = NULL;
        assert_int_equal(unsb_init(&stage.client, &config), UNSB_E_NO_CLOCK);
        config = stage.config;
        config.secret_key = "";
        assert_int_equal(unsb_init(&stage.client, &config), UNSB_E_NO_KEY);
        config = stage.config;
        config.api_key = "";
        config.secret_key = "unsb-sk-x";
        assert_int_equal(unsb_init(&stage.client, &config), UNSB_E_NO_KEY);
        config = stage.config;
        config.keep_alive_ms = UNSB_FOREVER + 1;
        assert_int_equal(unsb_init(&stage.client, &config),
                         UNSB_KEEP_ALIVE ? UNSB_E_ARGUMENT : UNSB_OK);
        config.keep_alive_ms = UNSB_FOREVER;
        assert_int_equal(unsb_init(&stage.client, &config), UNSB_OK);
#if UNSB_SIGNING
        config = stage.config;
        config.secret_key = "unsb-sk-x";
        config.unix_time = NULL;
        assert_int_equal(unsb_init(&stage.client, &config), UNSB_E_NO_CLOCK);
#endif
    }
}

static void in_three_seconds(unsb_config *config)
{
    config->total_timeout_ms = 3000;
}

/* A peer that trickles ends every wait, but not the limit of the whole. */
static void test_trickle(void **state)
{
    unsigned mode;

    (void)state;
    stage.configure = in_three_seconds;
    for (mode = 0; mode < 2; mode++) {
        const way w = {256, 1, mode != 0, false};
        char body[2001];
        memset(body, 'a', 2000);
        body[2000] = '\0';
        begin_with(io_reply(200, "", body), &w);
        stage.io.gap_ms = 30;
        assert_int_equal(request(), UNSB_E_TIMEOUT);
        assert_in_range(stage.io.now_ms - 0xFFFFFF00u, 2900, 3100);
        finish();
    }
}

/* ---- refusals ---- */

static int code_of(int status)
{
    if (status >= 500)
        return UNSB_E_SERVER;
    switch (status) {
    case 400:
        return UNSB_E_BAD_REQUEST;
    case 401:
        return UNSB_E_UNAUTHORIZED;
    case 403:
        return UNSB_E_FORBIDDEN;
    case 404:
        return UNSB_E_NOT_FOUND;
    case 413:
        return UNSB_E_TOO_LARGE;
    case 428:
        return UNSB_E_CHALLENGE;
    case 429:
        return UNSB_E_RATE_LIMITED;
    default:
        return status >= 400 ? UNSB_E_REFUSED : status >= 300 ? UNSB_E_REDIRECT : UNSB_OK;
    }
}

static void test_every_status(void **state)
{
    static const int operations[] = {EXECUTE, GET, CALL, CALL_RESULT};
    static const char outcome[] = "{\"status\":\"completed\",\"exit_code\":0}";
    char text[256];
    int status;
    size_t o;

    (void)state;
    for (status = 0; status < 1000; status++)
        for (o = 0; o < COUNT(operations); o++) {
            int expected = code_of(status), rc;
            if (!is_operation(operations[o]))
                continue;
            snprintf(text, sizeof text,
                     "HTTP/1.1 %03d\r\nContent-Length: %zu\r\n\r\n%s", status,
                     strlen(outcome), outcome);
            memset(scripts, 0, sizeof scripts);
            scripts[0].replies[0] = text;
            scripts[0].end = UNSB_E_CLOSED;
            if (status < 100 || status == 101)
                expected = UNSB_E_HTTP;
            else if (status < 200) /* the body would be the next head */
                expected = UNSB_E_HTTP;
            else if (status == 204 && (operations[o] == EXECUTE || operations[o] == GET))
                expected = UNSB_E_JSON;
            begin(1, &blocking);
            call.method = "POST";
            rc = operate(operations[o]);
            if (rc != expected)
                print_error("status %d, operation %d\n", status, operations[o]);
            assert_int_equal(rc, expected);
            assert_int_equal(stage.result.http_status, status < 200 ? 0 : status);
            assert_int_equal(io_requests(&stage.io), 1);
            finish();
        }
}

/* A refusal that breaks off after its head is what it says: nothing ran. However it was cut. */
static void test_broken_refusals(void **state)
{
    static const int statuses[] = {302, 400, 401, 403, 404, 413, 422, 428, 429, 500, 503, 999};
    static const struct {
        const char *fields, *body;
        int end;
    } breaks[] = {
        {"Connection: close\r\n\r\n", "<h1>no</h1>", UNSB_E_IO}, /* a reset */
        {"Connection: close\r\n\r\n", "{\"error\":\"x\"", UNSB_E_IO},
        {"Content-Length: 100\r\n\r\n", "", UNSB_E_IO},
        {"Content-Length: 100\r\n\r\n", "", UNSB_E_CLOSED},
        {"Content-Length: 100\r\n\r\n", "{\"message\":\"m\"", UNSB_E_IO},
        {"Content-Length: 100\r\n\r\n", "{\"message\":\"m\"", UNSB_E_CLOSED},
        {"Content-Length: 100\r\n\r\n", "{\"message\":\"m\"", 0}, /* silence */
        {"Transfer-Encoding: chunked\r\n\r\n", "zz\r\n", UNSB_E_CLOSED},
        {"Transfer-Encoding: chunked\r\n\r\n", "3\r\n{\"a\"\r\n", UNSB_E_CLOSED},
        {"Transfer-Encoding: chunked\r\n\r\n", "2\r\n{}\r\n5\r\n", UNSB_E_IO},
        {"Transfer-Encoding: chunked\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\n", UNSB_E_IO},
        {"Transfer-Encoding: chunked\r\n\r\n", "2\r\n{}\r\n0\r\n\x01\r\n", UNSB_E_TLS},
        {"Connection: close\r\nContent-Length: 9\r\n\r\n", "{\"a\":nope", UNSB_E_CLOSED},
    };
    static const int operations[] = {EXECUTE, GET, CALL, CALL_OUTCOME, LIST, KEY};
    size_t s, b, o, p;
    char text[512];

    (void)state;
    for (s = 0; s < COUNT(statuses); s++)
        for (b = 0; b < COUNT(breaks); b++)
            for (o = 0; o < COUNT(operations); o++)
                for (p = 0; p < 60 && is_operation(operations[o]); p = p < 3 ? p + 1 : p + 7) {
                    const way w = {128, p, p % 2 != 0, p == 3};
                    snprintf(text, sizeof text, "HTTP/1.1 %d Any\r\n%s%s", statuses[s],
                             breaks[b].fields, breaks[b].body);
                    memset(scripts, 0, sizeof scripts);
                    scripts[0].replies[0] = text;
                    scripts[0].end = breaks[b].end;
                    begin(1, &w);
                    assert_int_equal(operate(operations[o]), code_of(statuses[s]));
                    assert_int_equal(stage.result.http_status, statuses[s]);
                    assert_int_equal(io_requests(&stage.io), 1);
                    assert_false(stage.io.connected);
                    finish();
                }
}

/* The same of a success is an error, and of a head that is none there is no status. */
static void test_broken_successes(void **state)
{
    static const struct {
        const char *text;
        int end, rc, status;
    } broken[] = {
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", UNSB_E_CLOSED, UNSB_E_HTTP,
         200},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", UNSB_E_CLOSED, UNSB_E_TRUNCATED, 200},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", UNSB_E_IO, UNSB_E_IO, 200},
        {"HTTP/1.1 200 OK\r\n\r\n{", UNSB_E_IO, UNSB_E_IO, 200},
        {"HTTP/1.1 401 No\r\nContent-Length: x\r\n\r\n", UNSB_E_CLOSED, UNSB_E_HTTP, 0},
        {"HTTP/1.1 401 No\r\nGARBAGE\r\n\r\n", UNSB_E_CLOSED, UNSB_E_HTTP, 0},
        {"HTTP/1.1 429 No\r\nRetry-After: 1\r\n", UNSB_E_IO, UNSB_E_IO, 0},
        {"HTTP/1.1 429 No\r\nRetry-After: 1\r\n", UNSB_E_CLOSED, UNSB_E_TRUNCATED, 0},
        {"HTTP/1.1 401 No\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         UNSB_E_CLOSED, UNSB_E_HTTP, 0},
    };
    size_t i, p;

    (void)state;
    for (i = 0; i < COUNT(broken); i++)
        for (p = 0; p < 60; p++) {
            const way w = {128, p, p % 2 != 0, false};
            memset(scripts, 0, sizeof scripts);
            scripts[0].replies[0] = broken[i].text;
            scripts[0].end = broken[i].end;
            begin(1, &w);
            assert_int_equal(operate(EXECUTE), broken[i].rc);
            assert_int_equal(stage.result.http_status, broken[i].status);
            finish();
        }
}

static uint8_t retries;

static void retrying(unsb_config *config)
{
    config->retries = retries;
}

/* The body of a refusal is no delivery: the request may be sent again, and it does not stay. */
static void test_retries_of_refusals_with_bodies(void **state)
{
    static const struct {
        const char *method;
        int status;
        bool again;
    } cases[] = {{"POST", 429, true},    {"POST", 503, true},  {"POST", 500, false},
                 {"POST", 502, false},   {"POST", 600, false}, {"DELETE", 429, true},
                 {"DELETE", 504, false}, {"GET", 429, true},   {"GET", 503, true},
                 {"GET", 500, true},     {"GET", 999, true},   {"POST", 400, false},
                 {"GET", 404, false},    {"POST", 200, false}};
    size_t i, count;
    unsigned mode, large;
    char body[400];

    (void)state;
    needs(UNSB_RETRIES);
    stage.configure = retrying;
    for (i = 0; i < COUNT(cases); i++)
        for (large = 0; large < 2; large++)
            for (mode = 0; mode < 4; mode++) {
                const way w = {128, mode >= 2 ? 1 : 0, (mode & 1) != 0, false};
                memset(body, 'n', sizeof body);
                body[large ? 200 : 9] = '\0';
                retries = 2;
                memset(scripts, 0, sizeof scripts);
                scripts[0].replies[0] = io_reply(cases[i].status, "", body);
                scripts[0].replies[1] = io_reply(cases[i].status, "", "other");
                scripts[0].replies[2] = io_reply(200, "", "good");
                count = io_spread(scripts);
                begin(count, &w);
                call.method = cases[i].method;
                call.body = unsb_text("{}");
                assert_int_equal(request(), cases[i].again ? UNSB_OK : code_of(cases[i].status));
                assert_int_equal(io_requests(&stage.io), cases[i].again ? 3 : 1);
                assert_int_equal(stage.io.count, cases[i].again ? io_connections(3) : 1);
                assert_string_equal(stage.out, cases[i].again ? "good" : body);
                assert_int_equal(stage.sink_size[0], stage.result.out.size);
                assert_memory_equal(stage.sink[0], stage.out, stage.sink_size[0]);
                finish();
                /* and when they are used up, the last one's words are there */
                scripts[0].replies[1] = scripts[1].replies[0] = scripts[0].replies[0];
                scripts[0].replies[0] = io_reply(cases[i].status, "", "first");
                retries = 1;
                begin(count, &w);
                call.method = cases[i].method;
                assert_int_equal(request(), code_of(cases[i].status));
                assert_int_equal(io_requests(&stage.io), cases[i].again ? 2 : 1);
                assert_string_equal(stage.out, cases[i].again ? body : "first");
                finish();
            }
}

/* What was delivered is not asked for again. */
static void test_no_retry_of_what_was_delivered(void **state)
{
    (void)state;
    stage.configure = retrying;
    retries = 3;
    memset(scripts, 0, sizeof scripts);
    scripts[0].replies[0] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome";
    scripts[0].end = UNSB_E_CLOSED;
    begin(1, &blocking);
    assert_int_equal(request(), UNSB_E_TRUNCATED);
    assert_int_equal(stage.io.count, 1);
    assert_string_equal(stage.out, "some");
    finish();
}

/* ---- connections ---- */

/* One answer, and another operation after it: is it on the same connection? */
static void kept_after(const char *method, const char *reply, bool kept)
{
    unsigned mode;

    for (mode = 0; mode < 6; mode++) {
        const way w = {mode >= 4 ? 128 : 1024, mode >= 2 ? 1 : 0, (mode & 1) != 0, false};
        const char *second = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
        memset(scripts, 0, sizeof scripts);
        scripts[0].replies[0] = reply;
        scripts[0].replies[1] = second;
        scripts[1].replies[0] = second;
        begin(2, &w);
        call.method = method;
        assert_int_equal(request(), UNSB_OK);
        call.method = "GET";
        assert_int_equal(request(), UNSB_OK);
        assert_int_equal(stage.io.count, kept ? io_connections(2) : 2);
        assert_string_equal(stage.out, "good");
        finish();
    }
}

static void test_what_costs_the_connection(void **state)
{
    (void)state;
    kept_after("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", true);
    kept_after("DELETE", "HTTP/1.1 204 No\r\n\r\n", true);
    kept_after("DELETE", "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", true);
    /* a body might follow that must not be taken for the next answer */
    kept_after("DELETE", "HTTP/1.1 204 No\r\nContent-Length: 42\r\n\r\n", false);
    kept_after("DELETE", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", false);
    kept_after("DELETE", "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n", false);
    kept_after("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n", true);
    kept_after("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true);
    kept_after("HEAD", "HTTP/1.1 204 No\r\nContent-Length: 42\r\n\r\n", true);
    kept_after("GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", false);
    kept_after("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\r\n", false);
}

static void test_304(void **state)
{
    unsigned announced;

    (void)state;
    for (announced = 0; announced < 2; announced++) {
        memset(scripts, 0, sizeof scripts);
        scripts[0].replies[0] = announced ? "HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n"
                                          : "HTTP/1.1 304 Same\r\n\r\n";
        scripts[0].replies[1] = scripts[1].replies[0] = io_reply(200, "", "good");
        begin(2, &blocking);
        assert_int_equal(request(), UNSB_E_REDIRECT);
        assert_int_equal(request(), UNSB_OK);
        assert_int_equal(stage.io.count, announced ? 2 : io_connections(2));
        finish();
    }
}

static uint32_t keep_alive;

static void keeping(unsb_config *config)
{
    config->keep_alive_ms = keep_alive;
}

static void test_keep_alive(void **state)
{
    static const uint32_t limits[] = {0, 1, 5000, UNSB_FOREVER};
    size_t i;
    int late;

    (void)state;
    needs(UNSB_KEEP_ALIVE);
    stage.configure = keeping;
    for (i = 0; i < COUNT(limits); i++)
        for (late = -1; late <= 1; late++) {
            uint32_t limit = limits[i] != 0 ? limits[i] : 118000;
            keep_alive = limits[i];
            begin_with(io_reply(200, "", "good"), &blocking);
            assert_int_equal(request(), UNSB_OK);
            stage.io.now_ms += limit + (uint32_t)late;
            assert_int_equal(request(), UNSB_OK);
            assert_int_equal(stage.io.count,
                             late >= 0 && limits[i] != UNSB_FOREVER ? 2 : 1);
            assert_string_equal(stage.out, "good");
            finish();
        }
}

/* A peer that speaks before it was asked. */

static struct {
    const char *text;
    size_t at;
    int end; /* what recv returns then, if it is not 0 */
} greeting; /* on the first connection */

static int greet_recv(void *context, void *data, size_t size)
{
    script_io *io = (script_io *)context;
    size_t left = strlen(greeting.text) - greeting.at;

    if (left == 0 && io->count == 1 && greeting.end != 0) {
        io->moves++;
        return greeting.end;
    }
    if (left == 0 || io->count > 1)
        return io_recv(context, data, size);
    io->moves++;
    size = io_piece(io, size < left ? size : left, io->recv_piece);
    memcpy(data, greeting.text + greeting.at, size);
    greeting.at += size;
    return (int)size;
}

static const unsb_transport_class greet_blocking = {io_connect, io_send,
                                                    greet_recv, io_close,
                                                    io_wait,    NULL,
                                                    NULL};
static const unsb_transport_class greet_polled = {io_connect, io_send, greet_recv, io_close,
                                                  NULL,       NULL,    NULL};

static void greeted(unsb_config *config)
{
    config->transport.vtable = config->nonblocking ? &greet_polled : &greet_blocking;
}

static void test_answer_before_the_request(void **state)
{
    static const struct {
        const char *text;
        int rc, status;
    } cases[] = {
        {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", UNSB_E_SERVER, 503},
        {"HTTP/1.1 408 Late\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", UNSB_E_REFUSED,
         408},
        {"\r\nHTTP/1.1 413 Big\r\nContent-Length: 0\r\n\r\n", UNSB_E_TOO_LARGE, 413},
        {"SSH-2.0-OpenSSH_9\r\n", UNSB_E_HTTP, 0},
        {"HTTP/2 200 OK\r\n\r\n", UNSB_E_HTTP, 0},
        {"HTTP/1.1 2x0 OK\r\n\r\n", UNSB_E_HTTP, 0},
        {"HTTP/1.1 101 Switch\r\n\r\n", UNSB_E_HTTP, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", UNSB_E_HTTP, 0},
        {"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 204 None\r\n\r\n", UNSB_E_HTTP, 0},
    };
    size_t i;
    unsigned mode;

    (void)state;
    stage.configure = greeted;
    for (i = 0; i < COUNT(cases); i++)
        for (mode = 0; mode < 4; mode++) {
            const way w = {256, mode >= 2 ? 1 : 0, (mode & 1) != 0, false};
            greeting.text = cases[i].text;
            greeting.at = 0;
            memset(scripts, 0, sizeof scripts);
            scripts[1].replies[0] = scripts[0].replies[0] = io_reply(200, "", "good");
            begin(2, &w);
            /* without early answers it is not read */
            assert_int_equal(request(), UNSB_RETRIES ? cases[i].rc : UNSB_E_HTTP);
            assert_int_equal(stage.result.http_status, UNSB_RETRIES ? cases[i].status : 0);
            assert_int_equal(request(), UNSB_OK);
            assert_string_equal(stage.out, "good");
            assert_int_equal(stage.io.count, 2);
            finish();
        }
    /* nor does a success that nobody asked for come between, where the next answer is late */
    for (mode = 0; mode < 4; mode++) {
        const way w = {256, mode >= 2 ? 1 : 0, (mode & 1) != 0, false};
        greeting.text = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
        greeting.at = 0;
        memset(scripts, 0, sizeof scripts);
        scripts[0].replies[0] = scripts[0].replies[1] = io_reply(200, "", "late");
        scripts[0].delay_ms = 1000; /* nothing of it is there when the connection is looked at */
        scripts[1].replies[0] = io_reply(200, "", "good");
        begin(2, &w);
        assert_int_equal(request(), UNSB_E_HTTP);
        assert_string_equal(stage.out, "");
        assert_int_equal(request(), UNSB_OK);
        assert_string_equal(stage.out, "good");
        assert_int_equal(stage.io.count, 2);
        finish();
    }
}

/* It speaks, but says nothing whole, and goes. */
static void test_greeting_that_breaks_off(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"", UNSB_E_CLOSED},
        {"H", UNSB_E_CLOSED},
        {"HTTP/1.1 2", UNSB_E_CLOSED},
        {"HTTP/1.1 200 OK\r\nA: b\r\n", UNSB_E_HTTP},
    };
    size_t i;
    unsigned mode;

    (void)state;
    stage.configure = greeted;
    greeting.end = UNSB_E_CLOSED;
    for (i = 0; i < COUNT(cases); i++)
        for (mode = 0; mode < 4; mode++) {
            const way w = {256, mode >= 2 ? 1 : 0, (mode & 1) != 0, false};
            greeting.text = cases[i].text;
            greeting.at = 0;
            memset(scripts, 0, sizeof scripts);
            scripts[1].replies[0] = scripts[0].replies[0] = io_reply(200, "", "good");
            begin(2, &w);
            assert_int_equal(request(), UNSB_RETRIES || cases[i].text[0] == '\0' ? cases[i].rc
                                                                                : UNSB_E_HTTP);
            assert_int_equal(stage.result.http_status, 0);
            assert_int_equal(io_requests(&stage.io), 0);
            assert_int_equal(request(), UNSB_OK);
            assert_string_equal(stage.out, "good");
            finish();
        }
    greeting.end = 0;
}

/* An answer while the request is still being sent is judged as any other. */
static void test_early_answers(void **state)
{
    static char large[5000];
    static const struct {
        const char *text;
        int rc, status;
    } cases[] = {
        {"HTTP/1.1 413 Big\r\nContent-Length: 2\r\n\r\n{}", UNSB_E_TOO_LARGE, 413},
        {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", UNSB_E_UNAUTHORIZED, 401},
        {"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 413 Big\r\nContent-Length: 0\r\n\r\n", UNSB_E_TOO_LARGE,
         413},
        {"HTTP/1.1 100 Go\r\n\r\n\r\nHTTP/1.1 413 Big\r\nContent-Length: 0\r\n\r\n",
         UNSB_E_TOO_LARGE, 413},
        {"\r\nHTTP/1.1 429 Big\r\nContent-Length: 0\r\n\r\n", UNSB_E_RATE_LIMITED, 429},
        {"HTTP/1.1 101 Switch\r\n\r\nHTTP/1.1 413 Big\r\nContent-Length: 0\r\n\r\n", UNSB_E_HTTP,
         0},
        {"HTTP/1.1 41x\r\n\r\n", UNSB_E_HTTP, 0},
        {"HTTP/1.1 4130\r\n\r\n", UNSB_E_HTTP, 0},
        {"HTTP/3.1 413 Big\r\n\r\n", UNSB_E_HTTP, 0},
        {"HTTP/1.1 099 Big\r\n\r\n", UNSB_E_HTTP, 0},
        {"HTTP/1.1 413 Big\r\nGARBAGE\r\n\r\n", UNSB_E_HTTP, 0},
        {"<html>no", UNSB_E_HTTP, 0},
    };
    size_t i;
    unsigned mode;

    (void)state;
    needs(UNSB_RETRIES);
    memset(large, 'x', sizeof large - 1);
    for (i = 0; i < COUNT(cases); i++)
        for (mode = 0; mode < 4; mode++) {
            const way w = {256, mode >= 2 ? 1 : 0, (mode & 1) != 0, false};
            memset(scripts, 0, sizeof scripts);
            scripts[0].replies[0] = cases[i].text;
            scripts[0].early = scripts[0].deaf = 700;
            scripts[1].replies[0] = io_reply(200, "", "good");
            begin(2, &w);
            call.method = "PUT";
            call.body = unsb_text(large);
            assert_int_equal(request(), cases[i].rc);
            assert_int_equal(stage.result.http_status, cases[i].status);
            assert_int_equal(stage.io.connection[0].sent_size, 700);
            call.body = unsb_text("");
            assert_int_equal(request(), UNSB_OK);
            assert_int_equal(stage.io.count, 2);
            finish();
        }
}

/* ---- heads ---- */

static void head_is(const char *head, size_t size, int rc)
{
    static char text[4096];
    size_t p, n;

    for (p = 0; p < 40; p++) {
        const way w = {256, p, p % 2 != 0, false};
        memcpy(text, head, size);
        n = size + (size_t)sprintf(text + size, "Content-Length: 4\r\n\r\ngood");
        memset(scripts, 0, sizeof scripts);
        scripts[0].replies[0] = text;
        scripts[0].reply_size = n;
        scripts[0].end = UNSB_E_CLOSED;
        begin(1, &w);
        assert_int_equal(request(), rc);
        assert_string_equal(stage.out, rc == UNSB_OK ? "good" : "");
        finish();
    }
}

#define HEAD_IS(head, rc) head_is(head, sizeof(head) - 1, rc)

/* RFC 9110 section 5.5, RFC 9112 section 2.2 */
static void test_heads(void **state)
{
    char head[80];
    int c, n;

    (void)state;
    for (c = 0; c < 256; c++) {
        n = sprintf(head, "HTTP/1.1 200 OK\r\nSet-Cookie: k=a");
        head[n++] = (char)c;
        n += sprintf(head + n, "b; path=/\r\n");
        head_is(head, (size_t)n, c == 0 || c == '\r' || c == '\n' ? UNSB_E_HTTP : UNSB_OK);
        n = sprintf(head, "HTTP/1.1 200 OK\r\nContent-Length: 4");
        head[n++] = (char)c;
        n += sprintf(head + n, "\r\n");
        if (c != '\n' && c != '\r')
            head_is(head, (size_t)n,
                    c == ' ' || c == '\t' || c == ',' ? c == ',' ? UNSB_E_HTTP : UNSB_OK
                                                      : UNSB_E_HTTP);
    }
    HEAD_IS("\r\nHTTP/1.1 200 OK\r\n", UNSB_OK);
    HEAD_IS("\nHTTP/1.1 200 OK\r\n", UNSB_OK);
    HEAD_IS("\r\n\r\nHTTP/1.1 200 OK\r\n", UNSB_OK);
    HEAD_IS("HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 200 OK\r\n", UNSB_OK);
    HEAD_IS("HTTP/1.1 103 Hints\r\nX: y\r\n\r\n\r\n\r\nHTTP/1.1 200 OK\r\n", UNSB_OK);
    HEAD_IS(" HTTP/1.1 200 OK\r\n", UNSB_E_HTTP);
    HEAD_IS("\r\n HTTP/1.1 200 OK\r\n", UNSB_E_HTTP);
    HEAD_IS("x\r\nHTTP/1.1 200 OK\r\n", UNSB_E_HTTP);
}

/* Empty lines are no way to keep a client busy for ever. */
static void test_endless_empty_lines(void **state)
{
    static char text[70000];
    size_t i;

    (void)state;
    for (i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\r\n", 2);
    begin_with(text, &blocking);
    assert_int_equal(request(), UNSB_E_HEAD_SIZE);
    finish();
}

static void test_trailers_pass(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "4\r\ngood\r\n0\r\nno colon here\r\nX: y\r\n\r\n";

    (void)state;
    begin_with(text, &blocking);
    assert_int_equal(request(), UNSB_OK);
    assert_string_equal(stage.out, "good");
    assert_int_equal(request(), UNSB_OK);
    assert_int_equal(stage.io.count, io_connections(2));
    finish();
}

#define TEST(function) cmocka_unit_test_teardown(function, stage_down)

#if UNSB_SIGNING
static void signing(unsb_config *config)
{
    config->secret_key = "unsb-sk-secret";
}
#endif

/* What a developer sees of a call: every state, both heads whole, nothing secret, no body. */
static void test_trace(void **state)
{
    static const unsb_header otp = {"X-Sudo-OTP", "123456"};
    static const char head[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
                               "Content-Length: 7\r\nX-Its: own\r\n\r\n";
    static const char wanted[] =
        "POST /x HTTP/1.1\r\nHost: api.unsandbox.com\r\nAuthorization: Bearer ***"
#if UNSB_SIGNING
        "\r\nX-Timestamp: 1700000000\r\nX-Signature: ***"
#endif
        "\r\nContent-Type: application/json\r\nContent-Length: 7"
#if !UNSB_KEEP_ALIVE
        "\r\nConnection: close"
#endif
        "\r\nAccept-Encoding: identity\r\nUser-Agent: unsandbox.h/" UNSB_VERSION_TEXT
        "\r\nX-Sudo-OTP: ***\r\n\r\n";
    char reply[sizeof head + 8], masked[4096];
    size_t buffer;

    (void)state;
    snprintf(reply, sizeof reply, "%s%s", head, "0123456");
    for (buffer = 128; buffer <= 1024; buffer *= 2) {
        const way w = {buffer, buffer == 256 ? 1 : 0, buffer == 512, false};
        char *at, *to = masked;
#if UNSB_SIGNING
        stage.configure = signing;
#endif
        begin_with(reply, &w);
        stage.configure = NULL;
        memset(traced, 0, sizeof traced);
        call.method = "POST";
        call.body = unsb_text("{\"a\":1}");
        call.headers = &otp;
        call.header_count = 1;
        assert_int_equal(request(), UNSB_OK);
        assert_string_equal(traced[0], "measure connect send receive idle ");
        assert_string_equal(traced[2], head);
        /* a field that the buffer's end cuts is masked twice */
        for (at = traced[1]; *at != '\0'; at++)
            if (strncmp(at, "******", 6) != 0)
                *to++ = *at;
            else
                at += 2;
        *to = '\0';
        assert_string_equal(masked, wanted);
        finish();
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_body_is_framed),
        TEST(test_methods_and_paths),
        TEST(test_header_fields),
        TEST(test_many_header_fields),
        TEST(test_job_ids),
        TEST(test_configurations_refused),
        TEST(test_trickle),
        TEST(test_every_status),
        TEST(test_broken_refusals),
        TEST(test_broken_successes),
        TEST(test_retries_of_refusals_with_bodies),
        TEST(test_no_retry_of_what_was_delivered),
        TEST(test_what_costs_the_connection),
        TEST(test_304),
        TEST(test_keep_alive),
        TEST(test_answer_before_the_request),
        TEST(test_greeting_that_breaks_off),
        TEST(test_early_answers),
        TEST(test_heads),
        TEST(test_endless_empty_lines),
        TEST(test_trailers_pass),
        TEST(test_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
