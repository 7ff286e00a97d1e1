/* libFuzzer: any bytes as the service's answer to each operation. The operation must end, with the
 * client usable, whatever comes; nothing but its outputs and the I/O buffer is written to. The first
 * bytes choose the operation, the buffer's size and the pieces. */
#include <stdio.h>
#include <stdlib.h>
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct peer {
    const uint8_t *data;
    size_t size, piece;
    uint32_t now;
    unsigned calls;
    bool open;
} peer;

static int peer_connect(void *context, const char *host, uint16_t port)
{
    ((peer *)context)->open = host != NULL && port != 0;
    return UNSB_OK;
}

static int peer_send(void *context, const void *data, size_t size)
{
    peer *p = context;

    (void)data;
    if (++p->calls > 100000 || !p->open || size == 0)
        abort();
    return (int)(size < 32767 ? size : 32767);
}

static int peer_recv(void *context, void *data, size_t size)
{
    peer *p = context;
    size_t n = p->piece < size ? p->piece : size;

    if (++p->calls > 100000 || !p->open || size == 0)
        abort();
    if (p->size == 0)
        return UNSB_E_CLOSED;
    n = n < p->size ? n : p->size;
    memcpy(data, p->data, n);
    p->data += n;
    p->size -= n;
    return (int)n;
}

static void peer_close(void *context)
{
    ((peer *)context)->open = false;
}

static int peer_wait(void *context, int interest, uint32_t timeout_ms)
{
    (void)interest;
    ((peer *)context)->now += timeout_ms;
    return UNSB_E_TIMEOUT;
}

static uint32_t peer_now(void *context)
{
    return ((peer *)context)->now;
}

static int take(void *context, const void *data, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++)
        *(uint8_t *)context ^= ((const uint8_t *)data)[i];
    return UNSB_OK;
}

static int take_artifact(void *context, const unsb_artifact *artifact)
{
    return take(context, artifact->data, artifact->size) +
           take(context, artifact->filename, strlen(artifact->filename));
}

static int take_item(void *context, const unsb_result *item)
{
    return take(context, item->job_id, strlen(item->job_id)) +
           take(context, item->language, strlen(item->language));
}

static int operation(unsb_client *client, uint8_t which, unsb_result *result)
{
    unsb_program program;
    unsb_call call;
    unsb_key key;

    memset(&program, 0, sizeof program);
    memset(&call, 0, sizeof call);
    program.code = unsb_text("#!/bin/sh\n");
    call.method = which & 16 ? "HEAD" : "GET";
    call.path = "/";
    switch (which % 9) {
    case 0:
        return unsb_run(client, &program, result);
    case 1:
        return unsb_run_async(client, &program, result);
    case 2:
        return unsb_job_get(client, "id", result);
    case 3:
        return unsb_job_wait(client, "id", 5000, result);
    case 4:
        return unsb_job_list(client, result);
    case 5:
        return unsb_languages(client, result);
    case 6:
        return unsb_key_validate(client, &key, result);
    case 7:
        return unsb_request(client, &call, result);
    default:
        program.language = "sh";
        return unsb_execute(client, &program, result);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsb_transport_class vtable = {peer_connect, peer_send, peer_recv,
                                                peer_close,   peer_wait, NULL,
                                                NULL};
    static const uint16_t sizes[] = {128, 129, 200, 512, 4096};
    unsb_client client;
    unsb_config config;
    unsb_result result;
    uint8_t sum = 0;
    char text[32], name[8];
    char *buffer;
    peer p;
    int i;

    if (size < 3)
        return 0;
    memset(&p, 0, sizeof p);
    p.data = data + 3;
    p.size = size - 3;
    p.piece = data[2] + 1u;
    memset(&config, 0, sizeof config);
    config.transport.vtable = &vtable;
    config.transport.context = &p;
    config.api_key = "unsb-sk-x";
    config.buffer_size = sizes[data[1] % 5u];
    config.buffer = buffer = malloc(config.buffer_size);
    config.now_ms = peer_now;
    config.time_context = &p;
    config.retries = data[1] >> 6;
    memset(&result, 0, sizeof result);
    result.out = unsb_into(text, sizeof text);
    result.out.write = take;
    result.err.write = take;
    result.out.context = result.err.context = &sum;
    result.artifact_name = unsb_into(name, sizeof name);
    result.on_artifact = take_artifact;
    result.on_item = take_item;
    result.context = &sum;
    if (buffer == NULL || unsb_init(&client, &config) != UNSB_OK)
        abort();
    for (i = 0; i < 3; i++) { /* what the first leaves of the bytes answers the next */
        int rc = operation(&client, (uint8_t)(data[0] + i), &result);
        if (rc > 0 || unsb_poll(&client) != rc)
            abort();
        if (strlen(text) >= sizeof text || strlen(name) >= sizeof name ||
            strlen(result.message) >= sizeof result.message)
            abort();
    }
    unsb_close(&client);
    if (p.open)
        abort();
    free(buffer);
    return 0;
}
