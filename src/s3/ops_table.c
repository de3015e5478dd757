/* SPDX-License-Identifier: Apache-2.0 */
/* One row per operation: all that the funnel knows about it. */
#include <assert.h>

#include "base/attr.h"
#include "s3/op.h"

#define IN_BUCKET(type) .path = S3_PATH_BUCKET, .bucket_offset = offsetof(struct type, bucket)
#define IN_KEY(type)                                                                               \
    .path = S3_PATH_KEY, .bucket_offset = offsetof(struct type, bucket),                           \
    .key_offset = offsetof(struct type, key)
/* out_done of a type that owns an arena. */
#define OUT_ARENA(type) .out_size = sizeof(struct s3_##type##_out), .out_done = type##_out_done

#define DEFINE_OUT_DONE(type)                                                                      \
    static void type##_out_done(void *out)                                                         \
    {                                                                                              \
        s3_##type##_out_done(out);                                                                 \
    }                                                                                              \
    void s3_##type##_out_done(struct s3_##type##_out *o)                                           \
    {                                                                                              \
        arena_done(&o->arena);                                                                     \
        *o = (struct s3_##type##_out){0};                                                          \
    }

DEFINE_OUT_DONE(list_buckets)
DEFINE_OUT_DONE(list_objects_v2)
DEFINE_OUT_DONE(list_object_versions)
DEFINE_OUT_DONE(head_object)
DEFINE_OUT_DONE(delete_objects)
DEFINE_OUT_DONE(get_object_attributes)
DEFINE_OUT_DONE(list_multipart_uploads)
DEFINE_OUT_DONE(list_parts)

/* Every operation is safe to repeat (a repeated CreateMultipartUpload leaves an empty upload
 * behind, which lists show and cleaning removes), but the answer of a repetition may speak of the
 * first try's success as a failure: outcome.c sorts that out where it can. */
static const struct s3_op_def ops[S3_OP_MAX] = {
    [S3_OP_LIST_BUCKETS] = {.name = "ListBuckets",
                            .method = HTTP_GET,
                            .path = S3_PATH_SERVICE,
                            .statuses = {200},
                            .flags = S3_OP_F_ARENA | S3_OP_F_NO_BUCKET,
                            OUT_ARENA(list_buckets),
                            .build = s3_build_list_buckets,
                            .xml = &s3_xml_list_buckets,
                            .parse = s3_parse_list_buckets},
    [S3_OP_CREATE_BUCKET] = {.name = "CreateBucket",
                             .method = HTTP_PUT,
                             IN_BUCKET(s3_create_bucket_in),
                             .statuses = {200},
                             .flags = S3_OP_F_NO_BUCKET,
                             .build = s3_build_create_bucket},
    [S3_OP_DELETE_BUCKET] = {.name = "DeleteBucket",
                             .method = HTTP_DELETE,
                             IN_BUCKET(s3_bucket_in),
                             .statuses = {204, 200}},
    [S3_OP_HEAD_BUCKET] = {.name = "HeadBucket",
                           .method = HTTP_HEAD,
                           IN_BUCKET(s3_bucket_in),
                           .statuses = {200},
                           .out_size = sizeof(struct s3_head_bucket_out),
                           .parse = s3_parse_head_bucket},
    [S3_OP_GET_BUCKET_LOCATION] = {.name = "GetBucketLocation",
                                   .method = HTTP_GET,
                                   IN_BUCKET(s3_bucket_in),
                                   .query = {"location", NULL},
                                   .statuses = {200},
                                   .out_size = sizeof(struct s3_get_bucket_location_out),
                                   .xml = &s3_xml_bucket_location,
                                   .parse = s3_parse_get_bucket_location},
    [S3_OP_GET_BUCKET_VERSIONING] = {.name = "GetBucketVersioning",
                                     .method = HTTP_GET,
                                     IN_BUCKET(s3_bucket_in),
                                     .query = {"versioning", NULL},
                                     .statuses = {200},
                                     .out_size = sizeof(struct s3_get_bucket_versioning_out),
                                     .xml = &s3_xml_bucket_versioning},
    [S3_OP_PUT_BUCKET_VERSIONING] = {.name = "PutBucketVersioning",
                                     .method = HTTP_PUT,
                                     IN_BUCKET(s3_put_bucket_versioning_in),
                                     .query = {"versioning", NULL},
                                     .statuses = {200},
                                     .flags = S3_OP_F_CONTENT_MD5,
                                     .build = s3_build_put_bucket_versioning},
    [S3_OP_LIST_OBJECTS_V2] = {.name = "ListObjectsV2",
                               .method = HTTP_GET,
                               IN_BUCKET(s3_list_objects_v2_in),
                               .query = {"list-type", "2"},
                               .statuses = {200},
                               .flags = S3_OP_F_ARENA | S3_OP_F_REPEATABLE,
                               OUT_ARENA(list_objects_v2),
                               .build = s3_build_list_objects_v2,
                               .xml = &s3_xml_list_objects_v2,
                               .parse = s3_parse_list_objects_v2},
    [S3_OP_LIST_OBJECT_VERSIONS] = {.name = "ListObjectVersions",
                                    .method = HTTP_GET,
                                    IN_BUCKET(s3_list_object_versions_in),
                                    .query = {"versions", NULL},
                                    .statuses = {200},
                                    .flags = S3_OP_F_ARENA,
                                    OUT_ARENA(list_object_versions),
                                    .build = s3_build_list_object_versions,
                                    .xml = &s3_xml_list_object_versions,
                                    .parse = s3_parse_list_object_versions},
    [S3_OP_HEAD_OBJECT] = {.name = "HeadObject",
                           .method = HTTP_HEAD,
                           IN_KEY(s3_head_object_in),
                           .statuses = {200, 206},
                           .flags = S3_OP_F_ARENA | S3_OP_F_PRESIGN | S3_OP_F_REPEATABLE,
                           OUT_ARENA(head_object),
                           .build = s3_build_head_object,
                           .parse = s3_parse_head_object},
    [S3_OP_GET_OBJECT] = {.name = "GetObject",
                          .method = HTTP_GET,
                          IN_KEY(s3_get_object_in),
                          .statuses = {200, 206},
                          .flags =
                              S3_OP_F_ARENA | S3_OP_F_STREAM | S3_OP_F_PRESIGN | S3_OP_F_REPEATABLE,
                          OUT_ARENA(head_object),
                          .build = s3_build_get_object},
    [S3_OP_PUT_OBJECT] = {.name = "PutObject",
                          .method = HTTP_PUT,
                          IN_KEY(s3_put_object_in),
                          .statuses = {200},
                          .flags = S3_OP_F_PAYLOAD | S3_OP_F_PRESIGN,
                          .out_size = sizeof(struct s3_put_object_out),
                          .build = s3_build_put_object,
                          .parse = s3_parse_put_object},
    [S3_OP_COPY_OBJECT] = {.name = "CopyObject",
                           .method = HTTP_PUT,
                           IN_KEY(s3_copy_object_in),
                           .statuses = {200},
                           .min_first_byte_ms = S3_SLOW_FIRST_BYTE_MS,
                           .out_size = sizeof(struct s3_copy_object_out),
                           .build = s3_build_copy_object,
                           .xml = &s3_xml_copy_object,
                           .parse = s3_parse_copy_object},
    [S3_OP_DELETE_OBJECT] = {.name = "DeleteObject",
                             .method = HTTP_DELETE,
                             IN_KEY(s3_delete_object_in),
                             .statuses = {204, 200},
                             .flags = S3_OP_F_PRESIGN,
                             .out_size = sizeof(struct s3_delete_object_out),
                             .build = s3_build_delete_object,
                             .parse = s3_parse_delete_object},
    [S3_OP_DELETE_OBJECTS] = {.name = "DeleteObjects",
                              .method = HTTP_POST,
                              IN_BUCKET(s3_delete_objects_in),
                              .query = {"delete", NULL},
                              .statuses = {200},
                              .flags = S3_OP_F_ARENA | S3_OP_F_CONTENT_MD5,
                              OUT_ARENA(delete_objects),
                              .build = s3_build_delete_objects,
                              .xml = &s3_xml_delete_objects,
                              .parse = s3_parse_delete_objects},
    [S3_OP_GET_OBJECT_ATTRIBUTES] = {.name = "GetObjectAttributes",
                                     .method = HTTP_GET,
                                     IN_KEY(s3_get_object_attributes_in),
                                     .query = {"attributes", NULL},
                                     .statuses = {200},
                                     .flags = S3_OP_F_ARENA | S3_OP_F_MAYBE_GET,
                                     OUT_ARENA(get_object_attributes),
                                     .build = s3_build_get_object_attributes,
                                     .xml = &s3_xml_get_object_attributes,
                                     .parse = s3_parse_get_object_attributes},
    [S3_OP_CREATE_MULTIPART_UPLOAD] = {.name = "CreateMultipartUpload",
                                       .method = HTTP_POST,
                                       IN_KEY(s3_create_multipart_upload_in),
                                       .query = {"uploads", NULL},
                                       .statuses = {200},
                                       .out_size = sizeof(struct s3_create_multipart_upload_out),
                                       .build = s3_build_create_multipart_upload,
                                       .xml = &s3_xml_create_multipart_upload,
                                       .parse = s3_parse_create_multipart_upload},
    [S3_OP_UPLOAD_PART] = {.name = "UploadPart",
                           .method = HTTP_PUT,
                           IN_KEY(s3_upload_part_in),
                           .statuses = {200},
                           .flags = S3_OP_F_UPLOAD | S3_OP_F_PAYLOAD | S3_OP_F_PRESIGN |
                                    S3_OP_F_REPEATABLE,
                           .out_size = sizeof(struct s3_upload_part_out),
                           .build = s3_build_upload_part,
                           .parse = s3_parse_upload_part},
    [S3_OP_UPLOAD_PART_COPY] = {.name = "UploadPartCopy",
                                .method = HTTP_PUT,
                                IN_KEY(s3_upload_part_copy_in),
                                .statuses = {200},
                                .min_first_byte_ms = S3_SLOW_FIRST_BYTE_MS,
                                .out_size = sizeof(struct s3_copy_object_out),
                                .build = s3_build_upload_part_copy,
                                .xml = &s3_xml_upload_part_copy},
    [S3_OP_COMPLETE_MULTIPART_UPLOAD] = {.name = "CompleteMultipartUpload",
                                         .method = HTTP_POST,
                                         IN_KEY(s3_complete_multipart_upload_in),
                                         .flags = S3_OP_F_UPLOAD,
                                         .statuses = {200},
                                         .min_first_byte_ms = S3_SLOW_FIRST_BYTE_MS,
                                         .out_size = sizeof(struct s3_put_object_out),
                                         .build = s3_build_complete_multipart_upload,
                                         .xml = &s3_xml_complete_multipart_upload,
                                         .parse = s3_parse_complete_multipart_upload},
    [S3_OP_ABORT_MULTIPART_UPLOAD] = {.name = "AbortMultipartUpload",
                                      .method = HTTP_DELETE,
                                      IN_KEY(s3_abort_multipart_upload_in),
                                      .flags = S3_OP_F_UPLOAD,
                                      .statuses = {204, 200},
                                      .build = s3_build_abort_multipart_upload},
    [S3_OP_LIST_MULTIPART_UPLOADS] = {.name = "ListMultipartUploads",
                                      .method = HTTP_GET,
                                      IN_BUCKET(s3_list_multipart_uploads_in),
                                      .query = {"uploads", NULL},
                                      .statuses = {200},
                                      .flags = S3_OP_F_ARENA,
                                      OUT_ARENA(list_multipart_uploads),
                                      .build = s3_build_list_multipart_uploads,
                                      .xml = &s3_xml_list_multipart_uploads,
                                      .parse = s3_parse_list_multipart_uploads},
    [S3_OP_LIST_PARTS] = {.name = "ListParts",
                          .method = HTTP_GET,
                          IN_KEY(s3_list_parts_in),
                          .statuses = {200},
                          .flags = S3_OP_F_UPLOAD | S3_OP_F_ARENA,
                          OUT_ARENA(list_parts),
                          .build = s3_build_list_parts,
                          .xml = &s3_xml_list_parts,
                          .parse = s3_parse_list_parts},
};

const struct s3_op_def *s3_op_find(enum s3_op op)
{
    assert(op >= 0 && op < S3_OP_MAX);
    return &ops[op];
}

const char *s3_op_name(enum s3_op op)
{
    return s3_op_find(op)->name;
}
