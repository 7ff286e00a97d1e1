/* The peer of a conformance adapter for TLS ports: BearSSL's server over posix_peer.h (on Windows
 * winsock_peer.h), with the certificate and the key (on P-256) of UNSB_TEST_PKI/localhost. Set
 * `host` to "localhost". */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#ifdef _WIN32
#include "winsock_peer.h"
#define TLS_PEER_TCP(function) winsock_peer_##function
#else
#include "posix_peer.h"
#define TLS_PEER_TCP(function) posix_peer_##function
#endif

#include <bearssl.h>

static struct {
    br_ssl_server_context ssl;
    unsigned char records[BR_SSL_BUFSIZE_BIDI];
    unsigned char der[4096]; /* the certificate */
    br_x509_certificate chain[1];
    br_skey_decoder_context key;
    bool begun, open;
} tls_peer;

/* A file of the test's certificates; static. */
static inline const char *tls_peer_file(const char *name)
{
    static char path[600];
    const char *folder = getenv("UNSB_TEST_PKI");

    (void)snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : ".", name);
    return path;
}

static inline size_t tls_peer_read(const char *name, char *text, size_t size)
{
    FILE *file = fopen(tls_peer_file(name), "rb");
    size_t have = 0;

    if (file != NULL) {
        have = fread(text, 1, size, file);
        (void)fclose(file);
    }
    if (have == 0 || have == size) {
        print_error("cannot read %s: UNSB_TEST_PKI must name the directory of the certificates\n",
                    tls_peer_file(name));
        exit(2);
    }
    return have;
}

typedef struct tls_peer_sink {
    unsigned char *out;
    size_t size, room;
} tls_peer_sink;

static inline void tls_peer_store(void *context, const void *data, size_t size)
{
    tls_peer_sink *sink = (tls_peer_sink *)context;

    if (size <= sink->room - sink->size) {
        memcpy(sink->out + sink->size, data, size);
        sink->size += size;
    }
}

/* The first object of a PEM file, in DER. */
static inline size_t tls_peer_load(const char *name, unsigned char *der, size_t room)
{
    char text[8192];
    size_t left = tls_peer_read(name, text, sizeof text);
    const char *next = text;
    br_pem_decoder_context pem;
    tls_peer_sink sink;

    sink.out = der;
    sink.room = room;
    sink.size = 0;
    br_pem_decoder_init(&pem);
    while (left != 0) {
        size_t used = br_pem_decoder_push(&pem, next, left);
        next += used;
        left -= used;
        switch (br_pem_decoder_event(&pem)) {
        case BR_PEM_BEGIN_OBJ:
            br_pem_decoder_setdest(&pem, tls_peer_store, &sink);
            break;
        case BR_PEM_END_OBJ:
            return sink.size;
        case BR_PEM_ERROR:
            left = 0;
            break;
        default:
            break;
        }
    }
    print_error("%s is no PEM file\n", name);
    exit(2);
}

/* Once, before the suite. */
static inline void tls_peer_prepare(void)
{
    unsigned char der[4096];
    size_t size = tls_peer_load("localhost.key", der, sizeof der);

    br_skey_decoder_init(&tls_peer.key);
    br_skey_decoder_push(&tls_peer.key, der, size);
    if (br_skey_decoder_key_type(&tls_peer.key) != BR_KEYTYPE_EC) {
        print_error("localhost.key is no key on a curve\n");
        exit(2);
    }
    tls_peer.chain[0].data = tls_peer.der;
    tls_peer.chain[0].data_len =
        tls_peer_load("localhost.pem", tls_peer.der, sizeof tls_peer.der);
}

static inline void tls_peer_drop_session(void)
{
    tls_peer.begun = tls_peer.open = false;
}

