/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors: the examples of the S3 documentation ("Authenticating Requests"), and AWS' general
 * Signature Version 4 test suite as far as it applies to HTTP clients. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "alloc_fail.h"
#include "aws/credentials.h"
#include "aws/sigv4.h"
#include "base/attr.h"
#include "base/timefmt.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

#define STS_TOKEN                                                                                  \
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpS"  \
    "PfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDY"  \
    "wT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqK"  \
    "mlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

#define MAX_PARAMS  4
#define MAX_HEADERS 8

struct vector {
    const char *name;
    enum http_method method;
    const char *path;
    struct sigv4_param params[MAX_PARAMS];
    struct http_header headers[MAX_HEADERS];
    const char *payload_hash; /* NULL = EMPTY_SHA256 */
    const char *canonical;    /* from the path to before the payload hash */
    const char *signed_headers;
    const char *signature;
};

static size_t count_params(const struct vector *v)
{
    size_t n = 0;

    while (n < MAX_PARAMS && v->params[n].name)
        n++;
    return n;
}

static size_t count_headers(const struct vector *v)
{
    size_t n = 0;

    while (n < MAX_HEADERS && v->headers[n].name)
        n++;
    return n;
}

static struct aws_credentials s3_keys = {
    .refs = 1,
    .access_key_id = (char *)"AKIAIOSFODNN7EXAMPLE",
    .secret_access_key = (char *)"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};

static struct aws_credentials suite_keys = {
    .refs = 1,
    .access_key_id = (char *)"AKIDEXAMPLE",
    .secret_access_key = (char *)"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};

static int64_t at(const char *basic)
{
    int64_t ns = 0;

    assert_int_equal(timefmt_parse_basic(basic, &ns), 0);
    return ns;
}

static struct sigv4_input s3_input(const struct vector *v)
{
    return (struct sigv4_input){
        .method = v->method,
        .path = v->path,
        .params = v->params,
        .n_params = count_params(v),
        .headers = v->headers,
        .n_headers = count_headers(v),
        .payload_hash = v->payload_hash ? v->payload_hash : EMPTY_SHA256,
        .region = "us-east-1",
        .service = "s3",
        .time_ns = at("20130524T000000Z"),
        .credentials = &s3_keys,
    };
}

static struct sigv4_input suite_input(const struct vector *v)
{
    struct sigv4_input in = s3_input(v);

    in.service = "service";
    in.time_ns = at("20150830T123600Z");
    in.credentials = &suite_keys;
    in.normalize_path = true;
    return in;
}

static void check(const struct vector *v, const struct sigv4_input *in, const char *scope)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1 << 16);
    CLEANUP_STRBUF struct strbuf expected = STRBUF_INIT(1 << 16);

    if (v->canonical) {
        strbuf_appendf(&expected, "%s\n%s\n%s", http_method_name(v->method), v->canonical,
                       in->payload_hash);
        assert_int_equal(sigv4_canonical_request(in, &sb), 0);
        assert_string_equal(strbuf_str(&sb), strbuf_str(&expected));
        strbuf_reset(&sb);
        strbuf_reset(&expected);
    }
    strbuf_appendf(&expected,
                   "AWS4-HMAC-SHA256 Credential=%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
                   in->credentials->access_key_id, scope, v->signed_headers, v->signature);
    assert_int_equal(sigv4_authorization(in, &sb), 0);
    assert_string_equal(strbuf_str(&sb), strbuf_str(&expected));
}

/* ---- S3's examples ---- */

#define S3_HOST                                                                                    \
    {                                                                                              \
        "Host", "examplebucket.s3.amazonaws.com"                                                   \
    }
#define S3_EMPTY                                                                                   \
    {                                                                                              \
        "x-amz-content-sha256", EMPTY_SHA256                                                       \
    }
#define S3_DATE                                                                                    \
    {                                                                                              \
        "x-amz-date", "20130524T000000Z"                                                           \
    }
#define PUT_SHA256 "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

