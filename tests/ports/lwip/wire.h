/* lwIP's link to Linux: a TAP device in a network namespace of this process alone, so that the TCP
 * beneath the port under test has an independent one as its peer. Frames can be lost, doubled and
 * put out of order, and the clock of lwIP can run faster. A few names are resolved.
 *
 *     lwIP 10.9.0.2, fd00:9::2  <- frames ->  Linux 10.9.0.1, fd00:9::1, and 127.0.0.1 too
 *
 * wire_poll() drives it all, in the caller's thread. */
#ifndef WIRE_H
#define WIRE_H

#include "hooks.h"
#include "lwip/dns.h"
#include "lwip/ethip6.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WIRE_FRAME 1600
#define WIRE_SPEED_MAX (TCP_TMR_INTERVAL) /* beyond, a sleep of 1 ms would skip lwIP's timers */
#define WIRE_LINUX4 "10.9.0.1"
#define WIRE_LINUX6 "fd00:9::1"
#define WIRE_NOBODY4 "10.9.0.77" /* silent */
#define WIRE_NOBODY6 "fd00:9::77"
#define WIRE_PACED 128

typedef struct wire_frame {
    uint8_t data[WIRE_FRAME];
    size_t size;
} wire_frame;

static struct {
    int tap, names;
    bool ipv6; /* Linux has it */
    struct netif netif;
    /* may be set; chances in 1000, for TCP alone */
    unsigned lose, twice, swap;
    bool cut; /* nothing passes, in either direction */
    uint32_t pace_ms; /* of lwIP's clock, from one TCP frame to Linux to the next; 0: none */
    /* counted */
    unsigned long frames, lost, doubled, swapped;
    /* private */
    uint64_t random;
    wire_frame held[2]; /* by direction: comes after the next one */
    wire_frame paced[WIRE_PACED]; /* a ring, to Linux */
    unsigned paced_begin, paced_count;
    uint32_t paced_ms; /* when the last one left */
    uint64_t clock_from_us, clock_at_ms;
    uint32_t speed;
    uint8_t late[512]; /* a query that waits for wire_answer_late() */
    size_t late_size;
    struct sockaddr_in late_from;
    bool late_asked;
} wire = {.tap = -1, .names = -1};

enum { WIRE_IN, WIRE_OUT };

/* ======================================================================
 * >>clock
 * ====================================================================== */

static inline uint64_t wire_real_us(void)
{
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

u32_t sys_now(void)
{
    return (u32_t)(wire.clock_at_ms +
                   (wire_real_us() - wire.clock_from_us) * wire.speed / 1000u);
}

/* How much faster than time lwIP's clock runs from now on. */
static inline void wire_speed(uint32_t speed)
{
    uint64_t now = wire_real_us();

    wire.clock_at_ms += (now - wire.clock_from_us) * wire.speed / 1000u;
    wire.clock_from_us = now;
    wire.speed = speed;
}

/* ======================================================================
 * >>frames
 * ====================================================================== */

static inline bool wire_chance(unsigned in_1000)
{
    wire.random ^= wire.random << 13;
    wire.random ^= wire.random >> 7;
    wire.random ^= wire.random << 17;
    return wire.random % 1000u < in_1000;
}

static inline bool wire_is_tcp(const uint8_t *frame, size_t size)
{
    return (size > 34 && frame[12] == 0x08 && frame[13] == 0x00 && frame[23] == 6) ||
           (size > 54 && frame[12] == 0x86 && frame[13] == 0xDD && frame[20] == 6);
}

static inline void wire_deliver(int direction, const uint8_t *frame, size_t size)
{
    wire.frames++;
    if (direction == WIRE_OUT) {
        if (write(wire.tap, frame, size) < 0)
            return; /* lost */
    } else {
        struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)size, PBUF_POOL);
        if (p == NULL)
            return; /* lost, as in a driver without buffers */
        (void)pbuf_take(p, frame, (u16_t)size);
        if (wire.netif.input(p, &wire.netif) != ERR_OK)
            (void)pbuf_free(p);
    }
}

static inline void wire_release(int direction)
{
    wire_frame frame;

    if (wire.held[direction].size != 0) {
        frame = wire.held[direction];
        wire.held[direction].size = 0;
        wire_deliver(direction, frame.data, frame.size);
    }
}

