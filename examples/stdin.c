/* Gives a program arguments and a stdin, which the service itself does not: an input file, and two
 * lines in front of its code. Reads this program's own stdin: stdin ARGUMENT... <FILE */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"

static const char program_code[] = "import sys\n"
                                   "words = sys.stdin.read().split()\n"
                                   "print(sys.argv[1:], len(words), 'words')\n";
static unsb_desktop d;
static char why[UNSB_DESKTOP_TEXT];
static char input[65536], code[4096];

/* sys.argv is a list of Python's, whose texts are written as JSON's are. */
static int wrap(int argc, char **argv)
{
    unsb_output out = {.data = code, .capacity = sizeof code};
    unsb_json_writer list;
    size_t used;
    int i;

    unsb_json_writer_init(&list, &out);
    unsb_json_array_begin(&list);
    unsb_json_string(&list, "main.py", 7);
    for (i = 1; i < argc; i++)
        unsb_json_string(&list, argv[i], strlen(argv[i]));
    unsb_json_array_end(&list);
    used = (size_t)out.size;
    if (unsb_json_writer_end(&list) != UNSB_OK || used + 600 > sizeof code)
        return UNSB_E_USER;
    memmove(code + 23, code, used);
    memcpy(code, "import os,sys;sys.argv=", 23);
    snprintf(code + 23 + used, sizeof code - 23 - used,
             "\nsys.stdin = open([p for p in ('input', '/tmp/input/input', '/root/input/input')"
             " if os.path.isfile(p)][0])\n%s",
             program_code);
    return UNSB_OK;
}

int main(int argc, char **argv)
{
    size_t size = fread(input, 1, sizeof input, stdin);
    unsb_file file = {.name = "input", .source = unsb_bytes(input, (unsb_size)size)};
    unsb_program program = {.language = "python", .files = &file, .file_count = 1};
    unsb_result result = {.out = {.write = unsb_desktop_write, .context = stdout},
                          .err = {.write = unsb_desktop_write, .context = stderr}};
    int rc = wrap(argc, argv);

    if (rc != UNSB_OK) {
        fprintf(stderr, "the arguments are too long or not UTF-8\n");
        return 2;
    }
    rc = unsb_desktop_open(&d, NULL);
    program.code = unsb_text(code);
    if (rc == UNSB_OK)
        rc = unsb_execute(&d.client, &program, &result);
    if (rc != UNSB_OK)
        fprintf(stderr, "%s\n", unsb_desktop_explain(&d, rc, &result, why, sizeof why));
    unsb_desktop_close(&d);
    return rc == UNSB_OK && result.success ? 0 : 1;
}
