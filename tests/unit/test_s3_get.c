/* SPDX-License-Identifier: Apache-2.0 */
/* GetObject: the caller's sink gets every byte once, of one version, or an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/credentials.h"
#include "base/attr.h"
#include "s3/op.h"
#include "s3_bed.h"

#define TEN "0123456789"
#define V1  "ETag: \"v1\"\n"
#define V2  "ETag: \"v2\"\n"

static int get(struct bed *b, struct bed_sink *sink, const struct s3_get_object_in *more,
               struct s3_head_object_out *out, struct s3_error *err)
{
    struct s3_get_object_in in = more ? *more : (struct s3_get_object_in){0};
    struct s3_head_object_out ignored = {0};
    int r;

    in.bucket = "bkt";
    in.key = "k";
    in.sink = &sink->sink;
    r = s3_get_object(b->client, &in, out ? out : &ignored, err);
    s3_head_object_out_done(&ignored);
    return r;
}

static const struct s3_get_object_in middle = {
    .has_range = true, .range_offset = 2, .range_length = 6};
static const struct s3_get_object_in tail = {.has_range = true, .range_offset = 2};

static void test_goes_on_after_cuts(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_head_object_out out = {0};

    bed_open(&b);
    bed_sink_init(&sink);
    bed_answer_cut(&b, 200, V1 "Content-Type: a/b\nx-amz-meta-m: 1", TEN, 3);
    bed_error(&b, 503, "SlowDown");
    bed_answer_cut(&b, 206, V1 "Content-Range: bytes 3-9/10", "3456789", 4);
    bed_answer(&b, 206, V1 "Content-Range: bytes 7-9/10", "789");
    assert_int_equal(get(&b, &sink, NULL, &out, NULL), 0);
    assert_string_equal(sink.data, TEN);
    assert_int_equal(sink.begins, 1);
    assert_int_equal(sink.length, 10);
    assert_string_equal(bed_header(&b, 0, "Range"), "");
    assert_string_equal(bed_header(&b, 0, "If-Match"), "");
    assert_string_equal(bed_header(&b, 1, "Range"), "bytes=3-9");
    assert_string_equal(bed_header(&b, 2, "Range"), "bytes=3-9");
    assert_string_equal(bed_header(&b, 3, "Range"), "bytes=7-9");
    assert_string_equal(bed_header(&b, 3, "If-Match"), "\"v1\"");
    assert_non_null(strstr(bed_header(&b, 3, "Authorization"), ";if-match;range;"));
    /* the first answer's headers are the object's */
    assert_int_equal(out.content_length, 10);
    assert_int_equal(out.object_size, 10);
    assert_string_equal(out.content_type, "a/b");
    assert_int_equal(out.n_metadata, 1);
    s3_head_object_out_done(&out);
    bed_close(&b);
}

static void test_goes_on_within_a_range(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_get_object_in in = middle;

    in.conditions.if_none_match = "\"v0\"";
    in.conditions.if_modified_since_ns = BED_TIME_NS;
    bed_open(&b);
    bed_sink_init(&sink);
    bed_answer_cut(&b, 206, V1 "Content-Range: bytes 2-7/10", "234567", 5);
    bed_answer(&b, 206, V1 "Content-Range: bytes 7-7/10", "7");
    assert_int_equal(get(&b, &sink, &in, NULL, NULL), 0);
    assert_string_equal(sink.data, "234567");
    assert_string_equal(bed_header(&b, 1, "Range"), "bytes=7-7");
    assert_string_equal(bed_header(&b, 1, "If-Match"), "\"v1\"");
    assert_string_equal(bed_header(&b, 1, "If-None-Match"), "");
    assert_string_equal(bed_header(&b, 1, "If-Modified-Since"), "");
    bed_close(&b);

    bed_open(&b);
    bed_sink_init(&sink);
    bed_answer_cut(&b, 206, V1 "Content-Range: bytes 2-9/10", "23456789", 5);
    bed_answer(&b, 206, V1 "Content-Range: bytes 7-9/10", "789");
    assert_int_equal(get(&b, &sink, &tail, NULL, NULL), 0);
    assert_string_equal(sink.data, "23456789");
    assert_string_equal(bed_header(&b, 0, "Range"), "bytes=2-");
    bed_close(&b);
}

struct ended {
    unsigned n;
    int result;
};

static void on_end(void *ctx, int result, const struct s3_error *err)
{
    struct ended *e = ctx;

    (void)err;
    e->n++;
    e->result = result;
}

/* An answer that stands still is given up, and the rest asked for: no pause, and no try is used up.
 */
