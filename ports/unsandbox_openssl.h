/* unsandbox_openssl.h - TLS for unsandbox.h by OpenSSL 3, over any other transport
 *
 *     #include "unsandbox.h"
 *     #include "unsandbox_posix.h"          (or any transport that moves bytes)
 *     #include "unsandbox_openssl.h"
 *
 *     static unsb_posix tcp;
 *     static unsb_openssl tls;
 *     unsb_openssl_trust trust = {0};
 *     int rc = unsb_openssl_load_pem(&trust, NULL);         (the system's bundle, or a path)
 *     unsb_openssl_config secure = {0};
 *     secure.inner = unsb_posix_transport(&tcp);
 *     secure.anchors = trust.store;         (or any X509_STORE)
 *     config.transport = unsb_openssl_transport(&tls, &secure);
 *     ...
 *     unsb_openssl_wipe(&tls);              (after the client is closed)
 *     unsb_openssl_free_trust(&trust);
 *
 * All functions are static: include the file wherever it is needed, there is no implementation
 * macro. C99 or C++11; link with -lssl -lcrypto. Copy unsandbox_address.h with it.
 *
 * What is always checked; there is no switch, and no configuration file of OpenSSL's lowers it:
 *   - TLS 1.3, or 1.2 with ECDHE and an AEAD cipher (AES-GCM, ChaCha20-Poly1305, AES-CCM), no
 *     compression; a server that asks to renegotiate is told no.
 *   - The chain up to a trust anchor (the store's certificates, intermediate ones included), the
 *     dates of all of it, name constraints; keys and signatures worth 112 bits (OpenSSL's security
 *     level 2: RSA of 2048 bits, curves of 224; no SHA-1, no MD5), in a certificate and in the
 *     handshake. keyUsage must allow signatures, and extKeyUsage, where there is one, must name
 *     serverAuth (anyExtendedKeyUsage does not count). Revocation is checked only where the store
 *     has lists and asks for it (X509_V_FLAG_CRL_CHECK).
 *   - The host's name, against the dNSName entries of the certificate's subjectAltName (a wildcard
 *     may stand for the first label). An IPv4 or IPv6 address as host must be among the iPAddress
 *     entries (RFC 9525 section 6.5); SNI is not sent then (RFC 6066 section 3). The common name
 *     never counts: a certificate without a subjectAltName is refused.
 *   - That the peer ends the stream with close_notify: a connection that just ends is UNSB_E_IO.
 *
 * Pins: digests of public keys (RFC 7469 section 2.4: SHA-256 of the SubjectPublicKeyInfo, in DER).
 * It is the server's own key that must be among them, not one further up; to pin an authority, make
 * it the only anchor. With anchors, a pin is one more condition. Without them, it takes the place
 * of the chain: dates, signatures and all other certificates do not count (but OpenSSL must be able
 * to read them); the name, the usages and the key's strength do.
 *
 * Sessions are resumed when the same host and port are connected to again (by session ID or
 * ticket; in TLS 1.3 each ticket is offered once, RFC 8446 appendix C.4). One session is kept after
 * close, for up to 24 hours where unix_time is given; all else is wiped and released at close.
 * unsb_openssl_wipe() releases the session.
 *
 * Memory: unsb_openssl, 216 bytes on x86-64. On the heap, by OpenSSL: 60 to 95 K while connected
 * (of which 34 K are two queues for records), 125 K while connecting, 6 K for the session that is
 * kept, and once in a process some 330 K of what OpenSSL loads for itself. Trusted certificates
 * take 5 K each: 750 K for a system's bundle.
 *
 * OpenSSL's queue of errors, one for each thread, is left as it was found (but for marks set in it
 * by ERR_set_mark()), so that the caller's own calls of OpenSSL are not misled.
 *
 * Errors: tls.error says more, unsb_openssl_error_text() says it in words.
 *   UNSB_E_CERTIFICATE     < 0x10000: an X509_V_ERR_... number; of these, _HOSTNAME_MISMATCH also
 *                          for a host that cannot be a name or an address, or a certificate without
 *                          subjectAltName; _KEYUSAGE_NO_DIGITAL_SIGNATURE: not for TLS;
 *                          _APPLICATION_VERIFICATION: the key is not pinned. Others: it could not
 *                          be read, OpenSSL's packed number (ERR_GET_LIB, ERR_GET_REASON)
 *   UNSB_E_ENTROPY         OpenSSL's packed number
 *   UNSB_E_TRUST           neither anchors nor pins
 *   UNSB_E_TLS             OpenSSL's packed number; if tls.alert is not 0, it is the peer's alert
 *   UNSB_E_IO              with UNSB_OPENSSL_CUT: the stream ended without close_notify
 *   UNSB_E_CLOSED          only from recv and send, after the peer's close_notify
 *   UNSB_E_OPENSSL_CONFIG  the configuration cannot work, or memory ran out: likewise
 * The inner transport's errors come unchanged, with tls.error 0. An error is returned again until
 * close. A failed send leaves recv usable.
 *
 * Limits: OpenSSL 3.0 or later; not LibreSSL, BoringSSL or 1.1.1. No ALPN is offered. */
#ifndef UNSANDBOX_OPENSSL_H
#define UNSANDBOX_OPENSSL_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif

#ifndef UNSANDBOX_ADDRESS_H
#include "unsandbox_address.h"
#endif

#include <openssl/opensslv.h>
#if defined(LIBRESSL_VERSION_NUMBER) || defined(OPENSSL_IS_BORINGSSL) ||                           \
    OPENSSL_VERSION_NUMBER < 0x30000000L
#error "unsandbox_openssl.h is for OpenSSL 3.0 and later"
#endif
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__GNUC__)
#define UNSBI_OPENSSL_FN static __attribute__((unused))
#else
#define UNSBI_OPENSSL_FN static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

/* A code of this port's own: there is no inner transport, or OpenSSL could not be set up. */
#define UNSB_E_OPENSSL_CONFIG (UNSB_E_USER - 4)

/* In tls.error, with UNSB_E_IO: the stream ended without close_notify. */
#define UNSB_OPENSSL_CUT (-1)

