/* unsandbox_bearssl.h - TLS for unsandbox.h by BearSSL 0.6, over any other transport
 *
 *     #include "unsandbox.h"
 *     #include "unsandbox_posix.h"          (or any transport that moves bytes)
 *     #include "unsandbox_bearssl.h"
 *
 *     static unsb_posix tcp;
 *     static unsb_bearssl tls;
 *     static unsigned char records[BR_SSL_BUFSIZE_BIDI];
 *     unsb_bearssl_config secure = {0};
 *     secure.inner = unsb_posix_transport(&tcp);
 *     secure.anchors = anchors;             (unsandbox_roots.h, unsandbox_bearssl_pem.h)
 *     secure.anchor_count = anchor_count;
 *     secure.buffer = records;
 *     secure.buffer_size = sizeof records;
 *     config.transport = unsb_bearssl_transport(&tls, &secure);
 *
 * All functions are static: include the file wherever it is needed, there is no implementation
 * macro. C99 or C++11; link with -lbearssl. Nothing is allocated, and no operating system is used
 * but by BearSSL itself, as it was built. (BearSSL's headers warn under -Wconversion: name their
 * directory with -isystem.)
 *
 * What is always checked; there is no switch:
 *   - TLS 1.2 with ECDHE and an AEAD cipher (ChaCha20-Poly1305, AES-GCM; AES-CCM if a set-up of
 *     your own offers it), no renegotiation. BearSSL has no TLS 1.3.
 *   - The chain up to a trust anchor, its dates, RSA keys of 2048 bits or more; the default set-up
 *     takes no signatures with SHA-1 or MD5. keyUsage and extKeyUsage must allow a TLS server
 *     (BearSSL ignores the latter, and this port reads it). BearSSL checks no revocation and no
 *     name constraints.
 *   - The host's name, against the dNSName entries of the certificate's subjectAltName (a wildcard
 *     may stand for the first label). An IPv4 or IPv6 address as host must be among the iPAddress
 *     entries (RFC 9525 section 6.5), which BearSSL itself ignores and this port reads; SNI is not
 *     sent then (RFC 6066 section 3). The common name never counts: a certificate without a
 *     subjectAltName is refused.
 *   - That the peer ends the stream with close_notify: a connection that just ends is UNSB_E_IO.
 *
 * Pins: digests of public keys (RFC 7469 section 2.4: SHA-256 of the SubjectPublicKeyInfo, in DER).
 * It is the server's own key that must be among them, not one further up; to pin an authority, make
 * it the only anchor. With anchors, a pin is one more condition. Without them, it takes the place
 * of the chain, for devices that have neither a clock nor an authority to trust: dates, signatures
 * and all other certificates are not looked at (but the algorithm that signed the certificate must
 * be one that BearSSL knows); the name, the usages and the key's size are.
 *
 * Sessions are resumed when the same host and port are connected to again (by session ID; BearSSL
 * has no tickets). The parameters of one session are kept after close, for up to 24 hours where
 * unix_time is given; all else is wiped at close, the record buffer included.
 *
 * Memory: unsb_bearssl, 7,400 bytes (6,848 on 32-bit systems); the record buffer, see
 * unsb_bearssl_config; 4 to 6 K of stack. Nothing on the heap.
 *
 * Errors: tls.error has BearSSL's number.
 *   UNSB_E_CERTIFICATE     BR_ERR_X509_... (33 to 62), BR_ERR_WRONG_KEY_USAGE (28) or
 *                          UNSB_BEARSSL_NOT_PINNED (63); BR_ERR_X509_BAD_SERVER_NAME also for a
 *                          host that cannot be a name or an address, or a certificate without
 *                          subjectAltName; BR_ERR_X509_FORBIDDEN_KEY_USAGE also for extKeyUsage
 *   UNSB_E_ENTROPY         BR_ERR_NO_RANDOM
 *   UNSB_E_TRUST           neither anchors nor pins
 *   UNSB_E_TLS             any other number, 256 + n: the peer's alert n. 0: the peer hung up, in
 *                          good order but within the handshake
 *   UNSB_E_IO              with BR_ERR_IO: the stream ended without close_notify
 *   UNSB_E_CLOSED          only from recv and send, after the peer's close_notify
 *   UNSB_E_BEARSSL_CONFIG  the configuration cannot work
 * The inner transport's errors come unchanged, with tls.error 0. An error is returned again until
 * close. A failed send leaves recv usable where each direction has a buffer.
 *
 * Limits: BearSSL sends no alert when it refuses a certificate. Certificates may have RSA keys of
 * up to 4096 bits or keys on P-256, P-384, P-521; a server that signs by RSA-PSS alone will not do.
 * With one buffer for both directions (see buffer_size) send takes nothing while a record is half
 * received, or received and not yet fetched by recv. */
#ifndef UNSANDBOX_BEARSSL_H
#define UNSANDBOX_BEARSSL_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif

#include <bearssl.h>
#include <limits.h>

/* ======================================================================
 * >>options  alike in all files of a program
 * ====================================================================== */

/* 0: the default set-up is left out, and with it all of BearSSL that it names; then
 * unsb_bearssl_config.setup is required, and only what that names is linked. */
#ifndef UNSB_BEARSSL_PROFILE
#define UNSB_BEARSSL_PROFILE 1
#endif

#if defined(__GNUC__)
#define UNSBI_BEARSSL_FN static __attribute__((unused))
#else
#define UNSBI_BEARSSL_FN static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

/* The smallest record buffer: one record of 512 bytes. */
#define UNSB_BEARSSL_BUFFER_MIN 837

/* In tls.error: the server's key is not among the pins. BearSSL's own numbers for certificates end
 * below it. */
#define UNSB_BEARSSL_NOT_PINNED 63

/* A code of this port's own: no inner transport, no buffer or one too small, no `setup` where one
 * is required, or one that leaves the engines unset. */
#define UNSB_E_BEARSSL_CONFIG (UNSB_E_USER - 1)

