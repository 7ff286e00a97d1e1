/* What every TLS port must do: the same tests for each. The file that includes it has the port:
 * PORT_NAME, DETAIL, `port` with its `config` and `tls`, the functions port_...(), in PORT_TESTS
 * those that it alone needs, in PORT_OTHERWISE the chains of x509_chains.py that its library judges
 * otherwise than their list has it, by name: {"name", verdict, "why"}, ..., and PORT_TLS13 1 if it
 * speaks TLS 1.3. Such a port is tested against servers of TLS 1.2, and where the environment has
 * UNSB_TEST_TLS=1.3, against those of 1.3. */
#ifndef TLS_SUITE_H
#define TLS_SUITE_H

#include "unsandbox_x509.h"
#include "mbedtls_peer.h"
#include "x509_cases.h"

#ifndef PORT_TLS13
#define PORT_TLS13 0
#endif
/* What differs from port to port, with its defaults. */
#ifndef PORT_SIGNATURES
#define PORT_SIGNATURES /* offered besides those of hello_check() */
#endif
#ifndef PORT_ANY_PURPOSE
#define PORT_ANY_PURPOSE UNSB_OK, 0 /* of a certificate with anyExtendedKeyUsage alone */
#endif
#ifndef PORT_OWN_ENTROPY
#define PORT_OWN_ENTROPY 0 /* its configuration has no `entropy` */
#endif
#ifndef PORT_EXPIRED_AND_UNKNOWN
#define PORT_EXPIRED_AND_UNKNOWN                                                                   \
    DETAIL(BR_ERR_X509_EXPIRED, MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_NOT_TRUSTED)
#endif
#ifndef PORT_CONFIG_ERROR
#define PORT_CONFIG_ERROR DETAIL(UNSB_E_BEARSSL_CONFIG, UNSB_E_MBEDTLS_CONFIG)
#endif

/* ======================================================================
 * >>servers  One for each certificate; see tls_server.py
 * ====================================================================== */

#define SERVERS(X)                                                                                 \
    X(ecdsa, "tls1.2:ecdsa")                                                                       \
    X(rsa, "tls1.2:rsa")                                                                           \
    X(usages, "tls1.2:usages")                                                                     \
    X(any, "tls1.2:any")                                                                           \
    X(wild, "tls1.2:wild")                                                                         \
    X(address, "tls1.2:address")                                                                   \
    X(chain, "tls1.2:chain")                                                                       \
    X(missing, "tls1.2:missing")                                                                   \
    X(below, "tls1.2:below")                                                                       \
    X(common, "tls1.2:common")                                                                     \
    X(mail, "tls1.2:mail")                                                                         \
    X(text, "tls1.2:text")                                                                         \
    X(untrusted, "tls1.2:untrusted")                                                               \
    X(appended, "tls1.2:appended")                                                                 \
    X(usage, "tls1.2:usage")                                                                       \
    X(purpose, "tls1.2:purpose")                                                                   \
    X(critical, "tls1.2:critical")                                                                 \
    X(sha1, "tls1.2:sha1")                                                                         \
    X(md5, "tls1.2:md5")                                                                           \
    X(weak, "tls1.2:weak")                                                                         \
    X(self, "tls1.2:self")                                                                         \
    X(expired, "tls1.2:expired")                                                                   \
    X(future, "tls1.2:future")                                                                     \
    X(past, "tls1.2:past")                                                                         \
    X(far, "tls1.2:far")                                                                           \
    X(tls10, "tls1.0:rsa")                                                                         \
    X(tls11, "tls1.1:rsa")                                                                         \
    X(tls13, "tls1.3:rsa")                                                                         \
    X(null, "null:rsa")                                                                            \
    X(static, "static:rsa")                                                                        \
    X(ipv6, "ipv6:address")                                                                        \
    X(ipv6_others, "ipv6:text")                                                                    \
    X(cbc, "cbc:rsa")                                                                              \
    X(own, "own:rsa")

#define SERVER_INDEX(name, text) SERVER_##name,
#define SERVER_TEXT(name, text) text,
enum { SERVERS(SERVER_INDEX) SERVER_COUNT };

static service servers;
static uint16_t server_ports[SERVER_COUNT];

static const char *made(const char *name)
{
    static char path[8][600];
    static unsigned next;
    char *p = path[next++ % 8];

    (void)snprintf(p, sizeof path[0], "%s/%s", scratch("tls"), name);
    return p;
}

static bool by_tls13(void)
{
    const char *version = getenv("UNSB_TEST_TLS");

    return PORT_TLS13 && version != NULL && strcmp(version, "1.3") == 0;
}

static bool peer_by_tls13(void)
{
    return TLS_PEER_TLS13 && by_tls13();
}

static void servers_start(void)
{
    static const char *const texts[] = {SERVERS(SERVER_TEXT)};
    static char other[SERVER_COUNT][32];
    const char *argv[8 + SERVER_COUNT] = {"python3", "-B", "-W", "ignore", "suites/tls_server.py"};
    char folder[600], log[600], *text, *next;
    size_t i;

    (void)snprintf(folder, sizeof folder, "%s", scratch("tls"));
    (void)snprintf(log, sizeof log, "%s", scratch("tls.log"));
    argv[5] = folder;
    argv[6] = log;
    for (i = 0; i < SERVER_COUNT; i++) {
        argv[7 + i] = texts[i];
        if (by_tls13() && strncmp(texts[i], "tls1.2:", 7) == 0) {
            (void)snprintf(other[i], sizeof other[i], "tls1.3:%s", texts[i] + 7);
            argv[7 + i] = other[i];
        }
    }
    argv[7 + SERVER_COUNT] = NULL;
    service_start_python(&servers, argv);
    next = text = read_text(scratch("tls.log.ports"));
    for (i = 0; i < SERVER_COUNT; i++)
        server_ports[i] = (uint16_t)strtoul(next, &next, 10);
    free(text);
    assert_true(server_ports[SERVER_COUNT - 1] != 0);
}

/* How many connections to this server are over; *bytes: what reached it of requests, in all. */
static unsigned server_connections(unsigned server, unsigned long *bytes)
{
    char *text = read_text(scratch("tls.log")), *next = text, *line;
    unsigned count = 0;

    *bytes = 0;
    while ((line = strchr(next, '\n')) != NULL) {
        unsigned long number = strtoul(next, &next, 10), size = strtoul(next, &next, 10);
        if (number == server) {
            *bytes += size;
            count++;
        }
        next = line + 1;
    }
    free(text);
    return count;
}

/* ======================================================================
 * >>helpers
 * ====================================================================== */

