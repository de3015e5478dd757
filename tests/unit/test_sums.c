/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/crc.h"
#include "data/sums.h"

#define SIZE 100000u

static char content[SIZE];

static void add(struct sums *s, uint64_t from, uint64_t to)
{
    struct sums_crcs crcs = {0};
    sums_crcs_update(&crcs, SUMS_ALL, content + from, to - from);
    sums_add(s, from, to - from, &crcs, SUMS_ALL);
}

static bool is_right(const struct sums *s, enum sums_algo algo)
{
    const uint64_t want[SUMS_ALGO_MAX] = {crc64nvme_update(0, content, SIZE),
                                          crc32c_update(0, content, SIZE),
                                          crc32_update(0, content, SIZE)};
    uint64_t crc;
    return sums_get(s, algo, &crc) && crc == want[algo];
}

static int fill(void **state)
{
    srand(11);
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (char)rand();
    return 0;
}

static void test_in_order(void **state)
{
    struct sums s = {0};
    for (uint64_t at = 0; at < SIZE; at += 1000) {
        assert_false(sums_is_whole(&s, SIZE));
        add(&s, at, at + 1000);
        assert_int_equal(s.n, 1);
    }
    assert_true(sums_is_whole(&s, SIZE));
    for (unsigned i = 0; i < SUMS_ALGO_MAX; i++)
        assert_true(is_right(&s, (enum sums_algo)i));
    assert_int_equal(s.covered, SIZE);
    assert_false(sums_is_whole(&s, SIZE + 1));
    sums_done(&s);
    assert_false(sums_is_whole(&s, SIZE));
    assert_false(is_right(&s, SUMS_CRC32));
}

static void test_any_order(void **state)
{
    for (unsigned seed = 1; seed <= 50; seed++) {
        struct sums s = {0};
        uint64_t cuts[66] = {0};
        unsigned n = 0, order[65];
        srand(seed);
        while (cuts[n] < SIZE && n < 64) {
            cuts[n + 1] = MIN(cuts[n] + 1 + (uint64_t)rand() % 4000, (uint64_t)SIZE);
            n++;
        }
        if (cuts[n] < SIZE)
            cuts[++n] = SIZE;
        for (unsigned i = 0; i < n; i++)
            order[i] = i;
        for (unsigned i = n; i > 1; i--) {
            unsigned other = (unsigned)rand() % i, kept = order[i - 1];
            order[i - 1] = order[other];
            order[other] = kept;
        }
        for (unsigned i = 0; i < n; i++) {
            assert_false(sums_is_whole(&s, SIZE));
            add(&s, cuts[order[i]], cuts[order[i] + 1]);
            /* What comes again, or reaches into what is there, changes nothing. */
            add(&s, cuts[order[i]], cuts[order[i] + 1]);
            if (cuts[order[i]] > 0)
                add(&s, cuts[order[i]] - 1, cuts[order[i] + 1]);
            sums_add(&s, cuts[order[i]], 0, &(struct sums_crcs){{17}}, 0);
        }
        bool right = sums_is_whole(&s, SIZE);
        for (unsigned i = 0; i < SUMS_ALGO_MAX; i++)
            right = right && is_right(&s, (enum sums_algo)i);
        if (!right)
            fail_msg("seed %u", seed);
        sums_done(&s);
    }
}

static void test_a_byte_is_wrong(void **state)
{
    struct sums s = {0};
    add(&s, 0, 40000);
    content[50000] ^= 1;
    add(&s, 40000, 60000);
    content[50000] ^= 1;
    add(&s, 60000, SIZE);
    assert_true(sums_is_whole(&s, SIZE));
    for (unsigned i = 0; i < SUMS_ALGO_MAX; i++)
        assert_false(is_right(&s, (enum sums_algo)i));
    sums_done(&s);
}

/* The one that is stored was not known at first. */
static void test_only_one(void **state)
{
    struct sums s = {0};
    struct sums_crcs crcs = {0};
    add(&s, 0, 30000);
    sums_only(&s, SUMS_CRC32C);
    add(&s, 50000, SIZE);
    sums_crcs_update(&crcs, 1u << SUMS_CRC32C, content + 30000, 20000);
    sums_add(&s, 30000, 20000, &crcs, 1u << SUMS_CRC32C);
    assert_true(sums_is_whole(&s, SIZE));
    assert_true(is_right(&s, SUMS_CRC32C));
    assert_false(is_right(&s, SUMS_CRC32));
    assert_false(is_right(&s, SUMS_CRC64NVME));
    sums_done(&s);
}

static void test_too_many_holes(void **state)
{
    struct sums s = {0};
    struct sums_crcs crcs = {0};
    for (uint64_t i = 0; i <= SUMS_PIECES_MAX; i++)
        sums_add(&s, i * 10, 5, &crcs, SUMS_ALL);
    assert_true(s.lost);
    assert_int_equal(s.n, 0);
    add(&s, 0, SIZE);
    assert_false(sums_is_whole(&s, SIZE));
    sums_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_a_byte_is_wrong), cmocka_unit_test(test_only_one),
        cmocka_unit_test(test_too_many_holes),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
