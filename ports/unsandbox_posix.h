/* unsandbox_posix.h - transport for unsandbox.h over POSIX sockets (TCP, IPv4, IPv6)
 *
 * Linux, the BSDs, macOS, Android, Cygwin and others with POSIX.1-2008 and poll(). Plain TCP: put a
 * TLS port (unsandbox_bearssl.h ...) over it wherever the wire is not your own.
 *
 *     #include "unsandbox.h"
 *     #include "unsandbox_posix.h"
 *
 *     unsb_posix tcp;
 *     unsb_config config = {0};
 *     config.transport = unsb_posix_transport(&tcp);
 *     config.now_ms = unsb_posix_now_ms;
 *     config.unix_time = unsb_posix_unix_time;
 *
 * All functions are static: include the file wherever it is needed, there is no implementation
 * macro. Compile as C with -std=gnu99 or later, or define _POSIX_C_SOURCE 200809L before the first
 * system header; as C++ from C++11 on. Link with -pthread (unless UNSB_POSIX_THREADS is 0).
 *
 * Nothing here blocks but wait(). Sockets are non-blocking.
 *
 * Resolving: getaddrinfo() in a detached helper thread, so that the client's connect time-out
 * covers it; numeric addresses need none. The thread owns what it works with: the client may be
 * aborted, closed and freed meanwhile. getaddrinfo() cannot be cancelled, so a look-up that was
 * abandoned goes on until the resolver's own time-out, but only one: connect() joins the look-up of
 * its host and port that is under way, whichever client (of the same source file) began it, also
 * after close. Names are looked up as a whole; RFC 8305 section 3 (one family's answer before the
 * other's) is left to the resolver.
 *
 * Connecting: Happy Eyeballs (RFC 8305 sections 4 and 5). The families of getaddrinfo()'s list are
 * taken by turns, from its first address on. Where one has not answered within address_timeout_ms
 * the next one is begun beside it, at once where one has failed; the first to answer is kept, and
 * the others are closed. Up to UNSB_POSIX_ATTEMPTS are under way at a time; where there are more
 * addresses, the oldest attempt makes room for the next one when nothing was begun for 2 s. The
 * last ones have what the client's time-out leaves. What answered last is tried first at the next
 * connect, if the name still stands for it.
 *
 * Sending: a slow uplink must show as one, or the client takes what lies in the kernel's buffer for
 * sent and counts silence while it leaves. So the kernel takes no more than about 64 KB beyond what
 * is on the wire (TCP_NOTSENT_LOWAT: Linux, macOS; this costs no throughput, but a wake-up for
 * each 32 KB), elsewhere 256 KB with what is on the wire (SO_SNDBUF: an upload gets at most 256 KB
 * in each round trip). What is under way when the last byte was taken, those 64 to 128 KB and one
 * round trip of the line, counts as silence: idle_timeout_ms must be longer than that takes, 20 s
 * at 64 kbit/s.
 *
 * Interrupting a blocking call, from a signal handler or another thread: unsb_posix_interrupt().
 *
 * fork(): one of the two processes may go on with a client. The other calls unsb_drop(), or just
 * leaves it. A child has no look-up thread: what it had begun to resolve fails with EAI_AGAIN.
 * Nothing here lives on after exec: all descriptors are made with close-on-exec set, where the
 * system can (SOCK_CLOEXEC; not macOS, where it is set just after).
 *
 * Unloading (dlclose() of a plugin that holds this code) is safe while a look-up is under way: the
 * first one keeps the plugin mapped for good (RTLD_NODELETE) on Linux, macOS and FreeBSD. Elsewhere
 * link a plugin with -Wl,-z,nodelete, or give it UNSB_POSIX_THREADS 0. On Linux dladdr() and
 * dlopen() are used where the program has them: there is nothing to link.
 *
 * Memory: sizeof(unsb_posix), 160 bytes (136 on 32-bit systems). For each host that is being
 * resolved: one heap block of about 350 bytes, a thread and a descriptor (Linux; else two). The
 * address list is getaddrinfo()'s and is freed once connected. While connecting: a socket for each
 * attempt and, on Linux, if unsb_interest() is asked while there are several, two descriptors more.
 * Interruptible: one descriptor (else two).
 *
 * Errors: UNSB_E_RESOLVE (tcp.resolve_error has getaddrinfo's EAI_ code), UNSB_E_CONNECT, UNSB_E_IO
 * and, from recv at the peer's FIN and from send after it, UNSB_E_CLOSED; tcp.error has the errno.
 * They are returned again until close. A failed send leaves recv usable: what the peer sent before
 * it hung up can still be read. UNSB_E_ABORTED after unsb_posix_interrupt().
 *
 * Limits: one connection for each unsb_posix, which belongs to one thread at a time. */
#ifndef UNSANDBOX_POSIX_H
#define UNSANDBOX_POSIX_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* ======================================================================
 * >>options  alike in all files of a program
 * ====================================================================== */

/* 0: no thread. Names are resolved in the caller's thread: connect() BLOCKS for as long as the
 * resolver takes, whatever the time-outs say. Numeric addresses never block. */
#ifndef UNSB_POSIX_THREADS
#define UNSB_POSIX_THREADS 1
#endif

/* What resolves names: a function like getaddrinfo(), whose result freeaddrinfo() frees. It is
 * called from the helper thread, and with AI_NUMERICHOST from the caller's. */
#ifndef UNSB_POSIX_GETADDRINFO
#define UNSB_POSIX_GETADDRINFO getaddrinfo
#endif

/* How many addresses of a host may be under way at a time, each with a socket: 1 to 64. Systems
 * with few sockets in all (lwIP: 10 or so) want 2 to 4. */
#ifndef UNSB_POSIX_ATTEMPTS
#define UNSB_POSIX_ATTEMPTS 8
#endif

/* 1: eventfd, epoll and timerfd, so that unsb_posix_fd() is one descriptor that tells all. 0: what
 * POSIX has. By default 1 on Linux. */
#ifndef UNSB_POSIX_LINUX
#if defined(__linux__)
#define UNSB_POSIX_LINUX 1
#else
#define UNSB_POSIX_LINUX 0
#endif
#endif

#if UNSB_POSIX_ATTEMPTS < 1 || UNSB_POSIX_ATTEMPTS > 64
#error "UNSB_POSIX_ATTEMPTS must be 1 to 64"
#endif

