/* The part of cmocka's interface that the suites use, in one header that needs only the C library:
 * for machines that cmocka does not go to. Put its directory in front (-Itests/mini) and the suites
 * build as they are; each is one file. Results go to stdout as TAP. A failed assertion leaves the
 * test by longjmp; with MINI_NO_SETJMP it ends the program instead, and so does skip(). */
#ifndef MINI_CMOCKA_H
#define MINI_CMOCKA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef MINI_NO_SETJMP
#include <setjmp.h>
#endif

#if defined(__MINGW32__)
#define MINI_PRINTS(text, rest) __attribute__((format(__MINGW_PRINTF_FORMAT, text, rest)))
#elif defined(__GNUC__)
#define MINI_PRINTS(text, rest) __attribute__((format(printf, text, rest)))
#else
#define MINI_PRINTS(text, rest)
#endif
#if defined(__GNUC__)
#define MINI_NORETURN __attribute__((noreturn))
#else
#define MINI_NORETURN
#endif

typedef void (*CMUnitTestFunction)(void **state);
typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
    const char *name;
    CMUnitTestFunction test_func;
    CMFixtureFunction setup_func, teardown_func;
    void *initial_state;
};

/* What became of a test or a fixture. */
enum { MINI_PASSED = 0, MINI_FAILED = 1, MINI_SKIPPED = 2 };

static struct mini {
#ifndef MINI_NO_SETJMP
    jmp_buf back;
#endif
    const char *name; /* of the test that runs */
    unsigned number;
} mini;

/* ---- verdicts ---- */

static inline void mini_verdict(int outcome, const char *why)
{
    if (outcome == MINI_SKIPPED)
        printf("ok %u # SKIP %s\n", mini.number, mini.name);
    else
        printf("%s %u - %s%s\n", outcome == MINI_PASSED ? "ok" : "not ok", mini.number, mini.name,
               why);
    fflush(stdout); /* the next test may crash */
}

MINI_NORETURN static inline void mini_leave(int outcome)
{
#ifndef MINI_NO_SETJMP
    longjmp(mini.back, outcome);
#else
    mini_verdict(outcome, "");
    printf("Bail out! a test cannot be left here\n");
    exit(1);
#endif
}

MINI_NORETURN static inline void mini_fail(const char *file, int line)
{
    printf("# %s:%d: error: Failure!\n", file, line);
    mini_leave(MINI_FAILED);
}

MINI_PRINTS(1, 2) static inline void print_message(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vprintf(format, list);
    va_end(list);
}

MINI_PRINTS(1, 2) static inline void print_error(const char *format, ...)
{
    va_list list;

    printf("# ");
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
}

MINI_NORETURN MINI_PRINTS(3, 4) static inline void mini_fail_msg(const char *file, int line,
                                                                 const char *format, ...)
{
    va_list list;

    printf("# ERROR: ");
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
    mini_fail(file, line);
}

/* ---- assertions ---- */

/* In hexadecimal; not every printf knows 64 bits. */
static inline void mini_print_number(uintmax_t value)
{
    char digits[sizeof value * 2 + 1], *p = digits + sizeof digits - 1;

    *p = '\0';
    do
        *--p = "0123456789abcdef"[value & 15];
    while ((value >>= 4) != 0);
    printf("0x%s", p);
}

static inline void mini_numbers(uintmax_t a, const char *relation, uintmax_t b)
{
    printf("# ");
    mini_print_number(a);
    printf(" %s ", relation);
    mini_print_number(b);
    printf("\n");
}

static inline void mini_assert_equal(uintmax_t a, uintmax_t b, int equal, const char *file,
                                     int line)
{
    if ((a == b) == (equal != 0))
        return;
    mini_numbers(a, a == b ? "==" : "!=", b);
    mini_fail(file, line);
}

static inline void mini_assert_in_range(uintmax_t value, uintmax_t least, uintmax_t most,
                                        const char *file, int line)
{
    if (value >= least && value <= most)
        return;
    mini_numbers(value, value < least ? "<" : ">", value < least ? least : most);
    mini_fail(file, line);
}

static inline void mini_assert_strings(const char *a, const char *b, int equal, const char *file,
                                       int line)
{
    if (a != NULL && b != NULL && (strcmp(a, b) == 0) == (equal != 0))
        return;
    printf("# \"%s\" %s \"%s\"\n", a != NULL ? a : "(NULL)",
           equal ? "!=" : "==", b != NULL ? b : "(NULL)");
    mini_fail(file, line);
}

static inline void mini_assert_memory(const void *a, const void *b, size_t size, int equal,
                                      const char *file, int line)
{
    const unsigned char *p = (const unsigned char *)a, *q = (const unsigned char *)b;
    size_t i = 0;

    while (i < size && p[i] == q[i])
        i++;
    if ((i == size) == (equal != 0))
        return;
    if (i == size)
        printf("# %lu bytes are the same\n", (unsigned long)size);
    else
        printf("# at %lu of %lu: 0x%02x != 0x%02x\n", (unsigned long)i, (unsigned long)size, p[i],
               q[i]);
    mini_fail(file, line);
}

