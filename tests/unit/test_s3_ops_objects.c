/* SPDX-License-Identifier: Apache-2.0 */
/* The operations on objects and multipart uploads, once each: the request as it goes out, byte by
 * byte, and what is read out of the answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "s3_request_check.h"

static const struct s3_metadata metadata[] = {{"mtime", "1700000000.000000001"}, {"mode", "33188"}};
static const struct s3_object_attrs attrs = {
    .content_type = "text/plain",
    .content_encoding = "gzip",
    .content_disposition = "inline",
    .content_language = "de",
    .cache_control = "no-store",
    .storage_class = "STANDARD_IA",
    .metadata = metadata,
    .n_metadata = ARRAY_SIZE(metadata),
};
#define ATTRS_HEADERS                                                                              \
    "Content-Type: text/plain\nContent-Encoding: gzip\nContent-Disposition: inline\n"              \
    "Content-Language: de\nCache-Control: no-store\n"                                              \
    "x-amz-meta-mtime: 1700000000.000000001\nx-amz-meta-mode: 33188\n"

/* ---- objects ---- */

static const char object_headers[] =
    "ETag: \"abc\"\nLast-Modified: Sun, 22 Nov 2026 15:00:00 GMT\nContent-Type: image/png\n"
    "x-amz-version-id: v7\nContent-Encoding: gzip\nContent-Disposition: inline\n"
    "Content-Language: en\nCache-Control: no-cache\nx-amz-storage-class: GLACIER\n"
    "x-amz-restore: ongoing-request=\"false\"\nX-Amz-Meta-Color: blue  green\nx-amz-meta-e:\n"
    "x-amz-mp-parts-count: 3\nx-amz-tagging-count: 2\nx-amz-checksum-type: COMPOSITE\n"
    "x-amz-checksum-crc32: AAAAAA==-3\n";

static void check_object(const struct s3_head_object_out *o)
{
    assert_string_equal(o->etag, "\"abc\"");
    assert_int_equal(o->last_modified_ns, BED_TIME_NS);
    assert_string_equal(o->content_type, "image/png");
    assert_string_equal(o->version_id, "v7");
    assert_string_equal(o->content_encoding, "gzip");
    assert_string_equal(o->content_disposition, "inline");
    assert_string_equal(o->content_language, "en");
    assert_string_equal(o->cache_control, "no-cache");
    assert_string_equal(o->storage_class, "GLACIER");
    assert_string_equal(o->restore, "ongoing-request=\"false\"");
    assert_int_equal(o->n_metadata, 2);
    assert_string_equal(o->metadata[0].name, "color");
    assert_string_equal(o->metadata[0].value, "blue  green");
    assert_string_equal(o->metadata[1].value, "");
    assert_int_equal(o->parts_count, 3);
    assert_int_equal(o->tags_count, 2);
    assert_string_equal(o->checksum_type, "COMPOSITE");
    assert_int_equal(o->n_checksums, 1);
    assert_int_equal(o->checksums[0].algo, S3_CHECKSUM_CRC32);
    assert_string_equal(o->checksums[0].value, "AAAAAA==-3");
}

static void test_head_object(void **state)
{
    struct bed b;
    struct s3_head_object_in in = {
        .bucket = "bkt",
        .key = KEY,
        .version_id = "v 7",
        .part_number = 2,
        .checksum_mode = true,
        .conditions = {.if_match = "\"abc\"",
                       .if_none_match = "\"x\"",
                       .if_modified_since_ns = BED_TIME_NS,
                       .if_unmodified_since_ns = BED_TIME_NS + NS_PER_S}};
    struct s3_head_object_out out = {0};
    char headers[1024];

    bed_open(&b);
    (void)snprintf(headers, sizeof(headers),
                   "%sContent-Length: 100\nContent-Range: bytes 100-199/300", object_headers);
    bed_answer(&b, 206, headers, "");
    assert_int_equal(s3_head_object(b.client, &in, &out, NULL), 0);
    check_request(&b, "HEAD", HOST, KEY_PATH "?versionId=v%207&partNumber=2",
                  "If-Match: \"abc\"\nIf-None-Match: \"x\"\n"
                  "If-Modified-Since: Sun, 22 Nov 2026 15:00:00 GMT\n"
                  "If-Unmodified-Since: Sun, 22 Nov 2026 15:00:01 GMT\n"
                  "x-amz-checksum-mode: ENABLED\n",
                  "", false);
    check_object(&out);
    assert_int_equal(out.content_length, 100);
    assert_int_equal(out.object_size, 300);
    s3_head_object_out_done(&out);
    bed_close(&b);
}

