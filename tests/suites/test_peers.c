/* Peers that are not ours: nginx before the local service, and OpenSSL's s_server. What a proxy
 * does to connections, bodies and errors, over TCP and each TLS port, blocking and polled. */
#include "suite.h"
#include "unsandbox_mbedtls.h"
#include "service.h"

/* ======================================================================
 * >>set-ups
 * ====================================================================== */

typedef struct set_up {
    int wire;
    bool nonblocking;
    size_t buffer_size;
    char name[40];
} set_up;

enum { PLAIN, CHUNKED, SERVICES };

static service services[SERVICES], front;
static rig g;
static const set_up *now;
static char out_memory[70000], err_memory[4000];
static unsb_result result;

static void fresh_result(void)
{
    memset(&result, 0, sizeof result);
    result.out = unsb_into(out_memory, sizeof out_memory);
    result.err = unsb_into(err_memory, sizeof err_memory);
}

static unsb_program program_of(const char *language, const char *code)
{
    unsb_program program;

    memset(&program, 0, sizeof program);
    program.language = language;
    program.code = unsb_text(code);
    return program;
}

/* nginx with these directives, before this service; what was there before is closed and stopped. */
static void prepare_at(void **state, uint16_t port, const char *directives)
{
    now = (const set_up *)*state;
    rig_close(&g);
    service_stop(&front);
    front_start(&front, port, now->wire != ON_TCP, directives);
    rig_prepare(&g, now->wire, now->nonblocking, front.port);
    g.config.buffer_size = now->buffer_size;
    fresh_result();
}

static void begin(void **state, unsigned which, const char *directives)
{
    prepare_at(state, services[which].port, directives);
    rig_open(&g);
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&g);
    service_stop(&front);
    return 0;
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

/* For outcomes that the peer's timing decides: a list of codes that ends with 1. */
static int check_any(int rc, int line, ...)
{
    va_list list;
    int want;

    rc = rig_end(&g, rc);
    va_start(list, line);
    do {
        want = va_arg(list, int);
    } while (want != rc && want != 1);
    va_end(list);
    if (want != rc)
        fail_msg("line %d: %d (%s); HTTP %d; errno %d, TLS %d", line, rc, unsb_error_text(rc),
                 result.http_status, g.tcp.error, rig_tls_error(&g));
    return rc;
}

/* A line of code that no other test runs, so that the journal tells how often it ran. Up to 4 stay
 * valid. */
static const char *unique(const char *code)
{
    static char texts[4][200];
    static unsigned count;
    char *text = texts[++count % COUNT(texts)];

    (void)snprintf(text, sizeof texts[0], "%s # %u", code, count);
    return text;
}

static unsigned executions(const char *code)
{
    return journal_count(scratch("journal"), code);
}

static int execute(const char *code)
{
    unsb_program program = program_of("sh", code);

    return rig_end(&g, unsb_execute(&g.client, &program, &result));
}

static void check_usable(void)
{
    const char *code = unique("echo still here");

    EXPECT(UNSB_OK, execute(code));
    assert_string_equal(out_memory, "still here\n");
    assert_int_equal(executions(code), 1);
}

static void get(int want, const char *path)
{
    unsb_call call;

    memset(&call, 0, sizeof call);
    call.method = "GET";
    call.path = path;
    EXPECT(want, unsb_request(&g.client, &call, &result));
}

/* ======================================================================
 * >>connections
 * ====================================================================== */

static void few_requests_on_each(void **state)
{
    unsigned i;

    begin(state, PLAIN, "keepalive_requests 2;");
    for (i = 0; i < 6; i++) {
        check_usable();
        assert_int_equal(g.outside.connects, i / 2 + 1);
    }
    begin(state, CHUNKED, "keepalive_timeout 0;");
    for (i = 0; i < 3; i++) {
        check_usable();
        assert_int_equal(g.outside.connects, i + 1);
    }
}

static struct {
    unsigned requests, connections, lost, lost_but_ran;
} races;

/* nginx gives the connection up at about the moment when the next request is made. Either that is
 * seen before the first byte, and another one is made; or the request is lost with the connection,
 * which is an error, as the library cannot know whether it ran. It never runs twice. */
