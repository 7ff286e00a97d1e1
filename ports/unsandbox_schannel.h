/* unsandbox_schannel.h - TLS for unsandbox.h by Windows' own Schannel, over any other transport
 *
 *     #include "unsandbox.h"
 *     #include "unsandbox_winsock.h"        (or any transport that moves bytes)
 *     #include "unsandbox_schannel.h"
 *
 *     static unsb_winsock tcp;
 *     static unsb_schannel tls;
 *     static unsigned char records[UNSB_SCHANNEL_BUFFER];
 *     unsb_schannel_config secure = {0};
 *     secure.inner = unsb_winsock_transport(&tcp);
 *     secure.buffer = records;
 *     secure.buffer_size = sizeof records;
 *     config.transport = unsb_schannel_transport(&tls, &secure);
 *     ...
 *     unsb_schannel_wipe(&tls);             (after the client is closed)
 *
 * All functions are static: include the file wherever it is needed, there is no implementation
 * macro. C99 or C++11. Windows 10, 11, Server 2016 and later, and Wine; MinGW-w64 or Visual C++.
 * Include unsandbox_winsock.h, this file or winsock2.h before windows.h. Link with -lsecur32
 * -lcrypt32 (Visual C++ is told so here), copy unsandbox_address.h with it: there is no other
 * dependency.
 *
 * What is always checked; there is no switch:
 *   - TLS 1.3 where Windows has it (11, Server 2022), else TLS 1.2, with ECDHE and an AEAD cipher:
 *     which are offered is Windows' choice, and what was agreed on is looked at before a byte of
 *     the request is sent. With TLS 1.2, a server that asks to renegotiate is left.
 *   - The chain up to a root that Windows trusts for servers, by Windows' own rules and settings
 *     (CertGetCertificateChain: roots of a company or of the user, distrusted ones, name
 *     constraints, dates, purposes), or up to `anchors`. And whatever these say: RSA keys of 2048
 *     bits or more and EC keys on P-256, P-384 or P-521 throughout; SHA-256, SHA-384 or SHA-512
 *     in each signature. keyUsage and extKeyUsage must allow a TLS server.
 *   - Revocation, as far as Windows knows: by the answer that the server sends along (OCSP
 *     stapling), and what lists and answers Windows has. What is known to be revoked is refused;
 *     what is unknown is not, and the network is not asked about it.
 *   - The host's name, against the dNSName entries of the certificate's subjectAltName (a wildcard
 *     may stand for the first label). An IPv4 or IPv6 address as host must be among the iPAddress
 *     entries (RFC 9525 section 6.5); SNI is not sent then (RFC 6066 section 3). The common name
 *     never counts: a certificate without a subjectAltName is refused.
 *   - That the peer ends the stream with close_notify: a connection that just ends is UNSB_E_IO.
 *
 * Pins: digests of public keys (RFC 7469 section 2.4: SHA-256 of the SubjectPublicKeyInfo, in DER).
 * It is the server's own key that must be among them, not one further up; to pin an authority, make
 * it the only anchor. A pin is one more condition, or, with pins_alone, takes the place of the
 * chain: dates, signatures and all other certificates are not looked at then; the name, the usages
 * and the key's kind and size are.
 *
 * Nothing here blocks but wait(). Windows knows more roots than its store has, and fetches one when
 * it first meets it; intermediates that a server does not send, too. Where the chain has such a gap
 * it is judged anew in a helper thread, which may fetch; it owns what it works with, so the client
 * may be closed meanwhile, and the DLL that holds it unloaded. So the client's connect time-out
 * covers it. A program that waits by itself is told to wait for UNSB_WRITABLE then, which is at
 * once: it should sleep a little between two calls of unsb_poll() while it connects.
 *
 * Sessions are resumed by Schannel itself, which keeps them in its own memory (for some hours, by
 * the host's name) as long as the credentials are kept: to unsb_schannel_wipe(), or to the first
 * error of TLS. The certificate is judged each time, also when a session is resumed.
 *
 * Memory: unsb_schannel, 568 bytes (440 on 32-bit systems); the record buffer, see
 * unsb_schannel_config; what SSPI allocates. While a chain is judged in a thread, one heap block of
 * 560 bytes. This port allocates nothing else. 3 K of stack beside Windows' own;
 * unsb_schannel_add_pem() takes 8 K more. At close the record buffer is wiped; keys are in the
 * keeping of Windows.
 *
 * Errors: tls.error says more; unsb_schannel_error_text() has words for it.
 *   UNSB_E_CERTIFICATE      CERT_E_..., TRUST_E_..., CRYPT_E_... of winerror.h: CERT_E_EXPIRED (or
 *                           not yet valid), CERT_E_UNTRUSTEDROOT, CERT_E_CHAINING (no way to a
 *                           root), CERT_E_WRONG_USAGE, CERT_E_REVOKED, TRUST_E_CERT_SIGNATURE ...;
 *                           CERT_E_CN_NO_MATCH also for a host that cannot be a name or an address,
 *                           or a certificate without subjectAltName; UNSB_SCHANNEL_NOT_PINNED,
 *                           UNSB_SCHANNEL_WEAK
 *   UNSB_E_TRUST            pins_alone, but no pins
 *   UNSB_E_TLS              SEC_E_..., SEC_I_RENEGOTIATE or UNSB_SCHANNEL_CIPHER; where the peer
 *                           refused the handshake in plain text, tls.alert is its alert
 *   UNSB_E_IO               with SEC_E_INCOMPLETE_MESSAGE: the stream ended without close_notify
 *   UNSB_E_CLOSED           only from recv and send, after the peer's close_notify
 *   UNSB_E_SCHANNEL_CONFIG  the configuration cannot work
 * The inner transport's errors come unchanged, with tls.error 0. An error is returned again until
 * close. A failed send leaves recv usable.
 *
 * Limits: no alert is sent when a certificate is refused. Windows 7 to 8.1 lack ciphers that this
 * port insists on; Windows 10 has TLS 1.2 alone. Which of several errors of a chain is told is
 * Windows' choice. Under Wine: TLS 1.2 alone; Wine 8 sends no close_notify, resumes no session, and
 * makes SEC_E_INTERNAL_ERROR of every failure and of a warning from the peer. What Wine lacks was
 * tested with a scripted SSPI alone, not on Windows: TLS 1.3, its messages after the handshake,
 * close_notify. */
#ifndef UNSANDBOX_SCHANNEL_H
#define UNSANDBOX_SCHANNEL_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif

#ifndef UNSANDBOX_ADDRESS_H
#include "unsandbox_address.h"
#endif

#if defined(_WINSOCKAPI_) && !defined(_WINSOCK2API_)
#error "windows.h has brought the old winsock.h: include winsock2.h or this file before windows.h"
#endif
#ifndef _WINSOCK2API_
#include <winsock2.h> /* first, or windows.h brings its forerunner */
#endif
#include <windows.h>
#include <wincrypt.h>
#ifndef SECURITY_WIN32
#define SECURITY_WIN32 1
#endif
#include <sspi.h>
#include <schannel.h>

#if NTDDI_VERSION < 0x06010000
#error "unsandbox_schannel.h needs what the headers have for Windows 7 and later (_WIN32_WINNT)"
#endif

#ifdef _MSC_VER
#pragma comment(lib, "secur32.lib")
#pragma comment(lib, "crypt32.lib")
#endif

/* ======================================================================
 * >>options  alike in all files of a program
 * ====================================================================== */

/* 0: no thread. What Windows lacks of a chain is not fetched: then it is refused. */
#ifndef UNSB_SCHANNEL_THREADS
#define UNSB_SCHANNEL_THREADS 1
#endif

#if defined(__GNUC__)
#define UNSBI_SCHANNEL_FN static __attribute__((unused))
#elif defined(_MSC_VER)
#define UNSBI_SCHANNEL_FN static __inline
#else
#define UNSBI_SCHANNEL_FN static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

/* Record buffers: whole records each way; and the smallest, which sends records of some 700 bytes.
 * Records that come may always have their full 16 K. */
#define UNSB_SCHANNEL_BUFFER 36864
#define UNSB_SCHANNEL_BUFFER_MIN 19968

/* In tls.error: the server's key is not among the pins; a key is too small or of another kind, or
 * a signature made with SHA-1 or older; the cipher agreed on is none that this port takes.
 * Windows' own numbers are negative or larger. */
#define UNSB_SCHANNEL_NOT_PINNED 1
#define UNSB_SCHANNEL_WEAK 2
#define UNSB_SCHANNEL_CIPHER 3

/* A code of this port's own: no inner transport, no buffer or one too small. */
#define UNSB_E_SCHANNEL_CONFIG (UNSB_E_USER - 5)

/* ---- the configuration; zero is the default of every field ---- */
typedef struct unsb_schannel_config {
    unsb_transport inner; /* required: moves the records */
    HCERTSTORE anchors;   /* a store of the only roots to trust, see unsb_schannel_add_pem(); NULL:
                             those that Windows trusts. Must outlive the transport */
    const uint8_t *pins;  /* digests of public keys, 32 bytes each, one after the other; NULL: none.
                             Must outlive the transport */
    size_t pin_count;
    bool pins_alone;      /* true: pins take the place of the chain */
    bool no_fetch;        /* true: no thread; what Windows lacks of a chain is not fetched */
    bool no_resumption;   /* true: a full handshake each time */
    void *buffer;         /* required: the record buffer, the caller's */
    size_t buffer_size;   /* UNSB_SCHANNEL_BUFFER, or less down to UNSB_SCHANNEL_BUFFER_MIN, which
                             takes from what is sent at a time. More helps servers alone whose
                             certificates take more than 18 K */
    /* Seconds since 1970, to check certificates by. NULL: the system's clock */
    uint32_t (*unix_time)(void *context);
    void *context; /* handed to it */
} unsb_schannel_config;

