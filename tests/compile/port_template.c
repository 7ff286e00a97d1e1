/* The port's skeleton compiles as it stands, and asks for five functions and no more. */
#include "unsandbox.h"
#include "template.h"
#include "template.h"

static int unsb_template_open(unsb_template *t, const char *host, uint16_t port)
{
    return t->platform != NULL && host[0] != '\0' && port != 0 ? UNSB_PENDING : UNSB_E_CONNECT;
}

static int unsb_template_write(unsb_template *t, const void *data, size_t size)
{
    return t->platform != NULL && data != NULL && size != 0 ? 0 : UNSB_E_IO;
}

static int unsb_template_read(unsb_template *t, void *data, size_t size)
{
    return t->platform != NULL && data != NULL && size != 0 ? 0 : UNSB_E_IO;
}

static void unsb_template_shut(unsb_template *t)
{
    t->error = 0;
}

static int unsb_template_wait(unsb_template *t, int interest, uint32_t timeout_ms)
{
    return t->platform != NULL && interest != 0 && timeout_ms != 0 ? UNSB_OK : UNSB_E_TIMEOUT;
}

unsb_transport port_template(unsb_template *t);
unsb_transport port_template(unsb_template *t)
{
    return unsb_template_transport(t, NULL);
}
