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
 * Nothing here blocks but wait(). Sockets are non-blocking. Names are resolved by getaddrinfo() in
 * a detached helper thread; numeric addresses need none. The thread owns what it works with, so the
 * client may be aborted, closed and freed meanwhile; the thread cleans up when getaddrinfo()
 * returns. So the client's connect time-out covers resolving too.
 *
 * All addresses of a name are tried, one after the other in getaddrinfo()'s order. One that does
 * not answer is given up after address_timeout_ms while others remain; the last one has what the
 * client's time-out leaves. On Linux and macOS the kernel keeps this limit too (to the second), so
 * that a program that waits with poll() of its own is woken; elsewhere such a program should call
 * unsb_poll() about once a second while it connects.
 *
 * Memory: sizeof(unsb_posix), 64 bytes (48 on 32-bit systems). While a name is resolved: one heap
 * block of about 400 bytes, a pipe and a thread. The address list is getaddrinfo()'s and is freed
 * once connected.
 *
 * Errors: UNSB_E_RESOLVE (tcp.resolve_error has getaddrinfo's EAI_ code), UNSB_E_CONNECT, UNSB_E_IO
 * and, from recv at the peer's FIN and from send after it, UNSB_E_CLOSED; tcp.error has the errno.
 * They are returned again until close. A failed send leaves recv usable: what the peer sent before
 * it hung up can still be read.
 *
 * Limits: one connection for each unsb_posix, which belongs to one thread at a time. getaddrinfo()
 * cannot be cancelled: an abandoned look-up keeps its thread until the resolver's own time-out. */
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

#if UNSB_POSIX_THREADS
#include <pthread.h>
#include <signal.h>
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

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

struct unsbi_posix_lookup;

typedef struct unsb_posix {
    /* may be set after unsb_posix_transport() */
    uint32_t address_timeout_ms; /* for each address but the last; 0: 5,000 */
    /* to be read */
    int error;         /* errno of the last failure, 0: none. Kept until the next connect */
    int resolve_error; /* with UNSB_E_RESOLVE: an EAI_ code, for gai_strerror() */
    /* private */
    uint8_t state;
    int fd;              /* the socket, -1: none */
    int wake_fd;         /* while resolving: readable when the helper thread is through */
    int failure;         /* of connect, then of recv; sticky */
    int send_failure;    /* kept apart, so that recv can still fetch what the peer sent */
    uint32_t started_ms; /* when the present address was begun */
    struct unsbi_posix_lookup *lookup;
    struct addrinfo *addresses; /* owned */
    struct addrinfo *next;      /* the one to try next */
} unsb_posix;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Initialises `tcp` (whatever it held: close it before, if it was in use) and returns the transport
 * over it. `tcp` must stay in place until the client is closed. */
UNSBI_POSIX_FN unsb_transport unsb_posix_transport(unsb_posix *tcp);
/* What to put into poll(), select() or epoll for a non-blocking client, with the events that
 * unsb_interest() names. -1: nothing, only time matters. While a name is resolved it is the helper
 * thread's pipe, then a socket for each address: ask anew after each unsb_poll(). */
UNSBI_POSIX_FN int unsb_posix_fd(const unsb_posix *tcp);
/* Clocks for unsb_config; the context is not used. */
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

UNSBI_POSIX_FN uint32_t unsb_posix_now_ms(void *context)
{
    struct timespec now = {0, 0};
    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
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

static bool unsbi_posix_set_flags(int fd, bool nonblocking)
{
    int flags = fcntl(fd, F_GETFD, 0);
    if (flags >= 0) {
        /* May fail: systems without exec (lwIP's sockets, Zephyr) need not know the flag. */
        (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
    }
    if (nonblocking) {
        flags = fcntl(fd, F_GETFL, 0);
        return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) >= 0;
    }
    return true;
}

static void unsbi_posix_set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

/* Requests are sent in few large pieces, so Nagle's algorithm only delays their last segment. A
 * program may run for 15 minutes in silence: probes keep the path open and notice a dead peer. */
static void unsbi_posix_set_options(int fd)
{
    unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    unsbi_posix_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#if defined(TCP_KEEPIDLE)
    unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
#elif defined(TCP_KEEPALIVE)
    unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_KEEPALIVE, 30);
#endif
#ifdef TCP_KEEPINTVL
    unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
#endif
#ifdef TCP_KEEPCNT
    unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
#endif
#ifdef SO_NOSIGPIPE
    unsbi_posix_set_option(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
}

/* Has the kernel give up an unanswered connect after `ms` (0: when it likes), so that a program
 * that waits for the socket alone is woken. */
static void unsbi_posix_limit_connect(int fd, uint32_t ms)
{
#if defined(__linux__) && defined(TCP_USER_TIMEOUT)
    unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)ms);
#elif defined(TCP_CONNECTIONTIMEOUT)
    unsbi_posix_set_option(fd, IPPROTO_TCP, TCP_CONNECTIONTIMEOUT, (int)((ms + 999u) / 1000u));
#else
    (void)fd;
    (void)ms;
#endif
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
/* What the client and the helper thread share. Each holds one reference; who drops the last one
 * frees the block. So neither ever touches memory that belongs to the other. */
struct unsbi_posix_lookup {
    pthread_mutex_t lock;
    int references; /* from here on: with the lock held */
    bool done;
    int result;
    int error;
    struct addrinfo *list;
    int wake_fd; /* the thread's: closing it wakes the client */
    char service[6];
    char host[256];
};

static void unsbi_posix_lookup_release(struct unsbi_posix_lookup *lookup)
{
    int references;
    (void)pthread_mutex_lock(&lookup->lock);
    references = --lookup->references;
    (void)pthread_mutex_unlock(&lookup->lock);
    if (references == 0) {
        (void)pthread_mutex_destroy(&lookup->lock);
        if (lookup->list != NULL) {
            freeaddrinfo(lookup->list);
        }
        free(lookup);
    }
}

static void *unsbi_posix_lookup_run(void *context)
{
    struct unsbi_posix_lookup *lookup = (struct unsbi_posix_lookup *)context;
    struct addrinfo *list;
    int error;
    int wake_fd = lookup->wake_fd;
    int result = unsbi_posix_resolve(lookup->host, lookup->service, 0, &list, &error);

    (void)pthread_mutex_lock(&lookup->lock);
    lookup->result = result;
    lookup->error = error;
    lookup->list = list;
    lookup->done = true;
    (void)pthread_mutex_unlock(&lookup->lock);
    /* The end of the pipe is the signal. Nothing is written, so there is no SIGPIPE either if the
     * client has closed its side. */
    unsbi_posix_close_fd(&wake_fd);
    unsbi_posix_lookup_release(lookup);
    return NULL;
}

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

/* Returns 0 or an errno. */
static int unsbi_posix_lookup_start(unsb_posix *tcp, const char *host, uint16_t port)
{
    struct unsbi_posix_lookup *lookup;
    int ends[2];
    int rc;

    lookup = (struct unsbi_posix_lookup *)calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        return ENOMEM;
    }
    memcpy(lookup->host, host, strlen(host) + 1); /* its length was checked */
    unsbi_posix_format_port(lookup->service, port);
    rc = pthread_mutex_init(&lookup->lock, NULL);
    if (rc != 0) {
        free(lookup);
        return rc;
    }
    if (pipe(ends) != 0) {
        rc = errno;
    } else {
        (void)unsbi_posix_set_flags(ends[0], true);
        (void)unsbi_posix_set_flags(ends[1], false);
        lookup->wake_fd = ends[1];
        lookup->references = 2;
        rc = unsbi_posix_lookup_spawn(lookup);
        if (rc == 0) {
            tcp->wake_fd = ends[0];
            tcp->lookup = lookup;
            return 0;
        }
        unsbi_posix_close_fd(&ends[0]);
        unsbi_posix_close_fd(&ends[1]);
    }
    (void)pthread_mutex_destroy(&lookup->lock);
    free(lookup);
    return rc;
}

