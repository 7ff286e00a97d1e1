/* The Winsock port on Windows or Wine: whole calls against the local service over TCP and TLS, and
 * resolving, connecting, failing, and cleaning up after all of it. But for "localhost" the resolver
 * is a stub, so no query ever leaves the process. The environment says where the services are:
 * UNSB_PLAIN, UNSB_TLS and UNSB_SIX (TLS on ::1, or empty) are ports, UNSB_TEST_PKI a directory. */
#include <winsock2.h>
#include <ws2tcpip.h>

#include "suite.h"

#include <time.h>
#include <wchar.h>

static INT stub_resolve(const WCHAR *host, const WCHAR *service, const ADDRINFOW *hints,
                        ADDRINFOW **list);
static void stub_free(ADDRINFOW *list);
static bool fails(int error);
static int counted(volatile LONG *count, LONG change);
static int seen_connect(SOCKET s, const struct sockaddr *address, int size);

static volatile LONG startups, blocks;

/* What the port asks of the system can fail, and what it must give back is counted. */
#define UNSB_WINSOCK_GETADDRINFO stub_resolve
#define FreeAddrInfoW stub_free
#define WSAStartup(version, data) \
    (fails(WSASYSNOTREADY) ? WSASYSNOTREADY : WSAStartup(version, data) + counted(&startups, 1))
#define WSACleanup() (WSACleanup() + counted(&startups, -1))
#define HeapAlloc(heap, flags, size) \
    (fails(ERROR_NOT_ENOUGH_MEMORY) || counted(&blocks, 1) ? NULL : HeapAlloc(heap, flags, size))
#define HeapFree(heap, flags, block) (HeapFree(heap, flags, block) + counted(&blocks, -1))
#define CreateEventW(a, b, c, d) (fails(ERROR_NOT_ENOUGH_MEMORY) ? NULL : CreateEventW(a, b, c, d))
#define CreateThread(a, b, c, d, e, f) \
    (fails(ERROR_NOT_ENOUGH_MEMORY) ? NULL : CreateThread(a, b, c, d, e, f))
#define GetModuleHandleExW(a, b, c) (!fails(ERROR_MOD_NOT_FOUND) && GetModuleHandleExW(a, b, c))
#define WSASocketW(a, b, c, d, e, f) \
    (fails(WSAEMFILE) ? INVALID_SOCKET : WSASocketW(a, b, c, d, e, f))
#define ioctlsocket(a, b, c) (fails(WSAENETDOWN) ? SOCKET_ERROR : ioctlsocket(a, b, c))
#define connect(s, address, size) seen_connect(s, address, size)
#include "unsandbox_winsock.h"
#undef connect
#undef FreeAddrInfoW
#undef WSAStartup
#undef WSACleanup
#undef HeapAlloc
#undef HeapFree
#undef CreateEventW
#undef CreateThread
#undef GetModuleHandleExW
#undef WSASocketW
#undef ioctlsocket
#include "unsandbox_bearssl.h"
#include "unsandbox_bearssl_pem.h"
#include "unsandbox_bearssl_windows.h"

#define SAMPLE_KEY "unsb-sk-test0-vault-unlck-12345"
#define PUBLIC_KEY "unsb-pk-pair0-vault-unlck-12345"
#define SECRET_KEY "unsb-sk-pair0-vault-unlck-12345"
#define PATIENCE_MS 60000u /* what takes longer than this has failed */

/* Waits for a condition, which is asked for again and again: false if it did not come. */
#define EVENTUALLY(condition, result)                                               \
    do {                                                                            \
        uint32_t since_ = unsb_winsock_now_ms(NULL);                                \
        while (!((result) = (condition)) &&                                         \
               unsb_winsock_now_ms(NULL) - since_ < PATIENCE_MS)                    \
            Sleep(1);                                                               \
    } while (0)

/* ======================================================================
 * >>faults
 * ====================================================================== */

static unsigned fault_at, fault_calls;

/* Whether this call, counted from 1, is the one to fail. */
static bool fails(int error)
{
    if (fault_at == 0 || ++fault_calls != fault_at)
        return false;
    WSASetLastError(error);
    return true;
}

static int counted(volatile LONG *count, LONG change)
{
    (void)InterlockedExchangeAdd(count, change);
    return 0;
}

/* Wine's GetProcessHandleCount() is 0 always: there, each small number is looked at. */
static unsigned open_handles(void)
{
    DWORD count = 0, flags;
    uintptr_t value;

    (void)GetProcessHandleCount(GetCurrentProcess(), &count);
    if (count == 0)
        for (value = 4; value < 0x1000; value += 4)
            count += GetHandleInformation((HANDLE)value, &flags) != 0;
    return (unsigned)count;
}

/* ======================================================================
 * >>resolver  A stub whose lists are its own, so that each one can be seen freed
 * ====================================================================== */

#define LIST_MAX 12

typedef struct stub_list {
    ADDRINFOW items[LIST_MAX];
    struct sockaddr_in6 addresses[LIST_MAX]; /* the larger of the two */
} stub_list;

static struct {
    CRITICAL_SECTION lock;
    const char *addresses[LIST_MAX]; /* what every name stands for; none: it does not exist */
    uint16_t ports[LIST_MAX];        /* 0: the one that is asked for */
    int error;                       /* 0: as the addresses say */
    bool hold;                       /* look-ups of names wait */
    unsigned begun, ended;           /* of names */
    int lists;                       /* not freed yet */
    WCHAR host[300], port[10];       /* of the last one */
} stub;

static bool stub_add(stub_list *list, size_t at, const void *address, size_t size, int protocol)
{
    ADDRINFOW *item = &list->items[at];

    if (at >= LIST_MAX || size > sizeof list->addresses[at])
        return false;
    memcpy(&list->addresses[at], address, size);
    item->ai_family = list->addresses[at].sin6_family; /* in the same place in both */
    item->ai_socktype = SOCK_STREAM;
    item->ai_protocol = protocol;
    item->ai_addrlen = size;
    item->ai_addr = (struct sockaddr *)(void *)&list->addresses[at];
    if (at != 0)
        list->items[at - 1].ai_next = item;
    return true;
}

/* One numeric address; false: it is none. */
static bool stub_fill(stub_list *list, size_t at, const char *text, uint16_t port, int protocol)
{
    struct sockaddr_in four;
    struct sockaddr_in6 six;

    memset(&four, 0, sizeof four);
    memset(&six, 0, sizeof six);
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return stub_add(list, at, &four, sizeof four, protocol);
    return inet_pton(AF_INET6, text, &six.sin6_addr) == 1 &&
           stub_add(list, at, &six, sizeof six, protocol);
}

/* What the system itself has to say. */
static int stub_ask(stub_list *list, const WCHAR *host, const WCHAR *service,
                    const ADDRINFOW *hints)
{
    ADDRINFOW *real = NULL, *item;
    int rc = GetAddrInfoW(host, service, hints, &real);
    size_t count = 0;

    for (item = real; item != NULL; item = item->ai_next)
        count += stub_add(list, count, item->ai_addr, item->ai_addrlen, item->ai_protocol);
    if (real != NULL)
        FreeAddrInfoW(real);
    return rc == 0 && count == 0 ? WSANO_DATA : rc;
}

static bool stub_is_held(void)
{
    bool hold;

    EnterCriticalSection(&stub.lock);
    hold = stub.hold;
    LeaveCriticalSection(&stub.lock);
    return hold;
}

static INT stub_resolve(const WCHAR *host, const WCHAR *service, const ADDRINFOW *hints,
                        ADDRINFOW **list)
{
    stub_list *made = (stub_list *)calloc(1, sizeof *made);
    unsigned long port = wcstoul(service, NULL, 10);
    bool name = (hints->ai_flags & AI_NUMERICHOST) == 0;
    bool local = wcscmp(host, L"localhost") == 0;
    int error = 0;
    size_t i = 0;

    if (made == NULL)
        return WSA_NOT_ENOUGH_MEMORY;
    EnterCriticalSection(&stub.lock);
    if (name) {
        (void)wcsncpy(stub.host, host, COUNT(stub.host) - 1);
        (void)wcsncpy(stub.port, service, COUNT(stub.port) - 1);
        stub.begun++;
    }
    LeaveCriticalSection(&stub.lock);
    while (name && stub_is_held())
        Sleep(1);
    EnterCriticalSection(&stub.lock);
    if (name && !local) {
        error = stub.error;
        for (i = 0; error == 0 && i < LIST_MAX && stub.addresses[i] != NULL; i++)
            if (!stub_fill(made, i, stub.addresses[i],
                           stub.ports[i] != 0 ? stub.ports[i] : (uint16_t)port,
                           hints->ai_protocol))
                error = WSANO_RECOVERY;
        error = error == 0 && i == 0 ? WSAHOST_NOT_FOUND : error;
    }
    LeaveCriticalSection(&stub.lock);
    if (!name || local)
        error = stub_ask(made, host, service, hints);
    EnterCriticalSection(&stub.lock);
    if (error == 0) {
        stub.lists++;
        *list = &made->items[0];
    } else {
        free(made);
    }
    stub.ended += name;
    LeaveCriticalSection(&stub.lock);
    return error;
}

static void stub_free(ADDRINFOW *list)
{
    EnterCriticalSection(&stub.lock);
    stub.lists--;
    LeaveCriticalSection(&stub.lock);
    free(list); /* the first member of its stub_list */
}

static bool stub_is_clean(void)
{
    bool clean;

    EnterCriticalSection(&stub.lock);
    clean = stub.begun == stub.ended && stub.lists == 0 && startups == 0 && blocks == 0;
    LeaveCriticalSection(&stub.lock);
    return clean;
}

