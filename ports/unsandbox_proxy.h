/* unsandbox_proxy.h - unsandbox.h through an HTTP proxy (CONNECT), over any other transport
 *
 *     #include "unsandbox.h"
 *     #include "unsandbox_posix.h"          (or any transport that moves bytes)
 *     #include "unsandbox_proxy.h"
 *     #include "unsandbox_bearssl.h"        (or any other TLS, which goes over the proxy)
 *
 *     static unsb_posix tcp;
 *     static unsb_proxy proxy;
 *     static unsb_proxy_settings settings;
 *     static unsb_bearssl tls;
 *     int rc = unsb_proxy_environment(&settings, "api.unsandbox.com");  (HTTPS_PROXY, NO_PROXY ...)
 *     secure.inner = unsb_proxy_transport(&proxy, unsb_posix_transport(&tcp), &settings);
 *     config.transport = unsb_bearssl_transport(&tls, &secure);
 *
 * The inner transport connects to the proxy, which is asked for a tunnel to the host and port that
 * connect is given (RFC 9110 section 9.3.6). It is the proxy that resolves the name. Settings that
 * name no proxy connect directly, so that a program need not tell the two apart. TLS goes over it,
 * from end to end: the proxy sees the host's name and port, and no more. (Without TLS it sees all.)
 *
 * All functions are static: include the file wherever it is needed, there is no implementation
 * macro; one file of the program has UNSANDBOX_IMPLEMENTATION, whose HTTP decoder is used. C99 or
 * C++11. Copy unsandbox_address.h with it. Nothing is allocated, and no operating system is used
 * but getenv().
 *
 * Memory: unsb_proxy, 1.2 K, the request and then the answer in it; unsb_proxy_settings, 514 bytes.
 * Credentials are in the settings, and in unsb_proxy while they are sent; in no error text.
 *
 * Errors: proxy.status has the proxy's answer, 0: there was none.
 *   UNSB_E_PROXY_AUTH      407 (or 401, as some have it): the proxy wants credentials, or others
 *                          (Basic alone is spoken)
 *   UNSB_E_PROXY_FORBIDDEN 403, 405, 451: its rules allow no tunnel to that host or port
 *   UNSB_E_CONNECT         502, 503, 504: it did not reach the host. With status 0, like
 *                          UNSB_E_RESOLVE: the proxy itself was not reached
 *   UNSB_E_PROXY           any other status
 *   UNSB_E_PROXY_ANSWER    the answer is not HTTP, or its head is over UNSB_HTTP_HEAD_LIMIT
 *   UNSB_E_PROXY_CONFIG    no inner transport, or settings, host or credentials that cannot be sent
 *   UNSB_E_PROXY_SCHEME    only of the helpers: a proxy that is spoken to by TLS or SOCKS
 *   UNSB_E_IO              the connection ended before the answer did
 * The inner transport's errors come unchanged. An error is returned again until close. A proxy that
 * does not answer is a matter of connect_timeout_ms.
 *
 * Limits: http:// proxies alone. Credentials go to the proxy in the clear, as HTTP has it (RFC 7617
 * section 4). The body of a refusal is not read. */
#ifndef UNSANDBOX_PROXY_H
#define UNSANDBOX_PROXY_H

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif

#ifndef UNSANDBOX_ADDRESS_H
#include "unsandbox_address.h"
#endif

/* ======================================================================
 * >>options  alike in all files of a program
 * ====================================================================== */

/* 0: without unsb_proxy_environment(), for systems without getenv(). */
#ifndef UNSB_PROXY_ENVIRONMENT
#define UNSB_PROXY_ENVIRONMENT 1
#endif
#if UNSB_PROXY_ENVIRONMENT
#include <stdlib.h>
#endif

#if defined(__GNUC__)
#define UNSBI_PROXY_FN static __attribute__((unused))
#else
#define UNSBI_PROXY_FN static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

