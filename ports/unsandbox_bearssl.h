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
 * macro. C99 or C++11; link with -lbearssl. Copy unsandbox_x509.h and unsandbox_address.h with it.
 * Nothing is allocated, and no operating system is used but by BearSSL itself, as it was built.
 * (BearSSL's headers warn under -Wconversion: name their directory with -isystem.)
 *
 * What is always checked; there is no switch:
 *   - TLS 1.2 with ECDHE and an AEAD cipher (ChaCha20-Poly1305, AES-GCM; AES-CCM if a set-up of
 *     your own offers it), no renegotiation. BearSSL has no TLS 1.3.
 *   - The chain up to a trust anchor, its dates, RSA keys of 2048 bits or more, the anchor's
 *     included; the default set-up takes no signatures with SHA-1 or MD5. keyUsage and extKeyUsage
 *     must allow a TLS server. What BearSSL lets pass, unsandbox_x509.h finds: name constraints
 *     that are not met, issuers for other purposes than servers, malformed certificates.
 *   - Not checked is revocation: neither CRLs nor OCSP. A certificate that was stolen and revoked
 *     is good until it expires; a pin, or an authority of your own, limits that.
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
 * Chains: servers often send their certificates out of order, one twice, or some that do not
 * belong. They are held (UNSB_BEARSSL_CHAIN) and judged in the order in which each issued the one
 * before. Of two for the same issuer one is tried, the first that did not issue itself.
 *
 * Memory: unsb_bearssl, 8,176 bytes (7,680 on 32-bit systems) and UNSB_BEARSSL_CHAIN; the record
 * buffer, see unsb_bearssl_config; 4 to 6 K of stack. Nothing on the heap.
 *
 * Errors: tls.error has BearSSL's number, and unsb_bearssl_error_text() a sentence for it.
 *   UNSB_E_CERTIFICATE     BR_ERR_X509_... (33 to 62), BR_ERR_WRONG_KEY_USAGE (28) or
 *                          UNSB_BEARSSL_NOT_PINNED, _X509 + n, _NOT_YET_VALID, _CHAIN_SIZE (63 to
 *                          74); BR_ERR_X509_BAD_SERVER_NAME also for a host that cannot be a name
 *                          or an address, or a certificate without subjectAltName;
 *                          BR_ERR_X509_FORBIDDEN_KEY_USAGE also for extKeyUsage. An anchor with an
 *                          RSA key below 2048 bits matches, but UNSB_BEARSSL_X509 + UNSB_X509_WEAK
 *   UNSB_E_ENTROPY         BR_ERR_NO_RANDOM
 *   UNSB_E_TRUST           neither anchors nor pins
 *   UNSB_E_TLS             any other number, 256 + n: the peer's alert n. 0: the peer hung up, in
 *                          good order but within the handshake
 *   UNSB_E_IO              with BR_ERR_IO: the stream ended without close_notify
 *   UNSB_E_CLOSED          only from recv and send, after the peer's close_notify
 *   UNSB_E_BEARSSL_BUFFER  the record buffer is missing or too small; tls.error likewise
 *   UNSB_E_BEARSSL_CONFIG  the configuration cannot work; tls.error likewise
 * The inner transport's errors come unchanged, with tls.error 0. An error is returned again until
 * close. A failed send leaves recv usable where each direction has a buffer.
 *
 * Limits: messages of the handshake may be cut into records of any size, down to single bytes.
 * Critical extensions that neither BearSSL nor the walker knows (certificate policies among them)
 * are refused. BearSSL sends no alert when it refuses a certificate. Certificates may have RSA keys
 * of up to 4096 bits or keys on P-256, P-384, P-521; a server that signs by RSA-PSS alone will not
 * do. With one buffer for both directions (see buffer_size) send takes nothing while a record is
 * half received, or received and not yet fetched by recv. */
#ifndef UNSANDBOX_BEARSSL_H
#define UNSANDBOX_BEARSSL_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif

#ifndef UNSANDBOX_ADDRESS_H
#include "unsandbox_address.h"
#endif
#ifndef UNSANDBOX_X509_H
#include "unsandbox_x509.h"
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

/* Room, in unsb_bearssl, for the certificates that a server sends besides its own, so that they can
 * be put in order: 3 bytes more than it has for each. Those that do not fit are as if they had not
 * been sent. 0: none is held, and a chain that is out of order, or has one twice or one that does
 * not belong, fails with BR_ERR_X509_DN_MISMATCH. Up to 65535. */
#ifndef UNSB_BEARSSL_CHAIN
#define UNSB_BEARSSL_CHAIN (UNSB_BEARSSL_PROFILE ? 8192 : 0)
#endif
#if UNSB_BEARSSL_CHAIN < 0 || UNSB_BEARSSL_CHAIN > 65535
#error "UNSB_BEARSSL_CHAIN must be 0 to 65535"
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

/* In tls.error, with UNSB_E_CERTIFICATE; BearSSL's own numbers for certificates end below them. */
enum {
    UNSB_BEARSSL_NOT_PINNED = 63,    /* the server's key is not among the pins */
    UNSB_BEARSSL_X509 = 64,          /* and what unsandbox_x509.h found, UNSB_X509_... (1 to 8) */
    UNSB_BEARSSL_NOT_YET_VALID = 73, /* what BearSSL has one number for, BR_ERR_X509_EXPIRED */
    UNSB_BEARSSL_CHAIN_SIZE = 74     /* no issuer found, but not all fitted UNSB_BEARSSL_CHAIN */
};

/* Codes of this port's own. No inner transport, no `setup` where one is required, or one that
 * leaves the engines unset: */
#define UNSB_E_BEARSSL_CONFIG (UNSB_E_USER - 1)
/* No record buffer, or one below UNSB_BEARSSL_BUFFER_MIN: */
#define UNSB_E_BEARSSL_BUFFER (UNSB_E_USER - 11)

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
    unsb_x509 walker;
    bool verified;        /* this handshake's chain was found good */
    uint8_t address_size; /* 4, 16, or 0: the host is a name */
    uint8_t address[16];
    bool named;  /* there is a name to look for */
    bool pinned; /* the server's key is among the pins */
    bool dated;  /* the engine found a date wrong: */
    bool future; /* the first of two */
    bool pins_alone;
    bool judging;  /* the certificate that comes is shown to engine and walker */
    uint8_t count; /* certificates that have come */
    const uint8_t *pins;
    size_t pin_count;
    br_sha256_context key;
#if UNSB_BEARSSL_CHAIN
    bool holding, lost; /* the certificate that comes fits; one did not */
    uint32_t chain_used, chain_at;
    uint8_t chain[UNSB_BEARSSL_CHAIN];
#endif
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
/* What tls->error means, for people: a sentence that goes with that of unsb_error_text(); "" for 0.
 * Static memory. A program that does not call it does not have the sentences. */
UNSBI_BEARSSL_FN const char *unsb_bearssl_error_text(const unsb_bearssl *tls);

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

/* ---- the certificate class around BearSSL's (see br_x509_class) ----
 *
 * BearSSL's engine reads only the dNSName entries of a subjectAltName, takes the common name where
 * there is none, ignores extKeyUsage and name constraints, takes the issuers in strict order, and
 * does not give the key's DER. So each certificate that it is shown goes through unsandbox_x509.h,
 * too. Both must find the chain good. */

/* Where pins alone decide, the engine sees this day, 2000-01-01, as the present one and as both
 * dates of the certificate. Days are counted from the year 0. */
#define UNSBI_BEARSSL_NO_DAY 730485u
static const char unsbi_bearssl_no_date[] = "20000101000000Z";

static unsbi_bearssl_x509 *unsbi_bearssl_x509_of(const br_x509_class **ctx)
{
    return (unsbi_bearssl_x509 *)(void *)ctx;
}

static void unsbi_bearssl_show(unsbi_bearssl_x509 *x509, const uint8_t *data, size_t size)
{
    x509->minimal.vtable->append(&x509->minimal.vtable, data, size);
}

/* A byte of a date. Where dates do not count, the engine is shown one that it finds good; else what
 * is noted is by which of the two it fails. */
static void unsbi_bearssl_show_date(unsbi_bearssl_x509 *x509, uint8_t byte)
{
    const unsb_x509 *walker = &x509->walker;
    if (x509->pins_alone) {
        const char *date = unsbi_bearssl_no_date;
        uint32_t at = walker->size - walker->left;
        if (walker->tag == 0x17 && walker->size == 13) {
            byte = (uint8_t)date[2 + at]; /* UTCTime has two digits of the year */
        } else if (walker->tag == 0x18 && walker->size == 15) {
            byte = (uint8_t)date[at];
        }
    }
    unsbi_bearssl_show(x509, &byte, 1);
    if (x509->minimal.err == BR_ERR_X509_EXPIRED && !x509->dated) {
        x509->dated = true;
        x509->future = walker->element[walker->level] == 1;
    }
}

/* The byte that makes an extension critical which the walker knows and the engine does not, and so
 * would refuse: it is shown the opposite; but hashed is what was signed. (No function sets what it
 * hashes.) */
static void unsbi_bearssl_show_critical(unsbi_bearssl_x509 *x509, uint8_t byte)
{
    static const uint8_t no = 0;
    br_x509_minimal_context *minimal = &x509->minimal;
    unsigned char hashing = minimal->do_mhash;
    minimal->do_mhash = 0;
    unsbi_bearssl_show(x509, &no, 1);
    minimal->do_mhash = hashing;
    if (hashing != 0) {
        br_multihash_update(&minimal->mhash, &byte, 1);
    }
}

static void unsbi_bearssl_judge_begin(unsbi_bearssl_x509 *x509, uint32_t size)
{
    unsb_x509_begin(&x509->walker, size);
    x509->minimal.vtable->start_cert(&x509->minimal.vtable, size);
}

/* The next bytes of a certificate of the path. */
static void unsbi_bearssl_judge(unsbi_bearssl_x509 *x509, const uint8_t *data, size_t size)
{
    unsb_x509 *walker = &x509->walker;
    size_t i, shown = 0;
    for (i = 0; i < size; i++) {
        int next = unsb_x509_next(walker);
        if (next != UNSB_X509_NEXT_OTHER) {
            unsbi_bearssl_show(x509, data + shown, i - shown);
            shown = i + 1;
            if (next == UNSB_X509_NEXT_DATE) {
                unsbi_bearssl_show_date(x509, data[i]);
            } else {
                unsbi_bearssl_show_critical(x509, data[i]);
            }
        }
        unsb_x509_feed(walker, data + i, 1);
        if (walker->first && walker->field == UNSB_X509_KEY && x509->pin_count != 0) {
            br_sha256_update(&x509->key, data + i, 1);
        }
    }
    unsbi_bearssl_show(x509, data + shown, size - shown);
}

static void unsbi_bearssl_judge_end(unsbi_bearssl_x509 *x509)
{
    uint8_t digest[br_sha256_SIZE];
    size_t i;
    x509->minimal.vtable->end_cert(&x509->minimal.vtable);
    (void)unsb_x509_end(&x509->walker);
    if (!x509->walker.first || x509->pin_count == 0) {
        return;
    }
    br_sha256_out(&x509->key, digest);
    for (i = 0; i < x509->pin_count; i++) {
        if (memcmp(x509->pins + i * sizeof digest, digest, sizeof digest) == 0) {
            x509->pinned = true;
        }
    }
}

/* Does the engine, so far, want a certificate's issuer? */
static bool unsbi_bearssl_wants_issuer(const unsbi_bearssl_x509 *x509)
{
    return x509->minimal.err == 0 && !x509->pins_alone;
}

#if UNSB_BEARSSL_CHAIN
/* Certificates that came behind the server's own wait in x509->chain, each with a byte that says
 * whether it was used, and two of size. */

/* Room for one. */
static void unsbi_bearssl_hold(unsbi_bearssl_x509 *x509, uint32_t size)
{
    uint8_t *head = x509->chain + x509->chain_used;
    x509->holding = size <= 0xFFFFu && UNSB_BEARSSL_CHAIN - x509->chain_used >= 3 &&
                    size <= UNSB_BEARSSL_CHAIN - x509->chain_used - 3;
    if (!x509->holding) {
        x509->lost = true;
        return;
    }
    head[0] = 0;
    head[1] = (uint8_t)(size >> 8);
    head[2] = (uint8_t)(size & 0xFFu);
    x509->chain_at = x509->chain_used + 3;
    x509->chain_used += 3 + size;
}

/* The next bytes of it. */
static void unsbi_bearssl_keep(unsbi_bearssl_x509 *x509, const uint8_t *data, size_t size)
{
    if (!x509->holding) {
        return;
    }
    if (size > x509->chain_used - x509->chain_at) {
        size = x509->chain_used - x509->chain_at;
    }
    memcpy(x509->chain + x509->chain_at, data, size);
    x509->chain_at += (uint32_t)size;
}

/* Is this the name of the issuer that the engine waits for? */
static bool unsbi_bearssl_is_issuer(const unsbi_bearssl_x509 *x509, const unsb_x509_name *name)
{
    const br_hash_class *impl = x509->minimal.dn_hash_impl;
    br_hash_compat_context context;
    uint8_t digest[64];
    impl->init(&context.vtable);
    impl->update(&context.vtable, name->data, name->size);
    impl->out(&context.vtable, digest);
    return memcmp(digest, x509->minimal.saved_dn_hash,
                  (impl->desc >> BR_HASHDESC_OUT_OFF) & BR_HASHDESC_OUT_MASK) == 0;
}

static bool unsbi_bearssl_same_name(const unsb_x509_name *a, const unsb_x509_name *b)
{
    return a->data != NULL && b->data != NULL && a->size == b->size &&
           memcmp(a->data, b->data, a->size) == 0;
}

/* The issuer of the certificate that the engine saw last, NULL: there is none. One that says that
 * it issued itself is the last choice, as it leads nowhere. */
static uint8_t *unsbi_bearssl_find_issuer(unsbi_bearssl_x509 *x509)
{
    uint8_t *found = NULL;
    size_t at = 0;
    while (at < x509->chain_used) {
        uint8_t *head = x509->chain + at;
        size_t size = (size_t)head[1] << 8 | head[2];
        unsb_x509_name issuer, subject;
        if (head[0] == 0 && unsb_x509_issuer_subject(head + 3, size, &issuer, &subject) &&
            unsbi_bearssl_is_issuer(x509, &subject)) {
            if (!unsbi_bearssl_same_name(&issuer, &subject)) {
                return head;
            }
            found = found == NULL ? head : found;
        }
        at += 3 + size;
    }
    return found;
}

/* All have come: shows the engine those that it wants, in order. */
static void unsbi_bearssl_judge_held(unsbi_bearssl_x509 *x509)
{
    while (unsbi_bearssl_wants_issuer(x509)) {
        uint8_t *head = unsbi_bearssl_find_issuer(x509);
        size_t size;
        if (head == NULL) {
            break;
        }
        size = (size_t)head[1] << 8 | head[2];
        head[0] = 1;
        unsbi_bearssl_judge_begin(x509, (uint32_t)size);
        unsbi_bearssl_judge(x509, head + 3, size);
        unsbi_bearssl_judge_end(x509);
    }
}
#endif

static void unsbi_bearssl_start_chain(const br_x509_class **ctx, const char *server_name)
{
    unsbi_bearssl_x509 *x509 = unsbi_bearssl_x509_of(ctx);
    x509->named = server_name != NULL && server_name[0] != '\0';
    x509->verified = false;
    x509->pinned = false;
    x509->dated = false;
    x509->future = false;
    x509->count = 0;
#if UNSB_BEARSSL_CHAIN
    x509->lost = false;
    x509->chain_used = 0;
#endif
    br_sha256_init(&x509->key);
    unsb_x509_start(&x509->walker, x509->address, x509->address_size);
    x509->minimal.vtable->start_chain(&x509->minimal.vtable, x509->named ? server_name : NULL);
}

static void unsbi_bearssl_start_cert(const br_x509_class **ctx, uint32_t length)
{
    unsbi_bearssl_x509 *x509 = unsbi_bearssl_x509_of(ctx);
    /* An empty chain is refused, and 255 are more than any path has. */
    x509->count = (uint8_t)(x509->count < 255 ? x509->count + 1 : 255);
    x509->judging = x509->count == 1;
#if UNSB_BEARSSL_CHAIN
    x509->holding = false;
    if (!x509->judging && unsbi_bearssl_wants_issuer(x509)) {
        unsbi_bearssl_hold(x509, length);
    }
#else
    x509->judging = x509->judging || unsbi_bearssl_wants_issuer(x509);
#endif
    if (x509->judging) {
        unsbi_bearssl_judge_begin(x509, length);
    }
}

static void unsbi_bearssl_append(const br_x509_class **ctx, const unsigned char *data, size_t size)
{
    unsbi_bearssl_x509 *x509 = unsbi_bearssl_x509_of(ctx);
    if (x509->judging) {
        unsbi_bearssl_judge(x509, data, size);
    }
#if UNSB_BEARSSL_CHAIN
    if (!x509->judging) {
        unsbi_bearssl_keep(x509, data, size);
    }
#endif
}

static void unsbi_bearssl_end_cert(const br_x509_class **ctx)
{
    unsbi_bearssl_x509 *x509 = unsbi_bearssl_x509_of(ctx);
    if (x509->judging) {
        unsbi_bearssl_judge_end(x509);
    }
    x509->judging = false;
}

/* What this port says to what the engine did. */
static unsigned unsbi_bearssl_verdict(const unsbi_bearssl_x509 *x509, unsigned error)
{
    const unsb_x509 *walker = &x509->walker;
    bool found = x509->address_size != 0 ? walker->matched : x509->named && walker->named;

    if (error == BR_ERR_X509_NOT_TRUSTED && x509->pins_alone) {
        error = 0; /* nothing else is wrong with it */
    }
    if (error == BR_ERR_X509_EXPIRED && x509->future) {
        return UNSB_BEARSSL_NOT_YET_VALID;
    }
#if UNSB_BEARSSL_CHAIN
    if (error == BR_ERR_X509_NOT_TRUSTED && x509->lost) {
        return UNSB_BEARSSL_CHAIN_SIZE;
    }
#endif
    if (error != 0) {
        return error;
    }
    if (walker->error == UNSB_X509_PURPOSE) {
        return BR_ERR_X509_FORBIDDEN_KEY_USAGE;
    }
    return walker->error != 0                      ? UNSB_BEARSSL_X509 + (unsigned)walker->error
           : !found                                ? BR_ERR_X509_BAD_SERVER_NAME
           : x509->pin_count != 0 && !x509->pinned ? UNSB_BEARSSL_NOT_PINNED
                                                   : 0;
}

static unsigned unsbi_bearssl_end_chain(const br_x509_class **ctx)
{
    unsbi_bearssl_x509 *x509 = unsbi_bearssl_x509_of(ctx);
    unsigned error;
#if UNSB_BEARSSL_CHAIN
    unsbi_bearssl_judge_held(x509);
#endif
    error = x509->minimal.vtable->end_chain(&x509->minimal.vtable);
    error = unsbi_bearssl_verdict(x509, error);
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
    if ((error >= BR_ERR_X509_INVALID_VALUE && error <= UNSB_BEARSSL_CHAIN_SIZE) ||
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

    if (config->buffer == NULL || config->buffer_size < UNSB_BEARSSL_BUFFER_MIN) {
        return unsbi_bearssl_fail(tls, UNSB_E_BEARSSL_BUFFER, UNSB_E_BEARSSL_BUFFER);
    }
    if (config->inner.vtable == NULL || (config->setup == NULL && !UNSB_BEARSSL_PROFILE)) {
        return unsbi_bearssl_fail(tls, UNSB_E_BEARSSL_CONFIG, UNSB_E_BEARSSL_CONFIG);
    }
    if (!unsbi_bearssl_has_anchors(config) && !unsbi_bearssl_has_pins(config)) {
        return unsbi_bearssl_fail(tls, UNSB_E_TRUST, 0);
    }
    if (!unsb_address_host(host, name, tls->x509.address, &tls->x509.address_size)) {
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

    if (!unsb_address_host(host, name, tls->x509.address, &tls->x509.address_size)) {
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
        return unsbi_bearssl_fail(tls, UNSB_E_BEARSSL_CONFIG, UNSB_E_BEARSSL_CONFIG);
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

    if (tls->state == UNSBI_BEARSSL_IDLE) {
        tls->error = 0;
        tls->resumed = false;
        rc = unsbi_bearssl_check(tls, host, port);
        if (rc != UNSB_OK) {
            return rc;
        }
        tls->state = UNSBI_BEARSSL_CONNECTING;
    }
    if (tls->state == UNSBI_BEARSSL_CONNECTING) {
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
    }
    if (tls->state == UNSBI_BEARSSL_HANDSHAKE) {
        return unsbi_bearssl_handshake(tls);
    }
    return tls->state == UNSBI_BEARSSL_OPEN ? UNSB_OK : tls->failure;
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

/* Ends the connection. In silence: without a word on the wire, as another process has it, too. */
static void unsbi_bearssl_end(unsb_bearssl *tls, bool silent)
{
    const unsb_transport *inner = &tls->config.inner;

    if (tls->state == UNSBI_BEARSSL_IDLE) {
        return;
    }
    if (!silent && tls->state == UNSBI_BEARSSL_OPEN && tls->send_failure == 0 &&
        (tls->failure == 0 || tls->failure == UNSB_E_CLOSED)) {
        unsbi_bearssl_shut_down(tls);
    }
    if (tls->state == UNSBI_BEARSSL_HANDSHAKE && tls->offered) {
        tls->has_session = false; /* given up within the handshake: not again */
    }
    if (inner->vtable != NULL) {
        if (silent && inner->vtable->drop != NULL) {
            inner->vtable->drop(inner->context);
        } else {
            inner->vtable->close(inner->context);
        }
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

static void unsbi_bearssl_close(void *context)
{
    unsbi_bearssl_end((unsb_bearssl *)context, false);
}

static void unsbi_bearssl_drop(void *context)
{
    unsbi_bearssl_end((unsb_bearssl *)context, true);
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
    unsbi_bearssl_connect, unsbi_bearssl_send,     unsbi_bearssl_recv, unsbi_bearssl_close,
    unsbi_bearssl_wait,    unsbi_bearssl_interest, unsbi_bearssl_drop};

static const unsb_transport_class unsbi_bearssl_class_without_wait = {
    unsbi_bearssl_connect,  unsbi_bearssl_send, unsbi_bearssl_recv, unsbi_bearssl_close, NULL,
    unsbi_bearssl_interest, unsbi_bearssl_drop};

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

/* The peer's alerts (RFC 5246 section 7.2.2, RFC 6066 section 3). */
static const char *unsbi_bearssl_alert_text(int alert)
{
    switch (alert) {
    case 40: /* handshake_failure */
    case 71: /* insufficient_security */
        return "the server has no cipher suite, curve or version that this client has";
    case 70: /* protocol_version */
        return "the server does not speak TLS 1.2; BearSSL has no TLS 1.3";
    case 80: /* internal_error */
        return "the server reports an error of its own";
    case 112: /* unrecognized_name */
        return "the server does not know the host's name";
    case 116: /* certificate_required */
        return "the server asks for a client's certificate";
    default:
        return "the server ended the connection with an alert";
    }
}

/* BearSSL's numbers for certificates, and this port's. */
static const char *unsbi_bearssl_x509_text(int error)
{
    switch (error) {
    case BR_ERR_X509_EXPIRED:
        return "a certificate has expired (or the clock is ahead)";
    case UNSB_BEARSSL_NOT_YET_VALID:
        return "a certificate is not valid yet: is the clock set?";
    case BR_ERR_X509_TIME_UNKNOWN:
        return "there is no clock to check certificates by: unix_time is needed";
    case BR_ERR_X509_BAD_SERVER_NAME:
        return "the certificate is for another host";
    case BR_ERR_X509_NOT_TRUSTED:
        return "no trust anchor has issued the certificate, or the server leaves out an issuer's";
    case UNSB_BEARSSL_CHAIN_SIZE:
        return "no issuer found, and UNSB_BEARSSL_CHAIN is too small for all that were sent";
    case BR_ERR_X509_DN_MISMATCH:
        return "the server's certificates are not in order";
    case BR_ERR_X509_BAD_SIGNATURE:
        return "a certificate's signature is wrong";
    case BR_ERR_X509_NOT_CA:
        return "a certificate is issued by one that may not issue it";
    case BR_ERR_X509_FORBIDDEN_KEY_USAGE:
    case BR_ERR_WRONG_KEY_USAGE:
        return "a certificate is used for what it is not meant for";
    case BR_ERR_X509_WEAK_PUBLIC_KEY:
        return "a certificate has an RSA key below 2048 bits";
    case BR_ERR_X509_UNSUPPORTED:
    case BR_ERR_X509_WRONG_KEY_TYPE:
        return "a certificate uses an algorithm that is not supported";
    case BR_ERR_X509_LIMIT_EXCEEDED:
        return "a certificate's key or signature is larger than BearSSL takes";
    case BR_ERR_X509_CRITICAL_EXTENSION:
        return "a certificate has a critical extension that is not known";
    case UNSB_BEARSSL_NOT_PINNED:
        return "the server's key is not the one that is pinned";
    default:
        return error > UNSB_BEARSSL_X509 && error < UNSB_BEARSSL_NOT_YET_VALID
                   ? unsb_x509_error_text(error - UNSB_BEARSSL_X509)
                   : unsb_x509_error_text(UNSB_X509_MALFORMED);
    }
}

UNSBI_BEARSSL_FN const char *unsb_bearssl_error_text(const unsb_bearssl *tls)
{
    int error = tls->error;
    if (error >= 256 && error < 512) {
        return unsbi_bearssl_alert_text(error - 256);
    }
    if (error > BR_ERR_X509_OK || error == BR_ERR_WRONG_KEY_USAGE) {
        return unsbi_bearssl_x509_text(error);
    }
    switch (error) {
    case 0:
        return "";
    case UNSB_E_BEARSSL_BUFFER:
        return "the record buffer is missing, or smaller than UNSB_BEARSSL_BUFFER_MIN";
    case UNSB_E_BEARSSL_CONFIG:
        return "the TLS configuration lacks `inner`, or a `setup` that works";
    case BR_ERR_TOO_LARGE:
        return "a record is larger than the record buffer";
    case BR_ERR_NO_RANDOM:
        return "there is no source of random bytes";
    case BR_ERR_IO:
        return "the stream ended without the end that TLS has for it";
    case BR_ERR_BAD_MAC:
        return "a record was damaged on its way";
    case BR_ERR_UNSUPPORTED_VERSION:
    case BR_ERR_BAD_VERSION:
        return "the server does not speak TLS 1.2, or no TLS at all";
    default:
        return "the server broke the protocol";
    }
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_BEARSSL_H */
