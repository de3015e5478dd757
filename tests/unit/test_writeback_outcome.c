/* SPDX-License-Identifier: Apache-2.0 */
/* Write-back: whose an object is that stands where a change was to go, and what becomes of content
 * that lost a conflict. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "writeback_bed.h"

/* An answer that does not come, while another host takes the name: of the same size, but not ours.
 */
static void the_copy_of_another_host_is_not_ours(void **state)
{
    struct bed b;
    struct store_version v, w;
    struct store_fault_rule lost = {.op = STORE_COPY, .error = S3_ERROR_TIMEOUT, .count = 1};
    open_bed(&b, 2);
    assert_int_equal(put(b.memory, "a", "precious", NULL, false, &v), 0);
    struct store_copy_in in = {
        .source_key = "a", .source_if_match = v.etag, .key = "b", .if_absent = true};
    assert_int_equal(store_copy(b.wb, &in, &w, NULL), 0);
    assert_int_equal(store_delete(b.wb, "a", v.etag, NULL), 0);
    assert_int_equal(store_fault_add(b.fault, &lost), 0);
    assert_int_equal(put(b.memory, "b", "another.", NULL, false, NULL), 0);
    drain(&b);
    assert_string_equal(get(b.memory, "a"), "precious");
    assert_string_equal(get(b.memory, "b"), "another.");
    struct writeback_stats st;
    writeback_stats(b.wb, &st);
    assert_int_equal(st.conflicts, 2); /* and the removal */
    close_bed(&b);
}

static void put_parts(struct store *s, const char *key, const char *half)
{
    struct store_upload u;
    struct store_part parts[2];
    struct store_version v;
    struct iovec iov = {(void *)(uintptr_t)half, strlen(half)};
    struct store_upload_create_in create = {.key = key};
    assert_int_equal(store_call(s, STORE_UPLOAD_CREATE, &create, &u, NULL), 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct store_upload_part_in in = {
            .key = key, .upload_id = u.id, .number = i + 1, .body = &iov, .n_body = 1};
        assert_int_equal(store_call(s, STORE_UPLOAD_PART, &in, &parts[i], NULL), 0);
    }
    struct store_upload_complete_in complete = {
        .key = key, .upload_id = u.id, .parts = parts, .n_parts = 2};
    assert_int_equal(store_call(s, STORE_UPLOAD_COMPLETE, &complete, &v, NULL), 0);
}

/* The ETag of such a copy is not known. After a first try without an answer only times in the
 * metadata tell it from another host's object of that size; without them both names stay. */
static void a_copy_of_parts_is_known_again(void **state)
{
    enum { OURS, THEIR_PARTS, THEIR_PUT, WHOSE };
    static const struct store_metadata ctime = {"ctime", "1700000000.000000001"};
    for (int kind = 0; kind < 4 * WHOSE; kind++) {
        bool absent = kind & 1, timed = kind & 2;
        int whose = kind / 4;
        struct bed b;
        struct store_version w;
        struct store_fault_rule lost = {
            .op = STORE_COPY, .error = S3_ERROR_TIMEOUT, .lose_answer = whose == OURS, .count = 1};
        struct store_copy_in in = {.source_key = "big", .key = "new", .if_absent = absent};
        if (timed) {
            in.replace_attrs = true;
            in.attrs = (struct store_attrs){.metadata = &ctime, .n_metadata = 1};
        }
        open_bed(&b, 2);
        put_parts(b.memory, "big", "12345");
        assert_int_equal(store_copy(b.wb, &in, &w, NULL), 0);
        assert_int_equal(store_delete(b.wb, "big", NULL, NULL), 0);
        assert_int_equal(store_fault_add(b.fault, &lost), 0);
        clock_fake_advance(&b.clock, 5ull * NS_PER_S);
        if (whose == THEIR_PARTS)
            put_parts(b.memory, "new", "abcde");
        else if (whose == THEIR_PUT)
            assert_int_equal(put(b.memory, "new", "abcdeabcde", NULL, false, NULL), 0);
        drain(&b);
        struct writeback_stats st;
        writeback_stats(b.wb, &st);
        bool known = whose == OURS && timed;
        assert_int_equal(st.conflicts, known ? 0 : 2);
        assert_string_equal(get(b.memory, "new"), whose == OURS ? "1234512345" : "abcdeabcde");
        assert_int_equal(get(b.memory, "big") == NULL, known);
        close_bed(&b);
    }
}

/* What was in the way of a name that must be free is gone when it is looked at: the name must be
 * free the next time, too. */
