/* Every TLS port through proxies that are not ours, to the local service: see peers/proxies.sh,
 * which brings them. */
#include "suite.h"
#include "unsandbox_mbedtls.h"
#include "unsandbox_openssl.h"
#include "unsandbox_proxy.h"
#include "service.h"

static const char *const kinds[] = {"tinyproxy", "squid"};
static service proxies[COUNT(kinds)], sandbox;
static unsb_proxy tunnel;
static unsb_proxy_settings settings;
static rig g;
static unsb_result result;
static char out_memory[70000];

/* A client whose connections go by a proxy. */
static void begin(int kind, int tls, bool nonblocking, const char *user, uint16_t number)
{
    char url[200];

    rig_close(&g);
    rig_prepare(&g, tls, nonblocking, number);
    (void)snprintf(url, sizeof url, "http://%s127.0.0.1:%u", user, proxies[kind].port);
    assert_int_equal(unsb_proxy_url(&settings, url), UNSB_OK);
    g.config.host = "127.0.0.1";
    g.config.transport = unsb_proxy_transport(&tunnel, g.config.transport, &settings);
    rig_open(&g);
    memset(&result, 0, sizeof result);
    result.out = unsb_into(out_memory, sizeof out_memory);
}

static void expect(const char *what, int rc, int want, int status)
{
    rc = rig_end(&g, rc);
    if (rc != want || tunnel.status != status)
        fail_msg("%s: %d (%s), the proxy's status %d", what, rc, unsb_proxy_error_text(rc),
                 tunnel.status);
}

/* What a program prints is large enough for several records, and what it is made of, too. */
static void tunnels(int kind)
{
    static char code[40000];
    unsb_program program;
    int way;

    memset(&program, 0, sizeof program);
    memset(code, '#', sizeof code - 1);
    memcpy(code, "print('0123456789' * 5000)\n", 27);
    program.language = "python";
    program.code = unsb_text(code);
    for (way = 0; way < 2 * (WIRES - ON_BEARSSL); way++) {
        int tls = ON_BEARSSL + way / 2;
        begin(kind, tls, way % 2 != 0, "user:pass_word@", sandbox.port);
        expect("execute", unsb_execute(&g.client, &program, &result), UNSB_OK, 200);
        assert_int_equal(result.out.size, 50001);
        assert_int_equal(strspn(out_memory, "0123456789"), 50000);
        expect("again", unsb_languages(&g.client, &result), UNSB_OK, 200);
        assert_int_equal(g.outside.connects, 1); /* it was kept */
        rig_close(&g);
    }
}

static void refusals(int kind, int wrong_status, int nowhere_rc, int nowhere_status)
{
    uint16_t refusing;
    int fd = loopback_socket(&refusing, -1), way;

    for (way = 0; way < 2; way++) {
        begin(kind, ON_OPENSSL, way != 0, "", sandbox.port);
        expect("no credentials", unsb_languages(&g.client, &result), UNSB_E_PROXY_AUTH, 407);
        begin(kind, ON_BEARSSL, way != 0, "user:wrong@", sandbox.port);
        expect("others", unsb_languages(&g.client, &result), UNSB_E_PROXY_AUTH, wrong_status);
        begin(kind, ON_MBEDTLS, way != 0, "user:pass_word@", refusing);
        expect("port", unsb_languages(&g.client, &result), UNSB_E_PROXY_FORBIDDEN, 403);
    }
    rig_close(&g);
    (void)close(fd);
    /* allowed, but no one is there any more */
    service_stop(&sandbox);
    begin(kind, ON_OPENSSL, false, "user:pass_word@", sandbox.port);
    expect("nowhere", unsb_languages(&g.client, &result), nowhere_rc, nowhere_status);
    rig_close(&g);
}

static void start_proxy(int kind)
{
    char number[8];
    const char *argv[] = {"python3", "-B", "peers/proxies.py", kinds[kind], scratch(""), number,
                          NULL};

    service_start(&sandbox, 1, NULL);
    (void)snprintf(number, sizeof number, "%u", sandbox.port);
    service_start_python(&proxies[kind], argv);
}

static int tear_down(void **state)
{
    size_t i;

    (void)state;
    rig_close(&g);
    for (i = 0; i < COUNT(kinds); i++)
        service_stop(&proxies[i]);
    service_stop(&sandbox);
    return 0;
}

static void tinyproxy(void **state)
{
    (void)state;
    start_proxy(0);
    tunnels(0);
    refusals(0, 401, UNSB_E_PROXY, 500); /* it says no more */
}

static void squid(void **state)
{
    (void)state;
    start_proxy(1);
    tunnels(1);
    refusals(1, 407, UNSB_E_CONNECT, 503);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(tinyproxy, tear_down),
                                       cmocka_unit_test_teardown(squid, tear_down)};

    return cmocka_run_group_tests_name("proxies", tests, NULL, NULL);
}
