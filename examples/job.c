/* Submits a job and goes on working until it is done: a non-blocking client in a program's own
 * loop. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"

static unsb_desktop d;
static char why[UNSB_DESKTOP_TEXT];

/* One turn of the program's loop: whatever else it does, ten times a second. */
static int turn(unsigned long *turns)
{
    (void)unsb_desktop_wait(&d, 100);
    ++*turns;
    return unsb_poll(&d.client);
}

int main(void)
{
    static char text[4096];
    unsb_desktop_options options = {.nonblocking = true};
    unsigned long turns = 0;
    unsb_program program = {.language = "python",
                            .code = unsb_text("import time\n"
                                              "for i in range(3):\n"
                                              "    print('step', i, flush=True)\n"
                                              "    time.sleep(0.4)\n"),
                            .ttl_s = 60};
    unsb_result result = {.out = unsb_into(text, sizeof text)};
    int rc = unsb_desktop_open(&d, &options);

    if (rc == UNSB_OK)
        rc = unsb_execute_async(&d.client, &program, &result);
    while (rc == UNSB_PENDING)
        rc = turn(&turns);
    if (rc == UNSB_OK) {
        printf("job %s submitted\n", result.job_id);
        rc = unsb_job_wait(&d.client, result.job_id, 60000, &result);
        while (rc == UNSB_PENDING) {
            rc = turn(&turns);
            printf("\rwaiting, turn %lu of the program's own loop ", turns);
            fflush(stdout);
        }
        printf("\n");
    }
    if (rc != UNSB_OK)
        fprintf(stderr, "%s\n", unsb_desktop_explain(&d, rc, &result, why, sizeof why));
    else
        printf("%s%s after %ld ms\n", text,
               result.status == UNSB_STATUS_COMPLETED ? "completed" : "not completed",
               (long)result.total_time_ms);
    unsb_desktop_close(&d);
    return rc == UNSB_OK && result.status == UNSB_STATUS_COMPLETED ? 0 : 1;
}
