/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/attr.h"
#include "base/timefmt.h"

static void test_known_times(void **state)
{
    static const struct {
        int64_t s;
        const char *iso, *basic, *http;
    } CASES[] = {
        {0, "1970-01-01T00:00:00.000Z", "19700101T000000Z", "Thu, 01 Jan 1970 00:00:00 GMT"},
        {784111777, "1994-11-06T08:49:37.000Z", "19941106T084937Z",
         "Sun, 06 Nov 1994 08:49:37 GMT"}, /* RFC 9110's own example */
        {951782400, "2000-02-29T00:00:00.000Z", "20000229T000000Z",
         "Tue, 29 Feb 2000 00:00:00 GMT"},
        {4107542400, "2100-03-01T00:00:00.000Z", "21000301T000000Z",
         "Mon, 01 Mar 2100 00:00:00 GMT"},
        {-1, "1969-12-31T23:59:59.000Z", "19691231T235959Z", "Wed, 31 Dec 1969 23:59:59 GMT"},
        {-2208988800, "1900-01-01T00:00:00.000Z", "19000101T000000Z",
         "Mon, 01 Jan 1900 00:00:00 GMT"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        char iso[TIMEFMT_ISO8601_SIZE], basic[TIMEFMT_BASIC_SIZE], http[TIMEFMT_HTTP_SIZE];
        int64_t ns = CASES[i].s * NS_PER_S, back = 1;
        timefmt_iso8601(ns, iso);
        timefmt_basic(ns, basic);
        timefmt_http(ns, http);
        assert_string_equal(iso, CASES[i].iso);
        assert_string_equal(basic, CASES[i].basic);
        assert_string_equal(http, CASES[i].http);
        assert_int_equal(timefmt_parse_iso8601(iso, &back), 0);
        assert_int_equal(back, ns);
        assert_int_equal(timefmt_parse_basic(basic, &back), 0);
        assert_int_equal(back, ns);
        assert_int_equal(timefmt_parse_http(http, &back), 0);
        assert_int_equal(back, ns);
    }
}

/* Against the C library, a step that visits each time of day and day of year. */
static void test_agrees_with_gmtime_r(void **state)
{
    for (int64_t s = -9000000000; s < 9000000000; s += 7654321) {
        time_t t = (time_t)s;
        struct tm tm;
        assert_non_null(gmtime_r(&t, &tm));
        char expected[64], http[TIMEFMT_HTTP_SIZE], basic[TIMEFMT_BASIC_SIZE];
        strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        timefmt_http(s * NS_PER_S, http);
        assert_string_equal(http, expected);
        strftime(expected, sizeof(expected), "%Y%m%dT%H%M%SZ", &tm);
        timefmt_basic(s * NS_PER_S, basic);
        assert_string_equal(basic, expected);
        int64_t back = 0;
        assert_int_equal(timefmt_parse_http(http, &back), 0);
        assert_int_equal(back, s * NS_PER_S);
    }
}

static void test_fractions(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } CASES[] = {
        {"1970-01-01T00:00:01Z", 1000000000},
        {"1970-01-01T00:00:00.5Z", 500000000},
        {"1970-01-01T00:00:00.000Z", 0},
        {"1970-01-01T00:00:00.123456789Z", 123456789},
        {"1970-01-01T00:00:00.1234567899999Z", 123456789},
        {"1970-01-01T00:00:00.25+00:00", 250000000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        int64_t ns = -7;
        assert_int_equal(timefmt_parse_iso8601(CASES[i].text, &ns), 0);
        assert_int_equal(ns, CASES[i].ns);
    }
    char out[TIMEFMT_ISO8601_SIZE];
    timefmt_iso8601(1999999999, out);
    assert_string_equal(out, "1970-01-01T00:00:01.999Z");
    timefmt_iso8601(-1, out);
    assert_string_equal(out, "1969-12-31T23:59:59.999Z");
}

static void test_range_ends(void **state)
{
    char out[TIMEFMT_ISO8601_SIZE];
    int64_t ns = 0;
    timefmt_iso8601(INT64_MAX, out);
    assert_string_equal(out, "2262-04-11T23:47:16.854Z");
    timefmt_iso8601(INT64_MIN, out);
    assert_string_equal(out, "1677-09-21T00:12:43.145Z");
    assert_int_equal(timefmt_parse_iso8601("9999-12-31T23:59:59Z", &ns), 0);
    assert_int_equal(ns, INT64_MAX);
    assert_int_equal(timefmt_parse_iso8601("0001-01-01T00:00:00Z", &ns), 0);
    assert_int_equal(ns, INT64_MIN);
}

static void test_refused(void **state)
{
    static const char *const ISO[] = {
        "",
        "2026",
        "2026-11-22",
        "2026-11-22 15:00:00Z",
        "2026-11-22T15:00:00",
        "2026-11-22T15:00:00z",
        "2026-11-22T15:00:00.Z",
        "2026-11-22T15:00:00+01:00",
        "2026-13-22T15:00:00Z",
        "2026-00-22T15:00:00Z",
        "2026-02-29T15:00:00Z",
        "2026-11-31T15:00:00Z",
        "2026-11-00T15:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T15:60:00Z",
        "2026-11-22T15:00:61Z",
        "2026-11-22T15:00:00Zx",
        " 2026-11-22T15:00:00Z",
        "-026-11-22T15:00:00Z",
        "2026-1-22T15:00:00Z",
        "2100-02-29T00:00:00Z",
        "20261122T150000Z",
        "2026-11-22T15:00:0\xc3\xa9Z",
    };
    static const char *const HTTP[] = {
        "",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37",
        "Sunday, 06-Nov-94",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "sun, 06 nov 1994 08:49:37 gmt",
    };
    static const char *const BASIC[] = {
        "",
        "20261122T150000",
        "20261122150000Z",
        "20261122T150000Zx",
        "2026112T150000Z",
        "20261322T150000Z",
    };
    int64_t ns = 77;
    for (size_t i = 0; i < ARRAY_SIZE(ISO); i++)
        assert_int_equal(timefmt_parse_iso8601(ISO[i], &ns), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(HTTP); i++)
        assert_int_equal(timefmt_parse_http(HTTP[i], &ns), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(BASIC); i++)
        assert_int_equal(timefmt_parse_basic(BASIC[i], &ns), -EINVAL);
    assert_int_equal(timefmt_parse_iso8601(NULL, &ns), -EINVAL);
    assert_int_equal(timefmt_parse_http(NULL, &ns), -EINVAL);
    assert_int_equal(timefmt_parse_basic(NULL, &ns), -EINVAL);
    assert_int_equal(ns, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_times), cmocka_unit_test(test_agrees_with_gmtime_r),
        cmocka_unit_test(test_fractions),   cmocka_unit_test(test_range_ends),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("timefmt", tests, NULL, NULL);
}
