/* The JSON reader (RFC 8259). What it gives is written down as a trace, which must be the same
 * however the text is cut:
 *
 *   { } [ ]       containers            T F N       literals
 *   k(text)       a key                 s(text)     a string; odd bytes as \xHH
 *   #-123e4       a number; its mantissa without zeros at the end
 *   #-~123@40     an inexact one: its first digits, and the place of the first one
 *   . !JSON !UTF8 !DEPTH    the end */
#include "suite.h"
#include "guard.h"
#include <inttypes.h>

#define TEXT_MAX 65536
#define TRACE_MAX (TEXT_MAX * 4 + 64)
#define FAR 4000 /* an inexact number beyond this is not told apart from others */

typedef struct trace {
    size_t size;
    char text[TRACE_MAX];
} trace;

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

/* ---- traces ---- */

static void trace_reset(trace *t)
{
    t->size = 0;
    t->text[0] = '\0';
}

static void trace_put(trace *t, const char *text)
{
    size_t size = strlen(text);

    assert_true(t->size + size < TRACE_MAX);
    memcpy(t->text + t->size, text, size + 1);
    t->size += size;
}

static void trace_bytes(trace *t, const char *text, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    size_t i;

    assert_true(t->size + size * 4 < TRACE_MAX);
    for (i = 0; i < size; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c < 0x20 || c >= 0x7F || c == '(' || c == ')' || c == '\\') {
            t->text[t->size++] = '\\';
            t->text[t->size++] = 'x';
            t->text[t->size++] = hex[c >> 4];
            t->text[t->size++] = hex[c & 15];
        } else {
            t->text[t->size++] = (char)c;
        }
    }
    t->text[t->size] = '\0';
}

/* `digits` begin with none that is 0, and may be empty. */
static void trace_number(trace *t, bool negative, const char *digits, size_t count, long exponent,
                         bool inexact)
{
    char text[64];
    long place = (long)count + exponent;

    while (count != 0 && digits[count - 1] == '0') {
        count--;
        exponent++;
    }
    trace_put(t, negative ? "#-" : "#");
    if (count == 0) {
        assert_false(inexact);
        trace_put(t, "0e0");
    } else if (!inexact) {
        assert_true(count <= 20);
        snprintf(text, sizeof text, "%.*se%ld", (int)count, digits, exponent);
        trace_put(t, text);
    } else if (place > FAR || place < -FAR) {
        trace_put(t, "~far");
    } else {
        count = count < 15 ? count : 15;
        while (digits[count - 1] == '0')
            count--;
        snprintf(text, sizeof text, "~%.*s@%ld", (int)count, digits, place);
        trace_put(t, text);
    }
}

/* Without UNSB_NUMBERS only integers of 32 bits and a sign are exact, and of others nothing is told.
 * `told`: is it one? */
static void trace_small(trace *t, bool negative, const char *digits, size_t count, long exponent,
                        bool told)
{
    if (told)
        trace_number(t, negative, digits, count, exponent, false);
    else
        trace_put(t, negative ? "#-~" : "#~");
}

static const char *error_name(int rc)
{
    return rc == UNSB_OK                ? "."
           : rc == UNSB_E_JSON          ? "!JSON"
           : rc == UNSB_E_JSON_UTF8     ? "!UTF8"
           : rc == UNSB_E_JSON_DEPTH    ? "!DEPTH"
                                        : "!?";
}

/* ---- the reader under test ---- */

typedef struct reading {
    unsb_json_reader reader;
    trace *trace;
    uint8_t depth;
    char kind;      /* of the string that is not over */
    size_t restart; /* where its trace begins: what came of it before an error depends on the cut */
} reading;

static void trace_event(reading *r, int event, const char *data, size_t used)
{
    static const char *const names[] = {"",  "{", "}", "[", "]", "", "", "", "F", "T", "N"};
    const unsb_json_reader *json = &r->reader;
    trace *t = r->trace;

    assert_true(event > UNSB_JSON_MORE && event <= UNSB_JSON_NULL);
    if (event == UNSB_JSON_OBJECT_BEGIN || event == UNSB_JSON_ARRAY_BEGIN)
        r->depth++;
    if (event == UNSB_JSON_OBJECT_END || event == UNSB_JSON_ARRAY_END)
        r->depth--;
    assert_int_equal(json->depth, r->depth);
    if (event == UNSB_JSON_KEY || event == UNSB_JSON_STRING) {
        char kind = event == UNSB_JSON_KEY ? 'k' : 's';
        const char *self = (const char *)json;
        assert_true((json->text >= data && json->text + json->text_size <= data + used) ||
                    (json->text >= self && json->text + json->text_size <= self + sizeof *json));
        assert_true(r->kind == '\0' || r->kind == kind);
        if (r->kind == '\0') {
            r->restart = t->size;
            trace_put(t, kind == 'k' ? "k(" : "s(");
        }
        trace_bytes(t, json->text, json->text_size);
        r->kind = json->partial ? kind : '\0';
        if (!json->partial)
            trace_put(t, ")");
        return;
    }
    assert_true(r->kind == '\0');
    if (event == UNSB_JSON_NUMBER) {
        char digits[24];
        int n = snprintf(digits, sizeof digits, "%" PRIu64, (uint64_t)json->mantissa);
        if (UNSB_NUMBERS)
            trace_number(t, json->negative, digits, json->mantissa == 0 ? 0 : (size_t)n,
                         json->exponent, json->inexact);
        else
            trace_small(t, json->negative, digits, json->mantissa == 0 ? 0 : (size_t)n, 0,
                        !json->inexact);
        return;
    }
    trace_put(t, names[event]);
}

/* Feeds one piece up to its end or an error. */
static int feed(reading *r, const char *text, size_t size)
{
    char *data = guard_put(&memory, text, size);
    size_t at = 0, used;
    int rc;

    do {
        used = 99999999;
        rc = unsb_json_read(&r->reader, data + at, size - at, &used);
        assert_true(used <= size - at);
        if (rc >= 0) {
            /* what is not used yet is as it was */
            assert_memory_equal(data + at + used, text + at + used, size - at - used);
            assert_true(guard_intact(&memory, size));
        }
        if (rc > 0)
            trace_event(r, rc, data + at, used);
        at += used;
    } while (rc > 0);
    if (rc == UNSB_JSON_MORE)
        assert_int_equal(at, size);
    return rc;
}

static void read_pieces(trace *t, const char *text, cut c)
{
    static reading r;
    int rc = UNSB_OK;
    size_t used;
    char more[] = "[1]";

    memset(&r, 0xEE, sizeof r);
    unsb_json_reader_init(&r.reader);
    r.trace = t;
    r.depth = 0;
    r.kind = '\0';
    trace_reset(t);
    while (rc == UNSB_OK && cut_next(&c))
        rc = feed(&r, text + c.at, c.size);
    if (rc == UNSB_OK) {
        rc = unsb_json_read_end(&r.reader);
        if (rc == UNSB_JSON_NUMBER) {
            trace_event(&r, rc, NULL, 0);
            rc = unsb_json_read_end(&r.reader);
        }
        assert_int_equal(unsb_json_read_end(&r.reader), rc);
    }
    assert_true(rc <= 0);
    if (rc < 0) {
        if (r.kind != '\0')
            t->size = r.restart;
        used = 77;
        assert_int_equal(unsb_json_read(&r.reader, more, 3, &used), rc);
        assert_int_equal(used, 0);
        assert_int_equal(unsb_json_read_end(&r.reader), rc);
        assert_int_equal(unsb_json_read(&r.reader, more, 0, &used), rc);
        assert_string_equal(more, "[1]");
    }
    trace_put(t, error_name(rc));
}

static trace got;

static bool compare_way(const char *text, size_t size, size_t way, uint64_t *seed);

static void check_way(const char *text, size_t size, const char *expected, size_t way,
                      uint64_t *seed)
{
    if (!UNSB_NUMBERS || !UNSB_UTF8) { /* then the other reader tells what is to be expected */
        (void)compare_way(text, size, way, seed);
        return;
    }
    read_pieces(&got, text, cut_start(way, size, seed));
    if (strcmp(got.text, expected) != 0)
        fail_msg("way %u of %.*s\n  gives    %s\n  expected %s", (unsigned)way,
                 size < 200 ? (int)size : 200, text, got.text, expected);
}

static void check(const char *text, size_t size, const char *expected, uint64_t *seed)
{
    size_t way;

    for (way = 0; way < cut_ways(size); way++)
        check_way(text, size, expected, way, seed);
}

static void check_long(const char *text, size_t size, const char *expected, uint64_t *seed)
{
    size_t way;

    check_way(text, size, expected, 0, seed);
    for (way = cut_first_long(size); way < cut_ways(size); way++)
        check_way(text, size, expected, way, seed);
}

/* ---- another reader: recursive, over the whole text ---- */

typedef struct naive {
    const uint8_t *p, *end;
    trace *trace;
    unsigned depth;
} naive;

static bool naive_value(naive *n);

static void naive_space(naive *n)
{
    while (n->p < n->end && (*n->p == ' ' || *n->p == '\t' || *n->p == '\n' || *n->p == '\r'))
        n->p++;
}

static bool naive_take(naive *n, char c)
{
    if (n->p == n->end || *n->p != (uint8_t)c)
        return false;
    n->p++;
    return true;
}

static bool naive_word(naive *n, const char *word, const char *name)
{
    for (; *word != '\0'; word++)
        if (!naive_take(n, *word))
            return false;
    trace_put(n->trace, name);
    return true;
}

/* The 4 digits of a \u, or -1. */
static long naive_hex(naive *n)
{
    char digits[5] = "", *end;
    size_t i;

    if (n->end - n->p < 4)
        return -1;
    for (i = 0; i < 4; i++) {
        digits[i] = (char)*n->p++;
        if (digits[i] == '\0' || strchr("0123456789abcdefABCDEF", digits[i]) == NULL)
            return -1;
    }
    return strtol(digits, &end, 16);
}

static size_t put_utf8(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 + code / 0x40);
        out[1] = (char)(0x80 + code % 0x40);
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 + code / 0x1000);
        out[1] = (char)(0x80 + code / 0x40 % 0x40);
        out[2] = (char)(0x80 + code % 0x40);
        return 3;
    }
    out[0] = (char)(0xF0 + code / 0x40000);
    out[1] = (char)(0x80 + code / 0x1000 % 0x40);
    out[2] = (char)(0x80 + code / 0x40 % 0x40);
    out[3] = (char)(0x80 + code % 0x40);
    return 4;
}

/* A character from 0x80 on, by its value. */
static bool naive_raw(naive *n, uint8_t c, char *out, size_t *size)
{
    unsigned more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1, i;
    uint32_t code = c >= 0xF0 ? c - 0xF0u : c >= 0xE0 ? c - 0xE0u : c - 0xC0u;
    uint32_t least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;

    if (c < 0xC0 || c > 0xF7)
        return false;
    for (i = 0; i < more; i++) {
        if (n->p == n->end || *n->p < 0x80 || *n->p > 0xBF)
            return false;
        code = code * 64 + (*n->p++ - 0x80u);
    }
    if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return false;
    *size = put_utf8(code, out);
    return true;
}

