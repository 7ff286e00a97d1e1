/* The Schannel port on Windows or Wine: what it accepts and refuses, against servers that run
 * natively, and whole calls against the local service. Names are resolved by a stub, so no query
 * ever leaves the process. The environment says where all is: UNSB_TLS, a port of the local service
 * with TLS; UNSB_PLAIN, one without; UNSB_TEST_PKI, the authority of these; UNSB_TLS_DIR, what
 * tls_certificates.sh made; UNSB_TLS_SERVERS, the arguments of tls_server.py, and UNSB_TLS_LOG and
 * UNSB_TLS_PORTS, its files; UNSB_TLS_CUTS, what tls_cutter.py printed. */
#include <winsock2.h>
#include <ws2tcpip.h>

#include "suite.h"

static INT stub_resolve(const WCHAR *host, const WCHAR *service, const ADDRINFOW *hints,
                        ADDRINFOW **list)
{
    ADDRINFOW numeric = *hints;

    /* names, and all of this machine's addresses, are the one that the servers have */
    if ((hints->ai_flags & AI_NUMERICHOST) == 0 || wcsncmp(host, L"127.", 4) == 0)
        host = L"127.0.0.1";
    numeric.ai_flags |= AI_NUMERICHOST;
    return GetAddrInfoW(host, service, &numeric, list);
}

#define UNSB_WINSOCK_GETADDRINFO stub_resolve
#include "unsandbox_winsock.h"

#include <wincrypt.h>
#define SECURITY_WIN32 1
#include <sspi.h>

/* ======================================================================
 * >>system  What Windows' functions are made to say; all of it is counted
 * ====================================================================== */

static volatile LONG blocks, contexts, credentials, chains, held_fetch, fetches;
static DWORD lacking;      /* what is wrong with a chain until something is fetched */
static DWORD findings; /* what is wrong with each chain */
static bool no_thread;

static LONG now(volatile LONG *count)
{
    return InterlockedExchangeAdd(count, 0);
}

static int counted(volatile LONG *count, LONG change)
{
    (void)InterlockedExchangeAdd(count, change);
    return 0;
}

static BOOL chain_get(HCERTCHAINENGINE engine, PCCERT_CONTEXT certificate, LPFILETIME time,
                      HCERTSTORE store, PCERT_CHAIN_PARA para, DWORD flags, LPVOID reserved,
                      PCCERT_CHAIN_CONTEXT *chain)
{
    BOOL ok;

    if ((flags & CERT_CHAIN_CACHE_ONLY_URL_RETRIEVAL) == 0) {
        (void)counted(&fetches, 1);
        while (now(&held_fetch) != 0)
            Sleep(1);
    }
    ok = CertGetCertificateChain(engine, certificate, time, store, para, flags, reserved, chain);
    if (ok) {
        CERT_CHAIN_CONTEXT *found = (CERT_CHAIN_CONTEXT *)(uintptr_t)*chain;
        (void)counted(&chains, 1);
        if ((flags & CERT_CHAIN_CACHE_ONLY_URL_RETRIEVAL) != 0)
            found->TrustStatus.dwErrorStatus |= lacking;
        found->TrustStatus.dwErrorStatus |= findings;
    }
    return ok;
}

#define CertGetCertificateChain(a, b, c, d, e, f, h, i) chain_get(a, b, c, d, e, f, h, i)
#define CertFreeCertificateChain(a) (CertFreeCertificateChain(a), (void)counted(&chains, -1))
#define HeapAlloc(heap, flags, size) \
    (counted(&blocks, 1) != 0 ? NULL : HeapAlloc(heap, flags, size))
#define HeapFree(heap, flags, block) (HeapFree(heap, flags, block) + counted(&blocks, -1))
#define CreateThread(a, b, c, d, e, f) (no_thread ? NULL : CreateThread(a, b, c, d, e, f))
#define DeleteSecurityContext(a) (DeleteSecurityContext(a) + counted(&contexts, 1))
#define FreeCredentialsHandle(a) (FreeCredentialsHandle(a) + counted(&credentials, 1))
#include "unsandbox_schannel.h"
#undef CertGetCertificateChain
#undef CertFreeCertificateChain
#undef HeapAlloc
#undef HeapFree
#undef CreateThread
#undef DeleteSecurityContext
#undef FreeCredentialsHandle

#define SAMPLE_KEY "unsb-sk-test0-vault-unlck-12345"
#define PATIENCE_MS 60000u /* what takes longer than this has failed */

/* Waits for a condition, which is asked for again and again: false if it did not come. */
#define EVENTUALLY(condition, result)                                               \
    do {                                                                            \
        uint32_t since_ = unsb_winsock_now_ms(NULL);                                \
        while (!((result) = (condition)) &&                                         \
               unsb_winsock_now_ms(NULL) - since_ < PATIENCE_MS)                    \
            Sleep(1);                                                               \
    } while (0)

/* ======================================================================
 * >>files
 * ====================================================================== */

static char *read_file(const char *folder, const char *name, size_t *size)
{
    static char text[2][65536];
    static unsigned next;
    char path[700], *p = text[next++ % 2];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s%s%s", getenv(folder), name[0] != '\0' ? "/" : "", name);
    file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("cannot read %s", path);
    *size = fread(p, 1, sizeof text[0] - 1, file);
    p[*size] = '\0';
    (void)fclose(file);
    return p;
}

static void load(HCERTSTORE *store, const char *folder, const char *name)
{
    size_t size;
    char *text = read_file(folder, name, &size);

    if (unsb_schannel_add_pem(store, text, size) != UNSB_OK)
        fail_msg("cannot use %s", name);
}

static uint16_t port_of(const char *name)
{
    const char *text = getenv(name);

    return (uint16_t)(text == NULL ? 0 : strtoul(text, NULL, 10));
}

