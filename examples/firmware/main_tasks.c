/* The device on Ethernet with two tasks: one samples, and has the deadlines; the other talks to the
 * service with a blocking client, and yields in the transport's wait. lwIP belongs to the latter
 * alone, as its raw API demands. */
#include "device.h"
#include "ethernet.h"
#include "tasks.h"
#include "unsandbox_lwip.h"

static device d;
static unsb_lwip tcp;
static task sampling, offloading;
static uint32_t sampling_stack[128] __attribute__((aligned(8)));
static uint32_t offloading_stack[1920] __attribute__((aligned(8)));
static volatile int sampling_error;
static volatile uint32_t late, latest_ms; /* samples a period too late, and the longest delay */

static void sample(void)
{
    uint32_t due = board_now_ms(NULL), delay;

    for (;;) {
        due += SENSOR_PERIOD_MS;
        task_sleep_until(due);
        delay = board_now_ms(NULL) - due;
        late = late + (delay >= SENSOR_PERIOD_MS);
        latest_ms = delay > latest_ms ? delay : latest_ms;
        sensor_take();
        sampling_error = sensor_store();
        if (sampling_error != UNSB_OK)
            task_sleep(UNSB_FOREVER);
    }
}

/* What the transport's wait does again and again, until it can go on. */
static void poll_network(void *context)
{
    ethernet_poll(context);
    task_sleep(1);
}

static void offload(void)
{
    unsb_lwip_config network = {.poll = poll_network};
    int rc = ethernet_start(board_argument(1));

    if (rc == UNSB_OK)
        rc = device_start(&d, unsb_lwip_transport(&tcp, &network), false);
    if (rc == UNSB_OK)
        rc = UNSB_PENDING;
    while (rc == UNSB_PENDING) {
        rc = sampling_error != UNSB_OK ? sampling_error : app_poll(&d.app);
        if (rc == UNSB_PENDING)
            task_sleep(10); /* there are not enough samples yet */
    }
    board_print_number("samples late: ", (int32_t)late, "");
    board_print_number(", longest delay: ", (int32_t)latest_ms, " ms\n");
    board_print_number("stack of the sampling task: ", (int32_t)task_stack_used(&sampling),
                       " bytes\n");
    board_print_number("stack of the offloading task: ", (int32_t)task_stack_used(&offloading),
                       " bytes\n");
    device_end(&d, rc == UNSB_OK && late != 0 ? E_SENSOR : rc);
}

int main(void)
{
    task_add(&sampling, sampling_stack, sizeof sampling_stack / sizeof sampling_stack[0], sample);
    task_add(&offloading, offloading_stack, sizeof offloading_stack / sizeof offloading_stack[0],
             offload);
    tasks_start();
    return 1;
}
