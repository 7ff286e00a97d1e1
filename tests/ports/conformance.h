/* What every transport port must do: the contract at unsb_transport_class in unsandbox.h, as tests.
 *
 * A port's test program supplies an adapter and calls conf_run():
 *
 *     #include "conformance.h"              (includes the library and cmocka)
 *     #include "unsandbox_PORT.h"
 *     ... functions ...
 *     int main(void)
 *     {
 *         conf_port port;
 *         memset(&port, 0, sizeof port);
 *         port.name = "PORT";
 *         port.make = ...
 *         return conf_run(&port);
 *     }
 *
 * How an adapter is written
 *
 * The adapter has two ends: it makes the transport that is tested, and it is the peer that this
 * transport talks to. All runs in one thread: the suite calls the client's end and the peer's end
 * by turns, so nothing in the adapter may block. Over TLS, accept, send and recv of the peer carry
 * its handshake and its records on, too. Each field of conf_port says what is owed. Fields that are
 * NULL or 0 say what the port or its medium cannot show, and the tests that need them are reported
 * as skipped, by name: a UART has no end of stream (peer_end), some interfaces cannot tell a reset
 * from an end (peer_reset), a modem of one fixed peer cannot be refused (refusing).
 *
 * To see what the port does when the layer beneath it moves little, nothing or fails, the adapter
 * puts conf_allow() in front of each call that the port makes there, and sets `limits`. A port over
 * another transport gets that by conf_shaper(); a port over functions of a system by macros around
 * its inclusion (#define send limited_send).
 *
 * The peers that exist: posix_peer.h (sockets), tls_peer.h (BearSSL's server over it), queue_peer.h
 * (two byte queues and a clock of their own, for ports without a system).
 *
 * The suite is C99 and C++11, uses no function of a system, and of cmocka only assert_true,
 * assert_int_equal, assert_int_not_equal, fail_msg, print_message, skip, cmocka_unit_test and
 * cmocka_run_group_tests_name. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __cplusplus
extern "C" { /* which cmocka leaves to its users */
#endif
#include <cmocka.h>
#ifdef __cplusplus
}
#endif

#ifndef UNSANDBOX_H
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
#endif

#define CONF_PATIENCE_MS 60000u /* what takes longer than this without anything moved has failed */
#define CONF_END (-1)           /* of peer_recv: the client ended the stream in good order */
#define CONF_FAILED (-2)        /* of peer_recv, peer_send: or otherwise */

/* ======================================================================
 * >>adapter
 * ====================================================================== */

typedef struct conf_port {
    const char *name;

    /* ---- the transport under test; required ---- */
    unsb_transport (*make)(void); /* in its first state, over memory of the adapter's. The one
                                     before was closed */
    const char *host;             /* what the client dials to reach the peer */

    /* ---- the peer; required. One connection at a time ---- */
    uint16_t (*listen)(void); /* begins to listen; the port to dial. Also while it listens */
    int (*accept)(void);      /* takes the next connection; one before it is dropped. 1: it is there
                                 (with TLS: its handshake is over), 0: not yet, < 0: it failed */
    int (*peer_send)(const void *data, size_t size); /* bytes taken, 0: not now, CONF_FAILED */
    int (*peer_recv)(void *data, size_t size); /* bytes stored, 0: not now, CONF_END, CONF_FAILED */
    void (*drop)(void); /* gives up connection and listener, whatever their state; also twice */

    /* ---- time; required ---- */
    uint32_t (*now_ms)(void); /* the clock that the port goes by */
    void (*idle)(void);       /* nothing has moved: sleeps a little, or lets the clock advance */

    /* ---- what may be NULL, or 0 ---- */
    const char *unknown_host;    /* a name that does not resolve */
    uint16_t (*refusing)(void);  /* a port that refuses connections, until drop() */
    void (*peer_end)(void);      /* the peer ends its stream in good order */
    void (*peer_cut)(void);      /* with TLS: TCP ends in good order, TLS does not */
    void (*peer_reset)(void);    /* the peer breaks the connection */
    bool (*later)(uint32_t ms, void (*action)(void)); /* `action` (of the peer) will run in `ms`,
                                                         while the port waits */
    void (*later_done)(void);    /* returns when it has run */
    unsigned (*resources)(void); /* how many descriptors, blocks ... are in use; may sink late */
    size_t room;       /* a bound on what the client can send that the peer does not read, bytes */
    uint32_t clock_step_ms; /* the clock's granularity; 0: 1 */
    bool limits;       /* the layer beneath the port asks conf_allow() ... */
    bool faultless;    /* ... but has no way to fail other than an end of the stream */
    size_t large;      /* how much the large transfers move each way; 0: 300,000 */
} conf_port;

/* What the layer beneath the port may do. */
typedef struct conf_limits {
    size_t piece;      /* the most that a call moves; 0: all */
    bool stutter;      /* half of the calls can do nothing yet */
    unsigned fault_at; /* the call that fails, and all after it do; counted from 1, 0: none */
} conf_limits;

typedef enum conf_call { CONF_CONNECT, CONF_SEND, CONF_RECV } conf_call;

static struct {
    const conf_port *port;
    unsb_transport t;
    uint16_t number; /* the peer's port */
    unsigned resources; /* at the start of a test */
    conf_limits limits;
    unsigned calls; /* beneath the port, since conf_limit() */
    unsigned asked; /* a bit for each conf_call that asked */
    uint32_t moved_ms;
    unsigned unmoved;
    uint32_t random;
} conf;

static uint32_t conf_random(void)
{
    conf.random ^= conf.random << 13;
    conf.random ^= conf.random >> 17;
    conf.random ^= conf.random << 5;
    return conf.random;
}

/* Whether a call beneath the port may go on: > 0, with up to *size bytes; 0: it must say "not now";
 * < 0: it must fail as if the peer had broken the connection. */
static inline int conf_allow(conf_call kind, size_t *size)
{
    conf.calls++;
    conf.asked |= 1u << kind;
    if (conf.limits.fault_at != 0 && conf.calls >= conf.limits.fault_at)
        return -1;
    /* not strictly by turns, which a port that looks twice each time would never get beyond */
    if (conf.limits.stutter && (conf_random() >> 7 & 1) != 0)
        return 0;
    if (conf.limits.piece != 0 && *size > conf.limits.piece)
        *size = conf.limits.piece;
    return 1;
}

