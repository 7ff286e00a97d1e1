/* The fast loops of machines with 64-bit numbers (UNSB_SMALL 0), held against what they stand for,
 * byte by byte. They look at eight bytes at a time, wherever those begin: twice, and what is left,
 * is all that there is. */
#include "proof.h"

#define RUN_MAX 16

/* How far it is to the first byte for which `stops` holds. */
#define RUN(name, fast, stops)                                                                     \
    void fast_##name(void)                                                                         \
    {                                                                                              \
        uint8_t data[RUN_MAX], c;                                                                  \
        size_t size = some_size(RUN_MAX), want;                                                    \
        const uint8_t *from = data + RUN_MAX - size; /* it ends where the array does */            \
                                                                                                   \
        for (want = 0; want < size; want++) {                                                      \
            c = from[want];                                                                        \
            if (stops)                                                                             \
                break;                                                                             \
        }                                                                                          \
        prove(fast(from, size) == want, "as byte by byte");                                        \
    }

/* RFC 8259 section 7 */
RUN(plain_run, unsbi_plain_run, c < 0x20 || c > 0x7F || c == '"' || c == '\\')
/* RFC 9110 section 5.5: HTAB, too, has a closer look */
RUN(text_run, unsbi_text_run, c < 0x20)

/* RFC 9110 section 5.6.2 */
static bool token_char(uint8_t c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    uint8_t lower = c | 0x20;
    bool is = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z');
    size_t i;

    for (i = 0; i < sizeof others - 1; i++)
        is = is || c == (uint8_t)others[i];
    return is;
}

RUN(token_run, unsbi_token_run, !token_char(c))

/* number * base + digit by a 64-bit product, where that cannot overflow. */
void fast_append(void)
{
    uint64_t number, was = number;
    uint8_t base, digit;
    unsigned __int128 want;
    bool fits;

    given(base == 10 || base == 16 || base == 24 || base == 60);
    want = (unsigned __int128)was * base + digit;
    fits = unsbi_append(&number, sizeof number, base, digit);
    prove(fits == (want >> 64 == 0), "it says whether it fits");
    prove(number == (uint64_t)want, "it is exact");
}

/* FIPS 180-4 section 4.1.2 */
#define ROTR(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define SUM0(x) (ROTR(x, 2) ^ ROTR(x, 13) ^ ROTR(x, 22))
#define SUM1(x) (ROTR(x, 6) ^ ROTR(x, 11) ^ ROTR(x, 25))
#define SIGMA0(x) (ROTR(x, 7) ^ ROTR(x, 18) ^ (x) >> 3)
#define SIGMA1(x) (ROTR(x, 17) ^ ROTR(x, 19) ^ (x) >> 10)
#define CH(x, y, z) (((x) & (y)) ^ (~(x) & (z)))
#define MAJ(x, y, z) (((x) & (y)) ^ ((x) & (z)) ^ ((y) & (z)))

/* Sections 6.2.2, step 1: W(t) for the next 16 t, from any 16 before. */
void fast_sha256_words(void)
{
    uint32_t w[16], all[32];
    size_t t;

    for (t = 0; t < 16; t++)
        all[t] = w[t];
    unsbi_sha256_words(w);
    for (t = 16; t < 32; t++) {
        all[t] = w[t - 16];
        prove(all[t] == all[t - 16] + (all[t - 7] + SIGMA0(all[t - 15]) + SIGMA1(all[t - 2])),
              "a word of the schedule");
    }
}

/* Step 3: a round from any state, with any word and constant; x is b ^ c, and y becomes that of the
 * next round. */
void fast_sha256_round(void)
{
    uint32_t a, b, c, d, e, f, g, h, w[1], k[1], x = b ^ c, y;
    uint32_t t1 = h + (w[0] + k[0] + CH(e, f, g) + SUM1(e)), want_e = d + t1;
    uint32_t want_a = t1 + SUM0(a) + MAJ(a, b, c), was_a = a, was_b = b, was_c = c, was_e = e;
    uint32_t was_f = f, was_g = g;

    UNSBI_SHA256_ROUND(a, b, c, d, e, f, g, h, x, y, 0)
    prove(a == was_a && b == was_b && c == was_c && e == was_e && f == was_f && g == was_g,
          "all others but change their names");
    prove(y == (a ^ b), "what the next round needs");
    prove(d == want_e, "e");
    prove(h == want_a, "a");
}
