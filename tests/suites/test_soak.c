/* Many calls over TLS connections that are kept and harmed at random (soak/chaos.py): afterwards
 * the service's journal against the client's account, and what the client's process uses then
 * against what it used in the beginning.
 *
 * UNSB_SOAK_CALLS in the environment: how many, 2000 by default. UNSB_TEST_SEED: another seed. */
#include "suite.h"
#include "unsandbox_openssl.h"
#include "service.h"
#include "resources.h"

#define RIGS 2
#define TEXT_SIZE 48

enum op { EXECUTE, RUN, ASYNC, LIST, LANGUAGES, VALIDATE, OPS };

static const char *const op_names[OPS] = {"execute", "run",       "execute_async",
                                          "list",    "languages", "validate"};

/* The client's account of a call that runs something. */
typedef struct entry {
    char hash[65]; /* of its code, which no other call has */
    bool ok;       /* it is said to have run */
    bool unsent;   /* not a byte of it was sent */
    bool refused;  /* the service is said to have refused it */
    unsigned runs; /* by the journal */
} entry;

static entry *entries;
static unsigned entry_count, calls, done[OPS], failed[OPS], waits_repeated;
static service secure, chaos;
static uint16_t relay_port;
static rig rigs[RIGS];
static unsb_result result;
static uint64_t seed;
static char out_memory[100], err_memory[100];
static struct {
    long kb, most_kb;
    unsigned descriptors, threads;
} early;

/* splitmix64 */
static unsigned draw(unsigned limit)
{
    uint64_t x = seed += 0x9E3779B97F4A7C15u;

    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return (unsigned)((x ^ x >> 31) % limit);
}

static void command(char *answer, size_t size, const char *text)
{
    int fd = loopback_connect(chaos.port);
    size_t length = strlen(text);

    assert_true(fd >= 0);
    assert_true(write(fd, text, length) == (ssize_t)length);
    if (!read_line(fd, answer, size))
        fail_msg("no answer from soak/chaos.py");
    answer[strcspn(answer, "\n")] = '\0';
    (void)close(fd);
}

/* Limits that a stalled connection reaches in a second of real time, or two. */
static void open_rig(rig *r, bool nonblocking)
{
    rig_prepare(r, ON_OPENSSL, nonblocking, relay_port);
    r->config.connect_timeout_ms = 2000 * RIG_SPEED;
    r->config.idle_timeout_ms = 1000 * RIG_SPEED;
    r->config.buffer_size = nonblocking ? 700 : sizeof r->buffer;
    rig_open(r);
}

/* What a failed call says of whether the program ran: the manual's section 5. */
static bool says_refused(int rc)
{
    return rc == UNSB_E_RESOLVE || rc == UNSB_E_CONNECT || rc == UNSB_E_CERTIFICATE ||
           (rc <= UNSB_E_BAD_REQUEST && rc != UNSB_E_SERVER && rc != UNSB_E_JOB_LOST);
}

static bool is_whole(const char *want)
{
    return strcmp(out_memory, want) == 0 && result.success && result.exit_code == 0 &&
           (result.given & UNSB_GIVEN_EXIT_CODE) != 0 && err_memory[0] == '\0';
}

/* A job that was accepted is not lost: sooner or later its outcome is told. */
static void await_job(rig *r, const char *want)
{
    char id[UNSB_JOB_ID_SIZE];
    unsigned tries;
    int rc = UNSB_PENDING;

    (void)strcpy(id, result.job_id);
    for (tries = 0; tries < 100 && rc != UNSB_OK; tries++) {
        result.out = unsb_into(out_memory, sizeof out_memory);
        result.err = unsb_into(err_memory, sizeof err_memory);
        rc = rig_end(r, unsb_job_wait(&r->client, id, 0, &result));
        if (rc == UNSB_E_NOT_FOUND || rc == UNSB_E_JOB_LOST)
            fail_msg("job %s is lost: %s", id, unsb_error_text(rc));
    }
    if (rc != UNSB_OK || !is_whole(want))
        fail_msg("job %s: %d (%s), \"%s\"", id, rc, unsb_error_text(rc), out_memory);
    waits_repeated += tries - 1;
}

