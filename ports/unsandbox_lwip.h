/* unsandbox_lwip.h - transport for unsandbox.h over lwIP's raw API (TCP, IPv4, IPv6)
 *
 * lwIP 2.1 or later, with or without an RTOS: no sockets, no netconn, no thread. Plain TCP: put a
 * TLS port (unsandbox_bearssl.h ...) over it wherever the wire is not your own.
 *
 *     #include "unsandbox.h"
 *     #include "unsandbox_lwip.h"
 *
 *     static void poll_network(void *context)
 *     {
 *         ethernetif_input((struct netif *)context);   (packets from the driver into lwIP)
 *         sys_check_timeouts();
 *     }
 *
 *     unsb_lwip tcp;
 *     unsb_lwip_config network = {0};
 *     unsb_config config = {0};
 *     network.poll = poll_network;
 *     network.poll_context = &netif;
 *     config.transport = unsb_lwip_transport(&tcp, &network);
 *     config.now_ms = unsb_lwip_now_ms;
 *
 * All functions are static: include the file wherever it is needed, there is no implementation
 * macro. C99 or C++11.
 *
 * A non-blocking client needs no poll function: call unsb_poll() from the main loop that drives
 * lwIP anyway. A blocking client calls it in wait(), again and again until it can go on.
 *
 * lwIP options: LWIP_TCP and LWIP_CALLBACK_API (its default) are required. Names need LWIP_DNS and
 * a server (dns_setserver(), or from DHCP); without it the host must be a numeric address. What has
 * arrived stays in lwIP's pbufs until the client takes it, and the window is opened again only
 * then: PBUF_POOL_SIZE * PBUF_POOL_BUFSIZE should exceed TCP_WND. Requests are copied into lwIP's
 * memory: MEM_SIZE should exceed TCP_SND_BUF, and 2 * TCP_MSS is enough of both.
 *
 * Memory: sizeof(unsb_lwip), 44 bytes on 32-bit systems, one TCP pcb of lwIP's, and while a name is
 * resolved about 32 bytes from mem_malloc(). These belong to the look-up, which lwIP cannot cancel:
 * the client may be closed and its memory reused meanwhile.
 *
 * Addresses: lwIP's resolver gives one of each kind for a name, IPv4 and IPv6. They are tried by
 * turns, with one pcb: the other one at once if one is refused or has no route, or when it has been
 * silent for config.address_timeout_ms; then the first again, twice as long, up to six turns, the
 * last of which lasts for as long as lwIP tries or the client waits. What connected last is tried
 * first the next time. (RFC 8305 would keep the earlier attempts going: that takes more pcbs than
 * small systems have.)
 *
 * Progress: what is sent stays in lwIP's send buffer until the peer has acknowledged it, and send
 * takes no more than the room in it. So the client's idle limit runs from an acknowledgement, not
 * from a copy, but for the last bytes of a request: no more than UNSB_LWIP_UNACKED_MAX of them are
 * on the way, 64 KB unless you define it, which at 10 kbit/s take 53 s.
 *
 * Errors: UNSB_E_RESOLVE, UNSB_E_CONNECT, UNSB_E_IO and, from recv after the peer's FIN and from
 * send after the end of such a connection, UNSB_E_CLOSED; tcp.error has lwIP's err_t: ERR_MEM where
 * it ran out of pcbs or memory, ERR_RTE without a route, ERR_RST for a refused or reset connection,
 * ERR_ABRT where the peer stopped answering, ERR_VAL without a DNS server, ERR_ARG for a name it
 * does not take. They are returned again until close. What came before an error can still be read.
 *
 * Threads: with NO_SYS 0, hold the core lock (LOCK_TCPIP_CORE) whenever the client is called, and
 * let poll release it, sleep for a tick and take it again; or run the client in the tcpip thread,
 * non-blocking. Do not call the client from within callbacks of lwIP, but for timers.
 *
 * Limits: one connection for each unsb_lwip. One that was closed keeps its pcb until the peer has
 * closed too, or for 20 s: let MEMP_NUM_TCP_PCB be one or two more than are open at once. A peer
 * that has vanished while nothing is sent is noticed by probes, with LWIP_TCP_KEEPALIVE after 90 s,
 * else after 12 minutes; a clock that stands while the board sleeps does not count that time: close
 * the client before it sleeps. wait() is not interrupted: a non-blocking client can be aborted. The
 * table has no `drop`: that is for the child of a fork(), which systems with lwIP as their stack do
 * not have (a reset, tcp_abort(), would be a word on the wire as well). */
