/* Runs one line of Python; what it prints is printed here. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"

int main(void)
{
    static unsb_desktop desktop;
    char why[UNSB_DESKTOP_TEXT];
    unsb_program program = {.language = "python", .code = unsb_text("print(6 * 7)")};
    unsb_result result = {.out = {.write = unsb_desktop_write, .context = stdout}};
    int rc = unsb_desktop_open(&desktop, NULL);
    if (rc == UNSB_OK)
        rc = unsb_execute(&desktop.client, &program, &result);
    if (rc != UNSB_OK || !result.success)
        fprintf(stderr, "%s\n", unsb_desktop_explain(&desktop, rc, &result, why, sizeof why));
    unsb_desktop_close(&desktop);
    return rc == UNSB_OK && result.success ? 0 : 1;
}
