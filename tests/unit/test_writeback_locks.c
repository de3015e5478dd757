/* SPDX-License-Identifier: Apache-2.0 */
/* Write-back: what must be the store's own answer, and what has to be stored last. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "writeback_bed.h"

struct waiting_put {
    struct bed *b;
    const char *etag;
    int result;
};

static void *put_directly(void *arg)
{
    struct waiting_put *p = arg;
    struct store_put_in in = {.key = "f", .if_match = p->etag, .through = true};
    struct store_version v;
    p->result = store_put(p->b->wb, &in, &v, NULL);
    return NULL;
}

/* One that goes to the store itself waits for what it builds on, and is told that it lost. */
static void a_direct_change_of_a_loser_is_refused(void **state)
{
    struct bed b;
    struct store_version v;
    open_bed(&b, 2);
    struct store_fault_rule hold = {.op = STORE_PUT, .hold = true, .count = 1};
    assert_int_equal(put(b.memory, "f", "base", NULL, false, &v), 0);
    assert_int_equal(store_fault_add(b.fault, &hold), 0);
    assert_int_equal(put(b.wb, "f", "first", v.etag, false, &v), 0);
    struct waiting_put second = {.b = &b, .etag = v.etag};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, put_directly, &second), 0);
    struct writeback_stats st = {0};
    while (st.changes < 2) {
        sched_yield();
        writeback_stats(b.wb, &st);
    }
    assert_int_equal(put(b.memory, "f", "theirs", NULL, false, NULL), 0);
    while (!store_fault_release(b.fault, 0))
        sched_yield();
    pthread_join(thread, NULL);
    assert_int_equal(second.result, -ESTALE);
    drain(&b);
    assert_int_equal(kept(&b), 1);
    assert_string_equal(get(b.memory, "f"), "theirs");
    close_bed(&b);
}

static void exclusive_creation_goes_through(void **state)
{
    struct bed b;
    struct store_version v;
    open_bed(&b, 2);
    assert_int_equal(put(b.memory, "lock", "theirs", NULL, false, NULL), 0);
    struct store_put_in in = {.key = "lock", .if_absent = true, .through = true};
    assert_int_equal(store_put(b.wb, &in, &v, NULL), -ESTALE);
    in.key = "lock2";
    assert_int_equal(store_put(b.wb, &in, &v, NULL), 0);
    assert_non_null(get(b.memory, "lock2"));
    close_bed(&b);
}

/* RENAME_NOREPLACE: the answer is the store's, whatever is pending for the names. */
static void exclusive_copies_go_through(void **state)
{
    struct bed b;
    struct store_version v, w;
    open_bed(&b, 2);
    struct store_copy_in in = {.source_key = "a", .key = "b", .if_absent = true, .through = true};
    assert_int_equal(put(b.memory, "a", "ours", NULL, false, &v), 0);
    assert_int_equal(put(b.memory, "b", "theirs", NULL, false, NULL), 0);
    in.source_if_match = v.etag;
    assert_int_equal(store_copy(b.wb, &in, &w, NULL), -ESTALE);
    in.key = "c";
    store_count_reset(b.count);
    assert_int_equal(store_copy(b.wb, &in, &w, NULL), 0);
    assert_int_equal(store_count_all(b.count), 1);
    assert_string_equal(get(b.memory, "c"), "ours");

    /* Of what is pending, over a name that is about to go. */
    assert_int_equal(put(b.wb, "a", "newer", v.etag, false, &v), 0);
    assert_int_equal(store_delete(b.wb, "c", NULL, NULL), 0);
    in.source_if_match = v.etag;
    assert_int_equal(store_copy(b.wb, &in, &w, NULL), 0);
    assert_string_equal(get(b.memory, "c"), "newer");
    assert_string_equal(get(b.wb, "c"), "newer");
    drain(&b);
    assert_string_equal(get(b.memory, "a"), "newer");
    assert_int_equal(kept(&b), 0);
    close_bed(&b);
}