static void test_goes_on_after_a_stall(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct ended e = {0};
    struct s3_get_object_in in = {.bucket = "bkt", .key = "k", .sink = &sink.sink};
    struct s3_head_object_out out = {0};
    struct bed_options opts = {.hedge = true, .client.retry.max_attempts = 1};

    bed_open_with(&b, &opts);
    bed_sink_init(&sink);
    uint64_t before = clock_monotonic_ns(&b.clock.clock);
    struct aws_credentials *keys = NULL;
    /* Here already, so that nothing runs on another thread. */
    assert_int_equal(s3_session_credentials(b.session, &keys, NULL), 0);
    aws_credentials_unref(keys);
    assert_int_equal(http_fake_push(b.http, &(struct http_fake_answer){.status = 200,
                                                                       .headers = V1,
                                                                       .body = TEN,
                                                                       .cut_after = 3,
                                                                       .held = true}),
                     0);
    assert_int_equal(s3_client_submit(b.client, S3_OP_GET_OBJECT, &in, &out, on_end, &e, NULL), 0);
    http_fake_quiet(b.http, 0, true);
    http_fake_quiet(b.http, 0, true);
    assert_int_equal(e.n, 0);
    bed_answer(&b, 206, V1 "Content-Range: bytes 3-9/10", "3456789");
    http_fake_end(b.http, 0, NULL);
    assert_int_equal(e.n, 1);
    assert_int_equal(e.result, 0);
    assert_string_equal(sink.data, TEN);
    assert_int_equal(sink.begins, 1);
    assert_string_equal(bed_header(&b, 1, "Range"), "bytes=3-9");
    assert_string_equal(bed_header(&b, 1, "If-Match"), "\"v1\"");
    assert_int_equal(clock_monotonic_ns(&b.clock.clock), before);
    s3_head_object_out_done(&out);
    bed_close(&b);
}

/* What may be sent twice: nothing that has a condition or changes more than one part. */
static void test_what_is_repeatable(void **state)
{
    for (unsigned op = 0; op < S3_OP_MAX; op++) {
        bool may = op == S3_OP_GET_OBJECT || op == S3_OP_HEAD_OBJECT ||
                   op == S3_OP_LIST_OBJECTS_V2 || op == S3_OP_UPLOAD_PART;
        assert_int_equal((s3_op_find(op)->flags & S3_OP_F_REPEATABLE) != 0, may);
    }
}

/* Never a mix of two versions. */
static void test_object_replaced(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_error err;

    bed_open(&b);
    bed_sink_init(&sink);
    bed_answer_cut(&b, 200, V1, TEN, 3);
    bed_error(&b, 412, "PreconditionFailed");
    assert_int_equal(get(&b, &sink, NULL, NULL, &err), -ESTALE);
    assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
    assert_non_null(strstr(err.message, "replaced"));
    assert_string_equal(sink.data, "012");
    /* a server that does not know If-Match */
    bed_sink_init(&sink);
    bed_answer_cut(&b, 200, V1, TEN, 3);
    bed_answer(&b, 206, V2 "Content-Range: bytes 3-9/10", "DEFGHIJ");
    assert_int_equal(get(&b, &sink, NULL, NULL, &err), -ESTALE);
    assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
    assert_string_equal(sink.data, "012");
    assert_int_equal(sink.begins, 1);
    /* gone */
    bed_sink_init(&sink);
    bed_answer_cut(&b, 200, V1, TEN, 3);
    bed_error(&b, 404, "NoSuchKey");
    assert_int_equal(get(&b, &sink, NULL, NULL, &err), -ENOENT);
    bed_close(&b);
}

