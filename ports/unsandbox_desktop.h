/* unsandbox_desktop.h - all that a desktop program needs for unsandbox.h, in one struct
 *
 *     #define UNSANDBOX_IMPLEMENTATION      (in one file of the program)
 *     #include "unsandbox_desktop.h"        (first: it asks for POSIX where that must be asked for)
 *
 *     static unsb_desktop desktop;
 *     char why[UNSB_DESKTOP_TEXT];
 *     int rc = unsb_desktop_open(&desktop, NULL);
 *     if (rc == UNSB_OK)
 *         rc = unsb_execute(&desktop.client, &program, &result);
 *     if (rc != UNSB_OK)
 *         fprintf(stderr, "%s\n", unsb_desktop_explain(&desktop, rc, &result, why, sizeof why));
 *     unsb_desktop_close(&desktop);
 *
 * On Windows: Winsock and Schannel; link with -lws2_32 -lsecur32 -lcrypt32. Elsewhere: POSIX
 * sockets, and for TLS what a macro says, one of
 *     UNSB_DESKTOP_TLS_OPENSSL 1 (the default)     -lssl -lcrypto -lpthread
 *     UNSB_DESKTOP_TLS_MBEDTLS 1                   -lmbedtls -lmbedx509 -lmbedcrypto -lpthread
 *     UNSB_DESKTOP_TLS_BEARSSL 1                   -lbearssl -lpthread
 * Copy it with the ports that it includes, and with those that these include: unsandbox_address.h,
 * for Mbed TLS and BearSSL also unsandbox_x509.h. All functions are static. C99 or C++11.
 *
 * Keys, the first that are there:
 *   1. the options' public_key and secret_key, or their account
 *   2. UNSANDBOX_PUBLIC_KEY and UNSANDBOX_SECRET_KEY
 *   3. ~/.unsandbox/accounts.csv: a pair in each line, "unsb-pk-...,unsb-sk-...", which may be
 *      quoted and have blanks around them. UNSANDBOX_ACCOUNT is the number of the pair, from 0 (the
 *      default); lines that are no pair (empty ones, comments, titles) do not count
 *   4. UNSANDBOX_API_KEY: a bearer key, the service's older way
 * The service: the options' url, UNSANDBOX_URL, or https://api.unsandbox.com. An http:// address is
 * taken for this machine alone (localhost, 127.x.x.x, ::1), as keys and programs are in the clear
 * then. Proxies: HTTPS_PROXY, NO_PROXY and their like, see unsandbox_proxy.h; not for http://.
 * Trust: the file that SSL_CERT_FILE names, alone; else the system's certificates.
 * Variables that are empty are as if they were not set.
 *
 * The client has a buffer of 16 KB, both clocks, and retries = 3 (only where the service cannot
 * have started the program; see the manual).
 *
 * Memory: unsb_desktop, 20 to 70 KB by the TLS library, best static or on the heap; and what the
 * TLS library allocates. Any number of them, each of one thread at a time. It must not be moved or
 * copied between open and close.
 *
 * Errors of its own, besides those of the ports and of unsb_init():
 *   UNSB_E_DESKTOP_URL   the address cannot be used
 *   UNSB_E_DESKTOP_KEYS  no credentials, or some that cannot be used
 * desktop.problem has the reason, and unsb_desktop_explain() tells it. */
#ifndef UNSANDBOX_DESKTOP_H
#define UNSANDBOX_DESKTOP_H

