/* template.h - the skeleton of a transport for unsandbox.h: copy it, and fill in your platform
 *
 * It keeps the state, the sticky errors and the order of calls that the contract asks for (see
 * unsb_transport_class in unsandbox.h), and calls five functions that are yours:
 * unsb_template_open, _write, _read, _shut and _wait. They are declared in >>platform, each with
 * what it owes.
 *
 * To make a port:
 *   1. Copy this file to unsandbox_NAME.h and replace "template" by NAME throughout, "TEMPLATE"
 *      likewise.
 *   2. At each "your platform:" put what yours needs: includes, members of the struct, the bodies
 *      of the five functions. (They may also follow the inclusion of the file, in the one C file
 *      that includes it: so a port can be tried without a copy.)
 *   3. Write an adapter for tests/ports/conformance.h, whose first comment says how. Passing that
 *      suite is what "it works" means.
 *   4. Replace this comment: how the port is set up, what it needs, its memory, its errors, its
 *      limits. Go through the list below.
 *
 * The list:
 *   [ ] open, write and read return at once when they cannot go on, if non-blocking clients are to
 *       be served: also while a name is resolved. What blocks is said in the first comment.
 *   [ ] 0 from write and read is "not now" and nothing else. An interface whose read() gives 0 for
 *       the end of the stream must be translated.
 *   [ ] UNSB_E_CLOSED from read only where the peer ended the stream in good order, and only after
 *       all that it sent was read. A reset, a lost link, a time-out are UNSB_E_IO.
 *   [ ] Errors are the codes -30 to -49, or your own at UNSB_E_USER or below; the platform's own
 *       number is in `error`.
 *   [ ] write may take less than it is given; read may give less than there is room for. Neither
 *       keeps the pointer.
 *   [ ] shut gives everything back, also after an open that failed or was not over. A look-up or a
 *       connection that cannot be cancelled belongs to someone who outlives the client.
 *   [ ] write and read tell of what the peer takes and gives, as the client's idle limit goes by
 *       them: of much that is copied and still unsent it learns nothing. Bound what is on the way.
 *   [ ] A write that took long and then "nothing" may have sent it: that is an error, not 0.
 *   [ ] wait is never early with UNSB_E_TIMEOUT, and takes UNSB_FOREVER; it returns UNSB_OK for an
 *       end or an error, too, as there is something to be fetched. A spurious UNSB_OK is harmless,
 *       but a stream of them is a busy loop.
 *   [ ] wait is also where a blocking call is interrupted, if that is wanted: a signal's handler,
 *       an interrupt or another task sets a flag (and wakes wait). It then returns UNSB_E_ABORTED,
 *       which ends the call with that code; the client is usable afterwards.
 *   [ ] A name's addresses: the next one at once where one refuses, and after a second or two where
 *       one is silent. The one that worked is tried first the next time.
 *   [ ] drop, where processes fork(): the child gives its copy up without a word on the wire. NULL
 *       (as here) is right where shut says nothing either, or where there is no fork().
 *   [ ] No signal (SIGPIPE), no exception, no call back into the client.
 *   [ ] Sends need no Nagle delay (TCP_NODELAY); an execution may be silent for 15 minutes
 *       (SO_KEEPALIVE).
 *   [ ] Clocks for unsb_config, if the platform has them: now_ms (may wrap), unix_time.
 *   [ ] A TLS port: the chain up to an anchor, the dates and the host's name are checked, always;
 *       an end without close_notify is UNSB_E_IO; keys are wiped in shut; randomness comes from
 *       somewhere. What it must wait for is not always what it is asked for, so it has `interest`:
 *       while a handshake or a renewed key must be sent, READABLE becomes WRITABLE; while it holds
 *       plaintext that was not read yet, wait returns at once. */
#ifndef UNSANDBOX_TEMPLATE_H
#define UNSANDBOX_TEMPLATE_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif

#include <limits.h>

/* your platform: its headers */

#if defined(__GNUC__)
#define UNSBI_TEMPLATE_FN static __attribute__((unused))
#else
#define UNSBI_TEMPLATE_FN static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

typedef struct unsb_template {
    /* to be read */
    int error; /* the platform's number of the last failure, 0: none. Kept until the next connect */
    /* private */
    uint8_t state;
    int failure;      /* of open, then of read; sticky */
    int send_failure; /* kept apart, so that recv can still fetch what the peer sent */
    void *platform;   /* your platform: a socket, a handle, a modem ... */
} unsb_template;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Initialises `t` (whatever it held: close it before, if it was in use) and returns the transport
 * over it. `t` must stay in place until the client is closed. */
UNSBI_TEMPLATE_FN unsb_transport unsb_template_transport(unsb_template *t, void *platform);

/* ======================================================================
 * >>platform  The five functions that are yours
 * ====================================================================== */

/* your platform: each of these. Failures set t->error to the platform's number. */

/* Begins to connect, or carries on: called again with the same arguments while it returns
 * UNSB_PENDING. UNSB_OK: connected; UNSB_E_RESOLVE: there is no such name; UNSB_E_CONNECT: no one
 * answers there. */
