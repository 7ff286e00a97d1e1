/* The lwIP port: operations of the API over a TAP device to Linux's TCP and to the local service,
 * plain and with TLS, over a wire that loses, doubles and swaps; addresses and names; peers that
 * reset, end and vanish; lwIP short of memory. After each test lwIP must have everything back. */
#define _GNU_SOURCE
#include "suite.h"
#include "service.h"
#include "wire.h"

static bool close_fails; /* once: lwIP 2.1.3 itself hides that it has no memory for a FIN */

static err_t failing_close(struct tcp_pcb *pcb)
{
    if (close_fails) {
        close_fails = false;
        return ERR_MEM;
    }
    return tcp_close(pcb);
}

#ifdef LARGE
#define UNSB_LWIP_UNACKED_MAX 20000 /* less than lwIP's send buffer */
#endif
#define tcp_close failing_close
#include "unsandbox_lwip.h"
#undef tcp_close

/* What a chain of pbufs counts, where the window is larger. */
#define HELD_MAX (TCP_WND < 0xFFFF ? TCP_WND : 0xFFFF)

/* ======================================================================
 * >>set-up
 * ====================================================================== */

typedef struct way {
    bool tls, nonblocking;
    unsigned lose, twice, swap; /* in 1000 */
    size_t size;                /* of what is moved in bulk */
    const char *name;
} way;

static service services[2];
static unsigned baseline;

static struct {
    unsb_lwip tcp;
    unsb_bearssl tls;
    unsb_bearssl_config secure;
    tap inside;
    unsb_config config;
    unsb_client client;
    bool open;
    char buffer[512];
    unsigned char records[BR_SSL_BUFSIZE_BIDI];
} g;

static unsb_result result;
static char out_memory[4096], err_memory[2000];

static void turn(void)
{
    wire_poll(NULL);
}

/* Turns the main loop until the condition holds. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint32_t since_ = unsb_posix_now_ms(NULL);                                                 \
        while (!(condition)) {                                                                     \
            turn();                                                                                \
            if (unsb_posix_now_ms(NULL) - since_ > PATIENCE_MS)                                    \
                fail_msg("line %d: this did not come: %s", __LINE__, #condition);                  \
        }                                                                                          \
    } while (0)

static unsb_lwip_config network(void)
{
    unsb_lwip_config config;

    memset(&config, 0, sizeof config);
    config.poll = wire_poll;
    return config;
}

static void prepare(bool tls, bool nonblocking, const char *host, uint16_t port)
{
    unsb_lwip_config config = network();

    memset(&g, 0, sizeof g);
    memset(&result, 0, sizeof result);
    result.out = unsb_into(out_memory, sizeof out_memory);
    result.err = unsb_into(err_memory, sizeof err_memory);
    g.config.transport = tap_transport(&g.inside, unsb_lwip_transport(&g.tcp, &config));
    if (tls) {
        const unsb_bearssl_trust *trust = rig_load_trust();
        g.secure.inner = g.config.transport;
        g.secure.anchors = trust->anchors;
        g.secure.anchor_count = trust->count;
        g.secure.buffer = g.records;
        g.secure.buffer_size = sizeof g.records;
        g.config.transport = unsb_bearssl_transport(&g.tls, &g.secure);
    }
    g.config.api_key = SAMPLE_KEY;
    g.config.buffer = g.buffer;
    g.config.buffer_size = sizeof g.buffer;
    g.config.host = host;
    g.config.port = port;
    g.config.nonblocking = nonblocking;
    g.config.now_ms = unsb_lwip_now_ms;
    g.config.connect_timeout_ms = g.config.idle_timeout_ms = 0x10000000u;
    g.config.unix_time = unsb_posix_unix_time;
}

static void start_client(void)
{
    assert_int_equal(unsb_init(&g.client, &g.config), UNSB_OK);
    g.open = true;
}

static void stop_client(void)
{
    if (!g.open)
        return;
    g.open = false;
    unsb_close(&g.client);
    g.config.transport.vtable->close(g.config.transport.context);
}

/* Carries an operation to its end, as a main loop does that sleeps while nothing is ready. */
static int finish(int rc)
{
    unsigned idle = 0;

    if (!g.config.nonblocking && g.inside.idle_most > RIG_IDLE_MAX)
        fail_msg("spins: %u waits in a row without anything moved", g.inside.idle_most);
    while (rc == UNSB_PENDING) {
        uint32_t timeout_ms;
        unsigned long before = g.inside.moved + g.inside.connects + g.inside.attempts;
        uint8_t state = g.client.state;
        int interest = unsb_interest(&g.client, &timeout_ms);
        bool ready = unsb_lwip_ready(&g.tcp, interest);
        if (timeout_ms != 0 && (!ready || idle > 0))
            turn();
        rc = unsb_poll(&g.client);
        idle = ready && state != UNSBI_MEASURE && g.client.state == state &&
                       before == g.inside.moved + g.inside.connects + g.inside.attempts
                   ? idle + 1
                   : 0;
        if (idle > 50)
            fail_msg("spins: nothing moves, in state %u", state);
    }
    return rc;
}

static void check_rc(int rc, int want, int line)
{
    rc = finish(rc);
    if (rc != want)
        fail_msg("line %d: %d (%s) instead of %d; HTTP %d %s %s; lwIP %d, TLS %d", line, rc,
                 unsb_error_text(rc), want, result.http_status, result.error, result.message,
                 g.tcp.error, g.tls.error);
}

#define EXPECT(want, call) check_rc(call, want, __LINE__)

/* ---- the transport alone ---- */

static unsb_lwip plain[MEMP_NUM_TCP_PCB + 2];
static unsb_transport wires[COUNT(plain)];

static unsb_transport *make(size_t i)
{
    unsb_lwip_config config = network();

    wires[i] = unsb_lwip_transport(&plain[i], &config);
    return &wires[i];
}

static int dial(const unsb_transport *t, const char *host, uint16_t port)
{
    int rc;

    UNTIL((rc = t->vtable->connect(t->context, host, port)) != UNSB_PENDING);
    return rc;
}

static int get(const unsb_transport *t, void *data, size_t size)
{
    return t->vtable->recv(t->context, data, size);
}

static int put(const unsb_transport *t, const void *data, size_t size)
{
    return t->vtable->send(t->context, data, size);
}

static void hang_up(const unsb_transport *t)
{
    t->vtable->close(t->context);
}

/* ---- Linux's ends, in this thread; closed after each test ---- */

static int sockets[16], socket_count;

static int keep(int fd)
{
    if (fd < 0)
        fail_msg("no socket: %s", strerror(errno));
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    assert_true((size_t)socket_count < COUNT(sockets));
    sockets[socket_count++] = fd;
    return fd;
}

