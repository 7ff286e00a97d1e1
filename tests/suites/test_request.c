/* What is sent: the exact bytes of each operation, the checks before it, sources that misbehave. */
#include <string.h>

/* Counted, because rewriting a request from its start for each buffer-full must not become
 * quadratic; the writer takes the length of each text that it passes. */
static size_t lengths_taken;

static size_t counting_strlen(const char *text)
{
    lengths_taken++;
    return strlen(text);
}

#define strlen counting_strlen
#include "suite.h"
#undef strlen
#include "script_io.h"

#define DONE "{\"status\":\"completed\",\"job_id\":\"j1\"}"
#define AGENT "unsandbox.h/" UNSB_VERSION_TEXT
#define TAIL "\r\nAccept-Encoding: identity\r\nUser-Agent: " AGENT
#define OWN_CODE (UNSB_E_USER - 7)

static script_io io;
static io_script script;
static unsb_client client;
static unsb_result result;
static unsb_config config;
static char *buffer;

/* A fresh client on a buffer of exactly this size, and a peer that answers each request. */
static char stale[8];

static void start(size_t buffer_size, bool nonblocking)
{
    size_t i;

    io_free(&io);
    memset(&script, 0, sizeof script);
    for (i = 0; i < IO_REPLIES; i++)
        script.replies[i] = io_reply(200, "", DONE);
    io_setup(&io, &script, 1);
    free(buffer);
    buffer = (char *)malloc(buffer_size);
    assert_non_null(buffer);
    memset(&result, 0, sizeof result);
    /* left by the operation before */
    result.out = unsb_into(stale, sizeof stale);
    memcpy(stale, "old", 4);
    result.out.size = 3;
    result.http_status = 200;
    result.given = UNSB_GIVEN_EXIT_CODE;
    result.success = true;
    result.status = UNSB_STATUS_COMPLETED;
    memcpy(result.job_id, "old", 4);
    memcpy(result.error, "old", 4);
    if (UNSB_DETAILS)
        memcpy(result.detected_language, "old", 4);
    config = io_config(&io, buffer, buffer_size, nonblocking);
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

/* The body of the first request that was sent. */
static const char *body_sent(void)
{
    const char *body = strstr(io.connection[0].sent, "\r\n\r\n");

    assert_non_null(body);
    return body + 4;
}

/* ---- the golden bytes ---- */

static const char full_code[] = "int x;\t/* \"\\\x01\x7F\xE2\x82\xAC\0 */\r\n";
static const unsb_env env[] = {{"HOME", "/tmp/a b"}, {"QUOTE", "\"\\\n"}, {"\xC3\xA9", ""}};
static unsb_file files[3];
static unsb_program full, plain, shebang, shebang_full;
static const unsb_header headers[] = {{"X-Sudo-OTP", "123456"}, {"X-Sudo-Challenge", "a \tb"},
                                      {"x", ""}};
static unsb_call call_get, call_head, call_post, call_put, call_delete, call_bare;
static unsb_key key_info;

static void setup_programs(void)
{
    memset(files, 0, sizeof files);
    files[0].name = "data \"1\".txt";
    files[0].source = unsb_text("hello");
    files[1].source = unsb_bytes("\x00\xFF\x10", 3);
    files[2].name = "empty";
    memset(&full, 0, sizeof full);
    full.language = "c++";
    full.code = unsb_bytes(full_code, sizeof full_code - 1);
    full.env = env;
    full.env_count = COUNT(env);
    full.files = files;
    full.file_count = COUNT(files);
    full.network = UNSB_NETWORK_SEMITRUSTED;
    full.ttl_s = 900;
    full.vcpu = 8;
    full.return_artifact = true;
    full.return_wasm_artifact = true;
    full.extra = "\"priority\": 3,\"tags\":[\"a\",{}]";
    memset(&plain, 0, sizeof plain);
    plain.language = "python";
    plain.code = unsb_text("print(6*7)");
    memset(&shebang, 0, sizeof shebang);
    shebang.code = unsb_bytes("#!/bin/sh\n\xFF\0\"", 13);
    shebang_full = shebang;
    shebang_full.env = env;
    shebang_full.env_count = COUNT(env);
    shebang_full.network = UNSB_NETWORK_ZEROTRUST;
    shebang_full.ttl_s = 1;
    shebang_full.return_artifact = true;
    shebang_full.return_wasm_artifact = true;
    memset(&call_get, 0, sizeof call_get);
    call_get.method = "GET";
    call_get.path = "/x/y?z=%20~";
    call_head = call_post = call_put = call_delete = call_get;
    call_head.method = "HEAD";
    call_post.method = "POST";
    call_post.path = "/";
    call_put.method = "PUT";
    call_put.content_type = "text/plain; charset=utf-8";
    call_put.body = unsb_bytes("a\0b\n", 4);
    call_delete.method = "DELETE";
    call_delete.headers = headers;
    call_delete.header_count = COUNT(headers);
    call_bare = call_put;
    call_bare.content_type = "";
}

static int do_call_bare(void)
{
    return unsb_request(&client, &call_bare, &result);
}

static int do_execute(void)
{
    return unsb_execute(&client, &full, &result);
}

static int do_execute_plain(void)
{
    return unsb_execute(&client, &plain, &result);
}

static int do_execute_async(void)
{
    return unsb_execute_async(&client, &plain, &result);
}

static int do_run(void)
{
    return unsb_run(&client, &shebang, &result);
}

static int do_run_full(void)
{
    return unsb_run(&client, &shebang_full, &result);
}

static int do_run_async(void)
{
    return unsb_run_async(&client, &shebang_full, &result);
}

static int do_job_get(void)
{
    return unsb_job_get(&client, "a b/c?d#e%f&\xC3\xA9-_.~Z9", &result);
}

static int do_job_wait(void)
{
    return unsb_job_wait(&client, "job_1234567890_abc", 0, &result);
}

static int do_job_list(void)
{
    return unsb_job_list(&client, &result);
}

static int do_job_cancel(void)
{
    return unsb_job_cancel(&client, "../x", &result);
}

static int do_languages(void)
{
    return unsb_languages(&client, &result);
}

static int do_key_validate(void)
{
    return unsb_key_validate(&client, &key_info, &result);
}

static int do_call_get(void)
{
    return unsb_request(&client, &call_get, &result);
}

static int do_call_head(void)
{
    return unsb_request(&client, &call_head, &result);
}

static int do_call_post(void)
{
    return unsb_request(&client, &call_post, &result);
}

static int do_call_put(void)
{
    return unsb_request(&client, &call_put, &result);
}

static int do_call_delete(void)
{
    return unsb_request(&client, &call_delete, &result);
}

#if UNSB_SETTINGS
#define FULL_SETTINGS                                                                              \
    ",\"env\":{\"HOME\":\"/tmp/a b\",\"QUOTE\":\"\\\"\\\\\\n\",\"\xC3\xA9\":\"\"},"                \
    "\"network_mode\":\"semitrusted\",\"ttl\":900,\"vcpu\":8,\"priority\": 3,\"tags\":[\"a\",{}]"
#else
#define FULL_SETTINGS
#endif
#if UNSB_ARTIFACTS
#define FULL_ARTIFACTS ",\"return_artifact\":true,\"return_wasm_artifact\":true"
#define QUERY_ARTIFACTS "&return_artifact=true&return_wasm_artifact=true"
#else
#define FULL_ARTIFACTS
#define QUERY_ARTIFACTS
#endif
#if UNSB_FILES
#define FULL_FILES                                                                                 \
    ",\"input_files\":[{\"filename\":\"data \\\"1\\\".txt\",\"content\":\"aGVsbG8=\"},"            \
    "{\"content\":\"AP8Q\"},{\"filename\":\"empty\",\"content\":\"\"}]"
#else
#define FULL_FILES
#endif
#define FULL_BODY                                                                                  \
    "{\"language\":\"c++\",\"code\":\"int x;\\t/* \\\"\\\\\\u0001\x7F\xE2\x82\xAC\\u0000 */\\r\\n" \
    "\"" FULL_SETTINGS FULL_ARTIFACTS FULL_FILES "}"
#define PLAIN_BODY "{\"language\":\"python\",\"code\":\"print(6*7)\"}"
#define RUN_QUERY                                                                                  \
    "?ttl=1&network_mode=zerotrust" QUERY_ARTIFACTS                                                \
    "&env=%7B%22HOME%22%3A%22%2Ftmp%2Fa%20b%22%2C%22QUOTE%22%3A%22%5C%22%5C%5C%5Cn%22%2C"          \
    "%22%C3%A9%22%3A%22%22%7D"
#define RUN_BODY "#!/bin/sh\n\xFF\0\""
#define TEXT(text) text, sizeof(text) - 1

typedef struct golden {
    int (*run)(void);
    const char *line;
    const char *type; /* NULL: neither body nor Content-Length */
    const char *body;
    size_t body_size;
} golden;

static const golden goldens[] = {
    {do_execute, "POST /execute", "application/json", TEXT(FULL_BODY)},
    {do_execute_plain, "POST /execute", "application/json", TEXT(PLAIN_BODY)},
    {do_execute_async, "POST /execute/async", "application/json", TEXT(PLAIN_BODY)},
    {do_run, "POST /run", "text/plain", TEXT(RUN_BODY)},
    {do_run_full, "POST /run" RUN_QUERY, "text/plain", TEXT(RUN_BODY)},
    {do_run_async, "POST /run/async" RUN_QUERY, "text/plain", TEXT(RUN_BODY)},
    {do_job_get, "GET /jobs/a%20b%2Fc%3Fd%23e%25f%26%C3%A9-_.~Z9", NULL, TEXT("")},
    {do_job_wait, "GET /jobs/job_1234567890_abc", NULL, TEXT("")},
    {do_job_list, "GET /jobs", NULL, TEXT("")},
    {do_job_cancel, "DELETE /jobs/..%2Fx", NULL, TEXT("")},
    {do_languages, "GET /languages", NULL, TEXT("")},
    {do_key_validate, "POST /keys/validate", "application/json", TEXT("")},
    {do_call_get, "GET /x/y?z=%20~", NULL, TEXT("")},
    {do_call_head, "HEAD /x/y?z=%20~", NULL, TEXT("")},
    {do_call_post, "POST /", "application/json", TEXT("")},
    {do_call_put, "PUT /x/y?z=%20~", "text/plain; charset=utf-8", TEXT("a\0b\n")},
    {do_call_delete, "DELETE /x/y?z=%20~", NULL, TEXT("")},
    /* no type is told, the length all the same: else the body would be the next request */
    {do_call_bare, "PUT /x/y?z=%20~", "", TEXT("a\0b\n")},
};

/* Is there such an operation? */
static bool is_there(const golden *g)
{
    if (strstr(g->line, "/async") != NULL)
        return UNSB_JOBS && (UNSB_RUN || strstr(g->line, "/run") == NULL);
    if (strstr(g->line, " /jobs/") != NULL)
        return UNSB_JOBS;
    if (strcmp(g->line, "GET /jobs") == 0 || strcmp(g->line, "GET /languages") == 0)
        return UNSB_LISTS;
    if (strcmp(g->line, "POST /keys/validate") == 0)
        return UNSB_KEYS;
    if (strncmp(g->line, "POST /run", 9) == 0)
        return UNSB_RUN;
    return UNSB_REQUEST || strcmp(g->line, "POST /execute") == 0;
}

/* The first one of these that there is. */
static int do_any(void)
{
    setup_programs();
    return UNSB_LISTS ? do_job_list() : do_execute_plain();
}

/* Builds the expected request; `fields` come after Authorization. It says whether the connection is
 * to be closed. */
static size_t build(char *out, size_t room, const golden *g, const char *host, const char *fields,
                    bool close)
{
    int n = snprintf(out, room, "%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer " IO_KEY "%s",
                     g->line, host, fields);
    if (g->type != NULL && g->type[0] != '\0')
        n += snprintf(out + n, room - (size_t)n, "\r\nContent-Type: %s", g->type);
    if (g->type != NULL)
        n += snprintf(out + n, room - (size_t)n, "\r\nContent-Length: %zu", g->body_size);
    n += snprintf(out + n, room - (size_t)n, "%s" TAIL "%s\r\n\r\n",
                  close ? "\r\nConnection: close" : "",
                  g->run == do_call_delete
                      ? "\r\nX-Sudo-OTP: 123456\r\nX-Sudo-Challenge: a \tb\r\nx: "
                      : "");
    memcpy(out + n, g->body, g->body_size);
    return (size_t)n + g->body_size;
}

/* RFC 3986 section 2.1: the case of the digits in a percent-encoding says nothing. */
static void upper_escapes(char *line)
{
    for (; *line != '\r' && *line != '\0'; line++)
        if (*line == '%') {
            line[1] = (char)(line[1] >= 'a' ? line[1] - 32 : line[1]);
            line[2] = (char)(line[2] >= 'a' ? line[2] - 32 : line[2]);
        }
}

static void check_sent(const char *expected, size_t size)
{
    io_connection *c = &io.connection[0];

    assert_int_equal(io.count, 1);
    upper_escapes(c->sent);
    assert_int_equal(c->sent_size, size);
    assert_memory_equal(c->sent, expected, size);
    assert_int_equal(c->requests, 1); /* the peer's own reading of Content-Length */
}

static void test_golden(void **state)
{
    static const size_t sizes[] = {128, 129, 200, 512, 4096, 65536};
    static const size_t pieces[] = {0, 1, 7};
    char expected[4096];
    size_t i, s, p, size;
    unsigned mode;

    (void)state;
    setup_programs();
    for (i = 0; i < COUNT(goldens); i++) {
        if (!is_there(&goldens[i]))
            continue;
        size = build(expected, sizeof expected, &goldens[i], "api.unsandbox.com", "",
                     !UNSB_KEEP_ALIVE);
        for (s = 0; s < COUNT(sizes); s++)
            for (p = 0; p < COUNT(pieces); p++)
                for (mode = 0; mode < 4; mode++) {
                    start(sizes[s], (mode & 1) != 0);
                    if (goldens[i].run == do_call_head)
                        script.replies[0] = io_reply(200, "", "");
                    io.send_piece = pieces[p];
                    io.stutter = mode >= 2;
                    assert_int_equal(io_finish(&io, &client, goldens[i].run()), UNSB_OK);
                    check_sent(expected, size);
                    if (sizes[s] >= size && p == 0) /* head and body go out together */
                        assert_int_equal(io.connection[0].first_send, size);
                    unsb_close(&client);
                }
    }
}

/* The head alone fills no packet where the buffer has room for the beginning of the body. */
static void test_head_and_body_together(void **state)
{
    size_t head;

    (void)state;
    setup_programs();
    start(512, false);
    assert_int_equal(do_execute(), UNSB_OK);
    head = (size_t)(body_sent() - io.connection[0].sent);
    assert_true(io.connection[0].first_send > head);
    if (io.connection[0].sent_size > 512)
        assert_true(io.connection[0].first_send >= 512 - 16);
    else
        assert_int_equal(io.connection[0].first_send, io.connection[0].sent_size);
    assert_true(io.connection[0].sent_size > 512 || !UNSB_SETTINGS || !UNSB_FILES);
}

static void golden_with(const golden *g, const char *host, const char *fields)
{
    char expected[4096];
    size_t size = build(expected, sizeof expected, g, host, fields,
                        !UNSB_KEEP_ALIVE || config.no_keep_alive);

    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
    assert_int_equal(g->run(), UNSB_OK);
    check_sent(expected, size);
    unsb_close(&client);
}

static void test_host(void **state)
{
    static const struct {
        const char *host;
        uint16_t port;
        const char *field;
    } hosts[] = {{NULL, 0, "api.unsandbox.com"},     {NULL, 443, "api.unsandbox.com"},
                 {"localhost", 80, "localhost:80"},  {"h.example", 65535, "h.example:65535"},
                 {"::1", 443, "[::1]"},              {"fe80::2%eth0", 8443, "[fe80::2]:8443"},
                 {"127.0.0.1", 1, "127.0.0.1:1"}};
    size_t i;

    (void)state;
    setup_programs();
    for (i = 0; i < COUNT(hosts); i++) {
        start(256, false);
        config.host = hosts[i].host;
        config.port = hosts[i].port;
        golden_with(&goldens[1], hosts[i].field, "");
        assert_string_equal(io.host, hosts[i].host != NULL ? hosts[i].host : "api.unsandbox.com");
        assert_int_equal(io.port, hosts[i].port != 0 ? hosts[i].port : 443);
    }
    for (i = 0; i < COUNT(goldens); i++) {
        if (goldens[i].run == do_call_head || !is_there(&goldens[i]))
            continue;
        start(128, false);
        config.no_keep_alive = true;
        golden_with(&goldens[i], "api.unsandbox.com", "");
        assert_false(io.connected);
    }
}

/* ---- signed requests ---- */

#if UNSB_SIGNING
#define SECRET "unsb-sk-secr0-tests-unlck-67890"
#define KEY64 "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define XS23 "xxxxxxxxxxxxxxxxxxxxxxx"
#define STAMP "\r\nX-Timestamp: 1700000000\r\nX-Signature: "

static unsb_program signed_run;

static int do_signed_run(void)
{
    return unsb_run(&client, &signed_run, &result);
}

static int do_signed_get(void)
{
    return unsb_job_get(&client, "job_1234567890_abc", &result);
}

static int do_signed_cancel(void)
{
    return unsb_job_cancel(&client, "job_1234567890_abc", &result);
}

/* The signatures are those of Python's hmac and hashlib over "timestamp:METHOD:target:body". */
static void test_signed(void **state)
{
    static const golden get = {do_signed_get, "GET /jobs/job_1234567890_abc", NULL, TEXT("")};
    static const golden cancel = {do_signed_cancel, "DELETE /jobs/job_1234567890_abc", NULL,
                                  TEXT("")};
    static const golden list = {do_job_list, "GET /jobs", NULL, TEXT("")};
    static const golden execute = {do_execute_plain, "POST /execute", "application/json",
                                   TEXT(PLAIN_BODY)};
    static const golden run = {do_signed_run, "POST /run?ttl=30&network_mode=zerotrust",
                               "text/plain", TEXT("#!/bin/sh\necho hi\n")};
    static const golden validate = {do_key_validate, "POST /keys/validate", "application/json",
                                    TEXT("")};
    static const struct {
        const golden *g;
        const char *secret, *fields;
    } cases[] = {
        {&get, SECRET, STAMP "de7c697e92f7806fd1f74af412ee7b5316d5382ab237002f37479abfc790b7e6"},
        {&cancel, SECRET,
         STAMP "2b1c7c9b1739a245f72f60e208f8eb90cdaa5f3e600a3fc7fb94f7939c971558"},
        {&list, SECRET, STAMP "3135ea40160672fd3e3724e6603cfd2d23f023ef0e7628f093d604e3271784ee"},
        {&execute, SECRET,
         STAMP "cd55f3e289c31896118c764ade9f7b820bcbf393ef1c4ebcdd0307662fa70e71"},
        {&run, SECRET, STAMP "c79b14e9cfa2b512a758f19509e8602f759d11eb5218fc2745125ad4ee0a3d76"},
        {&validate, SECRET,
         STAMP "c84364bf15dde411f210eb364e63e4ccea1d44fdbe1975eeead363736c02815c"},
        {&list, KEY64, STAMP "0c9eb424d430949680527efa6f11dbabcdb24eab306a6dd244fd26d910970e97"},
        {&list, KEY64 "k",
         STAMP "133b1b79ac272c9a2f84a1c192a38ce59efdc708a0d9745f3be1122f1b8c24af"},
        {&list, "unsb-sk-" XS23 XS23 XS23 XS23,
         STAMP "c4d17eaae0177faafbe51800350e6edb16c6300eed21fb3e8308d9b84eabed1b"},
    };
    static const size_t sizes[] = {128, 129, 191, 192, 193, 4096};
    size_t i, s;

    (void)state;
    setup_programs();
    memset(&signed_run, 0, sizeof signed_run);
    signed_run.code = unsb_text("#!/bin/sh\necho hi\n");
    signed_run.ttl_s = 30;
    signed_run.network = UNSB_NETWORK_ZEROTRUST;
    for (i = 0; i < COUNT(cases); i++)
        for (s = 0; s < COUNT(sizes) && is_there(cases[i].g); s++) {
            start(sizes[s], false);
            config.secret_key = cases[i].secret;
            golden_with(cases[i].g, "api.unsandbox.com", cases[i].fields);
            assert_null(strstr(io.connection[0].sent, cases[i].secret));
        }
}

/* Bodies of 1 to 200 bytes cross every position within SHA-256's blocks; the expected value is
 * FNV-1a over Python's 200 signatures. */
static void test_signed_sizes(void **state)
{
    uint64_t fnv = 0xCBF29CE484222325u;
    const char *signature;
    char code[200];
    size_t n, i;

    (void)state;
    memset(code, 'a', sizeof code);
    memset(&signed_run, 0, sizeof signed_run);
    for (n = 1; n <= sizeof code; n++) {
        signed_run.code = unsb_bytes(code, (unsb_size)n);
        start(128 + n % 3, false);
        config.secret_key = SECRET;
        assert_int_equal(unsb_init(&client, &config), UNSB_OK);
        assert_int_equal(do_signed_run(), UNSB_OK);
        signature = strstr(io.connection[0].sent, "X-Signature: ");
        assert_non_null(signature);
        for (i = 0; i < 64; i++)
            fnv = (fnv ^ (uint8_t)signature[13 + i]) * 0x100000001B3u;
    }
    assert_true(fnv == 0x6A6642CE3089A9EEu);
}

/* Each request carries the time at which it is made, not that of the first. */
static void test_signed_again(void **state)
{
    static const io_script refuse = {.connect_error = UNSB_E_CONNECT};
    io_script scripts[2];

    (void)state;
    setup_programs();
    start(256, false);
    scripts[0] = refuse;
    scripts[1] = script;
    io.scripts = scripts;
    io.script_count = 2;
    config.secret_key = SECRET;
    config.retries = 1;
    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
    assert_int_equal(do_any(), UNSB_RETRIES ? UNSB_OK : UNSB_E_CONNECT);
    if (UNSB_RETRIES)
        assert_non_null(strstr(io.connection[1].sent, STAMP));
    io.unix_s++;
    assert_int_equal(do_any(), UNSB_OK);
    assert_non_null(strstr(io_last(&io)->sent, "X-Timestamp: 1700000001"));
}
#endif

static void test_signing_configuration(void **state)
{
    (void)state;
    start(128, false);
    config.secret_key = "unsb-sk-x";
#if UNSB_SIGNING
    config.unix_time = NULL;
    assert_int_equal(unsb_init(&client, &config), UNSB_E_NO_CLOCK);
#else
    assert_int_equal(unsb_init(&client, &config), UNSB_E_NO_SIGNING);
#endif
    assert_int_equal(do_any(), UNSB_E_CLIENT);
}

/* ---- sources ---- */

typedef struct feed {
    const char *data; /* NULL: generated */
    unsb_size size;
    size_t most;      /* the most that one read gives; 0: all that is asked for */
    unsb_size fail_at;
    int failure;      /* returned where the read reaches fail_at ... */
    unsigned in_pass; /* ... in this pass; 0: in each */
    const char *later; /* what the second and later passes find */
    unsb_size later_size;
    unsigned passes;
    size_t calls;
} feed;

static uint8_t generated(unsb_size offset)
{
    return (uint8_t)((uint32_t)offset * 2654435761u >> 13);
}

static int feed_read(void *context, unsb_size offset, void *out, size_t size)
{
    feed *f = (feed *)context;
    const char *data = f->data;
    unsb_size end = f->size;
    size_t i;

    assert_true(size != 0);
    f->calls++;
    if (offset == 0)
        f->passes++;
    if (f->later != NULL && f->passes > 1) {
        data = f->later;
        end = f->later_size;
    }
    if (f->failure != 0 && offset + size > f->fail_at &&
        (f->in_pass == 0 || f->in_pass == f->passes))
        return f->failure;
    if (f->most != 0 && size > f->most)
        size = f->most;
    if (offset >= end)
        return 0;
    if (size > end - offset)
        size = (size_t)(end - offset);
    for (i = 0; i < size; i++)
        ((uint8_t *)out)[i] = data != NULL ? (uint8_t)data[offset + i] : generated(offset + i);
    return (int)size;
}

static unsb_source feed_source(feed *f)
{
    unsb_source source;

    memset(&source, 0, sizeof source);
    source.size = f->size;
    source.read = feed_read;
    source.context = f;
    return source;
}

#define TRICKY                                                                                     \
    "a\"b\\c\n\x01\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 plain text that is long enough for words "  \
    "\x02\x03\x04\x05\x06\x07\x08\x0E\x0F\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1A\x1B\x1C"     \
    "\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\"\"\"\"\"\"\"\"\"\"\"\"\"\"" \
    "and then some more text, to have several buffers full of it: 0123456789 0123456789 012345"

/* Memory and read() alike, whatever their pieces: the bytes on the wire are the same. */
static void test_sources(void **state)
{
    static const size_t sizes[] = {128, 129, 130, 131, 200, 512, 4096};
    unsb_program program;
    unsb_file file;
    feed code, content;
    char *expected = NULL;
    size_t expected_size = 0, most, s;

    (void)state;
    memset(&program, 0, sizeof program);
    memset(&file, 0, sizeof file);
    program.language = "x";
    program.files = &file;
    program.file_count = 1;
    program.code = unsb_text(TRICKY);
    file.source = unsb_text(TRICKY TRICKY);
    for (s = 0; s < COUNT(sizes); s++)
        for (most = 0; most <= 40; most++) {
            start(sizes[s], false);
            memset(&code, 0, sizeof code);
            memset(&content, 0, sizeof content);
            code.data = TRICKY;
            content.data = TRICKY TRICKY;
            code.size = sizeof TRICKY - 1;
            content.size = 2 * code.size;
            code.most = content.most = most;
            if (expected != NULL) { /* the first time, from memory */
                program.code = feed_source(&code);
                file.source = feed_source(&content);
            }
            assert_int_equal(unsb_execute(&client, &program, &result), UNSB_OK);
            if (expected == NULL) {
                expected_size = io.connection[0].sent_size;
                expected = (char *)malloc(expected_size);
                assert_non_null(expected);
                memcpy(expected, io.connection[0].sent, expected_size);
            } else {
                assert_true(code.passes == 2 && content.passes == (UNSB_FILES ? 2 : 0));
            }
            check_sent(expected, expected_size);
        }
    free(expected);
}

/* Checks that `text` begins with the base64 of `size` generated bytes; returns what follows. */
static const char *check_generated(const char *text, unsb_size size)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t value[256];
    unsb_size at;
    uint32_t bits, expected;
    bool same = true;
    unsigned i;

    memset(value, 0xFF, sizeof value);
    for (i = 0; i < 64; i++)
        value[(uint8_t)alphabet[i]] = (uint8_t)i;
    for (at = 0; at < size && same; at += 3, text += 4) {
        unsb_size left = size - at;
        char third = left < 2 && text[2] == '=' ? 'A' : text[2];
        char last = left < 3 && text[3] == '=' ? 'A' : text[3];
        bits = (uint32_t)value[(uint8_t)text[0]] << 18 | (uint32_t)value[(uint8_t)text[1]] << 12 |
               (uint32_t)value[(uint8_t)third] << 6 | value[(uint8_t)last];
        expected = (uint32_t)generated(at) << 16;
        if (left > 1)
            expected |= (uint32_t)generated(at + 1) << 8;
        if (left > 2)
            expected |= generated(at + 2);
        same = bits == expected && (left > 2 || text[3] == '=') && (left > 1 || text[2] == '=');
    }
    assert_true(same);
    return text;
}