static rig g;
static unsb_result result;
static char out_memory[70000];
static service sandbox;
static uint32_t unix_time;
static unsigned time_calls;
static bool set_up; /* something is open */

static uint32_t set_time(void *context)
{
    assert_ptr_equal(context, &g);
    time_calls++;
    return unix_time;
}

/* A client that trusts this suite's authorities. */
static void begin(const char *host, uint16_t number, bool nonblocking)
{
    rig_close(&g);
    port_prepare();
    rig_prepare(&g, false, nonblocking, number);
    g.config.host = host;
    port_trust(made("roots.pem"));
    port.config.context = &g;
    set_up = true;
}

static void begun(void)
{
    g.config.transport = port_transport(g.config.transport);
    rig_open(&g);
    memset(&result, 0, sizeof result);
    result.out = unsb_into(out_memory, sizeof out_memory);
}

static int get(void)
{
    return rig_end(&g, unsb_languages(&g.client, &result));
}

static void expect(const char *what, int rc, int want, int detail)
{
    if (rc != want || port_detail() != detail)
        fail_msg("%s: %d (%s), detail %d (-0x%04x), errno %d instead of %d, detail %d", what, rc,
                 unsb_error_text(rc), port_detail(), (unsigned)-port_detail(), g.tcp.error, want,
                 detail);
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&g);
    if (set_up)
        port_wipe();
    set_up = false;
    peers_stop();
    return 0;
}

/* ======================================================================
 * >>certificates
 * ====================================================================== */

enum { ROOTS = 1, OTHER, SELF, NOSUB };         /* whom to trust; none: pins alone */
enum { LEAF = 1, RSA = 2, WEAK = 4, ROOT = 8 }; /* which keys are pinned */

typedef struct verdict {
    const char *what;
    unsigned server;
    const char *host;
    unsigned trust, pins;
    uint32_t time; /* 0: the system's; 1: a clock that was never set */
    int want, detail;
} verdict;

#define BAD UNSB_E_CERTIFICATE
#define BAD_NAME DETAIL(BR_ERR_X509_BAD_SERVER_NAME, MBEDTLS_X509_BADCERT_CN_MISMATCH)
#define NOT_TRUSTED DETAIL(BR_ERR_X509_NOT_TRUSTED, MBEDTLS_X509_BADCERT_NOT_TRUSTED)
#define NOT_PINNED DETAIL(UNSB_BEARSSL_NOT_PINNED, MBEDTLS_X509_BADCERT_OTHER)
#define EXPIRED DETAIL(BR_ERR_X509_EXPIRED, MBEDTLS_X509_BADCERT_EXPIRED)
#define FUTURE DETAIL(UNSB_BEARSSL_NOT_YET_VALID, MBEDTLS_X509_BADCERT_FUTURE)
#define BAD_USAGE DETAIL(BR_ERR_WRONG_KEY_USAGE, MBEDTLS_X509_BADCERT_KEY_USAGE)
#define BAD_PURPOSE DETAIL(BR_ERR_X509_FORBIDDEN_KEY_USAGE, MBEDTLS_X509_BADCERT_EXT_KEY_USAGE)
#define BAD_HASH DETAIL(BR_ERR_X509_UNSUPPORTED, MBEDTLS_X509_BADCERT_BAD_MD)
#define BAD_KEY DETAIL(BR_ERR_X509_WEAK_PUBLIC_KEY, MBEDTLS_X509_BADCERT_BAD_KEY)
#define NOT_SET 1u

static void trust_and_pin(unsigned trust, unsigned pinned)
{
    static const char *const names[] = {"leaf.pin", "rsa.pin", "weak.pin", "root.pin"};
    static uint8_t pins[COUNT(names)][32];
    size_t count = 0, i;

    port_trust(trust == ROOTS   ? made("roots.pem")
               : trust == OTHER ? made("other.pem")
               : trust == SELF  ? made("self.pem")
               : trust == NOSUB ? made("nosub.pem")
                                : NULL);
    for (i = 0; i < COUNT(names); i++) {
        FILE *file;
        if ((pinned & (1u << i)) == 0)
            continue;
        file = fopen(made(names[i]), "rb");
        assert_non_null(file);
        assert_int_equal(fread(pins[count++], 1, 32, file), 32);
        (void)fclose(file);
    }
    port.config.pins = count != 0 ? pins[0] : NULL;
    port.config.pin_count = count;
}

/* One request in each mode, and once with single bytes on the wire; then the server's word on how
 * much of it came. */
static void judge(const verdict *v)
{
    unsigned long before_bytes, bytes;
    unsigned before = server_connections(v->server, &before_bytes), round;
    bool logged;

    for (round = 0; round < 3; round++) {
        begin(v->host, server_ports[v->server], round != 0);
        trust_and_pin(v->trust, v->pins);
        if (v->time != 0) {
            unix_time = v->time == NOT_SET ? 0 : v->time;
            port.config.unix_time = set_time;
        }
        g.inside.most = round == 2 ? 1 : 0;
        begun();
        expect(v->what, get(), v->want, v->detail);
        if (v->want == UNSB_OK)
            assert_string_equal(out_memory, "");
        else
            assert_int_equal(unsb_posix_fd(&g.tcp), -1);
        rig_close(&g);
        port_wipe();
        EVENTUALLY(server_connections(v->server, &bytes) == before + round + 1, logged);
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
        {"ECDSA", SERVER_ecdsa, "good.test", ROOTS, 0, 0, UNSB_OK, 0},
        {"RSA", SERVER_rsa, "good.test", ROOTS, 0, 0, UNSB_OK, 0},
        {"capitals", SERVER_ecdsa, "GOOD.Test", ROOTS, 0, 0, UNSB_OK, 0},
        {"the root's dot", SERVER_ecdsa, "good.test.", ROOTS, 0, 0, UNSB_OK, 0},
        {"usages", SERVER_usages, "good.test", ROOTS, 0, 0, UNSB_OK, 0},
        {"any purpose", SERVER_any, "good.test", ROOTS, 0, 0, PORT_ANY_PURPOSE},
        {"wildcard", SERVER_wild, "a.wild.test", ROOTS, 0, 0, UNSB_OK, 0},
        {"intermediate", SERVER_chain, "good.test", ROOTS, 0, 0, UNSB_OK, 0},
        {"IP address", SERVER_address, "127.0.0.1", ROOTS, 0, 0, UNSB_OK, 0},
        {"name beside addresses", SERVER_address, "a.test", ROOTS, 0, 0, UNSB_OK, 0},
        {"self-signed and trusted", SERVER_self, "good.test", SELF, 0, 0, UNSB_OK, 0}};

    (void)state;
    judge_all(list, COUNT(list));
}

