#include "unsandbox.h"
#include "unsandbox_mbedtls.h"
#include "unsandbox_mbedtls_pem.h"
#include "unsandbox_mbedtls.h"
#include "unsandbox_mbedtls_pem.h"

unsb_transport port_mbedtls(unsb_mbedtls *tls, const unsb_mbedtls_config *config);
unsb_transport port_mbedtls(unsb_mbedtls *tls, const unsb_mbedtls_config *config)
{
    return unsb_mbedtls_transport(tls, config);
}
