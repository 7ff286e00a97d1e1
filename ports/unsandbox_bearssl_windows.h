/* unsandbox_bearssl_windows.h - trust anchors for unsandbox_bearssl.h from Windows' own store
 *
 *     #include "unsandbox.h"
 *     #include "unsandbox_winsock.h"
 *     #include "unsandbox_bearssl.h"
 *     #include "unsandbox_bearssl_pem.h"
 *     #include "unsandbox_bearssl_windows.h"
 *
 *     unsb_bearssl_trust trust = {0};
 *     int rc = unsb_bearssl_load_windows(&trust);
 *     secure.anchors = trust.anchors;
 *     secure.anchor_count = trust.count;
 *     ...
 *     unsb_bearssl_free_trust(&trust);                      (after the client is closed)
 *
 * All functions are static. C99 or C++11. Link with -lbearssl -lcrypt32 (Visual C++ is told the
 * latter here). Memory and stack: as with unsandbox_bearssl_pem.h.
 *
 * Taken is what the user's view of the ROOT store has: the machine's roots, those that an
 * administrator or a company put there, and the user's own. Left out, and counted in trust.skipped,
 * are roots that Windows does not let vouch for servers now: expired ones, those whose properties
 * limit them to other purposes, those it distrusts (or distrusts for what was issued after some
 * date, which BearSSL cannot look at), those in the Disallowed store; and what BearSSL cannot or
 * should not use, see unsandbox_bearssl_pem.h.
 *
 * Errors: UNSB_E_TRUST; trust.error has Windows' code where the store could not be opened, ENOMEM
 * where memory ran out, and is 0 where the store held nothing that could be used.
 *
 * Limits: Windows knows more roots than its store has. It fetches one when a program that uses its
 * own TLS first meets it, so on a fresh machine the root that a server needs may be missing
 * (UNSB_E_CERTIFICATE, BR_ERR_X509_NOT_TRUSTED). Where this must not happen, bring the roots along:
 * unsb_bearssl_add_pem() adds to the same anchors. */
#ifndef UNSANDBOX_BEARSSL_WINDOWS_H
#define UNSANDBOX_BEARSSL_WINDOWS_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif
#ifndef UNSANDBOX_BEARSSL_H
#include "unsandbox_bearssl.h"
#endif
#ifndef UNSANDBOX_BEARSSL_PEM_H
#include "unsandbox_bearssl_pem.h"
#endif

#ifndef _WINSOCKAPI_
#include <winsock2.h> /* first, or windows.h brings its forerunner */
#endif
#include <windows.h>
#include <wincrypt.h>

#ifdef _MSC_VER
#pragma comment(lib, "crypt32.lib")
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Adds the roots of Windows' store to `trust` (zero it before the first use). UNSB_OK if at least
 * one was added, else UNSB_E_TRUST; what was there before stays in any case. The array may move:
 * set up transports afterwards. May take a few ms; waits for no network. */
UNSBI_BEARSSL_FN int unsb_bearssl_load_windows(unsb_bearssl_trust *trust);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

/* Properties of a root: from when on it is distrusted, and from when on what it issues is; each
 * with the purposes that this is about (DER). wincrypt.h has names for some in some versions. */
enum {
    UNSBI_WINDOWS_DISALLOWED_FROM = 104,
    UNSBI_WINDOWS_DISALLOWED_USES = 122,
    UNSBI_WINDOWS_NOT_BEFORE = 126,
    UNSBI_WINDOWS_NOT_BEFORE_USES = 127
};

