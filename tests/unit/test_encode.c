/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/encode.h"

static void test_hex(void **state)
{
    char hex[9];
    encode_hex("\x00\x1f\xab\xff", 4, hex);
    assert_string_equal(hex, "001fabff");
    encode_hex("", 0, hex);
    assert_string_equal(hex, "");

    uint8_t out[4];
    size_t len = 99;
    assert_int_equal(decode_hex("001FabFf", out, sizeof(out), &len), 0);
    assert_int_equal(len, 4);
    assert_memory_equal(out, "\x00\x1f\xab\xff", 4);
    assert_int_equal(decode_hex("", out, sizeof(out), &len), 0);
    assert_int_equal(len, 0);

    len = 99;
    assert_int_equal(decode_hex("abc", out, sizeof(out), &len), -EINVAL);
    assert_int_equal(decode_hex("0g", out, sizeof(out), &len), -EINVAL);
    assert_int_equal(decode_hex("0x12", out, sizeof(out), &len), -EINVAL);
    assert_int_equal(decode_hex(" 1", out, sizeof(out), &len), -EINVAL);
    assert_int_equal(decode_hex("0011223344", out, sizeof(out), &len), -E2BIG);
    assert_int_equal(len, 99);
}

/* RFC 4648 section 10, and bytes that need '+' and '/'. */
static const struct {
    const char *plain;
    size_t len;
    const char *coded;
} BASE64_VECTORS[] = {
    {"", 0, ""},
    {"f", 1, "Zg=="},
    {"fo", 2, "Zm8="},
    {"foo", 3, "Zm9v"},
    {"foob", 4, "Zm9vYg=="},
    {"fooba", 5, "Zm9vYmE="},
    {"foobar", 6, "Zm9vYmFy"},
    {"\xfb\xff\xfe\x00", 4, "+//+AA=="},
};

static void test_base64(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(BASE64_VECTORS); i++) {
        CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(100);
        encode_base64(&sb, BASE64_VECTORS[i].plain, BASE64_VECTORS[i].len);
        assert_int_equal(sb.error, 0);
        assert_string_equal(strbuf_str(&sb), BASE64_VECTORS[i].coded);

        uint8_t out[6];
        size_t len = 99;
        assert_int_equal(decode_base64(BASE64_VECTORS[i].coded, out, BASE64_VECTORS[i].len, &len),
                         0);
        assert_int_equal(len, BASE64_VECTORS[i].len);
        assert_memory_equal(out, BASE64_VECTORS[i].plain, len);
    }
}

static void test_base64_is_strict(void **state)
{
    static const char *const BAD[] = {
        "Zg",       "Zg=",  "Z",    "=",    "====", "Zg==Zg==", "Zm9v\n", "Zm 9",
        "Zm9v====", "Zh==", "Zm9=", "Z===", "Zm-_", "=m9v",     "Z=9v",   "Zm9v\r\n",
    };
    uint8_t out[16];
    size_t len = 99;
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++)
        assert_int_equal(decode_base64(BAD[i], out, sizeof(out), &len), -EINVAL);
    assert_int_equal(decode_base64("Zm9vYg==", out, 3, &len), -E2BIG);
    assert_int_equal(len, 99);
}

static void test_base64_cap(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(7);
    encode_base64(&sb, "foob", 4);
    assert_int_equal(sb.error, -E2BIG);
    CLEANUP_STRBUF struct strbuf absurd = STRBUF_INIT(7);
    encode_base64(&absurd, "x", SIZE_MAX);
    assert_int_equal(absurd.error, -E2BIG);
}

static void test_percent_encode(void **state)
{
    static const struct {
        const char *in;
        bool keep_slash;
        const char *out;
    } CASES[] = {
        {"", false, ""},
        {"AZaz09-._~", false, "AZaz09-._~"},
        {"a b/c", true, "a%20b/c"},
        {"a b/c", false, "a%20b%2Fc"},
        {"!*'()", false, "%21%2A%27%28%29"}, /* unreserved in browsers, not for S3 */
        {"\xc3\xa9%+", false, "%C3%A9%25%2B"},
        {"//", true, "//"},
        {" ", true, "%20"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(100);
        encode_percent(&sb, CASES[i].in, strlen(CASES[i].in), CASES[i].keep_slash);
        assert_int_equal(sb.error, 0);
        assert_string_equal(strbuf_str(&sb), CASES[i].out);
    }
    CLEANUP_STRBUF struct strbuf small = STRBUF_INIT(5);
    encode_percent(&small, "abc  ", 5, true);
    assert_int_equal(small.error, -E2BIG);
}

static void test_percent_round_trip_of_every_byte(void **state)
{
    uint8_t all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    for (int keep = 0; keep < 2; keep++) {
        CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1000);
        encode_percent(&sb, all, sizeof(all), keep);
        char out[1001];
        size_t len = 0;
        assert_int_equal(decode_percent(strbuf_str(&sb), true, out, &len), 0);
        assert_int_equal(len, 256);
        assert_memory_equal(out, all, 256);
    }
}

static void test_percent_decode(void **state)
{
    char out[32];
    size_t len = 99;
    assert_int_equal(decode_percent("a%2fb%2Fc+d", false, out, &len), 0);
    assert_string_equal(out, "a/b/c+d");
    assert_int_equal(len, 7);
    assert_int_equal(decode_percent("a+%2B", true, out, &len), 0);
    assert_string_equal(out, "a +");

    char in_place[] = "%41%42c";
    assert_int_equal(decode_percent(in_place, false, in_place, &len), 0);
    assert_string_equal(in_place, "ABc");

    static const char *const BAD[] = {"%", "%4", "a%", "%zz", "%4z", "%%41", "% 1"};
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++)
        assert_int_equal(decode_percent(BAD[i], false, out, &len), -EINVAL);
}

static void test_utf8(void **state)
{
    static const char *const GOOD[] = {
        "",
        "plain",
        "\xc3\xa9",
        "\xe2\x82\xac",
        "\xf0\x9f\x98\x80",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
    };
    static const char *const BAD[] = {
        "\x80",
        "\xbf",
        "\xc3",
        "\xc3(",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xe2\x82",
        "\xe2(\xa1",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf0\x9f\x98",
        "\xff",
        "\xfe",
        "ok\xe9",
    };
    for (size_t i = 0; i < ARRAY_SIZE(GOOD); i++)
        assert_true(utf8_valid(GOOD[i], strlen(GOOD[i])));
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++)
        assert_false(utf8_valid(BAD[i], strlen(BAD[i])));
    assert_true(utf8_valid("a\0b", 3));
    assert_false(utf8_valid("\xc3\xa9", 1)); /* does not look behind the end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_base64_is_strict),
        cmocka_unit_test(test_base64_cap),
        cmocka_unit_test(test_percent_encode),
        cmocka_unit_test(test_percent_round_trip_of_every_byte),
        cmocka_unit_test(test_percent_decode),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
