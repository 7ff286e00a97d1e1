/* What the tests' Mbed TLS 3.6 has beyond its own defaults, TLS 1.3 among them: threads, as their
 * servers run in one of their own and PSA's keys are kept for all. By PSA_ALL also TLS 1.2, X.509
 * and the like compute by PSA. The others are only compiled against. */
#define MBEDTLS_THREADING_C
#define MBEDTLS_THREADING_PTHREAD
/* Records are not padded: where a test sends single bytes, each would be of 37 then, and the answer
 * to a request that is refused would overtake the request. */
#define MBEDTLS_SSL_CID_TLS1_3_PADDING_GRANULARITY 1
#if defined(PSA_ALL)
#define MBEDTLS_USE_PSA_CRYPTO
#define MBEDTLS_SSL_RECORD_SIZE_LIMIT
#endif
#if defined(NO_TLS13)
#undef MBEDTLS_SSL_PROTO_TLS1_3
#endif
#if defined(NO_TLS12)
#undef MBEDTLS_SSL_PROTO_TLS1_2
#undef MBEDTLS_SSL_PROTO_DTLS
#undef MBEDTLS_SSL_DTLS_ANTI_REPLAY
#undef MBEDTLS_SSL_DTLS_CLIENT_PORT_REUSE
#undef MBEDTLS_SSL_DTLS_CONNECTION_ID
#undef MBEDTLS_SSL_DTLS_HELLO_VERIFY
#undef MBEDTLS_SSL_RENEGOTIATION
#endif
#if defined(NO_TICKETS)
#undef MBEDTLS_SSL_SESSION_TICKETS
#endif
