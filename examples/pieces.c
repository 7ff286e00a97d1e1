/* hello.c without unsandbox_desktop.h: each piece placed by hand, as firmware and games do.
 * Keys: UNSANDBOX_PUBLIC_KEY and UNSANDBOX_SECRET_KEY, else UNSANDBOX_API_KEY; service:
 * UNSANDBOX_URL. */
#define _POSIX_C_SOURCE 200809L
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
#include "unsandbox_posix.h"
#include "unsandbox_bearssl.h"
#include "unsandbox_bearssl_pem.h"
#include <stdio.h>
#include <stdlib.h>

static unsb_posix tcp;
static unsb_bearssl tls;
static unsb_bearssl_trust trust;
static unsb_client client;
static char records[BR_SSL_BUFSIZE_MONO], buffer[1024], host[256], text[4096];

int main(void)
{
    const char *key = getenv("UNSANDBOX_PUBLIC_KEY"), *secret = getenv("UNSANDBOX_SECRET_KEY");
    const char *bearer = getenv("UNSANDBOX_API_KEY"), *url = getenv("UNSANDBOX_URL");
    unsb_bearssl_config secure = {.inner = unsb_posix_transport(&tcp), .buffer = records,
                                  .buffer_size = sizeof records};
    unsb_config config = {.api_key = bearer ? bearer : "unsb-sk-test0-vault-unlck-12345",
                          .buffer = buffer, .buffer_size = sizeof buffer, .host = host,
                          .now_ms = unsb_posix_now_ms, .unix_time = unsb_posix_unix_time};
    unsb_program program = {.language = "python", .code = unsb_text("print(6 * 7)")};
    unsb_result result = {.out = unsb_into(text, sizeof text)};
    int rc = unsb_url_split(url ? url : "https://api.unsandbox.com", host, sizeof host,
                            &config.port, NULL);

    if (key && secret) { /* requests are signed; the secret is never sent */
        config.api_key = key;
        config.secret_key = secret;
    }
    if (rc == UNSB_OK)
        rc = unsb_bearssl_load_pem(&trust, NULL); /* the system's, or SSL_CERT_FILE's */
    secure.anchors = trust.anchors;
    secure.anchor_count = trust.count;
    config.transport = unsb_bearssl_transport(&tls, &secure);
    if (rc == UNSB_OK)
        rc = unsb_init(&client, &config);
    if (rc == UNSB_OK)
        rc = unsb_execute(&client, &program, &result);
    if (rc == UNSB_OK)
        printf("%s", text);
    else
        fprintf(stderr, "%s %s\n", unsb_error_text(rc), result.message);
    unsb_close(&client);
    unsb_bearssl_free_trust(&trust);
    return rc == UNSB_OK && result.success ? 0 : 1;
}
