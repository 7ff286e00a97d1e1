/* unsandbox_mbedtls.h - TLS for unsandbox.h by Mbed TLS 3.6 or 2.28, over any other transport
 *
 *     #include "unsandbox.h"
 *     #include "unsandbox_posix.h"          (or any transport that moves bytes)
 *     #include "unsandbox_mbedtls.h"
 *
 *     static unsb_posix tcp;
 *     static unsb_mbedtls tls;
 *     unsb_mbedtls_config secure = {0};
 *     secure.inner = unsb_posix_transport(&tcp);
 *     secure.anchors = &authorities;        (an mbedtls_x509_crt; see unsandbox_mbedtls_pem.h)
 *     config.transport = unsb_mbedtls_transport(&tls, &secure);
 *     ...
 *     unsb_mbedtls_wipe(&tls);              (after the client is closed)
 *
 * All functions are static: include the file wherever it is needed, there is no implementation
 * macro. C99 or C++11; link with -lmbedtls -lmbedx509 -lmbedcrypto. Copy unsandbox_x509.h and
 * unsandbox_address.h with it.
 *
 * What is always checked; there is no switch:
 *   - TLS 1.3, where Mbed TLS 3.6 was built with it, or TLS 1.2: with ECDHE and an AEAD cipher
 *     (ChaCha20-Poly1305, AES-GCM, AES-CCM), no compression; a server that asks to renegotiate is
 *     told no.
 *   - The chain up to a trust anchor, the dates of all of it, RSA keys of 2048 bits or more and EC
 *     keys on P-256, P-384 or P-521; no signature with SHA-1 or MD5, in a certificate or in the
 *     handshake. keyUsage and extKeyUsage must allow a TLS server. What Mbed TLS lets pass,
 *     unsandbox_x509.h finds: name constraints that are not met, issuers for other purposes than
 *     servers, malformed certificates.
 *   - Not checked is revocation: neither CRLs nor OCSP. A certificate that was stolen and revoked
 *     is good until it expires; a pin, or an authority of your own, limits that.
 *   - The host's name, against the dNSName entries of the certificate's subjectAltName (a wildcard
 *     may stand for the first label). An IPv4 or IPv6 address as host must be among the iPAddress
 *     entries (RFC 9525 section 6.5); SNI is not sent then (RFC 6066 section 3). The common name
 *     never counts: a certificate without a subjectAltName is refused.
 *   - That the peer ends the stream with close_notify: a connection that just ends is UNSB_E_IO.
 *
 * Pins: digests of public keys (RFC 7469 section 2.4: SHA-256 of the SubjectPublicKeyInfo, in DER).
 * It is the server's own key that must be among them, not one further up; to pin an authority, make
 * it the only anchor. With anchors, a pin is one more condition. Without them, it takes the place
 * of the chain, for devices that have neither a clock nor an authority to trust: dates, signatures
 * and all other certificates do not count (but Mbed TLS must be able to read them); the name, the
 * usages and the key's kind and size do.
 *
 * Sessions are resumed when the same host and port are connected to again (by session ID or ticket;
 * with TLS 1.3 by a ticket that came with the response, once, and with a new exchange of keys). The
 * parameters of one session are kept after close, for up to 24 hours where unix_time is given; all
 * else is wiped and released at close. unsb_mbedtls_wipe() releases the session.
 *
 * PSA: where Mbed TLS computes by it (TLS 1.3, or MBEDTLS_USE_PSA_CRYPTO), connect calls
 * psa_crypto_init(), which does nothing from the second time on. What that allocates stays until
 * the program calls mbedtls_psa_crypto_free(), when no connection is open. The keys of TLS 1.3 are
 * made from PSA's own random numbers, not from unsb_mbedtls_config.entropy: on bare metal Mbed TLS
 * needs a source for these, mbedtls_hardware_poll() (MBEDTLS_ENTROPY_HARDWARE_ALT) or
 * mbedtls_psa_external_get_random() (MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG), or connect fails with
 * UNSB_E_ENTROPY. With threads it needs MBEDTLS_THREADING_C. After fork(), PSA of 3.6.6 draws new
 * randomness in the child; before, both would make the same keys.
 *
 * Memory: unsb_mbedtls, 1.9 K to 2.1 K on x86-64, and the state of Mbed TLS's entropy sources (see
 * UNSB_MBEDTLS_ENTROPY). Mbed TLS allocates the record buffers (MBEDTLS_SSL_IN_CONTENT_LEN,
 * MBEDTLS_SSL_OUT_CONTENT_LEN), the peer's certificates and what it computes with; this port
 * nothing. Where the buffer for input is smaller than 16384 bytes, the server is asked for records
 * that fit (max_fragment_length, RFC 6066 section 4).
 *
 * Errors: tls.error says more, and unsb_mbedtls_error_text() says it in words.
 *   UNSB_E_CERTIFICATE     > 0: MBEDTLS_X509_BADCERT_... flags; of these, _CN_MISMATCH also for a
 *                          host that cannot be a name or an address, or a certificate without
 *                          subjectAltName; _OTHER: the key is not pinned, or tls.x509 has what
 *                          unsandbox_x509.h found; _EXPIRED with _FUTURE: there is no clock to
 *                          tell. < 0: it could not be read, Mbed TLS's number
 *   UNSB_E_ENTROPY         Mbed TLS's number
 *   UNSB_E_TRUST           neither anchors nor pins; also anchors that are an empty list
 *   UNSB_E_MBEDTLS_MEMORY  Mbed TLS found no memory; its number
 *   UNSB_E_TLS             Mbed TLS's number, MBEDTLS_ERR_SSL_...; with
 *                          MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE, tls.alert is the peer's alert
 *   UNSB_E_IO              with MBEDTLS_ERR_SSL_CONN_EOF: the stream ended without close_notify
 *   UNSB_E_CLOSED          only from recv and send, after the peer's close_notify
 *   UNSB_E_MBEDTLS_CONFIG  the configuration cannot work: UNSB_MBEDTLS_NO_INNER, UNSB_MBEDTLS_PINS
 * The inner transport's errors come unchanged, with tls.error 0. An error is returned again until
 * close. A failed send leaves recv usable.
 *
 * Limits: tested with 2.28.3 and 3.6.6; 4.x is refused. TLS 1.3 is not used before 3.6.
 *   - KeyUpdate (RFC 8446 section 4.6.3), which servers may send after gigabytes, Mbed TLS 3.6 does
 *     not know: UNSB_E_TLS with MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE.
 *   - Messages of the handshake that are cut into records of any size are joined while they are in
 *     the clear: in TLS 1.2 all but the last. Of those that are encrypted in TLS 1.3, Mbed TLS 3.6
 *     joins pieces of 4 bytes or more. One that is larger than MBEDTLS_SSL_IN_CONTENT_LEN fails.
 *   - 3.6.6, and no release before it, refuses servers of TLS 1.2 alone that have an RSA key and
 *     choose RSA-PSS by an order of their own: UNSB_E_TLS with MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER.
 *     no_tls13 helps there; it was mended after 3.6.6.
 *   - Critical name constraints are refused even where they are met, and so are chains in which an
 *     intermediate certificate comes before one that it signed.
 *   - With TLS 1.3 max_fragment_length is not asked for; a buffer for input that is smaller than
 *     16384 bytes needs MBEDTLS_SSL_RECORD_SIZE_LIMIT (RFC 8449), and a server that honours it.
 */
#ifndef UNSANDBOX_MBEDTLS_H
#define UNSANDBOX_MBEDTLS_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif

#ifndef UNSANDBOX_ADDRESS_H
#include "unsandbox_address.h"
#endif
#ifndef UNSANDBOX_X509_H
#include "unsandbox_x509.h"
#endif

#include <mbedtls/version.h>
#if MBEDTLS_VERSION_NUMBER < 0x021C0000 || MBEDTLS_VERSION_NUMBER >= 0x04000000
#error "unsandbox_mbedtls.h is for Mbed TLS 2.28 and 3.x"
#endif
#include <mbedtls/asn1.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/md.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/x509_crt.h>
#if defined(MBEDTLS_USE_PSA_CRYPTO) || defined(MBEDTLS_SSL_PROTO_TLS1_3)
#define UNSBI_MBEDTLS_PSA 1 /* it may compute by functions that must be initialised */
#include <psa/crypto.h>
#else
#define UNSBI_MBEDTLS_PSA 0
#endif
#if defined(MBEDTLS_SSL_PROTO_TLS1_3) && MBEDTLS_VERSION_NUMBER >= 0x03060000 &&                   \
    defined(MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED)
#define UNSBI_MBEDTLS_TLS13 1
#else
#define UNSBI_MBEDTLS_TLS13 0
#endif
#if UNSBI_MBEDTLS_TLS13 && defined(MBEDTLS_SSL_SESSION_TICKETS) &&                                 \
    defined(MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL_ENABLED)