static bool naive_escape(naive *n, char *out, size_t *size)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *found;
    long code, low;
    uint8_t c;

    if (n->p == n->end)
        return false;
    c = *n->p++;
    *size = 1;
    if (c != 'u') {
        found = c == '\0' ? NULL : strchr(names, c);
        if (found == NULL)
            return false;
        *out = values[found - names];
        return true;
    }
    code = naive_hex(n);
    if (code < 0 || (code >= 0xDC00 && code <= 0xDFFF))
        return false;
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (!naive_take(n, '\\') || !naive_take(n, 'u'))
            return false;
        low = naive_hex(n);
        if (low < 0xDC00 || low > 0xDFFF)
            return false;
        code = 0x10000 + (code - 0xD800) * 0x400 + (low - 0xDC00);
    }
    *size = put_utf8((uint32_t)code, out);
    return true;
}

/* The rest of a string whose bytes nobody judges. Half a surrogate pair is U+FFFD, or the byte that
 * Python's surrogateescape stands for. */
static bool naive_bytes(naive *n)
{
    long half = 0, code;
    char out[4];
    size_t size;

    while (n->p < n->end) {
        uint8_t c = *n->p++;
        bool escape = c == '\\' && n->p < n->end && *n->p == 'u';
        code = c;
        if (escape) {
            n->p++;
            code = naive_hex(n);
            if (code < 0)
                return false;
        }
        if (half != 0 && escape && code >= 0xDC00 && code <= 0xDFFF) {
            code = 0x10000 + (half - 0xD800) * 0x400 + (code - 0xDC00);
            half = 0;
        }
        if (half != 0)
            trace_bytes(n->trace, "\xEF\xBF\xBD", 3);
        half = escape && code >= 0xD800 && code <= 0xDBFF ? code : 0;
        if (half != 0)
            continue;
        size = 1;
        out[0] = (char)code;
        if (escape && code >= 0xDC00 && code <= 0xDFFF) {
            if (code < 0xDC80 || code > 0xDCFF)
                size = put_utf8(0xFFFD, out);
        } else if (escape) {
            size = put_utf8((uint32_t)code, out);
        } else if (c == '"') {
            trace_put(n->trace, ")");
            return true;
        } else if (c == '\\' && !naive_escape(n, out, &size)) {
            return false;
        }
        trace_bytes(n->trace, out, size);
    }
    return false;
}

static bool naive_string(naive *n, const char *open)
{
    if (!naive_take(n, '"'))
        return false;
    trace_put(n->trace, open);
    if (!UNSB_UTF8)
        return naive_bytes(n);
    while (n->p < n->end) {
        uint8_t c = *n->p++;
        char out[4] = {(char)c, 0, 0, 0};
        size_t size = 1;
        if (c == '"') {
            trace_put(n->trace, ")");
            return true;
        }
        if (c < 0x20 || (c == '\\' && !naive_escape(n, out, &size)) ||
            (c >= 0x80 && !naive_raw(n, c, out, &size)))
            return false;
        trace_bytes(n->trace, out, size);
    }
    return false;
}

/* Takes digits, of which the first one that counts is not 0. */
static size_t naive_digits(naive *n, char *digits, size_t *count)
{
    size_t taken = 0;

    for (; n->p < n->end && *n->p >= '0' && *n->p <= '9'; n->p++, taken++)
        if (*count != 0 || *n->p != '0')
            digits[(*count)++] = (char)*n->p;
    return taken;
}

static bool naive_fits(const char *digits, size_t count)
{
    while (count != 0 && digits[count - 1] == '0')
        count--;
    return count < 20 || (count == 20 && memcmp(digits, "18446744073709551615", 20) <= 0);
}

/* An integer of 32 bits? `digits` may end in zeros of a fraction. */
static bool naive_is_small(const char *digits, size_t count, long exponent)
{
    for (; exponent < 0 && count != 0; exponent++)
        if (digits[--count] != '0')
            return false;
    return count < 10 || (count == 10 && memcmp(digits, "4294967295", 10) <= 0);
}

static bool naive_number(naive *n)
{
    static char digits[TEXT_MAX];
    bool negative = naive_take(n, '-'), zero = n->p < n->end && *n->p == '0';
    static char power_digits[TEXT_MAX];
    size_t count = 0, taken = naive_digits(n, digits, &count), power_count = 0;
    long exponent = 0, power = 0;
    bool inexact = false, minus, plain = true;

    if (taken == 0 || (zero && taken > 1))
        return false;
    if (naive_take(n, '.')) {
        taken = naive_digits(n, digits, &count);
        if (taken == 0)
            return false;
        exponent = -(long)taken;
    }
    if (naive_take(n, 'e') || naive_take(n, 'E')) {
        plain = false;
        minus = naive_take(n, '-');
        if (!minus)
            naive_take(n, '+');
        if (naive_digits(n, power_digits, &power_count) == 0)
            return false;
        power_digits[power_count] = '\0';
        power = power_count == 0 ? 0 : power_count > 5 ? 100000 : atol(power_digits);
        inexact = power >= UNSBI_POWER_MAX * 10;
        exponent += minus ? -power : power;
    }
    inexact = count != 0 && (inexact || !naive_fits(digits, count));
    if (UNSB_NUMBERS)
        trace_number(n->trace, negative, digits, count, exponent, inexact);
    else
        trace_small(n->trace, negative, digits, count, exponent,
                    plain && naive_is_small(digits, count, exponent));
    return true;
}

static bool naive_container(naive *n, bool array)
{
    char end = array ? ']' : '}';

    trace_put(n->trace, array ? "[" : "{");
    naive_space(n);
    if (!naive_take(n, end)) {
        do {
            naive_space(n);
            if (!array) {
                if (!naive_string(n, "k("))
                    return false;
                naive_space(n);
                if (!naive_take(n, ':'))
                    return false;
            }
            if (!naive_value(n))
                return false;
            naive_space(n);
        } while (naive_take(n, ','));
        if (!naive_take(n, end))
            return false;
    }
    trace_put(n->trace, array ? "]" : "}");
    return true;
}

static bool naive_value(naive *n)
{
    bool fine;

    naive_space(n);
    if (n->p == n->end)
        return false;
    switch (*n->p) {
    case '"':
        return naive_string(n, "s(");
    case 't':
        return naive_word(n, "true", "T");
    case 'f':
        return naive_word(n, "false", "F");
    case 'n':
        return naive_word(n, "null", "N");
    case '{':
    case '[':
        if (n->depth++ == UNSB_JSON_DEPTH)
            return false;
        fine = naive_container(n, *n->p++ == '[');
        n->depth--;
        return fine;
    default:
        return naive_number(n);
    }
}

/* True, and the trace, if it is a document. */
static bool naive_read(trace *t, const char *text, size_t size)
{
    naive n;

    trace_reset(t);
    n.p = (const uint8_t *)text;
    n.end = n.p + size;
    n.trace = t;
    n.depth = 0;
    if (!naive_value(&n))
        return false;
    naive_space(&n);
    trace_put(t, ".");
    return n.p == n.end;
}

static trace expected;

/* Compares both readers in one way of cutting. Returns whether it is a document. */
static bool compare_way(const char *text, size_t size, size_t way, uint64_t *seed)
{
    bool fine = naive_read(&expected, text, size);

    read_pieces(&got, text, cut_start(way, size, seed));
    if (fine) {
        if (strcmp(got.text, expected.text) != 0)
            fail_msg("way %u of %.*s\n  gives    %s\n  expected %s", (unsigned)way,
                     size < 200 ? (int)size : 200, text, got.text, expected.text);
        return true;
    }
    if (strchr(got.text, '!') == NULL || got.text[got.size - 1] == '.')
        fail_msg("%.*s is not refused: %s", (int)size, text, got.text);
    return false;
}

/* ---- vectors ---- */

typedef struct vector {
    const char *text;
    size_t size;
    const char *trace;
} vector;

#define V(text, trace) {text, sizeof text - 1, trace}

