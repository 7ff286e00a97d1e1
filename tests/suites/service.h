/* What the suites that need a peer share: the local service as a child process, throw-away
 * certificates, a scratch directory, transports that count, peers and a cutting proxy as threads,
 * and a client in every set-up, driven to the end of an operation. Everything stays on loopback. */
#ifndef SERVICE_H
#define SERVICE_H

#include "unsandbox_posix.h"
#include "unsandbox_bearssl.h"
#include "unsandbox_bearssl_pem.h"
#ifdef UNSANDBOX_MBEDTLS_H /* suites that use it include it first */
#include "unsandbox_mbedtls_pem.h"
#endif

#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define SAMPLE_KEY "unsb-sk-test0-vault-unlck-12345"
#define PATIENCE_MS 60000 /* what takes longer than this has failed */

static inline void sleep_a_little(void)
{
    struct timespec time = {0, 300000};

    (void)nanosleep(&time, NULL);
}

static inline bool is_zero(const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    size_t i;

    for (i = 0; i < size && p[i] == 0; i++)
        continue;
    return i == size;
}

/* Waits for a condition, which is asked for again and again: false if it did not come. */
#define EVENTUALLY(condition, result)                                                              \
    do {                                                                                           \
        uint32_t since_ = unsb_posix_now_ms(NULL);                                                 \
        while (!((result) = (condition)) && unsb_posix_now_ms(NULL) - since_ < PATIENCE_MS)        \
            sleep_a_little();                                                                      \
    } while (0)

/* What a suite measured, for tests/run.sh to show. */
#define figures(...)                                                                               \
    do {                                                                                           \
        (void)fprintf(stderr, "figures: " __VA_ARGS__);                                            \
        (void)fprintf(stderr, "\n");                                                               \
    } while (0)

/* ======================================================================
 * >>scratch
 * ====================================================================== */

static inline void remove_tree(const char *path)
{
    char name[512];
    struct stat info;
    struct dirent *entry;
    DIR *folder;

    if (lstat(path, &info) != 0)
        return;
    if (!S_ISDIR(info.st_mode)) {
        (void)unlink(path);
        return;
    }
    folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if ((size_t)snprintf(name, sizeof name, "%s/%s", path, entry->d_name) < sizeof name)
            remove_tree(name);
    }
    if (folder != NULL)
        (void)closedir(folder);
    (void)rmdir(path);
}

#define SERVICES_MAX 32

static char scratch_folder[256];
static pid_t service_pids[SERVICES_MAX];
static pid_t front_pids[SERVICES_MAX]; /* what stands before the service of the same index, or 0 */
static pid_t scratch_owner;

static inline void stop_children(void)
{
    size_t i;

    for (i = 0; i < SERVICES_MAX; i++) {
        if (front_pids[i] > 0)
            (void)kill(front_pids[i], SIGTERM);
        if (service_pids[i] > 0)
            (void)kill(service_pids[i], SIGTERM);
    }
}

static inline void clean_up(void)
{
    size_t i;

    if (getpid() != scratch_owner)
        return;
    stop_children();
    for (i = 0; i < SERVICES_MAX; i++) {
        if (front_pids[i] > 0)
            (void)waitpid(front_pids[i], NULL, 0);
        if (service_pids[i] > 0)
            (void)waitpid(service_pids[i], NULL, 0);
    }
    remove_tree(scratch_folder);
}

/* Stopped from outside: in a signal handler, only another program can tidy up. */
static inline void clean_up_and_die(int number)
{
    stop_children();
    (void)execl("/bin/sh", "sh", "-c", "rm -rf \"$1\"; exit 1", "sh", scratch_folder, (char *)NULL);
    _exit(number);
}

/* A path in this program's own directory, which is removed at its end. Up to 8 stay valid. */
static inline const char *scratch(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];

    if (scratch_folder[0] == '\0') {
        const char *base = getenv("TMPDIR");
        (void)snprintf(scratch_folder, sizeof scratch_folder, "%s/unsb-test-XXXXXX",
                       base != NULL && base[0] != '\0' ? base : "/tmp");
        if (mkdtemp(scratch_folder) == NULL)
            fail_msg("no scratch directory: %s", strerror(errno));
        scratch_owner = getpid();
        (void)atexit(clean_up);
        (void)signal(SIGTERM, clean_up_and_die);
        (void)signal(SIGINT, clean_up_and_die);
    }
    (void)snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
    return path;
}

static inline void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        fail_msg("cannot write %s", path);
}

/* Reads a whole text file; "" if there is none. The caller frees it. */
static inline char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = (char *)calloc(1, 1);
    size_t size = 0, got;

    while (text != NULL && file != NULL) {
        char *more = (char *)realloc(text, size + 4097);
        if (more == NULL)
            break;
        text = more;
        got = fread(text + size, 1, 4096, file);
        size += got;
        text[size] = '\0';
        if (got == 0)
            break;
    }
    if (file != NULL)
        (void)fclose(file);
    return text;
}

/* ======================================================================
 * >>children
 * ====================================================================== */

