/* unsandbox_arduino.h - transport for unsandbox.h over any Arduino Client
 *
 * Ethernet, WiFi, a GSM or LTE modem: whatever derives from the core's class Client. C++11.
 *
 *     #include <Ethernet.h>                 (or WiFi.h, TinyGsmClient.h ...)
 *     #include "unsandbox.h"
 *     #include "unsandbox_arduino.h"
 *
 *     EthernetClient wire;
 *     unsb_arduino tcp;
 *     unsb_config config = {};
 *     config.transport = unsb_arduino_transport(&tcp, &wire);
 *     config.now_ms = unsb_arduino_now_ms;
 *
 * Give a Client that does TLS itself (WiFiSSLClient, a modem's secure socket) where the wire is not
 * your own, or put a TLS port (unsandbox_bearssl.h ...) over this one if there are 30 KB of RAM for
 * it. A Client that does TLS must be told to check the server's certificate: some do not unless
 * they are asked to.
 *
 * All functions are static: include the file wherever it is needed, there is no implementation
 * macro. No heap, no String, no exceptions: what is allocated is the Client library's own doing.
 * Memory: sizeof(unsb_arduino), 17 bytes on AVR.
 *
 * What libraries make of Client's functions, and what this port does about it:
 *
 *   connect()    gives 1, and for a failure 0 or less; a few give 2 for one (MKRGSM). Here it has
 *                failed unless it gives more than 0 and connected() agrees. tcp.error has what it
 *                gave.
 *   write()      loses what its buffer does not hold, and gives the size that it was asked for:
 *                beyond 2,048 bytes (Ethernet with a WIZnet chip) or 4 KB (WiFiNINA); begins anew
 *                after a part (mbed boards); refuses all of what is larger than 1,024 to 1,460
 *                bytes (modems, WiFi101) or than the room that is left (STM32Ethernet). Here no
 *                write() is given more than UNSB_ARDUINO_WRITE_MAX, 1,024 unless you define it,
 *                and half as much after each refusal.
 *   write()      gives 0 both for "full" (QNEthernet, STM32Ethernet) and for "failed" (TinyGSM,
 *                MKRGSM, WiFiS3), where nobody knows whether the bytes have left. A 0 is "not now"
 *                here if it comes at once, connected() is true and getWriteError() is 0. A Client
 *                that took UNSB_ARDUINO_GIVEN_UP_MS (500) over it has tried and given up: a
 *                failure, as to write the same bytes again might send them twice. Where yours is
 *                known to have sent nothing (ESP8266, ESP32), define it larger. More than half of
 *                what a size_t holds is a negative number: a failure, too.
 *   available()  is negative for an error (ESP32 with TLS): the same as 0 here. It also counts
 *                bytes that read() does not give, or not yet: then nothing has come. They have 60 s
 *                to come while connected() is true, 1 s when it is not, and are asked for every
 *                5 ms, not in a busy loop; then, or if the stream ends without them, it has failed.
 *   read()       is asked for no more than available() has announced, as some wait for the rest
 *                (TinyGSM). Its 0 and -1 both mean "none", "ended" and "failed", by library: here
 *                they say nothing but that nothing came.
 *   connected()  is true while bytes are left (Ethernet, WiFiNINA) or false already (ESP8266, mbed
 *                boards). Here the stream has ended when it is false and available() is still 0
 *                after that.
 *                Where it stays true for good (some mbed boards) only a time-out ends a response
 *                without a length, and a kept connection that the server has ended: set
 *                no_keep_alive there.
 *   stop()       is called once for each connect(). flush() is never called: of some it drops what
 *                has come. peek() is not either: of some it loses a byte.
 *
 * Blocking: Client::connect() has no other form, so it BLOCKS for as long as the library takes, in
 * a non-blocking client, too, whatever connect_timeout_ms says: to look the name up, and then by
 * default 1 s (Ethernet), 3 s (ESP32), 5 s (ESP8266), 10 s (WiFiNINA), 20 s (WiFi101) or 75 s
 * (TinyGSM); setTimeout(), setConnectionTimeout() or the like of yours changes that. So do write(),
 * of Ethernet for as long as the peer takes nothing, and stop(), for up to 15 s (TinyGSM). wait()
 * polls available() once a millisecond, with delay(), which runs yield(). Set config.now_ms: by its
 * clock the time-outs are kept also while a Client accepts no bytes, which wait() alone cannot
 * tell. What is sent waits for Nagle's algorithm on some (ESP8266): call setNoDelay() of yours.
 *
 * Errors: UNSB_E_CONNECT, also for a name that cannot be resolved, as Client does not tell;
 * UNSB_E_IO from send after a write error, and from recv for bytes that were announced and never
 * came; UNSB_E_CLOSED from recv at the end and from send after it. Client does not tell a reset or
 * a lost link from an end in good order either: TLS does, and so does the length in an HTTP
 * response. Errors are returned again until close.
 *
 * Limits: one connection for each unsb_arduino. The Client must not be used by others meanwhile.
 * There is no fork() here, so the table has no `drop`. */
