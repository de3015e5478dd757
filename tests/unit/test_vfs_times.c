/* SPDX-License-Identifier: Apache-2.0 */
/* A time that is shown is the time that the next mount shows: of large files, of directories, and
 * through renames of directories. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_count.h"
#include "vfs_fixture.h"

#define SECOND ((uint64_t)NS_PER_S)
#define CHUNK  (6u << 20)

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

static int64_t ctime_of(struct fixture *f, const char *path)
{
    struct stat st = stat_of(f, path);
    return st.st_ctim.tv_sec * NS_PER_S + st.st_ctim.tv_nsec;
}

static int set_mtime(struct fixture *f, const char *path, struct vfs_file *file, int64_t ns)
{
    struct vfs_entry e;
    struct vfs_changes c = {.set = VFS_SET_ATIME | VFS_SET_MTIME, .atime_ns = ns, .mtime_ns = ns};
    return vfs_setattr(f->vfs, fixture_ino(f, path), file, &c, &e, &f->err);
}

static struct vfs_options with_posix_on(void)
{
    struct vfs_options o = fixture_options();
    o.posix = VFS_POSIX_ON;
    return o;
}

/* ---- uploads in parts ---- */

/* Parts leave while it is written, and its metadata has been said before the first. */
static void write_large(struct fixture *f, struct vfs_file *file)
{
    char *chunk = calloc(1, CHUNK);
    assert_non_null(chunk);
    for (unsigned i = 0; i < 5; i++) {
        clock_fake_advance(&f->clock, 3 * SECOND + 7);
        assert_int_equal(vfs_write(f->vfs, file, (uint64_t)i * CHUNK, chunk, CHUNK, &f->err), 0);
    }
    free(chunk);
    clock_fake_advance(&f->clock, 3 * SECOND);
}

static void check_large(const struct vfs_options *o)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, o);
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    assert_int_equal(fixture_write(&f, "d/small", "x"), 0);
    assert_int_equal(fixture_chmod(&f, "d/small", 0600), 0); /* the directory is marked */
    fixture_settle(&f);
    assert_int_equal(fixture_create(&f, "d/large", O_WRONLY, 0644, &file), 0);
    write_large(&f, file);
    int64_t written = mtime_of(&f, "d/large");
    store_count_reset(f.count);
    assert_int_equal(fixture_close(&f, file), 0);
    int64_t shown = mtime_of(&f, "d/large"), changed = ctime_of(&f, "d/large");
    assert_true(shown <= written && shown % NS_PER_S != 0);
    fixture_remount(&f, o);
    assert_true(mtime_of(&f, "d/large") == shown);
    assert_true(ctime_of(&f, "d/large") == changed);

    /* What a program has set is the time, whenever the upload began. */
    assert_int_equal(fixture_create(&f, "d/set", O_WRONLY, 0644, &file), 0);
    write_large(&f, file);
    assert_int_equal(set_mtime(&f, "d/set", file, 5), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_true(mtime_of(&f, "d/set") == 5);
    fixture_remount(&f, o);
    assert_true(mtime_of(&f, "d/set") == 5);

    /* Written anew after that: the time is of the writing. */
    assert_int_equal(fixture_open(&f, "d/set", O_WRONLY | O_TRUNC, &file), 0);
    write_large(&f, file);
    assert_int_equal(fixture_close(&f, file), 0);
    shown = mtime_of(&f, "d/set");
    assert_true(shown > written);
    fixture_remount(&f, o);
    assert_true(mtime_of(&f, "d/set") == shown);
    fixture_done(&f);
}

static void test_large_in_a_marked_directory(void **state)
{
    check_large(NULL);
}

static void test_large_with_posix_on(void **state)
{
    struct vfs_options o = with_posix_on();
    check_large(&o);
}

/* The directory is marked while the upload, which carries no time, is under way. */
static void test_marked_meanwhile(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    assert_int_equal(fixture_write(&f, "d/small", "x"), 0);
    assert_int_equal(fixture_create(&f, "d/large", O_WRONLY, 0644, &file), 0);
    write_large(&f, file);
    assert_int_equal(fixture_chmod(&f, "d/small", 0600), 0);
    fixture_settle(&f);
    assert_int_equal(vfs_write(f.vfs, file, 5 * CHUNK, "y", 1, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    int64_t shown = mtime_of(&f, "d/large");
    fixture_remount(&f, NULL);
    assert_true(mtime_of(&f, "d/large") == shown);
    fixture_done(&f);
}

/* ---- posix=on ---- */

/* Directories are marked as with posix=auto: another mount sees what was stored. */
static void test_posix_on_marks(void **state)
{
    struct fixture f;
    struct vfs_options on = with_posix_on();
    fixture_init(&f, &on);
    fixture_object(&f, "theirs/x", "x");
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    fixture_expect(&f, "put 1");
    assert_int_equal(fixture_mkdir(&f, "d/sub", 0700), 0);
    assert_int_equal(fixture_write(&f, "d/sub/file", "x"), 0);
    fixture_expect(&f, "put 2");
    assert_int_equal(set_mtime(&f, "d/sub", NULL, 7), 0);
    assert_int_equal(fixture_chmod(&f, "d/sub/file", 0640), 0);
    fixture_settle(&f);
    assert_int_equal(fixture_ino(&f, "theirs") != 0, 1);
    store_count_reset(f.count);
    assert_int_equal(fixture_write(&f, "theirs/y", "x"), 0);
    assert_int_equal(fixture_write(&f, "theirs/z", "x"), 0);
    fixture_expect(&f, "list 2, put 3"); /* the marker is one of them, once */
    assert_int_equal(fixture_chmod(&f, "theirs", 0711), 0);
    int64_t then = mtime_of(&f, "theirs/y");
    for (int i = 0; i < 2; i++) {
        fixture_remount(&f, i == 0 ? NULL : &on);
        assert_int_equal(stat_of(&f, "d/sub").st_mode & 07777, 0700);
        assert_true(mtime_of(&f, "d/sub") == 7);
        assert_int_equal(stat_of(&f, "d/sub/file").st_mode & 07777, 0640);
        assert_int_equal(stat_of(&f, "theirs").st_mode & 07777, 0711);
        assert_true(mtime_of(&f, "theirs/y") == then);
    }
    /* What is marked stays so, whoever writes the marker. */
    assert_int_equal(fixture_chmod(&f, "d", 0750), 0);
    assert_string_equal(fixture_metadata(&f, "d/", "pailfs-posix"), "1");
    assert_string_equal(fixture_metadata(&f, ".pailfs-root", "pailfs-posix"), "1");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_in_a_marked_directory),
        cmocka_unit_test(test_large_with_posix_on),
        cmocka_unit_test(test_marked_meanwhile),
        cmocka_unit_test(test_posix_on_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
