/* Submits a job and goes on working until it is done: a non-blocking client in a program's own loop. */
#define _POSIX_C_SOURCE 200809L
#include "desktop.h"
#include <poll.h>

static desktop d;
static unsb_client client;

/* One turn of the program's loop: whatever else it does, and a look at the socket. */
static int turn(unsigned long *turns)
{
    uint32_t timeout_ms;
    int interest = unsb_interest(&client, &timeout_ms);
    struct pollfd fd = {.fd = interest != 0 ? unsb_posix_fd(&d.tcp) : -1};

    if (interest & UNSB_READABLE)
        fd.events |= POLLIN;
    if (interest & UNSB_WRITABLE)
        fd.events |= POLLOUT;
    if (timeout_ms > 100) /* this program wants to do something ten times a second */
        timeout_ms = 100;
    poll(&fd, 1, (int)timeout_ms);
    ++*turns;
    return unsb_poll(&client);
}

int main(void)
{
    static char text[4096];
    unsigned long turns = 0;
    unsb_program program = {.language = "python",
                            .code = unsb_text("import time\n"
                                              "for i in range(3):\n"
                                              "    print('step', i, flush=True)\n"
                                              "    time.sleep(0.4)\n"),
                            .ttl_s = 60};
    unsb_result result = {.out = unsb_into(text, sizeof text)};
    int rc = desktop_open(&d, &client, true);

    if (rc != UNSB_OK)
        return 2;
    rc = unsb_execute_async(&client, &program, &result);
    while (rc == UNSB_PENDING)
        rc = turn(&turns);
    if (rc == UNSB_OK) {
        printf("job %s submitted\n", result.job_id);
        rc = unsb_job_wait(&client, result.job_id, 60000, &result);
        while (rc == UNSB_PENDING) {
            rc = turn(&turns);
            printf("\rwaiting, turn %lu of the program's own loop ", turns);
            fflush(stdout);
        }
        printf("\n");
    }
    if (rc != UNSB_OK)
        desktop_explain(&d, rc, &result);
    else
        printf("%s%s after %ld ms\n", text,
               result.status == UNSB_STATUS_COMPLETED ? "completed" : "not completed",
               (long)result.total_time_ms);
    desktop_close(&d, &client);
    return rc == UNSB_OK && result.status == UNSB_STATUS_COMPLETED ? 0 : 1;
}
