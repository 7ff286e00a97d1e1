/* Whole conversations, replayed in pieces of every size, with nothing ready at first, with a fault
 * at every call of the transport, and with responses that are cut at every byte. */
#include "script_io.h"

#define CODE "print(open('data.bin','rb').read())"

static script_io io;
static io_script script;
static unsb_client client;
static unsb_result result;
static unsb_config config;
static char *buffer;
static char out_text[64], seen[128];
static size_t seen_size;
static unsigned polls; /* of the job; the third one finds it over */

enum { EXECUTE, RUN_ASYNC, WAIT, LIST, STEPS };

static bool is_step(unsigned which)
{
    return which == EXECUTE || (which == RUN_ASYNC && UNSB_RUN && UNSB_JOBS) ||
           (which == WAIT && UNSB_JOBS) || (which == LIST && UNSB_LISTS);
}

static int see(const void *data, size_t size)
{
    assert_true(seen_size + size < sizeof seen);
    memcpy(seen + seen_size, data, size);
    seen_size += size;
    seen[seen_size] = '\0';
    return 0;
}

static int see_artifact(void *context, const unsb_artifact *artifact)
{
    (void)context;
    if (!artifact->end)
        return see(artifact->data, artifact->size);
    (void)see("|", 1);
    return see(artifact->filename, strlen(artifact->filename));
}

static int see_item(void *context, const unsb_result *item)
{
    (void)context;
    (void)see(item->job_id, strlen(item->job_id));
    return see(";", 1);
}

static const char *answer(const char *request)
{
    static const char *execute, *async, *running, *completed, *list;

    if (execute == NULL) {
        execute = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "31\r\n{\"success\":true,\"exit_code\":0,\"stdout\":\"the data\"\r\n"
                  "4E\r\n,\"artifacts\":[{\"content_base64\":\"YW4gYXJ0aWZhY3Q=\","
                  "\"filename\":\"a.out\"}],\"x\":1}\r\n0\r\n\r\n";
        async = io_reply(200, "", "{\"job_id\":\"job_1\",\"status\":\"pending\"}");
        running = io_reply(200, "", "{\"status\":\"running\"}");
        completed = io_reply(200, "",
                             "{\"status\":\"completed\",\"result\":{\"stdout\":\"job\","
                             "\"exit_code\":3}}");
        list = io_reply(200, "", "{\"jobs\":[{\"job_id\":\"one\"},{\"job_id\":\"two\"}]}\n");
    }
    if (strncmp(request, "POST /execute ", 14) == 0)
        return execute;
    if (strncmp(request, "POST /run/async?", 16) == 0)
        return async;
    if (strncmp(request, "GET /jobs/job_1 ", 16) == 0)
        return ++polls < 3 ? running : completed;
    assert_int_equal(strncmp(request, "GET /jobs ", 10), 0);
    return list;
}

static void start(size_t buffer_size, bool nonblocking, unsigned retries)
{
    io_free(&io);
    memset(&script, 0, sizeof script);
    script.answer = answer;
    io_setup(&io, &script, 1);
    polls = 0;
    free(buffer);
    buffer = (char *)malloc(buffer_size);
    assert_non_null(buffer);
    config = io_config(&io, buffer, buffer_size, nonblocking);
    config.retries = (uint8_t)retries;
    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
}

static int stop(void **state)
{
    (void)state;
    io_free(&io);
    memset(&io, 0, sizeof io);
    free(buffer);
    buffer = NULL;
    return 0;
}

static int file_read(void *context, unsb_size offset, void *data, size_t size)
{
    size_t i, n = size > 50 ? 50 : size;

    (void)context;
    for (i = 0; i < n; i++)
        ((uint8_t *)data)[i] = (uint8_t)(offset + i);
    return (int)n;
}

/* Performs one step; a success is checked to be a true one. */
static int step(unsigned which)
{
    static const unsb_env env = {"NAME", "value"};
    unsb_program program;
    unsb_file file;
    static char name[16];
    int rc;

    memset(&program, 0, sizeof program);
    memset(&file, 0, sizeof file);
    memset(&result, 0, sizeof result);
    memset(name, 0, sizeof name);
    seen_size = 0;
    seen[0] = '\0';
    result.out = unsb_into(out_text, sizeof out_text);
    result.artifact_name = unsb_into(name, sizeof name);
    result.on_artifact = see_artifact;
    result.on_item = see_item;
    program.code = unsb_text(CODE);
    program.env = &env;
    program.env_count = 1;
    switch (which) {
    case EXECUTE:
        program.language = "python";
        program.files = &file;
        program.file_count = 1;
        file.name = "data.bin";
        file.source.size = 301;
        file.source.read = file_read;
        rc = io_finish(&io, &client, unsb_execute(&client, &program, &result));
        if (rc == UNSB_OK) {
            assert_string_equal(out_text, "the data");
            if (UNSB_ARTIFACTS)
                assert_string_equal(seen, "an artifact|a.out");
            assert_int_equal(result.given, UNSB_GIVEN_SUCCESS | UNSB_GIVEN_EXIT_CODE);
        }
        break;
    case RUN_ASYNC:
        rc = io_finish(&io, &client, unsb_run_async(&client, &program, &result));
        if (rc == UNSB_OK)
            assert_string_equal(result.job_id, "job_1");
        break;
    case WAIT:
        rc = io_finish(&io, &client, unsb_job_wait(&client, "job_1", 0, &result));
        if (rc == UNSB_OK) {
            assert_int_equal(result.status, UNSB_STATUS_COMPLETED);
            assert_string_equal(out_text, "job");
            assert_int_equal(result.exit_code, 3);
        }
        break;
    default:
        rc = io_finish(&io, &client, unsb_job_list(&client, &result));
        if (rc == UNSB_OK)
            assert_string_equal(seen, "one;two;");
        break;
    }
    assert_true(rc <= UNSB_OK);
    assert_int_equal(unsb_poll(&client), rc);
    return rc;
}