static void wrong_names(void **state)
{
    static const verdict list[] = {
        {"other name", SERVER_ecdsa, "other.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"longer name", SERVER_ecdsa, "a.good.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"suffix", SERVER_ecdsa, "ood.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"common name", SERVER_ecdsa, "leaf", ROOTS, 0, 0, BAD, BAD_NAME},
        {"common name alone", SERVER_common, "good.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"no dNSName", SERVER_mail, "good.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"wildcard, two labels", SERVER_wild, "a.b.wild.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"wildcard, no label", SERVER_wild, "wild.test", ROOTS, 0, 0, BAD, BAD_NAME},
        {"other address", SERVER_address, "127.0.0.2", ROOTS, 0, 0, BAD, BAD_NAME},
        {"address as name", SERVER_text, "127.0.0.1", ROOTS, 0, 0, BAD, BAD_NAME},
        {"address, only names", SERVER_ecdsa, "127.0.0.1", ROOTS, 0, 0, BAD, BAD_NAME},
        {"address, common name", SERVER_common, "127.0.0.1", ROOTS, 0, 0, BAD, BAD_NAME},
        {"self-signed and trusted", SERVER_self, "other.test", SELF, 0, 0, BAD, BAD_NAME}};

    (void)state;
    judge_all(list, COUNT(list));
}

static void ipv6(void **state)
{
    static const verdict list[] = {
        {"::1", SERVER_ipv6, "::1", ROOTS, 0, 0, UNSB_OK, 0},
        {"::1, in full", SERVER_ipv6, "0:0:0:0:0:0:0:1", ROOTS, 0, 0, UNSB_OK, 0},
        {"::1 alone", SERVER_ipv6, "::1", 0, LEAF, NOT_SET, UNSB_OK, 0},
        {"::1, only others", SERVER_ipv6_others, "::1", ROOTS, 0, 0, BAD, BAD_NAME}};

    (void)state;
    if (server_ports[SERVER_ipv6] == 0) {
        print_message("# skipped: there is no ::1\n");
        skip();
    }
    judge_all(list, COUNT(list));
}

static void hosts_that_are_none(void **state)
{
    static const char *const neither[] = {"127.1",      "1.2.3", "300.1.1.1", "1.2.3.4.5", "a..",
                                          "127.0.0.01", ":1:",   "1::2::3",   "fe80::g"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(neither); i++) {
        begin(neither[i], server_ports[SERVER_text], i % 2 != 0);
        begun();
        expect(neither[i], get(), BAD, BAD_NAME);
        assert_int_equal(g.inside.attempts, 0);
    }
}

static void wrong_chains(void **state)
{
    static const verdict list[] = {
        {"untrusted root", SERVER_untrusted, "good.test", ROOTS, 0, 0, BAD, NOT_TRUSTED},
        {"other root", SERVER_ecdsa, "good.test", OTHER, 0, 0, BAD, NOT_TRUSTED},
        {"self-signed", SERVER_self, "good.test", ROOTS, 0, 0, BAD, NOT_TRUSTED},
        {"no intermediate", SERVER_missing, "good.test", ROOTS, 0, 0, BAD, NOT_TRUSTED},
        {"intermediate without CA", SERVER_below, "good.test", ROOTS, 0, 0, BAD,
         DETAIL(BR_ERR_X509_NOT_CA, MBEDTLS_X509_BADCERT_NOT_TRUSTED)},
        {"good ones appended", SERVER_appended, "good.test", ROOTS, 0, 0, BAD,
         DETAIL(UNSB_BEARSSL_CHAIN ? BR_ERR_X509_NOT_TRUSTED : BR_ERR_X509_DN_MISMATCH,
                MBEDTLS_X509_BADCERT_NOT_TRUSTED)},
        {"anchor without CA", SERVER_below, "good.test", NOSUB, 0, 0, BAD,
         DETAIL(BR_ERR_X509_NOT_CA, MBEDTLS_X509_BADCERT_NOT_TRUSTED)},
        {"keyUsage", SERVER_usage, "good.test", ROOTS, 0, 0, BAD, BAD_USAGE},
        {"extKeyUsage", SERVER_purpose, "good.test", ROOTS, 0, 0, BAD, BAD_PURPOSE},
        {"unknown critical extension", SERVER_critical, "good.test", ROOTS, 0, 0, BAD,
         DETAIL(BR_ERR_X509_CRITICAL_EXTENSION,
                MBEDTLS_ERR_X509_INVALID_EXTENSIONS + MBEDTLS_ERR_ASN1_UNEXPECTED_TAG)},
        {"SHA-1", SERVER_sha1, "good.test", ROOTS, 0, 0, BAD, BAD_HASH},
        {"MD5", SERVER_md5, "good.test", ROOTS, 0, 0, BAD, BAD_HASH},
        {"RSA of 1024 bits", SERVER_weak, "good.test", ROOTS, 0, 0, BAD, BAD_KEY}};

    (void)state;
    judge_all(list, COUNT(list));
}

#define IN_2048 2474841600u

static void dates(void **state)
{
    static const verdict list[] = {
        {"expired", SERVER_expired, "good.test", ROOTS, 0, 0, BAD, EXPIRED},
        {"not yet valid", SERVER_future, "good.test", ROOTS, 0, 0, BAD, FUTURE},
        {"a clock that is not set", SERVER_ecdsa, "good.test", ROOTS, 0, NOT_SET, BAD, FUTURE},
        {"a clock that is ahead", SERVER_ecdsa, "good.test", SELF, 0, IN_2048, BAD,
         PORT_EXPIRED_AND_UNKNOWN}};
    static const struct {
        unsigned server;
        uint32_t last, first;
    } edges[] = {{SERVER_past, 1580515200u, 1577836800u}, {SERVER_far, 2840140800u, 2461449600u}};
    size_t i;

    (void)state;
    judge_all(list, COUNT(list));
    /* To the second, and in both forms of dates (RFC 5280 section 4.1.2.5). The certificate itself
     * is the anchor, so that no other's dates count. */
    for (i = 0; i < COUNT(edges) * 4; i++) {
        bool end = i % 4 < 2, outside = i % 2 != 0;
        uint32_t edge = end ? edges[i / 4].last : edges[i / 4].first;
        const char *pem = i < 4 ? "past.pem" : "far.pem";
        begin("good.test", server_ports[edges[i / 4].server], i % 2 != 0);
        port_trust(made(pem));
        unix_time = !outside ? edge : end ? edge + 1 : edge - 1;
        port.config.unix_time = set_time;
        time_calls = 0;
        begun();
        expect(pem, get(), outside ? BAD : UNSB_OK, outside ? (end ? EXPIRED : FUTURE) : 0);
        assert_true(time_calls != 0);
    }
}

static void pins(void **state)
{
    static const verdict list[] = {
        /* beside a chain */
        {"right pin", SERVER_ecdsa, "good.test", ROOTS, LEAF, 0, UNSB_OK, 0},
        {"right pin, RSA", SERVER_rsa, "good.test", ROOTS, RSA, 0, UNSB_OK, 0},
        {"one of several", SERVER_rsa, "good.test", ROOTS, LEAF | RSA | WEAK, 0, UNSB_OK, 0},
        {"right pin, chain", SERVER_chain, "good.test", ROOTS, LEAF, 0, UNSB_OK, 0},
        {"right pin, address", SERVER_address, "127.0.0.1", ROOTS, LEAF, 0, UNSB_OK, 0},
        {"wrong pin", SERVER_ecdsa, "good.test", ROOTS, RSA, 0, BAD, NOT_PINNED},
        {"the authority's pin", SERVER_ecdsa, "good.test", ROOTS, ROOT, 0, BAD, NOT_PINNED},
        {"pin, but expired", SERVER_expired, "good.test", ROOTS, LEAF, 0, BAD, EXPIRED},
        {"pin, but untrusted", SERVER_untrusted, "good.test", ROOTS, LEAF, 0, BAD, NOT_TRUSTED},
        {"pin, but other name", SERVER_ecdsa, "other.test", ROOTS, LEAF, 0, BAD, BAD_NAME},
        /* alone */
        {"pin alone", SERVER_ecdsa, "good.test", 0, LEAF, 0, UNSB_OK, 0},
        {"pin alone, RSA", SERVER_rsa, "good.test", 0, RSA | ROOT, 0, UNSB_OK, 0},
        {"pin alone, chain", SERVER_chain, "good.test", 0, LEAF, 0, UNSB_OK, 0},
        {"pin alone, no clock", SERVER_ecdsa, "good.test", 0, LEAF, NOT_SET, UNSB_OK, 0},
        {"pin alone, address", SERVER_address, "127.0.0.1", 0, LEAF, NOT_SET, UNSB_OK, 0},
        {"pin alone, expired", SERVER_expired, "good.test", 0, LEAF, 0, UNSB_OK, 0},
        {"pin alone, not yet valid", SERVER_future, "good.test", 0, LEAF, 0, UNSB_OK, 0},
        {"pin alone, expired then", SERVER_past, "good.test", 0, LEAF, NOT_SET, UNSB_OK, 0},
        {"pin alone, other dates", SERVER_far, "good.test", 0, LEAF, NOT_SET, UNSB_OK, 0},
        {"pin alone, untrusted", SERVER_untrusted, "good.test", 0, LEAF, NOT_SET, UNSB_OK, 0},
        {"pin alone, self-signed", SERVER_self, "good.test", 0, LEAF, NOT_SET, UNSB_OK, 0},
        {"pin alone, bad chain", SERVER_below, "good.test", 0, LEAF, NOT_SET, UNSB_OK, 0},
        {"pin alone, wrong", SERVER_ecdsa, "good.test", 0, RSA, NOT_SET, BAD, NOT_PINNED},
        {"pin alone, authority's", SERVER_chain, "good.test", 0, ROOT, 0, BAD, NOT_PINNED},
        {"pin alone, appended", SERVER_appended, "good.test", 0, ROOT, 0, BAD, NOT_PINNED},
        {"pin alone, other name", SERVER_ecdsa, "other.test", 0, LEAF, NOT_SET, BAD, BAD_NAME},
        {"pin alone, address", SERVER_address, "127.0.0.2", 0, LEAF, NOT_SET, BAD, BAD_NAME},
        {"pin alone, common name", SERVER_common, "good.test", 0, LEAF, NOT_SET, BAD, BAD_NAME},
        {"pin alone, keyUsage", SERVER_usage, "good.test", 0, RSA, NOT_SET, BAD, BAD_USAGE},
        {"pin alone, extKeyUsage", SERVER_purpose, "good.test", 0, LEAF, NOT_SET, BAD, BAD_PURPOSE},
        {"pin alone, weak", SERVER_weak, "good.test", 0, WEAK, NOT_SET, BAD, BAD_KEY}};
    unsigned mode;

    (void)state;
    judge_all(list, COUNT(list));
    for (mode = 0; mode < 4; mode++) { /* neither */
        begin("good.test", server_ports[SERVER_ecdsa], mode % 2 != 0);
        trust_and_pin(0, mode < 2 ? 0 : LEAF);
        port.config.pin_count = 0;
        begun();
        expect("nothing to trust", get(), UNSB_E_TRUST, 0);
        assert_int_equal(g.inside.attempts, 0);
    }
}

/* ======================================================================
 * >>chains  One for each rule of unsandbox_x509.h, from a server that
 *           sends what it is told
 * ====================================================================== */

typedef struct otherwise {
    const char *name;
    bool good;
    const char *why;
} otherwise;

#ifndef PORT_OTHERWISE
#define PORT_OTHERWISE
#endif
static const otherwise port_otherwise[] = {PORT_OTHERWISE{NULL, false, NULL}};

static const otherwise *judged_otherwise(const char *name)
{
    const otherwise *o = port_otherwise;

    while (o->name != NULL && strcmp(o->name, name) != 0)
        o++;
    return o->name != NULL ? o : NULL;
}

/* In each mode, and once in records that end anywhere. */
static void judge_case(const x509_case *c, bool good)
{
    static x509_chain chain;
    unsigned round;

    x509_read_chain(c, &chain);
    for (round = 0; round < 3; round++) {
        static tls_peer t;
        int rc;
        tls_peer_start(&t, made("ecdsa.pem"), x509_path("leaf", ".key"), peer_by_tls13());
        tls_peer_sends(&t, made("ecdsa.pem"), chain.der, chain.size, chain.count);
        begin(c->host, t.peer.port, round != 0);
        port_trust(x509_path(c->anchors, ".pem"));
        g.inside.most = round == 2 ? 7 : 0;
        begun();
        rc = get();
        if (rc != (good ? UNSB_OK : UNSB_E_CERTIFICATE))
            fail_msg("%s: %d (%s), detail %d (-0x%04x)", c->name, rc, unsb_error_text(rc),
                     port_detail(), (unsigned)-port_detail());
        assert_true((port_detail() != 0) == !good);
        rig_close(&g);
        port_wipe();
        peer_settle(&t.peer);
        assert_int_equal(t.asked, good);
        tls_peer_stop(&t);
    }
}

static void chains(void **state)
{
    size_t i, count = 0;

    (void)state;
    for (i = 0; i < x509_case_count; i++) {
        const otherwise *o = judged_otherwise(x509_cases[i].name);
        if (o != NULL) {
            assert_true(o->good != x509_cases[i].good); /* or it need not be named */
            print_message("# %s: %s, as %s\n", o->name, o->good ? "taken" : "refused", o->why);
            count++;
        }
        judge_case(&x509_cases[i], o != NULL ? o->good : x509_cases[i].good);
    }
    assert_int_equal(count, COUNT(port_otherwise) - 1); /* each names a chain */
}

/* ======================================================================
 * >>protocols
 * ====================================================================== */

static void old_and_weak_servers(void **state)
{
    /* they find no cipher for their version; or, told of the client's, refuse at once */
    enum { OLD = PORT_TLS13 ? 256 + 70 : 256 + 40 };
    static const verdict list[] = {
        {"TLS 1.0", SERVER_tls10, "good.test", ROOTS, 0, 0, UNSB_E_TLS, OLD},
        {"TLS 1.1", SERVER_tls11, "good.test", ROOTS, 0, 0, UNSB_E_TLS, OLD},
        {"TLS 1.3 alone", SERVER_tls13, "good.test", ROOTS, 0, 0, PORT_TLS13 ? UNSB_OK : UNSB_E_TLS,
         PORT_TLS13 ? 0 : 256 + 70},
        {"NULL ciphers", SERVER_null, "good.test", ROOTS, 0, 0, UNSB_E_TLS, 256 + 40},
        {"RSA key exchange", SERVER_static, "good.test", ROOTS, 0, 0, UNSB_E_TLS, 256 + 40},
        {"CBC ciphers", SERVER_cbc, "good.test", ROOTS, 0, 0, UNSB_E_TLS, 256 + 40}};

    (void)state;
    judge_all(list, COUNT(list));
}

/* Servers that choose what was not offered: a ServerHello, and the client's records after it. */
typedef struct choice {
    const char *what;
    uint8_t record_version, version;
    uint16_t suite;
    uint8_t compression;
    unsigned application; /* records of application data that came */
} choice;

static void serve_choice(peer *p, int fd)
{
    choice *c = (choice *)p->context;
    uint8_t hello[5 + 4 + 2 + 32 + 1 + 2 + 1] = {
        22, 3, 0, 0, sizeof hello - 5, 2, 0, 0, sizeof hello - 9, 3};
    uint8_t record[5 + 16384];
    size_t have = 0, size = 0;

    hello[2] = c->record_version;
    hello[10] = c->version;
    hello[sizeof hello - 3] = (uint8_t)(c->suite >> 8);
    hello[sizeof hello - 2] = (uint8_t)(c->suite & 0xFF);
    hello[sizeof hello - 1] = c->compression;
    for (;;) {
        size_t got = peer_recv(p, fd, record + have, have < 5 ? 5 - have : size - have);
        if (got == 0)
            return;
        have += got;
        if (have >= 5)
            size = 5u + ((size_t)record[3] << 8) + record[4];
        if (have < 5 || have < size)
            continue;
        c->application += record[0] == 23;
        if (record[0] == 22)
            (void)peer_send(p, fd, hello, sizeof hello);
        have = 0;
    }
}

static void choices_not_offered(void **state)
{
    static choice choices[] = {
        {"RC4", 3, 3, 0x0005, 0, 0},        {"RC4, ECDHE", 3, 3, 0xC011, 0, 0},
        {"export", 3, 3, 0x0003, 0, 0},     {"NULL", 3, 3, 0x0002, 0, 0},
        {"NULL, NULL", 3, 3, 0x0000, 0, 0}, {"anonymous", 3, 3, 0x00A6, 0, 0},
        {"3DES", 3, 3, 0xC012, 0, 0},       {"CBC", 3, 3, 0xC013, 0, 0},
        {"static RSA", 3, 3, 0x009C, 0, 0}, {"SCSV", 3, 3, 0x00FF, 0, 0},
        {"deflate", 3, 3, 0xC02F, 1, 0},    {"SSL 3.0", 0, 0, 0xC02F, 0, 0},
        {"TLS 1.0", 1, 1, 0xC02F, 0, 0},    {"TLS 1.1", 2, 2, 0xC02F, 0, 0},
        {"TLS 1.3", 3, 4, 0xC02F, 0, 0},    {"TLS 1.4", 3, 5, 0xC02F, 0, 0}};
    static peer p;
    unsigned i;

    (void)state;
    for (i = 0; i < 2 * COUNT(choices); i++) {
        choice *c = &choices[i / 2];
        peer_start(&p, serve_choice, c);
        begin("good.test", p.port, i % 2 != 0);
        begun();
        assert_int_equal(get(), UNSB_E_TLS);
        if (port_detail() == 0)
            fail_msg("%s: without a number", c->what);
        assert_int_equal(unsb_posix_fd(&g.tcp), -1);
        rig_close(&g);
        peer_settle(&p);
        assert_int_equal(c->application, 0);
        peer_stop(&p);
    }
}

/* ---- what the ClientHello offers (RFC 5246 section 7.4.1.2) ---- */

typedef struct hello {
    uint8_t bytes[4096];
    size_t size;
} hello;

static void serve_hello(peer *p, int fd)
{
    hello *h = (hello *)p->context;
    size_t want = 5, got;

    for (h->size = 0; h->size < want; h->size += got) {
        got = peer_recv(p, fd, h->bytes + h->size, want - h->size);
        if (got == 0)
            return;
        if (h->size + got >= 5)
            want = 5u + ((size_t)h->bytes[3] << 8) + h->bytes[4];
        if (want > sizeof h->bytes)
            return;
    }
}

/* A number of `size` bytes at *at, which it passes. */
static unsigned hello_number(const hello *h, size_t *at, size_t size)
{
    unsigned value = 0;

    while (size-- != 0) {
        assert_true(*at < h->size);
        value = value << 8 | h->bytes[(*at)++];
    }
    return value;
}

static bool is_among(unsigned value, const uint16_t *list, size_t count)
{
    size_t i;

    for (i = 0; i < count && list[i] != value; i++)
        continue;
    return i < count;
}

/* Each number of the vector at *at must be among `list`. */
static void hello_vector(const hello *h, size_t *at, const uint16_t *list, size_t count,
                         const char *what)
{
    size_t end = hello_number(h, at, 2);

    for (end += *at; *at < end;) {
        unsigned value = hello_number(h, at, 2);
        if (!is_among(value, list, count))
            fail_msg("%s 0x%04x is offered", what, value);
    }
}

static void hello_check(const hello *h, const char *name)
{
    /* two are no suites (RFC 5746 section 3.3, RFC 7507); those of TLS 1.3 are last */
    static const uint16_t suites[] = {0xCCA9, 0xCCA8, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xC0AC,
                                      0xC0AD, 0x00FF, 0x5600, 0x1301, 0x1302, 0x1303, 0x1304};
    /* SHA-256, SHA-384, SHA-512 with RSA (1) and ECDSA (3); and with RSA by PSS */
    static const uint16_t signatures[] = {PORT_SIGNATURES 0x0401, 0x0501, 0x0601, 0x0403, 0x0503,
                                          0x0603, 0x0804, 0x0805, 0x0806};
    static const uint16_t groups[] = {23, 24, 25, 29}, versions[] = {0x0303, 0x0304};
    const size_t suite_count = COUNT(suites) - (PORT_TLS13 ? 0 : 4);
    const size_t signature_count = COUNT(signatures) - (PORT_TLS13 ? 0 : 3);
    bool has_groups = false, has_signatures = false, has_name = false;
    size_t at = 0, end;

    assert_int_equal(hello_number(h, &at, 1), 22);
    at = 5;
    assert_int_equal(hello_number(h, &at, 1), 1);
    at = 9;
    assert_int_equal(hello_number(h, &at, 2), 0x0303);
    at += 32;
    end = hello_number(h, &at, 1);
    at += end; /* the session */
    hello_vector(h, &at, suites, suite_count, "suite");
    assert_int_equal(hello_number(h, &at, 2), 0x0100); /* one compression: none */
    end = hello_number(h, &at, 2);
    for (end += at; at < end;) {
        unsigned type = hello_number(h, &at, 2);
        size_t next = hello_number(h, &at, 2), from;
        next += at;
        from = at;
        if (type == 0) {
            has_name = true;
            assert_non_null(name);
            at += 5; /* the only one, a host_name */
            assert_int_equal(next - at, strlen(name));
            assert_memory_equal(h->bytes + at, name, next - at);
            at = next;
        } else if (type == 10) {
            has_groups = true;
            hello_vector(h, &at, groups, COUNT(groups), "group");
        } else if (type == 13) {
            has_signatures = true;
            hello_vector(h, &at, signatures, signature_count, "signature");
        } else if (type == 43) { /* supported_versions (RFC 8446 section 4.2.1) */
            assert_true(PORT_TLS13);
            for (at++; at < next;)
                assert_true(is_among(hello_number(h, &at, 2), versions, COUNT(versions)));
        } else if (type == 45) { /* psk_key_exchange_modes: with a new exchange of keys (1) alone */
            assert_int_equal(hello_number(h, &at, 2), 0x0101);
        } else {
            at = next;
        }
        assert_true(at == next && next >= from);
    }
    assert_int_equal(at, h->size);
    assert_true(has_groups && has_signatures);
    assert_int_equal(has_name, name != NULL);
}

static void offers(void **state)
{
    static const char *const hosts[] = {"good.test", "127.0.0.1", "good.test."};
    static const char *const names[] = {"good.test", NULL, "good.test"};
    static hello h;
    static peer p;
    unsigned i;

    (void)state;
    for (i = 0; i < COUNT(hosts); i++) {
        peer_start(&p, serve_hello, &h);
        begin(hosts[i], p.port, i % 2 != 0);
        begun();
        assert_int_equal(get(), UNSB_E_IO);
        peer_stop(&p);
        hello_check(&h, names[i]);
    }
}

static void serve_plain_text(peer *p, int fd)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

    (void)peer_send(p, fd, text, sizeof text - 1);
    peer_drain(p, fd);
}

static void serve_zeros(peer *p, int fd)
{
    static const char zeros[20000];

    (void)peer_send(p, fd, zeros, sizeof zeros);
    peer_drain(p, fd);
}

static void serve_end(peer *p, int fd)
{
    (void)shutdown(fd, SHUT_WR);
    peer_drain(p, fd);
}

static void serve_reset(peer *p, int fd)
{
    char byte;

    (void)peer_recv(p, fd, &byte, 1);
    reset_on_close(fd);
}

static void serve_silence(peer *p, int fd)
{
    peer_drain(p, fd);
}

static void other_servers(void **state)
{
    static const struct {
        void (*serve)(peer *p, int fd);
        int want;
    } others[] = {{serve_plain_text, UNSB_E_TLS},
                  {serve_zeros, UNSB_E_TLS},
                  {serve_end, UNSB_E_IO},
                  {serve_reset, UNSB_E_IO}};
    unsigned i;

    (void)state;
    for (i = 0; i < 2 * COUNT(others); i++) {
        static peer p;
        int rc;
        peer_start(&p, others[i / 2].serve, NULL);
        begin("good.test", p.port, i % 2 != 0);
        begun();
        rc = get();
        if (rc != others[i / 2].want)
            fail_msg("%u: %d (%s), detail %d", i, rc, unsb_error_text(rc), port_detail());
        assert_true(rc != UNSB_E_TLS || port_detail() != 0);
        assert_int_equal(result.http_status, 0);
        assert_int_equal(unsb_posix_fd(&g.tcp), -1);
        peer_stop(&p);
    }
}

/* Silence from the start, and at several places of the handshake. */
static void stalled_handshakes(void **state)
{
    static proxy x;
    static peer p;
    unsigned i;

    (void)state;
    peer_start(&p, serve_silence, NULL);
    proxy_start(&x, server_ports[SERVER_ecdsa]);
    for (i = 0; i < 8; i++) {
        if (i >= 2) {
            x.cuts = 1;
            x.stall = true;
            x.down = i * 40;
        }
        begin("good.test", i < 2 ? p.port : x.peer.port, i % 2 != 0);
        g.config.connect_timeout_ms = 100 * RIG_SPEED;
        begun();
        expect("silence", get(), UNSB_E_TIMEOUT, 0);
        assert_int_equal(unsb_posix_fd(&g.tcp), -1);
        rig_close(&g);
        peer_settle(&x.peer);
    }
    proxy_stop(&x);
    peer_stop(&p);
}

/* ======================================================================
 * >>records  Against a server of our own, which does what others do not
 * ====================================================================== */

#define CUT DETAIL(BR_ERR_IO, MBEDTLS_ERR_SSL_CONN_EOF)

static void ask_peer(tls_peer *t, bool nonblocking, size_t most)
{
    begin("good.test", t->peer.port, nonblocking);
    g.inside.most = most;
    begun();
}

static void odd_records(void **state)
{
    static const struct {
        const char *what;
        size_t piece;
        unsigned empty;
        bool hello_request, warning;
    } ways[] = {{"whole", 0, 0, false, false},
                {"single bytes", 1, 0, false, false},
                {"empty records", 7, 1, false, false},
                {"empty records, two at a time", 1, 2, false, false},
                {"a request to renegotiate", 0, 0, true, false},
                {"requests to renegotiate, between pieces", 20, 0, true, false},
                {"warnings", 7, 0, false, true},
                {"all of it", 3, 1, true, true}};
    static tls_peer t;
    unsigned i;

    (void)state;
    for (i = 0; i < COUNT(ways) * 4; i++) {
        unsigned way = i / 4;
        int rc;
        if (peer_by_tls13() && ways[way].hello_request)
            continue; /* which 1.3 has not */
        tls_peer_start(&t, made("ecdsa.pem"), made("ecdsa.key"), peer_by_tls13());
        t.piece = ways[way].piece;
        t.empty = ways[way].empty;
        t.hello_request = ways[way].hello_request;
        t.warning = ways[way].warning;
        ask_peer(&t, i % 2 != 0, i % 4 >= 2 ? 5 : 0);
        rc = get();
        expect(ways[way].what, rc, UNSB_OK, 0);
        rig_close(&g);
        peer_settle(&t.peer);
        if (t.failure != 0)
            fail_msg("%s: the server failed: -0x%04x", ways[way].what, (unsigned)-t.failure);
        assert_true(t.asked);
        /* refused, not followed: no ClientHello came */
        assert_int_equal(t.handshakes, 0);
        tls_peer_stop(&t);
    }
}

static void ends_of_the_stream(void **state)
{
    static const struct {
        const char *what;
        tls_peer_end end;
        int want, detail;
    } ends[] = {{"in good order", TLS_PEER_NOTIFY, UNSB_OK, 0},
                {"cut at the end", TLS_PEER_CUT, UNSB_E_IO, CUT},
                {"cut within the body", TLS_PEER_CUT_BODY, UNSB_E_IO, CUT},
                {"cut within a record", TLS_PEER_CUT_RECORD, UNSB_E_IO, CUT},
                {"cut after the handshake", TLS_PEER_CUT_HANDSHAKE, UNSB_E_IO, CUT},
                {"ended after the handshake", TLS_PEER_NOTIFY_HANDSHAKE, UNSB_E_CLOSED, 0},
                {"a fatal alert", TLS_PEER_ALERT, UNSB_E_TLS, 256 + 80},
                {"a record with an error", TLS_PEER_GARBAGE, UNSB_E_TLS,
                 DETAIL(BR_ERR_BAD_MAC, MBEDTLS_ERR_SSL_INVALID_MAC)}};
    static tls_peer t;
    unsb_call call;
    unsigned i;

    (void)state;
    memset(&call, 0, sizeof call);
    call.method = "GET";
    call.path = "/";
    for (i = 0; i < COUNT(ends) * 4; i++) {
        unsigned way = i / 4;
        tls_peer_start(&t, made("ecdsa.pem"), made("ecdsa.key"), peer_by_tls13());
        t.end = ends[way].end;
        ask_peer(&t, i % 2 != 0, 0);
        /* a body without a length: only the end of the stream says where it ends */
        expect(ends[way].what,
               i % 4 >= 2 ? rig_end(&g, unsb_request(&g.client, &call, &result)) : get(),
               ends[way].want, ends[way].detail);
        rig_close(&g);
        tls_peer_stop(&t);
    }
}

/* A server that is slow to take what is sent, and one that talks before it was asked. */
static void large_transfers(void **state)
{
    static const size_t most[] = {0, 1000, 7};
    static char code[40000];
    unsb_program program;
    unsigned i;

    (void)state;
    memset(&program, 0, sizeof program);
    memset(code, '#', sizeof code - 1);
    memcpy(code, "print('0123456789' * 5000)\n", 27);
    program.language = "python";
    program.code = unsb_text(code);
    for (i = 0; i < COUNT(most) * 2; i++) {
        begin("localhost", sandbox.port, i % 2 != 0);
        port_trust(pki("ca.pem"));
        g.inside.most = most[i / 2];
        begun();
        expect("localhost", rig_end(&g, unsb_execute(&g.client, &program, &result)), UNSB_OK, 0);
        assert_int_equal(result.out.size, 50001);
        assert_int_equal(strspn(out_memory, "0123456789"), 50000);
        assert_int_equal(g.outside.connects, 1);
    }
}

/* A byte is damaged on the way: every 13th one in turn, from the handshake to the end of the
 * response. None may change the answer. */
static void damaged_streams(void **state)
{
    unsb_program program;
    unsigned ok = 0, count = 0;
    size_t end;
    static proxy x;

    (void)state;
    memset(&program, 0, sizeof program);
    program.language = "sh";
    program.code = unsb_text("echo unharmed");
    proxy_start(&x, sandbox.port);
    begin("localhost", x.peer.port, false);
    port_trust(pki("ca.pem"));
    begun();
    expect("localhost", rig_end(&g, unsb_execute(&g.client, &program, &result)), UNSB_OK, 0);
    rig_close(&g);
    peer_settle(&x.peer);
    end = x.seen_down;
    assert_true(end > 800);
    for (x.flip = 0; x.flip < end; x.flip += 13) {
        int rc;
        begin("localhost", x.peer.port, count % 2 != 0);
        port_trust(pki("ca.pem"));
        g.config.connect_timeout_ms = g.config.idle_timeout_ms = 200 * RIG_SPEED;
        begun();
        program.ttl_s = 1;
        rc = rig_end(&g, unsb_execute(&g.client, &program, &result));
        if (rc == UNSB_OK) {
            assert_string_equal(out_memory, "unharmed\n");
            ok++;
        } else if (rc != UNSB_E_TLS && rc != UNSB_E_CERTIFICATE && rc != UNSB_E_TIMEOUT &&
                   rc != UNSB_E_IO) {
            fail_msg("byte %zu: %d (%s)", x.flip, rc, unsb_error_text(rc));
        }
        assert_true(rc == UNSB_OK || out_memory[0] == '\0' || x.flip > end / 2);
        count++;
        rig_close(&g);
        peer_settle(&x.peer);
    }
    figures("%u damaged TLS streams, %u of them without effect", count, ok);
    assert_true(ok < count / 8);
    proxy_stop(&x);
}

/* ======================================================================
 * >>state
 * ====================================================================== */

#if !PORT_OWN_ENTROPY
static unsigned entropy_calls;
static int entropy_result;

static int set_entropy(void *context, void *bytes, size_t size)
{
    assert_ptr_equal(context, &g);
    assert_in_range(size, 1, 64);
    memset(bytes, 0x42, size);
    entropy_calls++;
    return entropy_result;
}

static void entropy(void **state)
{
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        begin("good.test", server_ports[SERVER_ecdsa], mode != 0);
        port.config.entropy = set_entropy;
        entropy_calls = 0;
        entropy_result = UNSB_E_USER;
        begun();
        assert_int_equal(get(), UNSB_E_ENTROPY);
        assert_int_equal(port_detail(),
                         DETAIL(BR_ERR_NO_RANDOM, MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED));
        assert_int_equal(entropy_calls, 1);
        assert_int_equal(unsb_posix_fd(&g.tcp), -1);
        entropy_result = UNSB_OK;
        expect("entropy", get(), UNSB_OK, 0);
        assert_in_range(entropy_calls, 2, 4);
    }
}
#endif