#if UNSB_POSIX_LINUX
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#endif
#if UNSB_POSIX_THREADS
#include <pthread.h>
#include <signal.h>
#if !defined(__linux__) && \
    (defined(__APPLE__) || (defined(__FreeBSD__) && defined(__BSD_VISIBLE) && __BSD_VISIBLE))
#include <dlfcn.h>
#endif
#endif

#if !defined(CLOCK_MONOTONIC) || !defined(AI_NUMERICHOST)
#error "compile with -std=gnu99 or later, or define _POSIX_C_SOURCE 200809L before all includes"
#endif
#if !defined(MSG_NOSIGNAL) && !defined(SO_NOSIGPIPE)
#error "nothing here keeps SIGPIPE away: on macOS define _DARWIN_C_SOURCE before all includes"
#endif

#if defined(__GNUC__)
#define UNSBI_POSIX_FN static __attribute__((unused))
#else
#define UNSBI_POSIX_FN static
#endif

/* A flag that a signal handler or another thread sets. */
#if defined(__GNUC__)
#define UNSBI_POSIX_GET(flag) __atomic_load_n(&(flag), __ATOMIC_ACQUIRE)
#define UNSBI_POSIX_SET(flag, value) __atomic_store_n(&(flag), (value), __ATOMIC_RELEASE)
#else
#define UNSBI_POSIX_GET(flag) (flag)
#define UNSBI_POSIX_SET(flag, value) ((flag) = (value))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

struct unsbi_posix_lookup;

typedef struct unsb_posix {
    /* may be set after unsb_posix_transport() */
    uint32_t address_timeout_ms; /* after which the next address is tried, too; 0: 250, least: 10 */
    /* to be read */
    int error;         /* errno of the last failure, 0: none. Kept until the next connect */
    int resolve_error; /* with UNSB_E_RESOLVE: an EAI_ code, for gai_strerror() */
    /* private */
    volatile int interrupted; /* written by signal handlers and other threads */
    int interrupt[2];         /* the ends of what wakes wait() then, -1: none */
    int fd;                   /* the socket once connected, -1: none */
    int failure;              /* of connect, then of recv; sticky */
    int send_failure;         /* kept apart, so that recv can still fetch what the peer sent */
    uint32_t started_ms;      /* when the last address was begun */
    uint8_t state;
    uint8_t pending;    /* how many sockets are connecting, */
    uint8_t room;       /* how many may, */
    uint8_t turn;       /* and which family is next */
    uint8_t known_size; /* 0: none */
    int sockets[UNSB_POSIX_ATTEMPTS]; /* the oldest first */
#if UNSB_POSIX_LINUX
    int epoll_fd; /* over those, and */
    int timer_fd; /* the time until the next one; -1: none */
#endif
    unsigned char known[sizeof(struct sockaddr_in6)]; /* the address that answered last */
    struct unsbi_posix_lookup *lookup;                /* which owns `addresses`, if there is one */
    struct addrinfo *addresses;
    const struct addrinfo *first;   /* the one that is known, */
    const struct addrinfo *next[2]; /* then those of the list's first family and of the others */
} unsb_posix;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Initialises `tcp` (whatever it held: close it before, if it was in use) and returns the transport
 * over it. `tcp` must stay in place until the client is closed. */
UNSBI_POSIX_FN unsb_transport unsb_posix_transport(unsb_posix *tcp);

/* For programs that wait by themselves, with non-blocking clients. Both hold until the next
 * unsb_poll(): ask anew then. With TLS between, they are asked for the unsb_posix below.
 *
 * unsb_posix_fd: what to put into poll(), select() or epoll with the events that unsb_interest()
 * names; ask that first. -1: nothing, only time matters. Elsewhere than on Linux it does not tell
 * all while several addresses are under way, or are yet to be begun: there, use the next function,
 * or call unsb_poll() four times a second until connected.
 *
 * unsb_posix_fds: the same as an array for poll(). `interest` and *timeout_ms are those of
 * unsb_interest(). Fills in up to `max` items (UNSB_POSIX_ATTEMPTS are always enough) and returns
 * how many; shortens *timeout_ms where an address is due earlier. */
UNSBI_POSIX_FN int unsb_posix_fd(const unsb_posix *tcp);
UNSBI_POSIX_FN size_t unsb_posix_fds(const unsb_posix *tcp, int interest, struct pollfd *items,
                                     size_t max, uint32_t *timeout_ms);

/* Ends a blocking call of the client from a signal handler or another thread: it returns
 * UNSB_E_ABORTED, as does every call after it that needs the connection, until
 * unsb_posix_interruptible() takes the interrupt back. So one that comes between two calls, or
 * just before a wait begins, is not lost. May be called at any time while the unsb_posix exists,
 * also twice; async-signal-safe. */
UNSBI_POSIX_FN void unsb_posix_interrupt(unsb_posix *tcp);
/* on: makes the waits of `tcp` end when it is interrupted, which takes a descriptor that is kept
 * until this is called with `on` false; and takes back an interrupt that came before. UNSB_OK, or
 * UNSB_E_IO (tcp.error says why). Without it an interrupt is noticed when the wait under way ends
 * of itself or by a signal. To be called between the client's calls; with `on` false, when no
 * interrupt can come any more. */
UNSBI_POSIX_FN int unsb_posix_interruptible(unsb_posix *tcp, bool on);

/* Clocks for unsb_config; the context is not used. The first one counts the time that the system
 * was suspended, too, where there is a clock for that (CLOCK_BOOTTIME; macOS: CLOCK_MONOTONIC): a
 * kept connection grows old meanwhile. */
UNSBI_POSIX_FN uint32_t unsb_posix_now_ms(void *context);
UNSBI_POSIX_FN uint32_t unsb_posix_unix_time(void *context);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

enum {
    UNSBI_POSIX_IDLE,
    UNSBI_POSIX_RESOLVING,
    UNSBI_POSIX_CONNECTING,
    UNSBI_POSIX_OPEN,
    UNSBI_POSIX_FAILED
};

