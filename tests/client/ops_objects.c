/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: bytes, attributes, ranges, conditions, checksums, copies, deletes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "client_ops.h"

#define HELLO_MD5 "\"5d41402abc4b2a76b9719d911017c592\"" /* "hello" */

static void test_round_trip(struct ops *o)
{
    const struct s3_metadata meta[] = {{"mtime", "1700000000.123456789"}, {"empty", ""}};
    struct iovec parts[2] = {{(void *)(uintptr_t) "he", 2}, {(void *)(uintptr_t) "llo", 3}};
    struct s3_put_object_in put = {
        .bucket = o->bucket,
        .key = "dir/hello",
        .body = parts,
        .n_body = 2,
        .attrs = {.content_type = "text/plain; charset=utf-8",
                  .cache_control = "no-cache",
                  .content_disposition = "attachment",
                  .content_language = "en",
                  .metadata = meta,
                  .n_metadata = ARRAY_SIZE(meta)},
    };
    struct s3_put_object_out stored = {0};
    struct s3_head_object_in head = {.bucket = o->bucket, .key = put.key};
    struct s3_head_object_out out = {0};
    struct ops_sink sink;
    struct s3_error err = {0};
    int r = s3_put_object(o->client, &put, &stored, &err);

    CHECK_OK(o, r, &err);
    CHECK_STR(o, stored.etag, HELLO_MD5);
    CHECK(o, stored.date_ns > 0);
    r = s3_head_object(o->client, &head, &out, &err);
    CHECK_OK(o, r, &err);
    if (r == 0) {
        CHECK_NUM(o, out.content_length, 5);
        CHECK_NUM(o, out.object_size, 5);
        CHECK_STR(o, out.etag, HELLO_MD5);
        CHECK_STR(o, out.content_type, "text/plain; charset=utf-8");
        CHECK_STR(o, out.cache_control, "no-cache");
        CHECK_STR(o, out.content_disposition, "attachment");
        CHECK_STR(o, out.content_language, "en");
        CHECK(o, out.last_modified_ns > 0 && out.last_modified_ns <= stored.date_ns + NS_PER_S);
        bool mtime = false;
        for (size_t i = 0; i < out.n_metadata; i++)
            mtime = mtime || (!strcmp(out.metadata[i].name, "mtime") &&
                              !strcmp(out.metadata[i].value, "1700000000.123456789"));
        CHECK(o, mtime);
        s3_head_object_out_done(&out);
    }
    ops_sink_init(&sink);
    r = ops_get(o, put.key, &sink, &err);
    CHECK_OK(o, r, &err);
    CHECK_STR(o, strbuf_str(&sink.data), "hello");
    (void)ops_put(o, "empty", "", NULL);
    r = ops_get(o, "empty", &sink, &err);
    CHECK_OK(o, r, &err);
    CHECK_NUM(o, sink.data.len, 0);
    r = ops_get(o, "absent", &sink, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_NO_SUCH_KEY);
    CHECK_STR(o, err.code, "NoSuchKey");
    ops_sink_done(&sink);
    head.key = "absent";
    r = s3_head_object(o->client, &head, &out, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_NO_SUCH_KEY);
}

static void check_range(struct ops *o, uint64_t offset, uint64_t length, const char *want)
{
    struct ops_sink sink;
    struct s3_get_object_in in = {.bucket = o->bucket,
                                  .key = "range",
                                  .has_range = true,
                                  .range_offset = offset,
                                  .range_length = length};
    struct s3_head_object_out out = {0};
    struct s3_error err = {0};
    int r;

    ops_sink_init(&sink);
    in.sink = &sink.sink;
    r = s3_get_object(o->client, &in, &out, &err);
    if (!want) {
        CHECK_KIND(o, r, &err, S3_ERROR_BAD_RANGE);
    } else {
        CHECK_OK(o, r, &err);
        CHECK_STR(o, strbuf_str(&sink.data), want);
        CHECK_NUM(o, out.content_length, strlen(want));
        CHECK_NUM(o, out.object_size, 10);
    }
    s3_head_object_out_done(&out);
    ops_sink_done(&sink);
}

