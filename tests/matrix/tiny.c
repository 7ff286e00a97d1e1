/* For machines too small for the suites: a few kilobytes of RAM, int of 16 bits. Known vectors for
 * each part, and whole calls over a scripted transport that compares each byte sent with what must
 * be sent. Fits beside the library in 128 KB of flash and 16 KB of RAM. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "facts.h"
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- base64 ---- */

static const struct {
    const char *plain, *coded;
} base64_vectors[] = {
    /* RFC 4648 section 10, and the two characters beyond letters and digits */
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xFB\xEF\xBE\xFF\xFF\xFF", "++++////"},
};

static void test_base64(void **state)
{
    char out[16];
    size_t i, step, at, n, size, got;

    (void)state;
    for (i = 0; i < COUNT(base64_vectors); i++)
        for (step = 1; step <= 9; step++) {
            const char *plain = base64_vectors[i].plain, *coded = base64_vectors[i].coded;
            unsb_base64 base64;

            memset(&base64, 0, sizeof base64);
            size = strlen(plain);
            got = 0;
            for (at = 0; at < size; at += n) {
                n = size - at < step ? size - at : step;
                got += unsb_base64_encode(&base64, plain + at, n, out + got);
            }
            got += unsb_base64_encode_end(&base64, out + got);
            assert_int_equal(got, strlen(coded));
            assert_memory_equal(out, coded, got);

            memset(&base64, 0, sizeof base64);
            size = strlen(coded);
            got = 0;
            for (at = 0; at < size; at += n) {
                size_t written;
                n = size - at < step ? size - at : step;
                assert_int_equal(unsb_base64_decode(&base64, coded + at, n, out + got, &written),
                                 UNSB_OK);
                got += written;
            }
            assert_int_equal(unsb_base64_decode_end(&base64), UNSB_OK);
            assert_int_equal(got, strlen(plain));
            assert_memory_equal(out, plain, got);
        }
}

static void test_base64_strict(void **state)
{
    static const char *const wrong[] = {
        "Zg=A", "Zh==", "Zm9=", "Z===", "Zg==Zg==", "Zm 9v", "Zm-v"};
    unsb_base64 base64;
    char out[16];
    size_t i, written;

    (void)state;
    for (i = 0; i < COUNT(wrong); i++) {
        memset(&base64, 0, sizeof base64);
        assert_int_equal(unsb_base64_decode(&base64, wrong[i], strlen(wrong[i]), out, &written),
                         UNSB_E_BASE64);
    }
    memset(&base64, 0, sizeof base64);
    assert_int_equal(unsb_base64_decode(&base64, "Zg", 2, out, &written), UNSB_OK);
    assert_int_equal(unsb_base64_decode_end(&base64), UNSB_E_BASE64);
}

/* ---- JSON ---- */

static char trace[200];
static size_t trace_size;

static void put(const char *text, size_t size)
{
    assert_true(trace_size + size < sizeof trace);
    memcpy(trace + trace_size, text, size);
    trace_size += size;
    trace[trace_size] = '\0';
}

/* One letter for each event, strings and keys as they are. Returns the end's code. */
static int read_json(const char *text, size_t split)
{
    static const char letters[] = ".{}[]ks#FTN";
    unsb_json_reader json;
    char piece[128];
    size_t total = strlen(text), at = 0, used;
    bool inside = false;
    int event;

    trace_size = 0;
    trace[0] = '\0';
    unsb_json_reader_init(&json);
    while (at < total) {
        size_t size = at < split ? split - at : total - at, from = 0;
        assert_true(total <= sizeof piece);
        memcpy(piece, text + at, size);
        while ((event = unsb_json_read(&json, piece + from, size - from, &used)) > UNSB_JSON_MORE) {
            from += used;
            if (!inside)
                put(letters + event, 1);
            inside = (event == UNSB_JSON_KEY || event == UNSB_JSON_STRING) && json.partial;
            if (event == UNSB_JSON_KEY || event == UNSB_JSON_STRING)
                put(json.text, json.text_size);
        }
        if (event < 0)
            return event;
        at += size;
    }
    while ((event = unsb_json_read_end(&json)) == UNSB_JSON_NUMBER)
        put("#", 1);
    return event;
}