static inline void mini_assert_true(int holds, const char *text, const char *file, int line)
{
    if (holds)
        return;
    printf("# %s\n", text);
    mini_fail(file, line);
}

#define assert_true(c) mini_assert_true((c) ? 1 : 0, #c, __FILE__, __LINE__)
#define assert_false(c) mini_assert_true((c) ? 0 : 1, "not: " #c, __FILE__, __LINE__)
#define assert_null(p) mini_assert_true((p) == NULL, #p " == NULL", __FILE__, __LINE__)
#define assert_non_null(p) mini_assert_true((p) != NULL, #p " != NULL", __FILE__, __LINE__)
#define assert_int_equal(a, b)                                                                     \
    mini_assert_equal((uintmax_t)(a), (uintmax_t)(b), 1, __FILE__, __LINE__)
#define assert_int_not_equal(a, b)                                                                 \
    mini_assert_equal((uintmax_t)(a), (uintmax_t)(b), 0, __FILE__, __LINE__)
#define assert_ptr_equal(a, b)                                                                     \
    mini_assert_equal((uintptr_t)(a), (uintptr_t)(b), 1, __FILE__, __LINE__)
#define assert_ptr_not_equal(a, b)                                                                 \
    mini_assert_equal((uintptr_t)(a), (uintptr_t)(b), 0, __FILE__, __LINE__)
#define assert_in_range(value, least, most)                                                        \
    mini_assert_in_range((uintmax_t)(value), (uintmax_t)(least), (uintmax_t)(most), __FILE__,      \
                         __LINE__)
#define assert_string_equal(a, b) mini_assert_strings(a, b, 1, __FILE__, __LINE__)
#define assert_string_not_equal(a, b) mini_assert_strings(a, b, 0, __FILE__, __LINE__)
#define assert_memory_equal(a, b, size) mini_assert_memory(a, b, size, 1, __FILE__, __LINE__)
#define assert_memory_not_equal(a, b, size) mini_assert_memory(a, b, size, 0, __FILE__, __LINE__)
#define fail() mini_fail(__FILE__, __LINE__)
#define fail_msg(...) mini_fail_msg(__FILE__, __LINE__, __VA_ARGS__)
#define skip() mini_leave(MINI_SKIPPED)

/* ---- running ---- */

#define cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, state)                        \
    {                                                                                              \
#f, f, setup, teardown, state                                                              \
    }
#define cmocka_unit_test_setup_teardown(f, setup, teardown)                                        \
    cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, NULL)
#define cmocka_unit_test(f) cmocka_unit_test_setup_teardown(f, NULL, NULL)
#define cmocka_unit_test_setup(f, setup) cmocka_unit_test_setup_teardown(f, setup, NULL)
#define cmocka_unit_test_teardown(f, teardown) cmocka_unit_test_setup_teardown(f, NULL, teardown)

/* One of the two, with a way back out of it. */
static inline int mini_call(CMUnitTestFunction test, CMFixtureFunction fixture, void **state)
{
#ifndef MINI_NO_SETJMP
    int outcome = setjmp(mini.back);

    if (outcome != 0)
        return outcome;
#endif
    if (fixture != NULL)
        return fixture(state) == 0 ? MINI_PASSED : MINI_FAILED;
    if (test != NULL)
        test(state);
    return MINI_PASSED;
}

static inline int mini_run_test(const struct CMUnitTest *test, void *group_state)
{
    void *own = test->initial_state != NULL ? test->initial_state : group_state;
    void **state = &own;
    int outcome = mini_call(NULL, test->setup_func, state);

    if (outcome != MINI_PASSED) {
        mini_verdict(outcome, ": the setup failed");
        return outcome;
    }
    outcome = mini_call(test->test_func, NULL, state);
    if (mini_call(NULL, test->teardown_func, state) == MINI_FAILED && outcome == MINI_PASSED) {
        mini_verdict(MINI_FAILED, ": the teardown failed");
        return MINI_FAILED;
    }
    mini_verdict(outcome, "");
    return outcome;
}

/* Returns how many failed. */
static inline int mini_run(const char *group, const struct CMUnitTest *tests, size_t count,
                           CMFixtureFunction setup, CMFixtureFunction teardown)
{
    void *state = NULL;
    int failed = 0;
    size_t i;

    mini.number = 0;
    mini.name = group;
    printf("1..%u\n", (unsigned)count);
    if (mini_call(NULL, setup, &state) != MINI_PASSED) {
        mini_verdict(MINI_FAILED, ": the group's setup failed");
        return (int)count;
    }
    for (i = 0; i < count; i++) {
        mini.number++;
        mini.name = tests[i].name;
        if (mini_run_test(&tests[i], state) == MINI_FAILED)
            failed++;
    }
    mini.number++;
    mini.name = group;
    if (mini_call(NULL, teardown, &state) != MINI_PASSED) {
        mini_verdict(MINI_FAILED, ": the group's teardown failed");
        failed++;
    }
    return failed;
}

#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
    mini_run(name, tests, sizeof(tests) / sizeof *(tests), setup, teardown)
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    cmocka_run_group_tests_name(#tests, tests, setup, teardown)

#endif
