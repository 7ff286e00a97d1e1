/* unsandbox_winsock.h - transport for unsandbox.h over Windows sockets (TCP, IPv4, IPv6)
 *
 * Windows 7 SP1 and later, and Wine; MinGW-w64 or Visual C++. Plain TCP: put a TLS port
 * (unsandbox_bearssl.h ...) over it wherever the wire is not your own.
 *
 *     #include "unsandbox.h"
 *     #include "unsandbox_winsock.h"
 *
 *     unsb_winsock tcp;
 *     unsb_config config = {0};
 *     config.transport = unsb_winsock_transport(&tcp);
 *     config.now_ms = unsb_winsock_now_ms;
 *     config.unix_time = unsb_winsock_unix_time;
 *
 * All functions are static: include the file wherever it is needed, there is no implementation
 * macro. C99 or C++11. Include it, or winsock2.h, before windows.h. Link with -lws2_32 (Visual C++
 * is told so here).
 *
 * Nothing here blocks but wait(). Sockets are non-blocking. Names are resolved by GetAddrInfoW() in
 * a helper thread; numeric addresses need none. The thread owns what it works with, so the client
 * may be aborted, closed and freed meanwhile, and the DLL that holds it unloaded; the thread cleans
 * up when GetAddrInfoW() returns. So the client's connect time-out covers resolving too. Names are
 * UTF-8 here and UTF-16 there.
 *
 * All addresses of a name are tried, one after the other in GetAddrInfoW()'s order. One that does
 * not answer is given up after address_timeout_ms while others remain; the last one has what the
 * client's time-out leaves. A program that waits by itself should call unsb_poll() about once a
 * second while it connects, as no event tells that this time is up. (Windows asks three times
 * before it believes that a port refuses: that takes it about 2 s.)
 *
 * Waiting by yourself, in a message loop for example:
 *
 *     interest = unsb_interest(&client, &timeout_ms);
 *     event = unsb_winsock_event(&tcp, interest);
 *     MsgWaitForMultipleObjects(event != NULL, &event, FALSE, timeout_ms, QS_ALLINPUT);
 *     rc = unsb_poll(&client);
 *
 * Winsock is started by connect and cleaned up by close; Windows counts, so it does not matter
 * whether the program does the same.
 *
 * Memory: sizeof(unsb_winsock), 80 bytes (52 on 32-bit systems); while connected, a socket and an
 * event. While a name is resolved: one heap block of about 600 bytes and a thread. The address list
 * is GetAddrInfoW()'s and is freed once connected. No handle is inherited by child processes.
 *
 * Errors: UNSB_E_RESOLVE (tcp.resolve_error has GetAddrInfoW's code), UNSB_E_CONNECT (also where
 * Winsock cannot be started), UNSB_E_IO and, from recv at the peer's FIN, UNSB_E_CLOSED; tcp.error
 * has Windows' code, WSAECONNREFUSED for example. They are returned again until close. A failed
 * send leaves recv usable: what the peer sent before it hung up can still be read, as far as
 * Windows has kept it.
 *
 * Limits: one connection for each unsb_winsock, which belongs to one thread at a time.
 * GetAddrInfoW() cannot be cancelled: an abandoned look-up keeps its thread until the resolver's
 * own time-out. */
#ifndef UNSANDBOX_WINSOCK_H
#define UNSANDBOX_WINSOCK_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif

#if defined(_WINSOCKAPI_) && !defined(_WINSOCK2API_)
#error "windows.h has brought the old winsock.h: include winsock2.h or this file before windows.h"
#endif

#include <winsock2.h>
#include <ws2tcpip.h>
#include <mstcpip.h>
#include <limits.h>

#ifdef _MSC_VER
#pragma comment(lib, "ws2_32.lib")
#endif

/* ======================================================================
 * >>options  alike in all files of a program
 * ====================================================================== */

/* 0: no thread. Names are resolved in the caller's thread: connect() BLOCKS for as long as the
 * resolver takes, whatever the time-outs say. Numeric addresses never block. */
#ifndef UNSB_WINSOCK_THREADS
#define UNSB_WINSOCK_THREADS 1
#endif

/* What resolves names: a function like GetAddrInfoW(), whose result FreeAddrInfoW() frees. It is
 * called from the helper thread, and with AI_NUMERICHOST from the caller's. */