/* Its parts are nowhere but in the store: it is stored when it says so, and not otherwise. */
static void an_upload_ends_with_the_answer_of_the_store(void **state)
{
    struct bed b;
    struct store_version v;
    struct store_upload u;
    struct store_part part;
    struct iovec iov = {(void *)"12345", 5};
    struct store_upload_create_in create = {.key = "big"};
    struct s3_error err = {0};
    open_bed(&b, 2);
    assert_int_equal(put(b.wb, "big", "small", NULL, true, &v), 0);
    assert_int_equal(store_call(b.wb, STORE_UPLOAD_CREATE, &create, &u, NULL), 0);
    struct store_upload_part_in in = {
        .key = "big", .upload_id = u.id, .number = 1, .body = &iov, .n_body = 1};
    assert_int_equal(store_call(b.wb, STORE_UPLOAD_PART, &in, &part, NULL), 0);
    struct store_upload_complete_in complete = {
        .key = "big", .upload_id = u.id, .parts = &part, .n_parts = 1, .if_match = v.etag};
    /* The network is away: neither it nor what is pending before it can be stored. */
    struct store_fault_rule down = {.op = STORE_OP_MAX, .error = S3_ERROR_CONNECT};
    assert_int_equal(store_fault_add(b.fault, &down), 0);
    assert_int_equal(store_call(b.wb, STORE_UPLOAD_COMPLETE, &complete, &v, &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_CONNECT);
    assert_string_equal(get(b.wb, "big"), "small");
    struct writeback_stats st;
    writeback_stats(b.wb, &st);
    assert_int_equal(st.changes, 1);
    store_fault_clear(b.fault);
    assert_int_equal(store_call(b.wb, STORE_UPLOAD_COMPLETE, &complete, &v, NULL), 0);
    assert_string_equal(get(b.wb, "big"), "12345");
    assert_string_equal(get(b.memory, "big"), "12345");
    writeback_stats(b.wb, &st);
    assert_int_equal(st.changes, 0);
    close_bed(&b);
}

static void reopen(struct bed *b)
{
    writeback_leave(b->wb);
    open_wb(b);
}

/* Who gets a lock next sees what was written under it, also when the process ended in between. */
static void a_lock_is_released_after_everything_else(void **state)
{
    for (int crash = 0; crash < 2; crash++) {
        struct bed b;
        struct store_fault_rule down = {
            .op = STORE_PUT, .prefix = "data", .error = S3_ERROR_SERVER};
        struct store_delete_in release = {.key = "x.lock", .after_all = true};
        open_bed(&b, 2);
        assert_int_equal(put(b.memory, "x.lock", "", NULL, false, NULL), 0);
        assert_int_equal(store_fault_add(b.fault, &down), 0);
        assert_int_equal(put(b.wb, "data1", "1", NULL, false, NULL), 0);
        assert_int_equal(put(b.wb, "data2", "1", NULL, false, NULL), 0);
        assert_int_equal(store_call(b.wb, STORE_DELETE, &release, NULL, NULL), 0);
        /* What comes after it waits for nothing, and what it waits for is not given up for that. */
        assert_int_equal(put(b.wb, "later", "1", NULL, false, NULL), 0);
        assert_int_equal(put(b.wb, "data2", "2", NULL, false, NULL), 0);
        release.key = "y.lock";
        assert_int_equal(store_call(b.wb, STORE_DELETE, &release, NULL, NULL), 0);
        if (crash)
            reopen(&b);
        for (int i = 0; i < 5; i++) {
            assert_false(writeback_settle(b.wb));
            clock_fake_advance(&b.clock, 31ull * NS_PER_S);
        }
        assert_non_null(get(b.memory, "x.lock"));
        assert_null(get(b.wb, "x.lock"));
        assert_non_null(get(b.memory, "later"));
        store_fault_clear(b.fault);
        drain(&b);
        assert_null(get(b.memory, "x.lock"));
        assert_string_equal(get(b.memory, "data2"), "2");
        assert_int_equal(journal_disk_rows(b.disk), 0);
        close_bed(&b);
    }
}

/* What was sent before a crash, without a condition, is not sent over what another host has made of
 * it since: nobody had been told that it would be. */
static void what_came_later_stays(void **state)
{
    struct bed b;
    struct store_version v;
    struct store_fault_rule lose = {
        .op = STORE_OP_MAX, .error = S3_ERROR_TIMEOUT, .lose_answer = true};
    open_bed(&b, 2);
    assert_int_equal(put(b.memory, "old", "1", NULL, false, NULL), 0);
    assert_int_equal(put(b.memory, "c", "1", NULL, false, &v), 0);
    clock_fake_advance(&b.clock, 10ull * NS_PER_S);
    assert_int_equal(put(b.wb, "same", "ours", NULL, false, NULL), 0);
    assert_int_equal(put(b.wb, "theirs", "ours", NULL, false, NULL), 0);
    assert_int_equal(store_delete(b.wb, "gone", NULL, NULL), 0);
    assert_int_equal(store_delete(b.wb, "old", NULL, NULL), 0);
    assert_int_equal(copy(b.wb, "c", v.etag, "copy", NULL), 0);
    assert_int_equal(store_fault_add(b.fault, &lose), 0);
    (void)writeback_settle(b.wb);
    assert_non_null(get(b.memory, "same"));
    store_fault_clear(b.fault);
    clock_fake_advance(&b.clock, 10ull * NS_PER_S);
    assert_int_equal(put(b.memory, "theirs", "newer", NULL, false, NULL), 0);
    assert_int_equal(put(b.memory, "gone", "anew", NULL, false, NULL), 0);
    assert_int_equal(put(b.memory, "copy", "newer", NULL, false, NULL), 0);
    store_count_reset(b.count);
    reopen(&b);
    drain(&b);
    assert_string_equal(get(b.memory, "same"), "ours");
    assert_string_equal(get(b.memory, "theirs"), "newer");
    assert_string_equal(get(b.memory, "gone"), "anew");
    assert_string_equal(get(b.memory, "copy"), "newer");
    assert_string_equal(get(b.memory, "c"), "1");
    assert_null(get(b.memory, "old"));
    assert_int_equal(store_count_requests(b.count, STORE_PUT), 0);
    assert_int_equal(kept(&b), 1);
    assert_string_equal(b.kept[0].data, "ours");
    assert_int_equal(journal_disk_rows(b.disk), 0);
    close_bed(&b);
}

/* And what was there before is replaced, as it was to be. */
static void what_came_before_is_replaced(void **state)
{
    struct bed b;
    open_bed(&b, 2);
    assert_int_equal(put(b.memory, "f", "older", NULL, false, NULL), 0);
    assert_int_equal(put(b.memory, "g", "older", NULL, false, NULL), 0);
    clock_fake_advance(&b.clock, 10ull * NS_PER_S);
    assert_int_equal(put(b.wb, "f", "ours", NULL, false, NULL), 0);
    assert_int_equal(store_delete(b.wb, "g", NULL, NULL), 0);
    reopen(&b);
    clock_fake_advance(&b.clock, 10ull * NS_PER_S);
    drain(&b);
    assert_string_equal(get(b.memory, "f"), "ours");
    assert_null(get(b.memory, "g"));
    assert_int_equal(kept(&b), 0);
    close_bed(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_direct_change_of_a_loser_is_refused),
        cmocka_unit_test(exclusive_creation_goes_through),
        cmocka_unit_test(exclusive_copies_go_through),
        cmocka_unit_test(an_upload_ends_with_the_answer_of_the_store),
        cmocka_unit_test(a_lock_is_released_after_everything_else),
        cmocka_unit_test(what_came_later_stays),
        cmocka_unit_test(what_came_before_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
