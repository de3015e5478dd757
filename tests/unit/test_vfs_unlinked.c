/* SPDX-License-Identifier: Apache-2.0 */
/* Files that lose their name while they are open: what it costs, and what can be read afterwards.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "store/store_fault.h"
#include "vfs_fixture.h"

#define BIG_SIZE (9 * MIB) /* over the first part */

static void reads(struct fixture *f, struct vfs_file *file, uint64_t offset, const char *want)
{
    char buf[64] = "";
    size_t got;
    assert_int_equal(vfs_read(f->vfs, file, offset, buf, strlen(want), &got, &f->err), 0);
    buf[got] = '\0';
    assert_string_equal(buf, want);
}

static struct vfs_file *open_file(struct fixture *f, const char *path, int flags)
{
    struct vfs_file *file;
    assert_int_equal(fixture_open(f, path, flags, &file), 0);
    return file;
}

static void big_object(struct fixture *f, const char *key)
{
    char *text = malloc(BIG_SIZE + 1);
    assert_non_null(text);
    for (size_t i = 0; i < BIG_SIZE; i++)
        text[i] = (char)('a' + i % 26);
    text[BIG_SIZE] = '\0';
    fixture_object(f, key, text);
    free(text);
}

static void test_small(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "hello");
    fixture_object(&f, "b", "other");
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    struct vfs_file *one = open_file(&f, "a", O_RDONLY), *two = open_file(&f, "a", O_RDONLY);
    assert_int_equal(fixture_unlink(&f, "a"), 0);
    fixture_expect(&f, "get 1, delete 1");
    reads(&f, one, 0, "hello");
    assert_int_equal(fixture_close(&f, one), 0);
    reads(&f, two, 1, "ello");
    assert_int_equal(fixture_close(&f, two), 0);
    fixture_expect(&f, "");
    assert_string_equal(fixture_keys(&f), "b ");
    /* Without a reader the key goes, and nothing else happens. */
    struct vfs_file *write_only = open_file(&f, "b", O_WRONLY);
    fixture_expect(&f, "head 1");
    assert_int_equal(fixture_unlink(&f, "b"), 0);
    fixture_expect(&f, "delete 1");
    assert_int_equal(fixture_close(&f, write_only), 0);
    fixture_expect(&f, "");
    fixture_done(&f);
}

static void test_big(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    big_object(&f, "a");
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    struct vfs_file *one = open_file(&f, "a", O_RDONLY);
    reads(&f, one, 0, "abc");
    assert_int_equal(fixture_unlink(&f, "a"), 0);
    assert_int_equal(strncmp(fixture_keys(&f), ".pailfs-unlinked/", 17), 0);
    assert_string_equal(fixture_ls(&f, "", false), "");
    reads(&f, one, 26 * 300000, "abc");
    /* A name for another file, which has nothing to do with it. */
    assert_int_equal(fixture_write(&f, "a", "new"), 0);
    reads(&f, one, 26 * 200000 + 1, "bcd");
    assert_int_equal(fixture_close(&f, one), 0);
    assert_string_equal(fixture_keys(&f), "a ");
    /* Nothing can be made or found under the hidden prefix. */
    assert_int_equal(fixture_mkdir(&f, ".pailfs-unlinked", 0755), -EPERM);
    fixture_object(&f, ".pailfs-unlinked/left", "x");
    fixture_remount(&f, NULL);
    assert_string_equal(fixture_ls(&f, "", true), "a=3 ");
    struct vfs_entry e;
    assert_int_equal(fixture_lookup(&f, ".pailfs-unlinked", &e), -ENOENT);
    fixture_done(&f);
}

static void test_replaced(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "hello");
    big_object(&f, "b");
    fixture_object(&f, "c", "1");
    fixture_object(&f, "d", "2");
    (void)fixture_ls(&f, "", false);
    struct vfs_file *a = open_file(&f, "a", O_RDONLY), *b = open_file(&f, "b", O_RDWR);
    assert_int_equal(fixture_rename(&f, "c", "a", 0), 0);
    assert_int_equal(fixture_rename(&f, "d", "b", 0), 0);
    reads(&f, a, 0, "hello");
    reads(&f, b, 26, "abc");
    assert_int_equal(fixture_close(&f, a), 0);
    assert_int_equal(fixture_close(&f, b), 0);
    assert_string_equal(fixture_keys(&f), "a b ");
    assert_string_equal(fixture_get(&f, "a"), "1");
    fixture_done(&f);
}

