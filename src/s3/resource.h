/* SPDX-License-Identifier: Apache-2.0 */
/* The higher level: things of S3 as structs of identifiers, with attributes that are loaded when
 * first asked for, actions, and the ways from one to the other (boto3's resources).
 *
 *   s3_service_open(NULL, NULL, &s3, &err);                     the default session's S3
 *   s3_service_bucket(&s3, "photos", &bucket, &err);            sends nothing
 *   s3_bucket_object(&bucket, "2026/a.jpg", &object, &err);     sends nothing
 *   s3_object_attributes(&object, &head, &err);                 HeadObject, once
 *
 * Here: what all have in common, and the service. The others: resource_bucket.h,
 * resource_object.h (object and version), resource_upload.h.
 *
 * Life:    s3_<type>_init, or a function that fills one (sub-resource, action, iterator) -> use ->
 *          s3_<type>_done, which also takes a zeroed one. After an error nothing is to be done.
 * Owner:   the caller. A resource holds a reference to its client and owns its identifiers; plain
 *          assignment moves it (the source must not be used or done any more).
 * Threads: one at a time each; the client underneath is shared.
 * Params:  an action takes the operation's input struct without what the resource knows: bucket,
 *          key, version and upload id in it are ignored. NULL = all defaults. Results (`ret`) may
 *          be NULL where the text does not say otherwise.
 * Errors:  0 or -errno with *reterr, as the client's functions. */
#ifndef PAILFS_S3_RESOURCE_H
#define PAILFS_S3_RESOURCE_H

#include "s3/client.h"
#include "s3/collection.h"
#include "s3/session.h"

#define S3_RESOURCE_IDS_MAX 3

struct s3_resource_type {
    const char *name; /* "Object" */
    size_t n_ids;
    const char *id_names[S3_RESOURCE_IDS_MAX]; /* "bucket_name", "key" */
};

/* What a resource is about; the first member of each. boto3's resource.meta: the client (and from
 * it s3_client_meta), the identifiers, and whether the attributes are loaded. */
struct s3_resource_meta {
    const struct s3_resource_type *type;
    struct s3_client *client;       /* reference */
    char *ids[S3_RESOURCE_IDS_MAX]; /* owned, in the order of type->id_names */
    bool loaded;
};

/* Same type and same identifiers; the clients do not count. */
bool s3_resource_equal(const struct s3_resource_meta *a, const struct s3_resource_meta *b);
/* "s3.Object(bucket_name='photos', key='a.jpg')" into buf; returns buf. */
const char *s3_resource_describe(const struct s3_resource_meta *m, char *buf, size_t size);

/* ---- the service ---- */

struct s3_bucket;
struct s3_object;

struct s3_service {
    struct s3_resource_meta meta;
};

/* On a client that is there already. */
int s3_service_init(struct s3_service *s, struct s3_client *client, struct s3_error *reterr);
/* With a client of its own. session NULL = the default session; opts may be NULL. */
int s3_service_open(struct s3_session *session, const struct s3_client_options *opts,
                    struct s3_service *ret, struct s3_error *reterr);
void s3_service_done(struct s3_service *s);

/* Sub-resources: nothing is sent. ret must not be NULL. */
int s3_service_bucket(const struct s3_service *s, const char *name, struct s3_bucket *ret,
                      struct s3_error *reterr);
int s3_service_object(const struct s3_service *s, const char *bucket, const char *key,
                      struct s3_object *ret, struct s3_error *reterr);
/* CreateBucket. location NULL = the client's region. */
int s3_service_create_bucket(const struct s3_service *s, const char *name, const char *location,
                             struct s3_bucket *ret, struct s3_error *reterr);
/* All buckets. Borrows from the service until the last iterator is closed. */
struct s3_collection s3_service_buckets(const struct s3_service *s);

#endif
