/* The fast build, with the vector instructions that the compiler may use. */
#define UNSB_SMALL 0
#define DIFF_BUILD diff_fast
#include "diff_part.h"
