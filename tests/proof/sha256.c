/* SHA-256. Where it reads and writes depends on sizes alone, never on what is hashed: so each size
 * is a case of its own, with any bytes. hmac.c has what is built of it. */
#include "proof.h"

/* About the edges of blocks and of padding. */
static const uint8_t tails[] = {0, 1, 55, 56, 57, 63};
static const uint8_t sizes[] = {0, 1, 55, 56, 63, 64, 65, 127, 128, 130};

void sha256_blocks(void)
{
    size_t i, size, n;
    uint32_t hash[24];

    for (i = 0; i < sizeof sizes; i++) {
        size = sizes[i];
        n = unsbi_sha256_blocks(hash, some_bytes(size), size);
        prove(n <= size && n % 64 == 0 && size - n < 64, "the whole blocks, and no more");
    }
}

/* FIPS 180-4 section 5.1.1: what is hashed last is what was left, a bit, zeros, and the length. */
void sha256_end(void)
{
    uint32_t hash[24];
    uint64_t total;
    size_t tail, size, i, j;

    for (j = 0; j < sizeof tails; j++) {
        uint8_t scratch[128], before[128];
        uint64_t length = 0;
        tail = tails[j];
        size = tail < 56 ? 64 : 128;
        memcpy(before, scratch, tail);
        unsbi_sha256_end(hash, scratch, tail, total);
        for (i = 0; i < tail; i++)
            prove(scratch[i] == before[i], "what was left");
        prove(scratch[tail] == 0x80, "a bit");
        for (i = tail + 1; i < size - 8; i++)
            prove(scratch[i] == 0, "zeros");
        for (i = size - 8; i < size; i++)
            length = length << 8 | scratch[i];
        prove(length == total * 8, "the length");
    }
}
