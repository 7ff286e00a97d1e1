/* The peer of a conformance adapter (conformance.h) over Windows sockets: non-blocking, on
 * loopback. All but `later` runs in the caller's thread. Call winsock_peer_start() first. */
#ifndef WINSOCK_PEER_H
#define WINSOCK_PEER_H

#include <winsock2.h>
#include <ws2tcpip.h>

#include "conformance.h"

static SOCKET winsock_peer_listener = INVALID_SOCKET, winsock_peer_socket = INVALID_SOCKET,
              winsock_peer_dead = INVALID_SOCKET;
static uint16_t winsock_peer_port;

/* More than a system keeps for one connection on the way, with the peer's buffer made small. */
#define WINSOCK_PEER_ROOM 16000000u

/* Once; it is given back when the program ends, so that only the port's own use counts. */
static inline void winsock_peer_start(void)
{
    WSADATA data;

    if (WSAStartup(MAKEWORD(2, 2), &data) != 0) {
        print_error("no Winsock\n");
        exit(2);
    }
}

static inline uint32_t winsock_peer_now_ms(void)
{
    LARGE_INTEGER now, rate;

    (void)QueryPerformanceCounter(&now);
    (void)QueryPerformanceFrequency(&rate);
    return (uint32_t)((uint64_t)(now.QuadPart / rate.QuadPart * 1000 +
                                 now.QuadPart % rate.QuadPart * 1000 / rate.QuadPart) &
                      0xFFFFFFFFu);
}

static inline void winsock_peer_idle(void)
{
    Sleep(1);
}

static inline void winsock_peer_close_socket(SOCKET *socket)
{
    if (*socket != INVALID_SOCKET)
        (void)closesocket(*socket);
    *socket = INVALID_SOCKET;
}

static inline void winsock_peer_nonblocking(SOCKET socket)
{
    u_long yes = 1;

    (void)ioctlsocket(socket, (long)FIONBIO, &yes);
}

/* A bound socket: its port. */
static inline uint16_t winsock_peer_bind(SOCKET *made, int family)
{
    struct sockaddr_in6 six;
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&six;
    int size = family == AF_INET ? (int)sizeof *four : (int)sizeof six, small_buffer = 16384;

    memset(&six, 0, sizeof six);
    if (family == AF_INET) {
        four->sin_family = AF_INET;
        four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
        six.sin6_family = AF_INET6;
        six.sin6_addr.s6_addr[15] = 1;
    }
    *made = socket(family, SOCK_STREAM, 0);
    if (*made == INVALID_SOCKET || bind(*made, (struct sockaddr *)(void *)&six, size) != 0 ||
        setsockopt(*made, SOL_SOCKET, SO_RCVBUF, (const char *)&small_buffer,
                   sizeof small_buffer) != 0 ||
        getsockname(*made, (struct sockaddr *)(void *)&six, &size) != 0)
        return 0;
    winsock_peer_nonblocking(*made);
    return ntohs(six.sin6_port); /* in the same place in both */
}

static inline uint16_t winsock_peer_listen(void)
{
    if (winsock_peer_listener == INVALID_SOCKET) {
        winsock_peer_port = winsock_peer_bind(&winsock_peer_listener, AF_INET);
        if (winsock_peer_port == 0 || listen(winsock_peer_listener, 8) != 0)
            fail_msg("cannot listen: %d", WSAGetLastError());
    }
    return winsock_peer_port;
}

static inline uint16_t winsock_peer_refusing(void)
{
    winsock_peer_close_socket(&winsock_peer_dead);
    return winsock_peer_bind(&winsock_peer_dead, AF_INET);
}

static inline int winsock_peer_accept(void)
{
    SOCKET made = accept(winsock_peer_listener, NULL, NULL);
    BOOL yes = TRUE;

    if (made == INVALID_SOCKET)
        return 0;
    winsock_peer_close_socket(&winsock_peer_socket);
    winsock_peer_socket = made;
    winsock_peer_nonblocking(made);
    (void)setsockopt(made, IPPROTO_TCP, TCP_NODELAY, (const char *)&yes, sizeof yes);
    return 1;
}

