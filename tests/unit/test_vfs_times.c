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
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_count.h"
#include "store/store_fault.h"
#include "vfs_bed.h"

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

/* ---- rename of a directory ---- */

struct seen {
    int64_t mtime_ns;
    int64_t ctime_ns;
};

static struct seen see(struct fixture *f, const char *path)
{
    return (struct seen){mtime_of(f, path), ctime_of(f, path)};
}

static void check_same(struct fixture *f, const char *path, struct seen before)
{
    struct seen now = see(f, path);
    if (now.mtime_ns != before.mtime_ns || now.ctime_ns != before.ctime_ns)
        fail_msg("%s: mtime %lld, was %lld; ctime %lld, was %lld", path, (long long)now.mtime_ns,
                 (long long)before.mtime_ns, (long long)now.ctime_ns, (long long)before.ctime_ns);
}

static const char *const TREE[] = {"plain", "set", "theirs", "sub/plain", "sub/deep/plain"};
#define TREE_N (sizeof(TREE) / sizeof(TREE[0]))

static void make_tree(struct fixture *f)
{
    const struct store_metadata m[] = {{"color", "blue"}};
    struct store_attrs attrs = {.metadata = m, .n_metadata = 1, .cache_control = "no-cache"};
    assert_int_equal(fixture_mkdir(f, "d", 0755), 0);
    assert_int_equal(fixture_mkdir(f, "d/sub", 0755), 0);
    assert_int_equal(fixture_mkdir(f, "d/sub/deep", 0755), 0);
    assert_int_equal(fixture_mkdir(f, "d/empty", 0755), 0);
    for (size_t i = 0; i < TREE_N; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "d/%s", TREE[i]);
        clock_fake_advance(&f->clock, SECOND * 3 / 2);
        if (strcmp(TREE[i], "theirs") == 0)
            fixture_object_attrs(f, path, TREE[i], &attrs);
        else
            assert_int_equal(fixture_write(f, path, TREE[i]), 0);
    }
    fixture_settle(f);
}

static void check_tree_moves(const struct vfs_options *o, bool remount)
{
    struct fixture f;
    struct seen before[TREE_N], dir;
    char path[64];
    fixture_init(&f, o);
    make_tree(&f);
    fixture_remount(&f, o);
    for (size_t i = 0; i < TREE_N; i++) {
        (void)snprintf(path, sizeof(path), "d/%s", TREE[i]);
        before[i] = see(&f, path);
    }
    dir = see(&f, "d/sub");
    clock_fake_advance(&f.clock, 30 * SECOND);
    if (remount)
        fixture_remount(&f, o);
    assert_int_equal(fixture_rename(&f, "d", "e", 0), 0);
    for (int n = 0; n < 2; n++) {
        for (size_t i = 0; i < TREE_N; i++) {
            (void)snprintf(path, sizeof(path), "e/%s", TREE[i]);
            check_same(&f, path, before[i]);
            assert_string_equal(fixture_read(&f, path), TREE[i]);
        }
        /* In an unmarked directory that of another one is not looked for. */
        if (o)
            check_same(&f, "e/sub", dir);
        fixture_remount(&f, o);
    }
    assert_string_equal(fixture_metadata(&f, "e/theirs", "color"), "blue");
    assert_string_equal(fixture_keys(&f) + strcspn(fixture_keys(&f), "e"),
                        "e/ e/empty/ e/plain e/set e/sub/ e/sub/deep/ e/sub/deep/plain e/sub/plain "
                        "e/theirs ");
    assert_string_equal(fixture_metadata(&f, "e/", "pailfs-posix"), "1");
    assert_string_equal(fixture_metadata(&f, "e/sub/deep/", "pailfs-posix"), "1");
    if (!o)
        assert_string_equal(fixture_metadata(&f, "e/empty/", "pailfs-posix"), "0");
    fixture_done(&f);
}

static void test_rename_of_a_directory(void **state)
{
    check_tree_moves(NULL, false);
    check_tree_moves(NULL, true);
}

static void test_rename_of_a_directory_with_posix_on(void **state)
{
    struct vfs_options on = with_posix_on();
    check_tree_moves(&on, false);
    check_tree_moves(&on, true);
}

/* What this mount has just written it need not ask for. */
static void test_known_files_cost_one_copy(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    assert_int_equal(fixture_write(&f, "d/a", "x"), 0);
    assert_int_equal(fixture_write(&f, "d/b", "x"), 0);
    store_count_reset(f.count);
    assert_int_equal(fixture_rename(&f, "d", "e", 0), 0);
    fixture_expect(&f, "list 4, put 1, copy 3, delete-many 1");
    struct seen a = see(&f, "e/a");
    clock_fake_advance(&f.clock, 30 * SECOND);
    assert_int_equal(fixture_rename(&f, "e", "g", 0), 0);
    check_same(&f, "g/a", a);
    fixture_remount(&f, NULL);
    check_same(&f, "g/a", a);
    /* The copy a second later is another version nevertheless. */
    assert_int_equal(fixture_mkdir(&f, "n", 0755), 0);
    assert_int_equal(fixture_write(&f, "n/a", "x"), 0);
    a = see(&f, "n/a");
    clock_fake_advance(&f.clock, SECOND);
    assert_int_equal(fixture_rename(&f, "n", "o", 0), 0);
    (void)fixture_ls(&f, "o", true);
    check_same(&f, "o/a", a);
    fixture_done(&f);
}