/* ---- the configuration; zero is the default of every field ---- */
typedef struct unsb_bearssl_config {
    unsb_transport inner;                /* required: moves the records */
    const br_x509_trust_anchor *anchors; /* NULL: only where there are pins. Must outlive the
                                            transport */
    size_t anchor_count;
    const uint8_t *pins; /* digests of public keys, 32 bytes each, one after the other; NULL: none.
                            Must outlive the transport */
    size_t pin_count;
    void *buffer;       /* required: the record buffer, the caller's */
    size_t buffer_size; /* BR_SSL_BUFSIZE_BIDI (33,178) or more: one buffer for each direction.
                           BR_SSL_BUFSIZE_MONO (16,709) or more: one for both, which suits HTTP.
                           Less, down to UNSB_BEARSSL_BUFFER_MIN: one for both, and the server is
                           asked for smaller records (max_fragment_length, RFC 6066 section 4); one
                           that ignores this fails at its first larger record, with UNSB_E_TLS and
                           tls.error BR_ERR_TOO_LARGE. Records of 512, 1024, 2048, 4096 bytes
                           take 837, 1349, 2373, 4421 */
    /* Stores `size` bytes of true randomness; UNSB_OK, or anything else: none. Asked for 32 bytes
     * at each connect. NULL: the operating system or the processor, by br_prng_seeder_system();
     * where BearSSL knows none, connecting fails with UNSB_E_ENTROPY */
    int (*entropy)(void *context, void *bytes, size_t size);
    /* Seconds since 1970, to check certificates by. A clock that is not set makes them fail. NULL:
     * the system's clock, or BR_ERR_X509_TIME_UNKNOWN where BearSSL was built without one. Not
     * needed for pins without anchors */
    uint32_t (*unix_time)(void *context);
    void *context; /* handed to both */
    /* For firmware that must be small. Sets up both engines from nothing: suites, hashes (SHA-256
     * at least), PRF, ciphers, curves, signatures; called at each connect. Versions, flags, buffer,
     * entropy, time and the check of the host are set by the port afterwards, and a suite without
     * ECDHE or AEAD is refused. It has the type of br_ssl_client_init_full. NULL: the port's own */
    void (*setup)(br_ssl_client_context *ssl, br_x509_minimal_context *x509,
                  const br_x509_trust_anchor *anchors, size_t anchor_count);
    bool no_resumption; /* true: a full handshake each time */
} unsb_bearssl_config;

/* BearSSL's certificate engine, with the checks that it lacks around it. `vtable` comes first, as
 * BearSSL's classes demand. */
typedef struct unsbi_bearssl_x509 {
    const br_x509_class *vtable;
    br_x509_minimal_context minimal;
    bool verified;        /* this handshake's chain was found good */
    uint8_t address_size; /* 4, 16, or 0: the host is a name */
    uint8_t address[16];
    bool first;  /* the server's own certificate is yet to come or to be read */
    bool found;  /* it names the host; for a name, that is: there is an entry with a dNSName */
    bool pinned; /* its key is among the pins */
    bool unfit;  /* its extKeyUsage does not allow a server */
    bool pins_alone;
    const uint8_t *pins;
    size_t pin_count;
    /* a cursor in its DER */
    bool reading, complete, ahead, hashing;
    uint8_t state, level, tag, count, elements, extension;
    uint32_t position, length;
    uint32_t end[8];
    uint8_t value[16];
    br_sha256_context key;
} unsbi_bearssl_x509;

typedef struct unsb_bearssl {
    /* to be read */
    int error;    /* BearSSL's number of the last failure, 0: none. Kept until the next connect */
    bool resumed; /* the connection resumed an earlier session */
    /* private */
    uint8_t state;
    bool offered;     /* a session was offered in this handshake */
    bool has_session; /* `session` can be offered to the peer in `session_peer` */
    int failure;      /* sticky */
    int send_failure; /* kept apart, so that recv can still fetch what the peer sent */
    unsb_bearssl_config config;
    br_ssl_session_parameters session;
    uint32_t session_time;
    uint8_t session_peer[br_sha256_SIZE]; /* digest of host and port */
    uint8_t peer[br_sha256_SIZE];
    unsbi_bearssl_x509 x509;
    br_ssl_client_context ssl;
} unsb_bearssl;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Initialises `tls` (whatever it held: wipe it before, if it was in use) and returns the transport
 * over it. The configuration is copied; what it points to, and `tls`, must stay in place until the
 * client is closed. Mistakes in it are reported by connect. `wait` is NULL if the inner one is. */
UNSBI_BEARSSL_FN unsb_transport unsb_bearssl_transport(unsb_bearssl *tls,
                                                       const unsb_bearssl_config *config);
/* Closes the connection, if any, and forgets the session that could be resumed, so that no key is
 * left in `tls`. The transport can be used again. */
UNSBI_BEARSSL_FN void unsb_bearssl_wipe(unsb_bearssl *tls);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

enum {
    UNSBI_BEARSSL_IDLE,
    UNSBI_BEARSSL_CONNECTING, /* the inner transport */
    UNSBI_BEARSSL_HANDSHAKE,
    UNSBI_BEARSSL_OPEN,
    UNSBI_BEARSSL_FAILED /* connect did */
};

/* Calls of the inner transport that one call may make: a bound on its work, and more than one
 * record (header and body are fetched apart) where the inner transport has it whole. */
#define UNSBI_BEARSSL_STEPS 16

/* Through a volatile pointer, or compilers drop stores to memory that is not read any more. */
static void *(*const volatile unsbi_bearssl_memset)(void *, int, size_t) = memset;

static void unsbi_bearssl_zero(void *data, size_t size)
{
    (void)unsbi_bearssl_memset(data, 0, size);
}

/* ---- hosts that are addresses ---- */

/* "192.0.2.1", exactly four decimal numbers. */
static bool unsbi_bearssl_ipv4(const char *text, uint8_t *address)
{
    int i;
    for (i = 0; i < 4; i++) {
        unsigned value = 0;
        int digits = 0;
        while (*text >= '0' && *text <= '9') {
            if (digits > 0 && value == 0) {
                return false; /* a leading zero: octal to some readers */
            }
            value = value * 10u + (unsigned)(*text - '0');
            digits++;
            text++;
            if (value > 255) {
                return false;
            }
        }
        if (digits == 0 || *text != (i < 3 ? '.' : '\0')) {
            return false;
        }
        address[i] = (uint8_t)value;
        text++;
    }
    return true;
}

/* Up to four hexadecimal digits: their number, 0: not one. */
static size_t unsbi_bearssl_hex(const char *text, unsigned *value)
{
    size_t digits = 0;
    *value = 0;
    for (;; digits++) {
        char c = text[digits];
        unsigned digit;
        if (c >= '0' && c <= '9') {
            digit = (unsigned)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (unsigned)(c - 'a') + 10u;
        } else if (c >= 'A' && c <= 'F') {
            digit = (unsigned)(c - 'A') + 10u;
        } else {
            return digits;
        }
        if (digits == 4) {
            return 0;
        }
        *value = *value * 16u + digit;
    }
}

/* The text forms of RFC 4291 section 2.2; a zone ("%eth0") is not part of the address. */
static bool unsbi_bearssl_ipv6(const char *text, uint8_t *address)
{
    size_t at = 0;
    size_t gap = 17; /* where "::" stands; 17: nowhere */

    if (text[0] == ':' && text[1] == ':') {
        gap = 0;
        text += 2;
    }
    while (*text != '\0' && *text != '%') {
        unsigned value;
        size_t digits = unsbi_bearssl_hex(text, &value);
        if (digits > 0 && text[digits] == '.') {
            if (at > 12 || !unsbi_bearssl_ipv4(text, address + at)) {
                return false;
            }
            at += 4;
            break;
        }
        if (digits == 0 || at > 14) {
            return false;
        }
        address[at++] = (uint8_t)(value >> 8);
        address[at++] = (uint8_t)(value & 0xFFu);
        text += digits;
        if (*text == ':') {
            text++;
            if (*text == ':' && gap == 17) {
                gap = at;
                text++;
            } else if (*text == '\0' || *text == '%') {
                return false;
            }
        } else if (*text != '\0' && *text != '%') {
            return false;
        }
    }
    if (gap == 17) {
        return at == 16;
    }
    if (at > 14) {
        return false;
    }
    memmove(address + 16 - (at - gap), address + gap, at - gap);
    memset(address + gap, 0, 16 - at);
    return true;
}