#define UNSBI_MBEDTLS_TICKETS 1 /* those of TLS 1.3 */
#else
#define UNSBI_MBEDTLS_TICKETS 0
#endif
#include <limits.h>

#if !defined(MBEDTLS_SSL_CLI_C) || !(defined(MBEDTLS_SSL_PROTO_TLS1_2) || UNSBI_MBEDTLS_TLS13) ||  \
    !defined(MBEDTLS_CTR_DRBG_C) || !(defined(MBEDTLS_SHA256_C) || defined(MBEDTLS_MD_CAN_SHA256))
#error "Mbed TLS lacks one of MBEDTLS_SSL_CLI_C, _SSL_PROTO_TLS1_2, _CTR_DRBG_C, _SHA256_C"
#endif
#if UNSBI_MBEDTLS_TLS13 && !defined(MBEDTLS_SSL_KEEP_PEER_CERTIFICATE)
#error "TLS 1.3 of Mbed TLS checks no certificate without MBEDTLS_SSL_KEEP_PEER_CERTIFICATE"
#endif
#if MBEDTLS_VERSION_MAJOR < 3 &&                                                                   \
    (!defined(MBEDTLS_X509_CHECK_KEY_USAGE) || !defined(MBEDTLS_X509_CHECK_EXTENDED_KEY_USAGE))
#error "Mbed TLS was built without MBEDTLS_X509_CHECK_KEY_USAGE or _EXTENDED_KEY_USAGE"
#endif
#if defined(MBEDTLS_ZLIB_SUPPORT)
#error "Mbed TLS was built to offer compression (MBEDTLS_ZLIB_SUPPORT), which leaks secrets"
#endif

/* ======================================================================
 * >>options  alike in all files of a program
 * ====================================================================== */

/* 0: without Mbed TLS's own sources of entropy, whose state is part of unsb_mbedtls (38 K in
 * Debian's build of 2.28, 0.9 K in 3.6); then unsb_mbedtls_config.entropy is required. */
#ifndef UNSB_MBEDTLS_ENTROPY
#if defined(MBEDTLS_ENTROPY_C)
#define UNSB_MBEDTLS_ENTROPY 1
#else
#define UNSB_MBEDTLS_ENTROPY 0
#endif
#endif
#if UNSB_MBEDTLS_ENTROPY
#include <mbedtls/entropy.h>
#endif

#if defined(__GNUC__)
#define UNSBI_MBEDTLS_FN static __attribute__((unused))
#else
#define UNSBI_MBEDTLS_FN static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

/* Codes of this port's own. */
#define UNSB_E_MBEDTLS_CONFIG (UNSB_E_USER - 2)
#define UNSB_E_MBEDTLS_MEMORY (UNSB_E_USER - 12)

/* What is wrong with the configuration: `error` with UNSB_E_MBEDTLS_CONFIG. */
enum {
    UNSB_MBEDTLS_NO_INNER = 1, /* there is no inner transport */
    UNSB_MBEDTLS_PINS          /* pins without their number, or a number without pins */
};

/* Certificates in a path, both ends included, that Mbed TLS makes at the most. */
#define UNSBI_MBEDTLS_PATH (MBEDTLS_X509_MAX_INTERMEDIATE_CA + 2)

/* ---- the configuration; zero is the default of every field ---- */
typedef struct unsb_mbedtls_config {
    unsb_transport inner;      /* required: moves the records */
    mbedtls_x509_crt *anchors; /* the list of trusted certificates; NULL: only where there are pins.
                                  Must outlive the transport. It is only read */
    const uint8_t *pins; /* digests of public keys, 32 bytes each, one after the other; NULL: none.
                            Must outlive the transport */
    size_t pin_count;
    /* Stores `size` bytes of true randomness; UNSB_OK, or anything else: none. Asked for up to 64
     * bytes, a few times at each connect. NULL: Mbed TLS's own sources; where it has none,
     * or UNSB_MBEDTLS_ENTROPY is 0, connecting fails with UNSB_E_ENTROPY */
    int (*entropy)(void *context, void *bytes, size_t size);
    /* Seconds since 1970, to check certificates by. A clock that is not set makes them fail. NULL:
     * Mbed TLS's clock; where it was built without one, all certificates fail, unless pinned and
     * without anchors */
    uint32_t (*unix_time)(void *context);
    void *context;      /* handed to both */
    bool no_resumption; /* true: a full handshake each time */
    bool no_tls13;      /* true: TLS 1.2 alone, for the servers named under limits */
} unsb_mbedtls_config;

/* Joins the pieces of the handshake's messages: see >>joining. */
typedef struct unsbi_mbedtls_joiner {
    bool off;         /* records pass as they are from here on */
    uint8_t have;     /* how much came of `in`, */
    uint8_t begun;    /* and of a message's header, at head + 5 */
    uint8_t out;      /* how much was handed on of `head`, */
    uint8_t size;     /* and is to be */
    uint8_t in[5];    /* the header of the record that comes */
    uint8_t head[9];  /* that of the record that is made, and of a message */
    uint16_t record;  /* bytes that are left of the record that comes, */
    uint16_t made;    /* of the one that is made, */
    uint32_t message; /* and of the message, beyond that */
} unsbi_mbedtls_joiner;

typedef struct unsb_mbedtls {
    /* to be read */
    int code;      /* the last failure, 0: none. Kept until the next connect, as the next two */
    int error;     /* more about it */
    uint8_t alert; /* the peer's fatal alert, if that is the reason */
    bool resumed;  /* the connection resumed an earlier session */
    bool tls13;    /* it is by TLS 1.3 */
    /* private */
    uint8_t state;
    bool started;     /* the Mbed TLS contexts below are in use */
    bool offered;     /* a session was offered in this handshake */
    bool has_session; /* `session` can be offered to the peer in `session_peer`, */
    bool is_ticket;   /* by a ticket of TLS 1.3 */
    bool checked;     /* a certificate was looked at in this handshake */
    bool unsent;      /* a record waits to go out, or a part of one */
    bool computing;   /* Mbed TLS wants to be called again at once */
    bool starved;     /* it got nothing to read */
    bool write_first; /* it reads on when what waits is out */
    bool ended;       /* close_notify has come */
    int steps;        /* calls of the inner transport that are left to this call */
    int failure;      /* sticky */
    int send_failure; /* kept apart, so that recv can still fetch what the peer sent */
    int recv_failure; /* of the inner transport */
    uint32_t refused; /* what was found wrong with the certificate looked at last */
    const mbedtls_x509_crt *path[UNSBI_MBEDTLS_PATH]; /* while it is verified, by depth */
    uint8_t x509; /* to be read, too: UNSB_X509_..., what unsandbox_x509.h found in the last
                     handshake, 0: nothing */
    unsbi_mbedtls_joiner join;
    unsb_mbedtls_config config;
    uint8_t address_size; /* 4, 16, or 0: the host is a name */
    uint8_t address[16];
    uint32_t session_time;
    uint8_t session_peer[32]; /* digest of host and port */
    uint8_t peer[32];
    mbedtls_ssl_session session;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config ssl_config;
    mbedtls_ctr_drbg_context random;
#if UNSB_MBEDTLS_ENTROPY
    mbedtls_entropy_context entropy;
#endif
} unsb_mbedtls;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Initialises `tls` (whatever it held: wipe it before, if it was in use) and returns the transport
 * over it. The configuration is copied; what it points to, and `tls`, must stay in place until the
 * client is closed. Mistakes in it are reported by connect. `wait` is NULL if the inner one is. */
UNSBI_MBEDTLS_FN unsb_transport unsb_mbedtls_transport(unsb_mbedtls *tls,
                                                       const unsb_mbedtls_config *config);
/* Closes the connection, if any, and forgets the session that could be resumed, so that no key and
 * no memory is left in `tls`. The transport can be used again. */
UNSBI_MBEDTLS_FN void unsb_mbedtls_wipe(unsb_mbedtls *tls);
/* What the last failure was, for people: a phrase in English, in constant memory, never NULL; "" if
 * there was none. To be asked before the next connect. Of several reasons against a certificate it
 * names one; tls->error has them all. */
UNSBI_MBEDTLS_FN const char *unsb_mbedtls_error_text(const unsb_mbedtls *tls);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

enum {
    UNSBI_MBEDTLS_IDLE,
    UNSBI_MBEDTLS_CONNECTING, /* the inner transport */
    UNSBI_MBEDTLS_HANDSHAKE,
    UNSBI_MBEDTLS_OPEN,
    UNSBI_MBEDTLS_FAILED /* connect did */
};

/* Calls of the inner transport that one call may make: a bound on its work, and more than one
 * record (header and body are fetched apart) where the inner transport has it whole. */
#define UNSBI_MBEDTLS_STEPS 16

