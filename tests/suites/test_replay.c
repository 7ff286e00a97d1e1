/* Every scripted conversation, replayed with a fault at every call that leaves the library: of the
 * transport, of sources and of sinks. One fault at a time, and two. What must follow is told from
 * what the peer saw: the right code, one execution at the most, sinks with a beginning of the truth
 * and nothing else, and a client that serves the next call.
 *
 * Single faults are tried at every call; pairs, and which byte is corrupted how, are drawn from a
 * seed that is printed. */
#include "script_io.h"
#include "guard.h"

/* ======================================================================
 * >>faults
 * ====================================================================== */

enum { AT_CONNECT, AT_SEND, AT_RECV, AT_WAIT, AT_SOURCE, AT_SINK, PLACES };

enum fault {
    NO_FAULT,
    FAILS,         /* UNSB_E_IO; the connection is dead */
    CLOSES,        /* UNSB_E_CLOSED, likewise */
    REFUSES,       /* UNSB_E_CONNECT */
    FAILS_OTHERLY, /* with a code of the port's own, or of a callback's own */
    FAILS_HALF,    /* nothing more can be sent, but something might come */
    ABORTS,        /* UNSB_E_ABORTED, once */
    INTERRUPTS,    /* UNSB_E_ABORTED from every call until the operation is over */
    STALLS,        /* nothing moves on this connection any more */
    NOT_NOW,       /* just once */
    ONE_BYTE,      /* no more in this call */
    EARLY_TIMEOUT, /* UNSB_E_TIMEOUT from wait before the time is over */
    CORRUPTS,      /* a byte that is received */
    JUMPS_40_S,    /* the clock: more than connecting may take, */
    JUMPS_130_S,   /* more than anything may take, */
    JUMPS_2_31,
    JUMPS_BACK,   /* by 1 ms, though it should not */
    STOPS,        /* the callback calls unsb_abort() */
    LEAVES,       /* longjmp() */
    REFUSES_DATA, /* the sink returns a positive number */
    ENDS_EARLY,   /* the source returns 0 */
    GIVES_MORE,   /* it says that it gave a byte more than there was room for */
    FAILS_ODDLY,  /* the callback returns a negative number that is no code of its own */
    SWELLS,       /* the source gives other bytes, which take more of the request, */
    SHRINKS,      /* or less */
    FAULTS
};

static const char *const fault_names[FAULTS] = {
    "none",          "fails",          "closes",      "refuses",    "fails otherly",
    "fails half",    "aborts",         "interrupts",  "stalls",     "not now",
    "one byte",      "early time-out", "corrupts",    "jumps 40 s", "jumps 130 s",
    "jumps 2^31 ms", "jumps back",     "stops",       "leaves",     "refuses data",
    "ends early",    "gives more",     "fails oddly", "swells",     "shrinks"};

/* What can go wrong where: NO_FAULT ends each list. */
static const uint8_t faults_at[PLACES][16] = {
    {FAILS, REFUSES, FAILS_OTHERLY, ABORTS, INTERRUPTS, STALLS, NOT_NOW, JUMPS_40_S, JUMPS_130_S,
     JUMPS_2_31, JUMPS_BACK},
    {FAILS, CLOSES, FAILS_OTHERLY, FAILS_HALF, ABORTS, INTERRUPTS, STALLS, NOT_NOW, ONE_BYTE,
     JUMPS_40_S, JUMPS_130_S, JUMPS_2_31, JUMPS_BACK},
    {FAILS, CLOSES, FAILS_OTHERLY, INTERRUPTS, STALLS, NOT_NOW, ONE_BYTE, CORRUPTS, JUMPS_40_S,
     JUMPS_130_S, JUMPS_2_31, JUMPS_BACK},
    {FAILS, FAILS_OTHERLY, ABORTS, INTERRUPTS, NOT_NOW, EARLY_TIMEOUT, JUMPS_40_S, JUMPS_130_S,
     JUMPS_2_31, JUMPS_BACK},
    {FAILS_OTHERLY, FAILS_ODDLY, ENDS_EARLY, GIVES_MORE, SWELLS, SHRINKS, ONE_BYTE, STOPS, LEAVES,
     JUMPS_40_S, JUMPS_130_S, JUMPS_2_31, JUMPS_BACK},
    {FAILS_OTHERLY, FAILS_ODDLY, REFUSES_DATA, STOPS, LEAVES, JUMPS_40_S, JUMPS_130_S, JUMPS_2_31,
     JUMPS_BACK}};

#define OWN_CODE (UNSB_E_USER - 7)

static uint32_t jump_of(unsigned fault)
{
    switch (fault) {
    case JUMPS_40_S:
        return 40000;
    case JUMPS_130_S:
        return 130000;
    case JUMPS_2_31:
        return 0x80000000u;
    case JUMPS_BACK:
        return 0xFFFFFFFFu;
    default:
        return 0;
    }
}

/* What the call itself returns, or what that comes to. */
static int code_of(unsigned fault, unsigned place)
{
    switch (fault) {
    case FAILS:
    case FAILS_HALF:
        return UNSB_E_IO;
    case CLOSES:
        return UNSB_E_CLOSED;
    case REFUSES:
        return UNSB_E_CONNECT;
    case FAILS_OTHERLY:
        return OWN_CODE;
    case ABORTS:
    case INTERRUPTS:
    case STOPS:
        return UNSB_E_ABORTED;
    case STALLS:
    case EARLY_TIMEOUT:
        return UNSB_E_TIMEOUT;
    case REFUSES_DATA:
        return UNSB_E_SINK;
    case ENDS_EARLY:
    case SWELLS:
    case SHRINKS:
        return UNSB_E_SOURCE;
    case GIVES_MORE:
    case FAILS_ODDLY:
        return place == AT_SINK ? UNSB_E_SINK : UNSB_E_SOURCE;
    default:
        return UNSB_OK;
    }
}

/* ======================================================================
 * >>conversations
 * ====================================================================== */

enum operation {
    EXECUTE,
    RUN,
    EXECUTE_ASYNC,
    RUN_ASYNC,
    JOB_GET,
    JOB_WAIT,
    JOB_LIST,
    JOB_CANCEL,
    LANGUAGES,
    KEY_VALIDATE,
    CALL,
    CALL_RESULT,
    CALL_OUTCOME,
    WAIT_LATE,      /* the job is not registered yet, */
    WAIT_UNKNOWN,   /* or never was; */
    WAIT_LOST,      /* it was there, and is no more; */
    WAIT_RESTARTED, /* the service fails, and then knows nothing of it; */
    WAIT_SILENT,    /* nobody answers */
    EXECUTE_JOB,    /* these turn into jobs */
    RUN_JOB,
    CALL_JOB,
    EXECUTE_LATE,
    RUN_LOST,
    CALL_LOST,
    EXECUTE_SILENT,
    OPERATIONS
};