static int listen_at(const char *address, uint16_t *port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } a;
    socklen_t size = sizeof a;
    bool six = strchr(address, ':') != NULL;
    int fd = keep(socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0));

    memset(&a, 0, sizeof a);
    a.any.sa_family = six ? AF_INET6 : AF_INET;
    (void)inet_pton(six ? AF_INET6 : AF_INET, address,
                    six ? (void *)&a.in6.sin6_addr : (void *)&a.in.sin_addr);
    if (six)
        a.in6.sin6_port = htons(*port);
    else
        a.in.sin_port = htons(*port);
    if (bind(fd, &a.any, six ? sizeof a.in6 : sizeof a.in) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, &a.any, &size) != 0)
        fail_msg("cannot listen: %s", strerror(errno));
    *port = ntohs(six ? a.in6.sin6_port : a.in.sin_port);
    return fd;
}

static int accept_from(int listener)
{
    int fd;

    UNTIL((fd = accept(listener, NULL, NULL)) >= 0);
    return keep(fd);
}

static void drop(int fd)
{
    int i;

    for (i = 0; i < socket_count; i++)
        if (sockets[i] == fd)
            sockets[i] = sockets[--socket_count];
    (void)close(fd);
}

/* A connection of wire `i` to a socket, which is returned. */
static int connected(size_t i)
{
    uint16_t port = 0;
    int listener = listen_at(WIRE_LINUX4, &port);

    assert_int_equal(dial(make(i), WIRE_LINUX4, port), UNSB_OK);
    return accept_from(listener);
}

static void echo(const unsb_transport *t, int fd)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    char piece[16] = "";
    int n;

    assert_int_equal(put(t, "hello", 5), 5);
    assert_int_equal(poll(&item, 1, PATIENCE_MS), 1); /* it is sent at once, not by a timer */
    assert_int_equal(recv(fd, piece, sizeof piece, 0), 5);
    assert_memory_equal(piece, "hello", 5);
    assert_int_equal(send(fd, "goodbye", 7, 0), 7);
    UNTIL((n = get(t, piece, sizeof piece)) != 0);
    assert_int_equal(n, 7);
    assert_memory_equal(piece, "goodbye", 7);
}

/* The next connection at `listener` stands; it is ended from both sides. */
static void echo_once(const unsb_transport *t, int listener)
{
    int fd = accept_from(listener);

    echo(t, fd);
    hang_up(t);
    drop(fd);
}

/* ---- around each test ---- */

static void *hoard[2000];

static void give_back(void)
{
    size_t i;

    for (i = 0; i < COUNT(hoard); i++)
        if (hoard[i] != NULL)
            mem_free(hoard[i]);
    memset(hoard, 0, sizeof hoard);
}

static int tear_down(void **state)
{
    ip_addr_t server;
    uint32_t since;
    size_t i;

    (void)state;
    stop_client();
    for (i = 0; i < COUNT(wires); i++)
        if (wires[i].vtable != NULL)
            hang_up(&wires[i]);
    while (socket_count > 0)
        (void)close(sockets[--socket_count]);
    peers_stop();
    give_back();
    close_fails = false;
    wire.cut = false;
    wire.lose = wire.twice = wire.swap = 0;
    wire.pace_ms = 0;
    wire.late_asked = false;
    netif_set_up(&wire.netif);
    netif_ip6_addr_set_state(&wire.netif, 0, IP6_ADDR_PREFERRED);
    netif_ip6_addr_set_state(&wire.netif, 1, IP6_ADDR_PREFERRED);
    (void)ipaddr_aton(WIRE_LINUX4, &server);
    dns_setserver(0, &server);
    /* Linux may have to repeat its last segments, lwIP waits for the dead and the silent. */
    wire_speed(20);
    since = unsb_posix_now_ms(NULL);
    while (wire_in_use() != baseline) {
        unsigned had = baseline;
        turn();
        if (unsb_posix_now_ms(NULL) - since > PATIENCE_MS) {
            baseline = wire_in_use(); /* the other tests are not to blame */
            fail_msg("lwIP does not get back what it gave: %u, and %u before", baseline, had);
        }
    }
    wire_speed(1);
    return 0;
}

/* ======================================================================
 * >>operations
 * ====================================================================== */

static uint8_t byte_of(uint32_t at)
{
    return (uint8_t)((at ^ at >> 7) * 167u + (at >> 13));
}

static int read_bytes(void *context, unsb_size offset, void *buffer, size_t size)
{
    size_t i;

    (void)context;
    for (i = 0; i < size; i++)
        ((uint8_t *)buffer)[i] = byte_of((uint32_t)(offset + i));
    return (int)size;
}

static unsb_program program_of(const char *language, const char *code)
{
    unsb_program program;

    memset(&program, 0, sizeof program);
    program.language = language;
    program.code = unsb_text(code);
    return program;
}

static void check_usable(void)
{
    unsb_program program = program_of("sh", "echo still here");

    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    assert_string_equal(out_memory, "still here\n");
}

/* A file up, whose hash comes back, and its bytes as text down. */
typedef struct stream {
    uint32_t at;
    bool wrong;
} stream;

static int take_hex(void *context, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    stream *s = (stream *)context;
    size_t i;

    for (i = 0; i < size; i++, s->at++) {
        uint8_t byte = byte_of(s->at / 2);
        if (((const char *)data)[i] != digits[s->at % 2 == 0 ? byte >> 4 : byte & 15])
            s->wrong = true;
    }
    return UNSB_OK;
}

static void bulk(size_t size)
{
    unsb_program program = program_of(
        "python", "import sys\ndata = open('data', 'rb').read()\n"
                  "for at in range(0, len(data), 4096):\n"
                  "    sys.stdout.write(data[at:at + 4096].hex())\n");
    unsb_file file;
    stream s;

    memset(&file, 0, sizeof file);
    memset(&s, 0, sizeof s);
    file.name = "data";
    file.source.size = (unsb_size)size;
    file.source.read = read_bytes;
    program.files = &file;
    program.file_count = 1;
    result.out.write = take_hex;
    result.out.context = &s;
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    result.out.write = NULL;
    assert_int_equal(s.at, 2 * size);
    assert_false(s.wrong);
    assert_true(result.success);
}

static int count_artifact(void *context, const unsb_artifact *artifact)
{
    size_t *counts = (size_t *)context;

    if (counts[0] == 0 && artifact->size != 0)
        counts[2] = ((const uint8_t *)artifact->data)[0];
    counts[0] += artifact->size;
    counts[1] += artifact->end;
    return UNSB_OK;
}

static void artifacts(void)
{
    unsb_program program = program_of("c", "int main(void) { return 0; }\n");
    size_t counts[3] = {0, 0, 0};

    program.return_artifact = true;
    result.on_artifact = count_artifact;
    result.context = counts;
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    result.on_artifact = NULL;
    assert_true(counts[0] > 1000);
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[2], 0x7F); /* of ELF */
}

static void jobs(void)
{
    unsb_program program = program_of("python", "import time\ntime.sleep(0.2)\nprint(6 * 7)\n");
    char id[UNSB_JOB_ID_SIZE];

    EXPECT(UNSB_OK, unsb_execute_async(&g.client, &program, &result));
    assert_true(result.job_id[0] != '\0');
    memcpy(id, result.job_id, sizeof id);
    EXPECT(UNSB_OK, unsb_job_wait(&g.client, id, 0, &result));
    assert_int_equal(result.status, UNSB_STATUS_COMPLETED);
    assert_string_equal(out_memory, "42\n");
    EXPECT(UNSB_OK, unsb_job_list(&g.client, &result));
}