#ifndef UNSANDBOX_LWIP_H
#define UNSANDBOX_LWIP_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif

#include "lwip/opt.h"

#include "lwip/err.h"
#include "lwip/init.h"
#include "lwip/ip_addr.h"
#include "lwip/mem.h"
#include "lwip/pbuf.h"
#include "lwip/sys.h"
#include "lwip/tcp.h"
#if LWIP_DNS
#include "lwip/dns.h"
#endif

#include <limits.h>

#if !LWIP_TCP
#error "unsandbox_lwip.h needs LWIP_TCP 1 in lwipopts.h"
#endif
#if !LWIP_CALLBACK_API
#error "unsandbox_lwip.h needs LWIP_CALLBACK_API 1 (and LWIP_EVENT_API 0) in lwipopts.h"
#endif
#if LWIP_VERSION_MAJOR < 2 || (LWIP_VERSION_MAJOR == 2 && LWIP_VERSION_MINOR < 1)
#error "unsandbox_lwip.h needs lwIP 2.1 or later"
#endif

/* How many bytes may be on the way that the peer has not acknowledged; lwIP's TCP_SND_BUF is a
 * bound as well. */
#ifndef UNSB_LWIP_UNACKED_MAX
#define UNSB_LWIP_UNACKED_MAX 65535
#endif

#if defined(__GNUC__)
#define UNSBI_LWIP_FN static __attribute__((unused))
#else
#define UNSBI_LWIP_FN static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

typedef struct unsb_lwip_config {
    /* Drives the network once: hands lwIP the packets that the drivers have, and calls
     * sys_check_timeouts() unless a thread of lwIP's does. May sleep until there is something to
     * do, for as long as a time-out may be late. NULL: for non-blocking clients alone. Must not
     * call the client. */
    void (*poll)(void *context);
    void *poll_context;
    bool ipv6_first; /* of a name that has both, try the IPv6 address first; false: the IPv4
                        address */
    uint32_t address_timeout_ms; /* how long it may be silent before the other one is tried; the
                                    last address has no such limit. 0: 1,500 */
} unsb_lwip_config;

struct unsbi_lwip_lookup;

typedef struct unsb_lwip {
    /* to be read */
    err_t error; /* lwIP's, of the last failure; ERR_OK: none. Kept until the next connect */
    /* private */
    uint8_t state;
    uint8_t kind;     /* of the address tried last, UNSBI_LWIP_V4 or _V6; 0: none yet */
    uint8_t out;      /* kinds that have failed or do not exist */
    uint8_t attempts; /* of addresses */
    uint8_t worked;   /* the kind that connected last; also after close */
    bool finished; /* the peer's FIN has come */
    bool full;     /* lwIP had no memory for what was to be sent */
    int16_t failure; /* of connect; sticky */
    uint32_t since_ms; /* when the attempt was begun */
    unsb_lwip_config config;
    struct tcp_pcb *pcb;   /* NULL: none, or lwIP has freed it */
    struct pbuf *received; /* what recv has yet to take; owned */
    struct unsbi_lwip_lookup *lookup;
} unsb_lwip;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Initialises `lwip` (whatever it held: close it before, if it was in use) and returns the
 * transport over it. The configuration is copied. `lwip` must stay in place until the client is
 * closed. */
UNSBI_LWIP_FN unsb_transport unsb_lwip_transport(unsb_lwip *lwip, const unsb_lwip_config *config);
/* Whether what unsb_interest() names can be done now, for main loops that sleep: if not, nothing
 * but a packet, a timer of lwIP's or the client's own time-out changes it. */
UNSBI_LWIP_FN bool unsb_lwip_ready(const unsb_lwip *lwip, int interest);
/* lwIP's clock for unsb_config; the context is not used. */
UNSBI_LWIP_FN uint32_t unsb_lwip_now_ms(void *context);

