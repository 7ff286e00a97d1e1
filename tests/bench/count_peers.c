/* The same work as count.c by libraries that Debian packages: count_peers SIZE */
#include "texts.h"
#include <cjson/cJSON.h>
#include <http_parser.h>
#include <jansson.h>
#include <mbedtls/base64.h>
#include <mbedtls/sha256.h>
#include <openssl/evp.h>
#ifdef WITH_LLHTTP
void count_llhttp(size_t size, const char *chunks, size_t chunks_size); /* count_llhttp.c */
#endif
#ifdef WITH_PICO
#include "picohttpparser.h"
#endif

static size_t counted;

/* ---- base64 and SHA-256 ---- */

static void count_base64(size_t size)
{
    unsigned char *bytes = (unsigned char *)room(size + 3), digest[32];
    unsigned char *text = (unsigned char *)room(size / 3 * 4 + 8);
    size_t n, back;

    fill_bytes(bytes, size);
    COUNT_BEGIN();
    n = (size_t)EVP_EncodeBlock(text, bytes, (int)size);
    COUNT_END("base64 encode OpenSSL", size);
    COUNT_BEGIN();
    check(EVP_DecodeBlock(bytes, text, (int)n) > 0, "EVP_DecodeBlock");
    COUNT_END("base64 decode OpenSSL", n);
    COUNT_BEGIN();
    check(mbedtls_base64_encode(text, size / 3 * 4 + 8, &n, bytes, size) == 0, "mbedTLS");
    COUNT_END("base64 encode mbedTLS", size);
    COUNT_BEGIN();
    check(mbedtls_base64_decode(bytes, size + 3, &back, text, n) == 0, "mbedTLS");
    COUNT_END("base64 decode mbedTLS", n);

    check(EVP_Digest(bytes, 1, digest, NULL, EVP_sha256(), NULL) == 1, "EVP_Digest");
    COUNT_BEGIN();
    check(EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL) == 1, "EVP_Digest");
    COUNT_END("SHA-256 OpenSSL", size);
    COUNT_BEGIN();
    check(mbedtls_sha256_ret(bytes, size, digest, 0) == 0, "mbedTLS");
    COUNT_END("SHA-256 mbedTLS", size);
    free(bytes);
    free(text);
}

/* ---- JSON ---- */

static void read_json(const char *name, const char *text, size_t size)
{
    char label[60];
    cJSON *node;
    json_t *value;

    snprintf(label, sizeof label, "%s cJSON", name);
    COUNT_BEGIN();
    node = cJSON_ParseWithLength(text, size);
    cJSON_Delete(node);
    COUNT_END(label, size);
    check(node != NULL, "cJSON");
    snprintf(label, sizeof label, "%s jansson", name);
    COUNT_BEGIN();
    value = json_loadb(text, size, JSON_DECODE_ANY, NULL);
    json_decref(value);
    COUNT_END(label, size);
    check(value != NULL, "jansson");
}

static void count_json(size_t size)
{
    char *text = (char *)room(size + 1), *out;
    cJSON *node;
    json_t *value;

    read_json("json string", text, fill_string(text, size));
    read_json("json document", text, fill_document(text, size));
    fill_text(text, size);
    text[size] = '\0';
    node = cJSON_CreateString(text);
    value = json_string(text);
    COUNT_BEGIN();
    out = cJSON_PrintUnformatted(node);
    COUNT_END("json write cJSON", size);
    check(out != NULL, "cJSON");
    free(out);
    COUNT_BEGIN();
    out = json_dumps(value, JSON_ENCODE_ANY);
    COUNT_END("json write jansson", size);
    check(out != NULL, "jansson");
    free(out);
    cJSON_Delete(node);
    json_decref(value);
    free(text);
}

/* ---- HTTP ---- */

static int on_data(http_parser *parser, const char *at, size_t size)
{
    (void)parser, (void)at;
    counted += size;
    return 0;
}

static const char head[] = HEAD("Content-Length: 0");
static const char chunked_head[] = HEAD("Transfer-Encoding: chunked");

static void count_http_parser(size_t size, const char *chunks, size_t chunks_size)
{
    http_parser_settings settings;
    http_parser parser;
    size_t i, times = size / (sizeof head - 1), at, n;

    http_parser_settings_init(&settings);
    settings.on_header_field = settings.on_header_value = settings.on_body = on_data;
    COUNT_BEGIN();
    for (i = 0; i < times; i++) {
        http_parser_init(&parser, HTTP_RESPONSE);
        http_parser_execute(&parser, &settings, head, sizeof head - 1);
    }
    COUNT_END("http head http-parser", times * (sizeof head - 1));
    check(parser.status_code == 200, "http-parser");
    http_parser_init(&parser, HTTP_RESPONSE);
    http_parser_execute(&parser, &settings, chunked_head, sizeof chunked_head - 1);
    counted = 0;
    COUNT_BEGIN();
    for (at = 0; at < chunks_size; at += n) {
        n = chunks_size - at < 16384 ? chunks_size - at : 16384;
        http_parser_execute(&parser, &settings, chunks + at, n);
    }
    COUNT_END("http chunked http-parser", chunks_size);
    check(counted > chunks_size / 2, "http-parser");
}

#ifdef WITH_PICO
static void count_pico(size_t size, char *chunks, size_t chunks_size)
{
    struct phr_chunked_decoder decoder;
    struct phr_header fields[32];
    const char *text;
    size_t i, times = size / (sizeof head - 1), at, n, count = 0, text_size;
    int minor, status = 0;

    COUNT_BEGIN();
    for (i = 0; i < times; i++) {
        count = 32;
        phr_parse_response(head, sizeof head - 1, &minor, &status, &text, &text_size, fields,
                           &count, 0);
    }
    COUNT_END("http head picohttpparser", times * (sizeof head - 1));
    check(status == 200 && count == 11, "picohttpparser");
    memset(&decoder, 0, sizeof decoder);
    decoder.consume_trailer = 1;
    counted = 0;
    COUNT_BEGIN();
    for (at = 0; at < chunks_size; at += i) {
        i = n = chunks_size - at < 16384 ? chunks_size - at : 16384;
        phr_decode_chunked(&decoder, chunks + at, &n);
        counted += n;
    }
    COUNT_END("http chunked picohttpparser", chunks_size);
    check(counted > chunks_size / 2, "picohttpparser");
}
#endif

int main(int argc, char **argv)
{
    size_t size, chunks_size;
    char *chunks;

    check(argc == 2, "usage: count_peers SIZE");
    size = strtoul(argv[1], NULL, 10);
    count_base64(size);
    count_json(size);
    chunks = (char *)room(size);
    chunks_size = fill_chunks(chunks, size);
    count_http_parser(size, chunks, chunks_size);
#ifdef WITH_LLHTTP
    count_llhttp(size, chunks, chunks_size);
#endif
#ifdef WITH_PICO
    count_pico(size, chunks, chunks_size); /* last, as it decodes in place */
#endif
    free(chunks);
    return 0;
}
