/* The lwIP port against the contract, over a TAP device to Linux's TCP. What the port calls of
 * lwIP's is limited. */
#define _GNU_SOURCE
#include "conformance.h"
#include "posix_peer.h"
#include "wire.h"

/* Connections fail as lwIP's do: the pcb is gone, and the error callback has told. */
static err_t limited_connect(struct tcp_pcb *pcb, const ip_addr_t *address, u16_t port,
                             tcp_connected_fn connected)
{
    size_t size = 0;

    return conf_allow(CONF_CONNECT, &size) < 0 ? ERR_RTE
                                               : tcp_connect(pcb, address, port, connected);
}

static err_t limited_write(struct tcp_pcb *pcb, const void *data, u16_t size, u8_t flags)
{
    size_t allowed = size;
    int rc = conf_allow(CONF_SEND, &allowed);

    if (rc < 0) {
        tcp_abort(pcb);
        return ERR_CONN;
    }
    return rc == 0 || allowed < size ? ERR_MEM : tcp_write(pcb, data, size, flags);
}

static void limited_recved(struct tcp_pcb *pcb, u16_t size)
{
    size_t allowed = 0;

    if (conf_allow(CONF_RECV, &allowed) < 0)
        tcp_abort(pcb);
    else
        tcp_recved(pcb, size);
}

#define tcp_connect limited_connect
#define tcp_write limited_write
#define tcp_recved limited_recved
#include "unsandbox_lwip.h"
#undef tcp_connect
#undef tcp_write
#undef tcp_recved

static unsb_transport make(void)
{
    static unsb_lwip tcp;
    unsb_lwip_config config;

    memset(&config, 0, sizeof config);
    config.poll = wire_poll;
    return unsb_lwip_transport(&tcp, &config);
}

static uint32_t now_ms(void)
{
    return sys_now();
}

static void idle(void)
{
    wire_poll(NULL);
}

static unsigned resources(void)
{
    wire_poll(NULL);
    return wire_in_use() + posix_peer_descriptors();
}

/* With an argument: says what this machine lacks for it, if anything. */
int main(int argc, char **argv)
{
    const char *missing = wire_open();
    conf_port port;

    (void)argv;
    if (missing != NULL || argc > 1) {
        (void)puts(missing != NULL ? missing : "");
        return argc > 1 ? 0 : 1;
    }
    wire_speed(5);
    memset(&port, 0, sizeof port);
    posix_peer_fill(&port);
    port.name = "conform lwip";
    port.make = make;
    port.now_ms = now_ms;
    port.idle = idle;
    port.unknown_host = "unknown.test";
    port.resources = resources;
    port.limits = true;
    return conf_run(&port);
}
