/* The rules of unsandbox_x509.h, each with chains that meet it and that do not. */
#include "suite.h"

#include "unsandbox_x509.h"
#include "service.h"
#include "guard.h"
#include "x509_cases.h"

static unsb_x509 walker;
static x509_chain chain;
static guard input;

/* Feeds one certificate in pieces, from memory that ends where it does. */
static int walk(unsb_x509 *x509, const uint8_t *der, size_t size, size_t announced, size_t piece)
{
    const uint8_t *p = (const uint8_t *)guard_put(&input, der, size);
    size_t at, n;

    unsb_x509_begin(x509, announced);
    for (at = 0; at < size; at += n) {
        n = size - at < piece ? size - at : piece;
        unsb_x509_feed(x509, p + at, n);
        assert_true(x509->used <= UNSB_X509_NAMES && x509->level < UNSBI_X509_DEPTH);
    }
    return unsb_x509_end(x509);
}

/* What is found in all of a chain. An announced size is that of the DER: what stands behind it is
 * fed with it, as TLS libraries do. */
static int walk_chain(const char *host, size_t piece)
{
    static const uint8_t address[4] = {127, 0, 0, 1};
    size_t i;
    int rc = 0;

    unsb_x509_start(&walker, address, strcmp(host, "127.0.0.1") == 0 ? 4 : 0);
    for (i = 0; i < chain.count; i++) {
        rc = walk(&walker, chain.der[i], chain.size[i], chain.size[i], piece);
    }
    return rc;
}

static const x509_case *named_case(const char *name)
{
    size_t i;

    for (i = 0; i < x509_case_count; i++)
        if (strcmp(x509_cases[i].name, name) == 0)
            return &x509_cases[i];
    fail_msg("no case %s", name);
    return NULL;
}

/* ======================================================================
 * >>rules
 * ====================================================================== */

static void rules(void **state)
{
    size_t i, piece;
    unsigned faults[UNSB_X509_LIMIT + 1];

    (void)state;
    memset(faults, 0, sizeof faults);
    for (i = 0; i < x509_case_count; i++) {
        const x509_case *c = &x509_cases[i];
        x509_read_chain(c, &chain);
        for (piece = 1; piece < 4000; piece += piece < 20 ? 1 : piece / 3) {
            int rc = walk_chain(c->host, piece);
            if (rc != c->fault)
                fail_msg("%s, pieces of %u: %d (%s) instead of %d", c->name, (unsigned)piece, rc,
                         unsb_x509_error_text(rc), c->fault);
        }
        assert_true(c->fault == 0 || !c->good);
        assert_in_range(c->fault, 0, UNSB_X509_LIMIT);
        faults[c->fault]++;
        if (c->good)
            assert_true(strcmp(c->host, "127.0.0.1") == 0 ? walker.matched : walker.named);
    }
    for (i = 0; i < COUNT(faults); i++)
        assert_true(faults[i] != 0); /* each is found in some chain */
    figures("%u chains", (unsigned)x509_case_count);
}

/* A fault in one certificate is not forgotten over the next ones. */
static void sticky(void **state)
{
    (void)state;
    x509_read_chain(named_case("behind_leaf_many"), &chain);
    unsb_x509_start(&walker, NULL, 0);
    assert_int_equal(walk(&walker, chain.der[0], chain.size[0], chain.size[0], 99),
                     UNSB_X509_MALFORMED);
    assert_int_equal(walk(&walker, chain.der[1], chain.size[1], chain.size[1], 99),
                     UNSB_X509_MALFORMED);
    unsb_x509_start(&walker, NULL, 0);
    assert_int_equal(walk(&walker, chain.der[1], chain.size[1], chain.size[1], 99), 0);
}

/* A trust anchor may be signed by a key that is weak: nobody asks for that signature. */
static void anchors(void **state)
{
    const x509_case *c = named_case("rsa_1024");
    size_t i;

    (void)state;
    x509_read_chain(c, &chain);
    unsb_x509_start(&walker, NULL, 0);
    unsb_x509_begin(&walker, chain.size[0]);
    walker.anchor = true;
    unsb_x509_feed(&walker, chain.der[0], chain.size[0]);
    assert_int_equal(unsb_x509_end(&walker), 0);
    /* and the mark is for that one alone */
    for (i = 0; i < 2; i++)
        assert_int_equal(walk(&walker, chain.der[0], chain.size[0], chain.size[0], 1000),
                         UNSB_X509_WEAK);
}

