/* From responses to results, and how an operation goes on when something goes wrong. */
#include "script_io.h"

#define OWN_CODE (UNSB_E_USER - 7)
#define ID "a1b2c3d4-e5f6-7890-abcd-ef1234567890"

static script_io io;
static io_script scripts[IO_CONNECTIONS];
static unsb_client client;
static unsb_result result;
static unsb_config config;
static unsb_key key_info;
static unsb_program program;
static unsb_call call;
static char *buffer;
static char out_text[64], err_text[64], name_text[16];

/* What the callbacks saw. */
static struct {
    char text[4096]; /* "|": on_artifact with `end`; "\n": after an item; "!": start over */
    size_t size;
    int code; /* returned ... */
    unsigned at, calls; /* ... from this call on, counted from 1 */
    bool abort;
    unsigned index;
} seen;

static int see(const void *data, size_t size)
{
    assert_true(seen.size + size < sizeof seen.text);
    memcpy(seen.text + seen.size, data, size);
    seen.size += size;
    seen.text[seen.size] = '\0';
    seen.calls++;
    if (seen.at == 0 || seen.calls < seen.at)
        return 0;
    if (seen.abort)
        unsb_abort(&client);
    return seen.code;
}

static int see_write(void *context, const void *data, size_t size)
{
    assert_ptr_equal(context, &seen);
    return size == 0 ? see("!", 1) : see(data, size);
}

static int see_artifact(void *context, const unsb_artifact *artifact)
{
    char end[64];

    assert_ptr_equal(context, &seen);
    seen.index = artifact->index;
    if (!artifact->end) {
        assert_true(artifact->size != 0);
        return see(artifact->data, artifact->size);
    }
    assert_int_equal(artifact->size, 0);
    snprintf(end, sizeof end, "|%u:%s|", artifact->index, artifact->filename);
    return see(end, strlen(end));
}

static int see_item(void *context, const unsb_result *item)
{
    char text[256];

    assert_ptr_equal(context, &seen);
    assert_ptr_equal(item, &result);
    snprintf(text, sizeof text, "%s,%d,%s,%ld%s\n", item->job_id, (int)item->status,
             item->language, (long)item->created_at, item->submitted_at);
    return see(text, strlen(text));
}

/* What passes artifacts by, so that their names are read. */
static int pass_artifact(void *context, const unsb_artifact *artifact)
{
    (void)context;
    (void)artifact;
    return UNSB_OK;
}

/* The least that tells how a run ended. */
#define DONE "{\"exit_code\":0}" /* 15 bytes */

static void setup(size_t buffer_size, bool nonblocking)
{
    io_free(&io);
    io_setup(&io, scripts, 1);
    free(buffer);
    buffer = (char *)malloc(buffer_size);
    assert_non_null(buffer);
    config = io_config(&io, buffer, buffer_size, nonblocking);
    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
    memset(&seen, 0, sizeof seen);
    memset(&result, 0, sizeof result);
    memset(&program, 0, sizeof program);
    result.out = unsb_into(out_text, sizeof out_text);
    result.err = unsb_into(err_text, sizeof err_text);
    result.artifact_name = unsb_into(name_text, sizeof name_text);
    result.context = &seen;
    program.language = "python";
    program.code = unsb_text("print(6*7)");
    memset(&call, 0, sizeof call);
    call.method = "GET";
    call.path = "/x";
}

/* The same, with all connections and replies alike. */
static void start(const char *reply, size_t buffer_size, bool nonblocking)
{
    size_t i;

    memset(scripts, 0, sizeof scripts);
    for (i = 0; i < IO_REPLIES; i++)
        scripts[0].replies[i] = reply;
    setup(buffer_size, nonblocking);
}

/* The same, with one reply to each connection, after which recv returns `end`. */
static void start_once(const char *reply, int end, size_t buffer_size, bool nonblocking)
{
    start(NULL, buffer_size, nonblocking);
    scripts[0].replies[0] = reply;
    scripts[0].end = end;
}

/* Takes over a changed configuration. */
static void configure(void)
{
    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
}