/* A header that makes no sense is not silently a zero. */
static void test_head_object_broken(void **state)
{
    static const char *const headers[] = {
        "Transfer-Encoding: chunked",   "Last-Modified: yesterday",
        "Content-Range: bytes 5-4/10",  "Content-Range: bytes 0-10/10",
        "Content-Range: bytes -1-4/10", "Content-Range: lines 0-4/10",
        "x-amz-mp-parts-count: -1",     "x-amz-mp-parts-count: 99999999999",
        "x-amz-delete-marker: perhaps",
    };
    struct s3_head_object_in in = {.bucket = "bkt", .key = "k"};

    for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
        struct bed b;
        struct s3_head_object_out out = {0};
        struct s3_error err;
        bed_open_with(&b, &(struct bed_options){.client.retry.max_attempts = 1});
        bed_answer(&b, 200, headers[i], "");
        assert_true(s3_head_object(b.client, &in, &out, &err) < 0);
        assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
        assert_null(out.etag);
        bed_close(&b);
    }
}

static void test_get_object(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_get_object_in in = {.bucket = "bkt",
                                  .key = KEY,
                                  .version_id = "v7",
                                  .conditions.if_match = "\"abc\"",
                                  .has_range = true,
                                  .range_offset = 2,
                                  .range_length = 3,
                                  .sink = &sink.sink};
    struct s3_head_object_out out = {0};
    char headers[1024];

    bed_open(&b);
    bed_sink_init(&sink);
    (void)snprintf(headers, sizeof(headers), "%sContent-Range: bytes 2-4/10", object_headers);
    bed_answer(&b, 206, headers, "cde");
    assert_int_equal(s3_get_object(b.client, &in, &out, NULL), 0);
    check_request(&b, "GET", HOST, KEY_PATH "?versionId=v7",
                  "If-Match: \"abc\"\nRange: bytes=2-4\n", "", false);
    check_object(&out);
    assert_int_equal(out.content_length, 3);
    assert_int_equal(out.object_size, 10);
    assert_string_equal(sink.data, "cde");
    assert_int_equal(sink.begins, 1);
    assert_int_equal(sink.status, 206);
    s3_head_object_out_done(&out);
    bed_close(&b);
}

