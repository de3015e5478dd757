/* SPDX-License-Identifier: Apache-2.0 */
/* The operations on buckets and lists, once each: the request as it goes out, byte by byte, and
 * what is read out of the answer. Also inputs that are refused, presigned URLs, unsigned requests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "s3_request_check.h"

/* ---- buckets ---- */

static void test_list_buckets(void **state)
{
    struct bed b;
    struct s3_list_buckets_in in = {.prefix = "p", .continuation_token = "t/=", .max_buckets = 2};
    struct s3_list_buckets_out out = {0};

    bed_open(&b);
    bed_answer(&b, 200, NULL,
               "<ListAllMyBucketsResult " XMLNS "><Owner><ID>o</ID></Owner><Buckets><Bucket>"
               "<Name>one</Name><CreationDate>2026-11-22T15:00:00.000Z</CreationDate>"
               "<BucketRegion>eu-west-1</BucketRegion></Bucket><Bucket><Name>two</Name></Bucket>"
               "</Buckets><ContinuationToken>next</ContinuationToken></ListAllMyBucketsResult>");
    assert_int_equal(s3_list_buckets(b.client, &in, &out, NULL), 0);
    check_request(&b, "GET", SERVICE_HOST, "/?prefix=p&continuation-token=t%2F%3D&max-buckets=2",
                  "", "", false);
    assert_int_equal(out.n_buckets, 2);
    assert_string_equal(out.buckets[0].name, "one");
    assert_int_equal(out.buckets[0].creation_ns, BED_TIME_NS);
    assert_string_equal(out.buckets[0].region, "eu-west-1");
    assert_null(out.buckets[1].region);
    assert_string_equal(out.continuation_token, "next");
    s3_list_buckets_out_done(&out);
    bed_close(&b);
}

static void test_create_bucket(void **state)
{
    struct bed b;
    struct s3_create_bucket_in in = {.bucket = "bkt"};

    bed_open(&b);
    bed_answer(&b, 200, "Location: /bkt", "");
    assert_int_equal(s3_create_bucket(b.client, &in, NULL), 0);
    check_request(&b, "PUT", HOST, "/", "", "", false);
    bed_close(&b);

    bed_open_with(&b, &(struct bed_options){.region = "eu-west-1"});
    bed_answer(&b, 200, NULL, "");
    assert_int_equal(s3_create_bucket(b.client, &in, NULL), 0);
    assert_string_equal(bed_request(&b, 0)->body,
                        "<CreateBucketConfiguration " XMLNS "><LocationConstraint>eu-west-1"
                        "</LocationConstraint></CreateBucketConfiguration>");
    check_payload_hash(&b, 0, false);
    bed_close(&b);

    bed_open_with(&b, &(struct bed_options){.region = "eu-west-1", .endpoint_url = BED_CUSTOM});
    bed_answer(&b, 200, NULL, "");
    assert_int_equal(s3_create_bucket(b.client, &in, NULL), 0);
    assert_string_equal(bed_request(&b, 0)->body, ""); /* its places have names of their own */
    assert_string_equal(bed_request(&b, 0)->url, BED_CUSTOM "/bkt");
    in.location = "here";
    bed_answer(&b, 200, NULL, "");
    assert_int_equal(s3_create_bucket(b.client, &in, NULL), 0);
    assert_non_null(strstr(bed_request(&b, 1)->body, ">here<"));
    bed_close(&b);
}

static void test_delete_bucket(void **state)
{
    struct bed b;
    struct s3_bucket_in in = {.bucket = "bkt"};

    bed_open(&b);
    bed_answer(&b, 204, NULL, "");
    assert_int_equal(s3_delete_bucket(b.client, &in, NULL), 0);
    check_request(&b, "DELETE", HOST, "/", "", "", false);
    bed_close(&b);
}

static void test_head_bucket(void **state)
{
    struct bed b;
    struct s3_bucket_in in = {.bucket = "bkt"};
    struct s3_head_bucket_out out = {0};

    bed_open(&b);
    bed_answer(&b, 200, "x-amz-bucket-region: us-east-1", "");
    assert_int_equal(s3_head_bucket(b.client, &in, &out, NULL), 0);
    check_request(&b, "HEAD", HOST, "/", "", "", false);
    assert_string_equal(out.region, "us-east-1");
    bed_close(&b);
}

