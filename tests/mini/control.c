/* Shows that the runner in cmocka.h sees failures on this machine: of these tests exactly those
 * named fail_ must fail, and skip_ be skipped. Says what kind of machine it is, too. */
#include <cmocka.h>
#include "facts.h"

static int torn_down;

static int setup(void **state)
{
    static int seven = 7;

    *state = &seven;
    return 0;
}

static int fail_setup(void **state)
{
    (void)state;
    fail();
    return 0; /* for compilers that do not know */
}

static int refuse(void **state)
{
    (void)state;
    return -1;
}

static int teardown(void **state)
{
    (void)state;
    torn_down++;
    return 0;
}

static void pass_equal(void **state)
{
    static const char text[] = "text";

    (void)state;
    assert_true(torn_down == 0);
    assert_false(torn_down != 0);
    assert_null(*state);
    assert_non_null(state);
    assert_int_equal(-1, -1);
    assert_int_not_equal(0x100000000u, 0);
    assert_in_range(5, 5, 5);
    assert_ptr_equal(text, &text[0]);
    assert_ptr_not_equal(text, text + 1);
    assert_string_equal(text, "text");
    assert_string_not_equal(text, "texts");
    assert_memory_equal(text, "textual", 4);
    assert_memory_not_equal(text, "textual", 5);
}

static void pass_state(void **state)
{
    assert_int_equal(*(int *)*state, 7);
}

static void skip_it(void **state)
{
    (void)state;
    skip();
}

static void fail_true(void **state)
{
    (void)state;
    assert_true(torn_down > 100);
}

static void fail_false(void **state)
{
    (void)state;
    assert_false(torn_down < 100);
}

static void fail_null(void **state)
{
    assert_null(state);
}

static void fail_non_null(void **state)
{
    assert_non_null(*state);
}

static void fail_equal(void **state)
{
    (void)state;
    assert_int_equal(0x100000001u, 1); /* the upper half counts, too */
}

static void fail_not_equal(void **state)
{
    (void)state;
    assert_int_not_equal(2, 2);
}

static void fail_below(void **state)
{
    (void)state;
    assert_in_range(4, 5, 6);
}

static void fail_above(void **state)
{
    (void)state;
    assert_in_range(7, 5, 6);
}

static void fail_string(void **state)
{
    (void)state;
    assert_string_equal("text", "tex");
}

static void fail_same_string(void **state)
{
    (void)state;
    assert_string_not_equal("text", "text");
}

static void fail_memory(void **state)
{
    (void)state;
    assert_memory_equal("a\0b", "a\0c", 3); /* beyond a NUL */
}

static void fail_same_memory(void **state)
{
    (void)state;
    assert_memory_not_equal("a\0b", "a\0c", 2);
}

static void fail_message(void **state)
{
    (void)state;
    fail_msg("%d of %s", 1, "these");
}

static void fail_in_setup(void **state)
{
    (void)state;
}

static void fail_in_teardown(void **state)
{
    (void)state;
}

static void pass_torn_down(void **state)
{
    (void)state;
    assert_int_equal(torn_down, 3); /* after a success, a skip and a failure */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pass_equal),
        cmocka_unit_test_setup_teardown(pass_state, setup, teardown),
        cmocka_unit_test_teardown(skip_it, teardown),
        cmocka_unit_test_setup_teardown(fail_true, setup, teardown),
        cmocka_unit_test(fail_false),
        cmocka_unit_test(fail_null),
        cmocka_unit_test(fail_non_null),
        cmocka_unit_test(fail_equal),
        cmocka_unit_test(fail_not_equal),
        cmocka_unit_test(fail_below),
        cmocka_unit_test(fail_above),
        cmocka_unit_test(fail_string),
        cmocka_unit_test(fail_same_string),
        cmocka_unit_test(fail_memory),
        cmocka_unit_test(fail_same_memory),
        cmocka_unit_test(fail_message),
        cmocka_unit_test_setup(fail_in_setup, fail_setup),
        cmocka_unit_test_setup(fail_in_setup, refuse),
        cmocka_unit_test_teardown(fail_in_teardown, refuse),
        cmocka_unit_test(pass_torn_down),
    };

    print_facts();
    return cmocka_run_group_tests_name("control", tests, NULL, NULL) == 16 ? 0 : 1;
}
