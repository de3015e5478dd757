/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "alloc_fail.h"
#include "base/hash.h"

struct element {
    int key;
    UT_hash_handle hh;
};

static void add(struct element **table, struct element *e)
{
    HASH_ADD_INT(*table, key, e);
}

static void test_add_find_delete(void **state)
{
    struct element *table = NULL, *found, *next;
    for (int i = 0; i < 1000; i++) {
        struct element *e = calloc(1, sizeof(*e));
        assert_non_null(e);
        e->key = i * 7;
        add(&table, e);
        assert_false(HASH_ADD_FAILED(e));
    }
    assert_int_equal(HASH_COUNT(table), 1000);
    int key = 3500;
    HASH_FIND_INT(table, &key, found);
    assert_non_null(found);
    if (found)
        assert_int_equal(found->key, 3500);
    key = 3501;
    HASH_FIND_INT(table, &key, found);
    assert_null(found);
    HASH_ITER (hh, table, found, next) {
        HASH_DEL(table, found);
        free(found);
    }
    assert_null(table);
}

/* Each allocation of the first element fails in turn; nothing leaks, nothing exits. */
static void test_out_of_memory_is_visible(void **state)
{
    int failures = 0;
    for (long n = 0;; n++) {
        struct element *table = NULL, e = {.key = 1};
        alloc_fail_begin(n);
        add(&table, &e);
        if (!alloc_fail_end()) {
            assert_false(HASH_ADD_FAILED(&e));
            assert_int_equal(HASH_COUNT(table), 1);
            HASH_DEL(table, &e);
            break;
        }
        assert_true(HASH_ADD_FAILED(&e));
        assert_null(table);
        failures++;
    }
    assert_true(failures > 0);
}

/* Also when a filled table cannot grow: what was in it stays. */
static void test_out_of_memory_keeps_the_rest(void **state)
{
    static struct element elements[2000];
    struct element *table = NULL, *found;
    int lost = 0, kept = 0;
    for (int i = 0; i < 2000; i++) {
        elements[i].key = i;
        alloc_fail_begin(0);
        if (i == 0)
            alloc_fail_end(); /* the table itself */
        add(&table, &elements[i]);
        alloc_fail_end();
        if (HASH_ADD_FAILED(&elements[i]))
            lost++;
        else
            kept++;
    }
    assert_true(lost > 0);
    assert_int_equal(HASH_COUNT(table), kept);
    for (int i = 0; i < 2000; i++) {
        HASH_FIND_INT(table, &i, found);
        if (HASH_ADD_FAILED(&elements[i]))
            assert_null(found);
        else
            assert_ptr_equal(found, &elements[i]);
    }
    HASH_CLEAR(hh, table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_find_delete),
        cmocka_unit_test(test_out_of_memory_is_visible),
        cmocka_unit_test(test_out_of_memory_keeps_the_rest),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
