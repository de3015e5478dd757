/* SPDX-License-Identifier: Apache-2.0 */
/* The store over a bucket: which requests an operation becomes, and what of the answers comes back.
 * What all stores have in common is in tests/client/store_rules.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "s3/checksum.h"
#include "s3_bed.h"
#include "store/store_s3.h"

#define V1 "\"11111111111111111111111111111111\""
#define V2 "\"22222222222222222222222222222222\""
#define NOT_TOLD                                                                                   \
    "<CompleteMultipartUploadResult><ETag>" V2 "</ETag></CompleteMultipartUploadResult>"
#define BARE "11111111111111111111111111111111"

static struct store *open_store(struct bed *b, const char *prefix)
{
    struct store *s = NULL;
    struct store_s3_options o = {.client = b->client,
                                 .bucket = "bkt",
                                 .prefix = prefix,
                                 .clock = &b->clock.clock,
                                 .storage_class = "STANDARD_IA"};
    assert_int_equal(store_s3_new(&o, &s, NULL), 0);
    return s;
}

static int put(struct store *s, const char *if_match, struct s3_error *err)
{
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct store_put_in in = {.key = "k", .body = &iov, .n_body = 1, .if_match = if_match};
    struct store_version v;
    return store_put(s, &in, &v, err);
}

static void prefix_is_a_folder(void **state)
{
    static const char *const PREFIXES[] = {"a/b", "a/b/"};
    for (size_t i = 0; i < ARRAY_SIZE(PREFIXES); i++) {
        struct bed b;
        bed_open(&b);
        struct store *s = open_store(&b, PREFIXES[i]);
        bed_answer(&b, 200, "ETag: " V1, "");
        assert_int_equal(put(s, NULL, NULL), 0);
        assert_string_equal(bed_request(&b, 0)->url, BED_AWS "/a/b/k");
        assert_string_equal(bed_header(&b, 0, "x-amz-storage-class"), "STANDARD_IA");
        store_free(s);
        bed_close(&b);
    }
}

static void listing_outside_the_prefix_is_broken(void **state)
{
    static const char *const PAGES[] = {
        "<ListBucketResult><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>"
        "<Contents><Key>a/c</Key><Size>1</Size><ETag>" V1 "</ETag>"
        "<LastModified>2026-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>",
        "<ListBucketResult><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>"
        "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes></ListBucketResult>",
    };
    for (size_t i = 0; i < ARRAY_SIZE(PAGES); i++) {
        struct bed b;
        bed_open(&b);
        struct store *s = open_store(&b, "a/b/");
        bed_answer(&b, 200, NULL, PAGES[i]);
        struct store_list_in in = {.prefix = "", .delimited = true};
        struct store_page page;
        struct s3_error err;
        assert_int_equal(store_list(s, &in, &page, &err), -EIO);
        assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
        store_free(s);
        bed_close(&b);
    }
}

/* The server compares with its ETag without quotes: found out once, then known. */
static void etags_without_quotes(void **state)
{
    struct bed b;
    bed_open(&b);
    struct store *s = open_store(&b, "");
    bed_error(&b, 412, "PreconditionFailed");
    bed_answer(&b, 200, "ETag: " V1 "\nLast-Modified: Sun, 22 Nov 2026 15:00:00 GMT", NULL);
    bed_answer(&b, 200, "ETag: " V2, "");
    assert_int_equal(put(s, V1, NULL), 0);
    assert_string_equal(bed_header(&b, 0, "If-Match"), V1);
    assert_int_equal(bed_request(&b, 1)->method, HTTP_HEAD);
    assert_int_equal(bed_request(&b, 2)->method, HTTP_PUT);
    assert_string_equal(bed_header(&b, 2, "If-Match"), BARE);
    assert_int_equal(bed_request(&b, 2)->body_len, 1);

    bed_answer(&b, 200, "ETag: " V2, "");
    assert_int_equal(put(s, V1, NULL), 0);
    assert_string_equal(bed_header(&b, 3, "If-Match"), BARE);
    assert_int_equal(bed_requests(&b), 4);
    store_free(s);
    bed_close(&b);
}

/* Another version, or none, or one that cannot be seen: the conflict is one, and no request is sent
 * that could overwrite it. */
