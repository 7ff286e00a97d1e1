/* One of several files of a program, each with the same ports, in any order. */
#include "unsandbox_openssl.h"
#include "unsandbox_proxy.h"
#include "unsandbox_mbedtls.h"
#include "unsandbox_mbedtls_pem.h"
#include "unsandbox_bearssl.h"
#include "unsandbox_bearssl_pem.h"
#include "unsandbox_posix.h"
#include "unsandbox_address.h"

#ifndef FILE_NAME
#error "define FILE_NAME: the function this file offers"
#endif

#ifdef __cplusplus
extern "C" {
#endif
typedef void (*any_function)(void);
any_function FILE_NAME(unsigned i);
any_function FILE_NAME(unsigned i)
{
    static const any_function all[] = {
        (any_function)unsb_posix_transport,   (any_function)unsb_proxy_transport,
        (any_function)unsb_openssl_transport, (any_function)unsb_mbedtls_transport,
        (any_function)unsb_bearssl_transport, (any_function)unsb_address_host,
        (any_function)unsb_proxy_excepted,    (any_function)unsb_x509_start};

    return i < sizeof all / sizeof *all ? all[i] : NULL;
}
#ifdef __cplusplus
}
#endif