/* Takes the result over, if there is one: UNSB_OK, UNSB_PENDING or UNSB_E_RESOLVE. */
static int unsbi_posix_lookup_take(unsb_posix *tcp)
{
    struct unsbi_posix_lookup *lookup = tcp->lookup;
    bool done;

    (void)pthread_mutex_lock(&lookup->lock);
    done = lookup->done;
    if (done) {
        tcp->resolve_error = lookup->result;
        tcp->error = lookup->error;
        tcp->addresses = lookup->list;
        lookup->list = NULL;
    }
    (void)pthread_mutex_unlock(&lookup->lock);
    if (!done) {
        return UNSB_PENDING;
    }
    tcp->lookup = NULL;
    unsbi_posix_lookup_release(lookup);
    unsbi_posix_close_fd(&tcp->wake_fd);
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
    tcp->error = unsbi_posix_lookup_start(tcp, host, port);
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

/* ---- connecting ---- */

static uint32_t unsbi_posix_address_limit(const unsb_posix *tcp)
{
    uint32_t limit = tcp->address_timeout_ms != 0 ? tcp->address_timeout_ms : 5000u;
    return limit < UNSB_FOREVER ? limit : UNSB_FOREVER;
}

/* How long the present address may still take, 0: its time is up. Only while others remain. */
static uint32_t unsbi_posix_address_left(const unsb_posix *tcp)
{
    uint32_t limit = unsbi_posix_address_limit(tcp);
    uint32_t passed = unsb_posix_now_ms(NULL) - tcp->started_ms;
    return passed < limit ? limit - passed : 0;
}

static int unsbi_posix_fail(unsb_posix *tcp, int failure)
{
    unsbi_posix_close_fd(&tcp->fd);
    if (tcp->addresses != NULL) {
        freeaddrinfo(tcp->addresses);
        tcp->addresses = NULL;
        tcp->next = NULL;
    }
    tcp->failure = failure;
    tcp->state = UNSBI_POSIX_FAILED;
    return failure;
}

static int unsbi_posix_opened(unsb_posix *tcp)
{
    unsbi_posix_limit_connect(tcp->fd, 0);
    freeaddrinfo(tcp->addresses);
    tcp->addresses = NULL;
    tcp->next = NULL;
    tcp->error = 0;
    tcp->state = UNSBI_POSIX_OPEN;
    return UNSB_OK;
}

/* Goes through the addresses until one connects or is under way. */
static int unsbi_posix_connect_next(unsb_posix *tcp)
{
    while (tcp->next != NULL) {
        const struct addrinfo *address = tcp->next;
        int type = address->ai_socktype;
        tcp->next = address->ai_next;
        unsbi_posix_close_fd(&tcp->fd);
#ifdef SOCK_CLOEXEC
        type |= SOCK_CLOEXEC; /* no gap for a fork in another thread */
#endif
        tcp->fd = socket(address->ai_family, type, address->ai_protocol);
        if (tcp->fd < 0 || !unsbi_posix_set_flags(tcp->fd, true)) {
            tcp->error = errno;
            continue;
        }
        unsbi_posix_set_options(tcp->fd);
        if (tcp->next != NULL) {
            unsbi_posix_limit_connect(tcp->fd, unsbi_posix_address_limit(tcp));
        }
        tcp->started_ms = unsb_posix_now_ms(NULL);
        if (connect(tcp->fd, address->ai_addr, address->ai_addrlen) == 0) {
            return unsbi_posix_opened(tcp);
        }
        /* After EINTR the connection goes on in the background, as with EINPROGRESS. */
        if (errno == EINPROGRESS || errno == EINTR || errno == EAGAIN) {
            tcp->state = UNSBI_POSIX_CONNECTING;
            return UNSB_PENDING;
        }
        tcp->error = errno;
    }
    return unsbi_posix_fail(tcp, UNSB_E_CONNECT);
}

/* Looks after the address that is under way. */
static int unsbi_posix_connect_go_on(unsb_posix *tcp)
{
    struct pollfd item;
    int error = 0;
    socklen_t size = sizeof error;
    int count;

    item.fd = tcp->fd;
    item.events = POLLOUT;
    item.revents = 0;
    do {
        count = poll(&item, 1, 0);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        error = errno;
    } else if (count == 0) {
        if (tcp->next == NULL || unsbi_posix_address_left(tcp) > 0) {
            return UNSB_PENDING;
        }
        error = ETIMEDOUT;
    } else if (getsockopt(tcp->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    if (error == 0) {
        return unsbi_posix_opened(tcp);
    }
    tcp->error = error;
    return unsbi_posix_connect_next(tcp);
}

static int unsbi_posix_connect(void *context, const char *host, uint16_t port)
{
    unsb_posix *tcp = (unsb_posix *)context;
    int rc = UNSB_OK;

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
    tcp->next = tcp->addresses;
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

static int unsbi_posix_send(void *context, const void *data, size_t size)
{
    unsb_posix *tcp = (unsb_posix *)context;
    int flags = 0;
    ssize_t count;

    if (tcp->state != UNSBI_POSIX_OPEN) {
        return unsbi_posix_not_open(tcp);
    }
    if (tcp->send_failure != 0 || size == 0) {
        return tcp->send_failure;
    }
    if (size > (size_t)INT_MAX) {
        size = (size_t)INT_MAX;
    }
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
#if UNSB_POSIX_THREADS
    if (tcp->lookup != NULL) {
        unsbi_posix_lookup_release(tcp->lookup);
        tcp->lookup = NULL;
    }
#endif
    unsbi_posix_close_fd(&tcp->wake_fd);
    (void)unsbi_posix_fail(tcp, 0);
    tcp->send_failure = 0;
    tcp->state = UNSBI_POSIX_IDLE;
}

/* ---- waiting ---- */

UNSBI_POSIX_FN int unsb_posix_fd(const unsb_posix *tcp)
{
    return tcp->state == UNSBI_POSIX_RESOLVING ? tcp->wake_fd : tcp->fd;
}

/* A pipe is only ever read, and a connect is over when the socket can be written. */
static int unsbi_posix_interest(void *context, int interest)
{
    const unsb_posix *tcp = (const unsb_posix *)context;
    if (interest != 0 && tcp->state == UNSBI_POSIX_RESOLVING) {
        return UNSB_READABLE;
    }
    if (interest != 0 && tcp->state == UNSBI_POSIX_CONNECTING) {
        return UNSB_WRITABLE;
    }
    return interest;
}

/* poll() for up to `timeout_ms`, whatever signals come. Returns what it does: 0 at the time-out. */
static int unsbi_posix_poll(struct pollfd *items, nfds_t count, uint32_t timeout_ms)
{
    uint32_t started_ms = unsb_posix_now_ms(NULL);
    uint32_t left_ms = timeout_ms;
    for (;;) {
        int rc = poll(items, count, timeout_ms >= UNSB_FOREVER ? -1 : (int)left_ms);
        uint32_t passed_ms;
        if (rc >= 0 || errno != EINTR) {
            return rc;
        }
        passed_ms = unsb_posix_now_ms(NULL) - started_ms;
        left_ms = passed_ms < timeout_ms ? timeout_ms - passed_ms : 0;
    }
}

static int unsbi_posix_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsb_posix *tcp = (unsb_posix *)context;
    struct pollfd item;
    uint32_t limit_ms = timeout_ms;
    int rc;

    item.fd = unsb_posix_fd(tcp);
    item.events = 0;
    item.revents = 0;
    interest = unsbi_posix_interest(tcp, interest);
    if (interest == 0) {
        rc = unsbi_posix_poll(NULL, 0, timeout_ms);
    } else if (item.fd < 0) {
        return UNSB_OK; /* nothing to wait for: the next call tells why */
    } else {
        if ((interest & UNSB_READABLE) != 0) {
            item.events |= POLLIN;
        }
        if ((interest & UNSB_WRITABLE) != 0) {
            item.events |= POLLOUT;
        }
        if (tcp->state == UNSBI_POSIX_CONNECTING && tcp->next != NULL) {
            uint32_t left_ms = unsbi_posix_address_left(tcp);
            limit_ms = left_ms < timeout_ms ? left_ms : timeout_ms;
        }
        rc = unsbi_posix_poll(&item, 1, limit_ms);
    }
    if (rc < 0 || (item.revents & POLLNVAL) != 0) {
        tcp->error = rc < 0 ? errno : EBADF;
        return UNSB_E_IO;
    }
    return rc > 0 || limit_ms < timeout_ms ? UNSB_OK : UNSB_E_TIMEOUT;
}

static const unsb_transport_class unsbi_posix_class = {unsbi_posix_connect, unsbi_posix_send,
                                                       unsbi_posix_recv,    unsbi_posix_close,
                                                       unsbi_posix_wait,    unsbi_posix_interest,
                                                       NULL};

UNSBI_POSIX_FN unsb_transport unsb_posix_transport(unsb_posix *tcp)
{
    unsb_transport transport;
    memset(tcp, 0, sizeof *tcp);
    tcp->fd = -1;
    tcp->wake_fd = -1;
    transport.vtable = &unsbi_posix_class;
    transport.context = tcp;
    return transport;
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_POSIX_H */