static const vector structure[] = {
    V("{}", "{}."),
    V("[]", "[]."),
    V(" [] ", "[]."),
    V("\t\n\r [\t\n\r ]\t\n\r ", "[]."),
    V("[[]]", "[[]]."),
    V("[[],[[]],{}]", "[[][[]]{}]."),
    V("[1,2]", "[#1e0#2e0]."),
    V("[1 , 2 ]", "[#1e0#2e0]."),
    V("[1\n,2]", "[#1e0#2e0]."),
    V("[null,true,false]", "[NTF]."),
    V("[ null , true , false ]", "[NTF]."),
    V("[null, 1, \"1\", {}]", "[N#1e0s(1){}]."),
    V("[1,null,null,null,2]", "[#1e0NNN#2e0]."),
    V("[\"\"]", "[s()]."),
    V("[\"a\"]", "[s(a)]."),
    V("[2] ", "[#2e0]."),
    V(" [1]", "[#1e0]."),
    V("{\"a\":1}", "{k(a)#1e0}."),
    V("{\"\":0}", "{k()#0e0}."),
    V("{\"a\":[]}", "{k(a)[]}."),
    V("{ \"a\" : { \"b\" : null } }", "{k(a){k(b)N}}."),
    V("{\"a\":\"b\",\"a\":\"c\"}", "{k(a)s(b)k(a)s(c)}."),
    V("{\"a\":\"b\",\"a\":\"b\"}", "{k(a)s(b)k(a)s(b)}."),
    V("{\"foo\\u0000bar\": 42}", "{k(foo\\x00bar)#42e0}."),
    V("{ \"min\": -1.0e+28, \"max\": 1.0e+28 }", "{k(min)#-1e28k(max)#1e28}."),
    V("{\"x\":[{\"id\": \"xxxxxxxx\"}], \"id\": \"y\"}", "{k(x)[{k(id)s(xxxxxxxx)}]k(id)s(y)}."),
    V("{\"title\":\"\\u041f\"}", "{k(title)s(\\xd0\\x9f)}."),
    V("{\n\"a\": \"b\"\n}", "{k(a)s(b)}."),
    V("{\"a\":[{\"b\":[{}]}],\"c\":{\"d\":[]}}", "{k(a)[{k(b)[{}]}]k(c){k(d)[]}}."),
    V("true", "T."),
    V("false", "F."),
    V("null", "N."),
    V(" null ", "N."),
    V("42", "#42e0."),
    V("-0.1", "#-1e-1."),
    V("\"asd\"", "s(asd)."),
    V("\"\"", "s()."),
    V("\"a\"\n", "s(a)."),
    V("1\n", "#1e0."),
    V(" 1 ", "#1e0."),

    V("", "!JSON"),
    V(" ", "!JSON"),
    V("\n\t", "!JSON"),
    V("[", "[!JSON"),
    V("{", "{!JSON"),
    V("]", "!JSON"),
    V("}", "!JSON"),
    V(",", "!JSON"),
    V(":", "!JSON"),
    V("[1 true]", "[#1e0!JSON"),
    V("[1 2]", "[#1e0!JSON"),
    V("[1\t\n2]", "[#1e0!JSON"),
    V("[\"\": 1]", "[s()!JSON"),
    V("[\"\"],", "[s()]!JSON"),
    V("[,1]", "[!JSON"),
    V("[1,,2]", "[#1e0!JSON"),
    V("[\"x\",,]", "[s(x)!JSON"),
    V("[\"x\"]]", "[s(x)]!JSON"),
    V("[\"\",]", "[s()!JSON"),
    V("[\"x\"", "[s(x)!JSON"),
    V("[x", "[!JSON"),
    V("[3[4]]", "[#3e0!JSON"),
    V("[1:2]", "[#1e0!JSON"),
    V("[1;2]", "[#1e0!JSON"),
    V("[,]", "[!JSON"),
    V("[,,", "[!JSON"),
    V("[   , \"\"]", "[!JSON"),
    V("[\"a\",\n4\n,1,", "[s(a)#4e0#1e0!JSON"),
    V("[1,]", "[#1e0!JSON"),
    V("[1,,]", "[#1e0!JSON"),
    V("[\v]", "[!JSON"),
    V("[\f]", "[!JSON"),
    V("[\"a\"\f]", "[s(a)!JSON"),
    V("[*]", "[!JSON"),
    V("[1,", "[#1e0!JSON"),
    V("[1", "[!JSON"),
    V("[{}", "[{}!JSON"),
    V("[1}", "[#1e0!JSON"),
    V("{\"a\":1]", "{k(a)#1e0!JSON"),
    V("[}", "[!JSON"),
    V("{]", "{!JSON"),
    V("{[: \"x\"}", "{!JSON"),
    V("{\"x\", null}", "{k(x)!JSON"),
    V("{\"x\"::\"b\"}", "{k(x)!JSON"),
    V("{\"a\":\"a\" 123}", "{k(a)s(a)!JSON"),
    V("{key: 'value'}", "{!JSON"),
    V("{\"a\" b}", "{k(a)!JSON"),
    V("{:\"b\"}", "{!JSON"),
    V("{\"a\" \"b\"}", "{k(a)!JSON"),
    V("{\"a\":", "{k(a)!JSON"),
    V("{\"a\":}", "{k(a)!JSON"),
    V("{\"a\":,\"b\":1}", "{k(a)!JSON"),
    V("{\"a\"", "{k(a)!JSON"),
    V("{\"a\"}", "{k(a)!JSON"),
    V("{\"a", "{!JSON"),
    V("{\"a\":\"a", "{k(a)!JSON"),
    V("{\"a\":true", "{k(a)T!JSON"),
    V("{1:1}", "{!JSON"),
    V("{true:1}", "{!JSON"),
    V("{[]:1}", "{!JSON"),
    V("{null:null,null:null}", "{!JSON"),
    V("{\"id\":0,,,,,}", "{k(id)#0e0!JSON"),
    V("{'a':0}", "{!JSON"),
    V("{\"id\":0,}", "{k(id)#0e0!JSON"),
    V("{,\"id\":0}", "{!JSON"),
    V("{,}", "{!JSON"),
    V("{\"a\":\"b\"}/**/", "{k(a)s(b)}!JSON"),
    V("{\"a\":\"b\"}//", "{k(a)s(b)}!JSON"),
    V("{\"a\":/*comment*/\"b\"}", "{k(a)!JSON"),
    V("{\"a\":\"b\"}#", "{k(a)s(b)}!JSON"),
    V("{\"a\":\"b\",,\"c\":\"d\"}", "{k(a)s(b)!JSON"),
    V("{a: \"b\"}", "{!JSON"),
    V("{\"a\":1 \"b\":2}", "{k(a)#1e0!JSON"),
    V("{\"foo\":\"bar\", \"a\"}", "{k(foo)s(bar)k(a)!JSON"),
    V("{}}", "{}!JSON"),
    V("{\"a\": true} \"x\"", "{k(a)T}!JSON"),
    V("[][]", "[]!JSON"),
    V("[1]x", "[#1e0]!JSON"),
    V("1 1", "#1e0!JSON"),
    V("1]", "#1e0!JSON"),
    V("1,", "#1e0!JSON"),
    V("\"\"x", "s()!JSON"),
    V("nullnull", "N!JSON"),
    V("null null", "N!JSON"),
    V("true,", "T!JSON"),
    V("abc", "!JSON"),
    V("*", "!JSON"),
    V("<.>", "!JSON"),
    V("[<null>]", "[!JSON"),
    V("['", "[!JSON"),
    V("['single quote']", "[!JSON"),
    V("[\\n]", "[!JSON"),
    V("[\\u0020\"asd\"]", "[!JSON"),
    V("[\\u000A\"\"]", "[!JSON"),
    V("[True]", "[!JSON"),
    V("[TRUE]", "[!JSON"),
    V("[Null]", "[!JSON"),
    V("[fals]", "[!JSON"),
    V("[nul]", "[!JSON"),
    V("[tru]", "[!JSON"),
    V("[truth]", "[!JSON"),
    V("[truex]", "[T!JSON"),
    V("[t rue]", "[!JSON"),
    V("[falsE]", "[!JSON"),
    V("t", "!JSON"),
    V("fals", "!JSON"),
    V("nul", "!JSON"),
    V("nulll", "N!JSON"),
    V("[undefined]", "[!JSON"),
    V("[\0]", "[!JSON"),
    V("\0", "!JSON"),
    V("[]\0", "[]!JSON"),
    V("tru\0", "!JSON"),
    V("true\0", "T!JSON"),
    V("[\x1F]", "[!JSON"),
    V("[\x7F]", "[!JSON"),
    /* a byte order mark is no part of the grammar, nor are other spaces */
    V("\xEF\xBB\xBF", "!JSON"),
    V("\xEF\xBB\xBF{}", "!JSON"),
    V("\xEF\xBB{}", "!JSON"),
    V("\xFE\xFF\0[", "!JSON"),
    V("[\xC2\xA0]", "[!JSON"),
    V("[\xC2\x85]", "[!JSON"),
    V("[\xE2\x81\xA0]", "[!JSON"),
    V("[\xE2\x80\xA8]", "[!JSON"),
    V("[\xFF]", "[!JSON"),
    V("[a\xE5]", "[!JSON"),
    V("{\xF0\x9F\x87\xA8}", "{!JSON"),
    V("\xE5", "!JSON"),
};

static const vector numbers[] = {
    V("[0]", "[#0e0]."),
    V("[-0]", "[#-0e0]."),
    V("[0.0]", "[#0e0]."),
    V("[-0.0]", "[#-0e0]."),
    V("[0e0]", "[#0e0]."),
    V("[0e+1]", "[#0e0]."),
    V("[0E-1]", "[#0e0]."),
    V("[0e99999]", "[#0e0]."),
    V("[-0E-99999]", "[#-0e0]."),
    V("[123e65]", "[#123e65]."),
    V("[ 4]", "[#4e0]."),
    V("[-0.000000000000000000000000000000000000001]", "[#-1e-39]."),
    V("[20e1]", "[#2e2]."),
    V("[-1]", "[#-1e0]."),
    V("[-123]", "[#-123e0]."),
    V("[1E22]", "[#1e22]."),
    V("[1E-2]", "[#1e-2]."),
    V("[1E+2]", "[#1e2]."),
    V("[123e45]", "[#123e45]."),
    V("[123.456e78]", "[#123456e75]."),
    V("[1e-2]", "[#1e-2]."),
    V("[1e+2]", "[#1e2]."),
    V("[123]", "[#123e0]."),
    V("[123.456789]", "[#123456789e-6]."),
    V("[523.0]", "[#523e0]."),
    V("[5.23e2]", "[#523e0]."),
    V("[52300e-2]", "[#523e0]."),
    V("[0.5000000000000000000000000]", "[#5e-1]."),
    V("[1000000000000000000000000000000e-30]", "[#1e0]."),
    V("[100000000000000000000000000000000000000001]", "[#~1@42]."),
    V("[0.00000000000000000000000000000000000000012]", "[#12e-41]."),
    V("[18446744073709551609]", "[#18446744073709551609e0]."),
    V("[184467440737095516090]", "[#18446744073709551609e1]."),
    V("[18446744073709551616]", "[#~184467440737095@20]."),
    V("[-18446744073709551616]", "[#-~184467440737095@20]."),
    V("[99999999999999999999]", "[#~999999999999999@20]."),
    V("[123123123123123123123123123123]", "[#~123123123123123@30]."),
    V("[-123123123123123123123123123123]", "[#-~123123123123123@30]."),
    V("[3.14159265358979323846264338327950288]", "[#~314159265358979@1]."),
    V("[0.1000000000000000000000000001]", "[#~1@0]."),
    V("[1e9999]", "[#1e9999]."),
    V("[1e-9999]", "[#1e-9999]."),
    V("[1e009999]", "[#1e9999]."),
    V("[1e000000000000000000000000002]", "[#1e2]."),
    V("[0.4e00669999999999999999999999999999999999999999999]", "[#~far]."),
    V("[123e-10000000]", "[#~far]."),
    V("[-1e+9999999]", "[#-~far]."),
    V("[1.5e+99999]", "[#~far]."),
    V("[1e10005]", "[#1e10005]."),
    V("[1e40959]", "[#1e40959]."),
    V("[1e40960]", "[#~far]."),
    V("[1e-40959]", "[#1e-40959]."),
    V("[1e-40960]", "[#~far]."),
    V("[-123123e100000]", "[#-~far]."),
    V("0", "#0e0."),
    V("-0", "#-0e0."),
    V("10", "#1e1."),
    V("-1.5E-3", "#-15e-4."),

    V("[-]", "[!JSON"),
    V("[--1]", "[!JSON"),
    V("[- 1]", "[!JSON"),
    V("[-a]", "[!JSON"),
    V("[++1234]", "[!JSON"),
    V("[+1]", "[!JSON"),
    V("[+Inf]", "[!JSON"),
    V("[-01]", "[!JSON"),
    V("[-012]", "[!JSON"),
    V("[012]", "[!JSON"),
    V("[00]", "[!JSON"),
    V("[00.5]", "[!JSON"),
    V("[0x1]", "[#0e0!JSON"),
    V("[0x42]", "[#0e0!JSON"),
    V("[-1.0.]", "[#-1e0!JSON"),
    V("[0.1.2]", "[#1e-1!JSON"),
    V("[-2.]", "[!JSON"),
    V("[1.]", "[!JSON"),
    V("[0.]", "[!JSON"),
    V("[.-1]", "[!JSON"),
    V("[.2e-3]", "[!JSON"),
    V("[.123]", "[!JSON"),
    V("[-.123]", "[!JSON"),
    V("[0.e1]", "[!JSON"),
    V("[2.e3]", "[!JSON"),
    V("[2.e+3]", "[!JSON"),
    V("[0.3e+]", "[!JSON"),
    V("[0.3e]", "[!JSON"),
    V("[0E+]", "[!JSON"),
    V("[0E]", "[!JSON"),
    V("[1.0e-]", "[!JSON"),
    V("[1e", "[!JSON"),
    V("[1eE2]", "[!JSON"),
    V("[1ea]", "[!JSON"),
    V("[1e1.5]", "[#1e1!JSON"),
    V("[1e1e1]", "[#1e1!JSON"),
    V("[0e+-1]", "[!JSON"),
    V("[1e--1]", "[!JSON"),
    V("[1 000.0]", "[#1e0!JSON"),
    V("[1_000]", "[#1e0!JSON"),
    V("[1+2]", "[#1e0!JSON"),
    V("[1-2]", "[#1e0!JSON"),
    V("[Inf]", "[!JSON"),
    V("[Infinity]", "[!JSON"),
    V("[-Infinity]", "[!JSON"),
    V("[NaN]", "[!JSON"),
    V("[nan]", "[!JSON"),
    V("[-NaN]", "[!JSON"),
    V("[-foo]", "[!JSON"),
    V("[-123.123foo]", "[#-123123e-3!JSON"),
    V("[-1x]", "[#-1e0!JSON"),
    V("[1.2a-3]", "[#12e-1!JSON"),
    V("[1.8H-308]", "[#18e-1!JSON"),
    V("[1f]", "[#1e0!JSON"),
    V("[1L]", "[#1e0!JSON"),
    V("[\xEF\xBC\x91]", "[!JSON"),
    V("[123\xE5]", "[#123e0!JSON"),
    V("[1e1\xE5]", "[#1e1!JSON"),
    V("[1e\xE5]", "[!JSON"),
    V("[0\xE5]", "[#0e0!JSON"),
    V("123\0", "#123e0!JSON"),
    V("2@", "#2e0!JSON"),
    V("-", "!JSON"),
    V("1.", "!JSON"),
    V("1e", "!JSON"),
    V("1e+", "!JSON"),
    V("1e-", "!JSON"),
    V("00", "!JSON"),
};