static const char *const operation_names[OPERATIONS] = {"execute",
                                                        "run",
                                                        "execute_async",
                                                        "run_async",
                                                        "job_get",
                                                        "job_wait",
                                                        "job_list",
                                                        "job_cancel",
                                                        "languages",
                                                        "key_validate",
                                                        "request",
                                                        "request result",
                                                        "request outcome",
                                                        "job_wait late",
                                                        "job_wait unknown",
                                                        "job_wait lost",
                                                        "job_wait of a restarted service",
                                                        "job_wait silent",
                                                        "execute, a job",
                                                        "run, a job",
                                                        "request, a job",
                                                        "execute, a job registered late",
                                                        "run, a lost job",
                                                        "request, a lost job",
                                                        "execute, a silent job"};

enum { BY_LENGTH, BY_CHUNKS, BY_END };
enum { FRESH, KEPT, RETRIED };

typedef struct conversation {
    uint8_t operation;
    bool polled, is_signed, live; /* `live`: the service's other dialect */
    uint8_t framing, start;
} conversation;

#define CONVERSATIONS (OPERATIONS * 2u * 2u * 2u * 3u * 3u)

static conversation conversation_of(unsigned n)
{
    conversation c;

    c.operation = (uint8_t)(n % OPERATIONS);
    n /= OPERATIONS;
    c.polled = n % 2 != 0;
    n /= 2;
    c.is_signed = UNSB_SIGNING && n % 2 != 0;
    n /= 2;
    c.live = n % 2 != 0;
    n /= 2;
    c.framing = (uint8_t)(n % 3);
    c.start = (uint8_t)(n / 3);
    return c;
}

/* What an execution tells, in both dialects. The escapes make a piece of its own each. */
#define OUTCOME "\"stdout\":\"the\\ndata\",\"stderr\":\"some\",\"exit_code\":3"
#define FILE_PAGE "\"artifacts\":[{\"content_base64\":\"YW4gYXJ0aWZhY3Q=\",\"filename\":\"a.out\"}]"
#define FILE_LIVE                                                                                  \
    "\"artifact\":{\"type\":\"base64\",\"name\":\"a.out\",\"data\":\"YW4gYXJ0aWZhY3Q=\"}"

static const char *const outcome_body[2] = {
    "{\"success\":false,\"job_id\":\"j1\"," OUTCOME "," FILE_PAGE "}",
    "{\"job_id\":\"j1\",\"success\":false," OUTCOME "," FILE_LIVE ",\"error\":null}"};
static const char *const pending_body[2] = {
    "{\"job_id\":\"j1\",\"status\":\"pending\"}",
    "{\"job_id\":\"j1\",\"status\":\"pending\",\"message\":\"queued\"}"};
static const char *const running_body[2] = {
    "{\"job_id\":\"j1\",\"status\":\"running\",\"created_at\":1700000000}",
    "{\"status\":\"running\",\"created_at\":\"2023-11-14T22:13:20Z\",\"job_id\":\"j1\"}"};
static const char *const completed_body[2] = {
    "{\"job_id\":\"j1\",\"status\":\"completed\",\"result\":{" OUTCOME "," FILE_PAGE "}}",
    "{\"job_id\":\"j1\",\"status\":\"completed\"," OUTCOME "," FILE_LIVE "}"};
static const char *const cancelled_body[2] = {
    "{\"message\":\"stopped\",\"job_id\":\"j1\",\"result\":{" OUTCOME "}}",
    "{\"job_id\":\"j1\",\"status\":\"cancelled\"," OUTCOME "}"};
static const char *const list_body[2] = {
    "{\"jobs\":[{\"job_id\":\"one\",\"status\":\"running\"},{\"job_id\":\"two\"}]}",
    "[{\"job_id\":\"one\",\"status\":\"running\"},{\"job_id\":\"two\"}]"};
static const char *const languages_body[2] = {
    "{\"languages\":[\"c\",\"python\"]}",
    "{\"languages\":[\"c\",\"python\"],\"aliases\":{\"py\":\"python\"},\"count\":2}"};
static const char *const key_body[2] = {
    "{\"valid\":true,\"tier\":\"one\",\"rate_limit\":7}",
    "{\"valid\":true,\"tier\":1,\"rate_per_minute\":7,\"status\":\"active\"}"};

#define PLAIN_BODY "a body as it is, of no particular form"
#define BUSY_BODY "{\"error\":\"busy\",\"message\":\"later\"}"

#define LOST_BODY "{\"error\":\"not_found\",\"message\":\"there is no such job\"}"

/* What the sinks see in the end: stdout, stderr, and files or items. */
typedef struct truth {
    const char *out, *err, *seen;
} truth;

static truth truth_of(const conversation *c)
{
    static const truth outcome = {"the\ndata", "some",
                                  UNSB_ARTIFACTS ? "an artifact|a.out;" : ""},
                       nothing = {"", "", ""}, partial = {"the\ndata", "some", ""},
                       list = {"", "", "one;two;"}, page = {"", "", "c;python;"},
                       live = {"", "", "c;python;py;"}, plain = {PLAIN_BODY, "", ""};

    switch (c->operation) {
    case EXECUTE_ASYNC:
    case RUN_ASYNC:
    case KEY_VALIDATE:
    case WAIT_UNKNOWN:
    case WAIT_LOST:
    case WAIT_RESTARTED:
    case WAIT_SILENT:
    case RUN_LOST:
    case CALL_LOST:
    case EXECUTE_SILENT:
        return nothing;
    case JOB_LIST:
        return list;
    case LANGUAGES:
        return c->live ? live : page;
    case JOB_CANCEL:
        return partial;
    case CALL:
        return plain;
    default:
        return outcome;
    }
}

static bool is_wait(unsigned operation)
{
    return operation == JOB_WAIT || (operation >= WAIT_LATE && operation <= WAIT_SILENT);
}

static bool turns_into_job(unsigned operation)
{
    return operation >= EXECUTE_JOB;
}

/* May the operation's own request be repeated? */
static bool is_safe(unsigned operation)
{
    return operation == JOB_GET || operation == JOB_LIST || operation == LANGUAGES ||
           operation == CALL || is_wait(operation);
}

/* What goes wrong at first in a conversation with retries: 0: the connection, 1: 503, 2: 429. After
 * a 503 a job that is not registered yet would count as lost. */
static unsigned trouble_of(const conversation *c)
{
    unsigned n = (c->operation + c->framing) % 3u;

    return n == 1 && c->operation == WAIT_LATE ? 2 : n;
}

/* Has the service no outcome to tell, as it forgets the job or never had it? */
static bool is_lost(unsigned operation)
{
    return operation == WAIT_UNKNOWN || operation == WAIT_LOST || operation == WAIT_RESTARTED ||
           operation == RUN_LOST || operation == CALL_LOST;
}

static bool is_silent(unsigned operation)
{
    return operation == WAIT_SILENT || operation == EXECUTE_SILENT;
}

