/* The JSON writer: from any state that the invariant allows, any call keeps it. */
#include "proof.h"

#define MEMORY_MAX 5
#define DATA_MAX 6

static int sink(void *context, const void *data, size_t size)
{
    int rc;

    (void)context;
    prove(size == 0 || __CPROVER_r_ok(data, size), "a sink can read what it gets");
    return rc;
}

static bool holds(const unsb_json_writer *w)
{
    if (w->depth > sizeof w->arrays * 8 || (w->flags & (w->flags - 1)) != 0 ||
        w->flags > UNSBI_WRITER_DONE)
        return false;
    if (w->error != UNSB_OK)
        return true;
    if (w->flags == UNSBI_WRITER_DONE && w->depth != 0)
        return false;
    if (w->flags == UNSBI_WRITER_COMMA && w->depth == 0)
        return false;
    return w->flags != UNSBI_WRITER_KEYED || unsbi_json_in_object(w);
}

/* Memory is NUL-terminated within its capacity, or there is none. */
static bool ends(const unsb_output *out)
{
    return out->capacity == 0 ||
           out->data[out->size < out->capacity ? out->size : out->capacity - 1] == '\0';
}

static char memory[MEMORY_MAX];

static void any_output(unsb_output *out)
{
    bool sinks;
    char any[MEMORY_MAX];

    memcpy(memory, any, sizeof memory);
    given(out->capacity <= MEMORY_MAX);
    out->data = memory + MEMORY_MAX - out->capacity; /* it ends where the array does */
    out->write = sinks ? sink : NULL;
}

/* What every output gets, of any size up to DATA_MAX at once. */
void writer_output(void)
{
    unsb_output out, was;
    size_t size = some_size(DATA_MAX), i = some_size(MEMORY_MAX - 1), at;
    char data[DATA_MAX], *from = data + DATA_MAX - size, before;
    int rc;

    any_output(&out);
    given(ends(&out));
    was = out;
    before = memory[i];
    rc = unsbi_output_put(&out, from, size);
    prove(ends(&out), "memory is NUL-terminated");
    prove(rc <= 0, "a sink's code is no event");
    prove(out.size == (size > (unsb_size)-1 - was.size ? (unsb_size)-1 : was.size + size),
          "all is counted, as far as that goes");
    at = i - (MEMORY_MAX - out.capacity); /* place i, as the output sees it */
    if (i < MEMORY_MAX - out.capacity || at < was.size)
        prove(memory[i] == before, "what stood there stays");
    else if (at < out.capacity - 1 && at - was.size < size)
        prove(memory[i] == from[at - was.size], "what fits is there");
}

void writer_start(void)
{
    unsb_output out;
    unsb_json_writer w;

    any_output(&out);
    unsb_json_writer_init(&w, &out);
    prove(holds(&w) && ends(&out) && out.size == 0, "init makes the invariant");
    prove(unsb_json_writer_end(&w) == UNSB_E_ARGUMENT, "nothing is no document");
}

/* One call: any but those with a text, whose encoder is proved in encode.c. */
void writer_step(void)
{
    unsb_output out;
    unsb_json_writer w, was;
    uint8_t call;
    bool value;
    int rc;

    any_output(&out);
    given(ends(&out) && out.size < (unsb_size)-1 - 64);
    w.out = &out;
    given(holds(&w) && w.error <= 0);
    was = w;
    switch (call) {
    case 0: unsb_json_object_begin(&w); break;
    case 1: unsb_json_object_end(&w); break;
    case 2: unsb_json_array_begin(&w); break;
    case 3: unsb_json_array_end(&w); break;
    case 4: unsb_json_bool(&w, value); break;
    default: unsb_json_null(&w); break;
    }
    prove(holds(&w), "the invariant is kept");
    prove(ends(&out), "memory is NUL-terminated");
    prove(was.error == UNSB_OK || w.error == was.error, "the first error sticks");
    rc = unsb_json_writer_end(&w);
    prove((rc == UNSB_OK) == (w.error == UNSB_OK && w.flags == UNSBI_WRITER_DONE), "the end");
}

void writer_number(void)
{
    unsb_output out;
    unsb_json_writer w, was;
    int64_t value;

    any_output(&out);
    given(ends(&out) && out.size < (unsb_size)-1 - 64);
    w.out = &out;
    given(holds(&w) && w.error <= 0);
    was = w;
    unsb_json_number(&w, value);
    prove(holds(&w) && ends(&out), "the invariant is kept");
}
