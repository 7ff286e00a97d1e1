/* unsandbox_x509.h - what TLS libraries leave out when they judge a chain of certificates
 *
 * For TLS ports; a program that uses one of those need not know it. It reads certificates (RFC
 * 5280) and finds faults in them that BearSSL and Mbed TLS let pass. It verifies no signature, no
 * date and no host's name: that is the library's part, and both must agree. Revocation is checked
 * by neither.
 *
 *     static unsb_x509 x509;
 *     unsb_x509_start(&x509, NULL, 0);
 *     for each certificate of the path, the server's own first, each issuer after what it signed:
 *         unsb_x509_begin(&x509, size);
 *         unsb_x509_feed(&x509, der, size);       (in one piece or in many)
 *         rc = unsb_x509_end(&x509);              (0, or why the chain must be refused)
 *
 * All functions are static; C99 or C++11; nothing is included but the standard's own headers, and
 * nothing is allocated. A certificate is looked at byte by byte as it comes and not kept: the
 * state is 840 bytes (328 and UNSB_X509_NAMES), whatever the chain; code, 2.6 K on Cortex-M3. No
 * recursion; each byte takes constant time, but the last of a subtree of name constraints, which
 * takes as long as UNSB_X509_NAMES bytes do.
 *
 * The rules, each with its number:
 *   - A certificate is one DER element in the form that RFC 5280 section 4.1 gives it, all lengths
 *     fit, and nothing stands behind it                                    UNSB_X509_MALFORMED
 *   - Only version 3 has extensions (section 4.1.2.1)                      UNSB_X509_VERSION
 *   - No extension comes twice (section 4.2)                               UNSB_X509_TWICE
 *   - The signature's algorithm is the same within and outside of what is signed (section 4.1.1.2)
 *                                                                          UNSB_X509_ALGORITHMS
 *   - A signature by RSA has 256 bytes or more, and so had the issuer's key, a trust anchor's too
 *                                                                          UNSB_X509_WEAK
 *   - extKeyUsage, where a certificate has it, names TLS servers or any purpose, in issuers as in
 *     the server's own certificate (section 4.2.1.12)                      UNSB_X509_PURPOSE
 *   - Name constraints hold, critical or not, for all names of all certificates below (section
 *     4.2.1.10). Of dNSName, iPAddress and directoryName the names are compared, the last byte by
 *     byte, and excluded directories exclude all. A constraint of another kind refuses names of
 *     that kind. Also refused: constraints in the server's own certificate, and `minimum` and
 *     `maximum`. A leading dot in a dNSName, which is against the RFC but common, leaves out the
 *     name itself where names are permitted                                UNSB_X509_CONSTRAINT
 *   - It can be held: 24 extensions in each certificate, 80 bytes of signature algorithm; and the
 *     names below fit UNSB_X509_NAMES, where there are constraints to hold them against
 *                                                                          UNSB_X509_LIMIT
 *
 * Not judged here, as both libraries do it: basicConstraints, path lengths, keyUsage, critical
 * extensions that are not known. Whoever calls this must have asked the library, too. */
#ifndef UNSANDBOX_X509_H
#define UNSANDBOX_X509_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ======================================================================
 * >>options  alike in all files of a program
 * ====================================================================== */

/* Room for the names of a chain, in bytes: each takes 3 more than it has. Some of it is needed for
 * the constraints, too. 64 to 16384. */
#ifndef UNSB_X509_NAMES
#define UNSB_X509_NAMES 512
#endif
#if UNSB_X509_NAMES < 64 || UNSB_X509_NAMES > 16384
#error "UNSB_X509_NAMES must be 64 to 16384"
#endif

#if defined(__GNUC__)
#define UNSBI_X509_FN static __attribute__((unused))
#else
#define UNSBI_X509_FN static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

enum {
    UNSB_X509_OK,
    UNSB_X509_MALFORMED,
    UNSB_X509_VERSION,
    UNSB_X509_TWICE,
    UNSB_X509_ALGORITHMS,
    UNSB_X509_WEAK,
    UNSB_X509_PURPOSE,
    UNSB_X509_CONSTRAINT,
    UNSB_X509_LIMIT
};

/* unsb_x509.field: where in the TBSCertificate (RFC 5280 section 4.1) */
enum {
    UNSB_X509_OUTSIDE,
    UNSB_X509_VERSION_FIELD,
    UNSB_X509_SERIAL,
    UNSB_X509_SIGNATURE,
    UNSB_X509_ISSUER,
    UNSB_X509_VALIDITY,
    UNSB_X509_SUBJECT,
    UNSB_X509_KEY,
    UNSB_X509_ISSUER_ID,
    UNSB_X509_SUBJECT_ID,
    UNSB_X509_EXTENSIONS
};

/* A name within a certificate: DER, as two such names are compared. */
typedef struct unsb_x509_name {
    const uint8_t *data;
    size_t size;
} unsb_x509_name;

/* What unsb_x509_next() tells of the byte that comes next. */
enum {
    UNSB_X509_NEXT_OTHER,
    UNSB_X509_NEXT_DATE,    /* of a date */
    UNSB_X509_NEXT_CRITICAL /* whether name constraints or extKeyUsage are critical */
};