static void idle_time_out_races(void **state)
{
    static const long pauses_us[] = {0, 1000, 2500, 2800, 2900, 3000, 3100, 3200, 3500, 5000};
    unsigned i;

    begin(state, PLAIN, "keepalive_timeout 3ms;");
    for (i = 0; i < 60; i++) {
        struct timespec pause = {0, pauses_us[i % COUNT(pauses_us)] * 1000};
        const char *code = unique("echo raced");
        int rc;
        (void)nanosleep(&pause, NULL);
        rc = check_any(execute(code), __LINE__, UNSB_OK, UNSB_E_CLOSED, UNSB_E_IO, UNSB_E_TRUNCATED,
                       1);
        if (rc == UNSB_OK) {
            assert_string_equal(out_memory, "raced\n");
            assert_int_equal(executions(code), 1);
        } else {
            races.lost++;
            races.lost_but_ran += executions(code);
            assert_true(executions(code) <= 1);
        }
    }
    races.requests += 60;
    races.connections += g.outside.connects;
    /* what was read only is asked for again */
    rig_close(&g);
    rig_prepare(&g, now->wire, now->nonblocking, front.port);
    g.config.retries = 3;
    rig_open(&g);
    for (i = 0; i < 30; i++) {
        struct timespec pause = {0, pauses_us[i % COUNT(pauses_us)] * 1000};
        (void)nanosleep(&pause, NULL);
        EXPECT(UNSB_OK, unsb_languages(&g.client, &result));
    }
}

/* A graceful end: the idle connection is closed, and nobody listens any more. */
static void proxy_is_stopped(void **state)
{
    struct pollfd item = {.events = POLLIN};
    const char *code;

    begin(state, PLAIN, "");
    check_usable();
    (void)kill(front.pid, SIGQUIT);
    item.fd = unsb_posix_fd(&g.tcp);
    assert_int_equal(poll(&item, 1, PATIENCE_MS), 1);
    assert_int_equal(waitpid(front.pid, NULL, 0), front.pid);
    code = unique("echo never");
    EXPECT(UNSB_E_CONNECT, execute(code));
    assert_int_equal(executions(code), 0);
}

/* The connections from nginx to the service are kept, too. */
static void kept_behind(void **state)
{
    unsigned i;

    begin(state, PLAIN,
          "location ~ ^/ { proxy_pass http://kept; proxy_set_header Host $http_host;"
          " proxy_set_header Connection ''; }");
    for (i = 0; i < 5; i++)
        check_usable();
    assert_int_equal(g.outside.connects, 1);
}

/* ======================================================================
 * >>bodies
 * ====================================================================== */

typedef struct counter {
    sha hash;
    size_t kill_at; /* 0: never */
    pid_t victim;
} counter;

static int count_bytes(void *context, const void *data, size_t size)
{
    counter *c = (counter *)context;

    sha_add(&c->hash, data, size);
    if (c->kill_at != 0 && c->hash.total >= c->kill_at && c->victim > 0) {
        (void)kill(c->victim, SIGKILL);
        c->victim = 0;
    }
    return UNSB_OK;
}

static void counting(counter *c)
{
    memset(c, 0, sizeof *c);
    sha_start(&c->hash);
    memset(&result.out, 0, sizeof result.out);
    result.out.write = count_bytes;
    result.out.context = c;
}

/* How a proxy may pass an answer on. The last ones end with the connection. */
static const char *const ways[] = {
    "",
    "proxy_buffering off;",
    "proxy_http_version 1.0;",
    "proxy_http_version 1.0; proxy_buffering off;",
    "proxy_buffers 2 4k; proxy_buffer_size 4k; proxy_busy_buffers_size 4k;",
    "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;",
    "tcp_nodelay off; sendfile on; tcp_nopush on; ssl_buffer_size 1k;",
    "chunked_transfer_encoding off;",
    "chunked_transfer_encoding off; proxy_buffering off;",
};

static void answers_of_every_framing(void **state)
{
    char want[65], got[65];
    unsigned i, which;
    counter c;
    sha s;

    sha_start(&s);
    for (i = 0; i < 30000; i++) {
        char line[8];
        sha_add(&s, line, (size_t)snprintf(line, sizeof line, "%u\n", i + 1));
    }
    sha_text(&s, want);
    for (i = 0; i < COUNT(ways); i++)
        for (which = 0; which < SERVICES; which++) {
            begin(state, which, ways[i]);
            counting(&c);
            EXPECT(UNSB_OK, execute("seq 30000"));
            sha_text(&c.hash, got);
            assert_string_equal(got, want);
            fresh_result();
            check_usable();
        }
}

