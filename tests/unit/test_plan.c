/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of an upload: S3's limits, nothing left out, no change copied, and not much more sent
 * than what has changed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "data/plan.h"
#include "store/store_limits.h"

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dull >> 16;
}

static struct plan_in plan_of(const struct extents *x, uint64_t size, uint64_t base)
{
    return (struct plan_in){.extents = x,
                            .size = size,
                            .base_size = base,
                            .part_size = 8 * MIB,
                            .part_size_max = 128 * MIB,
                            .parallel = 8};
}

static bool is_unchanged(const struct plan_in *in, uint64_t start, uint64_t end)
{
    if (end > in->base_size)
        return false;
    for (uint64_t at = start; at < end;) {
        struct extent e = extents_at(in->extents, at, end);
        if (e.kind == EXTENT_DATA || e.kind == EXTENT_ZERO)
            return false;
        at = e.end;
    }
    return true;
}

static void check(const struct plan_in *in, const struct plan *p)
{
    uint64_t at = 0, sent = 0;
    assert_in_range(p->n_parts, 1, STORE_PARTS_MAX);
    for (uint32_t i = 0; i < p->n_parts; i++) {
        const struct plan_part *part = &p->parts[i];
        assert_int_equal(part->offset, at);
        at += part->length;
        if (i + 1 < p->n_parts)
            assert_true(part->length >= STORE_PART_SIZE_MIN);
        assert_true(part->length > 0 && part->length <= STORE_PART_SIZE_MAX);
        if (part->copy) {
            assert_true(is_unchanged(in, part->offset, at));
        } else {
            assert_true(part->length <= in->part_size_max && part->length <= p->largest);
            sent += part->length;
        }
    }
    assert_int_equal(at, in->size);
    assert_int_equal(sent, p->sent);
}

static struct plan make(const struct plan_in *in)
{
    struct plan p;
    assert_int_equal(plan_make(in, &p), 0);
    check(in, &p);
    return p;
}

static void set(struct extents *x, uint64_t start, uint64_t length, enum extent_kind kind)
{
    assert_int_equal(extents_set(x, start, start + length, kind), 0);
}

static void a_small_change_is_one_part(void **state)
{
    static const uint64_t AT[] = {0,
                                  1,
                                  5 * MIB - 1,
                                  5 * MIB,
                                  5 * GIB + 12345,
                                  10 * GIB - 6 * MIB,
                                  10 * GIB - 5 * MIB,
                                  10 * GIB - 4 * MIB - 4096,
                                  10 * GIB - 4096};
    for (size_t i = 0; i < ARRAY_SIZE(AT); i++) {
        struct extents x;
        extents_init(&x);
        set(&x, AT[i], 4096, EXTENT_DATA);
        set(&x, 1 * GIB, 4096, EXTENT_CLEAN);
        struct plan_in in = plan_of(&x, 10 * GIB, 10 * GIB);
        struct plan p = make(&in);
        assert_true(p.sent <= 2 * STORE_PART_SIZE_MIN);
        assert_true(p.n_parts <= 17);
        plan_done(&p);
        extents_done(&x);
    }
}

static void changes_of_the_size(void **state)
{
    struct extents x;
    extents_init(&x);
    /* Cut: nothing is sent. */
    struct plan_in in = plan_of(&x, 7 * GIB + 1, 7 * GIB + 1);
    struct plan p = make(&in);
    assert_int_equal(p.sent, 0);
    plan_done(&p);
    /* Appended. */
    in = plan_of(&x, 7 * GIB + 100, 7 * GIB);
    p = make(&in);
    assert_int_equal(p.sent, 100);
    plan_done(&p);
    /* Nothing to copy from. */
    in = plan_of(&x, 50 * MIB, 0);
    p = make(&in);
    assert_int_equal(p.sent, 50 * MIB);
    assert_int_equal(p.n_parts, 7);
    plan_done(&p);
    in = plan_of(&x, 50 * MIB, 5 * MIB);
    p = make(&in);
    assert_int_equal(p.sent, 50 * MIB);
    plan_done(&p);
    in = plan_of(&x, 50 * MIB, 5 * MIB + 1);
    p = make(&in);
    assert_int_equal(p.sent, 45 * MIB - 1);
    plan_done(&p);
}