static void operations(void **state)
{
    const way *w = (const way *)*state;
    unsb_program program = program_of("python", "import sys\nprint(6 * 7)\n"
                                                "sys.stderr.write('e')\nsys.exit(3)\n");
    unsigned long before = wire.frames;
    uint32_t since = unsb_posix_now_ms(NULL);

    prepare(w->tls, w->nonblocking, "localhost", services[w->tls].port);
    start_client();
    wire.lost = wire.doubled = wire.swapped = 0;
    wire.lose = w->lose;
    wire.twice = w->twice;
    wire.swap = w->swap;
    wire_speed(10);
    EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
    assert_string_equal(out_memory, "42\n");
    assert_string_equal(err_memory, "e");
    assert_int_equal(result.exit_code, 3);
    bulk(w->size);
    jobs();
    artifacts();
    check_usable();
    assert_int_equal(g.inside.connects, 1); /* kept throughout */
    figures("%s: %lu bytes up, %lu down; %lu frames (%lu lost, %lu doubled, %lu swapped) in %lu ms",
            w->name, (unsigned long)w->size, (unsigned long)w->size * 2, wire.frames - before,
            wire.lost, wire.doubled, wire.swapped,
            (unsigned long)(unsb_posix_now_ms(NULL) - since));
}

/* ======================================================================
 * >>addresses and names
 * ====================================================================== */

static void literals(void **state)
{
    static const char *const no_addresses[] = {"fd00:9::zz", "[fd00:9::1]", "1:2:3:4:5:6:7:8:9",
                                               ":", ""};
    const unsb_transport *t = make(0);
    uint16_t port = 0;
    size_t i;
    int listener = listen_at(WIRE_LINUX4, &port);

    (void)state;
    assert_int_equal(dial(t, WIRE_LINUX4, port), UNSB_OK);
    echo_once(t, listener);
    for (i = 0; i < COUNT(no_addresses); i++) {
        assert_int_equal(t->vtable->connect(t->context, no_addresses[i], port), UNSB_E_RESOLVE);
        assert_int_equal(plain[0].error, ERR_ARG);
        assert_int_equal(t->vtable->connect(t->context, no_addresses[i], port), UNSB_E_RESOLVE);
        hang_up(t);
    }
    assert_int_equal(t->vtable->connect(t->context, NULL, port), UNSB_E_RESOLVE);
}

static void ipv6_literal(void **state)
{
    const unsb_transport *t = make(0);
    uint16_t port = 0;
    int listener;

    (void)state;
    if (!wire.ipv6) {
        print_message("# skipped: Linux has no IPv6 here\n");
        skip();
    }
    listener = listen_at(WIRE_LINUX6, &port);
    assert_int_equal(dial(t, WIRE_LINUX6, port), UNSB_OK);
    echo_once(t, listener);
    assert_int_equal(dial(t, WIRE_LINUX6, (uint16_t)(port ^ 1)), UNSB_E_CONNECT);
    assert_int_equal(plain[0].error, ERR_RST);
}

static void names(void **state)
{
    const unsb_transport *t = make(0);
    char longest[300];
    uint16_t port = 0;
    int listener = listen_at(WIRE_LINUX4, &port), round;

    (void)state;
    for (round = 0; round < 3; round++) { /* the second time it is known */
        assert_int_equal(dial(t, "four.test", port), UNSB_OK);
        echo_once(t, listener);
    }
    assert_int_equal(dial(t, "no.such.test", port), UNSB_E_RESOLVE);
    assert_int_equal(t->vtable->connect(t->context, "four.test", port), UNSB_E_RESOLVE);
    hang_up(t);
    memset(longest, 'a', sizeof longest);
    longest[299] = '\0';
    assert_int_equal(t->vtable->connect(t->context, longest, port), UNSB_E_RESOLVE);
    assert_int_equal(plain[0].error, ERR_ARG);
    hang_up(t);
    assert_int_equal(dial(t, "four.test", port), UNSB_OK);
    assert_int_equal(plain[0].error, ERR_OK);
}

/* The other kind of address is tried where one refuses, and the first error stands if both do. */
static void both_kinds(void **state)
{
    unsb_lwip_config config = network();
    const unsb_transport *t;
    uint16_t port = 0;
    int listener, round;

    (void)state;
    if (!wire.ipv6) {
        print_message("# skipped: Linux has no IPv6 here\n");
        skip();
    }
    for (round = 0; round < 4; round++) {
        bool six = round % 2 != 0;
        port = 0;
        listener = listen_at(six ? WIRE_LINUX6 : WIRE_LINUX4, &port);
        config.ipv6_first = round >= 2;
        wires[0] = unsb_lwip_transport(&plain[0], &config);
        t = &wires[0];
        assert_int_equal(dial(t, "both.test", port), UNSB_OK);
        echo_once(t, listener);
        assert_int_equal(plain[0].kind, six ? UNSBI_LWIP_V6 : UNSBI_LWIP_V4);
        assert_int_equal(plain[0].attempts, six != config.ipv6_first ? 2 : 1);
        assert_int_equal(dial(t, six ? "six.test" : "four.test", port), UNSB_OK);
        echo_once(t, listener);
        assert_int_equal(dial(t, six ? "four.test" : "six.test", port), UNSB_E_CONNECT);
        assert_int_equal(plain[0].error, ERR_RST);
        assert_int_equal(t->vtable->connect(t->context, "both.test", port), UNSB_E_CONNECT);
        hang_up(t);
    }
    assert_int_equal(dial(t, "both.test", 9), UNSB_E_CONNECT);
    assert_int_equal(plain[0].error, ERR_RST);
}

static void silent_server(void **state)
{
    const unsb_transport *t = make(0);

    (void)state;
    wire_speed(20);
    assert_int_equal(dial(t, "silent.test", 80), UNSB_E_RESOLVE);
    assert_int_equal(t->vtable->wait(t->context, UNSB_READABLE, 100), UNSB_OK);
}

static void no_server(void **state)
{
    const unsb_transport *t = make(0);

    (void)state;
    assert_int_equal(dial(t, "four.test", 9), UNSB_E_CONNECT);
    hang_up(t);
    dns_setserver(0, NULL);
    assert_int_equal(t->vtable->connect(t->context, "never.asked.test", 80), UNSB_E_RESOLVE);
    assert_int_equal(plain[0].error, ERR_VAL);
    hang_up(t);
    /* a name that is known, and nobody to ask for its other address */
    assert_int_equal(dial(t, "four.test", 9), UNSB_E_CONNECT);
    assert_int_equal(plain[0].error, ERR_RST);
}

