/* The JSON writer (RFC 8259): what it writes, what it refuses, and where it writes to. */
#include "suite.h"
#include "guard.h"
#include <inttypes.h>

#define OUT_MAX 65536
#define WRITER_DEPTH 32

static guard memory;

static int open_guard(void **unused)
{
    (void)unused;
    memory = guard_open(OUT_MAX);
    return 0;
}

static int close_guard(void **unused)
{
    (void)unused;
    guard_close(&memory);
    return 0;
}

static size_t utf8_put(uint32_t code, char *out)
{
    char bytes[4], *from = unsbi_utf8_encode((int32_t)code, bytes + sizeof bytes);
    size_t size = (size_t)(bytes + sizeof bytes - from);

    memcpy(out, from, size);
    return size;
}

/* ---- a sink ---- */

typedef struct sink {
    size_t size;
    unsigned calls;
    unsigned fail_at; /* the number of the call, from 1; 0: none */
    int code;
    char text[OUT_MAX];
} sink;

static int sink_write(void *context, const void *data, size_t size)
{
    sink *s = (sink *)context;

    s->calls++;
    if (s->fail_at != 0) {
        assert_true(s->calls <= s->fail_at); /* no call follows the one that failed */
        if (s->calls == s->fail_at)
            return s->code;
    }
    assert_true(s->size + size < OUT_MAX);
    memcpy(s->text + s->size, data, size);
    s->size += size;
    s->text[s->size] = '\0';
    return 0;
}

static sink caught;

/* A writer to `caught`. */
typedef struct writing {
    unsb_output out;
    unsb_json_writer writer;
} writing;

static unsb_json_writer *begin(writing *w)
{
    memset(&w->writer, 0xEE, sizeof w->writer);
    w->out = unsb_into(NULL, 0);
    w->out.write = sink_write;
    w->out.context = &caught;
    w->out.size = 12345;
    caught.size = 0;
    caught.calls = 0;
    caught.fail_at = 0;
    caught.text[0] = '\0';
    unsb_json_writer_init(&w->writer, &w->out);
    return &w->writer;
}

static void check_end(const writing *w, const char *text)
{
    assert_int_equal(unsb_json_writer_end(&w->writer), UNSB_OK);
    assert_string_equal(caught.text, text);
    assert_int_equal(w->out.size, strlen(text));
}

/* ---- each function ---- */

static void test_scalars(void **unused)
{
    writing w;

    (void)unused;
    unsb_json_null(begin(&w));
    check_end(&w, "null");
    unsb_json_bool(begin(&w), true);
    check_end(&w, "true");
    unsb_json_bool(begin(&w), false);
    check_end(&w, "false");
    unsb_json_number(begin(&w), 0);
    check_end(&w, "0");
    unsb_json_number(begin(&w), -7);
    check_end(&w, "-7");
    unsb_json_string(begin(&w), "", 0);
    check_end(&w, "\"\"");
    unsb_json_string(begin(&w), "abc", 2);
    check_end(&w, "\"ab\"");
    unsb_json_object_begin(begin(&w));
    unsb_json_object_end(&w.writer);
    check_end(&w, "{}");
    unsb_json_array_begin(begin(&w));
    unsb_json_array_end(&w.writer);
    check_end(&w, "[]");
}

static void test_commas_and_colons(void **unused)
{
    writing w;
    unsb_json_writer *j = begin(&w);

    (void)unused;
    unsb_json_object_begin(j);
    unsb_json_key(j, "a");
    unsb_json_array_begin(j);
    unsb_json_array_begin(j);
    unsb_json_array_end(j);
    unsb_json_object_begin(j);
    unsb_json_object_end(j);
    unsb_json_number(j, 1);
    unsb_json_string(j, "s", 1);
    unsb_json_bool(j, true);
    unsb_json_bool(j, false);
    unsb_json_null(j);
    unsb_json_array_begin(j);
    unsb_json_null(j);
    unsb_json_array_end(j);
    unsb_json_array_end(j);
    unsb_json_key(j, "");
    unsb_json_object_begin(j);
    unsb_json_key(j, "b\"");
    unsb_json_null(j);
    unsb_json_key(j, "c");
    unsb_json_number(j, -1);
    unsb_json_object_end(j);
    unsb_json_key(j, "d");
    unsb_json_string(j, "", 0);
    assert_int_equal(unsb_json_writer_end(j), UNSB_E_ARGUMENT);
    assert_int_equal(j->error, UNSB_OK); /* asking too early does no harm */
    unsb_json_object_end(j);
    check_end(&w, "{\"a\":[[],{},1,\"s\",true,false,null,[null]],"
                  "\"\":{\"b\\\"\":null,\"c\":-1},\"d\":\"\"}");
}

