/* What the parts make of many inputs, as text: the fast and the compact build must print the same.
 *
 *     transcript SEED COUNT [FROM]    a line for each thousand inputs, from FROM on; or, with COUNT 1,
 *                                     the input and all that came of it
 *
 * Inputs are documents, responses and base64 texts with a few bytes changed, in pieces that end
 * anywhere. Each step's code, *used, text and state count, errors included. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"

static uint64_t random_state, digest;
static int verbose;

static uint32_t pick(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 11) % below);
}

static void note_bytes(const void *data, size_t size)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t i;

    for (i = 0; i < size; i++)
        digest = (digest ^ p[i]) * 0x100000001B3u;
    for (i = 0; verbose && i < size; i++)
        printf(p[i] >= ' ' && p[i] < 0x7F && p[i] != '\\' ? "%c" : "\\x%02X", p[i]);
}

static void note(const char *format, ...)
{
    char line[200];
    va_list list;
    int n;

    va_start(list, format);
    n = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    note_bytes(line, (size_t)n);
    if (verbose)
        puts("");
}

/* ---- inputs ---- */

static const char *const documents[] = {
    "{\"success\":true,\"stdout\":\"Hello \\u00e9\\n\\ud83d\\ude00 caf\xC3\xA9 \xE2\x82\xAC\",\"exit_code\":-12}",
    "[1,-0.5e+10,1e400,123456789012345678901234567890,0.000,[],{},[[[]]],null,true,false,\"\"]",
    " {\"a\" : {\"b\":[{\"c\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}]} , \"long\":\"plain text of some length, all of it\"} ",
    "{\"stdout\":\"\\udc80\\udcff\\ud800x\\udc00\\ud83d\\ud83d\\ude00\",\"k\\u0065y\":\"\\u0000\x01\xFF\xC3\"}",
    "\"a text alone, with a tail of bytes that is longer than one word of eight\"", "123.456e-7",
    "{\"x\":NaN,\"y\":[1,{\"z\":\"]}\"},\"q\\\"\"],\"w\":\"\xF0\x9F\x98\x80\"}"};
static const char *const responses[] = {
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhellorest",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nTransfer-Encoding: chunked\r\nServer: x\r\n\r\n"
    "5;a=b\r\nhello\r\n00A \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nrest",
    "HTTP/1.0 404 Not Found\nX: a long value with \x01 and \xFF in it, and more\nConnection: close\n\nbody",
    "\r\nHTTP/1.1 429 Slow\r\nRetry-After: 17\r\nConnection: keep-alive, x\r\nA: b\r\n  c\r\n"
    "content-length: 0, 0\r\n\r\n",
    "HTTP/1.1 204 No\r\nContent-Length: 7\r\nSet-Cookie: a=b; c\r\nTransfer-encoding: chunked\r\n\r\n"};
