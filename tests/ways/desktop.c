/* What uses the desktop layer: it opens a client, which needs sockets, TLS, threads and trust.
 * C and C++. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"

int main(void)
{
    static unsb_desktop desktop;
    unsb_desktop_options options;
    int rc;

    memset(&options, 0, sizeof options);
    options.public_key = "unsb-pk-demo0-vault-unlck-12345";
    options.secret_key = "unsb-sk-demo0-vault-unlck-12345";
    rc = unsb_desktop_open(&desktop, &options);
    unsb_desktop_close(&desktop);
    printf("opened: %d\n", rc);
    return rc == UNSB_OK ? 0 : 1;
}