#define UNSBI_X509_DEPTH 10
#define UNSBI_X509_EXTENSION_COUNT 24
#define UNSBI_X509_ALGORITHM_SIZE 80

typedef struct unsb_x509 {
    /* to be read */
    uint8_t error; /* UNSB_X509_..., the first that was found. Sticky */
    uint8_t field; /* of which the last byte was, tags and lengths included */
    bool first;    /* the certificate is the server's own */
    bool named;    /* that one has a dNSName */
    bool matched;  /* that one has the address among its iPAddress entries */
    bool anchor;   /* to be set after unsb_x509_begin: this one is trusted as it is, so that it does
                      not count what signed it */
    /* private */
    uint8_t address_size;
    uint8_t address[16];
    /* the cursor */
    bool begun, complete;
    uint8_t state, level, tag, count, what;
    uint8_t kind[UNSBI_X509_DEPTH];    /* what is entered, from outside in */
    uint8_t element[UNSBI_X509_DEPTH]; /* how many elements of it have begun, up to 255 */
    uint32_t end[UNSBI_X509_DEPTH];
    uint32_t position, size, left;
    uint8_t value[16]; /* the first bytes of a value */
    /* this certificate */
    uint8_t version, extension;
    bool serves, valued; /* a purpose fits; the extension's value is there */
    uint8_t extension_count;
    uint32_t hash;
    uint32_t seen[UNSBI_X509_EXTENSION_COUNT];
    uint8_t algorithm_size;
    uint8_t algorithm[UNSBI_X509_ALGORITHM_SIZE];
    /* names: one bit for each kind, UNSBI_X509_BIT */
    uint16_t kinds, kinds_below;    /* that there are; and in the certificates before */
    uint16_t lost, lost_below;      /* that did not fit */
    uint16_t permitted;             /* that this certificate's constraints permit some of */
    uint16_t used, used_below;      /* of `names` */
    uint16_t store;                 /* where the value goes that is read */
    uint8_t names[UNSB_X509_NAMES]; /* each: kind, and UNSBI_X509_MET; two bytes of size; itself */
} unsb_x509;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* A new chain. The address that is looked for among the iPAddress entries of the server's own
 * certificate, `size` 4 or 16; 0: none. It is copied. */
UNSBI_X509_FN void unsb_x509_start(unsb_x509 *x509, const uint8_t *address, size_t size);
/* The next certificate comes, of `size` bytes. */
UNSBI_X509_FN void unsb_x509_begin(unsb_x509 *x509, size_t size);
/* The next bytes of it: any number, also 0. */
UNSBI_X509_FN void unsb_x509_feed(unsb_x509 *x509, const void *data, size_t size);
/* The certificate is through. UNSB_X509_OK, or what is wrong with it or one before it. */
UNSBI_X509_FN int unsb_x509_end(unsb_x509 *x509);
/* What the next byte that is fed will be: UNSB_X509_NEXT_... It is byte `size - left` of an element
 * of `size` bytes that has this `tag`. */
UNSBI_X509_FN int unsb_x509_next(const unsb_x509 *x509);
/* Finds issuer and subject in a certificate that is there whole. false: it is none. */
UNSBI_X509_FN bool unsb_x509_issuer_subject(const uint8_t *der, size_t size, unsb_x509_name *issuer,
                                            unsb_x509_name *subject);
/* A few words for an error, "" for 0 and others. */
UNSBI_X509_FN const char *unsb_x509_error_text(int error);

/* ======================================================================
 * >>implementation
 *
 * A cursor with a stack of what it has entered:
 *
 *     TOP > CERTIFICATE > TBS > FIELD           (version, validity)
 *                             > WRAP > LIST > EXTENSION > CONTENT > NAMES
 *                                                                 > PURPOSES
 *                                                                 > CONSTRAINTS
 *     CONSTRAINTS > PERMITTED or EXCLUDED > SUBTREE
 *
 * All else is a value, which is passed by its length and, where it matters, looked at on the way.
 * ====================================================================== */

enum { UNSBI_X509_TAG, UNSBI_X509_LENGTH, UNSBI_X509_LENGTH_BYTES, UNSBI_X509_VALUE };

/* kinds of what is entered; 0: a value */
enum {
    UNSBI_X509_NONE,
    UNSBI_X509_TOP,
    UNSBI_X509_CERTIFICATE,
    UNSBI_X509_TBS,
    UNSBI_X509_FIELD,
    UNSBI_X509_WRAP,
    UNSBI_X509_LIST,
    UNSBI_X509_EXTENSION,
    UNSBI_X509_CONTENT,
    UNSBI_X509_NAMES,
    UNSBI_X509_PURPOSES,
    UNSBI_X509_CONSTRAINTS,
    UNSBI_X509_PERMITTED,
    UNSBI_X509_EXCLUDED,
    UNSBI_X509_SUBTREE
};

/* x509->what: how a value is looked at, beside its first bytes */
enum {
    UNSBI_X509_PASS,
    UNSBI_X509_KEEP,   /* into `names` */
    UNSBI_X509_INNER,  /* the algorithm */
    UNSBI_X509_OUTER,  /* the algorithm, again */
    UNSBI_X509_NUMBER, /* an OID: into `hash` */
    UNSBI_X509_BASE    /* of a subtree: behind the names that are kept */
};