/* Can it be had with the options as they are? */
static bool is_possible(const conversation *c)
{
    static const bool is_there[OPERATIONS] = {
        true,         UNSB_RUN,     UNSB_JOBS,  UNSB_RUN && UNSB_JOBS,     UNSB_JOBS,
        UNSB_JOBS,    UNSB_LISTS,   UNSB_JOBS,  UNSB_LISTS,                UNSB_KEYS,
        UNSB_REQUEST, UNSB_REQUEST, UNSB_REQUEST, UNSB_JOBS,               UNSB_JOBS,
        UNSB_JOBS,    UNSB_JOBS,    UNSB_JOBS,  UNSB_JOBS,                 UNSB_RUN && UNSB_JOBS,
        UNSB_REQUEST && UNSB_JOBS,  UNSB_JOBS,  UNSB_RUN && UNSB_JOBS,
        UNSB_REQUEST && UNSB_JOBS,  UNSB_JOBS};

    return is_there[c->operation] && (UNSB_RETRIES || c->start != RETRIED);
}

/* ======================================================================
 * >>wire  The scripted transport, with the faults before it, and the callbacks
 * ====================================================================== */

#define CALLS_MAX 500
#define SEEN_MAX 128

/* What the peer and the callbacks had seen when a fault struck. */
typedef struct strike {
    uint8_t fault;
    uint8_t place;
    bool known;   /* it struck */
    bool fresh;   /* the connection was made for this request, or was being made */
    bool polling; /* a job was being asked for */
    bool paused;  /* between two requests */
    bool delivered;
    bool changed; /* the source gave what takes more or less of the request */
    bool refused; /* while a request was written that no peer will take: there is another one */
    size_t taken; /* bytes of the request, */
    size_t given; /* and of its answer, */
    size_t head;  /* the head of which has so many */
    int status;   /* of that */
} strike;

static struct {
    script_io io;
    io_script scripts[2];
    conversation talk;
    unsb_client *client; /* these are as large as they must be, for sanitizers */
    unsb_result *result;
    char *buffer;
    size_t buffer_size;
    unsb_key key;

    unsigned operation;       /* under way */
    unsigned calls;           /* out of the library */
    uint8_t place[CALLS_MAX]; /* of each */
    unsigned at[2];           /* the calls at which faults strike, counted from 1; 0: none */
    strike strikes[2];
    uint64_t random; /* what is corrupted, and how */

    /* of the present connection and request */
    bool stalled, interrupted, fresh, over, delivered;
    size_t taken, given, head;
    int status;

    /* of the operation */
    int begun;         /* requests other than GET of which the peer took anything, less those that
                          it refused */
    unsigned executed; /* such that were whole */
    unsigned refusals; /* that are still to be given */
    unsigned polls;
    bool about_it; /* it is the one that the conversation is about; what its request is: */
    bool recording, body_differs;
    char body[400];
    bool pending, polling;
    bool known; /* an answer has told that there is the job, or was: 2xx, or 5xx */

    char out_text[SEEN_MAX], err_text[SEEN_MAX], name[16];
    char seen[3][SEEN_MAX]; /* by the sinks of stdout and stderr, by on_artifact and on_item */
    size_t seen_size[3];
} w;

static jmp_buf away;

static void new_page(void)
{
    w.over = w.fresh = w.delivered = false;
    w.taken = w.given = 0;
    w.head = SIZE_MAX;
    w.status = 0;
}

static void note_strike(strike *s, unsigned place, int interest)
{
    s->known = true;
    s->place = (uint8_t)place;
    s->fresh = w.fresh;
    s->polling = w.polling;
    s->paused = place == AT_WAIT && interest == 0;
    s->delivered = w.delivered;
    s->taken = w.taken;
    s->given = w.given;
    s->head = w.head;
    s->status = w.status;
    s->changed = false;
    s->refused = w.scripts[0].connect_error != 0 && w.io.count == 0;
}

/* Each call out of the library comes here first. Returns the fault that strikes it. */
static unsigned called(unsigned place, int interest)
{
    unsigned i, fault = NO_FAULT;

    if (place < AT_SOURCE && w.over) /* an answer was read: this belongs to another request */
        new_page();
    if (w.calls < CALLS_MAX)
        w.place[w.calls] = (uint8_t)place;
    w.calls++;
    for (i = 0; i < 2; i++)
        if (w.calls == w.at[i]) {
            fault = w.strikes[i].fault;
            note_strike(&w.strikes[i], place, interest);
        }
    w.io.now_ms += jump_of(fault);
    w.interrupted = w.interrupted || fault == INTERRUPTS;
    w.stalled = w.stalled || fault == STALLS;
    return w.interrupted ? (unsigned)INTERRUPTS : fault;
}

static bool kills(unsigned fault)
{
    return fault == FAILS || fault == CLOSES || fault == REFUSES || fault == FAILS_OTHERLY;
}

static bool aborts(unsigned fault)
{
    return fault == ABORTS || fault == INTERRUPTS;
}

static int wire_connect(void *context, const char *host, uint16_t port)
{
    unsigned fault;

    new_page();
    w.fresh = true;
    fault = called(AT_CONNECT, 0);
    if (kills(fault) || aborts(fault)) {
        w.io.moves++;
        w.io.must_close = true;
        return code_of(fault, AT_CONNECT);
    }
    if (fault == NOT_NOW || w.stalled)
        w.io.connect_pending++;
    return io_connect(context, host, port);
}

static int wire_send(void *context, const void *data, size_t size)
{
    io_connection *c = io_last(&w.io);
    unsigned fault = called(AT_SEND, 0);
    int n;

    if (fault == FAILS_HALF || aborts(fault)) {
        c->send_failed = true;
        w.io.moves++;
        return code_of(fault, AT_CONNECT);
    }
    if (kills(fault) && c->broken == 0)
        c->broken = code_of(fault, AT_CONNECT);
    if (fault == NOT_NOW || (w.stalled && c->broken == 0)) {
        w.io.moves++;
        return 0;
    }
    n = io_send(context, data, fault == ONE_BYTE ? 1 : size);
    if (fault == FAILS) /* the reason is that of the send; the other way, it just ends */
        c->broken = UNSB_E_CLOSED;
    if (n > 0 && w.taken == 0 && *(const char *)data != 'G')
        w.begun++;
    if (n > 0)
        w.taken += (size_t)n;
    return n;
}

static void note_reply(const io_connection *c)
{
    size_t size;
    const char *text = io_reply_text(c, &size);

    if (c->requests <= c->reply || text == NULL)
        return;
    w.head = (size_t)(strstr(text, "\r\n\r\n") - text) + 4;
    w.status = (int)strtol(text + 9, NULL, 10);
}