/* The largest upload there is, through the smallest buffer. */
/* What io_send() keeps of 10 MB: as base64, and twice that while it grows. A small machine has not
 * that much. */
static void skip_without_room(void)
{
    void *room = malloc((size_t)UNSB_FILES_TOTAL_MAX / 3 * 4 * 3);

    if (room == NULL)
        skip();
    free(room);
}

static void test_large_upload(void **state)
{
    static const char between[] = "\"},{\"content\":\"";
    unsb_program program;
    unsb_file two[2];
    feed source[2];
    const char *p;
    size_t i;

    (void)state;
    needs(UNSB_FILES);
    skip_without_room();
    memset(&program, 0, sizeof program);
    memset(two, 0, sizeof two);
    memset(source, 0, sizeof source);
    for (i = 0; i < 2; i++) {
        source[i].size = UNSB_FILE_MAX;
        two[i].source = feed_source(&source[i]);
    }
    program.language = "c";
    program.code = unsb_text("x");
    program.files = two;
    program.file_count = 2;
    start(128, false);
    assert_int_equal(unsb_execute(&client, &program, &result), UNSB_OK);
    assert_int_equal(io.connection[0].requests, 1);
    p = strstr(body_sent(), "[{\"content\":\"");
    assert_non_null(p);
    p = check_generated(p + 13, UNSB_FILE_MAX);
    assert_memory_equal(p, between, sizeof between - 1);
    p = check_generated(p + sizeof between - 1, UNSB_FILE_MAX);
    assert_string_equal(p, "\"}]}");
    /* each byte is asked for twice, in reads that fill the buffer */
    assert_int_equal(source[0].passes, 2);
    assert_true(source[0].calls < 2 * (UNSB_FILE_MAX / 60));
}

