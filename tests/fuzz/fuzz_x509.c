/* libFuzzer: the walker of unsandbox_x509.h must see the same in one piece as in pieces of any
 * size, and keep to its own memory and to the certificate's. The input is a chain as
 * x509_chains.py makes them, three bytes of length before each certificate, behind a byte for the
 * size of the pieces. */
#include <stdio.h>
#include <stdlib.h>
#include "unsandbox_x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

/* One certificate, from memory of its own size: an access beyond it is seen by the sanitizer. */
static void walk(unsb_x509 *x509, const uint8_t *der, size_t size, size_t announced, size_t piece)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);
    size_t at, n;

    check(copy != NULL, "out of memory");
    memcpy(copy, der, size);
    unsb_x509_begin(x509, announced);
    for (at = 0; at < size; at += n) {
        int next = unsb_x509_next(x509);
        n = size - at < piece ? size - at : piece;
        if (next != UNSB_X509_NEXT_OTHER)
            check(x509->left > 0 && x509->left <= x509->size, "a value without bytes");
        unsb_x509_feed(x509, copy + at, n);
        check(x509->level < UNSBI_X509_DEPTH, "too deep");
        check(x509->used <= UNSB_X509_NAMES && x509->used_below <= x509->used, "names overflow");
        check(x509->extension_count <= UNSBI_X509_EXTENSION_COUNT, "extensions overflow");
        check(x509->position <= announced, "behind the end");
    }
    (void)unsb_x509_end(x509);
    check(x509->error <= UNSB_X509_LIMIT, "no such error");
    free(copy);
}

/* Kept names make up all that is used. */
static void check_names(const unsb_x509 *x509)
{
    size_t at = 0;

    while (at < x509->used) {
        check(at + 3 <= x509->used, "a name without its head");
        check((x509->names[at] & 0x7F) <= 9, "no such kind of name");
        at += 3 + ((size_t)x509->names[at + 1] << 8 | x509->names[at + 2]);
    }
    check(at == x509->used, "a name beyond what is used");
}

static void find_names(const uint8_t *der, size_t size, int good)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);
    unsb_x509_name issuer, subject;

    check(copy != NULL, "out of memory");
    memcpy(copy, der, size);
    if (unsb_x509_issuer_subject(copy, size, &issuer, &subject)) {
        check(issuer.data > copy && subject.data > issuer.data, "names out of order");
        check(subject.size <= (size_t)(copy + size - subject.data), "a name beyond the end");
        check(issuer.size <= (size_t)(subject.data - issuer.data), "names overlap");
    } else {
        check(!good, "a certificate without names");
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t address[4] = {127, 0, 0, 1};
    static unsb_x509 whole, pieces;
    size_t piece;

    if (size < 2)
        return 0;
    piece = data[0] % 31u + 1u;
    unsb_x509_start(&whole, address, data[0] % 2u * 4u);
    unsb_x509_start(&pieces, address, data[0] % 2u * 4u);
    data++;
    size--;
    while (size >= 3) {
        size_t announced = (size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2], n;
        data += 3;
        size -= 3;
        n = announced < size ? announced : size;
        walk(&whole, data, n, announced, n + 1);
        walk(&pieces, data, n, announced, piece);
        check(whole.error == pieces.error, "pieces differ from the whole");
        if (whole.error == UNSB_X509_OK) {
            check(memcmp(&whole, &pieces, sizeof whole) == 0, "pieces leave another state");
            check_names(&whole);
        }
        find_names(data, n, whole.error == UNSB_X509_OK);
        data += n;
        size -= n;
    }
    return 0;
}
