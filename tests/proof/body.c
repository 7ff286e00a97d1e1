/* A piece of a response's body: from the reader to the router, event by event, until all of it is
 * used, the document is over, or there is an error. The reader is known by what reader.c proves of
 * it, an event by what events.c does, bytes that are handed on by what values.c does. */
#define UNSBI_PROOF(name) any_##name
#include <stddef.h>
#include <stdint.h>
struct unsb_client;
struct unsb_json_reader;
struct unsb_output;
static int any_read(struct unsb_json_reader *reader, char *data, size_t size, size_t *used);
static int any_event(struct unsb_client *client, int event);
static int any_deliver(struct unsb_client *client, struct unsb_output *out, const void *data,
                       size_t size);
#include "proof.h"

#define BODY_MAX 3

static unsb_client client;
static unsb_result result;
static size_t taken;
static bool stood; /* the event before used nothing */

static int any_read(unsb_json_reader *reader, char *data, size_t size, size_t *used)
{
    size_t n;
    int event;

    prove(reader == &client.u.rx.json && size != 0 && __CPROVER_w_ok(data, size), "of the piece");
    given(n <= size && event <= UNSB_JSON_NULL);
    given(event >= 0 || event == UNSB_E_JSON || event == UNSB_E_JSON_DEPTH ||
          event == UNSB_E_JSON_UTF8);
    given(event != UNSB_JSON_MORE || n == size);
    /* a number ends before the character that shows it, and not twice */
    given(n != 0 || event < 0 || (event == UNSB_JSON_NUMBER && !stood));
    stood = n == 0;
    taken += n;
    *used = n;
    return event;
}

static int any_code(int own)
{
    int rc;
    bool stops;

    given(rc == UNSB_OK || rc == own || rc == UNSB_E_SINK || rc <= UNSB_E_USER);
    if (!stops)
        return rc;
    client.state = UNSBI_IDLE; /* as unsb_abort() does */
    return UNSB_E_ABORTED;
}

static int any_event(unsb_client *c, int event)
{
    uint16_t within;

    prove(event >= UNSB_JSON_OBJECT_BEGIN && event <= UNSB_JSON_NULL, "an event");
    prove(!c->v.rx.ignore && c->state != UNSBI_IDLE, "none after the end");
    c->v.rx.within = within;
    return any_code(UNSB_E_RESPONSE);
}

static int any_deliver(unsb_client *c, unsb_output *out, const void *data, size_t size)
{
    prove(out == &c->result->out && __CPROVER_r_ok(data, size), "as it came");
    taken += size;
    return any_code(UNSB_OK);
}

void body_piece(void)
{
    unsb_client c;
    unsbi_op op;
    char data[BODY_MAX];
    size_t size = some_size(BODY_MAX);
    uint16_t status;
    bool ignores;
    int rc;

    client = c;
    client.op = &op;
    client.result = &result;
    result.http_status = status;
    client.v.rx.ignore = ignores;
    given(client.state != UNSBI_IDLE);
    /* it ends where the array does */
    rc = unsbi_body(&client, data + BODY_MAX - size, size);
    prove(taken <= size, "no more than there is");
    prove(rc != UNSB_OK || taken == size || client.v.rx.ignore, "all of it, or what counts");
    prove(rc == UNSB_OK || rc == UNSB_E_RESPONSE || rc == UNSB_E_ABORTED || rc == UNSB_E_SINK ||
              rc <= UNSB_E_USER || rc == UNSB_E_JSON || rc == UNSB_E_JSON_DEPTH ||
              rc == UNSB_E_JSON_UTF8, "a code that there is");
    prove(rc > UNSB_E_JSON || rc < UNSB_E_JSON_UTF8 || rc == UNSB_E_RESPONSE || status < 300,
          "a refusal may be of any form");
    prove((client.state == UNSBI_IDLE) == (rc == UNSB_E_ABORTED), "who stops it, ends it");
}