/* The transport's memory is gone when the answer comes: a sanitizer would see it touched. */
static void closed_while_resolving(void **state)
{
    static const char *const hosts[] = {"late.test", "silent.test", "gone.test"};
    unsb_lwip_config config = network();
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(hosts); i++) {
        unsb_lwip *tcp = (unsb_lwip *)malloc(sizeof *tcp);
        unsb_transport t;
        assert_non_null(tcp);
        t = unsb_lwip_transport(tcp, &config);
        assert_int_equal(t.vtable->connect(t.context, hosts[i], 80), UNSB_PENDING);
        assert_int_equal(t.vtable->connect(t.context, hosts[i], 80), UNSB_PENDING);
        assert_false(unsb_lwip_ready(tcp, UNSB_READABLE | UNSB_WRITABLE));
        if (i == 0)
            UNTIL(wire.late_asked);
        hang_up(&t);
        hang_up(&t);
        free(tcp);
        if (i == 0)
            wire_answer_late();
        /* the same name again, at once */
        tcp = (unsb_lwip *)malloc(sizeof *tcp);
        assert_non_null(tcp);
        t = unsb_lwip_transport(tcp, &config);
        (void)t.vtable->connect(t.context, hosts[i], 80);
        hang_up(&t);
        free(tcp);
        wire_answer_late();
        wire_speed(20);
        UNTIL(wire_in_use() == baseline);
        wire_speed(1);
    }
}

/* More look-ups than lwIP has places for: a clear error, and all is well afterwards. */
static void many_look_ups(void **state)
{
    static const char *const hosts[] = {"silent1.test", "silent2.test", "silent3.test"};
    const unsb_transport *t;
    uint16_t port = 0;
    size_t i;
    int listener = listen_at(WIRE_LINUX4, &port);

    (void)state;
    for (i = 0; i < COUNT(hosts); i++) {
        t = make(i);
        assert_int_equal(t->vtable->connect(t->context, hosts[i], 80),
                         i < DNS_TABLE_SIZE ? UNSB_PENDING : UNSB_E_RESOLVE);
    }
    assert_int_equal(plain[DNS_TABLE_SIZE].error, ERR_MEM);
    for (i = 0; i < COUNT(hosts); i++)
        hang_up(&wires[i]);
    wire_speed(20);
    UNTIL(wire_in_use() == baseline);
    t = make(0);
    assert_int_equal(dial(t, "four.test", port), UNSB_OK);
    echo(t, accept_from(listener));
}

/* ======================================================================
 * >>connecting
 * ====================================================================== */

static void refused(void **state)
{
    const unsb_transport *t = make(0);
    uint16_t port = 0, other = 0;
    int dead = listen_at(WIRE_LINUX4, &port), listener = listen_at(WIRE_LINUX4, &other);

    (void)state;
    (void)shutdown(dead, SHUT_RDWR); /* bound, and listens no more */
    assert_int_equal(dial(t, WIRE_LINUX4, port), UNSB_E_CONNECT);
    assert_int_equal(plain[0].error, ERR_RST);
    assert_int_equal(t->vtable->connect(t->context, WIRE_LINUX4, port), UNSB_E_CONNECT);
    assert_int_equal(put(t, "x", 1), UNSB_E_CONNECT);
    assert_int_equal(get(t, &port, 1), UNSB_E_CONNECT);
    hang_up(t);
    assert_int_equal(dial(t, WIRE_LINUX4, other), UNSB_OK);
    echo(t, accept_from(listener));
}

/* Nobody answers: the client's time-out, and, much later, lwIP's own. */
static void unanswered(void **state)
{
    unsb_program program = program_of("sh", ":");
    const unsb_transport *t = make(0);
    int way_;

    (void)state;
    for (way_ = 0; way_ < 4; way_++) {
        prepare(false, way_ % 2 != 0, way_ < 2 ? WIRE_NOBODY4 : WIRE_LINUX4, 9);
        g.config.connect_timeout_ms = 100;
        wire.cut = way_ >= 2;
        start_client();
        EXPECT(UNSB_E_TIMEOUT, unsb_execute(&g.client, &program, &result));
        stop_client();
    }
    wire_speed(1000);
    assert_int_equal(dial(t, WIRE_LINUX4, 9), UNSB_E_CONNECT);
    assert_int_equal(plain[0].error, ERR_ABRT);
}

/* ---- names whose addresses are silent ---- */

static void needs_ipv6(void)
{
    if (!wire.ipv6) {
        print_message("# skipped: Linux has no IPv6 here\n");
        skip();
    }
}

static unsb_transport *make_with(bool ipv6_first, uint32_t address_timeout_ms)
{
    unsb_lwip_config config = network();

    config.ipv6_first = ipv6_first;
    config.address_timeout_ms = address_timeout_ms;
    wires[0] = unsb_lwip_transport(&plain[0], &config);
    return &wires[0];
}

/* The first address is silent, the other answers: the limit once, and nothing the next time. */
static void one_silent(void **state)
{
    static const uint32_t limits[] = {0, 400, 5000};
    size_t six, limit;

    (void)state;
    needs_ipv6();
    for (six = 0; six < 2; six++) { /* which is silent */
        for (limit = 0; limit < COUNT(limits); limit++) {
            const unsb_transport *t = make_with(six != 0, limits[limit]);
            uint32_t limit_ms = limits[limit] != 0 ? limits[limit] : 1500, began;
            uint16_t port = 0;
            int listener = listen_at(six ? WIRE_LINUX4 : WIRE_LINUX6, &port), round;
            wire_speed(20);
            for (round = 0; round < 3; round++) {
                began = sys_now();
                assert_int_equal(dial(t, six ? "half4.test" : "half6.test", port), UNSB_OK);
                assert_int_equal(plain[0].attempts, round == 0 ? 2 : 1);
                assert_int_equal(plain[0].kind, six ? UNSBI_LWIP_V4 : UNSBI_LWIP_V6);
                assert_true(round != 0 || sys_now() - began >= limit_ms);
                if (limit == 0 && round < 2)
                    figures("IPv%c silent, call %d: connecting took %u ms of lwIP's clock",
                            six ? '6' : '4', round + 1, (unsigned)(sys_now() - began));
                echo_once(t, listener);
            }
            wire_speed(1);
        }
    }
}

/* By whole calls, within the client's own limit, and if it sleeps while nothing is ready. */
static void one_silent_in_calls(void **state)
{
    unsb_lwip_config config = network();
    unsb_program program = program_of("sh", "echo here");
    int way_;

    (void)state;
    needs_ipv6();
    config.ipv6_first = true;
    for (way_ = 0; way_ < 2; way_++) {
        prepare(false, way_ != 0, "service4.test", services[0].port);
        g.config.transport = tap_transport(&g.inside, unsb_lwip_transport(&g.tcp, &config));
        g.config.connect_timeout_ms = 30000;
        start_client();
        wire_speed(10);
        EXPECT(UNSB_OK, unsb_execute(&g.client, &program, &result));
        assert_string_equal(out_memory, "here\n");
        assert_int_equal(g.tcp.attempts, 2);
        check_usable();
        stop_client();
        wire_speed(1);
    }
}

