/* A TLS server as a peer, by Mbed TLS, which cuts its records and ends its streams as it is told:
 * one request and one response without a length on each connection. */
#ifndef MBEDTLS_PEER_H
#define MBEDTLS_PEER_H

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

/* whether the peer can speak TLS 1.3 */
#if MBEDTLS_VERSION_MAJOR >= 3
#define TLS_PEER_TLS13 true
#else
#define TLS_PEER_TLS13 false
#endif

typedef enum tls_peer_end {
    TLS_PEER_NOTIFY, /* close_notify, as it should be */
    TLS_PEER_CUT,    /* the stream just ends: after the response */
    TLS_PEER_CUT_BODY,
    TLS_PEER_CUT_RECORD,
    TLS_PEER_CUT_HANDSHAKE,
    TLS_PEER_NOTIFY_HANDSHAKE,
    TLS_PEER_ALERT,  /* instead of the rest of the body */
    TLS_PEER_GARBAGE /* likewise: a record that does not decrypt */
} tls_peer_end;

typedef struct tls_peer {
    peer peer;
    /* set before it is asked */
    size_t piece;       /* bytes of the response in each record; 0: all */
    unsigned empty;     /* empty records before each of these */
    bool hello_request; /* before each, too */
    bool warning;       /* an alert that means nothing, likewise */
    size_t cut;         /* messages of the handshake in the clear go out in records of so many
                           bytes; 0: as they are */
    bool break_off;     /* and after the first such record comes one of another kind */
    tls_peer_end end;
    /* seen in the last connection, when it is over */
    int failure;         /* Mbed TLS's number */
    bool asked;          /* a request came */
    unsigned handshakes; /* records of handshakes after the handshake */
    /* private */
    int fd;
    bool open, ciphered;
    uint8_t head[5];
    size_t have, left;
    uint8_t out[5 + 16384 + 256]; /* a record to be sent, which is cut */
    size_t out_have;
    mbedtls_x509_crt certificate;
    mbedtls_x509_buf own[16]; /* what tls_peer_sends() has put others in the place of */
    size_t own_count;
    mbedtls_pk_context key;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_ssl_config config;
} tls_peer;

/* A record is complete in t->out: sends it, a handshake's in several. */
static inline bool tls_peer_send_record(tls_peer *t)
{
    size_t size = t->out_have - 5, at, n;

    t->out_have = 0;
    t->ciphered = t->ciphered || t->out[0] == 20;
    if (t->ciphered || t->out[0] != 22)
        return peer_send(&t->peer, t->fd, t->out, 5 + size);
    for (at = 0; at < size; at += n) {
        uint8_t head[5];
        n = size - at < t->cut ? size - at : t->cut;
        memcpy(head, t->out, 3);
        head[3] = (uint8_t)(n >> 8);
        head[4] = (uint8_t)(n & 0xFF);
        if (!peer_send(&t->peer, t->fd, head, 5) || !peer_send(&t->peer, t->fd, t->out + 5 + at, n))
            return false;
        if (t->break_off)
            return peer_send(&t->peer, t->fd, "\x17\x03\x03\x00\x01", 6);
    }
    return true;
}

static inline int tls_peer_send_cut(tls_peer *t, const unsigned char *data, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++) {
        t->out[t->out_have++] = data[i];
        if (t->out_have >= 5 && t->out_have == 5u + ((size_t)t->out[3] << 8) + t->out[4] &&
            !tls_peer_send_record(t))
            return MBEDTLS_ERR_SSL_CONN_EOF;
    }
    return (int)size;
}

static inline int tls_peer_send(void *context, const unsigned char *data, size_t size)
{
    tls_peer *t = (tls_peer *)context;

    if (t->cut != 0)
        return tls_peer_send_cut(t, data, size);
    return peer_send(&t->peer, t->fd, data, size) ? (int)size : MBEDTLS_ERR_SSL_CONN_EOF;
}

/* Follows the records from the client: their types are in the clear. */
static inline void tls_peer_follow(tls_peer *t, const uint8_t *data, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++) {
        if (t->left != 0) {
            t->left--;
            continue;
        }
        t->head[t->have++] = data[i];
        if (t->have == sizeof t->head) {
            t->have = 0;
            t->left = ((size_t)t->head[3] << 8) + t->head[4];
            t->handshakes += t->open && t->head[0] == 22;
        }
    }
}

