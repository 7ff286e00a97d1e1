/* The transport through an HTTP proxy against the contract, over a byte queue. The peer is the proxy
 * and, once it has answered, what is behind it. */
#include "conformance.h"
#include "queue_peer.h"

#include "unsandbox_proxy.h"

/* ======================================================================
 * >>beneath  A transport over the queue
 * ====================================================================== */

static struct {
    bool connected;
    int failure;
} beneath;

static int beneath_connect(void *context, const char *host, uint16_t port)
{
    int rc = beneath.connected ? 1 : queue_dial(host, port);

    (void)context;
    beneath.connected = rc == 1;
    return rc == 1 ? UNSB_OK : rc == 0 ? UNSB_PENDING : UNSB_E_CONNECT;
}

static int beneath_send(void *context, const void *data, size_t size)
{
    int rc = size == 0 ? 0 : queue_write(data, size);

    (void)context;
    return rc >= 0 ? rc : UNSB_E_IO;
}

static int beneath_recv(void *context, void *data, size_t size)
{
    int rc = beneath.failure;

    (void)context;
    if (rc == 0 && size != 0)
        rc = queue_read(data, size);
    if (rc < 0 && beneath.failure == 0)
        beneath.failure = rc == CONF_END ? UNSB_E_CLOSED : UNSB_E_IO;
    return rc >= 0 ? rc : beneath.failure;
}

static void beneath_close(void *context)
{
    (void)context;
    if (beneath.connected)
        queue_hang_up();
    beneath.connected = false;
    beneath.failure = 0;
}

static int beneath_wait(void *context, int interest, uint32_t timeout_ms)
{
    uint32_t start_ms = queue_now_ms();

    (void)context;
    do {
        if (((interest & UNSB_READABLE) != 0 && queue_readable()) ||
            ((interest & UNSB_WRITABLE) != 0 && queue_writable()))
            return UNSB_OK;
        if (timeout_ms != 0)
            queue_sleep(1);
    } while (timeout_ms >= UNSB_FOREVER || queue_now_ms() - start_ms < timeout_ms);
    return UNSB_E_TIMEOUT;
}

/* ======================================================================
 * >>proxy
 * ====================================================================== */

/* Sockets behind the proxy: one answers, one refuses, and one is not known. */
#define OPEN_PORT 500
#define REFUSING_PORT 501

static struct {
    bool there, open;
    char head[512];
    size_t have;
    const char *answer;
} served;

static void served_begin(void)
{
    memset(&served, 0, sizeof served);
    served.there = true;
}

static uint16_t peer_listen(void)
{
    (void)queue_listen();
    return OPEN_PORT;
}

static uint16_t peer_refusing(void)
{
    (void)queue_listen();
    return REFUSING_PORT;
}

/* Reads the request byte by byte, as what follows it is not the proxy's; then answers. */
static int peer_accept(void)
{
    int n;

    if (queue_accept() == 1)
        served_begin();
    if (!served.there || served.open)
        return 0;
    while (served.answer == NULL) {
        n = queue_peer_recv(served.head + served.have, 1);
        if (n <= 0)
            return n;
        served.have++;
        assert_true(served.have < sizeof served.head - 1);
        if (strstr(served.head, "\r\n\r\n") == NULL)
            continue;
        assert_int_equal(strncmp(served.head, "CONNECT peer.test:50", 20), 0);
        assert_true(strstr(served.head, "\r\nProxy-Authorization: Basic dTpw\r\n") != NULL);
        served.answer = strstr(served.head, ":501 ") != NULL
                            ? "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno"
                            : "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    }
    n = queue_peer_send(served.answer, strlen(served.answer));
    if (n < 0)
        return n;
    served.answer += n;
    served.open = *served.answer == '\0';
    return served.open && strstr(served.head, ":501 ") == NULL;
}

static void peer_drop(void)
{
    queue_drop();
    memset(&served, 0, sizeof served);
}

static unsb_transport make(void)
{
    static const unsb_transport_class vtable = {beneath_connect, beneath_send, beneath_recv,
                                                beneath_close,   beneath_wait, NULL,
                                                NULL};
    static unsb_proxy proxy;
    static unsb_proxy_settings settings;
    unsb_transport inner;

    (void)unsb_proxy_url(&settings, "http://u:p@peer.test:7");
    inner.vtable = &vtable;
    inner.context = NULL;
    return unsb_proxy_transport(&proxy, inner, &settings);
}

int main(void)
{
    conf_port port;

    memset(&port, 0, sizeof port);
    queue_fill(&port);
    port.name = "conform proxy";
    port.make = make;
    port.listen = peer_listen;
    port.accept = peer_accept;
    port.drop = peer_drop;
    port.refusing = peer_refusing;
    port.unknown_host = NULL; /* it is the proxy that resolves */
    return conf_run(&port);
}
