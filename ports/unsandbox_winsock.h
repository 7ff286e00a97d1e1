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
 * Nothing here blocks but wait(). Sockets are non-blocking.
 *
 * Resolving: GetAddrInfoW() in a helper thread, so that the client's connect time-out covers it;
 * numeric addresses need none. Names are UTF-8 here and UTF-16 there. The thread owns what it works
 * with: the client may be aborted, closed and freed meanwhile, and the DLL that holds it unloaded
 * (the thread has a reference to it, which it gives up with its last step). GetAddrInfoW() cannot
 * be cancelled, so a look-up that was abandoned goes on until the resolver's own time-out, but only
 * one: connect() joins the look-up of its host and port that is under way, whichever client (of the
 * same source file) began it, also after close.
 *
 * Connecting: Happy Eyeballs (RFC 8305 sections 4 and 5). The families of GetAddrInfoW()'s list are
 * taken by turns, from its first address on. Where one has not answered within address_timeout_ms
 * the next one is begun beside it, at once where one has failed; the first to answer is kept, and
 * the others are closed. (Windows asks three times before it believes that a port refuses: that
 * takes it about 2 s.) Up to UNSB_WINSOCK_ATTEMPTS are under way at a time; where there are more
 * addresses, the oldest attempt makes room for the next one when nothing was begun for 2 s. The
 * last ones have what the client's time-out leaves. What answered last is tried first at the next
 * connect, if the name still stands for it.
 *
 * Sending: a slow uplink must show as one, or the client takes what lies in Windows' buffer for
 * sent and counts silence while it leaves. Windows takes a piece of any size while less than
 * SO_SNDBUF is unacknowledged, and lets that grow. So it is set to 256 KB, and pieces are cut to
 * 64 KB: an upload gets at most that much in each round trip (2.5 MB/s at 100 ms). Those 320 KB
 * count as silence when the last byte was taken: idle_timeout_ms must be longer than the line needs
 * for them, 40 s at 64 kbit/s.
 *
 * Waiting by yourself, in a message loop for example:
 *
 *     interest = unsb_interest(&client, &timeout_ms);
 *     event = unsb_winsock_event(&tcp, interest);
 *     timeout_ms = unsb_winsock_timeout(&tcp, timeout_ms);
 *     MsgWaitForMultipleObjects(event != NULL, &event, FALSE, timeout_ms, QS_ALLINPUT);
 *     rc = unsb_poll(&client);
 *
 * Interrupting a blocking call, from another thread or a console's control handler:
 * unsb_winsock_interrupt().
 *
 * Winsock is started by connect and cleaned up by close; Windows counts, so it does not matter
 * whether the program does the same.
 *
 * Memory: sizeof(unsb_winsock), 200 bytes (128 on 32-bit systems); while connected, a socket and
 * an event; while connecting, a socket for each attempt; one event more while it is
 * interruptible. For each host that is being resolved: one heap block of about 600 bytes and a
 * thread. The address list is GetAddrInfoW()'s and is freed once connected. No handle is inherited
 * by child processes.
 *
 * Errors: UNSB_E_RESOLVE (tcp.resolve_error has GetAddrInfoW's code), UNSB_E_CONNECT (also where
 * Winsock cannot be started), UNSB_E_IO and, from recv at the peer's FIN, UNSB_E_CLOSED; tcp.error
 * has Windows' code, WSAECONNREFUSED for example. They are returned again until close. A failed
 * send leaves recv usable: what the peer sent before it hung up can still be read, as far as
 * Windows has kept it. UNSB_E_ABORTED after unsb_winsock_interrupt().
 *
 * Limits: one connection for each unsb_winsock, which belongs to one thread at a time. */
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

/* How many addresses of a host may be under way at a time, each with a socket: 1 to 64. */
#ifndef UNSB_WINSOCK_ATTEMPTS
#define UNSB_WINSOCK_ATTEMPTS 8
#endif

