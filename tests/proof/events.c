/* The result router from event to event: from any state that the invariant allows, any event that
 * can come then keeps it. What happens to a value, or a piece of a text, is known by what values.c
 * and router.c prove of it; a name that is looked up, and a result that is cleared, by what names.c
 * proves.
 *
 * The invariant knows of the reader what it says between two events: in which container it is, and
 * whether what comes next is the value of a key that was not skipped, or more of a text. */
#define UNSBI_PROOF(name) any_##name
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
struct unsb_client;
struct unsbi_field;
static uint8_t any_find(const char *names, const void *text, size_t size, uint8_t fold);
static void any_result_reset(const struct unsb_client *client);
struct unsb_output;
static void any_text(struct unsb_client *client, char *place, size_t room, bool id);
static void any_gather(struct unsb_client *client, char *place, size_t room);
static void any_scalar(struct unsb_client *client, const struct unsbi_field *field, void *place,
                       int event);
static bool any_number_text(struct unsb_client *client);
static int any_output(struct unsb_client *client, struct unsb_output *out, bool is_text,
                      bool fresh);
static int any_content(struct unsb_client *client, bool fresh);
#include "proof.h"

#define TEXT_MAX 3
#define ROOM (sizeof client.u.rx.u.text)
#define COUNT(fields) (sizeof fields##_field / sizeof(unsbi_field))

static unsb_client client;
static unsb_result result;
static unsbi_op op;
static unsb_key key;
static char text[TEXT_MAX];

static bool within_text(void)
{
    return __CPROVER_r_ok(client.u.rx.json.text, client.u.rx.json.text_size);
}

static bool counted(uint8_t count, size_t room)
{
    return count <= room;
}

static bool of(const unsbi_fields *fields, size_t n, const unsbi_field *f)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (f == fields->field + i)
            return true;
    }
    return false;
}

/* ---- what is proved elsewhere ---- */

static uint8_t any_find(const char *names, const void *p, size_t size, uint8_t fold)
{
    uint8_t found;

    (void)fold;
    prove(__CPROVER_r_ok(p, size), "a text to look for");
    given(found == UNSBI_NO_WORD ||
          found < (names == unsbi_outcome_fields_names    ? COUNT(unsbi_outcome_fields)
                   : names == unsbi_list_fields_names     ? COUNT(unsbi_list_fields)
                   : names == unsbi_call_fields_names     ? COUNT(unsbi_call_fields)
                   : names == unsbi_key_fields_names      ? COUNT(unsbi_key_fields)
                   : names == unsbi_refusal_fields_names  ? COUNT(unsbi_refusal_fields)
                   : names == unsbi_artifact_fields_names ? COUNT(unsbi_artifact_fields)
                                                          : 0));
    return found;
}

/* Only what the service tells is cleared. */
static void any_result_reset(const unsb_client *c)
{
    char id;

    c->result->job_id[0] = id;
}

static int any_code(bool calls)
{
    int rc;
    bool stops;

    given(rc == UNSB_OK || (calls && (rc <= UNSB_E_USER || rc == UNSB_E_SINK)));
    if (!calls || !stops)
        return rc;
    client.state = UNSBI_IDLE; /* as unsb_abort() does */
    return UNSB_E_ABORTED;
}

static int sink(void *context, const unsb_artifact *artifact)
{
    (void)context;
    prove(artifact->size == 0 || __CPROVER_r_ok(artifact->data, artifact->size), "what it gets");
    return any_code(true);
}

static int item_sink(void *context, const unsb_result *item)
{
    (void)context;
    prove(item == &result, "an item");
    return any_code(true);
}

static bool gathers(const unsbi_field *f)
{
    return (f->kind & 0x7F) > UNSBI_KIND_CONTENT;
}

static void any_gather(unsb_client *c, char *place, size_t room)
{
    uint8_t count;

    prove((place == c->u.rx.u.text && room == ROOM) ||
              (place == result.language && room == sizeof result.language), "its place");
    prove(counted(c->v.rx.count, room), "so much of it is there");
    prove(within_text(), "a text is there");
    given(counted(count, room));
    c->v.rx.count = count;
}

