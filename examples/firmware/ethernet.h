/* lwIP's network interface for the LAN9118, as on mps2-an385. */
#ifndef ETHERNET_H
#define ETHERNET_H

#include "unsandbox.h"

/* The address and routers are those of QEMU's user network (10.0.2.15, 10.0.2.2); a product would
 * ask DHCP. `host` gets the address 10.0.2.2 too, behind which QEMU has the machine it runs on, so
 * that a service there can have a name and a certificate for it. UNSB_E_IO: there is no such chip.
 * UNSB_E_ENTROPY: no random numbers. */
int ethernet_start(const char *host);
/* Hands lwIP what has arrived, runs its timers, and lets the chip wake board_sleep() again. The
 * argument is not used: it has unsb_lwip_config.poll's type. */
void ethernet_poll(void *context);

#endif
