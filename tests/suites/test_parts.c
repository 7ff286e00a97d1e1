/* The small parts that the others are made of, and the functions that need no client. */
#include "suite.h"
#include "guard.h"
#include <inttypes.h>

#define DATA_MAX 4096

static guard in_guard, out_guard;

static int open_guards(void **unused)
{
    (void)unused;
    in_guard = guard_open(DATA_MAX);
    out_guard = guard_open(DATA_MAX * 4);
    return 0;
}

static int close_guards(void **unused)
{
    (void)unused;
    guard_close(&in_guard);
    guard_close(&out_guard);
    return 0;
}

static size_t utf8_put(uint32_t code, char *out)
{
    char bytes[4], *from = unsbi_utf8_encode((int32_t)code, bytes + sizeof bytes);
    size_t size = (size_t)(bytes + sizeof bytes - from);

    memcpy(out, from, size);
    return size;
}

/* ---- numbers ---- */

static void check_decimal(uint64_t value)
{
    char expected[24], *end, *start;
    int size = snprintf(expected, sizeof expected, "%" PRIu64, value);

    /* where it must not write: before its first digit, and from `end` on */
    end = (char *)guard_room(&out_guard, (size_t)size) + size;
    start = unsbi_decimal(value, end);
    assert_int_equal(end - start, size);
    assert_memory_equal(start, expected, (size_t)size);
    assert_true(guard_intact(&out_guard, (size_t)size));
}

static void test_decimal(void **unused)
{
    uint64_t seed = random_seed(10), power = 1;
    unsigned i, bits;

    (void)unused;
    check_decimal(0);
    check_decimal(UINT64_MAX);
    for (i = 0; i < 20; i++, power *= 10) {
        check_decimal(power - 1);
        check_decimal(power);
        check_decimal(power + 1);
        check_decimal(power / 2 * 19);
    }
    for (bits = 0; bits < 64; bits++) {
        check_decimal((uint64_t)1 << bits);
        check_decimal(((uint64_t)1 << bits) - 1);
        for (i = 0; i < 300; i++)
            check_decimal(random_next(&seed) >> bits);
    }
    for (i = 0; i < 70000; i += i < 3000 ? 1 : 7)
        check_decimal(i);
}

