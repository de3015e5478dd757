/* SPDX-License-Identifier: Apache-2.0 */
/* Bucket operations: CreateBucket, DeleteBucket, HeadBucket, GetBucketLocation, versioning. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/attr.h"
#include "s3/op.h"

void s3_build_create_bucket(struct s3_build *b, const void *in)
{
    const struct s3_create_bucket_in *i = in;
    const char *location = i->location;

    /* Other endpoints have names of their own for locations (or none) and refuse AWS' regions. */
    if (!location && !b->custom_endpoint)
        location = b->region;
    /* us-east-1 has no name here:
     * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html */
    if (!location || !*location || !strcmp(location, AWS_DEFAULT_REGION))
        return;
    s3_build_xml_raw(b, "<CreateBucketConfiguration "
                        "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    s3_build_xml(b, "LocationConstraint", location);
    s3_build_xml_raw(b, "</CreateBucketConfiguration>");
}

int s3_parse_head_bucket(struct s3_answer *a, void *out)
{
    struct s3_head_bucket_out *o = out;
    const char *server = http_response_header(a->resp, "Server");

    (void)snprintf(o->server, sizeof(o->server), "%s", server ? server : "");
    if (s3_answer_time(a, "Date", &o->date_ns) < 0)
        o->date_ns = 0;
    return s3_answer_chars(a, "x-amz-bucket-region", o->region, sizeof(o->region));
}

const struct xml_element s3_xml_bucket_location =
    XML_FIELD("LocationConstraint", XML_CHARS, struct s3_get_bucket_location_out, location, 0);

int s3_parse_get_bucket_location(struct s3_answer *a ATTR_UNUSED, void *out)
{
    struct s3_get_bucket_location_out *o = out;

    if (!o->location[0])
        memcpy(o->location, AWS_DEFAULT_REGION, sizeof(AWS_DEFAULT_REGION));
    else if (!strcmp(o->location, "EU")) /* what eu-west-1 was called before there were others */
        memcpy(o->location, "eu-west-1", sizeof("eu-west-1"));
    return 0;
}

static const struct xml_element versioning_children[] = {
    XML_FIELD("Status", XML_VERSIONING, struct s3_get_bucket_versioning_out, status, 0),
};
const struct xml_element s3_xml_bucket_versioning =
    XML_SUBTREE("VersioningConfiguration", versioning_children, 0);

void s3_build_put_bucket_versioning(struct s3_build *b, const void *in)
{
    const struct s3_put_bucket_versioning_in *i = in;

    if (i->status != S3_VERSIONING_ENABLED && i->status != S3_VERSIONING_SUSPENDED) {
        s3_build_fail(b, -EINVAL, "versioning can be enabled or suspended, not removed");
        return;
    }
    s3_build_xml_raw(b, "<VersioningConfiguration "
                        "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    s3_build_xml(b, "Status", i->status == S3_VERSIONING_ENABLED ? "Enabled" : "Suspended");
    s3_build_xml_raw(b, "</VersioningConfiguration>");
}