/* Tells addresses (`size` 4 or 16) from names (`size` 0; `name` gets it as SNI has it, without the
 * root's dot). false: neither. A last label of digits alone makes no name, so that "127.1" and the
 * like, which resolvers take for addresses, are never compared with dNSNames. */
static bool unsbi_bearssl_host(const char *host, char name[256], uint8_t *address, uint8_t *size)
{
    size_t length = host == NULL ? 0 : strlen(host);
    size_t i;
    bool digits = true;

    *size = 0;
    if (length > 0 && strchr(host, ':') != NULL) {
        *size = 16;
        return unsbi_bearssl_ipv6(host, address);
    }
    if (length > 0 && host[length - 1] == '.') {
        length--;
    }
    if (length == 0 || length > 255 || host[length - 1] == '.') {
        return false;
    }
    for (i = length; i > 0 && host[i - 1] != '.'; i--) {
        digits = digits && host[i - 1] >= '0' && host[i - 1] <= '9';
    }
    if (digits) {
        *size = 4;
        return unsbi_bearssl_ipv4(host, address);
    }
    memcpy(name, host, length);
    name[length] = '\0';
    return true;
}

/* ---- the server's own certificate ----
 *
 * BearSSL's engine reads only the dNSName entries of a subjectAltName, takes the common name where
 * there is none, ignores extKeyUsage, and does not give the key's DER. The wrapper class below
 * follows the server's certificate with a cursor of its own:
 *
 *   level 0  Certificate             level 4  Extension
 *         1  TBSCertificate                5  extnValue, after an OID that is looked for
 *         2  Validity, extensions [3]      6  GeneralNames or ExtKeyUsageSyntax
 *         3  Extensions                    7  GeneralName or KeyPurposeId
 *
 * Only this path is entered (at levels 0 and 1 only the first element, as what follows the
 * TBSCertificate is not signed); all else is skipped by its length. An element that does not fit
 * into the one around it ends the reading, and the certificate is refused. Whether it is good
 * otherwise is for BearSSL's engine to say. */

enum { UNSBI_BEARSSL_TAG, UNSBI_BEARSSL_LENGTH, UNSBI_BEARSSL_LENGTH_BYTES, UNSBI_BEARSSL_VALUE };

/* x509->extension */
enum { UNSBI_BEARSSL_OTHER, UNSBI_BEARSSL_NAMES, UNSBI_BEARSSL_PURPOSES };

/* x509->elements: which SEQUENCE of the TBSCertificate this is (RFC 5280 section 4.1). */
enum { UNSBI_BEARSSL_VALIDITY = 3, UNSBI_BEARSSL_KEY = 5 };

/* Where pins alone decide, the engine sees this day, 2000-01-01, as the present one and as both
 * dates of the certificate. Days are counted from the year 0. */
#define UNSBI_BEARSSL_NO_DAY 730485u
static const char unsbi_bearssl_no_date[] = "20000101000000Z";

/* The key is through. */
static void unsbi_bearssl_key_end(unsbi_bearssl_x509 *x509)
{
    uint8_t digest[br_sha256_SIZE];
    size_t i;
    br_sha256_out(&x509->key, digest);
    for (i = 0; i < x509->pin_count; i++) {
        if (memcmp(x509->pins + i * sizeof digest, digest, sizeof digest) == 0) {
            x509->pinned = true;
        }
    }
    x509->hashing = false;
}

/* An element is over: so may be those around it. */
static void unsbi_bearssl_der_leave(unsbi_bearssl_x509 *x509)
{
    x509->ahead = false;
    x509->state = UNSBI_BEARSSL_TAG;
    if (x509->hashing) {
        unsbi_bearssl_key_end(x509);
    }
    while (x509->level > 0 && x509->position == x509->end[x509->level]) {
        x509->level--;
    }
    if (x509->level == 0) {
        x509->reading = false; /* TBSCertificate and what follows it are through */
        x509->complete = true;
    }
}

static bool unsbi_bearssl_der_enters(const unsbi_bearssl_x509 *x509)
{
    static const uint8_t path[7] = {0x30, 0x30, 0xA3, 0x30, 0x30, 0x04, 0x30};
    uint8_t level = x509->level;
    if (level == 2 && x509->tag == 0x30) {
        return x509->elements == UNSBI_BEARSSL_VALIDITY;
    }
    if ((level <= 1 && !x509->ahead) || (level == 3 && x509->elements == UNSBI_BEARSSL_VALIDITY) ||
        (level == 5 && x509->extension == UNSBI_BEARSSL_OTHER)) {
        return false;
    }
    return level < 7 && x509->tag == path[level];
}

/* Tag and length are read, `position` is at the content. */
static void unsbi_bearssl_der_enter(unsbi_bearssl_x509 *x509)
{
    uint8_t level = x509->level;

    if (x509->length > x509->end[level] - x509->position) {
        x509->reading = false;
        return;
    }
    x509->count = 0;
    if (!unsbi_bearssl_der_enters(x509)) {
        x509->state = UNSBI_BEARSSL_VALUE;
    } else {
        x509->level = ++level;
        x509->end[level] = x509->position + x509->length;
        x509->ahead = true;
        x509->state = UNSBI_BEARSSL_TAG;
        if (level == 5) {
            x509->extension = UNSBI_BEARSSL_OTHER;
        }
    }
    if (x509->length == 0) {
        unsbi_bearssl_der_leave(x509);
    }
}

/* A value that is not entered is through; `count` bytes of it, if it was not too long. */
static void unsbi_bearssl_der_value_end(unsbi_bearssl_x509 *x509)
{
    static const uint8_t subject_alt_name[3] = {0x55, 0x1D, 0x11};  /* 2.5.29.17 */
    static const uint8_t ext_key_usage[3] = {0x55, 0x1D, 0x25};     /* 2.5.29.37 */
    static const uint8_t any_purpose[4] = {0x55, 0x1D, 0x25, 0x00}; /* 2.5.29.37.0 */
    static const uint8_t server_auth[8] = {0x2B, 0x06, 0x01, 0x05,
                                           0x05, 0x07, 0x03, 0x01}; /* 1.3.6.1.5.5.7.3.1 */
    const uint8_t *value = x509->value;
    uint32_t size = x509->count;

    if (x509->level == 5 && x509->tag == 0x06 && size == 3) {
        if (memcmp(value, subject_alt_name, 3) == 0) {
            x509->extension = UNSBI_BEARSSL_NAMES;
        } else if (memcmp(value, ext_key_usage, 3) == 0) {
            x509->extension = UNSBI_BEARSSL_PURPOSES;
            x509->unfit = true; /* until one is found that fits */
        }
    }
    if (x509->level == 7 && x509->extension == UNSBI_BEARSSL_NAMES && x509->tag == 0x87 &&
        x509->address_size != 0 && size == x509->address_size &&
        memcmp(value, x509->address, size) == 0) {
        x509->found = true;
    }
    if (x509->level == 7 && x509->extension == UNSBI_BEARSSL_PURPOSES && x509->tag == 0x06 &&
        ((size == 4 && memcmp(value, any_purpose, 4) == 0) ||
         (size == 8 && memcmp(value, server_auth, 8) == 0))) {
        x509->unfit = false;
    }
}

