/* The Schannel port over a scripted SSPI, which does what Microsoft documents of Windows' and
 * Wine's does not: TLS 1.3 with messages after the handshake, credentials of the newer kind, alerts
 * to send, close_notify. The wire is memory. UNSB_TLS_DIR has the certificates. */
#include <winsock2.h>
#include <windows.h>
#include <wincrypt.h>
#define SECURITY_WIN32 1
#include <sspi.h>
#include <schannel.h>

#include "suite.h"

/* ======================================================================
 * >>wire
 * ====================================================================== */

static struct {
    uint8_t to[70000], from[70000]; /* to the port, and from it */
    size_t to_size, to_at, from_size;
    size_t most;  /* bytes a call; 0: all */
    bool blocked; /* send takes nothing */
    bool ended;
    unsigned closed, dropped;
} wire;

static int wire_connect(void *context, const char *host, uint16_t port)
{
    (void)context;
    (void)host;
    (void)port;
    return UNSB_OK;
}

static int wire_send(void *context, const void *data, size_t size)
{
    (void)context;
    size = wire.most != 0 && size > wire.most ? wire.most : size;
    if (wire.blocked)
        return 0;
    assert_true(size <= sizeof wire.from - wire.from_size);
    memcpy(wire.from + wire.from_size, data, size);
    wire.from_size += size;
    return (int)size;
}

static int wire_recv(void *context, void *data, size_t size)
{
    size_t left = wire.to_size - wire.to_at;

    (void)context;
    size = wire.most != 0 && size > wire.most ? wire.most : size;
    size = size < left ? size : left;
    if (size == 0)
        return wire.ended ? UNSB_E_CLOSED : 0;
    memcpy(data, wire.to + wire.to_at, size);
    wire.to_at += size;
    return (int)size;
}

static void wire_close(void *context)
{
    (void)context;
    wire.closed++;
}

static void wire_drop(void *context)
{
    (void)context;
    wire.dropped++;
}

static int wire_wait(void *context, int interest, uint32_t timeout_ms)
{
    (void)context;
    (void)interest;
    (void)timeout_ms;
    return UNSB_OK;
}

static const unsb_transport_class wire_class = {wire_connect, wire_send, wire_recv, wire_close,
                                                wire_wait,    NULL,      wire_drop};

/* A record to the port. */
static void give(uint8_t type, const char *body)
{
    size_t size = strlen(body);
    uint8_t *p = wire.to + wire.to_size;

    p[0] = type;
    p[1] = p[2] = 3;
    p[3] = (uint8_t)(size >> 8);
    p[4] = (uint8_t)(size & 0xFF);
    memcpy(p + 5, body, size);
    wire.to_size += 5 + size;
}

static bool sent(const char *text)
{
    bool same = wire.from_size == strlen(text) && memcmp(wire.from, text, wire.from_size) == 0;

    wire.from_size = 0;
    return same;
}

/* ======================================================================
 * >>sspi  Records whose first letter says what they are
 *
 * Of the handshake: N: go on, with a token of the rest; F: the last one, likewise; A: ask again
 * without a certificate; E: an error, with the rest as an alert. Of the rest: D: data; T: a message
 * after the handshake, answered with the rest; C: close_notify; X: it does not decrypt.
 * ====================================================================== */

static struct {
    bool has_modern;
    DWORD versions[4], protocols;
    unsigned acquired, freed, contexts, tokens, asked, steps;
    bool shutdown;
    DWORD protocol, suite, session;
    PCCERT_CONTEXT certificate;
} sspi;