static void conf_limit(size_t piece, bool stutter, unsigned fault_at)
{
    conf.limits.piece = piece;
    conf.limits.stutter = stutter;
    conf.limits.fault_at = fault_at;
    conf.calls = 0;
}

/* ---- the same as a transport, between a layer under test and what it runs over ---- */

static inline int conf_shaper_connect(void *context, const char *host, uint16_t port)
{
    unsb_transport *inner = (unsb_transport *)context;
    size_t size = 0;
    int rc = conf_allow(CONF_CONNECT, &size);

    if (rc <= 0)
        return rc < 0 ? UNSB_E_IO : UNSB_PENDING;
    return inner->vtable->connect(inner->context, host, port);
}

static inline int conf_shaper_send(void *context, const void *data, size_t size)
{
    unsb_transport *inner = (unsb_transport *)context;
    int rc = conf_allow(CONF_SEND, &size);

    return rc <= 0 ? (rc < 0 ? UNSB_E_IO : 0) : inner->vtable->send(inner->context, data, size);
}

static inline int conf_shaper_recv(void *context, void *data, size_t size)
{
    unsb_transport *inner = (unsb_transport *)context;
    int rc = conf_allow(CONF_RECV, &size);

    return rc <= 0 ? (rc < 0 ? UNSB_E_IO : 0) : inner->vtable->recv(inner->context, data, size);
}

static inline void conf_shaper_close(void *context)
{
    unsb_transport *inner = (unsb_transport *)context;

    inner->vtable->close(inner->context);
}

static inline int conf_shaper_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsb_transport *inner = (unsb_transport *)context;

    return inner->vtable->wait(inner->context, interest, timeout_ms);
}

static inline int conf_shaper_interest(void *context, int interest)
{
    unsb_transport *inner = (unsb_transport *)context;

    if (inner->vtable->interest == NULL)
        return interest;
    return inner->vtable->interest(inner->context, interest);
}

/* `inner` must stay in place. */
static inline unsb_transport conf_shaper(unsb_transport *inner)
{
    static const unsb_transport_class shaper = {conf_shaper_connect, conf_shaper_send,
                                                conf_shaper_recv,    conf_shaper_close,
                                                conf_shaper_wait,    conf_shaper_interest,
                                                NULL};
    unsb_transport transport;

    transport.vtable = &shaper;
    transport.context = inner;
    return transport;
}

/* ======================================================================
 * >>helpers
 * ====================================================================== */

static void conf_needs(bool has, const char *what)
{
    if (!has) {
        print_message("# skipped: %s: %s\n", conf.port->name, what);
        skip();
    }
}

/* Once for each turn of a loop that must get on in the end. */
static void conf_turn(bool moved)
{
    if (moved) {
        conf.moved_ms = conf.port->now_ms();
        conf.unmoved = 0;
    } else if (++conf.unmoved % 8 == 0) {
        conf.port->idle();
        if (conf.port->now_ms() - conf.moved_ms > CONF_PATIENCE_MS)
            fail_msg("nothing moves any more");
    }
}

static void conf_close(void)
{
    conf.t.vtable->close(conf.t.context);
}

/* Also tidies up after a test that failed. */
static void conf_begin(void)
{
    if (conf.t.vtable != NULL)
        conf_close();
    conf.port->drop();
    conf_limit(0, false, 0);
    conf.random = 0x2545F491u;
    conf_turn(true);
    conf.t = conf.port->make();
    if (conf.port->resources != NULL)
        conf.resources = conf.port->resources();
}

/* Everything was given back: a look-up that was abandoned may take its time. */
static void conf_end(void)
{
    conf_close();
    conf.port->drop();
    conf_turn(true);
    if (conf.port->resources != NULL)
        while (conf.port->resources() != conf.resources)
            conf_turn(false);
}

static bool conf_is_error(int rc)
{
    return (rc <= -30 && rc >= -49) || rc <= UNSB_E_USER;
}

static int conf_connect(void)
{
    return conf.t.vtable->connect(conf.t.context, conf.port->host, conf.number);
}

static int conf_send(const void *data, size_t size)
{
    int rc = conf.t.vtable->send(conf.t.context, data, size);

    if (rc > 0 ? (size_t)rc > size : rc != 0 && !conf_is_error(rc))
        fail_msg("send returned %d", rc);
    return rc;
}

static int conf_recv(void *data, size_t size)
{
    int rc = conf.t.vtable->recv(conf.t.context, data, size);

    if (rc > 0 ? (size_t)rc > size : rc != 0 && !conf_is_error(rc))
        fail_msg("recv returned %d", rc);
    return rc;
}

/* `interest` may change what is waited for, not whether: nothing stays nothing. NULL: the same. */
static void conf_interests(void)
{
    int interest;

    if (conf.t.vtable->interest == NULL)
        return;
    for (interest = 0; interest < 4; interest++) {
        int wanted = conf.t.vtable->interest(conf.t.context, interest);
        if (wanted < 0 || wanted > (UNSB_READABLE | UNSB_WRITABLE) ||
            (wanted == 0) != (interest == 0))
            fail_msg("interest %d became %d", interest, wanted);
    }
}

/* Connects, the peer accepting meanwhile; the outcome. */
static int conf_dial(void)
{
    int accepted = 0, rc;

    conf_turn(true);
    while ((rc = conf_connect()) == UNSB_PENDING) {
        conf_interests();
        if (accepted == 0)
            accepted = conf.port->accept();
        conf_turn(false);
    }
    if (rc != UNSB_OK && !conf_is_error(rc))
        fail_msg("connect returned %d", rc);
    if (rc != UNSB_OK)
        return rc;
    conf_turn(true);
    while (accepted == 0) {
        accepted = conf.port->accept();
        conf_turn(false);
    }
    return accepted < 0 ? UNSB_E_CONNECT : UNSB_OK;
}

static void conf_open(void)
{
    int rc;

    conf.number = conf.port->listen();
    rc = conf_dial();
    if (rc != UNSB_OK)
        fail_msg("cannot connect: %d (%s)", rc, unsb_error_text(rc));
}

/* ---- two streams of known bytes ---- */

typedef struct conf_flow {
    size_t total, sent, received;
    size_t send_piece, recv_piece; /* 0: at random */
    uint8_t seed;
} conf_flow;