/* 3.x gave these other names; the numbers are the same. */
#if MBEDTLS_VERSION_MAJOR >= 3
#define UNSBI_MBEDTLS_BAD_CERTIFICATE MBEDTLS_ERR_SSL_BAD_CERTIFICATE
#define UNSBI_MBEDTLS_PRIVATE(field) MBEDTLS_PRIVATE(field)
#else
#define UNSBI_MBEDTLS_BAD_CERTIFICATE MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE
#define UNSBI_MBEDTLS_PRIVATE(field) field
#endif

/* Through a volatile pointer, or compilers drop stores to memory that is not read any more. */
static void *(*const volatile unsbi_mbedtls_memset)(void *, int, size_t) = memset;

static void unsbi_mbedtls_zero(void *data, size_t size)
{
    (void)unsbi_mbedtls_memset(data, 0, size);
}

/* ---- certificates ----
 *
 * Mbed TLS verifies the chain, and the host where it is a name. What it does not check, or takes
 * too lightly, is added in its callback, which is called for each certificate of the chain, the
 * server's own last (depth 0). */

static bool unsbi_mbedtls_sha256(const void *data, size_t size, uint8_t *digest)
{
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    return info != NULL && mbedtls_md(info, (const unsigned char *)data, size, digest) == 0;
}

static bool unsbi_mbedtls_is_pinned(const unsb_mbedtls_config *config, const mbedtls_x509_crt *crt)
{
    uint8_t digest[32];
    size_t i;
    if (!unsbi_mbedtls_sha256(crt->pk_raw.p, crt->pk_raw.len, digest)) {
        return false;
    }
    for (i = 0; i < config->pin_count; i++) {
        if (memcmp(config->pins + i * sizeof digest, digest, sizeof digest) == 0) {
            return true;
        }
    }
    return false;
}

/* Looks through GeneralNames at *p: true if one is an entry that the host can be among; an address
 * must be that one. */
static bool unsbi_mbedtls_general_names(const unsb_mbedtls *tls, unsigned char *p,
                                        const unsigned char *end)
{
    size_t size;
    if (mbedtls_asn1_get_tag(&p, end, &size, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) !=
        0) {
        return false;
    }
    while (p < end) {
        unsigned char tag = *p++;
        if (mbedtls_asn1_get_len(&p, end, &size) != 0) {
            return false;
        }
        if (tls->address_size == 0 && tag == (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2)) {
            return true; /* dNSName: Mbed TLS compares them */
        }
        if (tls->address_size != 0 && tag == (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7) &&
            size == tls->address_size && memcmp(p, tls->address, size) == 0) {
            return true;
        }
        p += size;
    }
    return false;
}

/* Mbed TLS 2.28 knows nothing of iPAddress entries, and takes the common name where there is no
 * subjectAltName: so the extension is looked up here. */
static bool unsbi_mbedtls_has_name(const unsb_mbedtls *tls, const mbedtls_x509_crt *crt)
{
    static const uint8_t subject_alt_name[3] = {0x55, 0x1D, 0x11}; /* 2.5.29.17 */
    const int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    unsigned char *p = crt->v3_ext.p;
    const unsigned char *end;
    size_t size;

    if (p == NULL || mbedtls_asn1_get_tag(&p, p + crt->v3_ext.len, &size, sequence) != 0) {
        return false;
    }
    end = p + size;
    while (p < end) {
        unsigned char *next;
        bool found;
        int critical = 0;
        if (mbedtls_asn1_get_tag(&p, end, &size, sequence) != 0) {
            return false;
        }
        next = p + size;
        if (mbedtls_asn1_get_tag(&p, next, &size, MBEDTLS_ASN1_OID) != 0) {
            return false;
        }
        found = size == 3 && memcmp(p, subject_alt_name, 3) == 0;
        p += size;
        if (found) {
            (void)mbedtls_asn1_get_bool(&p, next, &critical);
            return mbedtls_asn1_get_tag(&p, next, &size, MBEDTLS_ASN1_OCTET_STRING) == 0 &&
                   unsbi_mbedtls_general_names(tls, p, p + size);
        }
        p = next;
    }
    return false;
}

static uint32_t unsbi_mbedtls_time(const unsb_mbedtls *tls)
{
    return tls->config.unix_time == NULL ? 0 : tls->config.unix_time(tls->config.context);
}

/* < 0: the time is before `now` (seconds since 1970), > 0: after it. Days are counted from the
 * first of March of the year 0, so that leap days come last. */
static int unsbi_mbedtls_compare(const mbedtls_x509_time *time, uint32_t now)
{
    int32_t year = (int32_t)time->year - (time->mon <= 2 ? 1 : 0);
    int32_t month = (int32_t)time->mon + (time->mon <= 2 ? 9 : -3);
    int32_t days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 +
                   (int32_t)time->day - 1 - 719468;
    int32_t seconds = ((int32_t)time->hour * 60 + (int32_t)time->min) * 60 + (int32_t)time->sec;
    int32_t today = (int32_t)(now / 86400u);

    if (days != today) {
        return days < today ? -1 : 1;
    }
    today = (int32_t)(now % 86400u);
    return seconds < today ? -1 : seconds > today;
}

/* By the caller's clock instead of Mbed TLS's, which is one for all. */
static uint32_t unsbi_mbedtls_dates(const unsb_mbedtls *tls, const mbedtls_x509_crt *crt,
                                    uint32_t flags)
{
    const uint32_t both = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE;
    uint32_t now;
    if (tls->config.unix_time == NULL) {
#if defined(MBEDTLS_HAVE_TIME_DATE)
        return flags;
#else
        return flags | both; /* Mbed TLS would take any date */
#endif
    }
    now = unsbi_mbedtls_time(tls);
    flags &= ~both;
    if (unsbi_mbedtls_compare(&crt->valid_to, now) < 0) {
        flags |= MBEDTLS_X509_BADCERT_EXPIRED;
    }
    if (unsbi_mbedtls_compare(&crt->valid_from, now) > 0) {
        flags |= MBEDTLS_X509_BADCERT_FUTURE;
    }
    return flags;
}

/* ---- what Mbed TLS lets pass: unsandbox_x509.h ---- */

/* A length of three bytes. */
static size_t unsbi_mbedtls_length(const uint8_t *bytes)
{
    return (size_t)bytes[0] << 16 | (size_t)bytes[1] << 8 | bytes[2];
}

/* Is there nothing behind the end of any certificate that was sent? Mbed TLS keeps what it has
 * parsed and forgets the rest, but the message is still where it was received: RFC 5246 section
 * 7.4.2, or RFC 8446 section 4.4.2. */