/* ---- strings ---- */

/* Undoes the escapes of a string that stands between quotes. False: it is no JSON string. */
static bool unescape(const char *text, size_t size, char *out, size_t *out_size)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    size_t i, n = 0;

    if (size < 2 || text[0] != '"' || text[size - 1] != '"')
        return false;
    for (i = 1; i < size - 1; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c < 0x20 || c == '"')
            return false;
        if (c == '\\') {
            const char *found;
            c = (uint8_t)text[++i];
            found = c == '\0' ? NULL : strchr(names, c);
            if (c == 'u') {
                char digits[5] = "", *end;
                unsigned long code;
                memcpy(digits, text + i + 1, 4);
                code = strtoul(digits, &end, 16);
                if (end != digits + 4 || code > 0x7F)
                    return false;
                i += 4;
                c = (uint8_t)code;
            } else if (found != NULL && i < size - 1) {
                c = (uint8_t)values[found - names];
            } else {
                return false;
            }
        }
        out[n++] = (char)c;
    }
    *out_size = n;
    return true;
}

static void check_string(const char *text, size_t size)
{
    static char plain[OUT_MAX];
    size_t plain_size = 0;
    writing w;

    unsb_json_string(begin(&w), guard_put(&memory, text, size), size);
    assert_int_equal(unsb_json_writer_end(&w.writer), UNSB_OK);
    assert_int_equal(w.out.size, caught.size);
    assert_true(unescape(caught.text, caught.size, plain, &plain_size));
    assert_int_equal(plain_size, size);
    assert_memory_equal(plain, text, size);
}

static void test_ascii(void **unused)
{
    char all[128];
    unsigned c, i;
    writing w;

    (void)unused;
    for (c = 0; c < 128; c++) {
        char text[40];
        all[c] = (char)c;
        memset(text, 'x', sizeof text);
        for (i = 0; i < sizeof text; i++) { /* at every place, as runs are looked at by words */
            text[i] = (char)c;
            check_string(text, sizeof text);
            text[i] = 'x';
        }
        text[0] = (char)c;
        check_string(text, 1);
        /* what needs no escape has none */
        if (c >= 0x20 && c != '"' && c != '\\')
            assert_int_equal(caught.size, 3);
        else
            assert_true(caught.size == 4 || caught.size == 8);
    }
    check_string(all, sizeof all);
    unsb_json_string(begin(&w), "\"\\/\b\f\n\r\t\x01\x1F\x7F", 11);
    check_end(&w, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001F\x7F\"");
}

static void test_nul_bytes(void **unused)
{
    writing w;

    (void)unused;
    unsb_json_string(begin(&w), "a\0b\0", 4);
    check_end(&w, "\"a\\u0000b\\u0000\"");
    unsb_json_string(begin(&w), "\0", 1);
    check_end(&w, "\"\\u0000\"");
}

static void test_multibyte(void **unused)
{
    static const char *const texts[] = {
        "\xC2\x80",         "\xDF\xBF",         "\xE0\xA0\x80",     "\xED\x9F\xBF",
        "\xEE\x80\x80",     "\xEF\xBF\xBF",     "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF",
        "\xE2\x80\xA8",     "\xEF\xBB\xBF",     "a\xC3\xA9\"\xC3\xA9\n",
    };
    size_t i, before;

    (void)unused;
    for (i = 0; i < COUNT(texts); i++)
        for (before = 0; before < 70; before++) { /* the writer works piecemeal */
            char text[100];
            size_t size = strlen(texts[i]);
            memset(text, 'y', sizeof text);
            memcpy(text + before, texts[i], size);
            check_string(text, before + size);
            check_string(text, before + size + 9);
            memset(text, '\n', before);
            check_string(text, before + size + 9);
        }
}

