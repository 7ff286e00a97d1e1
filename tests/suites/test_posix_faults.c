/* The POSIX port where the system refuses: each call of the C library that can fail does so, at its
 * first use and at later ones. After each: the right code and errno, no descriptor left, no memory
 * left, and the same transport connects again. */
#include "suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifndef UNSB_POSIX_LINUX
#ifdef __linux__
#define UNSB_POSIX_LINUX 1
#else
#define UNSB_POSIX_LINUX 0
#endif
#endif
#if UNSB_POSIX_LINUX
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#endif
#ifndef UNSB_POSIX_THREADS
#define UNSB_POSIX_THREADS 1
#endif
#ifdef PLAIN_SOCKETS /* as macOS has them */
#undef SOCK_CLOEXEC
#undef SOCK_NONBLOCK
#endif

/* ======================================================================
 * >>faults  What the port calls in place of the C library
 * ====================================================================== */

enum {
    NONE,
    CALLOC,
    WAKE,
    ATTRIBUTES,
    THREAD,
    RESOLVE,
    SOCKET,
    FCNTL,
    OPTION,
    CONNECT,
    STATUS, /* getsockopt */
    PEER,   /* getpeername */
    POLL,
    SEND,
    RECV,
    EPOLL,
    EPOLL_ADD,
    TIMER,
    CLOCK
};

static struct {
    int call;
    unsigned after, times; /* so many pass, then so many fail */
    int error;
    unsigned hits;
} fault;

static int live_blocks, live_lists; /* not freed yet */
static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;

static void live(int *count, int change)
{
    (void)pthread_mutex_lock(&live_lock);
    *count += change;
    (void)pthread_mutex_unlock(&live_lock);
}

static int live_now(const int *count)
{
    int now;

    (void)pthread_mutex_lock(&live_lock);
    now = *count;
    (void)pthread_mutex_unlock(&live_lock);
    return now;
}

static bool fails(int call)
{
    if (fault.call != call || fault.times == 0)
        return false;
    if (fault.after != 0) {
        fault.after--;
        return false;
    }
    fault.times--;
    fault.hits++;
    errno = fault.error;
    return true;
}

static void fail_at(int call, unsigned after, unsigned times, int error)
{
    fault.call = call;
    fault.after = after;
    fault.times = times;
    fault.error = error;
    fault.hits = 0;
}

#if UNSB_POSIX_THREADS
static void *seen_calloc(size_t count, size_t size)
{
    void *block = fails(CALLOC) ? NULL : calloc(count, size);

    live(&live_blocks, block != NULL);
    return block;
}

static void seen_free(void *block)
{
    live(&live_blocks, -1);
    free(block);
}
#endif

/* Names that begin with "NAME" stand for `names`; addresses for themselves. */
static const char *names[6];
static uint16_t name_ports[6];
static int empty_lists; /* so many successes without an address */
static bool no_more;    /* and after those names do not exist */
static int held, asked; /* look-ups of names wait; so many have begun */

static void sleep_a_moment(void)
{
    struct timespec time = {0, 1000000};

    (void)nanosleep(&time, NULL);
}

static int seen_resolve(const char *host, const char *port, const struct addrinfo *hints,
                        struct addrinfo **list)
{
    struct addrinfo numeric = *hints, **end = list;
    size_t i;
    int rc;

    numeric.ai_flags |= AI_NUMERICHOST;
    if (strncmp(host, "NAME", 4) != 0 && empty_lists == 0) {
        rc = getaddrinfo(host, port, &numeric, list);
        live(&live_lists, rc == 0);
        return rc;
    }
    if ((hints->ai_flags & AI_NUMERICHOST) != 0 && strncmp(host, "NAME", 4) == 0)
        return EAI_NONAME;
    if (fails(RESOLVE))
        return EAI_SYSTEM;
    live(&asked, 1);
    while (live_now(&held) != 0)
        sleep_a_moment();
    if (empty_lists != 0) {
        empty_lists--;
        return 0;
    }
    for (i = 0; i < COUNT(names) && names[i] != NULL && !no_more; i++) {
        char digits[8];

        (void)snprintf(digits, sizeof digits, "%u", (unsigned)name_ports[i]);
        assert_int_equal(getaddrinfo(names[i], digits, &numeric, end), 0);
        while (*end != NULL)
            end = &(*end)->ai_next;
    }
    live(&live_lists, *list != NULL);
    return *list != NULL ? 0 : EAI_NONAME;
}