static void cost_of_env(size_t count, size_t *lengths, unsigned *calls)
{
    unsb_env *many = (unsb_env *)malloc(count * sizeof *many);
    unsb_program program;
    size_t i;

    assert_non_null(many);
    for (i = 0; i < count; i++) {
        many[i].name = "NAME_OF_IT";
        many[i].value = "its value";
    }
    memset(&program, 0, sizeof program);
    program.language = "x";
    program.code = unsb_text("y");
    program.env = many;
    program.env_count = count;
    start(128, false);
    lengths_taken = 0;
    assert_int_equal(unsb_execute(&client, &program, &result), UNSB_OK);
    *lengths = lengths_taken;
    *calls = io.calls;
    assert_int_equal(io.connection[0].requests, 1);
    assert_int_equal(io.connection[0].sent_size - (size_t)(body_sent() - io.connection[0].sent),
                     sizeof "{'language':'x','code':'y','env':{}}" - 1 + 25 * count - 1);
    free(many);
}

static void test_many_env(void **state)
{
    size_t few_lengths, many_lengths;
    unsigned few_calls, many_calls;

    (void)state;
    needs(UNSB_SETTINGS);
    cost_of_env(1000, &few_lengths, &few_calls);
    cost_of_env(2000, &many_lengths, &many_calls);
    assert_true(many_lengths < few_lengths * 21 / 10);
    assert_true(many_lengths > few_lengths); /* they are counted at all */
    assert_true(many_calls < few_calls * 21 / 10);
}

