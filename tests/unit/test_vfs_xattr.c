/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes through the filesystem, and the requests that they cost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/attr.h"
#include "store/store_count.h"
#include "store/store_fault.h"
#include "vfs_fixture.h"

static int set(struct fixture *f, const char *path, const char *name, const char *value, int flags)
{
    return vfs_setxattr(f->vfs, fixture_ino(f, path), name, value, strlen(value), flags, &f->err);
}

static int unset(struct fixture *f, const char *path, const char *name)
{
    return vfs_removexattr(f->vfs, fixture_ino(f, path), name, &f->err);
}

/* The value, or the name of the errno. */
static const char *get(struct fixture *f, const char *path, const char *name)
{
    static char value[4096];
    size_t len = 0, asked = 0;
    uint64_t ino = fixture_ino(f, path);
    int r = vfs_getxattr(f->vfs, ino, name, value, sizeof(value) - 1, &len, &f->err);
    if (r < 0)
        return strerrorname_np(-r);
    assert_int_equal(vfs_getxattr(f->vfs, ino, name, NULL, 0, &asked, &f->err), 0);
    assert_int_equal(asked, len);
    value[len] = '\0';
    return value;
}

/* Names with a ' ' for each NUL. */
static const char *names(struct fixture *f, const char *path)
{
    static char text[4096];
    size_t len = 0, asked = 0;
    uint64_t ino = fixture_ino(f, path);
    assert_int_equal(vfs_listxattr(f->vfs, ino, text, sizeof(text) - 1, &len, &f->err), 0);
    assert_int_equal(vfs_listxattr(f->vfs, ino, NULL, 0, &asked, &f->err), 0);
    assert_int_equal(asked, len);
    for (size_t i = 0; i < len; i++)
        text[i] = text[i] ? text[i] : ' ';
    text[len] = '\0';
    return text;
}

static void test_set_get_list_remove(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    assert_int_equal(fixture_write(&f, "d/f", "content"), 0);
    assert_string_equal(names(&f, "d/f"), "");
    assert_string_equal(get(&f, "d/f", "user.a"), "ENODATA");
    store_count_reset(f.count);
    assert_int_equal(set(&f, "d/f", "user.a", "one", 0), 0);
    fixture_settle(&f);
    fixture_expect(&f, "put 1, copy 1"); /* put: the directory's mark */
    assert_int_equal(set(&f, "d/f", "user.b", "", 0), 0);
    fixture_settle(&f);
    fixture_expect(&f, "copy 1");
    assert_string_equal(get(&f, "d/f", "user.a"), "one");
    assert_string_equal(get(&f, "d/f", "user.b"), "");
    assert_string_equal(names(&f, "d/f"), "user.a user.b ");
    fixture_expect(&f, "");
    assert_string_equal(fixture_get(&f, "d/f"), "content");
    assert_string_equal(fixture_metadata(&f, "d/f", "xattr"),
                        "%7B%22user.a%22%3A%22b25l%22%2C%22user.b%22%3A%22%22%7D");

    fixture_remount(&f, NULL);
    assert_string_equal(names(&f, "d/f"), "user.a user.b ");
    assert_int_equal(set(&f, "d/f", "user.a", "two", XATTR_CREATE), -EEXIST);
    assert_int_equal(set(&f, "d/f", "user.c", "two", XATTR_REPLACE), -ENODATA);
    assert_int_equal(set(&f, "d/f", "user.c", "three", XATTR_CREATE), 0);
    assert_int_equal(set(&f, "d/f", "user.a", "two", XATTR_REPLACE), 0);
    assert_int_equal(unset(&f, "d/f", "user.b"), 0);
    assert_int_equal(unset(&f, "d/f", "user.b"), -ENODATA);
    assert_string_equal(get(&f, "d/f", "user.a"), "two");
    assert_int_equal(unset(&f, "d/f", "user.a"), 0);
    assert_int_equal(unset(&f, "d/f", "user.c"), 0);
    assert_string_equal(fixture_metadata(&f, "d/f", "xattr"), "");
    assert_string_equal(fixture_metadata(&f, "d/f", "mode"), "33188");
    assert_string_equal(names(&f, "d/f"), "");
    fixture_done(&f);
}

