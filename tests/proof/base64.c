/* Base64. The machine's state is `count` (and the bits that it counts) when it encodes, `count` and
 * `padding` when it decodes. */
#include "proof.h"

#define ENCODE_MAX 6
#define DECODE_MAX 12
#define PLACE_MAX 4
#define BACK_MAX 6
#define TEXT_MAX 8

/* ---- the invariants, of any state between two calls ---- */

static bool encodes(const unsb_base64 *s)
{
    return s->count < 3;
}

static bool decodes(const unsb_base64 *s)
{
    return (s->count & 1) == 0 && s->count <= 6 && (s->padding == 0 || s->count <= 2);
}

/* RFC 4648 table 1. */
static uint8_t letter(uint32_t v)
{
    return (uint8_t)"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[v & 63];
}

static bool is_letter(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           c == '+' || c == '/';
}

void base64_encode_step(void)
{
    unsb_base64 s, zero = {0, 0, 0};
    size_t size = some_size(ENCODE_MAX), i = some_size(2 * ENCODE_MAX + 8), n, had;
    char *out = some_bytes(UNSB_BASE64_SIZE(size + 2));

    prove(encodes(&zero) && decodes(&zero), "zero is a state of both");
    given(encodes(&s));
    had = s.count;
    n = unsb_base64_encode(&s, some_bytes(size), size, out);
    prove(encodes(&s) && s.count == (had + size) % 3, "the rest is kept");
    prove(n == (had + size) / 3 * 4, "whole groups are written");
    prove(i >= n || is_letter((uint8_t)out[i]), "of the alphabet");
    given(s.count != 0 || n == 0);
    had = s.count;
    out = some_bytes(4);
    n = unsb_base64_encode_end(&s, out);
    prove(n == (had != 0 ? 4 : 0) && s.count == 0, "the end pads, and leaves it as new");
    prove(n == 0 || (is_letter((uint8_t)out[0]) && is_letter((uint8_t)out[1]) && out[3] == '=' &&
                     (had == 2 ? is_letter((uint8_t)out[2]) : out[2] == '=')), "padding");
}

/* What it makes of three bytes, whatever was encoded before. */
void base64_encode_value(void)
{
    unsb_base64 s;
    uint8_t in[3];
    char out[8];
    size_t n;
    uint32_t v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];

    s.count = 0;
    n = unsb_base64_encode(&s, in, 3, out);
    prove(n == 4 && (uint8_t)out[0] == letter(v >> 18) && (uint8_t)out[1] == letter(v >> 12) &&
              (uint8_t)out[2] == letter(v >> 6) && (uint8_t)out[3] == letter(v),
          "RFC 4648 section 4");
}

void base64_decode_step(void)
{
    unsb_base64 s;
    size_t size = some_size(DECODE_MAX), n, before;
    char *text = some_bytes(size), *out = some_bytes(size / 4 * 3 + 3);
    int rc;

    given(decodes(&s));
    rc = unsb_base64_decode(&s, text, size, out, &n);
    prove(rc == UNSB_OK || rc == UNSB_E_BASE64, "one of two results");
    prove(decodes(&s), "the invariant is kept");
    prove(n <= size / 4 * 3 + 3, "no more than there is room for");
    before = s.count;
    rc = unsb_base64_decode_end(&s);
    prove(rc == (before == 0 ? UNSB_OK : UNSB_E_BASE64), "the end");
}

/* In place is the same as elsewhere, from any state, and so are two calls instead of one. */
void base64_decode_place(void)
{
    unsb_base64 s, t, u;
    size_t size = some_size(PLACE_MAX), cut = some_size(size), i = some_size(size + 3);
    size_t n, m, first = 0;
    char text[PLACE_MAX + 3], copy[PLACE_MAX + 3], out[PLACE_MAX + 3], third[PLACE_MAX + 3];
    int rc, rc_copy, rc_third;

    given(decodes(&s));
    t = s;
    u = s;
    memcpy(copy, text, sizeof copy);
    rc = unsb_base64_decode(&s, text, size, out, &n);
    rc_copy = unsb_base64_decode(&t, copy, size, copy, &m);
    prove(rc == rc_copy && n == m && s.count == t.count && s.padding == t.padding,
          "in place: alike");
    prove(i >= n || out[i] == copy[i], "in place: the same bytes");
    rc_third = unsb_base64_decode(&u, text, cut, third, &first);
    m = 0;
    if (rc_third == UNSB_OK)
        rc_third = unsb_base64_decode(&u, text + cut, size - cut, third + first, &m);
    prove(rc == rc_third && n == first + m && s.count == u.count && s.padding == u.padding,
          "in two pieces: alike");
    prove(i >= n || out[i] == third[i], "in two pieces: the same bytes");
}

static size_t encode(const uint8_t *in, size_t size, size_t cut, char *out)
{
    unsb_base64 s = {0, 0, 0};
    size_t n = unsb_base64_encode(&s, in, cut, out);

    n += unsb_base64_encode(&s, in + cut, size - cut, out + n);
    return n + unsb_base64_encode_end(&s, out + n);
}

/* decode(encode(x)) = x, and encode(decode(t)) = t for every t that is accepted: so no two texts
 * are taken for the same bytes. */
void base64_there_and_back(void)
{
    uint8_t in[BACK_MAX], back[BACK_MAX + 3];
    char text[UNSB_BASE64_SIZE(BACK_MAX + 2)];
    size_t size = some_size(BACK_MAX), n, m, i = some_size(BACK_MAX - 1);
    unsb_base64 s = {0, 0, 0};

    n = encode(in, size, some_size(size), text);
    prove(n == UNSB_BASE64_SIZE(size), "as long as it says");
    prove(unsb_base64_decode(&s, text, n, back, &m) == UNSB_OK &&
              unsb_base64_decode_end(&s) == UNSB_OK, "accepted");
    prove(m == size && (i >= size || in[i] == back[i]), "decode(encode(x)) = x");
}

void base64_back_and_there(void)
{
    char text[TEXT_MAX], again[TEXT_MAX + 8];
    uint8_t out[TEXT_MAX];
    size_t size = some_size(TEXT_MAX), n, m, i = some_size(TEXT_MAX - 1);
    unsb_base64 s = {0, 0, 0};
    int rc = unsb_base64_decode(&s, text, size, out, &n);

    given(rc == UNSB_OK && unsb_base64_decode_end(&s) == UNSB_OK);
    m = encode(out, n, 0, again);
    prove(m == size && (i >= size || text[i] == again[i]), "encode(decode(t)) = t");
}