static int wire_recv(void *context, void *data, size_t size)
{
    io_connection *c = io_last(&w.io);
    unsigned fault = called(AT_RECV, 0);
    uint8_t *bytes = (uint8_t *)data;
    int n;

    if (aborts(fault)) {
        w.io.moves++;
        return code_of(fault, AT_CONNECT);
    }
    if (kills(fault) && c->broken == 0)
        c->broken = code_of(fault, AT_CONNECT);
    if (fault == NOT_NOW || (w.stalled && c->broken == 0)) {
        w.io.moves++;
        return 0;
    }
    note_reply(c);
    n = io_recv(context, data, fault == ONE_BYTE ? 1 : size);
    if (n > 0 && fault == CORRUPTS)
        bytes[w.random % (unsigned)n] ^= (uint8_t)(1 + (w.random >> 32) % 255);
    if (n > 0)
        w.given += (size_t)n;
    /* what ends with the connection is over when that has ended */
    w.over = w.given != 0 && c->reply == c->requests &&
             (w.talk.framing != BY_END || w.status >= 300 || n < 0);
    if (w.polling && w.status >= 500 && w.given >= w.head)
        w.known = true;
    if (w.polling && w.over && w.status == 200 && (n >= 0 || n == UNSB_E_CLOSED))
        w.known = true;
    w.polling = w.polling || (w.over && w.pending);
    return n;
}

static void wire_close(void *context)
{
    w.stalled = false;
    io_close(context);
}

/* Lets time pass until something is ready, which on a connection that has stalled nothing is. */
static int wire_idle(int interest, uint32_t timeout_ms)
{
    if (!w.stalled || interest == 0)
        return io_idle(&w.io, interest, timeout_ms);
    if (timeout_ms == UNSB_FOREVER)
        fail_msg("waits for ever");
    w.io.now_ms += timeout_ms;
    return UNSB_E_TIMEOUT;
}

static int wire_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsigned fault = called(AT_WAIT, interest);

    (void)context;
    if (kills(fault) || aborts(fault) || fault == EARLY_TIMEOUT)
        return code_of(fault, AT_CONNECT);
    return fault == NOT_NOW ? UNSB_OK : wire_idle(interest, timeout_ms);
}

static const unsb_transport_class wire_blocking = {wire_connect, wire_send, wire_recv, wire_close,
                                                   wire_wait,    NULL,      NULL};
static const unsb_transport_class wire_polled = {wire_connect, wire_send, wire_recv, wire_close,
                                                 NULL,         NULL,      NULL};

/* ---- the callbacks ---- */

/* What the fault makes of a source that would return `size`, or of a sink: 0. */
static int callback(unsigned fault, int size)
{
    switch (fault) {
    case FAILS_OTHERLY:
        return OWN_CODE;
    case REFUSES_DATA:
        return size == 0 ? 5 : size;
    case ENDS_EARLY:
        return 0;
    case GIVES_MORE:
        return size + 1;
    case FAILS_ODDLY:
        return UNSB_E_USER + 1;
    case LEAVES:
        longjmp(away, 1);
        return 0; /* for compilers that do not know that it does not return */
    case STOPS:
        unsb_abort(w.client);
        return size;
    default:
        return size;
    }
}

static int see(unsigned channel, const void *data, size_t size)
{
    assert_true(w.seen_size[channel] + size < SEEN_MAX);
    memcpy(w.seen[channel] + w.seen_size[channel], data, size);
    w.seen_size[channel] += size;
    w.seen[channel][w.seen_size[channel]] = '\0';
    w.delivered = w.delivered || w.status < 300;
    return callback(called(AT_SINK, 0), 0);
}

static int see_output(void *context, const void *data, size_t size)
{
    unsigned channel = context == w.seen[1];

    if (size == 0) /* start over */
        w.seen_size[channel] = 0;
    return see(channel, data, size);
}

static int see_artifact(void *context, const unsb_artifact *artifact)
{
    char text[32];

    (void)context;
    if (!artifact->end)
        return see(2, artifact->data, artifact->size);
    snprintf(text, sizeof text, "%s|%s;", artifact->failed ? "!" : "", artifact->filename);
    return see(2, text, strlen(text));
}

static int see_item(void *context, const unsb_result *item)
{
    char text[64];

    (void)context;
    snprintf(text, sizeof text, "%.20s;", w.operation == JOB_LIST ? item->job_id : item->language);
    return see(2, text, strlen(text));
}

#define CODE "#!/usr/bin/env python3\nprint(open('data.bin','rb').read())\n"
#define FILE_SIZE 70

/* Does the code's length in the request depend on what it is? */
static bool is_escaped(unsigned operation)
{
    return operation == EXECUTE || operation == EXECUTE_ASYNC || operation == EXECUTE_JOB ||
           operation == EXECUTE_LATE || operation == EXECUTE_SILENT;
}

/* A line feed takes two characters in JSON, U+0001 six, a blank one. */
static void change(unsigned fault, char *data, size_t size)
{
    strike *s = &w.strikes[w.calls != w.at[0]];
    size_t i;

    if (!is_escaped(w.operation))
        return;
    for (i = 0; i < size; i++)
        if (fault == SWELLS || data[i] == '\n') {
            data[i] = fault == SWELLS ? '\1' : ' ';
            s->changed = true;
        }
}

static int read_code(void *context, unsb_size offset, void *data, size_t size)
{
    unsigned fault = called(AT_SOURCE, 0);
    size_t n = sizeof CODE - 1 - (size_t)offset;

    (void)context;
    assert_true(offset < sizeof CODE - 1 && size != 0 && size <= n); /* no more than announced */
    n = fault == ONE_BYTE ? 1 : size;
    memcpy(data, &CODE[offset], n);
    if (fault == SWELLS || fault == SHRINKS)
        change(fault, (char *)data, n);
    return callback(fault, (int)n);
}

static int read_file(void *context, unsb_size offset, void *data, size_t size)
{
    unsigned fault = called(AT_SOURCE, 0);
    size_t i, n = fault == ONE_BYTE ? 1 : size > 50 && fault != GIVES_MORE ? 50 : size;

    (void)context;
    assert_true(offset < FILE_SIZE && size != 0 && size <= FILE_SIZE - offset);
    for (i = 0; i < n; i++)
        ((uint8_t *)data)[i] = (uint8_t)(offset + i);
    return callback(fault, (int)n);
}

/* ---- the peer ---- */

/* A whole response, framed as the conversation has it. It lives until 64 KB of others were made. */
static const char *framed(int status, const char *body)
{
    static char arena[65536];
    static size_t used;
    size_t size = strlen(body), half = size / 2, room = size + 120;
    char *text;

    if (used + room > sizeof arena)
        used = 0;
    text = arena + used;
    used += room;
    if (w.talk.framing == BY_CHUNKS)
        snprintf(text, room,
                 "HTTP/1.1 %d Fine\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n%.*s\r\n"
                 "%zX;x=y\r\n%s\r\n0\r\n\r\n",
                 status, half, (int)half, body, size - half, body + half);
    else if (w.talk.framing == BY_END)
        snprintf(text, room, "HTTP/1.%d %d Fine\r\nConnection: close\r\n\r\n%s", w.talk.live,
                 status, body);
    else
        snprintf(text, room, "HTTP/1.1 %d Fine\r\nContent-Length: %zu\r\n\r\n%s", status, size,
                 body);
    return text;
}

