/* The transport of examples/firmware/modem.h against the contract, on this machine: its serial line
 * is a socket to modem.py, which dials a peer of the suite's.
 *
 *     line PORT       where modem.py listens */
#include "conformance.h"
#include "posix_peer.h"

#include "modem.h"

static int line = -1;
static modem device;

uint32_t board_now_ms(void *context)
{
    (void)context;
    return posix_peer_now_ms();
}

void board_sleep(void)
{
    posix_peer_idle();
}

/* Like a small receiver and transmitter: a few bytes at a time, sometimes none. */
static size_t few(size_t size)
{
    uint32_t most = conf_random() % 200;

    return size < most ? size : most;
}

size_t board_uart_write(const void *data, size_t size)
{
    ssize_t n = send(line, data, few(size), MSG_NOSIGNAL | MSG_DONTWAIT);

    return n > 0 ? (size_t)n : 0;
}

size_t board_uart_read(void *data, size_t size)
{
    ssize_t n = recv(line, data, size, MSG_DONTWAIT);

    return n > 0 ? (size_t)n : 0;
}

bool board_uart_readable(void)
{
    char byte;

    return recv(line, &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

/* Once for the whole run, so that each test finds the line as the one before left it. */
static unsb_transport make(void)
{
    return modem_transport(&device);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    conf_port port;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(argc > 1 ? argv[1] : "0"));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    line = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(line, (struct sockaddr *)(void *)&address, sizeof address) != 0) {
        perror("modem.py");
        return 2;
    }
    memset(&port, 0, sizeof port);
    posix_peer_fill(&port);
    port.name = "modem";
    port.make = make;
    port.peer_reset = NULL; /* the modem tells an end from nothing else */
    port.resources = NULL;
    port.room = 0; /* modem.py keeps what the peer does not take */
    return conf_run(&port);
}
