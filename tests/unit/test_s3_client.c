/* SPDX-License-Identifier: Apache-2.0 */
/* The funnel: retries, corrections, lost answers, messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fail.h"
#include "aws/credentials.h"
#include "base/attr.h"
#include "s3_bed.h"

static int head(struct bed *b, const char *bucket, struct s3_error *err)
{
    struct s3_bucket_in in = {.bucket = bucket};
    struct s3_head_bucket_out out;

    return s3_head_bucket(b->client, &in, &out, err);
}

static int list(struct bed *b, struct s3_error *err)
{
    struct s3_list_objects_v2_in in = {.bucket = "bkt"};
    struct s3_list_objects_v2_out out = {0};
    int r = s3_list_objects_v2(b->client, &in, &out, err);

    s3_list_objects_v2_out_done(&out);
    return r;
}

#define EMPTY_LIST "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"

/* ---- retries ---- */

static void test_retries_until_success(void **state)
{
    struct bed b;
    struct s3_error err = {.kind = S3_ERROR_INVALID};
    uint64_t before;

    bed_open(&b);
    bed_error(&b, 503, "SlowDown");
    bed_fail(&b, S3_ERROR_CONNECT, false);
    bed_fail(&b, S3_ERROR_TIMEOUT, true);
    bed_answer(&b, 500, "Content-Type: text/html", "<html><p>Internal error</html>");
    bed_answer(&b, 200, NULL, EMPTY_LIST);
    before = clock_monotonic_ns(&b.clock.clock);
    assert_int_equal(list(&b, &err), 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID); /* untouched on success */
    assert_int_equal(bed_requests(&b), 5);
    /* full jitter under 100, 200, 400 and 800 ms */
    assert_in_range(clock_monotonic_ns(&b.clock.clock) - before, 1, 1500ull * NS_PER_MS);
    bed_close(&b);
}

static void test_every_try_is_signed_anew(void **state)
{
    struct bed b;
    char first[512];
    struct bed_options opts = {.client.retry = {.base_ms = 3600000, .max_ms = 3600000}};

    bed_open_with(&b, &opts);
    bed_error(&b, 503, "SlowDown");
    bed_answer(&b, 200, NULL, EMPTY_LIST);
    assert_int_equal(list(&b, NULL), 0);
    assert_string_equal(bed_header(&b, 0, "x-amz-date"), BED_DATE);
    assert_string_not_equal(bed_header(&b, 1, "x-amz-date"), BED_DATE);
    (void)snprintf(first, sizeof(first), "%s", bed_header(&b, 0, "Authorization"));
    assert_string_not_equal(bed_header(&b, 1, "Authorization"), first);
    assert_string_equal(bed_request(&b, 0)->url, bed_request(&b, 1)->url);
    bed_close(&b);
}

static void test_attempts_run_out(void **state)
{
    struct bed b;
    struct s3_error err;

    bed_open_with(&b, &(struct bed_options){.client.retry.max_attempts = 3});
    for (int i = 0; i < 3; i++)
        bed_error(&b, 503, "SlowDown");
    assert_int_equal(list(&b, &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_THROTTLED);
    assert_int_equal(err.tries, 3);
    assert_int_equal(err.http_status, 503);
    assert_string_equal(err.code, "SlowDown");
    assert_string_equal(err.operation, "ListObjectsV2");
    assert_string_equal(err.request_id, "RID1");
    bed_close(&b);
}

static void test_quota_runs_out(void **state)
{
    struct bed b;
    struct s3_error err;
    unsigned tries = 0;

    /* 5 tokens a retry: three retries in all, over two calls */
    bed_open_with(&b, &(struct bed_options){.client.retry = {.max_attempts = 3, .quota = 15}});
    for (int i = 0; i < 5; i++)
        bed_error(&b, 503, "SlowDown");
    for (int i = 0; i < 2; i++) {
        assert_true(list(&b, &err) < 0);
        tries += err.tries;
    }
    assert_int_equal(tries, 5);
    bed_close(&b);
}

static void test_not_retried(void **state)
{
    static const struct {
        int status;
        const char *code;
        enum s3_error_kind kind;
        int result;
    } cases[] = {
        {403, "AccessDenied", S3_ERROR_ACCESS_DENIED, -EACCES},
        {404, "NoSuchBucket", S3_ERROR_NO_SUCH_BUCKET, 0},
        {404, "NoSuchKey", S3_ERROR_NO_SUCH_KEY, -ENOENT},
        {400, "InvalidArgument", S3_ERROR_INVALID, -EIO},
        {403, "InvalidAccessKeyId", S3_ERROR_BAD_CREDENTIALS, 0},
        {501, "NotImplemented", S3_ERROR_UNSUPPORTED, -EOPNOTSUPP},
        {400, "SomethingNew", S3_ERROR_INVALID, -EIO},
    };
    struct s3_error err;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bed b;
        int r;
        bed_open(&b);
        bed_error(&b, cases[i].status, cases[i].code);
        r = list(&b, &err);
        assert_true(cases[i].result ? r == cases[i].result : r < 0);
        assert_int_equal(err.kind, cases[i].kind);
        assert_string_equal(err.code, cases[i].code);
        assert_int_equal(err.tries, 1);
        bed_close(&b);
    }
}

