/* The fast build without vector instructions. */
#define UNSB_SMALL 0
#define UNSB_SIMD 0
#define DIFF_BUILD diff_portable
#include "diff_part.h"