/* ---- sources that misbehave ---- */

/* Nothing that was sent may look like a request that is whole. */
static void check_incomplete(void)
{
    assert_int_equal(io_requests(&io), 0);
    assert_false(io.connected || io.connecting);
}

static void test_source_fails(void **state)
{
    static const int failures[] = {OWN_CODE, -1, UNSB_E_IO, 0};
    unsb_program program;
    unsb_file file;
    feed f;
    size_t i, where;
    unsigned pass, kind;
    int rc;

    (void)state;
    for (kind = UNSB_FILES ? 0 : 1; kind < (UNSB_RUN ? 3 : 2); kind++)
        for (pass = 1; pass <= 2; pass++)
            for (i = 0; i < COUNT(failures); i++)
                for (where = 0; where < 300; where += 23) {
                    memset(&program, 0, sizeof program);
                    memset(&file, 0, sizeof file);
                    memset(&f, 0, sizeof f);
                    f.data = failures[i] == 0 ? NULL : TRICKY TRICKY;
                    f.size = 300;
                    f.fail_at = where;
                    f.in_pass = pass;
                    f.failure = failures[i];
                    if (failures[i] == 0) { /* it ends early */
                        f.data = f.later = TRICKY TRICKY;
                        f.later_size = f.size;
                        *(pass == 1 ? &f.size : &f.later_size) = where;
                    }
                    program.language = "x";
                    program.code = unsb_text("y");
                    file.source = feed_source(&f);
                    file.source.size = 300;
                    if (kind == 0) {
                        program.files = &file;
                        program.file_count = 1;
                    } else {
                        program.code = file.source;
                    }
                    if (kind == 2)
                        program.language = NULL;
                    start(128, false);
                    rc = kind == 2 ? unsb_run(&client, &program, &result)
                                   : unsb_execute(&client, &program, &result);
                    assert_int_equal(rc, failures[i] == OWN_CODE ? OWN_CODE : UNSB_E_SOURCE);
                    assert_int_equal(io.connects, pass - 1);
                    check_incomplete();
                    program.code = unsb_text("y");
                    program.file_count = 0;
                    program.language = "x";
                    assert_int_equal(unsb_execute(&client, &program, &result), UNSB_OK);
                }
}

