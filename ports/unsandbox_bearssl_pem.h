/* unsandbox_bearssl_pem.h - trust anchors for unsandbox_bearssl.h from PEM files and texts
 *
 *     #include "unsandbox.h"
 *     #include "unsandbox_bearssl.h"
 *     #include "unsandbox_bearssl_pem.h"
 *
 *     unsb_bearssl_trust trust = {0};
 *     int rc = unsb_bearssl_load_pem(&trust, NULL);         (the system's bundle, or a path)
 *     secure.anchors = trust.anchors;
 *     secure.anchor_count = trust.count;
 *     ...
 *     unsb_bearssl_free_trust(&trust);                      (after the client is closed)
 *
 * For hosts with files and a heap; firmware has its anchors compiled in (unsandbox_roots.h, or one
 * made by make_roots.py), and Windows keeps its own in a store (unsandbox_bearssl_windows.h). All
 * functions are static. C99 or C++11; link with -lbearssl.
 *
 * Memory: one heap block for each certificate (its name and key, 150 to 700 bytes) and one for the
 * array (64 bytes for each on 64-bit systems): about 100 K for a system's bundle. 6 K of stack.
 *
 * Errors: UNSB_E_TRUST. trust.error has the errno where a file could not be read or memory ran
 * out, and is 0 where the file was read and held nothing that could be used.
 *
 * Limits: what cannot be used is skipped and counted in trust.skipped: RSA keys over 4096 bits,
 * curves other than P-256, P-384 and P-521, Ed25519, private keys, OpenSSL's "TRUSTED CERTIFICATE"
 * blocks. So is what should not be used, as an anchor of BearSSL's is no more than a name and a
 * key: certificates that have expired, RSA keys below 2048 bits, name constraints, an extKeyUsage
 * that is not for servers. A clock that says that it is before 2020 is not set, and then nothing
 * has expired. A certificate that is not a CA's is trusted for a server with just that name and
 * key, and for nothing that it signed. */
#ifndef UNSANDBOX_BEARSSL_PEM_H
#define UNSANDBOX_BEARSSL_PEM_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif
#ifndef UNSANDBOX_BEARSSL_H
#include "unsandbox_bearssl.h"
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

/* Zero it before the first use. */
typedef struct unsb_bearssl_trust {
    br_x509_trust_anchor *anchors; /* for unsb_bearssl_config */
    size_t count;
    size_t skipped; /* certificates and other blocks that could not be used */
    int error;      /* errno of the last failure, 0: none */
    uint32_t now;   /* may be set: seconds since 1970, to tell by what has expired. 0: the system's
                       clock */
} unsb_bearssl_trust;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Adds the certificates of a PEM file to `trust`. NULL: the file that the environment variable
 * SSL_CERT_FILE names, or else the first that can be opened where systems keep theirs.
 * UNSB_OK if at least one was added, else UNSB_E_TRUST; what was there before stays in any case.
 * The array may move: set up transports afterwards. */
UNSBI_BEARSSL_FN int unsb_bearssl_load_pem(unsb_bearssl_trust *trust, const char *path);
/* The same from memory. */
UNSBI_BEARSSL_FN int unsb_bearssl_add_pem(unsb_bearssl_trust *trust, const void *pem, size_t size);
/* The same for one certificate as it stands within PEM: DER, without base64. */
UNSBI_BEARSSL_FN int unsb_bearssl_add_der(unsb_bearssl_trust *trust, const void *der, size_t size);
/* Releases everything and zeroes *trust; also twice. No transport may use it any more. */
UNSBI_BEARSSL_FN void unsb_bearssl_free_trust(unsb_bearssl_trust *trust);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

typedef struct unsbi_bearssl_loader {
    unsb_bearssl_trust *trust;
    br_pem_decoder_context pem;
    br_x509_decoder_context x509;
    unsb_x509 walker;
    bool inside;         /* a certificate is being read */
    int error;           /* ENOMEM */
    unsigned char *name; /* its subject, DER; kept from one to the next */
    size_t name_size, name_capacity;
    size_t added, skipped;
} unsbi_bearssl_loader;

static void unsbi_bearssl_append_name(void *context, const void *data, size_t size)
{
    unsbi_bearssl_loader *loader = (unsbi_bearssl_loader *)context;
    if (size > loader->name_capacity - loader->name_size) {
        size_t capacity = (loader->name_size + size) * 2;
        unsigned char *name = (unsigned char *)realloc(loader->name, capacity);
        if (name == NULL) {
            loader->error = ENOMEM;
            return;
        }
        loader->name = name;
        loader->name_capacity = capacity;
    }
    memcpy(loader->name + loader->name_size, data, size);
    loader->name_size += size;
}

