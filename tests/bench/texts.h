/* What the counted programs work on: the same for the library and for its peers. */
#ifndef TEXTS_H
#define TEXTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

/* Counts what stands between, apart from all else, under a name. */
#define COUNT_BEGIN()                                                                              \
    do {                                                                                           \
        CALLGRIND_ZERO_STATS;                                                                      \
        CALLGRIND_TOGGLE_COLLECT;                                                                  \
    } while (0)
#define COUNT_END(name, bytes)                                                                     \
    do {                                                                                           \
        CALLGRIND_TOGGLE_COLLECT;                                                                  \
        count_dump(name, bytes);                                                                   \
    } while (0)

static inline void count_dump(const char *name, size_t bytes)
{
    static char label[80];

    snprintf(label, sizeof label, "%s %zu", name, bytes);
    CALLGRIND_DUMP_STATS_AT(label);
}

static inline void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "failed: %s\n", what);
        exit(1);
    }
}

static inline void *room(size_t size)
{
    void *p = malloc(size);

    check(p != NULL, "malloc");
    memset(p, 0, size); /* the pages are there before anything is counted */
    return p;
}

/* A head of 11 fields, as a service behind a proxy sends it. */
#define HEAD(framing)                                                                              \
    "HTTP/1.1 200 OK\r\n"                                                                          \
    "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"                                                      \
    "Content-Type: application/json; charset=utf-8\r\n"                                            \
    "Connection: keep-alive\r\n" framing "\r\n"                                                    \
    "Cache-Control: no-store, no-cache, must-revalidate\r\n"                                       \
    "X-Request-Id: 3f2a9c04-77b1-4e0d-9c55-0a1b2c3d4e5f\r\n"                                       \
    "X-Frame-Options: SAMEORIGIN\r\n"                                                              \
    "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"                           \
    "Vary: Accept-Encoding, Authorization\r\n"                                                     \
    "Via: 1.1 gateway.example (proxy)\r\n"                                                         \
    "Server: nginx\r\n\r\n"

/* A head that is mostly long values. */
#define LONG_POLICY                                                                                \
    "default-src 'none'; script-src 'self' https://cdn.example.com 'nonce-4f9a3c5d'; style-src "   \
    "'self' https://fonts.example.com; img-src 'self' data: https://images.example.com; "          \
    "connect-src 'self' wss://live.example.com https://api.example.com; frame-ancestors 'none'; "
#define LONG_HEAD                                                                                  \
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"                                                     \
    "Content-Security-Policy: " LONG_POLICY LONG_POLICY "base-uri 'self'\r\n"                      \
    "Content-Security-Policy-Report-Only: " LONG_POLICY LONG_POLICY "base-uri 'self'\r\n\r\n"

/* Bytes that base64 is made of: anything. */
static inline void fill_bytes(unsigned char *p, size_t size)
{
    unsigned x = 2463534242u;
    size_t i;

    for (i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        p[i] = (unsigned char)(x >> 11);
    }
}

/* Lines of a program's output: 2 of 100 bytes need an escape in JSON. */
static inline void fill_text(char *p, size_t size)
{
    static const char special[] = "\n\n\n\"\n\\\n\n\t\n";
    size_t i;

    for (i = 0; i < size; i++)
        p[i] = i % 50 == 49 ? special[i / 50 % 10] : (char)('a' + i * 7 % 26);
}

/* A string literal of that text, quotes included; returns its length. */
static inline size_t fill_string(char *p, size_t size)
{
    char *q = p;
    char c;
    size_t i = 0;

    *q++ = '"';
    for (; (size_t)(q - p) + 3 < size; i++) {
        c = i % 50 == 49 ? "nnn\"n\\nntn"[i / 50 % 10] : (char)('a' + i * 7 % 26);
        if (i % 50 == 49)
            *q++ = '\\';
        *q++ = c;
    }
    *q++ = '"';
    return (size_t)(q - p);
}

/* A document of many small values, like a list of jobs; returns its length. */
static inline size_t fill_document(char *p, size_t size)
{
    size_t n = (size_t)sprintf(p, "{\"jobs\":[");
    unsigned i;

    for (i = 0; n + 300 < size; i++)
        n += (size_t)sprintf(p + n,
                             "%s{\"job_id\":\"job_%08u\",\"status\":\"completed\",\"language\":"
                             "\"python\",\"created_at\":%u,\"exit_code\":%u,\"success\":true,"
                             "\"limits\":{\"cpu\":[1,2,4],\"memory\":null},\"time\":0.25}",
                             i != 0 ? "," : "", i, 1700000000u + i, i % 3);
    return n + (size_t)sprintf(p + n, "]}");
}

/* A list of numbers, as a service writes them; returns its length. */
static inline size_t fill_numbers(char *p, size_t size)
{
    size_t n = 0;
    unsigned i;

    for (i = 0; n + 80 < size; i++)
        n += (size_t)sprintf(p + n, "%c%u,17000%08u,-%u.%04u,%u.5e%d", i != 0 ? ',' : '[', i % 7,
                             i * 7919u % 100000000u, i % 1000, i * 31 % 10000, i % 10,
                             (int)(i % 30) - 15);
    p[n++] = ']';
    return n;
}

/* A chunked body, in chunks of 4 KB; returns its length. */
static inline size_t fill_chunks(char *p, size_t size)
{
    size_t n = 0;

    while (n + 4096 + 16 < size) {
        n += (size_t)sprintf(p + n, "1000\r\n");
        fill_text(p + n, 4096);
        n += 4096;
        p[n++] = '\r';
        p[n++] = '\n';
    }
    memcpy(p + n, "0\r\n\r\n", 5);
    return n + 5;
}

#endif
