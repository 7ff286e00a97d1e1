#!/usr/bin/env python3
"""Writes certificates of authorities as a C header, for BearSSL and Mbed TLS.

    python3 make_roots.py [NAME=]FILE.pem ... > my_roots.h
    python3 make_roots.py -o office.h --prefix office proxy=proxy.pem private-ca.pem
    python3 make_roots.py --debian -o unsandbox_roots.h

FILE has one or more certificates in PEM ("-": standard input). NAME, which makes the root's macro,
is taken from the certificate's common name where it is not given. The output depends on the
arguments and files alone, and is written only when all of them are good. Needs Python 3.6 or later
and nothing else.

Exit status: 0; 1: a file or certificate will not do, and why stands on stderr; 2: wrong arguments.
"""

import argparse
import base64
import binascii
import datetime
import hashlib
import os
import re
import subprocess
import sys
import tempfile

DEBIAN = "/usr/share/ca-certificates/mozilla"

# The roots of unsandbox_roots.h, and their files in Debian's ca-certificates.
PUBLIC = [
    ("ISRG_X1", "ISRG_Root_X1.crt"),
    ("ISRG_X2", "ISRG_Root_X2.crt"),
    ("GTS_R1", "GTS_Root_R1.crt"),
    ("GTS_R2", "GTS_Root_R2.crt"),
    ("GTS_R3", "GTS_Root_R3.crt"),
    ("GTS_R4", "GTS_Root_R4.crt"),
    ("DIGICERT_G2", "DigiCert_Global_Root_G2.crt"),
    ("DIGICERT_G3", "DigiCert_Global_Root_G3.crt"),
    ("AMAZON_1", "Amazon_Root_CA_1.crt"),
    ("USERTRUST_RSA", "USERTrust_RSA_Certification_Authority.crt"),
    ("USERTRUST_ECC", "USERTrust_ECC_Certification_Authority.crt"),
    ("SECTIGO_R46", "Sectigo_Public_Server_Authentication_Root_R46.crt"),
    ("SECTIGO_E46", "Sectigo_Public_Server_Authentication_Root_E46.crt"),
    ("GLOBALSIGN_R3", "GlobalSign_Root_CA_-_R3.crt"),
    ("GLOBALSIGN_R6", "GlobalSign_Root_CA_-_R6.crt"),
    ("GLOBALSIGN_R46", "GlobalSign_Root_R46.crt"),
    ("GLOBALSIGN_E46", "GlobalSign_Root_E46.crt"),
]

# Names that would make macros or symbols of the header's own.
RESERVED = ("DEFAULT", "COUNT", "BEARSSL", "MBEDTLS", "DER", "H", "I_UNUSED", "I_LIST", "I_NAME",
            "I_RSA", "I_EC")

COLUMNS = 100


class Problem(Exception):
    """What is wrong with the input, for people."""


# ---- DER (X.690), strictly ----

SEQUENCE, SET, INTEGER, BITS, OCTETS, OID, BOOLEAN = 0x30, 0x31, 0x02, 0x03, 0x04, 0x06, 0x01


class Der:
    """A cursor over the elements of data[at:end]."""

    def __init__(self, data, at=0, end=None):
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def __bool__(self):
        return self.at < self.end

    def peek(self):
        return self.data[self.at] if self else None

    def take(self, tag=None):
        """The next element: (its tag, its content's start and end). `raw` gets all its bytes."""
        start = self.at
        if self.end - start < 2:
            raise Problem("not a certificate: the DER ends early")
        found, length, at = self.data[start], self.data[start + 1], start + 2
        if found & 0x1F == 0x1F:
            raise Problem("not a certificate: a DER tag of several bytes")
        if length >= 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4 or self.end - at < count:
                raise Problem("not a certificate: a DER length that cannot be")
            length = int.from_bytes(self.data[at:at + count], "big")
            if length < 0x80 or length < 1 << 8 * (count - 1):
                raise Problem("not a certificate: a DER length that is longer than need be")
            at += count
        if length > self.end - at:
            raise Problem("not a certificate: the DER ends early")
        if tag is not None and found != tag:
            raise Problem("not a certificate: tag 0x%02X where 0x%02X should be" % (found, tag))
        self.at = at + length
        self.raw = self.data[start:self.at]
        return found, at, self.at

    def enter(self, tag=SEQUENCE):
        _, start, end = self.take(tag)
        return Der(self.data, start, end)

    def content(self, tag):
        _, start, end = self.take(tag)
        return self.data[start:end]

    def finish(self, what):
        if self:
            raise Problem("not a certificate: bytes too many after " + what)