/* A common prefix of keys: a copy for each, and LastModified goes on to be the time. */
static void test_rename_of_a_prefix(void **state)
{
    struct fixture f;
    struct vfs_options on = with_posix_on();
    fixture_init(&f, NULL);
    fixture_object(&f, "d/a", "x");
    fixture_object(&f, "d/sub/b", "x");
    struct seen then = see(&f, "d/sub/b");
    clock_fake_advance(&f.clock, 30 * SECOND);
    store_count_reset(f.count);
    assert_int_equal(fixture_rename(&f, "d", "e", 0), 0);
    fixture_expect(&f, "list 4, put 1, copy 2, delete-many 1");
    assert_true(mtime_of(&f, "e/sub/b") == then.mtime_ns + 30 * NS_PER_S);
    /* With posix=on it has a time like any other, and its directories get markers. */
    fixture_object(&f, "n/a", "x");
    fixture_object(&f, "n/sub/b", "x");
    fixture_remount(&f, &on);
    then = see(&f, "n/sub/b");
    clock_fake_advance(&f.clock, 30 * SECOND);
    assert_int_equal(fixture_rename(&f, "n", "o", 0), 0);
    check_same(&f, "o/sub/b", then);
    fixture_remount(&f, NULL);
    check_same(&f, "o/sub/b", then);
    check_same(&f, "o/a", then);
    fixture_done(&f);
}

/* ---- exchange ---- */

#define HOUR (3600 * SECOND)

/* Before, after, and on the next mount: what was under one name is shown under the other. */
static void exchange_and_compare(struct vfs_bed *b, const char *one, const char *two)
{
    struct fixture *f = &b->f;
    int64_t first = mtime_of(f, one), second = mtime_of(f, two);
    assert_true(first != second);
    assert_int_equal(fixture_rename(f, one, two, RENAME_EXCHANGE), 0);
    for (int mount = 0; mount < 2; mount++) {
        assert_true(mtime_of(f, one) == second);
        assert_true(mtime_of(f, two) == first);
        vfs_bed_next(b);
    }
}

static void test_exchange(void **state)
{
    static const struct store_metadata m[] = {{"color", "blue"}};
    const struct store_attrs attrs = {
        .content_type = "text/plain", .metadata = m, .n_metadata = ARRAY_SIZE(m)};
    for (int listed = 0; listed < 2; listed++) {
        struct vfs_bed b;
        vfs_bed_begin(&b);
        fixture_object_attrs(&b.f, "p/a.txt", "AA", &attrs);
        clock_fake_advance(&b.f.clock, HOUR);
        fixture_object(&b.f, "q/b.jpg", "B");
        clock_fake_advance(&b.f.clock, HOUR);
        assert_int_equal(fixture_write(&b.f, "c", "own"), 0);
        fixture_object(&b.f, "d/x", "x");
        clock_fake_advance(&b.f.clock, HOUR);
        if (listed)
            for (const char **d = (const char *[]){"", "p", "q", NULL}; *d; d++)
                (void)fixture_ls(&b.f, *d, true);
        exchange_and_compare(&b, "p/a.txt", "q/b.jpg");
        assert_string_equal(fixture_metadata(&b.f, "q/b.jpg", "color"), "blue");
        exchange_and_compare(&b, "p/a.txt", "c");
        exchange_and_compare(&b, "q/b.jpg", "c");
        int64_t time = mtime_of(&b.f, "c");
        assert_int_equal(fixture_rename(&b.f, "c", "d", RENAME_EXCHANGE), 0);
        assert_true(mtime_of(&b.f, "d") == time);
        vfs_bed_next(&b);
        assert_true(mtime_of(&b.f, "d") == time);
        vfs_bed_end(&b);
    }
}

/* One that fails leaves both as they were, and the type of their names. */
static void test_failed_exchange(void **state)
{
    for (unsigned at = 0; at < 3; at++) {
        struct vfs_bed b;
        struct store_object o;
        vfs_bed_begin(&b);
        assert_int_equal(fixture_write(&b.f, "a.txt", "AA"), 0);
        clock_fake_advance(&b.f.clock, HOUR);
        assert_int_equal(fixture_write(&b.f, "b.jpg", "B"), 0);
        int64_t first = mtime_of(&b.f, "a.txt"), second = mtime_of(&b.f, "b.jpg");
        print_message("copy %u fails\n", at);
        struct store_fault_rule refused = {
            .op = STORE_COPY, .after = at, .count = 1, .error = S3_ERROR_ACCESS_DENIED};
        assert_int_equal(store_fault_add(b.f.fault, &refused), 0);
        clock_fake_advance(&b.f.clock, HOUR);
        assert_int_equal(fixture_rename(&b.f, "a.txt", "b.jpg", RENAME_EXCHANGE), -EACCES);
        vfs_bed_next(&b);
        assert_null(strstr(fixture_keys(&b.f), ".pailfs-unlinked"));
        assert_true(mtime_of(&b.f, "a.txt") == first);
        assert_true(mtime_of(&b.f, "b.jpg") == second);
        assert_int_equal(store_head(b.f.memory, "a.txt", &o, &b.f.err), 0);
        assert_string_equal(o.attrs.content_type, "text/plain");
        store_object_done(&o);
        vfs_bed_end(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_in_a_marked_directory),
        cmocka_unit_test(test_large_with_posix_on),
        cmocka_unit_test(test_marked_meanwhile),
        cmocka_unit_test(test_posix_on_marks),
        cmocka_unit_test(test_rename_of_a_directory),
        cmocka_unit_test(test_rename_of_a_directory_with_posix_on),
        cmocka_unit_test(test_known_files_cost_one_copy),
        cmocka_unit_test(test_rename_of_a_prefix),
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_failed_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
