/* ports/template.h, filled in over a byte queue, against the contract. */
#include "conformance.h"
#include "queue_peer.h"

#include "template.h"

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

int main(void)
{
    conf_port port;

    memset(&port, 0, sizeof port);
    queue_fill(&port);
    port.name = "conform template";
    port.make = make;
    return conf_run(&port);
}