/* What the service says of the job when it is asked for the n-th time, from 1 on. NULL: nothing. */
static const char *answer_poll(unsigned n)
{
    unsigned live = w.talk.live;
    bool gone = false;

    switch (w.operation) {
    case WAIT_SILENT:
    case EXECUTE_SILENT:
        return NULL;
    case WAIT_RESTARTED:
        if (n == 1)
            return io_reply(500, "", BUSY_BODY);
        gone = true;
        break;
    case WAIT_UNKNOWN:
        gone = true;
        break;
    case WAIT_LOST:
    case RUN_LOST:
    case CALL_LOST:
        gone = n > 1;
        break;
    case WAIT_LATE:
    case EXECUTE_LATE:
        gone = n < 3;
        n -= 2;
        break;
    default:
        break;
    }
    if (gone)
        return io_reply(404, "", LOST_BODY);
    return framed(200, n < 3 ? running_body[live] : completed_body[live]);
}

/* A request's body is the same whenever it is sent, whatever happens meanwhile. */
static void check_request(const char *request)
{
    const char *body = strstr(request, "\r\n\r\n") + 4;
    size_t size = strlen(body);

    if (w.strikes[0].changed || w.strikes[1].changed)
        return;
    if (w.recording) {
        assert_true(size < sizeof w.body);
        memcpy(w.body, body, size + 1);
    }
    w.body_differs = w.body_differs || strcmp(body, w.body) != 0;
}

static const char *answer(const char *request)
{
    unsigned live = w.talk.live, operation = w.operation;
    bool is_poll = strncmp(request, "GET /jobs/", 10) == 0 && operation != JOB_GET &&
                   !(is_wait(operation) && w.refusals != 0);

    if (!is_poll && w.about_it)
        check_request(request);
    if (!is_poll && w.refusals != 0) {
        w.refusals--;
        w.begun -= request[0] != 'G';
        return trouble_of(&w.talk) == 1 ? io_reply(503, "", BUSY_BODY)
                                        : io_reply(429, "Retry-After: 1\r\n", BUSY_BODY);
    }
    if (is_poll) {
        if (strncmp(request, "GET /jobs/j1 ", 13) != 0) /* its id was corrupted */
            return io_reply(404, "", "{}");
        return answer_poll(++w.polls);
    }
    w.executed += request[0] != 'G';
    switch (operation) {
    case EXECUTE_ASYNC:
    case RUN_ASYNC:
    case EXECUTE_JOB:
    case RUN_JOB:
    case CALL_JOB:
    case EXECUTE_LATE:
    case RUN_LOST:
    case CALL_LOST:
    case EXECUTE_SILENT:
        w.pending = turns_into_job(operation);
        return framed(live ? 200 : 202, pending_body[live]);
    case JOB_GET:
        return framed(200, completed_body[live]);
    case JOB_LIST:
        return framed(200, list_body[live]);
    case JOB_CANCEL:
        return framed(200, cancelled_body[live]);
    case LANGUAGES:
        return framed(200, languages_body[live]);
    case KEY_VALIDATE:
        return framed(200, key_body[live]);
    case CALL:
        return framed(200, PLAIN_BODY);
    default:
        return framed(200, outcome_body[live]);
    }
}

/* ======================================================================
 * >>steps
 * ====================================================================== */

#define LEFT 2 /* a callback did not return */

static int begin_program(unsigned operation, unsb_program *program, unsb_file *file)
{
    static const unsb_env env = {"NAME", "value"};

    program->code.size = sizeof CODE - 1;
    program->code.read = read_code;
    program->env = &env;
    program->env_count = 1;
    if (operation == RUN || operation == RUN_JOB || operation == RUN_LOST)
        return unsb_run(w.client, program, w.result);
    if (operation == RUN_ASYNC)
        return unsb_run_async(w.client, program, w.result);
    program->language = "python";
    program->return_artifact = true;
    program->files = file;
    program->file_count = 1;
    file->name = "data.bin";
    file->source.size = FILE_SIZE;
    file->source.read = read_file;
    if (operation == EXECUTE_ASYNC)
        return unsb_execute_async(w.client, program, w.result);
    return unsb_execute(w.client, program, w.result);
}

static int begin_call(unsigned operation, unsb_call *call)
{
    static const unsb_header header = {"X-Sudo-OTP", "123456"};

    call->method = operation == CALL ? "GET" : "POST";
    call->path = "/sessions/s1/execute";
    call->headers = &header;
    call->header_count = 1;
    if (operation != CALL) {
        call->body.size = sizeof CODE - 1;
        call->body.read = read_code;
        call->answer = operation == CALL_RESULT ? UNSB_ANSWER_RESULT : UNSB_ANSWER_OUTCOME;
    }
    return unsb_request(w.client, call, w.result);
}

static int begin(unsigned operation)
{
    static unsb_program program;
    static unsb_file file;
    static unsb_call call;

    memset(&program, 0, sizeof program);
    memset(&file, 0, sizeof file);
    memset(&call, 0, sizeof call);
    switch (operation) {
    case JOB_GET:
        return unsb_job_get(w.client, "j1", w.result);
    case JOB_WAIT:
    case WAIT_LATE:
    case WAIT_UNKNOWN:
    case WAIT_LOST:
    case WAIT_RESTARTED:
    case WAIT_SILENT:
        return unsb_job_wait(w.client, "j1", 0, w.result);
    case JOB_LIST:
        return unsb_job_list(w.client, w.result);
    case JOB_CANCEL:
        return unsb_job_cancel(w.client, "j1", w.result);
    case LANGUAGES:
        return unsb_languages(w.client, w.result);
    case KEY_VALIDATE:
        return unsb_key_validate(w.client, &w.key, w.result);
    case CALL:
    case CALL_RESULT:
    case CALL_OUTCOME:
    case CALL_JOB:
    case CALL_LOST:
        return begin_call(operation, &call);
    default:
        return begin_program(operation, &program, &file);
    }
}

static void clear_step(unsigned operation)
{
    unsb_result *r = w.result;

    spoil_result(r);
    r->out = unsb_into(w.out_text, sizeof w.out_text);
    r->err = unsb_into(w.err_text, sizeof w.err_text);
    r->artifact_name = unsb_into(w.name, sizeof w.name);
    r->out.write = r->err.write = see_output;
    r->out.context = w.seen[0];
    r->err.context = w.seen[1];
    r->on_artifact = see_artifact;
    r->on_item = see_item;
    r->context = NULL;
    memset(w.seen_size, 0, sizeof w.seen_size);
    w.seen[0][0] = w.seen[1][0] = w.seen[2][0] = '\0';
    w.operation = operation;
    w.begun = 0;
    w.executed = w.refusals = w.polls = 0;
    w.pending = w.interrupted = w.known = w.about_it = w.body_differs = false;
    w.polling = is_wait(operation);
    new_page();
}