/* What judges a chain has, in whichever thread. */
typedef struct unsbi_schannel_case {
    PCCERT_CONTEXT certificate; /* the server's; its store has what came with it */
    HCERTSTORE anchors;
    FILETIME time;
    bool has_time;
    bool fetch;
    WCHAR name[256]; /* the host's, as SNI has it; empty: an address */
} unsbi_schannel_case;

struct unsbi_schannel_job;

typedef struct unsb_schannel {
    /* to be read */
    int error;        /* more about the last failure, 0: none. Kept until the next connect */
    uint16_t version; /* 0x0303: TLS 1.2, 0x0304: 1.3; 0: not connected yet */
    uint8_t alert;    /* the peer's fatal alert, if that is the reason */
    bool resumed;     /* the connection resumed an earlier session */
    /* private */
    uint8_t state;
    bool has_credentials, has_context;
    bool starved;     /* what has come is not enough to go on with the handshake */
    bool renewing;    /* a message of TLS 1.3 after the handshake is being answered */
    bool ended;       /* close_notify has come */
    int steps;        /* calls below that are left to this call */
    int failure;      /* sticky */
    int send_failure; /* kept apart, so that recv can still fetch what the peer sent */
    unsb_schannel_config config;
    CredHandle credentials;
    CtxtHandle context;
    uint8_t *in; /* in the record buffer */
    size_t in_size, have;
    size_t plain_at, plain_size; /* decrypted, in `in` */
    size_t next;                 /* where what is not decrypted begins */
    uint8_t *out;                /* in the record buffer: a record to go out */
    size_t out_size, out_at, out_have;
    uint8_t *token; /* SSPI's: a message of the handshake, to go out after `out` */
    size_t token_at, token_size;
    SecPkgContext_StreamSizes sizes;
    HANDLE thread; /* that judges the chain; NULL: none */
    struct unsbi_schannel_job *job;
    uint8_t address_size; /* 4, 16, or 0: the host is a name */
    uint8_t address[16];
    char host[256];
} unsb_schannel;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Initialises `tls` (whatever it held: wipe it before, if it was in use) and returns the transport
 * over it. The configuration is copied; what it points to, and `tls`, must stay in place until the
 * client is closed. Mistakes in it are reported by connect. `wait` is NULL if the inner one is. */
UNSBI_SCHANNEL_FN unsb_transport unsb_schannel_transport(unsb_schannel *tls,
                                                         const unsb_schannel_config *config);
/* Closes the connection, if any, and gives the credentials back, so that no session is resumed and
 * nothing is left in `tls`. The transport can be used again. */
UNSBI_SCHANNEL_FN void unsb_schannel_wipe(unsb_schannel *tls);
/* Adds the certificates of a PEM text ("-----BEGIN CERTIFICATE-----"; the rest is skipped) to
 * `*store`, for unsb_schannel_config.anchors. NULL: opens one in memory, which the caller closes
 * with CertCloseStore(store, 0) after the client. UNSB_OK if at least one was added, else
 * UNSB_E_TRUST. Only self-signed certificates are roots to Windows. */
UNSBI_SCHANNEL_FN int unsb_schannel_add_pem(HCERTSTORE *store, const char *text, size_t size);
/* A sentence for a user about a number of tls.error, in English; never NULL. */
UNSBI_SCHANNEL_FN const char *unsb_schannel_error_text(int error);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

enum {
    UNSBI_SCHANNEL_IDLE,
    UNSBI_SCHANNEL_CONNECTING, /* the inner transport */
    UNSBI_SCHANNEL_HANDSHAKE,
    UNSBI_SCHANNEL_JUDGING,   /* the chain, in a thread */
    UNSBI_SCHANNEL_FINISHING, /* the last of the handshake goes out */
    UNSBI_SCHANNEL_OPEN,
    UNSBI_SCHANNEL_FAILED /* connect did */
};

/* Calls of SSPI and of the inner transport's recv that one call may make: a bound on its work, and
 * more than one record where the inner transport has it whole. */
#define UNSBI_SCHANNEL_STEPS 16

/* The largest record (RFC 5246 section 6.2.3), rounded up; and what may be of use to send one. */
#define UNSBI_SCHANNEL_IN 18944u
#define UNSBI_SCHANNEL_OUT 17408u

/* What older headers lack. */
#define UNSBI_SCHANNEL_TLS12 0x00000800u /* SP_PROT_TLS1_2_CLIENT */
#define UNSBI_SCHANNEL_TLS13 0x00002000u
#define UNSBI_SCHANNEL_CIPHER_INFO 0x64 /* SECPKG_ATTR_CIPHER_INFO */
#define UNSBI_SCHANNEL_ALERT 17         /* SECBUFFER_ALERT */
#define UNSBI_SCHANNEL_STRONG 0x00400000u /* SCH_USE_STRONG_CRYPTO */
#define UNSBI_SCHANNEL_WEAK_SIGNATURE 0x00100000u /* CERT_TRUST_HAS_WEAK_SIGNATURE */
#define UNSBI_SCHANNEL_DISTRUSTED 0x04000000u     /* CERT_TRUST_IS_EXPLICIT_DISTRUST */
#define UNSBI_SCHANNEL_CRITICAL 0x08000000u /* CERT_TRUST_HAS_NOT_SUPPORTED_CRITICAL_EXT */

/* Through a volatile pointer, or compilers drop stores to memory that is not read any more. */
static void *(*const volatile unsbi_schannel_memset)(void *, int, size_t) = memset;

static void unsbi_schannel_zero(void *data, size_t size)
{
    (void)unsbi_schannel_memset(data, 0, size);
}

/* ---- DER (X.690), as far as this port looks into certificates itself ---- */

typedef struct unsbi_schannel_der {
    const uint8_t *p;
    size_t size;
} unsbi_schannel_der;

/* Takes the next element from `from`: its tag, or 0: there is none, or it does not fit. `*whole`
 * gets all of it, `*value` its contents; either may be NULL, or `from` itself, to go into it. */
static unsigned unsbi_schannel_take(unsbi_schannel_der *from, unsbi_schannel_der *whole,
                                    unsbi_schannel_der *value)
{
    const uint8_t *p = from->p;
    size_t at = 2;
    size_t length;
    size_t count;

    if (from->size < 2 || (p[0] & 0x1Fu) == 0x1Fu) {
        return 0;
    }
    length = p[1];
    if (length >= 0x80u) {
        count = length - 0x80u;
        if (count == 0 || count > 3 || from->size < 2 + count) {
            return 0;
        }
        for (length = 0; count > 0; count--) {
            length = length << 8 | p[at++];
        }
    }
    if (length > from->size - at) {
        return 0;
    }
    from->p = p + at + length;
    from->size -= at + length;
    if (whole != NULL) {
        whole->p = p;
        whole->size = at + length;
    }
    if (value != NULL) {
        value->p = p + at;
        value->size = length;
    }
    return p[0];
}

static unsbi_schannel_der unsbi_schannel_blob(const void *data, size_t size)
{
    unsbi_schannel_der der;
    der.p = (const uint8_t *)data;
    der.size = size;
    return der;
}

static bool unsbi_schannel_is(const unsbi_schannel_der *der, const void *data, size_t size)
{
    return der->size == size && memcmp(der->p, data, size) == 0;
}

/* ---- certificates ----
 *
 * Windows judges the chain. What it takes more lightly than this port, or by settings, is added
 * here. Each function returns 0 or what tls.error is to be. */

static int unsbi_schannel_extension(PCCERT_CONTEXT certificate, const char *oid,
                                    unsbi_schannel_der *value)
{
    const CERT_INFO *info = certificate->pCertInfo;
    int found = 0;
    DWORD i;
    for (i = 0; i < info->cExtension; i++) {
        if (strcmp(info->rgExtension[i].pszObjId, oid) == 0) {
            *value = unsbi_schannel_blob(info->rgExtension[i].Value.pbData,
                                         info->rgExtension[i].Value.cbData);
            found++;
        }
    }
    return found;
}

/* Does the dNSName cover the host? Letters are compared without case; "*" stands for the whole of
 * the first label (RFC 9525 section 6.3). */
static bool unsbi_schannel_covers(const unsbi_schannel_der *entry, const char *host)
{
    const char *name = (const char *)entry->p;
    size_t size = entry->size;
    size_t i;

    if (size > 2 && name[0] == '*' && name[1] == '.') {
        const char *dot = strchr(host, '.');
        if (dot == NULL || dot == host) {
            return false;
        }
        name++;
        size--;
        host = dot;
    }
    if (size != strlen(host)) {
        return false;
    }
    for (i = 0; i < size; i++) {
        char a = name[i];
        char b = host[i];
        a = a >= 'A' && a <= 'Z' ? (char)(a + ('a' - 'A')) : a;
        b = b >= 'A' && b <= 'Z' ? (char)(b + ('a' - 'A')) : b;
        if (a != b) {
            return false;
        }
    }
    return size != 0;
}

/* RFC 5280 section 4.2.1.6. An extension that is given twice counts for nothing. */
static bool unsbi_schannel_has_name(const unsb_schannel *tls, PCCERT_CONTEXT certificate)
{
    unsbi_schannel_der names;
    unsbi_schannel_der entry;
    unsigned tag;

    if (unsbi_schannel_extension(certificate, szOID_SUBJECT_ALT_NAME2, &names) != 1 ||
        unsbi_schannel_take(&names, NULL, &names) != 0x30u) {
        return false;
    }
    while ((tag = unsbi_schannel_take(&names, NULL, &entry)) != 0) {
        if (tls->address_size == 0 ? tag == 0x82u && unsbi_schannel_covers(&entry, tls->host)
                                   : tag == 0x87u && unsbi_schannel_is(&entry, tls->address,
                                                                       tls->address_size)) {
            return true;
        }
    }
    return false;
}

/* Do keyUsage (digitalSignature, as ECDHE and TLS 1.3 have the key sign) and extKeyUsage allow a
 * server? (RFC 5280 sections 4.2.1.3 and 4.2.1.12) */
