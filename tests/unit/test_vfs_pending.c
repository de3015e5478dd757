/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of attributes are stored together, a quiet second later or with what comes first; and
 * nobody's time changes by itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "store/store_count.h"
#include "store/store_fault.h"
#include "vfs_fixture.h"

#define SECOND ((uint64_t)NS_PER_S)

static int set(struct fixture *f, const char *path, const struct vfs_changes *c)
{
    struct vfs_entry e;
    return vfs_setattr(f->vfs, fixture_ino(f, path), NULL, c, &e, &f->err);
}

static int set_times(struct fixture *f, const char *path, int64_t ns)
{
    struct vfs_changes c = {.set = VFS_SET_ATIME | VFS_SET_MTIME, .atime_ns = ns, .mtime_ns = ns};
    return set(f, path, &c);
}

static int set_owner(struct fixture *f, const char *path, uid_t uid)
{
    struct vfs_changes c = {.set = VFS_SET_UID | VFS_SET_GID, .uid = uid, .gid = uid};
    return set(f, path, &c);
}

static struct stat stat_of(struct fixture *f, const char *path)
{
    struct vfs_entry e;
    int r = fixture_lookup(f, path, &e);
    if (r < 0)
        fail_msg("'%s': %s", path, strerror(-r));
    return e.st;
}

static int64_t mtime_of(struct fixture *f, const char *path)
{
    struct stat st = stat_of(f, path);
    return st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
}

static mode_t mode_of(struct fixture *f, const char *path)
{
    return stat_of(f, path).st_mode & 07777;
}

static void pass(struct fixture *f, uint64_t ns)
{
    clock_fake_advance(&f->clock, ns);
    (void)vfs_tick(f->vfs, false);
}

static void fail_copies(struct fixture *f, unsigned count, enum s3_error_kind kind)
{
    struct store_fault_rule rule = {.op = STORE_COPY, .count = count, .error = kind};
    assert_int_equal(store_fault_add(f->fault, &rule), 0);
}

/* A marked directory with a file, and nothing to do. */
static void begin(struct fixture *f)
{
    fixture_init(f, NULL);
    assert_int_equal(fixture_mkdir(f, "d", 0755), 0);
    assert_int_equal(fixture_write(f, "d/a", "x"), 0);
    assert_int_equal(fixture_write(f, "d/other", "x"), 0);
    assert_int_equal(fixture_chmod(f, "d/other", 0600), 0);
    fixture_settle(f);
    store_count_reset(f->count);
}

static void test_one_copy_for_all(void **state)
{
    struct fixture f;
    begin(&f);
    int64_t when = INT64_C(1500000000123456789);
    assert_int_equal(fixture_chmod(&f, "d/a", 0640), 0);
    assert_int_equal(set_owner(&f, "d/a", 77), 0);
    pass(&f, SECOND / 2);
    assert_int_equal(set_times(&f, "d/a", when), 0);
    assert_int_equal(vfs_setxattr(f.vfs, fixture_ino(&f, "d/a"), "user.x", "y", 1, 0, &f.err), 0);
    /* At once to be seen, also when the cache is too old and asks. */
    assert_int_equal(mode_of(&f, "d/a"), 0640);
    assert_true(mtime_of(&f, "d/a") == when);
    assert_int_equal(stat_of(&f, "d/a").st_uid, 77);
    pass(&f, SECOND / 2);
    fixture_expect(&f, "");
    pass(&f, SECOND / 2);
    fixture_expect(&f, "copy 1");
    assert_string_equal(fixture_metadata(&f, "d/a", "mode"), "33184");
    assert_string_equal(fixture_metadata(&f, "d/a", "uid"), "77");
    assert_string_equal(fixture_metadata(&f, "d/a", "mtime"), "1500000000.123456789");
    assert_string_not_equal(fixture_metadata(&f, "d/a", "xattr"), "");
    pass(&f, 10 * SECOND);
    fixture_expect(&f, "");
    fixture_done(&f);
}

