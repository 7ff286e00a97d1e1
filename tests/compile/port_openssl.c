#include "unsandbox.h"
#include "unsandbox_openssl.h"
#include "unsandbox_openssl.h"

unsb_transport port_openssl(unsb_openssl *tls, const unsb_openssl_config *config);
unsb_transport port_openssl(unsb_openssl *tls, const unsb_openssl_config *config)
{
    return unsb_openssl_transport(tls, config);
}