static bool unsbi_mbedtls_exact(const unsb_mbedtls *tls)
{
    const uint8_t *p = tls->ssl.UNSBI_MBEDTLS_PRIVATE(in_msg);
    size_t left = tls->ssl.UNSBI_MBEDTLS_PRIVATE(in_hslen), size, head = 7;
    bool latest = false;
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    latest = mbedtls_ssl_get_version_number(&tls->ssl) == MBEDTLS_SSL_VERSION_TLS1_3;
#endif
    head += latest && left > 4 ? 1u + p[4] : 0u;
    if (left < head || p[0] != MBEDTLS_SSL_HS_CERTIFICATE) {
        return false;
    }
    p += head;
    left -= head;
    while (left > 0) {
        const unsigned char *der;
        size_t inner;
        if (left < 3 || (size = unsbi_mbedtls_length(p)) > left - 3) {
            return false;
        }
        der = p + 3;
        if (mbedtls_asn1_get_tag((unsigned char **)(void *)&der, der + size, &inner,
                                 MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0 ||
            der + inner != p + 3 + size) {
            return false;
        }
        p += 3 + size;
        left -= 3 + size;
        if (latest) { /* extensions */
            if (left < 2 || (size = (size_t)p[0] << 8 | p[1]) > left - 2) {
                return false;
            }
            p += 2 + size;
            left -= 2 + size;
        }
    }
    return true;
}

/* Called at each depth, the server's own certificate last: then goes through the path. */
static uint32_t unsbi_mbedtls_walk(unsb_mbedtls *tls, const mbedtls_x509_crt *crt, int depth)
{
    unsb_x509 walker;
    int i;
    if (depth < 0 || depth >= UNSBI_MBEDTLS_PATH) {
        return MBEDTLS_X509_BADCERT_OTHER;
    }
    tls->path[depth] = crt;
    if (depth != 0) {
        return 0;
    }
    unsb_x509_start(&walker, NULL, 0);
    if (!unsbi_mbedtls_exact(tls)) {
        walker.error = UNSB_X509_MALFORMED;
    }
    for (i = 0; i < UNSBI_MBEDTLS_PATH && tls->path[i] != NULL; i++) {
        unsb_x509_begin(&walker, tls->path[i]->raw.len);
        walker.anchor = i + 1 == UNSBI_MBEDTLS_PATH || tls->path[i + 1] == NULL;
        unsb_x509_feed(&walker, tls->path[i]->raw.p, tls->path[i]->raw.len);
        (void)unsb_x509_end(&walker);
    }
    memset(tls->path, 0, sizeof tls->path);
    tls->x509 = walker.error;
    return walker.error == UNSB_X509_OK        ? 0
           : walker.error == UNSB_X509_PURPOSE ? MBEDTLS_X509_BADCERT_EXT_KEY_USAGE
           : walker.error == UNSB_X509_WEAK    ? MBEDTLS_X509_BADCERT_BAD_KEY
                                               : MBEDTLS_X509_BADCERT_OTHER;
}

static int unsbi_mbedtls_verify(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    unsb_mbedtls *tls = (unsb_mbedtls *)context;
    const unsb_mbedtls_config *config = &tls->config;
    uint32_t found = *flags;

    tls->checked = true;
    if (config->anchors != NULL) {
        found = unsbi_mbedtls_dates(tls, crt, found) | unsbi_mbedtls_walk(tls, crt, depth);
    } else if (depth != 0) {
        found = 0; /* the pin is of the server's own key */
    } else {
        found &= MBEDTLS_X509_BADCERT_CN_MISMATCH;
        if (mbedtls_pk_get_type(&crt->pk) == MBEDTLS_PK_RSA &&
            mbedtls_pk_get_bitlen(&crt->pk) < 2048) {
            found |= MBEDTLS_X509_BADCERT_BAD_KEY;
        }
    }
    if (depth == 0) {
        if (!unsbi_mbedtls_has_name(tls, crt)) {
            found |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
        }
        if (config->pin_count != 0 && !unsbi_mbedtls_is_pinned(config, crt)) {
            found |= MBEDTLS_X509_BADCERT_OTHER;
        }
    }
    *flags = found;
    tls->refused = found;
    return found != 0 && config->anchors == NULL ? MBEDTLS_ERR_X509_FATAL_ERROR : 0;
}

/* ---- errors ---- */

static int unsbi_mbedtls_fail(unsb_mbedtls *tls, int failure, int error)
{
    tls->failure = failure;
    tls->code = failure;
    tls->error = error;
    if (tls->state != UNSBI_MBEDTLS_OPEN) {
        if (tls->offered) {
            tls->has_session = false; /* perhaps the session is the reason: not again */
        }
        tls->state = UNSBI_MBEDTLS_FAILED;
    } else if (error != 0 && error != MBEDTLS_ERR_SSL_CONN_EOF) {
        tls->has_session = false; /* RFC 5246 section 7.2.2 */
    }
    return failure;
}

/* Was a certificate the reason? Numbers of Mbed TLS have two parts; the higher one is a module's.
 */
static bool unsbi_mbedtls_is_certificate(const unsb_mbedtls *tls, int error)
{
    int high = -error & 0x7F80;
    if (error == UNSBI_MBEDTLS_BAD_CERTIFICATE) {
        return true;
    }
    if (high == -MBEDTLS_ERR_X509_ALLOC_FAILED) {
        return false;
    }
    if (high >= 0x2080 && high <= -MBEDTLS_ERR_X509_FATAL_ERROR) {
        return true;
    }
    /* keys of kinds that are not known: signatures, too, once the certificates are through */
    return high >= 0x3880 && high <= 0x3F80 && !tls->checked;
}

/* Did memory run out? Each module has a number of its own for that; some are the low part. */
static bool unsbi_mbedtls_is_memory(int error)
{
    static const int high[] = {-MBEDTLS_ERR_SSL_ALLOC_FAILED, -MBEDTLS_ERR_X509_ALLOC_FAILED,
                               -MBEDTLS_ERR_PK_ALLOC_FAILED,  -MBEDTLS_ERR_ECP_ALLOC_FAILED,
                               -MBEDTLS_ERR_MD_ALLOC_FAILED,  -MBEDTLS_ERR_CIPHER_ALLOC_FAILED};
    size_t i;
    for (i = 0; i < sizeof high / sizeof high[0]; i++) {
        if ((-error & 0x7F80) == high[i]) {
            return true;
        }
    }
    return (-error & 0x7F) == -MBEDTLS_ERR_MPI_ALLOC_FAILED ||
           (-error & 0x7F) == -MBEDTLS_ERR_ASN1_ALLOC_FAILED;
}

/* An error that Mbed TLS returned. */
static int unsbi_mbedtls_failed(unsb_mbedtls *tls, int error)
{
    if (tls->recv_failure == UNSB_E_CLOSED) {
        /* An end that anyone on the path can forge (RFC 5246 section 7.2.1). */
        return unsbi_mbedtls_fail(tls, UNSB_E_IO, MBEDTLS_ERR_SSL_CONN_EOF);
    }
    if (tls->recv_failure != 0) {
        return unsbi_mbedtls_fail(tls, tls->recv_failure, 0);
    }
    if (error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
        tls->alert = tls->ssl.UNSBI_MBEDTLS_PRIVATE(in_msg)[1];
    }
    if (error == MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED) {
        return unsbi_mbedtls_fail(tls, UNSB_E_ENTROPY, error);
    }
    if (unsbi_mbedtls_is_memory(error)) {
        return unsbi_mbedtls_fail(tls, UNSB_E_MBEDTLS_MEMORY, error);
    }
    if (unsbi_mbedtls_is_certificate(tls, error)) {
        uint32_t flags = mbedtls_ssl_get_verify_result(&tls->ssl);
        if (flags == 0 || flags > (uint32_t)INT_MAX) {
            flags = tls->refused; /* it was not told */
        }
        return unsbi_mbedtls_fail(tls, UNSB_E_CERTIFICATE, flags != 0 ? (int)flags : error);
    }
    return unsbi_mbedtls_fail(tls, UNSB_E_TLS, error);
}

/* ---- errors, for people ---- */

typedef struct unsbi_mbedtls_text {
    int number;
    const char *text;
} unsbi_mbedtls_text;

/* The most telling reason comes first. */
static const char *unsbi_mbedtls_certificate_text(int flags)
{
    static const unsbi_mbedtls_text texts[] = {
        {(int)MBEDTLS_X509_BADCERT_CN_MISMATCH, "the server's certificate is for another host"},
        {(int)MBEDTLS_X509_BADCERT_OTHER, "the server's key is none of those that are pinned"},
        {(int)MBEDTLS_X509_BADCERT_MISSING, "the server sent no certificate"},
        {(int)MBEDTLS_X509_BADCERT_EXPIRED, "a certificate of the server has expired"},
        {(int)MBEDTLS_X509_BADCERT_FUTURE,
         "a certificate of the server is not valid yet, or the clock is wrong"},
        {(int)MBEDTLS_X509_BADCERT_BAD_KEY, "a certificate's key is too weak, or of another kind"},
        {(int)MBEDTLS_X509_BADCERT_BAD_PK, "a certificate's key is of a kind that is not accepted"},
        {(int)MBEDTLS_X509_BADCERT_BAD_MD, "a certificate's signature uses a hash that is broken"},
        {(int)(MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
               MBEDTLS_X509_BADCERT_NS_CERT_TYPE),
         "the server's certificate is not for a TLS server"},
        {(int)MBEDTLS_X509_BADCERT_NOT_TRUSTED,
         "no authority that is trusted has signed the server's certificate"},
        {(int)MBEDTLS_X509_BADCERT_REVOKED, "the server's certificate was revoked"}};
    const int dates = (int)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    size_t i;

    if (flags < 0) {
        return "a certificate of the server cannot be read";
    }
    if ((flags & dates) == dates) {
        return "there is no clock to check certificates by";
    }
    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if ((flags & texts[i].number) != 0) {
            return texts[i].text;
        }
    }
    return "the server's certificate is not accepted";
}

/* RFC 8446 section 6. */
static const char *unsbi_mbedtls_alert_text(int alert)
{
    static const unsbi_mbedtls_text texts[] = {
        {10, "the server refused: a message came that it did not expect"},
        {20, "the server refused: a record was damaged on the way"},
        {22, "the server refused: a record was too large"},
        {40, "the server refused: it has no cipher, curve or signature in common"},
        {47, "the server refused: a parameter makes no sense to it"},
        {48, "the server refused: it does not know the client's authority"},
        {50, "the server refused: a message was damaged on the way"},
        {51, "the server refused: a signature or a secret was wrong"},
        {70, "the server refused: it has no version of TLS in common"},
        {71, "the server refused: it wants stronger ciphers"},
        {80, "the server failed by itself"},
        {86, "the server refused: an attempt with an older version than both have"},
        {112, "the server refused: it does not know this name"},
        {116, "the server refused: it asks for a client's certificate"},
        {120, "the server refused: no application protocol in common"}};
    size_t i;

    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].number == alert) {
            return texts[i].text;
        }
    }
    return "the server refused";
}

