/* Fast and compact builds answer every call alike, errors included: inputs changed at
 * random, from a seed that is printed, in pieces of all sizes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "diff.h"
#include "guard.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define INPUTS 40000 /* of each part */
#define LONGEST 600

typedef struct input {
    uint8_t bytes[LONGEST];
    size_t size;
} input;

static uint64_t seed;

static const char *const json_seeds[] = {
    "{\"success\":true,\"stdout\":\"Hello \\u00e9\\u20ac\\ud83d\\ude00\\n\",\"stderr\":\"\","
    "\"exit_code\":0,\"total_time_ms\":5.23e2,\"artifacts\":[{\"filename\":\"a.out\"}],\"x\":null}",
    "[0,-1,5.23e2,1E+5,1e-3,9223372036854775807,-9223372036854775808,18446744073709551616,0.000]",
    "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 plain text of more than thirty-two bytes, and then some"
    "\\\\ \\\" \\/ \\b\\f\\n\\r\\t\"",
    "[[[[[{\"a\":{\"b\":[true,false,null,{}]}}]]]],\"\\udc80\\udcff\\ud800\",[]]",
    "\xEF\xBB\xBF {\"a\" : [ 1 , 2 ] , \"b\" : \"\x7F\x01\xFF\xC0\" }\r\n",
    "[123456789012345678901234567890.12345e-10,1000000000000000000000e-20,0.1e400,-0]",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "17", "tru",
};