static void test_json_reader(void **state)
{
    static const char text[] = "{\"a\\u00e9\" : [1, -2.5e3, true,false , null],\"\\ud83d\\ude00\":"
                               "{}, \"x\":\"\\\"\\/\\n\xE2\x82\xAC\"}";
    size_t split;

    (void)state;
    for (split = 0; split < sizeof text - 1; split++) {
        assert_int_equal(read_json(text, split), UNSB_OK);
        assert_string_equal(trace, "{ka\xC3\xA9[##TFN]k\xF0\x9F\x98\x80{}kxs\"/\n\xE2\x82\xAC}");
    }
    assert_int_equal(read_json("[1,]", 2), UNSB_E_JSON);
    assert_int_equal(read_json("[01]", 0), UNSB_E_JSON);
    assert_int_equal(read_json("\"\xC0\x80\"", 2), UNSB_E_JSON_UTF8);
    assert_int_equal(read_json("\"\\ud83d\"", 3), UNSB_E_JSON_UTF8);
    assert_int_equal(read_json("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 5), UNSB_E_JSON_DEPTH);
    assert_int_equal(read_json("{\"a\"", 1), UNSB_E_JSON);
    assert_int_equal(read_json("42", 1), UNSB_OK);
}

static void test_json_integer(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
        int rc;
    } numbers[] = {
        {"0 ", 0, UNSB_OK},
        {"-0 ", 0, UNSB_OK},
        {"65536 ", 65536, UNSB_OK},
        {"-4294967297 ", -4294967297, UNSB_OK},
        {"5.23e2 ", 523, UNSB_OK},
        {"9223372036854775807 ", INT64_MAX, UNSB_OK},
        {"-9223372036854775808 ", INT64_MIN, UNSB_OK},
        {"9223372036854775808 ", 0, UNSB_E_JSON_NUMBER},
        {"0.5 ", 0, UNSB_E_JSON_NUMBER},
        {"1e99999999999 ", 0, UNSB_E_JSON_NUMBER},
    };
    char text[32];
    size_t i, used;

    (void)state;
    for (i = 0; i < COUNT(numbers); i++) {
        unsb_json_reader json;
        int64_t value = 0;

        strcpy(text, numbers[i].text);
        unsb_json_reader_init(&json);
        assert_int_equal(unsb_json_read(&json, text, strlen(text), &used), UNSB_JSON_NUMBER);
        assert_int_equal(unsb_json_integer(&json, &value), numbers[i].rc);
        if (numbers[i].rc == UNSB_OK)
            assert_true(value == numbers[i].value);
    }
}

static void test_json_writer(void **state)
{
    static const char expected[] = "{\"a\":[0,-9223372036854775808,9223372036854775807,true,null],"
                                   "\"t\":\"\\\"\\u0001\\n\xE2\x82\xAC\"}";
    unsb_json_writer writer;
    unsb_output out;
    char text[100];

    (void)state;
    memset(&out, 0, sizeof out);
    out.data = text;
    out.capacity = sizeof text;
    unsb_json_writer_init(&writer, &out);
    unsb_json_object_begin(&writer);
    unsb_json_key(&writer, "a");
    unsb_json_array_begin(&writer);
    unsb_json_number(&writer, 0);
    unsb_json_number(&writer, INT64_MIN);
    unsb_json_number(&writer, INT64_MAX);
    unsb_json_bool(&writer, true);
    unsb_json_null(&writer);
    unsb_json_array_end(&writer);
    unsb_json_key(&writer, "t");
    unsb_json_string(&writer, "\"\x01\n\xE2\x82\xAC", 6);
    unsb_json_object_end(&writer);
    assert_int_equal(unsb_json_writer_end(&writer), UNSB_OK);
    assert_string_equal(text, expected);
    assert_true(out.size == sizeof expected - 1);
}

/* ---- HTTP ---- */

static void test_http(void **state)
{
    static const char text[] = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nDate: y\r\n"
                               "Transfer-Encoding: chunked\r\nRetry-After: 70000\r\n\r\n"
                               "5\r\nHello\r\n00A;x=y\r\n, world 10\r\n0\r\nTrailer: z\r\n\r\nrest";
    size_t whole = sizeof text - 1 - 4, split, at, used, body;

    (void)state;
    for (split = 1; split <= whole; split++) {
        unsb_http http;
        int rc = UNSB_PENDING;

        trace_size = 0;
        trace[0] = '\0';
        unsb_http_init(&http, false);
        for (at = 0; rc == UNSB_PENDING && at < sizeof text - 1; at += used) {
            rc = unsb_http_feed(&http, text + at, at < split ? split - at : sizeof text - 1 - at,
                                &used, &body);
            put(text + at + used - body, body);
        }
        assert_int_equal(rc, UNSB_OK);
        assert_int_equal(at, whole);
        assert_int_equal(http.status, 200);
        assert_true(http.retry_after_s == 70000);
        assert_string_equal(trace, "Hello, world 10");
    }
}

static void test_http_strict(void **state)
{
    static const char *const wrong[] = {
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nName : x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    };
    unsb_http http;
    size_t i, used, body;

    (void)state;
    for (i = 0; i < COUNT(wrong); i++) {
        unsb_http_init(&http, false);
        assert_int_equal(unsb_http_feed(&http, wrong[i], strlen(wrong[i]), &used, &body),
                         UNSB_E_HTTP);
    }
}

/* ---- SHA-256: FIPS 180-4's examples and one of Python's hashlib ---- */

static void test_sha256(void **state)
{
    static const struct {
        const char *text;
        size_t repeat;
        uint32_t first, last;
    } vectors[] = {
        {"abc", 1, 0xBA7816BFu, 0xF20015ADu},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, 0x248D6A61u, 0x19DB06C1u},
        {"aaaaaaaaaaaaaaaaaaaaaaaaa", 40, 0x41EDECE4u, 0xB9737EA3u},
    };
    uint8_t block[128];
    uint32_t hash[24];
    size_t i, k, size, filled, total;

    (void)state;
    for (i = 0; i < COUNT(vectors); i++) {
        unsbi_sha256_start(hash);
        filled = total = 0;
        for (k = 0; k < vectors[i].repeat; k++) {
            size = strlen(vectors[i].text);
            memcpy(block + filled, vectors[i].text, size);
            filled += size;
            total += size;
            if (filled >= 64) {
                assert_int_equal(unsbi_sha256_blocks(hash, block, 64), 64);
                filled -= 64;
                memmove(block, block + 64, filled);
            }
        }
        unsbi_sha256_end(hash, block, filled, total);
        assert_int_equal(hash[0], vectors[i].first);
        assert_int_equal(hash[7], vectors[i].last);
    }
}