static const char *unsbi_mbedtls_tls_text(int error)
{
    static const unsbi_mbedtls_text texts[] = {
        {MBEDTLS_ERR_SSL_INVALID_MAC, "a record was damaged on the way"},
        {MBEDTLS_ERR_SSL_INVALID_RECORD,
         "what came is not TLS, or a record is larger than MBEDTLS_SSL_IN_CONTENT_LEN"},
        {MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL,
         "a message does not fit MBEDTLS_SSL_IN_CONTENT_LEN or MBEDTLS_SSL_OUT_CONTENT_LEN"},
        {MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE, "a message came that has no place there"},
        {MBEDTLS_ERR_SSL_UNEXPECTED_RECORD, "a record came that has no place there"},
        {MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE, "the server does what Mbed TLS was built without"},
#if MBEDTLS_VERSION_MAJOR >= 3
        {MBEDTLS_ERR_SSL_DECODE_ERROR, "a message of the server cannot be read"},
        {MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER, "the server chose what was not offered"},
        {MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, "there is no cipher, curve or signature in common"},
        {MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION, "the server has no version of TLS in common"},
#else
        {MBEDTLS_ERR_SSL_BAD_HS_SERVER_HELLO, "the server chose what was not offered"},
        {MBEDTLS_ERR_SSL_BAD_HS_SERVER_KEY_EXCHANGE, "the server's part of the key is wrong"},
        {MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION, "the server has no version of TLS in common"},
#endif
        {MBEDTLS_ERR_SSL_INTERNAL_ERROR, "Mbed TLS failed by itself"}};
    size_t i;

    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].number == error) {
            return texts[i].text;
        }
    }
    return "TLS failed: see the number in `error`";
}

UNSBI_MBEDTLS_FN const char *unsb_mbedtls_error_text(const unsb_mbedtls *tls)
{
    switch (tls->code) {
    case UNSB_OK:
        return "";
    case UNSB_E_CERTIFICATE:
        return unsbi_mbedtls_certificate_text(tls->error);
    case UNSB_E_TLS:
        return tls->error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE
                   ? unsbi_mbedtls_alert_text(tls->alert)
                   : unsbi_mbedtls_tls_text(tls->error);
    case UNSB_E_ENTROPY:
        return "there is no true randomness: see unsb_mbedtls_config.entropy";
    case UNSB_E_TRUST:
        return "there is nothing to trust: neither anchors nor pins";
    case UNSB_E_MBEDTLS_MEMORY:
        return "Mbed TLS found no memory";
    case UNSB_E_MBEDTLS_CONFIG:
        return tls->error == UNSB_MBEDTLS_PINS ? "pins without their number, or the other way round"
                                               : "there is no inner transport";
    default:
        return tls->error == MBEDTLS_ERR_SSL_CONN_EOF
                   ? "the stream was cut off: it ended without close_notify"
                   : "the layer below TLS failed";
    }
}

/* ---- moving records: what Mbed TLS calls ---- */

static int unsbi_mbedtls_push(void *context, const unsigned char *data, size_t size)
{
    unsb_mbedtls *tls = (unsb_mbedtls *)context;
    const unsb_transport *inner = &tls->config.inner;
    int count = tls->send_failure;

    tls->unsent = true; /* `size` is all that waits */
    if (count == 0 && tls->steps > 0) {
        tls->steps--;
        count = inner->vtable->send(inner->context, data, size);
    }
    if (count == 0) {
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    }
    if (count < 0) {
        tls->send_failure = count;
        return MBEDTLS_ERR_SSL_CONN_EOF;
    }
    tls->unsent = (size_t)count < size;
    return count;
}

/* What the inner transport has: bytes, or Mbed TLS's number for why there are none. */
static int unsbi_mbedtls_fetch(unsb_mbedtls *tls, unsigned char *data, size_t size)
{
    const unsb_transport *inner = &tls->config.inner;
    int count = tls->recv_failure;

    if (count == 0 && tls->steps > 0) {
        tls->steps--;
        count = inner->vtable->recv(inner->context, data, size);
    }
    if (count == 0) {
        tls->starved = true;
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    if (count < 0) {
        tls->recv_failure = count;
        return MBEDTLS_ERR_SSL_CONN_EOF;
    }
    return count;
}

/* >>joining
 *
 * A message of the handshake may be cut anywhere into records (RFC 8446 section 5.1), which Mbed
 * TLS 2.28 takes for an error, and 3.6 does where the first piece is shorter than a message's
 * header. While records are in the clear, and bear no protection, each message is handed on as one
 * record: its header is made as soon as the message's own is there, and then only the headers
 * within it are left out, so nothing needs to be stored. All else passes as it is, and from the
 * first record of another kind on, other than an alert, everything: in TLS 1.2 what follows
 * ChangeCipherSpec, in 1.3 what follows ServerHello. */

/* Gets the header of the next record, and judges whether its content is to be joined: > 0, it is
 * there; else Mbed TLS's number. */
static int unsbi_mbedtls_next(unsb_mbedtls *tls)
{
    unsbi_mbedtls_joiner *join = &tls->join;
    unsigned length;

    while (join->have < sizeof join->in) {
        int count = unsbi_mbedtls_fetch(tls, join->in + join->have, sizeof join->in - join->have);
        if (count <= 0) {
            return count;
        }
        join->have = (uint8_t)(join->have + count);
    }
    join->have = 0;
    length = (unsigned)join->in[3] << 8 | join->in[4];
    join->record = (uint16_t)length;
    if (join->in[0] == MBEDTLS_SSL_MSG_HANDSHAKE && length > 0 && length <= 16384) {
        return 1;
    }
    if (join->made != 0 || join->message != 0 || join->begun != 0) {
        return MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE; /* it breaks off */
    }
    join->off = join->in[0] != MBEDTLS_SSL_MSG_ALERT;
    join->made = join->record;
    memcpy(join->head, join->in, sizeof join->in);
    join->size = sizeof join->in;
    join->out = 0;
    return 1;
}

/* Makes the header of a record for what comes, and hands on a message's own, if one begins: > 0, it
 * is there, or more of that must be read; else Mbed TLS's number. */
static int unsbi_mbedtls_make(unsb_mbedtls *tls)
{
    unsbi_mbedtls_joiner *join = &tls->join;
    unsigned made, own = 0;

    if (join->message == 0) {
        size_t most = 4u - join->begun;
        int count;
        most = most < join->record ? most : join->record;
        count = unsbi_mbedtls_fetch(tls, join->head + 5 + join->begun, most);
        if (count <= 0) {
            return count;
        }
        join->record = (uint16_t)(join->record - (unsigned)count);
        join->begun = (uint8_t)(join->begun + count);
        if (join->begun < 4) {
            return 1;
        }
        join->begun = 0;
        own = 4;
        join->message = own + ((uint32_t)join->head[6] << 16 | (uint32_t)join->head[7] << 8 |
                               join->head[8]);
    }
    made = join->message < 16384 ? (unsigned)join->message : 16384u;
    memcpy(join->head, join->in, 3);
    join->head[3] = (uint8_t)(made >> 8);
    join->head[4] = (uint8_t)(made & 0xFFu);
    join->size = (uint8_t)(5 + own);
    join->out = 0;
    join->message -= made;
    join->made = (uint16_t)(made - own);
    return 1;
}

static int unsbi_mbedtls_pull(void *context, unsigned char *data, size_t size)
{
    unsb_mbedtls *tls = (unsb_mbedtls *)context;
    unsbi_mbedtls_joiner *join = &tls->join;
    int count = 1;

    while (count > 0) {
        if (join->out < join->size) {
            size_t left = (size_t)(join->size - join->out);
            size = size < left ? size : left;
            memcpy(data, join->head + join->out, size);
            join->out = (uint8_t)(join->out + size);
            return (int)size;
        }
        if (join->off) {
            return unsbi_mbedtls_fetch(tls, data, size);
        }
        if (join->record == 0) {
            count = unsbi_mbedtls_next(tls);
        } else if (join->made == 0) {
            count = unsbi_mbedtls_make(tls);
        } else {
            size = size < join->made ? size : join->made;
            size = size < join->record ? size : join->record;
            count = unsbi_mbedtls_fetch(tls, data, size);
            if (count > 0) {
                join->made = (uint16_t)(join->made - (unsigned)count);
                join->record = (uint16_t)(join->record - (unsigned)count);
            }
            return count;
        }
    }
    return count;
}

/* ---- reading and writing ---- */

static void unsbi_mbedtls_forget(unsb_mbedtls *tls)
{
    mbedtls_ssl_session_free(&tls->session);
    unsbi_mbedtls_zero(&tls->session, sizeof tls->session);
    tls->has_session = false;
}

/* Mbed TLS has a ticket, with which this session can be resumed. */
static void unsbi_mbedtls_keep(unsb_mbedtls *tls)
{
    if (!tls->config.no_resumption) {
        unsbi_mbedtls_forget(tls);
        tls->has_session = mbedtls_ssl_get_session(&tls->ssl, &tls->session) == 0;
        tls->is_ticket = tls->tls13;
        if (!tls->has_session) {
            unsbi_mbedtls_forget(tls);
        }
    }
}

/* Writes; a ticket of TLS 1.3 that Mbed TLS had left to look at comes first. */
static int unsbi_mbedtls_write(unsb_mbedtls *tls, const void *data, size_t size)
{
    int rc = mbedtls_ssl_write(&tls->ssl, (const unsigned char *)data, size);
#if UNSBI_MBEDTLS_TICKETS
    if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
        unsbi_mbedtls_keep(tls);
        rc = mbedtls_ssl_write(&tls->ssl, (const unsigned char *)data, size);
    }
#endif
    return rc;
}

