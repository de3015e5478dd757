/* SPDX-License-Identifier: Apache-2.0 */
/* Object operations: HeadObject, GetObject, PutObject, CopyObject, GetObjectAttributes. */
#include <string.h>

#include "base/attr.h"
#include "s3/op.h"

void s3_build_head_object(struct s3_build *b, const void *in)
{
    const struct s3_head_object_in *i = in;

    s3_build_param(b, "versionId", i->version_id);
    s3_build_param_u32(b, "partNumber", i->part_number);
    s3_build_conditions(b, &i->conditions);
    if (i->checksum_mode)
        s3_build_header(b, "x-amz-checksum-mode", "ENABLED");
}

int s3_parse_head_object(struct s3_answer *a, void *out)
{
    return s3_answer_object(a, out);
}

void s3_build_get_object(struct s3_build *b, const void *in)
{
    const struct s3_get_object_in *i = in;

    s3_build_param(b, "versionId", i->version_id);
    s3_build_conditions(b, &i->conditions);
    if (i->has_range)
        s3_build_range(b, "Range", i->range_offset, i->range_length);
    if (i->checksum_mode)
        s3_build_header(b, "x-amz-checksum-mode", "ENABLED");
}

void s3_build_put_object(struct s3_build *b, const void *in)
{
    const struct s3_put_object_in *i = in;

    s3_build_attrs(b, &i->attrs);
    s3_build_header(b, "x-amz-storage-class", i->attrs.storage_class);
    s3_build_conditions(b, &i->conditions);
    b->body = i->body;
    b->n_body = i->body ? i->n_body : 0;
    b->checksum_algo = i->checksum_algo;
}

int s3_parse_put_object(struct s3_answer *a, void *out)
{
    const struct s3_put_object_in *i = a->in;
    struct s3_put_object_out *o = out;
    int r = s3_answer_etag(a, o->etag, sizeof(o->etag));

    /* Every S3 server says which version it has made; a gate in between that says 200 to all does
     * not. */
    if (!r && !o->etag[0])
        return s3_answer_fail(a, "the answer has no ETag: nobody has confirmed the object");
    if (!r)
        r = s3_answer_not_empty(a, o->etag, i->body, i->n_body);
    if (!r)
        r = s3_answer_chars(a, "x-amz-version-id", o->version_id, sizeof(o->version_id));
    if (!r)
        r = s3_answer_time(a, "Date", &o->date_ns);
    return r;
}

void s3_build_copy_object(struct s3_build *b, const void *in)
{
    const struct s3_copy_object_in *i = in;

    s3_build_copy_source(b, i->source_bucket, i->source_key, i->source_version_id,
                         &i->source_conditions);
    s3_build_conditions(b, &i->conditions);
    if (i->metadata_directive == S3_METADATA_REPLACE) {
        s3_build_header(b, "x-amz-metadata-directive", "REPLACE");
        s3_build_attrs(b, &i->attrs);
    }
    s3_build_header(b, "x-amz-storage-class", i->attrs.storage_class);
}

/* The ETag is required: a server that fails midway may end the document without it. */
static const struct xml_element copy_children[] = {
    XML_FIELD("LastModified", XML_TIME, struct s3_copy_object_out, last_modified_ns, 0),
    XML_FIELD("ETag", XML_ETAG_CHARS, struct s3_copy_object_out, etag, XML_F_REQUIRED),
};
const struct xml_element s3_xml_copy_object = XML_SUBTREE("CopyObjectResult", copy_children, 0);
const struct xml_element s3_xml_upload_part_copy = XML_SUBTREE("CopyPartResult", copy_children, 0);

int s3_parse_copy_object(struct s3_answer *a, void *out)
{
    struct s3_copy_object_out *o = out;

    return s3_answer_chars(a, "x-amz-version-id", o->version_id, sizeof(o->version_id));
}

/* ---- GetObjectAttributes ---- */

void s3_build_get_object_attributes(struct s3_build *b, const void *in)
{
    const struct s3_get_object_attributes_in *i = in;

    s3_build_param(b, "versionId", i->version_id);
    s3_build_header(b, "x-amz-object-attributes",
                    "ETag,Checksum,ObjectParts,StorageClass,ObjectSize");
    if (i->max_parts)
        s3_build_headerf(b, "x-amz-max-parts", "%u", i->max_parts);
    if (i->part_number_marker)
        s3_build_headerf(b, "x-amz-part-number-marker", "%u", i->part_number_marker);
}

#define CHECKSUM(type, elem_name, algo)                                                            \
    {                                                                                              \
        .name = (elem_name), .kind = XML_CHECKSUM, .aux = (algo),                                  \
        .offset = offsetof(type, checksum)                                                         \
    }
#define CHECKSUMS(type)                                                                            \
    CHECKSUM(type, "ChecksumCRC32", S3_CHECKSUM_CRC32),                                            \
        CHECKSUM(type, "ChecksumCRC32C", S3_CHECKSUM_CRC32C),                                      \
        CHECKSUM(type, "ChecksumCRC64NVME", S3_CHECKSUM_CRC64NVME),                                \
        CHECKSUM(type, "ChecksumSHA1", S3_CHECKSUM_SHA1),                                          \
        CHECKSUM(type, "ChecksumSHA256", S3_CHECKSUM_SHA256)

static const struct xml_element attributes_part_children[] = {
    XML_FIELD("PartNumber", XML_U32, struct s3_object_part, part_number, XML_F_REQUIRED),
    XML_FIELD("Size", XML_U64, struct s3_object_part, size, XML_F_REQUIRED),
    CHECKSUMS(struct s3_object_part),
};
static const struct xml_element attributes_parts_children[] = {
    XML_ITEMS("Part", struct s3_get_object_attributes_out, parts, n_parts,
              attributes_part_children),
    XML_FIELD("IsTruncated", XML_BOOL, struct s3_get_object_attributes_out, is_truncated, 0),
    XML_FIELD("NextPartNumberMarker", XML_U32, struct s3_get_object_attributes_out,
              next_part_number_marker, 0),
    /* The API names it TotalPartsCount and sends PartsCount. */
    XML_FIELD("PartsCount", XML_U32, struct s3_get_object_attributes_out, total_parts, 0),
    XML_FIELD("TotalPartsCount", XML_U32, struct s3_get_object_attributes_out, total_parts, 0),
};
static const struct xml_element attributes_checksum_children[] = {
    CHECKSUMS(struct s3_get_object_attributes_out),
    XML_FIELD("ChecksumType", XML_TEXT, struct s3_get_object_attributes_out, checksum_type, 0),
};
static const struct xml_element attributes_children[] = {
    XML_FIELD("ETag", XML_TEXT, struct s3_get_object_attributes_out, etag, XML_F_EMPTY),
    XML_SUBTREE("Checksum", attributes_checksum_children, 0),
    XML_SUBTREE("ObjectParts", attributes_parts_children, 0),
    XML_FIELD("StorageClass", XML_TEXT, struct s3_get_object_attributes_out, storage_class, 0),
    XML_FIELD("ObjectSize", XML_U64, struct s3_get_object_attributes_out, object_size,
              XML_F_REQUIRED),
};
const struct xml_element s3_xml_get_object_attributes =
    XML_SUBTREE("GetObjectAttributesResponse", attributes_children, 0);

int s3_parse_get_object_attributes(struct s3_answer *a, void *out)
{
    struct s3_get_object_attributes_out *o = out;

    if (o->is_truncated && o->next_part_number_marker == 0)
        return s3_answer_fail(a, "the page says that more parts follow but has no marker for them");
    return s3_answer_time(a, "Last-Modified", &o->last_modified_ns);
}
