/* What a modem of the tests is connected to: the local service, whatever is dialled. */
#ifndef SERVICE_NET_H
#define SERVICE_NET_H

#include "modem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int net_fd = -1;
static uint16_t service_port; /* on loopback */

static bool socket_dial(const char *name, uint16_t port)
{
    struct sockaddr_in address;

    if (strcmp(name, "api.unsandbox.com") != 0 || port != 443)
        return false;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(service_port);
    net_fd = socket(AF_INET, SOCK_STREAM, 0);
    return net_fd >= 0 &&
           connect(net_fd, (struct sockaddr *)(void *)&address, sizeof address) == 0;
}

static int socket_send(const void *data, size_t size)
{
    return send(net_fd, data, size, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1;
}

static int socket_recv(void *data, size_t size)
{
    ssize_t n = recv(net_fd, data, size, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        struct timespec time = {0, 200000};
        (void)nanosleep(&time, NULL);
        return 0;
    }
    return n > 0 ? (int)n : -1;
}

static void socket_hang_up()
{
    (void)close(net_fd);
    net_fd = -1;
}

static const modem_net socket_net = {socket_dial, socket_send, socket_recv, socket_hang_up};

#endif
