/* A set-up of BearSSL for small devices: TLS 1.2, one key exchange (ECDHE on P-256), one cipher
 * (AES-128-GCM), SHA-256. Give it as unsb_bearssl_config.setup, with UNSB_BEARSSL_PROFILE 0.
 *
 * What the service's certificates need decides the options. They change with its authority: an
 * image that cannot be updated in the field should have both, and several anchors. */
#ifndef PROFILE_H
#define PROFILE_H

#include <bearssl.h>

/* 1: keys and signatures by RSA too, in any certificate of the chain. */
#ifndef PROFILE_RSA
#define PROFILE_RSA 1
#endif
/* 1: P-384 and SHA-384 too, as authorities use them above a server's key on P-256. */
#ifndef PROFILE_P384
#define PROFILE_P384 0
#endif

static void profile_setup(br_ssl_client_context *ssl, br_x509_minimal_context *x509,
                          const br_x509_trust_anchor *anchors, size_t anchor_count)
{
    static const uint16_t suites[] = {
        BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
#if PROFILE_RSA
        BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
#endif
    };

    br_ssl_client_zero(ssl);
    br_x509_minimal_init(x509, &br_sha256_vtable, anchors, anchor_count);

    br_ssl_engine_set_suites(&ssl->eng, suites, sizeof suites / sizeof suites[0]);
    br_ssl_engine_set_hash(&ssl->eng, br_sha256_ID, &br_sha256_vtable);
    br_x509_minimal_set_hash(x509, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_prf_sha256(&ssl->eng, &br_tls12_sha256_prf);

    br_ssl_engine_set_gcm(&ssl->eng, &br_sslrec_in_gcm_vtable, &br_sslrec_out_gcm_vtable);
    br_ssl_engine_set_aes_ctr(&ssl->eng, &br_aes_ct_ctr_vtable);
    br_ssl_engine_set_ghash(&ssl->eng, &br_ghash_ctmul32);

    /* The m15 and i15 code multiplies 16 by 16 bits: on a Cortex-M3, 32 by 32 to 64 bits takes
     * longer for some values than for others, which tells of secrets. */
#if PROFILE_P384
    br_ssl_engine_set_hash(&ssl->eng, br_sha384_ID, &br_sha384_vtable);
    br_x509_minimal_set_hash(x509, br_sha384_ID, &br_sha384_vtable);
    br_ssl_engine_set_ec(&ssl->eng, &br_ec_prime_i15);
#else
    br_ssl_engine_set_ec(&ssl->eng, &br_ec_p256_m15);
#endif
    br_ssl_engine_set_ecdsa(&ssl->eng, &br_ecdsa_i15_vrfy_asn1);
    br_x509_minimal_set_ecdsa(x509, br_ssl_engine_get_ec(&ssl->eng),
                              br_ssl_engine_get_ecdsa(&ssl->eng));
#if PROFILE_RSA
    br_ssl_engine_set_rsavrfy(&ssl->eng, &br_rsa_i15_pkcs1_vrfy);
    br_x509_minimal_set_rsa(x509, &br_rsa_i15_pkcs1_vrfy);
#endif
}

#endif
