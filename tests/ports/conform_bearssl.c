/* The BearSSL port against the contract, over the POSIX port (on Windows, the Winsock port) and a
 * layer that moves little. The name "localhost" is resolved by a stub, so no query leaves the
 * process. */
#include "conformance.h"
#include "tls_peer.h"

#ifdef _WIN32

static INT stub_resolve(const WCHAR *host, const WCHAR *service, const ADDRINFOW *hints,
                        ADDRINFOW **list)
{
    ADDRINFOW numeric = *hints;

    numeric.ai_flags |= AI_NUMERICHOST;
    return GetAddrInfoW(wcscmp(host, L"localhost") == 0 ? L"127.0.0.1" : host, service, &numeric,
                        list);
}

#define UNSB_WINSOCK_GETADDRINFO stub_resolve
#include "unsandbox_winsock.h"

static unsb_transport make_tcp(void)
{
    static unsb_winsock tcp;

    return unsb_winsock_transport(&tcp);
}

#else

#include <netdb.h>
#include <signal.h>

static int stub_resolve(const char *host, const char *port, const struct addrinfo *hints,
                        struct addrinfo **list)
{
    struct addrinfo numeric = *hints;

    numeric.ai_flags |= AI_NUMERICHOST;
    return getaddrinfo(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port, &numeric, list);
}

#define UNSB_POSIX_GETADDRINFO stub_resolve
#include "unsandbox_posix.h"

static unsb_transport make_tcp(void)
{
    static unsb_posix tcp;

    return unsb_posix_transport(&tcp);
}

#endif

#include "unsandbox_bearssl.h"
#include "unsandbox_bearssl_pem.h"

static unsb_bearssl_trust trust;
static size_t buffer_size;

static unsb_transport make(void)
{
    static unsb_bearssl tls;
    static unsb_transport inner;
    static unsigned char records[BR_SSL_BUFSIZE_BIDI];
    unsb_bearssl_config config;

    inner = make_tcp();
    memset(&config, 0, sizeof config);
    config.inner = conf_shaper(&inner);
    config.anchors = trust.anchors;
    config.anchor_count = trust.count;
    config.buffer = records;
    config.buffer_size = buffer_size;
    return unsb_bearssl_transport(&tls, &config);
}

int main(void)
{
    const struct CMUnitTest one_buffer[] = {
        cmocka_unit_test(pieces_of_every_size), cmocka_unit_test(pieces_beneath),
        cmocka_unit_test(full),                 cmocka_unit_test(large_transfers),
        cmocka_unit_test(end_of_stream),        cmocka_unit_test(ready),
        cmocka_unit_test(whole_calls)};
    conf_port port;
    int failed;

#ifdef _WIN32
    winsock_peer_start();
#else
    (void)signal(SIGPIPE, SIG_DFL);
#endif
    memset(&port, 0, sizeof port);
    tls_peer_fill(&port);
    if (unsb_bearssl_load_pem(&trust, tls_peer_file("ca.pem")) != UNSB_OK) {
        print_error("no authority\n");
        return 2;
    }
    port.name = "conform bearssl";
    port.make = make;
    port.unknown_host = "unknown.test";
    port.limits = true;
    buffer_size = BR_SSL_BUFSIZE_BIDI;
#ifdef _WIN32
    winsock_peer_warm_up(&port);
#endif
    failed = conf_run(&port);
    buffer_size = BR_SSL_BUFSIZE_MONO;
    failed += cmocka_run_group_tests_name("bearssl, one buffer", one_buffer, NULL, NULL);
    conf_close();
    port.drop();
    unsb_bearssl_free_trust(&trust);
    return failed;
}