#ifndef UNSB_WINSOCK_GETADDRINFO
#define UNSB_WINSOCK_GETADDRINFO GetAddrInfoW
#endif

#if defined(__GNUC__)
#define UNSBI_WINSOCK_FN static __attribute__((unused))
#elif defined(_MSC_VER)
#define UNSBI_WINSOCK_FN static __inline
#else
#define UNSBI_WINSOCK_FN static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

struct unsbi_winsock_lookup;

typedef struct unsb_winsock {
    /* may be set after unsb_winsock_transport() */
    uint32_t address_timeout_ms; /* for each address but the last; 0: 5,000 */
    /* to be read */
    int error;         /* Windows' code of the last failure, 0: none. Kept until the next connect */
    int resolve_error; /* with UNSB_E_RESOLVE: WSAHOST_NOT_FOUND, WSATRY_AGAIN ... */
    /* private */
    int failure;         /* of connect, then of recv; sticky */
    int send_failure;    /* kept apart, so that recv can still fetch what the peer sent */
    uint32_t started_ms; /* when the present address was begun */
    uint8_t state;
    bool winsock;  /* WSAStartup() was called */
    SOCKET socket; /* INVALID_SOCKET: none */
    HANDLE event;  /* for waiting; NULL: none, as is the thread */
    HANDLE thread; /* while resolving: the helper, whose end is the signal */
    struct unsbi_winsock_lookup *lookup;
    ADDRINFOW *addresses; /* owned */
    ADDRINFOW *next;      /* the one to try next */
} unsb_winsock;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Initialises `tcp` (whatever it held: close it before, if it was in use) and returns the transport
 * over it. `tcp` must stay in place until the client is closed. */
UNSBI_WINSOCK_FN unsb_transport unsb_winsock_transport(unsb_winsock *tcp);
/* What to put into WaitForMultipleObjects() and its like for a non-blocking client: a handle that
 * is signalled when what unsb_interest() named has come. NULL: nothing, only time matters. It stays
 * the port's, and holds until the next call of this function, unsb_poll() or anything else of the
 * client: ask anew each time. */
UNSBI_WINSOCK_FN HANDLE unsb_winsock_event(unsb_winsock *tcp, int interest);
/* What to put into select() or WSAPoll() instead, with the events that unsb_interest() names.
 * INVALID_SOCKET: there is none, as while a name is resolved: poll again soon. While connecting,
 * put it into select()'s third set too: a failure shows there alone, and older versions of
 * WSAPoll() tell none. Ask anew after each unsb_poll(). */
UNSBI_WINSOCK_FN SOCKET unsb_winsock_socket(const unsb_winsock *tcp);
/* Clocks for unsb_config; the context is not used. */
UNSBI_WINSOCK_FN uint32_t unsb_winsock_now_ms(void *context);
UNSBI_WINSOCK_FN uint32_t unsb_winsock_unix_time(void *context);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

enum {
    UNSBI_WINSOCK_IDLE,
    UNSBI_WINSOCK_RESOLVING,
    UNSBI_WINSOCK_CONNECTING,
    UNSBI_WINSOCK_OPEN,
    UNSBI_WINSOCK_FAILED
};

/* The ticks of GetTickCount() are up to 16 ms long. */
UNSBI_WINSOCK_FN uint32_t unsb_winsock_now_ms(void *context)
{
    LARGE_INTEGER now;
    LARGE_INTEGER rate; /* counts in a second; never 0 (since Windows XP) */
    (void)context;
    (void)QueryPerformanceCounter(&now);
    (void)QueryPerformanceFrequency(&rate);
    return (uint32_t)((uint64_t)(now.QuadPart / rate.QuadPart * 1000 +
                                 now.QuadPart % rate.QuadPart * 1000 / rate.QuadPart) &
                      0xFFFFFFFFu);
}

UNSBI_WINSOCK_FN uint32_t unsb_winsock_unix_time(void *context)
{
    FILETIME now; /* in units of 100 ns, since 1601: 11,644,473,600 s before 1970 */
    uint64_t ticks;
    (void)context;
    GetSystemTimeAsFileTime(&now);
    ticks = (uint64_t)now.dwHighDateTime << 32 | now.dwLowDateTime;
    return (uint32_t)((ticks / 10000000u - 11644473600u) & 0xFFFFFFFFu);
}

