/* unsandbox_mbedtls_pem.h - trust anchors for unsandbox_mbedtls.h from PEM files and texts
 *
 *     #include "unsandbox.h"
 *     #include "unsandbox_mbedtls.h"
 *     #include "unsandbox_mbedtls_pem.h"
 *
 *     unsb_mbedtls_trust trust = {0};
 *     int rc = unsb_mbedtls_load_pem(&trust, NULL);         (the system's bundle, or a path)
 *     secure.anchors = &trust.anchors;
 *     ...
 *     unsb_mbedtls_free_trust(&trust);                      (after the client is closed)
 *
 * For hosts with files and a heap; firmware has its certificates compiled in (unsandbox_roots.h, or
 * one made by make_roots.py). All functions are static. C99 or C++11; link with -lmbedtls
 * -lmbedx509 -lmbedcrypto.
 *
 * Memory: each certificate takes its own size and some 700 bytes to 2 K, on the heap by Mbed TLS;
 * while a file is read, its size besides.
 *
 * Errors: UNSB_E_TRUST. trust.error has the errno where a file could not be read or memory ran
 * out, and is 0 where the file was read and held nothing that could be used.
 *
 * Limits: what cannot be used is skipped and counted in trust.skipped: certificates that Mbed TLS
 * cannot read, as it was built. Other blocks (private keys, OpenSSL's "TRUSTED CERTIFICATE") are
 * passed over. Dates count when a chain is checked. A certificate that is not a CA's is trusted as
 * a server's own if it is self-signed, and for nothing that it signed. */
#ifndef UNSANDBOX_MBEDTLS_PEM_H
#define UNSANDBOX_MBEDTLS_PEM_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif
#ifndef UNSANDBOX_MBEDTLS_H
#include "unsandbox_mbedtls.h"
#endif

#if !defined(MBEDTLS_PEM_PARSE_C)
#error "Mbed TLS was built without MBEDTLS_PEM_PARSE_C"
#endif

#include <mbedtls/pem.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

/* Zero it before the first use. It must stay in place while it is used. */
typedef struct unsb_mbedtls_trust {
    mbedtls_x509_crt anchors; /* the first of a list, for unsb_mbedtls_config */
    size_t count;
    size_t skipped; /* certificates that could not be used */
    int error;      /* errno of the last failure, 0: none */
} unsb_mbedtls_trust;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Adds the certificates of a PEM file to `trust`. NULL: the file that the environment variable
 * SSL_CERT_FILE names, or else the first that can be opened where systems keep theirs.
 * UNSB_OK if at least one was added, else UNSB_E_TRUST; what was there before stays in any case. */
UNSBI_MBEDTLS_FN int unsb_mbedtls_load_pem(unsb_mbedtls_trust *trust, const char *path);
/* The same from memory. */
UNSBI_MBEDTLS_FN int unsb_mbedtls_add_pem(unsb_mbedtls_trust *trust, const void *pem, size_t size);
/* Releases everything and zeroes *trust; also twice. No transport may use it any more. */
UNSBI_MBEDTLS_FN void unsb_mbedtls_free_trust(unsb_mbedtls_trust *trust);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

static size_t unsbi_mbedtls_count(const mbedtls_x509_crt *crt)
{
    size_t count = 0;
    for (; crt != NULL; crt = crt->next) {
        count += crt->raw.p != NULL;
    }
    return count;
}

/* `text` ends with a NUL, which `size` counts; only where it does, Mbed TLS takes it for PEM. */
static int unsbi_mbedtls_add_text(unsb_mbedtls_trust *trust, const unsigned char *text, size_t size)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    const char *block = (const char *)text;
    size_t before = trust->count, blocks = 0;
    int rc = 0;

    trust->error = 0;
    while ((block = strstr(block, begin)) != NULL) {
        block += sizeof begin - 1;
        blocks++;
    }
    if (blocks != 0) {
        rc = mbedtls_x509_crt_parse(&trust->anchors, text, size);
    }
    trust->count = unsbi_mbedtls_count(&trust->anchors);
    trust->skipped += blocks - (trust->count - before);
    if ((-rc & 0x7F80) == -MBEDTLS_ERR_X509_ALLOC_FAILED || rc == MBEDTLS_ERR_PEM_ALLOC_FAILED) {
        trust->error = ENOMEM;
    }
    return trust->error == 0 && trust->count > before ? UNSB_OK : UNSB_E_TRUST;
}

