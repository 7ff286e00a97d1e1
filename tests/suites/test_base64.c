/* Base64 (RFC 4648), against its vectors and against an implementation that works bit by bit. */
#include "suite.h"
#include "guard.h"

#define TEXT_MAX 1024

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- the other implementation ---- */

static size_t naive_encode(const uint8_t *data, size_t size, char *out)
{
    size_t bit, n = 0;
    unsigned k;

    for (bit = 0; bit < size * 8; bit += 6) {
        unsigned v = 0;
        for (k = 0; k < 6; k++) {
            size_t at = bit + k;
            v = v << 1 | (at < size * 8 ? (unsigned)data[at / 8] >> (7 - at % 8) & 1u : 0u);
        }
        out[n++] = alphabet[v];
    }
    while (n % 4 != 0)
        out[n++] = '=';
    return n;
}

static bool naive_decode(const char *text, size_t size, uint8_t *out, size_t *out_size)
{
    size_t i, bits = 0, padding = 0;

    memset(out, 0, TEXT_MAX);
    if (size % 4 != 0)
        return false;
    while (padding < 2 && padding < size && text[size - 1 - padding] == '=')
        padding++;
    for (i = 0; i < size - padding; i++) {
        const char *found = (const char *)memchr(alphabet, text[i], 64);
        unsigned v, k;
        if (found == NULL)
            return false;
        v = (unsigned)(found - alphabet);
        for (k = 0; k < 6; k++, bits++)
            out[bits / 8] = (uint8_t)(out[bits / 8] | (v >> (5 - k) & 1u) << (7 - bits % 8));
    }
    *out_size = bits / 8;
    return bits % 8 == 0 || out[bits / 8] == 0;
}

/* ---- the one under test, fed in pieces ---- */

static guard in_guard, out_guard;

static int open_guards(void **unused)
{
    (void)unused;
    in_guard = guard_open(TEXT_MAX);
    out_guard = guard_open(TEXT_MAX);
    return 0;
}

static int close_guards(void **unused)
{
    (void)unused;
    guard_close(&in_guard);
    guard_close(&out_guard);
    return 0;
}

static size_t encode(const uint8_t *data, size_t size, size_t way, uint64_t *seed, char *out)
{
    unsb_base64 state = {0, 0, 0};
    cut c = cut_start(way, size, seed);
    size_t n = 0, written;
    char *p;

    while (cut_next(&c)) {
        size_t most = UNSB_BASE64_SIZE(c.size + 2);
        p = (char *)guard_room(&out_guard, most);
        written = unsb_base64_encode(&state, guard_put(&in_guard, data + c.at, c.size), c.size, p);
        assert_true(written <= most);
        assert_true(guard_intact(&out_guard, most));
        memcpy(out + n, p, written);
        n += written;
    }
    p = (char *)guard_room(&out_guard, 4);
    written = unsb_base64_encode_end(&state, p);
    assert_int_equal(written, n * 3 / 4 == size ? 0 : 4);
    memcpy(out + n, p, written);
    return n + written;
}

typedef struct decoding {
    int rc;
    size_t size;
    uint8_t data[TEXT_MAX];
} decoding;

/* The result is that of unsb_base64_decode_end(), or the first error. */
static void decode(decoding *d, const char *text, size_t size, size_t way, uint64_t *seed,
                   bool in_place)
{
    unsb_base64 state = {0, 0, 0};
    cut c = cut_start(way, size, seed);

    d->size = 0;
    d->rc = UNSB_OK;
    while (d->rc == UNSB_OK && cut_next(&c)) {
        size_t most = c.size / 4 * 3 + 3, written = 99999;
        char *in = guard_put(&in_guard, text + c.at, c.size);
        void *out = in_place ? (void *)in : (void *)guard_room(&out_guard, most);
        d->rc = unsb_base64_decode(&state, in, c.size, out, &written);
        assert_true(written <= most);
        assert_true(guard_intact(&in_guard, c.size));
        if (!in_place) {
            assert_true(guard_intact(&out_guard, most));
            assert_memory_equal(in, text + c.at, c.size);
        }
        memcpy(d->data + d->size, out, written);
        d->size += written;
    }
    if (d->rc == UNSB_OK)
        d->rc = unsb_base64_decode_end(&state);
}