static void test_buffers_that_are_too_small(void **state)
{
    struct fixture f;
    char buf[8];
    size_t len = 99;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_write(&f, "f", "x"), 0);
    assert_int_equal(set(&f, "f", "user.a", "12345", 0), 0);
    uint64_t ino = fixture_ino(&f, "f");
    assert_int_equal(vfs_getxattr(f.vfs, ino, "user.a", buf, 4, &len, &f.err), -ERANGE);
    assert_int_equal(vfs_getxattr(f.vfs, ino, "user.a", buf, 5, &len, &f.err), 0);
    assert_memory_equal(buf, "12345", 5);
    assert_int_equal(vfs_listxattr(f.vfs, ino, buf, 6, &len, &f.err), -ERANGE);
    assert_int_equal(vfs_listxattr(f.vfs, ino, buf, 7, &len, &f.err), 0);
    assert_int_equal(len, 7);
    fixture_done(&f);
}

static void test_goes_with_a_pending_upload(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    (void)fixture_ls(&f, "", false);
    struct vfs_options o = fixture_options();
    o.posix = VFS_POSIX_ON;
    fixture_remount(&f, &o);
    assert_int_equal(fixture_create(&f, "new", O_WRONLY, 0644, &file), 0);
    store_count_reset(f.count);
    assert_int_equal(vfs_write(f.vfs, file, 0, "ab", 2, &f.err), 0);
    assert_int_equal(set(&f, "new", "user.a", "1", 0), 0);
    assert_int_equal(set(&f, "new", "user.s3.content-type", "text/x-new", 0), 0);
    assert_string_equal(get(&f, "new", "user.a"), "1");
    fixture_expect(&f, "");
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_expect(&f, "put 2"); /* and the mark of the directory, once */
    assert_string_equal(get(&f, "new", "user.s3.content-type"), "text/x-new");

    /* Written anew, cut or in the middle: they stay. */
    fixture_remount(&f, &o);
    assert_int_equal(fixture_write(&f, "new", "rewritten"), 0);
    assert_string_equal(get(&f, "new", "user.a"), "1");
    fixture_remount(&f, &o);
    assert_string_equal(get(&f, "new", "user.a"), "1");
    assert_int_equal(fixture_open(&f, "new", O_RDWR, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 2, "X", 1, &f.err), 0);
    assert_int_equal(set(&f, "new", "user.b", "2", 0), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_remount(&f, &o);
    assert_string_equal(names(&f, "new"), "user.a user.b ");
    assert_string_equal(fixture_get(&f, "new"), "reXritten");
    fixture_done(&f);
}

/* Of a file whose metadata was never looked at, nothing else may change. */
static void test_keeps_what_others_wrote(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    const struct store_metadata m[] = {
        {"theirs", "kept"}, {"mode", "33152"}, {"xattr", "%7B%22user.old%22%3A%22MQ%3D%3D%22%7D"}};
    struct store_attrs attrs = {
        .content_type = "text/x-theirs", .metadata = m, .n_metadata = ARRAY_SIZE(m)};
    for (int open = 0; open < 2; open++) {
        fixture_init(&f, NULL);
        fixture_object_attrs(&f, "f", "theirs", &attrs);
        if (open) {
            assert_int_equal(fixture_open(&f, "f", O_RDWR, &file), 0);
            assert_int_equal(vfs_write(f.vfs, file, 0, "T", 1, &f.err), 0);
        }
        assert_int_equal(set(&f, "f", "user.new", "2", 0), 0);
        if (open)
            assert_int_equal(fixture_close(&f, file), 0);
        assert_string_equal(fixture_metadata(&f, "f", "theirs"), "kept");
        assert_string_equal(fixture_metadata(&f, "f", "mode"), "33152");
        assert_string_equal(names(&f, "f"), "user.old user.new ");
        assert_string_equal(get(&f, "f", "user.s3.content-type"), "text/x-theirs");
        assert_string_equal(fixture_get(&f, "f"), open ? "Theirs" : "theirs");
        fixture_done(&f);
    }
}

/* The same for chmod: an open file, and a directory's marker. */
static void test_chmod_keeps_and_takes(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    const struct store_metadata m[] = {{"uid", "77"},
                                       {"xattr", "%7B%22user.old%22%3A%22MQ%3D%3D%22%7D"}};
    struct store_attrs attrs = {.metadata = m, .n_metadata = ARRAY_SIZE(m)};
    fixture_init(&f, NULL);
    fixture_object_attrs(&f, "f", "theirs", &attrs);
    fixture_object_attrs(&f, "d/", "", &attrs);
    assert_int_equal(fixture_open(&f, "f", O_RDWR, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 0, "T", 1, &f.err), 0);
    assert_int_equal(fixture_chmod(&f, "f", 0600), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_string_equal(fixture_metadata(&f, "f", "mode"), "33152");
    assert_string_equal(fixture_metadata(&f, "f", "uid"), "77");
    assert_string_equal(names(&f, "f"), "user.old ");
    assert_int_equal(fixture_chmod(&f, "d", 0700), 0);
    assert_string_equal(fixture_metadata(&f, "d/", "mode"), "16832");
    assert_string_equal(fixture_metadata(&f, "d/", "uid"), "77");
    assert_string_equal(names(&f, "d"), "user.old ");
    fixture_done(&f);
}

static void test_directories(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "implicit/f", "x");
    assert_int_equal(set(&f, "implicit", "user.a", "1", 0), 0);
    assert_int_equal(set(&f, "", "user.root", "2", 0), 0);
    fixture_remount(&f, NULL);
    assert_string_equal(get(&f, "implicit", "user.a"), "1");
    assert_string_equal(get(&f, "", "user.root"), "2");
    assert_string_equal(fixture_ls(&f, "", false), "implicit/ ");
    assert_int_equal(fixture_mkdir(&f, "to", 0755), 0);
    assert_int_equal(fixture_rename(&f, "implicit", "to/there", 0), 0);
    fixture_remount(&f, NULL);
    assert_string_equal(get(&f, "to/there", "user.a"), "1");
    assert_int_equal(unset(&f, "to/there", "user.a"), 0);
    assert_string_equal(names(&f, "to/there"), "");
    fixture_done(&f);
}

static void test_other_namespaces_cost_nothing(void **state)
{
    struct fixture f;
    static const char *const others[] = {
        "security.capability", "security.selinux", "system.posix_acl_access",
        "trusted.x",           "nonsense",         ""};
    fixture_init(&f, NULL);
    assert_int_equal(fixture_write(&f, "f", "x"), 0);
    store_count_reset(f.count);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        bool acl = strncmp(others[i], "system.", 7) == 0;
        assert_string_equal(get(&f, "f", others[i]), acl ? "EOPNOTSUPP" : "ENODATA");
        assert_int_equal(set(&f, "f", others[i], "x", 0), -EOPNOTSUPP);
        assert_int_equal(unset(&f, "f", others[i]), -EOPNOTSUPP);
    }
    fixture_expect(&f, "");
    assert_int_equal(set(&f, "f", "user.", "x", 0), -EINVAL);
    fixture_done(&f);
}

