/* What the BearSSL port has of its own: record buffers, DER. What every TLS port must do is in
 * tls_suite.h, PEM in test_pem.c. */
#include "suite.h"

#include "service.h"

/* ======================================================================
 * >>helpers
 * ====================================================================== */

static rig g;
static service secure; /* sandboxd */
static unsb_result result;
static char out_memory[70000];
static void begin(bool nonblocking)
{
    rig_close(&g);
    rig_prepare(&g, true, nonblocking, secure.port);
}

static void begun(void)
{
    rig_open(&g);
    memset(&result, 0, sizeof result);
    result.out = unsb_into(out_memory, sizeof out_memory);
}

static int get(void)
{
    return rig_end(&g, unsb_languages(&g.client, &result));
}

static void expect(int rc, int want, int error)
{
    if (rc != want || g.tls.error != error)
        fail_msg("%s: %d (%s), BearSSL %d, errno %d instead of %d, BearSSL %d", g.config.host, rc,
                 unsb_error_text(rc), g.tls.error, g.tcp.error, want, error);
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&g);
    unsb_bearssl_wipe(&g.tls);
    peers_stop();
    return 0;
}

/* ======================================================================
 * >>configuration
 * ====================================================================== */

static void wrong_configurations(void **state)
{
    unsigned which;

    (void)state;
    for (which = 0; which < 3; which++) {
        begin(false);
        if (which == 0)
            g.secure.buffer_size = UNSB_BEARSSL_BUFFER_MIN - 1;
        if (which == 1)
            g.secure.buffer = NULL;
        begun();
        if (which == 2)
            g.tls.config.inner.vtable = NULL;
        if (which < 2)
            expect(get(), UNSB_E_BEARSSL_BUFFER, UNSB_E_BEARSSL_BUFFER);
        else
            expect(get(), UNSB_E_BEARSSL_CONFIG, UNSB_E_BEARSSL_CONFIG);
        assert_non_null(strstr(unsb_bearssl_error_text(&g.tls), which < 2 ? "buffer" : "inner"));
        assert_int_equal(g.inside.attempts, 0);
        if (which == 2)
            g.tls.config.inner = g.secure.inner;
    }
}

/* Larger than most record buffers, in both directions. */
static void record_buffers(void **state)
{
    static const size_t sizes[] = {
        UNSB_BEARSSL_BUFFER_MIN, 1349, 2373, 4421, BR_SSL_BUFSIZE_MONO, BR_SSL_BUFSIZE_BIDI - 1,
        BR_SSL_BUFSIZE_BIDI};
    static char code[40000];
    unsb_program program;
    size_t i;

    (void)state;
    memset(&program, 0, sizeof program);
    memset(code, '#', sizeof code - 1);
    memcpy(code, "print('0123456789' * 5000)\n", 27);
    program.language = "python";
    program.code = unsb_text(code);
    for (i = 0; i < COUNT(sizes) * 2; i++) {
        begin(i % 2 != 0);
        g.secure.buffer_size = sizes[i / 2];
        begun();
        expect(rig_end(&g, unsb_execute(&g.client, &program, &result)), UNSB_OK, 0);
        assert_int_equal(result.out.size, 50001);
        assert_int_equal(strspn(out_memory, "0123456789"), 50000);
        rig_close(&g);
    }
}

/* ======================================================================
 * >>anchors
 * ====================================================================== */

