/* Names of files with directories in them: the option UNSB_FILENAME_SLASH. */
#define UNSB_FILENAME_SLASH 1
#include "script_io.h"

static void test_filenames(void **state)
{
    static const char *const good[] = {"a", "a/b", "a/b/c.txt", "...", "a/...", "a/.b", "a/..b",
                                       ".a/b", "a../b", "a b/c", "\xC3\xA9/\xE2\x82\xAC"};
    static const char *const bad[] = {"",     "/",      "a/",    "/a",    "a//b",   ".",   "..",
                                      "./a",  "../a",   "a/.",   "a/..",  "a/./b",  "a/../b",
                                      "a\\b", "a/b\\c", "a\n/b", "a/\x7F"};
    char name[300];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++)
        if (!unsbi_is_filename(good[i]))
            fail_msg("%s is refused", good[i]);
    for (i = 0; i < COUNT(bad); i++)
        if (unsbi_is_filename(bad[i]))
            fail_msg("%s is taken", bad[i]);
    for (i = 250; i < 260; i++) { /* the limit is the whole name's, slashes included */
        memset(name, 'a', i);
        name[i / 2] = '/';
        name[i] = '\0';
        assert_int_equal(unsbi_is_filename(name), i <= UNSB_FILENAME_MAX);
    }
}

/* A file in a directory arrives as it is named. */
static void test_sent(void **state)
{
    static script_io io;
    static unsb_client client;
    static unsb_result result;
    io_script script;
    unsb_config config;
    unsb_program program;
    unsb_file file;
    char buffer[256];

    (void)state;
    memset(&script, 0, sizeof script);
    script.replies[0] = io_reply(200, "", "{\"exit_code\":0}");
    io_setup(&io, &script, 1);
    config = io_config(&io, buffer, sizeof buffer, false);
    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
    memset(&program, 0, sizeof program);
    memset(&file, 0, sizeof file);
    program.language = "c";
    program.code = unsb_text("x");
    program.files = &file;
    program.file_count = 1;
    file.name = "../x";
    file.source = unsb_text("y");
    assert_int_equal(unsb_execute(&client, &program, &result), UNSB_E_FILENAME);
    assert_int_equal(io.calls, 0);
    file.name = "include/x.h";
    assert_int_equal(unsb_execute(&client, &program, &result), UNSB_OK);
    assert_non_null(strstr(io.connection[0].sent, "\"filename\":\"include/x.h\""));
    unsb_close(&client);
    io_free(&io);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filenames),
        cmocka_unit_test(test_sent),
    };

    return cmocka_run_group_tests_name("slash", tests, NULL, NULL);
}
