/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/attr.h"

#define AUTO AWS_ADDRESSING_AUTO
#define PATH AWS_ADDRESSING_PATH
#define VIRT AWS_ADDRESSING_VIRTUAL

#define B63 "a23456789-123456789-123456789-123456789-123456789-123456789-123"

struct row {
    const char *region; /* of the configuration */
    const char *url;    /* endpoint_url, NULL = AWS */
    const char *bucket;
    enum aws_addressing style;
    bool dualstack, fips;
    const char *expected; /* scheme://authority base_path */
};

static struct aws_config config_of(const struct row *r)
{
    return (struct aws_config){
        .region = (char *)r->region,
        .endpoint_url = (char *)r->url,
        .addressing_style = r->style,
        .use_dualstack = r->dualstack,
        .use_fips = r->fips,
    };
}

/* The expectations for AWS are those of AWS' published endpoint rules for S3. */
static const struct row rows[] = {
    {NULL, NULL, "bucket-name", AUTO, false, false,
     "https://bucket-name.s3.us-east-1.amazonaws.com"},
    {"us-west-2", NULL, "bucket-name", AUTO, false, false,
     "https://bucket-name.s3.us-west-2.amazonaws.com"},
    {"us-west-2", NULL, "bucket-name", VIRT, false, false,
     "https://bucket-name.s3.us-west-2.amazonaws.com"},
    {"us-west-2", NULL, "bucket-name", PATH, false, false,
     "https://s3.us-west-2.amazonaws.com/bucket-name"},
    {"us-west-2", NULL, NULL, AUTO, false, false, "https://s3.us-west-2.amazonaws.com"},
    {"us-west-2", NULL, NULL, VIRT, false, false, "https://s3.us-west-2.amazonaws.com"},
    {"aws-global", NULL, "bucket-name", AUTO, false, false,
     "https://bucket-name.s3.us-east-1.amazonaws.com"},
    {"af-south-1", NULL, "bucket-name", AUTO, true, false,
     "https://bucket-name.s3.dualstack.af-south-1.amazonaws.com"},
    {"us-east-1", NULL, "bucket-name", AUTO, false, true,
     "https://bucket-name.s3-fips.us-east-1.amazonaws.com"},
    {"us-east-1", NULL, "bucket-name", AUTO, true, true,
     "https://bucket-name.s3-fips.dualstack.us-east-1.amazonaws.com"},
    {"us-west-2", NULL, "bucket-name", PATH, true, false,
     "https://s3.dualstack.us-west-2.amazonaws.com/bucket-name"},
    /* partitions */
    {"cn-north-1", NULL, "bucket-name", AUTO, false, false,
     "https://bucket-name.s3.cn-north-1.amazonaws.com.cn"},
    {"cn-north-1", NULL, "bucket-name", AUTO, true, false,
     "https://bucket-name.s3.dualstack.cn-north-1.amazonaws.com.cn"},
    {"us-gov-west-1", NULL, "bucket.with.dots", AUTO, false, true,
     "https://s3-fips.us-gov-west-1.amazonaws.com/bucket.with.dots"},
    {"us-iso-east-1", NULL, "bbb", AUTO, false, false, "https://bbb.s3.us-iso-east-1.c2s.ic.gov"},
    {"us-isob-east-1", NULL, "bbb", AUTO, false, false,
     "https://bbb.s3.us-isob-east-1.sc2s.sgov.gov"},
    {"us-isof-south-1", NULL, "bbb", AUTO, false, false,
     "https://bbb.s3.us-isof-south-1.csp.hci.ic.gov"},
    {"eu-isoe-west-1", NULL, "bbb", AUTO, false, false,
     "https://bbb.s3.eu-isoe-west-1.cloud.adc-e.uk"},
    {"eusc-de-east-1", NULL, "bbb", AUTO, false, false,
     "https://bbb.s3.eusc-de-east-1.amazonaws.eu"},
    {"xy-newplace-12", NULL, "bbb", AUTO, false, false,
     "https://bbb.s3.xy-newplace-12.amazonaws.com"},
    /* names that do not fit into a host */
    {"us-east-1", NULL, "bucket.name", AUTO, false, false,
     "https://s3.us-east-1.amazonaws.com/bucket.name"},
    {"us-east-1", NULL, "bucket.name", VIRT, false, false,
     "https://s3.us-east-1.amazonaws.com/bucket.name"},
    {"us-east-1", NULL, "BucketName", AUTO, false, false,
     "https://s3.us-east-1.amazonaws.com/BucketName"},
    {"us-west-2", NULL, "99_ab", AUTO, false, false, "https://s3.us-west-2.amazonaws.com/99_ab"},
    {"us-west-2", NULL, "aaa", AUTO, false, false, "https://aaa.s3.us-west-2.amazonaws.com"},
    {"us-west-2", NULL, B63, AUTO, false, false, "https://" B63 ".s3.us-west-2.amazonaws.com"},
    {"us-west-2", NULL, B63 "4", AUTO, false, false, "https://s3.us-west-2.amazonaws.com/" B63 "4"},
    {"us-west-2", NULL, "10.0.0.1", AUTO, false, false,
     "https://s3.us-west-2.amazonaws.com/10.0.0.1"},
    /* custom endpoints */
    {NULL, "http://localhost:9000", "bbb", AUTO, false, false, "http://localhost:9000/bbb"},
    {NULL, "http://localhost:9000/", NULL, AUTO, false, false, "http://localhost:9000"},
    {NULL, "https://s3.example.com", "bbb", AUTO, false, false, "https://s3.example.com/bbb"},
    {NULL, "https://s3.example.com", "bbb", VIRT, false, false, "https://bbb.s3.example.com"},
    {NULL, "https://s3.example.com:443", "bbb", VIRT, false, false, "https://bbb.s3.example.com"},
    {NULL, "http://s3.example.com:80", "bbb", PATH, false, false, "http://s3.example.com/bbb"},
    {NULL, "http://s3.example.com:443", "bbb", PATH, false, false, "http://s3.example.com:443/bbb"},
    {NULL, "https://s3.example.com:80", "bbb", PATH, false, false, "https://s3.example.com:80/bbb"},
    {NULL, "http://example.com", "bucket.name", VIRT, false, false,
     "http://bucket.name.example.com"},
    {NULL, "https://example.com", "bucket.name", VIRT, false, false,
     "https://example.com/bucket.name"},
    {NULL, "http://127.0.0.1:1234", "bbb", VIRT, false, false, "http://127.0.0.1:1234/bbb"},
    {NULL, "http://[::1]:1234", "bbb", VIRT, false, false, "http://[::1]:1234/bbb"},
    {NULL, "https://[2001:db8::7]", NULL, AUTO, false, false, "https://[2001:db8::7]"},
    {NULL, "http://h:1/a/b/", "bbb", PATH, false, false, "http://h:1/a/b/bbb"},
    {NULL, "http://h.example:1/a", "bbb", VIRT, false, false, "http://bbb.h.example:1/a"},
    {NULL, "http://h:1/a(b)%2fc+%7E", "bbb", PATH, false, false, "http://h:1/a%28b%29/c%2B~/bbb"},
    {NULL, "http://h:1", "tenant:bucket", AUTO, false, false, "http://h:1/tenant%3Abucket"},
    {"RegionOne", "http://h:1", "Under_Score", VIRT, false, false, "http://h:1/Under_Score"},
    /* a custom endpoint that is AWS */
    {NULL, "https://s3.amazonaws.com", "bbb", AUTO, false, false, "https://bbb.s3.amazonaws.com"},
    {"cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn", "bbb", AUTO, false, false,
     "https://bbb.s3.cn-north-1.amazonaws.com.cn"},
    {NULL, "https://bucket.vpce-1a2b-3c.s3.us-west-2.vpce.amazonaws.com", "bbb", AUTO, false, false,
     "https://bbb.bucket.vpce-1a2b-3c.s3.us-west-2.vpce.amazonaws.com"},
    {NULL, "https://notamazonaws.com", "bbb", AUTO, false, false, "https://notamazonaws.com/bbb"},
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct aws_config config = config_of(&rows[i]);
        struct s3_error error = {0};
        struct aws_endpoint e;
        char url[2000];

        if (aws_endpoint_resolve(&config, rows[i].bucket, NULL, &e, &error) < 0)
            fail_msg("%s: %s", rows[i].expected, error.message);
        snprintf(url, sizeof(url), "%s://%s%s", e.scheme, e.authority, e.base_path);
        assert_string_equal(url, rows[i].expected);
        assert_int_equal(e.custom, rows[i].url != NULL);
        /* the bucket is in exactly one place */
        if (rows[i].bucket)
            assert_int_equal(e.path_style,
                             strchr(url + 8, '/') && e.base_path[0] &&
                                 strncmp(e.authority, rows[i].bucket, strlen(rows[i].bucket)) != 0);
    }
}

