/* ports/template.h, filled in over a byte queue, against the contract. */
#include "conformance.h"
#include "queue_peer.h"

#include "template.h"

static bool interrupted; /* as a signal's handler would set it */

static int unsb_template_open(unsb_template *t, const char *host, uint16_t port)
{
    int rc = queue_dial(host, port);

    if (rc == 1)
        return UNSB_OK;
    if (rc == 0)
        return UNSB_PENDING;
    t->error = rc;
    return rc == QUEUE_UNKNOWN ? UNSB_E_RESOLVE : UNSB_E_CONNECT;
}

static int unsb_template_write(unsb_template *t, const void *data, size_t size)
{
    int rc = queue_write(data, size);

    if (rc >= 0)
        return rc;
    t->error = rc;
    return UNSB_E_IO;
}

static int unsb_template_read(unsb_template *t, void *data, size_t size)
{
    int rc = queue_read(data, size);

    if (rc >= 0)
        return rc;
    t->error = rc;
    return rc == CONF_END ? UNSB_E_CLOSED : UNSB_E_IO;
}

static void unsb_template_shut(unsb_template *t)
{
    assert_true(t->platform == (void *)&queue_line);
    queue_hang_up();
}

static int unsb_template_wait(unsb_template *t, int interest, uint32_t timeout_ms)
{
    uint32_t start_ms = queue_now_ms();

    (void)t;
    do {
        if (interrupted)
            return UNSB_E_ABORTED;
        if (((interest & UNSB_READABLE) != 0 && queue_readable()) ||
            ((interest & UNSB_WRITABLE) != 0 && queue_writable()))
            return UNSB_OK;
        if (timeout_ms != 0)
            queue_sleep(1);
    } while (timeout_ms >= UNSB_FOREVER || queue_now_ms() - start_ms < timeout_ms);
    return UNSB_E_TIMEOUT;
}

static unsb_transport make(void)
{
    static unsb_template port;

    return unsb_template_transport(&port, &queue_line);
}

static void interrupt(void)
{
    interrupted = true;
}

/* A blocking call that waits for its answer is ended from outside, and the client goes on. */
static void interrupted_call(void **state)
{
    unsb_client client;
    unsb_config config;
    unsb_program program;
    unsb_result result;
    char buffer[256];
    int round;

    (void)state;
    conf_begin();
    memset(&config, 0, sizeof config);
    memset(&program, 0, sizeof program);
    memset(&result, 0, sizeof result);
    config.transport = conf.t;
    config.api_key = "key";
    config.host = conf.port->host;
    config.port = conf.port->listen();
    config.buffer = buffer;
    config.buffer_size = sizeof buffer;
    config.now_ms = NULL;
    program.language = "sh";
    program.code = unsb_text(":");
    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
    for (round = 0; round < 2; round++) {
        assert_true(queue_later(50, interrupt));
        assert_int_equal(unsb_execute(&client, &program, &result), UNSB_E_ABORTED);
        assert_true(interrupted);
        interrupted = false;
        assert_int_equal(queue_line.held, 0); /* closed */
    }
    unsb_close(&client);
    conf_end();
}

int main(void)
{
    const struct CMUnitTest own[] = {cmocka_unit_test(interrupted_call)};
    conf_port port;
    int failed;

    memset(&port, 0, sizeof port);
    queue_fill(&port);
    port.name = "conform template";
    port.make = make;
    failed = conf_run(&port);
    failed += cmocka_run_group_tests_name("template", own, NULL, NULL);
    return failed;
}