static void test_somebody_keeps_changing(void **state)
{
    struct fixture f;
    begin(&f);
    for (mode_t m = 0600; m < 0612; m++) {
        assert_int_equal(fixture_chmod(&f, "d/a", m), 0);
        pass(&f, SECOND * 6 / 10);
    }
    fixture_expect(&f, "copy 1"); /* six seconds, and no quiet one */
    fixture_done(&f);
}

/* rsync -a: a temporary file is written, gets its attributes, and then its name. */
static void test_rename_takes_them_along(void **state)
{
    struct fixture f;
    begin(&f);
    assert_int_equal(fixture_write(&f, "d/.tmp", "content"), 0);
    assert_int_equal(set_times(&f, "d/.tmp", 5), 0);
    assert_int_equal(set_owner(&f, "d/.tmp", 5), 0);
    assert_int_equal(fixture_chmod(&f, "d/.tmp", 0444), 0);
    assert_int_equal(fixture_rename(&f, "d/.tmp", "d/final", 0), 0);
    pass(&f, 10 * SECOND);
    fixture_expect(&f, "put 1, copy 1, delete 1");
    assert_string_equal(fixture_metadata(&f, "d/final", "mode"), "33060");
    assert_string_equal(fixture_metadata(&f, "d/final", "mtime"), "0.000000005");
    fixture_remount(&f, NULL);
    assert_int_equal(mode_of(&f, "d/final"), 0444);
    assert_int_equal(stat_of(&f, "d/final").st_uid, 5);
    /* A rename that fails leaves them to be stored under the old name. */
    assert_int_equal(fixture_chmod(&f, "d/final", 0400), 0);
    fail_copies(&f, 1, S3_ERROR_SERVER);
    assert_int_equal(fixture_rename(&f, "d/final", "d/x", 0), -EIO);
    pass(&f, 10 * SECOND);
    assert_string_equal(fixture_metadata(&f, "d/final", "mode"), "33024");
    fixture_done(&f);
}

static void test_upload_takes_them_along_and_unlink_drops_them(void **state)
{
    struct fixture f;
    begin(&f);
    assert_int_equal(fixture_chmod(&f, "d/a", 0640), 0);
    assert_int_equal(fixture_write(&f, "d/a", "new"), 0);
    pass(&f, 10 * SECOND);
    fixture_expect(&f, "put 1");
    assert_string_equal(fixture_metadata(&f, "d/a", "mode"), "33184");
    assert_int_equal(fixture_chmod(&f, "d/a", 0600), 0);
    assert_int_equal(fixture_unlink(&f, "d/a"), 0);
    pass(&f, 10 * SECOND);
    fixture_expect(&f, "delete 1");
    assert_string_equal(fixture_keys(&f), ".pailfs-root d/ d/other " + sizeof(".pailfs-root"));
    fixture_done(&f);
}

static void test_fsync_does_not_wait(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    begin(&f);
    assert_int_equal(fixture_open(&f, "d/a", O_RDONLY, &file), 0);
    assert_int_equal(fixture_chmod(&f, "d/a", 0640), 0);
    assert_int_equal(vfs_fsync(f.vfs, file, &f.err), 0);
    fixture_expect(&f, "copy 1");
    assert_int_equal(fixture_chmod(&f, "d/a", 0600), 0);
    assert_int_equal(vfs_sync(f.vfs, &f.err), 0);
    fixture_expect(&f, "copy 1");
    assert_int_equal(fixture_chmod(&f, "d", 0700), 0);
    assert_int_equal(vfs_fsync_dir(f.vfs, fixture_ino(&f, "d"), &f.err), 0);
    assert_string_equal(fixture_metadata(&f, "d/", "mode"), "16832");
    pass(&f, 10 * SECOND);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_done(&f);
}

/* What is shown while it waits is what will be, whatever the cache's age and the listings say. */
static void test_shown_while_pending(void **state)
{
    struct fixture f;
    struct vfs_options o = fixture_options();
    o.metadata_ttl_ns = SECOND / 10;
    begin(&f);
    fixture_remount(&f, &o);
    assert_int_equal(fixture_chmod(&f, "d/a", 0640), 0);
    assert_int_equal(fixture_chmod(&f, "d", 0700), 0);
    for (int i = 0; i < 3; i++) {
        clock_fake_advance(&f.clock, SECOND / 5);
        (void)fixture_ls(&f, "d", true);
        assert_int_equal(mode_of(&f, "d/a"), 0640);
        assert_int_equal(mode_of(&f, "d"), 0700);
    }
    pass(&f, SECOND);
    clock_fake_advance(&f.clock, SECOND);
    assert_int_equal(mode_of(&f, "d/a"), 0640);
    assert_int_equal(mode_of(&f, "d"), 0700);
    fixture_done(&f);
}