static void test_broken_pages(void **state)
{
    static const char *const pages[] = {
        "",
        "<html><body>captive portal</body></html>",
        "<ListBucketResult><IsTruncated>false</IsTruncated>",
        "{}",
        "<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>",
    };

    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
        struct bed b;
        struct s3_error err;
        bed_open_with(&b, &(struct bed_options){.client.retry.max_attempts = 2});
        bed_answer(&b, 200, NULL, pages[i]);
        bed_answer(&b, 200, NULL, pages[i]);
        assert_int_equal(list(&b, &err), -EIO);
        assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
        assert_int_equal(err.tries, 2);
        bed_close(&b);
    }
    struct bed b;
    bed_open(&b);
    bed_answer_cut(&b, 200, NULL, EMPTY_LIST, 20);
    bed_answer(&b, 200, NULL, EMPTY_LIST);
    assert_int_equal(list(&b, NULL), 0);
    /* a success of the wrong kind is none */
    struct s3_error err;
    for (int i = 0; i < 5; i++)
        bed_answer(&b, 202, NULL, EMPTY_LIST);
    assert_int_equal(list(&b, &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
    bed_close(&b);
}

/* ---- region ---- */

#define EU_URL "https://bkt.s3.eu-west-1.amazonaws.com/"

static void check_region_learned(struct bed *b)
{
    char region[64];

    assert_int_equal(bed_requests(b), 2);
    assert_int_equal(strncmp(bed_request(b, 1)->url, EU_URL, strlen(EU_URL)), 0);
    assert_non_null(strstr(bed_header(b, 1, "Authorization"), "/eu-west-1/s3/"));
    s3_client_bucket_region(b->client, "bkt", region, sizeof(region));
    assert_string_equal(region, "eu-west-1");
    s3_client_bucket_region(b->client, "other", region, sizeof(region));
    assert_string_equal(region, "us-east-1");
    /* the next call goes there at once */
    bed_answer(b, 200, NULL, EMPTY_LIST);
    assert_int_equal(list(b, NULL), 0);
    assert_int_equal(bed_requests(b), 3);
    assert_int_equal(strncmp(bed_request(b, 2)->url, EU_URL, strlen(EU_URL)), 0);
}

static void test_region_from_header(void **state)
{
    struct bed b;

    bed_open(&b);
    bed_answer(&b, 301, "x-amz-bucket-region: eu-west-1\nLocation: http://evil.example/bkt",
               "<Error><Code>PermanentRedirect</Code></Error>");
    bed_answer(&b, 200, NULL, EMPTY_LIST);
    assert_int_equal(list(&b, NULL), 0);
    check_region_learned(&b);
    bed_close(&b);
}

static void test_region_from_body(void **state)
{
    struct bed b;

    bed_open(&b);
    bed_answer(&b, 400, NULL,
               "<Error><Code>AuthorizationHeaderMalformed</Code><Message>expecting 'eu-west-1'"
               "</Message><Region>eu-west-1</Region></Error>");
    bed_answer(&b, 200, NULL, EMPTY_LIST);
    assert_int_equal(list(&b, NULL), 0);
    check_region_learned(&b);
    bed_close(&b);
}

static void test_region_of_head(void **state)
{
    static const int statuses[] = {301, 400, 403};

    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        struct bed b;
        bed_open(&b);
        bed_answer(&b, statuses[i], "x-amz-bucket-region: eu-west-1", "");
        bed_answer(&b, 200, NULL, "");
        assert_int_equal(head(&b, "bkt", NULL), 0);
        check_region_learned(&b);
        bed_close(&b);
    }
    /* The right region and denied all the same. */
    struct bed b;
    struct s3_error err;
    bed_open(&b);
    bed_answer(&b, 403, "x-amz-bucket-region: us-east-1", "");
    assert_int_equal(head(&b, "bkt", &err), -EACCES);
    assert_int_equal(err.kind, S3_ERROR_ACCESS_DENIED);
    bed_close(&b);
}