#define UNSBI_POSIX_NEXT_MS 250u  /* RFC 8305 section 5: the connection attempt delay, */
#define UNSBI_POSIX_LEAST_MS 10u  /* and its least value */
#define UNSBI_POSIX_FULL_MS 2000u /* before the oldest attempt makes room */
#define UNSBI_POSIX_UNSENT 65536  /* what the kernel may hold that is not on the wire, */
#define UNSBI_POSIX_BUFFER 262144 /* or, where it cannot tell, in all */

UNSBI_POSIX_FN uint32_t unsb_posix_now_ms(void *context)
{
    struct timespec now = {0, 0};
    (void)context;
#ifdef CLOCK_BOOTTIME
    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0) /* a kernel older than the headers */
#endif
    {
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    }
    return (uint32_t)((uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u);
}

UNSBI_POSIX_FN uint32_t unsb_posix_unix_time(void *context)
{
    (void)context;
    return (uint32_t)time(NULL);
}

/* ---- descriptors ---- */

static void unsbi_posix_close_fd(int *fd)
{
    if (*fd >= 0) {
        /* Not repeated at EINTR: on most systems the descriptor is gone then, and its number
         * may be another thread's already. */
        (void)close(*fd);
        *fd = -1;
    }
}

static bool unsbi_posix_set_flags(int fd)
{
    int flags = fcntl(fd, F_GETFD, 0);
    if (flags >= 0) {
        /* May fail: systems without exec (lwIP's sockets, Zephyr) need not know the flag. */
        (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
    }
    flags = fcntl(fd, F_GETFL, 0);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) >= 0;
}

/* What wakes poll() once unsbi_posix_wake() was called, for good: nothing reads it. `ends` may be
 * one descriptor. false: errno says why. */
static bool unsbi_posix_open_wake(int ends[2])
{
#if UNSB_POSIX_LINUX
    ends[0] = ends[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return ends[0] >= 0;
#elif defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0;
#else
    int error;
    if (pipe(ends) != 0) {
        return false;
    }
    if (unsbi_posix_set_flags(ends[0]) && unsbi_posix_set_flags(ends[1])) {
        return true;
    }
    error = errno;
    unsbi_posix_close_fd(&ends[0]);
    unsbi_posix_close_fd(&ends[1]);
    errno = error;
    return false;
#endif
}

static void unsbi_posix_close_wake(int ends[2])
{
    if (ends[1] == ends[0]) {
        ends[1] = -1;
    }
    unsbi_posix_close_fd(&ends[0]);
    unsbi_posix_close_fd(&ends[1]);
}

/* Async-signal-safe. Both ends are open, so there is no SIGPIPE; full is as good as written. */
static void unsbi_posix_wake(int fd)
{
    uint64_t one = 1; /* the size that an eventfd wants */
    ssize_t count = write(fd, &one, sizeof one);
    (void)count;
}

static bool unsbi_posix_set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* Requests are sent in few large pieces, so Nagle's algorithm only delays their last segment. A
 * program may run for 15 minutes in silence: probes keep the path open and notice a dead peer. */
static void unsbi_posix_set_options(int fd)
{
    (void)unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)unsbi_posix_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#if defined(TCP_KEEPIDLE)
    (void)unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
#elif defined(TCP_KEEPALIVE)
    (void)unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_KEEPALIVE, 30);
#endif
#ifdef TCP_KEEPINTVL
    (void)unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
#endif
#ifdef TCP_KEEPCNT
    (void)unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
#endif
#ifdef SO_NOSIGPIPE
    (void)unsbi_posix_set_option(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
#ifdef TCP_NOTSENT_LOWAT
    if (!unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSBI_POSIX_UNSENT))
#endif
    {
        (void)unsbi_posix_set_option(fd, SOL_SOCKET, SO_SNDBUF, UNSBI_POSIX_BUFFER);
    }
}

/* ---- resolving ---- */

static int unsbi_posix_resolve(const char *host, const char *service, int flags,
                               struct addrinfo **list, int *error)
{
    struct addrinfo hints;
    int rc;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_protocol = IPPROTO_TCP;
    hints.ai_flags = flags;
#ifdef AI_NUMERICSERV
    hints.ai_flags |= AI_NUMERICSERV;
#endif
    *list = NULL;
    errno = 0;
    rc = UNSB_POSIX_GETADDRINFO(host, service, &hints, list);
#ifdef EAI_SYSTEM
    *error = rc == EAI_SYSTEM ? errno : 0;
#else
    *error = 0;
#endif
    return rc;
}

static void unsbi_posix_format_port(char text[6], uint16_t port)
{
    unsigned rest = port;
    size_t digits = 1;
    while (digits < 5 && rest >= 10) {
        rest /= 10;
        digits++;
    }
    rest = port;
    text[digits] = '\0';
    while (digits > 0) {
        text[--digits] = (char)('0' + rest % 10);
        rest /= 10;
    }
}

#if UNSB_POSIX_THREADS
/* One look-up, shared by the thread that does it and the clients that want it. Each holds one
 * reference; who drops the last one frees the block. So none ever touches memory that belongs to
 * another. The lock guards all blocks. */
struct unsbi_posix_lookup {
    struct unsbi_posix_lookup *next; /* of those that run */
    int references;
    bool done; /* from then on the following three are constant */
    int result;
    int error;
    struct addrinfo *list;
    int wake[2];
    char service[6];
    char host[256];
};

static pthread_mutex_t unsbi_posix_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t unsbi_posix_once = PTHREAD_ONCE_INIT;
static struct unsbi_posix_lookup *unsbi_posix_running;

static void unsbi_posix_lookup_free(struct unsbi_posix_lookup *lookup)
{
    unsbi_posix_close_wake(lookup->wake);
    if (lookup->list != NULL) {
        freeaddrinfo(lookup->list);
    }
    free(lookup);
}

static void unsbi_posix_lookup_release(struct unsbi_posix_lookup *lookup)
{
    int references;
    (void)pthread_mutex_lock(&unsbi_posix_lock);
    references = --lookup->references;
    (void)pthread_mutex_unlock(&unsbi_posix_lock);
    if (references == 0) {
        unsbi_posix_lookup_free(lookup);
    }
}

