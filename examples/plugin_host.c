/* Loads plug-ins, runs a line of Python by each, and unloads them: plugin_host FILE... */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { PLUGINS_MAX = 4 };

int main(int argc, char **argv)
{
    void *plugins[PLUGINS_MAX];
    int count = argc - 1 < PLUGINS_MAX ? argc - 1 : PLUGINS_MAX, i, failed = 0;
    char text[1024];

    for (i = 0; i < count; i++)
        if ((plugins[i] = dlopen(argv[i + 1], RTLD_NOW | RTLD_LOCAL)) == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
    for (i = 0; i < count; i++) {
        int (*run)(const char *, const char *, char *, size_t);
        void *symbol = dlsym(plugins[i], "plugin_run");
        memcpy(&run, &symbol, sizeof run); /* ISO C has no cast from one to the other */
        if (symbol == NULL || run("python", "print(6 * 7)", text, sizeof text) != 0)
            failed = 1;
        printf("plug-in %d: %s\n", i + 1, text);
    }
    for (i = 0; i < count; i++)
        if (dlclose(plugins[i]) != 0)
            failed = 1;
    if (failed == 0)
        printf("both closed\n");
    return failed;
}