static void seen_freeaddrinfo(struct addrinfo *list)
{
    live(&live_lists, -1);
    freeaddrinfo(list);
}

#if UNSB_POSIX_THREADS
static int seen_attributes(pthread_attr_t *attributes)
{
    return fails(ATTRIBUTES) ? fault.error : pthread_attr_init(attributes);
}

static int seen_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                       void *context)
{
    return fails(THREAD) ? fault.error : pthread_create(thread, attributes, run, context);
}
#endif

static int seen_socket(int domain, int type, int protocol)
{
    return fails(SOCKET) ? -1 : socket(domain, type, protocol);
}

static int seen_fcntl(int fd, int command, int value)
{
    return fails(FCNTL) ? -1 : fcntl(fd, command, value);
}

static int seen_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    return fails(OPTION) ? -1 : setsockopt(fd, level, name, value, size);
}

static int seen_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    return fails(STATUS) ? -1 : getsockopt(fd, level, name, value, size);
}

/* With EINTR and EAGAIN the connection goes on all the same; with 0 it is there at once. */
static int seen_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    if (!fails(CONNECT))
        return connect(fd, address, size);
    if (fault.error == EINTR || fault.error == EAGAIN || fault.error == 0) {
        struct pollfd item = {fd, POLLOUT, 0};

        (void)connect(fd, address, size);
        assert_int_equal(poll(&item, 1, 10000), 1);
    }
    errno = fault.error;
    return fault.error == 0 ? 0 : -1;
}

static int seen_getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
    if (fails(PEER)) {
        *size = 110; /* of another kind, with error 0 */
        return fault.error == 0 ? 0 : -1;
    }
    return getpeername(fd, address, size);
}

static int seen_poll(struct pollfd *items, nfds_t count, int timeout_ms)
{
    return fails(POLL) ? -1 : poll(items, count, timeout_ms);
}

static size_t largest; /* that the port has asked to move in one call */

static ssize_t seen_send(int fd, const void *data, size_t size, int flags)
{
    largest = size > largest ? size : largest;
    return fails(SEND) ? -1 : send(fd, data, size, flags);
}

static ssize_t seen_recv(int fd, void *data, size_t size, int flags)
{
    largest = size > largest ? size : largest;
    return fails(RECV) ? -1 : recv(fd, data, size, flags);
}

static int seen_clock(clockid_t clock, struct timespec *time)
{
    return fails(CLOCK) ? -1 : clock_gettime(clock, time);
}

#if UNSB_POSIX_LINUX
static int seen_eventfd(unsigned value, int flags)
{
    return fails(WAKE) ? -1 : eventfd(value, flags);
}

static int seen_epoll(int flags)
{
    return fails(EPOLL) ? -1 : epoll_create1(flags);
}

static int seen_epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
    return fails(EPOLL_ADD) ? -1 : epoll_ctl(set, operation, fd, event);
}

static int seen_timer(int clock, int flags)
{
    return fails(TIMER) ? -1 : timerfd_create(clock, flags);
}
#elif defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
static int seen_socketpair(int domain, int type, int protocol, int *ends)
{
    return fails(WAKE) ? -1 : socketpair(domain, type, protocol, ends);
}
#else
static int seen_pipe(int *ends)
{
    return fails(WAKE) ? -1 : pipe(ends);
}
#endif

#define calloc(count, size) seen_calloc(count, size)
#define free(block) seen_free(block)
#define freeaddrinfo(list) seen_freeaddrinfo(list)
#define pthread_attr_init(attributes) seen_attributes(attributes)
#define pthread_create(thread, attributes, run, context)                                           \
    seen_thread(thread, attributes, run, context)
