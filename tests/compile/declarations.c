/* The public face alone, twice, with nothing of its own before it. */
#include "unsandbox.h"
#include "unsandbox.h"

int declarations_only(void);
int declarations_only(void)
{
    unsb_client client;
    return (int)sizeof client;
}