static SECURITY_STATUS fake_acquire(const WCHAR *package, const void *data, CredHandle *handle)
{
    const SCHANNEL_CRED *older = (const SCHANNEL_CRED *)data;

    assert_int_equal(wcscmp(package, UNISP_NAME_W), 0);
    sspi.versions[sspi.acquired++ % 4] = older->dwVersion;
    if (older->dwVersion == 5) {
        /* the layout of SCH_CREDENTIALS, from its end */
        const struct {
            DWORD version, format, count;
            void *certificates, *store;
            DWORD mappers;
            void *mapper;
            DWORD lifespan, flags, parameters;
            const struct {
                DWORD alpn_count;
                void *alpn;
                DWORD disabled;
            } *list;
        } *modern = data;
        assert_int_equal(modern->parameters, 1);
        assert_true((modern->flags & SCH_CRED_MANUAL_CRED_VALIDATION) != 0);
        sspi.protocols = ~modern->list->disabled;
        if (!sspi.has_modern)
            return SEC_E_UNKNOWN_CREDENTIALS;
    } else {
        assert_true((older->dwFlags & SCH_CRED_MANUAL_CRED_VALIDATION) != 0);
        sspi.protocols = older->grbitEnabledProtocols;
    }
    handle->dwLower = 1;
    return SEC_E_OK;
}

/* SSPI's memory, freed by fake_free(). */
static void fake_token(SecBuffer *buffer, const char *text, size_t size)
{
    if (size == 0)
        return;
    buffer->pvBuffer = malloc(size);
    assert_non_null(buffer->pvBuffer);
    memcpy(buffer->pvBuffer, text, size);
    buffer->cbBuffer = (unsigned long)size;
    sspi.tokens++;
}

static SECURITY_STATUS fake_free(void *token)
{
    free(token);
    sspi.tokens--;
    return SEC_E_OK;
}

static size_t fake_record(const uint8_t *p, size_t size)
{
    size_t need = size < 5 ? 5 : 5 + ((size_t)p[3] << 8) + p[4];

    return need <= size ? need : 0;
}

static SECURITY_STATUS fake_step(CtxtHandle *old, unsigned long flags, SecBufferDesc *input,
                                 CtxtHandle *made, SecBufferDesc *output, unsigned long *got)
{
    SecBuffer *in, *out = output->pBuffers;
    const char *text;
    size_t size;

    assert_int_equal(out[0].BufferType, SECBUFFER_TOKEN);
    assert_true((flags & ISC_REQ_ALLOCATE_MEMORY) != 0 && (flags & ISC_REQ_STREAM) != 0 &&
                (flags & ISC_REQ_MANUAL_CRED_VALIDATION) != 0);
    *got = flags;
    sspi.steps++;
    if (sspi.shutdown) {
        assert_null(input);
        fake_token(&out[0], "bye", 3);
        return SEC_E_OK;
    }
    if (old == NULL) {
        assert_null(input);
        made->dwLower = 2;
        sspi.contexts++;
        fake_token(&out[0], "hello", 5);
        return SEC_I_CONTINUE_NEEDED;
    }
    in = input->pBuffers;
    size = fake_record((const uint8_t *)in[0].pvBuffer, in[0].cbBuffer);
    if (size == 0) {
        in[1].BufferType = SECBUFFER_MISSING;
        return SEC_E_INCOMPLETE_MESSAGE;
    }
    text = (const char *)in[0].pvBuffer + 5;
    if (text[0] == 'A' && sspi.asked++ == 0)
        return SEC_I_INCOMPLETE_CREDENTIALS;
    if (in[0].cbBuffer > size) {
        in[1].BufferType = SECBUFFER_EXTRA;
        in[1].cbBuffer = in[0].cbBuffer - (unsigned long)size;
    }
    if (text[0] == 'E') {
        fake_token(&out[1], text + 1, size - 6);
        return SEC_E_ILLEGAL_MESSAGE;
    }
    fake_token(&out[0], text + 1, size - 6);
    return text[0] == 'N' || text[0] == 'A' ? SEC_I_CONTINUE_NEEDED : SEC_E_OK;
}

