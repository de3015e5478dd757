/* SPDX-License-Identifier: Apache-2.0 */
/* The interval map against an array with one kind a byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fail.h"
#include "base/attr.h"
#include "data/extents.h"

#define SPAN 6000u

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dull >> 16;
}

/* Same bytes, same totals, no two neighbours that are one. */
static void check(const struct extents *x, const unsigned char *kinds)
{
    uint64_t bytes[EXTENT_KINDS] = {0};
    enum extent_kind last = EXTENT_KINDS;
    for (uint64_t at = 0; at < SPAN;) {
        struct extent e = extents_at(x, at, SPAN);
        assert_int_equal(e.start, at);
        assert_true(e.end > at && e.end <= SPAN);
        assert_int_not_equal(e.kind, last);
        last = e.kind;
        for (; at < e.end; at++)
            assert_int_equal(kinds[at], e.kind);
        bytes[e.kind] += e.end - e.start;
    }
    for (int k = EXTENT_NONE + 1; k < EXTENT_KINDS; k++)
        assert_int_equal(extents_bytes(x, k), bytes[k]);
}

static void step(struct extents *x, unsigned char *kinds, uint64_t *random)
{
    uint64_t start = next_random(random) % SPAN;
    uint64_t most = next_random(random) % 8 ? 12 : SPAN;
    uint64_t end = MIN(start + next_random(random) % most, SPAN);
    enum extent_kind kind = next_random(random) % EXTENT_KINDS;
    switch (next_random(random) % 200) {
    case 0:
        extents_cut(x, start);
        memset(kinds + start, EXTENT_NONE, SPAN - start);
        break;
    case 1: {
        enum extent_kind from = 1 + next_random(random) % (EXTENT_KINDS - 1);
        extents_turn(x, from, kind);
        for (size_t i = 0; i < SPAN; i++)
            if (kinds[i] == from)
                kinds[i] = (unsigned char)kind;
        break;
    }
    default:
        assert_int_equal(extents_set(x, start, end, kind), 0);
        memset(kinds + start, (int)kind, end - start);
    }
}

static void random_changes(void **state)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        struct extents x;
        unsigned char kinds[SPAN] = {0};
        uint64_t random = seed;
        extents_init(&x);
        for (int i = 0; i < 6000; i++) {
            step(&x, kinds, &random);
            if (i % 20 == 0)
                check(&x, kinds);
        }
        check(&x, kinds);
        extents_done(&x);
        check(&x, (unsigned char[SPAN]){0});
    }
}

/* Many single bytes: leaves split, whether they come in order or not, and vanish again. */
static void many_extents(void **state)
{
    struct extents x;
    unsigned char kinds[SPAN] = {0};
    for (int order = 0; order < 3; order++) {
        extents_init(&x);
        memset(kinds, 0, sizeof(kinds));
        for (size_t i = 0; i < SPAN / 2; i++) {
            size_t at = 2 * (order == 0   ? i
                             : order == 1 ? SPAN / 2 - 1 - i
                                          : i * 1009 % (SPAN / 2));
            assert_int_equal(extents_set(&x, at, at + 1, EXTENT_DATA), 0);
            kinds[at] = EXTENT_DATA;
        }
        check(&x, kinds);
        extents_turn(&x, EXTENT_DATA, EXTENT_CLEAN);
        for (size_t i = 0; i < SPAN; i++)
            kinds[i] = kinds[i] ? EXTENT_CLEAN : 0;
        check(&x, kinds);
        assert_int_equal(extents_set(&x, 1, SPAN - 1, EXTENT_ZERO), 0);
        memset(kinds + 1, EXTENT_ZERO, SPAN - 2);
        check(&x, kinds);
        extents_done(&x);
    }
}

static void no_memory_changes_nothing(void **state)
{
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct extents x;
        unsigned char kinds[SPAN] = {0};
        extents_init(&x);
        alloc_fail_begin(n);
        int r = extents_set(&x, 10, 20, EXTENT_DATA);
        failed = alloc_fail_end();
        assert_int_equal(r, failed ? -ENOMEM : 0);
        if (!failed)
            memset(kinds + 10, EXTENT_DATA, 10);
        check(&x, kinds);
        extents_done(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes),
        cmocka_unit_test(many_extents),
        cmocka_unit_test(no_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