static void test_ranges(struct ops *o)
{
    (void)ops_put(o, "range", "0123456789", NULL);
    check_range(o, 0, 1, "0");
    check_range(o, 3, 4, "3456");
    check_range(o, 3, 0, "3456789");
    check_range(o, 0, 10, "0123456789");
    check_range(o, 9, 100, "9");
    check_range(o, 10, 1, NULL);
}

static void test_odd_keys(struct ops *o)
{
    static const char *const keys[] = {
        "sp ace",
        "pl+us",
        "per%cent",
        "%2F",
        "a//b",
        "/lead",
        "trail/",
        "..",
        ".",
        "a/../b",
        "a/./b",
        "q?m",
        "h#sh",
        "am&p<>'\"",
        "back\\slash",
        "tab\there",
        "new\nline",
        "cr\rhere",
        "ctl\x01",
        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
        "semi;colon=,:@$!*()",
    };
    struct s3_list_objects_v2_in in = {.bucket = o->bucket, .prefix = "odd:"};
    struct s3_list_objects_v2_out page = {0};
    struct ops_sink sink;
    struct s3_error err = {0};
    char key[128];
    int r;

    ops_sink_init(&sink);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        (void)snprintf(key, sizeof(key), "odd:%s", keys[i]);
        if (ops_put(o, key, keys[i], NULL))
            continue;
        r = ops_get(o, key, &sink, &err);
        CHECK_OK(o, r, &err);
        CHECK_STR(o, strbuf_str(&sink.data), keys[i]);
    }
    r = s3_list_objects_v2(o->client, &in, &page, &err);
    CHECK_OK(o, r, &err);
    CHECK_NUM(o, page.n_objects, ARRAY_SIZE(keys));
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        bool found = false;
        (void)snprintf(key, sizeof(key), "odd:%s", keys[i]);
        for (size_t j = 0; j < page.n_objects; j++)
            found = found || !strcmp(page.objects[j].key, key);
        ops_check(o, found, __FILE__, __LINE__, "'%s' is not listed", key);
    }
    for (size_t i = 1; i < page.n_objects; i++)
        CHECK(o, strcmp(page.objects[i - 1].key, page.objects[i].key) < 0);
    s3_list_objects_v2_out_done(&page);
    ops_sink_done(&sink);
}

static void test_checksums(struct ops *o)
{
    static const char *const want[S3_CHECKSUM_MAX] = {
        /* of "123456789"; CRCs as in base/crc.h, the rest from openssl dgst */
        [S3_CHECKSUM_CRC32] = "y/Q5Jg==",
        [S3_CHECKSUM_CRC32C] = "4waSgw==",
        [S3_CHECKSUM_CRC64NVME] = "rosUhgp5mIg=",
        [S3_CHECKSUM_SHA1] = "98O8HYCOBHMq32eZZczDTKeuNEE=",
        [S3_CHECKSUM_SHA256] = "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
    };

    for (unsigned a = S3_CHECKSUM_CRC32; a < S3_CHECKSUM_MAX; a++) {
        struct iovec body = {(void *)(uintptr_t) "123456789", 9};
        struct s3_put_object_in put = {.bucket = o->bucket,
                                       .key = "sum",
                                       .body = &body,
                                       .n_body = 1,
                                       .checksum_algo = (enum s3_checksum_algo)a};
        struct s3_put_object_out stored = {0};
        struct s3_get_object_in get = {.bucket = o->bucket, .key = "sum", .checksum_mode = true};
        struct s3_head_object_out out = {0};
        struct ops_sink sink;
        struct s3_error err = {0};
        int r = s3_put_object(o->client, &put, &stored, &err);

        CHECK_OK(o, r, &err);
        ops_sink_init(&sink);
        get.sink = &sink.sink;
        r = s3_get_object(o->client, &get, &out, &err);
        CHECK_OK(o, r, &err);
        CHECK_STR(o, strbuf_str(&sink.data), "123456789");
        if (o->strict) {
            CHECK_NUM(o, out.n_checksums, 1);
            CHECK_NUM(o, out.checksums[0].algo, a);
            CHECK_STR(o, out.checksums[0].value, want[a]);
        }
        s3_head_object_out_done(&out);
        ops_sink_done(&sink);
    }
}

