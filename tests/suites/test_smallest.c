/* The smallest client: every feature that an option leaves out is left out. A program runs over a
 * scripted transport, in pieces of any size; what was left out fails as the manual says. */
#define UNSB_FILES 0
#define UNSB_ARTIFACTS 0
#define UNSB_SETTINGS 0
#define UNSB_NUMBERS 0
#define UNSB_DETAILS 0
#define UNSB_RETRIES 0
#define UNSB_KEEP_ALIVE 0
#define UNSB_UTF8 0
#define UNSB_JOBS 0
#define UNSB_RUN 0
#define UNSB_REQUEST 0
#define UNSANDBOX_IMPLEMENTATION
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "unsandbox.h"

typedef struct wire {
    const char *reply;
    size_t reply_size, at, piece;
    char sent[2048];
    size_t sent_size;
    unsigned connects, closes;
    bool open, first; /* `first`: it speaks before it was asked */
} wire;

static int wire_connect(void *context, const char *host, uint16_t port)
{
    wire *w = (wire *)context;

    assert_string_equal(host, "api.unsandbox.com");
    assert_int_equal(port, 443);
    assert_false(w->open);
    w->open = true;
    w->at = w->sent_size = 0;
    w->connects++;
    return UNSB_OK;
}

static int wire_send(void *context, const void *data, size_t size)
{
    wire *w = (wire *)context;
    size_t n = size < w->piece ? size : w->piece;

    assert_true(w->open);
    assert_true(w->sent_size + n < sizeof w->sent);
    memcpy(w->sent + w->sent_size, data, n);
    w->sent_size += n;
    w->sent[w->sent_size] = '\0';
    return (int)n;
}

static int wire_recv(void *context, void *data, size_t size)
{
    wire *w = (wire *)context;
    size_t n = size < w->piece ? size : w->piece;

    assert_true(w->open);
    if (w->sent_size == 0 && !w->first)
        return 0;
    if (n > w->reply_size - w->at)
        n = w->reply_size - w->at;
    if (n == 0)
        return UNSB_E_CLOSED;
    memcpy(data, w->reply + w->at, n);
    w->at += n;
    return (int)n;
}

static void wire_close(void *context)
{
    wire *w = (wire *)context;

    w->open = false;
    w->closes++;
}

static int wire_wait(void *context, int interest, uint32_t timeout_ms)
{
    (void)context, (void)interest, (void)timeout_ms;
    return UNSB_OK;
}

static const unsb_transport_class wire_class = {wire_connect, wire_send, wire_recv, wire_close,
                                                wire_wait,    NULL,      NULL};

typedef struct outcome {
    int rc;
    unsb_result result;
    char out[64], err[64];
    wire wire;
} outcome;

/* `times`, one after the other, with one client: the last one's outcome. Each has a connection of
 * its own, which is closed when it is over. */
static void run_again(outcome *o, const char *reply, size_t piece, bool first, unsigned times)
{
    unsigned n;
    char buffer[UNSB_BUFFER_MIN];
    unsb_client client;
    unsb_config config;
    unsb_program program;

    memset(o, 0, sizeof *o);
    o->wire.first = first;
    memset(&config, 0, sizeof config);
    memset(&program, 0, sizeof program);
    o->wire.reply = reply;
    o->wire.reply_size = strlen(reply);
    o->wire.piece = piece;
    config.transport.vtable = &wire_class;
    config.transport.context = &o->wire;
    config.api_key = "unsb-pk-1";
    config.buffer = buffer;
    config.buffer_size = sizeof buffer;
    program.language = "python";
    program.code.data = "print(\"\xC3\xA9\")\n";
    program.code.size = (unsb_size)strlen((const char *)program.code.data);
    o->result.out.data = o->out;
    o->result.out.capacity = sizeof o->out;
    o->result.err.data = o->err;
    o->result.err.capacity = sizeof o->err;
    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
    for (n = 1; n <= times; n++) {
        o->rc = unsb_execute(&client, &program, &o->result);
        assert_false(o->wire.open);
        assert_int_equal(o->wire.connects, n);
        assert_int_equal(o->wire.closes, n);
        if (!first)
            assert_non_null(strstr(o->wire.sent, "\r\nConnection: close\r\n"));
    }
    unsb_close(&client);
    assert_int_equal(o->wire.closes, times);
}

static void run(outcome *o, const char *reply, size_t piece)
{
    run_again(o, reply, piece, false, 1);
}

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

static const char chunked[] = HEAD "Transfer-Encoding: chunked\r\n\r\n"
    "21\r\n{\"success\": true, \"stdout\": \"a\\n\\\r\n"
    "1B\r\nu00e9\", \"stderr\": \"warning\"\r\n"
    "38\r\n, \"exit_code\": 0, \"x\": [1e5, 0.5], \"total_time_ms\": 523}\r\n0\r\n\r\n";