/* ---- the configuration; zero is the default of every field ---- */
typedef struct unsb_openssl_config {
    unsb_transport inner; /* required: moves the records */
    X509_STORE *anchors;  /* the trusted certificates; NULL: only where there are pins. The
                             transport takes a reference while it is connected; until then it must
                             stay in place */
    const uint8_t *pins;  /* digests of public keys, 32 bytes each, one after the other; NULL: none.
                             Must outlive the transport */
    size_t pin_count;
    /* Seconds since 1970, to check certificates by. A clock that is not set makes them fail. NULL:
     * the system's clock */
    uint32_t (*unix_time)(void *context);
    void *context;      /* handed to it */
    bool no_resumption; /* true: a full handshake each time */
} unsb_openssl_config;

/* ---- trusted certificates, from PEM files and texts. Zero it before the first use ---- */
typedef struct unsb_openssl_trust {
    X509_STORE *store; /* for unsb_openssl_config */
    size_t count;      /* certificates in it; those of SSL_CERT_DIR are not counted */
    size_t skipped;    /* certificates that could not be read */
    int error;         /* errno of the last failure, 0: none */
} unsb_openssl_trust;

typedef struct unsb_openssl {
    /* to be read */
    int error;     /* more about the last failure, 0: none. Kept until the next connect */
    uint8_t alert; /* the peer's fatal alert, if that is the reason */
    bool resumed;  /* the connection resumed an earlier session */
    /* private */
    uint8_t state;
    bool offered;     /* a session was offered in this handshake */
    bool checked;     /* a certificate was looked at in this handshake */
    bool done;        /* the handshake is over, but for what is yet to be sent of it */
    bool send_reads;  /* send must receive first: a message that is half here */
    bool ended;       /* close_notify has come */
    int steps;        /* calls of the inner transport that are left to this call */
    int failure;      /* sticky */
    int send_failure; /* kept apart, so that recv can still fetch what the peer sent */
    int recv_failure; /* of the inner transport */
    int refused;      /* what was found wrong with the certificate, X509_V_ERR_... */
    unsb_openssl_config config;
    uint8_t address_size; /* 4, 16, or 0: the host is a name */
    uint8_t address[16];
    uint32_t session_time;
    uint8_t session_peer[32]; /* digest of host and port */
    uint8_t peer[32];
    SSL_SESSION *session; /* can be offered to the peer in `session_peer`; NULL: none */
    SSL_CTX *ssl_config;
    SSL *ssl;
    BIO *records; /* the wire's end of a pair of queues; OpenSSL has the other */
} unsb_openssl;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Initialises `tls` (whatever it held: wipe it before, if it was in use) and returns the transport
 * over it. The configuration is copied; what it points to, and `tls`, must stay in place until the
 * client is closed. Mistakes in it are reported by connect. `wait` is NULL if the inner one is. */
UNSBI_OPENSSL_FN unsb_transport unsb_openssl_transport(unsb_openssl *tls,
                                                       const unsb_openssl_config *config);
/* Closes the connection, if any, and forgets the session that could be resumed, so that no key and
 * no memory is left in `tls`. The transport can be used again. */
UNSBI_OPENSSL_FN void unsb_openssl_wipe(unsb_openssl *tls);
/* tls->error in words: "certificate has expired". Never NULL; static. */
UNSBI_OPENSSL_FN const char *unsb_openssl_error_text(const unsb_openssl *tls);

/* Adds the certificates of a PEM file to `trust`. NULL: the file that the environment variable
 * SSL_CERT_FILE names and the directory of hashed certificates that SSL_CERT_DIR names, if either
 * is set; or else the first file that can be opened where OpenSSL and systems keep theirs.
 * UNSB_OK if at least one was added (or SSL_CERT_DIR was: it is looked into when it is needed),
 * else UNSB_E_TRUST; what was there before stays in any case. trust->error has the errno where a
 * file could not be read or memory ran out, and is 0 where the file was read and held nothing that
 * could be used. Other blocks (keys, "TRUSTED CERTIFICATE") are passed over. */
UNSBI_OPENSSL_FN int unsb_openssl_load_pem(unsb_openssl_trust *trust, const char *path);
/* The same from memory. */
UNSBI_OPENSSL_FN int unsb_openssl_add_pem(unsb_openssl_trust *trust, const void *pem, size_t size);
/* Releases everything and zeroes *trust; also twice. */
UNSBI_OPENSSL_FN void unsb_openssl_free_trust(unsb_openssl_trust *trust);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

enum {
    UNSBI_OPENSSL_IDLE,
    UNSBI_OPENSSL_CONNECTING, /* the inner transport */
    UNSBI_OPENSSL_HANDSHAKE,
    UNSBI_OPENSSL_OPEN,
    UNSBI_OPENSSL_FAILED /* connect did */
};

/* Calls of the inner transport that one call may make: a bound on its work. */
#define UNSBI_OPENSSL_STEPS 16

/* Each queue holds the largest record (RFC 5246 section 6.2.3: 2^14 + 2048 bytes and a header at
 * the very most, and some 300 less with these ciphers), and a renewed key's message before it. */
#define UNSBI_OPENSSL_QUEUE 17408
#define UNSBI_OPENSSL_RECORD 16384

/* ---- the thread's queue of errors ----
 *
 * SSL_get_error() takes any entry for its own, and a handshake empties the queue. So what the
 * caller left there is put aside, and put back. */

#define UNSBI_OPENSSL_ERRORS 16 /* as many as OpenSSL keeps */

typedef struct unsbi_openssl_errors {
    size_t count;
    struct {
        unsigned long code;
        int line;
        char *file, *function, *text;
    } items[UNSBI_OPENSSL_ERRORS];
} unsbi_openssl_errors;

static char *unsbi_openssl_copy(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : OPENSSL_strdup(text);
}

static void unsbi_openssl_enter(unsbi_openssl_errors *errors)
{
    errors->count = 0;
    while (errors->count < UNSBI_OPENSSL_ERRORS) {
        const char *file = NULL, *function = NULL, *text = NULL;
        size_t i = errors->count;
        int flags = 0;
        errors->items[i].line = 0;
        errors->items[i].code =
            ERR_get_error_all(&file, &errors->items[i].line, &function, &text, &flags);
        if (errors->items[i].code == 0) {
            return;
        }
        errors->items[i].file = unsbi_openssl_copy(file);
        errors->items[i].function = unsbi_openssl_copy(function);
        errors->items[i].text =
            (flags & ERR_TXT_STRING) != 0 ? unsbi_openssl_copy(text) : NULL;
        errors->count++;
    }
    ERR_clear_error();
}

