/* The POSIX port against the contract. Names are resolved by a stub, so no query leaves the
 * process; the port's send() and recv() are limited. */
#include "conformance.h"
#include "posix_peer.h"

#include <netdb.h>
#include <poll.h>
#include <signal.h>

static int stub_resolve(const char *host, const char *port, const struct addrinfo *hints,
                        struct addrinfo **list)
{
    struct addrinfo numeric = *hints;

    numeric.ai_flags |= AI_NUMERICHOST; /* names are unknown, sooner or later */
    return getaddrinfo(host, port, &numeric, list);
}

static ssize_t limited_send(int fd, const void *data, size_t size, int flags)
{
    int rc = conf_allow(CONF_SEND, &size);

    if (rc <= 0) {
        errno = rc < 0 ? ECONNRESET : EAGAIN;
        return -1;
    }
    return send(fd, data, size, flags);
}

static ssize_t limited_recv(int fd, void *data, size_t size, int flags)
{
    int rc = conf_allow(CONF_RECV, &size);

    if (rc <= 0) {
        errno = rc < 0 ? ECONNRESET : EAGAIN;
        return -1;
    }
    return recv(fd, data, size, flags);
}

/* A connection that cannot be made at once is looked after with poll(). */
static int limited_connect(int fd, const struct sockaddr *address, socklen_t address_size)
{
    size_t size = 0;
    int rc = conf_allow(CONF_CONNECT, &size);

    if (rc < 0) {
        errno = ENETUNREACH;
        return -1;
    }
    if (rc == 0 && connect(fd, address, address_size) == 0) {
        errno = EINPROGRESS;
        return -1;
    }
    return rc == 0 ? -1 : connect(fd, address, address_size);
}

#define UNSB_POSIX_GETADDRINFO stub_resolve
#define send limited_send
#define recv limited_recv
#define connect limited_connect
#include "unsandbox_posix.h"
#undef send
#undef recv
#undef connect

static unsb_transport make(void)
{
    static unsb_posix tcp;

    return unsb_posix_transport(&tcp);
}

int main(void)
{
    conf_port port;

    (void)signal(SIGPIPE, SIG_DFL); /* the port must not raise it */
    memset(&port, 0, sizeof port);
    posix_peer_fill(&port);
    port.name = "conform posix";
    port.make = make;
    port.unknown_host = "unknown.test";
    port.limits = true;
    return conf_run(&port);
}