/* ======================================================================
 * >>implementation  Callbacks only take notes: they never close, abort or
 *                   call anyone, so the pcb is freed by lwIP or by close()
 *                   and by nothing in between.
 * ====================================================================== */

enum {
    UNSBI_LWIP_IDLE,
    UNSBI_LWIP_RESOLVING,
    UNSBI_LWIP_CONNECTING,
    UNSBI_LWIP_REFUSED, /* connecting has failed, which connect() has yet to notice */
    UNSBI_LWIP_OPEN,    /* and also after its end: see pcb and finished */
    UNSBI_LWIP_FAILED
};

/* Kinds of addresses. */
#define UNSBI_LWIP_V4 1u
#define UNSBI_LWIP_V6 2u
#define UNSBI_LWIP_BOTH 3u

/* Those that this lwIP does not have. */
#define UNSBI_LWIP_NONE ((LWIP_IPV4 ? 0u : UNSBI_LWIP_V4) | (LWIP_IPV6 ? 0u : UNSBI_LWIP_V6))

/* After so many attempts the last address is not given up any more. */
#define UNSBI_LWIP_ATTEMPTS 6

UNSBI_LWIP_FN uint32_t unsb_lwip_now_ms(void *context)
{
    (void)context;
    return sys_now();
}

/* ---- what lwIP calls ---- */

static err_t unsbi_lwip_on_connected(void *context, struct tcp_pcb *pcb, err_t error)
{
    unsb_lwip *lwip = (unsb_lwip *)context;
    (void)pcb;
    (void)error; /* ERR_OK; failures go to unsbi_lwip_on_error() */
    lwip->state = UNSBI_LWIP_OPEN;
    return ERR_OK;
}

static err_t unsbi_lwip_on_received(void *context, struct tcp_pcb *pcb, struct pbuf *data,
                                    err_t error)
{
    unsb_lwip *lwip = (unsb_lwip *)context;
    (void)pcb;
    (void)error;
    if (data == NULL) {
        lwip->finished = true;
    } else if (lwip->received == NULL) {
        lwip->received = data;
    } else if ((uint32_t)lwip->received->tot_len + data->tot_len > 0xFFFFu) {
        return ERR_MEM; /* more than a chain can count: lwIP keeps it and asks again */
    } else {
        pbuf_cat(lwip->received, data);
    }
    return ERR_OK;
}

static err_t unsbi_lwip_on_sent(void *context, struct tcp_pcb *pcb, u16_t size)
{
    (void)pcb;
    (void)size;
    ((unsb_lwip *)context)->full = false;
    return ERR_OK;
}

/* Twice a second: where lwIP's memory was full of something else, nobody tells that it is not. */
static err_t unsbi_lwip_on_timer(void *context, struct tcp_pcb *pcb)
{
    (void)pcb;
    ((unsb_lwip *)context)->full = false;
    return ERR_OK;
}

/* The pcb is freed already. */
static void unsbi_lwip_on_error(void *context, err_t error)
{
    unsb_lwip *lwip = (unsb_lwip *)context;
    lwip->pcb = NULL;
    lwip->error = error;
    if (lwip->state == UNSBI_LWIP_CONNECTING) {
        lwip->state = UNSBI_LWIP_REFUSED;
    }
}

/* ---- resolving ---- */

#if LWIP_DNS
/* Belongs to lwIP's resolver while that works on it, as it cannot be stopped, and knows nothing of
 * the client. */
struct unsbi_lwip_lookup {
    ip_addr_t address;
    bool done;
    bool found;
    bool abandoned; /* by the client: whoever comes last frees it */
};

static void unsbi_lwip_on_resolved(const char *name, const ip_addr_t *address, void *context)
{
    struct unsbi_lwip_lookup *lookup = (struct unsbi_lwip_lookup *)context;
    (void)name;
    if (lookup->abandoned) {
        mem_free(lookup);
        return;
    }
    lookup->done = true;
    if (address != NULL) {
        lookup->found = true;
        ip_addr_copy(lookup->address, *address);
    }
}