/* A byte of content that is not entered. */
static void unsbi_bearssl_der_value(unsbi_bearssl_x509 *x509, uint8_t byte)
{
    if (x509->count < sizeof x509->value) {
        x509->value[x509->count++] = byte;
    } else {
        x509->tag = 0; /* too long for all that are looked at */
    }
    if (--x509->length == 0) {
        unsbi_bearssl_der_value_end(x509);
        unsbi_bearssl_der_leave(x509);
    }
}

static void unsbi_bearssl_der_tag(unsbi_bearssl_x509 *x509, uint8_t byte)
{
    x509->tag = byte;
    x509->reading = (byte & 0x1F) != 0x1F; /* no tags of several bytes in certificates */
    x509->state = UNSBI_BEARSSL_LENGTH;
    if (x509->level == 2 && byte == 0x30 && x509->elements <= UNSBI_BEARSSL_KEY) {
        x509->elements++;
        if (x509->elements == UNSBI_BEARSSL_KEY && x509->pin_count != 0) {
            br_sha256_init(&x509->key);
            x509->hashing = true;
        }
    }
    /* The engine compares names; but without any it would take the common name. */
    if (x509->level == 7 && byte == 0x82 && x509->extension == UNSBI_BEARSSL_NAMES &&
        x509->address_size == 0) {
        x509->found = true;
    }
}

static void unsbi_bearssl_der_byte(unsbi_bearssl_x509 *x509, uint8_t byte)
{
    uint8_t state = x509->state;

    if (x509->position++ >= x509->end[x509->level]) {
        x509->reading = false; /* tag and length do not fit */
        return;
    }
    if (state == UNSBI_BEARSSL_TAG) {
        unsbi_bearssl_der_tag(x509, byte);
    }
    if (x509->hashing) {
        br_sha256_update(&x509->key, &byte, 1);
    }
    if (state == UNSBI_BEARSSL_LENGTH) {
        if (byte < 0x80) {
            x509->length = byte;
            unsbi_bearssl_der_enter(x509);
        } else if (byte >= 0x81 && byte <= 0x84) {
            x509->length = 0;
            x509->count = (uint8_t)(byte & 0x0F);
            x509->state = UNSBI_BEARSSL_LENGTH_BYTES;
        } else {
            x509->reading = false;
        }
    } else if (state == UNSBI_BEARSSL_LENGTH_BYTES) {
        x509->length = (x509->length << 8) | byte;
        if (--x509->count == 0) {
            unsbi_bearssl_der_enter(x509);
        }
    } else if (state == UNSBI_BEARSSL_VALUE) {
        unsbi_bearssl_der_value(x509, byte);
    }
}

/* What the engine is to see for the next byte: dates that it finds good, in place of those of a
 * certificate whose dates do not count. */
static uint8_t unsbi_bearssl_der_shown(const unsbi_bearssl_x509 *x509, uint8_t byte)
{
    const char *date = NULL;
    if (x509->reading && x509->state == UNSBI_BEARSSL_VALUE && x509->level == 3 &&
        x509->elements == UNSBI_BEARSSL_VALIDITY) {
        if (x509->tag == 0x17 && x509->count + x509->length == 13) {
            date = unsbi_bearssl_no_date + 2; /* UTCTime has two digits of the year */
        } else if (x509->tag == 0x18 && x509->count + x509->length == 15) {
            date = unsbi_bearssl_no_date;
        }
    }
    return date == NULL ? byte : (uint8_t)date[x509->count];
}

/* ---- the certificate class around BearSSL's (see br_x509_class) ---- */

static unsbi_bearssl_x509 *unsbi_bearssl_x509_of(const br_x509_class **ctx)
{
    return (unsbi_bearssl_x509 *)(void *)ctx;
}

/* Does the engine see the present certificate? Where pins alone decide, it has no issuer to look
 * for among the others. */
static bool unsbi_bearssl_is_shown(const unsbi_bearssl_x509 *x509)
{
    return x509->first || !x509->pins_alone;
}

static void unsbi_bearssl_start_chain(const br_x509_class **ctx, const char *server_name)
{
    unsbi_bearssl_x509 *x509 = unsbi_bearssl_x509_of(ctx);
    bool named = server_name != NULL && server_name[0] != '\0';
    x509->verified = false;
    x509->position = 0;
    x509->elements = 0;
    x509->found = false;
    x509->pinned = false;
    x509->unfit = false;
    x509->complete = false;
    x509->hashing = false;
    x509->first = true;
    /* With neither name nor address nothing could be checked: then nothing is found either. */
    x509->reading = named || x509->address_size != 0;
    x509->minimal.vtable->start_chain(&x509->minimal.vtable, named ? server_name : NULL);
}

static void unsbi_bearssl_start_cert(const br_x509_class **ctx, uint32_t length)
{
    unsbi_bearssl_x509 *x509 = unsbi_bearssl_x509_of(ctx);
    if (x509->reading) {
        x509->state = UNSBI_BEARSSL_TAG;
        x509->level = 0;
        x509->ahead = true;
        x509->extension = UNSBI_BEARSSL_OTHER;
        x509->end[0] = length;
    }
    if (unsbi_bearssl_is_shown(x509)) {
        x509->minimal.vtable->start_cert(&x509->minimal.vtable, length);
    }
}

static void unsbi_bearssl_append(const br_x509_class **ctx, const unsigned char *data, size_t size)
{
    unsbi_bearssl_x509 *x509 = unsbi_bearssl_x509_of(ctx);
    size_t i;
    for (i = 0; i < size && (x509->reading || x509->pins_alone); i++) {
        uint8_t shown = unsbi_bearssl_der_shown(x509, data[i]);
        if (x509->reading) {
            unsbi_bearssl_der_byte(x509, data[i]);
        }
        if (x509->pins_alone && x509->first) {
            x509->minimal.vtable->append(&x509->minimal.vtable, &shown, 1);
        }
    }
    if (!x509->pins_alone) {
        x509->minimal.vtable->append(&x509->minimal.vtable, data, size);
    }
}

static void unsbi_bearssl_end_cert(const br_x509_class **ctx)
{
    unsbi_bearssl_x509 *x509 = unsbi_bearssl_x509_of(ctx);
    if (unsbi_bearssl_is_shown(x509)) {
        x509->minimal.vtable->end_cert(&x509->minimal.vtable);
    }
    x509->first = false;
    x509->reading = false; /* names and keys of issuers do not count */
}

