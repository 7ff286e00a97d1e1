/* The POSIX port: resolving, connecting, failing, and cleaning up after all of it. The resolver is
 * a stub, so no query ever leaves the process. */
#include "suite.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

static int stub_resolve(const char *host, const char *port, const struct addrinfo *hints,
                        struct addrinfo **list);
static void stub_free(struct addrinfo *list);
static int seen_connect(int fd, const struct sockaddr *address, socklen_t size);

#define UNSB_POSIX_GETADDRINFO stub_resolve
#define freeaddrinfo stub_free
#define connect(fd, address, size) seen_connect(fd, address, size)
#include "unsandbox_posix.h"
#undef freeaddrinfo
#undef connect
#include "service.h"

/* ======================================================================
 * >>resolver  A stub whose lists are its own, so that each one can be seen freed
 * ====================================================================== */

#define LIST_MAX 12

typedef struct stub_list {
    struct addrinfo items[LIST_MAX];
    struct sockaddr_in6 addresses[LIST_MAX]; /* the larger of the two */
} stub_list;

static struct {
    pthread_mutex_t lock;
    const char *addresses[LIST_MAX]; /* what every name stands for; none: it does not exist */
    uint16_t ports[LIST_MAX];        /* 0: the one that is asked for */
    int error;                       /* EAI_...; 0: as the addresses say */
    bool hold;                       /* look-ups of names wait */
    unsigned begun, ended;           /* of names */
    int lists;                       /* not freed yet */
    void *held; /* by a look-up that waits: a forked child has the memory, but no thread */
    char host[300], port[10];        /* of the last one */
} stub;

/* One numeric address; false: it is none. */
static bool stub_fill(stub_list *list, size_t at, const char *text, uint16_t port, int socktype)
{
    struct addrinfo *item = &list->items[at];
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&list->addresses[at];
    struct sockaddr_in6 *six = &list->addresses[at];

    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        item->ai_family = AF_INET;
        item->ai_addrlen = sizeof *four;
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        item->ai_family = AF_INET6;
        item->ai_addrlen = sizeof *six;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
    } else {
        return false;
    }
    item->ai_socktype = socktype;
    item->ai_protocol = IPPROTO_TCP;
    item->ai_addr = (struct sockaddr *)(void *)&list->addresses[at];
    if (at != 0)
        list->items[at - 1].ai_next = item;
    return true;
}

static bool stub_is_held(void)
{
    bool hold;

    (void)pthread_mutex_lock(&stub.lock);
    hold = stub.hold;
    (void)pthread_mutex_unlock(&stub.lock);
    return hold;
}

static int stub_resolve(const char *host, const char *port, const struct addrinfo *hints,
                        struct addrinfo **list)
{
    stub_list *made = (stub_list *)calloc(1, sizeof *made);
    uint16_t number = (uint16_t)strtoul(port, NULL, 10);
    size_t i;
    int rc = 0;

    if (made == NULL)
        return EAI_MEMORY;
    if (stub_fill(made, 0, host, number, hints->ai_socktype)) {
        (void)pthread_mutex_lock(&stub.lock);
        stub.lists++;
        (void)pthread_mutex_unlock(&stub.lock);
        *list = made->items;
        return 0;
    }
    if ((hints->ai_flags & AI_NUMERICHOST) != 0) {
        free(made);
        return EAI_NONAME;
    }
    (void)pthread_mutex_lock(&stub.lock);
    stub.begun++;
    if (stub.hold)
        stub.held = made;
    (void)snprintf(stub.host, sizeof stub.host, "%s", host);
    (void)snprintf(stub.port, sizeof stub.port, "%s", port);
    (void)pthread_mutex_unlock(&stub.lock);
    while (stub_is_held())
        sleep_a_little();
    (void)pthread_mutex_lock(&stub.lock);
    rc = stub.error != 0 ? stub.error : stub.addresses[0] == NULL ? EAI_NONAME : 0;
    for (i = 0; rc == 0 && i < LIST_MAX && stub.addresses[i] != NULL; i++)
        (void)stub_fill(made, i, stub.addresses[i], stub.ports[i] != 0 ? stub.ports[i] : number,
                        hints->ai_socktype);
    if (rc == 0) {
        *list = made->items;
        stub.lists++;
    } else {
        free(made);
    }
    stub.ended++;
    (void)pthread_mutex_unlock(&stub.lock);
    return rc;
}

static void stub_free(struct addrinfo *list)
{
    (void)pthread_mutex_lock(&stub.lock);
    stub.lists--;
    (void)pthread_mutex_unlock(&stub.lock);
    free(list); /* the first member of what was allocated */
}

/* Is everything that look-ups made gone again, the threads' own share too? */
static bool stub_is_clean(void)
{
    bool clean;

    (void)pthread_mutex_lock(&stub.lock);
    clean = stub.begun == stub.ended && stub.lists == 0;
    (void)pthread_mutex_unlock(&stub.lock);
    return clean;
}

static void stub_hold(bool hold)
{
    (void)pthread_mutex_lock(&stub.lock);
    stub.hold = hold;
    (void)pthread_mutex_unlock(&stub.lock);
}

static unsigned stub_begun(void)
{
    unsigned begun;

    (void)pthread_mutex_lock(&stub.lock);
    begun = stub.begun;
    (void)pthread_mutex_unlock(&stub.lock);
    return begun;
}

static void expect_clean(void)
{
    bool clean;

    EVENTUALLY(stub_is_clean(), clean);
    assert_true(clean);
}

/* What the name stands for from now on. */
static void stub_set(const char *first, uint16_t first_port, const char *second,
                     uint16_t second_port)
{
    (void)pthread_mutex_lock(&stub.lock);
    memset(stub.addresses, 0, sizeof stub.addresses);
    stub.addresses[0] = first;
    stub.ports[0] = first_port;
    stub.addresses[1] = second;
    stub.ports[1] = second_port;
    stub.error = 0;
    (void)pthread_mutex_unlock(&stub.lock);
}

/* One address more. */
static void stub_add(const char *address, uint16_t port)
{
    size_t i;

    (void)pthread_mutex_lock(&stub.lock);
    for (i = 0; i < LIST_MAX && stub.addresses[i] != NULL; i++)
        continue;
    (void)pthread_mutex_unlock(&stub.lock);
    assert_true(i < LIST_MAX);
    stub.addresses[i] = address;
    stub.ports[i] = port;
}

/* The addresses that the port has tried, in this order, since the count was set to 0. */
static struct {
    int families[32];
    uint16_t ports[32];
    size_t count;
} seen;

static int seen_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    struct sockaddr_in6 copy;

    if (seen.count < COUNT(seen.ports) && size <= sizeof copy) {
        memcpy(&copy, address, size);
        seen.families[seen.count] = address->sa_family;
        seen.ports[seen.count++] = ntohs(copy.sin6_port); /* in the same place in both */
    }
    return connect(fd, address, size);
}

/* ======================================================================
 * >>helpers
 * ====================================================================== */

static service plain;
static rig g;
static unsb_result result;
static char out_memory[100];
static volatile sig_atomic_t pipe_signals;

static void on_sigpipe(int number)
{
    (void)number;
    pipe_signals++;
}

static unsb_program one_line(void)
{
    unsb_program program;

    memset(&program, 0, sizeof program);
    program.language = "sh";
    program.code = unsb_text("echo there");
    return program;
}

/* A client of the port alone, with a true clock and limits of milliseconds where they are wanted.
 */