static void test_put_object(void **state)
{
    struct bed b;
    struct iovec body[2] = {{(char[]){"he"}, 2}, {(char[]){"llo"}, 3}};
    struct s3_put_object_in in = {.bucket = "bkt",
                                  .key = KEY,
                                  .body = body,
                                  .n_body = 2,
                                  .attrs = attrs,
                                  .conditions.if_none_match = "*",
                                  .checksum_algo = S3_CHECKSUM_CRC64NVME};
    struct s3_put_object_out out = {0};

    bed_open(&b);
    bed_answer(&b, 200,
               "ETag: \"5d41402abc4b2a76b9719d911017c592\"\nx-amz-version-id: v1\n"
               "Date: Sun, 22 Nov 2026 15:00:02 GMT",
               "");
    assert_int_equal(s3_put_object(b.client, &in, &out, NULL), 0);
    check_request(&b, "PUT", HOST, KEY_PATH,
                  ATTRS_HEADERS "x-amz-storage-class: STANDARD_IA\nIf-None-Match: *\n"
                                "x-amz-sdk-checksum-algorithm: CRC64NVME\n"
                                "x-amz-checksum-crc64nvme: M3eFcAZSQlc=\n",
                  "hello", true);
    assert_string_equal(out.etag, "\"5d41402abc4b2a76b9719d911017c592\"");
    assert_string_equal(out.version_id, "v1");
    assert_int_equal(out.date_ns, BED_TIME_NS + 2 * NS_PER_S);
    bed_close(&b);

    /* Asked for, the body is hashed over TLS too; over plain HTTP always. */
    bed_open_with(&b, &(struct bed_options){.client.sign_payload = true});
    bed_answer(&b, 200, "ETag: \"e\"", "");
    assert_int_equal(s3_put_object(b.client, &in, &out, NULL), 0);
    check_payload_hash(&b, 0, false);
    bed_close(&b);
    /* A 200 that confirms nothing is none. */
    bed_open(&b);
    for (int i = 0; i < 5; i++)
        bed_answer(&b, 200, NULL, "<html>Welcome to our network</html>");
    assert_true(s3_put_object(b.client, &in, &out, NULL) < 0);
    bed_close(&b);
    bed_open_with(&b, &(struct bed_options){.endpoint_url = BED_CUSTOM "/base"});
    bed_answer(&b, 200, "ETag: \"e\"", "");
    assert_int_equal(s3_put_object(b.client, &in, &out, NULL), 0);
    check_payload_hash(&b, 0, false);
    assert_string_equal(bed_request(&b, 0)->url, BED_CUSTOM "/base/bkt" KEY_PATH);
    assert_string_equal(bed_header(&b, 0, "Host"), "127.0.0.1:9000");
    bed_close(&b);
}

static void test_copy_object(void **state)
{
    struct bed b;
    struct s3_copy_object_in in = {
        .bucket = "bkt",
        .key = "new",
        .source_bucket = "src",
        .source_key = KEY,
        .source_version_id = "v/1",
        .source_conditions = {.if_match = "\"a\"", .if_unmodified_since_ns = BED_TIME_NS},
        .conditions.if_none_match = "*",
        .metadata_directive = S3_METADATA_REPLACE,
        .attrs = attrs};
    struct s3_copy_object_out out = {0};
    const char *answer = "<CopyObjectResult><Progress>5</Progress><LastModified>"
                         "2026-11-22T15:00:00.000Z</LastModified><ETag>&quot;n&quot;</ETag>"
                         "</CopyObjectResult>";

    bed_open(&b);
    bed_answer(&b, 200, "x-amz-version-id: v2", answer);
    assert_int_equal(s3_copy_object(b.client, &in, &out, NULL), 0);
    check_request(&b, "PUT", HOST, "/new",
                  "x-amz-copy-source: /src" KEY_PATH "?versionId=v%2F1\n"
                  "x-amz-copy-source-if-match: \"a\"\n"
                  "x-amz-copy-source-if-unmodified-since: Sun, 22 Nov 2026 15:00:00 GMT\n"
                  "If-None-Match: *\nx-amz-metadata-directive: REPLACE\n" ATTRS_HEADERS
                  "x-amz-storage-class: STANDARD_IA\n",
                  "", false);
    assert_string_equal(out.etag, "\"n\"");
    assert_string_equal(out.version_id, "v2");
    assert_int_equal(out.last_modified_ns, BED_TIME_NS);
    bed_close(&b);

    bed_open(&b);
    bed_answer(&b, 200, NULL, answer);
    in.metadata_directive = S3_METADATA_COPY;
    assert_int_equal(s3_copy_object(b.client, &in, &out, NULL), 0);
    assert_string_equal(bed_header(&b, 0, "x-amz-meta-mode"), "");
    assert_string_equal(bed_header(&b, 0, "x-amz-storage-class"), "STANDARD_IA");
    bed_close(&b);
}

static void test_delete_object(void **state)
{
    struct bed b;
    struct s3_delete_object_in in = {
        .bucket = "bkt", .key = KEY, .version_id = "v1", .if_match = "\"e\""};
    struct s3_delete_object_out out = {0};

    bed_open(&b);
    bed_answer(&b, 204, "x-amz-version-id: v9\nx-amz-delete-marker: true", "");
    assert_int_equal(s3_delete_object(b.client, &in, &out, NULL), 0);
    check_request(&b, "DELETE", HOST, KEY_PATH "?versionId=v1", "If-Match: \"e\"\n", "", false);
    assert_true(out.delete_marker);
    assert_string_equal(out.version_id, "v9");
    bed_close(&b);
}