/* An address that is only slow is come back to, and no address is given up for nothing. */
static void slow_to_answer(void **state)
{
    const unsb_transport *t = make_with(false, 0);
    uint16_t port = 0;
    int listener = listen_at(WIRE_LINUX4, &port), rc;

    (void)state;
    needs_ipv6();
    wire_speed(20);
    wire.lose = 1000; /* of the good one: what is sent first, and is not repeated for 3 s */
    UNTIL((rc = t->vtable->connect(t->context, "half4.test", port)) != UNSB_PENDING ||
          plain[0].attempts == 2);
    wire.lose = 0;
    assert_int_equal(dial(t, "half4.test", port), UNSB_OK);
    assert_int_equal(plain[0].attempts, 3);
    assert_int_equal(plain[0].kind, UNSBI_LWIP_V4);
    echo_once(t, listener);
    /* no other address, and one that the name server does not tell: the first goes on */
    for (rc = 0; rc < 3; rc++) {
        const char *host = rc == 0 ? "four.test" : "mute6.test";
        t = make_with(false, 100);
        wire.lose = 1000;
        UNTIL(t->vtable->connect(t->context, host, port) != UNSB_PENDING ||
              (rc == 0 ? plain[0].out != 0
                       : plain[0].lookup != NULL && plain[0].state == UNSBI_LWIP_CONNECTING));
        wire.lose = 0;
        assert_int_equal(plain[0].attempts, 1);
        assert_int_equal(plain[0].state, UNSBI_LWIP_CONNECTING);
        if (rc == 2)
            break; /* closed while both are under way: all is given back */
        assert_int_equal(dial(t, host, port), UNSB_OK);
        assert_int_equal(plain[0].attempts, 1);
        assert_null(plain[0].lookup);
        echo_once(t, listener);
    }
    hang_up(t);
}

/* One refuses, one is silent: it is waited for, and what it was is told in the end. */
static void silent_and_refused(void **state)
{
    const unsb_transport *t = make_with(false, 200);

    (void)state;
    needs_ipv6();
    wire_speed(20);
    UNTIL(t->vtable->connect(t->context, "half6.test", 9) != UNSB_PENDING ||
          plain[0].attempts == 3);
    assert_int_equal(plain[0].kind, UNSBI_LWIP_V4);
    assert_int_equal(plain[0].out, UNSBI_LWIP_V6);
    assert_int_equal(plain[0].error, ERR_RST);
    wire_speed(1000);
    assert_int_equal(dial(t, "half6.test", 9), UNSB_E_CONNECT);
    assert_int_equal(plain[0].attempts, 3);
    assert_int_equal(plain[0].error, ERR_ABRT);
}

/* All are silent: by turns, longer each time, and without a client's limit there is an end, too. */
static void all_silent(void **state)
{
    unsb_program program = program_of("sh", ":");
    const unsb_transport *t = make_with(false, 100);
    uint32_t began[UNSBI_LWIP_ATTEMPTS + 1];
    uint8_t attempt = 0;
    int rc, way_;

    (void)state;
    needs_ipv6();
    wire_speed(20);
    UNTIL((rc = t->vtable->connect(t->context, "dead.test", 9)) != UNSB_PENDING ||
          (plain[0].attempts != attempt &&
           (attempt = plain[0].attempts, began[attempt] = plain[0].since_ms,
            assert_int_equal(plain[0].kind, attempt % 2 ? UNSBI_LWIP_V4 : UNSBI_LWIP_V6), true) &&
           attempt == UNSBI_LWIP_ATTEMPTS));
    assert_int_equal(rc, UNSB_PENDING);
    for (attempt = 1; attempt < UNSBI_LWIP_ATTEMPTS; attempt++)
        assert_true(began[attempt + 1] - began[attempt] >= 100u << (attempt - 1) / 2);
    wire_speed(1000);
    assert_int_equal(dial(t, "dead.test", 9), UNSB_E_CONNECT);
    assert_int_equal(plain[0].attempts, UNSBI_LWIP_ATTEMPTS);
    assert_int_equal(plain[0].error, ERR_ABRT);
    wire_speed(20);
    for (way_ = 0; way_ < 4; way_++) {
        prepare(false, way_ % 2 != 0, way_ < 2 ? "dead.test" : "dead4.test", 9);
        g.config.connect_timeout_ms = 10000;
        start_client();
        EXPECT(UNSB_E_TIMEOUT, unsb_execute(&g.client, &program, &result));
        assert_int_equal(g.tcp.worked, 0);
        stop_client();
    }
}

static void no_route(void **state)
{
    const unsb_transport *t = make(0);

    (void)state;
    netif_set_down(&wire.netif);
    assert_int_equal(t->vtable->connect(t->context, WIRE_LINUX4, 9), UNSB_E_CONNECT);
    netif_set_up(&wire.netif);
    assert_int_equal(plain[0].error, ERR_RTE);
}

/* There is a way to one kind of address alone; the second time both are known. */
static void no_route_for_ipv6(void **state)
{
    unsb_lwip_config config = network();
    uint16_t port = 0;
    int listener = listen_at(WIRE_LINUX4, &port), round;

    (void)state;
    config.ipv6_first = true;
    netif_ip6_addr_set_state(&wire.netif, 0, IP6_ADDR_INVALID);
    netif_ip6_addr_set_state(&wire.netif, 1, IP6_ADDR_INVALID);
    for (round = 0; round < 2; round++) {
        wires[0] = unsb_lwip_transport(&plain[0], &config);
        assert_int_equal(dial(&wires[0], "both.test", port), UNSB_OK);
        assert_int_equal(plain[0].kind, UNSBI_LWIP_V4);
        assert_int_equal(plain[0].out, UNSBI_LWIP_V6);
        echo_once(&wires[0], listener);
    }
    netif_set_down(&wire.netif);
    assert_int_equal(wires[0].vtable->connect(&plain[0], "both.test", port), UNSB_E_CONNECT);
    assert_int_equal(plain[0].error, ERR_RTE);
}

/* ======================================================================
 * >>ends
 * ====================================================================== */

static void fin(void **state)
{
    const unsb_transport *t;
    char piece[8];
    int fd, round, rc;

    (void)state;
    for (round = 0; round < 3; round++) {
        fd = connected(0);
        t = &wires[0];
        assert_int_equal(send(fd, "last words", 10, 0), 10);
        if (round == 2) {
            drop(fd); /* what comes now is answered with a reset */
        } else {
            (void)shutdown(fd, SHUT_WR);
        }
        UNTIL(plain[0].finished);
        assert_int_equal(get(t, piece, 4), 4);
        if (round == 2) {
            UNTIL((rc = put(t, "x", 1)) < 0);
            assert_int_equal(rc, UNSB_E_CLOSED);
            assert_null(plain[0].pcb);
        }
        assert_true(unsb_lwip_ready(&plain[0], UNSB_READABLE));
        assert_int_equal(get(t, piece, 8), 6);
        assert_memory_equal(piece, " words", 6);
        assert_int_equal(get(t, piece, 8), UNSB_E_CLOSED);
        assert_int_equal(get(t, piece, 8), UNSB_E_CLOSED);
        assert_true(unsb_lwip_ready(&plain[0], UNSB_READABLE));
        if (round < 2) {
            assert_int_equal(put(t, "bye", 3), 3); /* half of it still stands */
            UNTIL(recv(fd, piece, sizeof piece, 0) == 3);
        }
        hang_up(t);
        if (round < 2) {
            UNTIL(recv(fd, piece, sizeof piece, 0) == 0);
            drop(fd);
        }
    }
}