/* Codes of this port's own; see above. */
#define UNSB_E_PROXY (UNSB_E_USER - 20)
#define UNSB_E_PROXY_AUTH (UNSB_E_USER - 21)
#define UNSB_E_PROXY_FORBIDDEN (UNSB_E_USER - 22)
#define UNSB_E_PROXY_ANSWER (UNSB_E_USER - 23)
#define UNSB_E_PROXY_CONFIG (UNSB_E_USER - 24)
#define UNSB_E_PROXY_SCHEME (UNSB_E_USER - 25)

/* ---- which proxy; zeroed: none. Fill it in, or have a helper do it ---- */
typedef struct unsb_proxy_settings {
    char host[256]; /* its name or address, an IPv6 address without brackets; "": no proxy */
    char user[128]; /* "": no credentials. No ':' and no control characters */
    char password[128];
    uint16_t port; /* 0: 1080, as curl has it */
} unsb_proxy_settings;

typedef struct unsb_proxy {
    /* to be read */
    uint16_t status; /* of the proxy's last answer; 0: none. Kept until the next connect */
    /* private */
    uint8_t state;
    uint8_t column; /* in a line of the answer's head, see unsbi_proxy_feed() */
    uint8_t matching;
    int failure; /* of connect; sticky */
    size_t begin, end; /* what the buffer holds: of the request, of the answer, of the tunnel */
    unsb_transport inner;
    const unsb_proxy_settings *settings;
    unsb_http http;
    char buffer[1024];
} unsb_proxy;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Initialises `proxy` (whatever it held: close it before, if it was in use) and returns the
 * transport over it. `settings`, `proxy` and what is behind `inner` must stay in place until the
 * client is closed. Mistakes are reported by connect. `wait` is NULL if the inner one is. */
UNSBI_PROXY_FN unsb_transport unsb_proxy_transport(unsb_proxy *proxy, unsb_transport inner,
                                                   const unsb_proxy_settings *settings);
/* A sentence for this port's codes, static; for others, unsb_error_text()'s. */
UNSBI_PROXY_FN const char *unsb_proxy_error_text(int error);

/* Reads "[http://][user[:password]@]host[:port][/]", in which user and password may be
 * percent-encoded. UNSB_OK; UNSB_E_PROXY_SCHEME: another scheme; UNSB_E_PROXY_CONFIG: it is
 * something else, or too long. Settings are zeroed with an error. */
UNSBI_PROXY_FN int unsb_proxy_url(unsb_proxy_settings *settings, const char *url);
#if UNSB_PROXY_ENVIRONMENT
/* The proxy for an https:// host by the environment, as curl takes it: the first that is set of
 * https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY (an empty one: no proxy), unless `host` is in
 * no_proxy (or NO_PROXY, if that is not set). Results as of unsb_proxy_url(); no proxy is UNSB_OK,
 * with settings->host "". */
UNSBI_PROXY_FN int unsb_proxy_environment(unsb_proxy_settings *settings, const char *host);
#endif
/* Whether `host` is in such a list, as curl has it: names separated by commas or spaces, each of
 * which stands for itself and all below it (with or without a dot before it); addresses, also with
 * a prefix ("10.0.0.0/8", "fd00::/8"); or "*" alone for all. Ports are not looked at: a name with
 * one matches nothing. NULL: an empty list. */
UNSBI_PROXY_FN bool unsb_proxy_excepted(const char *list, const char *host);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

enum {
    UNSBI_PROXY_IDLE,
    UNSBI_PROXY_CONNECTING, /* the inner transport */
    UNSBI_PROXY_ASKING,
    UNSBI_PROXY_ANSWER,
    UNSBI_PROXY_OPEN,
    UNSBI_PROXY_FAILED
};

/* Calls of the inner transport that one call may make: a bound on its work. */
#define UNSBI_PROXY_STEPS 16

/* Through a volatile pointer, or compilers drop stores to memory that is not read any more. */
static void *(*const volatile unsbi_proxy_memset)(void *, int, size_t) = memset;

static void unsbi_proxy_empty(unsb_proxy *proxy)
{
    (void)unsbi_proxy_memset(proxy->buffer, 0, sizeof proxy->buffer);
    proxy->begin = proxy->end = 0;
}