#define socket(domain, type, protocol) seen_socket(domain, type, protocol)
#define fcntl(fd, command, value) seen_fcntl(fd, command, value)
#define setsockopt(fd, level, name, value, size) seen_setsockopt(fd, level, name, value, size)
#define getsockopt(fd, level, name, value, size) seen_getsockopt(fd, level, name, value, size)
#define connect(fd, address, size) seen_connect(fd, address, size)
#define getpeername(fd, address, size) seen_getpeername(fd, address, size)
#define poll(items, count, timeout_ms) seen_poll(items, count, timeout_ms)
#define send(fd, data, size, flags) seen_send(fd, data, size, flags)
#define recv(fd, data, size, flags) seen_recv(fd, data, size, flags)
#define clock_gettime(clock, time) seen_clock(clock, time)
#define eventfd(value, flags) seen_eventfd(value, flags)
#define epoll_create1(flags) seen_epoll(flags)
#define epoll_ctl(set, operation, fd, event) seen_epoll_ctl(set, operation, fd, event)
#define timerfd_create(clock, flags) seen_timer(clock, flags)
#define socketpair(domain, type, protocol, ends) seen_socketpair(domain, type, protocol, ends)
#define pipe(ends) seen_pipe(ends)
#define UNSB_POSIX_GETADDRINFO seen_resolve
#include "unsandbox_posix.h"
#undef calloc
#undef free
#undef freeaddrinfo
#undef pthread_attr_init
#undef pthread_create
#undef socket
#undef fcntl
#undef setsockopt
#undef getsockopt
#undef connect
#undef getpeername
#undef poll
#undef send
#undef recv
#undef clock_gettime
#undef eventfd
#undef epoll_create1
#undef epoll_ctl
#undef timerfd_create
#undef socketpair
#undef pipe
#include "service.h"
#include "resources.h"

/* ======================================================================
 * >>helpers
 * ====================================================================== */

static unsb_posix tcp;
static unsb_transport t;
static int listener, accepted = -1, mute = -1;
static uint16_t port, refused_port, mute_port;
static unsigned before;
static int mute_fds[16];
static size_t mute_count;

/* connect() until it is over, waiting in between. */
static int connected(const char *host, uint16_t to)
{
    unsigned turns;
    int rc;

    for (turns = 0; turns < 10000; turns++) {
        rc = t.vtable->connect(t.context, host, to);
        if (rc != UNSB_PENDING)
            return rc;
        rc = t.vtable->wait(t.context, t.vtable->interest(t.context, UNSB_WRITABLE), PATIENCE_MS);
        if (rc != UNSB_OK)
            return rc;
    }
    return UNSB_E_TIMEOUT;
}

static void take_peer(void)
{
    accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
}

/* And those that nobody took. */
static void let_peer_go(void)
{
    struct pollfd item = {.fd = listener, .events = POLLIN};

    do {
        if (accepted >= 0)
            (void)close(accepted);
        accepted = poll(&item, 1, 0) == 1 ? accept(listener, NULL, NULL) : -1;
    } while (accepted >= 0);
}

/* Nothing is left of the connection before; and without a fault there is a next one, that carries
 * bytes both ways. */
static void closed_and_well(void)
{
    char byte = 0;
    bool gone;
    int rc;

    t.vtable->close(t.context);
    fault.call = NONE;
    let_peer_go();
    EVENTUALLY(live_now(&live_blocks) == 0 && live_now(&live_lists) == 0, gone);
    assert_true(gone);
    assert_int_equal(descriptors(), before);
    rc = connected("127.0.0.1", port);
    if (rc != UNSB_OK)
        fail_msg("%d, errno %d", rc, tcp.error);
    take_peer();
    assert_int_equal(t.vtable->send(t.context, "a", 1), 1);
    assert_int_equal(read(accepted, &byte, 1), 1);
    assert_int_equal(write(accepted, "b", 1), 1);
    assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE, PATIENCE_MS), UNSB_OK);
    assert_int_equal(t.vtable->recv(t.context, &byte, 1), 1);
    assert_int_equal(byte, 'b');
    t.vtable->close(t.context);
    let_peer_go();
    assert_int_equal(descriptors(), before);
    tcp.known_size = 0; /* no address goes first */
}

