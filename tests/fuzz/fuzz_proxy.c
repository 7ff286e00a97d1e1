/* libFuzzer: a proxy that answers CONNECT with any bytes in any pieces. The tunnel is open exactly
 * if the answer is a 2xx head; then all that follows the head comes out, unchanged; else an error
 * comes, the same when asked again. The first byte chooses the pieces. */
#include <stdio.h>
#include <stdlib.h>
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
#include "unsandbox_proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

typedef struct far_end {
    const uint8_t *data;
    size_t size, at, piece;
    unsigned turn;
    bool open;
} far_end;

static int far_connect(void *context, const char *host, uint16_t port)
{
    far_end *f = context;

    check(strcmp(host, "proxy.test") == 0 && port == 3128, "not the proxy");
    f->open = true;
    return f->turn++ % 2 ? UNSB_OK : UNSB_PENDING;
}

static int far_send(void *context, const void *data, size_t size)
{
    far_end *f = context;

    check(f->open && size != 0 && data != NULL, "a wrong send");
    return (int)(size < f->piece ? size : f->piece);
}

static int far_recv(void *context, void *data, size_t size)
{
    far_end *f = context;
    size_t n = f->piece < size ? f->piece : size;

    check(f->open && size != 0, "a wrong recv");
    if (f->turn++ % 3 == 0)
        return 0;
    if (f->at == f->size)
        return UNSB_E_CLOSED;
    n = n < f->size - f->at ? n : f->size - f->at;
    memcpy(data, f->data + f->at, n);
    f->at += n;
    return (int)n;
}

static void far_close(void *context)
{
    ((far_end *)context)->open = false;
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
    static const unsb_transport_class vtable = {far_connect, far_send, far_recv, far_close,
                                                NULL,        NULL,     NULL};
    static unsb_proxy proxy;
    unsb_proxy_settings settings;
    unsb_transport inner, wire;
    far_end f;
    size_t got = 0;
    uint8_t *rest;
    unsigned turns;
    int rc;

    if (size < 1)
        return 0;
    memset(&f, 0, sizeof f);
    f.data = data + 1;
    f.size = size - 1;
    f.piece = data[0] % 64u + 1u;
    inner.vtable = &vtable;
    inner.context = &f;
    check(unsb_proxy_url(&settings, "http://user:word@proxy.test:3128/") == UNSB_OK, "its URL");
    wire = unsb_proxy_transport(&proxy, inner, &settings);
    rc = dial(&wire);
    check(rc == UNSB_OK || rc < 0, "does not end");
    check((rc == UNSB_OK) == (proxy.status / 100 == 2 && rc >= 0), "open by another status");
    rest = malloc(size + 1);
    check(rest != NULL, "out of memory");
    if (rc == UNSB_OK) {
        for (turns = 0, rc = 0; turns < 100000 && rc >= 0; turns++) {
            rc = wire.vtable->recv(wire.context, rest + got, size + 1 - got);
            check(rc <= (int)(size - got), "more than was sent");
            got += rc > 0 ? (size_t)rc : 0;
        }
        check(rc == UNSB_E_CLOSED, "the tunnel does not end as it should");
        check(got <= f.size && memcmp(rest, f.data + f.size - got, got) == 0, "changed bytes");
        /* a head ends with a line feed */
        check(got < f.size && f.data[f.size - got - 1] == '\n', "not all behind the head");
    } else {
        check(dial(&wire) == rc, "another error when asked again");
        check(wire.vtable->recv(wire.context, rest, 1) < 0, "something received");
        check(wire.vtable->send(wire.context, "x", 1) < 0, "something sent");
    }
    wire.vtable->close(wire.context);
    check(!f.open, "left open");
    free(rest);
    return 0;
}
