/* A program that fails is no error of the call: it has an exit code and says why on stderr. */
#define _POSIX_C_SOURCE 200809L
#include "desktop.h"

static desktop d;
static unsb_client client;

int main(void)
{
    static char errors[4096];
    unsb_program program = {.language = "python", .code = unsb_text("print(undefined_name)")};
    unsb_result result = {.err = unsb_into(errors, sizeof errors)};
    int rc = desktop_open(&d, &client, false);

    if (rc != UNSB_OK)
        return 2;
    rc = unsb_execute(&client, &program, &result);
    if (rc != UNSB_OK)
        desktop_explain(&d, rc, &result);
    else
        printf("success: %s, exit code %d, stderr:\n%s", result.success ? "yes" : "no",
               (int)result.exit_code, errors);
    desktop_close(&d, &client);
    return rc == UNSB_OK && !result.success && result.exit_code != 0 ? 0 : 1;
}
