/* SPDX-License-Identifier: Apache-2.0 */
/* O_EXCL that is decided at the open, for which names, and what it costs; names that look like
 * locks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/attr.h"
#include "store/store_fault.h"
#include "vfs_fixture.h"

static struct vfs_options with_excl(enum vfs_excl excl)
{
    struct vfs_options o = fixture_options();
    o.excl = excl;
    o.excl_names = "*.lock:*.lck:lock*:*.pid";
    return o;
}

static int create(struct fixture *f, const char *path, struct vfs_file **ret)
{
    return fixture_create(f, path, O_RDWR | O_EXCL, 0644, ret);
}

static void test_lock_file(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_options o = with_excl(VFS_EXCL_AUTO);
    fixture_init(&f, &o);
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    assert_int_equal(create(&f, "index.lock", &file), 0);
    fixture_expect(&f, "put 1");
    assert_string_equal(fixture_get(&f, "index.lock"), "");
    assert_int_equal(vfs_write(f.vfs, file, 0, "42", 2, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_expect(&f, "put 1");
    assert_string_equal(fixture_get(&f, "index.lock"), "42");
    assert_int_equal(create(&f, "index.lock", &file), -EEXIST);
    fixture_expect(&f, "list 1"); /* whether it is still there */
    /* One that nothing is written to costs no more than ever. */
    assert_int_equal(create(&f, "lock", &file), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_expect(&f, "put 1");
    /* Others are decided by their upload. */
    assert_int_equal(create(&f, "data", &file), 0);
    fixture_expect(&f, "");
    fixture_object(&f, "data", "theirs");
    assert_int_equal(fixture_close(&f, file), -EEXIST);
    assert_string_equal(fixture_get(&f, "data"), "theirs");
    fixture_done(&f);
}

static void test_loser(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_entry e;
    struct vfs_options o = with_excl(VFS_EXCL_AUTO);
    fixture_init(&f, &o);
    (void)fixture_ls(&f, "", false);
    fixture_object(&f, "a.pid", "theirs");
    assert_int_equal(create(&f, "a.pid", &file), -EEXIST);
    assert_string_equal(fixture_get(&f, "a.pid"), "theirs");
    assert_int_equal(fixture_lookup(&f, "a.pid", &e), 0);
    assert_int_equal(e.st.st_size, 6);
    /* The first answer was lost. */
    struct store_fault_rule lost = {.op = STORE_PUT,
                                    .count = 1,
                                    .error = S3_ERROR_PRECONDITION,
                                    .tries = 2,
                                    .lose_answer = true};
    assert_int_equal(store_fault_add(f.fault, &lost), 0);
    assert_int_equal(create(&f, "b.pid", &file), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_done(&f);
}

static void test_write_fails(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_options o = with_excl(VFS_EXCL_AUTO);
    fixture_init(&f, &o);
    (void)fixture_ls(&f, "", false);
    assert_int_equal(create(&f, "x.lock", &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 0, "42", 2, &f.err), 0);
    struct store_fault_rule fails = {.op = STORE_PUT, .error = S3_ERROR_ACCESS_DENIED};
    assert_int_equal(store_fault_add(f.fault, &fails), 0);
    assert_int_equal(fixture_close(&f, file), -EACCES);
    store_fault_clear(f.fault);
    assert_string_equal(fixture_keys(&f), "");
    assert_int_equal(fixture_lookup(&f, "x.lock", NULL), -ENOENT);
    /* Another host has taken the place: it stays. */
    assert_int_equal(create(&f, "x.lock", &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 0, "42", 2, &f.err), 0);
    fixture_object(&f, "x.lock", "theirs");
    assert_int_equal(fixture_close(&f, file), -ESTALE);
    assert_string_equal(fixture_get(&f, "x.lock"), "theirs");
    fixture_done(&f);
}

static void test_modes(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_options o = with_excl(VFS_EXCL_OPEN);
    fixture_init(&f, &o);
    (void)fixture_ls(&f, "", false);
    fixture_object(&f, "data", "theirs");
    assert_int_equal(create(&f, "data", &file), -EEXIST);
    fixture_done(&f);

    o = with_excl(VFS_EXCL_LOCAL);
    fixture_init(&f, &o);
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    assert_int_equal(create(&f, "a.lock", &file), 0);
    fixture_expect(&f, "");
    fixture_object(&f, "a.lock", "theirs");
    assert_int_equal(vfs_write(f.vfs, file, 0, "ours", 4, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_string_equal(fixture_get(&f, "a.lock"), "ours");
    fixture_done(&f);
}

/* Another host lets go of a lock: who waits for it sees that within a second. */
static void test_waiting(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_entry e;
    struct vfs_options o = with_excl(VFS_EXCL_AUTO);
    fixture_init(&f, &o);
    fixture_object(&f, "a.lock", "theirs");
    fixture_object(&f, "lock.exclusive/", "");
    fixture_object(&f, "data", "theirs");
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    assert_int_equal(fixture_lookup(&f, "a.lock", &e), 0);
    assert_true(e.entry_ttl_ns <= (uint64_t)NS_PER_S);
    assert_int_equal(fixture_lookup(&f, "free.lock", &e), -ENOENT);
    assert_true(e.entry_ttl_ns <= (uint64_t)NS_PER_S);
    assert_int_equal(fixture_mkdir(&f, "lock.exclusive", 0755), -EEXIST);
    fixture_expect(&f, "list 1");
    fixture_remove(&f, "a.lock");
    fixture_remove(&f, "lock.exclusive/");
    fixture_remove(&f, "data");
    assert_int_equal(fixture_mkdir(&f, "lock.exclusive", 0755), 0);
    fixture_expect(&f, "list 1, put 1");
    clock_fake_advance(&f.clock, NS_PER_S);
    assert_int_equal(fixture_lookup(&f, "data", &e), 0);
    assert_int_equal(fixture_lookup(&f, "a.lock", &e), -ENOENT);
    assert_int_equal(create(&f, "a.lock", &file), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_expect(&f, "list 2, put 1");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lock_file),   cmocka_unit_test(test_loser),
        cmocka_unit_test(test_write_fails), cmocka_unit_test(test_modes),
        cmocka_unit_test(test_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
