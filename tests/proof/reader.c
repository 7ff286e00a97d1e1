/* The JSON reader: the invariant of its state is made by init and kept by a feed of any bytes, so
 * what is proved of one feed holds for texts of any length, however they are cut. */
#include "proof.h"

#ifndef FEED_MAX
#define FEED_MAX 2
#endif

static bool in_object(const unsb_json_reader *r)
{
    return r->depth != 0 && unsbi_json_object(r) != 0;
}

/* The bits of `objects` above those of the open containers are clear. */
static bool bounded(const unsb_json_reader *r)
{
    return r->depth <= UNSB_JSON_DEPTH && (r->depth == 32 || r->objects >> r->depth == 0);
}

static bool in_string(const unsb_json_reader *r)
{
    return r->state >= UNSBI_JSON_ESCAPE && r->state <= UNSBI_JSON_IN_STRING;
}

static bool token(const unsb_json_reader *r)
{
    uint8_t at = (uint8_t)(r->state - UNSBI_JSON_IN_LITERAL);

    if (at < sizeof unsbi_json_literals && unsbi_json_literals[at] > UNSB_JSON_NULL)
        return true;
    if (r->state >= UNSBI_JSON_MINUS && r->state < UNSBI_JSON_ESCAPE)
        return r->digits < UNSBI_POWER_MAX * 10 && r->exponent <= UNSBI_DIGITS_MAX &&
               r->exponent >= -UNSBI_DIGITS_MAX;
    return in_string(r) || r->state == UNSBI_JSON_SKIP || r->state == UNSBI_JSON_SKIP_STRING ||
           r->state == UNSBI_JSON_SKIP_ESCAPE;
}

static bool holds(const unsb_json_reader *r)
{
    bool string = in_string(r);

    if (!bounded(r))
        return false;
    if (r->error != 0) /* the rest is of no account then */
        return r->error == UNSB_E_JSON || r->error == UNSB_E_JSON_DEPTH ||
               r->error == UNSB_E_JSON_UTF8;
    if (r->partial != string)
        return false;
    if (r->utf8 != 0 && (r->state != UNSBI_JSON_IN_STRING || r->lenient))
        return false;
    if (r->surrogate != 0 && (!string || r->surrogate < 0xD800 || r->surrogate > 0xDBFF))
        return false;
    if (string && r->kind != UNSBI_JSON_VALUE &&
        (r->kind != UNSBI_JSON_KEY_NEXT || !in_object(r)))
        return false;
    if (r->state > (UNSBI_JSON_COMMA | UNSBI_JSON_CLOSE))
        return token(r);
    switch (r->state) {
    case 0:
    case UNSBI_JSON_VALUE:
        return true;
    case UNSBI_JSON_VALUE | UNSBI_JSON_CLOSE:
        return r->depth != 0 && !in_object(r);
    case UNSBI_JSON_KEY_NEXT:
    case UNSBI_JSON_KEY_NEXT | UNSBI_JSON_CLOSE:
    case UNSBI_JSON_COLON:
        return in_object(r);
    default:
        return false;
    }
}

void reader_start(void)
{
    unsb_json_reader r;

    unsb_json_reader_init(&r);
    prove(holds(&r), "init makes the invariant");
    prove(unsb_json_read_end(&r) == UNSB_E_JSON, "nothing is no document");
}

static void judge(unsb_json_reader *was, unsb_json_reader *r, const char *data, size_t size,
                  size_t used, int event)
{
    bool text = event == UNSB_JSON_KEY || event == UNSB_JSON_STRING;
    bool own = __CPROVER_same_object(r->text, r);

    prove(holds(r), "the invariant is kept");
    prove(used <= size, "no more than there is");
    prove(event <= UNSB_JSON_NULL && (event >= 0 || event == r->error), "an event or the error");
    prove(was->error == 0 || (event == was->error && used == 0), "errors stick");
    prove(event != UNSB_JSON_MORE || used == size, "more: all is used");
    prove(!text || (size != 0 && was->error == 0), "no text without input");
    if (text && own)
        prove(r->text + r->text_size == r->unescaped + sizeof r->unescaped, "a text in the reader");
    else if (text)
        prove(r->text >= data && r->text_size <= used &&
                  (size_t)(r->text - data) <= used - r->text_size, "a text lies where it says");
    prove(event != UNSB_JSON_KEY || r->depth != 0, "keys are of objects");
    prove(r->depth <= was->depth + size, "a level a character");
    /* an overflow within the structure would be seen here: these follow its arrays */
    prove(!in_string(was) || r->skipped == was->skipped, "beyond `unescaped`");
    prove(r->lenient == was->lenient, "the caller's");
}

static void step(bool tokens, bool strings)
{
    unsb_json_reader r, was;
    char data[FEED_MAX], copy[FEED_MAX], *from;
    size_t size = some_size(FEED_MAX), used, i = some_size(FEED_MAX - 1);
    int event;

    given(holds(&r) && (r.state >= UNSBI_JSON_IN_LITERAL) == tokens);
    given(in_string(&r) == strings);
    was = r;
    memcpy(copy, data, sizeof copy);
    from = data + FEED_MAX - size; /* it ends where the array does */
    event = unsb_json_read(&r, from, size, &used);
    judge(&was, &r, from, size, used, event);
    prove((i >= FEED_MAX - size && i < FEED_MAX - size + used) || data[i] == copy[i],
          "what was not used is as it was");
    /* a number ends before the character that shows it, and a half of a surrogate pair: the only
     * events that may use nothing, and not twice, as the reader is past them then */
    prove(used != 0 || size == 0 || event < 0 ||
              (event == UNSB_JSON_NUMBER && was.state >= UNSBI_JSON_MINUS && r.state == 0) ||
              (in_string(&was) && was.surrogate != 0 && r.surrogate == 0), "it gets on");
}

/* From any state between two tokens; within a string; within any other. */
void reader_between(void) { step(false, false); }
void reader_string(void) { step(true, true); }
void reader_token(void) { step(true, false); }

void reader_end(void)
{
    unsb_json_reader r, was;
    int event;

    given(holds(&r));
    was = r;
    event = unsb_json_read_end(&r);
    prove(event == UNSB_JSON_NUMBER || event == r.error, "a number, OK or an error");
    prove(holds(&r), "the invariant is kept");
    prove(event != UNSB_OK || (was.state == 0 && was.depth == 0 && was.error == 0),
          "OK: it was a document");
    prove(event != UNSB_JSON_NUMBER || (was.depth == 0 && r.state == 0), "a number is all of it");
}

/* At the times when it may be called. */
void reader_skip(void)
{
    unsb_json_reader r, was;

    given(holds(&r) && r.error == 0);
    given(r.state == UNSBI_JSON_COLON ||
          r.state == (UNSBI_JSON_VALUE | UNSBI_JSON_CLOSE) ||
          r.state == (UNSBI_JSON_KEY_NEXT | UNSBI_JSON_CLOSE));
    was = r;
    unsb_json_skip(&r);
    prove(holds(&r), "the invariant is kept");
    prove(r.depth == was.depth - (was.state != UNSBI_JSON_COLON), "depth");
}
