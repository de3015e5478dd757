/* SPDX-License-Identifier: Apache-2.0 */
#include "route.h"

#include <string.h>

#include "base/attr.h"
#include "ops.h"
#include "request.h"

#define READ    ROUTE_READ
#define NB      ROUTE_NO_BUCKET
#define DISCARD BODY_DISCARD
#define MEMORY  BODY_MEMORY
#define BLOB    BODY_BLOB
#define COPY    "x-amz-copy-source"

/* clang-format off */
static const struct route routes[] = {
    {"ListBuckets", "GET", LEVEL_SERVICE, NULL, NULL, NULL, NB, DISCARD, NULL, op_list_buckets},

    {"HeadBucket", "HEAD", LEVEL_BUCKET, NULL, NULL, NULL, READ, DISCARD, NULL, op_head_bucket},
    {"GetBucketLocation", "GET", LEVEL_BUCKET, "location", NULL, NULL, 0, DISCARD, NULL, op_get_bucket_location},
    {"GetBucketVersioning", "GET", LEVEL_BUCKET, "versioning", NULL, NULL, 0, DISCARD, NULL, op_get_bucket_versioning},
    {"PutBucketVersioning", "PUT", LEVEL_BUCKET, "versioning", NULL, NULL, 0, MEMORY, NULL, op_put_bucket_versioning},
    {"ListObjectVersions", "GET", LEVEL_BUCKET, "versions", NULL, NULL, READ, DISCARD, NULL, op_list_object_versions},
    {"ListMultipartUploads", "GET", LEVEL_BUCKET, "uploads", NULL, NULL, 0, DISCARD, NULL, op_list_multipart_uploads},
    {"DeleteObjects", "POST", LEVEL_BUCKET, "delete", NULL, NULL, 0, MEMORY, NULL, op_delete_objects},
    {"ListObjectsV2", "GET", LEVEL_BUCKET, "list-type", "2", NULL, READ, DISCARD, NULL, op_list_objects_v2},

    {"UploadPartCopy", "PUT", LEVEL_OBJECT, "uploadId", NULL, COPY, ROUTE_OWN_SUM, MEMORY, NULL, op_upload_part_copy},
    {"UploadPart", "PUT", LEVEL_OBJECT, "uploadId", NULL, NULL, 0, BLOB, op_upload_part_begin, op_upload_part},
    {"CompleteMultipartUpload", "POST", LEVEL_OBJECT, "uploadId", NULL, NULL, ROUTE_OWN_SUM, MEMORY, NULL, op_complete_multipart_upload},
    {"AbortMultipartUpload", "DELETE", LEVEL_OBJECT, "uploadId", NULL, NULL, 0, DISCARD, NULL, op_abort_multipart_upload},
    {"ListParts", "GET", LEVEL_OBJECT, "uploadId", NULL, NULL, 0, DISCARD, NULL, op_list_parts},
    {"CreateMultipartUpload", "POST", LEVEL_OBJECT, "uploads", NULL, NULL, ROUTE_OWN_SUM, MEMORY, NULL, op_create_multipart_upload},
    {"GetObjectAttributes", "GET", LEVEL_OBJECT, "attributes", NULL, NULL, READ, DISCARD, NULL, op_get_object_attributes},
    {"RestoreObject", "POST", LEVEL_OBJECT, "restore", NULL, NULL, 0, MEMORY, NULL, op_restore_object},

    /* Sub-resources that s3d does not have: never mistaken for the plain operation. */
#define NOT_IMPLEMENTED(level, param) \
    {"NotImplemented", NULL, level, param, NULL, NULL, NB, DISCARD, NULL, op_not_implemented}
    NOT_IMPLEMENTED(LEVEL_BUCKET, "acl"), NOT_IMPLEMENTED(LEVEL_BUCKET, "policy"),
    NOT_IMPLEMENTED(LEVEL_BUCKET, "policyStatus"), NOT_IMPLEMENTED(LEVEL_BUCKET, "tagging"),
    NOT_IMPLEMENTED(LEVEL_BUCKET, "cors"), NOT_IMPLEMENTED(LEVEL_BUCKET, "lifecycle"),
    NOT_IMPLEMENTED(LEVEL_BUCKET, "website"), NOT_IMPLEMENTED(LEVEL_BUCKET, "logging"),
    NOT_IMPLEMENTED(LEVEL_BUCKET, "notification"), NOT_IMPLEMENTED(LEVEL_BUCKET, "encryption"),
    NOT_IMPLEMENTED(LEVEL_BUCKET, "replication"), NOT_IMPLEMENTED(LEVEL_BUCKET, "object-lock"),
    NOT_IMPLEMENTED(LEVEL_BUCKET, "publicAccessBlock"), NOT_IMPLEMENTED(LEVEL_BUCKET, "session"),
    NOT_IMPLEMENTED(LEVEL_BUCKET, "ownershipControls"), NOT_IMPLEMENTED(LEVEL_BUCKET, "accelerate"),
    NOT_IMPLEMENTED(LEVEL_BUCKET, "analytics"), NOT_IMPLEMENTED(LEVEL_BUCKET, "inventory"),
    NOT_IMPLEMENTED(LEVEL_BUCKET, "metrics"), NOT_IMPLEMENTED(LEVEL_BUCKET, "requestPayment"),
    NOT_IMPLEMENTED(LEVEL_BUCKET, "intelligent-tiering"),
    NOT_IMPLEMENTED(LEVEL_OBJECT, "acl"), NOT_IMPLEMENTED(LEVEL_OBJECT, "tagging"),
    NOT_IMPLEMENTED(LEVEL_OBJECT, "retention"), NOT_IMPLEMENTED(LEVEL_OBJECT, "legal-hold"),
    NOT_IMPLEMENTED(LEVEL_OBJECT, "torrent"), NOT_IMPLEMENTED(LEVEL_OBJECT, "select"),
    NOT_IMPLEMENTED(LEVEL_OBJECT, "renameObject"), NOT_IMPLEMENTED(LEVEL_OBJECT, "append"),

    {"ListObjects", "GET", LEVEL_BUCKET, NULL, NULL, NULL, READ, DISCARD, NULL, op_list_objects},
    {"CreateBucket", "PUT", LEVEL_BUCKET, NULL, NULL, NULL, NB, MEMORY, NULL, op_create_bucket},
    {"DeleteBucket", "DELETE", LEVEL_BUCKET, NULL, NULL, NULL, 0, DISCARD, NULL, op_delete_bucket},

    {"GetObject", "GET", LEVEL_OBJECT, NULL, NULL, NULL, READ, DISCARD, NULL, op_get_object},
    {"HeadObject", "HEAD", LEVEL_OBJECT, NULL, NULL, NULL, READ, DISCARD, NULL, op_get_object},
    {"CopyObject", "PUT", LEVEL_OBJECT, NULL, NULL, COPY, ROUTE_OWN_SUM, MEMORY, NULL, op_copy_object},
    {"PutObject", "PUT", LEVEL_OBJECT, NULL, NULL, NULL, 0, BLOB, op_put_object_begin, op_put_object},
    {"DeleteObject", "DELETE", LEVEL_OBJECT, NULL, NULL, NULL, 0, DISCARD, NULL, op_delete_object},
};
/* clang-format on */

const struct route *route_find(struct request *r)
{
    enum route_level level = !r->bucket_name[0] ? LEVEL_SERVICE
                             : !r->key          ? LEVEL_BUCKET
                                                : LEVEL_OBJECT;

    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        const struct route *rt = &routes[i];

        if (rt->level != level || (rt->method && strcmp(rt->method, r->method)))
            continue;
        if (rt->param) {
            const struct param *p = request_param(r, rt->param);

            if (!p || (rt->value && strcmp(p->value, rt->value)))
                continue;
        }
        if (rt->header && !request_header(r, rt->header))
            continue;
        return rt;
    }
    reply_error(r, ERR_METHOD_NOT_ALLOWED);
    return NULL;
}

unsigned route_index(const struct route *rt)
{
    return (unsigned)(rt - routes);
}

unsigned route_count(void)
{
    return ARRAY_SIZE(routes);
}

const char *route_name(unsigned index)
{
    return routes[index].name;
}

void op_not_implemented(struct request *r)
{
    reply_error(r, ERR_NOT_IMPLEMENTED);
}
