/* The connection is cut after every number of bytes, in both directions: how often does a program
 * run, and does the library tell the truth? The service's journal is the witness. */
#include "suite.h"
#include "service.h"

#define CALLS_MAX 8000

typedef struct call {
    char hash[65]; /* of its code, which no other call has */
    bool ok;
} call;

static call calls[CALLS_MAX];
static unsigned call_count, ok_count;
static service plain, chunked, secure;
static proxy proxies[3]; /* before each of them */
static rig g;
static unsb_result result;
static char out_memory[100], err_memory[100];

enum { PLAIN, CHUNKED, SECURE };

/* How the connections of a call are treated; zero: not at all. */
typedef struct plan {
    unsigned wire;
    bool cut_up, cut_down, at_once;
    size_t after;  /* bytes that pass before the cut */
    unsigned cuts; /* connections; 0: one */
    bool reset, drip;
    uint8_t retries;
    bool nonblocking;
    unsigned refuse; /* connections that cannot be made at all, first */
    bool async;
} plan;

static void prepare(const plan *p)
{
    proxy *x = &proxies[p->wire];

    rig_close(&g);
    peer_settle(&x->peer);
    x->up = p->cut_up ? p->after : NEVER;
    x->down = p->cut_down ? p->after : NEVER;
    x->at_once = p->at_once;
    x->cuts = p->cut_up || p->cut_down || p->at_once ? (p->cuts != 0 ? p->cuts : 1) : 0;
    x->reset = p->reset;
    x->drip = p->drip;
    rig_prepare(&g, p->wire == SECURE, p->nonblocking, x->peer.port);
    g.config.retries = p->retries;
    g.config.buffer_size = p->after % 2 != 0 ? UNSB_BUFFER_MIN : sizeof g.buffer;
    g.outside.refuse = p->refuse;
    rig_open(&g);
}

/* Makes one call of its own and notes what came of it. */
static int make_call(const plan *p)
{
    char code[40], want[40];
    unsb_program program;
    call *c = &calls[call_count];
    bool complete;
    sha s;
    int rc;

    assert_true(call_count < CALLS_MAX);
    (void)snprintf(code, sizeof code, "echo call %u", call_count);
    (void)snprintf(want, sizeof want, "call %u\n", call_count);
    sha_start(&s);
    sha_add(&s, code, strlen(code));
    sha_text(&s, c->hash);
    memset(&program, 0, sizeof program);
    program.language = "sh";
    program.code = unsb_text(code);
    result.out = unsb_into(out_memory, sizeof out_memory);
    result.err = unsb_into(err_memory, sizeof err_memory);
    (void)strcpy(out_memory, "not of this call");
    if (p->async)
        rc = rig_end(&g, unsb_execute_async(&g.client, &program, &result));
    else
        rc = rig_end(&g, unsb_execute(&g.client, &program, &result));
    complete = strcmp(out_memory, want) == 0 && result.success && result.exit_code == 0 &&
               (result.given & UNSB_GIVEN_EXIT_CODE) != 0 && err_memory[0] == '\0';
    if (p->async)
        complete = result.http_status == 202 && result.job_id[0] != '\0' &&
                   result.status == UNSB_STATUS_PENDING;
    if (rc == UNSB_OK && !complete)
        fail_msg("call %u, cut after %zu: UNSB_OK, but the result is not complete", call_count,
                 p->after);
    if (rc > 0 || (rc < UNSB_OK && unsb_error_text(rc)[0] == '\0'))
        fail_msg("call %u: unknown code %d", call_count, rc);
    c->ok = rc == UNSB_OK;
    ok_count += c->ok;
    call_count++;
    return rc;
}

static void expect(const plan *p, int rc, int want)
{
    if (rc != want)
        fail_msg("%s after %zu bytes: %d (%s) instead of %d; HTTP %d", p->cut_up ? "up" : "down",
                 p->after, rc, unsb_error_text(rc), want, result.http_status);
}

/* What the library may say of a connection that was lost. */
static bool is_loss(int rc)
{
    return rc == UNSB_E_CLOSED || rc == UNSB_E_IO || rc == UNSB_E_TRUNCATED || rc == UNSB_E_TLS;
}

/* How many bytes a call needs in each direction. */
static void measure(plan p, size_t *up, size_t *down)
{
    proxy *x = &proxies[p.wire];

    p.cut_up = p.cut_down = p.at_once = false;
    prepare(&p);
    expect(&p, make_call(&p), UNSB_OK);
    rig_close(&g);
    peer_settle(&x->peer);
    *up = x->seen_up;
    *down = x->seen_down;
}

