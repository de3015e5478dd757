/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "alloc_fail.h"
#include "base/attr.h"
#include "base/clock.h"
#include "base/pool.h"

static atomic_int counter;

static void count(void *arg)
{
    atomic_fetch_add(&counter, 1);
}

static int reset(void **state)
{
    atomic_store(&counter, 0);
    return 0;
}

static void test_each_task_runs_once(void **state)
{
    struct threadpool *p = NULL;
    assert_int_equal(threadpool_new(3, "test", &p), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(threadpool_submit(p, count, NULL), 0);
    threadpool_drain(p);
    assert_int_equal(atomic_load(&counter), 1000);
    threadpool_drain(p);
    threadpool_free(p);
    assert_int_equal(atomic_load(&counter), 1000);
}

static void test_free_runs_what_is_queued(void **state)
{
    struct threadpool *p = NULL;
    assert_int_equal(threadpool_new(2, "test", &p), 0);
    for (int i = 0; i < 500; i++)
        assert_int_equal(threadpool_submit(p, count, NULL), 0);
    threadpool_free(p);
    assert_int_equal(atomic_load(&counter), 500);
    threadpool_free(NULL);
}

static pthread_barrier_t taken;

/* Slow once it has left the queue, so that waiting for an empty queue alone is not enough. */
static void count_late(void *arg)
{
    pthread_barrier_wait(&taken);
    clock_sleep_ns(clock_system(), 20 * NS_PER_MS);
    count(NULL);
}

static void test_drain_waits_for_what_is_running(void **state)
{
    struct threadpool *p = NULL;
    pthread_barrier_init(&taken, NULL, 2);
    assert_int_equal(threadpool_new(2, "test", &p), 0);
    assert_int_equal(threadpool_submit(p, count_late, NULL), 0);
    pthread_barrier_wait(&taken);
    threadpool_drain(p);
    assert_int_equal(atomic_load(&counter), 1);
    threadpool_free(p);
    pthread_barrier_destroy(&taken);
}

static int order[100], n_order;

static void note_order(void *arg)
{
    order[n_order++] = (int)(intptr_t)arg; /* one worker only */
}

static void test_first_in_first_out(void **state)
{
    struct threadpool *p = NULL;
    assert_int_equal(threadpool_new(1, "test", &p), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(threadpool_submit(p, note_order, (void *)(intptr_t)i), 0);
    threadpool_free(p);
    assert_int_equal(n_order, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(order[i], i);
}

/* Tasks that wait for each other finish only when all threads work at the same time. */
static void meet(void *arg)
{
    pthread_barrier_wait(arg);
    count(NULL);
}

static void test_threads_work_side_by_side(void **state)
{
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 4);
    struct threadpool *p = NULL;
    assert_int_equal(threadpool_new(4, "test", &p), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(threadpool_submit(p, meet, &barrier), 0);
    threadpool_free(p);
    assert_int_equal(atomic_load(&counter), 8);
    pthread_barrier_destroy(&barrier);
}

static struct threadpool *stopping;
static int submit_result;

/* Tries until the pool refuses: threadpool_free has begun, but waits for this task. */
static void submit_while_stopping(void *arg)
{
    pthread_barrier_wait(arg);
    do
        submit_result = threadpool_submit(stopping, count, NULL);
    while (submit_result == 0);
}

static void test_submit_after_free_began(void **state)
{
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(threadpool_new(1, "test", &stopping), 0);
    assert_int_equal(threadpool_submit(stopping, submit_while_stopping, &barrier), 0);
    pthread_barrier_wait(&barrier);
    threadpool_free(stopping);
    assert_int_equal(submit_result, -ESHUTDOWN);
    pthread_barrier_destroy(&barrier);
}

static char seen_name[16];
static sigset_t seen_mask;

static void look_at_thread(void *arg)
{
    pthread_getname_np(pthread_self(), seen_name, sizeof(seen_name));
    pthread_sigmask(SIG_SETMASK, NULL, &seen_mask);
}

static void test_name_and_signals(void **state)
{
    struct threadpool *p = NULL;
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(threadpool_new(1, "a-name-over-fifteen-bytes", &p), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
    assert_int_equal(threadpool_submit(p, look_at_thread, NULL), 0);
    threadpool_free(p);
    assert_string_equal(seen_name, "a-name-over-fif");
    assert_int_equal(sigismember(&seen_mask, SIGTERM), 1);
    assert_int_equal(sigismember(&seen_mask, SIGINT), 1);
}

static void test_refusals(void **state)
{
    struct threadpool *p = NULL;
    assert_int_equal(threadpool_new(0, "test", &p), -EINVAL);
    alloc_fail_begin(0);
    int r = threadpool_new(1, "test", &p);
    assert_true(alloc_fail_end());
    assert_int_equal(r, -ENOMEM);
    assert_null(p);

    assert_int_equal(threadpool_new(1, NULL, &p), 0);
    alloc_fail_begin(0);
    r = threadpool_submit(p, count, NULL);
    assert_true(alloc_fail_end());
    assert_int_equal(r, -ENOMEM);
    threadpool_free(p);
    assert_int_equal(atomic_load(&counter), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_each_task_runs_once, reset),
        cmocka_unit_test_setup(test_free_runs_what_is_queued, reset),
        cmocka_unit_test_setup(test_drain_waits_for_what_is_running, reset),
        cmocka_unit_test_setup(test_first_in_first_out, reset),
        cmocka_unit_test_setup(test_threads_work_side_by_side, reset),
        cmocka_unit_test_setup(test_submit_after_free_began, reset),
        cmocka_unit_test_setup(test_name_and_signals, reset),
        cmocka_unit_test_setup(test_refusals, reset),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
