/* The HTTP decoder: the invariant of its state is made by init and kept by a feed of any bytes, so
 * what is proved of one feed holds for responses of any length, however they are cut. Which word or
 * number a token is does not matter to it: so unsbi_find(), of which names.c has what it returns,
 * and the number are any at all. Of unsbi_append() number.c has what it does. */
#define UNSBI_PROOF(name) any_##name
#define any_http_byte unsbi_http_byte
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
struct unsb_http;
static bool any_append(uint64_t *number, size_t size, uint8_t base, uint8_t digit);
static uint8_t any_find(const char *names, const void *text, size_t size, uint8_t fold);
static int any_http_number(const struct unsb_http *h, uint8_t base, uint64_t *number);
#include "proof.h"
#include "pieces.h"

#define FEED_MAX 3

static bool any_append(uint64_t *number, size_t size, uint8_t base, uint8_t digit)
{
    uint64_t any;
    bool fits;

    prove(size == sizeof *number && (base == 10 || base == 16) && digit < base, "a digit");
    *number = any;
    return fits;
}

static uint8_t any_find(const char *names, const void *text, size_t size, uint8_t fold)
{
    uint8_t word;

    (void)text;
    prove(size <= sizeof ((unsb_http *)0)->token && fold == 0x20, "a token");
    given(word == UNSBI_NO_WORD || word <= (names == unsbi_http_fields
                                                ? UNSBI_FIELD_TRANSFER_ENCODING
                                                : UNSBI_TOKEN_KEEP_ALIVE));
    return word;
}

uint64_t __CPROVER_uninterpreted_number(uint8_t, uint8_t);
int __CPROVER_uninterpreted_rc(uint8_t, uint8_t);

static int any_http_number(const unsb_http *h, uint8_t base, uint64_t *number)
{
    int rc = __CPROVER_uninterpreted_rc(h->length, base);

    prove(h->length <= sizeof h->token && (base == 10 || base == 16), "what http_number knows");
    *number = __CPROVER_uninterpreted_number(h->length, base);
    given(rc == UNSB_PENDING || rc == UNSB_E_HTTP || rc == UNSB_E_RESPONSE_SIZE);
    return rc;
}

/* The real one, of any token. */
void http_number(void)
{
    unsb_http h;
    uint64_t number;
    uint8_t base;
    int rc;

    given(h.length <= sizeof h.token && (base == 10 || base == 16));
    rc = unsbi_http_number(&h, base, &number);
    prove(rc == UNSB_PENDING || rc == UNSB_E_HTTP || rc == UNSB_E_RESPONSE_SIZE, "its results");
    prove(rc != UNSB_E_HTTP || number == 0, "none");
    prove(rc != UNSB_E_RESPONSE_SIZE || number == UINT64_MAX, "beyond the largest");
    prove(rc != UNSB_PENDING || (h.length != 0 && h.length < sizeof h.token), "a whole one");
}

