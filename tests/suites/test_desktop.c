/* The desktop layer: where keys and address are from, what is told of each fault, several at once.
 * UNSB_TEST_PKI names a directory with ca.pem; UNSB_DESKTOP_ services are told by
 * tests/examples/services.sh; examples.sh builds this suite with each TLS library. */
#include "suite.h"
#include "unsandbox_desktop.h"
#include <sys/stat.h>
#include <unistd.h>

static unsb_desktop d;
static char why[UNSB_DESKTOP_TEXT], home[64];

static const char *const variables[] = {
    "UNSANDBOX_PUBLIC_KEY", "UNSANDBOX_SECRET_KEY", "UNSANDBOX_API_KEY", "UNSANDBOX_ACCOUNT",
    "UNSANDBOX_URL",        "https_proxy",          "HTTPS_PROXY",       "all_proxy",
    "ALL_PROXY",            "no_proxy",             "NO_PROXY",          "SSL_CERT_DIR"};

/* Each test starts with an empty environment and home, and the test's own authority. */
static int fresh(void **state)
{
    const char *pki = getenv("UNSB_TEST_PKI");
    char path[512];
    size_t i;

    (void)state;
    assert_non_null(pki);
    for (i = 0; i < COUNT(variables); i++)
        unsetenv(variables[i]);
    (void)snprintf(path, sizeof path, "%s/ca.pem", pki);
    setenv("SSL_CERT_FILE", path, 1);
    (void)snprintf(home, sizeof home, "/tmp/unsb_desktop.XXXXXX");
    assert_non_null(mkdtemp(home));
    setenv("HOME", home, 1);
    memset(&d, 0, sizeof d);
    return 0;
}

static void accounts(const char *text)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/.unsandbox", home);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/.unsandbox/accounts.csv", home);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static int clean(void **state)
{
    char path[128];

    (void)state;
    unsb_desktop_close(&d);
    (void)snprintf(path, sizeof path, "%s/.unsandbox/accounts.csv", home);
    (void)remove(path);
    (void)snprintf(path, sizeof path, "%s/.unsandbox", home);
    (void)remove(path);
    (void)remove(home);
    return 0;
}

static const char *explained(int rc)
{
    return unsb_desktop_explain(&d, rc, NULL, why, sizeof why);
}

