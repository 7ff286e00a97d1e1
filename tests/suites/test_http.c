/* The HTTP response decoder (RFC 9112, RFC 9110). Each vector runs whole, byte by byte, split at
 * every point, at random, with other bytes behind it, and cut off at every point. */
#include "suite.h"
#include "guard.h"

#define BODY_MAX 70000
#define LIMIT UNSB_HTTP_HEAD_LIMIT
#define TRAILING "HTTP/1.1 500 Not yours\r\nContent-Length: 3\r\n\r\nabc"

static guard memory;

static int open_guard(void **unused)
{
    (void)unused;
    memory = guard_open(300000);
    return 0;
}

static int close_guard(void **unused)
{
    (void)unused;
    guard_close(&memory);
    return 0;
}

/* ---- running the decoder ---- */

typedef struct decoded {
    int rc;      /* of the last unsb_http_feed() */
    int end;     /* of unsb_http_end() after it */
    size_t used; /* in all */
    unsigned status, flags;
    uint32_t retry_after_s;
    size_t body_size;
    uint8_t body[BODY_MAX];
} decoded;

static void decode(decoded *d, const char *text, bool head, cut c)
{
    unsb_http http;
    size_t at, used, body;
    char *data;

    memset(&http, 0xEE, sizeof http);
    unsb_http_init(&http, head);
    memset(d, 0, offsetof(decoded, body));
    d->rc = UNSB_PENDING;
    while (d->rc == UNSB_PENDING && cut_next(&c)) {
        data = guard_put(&memory, text + c.at, c.size);
        at = 0;
        do {
            used = body = 99999999;
            d->rc = unsb_http_feed(&http, data + at, c.size - at, &used, &body);
            assert_true(used <= c.size - at && body <= used);
            assert_true(d->rc != UNSB_PENDING || used != 0 || at == c.size);
            assert_true(d->rc >= 0 || body == 0);
            assert_true(d->body_size + body <= sizeof d->body);
            at += used;
            memcpy(d->body + d->body_size, data + at - body, body);
            d->body_size += body;
        } while (d->rc == UNSB_PENDING && at != c.size);
        d->used += at;
        assert_memory_equal(data, text + c.at, c.size); /* nothing is written to */
    }
    d->end = unsb_http_end(&http);
    d->status = http.status;
    d->flags = http.flags;
    d->retry_after_s = http.retry_after_s;
    if (d->rc == UNSB_PENDING)
        return;
    /* that it is over, or wrong, is said again; nothing more is used */
    used = body = 77;
    assert_int_equal(unsb_http_feed(&http, TRAILING, sizeof TRAILING - 1, &used, &body), d->rc);
    assert_int_equal(used, 0);
    assert_int_equal(body, 0);
    assert_int_equal(unsb_http_feed(&http, TRAILING, 0, &used, &body), d->rc);
    assert_int_equal(unsb_http_end(&http), d->rc);
    assert_int_equal(d->end, d->rc);
}

/* ---- vectors ---- */

typedef struct vector {
    const char *text;
    size_t size;
    int rc; /* UNSB_OK: the text is one whole response; UNSB_PENDING: it goes on to the end of the
               connection; else the error */
    unsigned status, flags;
    const char *body;
    size_t body_size;
    uint32_t retry_after_s;
    bool head;
} vector;

enum { /* flags, as they are once the head is over */
    BODY = UNSB_HTTP_BODY,
    LENGTH = UNSB_HTTP_LENGTH | BODY,
    CHUNKED = UNSB_HTTP_CHUNKED | BODY,
    CLOSE = UNSB_HTTP_CLOSE | BODY,
    KEEP = UNSB_HTTP_KEEP_ALIVE | BODY,
    /* if the field Connection is read */
    SAYS_CLOSE = UNSB_KEEP_ALIVE ? CLOSE : BODY,
    SAYS_KEEP = UNSB_KEEP_ALIVE ? KEEP : BODY,
    RETRY = UNSB_HTTP_RETRY_AFTER | BODY,
    HTTP_1_0 = UNSB_HTTP_1_0 | BODY,
    HEAD = UNSB_HTTP_HEAD | BODY
};

#define WHOLE(text, status, flags, body)                                                           \
    {text, sizeof text - 1, UNSB_OK, status, flags, body, sizeof body - 1, 0, false}
#define TO_CLOSE(text, status, flags, body)                                                        \
    {text, sizeof text - 1, UNSB_PENDING, status, (flags) | CLOSE, body, sizeof body - 1, 0, false}
#define TO_HEAD(text, status, flags)                                                               \
    {text, sizeof text - 1, UNSB_OK, status, (flags) | HEAD, "", 0, 0, true}
#define RETRY_AFTER(text, seconds)                                                                 \
    {SLOW text "\r\n", sizeof SLOW text "\r\n" - 1, UNSB_OK, 429, LENGTH | RETRY, "", 0, seconds,  \
     false}
#define WRONG(text) {text, sizeof text - 1, UNSB_E_HTTP, 0, 0, "", 0, 0, false}
#define TOO_LARGE(text) {text, sizeof text - 1, UNSB_E_RESPONSE_SIZE, 0, 0, "", 0, 0, false}
#define SLOW "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n"
#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define NO_BODY "Content-Length: 0\r\n\r\n"

static void describe(const vector *v, size_t way, const decoded *d)
{
    print_message("\"%.*s\", way %u:\nrc %d, end %d, used %u of %u, status %u, flags 0x%02X, "
                  "retry %u, body \"%.*s\"\n",
                  (int)v->size, v->text, (unsigned)way, d->rc, d->end, (unsigned)d->used,
                  (unsigned)v->size, d->status, d->flags, (unsigned)d->retry_after_s,
                  (int)d->body_size, (const char *)d->body);
}

static bool as_expected(const vector *v, const decoded *d)
{
    if (d->rc != v->rc)
        return false;
    if (d->rc < 0)
        return true;
    return d->used == v->size && d->status == v->status && d->flags == v->flags &&
           d->retry_after_s == v->retry_after_s && d->body_size == v->body_size &&
           memcmp(d->body, v->body, v->body_size) == 0 && d->end == UNSB_OK;
}

static decoded got;

