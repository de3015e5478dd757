/* SPDX-License-Identifier: Apache-2.0 */
/* The list operations. Objects and versions are asked for with encoding-type=url: keys may hold
 * characters that XML 1.0 cannot, and servers then write pages that are not XML. */
#include <errno.h>
#include <string.h>

#include "base/attr.h"
#include "base/encode.h"
#include "s3/op.h"

/* ---- ListBuckets ---- */

void s3_build_list_buckets(struct s3_build *b, const void *in)
{
    const struct s3_list_buckets_in *i = in;

    s3_build_param(b, "prefix", i->prefix);
    s3_build_param(b, "continuation-token", i->continuation_token);
    s3_build_param_u32(b, "max-buckets", i->max_buckets);
}

static const struct xml_element bucket_children[] = {
    XML_FIELD("Name", XML_TEXT, struct s3_bucket_entry, name, XML_F_REQUIRED),
    XML_FIELD("CreationDate", XML_TIME, struct s3_bucket_entry, creation_ns, 0),
    XML_FIELD("BucketRegion", XML_TEXT, struct s3_bucket_entry, region, 0),
};
static const struct xml_element buckets_children[] = {
    XML_ITEMS("Bucket", struct s3_list_buckets_out, buckets, n_buckets, bucket_children),
};
static const struct xml_element list_buckets_children[] = {
    XML_SUBTREE("Buckets", buckets_children, XML_F_REQUIRED),
    XML_FIELD("ContinuationToken", XML_TEXT, struct s3_list_buckets_out, continuation_token, 0),
};
const struct xml_element s3_xml_list_buckets =
    XML_SUBTREE("ListAllMyBucketsResult", list_buckets_children, 0);

int s3_parse_list_buckets(struct s3_answer *a ATTR_UNUSED, void *out)
{
    struct s3_list_buckets_out *o = out;

    if (o->continuation_token && !*o->continuation_token)
        o->continuation_token = NULL;
    return 0;
}

/* ---- ListObjectsV2 ---- */

void s3_build_list_objects_v2(struct s3_build *b, const void *in)
{
    const struct s3_list_objects_v2_in *i = in;

    s3_build_param(b, "encoding-type", "url");
    s3_build_param(b, "prefix", i->prefix);
    s3_build_param(b, "delimiter", i->delimiter);
    s3_build_param(b, "start-after", i->start_after);
    s3_build_param(b, "continuation-token", i->continuation_token);
    s3_build_param_u32(b, "max-keys", i->max_keys);
    if (i->fetch_owner)
        s3_build_param(b, "fetch-owner", "true");
}

static const struct xml_element object_children[] = {
    XML_FIELD("Key", XML_TEXT, struct s3_object_entry, key, XML_F_URL | XML_F_REQUIRED),
    XML_FIELD("LastModified", XML_TIME, struct s3_object_entry, last_modified_ns, 0),
    XML_FIELD("ETag", XML_ETAG, struct s3_object_entry, etag, XML_F_EMPTY),
    XML_FIELD("Size", XML_U64, struct s3_object_entry, size, XML_F_REQUIRED),
    XML_FIELD("StorageClass", XML_TEXT, struct s3_object_entry, storage_class, 0),
};
static const struct xml_element v2_prefix_children[] = {
    XML_STRINGS("Prefix", struct s3_list_objects_v2_out, common_prefixes, n_common_prefixes,
                XML_F_URL | XML_F_REQUIRED),
};
static const struct xml_element list_objects_v2_children[] = {
    XML_ITEMS("Contents", struct s3_list_objects_v2_out, objects, n_objects, object_children),
    XML_SUBTREE("CommonPrefixes", v2_prefix_children, 0),
    XML_FIELD("IsTruncated", XML_BOOL, struct s3_list_objects_v2_out, is_truncated, XML_F_REQUIRED),
    XML_FIELD("NextContinuationToken", XML_TEXT, struct s3_list_objects_v2_out,
              next_continuation_token, 0),
    XML_FIELD("KeyCount", XML_U64, struct s3_list_objects_v2_out, key_count, 0),
    {.name = "EncodingType", .kind = XML_URL_ENCODED},
};
const struct xml_element s3_xml_list_objects_v2 =
    XML_SUBTREE("ListBucketResult", list_objects_v2_children, 0);

int s3_parse_list_objects_v2(struct s3_answer *a, void *out)
{
    struct s3_list_objects_v2_out *o = out;

    if (o->is_truncated && (!o->next_continuation_token || !*o->next_continuation_token))
        return s3_answer_fail(a, "the page says that more follows but has no token for it");
    if (!o->is_truncated)
        o->next_continuation_token = NULL;
    return 0;
}

/* ---- ListObjectVersions ---- */

void s3_build_list_object_versions(struct s3_build *b, const void *in)
{
    const struct s3_list_object_versions_in *i = in;

    s3_build_param(b, "encoding-type", "url");
    s3_build_param(b, "prefix", i->prefix);
    s3_build_param(b, "delimiter", i->delimiter);
    s3_build_param(b, "key-marker", i->key_marker);
    s3_build_param(b, "version-id-marker", i->version_id_marker);
    s3_build_param_u32(b, "max-keys", i->max_keys);
}

