/* The writer of requests, by induction over its steps: whatever the caller's texts are, and however
 * small the buffer, each leaves `end` within it, and the writer at a place of the template where a
 * step begins, in an item that there is.
 *
 * A step that writes a field's text is unsbi_put(), and that of any segment is proved alone; so the
 * steps through the templates know it by that. An encoder is known by what encode.c proves, the
 * digits of a number by what number_decimal does. */
#define UNSBI_PROOF(name) any_##name
#include <stddef.h>
#include <stdint.h>
struct unsb_client;
struct unsbi_segment;
static int any_put(struct unsb_client *client, const struct unsbi_segment *s);
static char *any_decimal(uint64_t value, char *end);
static size_t any_len(const char *field);
#include "proof.h"

#define PIECE_MAX 4
#define BUFFER_MAX 13 /* one more than an encoder must have */
#define ITEMS 2
#define DIGITS_MAX 20

/* ---- a segment ---- */

/* Any source: a part of what was asked for, or an error; or what no source should return. */
static int any_source(void *context, unsb_size offset, void *buffer, size_t size)
{
    int n;

    (void)context;
    (void)offset;
    prove(size != 0 && size <= UNSBI_INT_MAX && __CPROVER_w_ok(buffer, size), "room for that");
    return n;
}

static int any_encoder(unsbi_encoding *e)
{
    size_t left = (size_t)(e->in_end - e->in), in, out;
    int rc;

    prove(left != 0 && e->in - e->out >= UNSBI_UNIT_MAX, "a unit's room, and something to encode");
    prove(__CPROVER_w_ok(e->out, UNSBI_UNIT_MAX) && __CPROVER_r_ok(e->in, left), "of the buffer");
    given(rc <= 0);
    given(in >= 1 && in <= 3 && in <= left && out >= 1 && out <= UNSBI_UNIT_MAX);
    e->in += in;
    e->out += out;
    return rc;
}

static void put(size_t buffer_max, bool reads, bool encodes)
{
    unsb_client c;
    unsbi_segment s;
    uint8_t data[PIECE_MAX], room[BUFFER_MAX];
    unsb_size was;
    int rc;

    given(c.config.buffer_size <= buffer_max && c.end <= c.config.buffer_size);
    /* it ends where the array does */
    c.config.buffer = (char *)room + BUFFER_MAX - c.config.buffer_size;
    given(c.v.tx.offset <= s.source.size);
    s.source.read = reads ? any_source : NULL;
    s.encode = encodes ? any_encoder : NULL;
    if (!reads) {
        given(s.source.size <= sizeof data);
        s.source.data = data + sizeof data - s.source.size; /* likewise */
    }
    was = c.v.tx.offset;
    rc = unsbi_put(&c, &s);
    prove(c.end <= c.config.buffer_size, "within the buffer");
    prove(c.v.tx.offset <= s.source.size, "within the segment");
    prove(rc != UNSB_OK || c.v.tx.offset == 0, "OK: all of it");
    prove(rc == UNSB_OK || rc == UNSB_E_UTF8 || c.v.tx.offset >= was, "it gets on");
    prove(rc != UNSB_PENDING || c.config.buffer_size - c.end < (encodes ? UNSBI_ROOM_MIN : 1),
          "pending: there is no room");
}

/* A source of any size that gives as much at once as it likes; memory; and what is encoded. */
void request_put_source(void) { put(PIECE_MAX, true, false); }
void request_put_memory(void) { put(PIECE_MAX, false, false); }
void request_put_encoded(void) { put(BUFFER_MAX, false, true); }

/* ---- the templates ---- */

static unsb_client client;
static unsb_program program;
static unsb_call call;
static unsb_result result;
static unsbi_op op;
static unsb_env env[ITEMS];
static unsb_file files[ITEMS];
static unsb_header headers[ITEMS];
static char text[3], buffer[4];
static const void *input; /* the program, or the call */

static int any_put(unsb_client *c, const unsbi_segment *s)
{
    unsb_size offset;
    size_t end;
    int rc;

    prove(c->end <= c->config.buffer_size, "within the buffer");
    prove(s->source.read != NULL || s->source.size == 0 ||
              __CPROVER_r_ok(s->source.data, s->source.size), "a field's text is there");
    given(end >= c->end && end <= c->config.buffer_size &&
          offset <= (rc != UNSB_OK ? s->source.size : 0));
    c->end = end;
    c->v.tx.offset = offset;
    return rc;
}

static char *any_decimal(uint64_t value, char *end)
{
    size_t digits, i;

    (void)value;
    given(digits >= 1 && digits <= DIGITS_MAX);
    for (i = 1; i <= DIGITS_MAX; i++) { /* before the first one: bytes of no account */
        char digit;
        given(digit >= '0' && digit <= '9');
        end[-(int)i] = digit;
    }
    return end - digits;
}

/* strlen() of a field's text, of which none here is longer than the digits of a number. */
static size_t any_len(const char *field)
{
    size_t n = 0;

    while (field[n] != '\0')
        n++;
    return n;
}

static void any_source_of(unsb_source *source)
{
    bool reads;

    source->read = reads ? any_source : NULL;
    given(reads || source->size <= sizeof text);
    source->data = text;
}