static void test_region_once(void **state)
{
    struct bed b;
    struct s3_error err;

    bed_open(&b);
    bed_answer(&b, 301, "x-amz-bucket-region: eu-west-1", "");
    bed_answer(&b, 301, "x-amz-bucket-region: eu-west-2", "");
    assert_true(head(&b, "bkt", &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_WRONG_REGION);
    assert_string_equal(err.region, "eu-west-2");
    assert_non_null(strstr(err.message, "eu-west-2"));
    bed_close(&b);
}

/* What a server says about its region must not send the signature anywhere. */
static void test_region_not_believed(void **state)
{
    static const char *const regions[] = {"evil.example/",  "a.b", "",    "us-east-1",
                                          "cn-north-1",     "x",   "a@b", "us east",
                                          "us-gov-west-1x", "-a"};

    for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
        struct bed b;
        struct s3_error err;
        char header[128];
        bed_open(&b);
        (void)snprintf(header, sizeof(header), "x-amz-bucket-region: %s", regions[i]);
        bed_answer(&b, 301, header, "");
        assert_true(head(&b, "bkt", &err) < 0);
        assert_int_equal(err.kind, S3_ERROR_WRONG_REGION);
        assert_int_equal(bed_requests(&b), 1);
        bed_close(&b);
    }
}

static void test_region_of_custom_endpoint(void **state)
{
    struct bed b;

    bed_open_with(&b, &(struct bed_options){.endpoint_url = BED_CUSTOM});
    bed_answer(&b, 400, NULL,
               "<Error><Code>AuthorizationHeaderMalformed</Code><Region>garage</Region></Error>");
    bed_answer(&b, 200, NULL, EMPTY_LIST);
    assert_int_equal(list(&b, NULL), 0);
    assert_string_equal(bed_header(&b, 1, "Host"), "127.0.0.1:9000");
    assert_non_null(strstr(bed_header(&b, 1, "Authorization"), "/garage/s3/"));
    assert_string_equal(bed_request(&b, 0)->url, bed_request(&b, 1)->url);
    bed_close(&b);
}