/* The same certificate without its base64 makes the same anchor. */
static void der_certificates(void **state)
{
    const char *argv[] = {"openssl", "x509", "-in", NULL, "-outform", "DER", "-out", NULL, NULL};
    unsb_bearssl_trust trust;
    char *ca = read_text(pki("ca.pem"));
    unsigned char der[2048];
    size_t size;
    FILE *file;

    (void)state;
    argv[3] = pki("ca.pem");
    argv[7] = scratch("ca.der");
    assert_int_equal(run(argv, -1), 0);
    file = fopen(scratch("ca.der"), "rb");
    assert_non_null(file);
    size = fread(der, 1, sizeof der - 1, file);
    (void)fclose(file);
    der[size] = 0;

    memset(&trust, 0, sizeof trust);
    assert_int_equal(unsb_bearssl_add_der(&trust, der, 0), UNSB_E_TRUST);
    assert_int_equal(unsb_bearssl_add_der(&trust, der, size - 1), UNSB_E_TRUST);
    assert_int_equal(unsb_bearssl_add_der(&trust, der, size + 1), UNSB_E_TRUST);
    assert_int_equal(unsb_bearssl_add_der(&trust, der + 1, size - 1), UNSB_E_TRUST);
    assert_int_equal(trust.error, 0);
    assert_int_equal(trust.count, 0);
    assert_int_equal(trust.skipped, 4);
    assert_int_equal(unsb_bearssl_add_der(&trust, der, size), UNSB_OK);
    assert_int_equal(unsb_bearssl_add_pem(&trust, ca, strlen(ca)), UNSB_OK);
    assert_int_equal(unsb_bearssl_add_der(&trust, der, size / 2), UNSB_E_TRUST);
    assert_int_equal(trust.count, 2);
    assert_int_equal(trust.anchors[0].flags, BR_X509_TA_CA);
    assert_int_equal(trust.anchors[0].dn.len, trust.anchors[1].dn.len);
    assert_memory_equal(trust.anchors[0].dn.data, trust.anchors[1].dn.data,
                        trust.anchors[0].dn.len);
    assert_int_equal(trust.anchors[0].pkey.key.ec.qlen, trust.anchors[1].pkey.key.ec.qlen);
    assert_memory_equal(trust.anchors[0].pkey.key.ec.q, trust.anchors[1].pkey.key.ec.q,
                        trust.anchors[0].pkey.key.ec.qlen);
    unsb_bearssl_free_trust(&trust);
    free(ca);
}

static void many_anchors(void **state)
{
    unsb_bearssl_trust trust;
    char *ca = read_text(pki("ca.pem"));
    size_t i;

    (void)state;
    memset(&trust, 0, sizeof trust);
    for (i = 0; i < 41; i++)
        assert_int_equal(unsb_bearssl_add_pem(&trust, ca, strlen(ca)), UNSB_OK);
    assert_int_equal(trust.count, 41);
    assert_int_equal(trust.skipped, 0);
    for (i = 0; i < 41; i++) {
        assert_int_equal(trust.anchors[i].flags, BR_X509_TA_CA);
        assert_int_equal(trust.anchors[i].dn.len, trust.anchors[0].dn.len);
        assert_memory_equal(trust.anchors[i].dn.data, trust.anchors[0].dn.data,
                            trust.anchors[0].dn.len);
        assert_int_equal(trust.anchors[i].pkey.key_type, BR_KEYTYPE_EC);
        assert_int_equal(trust.anchors[i].pkey.key.ec.curve, BR_EC_secp256r1);
        assert_memory_equal(trust.anchors[i].pkey.key.ec.q, trust.anchors[0].pkey.key.ec.q,
                            trust.anchors[0].pkey.key.ec.qlen);
    }
    /* anchors from memory serve as well as those from a file */
    begin(false);
    g.secure.anchors = trust.anchors;
    g.secure.anchor_count = trust.count;
    begun();
    expect(get(), UNSB_OK, 0);
    rig_close(&g);
    unsb_bearssl_free_trust(&trust);
    free(ca);
}

static void system_bundle(void **state)
{
    unsb_bearssl_trust trust;

    (void)state;
    memset(&trust, 0, sizeof trust);
    (void)unsetenv("SSL_CERT_FILE");
    if (unsb_bearssl_load_pem(&trust, NULL) != UNSB_OK && trust.error == ENOENT) {
        print_message("# skipped: this system has no bundle of certificates\n");
        skip();
    }
    assert_int_equal(trust.error, 0);
    assert_true(trust.count >= 20);
    figures("the system's bundle has %u anchors, and %u that cannot be used", (unsigned)trust.count,
            (unsigned)trust.skipped);
    /* none of them has signed the local service's certificate */
    begin(false);
    g.secure.anchors = trust.anchors;
    g.secure.anchor_count = trust.count;
    begun();
    expect(get(), UNSB_E_CERTIFICATE, BR_ERR_X509_NOT_TRUSTED);
    rig_close(&g);
    unsb_bearssl_free_trust(&trust);
}

/* ======================================================================
 * >>main
 * ====================================================================== */

static int start(void **state)
{
    (void)state;
    service_start(&secure, 1, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    service_stop(&secure);
    return 0;
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_configurations), TEST(record_buffers), TEST(der_certificates),
        TEST(many_anchors),         TEST(system_bundle)};

    return cmocka_run_group_tests_name("bearssl", tests, start, stop);
}