/* Sends on what waits: > 0, all is out; 0, not now; < 0, an error. An empty write does that and
 * nothing else while a record waits; and without it the next record would be taken for that one. */
static int unsbi_mbedtls_flush(unsb_mbedtls *tls)
{
    int rc = 0;
    if (tls->unsent) {
        rc = unsbi_mbedtls_write(tls, "", 0);
    }
    if (tls->send_failure != 0) {
        return tls->send_failure;
    }
    if (rc < 0 && rc != MBEDTLS_ERR_SSL_WANT_WRITE && rc != MBEDTLS_ERR_SSL_WANT_READ) {
        return unsbi_mbedtls_failed(tls, rc);
    }
    return !tls->unsent;
}

/* ---- set-up ---- */

static int unsbi_mbedtls_entropy(void *context, unsigned char *bytes, size_t size)
{
    unsb_mbedtls *tls = (unsb_mbedtls *)context;
    if (tls->config.entropy != NULL) {
        return tls->config.entropy(tls->config.context, bytes, size) == UNSB_OK
                   ? 0
                   : MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
    }
#if UNSB_MBEDTLS_ENTROPY
    return mbedtls_entropy_func(&tls->entropy, bytes, size);
#else
    (void)bytes;
    (void)size;
    return MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
#endif
}

/* What can be told before the inner transport connects. */
static int unsbi_mbedtls_check(unsb_mbedtls *tls, const char *host, uint16_t port)
{
    const unsb_mbedtls_config *config = &tls->config;
    char name[256];
    uint8_t text[258]; /* port and host */
    size_t size;

    if (config->inner.vtable == NULL) {
        return unsbi_mbedtls_fail(tls, UNSB_E_MBEDTLS_CONFIG, UNSB_MBEDTLS_NO_INNER);
    }
    if (config->anchors != NULL ? config->anchors->raw.p == NULL
                                : config->pins == NULL || config->pin_count == 0) {
        return unsbi_mbedtls_fail(tls, UNSB_E_TRUST, 0);
    }
    if ((config->pins == NULL) != (config->pin_count == 0)) {
        return unsbi_mbedtls_fail(tls, UNSB_E_MBEDTLS_CONFIG, UNSB_MBEDTLS_PINS);
    }
    if (!unsb_address_host(host, name, tls->address, &tls->address_size) || strlen(host) > 256) {
        return unsbi_mbedtls_fail(tls, UNSB_E_CERTIFICATE, MBEDTLS_X509_BADCERT_CN_MISMATCH);
    }
    size = strlen(host);
    text[0] = (uint8_t)(port >> 8);
    text[1] = (uint8_t)(port & 0xFFu);
    memcpy(text + 2, host, size);
    if (!unsbi_mbedtls_sha256(text, size + 2, tls->peer)) {
        return unsbi_mbedtls_fail(tls, UNSB_E_TLS, MBEDTLS_ERR_SSL_INTERNAL_ERROR);
    }
    return UNSB_OK;
}

/* Versions, curves and signatures. */
static void unsbi_mbedtls_restrict_handshake(const unsb_mbedtls *tls, mbedtls_ssl_config *config)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03020000
    {
        /* what Mbed TLS was built without is left out; as are its default's odd curves */
        static const uint16_t groups[] = {
            MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
            MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1,
            MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
        mbedtls_ssl_conf_groups(config, groups);
    }
#if defined(MBEDTLS_SSL_PROTO_TLS1_2)
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
    if (!UNSBI_MBEDTLS_TLS13 || tls->config.no_tls13) {
        mbedtls_ssl_conf_max_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
    }
#endif
#if UNSBI_MBEDTLS_TLS13
    {
        /* Mbed TLS offers PSS in one list for both versions, and refuses it in TLS 1.2. So it comes
         * last, because most servers go by the client's order. */
        static const uint16_t signatures[] = {
            MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
            MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
            MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
            MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
            MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,    MBEDTLS_TLS1_3_SIG_NONE};
        mbedtls_ssl_conf_sig_algs(config, signatures);
    }
    /* never a session's secret alone, without a new exchange of keys */
    mbedtls_ssl_conf_tls13_key_exchange_modes(config,
                                              MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
#endif
#if UNSBI_MBEDTLS_TICKETS && MBEDTLS_VERSION_NUMBER >= 0x03060100
    if (!tls->config.no_resumption) {
        mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
            config, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
    }
#endif
#else
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_max_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
#if MBEDTLS_VERSION_MAJOR < 3
    {
        static const mbedtls_ecp_group_id curves[] = {
#if defined(MBEDTLS_ECP_DP_CURVE25519_ENABLED)
            MBEDTLS_ECP_DP_CURVE25519,
#endif
#if defined(MBEDTLS_ECP_DP_SECP256R1_ENABLED)
            MBEDTLS_ECP_DP_SECP256R1,
#endif
#if defined(MBEDTLS_ECP_DP_SECP384R1_ENABLED)
            MBEDTLS_ECP_DP_SECP384R1,
#endif
#if defined(MBEDTLS_ECP_DP_SECP521R1_ENABLED)
            MBEDTLS_ECP_DP_SECP521R1,
#endif
            MBEDTLS_ECP_DP_NONE
        };
        static const int hashes[] = {
#if defined(MBEDTLS_SHA512_C)
            MBEDTLS_MD_SHA512,
            MBEDTLS_MD_SHA384,
#endif
            MBEDTLS_MD_SHA256,
            MBEDTLS_MD_NONE
        };
        mbedtls_ssl_conf_curves(config, curves);
        mbedtls_ssl_conf_sig_hashes(config, hashes);
    }
#endif
    (void)tls;
}

/* What this port insists on, in `ssl_config`. */
static void unsbi_mbedtls_restrict(unsb_mbedtls *tls)
{
    static const int suites[] = {
#if UNSBI_MBEDTLS_TLS13
                                 MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
                                 MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
                                 MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
                                 MBEDTLS_TLS1_3_AES_128_CCM_SHA256,
#endif
                                 MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                                 MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                                 MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                                 MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                                 MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                                 MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                                 MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
                                 MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CCM,
                                 0};
    static const mbedtls_x509_crt_profile profile = {
        MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) | MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
            MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
        MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSA) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSASSA_PSS) |
            MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA),
        MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) |
            MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1) |
            MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP521R1),
        2048};
    mbedtls_ssl_config *config = &tls->ssl_config;

    /* REQUIRED demands anchors. With OPTIONAL, an error from unsbi_mbedtls_verify() ends the
     * handshake all the same, and unsbi_mbedtls_opened() looks for what else was found. */
    mbedtls_ssl_conf_authmode(config, tls->config.anchors != NULL ? MBEDTLS_SSL_VERIFY_REQUIRED
                                                                  : MBEDTLS_SSL_VERIFY_OPTIONAL);
    mbedtls_ssl_conf_ciphersuites(config, suites);
    mbedtls_ssl_conf_cert_profile(config, &profile);
    unsbi_mbedtls_restrict_handshake(tls, config);
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
}

/* 0 or Mbed TLS's number. */
static int unsbi_mbedtls_set_up(unsb_mbedtls *tls, const char *name)
{
    mbedtls_ssl_config *config = &tls->ssl_config;
    int rc;

#if UNSBI_MBEDTLS_PSA
    {
        psa_status_t status = psa_crypto_init(); /* again: it does nothing */
        if (status == PSA_ERROR_INSUFFICIENT_MEMORY) {
            return MBEDTLS_ERR_SSL_ALLOC_FAILED;
        }
        if (status != PSA_SUCCESS) {
            return MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
        }
    }
#endif
    rc = mbedtls_ctr_drbg_seed(&tls->random, unsbi_mbedtls_entropy, tls, NULL, 0);
    if (rc != 0) {
        return MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
    }
    rc = mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                     MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc != 0) {
        return rc;
    }
    unsbi_mbedtls_restrict(tls);
    mbedtls_ssl_conf_rng(config, mbedtls_ctr_drbg_random, &tls->random);
    mbedtls_ssl_conf_ca_chain(config, tls->config.anchors, NULL);
    mbedtls_ssl_conf_verify(config, unsbi_mbedtls_verify, tls);
