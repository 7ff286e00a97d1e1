/* SHA-256 (FIPS 180-4) and HMAC (RFC 2104), against published vectors and against what another
 * implementation (Python's hashlib) made of messages that are easily made again here. */
#include "suite.h"
#include "guard.h"

#if UNSB_SIGNING

#define MESSAGE_MAX 4096

static guard data_guard, scratch_guard;

static int open_guards(void **unused)
{
    (void)unused;
    data_guard = guard_open(MESSAGE_MAX);
    scratch_guard = guard_open(128);
    return 0;
}

static int close_guards(void **unused)
{
    (void)unused;
    guard_close(&data_guard);
    guard_close(&scratch_guard);
    return 0;
}

/* The hash of a message whose whole blocks are taken `step` blocks at a time. */
static void digest(const uint8_t *message, size_t size, size_t step, uint8_t out[32])
{
    const uint8_t *data = (const uint8_t *)guard_put(&data_guard, message, size);
    uint8_t *scratch = guard_room(&scratch_guard, 128);
    uint32_t hash[24];
    size_t at = 0;

    memset(scratch, 0xEE, 128);
    unsbi_sha256_start(hash);
    while (size - at >= 64) {
        size_t n = size - at < step * 64 ? size - at : step * 64;
        size_t taken = unsbi_sha256_blocks(hash, data + at, n);
        assert_int_equal(taken, n / 64 * 64);
        at += taken;
    }
    assert_int_equal(unsbi_sha256_blocks(hash, data + at, size - at), 0);
    memcpy(scratch, data + at, size - at);
    unsbi_sha256_end(hash, scratch, size - at, size);
    assert_true(guard_intact(&scratch_guard, 128));
    unsbi_store_hash(hash, out);
}

static void hmac(const char *key, const uint8_t *message, size_t size, uint8_t out[32])
{
    const char *guarded = guard_put(&data_guard, key, strlen(key) + 1);
    uint8_t *scratch = guard_room(&scratch_guard, 128);
    uint32_t hash[24];
    size_t at;

    memset(scratch, 0xEE, 128);
    memset(hash, 0xEE, sizeof hash);
    unsbi_hmac_start(hash, guarded, 0x36, scratch);
    at = unsbi_sha256_blocks(hash, message, size);
    memcpy(scratch, message + at, size - at);
    unsbi_hmac_end(hash, guarded, scratch, size - at, size);
    assert_true(guard_intact(&scratch_guard, 128));
    memcpy(out, hash, 32);
}

static void to_hex(const uint8_t *bytes, size_t size, char *out)
{
    size_t i;

    for (i = 0; i < size; i++)
        sprintf(out + 2 * i, "%02x", bytes[i]);
}

static void assert_digest(const uint8_t bytes[32], const char *hex)
{
    char text[65];

    to_hex(bytes, 32, text);
    assert_int_equal(memcmp(text, hex, strlen(hex)), 0); /* a shorter one is truncated */
}

/* Message n is n bytes long. */
static size_t make_message(size_t n, uint8_t *out)
{
    size_t i;

    for (i = 0; i < n; i++)
        out[i] = (uint8_t)(i * i * 31 + i * 7 + n);
    return n;
}

/* ---- SHA-256 ---- */