/* ======================================================================
 * >>rig
 * ====================================================================== */

static struct {
    unsb_winsock tcp;
    unsb_schannel tls;
    unsb_client client;
    unsb_config config;
    unsb_schannel_config secure;
    unsb_transport inner;
    size_t most; /* bytes that the wire takes and gives at a time; 0: all */
    unsigned sent;     /* calls of send, and what the last began with */
    uint8_t sent_type;
    bool open;
    char buffer[4096];
    unsigned char records[UNSB_SCHANNEL_BUFFER];
} g;

static unsb_result result;
static char out_memory[70000], err_memory[2000];
static uint32_t unix_time;
static uint16_t tls_port, plain_port;
static HCERTSTORE stores[5]; /* ROOTS ... below, and the local service's */

static int thin_connect(void *context, const char *host, uint16_t port)
{
    (void)context;
    return g.inner.vtable->connect(g.inner.context, host, port);
}

static int thin_send(void *context, const void *data, size_t size)
{
    (void)context;
    g.sent++;
    g.sent_type = *(const uint8_t *)data;
    return g.inner.vtable->send(g.inner.context, data,
                                g.most != 0 && size > g.most ? g.most : size);
}

static int thin_recv(void *context, void *data, size_t size)
{
    (void)context;
    return g.inner.vtable->recv(g.inner.context, data,
                                g.most != 0 && size > g.most ? g.most : size);
}

static void thin_close(void *context)
{
    (void)context;
    g.inner.vtable->close(g.inner.context);
}

static int thin_wait(void *context, int interest, uint32_t timeout_ms)
{
    (void)context;
    return g.inner.vtable->wait(g.inner.context, interest, timeout_ms);
}

static const unsb_transport_class thin = {thin_connect, thin_send, thin_recv, thin_close,
                                          thin_wait,    NULL,      NULL};

static uint32_t set_time(void *context)
{
    assert_ptr_equal(context, &g);
    return unix_time;
}

static void rig_close(void)
{
    if (g.open) {
        g.open = false;
        unsb_close(&g.client);
    }
}

/* Fills g.config and g.secure with what can be changed before begun(). */
static void begin(const char *host, uint16_t port, bool nonblocking)
{
    rig_close();
    unsb_schannel_wipe(&g.tls);
    memset(&g, 0, sizeof g);
    g.inner = unsb_winsock_transport(&g.tcp);
    g.secure.inner.vtable = &thin;
    g.secure.inner.context = &g;
    g.secure.buffer = g.records;
    g.secure.buffer_size = sizeof g.records;
    g.secure.context = &g;
    g.config.api_key = SAMPLE_KEY;
    g.config.buffer = g.buffer;
    g.config.buffer_size = sizeof g.buffer;
    g.config.host = host;
    g.config.port = port;
    g.config.nonblocking = nonblocking;
    g.config.connect_timeout_ms = PATIENCE_MS;
    g.config.idle_timeout_ms = PATIENCE_MS;
    g.config.now_ms = unsb_winsock_now_ms;
}

static void begun(void)
{
    g.config.transport = unsb_schannel_transport(&g.tls, &g.secure);
    assert_int_equal(unsb_init(&g.client, &g.config), UNSB_OK);
    g.open = true;
    memset(&result, 0, sizeof result);
    result.out = unsb_into(out_memory, sizeof out_memory);
    result.err = unsb_into(err_memory, sizeof err_memory);
}

/* Carries an operation to its end, if its function has not done so. */
static int rig_end(int rc)
{
    while (rc == UNSB_PENDING) {
        uint32_t timeout_ms;
        int interest = unsb_interest(&g.client, &timeout_ms);
        HANDLE event = interest != 0 ? unsb_winsock_event(&g.tcp, interest) : NULL;
        if (event != NULL)
            (void)WaitForSingleObject(event, timeout_ms < 50 ? timeout_ms : 50);
        else
            Sleep(timeout_ms < 2 ? timeout_ms : 2);
        rc = unsb_poll(&g.client);
    }
    return rc;
}

static int get(void)
{
    return rig_end(unsb_languages(&g.client, &result));
}

static void expect(const char *what, int rc, int want, int detail)
{
    if (rc != want || g.tls.error != detail)
        fail_msg("%s: %d (%s), 0x%08x (%s) instead of %d, 0x%08x; Windows' code %d", what, rc,
                 unsb_error_text(rc), (unsigned)g.tls.error, unsb_schannel_error_text(g.tls.error),
                 want, (unsigned)detail, g.tcp.error);
}

static int tear_down(void **state)
{
    (void)state;
    (void)InterlockedExchange(&held_fetch, 0);
    lacking = findings = 0;
    no_thread = false;
    rig_close();
    unsb_schannel_wipe(&g.tls);
    return 0;
}

/* A machine of its own for what Wine is known not to show. */
static void needs_windows(const char *what)
{
    if (unsbi_schannel_is_wine()) {
        print_message("# skipped: Wine: %s\n", what);
        skip();
    }
}

/* ======================================================================
 * >>servers  See tls_server.py
 * ====================================================================== */

/* The port of a server, and its number. */
static uint16_t server(const char *text, unsigned *number)
{
    const char *list = getenv("UNSB_TLS_SERVERS"), *next = list;
    size_t size = strlen(text);
    char *ports;

    for (*number = 0; next != NULL; (*number)++) {
        if (strncmp(next, text, size) == 0 && (next[size] == ' ' || next[size] == '\0')) {
            unsigned line;
            ports = read_file("UNSB_TLS_PORTS", "", &size);
            for (line = 0; line < *number; line++)
                (void)strtoul(ports, &ports, 10);
            return (uint16_t)strtoul(ports, NULL, 10);
        }
        next = strchr(next, ' ');
        next += next != NULL;
    }
    fail_msg("there is no server %s", text);
    return 0;
}

