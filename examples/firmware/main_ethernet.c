/* The device on Ethernet, with lwIP: one loop, no operating system. */
#include "background.h"
#include "device.h"
#include "ethernet.h"
#include "unsandbox_lwip.h"

static device d;
static unsb_lwip tcp;

int main(void)
{
    unsb_lwip_config network = {.poll = ethernet_poll};
    int rc = ethernet_start(board_argument(1));

    if (rc == UNSB_OK)
        rc = device_start(&d, unsb_lwip_transport(&tcp, &network), true);
    if (rc == UNSB_OK)
        rc = UNSB_PENDING;
    while (rc == UNSB_PENDING) {
        ethernet_poll(NULL);
        rc = background_error();
        if (rc == UNSB_OK)
            rc = app_poll(&d.app);
        if (rc == UNSB_PENDING && app_idle(&d.app))
            board_sleep();
    }
    device_end(&d, rc);
    return 1;
}
