/* What unsb_json_integer() makes of a number: mantissa * 10^exponent, exactly, or nothing.
 *
 * By induction over the exponent's distance from 0: one power of ten more is one call of
 * unsbi_append() or unsbi_divide10() more, and nothing else. What those two do is proved of all
 * numbers in number.c; so here they are any functions at all that leave numbers within the bounds
 * which follow from that, and no arithmetic stands in the way. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define UNSBI_PROOF(name) any_##name
static bool any_append(uint64_t *number, size_t size, uint8_t base, uint8_t digit);
static uint8_t any_divide10(uint64_t *number);
#include "proof.h"

uint64_t __CPROVER_uninterpreted_product(uint64_t number);
bool __CPROVER_uninterpreted_fits(uint64_t number);
uint64_t __CPROVER_uninterpreted_quotient(uint64_t number);
uint8_t __CPROVER_uninterpreted_rest(uint64_t number);

/* number * 10, and whether it fits: then it is 8 times as large at least. */
static bool any_append(uint64_t *number, size_t size, uint8_t base, uint8_t digit)
{
    uint64_t was = *number;
    bool fits = __CPROVER_uninterpreted_fits(was);

    prove(size == sizeof *number && base == 10 && digit == 0, "a power of ten");
    *number = __CPROVER_uninterpreted_product(was);
    given(!fits || *number >> 3 >= was);
    return fits;
}

static uint8_t any_divide10(uint64_t *number)
{
    uint64_t was = *number;

    *number = __CPROVER_uninterpreted_quotient(was);
    given(*number <= was >> 3);
    return __CPROVER_uninterpreted_rest(was);
}

/* A number without a power of ten: as many as the type holds, and none that are cut if it is to be
 * exact. */
static void last(unsb_json_reader *r, bool exact)
{
    const uint64_t most = (uint64_t)1 << 63;
    int64_t value;
    bool fits = r->mantissa < most || (r->negative && r->mantissa == most);

    if (!unsbi_integer(r, exact, &value)) {
        prove(!fits || (exact && r->inexact), "what fits is taken");
        return;
    }
    prove(fits && !(exact && r->inexact), "nothing else is");
    prove(r->negative ? value <= 0 && 0u - (uint64_t)value == r->mantissa
                      : value >= 0 && (uint64_t)value == r->mantissa, "as it stands");
}

void integer_last(void)
{
    unsb_json_reader r;
    bool exact;

    given(*(uint8_t *)&r.negative <= 1 && *(uint8_t *)&r.inexact <= 1); /* as C has it */
    given(r.exponent == 0 || r.mantissa == 0);
    last(&r, exact);
}

/* The one before it. */
void integer_step(void)
{
    unsb_json_reader r, next;
    bool exact, taken, as_next, fits = true;
    int64_t value = 0, next_value = 0;

    given(*(uint8_t *)&r.negative <= 1 && *(uint8_t *)&r.inexact <= 1);
    given(r.exponent != 0 && r.mantissa != 0);
    next = r;
    if (r.exponent > 0) {
        next.exponent--;
        fits = any_append(&next.mantissa, sizeof next.mantissa, 10, 0);
    } else {
        next.exponent++;
        next.inexact = any_divide10(&next.mantissa) != 0 || r.inexact;
    }
    taken = unsbi_integer(&r, exact, &value);
    if (!fits) {
        prove(!taken, "what does not fit is refused");
        return;
    }
    as_next = unsbi_integer(&next, exact, &next_value);
    prove(taken == as_next && value == next_value, "a step, and the rest");
}
