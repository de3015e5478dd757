/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/http_answer.h"

static void check(const char *url, const char *scheme, const char *host, uint16_t port,
                  bool explicit_port, const char *path)
{
    struct http_url u;

    assert_int_equal(http_url_parse(url, &u), 0);
    assert_string_equal(u.scheme, scheme);
    assert_string_equal(u.host, host);
    assert_int_equal(u.port, port);
    assert_int_equal(u.explicit_port, explicit_port);
    assert_string_equal(u.path, path);
}

static void test_parts(void **state)
{
    check("http://example.com", "http", "example.com", 80, false, "");
    check("https://example.com", "https", "example.com", 443, false, "");
    check("https://example.com/", "https", "example.com", 443, false, "");
    check("https://example.com///", "https", "example.com", 443, false, "");
    check("http://127.0.0.1:9000", "http", "127.0.0.1", 9000, true, "");
    check("https://h:443/a/b/", "https", "h", 443, true, "/a/b");
    check("http://h:1/", "http", "h", 1, true, "");
    check("http://h:65535/%20", "http", "h", 65535, true, "/%20");
    check("HTTPS://S3.Example.COM/Key", "https", "s3.example.com", 443, false, "/Key");
    check("http://my_bucket.s3-x.example.com", "http", "my_bucket.s3-x.example.com", 80, false, "");
    check("http://h/a//b", "http", "h", 80, false, "/a//b");
    check("http://h/a@b:c", "http", "h", 80, false, "/a@b:c");
}

static void test_ipv6(void **state)
{
    check("http://[::1]", "http", "::1", 80, false, "");
    check("http://[::1]:9000/x", "http", "::1", 9000, true, "/x");
    check("https://[FE80::1%25eth0]/", "https", "fe80::1%25eth0", 443, false, "");
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "h",
        "//h",
        "ftp://h",
        "http:/h",
        "http//h",
        "https:h",
        "s3://bucket",
        "file:///etc",
        /* no host */
        "http://",
        "http:///x",
        "http://:80",
        "http://[]",
        "http://?x",
        /* ports */
        "http://h:",
        "http://h:0",
        "http://h:65536",
        "http://h:-1",
        "http://h:+1",
        "http://h: 1",
        "http://h:1x",
        "http://h:000080",
        "http://h:99999999999999999999",
        "http://[::1]x",
        "http://[::1",
        "http://[::1]:",
        "http://::1/",
        /* credentials have no place in an endpoint */
        "http://u@h",
        "http://u:p@h",
        "http://u:p@h:80/",
        "http://@h",
        /* what follows the path */
        "http://h?x=1",
        "http://h/a?x",
        "http://h#f",
        "http://h/a#f",
        /* characters */
        "http://h h",
        "http://h\n",
        "http://h/a b",
        "http://h/\x7f",
        "http://h/a\r\nX: y",
        "http://h\\x",
        "http://h\xc3\xbc",
        "http://h%2f",
        "http://h/\t",
    };
    struct http_url u = {.port = 77};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (http_url_parse(bad[i], &u) != -EINVAL)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(u.port, 77); /* untouched on failure */
}

static void test_lengths(void **state)
{
    struct http_url u;
    char url[2048], name[1100];

    memset(name, 'a', sizeof(name));
    snprintf(url, sizeof(url), "http://%.255s", name);
    assert_int_equal(http_url_parse(url, &u), 0);
    snprintf(url, sizeof(url), "http://%.256s", name);
    assert_int_equal(http_url_parse(url, &u), -EINVAL);
    snprintf(url, sizeof(url), "http://h/%.1022s", name);
    assert_int_equal(http_url_parse(url, &u), 0);
    assert_int_equal(strlen(u.path), 1023);
    snprintf(url, sizeof(url), "http://h/%.1023s", name);
    assert_int_equal(http_url_parse(url, &u), -EINVAL);
}

static void test_where(void **state)
{
    char buf[HTTP_WHERE_MAX];

    assert_string_equal(http_url_where("https://h/a?X-Amz-Signature=secret", buf, sizeof(buf)),
                        "h:443");
    assert_string_equal(http_url_where("http://h:9000?x", buf, sizeof(buf)), "h:9000");
    assert_string_equal(http_url_where("http://[::1]:9000/k", buf, sizeof(buf)), "[::1]:9000");
    assert_string_equal(http_url_where("http://user:pass@h/", buf, sizeof(buf)), "the server");
    assert_string_equal(http_url_where("nonsense", buf, sizeof(buf)), "the server");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),   cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
