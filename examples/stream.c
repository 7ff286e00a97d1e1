/* Output as it arrives, of any size, in constant memory. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"

int main(void)
{
    static unsb_desktop d;
    char why[UNSB_DESKTOP_TEXT];
    unsb_program program = {.language = "python",
                            .code = unsb_text("for i in range(100000): print('line', i)")};
    unsb_result result = {.out = {.write = unsb_desktop_write, .context = stdout}};
    int rc = unsb_desktop_open(&d, NULL);
    if (rc == UNSB_OK)
        rc = unsb_execute(&d.client, &program, &result);
    fprintf(stderr, "%s\n", unsb_desktop_explain(&d, rc, &result, why, sizeof why));
    unsb_desktop_close(&d);
    return rc == UNSB_OK && result.success ? 0 : 1;
}
