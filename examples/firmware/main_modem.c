/* The device with a modem on its serial line: one loop, no operating system. */
#include "background.h"
#include "device.h"
#include "modem.h"

static device d;
static modem line;

int main(void)
{
    int rc;

    board_uart_start();
    rc = device_start(&d, modem_transport(&line), true);
    if (rc == UNSB_OK)
        rc = UNSB_PENDING;
    while (rc == UNSB_PENDING) {
        rc = background_error();
        if (rc == UNSB_OK)
            rc = app_poll(&d.app);
        if (rc == UNSB_PENDING && app_idle(&d.app))
            board_sleep();
    }
    device_end(&d, rc);
    return 1;
}