#ifndef UNSANDBOX_ARDUINO_H
#define UNSANDBOX_ARDUINO_H

#ifndef __cplusplus
#error "unsandbox_arduino.h needs C++: include it from the sketch or a .cpp file"
#endif

#include <Arduino.h>
#include <Client.h>

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif

#if defined(__GNUC__)
#define UNSBI_ARDUINO_FN static __attribute__((unused))
#else
#define UNSBI_ARDUINO_FN static
#endif

/* ======================================================================
 * >>options  Define them before the inclusion, if need be
 * ====================================================================== */

/* The most that one write() is given, bytes: 1 to 32767. */
#ifndef UNSB_ARDUINO_WRITE_MAX
#define UNSB_ARDUINO_WRITE_MAX 1024
#endif

/* A write() that took nothing in so many milliseconds has failed; UNSB_FOREVER: never. */
#ifndef UNSB_ARDUINO_GIVEN_UP_MS
#define UNSB_ARDUINO_GIVEN_UP_MS 500
#endif

#if UNSB_ARDUINO_WRITE_MAX < 1 || UNSB_ARDUINO_WRITE_MAX > 32767
#error "UNSB_ARDUINO_WRITE_MAX must be 1 to 32767"
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

typedef struct unsb_arduino {
    /* to be read */
    int error; /* with UNSB_E_CONNECT: what Client::connect() returned; more than 0 where
                  connected() was false right after it */
    /* private */
    Client *client;
    uint8_t state;
    bool refused; /* the last write() took nothing */
    bool empty;   /* the last read() gave nothing of what was announced, */
    uint32_t empty_ms; /* since then */
    uint16_t offer;    /* the most that the next write() is given */
    int failure;       /* of connect, then of recv; sticky */
    int send_failure;  /* kept apart, so that recv can still fetch what the peer sent */
} unsb_arduino;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Initialises `tcp` (whatever it held: close it before, if it was in use) and returns the transport
 * over `client`. Both must stay in place until the unsb_client is closed. */
UNSBI_ARDUINO_FN unsb_transport unsb_arduino_transport(unsb_arduino *tcp, Client *client);
/* millis(), for unsb_config; the context is not used. */
UNSBI_ARDUINO_FN uint32_t unsb_arduino_now_ms(void *context);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

enum { UNSBI_ARDUINO_IDLE, UNSBI_ARDUINO_OPEN, UNSBI_ARDUINO_FAILED };

/* After a write() that took nothing, or a read() that gave nothing of what was announced, there is
 * no telling when the next one will: it is tried again after so many milliseconds. */
#define UNSBI_ARDUINO_RETRY_MS 5u

/* How long bytes that were announced may take to come, in a connection that stands (a TLS record
 * over a slow link) or has ended, ms. */
#define UNSBI_ARDUINO_COMING_MS 60000u
#define UNSBI_ARDUINO_LEFT_MS 1000u

UNSBI_ARDUINO_FN uint32_t unsb_arduino_now_ms(void *context)
{
    (void)context;
    return (uint32_t)millis();
}

/* How many bytes can be read. `*ended`: none, and none will come. */
static int unsbi_arduino_available(unsb_arduino *tcp, bool *ended)
{
    int count = tcp->client->available();

    *ended = false;
    if (count <= 0 && tcp->client->connected() == 0) {
        count = tcp->client->available(); /* they may have come after the look, before the end */
        *ended = count <= 0;
    }
    return count > 0 ? count : 0;
}

static int unsbi_arduino_connect(void *context, const char *host, uint16_t port)
{
    unsb_arduino *tcp = (unsb_arduino *)context;
    bool ended;

    if (tcp->state == UNSBI_ARDUINO_FAILED) {
        return tcp->failure;
    }
    if (tcp->state == UNSBI_ARDUINO_IDLE) {
        tcp->client->clearWriteError();
        tcp->error = tcp->client->connect(host, port);
        ended = tcp->error <= 0;
        if (!ended) {
            (void)unsbi_arduino_available(tcp, &ended);
        }
        if (ended) {
            tcp->failure = UNSB_E_CONNECT;
            tcp->state = UNSBI_ARDUINO_FAILED;
            return tcp->failure;
        }
        tcp->error = 0;
        tcp->offer = UNSB_ARDUINO_WRITE_MAX;
        tcp->state = UNSBI_ARDUINO_OPEN;
    }
    return UNSB_OK;
}