static void test_limits(void **state)
{
    struct fixture f;
    char value[1400], name[32];
    fixture_init(&f, NULL);
    assert_int_equal(fixture_write(&f, "f", "x"), 0);
    memset(value, 'v', sizeof(value));
    value[1351] = '\0';
    assert_int_equal(set(&f, "f", "user.a", value, 0), -E2BIG);
    value[1200] = '\0';
    assert_int_equal(set(&f, "f", "user.a", value, 0), 0);
    assert_int_equal(set(&f, "f", "user.b", value, 0), -ENOSPC);
    assert_string_equal(names(&f, "f"), "user.a ");
    assert_int_equal(unset(&f, "f", "user.a"), 0);
    int n = 0, r = 0;
    for (; r == 0 && n < 200; n += r == 0) {
        snprintf(name, sizeof(name), "user.%d", n);
        r = set(&f, "f", name, "x", 0);
    }
    assert_int_equal(r, -ENOSPC);
    assert_true(n > 40);
    struct store_object o = {0};
    size_t total = 0;
    fixture_settle(&f);
    assert_int_equal(store_head(f.memory, "f", &o, &f.err), 0);
    for (size_t i = 0; i < o.attrs.n_metadata; i++)
        total += strlen(o.attrs.metadata[i].name) + strlen(o.attrs.metadata[i].value);
    store_object_done(&o);
    assert_in_range(total, 1800, 2048);
    fixture_done(&f);
}

