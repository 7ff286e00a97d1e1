/* Peers that mean no good, over sockets and over TLS: see peers/hostile.py. For each: the right
 * error, in bounded time, with no more memory, descriptors or threads than before, at most one
 * request; and the next call is served. */
#include "suite.h"

#include "loopback.h"
#include "resources.h"
#include <sys/ioctl.h>

/* ======================================================================
 * >>set-up
 * ====================================================================== */

static service hostile;
static uint16_t ports[2]; /* of TCP, of TLS */
static rig g;
static unsb_result result;
static unsigned long long received; /* by the sinks */
static char large[4u << 20];
static long most_kb; /* that any of them made the memory grow */

enum op { EXECUTE, CALL, LIST, WAIT, UPLOAD };

/* Limits in ms of real time; the client's clock runs RIG_SPEED times as fast. */
enum limit { NO_LIMIT, LIMIT_IDLE, LIMIT_TOTAL, LIMIT_CONNECT };
#define SHORT_MS 400u

/* What is giant: as much as a client, not sanitized, reads in well under a second; and GIGANTIC,
 * which is one string of a gigabyte. */
#define GIANT (SANITIZED ? 4u << 20 : 64u << 20)
#define GIGANTIC (SANITIZED ? 32u << 20 : 1u << 30)

typedef struct hostility {
    const char *name;
    uint8_t op, limit;
    uint8_t size;
    int wants[3];     /* any of these: it may depend on what comes first */
    int wants_tls[3]; /* 1, the first of them: the same */
} hostility;

enum size { SMALL, LARGE, LARGEST };

#define ONE(code) {code, code, code}
#define SAME ONE(1)
#define NOT_IN_TLS ONE(2)
#define ONLY_TLS ONE(3) /* in `wants` */

