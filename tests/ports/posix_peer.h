/* The peer of a conformance adapter (conformance.h) over POSIX sockets: non-blocking, on loopback.
 * All but `later` runs in the caller's thread. */
#ifndef POSIX_PEER_H
#define POSIX_PEER_H

#include "conformance.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int posix_peer_listener = -1, posix_peer_fd = -1, posix_peer_dead = -1;
static uint16_t posix_peer_port;

/* More than a system keeps for one connection on the way, with the peer's buffer made small. */
#define POSIX_PEER_ROOM 16000000u

static inline uint32_t posix_peer_now_ms(void)
{
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u);
}

static inline void posix_peer_idle(void)
{
    struct timespec time = {0, 100000};

    (void)nanosleep(&time, NULL);
}

static inline void posix_peer_close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* A bound socket: its port. */
static inline uint16_t posix_peer_bind(int *fd)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int small = 16384;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    if (*fd < 0 || bind(*fd, (struct sockaddr *)(void *)&address, sizeof address) != 0 ||
        setsockopt(*fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) != 0 ||
        getsockname(*fd, (struct sockaddr *)(void *)&address, &size) != 0)
        fail_msg("no socket: %s", strerror(errno));
    (void)fcntl(*fd, F_SETFL, O_NONBLOCK);
    return ntohs(address.sin_port);
}

static inline uint16_t posix_peer_listen(void)
{
    if (posix_peer_listener < 0) {
        posix_peer_port = posix_peer_bind(&posix_peer_listener);
        if (listen(posix_peer_listener, 8) != 0)
            fail_msg("cannot listen: %s", strerror(errno));
    }
    return posix_peer_port;
}

static inline uint16_t posix_peer_refusing(void)
{
    posix_peer_close_fd(&posix_peer_dead);
    return posix_peer_bind(&posix_peer_dead);
}

static inline int posix_peer_accept(void)
{
    int fd = accept(posix_peer_listener, NULL, NULL), yes = 1;

    if (fd < 0)
        return 0;
    posix_peer_close_fd(&posix_peer_fd);
    posix_peer_fd = fd;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return 1;
}

static inline int posix_peer_send(const void *data, size_t size)
{
    ssize_t n = send(posix_peer_fd, data, size, MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : CONF_FAILED;
    return (int)n;
}

static inline int posix_peer_recv(void *data, size_t size)
{
    ssize_t n = recv(posix_peer_fd, data, size, 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : CONF_FAILED;
    return n == 0 ? CONF_END : (int)n;
}

static inline bool posix_peer_is_open(void)
{
    return posix_peer_fd >= 0;
}

static inline void posix_peer_hang_up(void)
{
    posix_peer_close_fd(&posix_peer_fd);
}

static inline void posix_peer_end(void)
{
    (void)shutdown(posix_peer_fd, SHUT_WR);
}

static inline void posix_peer_reset(void)
{
    struct linger at_once = {1, 0};

    (void)setsockopt(posix_peer_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    posix_peer_close_fd(&posix_peer_fd);
}

static inline void posix_peer_drop(void)
{
    posix_peer_close_fd(&posix_peer_fd);
    posix_peer_close_fd(&posix_peer_listener);
    posix_peer_close_fd(&posix_peer_dead);
}

/* ---- later ---- */

static pthread_t posix_peer_thread;
static void (*posix_peer_action)(void);
static uint32_t posix_peer_delay_ms;

static inline void *posix_peer_act(void *context)
{
    struct timespec time;

    (void)context;
    time.tv_sec = 0;
    time.tv_nsec = (long)posix_peer_delay_ms * 1000000L;
    (void)nanosleep(&time, NULL);
    posix_peer_action();
    return NULL;
}

static inline bool posix_peer_later(uint32_t ms, void (*action)(void))
{
    posix_peer_action = action;
    posix_peer_delay_ms = ms;
    return pthread_create(&posix_peer_thread, NULL, posix_peer_act, NULL) == 0;
}

static inline void posix_peer_later_done(void)
{
    (void)pthread_join(posix_peer_thread, NULL);
}

/* ---- what is open ---- */

static inline unsigned posix_peer_descriptors(void)
{
    unsigned count = 0;
    int fd;

    for (fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

/* All of conf_port but its name and transport. */
static inline void posix_peer_fill(conf_port *port)
{
    port->host = "127.0.0.1";
    port->listen = posix_peer_listen;
    port->accept = posix_peer_accept;
    port->peer_send = posix_peer_send;
    port->peer_recv = posix_peer_recv;
    port->drop = posix_peer_drop;
    port->now_ms = posix_peer_now_ms;
    port->idle = posix_peer_idle;
    port->refusing = posix_peer_refusing;
    port->peer_end = posix_peer_end;
    port->peer_reset = posix_peer_reset;
    port->later = posix_peer_later;
    port->later_done = posix_peer_later_done;
    port->resources = posix_peer_descriptors;
    port->room = POSIX_PEER_ROOM;
}

#endif
