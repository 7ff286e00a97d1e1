/* The suite of TLS ports, for the OpenSSL port; and what is its own: TLS 1.3 after the handshake,
 * PEM files, words for errors, OpenSSL's queue of errors. */
#include "suite.h"

#include "loopback.h"
#include "unsandbox_openssl.h"

#define PORT_NAME "tls_openssl"
#define DETAIL(bearssl, mbedtls) (mbedtls)
#define PORT_TLS13 1
/* Ed25519, and RSA keys that are for PSS alone */
#define PORT_SIGNATURES 0x0807, 0x0809, 0x080A, 0x080B,
#define PORT_OWN_ENTROPY 1
#define PORT_ANY_PURPOSE BAD, BAD_PURPOSE
#define PORT_EXPIRED_AND_UNKNOWN NOT_TRUSTED /* its authority is asked for first */
#define PORT_CONFIG_ERROR UNSB_E_OPENSSL_CONFIG
#define RSA RSA_PIN /* to OpenSSL a type */

static struct {
    unsb_openssl tls;
    unsb_openssl_config config;
    unsb_openssl_trust trust;
} port;

static void port_prepare(void)
{
    unsb_openssl_wipe(&port.tls);
    memset(&port.config, 0, sizeof port.config);
}

static void port_trust(const char *pem)
{
    unsb_openssl_free_trust(&port.trust);
    port.config.anchors = NULL;
    if (pem != NULL) {
        assert_int_equal(unsb_openssl_load_pem(&port.trust, pem), UNSB_OK);
        port.config.anchors = port.trust.store;
    }
}

static unsb_transport port_transport(unsb_transport inner)
{
    port.config.inner = inner;
    return unsb_openssl_transport(&port.tls, &port.config);
}

static void port_wipe(void)
{
    unsb_openssl_wipe(&port.tls);
}

static int port_detail(void);

/* Is nothing of the connection left? */
static bool port_is_clean(void)
{
    return port.tls.ssl == NULL && port.tls.ssl_config == NULL && port.tls.records == NULL;
}

static bool port_has_session(void)
{
    return port.tls.session != NULL;
}

static void pem_files(void **state);
static void many_anchors(void **state);
static void words(void **state);

#define PORT_TESTS TEST(pem_files), TEST(many_anchors), TEST(words),

#include "tls_suite.h"

/* OpenSSL's number as the suite has them, which are Mbed TLS's. `words` looks at the numbers
 * themselves. */
static int port_detail(void)
{
    int error = port.tls.error;

    if (port.tls.alert != 0)
        return 256 + port.tls.alert;
    switch (error) {
    case UNSB_OPENSSL_CUT:
        return MBEDTLS_ERR_SSL_CONN_EOF;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return MBEDTLS_X509_BADCERT_CN_MISMATCH;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_INVALID_CA:
        return MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    case X509_V_ERR_APPLICATION_VERIFICATION:
        return MBEDTLS_X509_BADCERT_OTHER;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return MBEDTLS_X509_BADCERT_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return MBEDTLS_X509_BADCERT_FUTURE;
    case X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE:
        return MBEDTLS_X509_BADCERT_KEY_USAGE;
    case X509_V_ERR_INVALID_PURPOSE:
        return MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return MBEDTLS_X509_BADCERT_BAD_MD;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
        return MBEDTLS_X509_BADCERT_BAD_KEY;
    case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
        return MBEDTLS_ERR_X509_INVALID_EXTENSIONS + MBEDTLS_ERR_ASN1_UNEXPECTED_TAG;
    default:
        if (error > 0x10000 &&
            ERR_GET_REASON((unsigned long)error) == SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC)
            return MBEDTLS_ERR_SSL_INVALID_MAC;
        return error;
    }
}

/* ======================================================================
 * >>pem
 * ====================================================================== */

