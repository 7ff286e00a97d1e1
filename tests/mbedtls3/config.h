/* What the tests' Mbed TLS 3.6 has beyond its own defaults, TLS 1.3 among them: threads, as their
 * servers run in one of their own and PSA's keys are kept for all. By PSA_ALL also TLS 1.2, X.509
 * and the like compute by PSA. */
#define MBEDTLS_THREADING_C
#define MBEDTLS_THREADING_PTHREAD
/* Records are not padded: where a test sends single bytes, each would be of 37 then, and the answer
 * to a request that is refused would overtake the request. */
#define MBEDTLS_SSL_CID_TLS1_3_PADDING_GRANULARITY 1
#if defined(PSA_ALL)
#define MBEDTLS_USE_PSA_CRYPTO
#define MBEDTLS_SSL_RECORD_SIZE_LIMIT
#endif
