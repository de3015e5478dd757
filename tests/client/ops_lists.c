/* SPDX-License-Identifier: Apache-2.0 */
/* Listings, multipart uploads, versions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "client_ops.h"

#define N_KEYS 25

void ops_test_listings(struct ops *o)
{
    struct s3_list_objects_v2_in in = {.bucket = o->bucket, .prefix = "list/", .max_keys = 10};
    struct s3_list_objects_v2_out page = {0};
    struct s3_error err = {0};
    char token[1024] = "";
    char key[64];
    size_t seen = 0;
    unsigned pages = 0;
    int r;

    for (unsigned i = 0; i < N_KEYS; i++) {
        (void)snprintf(key, sizeof(key), "list/d%u/k+%02u", i % 5, i);
        (void)ops_put(o, key, "x", NULL);
    }
    do {
        in.continuation_token = token;
        r = s3_list_objects_v2(o->client, &in, &page, &err);
        CHECK_OK(o, r, &err);
        if (r)
            return;
        pages++;
        seen += page.n_objects;
        for (size_t i = 0; i < page.n_objects; i++) {
            CHECK(o,
                  !strncmp(page.objects[i].key, "list/d", 6) && strchr(page.objects[i].key, '+'));
            CHECK_NUM(o, page.objects[i].size, 1);
            CHECK_STR(o, page.objects[i].etag, "\"9dd4e461268c8034f5c8564e155c67a6\"");
            CHECK(o, page.objects[i].last_modified_ns > 0);
        }
        (void)snprintf(token, sizeof(token), "%s",
                       page.next_continuation_token ? page.next_continuation_token : "");
        s3_list_objects_v2_out_done(&page);
    } while (token[0]);
    CHECK_NUM(o, seen, N_KEYS);
    CHECK_NUM(o, pages, 3);

    in = (struct s3_list_objects_v2_in){.bucket = o->bucket, .prefix = "list/", .delimiter = "/"};
    r = s3_list_objects_v2(o->client, &in, &page, &err);
    CHECK_OK(o, r, &err);
    CHECK_NUM(o, page.n_objects, 0);
    CHECK_NUM(o, page.n_common_prefixes, 5);
    CHECK(o, page.n_common_prefixes == 5 && !strcmp(page.common_prefixes[4], "list/d4/"));
    s3_list_objects_v2_out_done(&page);

    in = (struct s3_list_objects_v2_in){
        .bucket = o->bucket, .prefix = "list/", .start_after = "list/d4/k+14"};
    r = s3_list_objects_v2(o->client, &in, &page, &err);
    CHECK_OK(o, r, &err);
    CHECK_NUM(o, page.n_objects, 2);
    s3_list_objects_v2_out_done(&page);

    in = (struct s3_list_objects_v2_in){.bucket = o->bucket, .prefix = "nothing here"};
    r = s3_list_objects_v2(o->client, &in, &page, &err);
    CHECK_OK(o, r, &err);
    CHECK_NUM(o, page.n_objects, 0);
    CHECK(o, !page.is_truncated);
    s3_list_objects_v2_out_done(&page);
}

/* ---- multipart ---- */

#define PART ((size_t)S3_PART_SIZE_MIN)

static void check_lists(struct ops *o, const char *key, const char *upload_id)
{
    struct s3_list_parts_in parts_in = {
        .bucket = o->bucket, .key = key, .upload_id = upload_id, .max_parts = 2};
    struct s3_list_parts_out parts = {0};
    struct s3_list_multipart_uploads_in uploads_in = {.bucket = o->bucket, .prefix = "multi"};
    struct s3_list_multipart_uploads_out uploads = {0};
    struct s3_error err = {0};
    int r = s3_list_parts(o->client, &parts_in, &parts, &err);

    CHECK_OK(o, r, &err);
    CHECK_NUM(o, parts.n_parts, 2);
    CHECK(o, parts.is_truncated);
    CHECK_NUM(o, parts.next_part_number_marker, 2);
    if (parts.n_parts == 2) {
        CHECK_NUM(o, parts.parts[0].part_number, 1);
        CHECK_NUM(o, parts.parts[0].size, PART);
        CHECK(o, parts.parts[1].etag[0] == '"' && parts.parts[1].last_modified_ns > 0);
    }
    s3_list_parts_out_done(&parts);
    parts_in.part_number_marker = 2;
    r = s3_list_parts(o->client, &parts_in, &parts, &err);
    CHECK_OK(o, r, &err);
    CHECK_NUM(o, parts.n_parts, 1);
    CHECK(o, !parts.is_truncated);
    s3_list_parts_out_done(&parts);

    r = s3_list_multipart_uploads(o->client, &uploads_in, &uploads, &err);
    CHECK_OK(o, r, &err);
    CHECK_NUM(o, uploads.n_uploads, 1);
    if (uploads.n_uploads == 1) {
        CHECK_STR(o, uploads.uploads[0].key, key);
        CHECK_STR(o, uploads.uploads[0].upload_id, upload_id);
        CHECK(o, uploads.uploads[0].initiated_ns > 0);
    }
    s3_list_multipart_uploads_out_done(&uploads);
}