static void test_virtual(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "d/f", "12345");
    assert_string_equal(get(&f, "d/f", "user.s3.key"), "d/f");
    assert_string_equal(get(&f, "d/f", "user.s3.size"), "5");
    assert_string_equal(get(&f, "d/f", "user.s3.etag"), "827ccb0eea8a706c4c34a16891f84e7b");
    assert_string_equal(get(&f, "d", "user.s3.key"), "d/");
    assert_string_equal(get(&f, "d", "user.s3.etag"), "ENODATA");
    assert_string_equal(get(&f, "d/f", "user.s3.nonsense"), "ENODATA");
    assert_string_equal(names(&f, "d/f"), "");
    store_count_reset(f.count);
    assert_string_equal(get(&f, "d/f", "user.s3.storage-class"), "STANDARD");
    fixture_expect(&f, "head 2"); /* the size, then the value */
    assert_int_equal(set(&f, "d/f", "user.s3.etag", "x", 0), -EPERM);
    assert_int_equal(unset(&f, "d/f", "user.s3.content-type"), -EPERM);
    assert_int_equal(set(&f, "d/f", "user.s3.content-type", "text/html", XATTR_CREATE), -EEXIST);
    assert_int_equal(set(&f, "d/f", "user.s3.content-type", "a\nb", 0), -EINVAL);
    assert_int_equal(set(&f, "d/f", "user.s3.content-type", "", 0), -EINVAL);
    fixture_expect(&f, "");
    assert_int_equal(set(&f, "d/f", "user.s3.content-type", "text/html", 0), 0);
    fixture_settle(&f);
    fixture_expect(&f, "head 1, put 1, copy 1"); /* the time that the copy would change is kept */
    fixture_remount(&f, NULL);
    assert_string_equal(get(&f, "d/f", "user.s3.content-type"), "text/html");
    assert_string_equal(fixture_read(&f, "d/f"), "12345");
    fixture_done(&f);
}

static void test_storage_class(void **state)
{
    struct fixture f;
    const struct store_metadata m[] = {{"color", "blue"}};
    struct store_attrs attrs = {
        .content_type = "text/x-test", .metadata = m, .n_metadata = 1, .storage_class = "STANDARD"};
    fixture_init(&f, NULL);
    fixture_object_attrs(&f, "d/f", "12345", &attrs);
    const char *name = "user.s3.storage-class";
    assert_int_equal(set(&f, "d/f", name, "standard", 0), -EINVAL);
    assert_int_equal(set(&f, "d", name, "GLACIER_IR", 0), -EPERM);
    assert_int_equal(unset(&f, "d/f", name), -EPERM);
    store_count_reset(f.count);
    assert_int_equal(set(&f, "d/f", name, "GLACIER_IR", 0), 0);
    fixture_expect(&f, "head 1, put 1, copy 1"); /* at once: the server may refuse it */
    assert_string_equal(get(&f, "d/f", name), "GLACIER_IR");
    /* Neither another change nor new content moves it back. */
    assert_int_equal(fixture_chmod(&f, "d/f", 0600), 0);
    assert_int_equal(fixture_write(&f, "d/f", "new"), 0);
    fixture_remount(&f, NULL);
    assert_string_equal(get(&f, "d/f", name), "GLACIER_IR");
    assert_int_equal(fixture_chmod(&f, "d/f", 0640), 0);
    fixture_remount(&f, NULL);
    assert_string_equal(get(&f, "d/f", name), "GLACIER_IR");
    struct store_fault_rule rule = {.op = STORE_COPY, .count = 1, .error = S3_ERROR_INVALID};
    assert_int_equal(store_fault_add(f.fault, &rule), 0);
    assert_int_equal(set(&f, "d/f", name, "NONSENSE", 0), -EIO);
    assert_string_equal(get(&f, "d/f", name), "GLACIER_IR");
    fixture_done(&f);
}