#if defined(MBEDTLS_SSL_MAX_FRAGMENT_LENGTH) && MBEDTLS_SSL_IN_CONTENT_LEN < 16384
    rc = mbedtls_ssl_conf_max_frag_len(
        config, MBEDTLS_SSL_IN_CONTENT_LEN >= 4096   ? MBEDTLS_SSL_MAX_FRAG_LEN_4096
                : MBEDTLS_SSL_IN_CONTENT_LEN >= 2048 ? MBEDTLS_SSL_MAX_FRAG_LEN_2048
                : MBEDTLS_SSL_IN_CONTENT_LEN >= 1024 ? MBEDTLS_SSL_MAX_FRAG_LEN_1024
                                                     : MBEDTLS_SSL_MAX_FRAG_LEN_512);
    if (rc != 0) {
        return rc;
    }
#endif
    rc = mbedtls_ssl_setup(&tls->ssl, config);
    if (rc == 0) {
        /* NULL says that no name is to be compared; later versions insist on being told. */
        rc = mbedtls_ssl_set_hostname(&tls->ssl, tls->address_size != 0 ? NULL : name);
    }
    return rc;
}

/* Offers the session that is kept, if it is this peer's and not too old. */
static void unsbi_mbedtls_offer_session(unsb_mbedtls *tls)
{
    uint32_t age = unsbi_mbedtls_time(tls) - tls->session_time;
    if (!tls->has_session || age > 86400u ||
        memcmp(tls->session_peer, tls->peer, sizeof tls->peer) != 0) {
        return;
    }
    tls->offered = mbedtls_ssl_set_session(&tls->ssl, &tls->session) == 0;
    if (tls->is_ticket) {
        unsbi_mbedtls_forget(tls); /* RFC 8446 appendix C.4: once, or others can tell who it is */
    }
}

/* The inner transport is connected: starts Mbed TLS anew. */
static int unsbi_mbedtls_start(unsb_mbedtls *tls, const char *host)
{
    char name[256];
    int rc;

    if (!unsb_address_host(host, name, tls->address, &tls->address_size)) {
        return unsbi_mbedtls_fail(tls, UNSB_E_CERTIFICATE, MBEDTLS_X509_BADCERT_CN_MISMATCH);
    }
    mbedtls_ssl_init(&tls->ssl);
    mbedtls_ssl_config_init(&tls->ssl_config);
    mbedtls_ctr_drbg_init(&tls->random);
#if UNSB_MBEDTLS_ENTROPY
    mbedtls_entropy_init(&tls->entropy);
#endif
    tls->started = true;
    memset(&tls->join, 0, sizeof tls->join);
    rc = unsbi_mbedtls_set_up(tls, name);
    if (rc != 0) {
        return unsbi_mbedtls_failed(tls, rc);
    }
    mbedtls_ssl_set_bio(&tls->ssl, tls, unsbi_mbedtls_push, unsbi_mbedtls_pull, NULL);
    unsbi_mbedtls_offer_session(tls);
    tls->state = UNSBI_MBEDTLS_HANDSHAKE;
    return UNSB_OK;
}

/* The handshake is over: keeps the session. */
static int unsbi_mbedtls_opened(unsb_mbedtls *tls)
{
    /* Without a chain this is the session that was offered, or it must not be at all. */
    tls->resumed = !tls->checked;
    if (tls->resumed && !tls->offered) {
        return unsbi_mbedtls_fail(tls, UNSB_E_CERTIFICATE, MBEDTLS_X509_BADCERT_MISSING);
    }
    if (!tls->resumed && mbedtls_ssl_get_verify_result(&tls->ssl) != 0) {
        return unsbi_mbedtls_failed(tls, UNSBI_MBEDTLS_BAD_CERTIFICATE);
    }
    tls->state = UNSBI_MBEDTLS_OPEN;
#if UNSBI_MBEDTLS_TLS13
    tls->tls13 = mbedtls_ssl_get_version_number(&tls->ssl) == MBEDTLS_SSL_VERSION_TLS1_3;
#endif
    /* Also when it was resumed: the server may have sent a new ticket. Its age counts on. With TLS
     * 1.3 tickets come later. */
    if (tls->tls13) {
        unsbi_mbedtls_forget(tls);
    } else {
        unsbi_mbedtls_keep(tls);
    }
    if (!tls->resumed) {
        tls->session_time = unsbi_mbedtls_time(tls);
        memcpy(tls->session_peer, tls->peer, sizeof tls->peer);
    }
    return UNSB_OK;
}

static int unsbi_mbedtls_handshake(unsb_mbedtls *tls)
{
    int rc = mbedtls_ssl_handshake(&tls->ssl);
    tls->computing = rc == MBEDTLS_ERR_SSL_CRYPTO_IN_PROGRESS;
    if (tls->send_failure != 0) {
#if UNSBI_MBEDTLS_TLS13
        /* It had judged already. Where the alert goes out in pieces, it is sent twice, and the
         * second one finds that the server is gone. */
        rc = tls->ssl.UNSBI_MBEDTLS_PRIVATE(alert_reason);
        if (rc != 0) {
            return unsbi_mbedtls_failed(tls, rc);
        }
#endif
        return unsbi_mbedtls_fail(tls, tls->send_failure, 0);
    }
    if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE || tls->computing) {
        return UNSB_PENDING;
    }
    return rc != 0 ? unsbi_mbedtls_failed(tls, rc) : unsbi_mbedtls_opened(tls);
}

/* ---- the transport ---- */

static int unsbi_mbedtls_connect(void *context, const char *host, uint16_t port)
{
    unsb_mbedtls *tls = (unsb_mbedtls *)context;
    const unsb_transport *inner = &tls->config.inner;
    int rc;

    tls->steps = UNSBI_MBEDTLS_STEPS;
    if (tls->state == UNSBI_MBEDTLS_IDLE) {
        tls->code = 0;
        tls->error = 0;
        tls->alert = 0;
        tls->resumed = false;
        tls->x509 = 0;
        tls->tls13 = false;
        rc = unsbi_mbedtls_check(tls, host, port);
        if (rc != UNSB_OK) {
            return rc;
        }
        tls->state = UNSBI_MBEDTLS_CONNECTING;
    }
    if (tls->state == UNSBI_MBEDTLS_CONNECTING) {
        rc = inner->vtable->connect(inner->context, host, port);
        if (rc == UNSB_PENDING) {
            return rc;
        }
        if (rc != UNSB_OK) {
            return unsbi_mbedtls_fail(tls, rc, 0);
        }
        rc = unsbi_mbedtls_start(tls, host);
        if (rc != UNSB_OK) {
            return rc;
        }
    }
    if (tls->state == UNSBI_MBEDTLS_HANDSHAKE) {
        return unsbi_mbedtls_handshake(tls);
    }
    return tls->state == UNSBI_MBEDTLS_OPEN ? UNSB_OK : tls->failure;
}

static int unsbi_mbedtls_send(void *context, const void *data, size_t size)
{
    unsb_mbedtls *tls = (unsb_mbedtls *)context;
    int rc = tls->failure != 0 ? tls->failure : tls->send_failure;
    int most;

    if (tls->state != UNSBI_MBEDTLS_OPEN) {
        return rc != 0 ? rc : UNSB_E_IO;
    }
    if (rc != 0 || size == 0) {
        return rc;
    }
    if (tls->ended) {
        return UNSB_E_CLOSED;
    }
    tls->steps = UNSBI_MBEDTLS_STEPS;
    rc = unsbi_mbedtls_flush(tls);
    if (rc <= 0) {
        return rc;
    }
    most = mbedtls_ssl_get_max_out_record_payload(&tls->ssl);
    if (most > 0 && size > (size_t)most) {
        size = (size_t)most;
    }
    rc = unsbi_mbedtls_write(tls, data, size);
    /* Mbed TLS has made a record of the bytes, so they are taken; what the inner transport does not
     * take now goes out with the next call, and an error is its result. */
    if (rc == (int)size || tls->unsent) {
        return (int)size;
    }
    if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE) {
        return 0;
    }
    return unsbi_mbedtls_failed(tls, rc);
}

/* Is there more to be done with what came: a ticket of TLS 1.3, or what follows one in its record?
 * Each costs a step; when they are used up, `computing` says so. */
static bool unsbi_mbedtls_is_more(unsb_mbedtls *tls, int rc)
{
#if UNSBI_MBEDTLS_TICKETS
    if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
        unsbi_mbedtls_keep(tls);
        rc = MBEDTLS_ERR_SSL_WANT_READ;
    }
#endif
    if (rc != MBEDTLS_ERR_SSL_WANT_READ || tls->starved || tls->recv_failure != 0) {
        return false;
    }
    tls->computing = tls->steps <= 0;
    tls->steps--;
    return true;
}

