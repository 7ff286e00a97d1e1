/* The firmware of the tests: one scenario a run, against a service or what stands in its way.
 *
 *     command line: HOST PORT SCENARIO [SECOND-PORT]
 *
 * Prints TAP lines, and the board's figures as "# ..." lines. Built with the device's own parts
 * from examples/firmware: over lwIP or, with CHECK_MODEM, over the serial line; with BearSSL or,
 * with CHECK_MBEDTLS, Mbed TLS. */
#include "board.h"
#include "flash.h"
#include "unsandbox.h"

#if CHECK_MODEM
#include "modem.h"
#else
#include "ethernet.h"
#include "unsandbox_lwip.h"
#endif

/* ---- the TLS library: its port, and its own numbers for what the scenarios provoke ---- */

#if CHECK_MBEDTLS

#include <mbedtls/memory_buffer_alloc.h>
#include <mbedtls/sha256.h>

#include "unsandbox_mbedtls.h"

#include "roots.h"

#if MBEDTLS_VERSION_MAJOR >= 3
#define mbedtls_sha256_starts_ret mbedtls_sha256_starts
#define mbedtls_sha256_update_ret mbedtls_sha256_update
#define mbedtls_sha256_finish_ret mbedtls_sha256_finish

/* What the keys of TLS 1.3 are made of. */
psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
                                             uint8_t *output, size_t size, size_t *length)
{
    (void)context;
    *length = size;
    return board_entropy(NULL, output, size) == UNSB_OK ? PSA_SUCCESS
                                                        : PSA_ERROR_INSUFFICIENT_ENTROPY;
}
#endif

enum {
    BAD_HOST = MBEDTLS_X509_BADCERT_CN_MISMATCH,
    NOT_TRUSTED = MBEDTLS_X509_BADCERT_NOT_TRUSTED,
    EXPIRED = MBEDTLS_X509_BADCERT_EXPIRED,
    NOT_YET_VALID = MBEDTLS_X509_BADCERT_FUTURE,
    NO_CLOCK = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE,
    NO_RANDOM = MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED,
    NO_ANCHORS = 0,
    ENDED = MBEDTLS_ERR_SSL_CONN_EOF,
    DIGEST_SIZE = 32
};

typedef mbedtls_sha256_context digest_context;
typedef unsb_mbedtls_config tls_config;
static unsb_mbedtls tls;
static mbedtls_x509_crt authorities;
static unsigned char heap[38 * 1024] __attribute__((aligned(8)));

static tls_config tls_defaults(void)
{
    mbedtls_memory_buffer_alloc_init(heap, sizeof heap);
    mbedtls_x509_crt_init(&authorities);
    /* some are for BearSSL's tests, with keys that this build does not know */
    if (roots_mbedtls(&authorities) < 0)
        board_print("not ok - the certificates of the authorities\n");
    return (tls_config){.anchors = &authorities};
}

static unsb_transport tls_transport(const tls_config *secure)
{
    return unsb_mbedtls_transport(&tls, secure);
}

static void tls_end(void)
{
    size_t used, blocks;

    unsb_mbedtls_wipe(&tls);
    mbedtls_x509_crt_free(&authorities);
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_psa_crypto_free();
#endif
    mbedtls_memory_buffer_alloc_max_get(&used, &blocks);
    board_print_number("# heap: ", (int32_t)used, "\n");
    mbedtls_memory_buffer_alloc_cur_get(&used, &blocks);
    board_print(used == 0 ? "ok - all is given back\n" : "not ok - all is given back\n");
}

static void digest_start(digest_context *digest)
{
    mbedtls_sha256_init(digest);
    (void)mbedtls_sha256_starts_ret(digest, 0);
}

static void digest_add(digest_context *digest, const uint8_t *data, size_t size)
{
    (void)mbedtls_sha256_update_ret(digest, data, size);
}

static void digest_end(digest_context *digest, uint8_t *hash)
{
    (void)mbedtls_sha256_finish_ret(digest, hash);
}

#else

#define UNSB_BEARSSL_PROFILE 0
#include "profile.h"
#include "unsandbox_bearssl.h"