static void a_copy_stays_on_condition(void **state)
{
    struct bed b;
    struct store_version v, w;
    struct store_fault_rule refuse = {.op = STORE_COPY, .error = S3_ERROR_PRECONDITION, .count = 1};
    open_bed(&b, 2);
    assert_int_equal(put(b.memory, "a", "precious", NULL, false, &v), 0);
    struct store_copy_in in = {
        .source_key = "a", .source_if_match = v.etag, .key = "b", .if_absent = true};
    assert_int_equal(store_copy(b.wb, &in, &w, NULL), 0);
    assert_int_equal(store_fault_add(b.fault, &refuse), 0);
    assert_false(writeback_settle(b.wb));
    assert_int_equal(put(b.memory, "b", "theirs", NULL, false, NULL), 0);
    drain(&b);
    assert_string_equal(get(b.memory, "b"), "theirs");
    close_bed(&b);
}

/* mv log log.1, and a new log; the name log.1 is taken: the old content is nowhere but in log. */
static void what_follows_a_lost_rename_does_not_replace_its_source(void **state)
{
    for (int pinned = 0; pinned < 2; pinned++) {
        struct bed b;
        struct store_version v, w;
        open_bed(&b, 2);
        assert_int_equal(put(b.memory, "log", "old", NULL, false, &v), 0);
        struct store_copy_in in = {
            .source_key = "log", .source_if_match = v.etag, .key = "log.1", .if_absent = true};
        assert_int_equal(store_copy(b.wb, &in, &w, NULL), 0);
        assert_int_equal(store_delete(b.wb, "log", pinned ? v.etag : NULL, NULL), 0);
        assert_int_equal(put(b.wb, "log", "new", NULL, false, NULL), 0);
        assert_int_equal(put(b.memory, "log.1", "theirs", NULL, false, NULL), 0);
        drain(&b);
        assert_string_equal(get(b.memory, "log"), "old");
        assert_string_equal(get(b.memory, "log.1"), "theirs");
        assert_int_equal(kept(&b), 1);
        assert_string_equal(b.kept[0].data, "new");
        close_bed(&b);
    }
}

/* Content that cannot be read for a while is not lost. */
static void content_of_a_conflict_is_read_again(void **state)
{
    struct bed b;
    static char large[100000];
    struct store_fault_rule hold = {.op = STORE_PUT, .hold = true, .count = 1};
    char command[300];
    open_bed(&b, 2);
    memset(large, 'l', sizeof(large) - 1);
    assert_int_equal(put(b.wb, "f", large, NULL, true, NULL), 0);
    assert_int_equal(store_fault_add(b.fault, &hold), 0);
    assert_false(writeback_drain(b.wb, 50ull * NS_PER_MS));
    while (!store_fault_held(b.fault)) /* it is under way: the content was read */
        (void)writeback_drain(b.wb, 10ull * NS_PER_MS);
    snprintf(command, sizeof(command),
             "cd %s && set -- * && mv $1 ../${PWD##*/}.away && ln -s $1 $1", b.dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(put(b.memory, "f", "theirs", NULL, false, NULL), 0);
    assert_int_equal(store_fault_release(b.fault, 0), 1);
    assert_false(writeback_settle(b.wb));
    assert_int_equal(kept(&b), 0);
    assert_int_equal(journal_disk_rows(b.disk), 1);
    snprintf(command, sizeof(command), "cd %s && set -- * && mv -T ../${PWD##*/}.away $1", b.dir);
    assert_int_equal(system(command), 0);
    drain(&b);
    assert_int_equal(kept(&b), 1);
    assert_int_equal(b.kept[0].size, sizeof(large) - 1);
    assert_int_equal(b.kept[0].data[0], 'l');
    assert_int_equal(journal_disk_rows(b.disk), 0);
    close_bed(&b);
}

struct writing {
    struct bed *b;
    int result;
};

static void *write_f(void *arg)
{
    struct writing *w = arg;
    w->result = put(w->b->wb, "f", "next", NULL, false, NULL);
    return NULL;
}

/* Who waits for a key whose content cannot be kept is told so. */
static void a_full_lost_and_found_is_told(void **state)
{
    struct bed b;
    struct s3_error err = {0};
    open_bed(&b, 2);
    b.refuse_kept = 1;
    assert_int_equal(put(b.wb, "f", "ours", NULL, true, NULL), 0);
    assert_int_equal(put(b.memory, "f", "theirs", NULL, false, NULL), 0);
    assert_int_equal(store_flush(b.wb, "f", &err), -ENOSPC);
    assert_non_null(strstr(err.message, "lost+found"));
    assert_int_equal(store_flush(b.wb, NULL, &err), -ENOSPC);
    struct writing w = {.b = &b, .result = 1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_f, &w), 0);
    while (pthread_tryjoin_np(thread, NULL) == EBUSY) {
        clock_fake_advance(&b.clock, 11ull * NS_PER_S);
        writeback_kick(b.wb);
        sched_yield();
    }
    assert_int_equal(w.result, -ENOSPC);
    assert_false(writeback_settle(b.wb));
    assert_int_equal(journal_disk_rows(b.disk), 1);
    b.refuse_kept = 0;
    drain(&b);
    assert_int_equal(kept(&b), 1);
    assert_string_equal(b.kept[0].data, "ours");
    assert_int_equal(put(b.wb, "f", "next", NULL, false, NULL), 0);
    close_bed(&b);
}

