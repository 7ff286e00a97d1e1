/* The suite of TLS ports, for the Mbed TLS port; and its PEM files. */
#include "suite.h"

#include "loopback.h"
#include "unsandbox_mbedtls.h"
#include "unsandbox_mbedtls_pem.h"

#define PORT_NAME "tls_mbedtls"
#define DETAIL(bearssl, mbedtls) (mbedtls)
#define PORT_TLS13 UNSBI_MBEDTLS_TLS13

static struct {
    unsb_mbedtls tls;
    unsb_mbedtls_config config;
    unsb_mbedtls_trust trust;
} port;

static void port_prepare(void)
{
    unsb_mbedtls_wipe(&port.tls);
    memset(&port.config, 0, sizeof port.config);
}

static void port_trust(const char *pem)
{
    unsb_mbedtls_free_trust(&port.trust);
    port.config.anchors = NULL;
    if (pem != NULL) {
        assert_int_equal(unsb_mbedtls_load_pem(&port.trust, pem), UNSB_OK);
        port.config.anchors = &port.trust.anchors;
    }
}

static unsb_transport port_transport(unsb_transport inner)
{
    port.config.inner = inner;
    return unsb_mbedtls_transport(&port.tls, &port.config);
}

static void port_wipe(void)
{
    unsb_mbedtls_wipe(&port.tls);
}

