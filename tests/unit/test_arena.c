/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <string.h>

#include "alloc_fail.h"
#include "base/arena.h"

static void test_alloc_is_zeroed_and_aligned(void **state)
{
    CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 20);
    for (size_t size = 1; size < 3000; size += 37) {
        assert_non_null(arena_strdup(&a, "odd"));
        unsigned char *p = arena_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xee, size); /* a later zeroed block must not have been this one's memory */
    }
}

static void test_pointers_stay(void **state)
{
    CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 20);
    char *kept[1000];
    for (int i = 0; i < 1000; i++) {
        char text[32];
        snprintf(text, sizeof(text), "value %d", i);
        kept[i] = arena_strdup(&a, text);
        assert_non_null(kept[i]);
    }
    for (int i = 0; i < 1000; i++) {
        char text[32];
        snprintf(text, sizeof(text), "value %d", i);
        assert_string_equal(kept[i], text);
    }
}

static void test_maximum_is_exact(void **state)
{
    CLEANUP_ARENA struct arena a = ARENA_INIT(100);
    assert_null(arena_alloc(&a, 101));
    assert_non_null(arena_alloc(&a, 90));
    assert_null(arena_strdup(&a, "0123456789"));
    assert_non_null(arena_strdup(&a, "012345678"));
    assert_int_equal(a.used, 100);
    assert_null(arena_alloc(&a, 1));
    arena_done(&a);
    assert_non_null(arena_alloc(&a, 100));
}

static void test_large_and_absurd(void **state)
{
    CLEANUP_ARENA struct arena a = ARENA_INIT(SIZE_MAX);
    char *p = arena_alloc(&a, 3 << 20);
    assert_non_null(p);
    p[(3 << 20) - 1] = 1;
    assert_null(arena_alloc(&a, SIZE_MAX - 8));
    assert_null(arena_strndup(&a, "x", SIZE_MAX));
    assert_non_null(arena_alloc(&a, 10));
}

static void test_strings(void **state)
{
    CLEANUP_ARENA struct arena a = ARENA_INIT(1000);
    assert_null(arena_strdup(&a, NULL));
    assert_null(arena_strndup(&a, NULL, 3));
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    assert_memory_equal(arena_strndup(&a, "a\0b", 3), "a\0b", 4);
    assert_string_equal(arena_strdup(&a, ""), "");
}

static void test_out_of_memory(void **state)
{
    CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 20);
    alloc_fail_begin(0);
    char *p = arena_strdup(&a, "x");
    assert_true(alloc_fail_end());
    assert_null(p);
    assert_int_equal(a.used, 0);
    assert_string_equal(arena_strdup(&a, "x"), "x");
}

int main(void)
{
    /* malloc gives memory that is not zero. */
    mallopt(M_PERTURB, 0xa5);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_is_zeroed_and_aligned),
        cmocka_unit_test(test_pointers_stay),
        cmocka_unit_test(test_maximum_is_exact),
        cmocka_unit_test(test_large_and_absurd),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
