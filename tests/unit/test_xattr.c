/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/encode.h"
#include "meta/xattr.h"

static struct xattr_list list;

/* "name=value;..." of what is understood. */
static const char *decoded(const char *encoded)
{
    static char text[4096];
    CLEANUP_ARENA struct arena arena = ARENA_INIT(1u << 20);
    size_t n = 0;
    text[0] = '\0';
    assert_int_equal(xattrs_decode(encoded, &arena, &list), 0);
    for (size_t i = 0; i < list.n; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s=%.*s;", list.items[i].name,
                              (int)list.items[i].size, (const char *)list.items[i].value);
    return text;
}

static void test_s3fs_form(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1024);
    struct xattr_list l = {.n = 2, .items = {{"user.comment", "hello", 5}, {"user.empty", "", 0}}};
    xattrs_encode(&l, &sb);
    assert_int_equal(sb.error, 0);
    assert_string_equal(strbuf_str(&sb), "%7B%22user.comment%22%3A%22aGVsbG8%3D%22%2C"
                                         "%22user.empty%22%3A%22%22%7D");
    assert_string_equal(decoded(strbuf_str(&sb)), "user.comment=hello;user.empty=;");
    strbuf_reset(&sb);
    l.n = 0;
    xattrs_encode(&l, &sb);
    assert_int_equal(sb.len, 0);
    assert_string_equal(decoded(NULL), "");
}

static void test_names_and_values_survive(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(8192);
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    struct xattr_list l = {.n = 3,
                           .items = {{"user.all", bytes, sizeof(bytes)},
                                     {"user.\"quoted\\ \x01\n{},:%", "x", 1},
                                     {"user.\xc3\xa9\xff", "y", 1}}};
    xattrs_encode(&l, &sb);
    CLEANUP_ARENA struct arena arena = ARENA_INIT(1u << 20);
    assert_int_equal(xattrs_decode(strbuf_str(&sb), &arena, &list), 0);
    assert_int_equal(list.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(list.items[i].name, l.items[i].name);
        assert_int_equal(list.items[i].size, l.items[i].size);
        assert_memory_equal(list.items[i].value, l.items[i].value, l.items[i].size);
    }
    assert_false(list.cut);
    assert_ptr_equal(xattrs_find(&list, "user.all"), &list.items[0]);
    assert_null(xattrs_find(&list, "user.al"));
}

static void test_a_cap_is_an_error(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(20);
    struct xattr_list l = {.n = 1, .items = {{"user.comment", "hello", 5}}};
    xattrs_encode(&l, &sb);
    assert_true(sb.error < 0);
}

static void test_others_write_it_differently(void **state)
{
    /* Not percent-encoded, spaces, escapes, members that are no strings, no base64, twice. */
    assert_string_equal(decoded("{ \"user.a\" : \"MQ==\" , \"user.b\":\"Mg==\" }"),
                        "user.a=1;user.b=2;");
    assert_string_equal(decoded("{\"user.\\u00e9\\u0041\\/\":\"MQ==\"}"), "user.\xc3\xa9"
                                                                          "A/=1;");
    assert_string_equal(decoded("{\"n\":12,\"user.a\":\"MQ==\",\"x\":null,\"user.b\":\"Mg==\"}"),
                        "user.a=1;user.b=2;");
    assert_string_equal(decoded("{\"user.a\":\"*\",\"user.b\":\"Mg==\"}"), "user.b=2;");
    assert_string_equal(decoded("{\"user.a\":\"MQ==\",\"user.a\":\"Mg==\"}"), "user.a=1;");
    assert_string_equal(decoded("{\"\":\"MQ==\"}"), "");
    /* What came before an error counts. */
    assert_string_equal(decoded("{\"user.a\":\"MQ==\",\"user.b\":\"Mg"), "user.a=1;");
    assert_string_equal(decoded("{\"user.a\":\"MQ==\" \"user.b\":\"Mg==\"}"), "user.a=1;");
}

static void test_garbage_is_none(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "}",
        "{}",
        "[]",
        "null",
        "{\"",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":\"",
        "%",
        "%7",
        "%7B%22%00%22",
        "{\"\\u\":",
        "{\"\\",
        "{\"\\u12",
        "{\"\\q\":\"MQ==\"}",
        "{\"\\u0000\":\"MQ==\"}",
        "{,}",
        "{{{{{",
        "\"\"",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_string_equal(decoded(bad[i]), "");
}

static void test_more_than_a_list_holds(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(64u << 10);
    CLEANUP_ARENA struct arena arena = ARENA_INIT(1u << 20);
    for (unsigned i = 0; i < XATTRS_MAX + 2; i++)
        strbuf_appendf(&sb, "%s\"user.%u\":\"MQ==\"", i == 0 ? "{" : ",", i);
    strbuf_append_str(&sb, "}");
    assert_int_equal(xattrs_decode(strbuf_str(&sb), &arena, &list), 0);
    assert_int_equal(list.n, XATTRS_MAX);
    assert_true(list.cut);
}

/* Anything that is understood is written and understood again, the same. */
static void test_random_text(void **state)
{
    static const char *const pieces[] = {
        "{",   "}",     "\"",   ":",    ",", "\\", "\\u00e9", "%7B",  "%22",
        "%",   "user.", "MQ==", "TWFu", " ", "1",  "\xff",    "null", "\"user.a\":\"MQ==\"",
        "\\\""};
    const char *seed_text = getenv("SEED");
    unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 10) : 20250711;
    print_message("SEED=%u\n", seed);
    for (int round = 0; round < 20000; round++) {
        char text[256] = "{\"user.k\":\"MQ==\",", first[4096];
        if (round % 3 == 0)
            text[0] = '\0';
        for (int n = rand_r(&seed) % 12; n > 0; n--) {
            size_t len = strlen(text);
            snprintf(text + len, sizeof(text) - len, "%s",
                     pieces[(unsigned)rand_r(&seed) % ARRAY_SIZE(pieces)]);
        }
        snprintf(first, sizeof(first), "%s", decoded(text));
        CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(8192);
        CLEANUP_ARENA struct arena arena = ARENA_INIT(1u << 20);
        assert_int_equal(xattrs_decode(text, &arena, &list), 0);
        xattrs_encode(&list, &sb);
        assert_int_equal(sb.error, 0);
        assert_string_equal(decoded(strbuf_str(&sb)), first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_s3fs_form),
        cmocka_unit_test(test_names_and_values_survive),
        cmocka_unit_test(test_a_cap_is_an_error),
        cmocka_unit_test(test_others_write_it_differently),
        cmocka_unit_test(test_garbage_is_none),
        cmocka_unit_test(test_more_than_a_list_holds),
        cmocka_unit_test(test_random_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