static const vector strings[] = {
    V("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[s(\"\\x5c/\\x08\\x0c\\x0a\\x0d\\x09)]."),
    V("[\"\\u0060\\u012a\\u12AB\"]", "[s(`\\xc4\\xaa\\xe1\\x8a\\xab)]."),
    V("[\"\\uD801\\udc37\"]", "[s(\\xf0\\x90\\x90\\xb7)]."),
    V("[\"\\ud83d\\ude39\\ud83d\\udc8d\"]", "[s(\\xf0\\x9f\\x98\\xb9\\xf0\\x9f\\x92\\x8d)]."),
    V("[\"\\uD834\\uDd1e\"]", "[s(\\xf0\\x9d\\x84\\x9e)]."),
    V("[\"\\uD800\\uDC00\"]", "[s(\\xf0\\x90\\x80\\x80)]."),
    V("[\"\\uDBFF\\uDFFF\"]", "[s(\\xf4\\x8f\\xbf\\xbf)]."),
    V("[\"\\uD83F\\uDFFE\"]", "[s(\\xf0\\x9f\\xbf\\xbe)]."),
    V("[\"\\uDBFF\\uDFFE\"]", "[s(\\xf4\\x8f\\xbf\\xbe)]."),
    V("[\"a\\uD83D\\uDE00b\"]", "[s(a\\xf0\\x9f\\x98\\x80b)]."),
    V("[\"\\uD7FF\\uE000\"]", "[s(\\xed\\x9f\\xbf\\xee\\x80\\x80)]."),
    V("[\"\\\\u0000\"]", "[s(\\x5cu0000)]."),
    V("[\"\\u0000\"]", "[s(\\x00)]."),
    V("\"\\u0000\"", "s(\\x00)."),
    V("[\"\\u0000\\u0000a\"]", "[s(\\x00\\x00a)]."),
    V("[\"\\\"\"]", "[s(\")]."),
    V("[\"a/*b*/c/*d//e\"]", "[s(a/*b*/c/*d//e)]."),
    V("[\"\\\\a\"]", "[s(\\x5ca)]."),
    V("[\"\\\\n\"]", "[s(\\x5cn)]."),
    V("[\"\\u0012\"]", "[s(\\x12)]."),
    V("[\"\\u001F\\u0020\"]", "[s(\\x1f )]."),
    V("[\"\\uFFFF\"]", "[s(\\xef\\xbf\\xbf)]."),
    V("[\"\\uFFFE\\uFDD0\"]", "[s(\\xef\\xbf\\xbe\\xef\\xb7\\x90)]."),
    V("[ \"asd\"]", "[s(asd)]."),
    V("[\"new\\u00A0line\"]", "[s(new\\xc2\\xa0line)]."),
    V("[\"new\\u000Aline\"]", "[s(new\\x0aline)]."),
    V("[\"\\u0022\\u005c\\u005C\"]", "[s(\"\\x5c\\x5c)]."),
    V("[\"\\u007F\\u0080\\u07ff\\u0800\"]", "[s(\\x7f\\xc2\\x80\\xdf\\xbf\\xe0\\xa0\\x80)]."),
    V("[\"\\u2028\\u200b\"]", "[s(\\xe2\\x80\\xa8\\xe2\\x80\\x8b)]."),
    V("[\"\\uaBcD\\uEF09\"]", "[s(\\xea\\xaf\\x8d\\xee\\xbc\\x89)]."),
    V("[\"\x7F\"]", "[s(\\x7f)]."),
    V("[\" \"]", "[s( )]."),
    V("[\",\"]", "[s(,)]."),
    V("[\"[]{}:,'/\"]", "[s([]{}:,'/)]."),
    V("[\"\xC3\xA9\"]", "[s(\\xc3\\xa9)]."),
    V("[\"\xCF\x80\"]", "[s(\\xcf\\x80)]."),
    V("[\"\xE2\x80\xA8\xE2\x80\xA9\"]", "[s(\\xe2\\x80\\xa8\\xe2\\x80\\xa9)]."),
    V("[\"\xE2\x8D\x82\xE3\x88\xB4\"]", "[s(\\xe2\\x8d\\x82\\xe3\\x88\\xb4)]."),
    V("[\"\xF4\x8F\xBF\xBF\"]", "[s(\\xf4\\x8f\\xbf\\xbf)]."),
    V("[\"\xF0\x9B\xBF\xBF\"]", "[s(\\xf0\\x9b\\xbf\\xbf)]."),
    V("[\"\xF0\x90\x80\x80\"]", "[s(\\xf0\\x90\\x80\\x80)]."),
    V("[\"\xEF\xBF\xBF\"]", "[s(\\xef\\xbf\\xbf)]."),
    V("[\"\xEF\xBB\xBF\"]", "[s(\\xef\\xbb\\xbf)]."),
    V("[\"\xED\x9F\xBF\xEE\x80\x80\"]", "[s(\\xed\\x9f\\xbf\\xee\\x80\\x80)]."),
    V("[\"\xC2\x80\xDF\xBF\xE0\xA0\x80\"]", "[s(\\xc2\\x80\\xdf\\xbf\\xe0\\xa0\\x80)]."),
    V("{\"\\ud83d\\ude00\":\"\\n\"}", "{k(\\xf0\\x9f\\x98\\x80)s(\\x0a)}."),
    V("{\"a\\tb\\u00e9\\u20ac\":0}", "{k(a\\x09b\\xc3\\xa9\\xe2\\x82\\xac)#0e0}."),

    V("\"", "!JSON"),
    V("[\"", "[!JSON"),
    V("[\"asd]", "[!JSON"),
    V("[\"\\", "[!JSON"),
    V("[\"\\\"]", "[!JSON"),
    V("[\"\\\\\\\"]", "[!JSON"),
    V("[\"\\x00\"]", "[!JSON"),
    V("[\"\\\0\"]", "[!JSON"),
    V("[\"\\\t\"]", "[!JSON"),
    V("[\"\\\n\"]", "[!JSON"),
    V("[\"\\a\"]", "[!JSON"),
    V("[\"\\v\"]", "[!JSON"),
    V("[\"\\0\"]", "[!JSON"),
    V("[\"\\'\"]", "[!JSON"),
    V("[\"\\ \"]", "[!JSON"),
    V("[\"\\N\"]", "[!JSON"),
    V("[\"\\\xF0\x9F\x8C\x80\"]", "[!JSON"),
    V("[\"\\\xE5\"]", "[!JSON"),
    V("\"\\UA66D\"", "!JSON"),
    V("[\"\\u\"]", "[!JSON"),
    V("[\"\\u00A\"]", "[!JSON"),
    V("[\"\\uqqqq\"]", "[!JSON"),
    V("[\"\\u00G0\"]", "[!JSON"),
    V("[\"\\u 041\"]", "[!JSON"),
    V("[\"\\u-041\"]", "[!JSON"),
    V("[\"\\u004:\"]", "[!JSON"),
    V("[\"\\u004/\"]", "[!JSON"),
    V("[\"\\u004@\"]", "[!JSON"),
    V("[\"\\u004`\"]", "[!JSON"),
    V("[\"\\u{41}\"]", "[!JSON"),
    V("[\"\\u\xE5\"]", "[!JSON"),
    V("[\"\\u00\0001\"]", "[!JSON"),
    V("[\"\\uD834\\uDd\"]", "[!JSON"),
    V("[\"\\uD800\\u\"]", "[!JSON"),
    V("[\"\\uD800\\u1\"]", "[!JSON"),
    V("[\"\\uD800\\u1x\"]", "[!JSON"),
    V("[\"\\uD800", "[!JSON"),
    V("[\"\\uD800\\", "[!JSON"),
    V("[\"a\0a\"]", "[!JSON"),
    V("[\"new\nline\"]", "[!JSON"),
    V("[\"\t\"]", "[!JSON"),
    V("[\"\r\"]", "[!JSON"),
    V("[\"\x1F\"]", "[!JSON"),
    V("[\"\x01\"]", "[!JSON"),
    V("{\"a\nb\":1}", "{!JSON"),
    V("[\"\\{[\"\\{[\"\\{", "[!JSON"),
    V("[\xC3\xA9]", "[!JSON"),
    /* surrogates that do not pair */
    V("[\"\\uD800\"]", "[!UTF8"),
    V("[\"\\uDBFF\"]", "[!UTF8"),
    V("[\"\\uDC00\"]", "[!UTF8"),
    V("[\"\\uDFFF\"]", "[!UTF8"),
    V("[\"\\uDADA\"]", "[!UTF8"),
    V("[\"\\ud800abc\"]", "[!UTF8"),
    V("[\"\\uD888\\u1234\"]", "[!UTF8"),
    V("[\"\\uD800\\uD800\"]", "[!UTF8"),
    V("[\"\\uD800\\uD800\\uDC00\"]", "[!UTF8"),
    V("[\"\\uD800\\uDBFF\"]", "[!UTF8"),
    V("[\"\\uD800\\uE000\"]", "[!UTF8"),
    V("[\"\\uD800\\n\"]", "[!UTF8"),
    V("[\"\\uD800\\\"]", "[!UTF8"),
    V("[\"\\uD800\\\\uDC00\"]", "[!UTF8"),
    V("[\"\\uDd1e\\uD834\"]", "[!UTF8"),
    V("[\"\\uD83D\xF0\x9F\x98\x80\"]", "[!UTF8"),
    V("[\"\\uD83D \\uDE00\"]", "[!UTF8"),
    V("{\"\\uD800\":1}", "{!UTF8"),
    V("{\"\\uDC00\":1}", "{!UTF8"),
    V("[\"a\",\"\\ude00\"]", "[s(a)!UTF8"),
    /* RFC 3629: lone and missing continuation bytes, overlong forms, surrogates, too large */
    V("[\"\x80\"]", "[!UTF8"),
    V("[\"\xBF\"]", "[!UTF8"),
    V("[\"\xFF\"]", "[!UTF8"),
    V("[\"\xFE\"]", "[!UTF8"),
    V("[\"\xE9\"]", "[!UTF8"),
    V("[\"a\x81z\"]", "[!UTF8"),
    V("[\"\xC0\xAF\"]", "[!UTF8"),
    V("[\"\xC0\x80\"]", "[!UTF8"),
    V("[\"\xC1\xBF\"]", "[!UTF8"),
    V("[\"\xE0\x80\xAF\"]", "[!UTF8"),
    V("[\"\xE0\x9F\xBF\"]", "[!UTF8"),
    V("[\"\xF0\x80\x80\xAF\"]", "[!UTF8"),
    V("[\"\xF0\x8F\xBF\xBF\"]", "[!UTF8"),
    V("[\"\xF8\x88\x80\x80\x80\"]", "[!UTF8"),
    V("[\"\xFC\x80\x80\x80\x80\x80\"]", "[!UTF8"),
    V("[\"\xFC\x83\xBF\xBF\xBF\xBF\"]", "[!UTF8"),
    V("[\"\xED\xA0\x80\"]", "[!UTF8"),
    V("[\"\xED\xBF\xBF\"]", "[!UTF8"),
    V("[\"\xED\xA0\x80\xED\xB0\x80\"]", "[!UTF8"),
    V("[\"\xF4\x90\x80\x80\"]", "[!UTF8"),
    V("[\"\xF4\xBF\xBF\xBF\"]", "[!UTF8"),
    V("[\"\xF5\x80\x80\x80\"]", "[!UTF8"),
    V("[\"\xF7\xBF\xBF\xBF\"]", "[!UTF8"),
    V("[\"\xC3\"]", "[!UTF8"),
    V("[\"\xE0\xFF\"]", "[!UTF8"),
    V("[\"\xE2\x82\"]", "[!UTF8"),
    V("[\"\xE2\x82z\"]", "[!UTF8"),
    V("[\"\xF0\x9F\x98\"]", "[!UTF8"),
    V("[\"\xC3\xC3\xA9\"]", "[!UTF8"),
    V("[\"\xC3\\u00A9\"]", "[!UTF8"),
    V("[\"\xE2\x82\\n\"]", "[!UTF8"),
    V("[\"\xC3\n\"]", "[!UTF8"),
    V("[\"\xC3\xA9\xA9\"]", "[!UTF8"),
    V("{\"\xB9\":\"0\"}", "{!UTF8"),
    V("[\"\xC3", "[!JSON"), /* it might have gone on */
};

