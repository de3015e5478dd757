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
    struct sums s = {.grid = UINT64_MAX};
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
        struct sums s = {.grid = UINT64_MAX};
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
    struct sums s = {.grid = UINT64_MAX};
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
    struct sums s = {.grid = UINT64_MAX};
    struct sums_crcs crcs = {0};
    add(&s, 0, 30000);
    sums_only(&s, SUMS_CRC32C, 0);
    add(&s, 50000, SIZE);
    sums_crcs_update(&crcs, 1u << SUMS_CRC32C, content + 30000, 20000);
    sums_add(&s, 30000, 20000, &crcs, 1u << SUMS_CRC32C);
    assert_true(sums_is_whole(&s, SIZE));
    assert_true(is_right(&s, SUMS_CRC32C));
    assert_false(is_right(&s, SUMS_CRC32));
    assert_false(is_right(&s, SUMS_CRC64NVME));
    sums_done(&s);
}

/* What lies behind is taken out, and comes again. */
static void test_cut(void **state)
{
    enum { ALL = 5 * SUMS_GRID + 77 };
    char *big = malloc(ALL);
    assert_non_null(big);
    for (size_t i = 0; i < ALL; i++)
        big[i] = content[i % 99991];
    uint64_t want = crc64nvme_update(0, big, ALL), got;
    for (uint64_t joined = 0; joined <= 4; joined++) {
        struct sums s = {0};
        for (int turn = 0; turn < 2; turn++) {
            for (uint64_t at = turn ? joined * SUMS_GRID : 0; at < ALL; at += SUMS_GRID) {
                struct sums_crcs crcs = {0};
                uint64_t n = MIN(ALL - at, SUMS_GRID);
                big[4 * SUMS_GRID] ^= !turn;
                sums_crcs_update(&crcs, SUMS_ALL, big + at, n);
                big[4 * SUMS_GRID] ^= !turn;
                sums_add(&s, at, n, &crcs, SUMS_ALL);
                if (at == SUMS_GRID)
                    sums_only(&s, SUMS_CRC64NVME, 0);
            }
            assert_true(sums_is_whole(&s, ALL));
            assert_true(sums_get(&s, SUMS_CRC64NVME, &got));
            assert_int_equal(got == want, turn);
            if (turn)
                break;
            sums_join(&s, joined * SUMS_GRID + 5);
            assert_int_equal(s.n, joined ? 7 - joined : 6);
            sums_cut(&s, joined * SUMS_GRID);
            assert_int_equal(s.covered, joined * SUMS_GRID);
            assert_false(sums_is_whole(&s, ALL));
        }
        sums_done(&s);
    }
    free(big);
}

/* Of pieces that came before the size of the parts was known, and behind that. */
static void test_parts(void **state)
{
    enum { PART = 2 * SUMS_GRID, ALL = 5 * SUMS_GRID + 77 };
    char *big = malloc(ALL);
    assert_non_null(big);
    for (size_t i = 0; i < ALL; i++)
        big[i] = content[i % 99991];
    for (unsigned told_after = 0; told_after <= 11; told_after++) {
        struct sums s = {0};
        struct sums_crcs want = {0};
        uint64_t got;
        for (unsigned i = 0; i <= 11; i++) {
            struct sums_crcs crcs = {0};
            uint64_t at = (i * 5 % 11) * (SUMS_GRID / 2), n = MIN(ALL - at, SUMS_GRID / 2);
            if (i == told_after)
                sums_only(&s, SUMS_CRC32, PART);
            if (i == 11)
                break;
            assert_false(sums_is_whole(&s, ALL));
            sums_crcs_update(&crcs, SUMS_ALL, big + at, n);
            sums_add(&s, at, n, &crcs, SUMS_ALL);
        }
        assert_true(sums_is_whole(&s, ALL));
        assert_int_equal(s.n, 3);
        for (uint64_t at = 0; at < ALL; at += PART) {
            uint32_t part = crc32_update(0, big + at, MIN((uint64_t)PART, ALL - at));
            uint8_t bytes[4] = {(uint8_t)(part >> 24), (uint8_t)(part >> 16), (uint8_t)(part >> 8),
                                (uint8_t)part};
            sums_crcs_update(&want, SUMS_ALL, bytes, sizeof(bytes));
        }
        assert_true(sums_get(&s, SUMS_CRC32, &got));
        assert_int_equal(got, want.of[SUMS_CRC32]);
        assert_false(sums_get(&s, SUMS_CRC32C, &got));
        sums_done(&s);
    }
    free(big);
}

static void test_odd_parts_are_not_known(void **state)
{
    struct sums s = {0};
    add(&s, 0, 40000);
    sums_only(&s, SUMS_CRC32, 30000);
    assert_true(s.lost);
    sums_done(&s);
    sums_only(&s, SUMS_CRC32, 30000);
    add(&s, 20000, 30000);
    assert_false(s.lost);
    add(&s, 30000, 60001);
    assert_true(s.lost);
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
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_a_byte_is_wrong),
        cmocka_unit_test(test_only_one),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_odd_parts_are_not_known),
        cmocka_unit_test(test_too_many_holes),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