static void begin(const char *host, uint16_t port, bool nonblocking)
{
    rig_close(&g);
    rig_prepare(&g, false, nonblocking, port);
    g.config.host = host;
    g.config.now_ms = unsb_posix_now_ms;
    g.config.connect_timeout_ms = PATIENCE_MS;
    g.config.idle_timeout_ms = PATIENCE_MS;
}

static void begun(void)
{
    rig_open(&g);
    g.inside.speed = g.outside.speed = 1;
    memset(&result, 0, sizeof result);
    result.out = unsb_into(out_memory, sizeof out_memory);
}

/* The outcome of one call on a client that was just opened. */
static int outcome(void)
{
    unsb_program program = one_line();

    return rig_end(&g, unsb_execute(&g.client, &program, &result));
}

static void expect_there(int rc)
{
    if (rc != UNSB_OK)
        fail_msg("%d (%s), errno %d, resolver %d", rc, unsb_error_text(rc), g.tcp.error,
                 g.tcp.resolve_error);
    assert_string_equal(out_memory, "there\n");
}

static unsigned open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;

    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

#define BOTH_MODES(nonblocking)                                                                    \
    int nonblocking = 0;                                                                           \
    nonblocking < 2;                                                                               \
    nonblocking++

static void speak(size_t which);

static int tear_down(void **state)
{
    (void)state;
    stub_hold(false);
    rig_close(&g);
    peers_stop();
    speak(0);
    speak(1);
    (void)unsb_posix_interruptible(&g.tcp, false);
    return 0;
}

/* ======================================================================
 * >>connecting
 * ====================================================================== */

static void refused(void **state)
{
    uint16_t port;
    int fd = loopback_socket(&port, -1);

    (void)state;
    for (BOTH_MODES(mode)) {
        begin("127.0.0.1", port, mode != 0);
        begun();
        assert_int_equal(outcome(), UNSB_E_CONNECT);
        assert_int_equal(g.tcp.error, ECONNREFUSED);
        assert_int_equal(result.http_status, 0);
        stub_set("127.0.0.1", port, "127.0.0.1", port);
        begin("refused.test", port, mode != 0);
        begun();
        assert_int_equal(outcome(), UNSB_E_CONNECT);
        assert_int_equal(g.tcp.error, ECONNREFUSED);
        /* again: an operation after a failed one starts anew */
        assert_int_equal(outcome(), UNSB_E_CONNECT);
    }
    (void)close(fd);
    rig_close(&g);
    expect_clean();
}

static void not_resolved(void **state)
{
    static const int errors[] = {0, EAI_NONAME, EAI_AGAIN, EAI_FAIL};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(errors); i++)
        for (BOTH_MODES(mode)) {
            stub_set(NULL, 0, NULL, 0);
            stub.error = errors[i];
            begin("unknown.test", 80, mode != 0);
            begun();
            assert_int_equal(outcome(), UNSB_E_RESOLVE);
            assert_int_equal(g.tcp.resolve_error, errors[i] != 0 ? errors[i] : EAI_NONAME);
        }
    assert_string_equal(stub.host, "unknown.test");
    assert_string_equal(stub.port, "80");
    rig_close(&g);
    expect_clean();
}

static void resolved(void **state)
{
    (void)state;
    for (BOTH_MODES(mode)) {
        stub_set("127.0.0.1", 0, NULL, 0);
        begin("service.test", plain.port, mode != 0);
        begun();
        expect_there(outcome());
        assert_int_equal(stub.lists, 0); /* given back once connected */
    }
}

static void long_hosts(void **state)
{
    char host[258];
    unsigned before = stub_begun();

    (void)state;
    memset(host, 'h', sizeof host);
    host[256] = '\0';
    begin(host, 80, false);
    begun();
    assert_int_equal(outcome(), UNSB_E_RESOLVE);
    assert_int_equal(stub_begun(), before);
    host[255] = '\0';
    stub_set("127.0.0.1", plain.port, NULL, 0);
    begin(host, 1, false);
    begun();
    expect_there(outcome());
    assert_string_equal(stub.host, host);
}

/* The client gives up, is closed, and its memory is freed, all while the resolver is still at work.
 */
static void slow_resolver(void **state)
{
    static const char *const ways[] = {"time-out", "abort", "close"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(ways) * 2; i++) {
        unsb_posix *tcp = (unsb_posix *)malloc(sizeof *tcp);
        unsb_client *client = (unsb_client *)malloc(sizeof *client);
        char *buffer = (char *)malloc(512), *host = (char *)malloc(20);
        unsb_config config;
        unsb_program program = one_line();
        unsigned before = stub_begun();
        bool got_there;
        int rc;

        if (tcp == NULL || client == NULL || buffer == NULL || host == NULL)
            fail_msg("out of memory");
        stub_set("127.0.0.1", plain.port, NULL, 0);
        stub_hold(true);
        (void)strcpy(host, "slow.test");
        memset(&config, 0, sizeof config);
        memset(&result, 0, sizeof result);
        config.transport = unsb_posix_transport(tcp);
        config.api_key = SAMPLE_KEY;
        config.buffer = buffer;
        config.buffer_size = 512;
        config.host = host;
        config.now_ms = unsb_posix_now_ms;
        config.connect_timeout_ms = 200;
        config.nonblocking = i % 3 != 0 || i % 2 != 0;
        assert_int_equal(unsb_init(client, &config), UNSB_OK);
        rc = unsb_execute(client, &program, &result);
        while (i % 3 == 0 && rc == UNSB_PENDING) {
            uint32_t timeout_ms;
            int interest = unsb_interest(client, &timeout_ms);
            struct pollfd item = {.fd = unsb_posix_fd(tcp), .events = POLLIN};
            assert_true(interest == UNSB_READABLE || timeout_ms == 0);
            assert_true(timeout_ms <= 200);
            assert_int_equal(timeout_ms != 0 ? poll(&item, 1, (int)timeout_ms) : 0, 0);
            rc = unsb_poll(client);
        }
        if (i % 3 == 0) {
            assert_int_equal(rc, UNSB_E_TIMEOUT);
        } else {
            while (rc == UNSB_PENDING && tcp->lookup == NULL)
                rc = unsb_poll(client);
            assert_int_equal(rc, UNSB_PENDING);
            if (i % 3 == 1) {
                unsb_abort(client);
                assert_int_equal(unsb_poll(client), UNSB_E_ABORTED);
            }
        }
        assert_int_equal(unsb_posix_fd(tcp), i % 3 == 2 ? tcp->lookup->wake[0] : -1);
        unsb_close(client);
        free(tcp);
        free(client);
        free(buffer);
        memset(host, 'x', 20);
        free(host);
        EVENTUALLY(stub_begun() != before, got_there);
        assert_true(got_there);
        assert_string_equal(stub.host, "slow.test");
        stub_hold(false);
        expect_clean();
    }
}

/* A client that was aborted while it resolved can be used at once, and the old answer is not taken.
 */
static void used_again_while_resolving(void **state)
{
    unsb_program program = one_line();
    int rc;

    (void)state;
    stub_set("127.0.0.1", plain.port, NULL, 0);
    begin("slow.test", 9, true);
    begun();
    stub_hold(true);
    rc = unsb_execute(&g.client, &program, &result);
    while (rc == UNSB_PENDING && g.tcp.lookup == NULL)
        rc = unsb_poll(&g.client);
    assert_int_equal(rc, UNSB_PENDING);
    unsb_abort(&g.client);
    rc = unsb_execute(&g.client, &program, &result);
    while (rc == UNSB_PENDING && g.tcp.lookup == NULL)
        rc = unsb_poll(&g.client);
    assert_int_equal(rc, UNSB_PENDING);
    stub_hold(false);
    expect_there(rig_end(&g, rc));
    rig_close(&g);
    expect_clean();
}

