/* A name server that does not answer: the call ends with its connect time-out, leaves one look-up
 * behind, however often it is tried, and is served as soon as the server has come to its senses.
 * The resolver is the system's own. It runs in namespaces of its own, with a resolv.conf of its
 * own, so that neither the machine's settings nor its network are touched. */
#define _DEFAULT_SOURCE /* struct ifreq */
#include "suite.h"

#include <netdb.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "service.h"
#include "resources.h"

#define INSIDE "UNSB_TEST_DNS_INSIDE"
#define LIMIT_MS 400u /* of real time; the client's clock runs RIG_SPEED times as fast */
#define QUERIES_MAX 64

typedef struct query {
    uint8_t data[512];
    size_t size;
    struct sockaddr_in from;
} query;

static struct {
    int fd, stop[2];
    pthread_t thread;
    pthread_mutex_t lock; /* over the following */
    bool answers;
    unsigned count;
    query queries[QUERIES_MAX];
} names;

static rig g;
static peer web;

/* RFC 1035 section 4.1: an A record with this host, and no records of other types. */
static void name_answer(const query *q)
{
    static const uint8_t record[] = {0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1};
    uint8_t text[600];
    size_t end = 12;

    while (end < q->size && q->data[end] != 0)
        end += q->data[end] + 1u;
    end += 5;
    assert_true(end <= q->size);
    memcpy(text, q->data, end);
    text[2] = 0x81;
    text[3] = 0x80;
    memset(text + 6, 0, 6);
    if (text[end - 3] == 1) {
        text[7] = 1;
        memcpy(text + end, record, sizeof record);
        end += sizeof record;
    }
    (void)!sendto(names.fd, text, end, 0, (const struct sockaddr *)(const void *)&q->from,
                  sizeof q->from);
}

static void *name_server(void *context)
{
    struct pollfd items[2] = {{.fd = names.fd, .events = POLLIN},
                              {.fd = names.stop[0], .events = POLLIN}};

    (void)context;
    while (poll(items, 2, -1) > 0 && items[1].revents == 0) {
        query *q = &names.queries[names.count % QUERIES_MAX];
        socklen_t size = sizeof q->from;
        ssize_t n = recvfrom(names.fd, q->data, sizeof q->data, 0,
                             (struct sockaddr *)(void *)&q->from, &size);
        if (n < 12)
            continue;
        (void)pthread_mutex_lock(&names.lock);
        q->size = (size_t)n;
        names.count++;
        if (names.answers)
            name_answer(q);
        (void)pthread_mutex_unlock(&names.lock);
    }
    return NULL;
}

static unsigned asked(void)
{
    unsigned count;

    (void)pthread_mutex_lock(&names.lock);
    count = names.count;
    (void)pthread_mutex_unlock(&names.lock);
    return count;
}

/* From now on; and what was asked before, too. */
static void answer_all(void)
{
    unsigned i;

    (void)pthread_mutex_lock(&names.lock);
    names.answers = true;
    for (i = 0; i < names.count && i < QUERIES_MAX; i++)
        name_answer(&names.queries[i]);
    (void)pthread_mutex_unlock(&names.lock);
}

static void serve_well(peer *p, int fd)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine";
    char request[4096];

    if (peer_recv(p, fd, request, sizeof request) != 0)
        (void)peer_send(p, fd, text, sizeof text - 1);
    (void)shutdown(fd, SHUT_WR);
    peer_drain(p, fd);
}

static int ask(char *text, size_t size)
{
    unsb_call call;
    unsb_result result;

    memset(&call, 0, sizeof call);
    memset(&result, 0, sizeof result);
    call.method = "GET";
    call.path = "/";
    result.out = unsb_into(text, size);
    return rig_end(&g, unsb_request(&g.client, &call, &result));
}

static void never_answers(bool polled)
{
    char host[32], text[16];
    unsigned i, before = asked(), accepted = peer_accepted(&web);
    uint32_t since = unsb_posix_now_ms(NULL);
    bool came;

    names.answers = false;
    rig_prepare(&g, ON_TCP, polled, web.port);
    (void)snprintf(host, sizeof host, "service-%d.example", polled);
    g.config.host = host;
    g.config.connect_timeout_ms = LIMIT_MS * RIG_SPEED;
    rig_open(&g);
    for (i = 0; i < 3; i++) {
        assert_int_equal(ask(text, sizeof text), UNSB_E_TIMEOUT);
        assert_int_equal(peer_accepted(&web), accepted);
    }
    assert_true(unsb_posix_now_ms(NULL) - since < PATIENCE_MS / 2);
    EVENTUALLY(asked() != before, came);
    assert_true(came); /* it was the server that was waited for */
    assert_true(threads_alive() <= 4); /* this one, the two peers, one look-up */
    g.client.config.connect_timeout_ms = RIG_LIMIT_MS;
    answer_all();
    assert_int_equal(ask(text, sizeof text), UNSB_OK);
    assert_string_equal(text, "fine");
    rig_close(&g);
}

static void never_answers_blocking(void **state)
{
    (void)state;
    if (getenv(INSIDE) == NULL)
        skip();
    never_answers(false);
}

static void never_answers_polled(void **state)
{
    (void)state;
    if (getenv(INSIDE) == NULL)
        skip();
    never_answers(true);
}

static int start(void **state)
{
    struct sockaddr_in address;
    struct ifreq loopback;

    (void)state;
    if (getenv(INSIDE) == NULL)
        return 0;
    names.fd = private_fd(socket(AF_INET, SOCK_DGRAM, 0));
    memset(&loopback, 0, sizeof loopback);
    (void)snprintf(loopback.ifr_name, sizeof loopback.ifr_name, "lo");
    loopback.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(names.fd, SIOCSIFFLAGS, &loopback) != 0)
        fail_msg("no loopback: %s", strerror(errno));
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(53);
    if (bind(names.fd, (struct sockaddr *)(void *)&address, sizeof address) != 0)
        fail_msg("no port 53: %s", strerror(errno));
    assert_int_equal(pipe(names.stop), 0);
    (void)pthread_mutex_init(&names.lock, NULL);
    assert_int_equal(pthread_create(&names.thread, NULL, name_server, NULL), 0);
    peer_start(&web, serve_well, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (getenv(INSIDE) == NULL)
        return 0;
    peers_stop();
    (void)close(names.stop[1]);
    (void)pthread_join(names.thread, NULL);
    return 0;
}

/* Runs this program again, in namespaces of its own, with these settings of the resolver. */
static void go_inside(const char *program)
{
    static const char servers[] = "nameserver 127.0.0.1\n", order[] = "hosts: dns\n";
    const char *script = "mount --bind \"$1\" /etc/resolv.conf && "
                         "mount --bind \"$2\" /etc/nsswitch.conf && exec \"$0\"";
    const char *probe[] = {"unshare", "-rmn", "true", NULL};
    const char *argv[] = {"unshare", "-rmn", "sh", "-c", script, program, NULL, NULL, NULL};
    int status;

    argv[6] = scratch("resolv.conf");
    argv[7] = scratch("nsswitch.conf");
    write_file(argv[6], servers, sizeof servers - 1);
    write_file(argv[7], order, sizeof order - 1);
    if (run(probe, -1) != 0 || setenv(INSIDE, "1", 1) != 0)
        return;
    status = run(argv, 1);
    if (status != 0)
        show_log();
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(never_answers_blocking),
                                       cmocka_unit_test(never_answers_polled)};

    (void)argc;
    if (getenv(INSIDE) == NULL)
        go_inside(argv[0]);
    return cmocka_run_group_tests_name("dns", tests, start, stop);
}
