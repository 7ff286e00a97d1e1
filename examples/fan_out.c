/* More than one connection: a Monte-Carlo computation in PARTS parts, by CLIENTS clients in one
 * poll loop; results are merged as they come: fan_out [CLIENTS]. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"
#include <poll.h>

enum { PARTS = 4, DARTS = 50000, CLIENTS_MAX = 8 };

typedef struct worker {
    unsb_desktop d;
    unsb_result result;
    unsb_program program; /* in place while it is sent */
    char text[64], code[256];
    int part; /* from 0; -1: idle */
    int rc;
    bool rests;             /* the service said "later": */
    uint32_t not_before_ms;
} worker;

static worker workers[CLIENTS_MAX];
static bool started[PARTS];
static long inside;
static int merged, later;

static void start(worker *w, int part)
{
    snprintf(w->code, sizeof w->code,
             "import random\nrandom.seed(%d)\n"
             "print(sum(random.random()**2 + random.random()**2 < 1 for _ in range(%d)))\n",
             part + 1, DARTS);
    w->result = (unsb_result){.out = unsb_into(w->text, sizeof w->text)};
    w->part = part;
    w->rests = false;
    started[part] = true;
    w->program = (unsb_program){.language = "python", .code = unsb_text(w->code)};
    w->rc = unsb_execute(&w->d.client, &w->program, &w->result);
}

/* Takes what a worker has. False: an error that another try would not mend. */
static bool finish(worker *w)
{
    char why[UNSB_DESKTOP_TEXT];
    uint32_t pause_s = w->result.retry_after_s != 0 ? w->result.retry_after_s : 1;

    if (w->rc == UNSB_OK && w->result.success) {
        inside += strtol(w->text, NULL, 10);
        merged++;
        printf("part %d of %d: %d of %d merged\n", w->part + 1, PARTS, merged, PARTS);
    } else if (w->rc == UNSB_E_RATE_LIMITED && later < 100) {
        /* config.retries has tried already: this client rests, the others go on */
        started[w->part] = false;
        w->not_before_ms = unsb_posix_now_ms(NULL) + pause_s * 1000;
        w->rests = true;
        later++;
    } else {
        fprintf(stderr, "%s\n",
                unsb_desktop_explain(&w->d, w->rc, &w->result, why, sizeof why));
        return false;
    }
    w->part = -1;
    return true;
}

static int next_part(void)
{
    int i;

    for (i = 0; i < PARTS; i++)
        if (!started[i])
            return i;
    return -1;
}

/* Sleeps until one of the workers can go on, 100 ms at the most. */
static void rest(int count)
{
    struct pollfd fds[CLIENTS_MAX * 8];
    size_t used = 0;
    uint32_t sleep_ms = 100, timeout_ms;
    int i, interest;

    for (i = 0; i < count; i++) {
        if (workers[i].part < 0)
            continue;
        interest = unsb_interest(&workers[i].d.client, &timeout_ms);
        used += unsb_posix_fds(&workers[i].d.tcp, interest, fds + used,
                               sizeof fds / sizeof *fds - used, &timeout_ms);
        if (timeout_ms < sleep_ms)
            sleep_ms = timeout_ms;
    }
    (void)poll(fds, (nfds_t)used, (int)sleep_ms);
}

int main(int argc, char **argv)
{
    unsb_desktop_options options = {.nonblocking = true};
    int count = argc > 1 ? atoi(argv[1]) : 4, opened = 0, i, part;
    bool good = count >= 1 && count <= CLIENTS_MAX;
    char why[UNSB_DESKTOP_TEXT];

    for (; good && opened < count; opened++) {
        int rc = unsb_desktop_open(&workers[opened].d, &options);
        workers[opened].part = -1;
        if (rc != UNSB_OK) {
            fprintf(stderr, "%s\n",
                    unsb_desktop_explain(&workers[opened].d, rc, NULL, why, sizeof why));
            good = false;
        }
    }
    while (good && merged < PARTS) {
        for (i = 0; i < count && good; i++) {
            worker *w = &workers[i];
            if (w->part < 0 && (part = next_part()) >= 0 &&
                (!w->rests || (int32_t)(unsb_posix_now_ms(NULL) - w->not_before_ms) >= 0))
                start(w, part);
            else if (w->part >= 0 && w->rc == UNSB_PENDING)
                w->rc = unsb_poll(&w->d.client);
            if (w->part >= 0 && w->rc != UNSB_PENDING)
                good = finish(w);
        }
        if (good && merged < PARTS)
            rest(count);
    }
    if (good)
        printf("pi is about %.4f; told to come later %d times\n",
               4.0 * (double)inside / (double)DARTS / PARTS, later);
    for (i = 0; i < opened; i++)
        unsb_desktop_close(&workers[i].d);
    return good ? 0 : 1;
}