static void second_address(void **state)
{
    uint16_t dead;
    int fd = loopback_socket(&dead, -1);

    (void)state;
    for (BOTH_MODES(mode)) {
        stub_set("127.0.0.1", dead, "127.0.0.1", plain.port);
        begin("two.test", 9, mode != 0);
        begun();
        expect_there(outcome());
        assert_int_equal(g.tcp.error, 0);
        /* usually no one listens there on IPv6; without IPv6 there is no such socket at all */
        stub_set("::1", dead, "127.0.0.1", plain.port);
        begin("two.test", 9, mode != 0);
        begun();
        expect_there(outcome());
    }
    (void)close(fd);
    rig_close(&g);
    expect_clean();
}

/* An address that does not answer, if the system has one. */
static struct {
    int listener;
    uint16_t port;
    int fds[16];
    size_t count;
} mute[2];

static void speak(size_t which)
{
    while (mute[which].count != 0)
        (void)close(mute[which].fds[--mute[which].count]);
    if (mute[which].port != 0)
        (void)close(mute[which].listener);
    mute[which].port = 0;
}

static uint16_t hush(size_t which)
{
    speak(which);
    mute[which].listener = loopback_socket(&mute[which].port, 0);
    mute[which].count = fill_queue(mute[which].port, mute[which].fds, COUNT(mute[which].fds));
    if (mute[which].count == 0) {
        speak(which);
        print_message("# skipped: connections to a full queue are not left unanswered here\n");
        skip();
    }
    return mute[which].port;
}

/* Waits as a program does with poll() of its own: for one descriptor, where that tells all, or for
 * the array that the port fills. */
static int outcome_by_poll(bool array)
{
    unsb_program program = one_line();
    int rc = unsb_execute(&g.client, &program, &result);
    unsigned connecting = 0;

    while (rc == UNSB_PENDING) {
        struct pollfd items[UNSB_POSIX_ATTEMPTS] = {{.fd = -1}};
        uint32_t timeout_ms;
        int interest = unsb_interest(&g.client, &timeout_ms), ready;
        size_t count = 1;
        if (array)
            count = unsb_posix_fds(&g.tcp, interest, items, COUNT(items), &timeout_ms);
        if (!array) {
            items[0].fd = interest != 0 ? unsb_posix_fd(&g.tcp) : -1;
            items[0].events = unsbi_posix_events(interest);
        }
        if (!array && !UNSB_POSIX_LINUX && timeout_ms > 250)
            timeout_ms = 250;
        assert_true(timeout_ms == 0 || interest == 0 || (count != 0 && items[0].fd >= 0));
        ready = poll(items, (nfds_t)count, (int)timeout_ms);
        assert_true(ready > 0 || timeout_ms < PATIENCE_MS / 2);
        connecting += g.client.state == UNSBI_CONNECT;
        rc = unsb_poll(&g.client);
    }
    /* no more wake-ups than there are addresses that time out, and a few */
    assert_true(connecting < seen.count + 8 || !UNSB_POSIX_LINUX);
    return rc;
}

static void silent_address(void **state)
{
    uint16_t port = hush(0);

    (void)state;
    for (BOTH_MODES(mode)) {
        stub_set("127.0.0.1", port, "127.0.0.1", plain.port);
        begin("two.test", 9, mode != 0);
        begun();
        g.tcp.address_timeout_ms = 50;
        expect_there(mode == 0 ? outcome() : outcome_by_poll(false));
        stub_set("127.0.0.1", port, NULL, 0);
        begin("one.test", 9, mode != 0);
        g.config.connect_timeout_ms = 100;
        begun();
        assert_int_equal(outcome(), UNSB_E_TIMEOUT);
        assert_int_equal(unsb_posix_fd(&g.tcp), -1);
    }
    rig_close(&g);
    expect_clean();
}

/* Of so many addresses all but the last one are silent. It takes a quarter of a second for each:
 * one after the other, with 5 s for each, it would not be over in the time that is given here. */
static void silent_addresses(void **state)
{
    static const unsigned counts[] = {1, 7};
    uint16_t port = hush(0);
    unsigned before, mode;
    size_t i, n;

    (void)state;
    for (mode = 0; mode < 3; mode++)
        for (i = 0; i < COUNT(counts); i++) {
            uint32_t since = unsb_posix_now_ms(NULL), passed;
            bool same;
            stub_set("127.0.0.1", port, NULL, 0);
            for (n = 1; n < counts[i]; n++)
                stub_add("127.0.0.1", port);
            stub_add("127.0.0.1", plain.port);
            begin("many.test", 9, mode != 0);
            before = open_descriptors();
            begun();
            seen.count = 0;
            expect_there(mode == 0 ? outcome() : outcome_by_poll(mode == 2));
            passed = unsb_posix_now_ms(NULL) - since;
            assert_int_equal(seen.count, counts[i] + 1);
            assert_true(passed >= counts[i] * 250u && passed < counts[i] * 250u + 15000u);
            figures("%u silent addresses of %u: %u ms", counts[i], counts[i] + 1, passed);
            /* the others are closed, and what they were waited for with */
            EVENTUALLY(open_descriptors() == before + (before != 0), same);
            assert_true(same);
        }
    rig_close(&g);
    expect_clean();
}

static int connect_by_wait(const unsb_transport *t, const char *host, uint16_t port)
{
    int rc;

    while ((rc = t->vtable->connect(t->context, host, port)) == UNSB_PENDING)
        assert_int_equal(t->vtable->wait(t->context, UNSB_WRITABLE, PATIENCE_MS), UNSB_OK);
    return rc;
}

/* An address goes on while later ones are tried: here it answers when its peer is asked a second
 * time, which is after a second at the earliest. */
static void late_answer(void **state)
{
    unsb_posix tcp;
    unsb_transport t = unsb_posix_transport(&tcp);
    struct sockaddr_in peer_address;
    socklen_t size = sizeof peer_address;
    uint16_t first = hush(0), second = hush(1);
    size_t i;
    int rc;

    (void)state;
    stub_set("127.0.0.1", first, "127.0.0.1", second);
    seen.count = 0;
    while ((rc = t.vtable->connect(t.context, "late.test", 9)) == UNSB_PENDING) {
        if (seen.count == 2 && mute[0].count != 0) {
            for (i = mute[0].count; i-- != 0;)
                (void)close(mute[0].fds[i]);
            for (; mute[0].count > 1; mute[0].count--) /* all but the one that had no answer */
                (void)close(accept(mute[0].listener, NULL, NULL));
            mute[0].count = 0;
        }
        assert_int_equal(t.vtable->wait(t.context, UNSB_WRITABLE, PATIENCE_MS), UNSB_OK);
    }
    assert_int_equal(rc, UNSB_OK);
    assert_int_equal(getpeername(unsb_posix_fd(&tcp), (struct sockaddr *)(void *)&peer_address,
                                 &size), 0);
    assert_int_equal(ntohs(peer_address.sin_port), first);
    assert_int_equal(tcp.error, 0);
    t.vtable->close(t.context);
    for (i = 0; i < COUNT(mute); i++)
        speak(i);
    expect_clean();
}

/* More silent addresses than may be under way at a time: the oldest makes room. */
static void no_room(void **state)
{
    unsb_posix tcp;
    unsb_transport t = unsb_posix_transport(&tcp);
    uint16_t port = hush(0);
    unsigned before = open_descriptors();
    size_t i;

    (void)state;
    stub_set("127.0.0.1", port, NULL, 0);
    for (i = 1; i < UNSB_POSIX_ATTEMPTS + 1; i++)
        stub_add("127.0.0.1", port);
    stub_add("127.0.0.1", plain.port);
    tcp.address_timeout_ms = 1; /* which the least is taken for */
    seen.count = 0;
    assert_int_equal(connect_by_wait(&t, "crowd.test", 9), UNSB_OK);
    assert_int_equal(seen.count, UNSB_POSIX_ATTEMPTS + 2);
    assert_true(before == 0 || open_descriptors() == before + 1);
    t.vtable->close(t.context);
    expect_clean();
}

