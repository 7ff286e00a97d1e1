/* The OpenSSL port against the contract, over the POSIX port and a layer that moves little. The
 * name "localhost" is resolved by a stub, so no query leaves the process. */
#include "conformance.h"
#include "tls_peer.h"

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
#include "unsandbox_openssl.h"

static unsb_openssl_trust trust;
static unsb_openssl tls;

static unsb_transport make(void)
{
    static unsb_posix tcp;
    static unsb_transport inner;
    unsb_openssl_config config;

    unsb_openssl_wipe(&tls); /* the session of the transport before is on the heap */
    inner = unsb_posix_transport(&tcp);
    memset(&config, 0, sizeof config);
    config.inner = conf_shaper(&inner);
    config.anchors = trust.store;
    return unsb_openssl_transport(&tls, &config);
}

int main(void)
{
    conf_port port;
    int failed;

    (void)signal(SIGPIPE, SIG_DFL);
    memset(&port, 0, sizeof port);
    tls_peer_fill(&port);
    if (unsb_openssl_load_pem(&trust, tls_peer_file("ca.pem")) != UNSB_OK) {
        print_error("no authority\n");
        return 2;
    }
    port.name = "conform openssl";
    port.make = make;
    port.unknown_host = "unknown.test";
    port.limits = true;
    failed = conf_run(&port);
    unsb_openssl_wipe(&tls);
    unsb_openssl_free_trust(&trust);
    return failed;
}
