/* Loads plug-ins, runs a line of Python by each, and closes them, time after time: no thread and no
 * descriptor is left. With "gone" they are out of memory, too; else the helper thread of look-ups
 * has pinned them, see unsandbox_posix.h: unload gone|pinned FILE... */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 5, PLUGINS_MAX = 4 };

/* How many entries a directory has. */
static int entries(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;

    while (directory != NULL && readdir(directory) != NULL)
        count++;
    if (directory != NULL)
        closedir(directory);
    return count;
}

static int round_trip(char **files, int count, int gone)
{
    void *plugins[PLUGINS_MAX];
    char text[1024];
    int i, failed = 0;

    for (i = 0; i < count; i++) {
        int (*run)(const char *, const char *, char *, size_t);
        void *symbol;
        plugins[i] = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
        symbol = plugins[i] != NULL ? dlsym(plugins[i], "plugin_run") : NULL;
        memcpy(&run, &symbol, sizeof run);
        if (symbol == NULL || run("python", "print(6 * 7)", text, sizeof text) != 0 ||
            strcmp(text, "42\n") != 0)
            failed = 1;
    }
    for (i = 0; i < count; i++)
        if (plugins[i] == NULL || dlclose(plugins[i]) != 0 ||
            (dlopen(files[i], RTLD_NOW | RTLD_NOLOAD) == NULL) != gone)
            failed = 1;
    return failed;
}

int main(int argc, char **argv)
{
    int count = argc - 2 < PLUGINS_MAX ? argc - 2 : PLUGINS_MAX, i, descriptors, failed;
    int gone = count > 0 && strcmp(argv[1], "gone") == 0;
    struct timespec pause = {0, 10000000};

    failed = count <= 0 || round_trip(argv + 2, count, gone);
    descriptors = entries("/proc/self/fd");
    for (i = 0; i < ROUNDS && failed == 0; i++)
        failed |= round_trip(argv + 2, count, gone);
    for (i = 0; i < 1000 && entries("/proc/self/task") != 3; i++) /* ".", ".." and this one */
        nanosleep(&pause, NULL);
    if (entries("/proc/self/task") != 3)
        printf("threads are left\n"), failed = 1;
    if (entries("/proc/self/fd") != descriptors)
        printf("descriptors are left\n"), failed = 1;
    if (failed == 0)
        printf("nothing is left\n");
    return failed;
}