#if UNSB_WINSOCK_ATTEMPTS < 1 || UNSB_WINSOCK_ATTEMPTS > 64
#error "UNSB_WINSOCK_ATTEMPTS must be 1 to 64"
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
    uint32_t address_timeout_ms; /* after which the next address is tried, too; 0: 250, least: 10 */
    /* to be read */
    int error;         /* Windows' code of the last failure, 0: none. Kept until the next connect */
    int resolve_error; /* with UNSB_E_RESOLVE: WSAHOST_NOT_FOUND, WSATRY_AGAIN ... */
    /* private */
    volatile LONG interrupted; /* written by other threads */
    HANDLE interrupt;          /* what wakes wait() then; NULL: none, as the other handles */
    int failure;               /* of connect, then of recv; sticky */
    int send_failure;          /* kept apart, so that recv can still fetch what the peer sent */
    uint32_t started_ms;       /* when the last address was begun */
    uint8_t state;
    bool winsock;       /* WSAStartup() was called */
    uint8_t pending;    /* how many sockets are connecting, */
    uint8_t room;       /* how many may, */
    uint8_t turn;       /* and which family is next */
    uint8_t known_size; /* 0: none */
    SOCKET socket;      /* once connected, INVALID_SOCKET: none */
    SOCKET sockets[UNSB_WINSOCK_ATTEMPTS]; /* that are connecting, the oldest first */
    HANDLE event;                          /* for waiting, of all sockets */
    unsigned char known[sizeof(struct sockaddr_in6)]; /* the address that answered last */
    struct unsbi_winsock_lookup *lookup;              /* which owns `addresses`, if there is one */
    ADDRINFOW *addresses;
    const ADDRINFOW *first;   /* the one that is known, */
    const ADDRINFOW *next[2]; /* then those of the list's first family and of the others */
} unsb_winsock;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Initialises `tcp` (whatever it held: close it before, if it was in use) and returns the transport
 * over it. `tcp` must stay in place until the client is closed. */
UNSBI_WINSOCK_FN unsb_transport unsb_winsock_transport(unsb_winsock *tcp);

/* For programs that wait by themselves, with non-blocking clients.
 *
 * unsb_winsock_event: what to put into WaitForMultipleObjects() and its like: a handle that is
 * signalled when what unsb_interest() named has come. NULL: nothing, only time matters. It stays
 * the port's, and holds until the next call of this function, unsb_poll() or anything else of the
 * client: ask anew each time.
 *
 * unsb_winsock_timeout: shortens the time-out that unsb_interest() gave to when another address is
 * due, which no event tells. A program that does without calls unsb_poll() four times a second
 * until connected.
 *
 * unsb_winsock_socket: what to put into select() or WSAPoll() instead, with the events that
 * unsb_interest() names. INVALID_SOCKET: there is none, as while a name is resolved: poll again
 * soon. While connecting, it is the last one that was begun: call unsb_poll() four times a second,
 * and put it into select()'s third set too: a failure shows there alone, and older versions of
 * WSAPoll() tell none. Ask anew after each unsb_poll(). */
UNSBI_WINSOCK_FN HANDLE unsb_winsock_event(unsb_winsock *tcp, int interest);
UNSBI_WINSOCK_FN uint32_t unsb_winsock_timeout(const unsb_winsock *tcp, uint32_t timeout_ms);
UNSBI_WINSOCK_FN SOCKET unsb_winsock_socket(const unsb_winsock *tcp);

/* Ends a blocking call of the client from another thread, as a console's control handler is: it
 * returns UNSB_E_ABORTED, as does every call after it that needs the connection, until
 * unsb_winsock_interruptible() takes the interrupt back. So one that comes between two calls, or
 * just before a wait begins, is not lost. May be called at any time while the unsb_winsock exists,
 * also twice. */
UNSBI_WINSOCK_FN void unsb_winsock_interrupt(unsb_winsock *tcp);
/* on: makes the waits of `tcp` end when it is interrupted, which takes an event that is kept until
 * this is called with `on` false; and takes back an interrupt that came before. UNSB_OK, or
 * UNSB_E_IO (tcp.error says why). Without it an interrupt is noticed when the wait under way ends
 * of itself. To be called between the client's calls; with `on` false, when no interrupt can come
 * any more. */