static unsigned unsbi_bearssl_end_chain(const br_x509_class **ctx)
{
    unsbi_bearssl_x509 *x509 = unsbi_bearssl_x509_of(ctx);
    unsigned error = x509->minimal.vtable->end_chain(&x509->minimal.vtable);
    if (error == BR_ERR_X509_NOT_TRUSTED && x509->pins_alone) {
        error = 0; /* nothing else is wrong with it */
    }
    if (error == 0) {
        error = !x509->complete                         ? BR_ERR_X509_UNEXPECTED
                : !x509->found                          ? BR_ERR_X509_BAD_SERVER_NAME
                : x509->unfit                           ? BR_ERR_X509_FORBIDDEN_KEY_USAGE
                : x509->pin_count != 0 && !x509->pinned ? UNSB_BEARSSL_NOT_PINNED
                                                        : 0;
    }
    x509->verified = error == 0;
    return error;
}

static const br_x509_pkey *unsbi_bearssl_get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
    const unsbi_bearssl_x509 *x509 = (const unsbi_bearssl_x509 *)(const void *)ctx;
    return x509->minimal.vtable->get_pkey(&x509->minimal.vtable, usages);
}

static const br_x509_class unsbi_bearssl_x509_class = {
    sizeof(unsbi_bearssl_x509), unsbi_bearssl_start_chain, unsbi_bearssl_start_cert,
    unsbi_bearssl_append,       unsbi_bearssl_end_cert,    unsbi_bearssl_end_chain,
    unsbi_bearssl_get_pkey};

/* ---- set-up ---- */

#if UNSB_BEARSSL_PROFILE
/* The default for unsb_bearssl_config.setup. One for a small device would name one suite, P-256
 * (br_ec_p256_m15 or _m31), SHA-256 and either RSA or ECDSA, and set nothing else. */
