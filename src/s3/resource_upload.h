/* SPDX-License-Identifier: Apache-2.0 */
/* A multipart upload under way. For life, owner, params and errors see resource.h. */
#ifndef PAILFS_S3_RESOURCE_UPLOAD_H
#define PAILFS_S3_RESOURCE_UPLOAD_H

#include "s3/resource.h"

struct s3_multipart_upload {
    struct s3_resource_meta meta; /* bucket_name, object_key, id */
    int64_t initiated_ns;         /* from a listing; 0 = not known */
    char storage_class[32];       /* from a listing; "" = not known */
};

int s3_multipart_upload_init(struct s3_multipart_upload *u, struct s3_client *client,
                             const char *bucket, const char *key, const char *upload_id,
                             struct s3_error *reterr);
void s3_multipart_upload_done(struct s3_multipart_upload *u);
const char *s3_multipart_upload_key(const struct s3_multipart_upload *u);
const char *s3_multipart_upload_id(const struct s3_multipart_upload *u);

/* Every part but the last has at least S3_PART_SIZE_MIN bytes. *ret holds what Complete needs. */
int s3_multipart_upload_upload_part(const struct s3_multipart_upload *u, uint32_t part_number,
                                    const struct s3_upload_part_in *params,
                                    struct s3_upload_part_out *ret, struct s3_error *reterr);
int s3_multipart_upload_copy_part(const struct s3_multipart_upload *u, uint32_t part_number,
                                  const struct s3_upload_part_copy_in *params,
                                  struct s3_copy_object_out *ret, struct s3_error *reterr);
/* params: the parts in ascending order, conditions. */
int s3_multipart_upload_complete(const struct s3_multipart_upload *u,
                                 const struct s3_complete_multipart_upload_in *params,
                                 struct s3_put_object_out *ret, struct s3_error *reterr);
/* Completes with all the parts that S3 holds, as ListParts tells them. */
int s3_multipart_upload_complete_listed(const struct s3_multipart_upload *u,
                                        struct s3_put_object_out *ret, struct s3_error *reterr);
int s3_multipart_upload_abort(const struct s3_multipart_upload *u, struct s3_error *reterr);

/* Borrows from the upload until the last iterator is closed. */
struct s3_collection s3_multipart_upload_parts(const struct s3_multipart_upload *u);
/* Nothing is sent. */
int s3_multipart_upload_object(const struct s3_multipart_upload *u, struct s3_object *ret,
                               struct s3_error *reterr);

#endif