static void *unsbi_posix_lookup_run(void *context)
{
    struct unsbi_posix_lookup *lookup = (struct unsbi_posix_lookup *)context;
    struct unsbi_posix_lookup **link = &unsbi_posix_running;
    struct addrinfo *list;
    int error;
    int references;
    int result = unsbi_posix_resolve(lookup->host, lookup->service, 0, &list, &error);

    (void)pthread_mutex_lock(&unsbi_posix_lock);
    lookup->result = result;
    lookup->error = error;
    lookup->list = list;
    lookup->done = true;
    while (*link != lookup) {
        link = &(*link)->next;
    }
    *link = lookup->next;
    /* Not by an end of file: a child that was forked meanwhile keeps a copy of the descriptor. */
    unsbi_posix_wake(lookup->wake[1]);
    references = --lookup->references;
    (void)pthread_mutex_unlock(&unsbi_posix_lock);
    if (references == 0) {
        unsbi_posix_lookup_free(lookup);
    }
    return NULL;
}

/* ---- forks and unloading ---- */

static void unsbi_posix_fork_prepare(void)
{
    (void)pthread_mutex_lock(&unsbi_posix_lock);
}

static void unsbi_posix_fork_parent(void)
{
    (void)pthread_mutex_unlock(&unsbi_posix_lock);
}

/* The threads have stayed in the parent. Where no client is left either, the block's memory is
 * given up, as free() is not async-signal-safe. */
static void unsbi_posix_fork_child(void)
{
    struct unsbi_posix_lookup *lookup;
    for (lookup = unsbi_posix_running; lookup != NULL; lookup = lookup->next) {
        lookup->result = EAI_AGAIN;
        lookup->done = true;
        if (--lookup->references == 0) {
            unsbi_posix_close_wake(lookup->wake);
        }
    }
    unsbi_posix_running = NULL;
    (void)pthread_mutex_unlock(&unsbi_posix_lock);
}

#if defined(__linux__)
/* By names of our own, as <dlfcn.h> has dladdr() with _GNU_SOURCE alone; and weak, as older
 * systems have both in a library of their own, which whoever loads plugins is linked with. */
typedef struct unsbi_posix_dl_info {
    const char *path;
    void *base;
    const char *name;
    void *address;
} unsbi_posix_dl_info;
extern int unsbi_posix_dladdr(const void *address, unsbi_posix_dl_info *info) __asm__("dladdr")
    __attribute__((weak));
extern void *unsbi_posix_dlopen(const char *path, int flags) __asm__("dlopen")
    __attribute__((weak));

/* Keeps the plugin that holds this code mapped, for the threads that run in it: none of them can
 * give it up itself, as it would return to what is gone. The program itself is not found, and is
 * not unloaded either. */
static void unsbi_posix_stay(void)
{
    unsbi_posix_dl_info info;
    int flags = 0x1 | 0x4 | 0x1000; /* RTLD_LAZY, RTLD_NOLOAD, RTLD_NODELETE */
    if (unsbi_posix_dladdr != NULL && unsbi_posix_dlopen != NULL &&
        unsbi_posix_dladdr(&unsbi_posix_once, &info) != 0 && info.path != NULL) {
        (void)unsbi_posix_dlopen(info.path, flags);
    }
}
#elif defined(RTLD_NODELETE) && defined(RTLD_NOLOAD)
static void unsbi_posix_stay(void)
{
    Dl_info info;
    if (dladdr(&unsbi_posix_once, &info) != 0 && info.dli_fname != NULL) {
        (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
}
#else
static void unsbi_posix_stay(void)
{
}
#endif

static void unsbi_posix_prepare(void)
{
    unsbi_posix_stay(); /* first: the handlers must stay, too */
    (void)pthread_atfork(unsbi_posix_fork_prepare, unsbi_posix_fork_parent,
                         unsbi_posix_fork_child);
}

/* ---- starting ---- */

/* Starts the detached thread with all signals blocked, so that handlers run where the program
 * expects them. Returns 0 or an errno. */
static int unsbi_posix_lookup_spawn(struct unsbi_posix_lookup *lookup)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int rc = pthread_attr_init(&attributes);
    if (rc != 0) {
        return rc;
    }
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attributes, unsbi_posix_lookup_run, lookup);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return rc;
}

/* A new one that runs, with the references of its thread and of the client: NULL, and *error. */
static struct unsbi_posix_lookup *unsbi_posix_lookup_new(const char *host, const char *service,
                                                         int *error)
{
    struct unsbi_posix_lookup *lookup =
        (struct unsbi_posix_lookup *)calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    memcpy(lookup->host, host, strlen(host) + 1); /* its length was checked */
    memcpy(lookup->service, service, sizeof lookup->service);
    lookup->references = 2;
    if (!unsbi_posix_open_wake(lookup->wake)) {
        *error = errno;
        free(lookup);
        return NULL;
    }
    *error = unsbi_posix_lookup_spawn(lookup);
    if (*error != 0) {
        unsbi_posix_lookup_free(lookup);
        return NULL;
    }
    lookup->next = unsbi_posix_running;
    unsbi_posix_running = lookup;
    return lookup;
}

/* Joins the look-up of this host that is under way, or starts one. Returns 0 or an errno. */
static int unsbi_posix_lookup_start(unsb_posix *tcp, const char *host, const char *service)
{
    struct unsbi_posix_lookup *lookup;
    int error = 0;

    (void)pthread_once(&unsbi_posix_once, unsbi_posix_prepare);
    (void)pthread_mutex_lock(&unsbi_posix_lock);
    lookup = unsbi_posix_running;
    while (lookup != NULL &&
           (strcmp(lookup->host, host) != 0 || strcmp(lookup->service, service) != 0)) {
        lookup = lookup->next;
    }
    if (lookup != NULL) {
        lookup->references++;
    } else {
        /* With the lock held, which the new thread takes before it looks for itself. */
        lookup = unsbi_posix_lookup_new(host, service, &error);
    }
    tcp->lookup = lookup;
    (void)pthread_mutex_unlock(&unsbi_posix_lock);
    return error;
}

/* Looks for the result: UNSB_OK, UNSB_PENDING or UNSB_E_RESOLVE. */
static int unsbi_posix_lookup_take(unsb_posix *tcp)
{
    const struct unsbi_posix_lookup *lookup = tcp->lookup;
    bool done;

    (void)pthread_mutex_lock(&unsbi_posix_lock);
    done = lookup->done;
    (void)pthread_mutex_unlock(&unsbi_posix_lock);
    if (!done) {
        return UNSB_PENDING;
    }
    tcp->resolve_error = lookup->result;
    tcp->error = lookup->error;
    tcp->addresses = lookup->list; /* the look-up's, which others may use as well */
    return tcp->resolve_error == 0 && tcp->addresses != NULL ? UNSB_OK : UNSB_E_RESOLVE;
}
#endif

