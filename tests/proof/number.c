/* Integers: the arithmetic by bytes, and what unsb_json_integer() makes of a number. */
#include "proof.h"

typedef unsigned __int128 wide;

/* number * base + digit, for every number, base and digit; false exactly where that overflows. */
void number_append(void)
{
    uint64_t number, was = number;
    uint8_t base, digit;
    wide want;
    bool fits;

    given(base == 10 || base == 16 || base == 24 || base == 60);
    want = (wide)was * base + digit;
    fits = unsbi_append(&number, sizeof number, base, digit);
    prove(fits == (want >> 64 == 0), "it says whether it fits");
    prove(number == (uint64_t)want, "it is exact");
}

void number_divide10(void)
{
    uint64_t number, was = number;
    uint8_t rest = unsbi_divide10(&number);

    prove(rest < 10, "a remainder");
    prove((wide)number * 10 + rest == was, "it is exact");
}

/* With any exponent: it ends, and soon. */
void number_any(void)
{
    unsb_json_reader r;
    int64_t value;

    (void)unsb_json_integer(&r, &value);
}