static conf_flow conf_flow_of(size_t total, size_t send_piece, size_t recv_piece, uint8_t seed)
{
    conf_flow flow;

    memset(&flow, 0, sizeof flow);
    flow.total = total;
    flow.send_piece = send_piece;
    flow.recv_piece = recv_piece;
    flow.seed = seed;
    return flow;
}

static uint8_t conf_byte(const conf_flow *flow, size_t at)
{
    return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16) + flow->seed);
}

#define CONF_PIECE_MAX 20000u /* more than a record of TLS holds */

static size_t conf_piece(size_t piece)
{
    if (piece == 0)
        piece = 1 + conf_random() % (conf_random() % 4 == 0 ? CONF_PIECE_MAX : 100);
    return piece < CONF_PIECE_MAX ? piece : CONF_PIECE_MAX;
}

static int conf_flow_send(conf_flow *flow, int (*function)(const void *data, size_t size))
{
    uint8_t piece[CONF_PIECE_MAX];
    size_t size = conf_piece(flow->send_piece), i;
    int rc;

    if (size > flow->total - flow->sent)
        size = flow->total - flow->sent;
    if (size == 0)
        return 0;
    for (i = 0; i < size; i++)
        piece[i] = conf_byte(flow, flow->sent + i);
    rc = function(piece, size);
    flow->sent += rc > 0 ? (size_t)rc : 0;
    return rc;
}

/* Asks also when all has come: then there must be nothing more. */
static int conf_flow_recv(conf_flow *flow, int (*function)(void *data, size_t size))
{
    uint8_t piece[CONF_PIECE_MAX + 1];
    size_t size = conf_piece(flow->recv_piece), i;
    int rc;

    piece[size] = 0xA5;
    rc = function(piece, size);
    assert_int_equal(piece[size], 0xA5);
    if (rc <= 0)
        return rc;
    if ((size_t)rc > flow->sent - flow->received)
        fail_msg("%d bytes came, %u were on the way", rc, (unsigned)(flow->sent - flow->received));
    for (i = 0; i < (size_t)rc; i++)
        if (piece[i] != conf_byte(flow, flow->received + i))
            fail_msg("byte %u is not what was sent", (unsigned)(flow->received + i));
    flow->received += (size_t)rc;
    return rc;
}

/* Moves both streams to their ends, or up to the client's first error, which it returns. recv is
 * called throughout, as a TLS port sends with it what was left of send. */
static int conf_move(conf_flow *up, conf_flow *down)
{
    conf_turn(true);
    while (up->received != up->total || down->received != down->total) {
        int a = conf_flow_send(up, conf_send);
        int b = conf_flow_recv(up, conf.port->peer_recv);
        int c = conf_flow_send(down, conf.port->peer_send);
        int d = conf_flow_recv(down, conf_recv);
        conf_interests();
        if (a < 0 || d < 0)
            return a < 0 ? a : d;
        if ((b < 0 || c < 0) && conf.limits.fault_at == 0)
            fail_msg("the peer sees %d, %d", b, c);
        conf_turn(a > 0 || b > 0 || c > 0 || d > 0);
    }
    return 0;
}

static void conf_move_all(conf_flow up, conf_flow down)
{
    int rc = conf_move(&up, &down);

    if (rc != 0)
        fail_msg("%d (%s) after %u bytes up, %u down", rc, unsb_error_text(rc),
                 (unsigned)up.received, (unsigned)down.received);
}

/* A few bytes each way: the connection stands. */
static void conf_exchange(void)
{
    conf_move_all(conf_flow_of(100, 33, 40, 1), conf_flow_of(150, 60, 70, 2));
}

/* Reads what is left of `down` up to the error that ends it. */
static int conf_read_to_end(conf_flow *down)
{
    int rc;

    conf_turn(true);
    while ((rc = conf_flow_recv(down, conf_recv)) >= 0)
        conf_turn(rc > 0);
    return rc;
}

/* The peer reads until the client's end, of whatever sort, is seen. */
static void conf_peer_sees_end(void)
{
    uint8_t piece[256];
    int rc;

    conf_turn(true);
    while ((rc = conf.port->peer_recv(piece, sizeof piece)) >= 0)
        conf_turn(rc > 0);
}

/* An error stays what it is. */
static void conf_stays(int error)
{
    uint8_t byte = 0;
    int again, rc;

    for (again = 0; again < 3; again++) {
        rc = conf_recv(&byte, 1);
        if (rc != error)
            fail_msg("recv returned %d, then %d", error, rc);
        conf_interests();
    }
}

/* ======================================================================
 * >>transfer
 * ====================================================================== */

static const size_t conf_sizes[] = {1, 2, 3, 7, 16, 61, 255, 256, 1000, 1460, 4096};

#define CONF_SIZES (sizeof conf_sizes / sizeof conf_sizes[0])

static size_t conf_total(size_t piece)
{
    return piece * 300 < 20000 ? piece * 300 : 20000;
}

static void pieces_of_every_size(void **state)
{
    size_t i;

    (void)state;
    conf_begin();
    conf_open();
    for (i = 0; i < CONF_SIZES; i++) {
        size_t piece = conf_sizes[i], other = conf_sizes[CONF_SIZES - 1 - i];
        size_t least = piece < other ? piece : other;
        conf_move_all(conf_flow_of(conf_total(piece), piece, 0, 3),
                      conf_flow_of(conf_total(piece), piece, 0, 4));
        conf_move_all(conf_flow_of(conf_total(least), piece, other, 5),
                      conf_flow_of(conf_total(least), other, piece, 6));
    }
    conf_end();
}

static void pieces_beneath(void **state)
{
    static const size_t most[] = {1, 2, 5, 100, 1000, 0};
    size_t i;

    (void)state;
    conf_needs(conf.port->limits, "the layer beneath cannot be limited");
    conf_begin();
    conf.asked = 0;
    for (i = 0; i < sizeof most / sizeof most[0] * 2; i++) {
        size_t total = most[i / 2] == 0 || most[i / 2] > 5 ? 20000 : 300 * most[i / 2];
        conf_limit(most[i / 2], i % 2 != 0, 0);
        conf_open();
        conf_move_all(conf_flow_of(total, 0, 0, 7), conf_flow_of(total, 0, 0, 8));
        conf_close();
    }
    if ((conf.asked & (1u << CONF_SEND | 1u << CONF_RECV)) != (1u << CONF_SEND | 1u << CONF_RECV))
        fail_msg("the adapter claims limits, but does not ask conf_allow()");
    conf_end();
}

