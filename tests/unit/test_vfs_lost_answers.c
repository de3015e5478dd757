/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on condition that were carried out, but whose answer did not arrive: the second try is
 * refused by what the first one has made. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>

#include "store/store_fault.h"
#include "vfs_fixture.h"

/* The next request of that kind succeeds, and its retry is told that the condition does not hold.
 */
static void lose_answer(struct fixture *f, enum store_op op)
{
    struct store_fault_rule rule = {
        .op = op, .count = 1, .error = S3_ERROR_PRECONDITION, .tries = 2, .lose_answer = true};
    assert_int_equal(store_fault_add(f->fault, &rule), 0);
}

/* The same answer without anything done: somebody else has the name. */
static void refuse(struct fixture *f, enum store_op op)
{
    struct store_fault_rule rule = {
        .op = op, .count = 1, .error = S3_ERROR_PRECONDITION, .tries = 2};
    assert_int_equal(store_fault_add(f->fault, &rule), 0);
}

static void test_mkdir(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    (void)fixture_ls(&f, "", false);
    lose_answer(&f, STORE_PUT);
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    assert_string_equal(fixture_keys(&f), "d/ ");
    assert_string_equal(fixture_ls(&f, "d", false), "");
    /* Another host's marker is not ours, whatever it says. */
    fixture_object(&f, "other/", "");
    refuse(&f, STORE_PUT);
    assert_int_equal(fixture_mkdir(&f, "other", 0755), -EEXIST);
    fixture_done(&f);
}

static void test_rename_of_a_file(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_write(&f, "a", "content"), 0);
    lose_answer(&f, STORE_COPY);
    assert_int_equal(fixture_rename(&f, "a", "b", RENAME_NOREPLACE), 0);
    assert_string_equal(fixture_keys(&f), "b ");
    assert_string_equal(fixture_read(&f, "b"), "content");
    /* The same bytes from elsewhere are not our copy. */
    fixture_object(&f, "c", "content");
    refuse(&f, STORE_COPY);
    assert_int_equal(fixture_rename(&f, "b", "c", RENAME_NOREPLACE), -EEXIST);
    assert_string_equal(fixture_keys(&f), "b c ");
    fixture_done(&f);
}

static void test_rename_of_a_directory(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "d", 0755), 0);
    assert_int_equal(fixture_write(&f, "d/x", "x"), 0);
    lose_answer(&f, STORE_PUT);
    assert_int_equal(fixture_rename(&f, "d", "e", RENAME_NOREPLACE), 0);
    assert_string_equal(fixture_keys(&f), "e/ e/x ");
    refuse(&f, STORE_PUT);
    assert_int_equal(fixture_rename(&f, "e", "g", RENAME_NOREPLACE), -EEXIST);
    assert_string_equal(fixture_keys(&f), "e/ e/x ");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mkdir),
        cmocka_unit_test(test_rename_of_a_file),
        cmocka_unit_test(test_rename_of_a_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