static void check(const vector *v)
{
    static char longer[4096];
    uint64_t seed = 9112;
    size_t way, size;
    bool head_over = false;

    for (way = 0; way < cut_ways(v->size); way++) {
        decode(&got, v->text, v->head, cut_start(way, v->size, &seed));
        if (!as_expected(v, &got)) {
            describe(v, way, &got);
            fail();
        }
    }
    if (v->rc == UNSB_OK) { /* what follows belongs to another response */
        assert_true(v->size <= sizeof longer - sizeof TRAILING);
        size = v->size + sizeof TRAILING - 1;
        memcpy(longer, v->text, v->size);
        memcpy(longer + v->size, TRAILING, sizeof TRAILING - 1);
        for (way = 0; way < cut_ways(size); way++) {
            decode(&got, longer, v->head, cut_start(way, size, &seed));
            if (!as_expected(v, &got)) {
                describe(v, way, &got);
                fail();
            }
        }
    }
    for (size = 0; size < v->size; size++) { /* cut off */
        decode(&got, v->text, v->head, cut_whole(size));
        if (v->rc < 0 && got.rc == v->rc)
            break;
        assert_int_equal(got.rc, UNSB_PENDING);
        assert_int_equal(got.used, size);
        if ((got.flags & UNSB_HTTP_BODY) != 0 && v->rc >= 0) { /* final from here on */
            head_over = true;
            assert_int_equal(got.flags, v->flags);
            assert_int_equal(got.status, v->status);
        }
        assert_true(v->rc < 0 || head_over == ((got.flags & UNSB_HTTP_BODY) != 0));
        assert_int_equal(got.end, v->rc == UNSB_PENDING && head_over ? UNSB_OK : UNSB_E_TRUNCATED);
    }
}

static void check_all(const vector *v, size_t count)
{
    while (count--)
        check(v++);
}