static void reset(void **state)
{
    const unsb_transport *t;
    char piece[16];
    int fd, round;

    (void)state;
    for (round = 0; round < 2; round++) {
        fd = connected(0);
        t = &wires[0];
        if (round == 1)
            assert_int_equal(send(fd, "last words", 10, 0), 10);
        UNTIL(round == 0 || plain[0].received != NULL);
        reset_on_close(fd);
        drop(fd);
        UNTIL(plain[0].pcb == NULL);
        assert_int_equal(plain[0].error, ERR_RST);
        assert_int_equal(put(t, "x", 1), UNSB_E_IO);
        if (round == 1)
            assert_int_equal(get(t, piece, sizeof piece), 10); /* it had come */
        assert_int_equal(get(t, piece, sizeof piece), UNSB_E_IO);
        assert_int_equal(get(t, piece, sizeof piece), UNSB_E_IO);
        assert_int_equal(t->vtable->wait(t->context, UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
        hang_up(t);
        hang_up(t);
        assert_int_equal(get(t, piece, sizeof piece), UNSB_E_IO);
    }
}

/* Linux sees an end where all was read, a reset where something was not. */
static void closed_by_us(void **state)
{
    char piece[16];
    int fd;

    (void)state;
    fd = connected(0);
    echo(&wires[0], fd);
    assert_int_equal(put(&wires[0], "last words", 10), 10);
    hang_up(&wires[0]);
    UNTIL(recv(fd, piece, sizeof piece, MSG_PEEK) == 10);
    assert_int_equal(recv(fd, piece, sizeof piece, 0), 10);
    UNTIL(recv(fd, piece, sizeof piece, 0) == 0);
    fd = connected(0);
    assert_int_equal(send(fd, "unread", 6, 0), 6);
    UNTIL(plain[0].received != NULL);
    hang_up(&wires[0]);
    UNTIL(recv(fd, piece, sizeof piece, 0) < 0 && errno == ECONNRESET);
}

/* The peer vanishes: keep-alive probes notice it in silence, repetitions while it is sent to. */
static void peer_vanishes(void **state)
{
    char piece[4];
    int round, rc;

    (void)state;
    for (round = 0; round < 2; round++) {
        int fd = connected(0);
        echo(&wires[0], fd);
        wire.cut = true;
        if (round == 1)
            assert_int_equal(put(&wires[0], "hello", 5), 5);
        wire_speed(1000);
        UNTIL((rc = get(&wires[0], piece, sizeof piece)) != 0);
        assert_int_equal(rc, UNSB_E_IO);
        assert_int_equal(plain[0].error, ERR_ABRT);
        hang_up(&wires[0]);
        wire_speed(20); /* neighbours have forgotten each other */
        wire.cut = false;
    }
}

/* Cut or reset at any byte of the request and of the response. */
static void cuts(void **state)
{
    static proxy x;
    static const size_t at[] = {0, 1, 40, 150, 300, 600};
    unsb_program program = program_of("sh", "printf %0400d 7");
    unsigned i, mode, failures = 0;

    (void)state;
    proxy_start(&x, services[0].port);
    prepare(false, true, "127.0.0.1", x.peer.port);
    for (i = 0; i < COUNT(at) * 2; i++) {
        for (mode = 0; mode < 4; mode++) {
            bool up = i >= COUNT(at);
            int rc;
            stop_client();
            peer_settle(&x.peer);
            g.config.nonblocking = mode % 2 != 0;
            g.inside.idle = g.inside.idle_most = 0;
            start_client();
            x.cuts = 1;
            x.reset = mode >= 2;
            x.up = up ? at[i % COUNT(at)] : NEVER;
            x.down = up ? NEVER : at[i % COUNT(at)];
            x.at_once = x.up == 0;
            rc = finish(unsb_execute(&g.client, &program, &result));
            if (rc == UNSB_OK)
                assert_true(x.seen_up < x.up && x.seen_down < x.down); /* it was not so long */
            else if (x.reset ? rc != UNSB_E_IO : rc != UNSB_E_CLOSED && rc != UNSB_E_TRUNCATED)
                fail_msg("cut at %u up, %u down: %d (%s)", (unsigned)x.up, (unsigned)x.down, rc,
                         unsb_error_text(rc));
            failures += rc != UNSB_OK;
            if (rc != UNSB_OK)
                check_usable();
        }
    }
    assert_true(failures >= 40);
    stop_client();
    proxy_stop(&x);
}

/* Given up after so many polls: nothing is left, and the client goes on. */
static void aborts(void **state)
{
    unsb_program program = program_of("sh", "printf %02000d 7");
    unsigned polls, i;
    int tls;

    (void)state;
    for (tls = 0; tls < 2; tls++) {
        prepare(tls != 0, true, "localhost", services[tls].port);
        start_client();
        for (polls = 0; polls < 200; polls += polls < 20 ? 1 : 9) {
            int rc;
            /* those that were given up hold a pcb until the service has closed its side */
            UNTIL(lwip_stats.memp[MEMP_TCP_PCB]->used < MEMP_NUM_TCP_PCB);
            rc = unsb_execute(&g.client, &program, &result);
            for (i = 0; i < polls && rc == UNSB_PENDING; i++) {
                uint32_t timeout_ms;
                if (!unsb_lwip_ready(&g.tcp, unsb_interest(&g.client, &timeout_ms)) &&
                    timeout_ms != 0)
                    turn();
                rc = unsb_poll(&g.client);
            }
            if (rc == UNSB_PENDING) {
                unsb_abort(&g.client);
                assert_int_equal(unsb_poll(&g.client), UNSB_E_ABORTED);
            } else {
                assert_int_equal(rc, UNSB_OK);
            }
        }
        check_usable();
        stop_client();
    }
}

/* ======================================================================
 * >>memory
 * ====================================================================== */

/* What came is held in lwIP's pbufs, and no more than its window; then it comes whole. */
static void unread_data(void **state)
{
    static char piece[30000];
    uint32_t sent = 0, came = 0, i;
    int fd = connected(0), n;
    unsigned quiet = 0;

    (void)state;
    while (quiet < 50 || sent == 0) {
        for (i = 0; i < sizeof piece; i++)
            piece[i] = (char)byte_of(sent + i);
        n = (int)send(fd, piece, sizeof piece, MSG_NOSIGNAL);
        sent += n > 0 ? (uint32_t)n : 0;
        quiet = n > 0 ? 0 : quiet + 1;
        turn();
        assert_true(plain[0].received == NULL || plain[0].received->tot_len <= HELD_MAX);
    }
    assert_true(plain[0].received->tot_len > HELD_MAX / 2);
    assert_true(sent > HELD_MAX);
    UNTIL((n = get(&wires[0], piece, 1 + came % 3000)) > 0); /* the window opens again */
    for (came = 0; came < sent;) {
        for (i = 0; i < (uint32_t)n; i++)
            assert_int_equal(piece[i], (char)byte_of(came + i));
        came += (uint32_t)n;
        if (came < sent)
            UNTIL((n = get(&wires[0], piece, 1 + came % 3000)) > 0);
    }
    assert_int_equal(came, sent);
    assert_int_equal(get(&wires[0], piece, 1), 0);
    echo(&wires[0], fd);
}

/* Calls with more than 16 bits count: each takes what there is room for. */
static void huge_pieces(void **state)
{
    static char sent[300000], came[300000];
    size_t at = 0, have = 0;
    unsigned quiet = 0;
    int fd = connected(0), n;

    (void)state;
    for (; at < sizeof sent; at++)
        sent[at] = (char)byte_of((uint32_t)at);
    for (at = 0; have < sizeof came;) {
        n = put(&wires[0], sent + at, sizeof sent - at);
        assert_true(n >= 0 && (size_t)n <= sizeof sent - at && n <= 0xFFFF);
        at += (size_t)n;
        if (n == 0)
            turn();
        n = (int)recv(fd, came + have, sizeof came - have, 0);
        have += n > 0 ? (size_t)n : 0;
        quiet = n > 0 ? 0 : quiet + 1;
        assert_true(quiet < PATIENCE_MS);
    }
    assert_int_equal(at, sizeof sent);
    assert_memory_equal(came, sent, sizeof sent);
    memset(came, 0, sizeof came);
    for (at = have = 0; have < sizeof came;) {
        n = (int)send(fd, sent + at, sizeof sent - at, MSG_NOSIGNAL);
        at += n > 0 ? (size_t)n : 0;
        n = get(&wires[0], came + have, sizeof came - have);
        assert_true(n >= 0);
        have += (size_t)n;
        if (n == 0)
            turn();
        quiet = n > 0 ? 0 : quiet + 1;
        assert_true(quiet < PATIENCE_MS);
    }
    assert_memory_equal(came, sent, sizeof sent);
    assert_int_equal(get(&wires[0], came, 0), 0);
    assert_int_equal(put(&wires[0], came, 0), 0);
}

static void no_pcb_left(void **state)
{
#if MEMP_MEM_MALLOC
    (void)state;
    print_message("# skipped: there is no pool in this build\n");
    skip();
#else
    uint16_t port = 0;
    int listener = listen_at(WIRE_LINUX4, &port), fd = -1;
    unsb_program program = program_of("sh", ":");
    size_t i;

    (void)state;
    for (i = 0; i < MEMP_NUM_TCP_PCB; i++) {
        assert_int_equal(dial(make(i), WIRE_LINUX4, port), UNSB_OK);
        fd = accept_from(listener);
    }
    assert_int_equal(dial(make(i), WIRE_LINUX4, port), UNSB_E_CONNECT);
    assert_int_equal(plain[i].error, ERR_MEM);
    assert_int_equal(put(&wires[i], "x", 1), UNSB_E_CONNECT);
    prepare(false, true, "127.0.0.1", services[0].port);
    start_client();
    EXPECT(UNSB_E_CONNECT, unsb_execute(&g.client, &program, &result));
    echo(&wires[MEMP_NUM_TCP_PCB - 1], fd); /* the others are not disturbed */
    hang_up(&wires[MEMP_NUM_TCP_PCB - 1]);
    (void)shutdown(fd, SHUT_WR);
    UNTIL(lwip_stats.memp[MEMP_TCP_PCB]->used < MEMP_NUM_TCP_PCB);
    check_usable();
#endif
}

#if !MEM_LIBC_MALLOC
/* All of lwIP's heap. */
static void take_heap(void)
{
    size_t size, i = 0;

    for (size = 1024; size >= 1; size /= 2)
        while (i < COUNT(hoard) && (hoard[i] = mem_malloc((mem_size_t)size)) != NULL)
            i++;
}
#endif

static void no_memory_left(void **state)
{
#if MEM_LIBC_MALLOC
    (void)state;
    print_message("# skipped: there is no heap of a fixed size in this build\n");
    skip();
#else
    const unsb_transport *t;
    char piece[8];
    uint16_t port = 0;
    int fd = connected(0), listener = listen_at(WIRE_LINUX4, &port), round, rc;

    (void)state;
    t = &wires[0];
    echo(t, fd);
    for (round = 0; round < 3; round++) {
        UNTIL(plain[0].pcb->snd_queuelen == 0);
        take_heap();
        assert_int_equal(put(t, "hello", 5), 0); /* not now */
        assert_false(unsb_lwip_ready(&plain[0], UNSB_WRITABLE));
        assert_int_equal(put(t, "hello", 5), 0);
        rc = make(1)->vtable->connect(wires[1].context, "four.test", port);
        assert_int_equal(rc, UNSB_E_RESOLVE);
        assert_int_equal(plain[1].error, ERR_MEM);
        hang_up(&wires[1]);
        /* looked at anew twice a second of lwIP's, and no oftener */
        assert_int_equal(t->vtable->wait(t->context, UNSB_WRITABLE, UNSB_FOREVER), UNSB_OK);
        assert_int_equal(put(t, "hello", 5), 0);
        give_back();
        UNTIL((rc = put(t, "hello", 5)) != 0);
        assert_int_equal(rc, 5);
        UNTIL(recv(fd, piece, sizeof piece, 0) == 5);
    }
    /* and closed while there is none: the FIN comes later */
    take_heap();
    hang_up(t);
    turn();
    give_back();
    UNTIL(recv(fd, piece, sizeof piece, 0) == 0);
    assert_int_equal(dial(t, WIRE_LINUX4, port), UNSB_OK);
    echo(t, accept_from(listener));
#endif
}

/* What is taken and not acknowledged has a bound, and an acknowledgement is what makes room. */
static void unacknowledged(void **state)
{
    static char piece[300000];
    const size_t bound = TCP_SND_BUF < UNSB_LWIP_UNACKED_MAX ? TCP_SND_BUF : UNSB_LWIP_UNACKED_MAX;
    size_t taken = 0, came = 0;
    int fd = connected(0), n;

    (void)state;
    echo(&wires[0], fd);
    UNTIL(plain[0].pcb->snd_queuelen == 0);
    wire.cut = true;
    while ((n = put(&wires[0], piece, sizeof piece)) > 0)
        taken += (size_t)n;
    assert_int_equal(n, 0);
    assert_int_equal(taken, bound);
    assert_false(unsb_lwip_ready(&plain[0], UNSB_WRITABLE));
    wire.cut = false;
    UNTIL(unsb_lwip_ready(&plain[0], UNSB_WRITABLE));
    assert_true(recv(fd, piece, sizeof piece, MSG_PEEK) > 0); /* it is there */
    while (came < taken) {
        turn();
        n = (int)recv(fd, piece, sizeof piece, 0);
        came += n > 0 ? (size_t)n : 0;
    }
    echo(&wires[0], fd);
}

/* A frame at a time: while they move the idle limit is not hit, with however much on the way. */
static void slow_uplink(void **state)
{
#ifdef LARGE
    const uint32_t size = 120000, pace_ms = 100;
#else
    const uint32_t size = 40000, pace_ms = 200;
#endif
    unsb_program program = program_of("sh", "wc -c <data");
    unsb_file file;
    uint32_t began;
    int rc;

    (void)state;
    memset(&file, 0, sizeof file);
    file.name = "data";
    file.source.size = size;
    file.source.read = read_bytes;
    prepare(false, false, "localhost", services[0].port);
    g.config.idle_timeout_ms = 5000;
    start_client();
    check_usable();
    program.files = &file;
    program.file_count = 1;
    /* what lwIP's queue holds when the last byte is taken goes out within the time for an answer:
     * idle_timeout_ms and this. How many frames that is depends on where it cuts them */
    program.ttl_s = 20;
    wire_speed(5);
    wire.pace_ms = pace_ms;
    began = sys_now();
    rc = unsb_execute(&g.client, &program, &result);
    /* lwIP's queue is full at times: that is looked at anew by its timer, which is fast here */
    g.inside.idle = g.inside.idle_most = 0;
    EXPECT(UNSB_OK, rc);
    began = sys_now() - began;
    wire.pace_ms = 0;
    assert_int_equal(strtol(out_memory, NULL, 10), size);
    assert_true(began > g.config.idle_timeout_ms);
    figures("slow uplink: a frame in %u ms, %u ms of lwIP's clock, idle limit %u ms",
            (unsigned)pace_ms, (unsigned)began, (unsigned)g.config.idle_timeout_ms);
}

/* Where lwIP cannot close (before 2.1.3 that was told): the connection is reset instead. */
static void close_without_memory(void **state)
{
    char piece[4];
    int fd = connected(0);

    (void)state;
    echo(&wires[0], fd);
    close_fails = true;
    hang_up(&wires[0]);
    assert_false(close_fails);
    hang_up(&wires[0]);
    UNTIL(recv(fd, piece, sizeof piece, 0) < 0 && errno == ECONNRESET);
}

/* ======================================================================
 * >>waiting
 * ====================================================================== */

static void waits(void **state)
{
    unsb_lwip_config config = network();
    const unsb_transport *t;
    uint32_t since;
    int fd = connected(0), interest;

    (void)state;
    t = &wires[0];
    for (interest = 0; interest < 2; interest++) {
        since = sys_now();
        assert_int_equal(t->vtable->wait(t->context, interest, 30), UNSB_E_TIMEOUT);
        assert_true(sys_now() - since >= 30);
        assert_int_equal(t->vtable->wait(t->context, interest, 0), UNSB_E_TIMEOUT);
    }
    assert_int_equal(t->vtable->wait(t->context, UNSB_WRITABLE, UNSB_FOREVER), UNSB_OK);
    assert_int_equal(send(fd, "x", 1, 0), 1);
    assert_int_equal(t->vtable->wait(t->context, UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
    assert_int_equal(unsb_lwip_now_ms(NULL) / 1000, sys_now() / 1000);
    assert_false(unsb_lwip_ready(&plain[0], 0));
    hang_up(t);
    /* without a connection there is nothing to wait for */
    assert_int_equal(t->vtable->wait(t->context, UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
    config.poll = NULL;
    wires[1] = unsb_lwip_transport(&plain[1], &config);
    assert_true(wires[1].vtable->wait == NULL);
    prepare(false, false, "127.0.0.1", 1);
    g.config.transport = wires[1];
    assert_int_equal(unsb_init(&g.client, &g.config), UNSB_E_ARGUMENT);
}

/* ======================================================================
 * >>main
 * ====================================================================== */

#if SANITIZED
#define BULK 300000
#else
#define BULK 1000000
#endif

static way ways[] = {{false, false, 0, 0, 0, BULK, "TCP, blocking"},
                     {false, true, 0, 0, 0, BULK, "TCP, polled"},
                     {true, false, 0, 0, 0, BULK, "TLS, blocking"},
                     {true, true, 0, 0, 0, BULK, "TLS, polled"},
                     {false, false, 10, 10, 10, 200000, "TCP, blocking, 1 % of each fault"},
                     {true, true, 10, 10, 10, 200000, "TLS, polled, 1 % of each fault"},
                     {false, true, 100, 50, 50, 20000, "TCP, polled, 10 % lost"},
                     {true, false, 50, 100, 100, 20000, "TLS, blocking, 10 % doubled, swapped"}};

static int set_up(void **state)
{
    (void)state;
    service_start(&services[0], false, "--idle-timeout", "600", (const char *)NULL);
    service_start(&services[1], true, "--idle-timeout", "600", (const char *)NULL);
    return 0;
}

/* The first connection resolves the neighbour's address: that stays. */
static void warm_up(void **state)
{
    (void)state;
    echo(&wires[0], connected(0));
    hang_up(&wires[0]);
    drop(sockets[socket_count - 1]);
    wire_speed(20);
    UNTIL(lwip_stats.memp[MEMP_TCP_PCB]->used == 0);
    baseline = wire_in_use();
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)
#define OPERATIONS(i) {ways[i].name, operations, NULL, tear_down, &ways[i]}

/* With an argument: says what this machine lacks for it, if anything. */
int main(int argc, char **argv)
{
    const char *missing = wire_open();
    const struct CMUnitTest tests[] = {
        TEST(warm_up), TEST(literals), TEST(ipv6_literal), TEST(names), TEST(both_kinds),
        TEST(silent_server), TEST(no_server), TEST(closed_while_resolving), TEST(many_look_ups),
        TEST(refused), TEST(unanswered), TEST(one_silent), TEST(one_silent_in_calls),
        TEST(slow_to_answer), TEST(silent_and_refused), TEST(all_silent),
        TEST(no_route), TEST(no_route_for_ipv6), TEST(fin),
        TEST(reset), TEST(closed_by_us), TEST(peer_vanishes), TEST(cuts), TEST(aborts),
        TEST(unread_data), TEST(huge_pieces), TEST(no_pcb_left), TEST(no_memory_left),
        TEST(unacknowledged), TEST(slow_uplink), TEST(close_without_memory), TEST(waits),
        OPERATIONS(0), OPERATIONS(1), OPERATIONS(2), OPERATIONS(3),
        OPERATIONS(4), OPERATIONS(5), OPERATIONS(6), OPERATIONS(7)};

    (void)argv;
    if (missing != NULL || argc > 1) {
        (void)puts(missing != NULL ? missing : "");
        return argc > 1 ? 0 : 1;
    }
    return cmocka_run_group_tests_name("lwip", tests, set_up, NULL);
}