static void stub_hold(bool hold)
{
    EnterCriticalSection(&stub.lock);
    stub.hold = hold;
    LeaveCriticalSection(&stub.lock);
}

static unsigned stub_begun(void)
{
    unsigned begun;

    EnterCriticalSection(&stub.lock);
    begun = stub.begun;
    LeaveCriticalSection(&stub.lock);
    return begun;
}

static void stub_set(const char *first, uint16_t first_port, const char *second,
                     uint16_t second_port)
{
    EnterCriticalSection(&stub.lock);
    memset(stub.addresses, 0, sizeof stub.addresses);
    memset(stub.ports, 0, sizeof stub.ports);
    stub.addresses[0] = first;
    stub.ports[0] = first_port;
    stub.addresses[1] = second;
    stub.ports[1] = second_port;
    stub.error = 0;
    LeaveCriticalSection(&stub.lock);
}

/* One address more. */
static void stub_more(const char *address, uint16_t port)
{
    size_t i;

    for (i = 0; i < LIST_MAX && stub.addresses[i] != NULL; i++)
        continue;
    assert_true(i < LIST_MAX);
    EnterCriticalSection(&stub.lock);
    stub.addresses[i] = address;
    stub.ports[i] = port;
    LeaveCriticalSection(&stub.lock);
}

/* The addresses that the port has tried, in this order, since the count was set to 0. */
static struct {
    int families[32];
    uint16_t ports[32];
    size_t count;
} seen;

static int seen_connect(SOCKET s, const struct sockaddr *address, int size)
{
    struct sockaddr_in6 copy;

    if (seen.count < COUNT(seen.ports) && (size_t)size <= sizeof copy) {
        memcpy(&copy, address, (size_t)size);
        seen.families[seen.count] = address->sa_family;
        seen.ports[seen.count++] = ntohs(copy.sin6_port); /* in the same place in both */
    }
    return connect(s, address, size);
}

/* ======================================================================
 * >>peers  Threads that listen on loopback and treat their clients badly,
 *          one connection after the other
 * ====================================================================== */

typedef struct peer {
    void (*serve)(struct peer *p, SOCKET s); /* the socket is closed after it */
    uint16_t port;
    SOCKET listener;
    HANDLE thread;
    volatile LONG stop;
} peer;

static bool peer_wait(const peer *p, SOCKET s)
{
    while (InterlockedCompareExchange((volatile LONG *)&p->stop, 0, 0) == 0) {
        struct timeval time = {0, 10000};
        fd_set set;
        set.fd_count = 1;
        set.fd_array[0] = s;
        if (select(0, &set, NULL, NULL, &time) != 0)
            return true;
    }
    return false;
}

/* 0: the client has ended, or the peer is to stop. */
static size_t peer_recv(const peer *p, SOCKET s, char *data, size_t size)
{
    int n = peer_wait(p, s) ? recv(s, data, (int)size, 0) : 0;

    return n > 0 ? (size_t)n : 0;
}

static void peer_drain(const peer *p, SOCKET s)
{
    char piece[4096];

    while (peer_recv(p, s, piece, sizeof piece) != 0)
        continue;
}

static void reset_on_close(SOCKET s)
{
    struct linger at_once = {1, 0};

    (void)setsockopt(s, SOL_SOCKET, SO_LINGER, (const char *)&at_once, sizeof at_once);
}

/* A socket bound to loopback and not listening, or with room for `backlog`. */
static SOCKET loopback_socket(uint16_t *port, int backlog)
{
    struct sockaddr_in address;
    int size = sizeof address;
    SOCKET s = socket(AF_INET, SOCK_STREAM, 0);

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (s == INVALID_SOCKET ||
        bind(s, (const struct sockaddr *)(const void *)&address, sizeof address) != 0 ||
        getsockname(s, (struct sockaddr *)(void *)&address, &size) != 0 ||
        (backlog >= 0 && listen(s, backlog) != 0))
        fail_msg("no socket: %d", WSAGetLastError());
    *port = ntohs(address.sin_port);
    return s;
}

static DWORD WINAPI peer_run(void *context)
{
    peer *p = (peer *)context;

    while (peer_wait(p, p->listener)) {
        SOCKET s = accept(p->listener, NULL, NULL);
        if (s == INVALID_SOCKET)
            continue;
        p->serve(p, s);
        (void)closesocket(s);
    }
    return 0;
}

static peer *running;

static void peer_start(peer *p, void (*serve)(peer *p, SOCKET s))
{
    memset(p, 0, sizeof *p);
    p->serve = serve;
    p->listener = loopback_socket(&p->port, 8);
    p->thread = CreateThread(NULL, 0, peer_run, p, 0, NULL);
    assert_non_null(p->thread);
    running = p;
}

static void peer_stop(void)
{
    if (running == NULL)
        return;
    (void)InterlockedExchange(&running->stop, 1);
    (void)WaitForSingleObject(running->thread, INFINITE);
    (void)CloseHandle(running->thread);
    (void)closesocket(running->listener);
    running = NULL;
}

/* ======================================================================
 * >>rig  A client in every set-up, driven to the end of an operation
 * ====================================================================== */

/* How a client waits: by itself; for the port's event; for its socket. */
enum { BLOCKING, EVENTS, SOCKETS, MODES };

static struct {
    unsb_winsock tcp;
    unsb_bearssl tls;
    unsb_client client;
    unsb_config config;
    unsb_bearssl_config secure;
    unsigned mode;
    bool open;
    char buffer[4096];
    unsigned char records[BR_SSL_BUFSIZE_MONO];
} g;

static uint16_t plain_port, tls_port, six_port;
static unsb_bearssl_trust trust;
static unsb_result result;
static char out_memory[2000], err_memory[2000];

static void rig_close(void)
{
    if (g.open) {
        g.open = false;
        unsb_close(&g.client);
        g.config.transport.vtable->close(g.config.transport.context);
    }
}

/* Fills g.config and g.secure with what can be changed before begun(). */
static void begin(bool tls, unsigned mode, const char *host, uint16_t port)
{
    rig_close();
    memset(&g, 0, sizeof g);
    g.mode = mode;
    g.config.transport = unsb_winsock_transport(&g.tcp);
    if (tls) {
        g.secure.anchors = trust.anchors;
        g.secure.anchor_count = trust.count;
        g.secure.buffer = g.records;
        g.secure.buffer_size = sizeof g.records;
    }
    g.config.api_key = SAMPLE_KEY;
    g.config.buffer = g.buffer;
    g.config.buffer_size = sizeof g.buffer;
    g.config.host = host;
    g.config.port = port;
    g.config.nonblocking = mode != BLOCKING;
    g.config.connect_timeout_ms = PATIENCE_MS;
    g.config.idle_timeout_ms = PATIENCE_MS;
    g.config.now_ms = unsb_winsock_now_ms;
    g.config.unix_time = unsb_winsock_unix_time;
}

static void begun(void)
{
    if (g.secure.buffer != NULL) {
        g.secure.inner = g.config.transport;
        g.config.transport = unsb_bearssl_transport(&g.tls, &g.secure);
    }
    assert_int_equal(unsb_init(&g.client, &g.config), UNSB_OK);
    g.open = true;
    memset(&result, 0, sizeof result);
    result.out = unsb_into(out_memory, sizeof out_memory);
    result.err = unsb_into(err_memory, sizeof err_memory);
}

static void begin_service(bool tls, unsigned mode)
{
    begin(tls, mode, tls ? "localhost" : "127.0.0.1", tls ? tls_port : plain_port);
}

/* Waits as a program with select() does. */
static void wait_for_socket(int interest, uint32_t timeout_ms)
{
    SOCKET s = unsb_winsock_socket(&g.tcp);
    struct timeval time;
    fd_set sets[3];
    size_t i;

    if (s == INVALID_SOCKET) {
        Sleep(timeout_ms < 2 ? timeout_ms : 2);
        return;
    }
    for (i = 0; i < 3; i++) {
        sets[i].fd_count = 1;
        sets[i].fd_array[0] = s;
    }
    time.tv_sec = (long)(timeout_ms / 1000);
    time.tv_usec = (long)(timeout_ms % 1000) * 1000;
    if (select(0, (interest & UNSB_READABLE) != 0 ? &sets[0] : NULL,
               (interest & UNSB_WRITABLE) != 0 ? &sets[1] : NULL, &sets[2], &time) == 0 &&
        timeout_ms >= PATIENCE_MS)
        fail_msg("waits for events %d of a socket, which do not come", interest);
}

static void rig_wait(void)
{
    uint32_t timeout_ms;
    int interest = unsb_interest(&g.client, &timeout_ms);
    HANDLE event;

    if (timeout_ms == 0)
        return;
    timeout_ms = timeout_ms < PATIENCE_MS ? timeout_ms : PATIENCE_MS;
    if (g.mode == SOCKETS && g.client.state == UNSBI_CONNECT)
        timeout_ms = timeout_ms < 20 ? timeout_ms : 20; /* its socket does not tell all */
    if (interest == 0) {
        assert_null(unsb_winsock_event(&g.tcp, 0));
        Sleep(timeout_ms);
    } else if (g.mode == SOCKETS) {
        wait_for_socket(interest, timeout_ms);
    } else {
        event = unsb_winsock_event(&g.tcp, interest);
        timeout_ms = unsb_winsock_timeout(&g.tcp, timeout_ms);
        assert_non_null(event);
        if (WaitForMultipleObjects(1, &event, FALSE, timeout_ms) == WAIT_TIMEOUT &&
            timeout_ms >= PATIENCE_MS)
            fail_msg("waits for events %d, which do not come", interest);
    }
}

