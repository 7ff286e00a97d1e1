/* libFuzzer: the JSON reader, the HTTP decoder and the base64 decoder must see the same in one piece as
 * in pieces of any size, write to nothing they have not used, and never stop making progress. The
 * first byte chooses the part, the second the size of the pieces. */
#include <stdio.h>
#include <stdlib.h>
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a part made of its input: every event and byte, and the verdict. */
typedef struct trace {
    uint8_t *bytes;
    size_t size, capacity;
    int rc;
} trace;

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

static void record(trace *t, const void *bytes, size_t size)
{
    check(t->size + size <= t->capacity, "more output than input allows");
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

static void run_json(trace *t, char *text, size_t size, size_t piece)
{
    unsb_json_reader reader;
    bool open = false;
    size_t used;
    int rc = 0;

    unsb_json_reader_init(&reader);
    while (size != 0 && rc >= 0) {
        size_t n = size < piece ? size : piece;
        while (n != 0 && rc >= 0) {
            uint8_t mark[12] = {0};
            rc = unsb_json_read(&reader, text, n, &used);
            check(used <= n && (used != 0 || rc != 0), "no progress");
            check(reader.depth <= UNSB_JSON_DEPTH, "too deep");
            text += used;
            size -= used;
            n -= used;
            if (rc <= 0)
                continue;
            if (rc == UNSB_JSON_KEY || rc == UNSB_JSON_STRING) {
                record(t, reader.text, reader.text_size);
                open = reader.partial;
                if (open)
                    continue;
            } else {
                check(!open, "an event within a string");
            }
            mark[0] = (uint8_t)rc;
            mark[1] = reader.depth;
            if (rc == UNSB_JSON_NUMBER) {
                memcpy(mark + 2, &reader.mantissa, 8);
                memcpy(mark + 10, &reader.exponent, 2);
            }
            record(t, mark, sizeof mark);
        }
    }
    t->rc = rc < 0 ? rc : unsb_json_read_end(&reader);
}

static void run_http(trace *t, char *text, size_t size, size_t piece)
{
    unsb_http http;
    size_t used, body;
    int rc = UNSB_PENDING;

    unsb_http_init(&http, false);
    while (size != 0 && rc == UNSB_PENDING) {
        size_t n = size < piece ? size : piece;
        while (n != 0 && rc == UNSB_PENDING) {
            rc = unsb_http_feed(&http, text, n, &used, &body);
            check(used <= n && body <= used, "more used than given");
            check(rc != UNSB_PENDING || used != 0, "no progress");
            record(t, text + used - body, body);
            text += used;
            size -= used;
            n -= used;
        }
    }
    t->rc = rc == UNSB_PENDING ? unsb_http_end(&http) : rc;
    record(t, &http.status, sizeof http.status);
    record(t, &http.flags, sizeof http.flags);
    record(t, &http.retry_after_s, sizeof http.retry_after_s);
    if (rc == UNSB_OK)
        record(t, &size, sizeof size);
}

static void run_base64(trace *t, char *text, size_t size, size_t piece)
{
    unsb_base64 state = {0, 0, 0};
    size_t made;
    int rc = UNSB_OK;

    while (size != 0 && rc == UNSB_OK) {
        size_t n = size < piece ? size : piece;
        rc = unsb_base64_decode(&state, text, n, text, &made);
        check(made <= n, "more decoded than given");
        record(t, text, made);
        text += n;
        size -= n;
    }
    t->rc = rc == UNSB_OK ? unsb_base64_decode_end(&state) : rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const part[])(trace *, char *, size_t, size_t) = {run_json, run_http, run_base64};
    trace whole = {NULL, 0, 0, 0}, pieces = {NULL, 0, 0, 0};
    size_t which, piece;
    char *copy;

    if (size < 2)
        return 0;
    which = data[0] % 3u;
    piece = data[1] % 31u + 1u;
    data += 2;
    size -= 2;
    whole.capacity = pieces.capacity = size * 14 + 64;
    whole.bytes = malloc(whole.capacity);
    pieces.bytes = malloc(pieces.capacity);
    copy = malloc(size + 1); /* exact: an access beyond it is seen by the sanitizer */
    check(whole.bytes != NULL && pieces.bytes != NULL && copy != NULL, "out of memory");
    memcpy(copy, data, size);
    part[which](&whole, copy, size, size + 1);
    memcpy(copy, data, size);
    part[which](&pieces, copy, size, piece);
    check(whole.rc == pieces.rc && whole.size == pieces.size &&
              memcmp(whole.bytes, pieces.bytes, whole.size) == 0,
          "pieces differ from the whole");
    free(copy);
    free(whole.bytes);
    free(pieces.bytes);
    return 0;
}
