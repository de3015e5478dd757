/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/attr.h"
#include "base/parse.h"

#define UNTOUCHED 4711u

static void test_u64(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint64_t value;
    } CASES[] = {
        {"0", 0, 0},
        {"007", 0, 7},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, UNTOUCHED},
        {"99999999999999999999999", -ERANGE, UNTOUCHED},
        {"99999999999999999999999x", -EINVAL, UNTOUCHED},
        {"", -EINVAL, UNTOUCHED},
        {"-1", -EINVAL, UNTOUCHED},
        {"+1", -EINVAL, UNTOUCHED},
        {" 1", -EINVAL, UNTOUCHED},
        {"1 ", -EINVAL, UNTOUCHED},
        {"0x10", -EINVAL, UNTOUCHED},
        {"1a", -EINVAL, UNTOUCHED},
        {NULL, -EINVAL, UNTOUCHED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        uint64_t v = UNTOUCHED;
        assert_int_equal(parse_u64(CASES[i].text, &v), CASES[i].r);
        assert_int_equal(v, CASES[i].value);
    }
}

static void test_u64_base(void **state)
{
    uint64_t v = UNTOUCHED;
    assert_int_equal(parse_u64_base("0755", 8, &v), 0);
    assert_int_equal(v, 0755);
    assert_int_equal(parse_u64_base("fF", 16, &v), 0);
    assert_int_equal(v, 255);
    assert_int_equal(parse_u64_base("8", 8, &v), -EINVAL);
    assert_int_equal(parse_u64_base("12", 1, &v), -EINVAL);
    assert_int_equal(parse_u64_base("12", 37, &v), -EINVAL);
    assert_int_equal(parse_u64_base(NULL, 8, &v), -EINVAL);
    assert_int_equal(v, 255);
}

static void test_i64(void **state)
{
    static const struct {
        const char *text;
        int r;
        int64_t value;
    } CASES[] = {
        {"-1", 0, -1},
        {"-0", 0, 0},
        {"42", 0, 42},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -ERANGE, UNTOUCHED},
        {"-9223372036854775809", -ERANGE, UNTOUCHED},
        {"--1", -EINVAL, UNTOUCHED},
        {"-", -EINVAL, UNTOUCHED},
        {"- 1", -EINVAL, UNTOUCHED},
        {"", -EINVAL, UNTOUCHED},
        {NULL, -EINVAL, UNTOUCHED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        int64_t v = UNTOUCHED;
        assert_int_equal(parse_i64(CASES[i].text, &v), CASES[i].r);
        assert_int_equal(v, CASES[i].value);
    }
}

static void test_size(void **state)
{
    static const struct {
        const char *text;
        uint64_t unit;
        int r;
        uint64_t value;
    } CASES[] = {
        {"64", 1, 0, 64},
        {"64", MIB, 0, 64 * MIB},
        {"64B", MIB, 0, 64},
        {"8k", 1, 0, 8 * KIB},
        {"8M", 1, 0, 8 * MIB},
        {"8MB", 1, 0, 8 * MIB},
        {"5MiB", KIB, 0, 5 * MIB},
        {"5mib", 1, 0, 5 * MIB},
        {"1G", 1, 0, GIB},
        {"3TiB", 1, 0, 3 * TIB},
        {"0", MIB, 0, 0},
        {"16777215T", 1, 0, 16777215 * TIB},
        {"16777216T", 1, -ERANGE, UNTOUCHED},
        {"18446744073709551615", MIB, -ERANGE, UNTOUCHED},
        {"99999999999999999999M", 1, -ERANGE, UNTOUCHED},
        {"99999999999999999999Q", 1, -EINVAL, UNTOUCHED},
        {"M", 1, -EINVAL, UNTOUCHED},
        {"", 1, -EINVAL, UNTOUCHED},
        {"1.5G", 1, -EINVAL, UNTOUCHED},
        {"-1M", 1, -EINVAL, UNTOUCHED},
        {"1 M", 1, -EINVAL, UNTOUCHED},
        {"1Mi", 1, -EINVAL, UNTOUCHED},
        {"1MM", 1, -EINVAL, UNTOUCHED},
        {NULL, 1, -EINVAL, UNTOUCHED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        uint64_t v = UNTOUCHED;
        assert_int_equal(parse_size(CASES[i].text, CASES[i].unit, &v), CASES[i].r);
        assert_int_equal(v, CASES[i].value);
    }
}

static void test_duration(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint64_t value;
    } CASES[] = {
        {"10", 0, 10 * NS_PER_S},
        {"0", 0, 0},
        {"500ms", 0, 500 * NS_PER_MS},
        {"2.5s", 0, 2500 * NS_PER_MS},
        {"0.000000001", 0, 1},
        {"0.0000000019", 0, 1},
        {"1.5ms", 0, 1500000},
        {"5m", 0, 300 * NS_PER_S},
        {"5min", 0, 300 * NS_PER_S},
        {"10SEC", 0, 10 * NS_PER_S},
        {"1h", 0, 3600 * NS_PER_S},
        {"1.5h", 0, 5400 * NS_PER_S},
        {"2d", 0, 172800 * NS_PER_S},
        {"0.999999999d", 0, 86399999913600ull},
        {"213503d", 0, 213503ull * 86400 * NS_PER_S},
        {"213504d", -ERANGE, UNTOUCHED},
        {"99999999999999999999", -ERANGE, UNTOUCHED},
        {"99999999999999999999x", -EINVAL, UNTOUCHED},
        {"", -EINVAL, UNTOUCHED},
        {"s", -EINVAL, UNTOUCHED},
        {".5", -EINVAL, UNTOUCHED},
        {"1.", -EINVAL, UNTOUCHED},
        {"1.s", -EINVAL, UNTOUCHED},
        {"1.2.3", -EINVAL, UNTOUCHED},
        {"-1", -EINVAL, UNTOUCHED},
        {"1 s", -EINVAL, UNTOUCHED},
        {"1w", -EINVAL, UNTOUCHED},
        {"1e3", -EINVAL, UNTOUCHED},
        {NULL, -EINVAL, UNTOUCHED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        uint64_t v = UNTOUCHED;
        assert_int_equal(parse_duration(CASES[i].text, &v), CASES[i].r);
        assert_int_equal(v, CASES[i].value);
    }
}

static void test_bool(void **state)
{
    static const char *const TRUE_WORDS[] = {"yes", "true", "on", "1", "", NULL, "TRUE", "On"};
    static const char *const FALSE_WORDS[] = {"no", "false", "off", "0", "NO"};
    static const char *const BAD[] = {"2", "y", "n", "maybe", " yes", "01", "truee"};
    for (size_t i = 0; i < ARRAY_SIZE(TRUE_WORDS); i++) {
        bool v = false;
        assert_int_equal(parse_bool(TRUE_WORDS[i], &v), 0);
        assert_true(v);
    }
    for (size_t i = 0; i < ARRAY_SIZE(FALSE_WORDS); i++) {
        bool v = true;
        assert_int_equal(parse_bool(FALSE_WORDS[i], &v), 0);
        assert_false(v);
    }
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
        bool v = true;
        assert_int_equal(parse_bool(BAD[i], &v), -EINVAL);
        assert_true(v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u64),  cmocka_unit_test(test_u64_base),
        cmocka_unit_test(test_i64),  cmocka_unit_test(test_size),
        cmocka_unit_test(test_bool), cmocka_unit_test(test_duration),
    };
    return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