/* Carries an operation to its end, if its function has not done so. */
static int rig_end(int rc)
{
    unsigned rounds = 0;

    if (!g.config.nonblocking) {
        assert_int_not_equal(rc, UNSB_PENDING);
        return rc;
    }
    while (rc == UNSB_PENDING) {
        rig_wait();
        rc = unsb_poll(&g.client);
        if (++rounds == 100000)
            fail_msg("spins");
    }
    return rc;
}

static void check_rc(int rc, int want, int line)
{
    rc = rig_end(rc);
    if (rc != want)
        fail_msg("line %d: %d (%s) instead of %d; HTTP %d %s %s; Windows %d, resolver %d, TLS %d",
                 line, rc, unsb_error_text(rc), want, result.http_status, result.error,
                 result.message, g.tcp.error, g.tcp.resolve_error, g.tls.error);
}

#define EXPECT(want, call) check_rc(call, want, __LINE__)

static unsb_program program_of(const char *language, const char *code)
{
    unsb_program program;

    memset(&program, 0, sizeof program);
    program.language = language;
    program.code = unsb_text(code);
    return program;
}

static unsb_program one_line(void)
{
    return program_of("sh", "echo there");
}

/* The outcome of one call on a client that was just opened. */
static int outcome(void)
{
    unsb_program program = one_line();

    return rig_end(unsb_execute(&g.client, &program, &result));
}

static void expect_there(int rc)
{
    check_rc(rc, UNSB_OK, __LINE__);
    assert_string_equal(out_memory, "there\n");
}

/* No list, block or use of Winsock is left: at once, but for look-ups that were given up. */
static void expect_clean(void)
{
    bool clean;

    rig_close();
    EVENTUALLY(stub_is_clean(), clean);
    if (!clean)
        fail_msg("%u of %u look-ups ended, %d lists, %ld blocks and %ld uses of Winsock are left",
                 stub.ended, stub.begun, stub.lists, (long)blocks, (long)startups);
}

static void speak(void);

static int tear_down(void **state)
{
    (void)state;
    fault_at = 0;
    stub_hold(false);
    rig_close();
    peer_stop();
    speak();
    (void)unsb_winsock_interruptible(&g.tcp, false);
    return 0;
}

/* Over TCP and TLS, in every mode. */
#define EVERY_SET_UP(setup) \
    unsigned setup = 0;     \
    setup < 2 * MODES;      \
    setup++

#define EVERY_MODE(mode) \
    unsigned mode = 0;   \
    mode < MODES;        \
    mode++

static void open_set_up(unsigned setup)
{
    begin_service(setup >= MODES, setup % MODES);
    begun();
}

/* ======================================================================
 * >>calls  Of the public API, against the local service
 * ====================================================================== */

static void execute(void **state)
{
    static const unsb_env env[] = {{"NAME", "a\"b\\c \xC3\xA4"}};

    (void)state;
    for (EVERY_SET_UP(setup)) {
        unsb_program program = program_of("python", "import os, sys\n"
                                                    "print(6 * 7, os.environ['NAME'])\n"
                                                    "sys.stderr.write('oh\\n')\n"
                                                    "sys.exit(3)\n");
        open_set_up(setup);
        program.env = env;
        program.env_count = 1;
        EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
        assert_int_equal(result.http_status, 200);
        assert_false(result.success);
        assert_int_equal(result.exit_code, 3);
        assert_string_equal(out_memory, "42 a\"b\\c \xC3\xA4\n");
        assert_string_equal(err_memory, "oh\n");
        expect_there(outcome()); /* over the same connection */
    }
    expect_clean();
}

static void run_by_shebang(void **state)
{
    (void)state;
    for (EVERY_SET_UP(setup)) {
        unsb_program program = program_of(NULL, "#!/usr/bin/env python3\nprint(6 * 7)\n");
        open_set_up(setup);
        EXPECT(UNSB_OK, unsb_run(&g.client, &program, &result));
        assert_string_equal(out_memory, "42\n");
        assert_string_equal(result.detected_language, "python");
    }
    expect_clean();
}

static unsigned listed;
static char wanted_id[UNSB_JOB_ID_SIZE];

static int on_job(void *context, const unsb_result *item)
{
    (void)context;
    listed += strcmp(item->job_id, wanted_id) == 0;
    return UNSB_OK;
}

static void jobs(void **state)
{
    (void)state;
    for (EVERY_SET_UP(setup)) {
        unsb_program program = one_line();
        char id[UNSB_JOB_ID_SIZE];
        open_set_up(setup);
        EXPECT(UNSB_OK, unsb_execute_async(&g.client, &program, &result));
        (void)strcpy(id, result.job_id);
        EXPECT(UNSB_OK, unsb_job_wait(&g.client, id, PATIENCE_MS, &result));
        assert_int_equal(result.status, UNSB_STATUS_COMPLETED);
        assert_string_equal(out_memory, "there\n");

        program.code = unsb_text("echo so far; sleep 100");
        EXPECT(UNSB_OK, unsb_execute_async(&g.client, &program, &result));
        (void)strcpy(wanted_id, result.job_id);
        do
            EXPECT(UNSB_OK, unsb_job_get(&g.client, wanted_id, &result));
        while (result.status == UNSB_STATUS_PENDING);
        assert_int_equal(result.status, UNSB_STATUS_RUNNING);
        listed = 0;
        result.on_item = on_job;
        EXPECT(UNSB_OK, unsb_job_list(&g.client, &result));
        assert_int_equal(listed, 1);
        EXPECT(UNSB_OK, unsb_job_cancel(&g.client, wanted_id, &result));
        assert_string_equal(result.message, "Job cancelled");
        EXPECT(UNSB_OK, unsb_job_get(&g.client, wanted_id, &result));
        assert_int_equal(result.status, UNSB_STATUS_CANCELLED);
        EXPECT(UNSB_E_NOT_FOUND, unsb_job_get(&g.client, "no-such-job", &result));
    }
    expect_clean();
}

static uint64_t fnv(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;

    while (size--)
        hash = (hash ^ *p++) * 0x100000001B3u;
    return hash;
}

#define FNV_START 0xCBF29CE484222325u

typedef struct flow {
    uint64_t hash;
    size_t size;
    unsigned ends;
} flow;

static int on_artifact(void *context, const unsb_artifact *artifact)
{
    flow *f = (flow *)context;

    assert_int_equal(artifact->index, 0);
    f->hash = fnv(f->hash, artifact->data, artifact->size);
    f->size += artifact->size;
    f->ends += artifact->end;
    return UNSB_OK;
}

/* The program prints a hash of its own binary, which what arrives must have, too. */
static void artifact(void **state)
{
    static const char code[] = "#include <stdio.h>\n"
                               "int main(void) {\n"
                               "    unsigned long long hash = 0xCBF29CE484222325u;\n"
                               "    FILE *self = fopen(\"/proc/self/exe\", \"rb\");\n"
                               "    int c;\n"
                               "    while (self != NULL && (c = getc(self)) != EOF)\n"
                               "        hash = (hash ^ (unsigned)c) * 0x100000001B3u;\n"
                               "    printf(\"%llu\\n\", hash);\n"
                               "    return self == NULL;\n"
                               "}\n";

    (void)state;
    for (EVERY_SET_UP(setup)) {
        unsb_program program = program_of("c", code);
        flow f = {FNV_START, 0, 0};
        open_set_up(setup);
        program.return_artifact = true;
        result.on_artifact = on_artifact;
        result.context = &f;
        EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
        assert_int_equal(f.ends, 1);
        assert_true(f.size > 1000);
        assert_true(strtoull(out_memory, NULL, 10) == f.hash);
    }
    expect_clean();
}

#define FILE_SIZE 400000u

static int read_pattern(void *context, unsb_size offset, void *buffer, size_t size)
{
    size_t i;

    (void)context;
    for (i = 0; i < size; i++)
        ((char *)buffer)[i] = (char)('0' + (offset + i) * 7 / 5 % 75);
    return (int)size;
}

static int hash_output(void *context, const void *data, size_t size)
{
    flow *f = (flow *)context;

    f->hash = fnv(f->hash, data, size);
    f->size += size;
    return UNSB_OK;
}

/* A file goes there and comes back as output, piece by piece. */
static void files(void **state)
{
    static char want[FILE_SIZE];

    (void)state;
    (void)read_pattern(NULL, 0, want, sizeof want);
    for (EVERY_SET_UP(setup)) {
        unsb_program program = program_of("sh", "cat data.bin");
        flow f = {FNV_START, 0, 0};
        unsb_file file;
        open_set_up(setup);
        memset(&file, 0, sizeof file);
        file.name = "data.bin";
        file.source.size = FILE_SIZE;
        file.source.read = read_pattern;
        program.files = &file;
        program.file_count = 1;
        result.out.write = hash_output;
        result.out.context = &f;
        EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
        assert_int_equal(f.size, FILE_SIZE);
        assert_true(f.hash == fnv(FNV_START, want, sizeof want));
    }
    expect_clean();
}

static int count_item(void *context, const unsb_result *item)
{
    (void)item;
    ++*(unsigned *)context;
    return UNSB_OK;
}

static void keys_and_languages(void **state)
{
    unsb_key key;
    unsigned count;

    (void)state;
    for (EVERY_SET_UP(setup)) {
        begin_service(setup >= MODES, setup % MODES);
        g.config.api_key = PUBLIC_KEY;
        g.config.secret_key = SECRET_KEY; /* signed, so unix_time counts */
        begun();
        expect_there(outcome());
        EXPECT(UNSB_OK, unsb_key_validate(&g.client, &key, &result));
        assert_true(key.valid);
        count = 0;
        result.on_item = count_item;
        result.context = &count;
        EXPECT(UNSB_OK, unsb_languages(&g.client, &result));
        assert_true(count >= 3); /* those that the service can run here: Python, C and sh at least */
        begin_service(setup >= MODES, setup % MODES);
        g.config.api_key = "unsb-sk-wrong-wrong-wrong-12345";
        begun();
        EXPECT(UNSB_E_UNAUTHORIZED, outcome());
    }
    expect_clean();
}

