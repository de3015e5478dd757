/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart uploads.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "s3/checksum.h"
#include "s3/op.h"

void s3_build_create_multipart_upload(struct s3_build *b, const void *in)
{
    const struct s3_create_multipart_upload_in *i = in;

    s3_build_attrs(b, &i->attrs);
    s3_build_header(b, "x-amz-storage-class", i->attrs.storage_class);
    if (i->checksum_algo != S3_CHECKSUM_NONE)
        s3_build_header(b, "x-amz-checksum-algorithm", s3_checksum_name(i->checksum_algo));
}

static const struct xml_element create_children[] = {
    XML_FIELD("UploadId", XML_CHARS, struct s3_create_multipart_upload_out, upload_id,
              XML_F_REQUIRED),
};
const struct xml_element s3_xml_create_multipart_upload =
    XML_SUBTREE("InitiateMultipartUploadResult", create_children, 0);

int s3_parse_create_multipart_upload(struct s3_answer *a, void *out)
{
    const struct s3_create_multipart_upload_out *o = out;

    return o->upload_id[0] ? 0 : s3_answer_fail(a, "the answer has an empty upload id");
}

void s3_build_upload_part(struct s3_build *b, const void *in)
{
    const struct s3_upload_part_in *i = in;

    s3_build_part(b, i->part_number, i->upload_id);
    /* Means nothing to S3, but gates that choose by it how to take a body leave one without. */
    s3_build_header(b, "Content-Type", "application/octet-stream");
    b->body = i->body;
    b->n_body = i->body ? i->n_body : 0;
    b->checksum_algo = i->checksum_algo;
    b->checksum = &i->checksum;
}

/* out->checksum is filled by the funnel, which computed it, if the server repeats it. */
int s3_parse_upload_part(struct s3_answer *a, void *out)
{
    const struct s3_upload_part_in *i = a->in;
    struct s3_upload_part_out *o = out;
    int r = s3_answer_etag(a, o->etag, sizeof(o->etag));

    o->may_come = a->may_come;
    if (!r && !o->etag[0])
        return s3_answer_fail(a, "the answer has no ETag, without which the part cannot be named");
    return r ? r : s3_answer_not_empty(a, o->etag, i->body, i->n_body);
}

void s3_build_upload_part_copy(struct s3_build *b, const void *in)
{
    const struct s3_upload_part_copy_in *i = in;

    s3_build_part(b, i->part_number, i->upload_id);
    s3_build_copy_source(b, i->source_bucket, i->source_key, i->source_version_id,
                         &i->source_conditions);
    if (i->has_range && i->range_length == 0)
        s3_build_fail(b, -EINVAL, "the range to copy is empty");
    else if (i->has_range)
        s3_build_range(b, "x-amz-copy-source-range", i->range_offset, i->range_length);
}

void s3_build_complete_multipart_upload(struct s3_build *b, const void *in)
{
    const struct s3_complete_multipart_upload_in *i = in;
    uint32_t previous = 0;

    s3_build_param_needed(b, "uploadId", i->upload_id);
    s3_build_conditions(b, &i->conditions);
    if (i->checksum.algo != S3_CHECKSUM_NONE) {
        s3_build_header(b, s3_checksum_header(i->checksum.algo), i->checksum.value);
        s3_build_header(b, "x-amz-checksum-type", "FULL_OBJECT");
    }
    if (i->object_size)
        s3_build_headerf(b, "x-amz-mp-object-size", "%" PRIu64, i->object_size);
    if (i->n_parts < 1 || i->n_parts > S3_PARTS_MAX) {
        s3_build_fail(b, -EINVAL, "an upload has 1 to %u parts, not %zu", S3_PARTS_MAX, i->n_parts);
        return;
    }
    s3_build_xml_raw(b, "<CompleteMultipartUpload "
                        "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t n = 0; n < i->n_parts && !b->error; n++) {
        const struct s3_completed_part *part = &i->parts[n];
        char number[16];
        if (part->part_number <= previous || part->part_number > S3_PARTS_MAX || !part->etag) {
            s3_build_fail(b, -EINVAL, "the parts are not in ascending order, each with an ETag");
            return;
        }
        previous = part->part_number;
        (void)snprintf(number, sizeof(number), "%u", part->part_number);
        s3_build_xml_raw(b, "<Part>");
        s3_build_xml(b, "PartNumber", number);
        s3_build_xml(b, "ETag", part->etag);
        if (part->checksum.algo != S3_CHECKSUM_NONE) {
            char name[32];
            (void)snprintf(name, sizeof(name), "Checksum%s", s3_checksum_name(part->checksum.algo));
            s3_build_xml(b, name, part->checksum.value);
        }
        s3_build_xml_raw(b, "</Part>");
    }
    s3_build_xml_raw(b, "</CompleteMultipartUpload>");
}

static const struct xml_element complete_children[] = {
    XML_FIELD("ETag", XML_ETAG_CHARS, struct s3_put_object_out, etag, XML_F_REQUIRED),
    XML_FIELD("ChecksumCRC64NVME", XML_CHARS, struct s3_put_object_out, crc64nvme, 0),
};
const struct xml_element s3_xml_complete_multipart_upload =
    XML_SUBTREE("CompleteMultipartUploadResult", complete_children, 0);

/* Most servers say behind a dash how many parts they have put together: all that were named? */
static int check_count(struct s3_answer *a, const char *etag)
{
    const struct s3_complete_multipart_upload_in *i = a->in;
    const char *dash = strrchr(etag, '-');
    size_t digits = dash ? strspn(dash + 1, "0123456789") : 0;

    if (digits < 1 || digits > 5 || strcmp(dash + 1 + digits, "\"") != 0 ||
        strspn(etag + 1, "0123456789abcdef") != 32 || etag + 33 != dash ||
        strtoul(dash + 1, NULL, 10) == i->n_parts)
        return 0;
    return s3_answer_fail(a, "the object was made of %.5s parts, not of %zu", dash + 1, i->n_parts);
}

int s3_parse_complete_multipart_upload(struct s3_answer *a, void *out)
{
    struct s3_put_object_out *o = out;
    int r = s3_answer_chars(a, "x-amz-version-id", o->version_id, sizeof(o->version_id));

    if (!r)
        r = check_count(a, o->etag);
    return r ? r : s3_answer_time(a, "Date", &o->date_ns);
}

void s3_build_abort_multipart_upload(struct s3_build *b, const void *in)
{
    const struct s3_abort_multipart_upload_in *i = in;

    s3_build_param_needed(b, "uploadId", i->upload_id);
}