static int overlong_read(void *context, unsb_size offset, void *out, size_t size)
{
    (void)context;
    (void)offset;
    memset(out, 'a', size);
    return (int)size + 1;
}

static void test_source_overlong(void **state)
{
    unsb_program program;

    (void)state;
    memset(&program, 0, sizeof program);
    program.language = "x";
    program.code.size = 1000;
    program.code.read = overlong_read;
    start(128, false);
    assert_int_equal(unsb_execute(&client, &program, &result), UNSB_E_SOURCE);
    assert_int_equal(io.connects, 0);
}

/* Code whose escaped length changes between the passes, for every place where a buffer may end. */
static void test_source_changes(void **state)
{
    char first[300], later[300];
    unsb_program program;
    size_t buffer_size, from, n;
    feed f;

    (void)state;
    for (buffer_size = 128; buffer_size < 260; buffer_size++)
        for (from = 0; from < 300; from += 13)
            for (n = 0; n < 2; n++) {
                memset(first, 'a', sizeof first);
                memset(later, 'a', sizeof later);
                /* n = 0: it becomes longer from some place on; 1: shorter */
                memset((n == 0 ? later : first) + from, '\n', sizeof later - from);
                memset(&f, 0, sizeof f);
                f.data = first;
                f.later = later;
                f.size = f.later_size = sizeof first;
                memset(&program, 0, sizeof program);
                program.language = "x";
                program.code = feed_source(&f);
                start(buffer_size, false);
                assert_int_equal(unsb_execute(&client, &program, &result), UNSB_E_SOURCE);
                check_incomplete();
            }
}

/* A request that was found out is not sent again, however many retries there are. */
static void test_source_no_retry(void **state)
{
    unsb_program program;
    feed f;

    (void)state;
    memset(&f, 0, sizeof f);
    f.data = "aaaa";
    f.later = "\"\"\"\"";
    f.size = f.later_size = 4;
    memset(&program, 0, sizeof program);
    program.language = "x";
    program.code = feed_source(&f);
    start(4096, false);
    config.retries = 3;
    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
    assert_int_equal(unsb_execute(&client, &program, &result), UNSB_E_SOURCE);
    assert_int_equal(io.connects, 1);
    check_incomplete();
}

/* ---- checks before connecting ---- */

static void check_cleared(void)
{
    assert_int_equal(result.out.size, 0);
    assert_string_equal(stale, "");
    assert_int_equal(result.http_status, 0);
    assert_int_equal(result.given, 0);
    assert_int_equal(result.status, UNSB_STATUS_NONE);
    assert_false(result.success);
    assert_string_equal(result.job_id, "");
    assert_string_equal(result.error, "");
    assert_string_equal(result.detected_language, "");
}

/* A refused call leaves the network alone, nothing of the call before in the result, and the client
 * fit for the next one. */
static void check_refused(int rc, int expected)
{
    check_cleared();
    rc = io_finish(&io, &client, rc);
    assert_int_equal(rc, expected);
    assert_int_equal(io.moves, 0);
    assert_int_equal(io.closes, 0);
    assert_int_equal(io_finish(&io, &client, do_execute_plain()), UNSB_OK);
    assert_int_equal(io.connection[0].requests, 1);
    unsb_close(&client);
}

static void refused(const unsb_program *program, int expected)
{
    unsigned mode;

    setup_programs();
    for (mode = 0; mode < (UNSB_JOBS ? 4 : 2); mode++) {
        start(200, (mode & 1) != 0);
        check_refused((mode & 2) != 0 ? unsb_execute_async(&client, program, &result)
                                      : unsb_execute(&client, program, &result),
                      expected);
    }
}

static void accepted(const unsb_program *program)
{
    start(4096, false);
    assert_int_equal(unsb_execute(&client, program, &result), UNSB_OK);
    assert_int_equal(io.connection[0].requests, 1);
}

static void bad_text(const unsb_program *program)
{
    if (UNSB_UTF8)
        refused(program, UNSB_E_UTF8);
    else
        accepted(program); /* the service may judge it */
}

static void run_refused(const unsb_program *program, int expected)
{
    unsigned mode;

    setup_programs();
    for (mode = 0; UNSB_RUN && mode < (UNSB_JOBS ? 4 : 2); mode++) {
        start(200, (mode & 1) != 0);
        check_refused((mode & 2) != 0 ? unsb_run_async(&client, program, &result)
                                      : unsb_run(&client, program, &result),
                      expected);
    }
}

static unsb_program good_program(void)
{
    unsb_program program;

    memset(&program, 0, sizeof program);
    program.language = "x";
    program.code = unsb_text("y");
    return program;
}

static void test_check_program(void **state)
{
    unsb_program p = good_program();

    (void)state;
    refused(NULL, UNSB_E_ARGUMENT);
    p.language = NULL;
    refused(&p, UNSB_E_NO_LANGUAGE);
    p.language = "";
    refused(&p, UNSB_E_NO_LANGUAGE);
    p = good_program();
    p.code = unsb_text(NULL);
    refused(&p, UNSB_E_NO_CODE);
    run_refused(NULL, UNSB_E_ARGUMENT);
    p.language = NULL;
    run_refused(&p, UNSB_E_NO_CODE);
    p.code = unsb_text("");
    run_refused(&p, UNSB_E_NO_CODE);
    p.code.size = 7; /* of nothing */
    p.code.data = NULL;
    run_refused(&p, UNSB_E_NO_CODE);
    p = good_program();
    run_refused(&p, UNSB_E_ARGUMENT); /* it names a language */
    p.language = NULL;
    setup_programs();
    p.files = files;
    p.file_count = 1;
    if (UNSB_FILES)
        run_refused(&p, UNSB_E_ARGUMENT);
    start(128, false);
    assert_int_equal(unsb_execute(&client, &plain, NULL), UNSB_E_ARGUMENT);
    assert_int_equal(unsb_execute(NULL, &plain, &result), UNSB_E_ARGUMENT);
    start(128, false);
    result.out = unsb_into(NULL, 1);
    assert_int_equal(unsb_execute(&client, &plain, &result), UNSB_E_ARGUMENT);
    assert_int_equal(io.moves, 0);
}

static void test_check_ttl(void **state)
{
    unsb_program p = good_program();
    char expected[64];
    uint16_t ttl;

    (void)state;
    needs(UNSB_SETTINGS);
    for (ttl = 1; ttl <= 900; ttl = (uint16_t)(ttl < 10 || ttl > 890 ? ttl + 1 : 891)) {
        p = good_program();
        p.ttl_s = ttl;
        accepted(&p);
        snprintf(expected, sizeof expected, "\"code\":\"y\",\"ttl\":%u}", ttl);
        assert_non_null(strstr(body_sent(), expected));
    }
    p.ttl_s = 901;
    refused(&p, UNSB_E_TTL);
    p.language = NULL;
    run_refused(&p, UNSB_E_TTL);
    p.ttl_s = 65535;
    run_refused(&p, UNSB_E_TTL);
}

