/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation once: the request as it goes out, byte by byte, and what is read out of the
 * answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/strbuf.h"
#include "s3_bed.h"

#define XMLNS "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes the headers apart: *own gets those that every request has checked, the rest goes to
 * `others`, a line each. */
static void split_headers(const char *headers, struct strbuf *others, struct strbuf *signed_names)
{
    static const char *const every[] = {"Host", "x-amz-date", "x-amz-content-sha256"};
    char *names[64];
    size_t n = 0;

    for (const char *p = headers; *p;) {
        size_t len = strcspn(p, "\n");
        size_t name_len = strcspn(p, ":");
        bool own = false;
        for (size_t i = 0; i < ARRAY_SIZE(every); i++)
            own = own || (strlen(every[i]) == name_len && !strncasecmp(p, every[i], name_len));
        if (strncmp(p, "Authorization", name_len) != 0) {
            names[n] = strndup(p, name_len);
            for (char *c = names[n]; *c; c++)
                *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
            n++;
            if (!own)
                strbuf_append(others, p, len + 1);
        }
        p += len + (p[len] == '\n');
    }
    qsort(names, n, sizeof(names[0]), compare_strings);
    for (size_t i = 0; i < n; i++) {
        strbuf_appendf(signed_names, "%s%s", i ? ";" : "", names[i]);
        free(names[i]);
    }
}

static void check_payload_hash(const struct bed *b, size_t index, bool unsigned_payload)
{
    const struct http_fake_request *r = bed_request(b, index);
    uint8_t hash[DIGEST_SHA256_SIZE];
    char hex[2 * DIGEST_SHA256_SIZE + 1];

    assert_int_equal(digest_buffer(DIGEST_SHA256, r->body, r->body_len, hash), 0);
    encode_hex(hash, sizeof(hash), hex);
    assert_string_equal(bed_header(b, index, "x-amz-content-sha256"),
                        unsigned_payload ? "UNSIGNED-PAYLOAD" : hex);
}

/* The first request, in full. target is what follows https://HOST; headers the lines beside Host,
 * x-amz-date, x-amz-content-sha256 and Authorization, which are checked too. */
static void check_request(const struct bed *b, const char *method, const char *host,
                          const char *target, const char *headers, const char *body,
                          bool unsigned_payload)
{
    CLEANUP_STRBUF struct strbuf others = STRBUF_INIT(65536);
    CLEANUP_STRBUF struct strbuf names = STRBUF_INIT(65536);
    const struct http_fake_request *r = bed_request(b, 0);
    char text[2048];

    assert_int_equal(bed_requests(b), 1);
    assert_string_equal(http_method_name(r->method), method);
    (void)snprintf(text, sizeof(text), "https://%s%s", host, target);
    assert_string_equal(r->url, text);
    split_headers(r->headers, &others, &names);
    assert_string_equal(strbuf_str(&others), headers);
    assert_string_equal(r->body, body);
    assert_string_equal(bed_header(b, 0, "Host"), host);
    assert_string_equal(bed_header(b, 0, "x-amz-date"), BED_DATE);
    check_payload_hash(b, 0, unsigned_payload);
    (void)snprintf(text, sizeof(text),
                   "AWS4-HMAC-SHA256 Credential=AKID/20261122/us-east-1/s3/aws4_request, "
                   "SignedHeaders=%s, Signature=",
                   strbuf_str(&names));
    assert_int_equal(strncmp(bed_header(b, 0, "Authorization"), text, strlen(text)), 0);
    assert_int_equal(strlen(bed_header(b, 0, "Authorization")), strlen(text) + 64);
}

#define HOST         "bkt.s3.us-east-1.amazonaws.com"
#define SERVICE_HOST "s3.us-east-1.amazonaws.com"
#define KEY          "a b/\xc3\xa4+%"
#define KEY_PATH     "/a%20b/%C3%A4%2B%25"

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
}

/* ---- objects ---- */