static bool unsbi_schannel_serves(PCCERT_CONTEXT certificate)
{
    static const uint8_t server[8] = {0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01};
    static const uint8_t any[4] = {0x55, 0x1D, 0x25, 0x00};
    unsbi_schannel_der value;
    unsbi_schannel_der entry;
    int count = unsbi_schannel_extension(certificate, szOID_KEY_USAGE, &value);

    if (count > 1 || (count == 1 && (unsbi_schannel_take(&value, NULL, &entry) != 0x03u ||
                                     entry.size < 2 || (entry.p[1] & 0x80u) == 0))) {
        return false;
    }
    count = unsbi_schannel_extension(certificate, szOID_ENHANCED_KEY_USAGE, &value);
    if (count == 0) {
        return true;
    }
    if (count > 1 || unsbi_schannel_take(&value, NULL, &value) != 0x30u) {
        return false;
    }
    while (unsbi_schannel_take(&value, NULL, &entry) == 0x06u) {
        if (unsbi_schannel_is(&entry, server, sizeof server) ||
            unsbi_schannel_is(&entry, any, sizeof any)) {
            return true;
        }
    }
    return false;
}

/* RSA of 2048 bits or more, or EC on P-256, P-384 or P-521. */
static bool unsbi_schannel_key_is_strong(const CERT_PUBLIC_KEY_INFO *key)
{
    static const uint8_t p256[10] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
    static const uint8_t p384[7] = {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22};
    static const uint8_t p521[7] = {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x23};
    const CRYPT_OBJID_BLOB *parameters = &key->Algorithm.Parameters;
    unsbi_schannel_der value = unsbi_schannel_blob(parameters->pbData, parameters->cbData);

    if (strcmp(key->Algorithm.pszObjId, szOID_ECC_PUBLIC_KEY) == 0) {
        return unsbi_schannel_is(&value, p256, sizeof p256) ||
               unsbi_schannel_is(&value, p384, sizeof p384) ||
               unsbi_schannel_is(&value, p521, sizeof p521);
    }
    if (strcmp(key->Algorithm.pszObjId, szOID_RSA_RSA) != 0 &&
        strcmp(key->Algorithm.pszObjId, "1.2.840.113549.1.1.10") != 0) {
        return false;
    }
    /* RSAPublicKey: modulus and exponent (RFC 8017 appendix A.1.1) */
    value = unsbi_schannel_blob(key->PublicKey.pbData, key->PublicKey.cbData);
    if (unsbi_schannel_take(&value, NULL, &value) != 0x30u ||
        unsbi_schannel_take(&value, NULL, &value) != 0x02u) {
        return false;
    }
    while (value.size > 0 && value.p[0] == 0) {
        value.p++;
        value.size--;
    }
    return value.size > 256 || (value.size == 256 && value.p[0] >= 0x80u);
}

/* RSASSA-PSS names its hash among its parameters; the default is SHA-1 (RFC 8017 appendix A.2.3).
 * 2.16.840.1.101.3.4.2.1 to .3: SHA-256, SHA-384, SHA-512. */
static bool unsbi_schannel_pss_is_strong(const CRYPT_OBJID_BLOB *parameters)
{
    static const uint8_t sha2[8] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02};
    unsbi_schannel_der value = unsbi_schannel_blob(parameters->pbData, parameters->cbData);

    return unsbi_schannel_take(&value, NULL, &value) == 0x30u &&
           unsbi_schannel_take(&value, NULL, &value) == 0xA0u &&
           unsbi_schannel_take(&value, NULL, &value) == 0x30u &&
           unsbi_schannel_take(&value, NULL, &value) == 0x06u && value.size == 9 &&
           memcmp(value.p, sha2, sizeof sha2) == 0 && value.p[8] >= 1 && value.p[8] <= 3;
}

static bool unsbi_schannel_signature_is_strong(const CRYPT_ALGORITHM_IDENTIFIER *algorithm)
{
    static const char *const strong[] = {
        "1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13", /* RSA */
        "1.2.840.10045.4.3.2",   "1.2.840.10045.4.3.3",   "1.2.840.10045.4.3.4"    /* ECDSA */
    };
    size_t i;
    for (i = 0; i < sizeof strong / sizeof strong[0]; i++) {
        if (strcmp(algorithm->pszObjId, strong[i]) == 0) {
            return true;
        }
    }
    return strcmp(algorithm->pszObjId, "1.2.840.113549.1.1.10") == 0 &&
           unsbi_schannel_pss_is_strong(&algorithm->Parameters);
}

/* The SubjectPublicKeyInfo as the certificate has it (RFC 5280 section 4.1). */
static bool unsbi_schannel_find_key(PCCERT_CONTEXT certificate, unsbi_schannel_der *key)
{
    unsbi_schannel_der der = unsbi_schannel_blob(certificate->pbCertEncoded,
                                                 certificate->cbCertEncoded);
    int i;

    if (unsbi_schannel_take(&der, NULL, &der) != 0x30u ||
        unsbi_schannel_take(&der, NULL, &der) != 0x30u) {
        return false;
    }
    if (der.size > 0 && der.p[0] == 0xA0u) {
        (void)unsbi_schannel_take(&der, NULL, NULL); /* the version */
    }
    for (i = 0; i < 5; i++) { /* serial number, signature, issuer, validity, subject */
        if (unsbi_schannel_take(&der, NULL, NULL) == 0) {
            return false;
        }
    }
    return unsbi_schannel_take(&der, key, NULL) == 0x30u;
}