static int unsbi_mbedtls_recv(void *context, void *data, size_t size)
{
    unsb_mbedtls *tls = (unsb_mbedtls *)context;

    if (tls->state != UNSBI_MBEDTLS_OPEN) {
        return tls->failure != 0 ? tls->failure : UNSB_E_IO;
    }
    if (tls->failure != 0 || size == 0) {
        return tls->failure;
    }
    if (tls->ended) {
        return UNSB_E_CLOSED; /* the answering close_notify is left to close */
    }
    if (size > (size_t)INT_MAX) {
        size = (size_t)INT_MAX;
    }
    tls->steps = UNSBI_MBEDTLS_STEPS;
    if (tls->send_failure == 0) {
        (void)unsbi_mbedtls_flush(tls);
    }
    tls->computing = tls->write_first = false;
    while (tls->failure == 0) {
        int rc;
        tls->starved = false;
        rc = mbedtls_ssl_read(&tls->ssl, (unsigned char *)data, size);
        if (rc > 0) {
            return rc;
        }
        if (unsbi_mbedtls_is_more(tls, rc)) {
            if (tls->computing) {
                return 0;
            }
            continue;
        }
#if UNSBI_MBEDTLS_TICKETS
        /* A ticket is looked at only when nothing waits to be sent. */
        if (tls->tls13 && tls->send_failure != 0 && tls->recv_failure == 0 &&
            rc == MBEDTLS_ERR_SSL_CONN_EOF) {
            return unsbi_mbedtls_fail(tls, tls->send_failure, 0);
        }
        tls->write_first = tls->tls13 && rc == MBEDTLS_ERR_SSL_WANT_WRITE;
#endif
        if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
            tls->ended = true;
            return UNSB_E_CLOSED;
        }
        /* CONN_EOF without a failure to receive is from unsbi_mbedtls_push(): an alert was to be
         * sent. That is for send to tell. */
        if (tls->recv_failure == 0 &&
            (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE ||
             rc == MBEDTLS_ERR_SSL_CONN_EOF)) {
            return 0;
        }
        /* 0 is an empty record, unless the inner transport failed; each costs a step. */
        if (rc != 0 || tls->recv_failure != 0) {
            return unsbi_mbedtls_failed(tls, rc);
        }
    }
    return tls->failure;
}

/* Releases all that the connection holds, and the session, if it cannot be resumed. */
static void unsbi_mbedtls_release(unsb_mbedtls *tls)
{
    if (tls->started) {
        mbedtls_ssl_free(&tls->ssl);
        mbedtls_ssl_config_free(&tls->ssl_config);
        mbedtls_ctr_drbg_free(&tls->random);
#if UNSB_MBEDTLS_ENTROPY
        mbedtls_entropy_free(&tls->entropy);
        unsbi_mbedtls_zero(&tls->entropy, sizeof tls->entropy);
#endif
        unsbi_mbedtls_zero(&tls->ssl, sizeof tls->ssl);
        unsbi_mbedtls_zero(&tls->ssl_config, sizeof tls->ssl_config);
        unsbi_mbedtls_zero(&tls->random, sizeof tls->random);
    }
    if (!tls->has_session) {
        unsbi_mbedtls_forget(tls);
    }
    tls->started = false;
    tls->offered = false;
    tls->checked = false;
    tls->unsent = false;
    tls->computing = false;
    tls->ended = false;
    tls->failure = 0;
    tls->send_failure = 0;
    tls->recv_failure = 0;
    tls->refused = 0;
    unsbi_mbedtls_zero(&tls->join, sizeof tls->join);
    tls->state = UNSBI_MBEDTLS_IDLE;
}

static void unsbi_mbedtls_close(void *context)
{
    unsb_mbedtls *tls = (unsb_mbedtls *)context;
    const unsb_transport *inner = &tls->config.inner;

    if (tls->state == UNSBI_MBEDTLS_IDLE) {
        return;
    }
    /* Says goodbye with close_notify, as far as the inner transport takes it at once. */
    tls->steps = UNSBI_MBEDTLS_STEPS;
    if (tls->state == UNSBI_MBEDTLS_OPEN && tls->failure == 0 && tls->send_failure == 0 &&
        unsbi_mbedtls_flush(tls) > 0) {
        (void)mbedtls_ssl_close_notify(&tls->ssl);
    }
    if (tls->state == UNSBI_MBEDTLS_HANDSHAKE && tls->offered) {
        tls->has_session = false; /* given up within the handshake: not again */
    }
    if (inner->vtable != NULL) {
        inner->vtable->close(inner->context);
    }
    unsbi_mbedtls_release(tls);
}

/* The session stays with the parent: both offering it would tell others that they are one. */
static void unsbi_mbedtls_drop(void *context)
{
    unsb_mbedtls *tls = (unsb_mbedtls *)context;
    const unsb_transport *inner = &tls->config.inner;

    if (tls->state != UNSBI_MBEDTLS_IDLE && inner->vtable != NULL) {
        if (inner->vtable->drop != NULL) {
            inner->vtable->drop(inner->context);
        } else {
            inner->vtable->close(inner->context);
        }
    }
    tls->has_session = false;
    unsbi_mbedtls_release(tls);
}

/* What the inner transport must wait for, so that what the client waits for can happen. `*ready`:
 * it can happen now. */
static int unsbi_mbedtls_translate(const unsb_mbedtls *tls, int interest, bool *ready)
{
    int wanted = tls->unsent && tls->send_failure == 0 ? UNSB_WRITABLE : 0;

    *ready = false;
    if (interest == 0 || tls->state == UNSBI_MBEDTLS_CONNECTING) {
        return interest;
    }
    if ((tls->state != UNSBI_MBEDTLS_HANDSHAKE && tls->state != UNSBI_MBEDTLS_OPEN) ||
        tls->failure != 0) {
        *ready = true; /* there is an error to be fetched */
    } else if (tls->state == UNSBI_MBEDTLS_HANDSHAKE) {
        *ready = tls->computing || tls->send_failure != 0;
        wanted = wanted != 0 ? wanted : UNSB_READABLE;
    } else {
        if ((interest & UNSB_READABLE) != 0) {
            *ready = tls->ended || tls->computing || mbedtls_ssl_get_bytes_avail(&tls->ssl) > 0;
            wanted |= tls->write_first && wanted != 0 ? 0 : UNSB_READABLE;
        }
        if ((interest & UNSB_WRITABLE) != 0) {
            *ready = *ready || tls->ended || tls->send_failure != 0;
            wanted |= UNSB_WRITABLE;
        }
    }
    return *ready ? UNSB_READABLE | UNSB_WRITABLE : wanted;
}

static int unsbi_mbedtls_interest(void *context, int interest)
{
    unsb_mbedtls *tls = (unsb_mbedtls *)context;
    const unsb_transport *inner = &tls->config.inner;
    bool ready;
    /* Where plaintext is waiting already, writable is the soonest that a socket can report. */
    int wanted = unsbi_mbedtls_translate(tls, interest, &ready);
    if (inner->vtable == NULL || inner->vtable->interest == NULL) {
        return wanted;
    }
    return inner->vtable->interest(inner->context, wanted);
}

static int unsbi_mbedtls_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsb_mbedtls *tls = (unsb_mbedtls *)context;
    const unsb_transport *inner = &tls->config.inner;
    bool ready;
    int wanted = unsbi_mbedtls_translate(tls, interest, &ready);
    return ready ? UNSB_OK : inner->vtable->wait(inner->context, wanted, timeout_ms);
}

static const unsb_transport_class unsbi_mbedtls_class = {
    unsbi_mbedtls_connect, unsbi_mbedtls_send,     unsbi_mbedtls_recv, unsbi_mbedtls_close,
    unsbi_mbedtls_wait,    unsbi_mbedtls_interest, unsbi_mbedtls_drop};

static const unsb_transport_class unsbi_mbedtls_class_without_wait = {
    unsbi_mbedtls_connect, unsbi_mbedtls_send,     unsbi_mbedtls_recv, unsbi_mbedtls_close,
    NULL,                  unsbi_mbedtls_interest, unsbi_mbedtls_drop};

UNSBI_MBEDTLS_FN unsb_transport unsb_mbedtls_transport(unsb_mbedtls *tls,
                                                       const unsb_mbedtls_config *config)
{
    unsb_transport transport;
    memset(tls, 0, sizeof *tls);
    if (config != NULL) {
        tls->config = *config;
    }
    transport.vtable = &unsbi_mbedtls_class;
    if (tls->config.inner.vtable == NULL || tls->config.inner.vtable->wait == NULL) {
        transport.vtable = &unsbi_mbedtls_class_without_wait;
    }
    transport.context = tls;
    return transport;
}

UNSBI_MBEDTLS_FN void unsb_mbedtls_wipe(unsb_mbedtls *tls)
{
    unsbi_mbedtls_close(tls);
    unsbi_mbedtls_forget(tls);
    unsbi_mbedtls_zero(tls->session_peer, sizeof tls->session_peer);
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_MBEDTLS_H */