static void stands_for(const char *one, uint16_t one_port, const char *two, uint16_t two_port)
{
    memset(names, 0, sizeof names);
    names[0] = one;
    name_ports[0] = one_port;
    names[1] = two;
    name_ports[1] = two_port;
}

/* ======================================================================
 * >>connecting
 * ====================================================================== */

static const struct {
    const char *what, *host;
    int call;
    unsigned after, times;
    int error;
    int rc;
    int want_error; /* tcp.error */
    int want_resolve;
} cases[] = {
#if UNSB_POSIX_THREADS
    {"no memory for a look-up", "NAME", CALLOC, 0, 1, ENOMEM, UNSB_E_RESOLVE, ENOMEM, EAI_AGAIN},
    {"no descriptor for a look-up", "NAME", WAKE, 0, 1, EMFILE, UNSB_E_RESOLVE, EMFILE, EAI_AGAIN},
    {"no attributes", "NAME", ATTRIBUTES, 0, 1, ENOMEM, UNSB_E_RESOLVE, ENOMEM, EAI_AGAIN},
    {"no thread", "NAME", THREAD, 0, 1, EAGAIN, UNSB_E_RESOLVE, EAGAIN, EAI_AGAIN},
#endif
    {"the resolver's system", "NAME", RESOLVE, 0, 1, EIO, UNSB_E_RESOLVE, EIO, EAI_SYSTEM},
    {"no socket", "127.0.0.1", SOCKET, 0, 1, EACCES, UNSB_E_CONNECT, EACCES, 0},
    {"no socket for the first", "NAME", SOCKET, 0, 1, EAFNOSUPPORT, UNSB_OK, 0, 0},
    {"no socket for either", "NAME", SOCKET, 0, 2, EMFILE, UNSB_E_CONNECT, EMFILE, 0},
    {"close-on-exec is not known", "127.0.0.1", FCNTL, 0, 1, EINVAL, UNSB_OK, 0, 0},
    {"close-on-exec is refused", "127.0.0.1", FCNTL, 1, 1, EINVAL, UNSB_OK, 0, 0},
    {"flags cannot be had", "127.0.0.1", FCNTL, 2, 1, EBADF, UNSB_E_CONNECT, EBADF, 0},
    {"flags cannot be set", "127.0.0.1", FCNTL, 3, 1, EPERM, UNSB_E_CONNECT, EPERM, 0},
#ifdef SOCK_CLOEXEC
    {"flags cannot be set of the first", "NAME", FCNTL, 3, 1, EPERM, UNSB_OK, 0, 0},
#else
    {"flags of a pipe's one end", "NAME", FCNTL, 3, 1, EPERM, UNSB_E_RESOLVE, EPERM, EAI_AGAIN},
    {"flags of a pipe's other end", "NAME", FCNTL, 7, 1, EPERM, UNSB_E_RESOLVE, EPERM, EAI_AGAIN},
    {"flags cannot be set of the first", "NAME", FCNTL, 11, 1, EPERM, UNSB_OK, 0, 0},
#endif
    {"no option is known", "127.0.0.1", OPTION, 0, 99, ENOPROTOOPT, UNSB_OK, 0, 0},
    {"refused at once", "127.0.0.1", CONNECT, 0, 1, ECONNREFUSED, UNSB_E_CONNECT, ECONNREFUSED, 0},
    {"no route to the first", "NAME", CONNECT, 0, 1, ENETUNREACH, UNSB_OK, 0, 0},
    {"interrupted, and goes on", "127.0.0.1", CONNECT, 0, 1, EINTR, UNSB_OK, 0, 0},
    {"not now, and goes on", "127.0.0.1", CONNECT, 0, 1, EAGAIN, UNSB_OK, 0, 0},
    {"there at once", "127.0.0.1", CONNECT, 0, 1, 0, UNSB_OK, 0, 0},
    {"how it ended is not told", "127.0.0.1", STATUS, 0, 1, ENOBUFS, UNSB_E_CONNECT, ENOBUFS, 0},
    {"how the first ended is not told", "NAME", STATUS, 0, 1, ENOBUFS, UNSB_OK, 0, 0},
    {"the peer's name is not told", "127.0.0.1", PEER, 0, 1, ENOTCONN, UNSB_OK, 0, 0},
    {"the peer's name is too long", "127.0.0.1", PEER, 0, 1, 0, UNSB_OK, 0, 0},
    {"a signal while waiting", "127.0.0.1", POLL, 0, 1, EINTR, UNSB_OK, 0, 0},
    {"a signal while looking", "127.0.0.1", POLL, 1, 1, EINTR, UNSB_OK, 0, 0},
    {"signals all along", "127.0.0.1", POLL, 0, 20, EINTR, UNSB_OK, 0, 0},
    {"waiting fails", "127.0.0.1", POLL, 0, 1, ENOMEM, UNSB_E_IO, ENOMEM, 0},
    {"looking fails", "127.0.0.1", POLL, 1, 1, ENOMEM, UNSB_E_CONNECT, ENOMEM, 0},
#if UNSB_POSIX_LINUX
    {"no set of descriptors", "NAME", EPOLL, 0, 99, EMFILE, UNSB_OK, 0, 0},
    {"nothing goes into the set", "NAME", EPOLL_ADD, 0, 99, ENOSPC, UNSB_OK, 0, 0},
    {"no timer", "NAME", TIMER, 0, 99, EMFILE, UNSB_OK, 0, 0},
#endif
    {"a kernel without that clock", "127.0.0.1", CLOCK, 0, 1, EINVAL, UNSB_OK, 0, 0}};