static void test_hex_and_digits(void **unused)
{
    static const char digits[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    unsigned c;

    (void)unused;
    for (c = 0; c < 256; c++) {
        const char *low = c == 0 ? NULL : strchr(digits, (int)c);
        const char *high = c == 0 ? NULL : strchr(upper, (int)c);
        int value = low != NULL ? (int)(low - digits) : high != NULL ? (int)(high - upper) : 16;
        assert_int_equal(unsbi_hex_value((uint8_t)c), value);
        assert_int_equal(unsbi_is_digit((uint8_t)c), c >= '0' && c <= '9');
    }
}

static void test_min(void **unused)
{
    (void)unused;
    assert_int_equal(unsbi_min(0, 1), 0);
    assert_int_equal(unsbi_min(2, 1), 1);
    assert_int_equal(unsbi_min(3, 3), 3);
    assert_int_equal(unsbi_min(SIZE_MAX, SIZE_MAX - 1), SIZE_MAX - 1);
}

static void test_wipe(void **unused)
{
    uint8_t data[40];
    size_t size, i;

    (void)unused;
    for (size = 0; size <= 32; size++) {
        memset(data, 0xEE, sizeof data);
        unsbi_wipe(data + 4, size);
        for (i = 0; i < sizeof data; i++)
            assert_int_equal(data[i], i >= 4 && i < 4 + size ? 0 : 0xEE);
    }
}

/* ---- UTF-8 ---- */

/* Is this one character or several, whole? */
static bool is_utf8(const uint8_t *text, size_t size)
{
    uint8_t state = 0;

    while (size--)
        if (!unsbi_utf8_next(&state, *text++))
            return false;
    return state == 0;
}

static void test_every_character(void **unused)
{
    uint32_t code;

    (void)unused;
    for (code = 0; code <= 0x10FFFF; code++) {
        char text[4] = {0, 0, 0, 0};
        uint8_t expected[4], size, i, state = 0;
        size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        expected[0] = (uint8_t)(size == 1   ? code
                                : size == 2 ? 0xC0 + code / 64
                                : size == 3 ? 0xE0 + code / 4096
                                            : 0xF0 + code / 262144);
        for (i = 1; i < size; i++) {
            uint32_t shifted = code >> 6 * (size - 1 - i);
            expected[i] = (uint8_t)(0x80 + shifted % 64);
        }
        if (unsbi_utf8_encode((int32_t)code, text + 4) != text + 4 - size ||
            memcmp(text + 4 - size, expected, size) != 0)
            fail_msg("U+%04X", (unsigned)code);
        for (i = size; i < 4; i++)
            assert_int_equal(text[3 - i], 0);
        if (!UNSB_UTF8)
            continue;
        if (code >= 0xD800 && code <= 0xDFFF) {
            assert_false(is_utf8(expected, size));
            continue;
        }
        for (i = 0; i < size; i++)
            if (!unsbi_utf8_next(&state, expected[i]) || (state == 0) != (i == size - 1))
                fail_msg("U+%04X", (unsigned)code);
    }
}

/* RFC 3629 section 4, as its grammar is written there: how long the character is, or 0. */
static size_t utf8_grammar(const uint8_t *t, size_t size)
{
    static const struct {
        uint8_t first, last, low, high; /* of the first byte, and of the second */
        size_t size;
    } rows[] = {
        {0x00, 0x7F, 0x00, 0xFF, 1}, {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    size_t i, k;

    for (i = 0; i < COUNT(rows); i++) {
        if (t[0] < rows[i].first || t[0] > rows[i].last || rows[i].size > size)
            continue;
        if (rows[i].size > 1 && (t[1] < rows[i].low || t[1] > rows[i].high))
            continue;
        for (k = 2; k < rows[i].size; k++)
            if (t[k] < 0x80 || t[k] > 0xBF)
                break;
        if (k >= rows[i].size)
            return rows[i].size;
    }
    return 0;
}

static bool utf8_grammar_all(const uint8_t *text, size_t size)
{
    while (size != 0) {
        size_t n = utf8_grammar(text, size);
        if (n == 0)
            return false;
        text += n;
        size -= n;
    }
    return true;
}

static void test_malformed(void **unused)
{
    static const uint8_t bytes[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
                                    0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0,
                                    0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFE, 0xFF};
    unsigned a, b, valid = 0;
    uint32_t n, all = 1;
    size_t size, i;

    (void)unused;
    for (a = 0; a < 256; a++) {
        uint8_t text[3] = {(uint8_t)a, 0, 0x80};
        assert_int_equal(is_utf8(text, 1), utf8_grammar_all(text, 1));
        for (b = 0; b < 256; b++) {
            text[1] = (uint8_t)b;
            assert_int_equal(is_utf8(text, 2), utf8_grammar_all(text, 2));
            assert_int_equal(is_utf8(text, 3), utf8_grammar_all(text, 3));
        }
    }
    for (size = 1; size <= 4; size++) {
        all *= (uint32_t)COUNT(bytes);
        for (n = 0; n < all; n++) {
            uint8_t text[4];
            uint32_t rest = n;
            for (i = 0; i < size; i++, rest /= (uint32_t)COUNT(bytes))
                text[i] = bytes[rest % COUNT(bytes)];
            if (is_utf8(text, size) != utf8_grammar_all(text, size))
                fail_msg("%02X %02X %02X %02X, %u", text[0], text[1], text[2], text[3],
                         (unsigned)size);
            valid += is_utf8(text, size);
        }
    }
    assert_true(valid > 1000);
}

/* ---- words ---- */

static const char *const lists[] = {
    unsbi_http_fields,          unsbi_http_tokens,
#if UNSB_ARTIFACTS
    unsbi_artifact_fields_names,
#endif
#if UNSB_LISTS
    unsbi_list_fields_names,
#endif
#if UNSB_KEYS
    unsbi_key_fields_names,
#endif
#if UNSB_REQUEST
    unsbi_call_fields_names,
#endif
    unsbi_outcome_fields_names, unsbi_refusal_fields_names, unsbi_words};

static uint8_t find_word(const char *list, const char *text, size_t size)
{
    char *exact = (char *)guard_put(&in_guard, text, size);

    return unsbi_find(list, exact, size, 0);
}

/* The words of each list, NUL-terminated, and an empty one. */
static char words[COUNT(lists)][512];

static void unpack_lists(void)
{
    size_t i, size;

    for (i = 0; i < COUNT(lists); i++) {
        const char *from = lists[i];
        char *to = words[i];
        for (; (size = (uint8_t)*from++) != 0; from += size, to += size + 1) {
            assert_true(to + size + 2 < words[i] + sizeof words[i]);
            memcpy(to, from, size);
            to[size] = '\0';
        }
        *to = '\0';
    }
}

static uint8_t look_up(const char *list, const char *text, size_t size)
{
    uint8_t i;

    for (i = 0; *list != '\0'; list += strlen(list) + 1, i++)
        if (strlen(list) == size && memcmp(list, text, size) == 0)
            return i;
    return UNSBI_NO_WORD;
}

static void check_word(size_t list, const char *text, size_t size)
{
    if (find_word(lists[list], text, size) != look_up(words[list], text, size))
        fail_msg("\"%.*s\" is word %u", (int)size, text, find_word(lists[list], text, size));
}

static void test_no_word_twice(void **unused)
{
    size_t i;

    (void)unused;
    unpack_lists();
    for (i = 0; i < COUNT(lists); i++) {
        const char *word, *next;
        for (word = words[i]; *word != '\0'; word += strlen(word) + 1)
            for (next = word + strlen(word) + 1; *next != '\0'; next += strlen(next) + 1)
                assert_string_not_equal(word, next);
    }
}

/* What HTTP compares regardless of case: any visible byte in any place of each word. */
static void test_folded_words(void **unused)
{
    size_t i, k, size;
    unsigned c;

    (void)unused;
    unpack_lists();
    for (i = 0; i < 2; i++) {
        const char *word;
        for (word = words[i]; *word != '\0'; word += size + 1) {
            size = strlen(word);
            for (k = 0; k < size; k++)
                for (c = 0x21; c < 0x100; c++) {
                    char text[32], lower[32];
                    memcpy(text, word, size);
                    memcpy(lower, word, size);
                    text[k] = (char)c;
                    lower[k] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
                    assert_int_equal(unsbi_find(lists[i], text, size, 0x20),
                                     look_up(words[i], lower, size));
                }
        }
    }
}

static void test_words(void **unused)
{
    uint64_t seed = random_seed(26);
    size_t i, k, size;
    unsigned c, n;

    (void)unused;
    unpack_lists();
    for (i = 0; i < COUNT(lists); i++) {
        const char *word;
        check_word(i, "", 0);
        check_word(i, "\0", 1);
        for (c = 0; c < 256; c++) {
            char one = (char)c;
            check_word(i, &one, 1);
        }
        for (word = words[i]; *word != '\0'; word += strlen(word) + 1) {
            size = strlen(word);
            assert_int_not_equal(find_word(lists[i], word, size), UNSBI_NO_WORD);
            assert_true(size < 32);
            for (k = 0; k <= size; k++) {
                char text[80];
                memcpy(text, word, size + 1);
                check_word(i, word, k);     /* a prefix */
                check_word(i, word, k + 1); /* ... with the NUL, in the end */
                for (c = 0; c < 256; c++) {
                    text[k] = (char)c; /* another byte, at the end or within */
                    check_word(i, text, k + 1);
                    check_word(i, text, size);
                }
                /* a NUL, and then what comes next, in the text or in the list */
                memcpy(text, word, k);
                text[k] = '\0';
                memcpy(text + k + 1, word + k, size - k);
                check_word(i, text, size + 1);
                memcpy(text, word, size + 1);
                if (word[size + 1] != '\0') {
                    memcpy(text + size + 1, word + size + 1, strlen(word + size + 1));
                    check_word(i, text, size + 1 + strlen(word + size + 1));
                }
            }
            for (n = 0; n < 200; n++) { /* mixed with another word */
                const char *other = words[i];
                char text[80];
                for (k = random_below(&seed, 24); k != 0 && *other != '\0'; k--)
                    other += strlen(other) + 1;
                size = random_below(&seed, strlen(word) + 1);
                memcpy(text, word, size);
                k = random_below(&seed, strlen(other) + 1);
                memcpy(text + size, other + k, strlen(other + k));
                check_word(i, text, size + strlen(other + k));
            }
        }
    }
}

static void test_word_indices(void **unused)
{
    (void)unused;
#if UNSB_KEEP_ALIVE
    assert_int_equal(find_word(unsbi_http_fields, "connection", 10), UNSBI_FIELD_CONNECTION);
    assert_int_equal(find_word(unsbi_http_tokens, "close", 5), UNSBI_TOKEN_CLOSE);
    assert_int_equal(find_word(unsbi_http_tokens, "keep-alive", 10), UNSBI_TOKEN_KEEP_ALIVE);
#else
    assert_int_equal(find_word(unsbi_http_fields, "connection", 10), UNSBI_NO_WORD);
    assert_int_equal(find_word(unsbi_http_tokens, "close", 5), UNSBI_NO_WORD);
    assert_int_equal(find_word(unsbi_http_tokens, "keep-alive", 10), UNSBI_NO_WORD);
#endif
    assert_int_equal(find_word(unsbi_http_fields, "content-length", 14),
                     UNSBI_FIELD_CONTENT_LENGTH);
    assert_int_equal(find_word(unsbi_http_fields, "retry-after", 11), UNSBI_FIELD_RETRY_AFTER);
    assert_int_equal(find_word(unsbi_http_fields, "transfer-encoding", 17),
                     UNSBI_FIELD_TRANSFER_ENCODING);
    assert_int_equal(find_word(unsbi_http_tokens, "chunked", 7), UNSBI_TOKEN_CHUNKED);
}

/* ---- runs of plain characters ---- */

static void test_plain_run(void **unused)
{
    size_t size, at;
    unsigned c;

    (void)unused;
    for (size = 0; size <= 80; size++) {
        uint8_t *data = guard_room(&in_guard, size);
        memset(data, 'a', size);
        assert_int_equal(unsbi_plain_run(data, size), size);
        for (at = 0; at < size; at++)
            for (c = 0; c < 256; c++) {
                bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
                data[at] = (uint8_t)c;
                if (unsbi_plain_run(data, size) != (plain ? size : at))
                    fail_msg("0x%02X at %u of %u", c, (unsigned)at, (unsigned)size);
                data[at] = 'a';
            }
    }
}

static void test_plain_run_offsets(void **unused)
{
    uint64_t seed = random_seed(16);
    unsigned i;

    (void)unused;
    for (i = 0; i < 20000; i++) { /* at every alignment, with several bytes that end a run */
        size_t size = random_below(&seed, 160), skip = random_below(&seed, 33), n, run = 0;
        size_t one_in = (size_t)4 << random_below(&seed, 7);
        uint8_t *data = guard_room(&in_guard, size + skip);
        for (n = 0; n < size; n++) {
            data[n] = random_below(&seed, one_in) == 0 ? (uint8_t)random_next(&seed)
                                                       : (uint8_t)(0x20 + random_below(&seed, 0x60));
            if (one_in > 32 && (data[n] == '"' || data[n] == '\\'))
                data[n] = '!';
        }
        while (run < size && data[run] >= 0x20 && data[run] < 0x80 && data[run] != '"' &&
               data[run] != '\\')
            run++;
        assert_int_equal(unsbi_plain_run(data, size), run);
    }
}

#if !UNSB_SMALL
/* As far as they go, no less: what they leave is looked at byte by byte, which is slower. */
static void test_head_runs(void **unused)
{
    size_t size, at;
    unsigned c;

    (void)unused;
    for (size = 0; size <= 40; size++) {
        uint8_t *data = guard_room(&in_guard, size);
        memset(data, 'a', size);
        assert_int_equal(unsbi_text_run(data, size), size);
        assert_int_equal(unsbi_token_run(data, size), size);
        for (at = 0; at < size; at++)
            for (c = 0; c < 256; c++) {
                data[at] = (uint8_t)c;
                assert_int_equal(unsbi_text_run(data, size), c >= 0x20 ? size : at);
                assert_int_equal(unsbi_token_run(data, size),
                                 unsbi_is_token_char((uint8_t)c) ? size : at);
                data[at] = 'a';
            }
    }
}

/* A head of lines that do not matter is passed over at once, up to the empty line. */
static void test_head_skip(void **unused)
{
    static const char head[] = "HTTP/1.1 200 Fine\r\nServer: x\r\nX-A:\r\nX-B: c d\r\n\r\n";
    unsb_http h;

    (void)unused;
    unsb_http_init(&h, false);
    assert_int_equal(unsbi_http_skip(&h, (const uint8_t *)head, sizeof head - 1), sizeof head - 3);
    /* a name that began before, and a value of tokens */
    unsb_http_init(&h, false);
    h.state = UNSBI_HTTP_NAME;
    assert_int_equal(unsbi_http_skip(&h, (const uint8_t *)"ection: x", 9), 6);
    assert_int_equal(h.length, 6);
    h.state = UNSBI_HTTP_TEXT;
    h.field = UNSBI_FIELD_TRANSFER_ENCODING;
    h.length = 0;
    assert_int_equal(unsbi_http_skip(&h, (const uint8_t *)"close, x", 8), 5);
    assert_int_equal(h.length, 5);
    h.spaced = 1;
    assert_int_equal(unsbi_http_skip(&h, (const uint8_t *)"x, close", 8), 0);
    /* as much of a word as is kept, and the lines after it */
    h.spaced = 0;
    assert_int_equal(unsbi_http_skip(&h, (const uint8_t *)"a-word-of-twenty-two-c", 22), 22);
    assert_int_equal(h.length, sizeof h.token);
    assert_memory_equal(h.token, "closea-word-of-twenty", sizeof h.token);
    assert_int_equal(unsbi_http_skip(&h, (const uint8_t *)"more\r\n", 6), 6);
    assert_int_equal(h.length, sizeof h.token);
    assert_int_equal(h.state, UNSBI_HTTP_LINE);
    /* a number is not */
    h.state = UNSBI_HTTP_TEXT;
    h.field = UNSBI_FIELD_CONTENT_LENGTH;
    assert_int_equal(unsbi_http_skip(&h, (const uint8_t *)"17\r\n", 4), 0);
    /* all that may follow a CR is its LF */
    h.field = UNSBI_FIELD_OTHER;
    assert_int_equal(unsbi_http_skip(&h, (const uint8_t *)"text", 4), 4);
    h.cr = true;
    assert_int_equal(unsbi_http_skip(&h, (const uint8_t *)"text", 4), 0);
}
#endif

/* ---- encodings ---- */

enum { AS_JSON = 1, AS_URL = 2, AS_BASE64 = 4, AS_HEX = 8 };

static const uint8_t hows[] = {AS_JSON, AS_URL, AS_JSON | AS_URL, AS_BASE64,
#if UNSB_SIGNING
                               AS_HEX
#endif
};

static bool is_how(uint8_t how)
{
    return how == AS_URL              ? UNSB_JOBS
           : how == (AS_JSON | AS_URL) ? UNSB_RUN
           : how == AS_BASE64          ? UNSB_FILES
                                       : true;
}

static int encode(uint8_t how, unsbi_encoding *e)
{
    switch (how) {
    case AS_JSON:
        return unsbi_encode(e, unsbi_encode_json);
    case AS_URL:
        return unsbi_encode(e, unsbi_encode_url);
    case AS_BASE64:
        return unsbi_encode(e, unsbi_encode_base64);
#if UNSB_SIGNING
    case AS_HEX:
        return unsbi_encode(e, unsbi_encode_hex);
#endif
    default:
        return unsbi_encode(e, unsbi_encode_json_url);
    }
}

/* The other implementation. RFC 8259 leaves open how to escape; these are the short forms. */
static size_t naive_json(const uint8_t *in, size_t size, uint8_t *out)
{
    size_t i, n = 0;

    for (i = 0; i < size; i++) {
        char text[8];
        switch (in[i]) {
        case '"':
            strcpy(text, "\\\"");
            break;
        case '\\':
            strcpy(text, "\\\\");
            break;
        case '\b':
            strcpy(text, "\\b");
            break;
        case '\f':
            strcpy(text, "\\f");
            break;
        case '\n':
            strcpy(text, "\\n");
            break;
        case '\r':
            strcpy(text, "\\r");
            break;
        case '\t':
            strcpy(text, "\\t");
            break;
        default:
            if (in[i] < 0x20)
                sprintf(text, "\\u%04X", in[i]);
            else
                sprintf(text, "%c", in[i]);
            break;
        }
        memcpy(out + n, text, strlen(text));
        n += strlen(text);
    }
    return n;
}

/* RFC 3986 section 2.1: the digits may be of either case; here they are as the library's. */
static size_t naive_url(const uint8_t *in, size_t size, uint8_t *out)
{
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t i, n = 0;
    uint8_t probe[3];

    unsbi_percent(0xFF, probe);
    for (i = 0; i < size; i++) {
        char text[4];
        if (in[i] != 0 && strchr(unreserved, in[i]) != NULL)
            sprintf(text, "%c", in[i]);
        else
            sprintf(text, probe[1] == 'F' ? "%%%02X" : "%%%02x", in[i]);
        memcpy(out + n, text, strlen(text));
        n += strlen(text);
    }
    return n;
}

static size_t naive_base64(const uint8_t *in, size_t size, uint8_t *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t bit, n = 0;
    unsigned k;

    for (bit = 0; bit < size * 8; bit += 6) {
        unsigned v = 0;
        for (k = 0; k < 6; k++) {
            size_t at = bit + k;
            v = v << 1 | (at < size * 8 ? (unsigned)in[at / 8] >> (7 - at % 8) & 1u : 0u);
        }
        out[n++] = (uint8_t)alphabet[v];
    }
    while (n % 4 != 0)
        out[n++] = '=';
    return n;
}

static size_t naive_encode(uint8_t how, const uint8_t *in, size_t size, uint8_t *out)
{
    static uint8_t between[DATA_MAX * 6];
    size_t i;

    switch (how) {
    case AS_JSON:
        return naive_json(in, size, out);
    case AS_URL:
        return naive_url(in, size, out);
    case AS_JSON | AS_URL:
        size = naive_json(in, size, between);
        return naive_url(between, size, out);
    case AS_BASE64:
        return naive_base64(in, size, out);
    default:
        for (i = 0; i < size; i++)
            sprintf((char *)out + 2 * i, "%02x", in[i]);
        return size * 2;
    }
}

/* Random input: any bytes, or UTF-8 where it must be. */
static size_t make_input(uint64_t *seed, uint8_t how, size_t most, uint8_t *out)
{
    static const uint32_t limits[] = {0x20, 0x80, 0x80, 0x80, 0x80, 0x800, 0x10000, 0x110000};
    size_t size = 0, kinds = random_below(seed, 3) == 0 ? 2 : 8;

    if ((how & AS_JSON) == 0) {
        random_bytes(seed, out, most);
        return most;
    }
    while (size + 4 <= most) {
        uint32_t code = (uint32_t)random_below(seed, limits[random_below(seed, kinds)]);
        if (random_below(seed, 3) == 0)
            code = (uint8_t)"\"\\\n\x01 a"[random_below(seed, 6)];
        if (code >= 0xD800 && code <= 0xDFFF)
            code -= 0x800;
        size += utf8_put(code, (char *)out + size);
    }
    return size;
}

static uint8_t input[DATA_MAX], encoded[DATA_MAX * 18], result[DATA_MAX * 18];

/* As the request writer does it: what was read stands at the end of the room. */
static int encode_in_place(uint8_t how, size_t size, size_t room, size_t part_most, size_t *written)
{
    size_t at = 0, n;
    uint8_t utf8 = 0;

    *written = 0;
    while (at < size) {
        uint8_t *out = guard_room(&out_guard, room);
        size_t part = size - at < part_most ? size - at : part_most;
        unsbi_encoding e;
        int rc;
        memset(out, 0xEE, room);
        e.out = out;
        e.in_end = out + room;
        e.in = e.in_end - part;
        memcpy(out + room - part, input + at, part);
#if UNSB_UTF8
        e.utf8 = &utf8;
#endif
        rc = encode(how, &e);
        assert_true(guard_intact(&out_guard, room));
        n = part - (size_t)(e.in_end - e.in);
        /* what was not taken is as it was, and comes after the output */
        assert_memory_equal(e.in, input + at + n, part - n);
        assert_true(e.in == e.in_end || e.out <= e.in);
        assert_true(e.out <= out + room);
        memcpy(result + *written, out, (size_t)(e.out - out));
        *written += (size_t)(e.out - out);
        at += n;
        if (rc != UNSB_OK)
            return rc;
        if (n == 0)
            return UNSB_PENDING;
    }
    return utf8 == 0 ? UNSB_OK : UNSB_E_UTF8;
}

static void test_encode_in_place(void **unused)
{
    uint64_t seed = random_seed(3987);
    size_t i, room, expected, written, size;
    unsigned k;

    (void)unused;
    for (i = 0; i < COUNT(hows); i++)
        for (room = UNSBI_ROOM_MIN; room <= 320 && is_how(hows[i]); room += room < 80 ? 1 : 40)
            for (k = 0; k < 16; k++) {
                size_t part = unsbi_read_size(room);
                assert_true(part != 0 && part <= room);
                size = make_input(&seed, hows[i], random_below(&seed, 300), input);
                expected = naive_encode(hows[i], input, size, encoded);
                assert_int_equal(encode_in_place(hows[i], size, room, part, &written), UNSB_OK);
                assert_int_equal(written, expected);
                assert_memory_equal(result, encoded, expected);
            }
}

/* With more in the room than unsbi_read_size() says, it may get stuck, but harms nothing. */
static void test_encode_in_place_tightly(void **unused)
{
    uint64_t seed = random_seed(3988);
    size_t i, room, expected, written, size;
    unsigned k;

    (void)unused;
    for (i = 0; i < COUNT(hows); i++)
        for (room = 1; room <= 60; room++)
            for (k = 0; k < 16; k++) {
                size_t part = 1 + random_below(&seed, room);
                int rc;
                if (hows[i] == AS_BASE64) /* whole groups, but for the last one */
                    part = (part + 2) / 3 * 3 <= room ? (part + 2) / 3 * 3 : room / 3 * 3;
                if (part == 0)
                    continue;
                size = make_input(&seed, hows[i], random_below(&seed, 100), input);
                if (!is_how(hows[i]))
                    continue;
                expected = naive_encode(hows[i], input, size, encoded);
                rc = encode_in_place(hows[i], size, room, part, &written);
                assert_true(rc == UNSB_OK || rc == UNSB_PENDING);
                assert_true(written <= expected);
                assert_memory_equal(result, encoded, written);
            }
}

/* A text that is not UTF-8 is refused wherever the wrong byte is, and what comes before its
 * character is encoded; at its end a character must be whole. */
static void test_encode_bad_utf8(void **unused)
{
    static const char *const bad[] = {"\x80",     "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                      "\xC3(",    "\xE2\x82(", "\xFF",        "\xC3",
                                      "\xE2\x82", "\xF0\x9F\x98"};
    size_t i, k, before, expected, written, room;

    (void)unused;
    for (i = 0; i < COUNT(hows); i++)
        for (k = 0; k < COUNT(bad) && is_how(hows[i]); k++)
            for (before = 0; before < 50; before++) {
                size_t size = before + strlen(bad[k]);
                int wanted = UNSB_UTF8 && (hows[i] & AS_JSON) != 0 ? UNSB_E_UTF8 : UNSB_OK;
                memset(input, 'a', before);
                memcpy(input + before, bad[k], strlen(bad[k]));
                expected = naive_encode(hows[i], input, wanted == UNSB_OK ? size : before, encoded);
                for (room = UNSBI_ROOM_MIN; room < 64; room += 9) {
                    assert_int_equal(encode_in_place(hows[i], size, room,
                                                     unsbi_read_size(room), &written),
                                     wanted);
                    assert_in_range(written, expected, expected + (wanted == UNSB_OK ? 0 : 9));
                    assert_memory_equal(result, encoded, expected);
                }
            }
}

static void test_percent(void **unused)
{
    unsigned c;

    (void)unused;
    for (c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c, out[3], wanted[4];
        size_t size = naive_url(&byte, 1, wanted);
        assert_int_equal(unsbi_percent(byte, out) - out, size);
        assert_memory_equal(out, wanted, size);
    }
}

/* ---- URLs ---- */

static void test_url_split(void **unused)
{
    static const struct {
        const char *url, *host;
        uint16_t port;
        bool tls;
    } cases[] = {
        {"https://api.unsandbox.com", "api.unsandbox.com", 443, true},
        {"https://api.unsandbox.com/", "api.unsandbox.com", 443, true},
        {"http://api.unsandbox.com", "api.unsandbox.com", 80, false},
        {"http://a", "a", 80, false},
        {"https://a", "a", 443, true},
        {"http://localhost:8080", "localhost", 8080, false},
        {"http://localhost:8080/", "localhost", 8080, false},
        {"https://a:1", "a", 1, true},
        {"https://a:65535", "a", 65535, true},
        {"https://a:443/", "a", 443, true},
        {"http://127.0.0.1:80", "127.0.0.1", 80, false},
        {"http://[::1]", "::1", 80, false},
        {"http://[::1]/", "::1", 80, false},
        {"https://[::1]:8443", "::1", 8443, true},
        {"https://[2001:db8::1]:65535/", "2001:db8::1", 65535, true},
        {"https://A-b.C_d~e", "A-b.C_d~e", 443, true},
        {"HTTPS://a", "a", 443, true},
        {"hTTp://a:8080", "a", 8080, false},
        {"https://[::ffff:192.0.2.1]/", "::ffff:192.0.2.1", 443, true},
    };
    char *host;
    size_t i, size;

    (void)unused;
    for (i = 0; i < COUNT(cases); i++) {
        size_t needed = strlen(cases[i].host) + 1;
        const char *url = guard_put(&in_guard, cases[i].url, strlen(cases[i].url) + 1);
        for (size = 0; size < needed + 3; size++) {
            uint16_t port = 7;
            bool tls = !cases[i].tls;
            int rc;
            host = (char *)guard_room(&out_guard, size);
            rc = unsb_url_split(url, host, size, &port, &tls);
            assert_true(guard_intact(&out_guard, size));
            if (size < needed) {
                assert_int_equal(rc, UNSB_E_HOST);
                continue;
            }
            if (rc != UNSB_OK)
                fail_msg("%s: %d", url, rc);
            assert_string_equal(host, cases[i].host);
            assert_int_equal(port, cases[i].port);
            assert_int_equal(tls, cases[i].tls);
            /* where TLS is wanted, only https will do */
            rc = unsb_url_split(url, host, size, &port, NULL);
            assert_int_equal(rc, cases[i].tls ? UNSB_OK : UNSB_E_SCHEME);
        }
    }
}

static void test_url_refused(void **unused)
{
    static const struct {
        const char *url;
        int rc;
    } urls[] = {
        {"", UNSB_E_SCHEME},
        {"h", UNSB_E_SCHEME},
        {"http", UNSB_E_SCHEME},
        {"http:", UNSB_E_SCHEME},
        {"http:/", UNSB_E_SCHEME},
        {"http://", UNSB_E_HOST},
        {"https", UNSB_E_SCHEME},
        {"https:/", UNSB_E_SCHEME},
        {"https://", UNSB_E_HOST},
        {"http:///", UNSB_E_HOST},
        {"https:///", UNSB_E_HOST},
        {"http://:80", UNSB_E_HOST},
        {"https://:443/", UNSB_E_HOST},
        {"a", UNSB_E_SCHEME},
        {"api.unsandbox.com", UNSB_E_SCHEME},
        {"//a", UNSB_E_SCHEME},
        {"ftp://a", UNSB_E_SCHEME},
        {"httpx://a", UNSB_E_SCHEME},
        {"httpss://a", UNSB_E_SCHEME},
        {"https:a", UNSB_E_SCHEME},
        {"https:/a", UNSB_E_SCHEME},
        {" https://a", UNSB_E_SCHEME},
        {"https://a ", UNSB_E_URL},
        {"https:// a", UNSB_E_HOST},
        {"https://a b", UNSB_E_URL},
        {"https://a\n", UNSB_E_URL},
        {"https://a\r\nX: y", UNSB_E_URL},
        {"https://a\x01", UNSB_E_URL},
        {"https://a\x7F", UNSB_E_URL},
        {"https://\xC3\xA9", UNSB_E_HOST},
        {"https://a\xFF", UNSB_E_URL},
        {"https://u@a", UNSB_E_URL},
        {"https://u:p@a", UNSB_E_URL},
        {"https://a?b", UNSB_E_URL},
        {"https://a/?b", UNSB_E_URL},
        {"https://a#b", UNSB_E_URL},
        {"https://a/b", UNSB_E_URL},
        {"https://a//", UNSB_E_URL},
        {"https://a:/", UNSB_E_URL},
        {"https://a:", UNSB_E_URL},
        {"https://a:0", UNSB_E_URL},
        {"https://a:00000", UNSB_E_URL},
        {"https://a:65536", UNSB_E_URL},
        {"https://a:65535a", UNSB_E_URL},
        {"https://a:99999999999999999999", UNSB_E_URL},
        {"https://a:4294967297", UNSB_E_URL},
        {"https://a:4294967376", UNSB_E_URL},
        {"https://a:-1", UNSB_E_URL},
        {"https://a:+1", UNSB_E_URL},
        {"https://a: 1", UNSB_E_URL},
        {"https://a:1 ", UNSB_E_URL},
        {"https://a:x", UNSB_E_URL},
        {"https://a:1x", UNSB_E_URL},
        {"https://a:1:2", UNSB_E_URL},
        {"https://a:1/b", UNSB_E_URL},
        {"https://a:1?b", UNSB_E_URL},
        {"https://a:80:", UNSB_E_URL},
        {"https://::1", UNSB_E_HOST},
        {"https://a::1", UNSB_E_URL},
        {"https://[::1", UNSB_E_HOST},
        {"https://[::1/", UNSB_E_HOST},
        {"https://[", UNSB_E_HOST},
        {"https://[]", UNSB_E_HOST},
        {"https://[]:1", UNSB_E_HOST},
        {"https://]", UNSB_E_HOST},
        {"https://a]", UNSB_E_URL},
        {"https://a]b", UNSB_E_URL},
        {"https://[::1]a", UNSB_E_URL},
        {"https://[::1]]", UNSB_E_URL},
        {"https://[[::1]]", UNSB_E_HOST},
        {"https://[::1]:", UNSB_E_URL},
        {"https://[::1]:0", UNSB_E_URL},
        {"https://[::1]:65536", UNSB_E_URL},
        {"https://[::1]:1a", UNSB_E_URL},
        {"https://[::1]/a", UNSB_E_URL},
        {"https://[::1 ]", UNSB_E_HOST},
        {"https://[::1@a]", UNSB_E_HOST},
        {"https://a[::1]", UNSB_E_URL},
        {"https://[abc]", UNSB_E_HOST}, /* no colon, so it is no IPv6 address */
        {"https://[192.0.2.1]", UNSB_E_HOST},
    };
    size_t i;

    (void)unused;
    for (i = 0; i < COUNT(urls); i++) {
        const char *url = guard_put(&in_guard, urls[i].url, strlen(urls[i].url) + 1);
        int secure = strncmp(url, "http:", 5) == 0 ? UNSB_E_SCHEME : urls[i].rc;
        char host[64];
        uint16_t port;
        bool tls;
        if (unsb_url_split(url, host, sizeof host, &port, &tls) != urls[i].rc ||
            unsb_url_split(url, host, sizeof host, &port, NULL) != secure)
            fail_msg("%s is not refused as it should be", urls[i].url);
    }
}

/* Each byte that a host's name may hold, and no other: RFC 3986 section 3.2.2's unreserved ones. */
static void test_url_host(void **unused)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-._~";
    char url[] = "https://a?b", host[8];
    uint16_t port;
    bool tls;
    int c;

    (void)unused;
    for (c = 1; c < 256; c++) {
        url[9] = (char)c;
        if (strchr(allowed, c) != NULL) {
            assert_int_equal(unsb_url_split(url, host, sizeof host, &port, &tls), UNSB_OK);
            assert_memory_equal(host, url + 8, 4);
        } else if (c != ':' && c != '/') {
            assert_int_equal(unsb_url_split(url, host, sizeof host, &port, &tls), UNSB_E_URL);
        }
    }
}

/* ---- errors and version ---- */

#define NAMED(name, value, text) {#name, UNSB_E_##name, value, text},
static const struct {
    const char *name;
    int code, value;
    const char *text;
} errors[] = {UNSB_ERRORS(NAMED)};

static void test_error_codes(void **unused)
{
    static const struct {
        int first, last;
        const char *from; /* the first error of each group, in the order of the list */
    } groups[] = {{-1, -29, "ARGUMENT"}, {-30, -49, "RESOLVE"}, {-50, -59, "HTTP"},
                  {-60, -69, "JSON"},    {-70, -89, "BAD_REQUEST"}};
    size_t i, k, group = 0;

    (void)unused;
    for (i = 0; i < COUNT(errors); i++) {
        assert_int_equal(errors[i].code, errors[i].value);
        if (group + 1 < COUNT(groups) && strcmp(errors[i].name, groups[group + 1].from) == 0)
            group++;
        if (errors[i].code > groups[group].first || errors[i].code < groups[group].last)
            fail_msg("%s is outside its group", errors[i].name);
        assert_true(i == 0 || errors[i].code < errors[i - 1].code);
        assert_true(errors[i].code > UNSB_E_USER);
        for (k = 0; k < i; k++)
            assert_int_not_equal(errors[k].code, errors[i].code);
    }
    assert_int_equal(group, COUNT(groups) - 1);
    assert_int_equal(UNSB_OK, 0);
    assert_int_equal(UNSB_PENDING, 1);
    assert_int_equal(UNSB_E_USER, -1000);
}

static void test_error_text(void **unused)
{
    size_t i, k;
    int code;

    (void)unused;
    for (i = 0; i < COUNT(errors); i++) {
        const char *text = unsb_error_text(errors[i].code);
#if UNSB_ERROR_TEXT
        assert_string_equal(text, errors[i].text);
        assert_true(strlen(text) > 5);
        for (k = 0; text[k] != '\0'; k++)
            assert_in_range(text[k], 0x20, 0x7E);
        for (k = 0; k < i; k++)
            assert_string_not_equal(text, unsb_error_text(errors[k].code));
        assert_string_not_equal(text, unsb_error_text(UNSB_OK));
#else
        (void)k;
        assert_string_equal(text, "");
#endif
    }
    assert_int_equal(unsb_error_text(UNSB_OK)[0] != '\0', UNSB_ERROR_TEXT);
    assert_int_equal(unsb_error_text(UNSB_PENDING)[0] != '\0', UNSB_ERROR_TEXT);
    for (code = -1200; code < 100; code++) { /* the unknown ones */
        for (i = 0; i < COUNT(errors) && errors[i].code != code; i++)
            continue;
        if (i == COUNT(errors) && code != UNSB_OK && code != UNSB_PENDING)
            assert_string_equal(unsb_error_text(code), "");
    }
    assert_string_equal(unsb_error_text(INT32_MIN), "");
    assert_string_equal(unsb_error_text(INT32_MAX), "");
}

static void test_status_text(void **unused)
{
    static const char *const texts[] = {"",          "",          "pending", "running",
                                        "cancelled", "completed", "failed",  "timeout"};
    int i;

    (void)unused;
    for (i = 0; i <= UNSB_STATUS_TIMEOUT; i++)
        assert_string_equal(unsb_status_text((unsb_status)i), texts[i]);
    assert_string_equal(unsb_status_text((unsb_status)(UNSB_STATUS_TIMEOUT + 1)), "");
}

static void test_version(void **unused)
{
    char text[32];

    (void)unused;
    assert_true(unsb_version() == (uint32_t)UNSB_VERSION);
    assert_int_equal(unsb_version() >> 16, UNSB_VERSION_MAJOR);
    assert_int_equal(unsb_version() >> 8 & 0xFF, UNSB_VERSION_MINOR);
    assert_int_equal(unsb_version() & 0xFF, UNSB_VERSION_PATCH);
    snprintf(text, sizeof text, "%d.%d.%d", UNSB_VERSION_MAJOR, UNSB_VERSION_MINOR,
             UNSB_VERSION_PATCH);
    assert_string_equal(text, UNSB_VERSION_TEXT);
}

/* ---- sources and outputs ---- */

static void test_sources_and_outputs(void **unused)
{
    static const char text[] = "text";
    char memory[4] = "???";
    unsb_source source = unsb_text(text);
    unsb_output output = unsb_into(memory, sizeof memory);

    (void)unused;
    assert_true(source.data == text && source.size == 4 && source.read == NULL);
    source = unsb_text(NULL);
    assert_true(source.data == NULL && source.size == 0 && source.read == NULL);
    source = unsb_text("");
    assert_true(source.size == 0 && source.read == NULL);
    source = unsb_bytes(text, 3);
    assert_true(source.data == text && source.size == 3 && source.read == NULL);
    assert_true(output.data == memory && output.capacity == 4 && output.size == 0);
    assert_true(output.write == NULL && output.context == NULL);
    assert_string_equal(memory, "???"); /* it is not written to yet */
}

typedef struct calls {
    unsigned count;
    size_t last;
    int code;
} calls;

static int note_call(void *context, const void *data, size_t size)
{
    calls *c = (calls *)context;

    assert_non_null(data);
    c->count++;
    c->last = size;
    return c->code;
}

static void test_output_put(void **unused)
{
    size_t capacity, first, second;

    (void)unused;
    for (capacity = 0; capacity < 12; capacity++)
        for (first = 0; first < 8; first++)
            for (second = 0; second < 8; second++) {
                char *memory = (char *)guard_room(&out_guard, capacity);
                calls c = {0, 99, 0};
                unsb_output out = unsb_into(memory, capacity);
                size_t kept = first + second;
                memset(memory, '?', capacity);
                out.write = note_call;
                out.context = &c;
                assert_int_equal(unsbi_output_restart(&out), UNSB_OK);
                assert_int_equal(c.count, 0); /* there was nothing to take back */
                assert_int_equal(unsbi_output_put(&out, "abcdefg", first), UNSB_OK);
                assert_int_equal(unsbi_output_put(&out, "hijklmn", second), UNSB_OK);
                assert_int_equal(c.count, 2);
                assert_int_equal(c.last, second);
                assert_int_equal(out.size, first + second);
                assert_true(guard_intact(&out_guard, capacity));
                if (capacity != 0) {
                    char whole[16];
                    kept = kept < capacity ? kept : capacity - 1;
                    memcpy(whole, "abcdefg", first);
                    memcpy(whole + first, "hijklmn", second);
                    assert_int_equal(strlen(memory), kept);
                    assert_memory_equal(memory, whole, kept);
                }
                assert_int_equal(unsbi_output_restart(&out), UNSB_OK);
                assert_int_equal(out.size, 0);
                assert_true(capacity == 0 || memory[0] == '\0');
                assert_int_equal(c.count, first + second != 0 ? 3 : 2);
                assert_int_equal(c.last, first + second != 0 ? 0 : second);
            }
}

static void test_output_codes(void **unused)
{
    static const int codes[][2] = {
        {0, 0}, {1, UNSB_E_SINK}, {77, UNSB_E_SINK}, {-1, UNSB_E_SINK},
        {UNSB_E_TIMEOUT, UNSB_E_SINK}, {UNSB_E_USER + 1, UNSB_E_SINK},
        {UNSB_E_USER, UNSB_E_USER}, {UNSB_E_USER - 5, UNSB_E_USER - 5}};
    size_t i;

    (void)unused;
    for (i = 0; i < COUNT(codes); i++) {
        calls c = {0, 0, 0};
        unsb_output out = unsb_into(NULL, 0);
        out.write = note_call;
        out.context = &c;
        c.code = codes[i][0];
        assert_int_equal(unsbi_output_put(&out, "a", 1), codes[i][1]);
        assert_int_equal(unsbi_output_restart(&out), codes[i][1]);
    }
}

/* What came is counted as far as the counter goes, and no further. */
static void test_output_counted(void **unused)
{
    const unsb_size most = (unsb_size)-1;
    calls c = {0, 0, 0};
    unsb_output out = unsb_into(NULL, 0);

    (void)unused;
    out.write = note_call;
    out.context = &c;
    out.size = most - 5;
    assert_int_equal(unsbi_output_put(&out, "abcd", 4), UNSB_OK);
    assert_true(out.size == most - 1);
    assert_int_equal(unsbi_output_put(&out, "e", 1), UNSB_OK);
    assert_true(out.size == most);
    assert_int_equal(unsbi_output_put(&out, "f", 1), UNSB_OK);
    assert_true(out.size == most);
    out.size = most - 5;
    assert_int_equal(unsbi_output_put(&out, "abcdefg", 7), UNSB_OK);
    assert_true(out.size == most);
    assert_int_equal(c.count, 4);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_hex_and_digits),
        cmocka_unit_test(test_min),
        cmocka_unit_test(test_wipe),
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_no_word_twice),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_folded_words),
        cmocka_unit_test(test_word_indices),
        cmocka_unit_test(test_plain_run),
        cmocka_unit_test(test_plain_run_offsets),
#if !UNSB_SMALL
        cmocka_unit_test(test_head_runs),
        cmocka_unit_test(test_head_skip),
#endif
        cmocka_unit_test(test_encode_in_place),
        cmocka_unit_test(test_encode_in_place_tightly),
        cmocka_unit_test(test_encode_bad_utf8),
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_url_split),
        cmocka_unit_test(test_url_refused),
        cmocka_unit_test(test_url_host),
        cmocka_unit_test(test_error_codes),
        cmocka_unit_test(test_error_text),
        cmocka_unit_test(test_status_text),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_sources_and_outputs),
        cmocka_unit_test(test_output_put),
        cmocka_unit_test(test_output_codes),
        cmocka_unit_test(test_output_counted),
    };

    return cmocka_run_group_tests_name("parts", tests, open_guards, close_guards);
}