static char unsbi_proxy_lower(char c)
{
    if (c >= 'A' && c <= 'Z') {
        c = (char)(c - 'A' + 'a');
    }
    return c;
}

/* `size` characters are equal, whatever their case. */
static bool unsbi_proxy_same(const char *a, const char *b, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++) {
        if (unsbi_proxy_lower(a[i]) != unsbi_proxy_lower(b[i])) {
            return false;
        }
    }
    return true;
}

/* ---- the request ---- */

static bool unsbi_proxy_put(unsb_proxy *proxy, const char *text, size_t size)
{
    if (size > sizeof proxy->buffer - proxy->end) {
        return false;
    }
    memcpy(proxy->buffer + proxy->end, text, size);
    proxy->end += size;
    return true;
}

static bool unsbi_proxy_text(unsb_proxy *proxy, const char *text)
{
    return unsbi_proxy_put(proxy, text, strlen(text));
}

/* "host:port" (RFC 9110 section 7.2), an IPv6 address in brackets and without its zone, which means
 * nothing to another machine (RFC 6874 section 4). */
static bool unsbi_proxy_authority(unsb_proxy *proxy, const char *host, uint16_t port)
{
    bool v6 = strchr(host, ':') != NULL;
    char digits[6];
    size_t size, at = sizeof digits;

    for (size = 0; host[size] != '\0' && !(v6 && host[size] == '%'); size++) {
        char c = host[size];
        if (c <= ' ' || c >= 0x7F || strchr("/?#@[]\\\"<>", c) != NULL) {
            return false;
        }
    }
    do {
        digits[--at] = (char)('0' + port % 10);
        port = (uint16_t)(port / 10);
    } while (port != 0);
    return size != 0 && size <= 255 && unsbi_proxy_text(proxy, v6 ? "[" : "") &&
           unsbi_proxy_put(proxy, host, size) && unsbi_proxy_text(proxy, v6 ? "]:" : ":") &&
           unsbi_proxy_put(proxy, digits + at, sizeof digits - at);
}

static bool unsbi_proxy_is_plain(const char *text, size_t room)
{
    size_t i;
    for (i = 0; i < room && text[i] != '\0'; i++) {
        if ((uint8_t)text[i] < ' ' || text[i] == 0x7F) {
            return false;
        }
    }
    return i < room;
}

/* RFC 7617 section 2 */
static bool unsbi_proxy_credentials(unsb_proxy *proxy)
{
    const unsb_proxy_settings *settings = proxy->settings;
    const char *pieces[3];
    unsb_base64 base64;
    size_t i;

    if (settings->user[0] == '\0' && settings->password[0] == '\0') {
        return true;
    }
    if (!unsbi_proxy_is_plain(settings->user, sizeof settings->user) ||
        !unsbi_proxy_is_plain(settings->password, sizeof settings->password) ||
        strchr(settings->user, ':') != NULL ||
        !unsbi_proxy_text(proxy, "Proxy-Authorization: Basic ")) {
        return false;
    }
    pieces[0] = settings->user;
    pieces[1] = ":";
    pieces[2] = settings->password;
    memset(&base64, 0, sizeof base64);
    for (i = 0; i < 3; i++) {
        size_t size = strlen(pieces[i]);
        if (UNSB_BASE64_SIZE(size + 2) > sizeof proxy->buffer - proxy->end) {
            return false;
        }
        proxy->end +=
            unsb_base64_encode(&base64, pieces[i], size, proxy->buffer + proxy->end);
    }
    if (sizeof proxy->buffer - proxy->end < 4) {
        return false;
    }
    proxy->end += unsb_base64_encode_end(&base64, proxy->buffer + proxy->end);
    (void)unsbi_proxy_memset(&base64, 0, sizeof base64);
    return unsbi_proxy_text(proxy, "\r\n");
}

