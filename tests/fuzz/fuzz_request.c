/* libFuzzer: programs made of any bytes. What the library sends for those that it takes must be one
 * HTTP request of the announced length whose body jansson and OpenSSL read back to the same program;
 * and by memory and by a source that is a function, the same bytes. The input is a list of texts,
 * each ended by a NUL, behind five bytes of numbers. */
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"

#define ITEMS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

typedef struct wire {
    char *bytes;
    size_t size, capacity, piece;
} wire;

static int wire_connect(void *context, const char *host, uint16_t port)
{
    (void)context;
    return host != NULL && port != 0 ? UNSB_OK : UNSB_E_CONNECT;
}

static int wire_send(void *context, const void *data, size_t size)
{
    wire *w = context;

    size = size < w->piece ? size : w->piece;
    check(size <= w->capacity - w->size, "more sent than a program can become");
    memcpy(w->bytes + w->size, data, size);
    w->size += size;
    return (int)size;
}

static int wire_recv(void *context, void *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
    return UNSB_E_CLOSED;
}

static void wire_close(void *context)
{
    (void)context;
}

static int wire_wait(void *context, int interest, uint32_t timeout_ms)
{
    (void)context;
    (void)interest;
    (void)timeout_ms;
    return UNSB_OK;
}

static int read_source(void *context, unsb_size offset, void *buffer, size_t size)
{
    size = size > 7 ? 7 : size;
    memcpy(buffer, (const char *)context + offset, size);
    return (int)size;
}

static void send_program(wire *w, size_t buffer_size, const unsb_program *program)
{
    static const unsb_transport_class vtable = {wire_connect, wire_send, wire_recv, wire_close,
                                                wire_wait,    NULL,      NULL};
    unsb_client client;
    unsb_config config;
    unsb_result result;

    memset(&config, 0, sizeof config);
    memset(&result, 0, sizeof result);
    config.transport.vtable = &vtable;
    config.transport.context = w;
    config.api_key = "unsb-sk-x";
    config.buffer = malloc(buffer_size);
    config.buffer_size = buffer_size;
    check(config.buffer != NULL && unsb_init(&client, &config) == UNSB_OK, "no client");
    check(unsb_execute(&client, program, &result) < 0, "a result from nowhere");
    unsb_close(&client);
    free(config.buffer);
}

static void same_text(const json_t *value, const void *text, size_t size, const char *what)
{
    check(json_is_string(value) && json_string_length(value) == size &&
              memcmp(json_string_value(value), text, size) == 0,
          what);
}

static void same_file(const json_t *value, const unsb_file *file)
{
    const json_t *content = json_object_get(value, "content");
    size_t size = (size_t)file->source.size, encoded;
    uint8_t *expected = malloc(size * 2 + 8);

    check(expected != NULL && json_is_string(content), "no content");
    encoded = (size_t)EVP_EncodeBlock(expected, file->source.data, (int)size);
    same_text(content, expected, encoded, "another content");
    same_text(json_object_get(value, "filename"), file->name, strlen(file->name), "another name");
    free(expected);
}

static void same_program(const wire *w, const unsb_program *program)
{
    const char *body, *field;
    const json_t *files;
    json_error_t error;
    json_t *json;
    size_t i, size;

    w->bytes[w->size] = '\0';
    body = strstr(w->bytes, "\r\n\r\n");
    field = strstr(w->bytes, "\r\nContent-Length: ");
    check(body != NULL && field != NULL && field < body, "no head");
    body += 4;
    size = w->size - (size_t)(body - w->bytes);
    check(strtoul(field + 18, NULL, 10) == size, "another length than announced");
    json = json_loadb(body, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (json == NULL) /* of variables the caller may give the same one twice */
        json = json_loadb(body, size, JSON_ALLOW_NUL, &error);
    check(json != NULL, error.text);
    same_text(json_object_get(json, "language"), program->language, strlen(program->language),
              "another language");
    same_text(json_object_get(json, "code"), program->code.data, (size_t)program->code.size,
              "another code");
    for (i = 0; i < program->env_count; i++) {
        const json_t *env = json_object_get(json, "env");
        size_t k, last = i;
        for (k = i; k < program->env_count; k++)
            last = strcmp(program->env[k].name, program->env[i].name) == 0 ? k : last;
        same_text(json_object_get(env, program->env[i].name), program->env[last].value,
                  strlen(program->env[last].value), "another variable");
    }
    files = json_object_get(json, "input_files");
    check(json_array_size(files) == program->file_count, "another count of files");
    for (i = 0; i < program->file_count; i++)
        same_file(json_array_get(files, i), &program->files[i]);
    check(json_integer_value(json_object_get(json, "ttl")) == program->ttl_s, "another ttl");
    check(json_is_true(json_object_get(json, "return_artifact")) == program->return_artifact,
          "another wish for an artifact");
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsb_env env[ITEMS];
    unsb_file files[ITEMS];
    unsb_program program;
    wire once, again;
    char *texts, *next, *end;
    size_t i, buffer_size;

    if (size < 6)
        return 0;
    memset(&program, 0, sizeof program);
    memset(files, 0, sizeof files);
    texts = malloc(size + 1);
    once.capacity = again.capacity = size * 6 * (2 * ITEMS + 2) + 2048;
    once.bytes = malloc(once.capacity + 1);
    again.bytes = malloc(again.capacity + 1);
    check(texts != NULL && once.bytes != NULL && again.bytes != NULL, "out of memory");
    once.size = again.size = 0;
    once.piece = 100000;
    again.piece = data[0] % 100u + 1u;
    buffer_size = UNSB_BUFFER_MIN + data[0];
    program.ttl_s = (uint16_t)(data[1] * 4u);
    program.env_count = data[2] % (ITEMS + 1u);
    program.file_count = data[3] % (ITEMS + 1u);
    program.return_artifact = (data[4] & 1) != 0;
    program.network = (unsb_network)(data[4] >> 1 & 3);
    memcpy(texts, data + 5, size - 5);
    end = texts + size - 5;
    *end = '\0';
    next = texts;
#define NEXT(text) ((text) = next, next += next < end ? strlen(next) + 1 : 0, \
                    next = next > end ? end : next)
    NEXT(program.language);
    for (i = 0; i < program.env_count; i++) {
        NEXT(env[i].name);
        NEXT(env[i].value);
    }
    for (i = 0; i < program.file_count; i++) {
        const char *content;
        NEXT(files[i].name);
        NEXT(content);
        files[i].source = unsb_bytes(content, (unsb_size)strlen(content));
    }
    program.env = env;
    program.files = files;
    program.code = unsb_bytes(next, (unsb_size)(end - next));
    send_program(&once, 4096, &program);
    if (once.size != 0)
        same_program(&once, &program);
    program.code.read = read_source;
    program.code.context = next;
    program.code.data = NULL;
    for (i = 0; i < program.file_count; i++) {
        files[i].source.read = read_source;
        files[i].source.context = (void *)(uintptr_t)files[i].source.data;
        files[i].source.data = NULL;
    }
    send_program(&again, buffer_size, &program);
    check(once.size == again.size && memcmp(once.bytes, again.bytes, once.size) == 0,
          "sent otherwise in other pieces");
    free(texts);
    free(once.bytes);
    free(again.bytes);
    return 0;
}