static const char *const bad_utf8[] = {
    "\x80",
    "\xBF",
    "\xC0\x80",
    "\xC0\xAF",
    "\xC1\xBF",
    "\xE0\x80\x80",
    "\xE0\x9F\xBF",
    "\xED\xA0\x80",
    "\xED\xBF\xBF",
    "\xF0\x80\x80\x80",
    "\xF0\x8F\xBF\xBF",
    "\xF4\x90\x80\x80",
    "\xF5\x80\x80\x80",
    "\xF8\x88\x80\x80\x80",
    "\xFE",
    "\xFF",
    "\xC3(",
    "\xE2\x82(",
    "\xE2(\xA1",
    "\xF0\x9F\x98(",
    "\xC3\"",
    "\xC3\n",
    "\xC3\xC3\xA9",
    "\xE2\x82\xE2\x82\xAC",
};
static const char *const cut_utf8[] = {"\xC3", "\xE2", "\xE2\x82", "\xF0", "\xF0\x9F",
                                       "\xF0\x9F\x98"};

static void check_bad_utf8(const char *bad, size_t after)
{
    size_t before;

    for (before = 0; before < 70; before++) {
        char text[150];
        size_t size = strlen(bad);
        writing w;
        memset(text, 'z', sizeof text);
        memcpy(text + before, bad, size);
        size += before + after;
        unsb_json_string(begin(&w), guard_put(&memory, text, size), size);
        assert_int_equal(w.writer.error, UNSB_E_UTF8);
        assert_int_equal(unsb_json_writer_end(&w.writer), UNSB_E_UTF8);
        /* sticky: nothing more is written */
        size = caught.size;
        assert_true(size <= before + 1 + 3); /* the bytes before the wrong one */
        unsb_json_null(&w.writer);
        unsb_json_array_begin(&w.writer);
        unsb_json_string(&w.writer, "a", 1);
        assert_int_equal(caught.size, size);
        assert_int_equal(unsb_json_writer_end(&w.writer), UNSB_E_UTF8);
        /* a key likewise */
        text[before + strlen(bad) + after] = '\0';
        unsb_json_object_begin(begin(&w));
        unsb_json_key(&w.writer, text);
        assert_int_equal(w.writer.error, UNSB_E_UTF8);
    }
}

static void test_invalid_utf8(void **unused)
{
    size_t i;

    (void)unused;
    needs(UNSB_UTF8);
    for (i = 0; i < COUNT(bad_utf8); i++) {
        check_bad_utf8(bad_utf8[i], 0);
        check_bad_utf8(bad_utf8[i], 9);
        check_bad_utf8(bad_utf8[i], 60);
    }
    for (i = 0; i < COUNT(cut_utf8); i++) {
        check_bad_utf8(cut_utf8[i], 0);
        check_bad_utf8(cut_utf8[i], 9);
        check_bad_utf8(cut_utf8[i], 60); /* written as it is, were it not in the middle of one */
    }
}

static void test_long_strings(void **unused)
{
    static char text[20000];
    uint64_t seed = 1;
    size_t i, size;

    (void)unused;
    for (size = 0; size < 100; size++) {
        memset(text, 'p', size);
        check_string(text, size);
        memset(text, '\x02', size);
        check_string(text, size);
    }
    for (i = 0; i < sizeof text; i++)
        text[i] = (char)(random_below(&seed, 40) ? ' ' + random_below(&seed, 95)
                                                 : random_below(&seed, 32));
    check_string(text, sizeof text);
}

/* ---- numbers ---- */

static void check_number(int64_t value)
{
    char text[32];
    writing w;

    snprintf(text, sizeof text, "%" PRId64, value);
    unsb_json_number(begin(&w), value);
    check_end(&w, text);
}

static void test_numbers(void **unused)
{
    uint64_t seed = random_seed(63), power;
    unsigned i;

    (void)unused;
    check_number(INT64_MIN);
    check_number(INT64_MIN + 1);
    check_number(INT64_MAX);
    check_number(INT64_MAX - 1);
    for (i = 0; i < 2000; i++) {
        check_number((int64_t)i - 1000);
        check_number((int64_t)(random_next(&seed) >> random_below(&seed, 64)));
        check_number(-(int64_t)(random_next(&seed) >> (1 + random_below(&seed, 63))));
    }
    for (i = 0, power = 1; i < 19; i++, power *= 10) {
        check_number((int64_t)power);
        check_number((int64_t)power - 1);
        check_number(-(int64_t)power);
    }
}

