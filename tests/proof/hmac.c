/* HMAC (RFC 2104) over SHA-256's padding and chaining. The compression function, which sha256.c
 * proves to stay within its block, is known here by that alone: it reads a block, and makes any hash
 * of it. So what is proved holds whatever the hashes are: which blocks are compressed, in which
 * order, from which state. */
#define UNSBI_PROOF(name) proof_##name
#include <stdint.h>
static void proof_sha256_block(uint32_t hash[24], const uint8_t *block);
#include "proof.h"

#define KEY_MAX 184

/* FIPS 180-4 section 5.3.3 */
static const uint32_t first_hash[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static uint8_t key[KEY_MAX + 1], text[64];
static size_t key_size, tail;
static uint64_t total;
static size_t step;                           /* blocks so far */
static uint32_t last[8], key_hash[8], inner[8]; /* hashes: of the last block, the key, the text */

/* Byte i of a hash, big-endian. */
static uint8_t hash_byte(const uint32_t *hash, size_t i)
{
    return (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
}

/* How many blocks a text of `size` bytes fills that is padded as FIPS 180-4 section 5.1.1 has it,
 * and byte `at` of them. It is the end of `all` bytes. */
static size_t blocks(size_t size)
{
    return (size + 9 + 63) / 64;
}

static uint8_t padded(uint8_t byte, size_t at, size_t size, uint64_t all)
{
    size_t left = 64 * blocks(size) - at;

    return at < size ? byte : at == size ? 0x80 : left > 8 ? 0 : (uint8_t)(all * 8 >> 8 * (left - 1));
}

/* RFC 2104 section 2: what stands at `i` in block `n`. The key's own hash, if it is longer than a
 * block; the key and the inner pad; the text; the first two again, with the outer pad; the inner
 * hash. *begins: a hash begins there. */
static uint8_t wanted(size_t n, size_t i, bool *begins)
{
    size_t hashed = key_size > 64 ? blocks(key_size) : 0, half = hashed + 1 + blocks(tail);
    uint8_t pad = n < half ? 0x36 : 0x5C, byte;

    if (n == half + hashed + 1) {
        *begins = false;
        return padded(i < 32 ? hash_byte(inner, i) : 0, i, 32, 96);
    }
    if (n > hashed && n < half) {
        n -= hashed + 1;
        *begins = false;
        return padded(text[i], 64 * n + i, tail, total + 64);
    }
    n = n < half ? n : n - half;
    *begins = n == 0 || n == hashed;
    if (n < hashed)
        return padded(64 * n + i < key_size ? key[64 * n + i] : 0, 64 * n + i, key_size, key_size);
    byte = hashed != 0 ? (i < 32 ? hash_byte(key_hash, i) : 0) : i < key_size ? key[i] : 0;
    return byte ^ pad;
}

static void proof_sha256_block(uint32_t hash[24], const uint8_t *block)
{
    size_t hashed = key_size > 64 ? blocks(key_size) : 0, half = hashed + 1 + blocks(tail), i;
    bool begins = false, right = true;
    uint32_t any[8];

    for (i = 0; i < 64; i++)
        right = right && block[i] == wanted(step, i, &begins);
    prove(right, "what is hashed");
    right = true;
    for (i = 0; i < 8; i++)
        right = right && hash[i] == (begins ? first_hash[i] : last[i]);
    prove(right, "a hash begins, or goes on");
    step++;
    for (i = 0; i < 8; i++) {
        hash[i] = last[i] = any[i];
        if (step == half)
            inner[i] = any[i];
        if (step == hashed || step == half + hashed)
            key_hash[i] = any[i];
    }
}

static void hmac(size_t size, size_t left)
{
    char memory[KEY_MAX + 1], *place = memory + KEY_MAX - size; /* it ends where the array does */
    uint8_t scratch[96];
    uint32_t hash[24]; /* the last 16 are the block's words, which it alone uses */
    bool right = true;
    size_t i;

    for (i = 0; i < size; i++) /* any byte but NUL: sizes alone tell where it goes */
        place[i] = (char)(key[i] = (uint8_t)(1 + i));
    place[size] = '\0';
    key_size = size;
    tail = left;
    step = 0;
    unsbi_hmac_start(hash, place, 0x36, scratch);
    for (i = 0; i < tail; i++)
        scratch[i] = text[i];
    unsbi_hmac_end(hash, place, scratch, tail, total);
    prove(step == 3 + blocks(tail) + (size > 64 ? 2 * blocks(size) : 0), "so many blocks");
    for (i = 0; i < 32; i++)
        right = right && ((const uint8_t *)hash)[i] == hash_byte(last, i);
    prove(right, "the outer hash, as bytes");
}

static void any_text(void)
{
    uint8_t any[64];
    uint64_t any_total;
    size_t i;

    for (i = 0; i < sizeof any; i++)
        text[i] = any[i];
    total = any_total;
}

/* About the edges of blocks and of padding. */
void hmac_keys(void)
{
    static const uint8_t sizes[] = {0, 1, 63, 64, 65, 119, 120, 128};
    size_t i;

    any_text();
    for (i = 0; i < sizeof sizes; i++)
        hmac(sizes[i], 7);
}

void hmac_tails(void)
{
    static const uint8_t tails[] = {0, 1, 54, 55, 56, 57, 62, 63};
    size_t i;

    any_text();
    for (i = 0; i < sizeof tails; i++)
        hmac(20, tails[i]);
}