static void compression_is_not_asked_for(void **state)
{
    /* {"languages":[]} by gzip */
    static const char packed[] =
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\xca\x49\xcc\x4b\x2f\x4d\x4c\x4f"
        "\x2d\x56\xb2\x8a\x8e\xad\xe5\x02\x00\xff\x62\x88\x59\x11\x00\x00\x00";
    char directives[600];

    write_file(scratch("languages.gz"), packed, sizeof packed - 1);
    (void)snprintf(directives, sizeof directives,
                   "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;"
                   "location = /asked { return 200 '$http_accept_encoding [$http_te]"
                   "[$http_expect][$http_upgrade][$http_transfer_encoding]'; }"
                   "location = /languages { root %s; gzip_static always; }",
                   scratch(""));
    begin(state, PLAIN, directives);
    get(UNSB_OK, "/asked");
    assert_string_equal(out_memory, "identity [][][][]");
    /* what comes packed all the same is not taken for the text */
    EXPECT(UNSB_E_JSON, unsb_languages(&g.client, &result));
    assert_int_equal(result.http_status, 200);
    fresh_result();
    check_usable();
}

static int read_letters(void *context, unsb_size offset, void *buffer, size_t size)
{
    (void)context;
    (void)offset;
    memset(buffer, 'x', size);
    return (int)size;
}

static unsb_program upload_of(unsb_file *file, unsb_size size, const char *code)
{
    unsb_program program = program_of("sh", code);

    memset(file, 0, sizeof *file);
    file->source.read = read_letters;
    file->source.size = size;
    program.files = file;
    program.file_count = 1;
    return program;
}

static void large_upload(void **state)
{
    unsb_file file;
    unsb_program program = upload_of(&file, 3000001, "wc -c <0");
    unsigned i;

    for (i = 0; i < 2; i++) {
        begin(state, PLAIN,
              i == 0 ? "client_body_buffer_size 8k;" : "proxy_request_buffering off;");
        EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
        assert_string_equal(out_memory, "3000001\n");
        check_usable();
        assert_int_equal(g.outside.connects, 1);
    }
}

/* nginx answers from the head alone. It reads on for a while; where it does not, the answer may be
 * lost in the reset, and the error must not be another refusal. */
static void upload_too_large(void **state)
{
    const char *code = unique("echo never");
    unsb_file file;
    unsb_program program = upload_of(&file, 5000000, code);

    begin(state, PLAIN, "client_max_body_size 1k;");
    EXPECT(UNSB_E_TOO_LARGE, unsb_execute(&g.client, &program, &result));
    assert_int_equal(result.http_status, 413);
    assert_string_equal(result.error, "");
    assert_int_equal(g.outside.connects, 1);
    check_usable();
    assert_int_equal(g.outside.connects, 2);

    begin(state, PLAIN, "client_max_body_size 1k; lingering_close off;");
    (void)check_any(unsb_execute(&g.client, &program, &result), __LINE__, UNSB_E_TOO_LARGE,
                    UNSB_E_IO, UNSB_E_CLOSED, 1);
    check_usable();
    assert_int_equal(executions(code), 0);
}

/* ======================================================================
 * >>ends
 * ====================================================================== */

#define LONG_OUTPUT "head -c 12000000 /dev/zero | tr '\\0' x"

/* 12 MB, by way of nginx's temporary files, and without them. */
static void large_answer(void **state)
{
    unsigned i;
    counter c;

    for (i = 0; i < 2; i++) {
        begin(state, i == 0 ? CHUNKED : PLAIN, i == 0 ? "" : "proxy_buffering off;");
        counting(&c);
        EXPECT(UNSB_OK, execute(LONG_OUTPUT));
        assert_int_equal(c.hash.total, 12000000);
    }
}

/* The proxy dies within the body: never taken for its end, whatever the framing, and the program
 * is never run again. */