static void test_attributes(struct ops *o)
{
    struct s3_get_object_attributes_in in = {.bucket = o->bucket, .key = "range"};
    struct s3_get_object_attributes_out out = {0};
    struct s3_error err = {0};
    int r = s3_get_object_attributes(o->client, &in, &out, &err);

    if (!o->strict) {
        CHECK_KIND(o, r, &err, S3_ERROR_UNSUPPORTED);
        CHECK_NUM(o, err.tries, 1);
        return;
    }
    CHECK_OK(o, r, &err);
    CHECK_NUM(o, out.object_size, 10);
    CHECK(o, r || !strcmp(out.etag, "781e5e245d69b566979b86e28d23f2c7"));
    s3_get_object_attributes_out_done(&out);
}

static void test_copies(struct ops *o)
{
    const struct s3_metadata meta[] = {{"color", "blue"}};
    struct s3_copy_object_in in = {.bucket = o->bucket,
                                   .key = "copy of/sp ace+",
                                   .source_bucket = o->bucket,
                                   .source_key = "odd:sp ace"};
    struct s3_copy_object_out out = {0};
    struct s3_head_object_in head = {.bucket = o->bucket, .key = in.key};
    struct s3_head_object_out found = {0};
    struct ops_sink sink;
    struct s3_error err = {0};
    int r = s3_copy_object(o->client, &in, &out, &err);

    CHECK_OK(o, r, &err);
    CHECK(o, out.etag[0] == '"' && out.last_modified_ns > 0);
    ops_sink_init(&sink);
    r = ops_get(o, in.key, &sink, &err);
    CHECK_OK(o, r, &err);
    CHECK_STR(o, strbuf_str(&sink.data), "sp ace");
    ops_sink_done(&sink);

    in.metadata_directive = S3_METADATA_REPLACE;
    in.attrs = (struct s3_object_attrs){
        .content_type = "text/css", .metadata = meta, .n_metadata = ARRAY_SIZE(meta)};
    r = s3_copy_object(o->client, &in, &out, &err);
    CHECK_OK(o, r, &err);
    r = s3_head_object(o->client, &head, &found, &err);
    CHECK_OK(o, r, &err);
    CHECK_STR(o, found.content_type, "text/css");
    CHECK_NUM(o, found.n_metadata, 1);
    s3_head_object_out_done(&found);

    in.source_key = "absent";
    r = s3_copy_object(o->client, &in, &out, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_NO_SUCH_KEY);
    if (!o->strict)
        return; /* ignores conditions on the source */
    in.source_key = "odd:sp ace";
    in.source_conditions.if_match = "\"00000000000000000000000000000000\"";
    r = s3_copy_object(o->client, &in, &out, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_PRECONDITION);
}