static int finish(int rc)
{
    return io_finish(&io, &client, rc);
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

static int do_execute(void)
{
    return unsb_execute(&client, &program, &result);
}

static int do_execute_async(void)
{
    return unsb_execute_async(&client, &program, &result);
}

static int do_run(void)
{
    program.language = NULL;
    program.code = unsb_text("#!/bin/sh\n");
    return unsb_run(&client, &program, &result);
}

static int do_run_async(void)
{
    program.language = NULL;
    program.code = unsb_text("#!/bin/sh\n");
    return unsb_run_async(&client, &program, &result);
}

/* A result that is read by GET: a job's, or where there are none, that of any other such call. */
#define GETS (UNSB_JOBS || UNSB_REQUEST)

static int do_get(void)
{
#if UNSB_JOBS || !UNSB_REQUEST
    return unsb_job_get(&client, ID, &result);
#else
    static unsb_call get;

    get.method = "GET";
    get.path = "/jobs/" ID;
    get.answer = UNSB_ANSWER_RESULT;
    return unsb_request(&client, &get, &result);
#endif
}

static int do_wait(void)
{
    return unsb_job_wait(&client, ID, 0, &result);
}

static int do_cancel(void)
{
    return unsb_job_cancel(&client, ID, &result);
}

static int do_list(void)
{
    return unsb_job_list(&client, &result);
}

static int do_languages(void)
{
    return unsb_languages(&client, &result);
}

static int do_validate(void)
{
    return unsb_key_validate(&client, &key_info, &result);
}

static int do_call(void)
{
    return unsb_request(&client, &call, &result);
}

static bool holds_key(const void *memory, size_t size)
{
    const char *p = (const char *)memory;
    size_t length = strlen(IO_KEY), i;

    for (i = 0; i + length <= size; i++)
        if (memcmp(p + i, IO_KEY, length) == 0)
            return true;
    return false;
}

/* Performs an operation against one reply, in every way in which it can arrive. */
static void each_way(const char *reply, int (*operation)(void), int expected, void (*check)(void),
                     void (*prepare)(void))
{
    static const size_t sizes[] = {128, 131, 1024};
    static const size_t pieces[] = {0, 1, 2, 5, 13};
    size_t s, p;
    unsigned mode;

    for (s = 0; s < COUNT(sizes); s++)
        for (p = 0; p < COUNT(pieces); p++)
            for (mode = 0; mode < 4; mode++) {
                start(reply, sizes[s], (mode & 1) != 0);
                io.recv_piece = pieces[p];
                io.stutter = mode >= 2;
                if (prepare != NULL)
                    prepare();
                assert_int_equal(finish(operation()), expected);
                assert_int_equal(unsb_poll(&client), expected); /* also when asked again */
                assert_int_equal(unsb_poll(&client), expected);
                assert_false(holds_key(&result, sizeof result));
                assert_false(holds_key(&key_info, sizeof key_info));
                assert_false(holds_key(out_text, sizeof out_text));
                if (check != NULL)
                    check();
                unsb_close(&client);
            }
}

static void answers(const char *body, int (*operation)(void), int expected, void (*check)(void))
{
    each_way(io_reply(200, "", body), operation, expected, check, NULL);
}

static int quick(const char *body, int (*operation)(void))
{
    start(io_reply(200, "", body), 128, false);
    return operation();
}

/* ---- results ---- */

#define GIVEN_RESULT (UNSB_GIVEN_SUCCESS | UNSB_GIVEN_EXIT_CODE | UNSB_GIVEN_TOTAL_TIME_MS)

static void check_execute(void)
{
    assert_int_equal(result.http_status, 200);
    assert_int_equal(result.given, GIVEN(GIVEN_RESULT));
    assert_true(result.success);
    assert_int_equal(result.exit_code, 0);
    assert_string_equal(out_text, "Hello from unsandbox!\n");
    assert_int_equal(result.out.size, 22);
    assert_string_equal(err_text, "");
    assert_int_equal(result.err.size, 0);
    assert_string_equal(result.job_id, ID);
    if (UNSB_DETAILS) {
        assert_true(result.total_time_ms == 523);
        assert_string_equal(result.language, "python");
        assert_string_equal(result.execution_mode, "pooled");
        assert_string_equal(result.network_mode, "zerotrust");
    }
    assert_string_equal(result.detected_language, "");
    assert_string_equal(result.error, "");
    assert_string_equal(result.message, "");
    assert_int_equal(result.status, UNSB_STATUS_NONE);
}

static void check_failed_program(void)
{
    assert_int_equal(result.given, UNSB_GIVEN_SUCCESS | UNSB_GIVEN_EXIT_CODE);
    assert_false(result.success);
    assert_int_equal(result.exit_code, 1);
    assert_string_equal(err_text, "Traceback \"x\"\n");
    if (UNSB_DETAILS)
        assert_string_equal(result.detected_language, "python");
}

static void check_pending(void)
{
    assert_string_equal(result.job_id, "c3d4");
    assert_int_equal(result.status, UNSB_STATUS_PENDING);
    assert_int_equal(result.given, 0);
}

static void check_job(void)
{
    assert_string_equal(result.job_id, ID); /* the one that was asked for */
    assert_int_equal(result.status, UNSB_STATUS_COMPLETED);
    assert_int_equal(result.given,
                     GIVEN(GIVEN_RESULT | UNSB_GIVEN_CREATED_AT | UNSB_GIVEN_STARTED_AT |
                           UNSB_GIVEN_COMPLETED_AT));
    assert_string_equal(out_text, "42\n");
    if (UNSB_DETAILS) {
        assert_true(result.created_at == 1699564800);
        assert_true(result.started_at == 1699564801);
        assert_true(result.completed_at == 1699564805);
        assert_string_equal(result.detected_language, "python");
    }
}

static void check_cancelled(void)
{
    assert_string_equal(result.message, "Job cancelled");
    assert_string_equal(result.job_id, ID);
    assert_string_equal(out_text, "Partial output before cancel...");
    assert_int_equal(result.exit_code, -1);
    assert_int_equal(result.given, GIVEN(GIVEN_RESULT));
    if (UNSB_DETAILS)
        assert_true(result.total_time_ms == 1523);
    assert_false(result.success);
}

#define EXECUTED                                                                                   \
    "{\"success\": true, \"stdout\": \"Hello from unsandbox!\\n\", \"stderr\": \"\", "             \
    "\"exit_code\": 0,\n \"language\": \"python\", \"job_id\": \"" ID "\", \"artifacts\": [], "    \
    "\"execution_mode\": \"pooled\", \"network_mode\": \"zerotrust\", \"total_time_ms\": 523}"
#define JOB_RESULT                                                                                 \
    "\"result\": {\"success\": true, \"stdout\": \"42\\n\", \"stderr\": \"\", \"exit_code\": 0, "  \
    "\"language\": \"python\", \"detected_language\": \"python\", \"artifacts\": [], "             \
    "\"execution_mode\": \"pooled\", \"network_mode\": \"zerotrust\", \"total_time_ms\": 523}"

static void test_results(void **state)
{
    (void)state;
    answers(EXECUTED, do_execute, UNSB_OK, check_execute);
    answers("{\"success\":false,\"exit_code\":1,\"stderr\":\"Traceback \\\"x\\\"\\n\","
            "\"detected_language\":\"python\"}",
            UNSB_RUN ? do_run : do_execute, UNSB_OK, check_failed_program);
    if (UNSB_RUN)
        answers(EXECUTED, do_run, UNSB_OK, check_execute);
    if (!UNSB_JOBS)
        return;
    answers("{\"job_id\": \"c3d4\", \"status\": \"pending\"}", do_execute_async, UNSB_OK,
            check_pending);
    if (UNSB_RUN)
        answers("{\"job_id\": \"c3d4\", \"status\": \"pending\"}", do_run_async, UNSB_OK,
                check_pending);
    answers("{\"job_id\": \"" ID "\", \"status\": \"completed\", \"created_at\": 1699564800, "
            "\"started_at\": 1699564801, \"completed_at\": 1699564805, " JOB_RESULT "}",
            do_get, UNSB_OK, check_job);
    answers("{" JOB_RESULT ",\"completed_at\":1699564805,\"started_at\":1699564801,"
            "\"created_at\":1699564800,\"status\":\"completed\"}",
            do_wait, UNSB_OK, check_job);
    answers("{\"message\": \"Job cancelled\", \"job_id\": \"e5f6\", \"result\": {\"success\": "
            "false, \"stdout\": \"Partial output before cancel...\", \"stderr\": \"\", "
            "\"exit_code\": -1, \"language\": \"python\", \"artifacts\": [], \"execution_mode\": "
            "\"pooled\", \"network_mode\": \"zerotrust\", \"total_time_ms\": 1523}}",
            do_cancel, UNSB_OK, check_cancelled);
}

/* One processor is what it gets anyway. */
static void test_run_vcpu(void **state)
{
    (void)state;
    start(io_reply(200, "", DONE), 128, false);
    program.vcpu = 1;
    assert_int_equal(do_run(), UNSB_OK);
    program.vcpu = 2;
    assert_int_equal(do_run(), UNSB_E_ARGUMENT);
}

/* The id may be that of the result; nothing else of an earlier one stays. Times are kept as they
 * were written for the items of lists alone. */
static void test_result_again(void **state)
{
    static const char body[] = "{\"job_id\":\"" ID "\",\"status\":\"running\","
                               "\"created_at\":\"2024-01-15T10:30:00Z\"}";

    (void)state;
    start(io_reply(200, "", body), 128, false);
    strcpy(result.job_id, ID);
    strcpy(result.language, "old");
    strcpy(result.detected_language, "old");
    strcpy(result.submitted_at, "old");
    strcpy(result.message, "old");
    assert_int_equal(unsb_job_get(&client, result.job_id, &result), UNSB_OK);
    assert_string_equal(result.job_id, ID);
    assert_string_equal(result.message, "");
    if (!UNSB_DETAILS)
        return;
    assert_string_equal(result.language, "");
    assert_string_equal(result.detected_language, "");
    assert_string_equal(result.submitted_at, "");
    assert_true(result.created_at == 1705314600);
}

/* The framings of RFC 9112 carry the same result. */
static void test_framings(void **state)
{
    static char close_delimited[1024], chunked[2048], old[1024];
    const char *p = EXECUTED;
    size_t at;

    (void)state;
    snprintf(close_delimited, sizeof close_delimited, "HTTP/1.1 200 OK\r\n\r\n%s", EXECUTED);
    snprintf(old, sizeof old, "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(EXECUTED), EXECUTED);
    at = (size_t)snprintf(chunked, sizeof chunked,
                          "HTTP/1.1 102 Wait\r\nX: y\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 200 OK\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n");
    while (*p != '\0') {
        size_t n = strlen(p) < 11 ? strlen(p) : 11;
        at += (size_t)snprintf(chunked + at, sizeof chunked - at, "%zx;x=y\r\n%.*s\r\n", n, (int)n,
                               p);
        p += n;
    }
    snprintf(chunked + at, sizeof chunked - at, "0\r\nTrailer: x\r\n\r\n");
    each_way(chunked, do_execute, UNSB_OK, check_execute, NULL);
    each_way(old, do_execute, UNSB_OK, check_execute, NULL);
    start_once(close_delimited, UNSB_E_CLOSED, 128, false);
    assert_int_equal(do_execute(), UNSB_OK);
    check_execute();
    assert_false(io.connected);
    /* no clean end: what is missing nobody knows */
    start_once(close_delimited, UNSB_E_IO, 128, false);
    assert_int_equal(do_execute(), UNSB_E_IO);
    assert_false(io.connected);
}

static void test_statuses(void **state)
{
    static const struct {
        const char *word;
        unsb_status status;
    } words[] = {{"pending", UNSB_STATUS_PENDING},     {"running", UNSB_STATUS_RUNNING},
                 {"cancelled", UNSB_STATUS_CANCELLED}, {"completed", UNSB_STATUS_COMPLETED},
                 {"failed", UNSB_STATUS_FAILED},       {"timeout", UNSB_STATUS_TIMEOUT},
                 {"", UNSB_STATUS_UNKNOWN},            {"complete", UNSB_STATUS_UNKNOWN},
                 {"completed2", UNSB_STATUS_UNKNOWN},  {"Pending", UNSB_STATUS_PENDING},
                 {"p\\u0065nding", UNSB_STATUS_PENDING}, {"failed\\u0000", UNSB_STATUS_UNKNOWN},
                 {"-", UNSB_STATUS_UNKNOWN},           {"@", UNSB_STATUS_UNKNOWN},
                 {"error", UNSB_STATUS_UNKNOWN},       {"true", UNSB_STATUS_UNKNOWN}};
    char body[64];
    size_t i, piece;

    (void)state;
    for (i = 0; i < COUNT(words); i++)
        for (piece = 0; piece < 4; piece++) {
            snprintf(body, sizeof body, "{\"status\":\"%s\"}", words[i].word);
            start(io_reply(200, "", body), 128, false);
            io.recv_piece = piece;
            assert_int_equal(do_get(), UNSB_OK);
            assert_int_equal(result.status, words[i].status);
        }
    assert_int_equal(quick("{\"status\":null}", do_get), UNSB_OK);
    assert_int_equal(result.status, UNSB_STATUS_NONE);
    assert_true(UNSB_STATUS_UNKNOWN < UNSB_STATUS_CANCELLED);
}

static void check_absent(void)
{
    assert_int_equal(result.given, 0);
    assert_false(result.success);
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(result.status, UNSB_STATUS_NONE);
    assert_true(result.total_time_ms == 0 && result.created_at == 0);
    assert_string_equal(out_text, "");
    assert_string_equal(err_text, "");
    assert_int_equal(result.out.size, 0);
    assert_string_equal(result.language, "");
    assert_int_equal(result.http_status, 200);
}

static void fill_result(void)
{
    unsb_result kept = result;

    spoil_result(&result);
    memset(out_text, 0x5A, sizeof out_text);
    memset(err_text, 0x5A, sizeof err_text);
    result.out = kept.out;
    result.err = kept.err;
    result.artifact_name = kept.artifact_name;
    result.on_artifact = NULL;
    result.on_item = NULL;
    result.out.size = 99;
}

static void test_absent(void **state)
{
    (void)state;
    each_way(io_reply(200, "", "{}"), do_get, UNSB_OK, check_absent, fill_result);
    each_way(io_reply(200, "",
                      "{\"success\":null,\"stdout\":null,\"stderr\":null,\"exit_code\":null,"
                      "\"language\":null,\"job_id\":null,\"artifacts\":null,\"result\":null,"
                      "\"execution_mode\":null,\"network_mode\":null,\"total_time_ms\":null,"
                      "\"status\":null,\"created_at\":null,\"jobs\":null,\"error\":null}"),
             do_get, UNSB_OK, check_absent, fill_result);
    /* an execution of which nothing is told has no outcome */
    each_way(io_reply(200, "", "{}"), do_execute, UNSB_E_RESPONSE, NULL, fill_result);
    each_way(io_reply(200, "", "{\"data\":{\"stdout\":\"x\"}}"), do_execute, UNSB_E_RESPONSE, NULL,
             NULL);
    /* each number on its own, as 0 */
    assert_int_equal(quick("{\"exit_code\":0}", do_execute), UNSB_OK);
    assert_int_equal(result.given, UNSB_GIVEN_EXIT_CODE);
    assert_int_equal(quick("{\"success\":false}", do_execute), UNSB_OK);
    assert_int_equal(result.given, UNSB_GIVEN_SUCCESS);
    assert_int_equal(quick("{\"total_time_ms\":0}", do_get), UNSB_OK);
    assert_int_equal(result.given, GIVEN(UNSB_GIVEN_TOTAL_TIME_MS));
    assert_int_equal(quick("{\"created_at\":0}", do_get), UNSB_OK);
    assert_int_equal(result.given, GIVEN(UNSB_GIVEN_CREATED_AT));
    assert_int_equal(quick("{\"started_at\":0}", do_get), UNSB_OK);
    assert_int_equal(result.given, GIVEN(UNSB_GIVEN_STARTED_AT));
    assert_int_equal(quick("{\"completed_at\":0}", do_execute),
                     UNSB_DETAILS ? UNSB_OK : UNSB_E_RESPONSE);
    assert_int_equal(result.given, GIVEN(UNSB_GIVEN_COMPLETED_AT));
    assert_int_equal(quick("{\"concurrency_limit\":0}", do_get), UNSB_OK);
    assert_int_equal(result.given, GIVEN(UNSB_GIVEN_CONCURRENCY_LIMIT));
    /* a job must have a name, else it is lost */
    if (!UNSB_JOBS)
        return;
    assert_int_equal(quick("{\"status\":\"pending\"}", do_execute_async), UNSB_E_RESPONSE);
    if (!UNSB_RUN)
        return;
    assert_int_equal(quick("{\"job_id\":null}", do_run_async), UNSB_E_RESPONSE);
    assert_int_equal(quick("{\"job_id\":\"\"}", do_run_async), UNSB_E_RESPONSE);
    assert_int_equal(quick("{\"job_id\":\"a\\u0000b\"}", do_run_async), UNSB_E_RESPONSE);
    assert_int_equal(quick("{\"job_id\":\"a\\u002Fb\"}", do_run_async), UNSB_OK);
    assert_string_equal(result.job_id, "a/b");
}

static void test_unknown_fields(void **state)
{
    (void)state;
    /* what is known elsewhere means nothing here: deeper, in arrays, in artifacts, in items */
    answers("{\"x\":{\"stdout\":\"no\",\"exit_code\":7,\"result\":{\"stdout\":\"no\"},\"a\":[{}]},"
            "\"y\":[[1,\"stdout\",{\"success\":false}],null,true,-1.5e9],\"z\":\"stdout\","
            "\"stdouts\":\"no\",\"stdou\":\"no\",\"\":\"no\",\"success\\u0000\":false,"
            "\"success\": true, \"w\":1e999, \"v\":false, \"stdout\": \"Hello from unsandbox!\\n\","
            "\"filename\":5,\"content_base64\":\"!\",\"u\":null,\"exit_code\": 0,"
            "\"artifacts\":[{\"stdout\":\"no\",\"exit_code\":9,\"more\":{\"filename\":{}},"
            "\"content_base64\":\"\",\"job_id\":5,\"artifacts\":[{}]}],\"language\": \"python\","
            "\"job_id\": \"" ID "\",\"execution_mode\": \"pooled\",\"network_mode\": \"zerotrust\","
            "\"stderr\":\"\",\"total_time_ms\": 523,\"t\":{}}",
            do_execute, UNSB_OK, check_execute);
    assert_int_equal(quick("{\"result\":{\"result\":{\"exit_code\":5}}}", do_get), UNSB_OK);
    assert_int_equal(result.given, 0);
    /* texts that only inform are as if they were not given where they are something else */
    assert_int_equal(quick("{\"language\":[5],\"message\":{\"stdout\":\"x\"},\"error\":[[\"x\"]],"
                           "\"execution_mode\":true,\"network_mode\":false,\"exit_code\":3}",
                           do_execute),
                     UNSB_OK);
    assert_string_equal(result.language, "");
    assert_string_equal(result.message, "");
    assert_string_equal(result.error, "");
    assert_string_equal(out_text, "");
    assert_int_equal(result.exit_code, 3);
}

static void prepare_sinks(void)
{
    result.out.write = see_write;
    result.out.context = &seen;
}

static void check_duplicates(void)
{
    assert_string_equal(out_text, "two");
    assert_int_equal(result.out.size, 3);
    assert_int_equal(result.exit_code, 2);
    if (UNSB_DETAILS)
        assert_string_equal(result.language, "b");
    assert_true(result.success);
    assert_int_equal(result.status, UNSB_STATUS_FAILED);
    assert_string_equal(seen.text, "one!two");
    assert_string_equal(result.job_id, "j2");
}

static void test_duplicates(void **state)
{
    (void)state;
    each_way(io_reply(200, "",
                      "{\"stdout\":\"one\",\"exit_code\":1,\"language\":\"aaa\",\"success\":false,"
                      "\"status\":\"pending\",\"job_id\":\"j1111\",\"job_id\":\"j2\","
                      "\"stdout\":\"two\",\"exit_code\":2,\"language\":\"b\",\"success\":true,"
                      "\"status\":\"failed\"}"),
             do_execute, UNSB_OK, check_duplicates, prepare_sinks);
    start(io_reply(200, "", "{\"stdout\":\"\",\"stdout\":\"x\",\"stdout\":\"\"}"), 128, false);
    prepare_sinks();
    assert_int_equal(do_execute(), UNSB_OK);
    assert_string_equal(seen.text, "x!"); /* nothing came before "x", so nothing is to be undone */
    assert_string_equal(out_text, "");
    assert_int_equal(result.out.size, 0);
    if (!UNSB_ARTIFACTS)
        return;
    /* decoded content cannot be taken back: the first one counts */
    start(io_reply(200, "",
                   "{\"artifacts\":[{\"content_base64\":\"QQ==\",\"data\":\"!\",\"content\":"
                   "\"QkI=\"}],\"exit_code\":0}"),
          128, false);
    result.on_artifact = see_artifact;
    assert_int_equal(do_execute(), UNSB_OK);
    assert_string_equal(seen.text, "A|0:|");
}

/* Every field of another kind is as if it were not given, but for the outputs. */
static void test_wrong_types(void **state)
{
    static const struct {
        const char *name, *fine;
    } fields[] = {{"stdout", "s0"},        {"stderr", "s0"},     {"success", "bn0"},
                  {"exit_code", "n0"},     {"job_id", "s0"},     {"status", "s0"},
                  {"total_time_ms", "n0"}, {"created_at", "n0"}, {"started_at", "n0"},
                  {"completed_at", "n0"},  {"result", "o0"},     {"artifacts", "a0"},
                  {"jobs", "a0"},          {"languages", "a0"},  {"concurrency_limit", "n0"}};
    static const char *const values[] = {"s\"\"", "n1", "btrue", "bfalse", "o{}", "a[]", "0null"};
    static const char *const roots[] = {"[]", "[{}]", "\"x\"", "5", "true", "null"};
    static const char *const odd[] = {
        "[5]", "[\"x\"]", "[[]]", "[null]", "[{\"filename\":5}]", "[{\"filename\":{}}]",
        "[{\"content_base64\":5}]", "[{\"content_base64\":[]}]", "{}", "5", "\"x\""};
    char body[160];
    size_t i, v, level;
    bool output;

    (void)state;
    for (i = 0; i < COUNT(fields); i++)
        for (v = 0; v < COUNT(values); v++)
            for (level = 0; level < 2; level++) {
                snprintf(body, sizeof body,
                         level == 0 ? "{\"%s\":%s,\"exit_code\":9}"
                                    : "{\"result\":{\"%s\":%s,\"exit_code\":9}}",
                         fields[i].name, values[v] + 1);
                output = i < 2 && strchr(fields[i].fine, values[v][0]) == NULL;
                assert_int_equal(quick(body, do_get), output ? UNSB_E_RESPONSE : UNSB_OK);
                assert_int_equal(result.exit_code, 9);
                assert_int_equal(io.connected, UNSB_KEEP_ALIVE);
            }
    for (i = 0; i < COUNT(roots); i++)
        assert_int_equal(quick(roots[i], do_execute), UNSB_E_RESPONSE);
    for (i = 0; i < COUNT(odd); i++) {
        snprintf(body, sizeof body, "{\"artifacts\":%s,\"artifact\":%s,\"exit_code\":9}", odd[i],
                 odd[i]);
        start(io_reply(200, "", body), 128, false);
        result.on_artifact = see_artifact;
        assert_int_equal(do_execute(), UNSB_OK);
        assert_int_equal(result.exit_code, 9);
    }
}

static void test_not_json(void **state)
{
    static const struct {
        const char *body;
        int rc;
    } bodies[] = {{"", UNSB_E_JSON},           {"{", UNSB_E_JSON},
                  {"<html>", UNSB_E_JSON},     {"{\"a\":1,}", UNSB_E_JSON},
                  {"{\"stdout\":\"\\x\"}", UNSB_E_JSON},
                  {"{\"stdout\":\"\\ud80\"}", UNSB_E_JSON},
                  {"{\"exit_code\":01}", UNSB_E_JSON},
                  {"{\"exit_code\":1", UNSB_E_JSON},
                  {"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", UNSB_E_JSON}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bodies); i++) {
        assert_int_equal(quick(bodies[i].body, do_execute), bodies[i].rc);
        assert_int_equal(result.http_status, 200);
    }
    if (GETS)
        assert_int_equal(quick(" \r\n\t{ } \n", do_get), UNSB_OK);
    /* what comes after the document is of no consequence */
    assert_int_equal(quick("{\"exit_code\":0} x{", do_execute), UNSB_OK);
    start("HTTP/1.1 204 No Content\r\n\r\n", 128, false);
    assert_int_equal(do_execute(), UNSB_E_JSON);
    start("HTP/1.1 200 OK\r\n\r\n{}", 128, false);
    assert_int_equal(do_execute(), UNSB_E_HTTP);
    assert_int_equal(result.http_status, 0);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        int given;
        int32_t value;
        bool large; /* a number of UNSB_NUMBERS */
    } numbers[] = {{"523", UNSB_GIVEN_EXIT_CODE, 523, false},
                   {"523.0", UNSB_GIVEN_EXIT_CODE, 523, false},
                   {"5.23e2", UNSB_GIVEN_EXIT_CODE, 523, true},
                   {"5230E-1", UNSB_GIVEN_EXIT_CODE, 523, true},
                   {"-0", UNSB_GIVEN_EXIT_CODE, 0, false},
                   {"-1", UNSB_GIVEN_EXIT_CODE, -1, false},
                   {"2147483647", UNSB_GIVEN_EXIT_CODE, 2147483647, false},
                   {"-2147483648", UNSB_GIVEN_EXIT_CODE, -2147483647 - 1, false},
                   /* the lower 32 bits */
                   {"3221225477", UNSB_GIVEN_EXIT_CODE, -1073741819, false},
                   {"2147483648", UNSB_GIVEN_EXIT_CODE, -2147483647 - 1, false},
                   {"-2147483649", UNSB_GIVEN_EXIT_CODE, 2147483647, false},
                   {"4294967296", UNSB_GIVEN_EXIT_CODE, 0, true},
                   /* without the fraction */
                   {"0.5", UNSB_GIVEN_EXIT_CODE, 0, true},
                   {"-1.99", UNSB_GIVEN_EXIT_CODE, -1, true},
                   {"523.00001", UNSB_GIVEN_EXIT_CODE, 523, true},
                   {"523.0000000000000000000000000000000001", UNSB_GIVEN_EXIT_CODE, 523, true},
                   {"1e-400", UNSB_GIVEN_EXIT_CODE, 0, true},
                   {"1e400", 0, 0, false},
                   {"18446744073709551616", 0, 0, false}};
    char body[128];
    size_t i, piece;
    bool is_read;

    (void)state;
    for (i = 0; i < COUNT(numbers); i++)
        for (piece = 0; piece < 3; piece++) {
            snprintf(body, sizeof body, "{\"exit_code\":%s,\"stdout\":\"x\"}", numbers[i].text);
            start(io_reply(200, "", body), 128, false);
            io.recv_piece = piece;
            assert_int_equal(do_execute(), UNSB_OK);
            is_read = UNSB_NUMBERS || !numbers[i].large;
            assert_int_equal(result.given, is_read ? numbers[i].given : 0);
            assert_int_equal(result.exit_code, is_read ? numbers[i].value : 0);
        }
    if (!UNSB_DETAILS)
        return;
    assert_int_equal(quick("{\"total_time_ms\":9223372036854775807}", do_get), UNSB_OK);
    assert_true(result.total_time_ms == INT64_MAX);
    assert_int_equal(quick("{\"total_time_ms\":-9223372036854775808}", do_get), UNSB_OK);
    assert_true(result.total_time_ms == INT64_MIN);
    assert_int_equal(quick("{\"total_time_ms\":9223372036854775808}", do_get), UNSB_OK);
    assert_int_equal(result.given, 0);
    assert_int_equal(quick("{\"concurrency_limit\":3000000000}", do_get), UNSB_OK);
    assert_int_equal(result.given, 0);
}

/* ---- artifacts ---- */

static void prepare_artifacts(void)
{
    result.on_artifact = see_artifact;
}

