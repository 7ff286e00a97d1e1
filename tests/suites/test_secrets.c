/* Where the keys are, and where not: in no memory once the client is closed, on no wire whose peer
 * was not verified, with no host but the one that was configured, in no text that anybody reads. */
#include <stddef.h>

static void note_trace(char what, const void *text, size_t size);
#define UNSB_TRACE(client, what, text, size) note_trace(what, text, size)
#include "suite.h"
#include "unsandbox_mbedtls.h"
#include "unsandbox_openssl.h"

#include <netdb.h>
#include <sys/socket.h>

static char hosts[512]; /* that were looked up */

static int note_host(const char *host, const char *port, const struct addrinfo *hints,
                     struct addrinfo **list)
{
    struct addrinfo numeric = *hints;

    if ((hints->ai_flags & AI_NUMERICHOST) != 0 && strncmp(host, "127.", 4) != 0)
        return EAI_NONAME;
    if (strlen(hosts) + strlen(host) + 2 < sizeof hosts)
        (void)strcat(strcat(hosts, host), " ");
    numeric.ai_flags |= AI_NUMERICHOST;
    return getaddrinfo("127.0.0.1", port, &numeric, list);
}

#define UNSB_POSIX_GETADDRINFO note_host
#include "service.h"

/* Where they stand here they are masked, so that this program's own constants are not found. */
#define MASK 0xA7
#define KEY_SIZE 40

enum key { PUBLIC, SECRET, BEARER, KEYS };

static char trace[65536]; /* what the client tells while it is developed with */
static size_t trace_size;

static void note_trace(char what, const void *text, size_t size)
{
    if (what != '=' && trace_size + size < sizeof trace) {
        memcpy(trace + trace_size, text, size);
        trace_size += size;
        trace[trace_size] = '\0';
    }
}

static const char *const key_names[KEYS] = {"public", "secret", "bearer"};

static uint8_t masked[KEYS][KEY_SIZE];
static char *texts[KEYS]; /* the caller's own; empty where no client needs them */

static service sandboxd, sandboxd_tls, hostile;
static uint16_t tls_port; /* of the hostile one */
static rig g;
static unsb_result result;
static char out_memory[100], err_memory[100];

/* ======================================================================
 * >>search  of all memory that this process can write
 * ====================================================================== */

enum form { PLAIN, INNER, OUTER, PLAIN_WORDS, INNER_WORDS, OUTER_WORDS, FORMS };

static const char *const form_names[FORMS] = {
    "as it is", "as HMAC's inner pad", "as its outer pad",
    "in words", "in words of the inner pad", "in words of the outer pad"};

/* Half of a key is enough to be found. */
#define NEEDLE 20

static bool is_there(const uint8_t *at, unsigned key, unsigned form)
{
    static const uint8_t pads[] = {0, 0x36, 0x5C};
    unsigned i, from;

    for (i = 0; i < NEEDLE; i++) {
        from = form >= PLAIN_WORDS ? i ^ 3u : i;
        if (at[i] != (masked[key][from] ^ MASK ^ pads[form % 3]))
            return false;
    }
    return true;
}

static uint8_t window[1 << 16]; /* what is read is not counted again where it is read to */

static unsigned search_range(int fd, uintptr_t begin, uintptr_t end, unsigned key, unsigned form)
{
    uintptr_t at = begin, here = (uintptr_t)window;
    unsigned found = 0;

    while (at < end) {
        size_t want = end - at < sizeof window ? end - at : sizeof window, i;
        ssize_t n = pread(fd, window, want, (off_t)at);
        if (n < NEEDLE)
            break;
        for (i = 0; i + NEEDLE <= (size_t)n; i++)
            found += (at + i < here || at + i >= here + sizeof window) &&
                     is_there(window + i, key, form);
        at += (size_t)n < sizeof window ? (size_t)n : sizeof window - NEEDLE + 1;
    }
    return found;
}

/* How often half of the key is there. */
static unsigned search(unsigned key, unsigned form)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int fd = open("/proc/self/mem", O_RDONLY);
    char line[600], rights[8];
    unsigned long begin, end;
    unsigned found = 0;

    assert_non_null(maps);
    assert_true(fd >= 0);
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%lx %7s", &begin, &end, rights) == 3 && rights[0] == 'r' &&
            rights[1] == 'w')
            found += search_range(fd, begin, end, key, form);
    (void)close(fd);
    (void)fclose(maps);
    return found;
}

/* ======================================================================
 * >>memory
 * ====================================================================== */

