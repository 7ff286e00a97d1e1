/* batch json|http|base64 FILE: how the library reads each case of a batch (batch.h). */
#include "batch.h"
#include <math.h>
#include <stdarg.h>
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"

/* ---- JSON: "+" and the document, written anew, or "-" and why it was refused ----
 * An object is {"o":[key, value ...]}, in order and with members that are there twice. A whole
 * number is {"i":N} if 64 bits hold it, any other {"n":"-12e-3"} without needless zeros; with "~"
 * where digits or part of the exponent were dropped; with a "d", the double's bits, where it must
 * be the nearest one. A byte that is not of UTF-8 is the code unit U+DC00 + byte, as in Python.
 * With BATCH_SKIP the values of keys that begin with a to h, and containers on the third level, are
 * passed over: "~". */

static char *text, *line;
static size_t text_size, line_size, line_room;

static void put(const char *format, ...)
{
    va_list arguments;
    int n;

    if (line_room - line_size < 128) {
        line_room = line_room * 2 + 4096;
        line = (char *)realloc(line, line_room);
        batch_check(line != NULL, "out of memory");
    }
    va_start(arguments, format);
    n = vsnprintf(line + line_size, line_room - line_size, format, arguments);
    va_end(arguments);
    batch_check(n >= 0 && (size_t)n < line_room - line_size, "too long");
    line_size += (size_t)n;
}

/* The character at p, and in *size how many bytes it has: RFC 3629 section 4; or a single byte. */
static uint32_t character(const unsigned char *p, size_t left, size_t *size)
{
    uint32_t code = p[0];
    size_t n = code >= 0xF0 ? 4 : code >= 0xE0 ? 3 : code >= 0xC2 ? 2 : 1, i;

    *size = 1;
    if (code < 0x80)
        return code;
    if (n > 1 && n <= left && code <= 0xF4) {
        code &= 0x7Fu >> n;
        for (i = 1; i < n && (p[i] & 0xC0) == 0x80; i++)
            code = code << 6 | (p[i] & 0x3Fu);
        if (i == n && code >= (n == 2 ? 0x80u : n == 3 ? 0x800u : 0x10000u) && code <= 0x10FFFF &&
            (code < 0xD800 || code > 0xDFFF)) {
            *size = n;
            return code;
        }
    }
    return 0xDC00u + p[0];
}

static void put_text(void)
{
    static const char plain[] = "\"\"\\\\\nn\rr\tt\ff\bb";
    size_t i, n;

    put("\"");
    for (i = 0; i < text_size; i += n) {
        uint32_t code = character((const unsigned char *)text + i, text_size - i, &n);
        const char *short_form = code < 0x80 && code != 0 ? strchr(plain, (int)code) : NULL;
        while (short_form != NULL && (short_form - plain) % 2 != 0)
            short_form = strchr(short_form + 1, (int)code);
        if (short_form != NULL)
            put("\\%c", short_form[1]);
        else if (code >= 0x20 && code < 0x7F)
            put("%c", (int)code);
        else if (code < 0x10000)
            put("\\u%04x", (unsigned)code);
        else
            put("\\u%04x\\u%04x", (unsigned)(0xD7C0 + (code >> 10)),
                (unsigned)(0xDC00 + (code & 0x3FF)));
    }
    put("\"");
    text_size = 0;
}

static void put_number(const unsb_json_reader *r)
{
    unsigned long long m = r->mantissa;
    long exponent = r->exponent;
    long double exact = (long double)m;
    double value = unsb_json_double(r);
    uint64_t bits;
    int64_t whole;

    if (unsb_json_integer(r, &whole) == UNSB_OK) {
        put("{\"i\":%lld}", (long long)whole);
        return;
    }
    if (exponent > -260 && exponent < 280) {
        exact *= powl(10, (long double)exponent);
        exact = r->negative ? -exact : exact;
        batch_check(fabsl((long double)value - exact) <= fabsl(exact) * 1e-13L, "another double");
    }
    while (m % 10 == 0) {
        m /= 10;
        exponent++;
    }
    put("{\"n\":\"%s%s%llue%ld\"", r->inexact ? "~" : "", r->negative ? "-" : "", m, exponent);
    if (r->mantissa < 1000000000000000 && r->exponent <= 22 && r->exponent >= -22) {
        memcpy(&bits, &value, sizeof bits);
        put(",\"d\":\"%016llx\"", (unsigned long long)bits);
    }
    put("}");
}

/* Where the writing stands: `began` says whether a comma comes before the next value. */
static unsigned json_depth;
static char json_kind[UNSB_JSON_DEPTH + 1];
static int json_began, json_skips;

static void put_event(unsb_json_reader *r, int event)
{
    static const char *const literals[] = {"false", "true", "null"};
    int skip = 0;

    if (event == UNSB_JSON_OBJECT_END || event == UNSB_JSON_ARRAY_END) {
        batch_check(json_depth > 0 && json_kind[json_depth - 1] ==
                        (event == UNSB_JSON_OBJECT_END ? '{' : '['), "another's end");
        json_depth--;
        put(event == UNSB_JSON_OBJECT_END ? "]}" : "]");
        json_began = 1;
    } else if (event == UNSB_JSON_KEY || event == UNSB_JSON_STRING) {
        memcpy(text + text_size, r->text, r->text_size);
        text_size += r->text_size;
        if (r->partial)
            return;
        skip = json_skips && event == UNSB_JSON_KEY && text_size != 0 && text[0] >= 'a' &&
               text[0] <= 'h';
        put(json_began ? "," : "");
        put_text();
        put(skip ? ",\"~\"" : "");
        json_began = 1;
    } else {
        put(json_began ? "," : "");
        json_began = 1;
        skip = json_skips && event <= UNSB_JSON_ARRAY_END && json_depth == 2;
        if (skip) {
            put("\"~\"");
        } else if (event == UNSB_JSON_OBJECT_BEGIN || event == UNSB_JSON_ARRAY_BEGIN) {
            batch_check(json_depth < UNSB_JSON_DEPTH, "too deep");
            json_kind[json_depth++] = event == UNSB_JSON_OBJECT_BEGIN ? '{' : '[';
            put(event == UNSB_JSON_OBJECT_BEGIN ? "{\"o\":[" : "[");
            json_began = 0;
        } else if (event == UNSB_JSON_NUMBER) {
            put_number(r);
        } else {
            put("%s", literals[event - UNSB_JSON_FALSE]);
        }
    }
    if (skip)
        unsb_json_skip(r);
    batch_check(r->depth == json_depth, "another depth");
}

