/* SPDX-License-Identifier: Apache-2.0 */
#include "s3/resource_bucket.h"

#include <string.h>

#include "s3/paginator.h"
#include "s3/resource_impl.h"
#include "s3/resource_object.h"
#include "s3/resource_upload.h"

enum { ID_NAME };

static const struct s3_resource_type BUCKET = {
    .name = "Bucket",
    .n_ids = 1,
    .id_names = {[ID_NAME] = "name"},
};

int s3_bucket_init(struct s3_bucket *b, struct s3_client *client, const char *name,
                   struct s3_error *reterr)
{
    memset(b, 0, sizeof(*b));
    return s3_resource_init(&b->meta, &BUCKET, client, (const char *const[]){name}, reterr);
}

void s3_bucket_done(struct s3_bucket *b)
{
    s3_resource_done(&b->meta);
}

const char *s3_bucket_name(const struct s3_bucket *b)
{
    return b->meta.ids[ID_NAME];
}

/* ---- attributes ---- */

/* 1 found, 0 not in the list, <0 error. */
static int find_in_list(struct s3_bucket *b, struct s3_bucket_attributes *ret, struct s3_error *err)
{
    /* Endpoints that do not know the prefix list all; hence the comparison. */
    struct s3_list_buckets_in in = {.prefix = s3_bucket_name(b)};
    struct s3_paginator *p = NULL;
    int r = s3_paginator_new(b->meta.client, &s3_paginator_list_buckets, &in, NULL, &p, err);
    if (r < 0)
        return r;
    bool found = false;
    const void *page;
    while (!found && (r = s3_paginator_next(p, &page, err)) > 0) {
        const struct s3_list_buckets_out *o = page;
        for (size_t i = 0; i < o->n_buckets && !found; i++) {
            const struct s3_bucket_entry *e = &o->buckets[i];
            if (strcmp(e->name, s3_bucket_name(b)) != 0)
                continue;
            found = true;
            ret->creation_ns = e->creation_ns;
            snprintf(ret->region, sizeof(ret->region), "%s", e->region ? e->region : "");
        }
    }
    s3_paginator_free(p);
    return r < 0 ? r : found;
}

int s3_bucket_load(struct s3_bucket *b, struct s3_error *reterr)
{
    struct s3_bucket_attributes a = {0};
    struct s3_error err = {0};
    int r = find_in_list(b, &a, &err);
    if (r < 0 && err.kind != S3_ERROR_ACCESS_DENIED) {
        if (reterr)
            *reterr = err;
        return r;
    }
    if (r <= 0) {
        struct s3_bucket_in in = {.bucket = s3_bucket_name(b)};
        struct s3_head_bucket_out out = {0};
        r = s3_head_bucket(b->meta.client, &in, &out, reterr);
        if (r < 0)
            return r;
        memcpy(a.region, out.region, sizeof(a.region));
    }
    b->attributes = a;
    b->meta.loaded = true;
    return 0;
}

int s3_bucket_attributes(struct s3_bucket *b, const struct s3_bucket_attributes **ret,
                         struct s3_error *reterr)
{
    int r = b->meta.loaded ? 0 : s3_bucket_load(b, reterr);
    if (r == 0)
        *ret = &b->attributes;
    return r;
}

/* ---- actions ---- */

int s3_bucket_create(struct s3_bucket *b, const char *location, struct s3_error *reterr)
{
    struct s3_create_bucket_in in = {.bucket = s3_bucket_name(b), .location = location};
    b->meta.loaded = false;
    return s3_create_bucket(b->meta.client, &in, reterr);
}

int s3_bucket_delete(struct s3_bucket *b, struct s3_error *reterr)
{
    struct s3_bucket_in in = {.bucket = s3_bucket_name(b)};
    b->meta.loaded = false;
    return s3_delete_bucket(b->meta.client, &in, reterr);
}

int s3_bucket_put_object(const struct s3_bucket *b, const char *key,
                         const struct s3_put_object_in *params, struct s3_object *ret,
                         struct s3_error *reterr)
{
    struct s3_object object;
    int r = s3_bucket_object(b, key, &object, reterr);
    if (r < 0)
        return r;
    r = s3_object_put(&object, params, NULL, reterr);
    if (r == 0 && ret)
        *ret = object;
    else
        s3_object_done(&object);
    return r;
}

int s3_bucket_delete_objects(const struct s3_bucket *b, const struct s3_delete_entry *entries,
                             size_t n_entries, struct s3_delete_report *report,
                             struct s3_error *reterr)
{
    return s3_batch_delete(b->meta.client, s3_bucket_name(b), entries, n_entries, report, reterr);
}

int s3_bucket_versioning(const struct s3_bucket *b, enum s3_versioning *ret,
                         struct s3_error *reterr)
{
    struct s3_bucket_in in = {.bucket = s3_bucket_name(b)};
    struct s3_get_bucket_versioning_out out = {0};
    int r = s3_get_bucket_versioning(b->meta.client, &in, &out, reterr);
    if (r == 0)
        *ret = out.status;
    return r;
}

int s3_bucket_set_versioning(const struct s3_bucket *b, enum s3_versioning status,
                             struct s3_error *reterr)
{
    struct s3_put_bucket_versioning_in in = {.bucket = s3_bucket_name(b), .status = status};
    return s3_put_bucket_versioning(b->meta.client, &in, reterr);
}

int s3_bucket_wait_until_exists(const struct s3_bucket *b, const struct s3_waiter_options *opts,
                                struct s3_error *reterr)
{
    return s3_waiter_wait(b->meta.client, &s3_waiter_bucket_exists, s3_bucket_name(b), NULL, opts,
                          reterr);
}

int s3_bucket_wait_until_not_exists(const struct s3_bucket *b, const struct s3_waiter_options *opts,
                                    struct s3_error *reterr)
{
    return s3_waiter_wait(b->meta.client, &s3_waiter_bucket_not_exists, s3_bucket_name(b), NULL,
                          opts, reterr);
}

/* ---- sub-resources and collections ---- */

int s3_bucket_object(const struct s3_bucket *b, const char *key, struct s3_object *ret,
                     struct s3_error *reterr)
{
    return s3_object_init(ret, b->meta.client, s3_bucket_name(b), key, reterr);
}

int s3_bucket_multipart_upload(const struct s3_bucket *b, const char *key, const char *upload_id,
                               struct s3_multipart_upload *ret, struct s3_error *reterr)
{
    return s3_multipart_upload_init(ret, b->meta.client, s3_bucket_name(b), key, upload_id, reterr);
}

static struct s3_collection collection(const struct s3_bucket *b, enum s3_collection_kind kind)
{
    return (struct s3_collection){
        .kind = kind, .client = b->meta.client, .bucket = s3_bucket_name(b)};
}

struct s3_collection s3_bucket_objects(const struct s3_bucket *b)
{
    return collection(b, S3_COLLECTION_OBJECTS);
}

struct s3_collection s3_bucket_object_versions(const struct s3_bucket *b)
{
    return collection(b, S3_COLLECTION_OBJECT_VERSIONS);
}

struct s3_collection s3_bucket_multipart_uploads(const struct s3_bucket *b)
{
    return collection(b, S3_COLLECTION_MULTIPART_UPLOADS);
}
