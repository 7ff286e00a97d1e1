#include "unsandbox.h"
#include "unsandbox_schannel.h"
#include "unsandbox_winsock.h"
#include "unsandbox_schannel.h"

unsb_transport port_schannel(unsb_winsock *tcp, unsb_schannel *tls, unsb_schannel_config *config);
unsb_transport port_schannel(unsb_winsock *tcp, unsb_schannel *tls, unsb_schannel_config *config)
{
    config->inner = unsb_winsock_transport(tcp);
    return unsb_schannel_transport(tls, config);
}