def oid_text(content):
    if not content or content[-1] & 0x80:
        raise Problem("not a certificate: a malformed object identifier")
    numbers, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(n) for n in [first, numbers[0] - 40 * first] + numbers[1:])


# ---- certificates (RFC 5280) ----

ATTRIBUTES = {"2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L",
              "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU",
              "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress"}
ENCODINGS = {12: "utf-8", 18: "ascii", 19: "ascii", 20: "latin-1", 22: "ascii", 28: "utf-32-be",
             30: "utf-16-be"}
# name, BearSSL's, bytes of an uncompressed point
CURVES = {"1.2.840.10045.3.1.7": ("P-256", "BR_EC_secp256r1", 65),
          "1.3.132.0.34": ("P-384", "BR_EC_secp384r1", 97),
          "1.3.132.0.35": ("P-521", "BR_EC_secp521r1", 133)}
OTHER_KEYS = {"1.2.840.113549.1.1.10": "RSA-PSS", "1.2.840.10040.4.1": "DSA",
              "1.3.101.112": "Ed25519", "1.3.101.113": "Ed448"}
RSA_LEAST, RSA_MOST = 2048, 4096  # bits: what the ports take, and what BearSSL can hold


def read_name(name):
    """A subject -> [(type, text)], in its order."""
    parts = []
    while name:
        group = name.enter(SET)
        while group:
            pair = group.enter()
            kind = oid_text(pair.content(OID))
            tag, start, end = pair.take()
            value = name.data[start:end]
            try:
                text = value.decode(ENCODINGS[tag])
            except (KeyError, UnicodeDecodeError):
                text = "#" + value.hex()
            parts.append((ATTRIBUTES.get(kind, kind), text))
            pair.finish("an attribute")
    return parts


def read_time(times):
    tag, start, end = times.take()
    text = times.data[start:end].decode("latin-1")
    if tag == 0x17 and re.fullmatch(r"[0-9]{12}Z", text):
        text = ("19" if text >= "50" else "20") + text
    elif tag != 0x18 or not re.fullmatch(r"[0-9]{14}Z", text):
        raise Problem("its dates cannot be read")
    try:
        return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ")
    except ValueError:
        raise Problem("its dates cannot be read") from None


