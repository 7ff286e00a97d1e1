/* The generated headers: ports/unsandbox_roots.h against the system's own bundle, each root's
 * signature over itself by both libraries, and handshakes under authorities of every kind of key,
 * whose header roots.sh has just made. */
#include "suite.h"
#include "unsandbox_mbedtls.h"
#include "service.h"

#include <mbedtls/md.h>

#include "unsandbox_roots.h"
#include "test_roots.h"

#define BUNDLE "/etc/ssl/certs/ca-certificates.crt"
/* 2026-11-23, for BearSSL: the outcome must not depend on the day */
#define DAYS (719528u + 20780u)

/* Authorities, and after them in the header: a server's certificate by the first one, and one that
 * signed itself. */
static const char *const kinds[] = {"p256", "p384", "p521", "rsa"};
enum { SELF = 4, SERVICES, LEAF = 4, SELF_LEAF };

static const char *made(const char *kind, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    const char *folder = getenv("UNSB_TEST_ROOTS");

    assert_non_null(folder);
    (void)snprintf(path, sizeof paths[0], "%s/%s/%s", folder, kind, name);
    return path;
}

/* ======================================================================
 * >>anchors
 * ====================================================================== */

static bool same_bytes(const void *a, size_t a_size, const void *b, size_t b_size)
{
    return a_size == b_size && memcmp(a, b, a_size) == 0;
}

static bool same_anchor(const br_x509_trust_anchor *a, const br_x509_trust_anchor *b)
{
    if (a->flags != b->flags || a->pkey.key_type != b->pkey.key_type ||
        !same_bytes(a->dn.data, a->dn.len, b->dn.data, b->dn.len))
        return false;
    if (a->pkey.key_type == BR_KEYTYPE_EC)
        return a->pkey.key.ec.curve == b->pkey.key.ec.curve &&
               same_bytes(a->pkey.key.ec.q, a->pkey.key.ec.qlen, b->pkey.key.ec.q,
                          b->pkey.key.ec.qlen);
    return same_bytes(a->pkey.key.rsa.n, a->pkey.key.rsa.nlen, b->pkey.key.rsa.n,
                      b->pkey.key.rsa.nlen) &&
           same_bytes(a->pkey.key.rsa.e, a->pkey.key.rsa.elen, b->pkey.key.rsa.e,
                      b->pkey.key.rsa.elen);
}

/* BearSSL's own decoder, which unsandbox_bearssl_pem.h uses, reads the same from the same PEM. */
static void anchors_are_those_of_the_pem(void **state)
{
    unsb_bearssl_trust trust;
    size_t i;

    (void)state;
    memset(&trust, 0, sizeof trust);
    for (i = 0; i < COUNT(kinds); i++)
        assert_int_equal(unsb_bearssl_load_pem(&trust, made(kinds[i], "ca.pem")), UNSB_OK);
    assert_int_equal(unsb_bearssl_load_pem(&trust, made("p256", "localhost.pem")), UNSB_OK);
    assert_int_equal(unsb_bearssl_load_pem(&trust, made("self", "localhost.pem")), UNSB_OK);
    assert_int_equal(trust.count, TEST_ROOTS_COUNT);
    assert_int_equal(trust.count, COUNT(kinds) + 2);
    for (i = 0; i < trust.count; i++)
        assert_true(same_anchor(&trust.anchors[i], &test_roots[i]));
    assert_int_equal(test_roots[LEAF].flags, 0);
    assert_int_equal(test_roots[SELF_LEAF].flags, 0);
    unsb_bearssl_free_trust(&trust);
}

static void public_anchors_are_in_the_bundle(void **state)
{
    unsb_bearssl_trust trust;
    size_t i, j, missing = 0;

    (void)state;
    memset(&trust, 0, sizeof trust);
    if (access(BUNDLE, R_OK) != 0) {
        print_message("no %s\n", BUNDLE);
        skip();
    }
    assert_int_equal(unsb_bearssl_load_pem(&trust, BUNDLE), UNSB_OK);
    for (i = 0; i < UNSB_ROOTS_COUNT; i++) {
        for (j = 0; j < trust.count && !same_anchor(&trust.anchors[j], &unsb_roots[i]); j++)
            continue;
        missing += j == trust.count;
    }
    unsb_bearssl_free_trust(&trust);
    /* another version may lack some; regenerate.py names them */
    assert_true(missing < UNSB_ROOTS_COUNT / 2);
    figures("public roots: %u, of which the system's bundle has %u", (unsigned)UNSB_ROOTS_COUNT,
            (unsigned)(UNSB_ROOTS_COUNT - missing));
}

/* ======================================================================
 * >>signatures
 * ====================================================================== */