static void test_no_etag_no_rest(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_error err;

    bed_open(&b);
    bed_sink_init(&sink);
    bed_answer_cut(&b, 200, NULL, TEN, 3);
    assert_int_equal(get(&b, &sink, NULL, NULL, &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
    assert_int_equal(err.tries, 1);
    bed_close(&b);
}

static void test_starts_afresh(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_head_object_out out = {0};

    /* Nothing was told to the caller yet, so the newer version is as good. */
    bed_open(&b);
    bed_sink_init(&sink);
    bed_fail(&b, S3_ERROR_TIMEOUT, true);
    bed_answer(&b, 200, V2, "new");
    assert_int_equal(get(&b, &sink, NULL, &out, NULL), 0);
    assert_string_equal(out.etag, "\"v2\"");
    assert_string_equal(bed_header(&b, 1, "If-Match"), "");
    s3_head_object_out_done(&out);
    bed_close(&b);
}

/* ---- answers that are not what was asked for ---- */

static void test_wrong_ranges(void **state)
{
    static const struct {
        int status;
        const char *headers;
        const char *body;
    } cases[] = {
        {206, V1, "234567"},
        {206, V1 "Content-Range: bytes 0-5/10", "012345"},
        {206, V1 "Content-Range: bytes 3-8/10", "345678"},
        {206, V1 "Content-Range: bytes 0-7/10", "01234567"},
        {206, V1 "Content-Range: bytes 3-7/10", "34567"},
        {206, V1 "Content-Range: bytes 2-8/10", "2345678"}, /* more than asked */
        {206, V1 "Content-Range: bytes 2-4/10", "234"},     /* less, and not at the end */
        {206, V1 "Content-Range: bytes 2-4/*", "234"},
        {206, V1 "Content-Range: bytes 2-7/10", "23456"}, /* Content-Length differs */
        {206, V1 "Content-Range: bytes 2-7/7", "234567"},
        {206, V1 "Content-Range: bytes */10", "234567"},
        {206, V1 "Content-Range: bytes 2-7", "234567"},
        {206, V1 "Content-Range: bytes 2-99999999999999999999/10", "234567"},
        {206, V1 "Content-Range: nonsense", "234567"},
        {206, V1 "Content-Range: bytes 2-7/10\nTransfer-Encoding: chunked", "234567"},
        {203, V1 "Content-Range: bytes 2-7/10", "234567"},
        {206, V1 "Content-Range: bytes 2-7/10\nLast-Modified: never", "234567"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bed b;
        struct bed_sink sink;
        struct s3_error err;
        bed_open_with(&b, &(struct bed_options){.client.retry.max_attempts = 1});
        bed_sink_init(&sink);
        bed_answer(&b, cases[i].status, cases[i].headers, cases[i].body);
        if (get(&b, &sink, &middle, NULL, &err) != -EIO || err.kind != S3_ERROR_BAD_RESPONSE)
            fail_msg("case %zu was taken", i);
        assert_int_equal(sink.len, 0);
        assert_int_equal(sink.begins, 0);
        bed_close(&b);
    }
}

static void test_end_of_object(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_head_object_out out = {0};
    struct s3_error err;

    bed_open(&b);
    bed_sink_init(&sink);
    bed_answer(&b, 206, V1 "Content-Range: bytes 2-4/5", "234");
    assert_int_equal(get(&b, &sink, &middle, &out, NULL), 0);
    assert_string_equal(sink.data, "234");
    assert_int_equal(out.content_length, 3);
    assert_int_equal(out.object_size, 5);
    s3_head_object_out_done(&out);
    bed_error(&b, 416, "InvalidRange");
    assert_true(get(&b, &sink, &middle, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_BAD_RANGE);
    bed_close(&b);
}

static void test_empty_object(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_head_object_out out = {0};

    bed_open(&b);
    bed_sink_init(&sink);
    bed_answer(&b, 200, V1 "Content-Type: x/y", "");
    assert_int_equal(get(&b, &sink, NULL, &out, NULL), 0);
    assert_int_equal(sink.len, 0);
    assert_int_equal(out.object_size, 0);
    assert_string_equal(out.etag, "\"v1\"");
    assert_string_equal(out.content_type, "x/y");
    s3_head_object_out_done(&out);
    bed_close(&b);
}

/* A server that ignores Range: allowed by HTTP, delivered right. */
static void test_range_ignored(void **state)
{
    static const size_t chunks[] = {0, 1, 2, 3, 5, 7};

    for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
        struct bed b;
        struct bed_sink sink;
        struct s3_head_object_out out = {0};
        bed_open(&b);
        bed_sink_init(&sink);
        assert_int_equal(http_fake_push(b.http, &(struct http_fake_answer){.status = 200,
                                                                           .headers = V1,
                                                                           .body = TEN,
                                                                           .chunk = chunks[i]}),
                         0);
        assert_int_equal(get(&b, &sink, &middle, &out, NULL), 0);
        assert_string_equal(sink.data, "234567");
        assert_int_equal(sink.length, 6);
        assert_int_equal(out.content_length, 6);
        assert_int_equal(out.object_size, 10);
        s3_head_object_out_done(&out);
        bed_sink_init(&sink);
        bed_answer(&b, 200, V1, TEN);
        assert_int_equal(get(&b, &sink, &tail, NULL, NULL), 0);
        assert_string_equal(sink.data, "23456789");
        /* also when only the rest was asked for */
        bed_sink_init(&sink);
        bed_answer_cut(&b, 200, V1, TEN, 4);
        bed_answer(&b, 200, V1, TEN);
        assert_int_equal(get(&b, &sink, NULL, NULL, NULL), 0);
        assert_string_equal(sink.data, TEN);
        bed_close(&b);
    }
}

static void test_range_ignored_far_out(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_error err;
    struct s3_get_object_in far = {
        .has_range = true, .range_offset = 1ull << 40, .range_length = 4096};
    struct s3_get_object_in beyond = {.has_range = true, .range_offset = 10, .range_length = 1};

    bed_open(&b);
    bed_sink_init(&sink);
    bed_answer_cut(&b, 200, V1 "Content-Length: 2199023255552", TEN, 10);
    assert_int_equal(get(&b, &sink, &far, NULL, &err), -EOPNOTSUPP);
    assert_int_equal(err.kind, S3_ERROR_UNSUPPORTED);
    assert_int_equal(err.tries, 1);
    bed_answer(&b, 200, V1, TEN);
    assert_true(get(&b, &sink, &beyond, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_BAD_RANGE);
    assert_int_equal(sink.len, 0);
    bed_close(&b);
}

/* The rest must be as long as it has to be. */
static void test_rest_of_wrong_length(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_error err;

    bed_open_with(&b, &(struct bed_options){.client.retry.max_attempts = 2});
    bed_sink_init(&sink);
    bed_answer_cut(&b, 200, V1, TEN, 4);
    bed_answer(&b, 206, V1 "Content-Range: bytes 4-7/8", "4567");
    assert_int_equal(get(&b, &sink, NULL, NULL, &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
    assert_string_equal(sink.data, "0123");
    bed_close(&b);
}

/* ---- checksums ---- */

static int get_sum(struct bed *b, const char *headers, const char *body,
                   const struct s3_get_object_in *in, struct s3_error *err)
{
    struct bed_sink sink;
    struct s3_get_object_in with = *in;

    bed_sink_init(&sink);
    with.checksum_mode = true;
    bed_answer(b, in->has_range ? 206 : 200, headers, body);
    return get(b, &sink, &with, NULL, err);
}

static void test_checksums(void **state)
{
    static const char *const right[] = {
        "x-amz-checksum-crc32: y/Q5Jg==",
        "x-amz-checksum-crc32c: 4waSgw==",
        "x-amz-checksum-crc64nvme: rosUhgp5mIg=\nx-amz-checksum-type: FULL_OBJECT",
        "x-amz-checksum-sha1: 98O8HYCOBHMq32eZZczDTKeuNEE=",
        "x-amz-checksum-sha256: FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        /* not of the whole object's bytes */
        "x-amz-checksum-crc32: AAAAAA==-2",
        "x-amz-checksum-sha256: x\nx-amz-checksum-type: COMPOSITE",
        "",
    };
    static const char *const wrong[] = {
        "x-amz-checksum-crc32: AAAAAA==",
        "x-amz-checksum-sha1: 98O8HYCOBHMq32eZZczDTKeuNEA=",
        "x-amz-checksum-crc64nvme: rosUhgp5mIg\nx-amz-checksum-type: FULL_OBJECT",
    };
    const struct s3_get_object_in whole = {0};
    const struct s3_get_object_in all = {.has_range = true, .range_length = 9};
    const struct s3_get_object_in part = {.has_range = true, .range_length = 8};
    struct s3_error err;
    struct bed b;

    bed_open(&b);
    for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
        assert_int_equal(get_sum(&b, right[i], "123456789", &whole, &err), 0);
        assert_string_equal(bed_header(&b, i, "x-amz-checksum-mode"), "ENABLED");
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        /* The bytes are delivered, so it is not tried again. */
        assert_int_equal(get_sum(&b, wrong[i], "123456789", &whole, &err), -EIO);
        assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
        assert_int_equal(err.tries, 1);
        assert_non_null(strstr(err.message, "checksum"));
    }
    assert_int_equal(get_sum(&b, "x-amz-checksum-crc32: AAAAAA==\nContent-Range: bytes 0-8/9",
                             "123456789", &all, &err),
                     -EIO);
    assert_int_equal(get_sum(&b, "x-amz-checksum-crc32: AAAAAA==\nContent-Range: bytes 0-7/9",
                             "12345678", &part, &err),
                     0);
    bed_close(&b);
}

static void test_checksum_over_two_answers(void **state)
{
    struct s3_get_object_in in = {.checksum_mode = true};
    struct bed_sink sink;
    struct s3_error err;
    struct bed b;

    for (int wrong = 0; wrong < 2; wrong++) {
        bed_open(&b);
        bed_sink_init(&sink);
        bed_answer_cut(&b, 200, V1 "x-amz-checksum-crc32c: 4waSgw==", "123456789", 4);
        bed_answer(&b, 206, V1 "Content-Range: bytes 4-8/9", wrong ? "56780" : "56789");
        assert_int_equal(get(&b, &sink, &in, NULL, &err), wrong ? -EIO : 0);
        bed_close(&b);
    }
}

/* Nothing was delivered yet, so it can be tried again. */
static void test_checksum_of_nothing(void **state)
{
    struct s3_get_object_in in = {.checksum_mode = true};
    struct bed_sink sink;
    struct bed b;

    bed_open(&b);
    bed_sink_init(&sink);
    bed_answer(&b, 200, V1 "x-amz-checksum-crc32c: 4waSgw==", "");
    bed_answer(&b, 200, V2 "x-amz-checksum-crc32c: 4waSgw==", "123456789");
    assert_int_equal(get(&b, &sink, &in, NULL, NULL), 0);
    assert_string_equal(sink.data, "123456789");
    bed_close(&b);
}

/* The first answer promised more than there is. */
static void test_length_was_a_lie(void **state)
{
    struct bed_sink sink;
    struct s3_error err;
    struct bed b;

    bed_open_with(&b, &(struct bed_options){.client.retry.max_attempts = 2});
    bed_sink_init(&sink);
    bed_answer_cut(&b, 200, V1 "Content-Length: 11", TEN "x", 10);
    bed_error(&b, 416, "InvalidRange");
    assert_int_equal(get(&b, &sink, NULL, NULL, &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
    bed_close(&b);
}

/* ---- sinks ---- */

static void test_sink_gives_up(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_error err;

    bed_open(&b);
    bed_sink_init(&sink);
    sink.fail_after = 4;
    assert_int_equal(http_fake_push(b.http,
                                    &(struct http_fake_answer){
                                        .status = 200, .headers = V1, .body = TEN, .chunk = 3}),
                     0);
    assert_int_equal(get(&b, &sink, NULL, NULL, &err), -ENOSPC);
    assert_int_equal(err.kind, S3_ERROR_CANCELLED);
    assert_int_equal(err.tries, 1);
    assert_string_equal(sink.data, "012");
    bed_close(&b);
}

/* The body of an error is not the object. */
static void test_error_body_stays_out(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_error err;

    bed_open(&b);
    bed_sink_init(&sink);
    bed_error(&b, 404, "NoSuchKey");
    assert_int_equal(get(&b, &sink, NULL, NULL, &err), -ENOENT);
    bed_answer(&b, 304, NULL, "");
    assert_true(get(&b, &sink, NULL, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_NOT_MODIFIED);
    assert_int_equal(sink.len, 0);
    assert_int_equal(sink.begins, 0);
    bed_close(&b);
}

static int take_head(void *ctx, const struct s3_head_object_out *head)
{
    struct bed_sink *s = ctx;

    assert_int_equal(s->len, 0);
    assert_int_equal(head->object_size, 10);
    assert_string_equal(head->etag, "\"v1\"");
    return s->fail_after ? -EFBIG : 0;
}

static void test_head_callback(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_error err;
    struct s3_get_object_in in = middle;

    in.head = take_head;
    bed_open(&b);
    bed_sink_init(&sink);
    bed_answer(&b, 206, V1 "Content-Range: bytes 2-7/10", "234567");
    assert_int_equal(get(&b, &sink, &in, NULL, &err), 0);
    sink.len = 0;
    sink.fail_after = 1;
    bed_answer(&b, 206, V1 "Content-Range: bytes 2-7/10", "234567");
    assert_int_equal(get(&b, &sink, &in, NULL, &err), -EFBIG);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on_after_cuts),
        cmocka_unit_test(test_goes_on_within_a_range),
        cmocka_unit_test(test_goes_on_after_a_stall),
        cmocka_unit_test(test_what_is_repeatable),
        cmocka_unit_test(test_object_replaced),
        cmocka_unit_test(test_no_etag_no_rest),
        cmocka_unit_test(test_starts_afresh),
        cmocka_unit_test(test_wrong_ranges),
        cmocka_unit_test(test_end_of_object),
        cmocka_unit_test(test_empty_object),
        cmocka_unit_test(test_range_ignored),
        cmocka_unit_test(test_range_ignored_far_out),
        cmocka_unit_test(test_rest_of_wrong_length),
        cmocka_unit_test(test_checksums),
        cmocka_unit_test(test_checksum_over_two_answers),
        cmocka_unit_test(test_checksum_of_nothing),
        cmocka_unit_test(test_length_was_a_lie),
        cmocka_unit_test(test_sink_gives_up),
        cmocka_unit_test(test_error_body_stays_out),
        cmocka_unit_test(test_head_callback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