/* Moves records between engine and socket as far as they go. false: the connection failed. */
static inline bool tls_peer_pump(void)
{
    br_ssl_engine_context *engine = &tls_peer.ssl.eng;
    bool moved = true;

    while (moved) {
        unsigned state = br_ssl_engine_current_state(engine);
        size_t size;
        int n;
        moved = false;
        if ((state & BR_SSL_CLOSED) != 0)
            return br_ssl_engine_last_error(engine) == BR_ERR_OK;
        if ((state & BR_SSL_SENDREC) != 0) {
            const unsigned char *record = br_ssl_engine_sendrec_buf(engine, &size);
            n = TLS_PEER_TCP(send)(record, size);
            if (n < 0)
                return false;
            if (n > 0)
                br_ssl_engine_sendrec_ack(engine, (size_t)n);
            moved = n > 0;
        }
        if (!moved && (state & BR_SSL_RECVREC) != 0) {
            unsigned char *record = br_ssl_engine_recvrec_buf(engine, &size);
            n = TLS_PEER_TCP(recv)(record, size);
            if (n < 0)
                return false;
            if (n > 0)
                br_ssl_engine_recvrec_ack(engine, (size_t)n);
            moved = n > 0;
        }
    }
    return true;
}

static inline int tls_peer_accept(void)
{
    unsigned state;

    if (TLS_PEER_TCP(accept)() == 1)
        tls_peer_drop_session();
    if (!TLS_PEER_TCP(is_open)() || tls_peer.open)
        return 0;
    if (!tls_peer.begun) {
        br_ssl_server_init_full_ec(&tls_peer.ssl, tls_peer.chain, 1, BR_KEYTYPE_EC,
                                   br_skey_decoder_get_ec(&tls_peer.key));
        br_ssl_engine_set_buffer(&tls_peer.ssl.eng, tls_peer.records, sizeof tls_peer.records, 1);
        (void)br_ssl_server_reset(&tls_peer.ssl);
        tls_peer.begun = true;
    }
    if (!tls_peer_pump()) {
        TLS_PEER_TCP(hang_up)();
        tls_peer_drop_session();
        return -1;
    }
    state = br_ssl_engine_current_state(&tls_peer.ssl.eng);
    tls_peer.open = (state & BR_SSL_SENDAPP) != 0 && (state & BR_SSL_SENDREC) == 0;
    return tls_peer.open;
}

static inline int tls_peer_send(const void *data, size_t size)
{
    br_ssl_engine_context *engine = &tls_peer.ssl.eng;
    unsigned char *room;
    size_t room_size;

    if (!tls_peer_pump())
        return CONF_FAILED;
    room = br_ssl_engine_sendapp_buf(engine, &room_size);
    if (room == NULL)
        return (br_ssl_engine_current_state(engine) & BR_SSL_CLOSED) != 0 ? CONF_FAILED : 0;
    if (size > room_size)
        size = room_size;
    memcpy(room, data, size);
    br_ssl_engine_sendapp_ack(engine, size);
    br_ssl_engine_flush(engine, 0);
    (void)tls_peer_pump();
    return (int)size;
}

static inline int tls_peer_recv(void *data, size_t size)
{
    br_ssl_engine_context *engine = &tls_peer.ssl.eng;
    bool alive = tls_peer_pump();
    unsigned char *plaintext;
    size_t count;

    plaintext = br_ssl_engine_recvapp_buf(engine, &count);
    if (plaintext == NULL) {
        if (alive && (br_ssl_engine_current_state(engine) & BR_SSL_CLOSED) != 0)
            return CONF_END;
        return alive ? 0 : CONF_FAILED;
    }
    if (count > size)
        count = size;
    memcpy(data, plaintext, count);
    br_ssl_engine_recvapp_ack(engine, count);
    return (int)count;
}

static inline void tls_peer_end(void)
{
    br_ssl_engine_close(&tls_peer.ssl.eng);
    (void)tls_peer_pump();
    TLS_PEER_TCP(end)();
}

static inline void tls_peer_drop(void)
{
    TLS_PEER_TCP(drop)();
    tls_peer_drop_session();
}

static inline void tls_peer_fill(conf_port *port)
{
    TLS_PEER_TCP(fill)(port);
    tls_peer_prepare();
    port->host = "localhost";
    port->accept = tls_peer_accept;
    port->peer_send = tls_peer_send;
    port->peer_recv = tls_peer_recv;
    port->peer_end = tls_peer_end;
    port->peer_cut = TLS_PEER_TCP(end);
    port->drop = tls_peer_drop;
}

#endif
