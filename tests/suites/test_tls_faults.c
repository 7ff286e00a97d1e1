/* The TLS ports where their libraries refuse: each call that a connection is set up with fails in
 * turn, the handshake fails in each way, and words are found for every number. The inner transport
 * is a stub that takes all and gives nothing. */
#include "suite.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/md.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#if defined(MBEDTLS_USE_PSA_CRYPTO) || defined(MBEDTLS_SSL_PROTO_TLS1_3)
#include <psa/crypto.h>
#endif
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <bearssl.h>

/* ======================================================================
 * >>faults  What the ports call in place of their libraries
 * ====================================================================== */

static struct {
    bool on;
    unsigned after, times; /* so many calls pass, then so many fail */
    unsigned hits;
} fault;

static bool fails(void)
{
    if (!fault.on || fault.times == 0)
        return false;
    if (fault.after != 0) {
        fault.after--;
        return false;
    }
    fault.times--;
    fault.hits++;
    return true;
}

static void fail_at(unsigned after, unsigned times)
{
    fault.on = times != 0;
    fault.after = after;
    fault.times = times;
    fault.hits = 0;
}

/* What the handshake does: 0, what it does by itself. */
static int shake_lib, shake_reason, shake_rc;

static SSL_CTX *seen_ctx(const SSL_METHOD *method) { return fails() ? NULL : SSL_CTX_new(method); }
static SSL *seen_ssl(SSL_CTX *config) { return fails() ? NULL : SSL_new(config); }
static int seen_groups(SSL_CTX *config, const char *list)
{
    return fails() ? 0 : (int)SSL_CTX_set1_groups_list(config, list);
}
static int seen_min(SSL_CTX *config, int version)
{
    return fails() ? 0 : (int)SSL_CTX_set_min_proto_version(config, version);
}
static int seen_max(SSL_CTX *config, int version)
{
    return fails() ? 0 : (int)SSL_CTX_set_max_proto_version(config, version);
}
static int seen_ciphers(SSL_CTX *config, const char *list)
{
    return fails() ? 0 : SSL_CTX_set_cipher_list(config, list);
}
static int seen_suites(SSL_CTX *config, const char *list)
{
    return fails() ? 0 : SSL_CTX_set_ciphersuites(config, list);
}
static int seen_signatures(SSL_CTX *config, const char *list)
{
    return fails() ? 0 : (int)SSL_CTX_set1_sigalgs_list(config, list);
}
static int seen_data(SSL *ssl, void *data) { return fails() ? 0 : SSL_set_app_data(ssl, data); }
static int seen_pair(BIO **one, size_t one_size, BIO **two, size_t two_size)
{
    return fails() ? 0 : BIO_new_bio_pair(one, one_size, two, two_size);
}
static int seen_host(X509_VERIFY_PARAM *param, const char *name, size_t size)
{
    return fails() ? 0 : X509_VERIFY_PARAM_set1_host(param, name, size);
}
static int seen_ip(X509_VERIFY_PARAM *param, const unsigned char *address, size_t size)
{
    return fails() ? 0 : X509_VERIFY_PARAM_set1_ip(param, address, size);
}
static int seen_sni(SSL *ssl, const char *name)
{
    return fails() ? 0 : (int)SSL_set_tlsext_host_name(ssl, name);
}
static int seen_status(void) { return fails() ? 0 : RAND_status(); }
static int seen_digest(const void *data, size_t size, unsigned char *digest, unsigned *digest_size,
                       const EVP_MD *kind, ENGINE *engine)
{
    return fails() ? 0 : EVP_Digest(data, size, digest, digest_size, kind, engine);
}
static int seen_shake(SSL *ssl)
{
    if (shake_rc == 1)
        return 1;
    if (shake_lib == 0)
        return SSL_do_handshake(ssl);
    ERR_raise(shake_lib, shake_reason);
    return -1;
}

