/* SPDX-License-Identifier: Apache-2.0 */
/* Symbolic links, FIFOs and sockets through the filesystem, and the requests that they cost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/attr.h"
#include "store/store_count.h"
#include "store/store_fault.h"
#include "vfs_fixture.h"

static char target[VFS_LINK_MAX + 1];

static int make_link(struct fixture *f, const char *to, const char *path)
{
    struct vfs_entry e;
    const char *name;
    uint64_t parent = fixture_parent(f, path, &name);
    return vfs_symlink(f->vfs, &fixture_caller, parent, name, to, &e, &f->err);
}

static int read_link(struct fixture *f, const char *path)
{
    snprintf(target, sizeof(target), "?");
    return vfs_readlink(f->vfs, fixture_ino(f, path), target, &f->err);
}

static mode_t mode_of(struct fixture *f, const char *path)
{
    struct vfs_entry e;
    int r = fixture_lookup(f, path, &e);
    return r < 0 ? 0 : e.st.st_mode;
}

static void put_with(struct fixture *f, const char *key, const char *content, const char *name,
                     const char *value)
{
    struct store_metadata m = {.name = name, .value = value};
    struct store_attrs attrs = {.metadata = &m, .n_metadata = 1};
    fixture_object_attrs(f, key, content, &attrs);
}

static void test_link_costs_one_put(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    fixture_expect(&f, "put 1");
    /* The first also marks the directory. */
    assert_int_equal(make_link(&f, "../to here", "d/a"), 0);
    fixture_expect(&f, "put 2");
    assert_int_equal(make_link(&f, "x", "d/b"), 0);
    fixture_expect(&f, "put 1");
    assert_int_equal(read_link(&f, "d/a"), 0);
    assert_string_equal(target, "../to here");
    assert_int_equal(fixture_lookup(&f, "d/a", &e), 0);
    assert_int_equal(e.st.st_mode, S_IFLNK | 0777);
    assert_int_equal(e.st.st_size, 10);
    fixture_expect(&f, "");
    assert_string_equal(fixture_get(&f, "d/a"), "../to here");
    assert_string_equal(fixture_metadata(&f, "d/a", "mode"), "41471");

    fixture_remount(&f, NULL);
    (void)fixture_ls(&f, "", false);
    (void)fixture_ls(&f, "d", true); /* the mark, and a HEAD for each */
    fixture_expect(&f, "list 2, head 3");
    assert_int_equal(mode_of(&f, "d/a"), S_IFLNK | 0777);
    assert_int_equal(read_link(&f, "d/a"), 0);
    assert_int_equal(read_link(&f, "d/a"), 0);
    assert_string_equal(target, "../to here");
    fixture_expect(&f, "get 1");
    fixture_done(&f);
}

static void test_link_errors(void **state)
{
    struct fixture f;
    char longest[VFS_LINK_MAX + 2];
    fixture_init(&f, NULL);
    fixture_object(&f, "file", "x");
    memset(longest, 'l', sizeof(longest));
    longest[VFS_LINK_MAX + 1] = '\0';
    assert_int_equal(make_link(&f, longest, "long"), -ENAMETOOLONG);
    longest[VFS_LINK_MAX] = '\0';
    assert_int_equal(make_link(&f, longest, "long"), 0);
    fixture_remount(&f, NULL);
    assert_int_equal(read_link(&f, "long"), 0);
    assert_string_equal(target, longest);
    assert_int_equal(make_link(&f, "", "empty"), -ENOENT);
    assert_int_equal(make_link(&f, "x", "file"), -EEXIST);
    assert_int_equal(read_link(&f, "file"), -EINVAL);
    /* The store knows of a name that the cache does not. */
    assert_int_equal(fixture_lookup(&f, "new", NULL), -ENOENT);
    fixture_object(&f, "new", "theirs");
    assert_int_equal(make_link(&f, "x", "new"), -EEXIST);
    assert_string_equal(fixture_get(&f, "new"), "theirs");
    assert_string_equal(fixture_read(&f, "new"), "theirs");
    fixture_done(&f);

    struct vfs_options o = fixture_options();
    o.posix = VFS_POSIX_OFF;
    fixture_init(&f, &o);
    assert_int_equal(make_link(&f, "x", "l"), -EPERM);
    fixture_expect(&f, "");
    o.read_only = true;
    fixture_remount(&f, &o);
    assert_int_equal(make_link(&f, "x", "l"), -EROFS);
    fixture_done(&f);
}

static void test_failed_put_leaves_nothing(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    struct vfs_options o = fixture_options();
    o.posix = VFS_POSIX_ON;
    fixture_remount(&f, &o);
    struct store_fault_rule rule = {.op = STORE_PUT, .count = 1, .error = S3_ERROR_ACCESS_DENIED};
    assert_int_equal(store_fault_add(f.fault, &rule), 0);
    assert_int_equal(make_link(&f, "x", "l"), -EACCES);
    assert_int_equal(fixture_lookup(&f, "l", NULL), -ENOENT);
    assert_int_equal(make_link(&f, "x", "l"), 0);
    fixture_done(&f);
}