static const char *unmask(unsigned key)
{
    unsigned i;

    for (i = 0; i < KEY_SIZE; i++)
        ((volatile char *)texts[key])[i] = (char)(masked[key][i] ^ MASK);
    texts[key][KEY_SIZE] = '\0';
    return texts[key];
}

static void forget_keys(void)
{
    unsigned key;

    for (key = 0; key < KEYS; key++)
        unsbi_wipe(texts[key], KEY_SIZE);
}

static int execute(void)
{
    unsb_program program;

    memset(&program, 0, sizeof program);
    memset(&result, 0, sizeof result);
    program.language = "sh";
    program.code = unsb_text("echo fine");
    result.out = unsb_into(out_memory, sizeof out_memory);
    result.err = unsb_into(err_memory, sizeof err_memory);
    return rig_end(&g, unsb_execute(&g.client, &program, &result));
}

static void open_client(int wire, bool nonblocking, bool is_signed, const char *host, uint16_t port)
{
    rig_prepare(&g, wire, nonblocking, port);
    g.config.api_key = unmask(is_signed ? PUBLIC : BEARER);
    g.config.secret_key = is_signed ? unmask(SECRET) : NULL;
    g.config.host = host;
    rig_open(&g);
}

static void check_forgotten(int wire, bool is_signed)
{
    static const unsb_client zero;
    unsigned key, form, found;

    assert_memory_equal(&g.client, &zero, sizeof zero);
    assert_true(is_zero(g.buffer, sizeof g.buffer));
    for (key = 0; key < KEYS; key++)
        for (form = 0; form < FORMS; form++) {
            found = search(key, form);
            if (found != 0)
                fail_msg("wire %d, %s: the %s key is still there %u times, %s", wire,
                         is_signed ? "signed" : "bearer", key_names[key], found, form_names[form]);
        }
}

/* Whatever stands in memory is found, in each form, until it is wiped. */
static void the_search_finds(void **state)
{
    static uint8_t place[KEY_SIZE];
    static const uint8_t pads[] = {0, 0x36, 0x5C};
    unsigned key, form, i;

    (void)state;
    if (SANITIZED)
        skip(); /* its shadow memory has no end */
    for (key = 0; key < KEYS; key++)
        for (form = 0; form < FORMS; form++) {
            for (i = 0; i < KEY_SIZE; i++)
                place[i] = (uint8_t)(masked[key][form >= PLAIN_WORDS ? i ^ 3u : i] ^ MASK ^
                                     pads[form % 3]);
            assert_int_equal(search(key, form), 1);
            unsbi_wipe(place, sizeof place);
            assert_int_equal(search(key, form), 0);
        }
}

static void keys_are_forgotten(void **state)
{
    unsigned way, wire;

    (void)state;
    if (SANITIZED)
        skip();
    for (wire = ON_TCP; wire < WIRES; wire++)
        for (way = 0; way < 4; way++) {
            open_client((int)wire, (way & 1) != 0, (way & 2) != 0, "localhost",
                        wire == ON_TCP ? sandboxd.port : sandboxd_tls.port);
            assert_int_equal(execute(), UNSB_OK);
            assert_string_equal(out_memory, "fine\n");
            assert_int_equal(execute(), UNSB_OK);
            /* the search finds what is there: the caller's own, and no other secret */
            assert_true(search((way & 2) != 0 ? PUBLIC : BEARER, PLAIN) >= 1);
            assert_int_equal(search(SECRET, PLAIN), (way & 2) != 0);
            rig_close(&g);
            forget_keys();
            check_forgotten((int)wire, (way & 2) != 0);
        }
}

/* ======================================================================
 * >>wires
 * ====================================================================== */

static unsigned long ask_hostile(const char *text)
{
    char answer[64];
    int fd = loopback_connect(hostile.port);

    assert_true(fd >= 0);
    assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    if (!read_line(fd, answer, sizeof answer))
        fail_msg("no answer from peers/hostile.py");
    (void)close(fd);
    return strtoul(answer, NULL, 10);
}

/* Not a byte within TLS reaches a peer whose certificate is for another name. */
static void nothing_before_the_peer_is_known(void **state)
{
    unsigned wire;
    unsigned long before;

    (void)state;
    for (wire = ON_BEARSSL; wire < WIRES; wire++) {
        before = ask_hostile("bytes\n");
        open_client((int)wire, false, false, "elsewhere.example", tls_port);
        assert_int_equal(execute(), UNSB_E_CERTIFICATE);
        rig_close(&g);
        assert_int_equal(ask_hostile("bytes\n"), before);
        open_client((int)wire, false, false, "localhost", tls_port);
        assert_int_equal(execute(), UNSB_OK); /* it counts */
        rig_close(&g);
        assert_true(ask_hostile("bytes\n") > before);
    }
    forget_keys();
}

