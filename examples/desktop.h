/* What hello.c does to set up a client, as functions, for the examples that follow it: POSIX sockets,
 * BearSSL, the system's certificates. Keys: UNSANDBOX_PUBLIC_KEY and UNSANDBOX_SECRET_KEY, else
 * UNSANDBOX_API_KEY; service: UNSANDBOX_URL. */
#ifndef DESKTOP_H
#define DESKTOP_H

#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
#include "unsandbox_posix.h"
#include "unsandbox_bearssl.h"
#include "unsandbox_bearssl_pem.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct desktop {
    unsb_posix tcp;
    unsb_bearssl tls;
    unsb_bearssl_trust trust;
    char records[BR_SSL_BUFSIZE_MONO], buffer[16384], host[256];
} desktop;

/* Says what went wrong, as far as the library and the service told. */
static void desktop_explain(const desktop *d, int rc, const unsb_result *result)
{
    fprintf(stderr, "error %d: %s\n", rc, unsb_error_text(rc));
    if (result != NULL && result->http_status != 0)
        fprintf(stderr, "  the service answered %d %s %s\n", result->http_status, result->error,
                result->message);
    if (d->tls.error != 0)
        fprintf(stderr, "  BearSSL's error is %d\n", d->tls.error);
}

static int desktop_open(desktop *d, unsb_client *client, bool nonblocking)
{
    const char *key = getenv("UNSANDBOX_PUBLIC_KEY"), *secret = getenv("UNSANDBOX_SECRET_KEY");
    const char *bearer = getenv("UNSANDBOX_API_KEY"), *url = getenv("UNSANDBOX_URL");
    unsb_bearssl_config secure = {.inner = unsb_posix_transport(&d->tcp),
                                  .buffer = d->records,
                                  .buffer_size = sizeof d->records};
    unsb_config config = {.api_key = bearer ? bearer : "unsb-sk-test0-vault-unlck-12345",
                          .host = d->host,
                          .buffer = d->buffer,
                          .buffer_size = sizeof d->buffer,
                          .nonblocking = nonblocking,
                          .retries = 3,
                          .now_ms = unsb_posix_now_ms,
                          .unix_time = unsb_posix_unix_time};
    int rc = unsb_url_split(url ? url : "https://api.unsandbox.com", d->host, sizeof d->host,
                            &config.port, NULL);

    if (key && secret) { /* requests are signed; the secret is never sent */
        config.api_key = key;
        config.secret_key = secret;
    }
    if (rc == UNSB_OK)
        rc = unsb_bearssl_load_pem(&d->trust, NULL);
    if (rc == UNSB_OK) {
        secure.anchors = d->trust.anchors;
        secure.anchor_count = d->trust.count;
        config.transport = unsb_bearssl_transport(&d->tls, &secure);
        rc = unsb_init(client, &config);
    }
    if (rc != UNSB_OK)
        desktop_explain(d, rc, NULL);
    return rc;
}

static void desktop_close(desktop *d, unsb_client *client)
{
    unsb_close(client);
    unsb_bearssl_wipe(&d->tls);
    unsb_bearssl_free_trust(&d->trust);
}

/* An output sink that writes to a FILE. */
static inline int desktop_write(void *file, const void *data, size_t size)
{
    return fwrite(data, 1, size, (FILE *)file) == size ? UNSB_OK : UNSB_E_USER;
}

#endif