/* 0 is "not now" however often it is asked, and what comes after it comes whole. */
static void nothing_yet(void **state)
{
    uint8_t byte;
    unsigned round, i;

    (void)state;
    conf_begin();
    conf_open();
    for (round = 0; round < 3; round++) {
        for (i = 0; i < 50; i++) {
            assert_int_equal(conf_recv(&byte, 1), 0);
            if (i % 10 == 0)
                conf.port->idle();
        }
        assert_int_equal(conf_recv(&byte, 0), 0);
        assert_int_equal(conf_send(&byte, 0), 0);
        conf_exchange();
    }
    conf_end();
}

/* The peer does not read: send says so, and goes on when it reads again. */
static void full(void **state)
{
    conf_flow up, down = conf_flow_of(0, 1, 1, 0);
    unsigned refused = 0;
    int rc;

    (void)state;
    conf_needs(conf.port->room != 0, "there is no bound to what is on the way");
    conf_begin();
    conf_open();
    up = conf_flow_of((size_t)-1, CONF_PIECE_MAX, CONF_PIECE_MAX, 9);
    conf_turn(true);
    while (refused < 100) {
        rc = conf_flow_send(&up, conf_send);
        if (rc < 0)
            fail_msg("%d (%s) instead of 0, after %u bytes", rc, unsb_error_text(rc),
                     (unsigned)up.sent);
        if (up.sent > conf.port->room)
            fail_msg("%u bytes were taken, where there is room for %u", (unsigned)up.sent,
                     (unsigned)conf.port->room);
        refused = rc == 0 ? refused + 1 : 0;
        if (rc == 0)
            conf.port->idle();
    }
    if (conf.t.vtable->wait != NULL) {
        rc = conf.t.vtable->wait(conf.t.context, UNSB_WRITABLE, 10);
        assert_true(rc == UNSB_OK || rc == UNSB_E_TIMEOUT);
    }
    up.total = up.sent + 10000;
    rc = conf_move(&up, &down);
    assert_int_equal(rc, 0);
    conf_exchange();
    conf_end();
}

static void large_transfers(void **state)
{
    size_t total = conf.port->large != 0 ? conf.port->large : 300000;

    (void)state;
    conf_begin();
    conf_open();
    conf_move_all(conf_flow_of(total, CONF_PIECE_MAX, CONF_PIECE_MAX, 10),
                  conf_flow_of(0, 1, CONF_PIECE_MAX, 0));
    conf_move_all(conf_flow_of(0, 1, CONF_PIECE_MAX, 0),
                  conf_flow_of(total, CONF_PIECE_MAX, CONF_PIECE_MAX, 11));
    conf_move_all(conf_flow_of(total, 0, 0, 12), conf_flow_of(total, 0, 0, 13));
    conf_end();
}

/* ======================================================================
 * >>ends
 * ====================================================================== */

static const size_t conf_last_words[] = {0, 1, 100, 5000};

/* All that the peer sent comes, then UNSB_E_CLOSED, however often it is asked for. */
static void end_of_stream(void **state)
{
    size_t i;

    (void)state;
    conf_needs(conf.port->peer_end != NULL, "the peer cannot end the stream");
    conf_begin();
    for (i = 0; i < sizeof conf_last_words / sizeof conf_last_words[0] * 2; i++) {
        conf_flow up = conf_flow_of(i % 2 * 500, 200, 200, 14);
        conf_flow down = conf_flow_of(conf_last_words[i / 2], 1000, 61, 15);
        uint8_t byte = 0;
        int rc;
        conf_open();
        conf_move_all(up, conf_flow_of(0, 1, 1, 0));
        conf_turn(true);
        while (down.sent != down.total)
            conf_turn(conf_flow_send(&down, conf.port->peer_send) > 0);
        conf.port->peer_end();
        rc = conf_read_to_end(&down);
        assert_int_equal(down.received, down.total);
        assert_int_equal(rc, UNSB_E_CLOSED);
        conf_stays(UNSB_E_CLOSED);
        (void)conf_send(&byte, 1); /* half-open or not: nothing more than that it returns */
        conf_stays(UNSB_E_CLOSED);
        conf_close();
        conf_peer_sees_end();
    }
    conf_end();
}

static void end_that_tls_does_not_vouch_for(void **state)
{
    size_t i;

    (void)state;
    conf_begin();
    for (i = 0; i < sizeof conf_last_words / sizeof conf_last_words[0]; i++) {
        conf_flow down = conf_flow_of(conf_last_words[i], 1000, 61, 16);
        int rc;
        conf_open();
        conf_turn(true);
        while (down.sent != down.total)
            conf_turn(conf_flow_send(&down, conf.port->peer_send) > 0);
        conf.port->peer_cut();
        rc = conf_read_to_end(&down);
        assert_int_not_equal(rc, UNSB_E_CLOSED);
        conf_stays(rc);
        conf_close();
    }
    conf_end();
}

/* An error that ends a connection: send has it, too, and the next connection is as new. */
static void conf_after_failure(int error)
{
    uint8_t byte = 0;
    int rc;

    assert_int_not_equal(error, UNSB_E_CLOSED);
    conf_stays(error);
    conf_turn(true);
    while ((rc = conf_send(&byte, 1)) >= 0)
        conf_turn(rc > 0);
    conf_stays(error);
    conf_close();
    conf_limit(0, false, 0);
    conf_open();
    conf_exchange();
    conf_close();
}

static void resets(void **state)
{
    unsigned way;

    (void)state;
    conf_needs(conf.port->peer_reset != NULL, "it is not told a reset from an end");
    conf_begin();
    for (way = 0; way < 7; way++) {
        conf_flow up = conf_flow_of(1000, 100, 100, 17), down = conf_flow_of(1000, 100, 100, 18);
        uint8_t byte = 0;
        int rc = 0;
        conf_open();
        if (way == 1 || way == 3) /* the client has sent */
            assert_true(conf_flow_send(&up, conf_send) >= 0);
        if (way == 2 || way == 3) /* the peer has */
            assert_true(conf_flow_send(&down, conf.port->peer_send) >= 0);
        if (way >= 4)
            conf_exchange();
        conf.port->peer_reset();
        conf_turn(true);
        if (way == 5) { /* send is the first to find out */
            while ((rc = conf_send(&byte, 1)) >= 0)
                conf_turn(false);
            assert_int_not_equal(rc, 0);
        }
        if (way == 6 && conf.t.vtable->wait != NULL) {
            rc = conf.t.vtable->wait(conf.t.context, UNSB_READABLE, CONF_PATIENCE_MS);
            assert_true(rc == UNSB_OK || conf_is_error(rc));
            assert_int_not_equal(rc, UNSB_E_TIMEOUT);
        }
        conf_after_failure(conf_read_to_end(&down));
    }
    conf_end();
}