static void check_artifacts(void)
{
    static const char expected[] = "\x00\xFF\x10hello|0:a.out|wide|1:b\"c||2:||3:empty|xyz|4:|";

    assert_int_equal(seen.size, sizeof expected - 1);
    assert_memory_equal(seen.text, expected, sizeof expected - 1);
    assert_int_equal(result.exit_code, 4);
    assert_string_equal(out_text, "after");
}

static void test_artifacts(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } base64[] = {{"QUJD", UNSB_OK},       {"QUI=", UNSB_OK},       {"QQ==", UNSB_OK},
                  {"", UNSB_OK},           {"QUJ", UNSB_E_BASE64},  {"Q", UNSB_E_BASE64},
                  {"QQ=", UNSB_E_BASE64},  {"QQ", UNSB_E_BASE64},   {"QR==", UNSB_E_BASE64},
                  {"QUJ=", UNSB_E_BASE64}, {"Q===", UNSB_E_BASE64}, {"====", UNSB_E_BASE64},
                  {"QQ==QQ==", UNSB_E_BASE64}, {"QU JD", UNSB_E_BASE64}, {"QU-_", UNSB_E_BASE64},
                  {"QUJD\\n", UNSB_E_BASE64},  {"QUJ\\u0000", UNSB_E_BASE64},
                  {"\\u0051UJD", UNSB_OK},     {"QUJ\\u00C3", UNSB_E_BASE64}};
    char body[160];
    size_t i, piece;

    (void)state;
    needs(UNSB_ARTIFACTS);
    each_way(io_reply(200, "",
                      "{\"artifacts\":["
                      "{\"filename\":\"a.out\",\"content_base64\":\"AP8QaGVsbG8=\"},"
                      "{\"content_base64\":\"d2lkZQ==\",\"filename\":\"b\\\"c\"},{},"
                      "{\"filename\":\"empty\",\"content_base64\":\"\"},"
                      "{\"filename\":null,\"content_base64\":\"eHl6\"}],"
                      "\"exit_code\":4,\"stdout\":\"after\"}"),
             do_execute, UNSB_OK, check_artifacts, prepare_artifacts);
    for (i = 0; i < COUNT(base64); i++)
        for (piece = 0; piece < 9; piece++) {
            snprintf(body, sizeof body,
                     "{\"result\":{\"artifacts\":[{\"content_base64\":\"%s\"}]},\"exit_code\":9}",
                     base64[i].text);
            start(io_reply(200, "", body), 128, false);
            io.recv_piece = piece;
            prepare_artifacts();
            assert_int_equal(do_get(), base64[i].rc);
            assert_int_equal(result.exit_code, 9); /* whatever becomes of an artifact */
        }
    /* the name is cut to its memory, and may have none; without a callback all is skipped */
    start(io_reply(200, "",
                   "{\"artifacts\":[{\"filename\":\"0123456789abcdefg\",\"content_base64\":\"QQ==\""
                   "}],\"exit_code\":0}"),
          128, false);
    prepare_artifacts();
    assert_int_equal(do_execute(), UNSB_OK);
    assert_string_equal(seen.text, "A|0:0123456789abcde|");
    assert_int_equal(result.artifact_name.size, 17);
    memset(&result.artifact_name, 0, sizeof result.artifact_name);
    memset(&seen, 0, sizeof seen);
    assert_int_equal(do_execute(), UNSB_OK);
    assert_string_equal(seen.text, "A|0:|");
    result.on_artifact = NULL;
    assert_int_equal(do_execute(), UNSB_OK);
    /* what nobody asked for is not judged */
    assert_int_equal(quick("{\"artifacts\":[{\"content_base64\":\"!\"}],\"exit_code\":0}",
                           do_execute),
                     UNSB_OK);
}

/* ---- outputs ---- */

static void check_nul_utf8(void)
{
    assert_int_equal(result.out.size, 11);
    assert_memory_equal(out_text, "a\0\"\\/\t\xF0\x9F\x98\x80z", 12);
}

static void test_outputs(void **state)
{
    char body[128], text[64];
    size_t capacity, length;

    (void)state;
    answers("{\"stdout\":\"a\\u0000\\\"\\\\\\/\\t\\uD83D\\uDE00z\"}", do_execute, UNSB_OK,
            check_nul_utf8);
    /* truncation shows */
    for (length = 0; length < 6; length++)
        for (capacity = 0; capacity < 8; capacity++) {
            snprintf(body, sizeof body, "{\"stdout\":\"%.*s\"}", (int)length, "abcdef");
            start(io_reply(200, "", body), 128, false);
            memset(text, '#', sizeof text);
            result.out = unsb_into(capacity != 0 ? text : NULL, capacity);
            io.recv_piece = 1 + length % 3;
            assert_int_equal(do_execute(), UNSB_OK);
            assert_int_equal(result.out.size, length);
            if (capacity != 0) {
                size_t kept = length < capacity ? length : capacity - 1;
                assert_memory_equal(text, "abcdef", kept);
                assert_int_equal(text[kept], '\0');
            }
            assert_int_equal(text[capacity], '#');
        }
    /* texts are cut to their arrays, ids are not */
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    if (UNSB_DETAILS && GETS) {
        snprintf(body, sizeof body, "{\"execution_mode\":\"%s\"}", text);
        assert_int_equal(quick(body, do_get), UNSB_OK);
        assert_int_equal(strlen(result.execution_mode), sizeof result.execution_mode - 1);
    }
    snprintf(body, sizeof body, "{\"job_id\":\"%s\",\"stdout\":\"\"}", text);
    assert_int_equal(quick(body, do_execute), UNSB_OK);
    assert_string_equal(result.job_id, text);
    snprintf(body, sizeof body, "{\"job_id\":\"%s-\",\"stdout\":\"\"}", text);
    assert_int_equal(quick(body, do_execute), UNSB_OK); /* it is not used */
    assert_string_equal(result.job_id, "");
    if (UNSB_JOBS) {
        assert_int_equal(quick(body, do_execute_async), UNSB_OK);
        snprintf(body, sizeof body, "{\"job_id\":\"%s-\"}", text);
        assert_int_equal(quick(body, do_execute_async), UNSB_E_RESPONSE);
    }
    snprintf(body, sizeof body, "{\"error\":\"%s\"}", text);
    assert_int_equal(quick(body, do_execute), UNSB_OK);
    assert_int_equal(strlen(result.error), sizeof result.error - 1);
}

static void test_sinks_that_fail(void **state)
{
    static const int codes[][2] = {{OWN_CODE, OWN_CODE},
                                   {UNSB_E_SINK, UNSB_E_SINK},
                                   {1, UNSB_E_SINK},
                                   {77, UNSB_E_SINK},
                                   {-1, UNSB_E_SINK},
                                   {UNSB_E_ABORTED, UNSB_E_SINK}};
    static const char *const body =
        "{\"stdout\":\"abcdefgh\",\"stderr\":\"ABCDEFGH\",\"artifacts\":[{\"content_base64\":"
        "\"QUJDREVG\",\"filename\":\"name\"}],\"jobs\":[{},{},{},{},{},{}]}";
    size_t c;
    unsigned kind, at;

    (void)state;
    for (c = 0; c < COUNT(codes); c++)
        for (kind = 0; kind < 5; kind++)
            for (at = 1; at <= 4; at++) {
                if (kind == 4 ? !UNSB_LISTS : kind >= 2 && !UNSB_ARTIFACTS)
                    continue;
                start(io_reply(200, "", body), 128, (at & 1) != 0);
                config.retries = 3; /* what was delivered is not asked for again */
                configure();
                io.recv_piece = 1;
                seen.at = at;
                seen.code = codes[c][0];
                if (kind == 0)
                    result.out.write = see_write;
                else if (kind == 1)
                    result.err.write = see_write;
                else if (kind == 2) {
                    result.artifact_name.write = see_write;
                    result.on_artifact = pass_artifact;
                }
                else if (kind == 3)
                    result.on_artifact = see_artifact;
                else
                    result.on_item = see_item;
                result.out.context = result.err.context = result.artifact_name.context = &seen;
                assert_int_equal(finish(kind == 4 ? do_list() : do_get()), codes[c][1]);
                assert_int_equal(seen.calls, at);
                assert_false(io.connected);
                assert_int_equal(io.connects, 1);
                seen.at = 0;
                assert_int_equal(finish(kind == 4 ? do_list() : do_get()), UNSB_OK);
                assert_int_equal(io.connects, 2);
            }
}

/* ---- lists and keys ---- */

static void prepare_items(void)
{
    result.on_item = see_item;
}

static void check_jobs(void)
{
    assert_string_equal(seen.text,
                        "job_1234567890_abc,3,python,17053146002024-01-15T10:30:00Z\nj2,2,,0\n,0,c,0\n");
}

static void check_languages(void)
{
    assert_string_equal(seen.text, ",0,python,0\n,0,c++,0\n,0,,0\n,0,a\"b,0\n");
}

static void check_nothing_seen(void)
{
    assert_int_equal(seen.calls, 0);
}

static void test_lists(void **state)
{
    (void)state;
    each_way(io_reply(200, "",
                      "{\"jobs\": [{\"job_id\": \"job_1234567890_abc\", \"status\": \"running\", "
                      "\"language\": \"python\", \"submitted_at\": \"2024-01-15T10:30:00Z\"},"
                      "{\"status\":\"pending\",\"x\":{\"job_id\":\"no\"},\"job_id\":\"j2\"},"
                      "{\"language\":\"c\"}],\"count\":3}"),
             do_list, UNSB_OK, check_jobs, prepare_items);
    each_way(io_reply(200, "", "{\"count\":4,\"languages\":[\"python\",\"c++\",\"\",\"a\\\"b\"]}"),
             do_languages, UNSB_OK, check_languages, prepare_items);
    each_way(io_reply(200, "", "{\"jobs\":[]}"), do_list, UNSB_OK, check_nothing_seen,
             prepare_items);
    each_way(io_reply(200, "", "{\"languages\":[]}"), do_languages, UNSB_OK, check_nothing_seen,
             prepare_items);
    each_way(io_reply(200, "", "{\"jobs\":[{\"job_id\":\"x\"}]}"), do_list, UNSB_OK,
             check_nothing_seen, NULL);
}

static void check_valid_key(void)
{
    assert_true(key_info.valid);
    assert_string_equal(key_info.tier, "pro");
    assert_int_equal(key_info.rate_per_minute, 60);
    assert_int_equal(key_info.burst, 0);
    assert_int_equal(key_info.concurrency, -1);
    assert_string_equal(key_info.reason, "");
}

static void check_invalid_key(void)
{
    assert_false(key_info.valid);
    assert_string_equal(key_info.reason, "expired");
    assert_string_equal(key_info.tier, "");
    assert_int_equal(key_info.rate_per_minute, -1);
    assert_int_equal(key_info.burst, -1);
}

static void check_refused_key(void)
{
    assert_false(key_info.valid);
    assert_string_equal(result.error, "unauthorized");
    assert_string_equal(result.message, "No such key");
    assert_int_equal(result.http_status, 401);
}

static void spoil_key(void)
{
    memset(&key_info, 0x5A, sizeof key_info);
}

static void test_keys(void **state)
{
    (void)state;
    each_way(io_reply(200, "",
                      "{\"valid\": true, \"tier\": \"pro\", \"rate_per_minute\": 60, \"burst\": 0,"
                      "\"concurrency\": null, \"message\": \"hi\", \"more\": {\"valid\": false}}"),
             do_validate, UNSB_OK, check_valid_key, spoil_key);
    each_way(io_reply(200, "", "{\"valid\": false, \"reason\": \"expired\"}"), do_validate, UNSB_OK,
             check_invalid_key, spoil_key);
    each_way(io_reply(401, "", "{\"error\": \"unauthorized\", \"message\": \"No such key\"}"),
             do_validate, UNSB_E_UNAUTHORIZED, check_refused_key, spoil_key);
    assert_int_equal(quick("{\"valid\":\"yes\"}", do_validate), UNSB_OK);
    assert_false(key_info.valid);
    assert_int_equal(quick("{\"valid\":true,\"burst\":\"1\"}", do_validate), UNSB_OK);
    assert_true(key_info.valid && key_info.burst == -1);
    assert_int_equal(quick("{\"valid\":true,\"burst\":2147483648}", do_validate), UNSB_OK);
    assert_true(key_info.valid && key_info.burst == -1);
}

/* ---- unsb_request ---- */

static void check_raw(void)
{
    assert_int_equal(result.out.size, 9);
    assert_memory_equal(out_text, "a\0{]\xFF\r\n\"b", 10);
    assert_string_equal(result.error, "");
}

