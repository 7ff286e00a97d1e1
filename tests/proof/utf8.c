/* UTF-8: the machine against the grammar of RFC 3629 section 4, and the encoder of section 3. */
#include "proof.h"

static bool tail(uint8_t c)
{
    return c >= 0x80 && c <= 0xBF;
}

/* UTF8-1 to UTF8-4, as they stand there: how many octets at `b` are one character, or 0. */
static int character(const uint8_t *b)
{
    if (b[0] <= 0x7F)
        return 1;
    if (b[0] >= 0xC2 && b[0] <= 0xDF && tail(b[1]))
        return 2;
    if ((b[0] == 0xE0 && b[1] >= 0xA0 && b[1] <= 0xBF && tail(b[2])) ||
        (b[0] >= 0xE1 && b[0] <= 0xEC && tail(b[1]) && tail(b[2])) ||
        (b[0] == 0xED && b[1] >= 0x80 && b[1] <= 0x9F && tail(b[2])) ||
        (b[0] >= 0xEE && b[0] <= 0xEF && tail(b[1]) && tail(b[2])))
        return 3;
    if ((b[0] == 0xF0 && b[1] >= 0x90 && b[1] <= 0xBF && tail(b[2]) && tail(b[3])) ||
        (b[0] >= 0xF1 && b[0] <= 0xF3 && tail(b[1]) && tail(b[2]) && tail(b[3])) ||
        (b[0] == 0xF4 && b[1] >= 0x80 && b[1] <= 0x8F && tail(b[2]) && tail(b[3])))
        return 4;
    return 0;
}

/* The induction: between characters the state is 0. From there the machine is between characters
 * again after exactly one character of the grammar, and no sooner; and it refuses at some octet if
 * there is none. So what it accepts is the grammar's *( UTF8-char ), of any length. */
void utf8_grammar(void)
{
    uint8_t state = 0, b[4];
    int n = character(b), i;

    for (i = 0; i < 4; i++) {
        bool ok = unsbi_utf8_next(&state, b[i]);
        prove(ok || n == 0, "a character is not refused");
        if (!ok)
            return;
        prove((state == 0) == (i + 1 == n), "it ends where the grammar's does");
        if (state == 0)
            return;
    }
    prove(false, "over after four octets");
}

/* What the encoder makes of a code point is that character of the grammar, and of a negative number
 * that byte. */
void utf8_encoder(void)
{
    int32_t code;
    uint32_t back;
    char out[4] = {0, 0, 0, 0}, *from;
    uint8_t b[4];
    int n;

    given(code >= -128 && code < 0x110000 && (code < 0xD800 || code > 0xDFFF));
    from = unsbi_utf8_encode(code, out + 4);
    prove(from >= out && from < out + 4, "one to four octets");
    n = (int)(out + 4 - from);
    memcpy(b, from, (size_t)n);
    if (code < 0) {
        prove(n == 1 && b[0] == code + 0x100, "a byte");
        return;
    }
    prove(character(b) == n, "of the grammar");
    back = n == 1   ? b[0]
           : n == 2 ? (uint32_t)(b[0] & 0x1F) << 6 | (b[1] & 0x3Fu)
           : n == 3 ? (uint32_t)(b[0] & 0x0F) << 12 | (uint32_t)(b[1] & 0x3F) << 6 | (b[2] & 0x3Fu)
                    : (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3F) << 12 |
                          (uint32_t)(b[2] & 0x3F) << 6 | (b[3] & 0x3Fu);
    prove(back == (uint32_t)code, "RFC 3629 section 3");
}
