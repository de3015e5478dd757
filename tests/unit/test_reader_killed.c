/* SPDX-License-Identifier: Apache-2.0 */
/* Readers whose program was killed while the store does not answer, and what looks like one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/interrupt.h"
#include "data_bed.h"

#define SEED 11

struct killed {
    struct reader *r;
    uint64_t offset;
    atomic_bool over;
    int result;
};

static void *read_until_killed(void *arg)
{
    struct killed *k = arg;
    struct reader_view view;
    (void)interrupt_watch(&k->over);
    k->result = reader_read_view(k->r, k->offset, 4096, &view, NULL);
    if (!k->result)
        reader_view_done(&view);
    return NULL;
}

static int read_check(struct reader *r, uint64_t offset)
{
    return bed_read_check(r, SEED, offset, 4096, 4096);
}

static void *read_to_the_end(void *arg)
{
    struct killed *k = arg;
    k->result = read_check(k->r, k->offset);
    return NULL;
}

static void wait_for_held(struct bed *b, unsigned n)
{
    for (int i = 0; i < 60000 && store_fault_held(b->fault) < n; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(store_fault_held(b->fault), n);
}

/* Nobody waits any more for what the store does not answer; another one has what that brings. */
static void killed_readers_do_not_wait(void **state)
{
    for (int known = 0; known < 2; known++) {
        struct bed b;
        bed_open(&b, 1, NULL, NULL);
        struct store_version v;
        bed_put(&b, "f", SEED, 64 * MIB, &v);
        struct store_fault_rule rule = {.op = STORE_GET, .hold = true};
        struct reader_options o = {.key = "f", .size = 64 * MIB, .etag = v.etag};
        struct reader *r = NULL;
        assert_int_equal(reader_new(b.data, &o, &r), 0);
        assert_int_equal(known ? read_check(r, 0) : 0, 0);
        assert_int_equal(store_fault_add(b.fault, &rule), 0);
        struct killed k[3];
        pthread_t id[3], other;
        for (unsigned i = 0; i < ARRAY_SIZE(k); i++) {
            k[i] = (struct killed){.r = r, .offset = (i < 2 ? 30 : 50) * MIB};
            assert_int_equal(pthread_create(&id[i], NULL, read_until_killed, &k[i]), 0);
            if (i != 1)
                wait_for_held(&b, i ? 2 : 1);
        }
        struct killed t = {.r = r, .offset = 30 * MIB};
        assert_int_equal(pthread_create(&other, NULL, read_to_the_end, &t), 0);
        for (unsigned i = 0; i < ARRAY_SIZE(k); i++) {
            atomic_store(&k[i].over, true);
            pthread_join(id[i], NULL);
            assert_int_equal(k[i].result, -EINTR);
        }
        store_fault_clear(b.fault);
        store_fault_release(b.fault, 0);
        pthread_join(other, NULL);
        assert_int_equal(t.result, 0);
        assert_int_equal(read_check(r, 50 * MIB), 0);
        reader_free(r);
        bed_close(&b);
    }
}

/* The errno of a request that was cancelled is that of a reader who gave up. The next one asks. */
static void cancelled_question_is_asked_again(void **state)
{
    struct bed b;
    bed_open(&b, 0, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 100000, &v);
    struct store_fault_rule rule = {.op = STORE_GET, .count = 1, .error = S3_ERROR_CANCELLED};
    struct reader_options o = {.key = "f", .size = 100000, .etag = v.etag};
    struct reader *r;
    assert_int_equal(reader_new(b.data, &o, &r), 0);
    assert_int_equal(store_fault_add(b.fault, &rule), 0);
    assert_int_equal(read_check(r, 0), -EINTR);
    /* Nothing is waited for where each answer comes at once, so the flag is not looked at. */
    struct killed k = {.r = r, .over = true, .result = 1};
    (void)read_until_killed(&k);
    (void)interrupt_watch(NULL);
    assert_int_equal(k.result, 0);
    reader_free(r);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_readers_do_not_wait),
        cmocka_unit_test(cancelled_question_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
