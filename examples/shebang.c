/* Runs a script whose first line names its language, streamed from a file: shebang SCRIPT. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"

static unsb_desktop d;
static char why[UNSB_DESKTOP_TEXT];

/* A source is read by offset, as each byte is asked for twice: to be counted, and to be sent. */
static int read_file(void *context, unsb_size offset, void *buffer, size_t size)
{
    FILE *file = context;
    size_t n;

    if (fseek(file, (long)offset, SEEK_SET) != 0)
        return UNSB_E_USER;
    n = fread(buffer, 1, size < 32767 ? size : 32767, file);
    return ferror(file) ? UNSB_E_USER : (int)n;
}

int main(int argc, char **argv)
{
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    unsb_program program = {.code = {.read = read_file, .context = file}};
    unsb_result result = {.out = {.write = unsb_desktop_write, .context = stdout},
                          .err = {.write = unsb_desktop_write, .context = stderr}};
    int rc;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        fprintf(stderr, "usage: shebang SCRIPT\n");
        return 2;
    }
    program.code.size = (unsb_size)ftell(file);
    rc = unsb_desktop_open(&d, NULL);
    if (rc == UNSB_OK)
        rc = unsb_run(&d.client, &program, &result);
    if (rc != UNSB_OK)
        fprintf(stderr, "%s\n", unsb_desktop_explain(&d, rc, &result, why, sizeof why));
    else
        printf("language %s, exit code %d\n", result.detected_language, (int)result.exit_code);
    unsb_desktop_close(&d);
    fclose(file);
    return rc == UNSB_OK && result.success ? 0 : 1;
}
