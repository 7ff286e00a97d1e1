/* The result router: from any state that the invariant allows, any event of the reader that can
 * come then keeps it, whatever the caller gave as places for the result. */
#include "proof.h"

#define TEXT_MAX 3
#define ROOM_MAX 6

static unsb_client client;
static unsb_result result;
static unsb_key key;

static int artifact_sink(void *context, const unsb_artifact *artifact)
{
    (void)context;
    (void)artifact;
    return 0;
}

/* Every field of every list lies where it says, with the room that it says. */
static void list(const unsbi_fields *fields, size_t n)
{
    const unsbi_field *f = fields->field;
    size_t i, names = 0;

    for (i = 0; i < n; i++, f++) {
        size_t all = (f->kind & UNSBI_KIND_OF_KEY) != 0 ? sizeof key : sizeof result, room = 0;
        switch (f->kind & 0x7F) {
        case UNSBI_KIND_TEXT:
        case UNSBI_KIND_REFUSAL:
        case UNSBI_KIND_ID:
        case UNSBI_KIND_OTHER_ID:
            room = f->arg;
            prove(room >= 2, "room for a character and the NUL");
            break;
        case UNSBI_KIND_OUTPUT:
            room = sizeof(unsb_output);
            break;
        case UNSBI_KIND_BOOL:
            room = sizeof(bool);
            break;
        case UNSBI_KIND_INT32:
        case UNSBI_KIND_LOWER32:
            room = 4;
            break;
        case UNSBI_KIND_INT64:
        case UNSBI_KIND_TIME:
            room = 8;
            break;
        default:
            break;
        }
        prove(f->offset + room <= all, "a field lies in its structure");
        prove(fields->names[names] != 0, "a name for each");
        names += 1 + (size_t)fields->names[names];
    }
    prove(fields->names[names] == 0, "a field for each name");
}

#define LIST(fields) list(&fields, sizeof fields##_field / sizeof(unsbi_field))

void router_lists(void)
{
    LIST(unsbi_refusal_fields);
    LIST(unsbi_outcome_fields);
    LIST(unsbi_artifact_fields);
    LIST(unsbi_list_fields);
    LIST(unsbi_call_fields);
    LIST(unsbi_key_fields);
}

/* A piece of a text, in any room up to ROOM_MAX; router_lists shows that each field has the room
 * that it says. */
static void piece(unsb_client *c, char *text)
{
    size_t size = some_size(TEXT_MAX);

    c->u.rx.json.text = text + TEXT_MAX - size; /* it ends where the array does */
    c->u.rx.json.text_size = size;
}

void router_gather(void)
{
    unsb_client c;
    char text[TEXT_MAX], place[ROOM_MAX], before;
    size_t room, i = some_size(ROOM_MAX - 1);

    given(room >= 2 && room <= ROOM_MAX && c.v.rx.count <= room);
    piece(&c, text);
    before = place[i];
    unsbi_gather(&c, place, room);
    prove(c.v.rx.count <= room, "the invariant is kept");
    prove(c.v.rx.count == room || place[c.v.rx.count] == '\0', "NUL-terminated");
    prove(i < room || place[i] == before, "nothing beyond the room");
    for (i = 0; i < room && place[i] != '\0'; i++)
        continue;
    prove(i < room, "and within its room");
}

void router_text(void)
{
    unsb_client c;
    char text[TEXT_MAX], place[ROOM_MAX], before;
    size_t room, i = some_size(ROOM_MAX - 1);
    bool id;

    given(room >= 2 && room <= ROOM_MAX && c.v.rx.count <= room);
    piece(&c, text);
    before = place[i];
    unsbi_text(&c, place, room, id);
    prove(c.v.rx.count <= room, "the invariant is kept");
    prove(i < room || place[i] == before, "nothing beyond the room");
    prove(!id || place[0] == '\0' || (!c.v.rx.going && place[c.v.rx.count] == '\0'),
          "an id is there when it is whole");
}

/* What is open is a stack of containers, each in one that can hold it. */
static bool fits(unsigned within)
{
    unsigned in;

    for (; within != 0; within >>= 4) {
        in = within >> 4 & 15;
        switch (within & 15) {
        case UNSBI_IN_ROOT:
            if (within >> 4 != 0)
                return false;
            break;
        case UNSBI_IN_ITEMS:
            if (in > UNSBI_IN_RESULT || (in == UNSBI_IN_NOTHING && within >> 4 != 0))
                return false;
            break;
        case UNSBI_IN_RESULT:
            if (in != UNSBI_IN_ROOT)
                return false;
            break;
        case UNSBI_IN_ITEM:
            if (in != UNSBI_IN_ITEMS)
                return false;
            break;
        case UNSBI_IN_REFUSAL:
        case UNSBI_IN_ALIASES:
        case UNSBI_IN_ARTIFACTS:
        case UNSBI_IN_ARTIFACT:
        case UNSBI_IN_WASM_ARTIFACT:
            if (in != UNSBI_IN_ROOT && in != UNSBI_IN_RESULT &&
                ((within & 15) != UNSBI_IN_ARTIFACT || in != UNSBI_IN_ARTIFACTS))
                return false;
            break;
        default:
            return false;
        }
    }
    return true;
}

/* A container begins, with the field of its key, whichever that was: in an object of known fields
 * there is one, as the values of others are skipped. */
static void container(const unsbi_field *fields, size_t n)
{
    unsb_client c;
    unsbi_op op;
    size_t i;
    bool array, known, artifacts;
    unsigned was = c.v.rx.within, in = was & 15, what;

    given(fits(was) && i < n);
    client = c;
    client.op = &op;
    client.result = &result;
    result.on_artifact = artifacts ? artifact_sink : NULL;
    client.v.rx.field = known || in == UNSBI_IN_ROOT || in == UNSBI_IN_RESULT ? fields + i : NULL;
    what = unsbi_container(&client, (uint8_t)in, array);
    prove(what == UNSBI_IN_NOTHING || (was >> 12 == 0 && fits(was << 4 | what)),
          "one that can be there, and none is lost of the stack");
    prove(in != UNSBI_IN_NOTHING || what != UNSBI_IN_NOTHING || array, "an object is an answer");
    prove(what < UNSBI_IN_ARTIFACTS || artifacts, "no artifact without a sink");
}

#define CONTAINER(fields) container(fields##_field, sizeof fields##_field / sizeof(unsbi_field))

void router_container(void)
{
    CONTAINER(unsbi_outcome_fields);
    CONTAINER(unsbi_list_fields);
    CONTAINER(unsbi_call_fields);
    CONTAINER(unsbi_key_fields);
    CONTAINER(unsbi_refusal_fields);
}