/* A program that is silent for a while: the client sleeps meanwhile. */
static void silent_program(void **state)
{
    unsb_program program = program_of("sh", "sleep 0.5; echo there");
    unsigned tls;

    (void)state;
    for (tls = 0; tls < 2; tls++) {
        unsigned rounds = 0;
        int rc;
        begin_service(tls != 0, EVENTS);
        begun();
        rc = unsb_execute(&g.client, &program, &result);
        for (; rc == UNSB_PENDING; rounds++) {
            rig_wait();
            rc = unsb_poll(&g.client);
        }
        expect_there(rc);
        assert_in_range(rounds, 2, 200);
    }
}

/* ======================================================================
 * >>resolving
 * ====================================================================== */

static void not_resolved(void **state)
{
    static const int errors[] = {0, WSAHOST_NOT_FOUND, WSATRY_AGAIN, WSANO_RECOVERY};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(errors); i++)
        for (EVERY_MODE(mode)) {
            stub_set(NULL, 0, NULL, 0);
            stub.error = errors[i];
            begin(false, mode, "unknown.test", 80);
            begun();
            assert_int_equal(outcome(), UNSB_E_RESOLVE);
            assert_int_equal(g.tcp.resolve_error, errors[i] != 0 ? errors[i] : WSAHOST_NOT_FOUND);
            assert_int_equal(outcome(), UNSB_E_RESOLVE);
            stub_set("127.0.0.1", plain_port, NULL, 0);
            expect_there(outcome());
        }
    assert_int_equal(wcscmp(stub.host, L"unknown.test"), 0);
    assert_int_equal(wcscmp(stub.port, L"80"), 0);
    expect_clean();
}

static void resolved(void **state)
{
    (void)state;
    for (EVERY_MODE(mode)) {
        stub_set("127.0.0.1", 0, NULL, 0);
        begin(false, mode, "service.test", plain_port);
        begun();
        expect_there(outcome());
        assert_int_equal(stub.lists, 0); /* given back once connected */
        /* by the system's own resolver */
        begin(false, mode, "localhost", plain_port);
        begun();
        expect_there(outcome());
    }
    expect_clean();
}

/* Called directly: the client lets only printable ASCII through. */
static int connect_to(const char *host, uint16_t port)
{
    unsb_transport t = unsb_winsock_transport(&g.tcp);
    int rc;

    while ((rc = t.vtable->connect(t.context, host, port)) == UNSB_PENDING)
        assert_int_equal(t.vtable->wait(t.context, UNSB_WRITABLE, PATIENCE_MS), UNSB_OK);
    t.vtable->close(t.context);
    return rc;
}

static void hosts(void **state)
{
    static const uint16_t ports[] = {0, 9, 10, 999, 10000, 65535};
    unsigned before = stub_begun();
    char host[258];
    size_t i;

    (void)state;
    memset(host, 'h', sizeof host);
    host[256] = '\0';
    stub_set("127.0.0.1", plain_port, NULL, 0);
    assert_int_equal(connect_to(NULL, 80), UNSB_E_RESOLVE);
    assert_int_equal(connect_to("", 80), UNSB_E_RESOLVE);
    assert_int_equal(connect_to(host, 80), UNSB_E_RESOLVE);
    assert_int_equal(connect_to("b\xFF.test", 80), UNSB_E_RESOLVE);
    assert_int_equal(connect_to("\xC0\xAF.test", 80), UNSB_E_RESOLVE);
    assert_int_equal(g.tcp.resolve_error, WSAHOST_NOT_FOUND);
    assert_int_equal(stub_begun(), before);
    host[255] = '\0';
    assert_int_equal(connect_to(host, 80), UNSB_OK);
    assert_int_equal(wcslen(stub.host), 255);
    assert_int_equal(connect_to("b\xC3\xBC"
                                "cher\xF0\x9F\x98\x80.test",
                                80),
                     UNSB_OK);
    assert_int_equal(wcscmp(stub.host, L"b\x00FC"
                                       L"cher\xD83D\xDE00.test"),
                     0);
    for (i = 0; i < COUNT(ports); i++) {
        assert_int_equal(connect_to("port.test", ports[i]), UNSB_OK);
        assert_int_equal(wcstoul(stub.port, NULL, 10), ports[i]);
        assert_true(stub.port[0] != L'0' || ports[i] == 0);
    }
    expect_clean();
}

/* The client gives up, is closed, and its memory is freed, all while the resolver is still at work.
 */