/* ---- the order of calls ---- */

/* One call by its letter. */
static void call(unsb_json_writer *j, char name)
{
    switch (name) {
    case '{':
        unsb_json_object_begin(j);
        break;
    case '}':
        unsb_json_object_end(j);
        break;
    case '[':
        unsb_json_array_begin(j);
        break;
    case ']':
        unsb_json_array_end(j);
        break;
    case 'k':
        unsb_json_key(j, "k");
        break;
    case 's':
        unsb_json_string(j, "s", 1);
        break;
    case '1':
        unsb_json_number(j, 1);
        break;
    case 't':
        unsb_json_bool(j, true);
        break;
    default:
        unsb_json_null(j);
        break;
    }
}

static const char *text_of(char name)
{
    return name == 'k'   ? "\"k\":"
           : name == 's' ? "\"s\""
           : name == '1' ? "1"
           : name == 't' ? "true"
           : name == 'n' ? "null"
           : name == '{' ? "{"
           : name == '}' ? "}"
           : name == '[' ? "["
                         : "]";
}

/* What RFC 8259's grammar says of a sequence of calls: the text, up to the first wrong one. */
typedef struct grammar {
    char text[256], open[64];
    size_t size, depth, items[64]; /* of each open container */
    bool key, wrong, over;
} grammar;

static void grammar_call(grammar *g, char name)
{
    char in = g->depth == 0 ? '\0' : g->open[g->depth - 1];
    bool end = name == '}' || name == ']';

    if (g->wrong)
        return;
    if (end)
        g->wrong = in != (name == '}' ? '{' : '[') || g->key;
    else if (name == 'k')
        g->wrong = in != '{' || g->key;
    else
        g->wrong = g->over || (in == '{' && !g->key);
    if (g->wrong)
        return;
    if (!end && !g->key && g->depth != 0 && g->items[g->depth - 1]++ != 0)
        g->text[g->size++] = ',';
    g->key = name == 'k';
    memcpy(g->text + g->size, text_of(name), strlen(text_of(name)));
    g->size += strlen(text_of(name));
    if (end)
        g->depth--;
    if (name == '{' || name == '[') {
        g->items[g->depth] = 0;
        g->open[g->depth++] = name;
    }
    g->over = g->depth == 0;
}

static void check_calls(const char *names, size_t count)
{
    grammar g;
    writing w;
    size_t i;

    memset(&g, 0, sizeof g);
    begin(&w);
    for (i = 0; i < count; i++) {
        call(&w.writer, names[i]);
        grammar_call(&g, names[i]);
        assert_int_equal(w.writer.error, g.wrong ? UNSB_E_ARGUMENT : UNSB_OK);
        assert_int_equal(unsb_json_writer_end(&w.writer),
                         !g.wrong && g.over ? UNSB_OK : UNSB_E_ARGUMENT);
        assert_int_equal(caught.size, g.size);
        assert_memory_equal(caught.text, g.text, g.size);
    }
}

static void test_order(void **unused)
{
    static const struct {
        const char *calls;
        int error, end;
    } cases[] = {
        {"", UNSB_OK, UNSB_E_ARGUMENT},
        {"n", UNSB_OK, UNSB_OK},
        {"[k", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},   /* a key in an array */
        {"k", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},    /* or at the root */
        {"{1", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},   /* no key in an object */
        {"{s", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"{[", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"{k1t", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"nn", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},   /* two roots */
        {"[][", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"{}s", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"{}k", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"[}", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},   /* the wrong bracket */
        {"{]", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"[{}}", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"{k[]]", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"]", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"}", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"[]]", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"n]", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},
        {"{kk", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},  /* two keys */
        {"{k}", UNSB_E_ARGUMENT, UNSB_E_ARGUMENT},  /* a key without a value */
        {"[", UNSB_OK, UNSB_E_ARGUMENT},            /* open at the end */
        {"{", UNSB_OK, UNSB_E_ARGUMENT},
        {"{k", UNSB_OK, UNSB_E_ARGUMENT},
        {"{k[]", UNSB_OK, UNSB_E_ARGUMENT},
        {"{k1k{}k[]}", UNSB_OK, UNSB_OK},
    };
    size_t i, k;

    (void)unused;
    for (i = 0; i < COUNT(cases); i++) {
        writing w;
        begin(&w);
        for (k = 0; k < strlen(cases[i].calls); k++)
            call(&w.writer, cases[i].calls[k]);
        assert_int_equal(w.writer.error, cases[i].error);
        assert_int_equal(unsb_json_writer_end(&w.writer), cases[i].end);
        check_calls(cases[i].calls, strlen(cases[i].calls));
    }
}