/* ---- handles ---- */

static void unsbi_winsock_close_handle(HANDLE *handle)
{
    if (*handle != NULL) {
        (void)CloseHandle(*handle);
        *handle = NULL;
    }
}

static void unsbi_winsock_close_socket(SOCKET *socket)
{
    if (*socket != INVALID_SOCKET) {
        (void)closesocket(*socket);
        *socket = INVALID_SOCKET;
    }
}

static void unsbi_winsock_set_option(SOCKET socket, int level, int name, int value)
{
    (void)setsockopt(socket, level, name, (const char *)&value, sizeof value);
}

/* Requests are sent in few large pieces, so Nagle's algorithm only delays their last segment. A
 * program may run for 15 minutes in silence: probes keep the path open and notice a dead peer. */
static void unsbi_winsock_set_options(SOCKET socket)
{
    struct tcp_keepalive probes;
    DWORD size = 0;
    probes.onoff = 1;
    probes.keepalivetime = 30000;
    probes.keepaliveinterval = 15000;
    unsbi_winsock_set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    unsbi_winsock_set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)WSAIoctl(socket, SIO_KEEPALIVE_VALS, &probes, sizeof probes, NULL, 0, &size, NULL, NULL);
}

/* ---- resolving ---- */

static int unsbi_winsock_resolve(const WCHAR *host, const WCHAR *service, int flags,
                                 ADDRINFOW **list)
{
    ADDRINFOW hints;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_protocol = IPPROTO_TCP;
    hints.ai_flags = flags;
    *list = NULL;
    return UNSB_WINSOCK_GETADDRINFO(host, service, &hints, list);
}

static void unsbi_winsock_format_port(WCHAR text[6], uint16_t port)
{
    unsigned rest = port;
    size_t digits = 1;
    while (digits < 5 && rest >= 10) {
        rest /= 10;
        digits++;
    }
    rest = port;
    text[digits] = L'\0';
    while (digits > 0) {
        text[--digits] = (WCHAR)(L'0' + rest % 10);
        rest /= 10;
    }
}

#if UNSB_WINSOCK_THREADS
/* What the client and the helper thread share. Each holds one reference; who drops the last one
 * frees the block. So neither ever touches memory that belongs to the other. What the thread finds
 * is the client's to read once the thread has ended. */
struct unsbi_winsock_lookup {
    volatile LONG references;
    int result;
    ADDRINFOW *list;
    HMODULE module; /* what holds this code, so that it stays while the thread runs */
    WCHAR service[6];
    WCHAR host[256];
};

static void unsbi_winsock_lookup_release(struct unsbi_winsock_lookup *lookup)
{
    if (InterlockedDecrement(&lookup->references) == 0) {
        if (lookup->list != NULL) {
            FreeAddrInfoW(lookup->list);
        }
        (void)HeapFree(GetProcessHeap(), 0, lookup);
    }
}

/* Calls nothing of the C library, which would want threads to be made by its own function. */
static DWORD WINAPI unsbi_winsock_lookup_run(void *context)
{
    struct unsbi_winsock_lookup *lookup = (struct unsbi_winsock_lookup *)context;
    HMODULE module = lookup->module;
    lookup->result = unsbi_winsock_resolve(lookup->host, lookup->service, 0, &lookup->list);
    unsbi_winsock_lookup_release(lookup);
    (void)WSACleanup();
    FreeLibraryAndExitThread(module, 0); /* does not return */
}

/* Winsock and this module, once more for the thread: 0 or an error. */
static DWORD unsbi_winsock_lookup_hold(struct unsbi_winsock_lookup *lookup)
{
    static const char here = 0;
    WSADATA data;
    int rc;
    if (!GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                            (LPCWSTR)(const void *)&here, &lookup->module)) {
        return GetLastError();
    }
    rc = WSAStartup(MAKEWORD(2, 2), &data);
    if (rc != 0) {
        (void)FreeLibrary(lookup->module);
    }
    return (DWORD)rc;
}

