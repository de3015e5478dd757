/* SPDX-License-Identifier: Apache-2.0 */
/* Directories, removal and rename through the filesystem, with the requests that they cost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "meta/names.h"
#include "store/store_fault.h"
#include "store/store_memory.h"
#include "vfs_fixture.h"

static void fail_once(struct fixture *f, enum store_op op, const char *prefix,
                      enum s3_error_kind kind)
{
    struct store_fault_rule rule = {.op = op, .prefix = prefix, .count = 1, .error = kind};
    assert_int_equal(store_fault_add(f->fault, &rule), 0);
}

static void test_mkdir(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    fixture_expect(&f, "put 1");
    assert_string_equal(fixture_get(&f, "d/"), "");
    assert_string_equal(fixture_metadata(&f, "d/", "mode"), "16877");
    /* What is in a new directory is known. */
    assert_int_equal(fixture_lookup(&f, "d/x", &e), -ENOENT);
    assert_string_equal(fixture_ls(&f, "d", true), "");
    assert_int_equal(fixture_write(&f, "d/x", "1"), 0);
    fixture_expect(&f, "put 1");
    assert_int_equal(fixture_mkdir(&f, "d", 0755), -EEXIST);
    assert_int_equal(fixture_mkdir(&f, "d/x", 0755), -EEXIST);
    fixture_expect(&f, "");
    assert_string_equal(fixture_ls(&f, "", false), "d/ ");

    /* Made by another host meanwhile: one wins. */
    fixture_object(&f, "e/", "");
    assert_int_equal(fixture_mkdir(&f, "e", 0755), -EEXIST);
    fail_once(&f, STORE_PUT, "g/", S3_ERROR_ACCESS_DENIED);
    assert_int_equal(fixture_mkdir(&f, "g", 0755), -EACCES);
    assert_int_equal(fixture_lookup(&f, "g", &e), -ENOENT);
    fixture_done(&f);
}

static void test_rmdir(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    fixture_object(&f, "keep", "x");
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    assert_int_equal(fixture_create(&f, "d/open", O_WRONLY, 0644, &file), 0);
    assert_int_equal(fixture_rmdir(&f, "d"), -ENOTEMPTY); /* known here alone */
    assert_int_equal(fixture_close(&f, file), 0);
    assert_int_equal(fixture_rmdir(&f, "d"), -ENOTEMPTY);
    assert_int_equal(fixture_unlink(&f, "d/open"), 0);
    assert_int_equal(fixture_unlink(&f, "d"), -EISDIR);
    assert_int_equal(fixture_rmdir(&f, "keep"), -ENOTDIR);
    assert_int_equal(fixture_rmdir(&f, "absent"), -ENOENT);
    fixture_expect(&f, "list 3, put 2, delete 1");
    assert_int_equal(fixture_rmdir(&f, "d"), 0);
    fixture_expect(&f, "list 1, delete 1");
    assert_int_equal(fixture_lookup(&f, "d", NULL), -ENOENT);
    assert_string_equal(fixture_keys(&f), "keep ");

    /* Another host has put something into it: only the listing of the store counts. */
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    fixture_object(&f, "d/theirs", "x");
    assert_int_equal(fixture_rmdir(&f, "d"), -ENOTEMPTY);
    assert_string_equal(fixture_keys(&f), "d/ d/theirs keep ");
    fixture_done(&f);
}

static void test_directory_outlives_its_last_file(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "d/a", "x");
    fixture_object(&f, "d/b", "x");
    fixture_object(&f, "e/only/file", "x");
    (void)fixture_ls(&f, "d", false);
    (void)fixture_ls(&f, "e", false);
    fixture_expect(&f, "list 4"); /* two names of the root, two directories */
    assert_int_equal(fixture_unlink(&f, "d/a"), 0);
    fixture_expect(&f, "delete 1");
    assert_int_equal(fixture_unlink(&f, "d/b"), 0);
    fixture_expect(&f, "put 1, delete 1");
    assert_string_equal(fixture_keys(&f), "d/ e/only/file ");
    /* Also where it was not listed, and by a rename. */
    assert_int_equal(fixture_rename(&f, "e/only/file", "d/file", 0), 0);
    assert_string_equal(fixture_keys(&f), "d/ d/file e/only/ ");
    assert_int_equal(fixture_rmdir(&f, "e/only"), 0);
    assert_string_equal(fixture_keys(&f), "d/ d/file e/ ");
    assert_string_equal(fixture_ls(&f, "", false), "d/ e/ ");
    fixture_done(&f);
}