static int seen_seed(mbedtls_ctr_drbg_context *random,
                     int (*entropy)(void *, unsigned char *, size_t), void *context,
                     const unsigned char *custom, size_t size)
{
    return fails() ? MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED
                   : mbedtls_ctr_drbg_seed(random, entropy, context, custom, size);
}
static int seen_defaults(mbedtls_ssl_config *config, int end, int transport, int preset)
{
    return fails() ? MBEDTLS_ERR_SSL_BAD_INPUT_DATA
                   : mbedtls_ssl_config_defaults(config, end, transport, preset);
}
static int seen_setup(mbedtls_ssl_context *ssl, const mbedtls_ssl_config *config)
{
    return fails() ? MBEDTLS_ERR_SSL_ALLOC_FAILED : mbedtls_ssl_setup(ssl, config);
}
static int seen_hostname(mbedtls_ssl_context *ssl, const char *name)
{
    return fails() ? MBEDTLS_ERR_SSL_ALLOC_FAILED : mbedtls_ssl_set_hostname(ssl, name);
}
static const mbedtls_md_info_t *seen_info(mbedtls_md_type_t type)
{
    return fails() ? NULL : mbedtls_md_info_from_type(type);
}
static int seen_md(const mbedtls_md_info_t *info, const unsigned char *data, size_t size,
                   unsigned char *digest)
{
    return fails() ? MBEDTLS_ERR_MD_BAD_INPUT_DATA : mbedtls_md(info, data, size, digest);
}
static int seen_mbedtls_shake(mbedtls_ssl_context *ssl)
{
    return shake_rc != 0 ? shake_rc == 1 ? 0 : shake_rc : mbedtls_ssl_handshake(ssl);
}

static int write_rc, read_rc; /* of Mbed TLS; 0: what they do */

static int seen_write(mbedtls_ssl_context *ssl, const unsigned char *data, size_t size)
{
    return write_rc != 0 ? write_rc : mbedtls_ssl_write(ssl, data, size);
}
static int seen_read(mbedtls_ssl_context *ssl, unsigned char *data, size_t size)
{
    return read_rc != 0 ? read_rc : mbedtls_ssl_read(ssl, data, size);
}

#if defined(MBEDTLS_USE_PSA_CRYPTO) || defined(MBEDTLS_SSL_PROTO_TLS1_3)
static psa_status_t psa_rc; /* PSA_SUCCESS: what it is */

static psa_status_t seen_psa(void)
{
    return psa_rc != PSA_SUCCESS ? psa_rc : psa_crypto_init();
}

#define psa_crypto_init() seen_psa()
#endif
#define mbedtls_ssl_write(ssl, data, size) seen_write(ssl, data, size)
#define mbedtls_ssl_read(ssl, data, size) seen_read(ssl, data, size)

static unsigned engine_state; /* 0: what it is */

static unsigned seen_state(const br_ssl_engine_context *engine)
{
    return engine_state != 0 ? engine_state : br_ssl_engine_current_state(engine);
}

#define br_ssl_engine_current_state(engine) seen_state(engine)
#define SSL_CTX_new(method) seen_ctx(method)
#define SSL_new(config) seen_ssl(config)
#undef SSL_CTX_set1_groups_list
#define SSL_CTX_set1_groups_list(config, list) seen_groups(config, list)
#undef SSL_CTX_set_min_proto_version
#define SSL_CTX_set_min_proto_version(config, version) seen_min(config, version)
#undef SSL_CTX_set_max_proto_version
#define SSL_CTX_set_max_proto_version(config, version) seen_max(config, version)
#define SSL_CTX_set_cipher_list(config, list) seen_ciphers(config, list)
#define SSL_CTX_set_ciphersuites(config, list) seen_suites(config, list)
#undef SSL_CTX_set1_sigalgs_list
#define SSL_CTX_set1_sigalgs_list(config, list) seen_signatures(config, list)
#undef SSL_set_app_data
#define SSL_set_app_data(ssl, data) seen_data(ssl, data)
#define BIO_new_bio_pair(one, one_size, two, two_size) seen_pair(one, one_size, two, two_size)
#define X509_VERIFY_PARAM_set1_host(param, name, size) seen_host(param, name, size)
#define X509_VERIFY_PARAM_set1_ip(param, address, size) seen_ip(param, address, size)
#undef SSL_set_tlsext_host_name
#define SSL_set_tlsext_host_name(ssl, name) seen_sni(ssl, name)
#define RAND_status() seen_status()
#define EVP_Digest(data, size, digest, digest_size, kind, engine)                                  \
    seen_digest(data, size, digest, digest_size, kind, engine)
#define SSL_do_handshake(ssl) seen_shake(ssl)
#define mbedtls_ctr_drbg_seed(random, entropy, context, custom, size)                              \
    seen_seed(random, entropy, context, custom, size)
#define mbedtls_ssl_config_defaults(config, end, transport, preset)                                \
    seen_defaults(config, end, transport, preset)
#define mbedtls_ssl_setup(ssl, config) seen_setup(ssl, config)
#define mbedtls_ssl_set_hostname(ssl, name) seen_hostname(ssl, name)
#define mbedtls_md_info_from_type(type) seen_info(type)
#define mbedtls_md(info, data, size, digest) seen_md(info, data, size, digest)
#define mbedtls_ssl_handshake(ssl) seen_mbedtls_shake(ssl)
#include "unsandbox_bearssl.h"
#include "unsandbox_mbedtls.h"
#include "unsandbox_openssl.h"