static unsigned bearssl_verdict(const unsigned char *der, size_t size)
{
    br_x509_minimal_context minimal;
    const br_x509_class **x509 = &minimal.vtable;

    br_x509_minimal_init_full(&minimal, unsb_roots, UNSB_ROOTS_COUNT);
    br_x509_minimal_set_time(&minimal, DAYS, 0);
    (*x509)->start_chain(x509, NULL);
    (*x509)->start_cert(x509, (uint32_t)size);
    (*x509)->append(x509, der, size);
    (*x509)->end_cert(x509);
    return (*x509)->end_chain(x509);
}

/* The root is shown as a server's certificate that the anchor of that name must have signed. */
static void bearssl_verifies_each(void **state)
{
    unsigned char der[2048];
    size_t i;

    (void)state;
    assert_int_equal(COUNT(unsb_roots), COUNT(unsb_roots_der));
    for (i = 0; i < UNSB_ROOTS_COUNT; i++) {
        size_t size = unsb_roots_der[i].size;
        assert_true(size <= sizeof der);
        memcpy(der, unsb_roots_der[i].data, size);
        assert_int_equal(bearssl_verdict(der, size), 0);
        der[size - 1] ^= 1;
        assert_int_not_equal(bearssl_verdict(der, size), 0);
    }
}

static int mbedtls_verdict(const mbedtls_x509_crt *root, const unsigned char *signature)
{
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(root->sig_md);
    mbedtls_pk_context *key = (mbedtls_pk_context *)(uintptr_t)&root->pk;
    unsigned char hash[MBEDTLS_MD_MAX_SIZE];

    assert_non_null(md);
    assert_int_equal(mbedtls_md(md, root->tbs.p, root->tbs.len, hash), 0);
    return mbedtls_pk_verify_ext(root->sig_pk, root->sig_opts, key, root->sig_md, hash,
                                 mbedtls_md_get_size(md), signature, root->sig.len);
}

static void mbedtls_verifies_each(void **state)
{
    unsigned char signature[512];
    const mbedtls_x509_crt *root;
    mbedtls_x509_crt chain;
    size_t i = 0;

    (void)state;
    mbedtls_x509_crt_init(&chain);
    assert_int_equal(unsb_roots_mbedtls(&chain), 0);
    for (root = &chain; root != NULL; root = root->next, i++) {
        /* not copied to the heap */
        assert_ptr_equal(root->raw.p, unsb_roots_der[i].data);
        assert_int_equal(root->raw.len, unsb_roots_der[i].size);
        assert_true(root->ca_istrue);
        assert_true(root->sig.len <= sizeof signature);
        memcpy(signature, root->sig.p, root->sig.len);
        assert_int_equal(mbedtls_verdict(root, signature), 0);
        signature[root->sig.len - 1] ^= 1;
        assert_int_not_equal(mbedtls_verdict(root, signature), 0);
    }
    assert_int_equal(i, UNSB_ROOTS_COUNT);
    mbedtls_x509_crt_free(&chain);
}

/* Both forms hold the same names and keys. */
static void forms_agree(void **state)
{
    mbedtls_x509_crt chain;
    const mbedtls_x509_crt *root = &chain;
    size_t i;

    (void)state;
    mbedtls_x509_crt_init(&chain);
    assert_int_equal(unsb_roots_mbedtls(&chain), 0);
    for (i = 0; i < UNSB_ROOTS_COUNT; i++, root = root->next) {
        const br_x509_trust_anchor *a = &unsb_roots[i];
        const bool rsa = a->pkey.key_type == BR_KEYTYPE_RSA;
        const unsigned char *key = rsa ? a->pkey.key.rsa.n : a->pkey.key.ec.q;
        size_t size = rsa ? a->pkey.key.rsa.nlen : a->pkey.key.ec.qlen;
        assert_true(same_bytes(a->dn.data, a->dn.len, root->subject_raw.p, root->subject_raw.len));
        assert_int_equal(size * 8, rsa ? mbedtls_pk_get_bitlen(&root->pk) : size * 8);
        assert_non_null(memmem(root->pk_raw.p, root->pk_raw.len, key, size));
    }
    mbedtls_x509_crt_free(&chain);
}

/* ======================================================================
 * >>handshakes
 * ====================================================================== */

static service services[SERVICES];
static rig g;

static int start_services(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < SERVICES; i++) {
        const char *kind = i == SELF ? "self" : kinds[i];
        const char *argv[] = {"python3",
                              "-B",
                              "sandboxd/sandboxd.py",
                              "--port",
                              "0",
                              "--quiet",
                              "--exit-with-parent",
                              "--tls",
                              made(kind, "localhost.pem"),
                              made(kind, "localhost.key"),
                              NULL};
        service_start_python(&services[i], argv);
    }
    return 0;
}

