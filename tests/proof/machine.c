/* The state machine: from any state that the invariant allows, one unsb_poll() keeps it, whatever
 * the transport returns, whatever time it is, whatever a callback says. The writer, the decoder of
 * HTTP and the router are known by what request.c, http.c, events.c and values.c prove of them, the
 * hash by what hmac.c and sha256.c do.
 *
 * What the peer may have begun is told by `taken`: the transport took bytes of a request that may
 * not be repeated, and no status since has said that it was not begun (429, 503). */
#define UNSBI_PROOF(name) any_##name
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
struct unsb_client;
struct unsb_http;
struct unsb_json_reader;
static int any_fill(struct unsb_client *client);
static int any_feed(struct unsb_http *http, char *data, size_t size, size_t *used, size_t *body);
static int any_body(struct unsb_client *client, char *data, size_t size);
static int any_read_end(struct unsb_json_reader *reader);
static void any_result_reset(const struct unsb_client *client);
static bool any_has_word(const char *text, const char *word);
static bool any_is_job_id(const char *id);
static size_t any_sha256_blocks(uint32_t *hash, const uint8_t *data, size_t size);
static void any_hmac_start(uint32_t *hash, const char *key, uint8_t pad, uint8_t *scratch);
static void any_hmac_end(uint32_t *hash, const char *key, uint8_t *scratch, size_t tail,
                         uint64_t size);
static int any_restart(void *out);
#include "proof.h"

#define BUFFER_MAX 3

static unsb_client client;
static unsb_result result;
static unsbi_op op;
static char buffer[BUFFER_MAX];
static const char host[] = "h";
static bool taken;
static bool strange;   /* the transport returns what it may not */
static unsigned calls; /* of the transport's connect, send and recv */
static enum { CLOSED, CONNECTING, OPEN } link;

static bool safe(void)
{
    return (client.op->flags & UNSBI_OP_SAFE) != 0;
}

static bool waits(void)
{
    return (client.op->flags & UNSBI_OP_WAITS) != 0;
}

/* One of the library's, or of the caller's. */
static bool is_code(int rc)
{
    return (rc <= 0 && rc >= UNSB_E_CLIENT) || (rc <= UNSB_E_RESOLVE && rc >= UNSB_E_IO) ||
           (rc <= UNSB_E_TLS && rc >= UNSB_E_TRUST) ||
           (rc <= UNSB_E_HTTP && rc >= UNSB_E_RESPONSE_SIZE) ||
           (rc <= UNSB_E_JSON && rc >= UNSB_E_JSON_UTF8) ||
           (rc <= UNSB_E_BAD_REQUEST && rc >= UNSB_E_JOB_LOST) || rc <= UNSB_E_USER;
}

/* ---- the transport, the clock, and callbacks ---- */

static int any_number(int most)
{
    int n;

    given(strange || (n >= 0 ? n <= most : is_code(n)));
    return n;
}

static int any_connect(void *context, const char *to, uint16_t port)
{
    int rc = any_number(UNSB_PENDING);

    (void)context;
    prove(to == host && port == client.config.port, "to no other host");
    prove(link != OPEN, "one connection at a time");
    prove(safe() || !taken, "nothing that may have been begun is sent again");
    calls++;
    link = rc == UNSB_OK ? OPEN : CONNECTING;
    return rc;
}

static int any_send(void *context, const void *data, size_t size)
{
    int n = any_number((int)size);

    (void)context;
    prove(link == OPEN, "on a connection");
    prove(size <= BUFFER_MAX && __CPROVER_r_ok(data, size), "of the buffer");
    prove(client.state == UNSBI_SEND, "a request");
    prove(safe() || !taken || client.sent,
          "nothing that may have been begun is sent again");
    if (n > 0 && !safe())
        taken = true;
    calls++;
    return n;
}

static int any_recv(void *context, void *data, size_t size)
{
    (void)context;
    prove(link == OPEN, "on a connection");
    prove(size != 0 && __CPROVER_w_ok(data, size), "into the buffer, or a byte");
    calls++;
    return any_number((int)size);
}

static void any_close(void *context)
{
    (void)context;
    link = CLOSED;
}

static int any_wait(void *context, int interest, uint32_t ms)
{
    (void)context, (void)interest, (void)ms;
    prove(false, "it does not wait");
    return 0;
}