/* How many connections to this server are over; *bytes: what reached it of requests, in all. */
static unsigned server_connections(unsigned server_number, unsigned long *bytes)
{
    size_t size;
    char *next = read_file("UNSB_TLS_LOG", "", &size), *line;
    unsigned count = 0;

    *bytes = 0;
    while ((line = strchr(next, '\n')) != NULL) {
        unsigned long number = strtoul(next, &next, 10), got = strtoul(next, &next, 10);
        if (number == server_number) {
            *bytes += got;
            count++;
        }
        next = line + 1;
    }
    return count;
}

/* ======================================================================
 * >>certificates
 * ====================================================================== */

enum { ROOTS = 1, OTHER, SELF, NOSUB };         /* whom to trust; none: pins alone */
enum { LEAF = 1, RSA = 2, WEAK = 4, ROOT = 8 }; /* which keys are pinned */

typedef struct verdict {
    const char *what, *server, *host;
    unsigned trust, pins;
    uint32_t time; /* 0: the system's; 1: a clock that was never set */
    int want, detail;
} verdict;

#define BAD UNSB_E_CERTIFICATE
#define BAD_NAME (int)CERT_E_CN_NO_MATCH
#define NOT_TRUSTED (int)CERT_E_UNTRUSTEDROOT
#define NO_CHAIN (int)CERT_E_CHAINING
#define EXPIRED (int)CERT_E_EXPIRED
#define BAD_USAGE (int)CERT_E_WRONG_USAGE
#define NOT_SET 1u
#define IN_2048 2474841600u

static void trust_and_pin(unsigned trust, unsigned pinned)
{
    static const char *const names[] = {"leaf.pin", "rsa.pin", "weak.pin", "root.pin"};
    static uint8_t pins[COUNT(names)][32];
    size_t count = 0, i, size;

    for (i = 0; i < COUNT(names); i++)
        if ((pinned & (1u << i)) != 0) {
            memcpy(pins[count++], read_file("UNSB_TLS_DIR", names[i], &size), 32);
            assert_int_equal(size, 32);
        }
    g.secure.anchors = trust != 0 ? stores[trust - 1] : NULL;
    g.secure.pins = count != 0 ? pins[0] : NULL;
    g.secure.pin_count = count;
    g.secure.pins_alone = trust == 0;
}

/* One request in each mode, and once with single bytes on the wire; then the server's word on how
 * much of it came. */
static void judge(const verdict *v)
{
    unsigned number, round, before;
    uint16_t port = server(v->server, &number);
    unsigned long before_bytes, bytes;
    bool logged;

    before = server_connections(number, &before_bytes);
    for (round = 0; round < 3; round++) {
        begin(v->host, port, round != 0);
        trust_and_pin(v->trust, v->pins);
        if (v->time != 0) {
            unix_time = v->time == NOT_SET ? 0 : v->time;
            g.secure.unix_time = set_time;
        }
        g.most = round == 2 ? 1 : 0;
        begun();
        expect(v->what, get(), v->want, v->detail);
        if (v->want != UNSB_OK)
            assert_true(unsb_winsock_socket(&g.tcp) == INVALID_SOCKET);
        rig_close();
        unsb_schannel_wipe(&g.tls);
        EVENTUALLY(server_connections(number, &bytes) == before + round + 1, logged);
        assert_true(logged);
    }
    if (v->want == UNSB_OK)
        assert_true(bytes - before_bytes > 3 * 60);
    else if (bytes != before_bytes)
        fail_msg("%s: %lu bytes of the request were sent", v->what, bytes - before_bytes);
}

static void judge_all(const verdict *list, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        judge(&list[i]);
}

static void accepted(void **state)
{
    static const verdict list[] = {
        {"ECDSA", "tls1.2:ecdsa", "good.test", ROOTS, 0, 0, UNSB_OK, 0},
        {"RSA", "tls1.2:rsa", "good.test", ROOTS, 0, 0, UNSB_OK, 0},
        {"capitals", "tls1.2:ecdsa", "GOOD.Test", ROOTS, 0, 0, UNSB_OK, 0},
        {"the root's dot", "tls1.2:ecdsa", "good.test.", ROOTS, 0, 0, UNSB_OK, 0},
        {"usages", "tls1.2:usages", "good.test", ROOTS, 0, 0, UNSB_OK, 0},
        {"wildcard", "tls1.2:wild", "a.wild.test", ROOTS, 0, 0, UNSB_OK, 0},
        {"intermediate", "tls1.2:chain", "good.test", ROOTS, 0, 0, UNSB_OK, 0},
        {"IP address", "tls1.2:address", "127.0.0.1", ROOTS, 0, 0, UNSB_OK, 0},
        {"name beside addresses", "tls1.2:address", "a.test", ROOTS, 0, 0, UNSB_OK, 0},
        {"self-signed and trusted", "tls1.2:self", "good.test", SELF, 0, 0, UNSB_OK, 0}};

    (void)state;
    judge_all(list, COUNT(list));
}

static void any_purpose(void **state)
{
    static const verdict list[] = {
        {"any purpose", "tls1.2:any", "good.test", ROOTS, 0, 0, UNSB_OK, 0}};

    (void)state;
    judge_all(list, COUNT(list));
}