/* One operation from beginning to end, or until a callback leaves it. */
static int perform(unsigned operation, unsigned refusals, bool about_it)
{
    uint32_t timeout_ms;
    int rc, interest;

    clear_step(operation);
    w.about_it = about_it;
    w.refusals = refusals;
    if (setjmp(away) != 0)
        return LEFT;
    rc = begin(operation);
    while (rc == UNSB_PENDING) {
        interest = unsb_interest(w.client, &timeout_ms);
        if (timeout_ms != 0)
            (void)wire_idle(interest, timeout_ms);
        rc = io_poll(&w.io, w.client);
    }
    w.interrupted = false;
    return rc;
}

static void set_up(const conversation *c)
{
    unsb_config config;
    unsigned refused = c->start == RETRIED && trouble_of(c) == 0;

    memset(w.scripts, 0, sizeof w.scripts);
    w.scripts[0].connect_error = refused ? UNSB_E_CONNECT : 0;
    w.scripts[0].answer = w.scripts[1].answer = answer;
    w.scripts[0].end = w.scripts[1].end = c->framing == BY_END ? UNSB_E_CLOSED : 0;
    io_setup(&w.io, w.scripts, 2);
    w.io.connect_pending = 1;
    w.io.recv_piece = 75;
    w.talk = *c;
    w.calls = 0;
    w.stalled = false;
    config = io_config(&w.io, w.buffer, w.buffer_size, c->polled);
    config.transport.vtable = c->polled ? &wire_polled : &wire_blocking;
    config.retries = c->start == RETRIED ? 3 : 0;
    config.wait_failures = 3;
    if (c->is_signed) {
        config.secret_key = "unsb-sk-secret";
        config.total_timeout_ms = 3600000;
    }
    assert_int_equal(unsb_init(w.client, &config), UNSB_OK);
}

/* What the conversation is about, on a connection as it is to be. */
static int perform_it(void)
{
    const conversation *c = &w.talk;
    bool refused = c->start == RETRIED && trouble_of(c) != 0;

    return perform(c->operation, refused, true);
}

/* ======================================================================
 * >>judgement
 * ====================================================================== */

static unsigned long cases, kinds[FAULTS];

static void complain(const char *what, int rc)
{
    const conversation *c = &w.talk;
    static const char *const framings[] = {"length", "chunks", "end"};
    static const char *const starts[] = {"fresh", "kept", "retried"};
    static const char *const places[] = {"connect", "send", "recv", "wait", "source", "sink"};
    const strike *s = w.strikes;

    fail_msg("%s: %s, %s, %s, %s dialect, framed by %s, %s: %s at call %u (%s, %zu bytes taken, "
             "%zu given of a %d), %s at call %u (%s): %d (%s), saw \"%s\" \"%s\" \"%s\"",
             what, operation_names[c->operation], c->polled ? "polled" : "blocking",
             c->is_signed ? "signed" : "bearer", c->live ? "live" : "page", framings[c->framing],
             starts[c->start], fault_names[s[0].fault], w.at[0], places[s[0].place], s[0].taken,
             s[0].given, s[0].status, fault_names[s[1].fault], w.at[1], places[s[1].place], rc,
             unsb_error_text(rc), w.seen[0], w.seen[1], w.seen[2]);
}