static SECURITY_STATUS fake_decrypt(SecBufferDesc *message)
{
    SecBuffer *b = message->pBuffers;
    uint8_t *p = (uint8_t *)b[0].pvBuffer;
    size_t have = b[0].cbBuffer, size = fake_record(p, have);

    assert_true(size != 0);
    assert_int_equal(message->cBuffers, 4);
    if (p[5] == 'X')
        return SEC_E_DECRYPT_FAILURE;
    if (p[5] == 'C')
        return SEC_I_CONTEXT_EXPIRED;
    b[3].BufferType = SECBUFFER_EXTRA;
    if (p[5] == 'T') { /* what the handshake is to see, and all behind it */
        b[3].pvBuffer = p;
        b[3].cbBuffer = (unsigned long)have;
        return SEC_I_RENEGOTIATE;
    }
    b[0].BufferType = SECBUFFER_STREAM_HEADER;
    b[1].BufferType = SECBUFFER_DATA;
    b[1].pvBuffer = p + 6;
    b[1].cbBuffer = (unsigned long)(size - 6);
    b[2].BufferType = SECBUFFER_STREAM_TRAILER;
    b[3].BufferType = have > size ? SECBUFFER_EXTRA : SECBUFFER_EMPTY;
    b[3].cbBuffer = (unsigned long)(have - size);
    return SEC_E_OK;
}

/* "<" and ">" around the data; there was room for more. */
static SECURITY_STATUS fake_encrypt(SecBufferDesc *message)
{
    SecBuffer *b = message->pBuffers;

    assert_int_equal(b[0].cbBuffer, 1);
    assert_int_equal(b[2].cbBuffer, 9);
    *(char *)b[0].pvBuffer = '<';
    *(char *)b[2].pvBuffer = '>';
    b[2].cbBuffer = 1;
    return SEC_E_OK;
}

static SECURITY_STATUS fake_query(unsigned long what, void *result)
{
    SecPkgContext_ConnectionInfo *info = (SecPkgContext_ConnectionInfo *)result;
    SecPkgContext_StreamSizes *sizes = (SecPkgContext_StreamSizes *)result;
    SecPkgContext_SessionInfo *session = (SecPkgContext_SessionInfo *)result;

    switch (what) {
    case SECPKG_ATTR_CONNECTION_INFO:
        memset(info, 0, sizeof *info);
        info->dwProtocol = sspi.protocol;
        return SEC_E_OK;
    case 0x64: /* the cipher: version, protocol, suite */
        assert_int_equal(((DWORD *)result)[0], 1);
        ((DWORD *)result)[2] = sspi.suite;
        return SEC_E_OK;
    case SECPKG_ATTR_STREAM_SIZES:
        memset(sizes, 0, sizeof *sizes);
        sizes->cbHeader = 1;
        sizes->cbTrailer = 9;
        sizes->cbMaximumMessage = 1000;
        return SEC_E_OK;
    case SECPKG_ATTR_SESSION_INFO:
        session->dwFlags = sspi.session;
        return SEC_E_OK;
    case SECPKG_ATTR_REMOTE_CERT_CONTEXT:
        if (sspi.certificate == NULL)
            return SEC_E_NO_CREDENTIALS;
        *(PCCERT_CONTEXT *)result = CertDuplicateCertificateContext(sspi.certificate);
        return SEC_E_OK;
    default:
        return SEC_E_UNSUPPORTED_FUNCTION;
    }
}

static SECURITY_STATUS fake_control(SecBufferDesc *control)
{
    assert_int_equal(*(DWORD *)control->pBuffers[0].pvBuffer, SCHANNEL_SHUTDOWN);
    sspi.shutdown = true;
    return SEC_E_OK;
}

static SECURITY_STATUS fake_count(unsigned *count, int change)
{
    *count += (unsigned)change;
    return SEC_E_OK;
}

#undef AcquireCredentialsHandleW
#undef InitializeSecurityContextW
#undef QueryContextAttributesW
#define AcquireCredentialsHandleW(a, package, c, d, data, e, f, handle, h) \
    fake_acquire(package, data, handle)
#define InitializeSecurityContextW(a, old, b, flags, d, e, input, f, made, output, got, i) \
    fake_step(old, flags, input, made, output, got)
#define DecryptMessage(a, message, b, c) fake_decrypt(message)
#define EncryptMessage(a, b, message, c) fake_encrypt(message)
#define QueryContextAttributesW(a, what, result) fake_query(what, result)
#define ApplyControlToken(a, control) fake_control(control)
#define DeleteSecurityContext(a) fake_count(&sspi.contexts, -1)
#define FreeCredentialsHandle(a) fake_count(&sspi.freed, 1)
#define FreeContextBuffer(a) fake_free(a)
#define GetProcAddress(a, b) NULL /* this is Windows */
#include "unsandbox_schannel.h"