/* The layer beneath fails at its first call, at its second ... (later on, at some of the calls that
 * transfer nothing but bytes): an error, never an end. */
static void faults_at_every_call(void **state)
{
    unsigned at, total = 0;

    (void)state;
    conf_needs(conf.port->limits && !conf.port->faultless,
               "the layer beneath cannot be made to fail");
    conf_begin();
    for (at = 1;; at += 1 + at / 32) {
        conf_flow up = conf_flow_of(300, 100, 100, 19), down = conf_flow_of(300, 100, 50, 20);
        uint8_t byte = 0;
        int rc;
        conf.number = conf.port->listen();
        conf_limit(150, false, at);
        rc = conf_dial();
        if (rc == UNSB_OK)
            rc = conf_move(&up, &down);
        if (conf.calls < at) {
            assert_int_equal(rc, 0);
            break;
        }
        total++;
        if (rc == 0 && up.received == up.total && down.received == down.total)
            rc = conf_recv(&byte, 1); /* it struck in the last round */
        if (rc >= 0)
            fail_msg("call %u failed, the port did not: %d", at, rc);
        assert_int_not_equal(rc, UNSB_E_CLOSED);
        rc = conf_recv(&byte, 1);
        assert_true(rc < 0);
        conf_after_failure(rc);
    }
    assert_true(total >= 8);
    conf_end();
}

/* ======================================================================
 * >>connecting
 * ====================================================================== */

static void refused(void **state)
{
    unsigned round;
    uint8_t byte = 0;

    (void)state;
    conf_needs(conf.port->refusing != NULL, "the peer cannot refuse");
    conf_begin();
    for (round = 0; round < 3; round++) {
        conf.number = conf.port->refusing();
        assert_int_equal(conf_dial(), UNSB_E_CONNECT);
        assert_true(conf_recv(&byte, 1) < 0);
        assert_true(conf_send(&byte, 1) < 0);
        if (round == 1)
            conf_close();
        conf_close();
        conf_open();
        conf_exchange();
        conf_close();
    }
    conf_end();
}

static void not_resolved(void **state)
{
    unsigned round;
    uint8_t byte = 0;

    (void)state;
    conf_needs(conf.port->unknown_host != NULL, "it does not resolve names");
    conf_begin();
    for (round = 0; round < 3; round++) {
        int rc;
        conf.number = conf.port->listen();
        conf_turn(true);
        while ((rc = conf.t.vtable->connect(conf.t.context, conf.port->unknown_host,
                                            conf.number)) == UNSB_PENDING) {
            conf_interests();
            conf_turn(false);
        }
        assert_int_equal(rc, UNSB_E_RESOLVE);
        assert_true(conf_recv(&byte, 1) < 0);
        assert_true(conf_send(&byte, 1) < 0);
        conf_close();
        conf_open();
        conf_exchange();
        conf_close();
    }
    /* and given up while it is looked up */
    (void)conf.t.vtable->connect(conf.t.context, conf.port->unknown_host, conf.number);
    conf_end();
}

static void not_connected(void **state)
{
    uint8_t byte = 0;
    unsigned round;

    (void)state;
    conf_begin();
    for (round = 0; round < 3; round++) {
        /* at first never connected, then closed, then closed twice */
        assert_true(conf_recv(&byte, 1) < 0);
        assert_true(conf_send(&byte, 1) < 0);
        conf_close();
        if (round == 1)
            conf_close();
        conf_open();
        conf_exchange();
        conf_close();
    }
    conf_end();
}

/* Given up after one call of connect, after two ...; the next attempt is not disturbed by it. */
static void closed_while_connecting(void **state)
{
    unsigned calls, i, pending = 0;

    (void)state;
    conf_begin();
    conf_limit(conf.port->limits ? 200 : 0, conf.port->limits, 0);
    for (calls = 1; calls < 40; calls++) {
        int rc = UNSB_PENDING;
        conf.number = conf.port->listen();
        for (i = 0; i < calls && rc == UNSB_PENDING; i++) {
            rc = conf_connect();
            (void)conf.port->accept();
        }
        pending += rc == UNSB_PENDING;
        assert_true(rc == UNSB_PENDING || rc == UNSB_OK);
        conf_close();
        if (calls % 2 == 0)
            conf_close();
        conf.port->drop();
        conf_open();
        conf_exchange();
        conf_close();
        conf.port->drop();
        if (rc == UNSB_OK)
            break;
    }
    print_message("# %u closed while pending\n", pending);
    conf_end();
}

/* The peer sees that the client has closed, and the transport serves again. */
static void used_again(void **state)
{
    unsigned round;

    (void)state;
    conf_begin();
    for (round = 0; round < 20; round++) {
        conf_open();
        assert_int_equal(conf_connect(), UNSB_OK); /* it is connected already */
        conf_exchange();
        conf_close();
        if (conf.port->peer_end != NULL)
            conf_peer_sees_end();
        if (round % 3 == 0)
            conf.port->drop();
    }
    conf_end();
}

/* ======================================================================
 * >>waiting
 * ====================================================================== */

static int conf_wait(int interest, uint32_t timeout_ms)
{
    int rc = conf.t.vtable->wait(conf.t.context, interest, timeout_ms);

    if (rc != UNSB_OK && !conf_is_error(rc))
        fail_msg("wait returned %d", rc);
    return rc;
}

static void conf_needs_wait(void)
{
    conf_needs(conf.t.vtable->wait != NULL, "it has no wait");
}

/* Nothing happens: the time passes, and UNSB_E_TIMEOUT is never early. Waking early is allowed, but
 * not all the time. */