static const unsb_transport_class transport = {any_connect, any_send, any_recv, any_close,
                                               any_wait, NULL, NULL};

static uint32_t any_time(void *context)
{
    uint32_t now;

    (void)context;
    return now;
}

/* What any of the callbacks does: it goes on, or refuses, or stops the operation. */
static int any_callback(void)
{
    bool stops;
    int rc;

    given(rc == UNSB_OK || rc == UNSB_E_SINK || rc <= UNSB_E_USER);
    if (!stops)
        return rc;
    unsb_abort(&client);
    client.entered = true; /* as nothing else comes of it within a callback */
    return UNSB_E_ABORTED;
}

/* ---- what is proved elsewhere ---- */

static int any_fill(unsb_client *c)
{
    int rc;
    size_t end;
    uint8_t part, last = c->v.tx.part < UNSBI_PARTS ? UNSBI_PARTS : UNSBI_ALL_WRITTEN;
    unsb_size counted;

    prove(c->end <= c->config.buffer_size && c->v.tx.part <= UNSBI_ALL_WRITTEN, "a place");
    given(end >= c->end && end <= c->config.buffer_size && part >= c->v.tx.part && part <= last);
    given(rc == UNSB_OK || rc == UNSB_PENDING || rc == UNSB_E_SOURCE ||
          rc == UNSB_E_REQUEST_SIZE || rc == UNSB_E_UTF8 || rc <= UNSB_E_USER);
    given((rc == UNSB_OK) == (part == last) || rc < 0);
    c->end = end;
    c->v.tx.part = part;
    c->v.tx.counted = counted;
    if (any_callback() == UNSB_E_ABORTED) /* a source has stopped it */
        return UNSB_E_ABORTED;
    return rc;
}

/* The invariant of http.c, as far as the machine looks at it. */
static bool http_holds(const unsb_http *h)
{
    bool body = (h->flags & UNSB_HTTP_BODY) != 0;

    return h->state <= UNSBI_HTTP_CLOSE_DATA && h->status <= 999 && (!body || h->status >= 200) &&
           (!unsbi_http_is_over(h) || body) &&
           (h->error == 0 || (h->error <= UNSB_E_HTTP && h->error >= UNSB_E_RESPONSE_SIZE));
}

static int any_feed(unsb_http *h, char *data, size_t size, size_t *used, size_t *body)
{
    unsb_http was = *h, any;
    int rc;
    bool had = (was.flags & UNSB_HTTP_BODY) != 0;

    prove(http_holds(h) && __CPROVER_w_ok(data, size), "a decoder's state");
    *h = any;
    given(http_holds(h));
    given(*used <= size && *body <= *used);
    given(*body == 0 || (h->flags & UNSB_HTTP_BODY) != 0);
    given(!had || (h->status == was.status && h->flags == was.flags));
    given((h->error == 0) == (rc >= 0) && (rc >= 0 || rc == h->error));
    given(rc < 0 || rc == (unsbi_http_is_over(h) ? UNSB_OK : UNSB_PENDING));
    given(was.error == 0 || rc == was.error);
    given(rc != UNSB_PENDING || size == 0 || *used != 0);
    if ((h->flags & UNSB_HTTP_BODY) != 0 && (h->status == 429 || h->status == 503))
        taken = false; /* the service says so */
    return rc;
}

/* What does not end the reading: see rx.fault. */
static bool is_fault(int rc)
{
    return rc == UNSB_OK || rc == UNSB_E_RESPONSE || rc == UNSB_E_BASE64;
}

static int any_body(unsb_client *c, char *data, size_t size)
{
    bool delivers, output, outcome;
    int rc = any_callback(), own, fault;

    prove(__CPROVER_w_ok(data, size), "of the buffer");
    given(own == UNSB_OK || own == UNSB_E_RESPONSE || own == UNSB_E_JSON ||
          own == UNSB_E_JSON_DEPTH || own == UNSB_E_JSON_UTF8);
    given(is_fault(fault));
    c->v.rx.fault = (int8_t)fault;
    c->v.rx.output = output;
    c->v.rx.outcome = outcome;
    if (delivers)
        c->delivered = true;
    return rc == UNSB_OK ? own : rc;
}

static int any_read_end(unsb_json_reader *reader)
{
    int rc;

    (void)reader;
    given(rc == UNSB_OK || rc == UNSB_JSON_NUMBER || rc == UNSB_E_JSON ||
          rc == UNSB_E_JSON_DEPTH || rc == UNSB_E_JSON_UTF8);
    return rc;
}

