/* Runs each part of the library over a given number of bytes, for callgrind to count: count SIZE
 * Without callgrind: count memory up|down SIZE   prints the process's peak memory in KB. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
#include "texts.h"

#define HELLO                                                                                      \
    "{\"success\":true,\"stdout\":\"hello world\\n\",\"stderr\":\"\",\"exit_code\":0,"             \
    "\"language\":\"python\",\"execution_mode\":\"container\",\"network_mode\":\"zerotrust\","     \
    "\"total_time_ms\":523,\"job_id\":\"job_0123456789abcdef\"}"
#define BEFORE "{\"success\":true,\"exit_code\":0,\"stdout\":\""
#define AFTER "\",\"stderr\":\"\"}"

/* ---- a transport that takes everything and answers each request; it is not counted ---- */

typedef struct stage {
    char head[1024];
    const char *piece[4]; /* of the answer: head, before, repeated, after */
    size_t size[4];
    size_t repeated; /* bytes in all of the third piece */
    size_t part, at; /* how far it was read */
    bool asked;
    unsigned sends;
    size_t sent;
} stage;

static int stage_connect(void *context, const char *host, uint16_t port)
{
    (void)context, (void)host, (void)port;
    return UNSB_OK;
}

static int stage_send(void *context, const void *data, size_t size)
{
    stage *s = (stage *)context;

    CALLGRIND_TOGGLE_COLLECT;
    (void)data;
    s->asked = true;
    s->sends++;
    s->sent += size;
    CALLGRIND_TOGGLE_COLLECT;
    return (int)size;
}

static int stage_read(stage *s, char *out, size_t size)
{
    size_t total = 0, all, n, place;

    while (s->asked && total < size) {
        all = s->part == 2 ? s->repeated : s->size[s->part];
        if (s->at == all) {
            s->at = 0;
            if (++s->part == 4) {
                s->part = 0;
                s->asked = false;
            }
            continue;
        }
        place = s->size[s->part] != 0 ? s->at % s->size[s->part] : 0;
        n = s->size[s->part] - place;
        n = n < all - s->at ? n : all - s->at;
        n = n < size - total ? n : size - total;
        memcpy(out + total, s->piece[s->part] + place, n);
        s->at += n;
        total += n;
    }
    return (int)total;
}

static int stage_recv(void *context, void *data, size_t size)
{
    int n;

    CALLGRIND_TOGGLE_COLLECT;
    n = stage_read((stage *)context, (char *)data, size);
    CALLGRIND_TOGGLE_COLLECT;
    return n;
}

static void stage_close(void *context)
{
    (void)context;
}

static int stage_wait(void *context, int interest, uint32_t timeout_ms)
{
    (void)context, (void)interest, (void)timeout_ms;
    return UNSB_OK;
}

static uint32_t stage_now(void *context)
{
    (void)context;
    return 1000;
}

static uint32_t stage_unix(void *context)
{
    (void)context;
    return 1767225600u;
}

static const unsb_transport_class stage_class = {stage_connect, stage_send, stage_recv,
                                                 stage_close,   stage_wait, NULL,
                                                 NULL};
static stage the_stage;
static unsb_client client;
static unsb_result result;
static char *buffer;

/* A fresh client, and an answer with `repeated` bytes of stdout made of a block (0: hello). */
static void set(size_t buffer_size, bool signing, const char *block, size_t block_size,
                size_t repeated)
{
    stage *s = &the_stage;
    unsb_config config;

    memset(s, 0, sizeof *s);
    s->piece[1] = block != NULL ? BEFORE : HELLO;
    s->size[1] = strlen(s->piece[1]);
    s->piece[2] = block;
    s->size[2] = block_size;
    s->repeated = repeated;
    s->piece[3] = block != NULL ? AFTER : "";
    s->size[3] = strlen(s->piece[3]);
    s->size[0] =
        (size_t)sprintf(s->head, HEAD("Content-Length: %zu"), s->size[1] + repeated + s->size[3]);
    s->piece[0] = s->head;
    memset(&config, 0, sizeof config);
    config.transport.vtable = &stage_class;
    config.transport.context = s;
    config.api_key =
        signing ? "unsb-pk-test0-vault-unlck-12345" : "unsb-sk-test0-vault-unlck-12345";
    config.secret_key = signing ? "unsb-sk-test0-vault-unlck-12345" : NULL;
    config.buffer = buffer;
    config.buffer_size = buffer_size;
    config.now_ms = stage_now;
    config.unix_time = stage_unix;
    memset(&result, 0, sizeof result);
    check(unsb_init(&client, &config) == UNSB_OK, "init");
}

static void execute(const unsb_program *program)
{
    int rc = unsb_execute(&client, program, &result);

    if (rc != UNSB_OK || !result.success) {
        fprintf(stderr, "execute: %d %s\n", rc, unsb_error_text(rc));
        exit(1);
    }
}

