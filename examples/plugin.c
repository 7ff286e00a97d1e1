/* A plug-in with a library of its own: UNSB_STATIC makes all of it private, so that two plug-ins,
 * of other versions even, are in one process without meeting. plugin_host.c loads it.
 * With UNSB_POSIX_THREADS 0 nothing of it stays mapped after dlclose(); see unsandbox_posix.h. */
#define UNSANDBOX_IMPLEMENTATION
#define UNSB_STATIC 1
#include "unsandbox_desktop.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

EXPORT int plugin_run(const char *language, const char *code, char *text, size_t size);

/* Runs code, and puts what it printed, or why it did not, into `text`. 0 or 1. */
int plugin_run(const char *language, const char *code, char *text, size_t size)
{
    unsb_desktop *d = calloc(1, sizeof *d);
    unsb_program program = {.language = language, .code = unsb_text(code)};
    unsb_result result = {.out = unsb_into(text, size)};
    int rc;

    if (d == NULL)
        return 1;
    rc = unsb_desktop_open(d, NULL);
    if (rc == UNSB_OK)
        rc = unsb_execute(&d->client, &program, &result);
    if (rc != UNSB_OK)
        (void)unsb_desktop_explain(d, rc, &result, text, size);
    unsb_desktop_close(d);
    free(d);
    return rc == UNSB_OK && result.success ? 0 : 1;
}
