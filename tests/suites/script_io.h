/* A scripted transport: it plays the service, one connection after the other, on a clock of its
 * own, records what is sent, and fails the test if the client breaks the transport's contract. */
#ifndef SCRIPT_IO_H
#define SCRIPT_IO_H

#include "suite.h"

#define IO_KEY "unsb-sk-test0-vault-unlck-12345"
#define IO_CONNECTIONS 40
#define IO_REPLIES 16
#define IO_NEVER 0xFFFFFFFFu

/* What the peer does on one connection. Zero is the default of every field. */
typedef struct io_script {
    const char *replies[IO_REPLIES]; /* one for each whole request */
    size_t reply_size;               /* of the first one; 0: up to its NUL */
    const char *(*answer)(const char *request); /* or this makes them */
    int connect_error;               /* returned by connect */
    int end;            /* returned by recv once all replies are read; 0: the peer stays silent */
    size_t early;       /* the first reply comes when this many bytes have, not a whole request */
    bool first;         /* it is there before anything of a request is */
    size_t deaf;        /* no more than this many bytes are taken; 0: all ... */
    size_t deaf_until;  /* ... until so many bytes of the early reply were read, which is all of it
                           that comes early; 0: for ever */
    size_t dies;        /* send fails with `death` once this many bytes were taken; 0: never */
    int death;          /* recv does so, too, when the replies are read, unless `end` is set */
    uint32_t delay_ms;  /* from the request to its reply */
    const char *unasked; /* bytes that come after the last reply was read */
} io_script;

typedef struct io_connection {
    const io_script *script;
    char *sent; /* NUL-terminated for the test's convenience */
    size_t sent_size, room;
    size_t parsed;     /* the whole requests, */
    size_t head, body; /* and of the next one, once its head is there */
    unsigned requests;
    const char *answers[IO_REPLIES];
    size_t request_at[IO_REPLIES + 1]; /* where each one begins */
    uint32_t asked_ms;                 /* when the last one was complete */
    uint32_t read_ms;                  /* when recv last gave something */
    unsigned reply;                    /* the one that is being read, */
    size_t reply_at;                   /* and how far */
    size_t unasked_at;
    unsigned sends;
    size_t first_send;
    int broken; /* what send and recv return since a fault */
    bool send_failed;
} io_connection;

typedef struct script_io {
    /* the script */
    const io_script *scripts; /* connection n follows scripts[n]; the last one serves all others */
    size_t script_count;
    unsigned connect_pending; /* so often connect says UNSB_PENDING; IO_NEVER: for ever */
    size_t send_piece;        /* the most that send takes; 0: all */
    size_t recv_piece;
    uint32_t random;   /* not 0: pieces of 1 to send_piece, recv_piece bytes from this seed */
    bool stutter;      /* every other call can do nothing yet */
    unsigned fault_at; /* the call that fails, counted from 1; 0: none */
    int fault;
    uint32_t gap_ms;      /* between pieces that are received */
    unsigned waits_early; /* so often wait returns before anything is ready */

    /* the record */
    uint32_t now_ms;
    uint32_t unix_s;
    unsigned calls; /* connect, send, recv, wait */
    unsigned connects, closes, waits, idles;
    unsigned moves; /* connect, send, recv: what unsb_poll may do once */
    size_t count;   /* connections so far */
    io_connection connection[IO_CONNECTIONS];
    bool connecting, connected, must_close;
    const char *host;
    uint16_t port;
    unsigned turns; /* whose turn it is to do nothing: a bit each for connect, send and recv */
} script_io;

static inline uint32_t io_now(void *context)
{
    return ((script_io *)context)->now_ms;
}

static inline uint32_t io_unix(void *context)
{
    return ((script_io *)context)->unix_s;
}

static inline io_connection *io_last(script_io *io)
{
    assert_true(io->count != 0);
    return &io->connection[io->count - 1];
}

static inline uint32_t io_random(script_io *io)
{
    uint32_t x = io->random;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return io->random = x;
}

static inline size_t io_piece(script_io *io, size_t size, size_t piece)
{
    if (piece != 0 && io->random != 0)
        piece = 1 + io_random(io) % piece;
    return piece != 0 && piece < size ? piece : size;
}

