/* What the proofs share: CBMC's primitives under names of this project's style. A local variable
 * without a value, and memory from malloc(), hold any bytes at all. */
#ifndef UNSB_PROOF_H
#define UNSB_PROOF_H

/* CBMC holds an index of an array that lies in a structure against the end of the structure; run.sh
 * puts this around each of them, which holds it against the array's own. */
#define UNSBI_INDEX(array, index)                                                                  \
    ({                                                                                             \
        size_t unsbi_index = (size_t)(index);                                                      \
        __CPROVER_assert(unsbi_index < sizeof(array) / sizeof *(array), "an index of " #array);    \
        unsbi_index;                                                                               \
    })

/* And this about the functions of the list `contracts`: the real ones, unless the proof's file knows
 * them by what another proof says of them. */
#ifndef UNSBI_PROOF
#define UNSBI_PROOF(name) unsbi_##name
#endif
/* Those that are not private, or one of many of that name. */
#define unsbi_feed unsb_http_feed
#define unsbi_len strlen
#define unsbi_read unsb_json_read
#define unsbi_read_end unsb_json_read_end
#define unsbi_restart unsbi_output_restart

#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
#include <stdlib.h>

#define given(condition) __CPROVER_assume(condition)
#define prove(condition, what) __CPROVER_assert(condition, what)

/* Memory of exactly `size` bytes, so that one byte further is a fault that is seen. */
static void *some_bytes(size_t size)
{
    void *memory = malloc(size);

    given(memory != NULL);
    return memory;
}

static size_t some_size(size_t most)
{
    size_t size;

    given(size <= most);
    return size;
}

#endif