static void test_raw(void **state)
{
    static const char reply[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na\0{]\xFF\r\n\"b";
    static const char *const heads[] = {"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n"};
    size_t i, piece;

    (void)state;
    for (piece = 0; piece < 5; piece++) {
        start(NULL, 128, false);
        scripts[0].replies[0] = reply;
        scripts[0].reply_size = sizeof reply - 1;
        io.recv_piece = piece;
        assert_int_equal(do_call(), UNSB_OK);
        check_raw();
    }
    for (i = 0; i < COUNT(heads); i++) {
        start(heads[i], 128, false);
        call.method = "HEAD";
        assert_int_equal(do_call(), UNSB_OK);
        assert_int_equal(result.out.size, 0);
        assert_int_equal(result.http_status, i == 3 ? 204 : 200);
    }
    /* the body of a refusal reaches the caller, too */
    start(io_reply(418, "", "{\"error\":\"teapot\"}"), 128, false);
    assert_int_equal(do_call(), UNSB_E_REFUSED);
    assert_string_equal(out_text, "{\"error\":\"teapot\"}");
    assert_int_equal(result.http_status, 418);
    /* and is no delivery: where nothing can have been started, it is asked for again */
    start(io_reply(503, "", "later"), 128, false);
    config.retries = 3;
    configure();
    assert_int_equal(do_call(), UNSB_E_SERVER);
    assert_string_equal(out_text, "later");
    assert_int_equal(io_requests(&io), UNSB_RETRIES ? 4 : 1);
}

/* ---- errors of the service ---- */

static int expected_status;

static void check_error(void)
{
    assert_int_equal(result.http_status, expected_status);
    assert_string_equal(result.error, "some_code");
    assert_string_equal(result.message, "A \"text\"");
}

static void check_other_error(void)
{
    assert_int_equal(result.http_status, expected_status);
}

static void check_limit(void)
{
    assert_string_equal(result.error, "concurrency_limit_reached");
    if (UNSB_DETAILS)
        assert_int_equal(result.concurrency_limit, 3);
    assert_int_equal(result.given, GIVEN(UNSB_GIVEN_CONCURRENCY_LIMIT | UNSB_GIVEN_RETRY_AFTER));
    assert_int_equal(result.retry_after_s, 7);
}

static void test_error_statuses(void **state)
{
    static const struct {
        int status, rc;
    } statuses[] = {{400, UNSB_E_BAD_REQUEST},  {401, UNSB_E_UNAUTHORIZED}, {402, UNSB_E_REFUSED},
                    {403, UNSB_E_FORBIDDEN},    {404, UNSB_E_NOT_FOUND},    {405, UNSB_E_REFUSED},
                    {409, UNSB_E_REFUSED},      {413, UNSB_E_TOO_LARGE},    {422, UNSB_E_REFUSED},
                    {429, UNSB_E_RATE_LIMITED}, {499, UNSB_E_REFUSED},      {500, UNSB_E_SERVER},
                    {502, UNSB_E_SERVER},       {503, UNSB_E_SERVER},       {504, UNSB_E_SERVER},
                    {599, UNSB_E_SERVER},       {300, UNSB_E_REDIRECT},     {301, UNSB_E_REDIRECT},
                    {302, UNSB_E_REDIRECT},     {307, UNSB_E_REDIRECT},     {308, UNSB_E_REDIRECT}};
    static const char *const others[] = {
        "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>",
        "",
        "{\"error\":{\"code\":5},\"detail\":[1,2]}",
        "[\"error\"]",
        "\"error\"",
        "17",
        "{\"stdout\":5,\"exit_code\":\"x\",\"artifacts\":{}}",
        "{\"error\":\"\xFF",
        "{\"exit_code\":1e99}",
        "{\"error\":\"cut",
        "{\"artifacts\":[{\"content_base64\":\"!\"}]}"};
    size_t i, b;

    (void)state;
    for (i = 0; i < COUNT(statuses); i++) {
        expected_status = statuses[i].status;
        each_way(io_reply(statuses[i].status, "Location: https://other/\r\n",
                          "{\"error\":\"some_code\",\"message\":\"A \\\"text\\\"\",\"more\":[{}]}"),
                 do_execute, statuses[i].rc, check_error, NULL);
        assert_int_equal(io.connects, 1); /* the key goes nowhere else */
        for (b = 0; b < COUNT(others); b++) {
            start(io_reply(statuses[i].status, "", others[b]), 128, (b & 1) != 0);
            io.recv_piece = b % 3;
            assert_int_equal(finish(do_execute()), statuses[i].rc);
            check_other_error();
            assert_int_equal(io.connects, 1);
            /* a body that was not understood was read to its end all the same */
            assert_int_equal(finish(do_execute()), statuses[i].rc);
            assert_int_equal(io.connects, io_connections(2));
        }
    }
    each_way(io_reply(429, "Retry-After: 7\r\n",
                      "{\"error\":\"concurrency_limit_reached\",\"concurrency_limit\":3}"),
             do_execute, UNSB_E_RATE_LIMITED, check_limit, NULL);
    start(io_reply(503, "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", ""), 128, false);
    assert_int_equal(do_execute(), UNSB_E_SERVER);
    assert_int_equal(result.given, UNSB_GIVEN_RETRY_AFTER);
    assert_int_equal(result.retry_after_s, 0);
    start(io_reply(503, "retry-after: 99999999999\r\n", ""), 128, false);
    assert_int_equal(do_execute(), UNSB_E_SERVER);
    assert_true(result.retry_after_s == UINT32_MAX);
    start(io_reply(503, "", ""), 128, false);
    assert_int_equal(do_execute(), UNSB_E_SERVER);
    assert_int_equal(result.given, 0);
}

/* ---- connections ---- */

static void test_keep_alive(void **state)
{
    static const char *const closing[] = {
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 15\r\n\r\n" DONE),
        ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 15\r\n\r\n" DONE),
        ("HTTP/1.0 200 OK\r\nContent-Length: 15\r\n\r\n" DONE),
        ("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" DONE "garbage"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" DONE "\n")};
    static const char *const keeping[] = {
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 13\r\n\r\n{\"stdout\":\"\"}"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n{\"stdout\":\"\"}\r\n0\r\n\r\n"),
        ("HTTP/1.1 404 Not\r\nContent-Length: 15\r\n\r\n" DONE)};
    unsigned i, n, mode;
    int expected;

    (void)state;
    for (i = 0; i < COUNT(keeping); i++)
        for (mode = 0; mode < 2; mode++) {
            expected = i == 2 ? UNSB_E_NOT_FOUND : UNSB_OK;
            start(keeping[i], 128, mode == 1);
            io.recv_piece = 1;
            for (n = 1; n <= 5; n++) {
                assert_int_equal(finish(n & 1 ? do_execute() : do_get()), expected);
                assert_int_equal(io_requests(&io), n);
                assert_int_equal(io.connected, UNSB_KEEP_ALIVE);
            }
            assert_int_equal(io.connects, io_connections(5));
            assert_int_equal(io.closes, io_connections(5) - UNSB_KEEP_ALIVE);
            unsb_close(&client);
            assert_int_equal(io.closes, io_connections(5));
            assert_false(io.connected);
        }
    for (i = 0; i < COUNT(closing); i++)
        for (mode = 0; mode < 2; mode++) {
            start(closing[i], 128, mode == 1);
            for (n = 1; n <= 5; n++) {
                assert_int_equal(finish(do_execute()), UNSB_OK);
                if (i < 3 || mode == 0)
                    assert_false(io.connected);
                assert_int_equal(io.connects, n);
                assert_int_equal(io_requests(&io), n);
            }
        }
    /* bytes that follow only later are found before the next request */
    start(closing[3], 128, false);
    io.recv_piece = 1;
    for (n = 1; n <= 5; n++) {
        assert_int_equal(do_execute(), UNSB_OK);
        assert_int_equal(io.connects, n);
        assert_int_equal(io_requests(&io), n);
    }
    /* each request says so where connections are not to be kept */
    start(keeping[1], 128, false);
    config.no_keep_alive = true;
    configure();
    for (n = 1; n <= 3; n++) {
        assert_int_equal(do_execute(), UNSB_OK);
        assert_false(io.connected);
        assert_int_equal(io.connects, n);
    }
}

#if !UNSB_KEEP_ALIVE
/* Each request has a connection of its own, and says so; it is closed when the answer is whole,
 * however much the peer would like to keep it. */
static void test_no_connection_is_kept(void **state)
{
    static const char *const replies[] = {
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 15\r\n\r\n" DONE,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n" DONE "\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 15\r\n\r\n" DONE,
        "HTTP/1.1 200 OK\r\nConnection: \"\r\nContent-Length: 15\r\n\r\n" DONE "garbage"};
    unsigned i, n, mode;

    (void)state;
    for (i = 0; i < COUNT(replies); i++)
        for (mode = 0; mode < 4; mode++) {
            start(replies[i], 128, (mode & 1) != 0);
            io.recv_piece = mode >= 2 ? 1 : 0;
            for (n = 1; n <= 3; n++) {
                result.exit_code = -1;
                assert_int_equal(finish(do_execute()), UNSB_OK);
                assert_int_equal(result.exit_code, 0);
                assert_false(io.connected);
                assert_int_equal(io.connects, n);
                assert_int_equal(io.closes, n);
                assert_int_equal(io.connection[n - 1].requests, 1);
                assert_non_null(
                    strstr(io.connection[n - 1].sent, "\r\nConnection: close\r\n"));
            }
            unsb_close(&client);
            assert_int_equal(io.closes, 3);
        }
    /* nor is a peer heard that speaks before the second request, and the third is made */
    for (mode = 0; mode < 4; mode++) {
        memset(scripts, 0, sizeof scripts);
        for (i = 0; i < 3; i++)
            scripts[i].replies[0] = replies[0];
        scripts[1].first = true;
        setup(128, (mode & 1) != 0);
        io.script_count = 3;
        io.recv_piece = mode >= 2 ? 1 : 0;
        assert_int_equal(finish(do_execute()), UNSB_OK);
        assert_int_equal(finish(do_execute()), UNSB_E_HTTP);
        assert_false(io.connected);
        assert_int_equal(io.connection[1].requests, 0);
        assert_int_equal(finish(do_execute()), UNSB_OK);
        assert_int_equal(io.closes, 3);
    }
}
#endif

static void test_stale_connection(void **state)
{
    static const int ends[] = {UNSB_E_CLOSED, UNSB_E_IO, OWN_CODE, 0};
    unsigned i, mode, retries;

    (void)state;
    needs(UNSB_KEEP_ALIVE);
    for (i = 0; i < COUNT(ends); i++)
        for (mode = 0; mode < 2; mode++)
            for (retries = 0; retries < 2; retries++) {
                memset(scripts, 0, sizeof scripts);
                scripts[0].replies[0] = io_reply(200, "", "{\"exit_code\":1}");
                scripts[0].end = ends[i];
                if (ends[i] == 0)
                    scripts[0].unasked = "HTTP/1.1 408 Timeout\r\n\r\n";
                scripts[1].replies[0] = io_reply(200, "", "{\"exit_code\":2}");
                setup(128, mode == 1);
                io.script_count = 2;
                config.retries = (uint8_t)retries;
                configure();
                assert_int_equal(finish(do_execute()), UNSB_OK);
                assert_true(io.connected);
                assert_int_equal(finish(do_execute()), UNSB_OK);
                assert_int_equal(result.exit_code, 2);
                assert_int_equal(io.connects, 2);
                assert_int_equal(io.connection[0].requests, 1);
                assert_int_equal(io.connection[0].sent_size, io.connection[0].request_at[1]);
                assert_int_equal(io.connection[1].requests, 1);
            }
}

/* ---- sending again ---- */

static void setup_retry(uint8_t retries, size_t count, bool nonblocking)
{
    setup(128, nonblocking);
    io.script_count = count;
    config.retries = retries;
    configure();
}

/* Each operation has its retries anew. */
static void test_retry_each(void **state)
{
    (void)state;
    needs(UNSB_RETRIES);
    memset(scripts, 0, sizeof scripts);
    scripts[0].connect_error = scripts[2].connect_error = UNSB_E_CONNECT;
    scripts[1].replies[0] = scripts[3].replies[0] = io_reply(200, "", "{\"exit_code\":5}");
    setup_retry(1, 4, false);
    config.no_keep_alive = true;
    configure();
    assert_int_equal(do_execute(), UNSB_OK);
    assert_int_equal(do_execute(), UNSB_OK);
    assert_int_equal(io.connects, 4);
}

static void test_retry_connect(void **state)
{
    static const int errors[] = {UNSB_E_CONNECT, UNSB_E_RESOLVE, UNSB_E_TIMEOUT, UNSB_E_IO,
                                 UNSB_E_CLOSED};
    static const int final[] = {UNSB_E_TLS, UNSB_E_CERTIFICATE, UNSB_E_ENTROPY, UNSB_E_TRUST,
                                OWN_CODE};
    unsigned retries, mode;
    size_t e, i;
    uint32_t from;

    (void)state;
    for (e = 0; e < COUNT(errors); e++)
        for (retries = 0; retries <= (UNSB_RETRIES ? 4 : 0); retries++)
            for (mode = 0; mode < 4; mode++) {
                memset(scripts, 0, sizeof scripts);
                for (i = 0; i < 3; i++)
                    scripts[i].connect_error = errors[e];
                scripts[3].replies[0] = io_reply(200, "", "{\"exit_code\":5}");
                setup_retry((uint8_t)retries, 4, (mode & 1) != 0);
                from = io.now_ms;
                if (retries < 3) {
                    assert_int_equal(finish(mode & 2 ? do_get() : do_execute()), errors[e]);
                    assert_int_equal(io.connects, retries + 1);
                    assert_int_equal(io.now_ms - from, retries == 0 ? 0 : retries == 1 ? 250 : 750);
                } else {
                    assert_int_equal(finish(mode & 2 ? do_get() : do_execute()), UNSB_OK);
                    assert_int_equal(io.connects, 4);
                    assert_int_equal(io.now_ms - from, 250 + 500 + 1000);
                    assert_int_equal(result.exit_code, 5);
                    assert_int_equal(io_requests(&io), 1);
                }
            }
    for (e = 0; e < COUNT(final); e++) {
        memset(scripts, 0, sizeof scripts);
        scripts[0].connect_error = final[e];
        setup_retry(5, 1, false);
        assert_int_equal(do_execute(), final[e]);
        assert_int_equal(io.connects, 1);
        assert_false(io.connected || io.must_close);
    }
}

/* What died with a request under way is not sent again if it might have been started. */
static void test_retry_drop(void **state)
{
    static const int deaths[] = {UNSB_E_IO, UNSB_E_CLOSED};
    size_t d, dies, whole;
    unsigned mode, operation;
    int rc;

    (void)state;
    needs(UNSB_RETRIES);
    for (d = 0; d < COUNT(deaths); d++)
        for (operation = 0; operation < 4; operation++)
            for (mode = 0; mode < 2; mode++) {
                if (operation % 3 != 0 && !UNSB_JOBS)
                    continue;
                whole = 400;
                for (dies = 1; dies <= whole; dies += 29) {
                    memset(scripts, 0, sizeof scripts);
                    scripts[0].dies = dies;
                    scripts[0].death = deaths[d];
                    scripts[1].replies[0] =
                        io_reply(200, "", "{\"exit_code\":5,\"job_id\":\"j\"}");
                    setup_retry(5, 2, mode == 1);
                    io.send_piece = 1 + dies % 7;
                    rc = finish(operation == 0   ? do_execute()
                                : operation == 1 ? do_execute_async()
                                : operation == 2 ? do_cancel()
                                                 : do_get());
                    if (operation == 3) { /* reading is harmless */
                        assert_int_equal(rc, UNSB_OK);
                        assert_int_equal(result.exit_code, 5);
                        assert_int_equal(io.connects, 2);
                    } else {
                        if (dies < io.connection[0].sent_size || io.connection[0].requests == 0)
                            assert_int_equal(rc, deaths[d]);
                        if (io.connection[0].requests != 0)
                            break; /* it went out whole before the end */
                        assert_int_equal(io.connects, 1);
                        assert_false(io.connected);
                    }
                }
            }
}

/* The whole request went out; then the connection ended without a byte of an answer. */
static void test_retry_no_answer(void **state)
{
    static const int ends[] = {UNSB_E_CLOSED, UNSB_E_IO};
    int (*const once[])(void) = {
        do_execute,
#if UNSB_JOBS
        do_execute_async, do_cancel,
#endif
#if UNSB_RUN
        do_run,
#endif
#if UNSB_RUN && UNSB_JOBS
        do_run_async,
#endif
#if UNSB_KEYS
        do_validate,
#endif
    };
    int (*const freely[])(void) = {
#if UNSB_LISTS
        do_list, do_languages,
#endif
#if UNSB_REQUEST
        do_call,
#endif
        do_get,
    };
    size_t e, i;

    (void)state;
    for (e = 0; e < COUNT(ends); e++) {
        for (i = 0; i < COUNT(once); i++) {
            memset(scripts, 0, sizeof scripts);
            scripts[0].end = ends[e];
            setup_retry(5, 1, (i & 1) != 0);
            assert_int_equal(finish(once[i]()), ends[e]);
            assert_int_equal(io_requests(&io), 1);
            assert_int_equal(io.connects, 1);
            assert_false(io.connected);
        }
        for (i = 0; i < COUNT(freely); i++) {
            memset(scripts, 0, sizeof scripts);
            scripts[0].end = ends[e];
            setup_retry(2, 1, (i & 1) != 0);
            assert_int_equal(finish(freely[i]()), ends[e]);
            assert_int_equal(io_requests(&io), UNSB_RETRIES ? 3 : 1);
            setup_retry(0, 1, (i & 1) != 0);
            assert_int_equal(finish(freely[i]()), ends[e]);
            assert_int_equal(io_requests(&io), 1);
        }
    }
}

static void test_retry_status(void **state)
{
    static const struct {
        int status;
        bool post, get; /* is it sent again? */
    } statuses[] = {{429, true, true},   {503, true, true},   {500, false, true},
                    {502, false, true},  {504, false, true},  {400, false, false},
                    {401, false, false}, {404, false, false}, {408, false, false},
                    {413, false, false}, {301, false, false}};
    unsigned operation, mode;
    uint32_t from;
    size_t i;
    int rc;

    (void)state;
    needs(UNSB_RETRIES);
    for (i = 0; i < COUNT(statuses); i++)
        for (operation = 0; operation < 3; operation++)
            for (mode = 0; mode < 2; mode++) {
                bool again = operation == 2 ? statuses[i].get : statuses[i].post;
                if (operation == 1 && !UNSB_JOBS)
                    continue;
                start(io_reply(statuses[i].status, "", "{\"error\":\"e\",\"message\":\"m\"}"), 128,
                      mode == 1);
                scripts[0].replies[2] = io_reply(200, "", "{\"exit_code\":5}");
                io.script_count = io_spread(scripts);
                config.retries = 2;
                configure();
                from = io.now_ms;
                rc = finish(operation == 0   ? do_execute()
                            : operation == 1 ? do_cancel()
                                             : do_get());
                assert_int_equal(rc == UNSB_OK, again);
                assert_int_equal(io_requests(&io), again ? 3 : 1);
                /* the connection is good for it */
                assert_int_equal(io.connects, again ? io_connections(3) : 1);
                assert_int_equal(io.now_ms - from, again ? 750 : 0);
                assert_string_equal(result.error, again ? "" : "e"); /* of the last answer */
                assert_string_equal(result.message, again ? "" : "m");
                /* bounded */
                scripts[0].replies[2] = scripts[0].replies[0];
                scripts[2].replies[0] = scripts[0].replies[0];
                setup_retry(2, io.script_count, mode == 1);
                rc = finish(operation == 0   ? do_execute()
                            : operation == 1 ? do_cancel()
                                             : do_get());
                assert_true(rc < 0);
                assert_int_equal(io_requests(&io), again ? 3 : 1);
                assert_int_equal(result.http_status, statuses[i].status);
                setup_retry(0, 1, mode == 1);
                (void)finish(operation == 0   ? do_execute()
                             : operation == 1 ? do_cancel()
                                              : do_get());
                assert_int_equal(io_requests(&io), 1);
            }
}

static void test_retry_after(void **state)
{
    static const struct {
        const char *field;
        uint32_t pause_ms; /* 0: it is not sent again */
    } fields[] = {{"Retry-After: 2\r\n", 2000},    {"Retry-After: 0\r\n", 250},
                  {"Retry-After: 60\r\n", 60000},  {"Retry-After: 61\r\n", 0},
                  {"Retry-After: 999999999999\r\n", 0},
                  {"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", 250}};
    unsigned mode;
    uint32_t from;
    size_t i;
    int rc;

    (void)state;
    needs(UNSB_RETRIES);
    for (i = 0; i < COUNT(fields); i++)
        for (mode = 0; mode < 4; mode++) {
            memset(scripts, 0, sizeof scripts);
            scripts[0].replies[0] = io_reply(mode & 2 ? 429 : 503, fields[i].field, "{}");
            scripts[0].replies[1] = io_reply(200, "", DONE);
            setup_retry(1, io_spread(scripts), (mode & 1) != 0);
            from = io.now_ms;
            rc = finish(do_execute());
            assert_int_equal(io.now_ms - from, fields[i].pause_ms);
            assert_int_equal(io_requests(&io), fields[i].pause_ms != 0 ? 2 : 1);
            if (fields[i].pause_ms != 0) {
                assert_int_equal(rc, UNSB_OK);
                assert_int_equal(result.given, UNSB_GIVEN_EXIT_CODE);
            } else {
                assert_int_equal(rc, mode & 2 ? UNSB_E_RATE_LIMITED : UNSB_E_SERVER);
                assert_true(result.retry_after_s >= 61);
            }
        }
    /* a pause that the total limit does not leave room for is not begun */
    memset(scripts, 0, sizeof scripts);
    scripts[0].replies[0] = io_reply(503, "Retry-After: 10\r\n", "{}");
    setup_retry(1, 1, false);
    config.total_timeout_ms = 9000;
    configure();
    from = io.now_ms;
    assert_int_equal(do_execute(), UNSB_E_SERVER);
    assert_int_equal(io.now_ms - from, 0);
    assert_int_equal(result.retry_after_s, 10);
}

/* The fields tell of the last request alone, also where it got no answer. */
static void test_retry_leaves_nothing(void **state)
{
    (void)state;
    needs(UNSB_RETRIES);
    memset(scripts, 0, sizeof scripts);
    scripts[0].replies[0] =
        io_reply(429, "Connection: close\r\nRetry-After: 1\r\n",
                 "{\"error\":\"e\",\"message\":\"m\",\"concurrency_limit\":3}");
    scripts[1].connect_error = UNSB_E_CONNECT;
    setup_retry(1, 2, false);
    assert_int_equal(do_execute(), UNSB_E_CONNECT);
    assert_int_equal(result.http_status, 0);
    assert_string_equal(result.error, "");
    assert_string_equal(result.message, "");
    assert_int_equal(result.given, 0);
    assert_int_equal(result.retry_after_s, 0);
}

/* What was tried before it became a job does not count against the job. */
static void test_retry_into_job(void **state)
{
    unsigned mode;
    size_t i;

    (void)state;
    needs(UNSB_RETRIES);
    needs(UNSB_JOBS);
    for (mode = 0; mode < 2; mode++) {
        memset(scripts, 0, sizeof scripts);
        for (i = 0; i < 2; i++)
            scripts[i].replies[0] = io_reply(429, "Connection: close\r\n", "{}");
        scripts[2].replies[0] =
            io_reply(202, "Connection: close\r\n", "{\"job_id\":\"j\",\"status\":\"pending\"}");
        for (i = 3; i < 8; i++)
            scripts[i].replies[0] = io_reply(404, "Connection: close\r\n", "{}");
        scripts[8].replies[0] = io_reply(200, "", DONE);
        setup_retry(2, 9, mode == 1);
        assert_int_equal(finish(do_execute()), UNSB_OK);
        assert_int_equal(io.count, 9);
        assert_string_equal(result.job_id, "j");
    }
}

/* GET is sent again until a part of the answer has reached the caller. */
static void test_retry_get_cut(void **state)
{
    static const char body[] =
        "{\"language\":\"stale\",\"total_time_ms\":7,\"stdout\":\"0123456789\",\"exit_code\":1}";
    static char reply[256];
    size_t head, stdout_at, cut;
    unsigned mode;
    int rc;

    (void)state;
    needs(UNSB_RETRIES);
    snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
             sizeof body - 1, body);
    head = strlen(reply) - (sizeof body - 1);
    stdout_at = head + (size_t)(strstr(body, "0123") - body);
    for (cut = 1; cut < strlen(reply); cut++)
        for (mode = 0; mode < 4; mode++) {
            memcpy(reply + 9, mode < 2 ? "200" : "299", 3); /* any 2xx is a success */
            memset(scripts, 0, sizeof scripts);
            scripts[0].replies[0] = reply;
            scripts[0].reply_size = cut;
            scripts[0].end = UNSB_E_CLOSED;
            scripts[1].replies[0] = io_reply(200, "", "{\"stdout\":\"fresh\",\"exit_code\":2}");
            setup_retry(1, 2, (mode & 1) != 0);
            io.recv_piece = 3;
            prepare_sinks();
            rc = finish(do_get());
            if (cut <= stdout_at) {
                assert_int_equal(rc, UNSB_OK);
                assert_string_equal(out_text, "fresh");
                assert_string_equal(seen.text, "fresh");
                assert_string_equal(result.language, "");
                assert_int_equal(result.exit_code, 2);
                assert_int_equal(result.given, UNSB_GIVEN_EXIT_CODE);
                assert_int_equal(io.connects, 2);
            } else {
                assert_int_equal(rc, UNSB_E_TRUNCATED);
                assert_int_equal(io.connects, 1);
            }
        }
    /* likewise for artifacts, */
    memset(scripts, 0, sizeof scripts);
    scripts[0].replies[0] =
        "HTTP/1.1 200 OK\r\n\r\n{\"artifacts\":[{\"content_base64\":\"QUJDREVG";
    scripts[0].end = UNSB_E_IO;
    setup_retry(1, 1, false);
    result.on_artifact = see_artifact;
    assert_int_equal(do_get(), UNSB_E_IO);
    assert_int_equal(io.connects, UNSB_ARTIFACTS ? 1 : 2);
    assert_string_equal(seen.text, UNSB_ARTIFACTS ? "ABCDEF" : "");
    if (!UNSB_LISTS)
        return;
    /* and for items */
    memset(scripts, 0, sizeof scripts);
    scripts[0].replies[0] = "HTTP/1.1 200 OK\r\n\r\n{\"jobs\":[{},";
    scripts[0].end = UNSB_E_IO;
    setup_retry(1, 1, false);
    prepare_items();
    assert_int_equal(do_list(), UNSB_E_IO);
    assert_int_equal(io.connects, 1);
}

/* ---- time ---- */

static void test_time_outs(void **state)
{
    static const struct {
        uint32_t configured, limit;
    } limits[] = {{0, 60000}, {1, 1}, {1234, 1234}, {600000, 600000}};
    unsigned mode;
    uint32_t from;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(limits); i++)
        for (mode = 0; mode < 4; mode++) {
            uint32_t limit = limits[i].limit;
            /* connecting */
            start(NULL, 128, (mode & 1) != 0);
            io.connect_pending = IO_NEVER;
            config.connect_timeout_ms = limits[i].configured;
            configure();
            from = io.now_ms;
            assert_int_equal(finish(mode & 2 ? do_get() : do_execute()), UNSB_E_TIMEOUT);
            assert_int_equal(io.now_ms - from, limits[i].configured == 0 ? 30000 : limit);
            assert_false(io.connecting || io.connected);
            /* a silent peer; while a program runs, its time to live is added */
            start(NULL, 128, (mode & 1) != 0);
            config.idle_timeout_ms = limits[i].configured;
            configure();
            from = io.now_ms;
            assert_int_equal(finish(mode & 2 || !UNSB_JOBS ? do_get() : do_execute_async()),
                             UNSB_E_TIMEOUT);
            assert_int_equal(io.now_ms - from, limit);
            assert_false(io.connected);
            from = io.now_ms;
            program.ttl_s = 0;
            assert_int_equal(finish(mode & 2 || !UNSB_RUN ? do_execute() : do_run()),
                             UNSB_E_TIMEOUT);
            assert_int_equal(io.now_ms - from, limit + 60000);
            from = io.now_ms;
            program.ttl_s = 900;
            assert_int_equal(finish(UNSB_RUN ? do_run() : do_execute()), UNSB_E_TIMEOUT);
            assert_int_equal(io.now_ms - from, limit + (UNSB_SETTINGS ? 900000 : 60000));
            /* a peer that takes nothing more */
            scripts[0].deaf = 50;
            start(NULL, 128, (mode & 1) != 0);
            scripts[0].deaf = 50;
            config.idle_timeout_ms = limits[i].configured;
            configure();
            from = io.now_ms;
            assert_int_equal(finish(do_execute()), UNSB_E_TIMEOUT);
            assert_int_equal(io.now_ms - from, limit);
            assert_int_equal(io.connection[0].sent_size, 50);
            assert_false(io.connected);
        }
    /* an answer in time, just */
    for (mode = 0; mode < 2; mode++) {
        start(io_reply(200, "", DONE), 128, mode == 1);
        scripts[0].delay_ms = 119999;
        assert_int_equal(finish(do_execute()), UNSB_OK);
        scripts[0].delay_ms = 120001;
        assert_int_equal(finish(do_execute()), UNSB_E_TIMEOUT);
    }
}

/* Progress starts the idle limit anew, but not the total one. */
static void test_time_outs_trickle(void **state)
{
    unsigned mode;
    uint32_t from;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        start(io_reply(200, "", DONE), 128, mode == 1);
        io.recv_piece = 1;
        io.gap_ms = 1000;
        config.idle_timeout_ms = 1001;
        configure();
        from = io.now_ms;
        assert_int_equal(finish(do_get()), UNSB_OK);
        assert_true(io.now_ms - from > 20000);
        config.idle_timeout_ms = 999;
        configure();
        io.connected = false;
        from = io.now_ms;
        assert_int_equal(finish(do_get()), UNSB_E_TIMEOUT);
        assert_int_equal(io.now_ms - from, 999);
        config.idle_timeout_ms = 1001;
        config.total_timeout_ms = 5500;
        config.retries = 3;
        configure();
        from = io.now_ms;
        assert_int_equal(finish(do_get()), UNSB_E_TIMEOUT);
        assert_int_equal(io.now_ms - from, 5500);
        assert_false(io.connected);
    }
    /* waking early and for nothing neither ends nor lengthens anything */
    for (mode = 0; mode < 2; mode++) {
        start(NULL, 128, mode == 1);
        io.waits_early = 500;
        config.idle_timeout_ms = 1000;
        configure();
        from = io.now_ms;
        assert_int_equal(finish(do_get()), UNSB_E_TIMEOUT);
        assert_int_equal(io.now_ms - from, 1000);
    }
}

static int take_long(void *context, const void *data, size_t size)
{
    ((script_io *)context)->now_ms += 5000;
    (void)data;
    (void)size;
    return 0;
}

/* What a sink takes is no silence of the peer's. */
static void test_slow_sink(void **state)
{
    unsigned mode;
    uint32_t from;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        start(io_reply(200, "", "{\"stdout\":\"0123456789012345678901234567890123456789\","
                                "\"exit_code\":0}"), 128, mode == 1);
        io.recv_piece = 10;
        config.idle_timeout_ms = 1000;
        configure();
        result.out.write = take_long;
        result.out.context = &io;
        from = io.now_ms;
        assert_int_equal(finish(do_get()), UNSB_OK);
        assert_true(io.now_ms - from >= 20000);
        assert_int_equal(result.out.size, 40);
    }
}