static void connecting(void **state)
{
    size_t i;

    (void)state;
    stands_for("127.0.0.1", port, "127.0.0.1", port);
    for (i = 0; i < COUNT(cases); i++) {
        int rc;

        fail_at(cases[i].call, cases[i].after, cases[i].times, cases[i].error);
        rc = connected(cases[i].host, port);
        if (rc != cases[i].rc)
            fail_msg("%s: %d, errno %d", cases[i].what, rc, tcp.error);
        if (fault.hits == 0 && cases[i].call != POLL)
            fail_msg("%s: it did not come to that", cases[i].what);
        if (cases[i].rc == UNSB_OK) {
            take_peer();
        } else {
            assert_int_equal(tcp.error, cases[i].want_error);
            assert_int_equal(tcp.resolve_error, cases[i].want_resolve);
        }
        if (rc != UNSB_OK && rc != UNSB_E_IO) {
            fault.call = NONE; /* it stays */
            assert_int_equal(t.vtable->connect(t.context, cases[i].host, port), rc);
        }
        closed_and_well();
    }
}

/* An address that says nothing is under way; then no socket can be had for the next one. If it is
 * for want of sockets, that one waits for its turn; else it is left out. */
static void short_of_sockets(void **state)
{
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES};
    size_t i;

    (void)state;
    if (mute_count == 0) {
        print_message("# skipped: connections to a full queue are not left unanswered here\n");
        skip();
    }
    for (i = 0; i < COUNT(errors); i++) {
        bool waits = errors[i] != EACCES;
        int rc;

        stands_for("127.0.0.1", mute_port, "127.0.0.1", port);
        tcp.address_timeout_ms = 10;
        fail_at(SOCKET, 1, 1, errors[i]);
        do {
            rc = t.vtable->connect(t.context, "NAME", 9);
            if (rc == UNSB_PENDING && fault.hits == 0)
                (void)t.vtable->wait(t.context, t.vtable->interest(t.context, UNSB_WRITABLE), 50);
        } while (rc == UNSB_PENDING && fault.hits == 0);
        assert_int_equal(rc, UNSB_PENDING);
        assert_int_equal(tcp.error, errors[i]);
        assert_int_equal(tcp.pending, 1);
        assert_int_equal(tcp.room, waits ? 1 : UNSB_POSIX_ATTEMPTS);
        assert_int_equal(unsbi_posix_peek(&tcp) != NULL, waits);
        if (waits) { /* when the first has had its time it makes room */
            assert_int_equal(connected("NAME", 9), UNSB_OK);
            take_peer();
        }
        closed_and_well();
    }
    tcp.address_timeout_ms = 0;
}