/* Kinds of names are those of GeneralName (RFC 5280 section 4.2.1.6), and the subject. */
enum {
    UNSBI_X509_DNS = 2,
    UNSBI_X509_DIRECTORY = 4,
    UNSBI_X509_ADDRESS = 7,
    UNSBI_X509_SUBJECT_NAME = 9
};
#define UNSBI_X509_BIT(kind) ((uint16_t)(1u << (kind)))
/* A directoryName constraint is for subjects, too. */
#define UNSBI_X509_DIRECTORIES                                                                     \
    (UNSBI_X509_BIT(UNSBI_X509_DIRECTORY) | UNSBI_X509_BIT(UNSBI_X509_SUBJECT_NAME))
#define UNSBI_X509_COMPARED                                                                        \
    (UNSBI_X509_BIT(UNSBI_X509_DNS) | UNSBI_X509_BIT(UNSBI_X509_ADDRESS) | UNSBI_X509_DIRECTORIES)
/* In the first byte of a kept name: one of the permitted subtrees has it. */
#define UNSBI_X509_MET 0x80u

/* The last bytes of OIDs below 2.5.29 (0x55, 0x1D). */
enum { UNSBI_X509_ALT_NAME = 17, UNSBI_X509_NAME_CONSTRAINTS = 30, UNSBI_X509_EXT_KEY_USAGE = 37 };

static void unsbi_x509_fail(unsb_x509 *x509, uint8_t error)
{
    if (x509->error == UNSB_X509_OK) {
        x509->error = error;
    }
}

/* ---- name constraints ---- */

static uint8_t unsbi_x509_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool unsbi_x509_same(const uint8_t *a, const uint8_t *b, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++) {
        if (unsbi_x509_lower(a[i]) != unsbi_x509_lower(b[i])) {
            return false;
        }
    }
    return true;
}

/* Is the dNSName `name` at or below `base`? For exclusion: may it be? */
static bool unsbi_x509_dns_within(const uint8_t *name, size_t size, const uint8_t *base,
                                  size_t base_size, bool exclusion)
{
    if (base_size > 0 && base[0] == '.') {
        if (!exclusion) {
            return size > base_size && unsbi_x509_same(name + (size - base_size), base, base_size);
        }
        base++;
        base_size--;
    }
    if (base_size == 0) {
        return true;
    }
    if (size >= base_size && unsbi_x509_same(name + (size - base_size), base, base_size) &&
        (size == base_size || name[size - base_size - 1] == '.')) {
        return true;
    }
    if (exclusion && size > 2 && name[0] == '*') {
        /* A wildcard stands for the first label of what is excluded, too. */
        while (base_size > 0 && base[0] != '.') {
            base++;
            base_size--;
        }
        return size - 1 == base_size && unsbi_x509_same(name + 1, base, base_size);
    }
    return false;
}

/* `base` has an address and a mask. A name of the other family is not within. */
static bool unsbi_x509_address_within(const uint8_t *name, size_t size, const uint8_t *base,
                                      size_t base_size)
{
    size_t i;
    if (base_size != 2 * size) {
        return false;
    }
    for (i = 0; i < size; i++) {
        if (((name[i] ^ base[i]) & base[size + i]) != 0) {
            return false;
        }
    }
    return true;
}

/* Masks are those of RFC 4632: ones, then zeros. */
static bool unsbi_x509_is_range(const uint8_t *base, size_t size)
{
    bool zeros = false;
    size_t i;
    if (size != 8 && size != 32) {
        return false;
    }
    for (i = size / 2; i < size; i++) {
        unsigned gap = ~(unsigned)base[i] & 0xFFu;
        if ((gap & (gap + 1u)) != 0 || (zeros && gap != 0xFFu)) {
            return false;
        }
        zeros = zeros || gap != 0;
    }
    return true;
}

/* The RDNs of a Name: steps over the head of its SEQUENCE. Lengths are those of the value that it
 * is in; a head that does not fit leaves nothing. false: it is no Name. */
static bool unsbi_x509_rdns(const uint8_t **name, size_t *size)
{
    const uint8_t *p = *name;
    size_t left = *size, length, bytes;
    if (left < 2 || p[0] != 0x30) {
        return false;
    }
    length = p[1];
    p += 2;
    left -= 2;
    if (length >= 0x80) {
        bytes = length & 0x7Fu;
        if (bytes == 0 || bytes > 2 || bytes > left) {
            return false;
        }
        length = p[0];
        if (bytes == 2) {
            length = length << 8 | p[1];
        }
        p += bytes;
        left -= bytes;
    }
    *name = p;
    *size = length;
    return length == left;
}

/* Is one directory the other or below it? Bytes are compared, as in all else that builds paths. */
static bool unsbi_x509_directory_within(uint8_t kind, const uint8_t *name, size_t size,
                                        const uint8_t *base, size_t base_size)
{
    if (!unsbi_x509_rdns(&base, &base_size) ||
        (kind == UNSBI_X509_DIRECTORY && !unsbi_x509_rdns(&name, &size))) {
        return false;
    }
    return size >= base_size && memcmp(name, base, base_size) == 0;
}

