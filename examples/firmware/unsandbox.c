/* The library itself, in the one file that has it. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