/* Begins to resolve: UNSB_OK (the addresses are there), UNSB_PENDING or UNSB_E_RESOLVE. */
static int unsbi_posix_resolve_start(unsb_posix *tcp, const char *host, uint16_t port)
{
    char service[6];

    if (host == NULL || host[0] == '\0' || strlen(host) > 255) {
        tcp->resolve_error = EAI_NONAME;
        return UNSB_E_RESOLVE;
    }
    unsbi_posix_format_port(service, port);
    tcp->resolve_error =
        unsbi_posix_resolve(host, service, AI_NUMERICHOST, &tcp->addresses, &tcp->error);
    if (tcp->resolve_error == 0) {
        return tcp->addresses != NULL ? UNSB_OK : UNSB_E_RESOLVE;
    }
#if UNSB_POSIX_THREADS
    tcp->resolve_error = 0;
    tcp->error = unsbi_posix_lookup_start(tcp, host, service);
    if (tcp->error == 0) {
        return UNSB_PENDING;
    }
    tcp->resolve_error = EAI_AGAIN;
    return UNSB_E_RESOLVE;
#else
    tcp->resolve_error = unsbi_posix_resolve(host, service, 0, &tcp->addresses, &tcp->error);
    return tcp->resolve_error == 0 && tcp->addresses != NULL ? UNSB_OK : UNSB_E_RESOLVE;
#endif
}

/* ---- the order of addresses (RFC 8305 section 4) ---- */

/* Is it the one that answered last, which goes first? */
static bool unsbi_posix_is_known(const unsb_posix *tcp, const struct addrinfo *address)
{
    return tcp->known_size != 0 && address->ai_addrlen == tcp->known_size &&
           memcmp(address->ai_addr, tcp->known, tcp->known_size) == 0;
}

/* 0: of the list's first family, 1: of another. */
static uint8_t unsbi_posix_family(const unsb_posix *tcp, const struct addrinfo *address)
{
    return address->ai_family != tcp->addresses->ai_family;
}

/* From `address` on, the first that is yet to be tried in its family's turn. */
static const struct addrinfo *unsbi_posix_skip(const unsb_posix *tcp,
                                               const struct addrinfo *address, uint8_t family)
{
    while (address != NULL && (unsbi_posix_family(tcp, address) != family ||
                               unsbi_posix_is_known(tcp, address))) {
        address = address->ai_next;
    }
    return address;
}

static void unsbi_posix_order(unsb_posix *tcp)
{
    const struct addrinfo *address = tcp->addresses;
    tcp->next[0] = unsbi_posix_skip(tcp, address, 0);
    tcp->next[1] = unsbi_posix_skip(tcp, address, 1);
    tcp->turn = 0;
    while (address != NULL && !unsbi_posix_is_known(tcp, address)) {
        address = address->ai_next;
    }
    tcp->first = address;
}

/* The next address to try, NULL: there is none. */
static const struct addrinfo *unsbi_posix_peek(const unsb_posix *tcp)
{
    if (tcp->first != NULL) {
        return tcp->first;
    }
    return tcp->next[tcp->turn] != NULL ? tcp->next[tcp->turn] : tcp->next[tcp->turn ^ 1];
}

/* It is being tried. */
static void unsbi_posix_take(unsb_posix *tcp, const struct addrinfo *address)
{
    uint8_t family = unsbi_posix_family(tcp, address);
    if (address == tcp->first) {
        tcp->first = NULL;
    } else {
        tcp->next[family] = unsbi_posix_skip(tcp, address->ai_next, family);
    }
    tcp->turn = family ^ 1;
}

/* ---- connecting (RFC 8305 section 5) ---- */

/* How long until the next address may be begun, while others are under way; 0: now. */
static uint32_t unsbi_posix_next_left(const unsb_posix *tcp)
{
    uint32_t limit = tcp->address_timeout_ms;
    uint32_t passed = unsb_posix_now_ms(NULL) - tcp->started_ms;
    if (tcp->pending >= tcp->room) {
        limit = UNSBI_POSIX_FULL_MS;
    } else if (limit == 0) {
        limit = UNSBI_POSIX_NEXT_MS;
    } else if (limit < UNSBI_POSIX_LEAST_MS) {
        limit = UNSBI_POSIX_LEAST_MS;
    }
    return passed < limit ? limit - passed : 0;
}

/* Takes a socket out of those that are under way. */
static int unsbi_posix_remove(unsb_posix *tcp, size_t at)
{
    int fd = tcp->sockets[at];
    tcp->pending--;
    memmove(&tcp->sockets[at], &tcp->sockets[at + 1],
            (tcp->pending - at) * sizeof tcp->sockets[0]);
#if UNSB_POSIX_LINUX
    if (tcp->epoll_fd >= 0) { /* else a copy of it in a forked child would stay registered */
        struct epoll_event none;
        memset(&none, 0, sizeof none);
        (void)epoll_ctl(tcp->epoll_fd, EPOLL_CTL_DEL, fd, &none);
    }
#endif
    return fd;
}

/* Gives up what connecting needs: attempts, addresses. */
static void unsbi_posix_settle(unsb_posix *tcp)
{
#if UNSB_POSIX_LINUX
    /* Before the sockets: nothing is taken out of a set that a forked child shares. */
    unsbi_posix_close_fd(&tcp->epoll_fd);
    unsbi_posix_close_fd(&tcp->timer_fd);
#endif
    while (tcp->pending != 0) {
        unsbi_posix_close_fd(&tcp->sockets[--tcp->pending]);
    }
#if UNSB_POSIX_THREADS
    if (tcp->lookup != NULL) {
        unsbi_posix_lookup_release(tcp->lookup);
        tcp->lookup = NULL;
        tcp->addresses = NULL;
    }
#endif
    if (tcp->addresses != NULL) {
        freeaddrinfo(tcp->addresses);
        tcp->addresses = NULL;
    }
    tcp->first = tcp->next[0] = tcp->next[1] = NULL;
}