#define CHECK(condition, rc)                                                                       \
    do {                                                                                           \
        if (!(condition))                                                                          \
            complain(#condition, rc);                                                              \
    } while (0)

/* A beginning of the truth, or all of it. */
static bool is_truth(const char *seen, const char *whole, bool all)
{
    return all ? strcmp(seen, whole) == 0 : strncmp(seen, whole, strlen(seen)) == 0;
}

static void check_sinks(unsigned operation, bool all, int rc)
{
    conversation c = w.talk;
    truth t;

    c.operation = (uint8_t)operation;
    t = truth_of(&c);
    /* a refusal's body comes as it is, too, until the call is sent again */
    if (operation == CALL && c.start == RETRIED && !all && is_truth(w.seen[0], BUSY_BODY, false))
        t.out = BUSY_BODY;
    CHECK(is_truth(w.seen[0], t.out, all), rc);
    CHECK(is_truth(w.seen[1], t.err, all), rc);
    CHECK(is_truth(w.seen[2], t.seen, all), rc);
    CHECK(strcmp(w.out_text, w.seen[0]) == 0, rc); /* the memory has what the sink saw */
    CHECK(strcmp(w.err_text, w.seen[1]) == 0, rc);
    if (rc != LEFT)
        CHECK(w.result->out.size == w.seen_size[0] && w.result->err.size == w.seen_size[1], rc);
}

static bool is_transient(int rc)
{
    return rc == UNSB_E_RESOLVE || rc == UNSB_E_CONNECT || rc == UNSB_E_TIMEOUT ||
           rc == UNSB_E_CLOSED || rc == UNSB_E_IO || rc == UNSB_E_TRUNCATED ||
           rc == UNSB_E_RATE_LIMITED || rc == UNSB_E_SERVER;
}

/* The code of a refusal whose head has come; 0: there is none. */
static int refusal_of(const strike *s)
{
    if (s->given < s->head || s->status < 300)
        return 0;
    return s->status == 503   ? UNSB_E_SERVER
           : s->status == 429 ? UNSB_E_RATE_LIMITED
                              : UNSB_E_NOT_FOUND;
}

/* What the conversation comes to if nothing in it is changed: a job that is not there was lost only
 * if it is known that it was there. */
static int final_code(void)
{
    unsigned operation = w.talk.operation;

    if (is_lost(operation))
        return w.known ? UNSB_E_JOB_LOST : UNSB_E_NOT_FOUND;
    if (is_silent(operation)) /* who ends a connection by hanging up does so without a word, too */
        return w.talk.framing == BY_END ? UNSB_E_CLOSED : UNSB_E_TIMEOUT;
    return UNSB_OK;
}

/* What one fault may lead to; UNSB_OK stands for final_code(). */
typedef struct verdict {
    int codes[4];
    bool any; /* whatever a peer may cause */
    bool cut; /* UNSB_OK, though not all came: nothing tells */
} verdict;

static verdict only(int code)
{
    verdict v = {{0, 0, 0, 0}, false, false};
    size_t i;

    for (i = 0; i < COUNT(v.codes); i++)
        v.codes[i] = code;
    return v;
}

/* The manual's sections 3 and 5: a request is sent again where the service cannot have started it,
 * a safe one also where nothing of the answer had reached the caller; polls of a job always. */
static int again_or(const strike *s, int code)
{
    bool safe = s->polling || is_safe(w.talk.operation);
    bool refused = s->given >= s->head && (s->status == 503 || s->status == 429);
    bool tries = s->polling || w.talk.start == RETRIED;

    if (s->polling && code == UNSB_E_NOT_FOUND)
        return UNSB_OK;
    return tries && is_transient(code) && !s->delivered && (s->taken == 0 || safe || refused)
               ? UNSB_OK
               : code;
}

/* What is tried again in a conversation with retries. If the limit of the whole does not leave room
 * for that, it is the outcome. */
static int first_failure(void)
{
    const conversation *c = &w.talk;
    static const int failures[] = {UNSB_E_CONNECT, UNSB_E_SERVER, UNSB_E_RATE_LIMITED};

    return c->start != RETRIED ? UNSB_OK : failures[trouble_of(c)];
}

static verdict judge_jump(const strike *s)
{
    verdict v = {{UNSB_OK, UNSB_E_TIMEOUT, UNSB_E_TIMEOUT, first_failure()}, false, false};
    bool connecting = s->place == AT_CONNECT || (s->place == AT_WAIT && s->fresh && s->taken == 0);

    if (s->fault == JUMPS_40_S && !connecting)
        v.codes[1] = v.codes[2] = UNSB_OK;
    else if (refusal_of(s) != 0)
        v.codes[2] = refusal_of(s);
    return v;
}

static verdict judge_connection(const strike *s)
{
    verdict v = {{0, 0, 0, 0}, false, false};
    int code = code_of(s->fault, s->place);
    bool kept = s->place == AT_RECV && s->taken == 0 && !s->fresh;

    if (kept && s->fault != STALLS) /* another one is made */
        return v;
    if (s->place == AT_RECV || (s->fault == STALLS && s->given != 0)) {
        if (refusal_of(s) != 0) {
            code = refusal_of(s);
        } else if (code == UNSB_E_CLOSED && s->given >= s->head && w.talk.framing == BY_END) {
            v.codes[1] = UNSB_E_JSON;
            v.cut = true;
            return v;
        } else if (code == UNSB_E_CLOSED && s->given != 0) {
            code = UNSB_E_TRUNCATED;
        }
    }
    return only(again_or(s, code));
}

static verdict judge(const strike *s)
{
    verdict v = {{0, 0, 0, 0}, false, false};

    switch (s->fault) {
    case NOT_NOW:
    case ONE_BYTE:
    case EARLY_TIMEOUT:
        return v;
    case CORRUPTS:
        v.any = true;
        return v;
    case JUMPS_40_S:
    case JUMPS_130_S:
    case JUMPS_2_31:
    case JUMPS_BACK:
        return judge_jump(s);
    case INTERRUPTS:
    case ABORTS:
    case STOPS:
        return only(UNSB_E_ABORTED);
    case LEAVES:
        return only(LEFT);
    default:
        if (s->place < AT_SOURCE)
            return judge_connection(s);
        if ((s->fault == SWELLS || s->fault == SHRINKS) && (!s->changed || s->refused))
            return v;
        return only(code_of(s->fault, s->place));
    }
}

/* Did a callback call unsb_abort()? */
static bool stopped(const strike *s)
{
    return s->known && s->fault == STOPS && (s->place == AT_SOURCE || s->place == AT_SINK);
}

/* What holds whatever struck. */
static void check_always(int rc, bool exact, bool corrupted)
{
    const conversation *c = &w.talk;

    CHECK(rc <= UNSB_OK || rc == LEFT, rc);
    CHECK(rc > 0 || rc == OWN_CODE || unsb_error_text(rc)[0] != '\0' || !UNSB_ERROR_TEXT, rc);
    CHECK(w.begun <= 1, rc);
    CHECK(w.executed <= 1, rc);
    CHECK(!w.body_differs, rc);
    if ((rc == UNSB_OK || rc == UNSB_E_JOB_LOST || (rc == UNSB_E_NOT_FOUND && w.polling)) &&
        !is_safe(c->operation) && !corrupted)
        CHECK(w.executed == 1, rc);
    if (rc == UNSB_E_SOURCE)
        CHECK(w.executed == 0, rc);
    if ((rc == UNSB_E_JOB_LOST || rc == UNSB_E_NOT_FOUND) && !corrupted) {
        CHECK(w.known == (rc == UNSB_E_JOB_LOST), rc);
        CHECK(strcmp(w.result->job_id, "j1") == 0, rc);
    }
    if (!corrupted)
        check_sinks(c->operation, rc == UNSB_OK && exact, rc);
    if (rc == LEFT && (stopped(&w.strikes[0]) || stopped(&w.strikes[1]))) {
        CHECK(unsb_poll(w.client) == UNSB_E_ABORTED, rc);
    } else if (rc == LEFT) {
        CHECK(unsb_poll(w.client) == UNSB_E_BUSY, rc);
        CHECK(begin(c->operation) == UNSB_E_BUSY, rc);
        unsb_abort(w.client);
        CHECK(unsb_poll(w.client) == UNSB_E_ABORTED, rc);
    } else {
        CHECK(unsb_poll(w.client) == rc, rc);
    }
    /* a request that could not be made leaves the connection as it was */
    if (w.strikes[0].place != AT_SOURCE && w.strikes[1].place != AT_SOURCE &&
        (rc == LEFT || rc == OWN_CODE || rc == UNSB_E_ABORTED || rc == UNSB_E_SINK ||
         (rc <= UNSB_E_RESOLVE && rc > UNSB_E_HTTP)))
        CHECK(!w.io.connected && !w.io.connecting, rc);
}

static void check_next(void)
{
    int rc;

    w.at[0] = w.at[1] = 0;
    w.stalled = false; /* the last thing that happened, and nothing noticed it */
    rc = perform(EXECUTE, 0, false);
    CHECK(rc == UNSB_OK, rc);
    CHECK(w.executed == 1 && w.begun == 1, rc);
    check_sinks(EXECUTE, true, rc);
}

static void check_end(void)
{
    static const unsb_client zero;

    unsb_close(w.client);
    CHECK(memcmp(w.client, &zero, sizeof zero) == 0, 0);
    CHECK(!w.io.connected && !w.io.connecting, 0);
    io_free(&w.io);
}

/* ======================================================================
 * >>replay
 * ====================================================================== */

/* The conversation without a fault: how many calls it takes, and the first one of the operation
 * that it is about. */
static unsigned record(const conversation *c, unsigned *first)
{
    unsigned calls;
    uint32_t began_ms;

    w.at[0] = w.at[1] = 0;
    memset(w.strikes, 0, sizeof w.strikes);
    set_up(c);
    if (c->start == KEPT)
        CHECK(perform(UNSB_LISTS ? LANGUAGES : EXECUTE, 0, false) == UNSB_OK, 0);
    *first = w.calls + 1;
    w.recording = true;
    began_ms = w.io.now_ms;
    check_always(perform_it(), true, false);
    w.recording = false;
    /* the job has the program's ttl and idle_timeout_ms, a minute each; a retry waits for a second
     */
    CHECK(!turns_into_job(c->operation) || w.io.now_ms - began_ms <= 122000, 0);
    CHECK(w.client->error == final_code(), w.client->error);
    CHECK(w.operation == c->operation && w.calls > *first, 0);
    CHECK((c->start == RETRIED) ==
                  (w.client->attempts + w.client->failures + w.client->polls != 0) ||
              is_wait(c->operation) || turns_into_job(c->operation),
          0);
    calls = w.calls;
    CHECK(calls <= CALLS_MAX, 0);
    check_next();
    CHECK((UNSB_KEEP_ALIVE && (c->framing == BY_END || is_silent(c->operation))) ||
              w.io.count == io_connections(io_requests(&w.io)) + (w.scripts[0].connect_error != 0),
          0);
    check_end();
    return calls;
}

static bool is_one_of(int rc, const int *codes, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (rc == (codes[i] == UNSB_OK ? final_code() : codes[i]))
            return true;
    return false;
}

/* One case: faults at the calls a and, unless it is 0, b. */
static void replay(const conversation *c, unsigned a, unsigned fault_a, unsigned b,
                   unsigned fault_b, uint64_t random)
{
    verdict v[2];
    bool exact = true, corrupted = false;
    int rc, i;

    memset(w.strikes, 0, sizeof w.strikes);
    w.at[0] = w.at[1] = 0;
    w.strikes[0].fault = (uint8_t)fault_a;
    w.strikes[1].fault = (uint8_t)fault_b;
    w.random = random;
    set_up(c);
    if (c->start == KEPT)
        CHECK(perform(UNSB_LISTS ? LANGUAGES : EXECUTE, 0, false) == UNSB_OK, 0);
    w.at[0] = a;
    w.at[1] = b;
    rc = perform_it();
    CHECK(w.strikes[0].known, rc);
    for (i = 0; i < 2; i++) {
        v[i] = judge(&w.strikes[i]);
        exact = exact && !(w.strikes[i].known && v[i].cut);
        corrupted = corrupted || (w.strikes[i].known && v[i].any);
    }
    check_always(rc, exact, corrupted);
    if (b == 0 && !v[0].any)
        CHECK(is_one_of(rc, v[0].codes, COUNT(v[0].codes)) ||
                  /* the last of the polls that may fail in a row */
                  (is_silent(c->operation) && w.strikes[0].polling &&
                   rc == code_of(fault_a, w.strikes[0].place)),
              rc);
    if (b != 0 && !corrupted) {
        /* each of the two alone, or the second one on what the first one led to */
        int first = code_of(fault_a, w.strikes[0].place);
        int second = code_of(fault_b, w.strikes[1].place);
        CHECK(rc == UNSB_OK || rc == final_code() || rc == first || rc == second ||
                  rc == UNSB_E_TRUNCATED || rc == UNSB_E_TIMEOUT || rc == UNSB_E_SERVER ||
                  rc == UNSB_E_RATE_LIMITED || rc == first_failure() ||
                  /* not seen to have ended until a part of the request was taken */
                  ((rc == UNSB_E_JSON || rc == UNSB_E_CLOSED) && c->framing == BY_END) ||
                  (rc == LEFT && (fault_a == LEAVES || fault_b == LEAVES)),
              rc);
    }
    check_next();
    check_end();
    cases++;
    kinds[fault_a]++;
}

static uint64_t seed;

/* A fault for the call; NO_FAULT if there are fewer. */
static unsigned fault_at(unsigned place, unsigned k)
{
    return k < COUNT(faults_at[0]) ? faults_at[place][k] : (unsigned)NO_FAULT;
}

static unsigned any_fault_at(unsigned place)
{
    unsigned n = 0;

    while (fault_at(place, n) != NO_FAULT)
        n++;
    return faults_at[place][random_below(&seed, n)];
}

/* A job of which there is nothing to tell is told of in one dialect alone. */
static bool is_new(const conversation *c)
{
    return !c->live || !(is_lost(c->operation) || is_silent(c->operation));
}

static unsigned choose(unsigned n, conversation *c, unsigned *first, uint8_t *places)
{
    unsigned calls;

    *c = conversation_of(n);
    w.buffer_size = n % 2 != 0 ? 600 : UNSB_BUFFER_MIN;
    free(w.buffer);
    w.buffer = (char *)malloc(w.buffer_size);
    assert_non_null(w.buffer);
    calls = record(c, first);
    memcpy(places, w.place, sizeof w.place);
    return calls;
}

#define CORRUPTIONS 6u /* of what each call receives */
#define PAIRS 100u     /* in each conversation */

static void test_single_faults(void **state)
{
    uint8_t places[CALLS_MAX];
    unsigned n, first, calls, at, k, fault, times, conversations = 0;
    unsigned long before = cases;
    conversation c;

    (void)state;
    for (n = 0; n < CONVERSATIONS; n++) {
        c = conversation_of(n);
        if (!is_new(&c) || !is_possible(&c))
            continue;
        conversations++;
        calls = choose(n, &c, &first, places);
        for (at = first; at <= calls; at++)
            for (k = 0; (fault = fault_at(places[at - 1], k)) != NO_FAULT; k++)
                for (times = fault == CORRUPTS ? CORRUPTIONS : 1; times != 0; times--)
                    replay(&c, at, fault, 0, NO_FAULT, random_next(&seed));
    }
    for (k = 1; k < FAULTS; k++)
        assert_true(kinds[k] != 0);
    assert_true(conversations >= (UNSB_JOBS ? CONVERSATIONS / 2 : 48));
    assert_true(cases - before >= 50 * conversations);
    fprintf(stderr, "figures: %u conversations, replayed %lu times with one fault\n",
            conversations, cases - before);
}

/* A second fault strikes what the first one has led to, so where it strikes is not known. */
static void test_pairs_of_faults(void **state)
{
    uint8_t places[CALLS_MAX];
    unsigned n, first, calls, k, a, b;
    unsigned long before = cases;
    conversation c;

    (void)state;
    for (n = 0; n < CONVERSATIONS; n++) {
        c = conversation_of(n);
        if (!is_new(&c) || !is_possible(&c))
            continue;
        calls = choose(n, &c, &first, places);
        for (k = 0; k < PAIRS; k++) {
            a = first + (unsigned)random_below(&seed, calls - first + 1);
            b = a + 1 + (unsigned)random_below(&seed, k % 2 != 0 ? 8 : calls - first + 8);
            replay(&c, a, any_fault_at(places[a - 1]), b,
                   any_fault_at(b <= calls && k % 4 < 2 ? places[b - 1]
                                                        : (unsigned)random_below(&seed, PLACES)),
                   random_next(&seed));
        }
    }
    fprintf(stderr, "figures: replayed %lu times with two faults\n", cases - before);
}

static int start(void **state)
{
    (void)state;
    seed = random_seed(20251);
    w.client = (unsb_client *)malloc(sizeof *w.client);
    w.result = (unsb_result *)malloc(sizeof *w.result);
    return w.client == NULL || w.result == NULL;
}

static int stop(void **state)
{
    (void)state;
    io_free(&w.io);
    free(w.client);
    free(w.result);
    free(w.buffer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_faults),
        cmocka_unit_test(test_pairs_of_faults),
    };

    return cmocka_run_group_tests_name("replay", tests, start, stop);
}