static void addresses(void **state)
{
    static const uint8_t wrong[16] = {127, 0, 0, 2};
    static const uint8_t right[4] = {127, 0, 0, 1};

    (void)state;
    x509_read_chain(named_case("nc_address_permitted"), &chain);
    unsb_x509_start(&walker, right, 4);
    assert_int_equal(walk(&walker, chain.der[0], chain.size[0], chain.size[0], 7), 0);
    assert_true(walker.matched && !walker.named);
    unsb_x509_start(&walker, wrong, 4);
    assert_int_equal(walk(&walker, chain.der[0], chain.size[0], chain.size[0], 7), 0);
    assert_false(walker.matched);
    unsb_x509_start(&walker, wrong, 16);
    assert_int_equal(walk(&walker, chain.der[0], chain.size[0], chain.size[0], 7), 0);
    assert_false(walker.matched);
    /* too long for an address: none is looked for */
    unsb_x509_start(&walker, wrong, 17);
    assert_int_equal(walk(&walker, chain.der[0], chain.size[0], chain.size[0], 7), 0);
    assert_false(walker.matched);
}

/* ======================================================================
 * >>positions  What the ports ask while a certificate comes
 * ====================================================================== */

/* The SubjectPublicKeyInfo of P-256: the only part that begins so. */
static const uint8_t key_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE};

static void positions(void **state)
{
    size_t at, key_from = 0, key_size = 0, dates = 0, critical = 0, i;

    (void)state;
    x509_read_chain(named_case("nc_name_permitted_critical"), &chain);
    unsb_x509_start(&walker, NULL, 0);
    for (i = 0; i < 2; i++) {
        key_size = dates = 0;
        unsb_x509_begin(&walker, chain.size[i]);
        for (at = 0; at < chain.size[i]; at++) {
            int next = unsb_x509_next(&walker);
            unsb_x509_feed(&walker, chain.der[i] + at, 1);
            if (next == UNSB_X509_NEXT_DATE) {
                assert_true(chain.der[i][at] == 'Z' ||
                            (chain.der[i][at] >= '0' && chain.der[i][at] <= '9'));
                dates++;
            }
            if (next == UNSB_X509_NEXT_CRITICAL) {
                assert_int_equal(chain.der[i][at], 0xFF);
                assert_int_equal(i, 1);
                critical++;
            }
            if (walker.field == UNSB_X509_KEY && key_size++ == 0)
                key_from = at;
        }
        assert_int_equal(unsb_x509_end(&walker), 0);
        assert_int_equal(unsb_x509_next(&walker), UNSB_X509_NEXT_OTHER);
        assert_int_equal(walker.first, i == 0);
        assert_int_equal(dates, 2 * 13);
        assert_int_equal(key_size, 0x5B);
        assert_memory_equal(chain.der[i] + key_from, key_head, sizeof key_head);
    }
    assert_int_equal(critical, 1);
}

static void issuers_and_subjects(void **state)
{
    unsb_x509_name issuer[2], subject[2];
    const uint8_t *p;
    size_t i, j, size;

    (void)state;
    x509_read_chain(named_case("one_issuer"), &chain);
    for (i = 0; i < 2; i++)
        assert_true(unsb_x509_issuer_subject(chain.der[i], chain.size[i], &issuer[i], &subject[i]));
    assert_int_equal(issuer[0].size, subject[1].size);
    assert_memory_equal(issuer[0].data, subject[1].data, subject[1].size);
    assert_int_not_equal(memcmp(issuer[1].data, subject[1].data, subject[1].size), 0);
    assert_int_equal(subject[0].data[0], 0x30);
    /* cut anywhere: the lengths around it do not fit */
    for (size = 0; size < chain.size[1]; size++) {
        p = (const uint8_t *)guard_put(&input, chain.der[1], size);
        assert_false(unsb_x509_issuer_subject(p, size, &issuer[0], &subject[0]));
    }
    /* of all that there are, and with each byte of the heads damaged */
    for (i = 0; i < x509_case_count; i++) {
        x509_read_chain(&x509_cases[i], &chain);
        for (j = 0; j < chain.count; j++) {
            size_t at;
            size = chain.size[j];
            assert_true(unsb_x509_issuer_subject(chain.der[j], size, &issuer[0], &subject[0]));
            for (at = 0; at < 40; at++) {
                chain.der[j][at] ^= 0x81;
                p = (const uint8_t *)guard_put(&input, chain.der[j], size);
                if (unsb_x509_issuer_subject(p, size, &issuer[0], &subject[0])) {
                    assert_true(issuer[0].data >= p && subject[0].data > issuer[0].data);
                    assert_true(subject[0].size <= (size_t)(p + size - subject[0].data));
                    assert_true(issuer[0].size <= (size_t)(p + size - issuer[0].data));
                }
                chain.der[j][at] ^= 0x81;
            }
        }
    }
}