static inline void wire_pass(int direction, const uint8_t *frame, size_t size)
{
    bool tcp = wire_is_tcp(frame, size);

    if (wire.cut || (tcp && wire_chance(wire.lose))) {
        wire.lost++;
        return;
    }
    if (tcp && wire.held[direction].size == 0 && wire_chance(wire.swap)) {
        memcpy(wire.held[direction].data, frame, size);
        wire.held[direction].size = size;
        wire.swapped++;
        return;
    }
    wire_deliver(direction, frame, size);
    if (tcp && wire_chance(wire.twice)) {
        wire_deliver(direction, frame, size);
        wire.doubled++;
    }
    wire_release(direction);
}

/* Those of the slow link whose time has come. */
static inline void wire_release_paced(void)
{
    while (wire.paced_count != 0 &&
           (wire.pace_ms == 0 || sys_now() - wire.paced_ms >= wire.pace_ms)) {
        wire_frame *first = &wire.paced[wire.paced_begin];
        wire.paced_begin = (wire.paced_begin + 1) % WIRE_PACED;
        wire.paced_count--;
        wire.paced_ms = sys_now();
        wire_deliver(WIRE_OUT, first->data, first->size);
    }
}

static err_t wire_output(struct netif *netif, struct pbuf *p)
{
    uint8_t frame[WIRE_FRAME];

    (void)netif;
    if (p->tot_len > sizeof frame)
        return ERR_BUF;
    (void)pbuf_copy_partial(p, frame, p->tot_len, 0);
    if (wire.pace_ms != 0 && wire_is_tcp(frame, p->tot_len)) {
        wire_frame *last = &wire.paced[(wire.paced_begin + wire.paced_count) % WIRE_PACED];
        if (wire.paced_count == WIRE_PACED)
            return ERR_BUF;
        memcpy(last->data, frame, p->tot_len);
        last->size = p->tot_len;
        wire.paced_count++;
        return ERR_OK;
    }
    wire_pass(WIRE_OUT, frame, p->tot_len);
    return ERR_OK;
}

/* What hooks.h asks: Linux takes all there is. */
struct netif *wire_route(void)
{
    return netif_is_up(&wire.netif) ? &wire.netif : NULL;
}

static err_t wire_init_netif(struct netif *netif)
{
    static const uint8_t address[6] = {2, 0, 0, 0, 0, 2};

    netif->name[0] = 't';
    netif->name[1] = 'p';
    netif->mtu = 1500;
    netif->hwaddr_len = sizeof address;
    memcpy(netif->hwaddr, address, sizeof address);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
                   NETIF_FLAG_LINK_UP;
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = wire_output;
    return ERR_OK;
}

/* ======================================================================
 * >>names  A name server of few words: 10.9.0.1, port 53
 *
 *     localhost    127.0.0.1       silent...  is never answered
 *     four.test    10.9.0.1        late.test  10.9.0.1, by wire_answer_late()
 *     six.test     fd00:9::1       all else   is no name (RCODE 3)
 *     both.test    10.9.0.1, fd00:9::1, and so mute6.test, but without an answer for IPv6
 *     half4.test   its IPv6 address is silent    half6.test   its IPv4 address is
 *     service4.test   likewise, and 127.0.0.1
 *     dead.test    both are                      dead4.test   the only one is
 * ====================================================================== */