/* There is one descriptor for sockets: the silent address gives it up for the next one. */
static void no_descriptors(void **state)
{
    unsb_posix tcp;
    unsb_transport t = unsb_posix_transport(&tcp);
    struct rlimit limit, few;
    uint16_t port = hush(0);
    int fds[2], rc;

    (void)state;
    stub_set("127.0.0.1", port, "127.0.0.1", plain.port);
    while ((rc = t.vtable->connect(t.context, "few.test", 9)) == UNSB_PENDING &&
           unsb_posix_fd(&tcp) != tcp.sockets[0])
        assert_int_equal(t.vtable->wait(t.context, UNSB_WRITABLE, PATIENCE_MS), UNSB_OK);
    assert_int_equal(rc, UNSB_PENDING);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = limit;
    fds[0] = private_fd(dup(0)); /* the lowest that is free; all below are in use */
    few.rlim_cur = (rlim_t)fds[0];
    (void)close(fds[0]);
    assert_true(few.rlim_cur > (rlim_t)tcp.sockets[0]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    rc = connect_by_wait(&t, "few.test", 9);
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(rc, UNSB_OK);
    t.vtable->close(t.context);
    expect_clean();
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool usable;

    memset(&address, 0, sizeof address);
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    usable = fd >= 0 && bind(fd, (struct sockaddr *)(void *)&address, sizeof address) == 0;
    if (fd >= 0)
        (void)close(fd);
    return usable;
}

static void ipv6(void **state)
{
    service six = {0, 0};
    uint16_t dead;
    int fd;

    (void)state;
    if (!has_ipv6()) {
        print_message("# skipped: there is no ::1\n");
        skip();
    }
    service_start(&six, 0, "--host", "::1", NULL);
    fd = loopback_socket(&dead, -1);
    for (BOTH_MODES(mode)) {
        begin("::1", six.port, mode != 0);
        begun();
        expect_there(outcome());
        stub_set("127.0.0.1", dead, "::1", six.port);
        begin("six.test", 9, mode != 0);
        begun();
        expect_there(outcome());
    }
    (void)close(fd);
    rig_close(&g);
    service_stop(&six);
    expect_clean();
}

static void expect_tried(const int *families, const uint16_t *ports, size_t count)
{
    size_t i;

    assert_int_equal(seen.count, count);
    for (i = 0; i < count; i++) {
        assert_int_equal(seen.families[i], families[i]);
        assert_int_equal(seen.ports[i], ports[i]);
    }
}

/* RFC 8305 section 4: the families by turns, the first of the list first. */
static void families_by_turns(void **state)
{
    static const int six_first[] = {AF_INET6, AF_INET, AF_INET6, AF_INET, AF_INET};
    static const int four_first[] = {AF_INET, AF_INET6, AF_INET, AF_INET, AF_INET};
    uint16_t ports[5], order[5];
    int fds[5];
    size_t i;

    (void)state;
    if (!has_ipv6()) {
        print_message("# skipped: there is no ::1\n");
        skip();
    }
    for (i = 0; i < COUNT(fds); i++)
        fds[i] = loopback_socket(&ports[i], -1);
    for (BOTH_MODES(mode)) {
        stub_set("::1", ports[0], "::1", ports[1]);
        for (i = 2; i < 5; i++)
            stub_add("127.0.0.1", ports[i]);
        begin("turns.test", 9, mode != 0);
        begun();
        seen.count = 0;
        assert_int_equal(outcome(), UNSB_E_CONNECT);
        order[0] = ports[0], order[1] = ports[2], order[2] = ports[1];
        order[3] = ports[3], order[4] = ports[4];
        expect_tried(six_first, order, 5);
        stub_set("127.0.0.1", ports[0], "127.0.0.1", ports[1]);
        stub_add("127.0.0.1", ports[2]);
        stub_add("127.0.0.1", ports[3]);
        stub_add("::1", ports[4]);
        seen.count = 0;
        assert_int_equal(outcome(), UNSB_E_CONNECT);
        order[0] = ports[0], order[1] = ports[4], order[2] = ports[1];
        order[3] = ports[2], order[4] = ports[3];
        expect_tried(four_first, order, 5);
    }
    for (i = 0; i < COUNT(fds); i++)
        (void)close(fds[i]);
    rig_close(&g);
    expect_clean();
}

/* What answered last is first at the next connect, as long as the name stands for it. */
static void known_address(void **state)
{
    static const int four[] = {AF_INET, AF_INET, AF_INET};
    uint16_t dead[2], order[3];
    int fds[2];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(fds); i++)
        fds[i] = loopback_socket(&dead[i], -1);
    for (BOTH_MODES(mode)) {
        stub_set("127.0.0.1", dead[0], "127.0.0.1", dead[1]);
        stub_add("127.0.0.1", plain.port);
        begin("known.test", 9, mode != 0);
        g.config.no_keep_alive = true;
        begun();
        seen.count = 0;
        expect_there(outcome());
        order[0] = dead[0], order[1] = dead[1], order[2] = plain.port;
        expect_tried(four, order, 3);
        for (i = 0; i < 3; i++) {
            seen.count = 0;
            expect_there(outcome());
            expect_tried(four, &plain.port, 1);
        }
        stub_set("127.0.0.1", dead[0], "127.0.0.1", dead[1]);
        seen.count = 0;
        assert_int_equal(outcome(), UNSB_E_CONNECT);
        expect_tried(four, dead, 2);
        /* it is back, and is tried once although it fails */
        stub_set("127.0.0.1", dead[0], "127.0.0.1", plain.port);
        seen.count = 0;
        expect_there(outcome());
        expect_tried(four, &plain.port, 1);
    }
    for (i = 0; i < COUNT(fds); i++)
        (void)close(fds[i]);
    rig_close(&g);
    expect_clean();
}

/* It fails now: it is not tried a second time in its family's turn. */
static void known_address_that_fails(void **state)
{
    static const int four[] = {AF_INET, AF_INET};
    unsb_posix tcp;
    unsb_transport t = unsb_posix_transport(&tcp);
    uint16_t ports[2];
    int listener = loopback_socket(&ports[0], 8);

    (void)state;
    stub_set("127.0.0.1", ports[0], NULL, 0);
    assert_int_equal(connect_by_wait(&t, "gone.test", 9), UNSB_OK);
    t.vtable->close(t.context);
    (void)close(listener);
    listener = loopback_socket(&ports[1], -1);
    stub_set("127.0.0.1", ports[1], "127.0.0.1", ports[0]);
    seen.count = 0;
    assert_int_equal(connect_by_wait(&t, "gone.test", 9), UNSB_E_CONNECT);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.ports[0], ports[0]);
    assert_int_equal(seen.ports[1], ports[1]);
    assert_int_equal(seen.families[0], four[0]);
    t.vtable->close(t.context);
    (void)close(listener);
    expect_clean();
}

/* ======================================================================
 * >>peers that misbehave
 * ====================================================================== */

static void serve_silence(peer *p, int fd)
{
    peer_drain(p, fd);
}

