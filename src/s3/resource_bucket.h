/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket. For life, owner, params and errors see resource.h. */
#ifndef PAILFS_S3_RESOURCE_BUCKET_H
#define PAILFS_S3_RESOURCE_BUCKET_H

#include "s3/batch_delete.h"
#include "s3/resource.h"
#include "s3/waiter.h"

struct s3_multipart_upload;

struct s3_bucket_attributes {
    int64_t creation_ns; /* 0 = not ours, or we may not list buckets */
    char region[64];     /* "" = not told */
};

struct s3_bucket {
    struct s3_resource_meta meta;           /* name */
    struct s3_bucket_attributes attributes; /* valid while meta.loaded */
};

int s3_bucket_init(struct s3_bucket *b, struct s3_client *client, const char *name,
                   struct s3_error *reterr);
void s3_bucket_done(struct s3_bucket *b);
const char *s3_bucket_name(const struct s3_bucket *b);

/* Asks S3 whatever was loaded before (boto3's reload): ListBuckets, which alone tells the creation
 * date; for a bucket that is not in it, or when that is denied, HeadBucket says whether it is
 * there. */
int s3_bucket_load(struct s3_bucket *b, struct s3_error *reterr);
/* Loads when that was not done yet. Borrowed until the next load. */
int s3_bucket_attributes(struct s3_bucket *b, const struct s3_bucket_attributes **ret,
                         struct s3_error *reterr);

int s3_bucket_create(struct s3_bucket *b, const char *location, struct s3_error *reterr);
int s3_bucket_delete(struct s3_bucket *b, struct s3_error *reterr);
/* PutObject; *ret is the new object. */
int s3_bucket_put_object(const struct s3_bucket *b, const char *key,
                         const struct s3_put_object_in *params, struct s3_object *ret,
                         struct s3_error *reterr);
/* Any number of keys, see batch_delete.h. */
int s3_bucket_delete_objects(const struct s3_bucket *b, const struct s3_delete_entry *entries,
                             size_t n_entries, struct s3_delete_report *report,
                             struct s3_error *reterr);
int s3_bucket_versioning(const struct s3_bucket *b, enum s3_versioning *ret,
                         struct s3_error *reterr);
int s3_bucket_set_versioning(const struct s3_bucket *b, enum s3_versioning status,
                             struct s3_error *reterr);
int s3_bucket_wait_until_exists(const struct s3_bucket *b, const struct s3_waiter_options *opts,
                                struct s3_error *reterr);
int s3_bucket_wait_until_not_exists(const struct s3_bucket *b, const struct s3_waiter_options *opts,
                                    struct s3_error *reterr);

/* Nothing is sent. ret must not be NULL. */
int s3_bucket_object(const struct s3_bucket *b, const char *key, struct s3_object *ret,
                     struct s3_error *reterr);
int s3_bucket_multipart_upload(const struct s3_bucket *b, const char *key, const char *upload_id,
                               struct s3_multipart_upload *ret, struct s3_error *reterr);
/* Borrow from the bucket until the last iterator is closed. */
struct s3_collection s3_bucket_objects(const struct s3_bucket *b);
struct s3_collection s3_bucket_object_versions(const struct s3_bucket *b);
struct s3_collection s3_bucket_multipart_uploads(const struct s3_bucket *b);

#endif