static void wrong_names(void **state)
{
    static const verdict list[] = {
        {"other name", "tls1.2:ecdsa", "other.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"longer name", "tls1.2:ecdsa", "a.good.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"suffix", "tls1.2:ecdsa", "ood.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"common name", "tls1.2:ecdsa", "leaf", ROOTS, 0, 0, BAD, BAD_NAME},
        {"common name alone", "tls1.2:common", "good.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"no dNSName", "tls1.2:mail", "good.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"wildcard, two labels", "tls1.2:wild", "a.b.wild.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"wildcard, no label", "tls1.2:wild", "wild.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"other address", "tls1.2:address", "127.0.0.2", ROOTS, 0, 0, BAD, BAD_NAME},
        {"address as name", "tls1.2:text", "127.0.0.1", ROOTS, 0, 0, BAD, BAD_NAME},
        {"address, only names", "tls1.2:ecdsa", "127.0.0.1", ROOTS, 0, 0, BAD, BAD_NAME},
        {"address, common name", "tls1.2:common", "127.0.0.1", ROOTS, 0, 0, BAD, BAD_NAME},
        {"self-signed and trusted", "tls1.2:self", "other.test", SELF, 0, 0, BAD, BAD_NAME}};

    (void)state;
    judge_all(list, COUNT(list));
}

static void ipv6(void **state)
{
    static const verdict list[] = {
        {"::1", "ipv6:address", "::1", ROOTS, 0, 0, UNSB_OK, 0},
        {"::1, in full", "ipv6:address", "0:0:0:0:0:0:0:1", ROOTS, 0, 0, UNSB_OK, 0},
        {"::1 alone", "ipv6:address", "::1", 0, LEAF, NOT_SET, UNSB_OK, 0},
        {"::1, only others", "ipv6:text", "::1", ROOTS, 0, 0, BAD, BAD_NAME}};
    unsigned number;

    (void)state;
    if (server("ipv6:address", &number) == 0) {
        print_message("# skipped: there is no ::1\n");
        skip();
    }
    judge_all(list, COUNT(list));
}

static void hosts_that_are_none(void **state)
{
    static const char *const neither[] = {"127.1",      "1.2.3", "300.1.1.1", "1.2.3.4.5",
                                          "127.0.0.01", ":1",    "1::2::3",   "fe80::g",
                                          "a..",        "a b",   "\303\244.test"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(neither); i++) {
        begin("good.test", 9, false);
        trust_and_pin(ROOTS, 0);
        g.config.transport = unsb_schannel_transport(&g.tls, &g.secure);
        assert_int_equal(
            g.config.transport.vtable->connect(g.config.transport.context, neither[i], 9), BAD);
        expect(neither[i], BAD, BAD, BAD_NAME);
        assert_int_equal(g.tcp.state, 0); /* nothing was begun */
    }
}

static void wrong_chains(void **state)
{
    static const verdict list[] = {
        {"untrusted root", "tls1.2:untrusted", "good.test", ROOTS, 0, 0, BAD, NO_CHAIN},
        {"other root", "tls1.2:ecdsa", "good.test", OTHER, 0, 0, BAD, NO_CHAIN},
        {"self-signed", "tls1.2:self", "good.test", ROOTS, 0, 0, BAD, NOT_TRUSTED},
        {"no intermediate", "tls1.2:missing", "good.test", ROOTS, 0, 0, BAD, NO_CHAIN},
        {"intermediate without CA", "tls1.2:below", "good.test", ROOTS, 0, 0, BAD,
         (int)TRUST_E_BASIC_CONSTRAINTS},
        {"good ones appended", "tls1.2:appended", "good.test", ROOTS, 0, 0, BAD, NO_CHAIN},
        {"extKeyUsage", "tls1.2:purpose", "good.test", ROOTS, 0, 0, BAD, BAD_USAGE},
        {"unknown critical extension", "tls1.2:critical", "good.test", ROOTS, 0, 0, BAD,
         (int)CERT_E_CRITICAL},
        {"SHA-1", "tls1.2:sha1", "good.test", ROOTS, 0, 0, BAD, UNSB_SCHANNEL_WEAK},
        {"MD5", "tls1.2:md5", "good.test", ROOTS, 0, 0, BAD, UNSB_SCHANNEL_WEAK},
        {"RSA of 1024 bits", "tls1.2:weak", "good.test", ROOTS, 0, 0, BAD, UNSB_SCHANNEL_WEAK}};

    (void)state;
    judge_all(list, COUNT(list));
}

/* GnuTLS refuses some itself, so they are judged without a connection, too. */
static void usages(void **state)
{
    static const struct {
        const char *pem;
        bool good;
    } all[] = {{"ecdsa.pem", true}, {"usages.pem", true},   {"any.pem", true},
               {"usage.pem", false}, {"purpose.pem", false}};
    unsigned i;

    (void)state;
    for (i = 0; i < COUNT(all); i++) {
        HCERTSTORE store = NULL;
        PCCERT_CONTEXT certificate;
        load(&store, "UNSB_TLS_DIR", all[i].pem);
        certificate = CertEnumCertificatesInStore(store, NULL);
        assert_non_null(certificate);
        if (unsbi_schannel_serves(certificate) != all[i].good)
            fail_msg("%s", all[i].pem);
        (void)CertFreeCertificateContext(certificate);
        (void)CertCloseStore(store, 0);
    }
    for (i = 0; i < 4; i++) {
        unsigned number;
        int rc;
        begin("good.test", server("tls1.2:usage", &number), i % 2 != 0);
        trust_and_pin(i < 2 ? ROOTS : 0, i < 2 ? 0 : RSA);
        begun();
        rc = get();
        if (unsbi_schannel_is_wine())
            expect("keyUsage", rc, UNSB_E_TLS, (int)SEC_E_INTERNAL_ERROR);
        else
            expect("keyUsage", rc, BAD, BAD_USAGE);
    }
}

static void dates(void **state)
{
    static const verdict list[] = {
        {"expired", "tls1.2:expired", "good.test", ROOTS, 0, 0, BAD, EXPIRED},
        {"not yet valid", "tls1.2:future", "good.test", ROOTS, 0, 0, BAD, EXPIRED},
        {"a clock that is not set", "tls1.2:ecdsa", "good.test", ROOTS, 0, NOT_SET, BAD, EXPIRED},
        {"a clock that is ahead", "tls1.2:ecdsa", "good.test", ROOTS, 0, IN_2048, BAD, EXPIRED}};

    (void)state;
    judge_all(list, COUNT(list));
}

static void pins(void **state)
{
    static const verdict list[] = {
        /* beside a chain */
        {"right pin", "tls1.2:ecdsa", "good.test", ROOTS, LEAF, 0, UNSB_OK, 0},
        {"right pin, RSA", "tls1.2:rsa", "good.test", ROOTS, RSA, 0, UNSB_OK, 0},
        {"one of several", "tls1.2:rsa", "good.test", ROOTS, LEAF | RSA | WEAK, 0, UNSB_OK, 0},
        {"right pin, chain", "tls1.2:chain", "good.test", ROOTS, LEAF, 0, UNSB_OK, 0},
        {"right pin, address", "tls1.2:address", "127.0.0.1", ROOTS, LEAF, 0, UNSB_OK, 0},
        {"wrong pin", "tls1.2:ecdsa", "good.test", ROOTS, RSA, 0, BAD, UNSB_SCHANNEL_NOT_PINNED},
        {"the authority's pin", "tls1.2:ecdsa", "good.test", ROOTS, ROOT, 0, BAD,
         UNSB_SCHANNEL_NOT_PINNED},
        {"pin, but expired", "tls1.2:expired", "good.test", ROOTS, LEAF, 0, BAD, EXPIRED},
        {"pin, but untrusted", "tls1.2:untrusted", "good.test", ROOTS, LEAF, 0, BAD, NO_CHAIN},
        {"pin, but other name", "tls1.2:ecdsa", "other.test", ROOTS, LEAF, 0, BAD, BAD_NAME},
        /* alone */
        {"pin alone", "tls1.2:ecdsa", "good.test", 0, LEAF, 0, UNSB_OK, 0},
        {"pin alone, RSA", "tls1.2:rsa", "good.test", 0, RSA | ROOT, 0, UNSB_OK, 0},
        {"pin alone, chain", "tls1.2:chain", "good.test", 0, LEAF, 0, UNSB_OK, 0},
        {"pin alone, no clock", "tls1.2:ecdsa", "good.test", 0, LEAF, NOT_SET, UNSB_OK, 0},
        {"pin alone, address", "tls1.2:address", "127.0.0.1", 0, LEAF, NOT_SET, UNSB_OK, 0},
        {"pin alone, expired", "tls1.2:expired", "good.test", 0, LEAF, 0, UNSB_OK, 0},
        {"pin alone, untrusted", "tls1.2:untrusted", "good.test", 0, LEAF, 0, UNSB_OK, 0},
        {"pin alone, self-signed", "tls1.2:self", "good.test", 0, LEAF, 0, UNSB_OK, 0},
        {"pin alone, wrong", "tls1.2:ecdsa", "good.test", 0, RSA, 0, BAD, UNSB_SCHANNEL_NOT_PINNED},
        {"pin alone, authority's", "tls1.2:chain", "good.test", 0, ROOT, 0, BAD,
         UNSB_SCHANNEL_NOT_PINNED},
        {"pin alone, other name", "tls1.2:ecdsa", "other.test", 0, LEAF, 0, BAD, BAD_NAME},
        {"pin alone, address", "tls1.2:address", "127.0.0.2", 0, LEAF, 0, BAD, BAD_NAME},
        {"pin alone, common name", "tls1.2:common", "good.test", 0, LEAF, 0, BAD, BAD_NAME},
        {"pin alone, extKeyUsage", "tls1.2:purpose", "good.test", 0, LEAF, 0, BAD, BAD_USAGE},
        {"pin alone, weak", "tls1.2:weak", "good.test", 0, WEAK, 0, BAD, UNSB_SCHANNEL_WEAK}};
    unsigned number;

    (void)state;
    judge_all(list, COUNT(list));
    begin("good.test", server("tls1.2:ecdsa", &number), false);
    trust_and_pin(0, LEAF);
    g.secure.pin_count = 0;
    begun();
    expect("nothing to trust", get(), UNSB_E_TRUST, 0);
    assert_int_equal(g.tcp.state, 0);
}

/* ---- what Windows finds ---- */

static void findings_of_windows(void **state)
{
    static const struct {
        DWORD status;
        uint32_t error;
    } all[] = {{CERT_TRUST_IS_REVOKED, 0x800B010Cu},
               {CERT_TRUST_IS_REVOKED | CERT_TRUST_IS_UNTRUSTED_ROOT, 0x800B010Cu},
               {0x04000000, 0x800B0111u},
               {CERT_TRUST_IS_NOT_SIGNATURE_VALID, 0x80096004u},
               {CERT_TRUST_IS_CYCLIC, 0x800B010Au},
               {CERT_TRUST_IS_NOT_VALID_FOR_USAGE, 0x800B0110u},
               {CERT_TRUST_INVALID_BASIC_CONSTRAINTS, 0x80096019u},
               {CERT_TRUST_HAS_NOT_PERMITTED_NAME_CONSTRAINT, 0x800B0114u},
               {CERT_TRUST_HAS_EXCLUDED_NAME_CONSTRAINT, 0x800B0114u},
               {0x08000000, 0x800B0105u},
               {0x00100000, UNSB_SCHANNEL_WEAK},
               {CERT_TRUST_INVALID_EXTENSION, 0x800B010Bu},
               {0x80000000, 0x800B010Bu}, /* not known */
               {CERT_TRUST_REVOCATION_STATUS_UNKNOWN | CERT_TRUST_IS_OFFLINE_REVOCATION, 0}};
    unsigned number;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(all); i++) {
        begin("good.test", server("tls1.2:ecdsa", &number), i % 2 != 0);
        trust_and_pin(ROOTS, 0);
        g.secure.no_fetch = true;
        findings = all[i].status;
        begun();
        expect("findings", get(), all[i].error != 0 ? BAD : UNSB_OK, (int)all[i].error);
        findings = 0;
    }
}