static const struct vector s3_vectors[] = {
    {
        .name = "GET object, range",
        .path = "/test.txt",
        .headers = {S3_HOST, {"Range", "bytes=0-9"}, S3_EMPTY, S3_DATE},
        .canonical = "/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\n"
                     "x-amz-content-sha256:" EMPTY_SHA256 "\nx-amz-date:20130524T000000Z\n\n"
                     "host;range;x-amz-content-sha256;x-amz-date",
        .signed_headers = "host;range;x-amz-content-sha256;x-amz-date",
        .signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    },
    {
        .name = "PUT object, storage class",
        .method = HTTP_PUT,
        .path = "/test%24file.text",
        .headers = {S3_HOST,
                    {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                    S3_DATE,
                    {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                    {"x-amz-content-sha256", PUT_SHA256}},
        .payload_hash = PUT_SHA256,
        .signed_headers = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        .signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    },
    {
        .name = "GET ?lifecycle",
        .path = "/",
        .params = {{"lifecycle", NULL}},
        .headers = {S3_HOST, S3_DATE, S3_EMPTY},
        .canonical = "/\nlifecycle=\nhost:examplebucket.s3.amazonaws.com\n"
                     "x-amz-content-sha256:" EMPTY_SHA256 "\nx-amz-date:20130524T000000Z\n\n"
                     "host;x-amz-content-sha256;x-amz-date",
        .signed_headers = "host;x-amz-content-sha256;x-amz-date",
        .signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    },
    {
        .name = "list with prefix, empty path",
        .path = "",
        .params = {{"prefix", "J"}, {"max-keys", "2"}},
        .headers = {S3_HOST, S3_DATE, S3_EMPTY},
        .signed_headers = "host;x-amz-content-sha256;x-amz-date",
        .signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    },
};

static void test_s3_examples(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(s3_vectors); i++) {
        struct sigv4_input in = s3_input(&s3_vectors[i]);

        check(&s3_vectors[i], &in, "20130524/us-east-1/s3");
    }
}

static void test_string_to_sign(void **state)
{
    CLEANUP_STRBUF struct strbuf canonical = STRBUF_INIT(1 << 16);
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1 << 16);
    struct sigv4_input in = s3_input(&s3_vectors[0]);

    assert_int_equal(sigv4_canonical_request(&in, &canonical), 0);
    assert_int_equal(sigv4_string_to_sign(&in, canonical.data, canonical.len, &sb), 0);
    assert_string_equal(strbuf_str(&sb),
                        "AWS4-HMAC-SHA256\n20130524T000000Z\n"
                        "20130524/us-east-1/s3/aws4_request\n"
                        "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972");
}

static void test_presigned_example(void **state)
{
    const struct vector v = {.path = "/test.txt", .headers = {S3_HOST}};
    struct sigv4_input in = s3_input(&v);
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1 << 16);

    in.payload_hash = NULL;
    assert_int_equal(sigv4_presign_query(&in, 86400, &sb), 0);
    assert_string_equal(
        strbuf_str(&sb),
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&"
        "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&"
        "X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&"
        "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void test_presign_token_and_params(void **state)
{
    const struct vector v = {.path = "/k", .params = {{"versionId", "a b"}}, .headers = {S3_HOST}};
    struct aws_credentials keys = s3_keys;
    struct sigv4_input in = s3_input(&v);
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1 << 16);

    keys.session_token = (char *)"to/ken=";
    in.credentials = &keys;
    assert_int_equal(sigv4_presign_query(&in, 1, &sb), 0);
    assert_non_null(strstr(strbuf_str(&sb), "versionId=a%20b&X-Amz-Algorithm="));
    assert_non_null(strstr(strbuf_str(&sb), "&X-Amz-Security-Token=to%2Fken%3D&"));
}