/* How many requests on all connections begin with this line; `whole`: and are complete. */
static unsigned count_sent(const char *line, bool whole)
{
    unsigned n = 0, r;
    size_t i, size = strlen(line);

    for (i = 0; i < io.count; i++) {
        const io_connection *c = &io.connection[i];
        for (r = 0; r <= c->requests; r++) {
            size_t at = c->request_at[r];
            size_t left = c->sent_size - at;
            if (left == 0 || (r == c->requests && whole))
                continue;
            n += memcmp(c->sent + at, line, left < size ? left : size) == 0;
        }
    }
    return n;
}

/* The connections of all steps, if nothing goes wrong. */
static unsigned connections_of_all(void)
{
    return io_connections(1u + is_step(RUN_ASYNC) + (is_step(WAIT) ? 3 : 0) + is_step(LIST));
}

/* `retried`: one of the connections did not come about, or ended before its time. */
static void all_succeed(bool retried)
{
    unsigned which;

    for (which = 0; which < STEPS; which++)
        if (is_step(which))
            assert_int_equal(step(which), UNSB_OK);
    assert_int_equal(count_sent("POST /execute ", true), 1);
    assert_int_equal(count_sent("POST /run/async?", true), is_step(RUN_ASYNC));
    assert_int_equal(polls, is_step(WAIT) ? 3 : 0);
    assert_int_equal(io.connects, connections_of_all() + retried);
    unsb_close(&client);
    assert_false(io.connected);
}

/* All that was sent, on whichever connection; the caller frees it. */
static char *all_sent(size_t *size)
{
    char *all;
    size_t i, n = 0;

    for (i = 0; i < io.count; i++)
        n += io.connection[i].sent_size;
    all = (char *)malloc(n);
    assert_non_null(all);
    *size = n;
    for (n = i = 0; i < io.count; n += io.connection[i++].sent_size)
        memcpy(all + n, io.connection[i].sent, io.connection[i].sent_size);
    return all;
}

/* The bytes on the wire do not depend on how they get there. */
static void test_pieces(void **state)
{
    static const size_t sizes[] = {128, 4096};
    char *expected = NULL, *sent;
    size_t expected_size = 0, sent_size, piece, s;
    unsigned mode;

    (void)state;
    for (s = 0; s < COUNT(sizes); s++)
        for (piece = 0; piece <= 60; piece++)
            for (mode = 0; mode < 4; mode++) {
                start(sizes[s], (mode & 1) != 0, 0);
                io.send_piece = io.recv_piece = piece;
                if (piece > 20) { /* of random sizes */
                    io.send_piece = io.recv_piece = piece - 20;
                    io.random = 77 + (uint32_t)piece;
                }
                io.stutter = mode >= 2;
                io.connect_pending = mode >= 2 ? (unsigned)piece : 0;
                all_succeed(false);
                if (expected == NULL)
                    expected = all_sent(&expected_size);
                sent = all_sent(&sent_size);
                assert_int_equal(sent_size, expected_size);
                assert_memory_equal(sent, expected, expected_size);
                free(sent);
            }
    free(expected);
}