/* ======================================================================
 * >>inner  A transport that takes all and gives nothing
 * ====================================================================== */

static struct {
    int connect, send, recv; /* what they return; 0 of send: all is taken */
    unsigned closed, dropped;
} inner;

static int inner_connect(void *context, const char *host, uint16_t port)
{
    (void)context;
    (void)host;
    (void)port;
    return inner.connect;
}

static int inner_send(void *context, const void *data, size_t size)
{
    (void)context;
    (void)data;
    return inner.send != 0 ? inner.send : (int)size;
}

static int inner_recv(void *context, void *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
    return inner.recv;
}

static void inner_close(void *context)
{
    (void)context;
    inner.closed++;
}

static void inner_drop(void *context)
{
    (void)context;
    inner.dropped++;
}

static int inner_wait(void *context, int interest, uint32_t timeout_ms)
{
    (void)context;
    (void)interest;
    (void)timeout_ms;
    return UNSB_OK;
}

static int inner_interest(void *context, int interest)
{
    (void)context;
    return interest | 64;
}

static const unsb_transport_class plain_class = {inner_connect, inner_send, inner_recv, inner_close,
                                                 inner_wait,    NULL,       NULL};
static const unsb_transport_class full_class = {inner_connect, inner_send,     inner_recv,
                                                inner_close,   inner_wait,     inner_interest,
                                                inner_drop};

/* ======================================================================
 * >>ports
 * ====================================================================== */

static unsb_bearssl bearssl;
static unsb_mbedtls mbedtls;
static unsb_openssl openssl;
static unsb_bearssl_config bearssl_config;
static unsb_mbedtls_config mbedtls_config;
static unsb_openssl_config openssl_config;
static unsigned char records[BR_SSL_BUFSIZE_BIDI];
static const uint8_t pins[64] = {1};

static uint32_t some_time(void *context)
{
    (void)context;
    return 1700000000;
}

static int some_entropy(void *context, void *seed, size_t size)
{
    (void)context;
    memset(seed, 7, size);
    return UNSB_OK;
}

static void configure(const unsb_transport_class *vtable)
{
    unsb_transport below = {NULL, NULL};

    memset(&inner, 0, sizeof inner);
    memset(&bearssl_config, 0, sizeof bearssl_config);
    memset(&mbedtls_config, 0, sizeof mbedtls_config);
    memset(&openssl_config, 0, sizeof openssl_config);
    below.vtable = vtable;
    bearssl_config.inner = mbedtls_config.inner = openssl_config.inner = below;
    bearssl_config.pins = mbedtls_config.pins = openssl_config.pins = pins;
    bearssl_config.pin_count = mbedtls_config.pin_count = openssl_config.pin_count = 2;
    bearssl_config.buffer = records;
    bearssl_config.buffer_size = sizeof records;
    bearssl_config.unix_time = mbedtls_config.unix_time = openssl_config.unix_time = some_time;
    bearssl_config.entropy = some_entropy;
}

static const struct port {
    const char *name;
    const int *error;
} ports[] = {{"BearSSL", &bearssl.error}, {"Mbed TLS", &mbedtls.error},
             {"OpenSSL", &openssl.error}};

static unsb_transport transport_of(size_t which)
{
    return which == 0   ? unsb_bearssl_transport(&bearssl, &bearssl_config)
           : which == 1 ? unsb_mbedtls_transport(&mbedtls, &mbedtls_config)
                        : unsb_openssl_transport(&openssl, &openssl_config);
}

static const char *text_of(size_t which)
{
    return which == 0   ? unsb_bearssl_error_text(&bearssl)
           : which == 1 ? unsb_mbedtls_error_text(&mbedtls)
                        : unsb_openssl_error_text(&openssl);
}

static void wipe(size_t which)
{
    if (which == 0)
        unsb_bearssl_wipe(&bearssl);
    else if (which == 1)
        unsb_mbedtls_wipe(&mbedtls);
    else
        unsb_openssl_wipe(&openssl);
}

/* ======================================================================
 * >>tests
 * ====================================================================== */

/* Each call of the library fails in turn, alone and with the one after it, for a name and for an
 * address: an error that stays, with words; nothing is kept; and the next connect goes on. */
