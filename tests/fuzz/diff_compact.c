/* The compact build. */
#define UNSB_SMALL 1
#define DIFF_BUILD diff_compact
#include "diff_part.h"