static void any_result_reset(const unsb_client *c)
{
    unsb_result r;

    c->result->given = r.given;
    c->result->status = r.status;
    c->result->retry_after_s = r.retry_after_s;
    c->result->job_id[0] = r.job_id[0];
    c->result->error[0] = r.error[0];
    c->result->message[0] = r.message[0];
}

static bool any_has_word(const char *text, const char *word)
{
    bool has;

    (void)text, (void)word;
    return has;
}

static bool any_is_job_id(const char *id)
{
    bool is;

    prove(id == result.job_id, "the job's");
    return is;
}

static size_t any_sha256_blocks(uint32_t *hash, const uint8_t *data, size_t size)
{
    size_t hashed;

    prove(__CPROVER_w_ok(hash, 32) && __CPROVER_r_ok(data, size), "what is hashed");
    given(hashed <= size);
    return hashed;
}

static void any_hmac_start(uint32_t *hash, const char *key_, uint8_t pad, uint8_t *scratch)
{
    (void)key_, (void)pad, (void)scratch;
    prove(__CPROVER_w_ok(hash, 96), "room for a hash");
}

static void any_hmac_end(uint32_t *hash, const char *key_, uint8_t *scratch, size_t tail,
                         uint64_t size)
{
    (void)key_, (void)size;
    prove(__CPROVER_w_ok(hash, 96) && __CPROVER_r_ok(scratch, tail), "what is hashed");
}

static int any_restart(void *out)
{
    prove(out == &result.out, "the place of an answer");
    return any_callback();
}

/* ---- the invariant ---- */

static bool refused(void)
{
    return result.http_status == 429 || result.http_status == 503;
}

static bool holds(void)
{
    bool sent = client.sent, on = client.connected;
    bool fresh = !sent && result.http_status == 0 && client.http.status == 0 &&
                 (client.http.flags & UNSB_HTTP_BODY) == 0 && client.http.error == 0;

    if (client.entered || on != (link != CLOSED) || !http_holds(&client.http))
        return false;
    if (client.state != UNSBI_CONNECT && link == CONNECTING)
        return false;
    if (!strange && ((client.state == UNSBI_IDLE && !is_code(client.error)) ||
                     (client.send_error != UNSB_OK && !is_code(client.send_error))))
        return false;
    if (client.state != UNSBI_IDLE && client.error != UNSB_PENDING)
        return false;
    if (client.send_error > UNSB_OK || client.polls > 6) /* the last of the cadence */
        return false;
    if (client.state != UNSBI_IDLE && !waits() &&
        client.attempts > client.config.retries)
        return false;
    switch (client.state) {
    case UNSBI_IDLE:
        return client.error <= UNSB_OK;
    case UNSBI_MEASURE:
        return fresh && (safe() || !taken) && client.begin == 0 &&
               client.end <= client.config.buffer_size && client.v.tx.part < UNSBI_PARTS;
    case UNSBI_CONNECT:
        return fresh && (safe() || !taken) && client.begin == 0 && client.end == 0 &&
               client.v.tx.part == UNSBI_PARTS &&
               ((link == CONNECTING) == (on && client.blocked));
    case UNSBI_SEND:
        return link == OPEN && result.http_status == 0 && client.http.status < 200 &&
               (client.http.flags & UNSB_HTTP_BODY) == 0 && (safe() || !taken || sent) &&
               client.begin <= client.end && client.end <= client.config.buffer_size &&
               client.v.tx.part >= UNSBI_PARTS && client.v.tx.part <= UNSBI_ALL_WRITTEN;
    case UNSBI_RECV:
        return link == OPEN && is_fault(client.v.rx.fault) &&
               (safe() || !taken || (sent && !refused())) &&
               (result.http_status == 0 || ((client.http.flags & UNSB_HTTP_BODY) != 0 &&
                                            result.http_status == client.http.status));
    case UNSBI_PAUSE:
        return safe() || !taken;
    default:
        return false;
    }
}

static void any_op(void)
{
    unsbi_op any;

    op = any;
    op.method = safe() ? "GET" : "POST";
    given(!waits() || safe()); /* as unsbi_wait_op is */
}

