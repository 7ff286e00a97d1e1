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
 * Memory: sizeof(unsb_arduino), 10 bytes on AVR.
 *
 * How Client's functions are used, as libraries differ in them:
 *   - connect(host, port) has failed unless it returns more than 0. tcp.error has what it returned.
 *   - read(buffer, size) is asked for no more than available() has announced: some wait for the
 *     rest. Neither 0 nor -1 of it is taken for an end.
 *   - The stream has ended when connected() is false and available() is still 0 after that. Some
 *     say false while bytes are left.
 *   - 0 from write() is "not now" while connected() is true and getWriteError() is 0, else a
 *     failure.
 *   - stop() is called once for each connect(). flush() is never called.
 *
 * Blocking: Client::connect() has no other form, so it BLOCKS for as long as the library takes, in
 * a non-blocking client, too, whatever connect_timeout_ms says; so do write() and stop() of many
 * libraries, for shorter (see setTimeout() and the like of yours). wait() polls available() once a
 * millisecond, with delay(), which runs yield(). Set config.now_ms: by its clock the time-outs are
 * kept also while a Client accepts no bytes, which wait() alone cannot tell.
 *
 * Errors: UNSB_E_CONNECT, also for a name that cannot be resolved, as Client does not tell;
 * UNSB_E_IO from send after a write error; UNSB_E_CLOSED from recv at the end and from send after
 * it. Client does not tell a reset or a lost link from an end in good order either: TLS does, and
 * so does the length in an HTTP response. Errors are returned again until close.
 *
 * Limits: one connection for each unsb_arduino. The Client must not be used by others meanwhile. */
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

#include <limits.h>

#if defined(__GNUC__)
#define UNSBI_ARDUINO_FN static __attribute__((unused))
#else
#define UNSBI_ARDUINO_FN static
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

typedef struct unsb_arduino {
    /* to be read */
    int error; /* with UNSB_E_CONNECT: what Client::connect() returned, 0 or less */
    /* private */
    Client *client;
    uint8_t state;
    bool refused; /* the last write() took nothing */
    int failure;  /* of connect, then of recv; sticky */
    int send_failure; /* kept apart, so that recv can still fetch what the peer sent */
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

/* After a write() that took nothing, there is no telling when the next one will take something:
 * it is tried again after so many milliseconds. */
#define UNSBI_ARDUINO_RETRY_MS 5u

UNSBI_ARDUINO_FN uint32_t unsb_arduino_now_ms(void *context)
{
    (void)context;
    return (uint32_t)millis();
}

static int unsbi_arduino_connect(void *context, const char *host, uint16_t port)
{
    unsb_arduino *tcp = (unsb_arduino *)context;

    if (tcp->state == UNSBI_ARDUINO_FAILED) {
        return tcp->failure;
    }
    if (tcp->state == UNSBI_ARDUINO_IDLE) {
        tcp->client->clearWriteError();
        tcp->error = tcp->client->connect(host, port);
        if (tcp->error <= 0) {
            tcp->failure = UNSB_E_CONNECT;
            tcp->state = UNSBI_ARDUINO_FAILED;
            return tcp->failure;
        }
        tcp->error = 0;
        tcp->state = UNSBI_ARDUINO_OPEN;
    }
    return UNSB_OK;
}

static int unsbi_arduino_send(void *context, const void *data, size_t size)
{
    unsb_arduino *tcp = (unsb_arduino *)context;
    size_t count;

    if (tcp->state != UNSBI_ARDUINO_OPEN) {
        return tcp->failure != 0 ? tcp->failure : UNSB_E_IO;
    }
    if (tcp->send_failure != 0 || size == 0) {
        return tcp->send_failure;
    }
    if (size > (size_t)INT_MAX) {
        size = (size_t)INT_MAX;
    }
    count = tcp->client->write((const uint8_t *)data, size);
    tcp->refused = count == 0;
    if (count > 0) {
        return (int)(count < size ? count : size);
    }
    if (tcp->client->connected() == 0) {
        tcp->send_failure = UNSB_E_CLOSED;
    } else if (tcp->client->getWriteError() != 0) {
        tcp->send_failure = UNSB_E_IO;
    }
    return tcp->send_failure;
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

static int unsbi_arduino_recv(void *context, void *data, size_t size)
{
    unsb_arduino *tcp = (unsb_arduino *)context;
    bool ended;
    int count;

    if (tcp->state != UNSBI_ARDUINO_OPEN) {
        return tcp->failure != 0 ? tcp->failure : UNSB_E_IO;
    }
    if (tcp->failure != 0 || size == 0) {
        return tcp->failure;
    }
    count = unsbi_arduino_available(tcp, &ended);
    if (ended) {
        tcp->failure = UNSB_E_CLOSED;
        return tcp->failure;
    }
    if (count == 0) {
        return 0;
    }
    if ((size_t)count > size) {
        count = (int)size;
    }
    count = tcp->client->read((uint8_t *)data, (size_t)count);
    return count > 0 ? count : 0;
}

static void unsbi_arduino_close(void *context)
{
    unsb_arduino *tcp = (unsb_arduino *)context;

    if (tcp->state != UNSBI_ARDUINO_IDLE) {
        tcp->client->stop(); /* after a failed connect, too: some keep a socket then */
    }
    tcp->refused = false;
    tcp->failure = 0;
    tcp->send_failure = 0;
    tcp->state = UNSBI_ARDUINO_IDLE;
}

static bool unsbi_arduino_ready(unsb_arduino *tcp, int interest, uint32_t passed_ms)
{
    bool ended;

    if (tcp->state != UNSBI_ARDUINO_OPEN) {
        return true; /* nothing to wait for: the next call tells why */
    }
    if ((interest & UNSB_READABLE) != 0 &&
        (tcp->failure != 0 || unsbi_arduino_available(tcp, &ended) > 0 || ended)) {
        return true;
    }
    return (interest & UNSB_WRITABLE) != 0 &&
           (!tcp->refused || tcp->send_failure != 0 || passed_ms >= UNSBI_ARDUINO_RETRY_MS);
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