static void test_deletes(struct ops *o)
{
    const struct s3_delete_entry entries[] = {{.key = "odd:sp ace"},
                                              {.key = "odd:am&p<>'\""},
                                              {.key = "was-never-there"},
                                              {.key = "odd:cr\rhere"}};
    const struct s3_delete_entry impossible[] = {{.key = "odd:ctl\x01"}};
    struct s3_delete_objects_in in = {
        .bucket = o->bucket, .entries = entries, .n_entries = ARRAY_SIZE(entries)};
    struct s3_delete_objects_out out = {0};
    struct s3_delete_object_in one = {.bucket = o->bucket, .key = "odd:ctl\x01"};
    struct s3_delete_object_out gone = {0};
    struct ops_sink sink;
    struct s3_error err = {0};
    int r = s3_delete_objects(o->client, &in, &out, &err);

    CHECK_OK(o, r, &err);
    CHECK_NUM(o, out.n_results, ARRAY_SIZE(entries));
    CHECK_NUM(o, out.n_failed, 0);
    s3_delete_objects_out_done(&out);
    ops_sink_init(&sink);
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
        r = ops_get(o, entries[i].key, &sink, &err);
        CHECK_KIND(o, r, &err, S3_ERROR_NO_SUCH_KEY);
    }
    in.entries = impossible;
    in.n_entries = 1;
    r = s3_delete_objects(o->client, &in, &out, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_INVALID);
    r = s3_delete_object(o->client, &one, &gone, &err);
    CHECK_OK(o, r, &err);
    r = ops_get(o, one.key, &sink, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_NO_SUCH_KEY);
    r = s3_delete_object(o->client, &one, &gone,
                         &err); /* deleting what is not there is a success */
    CHECK_OK(o, r, &err);
    ops_sink_done(&sink);
}

void ops_test_objects(struct ops *o)
{
    test_round_trip(o);
    test_ranges(o);
    test_odd_keys(o);
    test_checksums(o);
    test_attributes(o);
    test_copies(o);
    test_deletes(o);
}

/* ---- conditions ---- */

static int conditional_get(struct ops *o, const struct s3_conditions *c, struct s3_error *err)
{
    struct ops_sink sink;
    struct s3_get_object_in in = {.bucket = o->bucket, .key = "cond", .conditions = *c};
    struct s3_head_object_out out = {0};
    int r;

    ops_sink_init(&sink);
    in.sink = &sink.sink;
    r = s3_get_object(o->client, &in, &out, err);
    s3_head_object_out_done(&out);
    ops_sink_done(&sink);
    return r;
}

void ops_test_conditions(struct ops *o)
{
    const char *other = "\"00000000000000000000000000000000\"";
    struct iovec body = {(void *)(uintptr_t) "new", 3};
    struct s3_put_object_in put = {.bucket = o->bucket, .key = "cond", .body = &body, .n_body = 1};
    struct s3_put_object_out stored = {0};
    struct s3_error err = {0};
    struct s3_conditions c = {.if_none_match = "*"};
    int r;

    put.conditions = c;
    r = s3_put_object(o->client, &put, &stored, &err);
    CHECK_OK(o, r, &err);
    r = s3_put_object(o->client, &put, &stored, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_PRECONDITION);
    CHECK_NUM(o, err.tries, 1);
    CHECK(o, strstr(err.message, "unknown") == NULL);
    c = (struct s3_conditions){.if_match = stored.etag};
    r = conditional_get(o, &c, &err);
    CHECK_OK(o, r, &err);
    c = (struct s3_conditions){.if_match = other};
    r = conditional_get(o, &c, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_PRECONDITION);
    c = (struct s3_conditions){.if_none_match = stored.etag};
    r = conditional_get(o, &c, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_NOT_MODIFIED);
    c = (struct s3_conditions){.if_modified_since_ns = stored.date_ns + 3600 * NS_PER_S};
    c.if_modified_since_ns = stored.date_ns;
    c.if_unmodified_since_ns = 0;
    r = conditional_get(o, &c, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_NOT_MODIFIED);
    c = (struct s3_conditions){.if_unmodified_since_ns = stored.date_ns - 3600 * NS_PER_S};
    r = conditional_get(o, &c, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_PRECONDITION);
    if (!o->strict)
        return; /* takes If-Match on PUT unquoted only, and no condition on DELETE */
    put.conditions = (struct s3_conditions){.if_match = other};
    r = s3_put_object(o->client, &put, &stored, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_PRECONDITION);
    struct s3_delete_object_in del = {.bucket = o->bucket, .key = "cond", .if_match = other};
    struct s3_delete_object_out gone = {0};
    r = s3_delete_object(o->client, &del, &gone, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_PRECONDITION);
}