/* ======================================================================
 * >>rig
 * ====================================================================== */

static unsb_schannel tls;
static unsb_transport t;
static uint8_t records[UNSB_SCHANNEL_BUFFER];
static PCCERT_CONTEXT leaf;
static uint8_t pin[32];
static char text[20000];

static void begin(bool modern)
{
    unsb_schannel_config config;

    if (t.vtable != NULL)
        unsb_schannel_wipe(&tls);
    assert_int_equal(sspi.contexts, 0);
    assert_int_equal(sspi.tokens, 0);
    memset(&wire, 0, sizeof wire);
    memset(&sspi, 0, sizeof sspi);
    sspi.has_modern = modern;
    sspi.certificate = leaf;
    sspi.protocol = modern ? 0x2000 : 0x800;
    sspi.suite = modern ? 0x1301 : 0xC02F;
    memset(&config, 0, sizeof config);
    config.inner.vtable = &wire_class;
    config.buffer = records;
    config.buffer_size = sizeof records;
    config.pins = pin;
    config.pin_count = 1;
    config.pins_alone = true;
    t = unsb_schannel_transport(&tls, &config);
}

static int dial(void)
{
    int rc, turns = 0;

    while ((rc = t.vtable->connect(t.context, "good.test", 443)) == UNSB_PENDING)
        if (++turns == 1000)
            fail_msg("it does not connect");
    return rc;
}

/* All that comes, and the code that ends it (0: nothing more for now). */
static int receive(void)
{
    size_t size = 0;
    int rc, turns = 0;

    memset(text, 0, sizeof text);
    do {
        rc = t.vtable->recv(t.context, text + size, 3);
        size += rc > 0 ? (size_t)rc : 0;
    } while (rc > 0 || (rc == 0 && ++turns < 200));
    return rc;
}

static void open_it(bool modern, size_t most)
{
    begin(modern);
    wire.most = most;
    give(22, "Nfirst");
    give(22, "F");
    assert_int_equal(dial(), UNSB_OK);
    assert_true(sent("hellofirst"));
    assert_int_equal(tls.version, modern ? 0x0304 : 0x0303);
}

/* ======================================================================
 * >>tests
 * ====================================================================== */

static void credentials(void **state)
{
    (void)state;
    open_it(true, 0);
    assert_int_equal(sspi.acquired, 1);
    assert_int_equal(sspi.versions[0], 5);
    assert_int_equal(sspi.protocols, 0x2800);
    open_it(false, 0);
    assert_int_equal(sspi.acquired, 2);
    assert_int_equal(sspi.versions[0], 5);
    assert_int_equal(sspi.versions[1], 4);
    assert_int_equal(sspi.protocols, 0x800);
    /* kept for the next connection, so that Schannel can resume */
    t.vtable->close(t.context);
    wire.to_at = wire.from_size = 0;
    sspi.shutdown = false;
    sspi.session = SSL_SESSION_RECONNECT;
    assert_int_equal(dial(), UNSB_OK);
    assert_true(tls.resumed);
    assert_int_equal(sspi.acquired, 2);
    assert_int_equal(sspi.freed, 0);
    unsb_schannel_wipe(&tls);
    assert_int_equal(sspi.freed, 1);
}

static void handshakes(void **state)
{
    static const size_t most[] = {0, 1, 4, 7};
    unsigned i;

    (void)state;
    for (i = 0; i < 2 * COUNT(most); i++) {
        /* asked for a certificate; more than one record at once; data right behind the last one,
         * which has an answer */
        begin(i % 2 != 0);
        wire.most = most[i / 2];
        give(22, "None");
        give(22, "Atwo");
        give(22, "Fthree");
        give(23, "Ddata");
        assert_int_equal(dial(), UNSB_OK);
        assert_true(sent("helloonetwothree"));
        assert_int_equal(sspi.asked, 2);
        assert_int_equal(receive(), 0);
        assert_string_equal(text, "data");
        t.vtable->close(t.context);
        assert_true(sent("bye"));
        assert_int_equal(wire.closed, 1);
    }
}