static const vector framing[] = {
    WHOLE(OK_LINE "Content-Length: 5\r\n\r\nhello", 200, LENGTH, "hello"),
    WHOLE(OK_LINE "Content-Length: 0\r\n\r\n", 200, LENGTH, ""),
    WHOLE(OK_LINE "content-length:5\r\n\r\nhello", 200, LENGTH, "hello"),
    WHOLE(OK_LINE "CONTENT-LENGTH: \t 5 \t\r\n\r\nhello", 200, LENGTH, "hello"),
    WHOLE(OK_LINE "cOnTeNt-LeNgTh: 00000000000000000005\r\n\r\nhello", 200, LENGTH, "hello"),
    WHOLE(OK_LINE "Content-Length:                          5                          \r\n"
                  "\r\nhello",
          200, LENGTH, "hello"),
    WHOLE(OK_LINE "Server: x\r\nContent-Length: 4\r\nDate: now\r\n\r\n\0\r\n\xFF", 200, LENGTH,
          "\0\r\n\xFF"),
    WHOLE(OK_LINE "Content-Length: 17\r\n\r\nHTTP/1.1 200 OK\r\n", 200, LENGTH,
          "HTTP/1.1 200 OK\r\n"),
    TO_CLOSE(OK_LINE "\r\n", 200, 0, ""),
    TO_CLOSE(OK_LINE "\r\nto the end\r\n\0\r\n", 200, 0, "to the end\r\n\0\r\n"),
    TO_CLOSE(OK_LINE "Server: x\r\n\r\n" TRAILING, 200, 0, TRAILING),
    TO_CLOSE("HTTP/1.1 404 Not Found\r\nConnection: keep-alive\r\n\r\nnone", 404, SAYS_KEEP,
             "none"),
    WHOLE("HTTP/1.1 204 No Content\r\n\r\n", 204, BODY, ""),
    /* what they announce might still come: the connection is of no more use */
    WHOLE("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", 204, LENGTH | CLOSE, ""),
    WHOLE("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, CHUNKED | CLOSE,
          ""),
    WHOLE("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 304, LENGTH | CLOSE, ""),
    WHOLE("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, LENGTH, ""),
    WHOLE("HTTP/1.1 304 Not Modified\r\n\r\n", 304, BODY, ""),
    WHOLE("HTTP/1.1 205 Reset\r\nContent-Length: 1\r\n\r\nx", 205, LENGTH, "x"),
    TO_HEAD(OK_LINE "Content-Length: 123456\r\n\r\n", 200, LENGTH),
    TO_HEAD(OK_LINE "Transfer-Encoding: chunked\r\n\r\n", 200, CHUNKED),
    TO_HEAD(OK_LINE "\r\n", 200, 0),
    TO_HEAD("HTTP/1.1 103 Hints\r\n\r\n" OK_LINE "Content-Length: 9\r\n\r\n", 200, LENGTH),
    TO_HEAD("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n", 404, SAYS_CLOSE),
    WHOLE("HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}", 500, LENGTH, "{}"),
    /* the size of a length: what can be counted is fine, what cannot be is not */
    TOO_LARGE(OK_LINE "Content-Length: 18446744073709551616\r\n\r\n"),
    TOO_LARGE(OK_LINE "Content-Length: 18446744073709551620\r\n\r\n"),
    TOO_LARGE(OK_LINE "Content-Length: 36893488147419103232\r\n\r\n"),
    TOO_LARGE(OK_LINE "Content-Length: 99999999999999999999\r\n\r\n"),
    TOO_LARGE(OK_LINE "Content-Length: 1000000000000000000000000000000000000000\r\n\r\n"),
    /* one that has too many digits, whatever they are */
    TOO_LARGE(OK_LINE "Content-Length: 000000000000000000005\r\n\r\n"),
    TOO_LARGE(OK_LINE "Content-Length: 0000000000000000000000000000000000000005\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 0000000000000000000x\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 00000000000000000000x\r\n\r\n"),
};

static void test_framing(void **unused)
{
    (void)unused;
    check_all(framing, COUNT(framing));
}

static const vector chunks[] = {
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, CHUNKED, ""),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, CHUNKED,
          "hello"),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200,
          CHUNKED, "hello"),
    WHOLE(OK_LINE "TRANSFER-ENCODING:\tCHUNKED \r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", 200, CHUNKED,
          "0123456789"),
    WHOLE(OK_LINE "transfer-encoding:Chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n", 200, CHUNKED,
          "0123456789"),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n"
                  "1A\r\nABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n0\r\n\r\n",
          200, CHUNKED, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n00000000000000000005\r\nhello\r\n"
                  "00000000\r\n\r\n",
          200, CHUNKED, "hello"),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0;b=c\r\n\r\n", 200, CHUNKED,
          "hello"),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5 ; a = b;\tc\r\nhello\r\n0\t\r\n\r\n", 200,
          CHUNKED, "hello"),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5;a=\"b;\\\"7\"\r\nhello\r\n0\r\n\r\n", 200,
          CHUNKED, "hello"),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5;a=\xE9\r\nhello\r\n0\r\n\r\n", 200, CHUNKED,
          "hello"),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n", 200,
          CHUNKED, "hello"),
    /* a trailer changes nothing of what the head said */
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 7\r\n"
                  "Connection: close\r\nRetry-After: 3\r\nTransfer-Encoding: gzip\r\n\r\n",
          200, CHUNKED, ""),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: none\r\n"
                  "Connection: close, close\r\nTransfer-Encoding: gzip, gzip\r\n\r\n",
          200, CHUNKED, ""),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n folded\r\n\r\n", 200, CHUNKED,
          ""),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\n1\r\n\0\r\n0\r\n\r\n", 200,
          CHUNKED, "\r\n\0"),
    WHOLE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n", 200, CHUNKED,
          "0\r\n\r\n"),
    WHOLE(OK_LINE "Transfer-Encoding: chunked, \r\n\r\n0\r\n\r\n", 200, CHUNKED, ""),
    WHOLE(OK_LINE "Transfer-Encoding: , ,\t, chunked\r\n\r\n0\r\n\r\n", 200, CHUNKED, ""),
    WHOLE(OK_LINE "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 200, CHUNKED, ""),
    WHOLE("HTTP/1.2 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, CHUNKED, ""),

    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n;a\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\ng\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5_0\r\nhello\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5 5\r\nhello\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5.\r\nhello\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\rhello\r\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\r\r\nhello\r\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5;a\rb\r\nhello\r\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5;a\0b\r\nhello\r\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\0\r\nhello\r\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\r\nhello \r\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n6\r\nhello\r\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n\r\n0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\n\rx"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\rc\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\nA: \0\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\n\0\r\n\r\n"),
    TOO_LARGE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"),
    TOO_LARGE(OK_LINE "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
    TOO_LARGE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n00100000000000000005\r\n"),
    TOO_LARGE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n000000000000000000005\r\nhello\r\n"),
    TOO_LARGE(OK_LINE "Transfer-Encoding: chunked\r\n\r\n000000000000000000000000;a\r\n\r\n"),
};

static void test_chunks(void **unused)
{
    (void)unused;
    check_all(chunks, COUNT(chunks));
}

static const vector codings[] = {
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    WRONG("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked, chunked\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: gzip\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked, gzip\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: identity\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked;x\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked;q=1\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked ;x\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: x;a=\"b, chunked\"\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: \"chunked\"\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: xchunked\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunke\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunkedd\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chun ked\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chun\r\n ked\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked chunked\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: close\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\vx\r\n\r\n"),
    WRONG(OK_LINE "Transfer-Encoding: chunked\0\r\n\r\n"),
    /* also where there will be no body, so that the next response is not misread */
    WRONG("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
};

static void test_codings(void **unused)
{
    (void)unused;
    check_all(codings, COUNT(codings));
}

/* RFC 9112 section 6.3: a Transfer-Encoding that does not end in chunked rules a length out. An
 * empty one is none the less there. */
static void test_empty_coding(void **unused)
{
    static const vector v[] = {
        WRONG(OK_LINE "Transfer-Encoding:\r\nContent-Length: 5\r\n\r\n"),
        WRONG(OK_LINE "Content-Length: 5\r\nTransfer-Encoding: ,\r\n\r\n"),
    };

    (void)unused;
    check_all(v, COUNT(v));
}

static const vector lengths[] = {
    WHOLE(OK_LINE "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, LENGTH, "hello"),
    WHOLE(OK_LINE "Content-Length: 5, 5\r\n\r\nhello", 200, LENGTH, "hello"),
    WHOLE(OK_LINE "Content-Length: 5 ,\t05\r\ncontent-length: 005\r\n\r\nhello", 200, LENGTH,
          "hello"),
    WHOLE(OK_LINE "Content-Length:\r\n 5\r\n\r\nhello", 200, LENGTH, "hello"),
    WHOLE(OK_LINE "Content-Length: 5\r\n \r\n\r\nhello", 200, LENGTH, "hello"),
    WHOLE(OK_LINE "Content-Lengths: 7\r\nContent-Lengt: 8\r\nX-Content-Length: 9\r\n"
                  "Content-Length: 5\r\n\r\nhello",
          200, LENGTH, "hello"),

    WRONG(OK_LINE "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5\r\nContent-Length: 0\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 0\r\nContent-Length: 5\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5, 6\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 6, 5, 6\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5,\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: ,5\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5,,5\r\n\r\n"),
    WRONG(OK_LINE "Content-Length:\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: \t \r\n\r\n"),
    WRONG(OK_LINE "Content-Length:\r\nContent-Length: 5\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: -5\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: +5\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 0x5\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: a\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5a\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5.0\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5e1\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5 5\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5\t5\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5\r\n 5\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5;x\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: \"5\"\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: 5\0\r\n\r\n"),
    WRONG(OK_LINE "Content-Length: \xEF\xBC\x95\r\n\r\n"),
};

static void test_lengths(void **unused)
{
    (void)unused;
    check_all(lengths, COUNT(lengths));
}

/* The largest sizes that can be counted, and the smallest that cannot. */
static void test_length_limits(void **unused)
{
    static const char *const forms[] = {OK_LINE "Content-Length: %s\r\n\r\n",
                                        OK_LINE "Transfer-Encoding: chunked\r\n\r\n%s\r\n"};
    unsigned form, i;

    (void)unused;
    for (form = 0; form < 2; form++)
        for (i = 0; i < 24; i++) {
            unsb_size largest = (unsb_size)-1, value = (unsb_size)(largest - i);
            char text[128], digits[32];
            int size;
            snprintf(digits, sizeof digits, form == 0 ? "%llu" : "%llx", (unsigned long long)value);
            size = snprintf(text, sizeof text, forms[form], digits);
            decode(&got, text, false, cut_whole((size_t)size));
            assert_int_equal(got.rc, UNSB_PENDING);
            assert_int_equal(got.end, UNSB_E_TRUNCATED);
            /* one more than the largest: carry by hand */
            if (i != 0)
                continue;
            if (form == 0)
                digits[strlen(digits) - 1]++; /* it ends in 5 */
            else
                memcpy(digits, "10000000000000000", strlen(digits) + 2);
            digits[form == 0 ? strlen(digits) : sizeof value * 2 + 1] = '\0';
            size = snprintf(text, sizeof text, forms[form], digits);
            decode(&got, text, false, cut_whole((size_t)size));
            assert_int_equal(got.rc, UNSB_E_RESPONSE_SIZE);
        }
}

/* A body longer than what is fed at once is counted to its end. */
static void test_large_bodies(void **unused)
{
    static char text[BODY_MAX + 200], body[BODY_MAX];
    uint64_t seed = random_seed(100);
    unsigned chunked, i;

    (void)unused;
    for (i = 0; i < sizeof body; i++)
        body[i] = (char)random_next(&seed);
    for (chunked = 0; chunked < 2; chunked++)
        for (i = 0; i < 12; i++) {
            size_t size, way, total = 60000 + random_below(&seed, 9999), at = 0;
            size = (size_t)(chunked ? sprintf(text, OK_LINE "Transfer-Encoding: chunked\r\n\r\n")
                                    : sprintf(text, OK_LINE "Content-Length: %u\r\n\r\n",
                                              (unsigned)total));
            if (!chunked) {
                memcpy(text + size, body, total);
                size += total;
            }
            while (chunked && at < 60000) {
                size_t n = 1 + random_below(&seed, at < 30000 ? 9000 : 30000);
                n = n > 60000 - at ? 60000 - at : n;
                size += (size_t)sprintf(text + size, "%X\r\n", (unsigned)n);
                memcpy(text + size, body + at, n);
                size += n;
                memcpy(text + size, "\r\n", 2);
                size += 2;
                at += n;
            }
            if (chunked) {
                memcpy(text + size, "0\r\n\r\n", 5);
                size += 5;
                total = 60000;
            }
            for (way = size; way < size + 3; way++) {
                decode(&got, text, false, cut_start(i % 2 && way == size ? 0 : way, size, &seed));
                assert_int_equal(got.rc, UNSB_OK);
                assert_int_equal(got.used, size);
                assert_int_equal(got.body_size, total);
                assert_memory_equal(got.body, body, total);
            }
        }
}

static const vector interim[] = {
    WHOLE("HTTP/1.1 100 Continue\r\n\r\n" OK_LINE NO_BODY, 200, LENGTH, ""),
    WHOLE("HTTP/1.1 100\r\n\r\n" OK_LINE "Content-Length: 1\r\n\r\nx", 200, LENGTH, "x"),
    WHOLE("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
          "Link: </b>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" OK_LINE NO_BODY,
          200, LENGTH, ""),
    /* what an interim response says is no part of the final one */
    WHOLE("HTTP/1.1 103 Hints\r\nContent-Length: 7\r\n\r\n" OK_LINE
          "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          200, CHUNKED, ""),
    WHOLE("HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n" OK_LINE
          "Content-Length: 2\r\n\r\nok",
          200, LENGTH, "ok"),
    WHOLE("HTTP/1.1 103 Hints\r\nContent-Length: 7\r\n\r\n" OK_LINE "Content-Length: 2\r\n\r\nok",
          200, LENGTH, "ok"),
    WHOLE("HTTP/1.1 199 x\r\nConnection: close\r\nRetry-After: 9\r\n\r\n" OK_LINE NO_BODY, 200,
          LENGTH, ""),
    WHOLE("HTTP/1.0 100 x\r\n\r\n" OK_LINE NO_BODY, 200, LENGTH, ""),
    TO_CLOSE("HTTP/1.1 100 x\r\nContent-Length: 3\r\n\r\n" OK_LINE "\r\nbody", 200, 0, "body"),
    WHOLE("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", 204, BODY, ""),
    WHOLE("HTTP/1.1 100 x\r\n\r\n\r\n" OK_LINE NO_BODY, 200, LENGTH, ""),
    WHOLE("HTTP/1.1 100 x\n\n\n\n" OK_LINE NO_BODY, 200, LENGTH, ""),

    WRONG("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"),
    WRONG("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 101 x\r\n\r\n"),
    WRONG("HTTP/1.1 100 x\r\n\r\nbody"),
    WRONG("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\n Content-Length: 0\r\n\r\n"),
};

static void test_interim(void **unused)
{
    (void)unused;
    check_all(interim, COUNT(interim));
}

static const vector status_lines[] = {
    WHOLE("HTTP/1.1 200\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE("HTTP/1.1 200 \r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE("HTTP/1.1 200 A \t\"reason\" \xE9!\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE("HTTP/1.1 599 x\r\n" NO_BODY, 599, LENGTH, ""),
    WHOLE("HTTP/1.1 600 x\r\n" NO_BODY, 600, LENGTH, ""), /* RFC 9110 section 15 */
    WHOLE("HTTP/1.1 999 x\r\n" NO_BODY, 999, LENGTH, ""),
    WHOLE("HTTP/1.1 299 200\r\n" NO_BODY, 299, LENGTH, ""),
    WHOLE("\r\nHTTP/1.1 200 OK\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE("\nHTTP/1.1 200 OK\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE("HTTP/1.2 200 OK\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE("HTTP/1.9 200 OK\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE("HTTP/1.0 200 OK\r\n" NO_BODY, 200, LENGTH | CLOSE | HTTP_1_0, ""),

    WRONG("HTTP/1.1 099 x\r\n\r\n"),
    WRONG("HTTP/1.1 000\r\n" NO_BODY),
    WRONG("HTTP/1.1 1000 x\r\n"),
    WRONG("HTTP/1.1 2000\r\n"),
    WRONG("HTTP/1.1 20\r\n"),
    WRONG("HTTP/1.1 20 OK\r\n"),
    WRONG("HTTP/1.1 2\r\n"),
    WRONG("HTTP/1.1 \r\n"),
    WRONG("HTTP/1.1\r\n"),
    WRONG("HTTP/1.1  200 OK\r\n"),
    WRONG("HTTP/1.1\t200 OK\r\n"),
    WRONG("HTTP/1.1200 OK\r\n"),
    WRONG("HTTP/1.1 200\tOK\r\n"),
    WRONG("HTTP/1.1 200OK\r\n"),
    WRONG("HTTP/1.1 +20 OK\r\n"),
    WRONG("HTTP/1.1 -20 OK\r\n"),
    WRONG("HTTP/1.1 0x2 OK\r\n"),
    WRONG("HTTP/1.1 2x0 OK\r\n"),
    WRONG("HTTP/2 200\r\n"),
    WRONG("HTTP/2.0 200 OK\r\n"),
    WRONG("HTTP/0.9 200 OK\r\n"),
    WRONG("HTTP/11 200 OK\r\n"),
    WRONG("HTTP/1 200 OK\r\n"),
    WRONG("HTTP/1. 200 OK\r\n"),
    WRONG("HTTP/1.x 200 OK\r\n"),
    WRONG("HTTP/1.10 200 OK\r\n"),
    WRONG("HTTP/01.1 200 OK\r\n"),
    WRONG("http/1.1 200 OK\r\n"),
    WRONG("HTTPS/1.1 200 OK\r\n"),
    WRONG("HTP/1.1 200 OK\r\n"),
    WRONG("ICY 200 OK\r\n"),
    WRONG(" HTTP/1.1 200 OK\r\n"),
    WRONG("\r\n HTTP/1.1 200 OK\r\n"),
    WRONG("HT\r\nTP/1.1 200 OK\r\n"),
    WRONG("<html>"),
    WRONG("\x16\x03\x01"),
    WRONG("\0"),
    WRONG("HTTP/1.1 200 a\rb\r\n"),
    WRONG("HTTP/1.1 200\r\r\n"),
    WRONG("HTTP/1.1 200 a\0b\r\n"),
    WRONG("HTTP/1.1 200 a\vb\r\n"),
    WRONG("HTTP/1.1 200 a\x1B[0m\r\n"),
    WRONG("HTTP/1.1 200\0\r\n"),
};

static void test_status_lines(void **unused)
{
    (void)unused;
    check_all(status_lines, COUNT(status_lines));
}

/* Every status of three digits. */
static void test_every_status(void **unused)
{
    unsigned status;

    (void)unused;
    for (status = 0; status < 1000; status++) {
        char text[128];
        int size = snprintf(text, sizeof text, "HTTP/1.1 %03u x\r\n" NO_BODY, status);
        bool empty = status == 204 || status == 304;
        decode(&got, text, false, cut_whole((size_t)size));
        if (status < 100 || status == 101) {
            assert_int_equal(got.rc, UNSB_E_HTTP);
        } else if (status < 200) {
            assert_int_equal(got.rc, UNSB_PENDING);
            assert_int_equal(got.end, UNSB_E_TRUNCATED);
        } else {
            assert_int_equal(got.rc, UNSB_OK);
            assert_int_equal(got.status, status);
        }
        size = snprintf(text, sizeof text, "HTTP/1.1 %03u x\r\n\r\n", status);
        if (status < 200)
            continue;
        decode(&got, text, false, cut_whole((size_t)size));
        assert_int_equal(got.rc, empty ? UNSB_OK : UNSB_PENDING);
        assert_int_equal(got.flags, empty ? BODY : CLOSE);
    }
}

static const vector fields[] = {
    /* lone LFs are taken for line ends in a head */
    WHOLE("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", 200, LENGTH, "hello"),
    WHOLE("HTTP/1.1 200\nContent-Length: 5\r\nA: b\n\r\nhello", 200, LENGTH, "hello"),
    WHOLE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\n\n0\r\n\r\n", 200, CHUNKED, ""),
    /* names and values at the limits of what is allowed */
    WHOLE(OK_LINE "!#$%&'*+-.^_`|~09azAZ:x\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "A:\r\nB: \r\nC:\t\r\nD: \x80\xFF\xC3\xA9 ~\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "A: b: c; d=\"e\r\nf:\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "A: a value that is longer than a word of eight\tbytes\r\n" NO_BODY, 200, LENGTH,
          ""),
    /* RFC 9110 section 5.5: control characters in a value that is not looked at */
    WHOLE(OK_LINE "X: a\x01" "b\x1F\v\b\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "X: a value that is long enough\x0E for a word\r\n" NO_BODY, 200, LENGTH, ""),
    /* folded lines */
    WHOLE(OK_LINE "A: b\r\n c\r\n\td\r\n \r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "A: b\r\n Content-Length: 7\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "A: b\n Connection: close\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "Connection: a,\r\n close\r\n" NO_BODY, 200, LENGTH | SAYS_CLOSE, ""),
    TO_CLOSE(OK_LINE "Connection:\r\n\r\n", 200, 0, ""),

    WRONG(OK_LINE "Content-Length : 5\r\n"),
    WRONG(OK_LINE "Content-Length\t: 5\r\n"),
    WRONG(OK_LINE "X : 5\r\n"),
    WRONG(OK_LINE "X\r\n"),
    WRONG(OK_LINE "Content-Length\r\n"),
    WRONG(OK_LINE "X\n"),
    WRONG(OK_LINE ": x\r\n"),
    WRONG(OK_LINE " X: y\r\n"),
    WRONG(OK_LINE "\tX: y\r\n"),
    WRONG("HTTP/1.1 200\n X: y\r\n"),
    WRONG(OK_LINE "X\0: y\r\n"),
    WRONG(OK_LINE "X\x80: y\r\n"),
    WRONG(OK_LINE "\xC3\xA9: y\r\n"),
    WRONG(OK_LINE "X\x7F: y\r\n"),
    WRONG(OK_LINE "X(y): z\r\n"),
    WRONG(OK_LINE "\"X\": y\r\n"),
    WRONG(OK_LINE "X: a\rb\r\n"),
    WRONG(OK_LINE "X: a\r\r\n"),
    WRONG(OK_LINE "X: a\0b\r\n"),
#if UNSB_KEEP_ALIVE
    WRONG(OK_LINE "Connection: a\x01\r\n"),
#else /* as in any field that is not read */
    WHOLE(OK_LINE "Connection: a\x01\r\n" NO_BODY, 200, LENGTH, ""),
#endif
    WRONG(OK_LINE "Content-Length: 0\v\r\n"),
    WRONG(OK_LINE "X: a value that is long enough\0for a word\r\n"),
    WRONG(OK_LINE "Connection: a\0b\r\n"),
    WRONG(OK_LINE "Retry-After: 5\0\r\n"),
    WRONG(OK_LINE "X: a\r\n b\0\r\n"),
    WRONG(OK_LINE "\rX"),
    WRONG(OK_LINE "X: y\r\n\rX"),
};

static void test_fields(void **unused)
{
    (void)unused;
    check_all(fields, COUNT(fields));
}

/* without it an old connection ends with its response */
#define OLD_KEEP (LENGTH | HTTP_1_0 | (UNSB_KEEP_ALIVE ? KEEP : CLOSE))

static const vector connections[] = {
    WHOLE(OK_LINE "Connection: close\r\n" NO_BODY, 200, LENGTH | SAYS_CLOSE, ""),
    WHOLE(OK_LINE "connection:CLOSE\r\n" NO_BODY, 200, LENGTH | SAYS_CLOSE, ""),
    WHOLE(OK_LINE "Connection: keep-alive\r\n" NO_BODY, 200, LENGTH | SAYS_KEEP, ""),
    WHOLE(OK_LINE "Connection: a, close ,b\r\n" NO_BODY, 200, LENGTH | SAYS_CLOSE, ""),
    WHOLE(OK_LINE "Connection: ,,\t,close\r\n" NO_BODY, 200, LENGTH | SAYS_CLOSE, ""),
    WHOLE(OK_LINE "Connection: x\r\nConnection: Close\r\nConnection: y\r\n" NO_BODY, 200,
          LENGTH | SAYS_CLOSE, ""),
    WHOLE(OK_LINE "Connection: keep-alive, close\r\n" NO_BODY, 200,
          LENGTH | SAYS_KEEP | SAYS_CLOSE, ""),
    WHOLE(OK_LINE "Connection: closed\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "Connection: clos\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "Connection: not close\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "Connection: close now\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "Connection: clo se\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "Connection: \"close\"\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "Connection: keep-aliv, eep-alive, keep_alive\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE(OK_LINE "Connection: upgrade\r\nKeep-Alive: timeout=5, close\r\n" NO_BODY, 200, LENGTH,
          ""),
    WHOLE(OK_LINE "X-Connection: close\r\nProxy-Connection: close\r\n" NO_BODY, 200, LENGTH, ""),
    WHOLE("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" NO_BODY, 200, OLD_KEEP, ""),
    WHOLE("HTTP/1.0 200 OK\r\nConnection: Keep-Alive, x\r\n" NO_BODY, 200, OLD_KEEP, ""),
    WHOLE("HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\n" NO_BODY, 200,
          LENGTH | SAYS_KEEP | CLOSE | HTTP_1_0, ""),
    WHOLE("HTTP/1.0 204 OK\r\n\r\n", 204, CLOSE | HTTP_1_0, ""),
    TO_CLOSE("HTTP/1.0 200 OK\r\n\r\nold", 200, HTTP_1_0, "old"),
    TO_CLOSE("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nold", 200, HTTP_1_0 | SAYS_KEEP,
             "old"),
};

static void test_connections(void **unused)
{
    (void)unused;
    check_all(connections, COUNT(connections));
}

static const vector retries[] = {
    RETRY_AFTER("Retry-After: 120\r\n", 120),
    RETRY_AFTER("retry-after:0\r\n", 0),
    RETRY_AFTER("Retry-After: 120 \t\r\n", 120),
    RETRY_AFTER("Retry-After:\t 00000000000000000120\r\n", 120),
    RETRY_AFTER("Retry-After: 4294967294\r\n", 4294967294u),
    RETRY_AFTER("Retry-After: 4294967295\r\n", UINT32_MAX),
    RETRY_AFTER("Retry-After: 4294967296\r\n", UINT32_MAX),
    RETRY_AFTER("Retry-After: 4294967297\r\n", UINT32_MAX),
    RETRY_AFTER("Retry-After: 18446744073709551615\r\n", UINT32_MAX),
    RETRY_AFTER("Retry-After: 18446744073709551616\r\n", UINT32_MAX),
    RETRY_AFTER("Retry-After: 18446744073709551676\r\n", UINT32_MAX),
    RETRY_AFTER("Retry-After: 99999999999999999999999999999999999999\r\n", UINT32_MAX),
    RETRY_AFTER("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", 0),
    RETRY_AFTER("Retry-After: 21 Oct 2015\r\n", 0),
    RETRY_AFTER("Retry-After: -5\r\n", 0),
    RETRY_AFTER("Retry-After: +5\r\n", 0),
    RETRY_AFTER("Retry-After: 1.5\r\n", 0),
    RETRY_AFTER("Retry-After: 5s\r\n", 0),
    RETRY_AFTER("Retry-After: 5 5\r\n", 0),
    RETRY_AFTER("Retry-After: 5, 7\r\n", 7), /* as of several fields, the last one */
    RETRY_AFTER("Retry-After: 5\r\nRetry-After: 7\r\n", 7),
    RETRY_AFTER("Retry-After: 5\r\nRetry-After: later\r\n", 0),
    RETRY_AFTER("Retry-After: Sunday, 06-Nov-94 08:49:37 GMT\r\n", 0),
    RETRY_AFTER("Retry-After: Sun Nov  6 08:49:37 1994\r\n", 0),
    RETRY_AFTER("Retry-After: soon\r\n", 0),
    RETRY_AFTER("Retry-After:\r\n", 0),
    RETRY_AFTER("Retry-After:\r\n 7\r\n", 7),
    WHOLE(OK_LINE "Retry-Afte: 5\r\nRetry-Afters: 6\r\n" NO_BODY, 200, LENGTH, ""),
};

static void test_retry_after(void **unused)
{
    (void)unused;
    check_all(retries, COUNT(retries));
}

/* ---- every byte ---- */

/* RFC 9110 section 5.6.2, as it is written there */
static bool is_tchar(unsigned c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != 0 && c < 0x80 && strchr("!#$%&'*+-.^_`|~", (int)c) != NULL);
}

static void test_token_chars(void **unused)
{
    unsigned c;

    (void)unused;
    for (c = 0; c < 256; c++)
        assert_int_equal(unsbi_is_token_char((uint8_t)c), is_tchar(c));
}

static void test_every_byte(void **unused)
{
    unsigned c;

    (void)unused;
    for (c = 0; c < 256; c++) {
        char name[] = OK_LINE "X?Y: z\r\n" NO_BODY, first[] = OK_LINE "?: z\r\n" NO_BODY;
        char value[] = OK_LINE "X: a long ? enough value\r\n" NO_BODY;
        char reason[] = "HTTP/1.1 200 a?b\r\n" NO_BODY;
        char ext[] = OK_LINE "Transfer-Encoding: chunked\r\n\r\n0;a?b\r\n\r\n";
        char trailer[] = OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b?\r\n\r\n";
        bool text = (c >= 0x20 && c != 0x7F) || c == '\t';
        bool skipped = text || (c != '\0' && c != '\r' && c != '\n');
        *strchr(name, '?') = (char)c;
        *strchr(first, '?') = (char)c;
        *strchr(value, '?') = (char)c;
        *strchr(reason, '?') = (char)c;
        *strchr(ext, '?') = (char)c;
        *strchr(trailer, '?') = (char)c;
        decode(&got, name, false, cut_whole(sizeof name - 1));
        assert_int_equal(got.rc, is_tchar(c) || c == ':' ? UNSB_OK : UNSB_E_HTTP);
        if (c == '\n' || c == 0x7F) /* a line's end; section 5.5 lets DEL pass */
            continue;
        decode(&got, first, false, cut_whole(sizeof first - 1));
        assert_int_equal(got.rc, is_tchar(c) ? UNSB_OK : UNSB_E_HTTP);
        decode(&got, value, false, cut_whole(sizeof value - 1));
        assert_int_equal(got.rc, skipped ? UNSB_OK : UNSB_E_HTTP);
        decode(&got, reason, false, cut_whole(sizeof reason - 1));
        assert_int_equal(got.rc, text ? UNSB_OK : UNSB_E_HTTP);
        decode(&got, ext, false, cut_whole(sizeof ext - 1));
        assert_int_equal(got.rc, text ? UNSB_OK : UNSB_E_HTTP);
        decode(&got, trailer, false, cut_whole(sizeof trailer - 1));
        assert_int_equal(got.rc, skipped ? UNSB_OK : UNSB_E_HTTP);
    }
}

/* A NUL must be found wherever it stands, as values are looked at by words. */
static void test_control_in_a_value(void **unused)
{
    size_t at, before;

    (void)unused;
    for (before = 0; before < 8; before++)
        for (at = 0; at < 40; at++) {
            char text[128];
            size_t size = sizeof OK_LINE - 1;
            memcpy(text, OK_LINE, size);
            memcpy(text + size, "XXXXXXXXX", before + 1);
            size += before + 1;
            text[size++] = ':';
            memset(text + size, 'v', 40);
            text[size + at] = '\0';
            size += 40;
            memcpy(text + size, "\r\n" NO_BODY, sizeof "\r\n" NO_BODY - 1);
            size += sizeof "\r\n" NO_BODY - 1;
            decode(&got, text, false, cut_whole(size));
            assert_int_equal(got.rc, UNSB_E_HTTP);
            *(char *)memchr(text, '\0', size) = '\x01';
            decode(&got, text, false, cut_whole(size));
            assert_int_equal(got.rc, UNSB_OK);
        }
}

/* ---- limits ---- */

static char large[LIMIT * 3 + 1000];

static size_t put(size_t at, const char *text)
{
    size_t size = strlen(text);

    assert_true(at + size <= sizeof large);
    memcpy(large + at, text, size);
    return at + size;
}

static size_t fill(size_t at, char c, size_t size)
{
    assert_true(at + size <= sizeof large);
    memset(large + at, c, size);
    return at + size;
}

/* A head of exactly `size` bytes, drawn out in one of several ways. */
enum {
    LONG_VALUE,
    LONG_NAME,
    LONG_REASON,
    MANY_FIELDS,
    LONG_FOLD,
    LONG_NUMBER,
    MANY_INTERIM,
    FORMS
};

static size_t put_head(unsigned form, size_t size, const char *last)
{
    static const char *const starts[] = {
        OK_LINE "X: ",  OK_LINE,  "HTTP/1.1 200 ", OK_LINE, OK_LINE "X: y\r\n ",
        OK_LINE "Retry-After: ", "",
    };
    static const char *const units[] = {"v", "n", "r", "A:b\r\n", "\r\n z", "5,",
                                        "HTTP/1.1 103\r\n\r\n"};
    static const char *const ends[] = {"\r\n", ":\r\n", "\r\n", "", "\r\n", "\r\n", OK_LINE};
    size_t unit = strlen(units[form]), at = put(0, starts[form]);
    size_t rest = strlen(ends[form]) + strlen(last);

    while (at + rest + unit * 2 + 8 <= size)
        at = put(at, units[form]);
    at = put(at, ends[form]);
    if (size != at + strlen(last)) { /* a field of what is left */
        assert_true(size - at - strlen(last) >= 4);
        at = put(at, "Y:");
        at = fill(at, 'f', size - at - strlen(last) - 2);
        at = put(at, "\r\n");
    }
    at = put(at, last);
    assert_int_equal(at, size);
    return at;
}

static void check_limit(size_t size, int rc, size_t used)
{
    static const size_t pieces[] = {LIMIT * 4, LIMIT, LIMIT - 1, 1000, 7, 1};
    size_t i, way;
    uint64_t seed = 256;

    for (i = 0; i < COUNT(pieces); i++) {
        unsb_http http;
        size_t at = 0, body = 0, n;
        int got_rc = UNSB_PENDING;
        unsb_http_init(&http, false);
        while (got_rc == UNSB_PENDING && at < size) {
            n = size - at < pieces[i] ? size - at : pieces[i];
            got_rc = unsb_http_feed(&http, large + at, n, &n, &body);
            at += n;
        }
        assert_int_equal(got_rc, rc);
        if (rc >= 0)
            assert_int_equal(at, used);
    }
    for (way = size + 1; way < size + 3; way++) {
        decode(&got, large, false, cut_start(way, size, &seed));
        assert_int_equal(got.rc, rc);
    }
}

static void test_head_limit(void **unused)
{
    unsigned form;
    size_t size, n;

    (void)unused;
    for (form = 0; form < FORMS; form++)
        for (n = LIMIT - 1; n <= LIMIT + 1; n++) {
            size = put_head(form, n, "Content-Length: 4\r\n\r\n");
            size = put(size, "bodymore");
            check_limit(size, n <= LIMIT ? UNSB_OK : UNSB_E_HEAD_SIZE, n + 4);
            size = put_head(form, n, "Connection: close\r\n\r\n");
            size = put(size, "body");
            check_limit(size, n <= LIMIT ? UNSB_PENDING : UNSB_E_HEAD_SIZE, n + 4);
        }
}

/* The head of a chunked response may be as long as another, as the lines of its chunks have a limit
 * of their own. */
static void test_head_limit_chunked(void **unused)
{
    size_t size, n;

    (void)unused;
    for (n = LIMIT - 1; n <= LIMIT + 1; n++) {
        size = put_head(LONG_VALUE, n, "Transfer-Encoding: chunked\r\n\r\n");
        size = put(size, "4\r\nbody\r\n0\r\n\r\n");
        check_limit(size, n <= LIMIT ? UNSB_OK : UNSB_E_HEAD_SIZE, size);
    }
}

/* The first and the second line of a chunk, of n - 1, n and n + 1 bytes. */
static void test_chunk_line_limit(void **unused)
{
    size_t size, n, line;

    (void)unused;
    for (line = 0; line < 2; line++)
        for (n = LIMIT - 1; n <= LIMIT + 1; n++) {
            size = put(0, OK_LINE "Transfer-Encoding: chunked\r\n\r\n");
            if (line == 1)
                size = put(size, "4\r\nbody\r\n");
            size = put(size, "4;");
            size = fill(size, 'e', n - 4);
            size = put(size, "\r\nbody\r\n0\r\n\r\n");
            check_limit(size, n <= LIMIT ? UNSB_OK : UNSB_E_HEAD_SIZE, size);
        }
}

/* Of what the limits must stop in any case: lines and trailers without end. */
static void test_endless(void **unused)
{
    static const char *const starts[] = {
        "HTTP/1.1 200 ",
        OK_LINE,
        OK_LINE "X:",
        OK_LINE "Content-Length: ",
        OK_LINE "Transfer-Encoding: chunked\r\n\r\n",
        OK_LINE "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n",
        OK_LINE "Transfer-Encoding: chunked\r\n\r\n4;",
        OK_LINE "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n",
        OK_LINE "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nA:",
    };
    size_t i, size;

    (void)unused;
    for (i = 0; i < COUNT(starts); i++) {
        size = put(0, starts[i]);
        size = fill(size, '0', LIMIT * 2);
        check_limit(size, UNSB_E_HEAD_SIZE, 0);
    }
    size = put(0, OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\n");
    while (size < LIMIT * 2)
        size = put(size, "A:b\r\n");
    check_limit(size, UNSB_E_HEAD_SIZE, 0);
    for (size = 0; size < LIMIT * 2;)
        size = put(size, "HTTP/1.1 100 x\r\n\r\n");
    check_limit(size, UNSB_E_HEAD_SIZE, 0);
}

/* A response whose head, chunk lines and trailers are as long as allowed together, however they
 * are counted; and chunks without end, each with a short line. */
static void test_within_limits(void **unused)
{
    size_t size, head;

    (void)unused;
    size = head = put_head(MANY_FIELDS, LIMIT / 2, "Transfer-Encoding: chunked\r\n\r\n");
    size = put(size, "4\r\nbody\r\n0\r\nA:");
    size = fill(size, 't', LIMIT - size - 6);
    size = put(size, "\r\n\r\n");
    check_limit(size, UNSB_OK, size);
    assert_true(size <= LIMIT && head < size);
    size = put(0, OK_LINE "Transfer-Encoding: chunked\r\n\r\n");
    while (size < LIMIT * 2)
        size = put(size, "1;a\r\nx\r\n");
    size = put(size, "0\r\n\r\n");
    check_limit(size, UNSB_OK, size);
}

/* ---- random responses ---- */

static const char *pick(uint64_t *seed, const char *const *from, size_t count)
{
    return from[random_below(seed, count)];
}

static void test_random_responses(void **unused)
{
    static const char *const extra[] = {"Server: x\r\n", "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
                                        "X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n b\r\n",
                                        "Set-Cookie: a=b; c\n", "Keep-Alive: timeout=5\r\n"};
    static const char *const starts[] = {"", "HTTP/1.1 100 Continue\r\n\r\n",
                                         "HTTP/1.1 103\r\nLink: x\r\n\r\n"};
    uint64_t seed = random_seed(7230);
    unsigned i;

    (void)unused;
    for (i = 0; i < 1500; i++) {
        size_t size = put(0, pick(&seed, starts, COUNT(starts))), body_size = 0, n;
        size_t way, kind = random_below(&seed, 3), pieces;
        char body[600], line[64];
        bool close = random_below(&seed, 3) == 0;
        unsigned status = 200 + (unsigned)random_below(&seed, 300);
        status = status == 204 || status == 304 ? 200 : status;
        snprintf(line, sizeof line, "HTTP/1.1 %u Some\r\n", status);
        size = put(size, line);
        for (n = random_below(&seed, 4); n != 0; n--)
            size = put(size, pick(&seed, extra, COUNT(extra)));
        if (close)
            size = put(size, "Connection: close\r\n");
        pieces = kind == 0 ? 1 : random_below(&seed, 5);
        if (kind == 0) {
            body_size = random_below(&seed, 100);
            snprintf(line, sizeof line, "Content-Length: %u\r\n\r\n", (unsigned)body_size);
            size = put(size, line);
        } else {
            size = put(size, kind == 1 ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
        }
        random_bytes(&seed, (uint8_t *)body, sizeof body);
        if (kind == 1) {
            for (; pieces != 0; pieces--) {
                n = 1 + random_below(&seed, 100);
                snprintf(line, sizeof line, random_below(&seed, 2) ? "%x\r\n" : "%04X;a=b\r\n",
                         (unsigned)n);
                size = put(size, line);
                memcpy(large + size, body + body_size, n);
                size = put(size + n, "\r\n");
                body_size += n;
            }
            size = put(size, random_below(&seed, 2) ? "0\r\n\r\n" : "0\r\nA: b\r\n\r\n");
        } else {
            body_size = kind == 2 ? random_below(&seed, 100) : body_size;
            memcpy(large + size, body, body_size);
            size += body_size;
        }
        for (way = size; way < size + 4; way++) {
            decode(&got, large, false, cut_start(way == size + 3 ? 0 : way, size, &seed));
            assert_int_equal(got.rc, kind == 2 ? UNSB_PENDING : UNSB_OK);
            assert_int_equal(got.end, UNSB_OK);
            assert_int_equal(got.used, size);
            assert_int_equal(got.status, status);
            assert_int_equal(got.flags, (kind == 0 ? LENGTH : kind == 1 ? CHUNKED : CLOSE) |
                                            (close ? SAYS_CLOSE : BODY));
            assert_int_equal(got.body_size, body_size);
            assert_memory_equal(got.body, body, body_size);
        }
    }
}

/* Whatever comes, the outcome does not depend on the pieces. */
static void test_random_damage(void **unused)
{
    static const char *const texts[] = {
        OK_LINE "Transfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.1 100 x\r\n\r\n" OK_LINE "Connection: close\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.0 429 x\nRetry-After: 12\r\n x\r\nConnection: keep-alive\r\n\r\nhello",
    };
    static const char chars[] = "\r\n\t :;,0159afgHTP/.\x7F\x80-";
    static decoded first;
    uint64_t seed = random_seed(7231);
    unsigned i, wrong = 0;

    (void)unused;
    for (i = 0; i < 20000; i++) {
        size_t size = put(0, pick(&seed, texts, COUNT(texts))), changes, way;
        for (changes = 1 + random_below(&seed, 3); changes != 0; changes--) {
            size_t at = random_below(&seed, size);
            if (random_below(&seed, 3) == 0)
                memmove(large + at, large + at + 1, --size - at);
            else
                large[at] = chars[random_below(&seed, sizeof chars)];
        }
        decode(&first, large, false, cut_whole(size));
        wrong += first.rc < 0;
        for (way = size; way < size + 2; way++) {
            decode(&got, large, false, cut_start(way, size, &seed));
            assert_int_equal(got.rc, first.rc);
            if (got.rc >= 0)
                assert_memory_equal(&got, &first, offsetof(decoded, body));
            assert_int_equal(got.body_size, first.body_size);
            assert_memory_equal(got.body, first.body, first.body_size);
        }
    }
    assert_in_range(wrong, 2000, 19000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_codings),
        cmocka_unit_test(test_empty_coding),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_length_limits),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_interim),
        cmocka_unit_test(test_status_lines),
        cmocka_unit_test(test_every_status),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_token_chars),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_control_in_a_value),
        cmocka_unit_test(test_head_limit),
        cmocka_unit_test(test_head_limit_chunked),
        cmocka_unit_test(test_chunk_line_limit),
        cmocka_unit_test(test_endless),
        cmocka_unit_test(test_within_limits),
        cmocka_unit_test(test_random_responses),
        cmocka_unit_test(test_random_damage),
    };

    return cmocka_run_group_tests_name("http", tests, open_guard, close_guard);
}