static int unsbi_posix_fail(unsb_posix *tcp, int failure)
{
    unsbi_posix_close_fd(&tcp->fd);
    unsbi_posix_settle(tcp);
    tcp->failure = failure;
    tcp->state = UNSBI_POSIX_FAILED;
    return failure;
}

static int unsbi_posix_opened(unsb_posix *tcp, int fd)
{
    socklen_t size = sizeof tcp->known;
    tcp->fd = fd;
    unsbi_posix_settle(tcp);
    if (getpeername(fd, (struct sockaddr *)(void *)tcp->known, &size) != 0 ||
        size > sizeof tcp->known) {
        size = 0;
    }
    tcp->known_size = (uint8_t)size;
    tcp->error = 0;
    tcp->state = UNSBI_POSIX_OPEN;
    return UNSB_OK;
}

/* A non-blocking socket for an address, -1: none (errno). */
static int unsbi_posix_socket(const struct addrinfo *address)
{
    int type = address->ai_socktype;
    int fd;
#ifdef SOCK_CLOEXEC
    type |= SOCK_CLOEXEC; /* no gap for a fork in another thread */
#endif
    fd = socket(address->ai_family, type, address->ai_protocol);
    if (fd >= 0 && !unsbi_posix_set_flags(fd)) {
        int error = errno;
        unsbi_posix_close_fd(&fd);
        errno = error;
    }
    if (fd >= 0) {
        unsbi_posix_set_options(fd);
    }
    return fd;
}

/* No socket could be had for the next address. Where others are under way, this may be for want of
 * sockets: then it waits until one of those is over, as if there were no room for more. */
static bool unsbi_posix_is_short(unsb_posix *tcp)
{
    if (tcp->pending == 0 || (tcp->error != EMFILE && tcp->error != ENFILE &&
                              tcp->error != ENOBUFS && tcp->error != ENOMEM)) {
        return false;
    }
    tcp->room = tcp->pending;
    return true;
}

/* Begins the next address that can be: UNSB_OK (it answered at once), UNSB_PENDING or
 * UNSB_E_CONNECT. */
static int unsbi_posix_connect_next(unsb_posix *tcp)
{
    const struct addrinfo *address;
    tcp->state = UNSBI_POSIX_CONNECTING;
    while ((address = unsbi_posix_peek(tcp)) != NULL) {
        int fd;
        if (tcp->pending >= tcp->room) {
            fd = unsbi_posix_remove(tcp, 0);
            unsbi_posix_close_fd(&fd);
        }
        fd = unsbi_posix_socket(address);
        if (fd < 0) {
            tcp->error = errno;
            if (unsbi_posix_is_short(tcp)) {
                return UNSB_PENDING;
            }
            unsbi_posix_take(tcp, address);
            continue;
        }
        unsbi_posix_take(tcp, address);
        tcp->started_ms = unsb_posix_now_ms(NULL);
        if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) {
            return unsbi_posix_opened(tcp, fd);
        }
        /* After EINTR the connection goes on in the background, as with EINPROGRESS. */
        if (errno == EINPROGRESS || errno == EINTR || errno == EAGAIN) {
            tcp->sockets[tcp->pending++] = fd;
            return UNSB_PENDING;
        }
        tcp->error = errno;
        unsbi_posix_close_fd(&fd);
    }
    return tcp->pending != 0 ? UNSB_PENDING : unsbi_posix_fail(tcp, UNSB_E_CONNECT);
}

/* Looks after the addresses that are under way. */
static int unsbi_posix_connect_go_on(unsb_posix *tcp)
{
    struct pollfd items[UNSB_POSIX_ATTEMPTS];
    size_t count = tcp->pending;
    bool failed = false;
    int ready;

    while (count-- != 0) {
        items[count].fd = tcp->sockets[count];
        items[count].events = POLLOUT;
        items[count].revents = 0;
    }
    do {
        ready = poll(items, tcp->pending, 0);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0) {
        tcp->error = errno;
        return unsbi_posix_fail(tcp, UNSB_E_CONNECT);
    }
    /* From the last one down, as those behind one that is taken out move up. */
    for (count = ready != 0 ? tcp->pending : 0; count-- != 0;) {
        int error = 0;
        socklen_t size = sizeof error;
        int fd = items[count].fd;
        if (items[count].revents == 0) {
            continue;
        }
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
            error = errno;
        }
        (void)unsbi_posix_remove(tcp, count);
        if (error == 0) {
            return unsbi_posix_opened(tcp, fd);
        }
        tcp->error = error;
        unsbi_posix_close_fd(&fd);
        failed = true;
    }
    if (unsbi_posix_peek(tcp) == NULL) {
        return tcp->pending != 0 ? UNSB_PENDING : unsbi_posix_fail(tcp, UNSB_E_CONNECT);
    }
    return failed || unsbi_posix_next_left(tcp) == 0 ? unsbi_posix_connect_next(tcp) : UNSB_PENDING;
}

static int unsbi_posix_connect(void *context, const char *host, uint16_t port)
{
    unsb_posix *tcp = (unsb_posix *)context;
    int rc = UNSB_OK;

    if (UNSBI_POSIX_GET(tcp->interrupted) != 0) {
        return UNSB_E_ABORTED;
    }
    switch (tcp->state) {
    case UNSBI_POSIX_IDLE:
        tcp->error = 0;
        tcp->resolve_error = 0;
        rc = unsbi_posix_resolve_start(tcp, host, port);
        if (rc == UNSB_PENDING) {
            tcp->state = UNSBI_POSIX_RESOLVING;
        }
        break;
    case UNSBI_POSIX_RESOLVING:
#if UNSB_POSIX_THREADS
        rc = unsbi_posix_lookup_take(tcp);
#endif
        break;
    case UNSBI_POSIX_CONNECTING:
        return unsbi_posix_connect_go_on(tcp);
    case UNSBI_POSIX_OPEN:
        return UNSB_OK;
    default:
        return tcp->failure;
    }
    if (rc == UNSB_PENDING) {
        return rc;
    }
    if (rc != UNSB_OK) {
        return unsbi_posix_fail(tcp, rc);
    }
    tcp->room = UNSB_POSIX_ATTEMPTS;
    unsbi_posix_order(tcp);
    return unsbi_posix_connect_next(tcp);
}

/* ---- transferring ---- */