static unsb_program python(const char *code)
{
    unsb_program program;

    memset(&program, 0, sizeof program);
    program.language = "python";
    program.code = unsb_text(code);
    return program;
}

/* ---- the parts ---- */

static void count_base64(size_t size)
{
    unsigned char *bytes = (unsigned char *)room(size);
    char *text = (char *)room(UNSB_BASE64_SIZE(size + 2));
    unsb_base64 state;
    size_t n, back;

    fill_bytes(bytes, size);
    memset(&state, 0, sizeof state);
    COUNT_BEGIN();
    n = unsb_base64_encode(&state, bytes, size, text);
    n += unsb_base64_encode_end(&state, text + n);
    COUNT_END("base64 encode", size);
    memset(&state, 0, sizeof state);
    COUNT_BEGIN();
    check(unsb_base64_decode(&state, text, n, bytes, &back) == UNSB_OK, "decode");
    check(unsb_base64_decode_end(&state) == UNSB_OK, "decode end");
    COUNT_END("base64 decode", n);
    check(back == size, "base64");
    free(bytes);
    free(text);
}

static void read_json(const char *name, char *text, size_t size, size_t expected)
{
    unsb_json_reader reader;
    size_t used, at = 0, seen = 0;
    int event;

    unsb_json_reader_init(&reader);
    COUNT_BEGIN();
    while ((event = unsb_json_read(&reader, text + at, size - at, &used)) > UNSB_JSON_MORE) {
        at += used;
        seen += event == UNSB_JSON_STRING ? reader.text_size : 0;
    }
    COUNT_END(name, size);
    check(event == UNSB_JSON_MORE && unsb_json_read_end(&reader) == UNSB_OK && seen > expected,
          "json");
}

static void count_numbers(char *text, size_t size)
{
    unsb_json_reader reader;
    size_t used, at = 0, integers = 0;
    int64_t value;
    double sum = 0;
    int event;

    unsb_json_reader_init(&reader);
    COUNT_BEGIN();
    while ((event = unsb_json_read(&reader, text + at, size - at, &used)) > UNSB_JSON_MORE) {
        at += used;
        if (event == UNSB_JSON_NUMBER) {
            integers += unsb_json_integer(&reader, &value) == UNSB_OK;
            sum += unsb_json_double(&reader);
        }
    }
    COUNT_END("json numbers", size);
    check(event == UNSB_JSON_MORE && unsb_json_read_end(&reader) == UNSB_OK &&
              integers > size / 40 && sum > 1e9,
          "numbers");
}

static void count_json(size_t size)
{
    char *text = (char *)room(size), *out = (char *)room(size + size / 20 + 100);
    unsb_output output = unsb_into(out, size + size / 20 + 100);
    unsb_json_writer writer;

    read_json("json string", text, fill_string(text, size), size / 10 * 9);
    read_json("json document", text, fill_document(text, size), size / 20);
    count_numbers(text, fill_numbers(text, size));
    fill_text(text, size);
    COUNT_BEGIN();
    unsb_json_writer_init(&writer, &output);
    unsb_json_string(&writer, text, size);
    check(unsb_json_writer_end(&writer) == UNSB_OK, "json writer");
    COUNT_END("json write", size);
    free(text);
    free(out);
}

static void count_head(const char *name, const char *head, size_t size)
{
    size_t length = strlen(head), times = size / length, used, body, at, i;
    unsb_http http;
    int rc = UNSB_OK;

    COUNT_BEGIN();
    for (i = 0; i < times && rc == UNSB_OK; i++) {
        unsb_http_init(&http, false);
        for (at = 0, rc = UNSB_PENDING; rc == UNSB_PENDING && at < length; at += used)
            rc = unsb_http_feed(&http, head + at, length - at, &used, &body);
    }
    COUNT_END(name, times * length);
    check(rc == UNSB_OK && http.status == 200, "head");
}

static void count_http(size_t size)
{
    char *text = (char *)room(size);
    size_t used, body, at, end, total = 0;
    unsb_http http;
    int rc;

    count_head("http head", HEAD("Content-Length: 0"), size);
    count_head("http head, long", LONG_HEAD, size);
    end = fill_chunks(text, size);
    unsb_http_init(&http, false);
    rc = unsb_http_feed(&http, HEAD("Transfer-Encoding: chunked"),
                        strlen(HEAD("Transfer-Encoding: chunked")), &used, &body);
    COUNT_BEGIN();
    for (at = 0; rc == UNSB_PENDING && at < end; at += used) {
        rc = unsb_http_feed(&http, text + at, end - at < 16384 ? end - at : 16384, &used, &body);
        total += body;
    }
    COUNT_END("http chunked", end);
    check(rc == UNSB_OK && total > size / 2, "chunked");
    free(text);
}