static void handshakes_that_fail(void **state)
{
    (void)state;
    begin(true);
    give(22, "Ealarm");
    assert_int_equal(dial(), UNSB_E_TLS);
    assert_int_equal(tls.error, SEC_E_ILLEGAL_MESSAGE);
    assert_true(sent("helloalarm"));
    assert_int_equal(dial(), UNSB_E_TLS); /* again */
    assert_int_equal(sspi.freed, 0);
    t.vtable->close(t.context);
    assert_int_equal(sspi.freed, 1); /* the session is not taken again */
    assert_true(sent(""));

    begin(true);
    give(22, "N");
    wire.ended = true;
    assert_int_equal(dial(), UNSB_E_IO);
    assert_int_equal(tls.error, SEC_E_INCOMPLETE_MESSAGE);

    begin(true);
    give(22, "Fdone");
    sspi.certificate = NULL;
    assert_int_equal(dial(), UNSB_E_CERTIFICATE);
    assert_true(sent("hello")); /* the last message is not sent then */

    begin(false);
    give(22, "Fdone");
    sspi.suite = 0xC013;
    assert_int_equal(dial(), UNSB_E_TLS);
    assert_int_equal(tls.error, UNSB_SCHANNEL_CIPHER);

    begin(false);
    give(22, "Fdone");
    sspi.protocol = SP_PROT_TLS1_1_CLIENT;
    assert_int_equal(dial(), UNSB_E_TLS);
    assert_int_equal(tls.error, UNSB_SCHANNEL_CIPHER);

    begin(false);
    give(22, "Fdone");
    pin[0] ^= 1;
    assert_int_equal(dial(), UNSB_E_CERTIFICATE);
    assert_int_equal(tls.error, UNSB_SCHANNEL_NOT_PINNED);
    pin[0] ^= 1;
}

static void alerts(void **state)
{
    (void)state;
    begin(true);
    give(22, "E");
    give(21, "\1\50"); /* a warning */
    assert_int_equal(dial(), UNSB_E_TLS);
    assert_int_equal(tls.alert, 0);
    begin(true);
    give(22, "E");
    give(21, "\2\50");
    assert_int_equal(dial(), UNSB_E_TLS);
    assert_int_equal(tls.alert, 40);
}

/* Tickets and key updates, between data, in any pieces: neither data nor an end. */
static void messages_after_the_handshake(void **state)
{
    static const size_t most[] = {0, 1, 3, 8};
    unsigned i;

    (void)state;
    for (i = 0; i < COUNT(most); i++) {
        open_it(true, most[i]);
        give(23, "T");
        give(23, "T");
        give(23, "Done");
        give(23, "Tupdated");
        give(23, "D");
        give(23, "D two");
        assert_int_equal(receive(), 0);
        assert_string_equal(text, "one two");
        assert_true(sent("updated"));
        assert_int_equal(t.vtable->send(t.context, "abc", 3), 3);
        while (wire.from_size < 5)
            assert_int_equal(t.vtable->recv(t.context, text, 1), 0);
        assert_true(sent("<abc>"));
        give(23, "C");
        assert_int_equal(receive(), UNSB_E_CLOSED);
        assert_int_equal(receive(), UNSB_E_CLOSED);
        assert_int_equal(t.vtable->send(t.context, "abc", 3), UNSB_E_CLOSED);
    }
}

/* The answer to a key update does not go out: what was made before it goes first, nothing is made
 * after it, and the port waits for the right thing. */
static void answers_that_wait(void **state)
{
    (void)state;
    open_it(true, 0);
    wire.blocked = true;
    assert_int_equal(t.vtable->send(t.context, "before", 6), 6);
    give(23, "Tupdated");
    give(23, "Tagain");
    give(23, "Ddata");
    assert_int_equal(receive(), 0);
    assert_int_equal(t.vtable->send(t.context, "after", 5), 0);
    assert_true((t.vtable->interest(t.context, UNSB_READABLE) & UNSB_WRITABLE) != 0);
    assert_true(sent(""));
    wire.blocked = false;
    assert_int_equal(receive(), 0);
    assert_string_equal(text, "data");
    assert_int_equal(t.vtable->send(t.context, "after", 5), 5);
    assert_true(sent("<before>updatedagain<after>"));
    assert_int_equal(t.vtable->interest(t.context, UNSB_READABLE), UNSB_READABLE);
}

