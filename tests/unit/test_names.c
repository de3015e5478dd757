/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/encode.h"
#include "meta/names.h"

static void expect(const char *component, bool beside, const char *name)
{
    char out[NAME_LENGTH_MAX + 1];
    assert_int_equal(name_from_component(component, strlen(component), beside, out), 0);
    assert_string_equal(out, name);

    struct name_target t;
    assert_int_equal(name_to_component(name, &t), 0);
    assert_string_equal(t.component, component);
    assert_int_equal(t.len, strlen(component));
    assert_int_equal(t.file_only, beside);
    assert_false(t.hashed);
}

static void test_table(void **state)
{
    expect("report.txt", false, "report.txt");
    expect("", false, "%@");
    expect(".", false, "%@.");
    expect("..", false, "%@..");
    expect("...", false, "...");
    expect("caf\xC3\xA9", false, "caf\xC3\xA9");
    expect("caf\xE9", false, "%@caf%E9");
    expect("100%\xE9", false, "%@100%25%E9");
    expect("100%", false, "100%");
    expect("%@x", false, "%@%25@x");
    expect("%@", false, "%@%25@");
    expect("%@=", false, "%@%25@=");
    expect("%@=abc", false, "%@%25@=abc");
    expect("a", true, "%@a%file");
    expect(".", true, "%@.%file");
    expect("%@=caf%E9", false, "caf\xE9");
    expect("%@=%25@x%25zz", false, "%@x%zz");
    expect("new\nline", false, "new\nline");
}

static void test_names_that_only_look_like_ours(void **state)
{
    static const char *const names[] = {
        "%@x",       "%@abc%file", "%@%41", "%@%e9", "%@%E",        "%@%file",
        "%@caf%E9%", "%@%2E",      "%@%2F", "%@%00", "%@caf%C3%A9", "%@a%+0123456789ABCDEF0123",
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct name_target t;
        assert_int_equal(name_to_component(names[i], &t), 0);
        assert_false(t.hashed);
        if (t.file_only) { /* "%@abc%file" is the one spelling of abc beside abc/ */
            assert_string_equal(t.component, "abc");
            continue;
        }
        assert_memory_equal(t.component, "%@=", 3);
        char back[NAME_LENGTH_MAX + 1];
        assert_int_equal(name_from_component(t.component, t.len, false, back), 0);
        assert_string_equal(back, names[i]);
    }
}

static void test_long_components(void **state)
{
    char a[COMPONENT_LENGTH_MAX + 1], name[NAME_LENGTH_MAX + 1], other[NAME_LENGTH_MAX + 1];
    memset(a, 'x', sizeof(a));

    assert_int_equal(name_from_component(a, 255, false, name), 0);
    assert_int_equal(strlen(name), 255);
    assert_memory_equal(name, a, 255);

    for (size_t len = 249; len <= COMPONENT_LENGTH_MAX; len += 31) {
        for (int beside = len <= 255; beside < 2; beside++) {
            struct name_target t;
            assert_int_equal(name_from_component(a, len, beside, name), 0);
            assert_true(strlen(name) <= 255);
            assert_int_equal(name_to_component(name, &t), 0);
            assert_true(t.hashed);
            assert_int_equal(t.file_only, beside);
            assert_memory_equal(t.component, a, t.len);
            assert_true(name_matches(name, a, len));
            assert_false(name_matches(name, a, len - 1));
        }
    }
    /* Differ in the last byte only. */
    assert_int_equal(name_from_component(a, 1000, false, name), 0);
    a[999] = 'y';
    assert_int_equal(name_from_component(a, 1000, false, other), 0);
    assert_string_not_equal(name, other);

    char too_long[NAME_LENGTH_MAX + 2];
    memset(too_long, 'x', sizeof(too_long));
    too_long[NAME_LENGTH_MAX + 1] = '\0';
    struct name_target t;
    assert_int_equal(name_to_component(too_long, &t), -ENAMETOOLONG);
}

/* Texts made of the pieces that matter. */
static size_t random_text(char *out, size_t max, bool may_be_long)
{
    static const char *const pieces[] = {
        "%@",           "%",   "@",   "=",        "%@=",  "%file",
        "%25",          "%E9", "%e9", "\xC3\xA9", "\xE9", "\xF0\x9F\x98\x80",
        "\xF0\x9F",     ".",   "..",  "a",        "b",    "%+0123456789ABCDEF0123",
        "%2E",          "%2F", "%00", " ",        "\n",   "\xFF",
        "\xED\xA0\x80",
    };
    size_t n = 0;
    unsigned count = (unsigned)rand() % 7;
    while (count-- > 0) {
        const char *p = pieces[(unsigned)rand() % ARRAY_SIZE(pieces)];
        if (strlen(p) > max - n)
            break;
        memcpy(out + n, p, strlen(p));
        n += strlen(p);
    }
    if (may_be_long && rand() % 8 == 0) {
        size_t pad = (unsigned)rand() % (max - n);
        memset(out + n, rand() % 2 ? 'z' : '\xE9', pad);
        n += pad;
    }
    out[n] = '\0';
    return n;
}

static void test_every_component_has_one_name(void **state)
{
    unsigned seed = 20261122;
    print_message("# seed %u\n", seed);
    srand(seed);
    for (int i = 0; i < 100000; i++) {
        char c[COMPONENT_LENGTH_MAX + 1], name[NAME_LENGTH_MAX + 1];
        size_t len = random_text(c, COMPONENT_LENGTH_MAX, true);
        bool beside = len > 0 && rand() % 2;
        assert_int_equal(name_from_component(c, len, beside, name), 0);
        assert_true(strlen(name) >= 1 && strlen(name) <= 255);
        assert_null(strchr(name, '/'));
        assert_string_not_equal(name, ".");
        assert_string_not_equal(name, "..");
        if (name_is_plain(c, len) && !beside)
            assert_string_equal(name, c);
        assert_true(name_matches(name, c, len));

        struct name_target t;
        assert_int_equal(name_to_component(name, &t), 0);
        assert_int_equal(t.file_only, beside);
        if (t.hashed) {
            assert_true(t.len < len);
            assert_memory_equal(t.component, c, t.len);
        } else {
            assert_int_equal(t.len, len);
            assert_memory_equal(t.component, c, len);
        }
    }
}

static void test_every_name_has_one_component(void **state)
{
    unsigned seed = 20261123;
    print_message("# seed %u\n", seed);
    srand(seed);
    for (int i = 0; i < 100000; i++) {
        char name[NAME_LENGTH_MAX + 1], back[NAME_LENGTH_MAX + 1];
        size_t len = random_text(name, NAME_LENGTH_MAX, true);
        if (len == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        struct name_target t;
        assert_int_equal(name_to_component(name, &t), 0);
        if (t.hashed)
            continue; /* decided by searching */
        assert_null(memchr(t.component, '/', t.len));
        assert_int_equal(name_from_component(t.component, t.len, t.file_only, back), 0);
        assert_string_equal(back, name);
        /* What users make is a key that S3 accepts: UTF-8. Names of our own form may stand for
         * keys that were not. */
        if (strncmp(name, "%@", 2) != 0)
            assert_true(utf8_valid(t.component, t.len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_names_that_only_look_like_ours),
        cmocka_unit_test(test_long_components),
        cmocka_unit_test(test_every_component_has_one_name),
        cmocka_unit_test(test_every_name_has_one_component),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
