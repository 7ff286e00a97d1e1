/* libFuzzer: the strict JSON reader against jansson: what one takes the other takes, and both read
 * the same value. The first byte chooses the size of the pieces. The lenient reader tells the same
 * of what the strict one takes, and of anything the same in whatever pieces it comes. */
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

typedef struct tree {
    json_t *at[UNSB_JSON_DEPTH + 1]; /* open containers, the document's only value in an array */
    unsigned depth;
    bool inexact; /* has a number that the reader does not hold exactly */
    char *key, *text;
    size_t key_size, size;
} tree;

static void add(tree *t, json_t *value)
{
    json_t *parent = t->at[t->depth];

    check(value != NULL, "jansson cannot hold it");
    if (json_is_object(parent))
        check(json_object_setn_new(parent, t->key, t->key_size, value) == 0, "no member");
    else
        check(json_array_append_new(parent, value) == 0, "no element");
}

static void open_container(tree *t, json_t *value)
{
    add(t, value);
    check(t->depth < UNSB_JSON_DEPTH, "too deep");
    t->at[++t->depth] = value;
}

static void add_number(tree *t, const unsb_json_reader *r)
{
    int64_t value;
    double real;

    if (unsb_json_integer(r, &value) == UNSB_OK) {
        add(t, json_integer(value));
        return;
    }
    real = (double)r->mantissa * pow(10.0, r->exponent);
    t->inexact = t->inexact || r->inexact || !isfinite(real) || (real == 0 && r->mantissa != 0);
    add(t, json_real(isfinite(real) ? r->negative ? -real : real : 0));
}

static void event(tree *t, const unsb_json_reader *r, int what)
{
    switch (what) {
    case UNSB_JSON_OBJECT_BEGIN:
        open_container(t, json_object());
        break;
    case UNSB_JSON_ARRAY_BEGIN:
        open_container(t, json_array());
        break;
    case UNSB_JSON_OBJECT_END:
    case UNSB_JSON_ARRAY_END:
        check(t->depth != 0, "more ends than beginnings");
        check(json_is_object(t->at[t->depth]) == (what == UNSB_JSON_OBJECT_END), "another's end");
        t->depth--;
        break;
    case UNSB_JSON_KEY:
    case UNSB_JSON_STRING:
        memcpy(t->text + t->size, r->text, r->text_size);
        t->size += r->text_size;
        if (r->partial)
            break;
        if (what == UNSB_JSON_KEY) {
            memcpy(t->key, t->text, t->size);
            t->key_size = t->size;
        } else {
            add(t, json_stringn(t->text, t->size));
        }
        t->size = 0;
        break;
    case UNSB_JSON_NUMBER:
        add_number(t, r);
        break;
    case UNSB_JSON_TRUE:
    case UNSB_JSON_FALSE:
        add(t, json_boolean(what == UNSB_JSON_TRUE));
        break;
    default:
        check(what == UNSB_JSON_NULL, "no such event");
        add(t, json_null());
        break;
    }
}

static int read_all(tree *t, char *text, size_t size, size_t piece)
{
    unsb_json_reader reader;
    int rc = 0;

    unsb_json_reader_init(&reader);
    while (size != 0) {
        size_t n = size < piece ? size : piece, used;
        rc = unsb_json_read(&reader, text, n, &used);
        check(used <= n && (used != 0 || rc != 0), "no progress");
        if (rc < 0)
            return rc;
        text += used;
        size -= used;
        if (rc > 0)
            event(t, &reader, rc);
    }
    rc = unsb_json_read_end(&reader);
    if (rc > 0) {
        event(t, &reader, rc);
        rc = unsb_json_read_end(&reader);
    }
    return rc;
}

/* A fraction may differ in what is rounded. */
static bool same(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a), y = json_number_value(b);
        if (json_is_integer(a) && json_is_integer(b))
            return json_integer_value(a) == json_integer_value(b);
        return fabs(x - y) <= 1e-9 * (fabs(x) + fabs(y)) + 1e-300;
    }
    if (json_is_array(a) && json_is_array(b)) {
        for (i = 0; i < json_array_size(a); i++)
            if (!same(json_array_get(a, i), json_array_get(b, i)))
                return false;
        return json_array_size(a) == json_array_size(b);
    }
    if (json_is_object(a) && json_is_object(b)) {
        json_object_foreach((json_t *)(uintptr_t)a, key, value)
            if (json_object_get(b, key) == NULL || !same(value, json_object_get(b, key)))
                return false;
        return json_object_size(a) == json_object_size(b);
    }
    return json_equal(a, b);
}

