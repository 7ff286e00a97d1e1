/* A program that fails is no error of the call: it has an exit code and says why on stderr. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"

static unsb_desktop d;
static char why[UNSB_DESKTOP_TEXT];

int main(void)
{
    static char errors[4096];
    unsb_program program = {.language = "python", .code = unsb_text("print(undefined_name)")};
    unsb_result result = {.err = unsb_into(errors, sizeof errors)};
    int rc = unsb_desktop_open(&d, NULL);

    if (rc == UNSB_OK)
        rc = unsb_execute(&d.client, &program, &result);
    if (rc != UNSB_OK)
        fprintf(stderr, "%s\n", unsb_desktop_explain(&d, rc, &result, why, sizeof why));
    else
        printf("success: %s, exit code %d, stderr:\n%s", result.success ? "yes" : "no",
               (int)result.exit_code, errors);
    unsb_desktop_close(&d);
    return rc == UNSB_OK && !result.success && result.exit_code != 0 ? 0 : 1;
}