static void test_presign_limits(void **state)
{
    const struct vector v = {.path = "/k", .headers = {S3_HOST}};
    struct sigv4_input in = s3_input(&v);
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1 << 16);

    assert_int_equal(sigv4_presign_query(&in, 0, &sb), -EINVAL);
    assert_int_equal(sigv4_presign_query(&in, 604801, &sb), -EINVAL);
    assert_int_equal(sigv4_presign_query(&in, 604800, &sb), 0);
}

/* ---- the general suite ---- */

#define HOST                                                                                       \
    {                                                                                              \
        "Host", "example.amazonaws.com"                                                            \
    }
#define DATE                                                                                       \
    {                                                                                              \
        "X-Amz-Date", "20150830T123600Z"                                                           \
    }
#define PLAIN      "host:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date"
#define NAMES      "host;x-amz-date"
#define VANILLA    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
#define FORM_SHA   "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static const struct vector suite_vectors[] = {
    {"get-vanilla", HTTP_GET, "/", {{0}}, {HOST, DATE}, NULL, "/\n\n" PLAIN, NAMES, VANILLA},
    {"get-header-key-duplicate",
     HTTP_GET,
     "/",
     {{0}},
     {HOST, {"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}, DATE},
     NULL,
     NULL,
     "host;my-header1;x-amz-date",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-multiline",
     HTTP_GET,
     "/",
     {{0}},
     {HOST, {"My-Header1", "value1\n  value2\n     value3"}, DATE},
     NULL,
     NULL,
     "host;my-header1;x-amz-date",
     "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd"},
    {"get-header-value-order",
     HTTP_GET,
     "/",
     {{0}},
     {HOST,
      {"My-Header1", "value4"},
      {"My-Header1", "value1"},
      {"My-Header1", "value3"},
      {"My-Header1", "value2"},
      DATE},
     NULL,
     "/\n\nhost:example.amazonaws.com\nmy-header1:value4,value1,value3,value2\n"
     "x-amz-date:20150830T123600Z\n\nhost;my-header1;x-amz-date",
     "host;my-header1;x-amz-date",
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"get-header-value-trim",
     HTTP_GET,
     "/",
     {{0}},
     {HOST, {"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}, DATE},
     NULL,
     "/\n\nhost:example.amazonaws.com\nmy-header1:value1\nmy-header2:\"a b c\"\n"
     "x-amz-date:20150830T123600Z\n\nhost;my-header1;my-header2;x-amz-date",
     "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"get-unreserved",
     HTTP_GET,
     "/" UNRESERVED,
     {{0}},
     {HOST, DATE},
     NULL,
     "/" UNRESERVED "\n\n" PLAIN,
     NAMES,
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8",
     HTTP_GET,
     "/\xe1\x88\xb4",
     {{0}},
     {HOST, DATE},
     NULL,
     "/%E1%88%B4\n\n" PLAIN,
     NAMES,
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-vanilla-empty-query-key",
     HTTP_GET,
     "/",
     {{"Param1", "value1"}},
     {HOST, DATE},
     NULL,
     "/\nParam1=value1\n" PLAIN,
     NAMES,
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-order-encoded",
     HTTP_GET,
     "/",
     {{"Param-3", "Value3"}, {"Param", "Value2"}, {"\xe1\x88\xb4", "Value1"}},
     {HOST, DATE},
     NULL,
     "/\n%E1%88%B4=Value1&Param=Value2&Param-3=Value3\n" PLAIN,
     NAMES,
     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
    {"get-vanilla-query-order-key-case",
     HTTP_GET,
     "/",
     {{"Param2", "value2"}, {"Param1", "value1"}},
     {HOST, DATE},
     NULL,
     "/\nParam1=value1&Param2=value2\n" PLAIN,
     NAMES,
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-order-key",
     HTTP_GET,
     "/",
     {{"Param1", "value2"}, {"Param1", "Value1"}},
     {HOST, DATE},
     NULL,
     "/\nParam1=Value1&Param1=value2\n" PLAIN,
     NAMES,
     "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
    {"get-vanilla-query-order-value",
     HTTP_GET,
     "/",
     {{"Param1", "value2"}, {"Param1", "value1"}},
     {HOST, DATE},
     NULL,
     "/\nParam1=value1&Param1=value2\n" PLAIN,
     NAMES,
     "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
    {"get-vanilla-query-unreserved",
     HTTP_GET,
     "/",
     {{UNRESERVED, UNRESERVED}},
     {HOST, DATE},
     NULL,
     "/\n" UNRESERVED "=" UNRESERVED "\n" PLAIN,
     NAMES,
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query",
     HTTP_GET,
     "/",
     {{"\xe1\x88\xb4", "bar"}},
     {HOST, DATE},
     NULL,
     "/\n%E1%88%B4=bar\n" PLAIN,
     NAMES,
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-vanilla-with-session-token",
     HTTP_GET,
     "/",
     {{0}},
     {HOST,
      DATE,
      {"X-Amz-Security-Token", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"}},
     NULL,
     NULL,
     "host;x-amz-date;x-amz-security-token",
     "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
    {"get-relative-relative",
     HTTP_GET,
     "/example1/example2/../..",
     {{0}},
     {HOST, DATE},
     NULL,
     "/\n\n" PLAIN,
     NAMES,
     VANILLA},
    {"get-relative",
     HTTP_GET,
     "/example/..",
     {{0}},
     {HOST, DATE},
     NULL,
     "/\n\n" PLAIN,
     NAMES,
     VANILLA},
    {"get-slash-dot-slash",
     HTTP_GET,
     "/./",
     {{0}},
     {HOST, DATE},
     NULL,
     "/\n\n" PLAIN,
     NAMES,
     VANILLA},
    {"get-slash-pointless-dot",
     HTTP_GET,
     "/./example",
     {{0}},
     {HOST, DATE},
     NULL,
     "/example\n\n" PLAIN,
     NAMES,
     "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
    {"get-slash", HTTP_GET, "//", {{0}}, {HOST, DATE}, NULL, "/\n\n" PLAIN, NAMES, VANILLA},
    {"get-slashes",
     HTTP_GET,
     "//example//",
     {{0}},
     {HOST, DATE},
     NULL,
     "/example/\n\n" PLAIN,
     NAMES,
     "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
    {"get-space",
     HTTP_GET,
     "/example space/",
     {{0}},
     {HOST, DATE},
     NULL,
     "/example%20space/\n\n" PLAIN,
     NAMES,
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-special-character",
     HTTP_GET,
     "/example/$delete",
     {{0}},
     {HOST, DATE},
     NULL,
     "/example/%24delete\n\n" PLAIN,
     NAMES,
     "a853c9b21b528b19643d00910d35b83a10c366a10833ceefb45edd6c80e40f27"},
    {"post-vanilla",
     HTTP_POST,
     "/",
     {{0}},
     {HOST, DATE},
     NULL,
     "/\n\n" PLAIN,
     NAMES,
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-header-key-sort",
     HTTP_POST,
     "/",
     {{0}},
     {DATE, {"My-Header1", "value1"}, HOST},
     NULL,
     NULL,
     "host;my-header1;x-amz-date",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-header-value-case",
     HTTP_POST,
     "/",
     {{0}},
     {HOST, {"My-Header1", "VALUE1"}, DATE},
     NULL,
     NULL,
     "host;my-header1;x-amz-date",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-sts-header-before",
     HTTP_POST,
     "/",
     {{0}},
     {HOST, DATE, {"X-Amz-Security-Token", STS_TOKEN}},
     NULL,
     NULL,
     "host;x-amz-date;x-amz-security-token",
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
    {"post-vanilla-query",
     HTTP_POST,
     "/",
     {{"Param1", "value1"}},
     {HOST, DATE},
     NULL,
     "/\nParam1=value1\n" PLAIN,
     NAMES,
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-x-www-form-urlencoded",
     HTTP_POST,
     "/",
     {{0}},
     {{"Content-Type", "application/x-www-form-urlencoded"}, HOST, DATE},
     FORM_SHA,
     NULL,
     "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"post-x-www-form-urlencoded-parameters",
     HTTP_POST,
     "/",
     {{0}},
     {{"Content-Type", "application/x-www-form-urlencoded; charset=utf8"}, HOST, DATE},
     FORM_SHA,
     NULL,
     "content-type;host;x-amz-date",
     "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
};

static void test_general_suite(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(suite_vectors); i++) {
        struct sigv4_input in = suite_input(&suite_vectors[i]);

        check(&suite_vectors[i], &in, "20150830/us-east-1/service");
    }
}

/* ---- what the vectors do not show ---- */

/* S3 takes the path as it stands: "//", "." and ".." are parts of keys. */
static void test_s3_path_is_verbatim(void **state)
{
    const struct vector v = {.path = "//a/./b/../%25%2F//", .headers = {S3_HOST}};
    struct sigv4_input in = s3_input(&v);
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1 << 16);

    assert_int_equal(sigv4_canonical_request(&in, &sb), 0);
    assert_memory_equal(strbuf_str(&sb), "GET\n//a/./b/../%25%2F//\n",
                        strlen("GET\n//a/./b/../%25%2F//\n"));
}

/* '=' sorts after '-', so whole pairs must not be compared. */
static void test_query_sorts_by_name_first(void **state)
{
    const struct vector v = {
        .path = "/", .params = {{"a-b", "1"}, {"a", "2"}, {"a", NULL}}, .headers = {S3_HOST}};
    struct sigv4_input in = s3_input(&v);
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1 << 16);

    assert_int_equal(sigv4_canonical_request(&in, &sb), 0);
    assert_non_null(strstr(strbuf_str(&sb), "\na=&a=2&a-b=1\n"));
}

static void test_encode_query(void **state)
{
    const struct sigv4_param params[] = {{"uploads", NULL}, {"a/b", "1 +\xc3\xa4~"}};
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1000);

    sigv4_encode_query(params, 2, &sb);
    assert_string_equal(strbuf_str(&sb), "uploads=&a%2Fb=1%20%2B%C3%A4~");
}

static void test_header_of_white_space(void **state)
{
    const struct vector v = {
        .path = "/", .headers = {S3_HOST, {"x-amz-meta-a", " \t "}, {"X-AMZ-META-B", "a \t b "}}};
    struct sigv4_input in = s3_input(&v);
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1 << 16);

    assert_int_equal(sigv4_canonical_request(&in, &sb), 0);
    assert_non_null(strstr(strbuf_str(&sb), "\nx-amz-meta-a:\nx-amz-meta-b:a b\n\n"));
}

static void test_refuses_what_cannot_be_signed(void **state)
{
    const struct vector v = {.path = "/", .headers = {S3_HOST}};
    struct aws_credentials anonymous = {.refs = 1, .anonymous = true};
    struct sigv4_input in = s3_input(&v);
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1 << 16);

    in.credentials = &anonymous;
    assert_int_equal(sigv4_authorization(&in, &sb), -EINVAL);
    in.credentials = NULL;
    assert_int_equal(sigv4_authorization(&in, &sb), -EINVAL);
    in = s3_input(&v);
    in.n_headers = 0;
    assert_int_equal(sigv4_authorization(&in, &sb), -EINVAL);
    in = s3_input(&v);
    in.payload_hash = NULL;
    assert_int_equal(sigv4_authorization(&in, &sb), -EINVAL);
    assert_int_equal(sigv4_presign_query(&in, 60, &sb), 0);
}

static void test_result_too_long_is_an_error(void **state)
{
    struct sigv4_input in = s3_input(&s3_vectors[0]);
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(100);

    assert_int_equal(sigv4_authorization(&in, &sb), -E2BIG);
}

/* The cache must never answer for another secret, day, region or service, also when more of them
 * are in use than it holds, from several threads. */
static const char *const regions[] = {"us-east-1", "us-west-2", "eu-west-1", "a", "b"};
static const char *const services[] = {"s3", "service"};
static struct aws_credentials *const keys[] = {&s3_keys, &suite_keys};
static const char *const days[] = {"20130524T000000Z", "20130524T235959Z", "20130525T000000Z"};

#define COMBINATIONS                                                                               \
    (ARRAY_SIZE(regions) * ARRAY_SIZE(services) * ARRAY_SIZE(keys) * ARRAY_SIZE(days))

static void sign_combination(size_t i, struct strbuf *sb)
{
    struct sigv4_input in = s3_input(&s3_vectors[0]);

    in.region = regions[i % ARRAY_SIZE(regions)];
    i /= ARRAY_SIZE(regions);
    in.service = services[i % ARRAY_SIZE(services)];
    i /= ARRAY_SIZE(services);
    in.credentials = keys[i % ARRAY_SIZE(keys)];
    i /= ARRAY_SIZE(keys);
    timefmt_parse_basic(days[i], &in.time_ns);
    strbuf_reset(sb);
    sigv4_authorization(&in, sb);
}

struct signer {
    pthread_t thread;
    char (*expected)[400];
    unsigned seed;
    unsigned wrong;
};

static void *sign_many(void *arg)
{
    struct signer *s = arg;
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1000);
    uint32_t x = s->seed;

    for (unsigned n = 0; n < 2000; n++) {
        size_t i;

        x = x * 1664525u + 1013904223u;
        i = (x >> 8) % COMBINATIONS;
        sign_combination(i, &sb);
        if (strcmp(strbuf_str(&sb), s->expected[i]) != 0)
            s->wrong++;
    }
    return NULL;
}

static void test_key_cache_threads(void **state)
{
    static char expected[COMBINATIONS][400];
    struct signer signers[4];
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1000);

    for (size_t i = 0; i < COMBINATIONS; i++) {
        sigv4_forget_keys();
        sign_combination(i, &sb);
        assert_int_equal(sb.error, 0);
        assert_in_range(sb.len, 100, sizeof(expected[i]) - 1);
        memcpy(expected[i], sb.data, sb.len + 1);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(expected[i], expected[k]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(signers); i++) {
        signers[i] = (struct signer){.expected = expected, .seed = 17 + i};
        assert_int_equal(pthread_create(&signers[i].thread, NULL, sign_many, &signers[i]), 0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(signers); i++) {
        pthread_join(signers[i].thread, NULL);
        assert_int_equal(signers[i].wrong, 0);
    }
}

static void test_out_of_memory(void **state)
{
    const struct vector v = {
        .path = "/a/../b", .params = {{"a", "b"}}, .headers = {S3_HOST, S3_DATE, S3_EMPTY}};
    struct sigv4_input in = s3_input(&v);
    long n;
    int r;

    in.normalize_path = true;
    for (unsigned presigned = 0; presigned < 2; presigned++) {
        for (n = 0;; n++) {
            CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1 << 16);

            sigv4_forget_keys();
            alloc_fail_begin(n);
            r = presigned ? sigv4_presign_query(&in, 60, &sb) : sigv4_authorization(&in, &sb);
            if (!alloc_fail_end())
                break;
            assert_int_equal(r, -ENOMEM);
        }
        assert_int_equal(r, 0);
        assert_true(n > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_s3_examples),
        cmocka_unit_test(test_string_to_sign),
        cmocka_unit_test(test_presigned_example),
        cmocka_unit_test(test_presign_token_and_params),
        cmocka_unit_test(test_presign_limits),
        cmocka_unit_test(test_general_suite),
        cmocka_unit_test(test_s3_path_is_verbatim),
        cmocka_unit_test(test_query_sorts_by_name_first),
        cmocka_unit_test(test_encode_query),
        cmocka_unit_test(test_header_of_white_space),
        cmocka_unit_test(test_refuses_what_cannot_be_signed),
        cmocka_unit_test(test_result_too_long_is_an_error),
        cmocka_unit_test(test_key_cache_threads),
        cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