static inline void wire_answer(uint8_t *packet, size_t size, const struct sockaddr_in *from)
{
    static const struct {
        const char *name, *four, *six;
    } names[] = {{"localhost", "127.0.0.1", NULL},     {"four.test", WIRE_LINUX4, NULL},
                 {"six.test", NULL, WIRE_LINUX6},      {"both.test", WIRE_LINUX4, WIRE_LINUX6},
                 {"late.test", WIRE_LINUX4, NULL},
                 {"half4.test", WIRE_LINUX4, WIRE_NOBODY6},
                 {"half6.test", WIRE_NOBODY4, WIRE_LINUX6},
                 {"dead.test", WIRE_NOBODY4, WIRE_NOBODY6},
                 {"dead4.test", WIRE_NOBODY4, NULL},
                 {"mute6.test", WIRE_LINUX4, NULL},
                 {"service4.test", "127.0.0.1", WIRE_NOBODY6}};
    char name[256] = "";
    size_t at = 12, length = 0, i, end;
    unsigned type, answers = 0, known = 0;

    while (at < size && packet[at] != 0 && at + packet[at] < size && length + 64 < sizeof name) {
        if (length != 0)
            name[length++] = '.';
        memcpy(name + length, packet + at + 1, packet[at]);
        length += packet[at];
        at += packet[at] + 1u;
    }
    name[length] = '\0';
    end = at + 5; /* the root label, type and class */
    if (end > size || strncmp(name, "silent", 6) == 0)
        return;
    type = packet[at + 1] * 256u + packet[at + 2];
    if (type == 28 && strcmp(name, "mute6.test") == 0)
        return;
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = type == 1 ? names[i].four : type == 28 ? names[i].six : NULL;
        if (strcmp(name, names[i].name) != 0)
            continue;
        known = 1;
        if (text != NULL) {
            static const uint8_t head[] = {0xC0, 12, 0, 0, 0, 1, 0, 0, 0, 60, 0, 0};
            memcpy(packet + end, head, sizeof head);
            packet[end + 3] = (uint8_t)type;
            packet[end + 11] = type == 1 ? 4 : 16;
            (void)inet_pton(type == 1 ? AF_INET : AF_INET6, text, packet + end + 12);
            end += 12u + packet[end + 11];
            answers = 1;
        }
    }
    packet[2] = 0x81;
    packet[3] = (uint8_t)(0x80 | (known ? 0 : 3));
    memset(packet + 6, 0, 6);
    packet[7] = (uint8_t)answers;
    (void)sendto(wire.names, packet, end, 0, (const struct sockaddr *)(const void *)from,
                 sizeof *from);
}

static inline bool wire_serve_names(void)
{
    uint8_t packet[512];
    struct sockaddr_in from;
    socklen_t from_size = sizeof from;
    ssize_t size = recvfrom(wire.names, packet, sizeof packet - 64, MSG_DONTWAIT,
                            (struct sockaddr *)(void *)&from, &from_size);

    if (size <= 17)
        return false;
    if (memcmp(packet + 12, "\4late", 5) == 0) {
        memcpy(wire.late, packet, (size_t)size);
        wire.late_size = (size_t)size;
        wire.late_from = from;
        wire.late_asked = true;
    } else {
        wire_answer(packet, (size_t)size, &from);
    }
    return true;
}

static inline void wire_answer_late(void)
{
    if (wire.late_asked)
        wire_answer(wire.late, wire.late_size, &wire.late_from);
    wire.late_asked = false;
}

/* ======================================================================
 * >>poll
 * ====================================================================== */

/* One turn of the main loop: up to 16 frames, names and timers. Sleeps up to a millisecond if there
 * is nothing, unless the clock runs too fast for that. */
static inline void wire_poll(void *context)
{
    uint8_t frame[WIRE_FRAME];
    struct pollfd items[2] = {{.fd = wire.tap, .events = POLLIN},
                              {.fd = wire.names, .events = POLLIN}};
    bool moved;
    int i;

    (void)context;
    moved = wire_serve_names();
    for (i = 0; i < 16; i++) {
        ssize_t size = read(wire.tap, frame, sizeof frame);
        if (size <= 0)
            break;
        wire_pass(WIRE_IN, frame, (size_t)size);
        moved = true;
    }
    if (i == 0) {
        wire_release(WIRE_IN);
        wire_release(WIRE_OUT);
    }
    wire_release_paced();
    sys_check_timeouts();
    if (!moved && wire.speed <= WIRE_SPEED_MAX)
        (void)poll(items, 2, 1);
}

/* ======================================================================
 * >>set-up
 * ====================================================================== */

static inline bool wire_write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        (void)close(fd);
    return done;
}

/* Without privileges the namespace needs one of users around it, in which the user stays who they
 * are: files are made meanwhile. */
static inline bool wire_unshare(void)
{
    char map[64];
    unsigned uid = (unsigned)getuid(), gid = (unsigned)getgid();

    if (unshare(CLONE_NEWNET) == 0)
        return true;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    (void)wire_write_file("/proc/self/setgroups", "deny");
    (void)snprintf(map, sizeof map, "%u %u 1", uid, uid);
    if (!wire_write_file("/proc/self/uid_map", map))
        return false;
    (void)snprintf(map, sizeof map, "%u %u 1", gid, gid);
    return wire_write_file("/proc/self/gid_map", map);
}