/* The file to read when none is named; NULL with errno if there is none. */
static FILE *unsbi_mbedtls_open_bundle(void)
{
    static const char *const places[] = {
        "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Arch, Alpine */
        "/etc/pki/tls/certs/ca-bundle.crt",                  /* Fedora, RHEL */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* newer RHEL */
        "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
        "/etc/ssl/cert.pem",                                 /* macOS, OpenBSD, FreeBSD, Alpine */
        "/usr/local/etc/ssl/cert.pem",                       /* FreeBSD's packages */
        "/etc/openssl/certs/ca-certificates.crt",            /* NetBSD */
        "/opt/homebrew/etc/ca-certificates/cert.pem"};       /* Homebrew */
    const char *named = getenv("SSL_CERT_FILE");
    FILE *file = NULL;
    size_t i;
    if (named != NULL && named[0] != '\0') {
        return fopen(named, "rb"); /* asked for: no other will do */
    }
    for (i = 0; i < sizeof places / sizeof places[0] && file == NULL; i++) {
        file = fopen(places[i], "rb");
    }
    return file;
}

/* Reads all of it, with a NUL at the end that *size counts. NULL with errno if that fails. */
static unsigned char *unsbi_mbedtls_read_file(FILE *file, size_t *size)
{
    unsigned char *text = NULL;
    size_t capacity = 0;
    *size = 0;
    for (;;) {
        size_t got;
        if (capacity - *size < 4096) {
            unsigned char *more = (unsigned char *)realloc(text, capacity * 2 + 8192);
            if (more == NULL) {
                free(text);
                errno = ENOMEM;
                return NULL;
            }
            text = more;
            capacity = capacity * 2 + 8192;
        }
        errno = 0;
        got = fread(text + *size, 1, capacity - *size - 1, file);
        if (got == 0) {
            break;
        }
        *size += got;
    }
    if (ferror(file) != 0) {
        int error = errno != 0 ? errno : EIO;
        free(text);
        errno = error;
        return NULL;
    }
    text[(*size)++] = '\0';
    return text;
}

UNSBI_MBEDTLS_FN int unsb_mbedtls_load_pem(unsb_mbedtls_trust *trust, const char *path)
{
    unsigned char *text;
    size_t size;
    FILE *file;
    int rc;

    errno = 0;
    file = path != NULL ? fopen(path, "rb") : unsbi_mbedtls_open_bundle();
    if (file == NULL) {
        trust->error = errno != 0 ? errno : ENOENT;
        return UNSB_E_TRUST;
    }
    text = unsbi_mbedtls_read_file(file, &size);
    if (text == NULL) {
        trust->error = errno;
        (void)fclose(file);
        return UNSB_E_TRUST;
    }
    (void)fclose(file);
    rc = unsbi_mbedtls_add_text(trust, text, size);
    free(text);
    return rc;
}

UNSBI_MBEDTLS_FN int unsb_mbedtls_add_pem(unsb_mbedtls_trust *trust, const void *pem, size_t size)
{
    unsigned char *text = (unsigned char *)malloc(size + 1);
    int rc;
    if (text == NULL) {
        trust->error = ENOMEM;
        return UNSB_E_TRUST;
    }
    if (size != 0) {
        memcpy(text, pem, size);
    }
    text[size] = '\0';
    rc = unsbi_mbedtls_add_text(trust, text, size + 1);
    free(text);
    return rc;
}

UNSBI_MBEDTLS_FN void unsb_mbedtls_free_trust(unsb_mbedtls_trust *trust)
{
    mbedtls_x509_crt_free(&trust->anchors);
    memset(trust, 0, sizeof *trust);
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_MBEDTLS_PEM_H */