static void set_up(void **state)
{
    static const char *const hosts[] = {"api.unsandbox.com", "192.0.2.1"};
    size_t which, host;
    unsigned after, times, failures[3] = {0, 0, 0};

    (void)state;
    for (which = 1; which < 3; which++) {
        unsb_transport t;

        configure(&plain_class);
        t = transport_of(which);
        for (host = 0; host < 2; host++) {
            for (times = 1; times < 3; times++) {
                for (after = 0;; after++) {
                    int rc;

                    fail_at(after, times);
                    rc = t.vtable->connect(t.context, hosts[host], 443);
                    fault.on = false;
                    if (fault.hits == 0)
                        break;
                    failures[which]++;
                    assert_true(after < 30);
                    if (rc != UNSB_PENDING) {
                        if (rc >= 0 || rc == UNSB_E_CERTIFICATE)
                            fail_msg("%s, call %u: %d", ports[which].name, after, rc);
                        assert_int_not_equal(*ports[which].error, 0);
                        assert_true(strlen(text_of(which)) > 3);
                        assert_int_equal(t.vtable->connect(t.context, hosts[host], 443), rc);
                        assert_int_equal(t.vtable->send(t.context, "a", 1), rc);
                        assert_int_equal(t.vtable->recv(t.context, records, 1), rc);
                    }
                    t.vtable->close(t.context);
                    assert_int_equal(t.vtable->connect(t.context, hosts[host], 443), UNSB_PENDING);
                    t.vtable->close(t.context);
                }
                t.vtable->close(t.context);
            }
        }
        wipe(which);
    }
    assert_true(failures[1] > 15 && failures[2] > 30);
}

/* The handshake fails with an error of another part of the library. */
static void handshakes_openssl(void **state)
{
    static const struct {
        int lib, reason, rc;
    } cases[] = {{ERR_LIB_RAND, ERR_R_INTERNAL_ERROR, UNSB_E_ENTROPY},
                 {ERR_LIB_SSL, ERR_R_MALLOC_FAILURE, UNSB_E_OPENSSL_CONFIG},
                 {ERR_LIB_EVP, ERR_R_MALLOC_FAILURE, UNSB_E_OPENSSL_CONFIG},
                 {ERR_LIB_SSL, ERR_R_ASN1_LIB, UNSB_E_CERTIFICATE},
                 {ERR_LIB_EVP, ERR_R_ASN1_LIB, UNSB_E_TLS},
                 {ERR_LIB_SSL, SSL_R_CERT_LENGTH_MISMATCH, UNSB_E_CERTIFICATE},
                 {ERR_LIB_SSL, SSL_R_UNABLE_TO_FIND_PUBLIC_KEY_PARAMETERS, UNSB_E_CERTIFICATE},
                 {ERR_LIB_SSL, SSL_R_UNKNOWN_CERTIFICATE_TYPE, UNSB_E_CERTIFICATE},
                 {ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER, UNSB_E_TLS},
                 {ERR_LIB_EVP, ERR_R_INTERNAL_ERROR, UNSB_E_TLS},
                 {ERR_LIB_EVP, SSL_AD_REASON_OFFSET + 40, UNSB_E_TLS},
                 {ERR_LIB_SSL, SSL_AD_REASON_OFFSET + 40, UNSB_E_TLS}};
    unsb_transport t;
    size_t i;

    (void)state;
    configure(&plain_class);
    t = transport_of(2);
    for (i = 0; i < COUNT(cases); i++) {
        shake_lib = cases[i].lib;
        shake_reason = cases[i].reason;
        assert_int_equal(t.vtable->connect(t.context, "localhost", 443), cases[i].rc);
        assert_int_equal(openssl.alert, i == COUNT(cases) - 1 ? 40 : 0);
        assert_int_equal(ERR_GET_REASON((unsigned long)openssl.error), cases[i].reason);
        assert_int_equal(ERR_peek_error(), 0);
        assert_true(strlen(unsb_openssl_error_text(&openssl)) > 3);
        t.vtable->close(t.context);
    }
    shake_lib = 0;
    /* a handshake that ends well, though nobody has shown a certificate */
    shake_rc = 1;
    assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_E_CERTIFICATE);
    assert_int_equal(openssl.error, X509_V_ERR_UNSPECIFIED);
    shake_rc = 0;
    wipe(2);
}