static bool placed(const unsbi_field *f, const char *place)
{
    return place == ((f->kind & UNSBI_KIND_OF_KEY) != 0 ? (char *)&key : (char *)&result) +
                        f->offset;
}

static void any_text(unsb_client *c, char *place, size_t room, bool id)
{
    const unsbi_field *f = c->v.rx.field;
    uint8_t count;

    prove(f->kind % 128 <= UNSBI_KIND_OTHER_ID && room == f->arg && placed(f, place) &&
              id == (f->kind % 128 >= UNSBI_KIND_ID), "a field of a text");
    prove(counted(c->v.rx.count, room), "so much of it is there");
    prove(within_text(), "a text is there");
    given(counted(count, room));
    c->v.rx.count = count;
}

static void any_scalar(unsb_client *c, const unsbi_field *field, void *place, int event)
{
    bool spoilt;

    prove(gathers(field) && placed(field, place), "a field that is judged");
    prove(event >= UNSB_JSON_OBJECT_BEGIN && event < UNSB_JSON_NULL, "a value");
    prove(event != UNSB_JSON_STRING || counted(c->v.rx.count, ROOM), "it is there");
    c->v.rx.spoilt = spoilt;
}

static bool any_number_text(unsb_client *c)
{
    bool is;
    size_t digits;

    given(digits >= 1 && digits <= 20);
    if (is) {
        c->u.rx.json.text = c->u.rx.u.text + ROOM - digits;
        c->u.rx.json.text_size = digits;
    }
    return is;
}

static int any_output(unsb_client *c, unsb_output *out, bool is_text, bool fresh)
{
    const unsbi_field *f = c->v.rx.field;

    (void)fresh;
    prove(f->kind == UNSBI_KIND_OUTPUT && placed(f, (char *)out), "a field of an output");
    prove(!is_text || within_text(), "a text is there");
    return any_code(is_text);
}

static int any_content(unsb_client *c, bool fresh)
{
    unsb_base64 base64;
    bool ends;

    prove(c->result->on_artifact != NULL, "there is someone to have it");
    prove(fresh || ((c->u.rx.u.base64.count & 1) == 0 && c->u.rx.u.base64.count <= 6),
          "a decoder's state");
    prove(within_text(), "a text is there");
    given((base64.count & 1) == 0 && base64.count <= 6);
    c->u.rx.u.base64 = base64;
    if (ends)
        c->v.rx.field = NULL;
    return any_code(true);
}

/* ---- the invariant ---- */

static bool is_array(unsigned in)
{
    return in == UNSBI_IN_ITEMS || in == UNSBI_IN_ARTIFACTS;
}

static bool is_object(unsigned in)
{
    return in != UNSBI_IN_NOTHING && !is_array(in);
}

/* What is open is a stack of containers, each in one that can hold it. */
static bool fits(unsigned within)
{
    unsigned in, what;

    for (; within != 0; within >>= 4) {
        in = within >> 4 & 15;
        what = within & 15;
        if (what == UNSBI_IN_NOTHING || what > UNSBI_IN_WASM_ARTIFACT ||
            ((what & UNSBI_IN_ARRAY) != 0 && !is_array(what)))
            return false;
        if (what == UNSBI_IN_ROOT ? within >> 4 != 0
            : what == UNSBI_IN_ITEMS ? in > UNSBI_IN_RESULT || (in == 0 && within >> 4 != 0)
            : what == UNSBI_IN_RESULT ? in != UNSBI_IN_ROOT
            : what == UNSBI_IN_ITEM ? in != UNSBI_IN_ITEMS
            : in != UNSBI_IN_ROOT && in != UNSBI_IN_RESULT &&
                (what != UNSBI_IN_ARTIFACT || in != UNSBI_IN_ARTIFACTS))
            return false;
        if (what >= UNSBI_IN_ARTIFACTS && result.on_artifact == NULL)
            return false;
    }
    return true;
}