static void test_location_constraint_is_no_redirect(void **state)
{
    struct bed b;
    struct s3_error err;
    struct s3_create_bucket_in in = {.bucket = "bkt"};

    bed_open(&b);
    bed_answer(&b, 400, "x-amz-bucket-region: eu-west-1",
               "<Error><Code>IllegalLocationConstraintException</Code></Error>");
    assert_true(s3_create_bucket(b.client, &in, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_WRONG_REGION);
    bed_close(&b);
}

/* ---- clock ---- */

static void test_clock_skew(void **state)
{
    struct bed b;

    bed_open(&b);
    bed_answer(&b, 403, "Date: Sun, 22 Nov 2026 16:30:00 GMT",
               "<Error><Code>RequestTimeTooSkewed</Code></Error>");
    bed_answer(&b, 200, NULL, EMPTY_LIST);
    bed_answer(&b, 200, NULL, EMPTY_LIST);
    assert_int_equal(list(&b, NULL), 0);
    assert_string_equal(bed_header(&b, 0, "x-amz-date"), BED_DATE);
    assert_string_equal(bed_header(&b, 1, "x-amz-date"), "20261122T163000Z");
    clock_fake_advance(&b.clock, 60ull * NS_PER_S);
    assert_int_equal(list(&b, NULL), 0);
    assert_string_equal(bed_header(&b, 2, "x-amz-date"), "20261122T163100Z");
    bed_close(&b);
}

static void test_clock_skew_of_head(void **state)
{
    struct bed b;
    struct s3_error err;

    bed_open(&b);
    bed_answer(&b, 403, "Date: Sun, 22 Nov 2026 14:50:00 GMT", "");
    bed_answer(&b, 200, NULL, "");
    assert_int_equal(head(&b, "bkt", NULL), 0);
    assert_string_equal(bed_header(&b, 1, "x-amz-date"), "20261122T145000Z");
    bed_close(&b);
    /* three minutes are no reason */
    bed_open(&b);
    bed_answer(&b, 403, "Date: Sun, 22 Nov 2026 15:03:00 GMT", "");
    assert_true(head(&b, "bkt", &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_ACCESS_DENIED);
    bed_close(&b);
    /* once only, and the message tells by how much */
    bed_open(&b);
    for (int i = 0; i < 2; i++)
        bed_answer(&b, 403, "Date: Sun, 22 Nov 2026 16:00:00 GMT",
                   "<Error><Code>RequestTimeTooSkewed</Code></Error>");
    assert_true(list(&b, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CLOCK_SKEW);
    assert_non_null(strstr(err.message, "-3600 s"));
    bed_close(&b);
}

/* ---- credentials ---- */

static unsigned loads; /* of counting_chain */

static int load_counting(const struct aws_config *config, struct clock *clock,
                         struct aws_credentials **ret, struct s3_error *reterr)
{
    char id[16];

    (void)snprintf(id, sizeof(id), "KEY%u", ++loads);
    assert_int_equal(aws_credentials_new(id, "S", "TOKEN",
                                         clock_realtime_ns(clock) + 3600 * NS_PER_S, "counting",
                                         ret),
                     0);
    return 1;
}
static const struct aws_credentials_provider counting_chain[] = {{"counting", load_counting},
                                                                 {NULL, NULL}};

static int load_nothing(const struct aws_config *config, struct clock *clock,
                        struct aws_credentials **ret, struct s3_error *reterr)
{
    return 0;
}
static const struct aws_credentials_provider empty_chain[] = {{"nothing", load_nothing},
                                                              {NULL, NULL}};

static void test_expired_token(void **state)
{
    struct bed b;
    struct s3_error err;

    loads = 0;
    bed_open_with(&b, &(struct bed_options){.chain = counting_chain});
    bed_error(&b, 400, "ExpiredToken");
    bed_answer(&b, 200, NULL, EMPTY_LIST);
    assert_int_equal(list(&b, NULL), 0);
    assert_non_null(strstr(bed_header(&b, 0, "Authorization"), "=KEY1/"));
    assert_non_null(strstr(bed_header(&b, 1, "Authorization"), "=KEY2/"));
    assert_string_equal(bed_header(&b, 1, "x-amz-security-token"), "TOKEN");
    assert_non_null(strstr(bed_header(&b, 1, "Authorization"), "x-amz-security-token"));
    /* once a call */
    bed_error(&b, 400, "ExpiredToken");
    bed_error(&b, 400, "ExpiredToken");
    assert_true(list(&b, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_EXPIRED_CREDENTIALS);
    assert_int_equal(loads, 3);
    /* HEAD has no body to say it in */
    bed_answer(&b, 400, NULL, "");
    bed_answer(&b, 200, NULL, "");
    assert_int_equal(head(&b, "bkt", NULL), 0);
    assert_int_equal(loads, 4);
    bed_close(&b);
}

static void test_no_credentials(void **state)
{
    struct bed b;
    struct s3_error err;

    bed_open_with(&b, &(struct bed_options){.chain = empty_chain});
    assert_true(list(&b, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_NO_CREDENTIALS);
    assert_int_equal(err.tries, 0);
    assert_string_equal(err.operation, "ListObjectsV2");
    bed_close(&b);
}

/* ---- 200 with an error inside ---- */

static int copy(struct bed *b, struct s3_error *err)
{
    struct s3_copy_object_in in = {
        .bucket = "bkt", .key = "k", .source_bucket = "bkt", .source_key = "s"};
    struct s3_copy_object_out out;

    return s3_copy_object(b->client, &in, &out, err);
}

static int part_copy(struct bed *b, struct s3_error *err)
{
    struct s3_upload_part_copy_in in = {.bucket = "bkt",
                                        .key = "k",
                                        .upload_id = "u",
                                        .part_number = 1,
                                        .source_bucket = "bkt",
                                        .source_key = "s"};
    struct s3_copy_object_out out;

    return s3_upload_part_copy(b->client, &in, &out, err);
}

static const struct s3_completed_part complete_parts[] = {
    {1, "\"5d41402abc4b2a76b9719d911017c592\"", {0}},
    {2, "\"7d793037a0760186574b0282f2f435e7\"", {0}}};

static int complete(struct bed *b, struct s3_error *err)
{
    struct s3_complete_multipart_upload_in in = {
        .bucket = "bkt", .key = "k", .upload_id = "u", .parts = complete_parts, .n_parts = 2};
    struct s3_put_object_out out;

    return s3_complete_multipart_upload(b->client, &in, &out, err);
}

static int delete_two(struct bed *b, struct s3_error *err)
{
    const struct s3_delete_entry entries[] = {{"a", NULL, NULL}, {"b", NULL, NULL}};
    struct s3_delete_objects_in in = {
        .bucket = "bkt", .entries = entries, .n_entries = 2, .quiet = true};
    struct s3_delete_objects_out out = {0};
    int r = s3_delete_objects(b->client, &in, &out, err);

    s3_delete_objects_out_done(&out);
    return r;
}

static void test_error_inside_200(void **state)
{
    static const struct {
        int (*call)(struct bed *b, struct s3_error *err);
        const char *success;
    } cases[] = {
        {copy, "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"},
        {part_copy, "<CopyPartResult><ETag>e</ETag></CopyPartResult>"},
        {complete, "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"},
        {delete_two, "<DeleteResult/>"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bed b;
        struct s3_error err;
        bed_open(&b);
        bed_error(&b, 200, "InternalError");
        bed_error(&b, 200, "SlowDown");
        bed_answer(&b, 200, NULL, cases[i].success);
        assert_int_equal(cases[i].call(&b, &err), 0);
        bed_error(&b, 200, "AccessDenied");
        assert_int_equal(cases[i].call(&b, &err), -EACCES);
        assert_string_equal(err.code, "AccessDenied");
        assert_int_equal(err.http_status, 200);
        assert_int_equal(err.tries, 1);
        bed_close(&b);
    }
}

/* ---- lost answers ---- */

static int put(struct bed *b, const char *body, const struct s3_conditions *c, const char *mtime,
               struct s3_put_object_out *out, struct s3_error *err)
{
    struct s3_metadata meta = {"mtime", mtime};
    struct iovec iov = {(void *)(uintptr_t)body, strlen(body)};
    struct s3_put_object_in in = {.bucket = "bkt",
                                  .key = "k",
                                  .body = &iov,
                                  .n_body = 1,
                                  .conditions = *c,
                                  .attrs = {.metadata = &meta, .n_metadata = mtime ? 1 : 0}};

    return s3_put_object(b->client, &in, out, err);
}

#define HELLO_ETAG "ETag: \"5d41402abc4b2a76b9719d911017c592\"\n"

/* The first PUT is stored, its answer gets lost, the second meets the first. */
static int put_twice(struct bed *b, const char *body, const struct s3_conditions *c,
                     const char *mtime, const char *head_headers, struct s3_put_object_out *out,
                     struct s3_error *err)
{
    bed_fail(b, S3_ERROR_CONNECT, true);
    bed_error(b, 412, "PreconditionFailed");
    bed_answer(b, 200, head_headers, "");
    return put(b, body, c, mtime, out, err);
}

static void test_put_met_itself(void **state)
{
    const struct s3_conditions create = {.if_none_match = "*"};
    const struct s3_conditions replace = {.if_match = "\"old\""};
    struct s3_put_object_out out;
    struct s3_error err;
    struct bed b;

    bed_open(&b);
    assert_int_equal(put_twice(&b, "hello", &create, "5",
                               HELLO_ETAG "Content-Length: 5\nx-amz-meta-mtime: 5\n"
                                          "x-amz-version-id: v1",
                               &out, &err),
                     0);
    assert_string_equal(out.etag, "\"5d41402abc4b2a76b9719d911017c592\"");
    assert_string_equal(out.version_id, "v1");
    assert_int_equal(bed_request(&b, 2)->method, HTTP_HEAD);
    assert_int_equal(
        put_twice(&b, "hello", &replace, NULL, HELLO_ETAG "Content-Length: 5", &out, &err), 0);
    /* An empty object that replaced the right one is as good as ours ... */
    assert_int_equal(put_twice(&b, "", &replace, NULL,
                               "ETag: \"d41d8cd98f00b204e9800998ecf8427e\"\nContent-Length: 0",
                               &out, &err),
                     0);
    bed_close(&b);
}

static void test_put_met_another(void **state)
{
    const struct s3_conditions create = {.if_none_match = "*"};
    static const struct {
        const char *body;
        const char *found;
    } cases[] = {
        {"hello", "ETag: \"00000000000000000000000000000000\"\nContent-Length: 5\n"
                  "x-amz-meta-mtime: 5"},
        {"hello", HELLO_ETAG "Content-Length: 5\nx-amz-meta-mtime: 6"},
        {"hello", HELLO_ETAG "Content-Length: 5"},
        {"hello", HELLO_ETAG "Content-Length: 5\nx-amz-meta-mtime: 5\nx-amz-meta-more: 1"},
        {"hello", HELLO_ETAG "Content-Length: 6\nx-amz-meta-mtime: 5"},
        {"hello", "ETag: \"opaque\"\nContent-Length: 5\nx-amz-meta-mtime: 5"},
        /* ... but an exclusively made empty one may be another host's lock */
        {"", "ETag: \"d41d8cd98f00b204e9800998ecf8427e\"\nContent-Length: 0\nx-amz-meta-mtime: 5"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct s3_put_object_out out;
        struct s3_error err;
        struct bed b;
        bed_open(&b);
        assert_int_equal(put_twice(&b, cases[i].body, &create, "5", cases[i].found, &out, &err),
                         -ESTALE);
        assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
        assert_non_null(strstr(err.message, "unknown"));
        assert_int_equal(err.tries, 2);
        bed_close(&b);
    }
}

static void test_put_conflict_without_doubt(void **state)
{
    const struct s3_conditions create = {.if_none_match = "*"};
    struct s3_put_object_out out;
    struct s3_error err;
    struct bed b;

    bed_open(&b);
    bed_error(&b, 412, "PreconditionFailed"); /* at once */
    assert_int_equal(put(&b, "hello", &create, NULL, &out, &err), -ESTALE);
    assert_null(strstr(err.message, "unknown"));
    bed_error(&b, 503, "SlowDown"); /* the server says that it did nothing */
    bed_error(&b, 412, "PreconditionFailed");
    assert_int_equal(put(&b, "hello", &create, NULL, &out, &err), -ESTALE);
    assert_null(strstr(err.message, "unknown"));
    bed_fail(&b, S3_ERROR_CONNECT, false); /* never got there */
    bed_error(&b, 412, "PreconditionFailed");
    assert_int_equal(put(&b, "hello", &create, NULL, &out, &err), -ESTALE);
    assert_int_equal(bed_requests(&b), 5); /* no HEAD in any of them */
    /* 409 is tried again: nothing was stored */
    bed_error(&b, 409, "ConditionalRequestConflict");
    bed_answer(&b, 200, HELLO_ETAG, "");
    assert_int_equal(put(&b, "hello", &create, NULL, &out, &err), 0);
    /* the object cannot be looked at */
    bed_fail(&b, S3_ERROR_CONNECT, true);
    bed_error(&b, 412, "PreconditionFailed");
    bed_answer(&b, 403, NULL, "");
    assert_int_equal(put(&b, "hello", &create, NULL, &out, &err), -ESTALE);
    assert_non_null(strstr(err.message, "unknown"));
    bed_close(&b);
}

static void test_complete_met_itself(void **state)
{
    struct s3_error err;
    struct bed b;

    bed_open(&b);
    bed_fail(&b, S3_ERROR_TIMEOUT, true);
    bed_error(&b, 404, "NoSuchUpload");
    /* MD5 of the two MD5s, by python3-hashlib */
    bed_answer(&b, 200, "ETag: \"065947336a2f2a95ba8899f3675c3be6-2\"", "");
    assert_int_equal(complete(&b, &err), 0);
    bed_close(&b);
}

static void test_complete_gone(void **state)
{
    struct s3_error err;
    struct bed b;

    bed_open(&b);
    bed_error(&b, 404, "NoSuchUpload");
    assert_true(complete(&b, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_NO_SUCH_UPLOAD);
    assert_null(strstr(err.message, "unknown"));
    bed_fail(&b, S3_ERROR_TIMEOUT, true);
    bed_error(&b, 404, "NoSuchKey"); /* Ceph's word for it */
    bed_answer(&b, 200, "ETag: \"other-2\"", "");
    assert_true(complete(&b, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_NO_SUCH_UPLOAD);
    assert_non_null(strstr(err.message, "unknown"));
    bed_fail(&b, S3_ERROR_TIMEOUT, true);
    bed_error(&b, 404, "NoSuchUpload");
    bed_answer(&b, 404, NULL, "");
    assert_true(complete(&b, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_NO_SUCH_UPLOAD);
    bed_close(&b);
}

static void test_others_say_so(void **state)
{
    struct s3_bucket_in in = {.bucket = "bkt"};
    struct s3_error err;
    struct bed b;

    bed_open(&b);
    bed_fail(&b, S3_ERROR_CONNECT, true);
    bed_error(&b, 404, "NoSuchBucket");
    assert_true(s3_delete_bucket(b.client, &in, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_NO_SUCH_BUCKET);
    assert_non_null(strstr(err.message, "unknown"));
    bed_close(&b);
}

/* Nobody has met anything, and all the same the server may have acted, or act yet. */
static void test_doubt_stays(void **state)
{
    const struct s3_conditions replace = {.if_match = "\"old\""};
    struct s3_put_object_out out;
    struct s3_error err;

    for (unsigned k = 0; k < 4; k++) {
        struct bed_options opts = {.client.retry.max_attempts = 2};
        struct bed b;
        bed_open_with(&b, &opts);
        bed_fail(&b, S3_ERROR_TIMEOUT, k < 2); /* of some the request never got there */
        if (k % 2)
            bed_fail(&b, S3_ERROR_TIMEOUT, k < 2);
        else
            bed_error(&b, 503, "SlowDown");
        assert_true(put(&b, "hello", &replace, NULL, &out, &err) < 0);
        assert_int_equal(err.maybe_done, k < 2);
        bed_close(&b);
    }
}

/* ---- messages ---- */

static void test_messages(void **state)
{
    static const struct {
        int status;
        const char *code;
        const char *says;
    } cases[] = {
        {403, "InvalidAccessKeyId",
         "bucket 'bkt': the access key id is not known to the server; the keys came from arguments "
         "(InvalidAccessKeyId)"},
        {403, "SignatureDoesNotMatch", "secret access key"},
        {404, "NoSuchBucket", "bucket 'bkt': there is no such bucket (NoSuchBucket)"},
        {400, "StrangeCode", "words of the server"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct s3_error err;
        struct bed b;
        bed_open(&b);
        bed_error(&b, cases[i].status, cases[i].code);
        assert_true(list(&b, &err) < 0);
        if (!strstr(err.message, cases[i].says))
            fail_msg("'%s' does not say '%s'", err.message, cases[i].says);
        assert_null(strstr(err.message, "SECRET"));
        bed_close(&b);
    }
    struct s3_error err;
    struct bed b;
    bed_open(&b);
    bed_answer(&b, 404, "x-amz-request-id: R\x1b[31m", "<Error><Code>A\tB&#10;</Code></Error>");
    (void)list(&b, &err);
    for (const char *c = err.message; *c; c++)
        assert_true((unsigned char)*c >= ' ');
    for (const char *c = err.request_id; *c; c++)
        assert_true((unsigned char)*c >= ' ');
    bed_close(&b);
}

/* ---- session and meta ---- */

static void test_meta(void **state)
{
    struct bed b;
    const struct s3_client_meta *meta;

    bed_open(&b);
    meta = s3_client_meta(b.client);
    assert_string_equal(meta->service, "s3");
    assert_string_equal(meta->region, "us-east-1");
    assert_string_equal(meta->endpoint_url, "https://s3.us-east-1.amazonaws.com");
    assert_string_equal(meta->profile, "default");
    assert_false(meta->anonymous);
    assert_false(meta->path_style);
    bed_close(&b);
    bed_open_with(&b, &(struct bed_options){.endpoint_url = BED_CUSTOM "/x", .region = "here"});
    meta = s3_client_meta(b.client);
    assert_string_equal(meta->region, "here");
    assert_string_equal(meta->endpoint_url, BED_CUSTOM "/x");
    assert_true(meta->path_style);
    bed_close(&b);
}

/* One session for the process, and what it cannot make sense of is said at once. */
static void test_sessions(void **state)
{
    struct s3_session *one = NULL;
    struct s3_session *two = NULL;
    struct s3_session_options opts;
    struct s3_client *client = NULL;
    struct s3_error err = {0};

    assert_int_equal(setenv("HOME", "/nonexistent", 1), 0);
    assert_int_equal(setenv("AWS_PROFILE", "not-there", 1), 0);
    assert_true(s3_session_default(&one, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
    assert_int_equal(unsetenv("AWS_PROFILE"), 0); /* mended: the failure was not kept */
    assert_int_equal(s3_session_default(&one, &err), 0);
    assert_int_equal(s3_session_default(&two, &err), 0);
    assert_ptr_equal(one, two);
    assert_string_equal(s3_session_config(one)->profile, "default");
    s3_session_unref(one);
    s3_session_unref(two);

    s3_session_options_init(&opts);
    opts.args.region = "no region at all";
    assert_int_equal(s3_session_new(&opts, &one, &err), 0);
    assert_true(s3_session_client_new(one, NULL, &client, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
    assert_null(client);
    s3_session_unref(one);
}

/* ---- memory ---- */

/* The n-th allocation fails: an error or a success, and nothing is lost (AddressSanitizer). */
static void test_no_memory(void **state)
{
    struct s3_error err;
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct bed b;
        int r;
        bed_open(&b);
        bed_error(&b, 503, "SlowDown");
        bed_answer(&b, 200, NULL,
                   "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key>"
                   "<Size>1</Size></Contents></ListBucketResult>");
        alloc_fail_begin(n);
        r = list(&b, &err);
        failed = alloc_fail_end();
        assert_true(r == 0 || r == -ENOMEM || r == -EIO);
        if (!failed)
            assert_int_equal(r, 0);
        s3_client_unref(b.client);
        s3_session_unref(b.session);
        http_transport_free(http_fake_transport(b.http));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retries_until_success),
        cmocka_unit_test(test_every_try_is_signed_anew),
        cmocka_unit_test(test_attempts_run_out),
        cmocka_unit_test(test_quota_runs_out),
        cmocka_unit_test(test_not_retried),
        cmocka_unit_test(test_broken_pages),
        cmocka_unit_test(test_region_from_header),
        cmocka_unit_test(test_region_from_body),
        cmocka_unit_test(test_region_of_head),
        cmocka_unit_test(test_region_once),
        cmocka_unit_test(test_region_not_believed),
        cmocka_unit_test(test_region_of_custom_endpoint),
        cmocka_unit_test(test_location_constraint_is_no_redirect),
        cmocka_unit_test(test_clock_skew),
        cmocka_unit_test(test_clock_skew_of_head),
        cmocka_unit_test(test_expired_token),
        cmocka_unit_test(test_no_credentials),
        cmocka_unit_test(test_error_inside_200),
        cmocka_unit_test(test_put_met_itself),
        cmocka_unit_test(test_put_met_another),
        cmocka_unit_test(test_put_conflict_without_doubt),
        cmocka_unit_test(test_complete_met_itself),
        cmocka_unit_test(test_complete_gone),
        cmocka_unit_test(test_others_say_so),
        cmocka_unit_test(test_doubt_stays),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