static void test_failures(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "hello");
    big_object(&f, "b");
    (void)fixture_ls(&f, "", false);
    struct vfs_file *a = open_file(&f, "a", O_RDONLY), *b = open_file(&f, "b", O_RDONLY);
    /* What cannot be kept is not removed, and what cannot be removed is not kept twice. */
    struct store_fault_rule get = {.op = STORE_GET, .count = 1, .error = S3_ERROR_SERVER};
    struct store_fault_rule copy = {.op = STORE_COPY, .count = 1, .error = S3_ERROR_SERVER};
    struct store_fault_rule del = {
        .op = STORE_DELETE, .prefix = "b", .count = 1, .error = S3_ERROR_ACCESS_DENIED};
    assert_int_equal(store_fault_add(f.fault, &get), 0);
    assert_int_equal(store_fault_add(f.fault, &copy), 0);
    assert_int_equal(store_fault_add(f.fault, &del), 0);
    assert_int_equal(fixture_unlink(&f, "a"), -EIO);
    assert_int_equal(fixture_unlink(&f, "b"), -EIO);
    assert_int_equal(fixture_unlink(&f, "b"), -EACCES);
    assert_string_equal(fixture_keys(&f), "a b ");
    reads(&f, a, 0, "hello");
    reads(&f, b, 0, "abc");
    /* Another host was first: the name is gone all the same. */
    fixture_remove(&f, "a");
    assert_int_equal(fixture_unlink(&f, "a"), 0);
    assert_int_equal(fixture_unlink(&f, "b"), 0);
    reads(&f, b, 52, "abc");
    assert_int_equal(fixture_close(&f, a), 0);
    assert_int_equal(fixture_close(&f, b), 0);
    assert_string_equal(fixture_keys(&f), "");
    fixture_done(&f);
}

/* An unlink that fails leaves the file as it was: what is written afterwards carries its
 * attributes, and replaces only the version that was known. */
static void test_written_after_a_failed_unlink(void **state)
{
    struct fixture f;
    struct store_fault_rule refused = {.op = STORE_DELETE, .count = 1, .error = S3_ERROR_SERVER};
    const struct store_metadata m[] = {{"color", "blue"}};
    struct store_attrs attrs = {.metadata = m, .n_metadata = 1};
    fixture_init(&f, NULL);
    fixture_object_attrs(&f, "a", "hello", &attrs);
    assert_int_equal(fixture_chmod(&f, "a", 0600), 0);
    fixture_settle(&f);
    struct vfs_file *file = open_file(&f, "a", O_RDWR);
    assert_int_equal(store_fault_add(f.fault, &refused), 0);
    assert_int_equal(fixture_unlink(&f, "a"), -EIO);
    reads(&f, file, 0, "hello");
    assert_int_equal(vfs_write(f.vfs, file, 0, "H", 1, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_string_equal(fixture_get(&f, "a"), "Hello");
    assert_string_equal(fixture_metadata(&f, "a", "mode"), "33152");
    assert_string_equal(fixture_metadata(&f, "a", "color"), "blue");

    /* The same of an empty one: another host's is not overwritten. */
    fixture_object(&f, "empty", "");
    file = open_file(&f, "empty", O_RDWR);
    assert_int_equal(store_fault_add(f.fault, &refused), 0);
    assert_int_equal(fixture_unlink(&f, "empty"), -EIO);
    fixture_object(&f, "empty", "theirs");
    if (vfs_write(f.vfs, file, 0, "ours", 4, &f.err) == 0)
        assert_int_equal(fixture_close(&f, file), -ESTALE);
    else
        (void)fixture_close(&f, file);
    assert_string_equal(fixture_get(&f, "empty"), "theirs");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_big),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_written_after_a_failed_unlink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