/* Can a value there have that field? */
static bool field_holds(unsigned in, const unsbi_field *f)
{
    bool refusal = of(&unsbi_refusal_fields, COUNT(unsbi_refusal_fields), f);
    bool outcome = refusal || of(&unsbi_outcome_fields, COUNT(unsbi_outcome_fields), f);

    switch (in) {
    case UNSBI_IN_ROOT:
    case UNSBI_IN_RESULT:
    case UNSBI_IN_ITEM:
        return op.fields == &unsbi_key_fields
                   ? refusal || of(&unsbi_key_fields, COUNT(unsbi_key_fields), f)
               : op.fields == &unsbi_list_fields
                   ? outcome || of(&unsbi_list_fields, COUNT(unsbi_list_fields), f)
               : op.fields == &unsbi_call_fields
                   ? outcome || of(&unsbi_call_fields, COUNT(unsbi_call_fields), f)
                   : outcome;
    case UNSBI_IN_REFUSAL:
        return refusal;
    case UNSBI_IN_ALIASES:
        return f == &unsbi_alias;
    case UNSBI_IN_ITEMS:
        return f == NULL || f == &unsbi_language;
    case UNSBI_IN_ARTIFACT:
    case UNSBI_IN_WASM_ARTIFACT:
        return of(&unsbi_artifact_fields, COUNT(unsbi_artifact_fields), f);
    default:
        return f == NULL;
    }
}

enum { BETWEEN, IN_KEY, BEFORE_VALUE, IN_VALUE }; /* where the reader is */

static bool holds(int where)
{
    unsigned in = client.v.rx.within & 15;
    const unsbi_field *f = client.v.rx.field;
    uint8_t count = client.v.rx.count;

    if (!fits(client.v.rx.within) || client.v.rx.going != (where == IN_KEY || where == IN_VALUE))
        return false;
    switch (where) {
    case IN_KEY:
        return is_object(in) &&
               counted(count, in == UNSBI_IN_ALIASES ? unsbi_language.arg : ROOM);
    case BEFORE_VALUE:
        return is_object(in) && field_holds(in, f);
    case IN_VALUE:
        if (in == UNSBI_IN_NOTHING)
            return false;
        if (f == NULL) /* it does not matter, or does no more */
            return true;
        if (!field_holds(in, f))
            return false;
        if (f->kind == UNSBI_KIND_CONTENT)
            return (client.u.rx.u.base64.count & 1) == 0 && client.u.rx.u.base64.count <= 6;
        return f->kind == UNSBI_KIND_OUTPUT || counted(count, gathers(f) ? ROOM : f->arg);
    default:
        return is_object(in) || field_holds(in, f);
    }
}

/* ---- an event ---- */

static const unsbi_field *any_field(void)
{
    size_t i;
    int list;

    switch (list) {
    case 0:
        given(i < COUNT(unsbi_outcome_fields));
        return unsbi_outcome_fields_field + i;
    case 1:
        given(i < COUNT(unsbi_list_fields));
        return unsbi_list_fields_field + i;
    case 2:
        given(i < COUNT(unsbi_key_fields));
        return unsbi_key_fields_field + i;
    case 3:
        given(i < COUNT(unsbi_refusal_fields));
        return unsbi_refusal_fields_field + i;
    case 4:
        given(i < COUNT(unsbi_artifact_fields));
        return unsbi_artifact_fields_field + i;
    case 5:
        given(i < COUNT(unsbi_call_fields));
        return unsbi_call_fields_field + i;
    case 6:
        return &unsbi_alias;
    case 7:
        return &unsbi_language;
    default:
        return NULL;
    }
}

static void any_state(int where)
{
    unsb_client c;
    unsbi_op o;
    bool artifacts, items;
    int which;
    size_t size = some_size(TEXT_MAX);

    client = c;
    op = o;
    op.fields = which == 0   ? &unsbi_outcome_fields
                : which == 1 ? &unsbi_list_fields
                : which == 2 ? &unsbi_call_fields
                             : &unsbi_key_fields;
    client.op = &op;
    client.result = &result;
    client.extra = &key;
    result.on_artifact = artifacts ? sink : NULL;
    result.on_item = items ? item_sink : NULL;
    result.artifact_name.capacity = 0; /* values.c has outputs of any kind */
    client.u.rx.json.text = text + TEXT_MAX - size;
    client.u.rx.json.text_size = size;
    client.v.rx.field = any_field();
    given(client.state != UNSBI_IDLE && holds(where));
}

