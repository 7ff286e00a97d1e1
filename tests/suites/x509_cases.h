/* The chains that x509_chains.py makes, for the suites of certificates. */
#ifndef X509_CASES_H
#define X509_CASES_H

#define X509_CHAIN_MAX 16

typedef struct x509_case {
    char name[64], host[32], anchors[32];
    bool good;
    int fault; /* UNSB_X509_... */
} x509_case;

typedef struct x509_chain {
    uint8_t bytes[20000];
    uint8_t *der[X509_CHAIN_MAX];
    size_t size[X509_CHAIN_MAX];
    size_t count;
} x509_chain;

static x509_case x509_cases[200];
static size_t x509_case_count;

static const char *x509_path(const char *name, const char *suffix)
{
    static char path[4][600];
    static unsigned next;
    char *p = path[next++ % 4];
    int size = snprintf(p, sizeof path[0], "%s/%s%s", scratch("chains"), name, suffix);

    assert_in_range(size, 1, sizeof path[0] - 1);
    return p;
}

/* Makes them, and reads the list. */
static void x509_make_cases(void)
{
    char folder[600], verdict[8];
    const char *argv[] = {"python3", "-B", "suites/x509_chains.py", folder, NULL};
    FILE *file;

    (void)snprintf(folder, sizeof folder, "%s", scratch("chains"));
    if (mkdir(folder, 0700) != 0 || run(argv, -1) != 0) {
        show_log();
        fail_msg("no chains");
    }
    file = fopen(x509_path("cases.list", ""), "r");
    assert_non_null(file);
    x509_case_count = 0;
    for (;;) {
        x509_case *c = &x509_cases[x509_case_count];
        int got =
            fscanf(file, "%63s %31s %31s %7s %d", c->name, c->host, c->anchors, verdict, &c->fault);
        if (got != 5) {
            assert_int_equal(got, EOF);
            break;
        }
        c->good = strcmp(verdict, "good") == 0;
        assert_true(c->good || strcmp(verdict, "bad") == 0);
        x509_case_count++;
        assert_true(x509_case_count < COUNT(x509_cases));
    }
    (void)fclose(file);
    assert_true(x509_case_count > 100);
}

static void x509_read_chain(const x509_case *c, x509_chain *chain)
{
    FILE *file = fopen(x509_path(c->name, ".chain"), "rb");
    size_t size, at = 0;

    assert_non_null(file);
    size = fread(chain->bytes, 1, sizeof chain->bytes, file);
    (void)fclose(file);
    assert_in_range(size, 100, sizeof chain->bytes - 1);
    for (chain->count = 0; at < size; chain->count++) {
        size_t n;
        assert_true(chain->count < X509_CHAIN_MAX && size - at > 3);
        n = (size_t)chain->bytes[at] << 16 | (size_t)chain->bytes[at + 1] << 8 |
            chain->bytes[at + 2];
        at += 3;
        assert_true(n <= size - at);
        chain->der[chain->count] = chain->bytes + at;
        chain->size[chain->count] = n;
        at += n;
    }
}

#endif