static bool unsbi_proxy_request(unsb_proxy *proxy, const char *host, uint16_t port)
{
    unsbi_proxy_empty(proxy);
    return unsbi_proxy_text(proxy, "CONNECT ") && unsbi_proxy_authority(proxy, host, port) &&
           unsbi_proxy_text(proxy, " HTTP/1.1\r\nHost: ") &&
           unsbi_proxy_authority(proxy, host, port) && unsbi_proxy_text(proxy, "\r\n") &&
           unsbi_proxy_credentials(proxy) && unsbi_proxy_text(proxy, "\r\n");
}

/* ---- the answer ---- */

static int unsbi_proxy_fail(unsb_proxy *proxy, int failure)
{
    proxy->failure = failure;
    proxy->state = UNSBI_PROXY_FAILED;
    unsbi_proxy_empty(proxy);
    return failure;
}

/* Feeds the decoder with one byte, as of the response to HEAD: it ends with its head. In a 2xx
 * Content-Length and Transfer-Encoding must be ignored (RFC 9110 section 9.3.6), whatever they say:
 * so their names are made longer by a letter, and mean nothing. */
static int unsbi_proxy_feed(unsb_proxy *proxy, char c)
{
    static const char *const names[] = {"content-length", "transfer-encoding"};
    size_t used, body, i;
    int rc = UNSB_PENDING;

    for (i = 0; i < 2; i++) {
        size_t length = strlen(names[i]);
        uint8_t bit = (uint8_t)(1u << i);
        if ((proxy->matching & bit) == 0) {
            continue;
        }
        if (proxy->column == length && c == ':') {
            rc = unsb_http_feed(&proxy->http, "x", 1, &used, &body);
        }
        if (proxy->column >= length || unsbi_proxy_lower(c) != names[i][proxy->column]) {
            proxy->matching = (uint8_t)(proxy->matching & ~bit);
        }
    }
    proxy->column = (uint8_t)(proxy->column < 255 ? proxy->column + 1 : 255);
    if (c == '\n') {
        proxy->column = 0;
        proxy->matching = 3;
    }
    return rc == UNSB_PENDING ? unsb_http_feed(&proxy->http, &c, 1, &used, &body) : rc;
}

static int unsbi_proxy_judge(unsb_proxy *proxy)
{
    switch (proxy->status) {
    case 401: /* of tinyproxy, for wrong credentials */
    case 407:
        return unsbi_proxy_fail(proxy, UNSB_E_PROXY_AUTH);
    case 403:
    case 405:
    case 451:
        return unsbi_proxy_fail(proxy, UNSB_E_PROXY_FORBIDDEN);
    case 502:
    case 503:
    case 504:
        return unsbi_proxy_fail(proxy, UNSB_E_CONNECT);
    default:
        break;
    }
    if (proxy->status / 100 != 2) {
        return unsbi_proxy_fail(proxy, UNSB_E_PROXY);
    }
    proxy->state = UNSBI_PROXY_OPEN;
    if (proxy->begin == proxy->end) {
        unsbi_proxy_empty(proxy);
    } /* else the rest is the tunnel's */
    return UNSB_OK;
}

static int unsbi_proxy_answer(unsb_proxy *proxy)
{
    const unsb_transport *inner = &proxy->inner;
    int steps, rc;

    for (steps = 0; steps < UNSBI_PROXY_STEPS; steps++) {
        rc = inner->vtable->recv(inner->context, proxy->buffer, sizeof proxy->buffer);
        if (rc == 0) {
            return UNSB_PENDING;
        }
        if (rc < 0) {
            return unsbi_proxy_fail(proxy, rc == UNSB_E_CLOSED ? UNSB_E_IO : rc);
        }
        proxy->begin = 0;
        proxy->end = (size_t)rc;
        while (proxy->begin < proxy->end) {
            rc = unsbi_proxy_feed(proxy, proxy->buffer[proxy->begin++]);
            if (rc == UNSB_PENDING) {
                continue;
            }
            if (rc != UNSB_OK) {
                return unsbi_proxy_fail(proxy, UNSB_E_PROXY_ANSWER);
            }
            proxy->status = proxy->http.status;
            return unsbi_proxy_judge(proxy);
        }
    }
    return UNSB_PENDING;
}