static const struct {
    const char *message;
    size_t size;
    const char *hex;
} published[] = { /* FIPS 180-2 appendix B and the NIST example values */
    {"", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
     "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     112, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    {"\xBD", 1, "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b"},
    {"\xC9\x8C\x8E\x55", 4, "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504"},
};

static const struct {
    uint8_t byte;
    size_t size;
    const char *hex;
} repeated[] = { /* NIST example values */
    {0, 55, "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7"},
    {0, 56, "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb"},
    {0, 57, "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785"},
    {0, 64, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"},
    {0, 1000, "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53"},
    {'A', 1000, "c2e686823489ced2017f6059b8b239318b6364f6dcd835d0a519105a1eadd6e4"},
    {'U', 1005, "f4d62ddec0f3dd90ea1380fa16a5ff8dc4c54b21740650f24afc4120903552b0"},
};

static void test_published(void **unused)
{
    uint8_t message[1024], out[32];
    size_t i, step;

    (void)unused;
    for (i = 0; i < COUNT(published); i++) {
        digest((const uint8_t *)published[i].message, published[i].size, 1, out);
        assert_digest(out, published[i].hex);
    }
    for (i = 0; i < COUNT(repeated); i++)
        for (step = 1; step < 20; step++) {
            memset(message, repeated[i].byte, repeated[i].size);
            digest(message, repeated[i].size, step, out);
            assert_digest(out, repeated[i].hex);
        }
}

/* A million times 'a'. */
static void test_million(void **unused)
{
    uint8_t block[64], scratch[128], out[32];
    uint32_t hash[24];
    unsigned i;

    (void)unused;
    memset(block, 'a', sizeof block);
    unsbi_sha256_start(hash);
    for (i = 0; i < 1000000 / 64; i++)
        assert_int_equal(unsbi_sha256_blocks(hash, block, 64), 64);
    unsbi_sha256_end(hash, scratch, 0, 1000000);
    unsbi_store_hash(hash, out);
    assert_digest(out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* The first 4 bytes of the digest of each message, by its length. */
static const uint32_t lengths[] = {
    0xE3B0C442u, 0x4BF5122Fu, 0x38A37B4Au, 0xE0BB91A7u, 0x69190F6Eu, 0xBE8FDC7Eu, 0xFB8E317Eu,
    0xD9075E49u, 0xE5647FA3u, 0xAC022C3Cu, 0x9B9AD70Du, 0x805CF0B7u, 0x5A22B8D5u, 0x8C73E288u,
    0xB9367105u, 0xE36C71FAu, 0x15C598F0u, 0x7BAD6F10u, 0x5B94F632u, 0x543C2465u, 0x118EBF2Cu,
    0x9D716E4Du, 0xA669714Au, 0x8FAC625Au, 0xE70C77ACu, 0x2432AB31u, 0x2FA5DD85u, 0x49575952u,
    0x4539668Du, 0xF44C9BB5u, 0xBEBEEF7Cu, 0xB3F5BABCu, 0x7F9E32D1u, 0x8A3BB3D7u, 0xE03BF712u,
    0xB7E4A4C2u, 0x7C9CAA5Au, 0x7842DDF9u, 0xCAB6AEF0u, 0x0A714000u, 0xBA9B0B6Cu, 0x503E6CA7u,
    0x7E5E96C3u, 0x3A6489D1u, 0x872DFFE9u, 0x71CB9751u, 0x8F4289ABu, 0x88D0BB56u, 0x94E3D2C2u,
    0x0780D299u, 0xAD033041u, 0xD7987D7Au, 0x739A0C86u, 0xE3012D13u, 0x37E061EBu, 0x1D0F542Cu,
    0x3992D889u, 0x3DCBA9FDu, 0x61DCA914u, 0x71C55868u, 0xD0F07DBFu, 0x4B089C1Cu, 0x1B488554u,
    0x0CF1C28Bu, 0x6F28B2F6u, 0x10080317u, 0x2269E9D5u, 0x02AED571u, 0xAE694149u, 0xDD495062u,
    0x08A16D71u, 0xDFA521AFu, 0xD77A8DE6u, 0xCFD5CCF3u, 0xA864458Bu, 0x086C15CDu, 0x125E57E5u,
    0x47B61537u, 0x10FC0BDFu, 0x908154F1u, 0x0761F5EAu, 0x30804984u, 0x3A9FE2E7u, 0xB9DBDC4Cu,
    0xCA001CFBu, 0x3D6B886Fu, 0x99EAD0D1u, 0x6AC7E7DBu, 0x29024F20u, 0x3585BEF4u, 0xE0641F68u,
    0x57C6E837u, 0x3C9304C0u, 0x8D815B4Eu, 0xB01F08F7u, 0x657BB59Du, 0xA7F2298Au, 0x57730433u,
    0x102F2D6Cu, 0xB25E74C7u, 0xE37588E6u, 0x0815D6A8u, 0x1E7A1E9Cu, 0x1B458745u, 0x1F21A97Bu,
    0x82CD9CABu, 0x68EFBA97u, 0x72C9C74Au, 0xA5C03023u, 0xCA8D4E19u, 0x5F40CFFBu, 0x06168CF2u,
    0xD8E9A325u, 0xF52C26F4u, 0xE5E3363Fu, 0xFC11ADACu, 0xF7BAF4FFu, 0xB9BD2877u, 0xE7909CCEu,
    0xB572270Bu, 0x814FCF37u, 0x31212AC7u, 0xA0803746u, 0x34E6424Bu, 0x9A99BD00u, 0x96744E5Du,
    0x4275B6CDu, 0xBFFCA7A0u, 0x0A112E93u, 0x1F46FA47u, 0xD43ACA9Au, 0x9B8390D1u, 0x2C4A0BEEu,
    0x831CB2D1u, 0x6BE7065Fu, 0x3198F2D6u, 0x68DBA64Eu, 0xBCDDCBD0u, 0xF2C36A85u, 0xFA9CADA8u,
    0x31DB44E2u, 0x193B6F62u, 0xD84B2A7Cu, 0xFA55247Cu, 0x6B9E7388u, 0x56F1BD83u, 0xCCB9E4EDu,
    0x7D95808Fu, 0x0C352693u, 0x824324ECu, 0x55563ECDu, 0x9CBA19A8u, 0x1373CA3Cu, 0x7DCD587Fu,
    0xE4397DDEu, 0xC13AE83Fu, 0x28D05D5Cu, 0x527D59CCu, 0x8D9571E6u, 0x84CD0B04u, 0x69A0155Cu,
    0xDFBF4AB8u, 0xB3ED1BF9u, 0xC3FC0137u, 0x2A0D2CDBu, 0x27976A4Cu, 0x9FE9353Au, 0xFAA8FD74u,
    0xE3061961u, 0xEB7AF2C9u, 0x6E0E615Fu, 0xC550773Fu, 0xD8B9024Eu, 0x7F1E57D3u, 0x7DB6F22Bu,
    0xD8AF502Cu, 0xEE1EE66Eu, 0xA036DA90u, 0xF14E1C94u, 0x26EB2964u, 0xBA52F8A6u, 0x6B1D494Du,
    0x0627D1FCu, 0x92EB8EB0u, 0x89B3ADE2u, 0x924E08DDu, 0xE2BF1539u, 0x7B8EA160u, 0x0AE32888u,
    0x7BACCBBFu, 0xCF01F75Eu, 0x2E4AAEF8u, 0x7FE671C5u, 0x7DC4E1EBu, 0xFBD9095Du, 0xC7120D33u,
    0x417E3145u, 0xD1188D26u, 0x580E483Bu, 0x1A4F0F13u, 0xBBCCAF5Cu,
};

static void test_lengths(void **unused)
{
    uint8_t all[COUNT(lengths) * 32], message[256], scratch[128], out[32];
    uint32_t first, hash[24];
    size_t n, step, at;

    (void)unused;
    for (n = 0; n < COUNT(lengths); n++) {
        make_message(n, message);
        for (step = 1; step <= 4; step++) {
            digest(message, n, step, out);
            first = (uint32_t)out[0] << 24 | (uint32_t)out[1] << 16 | (uint32_t)out[2] << 8 |
                    (uint32_t)out[3];
            assert_int_equal(first, lengths[n]);
        }
        memcpy(all + n * 32, out, 32);
    }
    /* the rest of their bytes, all at once */
    unsbi_sha256_start(hash);
    at = unsbi_sha256_blocks(hash, all, sizeof all);
    memcpy(scratch, all + at, sizeof all - at);
    unsbi_sha256_end(hash, scratch, sizeof all - at, sizeof all);
    unsbi_store_hash(hash, out);
    assert_digest(out, "3446da66a9715a10d23578d1625e9b712066c18cc1a3acf55e24c478bc1f0c65");
}

/* The length at the end counts bits, in 64 bits. */
static void test_padding(void **unused)
{
    static const uint64_t totals[] = {0, 0x1FFFFFFF, 0x20000000, 0xFFFFFFFF, 0x100000000,
                                      0x0123456789ABCDEF};
    size_t i, tail, k;

    (void)unused;
    for (i = 0; i < COUNT(totals); i++)
        for (tail = 0; tail < 64; tail++) {
            uint8_t scratch[65], expected[128]; /* 64, and one that is none of its business */
            uint32_t hash[24], other[24];
            size_t size = tail + 9 <= 64 ? 64 : 128;
            uint64_t bits = totals[i] * 8;
            memset(scratch, 0x77, sizeof scratch);
            memset(expected, 0, sizeof expected);
            memset(expected, 0x77, tail);
            expected[tail] = 0x80;
            for (k = 0; k < 8; k++)
                expected[size - 8 + k] = (uint8_t)(bits >> (56 - 8 * k));
            unsbi_sha256_start(hash);
            unsbi_sha256_end(hash, scratch, tail, totals[i]);
            unsbi_sha256_start(other);
            for (k = 0; k < size; k += 64)
                unsbi_sha256_block(other, expected + k);
            assert_memory_equal(hash, other, 8 * sizeof *hash);
            assert_int_equal(scratch[64], 0x77);
        }
}

/* ---- HMAC ---- */

#define TEN(s) s s s s s s s s s s
#define AA_131 TEN("\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA") "\xAA"

static const struct {
    const char *key, *message, *hex;
} rfc4231[] = {
    {TEN("\x0B\x0B"), "Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"Jefe", "what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {TEN("\xAA\xAA"), TEN("\xDD\xDD\xDD\xDD\xDD"),
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F\x10\x11\x12\x13\x14\x15\x16\x17"
     "\x18\x19",
     TEN("\xCD\xCD\xCD\xCD\xCD"),
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {TEN("\x0C\x0C"), "Test With Truncation", "a3b6167473100ee06e0c796c2955552b"},
    {AA_131, "Test Using Larger Than Block-Size Key - Hash Key First",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {AA_131,
     "This is a test using a larger than block-size key and a larger than block-size data. The key "
     "needs to be hashed before being used by the HMAC algorithm.",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

static void test_rfc4231(void **unused)
{
    uint8_t out[32];
    size_t i;

    (void)unused;
    assert_int_equal(strlen(AA_131), 131);
    for (i = 0; i < COUNT(rfc4231); i++) {
        hmac(rfc4231[i].key, (const uint8_t *)rfc4231[i].message, strlen(rfc4231[i].message), out);
        assert_digest(out, rfc4231[i].hex);
    }
}

/* Keys of 1 to 150 bytes, each with messages of these lengths: the digest of all results. */
static void test_key_lengths(void **unused)
{
    static const size_t sizes[] = {0, 1, 55, 56, 63, 64, 65, 200};
    uint8_t message[256], pending[64], scratch[128], out[32];
    uint32_t hash[24];
    size_t n, i, kept = 0;
    uint64_t total = 0;

    (void)unused;
    unsbi_sha256_start(hash);
    for (n = 1; n <= 150; n++) {
        char key[256];
        for (i = 0; i < n; i++)
            key[i] = (char)(1 + (i * 37 + n * 11) % 255);
        key[n] = '\0';
        for (i = 0; i < COUNT(sizes); i++) {
            make_message(sizes[i], message);
            hmac(key, message, sizes[i], pending + kept);
            kept += 32;
            total += 32;
            if (kept == 64) {
                unsbi_sha256_block(hash, pending);
                kept = 0;
            }
        }
    }
    assert_int_equal(kept, 0);
    unsbi_sha256_end(hash, scratch, 0, total);
    unsbi_store_hash(hash, out);
    assert_digest(out, "811bbc7a34ed48f8314bfc984c44342a46d0c921186fadc46a1edd3257c50877");
}

static void test_different_pads_differ(void **unused)
{
    uint8_t scratch[128];
    uint32_t inner[24], outer[24];

    (void)unused;
    unsbi_hmac_start(inner, "key", 0x36, scratch);
    assert_int_equal(scratch[0], 'k' ^ 0x36);
    assert_int_equal(scratch[3], 0x36);
    assert_int_equal(scratch[63], 0x36);
    unsbi_hmac_start(outer, "key", 0x5C, scratch);
    assert_int_equal(scratch[2], 'y' ^ 0x5C);
    assert_int_equal(scratch[63], 0x5C);
    assert_true(memcmp(inner, outer, sizeof inner) != 0);
}

/* What a refused signature is told apart by: a word in the service's text. */
static void test_has_word(void **state)
{
    static const char *const with[] = {"timestamp", "a timestamp b", "TIMESTAMP", "TimeStamps",
                                       "ttimestamp", "timetimestamp", "timestatimestamp",
                                       "timestam timestamp", "x-timestamp"};
    static const char *const without[] = {"", "t", "timestam", "imestamp", "time stamp",
                                          "timestam.p", "timestatamp", "tiimestamp"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(with); i++)
        assert_true(unsbi_has_word(with[i], "timestamp"));
    for (i = 0; i < COUNT(without); i++)
        assert_false(unsbi_has_word(without[i], "timestamp"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_million),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_rfc4231),
        cmocka_unit_test(test_key_lengths),
        cmocka_unit_test(test_different_pads_differ),
        cmocka_unit_test(test_has_word),
    };

    return cmocka_run_group_tests_name("sign", tests, open_guards, close_guards);
}

#else

int main(void)
{
    return 0;
}

#endif