/* Cuts one call after the other, `step` bytes apart. */
static void sweep(plan p, size_t step)
{
    size_t up, down, end;

    measure(p, &up, &down);
    end = p.cut_up ? up : down;
    /* the numbers of calls grow, and with them the requests and responses */
    for (p.after = 0; p.after <= end + 8; p.after += step) {
        int rc;
        prepare(&p);
        rc = make_call(&p);
        if (p.cut_down && p.after > end + 4 && p.wire != SECURE)
            expect(&p, rc, UNSB_OK); /* the cut came after the whole response */
        else if (rc != UNSB_OK && !is_loss(rc))
            expect(&p, rc, UNSB_E_CLOSED);
        if (p.cut_up && p.after < up && rc == UNSB_OK && p.wire != SECURE)
            fail_msg("UNSB_OK, although only %zu of %zu bytes reached the service", p.after, up);
        if (p.cut_down && p.after + 4 < end && rc == UNSB_OK && p.wire != SECURE)
            fail_msg("UNSB_OK, although only %zu of %zu bytes came back", p.after, end);
    }
}

/* ======================================================================
 * >>tests
 * ====================================================================== */

static void every_byte_of_the_request(void **state)
{
    plan p = {.wire = PLAIN, .cut_up = true};

    (void)state;
    sweep(p, 1);
    p.reset = true;
    p.retries = 2;
    sweep(p, 2);
    p.reset = false;
    p.nonblocking = true;
    sweep(p, 3);
}

static void every_byte_of_the_response(void **state)
{
    plan p = {.wire = PLAIN, .cut_down = true};

    (void)state;
    sweep(p, 1);
    p.retries = 2;
    sweep(p, 2);
    p.reset = true;
    p.nonblocking = true;
    sweep(p, 3);
}

static void chunked_responses(void **state)
{
    plan p = {.wire = CHUNKED, .cut_down = true, .retries = 2};

    (void)state;
    sweep(p, 3);
    p.reset = true;
    p.nonblocking = true;
    sweep(p, 11);
}

static void within_tls(void **state)
{
    plan p = {.wire = SECURE, .cut_up = true};

    (void)state;
    sweep(p, 17);
    p.retries = 2;
    p.nonblocking = true;
    p.reset = true;
    sweep(p, 19);
    p.cut_up = false;
    p.cut_down = true;
    sweep(p, 31);
    p.retries = 0;
    p.reset = false;
    p.nonblocking = false;
    sweep(p, 29);
}

/* A job that was submitted is an execution, too. */
static void submitted_jobs(void **state)
{
    plan p = {.wire = PLAIN, .cut_up = true, .retries = 2, .async = true};

    (void)state;
    sweep(p, 11);
    p.cut_up = false;
    p.cut_down = true;
    sweep(p, 5);
}

/* The connection was used before: it may be gone before the second call, or within it. */
static void kept_connections(void **state)
{
    plan p = {.wire = PLAIN, .cut_up = true};
    size_t up, down, first;

    (void)state;
    measure(p, &up, &down);
    for (first = up; p.after < 2 * up + 40; first += 13) {
        p.after = first;
        p.reset = first % 2 == 0;
        p.nonblocking = first % 4 < 2;
        p.retries = first % 3 == 0 ? 2 : 0;
        prepare(&p);
        if (first > up + 4)
            expect(&p, make_call(&p), UNSB_OK);
        else
            (void)make_call(&p);
        (void)make_call(&p);
    }
    p.cut_up = false;
    p.cut_down = true;
    for (p.after = down + 8; p.after < 2 * down + 40; p.after += 17) {
        prepare(&p);
        expect(&p, make_call(&p), UNSB_OK);
        (void)make_call(&p);
    }
}

/* An idle connection that has ended costs nothing, not even a retry. */
static void ended_between_calls(void **state)
{
    unsigned round;

    (void)state;
    for (round = 0; round < 12; round++) {
        plan p = {.wire = round % 3, .reset = round % 2 != 0, .nonblocking = round >= 6};
        struct pollfd item = {.events = POLLIN};
        prepare(&p);
        expect(&p, make_call(&p), UNSB_OK);
        proxy_cut_now(&proxies[p.wire]);
        item.fd = unsb_posix_fd(&g.tcp);
        assert_int_equal(poll(&item, 1, PATIENCE_MS), 1);
        expect(&p, make_call(&p), UNSB_OK);
        assert_int_equal(g.outside.connects, 2);
    }
}