static void slow_resolver(void **state)
{
    unsigned way;

    (void)state;
    for (way = 0; way < 6; way++) { /* time-out, abort, close; the first blocking */
        unsb_winsock *tcp = (unsb_winsock *)malloc(sizeof *tcp);
        unsb_client *client = (unsb_client *)malloc(sizeof *client);
        char *buffer = (char *)malloc(512), *host = (char *)malloc(20);
        unsb_program program = one_line();
        unsigned before = stub_begun();
        unsb_config config;
        bool got_there;
        int rc;

        assert_true(tcp != NULL && client != NULL && buffer != NULL && host != NULL);
        stub_set("127.0.0.1", plain_port, NULL, 0);
        stub_hold(true);
        (void)strcpy(host, "slow.test");
        memset(&config, 0, sizeof config);
        memset(&result, 0, sizeof result);
        config.transport = unsb_winsock_transport(tcp);
        config.api_key = SAMPLE_KEY;
        config.buffer = buffer;
        config.buffer_size = 512;
        config.host = host;
        config.now_ms = unsb_winsock_now_ms;
        config.connect_timeout_ms = 200;
        config.nonblocking = way != 0;
        assert_int_equal(unsb_init(client, &config), UNSB_OK);
        rc = unsb_execute(client, &program, &result);
        while (way % 3 == 0 && rc == UNSB_PENDING) {
            uint32_t timeout_ms;
            int interest = unsb_interest(client, &timeout_ms);
            HANDLE event = unsb_winsock_event(tcp, interest);
            assert_true(interest == UNSB_READABLE || timeout_ms == 0);
            assert_true(timeout_ms <= 200);
            if (timeout_ms != 0)
                assert_int_equal(WaitForSingleObject(event, timeout_ms), WAIT_TIMEOUT);
            rc = unsb_poll(client);
        }
        if (way % 3 == 0) {
            assert_int_equal(rc, UNSB_E_TIMEOUT);
        } else {
            while (rc == UNSB_PENDING && tcp->lookup == NULL)
                rc = unsb_poll(client);
            assert_int_equal(rc, UNSB_PENDING);
            assert_true(unsb_winsock_socket(tcp) == INVALID_SOCKET);
            if (way % 3 == 1) {
                unsb_abort(client);
                assert_int_equal(unsb_poll(client), UNSB_E_ABORTED);
            }
        }
        EVENTUALLY(stub_begun() != before, got_there);
        unsb_close(client);
        free(tcp);
        free(client);
        free(buffer);
        memset(host, 'x', 20);
        free(host);
        assert_true(got_there);
        assert_int_equal(wcscmp(stub.host, L"slow.test"), 0);
        assert_int_equal(startups, 1); /* the thread's */
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
    stub_set("127.0.0.1", plain_port, NULL, 0);
    begin(false, EVENTS, "slow.test", 9);
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
    expect_there(rig_end(rc));
    expect_clean();
}

/* A resolver that hangs is asked once for each host and port, however often the clients give up. */
static void one_look_up(void **state)
{
    static unsb_winsock other;
    unsb_transport t = unsb_winsock_transport(&other);
    unsigned before = stub_begun(), i;
    int rc;

    (void)state;
    stub_set("127.0.0.1", plain_port, NULL, 0);
    stub_hold(true);
    for (i = 0; i < 100; i++) {
        if (i % 50 == 0) { /* a new client, too */
            begin(false, BLOCKING, "hung.test", 9);
            g.config.connect_timeout_ms = 5;
            begun();
        }
        assert_int_equal(outcome(), UNSB_E_TIMEOUT);
    }
    rig_close();
    assert_int_equal(t.vtable->connect(t.context, "hung.test", 9), UNSB_PENDING);
    begin(false, BLOCKING, "hung.test", 10);
    g.config.connect_timeout_ms = 200;
    begun();
    assert_int_equal(outcome(), UNSB_E_TIMEOUT);
    rig_close();
    assert_int_equal(stub_begun(), before + 2); /* the host, and the other port */
    stub_hold(false);
    while ((rc = t.vtable->connect(t.context, "hung.test", 9)) == UNSB_PENDING)
        assert_int_equal(t.vtable->wait(t.context, UNSB_WRITABLE, PATIENCE_MS), UNSB_OK);
    assert_int_equal(rc, UNSB_OK);
    t.vtable->close(t.context);
    expect_clean();
}

/* The DLL that holds the port is unloaded while its thread resolves: it stays until that ends. */
static void unloaded_while_resolving(void **state)
{
    typedef int (*entry)(HANDLE begun, HANDLE go_on);
    HANDLE look_up = CreateEventW(NULL, TRUE, FALSE, NULL);
    HANDLE go_on = CreateEventW(NULL, TRUE, FALSE, NULL);
    HMODULE module = LoadLibraryW(L"lookup.dll");
    entry start;
    bool gone;

    (void)state;
    assert_non_null(module);
    start = (entry)(uintptr_t)(void *)(uintptr_t)GetProcAddress(module, "start_look_up");
    assert_true(start != NULL);
    assert_int_equal(start(look_up, go_on), UNSB_PENDING);
    assert_int_equal(WaitForSingleObject(look_up, PATIENCE_MS), WAIT_OBJECT_0);
    assert_true(FreeLibrary(module) != 0);
    assert_non_null(GetModuleHandleW(L"lookup.dll"));
    (void)SetEvent(go_on);
    EVENTUALLY(GetModuleHandleW(L"lookup.dll") == NULL, gone);
    assert_true(gone);
    (void)CloseHandle(look_up);
    (void)CloseHandle(go_on);
}

/* ======================================================================
 * >>connecting
 * ====================================================================== */

static void refused(void **state)
{
    uint16_t port;
    SOCKET s = loopback_socket(&port, -1);

    (void)state;
    for (EVERY_MODE(mode)) {
        begin(false, mode, "127.0.0.1", port);
        begun();
        assert_int_equal(outcome(), UNSB_E_CONNECT);
        assert_int_equal(g.tcp.error, WSAECONNREFUSED);
        assert_int_equal(result.http_status, 0);
        stub_set("127.0.0.1", port, "127.0.0.1", port);
        begin(false, mode, "refused.test", 9);
        begun();
        assert_int_equal(outcome(), UNSB_E_CONNECT);
        assert_int_equal(g.tcp.error, WSAECONNREFUSED);
        /* again: an operation after a failed one starts anew */
        assert_int_equal(outcome(), UNSB_E_CONNECT);
        stub_set("127.0.0.1", plain_port, NULL, 0);
        expect_there(outcome());
        begin(true, mode, "localhost", port);
        begun();
        assert_int_equal(outcome(), UNSB_E_CONNECT);
    }
    (void)closesocket(s);
    expect_clean();
}

static void second_address(void **state)
{
    uint16_t dead;
    SOCKET s = loopback_socket(&dead, -1);

    (void)state;
    for (EVERY_MODE(mode)) {
        stub_set("127.0.0.1", dead, "127.0.0.1", plain_port);
        begin(false, mode, "two.test", 9);
        begun();
        expect_there(outcome());
        assert_int_equal(g.tcp.error, 0);
        /* usually no one listens there on IPv6; without IPv6 there is no such socket at all */
        stub_set("::1", dead, "127.0.0.1", plain_port);
        begin(false, mode, "two.test", 9);
        begun();
        expect_there(outcome());
    }
    (void)closesocket(s);
    expect_clean();
}

/* A listener whose queue is full leaves connections unanswered. The sockets that fill it are
 * returned; 0 of them: this system does not behave so. */
static size_t fill_queue(uint16_t port, SOCKET *sockets, size_t max)
{
    struct sockaddr_in address;
    size_t count = 0;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    while (count < max) {
        SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
        struct timeval time = {0, 100000};
        u_long yes = 1;
        fd_set sets[2];
        (void)ioctlsocket(s, (long)FIONBIO, &yes);
        (void)connect(s, (const struct sockaddr *)(const void *)&address, sizeof address);
        sockets[count++] = s;
        sets[0].fd_count = sets[1].fd_count = 1;
        sets[0].fd_array[0] = sets[1].fd_array[0] = s;
        if (select(0, NULL, &sets[0], &sets[1], &time) == 0)
            return count;
    }
    while (count != 0)
        (void)closesocket(sockets[--count]);
    return 0;
}

/* An address that does not answer, if the system has one. */
static struct {
    SOCKET listener;
    uint16_t port;
    SOCKET sockets[16];
    size_t count;
} mute;

static void speak(void)
{
    while (mute.count != 0)
        (void)closesocket(mute.sockets[--mute.count]);
    if (mute.port != 0)
        (void)closesocket(mute.listener);
    mute.port = 0;
}

static uint16_t hush(void)
{
    speak();
    mute.listener = loopback_socket(&mute.port, 0);
    mute.count = fill_queue(mute.port, mute.sockets, COUNT(mute.sockets));
    if (mute.count == 0) {
        speak();
        print_message("# skipped: connections to a full queue are not left unanswered here\n");
        skip();
    }
    return mute.port;
}

static void silent_address(void **state)
{
    uint16_t port = hush();

    (void)state;
    for (EVERY_MODE(mode)) {
        stub_set("127.0.0.1", port, "127.0.0.1", plain_port);
        begin(false, mode, "two.test", 9);
        begun();
        g.tcp.address_timeout_ms = 50;
        expect_there(outcome());
        stub_set("127.0.0.1", port, NULL, 0);
        begin(false, mode, "one.test", 9);
        g.config.connect_timeout_ms = 100;
        begun();
        assert_int_equal(outcome(), UNSB_E_TIMEOUT);
        assert_true(unsb_winsock_socket(&g.tcp) == INVALID_SOCKET);
        assert_null(unsb_winsock_event(&g.tcp, UNSB_WRITABLE));
    }
    expect_clean();
}

/* Of so many addresses all but the last one are silent. It takes a quarter of a second for each:
 * one after the other, with 5 s for each, it would not be over in the time that is given here. */
static void silent_addresses(void **state)
{
    static const unsigned counts[] = {1, 7};
    uint16_t port = hush();
    size_t i, n;

    (void)state;
    for (EVERY_MODE(mode))
        for (i = 0; i < COUNT(counts); i++) {
            uint32_t since = unsb_winsock_now_ms(NULL), passed;
            stub_set("127.0.0.1", port, NULL, 0);
            for (n = 1; n < counts[i]; n++)
                stub_more("127.0.0.1", port);
            stub_more("127.0.0.1", plain_port);
            begin(false, mode, "many.test", 9);
            begun();
            seen.count = 0;
            expect_there(outcome());
            passed = unsb_winsock_now_ms(NULL) - since;
            assert_int_equal(seen.count, counts[i] + 1);
            assert_true(passed >= counts[i] * 250u - 50u && passed < counts[i] * 250u + 15000u);
            print_message("# figures: %u silent addresses of %u: %u ms\n", counts[i], counts[i] + 1,
                          (unsigned)passed);
        }
    expect_clean();
}

static int connect_by_wait(const unsb_transport *t, const char *host, uint16_t port)
{
    int rc;

    while ((rc = t->vtable->connect(t->context, host, port)) == UNSB_PENDING)
        assert_int_equal(t->vtable->wait(t->context, UNSB_WRITABLE, PATIENCE_MS), UNSB_OK);
    return rc;
}

/* More silent addresses than may be under way at a time: the oldest makes room. */
static void no_room(void **state)
{
    unsb_winsock tcp;
    unsb_transport t = unsb_winsock_transport(&tcp);
    uint16_t port = hush();
    size_t i;

    (void)state;
    stub_set("127.0.0.1", port, NULL, 0);
    for (i = 1; i < UNSB_WINSOCK_ATTEMPTS + 1; i++)
        stub_more("127.0.0.1", port);
    stub_more("127.0.0.1", plain_port);
    tcp.address_timeout_ms = 1; /* which the least is taken for */
    seen.count = 0;
    assert_int_equal(connect_by_wait(&t, "crowd.test", 9), UNSB_OK);
    assert_int_equal(seen.count, UNSB_WINSOCK_ATTEMPTS + 2);
    t.vtable->close(t.context);
    expect_clean();
}

/* RFC 8305 section 4: the families by turns, the first of the list first. */
static void families_by_turns(void **state)
{
    static const int families[] = {AF_INET, AF_INET6, AF_INET, AF_INET};
    static const size_t order[] = {0, 3, 1, 2};
    uint16_t ports[4];
    SOCKET sockets[4];
    size_t i;

    (void)state;
    if (six_port == 0) {
        print_message("# skipped: there is no ::1\n");
        skip();
    }
    for (i = 0; i < COUNT(sockets); i++)
        sockets[i] = loopback_socket(&ports[i], -1);
    for (EVERY_MODE(mode)) {
        stub_set("127.0.0.1", ports[0], "127.0.0.1", ports[1]);
        stub_more("127.0.0.1", ports[2]);
        stub_more("::1", ports[3]);
        begin(false, mode, "turns.test", 9);
        begun();
        seen.count = 0;
        assert_int_equal(outcome(), UNSB_E_CONNECT);
        assert_int_equal(seen.count, 4);
        for (i = 0; i < 4; i++) {
            assert_int_equal(seen.families[i], families[i]);
            assert_int_equal(seen.ports[i], ports[order[i]]);
        }
    }
    for (i = 0; i < COUNT(sockets); i++)
        (void)closesocket(sockets[i]);
    expect_clean();
}

/* What answered last is first at the next connect, as long as the name stands for it. */
static void known_address(void **state)
{
    uint16_t dead;
    SOCKET s = loopback_socket(&dead, -1);
    size_t i;

    (void)state;
    for (EVERY_MODE(mode)) {
        stub_set("127.0.0.1", dead, "127.0.0.1", plain_port);
        begin(false, mode, "known.test", 9);
        g.config.no_keep_alive = true;
        begun();
        for (i = 0; i < 3; i++) {
            seen.count = 0;
            expect_there(outcome());
            assert_int_equal(seen.count, i == 0 ? 2 : 1);
            assert_int_equal(seen.ports[0], i == 0 ? dead : plain_port);
        }
        stub_set("127.0.0.1", dead, NULL, 0);
        seen.count = 0;
        assert_int_equal(outcome(), UNSB_E_CONNECT);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.ports[0], dead);
    }
    (void)closesocket(s);
    expect_clean();
}

static void ipv6(void **state)
{
    uint16_t dead;
    SOCKET s;

    (void)state;
    if (six_port == 0) {
        print_message("# skipped: there is no ::1\n");
        skip();
    }
    s = loopback_socket(&dead, -1);
    for (EVERY_MODE(mode)) {
        begin(true, mode, "::1", six_port); /* the certificate names the address */
        begun();
        expect_there(outcome());
        stub_set("127.0.0.1", dead, "::1", six_port);
        begin(true, mode, "localhost.test", 9);
        begun();
        assert_int_equal(outcome(), UNSB_E_CERTIFICATE); /* it was reached */
    }
    (void)closesocket(s);
    expect_clean();
}