static void test_every_order(void **unused)
{
    static const char names[] = "{}[]k1";
    uint32_t n, all = 1;
    size_t size, i;

    (void)unused;
    for (size = 0; size <= 6; size++, all *= 6)
        for (n = 0; n < all; n++) {
            char calls[8];
            uint32_t rest = n;
            for (i = 0; i < size; i++, rest /= 6)
                calls[i] = names[rest % 6];
            check_calls(calls, size);
        }
}

static void test_random_order(void **unused)
{
    static const char names[] = "{}[]ks1tn{[k";
    uint64_t seed = random_seed(11);
    unsigned i;

    (void)unused;
    for (i = 0; i < 5000; i++) {
        char calls[24];
        size_t k, kept = 0;
        grammar g;
        memset(&g, 0, sizeof g);
        /* wrong calls are rare, so that long ones come about */
        for (k = 0; k < 200 && kept < sizeof calls; k++) {
            grammar next = g;
            char name = names[random_below(&seed, sizeof names - 1)];
            grammar_call(&next, name);
            if (next.wrong && random_below(&seed, 60) != 0)
                continue;
            g = next;
            calls[kept++] = name;
        }
        check_calls(calls, kept);
    }
}

/* ---- depth ---- */

static void test_depth(void **unused)
{
    unsigned depth, kind, i;

    (void)unused;
    for (kind = 0; kind < 3; kind++)
        for (depth = WRITER_DEPTH - 1; depth <= WRITER_DEPTH + 1; depth++) {
            static char text[1024];
            size_t size = 0;
            writing w;
            begin(&w);
            for (i = 0; i < depth; i++) {
                bool object = kind == 1 || (kind == 2 && i % 3 == 1);
                if (i != 0 && text[size - 1] == '{') {
                    unsb_json_key(&w.writer, "k");
                    memcpy(text + size, "\"k\":", 4);
                    size += 4;
                }
                call(&w.writer, object ? '{' : '[');
                text[size++] = object ? '{' : '[';
                assert_int_equal(w.writer.error, i < WRITER_DEPTH ? UNSB_OK : UNSB_E_JSON_DEPTH);
            }
            while (i-- > 0) {
                bool object = kind == 1 || (kind == 2 && i % 3 == 1);
                call(&w.writer, object ? '}' : ']');
                text[size++] = object ? '}' : ']';
            }
            text[size] = '\0';
            if (depth <= WRITER_DEPTH)
                check_end(&w, text);
            else
                assert_int_equal(unsb_json_writer_end(&w.writer), UNSB_E_JSON_DEPTH);
        }
}

/* ---- where it goes ---- */

#define SAMPLE "{\"a\":[1,\"x\\ny\xC3\xA9 and a longer run of plain characters\",null],\"b\":true}"

static void write_sample(unsb_json_writer *j)
{
    static const char text[] = "x\ny\xC3\xA9 and a longer run of plain characters";

    unsb_json_object_begin(j);
    unsb_json_key(j, "a");
    unsb_json_array_begin(j);
    unsb_json_number(j, 1);
    unsb_json_string(j, text, sizeof text - 1);
    unsb_json_null(j);
    unsb_json_array_end(j);
    unsb_json_key(j, "b");
    unsb_json_bool(j, true);
    unsb_json_object_end(j);
}

