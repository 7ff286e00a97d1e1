/* The Schannel port against the contract, over the Winsock port and a layer that moves little. The
 * name "localhost" is resolved by a stub, so no query leaves the process. */
#include "conformance.h"
#include "tls_peer.h"

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
#include "unsandbox_schannel.h"

static HCERTSTORE anchors;
static size_t buffer_size;
static unsb_schannel tls;

static unsb_transport make(void)
{
    static unsb_winsock tcp;
    static unsb_transport inner;
    static unsigned char records[UNSB_SCHANNEL_BUFFER];
    unsb_schannel_config config;

    unsb_schannel_wipe(&tls); /* the credentials of the transport before are Windows' */
    inner = unsb_winsock_transport(&tcp);
    memset(&config, 0, sizeof config);
    config.inner = conf_shaper(&inner);
    config.anchors = anchors;
    config.buffer = records;
    config.buffer_size = buffer_size;
    return unsb_schannel_transport(&tls, &config);
}

int main(void)
{
    const struct CMUnitTest small[] = {
        cmocka_unit_test(pieces_of_every_size), cmocka_unit_test(pieces_beneath),
        cmocka_unit_test(full),                 cmocka_unit_test(large_transfers),
        cmocka_unit_test(ready),                cmocka_unit_test(whole_calls)};
    char pem[8192];
    conf_port port;
    int failed;

    winsock_peer_start();
    memset(&port, 0, sizeof port);
    tls_peer_fill(&port);
    if (unsb_schannel_add_pem(&anchors, pem, tls_peer_read("ca.pem", pem, sizeof pem)) !=
        UNSB_OK) {
        print_error("no authority\n");
        return 2;
    }
    port.name = "conform schannel";
    port.make = make;
    port.unknown_host = "unknown.test";
    port.limits = true;
    buffer_size = UNSB_SCHANNEL_BUFFER;
    winsock_peer_warm_up(&port);
    failed = conf_run(&port);
    buffer_size = UNSB_SCHANNEL_BUFFER_MIN;
    failed += cmocka_run_group_tests_name("schannel, small buffer", small, NULL, NULL);
    conf_close();
    port.drop();
    unsb_schannel_wipe(&tls);
    (void)CertCloseStore(anchors, 0);
    return failed;
}