/* ======================================================================
 * >>parts  What no chain of OpenSSL's making has
 * ====================================================================== */

static void names_within(void **state)
{
    static const struct {
        const char *name, *base;
        bool exclusion, want;
    } cases[] = {{"a.test", "test", false, true},    {"a.test", "b.test", false, false},
                 {"atest", "test", false, false},    {"test", "a.test", false, false},
                 {"a.test", ".test", false, true},   {"test", ".test", false, false},
                 {"a.best", ".test", false, false},  {"A.TeSt", "tEst", false, true},
                 {"a.test", "", false, true},        {"test", ".test", true, true},
                 {"*.test", "a.test", true, true},   {"*.test", "a.best", true, false},
                 {"*.test", "ab.cd.test", true, false}, {"*.", "test", true, false},
                 {"*.x", "test", true, false},       {"*.test", "a.test", false, false},
                 {"x.test", "a.test", true, false}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        if (unsbi_x509_dns_within((const uint8_t *)cases[i].name, strlen(cases[i].name),
                                  (const uint8_t *)cases[i].base, strlen(cases[i].base),
                                  cases[i].exclusion) != cases[i].want)
            fail_msg("\"%s\" in \"%s\"", cases[i].name, cases[i].base);
}

static void directories_within(void **state)
{
    static uint8_t large[4 + 300] = {0x30, 0x82, 1, 300 - 256};
    static const struct {
        uint8_t bytes[6];
        size_t size;
        int want; /* how many bytes are in it, -1: it is no Name */
    } cases[] = {{{0x30, 0}, 2, 0},
                 {{0x30, 1, 7}, 3, 1},
                 {{0x30, 0x81, 1, 7}, 4, 1},
                 {{0}, 0, -1},
                 {{0x30}, 1, -1},
                 {{0x31, 0}, 2, -1},
                 {{0x30, 0x80, 0}, 3, -1},
                 {{0x30, 0x81}, 2, -1},
                 {{0x30, 0x82, 0}, 3, -1},
                 {{0x30, 0x83, 0, 0, 1, 7}, 6, -1},
                 {{0x30, 2, 7}, 3, -1},
                 {{0x30, 0, 7}, 3, -1}};
    const uint8_t *name;
    size_t i, size;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        name = (const uint8_t *)guard_put(&input, cases[i].bytes, cases[i].size);
        size = cases[i].size;
        assert_int_equal(unsbi_x509_rdns(&name, &size), cases[i].want >= 0);
        if (cases[i].want >= 0)
            assert_int_equal(size, cases[i].want);
        assert_int_equal(unsbi_x509_directory_within(UNSBI_X509_DIRECTORY, cases[i].bytes,
                                                     cases[i].size, cases[0].bytes, 2),
                         cases[i].want >= 0);
        assert_int_equal(unsbi_x509_directory_within(UNSBI_X509_SUBJECT_NAME, cases[i].bytes, 0,
                                                     cases[i].bytes, cases[i].size),
                         cases[i].want == 0);
    }
    name = large;
    size = sizeof large;
    assert_true(unsbi_x509_rdns(&name, &size));
    assert_int_equal(size, 300);
}

