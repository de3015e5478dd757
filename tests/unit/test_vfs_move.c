/* SPDX-License-Identifier: Apache-2.0 */
/* Renames of directories: requests, other hosts in the middle of it, failures at every step. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "store/store_count.h"
#include "store/store_fault.h"
#include "store/store_memory.h"
#include "vfs_fixture.h"

static void fill(struct fixture *f, const char *prefix, int n)
{
    char key[64];
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "%s%s%04d", prefix, i % 3 ? "" : "sub/", i);
        fixture_object(f, key, key);
    }
}

static void fail_at(struct fixture *f, enum store_op op, const char *prefix, uint64_t after,
                    enum s3_error_kind kind)
{
    struct store_fault_rule rule = {
        .op = op, .prefix = prefix, .after = after, .count = 1, .error = kind};
    assert_int_equal(store_fault_add(f->fault, &rule), 0);
}

static void test_pages(void **state)
{
    struct fixture f;
    char key[64];
    fixture_init(&f, NULL);
    fill(&f, "d/", 2500);
    fixture_object(&f, "d-beside", "x");
    fixture_object(&f, "d0", "x");
    (void)fixture_ino(&f, "d");
    fixture_expect(&f, "list 1");
    assert_int_equal(fixture_rename(&f, "d", "e", 0), 0);
    /* What is absent is asked for; then each page twice. */
    fixture_expect(&f, "list 8, put 1, copy 2500, delete-many 3");
    assert_int_equal(store_memory_object_count(f.memory), 2503);
    for (int i = 0; i < 2500; i += 499) {
        char path[64];
        snprintf(key, sizeof(key), "d/%s%04d", i % 3 ? "" : "sub/", i);
        snprintf(path, sizeof(path), "e/%s%04d", i % 3 ? "" : "sub/", i);
        assert_string_equal(fixture_get(&f, path), key);
    }
    assert_int_equal(fixture_lookup(&f, "d", NULL), -ENOENT);
    fixture_done(&f);
}

static void test_fails_while_copying(void **state)
{
    for (uint64_t at = 0; at < 7; at++) {
        struct fixture f;
        char before[512];
        fixture_init(&f, NULL);
        fixture_object(&f, "d/", "");
        fill(&f, "d/", 6);
        snprintf(before, sizeof(before), "%s", fixture_keys(&f));
        (void)fixture_ls(&f, "", false);
        fail_at(&f, STORE_COPY, "e/", at, S3_ERROR_SERVER);
        assert_int_equal(fixture_rename(&f, "d", "e", 0), -EIO);
        assert_string_equal(fixture_keys(&f), before);
        assert_int_equal(fixture_rename(&f, "d", "e", RENAME_NOREPLACE), 0);
        assert_string_equal(fixture_ls(&f, "e", false), "sub/ 0001 0002 0004 0005 ");
        fixture_done(&f);
    }
}

/* All is copied, and nothing may be deleted: both trees are there, and are seen. */
static void test_fails_while_deleting(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fill(&f, "d/", 3);
    (void)fixture_ls(&f, "", false);
    fail_at(&f, STORE_DELETE_MANY, "", 0, S3_ERROR_ACCESS_DENIED);
    assert_true(fixture_rename(&f, "d", "e", 0) < 0);
    assert_string_equal(fixture_ls(&f, "", false), "d/ e/ ");
    assert_string_equal(fixture_ls(&f, "e", false), "sub/ 0001 0002 ");
    assert_int_equal(fixture_rename(&f, "d", "e", 0), -ENOTEMPTY);
    assert_string_equal(fixture_read(&f, "d/0001"), "d/0001");
    fixture_done(&f);
}

/* A copy of one key waits while another host does something; then all go on. */
static void begin_hold(struct fixture *f, enum store_op op, const char *prefix)
{
    struct store_fault_rule hold = {.op = op, .prefix = prefix, .count = 1, .hold = true};
    assert_int_equal(store_fault_add(f->fault, &hold), 0);
}

struct job {
    struct fixture *f;
    int result;
};

static void *rename_job(void *ctx)
{
    struct job *j = ctx;
    j->result = fixture_rename(j->f, "d", "e", 0);
    return NULL;
}