static int unsbi_posix_not_open(unsb_posix *tcp)
{
    if (tcp->failure != 0) {
        return tcp->failure;
    }
    tcp->error = ENOTCONN;
    return UNSB_E_IO;
}

#if defined(TCP_NOTSENT_LOWAT) && !UNSB_POSIX_LINUX
/* Also true at an error, which send() tells then. */
static bool unsbi_posix_is_writable(int fd)
{
    struct pollfd item;
    item.fd = fd;
    item.events = POLLOUT;
    item.revents = 0;
    return poll(&item, 1, 0) != 0;
}
#endif

static int unsbi_posix_send(void *context, const void *data, size_t size)
{
    unsb_posix *tcp = (unsb_posix *)context;
    int flags = 0;
    ssize_t count;

    if (UNSBI_POSIX_GET(tcp->interrupted) != 0) {
        return UNSB_E_ABORTED;
    }
    if (tcp->state != UNSBI_POSIX_OPEN) {
        return unsbi_posix_not_open(tcp);
    }
    if (tcp->send_failure != 0 || size == 0) {
        return tcp->send_failure;
    }
    if (size > (size_t)INT_MAX) {
        size = (size_t)INT_MAX;
    }
#if defined(TCP_NOTSENT_LOWAT) && !UNSB_POSIX_LINUX
    if (!unsbi_posix_is_writable(tcp->fd)) {
        return 0; /* elsewhere than on Linux the bound counts for poll() alone */
    }
#endif
#ifdef MSG_NOSIGNAL
    flags = MSG_NOSIGNAL;
#endif
    do {
        count = send(tcp->fd, data, size, flags);
    } while (count < 0 && errno == EINTR);
    if (count >= 0) {
        return (int)count;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return 0;
    }
    tcp->error = errno;
    tcp->send_failure = errno == EPIPE ? UNSB_E_CLOSED : UNSB_E_IO;
    return tcp->send_failure;
}

static int unsbi_posix_recv(void *context, void *data, size_t size)
{
    unsb_posix *tcp = (unsb_posix *)context;
    ssize_t count;

    if (UNSBI_POSIX_GET(tcp->interrupted) != 0) {
        return UNSB_E_ABORTED;
    }
    if (tcp->state != UNSBI_POSIX_OPEN) {
        return unsbi_posix_not_open(tcp);
    }
    if (tcp->failure != 0 || size == 0) {
        return tcp->failure;
    }
    if (size > (size_t)INT_MAX) {
        size = (size_t)INT_MAX;
    }
    do {
        count = recv(tcp->fd, data, size, 0);
    } while (count < 0 && errno == EINTR);
    if (count > 0) {
        return (int)count;
    }
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return 0;
    }
    if (count == 0) {
        /* A reset is reported once, and send may have had it: then this is no orderly end. */
        tcp->failure = tcp->send_failure == UNSB_E_IO ? UNSB_E_IO : UNSB_E_CLOSED;
    } else {
        tcp->error = errno;
        tcp->failure = UNSB_E_IO;
    }
    return tcp->failure;
}

static void unsbi_posix_close(void *context)
{
    unsb_posix *tcp = (unsb_posix *)context;
    (void)unsbi_posix_fail(tcp, 0);
    tcp->send_failure = 0;
    tcp->state = UNSBI_POSIX_IDLE;
}

/* A copy of a socket is closed without a word on the wire, so this is close; but the parent's
 * interrupts are none of a child's. */
static void unsbi_posix_drop(void *context)
{
    unsb_posix *tcp = (unsb_posix *)context;
    unsbi_posix_close(tcp);
    unsbi_posix_close_wake(tcp->interrupt);
}

/* ---- waiting ---- */

UNSBI_POSIX_FN int unsb_posix_fd(const unsb_posix *tcp)
{
#if UNSB_POSIX_THREADS
    if (tcp->state == UNSBI_POSIX_RESOLVING) {
        return tcp->lookup->wake[0];
    }
#endif
    if (tcp->state == UNSBI_POSIX_CONNECTING && tcp->pending != 0) {
#if UNSB_POSIX_LINUX
        if (tcp->epoll_fd >= 0) {
            return tcp->epoll_fd;
        }
#endif
        return tcp->sockets[tcp->pending - 1];
    }
    return tcp->fd;
}

static short unsbi_posix_events(int interest)
{
    int events = 0;
    if ((interest & UNSB_READABLE) != 0) {
        events |= POLLIN;
    }
    if ((interest & UNSB_WRITABLE) != 0) {
        events |= POLLOUT;
    }
    return (short)events;
}

UNSBI_POSIX_FN size_t unsb_posix_fds(const unsb_posix *tcp, int interest, struct pollfd *items,
                                     size_t max, uint32_t *timeout_ms)
{
    bool connecting = tcp->state == UNSBI_POSIX_CONNECTING;
    size_t count = connecting ? tcp->pending : 1;
    size_t i;

    if (connecting && interest != 0 && unsbi_posix_peek(tcp) != NULL) {
        uint32_t left_ms = unsbi_posix_next_left(tcp);
        *timeout_ms = left_ms < *timeout_ms ? left_ms : *timeout_ms;
    }
    if (interest == 0 || (!connecting && unsb_posix_fd(tcp) < 0)) {
        return 0;
    }
    if (connecting) {
        interest = UNSB_WRITABLE; /* a connect is over when the socket can be written, */
    } else if (tcp->state == UNSBI_POSIX_RESOLVING) {
        interest = UNSB_READABLE; /* a look-up when there is something to read */
    }
    for (i = 0; i < count && i < max; i++) {
        items[i].fd = connecting ? tcp->sockets[i] : unsb_posix_fd(tcp);
        items[i].events = unsbi_posix_events(interest);
        items[i].revents = 0;
    }
    return i;
}

#if UNSB_POSIX_LINUX
/* Puts all sockets that are connecting, and the time until the next one, behind one descriptor.
 * false: there is only one, or it cannot be had. */