static void test_delete_objects(void **state)
{
    struct bed b;
    const struct s3_delete_entry entries[] = {{"a&<b", NULL, NULL}, {"c\r", "v1", "\"e\""}};
    const struct s3_delete_entry control[] = {{"a\x01", NULL, NULL}};
    struct s3_delete_objects_in in = {.bucket = "bkt", .entries = entries, .n_entries = 2};
    struct s3_delete_objects_out out = {0};
    struct s3_error err;

    bed_open(&b);
    bed_answer(&b, 200, NULL,
               "<DeleteResult><Error><Key>a&amp;&lt;b</Key><Code>AccessDenied</Code><Message>no"
               "</Message></Error><Deleted><Key>c&#13;</Key><VersionId>v1</VersionId>"
               "<DeleteMarkerVersionId>m1</DeleteMarkerVersionId></Deleted></DeleteResult>");
    assert_int_equal(s3_delete_objects(b.client, &in, &out, NULL), 0);
    check_request(&b, "POST", HOST, "/?delete=",
                  "Content-Type: application/xml\nContent-MD5: fkvcbbJp9hkJM/1tuph3QQ==\n",
                  "<Delete " XMLNS "><Object><Key>a&amp;&lt;b</Key></Object><Object>"
                  "<Key>c&#13;</Key><VersionId>v1</VersionId><ETag>&quot;e&quot;</ETag></Object>"
                  "</Delete>",
                  false);
    assert_int_equal(out.n_results, 2);
    assert_int_equal(out.n_failed, 1);
    assert_string_equal(out.results[0].key, "a&<b");
    assert_string_equal(out.results[0].code, "AccessDenied");
    assert_string_equal(out.results[0].message, "no");
    assert_string_equal(out.results[1].key, "c\r");
    assert_null(out.results[1].code);
    assert_null(out.results[0].marker_version_id);
    assert_string_equal(out.results[1].marker_version_id, "m1");
    s3_delete_objects_out_done(&out);
    bed_close(&b);

    /* quiet: only failures are told */
    bed_open(&b);
    in.quiet = true;
    bed_answer(&b, 200, NULL, "<DeleteResult/>");
    assert_int_equal(s3_delete_objects(b.client, &in, &out, NULL), 0);
    assert_int_equal(out.n_results, 0);
    assert_non_null(strstr(bed_request(&b, 0)->body, "<Quiet>true</Quiet>"));
    s3_delete_objects_out_done(&out);
    /* not quiet: an entry that the answer leaves out has an unknown fate */
    in.quiet = false;
    for (int i = 0; i < 5; i++)
        bed_answer(&b, 200, NULL,
                   "<DeleteResult><Deleted><Key>a&amp;&lt;b</Key></Deleted></DeleteResult>");
    assert_true(s3_delete_objects(b.client, &in, &out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
    in.entries = control;
    in.n_entries = 1;
    assert_true(s3_delete_objects(b.client, &in, &out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID);
    in.n_entries = 0;
    assert_true(s3_delete_objects(b.client, &in, &out, &err) < 0);
    in.n_entries = S3_DELETE_BATCH_MAX + 1;
    assert_true(s3_delete_objects(b.client, &in, &out, &err) < 0);
    assert_int_equal(err.tries, 0);
    bed_close(&b);
}

static void test_get_object_attributes(void **state)
{
    struct bed b;
    struct s3_get_object_attributes_in in = {
        .bucket = "bkt", .key = KEY, .version_id = "v1", .max_parts = 2, .part_number_marker = 1};
    struct s3_get_object_attributes_out out = {0};
    struct s3_error err;

    bed_open(&b);
    bed_answer(&b, 200, "Last-Modified: Sun, 22 Nov 2026 15:00:00 GMT",
               "<GetObjectAttributesResponse " XMLNS "><ETag>abc-2</ETag><Checksum><ChecksumSHA256>"
               "x</ChecksumSHA256><ChecksumType>COMPOSITE</ChecksumType></Checksum><ObjectParts>"
               "<PartsCount>3</PartsCount><IsTruncated>true</IsTruncated>"
               "<NextPartNumberMarker>2</NextPartNumberMarker><Part><PartNumber>2</PartNumber>"
               "<Size>5</Size><ChecksumSHA256>y</ChecksumSHA256></Part></ObjectParts>"
               "<StorageClass>STANDARD</StorageClass><ObjectSize>15</ObjectSize>"
               "</GetObjectAttributesResponse>");
    assert_int_equal(s3_get_object_attributes(b.client, &in, &out, NULL), 0);
    check_request(&b, "GET", HOST, KEY_PATH "?attributes=&versionId=v1",
                  "x-amz-object-attributes: ETag,Checksum,ObjectParts,StorageClass,ObjectSize\n"
                  "x-amz-max-parts: 2\nx-amz-part-number-marker: 1\n",
                  "", false);
    assert_string_equal(out.etag, "abc-2");
    assert_int_equal(out.checksum.algo, S3_CHECKSUM_SHA256);
    assert_string_equal(out.checksum_type, "COMPOSITE");
    assert_int_equal(out.object_size, 15);
    assert_int_equal(out.total_parts, 3);
    assert_int_equal(out.n_parts, 1);
    assert_int_equal(out.parts[0].size, 5);
    assert_string_equal(out.parts[0].checksum.value, "y");
    assert_true(out.is_truncated);
    assert_int_equal(out.next_part_number_marker, 2);
    assert_int_equal(out.last_modified_ns, BED_TIME_NS);
    s3_get_object_attributes_out_done(&out);
    /* A server that takes it for a GET of the object itself */
    bed_answer(&b, 200, "Accept-Ranges: bytes", "the object's bytes");
    assert_true(s3_get_object_attributes(b.client, &in, &out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_UNSUPPORTED);
    assert_int_equal(err.tries, 1);
    bed_close(&b);
}

/* ---- multipart ---- */

static void test_create_multipart_upload(void **state)
{
    struct bed b;
    struct s3_create_multipart_upload_in in = {
        .bucket = "bkt", .key = KEY, .attrs = attrs, .checksum_algo = S3_CHECKSUM_CRC32C};
    struct s3_create_multipart_upload_out out = {0};

    bed_open(&b);
    bed_answer(&b, 200, NULL,
               "<InitiateMultipartUploadResult><Bucket>bkt</Bucket><Key>&#x01;</Key>"
               "<UploadId>up/1</UploadId></InitiateMultipartUploadResult>");
    assert_int_equal(s3_create_multipart_upload(b.client, &in, &out, NULL), 0);
    check_request(&b, "POST", HOST, KEY_PATH "?uploads=",
                  ATTRS_HEADERS "x-amz-storage-class: STANDARD_IA\n"
                                "x-amz-checksum-algorithm: CRC32C\n",
                  "", false);
    assert_string_equal(out.upload_id, "up/1");
    bed_close(&b);
}

static void test_upload_part(void **state)
{
    struct bed b;
    struct iovec body = {(char[]){"123456789"}, 9};
    struct s3_upload_part_in in = {.bucket = "bkt",
                                   .key = KEY,
                                   .upload_id = "up/1",
                                   .part_number = 10000,
                                   .body = &body,
                                   .n_body = 1,
                                   .checksum_algo = S3_CHECKSUM_CRC32};
    struct s3_upload_part_out out = {0};
    struct s3_error err;

    bed_open(&b);
    bed_answer(&b, 200, "ETag: \"p\"\nx-amz-checksum-crc32: y/Q5Jg==", "");
    assert_int_equal(s3_upload_part(b.client, &in, &out, NULL), 0);
    assert_false(out.may_come);
    check_request(&b, "PUT", HOST, KEY_PATH "?partNumber=10000&uploadId=up%2F1",
                  "Content-Type: application/octet-stream\n"
                  "x-amz-sdk-checksum-algorithm: CRC32\nx-amz-checksum-crc32: y/Q5Jg==\n",
                  "123456789", true);
    assert_string_equal(out.etag, "\"p\"");
    assert_int_equal(out.checksum.algo, S3_CHECKSUM_CRC32);
    assert_string_equal(out.checksum.value, "y/Q5Jg==");
    /* A server that does not repeat the checksum is not told of it at the end. */
    for (int other = 0; other < 2; other++) {
        bed_answer(&b, 200, other ? "ETag: \"p\"\nx-amz-checksum-crc32: AAAAAA==" : "ETag: \"p\"",
                   "");
        assert_int_equal(s3_upload_part(b.client, &in, &out, NULL), 0);
        assert_int_equal(out.checksum.algo, S3_CHECKSUM_NONE);
    }
    /* A first try may have its effect yet. */
    bed_error(&b, 500, "InternalError");
    bed_answer(&b, 200, "ETag: \"p\"", "");
    assert_int_equal(s3_upload_part(b.client, &in, &out, NULL), 0);
    assert_true(out.may_come);
    in.part_number = 10001;
    assert_true(s3_upload_part(b.client, &in, &out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID);
    in.part_number = 0;
    assert_true(s3_upload_part(b.client, &in, &out, &err) < 0);
    in.part_number = 1;
    in.upload_id = NULL;
    assert_true(s3_upload_part(b.client, &in, &out, &err) < 0);
    bed_close(&b);
}

/* A gate that drops the body and answers 200. */
static void test_nothing_of_the_body_was_stored(void **state)
{
    static const char NOTHING[] = "ETag: \"d41d8cd98f00b204e9800998ecf8427e\"";
    struct bed b;
    struct iovec body[2] = {{(char[]){""}, 0}, {(char[]){"x"}, 1}};
    struct s3_put_object_in put = {.bucket = "bkt", .key = "k", .body = body, .n_body = 1};
    struct s3_upload_part_in part = {
        .bucket = "bkt", .key = "k", .upload_id = "u", .part_number = 1, .body = body, .n_body = 1};
    struct s3_put_object_out put_out = {0};
    struct s3_upload_part_out part_out = {0};
    struct s3_error err;
    struct bed_options once = {.client.retry.max_attempts = 1};

    bed_open_with(&b, &once);
    for (int n = 1; n <= 2; n++) {
        put.n_body = part.n_body = n;
        bed_answer(&b, 200, NOTHING, "");
        assert_int_equal(s3_put_object(b.client, &put, &put_out, &err), n == 1 ? 0 : -EIO);
        if (n == 2)
            assert_non_null(strstr(err.message, "stored nothing"));
        bed_answer(&b, 200, NOTHING, "");
        assert_int_equal(s3_upload_part(b.client, &part, &part_out, &err), n == 1 ? 0 : -EIO);
        if (n == 2)
            assert_non_null(strstr(err.message, "stored nothing"));
    }
    bed_close(&b);
}

/* On the way to this machine's own server a part has only its checksum, once the server has shown
 * that it looks at them. */
static void test_unsigned_part(void **state)
{
    static const struct {
        const char *endpoint;
        bool sign_payload;
        enum s3_checksum_algo algo;
        const char *told; /* in each answer */
        bool first, second;
    } rows[] = {
        {BED_CUSTOM, false, S3_CHECKSUM_CRC32, "x-amz-checksum-crc32: y/Q5Jg==", false, true},
        {"http://localhost:1/base", false, S3_CHECKSUM_CRC32,
         "x-amz-checksum-crc32: y/Q5Jg==", false, true},
        {BED_CUSTOM, true, S3_CHECKSUM_CRC32, "x-amz-checksum-crc32: y/Q5Jg==", false, false},
        {BED_CUSTOM, false, S3_CHECKSUM_NONE, "x-amz-checksum-crc32: y/Q5Jg==", false, false},
        {BED_CUSTOM, false, S3_CHECKSUM_CRC32, "x-amz-checksum-crc32: AAAAAA==", false, false},
        {BED_CUSTOM, false, S3_CHECKSUM_CRC32, "x: y", false, false},
        {"http://10.0.0.1:80", false, S3_CHECKSUM_CRC32, "x-amz-checksum-crc32: y/Q5Jg==", false,
         false},
        {"https://10.0.0.1", false, S3_CHECKSUM_CRC32, "x: y", true, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bed b;
        char headers[100];
        struct iovec body = {(char[]){"123456789"}, 9};
        struct s3_upload_part_in in = {.bucket = "bkt",
                                       .key = "k",
                                       .upload_id = "u",
                                       .part_number = 1,
                                       .body = &body,
                                       .n_body = 1,
                                       .checksum_algo = rows[i].algo};
        struct s3_put_object_in put = {
            .bucket = "bkt", .key = "k", .body = &body, .n_body = 1, .checksum_algo = rows[i].algo};
        struct s3_upload_part_out out = {0};
        struct s3_put_object_out put_out = {0};
        bed_open_with(&b, &(struct bed_options){.endpoint_url = rows[i].endpoint,
                                                .client.sign_payload = rows[i].sign_payload});
        (void)snprintf(headers, sizeof(headers), "ETag: \"p\"\n%s", rows[i].told);
        for (int k = 0; k < 3; k++)
            bed_answer(&b, 200, headers, "");
        assert_int_equal(s3_upload_part(b.client, &in, &out, NULL), 0);
        check_payload_hash(&b, 0, rows[i].first);
        assert_int_equal(s3_upload_part(b.client, &in, &out, NULL), 0);
        check_payload_hash(&b, 1, rows[i].second);
        assert_int_equal(s3_put_object(b.client, &put, &put_out, NULL), 0);
        check_payload_hash(&b, 2, rows[i].first);
        bed_close(&b);
    }
}

static void test_upload_part_copy(void **state)
{
    struct bed b;
    struct s3_upload_part_copy_in in = {.bucket = "bkt",
                                        .key = "k",
                                        .upload_id = "u",
                                        .part_number = 3,
                                        .source_bucket = "bkt",
                                        .source_key = KEY,
                                        .source_conditions.if_match = "\"s\"",
                                        .has_range = true,
                                        .range_offset = 5,
                                        .range_length = 10};
    struct s3_copy_object_out out = {0};
    struct s3_error err;

    bed_open(&b);
    bed_answer(&b, 200, NULL,
               "<CopyPartResult><ETag>\"c\"</ETag><LastModified>2026-11-22T15:00:00.000Z"
               "</LastModified></CopyPartResult>");
    assert_int_equal(s3_upload_part_copy(b.client, &in, &out, NULL), 0);
    check_request(&b, "PUT", HOST, "/k?partNumber=3&uploadId=u",
                  "x-amz-copy-source: /bkt" KEY_PATH "\nx-amz-copy-source-if-match: \"s\"\n"
                  "x-amz-copy-source-range: bytes=5-14\n",
                  "", false);
    assert_string_equal(out.etag, "\"c\"");
    in.range_length = 0;
    assert_true(s3_upload_part_copy(b.client, &in, &out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID);
    in.range_offset = UINT64_MAX;
    in.range_length = 2;
    assert_true(s3_upload_part_copy(b.client, &in, &out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID);
    bed_close(&b);
}

static void test_complete_multipart_upload(void **state)
{
    struct bed b;
    const struct s3_completed_part parts[] = {
        {1, "\"e1\"", {.algo = S3_CHECKSUM_CRC64NVME, .value = "AAAAAAAAAAA="}},
        {3, "\"e3\"", {0}}};
    const struct s3_completed_part unordered[] = {{3, "\"e3\"", {0}}, {1, "\"e1\"", {0}}};
    struct s3_complete_multipart_upload_in in = {.bucket = "bkt",
                                                 .key = KEY,
                                                 .upload_id = "u",
                                                 .parts = parts,
                                                 .n_parts = 2,
                                                 .object_size = 5368709121,
                                                 .conditions.if_match = "\"old\""};
    struct s3_put_object_out out = {0};
    struct s3_error err;

    bed_open(&b);
    bed_answer(&b, 200, "x-amz-version-id: v3",
               "  \n \n<?xml version=\"1.0\"?>\n   <CompleteMultipartUploadResult><ETag>"
               "&quot;abc-2&quot;</ETag></CompleteMultipartUploadResult>");
    assert_int_equal(s3_complete_multipart_upload(b.client, &in, &out, NULL), 0);
    check_request(&b, "POST", HOST, KEY_PATH "?uploadId=u",
                  "If-Match: \"old\"\nx-amz-mp-object-size: 5368709121\n"
                  "Content-Type: application/xml\n",
                  "<CompleteMultipartUpload " XMLNS "><Part><PartNumber>1</PartNumber>"
                  "<ETag>&quot;e1&quot;</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME>"
                  "</Part><Part><PartNumber>3</PartNumber><ETag>&quot;e3&quot;</ETag></Part>"
                  "</CompleteMultipartUpload>",
                  false);
    assert_string_equal(out.etag, "\"abc-2\"");
    assert_string_equal(out.version_id, "v3");
    in.parts = unordered;
    assert_true(s3_complete_multipart_upload(b.client, &in, &out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID);
    bed_close(&b);
}

/* A server that did not understand the list of parts, and made an object of fewer. */
static void test_completed_with_other_parts(void **state)
{
    static const struct {
        const char *etag;
        int result;
    } rows[] = {
        {"d41d8cd98f00b204e9800998ecf8427e-2", 0},    {"d41d8cd98f00b204e9800998ecf8427e-0", -EIO},
        {"d41d8cd98f00b204e9800998ecf8427e-1", -EIO}, {"d41d8cd98f00b204e9800998ecf8427e-12", -EIO},
        {"d41d8cd98f00b204e9800998ecf8427e", 0},      {"made-1", 0},
        {"d41d8cd98f00b204e9800998ecf8427e-x", 0},    {"-1", 0},
    };
    const struct s3_completed_part parts[] = {{1, "\"e1\"", {0}}, {3, "\"e3\"", {0}}};
    struct s3_complete_multipart_upload_in in = {
        .bucket = "bkt", .key = KEY, .upload_id = "u", .parts = parts, .n_parts = 2};
    struct bed_options once = {.client.retry.max_attempts = 1};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char xml[200];
        struct bed b;
        struct s3_put_object_out out = {0};
        struct s3_error err;

        bed_open_with(&b, &once);
        (void)snprintf(xml, sizeof(xml),
                       "<CompleteMultipartUploadResult><ETag>&quot;%s&quot;</ETag>"
                       "</CompleteMultipartUploadResult>",
                       rows[i].etag);
        bed_answer(&b, 200, NULL, xml);
        assert_int_equal(s3_complete_multipart_upload(b.client, &in, &out, &err), rows[i].result);
        if (rows[i].result)
            assert_non_null(strstr(err.message, "parts, not of 2"));
        bed_close(&b);
    }
}

static void test_abort_multipart_upload(void **state)
{
    struct bed b;
    struct s3_abort_multipart_upload_in in = {.bucket = "bkt", .key = KEY, .upload_id = "u/1"};

    bed_open(&b);
    bed_answer(&b, 204, NULL, "");
    assert_int_equal(s3_abort_multipart_upload(b.client, &in, NULL), 0);
    check_request(&b, "DELETE", HOST, KEY_PATH "?uploadId=u%2F1", "", "", false);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_object),
        cmocka_unit_test(test_head_object_broken),
        cmocka_unit_test(test_get_object),
        cmocka_unit_test(test_put_object),
        cmocka_unit_test(test_copy_object),
        cmocka_unit_test(test_delete_object),
        cmocka_unit_test(test_delete_objects),
        cmocka_unit_test(test_get_object_attributes),
        cmocka_unit_test(test_create_multipart_upload),
        cmocka_unit_test(test_upload_part),
        cmocka_unit_test(test_nothing_of_the_body_was_stored),
        cmocka_unit_test(test_unsigned_part),
        cmocka_unit_test(test_upload_part_copy),
        cmocka_unit_test(test_complete_multipart_upload),
        cmocka_unit_test(test_completed_with_other_parts),
        cmocka_unit_test(test_abort_multipart_upload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