static void test_others_meanwhile(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "d/a", "a");
    fixture_object(&f, "d/b", "b");
    fixture_object(&f, "d/c", "c");
    (void)fixture_ls(&f, "", false);
    /* Between the copies and the deletes one key is replaced, one removed, one made. */
    struct job j = {.f = &f};
    pthread_t thread;
    begin_hold(&f, STORE_COPY, "e/c");
    assert_int_equal(pthread_create(&thread, NULL, rename_job, &j), 0);
    while (store_fault_held(f.fault) == 0)
        sched_yield();
    fixture_object(&f, "d/a", "newer");
    fixture_object(&f, "d/new", "new");
    fixture_remove(&f, "d/c");
    store_fault_release(f.fault, 0);
    pthread_join(thread, NULL);
    assert_int_equal(j.result, 0);
    assert_string_equal(fixture_keys(&f), "d/a d/new e/ e/a e/b ");
    assert_string_equal(fixture_get(&f, "d/a"), "newer");
    assert_string_equal(fixture_get(&f, "e/a"), "a");
    fixture_done(&f);
}

/* Between the listing of a page and its delete: what is another version by then stays. */
static void test_others_before_the_delete(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "d/", "");
    fixture_object(&f, "d/a", "a");
    fixture_object(&f, "d/b", "b");
    fixture_object(&f, "d/c", "c");
    (void)fixture_ls(&f, "", false);
    struct job j = {.f = &f};
    pthread_t thread;
    begin_hold(&f, STORE_DELETE_MANY, "d/");
    store_count_reset(f.count);
    assert_int_equal(pthread_create(&thread, NULL, rename_job, &j), 0);
    while (store_fault_held(f.fault) == 0)
        sched_yield();
    fixture_object(&f, "d/a", "newer");
    fixture_remove(&f, "d/c");
    store_fault_release(f.fault, 0);
    pthread_join(thread, NULL);
    assert_int_equal(j.result, 0);
    fixture_expect(&f, "list 4, head 1, put 1, copy 4, delete-many 1");
    assert_string_equal(fixture_keys(&f), "d/a e/ e/a e/b e/c ");
    assert_string_equal(fixture_get(&f, "d/a"), "newer");
    assert_string_equal(fixture_get(&f, "e/a"), "a");
    fixture_remount(&f, NULL);
    assert_string_equal(fixture_read(&f, "d/a"), "newer");
    assert_string_equal(fixture_read(&f, "e/a"), "a");
    fixture_done(&f);
}

/* The answer to the delete was lost, and another host has stored something since: the client's
 * second try, which says that none of it is there, deletes nothing else. */
static void test_answer_of_the_delete_is_lost(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fill(&f, "d/", 5);
    (void)fixture_ls(&f, "", false);
    struct job j = {.f = &f};
    pthread_t thread;
    begin_hold(&f, STORE_DELETE_MANY, "d/");
    assert_int_equal(pthread_create(&thread, NULL, rename_job, &j), 0);
    while (store_fault_held(f.fault) == 0)
        sched_yield();
    fixture_remove(&f, "d/0001");
    fixture_remove(&f, "d/0002");
    fixture_remove(&f, "d/0004");
    fixture_object(&f, "d/0002", "of another host");
    store_fault_release(f.fault, 0);
    pthread_join(thread, NULL);
    assert_int_equal(j.result, 0);
    assert_string_equal(fixture_keys(&f), "d/0002 e/ e/0001 e/0002 e/0004 e/sub/0000 e/sub/0003 ");
    assert_string_equal(fixture_get(&f, "d/0002"), "of another host");
    fixture_done(&f);
}

static void test_new_name_is_taken_meanwhile(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "d/a", "a");
    fixture_object(&f, "d/b", "b");
    (void)fixture_ls(&f, "", false);
    struct job j = {.f = &f};
    pthread_t thread;
    begin_hold(&f, STORE_COPY, "e/b");
    assert_int_equal(pthread_create(&thread, NULL, rename_job, &j), 0);
    while (store_fault_held(f.fault) == 0)
        sched_yield();
    fixture_object(&f, "e/b", "theirs");
    store_fault_release(f.fault, 0);
    pthread_join(thread, NULL);
    assert_int_equal(j.result, -ENOTEMPTY);
    assert_string_equal(fixture_keys(&f), "d/a d/b e/b ");
    assert_string_equal(fixture_get(&f, "e/b"), "theirs");
    fixture_done(&f);
}

/* The rename fails, and the marker of the new name is another host's by then. */
static void test_marker_of_another(void **state)
{
    for (int replaced = 0; replaced < 2; replaced++) {
        struct fixture f;
        fixture_init(&f, NULL);
        fixture_object(&f, "d/a", "a");
        (void)fixture_ls(&f, "", false);
        struct job j = {.f = &f};
        pthread_t thread;
        struct store_fault_rule hold = {
            .op = STORE_COPY, .prefix = "e/a", .count = 1, .hold = true, .error = S3_ERROR_SERVER};
        assert_int_equal(store_fault_add(f.fault, &hold), 0);
        assert_int_equal(pthread_create(&thread, NULL, rename_job, &j), 0);
        while (store_fault_held(f.fault) == 0)
            sched_yield();
        if (replaced) {
            fixture_remove(&f, "e/");
            fixture_object(&f, "e/", "");
        }
        store_fault_release(f.fault, 0);
        pthread_join(thread, NULL);
        assert_int_equal(j.result, -EIO);
        assert_string_equal(fixture_keys(&f), replaced ? "d/a e/ " : "d/a ");
        fixture_done(&f);
    }
}