/* ---- gaps, which a thread may fill ---- */

static void expect_clean(void)
{
    bool clean;

    rig_close();
    unsb_schannel_wipe(&g.tls);
    EVENTUALLY(now(&blocks) == 0 && now(&chains) == 0, clean);
    if (!clean)
        fail_msg("%ld blocks, %ld chains", (long)blocks, (long)chains);
}

static void gaps(void **state)
{
    unsigned number, mode;
    uint16_t port = server("tls1.2:ecdsa", &number);

    (void)state;
    for (mode = 0; mode < 4; mode++) {
        lacking = CERT_TRUST_IS_PARTIAL_CHAIN;
        fetches = 0;
        begin("good.test", port, mode % 2 != 0);
        trust_and_pin(ROOTS, 0);
        g.secure.no_fetch = mode >= 2;
        begun();
        expect("a gap", get(), mode < 2 ? UNSB_OK : BAD, mode < 2 ? 0 : NO_CHAIN);
        assert_int_equal(fetches, mode < 2);
        /* what else there is to be found is found before anything is fetched */
        begin("other.test", port, mode % 2 != 0);
        trust_and_pin(ROOTS, 0);
        begun();
        expect("another name", get(), BAD, BAD_NAME);
        expect_clean();
    }
    no_thread = true;
    fetches = 0;
    begin("good.test", port, false);
    trust_and_pin(ROOTS, 0);
    begun();
    expect("no thread", get(), BAD, NO_CHAIN);
    assert_int_equal(fetches, 0);
    expect_clean();
}

