/* SPDX-License-Identifier: Apache-2.0 */
/* Write-back over the store in memory: what is acknowledged is seen at once and stored in the end.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "writeback_bed.h"

static void seen_at_once_and_stored_later(void **state)
{
    for (unsigned threads = 0; threads < 3; threads += 2) {
        struct bed b;
        struct store_version v;
        struct store_object o;
        open_bed(&b, threads);
        assert_int_equal(put(b.wb, "a", "hello", NULL, false, &v), 0);
        assert_string_equal(v.etag, "\"5d41402abc4b2a76b9719d911017c592\"");
        assert_string_equal(get(b.wb, "a"), "hello");
        assert_int_equal(store_head(b.wb, "a", &o, NULL), 0);
        assert_int_equal(o.size, 5);
        assert_string_equal(o.etag, v.etag);
        store_object_done(&o);
        assert_int_equal(store_count_all(b.count), 0);
        assert_null(get(b.memory, "a"));

        assert_int_equal(store_flush(b.wb, "a", NULL), 0);
        assert_string_equal(get(b.memory, "a"), "hello");
        assert_int_equal(store_count_requests(b.count, STORE_PUT), 1);
        drain(&b);
        assert_int_equal(journal_disk_rows(b.disk), 0);
        close_bed(&b);
    }
}

static void conditions_are_held_against_what_is_pending(void **state)
{
    struct bed b;
    struct store_version v, v2;
    open_bed(&b, 2);
    assert_int_equal(put(b.wb, "k", "1", NULL, true, &v), 0);
    assert_int_equal(put(b.wb, "k", "2", NULL, true, NULL), -ESTALE);
    assert_int_equal(put(b.wb, "k", "2", "\"other\"", false, NULL), -ESTALE);
    assert_int_equal(put(b.wb, "k", "2", v.etag, false, &v2), 0);
    assert_int_equal(store_delete(b.wb, "k", v.etag, NULL), -ESTALE);
    assert_int_equal(store_delete(b.wb, "k", v2.etag, NULL), 0);
    drain(&b);
    /* Nobody else ever knew of it. */
    assert_int_equal(store_count_all(b.count), 0);
    assert_null(get(b.wb, "k"));
    assert_int_equal(journal_disk_rows(b.disk), 0);
    close_bed(&b);
}

/* What editors, rsync and tar do: one PUT, whatever came in between. */
static void temporary_names_cost_nothing(void **state)
{
    struct bed b;
    struct store_version v;
    open_bed(&b, 2);
    assert_int_equal(put(b.wb, ".f.tmp", "text", NULL, true, &v), 0);
    struct store_metadata m = {"mode", "420"};
    struct store_copy_in chmod = {.source_key = ".f.tmp",
                                  .source_if_match = v.etag,
                                  .key = ".f.tmp",
                                  .replace_attrs = true,
                                  .attrs = {.metadata = &m, .n_metadata = 1}};
    assert_int_equal(store_copy(b.wb, &chmod, &v, NULL), 0);
    assert_int_equal(copy(b.wb, ".f.tmp", v.etag, "f", NULL), 0);
    assert_int_equal(store_delete(b.wb, ".f.tmp", v.etag, NULL), 0);
    drain(&b);
    assert_int_equal(store_count_all(b.count), 1);
    assert_string_equal(get(b.memory, "f"), "text");
    struct store_object o;
    assert_int_equal(store_head(b.memory, "f", &o, NULL), 0);
    assert_int_equal(o.attrs.n_metadata, 1);
    assert_string_equal(o.attrs.metadata[0].value, "420");
    store_object_done(&o);
    close_bed(&b);
}

static void renames_of_what_is_stored(void **state)
{
    struct bed b;
    struct store_version v;
    open_bed(&b, 2);
    assert_int_equal(put(b.memory, "a", "content", NULL, false, &v), 0);
    assert_int_equal(copy(b.wb, "a", "\"other\"", "b", NULL), -ESTALE);
    assert_int_equal(copy(b.wb, "a", v.etag, "b", &v), 0);
    assert_int_equal(store_delete(b.wb, "a", v.etag, NULL), 0);
    assert_int_equal(copy(b.wb, "b", v.etag, "c", &v), 0);
    assert_int_equal(store_delete(b.wb, "b", NULL, NULL), 0);
    assert_null(get(b.wb, "a"));
    assert_null(get(b.wb, "b"));
    assert_string_equal(get(b.wb, "c"), "content");
    assert_string_equal(get(b.memory, "a"), "content");
    drain(&b);
    assert_null(get(b.memory, "a"));
    assert_null(get(b.memory, "b"));
    assert_string_equal(get(b.memory, "c"), "content");
    assert_string_equal(get(b.wb, "c"), "content");
    close_bed(&b);
}

