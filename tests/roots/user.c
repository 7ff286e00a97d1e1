/* What a program does with the generated header, in the forms that WITH_BEARSSL and WITH_MBEDTLS
 * ask for; twice included, as headers are. */
#ifdef WITH_BEARSSL
#include <bearssl.h>
#endif
#ifdef WITH_MBEDTLS
#include <mbedtls/x509_crt.h>
#endif
#include "unsandbox_roots.h"
#include "unsandbox_roots.h"

size_t roots_count(void);
size_t roots_count(void)
{
    return UNSB_ROOTS_COUNT;
}

#if UNSB_ROOTS_BEARSSL
const br_x509_trust_anchor *roots_anchors(void);
const br_x509_trust_anchor *roots_anchors(void)
{
    return unsb_roots;
}
#endif

#if UNSB_ROOTS_DER
const unsigned char *roots_first(void);
const unsigned char *roots_first(void)
{
    return unsb_roots_der[0].data;
}
#endif

#ifdef WITH_MBEDTLS
int roots_load(mbedtls_x509_crt *chain);
int roots_load(mbedtls_x509_crt *chain)
{
    return unsb_roots_mbedtls(chain);
}
#endif
