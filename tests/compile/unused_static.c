/* Static, and nothing of it called: no warning of unused functions may reach the includer. */
#define UNSB_STATIC 1
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"

int unused_static(void);
int unused_static(void)
{
    return 0;
}