#include "roots.h"

enum {
    BAD_HOST = BR_ERR_X509_BAD_SERVER_NAME,
    NOT_TRUSTED = BR_ERR_X509_NOT_TRUSTED,
    EXPIRED = BR_ERR_X509_EXPIRED,
     NOT_YET_VALID = UNSB_BEARSSL_NOT_YET_VALID,
    NO_CLOCK = BR_ERR_X509_TIME_UNKNOWN,
    NO_RANDOM = BR_ERR_NO_RANDOM,
    NO_ANCHORS = 0,
    ENDED = BR_ERR_IO,
    DIGEST_SIZE = br_sha256_SIZE
};

typedef br_sha256_context digest_context;
typedef unsb_bearssl_config tls_config;
static unsb_bearssl tls;
static unsigned char records[BR_SSL_BUFSIZE_MONO];

static tls_config tls_defaults(void)
{
    return (tls_config){.anchors = roots,
                        .anchor_count = ROOTS_COUNT,
                        .buffer = records,
                        .buffer_size = sizeof records,
                        .setup = profile_setup};
}

static unsb_transport tls_transport(const tls_config *secure)
{
    return unsb_bearssl_transport(&tls, secure);
}

static void tls_end(void)
{
    unsb_bearssl_wipe(&tls);
}

static void digest_start(digest_context *digest)
{
    br_sha256_init(digest);
}

static void digest_add(digest_context *digest, const uint8_t *data, size_t size)
{
    br_sha256_update(digest, data, size);
}

static void digest_end(digest_context *digest, uint8_t *hash)
{
    br_sha256_out(digest, hash);
}

#endif

#define MEGABYTE 1048576u
#define UPLOAD_BEGIN 0u /* in flash */
#define IMAGE_BEGIN MEGABYTE
#define STALL_LIMIT_MS 4000u

static unsb_client client;
static unsb_config config;
static tls_config secure;
static unsb_transport below; /* what TLS runs over */
static unsb_result result;
static char buffer[512], text[256];
static unsigned connects; /* how many connections were begun */
static const char *scenario;
static bool failed;
static int32_t clock_shift_s;

/* ---- verdicts ---- */

static bool check(bool good, const char *what)
{
    board_print(good ? "ok - " : "not ok - ");
    board_print(scenario);
    board_print(": ");
    board_print(what);
    board_print("\n");
    failed = failed || !good;
    return good;
}

static void check_number(int32_t is, int32_t wanted, const char *what)
{
    if (!check(is == wanted, what)) {
        board_print_number("#   is ", is, "");
        board_print_number(", wanted ", wanted, "\n");
    }
}

/* ---- between TLS and the network: counts the connections ---- */

static int tap_connect(void *context, const char *host, uint16_t port)
{
    static bool pending;
    int rc;

    (void)context;
    connects += !pending;
    rc = below.vtable->connect(below.context, host, port);
    pending = rc == UNSB_PENDING;
    return rc;
}

static int tap_send(void *context, const void *data, size_t size)
{
    (void)context;
    return below.vtable->send(below.context, data, size);
}

static int tap_recv(void *context, void *data, size_t size)
{
    (void)context;
    return below.vtable->recv(below.context, data, size);
}

static void tap_close(void *context)
{
    (void)context;
    below.vtable->close(below.context);
}

static int tap_wait(void *context, int interest, uint32_t timeout_ms)
{
    (void)context;
    return below.vtable->wait(below.context, interest, timeout_ms);
}

/* ---- set-up ---- */

static uint32_t shifted_time(void *context)
{
    return board_unix_time(context) + (uint32_t)clock_shift_s;
}

static int no_entropy(void *context, void *bytes, size_t size)
{
    (void)context;
    memset(bytes, 0, size);
    return UNSB_E_ENTROPY;
}

#if !CHECK_MODEM
static void poll_network(void *context)
{
    board_sleep();
    ethernet_poll(context);
}
#endif

static uint16_t number(const char *digits)
{
    uint32_t value = 0;

    while (*digits != '\0')
        value = value * 10 + (uint32_t)(*digits++ - '0');
    return (uint16_t)value;
}