/* ======================================================================
 * >>peers that misbehave
 * ====================================================================== */

static void serve_silence(peer *p, SOCKET s)
{
    peer_drain(p, s);
}

/* Takes nothing. */
static void serve_nothing(peer *p, SOCKET s)
{
    (void)s;
    while (InterlockedCompareExchange(&p->stop, 0, 0) == 0)
        Sleep(5);
}

static void serve_reset(peer *p, SOCKET s)
{
    (void)p;
    reset_on_close(s);
}

/* The whole request, so that it was sent for certain. */
static void read_request(peer *p, SOCKET s)
{
    char text[8192];
    size_t have = 0, got;

    memset(text, 0, sizeof text);
    while (have + 1 < sizeof text && strstr(text, "there\"}") == NULL &&
           (got = peer_recv(p, s, text + have, sizeof text - 1 - have)) != 0)
        have += got;
}

static void serve_request_and_reset(peer *p, SOCKET s)
{
    read_request(p, s);
    reset_on_close(s);
}

static void serve_request_and_end(peer *p, SOCKET s)
{
    read_request(p, s);
}

static void serve_half_an_answer(peer *p, SOCKET s)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"succ";

    read_request(p, s);
    (void)send(s, text, sizeof text - 1, 0);
}

/* Answers before it was asked, takes nothing, and ends. */
static void serve_refusal(peer *p, SOCKET s)
{
    static const char text[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";

    (void)send(s, text, sizeof text - 1, 0);
    (void)shutdown(s, SD_SEND);
    peer_drain(p, s);
}

static void serve_garbage(peer *p, SOCKET s)
{
    static const char text[] = "SSH-2.0-OpenSSH_9.2\r\n";

    (void)send(s, text, sizeof text - 1, 0);
    (void)shutdown(s, SD_SEND);
    peer_drain(p, s);
}

static int outcome_with(void (*serve)(peer *p, SOCKET s), unsigned mode)
{
    static peer p;
    int rc;

    peer_start(&p, serve);
    begin(false, mode, "127.0.0.1", p.port);
    begun();
    rc = outcome();
    /* a connection that failed is given up at once; one that brought an answer may be kept */
    if (rc > UNSB_E_BAD_REQUEST)
        assert_true(unsb_winsock_socket(&g.tcp) == INVALID_SOCKET);
    rig_close();
    peer_stop();
    return rc;
}

static void resets_and_ends(void **state)
{
    unsigned round;

    (void)state;
    for (round = 0; round < 3; round++)
        for (EVERY_MODE(mode)) {
            int rc = outcome_with(serve_reset, mode);
            /* it may come while the connection is made, while the request is sent, or later */
            assert_true(rc == UNSB_E_CONNECT || rc == UNSB_E_IO || rc == UNSB_E_CLOSED);
            assert_int_equal(outcome_with(serve_request_and_reset, mode), UNSB_E_IO);
            assert_int_equal(g.tcp.error, WSAECONNRESET);
            assert_int_equal(outcome_with(serve_request_and_end, mode), UNSB_E_CLOSED);
            assert_int_equal(outcome_with(serve_half_an_answer, mode), UNSB_E_TRUNCATED);
            assert_int_equal(outcome_with(serve_refusal, mode), UNSB_E_TOO_LARGE);
            assert_int_equal(outcome_with(serve_garbage, mode), UNSB_E_HTTP);
        }
    expect_clean();
}

static void silent_peers(void **state)
{
    static char large[3000000];
    static peer p;
    unsb_call call;

    (void)state;
    memset(&call, 0, sizeof call);
    memset(large, 'x', sizeof large);
    for (EVERY_MODE(mode)) {
        unsigned way;
        /* one that says nothing, also in place of a handshake; one that does not even read */
        for (way = 0; way < 3; way++) {
            peer_start(&p, way < 2 ? serve_silence : serve_nothing);
            begin(way == 1, mode, way == 1 ? "localhost" : "127.0.0.1", p.port);
            g.config.idle_timeout_ms = 100;
            g.config.connect_timeout_ms = way == 1 ? 100 : PATIENCE_MS;
            begun();
            call.method = way == 2 ? "POST" : "GET";
            call.path = "/";
            call.body = unsb_bytes(large, way == 2 ? sizeof large : 0);
            EXPECT(UNSB_E_TIMEOUT, unsb_request(&g.client, &call, &result));
            assert_true(unsb_winsock_socket(&g.tcp) == INVALID_SOCKET);
            peer_stop();
        }
        begin_service(false, mode); /* and the same memory serves again */
        begun();
        expect_there(outcome());
    }
    expect_clean();
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

static void before_and_after_a_connection(void **state)
{
    unsb_winsock tcp;
    unsb_transport t = unsb_winsock_transport(&tcp);
    uint32_t before;
    uint16_t port;
    SOCKET s = loopback_socket(&port, -1);
    DWORD flags = HANDLE_FLAG_INHERIT;
    char byte = 0;

    (void)state;
    t.vtable->close(t.context);
    assert_true(unsb_winsock_socket(&tcp) == INVALID_SOCKET);
    assert_null(unsb_winsock_event(&tcp, UNSB_READABLE));
    assert_int_equal(t.vtable->send(t.context, &byte, 1), UNSB_E_IO);
    assert_int_equal(t.vtable->recv(t.context, &byte, 1), UNSB_E_IO);
    assert_int_equal(tcp.error, WSAENOTCONN);
    before = unsb_winsock_now_ms(NULL);
    assert_int_equal(t.vtable->wait(t.context, 0, 50), UNSB_E_TIMEOUT);
    assert_true(unsb_winsock_now_ms(NULL) - before >= 20); /* waits end with a tick of 16 ms */
    assert_int_equal(t.vtable->wait(t.context, 0, 0), UNSB_E_TIMEOUT);
    /* nothing to wait for must not be a wait for ever */
    assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
    assert_int_equal(connected(&t, port), UNSB_E_CONNECT);
    assert_int_equal(connected(&t, port), UNSB_E_CONNECT);
    assert_int_equal(tcp.error, WSAECONNREFUSED);
    assert_int_equal(t.vtable->recv(t.context, &byte, 1), UNSB_E_CONNECT);
    assert_int_equal(t.vtable->send(t.context, &byte, 1), UNSB_E_CONNECT);
    t.vtable->close(t.context);
    assert_int_equal(connected(&t, plain_port), UNSB_OK);
    assert_true(GetHandleInformation((HANDLE)unsb_winsock_socket(&tcp), &flags) != 0);
    assert_int_equal(flags & HANDLE_FLAG_INHERIT, 0);
    assert_int_equal(t.vtable->recv(t.context, &byte, 1), 0);
    assert_int_equal(t.vtable->recv(t.context, &byte, 0), 0);
    assert_int_equal(t.vtable->send(t.context, &byte, 0), 0);
    assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE, 1), UNSB_E_TIMEOUT);
    assert_int_equal(t.vtable->wait(t.context, UNSB_WRITABLE, UNSB_FOREVER), UNSB_OK);
    assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE | UNSB_WRITABLE, 0), UNSB_OK);
    t.vtable->close(t.context);
    t.vtable->close(t.context);
    (void)closesocket(s);
    expect_clean();
}

/* The event is signalled as long as there is something, however often it was asked for. */
static void events_stay(void **state)
{
    unsb_winsock tcp;
    unsb_transport t = unsb_winsock_transport(&tcp);
    static const char request[] = "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";
    unsigned round;
    char byte;

    (void)state;
    assert_int_equal(connected(&t, plain_port), UNSB_OK);
    for (round = 0; round < 5; round++)
        assert_int_equal(WaitForSingleObject(unsb_winsock_event(&tcp, UNSB_WRITABLE), 0),
                         WAIT_OBJECT_0);
    assert_int_equal(WaitForSingleObject(unsb_winsock_event(&tcp, UNSB_READABLE), 20),
                     WAIT_TIMEOUT);
    assert_int_equal(t.vtable->send(t.context, request, sizeof request - 1), sizeof request - 1);
    assert_int_equal(WaitForSingleObject(unsb_winsock_event(&tcp, UNSB_READABLE), PATIENCE_MS),
                     WAIT_OBJECT_0);
    for (round = 0; round < 5; round++) {
        assert_int_equal(t.vtable->recv(t.context, &byte, 1), 1);
        assert_int_equal(WaitForSingleObject(unsb_winsock_event(&tcp, UNSB_READABLE), 0),
                         WAIT_OBJECT_0);
    }
    t.vtable->close(t.context);
}

