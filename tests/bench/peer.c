/* A service on loopback that answers at once, so that the clients are what is measured:
 * peer [CERTIFICATE KEY]   TLS with both, plain HTTP without
 * Prints its port; on SIGTERM, when its connections have ended, one line of totals: connections,
 * TCP segments with data and bytes in, the same out. TLS records are counted as they are sent.
 *
 * Any request is read to its end. The answer is hello-world's, or the megabytes of stdout that the
 * program's language names ("large-100"). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 65536
#define HEAD                                                                                       \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n"              \
    "Cache-Control: no-store\r\nServer: peer\r\nContent-Length: %zu\r\n\r\n%s"
#define HELLO                                                                                      \
    "{\"success\":true,\"stdout\":\"hello world\\n\",\"stderr\":\"\",\"exit_code\":0,"             \
    "\"language\":\"python\",\"execution_mode\":\"container\",\"network_mode\":\"zerotrust\","     \
    "\"total_time_ms\":523,\"job_id\":\"job_0123456789abcdef\"}"
#define BEFORE "{\"success\":true,\"exit_code\":0,\"stdout\":\""
#define AFTER "\",\"stderr\":\"\"}"

typedef struct connection {
    int fd;
    SSL *ssl;
    char in[PIECE + 1];
    size_t have;
} connection;

static SSL_CTX *context;
static char block[PIECE]; /* of output, escaped */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static unsigned open_count;
static unsigned long long connections, segments_in, bytes_in, segments_out, bytes_out;

static int take(connection *c)
{
    int n;

    if (c->ssl != NULL)
        n = SSL_read(c->ssl, c->in + c->have, (int)(PIECE - c->have));
    else
        n = (int)recv(c->fd, c->in + c->have, PIECE - c->have, 0);
    if (n > 0) {
        c->have += (size_t)n;
        c->in[c->have] = '\0';
    }
    return n;
}

static int give(connection *c, const char *data, size_t size)
{
    while (size != 0) {
        int n = c->ssl != NULL ? SSL_write(c->ssl, data, (int)size)
                               : (int)send(c->fd, data, size, MSG_NOSIGNAL);
        if (n <= 0)
            return -1;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int answer(connection *c, size_t megabytes)
{
    char text[1024];
    size_t left = megabytes * 1000000, n;

    if (megabytes == 0) {
        n = (size_t)snprintf(text, sizeof text, HEAD, strlen(HELLO), HELLO);
        return give(c, text, n);
    }
    n = strlen(BEFORE) + left + strlen(AFTER);
    n = (size_t)snprintf(text, sizeof text, HEAD, n, BEFORE);
    if (give(c, text, n) != 0)
        return -1;
    for (; left != 0; left -= n) {
        n = left < PIECE ? left : PIECE;
        if (give(c, block, n) != 0)
            return -1;
    }
    return give(c, AFTER, strlen(AFTER));
}

/* One request and its answer; not 0: the connection has ended. */
static int serve(connection *c)
{
    char *end, *field, *large;
    size_t body = 0, head, megabytes;

    while ((end = strstr(c->in, "\r\n\r\n")) == NULL)
        if (take(c) <= 0)
            return -1;
    head = (size_t)(end - c->in) + 4;
    field = strcasestr(c->in, "\r\nContent-Length:");
    if (field != NULL && field < end)
        body = strtoul(field + 17, NULL, 10);
    field = strcasestr(c->in, "\r\nExpect: 100-continue");
    if (field != NULL && field < end && give(c, "HTTP/1.1 100 Continue\r\n\r\n", 25) != 0)
        return -1;
    while (c->have < head + body && c->have < PIECE)
        if (take(c) <= 0)
            return -1;
    large = strstr(c->in + head, "\"large-");
    megabytes = large != NULL ? strtoul(large + 7, NULL, 10) : 0;
    for (body -= c->have - head; body != 0; body -= c->have) {
        c->have = 0;
        if (take(c) <= 0)
            return -1;
    }
    c->have = 0;
    c->in[0] = '\0';
    return answer(c, megabytes);
}

static void *attend(void *argument)
{
    connection *c = (connection *)argument;
    struct tcp_info info;
    socklen_t size = sizeof info;

    if (c->ssl == NULL || SSL_accept(c->ssl) == 1)
        while (serve(c) == 0)
            ;
    if (c->ssl != NULL) {
        SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
    }
    memset(&info, 0, sizeof info);
    getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size);
    close(c->fd);
    pthread_mutex_lock(&lock);
    connections++;
    segments_in += info.tcpi_data_segs_in;
    bytes_in += info.tcpi_bytes_received;
    segments_out += info.tcpi_data_segs_out;
    bytes_out += info.tcpi_bytes_sent;
    open_count--;
    pthread_cond_signal(&ended);
    pthread_mutex_unlock(&lock);
    free(c);
    return NULL;
}

static void *listen_for_ever(void *argument)
{
    int listener = *(int *)argument, one = 1;
    pthread_attr_t detached;
    pthread_t thread;

    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (;;) {
        connection *c = (connection *)calloc(1, sizeof *c);
        if (c == NULL || (c->fd = accept(listener, NULL, NULL)) < 0)
            exit(1);
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (context != NULL) {
            c->ssl = SSL_new(context);
            SSL_set_fd(c->ssl, c->fd);
        }
        pthread_mutex_lock(&lock);
        open_count++;
        pthread_mutex_unlock(&lock);
        if (pthread_create(&thread, &detached, attend, c) != 0)
            exit(1);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), signal_number, i;
    sigset_t signals;
    pthread_t thread;

    for (i = 0; i < PIECE; i++)
        block[i] = i % 64 == 62 ? '\\' : i % 64 == 63 ? 'n' : (char)('a' + i % 26);
    if (argc == 3) {
        context = SSL_CTX_new(TLS_server_method());
        if (SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
            SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1) {
            ERR_print_errors_fp(stderr);
            return 1;
        }
        SSL_CTX_set_session_id_context(context, (const unsigned char *)"peer", 4);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    }
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        pthread_create(&thread, NULL, listen_for_ever, &listener) != 0)
        return 1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    sigwait(&signals, &signal_number);
    pthread_mutex_lock(&lock);
    while (open_count != 0)
        pthread_cond_wait(&ended, &lock);
    printf("%llu %llu %llu %llu %llu\n", connections, segments_in, bytes_in, segments_out,
           bytes_out);
    return 0;
}