static const char object_headers[] =
    "ETag: \"abc\"\nLast-Modified: Sun, 22 Nov 2026 15:00:00 GMT\nContent-Type: image/png\n"
    "x-amz-version-id: v7\nContent-Encoding: gzip\nContent-Disposition: inline\n"
    "Content-Language: en\nCache-Control: no-cache\nx-amz-storage-class: GLACIER\n"
    "x-amz-restore: ongoing-request=\"false\"\nX-Amz-Meta-Color: blue  green\nx-amz-meta-e:\n"
    "x-amz-mp-parts-count: 3\nx-amz-checksum-type: COMPOSITE\n"
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
    struct iovec body[2] = {{(char[]){"hel"}, 3}, {(char[]){"lo"}, 2}};
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
    bed_answer(&b, 200, NULL, "");
    assert_int_equal(s3_put_object(b.client, &in, &out, NULL), 0);
    check_payload_hash(&b, 0, false);
    assert_string_equal(out.etag, "");
    bed_close(&b);
    bed_open_with(&b, &(struct bed_options){.endpoint_url = BED_CUSTOM "/base"});
    bed_answer(&b, 200, NULL, "");
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
               "</Message></Error><Deleted><Key>c&#13;</Key><VersionId>v1</VersionId></Deleted>"
               "</DeleteResult>");
    assert_int_equal(s3_delete_objects(b.client, &in, &out, NULL), 0);
    check_request(&b, "POST", HOST, "/?delete=",
                  "Content-Type: application/xml\nContent-MD5: Hjr3eDasjljkS5sqcKOKgw==\n",
                  "<Delete " XMLNS "><Object><Key>a&#38;&#60;b</Key></Object><Object>"
                  "<Key>c&#13;</Key><VersionId>v1</VersionId><ETag>&#34;e&#34;</ETag></Object>"
                  "</Delete>",
                  false);
    assert_int_equal(out.n_results, 2);
    assert_int_equal(out.n_failed, 1);
    assert_string_equal(out.results[0].key, "a&<b");
    assert_string_equal(out.results[0].code, "AccessDenied");
    assert_string_equal(out.results[0].message, "no");
    assert_string_equal(out.results[1].key, "c\r");
    assert_null(out.results[1].code);
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
    bed_answer(&b, 200, "ETag: \"p\"", "");
    assert_int_equal(s3_upload_part(b.client, &in, &out, NULL), 0);
    check_request(&b, "PUT", HOST, KEY_PATH "?partNumber=10000&uploadId=up%2F1",
                  "x-amz-sdk-checksum-algorithm: CRC32\nx-amz-checksum-crc32: y/Q5Jg==\n",
                  "123456789", true);
    assert_string_equal(out.etag, "\"p\"");
    assert_int_equal(out.checksum.algo, S3_CHECKSUM_CRC32);
    assert_string_equal(out.checksum.value, "y/Q5Jg==");
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
                                                 .conditions.if_match = "\"old\""};
    struct s3_put_object_out out = {0};
    struct s3_error err;

    bed_open(&b);
    bed_answer(&b, 200, "x-amz-version-id: v3",
               "  \n \n<?xml version=\"1.0\"?>\n   <CompleteMultipartUploadResult><ETag>"
               "&quot;abc-2&quot;</ETag></CompleteMultipartUploadResult>");
    assert_int_equal(s3_complete_multipart_upload(b.client, &in, &out, NULL), 0);
    check_request(&b, "POST", HOST, KEY_PATH "?uploadId=u",
                  "If-Match: \"old\"\nContent-Type: application/xml\n",
                  "<CompleteMultipartUpload " XMLNS "><Part><PartNumber>1</PartNumber>"
                  "<ETag>&#34;e1&#34;</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME>"
                  "</Part><Part><PartNumber>3</PartNumber><ETag>&#34;e3&#34;</ETag></Part>"
                  "</CompleteMultipartUpload>",
                  false);
    assert_string_equal(out.etag, "\"abc-2\"");
    assert_string_equal(out.version_id, "v3");
    in.parts = unordered;
    assert_true(s3_complete_multipart_upload(b.client, &in, &out, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_INVALID);
    bed_close(&b);
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
    struct s3_put_object_in put = {.bucket = "bkt", .key = KEY, .attrs = attrs};
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
        cmocka_unit_test(test_upload_part_copy),
        cmocka_unit_test(test_complete_multipart_upload),
        cmocka_unit_test(test_abort_multipart_upload),
        cmocka_unit_test(test_refused_inputs),
        cmocka_unit_test(test_presign),
        cmocka_unit_test(test_anonymous),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