static void test_region_of_the_signature(void **state)
{
    struct aws_config config = {.region = (char *)"eu-west-1"};
    struct aws_endpoint e;

    assert_int_equal(aws_endpoint_resolve(&config, "bbb", NULL, &e, NULL), 0);
    assert_string_equal(e.region, "eu-west-1");
    /* as found out from the server */
    assert_int_equal(aws_endpoint_resolve(&config, "bbb", "eu-west-3", &e, NULL), 0);
    assert_string_equal(e.region, "eu-west-3");
    assert_string_equal(e.authority, "bbb.s3.eu-west-3.amazonaws.com");
    config.region = NULL;
    assert_int_equal(aws_endpoint_resolve(&config, "bbb", NULL, &e, NULL), 0);
    assert_string_equal(e.region, AWS_DEFAULT_REGION);
    /* a custom endpoint keeps its host whatever region the server names */
    config.endpoint_url = (char *)"http://h:1";
    assert_int_equal(aws_endpoint_resolve(&config, "bbb", "eu-west-3", &e, NULL), 0);
    assert_string_equal(e.region, "eu-west-3");
    assert_string_equal(e.authority, "h:1");
}

static void test_refusals(void **state)
{
    static const struct {
        struct row row;
        const char *message;
    } bad[] = {
        {{"a b", NULL, "bbb"}, "'a b' is not a region's name"},
        {{"evil.com/", NULL, "bbb"}, "is not a region's name"},
        {{"us-east-1.evil.com", NULL, "bbb"}, "is not a region's name"},
        {{"evil.com#", "http://h:1", "bbb"}, "is not a region's name"},
        {{"-us-east-1", NULL, "bbb"}, "is not a region's name"},
        {{"", NULL, "bbb"}, "is not a region's name"},
        {{"mars", NULL, "bbb"}, "'mars' is not a region of AWS"},
        {{"US-EAST-1", NULL, "bbb"}, "is not a region of AWS"},
        {{"us-east-", NULL, "bbb"}, "is not a region's name"},
        {{"us-east-1a", NULL, "bbb"}, "is not a region of AWS"},
        {{"us--east-1", NULL, "bbb"}, "is not a region of AWS"},
        {{"local-1", NULL, "bbb"}, "is not a region of AWS"},
        {{"cn-north-1", NULL, "bbb", AUTO, false, true}, "no FIPS endpoints in region"},
        {{NULL, "http://h:1", "bbb", AUTO, true, false},
         "use_dualstack_endpoint cannot be combined with endpoint_url"},
        {{NULL, "http://h:1", "bbb", AUTO, false, true},
         "use_fips_endpoint cannot be combined with endpoint_url"},
        {{NULL, "h:1", "bbb"}, "endpoint_url 'h:1' is not understood"},
        {{NULL, "ftp://h", "bbb"}, "is not understood"},
        {{NULL, "http://user:secret@h", "bbb"}, "there must be no user name or password in it"},
        {{NULL, "http://h/%zz", "bbb"}, "broken %-escape"},
        {{NULL, NULL, "a/b"}, "'a/b' is not a bucket's name"},
        {{NULL, NULL, "bbb?x"}, "is not a bucket's name"},
        {{NULL, "http://h:1", "a b"}, "is not a bucket's name"},
        {{NULL, "http://h:1", ".."}, "it must be 3 to 63 characters"},
        {{NULL, "http://h:1", "../x"}, "is not a bucket's name"},
        {{NULL, NULL, ""}, "it must be 3 to 63 characters"},
        {{NULL, NULL,
          "b\xc3\xbc"
          "cher"},
         "small letters, digits"},
        {{NULL, NULL, "arn:aws:s3:::bucket"}, "not an ARN"},
        {{NULL, NULL, "bucket--usw2-az1--x-s3"}, "directory buckets are not supported yet"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct aws_config config = config_of(&bad[i].row);
        struct s3_error error = {0};
        struct aws_endpoint e;

        if (aws_endpoint_resolve(&config, bad[i].row.bucket, NULL, &e, &error) >= 0)
            fail_msg("row %zu (%s) was not refused", i, bad[i].message);
        assert_int_equal(error.kind, S3_ERROR_CONFIG);
        assert_null(strstr(error.message, "secret"));
        if (!strstr(error.message, bad[i].message))
            fail_msg("'%s' does not say '%s'", error.message, bad[i].message);
    }
}

/* What a server's answer may hold. */
static void test_region_valid(void **state)
{
    char region[66];

    assert_true(aws_region_valid("eu-west-1"));
    assert_true(aws_region_valid("x"));
    assert_true(aws_region_valid("RegionOne"));
    memset(region, 'r', sizeof(region));
    region[63] = '\0';
    assert_true(aws_region_valid(region));
    region[63] = 'r';
    region[64] = '\0';
    assert_false(aws_region_valid(region));
    /* every byte but letters, digits and '-' */
    for (int c = 1; c < 256; c++) {
        char s[4] = {'a', (char)c, 'b', '\0'};
        bool ok =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';

        assert_int_equal(aws_region_valid(s), ok);
    }
}

static void test_dns_suffix(void **state)
{
    assert_string_equal(aws_region_dns_suffix("eu-west-1"), "amazonaws.com");
    assert_string_equal(aws_region_dns_suffix("cn-northwest-1"), "amazonaws.com.cn");
    assert_string_equal(aws_region_dns_suffix("us-gov-east-1"), "amazonaws.com");
    assert_null(aws_region_dns_suffix("default"));
    assert_null(aws_region_dns_suffix("evil.com"));
}

static void test_dns_names(void **state)
{
    static const char *const good[] = {"abc",     "a-b",   "a--b",      "a.b",       "0ab",
                                       "a.b-c.d", "1.2.3", "1.2.3.4.5", "256.1.1.1", B63};
    static const char *const bad[] = {"",        "ab",    "-ab",  "ab-",  ".ab",       "ab.",
                                      "a..b",    "a.-b",  "a-.b", "A-bc", "a_b",       "a b",
                                      "1.2.3.4", B63 "4", "a/b",  "a%b",  "ab\xc3\xa4"};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        if (!aws_bucket_name_is_dns(good[i]))
            fail_msg("'%s' is refused", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (aws_bucket_name_is_dns(bad[i]))
            fail_msg("'%s' is accepted", bad[i]);
}

/* Whatever bytes a bucket or a region holds, the host has none but those of a host. */
static void test_random_names_stay_out_of_the_host(void **state)
{
    uint32_t x = 20130524;

    print_message("# seed %u\n", x);
    for (unsigned n = 0; n < 20000; n++) {
        static const char alphabet[] = "abz09.-_:AZ/@#? %\\\x01\xff";
        struct aws_config config = {.addressing_style = (int)(n % 3),
                                    .endpoint_url = n % 2 ? NULL : (char *)"http://h.example:1"};
        char bucket[12], region[12];
        struct aws_endpoint e;

        for (size_t i = 0; i < sizeof(bucket); i++) {
            x = x * 1664525u + 1013904223u;
            bucket[i] = alphabet[(x >> 16) % (sizeof(alphabet) - (n % 5 ? 11 : 1))];
            region[i] = alphabet[(x >> 8) % (sizeof(alphabet) - 1)];
        }
        bucket[3 + n % 9] = '\0';
        region[1 + n % 5] = '\0';
        if (aws_endpoint_resolve(&config, bucket, n % 4 ? NULL : region, &e, NULL) < 0)
            continue;
        assert_int_equal(strspn(e.authority, "abcdefghijklmnopqrstuvwxyz0123456789.-:"),
                         strlen(e.authority));
        assert_null(strstr(e.authority, ".."));
        assert_int_equal(strspn(e.base_path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                             "0123456789.-_~%/"),
                         strlen(e.base_path));
        if (!e.path_style)
            assert_memory_equal(e.authority, bucket, strlen(bucket));
    }
}

static void test_too_long(void **state)
{
    struct aws_config config = {.addressing_style = PATH};
    char url[1200] = "http://h:1/";
    struct s3_error error = {0};
    struct aws_endpoint e;

    memset(url + 11, 'p', 1015);
    config.endpoint_url = url;
    assert_true(aws_endpoint_resolve(&config, "bucket-name", NULL, &e, &error) < 0);
    assert_int_equal(error.kind, S3_ERROR_CONFIG);
    url[1000] = '\0';
    assert_int_equal(aws_endpoint_resolve(&config, "bucket-name", NULL, &e, &error), 0);
}

/* A bucket beside which the host would be longer than a host may be stays in the path. */
static void test_host_too_long_for_a_label(void **state)
{
    char url[300] = "http://";
    struct aws_config config = {.addressing_style = VIRT, .endpoint_url = url};
    struct aws_endpoint e;

    for (size_t i = 0; i < 25; i++)
        strncat(url, "label7890.", sizeof(url) - strlen(url) - 1);
    strncat(url, "x", sizeof(url) - strlen(url) - 1);
    assert_int_equal(aws_endpoint_resolve(&config, "bucket-name", NULL, &e, NULL), 0);
    assert_true(e.path_style);
    assert_string_equal(e.base_path, "/bucket-name");
}

static void test_loopback(void **state)
{
    static const char *const own[] = {"127.0.0.1", "127.0.0.1:80",   "127.1.2.3:9000/path",
                                      "localhost", "localhost:9000", "localhost/path",
                                      "[::1]",     "[::1]:80",       "127.0.0.1/p:q"};
    static const char *const others[] = {"",
                                         "10.0.0.1",
                                         "128.0.0.1:80",
                                         "127.0.0.1.example.com",
                                         "127.example.com:80",
                                         "localhost.example.com",
                                         "bucket.localhost:80",
                                         "[::1",
                                         "[::10]:80",
                                         "[::1]x",
                                         "[fe80::1]:80",
                                         "1270.0.0.1",
                                         "127.1"};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        if (!aws_endpoint_is_loopback(own[i]))
            fail_msg("%s is this machine", own[i]);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (aws_endpoint_is_loopback(others[i]))
            fail_msg("%s may be another machine", others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_region_of_the_signature),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_region_valid),
        cmocka_unit_test(test_dns_suffix),
        cmocka_unit_test(test_dns_names),
        cmocka_unit_test(test_random_names_stay_out_of_the_host),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_host_too_long_for_a_label),
        cmocka_unit_test(test_loopback),
    };

    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