/* Where neither a set nor a timer can be had, the newest socket is what is waited for; and an array
 * too small gets as many as it holds. */
static void one_descriptor_at_a_time(void **state)
{
    struct pollfd items[2];
    uint32_t timeout_ms;

    (void)state;
    if (mute_count == 0)
        skip();
    stands_for("127.0.0.1", mute_port, "127.0.0.1", mute_port);
    tcp.address_timeout_ms = 10;
    fail_at(UNSB_POSIX_LINUX ? TIMER : NONE, 0, 99, ENFILE);
    while (tcp.pending < 2) {
        assert_int_equal(t.vtable->connect(t.context, "NAME", 9), UNSB_PENDING);
        if (tcp.pending == 1) {
            timeout_ms = 0;
            assert_int_equal(unsb_posix_fds(&tcp, UNSB_WRITABLE, items, 2, &timeout_ms), 1);
            assert_int_equal(timeout_ms, 0); /* what the caller wants is sooner */
        }
        (void)t.vtable->wait(t.context, t.vtable->interest(t.context, UNSB_WRITABLE), 20);
    }
    assert_int_equal(t.vtable->interest(t.context, UNSB_WRITABLE), UNSB_WRITABLE);
    assert_int_equal(unsb_posix_fd(&tcp), tcp.sockets[1]);
    timeout_ms = UNSB_FOREVER;
    assert_int_equal(unsb_posix_fds(&tcp, UNSB_WRITABLE, items, 1, &timeout_ms), 1);
    assert_int_equal(items[0].fd, tcp.sockets[0]);
    assert_int_equal(unsb_posix_fds(&tcp, UNSB_WRITABLE, items, 2, &timeout_ms), 2);
    tcp.address_timeout_ms = 0;
    closed_and_well();
}

/* A resolver that finds nothing and calls it a success; hosts that are none. */
static void nothing_found(void **state)
{
    (void)state;
    empty_lists = 1;
    assert_int_equal(connected("127.0.0.1", port), UNSB_E_RESOLVE);
    closed_and_well();
    empty_lists = 1;
    assert_int_equal(connected("NAME", port), UNSB_E_RESOLVE);
    closed_and_well();
    stands_for("127.0.0.1", port, NULL, 0);
    no_more = true;
    assert_int_equal(connected("NAME", port), UNSB_E_RESOLVE);
    assert_int_equal(tcp.resolve_error, EAI_NONAME);
    no_more = false;
    closed_and_well();
    assert_int_equal(connected(NULL, port), UNSB_E_RESOLVE);
    assert_int_equal(tcp.resolve_error, EAI_NONAME);
    closed_and_well();
    assert_int_equal(connected("", port), UNSB_E_RESOLVE);
    closed_and_well();
}

/* The address that answered last goes first only if it is that one. */
static void another_family(void **state)
{
    int rc;

    (void)state;
    assert_int_equal(connected("127.0.0.1", port), UNSB_OK);
    take_peer();
    t.vtable->close(t.context);
    assert_int_not_equal(tcp.known_size, 0);
    rc = connected("::1", refused_port);
    assert_int_equal(rc, UNSB_E_CONNECT);
    closed_and_well();
}

/* ======================================================================
 * >>look-ups
 * ====================================================================== */

