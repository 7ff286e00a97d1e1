#include "unsandbox.h"
#include "unsandbox_bearssl.h"
#include "unsandbox_bearssl_pem.h"
#include "unsandbox_bearssl.h"
#include "unsandbox_bearssl_pem.h"

unsb_transport port_bearssl(unsb_bearssl *tls, const unsb_bearssl_config *config);
unsb_transport port_bearssl(unsb_bearssl *tls, const unsb_bearssl_config *config)
{
    return unsb_bearssl_transport(tls, config);
}