static void complete(struct ops *o, const char *key, const char *upload_id,
                     const struct s3_completed_part *parts, const char *data)
{
    struct s3_complete_multipart_upload_in in = {
        .bucket = o->bucket, .key = key, .upload_id = upload_id, .parts = parts, .n_parts = 3};
    struct s3_put_object_out out = {0};
    struct s3_get_object_in get = {.bucket = o->bucket, .key = key, .checksum_mode = true};
    struct s3_head_object_out found = {0};
    struct ops_sink sink;
    struct s3_error err = {0};
    int r = s3_complete_multipart_upload(o->client, &in, &out, &err);

    CHECK_OK(o, r, &err);
    CHECK(o, !o->strict || strstr(out.etag, "-3\"") != NULL); /* Ceph 16 does not tell it */
    ops_sink_init(&sink);
    get.sink = &sink.sink;
    r = s3_get_object(o->client, &get, &found, &err);
    CHECK_OK(o, r, &err);
    CHECK_NUM(o, sink.data.len, PART + 4 + PART);
    if (sink.data.len == PART + 4 + PART) {
        CHECK(o, !memcmp(sink.data.data, data, PART));
        CHECK(o, !memcmp(sink.data.data + PART, data + 100, PART));
        CHECK(o, !memcmp(sink.data.data + 2 * PART, "tail", 4));
    }
    CHECK(o, r || (strstr(found.etag, "-3\"") && (!o->strict || !strcmp(found.etag, out.etag))));
    if (o->strict)
        CHECK(o, found.n_checksums > 0 && found.checksums[0].algo == S3_CHECKSUM_CRC64NVME);
    s3_head_object_out_done(&found);
    ops_sink_done(&sink);
}

static void fill_upload(struct ops *o, const char *key, const char *upload_id, char *data)
{
    struct iovec body = {data, PART};
    struct s3_upload_part_in part = {.bucket = o->bucket,
                                     .key = key,
                                     .upload_id = upload_id,
                                     .part_number = 1,
                                     .body = &body,
                                     .n_body = 1,
                                     .checksum_algo = S3_CHECKSUM_CRC64NVME};
    struct s3_upload_part_out out[2] = {0};
    struct s3_upload_part_copy_in copy = {.bucket = o->bucket,
                                          .key = key,
                                          .upload_id = upload_id,
                                          .part_number = 2,
                                          .source_bucket = o->bucket,
                                          .source_key = "multi source",
                                          .has_range = true,
                                          .range_offset = 100,
                                          .range_length = PART};
    struct s3_copy_object_out copied = {0};
    struct s3_error err = {0};
    int r = s3_upload_part(o->client, &part, &out[0], &err);

    CHECK_OK(o, r, &err);
    /* Servers that know checksums repeat it. */
    if (o->strict)
        CHECK_NUM(o, out[0].checksum.algo, S3_CHECKSUM_CRC64NVME);
    r = s3_upload_part_copy(o->client, &copy, &copied, &err);
    CHECK_OK(o, r, &err);
    body = (struct iovec){(void *)(uintptr_t) "tail", 4};
    part.part_number = 3;
    r = s3_upload_part(o->client, &part, &out[1], &err);
    CHECK_OK(o, r, &err);
    check_lists(o, key, upload_id);
    const struct s3_completed_part parts[] = {
        {1, out[0].etag, o->strict ? out[0].checksum : (struct s3_checksum){0}},
        {2, copied.etag, {0}},
        {3, out[1].etag, o->strict ? out[1].checksum : (struct s3_checksum){0}}};
    complete(o, key, upload_id, parts, data);
}

