/* Submits a job that would run for long, sees it run, lists the jobs, and cancels it. */
#define _POSIX_C_SOURCE 200809L
#include "desktop.h"
#include <time.h>

static desktop d;
static unsb_client client;

static int print_job(void *context, const unsb_result *job)
{
    ++*(int *)context;
    printf("listed: %s %s, %s\n", job->job_id, job->language,
           job->status == UNSB_STATUS_RUNNING ? "running" : "pending");
    return UNSB_OK;
}

int main(void)
{
    static char text[4096], id[UNSB_JOB_ID_SIZE];
    int listed = 0, tries;
    unsb_program program = {.language = "sh",
                            .code = unsb_text("echo begun; sleep 600; echo never"),
                            .ttl_s = 900};
    unsb_result result = {
        .out = unsb_into(text, sizeof text), .on_item = print_job, .context = &listed};
    int rc = desktop_open(&d, &client, false);

    if (rc != UNSB_OK)
        return 2;
    rc = unsb_execute_async(&client, &program, &result);
    memcpy(id, result.job_id, sizeof id); /* the next operation fills the result anew */
    for (tries = 0; rc == UNSB_OK && result.status != UNSB_STATUS_RUNNING && tries < 50; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        rc = unsb_job_get(&client, id, &result);
    }
    if (rc == UNSB_OK)
        rc = unsb_job_list(&client, &result);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL); /* let it print something */
    if (rc == UNSB_OK)
        rc = unsb_job_cancel(&client, id, &result);
    if (rc != UNSB_OK)
        desktop_explain(&d, rc, &result);
    else
        printf("%s; exit code %d; partial output: %s", result.message, (int)result.exit_code, text);
    desktop_close(&d, &client);
    return rc == UNSB_OK && listed != 0 ? 0 : 1;
}