static void unsbi_lwip_forget_lookup(unsb_lwip *lwip)
{
    if (lwip->lookup != NULL) {
        if (lwip->lookup->done) {
            mem_free(lwip->lookup);
        } else {
            lwip->lookup->abandoned = true;
        }
        lwip->lookup = NULL;
    }
}

/* Begins to look up an address of that kind: UNSB_OK with the address, UNSB_PENDING or
 * UNSB_E_RESOLVE. */
static int unsbi_lwip_look_up(unsb_lwip *lwip, const char *host, uint8_t kind, ip_addr_t *address)
{
    u8_t type = kind == UNSBI_LWIP_V6 ? LWIP_DNS_ADDRTYPE_IPV6 : LWIP_DNS_ADDRTYPE_IPV4;
    struct unsbi_lwip_lookup *lookup;
    err_t error;

    lookup = (struct unsbi_lwip_lookup *)mem_malloc((mem_size_t)sizeof *lookup);
    if (lookup == NULL) {
        lwip->error = ERR_MEM;
        return UNSB_E_RESOLVE;
    }
    memset(lookup, 0, sizeof *lookup);
    error = dns_gethostbyname_addrtype(host, address, unsbi_lwip_on_resolved, lookup, type);
    if (error == ERR_INPROGRESS) {
        lwip->lookup = lookup;
        return UNSB_PENDING;
    }
    mem_free(lookup);
    if (error != ERR_OK) {
        lwip->error = error;
        return UNSB_E_RESOLVE;
    }
    return UNSB_OK;
}

static int unsbi_lwip_take_lookup(unsb_lwip *lwip, ip_addr_t *address)
{
    int rc = UNSB_PENDING;
    if (lwip->lookup->done) {
        rc = lwip->lookup->found ? UNSB_OK : UNSB_E_RESOLVE;
        ip_addr_copy(*address, lwip->lookup->address);
        unsbi_lwip_forget_lookup(lwip);
    }
    return rc;
}
#endif

/* Whether `host` is an address: UNSB_OK, UNSB_PENDING for a name, or UNSB_E_RESOLVE for neither. */
static int unsbi_lwip_read_address(const char *host, ip_addr_t *address)
{
    bool literal;

    if (host == NULL || host[0] == '\0') {
        return UNSB_E_RESOLVE;
    }
    /* A colon is in no name. Of an IPv6 address lwIP reads only what it understands. */
    literal = strchr(host, ':') != NULL;
    if (literal) {
        size_t digits = strspn(host, "0123456789abcdefABCDEF:.");
        if (host[digits] != '\0' && host[digits] != '%') {
            return UNSB_E_RESOLVE;
        }
    }
    if (ipaddr_aton(host, address)) {
        return UNSB_OK;
    }
    return literal || !LWIP_DNS ? UNSB_E_RESOLVE : UNSB_PENDING;
}

/* ---- connecting ---- */

/* Gives the pcb back to lwIP, which ends the connection in good order if it stands, and resets it
 * where the peer sent what nobody has read. */
static void unsbi_lwip_give_up(unsb_lwip *lwip)
{
    struct tcp_pcb *pcb = lwip->pcb;
    lwip->pcb = NULL;
    if (pcb != NULL) {
        tcp_arg(pcb, NULL);
        tcp_recv(pcb, NULL);
        tcp_sent(pcb, NULL);
        tcp_poll(pcb, NULL, 0);
        tcp_err(pcb, NULL);
        if (tcp_close(pcb) != ERR_OK) {
            tcp_abort(pcb); /* no memory for a FIN */
        }
    }
    if (lwip->received != NULL) {
        pbuf_free(lwip->received);
        lwip->received = NULL;
    }
}

static int unsbi_lwip_fail(unsb_lwip *lwip, int failure)
{
#if LWIP_DNS
    unsbi_lwip_forget_lookup(lwip);
#endif
    unsbi_lwip_give_up(lwip);
    lwip->failure = (int16_t)failure;
    lwip->state = UNSBI_LWIP_FAILED;
    return failure;
}

/* Requests are sent in few large pieces, so Nagle's algorithm only delays their last segment. A
 * program may run for 15 minutes in silence: probes keep the path open and notice a dead peer. */