static void judge(int rc, int where)
{
    prove(rc == UNSB_OK || rc == UNSB_E_RESPONSE || rc == UNSB_E_ABORTED || rc == UNSB_E_SINK ||
              rc <= UNSB_E_USER, "a code that there is");
    prove((client.state == UNSBI_IDLE) == (rc == UNSB_E_ABORTED), "who stops it, ends it");
    prove(rc != UNSB_OK || holds(where), "the invariant is kept");
}

/* A piece of a key; `skip`: whether the value will be. */
static void on_key(int where)
{
    int rc;
    bool more;

    any_state(where);
    client.u.rx.json.partial = more ? true : false; /* as a bool is, and no other byte */
    client.u.rx.json.state = more ? UNSBI_JSON_IN_STRING : UNSBI_JSON_COLON;
    given(is_object(client.v.rx.within & 15));
    given(client.u.rx.json.depth != 0 && client.u.rx.json.depth <= UNSB_JSON_DEPTH);
    rc = unsbi_event(&client, UNSB_JSON_KEY);
    judge(rc, more ? IN_KEY : client.u.rx.json.state == UNSBI_JSON_SKIP ? BETWEEN : BEFORE_VALUE);
    prove(rc == UNSB_OK, "a key is no error");
}

void events_key(void)
{
    on_key(BETWEEN);
    on_key(IN_KEY);
}

static void on_begin(int where)
{
    bool array;
    unsb_json_reader *json = &client.u.rx.json;
    unsigned was;

    any_state(where);
    was = client.v.rx.within;
    given(where == BEFORE_VALUE || !is_object(was & 15));
    json->partial = false; /* the last piece of a text says so, and nothing else speaks of it */
    json->state = array ? UNSBI_JSON_VALUE | UNSBI_JSON_CLOSE
                        : UNSBI_JSON_KEY_NEXT | UNSBI_JSON_CLOSE;
    given(json->depth != 0 && json->depth <= UNSB_JSON_DEPTH);
    judge(unsbi_event(&client, array ? UNSB_JSON_ARRAY_BEGIN : UNSB_JSON_OBJECT_BEGIN), BETWEEN);
    if (json->state == UNSBI_JSON_SKIP)
        prove(client.v.rx.within == was, "what is skipped is in no stack");
    else
        prove(client.v.rx.within >> 4 == was && was >> 12 == 0 &&
                  (is_array(client.v.rx.within & 15) ? array : !array), "it is the innermost one");
}

void events_begin(void)
{
    on_begin(BETWEEN);
    on_begin(BEFORE_VALUE);
}

void events_end(void)
{
    unsigned was;

    any_state(BETWEEN);
    was = client.v.rx.within;
    given((was & 15) != UNSBI_IN_NOTHING);
    client.u.rx.json.partial = false;
    judge(unsbi_event(&client, is_array(was & 15) ? UNSB_JSON_ARRAY_END : UNSB_JSON_OBJECT_END),
          BETWEEN);
    prove(client.v.rx.within == was >> 4, "the one around it");
}

static void on_value(int where)
{
    int event, rc;
    bool more;

    any_state(where);
    given(event >= UNSB_JSON_STRING && event <= UNSB_JSON_NULL);
    given(event == UNSB_JSON_STRING || where != IN_VALUE);
    given(where != BETWEEN || !is_object(client.v.rx.within & 15));
    given(!more || event == UNSB_JSON_STRING);
    client.u.rx.json.partial = more ? true : false; /* as a bool is, and no other byte */
    rc = unsbi_event(&client, event);
    judge(rc, more ? IN_VALUE : BETWEEN);
}

void events_value(void) { on_value(BEFORE_VALUE); }
void events_more(void) { on_value(IN_VALUE); }
void events_item(void) { on_value(BETWEEN); }

/* A response begins. */
void events_start(void)
{
    unsb_client c;

    client = c;
    client.config.now_ms = NULL;
    unsbi_start_response(&client);
    prove(holds(BETWEEN), "the beginning of a response makes the invariant");
}
