/* UNSB_TRACE calls a function, of the types that its comment says. */
#include <stddef.h>

struct unsb_client;
static void note(struct unsb_client *client, char what, const char *text, size_t size);
#define UNSB_TRACE(client, what, text, size) note(client, what, text, size)
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"

static void note(struct unsb_client *client, char what, const char *text, size_t size)
{
    (void)client;
    (void)what;
    (void)text;
    (void)size;
}