static void handshakes_mbedtls(void **state)
{
    static const struct {
        int error, rc;
    } cases[] = {{MBEDTLS_ERR_SSL_ALLOC_FAILED, UNSB_E_MBEDTLS_MEMORY},
                 {MBEDTLS_ERR_X509_ALLOC_FAILED, UNSB_E_MBEDTLS_MEMORY},
                 {MBEDTLS_ERR_PK_ALLOC_FAILED, UNSB_E_MBEDTLS_MEMORY},
                 {MBEDTLS_ERR_X509_INVALID_FORMAT + MBEDTLS_ERR_ASN1_ALLOC_FAILED,
                  UNSB_E_MBEDTLS_MEMORY},
                 {MBEDTLS_ERR_ECP_BAD_INPUT_DATA + MBEDTLS_ERR_MPI_ALLOC_FAILED,
                  UNSB_E_MBEDTLS_MEMORY},
                 {MBEDTLS_ERR_SSL_INTERNAL_ERROR, UNSB_E_TLS},
                 {MBEDTLS_ERR_SSL_BAD_INPUT_DATA, UNSB_E_TLS},
                 {1, UNSB_E_CERTIFICATE}}; /* well, though nobody has shown a certificate */
    unsb_transport t;
    size_t i;

    (void)state;
    configure(&plain_class);
    t = transport_of(1);
    for (i = 0; i < COUNT(cases); i++) {
        int rc;

        shake_rc = cases[i].error;
        rc = t.vtable->connect(t.context, "localhost", 443);
        if (rc != cases[i].rc)
            fail_msg("-0x%x: %d", (unsigned)-cases[i].error, rc);
        assert_true(strlen(unsb_mbedtls_error_text(&mbedtls)) > 3);
        t.vtable->close(t.context);
    }
    /* a computation that goes on by itself, with whoever does it outside: nothing to wait for */
    shake_rc = MBEDTLS_ERR_SSL_CRYPTO_IN_PROGRESS;
    assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_PENDING);
    assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
    assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_PENDING);
    shake_rc = 0;
    wipe(1);
}

#if UNSBI_MBEDTLS_PSA
static void psa_refuses(void **state)
{
    unsb_transport t;

    (void)state;
    configure(&plain_class);
    t = transport_of(1);
    psa_rc = PSA_ERROR_INSUFFICIENT_MEMORY;
    assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_E_MBEDTLS_MEMORY);
    t.vtable->close(t.context);
    psa_rc = PSA_ERROR_INSUFFICIENT_ENTROPY;
    assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_E_ENTROPY);
    t.vtable->close(t.context);
    psa_rc = PSA_SUCCESS;
    assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_PENDING);
    wipe(1);
}
#endif

/* The wire fails within the handshake: its code comes unchanged. */
static void the_wire_fails(void **state)
{
    size_t which, i;

    (void)state;
    for (which = 0; which < 3; which++) {
        for (i = 0; i < 3; i++) {
            unsb_transport t;
            int rc;

            configure(&plain_class);
            t = transport_of(which);
            inner.connect = i == 0 ? UNSB_E_CONNECT : UNSB_OK;
            inner.send = i == 1 ? UNSB_E_IO : 0;
            inner.recv = i == 2 ? UNSB_E_IO : 0;
            rc = t.vtable->connect(t.context, "localhost", 443);
            assert_int_equal(rc, i == 0 ? UNSB_E_CONNECT : UNSB_E_IO);
            assert_int_equal(*ports[which].error, 0);
            assert_int_equal(t.vtable->wait(t.context, UNSB_READABLE, 5), UNSB_OK);
            assert_int_not_equal(t.vtable->interest(t.context, UNSB_READABLE), 0);
            assert_int_equal(t.vtable->connect(t.context, "localhost", 443), rc);
            t.vtable->close(t.context);
            assert_int_equal(inner.closed, 1);
            wipe(which);
        }
    }
}

/* A host that is none, also when it becomes one while the inner transport connects; addresses with
 * a zone longer than a name can be; and copies that are dropped. */
static void hosts(void **state)
{
    char zone[400];
    size_t which;

    (void)state;
    memset(zone, 'z', sizeof zone);
    memcpy(zone, "fe80::1%", 8);
    zone[sizeof zone - 1] = '\0';
    for (which = 0; which < 3; which++) {
        unsb_transport t;

        configure(&full_class);
        t = transport_of(which);
        assert_int_equal(t.vtable->connect(t.context, ".example", 443), UNSB_E_CERTIFICATE);
        assert_int_not_equal(*ports[which].error, 0);
        t.vtable->close(t.context);
        inner.connect = UNSB_PENDING;
        assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_PENDING);
        assert_int_equal(t.vtable->interest(t.context, UNSB_READABLE), UNSB_READABLE | 64);
        inner.connect = UNSB_OK;
        assert_int_equal(t.vtable->connect(t.context, "127.1", 443), UNSB_E_CERTIFICATE);
        t.vtable->close(t.context);
        if (which != 0) {
            assert_int_equal(t.vtable->connect(t.context, zone, 443), UNSB_E_CERTIFICATE);
            t.vtable->close(t.context);
        }
        assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_PENDING);
        t.vtable->drop(t.context);
        assert_int_equal(inner.dropped, 1);
        wipe(which);
        /* without an inner transport it says so, and asks nobody */
        configure(NULL);
        t = transport_of(which);
        assert_ptr_equal(t.vtable->wait, NULL);
        assert_true(t.vtable->connect(t.context, "localhost", 443) <= UNSB_E_USER);
        assert_int_not_equal(t.vtable->interest(t.context, UNSB_READABLE), 0);
        t.vtable->close(t.context);
        assert_int_equal(t.vtable->connect(t.context, "localhost", 443) <= UNSB_E_USER, true);
        t.vtable->drop(t.context);
        wipe(which);
    }
}