static void test_total_time_out(void **state)
{
    unsigned mode;
    uint32_t from;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        start(NULL, 128, mode == 1);
        config.total_timeout_ms = 777;
        config.retries = 9;
        configure();
        from = io.now_ms;
        assert_int_equal(finish(do_get()), UNSB_E_TIMEOUT);
        assert_int_equal(io.now_ms - from, 777);
        assert_int_equal(io.connects, 1);
        io.connect_pending = IO_NEVER;
        from = io.now_ms;
        assert_int_equal(finish(do_get()), UNSB_E_TIMEOUT);
        assert_int_equal(io.now_ms - from, 777);
        if (!UNSB_RETRIES)
            continue;
        /* over all tries: 250 and 500 fit, 1000 does not */
        memset(scripts, 0, sizeof scripts);
        scripts[0].connect_error = UNSB_E_CONNECT;
        setup(128, mode == 1);
        config.retries = 9;
        config.total_timeout_ms = 1000;
        configure();
        from = io.now_ms;
        assert_int_equal(finish(do_get()), UNSB_E_CONNECT);
        assert_int_equal(io.now_ms - from, 750);
        assert_int_equal(io.connects, 3);
    }
}

static void test_no_clock(void **state)
{
    uint32_t from;
    unsigned i;
    int rc;

    (void)state;
    /* blocking: `wait` keeps the time */
    start(NULL, 128, false);
    config.now_ms = NULL;
    configure();
    from = io.now_ms;
    assert_int_equal(do_get(), UNSB_E_TIMEOUT);
    assert_int_equal(io.now_ms - from, 60000);
    assert_false(io.connected);
    io.connect_pending = IO_NEVER;
    from = io.now_ms;
    assert_int_equal(do_get(), UNSB_E_TIMEOUT);
    assert_int_equal(io.now_ms - from, 30000);
    memset(scripts, 0, sizeof scripts);
    scripts[0].connect_error = UNSB_E_CONNECT;
    setup(128, false);
    config.now_ms = NULL;
    config.retries = 3;
    configure();
    from = io.now_ms;
    assert_int_equal(do_execute(), UNSB_E_CONNECT);
    assert_int_equal(io.now_ms - from, UNSB_RETRIES ? 1750 : 0);
    assert_int_equal(io.connects, UNSB_RETRIES ? 4 : 1);
    if (UNSB_JOBS) {
        start(io_reply(200, "", "{\"status\":\"running\"}"), 128, false);
        config.now_ms = NULL;
        configure();
        from = io.now_ms;
        assert_int_equal(unsb_job_wait(&client, ID, 1000, &result), UNSB_E_TIMEOUT);
        assert_int_equal(io.now_ms - from, 1000);
        assert_int_equal(io_requests(&io), 2);
    }
    /* non-blocking: no limits, no second tries, no unsb_job_wait */
    memset(scripts, 0, sizeof scripts);
    scripts[0].connect_error = UNSB_E_CONNECT;
    setup(128, true);
    config.now_ms = NULL;
    config.retries = 3;
    configure();
    if (UNSB_JOBS)
        assert_int_equal(unsb_job_wait(&client, ID, 0, &result), UNSB_E_NO_CLOCK);
    assert_int_equal(io.calls, 0);
    assert_int_equal(finish(do_execute()), UNSB_E_CONNECT);
    assert_int_equal(io.connects, 1);
    start(NULL, 128, true);
    config.now_ms = NULL;
    configure();
    rc = do_get();
    for (i = 0; i < 1000; i++) {
        assert_int_equal(rc, UNSB_PENDING);
        io.now_ms += 100000;
        rc = io_poll(&io, &client);
    }
    unsb_abort(&client);
    assert_int_equal(unsb_poll(&client), UNSB_E_ABORTED);
}

/* ---- unsb_job_wait ---- */

static const char *job_reply(int status, const char *fields, const char *word)
{
    char body[64], all[128];

    snprintf(body, sizeof body, "{\"status\":\"%s\",\"exit_code\":3}", word);
    snprintf(all, sizeof all, "Connection: close\r\n%s", fields);
    return io_reply(status, all, body);
}