void ops_test_multipart(struct ops *o)
{
    const char *key = "multi+part/ \xc3\xa4\x01&";
    struct s3_create_multipart_upload_in in = {.bucket = o->bucket,
                                               .key = key,
                                               .attrs = {.content_type = "text/plain"},
                                               .checksum_algo = S3_CHECKSUM_CRC64NVME};
    struct s3_create_multipart_upload_out created = {0};
    struct s3_abort_multipart_upload_in abort_in = {.bucket = o->bucket, .key = key};
    struct s3_error err = {0};
    char *data = malloc(PART + 100);
    int r;

    if (!data)
        return;
    for (size_t i = 0; i < PART + 100; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    struct iovec body = {data, PART + 100};
    struct s3_put_object_in source = {
        .bucket = o->bucket, .key = "multi source", .body = &body, .n_body = 1};
    struct s3_put_object_out stored = {0};
    r = s3_put_object(o->client, &source, &stored, &err);
    CHECK_OK(o, r, &err);
    r = s3_create_multipart_upload(o->client, &in, &created, &err);
    CHECK_OK(o, r, &err);
    if (r == 0)
        fill_upload(o, key, created.upload_id, data);

    r = s3_create_multipart_upload(o->client, &in, &created, &err);
    CHECK_OK(o, r, &err);
    abort_in.upload_id = created.upload_id;
    r = s3_abort_multipart_upload(o->client, &abort_in, &err);
    CHECK_OK(o, r, &err);
    struct s3_list_parts_in list = {
        .bucket = o->bucket, .key = key, .upload_id = created.upload_id};
    struct s3_list_parts_out parts = {0};
    r = s3_list_parts(o->client, &list, &parts, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_NO_SUCH_UPLOAD);
    free(data);
}

/* ---- versions ---- */

static int get_version(struct ops *o, const char *version_id, struct ops_sink *sink,
                       struct s3_error *err)
{
    struct s3_get_object_in in = {
        .bucket = o->bucket, .key = "ver/sion", .version_id = version_id, .sink = &sink->sink};
    struct s3_head_object_out out = {0};
    int r;

    strbuf_reset(&sink->data);
    r = s3_get_object(o->client, &in, &out, err);
    s3_head_object_out_done(&out);
    return r;
}

void ops_test_versions(struct ops *o)
{
    struct s3_put_bucket_versioning_in on = {.bucket = o->bucket, .status = S3_VERSIONING_ENABLED};
    struct s3_bucket_in in = {.bucket = o->bucket};
    struct s3_get_bucket_versioning_out state = {0};
    struct s3_put_object_out first = {0};
    struct s3_put_object_out second = {0};
    struct s3_delete_object_in del = {.bucket = o->bucket, .key = "ver/sion"};
    struct s3_delete_object_out deleted = {0};
    struct s3_list_object_versions_in list = {.bucket = o->bucket, .prefix = "ver/"};
    struct s3_list_object_versions_out page = {0};
    struct ops_sink sink;
    struct s3_error err = {0};
    int r = s3_put_bucket_versioning(o->client, &on, &err);

    CHECK_OK(o, r, &err);
    r = s3_get_bucket_versioning(o->client, &in, &state, &err);
    CHECK_OK(o, r, &err);
    CHECK_NUM(o, state.status, S3_VERSIONING_ENABLED);
    (void)ops_put(o, del.key, "first", &first);
    (void)ops_put(o, del.key, "second", &second);
    CHECK(o, first.version_id[0] && strcmp(first.version_id, second.version_id) != 0);
    r = s3_delete_object(o->client, &del, &deleted, &err);
    CHECK_OK(o, r, &err);
    CHECK(o, deleted.delete_marker && deleted.version_id[0]);

    r = s3_list_object_versions(o->client, &list, &page, &err);
    CHECK_OK(o, r, &err);
    CHECK_NUM(o, page.n_versions, 3);
    if (page.n_versions == 3) {
        CHECK(o, page.versions[0].is_delete_marker && page.versions[0].is_latest);
        CHECK_STR(o, page.versions[0].version_id, deleted.version_id);
        CHECK(o, !page.versions[0].etag);
        CHECK(o, !page.versions[1].is_delete_marker && !page.versions[1].is_latest);
        CHECK_STR(o, page.versions[1].version_id, second.version_id);
        CHECK_NUM(o, page.versions[1].size, 6);
        CHECK_STR(o, page.versions[2].version_id, first.version_id);
    }
    s3_list_object_versions_out_done(&page);
    list.max_keys = 2;
    r = s3_list_object_versions(o->client, &list, &page, &err);
    CHECK_OK(o, r, &err);
    CHECK(o, page.is_truncated && page.n_versions == 2);
    CHECK(o, page.next_key_marker && !strcmp(page.next_key_marker, "ver/sion"));
    s3_list_object_versions_out_done(&page);

    ops_sink_init(&sink);
    r = get_version(o, first.version_id, &sink, &err);
    CHECK_OK(o, r, &err);
    CHECK_STR(o, strbuf_str(&sink.data), "first");
    r = get_version(o, NULL, &sink, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_NO_SUCH_KEY);
    ops_sink_done(&sink);
    /* Removing the delete marker brings the object back. */
    del.version_id = deleted.version_id;
    r = s3_delete_object(o->client, &del, &deleted, &err);
    CHECK_OK(o, r, &err);
    ops_sink_init(&sink);
    r = get_version(o, NULL, &sink, &err);
    CHECK_OK(o, r, &err);
    CHECK_STR(o, strbuf_str(&sink.data), "second");
    ops_sink_done(&sink);
    on.status = S3_VERSIONING_SUSPENDED;
    r = s3_put_bucket_versioning(o->client, &on, &err);
    CHECK_OK(o, r, &err);
}