static bool holds(const unsb_http *h)
{
    bool body = (h->flags & UNSB_HTTP_BODY) != 0;

    if (h->state > UNSBI_HTTP_CLOSE_DATA || h->head_size > UNSB_HTTP_HEAD_LIMIT ||
        h->length > sizeof h->token || h->status > 999)
        return false;
    if (h->error != 0) /* the rest is of no account then */
        return h->error == UNSB_E_HTTP || h->error == UNSB_E_HEAD_SIZE ||
               h->error == UNSB_E_RESPONSE_SIZE;
    if (h->field > UNSBI_FIELD_NONE && h->field != UNSBI_FIELD_OTHER)
        return false;
    if (h->state == UNSBI_HTTP_STATUS &&
        (body || h->length > 12 || (h->length < 10 && h->status != 0) ||
         (h->length == 10 && h->status > 9) || (h->length == 11 && h->status > 99)))
        return false;
    if (!body) /* the length is that of a field */
        return h->state < UNSBI_HTTP_CHUNK_DATA && h->field != UNSBI_FIELD_CHUNK_SIZE &&
               (h->state != UNSBI_HTTP_NAME || h->field == UNSBI_FIELD_NONE) &&
               (h->remaining == 0 || (h->flags & UNSB_HTTP_LENGTH) != 0);
    if (h->status < 200 || h->field < UNSBI_FIELD_CHUNK_SIZE)
        return false;
    switch (h->state) {
    case UNSBI_HTTP_LINE: /* trailers */
        return h->remaining == 0 && h->field != UNSBI_FIELD_CHUNK_SIZE;
    case UNSBI_HTTP_NAME: /* the line that ends them */
        return h->remaining == 0 && h->length == 0 && h->cr;
    case UNSBI_HTTP_TEXT:
        return h->remaining == 0 || h->field == UNSBI_FIELD_NONE;
    case UNSBI_HTTP_CLOSE_DATA:
        return h->remaining == 0;
    default:
        return true;
    }
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
    prove((rc == UNSB_OK) == (h->error == 0 && unsbi_http_is_over(h)), "OK: it is over");
    prove(rc != UNSB_PENDING || size == 0 || used != 0, "it gets on");
    prove(rc != UNSB_PENDING || body != 0 || used == size, "pending without a body: all is used");
    prove(body == 0 || (h->flags & UNSB_HTTP_BODY) != 0, "no body before the head is over");
    prove((was->flags & UNSB_HTTP_BODY) == 0 ||
              (was->status == h->status && was->flags == h->flags),
          "status and flags are final");
    rc = unsb_http_end(h);
    prove(rc == UNSB_OK || rc < 0, "the end is no event");
    prove((rc == UNSB_OK) == (h->error == 0 && (unsbi_http_is_over(h) ||
                                                h->state == UNSBI_HTTP_CLOSE_DATA)),
          "a whole response ends well, and no other");
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

    given(holds(&h) && h.error == 0 && unsbi_http_in_data(&h));
    was = h;
    rc = unsb_http_feed(&h, data, size, &used, &body);
    judge(&was, &h, rc, size, used, body);
    prove(body == used, "all of it is the body's");
    if (was.state != UNSBI_HTTP_CLOSE_DATA)
        prove(body == unsbi_min(size, was.remaining) && h.remaining == was.remaining - body,
              "as long as it was announced");
}

/* The same state after, from any but an error, which sticks. Of the states in which a byte takes
 * more than a little to look at, cut.c alone has this. */
static void split(uint8_t state, uint8_t field, bool cr)
{
    unsb_http h, g;

    h.state = state;
    if (state == UNSBI_HTTP_TEXT)
        h.field = field;
    h.cr = cr;
    h.error = 0;
    given(holds(&h));
    g = h;
    feed_both(&h, &g);
    prove(h.state == g.state && h.status == g.status && h.flags == g.flags &&
              h.error == g.error && h.remaining == g.remaining && h.cr == g.cr &&
              h.head_size == g.head_size && h.length == g.length && h.field == g.field &&
              h.spaced == g.spaced && h.retry_after_s == g.retry_after_s,
          "the same state");
}

#define SPLIT(name, state, field, cr)                                                              \
    void http_split_##name(void)                                                                   \
    {                                                                                              \
        split(UNSBI_HTTP_##state, UNSBI_FIELD_##field, cr);                                        \
    }

SPLIT(reason, TEXT, NONE, false)
SPLIT(skip, TEXT, OTHER, false)
SPLIT(line_lf, TEXT, OTHER, true)
SPLIT(head_lf, NAME, NONE, true)
SPLIT(chunk_lf, TEXT, CHUNK_SIZE, true)
SPLIT(chunk_data, CHUNK_DATA, NONE, false)
SPLIT(chunk_end_lf, CHUNK_DATA, NONE, true)
SPLIT(length_data, LENGTH_DATA, NONE, false)
SPLIT(close_data, CLOSE_DATA, NONE, false)