/* The version that a caller knows stays valid when the store gives it another ETag. */
static void announced_etags_stay_valid(void **state)
{
    struct bed b;
    struct store_version v;
    open_bed(&b, 2);
    struct store_upload u;
    struct store_part parts[2];
    struct iovec iov = {(void *)"12345", 5};
    struct store_upload_create_in create = {.key = "big"};
    assert_int_equal(store_call(b.wb, STORE_UPLOAD_CREATE, &create, &u, NULL), 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct store_upload_part_in in = {
            .key = "big", .upload_id = u.id, .number = i + 1, .body = &iov, .n_body = 1};
        assert_int_equal(store_call(b.wb, STORE_UPLOAD_PART, &in, &parts[i], NULL), 0);
    }
    struct store_upload_complete_in complete = {
        .key = "big", .upload_id = u.id, .parts = parts, .n_parts = 2, .if_absent = true};
    assert_int_equal(store_call(b.wb, STORE_UPLOAD_COMPLETE, &complete, &v, NULL), 0);
    assert_string_equal(get(b.memory, "big"), "1234512345");

    assert_int_equal(copy(b.wb, "big", v.etag, "moved", &v), 0);
    assert_non_null(strstr(v.etag, "pailfs-"));
    assert_string_equal(get(b.wb, "moved"), "1234512345");
    drain(&b);
    /* The server's is another one: change it, so that the test does not depend on the store. */
    struct store_object o;
    assert_int_equal(store_head(b.memory, "moved", &o, NULL), 0);
    assert_string_not_equal(o.etag, v.etag);
    store_object_done(&o);
    assert_int_equal(store_head(b.wb, "moved", &o, NULL), 0);
    assert_string_equal(o.etag, v.etag);
    store_object_done(&o);
    struct store_page page;
    struct store_list_in list = {.prefix = "moved"};
    assert_int_equal(store_list(b.wb, &list, &page, NULL), 0);
    assert_int_equal(page.n_entries, 1);
    assert_string_equal(page.entries[0].etag, v.etag);
    store_page_done(&page);
    char text[32] = "";
    struct store_sink sink = {NULL, take, text};
    struct store_get_in get_in = {
        .key = "moved", .offset = 4, .length = 2, .if_match = v.etag, .sink = &sink};
    assert_int_equal(store_get(b.wb, &get_in, &o, NULL), 0);
    assert_string_equal(o.etag, v.etag);
    store_object_done(&o);
    assert_string_equal(text, "51");
    assert_int_equal(put(b.wb, "moved", "new", v.etag, false, NULL), 0);
    drain(&b);
    assert_string_equal(get(b.memory, "moved"), "new");
    assert_int_equal(kept(&b), 0);
    close_bed(&b);
}

/* Makes an object of two parts and a copy of it, whose ETag is one of ours. */
static void make_copy_of_parts(struct bed *b, const char *half, struct store_version *ret)
{
    struct store_upload u;
    struct store_part parts[2];
    struct iovec iov = {(void *)(uintptr_t)half, strlen(half)};
    struct store_upload_create_in create = {.key = "big"};
    assert_int_equal(store_call(b->wb, STORE_UPLOAD_CREATE, &create, &u, NULL), 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct store_upload_part_in in = {
            .key = "big", .upload_id = u.id, .number = i + 1, .body = &iov, .n_body = 1};
        assert_int_equal(store_call(b->wb, STORE_UPLOAD_PART, &in, &parts[i], NULL), 0);
    }
    struct store_upload_complete_in complete = {
        .key = "big", .upload_id = u.id, .parts = parts, .n_parts = 2};
    assert_int_equal(store_call(b->wb, STORE_UPLOAD_COMPLETE, &complete, ret, NULL), 0);
    assert_int_equal(copy(b->wb, "big", ret->etag, "moved", ret), 0);
    drain(b);
}

/* Whatever was kept of a version under the ETag that was made up for it outlives the process. */
static void made_up_etags_are_never_used_twice(void **state)
{
    struct bed b;
    struct store_version v, after;
    open_bed(&b, 2);
    make_copy_of_parts(&b, "12345", &v);
    assert_int_equal(strncmp(v.etag, "\"pailfs-", 8), 0);
    for (int mounts = 0; mounts < 3; mounts++) {
        /* A process that begins with an empty journal; the clock may stand still or go back. */
        writeback_leave(b.wb);
        open_wb(&b);
        make_copy_of_parts(&b, "abcde", &after);
        assert_int_equal(strncmp(after.etag, "\"pailfs-", 8), 0);
        assert_string_not_equal(after.etag, v.etag);
    }
    close_bed(&b);
}

