/* What the three programs share: TLS over their transport, and the app's configuration.
 *
 *     command line: HOST PORT [KEY] */
#ifndef DEVICE_H
#define DEVICE_H

#define UNSB_BEARSSL_PROFILE 0
#include "app.h"
#include "board.h"
#include "profile.h"
#include "unsandbox_bearssl.h"

#include "roots.h" /* made by ports/make_roots.py: see Makefile */

/* Bytes for TLS records. BR_SSL_BUFSIZE_MONO serves every server. One that honours
 * max_fragment_length lets it be 837, and saves 16 K of RAM. */
#ifndef DEVICE_RECORDS
#define DEVICE_RECORDS BR_SSL_BUFSIZE_MONO
#endif

typedef struct device {
    unsb_bearssl tls;
    app app;
    unsigned char records[DEVICE_RECORDS];
} device;

static uint16_t device_number(const char *text)
{
    uint32_t value = 0;

    while (*text >= '0' && *text <= '9' && value < 65536)
        value = value * 10 + (uint32_t)(*text++ - '0');
    return (uint16_t)(*text == '\0' && value < 65536 ? value : 0);
}

/* `inner` moves bytes; the rest is alike for all. */
static int device_start(device *d, unsb_transport inner, bool nonblocking)
{
    unsb_bearssl_config secure = {.inner = inner,
                                  .anchors = roots,
                                  .anchor_count = ROOTS_COUNT,
                                  .buffer = d->records,
                                  .buffer_size = sizeof d->records,
                                  .entropy = board_entropy,
                                  .unix_time = board_unix_time,
                                  .setup = profile_setup};
    const char *key = board_argument(3), *secret = board_argument(4);
    unsb_config config = {.transport = unsb_bearssl_transport(&d->tls, &secure),
                          .api_key = *key != '\0' ? key : "unsb-sk-test0-vault-unlck-12345",
                          .host = board_argument(1),
                          .port = device_number(board_argument(2)),
                          .secret_key = *secret != '\0' ? secret : NULL, /* to sign with */
                          .unix_time = board_unix_time,
                          .nonblocking = nonblocking,
                          .retries = 3,
                          .now_ms = board_now_ms};

    if (*config.host == '\0' || config.port == 0)
        return UNSB_E_ARGUMENT;
    d->app.config = config;
    return app_start(&d->app);
}

/* Says how it went, and ends the program. */
static void device_end(device *d, int rc)
{
    if (rc != UNSB_OK) {
        board_print_number("error ", rc, ": ");
        board_print(unsb_error_text(rc));
        board_print("\n");
        if (d->tls.error != 0)
            board_print_number("BearSSL's error: ", d->tls.error, "\n");
        if (d->app.result.http_status != 0)
            board_print_number("HTTP status: ", d->app.result.http_status, "\n");
    }
    app_end(&d->app);
    unsb_bearssl_wipe(&d->tls);
    board_print_number("samples due: ", (int32_t)sensor_taken(), "");
    board_print_number(", missed: ", (int32_t)sensor_missed(), "\n");
    board_report();
    board_exit(rc == UNSB_OK && sensor_missed() == 0 ? 0 : 1);
}

#endif