static const struct xml_element version_children[] = {
    XML_FIELD("Key", XML_TEXT, struct s3_version_entry, key, XML_F_URL | XML_F_REQUIRED),
    XML_FIELD("VersionId", XML_TEXT, struct s3_version_entry, version_id, XML_F_REQUIRED),
    XML_FIELD("IsLatest", XML_BOOL, struct s3_version_entry, is_latest, XML_F_REQUIRED),
    XML_FIELD("LastModified", XML_TIME, struct s3_version_entry, last_modified_ns, 0),
    XML_FIELD("ETag", XML_ETAG, struct s3_version_entry, etag, XML_F_EMPTY),
    XML_FIELD("Size", XML_U64, struct s3_version_entry, size, XML_F_REQUIRED),
    XML_FIELD("StorageClass", XML_TEXT, struct s3_version_entry, storage_class, 0),
};
static const struct xml_element marker_children[] = {
    XML_FIELD("Key", XML_TEXT, struct s3_version_entry, key, XML_F_URL | XML_F_REQUIRED),
    XML_FIELD("VersionId", XML_TEXT, struct s3_version_entry, version_id, XML_F_REQUIRED),
    XML_FIELD("IsLatest", XML_BOOL, struct s3_version_entry, is_latest, XML_F_REQUIRED),
    XML_FIELD("LastModified", XML_TIME, struct s3_version_entry, last_modified_ns, 0),
};
static const struct xml_element versions_prefix_children[] = {
    XML_STRINGS("Prefix", struct s3_list_object_versions_out, common_prefixes, n_common_prefixes,
                XML_F_URL | XML_F_REQUIRED),
};
static const struct xml_element list_versions_children[] = {
    XML_ITEMS("Version", struct s3_list_object_versions_out, versions, n_versions,
              version_children),
    {.name = "DeleteMarker",
     .kind = XML_LIST,
     .offset = offsetof(struct s3_list_object_versions_out, versions),
     .count_offset = offsetof(struct s3_list_object_versions_out, n_versions),
     .size = sizeof(struct s3_version_entry),
     .mark_offset = offsetof(struct s3_version_entry, is_delete_marker),
     .children = marker_children,
     .n_children = ARRAY_SIZE(marker_children)},
    XML_SUBTREE("CommonPrefixes", versions_prefix_children, 0),
    XML_FIELD("IsTruncated", XML_BOOL, struct s3_list_object_versions_out, is_truncated,
              XML_F_REQUIRED),
    XML_FIELD("NextKeyMarker", XML_TEXT, struct s3_list_object_versions_out, next_key_marker,
              0), /* decode_marker */
    XML_FIELD("NextVersionIdMarker", XML_TEXT, struct s3_list_object_versions_out,
              next_version_id_marker, 0),
    {.name = "EncodingType", .kind = XML_URL_ENCODED},
};
const struct xml_element s3_xml_list_object_versions =
    XML_SUBTREE("ListVersionsResult", list_versions_children, 0);

/* AWS encodes NextKeyMarker like the keys, Ceph 16 leaves it raw. Taken for the other it would make
 * the next page begin at a wrong key, so it is recognised by what it is: the page's last key or
 * prefix. Where it is neither, a character that encoding leaves nowhere shows it to be raw. */
static int decode_marker(struct s3_answer *a, struct s3_list_object_versions_out *o)
{
    const char *raw = o->next_key_marker;
    const char *key = o->n_versions ? o->versions[o->n_versions - 1].key : "";
    const char *prefix = o->n_common_prefixes ? o->common_prefixes[o->n_common_prefixes - 1] : "";
    char *decoded;
    size_t len;

    if (!raw || !a->url_encoded || !strcmp(raw, key) || !strcmp(raw, prefix))
        return 0;
    for (const char *c = raw; *c; c++) {
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
            return 0;
    }
    decoded = arena_strdup(a->arena, raw);
    if (!decoded)
        return -ENOMEM;
    if (decode_percent(decoded, true, decoded, &len) || memchr(decoded, 0, len))
        return s3_answer_fail(a, "NextKeyMarker is not percent-encoded as the page says");
    decoded[len] = '\0';
    o->next_key_marker = decoded;
    return 0;
}

int s3_parse_list_object_versions(struct s3_answer *a, void *out)
{
    struct s3_list_object_versions_out *o = out;

    if (o->is_truncated && (!o->next_key_marker || !*o->next_key_marker))
        return s3_answer_fail(a, "the page says that more follows but has no marker for it");
    if (!o->is_truncated)
        o->next_key_marker = o->next_version_id_marker = NULL;
    return decode_marker(a, o);
}

/* ---- ListMultipartUploads ---- */

void s3_build_list_multipart_uploads(struct s3_build *b, const void *in)
{
    const struct s3_list_multipart_uploads_in *i = in;

    /* No encoding-type: Ceph then encodes the keys without saying so. */
    s3_build_param(b, "prefix", i->prefix);
    s3_build_param(b, "delimiter", i->delimiter);
    s3_build_param(b, "key-marker", i->key_marker);
    s3_build_param(b, "upload-id-marker", i->upload_id_marker);
    s3_build_param_u32(b, "max-uploads", i->max_uploads);
}

