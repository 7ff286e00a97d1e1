/* The peer of a conformance adapter for ports without a system: two byte queues between the port
 * and the peer, and a clock that advances only when someone sleeps. What the port's platform would
 * call: queue_dial(), queue_write(), queue_read(), queue_hang_up(), queue_sleep(), queue_now_ms().
 */
#ifndef QUEUE_PEER_H
#define QUEUE_PEER_H

#include "conformance.h"

#define QUEUE_ROOM 5000u
#define QUEUE_UNKNOWN (-10) /* of queue_dial: no such name; any other failure is CONF_FAILED */

typedef struct queue {
    uint8_t bytes[QUEUE_ROOM];
    size_t begin, count;
} queue;

static struct {
    uint32_t now_ms;
    uint32_t action_ms;
    void (*action)(void);
    uint16_t listening; /* the port, 0: none */
    bool dialled;       /* the client waits to be accepted; it may send already */
    bool client, peer;  /* who holds the connection open */
    bool peer_ended, client_ended, broken;
    queue up, down;
    unsigned held; /* connections that the client has not hung up */
} queue_line;

static inline size_t queue_put(queue *q, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    size_t i;

    if (size > QUEUE_ROOM - q->count)
        size = QUEUE_ROOM - q->count;
    for (i = 0; i < size; i++)
        q->bytes[(q->begin + q->count++) % QUEUE_ROOM] = p[i];
    return size;
}

static inline size_t queue_get(queue *q, void *data, size_t size)
{
    uint8_t *p = (uint8_t *)data;
    size_t i;

    if (size > q->count)
        size = q->count;
    for (i = 0; i < size; i++) {
        p[i] = q->bytes[q->begin];
        q->begin = (q->begin + 1) % QUEUE_ROOM;
        q->count--;
    }
    return size;
}

/* ======================================================================
 * >>platform  What the port under test is given
 * ====================================================================== */

static inline uint32_t queue_now_ms(void)
{
    return queue_line.now_ms;
}

static inline void queue_sleep(uint32_t ms)
{
    while (ms-- != 0) {
        queue_line.now_ms++;
        if (queue_line.action != NULL && queue_line.now_ms == queue_line.action_ms) {
            void (*action)(void) = queue_line.action;
            queue_line.action = NULL;
            action();
        }
    }
}

/* 1: connected, 0: not yet, call again; else see above. */
static inline int queue_dial(const char *host, uint16_t port)
{
    size_t size = 0;
    int rc = conf_allow(CONF_CONNECT, &size);

    if (strcmp(host, "peer.test") != 0)
        return QUEUE_UNKNOWN;
    if (rc < 0 || queue_line.listening == 0 || port != queue_line.listening)
        return CONF_FAILED;
    if (rc == 0)
        return 0;
    assert_false(queue_line.client); /* one that was not hung up */
    memset(&queue_line.up, 0, sizeof queue_line.up);
    memset(&queue_line.down, 0, sizeof queue_line.down);
    queue_line.peer = queue_line.peer_ended = queue_line.client_ended = queue_line.broken = false;
    queue_line.client = queue_line.dialled = true;
    queue_line.held++;
    return 1;
}

static inline int queue_write(const void *data, size_t size)
{
    int rc = conf_allow(CONF_SEND, &size);

    assert_true(queue_line.client);
    if (rc < 0 || queue_line.broken)
        return CONF_FAILED;
    return rc == 0 ? 0 : (int)queue_put(&queue_line.up, data, size);
}

static inline int queue_read(void *data, size_t size)
{
    int rc = conf_allow(CONF_RECV, &size);

    assert_true(queue_line.client);
    if (rc < 0 || queue_line.broken)
        return CONF_FAILED;
    if (rc == 0)
        return 0;
    if (queue_line.down.count == 0 && queue_line.peer_ended)
        return CONF_END;
    return (int)queue_get(&queue_line.down, data, size);
}

static inline bool queue_readable(void)
{
    return queue_line.broken || queue_line.peer_ended || queue_line.down.count != 0;
}

static inline bool queue_writable(void)
{
    return queue_line.broken || queue_line.up.count < QUEUE_ROOM;
}

static inline void queue_hang_up(void)
{
    if (queue_line.client)
        queue_line.held--;
    queue_line.client = queue_line.dialled = false;
    queue_line.client_ended = true;
}

/* ======================================================================
 * >>peer
 * ====================================================================== */

static inline uint16_t queue_listen(void)
{
    queue_line.listening = 7;
    return queue_line.listening;
}

/* No one listens on it. */
static inline uint16_t queue_refusing(void)
{
    return 8;
}

static inline int queue_accept(void)
{
    if (!queue_line.dialled)
        return 0;
    queue_line.dialled = false;
    queue_line.peer = true;
    return 1;
}

static inline int queue_peer_send(const void *data, size_t size)
{
    if (!queue_line.peer || queue_line.broken || queue_line.client_ended)
        return CONF_FAILED;
    return (int)queue_put(&queue_line.down, data, size);
}

static inline int queue_peer_recv(void *data, size_t size)
{
    if (!queue_line.peer || queue_line.broken)
        return CONF_FAILED;
    if (queue_line.up.count == 0 && queue_line.client_ended)
        return CONF_END;
    return (int)queue_get(&queue_line.up, data, size);
}

static inline void queue_peer_end(void)
{
    queue_line.peer_ended = true;
}

static inline void queue_peer_reset(void)
{
    queue_line.broken = true;
}

static inline void queue_drop(void)
{
    queue_line.listening = 0;
    queue_line.dialled = queue_line.peer = false;
    queue_line.peer_ended = true;
    queue_line.action = NULL;
}

static inline void queue_idle(void)
{
    queue_sleep(1);
}

static inline bool queue_later(uint32_t ms, void (*action)(void))
{
    queue_line.action_ms = queue_line.now_ms + ms;
    queue_line.action = action;
    return true;
}

static inline void queue_later_done(void)
{
    assert_true(queue_line.action == NULL);
}

static inline unsigned queue_held(void)
{
    return queue_line.held;
}

/* All of conf_port but its name and transport. */
static inline void queue_fill(conf_port *port)
{
    port->host = "peer.test";
    port->listen = queue_listen;
    port->accept = queue_accept;
    port->peer_send = queue_peer_send;
    port->peer_recv = queue_peer_recv;
    port->drop = queue_drop;
    port->now_ms = queue_now_ms;
    port->idle = queue_idle;
    port->unknown_host = "unknown.test";
    port->refusing = queue_refusing;
    port->peer_end = queue_peer_end;
    port->peer_reset = queue_peer_reset;
    port->later = queue_later;
    port->later_done = queue_later_done;
    port->resources = queue_held;
    port->room = 2 * QUEUE_ROOM;
    port->limits = true;
}

#endif