static void serve_nothing(peer *p, int fd)
{
    char end;

    /* takes nothing, but sees that the client is gone: by its reset */
    while (peer_wait(p, fd, 0) && recv(fd, &end, 1, MSG_PEEK | MSG_DONTWAIT) != 0 &&
           (errno == EAGAIN || errno == 0))
        sleep_a_little();
}

static void serve_reset(peer *p, int fd)
{
    (void)p;
    reset_on_close(fd);
}

/* Reads the request's head, so that it was sent for certain. */
static void read_request(peer *p, int fd)
{
    char text[8192];
    size_t have = 0, got;

    memset(text, 0, sizeof text);
    while (have + 1 < sizeof text && strstr(text, "there\"}") == NULL &&
           (got = peer_recv(p, fd, text + have, sizeof text - 1 - have)) != 0)
        have += got;
}

static void serve_request_and_reset(peer *p, int fd)
{
    read_request(p, fd);
    reset_on_close(fd);
}

static void serve_request_and_end(peer *p, int fd)
{
    read_request(p, fd);
}

/* Answers before it was asked, takes nothing, and ends. */
static void serve_refusal(peer *p, int fd)
{
    static const char text[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";

    (void)peer_send(p, fd, text, sizeof text - 1);
    (void)shutdown(fd, SHUT_WR);
    peer_drain(p, fd);
}

static void serve_garbage(peer *p, int fd)
{
    static const char text[] = "SSH-2.0-OpenSSH_9.2\r\n";

    (void)peer_send(p, fd, text, sizeof text - 1);
    (void)shutdown(fd, SHUT_WR);
    peer_drain(p, fd);
}

static int outcome_with(void (*serve)(peer *p, int fd), bool nonblocking, uint32_t idle_ms)
{
    static peer p;
    int rc;

    peer_start(&p, serve, NULL);
    begin("127.0.0.1", p.port, nonblocking);
    g.config.idle_timeout_ms = idle_ms;
    begun();
    rc = outcome();
    /* a connection that failed is given up at once; one that brought an answer may be kept */
    if (rc > UNSB_E_BAD_REQUEST)
        assert_int_equal(unsb_posix_fd(&g.tcp), -1);
    peer_stop(&p);
    return rc;
}

static void silent_peer(void **state)
{
    static char large[3000000];
    unsb_program program = one_line();
    unsb_call call;

    (void)state;
    memset(&call, 0, sizeof call);
    memset(large, 'x', sizeof large);
    for (BOTH_MODES(mode)) {
        static peer p;
        peer_start(&p, serve_silence, NULL);
        begin("127.0.0.1", p.port, mode != 0);
        g.config.idle_timeout_ms = 200;
        begun();
        program.ttl_s = 1; /* which is added to the limit */
        if (mode == 0)
            assert_int_equal(rig_end(&g, unsb_execute(&g.client, &program, &result)),
                             UNSB_E_TIMEOUT);
        call.method = "GET";
        call.path = "/";
        call.body = unsb_text("");
        assert_int_equal(rig_end(&g, unsb_request(&g.client, &call, &result)), UNSB_E_TIMEOUT);
        assert_int_equal(unsb_posix_fd(&g.tcp), -1);
        peer_stop(&p);

        /* one that does not even read: what cannot be sent must time out as well */
        peer_start(&p, serve_nothing, NULL);
        begin("127.0.0.1", p.port, mode != 0);
        g.config.idle_timeout_ms = 200;
        begun();
        call.method = "POST";
        call.body = unsb_bytes(large, sizeof large);
        assert_int_equal(rig_end(&g, unsb_request(&g.client, &call, &result)), UNSB_E_TIMEOUT);
        assert_int_equal(unsb_posix_fd(&g.tcp), -1);
        peer_stop(&p);
    }
}

static void resets_and_ends(void **state)
{
    unsigned round;

    (void)state;
    for (round = 0; round < 10; round++) {
        bool mode = round % 2 != 0;
        int rc = outcome_with(serve_reset, mode, PATIENCE_MS);
        /* it may come while the connection is made, while the request is sent, or later */
        assert_true(rc == UNSB_E_CONNECT || rc == UNSB_E_IO || rc == UNSB_E_CLOSED);
        assert_int_equal(outcome_with(serve_request_and_reset, mode, PATIENCE_MS), UNSB_E_IO);
        assert_int_equal(g.tcp.error, ECONNRESET);
        assert_int_equal(outcome_with(serve_request_and_end, mode, PATIENCE_MS), UNSB_E_CLOSED);
        assert_int_equal(outcome_with(serve_refusal, mode, PATIENCE_MS), UNSB_E_TOO_LARGE);
        assert_int_equal(outcome_with(serve_garbage, mode, PATIENCE_MS), UNSB_E_HTTP);
    }
    assert_int_equal(pipe_signals, 0);
}

/* ======================================================================
 * >>transport  The port's functions, called directly
 * ====================================================================== */

static int connected(const unsb_transport *t, uint16_t port)
{
    int rc;

    while ((rc = t->vtable->connect(t->context, "127.0.0.1", port)) == UNSB_PENDING)
        assert_int_equal(t->vtable->wait(t->context, UNSB_WRITABLE, PATIENCE_MS), UNSB_OK);
    return rc;
}

static void serve_first_byte_and_reset(peer *p, int fd)
{
    char byte;

    (void)peer_recv(p, fd, &byte, 1);
    reset_on_close(fd);
}

static void serve_end(peer *p, int fd)
{
    (void)p;
    (void)fd;
}

/* After a reset, and after an orderly end, which a system answers with EPIPE. */
static void no_sigpipe(void **state)
{
    static void (*const ways[])(peer * p, int fd) = {serve_first_byte_and_reset, serve_end};
    static const char text[4096];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(ways); i++) {
        unsb_posix tcp;
        unsb_transport t = unsb_posix_transport(&tcp);
        static peer p;
        int rc = 1, again;
        peer_start(&p, ways[i], NULL);
        assert_int_equal(connected(&t, p.port), UNSB_OK);
        if (i == 1)
            peer_settle(&p);
        while (rc >= 0) {
            rc = t.vtable->send(t.context, text, sizeof text);
            sleep_a_little();
        }
        assert_true(rc == UNSB_E_CLOSED || (rc == UNSB_E_IO && i == 0));
        assert_int_equal(tcp.error, i == 0 ? ECONNRESET : EPIPE);
        for (again = 0; again < 3; again++)
            assert_int_equal(t.vtable->send(t.context, text, 1), rc);
        t.vtable->close(t.context);
        peer_stop(&p);
    }
    assert_int_equal(pipe_signals, 0);
}

/* The rest of the contract is in ports/conform_posix.c. */
static void without_a_connection(void **state)
{
    unsb_posix tcp;
    unsb_transport t = unsb_posix_transport(&tcp);
    uint16_t port;
    int fd = loopback_socket(&port, -1);
    char byte = 0;

    (void)state;
    t.vtable->close(t.context);
    assert_int_equal(unsb_posix_fd(&tcp), -1);
    assert_int_equal(t.vtable->recv(t.context, &byte, 1), UNSB_E_IO);
    assert_int_equal(tcp.error, ENOTCONN);
    /* nothing to wait for must not be a wait for ever */
    assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
    assert_int_equal(connected(&t, port), UNSB_E_CONNECT);
    assert_int_equal(connected(&t, port), UNSB_E_CONNECT);
    assert_int_equal(tcp.error, ECONNREFUSED);
    assert_int_equal(t.vtable->recv(t.context, &byte, 1), UNSB_E_CONNECT);
    assert_int_equal(t.vtable->send(t.context, &byte, 1), UNSB_E_CONNECT);
    assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
    t.vtable->close(t.context);
    assert_int_equal(unsb_posix_fd(&tcp), -1);
    assert_int_equal(connected(&t, plain.port), UNSB_OK);
    t.vtable->close(t.context);
    assert_int_equal(unsb_posix_fd(&tcp), -1);
    (void)close(fd);
    expect_clean();
}