static void run_something(rig *r, unsigned op)
{
    char code[TEXT_SIZE + 16], want[TEXT_SIZE];
    entry *e = &entries[entry_count];
    unsigned long moved;
    unsb_program program;
    sha s;
    int rc;

    (void)snprintf(want, sizeof want, "call %u\n", entry_count++);
    (void)snprintf(code, sizeof code, "%secho %.*s", op == RUN ? "#!/bin/sh\n" : "",
                   (int)strlen(want) - 1, want);
    sha_start(&s);
    sha_add(&s, code, strlen(code));
    sha_text(&s, e->hash);
    memset(&program, 0, sizeof program);
    program.language = op == RUN ? NULL : "sh";
    program.code = unsb_text(code);
    program.ttl_s = 10;
    result.out = unsb_into(out_memory, sizeof out_memory);
    result.err = unsb_into(err_memory, sizeof err_memory);
    moved = r->outside.moved;
    rc = rig_end(r, op == ASYNC ? unsb_execute_async(&r->client, &program, &result)
                    : op == RUN ? unsb_run(&r->client, &program, &result)
                                : unsb_execute(&r->client, &program, &result));
    e->ok = rc == UNSB_OK;
    e->unsent = r->outside.moved == moved;
    e->refused = says_refused(rc);
    done[op] += e->ok;
    failed[op] += !e->ok;
    if (e->ok && op == ASYNC)
        await_job(r, want);
    else if (e->ok && !is_whole(want))
        fail_msg("%s is UNSB_OK, but \"%s\" is not \"%s\"", op_names[op], out_memory, want);
}

static int count_item(void *context, const unsb_result *item)
{
    ++*(unsigned *)context;
    return item->language[0] == '\0' && item->job_id[0] == '\0';
}

static void ask_something(rig *r, unsigned op)
{
    unsb_key key;
    unsigned items = 0;
    int rc;

    result.on_item = count_item;
    result.context = &items;
    if (op == LIST)
        rc = rig_end(r, unsb_job_list(&r->client, &result));
    else if (op == LANGUAGES)
        rc = rig_end(r, unsb_languages(&r->client, &result));
    else
        rc = rig_end(r, unsb_key_validate(&r->client, &key, &result));
    if (rc == UNSB_OK && ((op == LANGUAGES && items == 0) || (op == VALIDATE && !key.valid)))
        fail_msg("%s is UNSB_OK, but tells nothing", op_names[op]);
    done[op] += rc == UNSB_OK;
    failed[op] += rc != UNSB_OK;
}

static void make_call(void)
{
    static const uint8_t ops[] = {EXECUTE, EXECUTE, EXECUTE,   EXECUTE,   RUN,      ASYNC,
                                  LIST,    LIST,    LANGUAGES, LANGUAGES, VALIDATE, VALIDATE};
    rig *r = &rigs[draw(RIGS)];
    unsigned op = ops[draw(COUNT(ops))];

    r->client.config.retries = (uint8_t)draw(4);
    memset(&result, 0, sizeof result);
    if (op < LIST)
        run_something(r, op);
    else
        ask_something(r, op);
}

static void soak(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < calls; i++) {
        if (i == calls / 5) {
            early.kb = memory_kb();
            early.descriptors = descriptors();
            early.threads = threads_alive();
            peak_forget();
        }
        make_call();
    }
    early.most_kb = peak_kb();
}

/* Some of it is let go before the comparison, as connections may be open now or not. */
static void it_does_not_grow(void **state)
{
    unsigned open = 0, i;

    (void)state;
    for (i = 0; i < RIGS; i++)
        open += unsb_posix_fd(&rigs[i].tcp) >= 0;
    figures("%ld KB of memory after a fifth of the calls, at most %ld since then; %u and %u "
            "descriptors, %u and %u threads",
            early.kb, early.most_kb, early.descriptors, descriptors(), early.threads,
            threads_alive());
    assert_true(descriptors() - open <= early.descriptors);
    assert_true(early.descriptors <= descriptors() - open + RIGS);
    assert_true(threads_alive() <= early.threads);
    if (!SANITIZED)
        assert_true(early.most_kb - early.kb <= 512);
}