/* No descriptor of the tests may live on in a child, which would keep ports and streams open. */
static inline int private_fd(int fd)
{
    if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        fail_msg("no descriptor: %s", strerror(errno));
    return fd;
}

/* Starts a command whose stdout is `out` (or a log, if < 0); stderr goes to the log. */
static inline pid_t spawn(const char *const *argv, int out)
{
    int log = private_fd(open(scratch("log"), O_WRONLY | O_CREAT | O_APPEND, 0600));
    pid_t pid = fork();

    if (pid == 0) {
        (void)signal(SIGTERM, SIG_DFL);
        (void)signal(SIGINT, SIG_DFL);
        if (dup2(out >= 0 ? out : log, 1) < 0 || dup2(log, 2) < 0)
            _exit(126);
        (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(log);
    if (pid < 0)
        fail_msg("cannot fork: %s", strerror(errno));
    return pid;
}

static inline void show_log(void)
{
    char *text = read_text(scratch("log"));

    print_error("%s", text != NULL ? text : "");
    free(text);
}

static inline int run(const char *const *argv, int out)
{
    int status = -1;
    pid_t pid = spawn(argv, out);

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

/* Runs a shell script with lib.sh's functions and two arguments. */
static inline void shell(const char *script, const char *first, const char *second)
{
    char text[1024];
    const char *argv[] = {"sh", "-c", text, "sh", first, second, NULL};

    (void)snprintf(text, sizeof text, ". ./lib.sh && %s", script);
    if (run(argv, -1) != 0) {
        show_log();
        fail_msg("this failed: %s", script);
    }
}

/* The file of the certificates: ca.pem, localhost.pem, localhost.key. */
static inline const char *pki(const char *name)
{
    static char made[256], paths[8][512];
    static unsigned next;
    const char *given = getenv("UNSB_TEST_PKI");
    char *path = paths[next++ % 8];

    if ((given == NULL || given[0] == '\0') && made[0] == '\0') {
        (void)snprintf(made, sizeof made, "%s", scratch("pki"));
        shell("make_ca \"$1\" && make_cert \"$1\" localhost \"$2\"", made,
              "DNS:localhost,IP:127.0.0.1,IP:::1");
    }
    (void)snprintf(path, sizeof paths[0], "%s/%s", made[0] != '\0' ? made : given, name);
    return path;
}

/* ======================================================================
 * >>service  sandboxd, each with options of its own
 * ====================================================================== */

typedef struct service {
    pid_t pid;
    uint16_t port;
} service;

/* Reads up to the end of the line: false if it does not come. */
static inline bool read_line(int fd, char *line, size_t size)
{
    uint32_t since = unsb_posix_now_ms(NULL), passed;
    size_t have = 0;

    while (have + 1 < size && (passed = unsb_posix_now_ms(NULL) - since) < PATIENCE_MS) {
        struct pollfd item = {.fd = fd, .events = POLLIN};
        if (poll(&item, 1, (int)(PATIENCE_MS - passed)) <= 0)
            continue;
        if (read(fd, line + have, 1) != 1)
            return false;
        line[++have] = '\0';
        if (line[have - 1] == '\n')
            return true;
    }
    return false;
}

/* Starts a command that soon writes a line that ends in ":PORT", the first with a colon. */
static inline pid_t child_start(const char *const *argv, uint16_t *port)
{
    char line[256] = "";
    const char *colon = NULL;
    int ends[2];
    pid_t pid;

    if (pipe(ends) != 0)
        fail_msg("no pipe");
    (void)private_fd(ends[0]);
    pid = spawn(argv, private_fd(ends[1]));
    (void)close(ends[1]);
    while (colon == NULL && read_line(ends[0], line, sizeof line))
        colon = strrchr(line, ':');
    if (colon == NULL) {
        (void)kill(pid, SIGTERM);
        (void)waitpid(pid, NULL, 0);
        show_log();
        fail_msg("%s %s did not start", argv[0], argv[2]);
    } else {
        *port = (uint16_t)strtoul(colon + 1, NULL, 10);
    }
    (void)close(ends[0]);
    return pid;
}

static inline void service_start_python(service *s, const char *const *argv)
{
    size_t i;

    s->pid = child_start(argv, &s->port);
    for (i = 0; i < SERVICES_MAX && service_pids[i] != 0; i++)
        continue;
    if (i < SERVICES_MAX)
        service_pids[i] = s->pid;
}

/* Fills `argv`, for use at once: nginx before the port of loopback that `backend` names; see
 * peers/front.py. */
static inline void front_command(const char *argv[10], char backend[8], bool tls,
                                 const char *directives)
{
    const char *program = getenv("UNSB_TEST_FRONT");
    const char *words[] = {"python3",
                           "-B",
                           program != NULL ? program : "peers/front.py",
                           backend,
                           tls ? "tls" : "tcp",
                           pki("localhost.pem"),
                           pki("localhost.key"),
                           scratch(""),
                           directives,
                           NULL};

    memcpy(argv, words, sizeof words);
}

/* Starts nginx, as a service of its own, before that port. */
static inline void front_start(service *front, uint16_t port, bool tls, const char *directives)
{
    const char *argv[10];
    char backend[8];

    (void)snprintf(backend, sizeof backend, "%u", port);
    front_command(argv, backend, tls, directives);
    service_start_python(front, argv);
}

/* Puts nginx before a service, whose port is nginx's then. */
static inline void service_front(service *s, bool tls, const char *directives)
{
    const char *argv[10];
    char backend[8];
    size_t i;

    (void)snprintf(backend, sizeof backend, "%u", s->port);
    front_command(argv, backend, tls, directives);
    for (i = 0; i < SERVICES_MAX && service_pids[i] != s->pid; i++)
        continue;
    assert_true(i < SERVICES_MAX && front_pids[i] == 0);
    front_pids[i] = child_start(argv, &s->port);
}

/* Whether the suite runs through a proxy: UNSB_TEST_FRONT names a program like peers/front.py, and
 * UNSB_TEST_FRONT_DIRECTIVES may have what it is to do. */
static inline bool fronted(void)
{
    const char *program = getenv("UNSB_TEST_FRONT");

    return program != NULL && program[0] != '\0';
}

static inline void service_start_with(service *s, bool tls, const char *const *options)
{
    const char *argv[64] = {"python3", "-B",      "sandboxd/sandboxd.py", "--port",
                            "0",       "--quiet", "--exit-with-parent"};
    const char *given = getenv("UNSB_TEST_FRONT_DIRECTIVES");
    char directives[512];
    size_t n = 7, used;

    if (tls && !fronted()) {
        argv[n++] = "--tls";
        argv[n++] = pki("localhost.pem");
        argv[n++] = pki("localhost.key");
    }
    used = (size_t)snprintf(directives, sizeof directives, "%s ", given != NULL ? given : "");
    while (*options != NULL && n < COUNT(argv) - 1) {
        /* whoever holds the client's connection must close it */
        if (strcmp(*options, "--idle-timeout") == 0 && used < sizeof directives)
            (void)snprintf(directives + used, sizeof directives - used, "keepalive_timeout %.0fms;",
                           strtod(options[1], NULL) * 1000);
        argv[n++] = *options++;
    }
    argv[n] = NULL;
    service_start_python(s, argv);
    if (fronted())
        service_front(s, tls, directives);
}

/* The options end with NULL. */
static inline void service_start(service *s, int tls, ...)
{
    const char *options[48];
    size_t n = 0;
    va_list list;

    va_start(list, tls);
    while (n < COUNT(options) - 1 && (options[n] = va_arg(list, const char *)) != NULL)
        n++;
    va_end(list);
    options[n] = NULL;
    service_start_with(s, tls != 0, options);
}

static inline void child_stop(pid_t pid)
{
    bool ended;

    (void)kill(pid, SIGTERM);
    EVENTUALLY(waitpid(pid, NULL, WNOHANG) != 0, ended);
    if (!ended) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
}

static inline void service_stop(service *s)
{
    size_t i;

    if (s->pid <= 0)
        return;
    for (i = 0; i < SERVICES_MAX; i++)
        if (service_pids[i] == s->pid) {
            if (front_pids[i] > 0)
                child_stop(front_pids[i]);
            service_pids[i] = front_pids[i] = 0;
        }
    child_stop(s->pid);
    s->pid = 0;
}

/* ======================================================================
 * >>sha  SHA-256 of a stream, by the library's blocks
 * ====================================================================== */

typedef struct sha {
    uint32_t hash[24];
    uint8_t block[128];
    size_t have;
    uint64_t total;
} sha;

static inline void sha_start(sha *s)
{
    memset(s, 0, sizeof *s);
    unsbi_sha256_start(s->hash);
}

static inline void sha_add(sha *s, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    size_t n;

    s->total += size;
    if (s->have != 0) {
        n = unsbi_min(64 - s->have, size);
        memcpy(s->block + s->have, p, n);
        s->have += n;
        p += n;
        size -= n;
        if (s->have < 64)
            return;
        (void)unsbi_sha256_blocks(s->hash, s->block, 64);
        s->have = 0;
    }
    n = unsbi_sha256_blocks(s->hash, p, size);
    s->have = size - n;
    if (s->have != 0)
        memcpy(s->block, p + n, s->have);
}

static inline void sha_text(sha *s, char text[65])
{
    uint8_t bytes[32];
    size_t i;

    unsbi_sha256_end(s->hash, s->block, s->have, s->total);
    unsbi_store_hash(s->hash, bytes);
    for (i = 0; i < 32; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

/* How many executions of this code a journal has. */
static inline unsigned journal_count(const char *path, const char *code)
{
    char hash[65], *text = read_text(path);
    const char *p = text;
    unsigned count = 0;
    sha s;

    sha_start(&s);
    sha_add(&s, code, strlen(code));
    sha_text(&s, hash);
    while (p != NULL && (p = strstr(p, hash)) != NULL) {
        count++;
        p += 64;
    }
    free(text);
    return count;
}

/* ======================================================================
 * >>tap  A transport around another: counts, moves little at a time, refuses,
 *        and shortens waits for a client whose clock runs fast
 * ====================================================================== */

typedef struct tap {
    unsb_transport inner;
    const struct tap *below; /* what moves there is progress, too; may be NULL */
    size_t most;             /* bytes that a call moves at most; 0: all */
    uint32_t speed;          /* how much faster the client's clock runs; 0: as it should */
    unsigned refuse;         /* how many connections are yet to be refused */
    unsigned connects;       /* made */
    unsigned attempts;       /* begun */
    bool connecting;
    unsigned long moved; /* bytes, both ways */
    unsigned long waited_at;
    unsigned idle, idle_most; /* waits in a row after which nothing moved */
} tap;

static inline int tap_connect(void *context, const char *host, uint16_t port)
{
    tap *t = (tap *)context;
    int rc;

    if (!t->connecting)
        t->attempts++;
    if (!t->connecting && t->refuse != 0) {
        t->refuse--;
        return UNSB_E_CONNECT;
    }
    rc = t->inner.vtable->connect(t->inner.context, host, port);
    t->connecting = rc == UNSB_PENDING;
    t->connects += rc == UNSB_OK;
    return rc;
}

static inline size_t tap_size(const tap *t, size_t size)
{
    return t->most != 0 && t->most < size ? t->most : size;
}

static inline int tap_send(void *context, const void *data, size_t size)
{
    tap *t = (tap *)context;
    int n = t->inner.vtable->send(t->inner.context, data, tap_size(t, size));

    t->moved += n > 0 ? (unsigned long)n : 0;
    return n;
}

static inline int tap_recv(void *context, void *data, size_t size)
{
    tap *t = (tap *)context;
    int n = t->inner.vtable->recv(t->inner.context, data, tap_size(t, size));

    t->moved += n > 0 ? (unsigned long)n : 0;
    return n;
}

static inline void tap_close(void *context)
{
    tap *t = (tap *)context;

    t->connecting = false;
    t->inner.vtable->close(t->inner.context);
}

static inline uint32_t tap_real_ms(const tap *t, uint32_t ms)
{
    return t->speed <= 1 || ms >= UNSB_FOREVER ? ms : (ms + t->speed - 1) / t->speed;
}

static inline int tap_wait(void *context, int interest, uint32_t timeout_ms)
{
    tap *t = (tap *)context;
    int rc = t->inner.vtable->wait(t->inner.context, interest, tap_real_ms(t, timeout_ms));

    if (interest != 0 && !t->connecting) {
        unsigned long moved = t->moved + (t->below != NULL ? t->below->moved : 0);
        t->idle = moved == t->waited_at ? t->idle + 1 : 0;
        t->waited_at = moved;
        if (t->idle > t->idle_most)
            t->idle_most = t->idle;
    }
    return rc;
}

static inline int tap_interest(void *context, int interest)
{
    tap *t = (tap *)context;

    if (t->inner.vtable->interest == NULL)
        return interest;
    return t->inner.vtable->interest(t->inner.context, interest);
}

static const unsb_transport_class tap_class = {tap_connect, tap_send, tap_recv,
                                               tap_close,   tap_wait, tap_interest,
                                               NULL};

static inline unsb_transport tap_transport(tap *t, unsb_transport inner)
{
    unsb_transport transport;

    memset(t, 0, sizeof *t);
    t->inner = inner;
    transport.vtable = &tap_class;
    transport.context = t;
    return transport;
}

/* ======================================================================
 * >>rig  A client and all beneath it
 * ====================================================================== */

/* The clients' clock runs faster than time, so that pauses between polls and before repetitions
 * take little of it. Limits are set so large that only a defect reaches them. */
#define RIG_SPEED 50u
#define RIG_LIMIT_MS (PATIENCE_MS * 3u * RIG_SPEED)

/* Rounds in a row in which nothing may move: a call that finds nothing, the look for an early
 * answer, and one more for each layer. */
#define RIG_IDLE_MAX 4u

typedef struct rig {
    unsb_posix tcp;
    unsb_bearssl tls;
    unsb_bearssl_config secure;
#ifdef UNSANDBOX_MBEDTLS_H
    unsb_mbedtls mbedtls;
    unsb_mbedtls_config mbedtls_secure;
#endif
#ifdef UNSANDBOX_OPENSSL_H /* likewise */
    unsb_openssl openssl;
    unsb_openssl_config openssl_secure;
#endif
    tap inside;  /* between TLS and TCP */
    tap outside; /* between client and TLS */
    unsb_config config;
    unsb_client client;
    bool open;
    int32_t clock_offset_s; /* how wrong the clock for signatures is */
    unsigned long rounds;
    char buffer[16384];
    unsigned char records[BR_SSL_BUFSIZE_BIDI];
} rig;

static inline uint32_t rig_now_ms(void *context)
{
    struct timespec now = {0, 0};

    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000u * RIG_SPEED +
                      (uint64_t)now.tv_nsec * RIG_SPEED / 1000000u);
}

static inline uint32_t rig_unix_time(void *context)
{
    return unsb_posix_unix_time(NULL) + (uint32_t)((rig *)context)->clock_offset_s;
}

static unsb_bearssl_trust rig_trust;

/* The test authority's anchors; released at the end, for leak checkers. */
static inline void rig_free_trust(void)
{
    unsb_bearssl_free_trust(&rig_trust);
}

static inline const unsb_bearssl_trust *rig_load_trust(void)
{
    if (rig_trust.count == 0) {
        if (unsb_bearssl_load_pem(&rig_trust, pki("ca.pem")) != UNSB_OK)
            fail_msg("no test authority");
        (void)atexit(rig_free_trust);
    }
    return &rig_trust;
}

#ifdef UNSANDBOX_MBEDTLS_H
static unsb_mbedtls_trust rig_mbedtls_trust;

static inline void rig_free_mbedtls_trust(void)
{
    unsb_mbedtls_free_trust(&rig_mbedtls_trust);
}

static inline mbedtls_x509_crt *rig_load_mbedtls_trust(void)
{
    if (rig_mbedtls_trust.count == 0) {
        if (unsb_mbedtls_load_pem(&rig_mbedtls_trust, pki("ca.pem")) != UNSB_OK)
            fail_msg("no test authority");
        (void)atexit(rig_free_mbedtls_trust);
    }
    return &rig_mbedtls_trust.anchors;
}
#endif

#ifdef UNSANDBOX_OPENSSL_H
static unsb_openssl_trust rig_openssl_trust;

static inline void rig_free_openssl_trust(void)
{
    unsb_openssl_free_trust(&rig_openssl_trust);
}

static inline X509_STORE *rig_load_openssl_trust(void)
{
    if (rig_openssl_trust.count == 0) {
        if (unsb_openssl_load_pem(&rig_openssl_trust, pki("ca.pem")) != UNSB_OK)
            fail_msg("no test authority");
        (void)atexit(rig_free_openssl_trust);
    }
    return rig_openssl_trust.store;
}
#endif

/* What a client's bytes go over. */
enum {
    ON_TCP,
    ON_BEARSSL,
    ON_MBEDTLS,
#ifdef UNSANDBOX_OPENSSL_H
    ON_OPENSSL,
#endif
    WIRES
};

/* Zeroes `r` and fills r->config and the configuration of its TLS with what can be changed before
 * rig_open(). `tls` is one of the above, or true for BearSSL. */
static inline void rig_prepare(rig *r, int tls, bool nonblocking, uint16_t port)
{
    memset(r, 0, sizeof *r);
    r->config.transport = tap_transport(&r->inside, unsb_posix_transport(&r->tcp));
#ifdef UNSANDBOX_MBEDTLS_H
    if (tls == ON_MBEDTLS)
        r->mbedtls_secure.anchors = rig_load_mbedtls_trust();
#endif
#ifdef UNSANDBOX_OPENSSL_H
    if (tls == ON_OPENSSL)
        r->openssl_secure.anchors = rig_load_openssl_trust();
#endif
    if (tls == ON_BEARSSL) {
        const unsb_bearssl_trust *trust = rig_load_trust();
        r->secure.anchors = trust->anchors;
        r->secure.anchor_count = trust->count;
        r->secure.buffer = r->records;
        r->secure.buffer_size = sizeof r->records;
    }
    r->config.api_key = SAMPLE_KEY;
    r->config.buffer = r->buffer;
    r->config.buffer_size = sizeof r->buffer;
    r->config.host = tls != ON_TCP ? "localhost" : "127.0.0.1";
    r->config.port = port;
    r->config.nonblocking = nonblocking;
    r->config.connect_timeout_ms = RIG_LIMIT_MS;
    r->config.idle_timeout_ms = RIG_LIMIT_MS;
    r->config.keep_alive_ms = RIG_LIMIT_MS;
    r->config.now_ms = rig_now_ms;
    r->config.unix_time = rig_unix_time;
    r->config.time_context = r;
}

static inline void rig_open(rig *r)
{
    size_t most = r->inside.most;
    unsigned refuse = r->outside.refuse;

    r->inside.speed = RIG_SPEED;
    if (r->secure.anchors != NULL) {
        r->secure.inner = r->config.transport;
        r->config.transport = unsb_bearssl_transport(&r->tls, &r->secure);
    }
#ifdef UNSANDBOX_MBEDTLS_H
    if (r->mbedtls_secure.anchors != NULL) {
        r->mbedtls_secure.inner = r->config.transport;
        r->config.transport = unsb_mbedtls_transport(&r->mbedtls, &r->mbedtls_secure);
    }
#endif
#ifdef UNSANDBOX_OPENSSL_H
    if (r->openssl_secure.anchors != NULL) {
        r->openssl_secure.inner = r->config.transport;
        r->config.transport = unsb_openssl_transport(&r->openssl, &r->openssl_secure);
    }
#endif
    r->config.transport = tap_transport(&r->outside, r->config.transport);
    r->outside.below = &r->inside;
    r->outside.most = most;
    r->outside.refuse = refuse;
    assert_int_equal(unsb_init(&r->client, &r->config), UNSB_OK);
    r->open = true;
}

static inline void rig_close(rig *r)
{
    if (!r->open)
        return;
    r->open = false;
    unsb_close(&r->client);
    /* also where a test failed within a callback */
    r->config.transport.vtable->close(r->config.transport.context);
#ifdef UNSANDBOX_MBEDTLS_H
    if (r->mbedtls_secure.anchors != NULL)
        unsb_mbedtls_wipe(&r->mbedtls);
#endif
#ifdef UNSANDBOX_OPENSSL_H
    if (r->openssl_secure.anchors != NULL)
        unsb_openssl_wipe(&r->openssl);
#endif
}

/* What the TLS port that is in use says. */
static inline int rig_tls_error(const rig *r)
{
#ifdef UNSANDBOX_MBEDTLS_H
    if (r->mbedtls_secure.anchors != NULL)
        return r->mbedtls.error;
#endif
#ifdef UNSANDBOX_OPENSSL_H
    if (r->openssl_secure.anchors != NULL)
        return r->openssl.error;
#endif
    return r->tls.error;
}

static inline bool rig_resumed(const rig *r)
{
#ifdef UNSANDBOX_MBEDTLS_H
    if (r->mbedtls_secure.anchors != NULL)
        return r->mbedtls.resumed;
#endif
#ifdef UNSANDBOX_OPENSSL_H
    if (r->openssl_secure.anchors != NULL)
        return r->openssl.resumed;
#endif
    return r->tls.resumed;
}

/* Waits as a program with a loop of its own does. */
static inline void rig_wait(rig *r)
{
    uint32_t timeout_ms;
    int interest = unsb_interest(&r->client, &timeout_ms), ready;
    struct pollfd item = {.fd = -1};

    if (timeout_ms == 0)
        return;
    timeout_ms = tap_real_ms(&r->inside, timeout_ms);
    if (interest != 0) {
        item.fd = unsb_posix_fd(&r->tcp);
        if ((interest & UNSB_READABLE) != 0)
            item.events |= POLLIN;
        if ((interest & UNSB_WRITABLE) != 0)
            item.events |= POLLOUT;
    }
    ready = poll(&item, 1, (int)(timeout_ms < PATIENCE_MS ? timeout_ms : PATIENCE_MS));
    if (ready == 0 && item.fd >= 0 && timeout_ms >= PATIENCE_MS)
        fail_msg("waits for events %d of descriptor %d, which do not come", item.events, item.fd);
    if (ready == 0 && interest != 0 && item.fd < 0)
        fail_msg("waits for events, but has no descriptor");
}

/* What changes whenever an operation gets on. */
static inline unsigned long rig_progress(const rig *r)
{
    return r->inside.moved + r->inside.connects + r->outside.moved + r->outside.connects +
           r->outside.attempts + r->inside.attempts + r->client.polls + r->client.attempts;
}

/* Carries an operation to its end, if its function has not done so. A non-blocking client must get
 * on whenever poll(2) says so, and must not be asked to look again when there is nothing. */
static inline int rig_end(rig *r, int rc)
{
    unsigned idle = 0;

    if (!r->config.nonblocking) {
        assert_int_not_equal(rc, UNSB_PENDING);
        if (r->outside.idle_most > RIG_IDLE_MAX)
            fail_msg("spins: %u waits in a row without anything moved", r->outside.idle_most);
        return rc;
    }
    while (rc == UNSB_PENDING) {
        unsigned long before = rig_progress(r);
        uint8_t state = r->client.state;
        int fd = unsb_posix_fd(&r->tcp);
        rig_wait(r);
        rc = unsb_poll(&r->client);
        r->rounds++;
        idle = rig_progress(r) == before && r->client.state == state && state != UNSBI_MEASURE &&
                       unsb_posix_fd(&r->tcp) == fd
                   ? idle + 1
                   : 0;
        if (idle > RIG_IDLE_MAX && state != UNSBI_PAUSE)
            fail_msg("spins: %u rounds in a row without progress, in state %u", idle, state);
    }
    return rc;
}

/* ======================================================================
 * >>peers  Threads that listen on loopback and treat their clients badly,
 *          one connection after the other
 * ====================================================================== */

typedef struct peer {
    void (*serve)(struct peer *p, int fd); /* the descriptor is closed after it */
    void *context;
    uint16_t port;
    /* private */
    int listener;
    int stop[2];
    pthread_t thread;
    pthread_mutex_t lock; /* over the following */
    unsigned accepted, served;
} peer;

/* Waits for the descriptor; false: the peer is to stop. */
static inline bool peer_wait(peer *p, int fd, short events)
{
    struct pollfd items[2] = {{.fd = fd, .events = events}, {.fd = p->stop[0], .events = POLLIN}};

    while (poll(items, 2, -1) < 0 && errno == EINTR)
        continue;
    return items[1].revents == 0;
}

/* How many bytes came, 0: an end of whatever sort. */
static inline size_t peer_recv(peer *p, int fd, void *data, size_t size)
{
    ssize_t n = peer_wait(p, fd, POLLIN) ? recv(fd, data, size, 0) : 0;

    return n > 0 ? (size_t)n : 0;
}

static inline bool peer_send(peer *p, int fd, const void *data, size_t size)
{
    const char *next = (const char *)data;

    while (size != 0 && peer_wait(p, fd, POLLOUT)) {
        ssize_t n = send(fd, next, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n > 0) {
            next += n;
            size -= (size_t)n;
        }
    }
    return size == 0;
}

/* Reads to the peer's end of the stream. */
static inline void peer_drain(peer *p, int fd)
{
    char piece[4096];

    while (peer_recv(p, fd, piece, sizeof piece) != 0)
        continue;
}

static inline void reset_on_close(int fd)
{
    struct linger at_once = {1, 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static inline void *peer_run(void *context)
{
    peer *p = (peer *)context;

    while (peer_wait(p, p->listener, POLLIN)) {
        int fd;
        (void)pthread_mutex_lock(&p->lock);
        fd = accept(p->listener, NULL, NULL);
        p->accepted += fd >= 0;
        (void)pthread_mutex_unlock(&p->lock);
        if (fd < 0)
            continue;
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        p->serve(p, fd);
        (void)close(fd);
        (void)pthread_mutex_lock(&p->lock);
        p->served++;
        (void)pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

/* A bound socket on loopback; `listening` < 0: it refuses connections, else the backlog. */
static inline int loopback_socket(uint16_t *port, int backlog)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int fd = private_fd(socket(AF_INET, SOCK_STREAM, 0));

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)(void *)&address, sizeof address) != 0 ||
        (backlog >= 0 && listen(fd, backlog) != 0) ||
        getsockname(fd, (struct sockaddr *)(void *)&address, &size) != 0)
        fail_msg("no socket: %s", strerror(errno));
    *port = ntohs(address.sin_port);
    return fd;
}

static inline int loopback_connect(uint16_t port)
{
    struct sockaddr_in address;
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (fd >= 0 && connect(fd, (struct sockaddr *)(void *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    if (fd >= 0) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
    return fd;
}

/* A listener whose queue is full leaves connections unanswered. The descriptors that fill it are
 * returned; 0 of them: this system does not behave so. */
static inline size_t fill_queue(uint16_t port, int *fds, size_t max)
{
    struct sockaddr_in address;
    size_t count = 0;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    while (count < max) {
        int fd = private_fd(socket(AF_INET, SOCK_STREAM, 0));
        struct pollfd item = {.fd = fd, .events = POLLOUT};
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)connect(fd, (struct sockaddr *)(void *)&address, sizeof address);
        fds[count++] = fd;
        if (poll(&item, 1, 100) == 0)
            return count;
    }
    while (count != 0)
        (void)close(fds[--count]);
    return 0;
}

/* Those that run, so that a test that fails leaves none behind. They must not lie on the stack. */
static peer *peers[8];

static inline void peer_start(peer *p, void (*serve)(peer *p, int fd), void *context)
{
    size_t i;

    memset(p, 0, sizeof *p);
    p->serve = serve;
    p->context = context;
    p->listener = loopback_socket(&p->port, 16);
    (void)fcntl(p->listener, F_SETFL, O_NONBLOCK);
    if (pipe(p->stop) != 0)
        fail_msg("no pipe");
    (void)private_fd(p->stop[0]);
    (void)private_fd(p->stop[1]);
    (void)pthread_mutex_init(&p->lock, NULL);
    if (pthread_create(&p->thread, NULL, peer_run, p) != 0)
        fail_msg("no thread");
    for (i = 0; i < COUNT(peers) && peers[i] != NULL; i++)
        continue;
    assert_true(i < COUNT(peers));
    peers[i] = p;
}

static inline void peer_stop(peer *p)
{
    size_t i;

    if (p->serve == NULL)
        return;
    for (i = 0; i < COUNT(peers); i++)
        if (peers[i] == p)
            peers[i] = NULL;
    (void)close(p->stop[1]);
    (void)pthread_join(p->thread, NULL);
    (void)close(p->stop[0]);
    (void)close(p->listener);
    (void)pthread_mutex_destroy(&p->lock);
    p->serve = NULL;
}

static inline void peers_stop(void)
{
    size_t i;

    for (i = 0; i < COUNT(peers); i++)
        if (peers[i] != NULL)
            peer_stop(peers[i]);
}

static inline bool peer_is_idle(peer *p)
{
    struct pollfd item = {.fd = p->listener, .events = POLLIN};
    bool idle;

    (void)pthread_mutex_lock(&p->lock);
    idle = p->accepted == p->served && poll(&item, 1, 0) == 0;
    (void)pthread_mutex_unlock(&p->lock);
    return idle;
}

/* Returns when no connection is served or waiting. */
static inline void peer_settle(peer *p)
{
    bool idle;

    EVENTUALLY(peer_is_idle(p), idle);
    if (!idle)
        fail_msg("a connection is not given up");
}

static inline unsigned peer_accepted(peer *p)
{
    unsigned count;

    (void)pthread_mutex_lock(&p->lock);
    count = p->accepted;
    (void)pthread_mutex_unlock(&p->lock);
    return count;
}

/* ======================================================================
 * >>proxy  Between a client and the service; set while no connection is open
 * ====================================================================== */

#define NEVER SIZE_MAX

typedef struct proxy {
    peer peer;
    uint16_t target;
    size_t up;                 /* how many bytes reach the service before the connection is cut */
    size_t down;               /* how many reach the client */
    unsigned cuts;             /* how many connections are treated so, from the next one on */
    bool at_once;              /* cut as soon as it is accepted */
    bool reset;                /* the client sees a reset instead of an end */
    bool stall;                /* instead of being cut, it stands still */
    bool drip;                 /* single bytes */
    size_t flip;               /* which byte to the client is damaged on the way */
    size_t seen_up, seen_down; /* bytes that came in the last connection */
    int order[2];              /* a pipe: see proxy_cut_now() */
} proxy;

/* The service always sees an orderly end, and what it still does is waited for: so its journal is
 * complete once the proxy is idle. */
static inline void proxy_cut(proxy *x, int client, int server)
{
    (void)shutdown(server, SHUT_WR);
    if (x->stall) {
        peer_drain(&x->peer, client);
    } else if (x->reset) {
        reset_on_close(client);
        /* the number is kept, so that the caller's close() is not another file's */
        (void)dup2(server, client);
    } else {
        (void)shutdown(client, SHUT_WR);
        peer_drain(&x->peer, client);
    }
    peer_drain(&x->peer, server);
}

static inline bool proxy_forward(proxy *x, int to, const char *data, size_t size)
{
    size_t n;

    for (; size != 0; data += n, size -= n) {
        n = x->drip ? 1 : size;
        if (!peer_send(&x->peer, to, data, n))
            return false;
    }
    return true;
}

/* Moves what has come: false at an end, or when the limit is reached, which *cut says. */
static inline bool proxy_move(proxy *x, int from, int to, size_t *left, size_t *seen, bool *cut)
{
    char piece[16384];
    ssize_t n = recv(from, piece, sizeof piece, MSG_DONTWAIT);
    size_t size;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0)
        return false;
    if (seen == &x->seen_down && x->flip >= *seen && x->flip - *seen < (size_t)n)
        piece[x->flip - *seen] = (char)(piece[x->flip - *seen] ^ 0x11);
    *seen += (size_t)n;
    size = (size_t)n < *left ? (size_t)n : *left;
    if (*left != NEVER)
        *left -= size;
    *cut = *left == 0;
    return proxy_forward(x, to, piece, size) && !*cut;
}

static inline void proxy_serve(peer *p, int client)
{
    proxy *x = (proxy *)p->context;
    int server = loopback_connect(x->target), yes = 1;
    size_t up = NEVER, down = NEVER;
    bool cut = x->cuts != 0 && x->at_once;
    struct pollfd items[4];

    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (x->cuts != 0) {
        x->cuts--;
        up = x->up;
        down = x->down;
    }
    x->seen_up = x->seen_down = 0;
    while (server >= 0 && !cut) {
        memset(items, 0, sizeof items);
        items[0].fd = client;
        items[1].fd = server;
        items[2].fd = p->stop[0];
        items[3].fd = x->order[0];
        items[0].events = items[1].events = items[2].events = items[3].events = POLLIN;
        if (poll(items, 4, -1) < 0)
            continue;
        if (items[3].revents != 0) {
            char order;
            cut = read(x->order[0], &order, 1) == 1;
            continue;
        }
        if (items[2].revents != 0 ||
            (items[0].revents != 0 && !proxy_move(x, client, server, &up, &x->seen_up, &cut)) ||
            (items[1].revents != 0 && !proxy_move(x, server, client, &down, &x->seen_down, &cut)))
            break;
    }
    if (server < 0)
        return;
    if (cut) {
        proxy_cut(x, client, server);
    } else {
        /* an end from either side: the other one is told */
        (void)shutdown(server, SHUT_WR);
        (void)shutdown(client, SHUT_WR);
        peer_drain(p, server);
        peer_drain(p, client);
    }
    (void)close(server);
}

static inline void proxy_start(proxy *x, uint16_t target)
{
    memset(x, 0, sizeof *x);
    x->target = target;
    x->up = x->down = x->flip = NEVER;
    if (pipe(x->order) != 0)
        fail_msg("no pipe");
    (void)private_fd(x->order[0]);
    (void)private_fd(x->order[1]);
    peer_start(&x->peer, proxy_serve, x);
}

static inline void proxy_stop(proxy *x)
{
    if (x->peer.serve == NULL)
        return;
    peer_stop(&x->peer);
    (void)close(x->order[0]);
    (void)close(x->order[1]);
}

/* Cuts the connection that is open, whatever moves or does not. */
static inline void proxy_cut_now(proxy *x)
{
    if (write(x->order[1], "c", 1) != 1)
        fail_msg("cannot cut");
}

#endif