/* What is cut off within TLS is an error of the stream, where TCP has an end in good order. */
static const hostility hostilities[] = {
    /* drops and floods */
    {"drip", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_OK), SAME},
    {"drip_head", EXECUTE, LIMIT_TOTAL, SMALL, ONE(UNSB_E_TIMEOUT), SAME},
    {"drip_body", EXECUTE, LIMIT_TOTAL, SMALL, ONE(UNSB_E_TIMEOUT), SAME},
    {"endless_field", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_HEAD_SIZE), SAME},
    {"endless_fields", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_HEAD_SIZE), SAME},
    {"endless_reason", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_HEAD_SIZE), SAME},
    {"endless_interim", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_HEAD_SIZE), SAME},
    {"endless_hints", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_HEAD_SIZE), SAME},
    {"some_interim", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_OK), SAME},
    {"endless_lines", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_HEAD_SIZE), SAME},
    {"endless_extension", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_HEAD_SIZE), SAME},
    {"endless_size", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_HEAD_SIZE), SAME},
    {"endless_trailers", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_HEAD_SIZE), SAME},
    {"endless_stdout", EXECUTE, LIMIT_TOTAL, SMALL, ONE(UNSB_E_TIMEOUT), SAME},
    {"endless_items", LIST, LIMIT_TOTAL, SMALL, ONE(UNSB_E_TIMEOUT), SAME},
    {"runs_for_ever", WAIT, LIMIT_TOTAL, SMALL, ONE(UNSB_E_TIMEOUT), SAME},
    /* numbers and sizes */
    {"chunk_2_64", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_RESPONSE_SIZE), SAME},
    {"chunk_2_64_less_1", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), SAME},
    {"length_2_64", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_RESPONSE_SIZE), SAME},
    {"length_of_40_digits", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_RESPONSE_SIZE), SAME},
    {"head_10_mb", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_HEAD_SIZE), SAME},
    {"garbage", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_HTTP), SAME},
    {"retry_after_ages", CALL, NO_LIMIT, SMALL, ONE(UNSB_E_RATE_LIMITED), SAME},
    {"deep_field", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_OK), SAME},
    {"deep_objects", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_JSON), SAME},
    {"deep_root", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_RESPONSE), SAME},
    {"giant_stdout", EXECUTE, NO_LIMIT, LARGEST, ONE(UNSB_OK), SAME},
    {"giant_escapes", EXECUTE, NO_LIMIT, LARGE, ONE(UNSB_OK), SAME},
    {"giant_field", EXECUTE, NO_LIMIT, LARGEST, ONE(UNSB_OK), SAME},
    {"giant_key", EXECUTE, NO_LIMIT, LARGE, ONE(UNSB_OK), SAME},
    {"giant_number", EXECUTE, NO_LIMIT, LARGE, ONE(UNSB_OK), SAME},
    {"giant_list", EXECUTE, NO_LIMIT, LARGE, ONE(UNSB_OK), SAME},
    {"giant_artifact", EXECUTE, NO_LIMIT, LARGE, ONE(UNSB_OK), SAME},
    {"giant_refusal", EXECUTE, NO_LIMIT, LARGE, ONE(UNSB_E_BAD_REQUEST), SAME},
    {"giant_blanks", EXECUTE, NO_LIMIT, LARGE, ONE(UNSB_OK), SAME},
    /* out of turn */
    /* seen before the request was sent, or after */
    {"answer_before", EXECUTE, NO_LIMIT, SMALL, {UNSB_OK, UNSB_E_HTTP, UNSB_OK}, SAME},
    {"refusal_before", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_SERVER), SAME},
    {"spare_answer", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_OK), SAME},
    {"answer_and_bytes", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_OK), SAME},
    {"late_answer", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_OK), SAME},
    {"redirect", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_REDIRECT), SAME},
    {"switches", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_HTTP), SAME},
    /* ends */
    {"end_at_once", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_CLOSED), SAME},
    {"end_without_an_answer", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_CLOSED), SAME},
    {"end_in_the_status_line", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), SAME},
    {"end_in_the_head", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), SAME},
    {"end_after_the_head", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), SAME},
    {"end_in_the_body", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), SAME},
    {"end_in_the_chunk", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), SAME},
    {"end_before_the_last_chunk", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), SAME},
    {"end_after_the_answer", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_OK), SAME},
    {"end_after_an_endless_body", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_OK), SAME},
    {"end_in_a_refusal", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_FORBIDDEN), SAME},
    {"cut_without_an_answer", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_CLOSED), ONE(UNSB_E_IO)},
    {"cut_in_the_status_line", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), ONE(UNSB_E_IO)},
    {"cut_in_the_head", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), ONE(UNSB_E_IO)},
    {"cut_after_the_head", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), ONE(UNSB_E_IO)},
    {"cut_in_the_body", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), ONE(UNSB_E_IO)},
    {"cut_in_the_chunk", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), ONE(UNSB_E_IO)},
    {"cut_before_the_last_chunk", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_TRUNCATED), ONE(UNSB_E_IO)},
    {"cut_after_the_answer", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_OK), SAME},
    {"cut_after_an_endless_body", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_OK), ONE(UNSB_E_IO)},
    {"cut_in_a_refusal", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_FORBIDDEN), SAME},
    {"reset_at_once", EXECUTE, NO_LIMIT, SMALL, {UNSB_E_CONNECT, UNSB_E_IO, UNSB_E_CLOSED}, SAME},
    {"reset_in_the_request", UPLOAD, NO_LIMIT, SMALL, {UNSB_E_IO, UNSB_E_CLOSED, UNSB_E_IO}, SAME},
    {"reset_without_an_answer", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_IO), SAME},
    {"reset_in_the_status_line", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_IO), SAME},
    {"reset_in_the_head", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_IO), SAME},
    {"reset_after_the_head", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_IO), SAME},
    {"reset_in_the_body", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_IO), SAME},
    {"reset_in_the_chunk", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_IO), SAME},
    {"reset_before_the_last_chunk", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_IO), SAME},
    {"reset_after_the_answer", EXECUTE, NO_LIMIT, SMALL, {UNSB_OK, UNSB_E_IO, UNSB_OK}, SAME},
    {"reset_after_an_endless_body", EXECUTE, NO_LIMIT, SMALL, ONE(UNSB_E_IO), SAME},
    {"reset_in_a_refusal", EXECUTE, NO_LIMIT, SMALL,
     {UNSB_E_FORBIDDEN, UNSB_E_IO, UNSB_E_FORBIDDEN}, SAME},
    /* silence */
    {"silent", CALL, LIMIT_IDLE, SMALL, ONE(UNSB_E_TIMEOUT), SAME},
    {"silent_in_the_head", CALL, LIMIT_IDLE, SMALL, ONE(UNSB_E_TIMEOUT), SAME},
    {"silent_in_the_body", CALL, LIMIT_IDLE, SMALL, ONE(UNSB_E_TIMEOUT), SAME},
    {"deaf", UPLOAD, LIMIT_IDLE, SMALL, ONE(UNSB_E_TIMEOUT), SAME},
    {"slow_reader", UPLOAD, LIMIT_TOTAL, SMALL, ONE(UNSB_E_TIMEOUT), SAME},
    {"no_handshake", EXECUTE, LIMIT_CONNECT, SMALL, ONLY_TLS, ONE(UNSB_E_TIMEOUT)},
    {"handshake_by_drops", EXECUTE, LIMIT_CONNECT, SMALL, ONLY_TLS, ONE(UNSB_E_TIMEOUT)},
    {"endless_warnings", EXECUTE, LIMIT_CONNECT, SMALL, ONLY_TLS,
     {UNSB_E_TIMEOUT, UNSB_E_TLS, UNSB_E_TLS}},
    {"endless_empty_records", EXECUTE, LIMIT_CONNECT, SMALL, ONLY_TLS,
     {UNSB_E_TIMEOUT, UNSB_E_TLS, UNSB_E_TLS}},
    {"endless_plain_text", EXECUTE, LIMIT_CONNECT, SMALL, ONLY_TLS, ONE(UNSB_E_TLS)}};