static void test_a_failed_change_is_none(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_write(&f, "f", "x"), 0);
    assert_int_equal(set(&f, "f", "user.a", "1", 0), 0);
    fixture_settle(&f);
    for (int i = 0; i < 3; i++) {
        struct store_fault_rule rule = {
            .op = STORE_COPY, .count = 1, .error = S3_ERROR_ACCESS_DENIED};
        assert_int_equal(store_fault_add(f.fault, &rule), 0);
        if (i == 0)
            assert_int_equal(set(&f, "f", "user.a", "2", 0), 0);
        if (i == 1)
            assert_int_equal(unset(&f, "f", "user.a"), 0);
        if (i == 2)
            assert_int_equal(set(&f, "f", "user.s3.content-type", "x/y", 0), 0);
        assert_int_equal(vfs_sync(f.vfs, &f.err), -EACCES);
        assert_string_equal(get(&f, "f", "user.a"), "1");
    }
    assert_string_not_equal(get(&f, "f", "user.s3.content-type"), "x/y");
    fixture_done(&f);

    struct vfs_options o = fixture_options();
    o.posix = VFS_POSIX_OFF;
    fixture_init(&f, &o);
    assert_int_equal(fixture_write(&f, "f", "x"), 0);
    assert_int_equal(set(&f, "f", "user.a", "1", 0), -EOPNOTSUPP);
    o.read_only = true;
    fixture_remount(&f, &o);
    assert_int_equal(set(&f, "f", "user.a", "1", 0), -EROFS);
    assert_int_equal(unset(&f, "f", "user.a"), -EROFS);
    fixture_done(&f);
}

/* In a directory without a mark a listing is the truth: no HEAD for each file. */
static void test_unmarked_directories_cost_one_head(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    for (int i = 0; i < 10; i++) {
        char key[32];
        snprintf(key, sizeof(key), "d/%d", i);
        fixture_object(&f, key, "x");
    }
    (void)fixture_ls(&f, "d", true);
    store_count_reset(f.count);
    for (int i = 0; i < 10; i++) {
        char path[32];
        snprintf(path, sizeof(path), "d/%d", i);
        assert_string_equal(names(&f, path), "");
    }
    fixture_expect(&f, "");
    fixture_done(&f);
}

static const char *type_of(struct fixture *f, const char *key)
{
    static char type[128];
    struct store_object o = {0};
    assert_int_equal(store_head(f->memory, key, &o, &f->err), 0);
    snprintf(type, sizeof(type), "%s", o.attrs.content_type);
    store_object_done(&o);
    return type;
}

