/* The fast build. */
#define UNSB_SMALL 0
#define DIFF_BUILD diff_fast
#include "diff_part.h"