/* Nothing waits for a thread that takes its time but the client's time-out. */
static void slow_fetches(void **state)
{
    unsigned number, mode;
    uint16_t port = server("tls1.2:ecdsa", &number);

    (void)state;
    for (mode = 0; mode < 4; mode++) {
        int rc;
        lacking = CERT_TRUST_IS_PARTIAL_CHAIN;
        (void)InterlockedExchange(&held_fetch, 1);
        begin("good.test", port, mode % 2 != 0);
        trust_and_pin(ROOTS, 0);
        g.config.connect_timeout_ms = 2000;
        begun();
        rc = unsb_languages(&g.client, &result);
        while (rc == UNSB_PENDING && mode == 3 && g.tls.thread == NULL)
            rc = unsb_poll(&g.client);
        if (mode == 3) { /* given up meanwhile, and the memory goes */
            assert_int_equal(rc, UNSB_PENDING);
            rig_close();
            unsb_schannel_wipe(&g.tls);
            memset(&g.tls, 0xA5, sizeof g.tls);
            memset(&g.tls, 0, sizeof g.tls);
        } else {
            expect("a slow fetch", rig_end(rc), UNSB_E_TIMEOUT, 0);
        }
        assert_true(now(&blocks) != 0); /* it goes on */
        (void)InterlockedExchange(&held_fetch, 0);
        expect_clean();
    }
}

/* ---- the user's own store ---- */

/* Runs first: Wine looks into the store once. */
static void windows_roots(void **state)
{
    HCERTSTORE user = CertOpenSystemStoreW(0, L"ROOT");
    PCCERT_CONTEXT root, added;
    unsigned mode, number;
    int rc;

    (void)state;
    assert_non_null(user);
    root = CertEnumCertificatesInStore(stores[4], NULL);
    assert_non_null(root);
    assert_true(CertAddCertificateContextToStore(user, root, CERT_STORE_ADD_REPLACE_EXISTING,
                                                 NULL));
    (void)CertCloseStore(user, 0); /* so that it is written */
    for (mode = 0; mode < 4; mode++) {
        fetches = 0;
        if (mode < 2) {
            begin("localhost", tls_port, mode % 2 != 0);
            begun();
            expect("in the store", get(), UNSB_OK, 0);
        } else {
            begin("good.test", server("tls1.2:ecdsa", &number), mode % 2 != 0);
            begun();
            rc = get();
            assert_true(g.tls.error == NOT_TRUSTED || g.tls.error == NO_CHAIN);
            expect("not in the store", rc, BAD, g.tls.error);
        }
        assert_int_equal(fetches, mode >= 2);
        expect_clean();
    }
    user = CertOpenSystemStoreW(0, L"ROOT");
    assert_non_null(user);
    added = CertFindCertificateInStore(user, X509_ASN_ENCODING, 0, CERT_FIND_EXISTING, root, NULL);
    assert_non_null(added);
    (void)CertDeleteCertificateFromStore(added); /* frees it */
    (void)CertFreeCertificateContext(root);
    (void)CertCloseStore(user, 0);
}

/* ======================================================================
 * >>protocols
 * ====================================================================== */

static void old_and_weak_servers(void **state)
{
    static const struct {
        const char *server;
        uint8_t alert;
    } all[] = {{"tls1.0:rsa", 0}, {"tls1.1:rsa", 0}, {"null:rsa", 40}};
    unsigned number, i;

    (void)state;
    for (i = 0; i < 2 * COUNT(all); i++) {
        int rc;
        begin("good.test", server(all[i / 2].server, &number), i % 2 != 0);
        trust_and_pin(ROOTS, 0);
        begun();
        rc = get();
        if (rc != UNSB_E_TLS || g.tls.error == 0 || g.tls.alert != all[i / 2].alert)
            fail_msg("%s: %d, 0x%08x, alert %d", all[i / 2].server, rc, (unsigned)g.tls.error,
                     g.tls.alert);
        assert_true(strcmp(unsb_schannel_error_text(g.tls.error), "another error of Windows") != 0);
    }
}

