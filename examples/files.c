/* Sends environment variables and two input files; takes stdout and stderr as they arrive. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"

static const char code[] = "import os, sys\n"
                           "def find(name):  # where the service puts input files has changed\n"
                           "    places = name, '/tmp/input/' + name, '/root/input/' + name\n"
                           "    return open([p for p in places if os.path.exists(p)][0])\n"
                           "rows = [line.split(',') for line in find('prices.csv')]\n"
                           "rate = float(find('rate.txt').read())\n"
                           "for name, price in rows:\n"
                           "    print(name, round(float(price) * rate, 2), os.environ['CURRENCY'])\n"
                           "print(len(rows), 'rows', file=sys.stderr)\n";
static unsb_desktop d;
static char why[UNSB_DESKTOP_TEXT];

int main(void)
{
    const unsb_env env[] = {{"CURRENCY", "\xE2\x82\xAC"}, {"LANG", "C.UTF-8"}};
    const unsb_file files[] = {{"prices.csv", unsb_text("tea,2.50\ncoffee,3.20\n")},
                               {"rate.txt", unsb_text("0.92")}};
    unsb_program program = {.language = "python",
                            .code = unsb_text(code),
                            .env = env,
                            .env_count = 2,
                            .files = files,
                            .file_count = 2,
                            .ttl_s = 30};
    unsb_result result = {.out = {.write = unsb_desktop_write, .context = stdout},
                          .err = {.write = unsb_desktop_write, .context = stderr}};
    int rc = unsb_desktop_open(&d, NULL);

    if (rc == UNSB_OK)
        rc = unsb_execute(&d.client, &program, &result);
    if (rc != UNSB_OK)
        fprintf(stderr, "%s\n", unsb_desktop_explain(&d, rc, &result, why, sizeof why));
    else
        printf("exit code %d, %lu bytes of stdout, %lu of stderr, %ld ms\n",
               (int)result.exit_code, (unsigned long)result.out.size,
               (unsigned long)result.err.size, (long)result.total_time_ms);
    unsb_desktop_close(&d);
    return rc == UNSB_OK && result.success ? 0 : 1;
}
