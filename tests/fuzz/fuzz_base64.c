/* libFuzzer: base64 against OpenSSL's: what is encoded in pieces is what OpenSSL makes of the whole
 * and decodes to the same; and what one decodes the other decodes to the same bytes. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

static int decode(const uint8_t *in, size_t size, size_t piece, uint8_t *out, size_t *total)
{
    unsb_base64 state = {0, 0, 0};
    size_t at, n, made;
    int rc = UNSB_OK;

    *total = 0;
    for (at = 0; at < size && rc == UNSB_OK; at += n) {
        n = size - at < piece ? size - at : piece;
        rc = unsb_base64_decode(&state, (const char *)in + at, n, (char *)out + *total, &made);
        *total += made;
    }
    return rc == UNSB_OK ? unsb_base64_decode_end(&state) : rc;
}

static void encode(const uint8_t *in, size_t size, size_t piece, char *out, size_t *total)
{
    unsb_base64 state = {0, 0, 0};
    size_t at, n;

    *total = 0;
    for (at = 0; at < size; at += n) {
        n = size - at < piece ? size - at : piece;
        *total += unsb_base64_encode(&state, (const char *)in + at, n, out + *total);
    }
    *total += unsb_base64_encode_end(&state, out + *total);
}

/* OpenSSL's block decoder trims white space and counts padding as zeros: what it takes is compared
 * where the input has the standard's form. */
static bool has_form(const uint8_t *in, size_t size)
{
    size_t i, padding = 0;

    for (i = size; i > 0 && in[i - 1] == '=' && padding < 2; i--)
        padding++;
    for (i = 0; i < size - padding; i++)
        if (!((in[i] >= 'A' && in[i] <= 'Z') || (in[i] >= 'a' && in[i] <= 'z') ||
              (in[i] >= '0' && in[i] <= '9') || in[i] == '+' || in[i] == '/'))
            return false;
    return size % 4 == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *theirs = malloc(size * 2 + 8), *ours = malloc(size * 2 + 8), *back = malloc(size + 8);
    size_t piece, made, again;
    int n, rc;

    check(theirs != NULL && ours != NULL && back != NULL, "out of memory");
    if (size > 1) {
        piece = data[0] % 70u + 1u;
        data++;
        size--;
        encode(data, size, piece, (char *)ours, &made);
        n = EVP_EncodeBlock(theirs, data, (int)size);
        check((size_t)n == made && memcmp(ours, theirs, made) == 0, "encoded otherwise");
        check(decode(ours, made, piece, back, &again) == UNSB_OK && again == size &&
                  memcmp(back, data, size) == 0,
              "does not decode to what it was");
        rc = decode(data, size, piece, ours, &made);
        if (!has_form(data, size)) {
            check(rc == UNSB_E_BASE64, "not base64, but taken");
        } else if (rc == UNSB_OK) {
            n = EVP_DecodeBlock(theirs, data, (int)size);
            check(n >= 0 && (size_t)n >= made && (size_t)n - made <= 2 &&
                      memcmp(ours, theirs, made) == 0,
                  "decoded otherwise");
        } else { /* of that form only bits behind the end are refused (RFC 4648 section 3.5) */
            n = EVP_DecodeBlock(theirs, data, (int)size);
            check(n > 0 && data[size - 1] == '=', "base64, but refused");
        }
    }
    free(theirs);
    free(ours);
    free(back);
    return 0;
}