#if UNSB_POSIX_THREADS
static void hold(bool on)
{
    bool begun;

    if (on) {
        live(&held, 1 - live_now(&held));
        live(&asked, -live_now(&asked));
    } else {
        EVENTUALLY(live_now(&asked) != 0, begun);
        assert_true(begun);
        live(&held, -1);
    }
}

/* A look-up that nobody waits for any more, while the process forks: the child has no thread that
 * would end it, and gives up its descriptors. */
static void forked_without_a_client(void **state)
{
    static struct unsbi_posix_lookup *given_up; /* for valgrind: the child's memory is not lost */
    int status = -1, wake;
    pid_t child;

    (void)state;
    stands_for("127.0.0.1", port, NULL, 0);
    hold(true);
    assert_int_equal(t.vtable->connect(t.context, "NAME", 9), UNSB_PENDING);
    given_up = tcp.lookup;
    wake = given_up->wake[0];
    t.vtable->close(t.context);
    child = fork();
    if (child == 0)
        _exit(given_up != NULL && unsbi_posix_running == NULL && fcntl(wake, F_GETFD) < 0 ? 0 : 1);
    hold(false);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    closed_and_well();
}

/* Two hosts at the same time have a look-up each; and so has a host for another port. */
static void several(void **state)
{
    static unsb_posix others[2];
    static const char *const hosts[2] = {"NAME.2", "NAME"};
    unsb_transport more[2];
    size_t i;

    (void)state;
    stands_for("127.0.0.1", port, NULL, 0);
    hold(true);
    assert_int_equal(t.vtable->connect(t.context, "NAME", 9), UNSB_PENDING);
    for (i = 0; i < 2; i++) {
        more[i] = unsb_posix_transport(&others[i]);
        assert_int_equal(more[i].vtable->connect(&others[i], hosts[i], 10), UNSB_PENDING);
        assert_ptr_not_equal(others[i].lookup, tcp.lookup);
    }
    assert_ptr_not_equal(others[0].lookup, others[1].lookup);
    hold(false);
    assert_int_equal(connected("NAME", 9), UNSB_OK);
    for (i = 0; i < 2; i++)
        more[i].vtable->close(&others[i]);
    closed_and_well();
}
#endif

/* ======================================================================
 * >>connected
 * ====================================================================== */

static void open_one(void)
{
    assert_int_equal(connected("127.0.0.1", port), UNSB_OK);
    take_peer();
}

static void transfers(void **state)
{
    static const struct {
        int call, error, rc, again; /* what the call gives, and what the one after it */
    } moves[] = {{SEND, EINTR, 1, 1},
                 {SEND, EAGAIN, 0, 1},
                 {SEND, EWOULDBLOCK, 0, 1},
                 {SEND, EPIPE, UNSB_E_CLOSED, UNSB_E_CLOSED},
                 {SEND, ECONNRESET, UNSB_E_IO, UNSB_E_IO},
                 {SEND, ENOBUFS, UNSB_E_IO, UNSB_E_IO},
                 {RECV, EINTR, 1, 1},
                 {RECV, EAGAIN, 0, 1},
                 {RECV, EWOULDBLOCK, 0, 1},
                 {RECV, ECONNRESET, UNSB_E_IO, UNSB_E_IO},
                 {RECV, ETIMEDOUT, UNSB_E_IO, UNSB_E_IO}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(moves); i++) {
        unsigned turn;

        open_one();
        assert_int_equal(write(accepted, "12345678", 8), 8);
        assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE, PATIENCE_MS), UNSB_OK);
        fail_at(moves[i].call, 0, 1, moves[i].error);
        for (turn = 0; turn < 3; turn++) {
            char byte = 'x';
            int want = turn == 0 ? moves[i].rc : moves[i].again;
            int rc = moves[i].call == SEND ? t.vtable->send(t.context, &byte, 1)
                                           : t.vtable->recv(t.context, &byte, 1);

            if (rc != want)
                fail_msg("call %d, errno %d, turn %u: %d", moves[i].call, moves[i].error, turn,
                         rc);
        }
        assert_int_equal(fault.hits, 1);
        if (moves[i].rc < 0)
            assert_int_equal(tcp.error, moves[i].error);
        if (moves[i].call == SEND) { /* what the peer sent can still be read */
            char byte;

            assert_int_equal(t.vtable->recv(t.context, &byte, 1), 1);
            assert_int_equal(byte, '1');
        }
        closed_and_well();
    }
}