static int start_network(void)
{
#if CHECK_MODEM
    static modem line;
    board_uart_start();
    below = modem_transport(&line);
    return UNSB_OK;
#else
    static unsb_lwip tcp;
    unsb_lwip_config network = {.poll = poll_network};
    below = unsb_lwip_transport(&tcp, &network);
    return ethernet_start(board_argument(1));
#endif
}

static void set_up(void)
{
    static const unsb_transport_class tap = {tap_connect, tap_send, tap_recv,
                                             tap_close,   tap_wait, NULL, NULL};

    secure = tls_defaults();
    secure.inner = (unsb_transport){&tap, NULL};
    secure.entropy = board_entropy;
    secure.unix_time = shifted_time;
    config = (unsb_config){.api_key = "unsb-sk-test0-vault-unlck-12345",
                           .host = board_argument(1),
                           .port = number(board_argument(2)),
                           .buffer = buffer,
                           .buffer_size = sizeof buffer,
                           .now_ms = board_now_ms};
}

static void open_client(void)
{
    config.transport = tls_transport(&secure);
    check_number(unsb_init(&client, &config), UNSB_OK, "the client is set up");
}

static int run(const char *language, const char *code, const unsb_file *file, bool artifact)
{
    unsb_program program = {.language = language,
                            .code = unsb_text(code),
                            .files = file,
                            .file_count = file != NULL,
                            .return_artifact = artifact};

    return unsb_execute(&client, &program, &result);
}

/* A call that must succeed: on a connection of its own, if the last one failed. */
static void expect_answer(const char *what)
{
    result = (unsb_result){.out = unsb_into(text, sizeof text)};
    check_number(run("python", "print(6 * 7)", NULL, false), UNSB_OK, what);
    check(strcmp(text, "42\n") == 0, "its output is right");
}

/* A call that must fail so, before it was sent. */
static void expect_refusal(int wanted, int error)
{
    open_client();
    result = (unsb_result){.out = unsb_into(text, sizeof text)};
    check_number(run("python", "print(6 * 7)", NULL, false), wanted, "the library's error");
    check_number(tls.error, error, "the TLS library's error");
    check(result.http_status == 0 && text[0] == '\0', "there was no answer");
}

/* ---- scenarios ---- */

static void call(void)
{
    open_client();
    expect_answer("a call succeeds");
}

#if !CHECK_MBEDTLS
static void small_records(void)
{
    secure.buffer_size = UNSB_BEARSSL_BUFFER_MIN;
    open_client();
    expect_answer("a call succeeds with records of 512 bytes");
}

/* A chain with keys that the set-up does not know. */
static void unsupported(void)
{
    expect_refusal(UNSB_E_CERTIFICATE, BR_ERR_X509_UNSUPPORTED);
}
#endif

static void wrong_host(void)
{
    expect_refusal(UNSB_E_CERTIFICATE, BAD_HOST);
}

static void untrusted(void)
{
    expect_refusal(UNSB_E_CERTIFICATE, NOT_TRUSTED);
}

static void expired(void)
{
    clock_shift_s = 10 * 86400;
    expect_refusal(UNSB_E_CERTIFICATE, EXPIRED);
}

static void not_yet_valid(void)
{
    clock_shift_s = -10 * 86400;
    expect_refusal(UNSB_E_CERTIFICATE, NOT_YET_VALID);
}

static void clock_not_set(void)
{
    secure.unix_time = NULL;
    expect_refusal(UNSB_E_CERTIFICATE, NO_CLOCK);
}

static void entropy_fails(void)
{
    secure.entropy = no_entropy;
    expect_refusal(UNSB_E_ENTROPY, NO_RANDOM);
    check_number((int32_t)connects, 1, "one connection was begun");
}

static void entropy_missing(void)
{
    secure.entropy = NULL;
    expect_refusal(UNSB_E_ENTROPY, NO_RANDOM);
}

static void no_anchors(void)
{
    secure.anchors = NULL;
    expect_refusal(UNSB_E_TRUST, NO_ANCHORS);
}