static void test_unlink_errors(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "x");
    fail_once(&f, STORE_DELETE, NULL, S3_ERROR_ACCESS_DENIED);
    assert_int_equal(fixture_unlink(&f, "a"), -EACCES);
    assert_string_equal(fixture_read(&f, "a"), "x");
    assert_int_equal(fixture_unlink(&f, "a"), 0);
    assert_int_equal(fixture_unlink(&f, "a"), -ENOENT);
    fixture_done(&f);
}

/* Listings stay complete under our own changes. */
static void test_own_changes_patch_the_listing(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "1");
    fixture_object(&f, "b", "1");
    assert_string_equal(fixture_ls(&f, "", true), "a=1 b=1 ");
    fixture_expect(&f, "list 1");
    assert_int_equal(fixture_write(&f, "c", "333"), 0);
    assert_int_equal(fixture_unlink(&f, "a"), 0);
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    assert_int_equal(fixture_rename(&f, "b", "d/b2", 0), 0);
    fixture_expect(&f, "head 1, put 2, copy 1, delete 2");
    assert_string_equal(fixture_ls(&f, "", true), "c=3 d/ ");
    assert_string_equal(fixture_ls(&f, "d", true), "b2=1 ");
    fixture_expect(&f, "");
    fixture_done(&f);
}

static void test_rename_file(void **state)
{
    struct fixture f;
    const struct store_metadata m[] = {{"color", "blue"}};
    struct store_attrs attrs = {.content_type = "text/x-test", .metadata = m, .n_metadata = 1};
    fixture_init(&f, NULL);
    fixture_object_attrs(&f, "a", "content", &attrs);
    fixture_object(&f, "b", "old");
    fixture_object(&f, "d/x", "x");
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    assert_int_equal(fixture_rename(&f, "a", "b", 0), 0);
    /* Its metadata must be known for its time to come to it. */
    fixture_expect(&f, "head 1, copy 1, delete 1");
    assert_string_equal(fixture_keys(&f), "b d/x ");
    assert_string_equal(fixture_get(&f, "b"), "content");
    assert_string_equal(fixture_metadata(&f, "b", "color"), "blue");
    assert_string_equal(fixture_read(&f, "b"), "content");
    assert_int_equal(fixture_lookup(&f, "a", NULL), -ENOENT);

    assert_int_equal(fixture_rename(&f, "b", "b", 0), 0);
    assert_int_equal(fixture_rename(&f, "b", "d", 0), -EISDIR);
    assert_int_equal(fixture_rename(&f, "d", "b", 0), -ENOTDIR);
    assert_int_equal(fixture_rename(&f, "absent", "c", 0), -ENOENT);
    assert_int_equal(fixture_rename(&f, "b", "c", RENAME_WHITEOUT), -EINVAL);
    assert_string_equal(fixture_keys(&f), "b d/x ");

    /* A failed copy changes nothing, a failed delete leaves both. */
    fail_once(&f, STORE_COPY, NULL, S3_ERROR_SERVER);
    assert_int_equal(fixture_rename(&f, "b", "c", 0), -EIO);
    assert_string_equal(fixture_keys(&f), "b d/x ");
    fail_once(&f, STORE_DELETE, NULL, S3_ERROR_SERVER);
    assert_int_equal(fixture_rename(&f, "b", "c", 0), -EIO);
    assert_string_equal(fixture_keys(&f), "b c d/x ");
    fixture_done(&f);
}