static void no_other_host(void **state)
{
    static const unsigned statuses[] = {300, 301, 302, 303, 305, 307, 308};
    char text[40];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(statuses); i++) {
        (void)snprintf(text, sizeof text, "redirect %u\n", statuses[i]);
        (void)ask_hostile(text);
        hosts[0] = '\0';
        open_client(ON_BEARSSL, false, i % 2 != 0, "localhost", tls_port);
        assert_int_equal(execute(), UNSB_E_REDIRECT);
        assert_int_equal(result.http_status, statuses[i]);
        assert_int_equal(g.inside.attempts, 1);
        assert_string_equal(hosts, "localhost ");
        rig_close(&g);
    }
    forget_keys();
}

/* Neither the texts of errors, nor the trace, nor the standard streams have anything of a key: the
 * latter have nothing at all. */
static void nothing_is_told(void **state)
{
    int streams[2], log = private_fd(open(scratch("streams"), O_RDWR | O_CREAT | O_TRUNC, 0600));
    unsigned wire, key;
    int i, rc;
    struct stat info;

    (void)state;
    (void)fflush(stdout);
    for (i = 0; i < 2; i++) {
        streams[i] = private_fd(dup(i + 1));
        (void)dup2(log, i + 1);
    }
    rc = UNSB_OK;
    trace_size = 0;
    for (wire = ON_TCP; wire < WIRES && rc == UNSB_OK; wire++) {
        open_client((int)wire, false, true, "localhost",
                    wire == ON_TCP ? sandboxd.port : sandboxd_tls.port);
        rc = execute();
        rig_close(&g);
        open_client((int)wire, false, false, "elsewhere.example", tls_port);
        (void)execute();
        rig_close(&g);
    }
    (void)fflush(stdout);
    for (i = 0; i < 2; i++) {
        (void)dup2(streams[i], i + 1);
        (void)close(streams[i]);
    }
    assert_int_equal(rc, UNSB_OK);
    assert_int_equal(fstat(log, &info), 0);
    assert_int_equal(info.st_size, 0);
    (void)close(log);
    for (key = 0; key < KEYS; key++)
        assert_null(strstr(trace, unmask(key)));
    assert_non_null(strstr(trace, "Authorization: Bearer ***\r\n"));
    assert_non_null(strstr(trace, "X-Signature: ***\r\n"));
    for (i = UNSB_PENDING; i >= UNSB_E_USER; i--)
        for (key = 0; key < KEYS; key++)
            assert_null(strstr(unsb_error_text(i), unmask(key)));
    forget_keys();
}

/* ======================================================================
 * >>set-up
 * ====================================================================== */

static int start(void **state)
{
    const char *argv[] = {"python3", "-B", "peers/hostile.py", NULL, NULL, NULL};
    uint64_t x = 88172645463325252u;
    char answer[64];
    unsigned key, i;
    int fd;

    (void)state;
    for (key = 0; key < KEYS; key++) {
        texts[key] = (char *)malloc(KEY_SIZE + 1);
        assert_non_null(texts[key]);
        for (i = 0; i < KEY_SIZE; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            masked[key][i] = (uint8_t)((i < 8 ? "unsb-sk-"[i] : "0123456789abcdef"[x % 16]) ^ MASK);
        }
        (void)unmask(key);
    }
    service_start(&sandboxd, 0, "--key", texts[BEARER], "--key-pair", texts[PUBLIC],
                  texts[SECRET], NULL);
    service_start(&sandboxd_tls, 1, "--key", texts[BEARER], "--key-pair", texts[PUBLIC],
                  texts[SECRET], NULL);
    argv[3] = pki("localhost.pem");
    argv[4] = pki("localhost.key");
    service_start_python(&hostile, argv);
    forget_keys();
    fd = loopback_connect(hostile.port);
    assert_true(fd >= 0 && write(fd, "ports\n", 6) == 6);
    assert_true(read_line(fd, answer, sizeof answer));
    (void)close(fd);
    tls_port = (uint16_t)strtoul(strchr(answer, ' '), NULL, 10);
    return 0;
}

static int stop(void **state)
{
    unsigned key;

    (void)state;
    rig_close(&g);
    for (key = 0; key < KEYS; key++)
        free(texts[key]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_finds), cmocka_unit_test(keys_are_forgotten),
        cmocka_unit_test(nothing_before_the_peer_is_known), cmocka_unit_test(no_other_host),
        cmocka_unit_test(nothing_is_told)};

    return cmocka_run_group_tests_name("secrets", tests, start, stop);
}
