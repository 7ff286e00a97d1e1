/* Trusted certificates from PEM files and texts, alike for each TLS library; and where the system
 * refuses memory or files. What was added before stays in any case. */
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/pem.h>

/* ======================================================================
 * >>faults  What the ports call in place of the C library and of theirs
 * ====================================================================== */

enum { NONE, MEMORY, OPEN, READ, STORE, BUFFER, ADD, PATH, PARSE, PARSE_PEM };

static struct {
    int call;
    unsigned after;
    int error;
    unsigned hits;
} fault;

static int live_blocks;

static bool fails(int call)
{
    if (fault.call != call)
        return false;
    if (fault.after != 0) {
        fault.after--;
        return false;
    }
    fault.hits++;
    errno = fault.error;
    return true;
}

static void fail_at(int call, unsigned after, int error)
{
    fault.call = call;
    fault.after = after;
    fault.error = error;
    fault.hits = 0;
}

static void *seen_malloc(size_t size)
{
    void *block = fails(MEMORY) ? NULL : malloc(size);

    live_blocks += block != NULL;
    return block;
}

static void *seen_realloc(void *old, size_t size)
{
    void *block = fails(MEMORY) ? NULL : realloc(old, size);

    live_blocks += old == NULL && block != NULL;
    return block;
}

static void seen_free(void *block)
{
    live_blocks -= block != NULL;
    free(block);
}

static char asked[16][100]; /* the files that were looked for */
static size_t asked_count;
static const char *present; /* where the system has its bundle, NULL: where it has */

static FILE *seen_fopen(const char *path, const char *mode)
{
    if (asked_count < COUNT(asked))
        (void)snprintf(asked[asked_count], sizeof asked[0], "%s", path);
    asked_count++;
    if (fails(OPEN))
        return NULL;
    if (present != NULL && strcmp(path, present) != 0) {
        errno = ENOENT;
        return NULL;
    }
    return fopen(path, mode);
}

static bool read_failed, broken; /* the latter: whatever is read */

static size_t seen_fread(void *data, size_t size, size_t count, FILE *file)
{
    read_failed = fails(READ);
    return read_failed ? 0 : fread(data, size, count, file);
}

static int seen_ferror(FILE *file)
{
    return read_failed || broken ? 1 : ferror(file);
}

static time_t the_time; /* 0: it is what it is */

static time_t seen_time(time_t *to)
{
    return the_time != 0 ? the_time : time(to);
}

static X509_STORE *seen_store(void)
{
    return fails(STORE) ? NULL : X509_STORE_new();
}

static BIO *seen_bio(const void *data, int size)
{
    return fails(BUFFER) ? NULL : BIO_new_mem_buf(data, size);
}

static int seen_add(X509_STORE *store, X509 *certificate)
{
    return fails(ADD) ? 0 : X509_STORE_add_cert(store, certificate);
}

static int seen_path(X509_STORE *store, const char *path)
{
    return fails(PATH) ? 0 : X509_STORE_load_path(store, path);
}

/* Memory that runs out within OpenSSL's reader; and another fault there, that is none of PEM's. */
static int seen_pem(BIO *bio, char **name, char **header, unsigned char **data, long *size)
{
    if (fails(PARSE)) {
        ERR_raise(ERR_LIB_PEM, ERR_R_MALLOC_FAILURE);
        return 0;
    }
    if (fails(PARSE_PEM)) {
        ERR_raise(ERR_LIB_BIO, BIO_R_UNSUPPORTED_METHOD);
        return 0;
    }
    return PEM_read_bio(bio, name, header, data, size);
}

static int seen_parse(mbedtls_x509_crt *chain, const unsigned char *text, size_t size)
{
    if (fails(PARSE))
        return MBEDTLS_ERR_X509_ALLOC_FAILED + MBEDTLS_ERR_PEM_INVALID_DATA % 0x80;
    if (fails(PARSE_PEM))
        return MBEDTLS_ERR_PEM_ALLOC_FAILED;
    return mbedtls_x509_crt_parse(chain, text, size);
}

