/* unsandbox_address.h: what is an address, what is a name, what is neither. */
#include "suite.h"

#include <arpa/inet.h>

#include "unsandbox_address.h"
#include "guard.h"

static guard input;

/* Behind the text there is nothing that could be read. */
static const char *exactly(const char *text)
{
    return (const char *)guard_put(&input, text, strlen(text) + 1);
}

static void ipv4(void **state)
{
    static const char *const good[] = {"0.0.0.0", "127.0.0.1", "192.0.2.1", "255.255.255.255",
                                       "1.20.100.9"};
    static const char *const bad[] = {
        "",           ".",         "1",          "127.1",       "1.2.3",       "1.2.3.",
        "1.2.3.4.",   "1.2.3.4.5", ".1.2.3.4",   "1..3.4",      "256.1.1.1",   "1.1.1.256",
        "1.1.1.1000", "01.1.1.1",  "1.1.1.00",   "1.1.1.1 ",    " 1.1.1.1",    "0x7f.1.1.1",
        "1.1.1.a",    "1.1.1.-1",  "1.1.1.+1",   "4294967297.1.1.1", "1,2,3,4", "1.1.1.1/8"};
    uint8_t address[5], want[4];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        address[4] = 0xEE;
        assert_true(unsb_address_ipv4(exactly(good[i]), address));
        assert_int_equal(inet_pton(AF_INET, good[i], want), 1);
        assert_memory_equal(address, want, 4);
        assert_int_equal(address[4], 0xEE);
    }
    for (i = 0; i < COUNT(bad); i++)
        if (unsb_address_ipv4(exactly(bad[i]), address))
            fail_msg("\"%s\" is taken", bad[i]);
}

/* Against the C library's reader, which knows no zones. */
static void ipv6(void **state)
{
    static const char *const texts[] = {
        "::", "::1", "1::", "2001:db8::1", "fe80::1:2:3:4", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1",
        "1:2:3:4:5:6:192.0.2.1", "1::192.0.2.1", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7::",
        "ABCD:EF01:2345:6789:abcd:ef01:2345:6789", "0:0:0:0:0:0:0:0", "1:2:3::6:7:8", "::ffff",
        /* and what is none */
        "", ":", ":::", "1", "1:", "1:2", ":1", ":1::", "::1:", "1:::2", "1::2::3", "12345::",
        "g::", "::g", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1:2:3:4:5:6:7:8:", "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "::1.2.3.4:1",
        "::1.2.3.256", "1.2.3.4::", "::.1.2.3", "[::1]", "::1 ", " ::1", "::1/64", "-1::", "::-1",
        "::00001", "1:2:3:4:5:6:7:1.2.3", "1.2.3.4", "::01.2.3.4"};
    uint8_t address[17], want[16];
    size_t i, taken = 0;

    (void)state;
    for (i = 0; i < COUNT(texts); i++) {
        bool is_one = inet_pton(AF_INET6, texts[i], want) == 1;

        address[16] = 0xEE;
        if (unsb_address_ipv6(exactly(texts[i]), address) != is_one)
            fail_msg("\"%s\" is %s", texts[i], is_one ? "refused" : "taken");
        if (is_one)
            assert_memory_equal(address, want, 16);
        assert_int_equal(address[16], 0xEE);
        taken += is_one;
    }
    assert_int_equal(taken, 15);
}

static void zones(void **state)
{
    static const char *const good[] = {"fe80::1%eth0", "fe80::1%", "::%1", "1:2:3:4:5:6:7:8%a:b"};
    static const char *const bad[] = {"%eth0", "1%", "1:%", "1:2:%x", "::1:%x", "::1.2.3.4%x"};
    uint8_t address[16];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++)
        assert_true(unsb_address_ipv6(exactly(good[i]), address));
    for (i = 0; i < COUNT(bad); i++)
        if (unsb_address_ipv6(exactly(bad[i]), address))
            fail_msg("\"%s\" is taken", bad[i]);
}