static int unsbi_arduino_send(void *context, const void *data, size_t size)
{
    unsb_arduino *tcp = (unsb_arduino *)context;
    uint32_t start_ms = unsb_arduino_now_ms(NULL);
    size_t count;

    if (tcp->state != UNSBI_ARDUINO_OPEN) {
        return tcp->failure != 0 ? tcp->failure : UNSB_E_IO;
    }
    if (tcp->send_failure != 0 || size == 0) {
        return tcp->send_failure;
    }
    if (size > tcp->offer) {
        size = tcp->offer;
    }
    count = tcp->client->write((const uint8_t *)data, size);
    tcp->refused = count == 0 || count > SIZE_MAX / 2;
    if (!tcp->refused) {
        tcp->offer = UNSB_ARDUINO_WRITE_MAX;
        return (int)(count < size ? count : size);
    }
    tcp->offer = (uint16_t)(size - size / 2);
    if (tcp->client->connected() == 0) {
        tcp->send_failure = UNSB_E_CLOSED;
    } else if (count != 0 || tcp->client->getWriteError() != 0 ||
               unsb_arduino_now_ms(NULL) - start_ms >= (uint32_t)UNSB_ARDUINO_GIVEN_UP_MS) {
        tcp->send_failure = UNSB_E_IO;
    }
    return tcp->send_failure;
}

/* Bytes were announced, and none came: not yet, or they have had their time. */
static int unsbi_arduino_nothing_came(unsb_arduino *tcp)
{
    uint32_t now_ms = unsb_arduino_now_ms(NULL);

    if (!tcp->empty) {
        tcp->empty = true;
        tcp->empty_ms = now_ms;
    } else if (now_ms - tcp->empty_ms >= (tcp->client->connected() != 0 ? UNSBI_ARDUINO_COMING_MS
                                                                        : UNSBI_ARDUINO_LEFT_MS)) {
        tcp->failure = UNSB_E_IO;
    }
    return tcp->failure;
}

static int unsbi_arduino_recv(void *context, void *data, size_t size)
{
    unsb_arduino *tcp = (unsb_arduino *)context;
    bool ended;
    int count, given;

    if (tcp->state != UNSBI_ARDUINO_OPEN) {
        return tcp->failure != 0 ? tcp->failure : UNSB_E_IO;
    }
    if (tcp->failure != 0 || size == 0) {
        return tcp->failure;
    }
    count = unsbi_arduino_available(tcp, &ended);
    if (ended) {
        tcp->failure = tcp->empty ? UNSB_E_IO : UNSB_E_CLOSED;
        return tcp->failure;
    }
    if (count == 0) {
        tcp->empty = false;
        return 0;
    }
    if ((size_t)count > size) {
        count = (int)size;
    }
    given = tcp->client->read((uint8_t *)data, (size_t)count);
    if (given <= 0) {
        return unsbi_arduino_nothing_came(tcp);
    }
    tcp->empty = false;
    return given < count ? given : count;
}

static void unsbi_arduino_close(void *context)
{
    unsb_arduino *tcp = (unsb_arduino *)context;

    if (tcp->state != UNSBI_ARDUINO_IDLE) {
        tcp->client->stop(); /* after a failed connect, too: some keep a socket then */
    }
    tcp->refused = false;
    tcp->empty = false;
    tcp->failure = 0;
    tcp->send_failure = 0;
    tcp->state = UNSBI_ARDUINO_IDLE;
}

static bool unsbi_arduino_ready(unsb_arduino *tcp, int interest, uint32_t passed_ms)
{
    bool again = passed_ms >= UNSBI_ARDUINO_RETRY_MS;
    bool ended = false;

    if (tcp->state != UNSBI_ARDUINO_OPEN) {
        return true; /* nothing to wait for: the next call tells why */
    }
    if ((interest & UNSB_READABLE) != 0 &&
        (tcp->failure != 0 ||
         (unsbi_arduino_available(tcp, &ended) > 0 && (!tcp->empty || again)) || ended)) {
        return true;
    }
    return (interest & UNSB_WRITABLE) != 0 && (!tcp->refused || tcp->send_failure != 0 || again);
}

static int unsbi_arduino_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsb_arduino *tcp = (unsb_arduino *)context;
    uint32_t start_ms = unsb_arduino_now_ms(NULL);
    uint32_t passed_ms = 0;

    for (;;) {
        if (interest != 0 && unsbi_arduino_ready(tcp, interest, passed_ms)) {
            return UNSB_OK;
        }
        if (timeout_ms < UNSB_FOREVER && passed_ms >= timeout_ms) {
            return UNSB_E_TIMEOUT;
        }
        delay(1);
        passed_ms = unsb_arduino_now_ms(NULL) - start_ms;
    }
}

static const unsb_transport_class unsbi_arduino_class = {
    unsbi_arduino_connect, unsbi_arduino_send, unsbi_arduino_recv,
    unsbi_arduino_close,   unsbi_arduino_wait, NULL, NULL};

UNSBI_ARDUINO_FN unsb_transport unsb_arduino_transport(unsb_arduino *tcp, Client *client)
{
    unsb_transport transport;
    memset(tcp, 0, sizeof *tcp);
    tcp->client = client;
    transport.vtable = &unsbi_arduino_class;
    transport.context = tcp;
    return transport;
}

#endif /* UNSANDBOX_ARDUINO_H */