static void unsbi_bearssl_setup(br_ssl_client_context *ssl, br_x509_minimal_context *x509,
                                const br_x509_trust_anchor *anchors, size_t anchor_count)
{
    static const uint16_t suites[] = {BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                                      BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                                      BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                                      BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                                      BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                                      BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384};
    br_ssl_client_zero(ssl);
    br_x509_minimal_init(x509, &br_sha256_vtable, anchors, anchor_count);

    br_ssl_engine_set_suites(&ssl->eng, suites, sizeof suites / sizeof suites[0]);
    br_ssl_engine_set_default_rsavrfy(&ssl->eng);
    br_ssl_engine_set_default_ecdsa(&ssl->eng);
    br_x509_minimal_set_rsa(x509, br_ssl_engine_get_rsavrfy(&ssl->eng));
    br_x509_minimal_set_ecdsa(x509, br_ssl_engine_get_ec(&ssl->eng),
                              br_ssl_engine_get_ecdsa(&ssl->eng));

    br_ssl_engine_set_hash(&ssl->eng, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_hash(&ssl->eng, br_sha384_ID, &br_sha384_vtable);
    br_ssl_engine_set_hash(&ssl->eng, br_sha512_ID, &br_sha512_vtable);
    br_x509_minimal_set_hash(x509, br_sha256_ID, &br_sha256_vtable);
    br_x509_minimal_set_hash(x509, br_sha384_ID, &br_sha384_vtable);
    br_x509_minimal_set_hash(x509, br_sha512_ID, &br_sha512_vtable);
    br_ssl_engine_set_prf_sha256(&ssl->eng, &br_tls12_sha256_prf);
    br_ssl_engine_set_prf_sha384(&ssl->eng, &br_tls12_sha384_prf);

    br_ssl_engine_set_default_aes_gcm(&ssl->eng);
    br_ssl_engine_set_default_chapol(&ssl->eng);
}
#endif

static int unsbi_bearssl_fail(unsb_bearssl *tls, int failure, int error)
{
    tls->failure = failure;
    tls->error = error;
    if (tls->state != UNSBI_BEARSSL_OPEN) {
        if (tls->offered) {
            tls->has_session = false; /* perhaps the session is the reason: not again */
        }
        tls->state = UNSBI_BEARSSL_FAILED;
    } else if (error != 0 && error != BR_ERR_IO) {
        tls->has_session = false; /* RFC 5246 section 7.2.2 */
    }
    return failure;
}

/* The engine has closed: by close_notify, or with an error of its own. */
static int unsbi_bearssl_engine_failed(unsb_bearssl *tls)
{
    int error = br_ssl_engine_last_error(&tls->ssl.eng);
    if (error == BR_ERR_OK) {
        return unsbi_bearssl_fail(tls,
                                  tls->state == UNSBI_BEARSSL_OPEN ? UNSB_E_CLOSED : UNSB_E_TLS, 0);
    }
    if ((error >= BR_ERR_X509_INVALID_VALUE && error <= UNSB_BEARSSL_NOT_PINNED) ||
        error == BR_ERR_WRONG_KEY_USAGE) {
        return unsbi_bearssl_fail(tls, UNSB_E_CERTIFICATE, error);
    }
    return unsbi_bearssl_fail(tls, error == BR_ERR_NO_RANDOM ? UNSB_E_ENTROPY : UNSB_E_TLS, error);
}

static uint32_t unsbi_bearssl_time(const unsb_bearssl *tls)
{
    return tls->config.unix_time == NULL ? 0 : tls->config.unix_time(tls->config.context);
}

static void unsbi_bearssl_digest_peer(unsb_bearssl *tls, const char *host, uint16_t port)
{
    br_sha256_context digest;
    uint8_t number[2];
    number[0] = (uint8_t)(port >> 8);
    number[1] = (uint8_t)(port & 0xFFu);
    br_sha256_init(&digest);
    br_sha256_update(&digest, number, sizeof number);
    br_sha256_update(&digest, host, strlen(host));
    br_sha256_out(&digest, tls->peer);
}

static bool unsbi_bearssl_has_anchors(const unsb_bearssl_config *config)
{
    return config->anchors != NULL && config->anchor_count != 0;
}

static bool unsbi_bearssl_has_pins(const unsb_bearssl_config *config)
{
    return config->pins != NULL && config->pin_count != 0;
}

/* What can be told before the inner transport connects. */
static int unsbi_bearssl_check(unsb_bearssl *tls, const char *host, uint16_t port)
{
    const unsb_bearssl_config *config = &tls->config;
    char name[256];

    if (config->inner.vtable == NULL || config->buffer == NULL ||
        config->buffer_size < UNSB_BEARSSL_BUFFER_MIN ||
        (config->setup == NULL && !UNSB_BEARSSL_PROFILE)) {
        return unsbi_bearssl_fail(tls, UNSB_E_BEARSSL_CONFIG, BR_ERR_BAD_PARAM);
    }
    if (!unsbi_bearssl_has_anchors(config) && !unsbi_bearssl_has_pins(config)) {
        return unsbi_bearssl_fail(tls, UNSB_E_TRUST, 0);
    }
    if (!unsbi_bearssl_host(host, name, tls->x509.address, &tls->x509.address_size)) {
        return unsbi_bearssl_fail(tls, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    }
    unsbi_bearssl_digest_peer(tls, host, port);
    return UNSB_OK;
}

/* br_ssl_engine_set_buffer() lets the two halves of a buffer overlap, so they are cut here. */
static void unsbi_bearssl_set_buffer(unsb_bearssl *tls)
{
    unsigned char *buffer = (unsigned char *)tls->config.buffer;
    size_t size = tls->config.buffer_size;
    if (size >= BR_SSL_BUFSIZE_BIDI) {
        br_ssl_engine_set_buffers_bidi(&tls->ssl.eng, buffer, BR_SSL_BUFSIZE_INPUT,
                                       buffer + BR_SSL_BUFSIZE_INPUT, size - BR_SSL_BUFSIZE_INPUT);
    } else {
        br_ssl_engine_set_buffer(&tls->ssl.eng, buffer, size, 0);
    }
}

/* Offers the session that is kept, if it is this peer's and not too old. */
static void unsbi_bearssl_offer_session(unsb_bearssl *tls)
{
    uint32_t age = unsbi_bearssl_time(tls) - tls->session_time;
    if (!tls->has_session) {
        return;
    }
    if (age > 86400u || memcmp(tls->session_peer, tls->peer, sizeof tls->peer) != 0) {
        return;
    }
    br_ssl_engine_set_session_parameters(&tls->ssl.eng, &tls->session);
    tls->offered = true;
}

/* The inner transport is connected: starts the engine anew. */
static int unsbi_bearssl_start(unsb_bearssl *tls, const char *host)
{
    const unsb_bearssl_config *config = &tls->config;
    br_ssl_engine_context *engine = &tls->ssl.eng;
    br_x509_minimal_context *minimal = &tls->x509.minimal;
    char name[256];

    if (!unsbi_bearssl_host(host, name, tls->x509.address, &tls->x509.address_size)) {
        return unsbi_bearssl_fail(tls, UNSB_E_CERTIFICATE, BR_ERR_X509_BAD_SERVER_NAME);
    }
#if UNSB_BEARSSL_PROFILE
    if (config->setup == NULL) {
        unsbi_bearssl_setup(&tls->ssl, minimal, config->anchors, config->anchor_count);
    } else
#endif
    {
        config->setup(&tls->ssl, minimal, config->anchors, config->anchor_count);
    }
    if (minimal->vtable == NULL) {
        return unsbi_bearssl_fail(tls, UNSB_E_BEARSSL_CONFIG, BR_ERR_BAD_PARAM);
    }
    tls->x509.vtable = &unsbi_bearssl_x509_class;
    br_ssl_engine_set_x509(engine, &tls->x509.vtable);
    br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
    br_ssl_engine_add_flags(engine, BR_OPT_NO_RENEGOTIATION);
    br_x509_minimal_set_minrsa(minimal, 2048 / 8);
    tls->x509.pins = config->pins;
    tls->x509.pin_count = unsbi_bearssl_has_pins(config) ? config->pin_count : 0;
    tls->x509.pins_alone = !unsbi_bearssl_has_anchors(config);
    if (tls->x509.pins_alone) {
        br_x509_minimal_set_time(minimal, UNSBI_BEARSSL_NO_DAY, 0);
    } else if (config->unix_time != NULL) {
        uint32_t now = unsbi_bearssl_time(tls);
        /* BearSSL counts days from the year 0: 719528 of them to 1970. */
        br_x509_minimal_set_time(minimal, now / 86400u + 719528u, now % 86400u);
    }
    unsbi_bearssl_set_buffer(tls);
    if (config->entropy != NULL) {
        uint8_t seed[32];
        if (config->entropy(config->context, seed, sizeof seed) != UNSB_OK) {
            return unsbi_bearssl_fail(tls, UNSB_E_ENTROPY, BR_ERR_NO_RANDOM);
        }
        br_ssl_engine_inject_entropy(engine, seed, sizeof seed);
        unsbi_bearssl_zero(seed, sizeof seed);
    }
    unsbi_bearssl_offer_session(tls);
    if (!br_ssl_client_reset(&tls->ssl, tls->x509.address_size != 0 ? NULL : name, 1)) {
        return unsbi_bearssl_engine_failed(tls);
    }
    tls->state = UNSBI_BEARSSL_HANDSHAKE;
    return UNSB_OK;
}

/* ---- moving records ----
 *
 * The engine's state says what it can do: SENDREC, a record is waiting to go out; RECVREC, it takes
 * bytes of a record; SENDAPP and RECVAPP, the same for plaintext. Each step below is one call of
 * the inner transport: > 0, progress; 0, not now; < 0, an error. */

static int unsbi_bearssl_push(unsb_bearssl *tls)
{
    const unsb_transport *inner = &tls->config.inner;
    size_t size;
    unsigned char *record = br_ssl_engine_sendrec_buf(&tls->ssl.eng, &size);
    int count = inner->vtable->send(inner->context, record, size);
    if (count > 0) {
        br_ssl_engine_sendrec_ack(&tls->ssl.eng, (size_t)count);
    }
    return count;
}

static int unsbi_bearssl_pull(unsb_bearssl *tls)
{
    const unsb_transport *inner = &tls->config.inner;
    size_t size;
    unsigned char *record = br_ssl_engine_recvrec_buf(&tls->ssl.eng, &size);
    int count = inner->vtable->recv(inner->context, record, size);
    if (count > 0) {
        br_ssl_engine_recvrec_ack(&tls->ssl.eng, (size_t)count);
    } else if (count == UNSB_E_CLOSED) {
        /* An end that anyone on the path can forge (RFC 5246 section 7.2.1). */
        return unsbi_bearssl_fail(tls, UNSB_E_IO, BR_ERR_IO);
    } else if (count < 0) {
        return unsbi_bearssl_fail(tls, count, 0);
    }
    return count;
}

/* close_notify has come. BearSSL's own I/O wrapper reads this field too; no function tells it. */
static bool unsbi_bearssl_ended(const unsb_bearssl *tls)
{
    return tls->ssl.eng.shutdown_recv != 0;
}

static bool unsbi_bearssl_suite_allowed(unsigned suite)
{
    static const uint16_t suites[] = {BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                                      BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                                      BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                                      BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                                      BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                                      BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                                      BR_TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
                                      BR_TLS_ECDHE_ECDSA_WITH_AES_256_CCM};
    size_t i;
    for (i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        if (suites[i] == suite) {
            return true;
        }
    }
    return false;
}

/* The engine lets application data through: decides whether it may, and keeps the session. */
static int unsbi_bearssl_opened(unsb_bearssl *tls)
{
    br_ssl_session_parameters session;
    int rc = UNSB_OK;

    br_ssl_engine_get_session_parameters(&tls->ssl.eng, &session);
    /* Without a chain this is the session that was offered, or it must not be at all. */
    tls->resumed = !tls->x509.verified;
    if (!unsbi_bearssl_suite_allowed(session.cipher_suite)) {
        rc = unsbi_bearssl_fail(tls, UNSB_E_TLS, BR_ERR_BAD_CIPHER_SUITE);
    } else if (tls->resumed && !tls->offered) {
        rc = unsbi_bearssl_fail(tls, UNSB_E_CERTIFICATE, BR_ERR_X509_EMPTY_CHAIN);
    } else {
        tls->state = UNSBI_BEARSSL_OPEN;
        if (!tls->resumed && !tls->config.no_resumption) {
            tls->has_session = session.session_id_len != 0;
            tls->session = session;
            tls->session_time = unsbi_bearssl_time(tls);
            memcpy(tls->session_peer, tls->peer, sizeof tls->peer);
        }
    }
    unsbi_bearssl_zero(&session, sizeof session);
    return rc;
}

static int unsbi_bearssl_handshake(unsb_bearssl *tls)
{
    int step;
    for (step = 0;; step++) {
        unsigned state = br_ssl_engine_current_state(&tls->ssl.eng);
        int rc;
        if ((state & BR_SSL_CLOSED) != 0) {
            return unsbi_bearssl_engine_failed(tls);
        }
        if ((state & BR_SSL_SENDREC) == 0 && (state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)) != 0) {
            return unsbi_bearssl_opened(tls);
        }
        if (step == UNSBI_BEARSSL_STEPS) {
            return UNSB_PENDING; /* only now: after the last step the engine wants more bytes */
        }
        if ((state & BR_SSL_SENDREC) != 0) {
            rc = unsbi_bearssl_push(tls);
            if (rc < 0) {
                return unsbi_bearssl_fail(tls, rc, 0);
            }
        } else if ((state & BR_SSL_RECVREC) != 0) {
            rc = unsbi_bearssl_pull(tls);
        } else {
            return unsbi_bearssl_fail(tls, UNSB_E_TLS, BR_ERR_BAD_STATE);
        }
        if (rc <= 0) {
            return rc < 0 ? rc : UNSB_PENDING;
        }
    }
}

/* ---- the transport ---- */

static int unsbi_bearssl_connect(void *context, const char *host, uint16_t port)
{
    unsb_bearssl *tls = (unsb_bearssl *)context;
    const unsb_transport *inner = &tls->config.inner;
    int rc;

    switch (tls->state) {
    case UNSBI_BEARSSL_IDLE:
        tls->error = 0;
        tls->resumed = false;
        rc = unsbi_bearssl_check(tls, host, port);
        if (rc != UNSB_OK) {
            return rc;
        }
        tls->state = UNSBI_BEARSSL_CONNECTING;
        /* fall through */
    case UNSBI_BEARSSL_CONNECTING:
        rc = inner->vtable->connect(inner->context, host, port);
        if (rc == UNSB_PENDING) {
            return rc;
        }
        if (rc != UNSB_OK) {
            return unsbi_bearssl_fail(tls, rc, 0);
        }
        rc = unsbi_bearssl_start(tls, host);
        if (rc != UNSB_OK) {
            return rc;
        }
        /* fall through */
    case UNSBI_BEARSSL_HANDSHAKE:
        return unsbi_bearssl_handshake(tls);
    case UNSBI_BEARSSL_OPEN:
        return UNSB_OK;
    default:
        return tls->failure;
    }
}

/* Makes room for plaintext: > 0, there is; 0, not now; < 0, an error. */
static int unsbi_bearssl_send_ready(unsb_bearssl *tls)
{
    int step;
    for (step = 0; step < UNSBI_BEARSSL_STEPS; step++) {
        unsigned state = br_ssl_engine_current_state(&tls->ssl.eng);
        int rc;
        if ((state & BR_SSL_CLOSED) != 0) {
            return unsbi_bearssl_engine_failed(tls);
        }
        if (unsbi_bearssl_ended(tls)) {
            return UNSB_E_CLOSED;
        }
        if ((state & BR_SSL_SENDREC) != 0) {
            rc = unsbi_bearssl_push(tls);
            if (rc < 0) {
                tls->send_failure = rc;
            }
        } else if ((state & BR_SSL_SENDAPP) != 0) {
            return 1;
        } else if ((state & BR_SSL_RECVREC) != 0) {
            rc = unsbi_bearssl_pull(tls); /* one buffer for both, and half a record in it */
        } else {
            return 0; /* one buffer for both, and plaintext in it that recv must take first */
        }
        if (rc <= 0) {
            return rc;
        }
    }
    return 0;
}

static int unsbi_bearssl_send(void *context, const void *data, size_t size)
{
    unsb_bearssl *tls = (unsb_bearssl *)context;
    unsigned char *room;
    size_t room_size;
    int step;
    int rc = tls->failure != 0 ? tls->failure : tls->send_failure;

    if (tls->state != UNSBI_BEARSSL_OPEN) {
        return rc != 0 ? rc : UNSB_E_IO;
    }
    if (rc != 0 || size == 0) {
        return rc;
    }
    rc = unsbi_bearssl_send_ready(tls);
    if (rc <= 0) {
        return rc;
    }
    room = br_ssl_engine_sendapp_buf(&tls->ssl.eng, &room_size);
    if (size > room_size) {
        size = room_size;
    }
    if (size > (size_t)INT_MAX) {
        size = (size_t)INT_MAX;
    }
    memcpy(room, data, size);
    br_ssl_engine_sendapp_ack(&tls->ssl.eng, size);
    br_ssl_engine_flush(&tls->ssl.eng, 0);
    /* The bytes are taken; what the inner transport does not take now goes out with the next call,
     * and an error is its result. */
    for (step = 0; step < UNSBI_BEARSSL_STEPS; step++) {
        if ((br_ssl_engine_current_state(&tls->ssl.eng) & BR_SSL_SENDREC) == 0) {
            break;
        }
        rc = unsbi_bearssl_push(tls);
        if (rc < 0) {
            tls->send_failure = rc;
        }
        if (rc <= 0) {
            break;
        }
    }
    return (int)size;
}

/* Takes plaintext that is there: how much. */
static int unsbi_bearssl_take(unsb_bearssl *tls, void *data, size_t size)
{
    size_t count;
    unsigned char *plaintext = br_ssl_engine_recvapp_buf(&tls->ssl.eng, &count);
    if (count > size) {
        count = size;
    }
    if (count > (size_t)INT_MAX) {
        count = (size_t)INT_MAX;
    }
    memcpy(data, plaintext, count);
    br_ssl_engine_recvapp_ack(&tls->ssl.eng, count);
    return (int)count;
}

static int unsbi_bearssl_recv(void *context, void *data, size_t size)
{
    unsb_bearssl *tls = (unsb_bearssl *)context;
    int step;

    if (tls->state != UNSBI_BEARSSL_OPEN) {
        return tls->failure != 0 ? tls->failure : UNSB_E_IO;
    }
    if (tls->failure != 0 || size == 0) {
        return tls->failure;
    }
    for (step = 0;; step++) {
        unsigned state = br_ssl_engine_current_state(&tls->ssl.eng);
        int rc = 0;
        if ((state & BR_SSL_CLOSED) != 0) {
            return unsbi_bearssl_engine_failed(tls);
        }
        if ((state & BR_SSL_RECVAPP) != 0) {
            return unsbi_bearssl_take(tls, data, size);
        }
        if (unsbi_bearssl_ended(tls)) {
            return UNSB_E_CLOSED; /* the answering close_notify is left to close */
        }
        if (step == UNSBI_BEARSSL_STEPS) {
            return 0;
        }
        if ((state & BR_SSL_SENDREC) != 0 && tls->send_failure == 0) {
            rc = unsbi_bearssl_push(tls);
            if (rc < 0) {
                tls->send_failure = rc;
            }
        }
        if (rc <= 0) {
            if ((state & BR_SSL_RECVREC) == 0) {
                return tls->send_failure; /* one buffer for both, and it is not free */
            }
            rc = unsbi_bearssl_pull(tls);
            if (rc <= 0) {
                return rc;
            }
        }
    }
}

/* Says goodbye with close_notify, as far as the inner transport takes it at once. */
static void unsbi_bearssl_shut_down(unsb_bearssl *tls)
{
    br_ssl_engine_context *engine = &tls->ssl.eng;
    size_t size;
    int step;

    if (br_ssl_engine_recvapp_buf(engine, &size) != NULL) {
        br_ssl_engine_recvapp_ack(engine, size); /* it may hold the buffer */
    }
    br_ssl_engine_close(engine);
    for (step = 0; step < UNSBI_BEARSSL_STEPS; step++) {
        if ((br_ssl_engine_current_state(engine) & BR_SSL_SENDREC) == 0 ||
            unsbi_bearssl_push(tls) <= 0) {
            break;
        }
    }
}

static void unsbi_bearssl_close(void *context)
{
    unsb_bearssl *tls = (unsb_bearssl *)context;
    const unsb_transport *inner = &tls->config.inner;

    if (tls->state == UNSBI_BEARSSL_IDLE) {
        return;
    }
    if (tls->state == UNSBI_BEARSSL_OPEN && tls->send_failure == 0 &&
        (tls->failure == 0 || tls->failure == UNSB_E_CLOSED)) {
        unsbi_bearssl_shut_down(tls);
    }
    if (tls->state == UNSBI_BEARSSL_HANDSHAKE && tls->offered) {
        tls->has_session = false; /* given up within the handshake: not again */
    }
    if (inner->vtable != NULL) {
        inner->vtable->close(inner->context);
    }
    unsbi_bearssl_zero(&tls->ssl, sizeof tls->ssl);
    unsbi_bearssl_zero(&tls->x509, sizeof tls->x509);
    if (tls->config.buffer != NULL) {
        unsbi_bearssl_zero(tls->config.buffer, tls->config.buffer_size);
    }
    if (!tls->has_session) {
        unsbi_bearssl_zero(&tls->session, sizeof tls->session);
    }
    tls->offered = false;
    tls->failure = 0;
    tls->send_failure = 0;
    tls->state = UNSBI_BEARSSL_IDLE;
}

/* What the inner transport must wait for, so that what the client waits for can happen. `*ready`:
 * it can happen now. */
static int unsbi_bearssl_translate(const unsb_bearssl *tls, int interest, bool *ready)
{
    unsigned state;
    int wanted = 0;

    *ready = false;
    if (interest == 0 || tls->state == UNSBI_BEARSSL_CONNECTING) {
        return interest;
    }
    state = br_ssl_engine_current_state(&tls->ssl.eng);
    if ((tls->state != UNSBI_BEARSSL_HANDSHAKE && tls->state != UNSBI_BEARSSL_OPEN) ||
        tls->failure != 0 || (state & BR_SSL_CLOSED) != 0) {
        *ready = true; /* there is an error to be fetched */
    } else if (tls->state == UNSBI_BEARSSL_HANDSHAKE) {
        wanted = (state & BR_SSL_SENDREC) != 0 ? UNSB_WRITABLE : UNSB_READABLE;
    } else {
        if ((state & BR_SSL_SENDREC) != 0 && tls->send_failure == 0) {
            wanted |= UNSB_WRITABLE;
        }
        if ((interest & UNSB_READABLE) != 0) {
            *ready = (state & BR_SSL_RECVAPP) != 0 || unsbi_bearssl_ended(tls);
            wanted |= (state & BR_SSL_RECVREC) != 0 ? UNSB_READABLE : 0;
        }
        if ((interest & UNSB_WRITABLE) != 0) {
            *ready = *ready || tls->send_failure != 0 || unsbi_bearssl_ended(tls);
            if ((state & BR_SSL_SENDAPP) != 0) {
                wanted |= UNSB_WRITABLE;
            } else if ((state & BR_SSL_SENDREC) == 0) {
                wanted |= UNSB_READABLE;
            }
        }
        *ready = *ready || wanted == 0;
    }
    return *ready ? UNSB_READABLE | UNSB_WRITABLE : wanted;
}

static int unsbi_bearssl_interest(void *context, int interest)
{
    unsb_bearssl *tls = (unsb_bearssl *)context;
    const unsb_transport *inner = &tls->config.inner;
    bool ready;
    /* Where plaintext is waiting already, writable is the soonest that a socket can report. */
    int wanted = unsbi_bearssl_translate(tls, interest, &ready);
    if (inner->vtable == NULL || inner->vtable->interest == NULL) {
        return wanted;
    }
    return inner->vtable->interest(inner->context, wanted);
}

static int unsbi_bearssl_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsb_bearssl *tls = (unsb_bearssl *)context;
    const unsb_transport *inner = &tls->config.inner;
    bool ready;
    int wanted = unsbi_bearssl_translate(tls, interest, &ready);
    return ready ? UNSB_OK : inner->vtable->wait(inner->context, wanted, timeout_ms);
}

