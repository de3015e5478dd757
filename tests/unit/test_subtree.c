/* SPDX-License-Identifier: Apache-2.0 */
/* One page without a delimiter as the listings of its directories. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "meta/subtree.h"

static char told[4096];

static int tell(void *ctx ATTR_UNUSED, const char *key, const struct store_page *part,
                const char *last, size_t n_keys)
{
    size_t n = strlen(told);
    n += (size_t)snprintf(told + n, sizeof(told) - n, "%s:", key);
    for (size_t i = 0; i < part->n_prefixes; i++)
        n += (size_t)snprintf(told + n, sizeof(told) - n, " %s", part->prefixes[i]);
    for (size_t i = 0; i < part->n_entries; i++)
        n += (size_t)snprintf(told + n, sizeof(told) - n, " %s", part->entries[i].key);
    (void)snprintf(told + n, sizeof(told) - n, " %zu%s\n", n_keys, last ? "..." : "");
    return strcmp(key, "refuse/") == 0 ? -ENOMEM : 0;
}

static int split(const char *base, const char *after, bool more, size_t n, const char *const *keys)
{
    struct store_entry entries[32];
    struct store_page page = {.entries = entries, .n_entries = n, .next_token = more ? "t" : NULL};
    struct s3_error err;
    for (size_t i = 0; i < n; i++)
        entries[i] = (struct store_entry){.key = keys[i], .etag = "\"e\""};
    told[0] = '\0';
    return subtree_split(base, after, &page, tell, NULL, &err);
}

#define SPLIT(base, after, more, ...)                                                              \
    ({                                                                                             \
        const char *const keys_[] = {__VA_ARGS__};                                                 \
        split(base, after, more, ARRAY_SIZE(keys_), keys_);                                        \
    })

static void test_whole(void **state ATTR_UNUSED)
{
    /* b/ begins before the page, so nothing is told of it; "b/c.x" is its file, "b/" the base. */
    assert_int_equal(SPLIT("b/", "b/c.~", false, "b/c.\xc3\xa9", "b/c/", "b/c/f", "b/c/g/h/i",
                           "b/c/g/h/j", "b/d//x", "b/e"),
                     0);
    assert_string_equal(told, "b/c/g/h/: b/c/g/h/i b/c/g/h/j 2\n"
                              "b/c/g/: b/c/g/h/ 2\n"
                              "b/c/: b/c/g/ b/c/ b/c/f 4\n"
                              "b/d//: b/d//x 1\n"
                              "b/d/: b/d// 1\n");
}

static void test_cut(void **state ATTR_UNUSED)
{
    assert_int_equal(SPLIT("", "c.~", true, "c/1", "d/1", "d/x/1", "d/x/2"), 0);
    assert_string_equal(told, "c/: c/1 1\n"
                              "d/x/: d/x/1 d/x/2 2...\n"
                              "d/: d/x/ d/1 3...\n");
}

/* Between "c" and "c/" more than one may think of. */
static void test_before(void **state ATTR_UNUSED)
{
    assert_int_equal(SPLIT("", "c.~", false, "c.~1/x", "c/y", "c0/z"), 0);
    assert_string_equal(told, "c.~1/: c.~1/x 1\nc/: c/y 1\nc0/: c0/z 1\n");
    /* Of a directory that began before only what begins within the page. */
    assert_int_equal(SPLIT("", "a/b.~", false, "a/b/1", "a/c", "a/d/2"), 0);
    assert_string_equal(told, "a/b/: a/b/1 1\na/d/: a/d/2 1\n");
}

static void test_refused(void **state ATTR_UNUSED)
{
    assert_int_equal(SPLIT("b/", "b/c.~", false, "b/c/1", "a/x"), -EIO);
    assert_int_equal(SPLIT("", "c.~", false, "b/1"), -EPROTO);
    assert_int_equal(SPLIT("", "c.~", false, "d/2", "d/1"), -EPROTO);
    assert_int_equal(SPLIT("", "c.~", false, "d/2", "d/2"), -EPROTO);
    assert_string_equal(told, "");
    assert_int_equal(SPLIT("", "c.~", false, "d/2", "refuse/1", "z/1"), -ENOMEM);
    assert_string_equal(told, "d/: d/2 1\nrefuse/: refuse/1 1\n");
    assert_int_equal(split("", "c.~", false, 0, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_before),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
