#include "unsandbox.h"
#include "unsandbox_lwip.h"
#include "unsandbox_lwip.h"

unsb_transport port_lwip(unsb_lwip *tcp);
unsb_transport port_lwip(unsb_lwip *tcp)
{
    unsb_lwip_config config;
    memset(&config, 0, sizeof config);
    return unsb_lwip_transport(tcp, &config);
}

/* As the header says. */
typedef char port_lwip_size[sizeof(void *) != 4 || sizeof(unsb_lwip) == 44 ? 1 : -1];