static void unsbi_lwip_set_options(struct tcp_pcb *pcb)
{
    tcp_nagle_disable(pcb);
    ip_set_option(pcb, SOF_KEEPALIVE);
    pcb->keep_idle = 30000;
#if LWIP_TCP_KEEPALIVE
    pcb->keep_intvl = 15000;
    pcb->keep_cnt = 4;
#endif
}

/* UNSB_PENDING, or UNSB_E_CONNECT with nothing held. */
static int unsbi_lwip_dial(unsb_lwip *lwip, const ip_addr_t *address, uint16_t port)
{
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(address));
    err_t error;

    lwip->kind = IP_IS_V6(address) ? UNSBI_LWIP_V6 : UNSBI_LWIP_V4;
    lwip->attempts++;
    lwip->since_ms = sys_now();
    if (pcb == NULL) {
        lwip->error = ERR_MEM;
        return UNSB_E_CONNECT;
    }
    lwip->pcb = pcb;
    lwip->finished = false;
    lwip->full = false;
    lwip->state = UNSBI_LWIP_CONNECTING;
    unsbi_lwip_set_options(pcb);
    tcp_arg(pcb, lwip);
    tcp_recv(pcb, unsbi_lwip_on_received);
    tcp_sent(pcb, unsbi_lwip_on_sent);
    tcp_poll(pcb, unsbi_lwip_on_timer, 1);
    tcp_err(pcb, unsbi_lwip_on_error);
    error = tcp_connect(pcb, address, port, unsbi_lwip_on_connected);
    if (error != ERR_OK) {
        unsbi_lwip_give_up(lwip);
        lwip->error = error;
        return UNSB_E_CONNECT;
    }
    return UNSB_PENDING;
}

/* The kind that is to be tried next; 0: there is none. */
static uint8_t unsbi_lwip_next(const unsb_lwip *lwip)
{
    uint8_t kind = (uint8_t)(lwip->kind ^ UNSBI_LWIP_BOTH);

    if (lwip->kind == 0) {
        kind = lwip->config.ipv6_first ? UNSBI_LWIP_V6 : UNSBI_LWIP_V4;
        if (lwip->worked != 0) {
            kind = lwip->worked;
        }
    }
    if ((lwip->out & kind) != 0 && lwip->pcb == NULL) {
        kind ^= UNSBI_LWIP_BOTH;
    }
    return (lwip->out & kind) != 0 ? 0 : kind;
}

/* While an address is silent: whether it is time to go on to the other one. */
static bool unsbi_lwip_due(const unsb_lwip *lwip)
{
    uint32_t limit_ms = lwip->config.address_timeout_ms;
#if LWIP_DNS
    if (lwip->lookup != NULL) {
        return lwip->lookup->done;
    }
#endif
    if (limit_ms == 0) {
        limit_ms = 1500;
    }
    return lwip->attempts < UNSBI_LWIP_ATTEMPTS && unsbi_lwip_next(lwip) != 0 &&
           (sys_now() - lwip->since_ms) >> ((lwip->attempts - 1) / 2) >= limit_ms;
}

/* Goes on to the next address. The one before is given up only when there is another: until that
 * is resolved it may still answer. UNSB_PENDING, or the failure when none is left. */
static int unsbi_lwip_go_on(unsb_lwip *lwip, const char *host, uint16_t port)
{
    for (;;) {
        uint8_t kind = unsbi_lwip_next(lwip);
        int rc = UNSB_E_RESOLVE;
        if (kind == 0) {
            if (lwip->pcb != NULL) {
                return UNSB_PENDING;
            }
            return unsbi_lwip_fail(lwip, lwip->kind != 0 ? UNSB_E_CONNECT : UNSB_E_RESOLVE);
        }
#if LWIP_DNS
        {
            err_t error = lwip->error;
            ip_addr_t address;
            rc = lwip->lookup != NULL ? unsbi_lwip_take_lookup(lwip, &address)
                                      : unsbi_lwip_look_up(lwip, host, kind, &address);
            if (rc == UNSB_OK) {
                unsbi_lwip_give_up(lwip);
                rc = unsbi_lwip_dial(lwip, &address, port);
            } else if (rc == UNSB_PENDING) {
                lwip->state = lwip->pcb != NULL ? UNSBI_LWIP_CONNECTING : UNSBI_LWIP_RESOLVING;
            } else if (lwip->kind != 0) {
                lwip->error = error; /* of the address that there was */
            }
        }
#else
        (void)host;
        (void)port;
#endif
        if (rc == UNSB_PENDING) {
            return rc;
        }
        lwip->out |= kind;
    }
}