static void test_check_file_count(void **state)
{
    static char content[16];
    unsb_program p = good_program();
    unsb_file list[11];
    size_t i;

    (void)state;
    needs(UNSB_FILES);
    memset(list, 0, sizeof list);
    for (i = 0; i < COUNT(list); i++)
        list[i].source = unsb_bytes(content, 16);
    p.files = list;
    for (i = 9; i <= 10; i++) {
        p.file_count = i;
        accepted(&p);
    }
    p.file_count = 11;
    refused(&p, UNSB_E_FILE_COUNT);
    p.files = NULL;
    p.file_count = 1;
    refused(&p, UNSB_E_ARGUMENT);
    p.files = list;
    list[0].source = unsb_bytes(NULL, 1);
    refused(&p, UNSB_E_ARGUMENT);
    list[0].source = unsb_bytes(NULL, 0); /* an empty file is a file */
    accepted(&p);
}

static void test_check_file_sizes(void **state)
{
    unsb_program p = good_program();
    unsb_file list[3];
    feed f[3];
    size_t i;

    (void)state;
    needs(UNSB_FILES);
    skip_without_room();
    memset(list, 0, sizeof list);
    memset(f, 0, sizeof f);
    p.files = list;
    p.file_count = 1;
    for (i = 0; i < 3; i++) {
        f[i].size = 2 * (unsb_size)UNSB_FILE_MAX;
        list[i].source = feed_source(&f[i]);
    }
    list[0].source.size = UNSB_FILE_MAX - 1;
    accepted(&p);
    check_generated(strstr(body_sent(), "content\":\"") + 10, UNSB_FILE_MAX - 1);
    list[0].source.size = UNSB_FILE_MAX + 1;
    f[0].passes = 0;
    refused(&p, UNSB_E_FILE_SIZE);
    list[0].source.size = (unsb_size)-1;
    refused(&p, UNSB_E_FILE_SIZE);
    assert_int_equal(f[0].passes, 0); /* its size is enough to tell */

    /* in all: 10 MB in three, and one more byte */
    p.file_count = 3;
    list[0].source.size = UNSB_FILE_MAX;
    list[1].source.size = UNSB_FILE_MAX - 5;
    list[2].source.size = 6;
    refused(&p, UNSB_E_FILES_SIZE);
    list[2].source.size = 5;
    accepted(&p);
}

/* Names of `count` characters of `unit`. */
static const char *long_name(const char *unit, size_t count)
{
    static char name[257 * 4 + 1];
    size_t size = strlen(unit), i;

    for (i = 0; i < count; i++)
        memcpy(name + i * size, unit, size);
    name[count * size] = '\0';
    return name;
}