static int unsbi_proxy_ask(unsb_proxy *proxy)
{
    const unsb_transport *inner = &proxy->inner;
    int steps;

    for (steps = 0; proxy->begin < proxy->end; steps++) {
        int rc = steps == UNSBI_PROXY_STEPS
                     ? 0
                     : inner->vtable->send(inner->context, proxy->buffer + proxy->begin,
                                           proxy->end - proxy->begin);
        if (rc == 0) {
            return UNSB_PENDING;
        }
        if (rc < 0) {
            return unsbi_proxy_fail(proxy, rc == UNSB_E_CLOSED ? UNSB_E_IO : rc);
        }
        proxy->begin += (size_t)rc;
    }
    unsbi_proxy_empty(proxy);
    proxy->state = UNSBI_PROXY_ANSWER;
    return unsbi_proxy_answer(proxy);
}

/* ---- the transport ---- */

static bool unsbi_proxy_is_direct(const unsb_proxy *proxy)
{
    return proxy->settings == NULL || proxy->settings->host[0] == '\0';
}

static int unsbi_proxy_dial(unsb_proxy *proxy, const char *host, uint16_t port)
{
    const unsb_transport *inner = &proxy->inner;
    const unsb_proxy_settings *settings = proxy->settings;
    bool direct = unsbi_proxy_is_direct(proxy);
    int rc = inner->vtable->connect(inner->context, direct ? host : settings->host,
                                    direct                ? port
                                    : settings->port != 0 ? settings->port
                                                          : (uint16_t)1080);
    if (rc == UNSB_PENDING) {
        return rc;
    }
    if (rc != UNSB_OK) {
        return unsbi_proxy_fail(proxy, rc);
    }
    proxy->state = direct ? UNSBI_PROXY_OPEN : UNSBI_PROXY_ASKING;
    return direct ? UNSB_OK : unsbi_proxy_ask(proxy);
}

static int unsbi_proxy_connect(void *context, const char *host, uint16_t port)
{
    unsb_proxy *proxy = (unsb_proxy *)context;

    switch (proxy->state) {
    case UNSBI_PROXY_IDLE:
        proxy->status = 0;
        proxy->column = 0;
        proxy->matching = 0; /* not in the status line */
        unsb_http_init(&proxy->http, true);
        if (proxy->inner.vtable == NULL ||
            (!unsbi_proxy_is_direct(proxy) && !unsbi_proxy_request(proxy, host, port))) {
            return unsbi_proxy_fail(proxy, UNSB_E_PROXY_CONFIG);
        }
        proxy->state = UNSBI_PROXY_CONNECTING;
        /* fall through */
    case UNSBI_PROXY_CONNECTING:
        return unsbi_proxy_dial(proxy, host, port);
    case UNSBI_PROXY_ASKING:
        return unsbi_proxy_ask(proxy);
    case UNSBI_PROXY_ANSWER:
        return unsbi_proxy_answer(proxy);
    case UNSBI_PROXY_OPEN:
        return UNSB_OK;
    default:
        return proxy->failure;
    }
}

static int unsbi_proxy_send(void *context, const void *data, size_t size)
{
    unsb_proxy *proxy = (unsb_proxy *)context;
    if (proxy->state != UNSBI_PROXY_OPEN) {
        return proxy->failure != 0 ? proxy->failure : UNSB_E_IO;
    }
    return proxy->inner.vtable->send(proxy->inner.context, data, size);
}

static int unsbi_proxy_recv(void *context, void *data, size_t size)
{
    unsb_proxy *proxy = (unsb_proxy *)context;
    size_t have = proxy->end - proxy->begin;

    if (proxy->state != UNSBI_PROXY_OPEN) {
        return proxy->failure != 0 ? proxy->failure : UNSB_E_IO;
    }
    if (have == 0) {
        return proxy->inner.vtable->recv(proxy->inner.context, data, size);
    }
    /* came with the answer */
    if (size > have) {
        size = have;
    }
    memcpy(data, proxy->buffer + proxy->begin, size);
    proxy->begin += size;
    if (proxy->begin == proxy->end) {
        unsbi_proxy_empty(proxy);
    }
    return (int)size;
}

