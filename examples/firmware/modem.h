/* A transport over a serial line: an example of how one's own is written, over board.h alone. The
 * contract that each function keeps is with unsb_transport_class in unsandbox.h.
 *
 * At the other end of the line a device has the network (here modem.py). It does TCP; TLS stays on
 * this side. Bytes pass as they are, but for 0x10 (DLE), which starts a control sequence:
 *
 *     DLE DLE                    the byte 0x10
 *     DLE 'D' tag host:port LF   to the modem: give up what is connected, and dial
 *     DLE 'H'                    to the modem: hang up
 *     DLE 'C' tag                from the modem: connected;
 *     DLE 'N' tag                no connection could be made
 *     DLE 'E'                    from the modem: the peer has closed
 *
 * The tag, a letter, tells an answer from a late one to an earlier call. */
#ifndef MODEM_H
#define MODEM_H

#include "board.h"
#include "unsandbox.h"

enum { MODEM_IDLE, MODEM_DIALLING, MODEM_CONNECTED, MODEM_NO_CARRIER, MODEM_ENDED };
#define MODEM_DLE 0x10
#define MODEM_CLOSE_MS 20u /* the longest that close() may take: the time of 200 bytes */

typedef struct modem { /* zero it before use */
    uint8_t state;
    uint8_t control; /* what was read of a sequence: DLE, or its letter where a tag follows */
    uint8_t tag;
    uint8_t out_size;
    char out[96]; /* control sequences that the line has not taken yet; they go first */
} modem;

/* true: all control sequences are out. */
static bool modem_flush(modem *m)
{
    size_t n = board_uart_write(m->out, m->out_size);

    m->out_size = (uint8_t)(m->out_size - n);
    memmove(m->out, m->out + n, m->out_size);
    return m->out_size == 0;
}

static void modem_put(modem *m, char c)
{
    m->out[m->out_size++] = c;
}

/* Reads a byte. true: it is data; else there is none, or a control sequence was acted on. */
static bool modem_take(modem *m, uint8_t *byte)
{
    uint8_t before = m->control;

    if (m->state == MODEM_ENDED || board_uart_read(byte, 1) == 0)
        return false;
    m->control = 0;
    if (before == 'C' || before == 'N') {
        if (m->state == MODEM_DIALLING && *byte == m->tag)
            m->state = before == 'C' ? MODEM_CONNECTED : MODEM_NO_CARRIER;
    } else if (before == 0 && *byte == MODEM_DLE) {
        m->control = MODEM_DLE;
    } else if (before == 0 || *byte == MODEM_DLE) {
        return true;
    } else if (*byte == 'E') {
        m->state = m->state == MODEM_CONNECTED ? (uint8_t)MODEM_ENDED : m->state;
    } else {
        m->control = *byte;
    }
    return false;
}

static int modem_connect(void *context, const char *host, uint16_t port)
{
    modem *m = (modem *)context;
    uint16_t digit = 10000;
    uint8_t stale;

    if (m->state == MODEM_IDLE) {
        if (!modem_flush(m)) /* of an earlier connection */
            return UNSB_PENDING;
        if (strlen(host) > sizeof m->out - 16)
            return UNSB_E_RESOLVE;
        m->tag = (uint8_t)(m->tag >= 'a' && m->tag < 'z' ? m->tag + 1 : 'a');
        modem_put(m, MODEM_DLE);
        modem_put(m, 'D');
        modem_put(m, (char)m->tag);
        while (*host != '\0')
            modem_put(m, *host++);
        modem_put(m, ':');
        for (; digit != 0; digit = (uint16_t)(digit / 10))
            modem_put(m, (char)('0' + port / digit % 10));
        modem_put(m, '\n');
        m->state = MODEM_DIALLING;
    }
    (void)modem_flush(m);
    /* what still comes of an earlier connection is dropped */
    while (m->state == MODEM_DIALLING && board_uart_readable())
        (void)modem_take(m, &stale);
    if (m->state == MODEM_NO_CARRIER)
        return UNSB_E_CONNECT;
    return m->state == MODEM_DIALLING ? UNSB_PENDING : UNSB_OK;
}

static int modem_send(void *context, const void *data, size_t size)
{
    modem *m = (modem *)context;
    const char *p = (const char *)data;
    size_t taken = 0, run = 1, n = 1;

    if (m->state != MODEM_CONNECTED)
        return UNSB_E_IO;
    while (modem_flush(m) && taken < size && n == run) {
        for (run = 0; taken + run < size && p[taken + run] != MODEM_DLE; run++)
            continue;
        n = board_uart_write(p + taken, run);
        taken += n;
        if (n == run && taken < size) { /* a DLE; taken, as the rest of its sequence is kept */
            modem_put(m, MODEM_DLE);
            modem_put(m, MODEM_DLE);
            taken++;
        }
    }
    return (int)taken;
}

static int modem_recv(void *context, void *data, size_t size)
{
    modem *m = (modem *)context;
    uint8_t *p = (uint8_t *)data;
    size_t count = 0;

    (void)modem_flush(m);
    while (count < size && m->state == MODEM_CONNECTED && board_uart_readable())
        count += modem_take(m, p + count);
    if (count != 0)
        return (int)count;
    return m->state == MODEM_CONNECTED ? 0 : m->state == MODEM_ENDED ? UNSB_E_CLOSED : UNSB_E_IO;
}

/* Nobody may call again, so the line gets some time to take the last two bytes. Should it stand
 * still, they go before the next call's number. */
static void modem_close(void *context)
{
    modem *m = (modem *)context;
    uint32_t start = board_now_ms(NULL);

    if (m->state == MODEM_IDLE)
        return;
    modem_put(m, MODEM_DLE);
    modem_put(m, 'H');
    m->state = MODEM_IDLE;
    while (!modem_flush(m) && board_now_ms(NULL) - start < MODEM_CLOSE_MS)
        continue;
}

/* Only the receiver has an interrupt, so that UNSB_WRITABLE comes back at once. */
static int modem_wait(void *context, int interest, uint32_t timeout_ms)
{
    uint32_t start = board_now_ms(NULL);

    (void)context;
    while ((interest & UNSB_WRITABLE) == 0 &&
           !((interest & UNSB_READABLE) != 0 && board_uart_readable())) {
        if (timeout_ms != UNSB_FOREVER && board_now_ms(NULL) - start >= timeout_ms)
            return UNSB_E_TIMEOUT;
        board_sleep();
    }
    return UNSB_OK;
}

static unsb_transport modem_transport(modem *m)
{
    static const unsb_transport_class table = {modem_connect, modem_send, modem_recv,
                                               modem_close,   modem_wait, NULL,
                                               NULL};
    unsb_transport transport = {&table, m};

    return transport;
}

#endif