static bool unsbi_schannel_is_pinned(const unsb_schannel_config *config, PCCERT_CONTEXT certificate)
{
    unsbi_schannel_der key;
    uint8_t digest[32];
    DWORD size = sizeof digest;
    size_t i;

    if (!unsbi_schannel_find_key(certificate, &key) ||
        !CryptHashCertificate(0, CALG_SHA_256, 0, key.p, (DWORD)key.size, digest, &size) ||
        size != sizeof digest) {
        return false;
    }
    for (i = 0; i < config->pin_count; i++) {
        if (memcmp(config->pins + i * sizeof digest, digest, sizeof digest) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- the chain ---- */

/* What Windows finds wrong with a chain, the most telling first. Whether something is revoked may
 * be unknown. */
static int unsbi_schannel_status(DWORD status)
{
    static const struct {
        DWORD bits;
        LONG error;
    } names[] = {
        {CERT_TRUST_IS_REVOKED, CERT_E_REVOKED},
        {UNSBI_SCHANNEL_DISTRUSTED, (LONG)0x800B0111}, /* TRUST_E_EXPLICIT_DISTRUST */
        {CERT_TRUST_IS_NOT_SIGNATURE_VALID, TRUST_E_CERT_SIGNATURE},
        {CERT_TRUST_IS_PARTIAL_CHAIN | CERT_TRUST_IS_CYCLIC, CERT_E_CHAINING},
        {CERT_TRUST_IS_UNTRUSTED_ROOT, CERT_E_UNTRUSTEDROOT},
        {CERT_TRUST_IS_NOT_TIME_VALID, CERT_E_EXPIRED},
        {CERT_TRUST_IS_NOT_VALID_FOR_USAGE, CERT_E_WRONG_USAGE},
        {CERT_TRUST_INVALID_BASIC_CONSTRAINTS, TRUST_E_BASIC_CONSTRAINTS},
        {CERT_TRUST_INVALID_NAME_CONSTRAINTS | CERT_TRUST_HAS_NOT_SUPPORTED_NAME_CONSTRAINT |
             CERT_TRUST_HAS_NOT_DEFINED_NAME_CONSTRAINT |
             CERT_TRUST_HAS_NOT_PERMITTED_NAME_CONSTRAINT | CERT_TRUST_HAS_EXCLUDED_NAME_CONSTRAINT,
         (LONG)0x800B0114}, /* CERT_E_INVALID_NAME */
        {UNSBI_SCHANNEL_CRITICAL, CERT_E_CRITICAL},
        {UNSBI_SCHANNEL_WEAK_SIGNATURE, UNSB_SCHANNEL_WEAK}};
    size_t i;

    status &= ~(DWORD)(CERT_TRUST_REVOCATION_STATUS_UNKNOWN | CERT_TRUST_IS_OFFLINE_REVOCATION);
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((status & names[i].bits) != 0) {
            return (int)names[i].error;
        }
    }
    return status != 0 ? (int)TRUST_E_FAIL : 0;
}

/* Keys of all of it, and signatures but the root's own, which nobody trusts it for. */
static int unsbi_schannel_strength(const CERT_CHAIN_CONTEXT *chain)
{
    const CERT_SIMPLE_CHAIN *simple = chain->rgpChain[0];
    DWORD i;
    for (i = 0; i < simple->cElement; i++) {
        const CERT_INFO *info = simple->rgpElement[i]->pCertContext->pCertInfo;
        if (!unsbi_schannel_key_is_strong(&info->SubjectPublicKeyInfo) ||
            (i + 1 < simple->cElement &&
             !unsbi_schannel_signature_is_strong(&info->SignatureAlgorithm))) {
            return UNSB_SCHANNEL_WEAK;
        }
    }
    return 0;
}

/* Windows' policy for TLS servers; it compares the name, too, less strictly. */
static int unsbi_schannel_policy(const unsbi_schannel_case *c, const CERT_CHAIN_CONTEXT *chain)
{
    SSL_EXTRA_CERT_CHAIN_POLICY_PARA tls;
    CERT_CHAIN_POLICY_PARA policy;
    CERT_CHAIN_POLICY_STATUS status;
    WCHAR name[256];

    memcpy(name, c->name, sizeof name);
    memset(&tls, 0, sizeof tls);
    tls.cbSize = (DWORD)sizeof tls;
    tls.dwAuthType = AUTHTYPE_SERVER;
    /* SECURITY_FLAG_IGNORE_REVOCATION: what is revoked was refused, and Wine wants more than that.
     * SECURITY_FLAG_IGNORE_CERT_CN_INVALID: addresses are compared by this port alone. */
    tls.fdwChecks = 0x00000080;
    if (name[0] != L'\0') {
        tls.pwszServerName = name;
    } else {
        tls.fdwChecks |= 0x00001000;
    }
    memset(&policy, 0, sizeof policy);
    policy.cbSize = (DWORD)sizeof policy;
    policy.dwFlags = CERT_CHAIN_POLICY_IGNORE_ALL_REV_UNKNOWN_FLAGS;
    policy.pvExtraPolicyPara = &tls;
    memset(&status, 0, sizeof status);
    status.cbSize = (DWORD)sizeof status;
    if (!CertVerifyCertificateChainPolicy(CERT_CHAIN_POLICY_SSL, chain, &policy, &status)) {
        return (int)TRUST_E_FAIL;
    }
    return (int)status.dwError;
}

/* The whole of what is judged of a chain: 0, or why it is refused. Reads nothing but `c`. */
static int unsbi_schannel_judge(const unsbi_schannel_case *c)
{
    char server[] = szOID_PKIX_KP_SERVER_AUTH;
    char any[] = "2.5.29.37.0"; /* anyExtendedKeyUsage */
    LPSTR purposes[2];
    CERT_CHAIN_ENGINE_CONFIG config;
    HCERTCHAINENGINE engine = NULL; /* Windows' own: the user's trust */
    CERT_CHAIN_PARA wanted;
    PCCERT_CHAIN_CONTEXT chain = NULL;
    FILETIME time = c->time;
    DWORD flags = CERT_CHAIN_REVOCATION_CHECK_CHAIN_EXCLUDE_ROOT |
                  CERT_CHAIN_REVOCATION_CHECK_CACHE_ONLY;
    int error;

    if (c->anchors != NULL) {
        memset(&config, 0, sizeof config);
        /* as it was in Windows 7, without dwExclusiveFlags, which Wine takes for a mistake */
        config.cbSize = (DWORD)(offsetof(CERT_CHAIN_ENGINE_CONFIG, hExclusiveTrustedPeople) +
                                sizeof config.hExclusiveTrustedPeople);
        config.dwFlags = c->fetch ? 0 : CERT_CHAIN_CACHE_ONLY_URL_RETRIEVAL;
        config.hExclusiveRoot = c->anchors;
        if (!CertCreateCertificateChainEngine(&config, &engine)) {
            return (int)GetLastError();
        }
    }
    purposes[0] = server;
    purposes[1] = any;
    memset(&wanted, 0, sizeof wanted);
    wanted.cbSize = (DWORD)sizeof wanted;
    wanted.RequestedUsage.dwType = USAGE_MATCH_TYPE_OR;
    wanted.RequestedUsage.Usage.cUsageIdentifier = 2;
    wanted.RequestedUsage.Usage.rgpszUsageIdentifier = purposes;
    flags |= c->fetch ? 0 : CERT_CHAIN_CACHE_ONLY_URL_RETRIEVAL;
    if (!CertGetCertificateChain(engine, c->certificate, c->has_time ? &time : NULL,
                                 c->certificate->hCertStore, &wanted, flags, NULL, &chain)) {
        error = (int)GetLastError();
        error = error != 0 ? error : (int)TRUST_E_FAIL;
    } else {
        error = unsbi_schannel_strength(chain);
        if (error == 0) {
            error = unsbi_schannel_status(chain->TrustStatus.dwErrorStatus);
        }
        if (error == 0) {
            error = unsbi_schannel_policy(c, chain);
        }
        CertFreeCertificateChain(chain);
    }
    if (engine != NULL) {
        CertFreeCertificateChainEngine(engine);
    }
    return error;
}

/* ---- errors ---- */

static void unsbi_schannel_free_credentials(unsb_schannel *tls)
{
    if (tls->has_credentials) {
        (void)FreeCredentialsHandle(&tls->credentials);
        tls->has_credentials = false;
    }
}

static int unsbi_schannel_fail(unsb_schannel *tls, int failure, int error)
{
    tls->failure = failure;
    tls->error = error;
    if (tls->state != UNSBI_SCHANNEL_OPEN) {
        tls->state = UNSBI_SCHANNEL_FAILED;
    }
    return failure;
}

/* What Schannel says of a handshake or a record: the session, if there is one, is not taken again
 * (RFC 5246 section 7.2.2). */
static int unsbi_schannel_failed(unsb_schannel *tls, SECURITY_STATUS status)
{
    switch ((uint32_t)status) {
    case 0x80090322u: /* SEC_E_WRONG_PRINCIPAL */
    case 0x80090325u: /* SEC_E_UNTRUSTED_ROOT */
    case 0x80090327u: /* SEC_E_CERT_UNKNOWN */
    case 0x80090328u: /* SEC_E_CERT_EXPIRED */
    case 0x80090349u: /* SEC_E_CERT_WRONG_USAGE */
        return unsbi_schannel_fail(tls, UNSB_E_CERTIFICATE, (int)status);
    default:
        return unsbi_schannel_fail(tls, UNSB_E_TLS, (int)status);
    }
}

#if UNSB_SCHANNEL_THREADS
/* ---- judging in a thread ---- */

/* What the client and the thread share. Each holds one reference; who drops the last one frees the
 * block. So neither ever touches memory that belongs to the other. The result is the client's to
 * read once the thread has ended. */
struct unsbi_schannel_job {
    volatile LONG references;
    int result;
    HMODULE module; /* what holds this code, so that it stays while the thread runs */
    unsbi_schannel_case c;
};

static void unsbi_schannel_job_release(struct unsbi_schannel_job *job)
{
    if (InterlockedDecrement(&job->references) == 0) {
        (void)CertFreeCertificateContext(job->c.certificate);
        if (job->c.anchors != NULL) {
            (void)CertCloseStore(job->c.anchors, 0);
        }
        (void)HeapFree(GetProcessHeap(), 0, job);
    }
}

/* Calls nothing of the C library that would want threads to be made by its own function. */
static DWORD WINAPI unsbi_schannel_job_run(void *context)
{
    struct unsbi_schannel_job *job = (struct unsbi_schannel_job *)context;
    HMODULE module = job->module;
    job->result = unsbi_schannel_judge(&job->c);
    unsbi_schannel_job_release(job);
    FreeLibraryAndExitThread(module, 0); /* does not return */
}

/* false: there can be no thread. */
static bool unsbi_schannel_job_start(unsb_schannel *tls, const unsbi_schannel_case *c)
{
    static const char here = 0;
    struct unsbi_schannel_job *job = (struct unsbi_schannel_job *)HeapAlloc(
        GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof *job);

    if (job == NULL) {
        return false;
    }
    if (!GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, (LPCWSTR)(const void *)&here,
                            &job->module)) {
        (void)HeapFree(GetProcessHeap(), 0, job);
        return false;
    }
    job->references = 2;
    job->c = *c;
    job->c.fetch = true;
    job->c.certificate = CertDuplicateCertificateContext(c->certificate);
    job->c.anchors = c->anchors != NULL ? CertDuplicateStore(c->anchors) : NULL;
    tls->thread = CreateThread(NULL, 0, unsbi_schannel_job_run, job, 0, NULL);
    if (tls->thread == NULL) {
        (void)FreeLibrary(job->module);
        job->references = 1;
        unsbi_schannel_job_release(job);
        return false;
    }
    tls->job = job;
    return true;
}
#endif

/* Whatever the thread finds, nobody waits for it. */
static void unsbi_schannel_job_leave(unsb_schannel *tls)
{
#if UNSB_SCHANNEL_THREADS
    if (tls->job != NULL) {
        unsbi_schannel_job_release(tls->job);
        tls->job = NULL;
    }
#endif
    if (tls->thread != NULL) {
        (void)CloseHandle(tls->thread);
        tls->thread = NULL;
    }
}

/* ---- the server's certificate ---- */

static void unsbi_schannel_widen(const unsb_schannel *tls, WCHAR name[256])
{
    size_t i;
    memset(name, 0, 256 * sizeof name[0]);
    for (i = 0; tls->address_size == 0 && tls->host[i] != '\0'; i++) {
        name[i] = (WCHAR)(unsigned char)tls->host[i];
    }
}

/* All but the chain. */
static int unsbi_schannel_look(const unsb_schannel *tls, PCCERT_CONTEXT certificate)
{
    if (!unsbi_schannel_has_name(tls, certificate)) {
        return (int)CERT_E_CN_NO_MATCH;
    }
    if (!unsbi_schannel_serves(certificate)) {
        return (int)CERT_E_WRONG_USAGE;
    }
    if (!unsbi_schannel_key_is_strong(&certificate->pCertInfo->SubjectPublicKeyInfo)) {
        return UNSB_SCHANNEL_WEAK;
    }
    if (tls->config.pin_count != 0 && !unsbi_schannel_is_pinned(&tls->config, certificate)) {
        return UNSB_SCHANNEL_NOT_PINNED;
    }
    return 0;
}

/* The chain by what Windows has at hand. Where that leaves a gap, tls->thread goes on, which may
 * fetch, and this returns 0. */
static int unsbi_schannel_judge_now(unsb_schannel *tls, PCCERT_CONTEXT certificate)
{
    unsbi_schannel_case c;
    uint64_t ticks; /* of 100 ns, since 1601: 11,644,473,600 s before 1970 */
    int error;

    memset(&c, 0, sizeof c);
    c.certificate = certificate;
    c.anchors = tls->config.anchors;
    if (tls->config.unix_time != NULL) {
        ticks = ((uint64_t)tls->config.unix_time(tls->config.context) + 11644473600u) * 10000000u;
        c.time.dwLowDateTime = (DWORD)(ticks & 0xFFFFFFFFu);
        c.time.dwHighDateTime = (DWORD)(ticks >> 32);
        c.has_time = true;
    }
    unsbi_schannel_widen(tls, c.name);
    error = unsbi_schannel_judge(&c);
#if UNSB_SCHANNEL_THREADS
    if ((error == (int)CERT_E_CHAINING ||
         (error == (int)CERT_E_UNTRUSTEDROOT && c.anchors == NULL)) &&
        !tls->config.no_fetch && unsbi_schannel_job_start(tls, &c)) {
        return 0;
    }
#endif
    return error;
}

/* The handshake is through but for its last bytes: UNSB_OK, UNSB_PENDING, or the error. */
static int unsbi_schannel_check_certificate(unsb_schannel *tls)
{
    PCCERT_CONTEXT certificate = NULL;
    SECURITY_STATUS status = QueryContextAttributesW(&tls->context, SECPKG_ATTR_REMOTE_CERT_CONTEXT,
                                                     (void *)&certificate);
    int error = 0;

    if (status != SEC_E_OK || certificate == NULL) {
        return unsbi_schannel_fail(tls, UNSB_E_CERTIFICATE, (int)status);
    }
    if (!tls->config.pins_alone) {
        error = unsbi_schannel_judge_now(tls, certificate);
    }
    if (error == 0) {
        error = unsbi_schannel_look(tls, certificate);
    }
    (void)CertFreeCertificateContext(certificate);
    if (error != 0) {
        unsbi_schannel_job_leave(tls);
        return unsbi_schannel_fail(tls, UNSB_E_CERTIFICATE, error);
    }
    return tls->thread != NULL ? UNSB_PENDING : UNSB_OK;
}

/* What the thread found: UNSB_OK, UNSB_PENDING, or the error. */
static int unsbi_schannel_judged(unsb_schannel *tls)
{
    int error = 0;
    if (tls->thread == NULL) {
        return UNSB_OK;
    }
    if (WaitForSingleObject(tls->thread, 0) != WAIT_OBJECT_0) {
        return UNSB_PENDING;
    }
#if UNSB_SCHANNEL_THREADS
    error = tls->job->result;
#endif
    unsbi_schannel_job_leave(tls);
    return error == 0 ? UNSB_OK : unsbi_schannel_fail(tls, UNSB_E_CERTIFICATE, error);
}

/* ---- moving records ---- */

static void unsbi_schannel_free_token(unsb_schannel *tls)
{
    if (tls->token != NULL) {
        (void)FreeContextBuffer(tls->token);
        tls->token = NULL;
    }
}

static bool unsbi_schannel_unsent(const unsb_schannel *tls)
{
    return tls->out_at < tls->out_have || tls->token != NULL;
}

/* Sends on what waits, the record before the message, which was made after it: > 0, all is out; 0,
 * not now; < 0, an error. */
static int unsbi_schannel_flush(unsb_schannel *tls)
{
    const unsb_transport *inner = &tls->config.inner;

    if (tls->send_failure != 0) {
        return tls->send_failure;
    }
    while (unsbi_schannel_unsent(tls)) {
        bool record = tls->out_at < tls->out_have;
        const uint8_t *data = record ? tls->out + tls->out_at : tls->token + tls->token_at;
        size_t size = record ? tls->out_have - tls->out_at : tls->token_size - tls->token_at;
        int count;
        if (tls->steps <= 0) {
            return 0;
        }
        tls->steps--;
        count = inner->vtable->send(inner->context, data, size);
        if (count < 0) {
            tls->send_failure = count;
        }
        if (count <= 0) {
            return count;
        }
        if (record) {
            tls->out_at += (size_t)count;
        } else {
            tls->token_at += (size_t)count;
            if (tls->token_at == tls->token_size) {
                unsbi_schannel_free_token(tls);
            }
        }
    }
    return 1;
}

/* Fetches what has come: > 0, something; 0, nothing yet; < 0, an error. */
static int unsbi_schannel_fill(unsb_schannel *tls)
{
    const unsb_transport *inner = &tls->config.inner;
    int count;

    if (tls->have == tls->in_size) {
        return unsbi_schannel_failed(tls, SEC_E_BUFFER_TOO_SMALL);
    }
    if (tls->steps <= 0) {
        return 0;
    }
    tls->steps--;
    count = inner->vtable->recv(inner->context, tls->in + tls->have, tls->in_size - tls->have);
    if (count > 0) {
        tls->have += (size_t)count;
        tls->starved = false;
        return count;
    }
    if (count == UNSB_E_CLOSED) {
        /* An end that anyone on the path can forge (RFC 5246 section 7.2.1). */
        return unsbi_schannel_fail(tls, UNSB_E_IO, (int)SEC_E_INCOMPLETE_MESSAGE);
    }
    return count == 0 ? 0 : unsbi_schannel_fail(tls, count, 0);
}

/* The last `size` bytes of what has come are what is left. */
static void unsbi_schannel_keep(unsb_schannel *tls, size_t size)
{
    if (size > tls->have) {
        size = tls->have;
    }
    memmove(tls->in, tls->in + tls->have - size, size);
    tls->have = size;
}

/* Whether a whole record lies there. One that cannot fit counts, so that it is refused at once. */
static bool unsbi_schannel_whole(const unsb_schannel *tls)
{
    size_t size;
    if (tls->have < 5) {
        return false;
    }
    size = 5 + ((size_t)tls->in[3] << 8) + tls->in[4];
    return size <= tls->have || size > tls->in_size;
}

/* ---- the handshake ---- */

/* Wine has no SEC_I_CONTEXT_EXPIRED for close_notify, and overlooks what is disabled. */
static bool unsbi_schannel_is_wine(void)
{
    HMODULE system = GetModuleHandleW(L"ntdll.dll");
    return system != NULL && GetProcAddress(system, "wine_get_version") != NULL;
}

static void unsbi_schannel_buffer(SecBuffer *buffer, unsigned long type, void *data, size_t size)
{
    buffer->BufferType = type;
    buffer->pvBuffer = data;
    buffer->cbBuffer = (unsigned long)size;
}

static void unsbi_schannel_buffers(SecBufferDesc *list, SecBuffer *buffers, unsigned long count)
{
    list->ulVersion = SECBUFFER_VERSION;
    list->cBuffers = count;
    list->pBuffers = buffers;
}

/* SCH_CREDENTIALS and TLS_PARAMETERS, by which Windows 10 (1809) and later are asked for TLS 1.3:
 * headers have them for some programs alone. */
typedef struct unsbi_schannel_parameters {
    DWORD alpn_count;
    void *alpn;
    DWORD disabled_protocols;
    DWORD crypto_count;
    void *crypto;
    DWORD flags;
} unsbi_schannel_parameters;

typedef struct unsbi_schannel_modern {
    DWORD version; /* 5 */
    DWORD format;
    DWORD certificate_count;
    PCCERT_CONTEXT *certificates;
    HCERTSTORE root_store;
    DWORD mapper_count;
    void **mappers;
    DWORD lifespan;
    DWORD flags;
    DWORD parameter_count;
    unsbi_schannel_parameters *parameters;
} unsbi_schannel_modern;

static SECURITY_STATUS unsbi_schannel_acquire(unsb_schannel *tls)
{
    const DWORD flags = SCH_CRED_MANUAL_CRED_VALIDATION | SCH_CRED_NO_DEFAULT_CREDS |
                        UNSBI_SCHANNEL_STRONG;
    WCHAR package[] = UNISP_NAME_W;
    unsbi_schannel_parameters parameters;
    unsbi_schannel_modern modern;
    SCHANNEL_CRED older;
    SECURITY_STATUS status = SEC_E_UNKNOWN_CREDENTIALS;

    memset(&parameters, 0, sizeof parameters);
    parameters.disabled_protocols = ~(DWORD)(UNSBI_SCHANNEL_TLS12 | UNSBI_SCHANNEL_TLS13);
    memset(&modern, 0, sizeof modern);
    modern.version = 5;
    modern.flags = flags;
    modern.parameter_count = 1;
    modern.parameters = &parameters;
    if (!unsbi_schannel_is_wine()) {
        status = AcquireCredentialsHandleW(NULL, package, SECPKG_CRED_OUTBOUND, NULL, &modern, NULL,
                                           NULL, &tls->credentials, NULL);
    }
    if (status != SEC_E_OK) {
        memset(&older, 0, sizeof older);
        older.dwVersion = SCHANNEL_CRED_VERSION;
        older.grbitEnabledProtocols = UNSBI_SCHANNEL_TLS12;
        older.dwFlags = flags;
        status = AcquireCredentialsHandleW(NULL, package, SECPKG_CRED_OUTBOUND, NULL, &older, NULL,
                                           NULL, &tls->credentials, NULL);
    }
    tls->has_credentials = status == SEC_E_OK;
    return status;
}

/* A fatal alert in plain text among the records that have come: Schannel has no number for it. */
static uint8_t unsbi_schannel_find_alert(const unsb_schannel *tls)
{
    size_t at = 0;
    while (tls->have - at >= 7) {
        const uint8_t *record = tls->in + at;
        size_t size = 5 + ((size_t)record[3] << 8) + record[4];
        if (record[0] == 21 && size == 7 && record[5] == 2) {
            return record[6];
        }
        if (size > tls->have - at) {
            break;
        }
        at += size;
    }
    return 0;
}

/* One call of InitializeSecurityContext() with what has come, if anything has. What it makes to be
 * sent becomes tls->token. */
static SECURITY_STATUS unsbi_schannel_step(unsb_schannel *tls)
{
    const unsigned long wanted = ISC_REQ_SEQUENCE_DETECT | ISC_REQ_REPLAY_DETECT |
                                 ISC_REQ_CONFIDENTIALITY | ISC_REQ_EXTENDED_ERROR |
                                 ISC_REQ_ALLOCATE_MEMORY | ISC_REQ_STREAM |
                                 ISC_REQ_USE_SUPPLIED_CREDS | ISC_REQ_MANUAL_CRED_VALIDATION;
    bool first = !tls->has_context;
    WCHAR name[256];
    SecBuffer in[2];
    SecBuffer out[2];
    SecBufferDesc input;
    SecBufferDesc output;
    unsigned long attributes = 0;
    SECURITY_STATUS status;

    unsbi_schannel_widen(tls, name);
    unsbi_schannel_buffer(&in[0], SECBUFFER_TOKEN, tls->in, tls->have);
    unsbi_schannel_buffer(&in[1], SECBUFFER_EMPTY, NULL, 0);
    unsbi_schannel_buffers(&input, in, 2);
    unsbi_schannel_buffer(&out[0], SECBUFFER_TOKEN, NULL, 0);
    unsbi_schannel_buffer(&out[1], UNSBI_SCHANNEL_ALERT, NULL, 0);
    unsbi_schannel_buffers(&output, out, 2);
    status = InitializeSecurityContextW(&tls->credentials, first ? NULL : &tls->context,
                                        name[0] != L'\0' ? name : NULL, wanted, 0, 0,
                                        tls->have == 0 ? NULL : &input, 0, &tls->context, &output,
                                        &attributes, NULL);
    if (first && (status == SEC_E_OK || status == SEC_I_CONTINUE_NEEDED)) {
        tls->has_context = true;
    }
    if (out[0].pvBuffer == NULL || out[0].cbBuffer == 0) { /* an alert goes out alone */
        SecBuffer swap = out[0];
        out[0] = out[1];
        out[1] = swap;
    }
    if (out[1].pvBuffer != NULL) {
        (void)FreeContextBuffer(out[1].pvBuffer);
    }
    tls->token = (uint8_t *)out[0].pvBuffer;
    tls->token_size = out[0].cbBuffer;
    tls->token_at = 0;
    if (tls->token_size == 0) {
        unsbi_schannel_free_token(tls);
    }
    if (!first && status != SEC_E_INCOMPLETE_MESSAGE && status != SEC_I_INCOMPLETE_CREDENTIALS) {
        tls->alert = unsbi_schannel_find_alert(tls);
        unsbi_schannel_keep(tls, in[1].BufferType == SECBUFFER_EXTRA ? in[1].cbBuffer : 0);
    }
    tls->starved = status == SEC_E_INCOMPLETE_MESSAGE;
    return status;
}

/* Carries the handshake on, the first one, or with TLS 1.3 a message after it: UNSB_OK when
 * Schannel has no more to say (its last message may still have to go out), UNSB_PENDING, or an
 * error. */
static int unsbi_schannel_negotiate(unsb_schannel *tls)
{
    for (;;) {
        SECURITY_STATUS status;
        int rc = unsbi_schannel_flush(tls);
        if (rc <= 0) {
            return rc == 0 ? UNSB_PENDING : unsbi_schannel_fail(tls, rc, 0);
        }
        if (tls->has_context && (tls->have == 0 || tls->starved)) {
            rc = unsbi_schannel_fill(tls);
            if (rc <= 0) {
                return rc == 0 ? UNSB_PENDING : rc;
            }
        }
        if (tls->steps <= 0) {
            return UNSB_PENDING;
        }
        tls->steps--;
        status = unsbi_schannel_step(tls);
        if (status == SEC_E_OK) {
            tls->alert = 0;
            return UNSB_OK;
        }
        /* Without a certificate of the client's it is asked again, and then goes on without. */
        if (status != SEC_I_CONTINUE_NEEDED && status != SEC_E_INCOMPLETE_MESSAGE &&
            status != SEC_I_INCOMPLETE_CREDENTIALS) {
            (void)unsbi_schannel_flush(tls); /* an alert, perhaps */
            return unsbi_schannel_failed(tls, status);
        }
        tls->alert = 0;
    }
}

/* ---- what was agreed on ---- */

/* ECDHE with ChaCha20-Poly1305, AES-GCM or AES-CCM; those of TLS 1.3. */
static bool unsbi_schannel_takes_suite(DWORD suite)
{
    static const uint16_t suites[] = {0xCCA8, 0xCCA9, 0xC02B, 0xC02C, 0xC02F, 0xC030,
                                      0xC0AC, 0xC0AD, 0x1301, 0x1302, 0x1303, 0x1304};
    size_t i;
    for (i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        if (suites[i] == suite) {
            return true;
        }
    }
    return false;
}

/* SecPkgContext_CipherInfo, which older headers lack. */
typedef struct unsbi_schannel_cipher {
    DWORD version; /* 1 */
    DWORD protocol;
    DWORD suite;
    DWORD base_suite;
    WCHAR texts[6 * 64];
    DWORD numbers[8];
} unsbi_schannel_cipher;

static bool unsbi_schannel_takes_cipher(unsb_schannel *tls)
{
    unsbi_schannel_cipher cipher;
    SecPkgContext_ConnectionInfo info;

    memset(&info, 0, sizeof info);
    if (QueryContextAttributesW(&tls->context, SECPKG_ATTR_CONNECTION_INFO, &info) != SEC_E_OK) {
        return false;
    }
    tls->version = info.dwProtocol == UNSBI_SCHANNEL_TLS13   ? 0x0304
                   : info.dwProtocol == UNSBI_SCHANNEL_TLS12 ? 0x0303
                                                             : 0;
    if (tls->version == 0) {
        return false;
    }
    memset(&cipher, 0, sizeof cipher);
    cipher.version = 1;
    if (QueryContextAttributesW(&tls->context, UNSBI_SCHANNEL_CIPHER_INFO, &cipher) == SEC_E_OK &&
        cipher.suite != 0) {
        return unsbi_schannel_takes_suite(cipher.suite);
    }
    /* Wine has no number for the suite, but no key for a MAC where the cipher is an AEAD. */
    return info.aiExch == CALG_ECDH_EPHEM && info.dwHashStrength == 0;
}

/* Schannel has agreed with the server: is this what the port takes? */
static int unsbi_schannel_agreed(unsb_schannel *tls)
{
    SecPkgContext_SessionInfo session;
    SECURITY_STATUS status;

    if (!unsbi_schannel_takes_cipher(tls)) {
        return unsbi_schannel_failed(tls, UNSB_SCHANNEL_CIPHER);
    }
    status = QueryContextAttributesW(&tls->context, SECPKG_ATTR_STREAM_SIZES, &tls->sizes);
    if (status != SEC_E_OK ||
        (size_t)tls->sizes.cbHeader + tls->sizes.cbTrailer >= tls->out_size) {
        return unsbi_schannel_failed(tls, status != SEC_E_OK ? status : SEC_E_BUFFER_TOO_SMALL);
    }
    memset(&session, 0, sizeof session);
    tls->resumed = QueryContextAttributesW(&tls->context, SECPKG_ATTR_SESSION_INFO, &session) ==
                       SEC_E_OK &&
                   (session.dwFlags & SSL_SESSION_RECONNECT) != 0;
    return unsbi_schannel_check_certificate(tls);
}

/* ---- records ---- */

/* What DecryptMessage() found in the record. */
static int unsbi_schannel_take_record(unsb_schannel *tls, const SecBuffer *buffers, uint8_t type)
{
    size_t extra = 0;
    size_t i;

    tls->plain_at = tls->plain_size = 0;
    for (i = 1; i < 4; i++) { /* the first is what was handed in, or the header */
        if (buffers[i].BufferType == SECBUFFER_DATA && buffers[i].cbBuffer != 0) {
            tls->plain_at = (size_t)((const uint8_t *)buffers[i].pvBuffer - tls->in);
            tls->plain_size = buffers[i].cbBuffer;
        } else if (buffers[i].BufferType == SECBUFFER_EXTRA) {
            extra = buffers[i].cbBuffer;
        }
    }
    if (extra > tls->have || tls->plain_at > tls->have - extra ||
        tls->plain_size > tls->have - extra - tls->plain_at) {
        return unsbi_schannel_failed(tls, SEC_E_INTERNAL_ERROR);
    }
    tls->next = tls->have - extra;
    if (tls->plain_size == 0) {
        unsbi_schannel_keep(tls, extra);
        /* Of TLS 1.2, whose records show what they are: an alert that is no error ends it. */
        tls->ended = type == 21 && tls->version == 0x0303 && unsbi_schannel_is_wine();
    }
    return UNSB_OK;
}

/* Decrypts the record that lies there whole: UNSB_OK or an error. */
static int unsbi_schannel_decrypt(unsb_schannel *tls)
{
    SecBuffer buffers[4];
    SecBufferDesc message;
    SECURITY_STATUS status;
    uint8_t type = tls->in[0];
    size_t i;
    int rc;

    if (5 + ((size_t)tls->in[3] << 8) + tls->in[4] > tls->in_size) {
        return unsbi_schannel_failed(tls, SEC_E_BUFFER_TOO_SMALL);
    }
    unsbi_schannel_buffer(&buffers[0], SECBUFFER_DATA, tls->in, tls->have);
    for (i = 1; i < 4; i++) {
        unsbi_schannel_buffer(&buffers[i], SECBUFFER_EMPTY, NULL, 0);
    }
    unsbi_schannel_buffers(&message, buffers, 4);
    status = DecryptMessage(&tls->context, &message, 0, NULL);
    if (status == SEC_I_CONTEXT_EXPIRED) {
        tls->ended = true;
        tls->have = 0;
        return UNSB_OK;
    }
    if (status != SEC_E_OK && (status != SEC_I_RENEGOTIATE || tls->version != 0x0304)) {
        return unsbi_schannel_failed(tls, status);
    }
    rc = unsbi_schannel_take_record(tls, buffers, type);
    if (rc == UNSB_OK && status == SEC_I_RENEGOTIATE) {
        tls->renewing = true;
        tls->starved = false;
    }
    return rc;
}

/* ---- the transport ---- */

/* What can be told before the inner transport connects. */
static int unsbi_schannel_check(unsb_schannel *tls, const char *host)
{
    const unsb_schannel_config *config = &tls->config;
    size_t spare;
    size_t i;

    if (config->inner.vtable == NULL || config->buffer == NULL ||
        config->buffer_size < UNSB_SCHANNEL_BUFFER_MIN) {
        return unsbi_schannel_fail(tls, UNSB_E_SCHANNEL_CONFIG, 0);
    }
    if (config->pins_alone && (config->pins == NULL || config->pin_count == 0)) {
        return unsbi_schannel_fail(tls, UNSB_E_TRUST, 0);
    }
    if (!unsb_address_host(host, tls->host, tls->address, &tls->address_size)) {
        return unsbi_schannel_fail(tls, UNSB_E_CERTIFICATE, (int)CERT_E_CN_NO_MATCH);
    }
    for (i = 0; tls->address_size == 0 && tls->host[i] != '\0'; i++) {
        if (tls->host[i] <= ' ' || tls->host[i] > '~') { /* names are in ASCII there (RFC 5890) */
            return unsbi_schannel_fail(tls, UNSB_E_CERTIFICATE, (int)CERT_E_CN_NO_MATCH);
        }
    }
    spare = config->buffer_size - UNSBI_SCHANNEL_IN;
    tls->out_size = spare < UNSBI_SCHANNEL_OUT ? spare : UNSBI_SCHANNEL_OUT;
    tls->in_size = config->buffer_size - tls->out_size;
    tls->in = (uint8_t *)config->buffer;
    tls->out = tls->in + tls->in_size;
    return UNSB_OK;
}

/* The inner transport is connected. */
static int unsbi_schannel_start(unsb_schannel *tls)
{
    SECURITY_STATUS status = tls->has_credentials ? SEC_E_OK : unsbi_schannel_acquire(tls);
    if (status != SEC_E_OK) {
        return unsbi_schannel_failed(tls, status);
    }
    tls->state = UNSBI_SCHANNEL_HANDSHAKE;
    return UNSB_OK;
}

static int unsbi_schannel_connect(void *context, const char *host, uint16_t port)
{
    unsb_schannel *tls = (unsb_schannel *)context;
    const unsb_transport *inner = &tls->config.inner;
    int rc;

    tls->steps = UNSBI_SCHANNEL_STEPS;
    switch (tls->state) {
    case UNSBI_SCHANNEL_IDLE:
        tls->error = 0;
        tls->alert = 0;
        tls->version = 0;
        tls->resumed = false;
        rc = unsbi_schannel_check(tls, host);
        if (rc != UNSB_OK) {
            return rc;
        }
        tls->state = UNSBI_SCHANNEL_CONNECTING;
        /* fall through */
    case UNSBI_SCHANNEL_CONNECTING:
        rc = inner->vtable->connect(inner->context, host, port);
        if (rc != UNSB_OK) {
            return rc == UNSB_PENDING ? rc : unsbi_schannel_fail(tls, rc, 0);
        }
        rc = unsbi_schannel_start(tls);
        if (rc != UNSB_OK) {
            return rc;
        }
        /* fall through */
    case UNSBI_SCHANNEL_HANDSHAKE:
        rc = unsbi_schannel_negotiate(tls);
        if (rc != UNSB_OK) {
            return rc;
        }
        rc = unsbi_schannel_agreed(tls);
        if (rc < 0) {
            return rc;
        }
        tls->state = UNSBI_SCHANNEL_JUDGING;
        /* fall through */
    case UNSBI_SCHANNEL_JUDGING:
        rc = unsbi_schannel_judged(tls);
        if (rc != UNSB_OK) {
            return rc;
        }
        tls->state = UNSBI_SCHANNEL_FINISHING;
        /* fall through */
    case UNSBI_SCHANNEL_FINISHING:
        rc = unsbi_schannel_flush(tls);
        if (rc <= 0) {
            return rc == 0 ? UNSB_PENDING : unsbi_schannel_fail(tls, rc, 0);
        }
        tls->state = UNSBI_SCHANNEL_OPEN;
        return UNSB_OK;
    case UNSBI_SCHANNEL_OPEN:
        return UNSB_OK;
    default:
        return tls->failure;
    }
}

/* Answers what came after the handshake: UNSB_OK: there is nothing, or it is done. */
static int unsbi_schannel_renew(unsb_schannel *tls)
{
    int rc;
    if (!tls->renewing || tls->plain_size != 0) {
        return UNSB_OK;
    }
    rc = unsbi_schannel_negotiate(tls);
    tls->renewing = rc == UNSB_PENDING;
    return rc;
}

/* Makes a record of up to `size` bytes in `out`: how many, or an error. */
static int unsbi_schannel_encrypt(unsb_schannel *tls, const void *data, size_t size)
{
    size_t header = tls->sizes.cbHeader;
    size_t room = tls->out_size - header - tls->sizes.cbTrailer;
    SecBuffer buffers[4];
    SecBufferDesc message;
    SECURITY_STATUS status;
    size_t i;

    room = room < tls->sizes.cbMaximumMessage ? room : tls->sizes.cbMaximumMessage;
    size = size < room ? size : room;
    memcpy(tls->out + header, data, size);
    unsbi_schannel_buffer(&buffers[0], SECBUFFER_STREAM_HEADER, tls->out, header);
    unsbi_schannel_buffer(&buffers[1], SECBUFFER_DATA, tls->out + header, size);
    unsbi_schannel_buffer(&buffers[2], SECBUFFER_STREAM_TRAILER, tls->out + header + size,
                          tls->sizes.cbTrailer);
    unsbi_schannel_buffer(&buffers[3], SECBUFFER_EMPTY, NULL, 0);
    unsbi_schannel_buffers(&message, buffers, 4);
    status = EncryptMessage(&tls->context, 0, &message, 0);
    if (status != SEC_E_OK) {
        return unsbi_schannel_failed(tls, status);
    }
    /* The trailer has become as long as it had to, and the others have, too, in theory. */
    tls->out_at = 0;
    tls->out_have = 0;
    for (i = 0; i < 3; i++) {
        memmove(tls->out + tls->out_have, buffers[i].pvBuffer, buffers[i].cbBuffer);
        tls->out_have += buffers[i].cbBuffer;
    }
    return (int)size;
}

static int unsbi_schannel_send(void *context, const void *data, size_t size)
{
    unsb_schannel *tls = (unsb_schannel *)context;
    int rc = tls->failure != 0 ? tls->failure : tls->send_failure;

    if (tls->state != UNSBI_SCHANNEL_OPEN) {
        return rc != 0 ? rc : UNSB_E_IO;
    }
    if (rc != 0 || size == 0) {
        return rc;
    }
    if (tls->ended) {
        return UNSB_E_CLOSED;
    }
    tls->steps = UNSBI_SCHANNEL_STEPS;
    rc = unsbi_schannel_renew(tls);
    if (rc != UNSB_OK) {
        return rc == UNSB_PENDING ? 0 : rc;
    }
    rc = unsbi_schannel_flush(tls);
    if (rc <= 0) {
        return rc;
    }
    rc = unsbi_schannel_encrypt(tls, data, size);
    if (rc > 0) {
        /* Taken: what the inner transport does not take now goes out with the next call, and an
         * error is its result. */
        (void)unsbi_schannel_flush(tls);
    }
    return rc;
}

static int unsbi_schannel_recv(void *context, void *data, size_t size)
{
    unsb_schannel *tls = (unsb_schannel *)context;

    if (tls->state != UNSBI_SCHANNEL_OPEN) {
        return tls->failure != 0 ? tls->failure : UNSB_E_IO;
    }
    if (tls->failure != 0 || size == 0) {
        return tls->failure;
    }
    tls->steps = UNSBI_SCHANNEL_STEPS;
    if (tls->send_failure == 0) {
        (void)unsbi_schannel_flush(tls);
    }
    while (tls->plain_size == 0 && !tls->ended) {
        int rc = unsbi_schannel_renew(tls);
        if (rc == UNSB_OK && !unsbi_schannel_whole(tls)) {
            rc = unsbi_schannel_fill(tls);
            if (rc > 0) {
                continue;
            }
            return rc;
        }
        if (rc == UNSB_OK && tls->steps > 0) {
            tls->steps--;
            rc = unsbi_schannel_decrypt(tls);
        } else if (rc == UNSB_OK) {
            rc = UNSB_PENDING;
        }
        if (rc != UNSB_OK) {
            return rc == UNSB_PENDING ? 0 : rc;
        }
    }
    if (tls->plain_size == 0) {
        return UNSB_E_CLOSED; /* the answering close_notify is left to close */
    }
    size = size < tls->plain_size ? size : tls->plain_size;
    memcpy(data, tls->in + tls->plain_at, size);
    tls->plain_at += size;
    tls->plain_size -= size;
    if (tls->plain_size == 0) {
        unsbi_schannel_keep(tls, tls->have - tls->next);
    }
    return (int)size;
}

/* ---- closing ---- */

/* Says goodbye with close_notify, as far as the inner transport takes it at once. */
static void unsbi_schannel_notify(unsb_schannel *tls)
{
    DWORD type = SCHANNEL_SHUTDOWN;
    SecBuffer buffer;
    SecBufferDesc control;

    tls->steps = UNSBI_SCHANNEL_STEPS;
    if (tls->state != UNSBI_SCHANNEL_OPEN || tls->failure != 0 || tls->renewing ||
        unsbi_schannel_flush(tls) <= 0) {
        return;
    }
    unsbi_schannel_buffer(&buffer, SECBUFFER_TOKEN, &type, sizeof type);
    unsbi_schannel_buffers(&control, &buffer, 1);
    if (ApplyControlToken(&tls->context, &control) == SEC_E_OK) {
        tls->have = 0; /* there is nothing to be read */
        (void)unsbi_schannel_step(tls);
        (void)unsbi_schannel_flush(tls);
    }
}

static void unsbi_schannel_end(unsb_schannel *tls, bool quietly)
{
    const unsb_transport *inner = &tls->config.inner;

    if (tls->state == UNSBI_SCHANNEL_IDLE) {
        return;
    }
    if (!quietly) {
        unsbi_schannel_notify(tls);
    }
    if (inner->vtable != NULL) {
        if (quietly && inner->vtable->drop != NULL) {
            inner->vtable->drop(inner->context);
        } else {
            inner->vtable->close(inner->context);
        }
    }
    unsbi_schannel_job_leave(tls);
    unsbi_schannel_free_token(tls);
    if (tls->has_context) {
        (void)DeleteSecurityContext(&tls->context);
    }
    /* Given up within the handshake, or by an error of TLS's: that session is not taken again. */
    if (tls->config.no_resumption || tls->state != UNSBI_SCHANNEL_OPEN ||
        tls->failure == UNSB_E_TLS) {
        unsbi_schannel_free_credentials(tls);
    }
    if (tls->in != NULL) {
        unsbi_schannel_zero(tls->config.buffer, tls->config.buffer_size);
    }
    tls->has_context = tls->starved = tls->renewing = tls->ended = false;
    tls->failure = tls->send_failure = 0;
    tls->in = tls->out = NULL;
    tls->have = tls->plain_at = tls->plain_size = tls->next = 0;
    tls->out_at = tls->out_have = 0;
    unsbi_schannel_zero(&tls->context, sizeof tls->context);
    tls->state = UNSBI_SCHANNEL_IDLE;
}

static void unsbi_schannel_close(void *context)
{
    unsbi_schannel_end((unsb_schannel *)context, false);
}

static void unsbi_schannel_drop(void *context)
{
    unsbi_schannel_end((unsb_schannel *)context, true);
}

/* ---- waiting ---- */

/* Whether the handshake, or what came after it, can go on; `*wanted`: what it waits for. */
static bool unsbi_schannel_can_go_on(const unsb_schannel *tls, int *wanted)
{
    if (unsbi_schannel_unsent(tls)) {
        *wanted |= UNSB_WRITABLE;
        return tls->send_failure != 0;
    }
    *wanted |= UNSB_READABLE;
    return tls->state == UNSBI_SCHANNEL_FINISHING || (tls->have != 0 && !tls->starved);
}

/* What the inner transport must wait for, so that what the client waits for can happen. `*ready`:
 * it can happen now. */
static int unsbi_schannel_translate(const unsb_schannel *tls, int interest, bool *ready)
{
    int wanted = 0;

    *ready = false;
    if (interest == 0 || tls->state == UNSBI_SCHANNEL_CONNECTING) {
        return interest;
    }
    if (tls->failure != 0 || tls->state == UNSBI_SCHANNEL_IDLE ||
        tls->state == UNSBI_SCHANNEL_FAILED) {
        *ready = true; /* there is an error to be fetched */
    } else if (tls->state == UNSBI_SCHANNEL_JUDGING) {
        *ready = true; /* no socket tells when the thread is through */
    } else if (tls->state != UNSBI_SCHANNEL_OPEN || tls->renewing) {
        *ready = unsbi_schannel_can_go_on(tls, &wanted) || tls->plain_size != 0;
    } else {
        if (unsbi_schannel_unsent(tls) && tls->send_failure == 0) {
            wanted |= UNSB_WRITABLE;
        }
        if ((interest & UNSB_READABLE) != 0) {
            *ready = tls->ended || tls->plain_size != 0 || unsbi_schannel_whole(tls);
            wanted |= UNSB_READABLE;
        }
        if ((interest & UNSB_WRITABLE) != 0) {
            *ready = *ready || tls->ended || tls->send_failure != 0;
            wanted |= UNSB_WRITABLE;
        }
    }
    return *ready ? UNSB_READABLE | UNSB_WRITABLE : wanted;
}

static int unsbi_schannel_interest(void *context, int interest)
{
    unsb_schannel *tls = (unsb_schannel *)context;
    const unsb_transport *inner = &tls->config.inner;
    bool ready;
    /* Where plaintext is waiting already, writable is the soonest that a socket can report. */
    int wanted = unsbi_schannel_translate(tls, interest, &ready);
    if (inner->vtable == NULL || inner->vtable->interest == NULL) {
        return wanted;
    }
    return inner->vtable->interest(inner->context, wanted);
}

static int unsbi_schannel_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsb_schannel *tls = (unsb_schannel *)context;
    const unsb_transport *inner = &tls->config.inner;
    bool ready;
    int wanted = unsbi_schannel_translate(tls, interest, &ready);

    if (interest != 0 && tls->state == UNSBI_SCHANNEL_JUDGING && tls->thread != NULL) {
        /* UNSB_FOREVER is INFINITE */
        DWORD rc = WaitForSingleObject(tls->thread, timeout_ms);
        return rc == WAIT_TIMEOUT ? UNSB_E_TIMEOUT : UNSB_OK;
    }
    return ready ? UNSB_OK : inner->vtable->wait(inner->context, wanted, timeout_ms);
}