static void unsbi_proxy_reset(unsb_proxy *proxy)
{
    unsbi_proxy_empty(proxy);
    proxy->failure = 0;
    proxy->state = UNSBI_PROXY_IDLE;
}

static void unsbi_proxy_close(void *context)
{
    unsb_proxy *proxy = (unsb_proxy *)context;
    if (proxy->inner.vtable != NULL) {
        proxy->inner.vtable->close(proxy->inner.context);
    }
    unsbi_proxy_reset(proxy);
}

static void unsbi_proxy_drop(void *context)
{
    unsb_proxy *proxy = (unsb_proxy *)context;
    const unsb_transport *inner = &proxy->inner;
    if (inner->vtable != NULL && inner->vtable->drop != NULL) {
        inner->vtable->drop(inner->context);
    } else if (inner->vtable != NULL) {
        inner->vtable->close(inner->context);
    }
    unsbi_proxy_reset(proxy);
}

/* What the inner transport must wait for. `*ready`: what the client waits for can happen now. */
static int unsbi_proxy_translate(const unsb_proxy *proxy, int interest, bool *ready)
{
    *ready = false;
    if (interest == 0) {
        return 0;
    }
    switch (proxy->state) {
    case UNSBI_PROXY_ASKING:
        return UNSB_WRITABLE;
    case UNSBI_PROXY_ANSWER:
        return UNSB_READABLE;
    case UNSBI_PROXY_OPEN:
        *ready = (interest & UNSB_READABLE) != 0 && proxy->begin != proxy->end;
        break;
    case UNSBI_PROXY_FAILED:
    case UNSBI_PROXY_IDLE:
        *ready = true; /* there is an error to be fetched */
        break;
    default:
        break;
    }
    return *ready ? UNSB_READABLE | UNSB_WRITABLE : interest;
}

static int unsbi_proxy_interest(void *context, int interest)
{
    unsb_proxy *proxy = (unsb_proxy *)context;
    const unsb_transport *inner = &proxy->inner;
    bool ready;
    int wanted = unsbi_proxy_translate(proxy, interest, &ready);
    if (inner->vtable == NULL || inner->vtable->interest == NULL) {
        return wanted;
    }
    return inner->vtable->interest(inner->context, wanted);
}

static int unsbi_proxy_wait(void *context, int interest, uint32_t timeout_ms)
{
    unsb_proxy *proxy = (unsb_proxy *)context;
    const unsb_transport *inner = &proxy->inner;
    bool ready;
    int wanted = unsbi_proxy_translate(proxy, interest, &ready);
    return ready ? UNSB_OK : inner->vtable->wait(inner->context, wanted, timeout_ms);
}

static const unsb_transport_class unsbi_proxy_class = {
    unsbi_proxy_connect, unsbi_proxy_send,     unsbi_proxy_recv, unsbi_proxy_close,
    unsbi_proxy_wait,    unsbi_proxy_interest, unsbi_proxy_drop};

static const unsb_transport_class unsbi_proxy_class_without_wait = {
    unsbi_proxy_connect, unsbi_proxy_send,     unsbi_proxy_recv, unsbi_proxy_close,
    NULL,                unsbi_proxy_interest, unsbi_proxy_drop};

UNSBI_PROXY_FN unsb_transport unsb_proxy_transport(unsb_proxy *proxy, unsb_transport inner,
                                                   const unsb_proxy_settings *settings)
{
    unsb_transport transport;
    memset(proxy, 0, sizeof *proxy);
    proxy->inner = inner;
    proxy->settings = settings;
    transport.vtable = &unsbi_proxy_class;
    if (inner.vtable == NULL || inner.vtable->wait == NULL) {
        transport.vtable = &unsbi_proxy_class_without_wait;
    }
    transport.context = proxy;
    return transport;
}