/* ---- whole calls ---- */

#define KEY "unsb-sk-test0-vault-unlck-12345"
#define AGENT "unsandbox.h/" UNSB_VERSION_TEXT
#define BODY                                                                                       \
    "{\"language\":\"python\",\"code\":\"print(6*7)\\n\xE2\x82\xAC\",\"ttl\":30,"                  \
    "\"input_files\":[{\"filename\":\"a\",\"content\":\"AP8Q\"}]}"
#define REQUEST(key, fields)                                                                       \
    "POST /execute HTTP/1.1\r\nHost: api.unsandbox.com\r\nAuthorization: Bearer " key fields       \
    "\r\nContent-Type: application/json\r\nContent-Length: 105"                                    \
    "\r\nAccept-Encoding: identity\r\nUser-Agent: " AGENT "\r\n\r\n" BODY

static struct {
    const char *request, *reply;
    size_t sent, received, piece;
    bool open;
} wire;

static int wire_connect(void *context, const char *host, uint16_t port)
{
    (void)context;
    assert_string_equal(host, "api.unsandbox.com");
    assert_int_equal(port, 443);
    wire.open = true;
    wire.sent = wire.received = 0;
    return UNSB_OK;
}

static int wire_send(void *context, const void *data, size_t size)
{
    (void)context;
    assert_true(wire.open);
    if (size > wire.piece)
        size = wire.piece;
    assert_true(wire.sent + size <= strlen(wire.request));
    assert_memory_equal(data, wire.request + wire.sent, size);
    wire.sent += size;
    return (int)size;
}

static int wire_recv(void *context, void *data, size_t size)
{
    size_t left = strlen(wire.reply) - wire.received;

    (void)context;
    assert_true(wire.open);
    if (wire.sent < strlen(wire.request))
        return 0;
    if (left == 0)
        return UNSB_E_CLOSED;
    if (size > wire.piece)
        size = wire.piece;
    if (size > left)
        size = left;
    memcpy(data, wire.reply + wire.received, size);
    wire.received += size;
    return (int)size;
}

static void wire_close(void *context)
{
    (void)context;
    wire.open = false;
}

static int wire_wait(void *context, int interest, uint32_t timeout_ms)
{
    (void)context;
    (void)interest;
    (void)timeout_ms;
    return UNSB_OK;
}

static uint32_t wire_unix(void *context)
{
    (void)context;
    return 1700000000u;
}