static void test_memory(void **unused)
{
    size_t capacity, size = strlen(SAMPLE);

    (void)unused;
    for (capacity = 0; capacity < size + 20; capacity++) {
        char *text = (char *)guard_room(&memory, capacity);
        unsb_output out = unsb_into(text, capacity);
        unsb_json_writer j;
        memset(text, '#', capacity);
        out.size = 999;
        unsb_json_writer_init(&j, &out);
        assert_int_equal(out.size, 0);
        if (capacity != 0)
            assert_int_equal(text[0], '\0');
        write_sample(&j);
        assert_int_equal(unsb_json_writer_end(&j), UNSB_OK);
        assert_int_equal(out.size, size); /* size >= capacity: it was cut */
        assert_true(guard_intact(&memory, capacity));
        if (capacity == 0)
            continue;
        assert_int_equal(strlen(text), size < capacity ? size : capacity - 1);
        assert_memory_equal(text, SAMPLE, strlen(text));
    }
}

static void test_memory_and_sink(void **unused)
{
    char text[20];
    writing w;
    unsb_json_writer *j = begin(&w);

    (void)unused;
    w.out.data = text;
    w.out.capacity = sizeof text;
    unsb_json_writer_init(j, &w.out);
    write_sample(j);
    check_end(&w, SAMPLE);
    assert_int_equal(strlen(text), 19);
    assert_memory_equal(text, SAMPLE, 19);
}

static void test_sink_errors(void **unused)
{
    static const int codes[] = {UNSB_E_USER - 7, -1, UNSB_E_SINK, 1, 12345};
    unsigned calls, i, at;
    writing w;

    (void)unused;
    write_sample(begin(&w));
    check_end(&w, SAMPLE);
    calls = caught.calls;
    assert_true(calls > 10);
    for (i = 0; i < COUNT(codes); i++)
        for (at = 1; at <= calls; at++) {
            int wanted = codes[i] <= UNSB_E_USER ? codes[i] : UNSB_E_SINK;
            begin(&w);
            caught.fail_at = at;
            caught.code = codes[i];
            write_sample(&w.writer);
            assert_int_equal(caught.calls, at);
            assert_int_equal(w.writer.error, wanted);
            assert_int_equal(unsb_json_writer_end(&w.writer), wanted);
            unsb_json_array_end(&w.writer); /* also a wrong call keeps the first error */
            unsb_json_key(&w.writer, "\xFF");
            assert_int_equal(unsb_json_writer_end(&w.writer), wanted);
        }
}

static void test_used_again(void **unused)
{
    writing w;

    (void)unused;
    unsb_json_key(begin(&w), "wrong");
    assert_int_equal(w.writer.error, UNSB_E_ARGUMENT);
    write_sample(begin(&w));
    check_end(&w, SAMPLE);
}

/* ---- through the reader ---- */

/* A random tree is written, and what was written is noted call by call; then the reader's events
 * must be the same. A note is a letter, and for strings the size and the bytes. */
typedef struct notes {
    size_t size;
    uint8_t data[OUT_MAX];
} notes;

static notes written, read_back;

static void note(notes *n, char kind, const void *data, size_t size)
{
    assert_true(n->size + size + 1 + sizeof size < OUT_MAX);
    n->data[n->size++] = (uint8_t)kind;
    memcpy(n->data + n->size, &size, sizeof size);
    n->size += sizeof size;
    if (size != 0)
        memcpy(n->data + n->size, data, size);
    n->size += size;
}

static size_t random_text(uint64_t *seed, char *out, bool key)
{
    size_t length = random_below(seed, random_below(seed, 6) == 0 ? 90 : 10), size = 0;

    while (length--) {
        uint32_t code = random_below(seed, 2) ? (uint32_t)random_below(seed, 0x80)
                                              : (uint32_t)random_below(seed, 0x110000);
        if (code >= 0xD800 && code <= 0xDFFF)
            code = 0x20AC;
        if (code == 0 && key)
            code = 1;
        size += utf8_put(code, out + size);
    }
    return size;
}