static void renegotiation_is_refused(void **state)
{
    (void)state;
    open_it(false, 0);
    give(23, "Done");
    give(22, "Tanswer");
    assert_int_equal(receive(), UNSB_E_TLS);
    assert_string_equal(text, "one");
    assert_int_equal(tls.error, SEC_I_RENEGOTIATE);
    t.vtable->close(t.context);
    assert_true(sent(""));
}

static void records_and_ends(void **state)
{
    uint8_t large[5] = {23, 3, 3, 0xFF, 0xFF};

    (void)state;
    open_it(true, 0);
    give(23, "X");
    assert_int_equal(receive(), UNSB_E_TLS);
    assert_int_equal(tls.error, SEC_E_DECRYPT_FAILURE);
    t.vtable->close(t.context);
    assert_int_equal(sspi.freed, 1);

    open_it(true, 0);
    memcpy(wire.to + wire.to_size, large, sizeof large);
    wire.to_size += sizeof large;
    assert_int_equal(receive(), UNSB_E_TLS);
    assert_int_equal(tls.error, SEC_E_BUFFER_TOO_SMALL);

    open_it(true, 0);
    give(23, "Done");
    wire.to_size--;
    wire.ended = true;
    assert_int_equal(receive(), UNSB_E_IO);
    assert_int_equal(tls.error, SEC_E_INCOMPLETE_MESSAGE);

    /* bytes behind close_notify count for nothing */
    open_it(true, 0);
    give(23, "C");
    give(23, "Dmore");
    assert_int_equal(receive(), UNSB_E_CLOSED);
    assert_string_equal(text, "");
}

static void large_sends(void **state)
{
    size_t at = 0;

    (void)state;
    open_it(false, 7);
    memset(text, 'x', sizeof text);
    while (at < 5000) {
        int rc = t.vtable->send(t.context, text, 5000 - at);
        assert_true(rc >= 0 && rc <= 1000);
        at += (size_t)rc;
    }
    while (t.vtable->recv(t.context, text, 1) == 0 && wire.from_size < 5010)
        continue;
    assert_int_equal(wire.from_size, 5010);
}

static void drops(void **state)
{
    (void)state;
    open_it(true, 0);
    t.vtable->drop(t.context);
    assert_true(sent(""));
    assert_int_equal(wire.closed, 0);
    assert_int_equal(wire.dropped, 1);
    assert_int_equal(sspi.contexts, 0);
    t.vtable->close(t.context);
    assert_int_equal(wire.closed, 0);
}

/* ======================================================================
 * >>main
 * ====================================================================== */

static size_t load(const char *name, void *data, size_t size)
{
    char path[700];
    FILE *file;
    size_t have = 0;

    (void)snprintf(path, sizeof path, "%s/%s", getenv("UNSB_TLS_DIR"), name);
    file = fopen(path, "rb");
    if (file != NULL) {
        have = fread(data, 1, size, file);
        (void)fclose(file);
    }
    return have;
}

static int start(void **state)
{
    size_t size = load("ecdsa.der", text, sizeof text);

    (void)state;
    leaf = CertCreateCertificateContext(X509_ASN_ENCODING, (const BYTE *)text, (DWORD)size);
    return leaf == NULL || load("leaf.pin", pin, sizeof pin) != sizeof pin;
}

static int stop(void **state)
{
    (void)state;
    unsb_schannel_wipe(&tls);
    return !CertFreeCertificateContext(leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(credentials),
                                       cmocka_unit_test(handshakes),
                                       cmocka_unit_test(handshakes_that_fail),
                                       cmocka_unit_test(alerts),
                                       cmocka_unit_test(messages_after_the_handshake),
                                       cmocka_unit_test(answers_that_wait),
                                       cmocka_unit_test(renegotiation_is_refused),
                                       cmocka_unit_test(records_and_ends),
                                       cmocka_unit_test(large_sends),
                                       cmocka_unit_test(drops)};

    return cmocka_run_group_tests_name("schannel_sspi", tests, start, stop);
}