static void proxy_is_killed(void **state)
{
    static const char *const framings[] = {"proxy_buffering off;",
                                           "chunked_transfer_encoding off; proxy_buffering off;"};
    unsigned i, which;
    const char *code;
    counter c;
    int rc;

    for (i = 0; i < COUNT(framings); i++)
        for (which = 0; which < SERVICES; which++) {
            prepare_at(state, services[which].port, framings[i]);
            g.config.retries = 3;
            rig_open(&g);
            counting(&c);
            c.kill_at = 100000;
            c.victim = front.pid;
            code = unique(LONG_OUTPUT);
            rc = execute(code);
            /* one that ends with the connection looks complete to HTTP over bare TCP; then it is
             * the JSON that is not */
            check_any(rc, __LINE__, UNSB_E_TRUNCATED, UNSB_E_IO,
                      now->wire == ON_TCP && i == 1 && which == CHUNKED ? UNSB_E_JSON : 1, 1);
            assert_int_equal(c.victim, 0);
            assert_true(c.hash.total < 12000000);
            assert_int_equal(executions(code), 1);
            service_stop(&front);
            fresh_result();
            EXPECT(UNSB_E_CONNECT, execute("echo never"));
        }
}

/* The service behind it dies. nginx tells only by the connection's end, if by anything. */
static void service_is_killed(void **state)
{
    static const char *const framings[] = {"proxy_buffering off;",
                                           "chunked_transfer_encoding off; proxy_buffering off;"};
    unsigned i;
    counter c;

    for (i = 0; i < COUNT(framings); i++) {
        service behind;
        service_start(&behind, 0, "--chunked", NULL);
        prepare_at(state, behind.port, framings[i]);
        g.config.retries = 3;
        rig_open(&g);
        counting(&c);
        c.kill_at = 100000;
        c.victim = behind.pid;
        (void)check_any(execute(LONG_OUTPUT), __LINE__, UNSB_E_TRUNCATED, UNSB_E_IO, UNSB_E_JSON,
                        1);
        assert_int_equal(c.victim, 0);
        assert_true(c.hash.total < 12000000);
        service_stop(&behind);
        fresh_result();
        EXPECT(UNSB_E_SERVER, execute("echo never"));
        assert_int_equal(result.http_status, 502);
    }
}

/* ======================================================================
 * >>errors of the proxy
 * ====================================================================== */

static void nothing_behind(void **state)
{
    uint16_t port;
    int fd = loopback_socket(&port, -1);

    prepare_at(state, port, "");
    g.config.retries = 2;
    rig_open(&g);
    EXPECT(UNSB_E_SERVER, execute("echo never"));
    assert_int_equal(result.http_status, 502);
    assert_string_equal(result.error, "");
    assert_int_equal(g.client.attempts, 0);
    EXPECT(UNSB_E_SERVER, unsb_languages(&g.client, &result));
    assert_int_equal(result.http_status, 502);
    assert_int_equal(g.client.attempts, 2);
    (void)close(fd);
}

/* 504: the program ran all the same. */
static void slow_behind(void **state)
{
    const char *code = unique("sleep 20; echo late");

    prepare_at(state, services[PLAIN].port, "proxy_read_timeout 700ms;");
    g.config.retries = 3;
    rig_open(&g);
    EXPECT(UNSB_E_SERVER, execute(code));
    assert_int_equal(result.http_status, 504);
    assert_string_equal(result.error, "");
    assert_int_equal(g.client.attempts, 0);
    assert_int_equal(executions(code), 1);
}

/* The connection is dropped without a byte of an answer, once the program has begun. As it had been
 * kept, it looks like one that was found closed; but here the request was taken. */
static void dropped_without_an_answer(void **state)
{
    const char *code = unique("sleep 20; echo unheard");
    unsigned kept;
    int rc;

    for (kept = 0; kept < 2; kept++) {
        prepare_at(state, services[PLAIN].port,
                   "proxy_read_timeout 700ms; error_page 504 @drop; location @drop { return 444; }"
                   "location = /jobs { return 444; }");
        g.config.retries = 3;
        rig_open(&g);
        if (kept != 0)
            EXPECT(UNSB_OK, unsb_languages(&g.client, &result));
        /* nginx leaves out the close_notify */
        rc = now->wire == ON_TCP ? UNSB_E_CLOSED : UNSB_E_IO;
        EXPECT(rc, execute(code));
        assert_int_equal(g.outside.connects, 1);
        assert_int_equal(g.client.attempts, 0);
        assert_int_equal(executions(code), kept + 1);
        /* what only reads is asked for again */
        EXPECT(rc, unsb_job_list(&g.client, &result));
        assert_int_equal(g.client.attempts, 3);
    }
}