/* Notes the runs of each call. */
static unsigned read_journal(void)
{
    char *text = read_text(scratch("journal")), *line, *end;
    unsigned runs = 0, i;

    assert_non_null(text);
    for (line = text; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        assert_true(end - line > 64);
        for (i = 0; i < entry_count && memcmp(entries[i].hash, end - 64, 64) != 0; i++)
            continue;
        if (i == entry_count)
            fail_msg("the journal has what was never asked for");
        entries[i].runs++;
        runs++;
    }
    free(text);
    return runs;
}

static void the_accounts_agree(void **state)
{
    char fates[256];
    unsigned i, runs, twice = 0, untrue = 0, unknown = 0, lost = 0;

    (void)state;
    for (i = 0; i < RIGS; i++)
        rig_close(&rigs[i]);
    command(fates, sizeof fates, "settle\n");
    service_stop(&chaos);
    service_stop(&secure);
    runs = read_journal();
    for (i = 0; i < entry_count; i++) {
        const entry *e = &entries[i];
        twice += e->runs > 1;
        untrue += e->ok && e->runs != 1;
        lost += e->runs != 0 && (e->unsent || e->refused);
        unknown += !e->ok && e->runs != 0;
    }
    for (i = 0; i < OPS; i++)
        figures("%s: %u done, %u failed", op_names[i], done[i], failed[i]);
    figures("connections: %s", fates);
    figures("%u runs asked for, %u in the journal: %u ran twice, %u are told of and did not run, "
            "%u ran that are told not to have; %u failed, may have run, and did; waits for "
            "jobs were repeated %u times",
            entry_count, runs, twice, untrue, lost, unknown, waits_repeated);
    assert_int_equal(twice, 0);
    assert_int_equal(untrue, 0);
    assert_int_equal(lost, 0);
    /* it was no soak unless much went well, and much did not */
    for (i = 0; i < OPS; i++)
        assert_true(done[i] > failed[i]);
    assert_true(failed[EXECUTE] != 0 && unknown != 0);
}

static int start(void **state)
{
    const char *given = getenv("UNSB_SOAK_CALLS"), *given_seed = getenv("UNSB_TEST_SEED");
    const char *argv[] = {"python3", "-B", "soak/chaos.py", NULL, NULL, NULL};
    char port[8], number[24], answer[16];
    unsigned i;

    (void)state;
    calls = given != NULL ? (unsigned)strtoul(given, NULL, 10) : 2000;
    assert_true(calls >= 500);
    seed = given_seed != NULL ? strtoull(given_seed, NULL, 0) : 20251;
    figures("%u calls, seed %llu", calls, (unsigned long long)seed);
    entries = (entry *)calloc(calls, sizeof *entries);
    assert_non_null(entries);
    for (i = 0; i < calls; i++)
        entries[i].hash[0] = '-'; /* so that this memory is in use from the beginning */
    service_start(&secure, 1, "--journal", scratch("journal"), NULL);
    (void)snprintf(port, sizeof port, "%u", secure.port);
    (void)snprintf(number, sizeof number, "%u", draw(1000000000));
    argv[3] = port;
    argv[4] = number;
    service_start_python(&chaos, argv);
    command(answer, sizeof answer, "port\n");
    relay_port = (uint16_t)strtoul(answer, NULL, 10);
    for (i = 0; i < RIGS; i++)
        open_rig(&rigs[i], i != 0);
    return 0;
}

static int stop(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < RIGS; i++)
        rig_close(&rigs[i]);
    free(entries);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(soak), cmocka_unit_test(it_does_not_grow),
                                       cmocka_unit_test(the_accounts_agree)};

    return cmocka_run_group_tests_name("soak", tests, start, stop);
}