/* ---- OpenSSL: a certificate that a pin vouches for, without its chain ---- */

/* For "localhost", signed by itself; with one extension more, whose value is `value`. */
static X509 *made(const char *oid, const char *value, size_t size, int critical)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new(), *read;
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *kind = OBJ_txt2obj(oid, 1);
    X509_EXTENSION *more, *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
                                                       "DNS:localhost");
    unsigned char *der = NULL;
    const unsigned char *p;
    int length;

    assert_int_equal(ASN1_OCTET_STRING_set(octets, (const unsigned char *)value, (int)size), 1);
    more = X509_EXTENSION_create_by_OBJ(NULL, kind, critical, octets);
    (void)X509_set_version(certificate, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), -1000);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), 1000);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_int_equal(X509_add_ext(certificate, names, -1), 1);
    assert_int_equal(X509_add_ext(certificate, more, -1), 1);
    assert_int_not_equal(X509_sign(certificate, key, EVP_sha256()), 0);
    length = i2d_X509(certificate, &der);
    p = der;
    read = d2i_X509(NULL, &p, length);
    assert_non_null(read);
    OPENSSL_free(der);
    X509_EXTENSION_free(names);
    X509_EXTENSION_free(more);
    ASN1_OBJECT_free(kind);
    ASN1_OCTET_STRING_free(octets);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return read;
}

static void certificates_alone(void **state)
{
    static const struct {
        const char *oid, *value;
        size_t size;
        int critical, want;
    } cases[] = {{"1.2.3.4", "\5\0", 2, 0, X509_V_OK},
                 {"1.2.3.4", "\5\0", 2, 1, X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION},
                 {"2.5.29.19", "\x31\0", 2, 0, X509_V_ERR_INVALID_EXTENSION}};
    unsb_transport t;
    size_t i;

    (void)state;
    configure(&plain_class);
    t = transport_of(2);
    assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_PENDING);
    for (i = 0; i < COUNT(cases); i++) {
        X509 *leaf = made(cases[i].oid, cases[i].value, cases[i].size, cases[i].critical);

        assert_int_equal(unsbi_openssl_check_alone(&openssl, leaf), cases[i].want);
        assert_false(unsbi_openssl_is_pinned(&openssl.config, leaf));
        fail_at(0, 1); /* the digest of its key */
        assert_false(unsbi_openssl_is_pinned(&openssl.config, leaf));
        fault.on = false;
        X509_free(leaf);
    }
    wipe(2);
    ERR_clear_error();
}

/* ---- BearSSL's set-up is the caller's ---- */

static bool set_nothing;

static void own_setup(br_ssl_client_context *ssl, br_x509_minimal_context *x509,
                      const br_x509_trust_anchor *anchors, size_t count)
{
    if (set_nothing) {
        memset(x509, 0, sizeof *x509);
        br_ssl_client_zero(ssl);
        return;
    }
    unsbi_bearssl_setup(ssl, x509, anchors, count);
}

static int no_entropy(void *context, void *seed, size_t size)
{
    (void)context;
    (void)seed;
    (void)size;
    return UNSB_E_ENTROPY;
}

static void bearssl_setups(void **state)
{
    unsb_transport t;

    (void)state;
    configure(&plain_class);
    bearssl_config.setup = own_setup;
    t = transport_of(0);
    assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_PENDING);
    t.vtable->close(t.context);
    set_nothing = true;
    assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_E_BEARSSL_CONFIG);
    t.vtable->close(t.context);
    set_nothing = false;
    bearssl.config.entropy = no_entropy;
    assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_E_ENTROPY);
    assert_int_equal(bearssl.error, BR_ERR_NO_RANDOM);
    t.vtable->close(t.context);
    /* an empty list of anchors is none; and pins that are counted must be there */
    configure(&plain_class);
    bearssl_config.pin_count = 0;
    bearssl_config.anchors = (const br_x509_trust_anchor *)(const void *)records;
    t = transport_of(0);
    assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_E_TRUST);
    wipe(0);
}