/* Holds the names of the certificates below against one subtree, whose base stands behind all
 * names that are kept. */
static void unsbi_x509_subtree(unsb_x509 *x509, uint8_t kind, bool exclusion)
{
    const uint8_t *base = x509->names + x509->used;
    size_t base_size = (size_t)x509->size, at = 0;

    if (kind == UNSBI_X509_ADDRESS && !unsbi_x509_is_range(base, base_size)) {
        unsbi_x509_fail(x509, UNSB_X509_CONSTRAINT);
        return;
    }
    while (at < x509->used_below) {
        uint8_t *head = x509->names + at;
        const uint8_t *name = head + 3;
        uint8_t other = (uint8_t)(head[0] & ~UNSBI_X509_MET);
        size_t size = (size_t)head[1] << 8 | head[2];
        bool within = false;
        if (kind == UNSBI_X509_DNS && other == kind) {
            within = unsbi_x509_dns_within(name, size, base, base_size, exclusion);
        } else if (kind == UNSBI_X509_ADDRESS && other == kind) {
            within = unsbi_x509_address_within(name, size, base, base_size);
        } else if (kind == UNSBI_X509_DIRECTORY &&
                   (other == kind || other == UNSBI_X509_SUBJECT_NAME)) {
            within = unsbi_x509_directory_within(other, name, size, base, base_size);
        }
        if (within && exclusion) {
            unsbi_x509_fail(x509, UNSB_X509_CONSTRAINT);
        } else if (within) {
            head[0] = (uint8_t)(head[0] | UNSBI_X509_MET);
        }
        at += 3 + size;
    }
}

/* The base of a subtree begins: what can be told by its kind alone. true: it is to be compared. */
static bool unsbi_x509_subtree_begin(unsb_x509 *x509, uint8_t kind, bool exclusion)
{
    uint16_t bits = UNSBI_X509_BIT(kind);
    if (kind == UNSBI_X509_DIRECTORY) {
        bits = UNSBI_X509_DIRECTORIES;
    }
    if (!exclusion) {
        x509->permitted = (uint16_t)(x509->permitted | bits);
    }
    if ((x509->kinds_below & bits) == 0) {
        return false;
    }
    if ((bits & UNSBI_X509_COMPARED) == 0 || (exclusion && kind == UNSBI_X509_DIRECTORY)) {
        unsbi_x509_fail(x509, UNSB_X509_CONSTRAINT);
        return false;
    }
    if ((x509->lost_below & bits) != 0 || x509->size > (uint32_t)UNSB_X509_NAMES - x509->used) {
        unsbi_x509_fail(x509, UNSB_X509_LIMIT);
        return false;
    }
    return true;
}

/* The constraints are through: of a kind that some are permitted of, all must have been. */
static void unsbi_x509_constraints_end(unsb_x509 *x509)
{
    size_t at = 0;
    while (at < x509->used_below) {
        uint8_t *head = x509->names + at;
        unsigned kind = head[0] & ~UNSBI_X509_MET;
        if ((x509->permitted & UNSBI_X509_BIT(kind)) != 0 && (head[0] & UNSBI_X509_MET) == 0) {
            unsbi_x509_fail(x509, UNSB_X509_CONSTRAINT);
        }
        head[0] = (uint8_t)kind;
        at += 3 + ((size_t)head[1] << 8 | head[2]);
    }
}

/* A name begins: it is kept, if it fits. */
static void unsbi_x509_name_begin(unsb_x509 *x509, uint8_t kind)
{
    uint16_t bit = UNSBI_X509_BIT(kind);
    x509->kinds = (uint16_t)(x509->kinds | bit);
    if ((bit & UNSBI_X509_COMPARED) == 0) {
        return;
    }
    if ((uint32_t)UNSB_X509_NAMES - x509->used < 3 ||
        x509->size > (uint32_t)UNSB_X509_NAMES - x509->used - 3) {
        x509->lost = (uint16_t)(x509->lost | bit);
        return;
    }
    x509->names[x509->used] = kind;
    x509->names[x509->used + 1] = (uint8_t)(x509->size >> 8);
    x509->names[x509->used + 2] = (uint8_t)(x509->size & 0xFFu);
    x509->store = (uint16_t)(x509->used + 3);
    x509->used = (uint16_t)(x509->used + 3 + x509->size);
    x509->what = UNSBI_X509_KEEP;
}

/* ---- values ---- */

/* The OID of an extension is through. */
static void unsbi_x509_extension_id(unsb_x509 *x509)
{
    uint8_t i;
    for (i = 0; i < x509->extension_count; i++) {
        if (x509->seen[i] == x509->hash) {
            unsbi_x509_fail(x509, UNSB_X509_TWICE);
            return;
        }
    }
    if (i == UNSBI_X509_EXTENSION_COUNT) {
        unsbi_x509_fail(x509, UNSB_X509_LIMIT);
        return;
    }
    x509->seen[x509->extension_count++] = x509->hash;
    if (x509->size == 3 && x509->value[0] == 0x55 && x509->value[1] == 0x1D) {
        x509->extension = x509->value[2];
        if (x509->extension == UNSBI_X509_NAME_CONSTRAINTS) {
            x509->permitted = 0;
            if (x509->first) {
                unsbi_x509_fail(x509, UNSB_X509_CONSTRAINT);
            }
        }
        x509->serves = false;
    }
}