/* Which elements may be where, and how many. */
static void elements(void **state)
{
    static const struct {
        uint8_t kind, tag, element;
        bool want;
    } cases[] = {{UNSBI_X509_TOP, 0x30, 1, true},          {UNSBI_X509_TOP, 0x30, 2, false},
                 {UNSBI_X509_TOP, 0x31, 1, false},         {UNSBI_X509_CERTIFICATE, 0x30, 2, true},
                 {UNSBI_X509_CERTIFICATE, 0x03, 3, true},  {UNSBI_X509_CERTIFICATE, 0x03, 4, false},
                 {UNSBI_X509_CERTIFICATE, 0x30, 4, false}, {UNSBI_X509_EXTENSION, 0x01, 2, true},
                 {UNSBI_X509_EXTENSION, 0x01, 3, false},   {UNSBI_X509_EXTENSION, 0x04, 3, true},
                 {UNSBI_X509_SUBTREE, 0x82, 3, true},      {UNSBI_X509_SUBTREE, 0x82, 4, false},
                 {UNSBI_X509_SUBTREE, 0x02, 1, false},     {UNSBI_X509_CONSTRAINTS, 0xA0, 1, true},
                 {UNSBI_X509_CONSTRAINTS, 0xA0, 2, false}, {UNSBI_X509_CONSTRAINTS, 0xA1, 2, true},
                 {UNSBI_X509_CONSTRAINTS, 0xA1, 3, false},
                 {UNSBI_X509_CONSTRAINTS, 0xA2, 1, false}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        unsb_x509_start(&walker, NULL, 0);
        walker.kind[0] = cases[i].kind;
        walker.tag = cases[i].tag;
        walker.element[0] = cases[i].element;
        if (unsbi_x509_expects(&walker) != cases[i].want)
            fail_msg("%u: tag %02x as element %u", cases[i].kind, cases[i].tag, cases[i].element);
    }
    /* elements are counted up to 255; names may be more */
    unsb_x509_start(&walker, NULL, 0);
    walker.kind[0] = UNSBI_X509_NAMES;
    walker.element[0] = 255;
    unsbi_x509_tag(&walker, 0x82);
    assert_int_equal(walker.element[0], 255);
    assert_int_equal(walker.error, UNSB_X509_OK);
}

/* A value begins, of a kind that there is not, or too large to be held. */
static void odd_values(void **state)
{
    static const struct {
        uint8_t kind, tag, field, element, want;
        uint32_t size;
    } cases[] = {{UNSBI_X509_NAMES, 0x88, 0, 1, UNSB_X509_OK, 3},
                 {UNSBI_X509_NAMES, 0x89, 0, 1, UNSB_X509_MALFORMED, 3},
                 {UNSBI_X509_SUBTREE, 0x88, 0, 1, UNSB_X509_OK, 3},
                 {UNSBI_X509_SUBTREE, 0x89, 0, 1, UNSB_X509_MALFORMED, 3},
                 {UNSBI_X509_SUBTREE, 0x80, 0, 2, UNSB_X509_CONSTRAINT, 1},
                 {UNSBI_X509_TBS, 0x30, UNSB_X509_SIGNATURE, 1, UNSB_X509_OK,
                  UNSBI_X509_ALGORITHM_SIZE},
                 {UNSBI_X509_TBS, 0x30, UNSB_X509_SIGNATURE, 1, UNSB_X509_LIMIT,
                  UNSBI_X509_ALGORITHM_SIZE + 1}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        unsb_x509_start(&walker, NULL, 0);
        walker.level = 1;
        walker.kind[1] = cases[i].kind;
        walker.element[1] = cases[i].element;
        walker.tag = cases[i].tag;
        walker.field = cases[i].field;
        walker.size = cases[i].size;
        unsbi_x509_value_begin(&walker);
        assert_int_equal(walker.error, cases[i].want);
    }
    /* a purpose that is found is found, whatever comes after it */
    unsb_x509_start(&walker, NULL, 0);
    walker.kind[0] = UNSBI_X509_PURPOSES;
    walker.serves = true;
    walker.size = 1;
    unsbi_x509_value_end(&walker);
    assert_true(walker.serves);
    /* an algorithm as long as RSA's that is another one */
    walker.algorithm_size = 13;
    assert_false(unsbi_x509_is_rsa(&walker));
}

