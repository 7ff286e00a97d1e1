/* libFuzzer: a TLS port whose server sends any bytes in any pieces: connect, send and recv must come
 * to an end, never as a success (the bytes are no handshake that fits the client's random), an error
 * is returned again until close, and the port can be used again. FUZZ_PORT: 1 BearSSL, 2 Mbed TLS,
 * 3 OpenSSL. The first byte chooses the pieces, the second whether pins take the anchors' place. */
#include <stdio.h>
#include <stdlib.h>
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
#if FUZZ_PORT == 1
#include "unsandbox_bearssl.h"
#elif FUZZ_PORT == 2
#include "unsandbox_mbedtls.h"
#else
#include "unsandbox_openssl.h"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

typedef struct server {
    const uint8_t *data;
    size_t size, piece;
    bool open;
} server;

static int server_connect(void *context, const char *host, uint16_t port)
{
    ((server *)context)->open = host != NULL && port != 0;
    return UNSB_OK;
}

static int server_send(void *context, const void *data, size_t size)
{
    check(((server *)context)->open && size != 0 && data != NULL, "a wrong send");
    return (int)(size < 20000 ? size : 20000);
}

static int server_recv(void *context, void *data, size_t size)
{
    server *s = context;
    size_t n = s->piece < size ? s->piece : size;

    check(s->open && size != 0, "a wrong recv");
    if (s->size == 0)
        return UNSB_E_CLOSED;
    n = n < s->size ? n : s->size;
    memcpy(data, s->data, n);
    s->data += n;
    s->size -= n;
    return (int)n;
}

static void server_close(void *context)
{
    ((server *)context)->open = false;
}

#if FUZZ_PORT != 3
static int entropy(void *context, void *bytes, size_t size)
{
    (void)context;
    memset(bytes, 0x5A, size);
    return UNSB_OK;
}
#endif

static uint32_t unix_time(void *context)
{
    (void)context;
    return 1700000000u;
}

static int dial(const unsb_transport *wire)
{
    unsigned turns;
    int rc = UNSB_PENDING;

    for (turns = 0; turns < 100000 && rc == UNSB_PENDING; turns++)
        rc = wire->vtable->connect(wire->context, "api.test", 443);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsb_transport_class vtable = {server_connect, server_send, server_recv,
                                                server_close,   NULL,        NULL,
                                                NULL};
    static const uint8_t pin[32] = {1};
    server s;
    unsb_transport wire;
    char byte;
    int i, rc;
#if FUZZ_PORT == 1
    static char records[BR_SSL_BUFSIZE_MONO];
    static unsb_bearssl tls;
    unsb_bearssl_config config;
#elif FUZZ_PORT == 2
    static unsb_mbedtls tls;
    unsb_mbedtls_config config;
#else
    static unsb_openssl tls;
    unsb_openssl_config config;
#endif

    if (size < 2)
        return 0;
    memset(&tls, 0, sizeof tls);
    memset(&config, 0, sizeof config);
    memset(&s, 0, sizeof s);
    s.data = data + 2;
    s.size = size - 2;
    s.piece = data[0] + 1u;
    config.inner.vtable = &vtable;
    config.inner.context = &s;
    config.pins = pin;
    config.pin_count = 1;
    config.unix_time = unix_time;
#if FUZZ_PORT == 1
    config.buffer = records;
    config.buffer_size = data[1] % 2 ? sizeof records : UNSB_BEARSSL_BUFFER_MIN;
    config.entropy = entropy;
    wire = unsb_bearssl_transport(&tls, &config);
#elif FUZZ_PORT == 2
    config.entropy = entropy;
    wire = unsb_mbedtls_transport(&tls, &config);
#else
    wire = unsb_openssl_transport(&tls, &config);
#endif
    for (i = 0; i < 2; i++) { /* what the first leaves of the bytes answers the next */
        rc = dial(&wire);
        check(rc < 0, rc == UNSB_OK ? "connected" : "does not end");
        check(dial(&wire) == rc, "another error when asked again");
        check(wire.vtable->recv(wire.context, &byte, 1) < 0, "something received");
        check(wire.vtable->send(wire.context, "x", 1) < 0, "something sent");
        wire.vtable->close(wire.context);
        check(!s.open, "left open");
        wire.vtable->close(wire.context);
    }
#if FUZZ_PORT == 2
    unsb_mbedtls_wipe(&tls);
#elif FUZZ_PORT == 3
    unsb_openssl_wipe(&tls);
#endif
    return 0;
}