UNSBI_PROXY_FN const char *unsb_proxy_error_text(int error)
{
    switch (error) {
    case UNSB_E_PROXY:
        return "the proxy refused the tunnel";
    case UNSB_E_PROXY_AUTH:
        return "the proxy wants credentials, or others";
    case UNSB_E_PROXY_FORBIDDEN:
        return "the proxy's rules forbid the tunnel";
    case UNSB_E_PROXY_ANSWER:
        return "what answers is no HTTP proxy";
    case UNSB_E_PROXY_CONFIG:
        return "the proxy's address or credentials, or the host, cannot be used";
    case UNSB_E_PROXY_SCHEME:
        return "only http:// proxies are supported, not https:// or socks://";
    default:
        return unsb_error_text(error);
    }
}

/* ---- the environment ---- */

/* The value of a percent-encoded text, NUL-terminated: false if it does not fit, or has what
 * credentials cannot have. */
static bool unsbi_proxy_decode(const char *text, size_t size, char *out, size_t room)
{
    size_t i, n = 0;
    for (i = 0; i < size; i++) {
        unsigned value = (uint8_t)text[i];
        if (text[i] == '%') {
            char digits[3];
            if (size - i < 3) {
                return false;
            }
            digits[0] = text[i + 1];
            digits[1] = text[i + 2];
            digits[2] = '\0';
            if (unsb_address_hex(digits, &value) != 2) {
                return false;
            }
            i += 2;
        }
        if (value < ' ' || value == 0x7F || n + 1 >= room) {
            return false;
        }
        out[n++] = (char)value;
    }
    out[n] = '\0';
    return true;
}

/* "host[:port]", an address of IPv6 in brackets. */
static bool unsbi_proxy_place(unsb_proxy_settings *settings, const char *text, size_t size)
{
    const char *end = text + size, *stop = text;
    uint32_t number = 0;
    uint8_t address[16];

    if (size != 0 && *text == '[') {
        stop = ++text;
        while (stop < end && *stop != ']') {
            stop++;
        }
    } else {
        while (stop < end && *stop != ':') {
            stop++;
        }
    }
    if (stop == text || (size_t)(stop - text) >= sizeof settings->host) {
        return false;
    }
    memcpy(settings->host, text, (size_t)(stop - text));
    settings->host[stop - text] = '\0';
    if (stop < end && *stop == ']') {
        stop++;
        if (!unsb_address_ipv6(settings->host, address)) {
            return false;
        }
    } else if (text > end - size) {
        return false; /* no closing bracket */
    }
    for (size = 0; settings->host[size] != '\0'; size++) {
        if (settings->host[size] <= ' ' || settings->host[size] >= 0x7F) {
            return false;
        }
    }
    if (stop < end && *stop == ':') {
        if (++stop == end) {
            return false;
        }
        for (; stop < end && *stop >= '0' && *stop <= '9' && number <= 65535; stop++) {
            number = number * 10 + (uint32_t)(*stop - '0');
        }
        if (number == 0 || number > 65535) {
            return false;
        }
    }
    settings->port = (uint16_t)number;
    return stop == end;
}

static bool unsbi_proxy_parse(unsb_proxy_settings *settings, const char *url)
{
    size_t size = strcspn(url, "/?#"), at = size, colon;

    if (url[size] != '\0' && strcmp(url + size, "/") != 0) {
        return false;
    }
    while (at > 0 && url[at - 1] != '@') {
        at--;
    }
    if (at > 0) {
        for (colon = 0; colon < at - 1 && url[colon] != ':'; colon++) {
        }
        if (!unsbi_proxy_decode(url, colon, settings->user, sizeof settings->user) ||
            strchr(settings->user, ':') != NULL ||
            (colon < at - 1 && !unsbi_proxy_decode(url + colon + 1, at - colon - 2,
                                                   settings->password,
                                                   sizeof settings->password))) {
            return false;
        }
    }
    return unsbi_proxy_place(settings, url + at, size - at);
}