static void unsbi_bearssl_append_certificate(void *context, const void *data, size_t size)
{
    unsbi_bearssl_loader *loader = (unsbi_bearssl_loader *)context;
    br_x509_decoder_push(&loader->x509, data, size);
    unsb_x509_feed(&loader->walker, data, size);
}

/* Before which day, from the year 0 as BearSSL counts them, certificates have expired; *seconds of
 * it count, too. */
static uint32_t unsbi_bearssl_today(const unsb_bearssl_trust *trust, uint32_t *seconds)
{
    uint32_t now = trust->now != 0 ? trust->now : (uint32_t)time(NULL);
    if (trust->now == 0 && now < 1577836800u) {
        now = 0; /* before 2020: it is not set */
    }
    *seconds = now % 86400u;
    return now / 86400u + 719528u;
}

/* May the certificate that was read be an anchor? */
static bool unsbi_bearssl_is_fit(const unsbi_bearssl_loader *loader, const br_x509_pkey *key)
{
    uint32_t seconds, today = unsbi_bearssl_today(loader->trust, &seconds);
    const br_x509_decoder_context *x509 = &loader->x509;
    if (x509->notafter_days < today ||
        (x509->notafter_days == today && x509->notafter_seconds < seconds)) {
        return false;
    }
    if (key->key_type == BR_KEYTYPE_RSA) {
        return key->key.rsa.nlen >= 2048 / 8 && loader->walker.error == UNSB_X509_OK;
    }
    return key->key_type == BR_KEYTYPE_EC && loader->walker.error == UNSB_X509_OK;
}

/* Room for one more anchor; the capacity is the next power of two, and so need not be kept. */
static bool unsbi_bearssl_grow(unsb_bearssl_trust *trust)
{
    size_t count = trust->count;
    br_x509_trust_anchor *anchors;
    if (count != 0 && (count < 16 || (count & (count - 1)) != 0)) {
        return true;
    }
    count = count == 0 ? 16 : count * 2;
    anchors = (br_x509_trust_anchor *)realloc(trust->anchors, count * sizeof *anchors);
    if (anchors == NULL) {
        return false;
    }
    trust->anchors = anchors;
    return true;
}

static unsigned char *unsbi_bearssl_copy(unsigned char **to, const void *data, size_t size)
{
    unsigned char *start = *to;
    memcpy(start, data, size);
    *to = start + size;
    return start;
}

/* A certificate is complete: copies name and key, in one block that dn.data points to. */
static void unsbi_bearssl_add_anchor(unsbi_bearssl_loader *loader)
{
    unsb_bearssl_trust *trust = loader->trust;
    const br_x509_pkey *key = br_x509_decoder_get_pkey(&loader->x509);
    br_x509_trust_anchor *anchor;
    unsigned char *block;
    bool rsa;

    if (loader->error != 0) {
        return;
    }
    if (key == NULL || !unsbi_bearssl_is_fit(loader, key)) {
        loader->skipped++;
        return;
    }
    rsa = key->key_type == BR_KEYTYPE_RSA;
    block = (unsigned char *)malloc(
        loader->name_size + (rsa ? key->key.rsa.nlen + key->key.rsa.elen : key->key.ec.qlen));
    if (block == NULL || !unsbi_bearssl_grow(trust)) {
        free(block);
        loader->error = ENOMEM;
        return;
    }
    anchor = &trust->anchors[trust->count++];
    anchor->dn.data = unsbi_bearssl_copy(&block, loader->name, loader->name_size);
    anchor->dn.len = loader->name_size;
    anchor->flags = br_x509_decoder_isCA(&loader->x509) ? BR_X509_TA_CA : 0;
    anchor->pkey = *key;
    if (rsa) {
        anchor->pkey.key.rsa.n = unsbi_bearssl_copy(&block, key->key.rsa.n, key->key.rsa.nlen);
        anchor->pkey.key.rsa.e = unsbi_bearssl_copy(&block, key->key.rsa.e, key->key.rsa.elen);
    } else {
        anchor->pkey.key.ec.q = unsbi_bearssl_copy(&block, key->key.ec.q, key->key.ec.qlen);
    }
    loader->added++;
}

static void unsbi_bearssl_begin_certificate(unsbi_bearssl_loader *loader)
{
    loader->name_size = 0;
    br_x509_decoder_init(&loader->x509, unsbi_bearssl_append_name, loader);
    /* Its size is not known yet; the decoder finds whether it is whole. */
    unsb_x509_start(&loader->walker, NULL, 0);
    unsb_x509_begin(&loader->walker, 0xFFFFFF);
    loader->walker.anchor = true;
}