/* One command for the peer, and its answer. */
static void command(char *answer, size_t size, const char *text)
{
    int fd = loopback_connect(hostile.port);
    size_t length = strlen(text);

    assert_true(fd >= 0);
    assert_true(write(fd, text, length) == (ssize_t)length);
    if (!read_line(fd, answer, size))
        fail_msg("no answer from peers/hostile.py");
    (void)close(fd);
}

static void treat(const char *name, unsigned size)
{
    char text[100], answer[32];

    (void)snprintf(text, sizeof text, "%s %u\n", name, size);
    command(answer, sizeof answer, text);
    assert_string_equal(answer, "ok\n");
}

static unsigned whole_requests(void)
{
    char answer[32];

    command(answer, sizeof answer, "requests\n");
    return (unsigned)strtoul(answer, NULL, 10);
}

/* ======================================================================
 * >>calls
 * ====================================================================== */

static int count(void *context, const void *data, size_t size)
{
    (void)context;
    (void)data;
    received += size;
    return 0;
}

static int count_artifact(void *context, const unsb_artifact *artifact)
{
    (void)context;
    received += artifact->size;
    return 0;
}

static int count_item(void *context, const unsb_result *item)
{
    (void)context;
    (void)item;
    received++;
    return 0;
}

static char out_memory[64], err_memory[64];

static int perform(unsigned op)
{
    unsb_program program;
    unsb_file file;
    unsb_call call;

    memset(&result, 0, sizeof result);
    memset(&program, 0, sizeof program);
    memset(&file, 0, sizeof file);
    memset(&call, 0, sizeof call);
    result.out = unsb_into(out_memory, sizeof out_memory);
    result.err = unsb_into(err_memory, sizeof err_memory);
    result.out.write = count;
    result.on_artifact = count_artifact;
    result.on_item = count_item;
    received = 0;
    program.language = "python";
    program.code = unsb_text("print('fine')");
    file.name = "large.bin";
    file.source = unsb_bytes(large, sizeof large);
    call.method = "GET";
    call.path = "/";
    switch (op) {
    case UPLOAD:
        program.files = &file;
        program.file_count = 1;
        program.ttl_s = 1;
        /* fall through */
    case EXECUTE:
        return rig_end(&g, unsb_execute(&g.client, &program, &result));
    case LIST:
        return rig_end(&g, unsb_job_list(&g.client, &result));
    case WAIT:
        return rig_end(&g, unsb_job_wait(&g.client, "j1", SHORT_MS * RIG_SPEED, &result));
    default:
        return rig_end(&g, unsb_request(&g.client, &call, &result));
    }
}

static void prepare(int wire, bool polled, unsigned limit)
{
    rig_close(&g);
    rig_prepare(&g, wire, polled, ports[wire]);
    if (limit == LIMIT_IDLE)
        g.config.idle_timeout_ms = SHORT_MS * RIG_SPEED;
    if (limit == LIMIT_TOTAL)
        g.config.total_timeout_ms = SHORT_MS * RIG_SPEED;
    if (limit == LIMIT_CONNECT)
        g.config.connect_timeout_ms = SHORT_MS * RIG_SPEED;
    rig_open(&g);
}

/* A call that is served well, with limits that only a defect reaches. */
static void check_usable(const char *name)
{
    int rc;

    g.client.config.connect_timeout_ms = g.client.config.idle_timeout_ms = RIG_LIMIT_MS;
    g.client.config.total_timeout_ms = UNSB_FOREVER;
    rc = perform(EXECUTE);
    if (rc != UNSB_OK || strcmp(out_memory, "fine") != 0)
        fail_msg("after %s: %d (%s), \"%s\"", name, rc, unsb_error_text(rc), out_memory);
}

/* What comes after an answer, its end too, must have come, as a request that crosses with it is lost;
 * the whole of its TLS record, too: nothing more comes. */
static void await_more(void)
{
    struct pollfd item = {.fd = unsb_posix_fd(&g.tcp), .events = POLLIN};
    int have = -1, before, still;

    if (item.fd < 0)
        return;
    if (poll(&item, 1, PATIENCE_MS) != 1)
        fail_msg("nothing follows the answer");
    for (still = 0; still < 5; still = have == before ? still + 1 : 0) {
        before = have;
        (void)poll(NULL, 0, 10);
        assert_int_equal(ioctl(item.fd, FIONREAD, &have), 0);
    }
}

