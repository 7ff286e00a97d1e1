/* The digits of a number: 1 to 20 of them, whatever the number is, and nothing else is touched. The
 * division is known by what number_divide10 proves: number = quotient * 10 + rest, exactly. */
#define UNSBI_PROOF(name) any_##name
#include <stdint.h>
static uint8_t any_divide10(uint64_t *number);
#include "proof.h"

static unsigned divided;      /* so often */
static uint64_t most = UINT64_MAX; /* that a number can be which was divided so often */

static uint8_t any_divide10(uint64_t *number)
{
    uint64_t was = *number, quotient;
    uint8_t rest;

    given(rest < 10 && quotient <= UINT64_MAX / 10 && quotient * 10 <= UINT64_MAX - rest);
    given(quotient * 10 + rest == was);
    most /= 10;
    prove(quotient <= most, "a power of ten less");
    given(quotient <= most); /* as is proved */
    divided++;
    *number = quotient;
    return rest;
}

void decimal_digits(void)
{
    uint64_t value;
    char digits[22], before = digits[0], behind = digits[21], *first;
    size_t i = some_size(19);

    first = unsbi_decimal(value, digits + 21);
    prove(first == digits + 21 - divided && divided >= 1 && divided <= 20, "1 to 20 of them");
    prove(digits + 1 + i < first || unsbi_is_digit((uint8_t)digits[1 + i]), "digits");
    prove(digits[0] == before && digits[21] == behind, "nothing else");
}