static void pem_files(void **state)
{
    unsb_openssl_trust trust;
    char *ca = read_text(pki("ca.pem")), *key = read_text(pki("localhost.key")), path[600];
    char *text = (char *)malloc(3 * (strlen(ca) + strlen(key)) + 200), *next;
    size_t size = 0, i;

    (void)state;
    if (text == NULL)
        fail_msg("out of memory");
    memset(&trust, 0, sizeof trust);
    assert_int_equal(unsb_openssl_load_pem(&trust, scratch("missing")), UNSB_E_TRUST);
    assert_int_equal(trust.error, ENOENT);
    (void)setenv("SSL_CERT_FILE", scratch("missing"), 1);
    assert_int_equal(unsb_openssl_load_pem(&trust, NULL), UNSB_E_TRUST);
    assert_int_equal(trust.error, ENOENT);
    assert_int_equal(unsb_openssl_load_pem(&trust, scratch(".")), UNSB_E_TRUST);
    assert_int_equal(trust.error, EISDIR);
    write_file(scratch("empty"), "", 0);
    assert_int_equal(unsb_openssl_load_pem(&trust, scratch("empty")), UNSB_E_TRUST);
    assert_int_equal(trust.error, 0);
    assert_int_equal(unsb_openssl_add_pem(&trust, "", 0), UNSB_E_TRUST);
    assert_int_equal(unsb_openssl_add_pem(&trust, "\0\xff garbage\n", 11), UNSB_E_TRUST);
    /* not a certificate */
    assert_int_equal(unsb_openssl_add_pem(&trust, key, strlen(key)), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 0);
    /* cut in the middle; with a character that base64 does not have; and no certificate in it */
    assert_int_equal(unsb_openssl_add_pem(&trust, ca, strlen(ca) / 2), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 1);
    (void)strcpy(text, ca);
    text[strlen(ca) / 2] = '!';
    assert_int_equal(unsb_openssl_add_pem(&trust, text, strlen(text)), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 2);
    (void)strcpy(text, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_int_equal(unsb_openssl_add_pem(&trust, text, strlen(text)), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 3);
    assert_int_equal(trust.count, 0);
    assert_int_equal(trust.error, 0);

    /* text around it, a key and a bad one among them, no last line end; what was there stays */
    next = text + strlen(text);
    (void)sprintf(next, "# a bundle\n%s\n%s%s", key, ca, ca);
    text[strlen(text) - 1] = '\0';
    assert_int_equal(unsb_openssl_add_pem(&trust, text, strlen(text)), UNSB_OK);
    assert_int_equal(trust.count, 2);
    assert_int_equal(trust.skipped, 4);
    /* RFC 7468 section 3: lines end in CR LF as well as in LF */
    for (i = 0; ca[i] != '\0'; i++) {
        if (ca[i] == '\n')
            text[size++] = '\r';
        text[size++] = ca[i];
    }
    assert_int_equal(unsb_openssl_add_pem(&trust, text, size), UNSB_OK);
    assert_int_equal(trust.count, 3);
    (void)snprintf(path, sizeof path, "%s", pki("ca.pem"));
    (void)setenv("SSL_CERT_FILE", path, 1);
    assert_int_equal(unsb_openssl_load_pem(&trust, NULL), UNSB_OK);
    assert_int_equal(trust.count, 4);
    assert_int_equal(unsb_openssl_load_pem(&trust, scratch("missing")), UNSB_E_TRUST);
    assert_int_equal(trust.count, 4);
    (void)unsetenv("SSL_CERT_FILE");
    unsb_openssl_free_trust(&trust);
    assert_true(is_zero(&trust, sizeof trust));
    unsb_openssl_free_trust(&trust);
    free(ca);
    free(key);
    free(text);
}

/* The system's bundle: none of it has signed the local service's certificate. Then that one's
 * authority, as the last of many; and as the only one, in a directory of hashed names. */
static void many_anchors(void **state)
{
    unsb_openssl_trust trust;
    const char *argv[] = {"openssl", "rehash", NULL, NULL};
    char folder[600], *ca;

    (void)state;
    memset(&trust, 0, sizeof trust);
    (void)unsetenv("SSL_CERT_FILE");
    (void)unsetenv("SSL_CERT_DIR");
    if (unsb_openssl_load_pem(&trust, NULL) != UNSB_OK && trust.error == ENOENT) {
        print_message("# skipped: this system has no bundle of certificates\n");
        skip();
    }
    assert_int_equal(trust.error, 0);
    assert_true(trust.count >= 20);
    figures("the system's bundle has %u anchors, and %u that cannot be used", (unsigned)trust.count,
            (unsigned)trust.skipped);
    begin("localhost", sandbox.port, false);
    port.config.anchors = trust.store;
    begun();
    expect("the system's bundle", get(), BAD, NOT_TRUSTED);
    rig_close(&g);
    assert_int_equal(unsb_openssl_load_pem(&trust, pki("ca.pem")), UNSB_OK);
    begin("localhost", sandbox.port, true);
    port.config.anchors = trust.store;
    begun();
    expect("one more", get(), UNSB_OK, 0);
    rig_close(&g);
    unsb_openssl_free_trust(&trust);

    (void)snprintf(folder, sizeof folder, "%s", scratch("hashed"));
    assert_int_equal(mkdir(folder, 0700), 0);
    (void)setenv("SSL_CERT_DIR", folder, 1);
    ca = read_text(pki("ca.pem"));
    write_file(scratch("hashed/ca.pem"), ca, strlen(ca));
    free(ca);
    argv[2] = folder;
    assert_int_equal(run(argv, -1), 0);
    assert_int_equal(unsb_openssl_load_pem(&trust, NULL), UNSB_OK);
    (void)unsetenv("SSL_CERT_DIR");
    begin("localhost", sandbox.port, false);
    port.config.anchors = trust.store;
    begun();
    expect("a directory", get(), UNSB_OK, 0);
    rig_close(&g);
    unsb_openssl_free_trust(&trust);
}

/* ======================================================================
 * >>errors
 * ====================================================================== */

static void words(void **state)
{
    static const struct {
        unsigned server;
        const char *host;
        unsigned trust, pins;
        int error;
        const char *text;
    } causes[] = {
        {SERVER_ecdsa, "good.test", ROOTS, 0, 0, "no error"},
        {SERVER_expired, "good.test", ROOTS, 0, X509_V_ERR_CERT_HAS_EXPIRED, "expired"},
        {SERVER_future, "good.test", ROOTS, 0, X509_V_ERR_CERT_NOT_YET_VALID, "not yet valid"},
        {SERVER_ecdsa, "other.test", ROOTS, 0, X509_V_ERR_HOSTNAME_MISMATCH, "wrong name"},
        {SERVER_ecdsa, "127.0.0.1", ROOTS, 0, X509_V_ERR_IP_ADDRESS_MISMATCH, "wrong name"},
        {SERVER_common, "good.test", ROOTS, 0, X509_V_ERR_HOSTNAME_MISMATCH, "wrong name"},
        {SERVER_ecdsa, "good.test", OTHER, 0, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
         "unknown authority"},
        {SERVER_missing, "good.test", ROOTS, 0, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
         "unknown authority"},
        {SERVER_self, "good.test", ROOTS, 0, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
         "unknown authority"},
        {SERVER_ecdsa, "good.test", ROOTS, RSA, X509_V_ERR_APPLICATION_VERIFICATION, "not pinned"},
        {SERVER_below, "good.test", ROOTS, 0, X509_V_ERR_INVALID_CA, "CA"},
        {SERVER_purpose, "good.test", ROOTS, 0, X509_V_ERR_INVALID_PURPOSE, "purpose"},
        {SERVER_usage, "good.test", ROOTS, 0, X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE,
         "digital signature"},
        {SERVER_weak, "good.test", ROOTS, 0, X509_V_ERR_EE_KEY_TOO_SMALL, "key too weak"},
        {SERVER_tls10, "good.test", ROOTS, 0, -1, "protocol version"},
        {SERVER_cbc, "good.test", ROOTS, 0, -1, "handshake failure"}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(causes); i++) {
        const char *text;
        begin(causes[i].host, server_ports[causes[i].server], i % 2 != 0);
        trust_and_pin(causes[i].trust, causes[i].pins);
        begun();
        (void)get();
        text = unsb_openssl_error_text(&port.tls);
        if (strstr(text, causes[i].text) == NULL)
            fail_msg("%u: \"%s\" instead of \"%s\"", (unsigned)i, text, causes[i].text);
        if (causes[i].error >= 0)
            assert_int_equal(port.tls.error, causes[i].error);
        rig_close(&g);
        assert_string_equal(unsb_openssl_error_text(&port.tls), text); /* it is kept */
    }
}