static inline int winsock_peer_send(const void *data, size_t size)
{
    int n = send(winsock_peer_socket, (const char *)data, (int)size, 0);

    if (n < 0)
        return WSAGetLastError() == WSAEWOULDBLOCK ? 0 : CONF_FAILED;
    return n;
}

static inline int winsock_peer_recv(void *data, size_t size)
{
    int n = recv(winsock_peer_socket, (char *)data, (int)size, 0);

    if (n < 0)
        return WSAGetLastError() == WSAEWOULDBLOCK ? 0 : CONF_FAILED;
    return n == 0 ? CONF_END : n;
}

static inline bool winsock_peer_is_open(void)
{
    return winsock_peer_socket != INVALID_SOCKET;
}

static inline void winsock_peer_hang_up(void)
{
    winsock_peer_close_socket(&winsock_peer_socket);
}

static inline void winsock_peer_end(void)
{
    (void)shutdown(winsock_peer_socket, SD_SEND);
}

static inline void winsock_peer_reset(void)
{
    struct linger at_once = {1, 0};

    (void)setsockopt(winsock_peer_socket, SOL_SOCKET, SO_LINGER, (const char *)&at_once,
                     sizeof at_once);
    winsock_peer_close_socket(&winsock_peer_socket);
}

static inline void winsock_peer_drop(void)
{
    winsock_peer_close_socket(&winsock_peer_socket);
    winsock_peer_close_socket(&winsock_peer_listener);
    winsock_peer_close_socket(&winsock_peer_dead);
}

/* ---- later ---- */

static HANDLE winsock_peer_thread;
static void (*winsock_peer_action)(void);
static uint32_t winsock_peer_delay_ms;

static inline DWORD WINAPI winsock_peer_act(void *context)
{
    (void)context;
    Sleep(winsock_peer_delay_ms);
    winsock_peer_action();
    return 0;
}

static inline bool winsock_peer_later(uint32_t ms, void (*action)(void))
{
    winsock_peer_action = action;
    winsock_peer_delay_ms = ms;
    winsock_peer_thread = CreateThread(NULL, 0, winsock_peer_act, NULL, 0, NULL);
    return winsock_peer_thread != NULL;
}

static inline void winsock_peer_later_done(void)
{
    (void)WaitForSingleObject(winsock_peer_thread, INFINITE);
    (void)CloseHandle(winsock_peer_thread);
}

/* ---- what is open ---- */

/* Wine's GetProcessHandleCount() is 0 always: there, each small number is looked at. */
static inline unsigned winsock_peer_handles(void)
{
    DWORD count = 0, flags;
    uintptr_t value;

    (void)GetProcessHandleCount(GetCurrentProcess(), &count);
    if (count == 0)
        for (value = 4; value < 0x800; value += 4)
            count += GetHandleInformation((HANDLE)value, &flags) != 0;
    return (unsigned)count;
}

/* The first connection and the first look-up of a process open handles that stay. */
static inline void winsock_peer_warm_up(const conf_port *port)
{
    const char *hosts[2];
    uint16_t number = port->listen();
    unsb_transport t = port->make();
    size_t i;

    hosts[0] = port->host;
    hosts[1] = port->unknown_host;
    for (i = 0; i < 2; i++) {
        while (t.vtable->connect(t.context, hosts[i], number) == UNSB_PENDING) {
            (void)t.vtable->wait(t.context, UNSB_READABLE, 10);
            (void)port->accept();
        }
        t.vtable->close(t.context);
    }
    port->drop();
}

/* All of conf_port but its name and transport. */
static inline void winsock_peer_fill(conf_port *port)
{
    port->host = "127.0.0.1";
    port->listen = winsock_peer_listen;
    port->accept = winsock_peer_accept;
    port->peer_send = winsock_peer_send;
    port->peer_recv = winsock_peer_recv;
    port->drop = winsock_peer_drop;
    port->now_ms = winsock_peer_now_ms;
    port->idle = winsock_peer_idle;
    port->clock_step_ms = 16; /* waits end with a tick of another clock */
    port->refusing = winsock_peer_refusing;
    port->peer_end = winsock_peer_end;
    port->peer_reset = winsock_peer_reset;
    port->later = winsock_peer_later;
    port->later_done = winsock_peer_later_done;
    port->resources = winsock_peer_handles;
    port->room = WINSOCK_PEER_ROOM;
}

#endif
