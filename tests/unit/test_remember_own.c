/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that this mount has changed and is to ask for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/limits.h"
#include "meta/remember_own.h"

/* Of more than there is room for, some are not asked for. */
static void test_own_bounded(void **state ATTR_UNUSED)
{
    struct remember_own *o = remember_own_new(true);
    char key[32], *taken;
    size_t n = 0;

    assert_non_null(o);
    for (unsigned i = 0; i < LIMIT_METADATA_OWN + 10; i++) {
        snprintf(key, sizeof(key), "key %u", i);
        remember_own_changed(o, key, true, i);
    }
    assert_int_equal(remember_own_count(o), LIMIT_METADATA_OWN);
    remember_own_free(o);
    o = remember_own_new(true);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "key %u", i % 10);
        remember_own_changed(o, key, true, i);
    }
    assert_int_equal(remember_own_due_ns(o), 90);
    while ((taken = remember_own_take(o, 95, NULL))) {
        n++;
        free(taken);
    }
    assert_int_equal(n, 6);
    assert_int_equal(remember_own_due_ns(o), 96);
    remember_own_gone(o, "key 6");
    remember_own_gone(o, "none");
    assert_int_equal(remember_own_due_ns(o), 97);
    remember_own_free(o);
    remember_own_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