class Certificate:
    def __init__(self, der):
        self.der = der
        self.label = None
        self.ca = False
        self.signs = None  # keyUsage's keyCertSign; None: there is no keyUsage
        outer = Der(der)
        body = outer.enter()
        outer.finish("it")
        fields = body.enter()
        body.enter()
        body.content(BITS)
        body.finish("its signature")
        self.version = 1
        if fields.peek() == 0xA0:
            self.version = int.from_bytes(fields.enter(0xA0).content(INTEGER), "big") + 1
        fields.content(INTEGER)
        fields.enter()
        fields.enter()
        self.issuer = fields.raw
        dates = fields.enter()
        self.begins, self.ends = read_time(dates), read_time(dates)
        self.names = read_name(fields.enter())
        self.subject = fields.raw
        self.read_key(fields.enter())
        while fields:
            if fields.peek() == 0xA3:
                self.read_extensions(fields.enter(0xA3).enter())
            else:
                fields.take()

    def read_key(self, key):
        algorithm = key.enter()
        kind = oid_text(algorithm.content(OID))
        bits = key.content(BITS)
        if bits[:1] != b"\0":
            raise Problem("not a certificate: a public key that is no whole number of bytes")
        self.curve = None
        if kind == "1.2.840.113549.1.1.1":
            self.read_rsa(Der(bits[1:]).enter())
        elif kind == "1.2.840.10045.2.1":
            if algorithm.peek() != OID:
                raise Problem("its key lies on a curve without a name, which is not supported")
            curve = oid_text(algorithm.content(OID))
            if curve not in CURVES:
                raise Problem("its key lies on a curve that is not supported (%s); P-256, P-384 "
                              "and P-521 are" % curve)
            name, self.curve, size = CURVES[curve]
            self.point = bits[1:]
            if len(self.point) != size or self.point[0] != 4:
                raise Problem("its key is no uncompressed point of " + name)
            self.key_text = name
        else:
            raise Problem("its key is of a kind that is not supported (%s); RSA and ECDSA are"
                          % OTHER_KEYS.get(kind, kind))

    def read_rsa(self, key):
        n = int.from_bytes(key.content(INTEGER), "big", signed=True)
        e = int.from_bytes(key.content(INTEGER), "big", signed=True)
        key.finish("its RSA key")
        if n.bit_length() > RSA_MOST or 0 < n.bit_length() < RSA_LEAST:
            raise Problem("its RSA key has %d bits; %d to %d are supported"
                          % (n.bit_length(), RSA_LEAST, RSA_MOST))
        # BearSSL computes with exponents of up to 32 bits
        if n <= 0 or n % 2 == 0 or e < 3 or e % 2 == 0 or e.bit_length() > 32:
            raise Problem("its RSA key cannot be one")
        self.modulus = n.to_bytes((n.bit_length() + 7) // 8, "big")
        self.exponent = e.to_bytes((e.bit_length() + 7) // 8, "big")
        self.key_text = "RSA %d" % n.bit_length()

    def read_extensions(self, extensions):
        while extensions:
            extension = extensions.enter()
            kind = oid_text(extension.content(OID))
            if extension.peek() == BOOLEAN:
                extension.take()
            value = extension.content(OCTETS)
            if kind == "2.5.29.19":
                constraints = Der(value).enter()
                self.ca = constraints.peek() == BOOLEAN and \
                    constraints.content(BOOLEAN) == b"\xff"
            elif kind == "2.5.29.15":
                usage = Der(value).content(BITS)
                self.signs = len(usage) > 1 and usage[1] & 0x04 != 0

    def check_authority(self):
        if not self.ca:
            raise Problem("not a certificate of an authority: %s (--allow-leaf takes it as what "
                          "it is, trusted for itself alone)" %
                          ("version %d has no basicConstraints" % self.version
                           if self.version < 3 else "its basicConstraints do not say CA"))
        if self.signs is False:
            raise Problem("not a certificate of an authority: its keyUsage lacks keyCertSign")

    @property
    def key(self):
        """The bytes of the key in the header: a point, or modulus and exponent."""
        return self.point if self.curve else self.modulus + self.exponent

    @property
    def subject_text(self):
        return ", ".join("%s=%s" % part for part in reversed(self.names)) or "(no subject)"

    def default_label(self):
        for kind in ("CN", "OU", "O"):
            for name, text in self.names:
                label = re.sub(r"[^A-Z0-9]+", "_", text.upper() if name == kind else "").strip("_")
                if label:
                    return label[:40].rstrip("_")
        raise Problem("its subject makes no name: give it one, NAME=FILE")


# ---- PEM (RFC 7468) ----

def read_pem(data):
    """The certificates of a file, as DER."""
    if data[:1] == b"\x30":
        raise Problem("this is DER, not PEM; to convert it: openssl x509 -inform DER -in FILE")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Problem("this is no text, and so not PEM") from None
    found, kind, lines = [], None, []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        boundary = re.fullmatch(r"-----(BEGIN|END) ([^-]+)-----", line)
        if boundary is None:
            if line.startswith("-----"):
                raise Problem("line %d: a broken boundary of PEM" % number)
            if kind is not None:
                lines.append(line)
        elif boundary.group(1) == "BEGIN":
            if kind is not None:
                raise Problem("line %d: a block begins within another" % number)
            kind, lines = boundary.group(2), []
            if "PRIVATE KEY" in kind:
                raise Problem("line %d: a private key; only certificates belong here" % number)
            if kind not in ("CERTIFICATE", "X509 CERTIFICATE"):
                raise Problem("line %d: a block of another kind: %s" % (number, kind))
        else:
            if kind != boundary.group(2):
                raise Problem("line %d: the end of a block that did not begin" % number)
            try:
                found.append(base64.b64decode("".join(lines), validate=True))
            except (binascii.Error, ValueError):
                raise Problem("line %d: the block that ends here is not base64" % number) from None
            kind = None
    if kind is not None:
        raise Problem("the file ends within a block")
    if not found:
        raise Problem("no certificate in it")
    return found


def read_file(path):
    try:
        if path == "-":
            return sys.stdin.buffer.read()
        with open(path, "rb") as handle:
            return handle.read()
    except OSError as error:
        raise Problem(error.strerror or str(error)) from None


def load(arguments, allow_leaf):
    """[(label or None, path)] -> certificates, each with its label."""
    found, labels, prints, anchors = [], {}, {}, {}
    for label, path in arguments:
        place = path
        try:
            blocks = read_pem(read_file(path))
            if label is not None and len(blocks) > 1:
                raise Problem("one name for %d certificates" % len(blocks))
            for number, der in enumerate(blocks, 1):
                place = path if len(blocks) == 1 else "%s, certificate %d" % (path, number)
                certificate = Certificate(der)
                if not allow_leaf:
                    certificate.check_authority()
                certificate.label = (label or certificate.default_label()).upper()
                if certificate.label in RESERVED:
                    raise Problem("the name %s is taken: give it another, NAME=FILE"
                                  % certificate.label)
                fingerprint = hashlib.sha256(der).digest()
                anchor = (certificate.subject, certificate.key, certificate.curve)
                if fingerprint in prints:
                    raise Problem("the same certificate as " + prints[fingerprint])
                if anchor in anchors:
                    raise Problem("the same subject and key as %s: one of them is enough"
                                  % anchors[anchor])
                if certificate.label in labels:
                    raise Problem("the same name, %s, as %s: give it another, as NAME=FILE%s"
                                  % (certificate.label, labels[certificate.label],
                                     "" if len(blocks) == 1 else ", in a file of its own"))
                labels[certificate.label] = prints[fingerprint] = anchors[anchor] = place
                now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
                if certificate.ends < now:
                    sys.stderr.write("%s: warning: %s: it ended %s\n" %
                                     (NAME, place, certificate.ends.date()))
                found.append(certificate)
        except Problem as problem:
            raise Problem("%s: %s" % (place, problem)) from None
    return found


# ---- the header ----

TITLE = """\
/* {file} - certificates of authorities for TLS, compiled in: {count} of them
 *
 * Made by ports/make_roots.py; do not edit. To make it again, or one of your own (a private
 * authority, a proxy) that can stand beside it:
 *
{command}
 *     python3 make_roots.py -o my_roots.h my-ca.pem
 *
 * {source}
 *
 * BearSSL: include it after <bearssl.h> or unsandbox_bearssl.h, in one file.
 *
 *     secure.anchors = {prefix};
 *     secure.anchor_count = {PREFIX}_COUNT;
 *
 * Mbed TLS: include it after <mbedtls/x509_crt.h> or unsandbox_mbedtls.h, in one file.
 *
 *     static mbedtls_x509_crt chain;
 *     mbedtls_x509_crt_init(&chain);
 *     rc = {prefix}_mbedtls(&chain);        (0, or see below)
 *     secure.anchors = &chain;
 *     ...
 *     mbedtls_x509_crt_free(&chain);         (after the client is closed)
 *
 * What is included decides which form is compiled. All of it is constant and stays in flash;
 * Mbed TLS takes a struct of its own on its heap for each certificate (mbedtls_x509_crt, and its
 * names and key).
 *
 * Options, 0 or 1, defined before the inclusion:
 *   {PREFIX}_<NAME>   0 leaves that root out, with its bytes
 *   {PREFIX}_DEFAULT  0 leaves out all that are not defined as 1
 *   {PREFIX}_BEARSSL, {PREFIX}_DER   decide on a form whatever is included
 *
 * What is not covered: revocation; limits that browsers put on a root (dates from which on its
 * new certificates are not trusted, names it may certify), which its certificate does not tell; and
 * that lists change. Roots are withdrawn and hosts change authorities, so a device that is to
 * last needs a way to be given another list. BearSSL does not look at a root's dates.
 *
 * Bytes in flash, with the entry of the list on 32-bit systems; all: {bearssl} for BearSSL,
 * {der} for Mbed TLS. The fingerprints are SHA-256 of the certificates.
 *
"""

PUBLIC_NOTE = """\
 * The choice: the roots under which the large issuers of certificates for servers (Let's Encrypt,
 * Google, DigiCert, Amazon, Sectigo, GlobalSign) sign today. It is no statement on which of them
 * a host will use tomorrow.
 *
"""

OPTIONS = """\
 */
#ifndef {guard}
#define {guard}

#ifndef {PREFIX}_DEFAULT
#define {PREFIX}_DEFAULT 1
#endif

{switches}

#ifndef {PREFIX}_BEARSSL
#if defined(BR_BEARSSL_X509_H__)
#define {PREFIX}_BEARSSL 1
#else
#define {PREFIX}_BEARSSL 0
#endif
#endif

#ifndef {PREFIX}_DER
#if defined(MBEDTLS_X509_CRT_H)
#define {PREFIX}_DER 1
#else
#define {PREFIX}_DER 0
#endif
#endif

#if !{PREFIX}_BEARSSL && !{PREFIX}_DER
#error "include <bearssl.h>, <mbedtls/x509_crt.h> or a port that does before {file}"
#endif
#if {none}
#error "every root is left out of {file}"
#endif

#include <stddef.h>

#if defined(__GNUC__)
#define {INTERNAL}_UNUSED __attribute__((unused))
#else
#define {INTERNAL}_UNUSED
#endif
"""

# br_x509_trust_anchor has a union whose second member needs a designated initialiser.
ANCHORS = """\
#if !defined(__cplusplus) || __cplusplus >= 202002L
#define {INTERNAL}_LIST static const
#elif defined(__GNUC__)
/* C++ has designated initialisers from 2020 on; these compilers know them earlier. */
#define {INTERNAL}_LIST __extension__ static const
#else
#error "include {file} in a C file, or compile as C++20 (MSVC: with /Zc:__cplusplus)"
#endif

/* BearSSL's pointers are not const, but it writes through none of these. */
#define {INTERNAL}_NAME(name) {{(unsigned char *)name, sizeof name}}
/* modulus and exponent lie in one array */
#define {INTERNAL}_RSA(key, n) \\
    {{BR_KEYTYPE_RSA, \\
     {{.rsa = {{(unsigned char *)key, n, (unsigned char *)key + (n), sizeof key - (n)}}}}}}
#define {INTERNAL}_EC(key, curve) \\
    {{BR_KEYTYPE_EC, {{.ec = {{curve, (unsigned char *)key, sizeof key}}}}}}

"""

LOADER = """\
#if defined(MBEDTLS_X509_CRT_H)
/* Appends the certificates to `chain`, which has been initialised and must be freed by the caller.
 * 0: all are in; a positive number: so many were refused, as Mbed TLS was built without what they
 * need (a curve, a hash, keys of 4096 bits); a negative code of Mbed TLS: out of memory, or none
 * could be used. */
{INTERNAL}_UNUSED static int {prefix}_mbedtls(mbedtls_x509_crt *chain)
{{
    const size_t count = sizeof {prefix}_der / sizeof {prefix}_der[0];
    int refused = 0, rc = 0;
    size_t i;
    for (i = 0; i < count; i++) {{
        const struct {prefix}_der *root = &{prefix}_der[i];
        int result = mbedtls_x509_crt_parse_der_nocopy(chain, root->data, root->size);
        if (result == MBEDTLS_ERR_X509_ALLOC_FAILED) {{
            return result;
        }}
        if (result != 0) {{
            refused++;
            rc = result;
        }}
    }}
    return (size_t)refused == count ? rc : refused;
}}
#endif
"""

BEARSSL_ENTRY, DER_ENTRY = 32, 8  # bytes of one entry of the lists, with 32-bit pointers


def comment(text):
    """Printable ASCII that cannot end the comment it stands in, nor begin another."""
    text = "".join(c if " " <= c <= "~" else "\\u%04x" % ord(c) for c in text)
    return text.replace("*/", "* /").replace("/*", "/ *")


def wrap(text, first, rest):
    """Lines of at most COLUMNS; words too long for one are cut."""
    lines, line = [], first
    for word in text.split(" "):
        fresh = line in (first, rest)
        while len(line) + (not fresh) + len(word) > COLUMNS:
            if not fresh:
                lines.append(line)
            elif word:
                room = COLUMNS - len(line)
                lines.append(line + word[:room])
                word = word[room:]
            line, fresh = rest, True
        line += ("" if fresh else " ") + word
    return lines + [line]


def byte_lines(data):
    lines, line = [], "   "
    for number, byte in enumerate(data):
        item = " 0x%02X%s" % (byte, "," if number + 1 < len(data) else "")
        if len(line) + len(item) > COLUMNS:
            lines.append(line)
            line = "   "
        line += item
    return lines + [line]


def array(name, data):
    return ["static const unsigned char %s[] = {" % name] + byte_lines(data[:]) + ["};"]


def bearssl_size(c):
    return len(c.subject) + len(c.key) + BEARSSL_ENTRY


def der_size(c):
    return len(c.der) + DER_ENTRY


def entries(certificates):
    lines = []
    for c in certificates:
        lines += wrap(comment(c.subject_text), " * %s  " % c.label.ljust(14), " *" + " " * 17)
        lines.append(" *%s%s, until %s; BearSSL %d bytes, Mbed TLS %d" %
                     (" " * 17, c.key_text, c.ends.date(), bearssl_size(c), der_size(c)))
        lines.append(" *%s%s" % (" " * 17, hashlib.sha256(c.der).hexdigest().upper()))
    return lines


def bearssl_form(certificates, names):
    lines = ["#if %(PREFIX)s_BEARSSL" % names, ANCHORS.format(**names).rstrip("\n"), ""]
    entry = []
    for c in certificates:
        base = "%s_%s" % (names["internal"], c.label.lower())
        lines += ["#if %s_%s" % (names["PREFIX"], c.label)]
        lines += array(base + "_name", c.subject) + array(base + "_key", c.key) + ["#endif", ""]
        key = "%s_EC(%s_key, %s)" % (names["INTERNAL"], base, c.curve) if c.curve else \
            "%s_RSA(%s_key, %d)" % (names["INTERNAL"], base, len(c.modulus))
        entry += ["#if %s_%s" % (names["PREFIX"], c.label),
                  "    {%s_NAME(%s_name), %s," % (names["INTERNAL"], base,
                                                  "BR_X509_TA_CA" if c.ca else "0"),
                  "     %s}," % key, "#endif"]
    lines += ["%(INTERNAL)s_LIST br_x509_trust_anchor %(prefix)s[] %(INTERNAL)s_UNUSED = {" % names]
    return lines + entry + ["};", "#endif", ""]


def der_form(certificates, names):
    lines = ["#if %(PREFIX)s_DER" % names]
    entry = []
    for c in certificates:
        base = "%s_%s_der" % (names["internal"], c.label.lower())
        switch = "#if %s_%s" % (names["PREFIX"], c.label)
        lines += [switch] + array(base, c.der) + ["#endif", ""]
        entry += [switch, "    {%s, sizeof %s}," % (base, base), "#endif"]
    lines += ["static const struct %(prefix)s_der {" % names, "    const unsigned char *data;",
              "    size_t size;", "} %(prefix)s_der[] %(INTERNAL)s_UNUSED = {" % names]
    return lines + entry + ["};", "", LOADER.format(**names).rstrip("\n"), "#endif", ""]


def count_macro(names):
    return ["#if %(PREFIX)s_BEARSSL" % names,
            "#define %(PREFIX)s_COUNT (sizeof %(prefix)s / sizeof %(prefix)s[0])" % names, "#else",
            "#define %(PREFIX)s_COUNT (sizeof %(prefix)s_der / sizeof %(prefix)s_der[0])" % names,
            "#endif", ""]


def header(certificates, prefix, source, command, file, note):
    internal = re.sub(r"^unsb_", "unsbi_", prefix)
    if internal == prefix:
        internal += "_i"
    names = {"prefix": prefix, "PREFIX": prefix.upper(), "internal": internal,
             "INTERNAL": internal.upper(), "file": file, "guard": prefix.upper() + "_H"}
    macros = ["%s_%s" % (names["PREFIX"], c.label) for c in certificates]
    switches = ["#ifndef %s\n#define %s %s_DEFAULT\n#endif" % (m, m, names["PREFIX"])
                for m in macros]
    none = " && \\\n    ".join("!" + m for m in macros)
    text = TITLE.format(count=len(certificates), source="\n".join(wrap(source, "", " * ")),
                        command="\n".join(wrap(command, " *     ", " *         ")),
                        bearssl=sum(map(bearssl_size, certificates)),
                        der=sum(map(der_size, certificates)), **names)
    text += (PUBLIC_NOTE if note else "") + "\n".join(entries(certificates)) + "\n"
    text += OPTIONS.format(switches="\n".join(switches), none=none, **names) + "\n"
    lines = bearssl_form(certificates, names) + der_form(certificates, names) + count_macro(names)
    return text + "\n".join(lines) + "\n#endif /* %s */\n" % names["guard"]


# ---- the command ----

def debian_version():
    try:
        return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "ca-certificates"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=True).stdout.decode("ascii")
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError):
        raise Problem("dpkg-query does not tell the version of ca-certificates: "
                      "give --source") from None


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog=NAME, formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__.split("\n\nFILE has")[0],
        epilog="A NAME has letters, digits and underscores; for a file whose name has a '=', "
               "write ./FILE.")
    add = parser.add_argument
    add("files", nargs="*", metavar="[NAME=]FILE", help='PEM; "-": standard input')
    add("-o", "--output", metavar="FILE", help="write there instead of to standard output")
    add("--prefix", metavar="NAME", help="of the header's symbols and, in capitals, macros "
        "(default: my_roots; with --debian unsb_roots)")
    add("--source", metavar="TEXT", help="where the certificates are from, for the comment")
    add("--date", metavar="YYYY-MM-DD", help="of the making, for the comment (default: none)")
    add("--allow-leaf", action="store_true",
        help="also take certificates that are not authorities', each trusted for itself alone; "
        "by Mbed TLS only where it signed itself")
    add("--debian", action="store_true",
        help="the public roots of unsandbox_roots.h, from Debian's ca-certificates")
    add("--directory", metavar="DIR", help="where --debian finds its files (default: %s)" % DEBIAN)
    options = parser.parse_args(arguments)
    if options.prefix is None:
        options.prefix = "unsb_roots" if options.debian else "my_roots"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", options.prefix) or "__" in options.prefix:
        parser.error("--prefix takes up to 40 small letters, digits and single underscores")
    if options.date is not None:
        try:
            datetime.datetime.strptime(options.date, "%Y-%m-%d")
        except ValueError:
            parser.error("--date is not a date, YYYY-MM-DD: " + options.date)
    if options.debian == bool(options.files):
        parser.error("either files or --debian")
    if options.directory and not options.debian:
        parser.error("--directory goes with --debian")
    return options