/* All connections alike, each for one request. */
static void polls(const char *reply)
{
    size_t i;

    memset(scripts, 0, sizeof scripts);
    for (i = 0; i < IO_CONNECTIONS; i++)
        scripts[i].replies[0] = reply;
}

static void setup_wait(bool nonblocking)
{
    setup(128, nonblocking);
    io.script_count = IO_CONNECTIONS;
}

static void test_wait_cadence(void **state)
{
    static const uint32_t cadence[] = {300, 450, 700, 900, 650, 1600, 2000, 2000, 2000, 2000};
    uint32_t from;
    unsigned mode;
    size_t i;

    (void)state;
    for (mode = 0; mode < 3; mode++) {
        polls(job_reply(200, "", "running"));
        scripts[9].replies[0] = job_reply(200, "", "completed");
        setup_wait(mode == 1);
        if (mode == 2) {
            config.now_ms = NULL; /* `wait` keeps the time */
            configure();
        }
        from = io.now_ms;
        assert_int_equal(finish(do_wait()), UNSB_OK);
        assert_int_equal(result.status, UNSB_STATUS_COMPLETED);
        assert_int_equal(result.exit_code, 3);
        assert_string_equal(result.job_id, ID);
        assert_int_equal(io.count, 10);
        for (i = 0; i < 10; i++) {
            from += cadence[i];
            assert_int_equal(io.connection[i].asked_ms - from, 0);
        }
    }
}

static void test_wait_ends(void **state)
{
    static const char *const terminal[] = {"completed", "failed", "timeout", "cancelled"};
    static const char *const others[] = {"pending", "running"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(terminal); i++) {
        polls(job_reply(200, "", terminal[i]));
        setup_wait((i & 1) != 0);
        assert_int_equal(finish(do_wait()), UNSB_OK);
        assert_int_equal(io.count, 1);
    }
    /* a word that is not known, with a result beside it */
    polls(job_reply(200, "", "success"));
    setup_wait(false);
    assert_int_equal(finish(do_wait()), UNSB_OK);
    assert_int_equal(io.count, 1);
    assert_int_equal(result.status, UNSB_STATUS_UNKNOWN);
    /* and without one */
    polls(io_reply(200, "Connection: close\r\n", "{\"status\":\"queued\",\"stdout\":\"\"}"));
    scripts[4].replies[0] = job_reply(200, "", "completed");
    setup_wait(true);
    assert_int_equal(finish(do_wait()), UNSB_OK);
    assert_int_equal(io.count, 5);
    for (i = 0; i < COUNT(others); i++) {
        polls(job_reply(200, "", others[i]));
        scripts[4].replies[0] = job_reply(200, "", "completed");
        setup_wait((i & 1) != 0);
        assert_int_equal(finish(do_wait()), UNSB_OK);
        assert_int_equal(io.count, 5);
    }
}

static void test_wait_time_out(void **state)
{
    static const uint32_t limits[] = {1, 299, 300, 301, 750, 751, 1000, 10000};
    uint32_t from;
    unsigned mode;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(limits); i++)
        for (mode = 0; mode < 2; mode++) {
            polls(job_reply(200, "", "running"));
            setup_wait(mode == 1);
            config.total_timeout_ms = 5; /* is replaced */
            configure();
            from = io.now_ms;
            assert_int_equal(finish(unsb_job_wait(&client, ID, limits[i], &result)),
                             UNSB_E_TIMEOUT);
            assert_int_equal(io.now_ms - from, limits[i]);
            assert_int_equal(result.status,
                             limits[i] > 300 ? UNSB_STATUS_RUNNING : UNSB_STATUS_NONE);
            assert_string_equal(result.job_id, ID);
        }
}

static void test_wait_early_404(void **state)
{
    unsigned mode;
    size_t i;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        polls(job_reply(404, "", ""));
        scripts[2].replies[0] = job_reply(200, "", "completed");
        setup_wait(mode == 1);
        assert_int_equal(finish(do_wait()), UNSB_OK);
        assert_int_equal(io.count, 3);
        /* a job that stays unknown does not exist */
        scripts[2].replies[0] = scripts[0].replies[0];
        setup_wait(mode == 1);
        assert_int_equal(finish(do_wait()), UNSB_E_NOT_FOUND);
        assert_true(io.count > 2 && io.count < 10);
        /* one that was there is lost */
        polls(job_reply(200, "", "running"));
        for (i = 9; i < IO_CONNECTIONS; i++)
            scripts[i].replies[0] = job_reply(404, "", "");
        setup_wait(mode == 1);
        assert_int_equal(finish(do_wait()), UNSB_E_JOB_LOST);
        assert_int_equal(io.count, 10);
    }
}

static void fail_poll(size_t connection, unsigned kind)
{
    io_script *s = &scripts[connection];

    memset(s, 0, sizeof *s);
    switch (kind) {
    case 0:
        s->connect_error = UNSB_E_CONNECT;
        break;
    case 1:
        s->end = UNSB_E_CLOSED;
        break;
    case 2:
        s->dies = 10;
        s->death = UNSB_E_IO;
        break;
    case 3:
        s->replies[0] = job_reply(500, "", "");
        break;
    case 4:
        s->replies[0] = job_reply(429, "", "");
        break;
    case 5:
        s->replies[0] = job_reply(200, "", "completed");
        s->reply_size = strlen(s->replies[0]) - 1;
        s->end = UNSB_E_CLOSED;
        break;
    default:
        break; /* silence, until the idle time-out */
    }
}