static void write_random(unsb_json_writer *j, uint64_t *seed, unsigned depth)
{
    /* 8 is the least UNSB_JSON_DEPTH */
    size_t kind = random_below(seed, depth >= 8 ? 5 : 8), count, size;
    char text[400];
    int64_t value;

    switch (kind) {
    case 0:
        unsb_json_null(j);
        note(&written, 'n', NULL, 0);
        return;
    case 1:
        count = random_below(seed, 2);
        unsb_json_bool(j, count != 0);
        note(&written, count != 0 ? 't' : 'f', NULL, 0);
        return;
    case 2:
        value = (int64_t)(random_next(seed) >> random_below(seed, 64));
        if (!UNSB_NUMBERS) /* what can be read back */
            value = (int32_t)value;
        unsb_json_number(j, value);
        note(&written, '1', &value, sizeof value);
        return;
    case 3:
    case 4:
        size = random_text(seed, text, false);
        unsb_json_string(j, text, size);
        note(&written, 's', text, size);
        return;
    default:
        break;
    }
    count = random_below(seed, depth < 2 ? 8 : depth < 5 ? 4 : 2);
    note(&written, kind == 5 ? '[' : '{', NULL, 0);
    call(j, kind == 5 ? '[' : '{');
    while (count--) {
        if (kind != 5) {
            size = random_text(seed, text, true);
            text[size] = '\0';
            unsb_json_key(j, text);
            note(&written, 'k', text, size);
        }
        write_random(j, seed, depth + 1);
    }
    note(&written, kind == 5 ? ']' : '}', NULL, 0);
    call(j, kind == 5 ? ']' : '}');
}

static void read_all(char *text, size_t size)
{
    static const char letters[] = " {}[]ks1ftn";
    unsb_json_reader reader;
    size_t at = 0, used;
    int64_t value;
    int event;

    unsb_json_reader_init(&reader);
    for (;;) {
        event = unsb_json_read(&reader, text + at, size - at, &used);
        at += used;
        if (event == UNSB_JSON_MORE) {
            event = unsb_json_read_end(&reader);
            if (event == UNSB_OK)
                break;
        }
        assert_true(event > 0 && event <= UNSB_JSON_NULL);
        assert_false(reader.partial && (event == UNSB_JSON_KEY || event == UNSB_JSON_STRING));
        if (event == UNSB_JSON_KEY || event == UNSB_JSON_STRING) {
            note(&read_back, letters[event], reader.text, reader.text_size);
        } else if (event == UNSB_JSON_NUMBER) {
            assert_int_equal(unsb_json_integer(&reader, &value), UNSB_OK);
            note(&read_back, '1', &value, sizeof value);
        } else {
            note(&read_back, letters[event], NULL, 0);
        }
    }
}

static void test_round_trip(void **unused)
{
    uint64_t seed = random_seed(8);
    size_t total = 0;
    unsigned i;

    (void)unused;
    for (i = 0; i < 2000; i++) {
        writing w;
        begin(&w);
        written.size = 0;
        read_back.size = 0;
        write_random(&w.writer, &seed, 0);
        assert_int_equal(unsb_json_writer_end(&w.writer), UNSB_OK);
        assert_int_equal(w.out.size, caught.size);
        total += caught.size;
        read_all(caught.text, caught.size);
        assert_int_equal(read_back.size, written.size);
        assert_memory_equal(read_back.data, written.data, written.size);
    }
    assert_true(total > 100000);
}

/* A sink fails on what stands before a bad byte: the first error is the one that is told. */
static void test_sink_before_bad_utf8(void **unused)
{
    unsigned at;
    writing w;

    (void)unused;
    for (at = 1; at <= 2; at++) {
        begin(&w);
        caught.fail_at = at;
        caught.code = UNSB_E_USER - 7;
        unsb_json_string(&w.writer, "ab\xFF", 3);
        assert_int_equal(caught.calls, at);
        assert_int_equal(unsb_json_writer_end(&w.writer), UNSB_E_USER - 7);
    }
    begin(&w);
    unsb_json_string(&w.writer, "ab\xFF", 3);
    assert_int_equal(unsb_json_writer_end(&w.writer), UNSB_UTF8 ? UNSB_E_UTF8 : UNSB_OK);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_commas_and_colons),
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_multibyte),
        cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_every_order),
        cmocka_unit_test(test_random_order),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_and_sink),
        cmocka_unit_test(test_sink_errors),
        cmocka_unit_test(test_sink_before_bad_utf8),
        cmocka_unit_test(test_used_again),
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests_name("json_writer", tests, open_guard, close_guard);
}