static void refused(void)
{
    expect_refusal(UNSB_E_CONNECT, 0);
}

static void wrong_key(void)
{
    config.api_key = "unsb-sk-wrong-wrong-wrong-wrong";
    open_client();
    result = (unsb_result){.out = unsb_into(text, sizeof text)};
    check_number(run("python", "print(6 * 7)", NULL, false), UNSB_E_UNAUTHORIZED,
                 "the library's error");
    check_number(result.http_status, 401, "the service's answer");
}

/* What stands before the service lets 60,000 bytes of the first connection through, then cuts it
 * or lets it stall. */
static void interrupted(int rc, int wanted, int error)
{
    check_number(rc, wanted, "the library's error");
    check_number(tls.error, error, "the TLS library's error");
    check(result.out.size > 0 && result.out.size < 200000, "a part of the output had come");
    check_number((int32_t)connects, 1, "it was not tried again");
}

static void cut(void)
{
    open_client();
    result = (unsb_result){0};
    interrupted(run("python", "print('x' * 200000)", NULL, false), UNSB_E_IO, ENDED);
    expect_answer("the next call succeeds");
    check_number((int32_t)connects, 2, "on a new connection");
}

/* By unsb_request(), as unsb_execute() adds the program's ttl to the time limit. */
static void stalled(void)
{
    unsb_call request = {.method = "POST", .path = "/execute"};

    config.idle_timeout_ms = STALL_LIMIT_MS;
    open_client();
    result = (unsb_result){0};
    request.body = unsb_text("{\"language\":\"python\",\"code\":\"print('x' * 200000)\"}");
    interrupted(unsb_request(&client, &request, &result), UNSB_E_TIMEOUT, 0);
    unsb_close(&client);
    config.idle_timeout_ms = 0; /* the next call may take its time */
    open_client();
    expect_answer("the next call succeeds");
    check_number((int32_t)connects, 2, "on a new connection");
}

static void twenty(void)
{
    unsigned i, good = 0;

    open_client();
    for (i = 0; i < 20; i++) {
        result = (unsb_result){.out = unsb_into(text, sizeof text)};
        good += run("python", "print(6 * 7)", NULL, false) == UNSB_OK && strcmp(text, "42\n") == 0;
    }
    check_number((int32_t)good, 20, "20 calls succeed");
    check_number((int32_t)connects, 1, "on one connection");
}

static void resumed(void)
{
    unsigned i, good = 0, resumptions = 0;

    config.no_keep_alive = true;
    open_client();
    for (i = 0; i < 4; i++) {
        result = (unsb_result){.out = unsb_into(text, sizeof text)};
        good += run("python", "print(6 * 7)", NULL, false) == UNSB_OK && strcmp(text, "42\n") == 0;
        resumptions += tls.resumed;
    }
    check_number((int32_t)good, 4, "4 calls succeed");
    check_number((int32_t)connects, 4, "each on a connection of its own");
    check_number((int32_t)resumptions, 3, "all but the first resume the session");
}

/* ---- a megabyte each way ---- */