static void conf_times_out(int interest, uint32_t timeout_ms)
{
    uint32_t step = conf.port->clock_step_ms != 0 ? conf.port->clock_step_ms : 1;
    unsigned early;

    for (early = 0; early < 20; early++) {
        uint32_t start = conf.port->now_ms(), passed;
        int rc = conf_wait(interest, timeout_ms);
        passed = conf.port->now_ms() - start;
        if (passed > CONF_PATIENCE_MS)
            fail_msg("a wait of %u ms took %u", (unsigned)timeout_ms, (unsigned)passed);
        if (rc == UNSB_E_TIMEOUT) {
            if (passed + step < timeout_ms)
                fail_msg("%u ms were over in %u", (unsigned)timeout_ms, (unsigned)passed);
            return;
        }
        assert_int_equal(rc, UNSB_OK);
    }
    fail_msg("waits for nothing always return early");
}

static void conf_time_passes(int interest)
{
    static const uint32_t times[] = {0, 1, 5, 30};
    size_t i;

    for (i = 0; i < sizeof times / sizeof times[0]; i++)
        conf_times_out(interest, times[i]);
}

static void time_outs(void **state)
{
    (void)state;
    conf_begin();
    conf_needs_wait();
    conf_time_passes(0);
    conf_open();
    conf_time_passes(UNSB_READABLE);
    conf_time_passes(0);
    conf_exchange();
    conf_time_passes(UNSB_READABLE);
    conf_time_passes(0);
    conf_close();
    conf_time_passes(0);
    if (conf.port->refusing != NULL) {
        conf.number = conf.port->refusing();
        assert_int_equal(conf_dial(), UNSB_E_CONNECT);
        conf_time_passes(0);
        conf_close();
    }
    conf_end();
}

/* What is there already is seen at once, however long the wait may be. */
static void ready(void **state)
{
    static const uint32_t times[] = {0, CONF_PATIENCE_MS, UNSB_FOREVER};
    uint8_t byte = 0;
    size_t i;
    int rc;

    (void)state;
    conf_begin();
    conf_needs_wait();
    conf_open();
    for (i = 0; i < sizeof times / sizeof times[0]; i++) {
        conf_flow down = conf_flow_of(1, 1, 1, 21);
        rc = conf_wait(UNSB_WRITABLE, times[i]);
        assert_true(rc == UNSB_OK || (times[i] == 0 && rc == UNSB_E_TIMEOUT));
        rc = conf_wait(UNSB_READABLE | UNSB_WRITABLE, times[i]);
        assert_true(rc == UNSB_OK || (times[i] == 0 && rc == UNSB_E_TIMEOUT));
        while (conf_flow_send(&down, conf.port->peer_send) == 0)
            conf_turn(false);
        conf_turn(true);
        while ((rc = conf_flow_recv(&down, conf_recv)) == 0) {
            rc = conf_wait(UNSB_READABLE, times[i]);
            assert_true(rc == UNSB_OK || (times[i] == 0 && rc == UNSB_E_TIMEOUT));
            conf_turn(false);
        }
        assert_int_equal(rc, 1);
    }
    /* a layer that has more than was asked for must not wait for the one beneath */
    for (i = 0; i < 5; i++) {
        conf_flow down = conf_flow_of(2000, 2000, 1, 22);
        while (down.sent != down.total)
            conf_turn(conf_flow_send(&down, conf.port->peer_send) > 0);
        while (down.received != down.total) {
            rc = conf_wait(UNSB_READABLE, UNSB_FOREVER);
            assert_int_equal(rc, UNSB_OK);
            conf_turn(conf_flow_recv(&down, conf_recv) > 0);
        }
    }
    if (conf.port->peer_end != NULL) {
        conf.port->peer_end();
        conf_turn(true);
        do {
            assert_int_equal(conf_wait(UNSB_READABLE, CONF_PATIENCE_MS), UNSB_OK);
            conf_turn(false);
        } while ((rc = conf_recv(&byte, 1)) == 0);
        assert_int_equal(rc, UNSB_E_CLOSED);
    }
    conf_end();
}

static void conf_late_byte(void)
{
    conf_flow down = conf_flow_of(1, 1, 1, 23);
    unsigned tries = 0;

    while (tries++ < 1000 && conf_flow_send(&down, conf.port->peer_send) == 0)
        continue;
}

static void conf_late_end(void)
{
    conf.port->peer_end();
}

static void woken_while_waiting(void **state)
{
    static const uint32_t times[] = {CONF_PATIENCE_MS, UNSB_FOREVER};
    size_t i;

    (void)state;
    conf_needs(conf.port->later != NULL, "nothing can happen while it waits");
    conf_begin();
    conf_needs_wait();
    for (i = 0; i < 4; i++) {
        uint8_t byte;
        int rc = 0;
        if (i >= 2 && conf.port->peer_end == NULL)
            break;
        conf_open();
        conf_exchange();
        if (!conf.port->later(30, i < 2 ? conf_late_byte : conf_late_end))
            fail_msg("no one to act later");
        while (rc == 0) {
            rc = conf_wait(UNSB_READABLE, times[i % 2]);
            assert_int_equal(rc, UNSB_OK);
            rc = conf_recv(&byte, 1);
        }
        conf.port->later_done();
        assert_int_equal(rc, i < 2 ? 1 : UNSB_E_CLOSED);
        conf_close();
    }
    conf_end();
}

/* No connection, one that was refused, one under way: a wait for it ends in time. */
static void wait_without_connection(void **state)
{
    int interest;

    (void)state;
    conf_begin();
    conf_needs_wait();
    for (interest = 0; interest < 4; interest++) {
        (void)conf_wait(interest, 5);
        conf.number = conf.port->listen();
        (void)conf_connect();
        (void)conf_wait(interest, 5);
        conf_close();
        (void)conf_wait(interest, 5);
        conf.port->drop();
        if (conf.port->refusing != NULL) {
            conf.number = conf.port->refusing();
            (void)conf_dial();
            (void)conf_wait(interest, 5);
            conf_close();
        }
    }
    conf_end();
}

/* ======================================================================
 * >>calls  Whole operations of a client, over a peer that speaks HTTP
 * ====================================================================== */

#define CONF_EXECUTED                                                                              \
    "{\"success\":true,\"stdout\":\"forty-two\\n\",\"stderr\":\"\",\"exit_code\":0}"

