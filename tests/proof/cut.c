/* The HTTP decoder: however a response is cut, it is decoded the same. That it goes byte by byte is
 * all that matters to this; so what a byte of the head does is any function at all of the decoder's
 * state and the byte, as unsbi_http_byte() is one: it looks at nothing else. So this holds in every
 * state. What is said of the function's results is what http.c proves of the real one, in pieces of
 * one byte.
 *
 * Of the state, unsb_http_feed() itself knows `state`, `error`, `head_size` and `remaining`. One
 * number stands here for all else, as the function alone looks at it: `retry_after_s`. */
#define UNSBI_PROOF(name) any_##name
#include <stdint.h>
struct unsb_http;
static int any_http_byte(struct unsb_http *h, uint8_t c);
#include "proof.h"
#include "pieces.h"

uint8_t __CPROVER_uninterpreted_state(uint8_t, uint16_t, uint64_t, uint32_t, uint8_t);
uint16_t __CPROVER_uninterpreted_head_size(uint8_t, uint16_t, uint64_t, uint32_t, uint8_t);
uint64_t __CPROVER_uninterpreted_remaining(uint8_t, uint16_t, uint64_t, uint32_t, uint8_t);
uint32_t __CPROVER_uninterpreted_rest(uint8_t, uint16_t, uint64_t, uint32_t, uint8_t);
int16_t __CPROVER_uninterpreted_rc(uint8_t, uint16_t, uint64_t, uint32_t, uint8_t);

/* What http.c's invariant says of these. */
static bool holds(const unsb_http *h)
{
    return h->state <= UNSBI_HTTP_CLOSE_DATA;
}

static int any_http_byte(unsb_http *h, uint8_t c)
{
    const unsb_http was = *h;
    int rc;

#define ANY(what) \
    __CPROVER_uninterpreted_##what(was.state, was.head_size, was.remaining, was.retry_after_s, c)
    h->state = ANY(state);
    h->head_size = ANY(head_size);
    h->remaining = ANY(remaining);
    h->retry_after_s = ANY(rest);
    rc = ANY(rc);
    given(holds(h));
    given(rc == UNSB_PENDING || (rc < 0 && rc > -1000));
    return rc;
}

static bool same(const unsb_http *h, const unsb_http *g)
{
    return h->state == g->state && h->error == g->error && h->head_size == g->head_size &&
           h->remaining == g->remaining && h->retry_after_s == g->retry_after_s;
}

/* What unsb_http_feed() does not touch. */
static bool same_rest(const unsb_http *h, const unsb_http *g)
{
    return h->status == g->status && h->flags == g->flags && h->field == g->field &&
           h->length == g->length && h->spaced == g->spaced &&
           *(const uint8_t *)&h->cr == *(const uint8_t *)&g->cr &&
           memcmp(h->token, g->token, sizeof h->token) == 0;
}

/* From any state but an error, which sticks. */
void cut_http(void)
{
    unsb_http h, g, was;

    given(holds(&h));
    given(h.error == 0);
    was = g = h;
    feed_both(&h, &g);
    prove(same_rest(&h, &was), "what it leaves alone");
    prove(same(&h, &g), "the same state");
}