static inline bool wire_set_up(int fd, const char *name, const char *address)
{
    struct ifreq request;
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&request.ifr_addr;

    memset(&request, 0, sizeof request);
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (address != NULL) {
        in->sin_family = AF_INET;
        (void)inet_pton(AF_INET, address, &in->sin_addr);
        if (ioctl(fd, SIOCSIFADDR, &request) != 0)
            return false;
        in->sin_addr.s_addr = htonl(0xFFFFFF00u);
        if (ioctl(fd, SIOCSIFNETMASK, &request) != 0)
            return false;
    }
    memset(&request.ifr_ifru, 0, sizeof request.ifr_ifru);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

static inline bool wire_set_up6(const char *name, const char *address)
{
    struct { /* in6_ifreq of <linux/ipv6.h>, which does not go with <netinet/in.h> */
        struct in6_addr address;
        uint32_t prefix;
        int index;
    } request;
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool done;

    memset(&request, 0, sizeof request);
    (void)inet_pton(AF_INET6, address, &request.address);
    request.prefix = 64;
    request.index = (int)if_nametoindex(name);
    done = fd >= 0 && ioctl(fd, SIOCSIFADDR, &request) == 0;
    if (fd >= 0)
        (void)close(fd);
    return done;
}

/* Returns NULL, or what this machine does not allow. Call it before there are threads. */
static inline const char *wire_open(void)
{
    struct ifreq request;
    struct sockaddr_in in;
    ip4_addr_t address, mask, gateway;
    ip_addr_t server;
    int fd, error = 0;

    if (!wire_unshare())
        return "no network namespace";
    wire.tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    memset(&request, 0, sizeof request);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "unsb0");
    if (wire.tap < 0 || ioctl(wire.tap, TUNSETIFF, &request) != 0)
        return "no TAP device";
    /* No duplicate address detection: the address is good at once. */
    wire.ipv6 = wire_write_file("/proc/sys/net/ipv6/conf/unsb0/accept_dad", "0");
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (!wire_set_up(fd, "lo", NULL) || !wire_set_up(fd, "unsb0", WIRE_LINUX4))
        error = 1;
    (void)close(fd);
    if (error)
        return "no address for the TAP device";
    wire.ipv6 = wire.ipv6 && wire_set_up6("unsb0", WIRE_LINUX6);
    /* So that services which listen on loopback alone can be reached. */
    if (!wire_write_file("/proc/sys/net/ipv4/conf/unsb0/route_localnet", "1"))
        return "no routing of 127.0.0.1";
    memset(&in, 0, sizeof in);
    in.sin_family = AF_INET;
    in.sin_port = htons(53);
    (void)inet_pton(AF_INET, WIRE_LINUX4, &in.sin_addr);
    wire.names = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(wire.names, (struct sockaddr *)(void *)&in, sizeof in) != 0)
        return "no name server";

    wire.random = 0x9E3779B97F4A7C15u;
    wire.clock_from_us = wire_real_us();
    wire.speed = 1;
    lwip_init();
    IP4_ADDR(&address, 10, 9, 0, 2);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    IP4_ADDR(&gateway, 10, 9, 0, 1);
    (void)netif_add(&wire.netif, &address, &mask, &gateway, NULL, wire_init_netif, netif_input);
    netif_create_ip6_linklocal_address(&wire.netif, 1);
    (void)ipaddr_aton("fd00:9::2", &server);
    netif_ip6_addr_set(&wire.netif, 1, ip_2_ip6(&server));
    netif_ip6_addr_set_state(&wire.netif, 0, IP6_ADDR_PREFERRED);
    netif_ip6_addr_set_state(&wire.netif, 1, IP6_ADDR_PREFERRED);
    netif_set_default(&wire.netif);
    netif_set_up(&wire.netif);
    (void)ipaddr_aton(WIRE_LINUX4, &server);
    dns_setserver(0, &server);
    return NULL;
}

/* ======================================================================
 * >>accounts
 * ====================================================================== */

/* What connections have taken and not given back: pcbs, segments, pbufs and blocks of the heap. */
static inline unsigned wire_in_use(void)
{
    return (unsigned)(lwip_stats.memp[MEMP_TCP_PCB]->used + lwip_stats.memp[MEMP_TCP_SEG]->used +
                      lwip_stats.memp[MEMP_PBUF]->used + lwip_stats.memp[MEMP_PBUF_POOL]->used +
                      lwip_stats.mem.used);
}

#endif