static struct {
    bool accepted;
    bool deaf; /* it does not read */
    bool ends; /* the response has no length: the end of the stream ends it */
    char request[4096];
    size_t have;
    char reply[512];
    size_t reply_size, reply_at;
    unsigned connections, requests;
} conf_served;

static void conf_serve_request(void)
{
    const char *end, *length;
    int rc = conf.port->peer_recv(conf_served.request + conf_served.have,
                                  sizeof conf_served.request - 1 - conf_served.have);

    if (rc < 0) {
        conf_served.accepted = false;
        return;
    }
    conf_served.have += (size_t)rc;
    conf_served.request[conf_served.have] = '\0';
    end = strstr(conf_served.request, "\r\n\r\n");
    length = strstr(conf_served.request, "\r\nContent-Length: ");
    if (end == NULL || conf_served.have < (size_t)(end + 4 - conf_served.request) +
                                        (length != NULL && length < end
                                             ? (size_t)strtoul(length + 18, NULL, 10)
                                             : 0))
        return;
    assert_true(strstr(conf_served.request, "forty") != NULL);
    conf_served.have = 0;
    conf_served.requests++;
    conf_served.reply_at = 0;
    if (conf_served.ends)
        (void)snprintf(conf_served.reply, sizeof conf_served.reply, "HTTP/1.1 200 OK\r\n\r\n%s",
                       CONF_EXECUTED);
    else
        (void)snprintf(conf_served.reply, sizeof conf_served.reply,
                       "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n%s",
                       (unsigned)(sizeof CONF_EXECUTED - 1), CONF_EXECUTED);
    conf_served.reply_size = strlen(conf_served.reply);
}

/* The peer's part of a turn. */
static void conf_serve(void)
{
    int rc;

    if (!conf_served.accepted) {
        conf_served.accepted = conf.port->accept() == 1;
        conf_served.connections += conf_served.accepted;
        conf_served.have = conf_served.reply_size = 0;
    } else if (conf_served.deaf) {
        return;
    } else if (conf_served.reply_size == 0) {
        conf_serve_request();
    } else {
        size_t size = conf_served.reply_size - conf_served.reply_at;
        rc = conf.port->peer_send(conf_served.reply + conf_served.reply_at, size < 50 ? size : 50);
        conf_served.reply_at += rc > 0 ? (size_t)rc : 0;
        if (rc < 0)
            conf_served.accepted = false;
        if (rc < 0 || conf_served.reply_at == conf_served.reply_size)
            conf_served.reply_size = 0;
        if (rc >= 0 && conf_served.reply_size == 0 && conf_served.ends)
            conf.port->peer_end();
    }
}

/* Around the transport of a blocking client: the peer has its turn whenever the client acts, and
 * while it waits. */
static int conf_drive_connect(void *context, const char *host, uint16_t port)
{
    (void)context;
    conf_serve();
    return conf.t.vtable->connect(conf.t.context, host, port);
}

static int conf_drive_send(void *context, const void *data, size_t size)
{
    (void)context;
    conf_serve();
    return conf_send(data, size);
}

static int conf_drive_recv(void *context, void *data, size_t size)
{
    (void)context;
    conf_serve();
    return conf_recv(data, size);
}

static void conf_drive_close(void *context)
{
    (void)context;
    conf_close();
}

static int conf_drive_wait(void *context, int interest, uint32_t timeout_ms)
{
    int rc;

    (void)context;
    conf_serve();
    rc = conf_wait(interest, timeout_ms < 2 ? timeout_ms : 2);
    return rc == UNSB_E_TIMEOUT && timeout_ms > 2 ? UNSB_OK : rc;
}

static int conf_drive_interest(void *context, int interest)
{
    (void)context;
    return conf.t.vtable->interest != NULL
               ? conf.t.vtable->interest(conf.t.context, interest)
               : interest;
}

static uint32_t conf_now_ms(void *context)
{
    (void)context;
    return conf.port->now_ms();
}

static unsb_client conf_client;
static unsb_config conf_config;
static unsb_result conf_result;
static char conf_out[64];
static char conf_buffer[1024];

static void conf_client_begin(bool nonblocking, size_t buffer_size)
{
    static const unsb_transport_class drive = {conf_drive_connect, conf_drive_send,
                                               conf_drive_recv,    conf_drive_close,
                                               conf_drive_wait,    conf_drive_interest,
                                               NULL};
    memset(&conf_config, 0, sizeof conf_config);
    memset(&conf_result, 0, sizeof conf_result);
    memset(&conf_served, 0, sizeof conf_served);
    conf_config.transport.vtable = &drive;
    conf_config.api_key = "unsb-sk-test0-vault-unlck-12345";
    conf_config.buffer = conf_buffer;
    conf_config.buffer_size = buffer_size;
    conf_config.host = conf.port->host;
    conf_config.port = conf.number;
    conf_config.nonblocking = nonblocking;
    conf_config.now_ms = conf_now_ms;
    conf_result.out = unsb_into(conf_out, sizeof conf_out);
}

static void conf_client_open(void)
{
    assert_int_equal(unsb_init(&conf_client, &conf_config), UNSB_OK);
}

/* Polls to the outcome; `served`: the peer acts meanwhile. */
static int conf_poll(int rc, bool served)
{
    uint32_t timeout_ms;

    conf_turn(true);
    while (rc == UNSB_PENDING) {
        int interest = unsb_interest(&conf_client, &timeout_ms);
        assert_true(interest >= 0 && interest <= (UNSB_READABLE | UNSB_WRITABLE));
        if (served)
            conf_serve();
        rc = unsb_poll(&conf_client);
        conf_turn(false);
    }
    return rc;
}

static void conf_execute(unsigned connections, unsigned requests)
{
    unsb_program program;
    int rc;

    memset(&program, 0, sizeof program);
    memset(conf_out, 0, sizeof conf_out);
    program.language = "python";
    program.code = unsb_text("print('forty-two')");
    rc = conf_poll(unsb_execute(&conf_client, &program, &conf_result), true);
    if (rc != UNSB_OK)
        fail_msg("%d (%s), request %u", rc, unsb_error_text(rc), requests);
    assert_true(conf_result.success);
    assert_int_equal(strcmp(conf_out, "forty-two\n"), 0);
    assert_int_equal(conf_served.connections, connections);
    assert_int_equal(conf_served.requests, requests);
}