static const unsb_transport_class wire_class = {wire_connect, wire_send, wire_recv,
                                                wire_close,   wire_wait, NULL,
                                                NULL};
static unsb_client client;
static unsb_result result;
static char buffer[512], out_text[32], err_text[16];

static int execute(const char *key, const char *secret, size_t buffer_size)
{
    static const char code[] = "print(6*7)\n\xE2\x82\xAC";
    unsb_program program;
    unsb_config config;
    unsb_file file;
    int rc;

    memset(&config, 0, sizeof config);
    config.transport.vtable = &wire_class;
    config.api_key = key;
    config.secret_key = secret;
    config.buffer = buffer;
    config.buffer_size = buffer_size;
    config.unix_time = wire_unix;
    memset(&program, 0, sizeof program);
    memset(&file, 0, sizeof file);
    memset(&result, 0, sizeof result);
    program.language = "python";
    program.code.data = code;
    program.code.size = sizeof code - 1;
    program.ttl_s = 30;
    file.name = "a";
    file.source.data = "\x00\xFF\x10";
    file.source.size = 3;
    program.files = &file;
    program.file_count = 1;
    result.out.data = out_text;
    result.out.capacity = sizeof out_text;
    result.err.data = err_text;
    result.err.capacity = sizeof err_text;
    rc = unsb_init(&client, &config);
    if (rc == UNSB_OK)
        rc = unsb_execute(&client, &program, &result);
    unsb_close(&client);
    return rc;
}

static void test_execute(void **state)
{
    static const char request[] = REQUEST(KEY, "");
    static const char reply[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 175\r\n\r\n"
        "{\"success\":true,\"stdout\":\"42\\n\\u20ac\\ud83d\\ude00\\udc80\\udc00\","
        "\"stderr\":\"0123456789abcdefghij\",\"exit_code\":-70000,\"job_id\":\"a-1\",\"language\":"
        "\"python\",\"total_time_ms\":4294967301}";
    static const size_t sizes[] = {128, 200, 512}, pieces[] = {1, 7, 10000};
    size_t s, p;

    (void)state;
    for (s = 0; s < COUNT(sizes); s++)
        for (p = 0; p < COUNT(pieces); p++) {
            wire.request = request;
            wire.reply = reply;
            wire.piece = pieces[p];
            assert_int_equal(execute(KEY, NULL, sizes[s]), UNSB_OK);
            assert_int_equal(wire.sent, sizeof request - 1);
            assert_int_equal(wire.received, sizeof reply - 1);
            assert_int_equal(result.http_status, 200);
            assert_true(result.success);
            assert_string_equal(out_text,
                                "42\n\xE2\x82\xAC\xF0\x9F\x98\x80\x80\xEF\xBF\xBD");
            assert_string_equal(err_text, "0123456789abcde");
            assert_true(result.err.size == 20);
            assert_true(result.exit_code == -70000);
            assert_true(result.total_time_ms == 4294967301);
            assert_string_equal(result.job_id, "a-1");
            assert_string_equal(result.language, "python");
        }
}

/* The signature is that of Python's hmac. */
static void test_execute_signed(void **state)
{
    static const char request[] = REQUEST(
        "unsb-pk-test0", "\r\nX-Timestamp: 1700000000\r\nX-Signature: "
                         "585305849c1adebfe002c429eb9994f810aefe8f89f7b246d3d24eb81a713403");
    static const size_t pieces[] = {1, 10000};
    size_t p;

    (void)state;
    for (p = 0; p < COUNT(pieces); p++) {
        wire.request = request;
        wire.reply = "HTTP/1.1 429 Slow\r\nRetry-After: 70\r\nContent-Length: 16\r\n\r\n"
                     "{\"error\":\"later\"}";
        wire.piece = pieces[p];
        assert_int_equal(execute("unsb-pk-test0", KEY, 128), UNSB_E_RATE_LIMITED);
        assert_int_equal(wire.sent, sizeof request - 1);
        assert_true(result.retry_after_s == 70);
        assert_string_equal(result.error, "later");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),      cmocka_unit_test(test_base64_strict),
        cmocka_unit_test(test_json_reader), cmocka_unit_test(test_json_integer),
        cmocka_unit_test(test_json_writer), cmocka_unit_test(test_http),
        cmocka_unit_test(test_http_strict), cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_execute),     cmocka_unit_test(test_execute_signed),
    };

    print_facts();
    return cmocka_run_group_tests_name("tiny", tests, NULL, NULL);
}
