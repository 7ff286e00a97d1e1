/* Large payloads in constant memory: files uploaded from a generator, output counted and hashed in
 * a sink, an artifact compared as it arrives. Nothing is ever held whole on this side. */
#include "suite.h"
#include "service.h"

#include <sys/resource.h>

#if SANITIZED
#define FILE_SIZE (1L << 20)
#define OUTPUT_LINES 5000ul
#else
#define FILE_SIZE UNSB_FILE_MAX
#define OUTPUT_LINES 100000ul
#endif
#define LINE_SIZE 1024u
#define OUTPUT_SIZE (OUTPUT_LINES * LINE_SIZE)
#define GROWTH_MAX_KB 1024

static service services[2];
static rig g;
static unsb_result result;
static char out_memory[300], err_memory[2000];

typedef struct wire {
    bool tls;
    bool nonblocking;
    size_t buffer_size;
    const char *name;
} wire;

static void open_wire(const wire *w)
{
    rig_close(&g);
    rig_prepare(&g, w->tls, w->nonblocking, services[w->tls].port);
    g.config.buffer_size = w->buffer_size;
    g.secure.buffer_size = BR_SSL_BUFSIZE_MONO;
    rig_open(&g);
    memset(&result, 0, sizeof result);
    result.out = unsb_into(out_memory, sizeof out_memory);
    result.err = unsb_into(err_memory, sizeof err_memory);
}

static void expect_ok(int rc)
{
    rc = rig_end(&g, rc);
    if (rc != UNSB_OK || !result.success)
        fail_msg("%d (%s), HTTP %d %s %s, exit code %d: %s", rc, unsb_error_text(rc),
                 result.http_status, result.error, result.message, (int)result.exit_code,
                 err_memory);
}

/* ---- the generator: any byte of file `seed`, by its offset ---- */

static uint32_t mixed(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return x ^ x >> 16;
}

static uint8_t byte_of(uint32_t seed, unsb_size offset)
{
    return (uint8_t)(mixed((uint32_t)(offset >> 2) + seed * 0x01000000u) >> (8 * (offset & 3)));
}

static int read_generated(void *context, unsb_size offset, void *buffer, size_t size)
{
    uint32_t seed = *(const uint32_t *)context;
    uint8_t *out = (uint8_t *)buffer;
    size_t i;

    size = size < 4000 ? size : 4000;
    for (i = 0; i < size; i++)
        out[i] = byte_of(seed, offset + (unsb_size)i);
    return (int)size;
}

static void hash_generated(uint32_t seed, unsb_size size, char text[65])
{
    uint8_t piece[4000];
    unsb_size at = 0;
    sha s;

    sha_start(&s);
    while (at < size) {
        int n = read_generated(&seed, at, piece,
                               size - at < sizeof piece ? (size_t)(size - at) : sizeof piece);
        sha_add(&s, piece, (size_t)n);
        at += (unsb_size)n;
    }
    sha_text(&s, text);
}

/* ---- the three payloads ---- */

static uint32_t seeds[2] = {1, 2};

static void upload(unsb_size size)
{
    unsb_program program;
    unsb_file files[2];
    char want[140];
    size_t i;

    memset(&program, 0, sizeof program);
    memset(files, 0, sizeof files);
    for (i = 0; i < 2; i++) {
        files[i].source.size = size;
        files[i].source.read = read_generated;
        files[i].source.context = &seeds[i];
        hash_generated(seeds[i], size, want + 65 * i);
        want[65 * i + 64] = '\n';
    }
    want[130] = '\0';
    program.language = "python";
    program.code = unsb_text("import hashlib\n"
                             "for name in '01':\n"
                             "    print(hashlib.sha256(open(name, 'rb').read()).hexdigest())\n");
    program.files = files;
    program.file_count = 2;
    expect_ok(unsb_execute(&g.client, &program, &result));
    assert_string_equal(out_memory, want);
}

static int hash_output(void *context, const void *data, size_t size)
{
    sha_add((sha *)context, data, size);
    return UNSB_OK;
}

/* Lines of 1024 bytes, each with its number. */
static void download(unsigned long lines)
{
    unsb_program program;
    char code[300], got[65], want[65], line[LINE_SIZE + 1];
    unsigned long i;
    sha s;

    memset(&program, 0, sizeof program);
    (void)snprintf(code, sizeof code,
                   "import sys\n"
                   "for start in range(0, %lu, 100):\n"
                   "    sys.stdout.write(''.join('%%01022d\\t\\n' %% i\n"
                   "                             for i in range(start, min(start + 100, %lu))))\n",
                   lines, lines);
    program.language = "python";
    program.code = unsb_text(code);
    sha_start(&s);
    result.out.write = hash_output;
    result.out.context = &s;
    expect_ok(unsb_execute(&g.client, &program, &result));
    result.out.write = NULL;
    assert_int_equal(s.total, lines * LINE_SIZE);
    assert_int_equal(result.out.size, lines * LINE_SIZE);
    sha_text(&s, got);
    sha_start(&s);
    for (i = 0; i < lines; i++) {
        (void)snprintf(line, sizeof line, "%01022lu\t\n", i);
        sha_add(&s, line, LINE_SIZE);
    }
    sha_text(&s, want);
    assert_string_equal(got, want);
}