/* Whatever was agreed on, it is not used. */
static void ciphers_not_taken(void **state)
{
    static const verdict list[] = {
        {"RSA key exchange", "static:rsa", "good.test", ROOTS, 0, 0, UNSB_E_TLS,
         UNSB_SCHANNEL_CIPHER}};

    (void)state;
    judge_all(list, COUNT(list));
}

static void cbc_ciphers(void **state)
{
    static const verdict list[] = {
        {"CBC ciphers", "cbc:rsa", "good.test", ROOTS, 0, 0, UNSB_E_TLS, UNSB_SCHANNEL_CIPHER}};

    (void)state;
    needs_windows("GnuTLS offers no CBC cipher with SHA-256");
    judge_all(list, COUNT(list));
}

static void tls_1_3(void **state)
{
    static const verdict list[] = {
        {"TLS 1.3 alone", "tls1.3:rsa", "good.test", ROOTS, 0, 0, UNSB_OK, 0}};

    (void)state;
    needs_windows("this one's Schannel has no TLS 1.3");
    judge_all(list, COUNT(list));
}

static void plain_text_server(void **state)
{
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        int rc;
        begin("localhost", plain_port, mode != 0);
        g.secure.anchors = stores[4];
        begun();
        rc = get();
        assert_true(rc == UNSB_E_TLS || rc == UNSB_E_IO);
        assert_true(g.tls.error != 0);
    }
}

/* Handshake messages cut into records of so many bytes, all of the plain part of the handshake. */
static void cut_handshakes(void **state)
{
    size_t size;
    char *next = read_file("UNSB_TLS_CUTS", "", &size);
    unsigned count = 0;

    (void)state;
    while (*next != '\0') {
        unsigned long piece = strtoul(next, &next, 10), port = strtoul(next, &next, 10);
        char what[40];
        unsigned mode;
        while (*next == '\n' || *next == '\r')
            next++;
        (void)snprintf(what, sizeof what, "records of %lu bytes", piece);
        for (mode = 0; mode < 2; mode++) {
            begin("good.test", (uint16_t)port, mode != 0);
            trust_and_pin(ROOTS, 0);
            begun();
            expect(what, get(), UNSB_OK, 0);
        }
        count++;
    }
    assert_true(count >= 8);
}

/* ======================================================================
 * >>calls
 * ====================================================================== */

static void begin_service(unsigned mode)
{
    begin("localhost", tls_port, mode % 2 != 0);
    g.secure.anchors = stores[4];
    g.most = mode >= 2 ? 7 : 0;
    if (mode == 1)
        g.secure.buffer_size = UNSB_SCHANNEL_BUFFER_MIN;
    begun();
}

static unsb_program program_of(const char *language, const char *code)
{
    unsb_program program;

    memset(&program, 0, sizeof program);
    program.language = language;
    program.code = unsb_text(code);
    return program;
}

static void calls(void **state)
{
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 4; mode++) {
        unsb_program program = program_of("sh", "echo there; echo wrong >&2; exit 3");
        char id[UNSB_JOB_ID_SIZE];
        unsb_key key;
        begin_service(mode);
        expect("execute", rig_end(unsb_execute(&g.client, &program, &result)), UNSB_OK, 0);
        assert_string_equal(out_memory, "there\n");
        assert_string_equal(err_memory, "wrong\n");
        assert_int_equal(result.exit_code, 3);
        assert_int_equal(g.tls.version, 0x0303);
        program = program_of("sh", "echo later");
        expect("execute_async", rig_end(unsb_execute_async(&g.client, &program, &result)), UNSB_OK,
               0);
        (void)strcpy(id, result.job_id);
        expect("job_wait", rig_end(unsb_job_wait(&g.client, id, PATIENCE_MS, &result)), UNSB_OK, 0);
        assert_string_equal(out_memory, "later\n");
        program = program_of(NULL, "#!/bin/sh\necho by shebang\n");
        expect("run", rig_end(unsb_run(&g.client, &program, &result)), UNSB_OK, 0);
        assert_string_equal(out_memory, "by shebang\n");
        expect("languages", get(), UNSB_OK, 0);
        expect("key_validate", rig_end(unsb_key_validate(&g.client, &key, &result)), UNSB_OK, 0);
        assert_int_equal(rig_end(unsb_job_get(&g.client, "no-such-job", &result)),
                         UNSB_E_NOT_FOUND);
    }
}

static void large_calls(void **state)
{
    static char code[40000];
    unsigned mode;

    (void)state;
    memset(code, '#', sizeof code - 1);
    memcpy(code, "print('0123456789' * 5000)\n", 27);
    for (mode = 0; mode < 4; mode++) {
        unsb_program program = program_of("python", code);
        begin_service(mode);
        expect("execute", rig_end(unsb_execute(&g.client, &program, &result)), UNSB_OK, 0);
        assert_int_equal(result.out.size, 50001);
        assert_int_equal(strspn(out_memory, "0123456789"), 50000);
    }
}

/* ======================================================================
 * >>state
 * ====================================================================== */

static void configurations(void **state)
{
    static unsb_transport_class without;
    unsigned i;

    (void)state;
    for (i = 0; i < 3; i++) {
        begin("good.test", 9, false);
        if (i == 0)
            g.secure.inner.vtable = NULL;
        else if (i == 1)
            g.secure.buffer = NULL;
        else
            g.secure.buffer_size = UNSB_SCHANNEL_BUFFER_MIN - 1;
        g.config.transport = unsb_schannel_transport(&g.tls, &g.secure);
        assert_int_equal(g.config.transport.vtable->connect(&g.tls, "good.test", 9),
                         UNSB_E_SCHANNEL_CONFIG);
        assert_int_equal(g.config.transport.vtable->recv(&g.tls, out_memory, 1),
                         UNSB_E_SCHANNEL_CONFIG);
        g.config.transport.vtable->close(&g.tls);
        g.config.transport.vtable->close(&g.tls);
    }
    begin("good.test", 9, false);
    assert_non_null(unsb_schannel_transport(&g.tls, &g.secure).vtable->wait);
    without = thin;
    without.wait = NULL;
    g.secure.inner.vtable = &without;
    assert_null(unsb_schannel_transport(&g.tls, &g.secure).vtable->wait);
}