/* What BearSSL's engine may say where nothing good follows from it. */
static void bearssl_engine(void **state)
{
    static const struct {
        unsigned state, error, suite;
        int rc, want;
    } cases[] = {{BR_SSL_CLOSED, BR_ERR_OK, 0, UNSB_E_TLS, 0},
                 {BR_SSL_CLOSED, BR_ERR_NO_RANDOM, 0, UNSB_E_ENTROPY, BR_ERR_NO_RANDOM},
                 {BR_SSL_CLOSED, BR_ERR_BAD_MAC, 0, UNSB_E_TLS, BR_ERR_BAD_MAC},
                 {1u << 14, BR_ERR_OK, 0, UNSB_E_TLS, BR_ERR_BAD_STATE},
                 /* open, with a cipher that was not offered; and with nobody's certificate */
                 {BR_SSL_SENDAPP, BR_ERR_OK, 0x002F, UNSB_E_TLS, BR_ERR_BAD_CIPHER_SUITE},
                 {BR_SSL_SENDAPP, BR_ERR_OK, BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                  UNSB_E_CERTIFICATE, BR_ERR_X509_EMPTY_CHAIN}};
    unsb_transport t;
    size_t i;

    (void)state;
    configure(&plain_class);
    t = transport_of(0);
    for (i = 0; i < COUNT(cases); i++) {
        engine_state = 0;
        assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_PENDING);
        bearssl.ssl.eng.err = (int)cases[i].error;
        bearssl.ssl.eng.session.cipher_suite = (uint16_t)cases[i].suite;
        engine_state = cases[i].state;
        if (t.vtable->connect(t.context, "localhost", 443) != cases[i].rc ||
            bearssl.error != cases[i].want)
            fail_msg("case %u: BearSSL %d", (unsigned)i, bearssl.error);
        assert_int_equal(t.vtable->send(t.context, "a", 1), cases[i].rc);
        t.vtable->close(t.context);
    }
    /* while it is open: closed without a word; the wire fails for what was left of a record */
    for (i = 0; i < 3; i++) {
        engine_state = 0;
        assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_PENDING);
        bearssl.state = UNSBI_BEARSSL_OPEN;
        engine_state = i == 0 ? BR_SSL_CLOSED : BR_SSL_SENDREC | BR_SSL_SENDAPP;
        inner.send = UNSB_E_IO;
        if (i == 0) {
            assert_int_equal(t.vtable->send(t.context, "a", 1), UNSB_E_CLOSED);
            assert_int_equal(t.vtable->wait(t.context, UNSB_WRITABLE, 1), UNSB_OK);
        } else if (i == 1) {
            assert_int_equal(t.vtable->send(t.context, "a", 1), UNSB_E_IO);
            assert_int_equal(t.vtable->send(t.context, "a", 1), UNSB_E_IO);
        } else {
            (void)t.vtable->recv(t.context, records, 1);
            assert_int_equal(t.vtable->send(t.context, "a", 1), UNSB_E_IO);
        }
        inner.send = 0;
        engine_state = 0;
        t.vtable->close(t.context);
    }
    wipe(0);
}

/* What Mbed TLS may say of records that are to be sent and were received. */
static void mbedtls_records(void **state)
{
    static const struct {
        int write, read; /* 0: not asked for */
        bool unsent;
        int rc;
    } cases[] = {{MBEDTLS_ERR_SSL_WANT_READ, 0, false, 0},
                 {MBEDTLS_ERR_SSL_WANT_WRITE, 0, false, 0},
                 {MBEDTLS_ERR_SSL_INTERNAL_ERROR, 0, false, UNSB_E_TLS},
                 {MBEDTLS_ERR_SSL_ALLOC_FAILED, 0, false, UNSB_E_MBEDTLS_MEMORY},
                 {MBEDTLS_ERR_SSL_WANT_READ, 0, true, 0},
                 {MBEDTLS_ERR_SSL_WANT_WRITE, 0, true, 0},
                 {MBEDTLS_ERR_SSL_INTERNAL_ERROR, 0, true, UNSB_E_TLS},
                 {0, MBEDTLS_ERR_SSL_WANT_WRITE, false, 0},
                 {0, MBEDTLS_ERR_SSL_CONN_EOF, false, 0},
                 {0, MBEDTLS_ERR_SSL_INVALID_MAC, false, UNSB_E_TLS},
                 {0, MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY, false, UNSB_E_CLOSED}};
    unsb_transport t;
    size_t i;

    (void)state;
    configure(&plain_class);
    t = transport_of(1);
    for (i = 0; i < COUNT(cases); i++) {
        int rc;

        assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_PENDING);
        mbedtls.state = UNSBI_MBEDTLS_OPEN;
        mbedtls.unsent = cases[i].unsent;
        write_rc = cases[i].write;
        read_rc = cases[i].read;
        rc = cases[i].write != 0 ? t.vtable->send(t.context, "a", 1)
                                 : t.vtable->recv(t.context, records, 1);
        if (rc != cases[i].rc)
            fail_msg("case %u: %d", (unsigned)i, rc);
        mbedtls.unsent = false;
        write_rc = read_rc = 0;
        t.vtable->close(t.context);
    }
    wipe(1);
}

