/* One build: DIFF_BUILD names it, the options are set. See diff.h. */
#include "diff.h"
#include <stdlib.h>

#define UNSB_STATIC 1
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"

#define DIFF_TEXT_(name) #name
#define DIFF_TEXT(name) DIFF_TEXT_(name)

static void put(diff_trace *t, const void *bytes, size_t size)
{
    if (size > t->capacity - t->size) {
        fprintf(stderr, "%s: more answers than calls allow\n", DIFF_TEXT(DIFF_BUILD));
        abort();
    }
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

static void put_number(diff_trace *t, int64_t number)
{
    put(t, &number, sizeof number);
}

/* The next piece: the same in all builds. */
static size_t next_piece(const diff_way *way, uint32_t *random, size_t left)
{
    size_t n = way->piece;

    if (n > 100) {
        *random = *random * 1664525u + 1013904223u;
        n = 1 + (*random >> 16) % (way->piece - 100u);
    }
    return n == 0 || n > left ? left : n;
}

static void put_event(diff_trace *t, const unsb_json_reader *r, int event, size_t used)
{
    uint8_t byte = (uint8_t)event;

    put(t, &byte, 1);
    byte = (uint8_t)used; /* the sum of them follows from the next ones */
    put(t, &byte, 1);
    put(t, &r->depth, 1);
    if (event == UNSB_JSON_KEY || event == UNSB_JSON_STRING) {
        byte = r->partial;
        put(t, &byte, 1);
        put(t, r->text, r->text_size);
    }
    if (event == UNSB_JSON_NUMBER) {
        int64_t value = 0;
        put(t, &r->mantissa, sizeof r->mantissa);
        put(t, &r->exponent, sizeof r->exponent);
        byte = (uint8_t)(r->negative | r->inexact << 1);
        put(t, &byte, 1);
        byte = (uint8_t)unsb_json_integer(r, &value);
        put(t, &byte, 1);
        put(t, &value, sizeof value);
    }
}

static void run_json(diff_trace *t, const diff_way *way, char *text, size_t size)
{
    unsb_json_reader reader;
    uint32_t random = 1, events = 0;
    size_t used, n, sum = 0;
    int event = 0;

    unsb_json_reader_init(&reader);
    reader.lenient = (way->option & 1) != 0;
    while (size != 0 && event >= 0)
        for (n = next_piece(way, &random, size); n != 0 && event >= 0;) {
            event = unsb_json_read(&reader, text, n, &used);
            put_event(t, &reader, event, used);
            if (used > n || (used == 0 && event == 0))
                abort();
            text += used;
            size -= used;
            n -= used;
            sum += used;
            events++;
            /* some values are passed over */
            if ((way->option >> (events & 1) & 2) != 0 && events % 3 == 0 &&
                ((event == UNSB_JSON_KEY && !reader.partial) ||
                 event == UNSB_JSON_OBJECT_BEGIN || event == UNSB_JSON_ARRAY_BEGIN))
                unsb_json_skip(&reader);
        }
    put_number(t, (int64_t)sum);
    event = unsb_json_read(&reader, text, 0, &used);
    put_number(t, event);
    event = unsb_json_read_end(&reader);
    put_event(t, &reader, event, 0);
    put_number(t, unsb_json_read_end(&reader));
}

static void run_http(diff_trace *t, const diff_way *way, char *text, size_t size)
{
    unsb_http http;
    uint32_t random = 1;
    size_t used = 0, body = 0, n, sum = 0;
    int rc = UNSB_PENDING;

    unsb_http_init(&http, (way->option & 1) != 0);
    while (size != 0 && rc == UNSB_PENDING)
        for (n = next_piece(way, &random, size); n != 0 && rc == UNSB_PENDING;) {
            rc = unsb_http_feed(&http, text, n, &used, &body);
            if (used > n || body > used || (used == 0 && rc == UNSB_PENDING))
                abort();
            put(t, text + used - body, body);
            put_number(t, (int64_t)(used * 4096 + body));
            put(t, &http.flags, 1);
            put(t, &http.status, sizeof http.status);
            text += used;
            size -= used;
            n -= used;
            sum += used;
        }
    put_number(t, rc);
    put_number(t, (int64_t)sum);
    put_number(t, (int64_t)http.retry_after_s);
    put_number(t, unsb_http_end(&http));
    if (size != 0) {
        put_number(t, unsb_http_feed(&http, text, size, &used, &body));
        put_number(t, (int64_t)used);
    }
}

static void run_decode(diff_trace *t, const diff_way *way, char *text, size_t size)
{
    unsb_base64 state = {0, 0, 0};
    uint32_t random = 1;
    size_t n, made, room;
    char *out;
    int rc = UNSB_OK;

    while (size != 0 && rc == UNSB_OK) {
        n = next_piece(way, &random, size);
        room = n / 4 * 3 + 3;
        out = (way->option & 1) != 0 ? (char *)malloc(room) : text;
        if (out == NULL)
            abort();
        rc = unsb_base64_decode(&state, text, n, out, &made);
        put_number(t, rc);
        put_number(t, (int64_t)made);
        if (made > room)
            abort();
        put(t, out, made);
        if (out != text)
            free(out);
        text += n;
        size -= n;
    }
    put_number(t, unsb_base64_decode_end(&state));
}

static void run_encode(diff_trace *t, const diff_way *way, char *text, size_t size)
{
    unsb_base64 state = {0, 0, 0};
    uint32_t random = 1;
    size_t n, made;
    char end[4];

    while (size != 0) {
        char *out;
        n = next_piece(way, &random, size);
        out = (char *)malloc(UNSB_BASE64_SIZE(n + 2));
        if (out == NULL)
            abort();
        made = unsb_base64_encode(&state, text, n, out);
        put_number(t, (int64_t)made);
        put(t, out, made);
        free(out);
        text += n;
        size -= n;
    }
    put(t, end, unsb_base64_encode_end(&state, end));
}

static int write_out(void *context, const void *data, size_t size)
{
    put((diff_trace *)context, data, size);
    return 0;
}

static void run_writer(diff_trace *t, const diff_way *way, char *text, size_t size)
{
    unsb_json_writer writer;
    unsb_output out;
    uint32_t random = 1;
    size_t n;

    memset(&out, 0, sizeof out);
    out.write = write_out;
    out.context = t;
    unsb_json_writer_init(&writer, &out);
    unsb_json_array_begin(&writer);
    for (; size != 0; text += n, size -= n) {
        n = next_piece(way, &random, size);
        unsb_json_string(&writer, text, n);
    }
    unsb_json_array_end(&writer);
    put_number(t, unsb_json_writer_end(&writer));
    put_number(t, (int64_t)out.size);
}

static void run(diff_trace *t, const diff_way *way, char *text, size_t size)
{
    static void (*const parts[DIFF_PARTS])(diff_trace *, const diff_way *, char *, size_t) = {
        run_json, run_http, run_decode, run_encode, run_writer};

    parts[way->part](t, way, text, size);
}

const diff_build DIFF_BUILD = {DIFF_TEXT(DIFF_BUILD), run};
