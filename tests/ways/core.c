/* What uses the core alone: the include directory, nothing to link. C and C++. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
#include <stdio.h>

int main(void)
{
    printf("%s %d\n", UNSB_VERSION_TEXT, unsb_version() == UNSB_VERSION);
    return 0;
}