#if defined(__STRICT_ANSI__) && !defined(_WIN32) && !defined(__APPLE__) &&                         \
    !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE) && !defined(_XOPEN_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#ifndef UNSANDBOX_H
#include "unsandbox.h"
#endif

/* ======================================================================
 * >>options  alike in all files of a program
 * ====================================================================== */

#ifndef UNSB_DESKTOP_TLS_MBEDTLS
#define UNSB_DESKTOP_TLS_MBEDTLS 0
#endif
#ifndef UNSB_DESKTOP_TLS_BEARSSL
#define UNSB_DESKTOP_TLS_BEARSSL 0
#endif
#ifndef UNSB_DESKTOP_TLS_OPENSSL
#if UNSB_DESKTOP_TLS_MBEDTLS || UNSB_DESKTOP_TLS_BEARSSL
#define UNSB_DESKTOP_TLS_OPENSSL 0
#else
#define UNSB_DESKTOP_TLS_OPENSSL 1
#endif
#endif
#if UNSB_DESKTOP_TLS_OPENSSL + UNSB_DESKTOP_TLS_MBEDTLS + UNSB_DESKTOP_TLS_BEARSSL != 1
#error "set one of UNSB_DESKTOP_TLS_OPENSSL, _MBEDTLS and _BEARSSL to 1"
#endif

#ifdef _WIN32
#include "unsandbox_winsock.h"
#include "unsandbox_schannel.h"
#else
#include "unsandbox_posix.h"
#if UNSB_DESKTOP_TLS_OPENSSL
#include "unsandbox_openssl.h"
#elif UNSB_DESKTOP_TLS_MBEDTLS
#include "unsandbox_mbedtls.h"
#include "unsandbox_mbedtls_pem.h"
#else
#include "unsandbox_bearssl.h"
#include "unsandbox_bearssl_pem.h"
#endif
#endif
#include "unsandbox_proxy.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__GNUC__)
#define UNSBI_DESKTOP_FN static __attribute__((unused))
#else
#define UNSBI_DESKTOP_FN static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>types
 * ====================================================================== */

#define UNSB_E_DESKTOP_URL (UNSB_E_USER - 30)
#define UNSB_E_DESKTOP_KEYS (UNSB_E_USER - 31)

#define UNSB_DESKTOP_TEXT 768 /* room for any text of unsb_desktop_explain() */

/* Zero is the default of every field. Texts are copied. */
typedef struct unsb_desktop_options {
    const char *public_key; /* "unsb-pk-..."; without secret_key a bearer key */
    const char *secret_key; /* "unsb-sk-..."; only with public_key */
    const char *account;    /* the number of a pair in accounts.csv, "0" ...; counts if there is no
                               public_key, and before the environment */
    const char *url;        /* "https://host[:port]" */
    bool nonblocking;       /* as unsb_config has it */
    uint32_t total_timeout_ms; /* likewise; 0: none */
} unsb_desktop_options;

#ifdef _WIN32
typedef unsb_winsock unsbi_desktop_tcp;
typedef unsb_schannel unsbi_desktop_tls;
typedef struct unsbi_desktop_trust {
    HCERTSTORE store;
    int error;
} unsbi_desktop_trust;
#else
typedef unsb_posix unsbi_desktop_tcp;
#if UNSB_DESKTOP_TLS_OPENSSL
typedef unsb_openssl unsbi_desktop_tls;
typedef unsb_openssl_trust unsbi_desktop_trust;
#elif UNSB_DESKTOP_TLS_MBEDTLS
typedef unsb_mbedtls unsbi_desktop_tls;
typedef unsb_mbedtls_trust unsbi_desktop_trust;
#else
typedef unsb_bearssl unsbi_desktop_tls;
typedef unsb_bearssl_trust unsbi_desktop_trust;
#endif
#endif

typedef struct unsb_desktop {
    unsb_client client; /* for all operations, after unsb_desktop_open() was UNSB_OK */
    /* to be read */
    unsb_transport transport; /* what the client talks through, for its `wait` */
    unsbi_desktop_tcp tcp;    /* unsb_posix or unsb_winsock, for unsb_posix_interrupt() ... */
    unsb_proxy proxy;
    uint16_t port;
    bool is_tls;
    char host[256];
    char keys_from[48]; /* where the credentials are from, "" without any */
    char public_key[256], secret_key[256]; /* "": a bearer key, which is in public_key */
    char problem[256];  /* with an error of unsb_desktop_open(): the reason, or "" */
    /* private */
    bool opened;
    unsb_proxy_settings settings;
    unsbi_desktop_tls tls;
    unsbi_desktop_trust trust;
    char buffer[16384];
#ifdef _WIN32
    unsigned char records[UNSB_SCHANNEL_BUFFER];
#elif UNSB_DESKTOP_TLS_BEARSSL
    unsigned char records[BR_SSL_BUFSIZE_BIDI];
#endif
} unsb_desktop;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Sets up desktop->client; connects to nothing yet. Whatever `desktop` held is overwritten: close
 * it before. `options` NULL: all defaults. UNSB_OK, UNSB_E_DESKTOP_URL, UNSB_E_DESKTOP_KEYS,
 * UNSB_E_TRUST (no certificates to trust), UNSB_E_PROXY_CONFIG and _SCHEME (a proxy in the
 * environment that cannot be used), or what unsb_init() says. After an error only
 * unsb_desktop_explain() and unsb_desktop_close() may be called, and the latter should be. */
UNSBI_DESKTOP_FN int unsb_desktop_open(unsb_desktop *desktop, const unsb_desktop_options *options);
/* Ends the client, releases all and wipes keys and buffers. Also twice, and on a zeroed one. The
 * pending operation, if any, is aborted. */
UNSBI_DESKTOP_FN void unsb_desktop_close(unsb_desktop *desktop);
/* For a non-blocking client: sleeps until unsb_poll() can go on, or `most_ms` have passed; for
 * programs that wait for nothing else. UNSB_OK, UNSB_E_TIMEOUT (time passed; poll nevertheless), or
 * the transport's error. */
UNSBI_DESKTOP_FN int unsb_desktop_wait(unsb_desktop *desktop, uint32_t most_ms);
/* The layer's clock: monotonic milliseconds, as unsb_config.now_ms. `unused` may be NULL. */
UNSBI_DESKTOP_FN uint32_t unsb_desktop_now_ms(void *unused);
/* Writes what happened, why, and what may help, in one line for people, without keys and without
 * control characters. `rc` is what a call returned; `result` may be NULL, and is what the call was
 * given. To be asked before the next operation. Returns `text`, always NUL-terminated and cut to
 * `size` (1 or more). UNSB_OK with a result that is no success: how the program ended. */
UNSBI_DESKTOP_FN const char *unsb_desktop_explain(const unsb_desktop *desktop, int rc,
                                                  const unsb_result *result, char *text,
                                                  size_t size);
/* A sink for unsb_output.write: to a FILE, the context, which is flushed each time. */
UNSBI_DESKTOP_FN int unsb_desktop_write(void *file, const void *data, size_t size);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

/* Through a volatile pointer, or compilers drop stores to memory that is not read any more. */
static void *(*const volatile unsbi_desktop_memset)(void *, int, size_t) = memset;

/* NULL for what is not set or empty. */
static const char *unsbi_desktop_env(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static int unsbi_desktop_problem(unsb_desktop *desktop, int rc, const char *before,
                                 const char *after)
{
    (void)snprintf(desktop->problem, sizeof desktop->problem, "%s%s", before, after);
    return rc;
}

/* ---- credentials ---- */

static int unsbi_desktop_keys(unsb_desktop *desktop, const char *from, const char *key,
                              const char *secret)
{
    size_t key_size = strlen(key), secret_size = secret != NULL ? strlen(secret) : 0;
    (void)snprintf(desktop->keys_from, sizeof desktop->keys_from, "%s", from);
    if (key_size == 0 || key_size >= sizeof desktop->public_key ||
        secret_size >= sizeof desktop->secret_key) {
        return unsbi_desktop_problem(desktop, UNSB_E_DESKTOP_KEYS,
                                     "a key is empty or longer than 255 characters, from ", from);
    }
    memcpy(desktop->public_key, key, key_size + 1);
    if (secret != NULL) {
        memcpy(desktop->secret_key, secret, secret_size + 1);
    }
    return UNSB_OK;
}

/* Cuts blanks and a pair of quotes off a field that ends at `end`. */
static char *unsbi_desktop_field(char *field, char *end)
{
    while (field < end && strchr(" \t\r\n", *field) != NULL) {
        field++;
    }
    while (end > field && strchr(" \t\r\n", end[-1]) != NULL) {
        end--;
    }
    if (end - field >= 2 && *field == '"' && end[-1] == '"') {
        field++;
        end--;
    }
    *end = '\0';
    return field;
}

/* A line's pair, or false: it has none. The line is written to. */
static bool unsbi_desktop_pair(char *line, char **key, char **secret)
{
    char *comma, *end;
    if (strncmp(line, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark */
        line += 3;
    }
    if (line[0] == '#' || (comma = strchr(line, ',')) == NULL) {
        return false;
    }
    end = strchr(comma + 1, ','); /* further columns do not count */
    if (end == NULL) {
        end = comma + strlen(comma);
    }
    *secret = unsbi_desktop_field(comma + 1, end);
    *key = unsbi_desktop_field(line, comma);
    return strncmp(*key, "unsb-pk-", 8) == 0 && strncmp(*secret, "unsb-sk-", 8) == 0;
}

/* Takes pair `row` of a file: true if there is one. *rows counts what was there up to it. */
static bool unsbi_desktop_row(unsb_desktop *desktop, FILE *file, unsigned long row,
                              unsigned long *rows, int *rc)
{
    char line[1024], *key, *secret;
    bool found = false, whole = true;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        bool begins = whole; /* else it is the rest of a line that was too long */
        whole = strchr(line, '\n') != NULL || feof(file) != 0;
        if (begins && whole && unsbi_desktop_pair(line, &key, &secret) && (*rows)++ == row) {
            *rc = unsbi_desktop_keys(desktop, "~/.unsandbox/accounts.csv", key, secret);
            found = true;
        }
    }
    (void)unsbi_desktop_memset(line, 0, sizeof line);
    return found;
}

/* Pair `account` of accounts.csv, the first if it is NULL. With `account` NULL, *rc is left alone
 * and false returned if there is none. */
static bool unsbi_desktop_account(unsb_desktop *desktop, const char *account, int *rc)
{
    char path[1024];
    unsigned long row = 0, rows = 0;
    char *end;
    bool found = false;
    FILE *file = NULL;
#ifdef _WIN32
    const char *home = unsbi_desktop_env("USERPROFILE");
#else
    const char *home = unsbi_desktop_env("HOME");
#endif

    if (account != NULL) {
        row = strtoul(account, &end, 10);
        if (account[0] < '0' || account[0] > '9' || *end != '\0') {
            *rc = unsbi_desktop_problem(desktop, UNSB_E_DESKTOP_KEYS, "the account is to be the "
                                        "number of a pair in accounts.csv, from 0", "");
            return true;
        }
    }
    if (home != NULL && strlen(home) < sizeof path - 32) {
        (void)snprintf(path, sizeof path, "%s/.unsandbox/accounts.csv", home);
        file = fopen(path, "r");
        if (file == NULL && errno != ENOENT && errno != ENOTDIR) {
            (void)snprintf(desktop->problem, sizeof desktop->problem,
                           "; ~/.unsandbox/accounts.csv cannot be read: %s", strerror(errno));
        }
    }
    if (file != NULL) {
        char io[1024]; /* stdio's own buffer would keep the secrets on the heap */
        (void)setvbuf(file, io, _IOFBF, sizeof io);
        found = unsbi_desktop_row(desktop, file, row, &rows, rc);
        (void)fclose(file);
        (void)unsbi_desktop_memset(io, 0, sizeof io);
    }
    if (!found && account != NULL) {
        (void)snprintf(desktop->problem, sizeof desktop->problem,
                       file == NULL ? "account %lu: ~/.unsandbox/accounts.csv cannot be read"
                                    : "account %lu: ~/.unsandbox/accounts.csv has %lu pairs of "
                                      "keys, counted from 0",
                       row, rows);
        *rc = UNSB_E_DESKTOP_KEYS;
        return true;
    }
    return found;
}

static int unsbi_desktop_credentials(unsb_desktop *desktop, const unsb_desktop_options *options)
{
    const char *key = unsbi_desktop_env("UNSANDBOX_PUBLIC_KEY");
    const char *secret = unsbi_desktop_env("UNSANDBOX_SECRET_KEY");
    const char *bearer = unsbi_desktop_env("UNSANDBOX_API_KEY");
    char unread[sizeof desktop->problem];
    int rc = UNSB_OK;

    if (options->public_key != NULL) {
        return unsbi_desktop_keys(desktop, "the options", options->public_key, options->secret_key);
    }
    if (options->secret_key != NULL) {
        return unsbi_desktop_problem(desktop, UNSB_E_DESKTOP_KEYS, "the options have a secret key "
                                     "without its public key", "");
    }
    if (options->account != NULL) {
        (void)unsbi_desktop_account(desktop, options->account, &rc);
        return rc;
    }
    if (key != NULL && secret != NULL) {
        return unsbi_desktop_keys(desktop, "UNSANDBOX_PUBLIC_KEY and _SECRET_KEY", key, secret);
    }
    if (unsbi_desktop_account(desktop, unsbi_desktop_env("UNSANDBOX_ACCOUNT"), &rc)) {
        return rc;
    }
    if (bearer != NULL) {
        desktop->problem[0] = '\0';
        return unsbi_desktop_keys(desktop, "UNSANDBOX_API_KEY", bearer, NULL);
    }
    memcpy(unread, desktop->problem, sizeof unread); /* why accounts.csv could not be read, or "" */
    (void)snprintf(desktop->problem, sizeof desktop->problem,
                   "%s: set both, or put the pair into ~/.unsandbox/accounts.csv, or set "
                   "UNSANDBOX_API_KEY%.100s",
                   key != NULL      ? "UNSANDBOX_SECRET_KEY is not set, UNSANDBOX_PUBLIC_KEY is"
                   : secret != NULL ? "UNSANDBOX_PUBLIC_KEY is not set, UNSANDBOX_SECRET_KEY is"
                                    : "there are no keys",
                   unread);
    return UNSB_E_DESKTOP_KEYS;
}

/* ---- the address ---- */

/* Which part of an address that unsb_url_split() refuses, with `rc`, is wrong. */
static const char *unsbi_desktop_url_fault(const char *url, int rc)
{
    const char *host = strstr(url, "://"), *end, *port;
    if (host == NULL) {
        return "it has no scheme: write https:// before it";
    }
    if (rc == UNSB_E_SCHEME) {
        return "its scheme must be https";
    }
    host += 3;
    end = host + strcspn(host, "/?#");
    if (end == host || *host == ':') {
        return "it names no host";
    }
    if (memchr(host, '@', (size_t)(end - host)) != NULL) {
        return "it must not have a user or password";
    }
    if (*end != '\0' && strcmp(end, "/") != 0) {
        return "it must end after host and port, without a path";
    }
    if (end - host > 255) {
        return "its host is too long";
    }
    if (*host == '[') {
        port = (const char *)memchr(host, ']', (size_t)(end - host));
        if (port++ == NULL) {
            return "its IPv6 address lacks the closing bracket";
        }
    } else {
        port = (const char *)memchr(host, ':', (size_t)(end - host));
    }
    if (port != NULL && port < end && *port == ':') {
        if (memchr(port + 1, ':', (size_t)(end - port - 1)) != NULL) {
            return "an IPv6 address must be in brackets";
        }
        return "its port must be a number from 1 to 65535";
    }
    return "its host has a character that it may not have";
}

/* Is it this machine? Only there may keys travel without TLS. */
static bool unsbi_desktop_local(const char *host)
{
    uint8_t address[4];
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           (unsb_address_ipv4(host, address) && address[0] == 127);
}

static int unsbi_desktop_address(unsb_desktop *desktop, const unsb_desktop_options *options)
{
    const char *url = options->url, *from = "the url given: ", *fault = NULL;
    int rc;
    if (url == NULL) {
        url = unsbi_desktop_env("UNSANDBOX_URL");
        from = "UNSANDBOX_URL: ";
    }
    if (url == NULL) {
        url = "https://api.unsandbox.com";
    }
    rc = unsb_url_split(url, desktop->host, sizeof desktop->host, &desktop->port,
                        &desktop->is_tls);
    if (rc != UNSB_OK) {
        desktop->host[0] = '\0';
        fault = unsbi_desktop_url_fault(url, rc);
    } else if (strspn(desktop->host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789-._:%") != strlen(desktop->host)) {
        desktop->host[0] = '\0';
        fault = "its host has a character that it may not have";
    } else if (!desktop->is_tls && !unsbi_desktop_local(desktop->host)) {
        fault = "http:// is for this machine alone, as keys would be in the clear: use https://";
    }
    return fault == NULL ? UNSB_OK
                         : unsbi_desktop_problem(desktop, UNSB_E_DESKTOP_URL, from, fault);
}

/* ---- the transports ---- */

#ifdef _WIN32
/* Schannel trusts what Windows does unless there is a store. */
static int unsbi_desktop_trust_load(unsb_desktop *desktop)
{
    const char *path = unsbi_desktop_env("SSL_CERT_FILE");
    FILE *file;
    char *pem = NULL;
    long size = -1;
    int rc = UNSB_E_TRUST;

    if (path == NULL) {
        return UNSB_OK;
    }
    if ((file = fopen(path, "rb")) == NULL) {
        desktop->trust.error = errno;
        return UNSB_E_TRUST;
    }
    if (fseek(file, 0, SEEK_END) == 0) {
        size = ftell(file);
    }
    rewind(file);
    if (size > 0 && (pem = (char *)malloc((size_t)size)) != NULL) {
        size = (long)fread(pem, 1, (size_t)size, file);
        rc = unsb_schannel_add_pem(&desktop->trust.store, pem, (size_t)size);
    }
    (void)fclose(file);
    free(pem);
    return rc;
}
#elif UNSB_DESKTOP_TLS_OPENSSL
#define unsbi_desktop_trust_load(desktop) unsb_openssl_load_pem(&(desktop)->trust, NULL)
#elif UNSB_DESKTOP_TLS_MBEDTLS
#define unsbi_desktop_trust_load(desktop) unsb_mbedtls_load_pem(&(desktop)->trust, NULL)
#else
#define unsbi_desktop_trust_load(desktop) unsb_bearssl_load_pem(&(desktop)->trust, NULL)
#endif

static unsb_transport unsbi_desktop_secure(unsb_desktop *desktop, unsb_transport inner)
{
#ifdef _WIN32
    unsb_schannel_config secure;
    memset(&secure, 0, sizeof secure);
    secure.inner = inner;
    secure.anchors = desktop->trust.store;
    secure.buffer = desktop->records;
    secure.buffer_size = sizeof desktop->records;
    return unsb_schannel_transport(&desktop->tls, &secure);
#elif UNSB_DESKTOP_TLS_OPENSSL
    unsb_openssl_config secure;
    memset(&secure, 0, sizeof secure);
    secure.inner = inner;
    secure.anchors = desktop->trust.store;
    secure.unix_time = unsb_posix_unix_time;
    return unsb_openssl_transport(&desktop->tls, &secure);
#elif UNSB_DESKTOP_TLS_MBEDTLS
    unsb_mbedtls_config secure;
    memset(&secure, 0, sizeof secure);
    secure.inner = inner;
    secure.anchors = &desktop->trust.anchors;
    secure.unix_time = unsb_posix_unix_time;
    return unsb_mbedtls_transport(&desktop->tls, &secure);
#else
    unsb_bearssl_config secure;
    memset(&secure, 0, sizeof secure);
    secure.inner = inner;
    secure.anchors = desktop->trust.anchors;
    secure.anchor_count = desktop->trust.count;
    secure.buffer = desktop->records;
    secure.buffer_size = sizeof desktop->records;
    secure.unix_time = unsb_posix_unix_time;
    return unsb_bearssl_transport(&desktop->tls, &secure);
#endif
}

static int unsbi_desktop_stack(unsb_desktop *desktop)
{
    unsb_transport bottom;
    const char *file;
    int rc;
#ifdef _WIN32
    bottom = unsb_winsock_transport(&desktop->tcp);
#else
    bottom = unsb_posix_transport(&desktop->tcp);
#endif
    if (!desktop->is_tls) {
        desktop->transport = bottom;
        return UNSB_OK;
    }
    rc = unsb_proxy_environment(&desktop->settings, desktop->host);
    if (rc != UNSB_OK) {
        return unsbi_desktop_problem(desktop, rc, "the proxy that the environment names "
                                     "(HTTPS_PROXY, ALL_PROXY) cannot be used", "");
    }
    if (unsbi_desktop_trust_load(desktop) != UNSB_OK) {
        file = unsbi_desktop_env("SSL_CERT_FILE");
        (void)snprintf(desktop->problem, sizeof desktop->problem, "%s%.150s: %s",
                       file != NULL ? "SSL_CERT_FILE, " : "the system's certificates (install "
                       "ca-certificates, or name a file by SSL_CERT_FILE)", file ? file : "",
                       desktop->trust.error != 0 ? strerror(desktop->trust.error)
                                                 : "no certificate in it can be used");
        return UNSB_E_TRUST;
    }
    desktop->transport = unsbi_desktop_secure(
        desktop, unsb_proxy_transport(&desktop->proxy, bottom, &desktop->settings));
    return UNSB_OK;
}

UNSBI_DESKTOP_FN int unsb_desktop_open(unsb_desktop *desktop, const unsb_desktop_options *options)
{
    unsb_desktop_options defaults;
    unsb_config config;
    int rc;

    memset(&defaults, 0, sizeof defaults);
    memset(&config, 0, sizeof config);
    memset(desktop, 0, sizeof *desktop);
    options = options != NULL ? options : &defaults;
    rc = unsbi_desktop_address(desktop, options);
    if (rc == UNSB_OK) {
        rc = unsbi_desktop_credentials(desktop, options);
    }
    if (rc == UNSB_OK) {
        rc = unsbi_desktop_stack(desktop);
    }
    if (rc != UNSB_OK) {
        return rc;
    }
    config.transport = desktop->transport;
    config.api_key = desktop->public_key;
    config.secret_key = desktop->secret_key[0] != '\0' ? desktop->secret_key : NULL;
    config.buffer = desktop->buffer;
    config.buffer_size = sizeof desktop->buffer;
    config.host = desktop->host;
    config.port = desktop->port;
    config.nonblocking = options->nonblocking;
#if UNSB_RETRIES
    config.retries = 3;
#endif
    config.total_timeout_ms = options->total_timeout_ms;
    config.now_ms = unsb_desktop_now_ms;
#ifdef _WIN32
    config.unix_time = unsb_winsock_unix_time;
#else
    config.unix_time = unsb_posix_unix_time;
#endif
    rc = unsb_init(&desktop->client, &config);
    desktop->opened = rc == UNSB_OK;
    return rc;
}

UNSBI_DESKTOP_FN void unsb_desktop_close(unsb_desktop *desktop)
{
    if (desktop->opened) {
        unsb_close(&desktop->client);
    }
    if (desktop->is_tls && desktop->transport.vtable != NULL) {
#ifdef _WIN32
        unsb_schannel_wipe(&desktop->tls);
#elif UNSB_DESKTOP_TLS_OPENSSL
        unsb_openssl_wipe(&desktop->tls);
#elif UNSB_DESKTOP_TLS_MBEDTLS
        unsb_mbedtls_wipe(&desktop->tls);
#else
        unsb_bearssl_wipe(&desktop->tls);
#endif
    }
#ifdef _WIN32
    if (desktop->trust.store != NULL) {
        (void)CertCloseStore(desktop->trust.store, 0);
    }
#elif UNSB_DESKTOP_TLS_OPENSSL
    unsb_openssl_free_trust(&desktop->trust);
#elif UNSB_DESKTOP_TLS_MBEDTLS
    unsb_mbedtls_free_trust(&desktop->trust);
#else
    unsb_bearssl_free_trust(&desktop->trust);
#endif
    (void)unsbi_desktop_memset(desktop, 0, sizeof *desktop);
}

UNSBI_DESKTOP_FN int unsb_desktop_wait(unsb_desktop *desktop, uint32_t most_ms)
{
    uint32_t timeout_ms = UNSB_FOREVER;
    int interest = unsb_interest(&desktop->client, &timeout_ms);
    return desktop->transport.vtable->wait(desktop->transport.context, interest,
                                           timeout_ms < most_ms ? timeout_ms : most_ms);
}

UNSBI_DESKTOP_FN uint32_t unsb_desktop_now_ms(void *unused)
{
#ifdef _WIN32
    return unsb_winsock_now_ms(unused);
#else
    return unsb_posix_now_ms(unused);
#endif
}

/* ---- explanations ---- */

static void unsbi_desktop_say(char *text, size_t size, const char *more)
{
    size_t used = strlen(text);
    while (*more != '\0' && used + 1 < size) {
        unsigned char c = (unsigned char)*more++;
        text[used++] = (char)(c < 0x20 || c == 0x7F ? ' ' : c); /* terminals obey some */
    }
    text[used] = '\0';
}

/* What the TLS library says, "" if nothing. */
static const char *unsbi_desktop_tls_text(const unsb_desktop *desktop)
{
    if (desktop->transport.vtable == NULL || !desktop->is_tls) {
        return "";
    }
#ifdef _WIN32
    return unsb_schannel_error_text(desktop->tls.error);
#elif UNSB_DESKTOP_TLS_OPENSSL
    return unsb_openssl_error_text(&desktop->tls);
#elif UNSB_DESKTOP_TLS_MBEDTLS
    return unsb_mbedtls_error_text(&desktop->tls);
#else
    return unsb_bearssl_error_text(&desktop->tls);
#endif
}

enum {
    UNSBI_DESKTOP_OTHER,
    UNSBI_DESKTOP_DATES,
    UNSBI_DESKTOP_NAME,
    UNSBI_DESKTOP_ISSUER
};

/* Which fault of a certificate it is, of those that people can mend. */
static int unsbi_desktop_fault(const unsb_desktop *desktop)
{
    int error = desktop->tls.error;
#ifdef _WIN32
    switch ((uint32_t)error) {
    case (uint32_t)CERT_E_EXPIRED: return UNSBI_DESKTOP_DATES;
    case (uint32_t)CERT_E_CN_NO_MATCH: return UNSBI_DESKTOP_NAME;
    case (uint32_t)CERT_E_UNTRUSTEDROOT:
    case (uint32_t)CERT_E_CHAINING: return UNSBI_DESKTOP_ISSUER;
    default: return UNSBI_DESKTOP_OTHER;
    }
#elif UNSB_DESKTOP_TLS_OPENSSL
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return UNSBI_DESKTOP_DATES;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return UNSBI_DESKTOP_NAME;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: return UNSBI_DESKTOP_ISSUER;
    default: return UNSBI_DESKTOP_OTHER;
    }
#elif UNSB_DESKTOP_TLS_MBEDTLS
    if (error < 0) {
        return UNSBI_DESKTOP_OTHER;
    }
    /* a name or date that is wrong is so whoever signed it */
    return (error & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0 ? UNSBI_DESKTOP_NAME
           : (error & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)) != 0
               ? UNSBI_DESKTOP_DATES
           : (error & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0 ? UNSBI_DESKTOP_ISSUER
                                                              : UNSBI_DESKTOP_OTHER;
#else
    switch (error) {
    case BR_ERR_X509_EXPIRED:
    case UNSB_BEARSSL_NOT_YET_VALID: return UNSBI_DESKTOP_DATES;
    case BR_ERR_X509_BAD_SERVER_NAME: return UNSBI_DESKTOP_NAME;
    case BR_ERR_X509_NOT_TRUSTED: return UNSBI_DESKTOP_ISSUER;
    default: return UNSBI_DESKTOP_OTHER;
    }
#endif
}

/* What may help; "" if nothing is known that does. */
static const char *unsbi_desktop_remedy(const unsb_desktop *desktop, int rc)
{
    switch (rc) {
    case UNSB_E_CERTIFICATE:
        switch (unsbi_desktop_fault(desktop)) {
        case UNSBI_DESKTOP_DATES:
            return "it is out of its dates: look at this machine's clock, else the service must "
                   "renew it";
        case UNSBI_DESKTOP_NAME:
            return "it is for another name: look at the host in UNSANDBOX_URL";
        case UNSBI_DESKTOP_ISSUER:
            return "an unknown authority signed it: if it is yours, name its certificate by "
                   "SSL_CERT_FILE; else somebody may be in between";
        default:
            return "do not send keys there";
        }
    case UNSB_E_RESOLVE: return "look at the host's name and at the network";
    case UNSB_E_CONNECT:
        return "look whether the service runs there, and at the network or its firewall";
    case UNSB_E_TIMEOUT: return "try again; a program that runs long belongs into a job";
    case UNSB_E_TLS: return "look whether that port speaks TLS (https) at all";
    case UNSB_E_UNAUTHORIZED: return "look at the keys";
    case UNSB_E_FORBIDDEN: return "this key's tier does not allow it";
    case UNSB_E_CLOCK: return "set this machine's clock";
    case UNSB_E_RATE_LIMITED: return "wait and try again, or run fewer at a time";
    case UNSB_E_SERVER: return "try again later";
    case UNSB_E_HEADER_BYTE: return "look for blanks or line ends in the keys";
    case UNSB_E_PROXY_AUTH: return "put user:password@ into HTTPS_PROXY";
    case UNSB_E_PROXY_SCHEME: return "http:// proxies alone are spoken to";
    case UNSB_E_PROXY_CONFIG: return "write http://[user:password@]host[:port]";
    case UNSB_E_PROXY_FORBIDDEN: return "ask who runs the proxy, or name the host in NO_PROXY";
    case UNSB_E_CLOSED:
    case UNSB_E_IO:
    case UNSB_E_TRUNCATED: return "a program that was being sent may have run nevertheless";
    case UNSB_E_SINK: return "look for a full disk, or who closed what the output goes to";
    case UNSB_E_TRUST: return "without trusted certificates no service can be told from another";
    default: return "";
    }
}

static void unsbi_desktop_place(const unsb_desktop *desktop, char *text, size_t size)
{
    char number[16];
    (void)snprintf(number, sizeof number, ":%u: ", (unsigned)desktop->port);
    unsbi_desktop_say(text, size, desktop->is_tls ? "https://" : "http://");
    unsbi_desktop_say(text, size, strchr(desktop->host, ':') != NULL ? "[" : "");
    unsbi_desktop_say(text, size, desktop->host);
    unsbi_desktop_say(text, size, strchr(desktop->host, ':') != NULL ? "]" : "");
    unsbi_desktop_say(text, size, number);
}

static void unsbi_desktop_ended(const unsb_result *result, char *text, size_t size)
{
    char number[48];
    if (result == NULL || result->success) {
        unsbi_desktop_say(text, size, "it succeeded");
        return;
    }
    (void)snprintf(number, sizeof number, "the program failed with exit code %ld",
                   (long)result->exit_code);
    unsbi_desktop_say(text, size, result->status == UNSB_STATUS_TIMEOUT
                                      ? "the program exceeded its ttl and was stopped"
                                  : result->status == UNSB_STATUS_CANCELLED
                                      ? "the program was cancelled"
                                  : (result->given & UNSB_GIVEN_EXIT_CODE) != 0
                                      ? number
                                      : "the program did not succeed");
}

UNSBI_DESKTOP_FN const char *unsb_desktop_explain(const unsb_desktop *desktop, int rc,
                                                  const unsb_result *result, char *text,
                                                  size_t size)
{
    bool answered = rc <= -50 && rc > UNSB_E_USER && result != NULL && result->http_status != 0;
    bool wire = rc <= -30 && rc > -50;
    const char *said = unsb_proxy_error_text(rc), *remedy = unsbi_desktop_remedy(desktop, rc);
    const char *tls = (wire || rc <= UNSB_E_USER) && desktop->tls.error != 0
                          ? unsbi_desktop_tls_text(desktop)
                          : "";
    char number[48];

    text[0] = '\0';
    if (rc >= 0) {
        unsbi_desktop_ended(result, text, size);
        return text;
    }
    if (rc == UNSB_E_DESKTOP_URL || rc == UNSB_E_DESKTOP_KEYS) {
        unsbi_desktop_say(text, size, desktop->problem);
        return text;
    }
    if (desktop->opened && (wire || answered || rc <= UNSB_E_USER)) {
        unsbi_desktop_place(desktop, text, size);
    }
    if (said[0] == '\0') {
        (void)snprintf(number, sizeof number, "error %d", rc);
        said = number;
    }
    unsbi_desktop_say(text, size, said);
    if (answered) {
        const char *const words[2] = {result->error, result->message};
        int i;
        for (i = 0; i < 2; i++) {
            unsbi_desktop_say(text, size, words[i][0] != '\0' ? ": " : "");
            unsbi_desktop_say(text, size, words[i]);
        }
    }
    unsbi_desktop_say(text, size, tls[0] != '\0' ? ": " : "");
    unsbi_desktop_say(text, size, tls);
    if (wire && tls[0] == '\0' && desktop->opened && desktop->tcp.error != 0) {
#ifdef _WIN32
        (void)snprintf(number, sizeof number, ": Winsock's error %d", desktop->tcp.error);
        unsbi_desktop_say(text, size, number);
#else
        unsbi_desktop_say(text, size, ": ");
        unsbi_desktop_say(text, size, strerror(desktop->tcp.error));
#endif
    }
    if (!desktop->opened && desktop->problem[0] != '\0') {
        unsbi_desktop_say(text, size, ": ");
        unsbi_desktop_say(text, size, desktop->problem);
    }
    unsbi_desktop_say(text, size, remedy[0] != '\0' ? "; " : "");
    unsbi_desktop_say(text, size, remedy);
    if ((rc == UNSB_E_UNAUTHORIZED || rc == UNSB_E_HEADER_BYTE) && desktop->keys_from[0] != '\0') {
        unsbi_desktop_say(text, size, ", which are from ");
        unsbi_desktop_say(text, size, desktop->keys_from);
    }
    return text;
}

UNSBI_DESKTOP_FN int unsb_desktop_write(void *file, const void *data, size_t size)
{
    FILE *to = (FILE *)file;
    if (size == 0) { /* the service gives the same output anew: what is written stays */
        return UNSB_OK;
    }
    return fwrite(data, 1, size, to) == size && fflush(to) == 0 ? UNSB_OK : UNSB_E_SINK;
}

#ifdef __cplusplus
}
#endif

#endif