static void test_rename_noreplace(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "mine");
    fixture_object(&f, "b", "other");
    (void)fixture_ls(&f, "", false);
    assert_int_equal(fixture_rename(&f, "a", "b", RENAME_NOREPLACE), -EEXIST);
    /* Not in the listing, but there. */
    fixture_object(&f, "c", "theirs");
    assert_int_equal(fixture_rename(&f, "a", "c", RENAME_NOREPLACE), -EEXIST);
    assert_string_equal(fixture_get(&f, "c"), "theirs");
    assert_int_equal(fixture_rename(&f, "a", "e", RENAME_NOREPLACE), 0);
    assert_string_equal(fixture_get(&f, "e"), "mine");
    struct vfs_file *file;
    assert_int_equal(fixture_create(&f, "local", O_WRONLY, 0644, &file), 0);
    assert_int_equal(fixture_rename(&f, "e", "local", RENAME_NOREPLACE), -EEXIST);
    assert_int_equal(fixture_unlink(&f, "local"), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    /* From then on the store is known to watch. */
    (void)fixture_ls(&f, "", false);
    store_fault_clear(f.fault);
    assert_int_equal(fixture_lookup(&f, "zz", NULL), -ENOENT);
    struct store_fault_rule rule = {.op = STORE_LIST, .error = S3_ERROR_SERVER};
    assert_int_equal(store_fault_add(f.fault, &rule), 0);
    fixture_object(&f, "zz", "theirs");
    assert_int_equal(fixture_rename(&f, "e", "zz", RENAME_NOREPLACE), -EEXIST);
    assert_string_equal(fixture_get(&f, "zz"), "theirs");
    assert_int_equal(fixture_rename(&f, "e", "yy", RENAME_NOREPLACE), 0);
    store_fault_clear(f.fault);

    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    assert_int_equal(fixture_mkdir(&f, "d2", 0755), 0);
    assert_int_equal(fixture_rename(&f, "d", "d2", RENAME_NOREPLACE), -EEXIST);
    assert_int_equal(fixture_rename(&f, "d", "d3", RENAME_NOREPLACE), 0);
    assert_string_equal(fixture_keys(&f), "b c d2/ d3/ yy zz ");
    fixture_done(&f);
}

/* The source is replaced by another host while it is renamed. */
static void test_rename_of_a_moving_file(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "old");
    (void)fixture_ls(&f, "", false);
    fixture_object(&f, "a", "newer");
    assert_int_equal(fixture_rename(&f, "a", "b", 0), 0);
    assert_string_equal(fixture_get(&f, "b"), "newer");
    assert_null(fixture_get(&f, "a"));
    /* Gone meanwhile. */
    fixture_remove(&f, "b");
    assert_int_equal(fixture_rename(&f, "b", "c", 0), -ENOENT);
    fixture_done(&f);
}

static void test_rename_open_file(void **state)
{
    struct fixture f;
    struct vfs_file *w, *r;
    char buf[16];
    size_t len;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_create(&f, "a", O_WRONLY, 0644, &w), 0);
    assert_int_equal(vfs_write(f.vfs, w, 0, "one ", 4, &f.err), 0);
    assert_int_equal(fixture_open(&f, "a", O_RDONLY, &r), 0);
    assert_int_equal(fixture_rename(&f, "a", "b", 0), 0);
    assert_string_equal(fixture_keys(&f), "b ");
    assert_int_equal(vfs_write(f.vfs, w, 4, "two", 3, &f.err), 0);
    assert_int_equal(fixture_close(&f, w), 0);
    assert_string_equal(fixture_keys(&f), "b ");
    assert_string_equal(fixture_get(&f, "b"), "one two");
    assert_int_equal(vfs_read(f.vfs, r, 0, buf, sizeof(buf), &len, &f.err), 0);
    assert_int_equal(len, 7);
    assert_int_equal(fixture_close(&f, r), 0);
    fixture_done(&f);
}