static void test_type_from_the_name(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_write(&f, "a.html", "x"), 0);
    assert_int_equal(fixture_write(&f, "a", "x"), 0);
    assert_string_equal(type_of(&f, "a.html"), "text/html");
    assert_string_equal(type_of(&f, "a"), "application/octet-stream");
    /* Set by hand it stays, whatever is written or renamed. */
    assert_int_equal(set(&f, "a.html", "user.s3.content-type", "text/x-mine", 0), 0);
    assert_int_equal(fixture_write(&f, "a.html", "longer"), 0);
    assert_int_equal(fixture_rename(&f, "a.html", "b.png", 0), 0);
    assert_string_equal(type_of(&f, "b.png"), "text/x-mine");
    assert_int_equal(fixture_open(&f, "b.png", O_RDWR, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 1, "X", 1, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_string_equal(type_of(&f, "b.png"), "text/x-mine");
    assert_string_equal(fixture_get(&f, "b.png"), "lXnger");
    fixture_done(&f);
}

static void test_rename_gives_another_type(void **state)
{
    struct fixture f;
    struct store_metadata m = {"theirs", "kept"};
    struct store_attrs other = {.content_type = "text/x-theirs"};
    struct store_attrs usual = {.metadata = &m, .n_metadata = 1, .cache_control = "no-store"};
    fixture_init(&f, NULL);
    fixture_object_attrs(&f, "theirs.tmp", "x", &other);
    fixture_object_attrs(&f, "usual.tmp", "x", &usual);
    (void)fixture_ls(&f, "", true);
    assert_int_equal(fixture_write(&f, "own.tmp", "x"), 0);
    store_count_reset(f.count);
    /* As rsync and editors do it: nothing is asked about what was written here. */
    assert_int_equal(fixture_rename(&f, "own.tmp", "own.html", 0), 0);
    fixture_expect(&f, "copy 1, delete 1");
    assert_string_equal(type_of(&f, "own.html"), "text/html");
    assert_string_equal(fixture_metadata(&f, "own.html", "mode"), "33188");
    assert_int_equal(fixture_rename(&f, "own.html", "own2.html", 0), 0);
    fixture_expect(&f, "copy 1, delete 1");
    assert_int_equal(fixture_rename(&f, "theirs.tmp", "theirs.html", 0), 0);
    assert_int_equal(fixture_rename(&f, "usual.tmp", "usual.html", 0), 0);
    fixture_expect(&f, "head 2, copy 2, delete 2");
    assert_string_equal(type_of(&f, "theirs.html"), "text/x-theirs");
    assert_string_equal(type_of(&f, "usual.html"), "text/html");
    assert_string_equal(fixture_metadata(&f, "usual.html", "theirs"), "kept");
    fixture_done(&f);
}

/* What this mount wrote itself need not be asked for; unless somebody else has been there. */
static void test_own_metadata_is_known(void **state)
{
    struct fixture f;
    struct store_metadata m = {"theirs", "kept"};
    struct store_attrs attrs = {.metadata = &m, .n_metadata = 1};
    fixture_init(&f, NULL);
    (void)fixture_ls(&f, "", false);
    assert_int_equal(fixture_write(&f, "f", "x"), 0);
    store_count_reset(f.count);
    assert_int_equal(fixture_chmod(&f, "f", 0640), 0);
    fixture_settle(&f);
    fixture_expect(&f, "put 1, copy 1");
    assert_int_equal(fixture_chmod(&f, "f", 0600), 0);
    fixture_settle(&f);
    fixture_expect(&f, "copy 1");
    fixture_object_attrs(&f, "f", "theirs", &attrs);
    assert_int_equal(fixture_chmod(&f, "f", 0640), 0);
    assert_int_equal(vfs_sync(f.vfs, &f.err), -ESTALE); /* it was of another version */
    fixture_expect(&f, "head 1, copy 1");
    assert_string_equal(fixture_metadata(&f, "f", "theirs"), "kept");
    assert_string_equal(fixture_metadata(&f, "f", "mode"), "");
    assert_string_equal(fixture_get(&f, "f"), "theirs");
    /* After a while it is not taken for granted. */
    assert_int_equal(fixture_write(&f, "g", "x"), 0);
    fixture_object_attrs(&f, "g", "x", &attrs);
    uint64_t ino = fixture_ino(&f, "g");
    clock_fake_advance(&f.clock, 100 * (uint64_t)NS_PER_S);
    struct vfs_changes c = {.set = VFS_SET_MODE, .mode = 0600};
    struct vfs_entry e;
    assert_int_equal(vfs_setattr(f.vfs, ino, NULL, &c, &e, &f.err), 0);
    assert_string_equal(fixture_metadata(&f, "g", "theirs"), "kept");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_get_list_remove),
        cmocka_unit_test(test_buffers_that_are_too_small),
        cmocka_unit_test(test_goes_with_a_pending_upload),
        cmocka_unit_test(test_keeps_what_others_wrote),
        cmocka_unit_test(test_chmod_keeps_and_takes),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_other_namespaces_cost_nothing),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_virtual),
        cmocka_unit_test(test_storage_class),
        cmocka_unit_test(test_a_failed_change_is_none),
        cmocka_unit_test(test_unmarked_directories_cost_one_head),
        cmocka_unit_test(test_type_from_the_name),
        cmocka_unit_test(test_rename_gives_another_type),
        cmocka_unit_test(test_own_metadata_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