#define malloc(size) seen_malloc(size)
#define realloc(old, size) seen_realloc(old, size)
#define free(block) seen_free(block)
#define fopen(path, mode) seen_fopen(path, mode)
#define fread(data, size, count, file) seen_fread(data, size, count, file)
#undef ferror
#define ferror(file) seen_ferror(file)
#define X509_STORE_new() seen_store()
#undef BIO_new_mem_buf
#define BIO_new_mem_buf(data, size) seen_bio(data, size)
#define X509_STORE_add_cert(store, certificate) seen_add(store, certificate)
#define X509_STORE_load_path(store, path) seen_path(store, path)
#define PEM_read_bio(bio, name, header, data, size) seen_pem(bio, name, header, data, size)
#define mbedtls_x509_crt_parse(chain, text, size) seen_parse(chain, text, size)
#include "unsandbox_bearssl.h"
#define time(to) seen_time(to)
#include "unsandbox_bearssl_pem.h"
#undef time
#include "unsandbox_mbedtls.h"
#include "unsandbox_mbedtls_pem.h"
#include "unsandbox_openssl.h"
#undef malloc
#undef realloc
#undef free
#undef fopen
#undef fread
#undef ferror
#include "service.h"

/* ======================================================================
 * >>libraries
 * ====================================================================== */

