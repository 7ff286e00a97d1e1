/* The Winsock port against the contract. Names are resolved by a stub, so no query leaves the
 * process; the port's send(), recv() and connect() are limited. */
#include "winsock_peer.h"

static INT stub_resolve(const WCHAR *host, const WCHAR *service, const ADDRINFOW *hints,
                        ADDRINFOW **list)
{
    ADDRINFOW numeric = *hints;

    numeric.ai_flags |= AI_NUMERICHOST; /* names are unknown, sooner or later */
    return GetAddrInfoW(host, service, &numeric, list);
}

static int limited_send(SOCKET s, const char *data, int size, int flags)
{
    size_t most = (size_t)size;
    int rc = conf_allow(CONF_SEND, &most);

    if (rc <= 0) {
        WSASetLastError(rc < 0 ? WSAECONNRESET : WSAEWOULDBLOCK);
        return SOCKET_ERROR;
    }
    return send(s, data, (int)most, flags);
}

static int limited_recv(SOCKET s, char *data, int size, int flags)
{
    size_t most = (size_t)size;
    int rc = conf_allow(CONF_RECV, &most);

    if (rc <= 0) {
        WSASetLastError(rc < 0 ? WSAECONNRESET : WSAEWOULDBLOCK);
        return SOCKET_ERROR;
    }
    return recv(s, data, (int)most, flags);
}

static int limited_connect(SOCKET s, const struct sockaddr *address, int address_size)
{
    size_t size = 0;

    if (conf_allow(CONF_CONNECT, &size) < 0) {
        WSASetLastError(WSAENETUNREACH);
        return SOCKET_ERROR;
    }
    return connect(s, address, address_size);
}

#define UNSB_WINSOCK_GETADDRINFO stub_resolve
#define send limited_send
#define recv limited_recv
#define connect limited_connect
#include "unsandbox_winsock.h"
#undef send
#undef recv
#undef connect

static unsb_transport make(void)
{
    static unsb_winsock tcp;

    return unsb_winsock_transport(&tcp);
}

int main(void)
{
    conf_port port;

    memset(&port, 0, sizeof port);
    winsock_peer_start();
    winsock_peer_fill(&port);
    port.name = "conform winsock";
    port.make = make;
    port.unknown_host = "unknown.test";
    port.limits = true;
    winsock_peer_warm_up(&port);
    return conf_run(&port);
}