/* Sees whether the request that began at c->parsed is whole. */
static inline bool io_request_whole(io_connection *c)
{
    static const char name[] = "\r\nContent-Length: ";
    const char *begin, *head_end, *field;
    char *number_end;

    if (c->sent_size == c->parsed)
        return false;
    begin = c->sent + c->parsed;
    if (c->head == 0) {
        head_end = strstr(begin, "\r\n\r\n");
        if (head_end == NULL)
            return false;
        field = strstr(begin, name);
        c->head = (size_t)(head_end - begin) + 4;
        c->body = 0;
        if (field != NULL && field < head_end) {
            c->body = strtoul(field + sizeof name - 1, &number_end, 10);
            assert_int_equal(*number_end, '\r');
        }
    }
    if (c->sent_size - c->parsed - c->head < c->body)
        return false;
    c->parsed += c->head + c->body;
    c->head = 0;
    return true;
}

/* Where connections are not kept, each has one request, which says so. */
static inline void io_check_close(const io_connection *c)
{
    const char *field = strstr(c->sent, "\r\nConnection: close\r\n");

    assert_int_equal(c->requests, 0);
    assert_true(field != NULL && field < strstr(c->sent, "\r\n\r\n"));
}

static inline const char *io_reply_text(const io_connection *c, size_t *size)
{
    const char *text = NULL;

    if (c->reply < IO_REPLIES)
        text = c->script->answer != NULL ? c->answers[c->reply] : c->script->replies[c->reply];
    *size = 0;
    if (text != NULL)
        *size = c->reply == 0 && c->script->reply_size != 0 ? c->script->reply_size : strlen(text);
    return text;
}

/* May the reply that is due be read already? */
static inline bool io_reply_released(const script_io *io, const io_connection *c)
{
    if (c->reply == 0 && (c->script->first ||
                          (c->script->early != 0 && c->sent_size >= c->script->early)))
        return true;
    return c->requests > c->reply && io->now_ms - c->asked_ms >= c->script->delay_ms;
}

/* What recv would do: bytes, 0 or an error. */
static inline int io_readable(const script_io *io, const io_connection *c, const char **from,
                              size_t *size)
{
    size_t all;
    const char *text = io_reply_text(c, &all);

    *size = 0;
    if (c->broken != 0)
        return c->broken;
    if (text != NULL) {
        if (io_reply_released(io, c) && io->gap_ms != 0 && io->now_ms - c->read_ms < io->gap_ms)
            return 0;
        if (!io_reply_released(io, c))
            return c->script->dies != 0 && c->sent_size >= c->script->dies ? c->script->death : 0;
        if (c->script->deaf_until != 0 && c->requests <= c->reply)
            all = c->script->deaf_until;
        *from = text + c->reply_at;
        *size = all - c->reply_at;
        return *size != 0;
    }
    if (c->reply != 0 && c->script->unasked != NULL && c->script->unasked[c->unasked_at] != '\0') {
        *from = c->script->unasked + c->unasked_at;
        *size = strlen(*from);
        return 1;
    }
    if (c->script->end != 0 && (c->requests != 0 || c->reply != 0))
        return c->script->end;
    return c->script->dies != 0 && c->sent_size >= c->script->dies ? c->script->death : 0;
}

static inline size_t io_writable(const io_connection *c, size_t size)
{
    size_t limit = c->script->deaf;

    if (c->script->deaf_until != 0 && (c->reply != 0 || c->reply_at >= c->script->deaf_until))
        limit = 0;
    if (c->script->dies != 0 && (limit == 0 || c->script->dies < limit))
        limit = c->script->dies;
    if (limit == 0)
        return size;
    limit = limit > c->sent_size ? limit - c->sent_size : 0;
    return size < limit ? size : limit;
}

/* Counts a call; true: this one is to fail. */
static inline bool io_call(script_io *io)
{
    io->calls++;
    return io->calls == io->fault_at;
}

static inline bool io_not_yet(script_io *io, unsigned function)
{
    if (!io->stutter)
        return false;
    io->turns ^= function;
    return (io->turns & function) != 0;
}

static inline int io_connect(void *context, const char *host, uint16_t port)
{
    script_io *io = (script_io *)context;
    io_connection *c;
    size_t script;

    assert_non_null(host);
    assert_false(io->connected);  /* one connection at a time */
    assert_false(io->must_close); /* a failed one is closed first */
    if (io->connecting) {
        assert_string_equal(host, io->host);
        assert_int_equal(port, io->port);
    } else {
        assert_true(io->count < IO_CONNECTIONS);
        io->connecting = true;
        io->connects++;
        io->host = host;
        io->port = port;
        script = io->count < io->script_count ? io->count : io->script_count - 1;
        c = &io->connection[io->count++];
        c->script = &io->scripts[script];
    }
    c = io_last(io);
    io->moves++;
    if (io_call(io)) {
        io->must_close = true;
        return io->fault;
    }
    if (io_not_yet(io, 1))
        return UNSB_PENDING;
    if (io->connect_pending != 0) {
        if (io->connect_pending != IO_NEVER)
            io->connect_pending--;
        return UNSB_PENDING;
    }
    if (c->script->connect_error != 0) {
        io->must_close = true;
        return c->script->connect_error;
    }
    io->connecting = false;
    io->connected = true;
    return UNSB_OK;
}