static void says(int rc, const char *part)
{
    if (strstr(explained(rc), part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, why);
}

static void keys_are(const unsb_desktop_options *options, const char *key, const char *secret)
{
    int rc = unsb_desktop_open(&d, options);

    if (rc != UNSB_OK)
        fail_msg("%s", explained(rc));
    assert_string_equal(d.public_key, key);
    assert_string_equal(d.secret_key, secret);
    unsb_desktop_close(&d);
}

static void refused(const unsb_desktop_options *options, int want, const char *part)
{
    int rc = unsb_desktop_open(&d, options);

    assert_int_equal(rc, want);
    says(rc, part);
    unsb_desktop_close(&d);
}

/* ---- credentials ---- */

static void keys_in_their_order(void **state)
{
    unsb_desktop_options options = {.public_key = "unsb-pk-own", .secret_key = "unsb-sk-own"};
    unsb_desktop_options account = {.account = "1"};

    (void)state;
    refused(NULL, UNSB_E_DESKTOP_KEYS, "there are no keys: set both");
    setenv("UNSANDBOX_API_KEY", "unsb-sk-bearer", 1);
    keys_are(NULL, "unsb-sk-bearer", "");
    accounts("unsb-pk-0,unsb-sk-0\nunsb-pk-1,unsb-sk-1\n");
    keys_are(NULL, "unsb-pk-0", "unsb-sk-0");
    setenv("UNSANDBOX_ACCOUNT", "1", 1);
    keys_are(NULL, "unsb-pk-1", "unsb-sk-1");
    setenv("UNSANDBOX_ACCOUNT", "", 1);
    keys_are(NULL, "unsb-pk-0", "unsb-sk-0");
    setenv("UNSANDBOX_PUBLIC_KEY", "unsb-pk-env", 1);
    keys_are(NULL, "unsb-pk-0", "unsb-sk-0"); /* half a pair is none */
    setenv("UNSANDBOX_SECRET_KEY", "unsb-sk-env", 1);
    keys_are(NULL, "unsb-pk-env", "unsb-sk-env");
    keys_are(&account, "unsb-pk-1", "unsb-sk-1");
    keys_are(&options, "unsb-pk-own", "unsb-sk-own");
    options.account = "1";
    keys_are(&options, "unsb-pk-own", "unsb-sk-own");
    options.secret_key = NULL;
    keys_are(&options, "unsb-pk-own", "");
}

static void missing_halves_are_named(void **state)
{
    unsb_desktop_options options = {.secret_key = "unsb-sk-own"};

    (void)state;
    setenv("UNSANDBOX_PUBLIC_KEY", "unsb-pk-env", 1);
    refused(NULL, UNSB_E_DESKTOP_KEYS, "UNSANDBOX_SECRET_KEY is not set");
    unsetenv("UNSANDBOX_PUBLIC_KEY");
    setenv("UNSANDBOX_SECRET_KEY", "unsb-sk-hidden", 1);
    refused(NULL, UNSB_E_DESKTOP_KEYS, "UNSANDBOX_PUBLIC_KEY is not set");
    assert_null(strstr(why, "hidden"));
    refused(&options, UNSB_E_DESKTOP_KEYS, "without its public key");
}

static void accounts_as_people_write_them(void **state)
{
    char text[4096];

    (void)state;
    accounts("\xEF\xBB\xBFpublic_key,secret_key\r\n\r\n# unsb-pk-no,unsb-sk-no\r\n"
             "rubbish\r\n,\r\n\"\r\nunsb-pk-half,\r\n,unsb-sk-half\r\nunsb-sk-x,unsb-pk-x\r\n"
             " \"unsb-pk-a\" , \"unsb-sk-a\" \r\nunsb-pk-b,unsb-sk-b,a note\nunsb-pk-c,unsb-sk-c");
    keys_are(NULL, "unsb-pk-a", "unsb-sk-a");
    setenv("UNSANDBOX_ACCOUNT", "1", 1);
    keys_are(NULL, "unsb-pk-b", "unsb-sk-b");
    setenv("UNSANDBOX_ACCOUNT", "2", 1);
    keys_are(NULL, "unsb-pk-c", "unsb-sk-c"); /* no line end */
    setenv("UNSANDBOX_ACCOUNT", "3", 1);
    refused(NULL, UNSB_E_DESKTOP_KEYS, "has 3 pairs of keys, counted from 0");
    /* a line that is too long, whose rest looks like a pair */
    memset(text, 'x', sizeof text);
    (void)snprintf(text + 1023, sizeof text - 1023, "unsb-pk-no,unsb-sk-no\nunsb-pk-d,unsb-sk-d\n");
    accounts(text);
    setenv("UNSANDBOX_ACCOUNT", "0", 1);
    keys_are(NULL, "unsb-pk-d", "unsb-sk-d");
    memset(text, 'y', 400);
    memcpy(text, "unsb-pk-", 8);
    (void)snprintf(text + 400, sizeof text - 400, ",unsb-sk-e\n");
    accounts(text);
    refused(NULL, UNSB_E_DESKTOP_KEYS, "longer than 255");
}

static void accounts_that_are_not_there(void **state)
{
    static const char *const wrong[] = {"-1", "one", "1x", " 1"};
    size_t i;

    (void)state;
    setenv("UNSANDBOX_API_KEY", "unsb-sk-bearer", 1);
    setenv("UNSANDBOX_ACCOUNT", "0", 1);
    refused(NULL, UNSB_E_DESKTOP_KEYS, "accounts.csv cannot be read");
    accounts("unsb-pk-0,unsb-sk-0\n");
    for (i = 0; i < COUNT(wrong); i++) {
        setenv("UNSANDBOX_ACCOUNT", wrong[i], 1);
        refused(NULL, UNSB_E_DESKTOP_KEYS, "the number of a pair");
    }
    unsetenv("UNSANDBOX_ACCOUNT");
    accounts("");
    keys_are(NULL, "unsb-sk-bearer", "");
    unsetenv("HOME");
    keys_are(NULL, "unsb-sk-bearer", "");
}

/* A link to itself cannot be read even by root. */
static void accounts_that_cannot_be_read(void **state)
{
    char path[128];

    (void)state;
    accounts("");
    (void)snprintf(path, sizeof path, "%s/.unsandbox/accounts.csv", home);
    assert_int_equal(remove(path), 0);
    assert_int_equal(symlink("accounts.csv", path), 0);
    refused(NULL, UNSB_E_DESKTOP_KEYS, "accounts.csv cannot be read: ");
    setenv("UNSANDBOX_API_KEY", "unsb-sk-bearer", 1);
    keys_are(NULL, "unsb-sk-bearer", "");
    setenv("UNSANDBOX_API_KEY", "unsb-sk-bearer\n", 1);
    refused(NULL, UNSB_E_HEADER_BYTE, "which are from UNSANDBOX_API_KEY");
    assert_null(strstr(why, "accounts.csv"));
}

static void keys_that_cannot_be_sent(void **state)
{
    (void)state;
    setenv("UNSANDBOX_API_KEY", "unsb-sk-bearer\r\n", 1);
    refused(NULL, UNSB_E_HEADER_BYTE, "blanks or line ends in the keys, which are from "
                                      "UNSANDBOX_API_KEY");
    assert_null(strstr(why, "bearer"));
}

/* ---- the address ---- */

static void addresses(void **state)
{
    static const struct {
        const char *url, *fault;
    } cases[] = {{"api.unsandbox.com", "no scheme"},
                 {"HTTPS://localhost/v1", "without a path"},
                 {"ftp://localhost", "must be https"},
                 {"https://", "no host"},
                 {"https://:443", "no host"},
                 {"https://localhost/v1", "without a path"},
                 {"https://localhost?x", "without a path"},
                 {"https://user:word@localhost", "user or password"},
                 {"https://localhost:", "port must be a number"},
                 {"https://localhost:0", "port must be a number"},
                 {"https://localhost:65536", "port must be a number"},
                 {"https://localhost:https", "port must be a number"},
                 {"https://::1", "no host"},
                 {"https://fe80::1", "in brackets"},
                 {"https://[::1", "closing bracket"},
                 {"https://local host", "character"},
                 {"https://[::1]x", "character"},
                 {"https://[!]", "character"},
                 {"https://a~b", "character"},
                 {"https://local host/", "character"},
                 {"http://128.0.0.1", "this machine alone"},
                 {"http://127.0.0.1234", "this machine alone"},
                 {"http://api.unsandbox.com", "this machine alone"}};
    char url[400];
    size_t i;

    (void)state;
    setenv("UNSANDBOX_API_KEY", "unsb-sk-bearer", 1);
    for (i = 0; i < COUNT(cases); i++) {
        setenv("UNSANDBOX_URL", cases[i].url, 1);
        refused(NULL, UNSB_E_DESKTOP_URL, cases[i].fault);
        assert_non_null(strstr(why, "UNSANDBOX_URL: "));
        assert_null(strstr(why, "word@"));
    }
    memset(url, 'a', sizeof url);
    memcpy(url, "https://", 8);
    url[sizeof url - 1] = '\0';
    {
        unsb_desktop_options options = {.url = url};
        refused(&options, UNSB_E_DESKTOP_URL, "the url given: its host is too long");
    }
}

static void addresses_that_are_good(void **state)
{
    static const struct {
        const char *url, *host;
        uint16_t port;
        bool tls;
    } cases[] = {{"", "api.unsandbox.com", 443, true},
                 {"https://localhost:8443/", "localhost", 8443, true},
                 {"https://[::1]:1", "::1", 1, true},
                 {"http://127.0.0.1:65535", "127.0.0.1", 65535, false}};
    size_t i;

    (void)state;
    setenv("UNSANDBOX_API_KEY", "unsb-sk-bearer", 1);
    for (i = 0; i < COUNT(cases); i++) {
        setenv("UNSANDBOX_URL", cases[i].url, 1);
        assert_int_equal(unsb_desktop_open(&d, NULL), UNSB_OK);
        assert_string_equal(d.host, cases[i].host);
        assert_int_equal(d.port, cases[i].port);
        assert_int_equal(d.is_tls, cases[i].tls);
        unsb_desktop_close(&d);
    }
}

static void trust_and_proxies_that_cannot_be_used(void **state)
{
    char path[128];

    (void)state;
    setenv("UNSANDBOX_API_KEY", "unsb-sk-bearer", 1);
    setenv("SSL_CERT_FILE", "/nonexistent/ca.pem", 1);
    refused(NULL, UNSB_E_TRUST, "SSL_CERT_FILE, /nonexistent/ca.pem: No such file");
    accounts("no certificate\n");
    (void)snprintf(path, sizeof path, "%s/.unsandbox/accounts.csv", home);
    setenv("SSL_CERT_FILE", path, 1);
    refused(NULL, UNSB_E_TRUST, "no certificate in it can be used");
    setenv("HTTPS_PROXY", "socks5://localhost", 1);
    refused(NULL, UNSB_E_PROXY_SCHEME, "http:// proxies alone");
    setenv("HTTPS_PROXY", "http://user:secret@:x", 1);
    refused(NULL, UNSB_E_PROXY_CONFIG, "HTTPS_PROXY");
    assert_null(strstr(why, "secret"));
}

/* ---- calls ---- */

/* Runs a program at the service that a variable of examples.sh names. */
static int run(const char *variable, const unsb_desktop_options *options, unsb_result *result)
{
    static char text[64];
    unsb_program program = {.language = "python", .code = unsb_text("print(6 * 7)")};
    int rc;

    if (variable != NULL) {
        assert_non_null(getenv(variable));
        setenv("UNSANDBOX_URL", getenv(variable), 1);
    }
    if (getenv("UNSANDBOX_API_KEY") == NULL) {
        setenv("UNSANDBOX_PUBLIC_KEY", "unsb-pk-demo0-vault-unlck-12345", 0);
        setenv("UNSANDBOX_SECRET_KEY", "unsb-sk-demo0-vault-unlck-12345", 0);
    }
    memset(result, 0, sizeof *result);
    result->out = unsb_into(text, sizeof text);
    rc = unsb_desktop_open(&d, options);
    if (rc == UNSB_OK)
        rc = unsb_execute(&d.client, &program, result);
    while (rc == UNSB_PENDING) {
        (void)unsb_desktop_wait(&d, 1000);
        rc = unsb_poll(&d.client);
    }
    if (rc == UNSB_OK)
        assert_string_equal(text, "42\n");
    (void)unsb_desktop_explain(&d, rc, result, why, sizeof why);
    return rc;
}

static void told(const char *part)
{
    if (strstr(why, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, why);
}

static void a_program_runs(void **state)
{
    unsb_desktop_options options = {.nonblocking = true, .total_timeout_ms = 60000};
    unsb_result result;

    (void)state;
    assert_int_equal(run("UNSB_DESKTOP_TLS", NULL, &result), UNSB_OK);
    told("it succeeded");
    unsb_desktop_close(&d);
    assert_int_equal(run("UNSB_DESKTOP_TLS", &options, &result), UNSB_OK);
    unsb_desktop_close(&d);
    assert_int_equal(run("UNSB_DESKTOP_PLAIN", &options, &result), UNSB_OK);
}

static void faults_of_certificates_are_told_apart(void **state)
{
    unsb_result result;

    (void)state;
    assert_int_equal(run("UNSB_DESKTOP_EXPIRED", NULL, &result), UNSB_E_CERTIFICATE);
    told("out of its dates");
    unsb_desktop_close(&d);
    assert_int_equal(run("UNSB_DESKTOP_OTHER", NULL, &result), UNSB_E_CERTIFICATE);
    told("for another name");
    unsb_desktop_close(&d);
    assert_int_equal(run("UNSB_DESKTOP_UNKNOWN", NULL, &result), UNSB_E_CERTIFICATE);
    told("unknown authority");
}

static void services_that_are_not_there(void **state)
{
    unsb_result result;

    (void)state;
    assert_int_equal(run("UNSB_DESKTOP_STOPPED", NULL, &result), UNSB_E_CONNECT);
    told("look whether the service runs there");
    unsb_desktop_close(&d);
    setenv("UNSANDBOX_URL", "https://nowhere.invalid", 1);
    assert_int_equal(run(NULL, NULL, &result), UNSB_E_RESOLVE);
    told("https://nowhere.invalid:443: ");
}

static void keys_that_are_wrong(void **state)
{
    unsb_result result;

    (void)state;
    setenv("UNSANDBOX_SECRET_KEY", "unsb-sk-wrong-hidden", 1);
    assert_int_equal(run("UNSB_DESKTOP_TLS", NULL, &result), UNSB_E_UNAUTHORIZED);
    told("which are from UNSANDBOX_PUBLIC_KEY and _SECRET_KEY");
    assert_null(strstr(why, "hidden"));
}

static void programs_that_fail(void **state)
{
    unsb_result result;

    (void)state;
    memset(&result, 0, sizeof result);
    result.given = UNSB_GIVEN_EXIT_CODE;
    result.exit_code = 3;
    (void)unsb_desktop_explain(&d, UNSB_OK, &result, why, sizeof why);
    told("failed with exit code 3");
    result.status = UNSB_STATUS_TIMEOUT;
    (void)unsb_desktop_explain(&d, UNSB_OK, &result, why, sizeof why);
    told("exceeded its ttl");
}

static void a_proxy_is_asked(void **state)
{
    unsb_result result;
    char proxy[64];

    (void)state;
    assert_non_null(getenv("UNSB_DESKTOP_STOPPED"));
    (void)snprintf(proxy, sizeof proxy, "http://localhost%s",
                   strrchr(getenv("UNSB_DESKTOP_STOPPED"), ':'));
    setenv("HTTPS_PROXY", proxy, 1);
    assert_int_equal(run("UNSB_DESKTOP_TLS", NULL, &result), UNSB_E_CONNECT);
    unsb_desktop_close(&d);
    setenv("NO_PROXY", "localhost", 1);
    assert_int_equal(run("UNSB_DESKTOP_TLS", NULL, &result), UNSB_OK);
    unsb_desktop_close(&d);
    unsetenv("NO_PROXY");
    assert_non_null(getenv("UNSB_DESKTOP_PROXY"));
    setenv("HTTPS_PROXY", getenv("UNSB_DESKTOP_PROXY"), 1);
    assert_int_equal(run("UNSB_DESKTOP_TLS", NULL, &result), UNSB_OK);
    assert_int_equal(d.proxy.status, 200);
}

static void several_at_once(void **state)
{
    static unsb_desktop all[3];
    static char texts[3][16];
    unsb_desktop_options options = {.nonblocking = true};
    unsb_program program = {.language = "python", .code = unsb_text("print(6 * 7)")};
    unsb_result results[3];
    int rcs[3], i, turns, pending = 3;

    (void)state;
    setenv("UNSANDBOX_URL", getenv("UNSB_DESKTOP_TLS"), 1);
    setenv("UNSANDBOX_PUBLIC_KEY", "unsb-pk-demo0-vault-unlck-12345", 1);
    setenv("UNSANDBOX_SECRET_KEY", "unsb-sk-demo0-vault-unlck-12345", 1);
    memset(results, 0, sizeof results);
    for (i = 0; i < 3; i++) {
        assert_int_equal(unsb_desktop_open(&all[i], &options), UNSB_OK);
        results[i].out = unsb_into(texts[i], sizeof texts[i]);
        rcs[i] = unsb_execute(&all[i].client, &program, &results[i]);
        assert_int_equal(rcs[i], UNSB_PENDING);
    }
    for (turns = 0; pending != 0 && turns < 100000; turns++)
        for (pending = i = 0; i < 3; i++) {
            if (rcs[i] == UNSB_PENDING) {
                (void)unsb_desktop_wait(&all[i], 10);
                rcs[i] = unsb_poll(&all[i].client);
            }
            pending += rcs[i] == UNSB_PENDING;
        }
    for (i = 0; i < 3; i++) {
        assert_int_equal(rcs[i], UNSB_OK);
        assert_string_equal(texts[i], "42\n");
        unsb_desktop_close(&all[i]);
    }
}

static void closing_wipes_and_may_be_repeated(void **state)
{
    static unsb_desktop zero;
    unsb_desktop_options options = {.public_key = "unsb-pk-own", .secret_key = "unsb-sk-own"};

    (void)state;
    unsb_desktop_close(&d);
    assert_int_equal(unsb_desktop_open(&d, &options), UNSB_OK);
    unsb_desktop_close(&d);
    assert_memory_equal(&d, &zero, sizeof d);
    unsb_desktop_close(&d);
    refused(NULL, UNSB_E_DESKTOP_KEYS, "no keys");
    assert_memory_equal(&d, &zero, sizeof d);
}

static void texts_are_cut_and_clean(void **state)
{
    unsb_result result;
    char small[8];

    (void)state;
    memset(&result, 0, sizeof result);
    memset(small, 'x', sizeof small);
    (void)unsb_desktop_explain(&d, UNSB_E_TIMEOUT, NULL, small, sizeof small);
    assert_int_equal(strlen(small), 7);
    (void)unsb_desktop_explain(&d, UNSB_E_TIMEOUT, NULL, small, 1);
    assert_string_equal(small, "");
    result.http_status = 500;
    memcpy(result.message, "a\033[31mb\r\n", 10);
    (void)unsb_desktop_explain(&d, UNSB_E_SERVER, &result, why, sizeof why);
    told(": a [31mb");
    assert_null(strpbrk(why, "\033\r\n"));
    says(-1234, "error -1234");
}

/* Every code, with every fault that a TLS library may tell of a certificate, before a connection and
 * after, for names and IPv6 addresses: words, none of them cut. */
static void all_codes_are_explained(void **state)
{
    static const int faults[] = {
        0,
#if UNSB_DESKTOP_TLS_OPENSSL
        X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_IP_ADDRESS_MISMATCH,
        X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
        X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
        X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
        X509_V_ERR_INVALID_PURPOSE, UNSB_OPENSSL_CUT
#elif UNSB_DESKTOP_TLS_MBEDTLS
        MBEDTLS_X509_BADCERT_FUTURE, MBEDTLS_X509_BADCERT_EXPIRED, MBEDTLS_X509_BADCERT_CN_MISMATCH,
        MBEDTLS_X509_BADCERT_NOT_TRUSTED, MBEDTLS_X509_BADCERT_OTHER,
        MBEDTLS_ERR_X509_INVALID_FORMAT, MBEDTLS_ERR_SSL_CONN_EOF
#else
        UNSB_BEARSSL_NOT_YET_VALID, BR_ERR_X509_EXPIRED, BR_ERR_X509_BAD_SERVER_NAME,
        BR_ERR_X509_NOT_TRUSTED, BR_ERR_X509_WEAK_PUBLIC_KEY, BR_ERR_IO
#endif
    };
    static const char *const hosts[] = {"https://localhost:1", "https://[::1]:1",
                                        "http://localhost:1", "http://[::1]:1"};
    unsb_result results[2];
    size_t host, i;
    int rc, told_result;

    (void)state;
    memset(results, 0, sizeof results);
    results[1].http_status = 401;
    (void)strcpy(results[1].error, "an error");
    for (host = 0; host <= COUNT(hosts); host++) {
        if (host < COUNT(hosts)) {
            unsb_desktop_options options = {.url = hosts[host], .public_key = "k"};
            assert_int_equal(unsb_desktop_open(&d, &options), UNSB_OK);
        }
        for (i = 0; i < COUNT(faults); i++) {
            d.tls.error = faults[i];
            for (rc = -1; rc > UNSB_E_USER - 50; rc -= rc == -100 ? -UNSB_E_USER - 110 : 1) {
                for (told_result = 0; told_result < 3; told_result++) {
                    d.tcp.error = told_result == 1 ? ECONNREFUSED : 0;
                    assert_ptr_equal(unsb_desktop_explain(
                        &d, rc, told_result == 0 ? NULL : &results[told_result - 1], why,
                        sizeof why), why);
                    if (rc != UNSB_E_DESKTOP_URL && rc != UNSB_E_DESKTOP_KEYS)
                        assert_in_range(strlen(why), 5, sizeof why - 2);
                }
            }
        }
        unsb_desktop_close(&d); /* at last, of one that was never opened */
    }
}

static void ends_are_explained(void **state)
{
    unsb_result result;

    (void)state;
    says(UNSB_OK, "it succeeded");
    memset(&result, 0, sizeof result);
    (void)unsb_desktop_explain(&d, UNSB_OK, &result, why, sizeof why);
    told("did not succeed");
    result.status = UNSB_STATUS_CANCELLED;
    (void)unsb_desktop_explain(&d, UNSB_OK, &result, why, sizeof why);
    told("cancelled");
    result.status = UNSB_STATUS_TIMEOUT;
    (void)unsb_desktop_explain(&d, UNSB_OK, &result, why, sizeof why);
    told("ttl");
    result.http_status = 500;
    (void)strcpy(result.message, "a\x7f" "b");
    (void)unsb_desktop_explain(&d, UNSB_E_SERVER, &result, why, sizeof why);
    told(": a b");
}

/* What people have in their homes, and none at all. */
static void odd_homes(void **state)
{
    static char longest[2000];
    char path[128];
    FILE *file;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/.unsandbox", home);
    file = fopen(path, "wb"); /* a file where a folder should be */
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    refused(NULL, UNSB_E_DESKTOP_KEYS, "there are no keys");
    assert_null(strstr(why, "cannot be read"));
    (void)remove(path);
    memset(longest, 'h', sizeof longest - 1);
    setenv("HOME", longest, 1);
    refused(NULL, UNSB_E_DESKTOP_KEYS, "there are no keys");
    setenv("HOME", home, 1);
    accounts("\"unsb-pk-0,unsb-sk-0\n");
    refused(NULL, UNSB_E_DESKTOP_KEYS, "there are no keys"); /* a quote that does not end */
    setenv("UNSANDBOX_PUBLIC_KEY", "unsb-pk-0", 1);
    setenv("UNSANDBOX_SECRET_KEY", longest, 1);
    refused(NULL, UNSB_E_DESKTOP_KEYS, "");
    unsetenv("UNSANDBOX_PUBLIC_KEY");
    unsetenv("UNSANDBOX_SECRET_KEY");
    {
        unsb_desktop_options options = {.public_key = ""};
        refused(&options, UNSB_E_DESKTOP_KEYS, "");
    }
}

static void output_is_written(void **state)
{
    FILE *file = fopen("/dev/full", "wb");

    (void)state;
    if (file != NULL) {
        assert_int_equal(unsb_desktop_write(file, "", 0), UNSB_OK);
        assert_int_equal(unsb_desktop_write(file, "a", 1), UNSB_E_SINK);
        (void)fclose(file);
    }
    file = tmpfile();
    assert_non_null(file);
    assert_int_equal(unsb_desktop_write(file, "ab", 2), UNSB_OK);
    assert_int_equal(ftell(file), 2);
    (void)fclose(file);
    file = fopen("/dev/null", "rb"); /* which cannot be written */
    assert_non_null(file);
    assert_int_equal(unsb_desktop_write(file, "ab", 2), UNSB_E_SINK);
    (void)fclose(file);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fresh, clean)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(keys_in_their_order),
        CASE(missing_halves_are_named),
        CASE(accounts_as_people_write_them),
        CASE(accounts_that_are_not_there),
        CASE(accounts_that_cannot_be_read),
        CASE(keys_that_cannot_be_sent),
        CASE(addresses),
        CASE(addresses_that_are_good),
        CASE(trust_and_proxies_that_cannot_be_used),
        CASE(a_program_runs),
        CASE(faults_of_certificates_are_told_apart),
        CASE(services_that_are_not_there),
        CASE(keys_that_are_wrong),
        CASE(programs_that_fail),
        CASE(a_proxy_is_asked),
        CASE(several_at_once),
        CASE(closing_wipes_and_may_be_repeated),
        CASE(texts_are_cut_and_clean),
        CASE(all_codes_are_explained),
        CASE(ends_are_explained),
        CASE(odd_homes),
        CASE(output_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