/* rsaEncryption's family, 1.2.840.113549.1.1 */
static bool unsbi_x509_is_rsa(const unsb_x509 *x509)
{
    static const uint8_t rsa[10] = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01};
    return x509->algorithm_size > sizeof rsa && memcmp(x509->algorithm, rsa, sizeof rsa) == 0;
}

static bool unsbi_x509_is_server_purpose(const unsb_x509 *x509)
{
    static const uint8_t any[4] = {0x55, 0x1D, 0x25, 0x00}; /* 2.5.29.37.0 */
    static const uint8_t server[8] = {0x2B, 0x06, 0x01, 0x05,
                                      0x05, 0x07, 0x03, 0x01}; /* 1.3.6.1.5.5.7.3.1 */
    return (x509->size == sizeof any && memcmp(x509->value, any, sizeof any) == 0) ||
           (x509->size == sizeof server && memcmp(x509->value, server, sizeof server) == 0);
}

/* Tag and length of a value are through, which has x509->size bytes. */
static void unsbi_x509_value_begin(unsb_x509 *x509)
{
    uint8_t kind = x509->kind[x509->level], name = (uint8_t)(x509->tag & 0x1Fu);

    x509->what = UNSBI_X509_PASS;
    switch (kind) {
    case UNSBI_X509_CERTIFICATE:
        if (x509->element[x509->level] == 2) {
            if (x509->size != x509->algorithm_size) {
                unsbi_x509_fail(x509, UNSB_X509_ALGORITHMS);
                break;
            }
            x509->what = UNSBI_X509_OUTER;
        } else if (!x509->anchor && unsbi_x509_is_rsa(x509) && x509->size < 1 + 256) {
            unsbi_x509_fail(x509, UNSB_X509_WEAK); /* a BIT STRING: one byte more */
        }
        break;
    case UNSBI_X509_TBS:
        if (x509->field == UNSB_X509_SIGNATURE) {
            if (x509->size > UNSBI_X509_ALGORITHM_SIZE) {
                unsbi_x509_fail(x509, UNSB_X509_LIMIT);
                break;
            }
            x509->what = UNSBI_X509_INNER;
            x509->algorithm_size = (uint8_t)x509->size;
        } else if (x509->field == UNSB_X509_SUBJECT && x509->size != 0) {
            unsbi_x509_name_begin(x509, UNSBI_X509_SUBJECT_NAME);
        }
        break;
    case UNSBI_X509_EXTENSION:
        if (x509->element[x509->level] == 1) {
            x509->what = UNSBI_X509_NUMBER;
            x509->hash = 2166136261u; /* FNV-1a */
        }
        break;
    case UNSBI_X509_NAMES:
        if (name > 8) {
            unsbi_x509_fail(x509, UNSB_X509_MALFORMED);
        } else {
            unsbi_x509_name_begin(x509, name);
        }
        break;
    case UNSBI_X509_SUBTREE:
        if (x509->element[x509->level] != 1) {
            unsbi_x509_fail(x509, UNSB_X509_CONSTRAINT); /* minimum or maximum */
        } else if (name > 8) {
            unsbi_x509_fail(x509, UNSB_X509_MALFORMED);
        } else if (unsbi_x509_subtree_begin(x509, name,
                                            x509->kind[x509->level - 1] == UNSBI_X509_EXCLUDED)) {
            x509->what = UNSBI_X509_BASE;
            x509->store = x509->used;
        }
        break;
    default:
        break;
    }
}

/* A value is through. */
static void unsbi_x509_value_end(unsb_x509 *x509)
{
    switch (x509->kind[x509->level]) {
    case UNSBI_X509_FIELD:
        if (x509->field == UNSB_X509_VERSION_FIELD) {
            x509->version = x509->size == 1 ? x509->value[0] : 255;
        }
        break;
    case UNSBI_X509_EXTENSION:
        if (x509->what == UNSBI_X509_NUMBER) {
            unsbi_x509_extension_id(x509);
        }
        break;
    case UNSBI_X509_NAMES:
        if (x509->first && x509->tag == (0x80 | UNSBI_X509_DNS)) {
            x509->named = true;
        }
        if (x509->first && x509->tag == (0x80 | UNSBI_X509_ADDRESS) && x509->address_size != 0 &&
            x509->size == x509->address_size &&
            memcmp(x509->value, x509->address, x509->address_size) == 0) {
            x509->matched = true;
        }
        break;
    case UNSBI_X509_PURPOSES:
        x509->serves = x509->serves || unsbi_x509_is_server_purpose(x509);
        break;
    case UNSBI_X509_SUBTREE:
        if (x509->what == UNSBI_X509_BASE) {
            unsbi_x509_subtree(x509, (uint8_t)(x509->tag & 0x1Fu),
                               x509->kind[x509->level - 1] == UNSBI_X509_EXCLUDED);
        }
        break;
    default:
        break;
    }
}

/* ---- the cursor ---- */