static void test_wait_failures(void **state)
{
    static const int codes[] = {UNSB_E_CONNECT,   UNSB_E_CLOSED,       UNSB_E_IO, UNSB_E_SERVER,
                                UNSB_E_RATE_LIMITED, UNSB_E_TRUNCATED, UNSB_E_TIMEOUT};
    unsigned kind, mode;
    size_t i;

    (void)state;
    for (kind = 0; kind < COUNT(codes); kind++)
        for (mode = 0; mode < 2; mode++) {
            /* ten in a row, twice */
            polls(job_reply(200, "", "running"));
            for (i = 0; i < 20; i++)
                fail_poll(i < 10 ? i : i + 1, kind);
            scripts[21].replies[0] = job_reply(200, "", "completed");
            setup_wait(mode == 1);
            config.wait_failures = 10;
            configure();
            assert_int_equal(finish(do_wait()), UNSB_OK);
            assert_int_equal(result.status, UNSB_STATUS_COMPLETED);
            assert_int_equal(io.count, 22);
            /* eleven */
            fail_poll(10, kind);
            setup_wait(mode == 1);
            config.wait_failures = 10;
            configure();
            assert_int_equal(finish(do_wait()), codes[kind]);
            assert_int_equal(io.count, 11);
            assert_false(io.connected);
        }
    /* what will not go better is returned at once */
    polls(job_reply(401, "", ""));
    setup_wait(false);
    assert_int_equal(do_wait(), UNSB_E_UNAUTHORIZED);
    assert_int_equal(io.count, 1);
    polls("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    setup_wait(false);
    assert_int_equal(do_wait(), UNSB_E_JSON);
    assert_int_equal(io.count, 1);
    /* what the service asks for is honoured, up to a minute */
    polls(job_reply(429, "Retry-After: 30\r\n", ""));
    scripts[1].replies[0] = job_reply(503, "Retry-After: 3600\r\n", "");
    scripts[2].replies[0] = job_reply(200, "", "completed");
    setup_wait(false);
    assert_int_equal(do_wait(), UNSB_OK);
    assert_int_equal(io.connection[1].asked_ms - io.connection[0].asked_ms, 30000);
    assert_int_equal(io.connection[2].asked_ms - io.connection[1].asked_ms, 60000);
}

static void test_wait_keeps_connection(void **state)
{
    (void)state;
    start(io_reply(200, "", "{\"status\":\"running\",\"result\":{\"stdout\":\"part\"}}"), 128,
          false);
    scripts[0].replies[5] =
        io_reply(200, "", "{\"status\":\"completed\",\"result\":{\"stdout\":\"whole\"}}");
    io.script_count = io_spread(scripts);
    prepare_sinks();
    assert_int_equal(do_wait(), UNSB_OK);
    assert_int_equal(io.connects, io_connections(6));
    assert_int_equal(io_requests(&io), 6);
    assert_string_equal(out_text, "whole");
    assert_string_equal(seen.text, "part!part!part!part!part!whole");
}

/* What a poll has delivered does not make the next one's failure count. */
static void test_wait_fails_after_a_part(void **state)
{
    (void)state;
    needs(UNSB_JOBS);
    polls(io_reply(200, "Connection: close\r\n",
                   "{\"status\":\"running\",\"result\":{\"stdout\":\"part\"}}"));
    fail_poll(1, 1);
    scripts[2].replies[0] =
        io_reply(200, "", "{\"status\":\"completed\",\"result\":{\"stdout\":\"whole\"}}");
    setup_wait(false);
    prepare_sinks();
    assert_int_equal(do_wait(), UNSB_OK);
    assert_int_equal(io.count, 3);
    assert_string_equal(seen.text, "part!whole");
}

/* ---- control ---- */

static void check_aborted(void)
{
    assert_int_equal(unsb_poll(&client), UNSB_E_ABORTED);
    assert_int_equal(unsb_poll(&client), UNSB_E_ABORTED);
    assert_false(io.connected || io.connecting);
    unsb_abort(&client); /* again, to no effect */
    assert_int_equal(unsb_poll(&client), UNSB_E_ABORTED);
}

/* Begins, polls `steps` times and aborts. Returns false if the operation was over before. */
static bool abort_after(int (*operation)(void), unsigned steps)
{
    uint32_t timeout_ms;
    int rc = operation();

    for (; steps != 0 && rc == UNSB_PENDING; steps--) {
        (void)unsb_interest(&client, &timeout_ms);
        if (timeout_ms != 0)
            (void)io_idle(&io, unsb_interest(&client, NULL), timeout_ms);
        rc = io_poll(&io, &client);
    }
    if (rc != UNSB_PENDING)
        return false;
    unsb_abort(&client);
    check_aborted();
    return true;
}

static void test_abort_steps(void **state)
{
    int (*const operations[])(void) = {
        do_execute,
#if UNSB_JOBS
        do_get, do_wait,
#endif
#if UNSB_LISTS
        do_list,
#endif
    };
    unsigned steps, kept, i;
    bool again;

    (void)state;
    for (i = 0; i < COUNT(operations); i++)
        for (kept = 0; kept < 2; kept++)
            for (steps = 0, again = true; again; steps++) {
                start(io_reply(200, "", "{\"status\":\"completed\",\"stdout\":\"0123456789\"}"),
                      128, true);
                io.stutter = true;
                io.send_piece = 40;
                io.recv_piece = 10;
                if (kept != 0)
                    assert_int_equal(finish(GETS ? do_get() : do_execute()), UNSB_OK);
                again = abort_after(operations[i], steps);
                assert_int_equal(finish(do_execute()), UNSB_OK);
                assert_string_equal(out_text, "0123456789");
                assert_true(steps < 200);
            }
}

static unsigned drops;

static void see_drop(void *context)
{
    script_io *seen_io = (script_io *)context;

    drops++;
    seen_io->connecting = seen_io->connected = false;
}

/* At any point of an operation, and between two: the connection is given up once, in the way that
 * the transport has for it. */
static void test_drop(void **state)
{
    unsb_transport_class table = io_nonblocking;
    unsigned has, steps, holds, i;
    int rc;

    (void)state;
    for (has = 0; has < 2; has++) {
        table.drop = has != 0 ? see_drop : NULL;
        for (steps = 0, rc = UNSB_PENDING; rc == UNSB_PENDING; steps++) {
            start(io_reply(200, "", "{\"status\":\"completed\"}"), 128, true);
            io.send_piece = 40;
            io.recv_piece = 10;
            config.transport.vtable = &table;
            configure();
            rc = do_get();
            for (i = 0; i < steps && rc == UNSB_PENDING; i++)
                rc = io_poll(&io, &client);
            holds = io.connecting || io.connected;
            drops = io.closes = 0;
            unsb_drop(&client);
            assert_int_equal(drops, has != 0 ? holds : 0);
            assert_int_equal(io.closes, has != 0 ? 0 : holds);
            assert_false(io.connecting || io.connected);
            configure();
        }
        assert_int_equal(rc, UNSB_OK);
        assert_true(steps > 3);
    }
}

static int see_source(void *context, unsb_size offset, void *data, size_t size)
{
    (void)context;
    (void)offset;
    memset(data, 'a', size);
    return see("", 0) != 0 ? seen.code : (int)size;
}

static void test_abort_callbacks(void **state)
{
    static const char *const body =
        "{\"stdout\":\"abcdefgh\",\"stderr\":\"ABCDEFGH\",\"artifacts\":[{\"content_base64\":"
        "\"QUJDREVG\",\"filename\":\"name\"}],\"languages\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}";
    unsigned kind, at, mode;

    (void)state;
    for (kind = 0; kind < 6; kind++)
        for (at = 1; at <= 4; at++)
            for (mode = 0; mode < 4; mode++) {
                if (kind == 4 ? !UNSB_LISTS : kind / 2 == 1 && !UNSB_ARTIFACTS)
                    continue;
                start(io_reply(200, "", body), 128, (mode & 1) != 0);
                io.recv_piece = mode < 2 ? 1 : 0;
                seen.at = at;
                seen.abort = true;
                result.out.context = result.err.context = result.artifact_name.context = &seen;
                if (kind == 0)
                    result.out.write = see_write;
                else if (kind == 1)
                    result.err.write = see_write;
                else if (kind == 2) {
                    result.artifact_name.write = see_write;
                    result.on_artifact = pass_artifact;
                }
                else if (kind == 3)
                    result.on_artifact = see_artifact;
                else if (kind == 4)
                    result.on_item = see_item;
                else {
                    program.code.size = 400;
                    program.code.data = NULL;
                    program.code.read = see_source;
                }
                if (mode >= 2 && kind < 3 && at > 1)
                    continue; /* such a text comes in one piece */
                if (mode >= 2 && kind == 3 && at > 2)
                    continue;
                assert_int_equal(finish(kind == 4 ? do_languages() : do_execute()), UNSB_E_ABORTED);
                if (kind == 5) { /* a source may be asked until the buffer is full */
                    assert_true(seen.calls - at < 8);
                    assert_int_equal(io_requests(&io), 0);
                } else {
                    assert_int_equal(seen.calls, at);
                }
                check_aborted();
                seen.at = 0;
                assert_int_equal(finish(kind == 4 ? do_languages() : do_execute()), UNSB_OK);
            }
}

static jmp_buf away;

static int leave(void *context, const void *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
    longjmp(away, 1);
    return 0; /* for compilers that do not know that longjmp() does not return */
}

static int leave_artifact(void *context, const unsb_artifact *artifact)
{
    return leave(context, artifact, 0);
}

static int leave_source(void *context, unsb_size offset, void *data, size_t size)
{
    (void)offset;
    return leave(context, data, size);
}

/* A callback that does not return: abort and close work all the same. */
static void test_callbacks_that_leave(void **state)
{
    static const unsb_client zero;
    static unsigned kind, closes, mode, n; /* static: longjmp may spoil others */
    size_t i;

    (void)state;
    for (n = 0; n < 16; n++) {
        kind = n / 4;
        if (kind == 2 && !UNSB_ARTIFACTS)
            continue;
        closes = n / 2 % 2;
        mode = n % 2;
        start(io_reply(200, "",
                       "{\"stdout\":\"x\",\"stderr\":\"y\",\"artifacts\":[{\"data\":\"QQ==\"}]}"),
              128, mode == 1);
        if (kind == 0)
            result.out.write = leave;
        else if (kind == 1)
            result.err.write = leave;
        else if (kind == 2)
            result.on_artifact = leave_artifact;
        else {
            program.code.size = 400;
            program.code.data = NULL;
            program.code.read = leave_source;
        }
        if (setjmp(away) == 0) {
            (void)finish(do_execute());
            fail_msg("it returned");
        }
        if (closes != 0) {
            unsb_close(&client);
            assert_memory_equal(&client, &zero, sizeof client);
            for (i = 0; i < 128; i++)
                assert_int_equal(buffer[i], 0);
            assert_false(io.connected || io.connecting);
            continue;
        }
        assert_int_equal(unsb_poll(&client), UNSB_E_BUSY);
        assert_int_equal(do_execute(), UNSB_E_BUSY);
        unsb_abort(&client);
        check_aborted();
        memset(&result.err.write, 0, sizeof result.err.write);
        result.out.write = NULL;
        result.on_artifact = NULL;
        program.code = unsb_text("print()");
        assert_int_equal(finish(do_execute()), UNSB_OK);
    }
}

static void test_close(void **state)
{
    static const unsb_client zero;
    unsigned steps, over;
    size_t i;
    int rc;

    (void)state;
    for (steps = 0, over = 0; over == 0; steps++) {
        start(io_reply(200, "", DONE), 1024, true);
        memset(buffer, 0, 1024);
        rc = do_execute();
        for (i = 0; i < steps && rc == UNSB_PENDING; i++)
            rc = unsb_poll(&client);
        over = rc != UNSB_PENDING;
        if (io.moves >= (UNSB_RETRIES ? 2 : 3)) /* connected, and looked whether it is silent */
            assert_true(holds_key(buffer, 1024)); /* there is something to wipe */
        unsb_close(&client);
        assert_false(io.connected || io.connecting);
        for (i = 0; i < 1024; i++)
            assert_int_equal(buffer[i], 0);
        assert_memory_equal(&client, &zero, sizeof client);
        unsb_close(&client); /* twice does no harm */
        assert_int_equal(do_execute(), UNSB_E_CLIENT);
        assert_int_equal(unsb_poll(&client), UNSB_E_CLIENT);
    }
    assert_true(steps > 3);
}

static void test_busy(void **state)
{
    unsb_client before;
    unsb_result result_before, other;
    unsb_program run;
    unsb_key key;
    unsigned steps;
    int rc;

    (void)state;
    start(io_reply(200, "", EXECUTED), 128, true);
    io.recv_piece = 7;
    io.send_piece = 50;
    io.stutter = true;
    memset(&run, 0, sizeof run);
    run.code = unsb_text("#!x\n");
    memset(&other, 0, sizeof other);
    rc = do_execute();
    for (steps = 0; rc == UNSB_PENDING; steps++) {
        before = client;
        result_before = result;
        memset(&key, 0x5A, sizeof key);
        assert_int_equal(unsb_execute(&client, &program, &other), UNSB_E_BUSY);
        assert_int_equal(unsb_execute(&client, &program, &result), UNSB_E_BUSY);
        if (UNSB_JOBS) {
            assert_int_equal(unsb_execute_async(&client, &program, &result), UNSB_E_BUSY);
            assert_int_equal(unsb_job_get(&client, "x", &result), UNSB_E_BUSY);
            assert_int_equal(unsb_job_wait(&client, "x", 0, &result), UNSB_E_BUSY);
            assert_int_equal(unsb_job_cancel(&client, "x", &result), UNSB_E_BUSY);
        }
        if (UNSB_RUN)
            assert_int_equal(unsb_run(&client, &run, &result), UNSB_E_BUSY);
        if (UNSB_RUN && UNSB_JOBS)
            assert_int_equal(unsb_run_async(&client, &run, &result), UNSB_E_BUSY);
        if (UNSB_LISTS) {
            assert_int_equal(unsb_job_list(&client, &result), UNSB_E_BUSY);
            assert_int_equal(unsb_languages(&client, &result), UNSB_E_BUSY);
        }
        if (UNSB_KEYS)
            assert_int_equal(unsb_key_validate(&client, &key, &result), UNSB_E_BUSY);
        if (UNSB_REQUEST)
            assert_int_equal(unsb_request(&client, &call, &result), UNSB_E_BUSY);
        assert_memory_equal(&client, &before, sizeof client);
        assert_memory_equal(&result, &result_before, sizeof result);
        assert_int_equal(((uint8_t *)&key)[0], 0x5A);
        rc = io_poll(&io, &client);
    }
    assert_int_equal(rc, UNSB_OK);
    assert_true(steps > 20);
    check_execute();
    assert_int_equal(io_requests(&io), 1);
}

static int layered_interest(void *context, int interest)
{
    (void)context;
    assert_true(interest != 0);
    return interest ^ (UNSB_READABLE | UNSB_WRITABLE);
}

/* Polls until the transport can do no more. */
static int until_blocked(uint32_t *timeout_ms)
{
    int interest, rc = UNSB_PENDING;

    for (;;) {
        interest = unsb_interest(&client, timeout_ms);
        assert_int_equal(interest, unsb_interest(&client, NULL));
        if (*timeout_ms != 0 || rc != UNSB_PENDING)
            return interest;
        rc = io_poll(&io, &client);
    }
}

static void test_interest(void **state)
{
    unsb_transport_class layered = io_nonblocking;
    uint32_t timeout_ms, ttl_ms = UNSB_SETTINGS ? 10000 : 60000;
    int sending = UNSB_RETRIES ? UNSB_WRITABLE | UNSB_READABLE : UNSB_WRITABLE;

    (void)state;
    start(io_reply(503, "", "{}"), 128, true);
    scripts[0].deaf = 60;
    config.retries = 1;
    configure();
    assert_int_equal(unsb_interest(&client, &timeout_ms), 0);
    assert_int_equal(timeout_ms, UNSB_FOREVER);
    io.connect_pending = IO_NEVER;
    program.ttl_s = 10;
    assert_int_equal(do_execute(), UNSB_PENDING);
    (void)unsb_interest(&client, &timeout_ms);
    assert_int_equal(timeout_ms, 0); /* there is something to do at once */
    /* connecting */
    assert_int_equal(until_blocked(&timeout_ms), UNSB_WRITABLE);
    assert_int_equal(timeout_ms, 30000);
    io.now_ms += 1000;
    assert_int_equal(io_poll(&io, &client), UNSB_PENDING);
    assert_int_equal(until_blocked(&timeout_ms), UNSB_WRITABLE);
    assert_int_equal(timeout_ms, 29000);
    /* sending to a peer that takes no more: its answer may come, too */
    io.connect_pending = 0;
    assert_int_equal(io_poll(&io, &client), UNSB_PENDING);
    assert_int_equal(until_blocked(&timeout_ms), sending);
    assert_int_equal(timeout_ms, 60000);
    io.now_ms += 59999;
    assert_int_equal(until_blocked(&timeout_ms), sending);
    assert_int_equal(timeout_ms, 1);
    /* receiving */
    scripts[0].deaf = 0;
    scripts[0].delay_ms = 5000;
    assert_int_equal(io_poll(&io, &client), UNSB_PENDING);
    assert_int_equal(until_blocked(&timeout_ms), UNSB_READABLE);
    assert_int_equal(timeout_ms, 60000 + ttl_ms);
    io.now_ms += 5000;
    assert_int_equal(until_blocked(&timeout_ms), UNSB_READABLE);
    assert_int_equal(timeout_ms, 55000 + ttl_ms);
    if (UNSB_RETRIES) { /* pausing before another try */
        assert_int_equal(io_poll(&io, &client), UNSB_PENDING);
        assert_int_equal(until_blocked(&timeout_ms), 0);
        assert_int_equal(timeout_ms, 250);
        io.now_ms += 249;
        assert_int_equal(until_blocked(&timeout_ms), 0);
        assert_int_equal(timeout_ms, 1);
    }
    assert_int_equal(finish(UNSB_PENDING), UNSB_E_SERVER);
    assert_int_equal(unsb_interest(&client, &timeout_ms), 0);
    assert_int_equal(timeout_ms, UNSB_FOREVER);
    /* the total limit shortens each of these */
    start(NULL, 128, true);
    config.total_timeout_ms = 4321;
    configure();
    assert_int_equal(do_get(), UNSB_PENDING);
    assert_int_equal(until_blocked(&timeout_ms), UNSB_READABLE);
    assert_int_equal(timeout_ms, 4321);
    unsb_abort(&client);
    /* a layer translates */
    config.transport.vtable = &layered;
    layered.interest = layered_interest;
    configure();
    assert_int_equal(do_get(), UNSB_PENDING);
    assert_int_equal(until_blocked(&timeout_ms), UNSB_WRITABLE);
    unsb_abort(&client);
    assert_int_equal(unsb_interest(&client, NULL), 0);
}

/* ---- answers that come before the request is over ---- */

static void setup_early(const char *reply, unsigned mode)
{
    static char large[20000];

    memset(large, 'a', sizeof large);
    start_once(reply, UNSB_E_CLOSED, 128, (mode & 1) != 0);
    program.code = unsb_bytes(large, sizeof large);
    scripts[0].early = 5000;
    io.recv_piece = (mode & 2) != 0 ? 1 : 0;
    io.gap_ms = (mode & 2) != 0 ? 1 : 0; /* the first byte is there, the next one is not yet */
}

static void check_early(int (*operation)(void))
{
    uint32_t from = io.now_ms;

    assert_int_equal(finish(operation()), UNSB_E_TOO_LARGE);
    assert_int_equal(result.http_status, 413);
    assert_string_equal(result.message, "Too large");
    assert_false(io.connected);
    assert_int_equal(io.connects, 1);
    assert_true(io.now_ms - from < 1000); /* no time-out was needed */
}

static void test_early_answer(void **state)
{
    static const int deaths[] = {UNSB_E_IO, UNSB_E_CLOSED, OWN_CODE};
    const char *body = "{\"message\":\"Too large\"}";
    const char *reply = io_reply(413, "", body);
    const char *closing = io_reply(413, "Connection: close\r\n", body);
    static char unframed[128];
    unsigned mode, i, framed;

    (void)state;
    needs(UNSB_RETRIES);
    snprintf(unframed, sizeof unframed, "HTTP/1.1 413 Too large\r\n\r\n%s", body);
    for (mode = 0; mode < 4; mode++) {
        for (framed = 0; framed < 3; framed++) {
            const char *text = framed == 0 ? reply : framed == 1 ? closing : unframed;
            /* the peer reads no more */
            setup_early(text, mode);
            scripts[0].deaf = 5000;
            check_early(do_execute);
            /* the peer has closed its side: sending fails, and the answer waits */
            for (i = 0; i < COUNT(deaths); i++) {
                setup_early(text, mode);
                scripts[0].dies = 5000;
                scripts[0].death = deaths[i];
                check_early(do_execute);
            }
        }
        /* the peer reads on: the request goes out whole, then the answer is found */
        setup_early(reply, mode);
        assert_int_equal(finish(do_execute()), UNSB_E_TOO_LARGE);
        assert_int_equal(io.connection[0].requests, 1);
    }
    /* no answer: it is the failure to send that is told */
    for (i = 0; i < COUNT(deaths); i++) {
        setup_early(NULL, i);
        scripts[0].dies = 5000;
        scripts[0].death = deaths[i];
        assert_int_equal(finish(do_execute()), deaths[i]);
        assert_false(io.connected);
    }
}

/* A peer that speaks first can refuse what it was not asked for, but has not done it. */
static void test_answer_first(void **state)
{
    static const struct {
        int status, rc;
    } firsts[] = {{200, UNSB_E_HTTP},     {202, UNSB_E_HTTP},    {299, UNSB_E_HTTP},
                  {300, UNSB_E_REDIRECT}, {408, UNSB_E_REFUSED}, {503, UNSB_E_SERVER}};
    unsigned mode;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(firsts); i++)
        for (mode = 0; mode < 4; mode++) {
            start(io_reply(firsts[i].status, "", DONE), 128, (mode & 1) != 0);
            scripts[0].first = true;
            io.recv_piece = (mode & 2) != 0 ? 1 : 0;
            assert_int_equal(finish(do_execute()), UNSB_RETRIES ? firsts[i].rc : UNSB_E_HTTP);
            assert_false(io.connected);
            assert_int_equal(io_requests(&io), 0);
        }
}

/* Interim responses (RFC 9110 section 15.2) may come at any time, also while the peer lets an
 * upload wait, be it in the middle of one; they are not its end. */
static void test_early_interim(void **state)
{
    static const char *const interims[] = {
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=x\r\nX:\r\n\r\nHTTP/1.1 102\r\n\r\n",
        "HTTP/1.1 100 Continue\n\n", "HTTP/1.1 199 Any\r\n\r\n"};
    char reply[256];
    unsigned mode;
    size_t i, cut, size;

    (void)state;
    needs(UNSB_RETRIES);
    for (i = 0; i < COUNT(interims); i++) {
        strcpy(reply, interims[i]);
        strcat(reply, io_reply(200, "", "{\"exit_code\":5}"));
        size = strlen(interims[i]);
        for (cut = 0; cut <= size + 9; cut++) /* 0: the peer reads on */
            for (mode = 0; mode < 4; mode++) {
                setup_early(reply, mode);
                program.code.size = 6000;
                scripts[0].end = 0;
                scripts[0].deaf = cut != 0 ? 5000 : 0;
                scripts[0].deaf_until = cut;
                assert_int_equal(finish(do_execute()), UNSB_OK);
                assert_int_equal(result.exit_code, 5);
                assert_int_equal(io.connection[0].requests, 1);
            }
    }
}

/* An interim response that does not end is bounded like any other head. */
static void test_early_endless(void **state)
{
    static char reply[UNSB_HTTP_HEAD_LIMIT + 100];

    (void)state;
    needs(UNSB_RETRIES);
    memset(reply, 'a', sizeof reply - 1);
    memcpy(reply, "HTTP/1.1 100 ", 13);
    setup_early(reply, 0);
    scripts[0].deaf = 5000;
    assert_int_equal(finish(do_execute()), UNSB_E_HEAD_SIZE);
    assert_false(io.connected);
}

/* An early answer of which there is only the beginning. */
static void test_early_truncated(void **state)
{
    const char *reply = io_reply(413, "", "{\"message\":\"Too large\"}");
    size_t head = (size_t)(strstr(reply, "\r\n\r\n") + 4 - reply), n;
    unsigned mode;

    (void)state;
    needs(UNSB_RETRIES);
    for (n = 1; n < strlen(reply); n += n < 4 ? 1 : 3)
        for (mode = 0; mode < 4; mode++) {
            setup_early(reply, mode);
            scripts[0].deaf = 5000;
            scripts[0].reply_size = n;
            /* a whole head tells enough */
            assert_int_equal(finish(do_execute()),
                             n < head ? UNSB_E_TRUNCATED : UNSB_E_TOO_LARGE);
            assert_int_equal(result.http_status, n < head ? 0 : 413);
            assert_false(io.connected);
        }
}

/* ---- other ---- */

/* What tells of an outcome may be shown or logged: the key is not in it. */
static void test_secrets(void **state)
{
    static const char *const bodies[] = {"{}", "x", "{\"error\":\"e\"}"};
    int (*const operations[])(void) = {
        do_execute,
#if UNSB_RUN && UNSB_JOBS
        do_run_async,
#endif
#if UNSB_JOBS
        do_get, do_cancel,
#endif
#if UNSB_LISTS
        do_list, do_languages,
#endif
#if UNSB_KEYS
        do_validate,
#endif
#if UNSB_REQUEST
        do_call,
#endif
    };
    size_t i, b;
    int rc;

    (void)state;
    for (i = 0; i < COUNT(operations); i++)
        for (b = 0; b < COUNT(bodies); b++) {
            start(io_reply(b == 0 ? 200 : 401, "", bodies[b]), 512, false);
            rc = operations[i]();
            assert_false(holds_key(&result, sizeof result));
            assert_false(holds_key(&key_info, sizeof key_info));
            assert_false(holds_key(out_text, sizeof out_text));
            assert_null(strstr(unsb_error_text(rc), "unsb-sk"));
        }
}

static void test_poll_idle(void **state)
{
    (void)state;
    start(io_reply(200, "", DONE), 128, true);
    assert_int_equal(unsb_poll(&client), UNSB_OK);
    unsb_abort(&client); /* nothing is under way */
    assert_int_equal(unsb_poll(&client), UNSB_OK);
    assert_int_equal(io.calls, 0);
    assert_int_equal(finish(do_execute()), UNSB_OK);
    unsb_abort(&client);
    assert_int_equal(unsb_poll(&client), UNSB_OK);
}