/* A session that was offered, in a handshake that came to no end, is not offered again. */
static void given_up(void **state)
{
    size_t which;

    (void)state;
    for (which = 0; which < 2; which++) {
        unsb_transport t;

        configure(&plain_class);
        t = transport_of(which);
        assert_int_equal(t.vtable->connect(t.context, "localhost", 443), UNSB_PENDING);
        if (which == 0)
            bearssl.offered = bearssl.has_session = true;
        else
            mbedtls.offered = mbedtls.has_session = true;
        t.vtable->close(t.context);
        assert_false(which == 0 ? bearssl.has_session : mbedtls.has_session);
        wipe(which);
    }
}

/* ---- words ---- */

static void words(void **state)
{
    int error;

    (void)state;
    memset(&openssl, 0, sizeof openssl);
    memset(&mbedtls, 0, sizeof mbedtls);
    memset(&bearssl, 0, sizeof bearssl);
    for (error = -10; error < 600; error++) {
        openssl.error = error;
        bearssl.error = error;
        assert_true(strlen(unsb_openssl_error_text(&openssl)) > 3);
        assert_true(error == 0 || strlen(unsb_bearssl_error_text(&bearssl)) > 3);
    }
    openssl.error = UNSB_OPENSSL_CUT;
    assert_non_null(strstr(unsb_openssl_error_text(&openssl), "close_notify"));
    openssl.error = (int)ERR_PACK(ERR_LIB_USER, 0, 999); /* which nobody has a text for */
    assert_string_equal(unsb_openssl_error_text(&openssl), "unknown error of OpenSSL");
    openssl.alert = 40;
    assert_string_equal(unsb_openssl_error_text(&openssl), "handshake failure");
    for (error = -0x7FFF; error < 0x400; error++) {
        mbedtls.error = error;
        mbedtls.code = UNSB_E_TLS;
        assert_true(strlen(unsb_mbedtls_error_text(&mbedtls)) > 3);
        mbedtls.code = UNSB_E_CERTIFICATE;
        assert_true(strlen(unsb_mbedtls_error_text(&mbedtls)) > 3);
    }
    mbedtls.code = UNSB_E_IO;
    mbedtls.error = MBEDTLS_ERR_SSL_CONN_EOF;
    assert_true(strlen(unsb_mbedtls_error_text(&mbedtls)) > 3);
    mbedtls.code = UNSB_E_MBEDTLS_MEMORY;
    mbedtls.error = MBEDTLS_ERR_SSL_ALLOC_FAILED;
    assert_non_null(strstr(unsb_mbedtls_error_text(&mbedtls), "memory"));
    mbedtls.code = UNSB_E_TLS;
    mbedtls.error = MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE;
    for (error = 1; error < 256; error++) {
        mbedtls.alert = (uint8_t)error;
        assert_true(strlen(unsb_mbedtls_error_text(&mbedtls)) > 3);
    }
    mbedtls.alert = 0;
    mbedtls.code = UNSB_E_CERTIFICATE;
    mbedtls.error = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE;
    assert_non_null(strstr(unsb_mbedtls_error_text(&mbedtls), "clock"));
    mbedtls.error = 0;
}

static int tear_down(void **state)
{
    (void)state;
    fault.on = false;
    shake_lib = shake_rc = 0;
    set_nothing = false;
    engine_state = 0;
    write_rc = read_rc = 0;
    return 0;
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(set_up),          TEST(handshakes_openssl),
                                       TEST(handshakes_mbedtls), TEST(the_wire_fails),
#if UNSBI_MBEDTLS_PSA
                                       TEST(psa_refuses),
#endif
                                       TEST(hosts),           TEST(bearssl_setups),
                                       TEST(bearssl_engine),  TEST(given_up),
                                       TEST(mbedtls_records),
                                       TEST(certificates_alone), TEST(words)};

    return cmocka_run_group_tests_name("tls_faults", tests, NULL, NULL);
}