UNSBI_WINSOCK_FN int unsb_winsock_interruptible(unsb_winsock *tcp, bool on);

/* Clocks for unsb_config; the context is not used. The first one is QueryPerformanceCounter(),
 * which counts the time that Windows slept, too: a kept connection grows old meanwhile. */
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

#define UNSBI_WINSOCK_NEXT_MS 250u  /* RFC 8305 section 5: the connection attempt delay, */
#define UNSBI_WINSOCK_LEAST_MS 10u  /* and its least value */
#define UNSBI_WINSOCK_FULL_MS 2000u /* before the oldest attempt makes room */
#define UNSBI_WINSOCK_BUFFER 262144 /* what Windows may hold that is not acknowledged */
#define UNSBI_WINSOCK_PIECE 65536   /* and the most that it is given at a time */

/* The ticks of GetTickCount64() are up to 16 ms long; QueryUnbiasedInterruptTime() leaves out the
 * time of a sleep. */
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
    unsbi_winsock_set_option(socket, SOL_SOCKET, SO_SNDBUF, UNSBI_WINSOCK_BUFFER);
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
/* One look-up, shared by the thread that does it and the clients that want it. Each holds one
 * reference; who drops the last one frees the block. So none ever touches memory that belongs to
 * another. The lock guards all blocks. */
struct unsbi_winsock_lookup {
    struct unsbi_winsock_lookup *next; /* of those that run */
    int references;
    bool done; /* from then on the following two are constant */
    int result;
    ADDRINFOW *list;
    HANDLE thread;  /* whose end wakes those who wait */
    HMODULE module; /* what holds this code, so that it stays while the thread runs */
    WCHAR service[6];
    WCHAR host[256];
};

static SRWLOCK unsbi_winsock_lock = SRWLOCK_INIT;
static struct unsbi_winsock_lookup *unsbi_winsock_running;

static void unsbi_winsock_lookup_free(struct unsbi_winsock_lookup *lookup)
{
    if (lookup->list != NULL) {
        FreeAddrInfoW(lookup->list);
    }
    unsbi_winsock_close_handle(&lookup->thread);
    (void)HeapFree(GetProcessHeap(), 0, lookup);
}

static void unsbi_winsock_lookup_release(struct unsbi_winsock_lookup *lookup)
{
    int references;
    AcquireSRWLockExclusive(&unsbi_winsock_lock);
    references = --lookup->references;
    ReleaseSRWLockExclusive(&unsbi_winsock_lock);
    if (references == 0) {
        unsbi_winsock_lookup_free(lookup);
    }
}