static int unsbi_lwip_begin(unsb_lwip *lwip, const char *host, uint16_t port)
{
    ip_addr_t address;
    int rc = unsbi_lwip_read_address(host, &address);

    lwip->error = ERR_OK;
    lwip->attempts = 0;
    lwip->kind = 0;
    lwip->out = UNSBI_LWIP_NONE;
    if (rc == UNSB_OK) {
        lwip->out = UNSBI_LWIP_BOTH; /* there is no other */
        rc = unsbi_lwip_dial(lwip, &address, port);
    } else if (rc == UNSB_PENDING) {
        return unsbi_lwip_go_on(lwip, host, port);
    } else {
        lwip->error = ERR_ARG;
    }
    return rc == UNSB_PENDING ? rc : unsbi_lwip_fail(lwip, rc);
}

static int unsbi_lwip_connect(void *context, const char *host, uint16_t port)
{
    unsb_lwip *lwip = (unsb_lwip *)context;

    switch (lwip->state) {
    case UNSBI_LWIP_IDLE:
        return unsbi_lwip_begin(lwip, host, port);
    case UNSBI_LWIP_RESOLVING:
        return unsbi_lwip_go_on(lwip, host, port);
    case UNSBI_LWIP_CONNECTING:
        return unsbi_lwip_due(lwip) ? unsbi_lwip_go_on(lwip, host, port) : UNSB_PENDING;
    case UNSBI_LWIP_REFUSED:
        lwip->out |= lwip->attempts < UNSBI_LWIP_ATTEMPTS ? lwip->kind : UNSBI_LWIP_BOTH;
        return unsbi_lwip_go_on(lwip, host, port);
    case UNSBI_LWIP_OPEN:
        lwip->worked = lwip->kind;
#if LWIP_DNS
        unsbi_lwip_forget_lookup(lwip); /* of the other address */
#endif
        return UNSB_OK;
    default:
        return lwip->failure;
    }
}

/* ---- transferring ---- */

static int unsbi_lwip_not_open(unsb_lwip *lwip)
{
    if (lwip->state == UNSBI_LWIP_FAILED) {
        return lwip->failure;
    }
    lwip->error = ERR_CONN;
    return UNSB_E_IO;
}

/* How many bytes can be taken: the bound is on what the peer has not acknowledged. */
static size_t unsbi_lwip_room(const unsb_lwip *lwip)
{
    size_t room = tcp_sndbuf(lwip->pcb);
#if TCP_SND_BUF > UNSB_LWIP_UNACKED_MAX
    size_t kept = (size_t)TCP_SND_BUF - UNSB_LWIP_UNACKED_MAX;
    size_t all = lwip->pcb->snd_buf; /* tcp_sndbuf() tells no more than 16 bits of it */
    all = all > kept ? all - kept : 0;
    room = room < all ? room : all;
#endif
    return room;
}

static int unsbi_lwip_send(void *context, const void *data, size_t size)
{
    unsb_lwip *lwip = (unsb_lwip *)context;
    size_t room;

    if (lwip->state != UNSBI_LWIP_OPEN) {
        return unsbi_lwip_not_open(lwip);
    }
    if (lwip->pcb == NULL) {
        return lwip->finished ? UNSB_E_CLOSED : UNSB_E_IO;
    }
    room = unsbi_lwip_room(lwip);
    if (size > room) {
        size = room;
    }
    if (size > (size_t)INT_MAX) {
        size = (size_t)INT_MAX; /* where int has 16 bits */
    }
    /* All or nothing: ERR_MEM means that less may fit. */
    for (; size > 0 && !lwip->full; size /= 2) {
        err_t error = tcp_write(lwip->pcb, data, (u16_t)size, TCP_WRITE_FLAG_COPY);
        if (error == ERR_OK) {
            /* What it cannot send now is sent by its timers. */
            (void)tcp_output(lwip->pcb);
            return (int)size;
        }
        if (error != ERR_MEM) {
            lwip->error = error;
            return UNSB_E_IO;
        }
        lwip->full = size == 1;
    }
    return 0;
}