static void test_tried_again(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    begin(&f);
    assert_int_equal(fixture_open(&f, "d/a", O_RDONLY, &file), 0);
    assert_int_equal(fixture_chmod(&f, "d/a", 0640), 0);
    fail_copies(&f, 4, S3_ERROR_SERVER);
    pass(&f, SECOND);
    fixture_expect(&f, "copy 1");
    assert_int_equal(vfs_fsync(f.vfs, file, &f.err), -EIO);
    fixture_expect(&f, "copy 1");
    assert_int_equal(mode_of(&f, "d/a"), 0640);
    pass(&f, SECOND); /* the third */
    pass(&f, SECOND / 2);
    fixture_expect(&f, "copy 1");
    for (int i = 0; i < 8; i++)
        pass(&f, SECOND);
    fixture_expect(&f, "copy 1"); /* the pauses grow */
    for (int i = 0; i < 16; i++)
        pass(&f, SECOND);
    fixture_expect(&f, "copy 1");
    assert_string_equal(fixture_metadata(&f, "d/a", "mode"), "33184");
    assert_int_equal(vfs_fsync(f.vfs, file, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_done(&f);
}

static void test_another_host_was_first(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    begin(&f);
    assert_int_equal(fixture_chmod(&f, "d/a", 0640), 0);
    fixture_object(&f, "d/a", "theirs");
    pass(&f, SECOND);
    assert_string_equal(fixture_metadata(&f, "d/a", "mode"), "");
    assert_string_equal(fixture_get(&f, "d/a"), "theirs");
    assert_int_equal(fixture_open(&f, "d/a", O_RDONLY, &file), 0);
    assert_int_equal(vfs_fsync(f.vfs, file, &f.err), -ESTALE);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_int_equal(mode_of(&f, "d/a"), 0644);

    /* The same when a listing is the first to tell. */
    assert_int_equal(fixture_chmod(&f, "d/a", 0640), 0);
    fixture_object(&f, "d/a", "theirs again");
    clock_fake_advance(&f.clock, 61 * SECOND);
    (void)fixture_ls(&f, "d", true);
    assert_int_equal(mode_of(&f, "d/a"), 0644);
    pass(&f, SECOND);
    assert_string_equal(fixture_metadata(&f, "d/a", "mode"), "");

    /* Gone is gone. */
    assert_int_equal(fixture_chmod(&f, "d/a", 0640), 0);
    fixture_remove(&f, "d/a");
    pass(&f, SECOND);
    assert_null(fixture_get(&f, "d/a"));
    fixture_done(&f);
}

static void test_directory_is_two_puts(void **state)
{
    struct fixture f;
    begin(&f);
    assert_int_equal(fixture_mkdir(&f, "d/sub", 0755), 0);
    assert_int_equal(fixture_chmod(&f, "d/sub", 0700), 0);
    assert_int_equal(set_owner(&f, "d/sub", 5), 0);
    assert_int_equal(set_times(&f, "d/sub", 7), 0);
    pass(&f, SECOND);
    fixture_expect(&f, "put 2");
    assert_string_equal(fixture_metadata(&f, "d/sub/", "mode"), "16832");
    assert_string_equal(fixture_metadata(&f, "d/sub/", "mtime"), "0.000000007");
    /* Later it is looked at first: another host may have written it. */
    pass(&f, 10 * SECOND);
    assert_int_equal(set_times(&f, "d/sub", 8), 0);
    pass(&f, SECOND);
    fixture_expect(&f, "head 1, put 1");
    /* Its rename does not lose them. */
    assert_int_equal(fixture_chmod(&f, "d/sub", 0711), 0);
    assert_int_equal(fixture_rename(&f, "d/sub", "d/moved", 0), 0);
    assert_string_equal(fixture_metadata(&f, "d/moved/", "mode"), "16841");
    assert_int_equal(fixture_chmod(&f, "d/moved", 0700), 0);
    assert_int_equal(fixture_rmdir(&f, "d/moved"), 0);
    store_count_reset(f.count);
    pass(&f, 10 * SECOND);
    fixture_expect(&f, "");
    fixture_done(&f);
}

/* ---- times ---- */

/* A file that was only written has the time that listings tell, before and after its directory is
 * marked. */
static void test_marking_changes_no_time(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    clock_fake_advance(&f.clock, SECOND / 2);
    assert_int_equal(fixture_write(&f, "a", "x"), 0);
    assert_int_equal(fixture_write(&f, "b", "x"), 0);
    int64_t then = mtime_of(&f, "b");
    assert_true(then % NS_PER_S == 0);
    fixture_remount(&f, NULL);
    assert_true(mtime_of(&f, "b") == then);
    clock_fake_advance(&f.clock, 100 * SECOND);
    assert_int_equal(fixture_chmod(&f, "a", 0600), 0);
    assert_true(mtime_of(&f, "a") == then);
    fixture_settle(&f);
    assert_string_equal(fixture_metadata(&f, ".pailfs-root", "pailfs-posix"), "1");
    for (int i = 0; i < 2; i++) {
        assert_true(mtime_of(&f, "a") == then);
        assert_true(mtime_of(&f, "b") == then);
        assert_true(stat_of(&f, "b").st_ctim.tv_sec == then / NS_PER_S);
        fixture_remount(&f, NULL);
    }
    /* In a marked directory times have nanoseconds from the first write on. */
    assert_int_equal(fixture_write(&f, "c", "x"), 0);
    int64_t fine = mtime_of(&f, "c");
    assert_true(fine % NS_PER_S == NS_PER_S / 2);
    fixture_remount(&f, NULL);
    assert_true(mtime_of(&f, "c") == fine);
    fixture_done(&f);
}

static void test_rename_keeps_the_time(void **state)
{
    struct fixture f;
    const struct store_metadata m[] = {{"color", "blue"}};
    struct store_attrs attrs = {.metadata = m, .n_metadata = 1};
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    fixture_object_attrs(&f, "foreign", "x", &attrs);
    (void)fixture_ls(&f, "", false);
    assert_int_equal(fixture_write(&f, "tmp", "x"), 0);
    int64_t then = mtime_of(&f, "tmp");
    store_count_reset(f.count);
    /* Within the second nothing has to be kept. */
    assert_int_equal(fixture_rename(&f, "tmp", "d/a", 0), 0);
    fixture_expect(&f, "copy 1, delete 1");
    assert_string_equal(fixture_metadata(&f, "d/", "pailfs-posix"), "0");
    clock_fake_advance(&f.clock, 30 * SECOND);
    assert_int_equal(fixture_rename(&f, "d/a", "d/b", 0), 0);
    assert_int_equal(fixture_rename(&f, "foreign", "moved", 0), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(mtime_of(&f, "d/b") == then);
        assert_true(mtime_of(&f, "moved") == then);
        assert_true(stat_of(&f, "d/b").st_ctim.tv_sec == then / NS_PER_S + 30);
        fixture_remount(&f, NULL);
    }
    assert_string_equal(fixture_metadata(&f, "moved", "color"), "blue");
    assert_string_equal(fixture_metadata(&f, "d/", "pailfs-posix"), "1");
    fixture_done(&f);
}

/* The time in another program's metadata is the file's, as soon as metadata is looked at. */
static void test_time_of_others_is_kept(void **state)
{
    struct fixture f;
    const struct store_metadata m[] = {{"mtime", "1600000000.25"}, {"mode", "33152"}};
    struct store_attrs attrs = {.metadata = m, .n_metadata = 2};
    fixture_init(&f, NULL);
    fixture_object_attrs(&f, "a", "x", &attrs);
    fixture_object_attrs(&f, "b", "x", &attrs);
    clock_fake_advance(&f.clock, 30 * SECOND);
    assert_int_equal(fixture_rename(&f, "a", "c", 0), 0);
    assert_string_equal(fixture_metadata(&f, "c", "mtime"), "1600000000.25");
    assert_true(mtime_of(&f, "c") == INT64_C(1600000000250000000));
    assert_int_equal(mode_of(&f, "c"), 0600);
    /* A mode that it has already is shown from then on. */
    assert_int_equal(fixture_chmod(&f, "b", 0600), 0);
    fixture_remount(&f, NULL);
    assert_int_equal(mode_of(&f, "b"), 0600);
    /* Writing is a change of the time, whoever set it. */
    assert_int_equal(fixture_write(&f, "b", "new"), 0);
    int64_t now = mtime_of(&f, "b");
    fixture_remount(&f, NULL);
    assert_true(mtime_of(&f, "b") == now && now > INT64_C(1700000000000000000));
    fixture_done(&f);
}

/* touch of an old file in an unmarked directory: LastModified is now, and no more is needed. */
static void test_touch_is_now(void **state)
{
    struct fixture f;
    struct vfs_changes now = {.set = VFS_SET_ATIME | VFS_SET_MTIME | VFS_SET_ATIME_NOW |
                                     VFS_SET_MTIME_NOW};
    fixture_init(&f, NULL);
    assert_int_equal(fixture_write(&f, "a", "x"), 0);
    int64_t then = mtime_of(&f, "a");
    store_count_reset(f.count);
    assert_int_equal(set(&f, "a", &now), 0);
    fixture_expect(&f, ""); /* the second has not passed */
    clock_fake_advance(&f.clock, SECOND);
    assert_int_equal(set(&f, "a", &now), 0);
    fixture_expect(&f, "copy 1");
    assert_true(mtime_of(&f, "a") == then + NS_PER_S);
    /* After a change of mode it is one of several. */
    assert_int_equal(fixture_chmod(&f, "a", 0600), 0);
    clock_fake_advance(&f.clock, SECOND / 2);
    assert_int_equal(set(&f, "a", &now), 0);
    fixture_settle(&f);
    fixture_expect(&f, "put 1, copy 1");
    fixture_remount(&f, NULL);
    assert_true(mtime_of(&f, "a") / NS_PER_S == then / NS_PER_S + 1);
    fixture_done(&f);
}

/* Attributes that wait keep what was known of the file when it was written: an open asks anew. */
static void test_opened_while_attributes_wait(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_options o = fixture_options();
    struct s3_error err;
    o.metadata_ttl_ns = 0;
    fixture_init(&f, &o);
    assert_int_equal(fixture_create(&f, "a", O_WRONLY, 0644, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 0, "ours", 4, &err), 0);
    assert_int_equal(vfs_flush(f.vfs, file, &err), 0);
    assert_int_equal(fixture_chmod(&f, "a", 0600), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_object(&f, "a", "theirs");
    int r = fixture_open(&f, "a", O_WRONLY | O_APPEND, &file);
    if (r == -ESTALE) /* the kernel looks it up again */
        r = fixture_open(&f, "a", O_WRONLY | O_APPEND, &file);
    assert_int_equal(r, 0);
    assert_int_equal(vfs_write(f.vfs, file, 6, "+", 1, &err), 0);
    assert_int_equal(vfs_flush(f.vfs, file, &err), -ESTALE); /* told once: chmod is lost */
    assert_string_equal(fixture_get(&f, "a"), "theirs+");
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_copy_for_all),
        cmocka_unit_test(test_somebody_keeps_changing),
        cmocka_unit_test(test_rename_takes_them_along),
        cmocka_unit_test(test_upload_takes_them_along_and_unlink_drops_them),
        cmocka_unit_test(test_fsync_does_not_wait),
        cmocka_unit_test(test_shown_while_pending),
        cmocka_unit_test(test_tried_again),
        cmocka_unit_test(test_another_host_was_first),
        cmocka_unit_test(test_directory_is_two_puts),
        cmocka_unit_test(test_marking_changes_no_time),
        cmocka_unit_test(test_rename_keeps_the_time),
        cmocka_unit_test(test_time_of_others_is_kept),
        cmocka_unit_test(test_touch_is_now),
        cmocka_unit_test(test_opened_while_attributes_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