/* Without a wait below there is none above, so that a blocking client is refused; and without
 * anything below, connecting is. */
static void inner_transports(void **state)
{
    static unsb_transport_class without;
    unsb_transport inner, none;
    unsb_posix tcp;

    (void)state;
    port_prepare();
    inner = unsb_posix_transport(&tcp);
    assert_non_null(port_transport(inner).vtable->wait);
    without = *inner.vtable;
    without.wait = NULL;
    inner.vtable = &without;
    assert_null(port_transport(inner).vtable->wait);
    memset(&none, 0, sizeof none);
    inner = port_transport(none);
    assert_int_equal(inner.vtable->connect(inner.context, "good.test", 443),
                     PORT_CONFIG_ERROR);
    assert_int_equal(inner.vtable->recv(inner.context, out_memory, 1),
                     PORT_CONFIG_ERROR);
    inner.vtable->close(inner.context);
    inner.vtable->close(inner.context);
}

static void nothing_is_left(void **state)
{
    (void)state;
    begin("good.test", server_ports[SERVER_ecdsa], false);
    begun();
    expect("good.test", get(), UNSB_OK, 0);
    rig_close(&g);
    assert_true(port_is_clean());
    assert_true(port_has_session());
    port_wipe();
    assert_false(port_has_session());
    port_wipe();
    /* given up within the handshake */
    begin("good.test", server_ports[SERVER_common], true);
    begun();
    assert_int_equal(get(), BAD);
    rig_close(&g);
    assert_true(port_is_clean());
    assert_false(port_has_session());
}

