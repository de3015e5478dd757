/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "alloc_fail.h"
#include "base/strbuf.h"

static void test_empty(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(10);
    assert_string_equal(strbuf_str(&sb), "");
    assert_null(sb.data);
    CLEANUP_FREE char *taken = strbuf_take(&sb);
    assert_non_null(taken);
    assert_string_equal(taken, "");
}

static void test_append_and_take(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1000);
    assert_int_equal(strbuf_append_str(&sb, "abc"), 0);
    assert_int_equal(strbuf_append(&sb, "d\0e", 3), 0);
    assert_int_equal(strbuf_append_char(&sb, 'f'), 0);
    assert_int_equal(strbuf_appendf(&sb, "-%d-%s", 42, "x"), 0);
    assert_int_equal(sb.len, 12);
    assert_memory_equal(sb.data, "abcd\0ef-42-x", 13);

    strbuf_truncate(&sb, 3);
    assert_string_equal(strbuf_str(&sb), "abc");
    CLEANUP_FREE char *taken = strbuf_take(&sb);
    assert_string_equal(taken, "abc");
    assert_null(sb.data);
    assert_int_equal(sb.len, 0);
    assert_int_equal(sb.max, 1000);
}

static void test_cap_is_exact_and_sticky(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(4);
    assert_int_equal(strbuf_append_str(&sb, "abcd"), 0);
    assert_int_equal(strbuf_append_char(&sb, 'e'), -E2BIG);
    assert_int_equal(strbuf_append(&sb, "", 0), -E2BIG);
    assert_int_equal(strbuf_appendf(&sb, "x"), -E2BIG);
    assert_string_equal(strbuf_str(&sb), "abcd");
    assert_null(strbuf_take(&sb));

    assert_int_equal(strbuf_appendf(&sb, "%s", "12345"), -E2BIG);
    assert_string_equal(strbuf_str(&sb), "");
    strbuf_reset(&sb);
    assert_int_equal(strbuf_append_str(&sb, "123"), 0);
    assert_int_equal(strbuf_appendf(&sb, "%s", "xy"), -E2BIG);
    assert_string_equal(strbuf_str(&sb), "123");
}

static void test_many_small_appends(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(100000);
    for (int i = 0; i < 20000; i++)
        assert_int_equal(strbuf_appendf(&sb, "%04d,", i % 10000), 0);
    assert_int_equal(sb.len, 100000);
    assert_true(sb.alloc <= 100001);
    assert_memory_equal(sb.data + 5 * 12345, "2345,", 5);
    assert_int_equal(strbuf_append_char(&sb, 'x'), -E2BIG);
}

static void test_reserve(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(100);
    assert_int_equal(strbuf_reserve(&sb, 100), 0);
    assert_string_equal(strbuf_str(&sb), "");
    assert_int_equal(sb.len, 0);
    char *before = sb.data;
    char filling[101];
    memset(filling, 'x', 100);
    filling[100] = '\0';
    assert_int_equal(strbuf_append_str(&sb, filling), 0);
    assert_ptr_equal(sb.data, before);
    assert_int_equal(strbuf_reserve(&sb, SIZE_MAX), -E2BIG);
}

static void test_out_of_memory(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1000);
    assert_int_equal(strbuf_append_str(&sb, "abc"), 0);
    char text[200] = "";
    memset(text, 'y', sizeof(text) - 1);
    alloc_fail_begin(0);
    int r = strbuf_appendf(&sb, "%s", text);
    assert_true(alloc_fail_end());
    assert_int_equal(r, -ENOMEM);
    assert_string_equal(strbuf_str(&sb), "abc");
    assert_int_equal(strbuf_append_str(&sb, "d"), -ENOMEM);
    assert_null(strbuf_take(&sb));

    alloc_fail_begin(0);
    char *taken = strbuf_take(&sb);
    assert_true(alloc_fail_end());
    assert_null(taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_append_and_take),
        cmocka_unit_test(test_cap_is_exact_and_sticky),
        cmocka_unit_test(test_many_small_appends),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("strbuf", tests, NULL, NULL);
}
