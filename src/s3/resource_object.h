/* SPDX-License-Identifier: Apache-2.0 */
/* An object, and one version of an object. For life, owner, params and errors see resource.h. */
#ifndef PAILFS_S3_RESOURCE_OBJECT_H
#define PAILFS_S3_RESOURCE_OBJECT_H

#include "base/strbuf.h"
#include "s3/resource.h"
#include "s3/transfer.h"
#include "s3/waiter.h"

struct s3_multipart_upload;
struct s3_object_version;

/* What a listing tells; kept by the resources that an iterator fills. */
struct s3_object_summary {
    uint64_t size;
    int64_t last_modified_ns;
    char etag[S3_ETAG_SIZE]; /* with quotes; "" = not told */
    char storage_class[32];  /* "STANDARD" when not told */
    bool is_latest;          /* versions only, as the next */
    bool is_delete_marker;
};

struct s3_object {
    struct s3_resource_meta meta;   /* bucket_name, key */
    struct s3_head_object_out head; /* valid while meta.loaded */
    struct s3_object_summary summary;
    bool has_summary;
};

int s3_object_init(struct s3_object *o, struct s3_client *client, const char *bucket,
                   const char *key, struct s3_error *reterr);
void s3_object_done(struct s3_object *o);
const char *s3_object_bucket_name(const struct s3_object *o);
const char *s3_object_key(const struct s3_object *o);

/* HeadObject, whatever was loaded before. */
int s3_object_load(struct s3_object *o, struct s3_error *reterr);
/* Loads when that was not done since the object was last changed through this struct. Borrowed
 * until the next load or change. */
int s3_object_attributes(struct s3_object *o, const struct s3_head_object_out **ret,
                         struct s3_error *reterr);
/* Size, time, ETag and class: from the listing that the object came from, else by a load. */
int s3_object_summary(struct s3_object *o, const struct s3_object_summary **ret,
                      struct s3_error *reterr);

/* params->sink takes the bytes and must be given. */
int s3_object_get(const struct s3_object *o, const struct s3_get_object_in *params,
                  struct s3_head_object_out *ret, struct s3_error *reterr);
/* The whole object behind what sb holds; beyond sb->max is S3_ERROR_TOO_LARGE. */
int s3_object_get_memory(const struct s3_object *o, struct strbuf *sb, struct s3_error *reterr);
int s3_object_put(struct s3_object *o, const struct s3_put_object_in *params,
                  struct s3_put_object_out *ret, struct s3_error *reterr);
int s3_object_put_memory(struct s3_object *o, const void *data, size_t len,
                         struct s3_error *reterr);
/* CopyObject onto this one; params->source_* say from where. Over 5 GiB: s3_copy. */
int s3_object_copy_from(struct s3_object *o, const struct s3_copy_object_in *params,
                        struct s3_copy_object_out *ret, struct s3_error *reterr);
/* params: version id and condition. */
int s3_object_delete(struct s3_object *o, const struct s3_delete_object_in *params,
                     struct s3_delete_object_out *ret, struct s3_error *reterr);
/* ret must not be NULL. */
int s3_object_initiate_multipart_upload(const struct s3_object *o,
                                        const struct s3_create_multipart_upload_in *params,
                                        struct s3_multipart_upload *ret, struct s3_error *reterr);
/* GetObject, PutObject, HeadObject or DeleteObject; see s3_presign_url. */
int s3_object_presign(const struct s3_object *o, enum s3_op op, uint32_t expires_s, char **ret,
                      struct s3_error *reterr);
/* Managed transfers, see transfer.h. */
int s3_object_upload_file(struct s3_object *o, const char *path,
                          const struct s3_transfer_options *opts, struct s3_put_object_out *ret,
                          struct s3_error *reterr);
int s3_object_download_file(const struct s3_object *o, const char *path,
                            const struct s3_transfer_options *opts, struct s3_head_object_out *ret,
                            struct s3_error *reterr);
int s3_object_wait_until_exists(const struct s3_object *o, const struct s3_waiter_options *opts,
                                struct s3_error *reterr);
int s3_object_wait_until_not_exists(const struct s3_object *o, const struct s3_waiter_options *opts,
                                    struct s3_error *reterr);

/* Nothing is sent. ret must not be NULL. */
int s3_object_bucket(const struct s3_object *o, struct s3_bucket *ret, struct s3_error *reterr);
int s3_object_version(const struct s3_object *o, const char *version_id,
                      struct s3_object_version *ret, struct s3_error *reterr);
int s3_object_multipart_upload(const struct s3_object *o, const char *upload_id,
                               struct s3_multipart_upload *ret, struct s3_error *reterr);

/* ---- one version ---- */

struct s3_object_version {
    struct s3_resource_meta meta; /* bucket_name, object_key, id */
    struct s3_object_summary summary;
    bool has_summary; /* it came from a listing */
};

int s3_object_version_init(struct s3_object_version *v, struct s3_client *client,
                           const char *bucket, const char *key, const char *version_id,
                           struct s3_error *reterr);
void s3_object_version_done(struct s3_object_version *v);
const char *s3_object_version_key(const struct s3_object_version *v);
const char *s3_object_version_id(const struct s3_object_version *v);

/* params->sink must be given. */
int s3_object_version_get(const struct s3_object_version *v, const struct s3_get_object_in *params,
                          struct s3_head_object_out *ret, struct s3_error *reterr);
int s3_object_version_get_memory(const struct s3_object_version *v, struct strbuf *sb,
                                 struct s3_error *reterr);
int s3_object_version_head(const struct s3_object_version *v,
                           const struct s3_head_object_in *params, struct s3_head_object_out *ret,
                           struct s3_error *reterr);
/* For good: the version, not a delete marker upon it. */
int s3_object_version_delete(const struct s3_object_version *v, struct s3_delete_object_out *ret,
                             struct s3_error *reterr);
/* Nothing is sent. */
int s3_object_version_object(const struct s3_object_version *v, struct s3_object *ret,
                             struct s3_error *reterr);

#endif