static void test_rename_dir(void **state)
{
    struct fixture f;
    struct vfs_file *w;
    char key[64];
    fixture_init(&f, NULL);
    fixture_object(&f, "d/", "");
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "d/%s%02d", i % 2 ? "sub/" : "", i);
        fixture_object(&f, key, key);
    }
    fixture_object(&f, "d-not", "x");
    assert_string_equal(fixture_read(&f, "d/sub/07"), "d/sub/07");
    assert_int_equal(fixture_open(&f, "d/sub/09", O_RDWR, &w), 0);
    assert_int_equal(vfs_write(f.vfs, w, 0, "D", 1, &f.err), 0);
    fixture_expect(&f, "list 4, head 3, get 2");
    assert_int_equal(fixture_rename(&f, "d", "e", 0), 0);
    fixture_expect(&f, "list 4, head 1, put 2, copy 41, delete-many 1");
    assert_string_equal(fixture_read(&f, "e/sub/07"), "d/sub/07");
    assert_string_equal(fixture_read(&f, "e/sub/09"), "D/sub/09");
    assert_string_equal(fixture_ls(&f, "", false), "d-not e/ ");
    assert_int_equal(vfs_write(f.vfs, w, 1, "!", 1, &f.err), 0);
    assert_int_equal(fixture_close(&f, w), 0);
    assert_string_equal(fixture_get(&f, "e/sub/09"), "D!sub/09");
    assert_int_equal(store_memory_object_count(f.memory), 42);

    assert_int_equal(fixture_rename(&f, "e", "e/sub/x", 0), -EINVAL);
    assert_int_equal(fixture_mkdir(&f, "full", 0755), 0);
    assert_int_equal(fixture_write(&f, "full/x", "x"), 0);
    assert_int_equal(fixture_rename(&f, "e", "full", 0), -ENOTEMPTY);
    assert_int_equal(fixture_unlink(&f, "full/x"), 0);
    assert_int_equal(fixture_rename(&f, "e", "full", 0), 0);
    assert_string_equal(fixture_read(&f, "full/sub/07"), "d/sub/07");
    assert_int_equal(fixture_lookup(&f, "e", NULL), -ENOENT);
    assert_int_equal(store_memory_object_count(f.memory), 42);
    fixture_done(&f);
}

static void test_rename_dir_fails_before_it_deletes(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "d/a", "a");
    fixture_object(&f, "d/b", "b");
    fixture_object(&f, "d/c", "c");
    fixture_object(&f, "t/", "");
    fail_once(&f, STORE_COPY, "t/c", S3_ERROR_SERVER);
    assert_int_equal(fixture_rename(&f, "d", "t", 0), -EIO);
    assert_int_equal(f.err.kind, S3_ERROR_SERVER);
    assert_string_equal(fixture_keys(&f), "d/a d/b d/c t/ ");
    assert_string_equal(fixture_read(&f, "d/b"), "b");
    /* One could not be deleted: it is told, and nothing is lost. */
    fail_once(&f, STORE_DELETE_MANY, "d/", S3_ERROR_SERVER);
    assert_int_equal(fixture_rename(&f, "d", "t", 0), -EIO);
    assert_string_equal(fixture_get(&f, "t/b"), "b");
    assert_string_equal(fixture_get(&f, "d/b"), "b");
    assert_string_equal(fixture_get(&f, "t/a"), "a");
    fixture_done(&f);
}

/* The object beside a directory was looked up before the directory. */
static void test_beside(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    fixture_object(&f, "d/a", "object");
    fixture_object(&f, "d/a/b", "below");
    assert_int_equal(fixture_lookup(&f, "d/%@a%file", &e), 0);
    assert_true(S_ISREG(e.st.st_mode));
    assert_int_equal(fixture_lookup(&f, "d/a", &e), 0);
    assert_true(S_ISDIR(e.st.st_mode));
    assert_string_equal(fixture_read(&f, "d/a/b"), "below");
    assert_string_equal(fixture_read(&f, "d/%@a%file"), "object");
    fixture_done(&f);

    /* A name that only fits as a hash once it says that it is the file. */
    char key[512], name[512], component[256];
    fixture_init(&f, NULL);
    memset(component, 'a', 255);
    component[255] = '\0';
    assert_int_equal(name_from_component(component, 255, true, name), 0);
    (void)snprintf(key, sizeof(key), "%s/b", component);
    fixture_object(&f, component, "object");
    fixture_object(&f, key, "below");
    assert_int_equal(fixture_lookup(&f, name, &e), 0);
    assert_true(S_ISREG(e.st.st_mode));
    assert_int_equal(fixture_lookup(&f, component, &e), 0);
    assert_true(S_ISDIR(e.st.st_mode));
    fixture_done(&f);
}