static void test_dialects(void **state)
{
    struct vfs_options o = fixture_options();
    struct fixture f;
    char big[VFS_LINK_MAX + 2];
    memset(big, 'b', sizeof(big));
    big[VFS_LINK_MAX + 1] = '\0';
    o.posix = VFS_POSIX_ON;
    fixture_init(&f, &o);
    put_with(&f, "s3fs", "to", "mode", "41471");
    put_with(&f, "datasync", "to", "file-permissions", "0120777");
    put_with(&f, "gcsfuse", "to", "goog-reserved-file-is-symlink", "true");
    put_with(&f, "not", "to", "goog-reserved-file-is-symlink", "false");
    put_with(&f, "fifo", "", "mode", "4516");    /* 0010644 */
    put_with(&f, "socket", "", "mode", "49645"); /* 0140755 */
    put_with(&f, "device", "", "mode", "25008"); /* 0060660: a device of whoever wrote it */
    put_with(&f, "directory", "x", "mode", "16877");
    put_with(&f, "empty", "", "mode", "41471");
    put_with(&f, "big", big, "mode", "41471");
    assert_int_equal(mode_of(&f, "s3fs"), S_IFLNK | 0777);
    assert_int_equal(mode_of(&f, "datasync"), S_IFLNK | 0777);
    assert_int_equal(mode_of(&f, "gcsfuse"), S_IFLNK | 0777);
    assert_int_equal(mode_of(&f, "not"), S_IFREG | 0644);
    assert_int_equal(mode_of(&f, "fifo"), S_IFIFO | 0644);
    assert_int_equal(mode_of(&f, "socket"), S_IFSOCK | 0755);
    assert_int_equal(mode_of(&f, "device"), S_IFREG | 0660);
    assert_int_equal(mode_of(&f, "directory"), S_IFREG | 0755);
    assert_int_equal(mode_of(&f, "empty"), S_IFREG | 0777);
    assert_int_equal(mode_of(&f, "big"), S_IFREG | 0777);
    assert_int_equal(read_link(&f, "gcsfuse"), 0);
    assert_string_equal(target, "to");
    fixture_done(&f);
}

struct types {
    char text[256];
};

static bool type_fill(void *ctx, const char *name, const struct vfs_entry *e, uint64_t next)
{
    struct types *t = ctx;
    size_t n = strlen(t->text);
    mode_t m = e->st.st_mode;
    if (name[0] != '.')
        snprintf(t->text + n, sizeof(t->text) - n, "%s%c ", name,
                 S_ISDIR(m)   ? '/'
                 : S_ISLNK(m) ? '@'
                 : S_ISREG(m) ? '-'
                 : m == 0     ? '?'
                              : '!');
    return true;
}

/* The types that a plain readdir tells. */
static const char *types(struct fixture *f, const char *path)
{
    static struct types t;
    struct vfs_dir *dir;
    t.text[0] = '\0';
    assert_int_equal(vfs_opendir(f->vfs, fixture_ino(f, path), &dir), 0);
    assert_int_equal(vfs_readdir(f->vfs, dir, 0, false, type_fill, &t, &f->err), 0);
    vfs_releasedir(f->vfs, dir);
    return t.text;
}

static void test_readdir_never_lies_about_a_type(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    assert_int_equal(fixture_mkdir(&f, "d/sub", 0755), 0);
    assert_int_equal(make_link(&f, "x", "d/l"), 0);
    assert_int_equal(fixture_write(&f, "d/f", "x"), 0);
    assert_string_equal(types(&f, "d"), "sub/ l@ f- ");
    fixture_object(&f, "plain/f", "x");
    fixture_remount(&f, NULL);
    assert_string_equal(types(&f, "d"), "sub/ f? l? ");
    assert_string_equal(types(&f, "plain"), "f- ");
    assert_int_equal(mode_of(&f, "d/l"), S_IFLNK | 0777);
    assert_string_equal(types(&f, "d"), "sub/ f? l@ ");

    struct vfs_options o = fixture_options();
    o.posix = VFS_POSIX_ON;
    fixture_remount(&f, &o);
    assert_string_equal(types(&f, "plain"), "f? ");
    o.posix = VFS_POSIX_OFF;
    fixture_remount(&f, &o);
    assert_string_equal(types(&f, "d"), "sub/ f- l- ");
    fixture_done(&f);
}