static void check_vectors(const vector *v, size_t count)
{
    uint64_t seed = 8259;
    size_t i;

    for (i = 0; i < count; i++) {
        bool fine = strchr(v[i].trace, '!') == NULL;
        /* the table and the other reader agree, or one of them is wrong */
        if (naive_read(&expected, v[i].text, v[i].size) != fine && UNSB_UTF8)
            fail_msg("the vector is wrong: %s", v[i].text);
        if (fine && UNSB_NUMBERS)
            assert_string_equal(expected.text, v[i].trace);
        check(v[i].text, v[i].size, v[i].trace, &seed);
    }
}

static void test_structure(void **unused)
{
    (void)unused;
    check_vectors(structure, COUNT(structure));
}

static void test_numbers(void **unused)
{
    (void)unused;
    check_vectors(numbers, COUNT(numbers));
}

static void test_strings(void **unused)
{
    (void)unused;
    check_vectors(strings, COUNT(strings));
}

/* Each control character in a string, and each byte where a value, a comma or an end must be. */
static void test_every_byte(void **unused)
{
    static const char *const texts[] = {"?", "[?]", "[1?]", "{?}", "{\"a\"?1}", "[\"?\"]",
                                        "[\"\\?\"]", "[\"\\u00?0\"]", "[]?", "[0?1]", "[1e?1]"};
    uint64_t seed = 1;
    size_t i, way;
    unsigned c;

    (void)unused;
    for (i = 0; i < COUNT(texts); i++)
        for (c = 0; c < 256; c++) {
            char text[32];
            size_t size = strlen(texts[i]);
            memcpy(text, texts[i], size);
            *(char *)memchr(text, '?', size) = (char)c;
            for (way = 0; way <= size; way++)
                compare_way(text, size, way, &seed);
        }
}

/* ---- every short text ---- */

/* All texts of a prefix and up to `most` of these parts; so many of them are documents. */
static void compare_all(const char *prefix, const char *const *parts, size_t count, size_t most,
                        size_t all_documents)
{
    uint64_t seed = 5;
    size_t size, i, documents = 0;
    uint32_t n, all = 1;

    for (size = 0; size <= most; size++, all *= (uint32_t)count)
        for (n = 0; n < all; n++) {
            char text[64];
            size_t length = strlen(prefix);
            uint32_t rest = n;
            bool fine;
            memcpy(text, prefix, length);
            for (i = 0; i < size; i++, rest /= (uint32_t)count) {
                const char *part = parts[rest % count];
                memcpy(text + length, part, strlen(part));
                length += strlen(part);
            }
            fine = compare_way(text, length, 0, &seed);
            documents += fine;
            if (fine || n % 4 == 0)
                compare_way(text, length, length, &seed);
        }
    if (UNSB_UTF8)
        assert_int_equal(documents, all_documents);
    assert_true(documents >= all_documents);
}

static void test_all_structures(void **unused)
{
    static const char *const parts[] = {"[", "]", "{", "}", ",", ":", "\"a\"", "1"};

    (void)unused;
    compare_all("", parts, COUNT(parts), 5, 22);
    compare_all("[{\"a\":", parts, COUNT(parts), 4, 5);
}

static void test_all_numbers(void **unused)
{
    static const char *const parts[] = {"0", "7", "-", "+", ".", "e", ",", "]"};

    (void)unused;
    compare_all("[", parts, COUNT(parts), 5, 93);
}

static void test_all_strings(void **unused)
{
    static const char *const parts[] = {"\"", "\\", "u", "0", "n", "\x80", "\xC3", "\x1F"};
    static const char *const wholes[] = {"\\uD83D", "\\uDE00", "\\u0041", "\\n",
                                         "a",       "\xC3\xA9", "\"",     "\\"};

    (void)unused;
    compare_all("\"", parts, COUNT(parts), 5, 273);
    compare_all("\"", wholes, COUNT(wholes), 4, 148);
}

/* ---- numbers ---- */

typedef struct integer_case {
    const char *text;
    bool fits;
    int64_t value;
} integer_case;

static const integer_case integers[] = {
    {"0", true, 0},
    {"-0", true, 0},
    {"-0.0", true, 0},
    {"1", true, 1},
    {"-1", true, -1},
    {"523", true, 523},
    {"523.0", true, 523},
    {"523.000", true, 523},
    {"5.23e2", true, 523},
    {"5.23E+2", true, 523},
    {"52300e-2", true, 523},
    {"-52300e-2", true, -523},
    {"0.0523e4", true, 523},
    {"52.3e1", true, 523},
    {"52.3", false, 0},
    {"523e-1", false, 0},
    {"0.5", false, 0},
    {"0.5000000000000000000000000", false, 0},
    {"1e-1", false, 0},
    {"0e99999", true, 0},
    {"0e-99999", true, 0},
    {"0.000e99999", true, 0},
    {"1e0", true, 1},
    {"1e18", true, 1000000000000000000},
    {"-1e18", true, -1000000000000000000},
    {"9e18", true, 9000000000000000000},
    {"1e19", false, 0},
    {"10000000000000000000", false, 0},
    {"0.1e19", true, 1000000000000000000},
    {"0.1e20", false, 0},
    {"100000000000000000000e-2", true, 1000000000000000000},
    {"9223372036854775806", true, INT64_MAX - 1},
    {"9223372036854775807", true, INT64_MAX},
    {"9223372036854775808", false, 0},
    {"-9223372036854775807", true, -INT64_MAX},
    {"-9223372036854775808", true, INT64_MIN},
    {"-9223372036854775809", false, 0},
    {"9223372036854775807.0", true, INT64_MAX},
    {"-92233720368547758080e-1", true, INT64_MIN},
    {"-922337203685477580.8e1", true, INT64_MIN},
    {"922337203685477580.7e1", true, INT64_MAX},
    {"922337203685477580.8e1", false, 0},
    {"9223372036854775807.5", false, 0},
    {"922337203685477580e1", true, 9223372036854775800},
    {"-922337203685477580e1", true, -9223372036854775800},
    {"922337203685477581e1", false, 0},
    {"-922337203685477581e1", false, 0},
    {"18446744073709551615", false, 0},
    {"18446744073709551616", false, 0},
    {"18446744073709551617", false, 0},
    {"184467440737095516160e-1", false, 0},
    {"1e9999", false, 0},
    {"1e99999", false, 0},
    {"-1e-99999", false, 0},
    {"1e4294967296", false, 0},
    {"1e65536", false, 0},
    {"1e18446744073709551616", false, 0},
    {"2147483648", true, 2147483648},
    {"4294967296", true, 4294967296},
    {"1699564800", true, 1699564800},
};

static void check_integer(const integer_case *number, const char *text, size_t size)
{
    unsb_json_reader reader;
    char *data = guard_put(&memory, text, size);
    size_t used, at = 0;
    int64_t value = 4711;
    int event;
    bool fits;

    unsb_json_reader_init(&reader);
    do {
        event = unsb_json_read(&reader, data + at, size - at, &used);
        at += used;
    } while (event > 0 && event != UNSB_JSON_NUMBER);
    if (event == UNSB_JSON_MORE)
        event = unsb_json_read_end(&reader);
    assert_int_equal(event, UNSB_JSON_NUMBER);
    (void)naive_read(&expected, number->text, strlen(number->text));
    fits = number->fits && (UNSB_NUMBERS || strchr(expected.text, '~') == NULL);
    if (unsb_json_integer(&reader, &value) != (fits ? UNSB_OK : UNSB_E_JSON_NUMBER))
        fail_msg("%s %s", number->text, fits ? "does not fit" : "fits");
    if (fits || UNSB_NUMBERS)
        assert_true(value == (fits ? number->value : 4711));
    assert_int_equal(reader.negative, number->text[0] == '-');
}

static void test_integers(void **unused)
{
    size_t i;

    (void)unused;
    for (i = 0; i < COUNT(integers); i++) {
        char text[64];
        int size = snprintf(text, sizeof text, "%s", integers[i].text);
        check_integer(&integers[i], text, (size_t)size);
        size = snprintf(text, sizeof text, "[%s]", integers[i].text);
        check_integer(&integers[i], text, (size_t)size);
        size = snprintf(text, sizeof text, "{\"a\":%s}", integers[i].text);
        check_integer(&integers[i], text, (size_t)size);
    }
}