static bool is_zero(const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;

    while (size != 0 && *p == 0) {
        p++;
        size--;
    }
    return size == 0;
}

static void nothing_is_left(void **state)
{
    unsigned quietly;

    (void)state;
    for (quietly = 0; quietly < 2; quietly++) {
        begin_service(0);
        expect("languages", get(), UNSB_OK, 0);
        assert_true(g.tls.has_credentials);
        contexts = credentials = 0;
        if (quietly != 0) {
            unsb_drop(&g.client);
            g.open = false;
        } else {
            rig_close();
        }
        assert_int_equal(contexts, 1);
        assert_int_equal(credentials, 0);
        assert_true(is_zero(g.records, sizeof g.records));
        assert_true(unsb_winsock_socket(&g.tcp) == INVALID_SOCKET);
        unsb_schannel_wipe(&g.tls);
        assert_int_equal(credentials, 1);
        unsb_schannel_wipe(&g.tls);
        assert_int_equal(credentials, 1);
        begin_service(0);
        g.tls.config.no_resumption = true;
        expect("languages", get(), UNSB_OK, 0);
        credentials = 0;
        rig_close();
        assert_int_equal(credentials, 1);
    }
}

static void resumption(void **state)
{
    unsigned round;

    (void)state;
    needs_windows("this one's Schannel resumes no session");
    begin_service(0);
    for (round = 0; round < 3; round++) {
        expect("languages", get(), UNSB_OK, 0);
        assert_int_equal(g.tls.resumed, round != 0);
        unsb_close(&g.client);
        assert_int_equal(unsb_init(&g.client, &g.config), UNSB_OK);
    }
}

static void goodbye(void **state)
{
    unsigned sent;

    (void)state;
    needs_windows("this one's Schannel sends no close_notify");
    begin_service(0);
    expect("languages", get(), UNSB_OK, 0);
    sent = g.sent;
    rig_close();
    assert_int_equal(g.sent, sent + 1);
    assert_true(g.sent_type == 21 || g.sent_type == 23);
}

static void pem_texts(void **state)
{
    HCERTSTORE store = NULL;
    PCCERT_CONTEXT found = NULL;
    size_t size, half, count = 0;
    char *ca = read_file("UNSB_TEST_PKI", "ca.pem", &size), text[8192];

    (void)state;
    assert_int_equal(unsb_schannel_add_pem(&store, "", 0), UNSB_E_TRUST);
    assert_non_null(store);
    assert_int_equal(unsb_schannel_add_pem(&store, "\0\xff garbage\n", 11), UNSB_E_TRUST);
    assert_int_equal(unsb_schannel_add_pem(&store, ca, size / 2), UNSB_E_TRUST);
    (void)snprintf(text, sizeof text,
                   "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n%s", ca);
    half = strlen(text) - size;
    assert_int_equal(unsb_schannel_add_pem(&store, text, half), UNSB_E_TRUST);
    assert_int_equal(unsb_schannel_add_pem(&store, text, strlen(text)), UNSB_OK);
    assert_int_equal(unsb_schannel_add_pem(&store, ca, size), UNSB_OK); /* again */
    while ((found = CertEnumCertificatesInStore(store, found)) != NULL)
        count++;
    assert_int_equal(count, 1);
    (void)CertCloseStore(store, 0);
}

/* ======================================================================
 * >>main
 * ====================================================================== */

static int start(void **state)
{
    WSADATA data;

    (void)state;
    tls_port = port_of("UNSB_TLS");
    plain_port = port_of("UNSB_PLAIN");
    if (tls_port == 0 || plain_port == 0)
        fail_msg("UNSB_TLS and UNSB_PLAIN must name the ports of the service");
    load(&stores[ROOTS - 1], "UNSB_TLS_DIR", "roots.pem");
    load(&stores[OTHER - 1], "UNSB_TLS_DIR", "other.pem");
    load(&stores[SELF - 1], "UNSB_TLS_DIR", "self.pem");
    load(&stores[NOSUB - 1], "UNSB_TLS_DIR", "nosub.pem");
    load(&stores[4], "UNSB_TEST_PKI", "ca.pem");
    return WSAStartup(MAKEWORD(2, 2), &data);
}

static int stop(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(stores); i++)
        (void)CertCloseStore(stores[i], 0);
    return WSACleanup();
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(windows_roots),
                                       TEST(accepted),
                                       TEST(any_purpose),
                                       TEST(wrong_names),
                                       TEST(ipv6),
                                       TEST(hosts_that_are_none),
                                       TEST(wrong_chains),
                                       TEST(usages),
                                       TEST(dates),
                                       TEST(pins),
                                       TEST(findings_of_windows),
                                       TEST(gaps),
                                       TEST(slow_fetches),
                                       TEST(old_and_weak_servers),
                                       TEST(ciphers_not_taken),
                                       TEST(cbc_ciphers),
                                       TEST(tls_1_3),
                                       TEST(plain_text_server),
                                       TEST(cut_handshakes),
                                       TEST(calls),
                                       TEST(large_calls),
                                       TEST(configurations),
                                       TEST(nothing_is_left),
                                       TEST(resumption),
                                       TEST(goodbye),
                                       TEST(pem_texts)};

    return cmocka_run_group_tests_name("schannel", tests, start, stop);
}
