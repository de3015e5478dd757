/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/waiting.h"

/* What the thread did. */
struct told {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned answers, lines;
    size_t size;
    uint64_t forgotten;
};
static struct told told = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void answer(const struct waiting_entry *copy)
{
    pthread_mutex_lock(&told.lock);
    told.answers++;
    told.size = copy->size;
    pthread_cond_broadcast(&told.changed);
    pthread_mutex_unlock(&told.lock);
}

static void forget(void *ctx, uint64_t ino, uint64_t n)
{
    told.forgotten += ino * n;
}

static void tell(void *ctx, const struct waiting_entry *copy)
{
    pthread_mutex_lock(&told.lock);
    told.lines++;
    pthread_cond_broadcast(&told.changed);
    pthread_mutex_unlock(&told.lock);
}

static void wait_for_lines(unsigned n)
{
    pthread_mutex_lock(&told.lock);
    while (told.lines < n)
        pthread_cond_wait(&told.changed, &told.lock);
    pthread_mutex_unlock(&told.lock);
}

static pid_t dead;

/* A process that a signal has ended, and that nobody has waited for. */
static int make_dead(void **state)
{
    siginfo_t info;
    dead = fork();
    if (dead == 0)
        for (;;)
            pause();
    return dead < 0 || kill(dead, SIGKILL) < 0 ||
           waitid(P_PID, (id_t)dead, &info, WEXITED | WNOWAIT) < 0;
}

static int reap(void **state)
{
    return waitpid(dead, NULL, 0) != dead;
}

static struct waiting *start(void)
{
    const struct waiting_hooks hooks = {.answer = answer, .forget = forget, .tell = tell};
    struct waiting *w;
    told.answers = told.lines = 0;
    told.size = 0;
    told.forgotten = 0;
    assert_int_equal(waiting_new(&hooks, &w), 0);
    assert_int_equal(waiting_start(w), 0);
    return w;
}

static void test_worker_answers(void **state)
{
    struct waiting *w = start();
    struct waiting_entry e = {.thread = getpid(), .kind = WAITING_CHANGES, .ino = 5};
    waiting_add(w, &e);
    waiting_settle(w, &e);
    assert_true(waiting_take(w, &e));
    assert_false(waiting_defer_forget(w, 5, 1));
    waiting_finish(w, &e);
    waiting_free(w);
    assert_int_equal(told.answers, 0);
}

static void *end_at_once(void *ctx)
{
    *(pid_t *)ctx = (pid_t)syscall(SYS_gettid);
    return NULL;
}

/* A thread of this process that has ended; a child is a process that has. */
static void test_gone_threads(void **state)
{
    pthread_t thread;
    pid_t gone = 0;
    assert_int_equal(pthread_create(&thread, NULL, end_at_once, &gone), 0);
    pthread_join(thread, NULL);
    while (kill(gone, 0) == 0) /* it is joined a little before */
        sched_yield();
    struct waiting *w = start();
    struct waiting_entry direct = {
        .thread = gone, .kind = WAITING_LOOKS, .ino = 1, .size = 1, .direct = true};
    struct waiting_entry pages = {.thread = gone, .kind = WAITING_LOOKS, .ino = 2, .size = 2};
    waiting_add(w, &direct);
    waiting_add(w, &pages);
    wait_for_lines(1);
    assert_int_equal(told.size, 2);
    assert_false(waiting_take(w, &pages));
    waiting_finish(w, &pages);
    assert_true(waiting_take(w, &direct));
    waiting_finish(w, &direct);
    waiting_free(w);
    assert_int_equal(told.answers, 1);
}

static void test_dead_one_is_answered(void **state)
{
    struct waiting *w = start();
    struct waiting_entry alive = {.thread = getpid(), .kind = WAITING_LOOKS, .ino = 1};
    struct waiting_entry unknown = {.thread = 0, .kind = WAITING_LOOKS, .ino = 1};
    struct waiting_entry copy = {.thread = dead, .kind = WAITING_COPIES, .ino = 1};
    struct waiting_entry e = {.thread = dead, .kind = WAITING_LOOKS, .ino = 1};
    struct waiting_entry write = {.thread = dead, .kind = WAITING_CHANGES, .ino = 1, .size = 77};
    waiting_add(w, &alive);
    waiting_add(w, &unknown);
    waiting_add(w, &copy);
    waiting_add(w, &e);
    wait_for_lines(1);
    assert_int_equal(told.size, 0);
    waiting_add(w, &write);
    wait_for_lines(2);
    assert_int_equal(told.size, 77);
    assert_true(waiting_take(w, &alive));
    assert_true(waiting_take(w, &unknown));
    assert_true(waiting_take(w, &copy));
    assert_false(waiting_take(w, &e));
    assert_false(waiting_take(w, &write));
    assert_int_equal(told.answers, 2);

    /* What the kernel forgets meanwhile is forgotten when the last of them is at its end. */
    assert_true(waiting_defer_forget(w, 10, 2));
    waiting_finish(w, &e);
    assert_true(waiting_defer_forget(w, 100, 3));
    assert_int_equal(told.forgotten, 0);
    waiting_finish(w, &alive);
    waiting_finish(w, &write);
    assert_int_equal(told.forgotten, 320);
    assert_false(waiting_defer_forget(w, 10, 1));
    waiting_free(w);
}

struct later {
    struct waiting *w;
    struct waiting_entry e;
    atomic_bool settled;
};

static void *settle(void *arg)
{
    struct later *l = arg;
    waiting_settle(l->w, &l->e);
    atomic_store(&l->settled, true);
    return NULL;
}

static void test_later_changes_wait(void **state)
{
    struct waiting *w = start();
    pthread_t thread, closer;
    struct later same = {.w = w, .e = {.kind = WAITING_CHANGES, .ino = 3}};
    struct waiting_entry before = {.kind = WAITING_CHANGES, .ino = 7, .other_ino = 3};
    struct waiting_entry rename = {
        .thread = dead, .kind = WAITING_CHANGES, .ino = 2, .other_ino = 3};
    struct later store = {.w = w, .e = {.kind = WAITING_STORES, .ino = 2}};
    struct waiting_entry other = {.kind = WAITING_CHANGES, .ino = 4};
    waiting_add(w, &before);
    waiting_add(w, &rename);
    wait_for_lines(1);
    waiting_add(w, &same.e);
    waiting_add(w, &other);
    waiting_settle(w, &other);
    waiting_settle(w, &before); /* older: it does not wait */
    /* The second directory's, and what tells of the outcome. */
    waiting_add(w, &store.e);
    assert_int_equal(pthread_create(&thread, NULL, settle, &same), 0);
    assert_int_equal(pthread_create(&closer, NULL, settle, &store), 0);
    assert_false(waiting_take(w, &rename));
    assert_false(atomic_load(&same.settled) || atomic_load(&store.settled));
    waiting_finish(w, &rename);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_join(closer, NULL), 0);
    assert_true(waiting_take(w, &same.e));
    assert_true(waiting_take(w, &store.e));
    assert_true(waiting_take(w, &other));
    assert_true(waiting_take(w, &before));
    waiting_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker_answers),
        cmocka_unit_test(test_gone_threads),
        cmocka_unit_test(test_dead_one_is_answered),
        cmocka_unit_test(test_later_changes_wait),
    };
    return cmocka_run_group_tests(tests, make_dead, reap);
}