/* One fault at the call `at`: true while the conversation is that long. */
static bool one_fault(size_t buffer_size, unsigned mode, int fault, unsigned at)
{
    static const char *const lines[] = {"POST /execute ", "POST /run/async?"};
    unsigned which, failed = 0, retries = (mode & 4) != 0 ? 2 : 0;
    int rc;

    start(buffer_size, (mode & 1) != 0, retries);
    io.stutter = (mode & 2) != 0;
    io.connect_pending = 2;
    io.send_piece = buffer_size > 128 ? 300 : 0;
    io.recv_piece = 33;
    io.fault_at = at;
    io.fault = fault;
    for (which = 0; which < STEPS; which++) {
        unsigned calls = io.calls;
        if (!is_step(which))
            continue;
        rc = step(which);
        if (which < 2) {
            assert_true(count_sent(lines[which], false) <= 1);
            if (rc == UNSB_OK)
                assert_int_equal(count_sent(lines[which], true), 1);
        }
        if (rc == UNSB_OK)
            continue;
        failed++;
        /* it failed because of the fault, and says so */
        assert_true(calls < at && at <= io.calls);
        assert_true(rc == fault || (fault == UNSB_E_CLOSED && rc == UNSB_E_TRUNCATED));
        assert_false(io.connected || io.connecting);
    }
    assert_true(failed <= 1); /* what follows a failure works, on a connection of its own */
    assert_true(io.connects <= connections_of_all() + 1);
    assert_true(at <= io.calls || (failed == 0 && io.connects == connections_of_all()));
    unsb_close(&client);
    return at <= io.calls;
}

static void test_fault_at_every_call(void **state)
{
    static const int faults[] = {UNSB_E_IO, UNSB_E_CLOSED};
    static const size_t sizes[] = {128, 4096};
    unsigned mode, at;
    size_t s, f;

    (void)state;
    for (s = 0; s < COUNT(sizes); s++)
        for (f = 0; f < COUNT(faults); f++)
            for (mode = 0; mode < 8; mode++) {
                for (at = 1; one_fault(sizes[s], mode, faults[f], at); at++)
                    ;
                assert_true(at > (UNSB_JOBS ? 20 : 8));
            }
}

/* With a retry, no fault while connecting shows. */
static void test_faults_made_good(void **state)
{
    unsigned at, mode;

    (void)state;
    needs(UNSB_RETRIES);
    for (mode = 0; mode < 2; mode++)
        for (at = 1; at <= (mode == 0 ? 5u : 3u); at++) { /* a blocking client waits in between */
            start(128, mode == 1, 1);
            io.connect_pending = 2;
            io.fault_at = at;
            io.fault = UNSB_E_IO;
            all_succeed(true);
        }
}

/* ---- responses that are cut ---- */

static char cut_text[512];

static const char *cut_answer(const char *request)
{
    return strncmp(request, "POST /execute ", 14) == 0 ? cut_text : answer(request);
}

static void test_truncated(void **state)
{
    static const char body[] =
        "{\"success\":true,\"exit_code\":0,\"stdout\":\"the data\",\"artifacts\":["
        "{\"content_base64\":\"YW4gYXJ0aWZhY3Q=\",\"filename\":\"a.out\"}]}";
    static const int ends[] = {UNSB_E_CLOSED, UNSB_E_IO, 0};
    static char framed[512], unframed[512];
    const char *replies[3], *whole;
    size_t r, n, e, head;
    unsigned mode;
    int rc;

    (void)state;
    snprintf(framed, sizeof framed, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
             sizeof body - 1, body);
    snprintf(unframed, sizeof unframed, "HTTP/1.0 200 OK\r\nServer: x\r\n\r\n%s", body);
    replies[0] = framed;
    replies[1] = unframed;
    replies[2] = answer("POST /execute ");
    for (r = 0; r < COUNT(replies); r++)
        for (e = 0; e < COUNT(ends); e++)
            for (mode = 0; mode < 4; mode++)
                for (n = 0; n < strlen(replies[r]); n++) {
                    whole = replies[r];
                    memcpy(cut_text, whole, n);
                    cut_text[n] = '\0';
                    start(128, (mode & 1) != 0, 0);
                    script.answer = n != 0 ? cut_answer : NULL;
                    script.end = ends[e];
                    io.recv_piece = mode >= 2 ? 1 : 0;
                    rc = step(EXECUTE);
                    assert_true(rc < 0);
                    head = (size_t)(strstr(whole, "\r\n\r\n") - whole) + 4;
                    if (n == 0 || ends[e] != UNSB_E_CLOSED)
                        assert_int_equal(rc, ends[e] == 0 ? UNSB_E_TIMEOUT : ends[e]);
                    else if (r == 1 && n >= head) /* only the JSON can tell */
                        assert_int_equal(rc, UNSB_E_JSON);
                    else
                        assert_int_equal(rc, UNSB_E_TRUNCATED);
                    assert_false(io.connected);
                    assert_int_equal(count_sent("POST", false), 1);
                    script.answer = answer;
                    script.end = 0;
                    assert_int_equal(step(EXECUTE), UNSB_OK);
                    assert_int_equal(io.connects, 2);
                }
    /* and not cut */
    for (r = 0; r < COUNT(replies); r++) {
        strcpy(cut_text, replies[r]);
        start(128, false, 0);
        script.answer = cut_answer;
        script.end = UNSB_E_CLOSED;
        assert_int_equal(step(EXECUTE), UNSB_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_fault_at_every_call),
        cmocka_unit_test(test_faults_made_good),
        cmocka_unit_test(test_truncated),
    };

    return cmocka_run_group_tests_name("faults", tests, NULL, stop);
}