/* A clock that is behind that of the server: what we have made ourselves is not somebody else's. */
static void our_own_version_is_not_newer(void **state)
{
    for (int theirs = 0; theirs < 2; theirs++) {
        struct bed b;
        struct store_fault_rule lost = {
            .op = STORE_DELETE_MANY, .error = S3_ERROR_TIMEOUT, .count = 1};
        open_bed(&b, 2);
        assert_int_equal(put(b.wb, "f", "ours", NULL, false, NULL), 0);
        drain(&b);
        if (theirs)
            assert_int_equal(put(b.memory, "f", "theirs", NULL, false, NULL), 0);
        pthread_mutex_lock(&b.clock.lock);
        b.clock.realtime -= 60ll * NS_PER_S;
        pthread_mutex_unlock(&b.clock.lock);
        assert_int_equal(store_delete(b.wb, "f", NULL, NULL), 0);
        assert_int_equal(store_fault_add(b.fault, &lost), 0);
        drain(&b);
        assert_int_equal(store_fault_applied(b.fault), 1);
        assert_int_equal(get(b.memory, "f") != NULL, theirs);
        close_bed(&b);
    }
}

/* As those of a renamed directory: what another host stores before they are sent stays. */
static void removals_of_many_are_on_condition(void **state)
{
    struct bed b;
    struct store_version v[3];
    struct writeback_stats st;
    const char *keys[] = {"d/1", "d/2", "d/3", "d/4"};
    const char *etags[] = {v[0].etag, v[1].etag, v[2].etag, NULL};
    struct store_delete_many_in in = {.keys = keys, .n_keys = 4, .etags = etags};
    struct store_delete_many_out out;
    open_bed(&b, 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(put(b.memory, keys[i], "old", NULL, false, &v[i]), 0);
    assert_int_equal(put(b.memory, keys[3], "old", NULL, false, NULL), 0);
    assert_int_equal(store_call(b.wb, STORE_DELETE_MANY, &in, &out, NULL), 0);
    assert_int_equal(out.n_failures, 0);
    store_delete_many_out_done(&out);
    assert_int_equal(put(b.memory, "d/1", "theirs", NULL, false, NULL), 0);
    assert_int_equal(put(b.memory, "d/4", "theirs", NULL, false, NULL), 0);
    assert_int_equal(store_delete(b.memory, "d/2", NULL, NULL), 0);
    drain(&b);
    assert_non_null(get(b.memory, "d/1"));
    assert_string_equal(get(b.memory, "d/1"), "theirs");
    for (int i = 1; i < 4; i++)
        assert_null(get(b.memory, keys[i]));
    writeback_stats(b.wb, &st);
    assert_int_equal(st.conflicts, 1);
    assert_int_equal(store_count_requests(b.count, STORE_DELETE_MANY), 1);
    assert_int_equal(store_count_requests(b.count, STORE_DELETE), 2);
    close_bed(&b);
}

/* A page whose answer is lost is not sent again as a page: a server that ignores its conditions
 * would delete what has come since. */
static void a_lost_page_is_sent_key_by_key(void **state)
{
    struct bed b;
    struct store_version v[2];
    const char *keys[] = {"d/1", "d/2"};
    const char *etags[] = {v[0].etag, v[1].etag};
    struct store_delete_many_in in = {.keys = keys, .n_keys = 2, .etags = etags};
    struct store_delete_many_out out;
    struct store_fault_rule lose = {
        .op = STORE_DELETE_MANY, .error = S3_ERROR_TIMEOUT, .lose_answer = true, .count = 1};
    open_bed(&b, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(put(b.memory, keys[i], "old", NULL, false, &v[i]), 0);
    assert_int_equal(store_fault_add(b.fault, &lose), 0);
    assert_int_equal(store_call(b.wb, STORE_DELETE_MANY, &in, &out, NULL), 0);
    store_delete_many_out_done(&out);
    drain(&b);
    for (int i = 0; i < 2; i++)
        assert_null(get(b.memory, keys[i]));
    assert_int_equal(store_fault_applied(b.fault), 1);
    assert_int_equal(store_count_requests(b.count, STORE_DELETE_MANY), 1);
    assert_int_equal(store_count_requests(b.count, STORE_DELETE), 2);
    close_bed(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_copy_of_another_host_is_not_ours),
        cmocka_unit_test(a_copy_of_parts_is_known_again),
        cmocka_unit_test(a_copy_stays_on_condition),
        cmocka_unit_test(what_follows_a_lost_rename_does_not_replace_its_source),
        cmocka_unit_test(content_of_a_conflict_is_read_again),
        cmocka_unit_test(a_full_lost_and_found_is_told),
        cmocka_unit_test(our_own_version_is_not_newer),
        cmocka_unit_test(removals_of_many_are_on_condition),
        cmocka_unit_test(a_lost_page_is_sent_key_by_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