static const char *const texts[] = {
    "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3ODkrLw==",
    "AAAA", "QQ==", "QUI=", "/+8A", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz"};

#define ONE_OF(list) list[pick(sizeof list / sizeof *list)]

/* A copy with some bytes changed, dropped, doubled, or cut off. */
static size_t mutate(const char *from, char *to, size_t room)
{
    static const char odd[] = "\0\r\n\t \"\\{}[]:,;=0aF\x7F\x80\xBF\xC3\xED\xFF-+.eu/";
    size_t size = strlen(from), changes = pick(4), at;

    memcpy(to, from, size);
    while (changes-- != 0 && size != 0) {
        at = pick((uint32_t)size);
        switch (pick(5)) {
        case 0:
            to[at] = odd[pick(sizeof odd - 1)];
            break;
        case 1:
            to[at] = (char)pick(256);
            break;
        case 2:
            memmove(to + at, to + at + 1, size - at - 1);
            size--;
            break;
        case 3:
            if (size < room) {
                memmove(to + at + 1, to + at, size - at);
                to[at] = odd[pick(sizeof odd - 1)];
                size++;
            }
            break;
        default:
            if (pick(8) == 0)
                size = at;
            break;
        }
    }
    return size;
}

static size_t piece(size_t left, uint32_t most)
{
    size_t n = 1 + pick(most);

    return n < left ? n : left;
}

/* ---- what comes of them ---- */

static void read_json(char *data, size_t size, uint32_t most)
{
    unsb_json_reader r;
    bool skips = pick(2) != 0;
    size_t at = 0, n, used;
    int event = 0, steps = 0;
    int64_t value = 0;

    unsb_json_reader_init(&r);
    r.lenient = pick(2) != 0;
    note("lenient %d skips %d", r.lenient, skips);
    while (at < size && event >= 0) {
        n = piece(size - at, most);
        while (n != 0 && event >= 0 && ++steps < 10000) {
            event = unsb_json_read(&r, data + at, n, &used);
            at += used;
            n -= used;
            note("event %d used %u depth %u", event, (unsigned)used, r.depth);
            if (event == UNSB_JSON_KEY || event == UNSB_JSON_STRING) {
                note("partial %d", r.partial);
                note_bytes(r.text, r.text_size);
            }
            if (event == UNSB_JSON_NUMBER)
                note("number %llu %d %d %d, %d %lld", (unsigned long long)r.mantissa, r.exponent,
                     r.negative, r.inexact, unsb_json_integer(&r, &value), (long long)value);
            if (skips && pick(3) == 0 &&
                (event == UNSB_JSON_OBJECT_BEGIN || event == UNSB_JSON_ARRAY_BEGIN ||
                 (event == UNSB_JSON_KEY && !r.partial)))
                unsb_json_skip(&r);
        }
    }
    note("end %d", unsb_json_read_end(&r));
}

static void read_http(const char *data, size_t size, uint32_t most)
{
    unsb_http h;
    size_t at = 0, n, used, body;
    int rc = UNSB_PENDING, steps = 0;

    unsb_http_init(&h, pick(8) == 0);
    while (at < size && rc == UNSB_PENDING && ++steps < 10000) {
        n = piece(size - at, most);
        rc = unsb_http_feed(&h, data + at, n, &used, &body);
        note("rc %d used %u body %u status %u flags %x", rc, (unsigned)used, (unsigned)body, h.status,
             h.flags);
        note_bytes(data + at + used - body, body);
        at += used;
    }
    note("end %d retry %lu", unsb_http_end(&h), (unsigned long)h.retry_after_s);
}

static void read_base64(const char *data, size_t size, uint32_t most)
{
    unsb_base64 decoder, encoder;
    char out[1024];
    size_t at = 0, n, made;
    int rc = UNSB_OK;

    memset(&decoder, 0, sizeof decoder);
    memset(&encoder, 0, sizeof encoder);
    while (at < size) {
        n = piece(size - at, most);
        note("encoded");
        note_bytes(out, unsb_base64_encode(&encoder, data + at, n, out));
        if (rc == UNSB_OK) {
            rc = unsb_base64_decode(&decoder, data + at, n, out, &made);
            note("rc %d", rc);
            note_bytes(out, made);
        }
        at += n;
    }
    note_bytes(out, unsb_base64_encode_end(&encoder, out));
    note("end %d", unsb_base64_decode_end(&decoder));
}

int main(int argc, char **argv)
{
    unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 0) : 1000;
    unsigned long from = argc > 3 ? strtoul(argv[3], NULL, 0) : 0, i;
    char input[1024];

    verbose = count == 1;
    digest = 0xCBF29CE484222325u;
    for (i = from; i < from + count; i++) {
        uint32_t most;
        size_t size;
        random_state = (seed + 1) * 0x9E3779B97F4A7C15u + i * 0xBF58476D1CE4E5B9u;
        random_state |= 1;
        (void)pick(2);
        most = pick(3) == 0 ? 1 : pick(2) == 0 ? 12 : 400;
        switch (i % 3) {
        case 0:
            size = mutate(ONE_OF(documents), input, sizeof input);
            note_bytes(input, size);
            read_json(input, size, most);
            break;
        case 1:
            size = mutate(ONE_OF(responses), input, sizeof input);
            note_bytes(input, size);
            read_http(input, size, most);
            break;
        default:
            size = mutate(ONE_OF(texts), input, sizeof input);
            note_bytes(input, size);
            read_base64(input, size, most);
            break;
        }
        if ((i + 1) % 1000 == 0 || i + 1 == from + count)
            printf("%lu %016llx\n", i + 1, (unsigned long long)digest);
    }
    return 0;
}