static const unsb_transport_class unsbi_bearssl_class = {
    unsbi_bearssl_connect, unsbi_bearssl_send, unsbi_bearssl_recv,
    unsbi_bearssl_close,   unsbi_bearssl_wait, unsbi_bearssl_interest, NULL};

static const unsb_transport_class unsbi_bearssl_class_without_wait = {
    unsbi_bearssl_connect, unsbi_bearssl_send, unsbi_bearssl_recv, unsbi_bearssl_close, NULL,
    unsbi_bearssl_interest, NULL};

UNSBI_BEARSSL_FN unsb_transport unsb_bearssl_transport(unsb_bearssl *tls,
                                                       const unsb_bearssl_config *config)
{
    unsb_transport transport;
    memset(tls, 0, sizeof *tls);
    tls->config = *config;
    transport.vtable = &unsbi_bearssl_class;
    if (config->inner.vtable == NULL || config->inner.vtable->wait == NULL) {
        transport.vtable = &unsbi_bearssl_class_without_wait;
    }
    transport.context = tls;
    return transport;
}

UNSBI_BEARSSL_FN void unsb_bearssl_wipe(unsb_bearssl *tls)
{
    unsbi_bearssl_close(tls);
    unsbi_bearssl_zero(&tls->session, sizeof tls->session);
    unsbi_bearssl_zero(tls->session_peer, sizeof tls->session_peer);
    tls->has_session = false;
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_BEARSSL_H */