/* Something that was entered is through: is it whole? */
static void unsbi_x509_left(unsb_x509 *x509, uint8_t kind, uint8_t elements)
{
    bool good = true;
    switch (kind) {
    case UNSBI_X509_TOP:
    case UNSBI_X509_CERTIFICATE:
        good = elements == (kind == UNSBI_X509_TOP ? 1 : 3);
        break;
    case UNSBI_X509_TBS:
        good = x509->field >= UNSB_X509_KEY;
        break;
    case UNSBI_X509_WRAP:
    case UNSBI_X509_CONTENT:
        good = elements == 1;
        break;
    case UNSBI_X509_EXTENSION:
        good = x509->valued;
        break;
    case UNSBI_X509_SUBTREE:
        good = elements != 0;
        break;
    case UNSBI_X509_PURPOSES:
        if (!x509->serves) {
            unsbi_x509_fail(x509, UNSB_X509_PURPOSE);
        }
        break;
    case UNSBI_X509_CONSTRAINTS:
        unsbi_x509_constraints_end(x509);
        break;
    default:
        break;
    }
    if (!good) {
        unsbi_x509_fail(x509, UNSB_X509_MALFORMED);
    }
}

/* An element is over, and so may be those around it. */
static void unsbi_x509_leave(unsb_x509 *x509)
{
    x509->state = UNSBI_X509_TAG;
    while (x509->position == x509->end[x509->level]) {
        unsbi_x509_left(x509, x509->kind[x509->level], x509->element[x509->level]);
        if (x509->level == 0) {
            x509->complete = true;
            break;
        }
        x509->level--;
    }
}

/* Which field of the TBSCertificate begins with this tag. */
static void unsbi_x509_field(unsb_x509 *x509)
{
    static const uint8_t tags[11] = {0, 0xA0, 0x02, 0x30, 0x30, 0x30, 0x30, 0x30, 0x81, 0x82, 0xA3};
    uint8_t field = (uint8_t)(x509->field + 1);
    while (field <= UNSB_X509_EXTENSIONS && tags[field] != x509->tag) {
        if (field != UNSB_X509_VERSION_FIELD && field < UNSB_X509_ISSUER_ID) {
            unsbi_x509_fail(x509, UNSB_X509_MALFORMED); /* it must be there */
            return;
        }
        field++;
    }
    if (field > UNSB_X509_EXTENSIONS) {
        unsbi_x509_fail(x509, UNSB_X509_MALFORMED);
        return;
    }
    x509->field = field;
    if (field == UNSB_X509_EXTENSIONS && x509->version != 2) {
        unsbi_x509_fail(x509, UNSB_X509_VERSION);
    }
}

/* What the element with this tag is entered as; UNSBI_X509_NONE: it is a value. */
static uint8_t unsbi_x509_enters(const unsb_x509 *x509)
{
    uint8_t tag = x509->tag;
    switch (x509->kind[x509->level]) {
    case UNSBI_X509_TOP:
        return UNSBI_X509_CERTIFICATE;
    case UNSBI_X509_CERTIFICATE:
        return x509->element[x509->level] == 1 ? UNSBI_X509_TBS : UNSBI_X509_NONE;
    case UNSBI_X509_TBS:
        if (x509->field == UNSB_X509_VERSION_FIELD || x509->field == UNSB_X509_VALIDITY) {
            return UNSBI_X509_FIELD;
        }
        return x509->field == UNSB_X509_EXTENSIONS ? UNSBI_X509_WRAP : UNSBI_X509_NONE;
    case UNSBI_X509_WRAP:
        return UNSBI_X509_LIST;
    case UNSBI_X509_LIST:
        return UNSBI_X509_EXTENSION;
    case UNSBI_X509_EXTENSION:
        return tag == 0x04 && (x509->extension == UNSBI_X509_ALT_NAME ||
                               x509->extension == UNSBI_X509_NAME_CONSTRAINTS ||
                               x509->extension == UNSBI_X509_EXT_KEY_USAGE)
                   ? UNSBI_X509_CONTENT
                   : UNSBI_X509_NONE;
    case UNSBI_X509_CONTENT:
        return x509->extension == UNSBI_X509_ALT_NAME           ? UNSBI_X509_NAMES
               : x509->extension == UNSBI_X509_NAME_CONSTRAINTS ? UNSBI_X509_CONSTRAINTS
                                                                : UNSBI_X509_PURPOSES;
    case UNSBI_X509_CONSTRAINTS:
        return tag == 0xA0 ? UNSBI_X509_PERMITTED : UNSBI_X509_EXCLUDED;
    case UNSBI_X509_PERMITTED:
    case UNSBI_X509_EXCLUDED:
        return UNSBI_X509_SUBTREE;
    default:
        return UNSBI_X509_NONE;
    }
}