/* Every way to cut the text must give what the other implementation gives. */
static void check_decode(const char *text, size_t size, uint64_t *seed)
{
    uint8_t expected[TEXT_MAX];
    size_t expected_size = 0, way;
    bool fine = naive_decode(text, size, expected, &expected_size);

    for (way = 0; way < cut_ways(size); way++) {
        decoding d;
        decode(&d, text, size, way, seed, way % 2 != 0);
        if (d.rc != (fine ? UNSB_OK : UNSB_E_BASE64))
            fail_msg("\"%.*s\", way %u: %d", (int)size, text, (unsigned)way, d.rc);
        if (!fine)
            continue;
        assert_int_equal(d.size, expected_size);
        assert_memory_equal(d.data, expected, expected_size);
    }
}

/* ---- vectors ---- */

static const struct {
    const char *plain, *text;
} vectors[] = { /* RFC 4648 section 10 */
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void test_vectors(void **unused)
{
    uint64_t seed = 1;
    size_t i, way;

    (void)unused;
    for (i = 0; i < COUNT(vectors); i++) {
        size_t size = strlen(vectors[i].plain), text_size = strlen(vectors[i].text);
        char out[TEXT_MAX];
        decoding d;
        for (way = 0; way < cut_ways(size); way++) {
            assert_int_equal(encode((const uint8_t *)vectors[i].plain, size, way, &seed, out),
                             text_size);
            assert_memory_equal(out, vectors[i].text, text_size);
        }
        for (way = 0; way < cut_ways(text_size) * 2; way++) {
            decode(&d, vectors[i].text, text_size, way / 2, &seed, way % 2 != 0);
            assert_int_equal(d.rc, UNSB_OK);
            assert_int_equal(d.size, size);
            assert_memory_equal(d.data, vectors[i].plain, size);
        }
    }
}

static void test_alphabet(void **unused)
{
    uint8_t data[48];
    char out[TEXT_MAX];
    size_t i;

    (void)unused;
    for (i = 0; i < 48; i += 3) { /* the values 0, 1, 2 ... 63 */
        unsigned v = (unsigned)(i / 3 * 4);
        uint32_t group = v << 18 | (v + 1) << 12 | (v + 2) << 6 | (v + 3);
        data[i] = (uint8_t)(group >> 16);
        data[i + 1] = (uint8_t)(group >> 8);
        data[i + 2] = (uint8_t)group;
    }
    assert_int_equal(encode(data, 48, 0, NULL, out), 64);
    assert_memory_equal(out, alphabet, 64);
}

/* ---- every length ---- */

static void test_lengths(void **unused)
{
    uint64_t seed = random_seed(4648);
    size_t size;

    (void)unused;
    for (size = 0; size <= 300; size++) {
        uint8_t data[300];
        char expected[TEXT_MAX], out[TEXT_MAX];
        size_t expected_size, way;
        decoding d;

        random_bytes(&seed, data, size);
        expected_size = naive_encode(data, size, expected);
        assert_int_equal(UNSB_BASE64_SIZE(size), expected_size);
        for (way = 0; way < cut_ways(size); way++) {
            if (size > 80 && way < size && way % 7 != size % 7)
                continue; /* the long ones are not cut at every point */
            assert_int_equal(encode(data, size, way, &seed, out), expected_size);
            assert_memory_equal(out, expected, expected_size);
        }
        for (way = 0; way < cut_ways(expected_size); way++) {
            decode(&d, expected, expected_size, way, &seed, false);
            assert_int_equal(d.rc, UNSB_OK);
            assert_int_equal(d.size, size);
            assert_memory_equal(d.data, data, size);
            decode(&d, expected, expected_size, way, &seed, true);
            assert_int_equal(d.rc, UNSB_OK);
            assert_int_equal(d.size, size);
            assert_memory_equal(d.data, data, size);
        }
    }
}

/* Wherever the input and the output lie, and however little room there is beside them. */
static void test_offsets(void **unused)
{
    static const size_t sizes[] = {12, 16, 17, 28, 31, 48, 56, 64, 104, 105, 192, 200, 257, 300};
    uint64_t seed = random_seed(64);
    size_t i, from, to;

    (void)unused;
    for (i = 0; i < COUNT(sizes); i++)
        for (from = 0; from < 33; from++)
            for (to = 0; to < 33; to++) {
                size_t size = sizes[i], most = UNSB_BASE64_SIZE(size + 2), n, written, back = 0;
                uint8_t data[300], *in, *out;
                char expected[TEXT_MAX];
                unsb_base64 state = {0, 0, 0};

                random_bytes(&seed, data, size);
                n = naive_encode(data, size, expected);
                in = guard_room(&in_guard, size + from);
                out = guard_room(&out_guard, most + to);
                memcpy(in, data, size);
                written = unsb_base64_encode(&state, in, size, (char *)out);
                assert_int_equal(written, size / 3 * 4);
                written += unsb_base64_encode_end(&state, (char *)out + written);
                assert_int_equal(written, n);
                assert_memory_equal(out, expected, n);
                assert_true(guard_intact(&in_guard, size + from));
                assert_true(guard_intact(&out_guard, most + to));

                in = guard_room(&in_guard, n + from);
                out = guard_room(&out_guard, n / 4 * 3 + 3 + to);
                memcpy(in, expected, n);
                memset(&state, 0, sizeof state);
                assert_int_equal(unsb_base64_decode(&state, (char *)in, n, out, &back), UNSB_OK);
                assert_int_equal(back, size);
                assert_memory_equal(out, data, size);
                assert_true(guard_intact(&in_guard, n + from));
                assert_true(guard_intact(&out_guard, n / 4 * 3 + 3 + to));
            }
}

/* As the request writer does: the output starts behind the input by as many bytes as it will gain,
 * or more, and grows over what was read. */
static void test_groups_in_place(void **unused)
{
#if !UNSB_SMALL
    uint64_t seed = random_seed(65);
    size_t size, more;

    (void)unused;
    for (size = 0; size <= 300; size++)
        for (more = 0; more <= 40; more++) {
            size_t behind = size / 3 + more, n = size / 3 * 4;
            uint8_t data[300], *room = guard_room(&in_guard, size + behind), *out = room;
            const uint8_t *in = room + behind;
            char expected[TEXT_MAX];

            random_bytes(&seed, data, size);
            naive_encode(data, size, expected);
            memcpy(room + behind, data, size);
            unsbi_base64_groups(&in, size, &out);
            assert_true(in == room + behind + size / 3 * 3);
            assert_true(out == room + n);
            assert_memory_equal(room, expected, n);
            /* what was not a group is as it was */
            assert_memory_equal(in, data + size / 3 * 3, size % 3);
            assert_true(guard_intact(&in_guard, size + behind));
        }
#else
    (void)unused; /* the compact encoder goes group by group: see test_parts */
#endif
}

static void test_size_macro(void **unused)
{
    enum { CONSTANT = UNSB_BASE64_SIZE(5 + 1) }; /* usable where an array's size is */

    (void)unused;
    assert_int_equal(CONSTANT, 8);
    assert_int_equal(UNSB_BASE64_SIZE(0), 0);
    assert_int_equal(UNSB_BASE64_SIZE(1), 4);
    assert_int_equal(UNSB_BASE64_SIZE(3), 4);
    assert_int_equal(UNSB_BASE64_SIZE(4), 8);
    assert_int_equal(UNSB_BASE64_SIZE(2 | 1), 4);
    assert_int_equal(100 / UNSB_BASE64_SIZE(4), 12);
}

static void test_encode_end_resets(void **unused)
{
    unsb_base64 state = {0, 0, 0};
    char out[16];
    size_t n, kept;

    (void)unused;
    assert_int_equal(unsb_base64_encode_end(&state, out), 0);
    for (kept = 1; kept <= 3; kept++) {
        n = unsb_base64_encode(&state, "\xFF\xFF\xFF", kept, out);
        n += unsb_base64_encode_end(&state, out + n);
        assert_int_equal(n, 4);
        assert_memory_equal(out, kept == 1 ? "/w==" : kept == 2 ? "//8=" : "////", 4);
        assert_int_equal(unsb_base64_encode_end(&state, out), 0);
        n = unsb_base64_encode(&state, "foo", 3, out);
        assert_int_equal(n, 4);
        assert_memory_equal(out, "Zm9v", 4);
        n = unsb_base64_encode(&state, "f", 1, out);
        assert_int_equal(n, 0);
        assert_int_equal(unsb_base64_encode_end(&state, out), 4);
        assert_memory_equal(out, "Zg==", 4);
    }
}

/* ---- strictness ---- */

static void test_every_byte_in_every_place(void **unused)
{
    uint64_t seed = 2;
    size_t at;
    unsigned c;

    (void)unused;
    for (at = 0; at < 12; at++)
        for (c = 0; c < 256; c++) {
            char text[] = "QUJDREVGR0hJ";
            text[at] = (char)c;
            check_decode(text, 12, &seed);
        }
    for (at = 0; at < 4; at++)
        for (c = 0; c < 256; c++) {
            char one[] = "Zg==", two[] = "Zm8=";
            one[at] = (char)c;
            two[at] = (char)c;
            check_decode(one, 4, &seed);
            check_decode(two, 4, &seed);
        }
}

/* Likewise in a long text, apart and in place: what came before it is delivered, and no more. */
static void test_every_byte_in_a_long_text(void **unused)
{
    uint64_t seed = random_seed(66);
    size_t size, at;
    unsigned c;

    (void)unused;
    for (size = 144; size <= 300; size += 156) {
        uint8_t data[225], expected[TEXT_MAX];
        char text[TEXT_MAX];
        random_bytes(&seed, data, size / 4 * 3);
        assert_int_equal(naive_encode(data, size / 4 * 3, text), size);
        for (at = 0; at < size; at++)
            for (c = 0; c < 256; c++) {
                char was = text[at];
                size_t whole = at / 4 * 3 + (at % 4 > 1 ? at % 4 - 1 : 0), n = 0;
                bool fine;
                decoding d;
                text[at] = (char)c;
                fine = naive_decode(text, size, expected, &n);
                decode(&d, text, size, 0, NULL, c % 2 != 0);
                if (d.rc != (fine ? UNSB_OK : UNSB_E_BASE64) || d.size != (fine ? n : whole))
                    fail_msg("0x%02X at %u of %u: %d, %u bytes", c, (unsigned)at, (unsigned)size,
                             d.rc, (unsigned)d.size);
                assert_memory_equal(d.data, fine ? expected : data, d.size);
                text[at] = was;
            }
    }
}

/* Every text of up to 6 characters, of these. */
static void test_short_texts(void **unused)
{
    static const char chars[] = "AQw=\n_";
    uint64_t seed = 3;
    size_t size, i, fine = 0;
    uint32_t n, count = 1;

    (void)unused;
    for (size = 0; size <= 6; size++, count *= 6)
        for (n = 0; n < count; n++) {
            char text[8];
            uint8_t expected[TEXT_MAX];
            size_t expected_size;
            uint32_t rest = n;
            for (i = 0; i < size; i++, rest /= 6)
                text[i] = chars[rest % 6];
            if (size < 6) {
                check_decode(text, size, &seed);
            } else { /* none of these is whole: the first error or the end must say so */
                decoding d;
                decode(&d, text, size, n % 7, &seed, false);
                assert_int_equal(d.rc, UNSB_E_BASE64);
            }
            fine += naive_decode(text, size, expected, &expected_size);
        }
    /* "", and of four: all letters, three and '=', two and "==" (their last bits are all 0) */
    assert_int_equal(fine, 1 + 81 + 3 * 3 * 3 + 3 * 3);
}

static void test_bits_beneath_padding(void **unused)
{
    size_t v, way;

    (void)unused;
    for (v = 0; v < 64; v++)
        for (way = 0; way <= 4; way++) {
            char one[] = "A?==", two[] = "AA?=";
            decoding d;
            one[1] = alphabet[v];
            two[2] = alphabet[v];
            decode(&d, one, 4, way, NULL, false);
            assert_int_equal(d.rc, v % 16 == 0 ? UNSB_OK : UNSB_E_BASE64);
            decode(&d, two, 4, way, NULL, false);
            assert_int_equal(d.rc, v % 4 == 0 ? UNSB_OK : UNSB_E_BASE64);
        }
}

static void test_refused(void **unused)
{
    static const char *const texts[] = {
        "=",        "==",       "===",      "====",     "Z",        "Zg",       "Zg=",
        "Zg===",    "Zg====",   "Zg== ",    " Zg==",    "Zg= =",    "Zg=\n=",   "Zg==\n",
        "Zg==\r\n", "Z g==",    "Zm8",      "Zm8==",    "Zm8=a",    "Zm8=====", "Zm9v=",
        "Zm9v==",   "Zm9v====", "Zm9vY",    "Zm9vYg",   "Zm9vYg=",  "Zg==Zg==", "Zm8=Zm8=",
        "Zg==A",    "Zg=A",     "Z===",     "Z=g=",     "=Zg=",     "Zm9v\n",   "Zm9v Zm9v",
        "Zm9-",     "Zm9_",     "Zm9\x7F",  "Zm9\xC3",  "Zm9.",     "Zm9,",     "Zm9:",
        "Zm9@",     "Zm9[",     "Zm9`",     "Zm9{",     "Zm9*",     "Zh==",     "Zm9=",
        "Zm9vZm9vZm9vZm9v!m9v", "Zm9vZm9vZm9vZm9vZ=9v", "Zm9vZm9vZm9vZm9vZm=v",
    };
    uint64_t seed = 4;
    size_t i;

    (void)unused;
    for (i = 0; i < COUNT(texts); i++) {
        uint8_t data[TEXT_MAX];
        size_t size;
        assert_false(naive_decode(texts[i], strlen(texts[i]), data, &size));
        check_decode(texts[i], strlen(texts[i]), &seed);
    }
    check_decode("Zm9v\0Zm9", 8, &seed);
    check_decode("\0\0\0\0", 4, &seed);
}

/* What no further text could make whole is refused at once, not only at the end. */
static void test_padding_refused_at_once(void **unused)
{
    static const char *const texts[] = {"=",     "Z=",    "Zg===", "Zm8==", "Zm9v=",
                                        "Zm9v==", "Zg=A", "Zg==A", "Zm8=A", "Zg==Zg=="};
    size_t i, size;

    (void)unused;
    for (i = 0; i < COUNT(texts); i++) {
        unsb_base64 state = {0, 0, 0};
        uint8_t out[16];
        assert_int_equal(unsb_base64_decode(&state, texts[i], strlen(texts[i]), out, &size),
                         UNSB_E_BASE64);
    }
}

/* What came before a foreign character is delivered. */
static void test_whole_groups_before_an_error(void **unused)
{
    decoding d;

    (void)unused;
    decode(&d, "Zm9vYmFy!m9v", 12, 0, NULL, false);
    assert_int_equal(d.rc, UNSB_E_BASE64);
    assert_int_equal(d.size, 6);
    assert_memory_equal(d.data, "foobar", 6);
}

static void test_truncated(void **unused)
{
    static const char text[] = "Zm9vYmFyZm8=";
    size_t size;

    (void)unused;
    for (size = 0; size < sizeof text; size++) {
        decoding d;
        decode(&d, text, size, 0, NULL, false);
        assert_int_equal(d.rc, size % 4 == 0 ? UNSB_OK : UNSB_E_BASE64);
    }
}

static void test_damaged(void **unused)
{
    uint64_t seed = random_seed(77);
    unsigned i;

    (void)unused;
    for (i = 0; i < 4000; i++) {
        uint8_t data[40];
        char text[TEXT_MAX];
        size_t size = random_below(&seed, sizeof data), changes = random_below(&seed, 3);

        random_bytes(&seed, data, size);
        size = naive_encode(data, size, text);
        while (size != 0 && changes-- != 0)
            text[random_below(&seed, size)] =
                random_below(&seed, 2) ? '=' : (char)random_next(&seed);
        if (random_below(&seed, 8) == 0)
            size = random_below(&seed, size + 1);
        check_decode(text, size, &seed);
    }
}

#if !UNSB_SMALL
/* The fast loops take all the whole groups that they can, up to a foreign character's. */
static void test_how_far_the_loops_go(void **state)
{
    uint8_t bytes[64], text[96], back[72];
    size_t size, at;

    (void)state;
    memset(bytes, 0xA7, sizeof bytes);
    for (size = 0; size <= 48; size++) {
        const uint8_t *in = bytes;
        uint8_t *out = text;
        unsbi_base64_groups(&in, size, &out);
        assert_int_equal(in - bytes, size / 3 * 3);
        assert_int_equal(out - text, size / 3 * 4);
    }
    for (size = 0; size <= 64; size++) {
        assert_int_equal(unsbi_base64_decode_fast(text, size, back), size / 8 * 8);
        for (at = 0; at < size; at++) {
            uint8_t was = text[at];
            text[at] = '=';
            assert_int_equal(unsbi_base64_decode_fast(text, size, back),
                             at / 8 < size / 8 ? at / 8 * 8 : size / 8 * 8);
            text[at] = was;
        }
    }
}
#endif

int main(void)
{
    static const struct CMUnitTest tests[] = {
#if !UNSB_SMALL
        cmocka_unit_test(test_how_far_the_loops_go),
#endif
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_alphabet),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_groups_in_place),
        cmocka_unit_test(test_size_macro),
        cmocka_unit_test(test_encode_end_resets),
        cmocka_unit_test(test_every_byte_in_every_place),
        cmocka_unit_test(test_every_byte_in_a_long_text),
        cmocka_unit_test(test_short_texts),
        cmocka_unit_test(test_bits_beneath_padding),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_padding_refused_at_once),
        cmocka_unit_test(test_whole_groups_before_an_error),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged),
    };

    return cmocka_run_group_tests_name("base64", tests, open_guards, close_guards);
}