/* Calls nothing of the C library, which would want threads to be made by its own function. */
static DWORD WINAPI unsbi_winsock_lookup_run(void *context)
{
    struct unsbi_winsock_lookup *lookup = (struct unsbi_winsock_lookup *)context;
    struct unsbi_winsock_lookup **link = &unsbi_winsock_running;
    HMODULE module = lookup->module;
    ADDRINFOW *list;
    int references;
    int result = unsbi_winsock_resolve(lookup->host, lookup->service, 0, &list);

    AcquireSRWLockExclusive(&unsbi_winsock_lock);
    lookup->result = result;
    lookup->list = list;
    lookup->done = true;
    while (*link != lookup) {
        link = &(*link)->next;
    }
    *link = lookup->next;
    references = --lookup->references;
    ReleaseSRWLockExclusive(&unsbi_winsock_lock);
    if (references == 0) {
        unsbi_winsock_lookup_free(lookup);
    }
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

/* A new one that runs, with the references of its thread and of the client: NULL, and *error. */
static struct unsbi_winsock_lookup *unsbi_winsock_lookup_new(const WCHAR *host,
                                                             const WCHAR *service, DWORD *error)
{
    struct unsbi_winsock_lookup *lookup = (struct unsbi_winsock_lookup *)HeapAlloc(
        GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof *lookup);

    if (lookup == NULL) {
        *error = ERROR_NOT_ENOUGH_MEMORY;
        return NULL;
    }
    memcpy(lookup->host, host, sizeof lookup->host);
    memcpy(lookup->service, service, sizeof lookup->service);
    lookup->references = 2;
    *error = unsbi_winsock_lookup_hold(lookup);
    if (*error == 0) {
        lookup->thread = CreateThread(NULL, 0, unsbi_winsock_lookup_run, lookup, 0, NULL);
        if (lookup->thread != NULL) {
            lookup->next = unsbi_winsock_running;
            unsbi_winsock_running = lookup;
            return lookup;
        }
        *error = GetLastError();
        (void)WSACleanup();
        (void)FreeLibrary(lookup->module);
    }
    unsbi_winsock_lookup_free(lookup);
    return NULL;
}

/* Both end with zeros, up to their sizes. */
static bool unsbi_winsock_lookup_is(const struct unsbi_winsock_lookup *lookup, const WCHAR *host,
                                    const WCHAR *service)
{
    return memcmp(lookup->host, host, sizeof lookup->host) == 0 &&
           memcmp(lookup->service, service, sizeof lookup->service) == 0;
}

/* Joins the look-up of this host that is under way, or starts one. Returns 0 or an error. */
static DWORD unsbi_winsock_lookup_start(unsb_winsock *tcp, const WCHAR *host, const WCHAR *service)
{
    struct unsbi_winsock_lookup *lookup;
    DWORD error = 0;

    AcquireSRWLockExclusive(&unsbi_winsock_lock);
    lookup = unsbi_winsock_running;
    while (lookup != NULL && !unsbi_winsock_lookup_is(lookup, host, service)) {
        lookup = lookup->next;
    }
    if (lookup != NULL) {
        lookup->references++;
    } else {
        /* With the lock held, which the new thread takes before it looks for itself. */
        lookup = unsbi_winsock_lookup_new(host, service, &error);
    }
    tcp->lookup = lookup;
    ReleaseSRWLockExclusive(&unsbi_winsock_lock);
    return error;
}

/* Looks for the result: UNSB_OK, UNSB_PENDING or UNSB_E_RESOLVE. */
static int unsbi_winsock_lookup_take(unsb_winsock *tcp)
{
    const struct unsbi_winsock_lookup *lookup = tcp->lookup;
    bool done;

    AcquireSRWLockExclusive(&unsbi_winsock_lock);
    done = lookup->done;
    ReleaseSRWLockExclusive(&unsbi_winsock_lock);
    if (!done) {
        return UNSB_PENDING;
    }
    tcp->resolve_error = lookup->result;
    tcp->addresses = lookup->list; /* the look-up's, which others may use as well */
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
    memset(service, 0, sizeof service);
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

/* ---- looking after sockets ---- */

/* A set of sockets of ours. An fd_set has room for FD_SETSIZE, which is the program's to choose,
 * but Windows goes by the count in it. */
typedef struct unsbi_winsock_set {
    u_int count;
    SOCKET sockets[UNSB_WINSOCK_ATTEMPTS];
} unsbi_winsock_set;

static void unsbi_winsock_fill(unsbi_winsock_set *set, const SOCKET *sockets, size_t count)
{
    set->count = (u_int)count;
    memcpy(set->sockets, sockets, count * sizeof sockets[0]);
}

static bool unsbi_winsock_has(const unsbi_winsock_set *set, SOCKET socket)
{
    u_int i;
    for (i = 0; i < set->count; i++) {
        if (set->sockets[i] == socket) {
            return true;
        }
    }
    return false;
}

/* select() at once: < 0 is an error, else how many sockets are left in the sets. Sets of none are
 * not asked for. */
static int unsbi_winsock_select(unsbi_winsock_set *readable, unsbi_winsock_set *writable,
                                unsbi_winsock_set *failed)
{
    struct timeval now = {0, 0};
    return select(0, readable->count != 0 ? (fd_set *)(void *)readable : NULL,
                  writable->count != 0 ? (fd_set *)(void *)writable : NULL,
                  failed->count != 0 ? (fd_set *)(void *)failed : NULL, &now);
}

/* Is what unsb_winsock_event() is to tell of there already? Also if that cannot be said. */
static bool unsbi_winsock_is_ready(const unsb_winsock *tcp, int interest)
{
    bool connecting = tcp->state == UNSBI_WINSOCK_CONNECTING;
    unsbi_winsock_set sets[3];
    memset(sets, 0, sizeof sets);
    if (connecting) {
        unsbi_winsock_fill(&sets[1], tcp->sockets, tcp->pending);
        unsbi_winsock_fill(&sets[2], tcp->sockets, tcp->pending);
    } else {
        unsbi_winsock_fill(&sets[0], &tcp->socket, (interest & UNSB_READABLE) != 0);
        unsbi_winsock_fill(&sets[1], &tcp->socket, (interest & UNSB_WRITABLE) != 0);
    }
    return unsbi_winsock_select(&sets[0], &sets[1], &sets[2]) != 0;
}

/* ---- the order of addresses (RFC 8305 section 4) ---- */

/* Is it the one that answered last, which goes first? */
static bool unsbi_winsock_is_known(const unsb_winsock *tcp, const ADDRINFOW *address)
{
    return tcp->known_size != 0 && address->ai_addrlen == tcp->known_size &&
           memcmp(address->ai_addr, tcp->known, tcp->known_size) == 0;
}

/* 0: of the list's first family, 1: of another. */
static uint8_t unsbi_winsock_family(const unsb_winsock *tcp, const ADDRINFOW *address)
{
    return address->ai_family != tcp->addresses->ai_family;
}

/* From `address` on, the first that is yet to be tried in its family's turn. */
static const ADDRINFOW *unsbi_winsock_skip(const unsb_winsock *tcp, const ADDRINFOW *address,
                                           uint8_t family)
{
    while (address != NULL && (unsbi_winsock_family(tcp, address) != family ||
                               unsbi_winsock_is_known(tcp, address))) {
        address = address->ai_next;
    }
    return address;
}

static void unsbi_winsock_order(unsb_winsock *tcp)
{
    const ADDRINFOW *address = tcp->addresses;
    tcp->next[0] = unsbi_winsock_skip(tcp, address, 0);
    tcp->next[1] = unsbi_winsock_skip(tcp, address, 1);
    tcp->turn = 0;
    while (address != NULL && !unsbi_winsock_is_known(tcp, address)) {
        address = address->ai_next;
    }
    tcp->first = address;
}

/* The next address to try, NULL: there is none. */
static const ADDRINFOW *unsbi_winsock_peek(const unsb_winsock *tcp)
{
    if (tcp->first != NULL) {
        return tcp->first;
    }
    return tcp->next[tcp->turn] != NULL ? tcp->next[tcp->turn] : tcp->next[tcp->turn ^ 1];
}

/* It is being tried. */
static void unsbi_winsock_take(unsb_winsock *tcp, const ADDRINFOW *address)
{
    uint8_t family = unsbi_winsock_family(tcp, address);
    if (address == tcp->first) {
        tcp->first = NULL;
    } else {
        tcp->next[family] = unsbi_winsock_skip(tcp, address->ai_next, family);
    }
    tcp->turn = family ^ 1;
}

/* ---- connecting (RFC 8305 section 5) ---- */

/* How long until the next address may be begun, while others are under way; 0: now. */
static uint32_t unsbi_winsock_next_left(const unsb_winsock *tcp)
{
    uint32_t limit = tcp->address_timeout_ms;
    uint32_t passed = unsb_winsock_now_ms(NULL) - tcp->started_ms;
    if (tcp->pending >= tcp->room) {
        limit = UNSBI_WINSOCK_FULL_MS;
    } else if (limit == 0) {
        limit = UNSBI_WINSOCK_NEXT_MS;
    } else if (limit < UNSBI_WINSOCK_LEAST_MS) {
        limit = UNSBI_WINSOCK_LEAST_MS;
    }
    return passed < limit ? limit - passed : 0;
}

/* Takes a socket out of those that are under way. */
static SOCKET unsbi_winsock_remove(unsb_winsock *tcp, size_t at)
{
    SOCKET taken = tcp->sockets[at];
    tcp->pending--;
    memmove(&tcp->sockets[at], &tcp->sockets[at + 1],
            (tcp->pending - at) * sizeof tcp->sockets[0]);
    return taken;
}

/* Gives up what connecting needs: attempts, addresses. */
static void unsbi_winsock_settle(unsb_winsock *tcp)
{
    while (tcp->pending != 0) {
        unsbi_winsock_close_socket(&tcp->sockets[--tcp->pending]);
    }
#if UNSB_WINSOCK_THREADS
    if (tcp->lookup != NULL) {
        unsbi_winsock_lookup_release(tcp->lookup);
        tcp->lookup = NULL;
        tcp->addresses = NULL;
    }
#endif
    if (tcp->addresses != NULL) {
        FreeAddrInfoW(tcp->addresses);
        tcp->addresses = NULL;
    }
    tcp->first = tcp->next[0] = tcp->next[1] = NULL;
}

static int unsbi_winsock_fail(unsb_winsock *tcp, int failure)
{
    unsbi_winsock_close_socket(&tcp->socket);
    unsbi_winsock_settle(tcp);
    tcp->failure = failure;
    tcp->state = UNSBI_WINSOCK_FAILED;
    return failure;
}

static int unsbi_winsock_opened(unsb_winsock *tcp, SOCKET socket)
{
    int size = (int)sizeof tcp->known;
    tcp->socket = socket;
    unsbi_winsock_settle(tcp);
    if (getpeername(socket, (struct sockaddr *)(void *)tcp->known, &size) != 0) {
        size = 0;
    }
    tcp->known_size = (uint8_t)size;
    tcp->error = 0;
    tcp->state = UNSBI_WINSOCK_OPEN;
    return UNSB_OK;
}

/* A non-blocking socket for an address, INVALID_SOCKET: none (tcp->error). */
static SOCKET unsbi_winsock_make_socket(unsb_winsock *tcp, const ADDRINFOW *address)
{
    u_long nonblocking = 1;
    SOCKET made = WSASocketW(address->ai_family, address->ai_socktype, address->ai_protocol, NULL,
                             0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (made == INVALID_SOCKET) {
        tcp->error = WSAGetLastError();
        return made;
    }
    if (ioctlsocket(made, (long)FIONBIO, &nonblocking) != 0) {
        tcp->error = WSAGetLastError();
        unsbi_winsock_close_socket(&made);
        return made;
    }
    unsbi_winsock_set_options(made);
    return made;
}

/* No socket could be had for the next address. Where others are under way, this may be for want of
 * sockets: then it waits until one of those is over, as if there were no room for more. */
static bool unsbi_winsock_is_short(unsb_winsock *tcp)
{
    if (tcp->pending == 0 || (tcp->error != WSAEMFILE && tcp->error != WSAENOBUFS)) {
        return false;
    }
    tcp->room = tcp->pending;
    return true;
}

/* Begins the next address that can be: UNSB_OK (it answered at once), UNSB_PENDING or
 * UNSB_E_CONNECT. */
static int unsbi_winsock_connect_next(unsb_winsock *tcp)
{
    const ADDRINFOW *address;
    tcp->state = UNSBI_WINSOCK_CONNECTING;
    while ((address = unsbi_winsock_peek(tcp)) != NULL) {
        SOCKET made;
        int error;
        if (tcp->pending >= tcp->room) {
            made = unsbi_winsock_remove(tcp, 0);
            unsbi_winsock_close_socket(&made);
        }
        made = unsbi_winsock_make_socket(tcp, address);
        if (made == INVALID_SOCKET) {
            if (unsbi_winsock_is_short(tcp)) {
                return UNSB_PENDING;
            }
            unsbi_winsock_take(tcp, address);
            continue;
        }
        unsbi_winsock_take(tcp, address);
        tcp->started_ms = unsb_winsock_now_ms(NULL);
        if (connect(made, address->ai_addr, (int)address->ai_addrlen) == 0) {
            return unsbi_winsock_opened(tcp, made);
        }
        error = WSAGetLastError();
        if (error == WSAEWOULDBLOCK) {
            tcp->sockets[tcp->pending++] = made;
            return UNSB_PENDING;
        }
        tcp->error = error;
        unsbi_winsock_close_socket(&made);
    }
    return tcp->pending != 0 ? UNSB_PENDING : unsbi_winsock_fail(tcp, UNSB_E_CONNECT);
}

/* Why a connect failed, 0: it has not. */
static int unsbi_winsock_outcome(SOCKET socket, bool failed)
{
    int error = 0;
    int size = sizeof error;
    if (getsockopt(socket, SOL_SOCKET, SO_ERROR, (char *)&error, &size) != 0) {
        error = WSAGetLastError();
    }
    return error != 0 || !failed ? error : WSAECONNREFUSED;
}

/* Looks after the addresses that are under way. */
static int unsbi_winsock_connect_go_on(unsb_winsock *tcp)
{
    unsbi_winsock_set sets[3]; /* the last one is what a failed connect shows in */
    bool one_failed = false;
    int ready;
    size_t i;

    sets[0].count = 0;
    unsbi_winsock_fill(&sets[1], tcp->sockets, tcp->pending);
    unsbi_winsock_fill(&sets[2], tcp->sockets, tcp->pending);
    ready = unsbi_winsock_select(&sets[0], &sets[1], &sets[2]);
    if (ready < 0) {
        tcp->error = WSAGetLastError();
        return unsbi_winsock_fail(tcp, UNSB_E_CONNECT);
    }
    /* From the last one down, as those behind one that is taken out move up. */
    for (i = ready != 0 ? tcp->pending : 0; i-- != 0;) {
        SOCKET one = tcp->sockets[i];
        bool failed = unsbi_winsock_has(&sets[2], one);
        int error;
        if (!failed && !unsbi_winsock_has(&sets[1], one)) {
            continue;
        }
        error = unsbi_winsock_outcome(one, failed);
        (void)unsbi_winsock_remove(tcp, i);
        if (error == 0) {
            return unsbi_winsock_opened(tcp, one);
        }
        tcp->error = error;
        unsbi_winsock_close_socket(&one);
        one_failed = true;
    }
    if (unsbi_winsock_peek(tcp) == NULL) {
        return tcp->pending != 0 ? UNSB_PENDING : unsbi_winsock_fail(tcp, UNSB_E_CONNECT);
    }
    return one_failed || unsbi_winsock_next_left(tcp) == 0 ? unsbi_winsock_connect_next(tcp)
                                                           : UNSB_PENDING;
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

    if (tcp->interrupted != 0) {
        return UNSB_E_ABORTED;
    }
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
    tcp->room = UNSB_WINSOCK_ATTEMPTS;
    unsbi_winsock_order(tcp);
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

    if (tcp->interrupted != 0) {
        return UNSB_E_ABORTED;
    }
    if (tcp->state != UNSBI_WINSOCK_OPEN) {
        return unsbi_winsock_not_open(tcp);
    }
    if (tcp->send_failure != 0 || size == 0) {
        return tcp->send_failure;
    }
    if (size > UNSBI_WINSOCK_PIECE) {
        size = UNSBI_WINSOCK_PIECE;
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

    if (tcp->interrupted != 0) {
        return UNSB_E_ABORTED;
    }
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
    if (tcp->state == UNSBI_WINSOCK_CONNECTING && tcp->pending != 0) {
        return tcp->sockets[tcp->pending - 1];
    }
    return tcp->socket;
}

UNSBI_WINSOCK_FN uint32_t unsb_winsock_timeout(const unsb_winsock *tcp, uint32_t timeout_ms)
{
    if (tcp->state == UNSBI_WINSOCK_CONNECTING && unsbi_winsock_peek(tcp) != NULL) {
        uint32_t left_ms = unsbi_winsock_next_left(tcp);
        return left_ms < timeout_ms ? left_ms : timeout_ms;
    }
    return timeout_ms;
}

/* Winsock records an event when it comes and then once for each send or recv, and may not tell of a
 * connect that failed before it was asked. So the event is set up anew each time, for all sockets,
 * and what select() sees afterwards is already there. */
UNSBI_WINSOCK_FN HANDLE unsb_winsock_event(unsb_winsock *tcp, int interest)
{
    bool connecting = tcp->state == UNSBI_WINSOCK_CONNECTING;
    const SOCKET *sockets = connecting ? tcp->sockets : &tcp->socket;
    size_t count = connecting ? tcp->pending : 1;
    long events = FD_CLOSE;
    bool ready = false;
    size_t i;

    if (interest == 0) {
        return NULL;
    }
#if UNSB_WINSOCK_THREADS
    if (tcp->state == UNSBI_WINSOCK_RESOLVING) {
        return tcp->lookup->thread;
    }
#endif
    if (unsb_winsock_socket(tcp) == INVALID_SOCKET) {
        return NULL;
    }
    if (connecting) {
        events |= FD_CONNECT;
    } else {
        events |= (interest & UNSB_READABLE) != 0 ? FD_READ : 0;
        events |= (interest & UNSB_WRITABLE) != 0 ? FD_WRITE : 0;
    }
    (void)ResetEvent(tcp->event);
    for (i = 0; i < count; i++) {
        ready = WSAEventSelect(sockets[i], tcp->event, events) != 0 || ready;
    }
    if (ready || unsbi_winsock_is_ready(tcp, interest)) {
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
    uint32_t limit_ms = interest != 0 ? unsb_winsock_timeout(tcp, timeout_ms) : timeout_ms;
    DWORD sleep_ms = limit_ms >= UNSB_FOREVER ? INFINITE : limit_ms;
    HANDLE handles[2];
    DWORD count = 0;
    DWORD rc = WAIT_TIMEOUT;

    if (tcp->interrupted != 0) {
        return UNSB_E_ABORTED;
    }
    if (interest != 0) {
        handles[count] = unsb_winsock_event(tcp, interest);
        if (handles[count++] == NULL) {
            return UNSB_OK; /* nothing to wait for: the next call tells why */
        }
    }
    if (tcp->interrupt != NULL) {
        handles[count++] = tcp->interrupt;
    }
    if (count != 0) {
        rc = WaitForMultipleObjects(count, handles, FALSE, sleep_ms);
    } else {
        Sleep(sleep_ms);
    }
    if (tcp->interrupt != NULL && WaitForSingleObject(tcp->interrupt, 0) == WAIT_OBJECT_0) {
        /* taken back in the midst of it: it counts */
        (void)InterlockedExchange(&tcp->interrupted, 1);
    }
    if (tcp->interrupted != 0) {
        return UNSB_E_ABORTED;
    }
    if (rc == WAIT_TIMEOUT) {
        return limit_ms < timeout_ms ? UNSB_OK : UNSB_E_TIMEOUT;
    }
    if (rc == WAIT_FAILED) {
        tcp->error = (int)GetLastError();
        return UNSB_E_IO;
    }
    return UNSB_OK;
}

UNSBI_WINSOCK_FN void unsb_winsock_interrupt(unsb_winsock *tcp)
{
    (void)InterlockedExchange(&tcp->interrupted, 1);
    if (tcp->interrupt != NULL) {
        (void)SetEvent(tcp->interrupt);
    }
}

UNSBI_WINSOCK_FN int unsb_winsock_interruptible(unsb_winsock *tcp, bool on)
{
    (void)InterlockedExchange(&tcp->interrupted, 0);
    if (!on) {
        unsbi_winsock_close_handle(&tcp->interrupt);
    } else if (tcp->interrupt != NULL) {
        /* An interrupt that comes between the two is either seen or made undone, like one that
         * came just before; the handle stays, as another thread may be about to use it. */
        (void)ResetEvent(tcp->interrupt);
    } else {
        tcp->interrupt = CreateEventW(NULL, TRUE, FALSE, NULL);
        if (tcp->interrupt == NULL) {
            tcp->error = (int)GetLastError();
            return UNSB_E_IO;
        }
    }
    return UNSB_OK;
}

/* There is no fork(), so a copy that could be dropped is none but the only one: close does. */
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