static int unsb_template_open(unsb_template *t, const char *host, uint16_t port);
/* Takes up to `size` bytes (1 to INT_MAX): how many (> 0), 0: not now, or an error. */
static int unsb_template_write(unsb_template *t, const void *data, size_t size);
/* Stores up to `size` bytes (1 to INT_MAX): how many (> 0), 0: not now, UNSB_E_CLOSED: the peer
 * has ended the stream and all of it was read, or an error. */
static int unsb_template_read(unsb_template *t, void *data, size_t size);
/* Gives up what open has begun, once for each time that it was begun. */
static void unsb_template_shut(unsb_template *t);
/* Sleeps until the connection can be read (UNSB_READABLE) or written (UNSB_WRITABLE), while open
 * is pending until that can go on: UNSB_OK. Or until `timeout_ms` have passed: UNSB_E_TIMEOUT. With
 * `interest` 0 it lets the time pass; there may be no connection then. UNSB_E_ABORTED ends the call
 * that the client is in. Where the platform has nothing like select() or an event, poll it:
 *
 *     uint32_t start_ms = now_ms();
 *     do {
 *         if (((interest & UNSB_READABLE) != 0 && readable()) ||
 *             ((interest & UNSB_WRITABLE) != 0 && writable())) {
 *             return UNSB_OK;
 *         }
 *         if (timeout_ms != 0) {
 *             sleep_a_tick();
 *         }
 *     } while (timeout_ms >= UNSB_FOREVER || now_ms() - start_ms < timeout_ms);
 *     return UNSB_E_TIMEOUT; */
static int unsb_template_wait(unsb_template *t, int interest, uint32_t timeout_ms);

/* ======================================================================
 * >>implementation  Nothing to change from here on, but for `interest` of
 *                   a TLS port
 * ====================================================================== */

enum {
    UNSBI_TEMPLATE_IDLE,
    UNSBI_TEMPLATE_CONNECTING,
    UNSBI_TEMPLATE_OPEN,
    UNSBI_TEMPLATE_FAILED /* open did, and was shut */
};

static int unsbi_template_connect(void *context, const char *host, uint16_t port)
{
    unsb_template *t = (unsb_template *)context;
    int rc;

    if (t->state == UNSBI_TEMPLATE_OPEN) {
        return UNSB_OK;
    }
    if (t->state == UNSBI_TEMPLATE_FAILED) {
        return t->failure;
    }
    if (t->state == UNSBI_TEMPLATE_IDLE) {
        t->error = 0;
        t->state = UNSBI_TEMPLATE_CONNECTING;
    }
    rc = unsb_template_open(t, host, port);
    if (rc == UNSB_OK) {
        t->state = UNSBI_TEMPLATE_OPEN;
    } else if (rc != UNSB_PENDING) {
        unsb_template_shut(t);
        t->failure = rc;
        t->state = UNSBI_TEMPLATE_FAILED;
    }
    return rc;
}

static int unsbi_template_send(void *context, const void *data, size_t size)
{
    unsb_template *t = (unsb_template *)context;
    int count;

    if (t->state != UNSBI_TEMPLATE_OPEN) {
        return t->failure != 0 ? t->failure : UNSB_E_IO;
    }
    if (t->send_failure != 0 || size == 0) {
        return t->send_failure;
    }
    count = unsb_template_write(t, data, size < (size_t)INT_MAX ? size : (size_t)INT_MAX);
    if (count < 0) {
        t->send_failure = count;
    }
    return count;
}

static int unsbi_template_recv(void *context, void *data, size_t size)
{
    unsb_template *t = (unsb_template *)context;
    int count;

    if (t->state != UNSBI_TEMPLATE_OPEN) {
        return t->failure != 0 ? t->failure : UNSB_E_IO;
    }
    if (t->failure != 0 || size == 0) {
        return t->failure;
    }
    count = unsb_template_read(t, data, size < (size_t)INT_MAX ? size : (size_t)INT_MAX);
    if (count < 0) {
        t->failure = count;
    }
    return count;
}

static void unsbi_template_close(void *context)
{
    unsb_template *t = (unsb_template *)context;

    if (t->state == UNSBI_TEMPLATE_CONNECTING || t->state == UNSBI_TEMPLATE_OPEN) {
        unsb_template_shut(t);
    }
    t->failure = 0;
    t->send_failure = 0;
    t->state = UNSBI_TEMPLATE_IDLE;
}

static int unsbi_template_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsb_template *t = (unsb_template *)context;

    if (interest != 0) {
        if (t->state == UNSBI_TEMPLATE_IDLE || t->state == UNSBI_TEMPLATE_FAILED ||
            ((interest & UNSB_READABLE) != 0 && t->failure != 0) ||
            ((interest & UNSB_WRITABLE) != 0 && t->send_failure != 0)) {
            return UNSB_OK; /* nothing to wait for: the next call tells why */
        }
    }
    return unsb_template_wait(t, interest, timeout_ms);
}

static const unsb_transport_class unsbi_template_class = {
    unsbi_template_connect, unsbi_template_send, unsbi_template_recv,
    unsbi_template_close,   unsbi_template_wait, NULL /* interest */,
    NULL /* drop */};

UNSBI_TEMPLATE_FN unsb_transport unsb_template_transport(unsb_template *t, void *platform)
{
    unsb_transport transport;
    memset(t, 0, sizeof *t);
    t->platform = platform;
    transport.vtable = &unsbi_template_class;
    transport.context = t;
    return transport;
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_TEMPLATE_H */