static int unsbi_lwip_recv(void *context, void *data, size_t size)
{
    unsb_lwip *lwip = (unsb_lwip *)context;
    u16_t count;

    if (lwip->state != UNSBI_LWIP_OPEN) {
        return unsbi_lwip_not_open(lwip);
    }
    if (lwip->received == NULL) {
        if (lwip->finished) {
            return UNSB_E_CLOSED;
        }
        return lwip->pcb != NULL ? 0 : UNSB_E_IO;
    }
    if (size > (size_t)INT_MAX) {
        size = (size_t)INT_MAX;
    }
    count = lwip->received->tot_len;
    if (count > size) {
        count = (u16_t)size;
    }
    (void)pbuf_copy_partial(lwip->received, data, count, 0);
    lwip->received = pbuf_free_header(lwip->received, count);
    if (lwip->pcb != NULL) {
        tcp_recved(lwip->pcb, count);
    }
    return (int)count;
}

static void unsbi_lwip_close(void *context)
{
    unsb_lwip *lwip = (unsb_lwip *)context;
#if LWIP_DNS
    unsbi_lwip_forget_lookup(lwip);
#endif
    unsbi_lwip_give_up(lwip);
    lwip->failure = 0;
    lwip->state = UNSBI_LWIP_IDLE;
}

/* ---- waiting ---- */

UNSBI_LWIP_FN bool unsb_lwip_ready(const unsb_lwip *lwip, int interest)
{
    if (interest == 0) {
        return false;
    }
    switch (lwip->state) {
    case UNSBI_LWIP_RESOLVING:
#if LWIP_DNS
        return lwip->lookup->done;
#endif
    case UNSBI_LWIP_CONNECTING:
        return unsbi_lwip_due(lwip);
    case UNSBI_LWIP_OPEN:
        if (lwip->pcb == NULL) {
            return true;
        }
        if ((interest & UNSB_READABLE) != 0 && (lwip->received != NULL || lwip->finished)) {
            return true;
        }
        return (interest & UNSB_WRITABLE) != 0 && !lwip->full && unsbi_lwip_room(lwip) > 0;
    default:
        return true; /* nothing to wait for: the next call tells why */
    }
}

static int unsbi_lwip_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsb_lwip *lwip = (unsb_lwip *)context;
    uint32_t started_ms = sys_now();

    while (!unsb_lwip_ready(lwip, interest)) {
        lwip->config.poll(lwip->config.poll_context);
        if (timeout_ms < UNSB_FOREVER && sys_now() - started_ms >= timeout_ms) {
            return unsb_lwip_ready(lwip, interest) ? UNSB_OK : UNSB_E_TIMEOUT;
        }
    }
    return UNSB_OK;
}

static const unsb_transport_class unsbi_lwip_class = {unsbi_lwip_connect, unsbi_lwip_send,
                                                      unsbi_lwip_recv,    unsbi_lwip_close,
                                                      unsbi_lwip_wait,    NULL,
                                                      NULL};

static const unsb_transport_class unsbi_lwip_class_without_wait = {
    unsbi_lwip_connect, unsbi_lwip_send, unsbi_lwip_recv, unsbi_lwip_close, NULL, NULL, NULL};

UNSBI_LWIP_FN unsb_transport unsb_lwip_transport(unsb_lwip *lwip, const unsb_lwip_config *config)
{
    unsb_transport transport;
    memset(lwip, 0, sizeof *lwip);
    lwip->config = *config;
    transport.vtable = config->poll != NULL ? &unsbi_lwip_class : &unsbi_lwip_class_without_wait;
    transport.context = lwip;
    return transport;
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_LWIP_H */