/* A number for what went wrong; 256 + n: the peer's alert. */
static int port_detail(void)
{
    if (port.tls.error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        return 256 + port.tls.alert;
    return port.tls.error;
}

/* Is nothing of the connection left? */
static bool port_is_clean(void)
{
    return !port.tls.started && is_zero(&port.tls.ssl, sizeof port.tls.ssl) &&
           is_zero(&port.tls.ssl_config, sizeof port.tls.ssl_config) &&
           is_zero(&port.tls.random, sizeof port.tls.random) &&
           is_zero(&port.tls.entropy, sizeof port.tls.entropy);
}

static bool port_has_session(void)
{
    return !is_zero(&port.tls.session, sizeof port.tls.session);
}

#define PORT_OTHERWISE                                                                             \
    {"nc_name_permitted_critical", false, "Mbed TLS takes no critical name constraints"},          \
        {"nc_name_not_excluded_critical", false, "Mbed TLS takes no critical name constraints"},   \
        {"order_reversed", false, "Mbed TLS looks for issuers behind what they issued"},           \
        {"order_mixed", false, "Mbed TLS looks for issuers behind what they issued"},

static void pem_files(void **state);
static void many_anchors(void **state);

#define PORT_TESTS TEST(pem_files), TEST(many_anchors),

#include "tls_suite.h"

/* ======================================================================
 * >>pem
 * ====================================================================== */

static void pem_files(void **state)
{
    unsb_mbedtls_trust trust;
    char *ca = read_text(pki("ca.pem")), *key = read_text(pki("localhost.key")), path[600];
    char *text = (char *)malloc(3 * (strlen(ca) + strlen(key)) + 200), *next;
    size_t size = 0, i;

    (void)state;
    if (text == NULL)
        fail_msg("out of memory");
    memset(&trust, 0, sizeof trust);
    assert_int_equal(unsb_mbedtls_load_pem(&trust, scratch("missing")), UNSB_E_TRUST);
    assert_int_equal(trust.error, ENOENT);
    (void)setenv("SSL_CERT_FILE", scratch("missing"), 1);
    assert_int_equal(unsb_mbedtls_load_pem(&trust, NULL), UNSB_E_TRUST);
    assert_int_equal(trust.error, ENOENT);
    assert_int_equal(unsb_mbedtls_load_pem(&trust, scratch(".")), UNSB_E_TRUST);
    assert_int_equal(trust.error, EISDIR);
    write_file(scratch("empty"), "", 0);
    assert_int_equal(unsb_mbedtls_load_pem(&trust, scratch("empty")), UNSB_E_TRUST);
    assert_int_equal(trust.error, 0);
    assert_int_equal(unsb_mbedtls_add_pem(&trust, "", 0), UNSB_E_TRUST);
    assert_int_equal(unsb_mbedtls_add_pem(&trust, "\0\xff garbage\n", 11), UNSB_E_TRUST);
    /* not a certificate; DER is not asked for, and would be taken for one without PEM */
    assert_int_equal(unsb_mbedtls_add_pem(&trust, key, strlen(key)), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 0);
    /* cut in the middle; with a character that base64 does not have; and no certificate in it */
    assert_int_equal(unsb_mbedtls_add_pem(&trust, ca, strlen(ca) / 2), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 1);
    (void)strcpy(text, ca);
    text[strlen(ca) / 2] = '!';
    assert_int_equal(unsb_mbedtls_add_pem(&trust, text, strlen(text)), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 2);
    (void)strcpy(text, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_int_equal(unsb_mbedtls_add_pem(&trust, text, strlen(text)), UNSB_E_TRUST);
    assert_int_equal(trust.skipped, 3);
    assert_int_equal(trust.count, 0);
    assert_int_equal(trust.error, 0);

    /* text around it, a key and a bad one among them, no last line end; what was there stays */
    next = text + strlen(text);
    (void)sprintf(next, "# a bundle\n%s\n%s%s", key, ca, ca);
    text[strlen(text) - 1] = '\0';
    assert_int_equal(unsb_mbedtls_add_pem(&trust, text, strlen(text)), UNSB_OK);
    assert_int_equal(trust.count, 2);
    assert_int_equal(trust.skipped, 4);
    /* RFC 7468 section 3: lines end in CR LF as well as in LF */
    for (i = 0; ca[i] != '\0'; i++) {
        if (ca[i] == '\n')
            text[size++] = '\r';
        text[size++] = ca[i];
    }
    assert_int_equal(unsb_mbedtls_add_pem(&trust, text, size), UNSB_OK);
    assert_int_equal(trust.count, 3);
    (void)snprintf(path, sizeof path, "%s", pki("ca.pem"));
    (void)setenv("SSL_CERT_FILE", path, 1);
    assert_int_equal(unsb_mbedtls_load_pem(&trust, NULL), UNSB_OK);
    assert_int_equal(trust.count, 4);
    assert_int_equal(unsb_mbedtls_load_pem(&trust, scratch("missing")), UNSB_E_TRUST);
    assert_int_equal(trust.count, 4);
    (void)unsetenv("SSL_CERT_FILE");
    unsb_mbedtls_free_trust(&trust);
    assert_true(is_zero(&trust, sizeof trust));
    unsb_mbedtls_free_trust(&trust);
    free(ca);
    free(key);
    free(text);
}

/* The system's bundle: none of it has signed the local service's certificate. Then that one's
 * authority, as the last of many. */
static void many_anchors(void **state)
{
    unsb_mbedtls_trust trust;

    (void)state;
    memset(&trust, 0, sizeof trust);
    (void)unsetenv("SSL_CERT_FILE");
    if (unsb_mbedtls_load_pem(&trust, NULL) != UNSB_OK && trust.error == ENOENT) {
        print_message("# skipped: this system has no bundle of certificates\n");
        skip();
    }
    assert_int_equal(trust.error, 0);
    assert_true(trust.count >= 20);
    figures("the system's bundle has %u anchors, and %u that cannot be used", (unsigned)trust.count,
            (unsigned)trust.skipped);
    begin("localhost", sandbox.port, false);
    port.config.anchors = &trust.anchors;
    begun();
    expect("the system's bundle", get(), BAD, NOT_TRUSTED);
    rig_close(&g);
    assert_int_equal(unsb_mbedtls_load_pem(&trust, pki("ca.pem")), UNSB_OK);
    begin("localhost", sandbox.port, true);
    port.config.anchors = &trust.anchors;
    begun();
    expect("one more", get(), UNSB_OK, 0);
    rig_close(&g);
    unsb_mbedtls_free_trust(&trust);
}
