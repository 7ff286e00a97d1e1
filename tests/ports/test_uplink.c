/* The POSIX port on a slow uplink with a deep queue, and on a system that was suspended. netns.sh
 * makes both, in namespaces, and sets UNSB_TEST_NETNS. */
#include "suite.h"
#include "service.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#define IDLE_MS 4000u
#define FILE_SIZE 3000000u

static char file[FILE_SIZE];

static void need_namespaces(void)
{
    if (getenv("UNSB_TEST_NETNS") == NULL) {
        print_message("# skipped: ports/netns.sh has not prepared this\n");
        skip();
    }
}

/* Reads a request to its end, and answers. */
static void serve_upload(peer *p, int fd)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n"
                                 "{\"job_id\":\"j1\",\"status\":\"pending\"}";
    static char text[65536];
    const char *body = NULL, *length = NULL;
    size_t have = 0, head = 0, got;
    unsigned long left = 0;

    while (body == NULL && (got = peer_recv(p, fd, text + have, sizeof text - 1 - have)) != 0) {
        have += got;
        text[have] = '\0';
        body = strstr(text, "\r\n\r\n");
    }
    length = body != NULL ? strstr(text, "Content-Length: ") : NULL;
    if (length == NULL)
        return;
    head = (size_t)(body - text) + 4;
    left = strtoul(length + 16, NULL, 10) - (have - head);
    while (left != 0 && (got = peer_recv(p, fd, text, sizeof text)) != 0)
        left -= got < left ? (unsigned long)got : left;
    if (left == 0)
        (void)peer_send(p, fd, answer, sizeof answer - 1);
    peer_drain(p, fd);
}

/* Carries the upload to its end: the most that the kernel held of it and had not sent. */
static int upload(rig *g, const unsb_program *program, unsb_result *result, int *most)
{
    int rc = unsb_execute_async(&g->client, program, result);

    while (rc == UNSB_PENDING) {
        int unsent = 0;
        rig_wait(g);
        rc = unsb_poll(&g->client);
        if (g->client.state == UNSBI_SEND &&
            ioctl(unsb_posix_fd(&g->tcp), SIOCOUTQNSD, &unsent) == 0)
            *most = unsent > *most ? unsent : *most;
    }
    return rc;
}

/* The kernel would take a megabyte and more at once, which takes long to leave in silence. */
static void slow_uplink(void **state)
{
    static peer p;
    static rig g;
    unsb_file input;
    unsb_program program;
    unsb_result result;
    int mode;

    (void)state;
    need_namespaces();
    memset(&input, 0, sizeof input);
    memset(&program, 0, sizeof program);
    memset(file, 'x', sizeof file);
    input.name = "f";
    input.source = unsb_bytes(file, sizeof file);
    program.language = "sh";
    program.code = unsb_text("true");
    program.files = &input;
    program.file_count = 1;
    for (mode = 0; mode < 2; mode++) {
        uint32_t since = unsb_posix_now_ms(NULL), passed;
        int rc, most = 0;
        peer_start(&p, serve_upload, NULL);
        rig_prepare(&g, false, mode != 0, p.port);
        g.config.now_ms = unsb_posix_now_ms;
        g.config.connect_timeout_ms = PATIENCE_MS;
        g.config.idle_timeout_ms = IDLE_MS;
        rig_open(&g);
        g.inside.speed = g.outside.speed = 1;
        memset(&result, 0, sizeof result);
        rc = upload(&g, &program, &result, &most);
        passed = unsb_posix_now_ms(NULL) - since;
        if (rc != UNSB_OK)
            fail_msg("%d (%s) after %u ms", rc, unsb_error_text(rc), passed);
        if (mode != 0) { /* a blocking client is not seen at work */
            figures("4 MB up at 400 KB/s, a queue of 600 KB: %u ms, at most %d KB not sent", passed,
                    most / 1024);
            assert_true(most > 0 && most < 256 * 1024);
        }
        assert_true(passed > 2 * IDLE_MS); /* else it was no slow uplink */
        rig_close(&g);
        peer_stop(&p);
    }
}

static uint32_t clock_ms(clockid_t which)
{
    struct timespec now = {0, 0};

    assert_int_equal(clock_gettime(which, &now), 0);
    return (uint32_t)((uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u);
}

/* The two clocks are 100,000 s apart, as if the system had been suspended for that long. */
static void suspended(void **state)
{
    uint32_t running, all, now;

    (void)state;
    need_namespaces();
    running = clock_ms(CLOCK_MONOTONIC);
    all = clock_ms(CLOCK_BOOTTIME);
    now = unsb_posix_now_ms(NULL);
    assert_true(all - running > 90000000u);
    assert_true(now - all < PATIENCE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(slow_uplink), cmocka_unit_test(suspended)};

    return cmocka_run_group_tests_name("uplink", tests, NULL, NULL);
}
