/* SPDX-License-Identifier: Apache-2.0 */
/* copy_file_range: which copies stay inside the store, what they cost, and what becomes of them
 * when the versions are others than were known. */
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

static int copy(struct fixture *f, const char *from, struct vfs_file *out, uint64_t in_offset,
                uint64_t offset, uint64_t len, uint64_t *ret)
{
    struct vfs_file *in;
    assert_int_equal(fixture_open(f, from, O_RDONLY, &in), 0);
    int r = vfs_copy_range(f->vfs, in, in_offset, out, offset, len, ret, &f->err);
    assert_int_equal(fixture_close(f, in), 0);
    return r;
}

static struct vfs_file *create(struct fixture *f, const char *path)
{
    struct vfs_file *file;
    assert_int_equal(fixture_create(f, path, O_RDWR | O_EXCL, 0644, &file), 0);
    return file;
}

static void test_whole(void **state)
{
    struct fixture f;
    uint64_t n;
    fixture_init(&f, NULL);
    fixture_object_attrs(&f, "a.txt", "hello",
                         &(struct store_attrs){.content_type = "text/special"});
    fixture_object(&f, "b", "old");
    (void)fixture_ls(&f, "", false);
    store_fault_clear(f.fault);
    fixture_expect(&f, "list 1");

    struct vfs_file *out = create(&f, "first");
    assert_int_equal(copy(&f, "a.txt", out, 0, 0, 1 << 20, &n), 0);
    assert_int_equal(n, 5);
    assert_int_equal(fixture_close(&f, out), 0);
    fixture_expect(&f, "copy 1");

    out = create(&f, "c.html");
    assert_int_equal(copy(&f, "a.txt", out, 0, 0, 5, &n), 0);
    fixture_expect(&f, "copy 1");
    assert_int_equal(fixture_close(&f, out), 0);
    fixture_expect(&f, "");
    assert_string_equal(fixture_get(&f, "c.html"), "hello");
    assert_string_equal(fixture_metadata(&f, "c.html", "mode"), "33188");
    struct store_object o;
    assert_int_equal(store_head(f.memory, "c.html", &o, &f.err), 0);
    assert_string_equal(o.attrs.content_type, "text/html");
    store_object_done(&o);

    /* Over another file, and written on. */
    assert_int_equal(fixture_open(&f, "b", O_RDWR | O_TRUNC, &out), 0);
    assert_int_equal(copy(&f, "a.txt", out, 0, 0, 5, &n), 0);
    assert_int_equal(vfs_write(f.vfs, out, 5, ", world", 7, &f.err), 0);
    assert_string_equal(fixture_get(&f, "b"), "hello");
    assert_int_equal(fixture_close(&f, out), 0);
    assert_string_equal(fixture_get(&f, "b"), "hello, world");

    /* Nothing, behind the end. */
    out = create(&f, "empty");
    assert_int_equal(copy(&f, "a.txt", out, 5, 0, 5, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(fixture_close(&f, out), 0);
    assert_string_equal(fixture_get(&f, "empty"), "");
    fixture_done(&f);
}

static void test_not_inside(void **state)
{
    struct fixture f;
    uint64_t n;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "hello");
    fixture_object(&f, "b", "content");
    (void)fixture_ls(&f, "", false);
    struct vfs_file *out;
    assert_int_equal(fixture_open(&f, "b", O_RDWR, &out), 0);
    assert_int_equal(copy(&f, "a", out, 0, 0, 5, &n), -EXDEV); /* keeps its end */
    assert_int_equal(copy(&f, "a", out, 0, 7, 5, &n), -EXDEV); /* too small for a part */
    assert_int_equal(copy(&f, "b", out, 0, 7, 5, &n), -EXDEV); /* itself */
    assert_int_equal(fixture_close(&f, out), 0);
    assert_string_equal(fixture_get(&f, "b"), "content");
    assert_int_equal(fixture_open(&f, "b", O_RDONLY, &out), 0);
    assert_int_equal(copy(&f, "a", out, 0, 0, 5, &n), -EBADF);
    assert_int_equal(fixture_close(&f, out), 0);

    /* The source is another version than was known; or the name is taken by another host. */
    fixture_object(&f, "a", "HELLO");
    out = create(&f, "c");
    assert_int_equal(copy(&f, "a", out, 0, 0, 5, &n), -EXDEV);
    fixture_object(&f, "c", "theirs");
    assert_int_equal(copy(&f, "b", out, 0, 0, 7, &n), -EXDEV);
    assert_int_equal(vfs_write(f.vfs, out, 0, "ours", 4, &f.err), 0);
    assert_int_equal(fixture_close(&f, out), -EEXIST);
    assert_string_equal(fixture_get(&f, "c"), "theirs");

    /* Removed while open: its content cannot come from the store any more, nor go there. */
    out = create(&f, "gone");
    assert_int_equal(fixture_unlink(&f, "gone"), 0);
    assert_int_equal(copy(&f, "b", out, 0, 0, 7, &n), -EXDEV);
    assert_int_equal(fixture_close(&f, out), 0);
    fixture_done(&f);
}

static void test_source_being_written(void **state)
{
    struct fixture f;
    struct vfs_file *in, *out;
    uint64_t n;
    fixture_init(&f, NULL);
    (void)fixture_ls(&f, "", false);
    in = create(&f, "a");
    assert_int_equal(vfs_write(f.vfs, in, 0, "new", 3, &f.err), 0);
    out = create(&f, "b");
    assert_int_equal(vfs_copy_range(f.vfs, in, 0, out, 0, 100, &n, &f.err), 0);
    assert_int_equal(n, 3);
    assert_string_equal(fixture_get(&f, "b"), "new");
    assert_int_equal(fixture_close(&f, in), 0);
    assert_int_equal(fixture_close(&f, out), 0);
    fixture_done(&f);
}

static void test_lost_answer(void **state)
{
    struct fixture f;
    struct vfs_file *out;
    uint64_t n;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "hello");
    (void)fixture_ls(&f, "", false);
    /* The first try has had its effect, the second one is refused. */
    struct store_fault_rule lost = {.op = STORE_COPY,
                                    .count = 1,
                                    .error = S3_ERROR_PRECONDITION,
                                    .tries = 2,
                                    .lose_answer = true};
    assert_int_equal(store_fault_add(f.fault, &lost), 0);
    out = create(&f, "b");
    assert_int_equal(copy(&f, "a", out, 0, 0, 5, &n), 0);
    assert_int_equal(fixture_close(&f, out), 0);
    assert_string_equal(fixture_get(&f, "b"), "hello");
    /* A failure is told, and the file can still be written. */
    struct store_fault_rule fails = {.op = STORE_COPY, .count = 1, .error = S3_ERROR_SERVER};
    assert_int_equal(store_fault_add(f.fault, &fails), 0);
    out = create(&f, "c");
    assert_int_equal(copy(&f, "a", out, 0, 0, 5, &n), -EIO);
    assert_int_equal(copy(&f, "a", out, 0, 0, 5, &n), 0);
    assert_int_equal(fixture_close(&f, out), 0);
    assert_string_equal(fixture_get(&f, "c"), "hello");
    fixture_done(&f);
}

