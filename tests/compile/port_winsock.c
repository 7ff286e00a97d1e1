#include "unsandbox.h"
#include "unsandbox_winsock.h"
#include "unsandbox_winsock.h"

unsb_transport port_winsock(unsb_winsock *tcp);
unsb_transport port_winsock(unsb_winsock *tcp)
{
    return unsb_winsock_transport(tcp);
}