def split(argument):
    match = re.fullmatch(r"([A-Za-z0-9_]+)=(.+)", argument, re.DOTALL)
    if match is None:
        return None, argument
    if "__" in match.group(1) or len(match.group(1)) > 40:
        raise Problem("a name has at most 40 characters and no double underscore: "
                      + match.group(1))
    return match.group(1), match.group(2)


def write(path, text):
    """A file that was there stays whole if anything fails."""
    data = text.encode("ascii")
    if path is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    folder = os.path.dirname(path) or "."
    handle, scratch = tempfile.mkstemp(dir=folder, prefix=os.path.basename(path))
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(scratch, 0o666 & ~mask)
        os.replace(scratch, path)
    except OSError:
        os.unlink(scratch)
        raise


def main(arguments):
    options = parse(arguments)
    try:
        if options.debian:
            folder = options.directory or DEBIAN
            chosen = [(label, os.path.join(folder, file)) for label, file in PUBLIC]
        else:
            chosen = [split(argument) for argument in options.files]
        certificates = load(chosen, options.allow_leaf)
        source = options.source
        if source is None:
            source = "Debian's ca-certificates " + debian_version() if options.debian else \
                ", ".join(os.path.basename(path) for _, path in chosen)
        source = "Made %sfrom %s." % (options.date + " " if options.date else "", source)
        file = os.path.basename(options.output) if options.output else \
            "unsandbox_roots.h" if options.debian else options.prefix + ".h"
        command = "python3 make_roots.py --debian -o " + file if options.debian else \
            "python3 make_roots.py -o %s --prefix %s%s" % (
                file, options.prefix, " --allow-leaf" if options.allow_leaf else "")
        for label, path in [] if options.debian else chosen:
            command += " %s%s" % (label + "=" if label else "", os.path.basename(path))
        text = header(certificates, options.prefix, comment(source), comment(command), file,
                      options.debian)
    except Problem as problem:
        sys.stderr.write("%s: %s\n" % (NAME, problem))
        return 1
    try:
        write(options.output, text)
    except OSError as error:
        sys.stderr.write("%s: %s: %s\n" % (NAME, options.output or "standard output",
                                           error.strerror))
        return 1
    return 0


NAME = "make_roots.py"

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