static void rate_limited(void **state)
{
    static const char *const directives[] = {"limit_req zone=slow; limit_req_status 429;",
                                             "limit_req zone=slow;"};
    unsigned i, refused = 0;
    const char *code;

    for (i = 0; i < 2; i++) {
        prepare_at(state, services[PLAIN].port, directives[i]);
        rig_open(&g);
        for (refused = 0; refused == 0;) {
            int rc = rig_end(&g, unsb_languages(&g.client, &result));
            refused += rc != UNSB_OK;
            if (rc != UNSB_OK)
                assert_int_equal(rc, i == 0 ? UNSB_E_RATE_LIMITED : UNSB_E_SERVER);
        }
        assert_int_equal(result.http_status, i == 0 ? 429 : 503);
        assert_int_equal(result.given & UNSB_GIVEN_RETRY_AFTER, 0);
        rig_close(&g);
        rig_prepare(&g, now->wire, now->nonblocking, front.port);
        g.config.retries = 10;
        rig_open(&g);
        code = unique("echo once");
        EXPECT(UNSB_OK, execute(code));
        assert_int_equal(executions(code), 1);
    }
}

static void redirects(void **state)
{
    const char *code = unique("echo never");

    begin(state, PLAIN,
          "location = /execute { return 308 https://elsewhere.invalid/execute; }"
          "location = /languages { return 301 /there; }");
    EXPECT(UNSB_E_REDIRECT, execute(code));
    assert_int_equal(result.http_status, 308);
    EXPECT(UNSB_E_REDIRECT, unsb_languages(&g.client, &result));
    assert_int_equal(result.http_status, 301);
    assert_int_equal(g.outside.connects, 1);
    assert_int_equal(executions(code), 0);
}

/* Heads of kilobytes, up to what UNSB_HTTP_HEAD_LIMIT allows. */
static void large_heads(void **state)
{
    static char directives[40000];
    const unsigned counts[] = {3, 11};
    unsigned i, j;

    for (i = 0; i < 2; i++) {
        char *p = directives;
        for (j = 0; j < counts[i]; j++)
            p += sprintf(p, "add_header X-Large-%u %03000u always; ", j, j);
        prepare_at(state, services[PLAIN].port, directives);
        g.config.buffer_size = UNSB_BUFFER_MIN;
        rig_open(&g);
        if (i == 0)
            check_usable();
        else
            EXPECT(UNSB_E_HEAD_SIZE, unsb_languages(&g.client, &result));
    }
}

/* ======================================================================
 * >>tls
 * ====================================================================== */

static void suites_of_tls(void **state)
{
    static const struct {
        const char *directives;
        int rc;
    } cases[] = {
        {"ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;", UNSB_OK},
        {"ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384;", UNSB_OK},
        {"ssl_ciphers ECDHE-ECDSA-CHACHA20-POLY1305;", UNSB_OK},
        {"ssl_ecdh_curve prime256v1;", UNSB_OK},
        {"ssl_ecdh_curve secp384r1;", UNSB_OK},
        {"ssl_session_tickets off; ssl_session_cache off;", UNSB_OK},
        {"ssl_protocols TLSv1.2 TLSv1.3;", UNSB_OK},
        {"ssl_protocols TLSv1.3;", UNSB_E_TLS},
        {"ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;", UNSB_E_TLS},
        {"ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-SHA;", UNSB_E_TLS},
    };
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        begin(state, PLAIN, cases[i].directives);
        EXPECT(cases[i].rc, unsb_languages(&g.client, &result));
    }
}

static void names_and_sessions(void **state)
{
    begin(state, PLAIN,
          "keepalive_timeout 0; location = /told { return 200 "
          "'$ssl_server_name $ssl_protocol $ssl_session_reused'; }");
    get(UNSB_OK, "/told");
    assert_string_equal(out_memory, "localhost TLSv1.2 .");
    get(UNSB_OK, "/told");
    assert_string_equal(out_memory, "localhost TLSv1.2 r");
    assert_int_equal(g.outside.connects, 2);
}