static void whole_calls(void **state)
{
    static const size_t sizes[] = {UNSB_BUFFER_MIN, 1024};
    unsigned way;

    (void)state;
    conf_begin();
    for (way = 0; way < 8; way++) {
        bool nonblocking = way % 2 != 0;
        if (!nonblocking && conf.t.vtable->wait == NULL)
            continue;
        conf.number = conf.port->listen();
        conf_client_begin(nonblocking, sizes[way / 2 % 2]);
        conf_limit(way >= 4 ? 30 : 0, way >= 4, 0);
        conf_client_open();
        conf_execute(1, 1);
        conf_execute(1, 2); /* the connection was kept */
        if (conf.port->peer_end != NULL) {
            uint8_t byte;
            conf.port->peer_end(); /* while it is idle: the client makes another one */
            conf_turn(true);
            while (conf_recv(&byte, 1) == 0)
                conf_turn(false);
            conf_served.ends = true;
            conf_execute(2, 3);
            conf_execute(3, 4);
        }
        unsb_close(&conf_client);
        conf.port->drop();
    }
    conf_end();
}

/* A peer that never says anything: with TLS not even in the handshake. */
static void stalled_peer(void **state)
{
    unsb_call call;
    unsigned way;

    (void)state;
    memset(&call, 0, sizeof call);
    call.method = "GET";
    call.path = "/";
    conf_begin();
    for (way = 0; way < 4; way++) {
        int rc;
        if (way % 2 == 0 && conf.t.vtable->wait == NULL)
            continue;
        conf.number = conf.port->listen();
        conf_client_begin(way % 2 != 0, 256);
        conf_config.transport = conf.t;
        conf_config.connect_timeout_ms = conf_config.idle_timeout_ms = 50;
        if (way == 2)
            conf_config.now_ms = NULL; /* `wait` keeps the time */
        conf_client_open();
        rc = conf_poll(unsb_request(&conf_client, &call, &conf_result), false);
        assert_int_equal(rc, UNSB_E_TIMEOUT);
        unsb_close(&conf_client);
        conf.port->drop();
    }
    conf_end();
}

static int conf_endless(void *context, unsb_size offset, void *buffer, size_t size)
{
    (void)context;
    (void)offset;
    memset(buffer, 'x', size);
    return size < 20000 ? (int)size : 20000;
}

/* A peer that reads nothing: what cannot be sent must time out as well. */
static void deaf_peer(void **state)
{
    unsb_call call;
    unsigned way;

    (void)state;
    conf_needs(conf.port->room != 0, "there is no bound to what is on the way");
    memset(&call, 0, sizeof call);
    call.method = "POST";
    call.path = "/";
    call.body.read = conf_endless;
    call.body.size = (unsb_size)conf.port->room + 1000;
    conf_begin();
    for (way = 0; way < 2; way++) {
        int rc;
        if (way == 0 && conf.t.vtable->wait == NULL)
            continue;
        conf.number = conf.port->listen();
        conf_client_begin(way != 0, sizeof conf_buffer);
        conf_served.deaf = true;
        conf_config.connect_timeout_ms = CONF_PATIENCE_MS;
        conf_config.idle_timeout_ms = 100;
        conf_client_open();
        rc = conf_poll(unsb_request(&conf_client, &call, &conf_result), true);
        assert_int_equal(rc, UNSB_E_TIMEOUT);
        unsb_close(&conf_client);
        conf.port->drop();
    }
    conf_end();
}

/* Stopped after one poll, after two ...; the client serves again. */
static void aborted_calls(void **state)
{
    unsb_program program;
    unsigned polls, i;

    (void)state;
    memset(&program, 0, sizeof program);
    program.language = "python";
    program.code = unsb_text("print('forty-two')");
    conf_begin();
    for (polls = 0; polls < 60; polls += 3) {
        int rc;
        conf.number = conf.port->listen();
        conf_client_begin(true, 256);
        conf_client_open();
        rc = unsb_execute(&conf_client, &program, &conf_result);
        for (i = 0; i < polls && rc == UNSB_PENDING; i++) {
            conf_serve();
            rc = unsb_poll(&conf_client);
        }
        if (rc == UNSB_PENDING) {
            unsb_abort(&conf_client);
            assert_int_equal(unsb_poll(&conf_client), UNSB_E_ABORTED);
        }
        conf.port->drop();
        conf_config.port = conf.number = conf.port->listen();
        memset(&conf_served, 0, sizeof conf_served);
        unsb_close(&conf_client);
        conf_client_open();
        conf_execute(1, 1);
        unsb_close(&conf_client);
        conf.port->drop();
    }
    conf_end();
}

/* ======================================================================
 * >>main
 * ====================================================================== */

#define CONF_TESTS                                                                                 \
    cmocka_unit_test(pieces_of_every_size), cmocka_unit_test(pieces_beneath),                      \
        cmocka_unit_test(nothing_yet), cmocka_unit_test(full), cmocka_unit_test(large_transfers),  \
        cmocka_unit_test(end_of_stream), cmocka_unit_test(resets),                                 \
        cmocka_unit_test(faults_at_every_call), cmocka_unit_test(refused),                         \
        cmocka_unit_test(not_resolved), cmocka_unit_test(not_connected),                           \
        cmocka_unit_test(closed_while_connecting), cmocka_unit_test(used_again),                   \
        cmocka_unit_test(time_outs), cmocka_unit_test(ready),                                      \
        cmocka_unit_test(woken_while_waiting), cmocka_unit_test(wait_without_connection),          \
        cmocka_unit_test(whole_calls), cmocka_unit_test(stalled_peer),                             \
        cmocka_unit_test(deaf_peer), cmocka_unit_test(aborted_calls)

/* Runs the suite, with the test of TLS where the peer can do it. What main() returns. */
static inline int conf_run(const conf_port *port)
{
    const struct CMUnitTest tests[] = {CONF_TESTS};
    const struct CMUnitTest tls_tests[] = {CONF_TESTS,
                                           cmocka_unit_test(end_that_tls_does_not_vouch_for)};
    int failed;

    conf.port = port;
    if (port->peer_cut != NULL)
        failed = cmocka_run_group_tests_name(port->name, tls_tests, NULL, NULL);
    else
        failed = cmocka_run_group_tests_name(port->name, tests, NULL, NULL);
    if (conf.t.vtable != NULL)
        conf_close();
    port->drop();
    return failed;
}

#endif