/* The uploaded file comes back within the binary: it is found by its first bytes, and compared. */
typedef struct search {
    unsb_size matched, all;
    bool found, ended;
} search;

static int find_file(void *context, const unsb_artifact *artifact)
{
    search *s = (search *)context;
    const uint8_t *data = (const uint8_t *)artifact->data;
    size_t i;

    s->ended = s->ended || artifact->end;
    s->all += (unsb_size)artifact->size;
    for (i = 0; i < artifact->size && !s->found; i++) {
        if (data[i] == byte_of(seeds[0], s->matched))
            s->matched++;
        else
            s->matched = data[i] == byte_of(seeds[0], 0) ? 1 : 0;
        s->found = s->matched == FILE_SIZE;
    }
    return UNSB_OK;
}

static void artifact(unsb_size size)
{
    unsb_program program;
    unsb_file file;
    search s;

    memset(&program, 0, sizeof program);
    memset(&file, 0, sizeof file);
    memset(&s, 0, sizeof s);
    file.name = "blob";
    file.source.size = size;
    file.source.read = read_generated;
    file.source.context = &seeds[0];
    program.language = "c";
    program.code = unsb_text("__asm__(\".data\\n.incbin \\\"blob\\\"\\n.text\\n\");\n"
                             "int main(void) { return 0; }\n");
    program.files = &file;
    program.file_count = 1;
    program.return_artifact = true;
    result.on_artifact = find_file;
    result.context = &s;
    expect_ok(unsb_execute(&g.client, &program, &result));
    result.on_artifact = NULL;
    assert_true(s.ended);
    assert_true(s.all > size);
    assert_true(s.found || size < FILE_SIZE);
}

/* ======================================================================
 * >>tests
 * ====================================================================== */

/* getrusage() also counts what the process was before it became this program, so it is asked only
 * where the system does not tell more. */
static long peak_kb(void)
{
    char *text = read_text("/proc/self/status"), *field = strstr(text, "VmHWM:");
    long kb = field != NULL ? strtol(field + 6, NULL, 10) : 0;
    struct rusage usage;

    free(text);
    if (kb > 0)
        return kb;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static long growth_kb; /* the largest one seen */

static void megabytes(void **state)
{
    const wire *w = (const wire *)*state;
    uint32_t began, uploaded, downloaded, ended;
    long before, after;

    open_wire(w);
    /* all the code has run once before the baseline is taken */
    upload(1000);
    download(10);
    artifact(1000);
    before = peak_kb();
    began = unsb_posix_now_ms(NULL);
    upload(FILE_SIZE);
    uploaded = unsb_posix_now_ms(NULL);
    download(OUTPUT_LINES);
    downloaded = unsb_posix_now_ms(NULL);
    artifact(FILE_SIZE);
    ended = unsb_posix_now_ms(NULL);
    after = peak_kb();
    growth_kb = growth_kb > after - before ? growth_kb : after - before;
    assert_int_equal(g.outside.connects, 1);
    figures("%s: %ld bytes up in %u ms, %lu bytes down in %u ms, %ld up and back as an artifact in "
            "%u ms, the service's work included; peak memory %ld KB before, %ld KB after",
            w->name, 2 * FILE_SIZE, (unsigned)(uploaded - began), OUTPUT_SIZE,
            (unsigned)(downloaded - uploaded), FILE_SIZE, (unsigned)(ended - downloaded), before,
            after);
}

static void constant_memory(void **state)
{
    (void)state;
#if SANITIZED
    skip(); /* the sanitizer's own memory grows */
#else
    assert_true(growth_kb < GROWTH_MAX_KB);
#endif
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&g);
    return 0;
}

static int start(void **state)
{
    (void)state;
    service_start(&services[0], 0, NULL);
    service_start(&services[1], 1, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    service_stop(&services[0]);
    service_stop(&services[1]);
    return 0;
}

#define TEST(name, wire)                                                                           \
    {                                                                                              \
        name, megabytes, NULL, tear_down, wire                                                     \
    }

int main(void)
{
    static wire small = {false, false, 512, "tcp, blocking, buffer of 512"};
    static wire large = {true, true, 16384, "tls, polled, buffer of 16384"};
    const struct CMUnitTest tests[] = {TEST("megabytes (tcp, 512)", &small),
                                       TEST("megabytes (tls, 16384)", &large),
                                       cmocka_unit_test(constant_memory)};

    return cmocka_run_group_tests_name("large", tests, start, stop);
}