/* OpenSSL honours max_fragment_length, so nginx serves clients whose record buffer is tiny. */
static void small_records(void **state)
{
    static const size_t sizes[] = {UNSB_BEARSSL_BUFFER_MIN, 1349, 2373, 4421};
    counter c;
    size_t i;

    for (i = 0; i < COUNT(sizes); i++) {
        prepare_at(state, services[PLAIN].port, "");
        g.secure.buffer_size = sizes[i];
        rig_open(&g);
        counting(&c);
        EXPECT(UNSB_OK, execute("seq 20000"));
        assert_int_equal(c.hash.total, 108894);
    }
}

/* ======================================================================
 * >>s_server
 * ====================================================================== */

static void s_server_start(const char *options)
{
    char command[400];
    const char *argv[] = {
        "sh", "-c", command, "sh", scratch(""), pki("localhost.pem"), pki("localhost.key"), NULL};

    (void)snprintf(command, sizeof command,
                   "cd \"$1\" && exec openssl s_server -accept 127.0.0.1:0 -cert \"$2\" "
                   "-key \"$3\" %s",
                   options);
    service_stop(&front);
    service_start_python(&front, argv);
}

static void begin_s_server(void **state, const char *options)
{
    now = (const set_up *)*state;
    rig_close(&g);
    s_server_start(options);
    rig_prepare(&g, now->wire, now->nonblocking, front.port);
    g.config.buffer_size = now->buffer_size;
    /* it closes each connection, but its files do not always say so beforehand */
    g.config.no_keep_alive = true;
    rig_open(&g);
    fresh_result();
}

/* An HTTP/1.0 answer that ends with the connection; its text is about the handshake. */
static void s_server_status_page(void **state)
{
    begin_s_server(state, "-www -tls1_2");
    get(UNSB_OK, "/");
    assert_int_equal(result.http_status, 200);
    assert_non_null(strstr(out_memory, "Protocol  : TLSv1.2"));
    assert_non_null(strstr(out_memory, "-GCM-SHA"));
    assert_non_null(strstr(out_memory, "</HTML>"));
    get(UNSB_OK, "/");
    assert_non_null(strstr(out_memory, "Reused, TLSv1.2"));
    assert_int_equal(g.outside.connects, 2);
}

/* Files that hold whole responses. */
static void s_server_files(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } files[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", UNSB_OK},
        {"HTTP/1.1 200 OK\r\n\r\nhello", UNSB_OK},
        {"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nhello", UNSB_OK},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", UNSB_OK},
        {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", UNSB_E_TRUNCATED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", UNSB_E_TRUNCATED},
        {"HTTP/1.1 200 OK\r\nContent-Le", UNSB_E_TRUNCATED},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", UNSB_E_NOT_FOUND},
        {"", UNSB_E_CLOSED},
    };
    char name[20];
    size_t i;

    for (i = 0; i < COUNT(files); i++) {
        (void)snprintf(name, sizeof name, "response%u", (unsigned)i);
        write_file(scratch(name), files[i].text, strlen(files[i].text));
    }
    begin_s_server(state, "-HTTP -tls1_2");
    for (i = 0; i < COUNT(files); i++) {
        (void)snprintf(name, sizeof name, "/response%u", (unsigned)i);
        get(files[i].rc, name);
        if (files[i].rc == UNSB_OK)
            assert_string_equal(out_memory, "hello");
    }
}

static void s_server_terms(void **state)
{
    static const struct {
        const char *options;
        int rc;
    } cases[] = {
        {"-www -no_ticket", UNSB_OK},
        {"-www -no_cache -no_ticket", UNSB_OK},
        {"-www -tls1_2 -max_send_frag 512 -split_send_frag 512", UNSB_OK},
        {"-www -tls1_2 -serverpref -cipher ECDHE-ECDSA-CHACHA20-POLY1305", UNSB_OK},
        {"-www -tls1_2 -named_curve P-384", UNSB_OK},
        {"-www -verify 1", UNSB_OK},            /* asks for a certificate, and does without */
        {"-www -tls1_2 -Verify 1", UNSB_E_TLS}, /* insists on one */
        {"-www -tls1_3", UNSB_E_TLS},
        {"-www -tls1_1 -cipher ALL:@SECLEVEL=0", UNSB_E_TLS},
        {"-www -tls1_2 -cipher ECDHE-ECDSA-AES256-SHA384", UNSB_E_TLS},
    };
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        begin_s_server(state, cases[i].options);
        get(cases[i].rc, "/");
    }
}

