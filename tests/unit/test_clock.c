/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/attr.h"
#include "base/clock.h"

static void test_system(void **state)
{
    struct clock *c = clock_system();
    assert_ptr_equal(c, clock_system());
    uint64_t before = clock_monotonic_ns(c);
    clock_sleep_ns(c, 2 * NS_PER_MS);
    uint64_t after = clock_monotonic_ns(c);
    assert_true(after - before >= 2 * (uint64_t)NS_PER_MS);
    assert_true(clock_realtime_ns(c) > 1700000000 * NS_PER_S); /* in nanoseconds, after 2023 */
}

static void test_fake_stands_still(void **state)
{
    struct clock_fake f;
    clock_fake_init(&f, 1234 * NS_PER_S);
    uint64_t start = clock_monotonic_ns(&f.clock);
    assert_true(start > 0);
    assert_int_equal(clock_monotonic_ns(&f.clock), start);
    assert_int_equal(clock_realtime_ns(&f.clock), 1234 * NS_PER_S);
}

static void test_fake_moves_when_told(void **state)
{
    struct clock_fake f;
    clock_fake_init(&f, -5);
    uint64_t start = clock_monotonic_ns(&f.clock);
    clock_fake_advance(&f, 7);
    assert_int_equal(clock_monotonic_ns(&f.clock), start + 7);
    assert_int_equal(clock_realtime_ns(&f.clock), 2);
    assert_int_equal(f.sleeps, 0);
    clock_sleep_ns(&f.clock, 100);
    clock_sleep_ns(&f.clock, 11);
    assert_int_equal(clock_monotonic_ns(&f.clock), start + 118);
    assert_int_equal(f.slept, 111);
    assert_int_equal(f.sleeps, 2);
}

static void *sleep_1000_times(void *arg)
{
    for (int i = 0; i < 1000; i++)
        clock_sleep_ns(arg, 1);
    return NULL;
}

static void test_fake_counts_all_threads(void **state)
{
    struct clock_fake f;
    clock_fake_init(&f, 0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_1000_times, &f.clock), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(f.sleeps, 4000);
    assert_int_equal(f.slept, 4000);
    assert_int_equal(clock_realtime_ns(&f.clock), 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system),
        cmocka_unit_test(test_fake_stands_still),
        cmocka_unit_test(test_fake_moves_when_told),
        cmocka_unit_test(test_fake_counts_all_threads),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