static int stop_services(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < SERVICES; i++)
        service_stop(&services[i]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&g);
    return 0;
}

static int ask_languages(void)
{
    unsb_result result;

    memset(&result, 0, sizeof result);
    return unsb_languages(&g.client, &result);
}

static void bearssl_handshakes(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(kinds); i++) {
        rig_close(&g);
        rig_prepare(&g, true, false, services[i].port);
        g.secure.anchors = test_roots;
        g.secure.anchor_count = COUNT(kinds);
        rig_open(&g);
        assert_int_equal(ask_languages(), UNSB_OK);

        rig_close(&g);
        rig_prepare(&g, true, false, services[i].port);
        g.secure.anchors = unsb_roots;
        g.secure.anchor_count = UNSB_ROOTS_COUNT;
        rig_open(&g);
        assert_int_equal(ask_languages(), UNSB_E_CERTIFICATE);
        assert_int_equal(g.tls.error, BR_ERR_X509_NOT_TRUSTED);
    }
}

static void mbedtls_handshakes(void **state)
{
    mbedtls_x509_crt ours, others;
    size_t i;

    (void)state;
    mbedtls_x509_crt_init(&ours);
    mbedtls_x509_crt_init(&others);
    assert_int_equal(test_roots_mbedtls(&ours), 0);
    assert_int_equal(unsb_roots_mbedtls(&others), 0);
    for (i = 0; i < COUNT(kinds); i++) {
        rig_close(&g);
        rig_prepare(&g, ON_MBEDTLS, false, services[i].port);
        g.mbedtls_secure.anchors = &ours;
        rig_open(&g);
        assert_int_equal(ask_languages(), UNSB_OK);

        rig_close(&g);
        rig_prepare(&g, ON_MBEDTLS, false, services[i].port);
        g.mbedtls_secure.anchors = &others;
        rig_open(&g);
        assert_int_equal(ask_languages(), UNSB_E_CERTIFICATE);
        assert_int_equal(g.mbedtls.error, MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    }
    rig_close(&g);
    mbedtls_x509_crt_free(&ours);
    mbedtls_x509_crt_free(&others);
}

/* --allow-leaf: trusted for a server with just this certificate's name and key. Mbed TLS does so
 * only where it signed itself. */
static void handshakes_with_a_leaf(void **state)
{
    static const struct {
        unsigned leaf, server;
        int bearssl, mbedtls;
    } cases[] = {{LEAF, 0, UNSB_OK, UNSB_E_CERTIFICATE},
                 {LEAF, 1, UNSB_E_CERTIFICATE, UNSB_E_CERTIFICATE},
                 {LEAF, SELF, UNSB_E_CERTIFICATE, UNSB_E_CERTIFICATE},
                 {SELF_LEAF, SELF, UNSB_OK, UNSB_OK},
                 {SELF_LEAF, 0, UNSB_E_CERTIFICATE, UNSB_E_CERTIFICATE}};
    mbedtls_x509_crt leaf;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        const struct test_roots_der *der = &test_roots_der[cases[i].leaf];
        rig_close(&g);
        rig_prepare(&g, ON_BEARSSL, false, services[cases[i].server].port);
        g.secure.anchors = &test_roots[cases[i].leaf];
        g.secure.anchor_count = 1;
        rig_open(&g);
        assert_int_equal(ask_languages(), cases[i].bearssl);

        mbedtls_x509_crt_init(&leaf);
        assert_int_equal(mbedtls_x509_crt_parse_der_nocopy(&leaf, der->data, der->size), 0);
        rig_close(&g);
        rig_prepare(&g, ON_MBEDTLS, false, services[cases[i].server].port);
        g.mbedtls_secure.anchors = &leaf;
        rig_open(&g);
        assert_int_equal(ask_languages(), cases[i].mbedtls);
        rig_close(&g);
        mbedtls_x509_crt_free(&leaf);
    }
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(anchors_are_those_of_the_pem),
        cmocka_unit_test(public_anchors_are_in_the_bundle),
        cmocka_unit_test(bearssl_verifies_each),
        cmocka_unit_test(mbedtls_verifies_each),
        cmocka_unit_test(forms_agree),
        cmocka_unit_test_teardown(bearssl_handshakes, tear_down),
        cmocka_unit_test_teardown(mbedtls_handshakes, tear_down),
        cmocka_unit_test_teardown(handshakes_with_a_leaf, tear_down),
    };

    return cmocka_run_group_tests_name("roots", list, start_services, stop_services);
}