/* S3's largest object: 10,000 parts of 5 GiB. */
static void the_largest_objects(void **state)
{
    struct extents x;
    extents_init(&x);
    struct plan_in in = plan_of(&x, STORE_OBJECT_SIZE_MAX, STORE_OBJECT_SIZE_MAX);
    struct plan p = make(&in);
    plan_done(&p);
    /* All of it new, for a sender with the memory for it. */
    in.base_size = 0;
    assert_int_equal(plan_make(&in, &p), -EFBIG);
    in.part_size_max = 5 * GIB;
    p = make(&in);
    plan_done(&p);
    /* One change in the middle of the largest of all: one whole part is sent. */
    in.base_size = in.size;
    set(&x, 20000 * GIB + 77, 1, EXTENT_DATA);
    p = make(&in);
    assert_int_equal(p.sent, 5 * GIB);
    plan_done(&p);
    in.part_size_max = 128 * MIB;
    assert_int_equal(plan_make(&in, &p), -EFBIG);
    /* A little below, a little is sent. */
    in.size = in.base_size = STORE_OBJECT_SIZE_MAX - 11 * GIB;
    p = make(&in);
    assert_int_equal(p.sent, 5 * MIB);
    plan_done(&p);
    /* 1 TiB of new data through 128 MiB of memory. */
    extents_done(&x);
    in = plan_of(&x, TIB, 0);
    p = make(&in);
    plan_done(&p);
    extents_done(&x);
}

/* More changes than S3 has parts. */
static void too_many_changes(void **state)
{
    struct extents x;
    extents_init(&x);
    for (uint64_t i = 0; i < 30000; i++)
        set(&x, i * 20 * MIB, 100, EXTENT_DATA);
    struct plan_in in = plan_of(&x, 30000 * 20 * MIB, 30000 * 20 * MIB);
    struct plan p = make(&in);
    plan_done(&p);
    extents_done(&x);
}

static void random_changes(void **state)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        uint64_t random = seed, changed = 0, n = next_random(&random) % 60;
        uint64_t size = 1 + next_random(&random) % (seed % 3 ? 200 * MIB : 40 * TIB);
        uint64_t base = next_random(&random) % 3 ? size : next_random(&random) % (2 * size);
        struct extents x;
        extents_init(&x);
        uint64_t known = size < base ? size : base;
        for (uint64_t i = 0; i < n; i++) {
            uint64_t start = next_random(&random) % size;
            uint64_t length =
                1 + next_random(&random) % (next_random(&random) % 4 ? 9000 : 30 * MIB);
            length = length < size - start ? length : size - start;
            enum extent_kind kind = 1 + next_random(&random) % (EXTENT_KINDS - 1);
            if (kind == EXTENT_CLEAN && start + length > known)
                kind = EXTENT_ZERO;
            set(&x, start, length, kind);
        }
        for (uint64_t at = 0; at < known;) {
            struct extent e = extents_at(&x, at, known);
            if (e.kind == EXTENT_DATA || e.kind == EXTENT_ZERO)
                changed += e.end - e.start;
            at = e.end;
        }
        if (size > known)
            changed += size - known;
        struct plan_in in = plan_of(&x, size, base);
        if (changed > 500 * GIB)
            in.part_size_max = 5 * GIB;
        struct plan p;
        int r = plan_make(&in, &p);
        if (r)
            fail_msg("seed %llu: %d", (unsigned long long)seed, r);
        check(&in, &p);
        if (size <= 200 * MIB || base > 5 * MIB)
            assert_true(p.sent <= changed + (n + 2) * 2 * STORE_PART_SIZE_MIN);
        plan_done(&p);
        extents_done(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_change_is_one_part),
        cmocka_unit_test(changes_of_the_size),
        cmocka_unit_test(the_largest_objects),
        cmocka_unit_test(too_many_changes),
        cmocka_unit_test(random_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
