#include "unsandbox.h"
#include "unsandbox_posix.h"
#include "unsandbox_posix.h"

unsb_transport port_posix(unsb_posix *tcp);
unsb_transport port_posix(unsb_posix *tcp)
{
    return unsb_posix_transport(tcp);
}
