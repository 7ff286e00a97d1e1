/* Has a C program compiled by the service, and saves the binary: artifact FILE. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"
#include <sys/stat.h>

static unsb_desktop d;
static char why[UNSB_DESKTOP_TEXT];

typedef struct saving {
    const char *path;
    FILE *file;
    size_t size;
} saving;

/* Gets the first artifact piece by piece; none is ever held whole. */
static int save(void *context, const unsb_artifact *artifact)
{
    saving *s = context;

    if (artifact->index != 0)
        return UNSB_OK;
    if (s->file == NULL && (s->file = fopen(s->path, "wb")) == NULL)
        return UNSB_E_USER;
    s->size += artifact->size;
    if (artifact->size != 0 && fwrite(artifact->data, 1, artifact->size, s->file) != artifact->size)
        return UNSB_E_USER;
    if (!artifact->end)
        return UNSB_OK;
    if (fclose(s->file) != 0)
        return UNSB_E_USER;
    s->file = NULL;
    printf("\"%s\" saved as %s, %lu bytes\n", artifact->filename, s->path, (unsigned long)s->size);
    return chmod(s->path, 0755) == 0 ? UNSB_OK : UNSB_E_USER;
}

int main(int argc, char **argv)
{
    static char name[UNSB_FILENAME_MAX * 4 + 1], text[4096], errors[4096];
    saving s = {.path = argc > 1 ? argv[1] : "a.out"};
    unsb_program program = {
        .language = "c",
        .code = unsb_text("#include <stdio.h>\n"
                          "int main(void) { puts(\"compiled far away\"); return 0; }\n"),
        .return_artifact = true};
    unsb_result result = {.out = unsb_into(text, sizeof text),
                          .err = unsb_into(errors, sizeof errors),
                          .artifact_name = unsb_into(name, sizeof name),
                          .on_artifact = save,
                          .context = &s};
    int rc = unsb_desktop_open(&d, NULL);

    if (rc == UNSB_OK)
        rc = unsb_execute(&d.client, &program, &result);
    if (s.file != NULL)
        fclose(s.file);
    if (rc == UNSB_E_USER)
        perror(s.path);
    else if (rc != UNSB_OK)
        fprintf(stderr, "%s\n", unsb_desktop_explain(&d, rc, &result, why, sizeof why));
    else
        printf("there it printed: %s%s", text, errors);
    unsb_desktop_close(&d);
    return rc == UNSB_OK && result.success && s.size != 0 ? 0 : 1;
}