static void any_state(void)
{
    unsb_client c;
    unsb_result r;
    bool has[4], on, connecting;

    client = c;
    result = r;
    client.op = &op;
    any_op();
    client.result = &result;
    client.config.transport.vtable = &transport;
    client.config.host = host;
    given(client.config.buffer_size >= 1 && client.config.buffer_size <= BUFFER_MAX);
    client.config.buffer = buffer + BUFFER_MAX - client.config.buffer_size;
    client.config.now_ms = has[0] ? any_time : NULL;
    client.timeless = client.config.nonblocking && !has[0];
    client.config.unix_time = any_time;
    client.config.secret_key = has[1] ? "s" : NULL;
    taken = has[2];
    strange = has[3];
    link = !on ? CLOSED : connecting ? CONNECTING : OPEN;
    given(holds());
}

static void judge(int rc)
{
    prove(holds(), "the invariant is kept");
    prove(rc == UNSB_PENDING || rc == UNSB_OK || rc < 0, "a result");
    prove(rc == UNSB_PENDING || strange || is_code(rc), "a code that there is");
    prove((rc == UNSB_PENDING) == (client.state != UNSBI_IDLE), "pending while it goes on");
    prove(rc == UNSB_PENDING || rc == client.error, "the outcome stays to be asked for");
}

static void poll(uint8_t state)
{
    uint8_t attempts;

    any_state();
    given(client.state == state);
    attempts = client.attempts;
    calls = 0;
    judge(unsb_poll(&client));
    prove(client.state != UNSBI_PAUSE || state == UNSBI_PAUSE || waits() ||
              client.attempts == attempts + 1, "what is sent again is counted");
    prove(calls <= 1, "a step at a time");
}

void machine_measure(void) { poll(UNSBI_MEASURE); }
void machine_connect(void) { poll(UNSBI_CONNECT); }
void machine_send(void) { poll(UNSBI_SEND); }
void machine_recv(void) { poll(UNSBI_RECV); }
void machine_pause(void) { poll(UNSBI_PAUSE); }

/* Nothing is done then. */
void machine_idle(void)
{
    poll(UNSBI_IDLE);
    prove(calls == 0, "nothing");
}

/* An operation begins: nothing of it has been taken. */
void machine_begin(void)
{
    any_state();
    given(client.state == UNSBI_IDLE);
    client.config.nonblocking = true; /* else unsbi_block() follows: see machine_waited */
    taken = false;
    calls = 0;
    judge(unsbi_begin(&client, NULL, &result, &op));
    prove(client.state == UNSBI_MEASURE || client.state == UNSBI_PAUSE, "it is under way");
    prove(calls == 0, "nothing is sent yet");
}

/* What unsbi_block() does between two polls: its wait failed, or all the time has passed. */
void machine_waited(void)
{
    int rc;

    any_state();
    given(client.state != UNSBI_IDLE && rc < 0 && (strange || is_code(rc)));
    unsbi_fail(&client, rc);
    judge(client.error);
    prove(calls == 0, "nothing is sent");
}

void machine_abort(void)
{
    any_state();
    unsb_abort(&client);
    prove(holds() && client.state == UNSBI_IDLE, "the invariant is kept");
}

/* With any configuration, whose texts are of up to two characters. */
void machine_init(void)
{
    unsb_config config;
    unsb_transport_class table;
    char key_[3], secret[3], name[3];
    bool has[9];

    table.connect = has[0] ? any_connect : NULL;
    table.send = has[1] ? any_send : NULL;
    table.recv = has[2] ? any_recv : NULL;
    table.close = has[3] ? any_close : NULL;
    table.wait = has[4] ? any_wait : NULL;
    config.transport.vtable = has[5] ? &table : NULL;
    key_[2] = secret[2] = name[2] = '\0';
    config.api_key = has[6] ? key_ : NULL;
    config.secret_key = has[7] ? secret : NULL;
    config.host = has[8] ? name : NULL;
    client.op = &op;
    link = CLOSED;
    if (unsb_init(&client, &config) == UNSB_OK) {
        client.op = &op;
        prove(holds() && client.state == UNSBI_IDLE && client.error == UNSB_OK, "init makes it");
        prove(client.config.buffer_size <= UNSBI_INT_MAX && client.config.host != NULL,
              "what the machine relies on");
        prove(has[0] && has[1] && has[2] && has[3], "a transport");
    } else {
        prove(client.state == UNSBI_IDLE && client.config.transport.vtable == NULL,
              "nothing can be begun");
    }
}