static void no_certificates(void **state)
{
    static const struct {
        uint8_t bytes[6];
        size_t size;
    } cases[] = {{{0}, 0}, {{0x30, 0x02, 0x30, 0x00}, 4}, {{0x30, 0x80, 0x30, 0x00}, 4},
                 {{0x30, 0x84, 0, 0, 0, 0}, 6}};
    unsb_x509_name issuer, subject;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        const uint8_t *der = (const uint8_t *)guard_put(&input, cases[i].bytes, cases[i].size);
        assert_false(unsb_x509_issuer_subject(der, cases[i].size, &issuer, &subject));
    }
}

/* ======================================================================
 * >>damage
 * ====================================================================== */

/* Cut after each byte, or announced shorter or longer than it is. */
static void cut_certificates(void **state)
{
    static const char *const names[] = {"direct", "one_issuer", "rsa_2048", "many_names"};
    size_t i, size;

    (void)state;
    for (i = 0; i < COUNT(names); i++) {
        size_t whole;
        const uint8_t *der;
        x509_read_chain(named_case(names[i]), &chain);
        der = chain.der[chain.count - 1];
        whole = chain.size[chain.count - 1];
        for (size = 0; size < whole; size++) {
            unsb_x509_start(&walker, NULL, 0);
            assert_int_equal(walk(&walker, der, size, whole, 64), UNSB_X509_MALFORMED);
            unsb_x509_start(&walker, NULL, 0);
            assert_int_equal(walk(&walker, der, size, size, 64), UNSB_X509_MALFORMED);
        }
        unsb_x509_start(&walker, NULL, 0);
        assert_int_equal(walk(&walker, der, whole, whole + 1, 64), UNSB_X509_MALFORMED);
        unsb_x509_start(&walker, NULL, 0);
        assert_int_equal(walk(&walker, der, whole, 0x1000000, 64), UNSB_X509_MALFORMED);
    }
}

/* Each byte damaged in turn, in several ways: the verdict is the same for all pieces. */
static void damaged_certificates(void **state)
{
    static const uint8_t changes[] = {0x01, 0x20, 0x80, 0xFF};
    size_t i, j, at;
    unsigned refused = 0, count = 0;

    (void)state;
    for (i = 0; i < x509_case_count; i += 3) {
        x509_read_chain(&x509_cases[i], &chain);
        for (at = 0; at < chain.size[chain.count - 1]; at++) {
            for (j = 0; j < COUNT(changes); j++) {
                uint8_t *byte = &chain.der[chain.count - 1][at];
                int rc;
                *byte ^= changes[j];
                rc = walk_chain("127.0.0.1", 5000);
                assert_int_equal(rc, walk_chain("127.0.0.1", 1 + at % 9));
                refused += rc != 0;
                count++;
                *byte ^= changes[j];
            }
        }
    }
    assert_true(refused > count / 10 && refused < count);
    figures("%u damaged certificates, %u refused by their form", count, refused);
}

static void texts(void **state)
{
    int i, j;

    (void)state;
    assert_string_equal(unsb_x509_error_text(0), "");
    assert_string_equal(unsb_x509_error_text(UNSB_X509_LIMIT + 1), "");
    for (i = 1; i <= UNSB_X509_LIMIT; i++) {
        assert_true(strlen(unsb_x509_error_text(i)) > 10);
        for (j = 1; j < i; j++)
            assert_string_not_equal(unsb_x509_error_text(i), unsb_x509_error_text(j));
    }
}

static int start(void **state)
{
    (void)state;
    input = guard_open(sizeof chain.bytes);
    x509_make_cases();
    figures("unsb_x509 has %u bytes", (unsigned)sizeof walker);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    guard_close(&input);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(sticky),
        cmocka_unit_test(anchors),
        cmocka_unit_test(addresses),
        cmocka_unit_test(positions),
        cmocka_unit_test(issuers_and_subjects),
        cmocka_unit_test(names_within),
        cmocka_unit_test(directories_within),
        cmocka_unit_test(elements),
        cmocka_unit_test(odd_values),
        cmocka_unit_test(no_certificates),
        cmocka_unit_test(cut_certificates),
        cmocka_unit_test(damaged_certificates),
        cmocka_unit_test(texts),
    };

    return cmocka_run_group_tests_name("x509", tests, start, stop);
}