static const unsb_transport_class unsbi_schannel_class = {
    unsbi_schannel_connect, unsbi_schannel_send,     unsbi_schannel_recv, unsbi_schannel_close,
    unsbi_schannel_wait,    unsbi_schannel_interest, unsbi_schannel_drop};

static const unsb_transport_class unsbi_schannel_class_without_wait = {
    unsbi_schannel_connect, unsbi_schannel_send,     unsbi_schannel_recv, unsbi_schannel_close,
    NULL,                   unsbi_schannel_interest, unsbi_schannel_drop};

UNSBI_SCHANNEL_FN unsb_transport unsb_schannel_transport(unsb_schannel *tls,
                                                         const unsb_schannel_config *config)
{
    unsb_transport transport;
    memset(tls, 0, sizeof *tls);
    tls->config = *config;
    transport.vtable = &unsbi_schannel_class;
    if (config->inner.vtable == NULL || config->inner.vtable->wait == NULL) {
        transport.vtable = &unsbi_schannel_class_without_wait;
    }
    transport.context = tls;
    return transport;
}

UNSBI_SCHANNEL_FN void unsb_schannel_wipe(unsb_schannel *tls)
{
    unsbi_schannel_close(tls);
    unsbi_schannel_free_credentials(tls);
    unsbi_schannel_zero(&tls->credentials, sizeof tls->credentials);
}