static void unsbi_openssl_leave(unsbi_openssl_errors *errors)
{
    size_t i;
    ERR_clear_error();
    for (i = 0; i < errors->count; i++) {
        unsigned long code = errors->items[i].code;
        ERR_new();
        ERR_set_debug(errors->items[i].file, errors->items[i].line, errors->items[i].function);
        if (errors->items[i].text != NULL) {
            ERR_set_error(ERR_GET_LIB(code), ERR_GET_REASON(code), "%s", errors->items[i].text);
        } else {
            ERR_set_error(ERR_GET_LIB(code), ERR_GET_REASON(code), NULL);
        }
        OPENSSL_free(errors->items[i].file);
        OPENSSL_free(errors->items[i].function);
        OPENSSL_free(errors->items[i].text);
    }
}

/* ---- certificates ---- */

/* No common name; "*" stands for a whole label. */
#define UNSBI_OPENSSL_NAMES                                                                        \
    (X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)

static bool unsbi_openssl_sha256(const void *data, size_t size, uint8_t *digest)
{
    return EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL) == 1;
}

static bool unsbi_openssl_is_pinned(const unsb_openssl_config *config, X509 *leaf)
{
    unsigned char *der = NULL;
    uint8_t digest[32];
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
    bool found = false;
    size_t i;

    if (size <= 0) {
        return false;
    }
    if (unsbi_openssl_sha256(der, (size_t)size, digest)) {
        for (i = 0; i < config->pin_count && !found; i++) {
            found = memcmp(config->pins + i * sizeof digest, digest, sizeof digest) == 0;
        }
    }
    OPENSSL_free(der);
    return found;
}

/* What X509_verify_cert() would say of the server's certificate alone, where a pin takes the place
 * of its chain: an X509_V_ERR_... number. */
static int unsbi_openssl_check_alone(const unsb_openssl *tls, X509 *leaf)
{
    EVP_PKEY *key = X509_get0_pubkey(leaf);
    int rc;

    if ((X509_get_extension_flags(leaf) & EXFLAG_INVALID) != 0) {
        return X509_V_ERR_INVALID_EXTENSION;
    }
    if ((X509_get_extension_flags(leaf) & EXFLAG_CRITICAL) != 0) {
        return X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION;
    }
    if (X509_check_purpose(leaf, X509_PURPOSE_SSL_SERVER, 0) != 1) {
        return X509_V_ERR_INVALID_PURPOSE;
    }
    if (key == NULL || EVP_PKEY_get_security_bits(key) < 112) {
        return X509_V_ERR_EE_KEY_TOO_SMALL;
    }
    if (tls->address_size != 0) {
        rc = X509_check_ip(leaf, tls->address, tls->address_size, 0);
        return rc == 1 ? X509_V_OK : X509_V_ERR_IP_ADDRESS_MISMATCH;
    }
    rc = X509_check_host(leaf, X509_VERIFY_PARAM_get0_host(SSL_get0_param(tls->ssl), 0), 0,
                         UNSBI_OPENSSL_NAMES, NULL);
    return rc == 1 ? X509_V_OK : X509_V_ERR_HOSTNAME_MISMATCH;
}

/* OpenSSL takes a certificate for expired in its last second, which RFC 5280 section 4.1.2.5
 * counts in. */
static int unsbi_openssl_dates(int ok, X509_STORE_CTX *context)
{
    X509 *certificate = X509_STORE_CTX_get_current_cert(context);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);

    if (ok == 0 && X509_STORE_CTX_get_error(context) == X509_V_ERR_CERT_HAS_EXPIRED &&
        certificate != NULL) {
        time_t now = (X509_VERIFY_PARAM_get_flags(param) & X509_V_FLAG_USE_CHECK_TIME) != 0
                         ? X509_VERIFY_PARAM_get_time(param)
                         : time(NULL);
        if (ASN1_TIME_cmp_time_t(X509_get0_notAfter(certificate), now) == 0) {
            X509_STORE_CTX_set_error(context, X509_V_OK);
            return 1;
        }
    }
    return ok;
}

