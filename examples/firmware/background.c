/* See background.h. */
#include "background.h"

#include "board.h"
#include "sensor.h"

static volatile int error;

void board_tick(uint32_t now_ms)
{
    if (now_ms % SENSOR_PERIOD_MS != 0)
        return;
    sensor_take();
    board_defer();
}

void board_deferred(void)
{
    int rc = sensor_store();

    if (error == UNSB_OK)
        error = rc;
}

int background_error(void)
{
    return error;
}