static void test_check_filenames(void **state)
{
    static const char *const bad[] = {"",     ".",      "..",     "a/b",  "/",       "a\\b", "\\",
                                      "../x", "a\nb",   "\x01",   "a\x1F", "a\x7F",  "a\tb", "./a"};
    static const char *const good[] = {"...", "..a", "a..", ".a",  "a b", "0",
                                       " ",   "~",   "\"",  "con:", "\xC2\x80", "\xE2\x82\xAC"};
    static const char *const units[] = {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    static const char *const not_utf8[] = {"\x80", "a\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xFF",
                                           "\xF4\x90\x80\x80"};
    unsb_program p = good_program();
    unsb_file file;
    size_t i;

    (void)state;
    needs(UNSB_FILES);
    memset(&file, 0, sizeof file);
    p.files = &file;
    p.file_count = 1;
    for (i = 0; i < COUNT(bad); i++) {
        file.name = bad[i];
        refused(&p, UNSB_E_FILENAME);
    }
    for (i = 0; i < COUNT(good); i++) {
        file.name = good[i];
        accepted(&p);
    }
    for (i = 0; i < COUNT(units); i++) {
        file.name = long_name(units[i], 255);
        accepted(&p);
        file.name = long_name(units[i], 256);
        accepted(&p);
        file.name = long_name(units[i], 257);
        refused(&p, UNSB_E_FILENAME);
    }
    for (i = 0; i < COUNT(not_utf8); i++) {
        file.name = not_utf8[i];
        bad_text(&p);
    }
}

static void test_check_filenames_twice(void **state)
{
    unsb_program p = good_program();
    unsb_file list[10];
    size_t a, b;
    char index[2];

    (void)state;
    needs(UNSB_FILES);
    p.files = list;
    p.file_count = 10;
    for (a = 0; a < 10; a++)
        for (b = 0; b < 10; b++) {
            memset(list, 0, sizeof list);
            index[0] = (char)('0' + (char)b);
            index[1] = '\0';
            list[a].name = index; /* an explicit name beside those by index */
            if (a == b)
                accepted(&p);
            else if (a < 2 || b > 7)
                refused(&p, UNSB_E_FILENAME_TWICE);
        }
    memset(list, 0, sizeof list);
    list[3].name = "same";
    list[9].name = "same";
    refused(&p, UNSB_E_FILENAME_TWICE);
    list[9].name = "samE";
    accepted(&p);
    list[9].name = "same2";
    accepted(&p);
    list[9].name = "00";
    accepted(&p);
}

static void test_check_utf8_and_env(void **state)
{
    static const char *const not_utf8[] = {"\x80",         "a\xC3",        "\xC0\x80",
                                           "\xE0\x9F\xBF", "\xED\xBF\xBF", "\xF5\x80\x80\x80",
                                           "\xC3\x28",     "\xE2\x82"};
    unsb_program p;
    unsb_env one;
    feed f;
    size_t i, round;

    (void)state;
    for (i = 0; i < COUNT(not_utf8); i++) {
        p = good_program();
        p.language = not_utf8[i];
        bad_text(&p);
        p = good_program();
        p.code = unsb_text(not_utf8[i]);
        bad_text(&p);
        memset(&f, 0, sizeof f);
        f.data = not_utf8[i];
        f.size = (unsb_size)strlen(not_utf8[i]);
        f.most = 1;
        p.code = feed_source(&f);
        bad_text(&p);
        for (round = 0; round < 2 && UNSB_SETTINGS; round++) {
            p = good_program();
            one.name = round == 0 ? not_utf8[i] : "A";
            one.value = round == 0 ? "b" : not_utf8[i];
            p.env = &one;
            p.env_count = 1;
            bad_text(&p);
            p.language = NULL;
            if (UNSB_UTF8)
                run_refused(&p, UNSB_E_UTF8);
        }
    }
    if (!UNSB_SETTINGS)
        return;
    p = good_program();
    p.env = &one;
    p.env_count = 1;
    one.value = "";
    one.name = "";
    refused(&p, UNSB_E_ENV_NAME);
    one.name = "A=B";
    refused(&p, UNSB_E_ENV_NAME);
    one.name = "=";
    refused(&p, UNSB_E_ENV_NAME);
    one.name = NULL;
    refused(&p, UNSB_E_ARGUMENT);
    one.name = "A";
    accepted(&p);
    one.value = "=";
    accepted(&p);
    one.value = NULL;
    refused(&p, UNSB_E_ARGUMENT);
    p.env = NULL;
    refused(&p, UNSB_E_ARGUMENT);
}

static void test_check_job_id(void **state)
{
    char id[80], expected[128];
    size_t length;

    (void)state;
    setup_programs();
    for (length = 62; length <= 65; length++) {
        memset(id, 'j', sizeof id);
        id[length] = '\0';
        start(256, false);
        if (length < UNSB_JOB_ID_SIZE) {
            assert_int_equal(unsb_job_get(&client, id, &result), UNSB_OK);
            snprintf(expected, sizeof expected, "GET /jobs/%s HTTP/1.1\r\n", id);
            assert_memory_equal(io.connection[0].sent, expected, strlen(expected));
            assert_string_equal(result.job_id, id);
            continue;
        }
        check_refused(unsb_job_get(&client, id, &result), UNSB_E_JOB_ID);
        start(256, false);
        check_refused(unsb_job_wait(&client, id, 0, &result), UNSB_E_JOB_ID);
        start(256, false);
        check_refused(unsb_job_cancel(&client, id, &result), UNSB_E_JOB_ID);
    }
    start(256, true);
    check_refused(unsb_job_get(&client, "", &result), UNSB_E_JOB_ID);
    start(256, false);
    check_refused(unsb_job_get(&client, NULL, &result), UNSB_E_ARGUMENT);
    start(256, false);
    check_refused(unsb_job_wait(&client, "j", UNSB_FOREVER + 1u, &result), UNSB_E_ARGUMENT);
    /* every byte that is not unreserved is percent-encoded */
    start(256, false);
    check_refused(unsb_job_get(&client, ".", &result), UNSB_E_JOB_ID); /* would be another path */
    start(256, false);
    check_refused(unsb_job_cancel(&client, "..", &result), UNSB_E_JOB_ID);
    for (length = 1; length < 256; length++) {
        id[0] = (char)length;
        id[1] = '\0';
        if (id[0] == '.')
            continue;
        start(256, false);
        assert_int_equal(unsb_job_get(&client, id, &result), UNSB_OK);
        upper_escapes(io.connection[0].sent);
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", id[0]))
            snprintf(expected, sizeof expected, "GET /jobs/%s HTTP/1.1\r\n", id);
        else
            snprintf(expected, sizeof expected, "GET /jobs/%%%02X HTTP/1.1\r\n", (unsigned)length);
        assert_memory_equal(io.connection[0].sent, expected, strlen(expected));
    }
    /* the id may be the result's own */
    start(256, false);
    strcpy(result.job_id, "mine");
    assert_int_equal(unsb_job_cancel(&client, result.job_id, &result), UNSB_OK);
    assert_memory_equal(io.connection[0].sent, "DELETE /jobs/mine HTTP/1.1\r\n", 28);
}

/* What ends a line or a word of the head cannot get into it. */
static void test_check_header_bytes(void **state)
{
    unsb_call call;
    char text[8];
    unsigned c;
    int expected, rc;

    (void)state;
    setup_programs();
    for (c = 1; c < 256; c++) {
        bool fine = c > 0x20 && c < 0x7F;
        snprintf(text, sizeof text, "/a%cb", (char)c);
        start(128, false);
        config.api_key = text;
        assert_int_equal(unsb_init(&client, &config), fine ? UNSB_OK : UNSB_E_HEADER_BYTE);
        config.api_key = IO_KEY;
        config.host = text + 1;
        rc = fine && c != ':' && c != '/' && c != '[' ? UNSB_OK : UNSB_E_HOST;
        assert_int_equal(unsb_init(&client, &config), rc);
        assert_int_equal(unsb_poll(&client), rc == UNSB_OK ? UNSB_OK : UNSB_E_CLIENT);
        if (rc != UNSB_OK)
            assert_int_equal(do_any(), UNSB_E_CLIENT);
        fine = fine && c != '#'; /* of a path; a method is a token */
        if (!UNSB_REQUEST)
            continue;
        expected = fine ? UNSB_OK : UNSB_E_HEADER_BYTE;
        memset(&call, 0, sizeof call);
        call.method = "POST";
        call.path = text;
        if (c < 0x80 || !fine) {
            start(256, false);
            if (fine)
                assert_int_equal(unsb_request(&client, &call, &result), UNSB_OK);
            else
                check_refused(unsb_request(&client, &call, &result), expected);
        }
        call.path = "/";
        call.method = text + 1;
        start(256, (c & 1) != 0);
        if (unsbi_is_token_char((uint8_t)c))
            assert_int_equal(io_finish(&io, &client, unsb_request(&client, &call, &result)), UNSB_OK);
        else
            check_refused(unsb_request(&client, &call, &result), UNSB_E_HEADER_BYTE);
        if (!fine && c != '#') {
            if (c == ' ')
                continue; /* "text/plain; charset=utf-8" */
            start(256, (c & 1) != 0);
            call.method = "POST";
            call.content_type = text + 1;
            check_refused(unsb_request(&client, &call, &result), UNSB_E_HEADER_BYTE);
        }
    }
    if (UNSB_REQUEST)
        assert_int_equal(io.count, 1);
}

/* What is beyond the page: vcpu, and members of the caller's own. */
static void test_check_extra(void **state)
{
    static const char *const fine[] = {"\"a\":1", " \"a\" : [1,{\"b\":null}] ", "\"a\":1,\"b\":\"}\"",
                                       "\"a\":-1e5", "\"\\u00e9\":true", "\"a\":{}"};
    static const char *const wrong[] = {"", " ", "a", "\"a\"", "\"a\":", "\"a\":1,", ",\"a\":1",
                                        "\"a\":1}", "\"a\":1},{", "{\"a\":1}", "\"a\":[", "\"a\":\"",
                                        "\"a\":01", "\"a\":1.", "\"a\":\"\xFF\"", "1", "[1]",
                                        "\"a\":1 \"b\":2", "\"a\":tru", "\"a\":\"\\ud800\"",
                                        "\"a\":{", "\"a\":1,\"b\":{\"c\":2"};
    unsb_program odd;
    size_t i;

    (void)state;
    needs(UNSB_SETTINGS);
    setup_programs();
    odd = plain;
    for (i = 0; i < COUNT(fine); i++) {
        start(256, false);
        odd.extra = fine[i];
        assert_int_equal(unsb_execute(&client, &odd, &result), UNSB_OK);
        assert_non_null(strstr(io.connection[0].sent, fine[i]));
    }
    for (i = 0; i < COUNT(wrong); i++) {
        start(256, (i & 1) != 0);
        odd.extra = wrong[i];
        if (UNSB_UTF8 || (strchr(wrong[i], '\xFF') == NULL && strstr(wrong[i], "ud8") == NULL))
            check_refused(unsb_execute(&client, &odd, &result), UNSB_E_EXTRA);
        else
            assert_int_equal(io_finish(&io, &client, unsb_execute(&client, &odd, &result)), UNSB_OK);
    }
    odd.extra = NULL;
    for (i = 0; i <= 9; i++) {
        start(256, false);
        odd.vcpu = (uint8_t)i;
        if (i == 9) {
            check_refused(unsb_execute(&client, &odd, &result), UNSB_E_VCPU);
            continue;
        }
        assert_int_equal(unsb_execute(&client, &odd, &result), UNSB_OK);
        assert_int_equal(strstr(io.connection[0].sent, "vcpu") != NULL, i > 1);
    }
    if (!UNSB_RUN)
        return;
    odd = shebang;
    odd.vcpu = 2;
    start(256, false);
    check_refused(unsb_run(&client, &odd, &result), UNSB_E_ARGUMENT);
    odd.vcpu = 0;
    odd.extra = "\"a\":1";
    start(256, false);
    check_refused(unsb_run(&client, &odd, &result), UNSB_E_ARGUMENT);
}

static void test_check_call(void **state)
{
    static const struct {
        const char *name, *value;
        int rc;
    } refused[] = {{NULL, "x", UNSB_E_ARGUMENT},      {"X", NULL, UNSB_E_ARGUMENT},
                   {"", "x", UNSB_E_HEADER_BYTE},     {"X Y", "x", UNSB_E_HEADER_BYTE},
                   {"X:", "x", UNSB_E_HEADER_BYTE},   {"X\r\n", "x", UNSB_E_HEADER_BYTE},
                   {"X", "a\r\nb", UNSB_E_HEADER_BYTE}, {"X", "a\nb", UNSB_E_HEADER_BYTE},
                   {"X", "\xC3\xA9", UNSB_E_HEADER_BYTE}, {"X", "\x7F", UNSB_E_HEADER_BYTE},
                   {"Host", "x", UNSB_E_HEADER},      {"content-LENGTH", "0", UNSB_E_HEADER},
                   {"Transfer-Encoding", "chunked", UNSB_E_HEADER},
                   {"Authorization", "x", UNSB_E_HEADER}, {"X-Timestamp", "0", UNSB_E_HEADER},
                   {"X-Signature", "0", UNSB_E_HEADER}, {"Connection", "close", UNSB_E_HEADER},
                   {"Content-Type", "a/b", UNSB_E_HEADER}, {"Expect", "100-continue", UNSB_E_HEADER},
                   {"Accept-Encoding", "gzip", UNSB_E_HEADER}, {"Upgrade", "h2c", UNSB_E_HEADER},
                   {"User-Agent", "x", UNSB_E_HEADER}, {"TE", "trailers", UNSB_E_HEADER},
                   {"Trailer", "x", UNSB_E_HEADER}, {"Keep-Alive", "x", UNSB_E_HEADER}};
    unsb_header header;
    size_t i;
    unsb_call call;

    (void)state;
    setup_programs();
    memset(&call, 0, sizeof call);
    start(256, false);
    check_refused(unsb_request(&client, NULL, &result), UNSB_E_ARGUMENT);
    start(256, false);
    check_refused(unsb_request(&client, &call, &result), UNSB_E_ARGUMENT);
    call.method = "GET";
    start(256, false);
    check_refused(unsb_request(&client, &call, &result), UNSB_E_ARGUMENT);
    call.path = "";
    start(256, false);
    check_refused(unsb_request(&client, &call, &result), UNSB_E_ARGUMENT);
    call.path = "http://other/";
    start(256, false);
    check_refused(unsb_request(&client, &call, &result), UNSB_E_ARGUMENT);
    call.path = "/";
    call.body.size = 1;
    start(256, false);
    check_refused(unsb_request(&client, &call, &result), UNSB_E_ARGUMENT);
    call.body.size = 0;
    call.method = "";
    start(256, false);
    check_refused(unsb_request(&client, &call, &result), UNSB_E_HEADER_BYTE);
    call.method = "GET";
    call.answer = (unsb_answer)(UNSB_ANSWER_OUTCOME + 1);
    start(256, false);
    check_refused(unsb_request(&client, &call, &result), UNSB_E_ARGUMENT);
    call.answer = UNSB_ANSWER_RAW;
    call.header_count = 1;
    start(256, false);
    check_refused(unsb_request(&client, &call, &result), UNSB_E_ARGUMENT);
    call.headers = &header;
    for (i = 0; i < COUNT(refused); i++) {
        header.name = refused[i].name;
        header.value = refused[i].value;
        start(256, false);
        check_refused(unsb_request(&client, &call, &result), refused[i].rc);
    }
    start(256, false);
    if (UNSB_KEYS)
        check_refused(unsb_key_validate(&client, NULL, &result), UNSB_E_ARGUMENT);
    if (!UNSB_LISTS)
        return;
    start(256, false);
    assert_int_equal(unsb_job_list(&client, NULL), UNSB_E_ARGUMENT);
    assert_int_equal(unsb_job_list(NULL, &result), UNSB_E_ARGUMENT);
    check_cleared();
}

/* A name or an address: what people put there by mistake is told apart from what cannot be sent. */
static void test_hosts(void **state)
{
    static const struct {
        const char *host;
        int rc;
    } hosts[] = {{"a", UNSB_OK},
                 {"a_b.example-1.com", UNSB_OK},
                 {"127.0.0.1", UNSB_OK},
                 {"::1", UNSB_OK},
                 {"fe80::1%eth0", UNSB_OK},
                 {"2001:db8::1", UNSB_OK},
                 {"", UNSB_E_HOST},
                 {"https://api.unsandbox.com", UNSB_E_HOST},
                 {"http://a", UNSB_E_HOST},
                 {"a/b", UNSB_E_HOST},
                 {"localhost:8443", UNSB_E_HOST},
                 {"127.0.0.1:80", UNSB_E_HOST},
                 {"[::1]", UNSB_E_HOST},
                 {"a b", UNSB_E_HOST},
                 {"a\r\nX: y", UNSB_E_HOST}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(hosts); i++) {
        start(128, false);
        config.host = hosts[i].host;
        if (unsb_init(&client, &config) != hosts[i].rc)
            fail_msg("%s", hosts[i].host);
        if (hosts[i].rc == UNSB_OK)
            assert_int_equal(do_any(), UNSB_OK);
        else
            assert_int_equal(do_any(), UNSB_E_CLIENT);
    }
    memset(&client, 0, sizeof client);
    assert_int_equal(unsb_poll(&client), UNSB_E_CLIENT);
    assert_int_equal(do_any(), UNSB_E_CLIENT);
}

static void test_init(void **state)
{
    unsb_transport_class table;

    (void)state;
    start(128, false);
    config.buffer_size = UNSB_BUFFER_MIN - 1;
    assert_int_equal(unsb_init(&client, &config), UNSB_E_BUFFER);
    assert_int_equal(do_any(), UNSB_E_CLIENT);
    check_cleared();
    start(128, false);
    config.buffer = NULL;
    assert_int_equal(unsb_init(&client, &config), UNSB_E_ARGUMENT);
    start(128, false);
    config.api_key = NULL;
    assert_int_equal(unsb_init(&client, &config), UNSB_E_NO_KEY);
    config.api_key = "";
    assert_int_equal(unsb_init(&client, &config), UNSB_E_NO_KEY);
    start(128, false);
    config.transport.vtable = NULL;
    assert_int_equal(unsb_init(&client, &config), UNSB_E_ARGUMENT);
    config.transport.vtable = &io_nonblocking; /* has no wait */
    assert_int_equal(unsb_init(&client, &config), UNSB_E_ARGUMENT);
    config.nonblocking = true;
    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
    config.nonblocking = false;
    config.transport.vtable = &table;
    table = io_blocking;
    table.connect = NULL;
    assert_int_equal(unsb_init(&client, &config), UNSB_E_ARGUMENT);
    table = io_blocking;
    table.send = NULL;
    assert_int_equal(unsb_init(&client, &config), UNSB_E_ARGUMENT);
    table = io_blocking;
    table.recv = NULL;
    assert_int_equal(unsb_init(&client, &config), UNSB_E_ARGUMENT);
    table = io_blocking;
    table.close = NULL;
    assert_int_equal(unsb_init(&client, &config), UNSB_E_ARGUMENT);
    table = io_blocking;
    config.connect_timeout_ms = UNSB_FOREVER;
    config.idle_timeout_ms = UNSB_FOREVER;
    config.total_timeout_ms = UNSB_FOREVER;
    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
    config.connect_timeout_ms++;
    assert_int_equal(unsb_init(&client, &config), UNSB_E_ARGUMENT);
    config.connect_timeout_ms = 0;
    config.idle_timeout_ms++;
    assert_int_equal(unsb_init(&client, &config), UNSB_E_ARGUMENT);
    config.idle_timeout_ms = 0;
    config.total_timeout_ms++;
    assert_int_equal(unsb_init(&client, &config), UNSB_E_ARGUMENT);
    start(128, false);
    config.host = "";
    assert_int_equal(unsb_init(&client, &config), UNSB_E_HOST);
    assert_int_equal(io.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_head_and_body_together),
        cmocka_unit_test(test_host),
#if UNSB_SIGNING
        cmocka_unit_test(test_signed),
        cmocka_unit_test(test_signed_sizes),
        cmocka_unit_test(test_signed_again),
#endif
        cmocka_unit_test(test_signing_configuration),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_large_upload),
        cmocka_unit_test(test_many_env),
        cmocka_unit_test(test_source_fails),
        cmocka_unit_test(test_source_overlong),
        cmocka_unit_test(test_source_changes),
        cmocka_unit_test(test_source_no_retry),
        cmocka_unit_test(test_check_program),
        cmocka_unit_test(test_check_ttl),
        cmocka_unit_test(test_check_file_count),
        cmocka_unit_test(test_check_file_sizes),
        cmocka_unit_test(test_check_filenames),
        cmocka_unit_test(test_check_filenames_twice),
        cmocka_unit_test(test_check_utf8_and_env),
        cmocka_unit_test(test_check_job_id),
        cmocka_unit_test(test_check_header_bytes),
        cmocka_unit_test(test_check_extra),
        cmocka_unit_test(test_check_call),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_init),
    };

    return cmocka_run_group_tests_name("request", tests, NULL, stop);
}