/* ---- anchors ---- */

/* Adds one, whose text it is. A certificate that takes more than 8 K is none. */
static bool unsbi_schannel_add(HCERTSTORE store, const char *text, size_t size)
{
    BYTE der[8192];
    DWORD der_size = (DWORD)sizeof der;

    return size < sizeof der * 2 &&
           CryptStringToBinaryA(text, (DWORD)size, CRYPT_STRING_BASE64HEADER, der, &der_size, NULL,
                                NULL) &&
           CertAddEncodedCertificateToStore(store, X509_ASN_ENCODING, der, der_size,
                                            CERT_STORE_ADD_USE_EXISTING, NULL);
}

/* Where `mark` begins in the text, or its end. */
static size_t unsbi_schannel_find(const char *text, size_t size, size_t at, const char *mark)
{
    size_t length = strlen(mark);
    for (; at < size; at++) {
        if (size - at >= length && memcmp(text + at, mark, length) == 0) {
            return at;
        }
    }
    return size;
}

UNSBI_SCHANNEL_FN int unsb_schannel_add_pem(HCERTSTORE *store, const char *text, size_t size)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    static const char end[] = "-----END CERTIFICATE-----";
    int rc = UNSB_E_TRUST;
    size_t at = 0;

    if (*store == NULL) {
        *store = CertOpenStore(CERT_STORE_PROV_MEMORY, 0, 0, 0, NULL);
        if (*store == NULL) {
            return rc;
        }
    }
    while ((at = unsbi_schannel_find(text, size, at, begin)) < size) {
        size_t stop = unsbi_schannel_find(text, size, at, end);
        if (stop == size) {
            break;
        }
        stop += sizeof end - 1;
        if (unsbi_schannel_add(*store, text + at, stop - at)) {
            rc = UNSB_OK;
        }
        at = stop;
    }
    return rc;
}

