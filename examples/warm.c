/* A warm container: one session, twenty commands that find what the ones before them left, and the
 * time of each beside that of twenty programs of their own. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"

enum { CALLS = 20 };

static unsb_desktop d;
static char why[UNSB_DESKTOP_TEXT];
static char text[64];
static unsb_result result;

static int post(const char *path, const char *json)
{
    unsb_call call = {.method = "POST",
                      .path = path,
                      .body = unsb_text(json),
                      .answer = UNSB_ANSWER_RESULT, /* as a run's: stdout, stderr, exit_code */
                      .ttl_s = 60};

    return unsb_request(&d.client, &call, &result);
}

/* Ends the session. Where the service wants a code that it has sent by mail, it ends by its ttl. */
static int end_session(const char *path)
{
    unsb_call call = {.method = "DELETE", .path = path, .answer = UNSB_ANSWER_RESULT};
    int rc = unsb_request(&d.client, &call, &result);

    if (rc == UNSB_E_CHALLENGE)
        printf("it ends by its ttl (challenge %s)\n", result.challenge_id);
    return rc == UNSB_E_CHALLENGE ? UNSB_OK : rc;
}

static int commands(const char *path, uint32_t *ms)
{
    uint32_t from = unsb_posix_now_ms(NULL);
    int rc = UNSB_OK, i;

    for (i = 1; i <= CALLS && rc == UNSB_OK; i++) {
        rc = post(path, "{\"command\":\"n=$((n+1)); echo $n\"}");
        if (rc == UNSB_OK && atoi(text) != i)
            rc = UNSB_E_USER; /* the state was not kept */
    }
    *ms = unsb_posix_now_ms(NULL) - from;
    return rc;
}

static int programs(uint32_t *ms)
{
    unsb_program program = {.language = "bash", .code = unsb_text("n=$((n+1)); echo $n")};
    uint32_t from = unsb_posix_now_ms(NULL);
    int rc = UNSB_OK, i;

    for (i = 1; i <= CALLS && rc == UNSB_OK; i++)
        rc = unsb_execute(&d.client, &program, &result);
    *ms = unsb_posix_now_ms(NULL) - from;
    return rc;
}

int main(void)
{
    char path[128], execute[160];
    uint32_t warm = 0, cold = 0;
    int rc = unsb_desktop_open(&d, NULL);

    result.out = unsb_into(text, sizeof text);
    if (rc == UNSB_OK)
        rc = post("/sessions", "{\"shell\":\"bash\",\"ttl\":300}");
    if (rc == UNSB_OK) {
        snprintf(path, sizeof path, "/sessions/%s", result.job_id); /* the session's id */
        snprintf(execute, sizeof execute, "%s/execute", path);
        rc = commands(execute, &warm);
        if (rc == UNSB_OK)
            rc = end_session(path);
    }
    if (rc == UNSB_OK)
        rc = programs(&cold);
    if (rc != UNSB_OK)
        fprintf(stderr, "%s\n", unsb_desktop_explain(&d, rc, &result, why, sizeof why));
    else
        printf("the session counted to %d: %lu ms a call; programs of their own: %lu ms a call\n",
               CALLS, (unsigned long)(warm / CALLS), (unsigned long)(cold / CALLS));
    unsb_desktop_close(&d);
    return rc == UNSB_OK ? 0 : 1;
}