static void test_execute(void **state)
{
    static const char body[] = "{\"language\":\"python\",\"code\":\"print(\\\"\xC3\xA9\\\")\\n\"}";
    size_t piece;
    outcome o;

    (void)state;
    for (piece = 1; piece < 200; piece++) {
        run(&o, chunked, piece);
        assert_int_equal(o.rc, UNSB_OK);
        assert_true(o.result.success);
        assert_int_equal(o.result.http_status, 200);
        assert_int_equal(o.result.exit_code, 0);
        assert_string_equal(o.out, "a\n\xC3\xA9");
        assert_string_equal(o.err, "warning");
        assert_non_null(strstr(o.wire.sent, "POST /execute HTTP/1.1\r\nHost: api.unsandbox.com\r\n"));
        assert_non_null(strstr(o.wire.sent, "\r\nAuthorization: Bearer unsb-pk-1\r\n"));
        assert_string_equal(strstr(o.wire.sent, "\r\n\r\n") + 4, body);
    }
}

static void check_exit(const char *reply, int rc, bool given, int32_t exit_code)
{
    outcome o;

    run(&o, reply, 7);
    assert_int_equal(o.rc, rc);
    assert_int_equal((o.result.given & UNSB_GIVEN_EXIT_CODE) != 0, given);
    assert_int_equal(o.result.exit_code, exit_code);
}

static void test_exit_codes(void **state)
{
    (void)state;
    check_exit(HEAD "\r\n{\"exit_code\":-11,\"success\":false}", UNSB_OK, true, -11);
    check_exit(HEAD "\r\n{\"exit_code\":3221225477,\"success\":false}", UNSB_OK, true, -1073741819);
    check_exit(HEAD "\r\n{\"exit_code\":4294967295,\"success\":false}", UNSB_OK, true, -1);
    check_exit(HEAD "\r\n{\"exit_code\":4294967296,\"success\":false}", UNSB_OK, false, 0);
    check_exit(HEAD "\r\n{\"exit_code\":1.0,\"success\":false}", UNSB_OK, true, 1);
    check_exit(HEAD "\r\n{\"exit_code\":1.5,\"success\":false}", UNSB_OK, false, 0);
    check_exit(HEAD "\r\n{\"exit_code\":1e1,\"success\":false}", UNSB_OK, false, 0);
    check_exit(HEAD "\r\n{\"exit_code\":1e,\"success\":false}", UNSB_E_JSON, false, 0);
}

/* A run that became a job cannot be followed; it is named. */
static void test_job(void **state)
{
    outcome o;

    (void)state;
    run(&o, "HTTP/1.1 202 Accepted\r\nContent-Length: 37\r\n\r\n"
            "{\"job_id\": \"j-17\", \"status\":\"pending\"}", 50);
    assert_int_equal(o.rc, UNSB_E_JSON); /* 37 bytes are not all of it */
    run(&o, "HTTP/1.1 202 Accepted\r\nContent-Length: 38\r\n\r\n"
            "{\"job_id\": \"j-17\", \"status\":\"pending\"}", 50);
    assert_int_equal(o.rc, UNSB_E_RESPONSE);
    assert_string_equal(o.result.job_id, "j-17");
    assert_int_equal(o.result.status, UNSB_STATUS_PENDING);
}

static void test_refusals(void **state)
{
    outcome o;

    (void)state;
    run(&o, "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 41\r\n\r\n"
            "{\"error\": \"rate\", \"message\": \"too many\"} ", 9);
    assert_int_equal(o.rc, UNSB_E_RATE_LIMITED);
    assert_int_equal(o.result.retry_after_s, 7);
    assert_string_equal(o.result.error, "rate");
    assert_string_equal(o.result.message, "too many");
    run(&o, "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"stdout\":", 9);
    assert_int_equal(o.rc, UNSB_E_TRUNCATED);
    run(&o, "", 9);
    assert_int_equal(o.rc, UNSB_E_CLOSED);
}

/* No connection is kept, whatever the peer says of it; none is used on which it speaks first. */
static void test_connections(void **state)
{
    static const char reply[] = HEAD "Connection: keep-alive\r\nContent-Length: 30\r\n\r\n"
                                     "{\"exit_code\":0,\"stdout\":\"it\"} and more";
    size_t piece;
    outcome o;

    (void)state;
    for (piece = 1; piece < 200; piece++) {
        run_again(&o, reply, piece, false, 3);
        assert_int_equal(o.rc, UNSB_OK);
        assert_string_equal(o.out, "it");
        run_again(&o, reply, piece, true, 2);
        assert_int_equal(o.rc, UNSB_E_HTTP);
        assert_int_equal(o.wire.sent_size, 0);
        assert_int_equal(o.result.http_status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_execute),
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_job),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_connections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