/* May the element with this tag be here? Values of fields and names are not looked at. */
static bool unsbi_x509_expects(const unsb_x509 *x509)
{
    uint8_t tag = x509->tag, element = x509->element[x509->level];
    switch (x509->kind[x509->level]) {
    case UNSBI_X509_CERTIFICATE:
        return element <= 3 && tag == (element == 3 ? 0x03 : 0x30);
    case UNSBI_X509_TOP:
    case UNSBI_X509_WRAP:
    case UNSBI_X509_CONTENT:
        return element == 1 && tag == 0x30;
    case UNSBI_X509_LIST:
    case UNSBI_X509_PERMITTED:
    case UNSBI_X509_EXCLUDED:
        return tag == 0x30;
    case UNSBI_X509_EXTENSION: /* OID, perhaps a BOOLEAN, OCTET STRING */
        if (element == 1) {
            return tag == 0x06;
        }
        return !x509->valued && (tag == 0x04 || (tag == 0x01 && element == 2));
    case UNSBI_X509_NAMES:
        return (tag & 0xC0u) == 0x80u;
    case UNSBI_X509_SUBTREE:
        return (tag & 0xC0u) == 0x80u && element <= 3;
    case UNSBI_X509_PURPOSES:
        return tag == 0x06;
    case UNSBI_X509_CONSTRAINTS:
        return (tag == 0xA0 && element == 1) || (tag == 0xA1 && element <= 2);
    default:
        return true;
    }
}

/* Tag and length are through; `position` is at the content. */
static void unsbi_x509_enter(unsb_x509 *x509)
{
    uint8_t level = x509->level, kind;

    if (x509->size > x509->end[level] - x509->position) {
        unsbi_x509_fail(x509, UNSB_X509_MALFORMED);
        return;
    }
    kind = unsbi_x509_enters(x509);
    if (kind == UNSBI_X509_NONE) {
        unsbi_x509_value_begin(x509);
        x509->left = x509->size;
        x509->state = UNSBI_X509_VALUE;
        if (x509->size == 0) {
            unsbi_x509_value_end(x509);
        }
    } else {
        x509->level = ++level;
        x509->kind[level] = kind;
        x509->element[level] = 0;
        x509->end[level] = x509->position + x509->size;
        x509->state = UNSBI_X509_TAG;
        if (kind == UNSBI_X509_EXTENSION) {
            x509->extension = 0;
            x509->valued = false;
        }
    }
    if (x509->size == 0) {
        unsbi_x509_leave(x509);
    }
}

static void unsbi_x509_tag(unsb_x509 *x509, uint8_t byte)
{
    uint8_t level = x509->level;

    x509->tag = byte;
    x509->state = UNSBI_X509_LENGTH;
    if (x509->element[level] < 255) {
        x509->element[level]++;
    }
    /* no tags of several bytes in certificates */
    if ((byte & 0x1Fu) == 0x1Fu || !unsbi_x509_expects(x509)) {
        unsbi_x509_fail(x509, UNSB_X509_MALFORMED);
    } else if (x509->kind[level] == UNSBI_X509_TBS) {
        unsbi_x509_field(x509);
    } else if (x509->kind[level] == UNSBI_X509_CERTIFICATE) {
        x509->field = UNSB_X509_OUTSIDE;
    } else if (x509->kind[level] == UNSBI_X509_EXTENSION && byte == 0x04) {
        x509->valued = true;
    }
}

/* The first byte of a length, or one of those that it announced: the shortest form alone is DER. */
static void unsbi_x509_length(unsb_x509 *x509, uint8_t byte)
{
    if (x509->state == UNSBI_X509_LENGTH) {
        x509->size = byte;
        x509->count = (uint8_t)(byte & 0x7Fu);
        if (byte < 0x80) {
            unsbi_x509_enter(x509);
        } else if (byte >= 0x81 && byte <= 0x84) {
            x509->size = 0;
            x509->state = UNSBI_X509_LENGTH_BYTES;
        } else {
            unsbi_x509_fail(x509, UNSB_X509_MALFORMED);
        }
        return;
    }
    if (x509->size == 0 && (byte == 0 || (x509->count == 1 && byte < 0x80))) {
        unsbi_x509_fail(x509, UNSB_X509_MALFORMED);
        return;
    }
    x509->size = (x509->size << 8) | byte;
    if (--x509->count == 0) {
        unsbi_x509_enter(x509);
    }
}

/* A byte of a value. */
static void unsbi_x509_value(unsb_x509 *x509, uint8_t byte)
{
    uint32_t at = x509->size - x509->left;

    if (at < sizeof x509->value) {
        x509->value[at] = byte;
    }
    switch (x509->what) {
    case UNSBI_X509_KEEP:
    case UNSBI_X509_BASE:
        x509->names[x509->store + at] = byte;
        break;
    case UNSBI_X509_INNER:
        x509->algorithm[at] = byte;
        break;
    case UNSBI_X509_OUTER:
        if (x509->algorithm[at] != byte) {
            unsbi_x509_fail(x509, UNSB_X509_ALGORITHMS);
        }
        break;
    case UNSBI_X509_NUMBER:
        x509->hash = ((x509->hash ^ byte) * 16777619u) & 0xFFFFFFFFu;
        break;
    default:
        break;
    }
    if (--x509->left == 0) {
        unsbi_x509_value_end(x509);
        unsbi_x509_leave(x509);
    }
}

/* ---- the public functions ---- */

UNSBI_X509_FN void unsb_x509_start(unsb_x509 *x509, const uint8_t *address, size_t size)
{
    memset(x509, 0, sizeof *x509);
    if (address != NULL && size <= sizeof x509->address) {
        x509->address_size = (uint8_t)size;
        memcpy(x509->address, address, size);
    }
}