static void true_conflicts(void **state)
{
    struct bed b;
    bed_open(&b);
    struct store *s = open_store(&b, "");
    struct s3_error err;
    bed_error(&b, 412, "PreconditionFailed");
    bed_answer(&b, 200, "ETag: " V2 "\nLast-Modified: Sun, 22 Nov 2026 15:00:00 GMT", NULL);
    assert_int_equal(put(s, V1, &err), -ESTALE);
    assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
    assert_string_equal(err.operation, "PutObject");
    bed_error(&b, 412, "PreconditionFailed");
    bed_answer(&b, 404, NULL, NULL);
    assert_int_equal(put(s, V1, &err), -ESTALE);
    bed_error(&b, 412, "PreconditionFailed");
    bed_answer(&b, 403, NULL, NULL); /* which nothing follows from */
    assert_int_equal(put(s, V1, &err), -EACCES);
    assert_int_equal(bed_requests(&b), 6);
    /* In neither form, and the second look finds another version (that it finds the same one:
     * test_store_guard.c). */
    bed_error(&b, 412, "PreconditionFailed");
    bed_answer(&b, 200, "ETag: " V1 "\nLast-Modified: Sun, 22 Nov 2026 15:00:00 GMT", NULL);
    bed_error(&b, 412, "PreconditionFailed");
    bed_answer(&b, 200, "ETag: " V2 "\nLast-Modified: Sun, 22 Nov 2026 15:00:00 GMT", NULL);
    assert_int_equal(put(s, V1, &err), -ESTALE);
    assert_int_equal(bed_requests(&b), 10);
    /* And nothing was learned from that. */
    bed_answer(&b, 200, "ETag: " V2, "");
    assert_int_equal(put(s, V1, NULL), 0);
    assert_string_equal(bed_header(&b, 10, "If-Match"), V1);
    /* Without If-Match there is nothing to find out. */
    bed_error(&b, 412, "PreconditionFailed");
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct store_put_in in = {.key = "k", .body = &iov, .n_body = 1, .if_absent = true};
    struct store_version v;
    assert_int_equal(store_put(s, &in, &v, &err), -ESTALE);
    assert_int_equal(bed_requests(&b), 12);
    store_free(s);
    bed_close(&b);
}

static int count_begin(void *ctx, const struct store_object *o)
{
    int *begins = ctx;
    (*begins)++;
    assert_string_equal(o->etag, V1);
    return o->size == 0 ? 0 : -EFBIG;
}

static int no_write(void *ctx, const void *data, size_t len)
{
    fail_msg("bytes after a refusal");
    return 0;
}

/* An empty object begins too; a refusal ends the transfer with its own errno. */
static void empty_body_begins(void **state)
{
    struct bed b;
    bed_open(&b);
    struct store *s = open_store(&b, "");
    int begins = 0;
    struct store_sink sink = {count_begin, no_write, &begins};
    struct store_get_in in = {.key = "k", .sink = &sink};
    struct store_object o;
    bed_answer(&b, 200, "ETag: " V1 "\nLast-Modified: Sun, 22 Nov 2026 15:00:00 GMT", "");
    assert_int_equal(store_get(s, &in, &o, NULL), 0);
    assert_int_equal(begins, 1);
    store_object_done(&o);
    bed_answer(&b, 200, "ETag: " V1 "\nLast-Modified: Sun, 22 Nov 2026 15:00:00 GMT", "abc");
    assert_int_equal(store_get(s, &in, &o, NULL), -EFBIG);
    assert_int_equal(begins, 2);
    store_free(s);
    bed_close(&b);
}

