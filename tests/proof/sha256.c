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

/* FIPS 180-4 section 5.1.1: what is hashed last is what was left and a bit, if there is room, zeros,
 * and the length. (hmac.c sees every block.) */
void sha256_end(void)
{
    uint32_t hash[24];
    uint64_t total;
    size_t tail, i, j;

    for (j = 0; j < sizeof tails; j++) {
        uint8_t block[64], before[64];
        uint64_t length = 0;
        tail = tails[j];
        memcpy(before, block, tail);
        unsbi_sha256_end(hash, block, tail, total);
        for (i = 0; i < 56; i++)
            prove(block[i] == (tail >= 56 || i > tail ? 0 : i < tail ? before[i] : 0x80),
                  "what was left, a bit, zeros");
        for (i = 56; i < 64; i++)
            length = length << 8 | block[i];
        prove(length == total * 8, "the length");
    }
}
