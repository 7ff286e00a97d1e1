/* A warm container: one session, twenty commands that find what the ones before them left, and the
 * time of each beside that of twenty programs of their own. */
#define _POSIX_C_SOURCE 200809L
#include "desktop.h"

enum { CALLS = 20 };

static desktop d;
static unsb_client client;
static char text[64];
static unsb_result result;

static int post(const char *path, const char *json)
{
    unsb_call call = {.method = "POST",
                      .path = path,
                      .body = unsb_text(json),
                      .answer = UNSB_ANSWER_RESULT, /* as a run's: stdout, stderr, exit_code */
                      .ttl_s = 60};

    return unsb_request(&client, &call, &result);
}

/* Ends the session. Where the service wants a code that it has sent by mail, it ends by its ttl. */
static int end_session(const char *path)
{
    unsb_call call = {.method = "DELETE", .path = path, .answer = UNSB_ANSWER_RESULT};
    int rc = unsb_request(&client, &call, &result);

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
        rc = unsb_execute(&client, &program, &result);
    *ms = unsb_posix_now_ms(NULL) - from;
    return rc;
}

int main(void)
{
    char path[128], execute[160];
    uint32_t warm = 0, cold = 0;
    int rc = desktop_open(&d, &client, false);

    if (rc != UNSB_OK)
        return 2;
    result.out = unsb_into(text, sizeof text);
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
        desktop_explain(&d, rc, &result);
    else
        printf("the session counted to %d: %lu ms a call; programs of their own: %lu ms a call\n",
               CALLS, (unsigned long)(warm / CALLS), (unsigned long)(cold / CALLS));
    desktop_close(&d, &client);
    return rc == UNSB_OK ? 0 : 1;
}
