/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "http/http_deadline.h"

static void test_order(void **state)
{
    struct http_deadlines_heap h = {0};
    struct http_deadline d[5] = {0};
    const uint64_t at[5] = {30, 10, 50, 20, 40};

    for (int i = 0; i < 5; i++)
        http_deadline_set(&h, &d[i], at[i]);
    for (uint64_t want = 10; want <= 50; want += 10) {
        struct http_deadline *first = h.root;
        assert_int_equal(first->at, want);
        http_deadline_clear(&h, first);
        assert_false(first->queued);
    }
    assert_null(h.root);
    http_deadline_clear(&h, &d[0]); /* not queued: no effect */
    assert_null(h.root);
}

/* Against the plainest thing that can be right. */
static void test_random_operations(void **state)
{
    enum { N = 200, STEPS = 200000 };
    struct http_deadlines_heap h = {0};
    static struct http_deadline d[N];
    unsigned seed = 20240607;
    size_t queued = 0;

    print_message("seed %u\n", seed);
    for (int step = 0; step < STEPS; step++) {
        struct http_deadline *x = &d[rand_r(&seed) % N];
        if (rand_r(&seed) % 3) {
            queued += !x->queued;
            http_deadline_set(&h, x, (uint64_t)rand_r(&seed) % 1000);
        } else {
            queued -= x->queued;
            http_deadline_clear(&h, x);
        }
        if (step % 16)
            continue;
        uint64_t min = UINT64_MAX;
        for (int i = 0; i < N; i++)
            if (d[i].queued && d[i].at < min)
                min = d[i].at;
        assert_int_equal(h.root ? h.root->at : UINT64_MAX, min);
    }
    uint64_t last = 0;
    for (; h.root; queued--) {
        assert_true(h.root->at >= last);
        last = h.root->at;
        http_deadline_clear(&h, h.root);
    }
    assert_int_equal(queued, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
