/* Callbacks that do not return: exceptions out of every kind of them, thrown through the library,
 * which is compiled as C++ here. unsb_abort() and unsb_close() then always work. */
#include "../suites/script_io.h"

#include <stdexcept>
#include <string>

static const char answer[] =
    "{\"stdout\":\"out\",\"stderr\":\"err\",\"artifacts\":[{\"filename\":\"a\",\"content_base64\":"
    "\"QUJD\"}],\"exit_code\":3}";

enum { NOBODY, SOURCE, OUT, ERR, ARTIFACT, NAME, ITEM, KINDS };

static script_io io;
static io_script script;
static unsb_client client;
static unsb_result result;
static char buffer[512];
static int thrower;

static void maybe(int kind)
{
    if (thrower == kind)
        throw std::runtime_error("out of a callback");
}

static int read_code(void *, unsb_size, void *data, size_t size)
{
    maybe(SOURCE);
    memset(data, 'x', size);
    return (int)size;
}

static int write_out(void *, const void *, size_t)
{
    maybe(OUT);
    return 0;
}

static int write_err(void *, const void *, size_t)
{
    maybe(ERR);
    return 0;
}

static int write_name(void *, const void *, size_t)
{
    maybe(NAME);
    return 0;
}

static int on_artifact(void *, const unsb_artifact *)
{
    maybe(ARTIFACT);
    return 0;
}

static int on_item(void *, const unsb_result *)
{
    maybe(ITEM);
    return 0;
}

static void start(bool nonblocking)
{
    io_free(&io);
    memset(&script, 0, sizeof script);
    script.replies[0] = script.replies[1] =
        io_reply(200, "", thrower == ITEM ? "[\"python\",\"c\"]" : answer);
    io_setup(&io, &script, 1);
    unsb_config config = io_config(&io, buffer, sizeof buffer, nonblocking);
    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
    memset(&result, 0, sizeof result);
    result.out.write = write_out;
    result.err.write = write_err;
    result.artifact_name.write = write_name;
    result.on_artifact = on_artifact;
    result.on_item = on_item;
}

static int call()
{
    static unsb_program program;
    program.language = "c";
    program.code.size = 300;
    program.code.read = read_code;
    return io_finish(&io, &client,
                     thrower == ITEM ? unsb_languages(&client, &result)
                                     : unsb_execute(&client, &program, &result));
}

static void thrown_and_aborted(void **)
{
    for (int kind = SOURCE; kind < KINDS; kind++)
        for (int mode = 0; mode < 2; mode++) {
            std::string caught;
            thrower = kind;
            start(mode != 0);
            try {
                (void)call();
            } catch (const std::runtime_error &error) {
                caught = error.what();
            }
            assert_string_equal(caught.c_str(), "out of a callback");
            /* until it is told otherwise, the client is in the middle of something */
            assert_int_equal(unsb_poll(&client), UNSB_E_BUSY);
            assert_int_equal(unsb_job_list(&client, &result), UNSB_E_BUSY);
            unsb_abort(&client);
            assert_false(io.connected);
            assert_int_equal(unsb_poll(&client), UNSB_E_ABORTED);
            if (kind != ITEM) {
                thrower = NOBODY;
                assert_int_equal(call(), UNSB_OK);
                assert_int_equal(result.exit_code, 3);
            }
            unsb_close(&client);
        }
}

static void thrown_and_closed(void **)
{
    for (int kind = SOURCE; kind < KINDS; kind++)
        for (int mode = 0; mode < 2; mode++) {
            bool caught = false;
            thrower = kind;
            start(mode != 0);
            try {
                (void)call();
            } catch (const std::exception &) {
                caught = true;
            }
            assert_true(caught);
            unsb_close(&client);
            assert_false(io.connected || io.connecting);
            for (size_t i = 0; i < sizeof buffer; i++)
                assert_int_equal(buffer[i], 0);
            const unsigned char *p = (const unsigned char *)&client;
            for (size_t i = 0; i < sizeof client; i++)
                assert_int_equal(p[i], 0);
        }
}

int main()
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(thrown_and_aborted),
                                       cmocka_unit_test(thrown_and_closed)};
    int failed = cmocka_run_group_tests_name("exceptions", tests, NULL, NULL);

    io_free(&io);
    return failed;
}
