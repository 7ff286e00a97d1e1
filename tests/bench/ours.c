/* The work of ends.h by unsandbox.h, its sockets and BearSSL. */
#define _GNU_SOURCE
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
#include "unsandbox_posix.h"
#include "unsandbox_bearssl.h"
#include "unsandbox_bearssl_pem.h"
#include "ends.h"

static unsb_posix tcp;
static unsb_transport counted; /* what stands below the counter: the sockets */
static unsb_bearssl tls;
static unsb_bearssl_trust trust;
static unsb_client client;
static unsb_config config;
static unsb_result result;
static unsb_transport_class counter;
static char records[BR_SSL_BUFSIZE_MONO], buffer[16384], host[256], text[256];
static unsigned long sends;

static int count_send(void *context, const void *data, size_t size)
{
    int n = counted.vtable->send(context, data, size);

    sends += n > 0;
    return n;
}

static int read_file(void *context, unsb_size offset, void *out, size_t size)
{
    (void)context;
    file_bytes(out, offset, size);
    return (int)size;
}

static int drop(void *context, const void *data, size_t size)
{
    (void)context, (void)data, (void)size;
    return 0;
}

static void once(void)
{
    unsb_file files[2];
    unsb_program program;
    int rc;

    memset(files, 0, sizeof files);
    files[0].source.read = files[1].source.read = read_file;
    files[0].source.size = files[1].source.size = FILE_SIZE;
    memset(&program, 0, sizeof program);
    program.language = the_work == DOWNLOAD ? LARGE : "python";
    program.code = unsb_text(HELLO_CODE);
    program.files = files;
    program.file_count = the_work == UPLOAD ? 2 : 0;
    if (the_work == DOWNLOAD)
        result.out.write = drop;
    else
        result.out = unsb_into(text, sizeof text);
    rc = unsb_execute(&client, &program, &result);
    if (rc != UNSB_OK)
        fprintf(stderr, "%d %s, BearSSL %d\n", rc, unsb_error_text(rc), tls.error);
    check(rc == UNSB_OK && result.success, "unsb_execute");
    check(the_work == DOWNLOAD ? result.out.size > LARGE_LEAST : strcmp(text, "hello world\n") == 0,
          "stdout");
    if (the_way != KEPT) {
        unsb_close(&client);
        check(unsb_init(&client, &config) == UNSB_OK, "unsb_init");
    }
}

int main(int argc, char **argv)
{
    unsb_bearssl_config secure;
    bool is_tls;
    unsigned i;

    parse(argc, argv);
    counted = unsb_posix_transport(&tcp);
    counter = *counted.vtable;
    counter.send = count_send;
    config.transport.vtable = &counter;
    config.transport.context = counted.context;
    check(unsb_url_split(argv[3], host, sizeof host, &config.port, &is_tls) == UNSB_OK, "URL");
    if (is_tls) {
        check(unsb_bearssl_load_pem(&trust, argv[4]) == UNSB_OK, "CA");
        memset(&secure, 0, sizeof secure);
        secure.inner = config.transport;
        secure.anchors = trust.anchors;
        secure.anchor_count = trust.count;
        secure.buffer = records;
        secure.buffer_size = sizeof records;
        secure.no_resumption = the_way == FRESH;
        config.transport = unsb_bearssl_transport(&tls, &secure);
    }
    config.api_key = KEY;
    config.host = host;
    config.buffer = buffer;
    config.buffer_size = sizeof buffer;
    config.now_ms = unsb_posix_now_ms;
    check(unsb_init(&client, &config) == UNSB_OK, "unsb_init");
    if (the_work == HELLO)
        once(); /* what is done but once in a process is not counted, nor the first session */
    sends = 0;
    measure_begin();
    CALLGRIND_TOGGLE_COLLECT;
    for (i = 0; i < the_times; i++)
        once();
    CALLGRIND_TOGGLE_COLLECT;
    measure_end(sends);
    unsb_close(&client);
    return 0;
}
