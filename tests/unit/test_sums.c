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
    sums_add(s, from, to - from, crc64nvme_update(0, content + from, to - from));
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
    uint64_t crc = 0;
    for (uint64_t at = 0; at < SIZE; at += 1000) {
        assert_false(sums_whole(&s, SIZE, &crc));
        add(&s, at, at + 1000);
        assert_int_equal(s.n, 1);
    }
    assert_true(sums_whole(&s, SIZE, &crc));
    assert_true(crc == crc64nvme_update(0, content, SIZE));
    assert_int_equal(s.covered, SIZE);
    assert_false(sums_whole(&s, SIZE + 1, &crc));
    sums_done(&s);
    assert_false(sums_whole(&s, SIZE, &crc));
}

static void test_any_order(void **state)
{
    for (unsigned seed = 1; seed <= 50; seed++) {
        struct sums s = {0};
        uint64_t cuts[66] = {0}, crc = 0;
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
            assert_false(sums_whole(&s, SIZE, &crc));
            add(&s, cuts[order[i]], cuts[order[i] + 1]);
            /* What comes again, or reaches into what is there, changes nothing. */
            add(&s, cuts[order[i]], cuts[order[i] + 1]);
            if (cuts[order[i]] > 0)
                add(&s, cuts[order[i]] - 1, cuts[order[i] + 1]);
            sums_add(&s, cuts[order[i]], 0, 17);
        }
        if (!sums_whole(&s, SIZE, &crc) || crc != crc64nvme_update(0, content, SIZE))
            fail_msg("seed %u", seed);
        sums_done(&s);
    }
}

static void test_a_byte_is_wrong(void **state)
{
    struct sums s = {0};
    uint64_t crc = 0;
    add(&s, 0, 40000);
    content[50000] ^= 1;
    add(&s, 40000, 60000);
    content[50000] ^= 1;
    add(&s, 60000, SIZE);
    assert_true(sums_whole(&s, SIZE, &crc));
    assert_true(crc != crc64nvme_update(0, content, SIZE));
    sums_done(&s);
}

static void test_too_many_holes(void **state)
{
    struct sums s = {0};
    uint64_t crc;
    for (uint64_t i = 0; i <= SUMS_PIECES_MAX; i++)
        sums_add(&s, i * 10, 5, 1);
    assert_true(s.lost);
    assert_int_equal(s.n, 0);
    add(&s, 0, SIZE);
    assert_false(sums_whole(&s, SIZE, &crc));
    sums_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_a_byte_is_wrong),
        cmocka_unit_test(test_too_many_holes),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