/* What another host renames to the same name at the same time has other keys: nothing is replaced,
 * but the two directories must not become one. */
static void test_new_name_is_shared_meanwhile(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "d/ours", "a");
    fixture_object(&f, "e/", "");
    (void)fixture_ls(&f, "", false);
    struct job j = {.f = &f};
    pthread_t thread;
    begin_hold(&f, STORE_COPY, "e/ours");
    assert_int_equal(pthread_create(&thread, NULL, rename_job, &j), 0);
    while (store_fault_held(f.fault) == 0)
        sched_yield();
    fixture_object(&f, "e/theirs", "theirs");
    store_fault_release(f.fault, 0);
    pthread_join(thread, NULL);
    assert_int_equal(j.result, -ENOTEMPTY);
    assert_string_equal(fixture_keys(&f), "d/ours e/ e/theirs ");
    fixture_done(&f);
}

static void test_lost_answer(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "d/a", "a");
    fixture_object(&f, "d/b", "b");
    (void)fixture_ls(&f, "", false);
    struct store_fault_rule lost = {.op = STORE_COPY,
                                    .prefix = "e/b",
                                    .count = 1,
                                    .error = S3_ERROR_PRECONDITION,
                                    .tries = 2,
                                    .lose_answer = true};
    assert_int_equal(store_fault_add(f.fault, &lost), 0);
    assert_int_equal(fixture_rename(&f, "d", "e", 0), 0);
    assert_string_equal(fixture_keys(&f), "e/ e/a e/b ");
    fixture_done(&f);
}

/* An object made of parts, whose copy has another ETag. */
static void write_large(struct fixture *f, const char *path)
{
    static char buf[MIB];
    struct vfs_file *file;
    memset(buf, 'a', sizeof(buf));
    assert_int_equal(fixture_create(f, path, O_RDWR, 0644, &file), 0);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(vfs_write(f->vfs, file, i * MIB, buf, sizeof(buf), &f->err), 0);
    assert_int_equal(fixture_close(f, file), 0);
}

static void test_etags_change(void **state)
{
    struct fixture f;
    struct store_object old, new;
    struct vfs_file *file;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    write_large(&f, "d/open");
    write_large(&f, "d/closed");
    assert_int_equal(store_head(f.memory, "d/open", &old, NULL), 0);
    assert_int_equal(fixture_open(&f, "d/open", O_RDWR, &file), 0);
    uint64_t closed = fixture_ino(&f, "d/closed");
    assert_int_equal(fixture_rename(&f, "d", "e", 0), 0);
    assert_int_equal(store_head(f.memory, "e/open", &new, NULL), 0);
    assert_string_not_equal(old.etag, new.etag); /* else this tests nothing */
    store_object_done(&old);
    /* Nothing was written through the handle before. */
    assert_int_equal(vfs_write(f.vfs, file, 0, "b", 1, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_int_equal(store_head(f.memory, "e/open", &old, NULL), 0);
    assert_string_not_equal(old.etag, new.etag);
    store_object_done(&old);
    store_object_done(&new);
    /* The kernel looks nothing up again: it has moved the names itself. */
    struct vfs_changes mode = {.set = VFS_SET_MODE, .mode = 0600};
    assert_int_equal(vfs_setattr(f.vfs, closed, NULL, &mode, &e, &f.err), 0);
    assert_int_equal(vfs_sync(f.vfs, &f.err), 0);
    assert_string_equal(fixture_metadata(&f, "e/closed", "mode"), "33152");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_fails_while_copying),
        cmocka_unit_test(test_fails_while_deleting),
        cmocka_unit_test(test_others_meanwhile),
        cmocka_unit_test(test_others_before_the_delete),
        cmocka_unit_test(test_answer_of_the_delete_is_lost),
        cmocka_unit_test(test_new_name_is_taken_meanwhile),
        cmocka_unit_test(test_marker_of_another),
        cmocka_unit_test(test_new_name_is_shared_meanwhile),
        cmocka_unit_test(test_lost_answer),
        cmocka_unit_test(test_etags_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
