/* See sensor.h. The signal is made up: 50 Hz and 120 Hz, a drift of 200 a second, some noise. */
#include "sensor.h"

#include <stdatomic.h>

static struct {
    sensor_sample queue[SENSOR_QUEUE];
    volatile uint32_t in, out; /* counted on, never wrapped: in - out lie in the queue */
    volatile uint32_t taken;
    uint32_t noise;
} sensor;

/* A sine of one turn in 65536 steps, as a parabola for each half; -1024 to 1024. */
static int32_t sine(uint32_t angle)
{
    int32_t x = (int32_t)(angle & 0x7FFF) - 0x4000;
    int32_t y = 1024 - ((x >> 3) * (x >> 3) >> 12);

    return (angle & 0x8000) != 0 ? -y : y;
}

/* What a converter would give. */
static int16_t measure(uint32_t n)
{
    int32_t value = 1000 * sine(n * (65536u * 50u / SENSOR_HZ));

    value += 300 * sine(n * (65536u * 120u / SENSOR_HZ));
    sensor.noise = sensor.noise * 1664525u + 1013904223u;
    return (int16_t)(value / 1024 + (int32_t)(n * 200u / SENSOR_HZ) +
                     (int32_t)(sensor.noise >> 28) - 8);
}

void sensor_take(void)
{
    uint32_t n = sensor.taken;
    sensor_sample *sample = &sensor.queue[sensor.in % SENSOR_QUEUE];

    sensor.taken = n + 1;
    if (sensor.in - sensor.out == SENSOR_QUEUE)
        return;
    sample->sequence = (uint16_t)n;
    sample->value = measure(n);
    atomic_signal_fence(memory_order_release); /* whoever sees it counted finds it there */
    sensor.in++;
}

/* The log's sectors are erased as the ring comes to them, so the oldest sector goes first. */
int sensor_store(void)
{
    int rc = UNSB_OK;

    while (sensor.out != sensor.in && rc == UNSB_OK) {
        uint32_t at;
        atomic_signal_fence(memory_order_acquire);
        at = SENSOR_LOG_BEGIN + sensor.out * sizeof(sensor_sample) % SENSOR_LOG_SIZE;
        if (at % FLASH_SECTOR == 0)
            rc = flash_erase(at);
        if (rc == UNSB_OK)
            rc = flash_program(at, &sensor.queue[sensor.out % SENSOR_QUEUE], sizeof(sensor_sample));
        if (rc == UNSB_OK)
            sensor.out++;
    }
    return rc == E_FLASH_BUSY ? UNSB_OK : rc;
}

uint32_t sensor_taken(void)
{
    return sensor.taken;
}

uint32_t sensor_missed(void)
{
    return sensor.taken - sensor.in;
}

uint32_t sensor_stored(void)
{
    return sensor.out;
}

/* By offset, as a request is measured before it is sent. Samples may be stored meanwhile: what was
 * read is good if it is still in the log afterwards. */
static int read_window(void *context, unsb_size offset, void *buffer, size_t size)
{
    const sensor_window *window = (const sensor_window *)context;
    uint32_t at = (window->first * sizeof(sensor_sample) + offset) % SENSOR_LOG_SIZE;
    uint32_t behind;

    if (size > SENSOR_LOG_SIZE - at)
        size = SENSOR_LOG_SIZE - at;
    if (flash_read(SENSOR_LOG_BEGIN + at, buffer, size) != UNSB_OK)
        return E_FLASH;
    behind = sensor.out - window->first;
    if (behind < window->count || behind > (SENSOR_LOG_SIZE - FLASH_SECTOR) / sizeof(sensor_sample))
        return E_SENSOR;
    return (int)size;
}

unsb_source sensor_source(sensor_window *window)
{
    unsb_source source = {NULL, 0, read_window, NULL};

    source.size = (unsb_size)(window->count * sizeof(sensor_sample));
    source.context = window;
    return source;
}