static inline int io_send(void *context, const void *data, size_t size)
{
    script_io *io = (script_io *)context;
    io_connection *c = io_last(io);

    assert_true(io->connected);
    assert_false(c->send_failed); /* there is nothing more to be sent after an error */
    assert_non_null(data);
    assert_true(size > 0 && size <= (size_t)0x7FFFFFFF);
    io->moves++;
    if (io_call(io))
        c->broken = io->fault;
    if (c->broken == 0 && c->script->dies != 0 && c->sent_size >= c->script->dies) {
        c->send_failed = true;
        return c->script->death;
    }
    if (c->broken != 0) {
        c->send_failed = true;
        return c->broken;
    }
    if (io_not_yet(io, 2))
        return 0;
    size = io_writable(c, io_piece(io, size, io->send_piece));
    if (size == 0)
        return 0;
    if (c->sent_size + size + 1 > c->room) {
        c->room = (c->sent_size + size + 1) * 2;
        c->sent = (char *)realloc(c->sent, c->room);
        assert_non_null(c->sent);
    }
    memcpy(c->sent + c->sent_size, data, size);
    c->sent_size += size;
    c->sent[c->sent_size] = '\0';
    if (c->sends++ == 0)
        c->first_send = size;
    while (io_request_whole(c)) {
        assert_true(c->requests < IO_REPLIES);
        if (!UNSB_KEEP_ALIVE)
            io_check_close(c);
        if (c->script->answer != NULL)
            c->answers[c->requests] = c->script->answer(c->sent + c->request_at[c->requests]);
        c->request_at[++c->requests] = c->parsed;
        c->asked_ms = c->read_ms = io->now_ms;
    }
    return (int)size;
}

static inline int io_recv(void *context, void *data, size_t size)
{
    script_io *io = (script_io *)context;
    io_connection *c = io_last(io);
    const char *from = NULL;
    size_t there;
    int rc;

    assert_true(io->connected);
    assert_non_null(data);
    assert_true(size > 0 && size <= (size_t)0x7FFFFFFF);
    io->moves++;
    if (io_call(io))
        c->broken = io->fault;
    rc = io_readable(io, c, &from, &there);
    if (rc < 0)
        return rc;
    if (io_not_yet(io, 4) || there == 0)
        return 0;
    size = io_piece(io, size < there ? size : there, io->recv_piece);
    memcpy(data, from, size);
    c->read_ms = io->now_ms;
    if (io_reply_text(c, &there) == NULL) {
        c->unasked_at += size;
        return (int)size;
    }
    c->reply_at += size;
    if (c->reply_at == there) {
        c->reply++;
        c->reply_at = 0;
    }
    return (int)size;
}

static inline void io_close(void *context)
{
    script_io *io = (script_io *)context;

    io->closes++;
    io->connecting = io->connected = io->must_close = false;
}

/* Lets the clock run until what is waited for is ready, or the time is over. */
static inline int io_idle(script_io *io, int interest, uint32_t timeout_ms)
{
    io_connection *c;
    const char *from;
    size_t size;
    uint32_t due;

    assert_true(++io->idles < 1000000); /* it turns in circles */
    if (io->stutter) /* an endless loop then ends with a time-out */
        io->now_ms++;
    if (io->waits_early != 0) {
        io->waits_early--;
        io->now_ms += 1;
        return UNSB_OK;
    }
    if (io->connecting && io->connect_pending != IO_NEVER) {
        io->now_ms += timeout_ms < 10 ? timeout_ms : 10;
        return UNSB_OK;
    }
    if (io->connected && interest != 0) {
        c = io_last(io);
        if ((interest & UNSB_READABLE) != 0) {
            if (io_readable(io, c, &from, &size) != 0)
                return UNSB_OK;
            if (io_reply_text(c, &size) != NULL &&
                (c->requests > c->reply || io_reply_released(io, c))) {
                due = c->script->delay_ms - (io->now_ms - c->asked_ms);
                if (io_reply_released(io, c))
                    due = io->gap_ms - (io->now_ms - c->read_ms);
                if (due != 0 && due <= timeout_ms) {
                    io->now_ms += due;
                    return UNSB_OK;
                }
            }
        }
        if ((interest & UNSB_WRITABLE) != 0 &&
            (io_writable(c, 1) != 0 || (c->script->dies != 0 && c->sent_size >= c->script->dies)))
            return UNSB_OK;
    }
    if (timeout_ms == UNSB_FOREVER)
        fail_msg("waits for ever for something that never comes");
    io->now_ms += timeout_ms;
    return UNSB_E_TIMEOUT;
}