static void test_get_bucket_location(void **state)
{
    static const char *const cases[][2] = {
        {"<LocationConstraint " XMLNS "/>", "us-east-1"},
        {"<LocationConstraint>EU</LocationConstraint>", "eu-west-1"},
        {"<LocationConstraint>eu-north-1</LocationConstraint>", "eu-north-1"}};
    struct s3_bucket_in in = {.bucket = "bkt"};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bed b;
        struct s3_get_bucket_location_out out = {0};
        bed_open(&b);
        bed_answer(&b, 200, NULL, cases[i][0]);
        assert_int_equal(s3_get_bucket_location(b.client, &in, &out, NULL), 0);
        check_request(&b, "GET", HOST, "/?location=", "", "", false);
        assert_string_equal(out.location, cases[i][1]);
        bed_close(&b);
    }
}

static void test_versioning(void **state)
{
    struct bed b;
    struct s3_bucket_in in = {.bucket = "bkt"};
    struct s3_get_bucket_versioning_out out = {0};
    struct s3_put_bucket_versioning_in put = {.bucket = "bkt", .status = S3_VERSIONING_SUSPENDED};
    struct s3_error err;

    bed_open(&b);
    bed_answer(&b, 200, NULL,
               "<VersioningConfiguration " XMLNS "><Status>Enabled</Status>"
               "<MfaDelete>Disabled</MfaDelete></VersioningConfiguration>");
    assert_int_equal(s3_get_bucket_versioning(b.client, &in, &out, NULL), 0);
    check_request(&b, "GET", HOST, "/?versioning=", "", "", false);
    assert_int_equal(out.status, S3_VERSIONING_ENABLED);
    bed_answer(&b, 200, NULL, "<VersioningConfiguration " XMLNS "/>");
    assert_int_equal(s3_get_bucket_versioning(b.client, &in, &out, NULL), 0);
    assert_int_equal(out.status, S3_VERSIONING_NEVER);
    bed_close(&b);

    bed_open(&b);
    bed_answer(&b, 200, NULL, "");
    assert_int_equal(s3_put_bucket_versioning(b.client, &put, NULL), 0);
    check_request(&b, "PUT", HOST, "/?versioning=",
                  "Content-Type: application/xml\nContent-MD5: orZUUp7E9srl53Od8p1glA==\n",
                  "<VersioningConfiguration " XMLNS "><Status>Suspended</Status>"
                  "</VersioningConfiguration>",
                  false);
    put.status = S3_VERSIONING_NEVER;
    assert_true(s3_put_bucket_versioning(b.client, &put, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID);
    bed_close(&b);
}

/* ---- lists ---- */

static void test_list_objects_v2(void **state)
{
    struct bed b;
    struct s3_list_objects_v2_in in = {.bucket = "bkt",
                                       .prefix = "p /",
                                       .delimiter = "/",
                                       .start_after = "a&b",
                                       .continuation_token = "to+k",
                                       .max_keys = 7,
                                       .fetch_owner = true};
    struct s3_list_objects_v2_out out = {0};
    struct s3_error err;

    bed_open(&b);
    bed_answer(&b, 200, NULL,
               "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"
               "<NextContinuationToken>stale</NextContinuationToken>"
               "<Contents><Key>p+/%2B</Key><Size>3</Size></Contents></ListBucketResult>");
    assert_int_equal(s3_list_objects_v2(b.client, &in, &out, NULL), 0);
    check_request(&b, "GET", HOST,
                  "/?list-type=2&encoding-type=url&prefix=p%20%2F&delimiter=%2F&start-after=a%26b"
                  "&continuation-token=to%2Bk&max-keys=7&fetch-owner=true",
                  "", "", false);
    assert_int_equal(out.n_objects, 1);
    assert_string_equal(out.objects[0].key, "p /+");
    assert_string_equal(out.objects[0].etag, "");
    assert_null(out.next_continuation_token);
    s3_list_objects_v2_out_done(&out);
    bed_close(&b);

    /* More to come, but no way to it: the page is broken, and stays so after the retries. */
    bed_open_with(&b, &(struct bed_options){.client.retry.max_attempts = 2});
    for (int i = 0; i < 2; i++)
        bed_answer(&b, 200, NULL,
                   "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>");
    assert_true(s3_list_objects_v2(b.client, &in, &out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
    bed_close(&b);
}

static void test_list_object_versions(void **state)
{
    struct bed b;
    struct s3_list_object_versions_in in = {.bucket = "bkt",
                                            .prefix = "p",
                                            .delimiter = "/",
                                            .key_marker = "k m",
                                            .version_id_marker = "v1",
                                            .max_keys = 3};
    struct s3_list_object_versions_out out = {0};

    bed_open(&b);
    bed_answer(&b, 200, NULL,
               "<ListVersionsResult><EncodingType>url</EncodingType>"
               "<IsTruncated>true</IsTruncated><NextKeyMarker>x%2By</NextKeyMarker>"
               "<NextVersionIdMarker>v3</NextVersionIdMarker>"
               "<Version><Key>a%20b</Key><VersionId>v2</VersionId><IsLatest>false</IsLatest>"
               "<Size>5</Size><ETag>&quot;e&quot;</ETag></Version>"
               "<DeleteMarker><Key>x%2By</Key><VersionId>v3</VersionId><IsLatest>true</IsLatest>"
               "</DeleteMarker><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>"
               "</ListVersionsResult>");
    assert_int_equal(s3_list_object_versions(b.client, &in, &out, NULL), 0);
    check_request(&b, "GET", HOST,
                  "/?versions=&encoding-type=url&prefix=p&delimiter=%2F&key-marker=k%20m"
                  "&version-id-marker=v1&max-keys=3",
                  "", "", false);
    assert_int_equal(out.n_versions, 2);
    assert_string_equal(out.versions[0].key, "a b");
    assert_false(out.versions[0].is_delete_marker);
    assert_string_equal(out.versions[0].etag, "\"e\"");
    assert_string_equal(out.versions[1].key, "x+y");
    assert_true(out.versions[1].is_delete_marker);
    assert_true(out.versions[1].is_latest);
    assert_null(out.versions[1].etag);
    assert_string_equal(out.next_key_marker, "x+y");
    assert_string_equal(out.next_version_id_marker, "v3");
    s3_list_object_versions_out_done(&out);
    bed_close(&b);
}

/* AWS encodes NextKeyMarker, Ceph 16 does not: each is taken for what it is. */
static void test_version_markers(void **state)
{
    static const struct {
        const char *key; /* of the last version, encoded */
        const char *marker;
        const char *want;
    } cases[] = {
        {"a%2Bb", "a%2Bb", "a+b"},     {"a%2Bb", "a+b", "a+b"},
        {"a%20b", "a b", "a b"},       {"%2541", "%2541", "%41"},
        {"%2541", "%41", "%41"},       {"other", "x%20y", "x y"},
        {"other", "x y%20", "x y%20"}, {"other", "\xc3\xa4%20", "\xc3\xa4%20"},
    };
    struct s3_list_object_versions_in in = {.bucket = "bkt"};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bed b;
        struct s3_list_object_versions_out out = {0};
        char page[1024];
        bed_open(&b);
        (void)snprintf(page, sizeof(page),
                       "<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>true"
                       "</IsTruncated><NextKeyMarker>%s</NextKeyMarker><Version><Key>%s</Key>"
                       "<VersionId>v</VersionId><IsLatest>true</IsLatest><Size>5</Size></Version>"
                       "</ListVersionsResult>",
                       cases[i].marker, cases[i].key);
        bed_answer(&b, 200, NULL, page);
        assert_int_equal(s3_list_object_versions(b.client, &in, &out, NULL), 0);
        assert_string_equal(out.next_key_marker, cases[i].want);
        s3_list_object_versions_out_done(&out);
        bed_close(&b);
    }
}

static void test_list_multipart_uploads(void **state)
{
    struct bed b;
    struct s3_list_multipart_uploads_in in = {.bucket = "bkt",
                                              .prefix = "p",
                                              .delimiter = "/",
                                              .key_marker = "k",
                                              .upload_id_marker = "u",
                                              .max_uploads = 9};
    struct s3_list_multipart_uploads_out out = {0};

    bed_open(&b);
    bed_answer(&b, 200, NULL,
               "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>"
               "<NextKeyMarker>a+%20</NextKeyMarker><NextUploadIdMarker>u2</NextUploadIdMarker>"
               "<Upload><Key>a+%20</Key><UploadId>u2</UploadId><StorageClass>GLACIER"
               "</StorageClass><Initiated>2026-11-22T15:00:00Z</Initiated></Upload>"
               "<CommonPrefixes><Prefix>d%/</Prefix></CommonPrefixes>"
               "</ListMultipartUploadsResult>");
    assert_int_equal(s3_list_multipart_uploads(b.client, &in, &out, NULL), 0);
    check_request(&b, "GET", HOST,
                  "/?uploads=&prefix=p&delimiter=%2F&key-marker=k&upload-id-marker=u&max-uploads=9",
                  "", "", false);
    assert_string_equal(out.uploads[0].key, "a+%20"); /* encoding was not asked for */
    assert_int_equal(out.uploads[0].initiated_ns, BED_TIME_NS);
    assert_string_equal(out.uploads[0].storage_class, "GLACIER");
    assert_string_equal(out.next_key_marker, "a+%20");
    assert_string_equal(out.next_upload_id_marker, "u2");
    assert_string_equal(out.common_prefixes[0], "d%/");
    s3_list_multipart_uploads_out_done(&out);
    bed_close(&b);
}

static void test_list_parts(void **state)
{
    struct bed b;
    struct s3_list_parts_in in = {
        .bucket = "bkt", .key = KEY, .upload_id = "u/1", .part_number_marker = 4, .max_parts = 2};
    struct s3_list_parts_out out = {0};

    bed_open(&b);
    bed_answer(&b, 200, NULL,
               "<ListPartsResult><IsTruncated>true</IsTruncated>"
               "<NextPartNumberMarker>6</NextPartNumberMarker><Part><PartNumber>5</PartNumber>"
               "<ETag>&quot;e5&quot;</ETag><Size>5242880</Size><ChecksumCRC32C>AAAAAA=="
               "</ChecksumCRC32C></Part><Part><PartNumber>6</PartNumber><ETag>e6</ETag>"
               "<Size>1</Size></Part></ListPartsResult>");
    assert_int_equal(s3_list_parts(b.client, &in, &out, NULL), 0);
    check_request(&b, "GET", HOST, KEY_PATH "?uploadId=u%2F1&part-number-marker=4&max-parts=2", "",
                  "", false);
    assert_int_equal(out.n_parts, 2);
    assert_int_equal(out.parts[0].part_number, 5);
    assert_int_equal(out.parts[0].size, 5242880);
    assert_int_equal(out.parts[0].checksum.algo, S3_CHECKSUM_CRC32C);
    assert_string_equal(out.parts[0].checksum.value, "AAAAAA==");
    assert_string_equal(out.parts[1].etag, "\"e6\"");
    assert_int_equal(out.next_part_number_marker, 6);
    s3_list_parts_out_done(&out);
    bed_close(&b);

    /* 2^32 + 1 is not part 1 */
    struct s3_error err;
    bed_open_with(&b, &(struct bed_options){.client.retry.max_attempts = 1});
    bed_answer(&b, 200, NULL,
               "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>4294967297"
               "</PartNumber><ETag>e</ETag><Size>1</Size></Part></ListPartsResult>");
    assert_true(s3_list_parts(b.client, &in, &out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
    bed_close(&b);
}

/* ---- what no request may become ---- */

static void test_refused_inputs(void **state)
{
    struct bed b;
    struct bed_sink sink;
    struct s3_error err;
    const struct s3_metadata bad_name[] = {{"a b", "x"}};
    const struct s3_metadata bad_value[] = {{"a", "x\r\nx-amz-acl: public-read"}};
    struct s3_delete_object_in no_key = {.bucket = "bkt", .key = ""};
    struct s3_delete_object_in no_bucket = {.bucket = "", .key = "k"};
    struct s3_delete_object_in bad_bucket = {.bucket = "../other", .key = "k"};
    struct s3_put_object_in put = {.bucket = "bkt", .key = "k", .attrs.n_metadata = 1};
    struct s3_get_object_in get = {.bucket = "bkt", .key = "k"};
    struct s3_delete_object_out del_out;
    struct s3_put_object_out put_out;
    struct s3_head_object_out get_out = {0};

    bed_open(&b);
    /* DELETE /bucket/ would be DeleteBucket */
    assert_true(s3_delete_object(b.client, &no_key, &del_out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID);
    assert_string_equal(err.operation, "DeleteObject");
    assert_true(s3_delete_object(b.client, &no_bucket, &del_out, &err) < 0);
    assert_true(s3_delete_object(b.client, &bad_bucket, &del_out, &err) < 0);
    put.attrs.metadata = bad_name;
    assert_true(s3_put_object(b.client, &put, &put_out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID);
    put.attrs.metadata = bad_value;
    assert_true(s3_put_object(b.client, &put, &put_out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID);
    assert_true(s3_get_object(b.client, &get, &get_out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID);
    bed_sink_init(&sink);
    get.sink = &sink.sink;
    get.has_range = true;
    get.range_offset = UINT64_MAX;
    get.range_length = 2;
    assert_true(s3_get_object(b.client, &get, &get_out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID);
    assert_int_equal(bed_requests(&b), 0);
    bed_close(&b);
}

static void test_presign(void **state)
{
    struct bed b;
    struct s3_get_object_in get = {.bucket = "bkt", .key = KEY, .version_id = "v 1"};
    struct s3_put_object_in put = {.bucket = "bkt", .key = KEY, .attrs.content_type = "text/plain"};
    struct s3_error err;
    char *url = NULL;

    bed_open_with(&b, &(struct bed_options){.session_token = "TOK/EN"});
    assert_int_equal(s3_presign_url(b.client, S3_OP_GET_OBJECT, &get, 604800, &url, &err), 0);
    const char *start = BED_AWS KEY_PATH
        "?versionId=v%201&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20261122"
        "%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=" BED_DATE "&X-Amz-Expires=604800"
        "&X-Amz-Security-Token=TOK%2FEN&X-Amz-SignedHeaders=host&X-Amz-Signature=";
    assert_int_equal(strncmp(url, start, strlen(start)), 0);
    assert_int_equal(strlen(url), strlen(start) + 64);
    free(url);
    assert_true(s3_presign_url(b.client, S3_OP_GET_OBJECT, &get, 604801, &url, &err) < 0);
    assert_true(s3_presign_url(b.client, S3_OP_GET_OBJECT, &get, 0, &url, &err) < 0);
    assert_true(s3_presign_url(b.client, S3_OP_PUT_OBJECT, &put, 60, &url, &err) < 0);
    assert_non_null(strstr(err.message, "Content-Type"));
    assert_int_equal(bed_requests(&b), 0);
    bed_close(&b);

    bed_open_with(&b, &(struct bed_options){.anonymous = true});
    assert_int_equal(s3_presign_url(b.client, S3_OP_GET_OBJECT, &get, 60, &url, &err), 0);
    assert_string_equal(url, BED_AWS KEY_PATH "?versionId=v%201");
    free(url);
    bed_close(&b);
}

static void test_anonymous(void **state)
{
    struct bed b;
    struct s3_bucket_in in = {.bucket = "bkt"};
    struct s3_head_bucket_out out = {0};

    bed_open_with(&b, &(struct bed_options){.anonymous = true});
    bed_answer(&b, 200, NULL, "");
    assert_int_equal(s3_head_bucket(b.client, &in, &out, NULL), 0);
    assert_string_equal(bed_request(&b, 0)->headers, "Host: " HOST "\n");
    assert_true(s3_client_meta(b.client)->anonymous);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_buckets),
        cmocka_unit_test(test_create_bucket),
        cmocka_unit_test(test_delete_bucket),
        cmocka_unit_test(test_head_bucket),
        cmocka_unit_test(test_get_bucket_location),
        cmocka_unit_test(test_versioning),
        cmocka_unit_test(test_list_objects_v2),
        cmocka_unit_test(test_list_object_versions),
        cmocka_unit_test(test_version_markers),
        cmocka_unit_test(test_list_multipart_uploads),
        cmocka_unit_test(test_list_parts),
        cmocka_unit_test(test_refused_inputs),
        cmocka_unit_test(test_presign),
        cmocka_unit_test(test_anonymous),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