static void unsbi_bearssl_pem_event(unsbi_bearssl_loader *loader, int event)
{
    const char *name = br_pem_decoder_name(&loader->pem);
    switch (event) {
    case BR_PEM_BEGIN_OBJ:
        loader->inside = strcmp(name, "CERTIFICATE") == 0 || strcmp(name, "X509 CERTIFICATE") == 0;
        br_pem_decoder_setdest(&loader->pem, NULL, NULL);
        if (loader->inside) {
            unsbi_bearssl_begin_certificate(loader);
            br_pem_decoder_setdest(&loader->pem, unsbi_bearssl_append_certificate, loader);
        } else {
            loader->skipped++;
        }
        break;
    case BR_PEM_END_OBJ:
        if (loader->inside) {
            unsbi_bearssl_add_anchor(loader);
        }
        loader->inside = false;
        break;
    case BR_PEM_ERROR:
        loader->skipped += loader->inside ? 1 : 0;
        loader->inside = false;
        break;
    default:
        break;
    }
}

/* RFC 7468 section 3: lines may end in CR LF, of which BearSSL's decoder refuses the CR. */
static void unsbi_bearssl_feed(unsbi_bearssl_loader *loader, const void *data, size_t size)
{
    const unsigned char *next = (const unsigned char *)data;
    while (size > 0 && loader->error == 0) {
        const unsigned char *cr = (const unsigned char *)memchr(next, '\r', size);
        size_t line = cr != NULL ? (size_t)(cr - next) : size, used;
        if (line == 0) {
            next++;
            size--;
            continue;
        }
        used = br_pem_decoder_push(&loader->pem, next, line);
        next += used;
        size -= used;
        unsbi_bearssl_pem_event(loader, br_pem_decoder_event(&loader->pem));
    }
}

static void unsbi_bearssl_load_begin(unsbi_bearssl_loader *loader, unsb_bearssl_trust *trust)
{
    memset(loader, 0, sizeof *loader);
    loader->trust = trust;
    br_pem_decoder_init(&loader->pem);
    trust->error = 0;
}

static int unsbi_bearssl_load_end(unsbi_bearssl_loader *loader)
{
    unsb_bearssl_trust *trust = loader->trust;
    free(loader->name);
    trust->skipped += loader->skipped;
    trust->error = loader->error;
    return loader->error == 0 && loader->added > 0 ? UNSB_OK : UNSB_E_TRUST;
}

static int unsbi_bearssl_text_end(unsbi_bearssl_loader *loader)
{
    /* The last line may lack its end, which the decoder waits for. */
    unsbi_bearssl_feed(loader, "\n", 1);
    if (loader->inside) {
        loader->skipped++; /* the text ends within a block */
    }
    return unsbi_bearssl_load_end(loader);
}

/* The file to read when none is named; NULL with errno if there is none. */
static FILE *unsbi_bearssl_open_bundle(void)
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

UNSBI_BEARSSL_FN int unsb_bearssl_load_pem(unsb_bearssl_trust *trust, const char *path)
{
    unsbi_bearssl_loader loader;
    char piece[1024];
    size_t size;
    FILE *file;

    unsbi_bearssl_load_begin(&loader, trust);
    errno = 0;
    file = path != NULL ? fopen(path, "rb") : unsbi_bearssl_open_bundle();
    if (file == NULL) {
        trust->error = errno != 0 ? errno : ENOENT;
        return UNSB_E_TRUST;
    }
    errno = 0;
    while ((size = fread(piece, 1, sizeof piece, file)) > 0) {
        unsbi_bearssl_feed(&loader, piece, size);
    }
    if (ferror(file) != 0 && loader.error == 0) {
        loader.error = errno != 0 ? errno : EIO;
    }
    (void)fclose(file);
    return unsbi_bearssl_text_end(&loader);
}

UNSBI_BEARSSL_FN int unsb_bearssl_add_pem(unsb_bearssl_trust *trust, const void *pem, size_t size)
{
    unsbi_bearssl_loader loader;
    unsbi_bearssl_load_begin(&loader, trust);
    unsbi_bearssl_feed(&loader, pem, size);
    return unsbi_bearssl_text_end(&loader);
}

UNSBI_BEARSSL_FN int unsb_bearssl_add_der(unsb_bearssl_trust *trust, const void *der, size_t size)
{
    unsbi_bearssl_loader loader;
    unsbi_bearssl_load_begin(&loader, trust);
    unsbi_bearssl_begin_certificate(&loader);
    unsbi_bearssl_append_certificate(&loader, der, size);
    unsbi_bearssl_add_anchor(&loader);
    return unsbi_bearssl_load_end(&loader);
}

UNSBI_BEARSSL_FN void unsb_bearssl_free_trust(unsb_bearssl_trust *trust)
{
    size_t i;
    for (i = 0; i < trust->count; i++) {
        free(trust->anchors[i].dn.data); /* the key lies behind it */
    }
    free(trust->anchors);
    memset(trust, 0, sizeof *trust);
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_BEARSSL_PEM_H */