/* Returns 0 or an error. */
static DWORD unsbi_winsock_lookup_start(unsb_winsock *tcp, const WCHAR *host, const WCHAR *service)
{
    struct unsbi_winsock_lookup *lookup;
    DWORD rc;

    lookup = (struct unsbi_winsock_lookup *)HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY,
                                                      sizeof *lookup);
    if (lookup == NULL) {
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    memcpy(lookup->host, host, sizeof lookup->host);
    memcpy(lookup->service, service, sizeof lookup->service);
    lookup->references = 2;
    rc = unsbi_winsock_lookup_hold(lookup);
    if (rc == 0) {
        tcp->thread = CreateThread(NULL, 0, unsbi_winsock_lookup_run, lookup, 0, NULL);
        if (tcp->thread != NULL) {
            tcp->lookup = lookup;
            return 0;
        }
        rc = GetLastError();
        (void)WSACleanup();
        (void)FreeLibrary(lookup->module);
    }
    (void)HeapFree(GetProcessHeap(), 0, lookup);
    return rc;
}

/* Takes the result over, if there is one: UNSB_OK, UNSB_PENDING or UNSB_E_RESOLVE. */
static int unsbi_winsock_lookup_take(unsb_winsock *tcp)
{
    struct unsbi_winsock_lookup *lookup = tcp->lookup;

    if (WaitForSingleObject(tcp->thread, 0) != WAIT_OBJECT_0) {
        return UNSB_PENDING;
    }
    tcp->resolve_error = lookup->result;
    tcp->addresses = lookup->list;
    lookup->list = NULL;
    tcp->lookup = NULL;
    unsbi_winsock_lookup_release(lookup);
    unsbi_winsock_close_handle(&tcp->thread);
    return tcp->resolve_error == 0 && tcp->addresses != NULL ? UNSB_OK : UNSB_E_RESOLVE;
}
#endif

/* Begins to resolve: UNSB_OK (the addresses are there), UNSB_PENDING or UNSB_E_RESOLVE. */
static int unsbi_winsock_resolve_start(unsb_winsock *tcp, const char *host, uint16_t port)
{
    WCHAR service[6];
    WCHAR wide[256];

    tcp->resolve_error = WSAHOST_NOT_FOUND;
    memset(wide, 0, sizeof wide);
    if (host == NULL || host[0] == '\0' ||
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, host, -1, wide, 256) == 0) {
        return UNSB_E_RESOLVE; /* none, too long or not UTF-8 */
    }
    unsbi_winsock_format_port(service, port);
    tcp->resolve_error = unsbi_winsock_resolve(wide, service, AI_NUMERICHOST, &tcp->addresses);
    if (tcp->resolve_error == 0) {
        return tcp->addresses != NULL ? UNSB_OK : UNSB_E_RESOLVE;
    }
#if UNSB_WINSOCK_THREADS
    tcp->resolve_error = 0;
    tcp->error = (int)unsbi_winsock_lookup_start(tcp, wide, service);
    if (tcp->error == 0) {
        return UNSB_PENDING;
    }
    tcp->resolve_error = WSATRY_AGAIN;
    return UNSB_E_RESOLVE;
#else
    tcp->resolve_error = unsbi_winsock_resolve(wide, service, 0, &tcp->addresses);
    return tcp->resolve_error == 0 && tcp->addresses != NULL ? UNSB_OK : UNSB_E_RESOLVE;
#endif
}

/* ---- looking after a socket ---- */

/* A set of one socket. An fd_set has room for FD_SETSIZE, which is the program's to choose, but
 * Windows goes by the count in it. */
typedef struct unsbi_winsock_set {
    u_int count;
    SOCKET sockets[1];
} unsbi_winsock_set;

static fd_set *unsbi_winsock_fill(unsbi_winsock_set *set, SOCKET socket, bool wanted)
{
    set->count = 1;
    set->sockets[0] = socket;
    return wanted ? (fd_set *)(void *)set : NULL;
}

/* What select() says at once: > 0, ready; 0, not; < 0, an error. */
static int unsbi_winsock_look(const unsb_winsock *tcp, int interest, bool *failed)
{
    bool connecting = tcp->state == UNSBI_WINSOCK_CONNECTING;
    bool readable = !connecting && (interest & UNSB_READABLE) != 0;
    bool writable = connecting || (interest & UNSB_WRITABLE) != 0;
    unsbi_winsock_set sets[3];
    struct timeval now = {0, 0};
    int count = select(0, unsbi_winsock_fill(&sets[0], tcp->socket, readable),
                       unsbi_winsock_fill(&sets[1], tcp->socket, writable),
                       unsbi_winsock_fill(&sets[2], tcp->socket, connecting), &now);
    /* The third set is what a failed connect shows in. */
    *failed = connecting && count > 0 && sets[2].count != 0;
    return count;
}