/* ---- what is left: each condition that no test before decides ---- */

/* A sink that refuses to start over, when its field comes twice or the request is repeated. */
static void test_restarts_refused(void **state)
{
    (void)state;
    start(io_reply(200, "", "{\"stdout\":\"a\",\"exit_code\":0,\"stdout\":\"b\"}"), 128, false);
    result.out.write = see_write;
    result.out.context = &seen;
    seen.at = 2;
    seen.code = OWN_CODE;
    assert_int_equal(do_execute(), OWN_CODE);
    assert_string_equal(seen.text, "a!");
    if (!UNSB_RETRIES || !UNSB_REQUEST)
        return;
    start(io_reply(503, "", "later"), 128, false);
    config.retries = 3;
    configure();
    result.out.write = see_write;
    result.out.context = &seen;
    seen.at = 2;
    seen.code = OWN_CODE;
    assert_int_equal(do_call(), OWN_CODE);
    assert_string_equal(seen.text, "later!");
    assert_int_equal(io_requests(&io), 2);
}

/* A sink's refusal is told within one of the service, too; that the text is no JSON counts only for
 * a 2xx. */
static void test_sink_within_a_refusal(void **state)
{
    static const int codes[][2] = {{OWN_CODE, OWN_CODE}, {-1, UNSB_E_SINK}, {7, UNSB_E_SINK},
                                   {UNSB_E_JSON, UNSB_E_SINK}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(codes); i++) {
        start(io_reply(400, "", "{\"stdout\":\"a\"}"), 128, false);
        result.out.write = see_write;
        result.out.context = &seen;
        seen.at = 1;
        seen.code = codes[i][0];
        assert_int_equal(do_execute(), codes[i][1]);
    }
    start(io_reply(300, "", "no JSON"), 128, false);
    assert_int_equal(do_execute(), UNSB_E_REDIRECT);
    start(io_reply(299, "", "no JSON"), 128, false);
    assert_int_equal(do_execute(), UNSB_E_JSON);
}

static void test_no_idle_limit(void **state)
{
    uint32_t from;

    (void)state;
    start(NULL, 128, false);
    config.idle_timeout_ms = UNSB_FOREVER;
    config.total_timeout_ms = 1000000;
    configure();
    program.ttl_s = 5;
    from = io.now_ms;
    assert_int_equal(do_execute(), UNSB_E_TIMEOUT);
    assert_int_equal(io.now_ms - from, 1000000);
    if (!UNSB_REQUEST)
        return;
    /* and the time to live of what a call starts is its own */
    start(NULL, 128, false);
    call.answer = UNSB_ANSWER_OUTCOME;
    call.ttl_s = 5;
    from = io.now_ms;
    assert_int_equal(do_call(), UNSB_E_TIMEOUT);
    assert_int_equal(io.now_ms - from, 65000);
}

/* Sending fails, and the answer that may tell why never comes. */
static void test_cut_short_and_silent(void **state)
{
    uint32_t from;

    (void)state;
    start(io_reply(413, "", "{}"), 128, false);
    scripts[0].early = 60;
    scripts[0].dies = 100;
    scripts[0].death = UNSB_E_IO;
    io.gap_ms = 0x7FFFFFFF;
    io.connection[0].read_ms = io.now_ms;
    from = io.now_ms;
    assert_int_equal(do_execute(), UNSB_E_IO);
    /* not the time of a run, which there is none of */
    assert_int_equal(io.now_ms - from, UNSB_RETRIES ? 60000 : 0);
    assert_false(io.connected);
}

/* Nothing of the request went out: no answer can tell why. */
static void test_first_send_fails(void **state)
{
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        start(NULL, 128, mode == 1);
        io.fault_at = 3; /* after a look at what came unasked */
        io.fault = UNSB_E_IO;
        assert_int_equal(finish(do_execute()), UNSB_E_IO);
        assert_true(io.connection[0].send_failed);
        assert_int_equal(io.moves, io.fault_at);
        assert_false(io.connected);
    }
}

/* A transport that was interrupted says so once, perhaps: that ends the operation, though a refusal
 * has come, or may come, or has begun to while the request was sent. */
static void test_interrupted(void **state)
{
    (void)state;
    start_once("HTTP/1.1 404 None\r\nContent-Length: 50\r\n\r\n{", UNSB_E_ABORTED, 128, false);
    assert_int_equal(do_execute(), UNSB_E_ABORTED);
    assert_int_equal(result.http_status, 404);
    start_once(io_reply(413, "", "{}"), UNSB_E_CLOSED, 128, false);
    scripts[0].early = 60;
    scripts[0].dies = 100;
    scripts[0].death = UNSB_E_ABORTED;
    assert_int_equal(do_execute(), UNSB_E_ABORTED);
    assert_int_equal(result.http_status, 0);
    start_once("HTTP/1.1 4", UNSB_E_ABORTED, 128, false);
    scripts[0].early = 60;
    scripts[0].deaf = 60;
    assert_int_equal(do_execute(), UNSB_RETRIES ? UNSB_E_ABORTED : UNSB_E_TIMEOUT);
    assert_int_equal(result.http_status, 0);
}

/* A port that breaks the contract: `connect` returns what is no code. */
static void test_connect_returns_nonsense(void **state)
{
    (void)state;
    start(NULL, 128, false);
    scripts[0].connect_error = 7;
    assert_int_equal(do_execute(), UNSB_E_CONNECT);
    assert_false(io.connected || io.connecting || io.must_close);
}

/* Without a clock `wait` may return early, too; or fail. */
static void test_no_clock_and_early(void **state)
{
    unsigned at, failed = 0;
    uint32_t from;

    (void)state;
    start(io_reply(200, "", DONE), 128, false);
    config.now_ms = NULL;
    configure();
    scripts[0].delay_ms = 1000;
    io.waits_early = 5;
    assert_int_equal(do_execute(), UNSB_OK);
    assert_true(io.waits > 5);
    memset(scripts, 0, sizeof scripts);
    scripts[0].connect_error = UNSB_E_CONNECT;
    setup(128, false);
    config.now_ms = NULL;
    config.retries = 2;
    configure();
    io.waits_early = 1;
    from = io.now_ms;
    assert_int_equal(do_execute(), UNSB_E_CONNECT);
    assert_int_equal(io.connects, UNSB_RETRIES ? 3 : 1);
    /* the first pause was cut to 1 ms */
    assert_int_equal(io.now_ms - from, UNSB_RETRIES ? 501 : 0);
    for (at = 1; at < 20; at++) {
        start(NULL, 128, false);
        config.now_ms = NULL;
        configure();
        io.fault_at = at;
        io.fault = OWN_CODE;
        failed += do_execute() == OWN_CODE;
        assert_false(io.connected);
    }
    assert_true(failed > 3 && failed < 19);
}

static void test_arguments(void **state)
{
    unsb_output *outputs[] = {&result.out, &result.err, &result.artifact_name};
    unsb_header headers[2] = {{"a b", "x"}, {"ok", "y"}};
    size_t i;

    (void)state;
    start(io_reply(200, "", DONE), 128, false);
    for (i = 0; i < (UNSB_ARTIFACTS ? 3 : 2); i++) {
        unsb_output good = *outputs[i];
        outputs[i]->data = NULL;
        assert_int_equal(do_execute(), UNSB_E_ARGUMENT);
        outputs[i]->capacity = 0;
        assert_int_equal(do_execute(), UNSB_OK);
        *outputs[i] = good;
    }
    io.calls = 0;
    assert_int_equal(unsb_execute(NULL, &program, &result), UNSB_E_ARGUMENT);
    if (UNSB_JOBS) {
        assert_int_equal(unsb_job_get(NULL, ID, &result), UNSB_E_ARGUMENT);
        assert_int_equal(unsb_job_wait(NULL, ID, 0, &result), UNSB_E_ARGUMENT);
        assert_int_equal(unsb_job_cancel(NULL, ID, &result), UNSB_E_ARGUMENT);
    }
    if (UNSB_LISTS)
        assert_int_equal(unsb_job_list(NULL, &result), UNSB_E_ARGUMENT);
    if (UNSB_KEYS) {
        assert_int_equal(unsb_key_validate(NULL, &key_info, &result), UNSB_E_ARGUMENT);
        assert_int_equal(unsb_key_validate(&client, &key_info, NULL), UNSB_E_ARGUMENT);
        assert_int_equal(unsb_key_validate(&client, NULL, &result), UNSB_E_ARGUMENT);
    }
    if (UNSB_REQUEST)
        assert_int_equal(unsb_request(NULL, &call, &result), UNSB_E_ARGUMENT);
    for (i = 0; UNSB_REQUEST && i < 2; i++) { /* wherever the bad one stands */
        call.headers = headers;
        call.header_count = 2;
        assert_int_equal(do_call(), UNSB_E_HEADER_BYTE);
        headers[0].name = "ok";
        headers[1].name = "a b";
    }
    assert_int_equal(io.calls, 0);
}

static int begin_within(void *context, const void *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
    assert_int_equal(GETS ? do_get() : do_execute(), UNSB_E_BUSY);
    unsb_abort(&client);
    seen.calls++;
    return 0;
}

static void test_begin_within_a_callback(void **state)
{
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        start(io_reply(200, "", EXECUTED), 128, mode == 1);
        result.out.write = begin_within;
        assert_int_equal(finish(do_execute()), UNSB_E_ABORTED);
        assert_int_equal(seen.calls, 1);
        result.out.write = NULL;
        assert_int_equal(finish(do_execute()), UNSB_OK);
    }
}

/* Begins to send more than one buffer holds, up to where some of its body is counted. */
static void begin_counted(void)
{
    static char code[600];

    memset(code, 'a', sizeof code);
    start(io_reply(200, "", DONE), 128, true);
    program.code = unsb_bytes(code, sizeof code);
    assert_int_equal(do_execute(), UNSB_PENDING);
    while (client.v.tx.counted == 0)
        assert_int_equal(io_poll(&io, &client), UNSB_PENDING);
}

/* More than can be counted: sources of that size cannot be had, so the count is put near it. */
static void test_request_too_large_to_count(void **state)
{
    (void)state;
    begin_counted();
    client.v.tx.counted = (unsb_size)-1 - 20;
    assert_int_equal(finish(UNSB_PENDING), UNSB_E_REQUEST_SIZE);
    assert_int_equal(io.moves, 0);
}

/* A length of as many digits as a number has. */
static void test_longest_length(void **state)
{
    char line[64];

    (void)state;
    begin_counted();
    client.v.tx.counted += (unsb_size)-1 - 1000;
    while (io.count == 0 || io_last(&io)->sent_size < 400)
        assert_int_equal(io_poll(&io, &client), UNSB_PENDING);
    assert_true(client.v.tx.body_size > ((unsb_size)-1) / 2);
    snprintf(line, sizeof line, "\r\nContent-Length: %llu\r\n",
             (unsigned long long)client.v.tx.body_size);
    assert_non_null(strstr(io_last(&io)->sent, line));
    unsb_abort(&client);
}

/* Each parameter of a run's query with and without the others: "?" before the first one alone. */
static void test_run_queries(void **state)
{
    static const char *const parameters[] = {"ttl=7", "network_mode=semitrusted",
                                             "return_artifact=true", "return_wasm_artifact=true"};
    char wanted[256];
    unsigned set, i;

    (void)state;
    for (set = 0; set < (UNSB_ARTIFACTS ? 16 : 4); set++) {
        start(io_reply(200, "", DONE), 128, false);
        program.ttl_s = (set & 1) != 0 ? 7 : 0;
        program.network = (set & 2) != 0 ? UNSB_NETWORK_SEMITRUSTED : UNSB_NETWORK_DEFAULT;
        program.return_artifact = (set & 4) != 0;
        program.return_wasm_artifact = (set & 8) != 0;
        strcpy(wanted, "POST /run");
        for (i = 0; i < COUNT(parameters); i++)
            if ((set >> i & 1) != 0) {
                strcat(wanted, strchr(wanted, '?') == NULL ? "?" : "&");
                strcat(wanted, parameters[i]);
            }
        strcat(wanted, " HTTP/1.1\r\n");
        assert_int_equal(do_run(), UNSB_OK);
        assert_memory_equal(io.connection[0].sent, wanted, strlen(wanted));
    }
}

/* A response that breaks off: from 300 on its status is the outcome. */
static void test_statuses_of_broken_answers(void **state)
{
    static const struct {
        int status, rc;
    } cases[] = {{200, UNSB_E_TRUNCATED}, {299, UNSB_E_TRUNCATED}, {300, UNSB_E_REDIRECT},
                 {301, UNSB_E_REDIRECT},  {399, UNSB_E_REDIRECT},  {400, UNSB_E_BAD_REQUEST},
                 {499, UNSB_E_REFUSED},   {500, UNSB_E_SERVER}};
    char reply[128];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        snprintf(reply, sizeof reply, "HTTP/1.1 %d X\r\nContent-Length: 50\r\n\r\n{",
                 cases[i].status);
        start_once(reply, UNSB_E_CLOSED, 128, false);
        assert_int_equal(do_execute(), cases[i].rc);
        assert_int_equal(result.http_status, cases[i].status);
    }
}

/* What was known of one job is not taken for known of the next one. */
static void test_wait_for_another(void **state)
{
    (void)state;
    polls(job_reply(404, "", ""));
    scripts[0].replies[0] = job_reply(200, "", "running");
    scripts[1].replies[0] = job_reply(200, "", "completed");
    scripts[4].replies[0] = job_reply(200, "", "completed");
    setup_wait(false);
    assert_int_equal(do_wait(), UNSB_OK);
    assert_int_equal(io.count, 2);
    assert_int_equal(do_wait(), UNSB_OK); /* unknown at first, as it may be just being made */
    assert_int_equal(io.count, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_run_vcpu),
        cmocka_unit_test(test_result_again),
        cmocka_unit_test(test_framings),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_unknown_fields),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_artifacts),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_sinks_that_fail),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_error_statuses),
        cmocka_unit_test(test_keep_alive),
#if !UNSB_KEEP_ALIVE
        cmocka_unit_test(test_no_connection_is_kept),
#endif
        cmocka_unit_test(test_stale_connection),
        cmocka_unit_test(test_retry_each),
        cmocka_unit_test(test_retry_connect),
        cmocka_unit_test(test_retry_drop),
        cmocka_unit_test(test_retry_no_answer),
        cmocka_unit_test(test_retry_status),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_retry_leaves_nothing),
        cmocka_unit_test(test_retry_into_job),
        cmocka_unit_test(test_retry_get_cut),
        cmocka_unit_test(test_time_outs),
        cmocka_unit_test(test_time_outs_trickle),
        cmocka_unit_test(test_slow_sink),
        cmocka_unit_test(test_total_time_out),
        cmocka_unit_test(test_no_clock),
        cmocka_unit_test(test_wait_cadence),
        cmocka_unit_test(test_wait_ends),
        cmocka_unit_test(test_wait_time_out),
        cmocka_unit_test(test_wait_early_404),
        cmocka_unit_test(test_wait_failures),
        cmocka_unit_test(test_wait_keeps_connection),
        cmocka_unit_test(test_wait_fails_after_a_part),
        cmocka_unit_test(test_abort_steps),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_abort_callbacks),
        cmocka_unit_test(test_callbacks_that_leave),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_interest),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_answer_first),
        cmocka_unit_test(test_early_interim),
        cmocka_unit_test(test_early_endless),
        cmocka_unit_test(test_early_truncated),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_poll_idle),
        cmocka_unit_test(test_restarts_refused),
        cmocka_unit_test(test_sink_within_a_refusal),
        cmocka_unit_test(test_no_idle_limit),
        cmocka_unit_test(test_cut_short_and_silent),
        cmocka_unit_test(test_first_send_fails),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_connect_returns_nonsense),
        cmocka_unit_test(test_no_clock_and_early),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_begin_within_a_callback),
        cmocka_unit_test(test_request_too_large_to_count),
        cmocka_unit_test(test_longest_length),
        cmocka_unit_test(test_run_queries),
        cmocka_unit_test(test_statuses_of_broken_answers),
        cmocka_unit_test(test_wait_for_another),
    };

    return cmocka_run_group_tests_name("client", tests, NULL, stop);
}