static inline int tls_peer_recv(void *context, unsigned char *data, size_t size)
{
    tls_peer *t = (tls_peer *)context;
    size_t got = peer_recv(&t->peer, t->fd, data, size);

    tls_peer_follow(t, data, got);
    return got != 0 ? (int)got : MBEDTLS_ERR_SSL_CONN_EOF;
}

/* A warning that has no meaning (user_canceled, RFC 5246 section 7.2.2). */
static inline int tls_peer_warn(mbedtls_ssl_context *ssl)
{
    return mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_WARNING,
                                          MBEDTLS_SSL_ALERT_MSG_USER_CANCELED);
}

static inline int tls_peer_write(tls_peer *t, mbedtls_ssl_context *ssl, const char *text,
                                 size_t size)
{
    int rc = 0;

    while (size != 0 && rc >= 0) {
        size_t n = t->piece != 0 && t->piece < size ? t->piece : size;
        unsigned i;
        for (i = 0; i < t->empty && rc >= 0; i++)
            rc = mbedtls_ssl_write(ssl, (const unsigned char *)"", 0);
        if (rc >= 0 && t->hello_request)
            rc = mbedtls_ssl_renegotiate(ssl);
        if (rc >= 0 && t->warning)
            rc = tls_peer_warn(ssl);
        if (rc >= 0)
            rc = mbedtls_ssl_write(ssl, (const unsigned char *)text, n);
        text += n;
        size -= n;
    }
    return rc < 0 ? rc : 0;
}

static inline int tls_peer_end_it(tls_peer *t, mbedtls_ssl_context *ssl)
{
    static const uint8_t garbage[5 + 40] = {23, 3, 3, 0, 40};

    switch (t->end) {
    case TLS_PEER_NOTIFY:
    case TLS_PEER_NOTIFY_HANDSHAKE:
        return mbedtls_ssl_close_notify(ssl);
    case TLS_PEER_ALERT:
        return mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                              MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR);
    case TLS_PEER_GARBAGE:
        (void)peer_send(&t->peer, t->fd, garbage, sizeof garbage);
        return 0;
    case TLS_PEER_CUT_RECORD:
        (void)peer_send(&t->peer, t->fd, garbage, sizeof garbage / 2);
        return 0;
    default:
        return 0;
    }
}

static inline int tls_peer_converse(tls_peer *t, mbedtls_ssl_context *ssl)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\n\r\n{\"languages\": [\"python\"]}";
    char text[4096];
    size_t have = 0, size = sizeof answer - 1;
    int rc = mbedtls_ssl_handshake(ssl);

    t->open = rc == 0;
    if (t->end == TLS_PEER_CUT_HANDSHAKE || t->end == TLS_PEER_NOTIFY_HANDSHAKE || rc != 0)
        return rc != 0 ? rc : tls_peer_end_it(t, ssl);
    memset(text, 0, sizeof text);
    while (strstr(text, "\r\n\r\n") == NULL && have + 1 < sizeof text) {
        rc = mbedtls_ssl_read(ssl, (unsigned char *)text + have, sizeof text - 1 - have);
        if (rc <= 0)
            return rc;
        have += (size_t)rc;
    }
    t->asked = true;
    if (t->end != TLS_PEER_NOTIFY && t->end != TLS_PEER_CUT)
        size -= 8; /* within the body */
    rc = tls_peer_write(t, ssl, answer, size);
    return rc != 0 ? rc : tls_peer_end_it(t, ssl);
}

static inline void tls_peer_serve(peer *p, int fd)
{
    tls_peer *t = (tls_peer *)p->context;
    mbedtls_ssl_context ssl;

    t->fd = fd;
    t->failure = 0;
    t->asked = t->open = false;
    t->handshakes = 0;
    t->have = t->left = t->out_have = 0;
    t->ciphered = false;
    mbedtls_ssl_init(&ssl);
    t->failure = mbedtls_ssl_setup(&ssl, &t->config);
    if (t->failure == 0) {
        mbedtls_ssl_set_bio(&ssl, t, tls_peer_send, tls_peer_recv, NULL);
        t->failure = tls_peer_converse(t, &ssl);
    }
    (void)shutdown(fd, SHUT_WR);
    /* to the client's end, with an eye on what still comes */
    for (;;) {
        uint8_t piece[1024];
        size_t got = peer_recv(p, fd, piece, sizeof piece);
        if (got == 0)
            break;
        tls_peer_follow(t, piece, got);
    }
    mbedtls_ssl_free(&ssl);
}