/* ---- connecting ---- */

/* How long the present address may still take, 0: its time is up. Only while others remain. */
static uint32_t unsbi_winsock_address_left(const unsb_winsock *tcp)
{
    uint32_t limit = tcp->address_timeout_ms != 0 ? tcp->address_timeout_ms : 5000u;
    uint32_t passed = unsb_winsock_now_ms(NULL) - tcp->started_ms;
    return passed < limit ? limit - passed : 0;
}

static void unsbi_winsock_free_addresses(unsb_winsock *tcp)
{
    if (tcp->addresses != NULL) {
        FreeAddrInfoW(tcp->addresses);
        tcp->addresses = NULL;
        tcp->next = NULL;
    }
}

static int unsbi_winsock_fail(unsb_winsock *tcp, int failure)
{
    unsbi_winsock_close_socket(&tcp->socket);
    unsbi_winsock_free_addresses(tcp);
    tcp->failure = failure;
    tcp->state = UNSBI_WINSOCK_FAILED;
    return failure;
}

static int unsbi_winsock_opened(unsb_winsock *tcp)
{
    unsbi_winsock_free_addresses(tcp);
    tcp->error = 0;
    tcp->state = UNSBI_WINSOCK_OPEN;
    return UNSB_OK;
}

/* Goes through the addresses until one connects or is under way. */
static int unsbi_winsock_connect_next(unsb_winsock *tcp)
{
    while (tcp->next != NULL) {
        const ADDRINFOW *address = tcp->next;
        u_long nonblocking = 1;
        int error;
        tcp->next = address->ai_next;
        unsbi_winsock_close_socket(&tcp->socket);
        tcp->socket = WSASocketW(address->ai_family, address->ai_socktype, address->ai_protocol,
                                 NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
        if (tcp->socket == INVALID_SOCKET ||
            ioctlsocket(tcp->socket, (long)FIONBIO, &nonblocking) != 0) {
            tcp->error = WSAGetLastError();
            continue;
        }
        unsbi_winsock_set_options(tcp->socket);
        tcp->started_ms = unsb_winsock_now_ms(NULL);
        if (connect(tcp->socket, address->ai_addr, (int)address->ai_addrlen) == 0) {
            return unsbi_winsock_opened(tcp);
        }
        error = WSAGetLastError();
        if (error == WSAEWOULDBLOCK) {
            tcp->state = UNSBI_WINSOCK_CONNECTING;
            return UNSB_PENDING;
        }
        tcp->error = error;
    }
    return unsbi_winsock_fail(tcp, UNSB_E_CONNECT);
}

/* Looks after the address that is under way. */
static int unsbi_winsock_connect_go_on(unsb_winsock *tcp)
{
    int error = 0;
    int size = sizeof error;
    bool failed;
    int count = unsbi_winsock_look(tcp, UNSB_WRITABLE, &failed);

    if (count == 0) {
        if (tcp->next == NULL || unsbi_winsock_address_left(tcp) > 0) {
            return UNSB_PENDING;
        }
        error = WSAETIMEDOUT;
    } else if (count < 0 ||
               getsockopt(tcp->socket, SOL_SOCKET, SO_ERROR, (char *)&error, &size) != 0) {
        error = WSAGetLastError();
    }
    if (error == 0 && !failed) {
        return unsbi_winsock_opened(tcp);
    }
    tcp->error = error != 0 ? error : WSAECONNREFUSED;
    return unsbi_winsock_connect_next(tcp);
}

/* What a connection needs of Windows whatever the address: UNSB_OK or UNSB_E_CONNECT. */
static int unsbi_winsock_start(unsb_winsock *tcp)
{
    WSADATA data;
    tcp->error = WSAStartup(MAKEWORD(2, 2), &data);
    if (tcp->error != 0) {
        return UNSB_E_CONNECT;
    }
    tcp->winsock = true;
    tcp->event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (tcp->event == NULL) {
        tcp->error = (int)GetLastError();
        return UNSB_E_CONNECT;
    }
    return UNSB_OK;
}

static int unsbi_winsock_connect(void *context, const char *host, uint16_t port)
{
    unsb_winsock *tcp = (unsb_winsock *)context;
    int rc = UNSB_OK;

    switch (tcp->state) {
    case UNSBI_WINSOCK_IDLE:
        tcp->error = 0;
        tcp->resolve_error = 0;
        rc = unsbi_winsock_start(tcp);
        if (rc == UNSB_OK) {
            rc = unsbi_winsock_resolve_start(tcp, host, port);
        }
        if (rc == UNSB_PENDING) {
            tcp->state = UNSBI_WINSOCK_RESOLVING;
        }
        break;
    case UNSBI_WINSOCK_RESOLVING:
#if UNSB_WINSOCK_THREADS
        rc = unsbi_winsock_lookup_take(tcp);
#endif
        break;
    case UNSBI_WINSOCK_CONNECTING:
        return unsbi_winsock_connect_go_on(tcp);
    case UNSBI_WINSOCK_OPEN:
        return UNSB_OK;
    default:
        return tcp->failure;
    }
    if (rc == UNSB_PENDING) {
        return rc;
    }
    if (rc != UNSB_OK) {
        return unsbi_winsock_fail(tcp, rc);
    }
    tcp->next = tcp->addresses;
    return unsbi_winsock_connect_next(tcp);
}

/* ---- transferring ---- */

static int unsbi_winsock_not_open(unsb_winsock *tcp)
{
    if (tcp->failure != 0) {
        return tcp->failure;
    }
    tcp->error = WSAENOTCONN;
    return UNSB_E_IO;
}

static int unsbi_winsock_send(void *context, const void *data, size_t size)
{
    unsb_winsock *tcp = (unsb_winsock *)context;
    int count;
    int error;

    if (tcp->state != UNSBI_WINSOCK_OPEN) {
        return unsbi_winsock_not_open(tcp);
    }
    if (tcp->send_failure != 0 || size == 0) {
        return tcp->send_failure;
    }
    if (size > (size_t)INT_MAX) {
        size = (size_t)INT_MAX;
    }
    count = send(tcp->socket, (const char *)data, (int)size, 0);
    if (count >= 0) {
        return count;
    }
    error = WSAGetLastError();
    if (error == WSAEWOULDBLOCK) {
        return 0;
    }
    tcp->error = error;
    /* Nothing here shuts down: this is what Wine makes of EPIPE, the peer has hung up. */
    tcp->send_failure = error == WSAESHUTDOWN ? UNSB_E_CLOSED : UNSB_E_IO;
    return tcp->send_failure;
}

/* Whether the end that recv has seen was a reset. Windows has recv say so itself; Wine lets send
 * alone know, and nothing is sent for that. */
static bool unsbi_winsock_was_reset(const unsb_winsock *tcp)
{
    return send(tcp->socket, "", 0, 0) < 0 && WSAGetLastError() == WSAECONNRESET;
}

static int unsbi_winsock_recv(void *context, void *data, size_t size)
{
    unsb_winsock *tcp = (unsb_winsock *)context;
    int count;
    int error;

    if (tcp->state != UNSBI_WINSOCK_OPEN) {
        return unsbi_winsock_not_open(tcp);
    }
    if (tcp->failure != 0 || size == 0) {
        return tcp->failure;
    }
    if (size > (size_t)INT_MAX) {
        size = (size_t)INT_MAX;
    }
    count = recv(tcp->socket, (char *)data, (int)size, 0);
    if (count > 0) {
        return count;
    }
    if (count == 0) {
        tcp->failure = UNSB_E_CLOSED;
        if (tcp->send_failure == UNSB_E_IO) {
            tcp->failure = UNSB_E_IO; /* send was told of a reset: this is no orderly end */
        } else if (tcp->send_failure == 0 && unsbi_winsock_was_reset(tcp)) {
            tcp->error = WSAECONNRESET;
            tcp->failure = UNSB_E_IO;
        }
        return tcp->failure;
    }
    error = WSAGetLastError();
    if (error == WSAEWOULDBLOCK) {
        return 0;
    }
    tcp->error = error;
    tcp->failure = UNSB_E_IO;
    return tcp->failure;
}

static void unsbi_winsock_close(void *context)
{
    unsb_winsock *tcp = (unsb_winsock *)context;
#if UNSB_WINSOCK_THREADS
    if (tcp->lookup != NULL) {
        unsbi_winsock_lookup_release(tcp->lookup);
        tcp->lookup = NULL;
    }
#endif
    unsbi_winsock_close_handle(&tcp->thread);
    (void)unsbi_winsock_fail(tcp, 0);
    unsbi_winsock_close_handle(&tcp->event);
    if (tcp->winsock) {
        (void)WSACleanup();
        tcp->winsock = false;
    }
    tcp->send_failure = 0;
    tcp->state = UNSBI_WINSOCK_IDLE;
}

/* ---- waiting ---- */

UNSBI_WINSOCK_FN SOCKET unsb_winsock_socket(const unsb_winsock *tcp)
{
    return tcp->socket;
}

/* Winsock records an event when it comes and then once for each send or recv, and may not tell of a
 * connect that failed before it was asked. So the event is set up anew each time, and what select()
 * sees afterwards is already there. */
UNSBI_WINSOCK_FN HANDLE unsb_winsock_event(unsb_winsock *tcp, int interest)
{
    long events = FD_CLOSE;
    bool failed;

    if (interest == 0) {
        return NULL;
    }
    if (tcp->state == UNSBI_WINSOCK_RESOLVING) {
        return tcp->thread;
    }
    if (tcp->socket == INVALID_SOCKET) {
        return NULL;
    }
    if (tcp->state == UNSBI_WINSOCK_CONNECTING) {
        events |= FD_CONNECT;
    } else {
        events |= (interest & UNSB_READABLE) != 0 ? FD_READ : 0;
        events |= (interest & UNSB_WRITABLE) != 0 ? FD_WRITE : 0;
    }
    (void)ResetEvent(tcp->event);
    if (WSAEventSelect(tcp->socket, tcp->event, events) != 0 ||
        unsbi_winsock_look(tcp, interest, &failed) != 0) {
        (void)SetEvent(tcp->event);
    }
    return tcp->event;
}

/* A connect is over when the socket can be written. */
static int unsbi_winsock_interest(void *context, int interest)
{
    const unsb_winsock *tcp = (const unsb_winsock *)context;
    if (interest != 0 && tcp->state == UNSBI_WINSOCK_RESOLVING) {
        return UNSB_READABLE;
    }
    if (interest != 0 && tcp->state == UNSBI_WINSOCK_CONNECTING) {
        return UNSB_WRITABLE;
    }
    return interest;
}

static int unsbi_winsock_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsb_winsock *tcp = (unsb_winsock *)context;
    uint32_t limit_ms = timeout_ms;
    HANDLE event = unsb_winsock_event(tcp, interest);
    DWORD rc;

    if (interest == 0) {
        Sleep(timeout_ms >= UNSB_FOREVER ? INFINITE : timeout_ms);
        return UNSB_E_TIMEOUT;
    }
    if (event == NULL) {
        return UNSB_OK; /* nothing to wait for: the next call tells why */
    }
    if (tcp->state == UNSBI_WINSOCK_CONNECTING && tcp->next != NULL) {
        uint32_t left_ms = unsbi_winsock_address_left(tcp);
        limit_ms = left_ms < timeout_ms ? left_ms : timeout_ms;
    }
    rc = WaitForSingleObject(event, limit_ms >= UNSB_FOREVER ? INFINITE : limit_ms);
    if (rc != WAIT_OBJECT_0 && rc != WAIT_TIMEOUT) {
        tcp->error = (int)GetLastError();
        return UNSB_E_IO;
    }
    return rc == WAIT_OBJECT_0 || limit_ms < timeout_ms ? UNSB_OK : UNSB_E_TIMEOUT;
}

static const unsb_transport_class unsbi_winsock_class = {
    unsbi_winsock_connect, unsbi_winsock_send, unsbi_winsock_recv,
    unsbi_winsock_close,   unsbi_winsock_wait, unsbi_winsock_interest, NULL};

UNSBI_WINSOCK_FN unsb_transport unsb_winsock_transport(unsb_winsock *tcp)
{
    unsb_transport transport;
    memset(tcp, 0, sizeof *tcp);
    tcp->socket = INVALID_SOCKET;
    transport.vtable = &unsbi_winsock_class;
    transport.context = tcp;
    return transport;
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_WINSOCK_H */