static void test_parts(void **state)
{
    struct fixture f;
    struct vfs_file *out;
    uint64_t n;
    size_t size = 24 * MIB;
    char *text = malloc(size + 1);
    fixture_init(&f, NULL);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + i % 23);
    text[size] = '\0';
    fixture_object(&f, "a", text);
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    out = create(&f, "b");
    assert_int_equal(copy(&f, "a", out, MIB, 0, 6 * MIB, &n), 0);
    assert_int_equal(n, 6 * MIB);
    assert_int_equal(copy(&f, "a", out, 7 * MIB, 6 * MIB, 100 * MIB, &n), 0);
    assert_int_equal(n, 17 * MIB);
    assert_int_equal(vfs_write(f.vfs, out, 23 * MIB, "end", 3, &f.err), 0);
    assert_int_equal(fixture_unlink(&f, "a"), 0);
    assert_int_equal(fixture_close(&f, out), 0);
    fixture_expect(&f, "delete 1, upload-create 1, upload-part 1, upload-part-copy 2, "
                       "upload-complete 1");

    struct vfs_file *in;
    char *back = malloc(size);
    size_t got;
    assert_non_null(back);
    assert_int_equal(fixture_open(&f, "b", O_RDONLY, &in), 0);
    assert_int_equal(vfs_read(f.vfs, in, 0, back, size, &got, &f.err), 0);
    assert_int_equal(fixture_close(&f, in), 0);
    assert_int_equal(got, 23 * MIB + 3);
    assert_memory_equal(back, text + MIB, 23 * MIB);
    assert_memory_equal(back + 23 * MIB, "end", 3);
    free(back);
    free(text);
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_not_inside),
        cmocka_unit_test(test_source_being_written),
        cmocka_unit_test(test_lost_answer),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