/* Nothing was sent, so it is tried again, as often as was asked for and not once more. */
static void connections_that_cannot_be_made(void **state)
{
    unsigned refuse, wire;
    uint8_t retries;

    (void)state;
    for (wire = 0; wire < 3; wire++)
        for (refuse = 0; refuse <= 3; refuse++)
            for (retries = 0; retries <= 2; retries++) {
                plan p = {.wire = wire,
                          .refuse = refuse,
                          .retries = retries,
                          .nonblocking = (refuse + retries) % 2 != 0};
                prepare(&p);
                expect(&p, make_call(&p), refuse <= retries ? UNSB_OK : UNSB_E_CONNECT);
                assert_int_equal(g.outside.attempts, refuse <= retries ? refuse + 1 : retries + 1u);
            }
}

/* Connections that end before the first byte: with TLS nothing can have been sent, so it is tried
 * again. */
static void ended_at_once(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < 16; i++) {
        plan p = {.wire = i % 2 != 0 ? SECURE : PLAIN,
                  .at_once = true,
                  .reset = i % 4 >= 2,
                  .nonblocking = i % 8 >= 4,
                  .cuts = i >= 8 ? 2 : 1,
                  .retries = 2};
        int rc;
        prepare(&p);
        rc = make_call(&p);
        if (p.wire == SECURE)
            expect(&p, rc, UNSB_OK);
        else if (rc != UNSB_OK && !is_loss(rc))
            expect(&p, rc, UNSB_E_CLOSED);
    }
}

static void single_bytes(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < 12; i++) {
        plan p = {.wire = i % 3, .drip = true, .nonblocking = i % 2 != 0, .after = i / 2};
        prepare(&p);
        expect(&p, make_call(&p), UNSB_OK);
        expect(&p, make_call(&p), UNSB_OK);
        assert_int_equal(g.outside.connects, 1);
    }
}

static int count_job(void *context, const unsb_result *item)
{
    (void)item;
    ++*(unsigned *)context;
    return UNSB_OK;
}

static bool no_job_is_left(void)
{
    unsigned jobs = 0;

    memset(&result, 0, sizeof result);
    result.on_item = count_job;
    result.context = &jobs;
    assert_int_equal(unsb_job_list(&g.client, &result), UNSB_OK);
    return jobs == 0;
}

/* The last test: what the service did. */
static void the_journal(void **state)
{
    char *text, *line, *next;
    unsigned *counts = (unsigned *)calloc(CALLS_MAX, sizeof *counts);
    unsigned executions = 0, i, wrong = 0;
    plan p = {.wire = PLAIN};
    bool done;

    (void)state;
    prepare(&p);
    EVENTUALLY(no_job_is_left(), done);
    assert_true(done);
    rig_close(&g);
    for (i = 0; i < 3; i++)
        peer_settle(&proxies[i].peer);
    service_stop(&plain);
    service_stop(&chunked);
    service_stop(&secure);
    text = read_text(scratch("journal"));
    assert_non_null(text);
    assert_non_null(counts);
    for (line = text; *line != '\0'; line = next) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        next = end + 1;
        executions++;
        assert_true(end - line > 64);
        for (i = 0; i < call_count && memcmp(calls[i].hash, end - 64, 64) != 0; i++)
            continue;
        assert_true(i < call_count);
        counts[i]++;
    }
    for (i = 0; i < call_count; i++)
        if (counts[i] > 1 || (calls[i].ok && counts[i] != 1)) {
            print_error("call %u: %s, and %u executions\n", i, calls[i].ok ? "UNSB_OK" : "failed",
                        counts[i]);
            wrong++;
        }
    free(text);
    free(counts);
    figures("%u calls over cut connections, %u UNSB_OK, %u failed, %u executions, %u calls with a "
            "wrong number of them",
            call_count, ok_count, call_count - ok_count, executions, wrong);
    assert_int_equal(wrong, 0);
    assert_true(executions >= ok_count);
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&g);
    return 0;
}

static int start(void **state)
{
    const char *journal = scratch("journal");

    (void)state;
    service_start(&plain, 0, "--journal", journal, NULL);
    service_start(&chunked, 0, "--journal", journal, "--chunked", NULL);
    service_start(&secure, 1, "--journal", journal, NULL);
    proxy_start(&proxies[PLAIN], plain.port);
    proxy_start(&proxies[CHUNKED], chunked.port);
    proxy_start(&proxies[SECURE], secure.port);
    return 0;
}

static int stop(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < 3; i++)
        proxy_stop(&proxies[i]);
    return 0;
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(every_byte_of_the_request),
                                       TEST(every_byte_of_the_response),
                                       TEST(chunked_responses),
                                       TEST(within_tls),
                                       TEST(submitted_jobs),
                                       TEST(kept_connections),
                                       TEST(ended_between_calls),
                                       TEST(connections_that_cannot_be_made),
                                       TEST(ended_at_once),
                                       TEST(single_bytes),
                                       TEST(the_journal)};

    return cmocka_run_group_tests_name("cuts", tests, start, stop);
}