/* ======================================================================
 * >>signals, descriptors
 * ====================================================================== */

static void on_signal(int number)
{
    (void)number;
}

typedef struct nuisance {
    pthread_t victim;
    volatile sig_atomic_t stop, gave_up;
} nuisance;

static void *interrupt_often(void *context)
{
    nuisance *n = (nuisance *)context;
    unsigned left = 60000; /* some 20 seconds at least */

    while (!n->stop && left-- != 0) {
        (void)pthread_kill(n->victim, SIGUSR1);
        sleep_a_little();
    }
    n->gave_up = !n->stop;
    return NULL;
}

static void interrupted_calls(void **state)
{
    struct sigaction action;
    nuisance n = {pthread_self(), 0, 0};
    unsb_program program = one_line();
    pthread_t thread;
    unsigned i;
    static peer p;

    (void)state;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal; /* and no SA_RESTART */
    (void)sigaction(SIGUSR1, &action, NULL);
    peer_start(&p, serve_silence, NULL);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_often, &n), 0);
    stub_set("127.0.0.1", plain.port, NULL, 0);
    for (i = 0; i < 20; i++) {
        begin("interrupted.test", 9, false);
        begun();
        program.code = unsb_text("sleep 0.02; echo there");
        expect_there(rig_end(&g, unsb_execute(&g.client, &program, &result)));
    }
    /* a time limit passes however often the wait is interrupted */
    begin("127.0.0.1", p.port, false);
    g.config.idle_timeout_ms = 50;
    begun();
    program.ttl_s = 1;
    assert_int_equal(unsb_execute(&g.client, &program, &result), UNSB_E_TIMEOUT);
    n.stop = 1;
    (void)pthread_join(thread, NULL);
    assert_false(n.gave_up);
    peer_stop(&p);
    rig_close(&g);
    expect_clean();
}

/* One connection, given up in one of many ways. */
static void give_up(unsigned way, uint16_t refused_port, uint16_t silent_port)
{
    unsb_program program = one_line();
    unsigned polls = way / 7;
    int rc;

    switch (way % 7) {
    case 0:
        stub_set("127.0.0.1", plain.port, NULL, 0);
        break;
    case 1:
        stub_set("127.0.0.1", refused_port, "127.0.0.1", plain.port);
        break;
    case 2:
        stub_set("127.0.0.1", refused_port, NULL, 0);
        break;
    case 3:
        stub_set(NULL, 0, NULL, 0);
        break;
    case 4:
        stub_set("127.0.0.1", silent_port, NULL, 0);
        break;
    case 5:
        stub_set("127.0.0.1", plain.port, NULL, 0);
        stub_hold(true);
        break;
    default:
        stub_set("::1", refused_port, "127.0.0.1", refused_port);
        break;
    }
    begin(way % 2 != 0 ? "many.test" : "127.0.0.1", way % 2 != 0 ? 9 : silent_port, true);
    begun();
    rc = unsb_execute(&g.client, &program, &result);
    while (rc == UNSB_PENDING && polls-- != 0) {
        sleep_a_little();
        rc = unsb_poll(&g.client);
    }
    if (way % 3 == 0)
        unsb_abort(&g.client);
    unsb_close(&g.client);
    g.open = false;
    stub_hold(false);
}

static void descriptors(void **state)
{
    uint16_t refused_port;
    int fd;
    unsigned before, way;
    bool same;
    static peer p;

    (void)state;
    if (open_descriptors() == 0) {
        print_message("# skipped: there is no /proc/self/fd\n");
        skip();
    }
    fd = loopback_socket(&refused_port, -1);
    peer_start(&p, serve_silence, NULL);
    before = open_descriptors();
    for (way = 0; way < 150; way++)
        give_up(way, refused_port, p.port);
    peer_settle(&p);
    /* a helper thread closes its end of the pipe when it is through */
    EVENTUALLY(open_descriptors() == before, same);
    assert_true(same);
    expect_clean();
    peer_stop(&p);
    (void)close(fd);
}

/* Every descriptor that the port opens is closed by exec. */
static void expect_private(const bool *before)
{
    int fd;

    for (fd = 0; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0 && !before[fd] && (flags & FD_CLOEXEC) == 0)
            fail_msg("descriptor %d would live on in another program", fd);
    }
}

static void close_on_exec(void **state)
{
    unsb_posix tcp;
    unsb_transport t = unsb_posix_transport(&tcp);
    uint16_t port = hush(0);
    bool before[256];
    size_t i;
    int rc;

    (void)state;
    for (i = 0; i < COUNT(before); i++)
        before[i] = fcntl((int)i, F_GETFD) >= 0;
    assert_int_equal(unsb_posix_interruptible(&tcp, true), UNSB_OK);
    expect_private(before);
    stub_set("127.0.0.1", port, "127.0.0.1", port);
    stub_add("127.0.0.1", plain.port);
    stub_hold(true);
    assert_int_equal(t.vtable->connect(t.context, "private.test", 9), UNSB_PENDING);
    expect_private(before);
    stub_hold(false);
    while ((rc = t.vtable->connect(t.context, "private.test", 9)) == UNSB_PENDING) {
        (void)t.vtable->interest(t.context, UNSB_WRITABLE);
        expect_private(before);
        assert_int_equal(t.vtable->wait(t.context, UNSB_WRITABLE, PATIENCE_MS), UNSB_OK);
    }
    assert_int_equal(rc, UNSB_OK);
    expect_private(before);
    t.vtable->close(t.context);
    (void)unsb_posix_interruptible(&tcp, false);
    speak(0);
    expect_clean();
}

/* ======================================================================
 * >>processes
 * ====================================================================== */

static struct {
    unsigned look_ups; /* before */
    pid_t child;
} forker;

/* Forks once the resolver has been asked, and lets it answer then. The child keeps copies of all
 * that was open, until it is killed. */
static void *fork_while_resolving(void *context)
{
    bool asked;

    EVENTUALLY(stub_begun() != forker.look_ups, asked);
    forker.child = fork();
    if (forker.child == 0)
        for (;;)
            (void)pause();
    stub_hold(false);
    return asked ? context : NULL;
}

static void forked_while_resolving(void **state)
{
    pthread_t thread;
    void *asked;
    int rc;

    (void)state;
    stub_set("127.0.0.1", plain.port, NULL, 0);
    for (BOTH_MODES(mode)) {
        begin("forked.test", 9, mode != 0);
        begun();
        stub_hold(true);
        forker.look_ups = stub_begun();
        assert_int_equal(pthread_create(&thread, NULL, fork_while_resolving, &forker), 0);
        rc = outcome();
        (void)pthread_join(thread, &asked);
        assert_true(forker.child > 0);
        (void)kill(forker.child, SIGKILL);
        (void)waitpid(forker.child, NULL, 0);
        assert_non_null(asked);
        expect_there(rc);
    }
    rig_close(&g);
    expect_clean();
}