/* Whether the purposes among `size` bytes of DER, a sequence of OIDs, name servers. */
static bool unsbi_windows_names_servers(const BYTE *der, DWORD size)
{
    static const BYTE server[10] = {0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01};
    DWORD at;
    for (at = 0; at + sizeof server <= size; at++) {
        if (memcmp(der + at, server, sizeof server) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a date among the properties has come that concerns servers. What cannot be read counts
 * as if it had. */
static bool unsbi_windows_distrusted(PCCERT_CONTEXT root, DWORD date, DWORD uses)
{
    BYTE purposes[512];
    FILETIME since = {0, 0};
    FILETIME now;
    DWORD size = sizeof since;

    if (!CertGetCertificateContextProperty(root, date, &since, &size)) {
        return GetLastError() != (DWORD)CRYPT_E_NOT_FOUND;
    }
    GetSystemTimeAsFileTime(&now);
    if (CompareFileTime(&since, &now) > 0) {
        return false;
    }
    size = sizeof purposes;
    if (!CertGetCertificateContextProperty(root, uses, purposes, &size)) {
        return true; /* no purposes given: all */
    }
    return unsbi_windows_names_servers(purposes, size);
}

/* Whether the purposes that certificate and properties give the root include servers. */
static bool unsbi_windows_serves(PCCERT_CONTEXT root)
{
    static const char server[] = szOID_PKIX_KP_SERVER_AUTH;
    /* bytes that suit a CERT_ENHKEY_USAGE, whose pointers and texts follow it */
    union {
        CERT_ENHKEY_USAGE usage;
        BYTE room[2048];
    } list;
    DWORD size = sizeof list;
    DWORD i;

    SetLastError(0);
    if (!CertGetEnhancedKeyUsage(root, 0, &list.usage, &size)) {
        return false;
    }
    if (list.usage.cUsageIdentifier == 0) {
        /* Any purpose, or none: only the error tells. */
        return GetLastError() == (DWORD)CRYPT_E_NOT_FOUND;
    }
    for (i = 0; i < list.usage.cUsageIdentifier; i++) {
        if (strcmp(list.usage.rgpszUsageIdentifier[i], server) == 0) {
            return true;
        }
    }
    return false;
}

static bool unsbi_windows_usable(PCCERT_CONTEXT root, HCERTSTORE disallowed)
{
    PCCERT_CONTEXT twin;

    if (CertVerifyTimeValidity(NULL, root->pCertInfo) != 0 || !unsbi_windows_serves(root) ||
        unsbi_windows_distrusted(root, UNSBI_WINDOWS_DISALLOWED_FROM,
                                 UNSBI_WINDOWS_DISALLOWED_USES) ||
        unsbi_windows_distrusted(root, UNSBI_WINDOWS_NOT_BEFORE, UNSBI_WINDOWS_NOT_BEFORE_USES)) {
        return false;
    }
    twin = CertFindCertificateInStore(disallowed, X509_ASN_ENCODING, 0, CERT_FIND_EXISTING, root,
                                      NULL);
    if (twin != NULL) {
        (void)CertFreeCertificateContext(twin);
    }
    return twin == NULL;
}

/* Adds what is usable in `roots`. */
static int unsbi_windows_load(unsb_bearssl_trust *trust, HCERTSTORE roots, HCERTSTORE disallowed)
{
    PCCERT_CONTEXT root = NULL;
    size_t added = 0;

    trust->error = 0;
    while ((root = CertEnumCertificatesInStore(roots, root)) != NULL) {
        if (!unsbi_windows_usable(root, disallowed)) {
            trust->skipped++;
        } else if (unsb_bearssl_add_der(trust, root->pbCertEncoded, root->cbCertEncoded) ==
                   UNSB_OK) {
            added++;
        } else if (trust->error != 0) {
            (void)CertFreeCertificateContext(root);
            return UNSB_E_TRUST;
        }
    }
    return added > 0 ? UNSB_OK : UNSB_E_TRUST;
}

UNSBI_BEARSSL_FN int unsb_bearssl_load_windows(unsb_bearssl_trust *trust)
{
    HCERTSTORE roots = CertOpenSystemStoreW(0, L"ROOT");
    HCERTSTORE disallowed = roots != NULL ? CertOpenSystemStoreW(0, L"Disallowed") : NULL;
    int rc = UNSB_E_TRUST;

    if (disallowed != NULL) {
        rc = unsbi_windows_load(trust, roots, disallowed);
        (void)CertCloseStore(disallowed, 0);
    } else {
        trust->error = (int)GetLastError();
    }
    if (roots != NULL) {
        (void)CertCloseStore(roots, 0);
    }
    return rc;
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_BEARSSL_WINDOWS_H */