/* More than an int can tell is moved in pieces. */
static void huge_sizes(void **state)
{
    (void)state;
#if SIZE_MAX > INT_MAX
    {
        static char byte;

        open_one();
        fail_at(SEND, 0, 1, EAGAIN); /* no such memory is touched */
        largest = 0;
        assert_int_equal(t.vtable->send(t.context, &byte, (size_t)INT_MAX + 1), 0);
        assert_int_equal(largest, INT_MAX);
        fail_at(RECV, 0, 1, EAGAIN);
        largest = 0;
        assert_int_equal(t.vtable->recv(t.context, &byte, SIZE_MAX), 0);
        assert_int_equal(largest, INT_MAX);
        closed_and_well();
    }
#endif
}

static void waits(void **state)
{
    (void)state;
    open_one();
    fail_at(POLL, 0, 3, EINTR); /* none of them makes it longer, or shorter */
    assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE, 5), UNSB_E_TIMEOUT);
    assert_int_equal(fault.hits, 3);
    fail_at(POLL, 0, 1, EINTR);
    assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE, 0), UNSB_E_TIMEOUT);
    fail_at(POLL, 0, 1, EINVAL);
    assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE, 5), UNSB_E_IO);
    assert_int_equal(tcp.error, EINVAL);
    closed_and_well();

    /* somebody else has closed the descriptor */
    open_one();
    (void)close(tcp.fd);
    assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE, PATIENCE_MS), UNSB_E_IO);
    assert_int_equal(tcp.error, EBADF);
    closed_and_well();
}

static void not_interruptible(void **state)
{
    (void)state;
    fail_at(WAKE, 0, 1, EMFILE);
    assert_int_equal(unsb_posix_interruptible(&tcp, true), UNSB_E_IO);
    assert_int_equal(tcp.error, EMFILE);
    assert_int_equal(tcp.interrupt[0], -1);
    closed_and_well();
    assert_int_equal(unsb_posix_interruptible(&tcp, true), UNSB_OK);
    unsb_posix_interrupt(&tcp);
    assert_int_equal(connected("127.0.0.1", port), UNSB_E_ABORTED);
    assert_int_equal(unsb_posix_interruptible(&tcp, false), UNSB_OK);
    closed_and_well();
}

/* ======================================================================
 * >>run
 * ====================================================================== */

static int start(void **state)
{
    (void)state;
    listener = loopback_socket(&port, 8);
    (void)close(loopback_socket(&refused_port, -1));
    mute = loopback_socket(&mute_port, 0);
    mute_count = fill_queue(mute_port, mute_fds, COUNT(mute_fds));
    t = unsb_posix_transport(&tcp);
    before = descriptors();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    while (mute_count != 0)
        (void)close(mute_fds[--mute_count]);
    (void)close(mute);
    (void)close(listener);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fault.call = NONE;
    live(&held, -live_now(&held));
    t.vtable->close(t.context);
    let_peer_go();
    tcp.known_size = 0;
    tcp.address_timeout_ms = 0;
    return 0;
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(connecting),
                                       TEST(short_of_sockets),
                                       TEST(one_descriptor_at_a_time),
                                       TEST(nothing_found),
                                       TEST(another_family),
#if UNSB_POSIX_THREADS
                                       TEST(forked_without_a_client),
                                       TEST(several),
#endif
                                       TEST(transfers),
                                       TEST(huge_sizes),
                                       TEST(waits),
                                       TEST(not_interruptible)};

    return cmocka_run_group_tests_name("posix_faults", tests, start, stop);
}