static void test_changes_keep_the_link(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    assert_int_equal(fixture_mkdir(&f, "to", 0755), 0);
    assert_int_equal(make_link(&f, "target", "d/l"), 0);
    struct vfs_changes owner = {.set = VFS_SET_UID | VFS_SET_GID, .uid = 7, .gid = 8};
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "d/l"), NULL, &owner, &e, &f.err), 0);
    assert_int_equal(e.st.st_mode, S_IFLNK | 0777);
    struct vfs_changes times = {.set = VFS_SET_ATIME | VFS_SET_MTIME, .mtime_ns = 5, .atime_ns = 6};
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "d/l"), NULL, &times, &e, &f.err), 0);
    assert_string_equal(fixture_get(&f, "d/l"), "target");
    assert_int_equal(fixture_rename(&f, "d/l", "to/m", 0), 0);
    store_count_reset(f.count);
    assert_int_equal(read_link(&f, "to/m"), 0); /* the copy has the same ETag */
    fixture_expect(&f, "");
    assert_int_equal(fixture_rename(&f, "to", "d/to", 0), 0);
    fixture_remount(&f, NULL);
    assert_int_equal(fixture_lookup(&f, "d/to/m", &e), 0);
    assert_int_equal(e.st.st_mode, S_IFLNK | 0777);
    assert_int_equal(e.st.st_uid, 7);
    assert_int_equal(e.st.st_gid, 8);
    assert_int_equal(e.st.st_mtim.tv_nsec, 5);
    assert_int_equal(read_link(&f, "d/to/m"), 0);
    assert_string_equal(target, "target");
    assert_int_equal(fixture_unlink(&f, "d/to/m"), 0);
    assert_int_equal(fixture_lookup(&f, "d/to/m", NULL), -ENOENT);
    /* Another kind of thing under the name that was a link. */
    assert_int_equal(fixture_write(&f, "d/to/m", "file now"), 0);
    assert_int_equal(mode_of(&f, "d/to/m"), S_IFREG | 0644);
    assert_int_equal(read_link(&f, "d/to/m"), -EINVAL);
    fixture_done(&f);
}

static void test_replaced_by_others(void **state)
{
    struct fixture f;
    bool keep;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    assert_int_equal(make_link(&f, "one", "l"), 0);
    fixture_remount(&f, NULL);
    uint64_t ino = fixture_ino(&f, "l");
    put_with(&f, "l", "second", "mode", "41471");
    assert_int_equal(vfs_readlink(f.vfs, ino, target, &f.err), -ESTALE);
    assert_int_equal(read_link(&f, "l"), 0);
    assert_string_equal(target, "second");
    /* The kernel never opens a link: it believes that it is a file. */
    assert_int_equal(vfs_open(f.vfs, ino, O_RDONLY, &file, &keep, &f.err), -ESTALE);
    assert_int_equal(fixture_create(&f, "l", O_WRONLY, 0644, &file), -ESTALE);
    assert_string_equal(fixture_get(&f, "l"), "second");
    fixture_done(&f);
}

static void test_fifo_and_socket(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    (void)fixture_ls(&f, "", false);
    store_count_reset(f.count);
    assert_int_equal(vfs_mknod(f.vfs, &fixture_caller, VFS_ROOT, "p", S_IFIFO | 0640, &e, &f.err),
                     0);
    assert_int_equal(e.st.st_mode, S_IFIFO | 0640);
    fixture_expect(&f, "put 2"); /* with the root's mark */
    assert_int_equal(vfs_mknod(f.vfs, &fixture_caller, VFS_ROOT, "s", S_IFSOCK | 0755, &e, &f.err),
                     0);
    fixture_expect(&f, "put 1");
    assert_int_equal(vfs_mknod(f.vfs, &fixture_caller, VFS_ROOT, "s", S_IFSOCK | 0755, &e, &f.err),
                     -EEXIST);
    assert_int_equal(vfs_mknod(f.vfs, &fixture_caller, VFS_ROOT, "c", S_IFCHR | 0600, &e, &f.err),
                     -EPERM);
    assert_int_equal(vfs_mknod(f.vfs, &fixture_caller, VFS_ROOT, "d", S_IFDIR | 0600, &e, &f.err),
                     -EINVAL);
    fixture_expect(&f, "");
    assert_string_equal(fixture_metadata(&f, "p", "mode"), "4512");
    fixture_remount(&f, NULL);
    assert_int_equal(mode_of(&f, "p"), S_IFIFO | 0640);
    assert_int_equal(mode_of(&f, "s"), S_IFSOCK | 0755);
    assert_string_equal(fixture_ls(&f, "", true), "p=0 s=0 ");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_costs_one_put),
        cmocka_unit_test(test_link_errors),
        cmocka_unit_test(test_failed_put_leaves_nothing),
        cmocka_unit_test(test_dialects),
        cmocka_unit_test(test_readdir_never_lies_about_a_type),
        cmocka_unit_test(test_changes_keep_the_link),
        cmocka_unit_test(test_replaced_by_others),
        cmocka_unit_test(test_fifo_and_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
