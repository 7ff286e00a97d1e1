/* Every operation of the public API against the local service: over TCP and TLS, blocking and
 * driven by poll(2), with I/O buffers from the smallest one on. */
#include "suite.h"
#include "unsandbox_mbedtls.h"
#include "unsandbox_openssl.h"
#include "service.h"

#define PUBLIC_KEY "unsb-pk-pair0-vault-unlck-12345"
#define SECRET_KEY "unsb-sk-pair0-vault-unlck-12345"

/* ======================================================================
 * >>set-ups
 * ====================================================================== */

typedef struct combination {
    int wire;
    bool nonblocking;
    size_t buffer_size;
    size_t most; /* bytes that a call of a transport moves; 0: all */
    size_t records_size;
    unsigned number;
    char name[40];
    char late_job[UNSB_JOB_ID_SIZE]; /* begun early, so that its time passes meanwhile */
} combination;

/* What the services, without and with TLS, are for. */
enum { PLAIN, ASCII, CHUNKED, LIMITS, RATES, IDLES, SERVICES };

/* UNSB_TEST_DIALECT=live: the services answer as the service does today, not as its page has it. */
static bool live;
#define DIALECT live ? "--dialect" : NULL, "live"

static service services[2][SERVICES];
static char rate_keys[6 * WIRES][40];
static rig g;
static combination *now;

static void need_memory(void *p)
{
    if (p == NULL)
        fail_msg("out of memory");
}

static void prepare(void **state, unsigned which)
{
    now = (combination *)*state;
    rig_close(&g); /* where a test begins anew */
    rig_prepare(&g, now->wire, now->nonblocking, services[now->wire != ON_TCP][which].port);
    g.config.buffer_size = now->buffer_size;
    g.inside.most = now->most;
    g.secure.buffer_size = now->records_size;
}

static void begin(void **state, unsigned which)
{
    prepare(state, which);
    rig_open(&g);
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&g);
    return 0;
}

/* ======================================================================
 * >>programs and results
 * ====================================================================== */

static char out_memory[70000], err_memory[20000], name_memory[300];
static unsb_result result;

static void fresh_result(void)
{
    memset(&result, 0, sizeof result);
    result.out = unsb_into(out_memory, sizeof out_memory);
    result.err = unsb_into(err_memory, sizeof err_memory);
    result.artifact_name = unsb_into(name_memory, sizeof name_memory);
}

static unsb_program program_of(const char *language, const char *code)
{
    unsb_program program;

    memset(&program, 0, sizeof program);
    program.language = language;
    program.code = unsb_text(code);
    return program;
}

static void check_rc(int rc, int want, int line)
{
    rc = rig_end(&g, rc);
    if (rc != want)
        fail_msg("line %d: %d (%s) instead of %d; HTTP %d %s %s; errno %d, TLS %d", line, rc,
                 unsb_error_text(rc), want, result.http_status, result.error, result.message,
                 g.tcp.error, rig_tls_error(&g));
}

#define EXPECT(want, call) check_rc(call, want, __LINE__)

/* What every result of a program that ran holds. */
static void check_ran(const char *language, bool success, int exit_code)
{
    assert_int_equal(result.http_status, 200);
    assert_int_equal(result.given &
                         (UNSB_GIVEN_SUCCESS | UNSB_GIVEN_EXIT_CODE | UNSB_GIVEN_TOTAL_TIME_MS),
                     UNSB_GIVEN_SUCCESS | UNSB_GIVEN_EXIT_CODE | UNSB_GIVEN_TOTAL_TIME_MS);
    assert_int_equal(result.success, success);
    assert_int_equal(result.exit_code, exit_code);
    assert_string_equal(result.language, language);
    assert_string_equal(result.execution_mode, live ? "" : "pooled");
    assert_true(result.job_id[0] != '\0');
    assert_true(result.total_time_ms >= 0);
    assert_int_equal(result.retry_after_s, 0);
}

static void check_bytes(const unsb_output *got, const void *want, size_t size)
{
    assert_int_equal(got->size, size);
    assert_memory_equal(got->data, want, size);
    assert_int_equal(got->data[size], 0);
}

static void check_text(const unsb_output *got, const char *want)
{
    assert_string_equal(got->data, want);
    check_bytes(got, want, strlen(want));
}

/* Runs a program that prints one line, to see that the client still does its work. */
static void check_usable(void)
{
    unsb_program program = program_of("sh", "echo still here");

    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    check_ran("sh", true, 0);
    check_text(&result.out, "still here\n");
}

/* ======================================================================
 * >>execute
 * ====================================================================== */

static void append_hex(char *text, const char *name, const void *data, size_t size)
{
    char *p = text + strlen(text);
    size_t i;

    p += sprintf(p, "%s ", name);
    for (i = 0; i < size; i++)
        p += sprintf(p, "%02x", ((const uint8_t *)data)[i]);
    (void)strcpy(p, "\n");
}

static int read_by_three(void *context, unsb_size offset, void *buffer, size_t size)
{
    size_t n = size < 3 ? size : 3;

    memcpy(buffer, (const char *)context + offset, n);
    return (int)n;
}

