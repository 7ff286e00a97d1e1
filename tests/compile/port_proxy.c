#include "unsandbox.h"
#include "unsandbox_proxy.h"
#include "unsandbox_proxy.h"

unsb_transport port_proxy(unsb_proxy *proxy, unsb_transport inner, const unsb_proxy_settings *of);
unsb_transport port_proxy(unsb_proxy *proxy, unsb_transport inner, const unsb_proxy_settings *of)
{
    return unsb_proxy_transport(proxy, inner, of);
}