/* ======================================================================
 * >>main
 * ====================================================================== */

enum { ANY, TLS_ALONE, BEARSSL_ALONE };

static const struct {
    const char *name;
    CMUnitTestFunction function;
    int wires;
} tests[] = {{"few_requests_on_each", few_requests_on_each, ANY},
             {"idle_time_out_races", idle_time_out_races, ANY},
             {"proxy_is_stopped", proxy_is_stopped, ANY},
             {"kept_behind", kept_behind, ANY},
             {"answers_of_every_framing", answers_of_every_framing, ANY},
             {"compression_is_not_asked_for", compression_is_not_asked_for, ANY},
             {"large_upload", large_upload, ANY},
             {"large_answer", large_answer, ANY},
             {"upload_too_large", upload_too_large, ANY},
             {"proxy_is_killed", proxy_is_killed, ANY},
             {"service_is_killed", service_is_killed, ANY},
             {"nothing_behind", nothing_behind, ANY},
             {"slow_behind", slow_behind, ANY},
             {"dropped_without_an_answer", dropped_without_an_answer, ANY},
             {"rate_limited", rate_limited, ANY},
             {"redirects", redirects, ANY},
             {"large_heads", large_heads, ANY},
             {"suites_of_tls", suites_of_tls, TLS_ALONE},
             {"names_and_sessions", names_and_sessions, TLS_ALONE},
             {"small_records", small_records, BEARSSL_ALONE},
             {"s_server_status_page", s_server_status_page, TLS_ALONE},
             {"s_server_files", s_server_files, TLS_ALONE},
             {"s_server_terms", s_server_terms, TLS_ALONE}};

static int start_services(void **state)
{
    (void)state;
    service_start(&services[PLAIN], 0, "--journal", scratch("journal"), NULL);
    service_start(&services[CHUNKED], 0, "--chunked", "--journal", scratch("journal"), NULL);
    return 0;
}

static int stop_services(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < SERVICES; i++)
        service_stop(&services[i]);
    if (races.requests != 0)
        figures("racing nginx's idle time-out: %u executions on %u connections, %u lost with one, "
                "%u of them after they ran, none run twice",
                races.requests, races.connections, races.lost, races.lost_but_ran);
    return 0;
}

static bool applies(int wires, int wire)
{
    return wires == ANY || (wires == TLS_ALONE && wire != ON_TCP) || wire == ON_BEARSSL;
}

int main(void)
{
    static const char *const wire_names[] = {"tcp", "bearssl", "mbedtls"};
    static set_up set_ups[2 * WIRES];
    static struct CMUnitTest list[COUNT(set_ups) * COUNT(tests)];
    static char names[COUNT(list)][80];
    size_t count = 0, i, j;

    for (i = 0; i < COUNT(set_ups); i++) {
        set_up *s = &set_ups[i];
        s->wire = (int)i / 2;
        s->nonblocking = i % 2 != 0;
        s->buffer_size = s->nonblocking ? 512 : 16384;
        (void)snprintf(s->name, sizeof s->name, "%s, %s", wire_names[s->wire],
                       s->nonblocking ? "polled" : "blocking");
        for (j = 0; j < COUNT(tests); j++) {
            if (!applies(tests[j].wires, s->wire))
                continue;
            (void)snprintf(names[count], sizeof names[count], "%s (%s)", tests[j].name, s->name);
            list[count].name = names[count];
            list[count].test_func = tests[j].function;
            list[count].teardown_func = tear_down;
            list[count].initial_state = s;
            count++;
        }
    }
    cmocka_set_test_filter(getenv("UNSB_TEST_FILTER"));
    return _cmocka_run_group_tests("peers", list, count, start_services, stop_services);
}
