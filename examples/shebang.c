/* Runs a script whose first line names its language, streamed from a file: shebang SCRIPT. */
#define _POSIX_C_SOURCE 200809L
#include "desktop.h"

static desktop d;
static unsb_client client;

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
    unsb_result result = {.out = {.write = desktop_write, .context = stdout},
                          .err = {.write = desktop_write, .context = stderr}};
    int rc;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        fprintf(stderr, "usage: shebang SCRIPT\n");
        return 2;
    }
    program.code.size = (unsb_size)ftell(file);
    if (desktop_open(&d, &client, false) != UNSB_OK)
        return 2;
    rc = unsb_run(&client, &program, &result);
    if (rc != UNSB_OK)
        desktop_explain(&d, rc, &result);
    else
        printf("language %s, exit code %d\n", result.detected_language, (int)result.exit_code);
    desktop_close(&d, &client);
    fclose(file);
    return rc == UNSB_OK && result.success ? 0 : 1;
}