static const struct xml_element upload_children[] = {
    XML_FIELD("Key", XML_TEXT, struct s3_upload_entry, key, XML_F_REQUIRED),
    XML_FIELD("UploadId", XML_TEXT, struct s3_upload_entry, upload_id, XML_F_REQUIRED),
    XML_FIELD("StorageClass", XML_TEXT, struct s3_upload_entry, storage_class, 0),
    XML_FIELD("Initiated", XML_TIME, struct s3_upload_entry, initiated_ns, 0),
};
static const struct xml_element uploads_prefix_children[] = {
    XML_STRINGS("Prefix", struct s3_list_multipart_uploads_out, common_prefixes, n_common_prefixes,
                XML_F_REQUIRED),
};
static const struct xml_element list_uploads_children[] = {
    XML_ITEMS("Upload", struct s3_list_multipart_uploads_out, uploads, n_uploads, upload_children),
    XML_SUBTREE("CommonPrefixes", uploads_prefix_children, 0),
    XML_FIELD("IsTruncated", XML_BOOL, struct s3_list_multipart_uploads_out, is_truncated,
              XML_F_REQUIRED),
    XML_FIELD("NextKeyMarker", XML_TEXT, struct s3_list_multipart_uploads_out, next_key_marker, 0),
    XML_FIELD("NextUploadIdMarker", XML_TEXT, struct s3_list_multipart_uploads_out,
              next_upload_id_marker, 0),
    {.name = "EncodingType", .kind = XML_URL_ENCODED}, /* never asked for */
};
const struct xml_element s3_xml_list_multipart_uploads =
    XML_SUBTREE("ListMultipartUploadsResult", list_uploads_children, 0);

int s3_parse_list_multipart_uploads(struct s3_answer *a, void *out)
{
    struct s3_list_multipart_uploads_out *o = out;

    if (o->is_truncated && (!o->next_key_marker || !*o->next_key_marker))
        return s3_answer_fail(a, "the page says that more follows but has no marker for it");
    if (!o->is_truncated)
        o->next_key_marker = o->next_upload_id_marker = NULL;
    return 0;
}

/* ---- ListParts ---- */

void s3_build_list_parts(struct s3_build *b, const void *in)
{
    const struct s3_list_parts_in *i = in;

    s3_build_param_needed(b, "uploadId", i->upload_id);
    s3_build_param_u32(b, "part-number-marker", i->part_number_marker);
    s3_build_param_u32(b, "max-parts", i->max_parts);
}

#define PART_CHECKSUM(elem_name, algo)                                                             \
    {                                                                                              \
        .name = (elem_name), .kind = XML_CHECKSUM, .aux = (algo),                                  \
        .offset = offsetof(struct s3_part_entry, checksum)                                         \
    }
static const struct xml_element part_children[] = {
    XML_FIELD("PartNumber", XML_U32, struct s3_part_entry, part_number, XML_F_REQUIRED),
    XML_FIELD("LastModified", XML_TIME, struct s3_part_entry, last_modified_ns, 0),
    XML_FIELD("ETag", XML_ETAG, struct s3_part_entry, etag, XML_F_REQUIRED),
    XML_FIELD("Size", XML_U64, struct s3_part_entry, size, XML_F_REQUIRED),
    PART_CHECKSUM("ChecksumCRC32", S3_CHECKSUM_CRC32),
    PART_CHECKSUM("ChecksumCRC32C", S3_CHECKSUM_CRC32C),
    PART_CHECKSUM("ChecksumCRC64NVME", S3_CHECKSUM_CRC64NVME),
    PART_CHECKSUM("ChecksumSHA1", S3_CHECKSUM_SHA1),
    PART_CHECKSUM("ChecksumSHA256", S3_CHECKSUM_SHA256),
};
static const struct xml_element list_parts_children[] = {
    XML_ITEMS("Part", struct s3_list_parts_out, parts, n_parts, part_children),
    XML_FIELD("IsTruncated", XML_BOOL, struct s3_list_parts_out, is_truncated, XML_F_REQUIRED),
    XML_FIELD("NextPartNumberMarker", XML_U32, struct s3_list_parts_out, next_part_number_marker,
              0),
};
const struct xml_element s3_xml_list_parts = XML_SUBTREE("ListPartsResult", list_parts_children, 0);

int s3_parse_list_parts(struct s3_answer *a, void *out)
{
    struct s3_list_parts_out *o = out;

    for (size_t i = 0; i < o->n_parts; i++) {
        if (o->parts[i].part_number < 1)
            return s3_answer_fail(a, "a part has the number 0");
    }
    if (o->is_truncated && o->next_part_number_marker == 0)
        return s3_answer_fail(a, "the page says that more follows but has no marker for it");
    if (!o->is_truncated)
        o->next_part_number_marker = 0;
    return 0;
}