static void test_random_integers(void **unused)
{
    uint64_t seed = random_seed(64);
    unsigned i;

    (void)unused;
    for (i = 0; i < 20000; i++) {
        char text[64], digits[32];
        int64_t value = (int64_t)(random_next(&seed) >> random_below(&seed, 64));
        integer_case number;
        int size;
        if (random_below(&seed, 2) && value != INT64_MIN)
            value = -value;
        number.text = text;
        number.fits = true;
        number.value = value;
        switch (random_below(&seed, 3)) {
        case 0:
            size = snprintf(text, sizeof text, "%" PRId64, value);
            break;
        case 1:
            size = snprintf(text, sizeof text, "%" PRId64 "%s.00e-3", value, value ? "000" : "");
            break;
        default: /* with the point after the first digit */
            size = snprintf(digits, sizeof digits, "%" PRIu64,
                            value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
            size = snprintf(text, sizeof text, "%s%c.%s0e%d", value < 0 ? "-" : "", digits[0],
                            digits + 1, size - 1);
            break;
        }
        check_integer(&number, text, (size_t)size);
    }
}

/* The mantissa holds every number of 64 bits. */
static void test_mantissa_limit(void **unused)
{
    uint64_t seed = 6;
    unsigned i;

    (void)unused;
    needs(UNSB_NUMBERS);
    for (i = 0; i < 32; i++) {
        char text[64], trace_text[64];
        uint64_t value = UINT64_MAX - i;
        unsigned zeros = 0;
        int size = snprintf(text, sizeof text, "[%" PRIu64 "]", value);
        for (; value % 10 == 0; value /= 10)
            zeros++;
        snprintf(trace_text, sizeof trace_text, "[#%" PRIu64 "e%u].", value, zeros);
        check(text, (size_t)size, trace_text, &seed);
    }
}

/* Beyond that, it is the number's first digits, none left out within: after one that has no room,
 * another one might have. */
static void test_first_digits(void **unused)
{
    static const char first[] = "1844674407370955161";
    unsigned i;

    (void)unused;
    needs(UNSB_NUMBERS);
    for (i = 60; i < 1000; i++) {
        char text[32], digits[32];
        unsb_json_reader reader;
        size_t used, size = (size_t)snprintf(text, sizeof text, "[%s%u]", first, i);
        unsb_json_reader_init(&reader);
        assert_int_equal(unsb_json_read(&reader, text, size, &used), UNSB_JSON_ARRAY_BEGIN);
        assert_int_equal(unsb_json_read(&reader, text + 1, size - 1, &used), UNSB_JSON_NUMBER);
        snprintf(digits, sizeof digits, "%" PRIu64, (uint64_t)reader.mantissa);
        assert_true(strlen(digits) >= sizeof first - 1);
        assert_memory_equal(text + 1, digits, strlen(digits));
        assert_int_equal(reader.exponent, size - 2 - strlen(digits));
    }
}

/* A number that is not 0 is not given as 0, however small. */
static void test_tiny_number(void **unused)
{
    static char text[20100];
    uint64_t seed = 7;
    size_t zeros;

    (void)unused;
    for (zeros = 9990; zeros < 20000; zeros += zeros < 10010 ? 1 : 3333) {
        unsb_json_reader reader;
        int64_t value;
        size_t used;
        memcpy(text, "[0.", 3);
        memset(text + 3, '0', zeros);
        memcpy(text + 3 + zeros, "1]", 2);
        unsb_json_reader_init(&reader);
        assert_int_equal(unsb_json_read(&reader, text, zeros + 5, &used), UNSB_JSON_ARRAY_BEGIN);
        assert_int_equal(unsb_json_read(&reader, text + 1, zeros + 4, &used), UNSB_JSON_NUMBER);
        assert_true(reader.mantissa != 0 || !UNSB_NUMBERS);
        assert_true(reader.inexact || (UNSB_NUMBERS && reader.exponent == -(int)zeros - 1));
        assert_int_equal(unsb_json_integer(&reader, &value), UNSB_E_JSON_NUMBER);
    }
    /* and one that is 0 is exact, however long */
    memset(text + 3, '0', 20000);
    memcpy(text + 20003, "]", 1);
    check_long(text, 20004, "[#0e0].", &seed);
}

/* Nor is one given as smaller than it is, however many zeros it ends in. */
static void test_huge_number(void **unused)
{
    static char text[20100];
    size_t zeros, n;
    unsigned power;

    (void)unused;
    needs(UNSB_NUMBERS);
    for (power = 0; power < 2; power++)
        for (zeros = 9990; zeros < 20000; zeros += zeros < 10010 ? 1 : 3333) {
            int exponent = power != 0 ? (int)zeros - 9990 : (int)zeros, rc;
            unsb_json_reader reader;
            int64_t value = 1;
            size_t used;
            memcpy(text, "[1", 2);
            memset(text + 2, '0', zeros);
            n = 2 + zeros;
            n += (size_t)sprintf(text + n, power != 0 ? "e-9990]" : "]");
            unsb_json_reader_init(&reader);
            assert_int_equal(unsb_json_read(&reader, text, n, &used), UNSB_JSON_ARRAY_BEGIN);
            assert_int_equal(unsb_json_read(&reader, text + 1, n - 1, &used), UNSB_JSON_NUMBER);
            rc = unsb_json_integer(&reader, &value);
            assert_false(reader.inexact);
            assert_int_equal(reader.mantissa, 10000000000000000000u); /* all of it that fits */
            assert_int_equal(reader.exponent, exponent - 19);
            assert_int_equal(rc, exponent > 18 ? UNSB_E_JSON_NUMBER : UNSB_OK);
            for (; rc == UNSB_OK && exponent > 0; exponent--) {
                assert_int_equal(value % 10, 0);
                value /= 10;
            }
            assert_int_equal(value, 1);
        }
}

static void test_long_numbers(void **unused)
{
    static char text[100100];
    uint64_t seed = 9;
    unsb_json_reader reader;
    char digits[24];
    int64_t value;
    size_t used;

    (void)unused;
    needs(UNSB_NUMBERS);
    text[0] = '[';
    memset(text + 1, '7', 100000);
    text[100001] = ']';
    unsb_json_reader_init(&reader);
    unsb_json_read(&reader, text, 1, &used);
    assert_int_equal(unsb_json_read(&reader, text + 1, 100001, &used), UNSB_JSON_NUMBER);
    assert_int_equal(used, 100000);
    assert_true(reader.inexact);
    snprintf(digits, sizeof digits, "%" PRIu64, (uint64_t)reader.mantissa);
    assert_memory_equal(digits, "777777777777777777", 18);
    assert_true(reader.exponent > FAR);
    assert_int_equal(unsb_json_integer(&reader, &value), UNSB_E_JSON_NUMBER);
    check_long(text, 100002, "[#~far].", &seed);
    /* 3000 digits, whose place is still known */
    text[3001] = ']';
    check_long(text, 3002, "[#~777777777777777@3000].", &seed);
    text[20] = '.';
    check_long(text, 3002, "[#~777777777777777@19].", &seed);
    memset(text + 21, '0', 2980);
    check_long(text, 3002, "[#7777777777777777777e0].", &seed);
    memcpy(text + 3001, "e-19]", 5);
    check_long(text, 3006, "[#7777777777777777777e-19].", &seed);
    /* 1, then zeros that the power takes away */
    memset(text + 1, '0', 4000);
    text[1] = '1';
    memcpy(text + 4001, "e-3999]", 7);
    check_long(text, 4008, "[#1e0].", &seed);
    memcpy(text + 4001, "e-3981]", 7);
    unsb_json_reader_init(&reader);
    unsb_json_read(&reader, text, 1, &used);
    assert_int_equal(unsb_json_read(&reader, text + 1, 4007, &used), UNSB_JSON_NUMBER);
    assert_int_equal(unsb_json_integer(&reader, &value), UNSB_OK);
    assert_true(value == 1000000000000000000);
    /* a power of many digits */
    memset(text + 2, '0', 50000);
    text[2] = 'e';
    text[50002] = '7';
    text[50003] = ']';
    check_long(text, 50004, "[#1e7].", &seed);
    memset(text + 3, '9', 50000);
    check_long(text, 50004, "[#~far].", &seed);
}

/* ---- depth ---- */

static void test_depth(void **unused)
{
    uint64_t seed = 3;
    unsigned kind, depth;

    (void)unused;
    for (kind = 0; kind < 3; kind++) /* arrays, objects, both in turn */
        for (depth = UNSB_JSON_DEPTH - 1; depth <= UNSB_JSON_DEPTH + 1; depth++) {
            char text[2048], trace_text[4096];
            size_t size = 0, n = 0;
            unsigned i;
            for (i = 0; i < depth; i++) {
                bool object = kind == 1 || (kind == 2 && i % 2 == 0);
                memcpy(text + size, object ? "{\"\":" : "[", object ? 4 : 1);
                size += object ? 4 : 1;
                if (i == UNSB_JSON_DEPTH)
                    continue;
                memcpy(trace_text + n, object ? "{k()" : "[", object ? 4 : 1);
                n += object ? 4 : 1;
            }
            if (depth > UNSB_JSON_DEPTH) {
                memcpy(trace_text + n, "!DEPTH", 7);
                check(text, size, trace_text, &seed);
                continue;
            }
            text[size++] = '0';
            memcpy(trace_text + n, "#0e0", 4);
            n += 4;
            while (i-- > 0) {
                bool object = kind == 1 || (kind == 2 && i % 2 == 0);
                text[size++] = object ? '}' : ']';
                trace_text[n++] = object ? '}' : ']';
            }
            trace_text[n++] = '.';
            trace_text[n] = '\0';
            check(text, size, trace_text, &seed);
        }
}

/* Which kind a container is must survive others on its level, at every depth. */
static void test_kinds_of_levels(void **unused)
{
    uint64_t seed = random_seed(32);
    unsigned i;

    (void)unused;
    for (i = 0; i < 2000; i++) {
        char text[1024];
        size_t size = 0;
        char open[UNSB_JSON_DEPTH];
        unsigned depth = 0, steps = 0;
        bool after = false;
        for (;; steps++) {
            bool array, close = depth == UNSB_JSON_DEPTH || steps > 60 ||
                                (depth > 1 && random_below(&seed, 3) == 0);
            if (close) {
                text[size++] = open[--depth];
                after = true;
                if (depth == 0)
                    break;
                continue;
            }
            if (after)
                text[size++] = ',';
            if (depth != 0 && open[depth - 1] == '}') {
                memcpy(text + size, "\"\":", 3);
                size += 3;
            }
            array = random_below(&seed, 2) != 0;
            text[size++] = array ? '[' : '{';
            open[depth++] = array ? ']' : '}';
            after = false;
        }
        assert_true(compare_way(text, size, 0, &seed));
        text[random_below(&seed, size)] = "[]{}"[random_below(&seed, 4)];
        compare_way(text, size, size, &seed);
    }
}

static void test_many_open(void **unused)
{
    static char text[TEXT_MAX];
    unsb_json_reader reader;
    size_t used, at = 0;
    int rc;

    (void)unused;
    memset(text, '[', sizeof text);
    unsb_json_reader_init(&reader);
    do {
        rc = unsb_json_read(&reader, text + at, sizeof text - at, &used);
        at += used;
    } while (rc > 0);
    assert_int_equal(rc, UNSB_E_JSON_DEPTH);
    assert_in_range(at, UNSB_JSON_DEPTH, UNSB_JSON_DEPTH + 1);
}

/* ---- the end, at every point ---- */

static void test_end_in_each_state(void **unused)
{
    static const char text[] = " {\"a\\u00e9\\n\":[-0.5e+1,0,true,null,{},\"\\ud83d\\ude00\"]} ";
    static const char *const scalars[] = {"-10.25e-3", "0.0", "false", "\"a\\n\xC3\xA9\""};
    size_t size, i;

    (void)unused;
    for (size = 0; size < sizeof text; size++) {
        bool whole = size >= sizeof text - 2;
        read_pieces(&got, text, cut_whole(size));
        assert_string_equal(got.text + got.size - (whole ? 1 : 5), whole ? "." : "!JSON");
    }
    for (i = 0; i < COUNT(scalars); i++)
        for (size = 0; size <= strlen(scalars[i]); size++) {
            bool whole = naive_read(&expected, scalars[i], size);
            read_pieces(&got, scalars[i], cut_whole(size));
            if (whole)
                assert_string_equal(got.text, expected.text);
            else
                assert_string_equal(got.text, "!JSON");
        }
}

static void test_end_of_a_number(void **unused)
{
    unsb_json_reader reader;
    char text[] = "523 ", space[] = " ", more[] = "1";
    size_t used;
    int64_t value;

    (void)unused;
    unsb_json_reader_init(&reader);
    assert_int_equal(unsb_json_read(&reader, text, 3, &used), UNSB_JSON_MORE);
    assert_int_equal(used, 3);
    assert_int_equal(unsb_json_read_end(&reader), UNSB_JSON_NUMBER);
    assert_int_equal(unsb_json_integer(&reader, &value), UNSB_OK);
    assert_int_equal(value, 523);
    assert_int_equal(unsb_json_read_end(&reader), UNSB_OK);
    assert_int_equal(unsb_json_read_end(&reader), UNSB_OK);
    /* white space may follow, but nothing else */
    assert_int_equal(unsb_json_read(&reader, space, 1, &used), UNSB_JSON_MORE);
    assert_int_equal(unsb_json_read_end(&reader), UNSB_OK);
    assert_int_equal(unsb_json_read(&reader, more, 1, &used), UNSB_E_JSON);
    assert_int_equal(unsb_json_read_end(&reader), UNSB_E_JSON);
    /* a number in a container is not over with the text */
    unsb_json_reader_init(&reader);
    memcpy(text, "[52", 3);
    assert_int_equal(unsb_json_read(&reader, text, 3, &used), UNSB_JSON_ARRAY_BEGIN);
    assert_int_equal(unsb_json_read(&reader, text + 1, 2, &used), UNSB_JSON_MORE);
    assert_int_equal(unsb_json_read_end(&reader), UNSB_E_JSON);
    assert_int_equal(unsb_json_read_end(&reader), UNSB_E_JSON);
}

/* ---- events ---- */

static void test_used_stops_at_each_event(void **unused)
{
    static const struct {
        int event;
        size_t used;
    } steps[] = {
        {UNSB_JSON_OBJECT_BEGIN, 2}, {UNSB_JSON_KEY, 4},    {UNSB_JSON_ARRAY_BEGIN, 2},
        {UNSB_JSON_NUMBER, 2},       {UNSB_JSON_STRING, 4}, {UNSB_JSON_NULL, 5},
        {UNSB_JSON_ARRAY_END, 2},    {UNSB_JSON_KEY, 4},    {UNSB_JSON_TRUE, 5},
        {UNSB_JSON_OBJECT_END, 1},   {UNSB_JSON_MORE, 1},
    };
    char text[] = " { \"a\":[10,\"b\",null ],\"c\":true} ";
    unsb_json_reader reader;
    size_t i, at = 0, used;

    (void)unused;
    unsb_json_reader_init(&reader);
    for (i = 0; i < COUNT(steps); i++) {
        assert_int_equal(unsb_json_read(&reader, text + at, sizeof text - 1 - at, &used),
                         steps[i].event);
        assert_int_equal(used, steps[i].used);
        at += used;
    }
    assert_int_equal(at, sizeof text - 1);
}

static void test_string_in_place(void **unused)
{
    char text[] = "\"a\\nb\\u00e9c\"";
    unsb_json_reader reader;
    size_t used;

    (void)unused;
    unsb_json_reader_init(&reader);
    assert_int_equal(unsb_json_read(&reader, text, 13, &used), UNSB_JSON_STRING);
    assert_int_equal(used, 13);
    assert_false(reader.partial);
    assert_int_equal(reader.text_size, 6);
    assert_memory_equal(reader.text, "a\nb\xC3\xA9" "c", 6);
    assert_true(reader.text > text && reader.text < text + 13); /* no copy was made */
}

static void test_partial(void **unused)
{
    char first[] = "{\"ab", second[] = "cd", third[] = "\":\"", fourth[] = "\"}";
    unsb_json_reader r;
    size_t used;

    (void)unused;
    unsb_json_reader_init(&r);
    assert_int_equal(unsb_json_read(&r, first, 4, &used), UNSB_JSON_OBJECT_BEGIN);
    assert_int_equal(unsb_json_read(&r, first + 1, 3, &used), UNSB_JSON_KEY);
    assert_true(r.partial && r.text_size == 2 && memcmp(r.text, "ab", 2) == 0);
    assert_int_equal(unsb_json_read(&r, second, 2, &used), UNSB_JSON_KEY);
    assert_true(r.partial && r.text_size == 2 && memcmp(r.text, "cd", 2) == 0);
    assert_int_equal(unsb_json_read(&r, third, 3, &used), UNSB_JSON_KEY);
    assert_true(!r.partial && r.text_size == 0 && used == 1);
    assert_int_equal(unsb_json_read(&r, third + 1, 2, &used), UNSB_JSON_MORE);
    assert_int_equal(unsb_json_read(&r, fourth, 2, &used), UNSB_JSON_STRING);
    assert_true(!r.partial && r.text_size == 0 && used == 1);
    assert_int_equal(unsb_json_read(&r, fourth + 1, 1, &used), UNSB_JSON_OBJECT_END);
    assert_int_equal(unsb_json_read_end(&r), UNSB_OK);
}

/* "data is written to, but only where it has been used": also with the piece that has an error. */
static void test_error_leaves_unused_alone(void **unused)
{
    static const char *const texts[] = {"\"\\n\\n\\n\x01\"", "\"\\n\\n\\n\\x\"",
                                        "\"\\n\xC3\xA9\x80\"",
                                        "\"\\u0041\\u0042\\uD800\\u0043\"", "\"\\t\xFF\""};
    size_t i;

    (void)unused;
    for (i = 0; i < COUNT(texts); i++) {
        size_t size = strlen(texts[i]), used = 0;
        if (i != 1 && !UNSB_UTF8) /* it is no error then */
            continue;
        char *data = guard_put(&memory, texts[i], size);
        unsb_json_reader reader;
        unsb_json_reader_init(&reader);
        assert_int_equal(unsb_json_read(&reader, data, size, &used), UNSB_JSON_STRING);
        assert_true(reader.partial && used <= size);
        assert_memory_equal(data + used, texts[i] + used, size - used);
        data += used;
        size -= used;
        assert_true(unsb_json_read(&reader, data, size, &used) < 0);
        assert_int_equal(used, 0);
    }
}

static void test_long_strings(void **unused)
{
    static char text[TEXT_MAX / 2];
    static trace wanted;
    uint64_t seed = 12;
    size_t i, size = 1;

    (void)unused;
    trace_reset(&wanted);
    trace_put(&wanted, "s(");
    text[0] = '"';
    while (size < sizeof text - 8) {
        static const char *const parts[] = {"a", "\\n", "\xC3\xA9", "\\u20ac", "\xF0\x9F\x98\x80",
                                            "plain text of some length, to be moved at once"};
        static const char *const plain[] = {"a", "\n", "\xC3\xA9", "\xE2\x82\xAC",
                                            "\xF0\x9F\x98\x80",
                                            "plain text of some length, to be moved at once"};
        i = random_below(&seed, COUNT(parts));
        if (size + strlen(parts[i]) + 1 > sizeof text)
            break;
        memcpy(text + size, parts[i], strlen(parts[i]));
        size += strlen(parts[i]);
        trace_bytes(&wanted, plain[i], strlen(plain[i]));
    }
    text[size++] = '"';
    trace_put(&wanted, ").");
    check_long(text, size, wanted.text, &seed);
}

/* ---- random documents ---- */

typedef struct maker {
    uint64_t *seed;
    size_t size;
    char text[TEXT_MAX];
    trace trace;
} maker;

static void make_text(maker *m, const char *text, size_t size)
{
    assert_true(m->size + size <= sizeof m->text);
    memcpy(m->text + m->size, text, size);
    m->size += size;
}

static void make_space(maker *m)
{
    while (random_below(m->seed, 4) == 0)
        make_text(m, &" \t\n\r"[random_below(m->seed, 4)], 1);
}

static void make_u(maker *m, uint32_t unit)
{
    char text[16];
    size_t i;

    snprintf(text, sizeof text, "\\u%04x", (unsigned)unit);
    for (i = 2; i < 6; i++)
        if (text[i] >= 'a' && random_below(m->seed, 2))
            text[i] = (char)(text[i] - 'a' + 'A');
    make_text(m, text, 6);
}

static void make_char(maker *m)
{
    static const char special[] = "\"\\/\b\f\n\r\t", names[] = "\"\\/bfnrt";
    static const uint32_t limits[] = {0x20, 0x80, 0x800, 0x10000, 0x110000};
    uint32_t code = random_below(m->seed, 3) == 0
                        ? (uint32_t)random_below(m->seed, limits[random_below(m->seed, 5)])
                        : (uint32_t)(' ' + random_below(m->seed, 95));
    const char *found;
    char utf8[4];
    size_t size;

    if (code >= 0xD800 && code <= 0xDFFF)
        code -= 0x800;
    size = put_utf8(code, utf8);
    trace_bytes(&m->trace, utf8, size);
    found = code != 0 && code < 0x80 ? strchr(special, (int)code) : NULL;
    if (found != NULL && random_below(m->seed, 2)) {
        make_text(m, "\\", 1);
        make_text(m, &names[found - special], 1);
    } else if (code < 0x20 || code == '"' || code == '\\' || random_below(m->seed, 6) == 0) {
        if (code >= 0x10000) {
            make_u(m, 0xD800 + (code - 0x10000) / 0x400);
            make_u(m, 0xDC00 + (code - 0x10000) % 0x400);
        } else {
            make_u(m, code);
        }
    } else {
        make_text(m, utf8, size);
    }
}

static void make_string(maker *m, const char *open)
{
    size_t size = random_below(m->seed, random_below(m->seed, 8) == 0 ? 80 : 8);

    trace_put(&m->trace, open);
    make_text(m, "\"", 1);
    while (size--)
        make_char(m);
    make_text(m, "\"", 1);
    trace_put(&m->trace, ")");
}

/* The value is kept as digits, of which the first one is not 0, and a power. */
static void make_number(maker *m)
{
    char digits[48], text[160];
    size_t count = random_below(m->seed, random_below(m->seed, 4) == 0 ? 40 : 8), point, i, n = 0;
    bool negative = random_below(m->seed, 2) != 0;
    long power = 0;

    for (i = 0; i < count; i++)
        digits[i] = (char)('0' + (random_below(m->seed, 4) == 0 ? 0 : random_below(m->seed, 10)));
    if (count != 0 && digits[0] == '0')
        digits[0] = '1';
    point = random_below(m->seed, count + 1);
    if (negative)
        text[n++] = '-';
    if (point == 0)
        text[n++] = '0';
    memcpy(text + n, digits, point);
    n += point;
    if (point != count) {
        text[n++] = '.';
        if (point == 0)
            for (i = random_below(m->seed, 5); i != 0; i--, power--)
                text[n++] = '0';
        memcpy(text + n, digits + point, count - point);
        n += count - point;
        power -= (long)(count - point);
    }
    if (random_below(m->seed, 3) == 0) {
        long e = (long)random_below(m->seed, 40) - 20;
        static const char *const form[] = {"e%+ld", "E%+ld", "e%ld", "E%ld", "e%+05ld"};
        n += (size_t)snprintf(text + n, sizeof text - n, form[random_below(m->seed, 5)], e);
        power += e;
    }
    make_text(m, text, n);
    trace_number(&m->trace, negative, digits, count, power, !naive_fits(digits, count));
}

static void make_value(maker *m, unsigned depth)
{
    static const char *const literals[] = {"true", "false", "null"};
    static const char *const names[] = {"T", "F", "N"};
    size_t kind = random_below(m->seed, depth == UNSB_JSON_DEPTH ? 6 : 10), i, count;
    bool array = kind >= 8;

    make_space(m);
    if (kind < 2) {
        make_string(m, "s(");
    } else if (kind < 4) {
        make_number(m);
    } else if (kind < 6) {
        i = random_below(m->seed, 3);
        make_text(m, literals[i], strlen(literals[i]));
        trace_put(&m->trace, names[i]);
    } else {
        /* deep ones must stay small */
        count = random_below(m->seed, depth < 3 ? 7 : depth < 6 ? 3 : 2);
        make_text(m, array ? "[" : "{", 1);
        trace_put(&m->trace, array ? "[" : "{");
        make_space(m);
        for (i = 0; i < count; i++) {
            if (i != 0)
                make_text(m, ",", 1);
            if (!array) {
                make_space(m);
                make_string(m, "k(");
                make_space(m);
                make_text(m, ":", 1);
            }
            make_value(m, depth + 1);
        }
        make_text(m, array ? "]" : "}", 1);
        trace_put(&m->trace, array ? "]" : "}");
    }
    make_space(m);
}

static maker made;

static void make_document(uint64_t *seed)
{
    made.seed = seed;
    made.size = 0;
    trace_reset(&made.trace);
    make_value(&made, 0);
    trace_put(&made.trace, ".");
}

static void test_random_documents(void **unused)
{
    uint64_t seed = random_seed(20250101);
    size_t total = 0;
    unsigned i;

    (void)unused;
    for (i = 0; i < 3000; i++) {
        make_document(&seed);
        total += made.size;
        if (made.size < 60)
            check(made.text, made.size, made.trace.text, &seed);
        else
            check_long(made.text, made.size, made.trace.text, &seed);
        assert_true(naive_read(&expected, made.text, made.size));
        if (UNSB_NUMBERS)
            assert_string_equal(expected.text, made.trace.text);
    }
    assert_true(total > 100000);
}

/* Damaged documents: both readers must agree, and the error must not depend on the cut. */
static void test_random_damage(void **unused)
{
    static const char chars[] = "[]{},:\"\\ 0159.-+eEtfnu/\n\x7F\x80\xBF\xC3\xE2\xF0\xED\xFF";
    static trace first;
    uint64_t seed = random_seed(20250102);
    unsigned i, refused = 0;

    (void)unused;
    for (i = 0; i < 8000; i++) {
        size_t changes = 1 + random_below(&seed, 2), at, way;
        make_document(&seed);
        if (made.size > 3000)
            continue;
        while (changes-- != 0 && made.size != 0) {
            at = random_below(&seed, made.size);
            switch (random_below(&seed, 3)) {
            case 0:
                made.text[at] = chars[random_below(&seed, sizeof chars)];
                break;
            case 1: /* left out */
                memmove(made.text + at, made.text + at + 1, --made.size - at);
                break;
            default: /* put in */
                memmove(made.text + at + 1, made.text + at, made.size++ - at);
                made.text[at] = chars[random_below(&seed, sizeof chars)];
                break;
            }
        }
        refused += !compare_way(made.text, made.size, 0, &seed);
        memcpy(&first, &got, sizeof first.size);
        memcpy(first.text, got.text, got.size + 1);
        for (way = made.size; way < made.size + 3; way++) {
            read_pieces(&got, made.text, cut_start(way, made.size, &seed));
            assert_string_equal(got.text, first.text);
        }
    }
    assert_in_range(refused, 2000, 7800);
}

/* Against the C library: exact where the comment promises it, close elsewhere. */
static void test_doubles(void **unused)
{
    static const char *const exact[] = {
        "0", "-0", "1", "-1", "0.5", "1e22", "1e-22", "123456789012345", "0.1", "-2.5e-3",
        "3.14159", "999999999999999e22", "1.7976931348623157e309", "-1e400", "1e-400", "1e99999999",
        "1e-99999999", "0e99999999", "5e-999999999"};
    unsb_json_reader r;
    uint64_t seed = random_seed(7);
    char text[64];
    size_t used, i;
    double wanted, value, error;

    (void)unused;
    for (i = 0; i < COUNT(exact) + 20000; i++) {
        bool random = i >= COUNT(exact);
        if (random)
            snprintf(text, sizeof text, "%s%llu.%lluE%d ", (seed & 1) != 0 ? "-" : "",
                     (unsigned long long)(random_next(&seed) >> (i % 60)),
                     (unsigned long long)(random_next(&seed) >> 40),
                     (int)(random_next(&seed) % 560) - 280);
        else
            snprintf(text, sizeof text, "%s ", exact[i]);
        wanted = strtod(text, NULL);
        unsb_json_reader_init(&r);
        assert_int_equal(unsb_json_read(&r, text, strlen(text), &used), UNSB_JSON_NUMBER);
        if (!UNSB_NUMBERS && r.inexact)
            continue;
        value = unsb_json_double(&r);
        error = (wanted < 0 ? -wanted : wanted) * (random ? 1e-13 : 0);
        if (value < wanted - error || value > wanted + error ||
            (value == 0 && 1 / value != 1 / wanted))
            fail_msg("%s: %.17g instead of %.17g", text, value, wanted);
    }
}

/* However large its exponent, and thousands of millions of digits make it so, a number takes few
 * steps: these would take as many multiplications. */
static void test_double_steps(void **unused)
{
    char text[] = "7 ";
    unsb_json_reader r;
    size_t used, i;

    (void)unused;
    needs(UNSB_NUMBERS);
    unsb_json_reader_init(&r);
    assert_int_equal(unsb_json_read(&r, text, strlen(text), &used), UNSB_JSON_NUMBER);
    for (i = 0; i < 10; i++) {
        r.exponent = INT32_MAX;
        assert_true(unsb_json_double(&r) > 1.7976931348623157e308);
        r.exponent = -INT32_MAX - 1;
        assert_true(unsb_json_double(&r) == 0);
    }
}

/* Text that must not be written to, read by way of a small memory: as it is read in one piece. */
static void test_read_copy(void **unused)
{
    static const char text[] =
        "{\"a\\u00e9\\n\":[1.5e3,\"\\ud83d\\ude00 long text\",true,null],\"\":{}}";
    size_t room, at, used;

    (void)unused;
    for (room = 1; room < sizeof text + 3; room++) {
        char scratch[sizeof text + 3], whole[sizeof text];
        unsb_json_reader copied, plain;
        size_t from = 0;
        int event = UNSB_JSON_MORE, wanted;
        unsb_json_reader_init(&copied);
        unsb_json_reader_init(&plain);
        memcpy(whole, text, sizeof text);
        for (at = 0; at < sizeof text - 1; at += used) {
            event = unsb_json_read_copy(&copied, text + at, sizeof text - 1 - at, &used, scratch,
                                        room);
            assert_true(event >= 0 && used <= room);
            if (event == UNSB_JSON_MORE || copied.partial || copied.text_size == 0)
                continue;
            do {
                size_t n;
                wanted = unsb_json_read(&plain, whole + from, sizeof text - 1 - from, &n);
                from += n;
            } while (wanted != event && from < sizeof text - 1);
            assert_int_equal(wanted, event);
            assert_true(copied.text_size <= plain.text_size);
            if (event == UNSB_JSON_KEY || event == UNSB_JSON_STRING)
                assert_memory_equal(copied.text, plain.text + plain.text_size - copied.text_size,
                                    copied.text_size);
        }
        assert_int_equal(unsb_json_read_end(&copied), UNSB_OK);
        unsb_json_reader_init(&copied);
        assert_int_equal(unsb_json_read_copy(&copied, text, 0, &used, scratch, 0), UNSB_JSON_MORE);
        assert_int_equal(used, 0);
    }
}

/* The place of a digit is counted up to a limit, which no test can write out the digits for. */
static void test_far_digits(void **unused)
{
    static const int32_t limits[] = {UNSBI_DIGITS_MAX - 1, -UNSBI_DIGITS_MAX};
    unsigned i;

    (void)unused;
    needs(UNSB_NUMBERS);
    for (i = 0; i < 2; i++) {
        unsb_json_reader reader;
        unsb_json_reader_init(&reader);
        reader.mantissa -= i == 0; /* full, so that a digit moves the point */
        reader.exponent = limits[i] + (i == 0 ? -1 : 1);
        unsbi_json_digit(&reader, 0, i == 1);
        assert_int_equal(reader.exponent, limits[i]);
        assert_false(reader.inexact);
        unsbi_json_digit(&reader, 0, i == 1);
        assert_int_equal(reader.exponent, limits[i]);
        assert_true(reader.inexact);
    }
}

/* A value that is to be passed over, but is missing. */
static void test_skip_of_nothing(void **unused)
{
    static const struct {
        const char *text;
        int events[3];
    } cases[] = {
        {"{\"a\":,\"b\":1}", {UNSB_JSON_KEY, UNSB_JSON_NUMBER, UNSB_JSON_OBJECT_END}},
        {"{\"a\":}", {UNSB_JSON_OBJECT_END}},
        {"{\"a\": }", {UNSB_JSON_OBJECT_END}},
        {"{\"a\":]", {UNSB_E_JSON}},
        {"{\"a\": 1 }", {UNSB_JSON_OBJECT_END}},
        {"{\"a\":true}", {UNSB_JSON_OBJECT_END}},
        {"{\"a\":[],\"b\":null}", {UNSB_JSON_KEY, UNSB_JSON_NULL, UNSB_JSON_OBJECT_END}},
        {"{\"a\":\"x\",\"b\":null}", {UNSB_JSON_KEY, UNSB_JSON_NULL, UNSB_JSON_OBJECT_END}},
    };
    size_t i, k, piece;

    (void)unused;
    for (i = 0; i < COUNT(cases); i++)
        for (piece = 1; piece < 20; piece++) {
            size_t size = strlen(cases[i].text), at = 0, used, n;
            char text[32];
            unsb_json_reader reader;
            int event = UNSB_JSON_MORE, found[5] = {0};
            unsb_json_reader_init(&reader);
            memcpy(text, cases[i].text, size);
            for (k = 0; k < 5 && at < size && event >= 0;) {
                n = piece < size - at ? piece : size - at;
                event = unsb_json_read(&reader, text + at, n, &used);
                at += used;
                if (event == UNSB_JSON_MORE || (event <= UNSB_JSON_STRING && reader.partial))
                    continue;
                found[k++] = event;
                if (k == 2) /* the first key */
                    unsb_json_skip(&reader);
            }
            assert_true(k > 2);
            assert_int_equal(found[0], UNSB_JSON_OBJECT_BEGIN);
            assert_int_equal(found[1], UNSB_JSON_KEY);
            for (n = 2; n < k; n++)
                assert_int_equal(found[n], cases[i].events[n - 2]);
            assert_true(found[k - 1] < 0 || found[k - 1] == UNSB_JSON_OBJECT_END);
        }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_all_structures),
        cmocka_unit_test(test_all_numbers),
        cmocka_unit_test(test_all_strings),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_random_integers),
        cmocka_unit_test(test_mantissa_limit),
        cmocka_unit_test(test_first_digits),
        cmocka_unit_test(test_tiny_number),
        cmocka_unit_test(test_huge_number),
        cmocka_unit_test(test_long_numbers),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_kinds_of_levels),
        cmocka_unit_test(test_many_open),
        cmocka_unit_test(test_end_in_each_state),
        cmocka_unit_test(test_end_of_a_number),
        cmocka_unit_test(test_used_stops_at_each_event),
        cmocka_unit_test(test_string_in_place),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_error_leaves_unused_alone),
        cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_random_documents),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_double_steps),
        cmocka_unit_test(test_read_copy),
        cmocka_unit_test(test_far_digits),
        cmocka_unit_test(test_skip_of_nothing),
    };

    return cmocka_run_group_tests_name("json_reader", tests, open_guard, close_guard);
}