static void json_case(char *data, size_t size, int way)
{
    size_t piece = (size_t)(way & BATCH_PIECE), n, used;
    unsb_json_reader reader;
    int rc = 0;

    text = (char *)realloc(text, size * 3 + 16);
    batch_check(text != NULL, "out of memory");
    text_size = line_size = 0;
    json_depth = 0;
    json_began = 0;
    json_skips = (way & BATCH_SKIP) != 0;
    unsb_json_reader_init(&reader);
    reader.lenient = (way & BATCH_OPTION) != 0;
    do {
        n = piece != 0 && piece < size ? piece : size;
        used = 0;
        rc = n != 0 ? unsb_json_read(&reader, data, n, &used) : unsb_json_read_end(&reader);
        batch_check(used <= n && (n == 0 || used != 0 || rc != 0), "no progress");
        data += used;
        size -= used;
        if (rc > 0)
            put_event(&reader, rc);
    } while (rc > 0 || (rc == 0 && n != 0));
    batch_check(rc != 0 || json_depth == 0, "it ends within");
    if (rc == 0)
        printf("+%.*s\n", (int)line_size, line);
    else
        puts(rc == UNSB_E_JSON ? "-json" : rc == UNSB_E_JSON_DEPTH ? "-depth"
             : rc == UNSB_E_JSON_UTF8 ? "-utf8" : "-?");
}

/* ---- HTTP: as batch_print() has it, and Retry-After ("-": none came); "~" if it breaks off, or
 * "-" and why it was refused ---- */

static void http_case(char *data, size_t size, int way)
{
    size_t piece = (size_t)(way & BATCH_PIECE), n, used, body;
    int head = (way & BATCH_OPTION) != 0, rc = UNSB_PENDING;
    batch_response r;
    unsb_http http;

    memset(&r, 0, sizeof r);
    unsb_http_init(&http, head);
    for (; r.end < size && rc == UNSB_PENDING; r.end += used) {
        n = piece != 0 && piece < size - r.end ? piece : size - r.end;
        rc = unsb_http_feed(&http, data + r.end, n, &used, &body);
        batch_check(used <= n && body <= used, "more used than given");
        batch_check(rc != UNSB_PENDING || used != 0, "no progress");
        batch_body(&r, data + r.end + used - body, body);
    }
    rc = rc == UNSB_PENDING ? unsb_http_end(&http) : rc;
    r.status = http.status;
    r.close = (http.flags & UNSB_HTTP_CLOSE) != 0;
    r.framing = head || r.status == 204 || r.status == 304  ? 'n'
                : (http.flags & UNSB_HTTP_CHUNKED) != 0 ? 'c'
                : (http.flags & UNSB_HTTP_LENGTH) != 0  ? 'l'
                                                        : 'e';
    if (rc == UNSB_OK) {
        batch_print(&r);
        if ((http.flags & UNSB_HTTP_RETRY_AFTER) != 0)
            printf(" %lu\n", (unsigned long)http.retry_after_s);
        else
            puts(" -");
    } else {
        puts(rc == UNSB_E_TRUNCATED ? "~" : rc == UNSB_E_HTTP ? "-http"
             : rc == UNSB_E_HEAD_SIZE ? "-head_size" : rc == UNSB_E_RESPONSE_SIZE ? "-size" : "-?");
    }
}

/* ---- base64: "+" and the bytes in hexadecimal, or "-" ---- */

static void base64_case(char *data, size_t size, int way)
{
    size_t piece = (size_t)(way & BATCH_PIECE), at, n, made, i;
    char *out = (char *)malloc(size + 3);
    unsb_base64 state = {0, 0, 0};
    int rc = UNSB_OK;

    batch_check(out != NULL, "out of memory");
    line_size = 0;
    for (at = 0; at < size && rc == UNSB_OK; at += n) {
        n = piece != 0 && piece < size - at ? piece : size - at;
        rc = unsb_base64_decode(&state, data + at, n, out, &made);
        for (i = 0; i < made; i++)
            put("%02x", (unsigned char)out[i]);
    }
    rc = rc == UNSB_OK ? unsb_base64_decode_end(&state) : rc;
    if (rc == UNSB_OK)
        printf("+%.*s\n", (int)line_size, line_size != 0 ? line : "");
    else
        puts(rc == UNSB_E_BASE64 ? "-" : "-?");
    free(out);
}

int main(int argc, char **argv)
{
    int rc = 2;

    if (argc == 3 && strcmp(argv[1], "json") == 0)
        rc = batch_run(argv[2], json_case);
    if (argc == 3 && strcmp(argv[1], "http") == 0)
        rc = batch_run(argv[2], http_case);
    if (argc == 3 && strcmp(argv[1], "base64") == 0)
        rc = batch_run(argv[2], base64_case);
    free(text);
    free(line);
    return rc;
}