/* Each call of the system fails once: an error that says so, and nothing is left. */
static void faults_at_every_call(void **state)
{
    unsigned at, total = 0;

    (void)state;
    stub_set("127.0.0.1", plain_port, NULL, 0);
    for (at = 1;; at++) {
        int rc;
        begin(false, BLOCKING, "fault.test", 9);
        begun();
        fault_calls = 0;
        fault_at = at;
        rc = outcome();
        fault_at = 0;
        if (fault_calls < at) {
            expect_there(rc);
            break;
        }
        total++;
        assert_true(rc == UNSB_E_CONNECT || rc == UNSB_E_RESOLVE);
        assert_true(g.tcp.error == WSASYSNOTREADY || g.tcp.error == ERROR_NOT_ENOUGH_MEMORY ||
                    g.tcp.error == ERROR_MOD_NOT_FOUND || g.tcp.error == WSAEMFILE ||
                    g.tcp.error == WSAENETDOWN);
        if (rc == UNSB_E_RESOLVE)
            assert_int_equal(g.tcp.resolve_error, WSATRY_AGAIN);
        expect_there(outcome());
        expect_clean();
    }
    /* WSAStartup, event, block, module, WSAStartup, thread, socket, its mode */
    assert_int_equal(total, 8);
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
        stub_set("127.0.0.1", plain_port, NULL, 0);
        break;
    case 1:
        stub_set("127.0.0.1", refused_port, "127.0.0.1", plain_port);
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
        stub_set("127.0.0.1", plain_port, NULL, 0);
        stub_hold(true);
        break;
    default:
        stub_set("::1", refused_port, "127.0.0.1", refused_port);
        break;
    }
    begin(way % 5 == 0, EVENTS, way % 2 != 0 ? "many.test" : "127.0.0.1",
          way % 2 != 0 ? 9 : silent_port);
    begun();
    rc = unsb_execute(&g.client, &program, &result);
    while (rc == UNSB_PENDING && polls-- != 0) {
        Sleep(1);
        (void)unsb_winsock_event(&g.tcp, unsb_interest(&g.client, NULL));
        rc = unsb_poll(&g.client);
    }
    if (way % 3 == 0)
        unsb_abort(&g.client);
    unsb_close(&g.client);
    g.open = false;
    stub_hold(false);
}

static void handles(void **state)
{
    uint16_t refused_port;
    unsigned before, way, round;
    bool same;
    SOCKET s;
    static peer p;

    (void)state;
    s = loopback_socket(&refused_port, -1);
    peer_start(&p, serve_silence);
    give_up(5, refused_port, p.port); /* the first thread may bring things that stay */
    give_up(0, refused_port, p.port);
    expect_clean();
    Sleep(50);
    before = open_handles();
    for (way = 0; way < 150; way++)
        give_up(way, refused_port, p.port);
    for (round = 0; round < 30; round++) {
        begin_service(round % 2 != 0, round % MODES);
        begun();
        expect_there(outcome());
    }
    expect_clean();
    /* the peer closes its sockets, and threads end, when they get to it */
    EVENTUALLY(open_handles() == before, same);
    if (!same)
        fail_msg("%u handles, %u before", open_handles(), before);
    (void)closesocket(s);
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
        begin(false, BLOCKING, "127.0.0.1", plain_port);
        begun();
        t.vtable = &unsbi_winsock_class;
        t.context = &g.tcp;
        if (round == 1)
            assert_int_equal(unsb_winsock_interruptible(&g.tcp, true), UNSB_OK);
        unsb_winsock_interrupt(&g.tcp);
        unsb_winsock_interrupt(&g.tcp);
        EXPECT(UNSB_E_ABORTED, unsb_execute(&g.client, &program, &result));
        EXPECT(UNSB_E_ABORTED, unsb_execute(&g.client, &program, &result));
        assert_int_equal(t.vtable->wait(t.context, 0, PATIENCE_MS), UNSB_E_ABORTED);
        assert_int_equal(t.vtable->send(t.context, &byte, 1), UNSB_E_ABORTED);
        assert_int_equal(t.vtable->recv(t.context, &byte, 1), UNSB_E_ABORTED);
        assert_int_equal(unsb_winsock_interruptible(&g.tcp, round == 1), UNSB_OK);
        assert_int_equal(t.vtable->wait(t.context, 0, 1), UNSB_E_TIMEOUT);
        expect_there(unsb_execute(&g.client, &program, &result));
        /* between two calls, with a connection that is kept */
        unsb_winsock_interrupt(&g.tcp);
        EXPECT(UNSB_E_ABORTED, unsb_execute(&g.client, &program, &result));
        assert_int_equal(unsb_winsock_interruptible(&g.tcp, round == 1), UNSB_OK);
        expect_there(unsb_execute(&g.client, &program, &result));
        assert_int_equal(unsb_winsock_interruptible(&g.tcp, false), UNSB_OK);
        assert_null(g.tcp.interrupt);
    }
    expect_clean();
}

enum { IN_LOOK_UP, IN_CONNECT, IN_HANDSHAKE, IN_SEND, IN_ANSWER, IN_PAUSE, PHASES };

static DWORD WINAPI interrupt_later(void *context)
{
    Sleep(100); /* by then it waits, most often; if not, the outcome is the same */
    unsb_winsock_interrupt((unsb_winsock *)context);
    return 0;
}

/* The outcome of a call that nothing but an interrupt ends. */
static int call_in_phase(unsigned phase)
{
    static char large[3000000];
    unsb_call call;

    if (phase == IN_PAUSE)
        return unsbi_winsock_class.wait(&g.tcp, 0, PATIENCE_MS);
    memset(&call, 0, sizeof call);
    call.method = "POST";
    call.path = "/";
    call.body = unsb_bytes(large, phase == IN_SEND ? sizeof large : 1);
    return unsb_request(&g.client, &call, &result);
}

static void interrupted_within(void **state)
{
    static peer p;
    unsigned phase;

    (void)state;
    for (phase = 0; phase < PHASES; phase++) {
        uint16_t port = phase == IN_CONNECT ? hush() : 0;
        HANDLE thread;
        if (phase != IN_CONNECT && phase != IN_LOOK_UP) {
            peer_start(&p, phase == IN_SEND ? serve_nothing : serve_silence);
            port = p.port;
        }
        stub_set("127.0.0.1", port, NULL, 0);
        stub_hold(phase == IN_LOOK_UP);
        begin(phase == IN_HANDSHAKE, BLOCKING,
              phase == IN_LOOK_UP ? "interrupt.test" : "127.0.0.1", port);
        g.config.retries = 3; /* it is no failure that another attempt could mend */
        begun();
        assert_int_equal(unsb_winsock_interruptible(&g.tcp, true), UNSB_OK);
        thread = CreateThread(NULL, 0, interrupt_later, &g.tcp, 0, NULL);
        assert_non_null(thread);
        assert_int_equal(call_in_phase(phase), UNSB_E_ABORTED);
        (void)WaitForSingleObject(thread, INFINITE);
        (void)CloseHandle(thread);
        (void)unsb_winsock_interruptible(&g.tcp, false);
        rig_close();
        stub_hold(false);
        peer_stop();
        speak();
    }
    expect_clean();
}

/* What the port hands over while the peer reads nothing is bounded, so that progress is what the
 * peer takes. */
static void unsent_bytes(void **state)
{
    static const char text[300000];
    unsb_winsock tcp;
    unsb_transport t = unsb_winsock_transport(&tcp);
    uint16_t port;
    SOCKET listener = loopback_socket(&port, 8), s;
    size_t total = 0;
    unsigned refused = 0;
    int rc, small_buffer = 65536;

    (void)state;
    (void)setsockopt(listener, SOL_SOCKET, SO_RCVBUF, (const char *)&small_buffer,
                     sizeof small_buffer);
    assert_int_equal(connected(&t, port), UNSB_OK);
    s = accept(listener, NULL, NULL);
    while (refused < 20) {
        rc = t.vtable->send(t.context, text, sizeof text);
        assert_true(rc >= 0 && rc <= 65536);
        total += (size_t)rc;
        refused = rc == 0 ? refused + 1 : 0;
        if (rc == 0)
            Sleep(1);
        assert_true(total < 10000000);
    }
    print_message("# figures: taken of what the peer does not read: %u KB\n",
                  (unsigned)(total / 1024));
    assert_true(total < 1200000);
    while (total != 0) {
        static char piece[65536];
        rc = recv(s, piece, sizeof piece, 0);
        assert_true(rc > 0);
        total -= (size_t)rc;
    }
    assert_int_equal(t.vtable->wait(t.context, UNSB_WRITABLE, PATIENCE_MS), UNSB_OK);
    assert_true(t.vtable->send(t.context, text, sizeof text) > 0);
    t.vtable->close(t.context);
    (void)closesocket(s);
    (void)closesocket(listener);
}

static void clocks(void **state)
{
    uint32_t ms = unsb_winsock_now_ms(NULL), seconds = unsb_winsock_unix_time(NULL);

    (void)state;
    assert_in_range(seconds - (uint32_t)time(NULL) + 2, 0, 4);
    Sleep(100);
    assert_in_range(unsb_winsock_now_ms(NULL) - ms, 50, PATIENCE_MS);
}

/* ======================================================================
 * >>trust
 * ====================================================================== */

static const char *pki(const char *name)
{
    static char paths[4][600];
    static unsigned next;
    char *path = paths[next++ % 4];
    const char *folder = getenv("UNSB_TEST_PKI");

    (void)snprintf(path, sizeof paths[0], "%s/%s", folder != NULL ? folder : ".", name);
    return path;
}

static void expect_certificate_error(int error)
{
    int rc = outcome();

    if (rc != UNSB_E_CERTIFICATE || g.tls.error != error)
        fail_msg("%d (%s), TLS %d", rc, unsb_error_text(rc), g.tls.error);
}

static void wrong_host(void **state)
{
    (void)state;
    for (EVERY_MODE(mode)) {
        stub_set("127.0.0.1", tls_port, NULL, 0);
        begin(true, mode, "another.test", 9);
        begun();
        expect_certificate_error(BR_ERR_X509_BAD_SERVER_NAME);
        begin(true, mode, "127.1", tls_port); /* an address to the resolver, but not in the open */
        begun();
        expect_certificate_error(BR_ERR_X509_BAD_SERVER_NAME);
        begin(true, mode, "127.0.0.1", tls_port);
        begun();
        expect_there(outcome());
    }
    expect_clean();
}

static void wrong_authority(void **state)
{
    unsb_bearssl_trust other;

    (void)state;
    memset(&other, 0, sizeof other);
    assert_int_equal(unsb_bearssl_load_pem(&other, pki("other.pem")), UNSB_OK);
    begin_service(true, BLOCKING);
    g.secure.anchors = other.anchors;
    g.secure.anchor_count = other.count;
    begun();
    expect_certificate_error(BR_ERR_X509_NOT_TRUSTED);
    rig_close();
    unsb_bearssl_free_trust(&other);
}