/* ---- the client ---- */

/* What signing adds to the upload of a body is what SHA-256 costs, twice-read data included. */
static void count_signing(size_t size)
{
    char *body = (char *)room(size);
    unsb_call call;
    int signing;

    fill_text(body, size);
    memset(&call, 0, sizeof call);
    call.method = "POST";
    call.path = "/execute";
    call.content_type = "text/plain";
    call.body = unsb_bytes(body, (unsb_size)size);
    for (signing = 0; signing < 2; signing++) {
        set(16384, signing != 0, NULL, 0, 0);
        COUNT_BEGIN();
        check(unsb_request(&client, &call, &result) == UNSB_OK, "request");
        COUNT_END(signing ? "upload raw, signed" : "upload raw", size);
    }
    free(body);
}

static void count_transfers(size_t size)
{
    static const size_t buffer_sizes[] = {512, 16384};
    char *text = (char *)room(size), name[40], *block = (char *)room(100000);
    size_t i, half = size / 2 < (size_t)UNSB_FILE_MAX ? size / 2 : (size_t)UNSB_FILE_MAX;
    size_t block_size = fill_string(block, 64000) - 2;
    unsb_program program;
    unsb_file files[2];

    memset(files, 0, sizeof files);
    for (i = 0; i < 2; i++) {
        fill_text(text, size);
        program = python("");
        program.code = unsb_bytes(text, (unsb_size)size);
        set(buffer_sizes[i], false, NULL, 0, 0);
        COUNT_BEGIN();
        execute(&program);
        sprintf(name, "upload code, %zu", buffer_sizes[i]);
        COUNT_END(name, size);

        fill_bytes((unsigned char *)text, size);
        files[0].name = "one";
        files[0].source = unsb_bytes(text, (unsb_size)half);
        files[1].name = "two";
        files[1].source = unsb_bytes(text, (unsb_size)half);
        program = python("pass");
        program.files = files;
        program.file_count = 2;
        set(buffer_sizes[i], false, NULL, 0, 0);
        COUNT_BEGIN();
        execute(&program);
        sprintf(name, "upload files, %zu", buffer_sizes[i]);
        COUNT_END(name, half * 2);

        program = python("pass");
        /* whole blocks: none may end within an escape */
        set(buffer_sizes[i], false, block + 1, block_size, size / block_size * block_size);
        COUNT_BEGIN();
        execute(&program);
        sprintf(name, "download stdout, %zu", buffer_sizes[i]);
        COUNT_END(name, size / block_size * block_size);
        check(result.out.size > size / 10 * 8, "stdout");
    }
    free(text);
    free(block);
}

/* Whole calls: bytes 1, so that what is counted is one call. */
static void count_hello(void)
{
    static char out[256];
    unsb_program program = python("print(\"hello world\")");
    int signing;

    for (signing = 0; signing < 2; signing++) {
        set(1024, signing != 0, NULL, 0, 0);
        result.out = unsb_into(out, sizeof out);
        COUNT_BEGIN();
        execute(&program);
        COUNT_END(signing ? "hello signed" : "hello", 1);
        check(strcmp(out, "hello world\n") == 0, "hello");
        if (!signing)
            printf("hello sends %u, bytes %zu\n", the_stage.sends, the_stage.sent);
        COUNT_BEGIN();
        execute(&program);
        COUNT_END(signing ? "hello signed, kept alive" : "hello kept alive", 1);
    }
}

/* ---- memory ---- */

static int endless(void *context, unsb_size offset, void *out, size_t size)
{
    (void)context;
    memset(out, 'a' + (int)(offset % 2), size);
    return (int)size;
}

static int print_peak(void)
{
    char line[200];
    FILE *f = fopen("/proc/self/status", "r");

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            printf("%ld\n", strtol(line + 6, NULL, 10));
    return f != NULL && fclose(f) == 0 ? 0 : 1;
}

static int memory(const char *way, size_t size)
{
    unsb_program program = python("pass");
    char *block = (char *)room(100000);
    size_t n = fill_string(block, 64000) - 2;

    if (strcmp(way, "up") == 0) {
        program.code.data = NULL;
        program.code.read = endless;
        program.code.size = (unsb_size)size;
        set(512, false, NULL, 0, 0);
    } else {
        set(512, false, block + 1, n, size / n * n);
    }
    execute(&program);
    free(block);
    return print_peak();
}

int main(int argc, char **argv)
{
    size_t size;

    buffer = (char *)room(16384);
    if (argc == 4)
        return memory(argv[2], strtoul(argv[3], NULL, 10));
    check(argc == 2, "usage: count SIZE");
    size = strtoul(argv[1], NULL, 10);
    count_base64(size);
    count_json(size);
    count_http(size);
    count_signing(size);
    count_transfers(size);
    count_hello();
    free(buffer);
    return 0;
}
