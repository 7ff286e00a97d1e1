#include "unsandbox_x509.h"
#include "unsandbox_x509.h"

int port_x509(unsb_x509 *x509, const void *der, size_t size);
int port_x509(unsb_x509 *x509, const void *der, size_t size)
{
    unsb_x509_start(x509, NULL, 0);
    unsb_x509_begin(x509, size);
    unsb_x509_feed(x509, der, size);
    return unsb_x509_end(x509);
}