static void check_result(const hostility *h, unsigned size, int rc)
{
    bool file = strcmp(h->name, "giant_artifact") == 0;

    if (rc == UNSB_OK && strcmp(h->name, "giant_stdout") == 0)
        assert_int_equal(result.out.size, size);
    if (rc == UNSB_OK && file)
        assert_int_equal(received, size / 4 * 3 + 4);
    if (rc == UNSB_OK && h->op == EXECUTE && result.out.size < sizeof out_memory &&
        strcmp(h->name, "answer_before") != 0)
        assert_string_equal(out_memory, "fine");
}

static void endure(const hostility *h, int wire, bool polled)
{
    const int *wants = wire == ON_TCP || h->wants_tls[0] == 1 ? h->wants : h->wants_tls;
    unsigned size = h->size != SMALL ? GIANT : 0, before, threads;
    uint32_t since;
    bool same;
    int rc;
    long kb;

    if (wants[0] == 3 || wants[0] == 2)
        return;
    if (h->size == LARGEST && wire == ON_TCP && !polled)
        size = GIGANTIC;
    treat(h->name, size);
    prepare(wire, polled, h->limit);
    before = descriptors();
    threads = threads_alive();
    since = unsb_posix_now_ms(NULL);
    peak_forget();
    kb = memory_kb();
    rc = perform(h->op);
    kb = peak_kb() - kb;
    if (rc != wants[0] && rc != wants[1] && rc != wants[2])
        fail_msg("%s, %s, %s: %d (%s) instead of %d; HTTP %d; errno %d, TLS %d", h->name,
                 wire == ON_TCP ? "TCP" : "TLS", polled ? "polled" : "blocking", rc,
                 unsb_error_text(rc), wants[0], result.http_status, g.tcp.error, g.tls.error);
    check_result(h, size, rc);
    if (unsb_posix_now_ms(NULL) - since > PATIENCE_MS)
        fail_msg("%s takes too long", h->name);
    if (kb > most_kb)
        most_kb = kb;
    if (!SANITIZED && kb > 1024)
        fail_msg("%s: %ld KB more memory", h->name, kb);
    if (h->op == EXECUTE)
        assert_true(whole_requests() <= 1);
    if (strstr(h->name, "answer") != NULL || strcmp(h->name, "refusal_before") == 0)
        await_more();
    check_usable(h->name);
    unsb_abort(&g.client);
    rig_close(&g);
    EVENTUALLY(descriptors() <= before && threads_alive() <= threads, same);
    if (!same)
        fail_msg("%s: descriptors or threads are left", h->name);
}

/* ======================================================================
 * >>tests
 * ====================================================================== */

static void endure_all(int wire, bool polled)
{
    size_t i;

    prepare(wire, polled, NO_LIMIT); /* what only the first use takes */
    check_usable("nothing");
    for (i = 0; i < COUNT(hostilities); i++)
        endure(&hostilities[i], wire, polled);
}

static void over_tcp(void **state)
{
    (void)state;
    endure_all(ON_TCP, false);
}

static void over_tcp_polled(void **state)
{
    (void)state;
    endure_all(ON_TCP, true);
}

static void over_tls(void **state)
{
    (void)state;
    endure_all(ON_BEARSSL, false);
}

static void over_tls_polled(void **state)
{
    (void)state;
    endure_all(ON_BEARSSL, true);
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&g);
    return 0;
}

static int start(void **state)
{
    const char *argv[] = {"python3", "-B", "peers/hostile.py", NULL, NULL, NULL};
    char answer[64], *second;
    long kb;

    (void)state;
    argv[3] = pki("localhost.pem");
    argv[4] = pki("localhost.key");
    service_start_python(&hostile, argv);
    command(answer, sizeof answer, "ports\n");
    ports[0] = (uint16_t)strtoul(answer, &second, 10);
    ports[1] = (uint16_t)strtoul(second, NULL, 10);
    assert_true(ports[0] != 0 && ports[1] != 0);
    /* see that growth is seen, by memory that is used for the first time */
    peak_forget();
    kb = memory_kb();
    memset(large, 'x', sizeof large);
    kb = peak_kb() - kb;
    if (!SANITIZED)
        assert_true(kb > (long)(sizeof large / 1024) / 2);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    figures("%zu hostile peers, one string of up to %u bytes; at the most %ld KB more memory",
            COUNT(hostilities), GIGANTIC, most_kb);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(over_tcp, tear_down),
                                       cmocka_unit_test_teardown(over_tcp_polled, tear_down),
                                       cmocka_unit_test_teardown(over_tls, tear_down),
                                       cmocka_unit_test_teardown(over_tls_polled, tear_down)};

    return cmocka_run_group_tests_name("hostile", tests, start, stop);
}