static void absent_is_deleted(void **state)
{
    struct bed b;
    bed_open(&b);
    struct store *s = open_store(&b, "");
    bed_error(&b, 404, "NoSuchKey");
    assert_int_equal(store_delete(s, "k", NULL, NULL), 0);
    bed_error(&b, 404, "NoSuchUpload");
    struct store_upload_abort_in in = {.key = "k", .upload_id = "u"};
    assert_int_equal(store_call(s, STORE_UPLOAD_ABORT, &in, NULL, NULL), 0);
    struct s3_error err;
    bed_error(&b, 404, "NoSuchBucket");
    assert_int_equal(store_delete(s, "k", NULL, &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_NO_SUCH_BUCKET);
    store_free(s);
    bed_close(&b);
}

static struct store_part part_of(const char *text)
{
    struct iovec iov = {(char *)text, strlen(text)};
    struct s3_checksum sum;
    struct store_part p = {.size = strlen(text), .etag = V1};
    assert_int_equal(s3_checksum_iov(S3_CHECKSUM_CRC64NVME, &iov, 1, &sum), 0);
    snprintf(p.checksum, sizeof(p.checksum), "%u:%s", (unsigned)sum.algo, sum.value);
    return p;
}

/* A completion says what the whole has to be, where the server is known to look at it. */
static void completion_has_a_checksum(void **state)
{
    struct bed b;
    bed_open(&b);
    struct store_s3_options o = {
        .client = b.client, .bucket = "bkt", .clock = &b.clock.clock, .whole_checksum = true};
    struct store *s = NULL;
    struct store_part parts[] = {part_of("hello "), part_of("wor"), part_of("ld")};
    struct store_part whole = part_of("hello world");
    char sum[STORE_CHECKSUM_SIZE], answer[512];
    struct store_upload_complete_in in = {
        .key = "k", .upload_id = "u", .parts = parts, .n_parts = ARRAY_SIZE(parts)};
    struct store_version v;
    struct s3_error err = {0};
    for (uint32_t i = 0; i < ARRAY_SIZE(parts); i++)
        parts[i].number = i + 1;
    snprintf(sum, sizeof(sum), "%s", strchr(whole.checksum, ':') + 1);
    assert_int_equal(store_s3_new(&o, &s, NULL), 0);
    static const char *const form =
        "<CompleteMultipartUploadResult><ETag>" V2 "</ETag><ChecksumCRC64NVME>%s"
        "</ChecksumCRC64NVME></CompleteMultipartUploadResult>";
    snprintf(answer, sizeof(answer), form, sum);
    bed_answer(&b, 200, NULL, answer);
    assert_int_equal(store_call(s, STORE_UPLOAD_COMPLETE, &in, &v, NULL), 0);
    assert_string_equal(bed_header(&b, 0, "x-amz-checksum-crc64nvme"), sum);
    assert_string_equal(bed_header(&b, 0, "x-amz-checksum-type"), "FULL_OBJECT");
    assert_string_equal(bed_header(&b, 0, "x-amz-mp-object-size"), "11");
    /* The server may say nothing of it. */
    bed_answer(&b, 200, NULL, NOT_TOLD);
    assert_int_equal(store_call(s, STORE_UPLOAD_COMPLETE, &in, &v, NULL), 0);
    assert_string_equal(v.etag, V2);
    /* It has stored other bytes. */
    snprintf(answer, sizeof(answer), form, "AAAAAAAAAAA=");
    bed_answer(&b, 200, NULL, answer);
    v.etag[0] = '\0';
    assert_int_equal(store_call(s, STORE_UPLOAD_COMPLETE, &in, &v, &err), -EIO);
    assert_string_equal(err.code, "BadDigest");
    assert_string_equal(v.etag, V2);
    /* Of what the server has copied nothing is known here. */
    parts[1].checksum[0] = '\0';
    bed_answer(&b, 200, NULL, answer);
    assert_int_equal(store_call(s, STORE_UPLOAD_COMPLETE, &in, &v, NULL), 0);
    assert_string_equal(bed_header(&b, 3, "x-amz-checksum-crc64nvme"), "");
    assert_string_equal(bed_header(&b, 3, "x-amz-checksum-type"), "");
    assert_string_equal(bed_header(&b, 3, "x-amz-mp-object-size"), "11");
    /* It has not got all of the bytes. */
    bed_answer(&b, 400, NULL,
               "<Error><Code>InvalidRequest</Code><Message>The provided 'x-amz-mp-object-size' "
               "header value 11 does not match what was computed: 9</Message></Error>");
    assert_int_equal(store_call(s, STORE_UPLOAD_COMPLETE, &in, &v, &err), -EIO);
    assert_string_equal(err.code, "BadDigest");
    assert_non_null(strstr(err.message, "has not put together the 11 bytes"));
    store_free(s);
    /* Other servers are not asked. */
    parts[1] = part_of("wor");
    parts[1].number = 2;
    s = open_store(&b, "");
    bed_answer(&b, 200, NULL, answer);
    assert_int_equal(store_call(s, STORE_UPLOAD_COMPLETE, &in, &v, NULL), 0);
    assert_string_equal(bed_header(&b, 5, "x-amz-checksum-crc64nvme"), "");
    assert_string_equal(bed_header(&b, 5, "x-amz-mp-object-size"), "");
    store_free(s);
    bed_close(&b);
}

/* The token of a list of uploads is made of both markers, whatever bytes the key has. */
static void token_of_two_markers(void **state)
{
    struct bed b;
    bed_open(&b);
    struct store *s = open_store(&b, "p/");
    bed_answer(&b, 200, NULL,
               "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>"
               "<NextKeyMarker>p/a&#10;b</NextKeyMarker>"
               "<NextUploadIdMarker>id-1</NextUploadIdMarker>"
               "<Upload><Key>p/a&#10;b</Key><UploadId>id-1</UploadId>"
               "<Initiated>2026-01-01T00:00:00Z</Initiated></Upload>"
               "</ListMultipartUploadsResult>");
    bed_answer(&b, 200, NULL,
               "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
               "</ListMultipartUploadsResult>");
    struct store_upload_list_in in = {.prefix = ""};
    struct store_upload_page page, last;
    assert_int_equal(store_call(s, STORE_UPLOAD_LIST, &in, &page, NULL), 0);
    assert_int_equal(page.n_uploads, 1);
    assert_string_equal(page.uploads[0].key, "a\nb");
    assert_non_null(page.next_token);
    in.token = page.next_token;
    assert_int_equal(store_call(s, STORE_UPLOAD_LIST, &in, &last, NULL), 0);
    assert_non_null(strstr(bed_request(&b, 1)->url, "key-marker=p%2Fa%0Ab"));
    assert_non_null(strstr(bed_request(&b, 1)->url, "upload-id-marker=id-1"));
    assert_null(last.next_token);
    store_upload_page_done(&page);
    store_upload_page_done(&last);
    store_free(s);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefix_is_a_folder),
        cmocka_unit_test(listing_outside_the_prefix_is_broken),
        cmocka_unit_test(etags_without_quotes),
        cmocka_unit_test(true_conflicts),
        cmocka_unit_test(empty_body_begins),
        cmocka_unit_test(absent_is_deleted),
        cmocka_unit_test(completion_has_a_checksum),
        cmocka_unit_test(token_of_two_markers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