UNSBI_PROXY_FN int unsb_proxy_url(unsb_proxy_settings *settings, const char *url)
{
    const char *scheme = strstr(url, "://");

    (void)unsbi_proxy_memset(settings, 0, sizeof *settings);
    if (scheme != NULL) {
        if (scheme - url != 4 || !unsbi_proxy_same(url, "http", 4)) {
            return UNSB_E_PROXY_SCHEME;
        }
        url = scheme + 3;
    }
    if (!unsbi_proxy_parse(settings, url)) {
        (void)unsbi_proxy_memset(settings, 0, sizeof *settings);
        return UNSB_E_PROXY_CONFIG;
    }
    return UNSB_OK;
}

/* One entry against an address of `size` bytes. */
static bool unsbi_proxy_in_network(const char *entry, size_t length, const uint8_t *address,
                                   size_t size)
{
    char text[64];
    uint8_t network[16];
    size_t i, slash = 0;
    unsigned bits = 0;

    if (length >= sizeof text) {
        return false;
    }
    memcpy(text, entry, length);
    text[length] = '\0';
    while (text[slash] != '\0' && text[slash] != '/') {
        slash++;
    }
    if (text[slash] == '/') {
        text[slash] = '\0';
        for (i = slash + 1; i < length; i++) {
            if (text[i] < '0' || text[i] > '9' || bits > 128) {
                return false;
            }
            bits = bits * 10 + (unsigned)(text[i] - '0');
        }
    }
    if (bits > size * 8 ||
        !(size == 4 ? unsb_address_ipv4(text, network) : unsb_address_ipv6(text, network))) {
        return false;
    }
    if (bits == 0) {
        bits = (unsigned)size * 8; /* to curl, "/0" is no prefix */
    }
    for (i = 0; i < bits / 8; i++) {
        if (network[i] != address[i]) {
            return false;
        }
    }
    return bits % 8 == 0 || ((network[i] ^ address[i]) >> (8 - bits % 8)) == 0;
}

/* One entry against a name. */
static bool unsbi_proxy_in_domain(const char *entry, size_t length, const char *host, size_t size)
{
    if (length != 0 && entry[length - 1] == '.') {
        length--;
    }
    if (length != 0 && entry[0] == '.') {
        entry++;
        length--;
    }
    if (length == 0 || length > size || !unsbi_proxy_same(host + size - length, entry, length)) {
        return false;
    }
    return length == size || host[size - length - 1] == '.';
}

UNSBI_PROXY_FN bool unsb_proxy_excepted(const char *list, const char *host)
{
    size_t size = strlen(host), length;
    uint8_t address[16];
    size_t address_size = unsb_address_ipv4(host, address)                                 ? 4
                          : strchr(host, ':') != NULL && unsb_address_ipv6(host, address) ? 16
                                                                                          : 0;

    if (list == NULL) {
        return false;
    }
    if (strcmp(list, "*") == 0) {
        return true;
    }
    if (size != 0 && host[size - 1] == '.') {
        size--;
    }
    for (; *list != '\0'; list += length) {
        list += strspn(list, ", \t");
        length = strcspn(list, ", \t");
        if (length != 0 &&
            (address_size != 0 ? unsbi_proxy_in_network(list, length, address, address_size)
                               : unsbi_proxy_in_domain(list, length, host, size))) {
            return true;
        }
    }
    return false;
}

#if UNSB_PROXY_ENVIRONMENT
UNSBI_PROXY_FN int unsb_proxy_environment(unsb_proxy_settings *settings, const char *host)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    const char *url = NULL, *list = getenv("no_proxy");
    size_t i;

    (void)unsbi_proxy_memset(settings, 0, sizeof *settings);
    for (i = 0; i < sizeof names / sizeof names[0] && url == NULL; i++) {
        url = getenv(names[i]);
    }
    if (list == NULL) {
        list = getenv("NO_PROXY");
    }
    if (url == NULL || url[0] == '\0' || unsb_proxy_excepted(list, host)) {
        return UNSB_OK;
    }
    return unsb_proxy_url(settings, url);
}
#endif

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_PROXY_H */
