/* Submits a job that would run for long, sees it run, lists the jobs, and cancels it. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"
#include <time.h>

static unsb_desktop d;
static char why[UNSB_DESKTOP_TEXT];

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
    int rc = unsb_desktop_open(&d, NULL);

    if (rc == UNSB_OK)
        rc = unsb_execute_async(&d.client, &program, &result);
    memcpy(id, result.job_id, sizeof id); /* the next operation fills the result anew */
    for (tries = 0; rc == UNSB_OK && result.status != UNSB_STATUS_RUNNING && tries < 50; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        rc = unsb_job_get(&d.client, id, &result);
    }
    if (rc == UNSB_OK)
        rc = unsb_job_list(&d.client, &result);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL); /* let it print something */
    if (rc == UNSB_OK)
        rc = unsb_job_cancel(&d.client, id, &result);
    if (rc != UNSB_OK)
        fprintf(stderr, "%s\n", unsb_desktop_explain(&d, rc, &result, why, sizeof why));
    else
        printf("%s; exit code %d; partial output: %s", result.message, (int)result.exit_code, text);
    unsb_desktop_close(&d);
    return rc == UNSB_OK && listed != 0 ? 0 : 1;
}