static inline int io_wait(void *context, int interest, uint32_t timeout_ms)
{
    script_io *io = (script_io *)context;

    assert_true(interest >= 0 && interest <= (UNSB_READABLE | UNSB_WRITABLE));
    assert_true(timeout_ms <= UNSB_FOREVER);
    assert_true(interest == 0 || io->connecting || io->connected);
    io->waits++;
    if (io_call(io))
        return io->fault;
    return io_idle(io, interest, timeout_ms);
}

static const unsb_transport_class io_blocking = {io_connect, io_send, io_recv,
                                                 io_close,   io_wait, NULL,
                                                 NULL};
static const unsb_transport_class io_nonblocking = {io_connect, io_send, io_recv,
                                                    io_close,   NULL,    NULL,
                                                    NULL};

/* Keeps nothing of what was there: io_free() comes first. */
static inline void io_setup(script_io *io, const io_script *scripts, size_t count)
{
    memset(io, 0, sizeof *io);
    io->scripts = scripts;
    io->script_count = count;
    io->now_ms = 0xFFFFFF00u; /* it wraps soon */
    io->unix_s = 1700000000u;
}

static inline void io_free(script_io *io)
{
    size_t i;

    for (i = 0; i < io->count; i++) {
        free(io->connection[i].sent);
        io->connection[i].sent = NULL;
    }
}

static inline unsb_config io_config(script_io *io, char *buffer, size_t size, bool nonblocking)
{
    unsb_config config;

    memset(&config, 0, sizeof config);
    config.transport.vtable = nonblocking ? &io_nonblocking : &io_blocking;
    config.transport.context = io;
    config.api_key = IO_KEY;
    config.buffer = buffer;
    config.buffer_size = size;
    config.nonblocking = nonblocking;
    config.now_ms = io_now;
    config.unix_time = io_unix;
    config.time_context = io;
    return config;
}

/* One unsb_poll(), which may call the transport at most once. */
static inline int io_poll(script_io *io, unsb_client *client)
{
    unsigned before = io->moves;
    int rc = unsb_poll(client);

    assert_true(io->moves - before <= 1);
    return rc;
}

/* Carries an operation to its end the way an event loop does. */
static inline int io_finish(script_io *io, unsb_client *client, int rc)
{
    uint32_t timeout_ms;
    int interest;

    while (rc == UNSB_PENDING) {
        interest = unsb_interest(client, &timeout_ms);
        if (timeout_ms != 0)
            (void)io_idle(io, interest, timeout_ms);
        rc = io_poll(io, client);
    }
    return rc;
}

/* Whole requests on all connections. */
static inline unsigned io_requests(const script_io *io)
{
    unsigned n = 0;
    size_t i;

    for (i = 0; i < io->count; i++)
        n += io->connection[i].requests;
    return n;
}

/* How many connections so many requests take that could have one. */
static inline unsigned io_connections(unsigned requests)
{
    return UNSB_KEEP_ALIVE ? 1 : requests;
}

/* Where connections are not kept, each of the replies of the first one comes on one of its own.
 * Returns how many scripts there are then, of IO_CONNECTIONS. */
static inline size_t io_spread(io_script *scripts)
{
    size_t i;

    if (UNSB_KEEP_ALIVE)
        return 1;
    for (i = IO_REPLIES; i-- != 0;) {
        scripts[i] = scripts[0];
        scripts[i].replies[0] = scripts[0].replies[i];
        memset(scripts[i].replies + 1, 0, sizeof scripts[i].replies - sizeof *scripts[i].replies);
    }
    return IO_REPLIES;
}

/* "HTTP/1.1 STATUS ...", the fields ("Name: value\r\n" each), Content-Length and the body. It
 * lives until some megabyte of others was made. */
static inline const char *io_reply(int status, const char *fields, const char *body)
{
    static char arena[1u << 20];
    static size_t used;
    size_t size = strlen(fields) + strlen(body) + 80;
    char *text;

    assert_true(size < sizeof arena);
    if (used + size > sizeof arena)
        used = 0;
    text = arena + used;
    snprintf(text, size, "HTTP/1.1 %d Any\r\n%sContent-Length: %zu\r\n\r\n%s", status, fields,
             strlen(body), body);
    used += size;
    return text;
}

#endif