/* Anything that the checks of a call let pass; texts of up to two bytes. */
static void any_request(void)
{
    unsb_client c;
    unsb_program p;
    unsb_call u;
    unsbi_op o;
    char any[sizeof text];
    bool has[6];
    size_t i;

    client = c;
    program = p;
    call = u;
    for (i = 0; i < sizeof any; i++)
        text[i] = any[i];
    text[sizeof text - 1] = '\0';
    op.flags = o.flags;
    client.op = &op;
    client.input = input;
    client.result = &result;
    client.config.host = client.config.api_key = text;
    client.config.secret_key = has[0] ? text : NULL;
    given(client.config.buffer_size <= sizeof buffer);
    client.config.buffer = buffer + sizeof buffer - client.config.buffer_size;
    program.language = text;
    program.extra = has[1] ? text : NULL;
    any_source_of(&program.code);
    any_source_of(&call.body);
    program.env = env;
    program.files = files;
    call.headers = headers;
    given(program.env_count <= ITEMS && program.file_count <= ITEMS &&
          call.header_count <= ITEMS);
    for (i = 0; i < ITEMS; i++) {
        env[i].name = env[i].value = headers[i].name = headers[i].value = text;
        files[i].name = has[2] ? text : NULL;
        any_source_of(&files[i].source);
    }
    call.method = call.path = text;
    call.content_type = has[3] ? text : NULL;
}

/* How many items the list has whose field is `code`. */
static size_t items(char code)
{
    return code == 'E' ? program.env_count : code == 'F' ? program.file_count : call.header_count;
}

/* Is it the end of a template? */
static bool is_over(const char *t)
{
    return t[0] == '\0' && t[1] == '\0';
}

/* The field of the list in which that is which follows what begins at `t`, or NUL: a list lies in
 * the group of its field, and ends with its \0]. `list`: in which `t` is. */
static char list_behind(const char *t, char list)
{
    const char *p;

    if (t[0] != '\0' || (t[1] != '(' && t[1] != ']'))
        return list;
    /* to overlook a list is no weaker: its items are not the first one then, as they must be */
    for (p = t + 3; t[1] == '(' && strchr("EFf", t[2]) != NULL && !is_over(p); p++) {
        if (p[0] == '\0' && p[1] == ']' && p[2] == t[2])
            return t[2];
    }
    return t[1] == ']' ? '\0' : list;
}

/* How long what begins at `at` is, so that the next step begins behind it. */
static size_t length_at(const char *t)
{
    return *t != '\0' ? 1 : t[1] == '(' || t[1] == ']' ? 3 : 2;
}

/* An item that there is, in that list; the first one outside of any. */
static bool item_holds(char list)
{
    return list != '\0' ? client.v.tx.item < items(list) : client.v.tx.item == 0;
}

/* Behind the group that begins at `at`. */
static size_t group_end(const char *base, size_t at)
{
    int depth = 0;

    do {
        if (base[at] == '\0')
            depth += (base[at + 1] == '(') - (base[at + 1] == ')');
        at += length_at(base + at);
    } while (depth != 0);
    return at;
}

/* One step at `at`, in `list`, which begins at `begin`. It leads on to what follows, or behind the
 * group, or to the next item, or not far, or nowhere; each is a place where a step begins. */
static void step(const char *base, size_t at, char list, size_t begin)
{
    const char *t = base + at;
    bool field = *t == '\0', group = field && t[1] == '(', ends = field && t[1] == ']';
    size_t end, to, behind = at + length_at(t);
    unsb_client any; /* any state of the writer; steps() has made a request, any one, too */
    int rc;

    client.v.tx = any.v.tx;
    client.end = any.end;
    given(client.end <= client.config.buffer_size && item_holds(list));
    end = client.end;
    rc = unsbi_put_next(&client, &t);
    to = (size_t)(t - base);
    if (!field) {
        while (base[behind] != '\0')
            behind++;
        prove(to == (rc == UNSB_OK ? behind : at), "a step begins there");
    } else {
        prove(to == behind || (rc != UNSB_OK && to == at) || (ends && to == begin) ||
                  (group && to == group_end(base, at)), "a step begins there");
    }
    prove(item_holds(!ends ? (group && to == behind ? list_behind(base + at, list) : list)
                           : to == begin ? list : '\0'), "an item that there is");
    prove(client.end >= end && client.end <= client.config.buffer_size, "within the buffer");
    prove(rc == UNSB_OK || to == at, "again, if it was not all");
}

static void steps(const char *base)
{
    size_t at, begin = 0;
    char list = '\0';
    bool literal, within = false;

    any_request();
    for (at = 0; !is_over(base + at); at += length_at(base + at)) {
        literal = base[at] != '\0';
        /* within literal text, of which the first character is as good: no step */
        if (!literal || !within)
            step(base, at, list, begin);
        within = literal;
        if (base[at] == '\0' && base[at + 1] == '[')
            begin = at;
        list = list_behind(base + at, list);
    }
}

void request_head(void)
{
    input = &call;
    op.field = unsbi_call_field; /* with fields of the caller's own, and its method */
    steps(unsbi_head_template);
}

void request_execute(void)
{
    input = &program;
    op.field = unsbi_program_field;
    op.method = "POST";
    steps(unsbi_execute_template);
}

void request_run(void)
{
    input = &program;
    op.field = unsbi_run_field;
    op.method = "POST";
    steps(unsbi_run_target);
}
