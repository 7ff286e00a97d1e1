/* The HTTP decoder: the invariant of its state is made by init and kept by a feed of any bytes, so
 * what is proved of one feed holds for responses of any length, however they are cut. */
#include "proof.h"
#include "pieces.h"

#define FEED_MAX 3

static bool holds(const unsb_http *h)
{
    bool body = (h->flags & UNSB_HTTP_BODY) != 0;
    bool counts = h->state == UNSBI_HTTP_CHUNK_DATA || h->state == UNSBI_HTTP_LENGTH_DATA;

    if (h->state > UNSBI_HTTP_OVER || h->head_size > UNSB_HTTP_HEAD_LIMIT ||
        h->length > sizeof h->token + 1 || h->status > 999)
        return false;
    if (h->error != 0) /* the rest is of no account then */
        return h->error == UNSB_E_HTTP || h->error == UNSB_E_HEAD_SIZE ||
               h->error == UNSB_E_RESPONSE_SIZE;
    if (h->field > UNSBI_FIELD_NONE && h->field != UNSBI_NO_WORD)
        return false;
    if (h->state == UNSBI_HTTP_STATUS &&
        (body || h->digits > 12 || (h->digits < 10 && h->status != 0) ||
         (h->digits == 10 && h->status > 9) || (h->digits == 11 && h->status > 99)))
        return false;
    if (h->state == UNSBI_HTTP_VALUE && h->field >= UNSBI_FIELD_NONE)
        return false;
    if (h->state != UNSBI_HTTP_STATUS && h->status < 100)
        return false;
    if (body && h->status < 200)
        return false;
    if (h->state == UNSBI_HTTP_NAME || h->state == UNSBI_HTTP_VALUE ||
        h->state == UNSBI_HTTP_REASON)
        return !body;
    if ((h->state >= UNSBI_HTTP_CHUNK_SIZE && h->state <= UNSBI_HTTP_CHUNK_END_LF) ||
        h->state >= UNSBI_HTTP_CHUNK_DATA)
        return body && (!counts || h->remaining != 0);
    return true;
}

void http_start(void)
{
    unsb_http h;
    bool head;

    unsb_http_init(&h, head);
    prove(holds(&h), "init makes the invariant");
    prove(unsb_http_end(&h) == UNSB_E_TRUNCATED, "nothing is no response");
}

/* What holds after each feed of `size` bytes, from a state `was`. */
static void judge(const unsb_http *was, const unsb_http *h, int rc, size_t size, size_t used,
                  size_t body)
{
    prove(holds(h), "the invariant is kept");
    prove(used <= size && body <= used, "no more than there is");
    prove(rc == UNSB_OK || rc == UNSB_PENDING || rc == h->error, "OK, pending or the error");
    prove((rc < 0) == (h->error != 0), "errors stick");
    prove(was->error == 0 || (rc == was->error && used == 0), "and stay the same");
    prove((rc == UNSB_OK) == (h->error == 0 && h->state == UNSBI_HTTP_OVER), "OK: it is over");
    prove(rc != UNSB_PENDING || size == 0 || used != 0, "it gets on");
    prove(rc != UNSB_PENDING || body != 0 || used == size, "pending without a body: all is used");
    prove(body == 0 || (h->flags & UNSB_HTTP_BODY) != 0, "no body before the head is over");
    prove((was->flags & UNSB_HTTP_BODY) == 0 ||
              (was->status == h->status && ((was->flags ^ h->flags) & ~UNSB_HTTP_CLOSE) == 0),
          "status and flags are final");
    rc = unsb_http_end(h);
    prove(rc == UNSB_OK || rc < 0, "the end is no event");
    prove(rc != UNSB_OK || h->state == UNSBI_HTTP_OVER || h->state == UNSBI_HTTP_CLOSE_DATA,
          "only a whole response ends well");
}

void http_step(void)
{
    unsb_http h, was;
    char data[FEED_MAX];
    size_t size = some_size(FEED_MAX), used, body;
    int rc;

    given(holds(&h));
    was = h;
    /* it ends where the array does */
    rc = unsb_http_feed(&h, data + FEED_MAX - size, size, &used, &body);
    judge(&was, &h, rc, size, used, body);
}

/* In a body it looks at no byte: so this is of any size, up to half of the address space. */
void http_body(void)
{
    unsb_http h, was;
    size_t size, used, body;
    char *data = some_bytes(size);
    int rc;

    given(holds(&h) && h.error == 0 && h.state >= UNSBI_HTTP_CHUNK_DATA);
    was = h;
    rc = unsb_http_feed(&h, data, size, &used, &body);
    if (was.state == UNSBI_HTTP_CHUNK_DATA) /* what follows has been looked at, too */
        return;
    judge(&was, &h, rc, size, used, body);
    prove(body == used, "all of it is the body's");
    if (was.state == UNSBI_HTTP_LENGTH_DATA)
        prove(body == unsbi_min(size, was.remaining) && h.remaining == was.remaining - body,
              "as long as it was announced");
}

/* The same state after, from any but an error, which sticks. Of the states in which a byte takes
 * more than a little to look at, cut.c alone has this. */
static void split(uint8_t state)
{
    unsb_http h, g;

    h.state = state;
    h.error = 0;
    given(holds(&h));
    g = h;
    feed_both(&h, &g);
    prove(h.state == g.state && h.status == g.status && h.flags == g.flags &&
              h.error == g.error && h.remaining == g.remaining && h.number == g.number &&
              h.head_size == g.head_size && h.length == g.length && h.field == g.field &&
              h.digits == g.digits && h.spaced == g.spaced && h.retry_after_s == g.retry_after_s,
          "the same state");
}

#define SPLIT(name, state)                                                                         \
    void http_split_##name(void)                                                                   \
    {                                                                                              \
        split(state);                                                                              \
    }

SPLIT(line_lf, UNSBI_HTTP_LINE_LF)
SPLIT(head_lf, UNSBI_HTTP_HEAD_LF)
SPLIT(reason, UNSBI_HTTP_REASON)
SPLIT(skip, UNSBI_HTTP_SKIP)
SPLIT(chunk_lf, UNSBI_HTTP_CHUNK_LF)
SPLIT(chunk_end_cr, UNSBI_HTTP_CHUNK_END_CR)
SPLIT(chunk_end_lf, UNSBI_HTTP_CHUNK_END_LF)
SPLIT(chunk_data, UNSBI_HTTP_CHUNK_DATA)
SPLIT(length_data, UNSBI_HTTP_LENGTH_DATA)
SPLIT(close_data, UNSBI_HTTP_CLOSE_DATA)