static inline int tls_peer_load(tls_peer *t, const char *certificate, const char *key)
{
    int rc = mbedtls_x509_crt_parse_file(&t->certificate, certificate);

#if MBEDTLS_VERSION_MAJOR >= 3
    if (rc == 0)
        rc = psa_crypto_init();
    return rc != 0 ? rc
                   : mbedtls_pk_parse_keyfile(&t->key, key, NULL, mbedtls_ctr_drbg_random,
                                              &t->random);
#else
    return rc != 0 ? rc : mbedtls_pk_parse_keyfile(&t->key, key, NULL);
#endif
}

/* The version is one; without `tls13` it is TLS 1.2. */
static inline void tls_peer_start(tls_peer *t, const char *certificate, const char *key, bool tls13)
{
    memset(t, 0, sizeof *t);
    mbedtls_x509_crt_init(&t->certificate);
    mbedtls_pk_init(&t->key);
    mbedtls_entropy_init(&t->entropy);
    mbedtls_ctr_drbg_init(&t->random);
    mbedtls_ssl_config_init(&t->config);
    if (mbedtls_ctr_drbg_seed(&t->random, mbedtls_entropy_func, &t->entropy, NULL, 0) != 0 ||
        tls_peer_load(t, certificate, key) != 0 ||
        mbedtls_ssl_config_defaults(&t->config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
        mbedtls_ssl_conf_own_cert(&t->config, &t->certificate, &t->key) != 0)
        fail_msg("no TLS server");
    mbedtls_ssl_conf_rng(&t->config, mbedtls_ctr_drbg_random, &t->random);
#if MBEDTLS_VERSION_MAJOR >= 3
    {
        mbedtls_ssl_protocol_version version =
            tls13 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2;
        mbedtls_ssl_conf_min_tls_version(&t->config, version);
        mbedtls_ssl_conf_max_tls_version(&t->config, version);
    }
#else
    if (tls13)
        fail_msg("this Mbed TLS has no TLS 1.3");
#endif
    /* asks again and again, whatever the client says */
    mbedtls_ssl_conf_renegotiation(&t->config, MBEDTLS_SSL_RENEGOTIATION_ENABLED);
    mbedtls_ssl_conf_renegotiation_enforced(&t->config, MBEDTLS_SSL_RENEGOTIATION_NOT_ENFORCED);
    peer_start(&t->peer, tls_peer_serve, t);
}

/* Sends these certificates, however bad, instead of its own, whose key is the same. `pem` is any
 * certificate that Mbed TLS can read. */
static inline void tls_peer_sends(tls_peer *t, const char *pem, uint8_t *const *der,
                                  const size_t *size, size_t count)
{
    mbedtls_x509_crt *crt = &t->certificate;
    size_t i;

    for (i = 1; i < count; i++)
        assert_int_equal(mbedtls_x509_crt_parse_file(&t->certificate, pem), 0);
    assert_true(count <= COUNT(t->own));
    for (i = 0; i < count; i++, crt = crt->next) {
        t->own[i] = crt->raw;
        crt->raw.p = der[i];
        crt->raw.len = size[i];
    }
    t->own_count = count;
}

static inline void tls_peer_stop(tls_peer *t)
{
    mbedtls_x509_crt *crt = &t->certificate;
    size_t i;

    peer_stop(&t->peer);
    for (i = 0; i < t->own_count; i++, crt = crt->next)
        crt->raw = t->own[i];
    mbedtls_ssl_config_free(&t->config);
    mbedtls_ctr_drbg_free(&t->random);
    mbedtls_entropy_free(&t->entropy);
    mbedtls_pk_free(&t->key);
    mbedtls_x509_crt_free(&t->certificate);
}

#endif