static const char *const http_seeds[] = {
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{\"a\": 123}",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;e=\"x\"\r\nhello\r\n00A \r\n0123456789"
    "\r\n0\r\nX: y\r\nno colon\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n"
    "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nConnection: keep-alive, close\r\n"
    "Content-Length: 2, 2\r\n\r\nhi",
    "HTTP/1.0 200 OK\nServer: x\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\nX: a\n b\n\nbody",
    "HTTP/1.1 204 No\r\nSet-Cookie: a=\x01\x7F\xFF; path=/a/long/path/that/goes/on/and/on\r\n"
    "content-LENGTH:\t 5 \r\n\r\n",
    "HTTP/1.1 999 \r\nTransfer-Encoding:,,chunked,\r\nX-Empty:\r\n\r\nffffffffffffffff\r\n",
    "HTTP/1.1 200\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "HTTP/1.1 101 Switch\r\n\r\n", "HTTP/1.1 304 Same\r\nContent-Length: 3\r\n\r\nabc",
};

static const char *const base64_seeds[] = {
    "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3ODk=",
    "AAAA", "/+/+", "QQ==", "QUI=", "", "QR==", "Q===", "=AAA",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==",
};

static const char *const tokens[] = {
    "\r\n", "\n", "\r", " ", "\t", ":", ",", ";", "=", "==", "\"", "\\", "{", "}", "[", "]", "-",
    "0", "9", "e", ".", "\\u", "\\ud83d", "\\udc80", "\\ude00", "\\u0000", "\\x", "\x01", "\x7F",
    "\xC3", "\xE2\x82", "\xF0\x9F", "\xFF", "\xED\xA0\x80", "true", "false", "null", "NaN", "{}",
    "[]", "\"a\":", "1e400", "99999999999999999999", "chunked", "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "Retry-After: 3\r\n",
    "0\r\n\r\n", "5\r\nhello\r\n", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\n", "\r\n\r\n", "\r\n ", "X: y",
    "A", "/", "+", "_", "QUJD", "\xEF\xBB\xBF", "identity", "0x", "Upgrade: x\r\n", "204", "100",
};

static void insert(input *in, size_t at, const void *bytes, size_t size)
{
    if (size > LONGEST - in->size)
        size = LONGEST - in->size;
    memmove(in->bytes + at + size, in->bytes + at, in->size - at);
    memcpy(in->bytes + at, bytes, size);
    in->size += size;
}

static void take_out(input *in, size_t at, size_t size)
{
    if (size > in->size - at)
        size = in->size - at;
    memmove(in->bytes + at, in->bytes + at + size, in->size - at - size);
    in->size -= size;
}

static void change(input *in, const char *const *seeds, size_t count)
{
    size_t at = random_below(&seed, in->size + 1), n;
    uint8_t run[100], old[64];
    const char *text;

    switch (random_below(&seed, 7)) {
    case 0:
    case 1:
        text = tokens[random_below(&seed, COUNT(tokens))];
        insert(in, at, text, strlen(text));
        break;
    case 2:
        take_out(in, at, 1 + random_below(&seed, 6));
        break;
    case 3: /* a byte */
        if (at < in->size)
            in->bytes[at] = (uint8_t)random_next(&seed);
        break;
    case 4: /* a bit */
        if (at < in->size)
            in->bytes[at] ^= (uint8_t)(1u << random_below(&seed, 8));
        break;
    case 5: /* a stretch, of which whole words take a part */
        n = random_below(&seed, sizeof run);
        memset(run, (int)(random_below(&seed, 4) == 0 ? random_next(&seed) & 0xFF : 'a'), n);
        insert(in, at, run, n);
        break;
    default: /* a part of another one */
        text = seeds[random_below(&seed, count)];
        n = strlen(text);
        if (n != 0) {
            size_t from = random_below(&seed, n);
            n = (n - from < sizeof old ? n - from : sizeof old);
            memcpy(old, text + from, n);
            insert(in, at, old, n);
        }
        break;
    }
}

static void same(const diff_way *way, const input *in)
{
    static uint8_t *work;
    const char *name;
    size_t i;

    if (work == NULL)
        work = (uint8_t *)malloc(DIFF_WORK((size_t)LONGEST));
    assert_non_null(work);
    name = diff_check(way, in->bytes, in->size, work);
    if (name == NULL)
        return;
    print_error("%s: part %u, pieces %u, option %u:", name, way->part, way->piece, way->option);
    for (i = 0; i < in->size; i++)
        print_error(in->bytes[i] < ' ' || in->bytes[i] > '~' || in->bytes[i] == '\\' ? "\\x%02X"
                                                                                     : "%c",
                    in->bytes[i]);
    print_error("\n");
    fail();
}

static void try_part(uint8_t part, const char *const *seeds, size_t count)
{
    size_t i, s, repeats;
    unsigned piece;
    input in;
    diff_way way;

    seed = random_seed(20260323);
    way.part = part;
    for (s = 0; s < count; s++) { /* the seeds as they are, in all pieces */
        in.size = strlen(seeds[s]);
        assert_true(in.size <= LONGEST);
        memcpy(in.bytes, seeds[s], in.size);
        for (piece = 0; piece < 140; piece++)
            for (way.option = 0; way.option < 8; way.option++) {
                way.piece = (uint8_t)piece;
                same(&way, &in);
            }
    }
    for (i = 0; i < INPUTS; i++) {
        size_t changes = 1 + random_below(&seed, 5);
        s = random_below(&seed, count);
        in.size = strlen(seeds[s]);
        memcpy(in.bytes, seeds[s], in.size);
        if (i % 4 == 0) /* again and again: long enough for whole words */
            for (repeats = random_below(&seed, 9); repeats != 0 && in.size < LONGEST; repeats--)
                insert(&in, in.size, seeds[s], strlen(seeds[s]));
        while (changes-- != 0)
            change(&in, seeds, count);
        way.option = (uint8_t)random_below(&seed, 8);
        way.piece = 0;
        same(&way, &in);
        way.piece = (uint8_t)(1 + random_below(&seed, 139));
        same(&way, &in);
    }
}

static void test_json_reader(void **state)
{
    (void)state;
    try_part(0, json_seeds, COUNT(json_seeds));
}

static void test_http(void **state)
{
    (void)state;
    try_part(1, http_seeds, COUNT(http_seeds));
}

static void test_base64_decoder(void **state)
{
    (void)state;
    try_part(2, base64_seeds, COUNT(base64_seeds));
}

static void test_base64_encoder(void **state)
{
    (void)state;
    try_part(3, json_seeds, COUNT(json_seeds));
}

static void test_json_writer(void **state)
{
    (void)state;
    try_part(4, json_seeds, COUNT(json_seeds));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_reader),    cmocka_unit_test(test_http),
        cmocka_unit_test(test_base64_decoder), cmocka_unit_test(test_base64_encoder),
        cmocka_unit_test(test_json_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
