/* What the result router does with a value: of any field of that kind, from any state, whatever the
 * caller gave as places for the result. A name that is looked up is known by what names.c proves, a
 * number by what integer.c and decimal.c do, a time by what time.c does. */
#define UNSBI_PROOF(name) any_##name
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
struct unsb_client;
struct unsbi_field;
struct unsb_json_reader;
static uint8_t any_find(const char *names, const void *text, size_t size, uint8_t fold);
static bool any_integer(const struct unsb_json_reader *r, bool exact, int64_t *value);
static bool any_time(struct unsb_client *client, size_t size, int64_t *seconds);
static char *any_decimal(uint64_t value, char *end);
#include "proof.h"

#define TEXT_MAX 3
#define MEMORY_MAX 4
#define ROOM (sizeof client.u.rx.u.text)

static unsb_client client;
static unsb_result result;
static unsb_key key;
static unsbi_op op;
static char text[TEXT_MAX], memory[MEMORY_MAX];

/* ---- what is proved elsewhere ---- */

static uint8_t any_find(const char *names, const void *p, size_t size, uint8_t fold)
{
    uint8_t found;

    (void)fold;
    prove(size <= ROOM && __CPROVER_r_ok(p, size), "a text to look for");
    given(found == UNSBI_NO_WORD || (names == unsbi_words && found < 12));
    return found;
}

static bool any_integer(const unsb_json_reader *r, bool exact, int64_t *value)
{
    bool is;
    int64_t any;

    prove(r == &client.u.rx.json && !exact, "the number that came");
    if (is)
        *value = any;
    return is;
}

static bool any_time(unsb_client *c, size_t size, int64_t *seconds)
{
    bool is;
    int64_t any;

    prove(size <= sizeof c->u.rx.u.text, "a short text");
    if (is)
        *seconds = any;
    return is;
}

static char *any_decimal(uint64_t value, char *end)
{
    size_t digits;

    (void)value;
    prove(end == client.u.rx.u.text + ROOM && ROOM >= 20, "room for 20 digits");
    given(digits >= 1 && digits <= 20);
    return end - digits;
}

/* ---- the caller's ---- */

static int any_code(void)
{
    int rc;
    bool stops;

    if (stops) /* as unsb_abort() does */
        client.state = UNSBI_IDLE;
    return rc;
}

static int sink(void *context, const void *data, size_t size)
{
    (void)context;
    prove(size == 0 || __CPROVER_r_ok(data, size), "a sink can read what it gets");
    prove(size == 0 || (__CPROVER_same_object(data, text) && size <= client.u.rx.json.text_size),
          "and it is of the text");
    return any_code();
}

static int artifact_sink(void *context, const unsb_artifact *artifact)
{
    return sink(context, artifact->data, artifact->size);
}

static void any_output(unsb_output *out)
{
    unsb_output any;
    bool sinks;

    given(any.capacity <= MEMORY_MAX && any.size < (unsb_size)-1 - 64);
    *out = any;
    out->data = memory + MEMORY_MAX - any.capacity; /* it ends where the array does */
    out->write = sinks ? sink : NULL;
}

static void any_state(void)
{
    unsb_client c;
    unsb_result r;
    unsbi_op o;
    size_t size = some_size(TEXT_MAX);

    client = c;
    result = r;
    op = o;
    client.op = &op;
    client.result = &result;
    client.extra = &key;
    any_output(&result.out);
    any_output(&result.err);
    any_output(&result.artifact_name);
    result.on_artifact = artifact_sink;
    client.u.rx.json.text = text + TEXT_MAX - size; /* it ends where the array does */
    client.u.rx.json.text_size = size;
    given(client.state != UNSBI_IDLE);
}

static bool counted(uint8_t count)
{
    return count <= ROOM;
}

static void known_code(int rc)
{
    prove(rc == UNSB_OK || rc == UNSB_E_SINK || rc == UNSB_E_ABORTED || rc <= UNSB_E_USER,
          "a code that there is");
    prove((client.state == UNSBI_IDLE) == (rc == UNSB_E_ABORTED), "who stops it, ends it");
}

/* ---- each field ---- */

static void scalar(const unsbi_field *f)
{
    int event;
    uint8_t count;
    const unsbi_field *field;
    unsigned within;
    char *place, *memory_was;

    any_state();
    given(event >= UNSB_JSON_OBJECT_BEGIN && event < UNSB_JSON_NULL && counted(client.v.rx.count));
    count = client.v.rx.count;
    within = client.v.rx.within;
    field = client.v.rx.field;
    memory_was = result.out.data;
    place = ((f->kind & UNSBI_KIND_OF_KEY) != 0 ? (char *)&key : (char *)&result) + f->offset;
    unsbi_scalar(&client, f, place, event);
    prove(client.v.rx.count == count && client.v.rx.within == within &&
              client.v.rx.field == field, "the router's own stays");
    prove(result.on_artifact == artifact_sink && result.out.data == memory_was &&
              result.out.capacity <= MEMORY_MAX && result.err.capacity <= MEMORY_MAX &&
              result.artifact_name.capacity <= MEMORY_MAX, "and the caller's");
    if (f->kind == UNSBI_KIND_STATUS && event == UNSB_JSON_STRING &&
        (within & 15) != UNSBI_IN_RESULT)
        prove(result.status <= UNSB_STATUS_TIMEOUT,
              "a status that there is");
}

static void scalars(const unsbi_field *f, size_t n)
{
    for (; n != 0; n--, f++) {
        if ((f->kind & 0x7F) > UNSBI_KIND_CONTAINER)
            scalar(f);
    }
}

#define SCALARS(fields) scalars(fields##_field, sizeof fields##_field / sizeof(unsbi_field))

/* A literal, a number or a whole short text. */
void values_scalar(void)
{
    SCALARS(unsbi_refusal_fields);
    SCALARS(unsbi_outcome_fields);
    SCALARS(unsbi_artifact_fields);
    SCALARS(unsbi_list_fields);
    SCALARS(unsbi_call_fields);
    SCALARS(unsbi_key_fields);
}

/* A number where a text is expected. */
void values_number(void)
{
    any_state();
    prove(!unsbi_number_text(&client) ||
              (__CPROVER_r_ok(client.u.rx.json.text, client.u.rx.json.text_size) &&
               client.u.rx.json.text_size >= 1 && client.u.rx.json.text_size <= 20), "its digits");
}

static void output(unsb_output *out)
{
    bool is_text, fresh;
    unsigned within;

    any_state();
    within = client.v.rx.within;
    known_code(unsbi_output(&client, out, is_text, fresh));
    prove(client.v.rx.within == within, "the router's own stays");
}

/* A piece of what the program wrote, or of an artifact's name. */
void values_output(void)
{
    output(&result.out);
    output(&result.err);
    output(&result.artifact_name);
}

static bool decodes(const unsb_base64 *s)
{
    return (s->count & 1) == 0 && s->count <= 6;
}

/* A piece of an artifact. */
void values_content(void)
{
    bool fresh;
    unsigned within;
    const unsbi_field *field;

    any_state();
    given(fresh || decodes(&client.u.rx.u.base64));
    within = client.v.rx.within;
    field = client.v.rx.field;
    known_code(unsbi_content(&client, fresh));
    prove(client.v.rx.within == within, "the router's own stays");
    prove(client.v.rx.field == NULL || (client.v.rx.field == field &&
                                        decodes(&client.u.rx.u.base64)), "a decoder's state");
}
