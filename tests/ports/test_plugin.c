/* A plugin with the POSIX port in it is unloaded while it resolves a name. UNSB_TEST_PLUGIN names
 * it: posix_lookup.c, built as a shared object. */
#include "suite.h"
#include "service.h"

#include <dlfcn.h>

static unsigned threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    unsigned count = 0;

    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

/* Loads the plugin, begins a look-up, and unloads it; the descriptor lets the look-up go on. */
static int load_and_unload(const char *path)
{
    union { /* ISO C has no conversion from one to the other */
        void *object;
        int (*function)(int begun, int go_on);
    } start;
    int begun[2], go_on[2];
    char byte;
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (plugin == NULL)
        fail_msg("%s", dlerror());
    start.object = dlsym(plugin, "start_look_up");
    assert_non_null(start.object);
    assert_int_equal(pipe(begun), 0);
    assert_int_equal(pipe(go_on), 0);
    assert_int_equal(start.function(begun[1], go_on[0]), UNSB_PENDING);
    assert_int_equal(read(begun[0], &byte, 1), 1);
    assert_int_equal(dlclose(plugin), 0);
    return go_on[1];
}

static void unloaded(void **state)
{
    const char *path = getenv("UNSB_TEST_PLUGIN");
    unsigned before = threads(), round;
    bool ended;
    pid_t child;

    (void)state;
    if (path == NULL || before == 0) {
        print_message("# skipped: no plugin is named, or there is no /proc/self/task\n");
        skip();
    }
    for (round = 0; round < 3; round++) {
        int go_on = load_and_unload(path), status = -1;
        if (round == 1) { /* what runs at a fork must be there, too */
            child = fork();
            if (child == 0)
                _exit(0);
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_int_equal(status, 0);
        }
        assert_int_equal(write(go_on, "", 1), 1);
        EVENTUALLY(threads() == before, ended);
        assert_true(ended);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(unloaded)};

    return cmocka_run_group_tests_name("plugin", tests, NULL, NULL);
}