/* All that a reader tells, as bytes: each event, with its text or number, and the result. */
typedef struct told {
    char *bytes;
    size_t size, room;
} told;

static void tell(told *t, const void *bytes, size_t size)
{
    check(size <= t->room - t->size, "more is told than there was");
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

static int tell_all(told *t, const uint8_t *data, size_t size, size_t piece, bool lenient)
{
    unsb_json_reader reader;
    char *text = malloc(size + 1), *p = text;
    size_t used, n;
    bool going = false;
    char code;
    int rc = 0;

    t->size = 0;
    t->room = 32 * size + 64;
    t->bytes = malloc(t->room);
    check(text != NULL && t->bytes != NULL, "out of memory");
    memcpy(text, data, size);
    unsb_json_reader_init(&reader);
    reader.lenient = lenient;
    do {
        n = size < piece ? size : piece;
        used = 0;
        rc = n != 0 ? unsb_json_read(&reader, p, n, &used) : unsb_json_read_end(&reader);
        check(used <= n && (n == 0 || used != 0 || rc != 0), "no progress");
        p += used;
        size -= used;
        if (rc <= 0)
            continue;
        code = (char)rc;
        if (!going)
            tell(t, &code, 1);
        going = rc <= UNSB_JSON_STRING && reader.partial;
        if (rc <= UNSB_JSON_STRING) {
            tell(t, reader.text, reader.text_size);
            if (!going) /* the end of a text */
                tell(t, "\xFF\xFE", 2);
        } else if (rc == UNSB_JSON_NUMBER) {
            tell(t, &reader.mantissa, sizeof reader.mantissa);
            tell(t, &reader.exponent, sizeof reader.exponent);
            code = (char)(reader.inexact | reader.negative << 1);
            tell(t, &code, 1);
        }
    } while (rc > 0 || (rc == 0 && n != 0));
    free(text);
    return rc;
}

static void check_lenient(const uint8_t *data, size_t size, size_t piece)
{
    told strict, whole, pieces;
    int strict_rc = tell_all(&strict, data, size, size + 1, false);
    int rc = tell_all(&whole, data, size, size + 1, true);

    check(tell_all(&pieces, data, size, piece, true) == rc, "another result in pieces");
    /* an error may be met before what is good of the same text was told */
    if (rc == UNSB_OK)
        check(whole.size == pieces.size && memcmp(whole.bytes, pieces.bytes, whole.size) == 0,
              "another value in pieces");
    if (strict_rc == UNSB_OK)
        check(rc == UNSB_OK && strict.size == whole.size &&
              memcmp(strict.bytes, whole.bytes, whole.size) == 0, "lenient reads another value");
    free(strict.bytes);
    free(whole.bytes);
    free(pieces.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);
    json_error_t error;
    json_t *theirs;
    tree t;
    int rc;

    memset(&t, 0, sizeof t);
    t.key = malloc(size + 1);
    t.text = malloc(size + 1);
    t.at[0] = json_array();
    check(copy != NULL && t.key != NULL && t.text != NULL && t.at[0] != NULL, "out of memory");
    if (size != 0) {
        memcpy(copy, data + 1, size - 1);
        rc = read_all(&t, copy, size - 1, data[0] % 32u == 0 ? size : data[0] % 32u);
        theirs = json_loadb((const char *)data + 1, size - 1, JSON_DECODE_ANY | JSON_ALLOW_NUL,
                            &error);
        if (memchr(data + 1, 0, size - 1) != NULL) { /* jansson passes over some of these */
            check(rc != UNSB_OK, "a NUL is no JSON");
        } else if (theirs != NULL && rc != UNSB_E_JSON_DEPTH) {
            check(rc == UNSB_OK, "jansson takes it");
            check(json_array_size(t.at[0]) == 1 && t.depth == 0, "not one value");
            check(t.inexact || same(json_array_get(t.at[0], 0), theirs), "another value");
        } else if (theirs == NULL && rc == UNSB_OK) {
            int code = json_error_code(&error);
            check(code == json_error_numeric_overflow || code == json_error_null_byte_in_key,
                  error.text);
        }
        json_decref(theirs);
        check_lenient(data + 1, size - 1, data[0] % 32u == 0 ? size : data[0] % 32u);
    }
    json_decref(t.at[0]);
    free(copy);
    free(t.key);
    free(t.text);
    return 0;
}