UNSBI_X509_FN void unsb_x509_begin(unsb_x509 *x509, size_t size)
{
    x509->first = !x509->begun;
    x509->begun = true;
    x509->complete = false;
    x509->anchor = false;
    x509->field = UNSB_X509_OUTSIDE;
    x509->version = 0;
    x509->extension = 0;
    x509->extension_count = 0;
    x509->algorithm_size = 0;
    x509->kinds_below = x509->kinds;
    x509->lost_below = x509->lost;
    x509->used_below = x509->used;
    x509->state = UNSBI_X509_TAG;
    x509->level = 0;
    x509->kind[0] = UNSBI_X509_TOP;
    x509->element[0] = 0;
    x509->position = 0;
    x509->end[0] = (uint32_t)size;
    /* TLS cannot carry more than three bytes count (RFC 5246 section 7.4.2). */
    if (size == 0 || size / 0x1000u > 0xFFFu) {
        unsbi_x509_fail(x509, UNSB_X509_MALFORMED);
    }
}

UNSBI_X509_FN void unsb_x509_feed(unsb_x509 *x509, const void *data, size_t size)
{
    const uint8_t *byte = (const uint8_t *)data;
    for (; size > 0 && x509->error == UNSB_X509_OK; size--, byte++) {
        if (x509->position >= x509->end[x509->level]) {
            /* behind the certificate, or a tag without its length */
            unsbi_x509_fail(x509, UNSB_X509_MALFORMED);
            return;
        }
        x509->position++;
        if (x509->state == UNSBI_X509_TAG) {
            unsbi_x509_tag(x509, *byte);
        } else if (x509->state == UNSBI_X509_VALUE) {
            unsbi_x509_value(x509, *byte);
        } else {
            unsbi_x509_length(x509, *byte);
        }
    }
}

UNSBI_X509_FN int unsb_x509_end(unsb_x509 *x509)
{
    if (!x509->complete) {
        unsbi_x509_fail(x509, UNSB_X509_MALFORMED);
    }
    return x509->error;
}

UNSBI_X509_FN int unsb_x509_next(const unsb_x509 *x509)
{
    uint8_t kind = x509->kind[x509->level];
    if (x509->error != UNSB_X509_OK || x509->state != UNSBI_X509_VALUE) {
        return UNSB_X509_NEXT_OTHER;
    }
    if (kind == UNSBI_X509_FIELD && x509->field == UNSB_X509_VALIDITY) {
        return UNSB_X509_NEXT_DATE;
    }
    if (kind == UNSBI_X509_EXTENSION && x509->tag == 0x01 &&
        (x509->extension == UNSBI_X509_NAME_CONSTRAINTS ||
         x509->extension == UNSBI_X509_EXT_KEY_USAGE)) {
        return UNSB_X509_NEXT_CRITICAL;
    }
    return UNSB_X509_NEXT_OTHER;
}

UNSBI_X509_FN bool unsb_x509_issuer_subject(const uint8_t *der, size_t size, unsb_x509_name *issuer,
                                            unsb_x509_name *subject)
{
    /* The heads of Certificate and TBSCertificate, then its fields up to the subject. */
    static const uint8_t tags[8] = {0x30, 0x30, 0xA0, 0x02, 0x30, 0x30, 0x30, 0x30};
    size_t at = 0, i;

    memset(issuer, 0, sizeof *issuer);
    memset(subject, 0, sizeof *subject);
    for (i = 0; i < sizeof tags; i++) {
        size_t start = at, length, bytes;
        if (size - at < 2 || der[at] != tags[i]) {
            if (i == 2 && at < size) {
                continue; /* version 1 does not say so */
            }
            return false;
        }
        length = der[at + 1];
        at += 2;
        if (length >= 0x80) {
            bytes = length & 0x7Fu;
            if (bytes == 0 || bytes > 3 || bytes > size - at) {
                return false;
            }
            for (length = 0; bytes > 0; bytes--) {
                length = length << 8 | der[at++];
            }
        }
        if (length > size - at) {
            return false;
        }
        at += i < 2 ? 0 : length;
        if (i == 5 || i == 7) {
            unsb_x509_name *name = i == 5 ? issuer : subject;
            name->data = der + start;
            name->size = at - start;
        }
    }
    return true;
}

UNSBI_X509_FN const char *unsb_x509_error_text(int error)
{
    switch (error) {
    case UNSB_X509_MALFORMED:
        return "a certificate is malformed";
    case UNSB_X509_VERSION:
        return "a certificate has extensions, which its version does not allow";
    case UNSB_X509_TWICE:
        return "a certificate has an extension twice";
    case UNSB_X509_ALGORITHMS:
        return "a certificate names two different signature algorithms";
    case UNSB_X509_WEAK:
        return "a certificate is signed with an RSA key below 2048 bits";
    case UNSB_X509_PURPOSE:
        return "a certificate is not for TLS servers (extKeyUsage)";
    case UNSB_X509_CONSTRAINT:
        return "an issuer may not vouch for this name (name constraints)";
    case UNSB_X509_LIMIT:
        return "the certificates have more names or extensions than can be checked";
    default:
        return "";
    }
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_X509_H */