#define LIBRARY(lib)                                                                               \
    static unsb_##lib##_trust lib##_trust;                                                         \
    static int lib##_load(const char *path) { return unsb_##lib##_load_pem(&lib##_trust, path); }  \
    static int lib##_add(const void *pem, size_t size)                                             \
    {                                                                                              \
        return unsb_##lib##_add_pem(&lib##_trust, pem, size);                                      \
    }                                                                                              \
    static void lib##_release(void)                                                                \
    {                                                                                              \
        unsb_##lib##_free_trust(&lib##_trust);                                                     \
        assert_true(is_zero(&lib##_trust, sizeof lib##_trust));                                    \
    }

LIBRARY(bearssl)
LIBRARY(mbedtls)
LIBRARY(openssl)

static const struct library {
    const char *name;
    int (*load)(const char *path);
    int (*add)(const void *pem, size_t size);
    void (*release)(void);
    size_t *count, *skipped;
    int *error;
    bool skips_keys; /* counts blocks of other kinds among those that it cannot use */
} libraries[] = {{"BearSSL", bearssl_load, bearssl_add, bearssl_release, &bearssl_trust.count,
                  &bearssl_trust.skipped, &bearssl_trust.error, true},
                 {"Mbed TLS", mbedtls_load, mbedtls_add, mbedtls_release, &mbedtls_trust.count,
                  &mbedtls_trust.skipped, &mbedtls_trust.error, false},
                 {"OpenSSL", openssl_load, openssl_add, openssl_release, &openssl_trust.count,
                  &openssl_trust.skipped, &openssl_trust.error, false}};

static char *ca, *key, ca_path[600];

#define EACH(lib)                                                                                  \
    const struct library *lib = libraries;                                                         \
    lib < libraries + COUNT(libraries);                                                            \
    lib++

/* ======================================================================
 * >>texts
 * ====================================================================== */

static void files(void **state)
{
    (void)state;
    write_file(scratch("empty"), "", 0);
    for (EACH(lib)) {
        (void)setenv("SSL_CERT_FILE", ca_path, 1);
        assert_int_equal(lib->load(scratch("missing")), UNSB_E_TRUST);
        assert_int_equal(*lib->error, ENOENT);
        (void)setenv("SSL_CERT_FILE", scratch("missing"), 1);
        assert_int_equal(lib->load(NULL), UNSB_E_TRUST); /* and no other is taken */
        assert_int_equal(*lib->error, ENOENT);
        assert_int_equal(lib->load(scratch(".")), UNSB_E_TRUST);
        assert_int_equal(*lib->error, EISDIR);
        assert_int_equal(lib->load(scratch("empty")), UNSB_E_TRUST);
        assert_int_equal(*lib->error, 0);
        assert_int_equal(*lib->count, 0);
        (void)setenv("SSL_CERT_FILE", ca_path, 1);
        assert_int_equal(lib->load(NULL), UNSB_OK);
        assert_int_equal(*lib->count, 1);
        assert_int_equal(lib->load(scratch("missing")), UNSB_E_TRUST);
        assert_int_equal(*lib->count, 1);
        (void)unsetenv("SSL_CERT_FILE");
        lib->release();
        lib->release();
    }
}

static void texts(void **state)
{
    char *text = (char *)malloc(3 * (strlen(ca) + strlen(key)) + 400), *next;
    size_t size, i, skipped;

    (void)state;
    if (text == NULL)
        fail_msg("out of memory");
    for (EACH(lib)) {
        assert_int_equal(lib->add("", 0), UNSB_E_TRUST);
        assert_int_equal(lib->add("\0\xff garbage\n", 11), UNSB_E_TRUST);
        assert_int_equal(*lib->skipped, 0);
        /* not a certificate */
        assert_int_equal(lib->add(key, strlen(key)), UNSB_E_TRUST);
        skipped = lib->skips_keys;
        assert_int_equal(*lib->skipped, skipped);
        /* cut in the middle, also of a line; with a character that base64 does not have; and no
         * certificate in it */
        assert_int_equal(lib->add(ca, strlen(ca) / 2), UNSB_E_TRUST);
        assert_int_equal(*lib->skipped, ++skipped);
        assert_int_equal(lib->add(ca, (size_t)(strchr(ca + 200, '\n') + 1 - ca)), UNSB_E_TRUST);
        assert_int_equal(*lib->skipped, ++skipped);
        (void)strcpy(text, ca);
        text[strlen(ca) / 2] = '!';
        assert_int_equal(lib->add(text, strlen(text)), UNSB_E_TRUST);
        assert_int_equal(*lib->skipped, ++skipped);
        (void)strcpy(text, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert_int_equal(lib->add(text, strlen(text)), UNSB_E_TRUST);
        assert_int_equal(*lib->skipped, ++skipped);
        assert_int_equal(*lib->count, 0);
        assert_int_equal(*lib->error, 0);

        /* text around it, a key and a bad one among them, no last line end; what was there stays */
        next = text + strlen(text);
        (void)sprintf(next, "# a bundle\n%s\n%s%s", key, ca, ca);
        text[strlen(text) - 1] = '\0';
        assert_int_equal(lib->add(text, strlen(text)), UNSB_OK);
        assert_int_equal(*lib->count, 2);
        assert_int_equal(*lib->skipped, skipped + 1 + lib->skips_keys);
        /* RFC 7468 section 3: lines end in CR LF as well as in LF */
        for (i = size = 0; ca[i] != '\0'; i++) {
            if (ca[i] == '\n')
                text[size++] = '\r';
            text[size++] = ca[i];
        }
        assert_int_equal(lib->add(text, size), UNSB_OK);
        assert_int_equal(*lib->count, 3);
        lib->release();
    }
    free(text);
}

/* The older label, which OpenSSL's and BearSSL's readers know. */
static void old_label(void **state)
{
    char *text = (char *)malloc(strlen(ca) + 100), *end;

    (void)state;
    if (text == NULL)
        fail_msg("out of memory");
    (void)strcpy(text, "-----BEGIN X509 CERTIFICATE-----");
    (void)strcat(text, strchr(ca, '\n'));
    end = strstr(text, "-----END");
    assert_non_null(end);
    (void)strcpy(end, "-----END X509 CERTIFICATE-----\n");
    assert_int_equal(bearssl_add(text, strlen(text)), UNSB_OK);
    assert_int_equal(openssl_add(text, strlen(text)), UNSB_OK);
    bearssl_release();
    openssl_release();
    free(text);
}

/* ======================================================================
 * >>places  Where systems keep theirs
 * ====================================================================== */

static void places(void **state)
{
    char first[16][100];
    size_t count = 0, i;

    (void)state;
    (void)unsetenv("SSL_CERT_FILE");
    (void)unsetenv("SSL_CERT_DIR");
    for (EACH(lib)) {
        bool own = lib == &libraries[2]; /* OpenSSL's own place comes first */

        (void)setenv("SSL_CERT_FILE", "", 1); /* as if it were not set */
        present = "/nowhere";
        asked_count = 0;
        assert_int_equal(lib->load(NULL), UNSB_E_TRUST);
        assert_int_equal(*lib->error, ENOENT);
        if (lib == libraries) {
            count = asked_count;
            assert_in_range(count, 5, COUNT(first) - 1);
            memcpy(first, asked, sizeof first);
        }
        assert_int_equal(asked_count, count + own);
        for (i = 0; i < count; i++)
            assert_string_equal(asked[i + own], first[i]);
        /* the first that is there is taken */
        for (i = 0; i < count; i++) {
            present = first[i];
            asked_count = 0;
            (void)lib->load(NULL); /* which this machine may not have */
            assert_true(asked_count <= i + 1 + own || *lib->error == ENOENT);
        }
        /* a system that does not say why */
        fail_at(OPEN, 0, 0);
        assert_int_equal(lib->load(ca_path), UNSB_E_TRUST);
        assert_int_equal(*lib->error, ENOENT);
        fail_at(OPEN, 0, EACCES);
        assert_int_equal(lib->load(ca_path), UNSB_E_TRUST);
        assert_int_equal(*lib->error, EACCES);
        fault.call = NONE;
        present = NULL;
        (void)unsetenv("SSL_CERT_FILE");
        lib->release();
    }
}

/* A directory of hashed names, in OpenSSL's way: an empty variable is as if it were not set. */
static void directories(void **state)
{
    (void)state;
    (void)setenv("SSL_CERT_DIR", "", 1);
    present = "/nowhere";
    assert_int_equal(openssl_load(NULL), UNSB_E_TRUST);
    assert_int_equal(openssl_trust.error, ENOENT);
    (void)setenv("SSL_CERT_DIR", scratch("."), 1);
    fail_at(STORE, 0, ENOMEM);
    assert_int_equal(openssl_load(NULL), UNSB_E_TRUST);
    assert_int_equal(openssl_trust.error, ENOMEM);
    fail_at(PATH, 0, ENOMEM);
    assert_int_equal(openssl_load(NULL), UNSB_E_TRUST);
    assert_int_equal(openssl_trust.error, ENOMEM);
    fault.call = NONE;
    assert_int_equal(openssl_load(NULL), UNSB_OK);
    assert_non_null(openssl_trust.store);
    openssl_release();
    /* with a file as well */
    present = NULL;
    (void)setenv("SSL_CERT_FILE", ca_path, 1);
    assert_int_equal(openssl_load(NULL), UNSB_OK);
    assert_int_equal(openssl_trust.count, 1);
    (void)setenv("SSL_CERT_DIR", "", 1);
    assert_int_equal(openssl_load(NULL), UNSB_OK);
    assert_int_equal(openssl_trust.count, 2);
    (void)unsetenv("SSL_CERT_FILE");
    (void)unsetenv("SSL_CERT_DIR");
    openssl_release();
}

/* ======================================================================
 * >>refused
 * ====================================================================== */

/* Each allocation of the port fails in turn, then none does. */
static void no_memory(void **state)
{
    (void)state;
    for (EACH(lib)) {
        unsigned from_file, before, failures = 0;

        assert_int_equal(lib->add(ca, strlen(ca)), UNSB_OK);
        for (from_file = 0; from_file < 2; from_file++) {
            for (before = 0;; before++) {
                int blocks = live_blocks, rc;

                fail_at(MEMORY, before, ENOMEM);
                rc = from_file != 0 ? lib->load(ca_path) : lib->add(ca, strlen(ca));
                fault.call = NONE;
                if (fault.hits == 0) {
                    assert_int_equal(rc, UNSB_OK);
                    break;
                }
                failures++;
                assert_int_equal(rc, UNSB_E_TRUST);
                assert_int_equal(*lib->error, ENOMEM);
                assert_int_equal(*lib->count, 1 + from_file);
                assert_int_equal(live_blocks, blocks);
                assert_true(before < 20);
            }
        }
        /* OpenSSL's port has memory of its own for files alone */
        assert_true(failures >= (lib == &libraries[2] ? 1u : 2u));
        lib->release();
        assert_int_equal(live_blocks, 0);
    }
}

/* The first anchors of all, and the seventeenth, which need more room. */
static void no_memory_to_grow(void **state)
{
    unsigned before;
    size_t i;

    (void)state;
    for (i = 0; i < 18; i++) {
        int blocks = live_blocks;

        for (before = 0;; before++) {
            int rc;

            fail_at(MEMORY, before, ENOMEM);
            rc = bearssl_add(ca, strlen(ca));
            if (fault.hits == 0) {
                assert_int_equal(rc, UNSB_OK);
                break;
            }
            assert_int_equal(rc, UNSB_E_TRUST);
            assert_int_equal(bearssl_trust.error, ENOMEM);
            assert_int_equal(bearssl_trust.count, i);
            assert_int_equal(live_blocks, blocks);
        }
        assert_int_equal(bearssl_trust.count, i + 1);
    }
    fault.call = NONE;
    bearssl_release();
    assert_int_equal(live_blocks, 0);
}

static void unreadable(void **state)
{
    static const int errors[] = {EIO, 0};
    size_t i;

    (void)state;
    for (EACH(lib)) {
        for (i = 0; i < 2 * COUNT(errors); i++) {
            int blocks = live_blocks;

            fail_at(READ, i / 2 == 0 ? 0 : 1, errors[i % 2]);
            assert_int_equal(lib->load(ca_path), UNSB_E_TRUST);
            fault.call = NONE;
            read_failed = false;
            assert_int_equal(*lib->error, EIO);
            assert_true(live_blocks <= blocks + 2); /* an anchor that was read before */
        }
        lib->release();
        assert_int_equal(live_blocks, 0);
    }
    /* memory that has run out before is what is told */
    broken = true;
    fail_at(MEMORY, 0, ENOMEM);
    assert_int_equal(bearssl_load(ca_path), UNSB_E_TRUST);
    assert_int_equal(bearssl_trust.error, ENOMEM);
    broken = false;
    fault.call = NONE;
    bearssl_release();
}

/* Memory that runs out within the library, and what else it may say. */
static void library_refuses(void **state)
{
    static const int calls[] = {STORE, BUFFER, ADD, PARSE};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        fail_at(i == 0 ? PARSE : PARSE_PEM, 0, 0);
        assert_int_equal(mbedtls_add(ca, strlen(ca)), UNSB_E_TRUST);
        assert_int_equal(mbedtls_trust.error, ENOMEM);
    }
    fault.call = NONE;
    assert_int_equal(mbedtls_add(ca, strlen(ca)), UNSB_OK);
    mbedtls_release();

    for (i = 0; i < COUNT(calls); i++) {
        fail_at(calls[i], 0, 0);
        assert_int_equal(openssl_add(ca, strlen(ca)), UNSB_E_TRUST);
        assert_int_equal(openssl_trust.error, calls[i] == ADD ? 0 : ENOMEM);
        fault.call = NONE;
        assert_int_equal(openssl_add(ca, strlen(ca)), UNSB_OK);
        openssl_release();
    }
    fail_at(PARSE_PEM, 0, 0); /* ends the text */
    assert_int_equal(openssl_add(ca, strlen(ca)), UNSB_E_TRUST);
    fault.call = NONE;
    assert_int_equal(openssl_trust.error, 0);
#if SIZE_MAX > INT_MAX
    assert_int_equal(openssl_add(ca, (size_t)INT_MAX + 1), UNSB_E_TRUST);
#endif
    assert_int_equal(ERR_peek_error(), 0);
    openssl_release();
}

/* Expired, by the clock that is given: on the very day, to the second. */
static void expired(void **state)
{
    struct tm end;
    X509 *certificate;
    BIO *bio = BIO_new(BIO_s_mem());
    time_t last;

    (void)state;
    assert_int_equal(BIO_puts(bio, ca), (int)strlen(ca));
    certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(certificate);
    assert_int_equal(ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end), 1);
    last = ((end.tm_year - 70) * 365 + (end.tm_year - 69) / 4 + end.tm_yday) * (time_t)86400 +
           end.tm_hour * 3600 + end.tm_min * 60 + end.tm_sec;
    bearssl_trust.now = (uint32_t)last;
    assert_int_equal(bearssl_add(ca, strlen(ca)), UNSB_OK);
    bearssl_trust.now = (uint32_t)last + 1;
    assert_int_equal(bearssl_add(ca, strlen(ca)), UNSB_E_TRUST);
    bearssl_trust.now = (uint32_t)last + 86400;
    assert_int_equal(bearssl_add(ca, strlen(ca)), UNSB_E_TRUST);
    /* by a clock that is right, and by one that was never set, which tells nothing */
    bearssl_trust.now = 0;
    the_time = last + 86400;
    assert_int_equal(bearssl_add(ca, strlen(ca)), UNSB_E_TRUST);
    the_time = 1000;
    assert_int_equal(bearssl_add(ca, strlen(ca)), UNSB_OK);
    bearssl_release();
    X509_free(certificate);
    (void)BIO_free(bio);
}

/* ======================================================================
 * >>run
 * ====================================================================== */

static int start(void **state)
{
    (void)state;
    (void)snprintf(ca_path, sizeof ca_path, "%s", pki("ca.pem"));
    ca = read_text(ca_path);
    key = read_text(pki("localhost.key"));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    free(ca);
    free(key);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fault.call = NONE;
    present = NULL;
    read_failed = broken = false;
    the_time = 0;
    return 0;
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(files),
                                       TEST(texts),
                                       TEST(old_label),
                                       TEST(places),
                                       TEST(directories),
                                       TEST(no_memory),
                                       TEST(no_memory_to_grow),
                                       TEST(unreadable),
                                       TEST(library_refuses),
                                       TEST(expired)};

    return cmocka_run_group_tests_name("pem", tests, start, stop);
}