static void execute_with_everything(void **state)
{
    static const char code[] =
        "import os, sys\n"
        "out = open(1, 'wb')\n"
        "for n in sys.argv[1:] or ['QUOTES', 'LINES', 'SIGNS', 'EMPTY', 'lower.case', "
        "'\xC3\x9C']:\n"
        "    out.write(n.encode() + b' ' + os.environb[n.encode()].hex().encode() + b'\\n')\n"
        "for n in ['d\xC3\xA4ta \xE2\x98\x83.bin', '1', 'empty']:\n"
        "    out.write(n.encode() + b' ' + open(n, 'rb').read().hex().encode() + b'\\n')\n";
    static const unsb_env env[] = {{"QUOTES", "a\"b'c\\d\\\"e"},
                                   {"LINES", "one\ntwo\r\n\tthree\x01\x1f\x7f"},
                                   {"SIGNS", "\xE2\x82\xAC \xF0\x9F\x98\x80 $HOME `id` %41&+;="},
                                   {"EMPTY", ""},
                                   {"lower.case", "{\"json\": [1]}"},
                                   {"\xC3\x9C", "umlaut"}};
    static const char unnamed[] = "by\0index";
    uint8_t all[256];
    unsb_file files[3];
    unsb_program program = program_of("python", code);
    static char want[2000];
    size_t i;

    begin(state, PLAIN);
    fresh_result();
    memset(files, 0, sizeof files);
    for (i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    files[0].name = "d\xC3\xA4ta \xE2\x98\x83.bin";
    files[0].source.size = sizeof all;
    files[0].source.read = read_by_three;
    files[0].source.context = all;
    files[1].source = unsb_bytes(unnamed, sizeof unnamed);
    files[2].name = "empty";
    program.env = env;
    program.env_count = COUNT(env);
    program.files = files;
    program.file_count = COUNT(files);
    program.network = UNSB_NETWORK_SEMITRUSTED;
    program.ttl_s = 900;
    want[0] = '\0';
    for (i = 0; i < COUNT(env); i++)
        append_hex(want, env[i].name, env[i].value, strlen(env[i].value));
    append_hex(want, files[0].name, all, sizeof all);
    append_hex(want, "1", unnamed, sizeof unnamed);
    append_hex(want, "empty", "", 0);
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    check_text(&result.err, "");
    check_text(&result.out, want);
    check_ran("python", true, 0);
    assert_string_equal(result.network_mode, "semitrusted");
    assert_string_equal(result.detected_language, "");
}

static void network_modes(void **state)
{
    static const struct {
        unsb_network network;
        const char *name;
    } modes[] = {{UNSB_NETWORK_DEFAULT, "zerotrust"},
                 {UNSB_NETWORK_ZEROTRUST, "zerotrust"},
                 {UNSB_NETWORK_SEMITRUSTED, "semitrusted"}};
    unsb_program program = program_of("sh", ":");
    size_t i;

    begin(state, PLAIN);
    fresh_result();
    for (i = 0; i < COUNT(modes); i++) {
        program.network = modes[i].network;
        EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
        check_ran("sh", true, 0);
        check_text(&result.out, "");
        assert_string_equal(result.network_mode, modes[i].name);
    }
}

typedef struct collected {
    char data[4096];
    size_t size;
    unsigned calls;
} collected;

static int collect(void *context, const void *data, size_t size)
{
    collected *c = (collected *)context;

    assert_true(size != 0 && c->size + size <= sizeof c->data);
    memcpy(c->data + c->size, data, size);
    c->size += size;
    c->calls++;
    return UNSB_OK;
}

/* All of ASCII, two- to four-byte sequences, U+2028, and a byte that the service replaces. */
static void output_is_kept_byte_by_byte(void **state, unsigned which)
{
    static const char code[] =
        "import sys\n"
        "data = bytes(range(128)) + '\\xe4\\u2028\\uffff\\U0001f600\\U0010ffff\"\\\\/'.encode()\n"
        "sys.stdout.buffer.write(data + b'\\xff' + data)\n"
        "sys.stderr.buffer.write(b'\\0\\0' + data[::-1][:6] + b'\\x1b[1m\\n')\n";
    static const char tail[] = "\xC3\xA4\xE2\x80\xA8\xEF\xBF\xBF\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF"
                               "\"\\/";
    static const char errors[] = "\0\0/\\\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\x1b[1m\n";
    unsb_program program = program_of("python", code);
    char want[400];
    size_t size = 0, i, round;
    collected out, err;

    begin(state, which);
    fresh_result();
    memset(&out, 0, sizeof out);
    memset(&err, 0, sizeof err);
    for (round = 0; round < 2; round++) {
        for (i = 0; i < 128; i++)
            want[size++] = (char)i;
        memcpy(want + size, tail, sizeof tail - 1);
        size += sizeof tail - 1;
        if (round == 0) {
            memcpy(want + size, "\xEF\xBF\xBD", 3);
            size += 3;
        }
    }
    result.out.write = collect;
    result.out.context = &out;
    result.err.write = collect;
    result.err.context = &err;
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    check_ran("python", true, 0);
    check_bytes(&result.out, want, size);
    check_bytes(&result.err, errors, sizeof errors - 1);
    assert_int_equal(out.size, size);
    assert_memory_equal(out.data, want, size);
    assert_int_equal(err.size, sizeof errors - 1);
    assert_memory_equal(err.data, errors, err.size);
}

static void output(void **state)
{
    output_is_kept_byte_by_byte(state, PLAIN);
}

static void output_escaped(void **state)
{
    output_is_kept_byte_by_byte(state, ASCII);
}

static void output_chunked(void **state)
{
    output_is_kept_byte_by_byte(state, CHUNKED);
}

static void output_beyond_its_memory(void **state)
{
    unsb_program program = program_of("python", "print('abcdefghij' * 500, end='')");
    char small[11];

    begin(state, CHUNKED);
    fresh_result();
    result.out = unsb_into(small, sizeof small);
    result.err = unsb_into(NULL, 0);
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    check_ran("python", true, 0);
    assert_int_equal(result.out.size, 5000);
    assert_string_equal(small, "abcdefghij");
    assert_int_equal(result.err.size, 0);
}

static void failing_program(void **state)
{
    unsb_program program = program_of("python", "import sys\nprint('so far')\nsys.exit(3)\n");

    begin(state, PLAIN);
    fresh_result();
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    check_ran("python", false, 3);
    check_text(&result.out, "so far\n");
    program = program_of("python", "undefined_name\n");
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    check_ran("python", false, 1);
    assert_non_null(strstr(err_memory, "NameError"));
    program = program_of("sh", "kill -9 $$");
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    check_ran("sh", false, 137);
    program = program_of("c", "int main(void) { return missing; }");
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    assert_false(result.success);
    assert_non_null(strstr(err_memory, "missing"));
}

/* ======================================================================
 * >>artifacts
 * ====================================================================== */

typedef struct fetched {
    uint8_t *data;
    size_t size, ends;
    unsigned index;
    char name[40];
} fetched;

static int fetch(void *context, const unsb_artifact *artifact)
{
    fetched *all = (fetched *)context, *f = &all[artifact->index];

    assert_in_range(artifact->index, 0, 1);
    if (artifact->end) {
        assert_int_equal(artifact->size, 0);
        f->ends++;
        (void)snprintf(f->name, sizeof f->name, "%s", artifact->filename);
        return UNSB_OK;
    }
    assert_int_equal(f->ends, 0);
    assert_true(artifact->size != 0);
    f->data = (uint8_t *)realloc(f->data, f->size + artifact->size);
    need_memory(f->data);
    memcpy(f->data + f->size, artifact->data, artifact->size);
    f->size += artifact->size;
    return UNSB_OK;
}

static uint64_t fnv(const uint8_t *data, size_t size)
{
    uint64_t hash = 0xCBF29CE484222325u;

    while (size--)
        hash = (hash ^ *data++) * 0x100000001B3u;
    return hash;
}

/* The program prints a hash of its own binary, so that what arrives can be compared with it; then
 * what arrived is run here, and must print the same. */
static void artifact(void **state)
{
    static const char code[] = "#include <stdio.h>\n"
                               "int main(void) {\n"
                               "    unsigned long long hash = 0xCBF29CE484222325u;\n"
                               "    FILE *self = fopen(\"/proc/self/exe\", \"rb\");\n"
                               "    int c;\n"
                               "    while (self != NULL && (c = getc(self)) != EOF)\n"
                               "        hash = (hash ^ (unsigned)c) * 0x100000001B3u;\n"
                               "    printf(\"%016llx\\n\", hash);\n"
                               "    return self == NULL;\n"
                               "}\n";
    unsb_program program = program_of("c", code);
    const char *path = scratch("fetched");
    const char *argv[] = {path, NULL};
    fetched f[2];
    char want[20], *printed;
    int log;

    begin(state, ((combination *)*state)->number % 4 < 2 ? PLAIN : CHUNKED);
    fresh_result();
    memset(f, 0, sizeof f);
    program.return_artifact = true;
    result.on_artifact = fetch;
    result.context = f;
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    check_ran("c", true, 0);
    (void)snprintf(want, sizeof want, "%016llx\n", (unsigned long long)fnv(f[0].data, f[0].size));
    check_text(&result.out, want);
    assert_int_equal(f[0].ends, 1);
    assert_int_equal(f[1].ends, 0);
    assert_string_equal(f[0].name, "a.out");
    write_file(path, f[0].data, f[0].size);
    free(f[0].data);
    assert_int_equal(chmod(path, 0700), 0);
    log = private_fd(open(scratch("printed"), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    assert_int_equal(run(argv, log), 0);
    (void)close(log);
    printed = read_text(scratch("printed"));
    assert_string_equal(printed, want);
    free(printed);
}

static void wasm_artifact(void **state)
{
    unsb_program program = program_of(
        "c", "int add(int a, int b) { return a + b; }\nint main(void) { return add(1, -1); }\n");
    fetched f[2];
    bool missing, whole;

    begin(state, PLAIN);
    fresh_result();
    memset(f, 0, sizeof f);
    program.return_artifact = program.return_wasm_artifact = true;
    result.on_artifact = fetch;
    result.context = f;
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    check_ran("c", true, 0);
    missing = strncmp(result.error, "no WebAssembly", 14) == 0;
    whole = f[0].size > 4 &&
            memcmp(f[0].data,
                   "\x7f"
                   "ELF",
                   4) == 0 &&
            f[1].size > 8 && memcmp(f[1].data, "\0asm\1\0\0\0", 8) == 0;
    free(f[0].data);
    free(f[1].data);
    if (missing) {
        print_message("# skipped: the service has no compiler to WebAssembly\n");
        skip();
    }
    assert_true(whole);
    assert_int_equal(f[0].ends, 1);
    assert_int_equal(f[1].ends, 1);
    assert_string_equal(f[0].name, "a.out");
    assert_string_equal(f[1].name, "a.wasm");
}

/* ======================================================================
 * >>run
 * ====================================================================== */

static void run_by_shebang(void **state)
{
    static const unsb_env env[] = {{"A", "1&b=2#?+ %41/\"\\"},
                                   {"B", "\xE2\x82\xAC\xF0\x9F\x98\x80\nnext"}};
    unsb_program program = program_of(NULL, "#!/usr/bin/env python3\nimport os\n"
                                            "print(os.environb[b'A'], os.environb[b'B'])\n");

    begin(state, PLAIN);
    fresh_result();
    program.env = env;
    program.env_count = COUNT(env);
    program.ttl_s = 30;
    program.network = UNSB_NETWORK_SEMITRUSTED;
    EXPECT(UNSB_OK, unsb_run(&g.client, &program, &result));
    check_ran("python", true, 0);
    check_text(&result.out, "b'1&b=2#?+ %41/\"\\\\' "
                            "b'\\xe2\\x82\\xac\\xf0\\x9f\\x98\\x80\\nnext'\n");
    assert_string_equal(result.detected_language, "python");
    assert_string_equal(result.network_mode, "semitrusted");
    /* code of /run is sent as it is */
    program = program_of(NULL, "#!/bin/sh\nprintf '\xff' | od -An -tx1\n");
    EXPECT(UNSB_OK, unsb_run(&g.client, &program, &result));
    check_ran("sh", true, 0);
    check_text(&result.out, " ff\n");
    program = program_of(NULL, "echo which language\n");
    EXPECT(UNSB_E_BAD_REQUEST, unsb_run(&g.client, &program, &result));
    assert_string_equal(result.error, "language_not_detected");
}

/* ======================================================================
 * >>jobs
 * ====================================================================== */

static void check_ended(unsb_status status)
{
    assert_int_equal(result.status, status);
    assert_int_equal(result.given &
                         (UNSB_GIVEN_CREATED_AT | UNSB_GIVEN_STARTED_AT | UNSB_GIVEN_COMPLETED_AT),
                     UNSB_GIVEN_CREATED_AT | UNSB_GIVEN_STARTED_AT | UNSB_GIVEN_COMPLETED_AT);
    assert_true(result.created_at > 1600000000);
    assert_true(result.created_at <= result.started_at);
    assert_true(result.started_at <= result.completed_at);
}

static void submit(const char *code, char id[UNSB_JOB_ID_SIZE])
{
    unsb_program program = program_of("sh", code);

    EXPECT(UNSB_OK, unsb_execute_async(&g.client, &program, &result));
    assert_int_equal(result.http_status, 202);
    assert_int_equal(result.status, UNSB_STATUS_PENDING);
    assert_int_equal(result.given, 0);
    assert_true(result.job_id[0] != '\0');
    memcpy(id, result.job_id, UNSB_JOB_ID_SIZE);
}

static void job_is_waited_for(void **state, unsigned which)
{
    unsb_program program = program_of(NULL, "#!/bin/sh\nprintf by-run");
    char id[UNSB_JOB_ID_SIZE];

    begin(state, which);
    fresh_result();
    submit("echo out; echo err >&2; exit 7", id);
    EXPECT(UNSB_OK, unsb_job_wait(&g.client, id, 0, &result));
    assert_string_equal(result.job_id, id);
    check_ended(UNSB_STATUS_COMPLETED);
    check_ran("sh", false, 7);
    check_text(&result.out, "out\n");
    check_text(&result.err, "err\n");

    EXPECT(UNSB_OK, unsb_run_async(&g.client, &program, &result));
    EXPECT(UNSB_OK, unsb_job_wait(&g.client, result.job_id, 0, &result));
    check_ended(UNSB_STATUS_COMPLETED);
    check_ran("sh", true, 0);
    assert_string_equal(result.detected_language, "sh");
    check_text(&result.out, "by-run");
}

static void job_wait(void **state)
{
    job_is_waited_for(state, PLAIN);
}

/* The first polls find nothing, and that is not the end of it. */
static void job_wait_early(void **state)
{
    job_is_waited_for(state, ASCII);
}

/* Every second GET is answered with 503, or not at all. */
static void job_wait_flaky(void **state)
{
    job_is_waited_for(state, CHUNKED);
    job_is_waited_for(state, CHUNKED);
}

static void job_get(void **state)
{
    char id[UNSB_JOB_ID_SIZE];

    begin(state, PLAIN);
    fresh_result();
    submit("echo done", id);
    EXPECT(UNSB_OK, unsb_job_wait(&g.client, id, 0, &result));
    EXPECT(UNSB_OK, unsb_job_get(&g.client, id, &result));
    check_ended(UNSB_STATUS_COMPLETED);
    check_ran("sh", true, 0);
    check_text(&result.out, "done\n");
    EXPECT(UNSB_E_REFUSED, unsb_job_cancel(&g.client, id, &result));
    assert_int_equal(result.http_status, 409);
    assert_string_equal(result.error, "job_already_finished");
    assert_string_equal(result.job_id, id);
}

static void no_such_job(void **state)
{
    begin(state, PLAIN);
    fresh_result();
    EXPECT(UNSB_E_NOT_FOUND, unsb_job_get(&g.client, "no/such job?#\xC3\xA4%", &result));
    assert_int_equal(result.http_status, 404);
    assert_string_equal(result.error, "job_not_found");
    assert_string_equal(result.message, "no such job");
    EXPECT(UNSB_E_NOT_FOUND, unsb_job_cancel(&g.client, "nothing", &result));
    /* after the first polls, 404 is an answer */
    EXPECT(UNSB_E_NOT_FOUND, unsb_job_wait(&g.client, "nothing", 0, &result));
    assert_int_equal(g.outside.connects, 1);
    check_usable();
}

typedef struct listed {
    const char *id;
    unsigned count, matches;
} listed;

static int list_job(void *context, const unsb_result *item)
{
    listed *l = (listed *)context;

    assert_ptr_equal(item, &result);
    assert_in_range(item->status, UNSB_STATUS_PENDING, UNSB_STATUS_RUNNING);
    assert_true(item->created_at > 1600000000);
    assert_true(item->language[0] != '\0');
    l->count++;
    l->matches += strcmp(item->job_id, l->id) == 0;
    return UNSB_OK;
}

static bool is_there(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0;
}

/* A job that says when it has printed something, and then sleeps. */
static void submit_long(char id[UNSB_JOB_ID_SIZE])
{
    const char *flag = scratch("flag");
    char code[700];
    bool begun;

    (void)unlink(flag);
    (void)snprintf(code, sizeof code,
                   "printf 'some\\000thing'; echo wrong >&2; : >'%s'; sleep 600; echo never", flag);
    submit(code, id);
    EVENTUALLY(is_there(flag), begun);
    assert_true(begun);
}

static void list_and_cancel(void **state)
{
    char id[UNSB_JOB_ID_SIZE];
    listed l = {id, 0, 0};

    begin(state, PLAIN);
    fresh_result();
    result.on_item = list_job;
    result.context = &l;
    submit_long(id);
    EXPECT(UNSB_OK, unsb_job_list(&g.client, &result));
    assert_int_equal(l.matches, 1);
    EXPECT(UNSB_OK, unsb_job_get(&g.client, id, &result));
    assert_int_equal(result.status, UNSB_STATUS_RUNNING);
    assert_int_equal(result.given, UNSB_GIVEN_CREATED_AT | UNSB_GIVEN_STARTED_AT);
    EXPECT(UNSB_E_TIMEOUT, unsb_job_wait(&g.client, id, 6000, &result));
    assert_true(result.status < UNSB_STATUS_CANCELLED);

    EXPECT(UNSB_OK, unsb_job_cancel(&g.client, id, &result));
    if (!live)
        check_ran("sh", false, -1);
    assert_false(result.success);
    assert_string_equal(result.message, "Job cancelled");
    assert_string_equal(result.job_id, id);
    check_bytes(&result.out, "some\0thing", 10);
    check_text(&result.err, "wrong\n");

    l.count = l.matches = 0;
    EXPECT(UNSB_OK, unsb_job_list(&g.client, &result));
    assert_int_equal(l.matches, 0);
    EXPECT(UNSB_OK, unsb_job_wait(&g.client, id, 0, &result));
    check_ended(UNSB_STATUS_CANCELLED);
    check_bytes(&result.out, "some\0thing", 10);
}

/* Submitted first and looked at last, as its second passes meanwhile. */
static void ttl_begins(void **state)
{
    unsb_program program = program_of("sh", "echo too; sleep 600");

    begin(state, PLAIN);
    fresh_result();
    program.ttl_s = 1;
    EXPECT(UNSB_OK, unsb_execute_async(&g.client, &program, &result));
    memcpy(now->late_job, result.job_id, sizeof now->late_job);
}

static void ttl_has_passed(void **state)
{
    begin(state, PLAIN);
    fresh_result();
    EXPECT(UNSB_OK, unsb_job_wait(&g.client, now->late_job, 0, &result));
    check_ended(UNSB_STATUS_TIMEOUT);
    check_ran("sh", false, 124);
    check_text(&result.out, "too\n");
    assert_string_equal(result.error, "execution timed out after 1 s");
}

static void ttl_while_waiting(void **state)
{
    unsb_program program = program_of("sh", "echo too; sleep 600");

    begin(state, PLAIN);
    fresh_result();
    program.ttl_s = 1;
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    check_ran("sh", false, 124);
    check_text(&result.out, "too\n");
    assert_string_equal(result.error, "execution timed out after 1 s");
}

/* ======================================================================
 * >>the rest of the API
 * ====================================================================== */

static int list_language(void *context, const unsb_result *item)
{
    listed *l = (listed *)context;

    l->count++;
    l->matches += strcmp(item->language, l->id) == 0;
    return UNSB_OK;
}

static void languages(void **state)
{
    listed l = {"python", 0, 0};

    begin(state, CHUNKED);
    fresh_result();
    g.client.config.retries = 3;
    result.on_item = list_language;
    result.context = &l;
    EXPECT(UNSB_OK, unsb_languages(&g.client, &result));
    assert_int_equal(l.matches, 1);
    assert_true(l.count >= 3);
    rig_close(&g);
    begin(state, PLAIN);
    result.on_item = NULL;
    EXPECT(UNSB_OK, unsb_languages(&g.client, &result));
}

static void key_validate(void **state)
{
    unsb_key key;

    begin(state, PLAIN);
    fresh_result();
    EXPECT(UNSB_OK, unsb_key_validate(&g.client, &key, &result));
    assert_true(key.valid);
    assert_string_equal(key.tier, live ? "1" : "local");
    assert_int_equal(key.expires_at > 1600000000, live);
    assert_string_equal(key.reason, "");
    assert_int_equal(key.rate_per_minute, -1);
    assert_int_equal(key.burst, -1);
    assert_int_equal(key.concurrency, -1);
    rig_close(&g);
    prepare(state, PLAIN);
    g.config.api_key = "unsb-sk-unkwn-unkwn-unkwn-unkwn";
    rig_open(&g);
    EXPECT(UNSB_OK, unsb_key_validate(&g.client, &key, &result));
    assert_false(key.valid);
    assert_string_equal(key.reason, live ? "invalid_key" : "unknown_key");
    assert_int_equal(result.http_status, live ? 401 : 200);
}

static void raw_requests(void **state)
{
    unsb_call call;

    begin(state, PLAIN);
    fresh_result();
    memset(&call, 0, sizeof call);
    call.method = "GET";
    call.path = "/languages";
    EXPECT(UNSB_OK, unsb_request(&g.client, &call, &result));
    assert_int_equal(result.http_status, 200);
    assert_int_equal(strncmp(out_memory, "{\"languages\": [", 15), 0);
    assert_int_equal(result.out.size, strlen(out_memory));
    call.path = "/not/there?x=1";
    EXPECT(UNSB_E_NOT_FOUND, unsb_request(&g.client, &call, &result));
    assert_non_null(strstr(out_memory, "no such endpoint"));
    call.method = "HEAD";
    call.path = "/jobs";
    EXPECT(UNSB_E_REFUSED, unsb_request(&g.client, &call, &result));
    assert_int_equal(result.http_status, 405);
    assert_int_equal(result.out.size, 0);
    call.method = "POST";
    call.path = "/execute";
    call.body = unsb_text("{\"language\": \"sh\", \"code\": \"echo raw\"}");
    EXPECT(UNSB_OK, unsb_request(&g.client, &call, &result));
    assert_non_null(
        strstr(out_memory, live ? "\"status\": \"pending\"" : "\"stdout\": \"raw\\n\""));
    call.answer = UNSB_ANSWER_OUTCOME; /* in either dialect */
    EXPECT(UNSB_OK, unsb_request(&g.client, &call, &result));
    check_ran("sh", true, 0);
    check_text(&result.out, "raw\n");
    call.answer = UNSB_ANSWER_RAW;
    call.method = "PUT";
    call.content_type = "text/plain; charset=utf-8";
    EXPECT(UNSB_E_REFUSED, unsb_request(&g.client, &call, &result));
    assert_int_equal(result.http_status, 405);
    assert_int_equal(g.outside.connects, 1);
    check_usable();
    assert_int_equal(g.outside.connects, 1);
}

static void call_json(unsb_call *call, const char *method, const char *path, const char *body)
{
    memset(call, 0, sizeof *call);
    call->method = method;
    call->path = path;
    if (body != NULL)
        call->body = unsb_text(body);
    call->answer = UNSB_ANSWER_RESULT;
}

/* What only goes after a code has been sent for it. */
static void delete_proven(const char *what, const char *id)
{
    unsb_header proof[2] = {{"X-Sudo-OTP", "246810"}, {"X-Sudo-Challenge", ""}};
    char challenge[sizeof result.challenge_id], path[120];
    unsb_call call;

    (void)snprintf(path, sizeof path, "/%s/%s", what, id);
    call_json(&call, "DELETE", path, NULL);
    EXPECT(UNSB_E_CHALLENGE, unsb_request(&g.client, &call, &result));
    assert_int_equal(result.http_status, 428);
    assert_true(result.challenge_id[0] != '\0');
    memcpy(challenge, result.challenge_id, sizeof challenge);
    proof[1].value = challenge;
    call.headers = proof;
    call.header_count = COUNT(proof);
    EXPECT(UNSB_OK, unsb_request(&g.client, &call, &result));
}

/* A warm container keeps its state from call to call; and its end asks for a code. */
static void sessions(void **state)
{
    char id[UNSB_JOB_ID_SIZE], path[120];
    unsb_call call;
    int i;

    begin(state, PLAIN);
    fresh_result();
    call_json(&call, "POST", "/sessions", "{\"shell\":\"sh\"}");
    EXPECT(UNSB_OK, unsb_request(&g.client, &call, &result));
    assert_int_equal(result.http_status, 201);
    assert_true(result.job_id[0] != '\0');
    memcpy(id, result.job_id, sizeof id);
    (void)snprintf(path, sizeof path, "/sessions/%s/execute", id);
    for (i = 0; i < 3; i++) {
        call_json(&call, "POST", path,
                  "{\"command\":\"n=$((n+1)); echo $n; echo e >&2; (exit $n)\"}");
        EXPECT(UNSB_OK, unsb_request(&g.client, &call, &result));
        assert_int_equal(result.exit_code, i + 1);
        assert_int_equal(atoi(out_memory), i + 1);
        check_text(&result.err, "e\n");
        assert_false(result.success);
    }
    delete_proven("sessions", id);
    check_usable();
}

/* A command in a service is a job, which is waited for. */
static void service_command(void **state)
{
    char id[UNSB_JOB_ID_SIZE], path[120];
    unsb_call call;

    begin(state, PLAIN);
    fresh_result();
    (void)snprintf(path, sizeof path, "{\"name\":\"api%u%s\"}", now->number, live ? "l" : "p");
    call_json(&call, "POST", "/services", path);
    EXPECT(UNSB_OK, unsb_request(&g.client, &call, &result));
    assert_true(result.job_id[0] != '\0');
    memcpy(id, result.job_id, sizeof id);
    (void)snprintf(path, sizeof path, "/services/%s/execute", id);
    call_json(&call, "POST", path, "{\"command\":\"echo in a service; exit 4\"}");
    call.answer = UNSB_ANSWER_OUTCOME;
    EXPECT(UNSB_OK, unsb_request(&g.client, &call, &result));
    assert_int_equal(result.exit_code, 4);
    check_text(&result.out, "in a service\n");
    assert_int_equal(result.status, UNSB_STATUS_COMPLETED);
    delete_proven("services", id);
}

/* ======================================================================
 * >>keys and signatures
 * ====================================================================== */

static void begin_signed(void **state, const char *secret, int32_t offset_s)
{
    rig_close(&g);
    prepare(state, PLAIN);
    g.config.api_key = PUBLIC_KEY;
    g.config.secret_key = secret;
    g.clock_offset_s = offset_s;
    rig_open(&g);
}

static void signed_requests(void **state)
{
    static const unsb_env env[] = {{"V", "\xC3\xA4 &?"}};
    unsb_program program = program_of("sh", "printf %s \"$V\" # \"quoted\" \\ \xE2\x82\xAC");
    char id[UNSB_JOB_ID_SIZE];
    unsb_key key;
    listed l = {"", 0, 0};

    begin_signed(state, SECRET_KEY, 0);
    fresh_result();
    program.env = env;
    program.env_count = 1;
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    check_text(&result.out, "\xC3\xA4 &?");
    program = program_of(NULL, "#!/bin/sh\nprintf %s \"$V\"");
    program.env = env;
    program.env_count = 1;
    program.ttl_s = 50;
    EXPECT(UNSB_OK, unsb_run(&g.client, &program, &result));
    check_text(&result.out, "\xC3\xA4 &?");
    EXPECT(UNSB_OK, unsb_key_validate(&g.client, &key, &result));
    assert_true(key.valid);
    result.on_item = list_job;
    result.context = &l;
    EXPECT(UNSB_OK, unsb_job_list(&g.client, &result));
    submit("sleep 600", id);
    EXPECT(UNSB_OK, unsb_job_get(&g.client, id, &result));
    EXPECT(UNSB_OK, unsb_job_cancel(&g.client, id, &result));
    assert_int_equal(g.outside.connects, 1);
    begin_signed(state, SECRET_KEY, -240);
    program = program_of("sh", "echo a little late");
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
}

static void wrong_signatures(void **state)
{
    static const int32_t offsets[] = {600, -600};
    unsb_program program = program_of("sh", "echo never");
    size_t i;

    fresh_result();
    for (i = 0; i < COUNT(offsets); i++) {
        begin_signed(state, SECRET_KEY, offsets[i]);
        EXPECT(UNSB_E_CLOCK, unsb_execute(&g.client, &program, &result));
        assert_int_equal(result.http_status, 401);
        assert_string_equal(result.error, live ? "invalid_timestamp" : "timestamp_out_of_range");
        assert_string_equal(result.message,
                            "the timestamp is more than 5 minutes off this server's clock");
    }
    begin_signed(state, SECRET_KEY "6", 0);
    EXPECT(UNSB_E_UNAUTHORIZED, unsb_execute(&g.client, &program, &result));
    assert_string_equal(result.error, "invalid_signature");
    begin_signed(state, NULL, 0);
    EXPECT(UNSB_E_UNAUTHORIZED, unsb_execute(&g.client, &program, &result));
    assert_string_equal(result.error, "missing_timestamp");
    assert_int_equal(result.out.size, 0);
}

static void wrong_key(void **state)
{
    unsb_program program = program_of("sh", "echo never");

    prepare(state, PLAIN);
    fresh_result();
    g.config.api_key = "unsb-sk-wrong-wrong-wrong-wrong";
    g.config.retries = 3;
    rig_open(&g);
    EXPECT(UNSB_E_UNAUTHORIZED, unsb_execute(&g.client, &program, &result));
    assert_int_equal(result.http_status, 401);
    assert_string_equal(result.error, "invalid_api_key");
    assert_string_equal(result.message, "unknown API key");
    EXPECT(live ? UNSB_OK : UNSB_E_UNAUTHORIZED, unsb_languages(&g.client, &result));
    assert_int_equal(g.outside.connects, 1);
}

static void unknown_language(void **state)
{
    unsb_program program = program_of("klingon \"\\\n", "nuqneH");

    begin(state, PLAIN);
    fresh_result();
    EXPECT(UNSB_E_BAD_REQUEST, unsb_execute(&g.client, &program, &result));
    assert_int_equal(result.http_status, 400);
    assert_string_equal(result.error, "unsupported_language");
    assert_string_equal(result.message, "no such language here: klingon \"\\\n");
    EXPECT(UNSB_E_BAD_REQUEST, unsb_execute_async(&g.client, &program, &result));
    check_usable();
}

/* ======================================================================
 * >>limits
 * ====================================================================== */

static int read_letters(void *context, unsb_size offset, void *buffer, size_t size)
{
    (void)context;
    (void)offset;
    memset(buffer, 'x', size < 30000 ? size : 30000);
    return (int)(size < 30000 ? size : 30000);
}

/* The service answers from the head alone and reads on only to be polite. */
static void too_large(void **state)
{
    unsb_program program = program_of("sh", "echo never");
    unsb_file file;

    prepare(state, LIMITS);
    g.config.retries = 2;
    rig_open(&g);
    fresh_result();
    memset(&file, 0, sizeof file);
    file.source.read = read_letters;
    file.source.size = now->most != 0 ? 5000 : UNSB_FILE_MAX;
    program.files = &file;
    program.file_count = 1;
    EXPECT(UNSB_E_TOO_LARGE, unsb_execute(&g.client, &program, &result));
    assert_int_equal(result.http_status, 413);
    assert_string_equal(result.error, "request_too_large");
    assert_int_equal(g.outside.connects, 1);
    check_usable();
    /* a proxy that takes the body itself need not close */
    assert_in_range(g.outside.connects, fronted() ? 1 : 2, 2);
}

static void concurrency(void **state)
{
    unsb_program program = program_of("sh", "echo never");
    char id[UNSB_JOB_ID_SIZE];
    unsb_key key;

    begin(state, LIMITS);
    fresh_result();
    submit_long(id);
    EXPECT(UNSB_E_RATE_LIMITED, unsb_execute(&g.client, &program, &result));
    assert_int_equal(result.http_status, 429);
    assert_string_equal(result.error, "concurrency_limit_reached");
    assert_int_equal(result.concurrency_limit, 1);
    assert_int_equal(result.retry_after_s, live ? 0 : 1);
    assert_int_equal(result.active_executions, live ? 1 : 0);
    assert_int_equal(result.given,
                     UNSB_GIVEN_CONCURRENCY_LIMIT |
                         (live ? UNSB_GIVEN_ACTIVE_EXECUTIONS : UNSB_GIVEN_RETRY_AFTER));
    EXPECT(UNSB_OK, unsb_key_validate(&g.client, &key, &result));
    assert_int_equal(key.concurrency, 1);
    EXPECT(UNSB_OK, unsb_job_cancel(&g.client, id, &result));
    check_usable();
}

static void rate_limit(void **state)
{
    unsb_key key;

    prepare(state, RATES);
    g.config.api_key = rate_keys[now->number];
    rig_open(&g);
    fresh_result();
    EXPECT(UNSB_OK, unsb_key_validate(&g.client, &key, &result));
    assert_int_equal(key.rate_per_minute, 2);
    assert_int_equal(key.burst, 2);
    EXPECT(UNSB_OK, unsb_job_list(&g.client, &result));
    EXPECT(UNSB_E_RATE_LIMITED, unsb_job_list(&g.client, &result));
    assert_int_equal(result.http_status, 429);
    assert_string_equal(result.error, "rate_limit_exceeded");
    assert_int_equal(result.given & UNSB_GIVEN_RETRY_AFTER, live ? 0 : UNSB_GIVEN_RETRY_AFTER);
    if (!live)
        assert_in_range(result.retry_after_s, 1, 60);
}

/* ======================================================================
 * >>failures of the service, and what is sent again
 * ====================================================================== */

static void begin_failing(void **state, service *s, const char *status, uint8_t retries)
{
    combination *c = (combination *)*state;

    rig_close(&g);
    if (s->pid == 0)
        service_start(s, c->wire != ON_TCP, "--fail-first", "2", status, "--journal",
                      scratch("journal"), NULL);
    prepare(state, PLAIN);
    g.config.port = s->port;
    g.config.retries = retries;
    rig_open(&g);
}

/* 503 says that nothing was started; 500 does not. */
static void failing_service(void **state)
{
    unsb_program program = program_of("sh", "echo once");
    service s = {0, 0};

    (void)unlink(scratch("journal"));
    fresh_result();
    begin_failing(state, &s, "503", 0);
    EXPECT(UNSB_E_SERVER, unsb_execute(&g.client, &program, &result));
    assert_int_equal(result.http_status, 503);
    assert_string_equal(result.error, "");
    assert_int_equal(result.given, UNSB_GIVEN_RETRY_AFTER);
    begin_failing(state, &s, "503", 2);
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    assert_int_equal(g.client.attempts, 1);
    check_text(&result.out, "once\n");
    service_stop(&s);
    assert_int_equal(journal_count(scratch("journal"), "echo once"), 1);
    if (now->buffer_size != 512)
        return;

    begin_failing(state, &s, "500", 3);
    EXPECT(UNSB_E_SERVER, unsb_execute(&g.client, &program, &result));
    assert_int_equal(result.http_status, 500);
    assert_int_equal(g.client.attempts, 0);
    EXPECT(UNSB_OK, unsb_languages(&g.client, &result));
    assert_int_equal(g.client.attempts, 1);
    service_stop(&s);
    assert_int_equal(journal_count(scratch("journal"), "echo once"), 1);
}

/* ======================================================================
 * >>connections
 * ====================================================================== */

static void keep_alive(void **state)
{
    unsb_program program = program_of("sh", "echo x");
    unsigned i, kept;
    unsb_key key;

    for (kept = 0; kept < 2; kept++) {
        rig_close(&g);
        prepare(state, kept != 0 ? PLAIN : CHUNKED);
        g.config.no_keep_alive = kept == 0;
        rig_open(&g);
        fresh_result();
        for (i = 0; i < 3; i++)
            EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
        EXPECT(UNSB_OK, unsb_key_validate(&g.client, &key, &result));
        program.language = "none";
        EXPECT(UNSB_E_BAD_REQUEST, unsb_execute(&g.client, &program, &result));
        program.language = "sh";
        EXPECT(UNSB_E_NOT_FOUND, unsb_job_cancel(&g.client, "none", &result));
        EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
        /* a run that is made a job is polled, too */
        if (live && kept == 0)
            assert_true(g.outside.connects > 7);
        else
            assert_int_equal(g.outside.connects, kept != 0 ? 1 : 7);
    }
}

/* A connection that the service has closed meanwhile is not used again, and that is no retry. A
 * look that fetches less than a close_notify alert could not tell, so here calls move a little
 * more. */
static void idle_connection(void **state)
{
    unsb_program program = program_of("sh", "echo again");
    struct pollfd item = {.events = POLLIN};

    prepare(state, IDLES);
    g.inside.most = g.inside.most != 0 ? 4 : 0;
    rig_open(&g);
    fresh_result();
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    item.fd = unsb_posix_fd(&g.tcp);
    assert_int_equal(poll(&item, 1, PATIENCE_MS), 1);
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    check_text(&result.out, "again\n");
    assert_int_equal(g.outside.connects, 2);
    assert_int_equal(rig_resumed(&g), now->wire != ON_TCP);
}

static int abort_at_first(void *context, const void *data, size_t size)
{
    unsb_program program = program_of("sh", "echo never");

    (void)data;
    (void)size;
    ++*(unsigned *)context;
    assert_int_equal(unsb_execute(&g.client, &program, &result), UNSB_E_BUSY);
    assert_int_equal(unsb_poll(&g.client), UNSB_E_BUSY);
    unsb_abort(&g.client);
    return UNSB_OK;
}

static int refuse(void *context, const void *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
    return UNSB_E_USER - 5;
}

static void aborted(void **state)
{
    unsb_program program = program_of("sh", "echo one; echo two"),
                 slow = program_of("sh", "sleep 1");
    unsigned calls = 0, rounds;
    int rc;

    begin(state, PLAIN);
    fresh_result();
    result.out.write = abort_at_first;
    result.out.context = &calls;
    EXPECT(UNSB_E_ABORTED, unsb_execute(&g.client, &program, &result));
    assert_int_equal(calls, 1);
    result.out.write = refuse;
    EXPECT(UNSB_E_USER - 5, unsb_execute(&g.client, &program, &result));
    result.out.write = NULL;
    check_usable();
    if (!now->nonblocking)
        return;
    for (rounds = 0; rounds < 5; rounds++) {
        unsigned left = rounds;
        rc = unsb_execute(&g.client, &slow, &result);
        while (rc == UNSB_PENDING && left-- != 0) {
            assert_int_equal(unsb_execute(&g.client, &slow, &result), UNSB_E_BUSY);
            rig_wait(&g);
            rc = unsb_poll(&g.client);
        }
        assert_int_equal(rc, UNSB_PENDING);
        unsb_abort(&g.client);
        assert_int_equal(unsb_poll(&g.client), UNSB_E_ABORTED);
    }
    check_usable();
}

/* ======================================================================
 * >>main
 * ====================================================================== */

static const struct {
    const char *name;
    CMUnitTestFunction function;
} tests[] = {{"ttl_begins", ttl_begins},
             {"execute_with_everything", execute_with_everything},
             {"network_modes", network_modes},
             {"output", output},
             {"output_escaped", output_escaped},
             {"output_chunked", output_chunked},
             {"output_beyond_its_memory", output_beyond_its_memory},
             {"failing_program", failing_program},
             {"artifact", artifact},
             {"wasm_artifact", wasm_artifact},
             {"run_by_shebang", run_by_shebang},
             {"job_wait", job_wait},
             {"job_wait_early", job_wait_early},
             {"job_wait_flaky", job_wait_flaky},
             {"job_get", job_get},
             {"no_such_job", no_such_job},
             {"list_and_cancel", list_and_cancel},
             {"languages", languages},
             {"key_validate", key_validate},
             {"raw_requests", raw_requests},
             {"sessions", sessions},
             {"service_command", service_command},
             {"signed_requests", signed_requests},
             {"wrong_signatures", wrong_signatures},
             {"wrong_key", wrong_key},
             {"unknown_language", unknown_language},
             {"too_large", too_large},
             {"concurrency", concurrency},
             {"rate_limit", rate_limit},
             {"failing_service", failing_service},
             {"keep_alive", keep_alive},
             {"idle_connection", idle_connection},
             {"aborted", aborted},
             {"ttl_has_passed", ttl_has_passed},
             {"ttl_while_waiting", ttl_while_waiting}};

static int start_services(void **state)
{
    const char *rates[5 + 2 * COUNT(rate_keys)] = {"--rate-limit", "2"};
    unsigned tls, i;

    (void)state;
    for (i = 0; i < COUNT(rate_keys); i++) {
        (void)snprintf(rate_keys[i], sizeof rate_keys[i], "unsb-sk-rate0-%02u", i);
        rates[2 + 2 * i] = "--key";
        rates[3 + 2 * i] = rate_keys[i];
    }
    if (live) {
        rates[2 + 2 * i] = "--dialect";
        rates[3 + 2 * i] = "live";
    }
    for (tls = 0; tls < 2; tls++) {
        service *s = services[tls];
        service_start(&s[PLAIN], tls != 0, "--key-pair", PUBLIC_KEY, SECRET_KEY, "--sudo", "246810",
                      DIALECT, NULL);
        service_start(&s[ASCII], tls != 0, "--ascii", "--early-404", "2", DIALECT, NULL);
        service_start(&s[CHUNKED], tls != 0, "--chunked", "--flaky", "2", DIALECT, NULL);
        service_start(&s[LIMITS], tls != 0, "--max-body", "3000", "--concurrency", "1", DIALECT,
                      NULL);
        service_start_with(&s[RATES], tls != 0, rates);
        service_start(&s[IDLES], tls != 0, "--idle-timeout", "0.2", DIALECT, NULL);
    }
    return 0;
}

static int stop_services(void **state)
{
    unsigned tls, i;

    (void)state;
    for (tls = 0; tls < 2; tls++)
        for (i = 0; i < SERVICES; i++)
            service_stop(&services[tls][i]);
    return 0;
}

int main(void)
{
    static const size_t sizes[] = {UNSB_BUFFER_MIN, 512, 16384};
    static combination combinations[COUNT(rate_keys)];
    static struct CMUnitTest list[COUNT(combinations) * COUNT(tests)];
    static char names[COUNT(list)][80];
    const char *dialect = getenv("UNSB_TEST_DIALECT");
    size_t count = 0, i, j;

    live = dialect != NULL && strcmp(dialect, "live") == 0;
    for (i = 0; i < COUNT(combinations); i++) {
        combination *c = &combinations[i];
        c->number = (unsigned)i;
        c->wire = (int)(i / 6);
        c->nonblocking = i % 2 != 0;
        c->buffer_size = sizes[i / 2 % 3];
        c->most = c->buffer_size == UNSB_BUFFER_MIN ? 1 : 0;
        /* one buffer for both directions, or one for each: each of the two in both modes */
        c->records_size = (i / 2 + i) % 2 != 0 ? BR_SSL_BUFSIZE_MONO : BR_SSL_BUFSIZE_BIDI;
        (void)snprintf(c->name, sizeof c->name, "%s, %s, %u",
                       c->wire == ON_TCP                        ? "tcp"
                       : c->wire == ON_MBEDTLS                  ? "mbedtls"
                       : c->wire == ON_OPENSSL                  ? "openssl"
                       : c->records_size == BR_SSL_BUFSIZE_MONO ? "bearssl mono"
                                                                : "bearssl bidi",
                       c->nonblocking ? "polled" : "blocking", (unsigned)c->buffer_size);
        if (live && c->buffer_size != 512)
            continue; /* the sizes were tried on the other dialect */
        for (j = 0; j < COUNT(tests); j++) {
            /* its second cannot pass meanwhile, so it is tried once on each wire */
            if (tests[j].function == ttl_while_waiting && i != 3 && i != 8 && i != 13 && i != 20)
                continue;
            (void)snprintf(names[count], sizeof names[count], "%s (%s)", tests[j].name, c->name);
            list[count].name = names[count];
            list[count].test_func = tests[j].function;
            list[count].teardown_func = tear_down;
            list[count].initial_state = c;
            count++;
        }
    }
    cmocka_set_test_filter(getenv("UNSB_TEST_FILTER"));
    return _cmocka_run_group_tests("api", list, count, start_services, stop_services);
}