/* ---- words ---- */

UNSBI_SCHANNEL_FN const char *unsb_schannel_error_text(int error)
{
    static const struct {
        uint32_t error;
        const char *text;
    } texts[] = {
        {0, "no more is known"},
        {UNSB_SCHANNEL_NOT_PINNED, "the server's key is not one of those that are expected"},
        {UNSB_SCHANNEL_WEAK, "a certificate has a weak key or a weak signature"},
        {UNSB_SCHANNEL_CIPHER, "the server knows no cipher that is good enough"},
        {0x800B0101u, "a certificate has expired or is not valid yet, or the clock is wrong"},
        {0x80090328u, "a certificate has expired or is not valid yet, or the clock is wrong"},
        {0x800B0109u, "the certificate is from an unknown authority"},
        {0x80090325u, "the certificate is from an unknown authority"},
        {0x800B0112u, "the certificate is from an unknown authority"},
        {0x800B010Au, "the certificate leads to no known authority"},
        {0x800B010Fu, "the certificate is for another name"},
        {0x80090322u, "the certificate is for another name"},
        {0x800B0110u, "a certificate is not meant for servers"},
        {0x80090349u, "a certificate is not meant for servers"},
        {0x800B010Cu, "a certificate has been revoked"},
        {0x80092010u, "a certificate has been revoked"},
        {0x800B0111u, "a certificate is distrusted on this computer"},
        {0x800B0114u, "an authority may not vouch for this name"},
        {0x800B0105u, "a certificate has a critical part that is not known"},
        {0x80096004u, "a certificate's signature is wrong"},
        {0x80096019u, "a certificate was issued by one that may not issue any"},
        {0x800B010Bu, "the certificate cannot be trusted"},
        {0x80090327u, "the certificate cannot be read"},
        {0x80090331u, "the server and Windows have no version of TLS or no cipher in common"},
        {0x80090302u, "the server does not know the version of TLS"},
        {0x80090308u, "what came is not TLS"},
        {0x80090326u, "the server's message is wrong, or it refused the handshake"},
        {0x8009030Fu, "a message was changed on the way"},
        {0x80090330u, "a record cannot be decrypted"},
        {0x80090318u, "the connection ended without a goodbye"},
        {0x80090321u, "a record or a certificate is too large for the buffer"},
        {0x00090321u, "the server wants to negotiate again"},
        {0x80090305u, "this Windows has no Schannel"},
        {0x80090300u, "Windows has too little memory"},
        {0x80090304u, "Schannel failed, or the server refused the handshake"}};
    size_t i;
    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].error == (uint32_t)error) {
            return texts[i].text;
        }
    }
    return "another error of Windows";
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_SCHANNEL_H */