static void an_outage_loses_nothing(void **state)
{
    struct bed b;
    struct s3_error err = {0};
    open_bed(&b, 2);
    struct store_fault_rule down = {.op = STORE_OP_MAX, .error = S3_ERROR_CONNECT};
    assert_int_equal(store_fault_add(b.fault, &down), 0);
    for (int i = 0; i < 50; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%02d", i);
        assert_int_equal(put(b.wb, key, key, NULL, i % 2, NULL), 0);
    }
    assert_int_equal(store_flush(b.wb, "k07", &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_CONNECT);
    struct writeback_stats st;
    writeback_stats(b.wb, &st);
    assert_int_equal(st.changes, 50);
    assert_true(st.failures > 0);
    assert_non_null(strstr(st.last_error, "connect"));
    assert_string_equal(get(b.wb, "k33"), "k33");
    store_fault_clear(b.fault);
    drain(&b);
    assert_int_equal(store_memory_object_count(b.memory), 50);
    writeback_stats(b.wb, &st);
    assert_int_equal(st.changes, 0);
    assert_int_equal(st.bytes, 0);
    assert_string_equal(st.last_error, "");
    close_bed(&b);
}

/* Answers lost on the way: a change that has had its effect is not a conflict with itself. */
static void lost_answers_are_no_conflicts(void **state)
{
    struct bed b;
    struct store_version v;
    open_bed(&b, 2);
    assert_int_equal(put(b.memory, "old", "0", NULL, false, &v), 0);
    struct store_fault_rule lose = {
        .op = STORE_OP_MAX, .error = S3_ERROR_TIMEOUT, .lose_answer = true, .every = 2};
    assert_int_equal(store_fault_add(b.fault, &lose), 0);
    assert_int_equal(put(b.wb, "new", "1", NULL, true, NULL), 0);
    assert_int_equal(put(b.wb, "old", "2", v.etag, false, NULL), 0);
    drain(&b);
    assert_int_equal(kept(&b), 0);
    assert_string_equal(get(b.memory, "new"), "1");
    assert_string_equal(get(b.memory, "old"), "2");
    close_bed(&b);
}

static void a_conflict_goes_to_lost_and_found(void **state)
{
    struct bed b;
    struct store_version v;
    open_bed(&b, 2);
    assert_int_equal(put(b.memory, "f", "base", NULL, false, &v), 0);
    assert_int_equal(put(b.wb, "f", "ours", v.etag, false, &v), 0);
    assert_int_equal(put(b.wb, "g", "ours too", NULL, true, NULL), 0);
    assert_int_equal(put(b.memory, "f", "theirs", NULL, false, NULL), 0);
    assert_int_equal(put(b.memory, "g", "theirs", NULL, false, NULL), 0);
    struct s3_error err = {0};
    assert_int_equal(store_flush(b.wb, NULL, &err), -ESTALE);
    assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
    drain(&b);
    assert_int_equal(kept(&b), 2);
    for (int i = 0; i < 2; i++) {
        bool f = strcmp(b.kept[i].key, "f") == 0;
        assert_string_equal(b.kept[i].data, f ? "ours" : "ours too");
        assert_int_equal(b.kept[i].reason, f ? LOST_REPLACED : LOST_EXISTS);
    }
    assert_string_equal(get(b.memory, "f"), "theirs");
    assert_string_equal(get(b.wb, "f"), "theirs");
    assert_int_equal(journal_disk_rows(b.disk), 0);
    close_bed(&b);
}

/* What builds on a version that lost has lost too; and nothing of theirs is removed. */
static void what_builds_on_a_loser_loses(void **state)
{
    struct bed b;
    struct store_version v;
    open_bed(&b, 2);
    struct store_fault_rule hold = {.op = STORE_PUT, .hold = true, .count = 1};
    assert_int_equal(store_fault_add(b.fault, &hold), 0);
    assert_int_equal(put(b.memory, "f", "base", NULL, false, &v), 0);
    assert_int_equal(put(b.wb, "f", "first", v.etag, false, &v), 0);
    assert_false(writeback_drain(b.wb, 50ull * NS_PER_MS)); /* it is under way */
    assert_int_equal(put(b.wb, "f", "second", v.etag, false, &v), 0);
    assert_int_equal(put(b.memory, "f", "theirs", NULL, false, NULL), 0);
    while (!store_fault_release(b.fault, 0))
        sched_yield();
    drain(&b);
    assert_int_equal(kept(&b), 2);
    assert_string_equal(get(b.memory, "f"), "theirs");
    close_bed(&b);
}

static void a_lost_rename_keeps_the_old_name(void **state)
{
    struct bed b;
    struct store_version v;
    open_bed(&b, 2);
    assert_int_equal(put(b.memory, "a", "precious", NULL, false, &v), 0);
    struct store_version w;
    struct store_copy_in in = {
        .source_key = "a", .source_if_match = v.etag, .key = "b", .if_absent = true};
    assert_int_equal(store_copy(b.wb, &in, &w, NULL), 0);
    assert_int_equal(store_delete(b.wb, "a", v.etag, NULL), 0);
    assert_int_equal(put(b.memory, "b", "theirs", NULL, false, NULL), 0);
    drain(&b);
    assert_string_equal(get(b.memory, "b"), "theirs");
    assert_string_equal(get(b.memory, "a"), "precious");
    close_bed(&b);
}

/* A key that is gone for a moment is no conflict. */
static void one_404_is_no_conflict(void **state)
{
    struct bed b;
    struct store_version v;
    open_bed(&b, 2);
    assert_int_equal(put(b.memory, "f", "base", NULL, false, &v), 0);
    assert_int_equal(put(b.wb, "f", "ours", v.etag, false, &v), 0);
    struct store_fault_rule once = {.op = STORE_PUT, .error = S3_ERROR_NO_SUCH_KEY, .count = 1};
    struct store_fault_rule head = {.op = STORE_HEAD, .error = S3_ERROR_NO_SUCH_KEY, .count = 1};
    struct store_fault_rule denied = {.op = STORE_PUT, .error = S3_ERROR_ACCESS_DENIED, .count = 3};
    assert_int_equal(store_fault_add(b.fault, &once), 0);
    assert_int_equal(store_fault_add(b.fault, &head), 0);
    assert_int_equal(store_fault_add(b.fault, &denied), 0);
    drain(&b);
    assert_int_equal(kept(&b), 0);
    assert_string_equal(get(b.memory, "f"), "ours");
    close_bed(&b);
}

static void a_crash_loses_nothing(void **state)
{
    struct bed b;
    struct store_version v;
    open_bed(&b, 2);
    static char large[100001];
    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(put(b.memory, "a", "stored", NULL, false, &v), 0);
    assert_int_equal(put(b.wb, "small", "s", NULL, true, NULL), 0);
    struct store_version large_version;
    assert_int_equal(put(b.wb, "large", large, NULL, false, &large_version), 0);
    assert_int_equal(copy(b.wb, "large", NULL, "large2", NULL), 0);
    assert_int_equal(copy(b.wb, "a", v.etag, "b", &v), 0);
    assert_int_equal(store_delete(b.wb, "a", NULL, NULL), 0);
    assert_int_equal(copy(b.wb, "b", v.etag, "c", NULL), 0);

    /* What is on the disk now is what the next process finds; this one knows no more. */
    struct journal_disk *after = journal_disk_copy(b.disk);
    struct store *memory2 = NULL;
    struct store_fault_rule down = {.op = STORE_OP_MAX, .error = S3_ERROR_CONNECT};
    assert_int_equal(store_fault_add(b.fault, &down), 0);
    (void)memory2;
    /* The files must outlive the old process, as they do when it is killed. */
    char command[300], saved[sizeof(b.dir)];
    snprintf(saved, sizeof(saved), "%.80s.saved", b.dir);
    snprintf(command, sizeof(command), "cp -a %s %s", b.dir, saved);
    assert_int_equal(system(command), 0);
    struct store *keep_inner = b.count;
    /* Free the old one without freeing the store below: it gets an empty one instead. */
    (void)keep_inner;
    store_fault_clear(b.fault);
    struct bed n = b;
    n.disk = after;
    memcpy(n.dir, saved, sizeof(n.dir));
    pthread_mutex_init(&n.lock, NULL);
    open_wb(&n);
    assert_string_equal(get(n.wb, "small"), "s");
    assert_string_equal(get(n.wb, "b"), "stored");
    assert_string_equal(get(n.wb, "c"), "stored");
    assert_null(get(n.wb, "a"));
    struct store_object o;
    assert_int_equal(store_head(n.wb, "large2", &o, NULL), 0);
    assert_int_equal(o.size, 100000);
    store_object_done(&o);
    drain(&n);
    assert_string_equal(get(b.memory, "c"), "stored");
    assert_string_equal(get(b.memory, "small"), "s");
    assert_null(get(b.memory, "a"));
    assert_int_equal(store_head(b.memory, "large2", &o, NULL), 0);
    assert_int_equal(o.size, 100000);
    assert_string_equal(o.etag, large_version.etag);
    store_object_done(&o);
    assert_int_equal(journal_disk_rows(after), 0);
    close_bed(&n); /* frees the store; the old one is left as a killed process leaves it */
    journal_disk_free(b.disk);
    snprintf(command, sizeof(command), "rm -rf %s", b.dir);
    assert_int_equal(system(command), 0);
}

static void damaged_content_is_never_stored(void **state)
{
    struct bed b;
    open_bed(&b, 2);
    assert_int_equal(put(b.wb, "f", "good", NULL, false, NULL), 0);
    store_free(b.wb); /* the inner store goes with it */
    journal_disk_damage_body(b.disk);
    struct store_memory_options o = {.clock = &b.clock.clock};
    assert_int_equal(store_memory_new(&o, &b.memory), 0);
    assert_int_equal(store_count_new(b.memory, NULL, &b.count), 0);
    open_wb(&b);
    drain(&b);
    assert_null(get(b.memory, "f"));
    assert_int_equal(kept(&b), 1);
    close_bed(&b);
}

static void reopen_over_an_empty_store(struct bed *b)
{
    struct store_memory_options o = {.clock = &b->clock.clock};
    assert_int_equal(store_memory_new(&o, &b->memory), 0);
    assert_int_equal(store_count_new(b->memory, NULL, &b->count), 0);
    open_wb(b);
}

/* What a row and a file hold was altered by the disk while it waited. */
static void damaged_content_is_never_shown(void **state)
{
    struct bed b;
    static char large[100000];
    char command[300];
    open_bed(&b, 2);
    memset(large, 'l', sizeof(large) - 1);
    assert_int_equal(put(b.wb, "large", large, NULL, false, NULL), 0);
    assert_int_equal(put(b.wb, "small", "good", NULL, false, NULL), 0);
    store_free(b.wb);
    snprintf(command, sizeof(command),
             "printf x | dd of=\"$(echo %s/[0-9]*)\" bs=1 seek=99000 conv=notrunc status=none",
             b.dir);
    reopen_over_an_empty_store(&b);
    char tail[2] = "";
    struct store_sink sink = {NULL, take, tail};
    struct store_get_in in = {.key = "large", .offset = 99998, .length = 1, .sink = &sink};
    struct s3_error err = {0};
    assert_int_equal(store_get(b.wb, &in, NULL, &err), 0);
    assert_string_equal(tail, "l");
    store_free(b.wb);
    assert_int_equal(system(command), 0);
    journal_disk_damage_body(b.disk);
    reopen_over_an_empty_store(&b);
    assert_int_equal(store_get(b.wb, &in, NULL, &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
    assert_null(get(b.wb, "small"));
    drain(&b);
    assert_null(get(b.memory, "large"));
    assert_null(get(b.memory, "small"));
    assert_int_equal(kept(&b), 2);
    close_bed(&b);
}

/* Its key and condition cannot be trusted: the content is kept, under no name. */
static void content_of_a_damaged_row_is_kept(void **state)
{
    struct bed b;
    static char large[100000];
    open_bed(&b, 2);
    memset(large, 'l', sizeof(large) - 1);
    assert_int_equal(put(b.wb, "small", "acknowledged", NULL, false, NULL), 0);
    assert_int_equal(put(b.wb, "large", large, NULL, false, NULL), 0);
    assert_int_equal(put(b.wb, "whole", "as it was", NULL, false, NULL), 0);
    store_free(b.wb);
    journal_disk_damage_record(b.disk, 0);
    journal_disk_damage_record(b.disk, 1);
    reopen_over_an_empty_store(&b);
    assert_int_equal(kept(&b), 2); /* files come first */
    assert_string_equal(b.kept[0].key, "");
    assert_string_equal(b.kept[1].key, "");
    assert_string_equal(b.kept[1].data, "acknowledged");
    assert_int_equal(b.kept[0].size, sizeof(large) - 1);
    drain(&b);
    assert_null(get(b.memory, "small"));
    assert_null(get(b.memory, "large"));
    assert_string_equal(get(b.memory, "whole"), "as it was");
    assert_int_equal(journal_disk_rows(b.disk), 0);
    close_bed(&b);
}

/* Without its row a file looks like content that was never acknowledged. */
static void content_without_a_row_is_kept_when_rows_are_missing(void **state)
{
    struct bed b;
    static char large[100000];
    open_bed(&b, 2);
    memset(large, 'l', sizeof(large) - 1);
    assert_int_equal(put(b.wb, "large", large, NULL, false, NULL), 0);
    store_free(b.wb);
    journal_disk_lose(b.disk);
    b.doubtful = true;
    b.refuse_kept = 1;
    reopen_over_an_empty_store(&b);
    assert_int_equal(kept(&b), 0);
    assert_false(b.settled); /* the disk of lost+found was full: the next start tries again */
    store_free(b.wb);
    b.refuse_kept = 0;
    reopen_over_an_empty_store(&b);
    assert_int_equal(kept(&b), 1);
    assert_int_equal(b.kept[0].size, sizeof(large) - 1);
    assert_true(b.settled);
    store_free(b.wb);
    b.doubtful = false;
    reopen_over_an_empty_store(&b);
    assert_int_equal(kept(&b), 1);
    close_bed(&b);
}

static void a_full_disk_is_passed_by(void **state)
{
    struct bed b;
    struct store_version v;
    open_bed(&b, 2);
    assert_int_equal(put(b.wb, "a", "1", NULL, true, &v), 0);
    journal_disk_fill(b.disk, true);
    assert_int_equal(put(b.wb, "a", "2", v.etag, false, &v), 0);
    assert_string_equal(get(b.memory, "a"), "2");
    assert_int_equal(store_delete(b.wb, "a", v.etag, NULL), 0);
    assert_null(get(b.memory, "a"));
    struct store_fault_rule down = {.op = STORE_OP_MAX, .error = S3_ERROR_QUOTA};
    assert_int_equal(store_fault_add(b.fault, &down), 0);
    assert_int_equal(put(b.wb, "b", "3", NULL, false, NULL), -ENOSPC);
    assert_null(get(b.wb, "b"));
    store_fault_clear(b.fault);
    drain(&b);
    assert_int_equal(kept(&b), 0);
    close_bed(&b);
}

/* A row that is still there would come back over what follows it: that is sent when it has gone. */
static void nothing_passes_a_row_that_stays(void **state)
{
    struct bed b;
    struct store_part part;
    struct store_upload u;
    open_bed(&b, 2);
    journal_disk_stick(b.disk, true);
    assert_int_equal(put(b.wb, "f", "1", NULL, false, NULL), 0);
    assert_int_equal(put(b.wb, "g", "1", NULL, false, NULL), 0);
    assert_int_equal(store_flush(b.wb, "f", NULL), 0); /* it is stored */
    assert_int_equal(store_flush(b.wb, NULL, NULL), 0);
    assert_int_equal(store_delete(b.wb, "f", NULL, NULL), 0);
    assert_null(get(b.wb, "f"));
    for (int i = 0; i < 3; i++) {
        assert_false(writeback_settle(b.wb));
        clock_fake_advance(&b.clock, 31ull * NS_PER_S);
    }
    assert_string_equal(get(b.memory, "f"), "1");
    assert_int_equal(store_count_requests(b.count, STORE_PUT), 2);
    assert_int_equal(journal_disk_rows(b.disk), 3);

    /* What has no row, and what must have the store as it is, fails; it does not hang. */
    journal_disk_fill(b.disk, true);
    assert_int_equal(put(b.wb, "g", "2", NULL, false, NULL), -ENOSPC);
    assert_string_equal(get(b.wb, "g"), "1");
    struct store_upload_create_in create = {.key = "new"};
    assert_int_equal(store_call(b.wb, STORE_UPLOAD_CREATE, &create, &u, NULL), 0);
    struct store_upload_part_copy_in part_copy = {
        .key = "new", .upload_id = u.id, .number = 1, .source_key = "g", .length = 1};
    assert_int_equal(store_call(b.wb, STORE_UPLOAD_PART_COPY, &part_copy, &part, NULL), -ENOSPC);
    assert_int_equal(put(b.wb, "h", "3", NULL, false, NULL), 0);
    assert_string_equal(get(b.memory, "h"), "3");
    journal_disk_fill(b.disk, false);

    journal_disk_stick(b.disk, false);
    drain(&b);
    assert_null(get(b.memory, "f"));
    assert_string_equal(get(b.memory, "g"), "1");
    assert_int_equal(journal_disk_rows(b.disk), 0);
    close_bed(&b);
}

/* It ends all the same, and what stays is found done by the next. */
static void an_end_with_rows_that_stay(void **state)
{
    struct bed b;
    static char large[100001];
    memset(large, 'x', sizeof(large) - 1);
    open_bed(&b, 2);
    journal_disk_stick(b.disk, true);
    assert_int_equal(put(b.wb, "f", large, NULL, true, NULL), 0);
    assert_int_equal(store_flush(b.wb, "f", NULL), 0);
    writeback_leave(b.wb);
    assert_int_equal(journal_disk_rows(b.disk), 1);
    journal_disk_stick(b.disk, false);
    open_wb(&b);
    drain(&b);
    assert_int_equal(kept(&b), 0);
    assert_int_equal(journal_disk_rows(b.disk), 0);
    close_bed(&b);
}

/* Nothing changes what a pending copy is of, also when a change that would have was refused. */
static void a_pending_copy_keeps_its_source(void **state)
{
    struct bed b;
    struct store_version v;
    struct store_fault_rule hold = {.op = STORE_PUT, .prefix = "b", .hold = true, .count = 1};
    open_bed(&b, 2);
    assert_int_equal(put(b.memory, "a", "precious", NULL, false, &v), 0);
    assert_int_equal(store_fault_add(b.fault, &hold), 0);
    assert_int_equal(put(b.wb, "b", "old", NULL, false, NULL), 0);
    assert_false(writeback_drain(b.wb, 50ull * NS_PER_MS)); /* it is under way */
    assert_int_equal(copy(b.wb, "a", v.etag, "b", NULL), 0);
    assert_int_equal(copy(b.wb, "nothing", NULL, "a", NULL), -ENOENT);
    assert_int_equal(store_delete(b.wb, "a", NULL, NULL), 0);
    assert_false(writeback_drain(b.wb, 50ull * NS_PER_MS));
    assert_non_null(get(b.memory, "a"));
    while (!store_fault_release(b.fault, 0))
        sched_yield();
    drain(&b);
    assert_string_equal(get(b.memory, "b"), "precious");
    assert_null(get(b.memory, "a"));
    assert_int_equal(kept(&b), 0);
    close_bed(&b);
}

static void removals_go_in_batches(void **state)
{
    struct bed b;
    char key[16];
    open_bed(&b, 2);
    for (int i = 0; i < 2500; i++) {
        snprintf(key, sizeof(key), "k%04d", i);
        assert_int_equal(put(b.memory, key, "", NULL, false, NULL), 0);
    }
    for (int i = 0; i < 2500; i++) {
        snprintf(key, sizeof(key), "k%04d", i);
        assert_int_equal(store_delete(b.wb, key, NULL, NULL), 0);
    }
    drain(&b);
    assert_int_equal(store_memory_object_count(b.memory), 0);
    assert_in_range(store_count_all(b.count), 3, 4);
    close_bed(&b);
}

struct parallel_put {
    struct bed *b;
    int index;
    int result;
};

static void *put_one(void *arg)
{
    struct parallel_put *p = arg;
    char key[16];
    snprintf(key, sizeof(key), "p%d", p->index);
    p->result = put(p->b->wb, key, "x", NULL, false, NULL);
    return NULL;
}

/* When there is no room, what comes waits; nothing is lost and nothing hangs. */
static void a_full_queue_makes_wait(void **state)
{
    struct bed b;
    open_bed(&b, 2);
    store_free(b.wb);
    struct store_memory_options mo = {.threads = 2, .clock = &b.clock.clock};
    assert_int_equal(store_memory_new(&mo, &b.memory), 0);
    assert_int_equal(store_fault_new(b.memory, NULL, &b.fault), 0);
    struct s3_error err;
    struct writeback_options o = {.inner = b.fault,
                                  .journal = journal_memory_new(b.disk),
                                  .dir = b.dir,
                                  .max_changes = 4,
                                  .lost = keep,
                                  .ctx = &b};
    assert_int_equal(writeback_new(&o, &b.wb, &err), 0);
    struct store_fault_rule hold = {.op = STORE_PUT, .hold = true};
    assert_int_equal(store_fault_add(b.fault, &hold), 0);
    struct parallel_put puts[12];
    pthread_t threads[12];
    for (int i = 0; i < 12; i++) {
        puts[i] = (struct parallel_put){&b, i, -1};
        pthread_create(&threads[i], NULL, put_one, &puts[i]);
    }
    struct writeback_stats st = {0};
    while (st.waiting < 8) {
        sched_yield();
        writeback_stats(b.wb, &st);
    }
    assert_int_equal(st.changes, 4);
    store_fault_clear(b.fault);
    while (!writeback_drain(b.wb, 10ull * NS_PER_MS))
        store_fault_release(b.fault, 0);
    for (int i = 0; i < 12; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(puts[i].result, 0);
    }
    while (!writeback_drain(b.wb, 10ull * NS_PER_MS))
        ;
    assert_int_equal(store_memory_object_count(b.memory), 12);
    close_bed(&b);
}

static void *put_third(void *arg)
{
    struct bed *b = arg;
    assert_int_equal(put(b->wb, "f", "3", NULL, false, NULL), 0);
    return NULL;
}

/* What takes the place of another knows what the one before that has made, also when that ends
 * while the journal is at it: after a restart it is no conflict. */
static void an_heir_knows_what_came_before(void **state)
{
    struct bed b;
    struct writeback_stats st = {0};
    struct store_fault_rule hold = {.op = STORE_PUT, .hold = true, .count = 1};
    pthread_t thread;
    open_bed(&b, 2);
    assert_int_equal(store_fault_add(b.fault, &hold), 0);
    assert_int_equal(put(b.wb, "f", "1", NULL, false, NULL), 0);
    while (!store_fault_held(b.fault))
        assert_false(writeback_drain(b.wb, NS_PER_MS));
    assert_int_equal(put(b.wb, "f", "2", NULL, false, NULL), 0);
    journal_disk_hold(b.disk, true);
    assert_int_equal(pthread_create(&thread, NULL, put_third, &b), 0);
    while (st.changes < 3) {
        sched_yield();
        writeback_stats(b.wb, &st);
    }
    clock_fake_advance(&b.clock, 5ull * NS_PER_S);
    assert_int_equal(store_fault_release(b.fault, 0), 1);
    while (st.stored < 1) {
        sched_yield();
        writeback_stats(b.wb, &st);
    }
    journal_disk_hold(b.disk, false);
    pthread_join(thread, NULL);
    assert_string_equal(get(b.memory, "f"), "1");
    writeback_leave(b.wb);
    assert_int_equal(journal_disk_rows(b.disk), 1);
    open_wb(&b);
    drain(&b);
    assert_int_equal(kept(&b), 0);
    assert_string_equal(get(b.memory, "f"), "3");
    close_bed(&b);
}

struct flushing {
    struct bed *b;
    int result;
};

static void *flush_all(void *arg)
{
    struct flushing *f = arg;
    f->result = store_flush(f->b->wb, NULL, NULL);
    return NULL;
}

/* A flush waits for what came before it, whatever else ends meanwhile. */
static void a_flush_waits_for_its_own(void **state)
{
    struct bed b;
    open_bed(&b, 2);
    struct store_fault_rule hold = {.op = STORE_PUT, .prefix = "slow", .hold = true};
    assert_int_equal(store_fault_add(b.fault, &hold), 0);
    assert_int_equal(put(b.wb, "slow", "1", NULL, false, NULL), 0);
    struct flushing f = {.b = &b, .result = 1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, flush_all, &f), 0);
    while (!store_fault_held(b.fault))
        sched_yield();
    for (int i = 0; i < 5; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(put(b.wb, key, "2", NULL, false, NULL), 0);
        assert_int_equal(store_flush(b.wb, key, NULL), 0);
    }
    assert_null(get(b.memory, "slow"));
    assert_int_equal(pthread_tryjoin_np(thread, NULL), EBUSY);
    assert_int_equal(store_fault_release(b.fault, 0), 1);
    pthread_join(thread, NULL);
    assert_int_equal(f.result, 0);
    assert_non_null(get(b.memory, "slow"));
    close_bed(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seen_at_once_and_stored_later),
        cmocka_unit_test(conditions_are_held_against_what_is_pending),
        cmocka_unit_test(temporary_names_cost_nothing),
        cmocka_unit_test(renames_of_what_is_stored),
        cmocka_unit_test(announced_etags_stay_valid),
        cmocka_unit_test(made_up_etags_are_never_used_twice),
        cmocka_unit_test(an_outage_loses_nothing),
        cmocka_unit_test(lost_answers_are_no_conflicts),
        cmocka_unit_test(a_conflict_goes_to_lost_and_found),
        cmocka_unit_test(what_builds_on_a_loser_loses),
        cmocka_unit_test(a_lost_rename_keeps_the_old_name),
        cmocka_unit_test(one_404_is_no_conflict),
        cmocka_unit_test(a_crash_loses_nothing),
        cmocka_unit_test(damaged_content_is_never_stored),
        cmocka_unit_test(damaged_content_is_never_shown),
        cmocka_unit_test(content_of_a_damaged_row_is_kept),
        cmocka_unit_test(content_without_a_row_is_kept_when_rows_are_missing),
        cmocka_unit_test(a_full_disk_is_passed_by),
        cmocka_unit_test(nothing_passes_a_row_that_stays),
        cmocka_unit_test(an_end_with_rows_that_stay),
        cmocka_unit_test(a_pending_copy_keeps_its_source),
        cmocka_unit_test(removals_go_in_batches),
        cmocka_unit_test(a_full_queue_makes_wait),
        cmocka_unit_test(a_flush_waits_for_its_own),
        cmocka_unit_test(an_heir_knows_what_came_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