/* Hadoop's, EMR's, s3n's. */
static void test_folder_marks(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    struct vfs_file *file;
    for (int listed = 0; listed < 2; listed++) {
        fixture_init(&f, NULL);
        fixture_object(&f, "a_$folder$", "");
        fixture_object(&f, "b_$folder$", "");
        fixture_object(&f, "b/x", "x");
        fixture_object(&f, "c_$folder$", "not empty, so no marker");
        fixture_object(&f, "d_$folder$", "");
        if (listed)
            assert_string_equal(fixture_ls(&f, "", false), "b/ a/ c_$folder$ d/ ");
        assert_int_equal(fixture_lookup(&f, "a", &e), 0);
        assert_true(S_ISDIR(e.st.st_mode));
        assert_int_equal(fixture_lookup(&f, "a_$folder$", &e), -ENOENT);
        assert_int_equal(fixture_mkdir(&f, "d", 0755), -EEXIST);
        assert_string_equal(fixture_ls(&f, "a", false), "");
        assert_int_equal(fixture_rmdir(&f, "a"), 0);
        assert_int_equal(fixture_rmdir(&f, "b"), -ENOTEMPTY);
        assert_int_equal(fixture_rename(&f, "b", "e", 0), 0);
        assert_int_equal(fixture_create(&f, "x_$folder$", O_WRONLY, 0644, &file), -EINVAL);
        assert_string_equal(fixture_keys(&f), "c_$folder$ d_$folder$ e/ e/x ");
        fixture_done(&f);
    }
}

/* More names between the directory's and its mark's than an answer tells. */
static void test_folder_mark_behind_many_names(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    char key[32];
    fixture_init(&f, NULL);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof(key), "a%02d", i);
        fixture_object(&f, key, "x");
    }
    fixture_object(&f, "a_$folder$", "");
    assert_int_equal(fixture_lookup(&f, "a", &e), 0);
    assert_true(S_ISDIR(e.st.st_mode));
    fixture_expect(&f, "list 2");
    assert_int_equal(fixture_rmdir(&f, "a"), 0);
    assert_null(fixture_get(&f, "a_$folder$"));
    fixture_done(&f);
}

static void test_rename_empty_dirs(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "a", 0755), 0);
    assert_int_equal(fixture_mkdir(&f, "b", 0755), 0);
    assert_int_equal(fixture_rename(&f, "a", "b", 0), 0);
    assert_string_equal(fixture_keys(&f), "b/ ");
    assert_int_equal(fixture_rename(&f, "b", "c", 0), 0);
    assert_string_equal(fixture_keys(&f), "c/ ");
    assert_string_equal(fixture_ls(&f, "", false), "c/ ");
    fixture_done(&f);
}

static void test_rename_large_object(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    uint64_t size = (uint64_t)6 << 30;
    fixture_init(&f, NULL);
    assert_int_equal(store_memory_put_zeros(f.memory, "big", size), 0);
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    assert_int_equal(fixture_rename(&f, "big", "large", 0), 0);
    fixture_expect(&f, "head 1, delete 1, upload-create 1, upload-part-copy 12, upload-complete 1");
    assert_int_equal(fixture_lookup(&f, "large", &e), 0);
    assert_true((uint64_t)e.st.st_size == size);
    assert_int_equal(store_memory_upload_count(f.memory), 0);
    /* A part that fails takes the upload with it. */
    fail_once(&f, STORE_UPLOAD_PART_COPY, NULL, S3_ERROR_SERVER);
    assert_int_equal(fixture_rename(&f, "large", "huge", 0), -EIO);
    assert_int_equal(store_memory_upload_count(f.memory), 0);
    assert_string_equal(fixture_keys(&f), "large ");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mkdir),
        cmocka_unit_test(test_rmdir),
        cmocka_unit_test(test_directory_outlives_its_last_file),
        cmocka_unit_test(test_unlink_errors),
        cmocka_unit_test(test_own_changes_patch_the_listing),
        cmocka_unit_test(test_rename_file),
        cmocka_unit_test(test_rename_noreplace),
        cmocka_unit_test(test_rename_of_a_moving_file),
        cmocka_unit_test(test_rename_open_file),
        cmocka_unit_test(test_rename_dir),
        cmocka_unit_test(test_rename_dir_fails_before_it_deletes),
        cmocka_unit_test(test_beside),
        cmocka_unit_test(test_folder_marks),
        cmocka_unit_test(test_folder_mark_behind_many_names),
        cmocka_unit_test(test_rename_empty_dirs),
        cmocka_unit_test(test_rename_large_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