/* Opens another client over the same transport, which keeps the session. */
static void again(const char *host, unsigned server, bool resumed)
{
    if (g.open)
        unsb_close(&g.client);
    g.config.port = server_ports[server];
    g.config.host = host;
    assert_int_equal(unsb_init(&g.client, &g.config), UNSB_OK);
    g.open = true;
    expect(host, get(), UNSB_OK, 0);
    assert_int_equal(port.tls.resumed, resumed);
}

static void resumption(void **state)
{
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        uint32_t today = unsb_posix_unix_time(NULL);
        begin("a.wild.test", server_ports[SERVER_wild], mode != 0);
        port.config.unix_time = set_time;
        unix_time = today;
        begun();
        again("a.wild.test", SERVER_wild, false);
        again("a.wild.test", SERVER_wild, true);
        again("a.wild.test", SERVER_wild, true);
        /* what was agreed on with another port or by another name is not offered */
        again("b.wild.test", SERVER_wild, false);
        again("b.wild.test", SERVER_wild, true);
        again("good.test", SERVER_ecdsa, false);
        again("good.test", SERVER_ecdsa, true);
        unix_time = today + 86400 + 1;
        again("good.test", SERVER_ecdsa, false);
        again("good.test", SERVER_ecdsa, true);
        port_wipe();
        again("good.test", SERVER_ecdsa, false);
        rig_close(&g);
        begin("good.test", server_ports[SERVER_ecdsa], mode != 0);
        port.config.no_resumption = true;
        begun();
        again("good.test", SERVER_ecdsa, false);
        again("good.test", SERVER_ecdsa, false);
        rig_close(&g);
        assert_false(port_has_session());
    }
}