static bool unsbi_posix_gather(unsb_posix *tcp)
{
    bool more = unsbi_posix_peek(tcp) != NULL;
    struct epoll_event event;
    struct itimerspec time;
    size_t i;

    memset(&event, 0, sizeof event);
    memset(&time, 0, sizeof time);
    if (tcp->epoll_fd < 0) {
        if (!more && tcp->pending < 2) {
            return false;
        }
        tcp->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        tcp->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        event.events = EPOLLIN;
        if (tcp->epoll_fd < 0 || tcp->timer_fd < 0 ||
            epoll_ctl(tcp->epoll_fd, EPOLL_CTL_ADD, tcp->timer_fd, &event) != 0) {
            unsbi_posix_close_fd(&tcp->epoll_fd);
            unsbi_posix_close_fd(&tcp->timer_fd);
            return false;
        }
    }
    event.events = EPOLLOUT;
    for (i = 0; i < tcp->pending; i++) { /* those that are in it already stay */
        (void)epoll_ctl(tcp->epoll_fd, EPOLL_CTL_ADD, tcp->sockets[i], &event);
    }
    if (more) {
        uint32_t left_ms = unsbi_posix_next_left(tcp);
        time.it_value.tv_sec = (time_t)(left_ms / 1000u);
        time.it_value.tv_nsec = (long)(left_ms % 1000u) * 1000000L;
        time.it_value.tv_nsec += left_ms == 0; /* 0 would be never */
    }
    (void)timerfd_settime(tcp->timer_fd, 0, &time, NULL); /* which takes back what it has told */
    return true;
}
#endif

/* What unsb_posix_fd() is to be waited for with. */
static int unsbi_posix_interest(void *context, int interest)
{
    unsb_posix *tcp = (unsb_posix *)context;
    if (interest != 0 && tcp->state == UNSBI_POSIX_RESOLVING) {
        return UNSB_READABLE;
    }
    if (interest != 0 && tcp->state == UNSBI_POSIX_CONNECTING) {
#if UNSB_POSIX_LINUX
        if (unsbi_posix_gather(tcp)) {
            return UNSB_READABLE;
        }
#endif
        return UNSB_WRITABLE;
    }
    return interest;
}

/* poll() for up to `timeout_ms`, whatever signals come but an interrupt. Returns what it does: 0 at
 * the time-out. */
static int unsbi_posix_poll(const unsb_posix *tcp, struct pollfd *items, size_t count,
                            uint32_t timeout_ms)
{
    uint32_t started_ms = unsb_posix_now_ms(NULL);
    uint32_t left_ms = timeout_ms;
    for (;;) {
        int rc = poll(items, (nfds_t)count, timeout_ms >= UNSB_FOREVER ? -1 : (int)left_ms);
        uint32_t passed_ms;
        if (rc >= 0 || errno != EINTR || UNSBI_POSIX_GET(tcp->interrupted) != 0) {
            return rc;
        }
        passed_ms = unsb_posix_now_ms(NULL) - started_ms;
        left_ms = passed_ms < timeout_ms ? timeout_ms - passed_ms : 0;
    }
}

static int unsbi_posix_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsb_posix *tcp = (unsb_posix *)context;
    struct pollfd items[UNSB_POSIX_ATTEMPTS + 1]; /* the last one: for interrupts */
    uint32_t limit_ms = timeout_ms;
    size_t count = unsb_posix_fds(tcp, interest, items, UNSB_POSIX_ATTEMPTS, &limit_ms);
    size_t all = count;
    int rc;

    if (UNSBI_POSIX_GET(tcp->interrupted) != 0) {
        return UNSB_E_ABORTED;
    }
    if (interest != 0 && count == 0) {
        return UNSB_OK; /* nothing to wait for: the next call tells why */
    }
    if (tcp->interrupt[0] >= 0) {
        items[all].fd = tcp->interrupt[0];
        items[all].events = POLLIN;
        items[all++].revents = 0;
    }
    rc = unsbi_posix_poll(tcp, items, all, limit_ms);
    if (all != count && rc > 0 && items[count].revents != 0) {
        UNSBI_POSIX_SET(tcp->interrupted, 1); /* taken back in the midst of it: it counts */
    }
    if (UNSBI_POSIX_GET(tcp->interrupted) != 0) {
        return UNSB_E_ABORTED;
    }
    if (rc < 0 || (rc > 0 && (items[0].revents & POLLNVAL) != 0)) {
        tcp->error = rc < 0 ? errno : EBADF;
        return UNSB_E_IO;
    }
    return rc > 0 || limit_ms < timeout_ms ? UNSB_OK : UNSB_E_TIMEOUT;
}

UNSBI_POSIX_FN void unsb_posix_interrupt(unsb_posix *tcp)
{
    int error = errno; /* which a signal handler must leave alone */
    UNSBI_POSIX_SET(tcp->interrupted, 1);
    if (tcp->interrupt[1] >= 0) {
        unsbi_posix_wake(tcp->interrupt[1]);
    }
    errno = error;
}

UNSBI_POSIX_FN int unsb_posix_interruptible(unsb_posix *tcp, bool on)
{
    int ends[2] = {-1, -1};
    char told[64];

    UNSBI_POSIX_SET(tcp->interrupted, 0);
    if (!on) {
        unsbi_posix_close_wake(tcp->interrupt);
    } else if (tcp->interrupt[0] >= 0) {
        /* An interrupt that comes between the two is either seen or made undone, like one that
         * came just before; the descriptor stays, as a signal handler may be about to use it. */
        while (read(tcp->interrupt[0], told, sizeof told) > 0) {
            continue;
        }
    } else if (unsbi_posix_open_wake(ends)) {
        tcp->interrupt[0] = ends[0];
        tcp->interrupt[1] = ends[1];
    } else {
        tcp->error = errno;
        unsbi_posix_close_wake(ends);
        return UNSB_E_IO;
    }
    return UNSB_OK;
}

static const unsb_transport_class unsbi_posix_class = {unsbi_posix_connect, unsbi_posix_send,
                                                       unsbi_posix_recv,    unsbi_posix_close,
                                                       unsbi_posix_wait,    unsbi_posix_interest,
                                                       unsbi_posix_drop};

UNSBI_POSIX_FN unsb_transport unsb_posix_transport(unsb_posix *tcp)
{
    unsb_transport transport;
    memset(tcp, 0, sizeof *tcp);
    tcp->fd = -1;
    tcp->interrupt[0] = tcp->interrupt[1] = -1;
#if UNSB_POSIX_LINUX
    tcp->epoll_fd = tcp->timer_fd = -1;
#endif
    transport.vtable = &unsbi_posix_class;
    transport.context = tcp;
    return transport;
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_POSIX_H */