/* Every text of few characters, against the C library. */
static void all_short_texts(void **state)
{
    static const char letters[] = "01f:.";
    const size_t base = sizeof letters - 1;
    uint8_t address[16], want[16];
    size_t number, taken = 0;
    char text[9];

    (void)state;
    for (number = 0; number < 390625; number++) { /* 5 to the 8th; shorter ones end with "0" */
        size_t rest = number, i;

        for (i = 0; i < 8; i++, rest /= base)
            text[i] = letters[rest % base];
        text[8] = '\0';
        for (i = 0; i < 2; i++) {
            bool v6 = i == 1;
            bool got = v6 ? unsb_address_ipv6(text, address) : unsb_address_ipv4(text, address);

            if (got != (inet_pton(v6 ? AF_INET6 : AF_INET, text, want) == 1))
                fail_msg("\"%s\" is %s", text, got ? "taken" : "refused");
            if (got)
                assert_memory_equal(address, want, v6 ? 16 : 4);
            taken += got;
        }
    }
    assert_true(taken > 1000);
}

static void hex(void **state)
{
    static const struct {
        const char *text;
        size_t digits;
        unsigned value;
    } cases[] = {{"", 0, 0},       {"0", 1, 0},        {"f", 1, 15},      {"F0", 2, 0xF0},
                 {"aBcD", 4, 0xABCD}, {"12:", 2, 0x12},   {"0000g", 4, 0},   {"g", 0, 0},
                 {"@", 0, 0},      {"1`", 1, 1},       {"/1", 0, 0}};
    unsigned value;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(unsb_address_hex(exactly(cases[i].text), &value), cases[i].digits);
        assert_int_equal(value, cases[i].value);
    }
    assert_int_equal(unsb_address_hex("12345", &value), 0);
}

static void hosts(void **state)
{
    static const struct {
        const char *host, *name; /* NULL: none */
        int size;                /* -1: refused */
    } cases[] = {{"api.unsandbox.com", "api.unsandbox.com", 0},
                 {"api.unsandbox.com.", "api.unsandbox.com", 0},
                 {"localhost", "localhost", 0},
                 {"a", "a", 0},
                 {"1.example", "1.example", 0},
                 {"1.2.3.4a", "1.2.3.4a", 0},
                 {"0x7f.0x1", "0x7f.0x1", 0},
                 {"a..b", "a..b", 0},
                 {"1-2", "1-2", 0},
                 {"127.0.0.1", NULL, 4},
                 {"::1", NULL, 16},
                 {"fe80::1%lo", NULL, 16},
                 {NULL, NULL, -1},
                 {"", NULL, -1},
                 {".", NULL, -1},
                 {"..", NULL, -1},
                 {".example", NULL, -1},
                 {"example..", NULL, -1},
                 {"127.1", NULL, -1},
                 {"127.0.0.1.", NULL, -1},
                 {"2130706433", NULL, -1},
                 {"a.1", NULL, -1},
                 {"1.2.3.04", NULL, -1},
                 {"a:1", NULL, -1},
                 {"[::1]", NULL, -1}};
    uint8_t address[16], size;
    char name[256];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        const char *host = cases[i].host != NULL ? exactly(cases[i].host) : NULL;
        bool is_one = unsb_address_host(host, name, address, &size);

        if (is_one != (cases[i].size >= 0))
            fail_msg("\"%s\" is %s", cases[i].host, is_one ? "taken" : "refused");
        if (is_one)
            assert_int_equal(size, cases[i].size);
        if (cases[i].name != NULL)
            assert_string_equal(name, cases[i].name);
    }
}

/* Of 255 bytes, one more, and with the root's dot. */
static void long_names(void **state)
{
    uint8_t address[16], size;
    char host[300], name[256];
    size_t length;

    (void)state;
    for (length = 250; length < 260; length++) {
        int dot;

        for (dot = 0; dot < 2; dot++) {
            memset(host, 'a', sizeof host);
            host[length] = '.';
            host[length + (size_t)dot] = '\0';
            assert_int_equal(unsb_address_host(host, name, address, &size), length <= 255);
            if (length <= 255) {
                assert_int_equal(strlen(name), length);
                assert_int_equal(size, 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4),  cmocka_unit_test(ipv6),  cmocka_unit_test(zones),
        cmocka_unit_test(all_short_texts), cmocka_unit_test(hex),
        cmocka_unit_test(hosts), cmocka_unit_test(long_names)};

    int failed;

    input = guard_open(256);
    failed = cmocka_run_group_tests_name("address", tests, NULL, NULL);
    guard_close(&input);
    return failed;
}