/* Takes the place of X509_verify_cert() in the handshake, to add to it. */
static int unsbi_openssl_verify(X509_STORE_CTX *context, void *argument)
{
    unsb_openssl *tls = (unsb_openssl *)argument;
    X509 *leaf = X509_STORE_CTX_get0_cert(context);
    int found = X509_V_ERR_UNSPECIFIED;

    tls->checked = true;
    if (leaf == NULL) {
        found = X509_V_ERR_UNSPECIFIED;
    } else if (tls->config.anchors == NULL) {
        found = unsbi_openssl_check_alone(tls, leaf);
    } else {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
        /* whatever the store is set to */
        (void)X509_VERIFY_PARAM_clear_flags(param, X509_V_FLAG_NO_CHECK_TIME);
        X509_STORE_CTX_set_verify_cb(context, unsbi_openssl_dates);
        if (X509_verify_cert(context) == 1) {
            found = X509_V_OK;
        } else if (X509_STORE_CTX_get_error(context) != X509_V_OK) {
            found = X509_STORE_CTX_get_error(context);
        }
    }
    /* Both versions have the server sign with its key. */
    if (found == X509_V_OK && (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0) {
        found = X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE;
    }
    if (found == X509_V_OK && tls->config.pin_count != 0 &&
        !unsbi_openssl_is_pinned(&tls->config, leaf)) {
        found = X509_V_ERR_APPLICATION_VERIFICATION;
    }
    X509_STORE_CTX_set_error(context, found);
    tls->refused = found;
    return found == X509_V_OK;
}

/* ---- sessions ---- */

static void unsbi_openssl_forget(unsb_openssl *tls)
{
    SSL_SESSION_free(tls->session);
    tls->session = NULL;
    memset(tls->session_peer, 0, sizeof tls->session_peer);
}

static uint32_t unsbi_openssl_time(const unsb_openssl *tls)
{
    return tls->config.unix_time == NULL ? 0 : tls->config.unix_time(tls->config.context);
}

/* Called by OpenSSL, within the handshake or for a ticket after it. 1: the session is kept. */
static int unsbi_openssl_keep(SSL *ssl, SSL_SESSION *session)
{
    unsb_openssl *tls = (unsb_openssl *)SSL_get_app_data(ssl);
    if (SSL_SESSION_is_resumable(session) != 1) {
        return 0;
    }
    /* The age of one that was resumed counts on. */
    if (tls->checked) {
        tls->session_time = unsbi_openssl_time(tls);
    }
    unsbi_openssl_forget(tls);
    tls->session = session;
    memcpy(tls->session_peer, tls->peer, sizeof tls->peer);
    return 1;
}

/* Offers the session that is kept, if it is this peer's and not too old. */
static void unsbi_openssl_offer_session(unsb_openssl *tls)
{
    uint32_t age = unsbi_openssl_time(tls) - tls->session_time;
    if (tls->session == NULL || age > 86400u ||
        memcmp(tls->session_peer, tls->peer, sizeof tls->peer) != 0) {
        return;
    }
    tls->offered = SSL_set_session(tls->ssl, tls->session) == 1;
    if (SSL_SESSION_get_protocol_version(tls->session) >= TLS1_3_VERSION) {
        unsbi_openssl_forget(tls);
    }
}

/* ---- errors ---- */

static int unsbi_openssl_fail(unsb_openssl *tls, int failure, int error)
{
    tls->failure = failure;
    tls->error = error;
    if (tls->state != UNSBI_OPENSSL_OPEN) {
        if (tls->offered || tls->state == UNSBI_OPENSSL_HANDSHAKE) {
            unsbi_openssl_forget(tls); /* perhaps the session is the reason: not again */
        }
        tls->state = UNSBI_OPENSSL_FAILED;
    } else if (error != 0 && error != UNSB_OPENSSL_CUT) {
        unsbi_openssl_forget(tls); /* RFC 5246 section 7.2.2 */
    }
    return failure;
}

/* OpenSSL's last error, packed. */
static int unsbi_openssl_last(void)
{
    unsigned long code = ERR_peek_last_error() & 0x7FFFFFFFu;
    return code != 0 ? (int)code : (int)ERR_PACK(ERR_LIB_SSL, 0, ERR_R_INTERNAL_ERROR);
}

/* OpenSSL has reported an error. */
static int unsbi_openssl_failed(unsb_openssl *tls)
{
    int code = unsbi_openssl_last();
    int lib = ERR_GET_LIB((unsigned long)code);
    int reason = ERR_GET_REASON((unsigned long)code);

    if (tls->refused != X509_V_OK) {
        return unsbi_openssl_fail(tls, UNSB_E_CERTIFICATE, tls->refused);
    }
    if (lib == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
        reason <= SSL_AD_REASON_OFFSET + 255) {
        tls->alert = (uint8_t)(reason - SSL_AD_REASON_OFFSET);
    }
    if (lib == ERR_LIB_RAND) {
        return unsbi_openssl_fail(tls, UNSB_E_ENTROPY, code);
    }
    if (reason == (ERR_R_MALLOC_FAILURE)) {
        return unsbi_openssl_fail(tls, UNSB_E_OPENSSL_CONFIG, code);
    }
    /* a certificate that could not be read */
    if (tls->state == UNSBI_OPENSSL_HANDSHAKE && lib == ERR_LIB_SSL &&
        (reason == (ERR_R_ASN1_LIB) || reason == SSL_R_CERT_LENGTH_MISMATCH ||
         reason == SSL_R_UNABLE_TO_FIND_PUBLIC_KEY_PARAMETERS ||
         reason == SSL_R_UNKNOWN_CERTIFICATE_TYPE)) {
        return unsbi_openssl_fail(tls, UNSB_E_CERTIFICATE, code);
    }
    return unsbi_openssl_fail(tls, UNSB_E_TLS, code);
}

/* The inner transport has no more. */
static int unsbi_openssl_cut(unsb_openssl *tls)
{
    if (tls->recv_failure == UNSB_E_CLOSED) {
        /* An end that anyone on the path can forge (RFC 8446 section 6.1). */
        return unsbi_openssl_fail(tls, UNSB_E_IO, UNSB_OPENSSL_CUT);
    }
    return unsbi_openssl_fail(tls, tls->recv_failure, 0);
}

/* ---- moving records ---- */

static bool unsbi_openssl_unsent(const unsb_openssl *tls)
{
    return tls->records != NULL && BIO_ctrl_pending(tls->records) != 0;
}

/* Sends what waits: > 0, all is out; 0, not now; < 0, an error. */
static int unsbi_openssl_flush(unsb_openssl *tls)
{
    const unsb_transport *inner = &tls->config.inner;

    while (tls->send_failure == 0 && unsbi_openssl_unsent(tls)) {
        char *data = NULL;
        int size = BIO_nread0(tls->records, &data);
        int count;
        if (size <= 0 || tls->steps <= 0) {
            return 0;
        }
        tls->steps--;
        count = inner->vtable->send(inner->context, data, (size_t)size);
        if (count == 0) {
            return 0;
        }
        if (count < 0) {
            tls->send_failure = count;
        } else {
            (void)BIO_nread(tls->records, &data, count);
        }
    }
    return tls->send_failure != 0 ? tls->send_failure : 1;
}

/* Receives what there is room for: > 0, something; 0, not now; < 0, an error. */
static int unsbi_openssl_pull(unsb_openssl *tls)
{
    const unsb_transport *inner = &tls->config.inner;
    int count = tls->recv_failure;
    char *data = NULL;

    if (count == 0 && tls->steps > 0) {
        int room = BIO_nwrite0(tls->records, &data);
        if (room <= 0) {
            return 0; /* does not happen: OpenSSL has taken all that there was */
        }
        tls->steps--;
        count = inner->vtable->recv(inner->context, data, (size_t)room);
    }
    if (count > 0) {
        (void)BIO_nwrite(tls->records, &data, count);
    } else if (count < 0) {
        tls->recv_failure = count;
    }
    return count;
}

/* A call of OpenSSL had to stop: true if it may get on now. false: it must wait, or, with
 * tls->failure, it has failed. */
static bool unsbi_openssl_go_on(unsb_openssl *tls, int why)
{
    bool full = unsbi_openssl_unsent(tls);
    int rc = tls->send_failure == 0 ? unsbi_openssl_flush(tls) : 1;

    if (why == SSL_ERROR_WANT_WRITE) {
        return rc > 0 && full && tls->send_failure == 0;
    }
    if (why != SSL_ERROR_WANT_READ) {
        (void)unsbi_openssl_failed(tls);
        return false;
    }
    rc = unsbi_openssl_pull(tls);
    if (rc < 0) {
        (void)unsbi_openssl_cut(tls);
    }
    return rc > 0;
}

/* ---- set-up ---- */

/* What can be told before the inner transport connects. */
static int unsbi_openssl_check(unsb_openssl *tls, const char *host, uint16_t port)
{
    const unsb_openssl_config *config = &tls->config;
    char name[256];
    uint8_t text[258]; /* port and host */
    size_t size;

    if (config->inner.vtable == NULL) {
        return unsbi_openssl_fail(tls, UNSB_E_OPENSSL_CONFIG,
                                  (int)ERR_PACK(ERR_LIB_SSL, 0, ERR_R_PASSED_NULL_PARAMETER));
    }
    if (config->anchors == NULL && (config->pins == NULL || config->pin_count == 0)) {
        return unsbi_openssl_fail(tls, UNSB_E_TRUST, 0);
    }
    if (!unsb_address_host(host, name, tls->address, &tls->address_size) || strlen(host) > 256) {
        return unsbi_openssl_fail(tls, UNSB_E_CERTIFICATE, X509_V_ERR_HOSTNAME_MISMATCH);
    }
    size = strlen(host);
    text[0] = (uint8_t)(port >> 8);
    text[1] = (uint8_t)(port & 0xFFu);
    memcpy(text + 2, host, size);
    if (!unsbi_openssl_sha256(text, size + 2, tls->peer)) {
        return unsbi_openssl_fail(tls, UNSB_E_OPENSSL_CONFIG, unsbi_openssl_last());
    }
    return UNSB_OK;
}

/* What this port insists on, in `ssl_config`: also against openssl.cnf, which has had its say. */
static bool unsbi_openssl_restrict(unsb_openssl *tls)
{
    static const char suites[] =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
        "ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES256-CCM";
    static const char signatures[] =
        "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:"
        "rsa_pss_rsae_sha512:rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"
        "RSA+SHA256:RSA+SHA384:RSA+SHA512";
    SSL_CTX *config = tls->ssl_config;

    SSL_CTX_set_security_level(config, 2);
    (void)SSL_CTX_clear_options(config, SSL_OP_IGNORE_UNEXPECTED_EOF |
                                            SSL_OP_LEGACY_SERVER_CONNECT |
                                            SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
    (void)SSL_CTX_set_options(config, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    (void)SSL_CTX_set_mode(config, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                       SSL_MODE_AUTO_RETRY);
    (void)SSL_CTX_clear_mode(config, SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_verify(config, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(config, unsbi_openssl_verify, tls);
    (void)SSL_CTX_set_session_cache_mode(
        config, tls->config.no_resumption
                    ? SSL_SESS_CACHE_OFF
                    : SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(config, tls->config.no_resumption ? NULL : unsbi_openssl_keep);
    if (tls->config.anchors != NULL) {
        SSL_CTX_set1_cert_store(config, tls->config.anchors);
    }
#if OPENSSL_VERSION_NUMBER < 0x30500000L
    /* Later versions have better ones by default, with ML-KEM. */
    if (SSL_CTX_set1_groups_list(config, "X25519:P-256:P-384:P-521") != 1 &&
        SSL_CTX_set1_groups_list(config, "P-256:P-384:P-521") != 1) {
        return false;
    }
#endif
    return SSL_CTX_set_min_proto_version(config, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(config, 0) == 1 &&
           SSL_CTX_set_cipher_list(config, suites) == 1 &&
           SSL_CTX_set_ciphersuites(config, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                            "TLS_CHACHA20_POLY1305_SHA256") == 1 &&
           SSL_CTX_set1_sigalgs_list(config, signatures) == 1;
}

/* What a certificate is checked for, in the connection's parameters. */
static bool unsbi_openssl_expect(unsb_openssl *tls, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);

    /* The store's certificates are trusted as they are, also where they are no roots. */
    (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN |
                                                 X509_V_FLAG_TRUSTED_FIRST);
    X509_VERIFY_PARAM_set_hostflags(param, UNSBI_OPENSSL_NAMES);
    if (tls->config.unix_time != NULL) {
        X509_VERIFY_PARAM_set_time(param, (time_t)unsbi_openssl_time(tls));
    }
    if (tls->address_size != 0) {
        return X509_VERIFY_PARAM_set1_ip(param, tls->address, tls->address_size) == 1;
    }
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 &&
           SSL_set_tlsext_host_name(tls->ssl, name) == 1;
}

static bool unsbi_openssl_set_up(unsb_openssl *tls, const char *name)
{
    BIO *inside = NULL;

    tls->ssl_config = SSL_CTX_new(TLS_client_method());
    if (tls->ssl_config == NULL || !unsbi_openssl_restrict(tls)) {
        return false;
    }
    tls->ssl = SSL_new(tls->ssl_config);
    if (tls->ssl == NULL || SSL_set_app_data(tls->ssl, tls) != 1 ||
        BIO_new_bio_pair(&inside, UNSBI_OPENSSL_QUEUE, &tls->records, UNSBI_OPENSSL_QUEUE) != 1) {
        return false;
    }
    SSL_set_bio(tls->ssl, inside, inside); /* which now owns it */
    SSL_set_connect_state(tls->ssl);
    return unsbi_openssl_expect(tls, name);
}

/* The inner transport is connected: starts OpenSSL anew. */
static int unsbi_openssl_start(unsb_openssl *tls, const char *host)
{
    char name[256];

    tls->state = UNSBI_OPENSSL_HANDSHAKE;
    if (!unsb_address_host(host, name, tls->address, &tls->address_size)) {
        return unsbi_openssl_fail(tls, UNSB_E_CERTIFICATE, X509_V_ERR_HOSTNAME_MISMATCH);
    }
    if (RAND_status() != 1) {
        return unsbi_openssl_fail(tls, UNSB_E_ENTROPY, unsbi_openssl_last());
    }
    if (!unsbi_openssl_set_up(tls, name)) {
        return unsbi_openssl_fail(tls, UNSB_E_OPENSSL_CONFIG, unsbi_openssl_last());
    }
    unsbi_openssl_offer_session(tls);
    return UNSB_OK;
}

/* OpenSSL has done its handshake. */
static int unsbi_openssl_opened(unsb_openssl *tls)
{
    /* Without a chain this is the session that was offered, or it must not be at all. */
    tls->resumed = SSL_session_reused(tls->ssl) == 1;
    if ((tls->resumed ? !tls->offered : !tls->checked) ||
        SSL_get_verify_result(tls->ssl) != X509_V_OK) {
        return unsbi_openssl_fail(tls, UNSB_E_CERTIFICATE, X509_V_ERR_UNSPECIFIED);
    }
    tls->done = true;
    return UNSB_OK;
}

static int unsbi_openssl_handshake(unsb_openssl *tls)
{
    int rc;

    while (!tls->done) {
        rc = SSL_do_handshake(tls->ssl);
        if (rc == 1) {
            rc = unsbi_openssl_opened(tls);
            if (rc != UNSB_OK) {
                return rc;
            }
        } else {
            bool on = unsbi_openssl_go_on(tls, SSL_get_error(tls->ssl, rc));
            if (tls->failure != 0) {
                return tls->failure;
            }
            if (tls->send_failure != 0) {
                return unsbi_openssl_fail(tls, tls->send_failure, 0);
            }
            if (!on) {
                return UNSB_PENDING;
            }
        }
    }
    rc = unsbi_openssl_flush(tls);
    if (rc <= 0) {
        return rc == 0 ? UNSB_PENDING : unsbi_openssl_fail(tls, rc, 0);
    }
    tls->state = UNSBI_OPENSSL_OPEN;
    return UNSB_OK;
}

/* ---- the transport ---- */

static int unsbi_openssl_connect_on(unsb_openssl *tls, const char *host, uint16_t port)
{
    const unsb_transport *inner = &tls->config.inner;
    int rc;

    switch (tls->state) {
    case UNSBI_OPENSSL_IDLE:
        tls->error = 0;
        tls->alert = 0;
        tls->resumed = false;
        rc = unsbi_openssl_check(tls, host, port);
        if (rc != UNSB_OK) {
            return rc;
        }
        tls->state = UNSBI_OPENSSL_CONNECTING;
        /* fall through */
    case UNSBI_OPENSSL_CONNECTING:
        rc = inner->vtable->connect(inner->context, host, port);
        if (rc == UNSB_PENDING) {
            return rc;
        }
        if (rc != UNSB_OK) {
            return unsbi_openssl_fail(tls, rc, 0);
        }
        rc = unsbi_openssl_start(tls, host);
        if (rc != UNSB_OK) {
            return rc;
        }
        /* fall through */
    case UNSBI_OPENSSL_HANDSHAKE:
        return unsbi_openssl_handshake(tls);
    case UNSBI_OPENSSL_OPEN:
        return UNSB_OK;
    default:
        return tls->failure;
    }
}

static int unsbi_openssl_connect(void *context, const char *host, uint16_t port)
{
    unsb_openssl *tls = (unsb_openssl *)context;
    unsbi_openssl_errors errors;
    int rc;

    tls->steps = UNSBI_OPENSSL_STEPS;
    unsbi_openssl_enter(&errors);
    rc = unsbi_openssl_connect_on(tls, host, port);
    unsbi_openssl_leave(&errors);
    return rc;
}

static int unsbi_openssl_send_on(unsb_openssl *tls, const void *data, size_t size)
{
    int rc = unsbi_openssl_flush(tls);

    /* With the queue empty a record fits, so none is ever taken in part. */
    while (rc > 0 && tls->failure == 0) {
        int count = SSL_write(tls->ssl, data, (int)size);
        tls->send_reads = false;
        if (count > 0) {
            (void)unsbi_openssl_flush(tls); /* an error is the next call's */
            return count;
        }
        rc = SSL_get_error(tls->ssl, count);
        tls->send_reads = rc == SSL_ERROR_WANT_READ;
        rc = unsbi_openssl_go_on(tls, rc) ? unsbi_openssl_flush(tls) : 0;
    }
    return tls->failure != 0 ? tls->failure : rc;
}

static int unsbi_openssl_send(void *context, const void *data, size_t size)
{
    unsb_openssl *tls = (unsb_openssl *)context;
    unsbi_openssl_errors errors;
    int rc = tls->failure != 0 ? tls->failure : tls->send_failure;

    if (tls->state != UNSBI_OPENSSL_OPEN) {
        return rc != 0 ? rc : UNSB_E_IO;
    }
    if (rc != 0 || size == 0) {
        return rc;
    }
    if (tls->ended) {
        return UNSB_E_CLOSED;
    }
    tls->steps = UNSBI_OPENSSL_STEPS;
    unsbi_openssl_enter(&errors);
    rc = unsbi_openssl_send_on(tls, data,
                               size < UNSBI_OPENSSL_RECORD ? size : UNSBI_OPENSSL_RECORD);
    unsbi_openssl_leave(&errors);
    return rc;
}

static int unsbi_openssl_recv_on(unsb_openssl *tls, void *data, int size)
{
    bool on = true;

    if (tls->send_failure == 0) {
        (void)unsbi_openssl_flush(tls);
    }
    while (on) {
        int count = SSL_read(tls->ssl, data, size), why;
        if (count > 0) {
            return count;
        }
        why = SSL_get_error(tls->ssl, count);
        if (why == SSL_ERROR_ZERO_RETURN) {
            tls->ended = true;
            return UNSB_E_CLOSED;
        }
        on = unsbi_openssl_go_on(tls, why);
    }
    return tls->failure;
}

static int unsbi_openssl_recv(void *context, void *data, size_t size)
{
    unsb_openssl *tls = (unsb_openssl *)context;
    unsbi_openssl_errors errors;
    int rc;

    if (tls->state != UNSBI_OPENSSL_OPEN) {
        return tls->failure != 0 ? tls->failure : UNSB_E_IO;
    }
    if (tls->failure != 0 || size == 0) {
        return tls->failure;
    }
    if (tls->ended) {
        return UNSB_E_CLOSED; /* the answering close_notify is left to close */
    }
    tls->steps = UNSBI_OPENSSL_STEPS;
    unsbi_openssl_enter(&errors);
    rc = unsbi_openssl_recv_on(tls, data, size < (size_t)INT_MAX ? (int)size : INT_MAX);
    unsbi_openssl_leave(&errors);
    return rc;
}

/* Gives up what OpenSSL has of the connection. */
static void unsbi_openssl_release(unsb_openssl *tls)
{
    if (tls->ssl != NULL) {
        if (tls->failure == 0 || tls->error == UNSB_OPENSSL_CUT || tls->error == 0) {
            /* or the session would not be offered again */
            SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        }
        SSL_free(tls->ssl);
    }
    (void)BIO_free(tls->records);
    SSL_CTX_free(tls->ssl_config);
    tls->ssl = NULL;
    tls->records = NULL;
    tls->ssl_config = NULL;
    tls->offered = false;
    tls->checked = false;
    tls->done = false;
    tls->send_reads = false;
    tls->ended = false;
    tls->failure = 0;
    tls->send_failure = 0;
    tls->recv_failure = 0;
    tls->refused = X509_V_OK;
    tls->state = UNSBI_OPENSSL_IDLE;
}

static void unsbi_openssl_close(void *context)
{
    unsb_openssl *tls = (unsb_openssl *)context;
    const unsb_transport *inner = &tls->config.inner;
    unsbi_openssl_errors errors;

    if (tls->state == UNSBI_OPENSSL_IDLE) {
        return;
    }
    unsbi_openssl_enter(&errors);
    /* Says goodbye with close_notify, as far as the inner transport takes it at once. */
    tls->steps = UNSBI_OPENSSL_STEPS;
    if (tls->state == UNSBI_OPENSSL_OPEN && tls->failure == 0 && tls->send_failure == 0 &&
        unsbi_openssl_flush(tls) > 0) {
        (void)SSL_shutdown(tls->ssl);
        (void)unsbi_openssl_flush(tls);
    }
    if (tls->state == UNSBI_OPENSSL_HANDSHAKE) {
        unsbi_openssl_forget(tls); /* given up within the handshake: not again */
    }
    if (inner->vtable != NULL) {
        inner->vtable->close(inner->context);
    }
    unsbi_openssl_release(tls);
    unsbi_openssl_leave(&errors);
}

static void unsbi_openssl_drop(void *context)
{
    unsb_openssl *tls = (unsb_openssl *)context;
    const unsb_transport *inner = &tls->config.inner;
    unsbi_openssl_errors errors;

    unsbi_openssl_enter(&errors);
    if (tls->state != UNSBI_OPENSSL_IDLE && inner->vtable != NULL) {
        if (inner->vtable->drop != NULL) {
            inner->vtable->drop(inner->context);
        } else {
            inner->vtable->close(inner->context);
        }
    }
    unsbi_openssl_release(tls);
    unsbi_openssl_forget(tls); /* it is the other process's to offer */
    unsbi_openssl_leave(&errors);
}

/* What the inner transport must wait for, so that what the client waits for can happen. `*ready`:
 * it can happen now. */
static int unsbi_openssl_translate(const unsb_openssl *tls, int interest, bool *ready)
{
    int wanted = tls->send_failure == 0 && unsbi_openssl_unsent(tls) ? UNSB_WRITABLE : 0;

    *ready = false;
    if (interest == 0 || tls->state == UNSBI_OPENSSL_CONNECTING) {
        return interest;
    }
    if ((tls->state != UNSBI_OPENSSL_HANDSHAKE && tls->state != UNSBI_OPENSSL_OPEN) ||
        tls->failure != 0) {
        *ready = true; /* there is an error to be fetched */
    } else if (tls->state == UNSBI_OPENSSL_HANDSHAKE) {
        *ready = tls->send_failure != 0;
        wanted = wanted != 0 ? wanted : UNSB_READABLE;
    } else {
        if ((interest & UNSB_READABLE) != 0) {
            /* what a call of recv has left behind; a call that found nothing leaves nothing */
            *ready = tls->ended || SSL_pending(tls->ssl) > 0 ||
                     BIO_ctrl_pending(SSL_get_rbio(tls->ssl)) != 0;
            wanted |= UNSB_READABLE;
        }
        if ((interest & UNSB_WRITABLE) != 0) {
            *ready = *ready || tls->ended || tls->send_failure != 0;
            wanted |= tls->send_reads ? UNSB_READABLE : UNSB_WRITABLE;
        }
    }
    return *ready ? UNSB_READABLE | UNSB_WRITABLE : wanted;
}

static int unsbi_openssl_interest(void *context, int interest)
{
    unsb_openssl *tls = (unsb_openssl *)context;
    const unsb_transport *inner = &tls->config.inner;
    bool ready;
    /* Where plaintext is waiting already, writable is the soonest that a socket can report. */
    int wanted = unsbi_openssl_translate(tls, interest, &ready);
    if (inner->vtable == NULL || inner->vtable->interest == NULL) {
        return wanted;
    }
    return inner->vtable->interest(inner->context, wanted);
}

static int unsbi_openssl_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsb_openssl *tls = (unsb_openssl *)context;
    const unsb_transport *inner = &tls->config.inner;
    bool ready;
    int wanted = unsbi_openssl_translate(tls, interest, &ready);
    return ready ? UNSB_OK : inner->vtable->wait(inner->context, wanted, timeout_ms);
}

static const unsb_transport_class unsbi_openssl_class = {
    unsbi_openssl_connect, unsbi_openssl_send,     unsbi_openssl_recv, unsbi_openssl_close,
    unsbi_openssl_wait,    unsbi_openssl_interest, unsbi_openssl_drop};

static const unsb_transport_class unsbi_openssl_class_without_wait = {
    unsbi_openssl_connect, unsbi_openssl_send,     unsbi_openssl_recv, unsbi_openssl_close,
    NULL,                  unsbi_openssl_interest, unsbi_openssl_drop};

UNSBI_OPENSSL_FN unsb_transport unsb_openssl_transport(unsb_openssl *tls,
                                                       const unsb_openssl_config *config)
{
    unsb_transport transport;
    memset(tls, 0, sizeof *tls);
    tls->config = *config;
    transport.vtable = &unsbi_openssl_class;
    if (config->inner.vtable == NULL || config->inner.vtable->wait == NULL) {
        transport.vtable = &unsbi_openssl_class_without_wait;
    }
    transport.context = tls;
    return transport;
}

UNSBI_OPENSSL_FN void unsb_openssl_wipe(unsb_openssl *tls)
{
    unsbi_openssl_close(tls);
    unsbi_openssl_forget(tls);
}

/* ---- words ---- */

/* X509_V_ERR_... numbers, the common ones as users would look for them. */
static const char *unsbi_openssl_certificate_text(int error)
{
    switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "unknown authority: unable to get local issuer certificate";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "unknown authority: self-signed certificate";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return "unknown authority: self-signed certificate in certificate chain";
    case X509_V_ERR_HOSTNAME_MISMATCH:
        return "wrong name: hostname mismatch";
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "wrong name: IP address mismatch";
    case X509_V_ERR_APPLICATION_VERIFICATION:
        return "the server's key is not pinned";
    default:
        return X509_verify_cert_error_string(error);
    }
}

UNSBI_OPENSSL_FN const char *unsb_openssl_error_text(const unsb_openssl *tls)
{
    unsbi_openssl_errors errors;
    const char *text;

    if (tls->error == 0) {
        return "no error of TLS";
    }
    if (tls->error == UNSB_OPENSSL_CUT) {
        return "the stream ended without close_notify";
    }
    if (tls->alert != 0) {
        return SSL_alert_desc_string_long(tls->alert);
    }
    unsbi_openssl_enter(&errors);
    text = tls->error < 0x10000 ? unsbi_openssl_certificate_text(tls->error)
                                : ERR_reason_error_string((unsigned long)tls->error);
    unsbi_openssl_leave(&errors);
    return text != NULL ? text : "unknown error of OpenSSL";
}

/* ---- trusted certificates ---- */

static void unsbi_openssl_add_certificate(unsb_openssl_trust *trust, const unsigned char *der,
                                          long size)
{
    X509 *certificate = d2i_X509(NULL, &der, size);
    if (certificate != NULL && X509_STORE_add_cert(trust->store, certificate) == 1) {
        trust->count++;
    } else {
        trust->skipped++;
    }
    X509_free(certificate);
}

/* What PEM_read_bio() has failed for; true: further blocks may follow. */
static bool unsbi_openssl_pem_goes_on(unsb_openssl_trust *trust)
{
    unsigned long code = ERR_peek_last_error();
    if (ERR_GET_REASON(code) == (ERR_R_MALLOC_FAILURE)) {
        trust->error = ENOMEM;
        return false;
    }
    if (ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) == PEM_R_NO_START_LINE) {
        return false;
    }
    trust->skipped++;
    return true;
}

static int unsbi_openssl_add_text(unsb_openssl_trust *trust, const void *pem, size_t size)
{
    size_t before = trust->count;
    BIO *text = NULL;
    bool on = true;

    trust->error = 0;
    if (trust->store == NULL) {
        trust->store = X509_STORE_new();
    }
    if (size != 0 && size <= (size_t)INT_MAX) {
        text = BIO_new_mem_buf(pem, (int)size);
    }
    if (trust->store == NULL || (size != 0 && text == NULL)) {
        trust->error = ENOMEM;
    }
    while (trust->error == 0 && text != NULL && on) {
        char *name = NULL, *header = NULL;
        unsigned char *der = NULL;
        long length = 0;
        ERR_clear_error();
        if (PEM_read_bio(text, &name, &header, &der, &length) != 1) {
            on = unsbi_openssl_pem_goes_on(trust);
        } else if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0) {
            unsbi_openssl_add_certificate(trust, der, length);
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    (void)BIO_free(text);
    return trust->error == 0 && trust->count > before ? UNSB_OK : UNSB_E_TRUST;
}

/* The file to read when none is named; NULL with errno if there is none. */
static FILE *unsbi_openssl_open_bundle(void)
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
    FILE *file = fopen(X509_get_default_cert_file(), "rb");
    size_t i;
    for (i = 0; i < sizeof places / sizeof places[0] && file == NULL; i++) {
        file = fopen(places[i], "rb");
    }
    return file;
}

/* Reads all of it. NULL with errno if that fails. */
static unsigned char *unsbi_openssl_read_file(FILE *file, size_t *size)
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
        got = fread(text + *size, 1, capacity - *size, file);
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
    return text;
}

static int unsbi_openssl_add_file(unsb_openssl_trust *trust, FILE *file)
{
    unsigned char *text;
    size_t size;
    int rc;

    if (file == NULL) {
        trust->error = errno != 0 ? errno : ENOENT;
        return UNSB_E_TRUST;
    }
    text = unsbi_openssl_read_file(file, &size);
    if (text == NULL) {
        trust->error = errno;
        (void)fclose(file);
        return UNSB_E_TRUST;
    }
    (void)fclose(file);
    rc = unsbi_openssl_add_text(trust, text, size);
    free(text);
    return rc;
}

static int unsbi_openssl_add_directory(unsb_openssl_trust *trust, const char *path)
{
    if (trust->store == NULL) {
        trust->store = X509_STORE_new();
    }
    if (trust->store == NULL || X509_STORE_load_path(trust->store, path) != 1) {
        trust->error = ENOMEM;
        return UNSB_E_TRUST;
    }
    return UNSB_OK;
}

UNSBI_OPENSSL_FN int unsb_openssl_load_pem(unsb_openssl_trust *trust, const char *path)
{
    const char *named = path != NULL ? path : getenv(X509_get_default_cert_file_env());
    const char *directory = path != NULL ? NULL : getenv(X509_get_default_cert_dir_env());
    unsbi_openssl_errors errors;
    int rc = UNSB_OK;

    unsbi_openssl_enter(&errors);
    errno = 0;
    trust->error = 0;
    if (path != NULL || (named != NULL && named[0] != '\0')) {
        /* asked for: no other will do */
        rc = unsbi_openssl_add_file(trust, fopen(named, "rb"));
    } else if (directory == NULL || directory[0] == '\0') {
        rc = unsbi_openssl_add_file(trust, unsbi_openssl_open_bundle());
    }
    if (rc == UNSB_OK && directory != NULL && directory[0] != '\0') {
        rc = unsbi_openssl_add_directory(trust, directory);
    }
    unsbi_openssl_leave(&errors);
    return rc;
}

UNSBI_OPENSSL_FN int unsb_openssl_add_pem(unsb_openssl_trust *trust, const void *pem, size_t size)
{
    unsbi_openssl_errors errors;
    int rc;
    unsbi_openssl_enter(&errors);
    rc = unsbi_openssl_add_text(trust, pem, size);
    unsbi_openssl_leave(&errors);
    return rc;
}

UNSBI_OPENSSL_FN void unsb_openssl_free_trust(unsb_openssl_trust *trust)
{
    X509_STORE_free(trust->store);
    memset(trust, 0, sizeof *trust);
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_OPENSSL_H */