/* One that the server does not know: it was started anew. */
static void sessions_that_do_not_hold(void **state)
{
    unsigned mode, round;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        static const bool resumed[] = {false, true, false, true};
        service first = {0, 0}, second = {0, 0};
        static proxy x;
        service_start(&first, 1, NULL);
        service_start(&second, 1, NULL);
        proxy_start(&x, first.port);
        begin("localhost", x.peer.port, mode != 0);
        port_trust(pki("ca.pem"));
        begun();
        for (round = 0; round < COUNT(resumed); round++) {
            expect("localhost", get(), UNSB_OK, 0);
            assert_int_equal(port.tls.resumed, resumed[round]);
            unsb_close(&g.client);
            g.open = false;
            peer_settle(&x.peer);
            if (round == 1)
                x.target = second.port;
            assert_int_equal(unsb_init(&g.client, &g.config), UNSB_OK);
            g.open = true;
        }
        rig_close(&g);
        proxy_stop(&x);
        service_stop(&first);
        service_stop(&second);
    }
}

/* ======================================================================
 * >>main
 * ====================================================================== */

static int start(void **state)
{
    char folder[600];
    const char *argv[] = {"sh", "suites/tls_certificates.sh", folder, NULL};

    (void)state;
    (void)snprintf(folder, sizeof folder, "%s", scratch("tls"));
    if (mkdir(folder, 0700) != 0 || run(argv, -1) != 0) {
        show_log();
        fail_msg("no certificates");
    }
    x509_make_cases();
    servers_start();
    service_start(&sandbox, 1, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    service_stop(&servers);
    service_stop(&sandbox);
    port_trust(NULL);
    return 0;
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(accepted),
                                       TEST(wrong_names),
                                       TEST(ipv6),
                                       TEST(hosts_that_are_none),
                                       TEST(wrong_chains),
                                       TEST(dates),
                                       TEST(pins),
                                       TEST(chains),
                                       TEST(old_and_weak_servers),
                                       TEST(choices_not_offered),
                                       TEST(offers),
                                       TEST(other_servers),
                                       TEST(stalled_handshakes),
                                       TEST(odd_records),
                                       TEST(ends_of_the_stream),
                                       TEST(large_transfers),
                                       TEST(damaged_streams),
#if !PORT_OWN_ENTROPY
                                       TEST(entropy),
#endif
                                       TEST(inner_transports),
                                       TEST(nothing_is_left),
                                       PORT_TESTS TEST(resumption),
                                       TEST(sessions_that_do_not_hold)};

    return cmocka_run_group_tests_name(PORT_NAME, tests, start, stop);
}

#endif