/* What Windows' own store holds: none of it has signed the local service's certificate. */
static void windows_roots(void **state)
{
    unsb_bearssl_trust roots;
    unsigned before, round;
    int rc;

    (void)state;
    memset(&roots, 0, sizeof roots);
    rc = unsb_bearssl_load_windows(&roots);
    assert_int_equal(roots.error, 0);
    if (rc != UNSB_OK && roots.count == 0 && roots.skipped == 0) {
        print_message("# skipped: the store of this system has no roots\n");
        skip();
    }
    assert_int_equal(rc, UNSB_OK);
    assert_true(roots.count >= 1);
    (void)fprintf(stderr, "figures: Windows' store has %u anchors, and %u that are left out\n",
                  (unsigned)roots.count, (unsigned)roots.skipped);
    begin_service(true, EVENTS);
    g.secure.anchors = roots.anchors;
    g.secure.anchor_count = roots.count;
    begun();
    expect_certificate_error(BR_ERR_X509_NOT_TRUSTED);
    rig_close();
    /* with the test's authority added, the same anchors do */
    assert_int_equal(unsb_bearssl_load_pem(&roots, pki("ca.pem")), UNSB_OK);
    begin_service(true, EVENTS);
    g.secure.anchors = roots.anchors;
    g.secure.anchor_count = roots.count;
    begun();
    expect_there(outcome());
    rig_close();
    before = open_handles();
    for (round = 0; round < 2; round++) {
        unsb_bearssl_free_trust(&roots);
        assert_int_equal(unsb_bearssl_load_windows(&roots), UNSB_OK);
    }
    assert_int_equal(open_handles(), before);
    unsb_bearssl_free_trust(&roots);
}

static PCCERT_CONTEXT add_to(HCERTSTORE store, const char *name)
{
    unsigned char der[4096];
    PCCERT_CONTEXT added = NULL;
    FILE *file = fopen(pki(name), "rb");
    size_t size;

    assert_non_null(file);
    size = fread(der, 1, sizeof der, file);
    (void)fclose(file);
    if (!CertAddEncodedCertificateToStore(store, X509_ASN_ENCODING, der, (DWORD)size,
                                          CERT_STORE_ADD_REPLACE_EXISTING, &added))
        fail_msg("cannot add %s: %lx", name, GetLastError());
    return added;
}

static void set_property(PCCERT_CONTEXT root, DWORD property, const void *data, size_t size)
{
    CRYPT_DATA_BLOB blob;

    blob.cbData = (DWORD)size;
    blob.pbData = (BYTE *)(uintptr_t)data;
    assert_true(CertSetCertificateContextProperty(root, property, 0, &blob) != 0);
}

/* A store of one root, which may have its purposes as a property: whether it is taken. */
static bool is_taken(const char *name, bool disallow, const BYTE *purposes, size_t size)
{
    HCERTSTORE store = CertOpenStore(CERT_STORE_PROV_MEMORY, 0, 0, 0, NULL);
    HCERTSTORE disallowed = CertOpenStore(CERT_STORE_PROV_MEMORY, 0, 0, 0, NULL);
    PCCERT_CONTEXT root = add_to(store, name);
    unsb_bearssl_trust roots;
    bool taken;

    memset(&roots, 0, sizeof roots);
    if (disallow)
        (void)CertFreeCertificateContext(add_to(disallowed, name));
    if (size != 0)
        set_property(root, CERT_ENHKEY_USAGE_PROP_ID, purposes, size);
    taken = unsbi_windows_load(&roots, store, disallowed) == UNSB_OK;
    assert_int_equal(roots.error, 0);
    assert_int_equal(roots.count, taken);
    assert_int_equal(roots.skipped, !taken);
    unsb_bearssl_free_trust(&roots);
    (void)CertFreeCertificateContext(root);
    assert_true(CertCloseStore(store, CERT_CLOSE_STORE_CHECK_FLAG) != 0);
    assert_true(CertCloseStore(disallowed, CERT_CLOSE_STORE_CHECK_FLAG) != 0);
    return taken;
}

/* Purposes: servers and clients; clients alone; none. */
static const BYTE for_servers[] = {0x30, 20, 6, 8, 0x2B, 6, 1, 5, 5, 7, 3, 2,
                                   6,    8,  0x2B, 6, 1, 5, 5, 7, 3, 1};
static const BYTE for_clients[] = {0x30, 10, 6, 8, 0x2B, 6, 1, 5, 5, 7, 3, 2};
static const BYTE for_nothing[] = {0x30, 0};

/* What Windows does not let a root do, it may not do here. */
static void roots_left_out(void **state)
{
    (void)state;
    assert_true(is_taken("ca.der", false, NULL, 0));
    assert_false(is_taken("ca.der", true, NULL, 0));
    assert_false(is_taken("expired.der", false, NULL, 0));
    assert_false(is_taken("code.der", false, NULL, 0));
    assert_true(is_taken("server.der", false, NULL, 0));
    assert_true(is_taken("ca.der", false, for_servers, sizeof for_servers));
    assert_false(is_taken("ca.der", false, for_clients, sizeof for_clients));
    assert_false(is_taken("ca.der", false, for_nothing, sizeof for_nothing));
}

/* Two other properties stand for the date and its purposes, as Wine keeps only those that it knows.
 */
static bool is_distrusted(const void *date, size_t date_size, const BYTE *purposes, size_t size)
{
    HCERTSTORE store = CertOpenStore(CERT_STORE_PROV_MEMORY, 0, 0, 0, NULL);
    PCCERT_CONTEXT root = add_to(store, "ca.der");
    bool distrusted;

    if (date_size != 0)
        set_property(root, CERT_FRIENDLY_NAME_PROP_ID, date, date_size);
    if (size != 0)
        set_property(root, CERT_DESCRIPTION_PROP_ID, purposes, size);
    distrusted =
        unsbi_windows_distrusted(root, CERT_FRIENDLY_NAME_PROP_ID, CERT_DESCRIPTION_PROP_ID);
    (void)CertFreeCertificateContext(root);
    assert_true(CertCloseStore(store, CERT_CLOSE_STORE_CHECK_FLAG) != 0);
    return distrusted;
}

static void distrusted_roots(void **state)
{
    static const FILETIME past = {0, 0x01D00000}, future = {0, 0x02500000}; /* 2014, 2124 */
    static const BYTE too_many[600];

    (void)state;
    assert_false(is_distrusted(NULL, 0, NULL, 0));
    assert_false(is_distrusted(NULL, 0, for_servers, sizeof for_servers));
    assert_true(is_distrusted(&past, sizeof past, NULL, 0));
    assert_true(is_distrusted(&past, sizeof past, for_servers, sizeof for_servers));
    assert_false(is_distrusted(&past, sizeof past, for_clients, sizeof for_clients));
    assert_false(is_distrusted(&future, sizeof future, NULL, 0));
    assert_false(is_distrusted(&future, sizeof future, for_servers, sizeof for_servers));
    /* what cannot be read counts as distrust */
    assert_true(is_distrusted(&future, 3, NULL, 0));
    assert_true(is_distrusted(too_many, sizeof too_many, NULL, 0));
    assert_true(is_distrusted(&past, sizeof past, too_many, sizeof too_many));
}

/* ======================================================================
 * >>main
 * ====================================================================== */

static uint16_t port_of(const char *name)
{
    const char *text = getenv(name);

    return text != NULL ? (uint16_t)strtoul(text, NULL, 10) : 0;
}

static int start(void **state)
{
    WSADATA data;

    (void)state;
    InitializeCriticalSection(&stub.lock);
    plain_port = port_of("UNSB_PLAIN");
    tls_port = port_of("UNSB_TLS");
    six_port = port_of("UNSB_SIX");
    if (plain_port == 0 || tls_port == 0)
        fail_msg("UNSB_PLAIN and UNSB_TLS must name the ports of the services");
    if (unsb_bearssl_load_pem(&trust, pki("ca.pem")) != UNSB_OK)
        fail_msg("cannot read %s: %d", pki("ca.pem"), trust.error);
    return WSAStartup(MAKEWORD(2, 2), &data); /* for the peers */
}

static int stop(void **state)
{
    (void)state;
    unsb_bearssl_free_trust(&trust);
    return WSACleanup();
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(execute),
                                       TEST(run_by_shebang),
                                       TEST(jobs),
                                       TEST(artifact),
                                       TEST(files),
                                       TEST(keys_and_languages),
                                       TEST(silent_program),
                                       TEST(not_resolved),
                                       TEST(resolved),
                                       TEST(hosts),
                                       TEST(slow_resolver),
                                       TEST(used_again_while_resolving),
                                       TEST(one_look_up),
                                       TEST(unloaded_while_resolving),
                                       TEST(refused),
                                       TEST(second_address),
                                       TEST(silent_address),
                                       TEST(silent_addresses),
                                       TEST(no_room),
                                       TEST(families_by_turns),
                                       TEST(known_address),
                                       TEST(ipv6),
                                       TEST(resets_and_ends),
                                       TEST(silent_peers),
                                       TEST(before_and_after_a_connection),
                                       TEST(events_stay),
                                       TEST(faults_at_every_call),
                                       TEST(handles),
                                       TEST(interrupted_before),
                                       TEST(interrupted_within),
                                       TEST(unsent_bytes),
                                       TEST(clocks),
                                       TEST(wrong_host),
                                       TEST(wrong_authority),
                                       TEST(windows_roots),
                                       TEST(roots_left_out),
                                       TEST(distrusted_roots)};

    return cmocka_run_group_tests_name("winsock", tests, start, stop);
}
