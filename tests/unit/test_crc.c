/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/crc.h"
#include "base/crc_impl.h"

static unsigned short seed[3];

static size_t below(size_t n)
{
    return (size_t)nrand48(seed) % n;
}

static int setup(void **state)
{
    const char *given = getenv("PAILFS_TEST_SEED");
    unsigned long s = given ? strtoul(given, NULL, 0) : 20261122;
    print_message("# PAILFS_TEST_SEED=%lu\n", s);
    seed[0] = (unsigned short)s;
    seed[1] = (unsigned short)(s >> 16);
    seed[2] = 0x330e;
    return 0;
}

static uint8_t *random_bytes(size_t len)
{
    uint8_t *p = malloc(len);
    assert_non_null(p);
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(nrand48(seed) >> 7);
    return p;
}

/* Straight from the definition, one bit at a time. */
static uint64_t bitwise(uint64_t crc, const uint8_t *p, size_t len, uint64_t poly, uint64_t mask)
{
    crc = ~crc & mask;
    for (; len; p++, len--) {
        crc ^= *p;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? poly : 0);
    }
    return ~crc & mask;
}

static void test_check_values(void **state)
{
    assert_int_equal(crc32_update(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(crc32c_update(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc64nvme_update(0, "123456789", 9), 0xae8b14860a799888ull);
    assert_int_equal(crc32_update(0, NULL, 0), 0);
    assert_int_equal(crc32c_update(0, NULL, 0), 0);
    assert_int_equal(crc64nvme_update(0, NULL, 0), 0);
    assert_int_equal(crc32_update(0x12345678, NULL, 0), 0x12345678);
}

/* RFC 3720 appendix B.4, and NVM Express' own vectors for 4 KiB blocks. */
static void test_published_vectors(void **state)
{
    uint8_t block[4096] = {0};
    assert_int_equal(crc32c_update(0, block, 32), 0x8a9136aa);
    assert_int_equal(crc64nvme_update(0, block, 4096), 0x6482d367eb22b64eull);
    memset(block, 0xff, sizeof(block));
    assert_int_equal(crc32c_update(0, block, 32), 0x62a8ab43);
    assert_int_equal(crc64nvme_update(0, block, 4096), 0xc0ddba7302eca3acull);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (uint8_t)i;
    assert_int_equal(crc32c_update(0, block, 32), 0x46dd794e);
    assert_int_equal(crc64nvme_update(0, block, 4096), 0x3e729f5f6750449cull);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (uint8_t)(0xff - i);
    assert_int_equal(crc64nvme_update(0, block, 4096), 0x9a2df64b8e9e517eull);
}

/* All paths at all alignments around each length where an inner loop begins or ends. */
static void test_paths_agree_at_edges(void **state)
{
    static const size_t EDGES[] = {0, 8, 16, 64, 128, 192, 256, 512, 768, 1536, 4096, 12288, 24576};
    CLEANUP_FREE uint8_t *data = random_bytes(25000);
    for (size_t e = 0; e < ARRAY_SIZE(EDGES); e++) {
        for (int delta = -9; delta <= 9; delta++) {
            if (delta < 0 && (size_t)-delta > EDGES[e])
                continue;
            size_t len = EDGES[e] + (size_t)delta, at = below(64);
            uint64_t start = (uint64_t)nrand48(seed) * 0x9e3779b97f4a7c15ull;
            uint64_t want_zip = bitwise((uint32_t)start, data + at, len, 0xedb88320, 0xffffffff);
            uint64_t want32 = bitwise((uint32_t)start, data + at, len, 0x82f63b78, 0xffffffff);
            uint64_t want64 = bitwise(start, data + at, len, 0x9a6c9329ac4bc9b5ull, UINT64_MAX);
            assert_int_equal(crc32_zlib((uint32_t)start, data + at, len), want_zip);
            if (crc32_hw_usable())
                assert_int_equal(crc32_hw((uint32_t)start, data + at, len), want_zip);
            assert_int_equal(crc32c_table((uint32_t)start, data + at, len), want32);
            assert_int_equal(crc64nvme_table(start, data + at, len), want64);
            if (crc32c_hw_usable())
                assert_int_equal(crc32c_hw((uint32_t)start, data + at, len), want32);
            if (crc64nvme_hw_usable())
                assert_int_equal(crc64nvme_hw(start, data + at, len), want64);
        }
    }
}

static void test_paths_agree_at_random(void **state)
{
    CLEANUP_FREE uint8_t *data = random_bytes(70000);
    for (int i = 0; i < 2000; i++) {
        size_t at = below(64), len = below(i % 2 ? 600 : 69000);
        if (crc32_hw_usable())
            assert_int_equal(crc32_hw((uint32_t)i, data + at, len),
                             crc32_zlib((uint32_t)i, data + at, len));
        if (crc32c_hw_usable())
            assert_int_equal(crc32c_hw((uint32_t)i, data + at, len),
                             crc32c_table((uint32_t)i, data + at, len));
        uint64_t want64 = crc64nvme_table((uint64_t)i << 33, data + at, len);
        if (crc64nvme_hw_usable()) {
            assert_int_equal(crc64nvme_hw((uint64_t)i << 33, data + at, len), want64);
            assert_int_equal(crc64nvme_narrow((uint64_t)i << 33, data + at, len), want64);
        }
    }
}

static void test_any_cut_gives_the_same(void **state)
{
    CLEANUP_FREE uint8_t *data = random_bytes(40000);
    uint32_t whole32 = crc32_update(0, data, 40000), whole32c = crc32c_update(0, data, 40000);
    uint64_t whole64 = crc64nvme_update(0, data, 40000);
    for (int i = 0; i < 200; i++) {
        size_t cut = below(40001);
        assert_int_equal(crc32_update(crc32_update(0, data, cut), data + cut, 40000 - cut),
                         whole32);
        assert_int_equal(crc32c_update(crc32c_update(0, data, cut), data + cut, 40000 - cut),
                         whole32c);
        assert_int_equal(crc32_join(crc32_update(0, data, cut),
                                    crc32_update(0, data + cut, 40000 - cut), 40000 - cut),
                         whole32);
        assert_int_equal(crc32c_join(crc32c_update(0, data, cut),
                                     crc32c_update(0, data + cut, 40000 - cut), 40000 - cut),
                         whole32c);
        uint64_t a = crc64nvme_update(0, data, cut);
        assert_int_equal(crc64nvme_update(a, data + cut, 40000 - cut), whole64);
        uint64_t b = crc64nvme_update(0, data + cut, 40000 - cut);
        assert_int_equal(crc64nvme_combine(a, b, 40000 - cut), whole64);
    }
}

static void test_combine_of_huge_lengths(void **state)
{
    /* (A||B)||C equals A||(B||C), also when the lengths are far over what can be hashed here. */
    for (int i = 0; i < 100; i++) {
        uint64_t a = (uint64_t)nrand48(seed) << 33 | (uint64_t)nrand48(seed);
        uint64_t b = (uint64_t)nrand48(seed) << 33 | (uint64_t)nrand48(seed);
        uint64_t c = (uint64_t)nrand48(seed) << 33 | (uint64_t)nrand48(seed);
        uint64_t len_b = (uint64_t)nrand48(seed) << (i % 32), len_c = (uint64_t)nrand48(seed) << 31;
        uint64_t left = crc64nvme_combine(crc64nvme_combine(a, b, len_b), c, len_c);
        uint64_t right = crc64nvme_combine(a, crc64nvme_combine(b, c, len_c), len_b + len_c);
        assert_int_equal(left, right);
        uint32_t a32 = (uint32_t)a, b32 = (uint32_t)b, c32 = (uint32_t)c;
        assert_int_equal(crc32_join(crc32_join(a32, b32, len_b), c32, len_c),
                         crc32_join(a32, crc32_join(b32, c32, len_c), len_b + len_c));
        assert_int_equal(crc32c_join(crc32c_join(a32, b32, len_b), c32, len_c),
                         crc32c_join(a32, crc32c_join(b32, c32, len_c), len_b + len_c));
    }
    assert_int_equal(crc64nvme_combine(0x1234, 0, 0), 0x1234);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_values),
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_paths_agree_at_edges),
        cmocka_unit_test(test_paths_agree_at_random),
        cmocka_unit_test(test_any_cut_gives_the_same),
        cmocka_unit_test(test_combine_of_huge_lengths),
    };
    return cmocka_run_group_tests_name("crc", tests, setup, NULL);
}
