/* llhttp's part of count_peers.c: its names clash with http-parser's. */
#include "texts.h"
#include <llhttp.h>

void count_llhttp(size_t size, const char *chunks, size_t chunks_size);

static size_t counted;

static int on_data(llhttp_t *parser, const char *at, size_t size)
{
    (void)parser, (void)at;
    counted += size;
    return 0;
}

static const char head[] = HEAD("Content-Length: 0");
static const char chunked_head[] = HEAD("Transfer-Encoding: chunked");

void count_llhttp(size_t size, const char *chunks, size_t chunks_size)
{
    llhttp_settings_t settings;
    llhttp_t parser;
    size_t i, times = size / (sizeof head - 1), at, n;

    llhttp_settings_init(&settings);
    settings.on_header_field = settings.on_header_value = settings.on_body = on_data;
    COUNT_BEGIN();
    for (i = 0; i < times; i++) {
        llhttp_init(&parser, HTTP_RESPONSE, &settings);
        llhttp_execute(&parser, head, sizeof head - 1);
    }
    COUNT_END("http head llhttp", times * (sizeof head - 1));
    check(parser.status_code == 200, "llhttp");
    llhttp_init(&parser, HTTP_RESPONSE, &settings);
    llhttp_execute(&parser, chunked_head, sizeof chunked_head - 1);
    counted = 0;
    COUNT_BEGIN();
    for (at = 0; at < chunks_size; at += n) {
        n = chunks_size - at < 16384 ? chunks_size - at : 16384;
        llhttp_execute(&parser, chunks + at, n);
    }
    COUNT_END("http chunked llhttp", chunks_size);
    check(counted > chunks_size / 2, "llhttp");
}