static int exit_status(pid_t child)
{
    int status = -1;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

/* What a child makes of a look-up whose thread has stayed in its parent: 0, or where it failed. */
static int look_up_in_child(const unsb_transport *t)
{
    int rc, again;

    if (t->vtable->wait(t->context, UNSB_READABLE, 0) == UNSB_E_IO)
        return 1;
    rc = t->vtable->connect(t->context, "child.test", 9);
    if (rc != UNSB_E_RESOLVE || g.tcp.resolve_error != EAI_AGAIN)
        return 2;
    t->vtable->drop(t->context);
    for (again = 0; again < 2; again++) {
        if (connect_by_wait(t, "child.test", 9) != UNSB_OK)
            return 3;
        t->vtable->close(t->context);
    }
    return 0;
}

/* The parent's look-up goes on, and the child can begin one of its own; given up, it disturbs no
 * one. */
static void child_while_resolving(void **state)
{
    unsb_transport t = unsb_posix_transport(&g.tcp);
    unsigned before = stub_begun();
    pid_t child;
    bool asked;

    (void)state;
    stub_set("127.0.0.1", plain.port, NULL, 0);
    stub_hold(true);
    assert_int_equal(t.vtable->connect(t.context, "child.test", 9), UNSB_PENDING);
    EVENTUALLY(stub_begun() != before, asked);
    assert_true(asked);
    (void)fflush(NULL);
    child = fork();
    if (child == 0) {
        stub.hold = false; /* its copy, of a lock that no one holds */
        _exit(look_up_in_child(&t));
    }
    assert_int_equal(exit_status(child), 0);
    child = fork();
    if (child == 0) {
        t.vtable->close(t.context);
        t.vtable->drop(t.context);
        _exit(unsb_posix_fd(&g.tcp) == -1 ? 0 : 1);
    }
    assert_int_equal(exit_status(child), 0);
    stub_hold(false);
    assert_int_equal(connect_by_wait(&t, "child.test", 9), UNSB_OK);
    t.vtable->close(t.context);
    expect_clean();
}

/* A child drops its copy of a connection, which goes on in the parent. */
static void copy_is_dropped(void **state)
{
    static char buffer[1024];
    static unsb_client client;
    static unsb_posix tcp;
    unsb_config config;
    unsb_program program = one_line();
    pid_t child;
    int fd;

    (void)state;
    memset(&config, 0, sizeof config);
    memset(&result, 0, sizeof result);
    result.out = unsb_into(out_memory, sizeof out_memory);
    config.transport = unsb_posix_transport(&tcp);
    config.api_key = SAMPLE_KEY;
    config.buffer = buffer;
    config.buffer_size = sizeof buffer;
    config.host = "127.0.0.1";
    config.port = plain.port;
    config.now_ms = unsb_posix_now_ms;
    assert_int_equal(unsb_posix_interruptible(&tcp, true), UNSB_OK);
    assert_int_equal(unsb_init(&client, &config), UNSB_OK);
    expect_there(unsb_execute(&client, &program, &result));
    fd = unsb_posix_fd(&tcp);
    (void)fflush(NULL);
    child = fork();
    if (child == 0) {
        unsb_drop(&client);
        _exit(unsb_posix_fd(&tcp) == -1 && tcp.interrupt[0] == -1 &&
                      fcntl(fd, F_GETFD) == -1
                  ? 0
                  : 1);
    }
    assert_int_equal(exit_status(child), 0);
    seen.count = 0;
    expect_there(unsb_execute(&client, &program, &result));
    assert_int_equal(seen.count, 0); /* by the same connection */
    unsb_close(&client);
    (void)unsb_posix_interruptible(&tcp, false);
}

/* A resolver that hangs is asked once for each host and port, however often the clients give up. */
static void one_look_up(void **state)
{
    static unsb_posix other;
    unsb_transport t = unsb_posix_transport(&other);
    unsigned before = stub_begun(), i;

    (void)state;
    stub_set("127.0.0.1", plain.port, NULL, 0);
    stub_hold(true);
    begin("hung.test", 9, false);
    g.config.connect_timeout_ms = 5;
    begun();
    for (i = 0; i < 100; i++) {
        assert_int_equal(outcome(), UNSB_E_TIMEOUT);
        if (i == 50) { /* a new client, too */
            begin("hung.test", 9, false);
            g.config.connect_timeout_ms = 5;
            begun();
        }
    }
    rig_close(&g);
    assert_int_equal(t.vtable->connect(t.context, "hung.test", 9), UNSB_PENDING);
    begin("hung.test", 10, false);
    g.config.connect_timeout_ms = 200;
    begun();
    assert_int_equal(outcome(), UNSB_E_TIMEOUT);
    rig_close(&g);
    assert_int_equal(stub_begun(), before + 2); /* the host, and the other port */
    stub_hold(false);
    assert_int_equal(connect_by_wait(&t, "hung.test", 9), UNSB_OK);
    t.vtable->close(t.context);
    expect_clean();
}

/* ======================================================================
 * >>interrupts
 * ====================================================================== */

static void interrupted_before(void **state)
{
    unsb_program program = one_line();
    unsb_transport t;
    unsigned round;
    char byte = 0;

    (void)state;
    for (round = 0; round < 2; round++) {
        begin("127.0.0.1", plain.port, false);
        begun();
        if (round == 1)
            assert_int_equal(unsb_posix_interruptible(&g.tcp, true), UNSB_OK);
        seen.count = 0;
        unsb_posix_interrupt(&g.tcp);
        unsb_posix_interrupt(&g.tcp);
        assert_int_equal(unsb_execute(&g.client, &program, &result), UNSB_E_ABORTED);
        assert_int_equal(unsb_execute(&g.client, &program, &result), UNSB_E_ABORTED);
        assert_int_equal(seen.count, 0);
        t.vtable = &unsbi_posix_class;
        t.context = &g.tcp;
        assert_int_equal(t.vtable->wait(t.context, 0, PATIENCE_MS), UNSB_E_ABORTED);
        assert_int_equal(t.vtable->send(t.context, &byte, 1), UNSB_E_ABORTED);
        assert_int_equal(t.vtable->recv(t.context, &byte, 1), UNSB_E_ABORTED);
        assert_int_equal(unsb_posix_interruptible(&g.tcp, round == 1), UNSB_OK);
        assert_int_equal(t.vtable->wait(t.context, 0, 1), UNSB_E_TIMEOUT);
        expect_there(unsb_execute(&g.client, &program, &result));
        /* between two calls, with a connection that is kept */
        unsb_posix_interrupt(&g.tcp);
        assert_int_equal(unsb_execute(&g.client, &program, &result), UNSB_E_ABORTED);
        assert_int_equal(unsb_posix_interruptible(&g.tcp, round == 1), UNSB_OK);
        expect_there(unsb_execute(&g.client, &program, &result));
        (void)unsb_posix_interruptible(&g.tcp, false);
    }
}

enum { IN_LOOK_UP, IN_CONNECT, IN_HANDSHAKE, IN_SEND, IN_ANSWER, IN_PAUSE, PHASES };

static struct {
    unsigned phase, look_ups;
    peer p;
    pthread_t victim;
    volatile sig_atomic_t over, caught;
} interrupter;

static bool is_reached(void)
{
    switch (interrupter.phase) {
    case IN_LOOK_UP:
        return stub_begun() != interrupter.look_ups;
    case IN_CONNECT:
    case IN_PAUSE:
        return true;
    default:
        return peer_accepted(&interrupter.p) != 0;
    }
}

static void *interrupt_later(void *context)
{
    unsigned i;
    bool reached;

    EVENTUALLY(is_reached(), reached);
    for (i = 0; i < 100; i++) /* most often it waits by then */
        sleep_a_little();
    unsb_posix_interrupt(&g.tcp);
    return reached ? context : NULL;
}

/* The outcome of a call that nothing but an interrupt ends. */
static int call_in_phase(unsigned phase)
{
    static char large[3000000];
    unsb_call call;

    if (phase == IN_PAUSE)
        return unsbi_posix_class.wait(&g.tcp, 0, PATIENCE_MS);
    memset(&call, 0, sizeof call);
    call.method = "POST";
    call.path = "/";
    call.body = unsb_bytes(large, phase == IN_SEND ? sizeof large : 1);
    return unsb_request(&g.client, &call, &result);
}

static void begin_phase(unsigned phase)
{
    uint16_t port = phase == IN_CONNECT ? hush(0) : 0;

    interrupter.phase = phase;
    interrupter.look_ups = stub_begun();
    if (phase != IN_CONNECT && phase != IN_LOOK_UP) {
        peer_start(&interrupter.p, phase == IN_SEND ? serve_nothing : serve_silence, NULL);
        port = interrupter.p.port;
    }
    stub_set("127.0.0.1", port, NULL, 0);
    stub_hold(phase == IN_LOOK_UP);
    rig_close(&g);
    rig_prepare(&g, phase == IN_HANDSHAKE, false, port);
    g.config.host = phase == IN_LOOK_UP ? "interrupt.test" : "127.0.0.1";
    g.config.now_ms = unsb_posix_now_ms;
    g.config.connect_timeout_ms = g.config.idle_timeout_ms = PATIENCE_MS;
    g.config.retries = 3; /* it is no failure that another attempt could mend */
    begun();
}

static void end_phase(void)
{
    rig_close(&g);
    stub_hold(false);
    if (interrupter.p.serve != NULL)
        peer_stop(&interrupter.p);
    speak(0);
}

static void interrupted_within(void **state)
{
    unsigned phase;

    (void)state;
    for (phase = 0; phase < PHASES; phase++) {
        void *reached = NULL;
        pthread_t thread;
        begin_phase(phase);
        assert_int_equal(unsb_posix_interruptible(&g.tcp, true), UNSB_OK);
        assert_int_equal(pthread_create(&thread, NULL, interrupt_later, &g), 0);
        assert_int_equal(call_in_phase(phase), UNSB_E_ABORTED);
        (void)pthread_join(thread, &reached);
        assert_non_null(reached);
        (void)unsb_posix_interruptible(&g.tcp, false);
        end_phase();
    }
    expect_clean();
}

static void on_interrupt(int number)
{
    int before = errno;

    (void)number;
    errno = ENOTTY;
    unsb_posix_interrupt(&g.tcp);
    interrupter.caught += errno == ENOTTY;
    errno = before;
}

/* Without a descriptor for it, a single signal may come just before the wait. */
static void *signal_often(void *context)
{
    bool reached;

    EVENTUALLY(is_reached(), reached);
    while (!interrupter.over) {
        sleep_a_little();
        (void)pthread_kill(interrupter.victim, SIGUSR2);
    }
    return reached ? context : NULL;
}

static void interrupted_by_a_signal(void **state)
{
    struct sigaction action;
    unsigned phase;

    (void)state;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    (void)sigaction(SIGUSR2, &action, NULL);
    interrupter.victim = pthread_self();
    for (phase = 0; phase < PHASES; phase++) {
        void *reached = NULL;
        pthread_t thread;
        interrupter.over = interrupter.caught = 0;
        begin_phase(phase);
        assert_int_equal(pthread_create(&thread, NULL, signal_often, &g), 0);
        assert_int_equal(call_in_phase(phase), UNSB_E_ABORTED);
        interrupter.over = 1;
        (void)pthread_join(thread, &reached);
        assert_non_null(reached);
        assert_true(interrupter.caught > 0);
        (void)unsb_posix_interruptible(&g.tcp, false);
        end_phase();
    }
    expect_clean();
}

/* ======================================================================
 * >>uplinks, clocks
 * ====================================================================== */

/* What the port hands over to the kernel while the peer reads nothing is bounded, so that progress
 * is what the peer takes: the bound is what the peer's kernel takes in, and 256 KB at most. */
static void unsent_bytes(void **state)
{
    static const char text[16384];
    unsb_posix tcp;
    unsb_transport t = unsb_posix_transport(&tcp);
    uint16_t port;
    int listener = loopback_socket(&port, 8), fd, small = 65536;
    size_t total = 0;
    unsigned refused = 0;
    int rc;

    (void)state;
    (void)setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_int_equal(connected(&t, port), UNSB_OK);
    fd = private_fd(accept(listener, NULL, NULL));
    while (refused < 50) {
        rc = t.vtable->send(t.context, text, sizeof text);
        assert_true(rc >= 0);
        total += (size_t)rc;
        refused = rc == 0 ? refused + 1 : 0;
        if (rc == 0)
            sleep_a_little();
        assert_true(total < 10000000);
    }
    figures("taken of what the peer does not read: %u KB", (unsigned)(total / 1024));
    assert_true(total < 600000);
    assert_int_equal(t.vtable->wait(t.context, UNSB_WRITABLE, 1), UNSB_E_TIMEOUT);
    /* and when it reads again, all of it and more comes through */
    while (total != 0) {
        char piece[16384];
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        assert_true(n > 0);
        total -= (size_t)n;
    }
    assert_int_equal(t.vtable->wait(t.context, UNSB_WRITABLE, PATIENCE_MS), UNSB_OK);
    assert_true(t.vtable->send(t.context, text, sizeof text) > 0);
    t.vtable->close(t.context);
    (void)close(fd);
    (void)close(listener);
}

static uint32_t clock_ms(clockid_t which)
{
    struct timespec now = {0, 0};

    assert_int_equal(clock_gettime(which, &now), 0);
    return (uint32_t)((uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u);
}

/* Where the two clocks differ (on a machine that was suspended, or in a namespace that has them
 * set so) this tells them apart. */
static void clock_counts(void **state)
{
#ifdef CLOCK_BOOTTIME
    uint32_t before = clock_ms(CLOCK_BOOTTIME), now = unsb_posix_now_ms(NULL);
    uint32_t passed = clock_ms(CLOCK_BOOTTIME) - before;

    (void)state;
    assert_true(now - before <= passed);
#else
    (void)state;
    print_message("# skipped: there is no CLOCK_BOOTTIME\n");
    skip();
#endif
}

/* ======================================================================
 * >>main
 * ====================================================================== */

static int start(void **state)
{
    struct sigaction action;

    (void)state;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_sigpipe;
    (void)sigaction(SIGPIPE, &action, NULL);
    (void)pthread_mutex_init(&stub.lock, NULL);
    service_start(&plain, 0, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    service_stop(&plain);
    return 0;
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(refused),
                                       TEST(not_resolved),
                                       TEST(resolved),
                                       TEST(long_hosts),
                                       TEST(slow_resolver),
                                       TEST(used_again_while_resolving),
                                       TEST(second_address),
                                       TEST(silent_address),
                                       TEST(silent_addresses),
                                       TEST(late_answer),
                                       TEST(no_room),
                                       TEST(no_descriptors),
                                       TEST(ipv6),
                                       TEST(families_by_turns),
                                       TEST(known_address),
                                       TEST(known_address_that_fails),
                                       TEST(silent_peer),
                                       TEST(resets_and_ends),
                                       TEST(no_sigpipe),
                                       TEST(without_a_connection),
                                       TEST(interrupted_calls),
                                       TEST(descriptors),
                                       TEST(close_on_exec),
                                       TEST(forked_while_resolving),
                                       TEST(child_while_resolving),
                                       TEST(copy_is_dropped),
                                       TEST(one_look_up),
                                       TEST(interrupted_before),
                                       TEST(interrupted_within),
                                       TEST(interrupted_by_a_signal),
                                       TEST(unsent_bytes),
                                       TEST(clock_counts)};

    return cmocka_run_group_tests_name("posix", tests, start, stop);
}