static void hash_flash(uint32_t begin, uint32_t size, char hex[2 * DIGEST_SIZE + 1])
{
    digest_context digest;
    uint8_t piece[64], hash[DIGEST_SIZE];
    size_t n, i;

    digest_start(&digest);
    for (; size != 0; begin += (uint32_t)n, size -= (uint32_t)n) {
        n = size < sizeof piece ? size : sizeof piece;
        if (flash_read(begin, piece, n) != UNSB_OK)
            check(false, "the flash can be read");
        digest_add(&digest, piece, n);
    }
    digest_end(&digest, hash);
    for (i = 0; i < sizeof hash; i++) {
        hex[2 * i] = "0123456789abcdef"[hash[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
    }
    hex[2 * DIGEST_SIZE] = '\0';
}

static flash_stream image;

static int keep(void *context, const unsb_artifact *artifact)
{
    (void)context;
    if (artifact->end)
        return flash_stream_close(&image);
    return flash_stream_write(&image, artifact->data, artifact->size);
}

/* The program has 2^20 bytes of constants in it that do not compress or repeat, and says the hash
 * of its own file. */
static void artifact(void)
{
    static const char code[] =
        "#include <stdio.h>\n"
        "#include <stdlib.h>\n"
        "__asm__(\".globl load\\n.data\\nload:\\n.set x, 1\\n.rept 262144\\n\"\n"
        "        \".set x, (x * 1664525 + 1013904223) & 0xffffffff\\n.long x\\n.endr\\n\");\n"
        "extern char load[];\n"
        "int main(int c, char **v)\n"
        "{\n"
        "    char command[500];\n"
        "    snprintf(command, sizeof command, \"sha256sum <'%s'\", v[0]);\n"
        "    return c != 1 || load[0] == 0 || system(command) != 0;\n"
        "}\n";
    char hex[2 * DIGEST_SIZE + 1];

    open_client();
    flash_stream_open(&image, IMAGE_BEGIN, flash_size());
    result = (unsb_result){.out = unsb_into(text, sizeof text), .on_artifact = keep};
    check_number(run("c", code, NULL, true), UNSB_OK, "the call succeeds");
    check(result.success, "so does the program");
    check(image.size > MEGABYTE, "the artifact has more than 1 MB");
    hash_flash(IMAGE_BEGIN, image.size, hex);
    check(strncmp(hex, text, 64) == 0, "what is in flash has the hash that the program printed");
}

static int read_flash(void *context, unsb_size offset, void *data, size_t size)
{
    (void)context;
    return flash_read(UPLOAD_BEGIN + (uint32_t)offset, data, size) == UNSB_OK ? (int)size : E_FLASH;
}

static void upload(void)
{
    unsb_file file = {.name = "load.bin", .source = {NULL, MEGABYTE, read_flash, NULL}};
    char hex[2 * DIGEST_SIZE + 1];
    flash_stream stream;
    uint32_t value = 1, i;
    int rc = UNSB_OK;

    flash_stream_open(&stream, UPLOAD_BEGIN, UPLOAD_BEGIN + MEGABYTE);
    for (i = 0; i < MEGABYTE / sizeof value && rc == UNSB_OK; i++) {
        value = value * 1664525u + 1013904223u;
        rc = flash_stream_write(&stream, &value, sizeof value);
    }
    check_number(rc, UNSB_OK, "a megabyte is in flash");
    hash_flash(UPLOAD_BEGIN, MEGABYTE, hex);
    open_client();
    result = (unsb_result){.out = unsb_into(text, sizeof text)};
    check_number(run("python",
                     "import hashlib\n"
                     "print(hashlib.sha256(open('load.bin', 'rb').read()).hexdigest())\n",
                     &file, false),
                 UNSB_OK, "the call succeeds");
    check(strncmp(hex, text, 64) == 0, "what arrived there has the hash of what is in flash");
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } scenarios[] = {
        {"call", call},
#if !CHECK_MBEDTLS
        {"small-records", small_records},
        {"unsupported", unsupported},
#endif
        {"wrong-host", wrong_host},
        {"untrusted", untrusted},
        {"expired", expired},
        {"not-yet-valid", not_yet_valid},
        {"clock-not-set", clock_not_set},
        {"entropy-fails", entropy_fails},
        {"entropy-missing", entropy_missing},
        {"no-anchors", no_anchors},
        {"refused", refused},
        {"wrong-key", wrong_key},
        {"cut", cut},
        {"stalled", stalled},
        {"twenty", twenty},
        {"resumed", resumed},
        {"artifact", artifact},
        {"upload", upload},
    };
    size_t i, count = sizeof scenarios / sizeof scenarios[0];

    scenario = board_argument(3);
    for (i = 0; i < count && strcmp(scenario, scenarios[i].name) != 0; i++)
        continue;
    if (!check(i < count, "there is such a scenario"))
        return 2;
    set_up();
    check_number(start_network(), UNSB_OK, "the network is up");
    scenarios[i].run();
    unsb_close(&client);
    tls_end();
    board_print_number("# time: ", (int32_t)board_now_ms(NULL), " ms\n");
    board_print_number("# stack: ", (int32_t)board_stack_used(), "\n");
    return failed;
}
