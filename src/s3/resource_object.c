/* SPDX-License-Identifier: Apache-2.0 */
#include "s3/resource_object.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "s3/resource_bucket.h"
#include "s3/resource_impl.h"
#include "s3/resource_upload.h"

enum { ID_BUCKET, ID_KEY, ID_VERSION };

static const struct s3_resource_type OBJECT = {
    .name = "Object",
    .n_ids = 2,
    .id_names = {[ID_BUCKET] = "bucket_name", [ID_KEY] = "key"},
};

static const struct s3_resource_type OBJECT_VERSION = {
    .name = "ObjectVersion",
    .n_ids = 3,
    .id_names = {[ID_BUCKET] = "bucket_name", [ID_KEY] = "object_key", [ID_VERSION] = "id"},
};

int s3_object_init(struct s3_object *o, struct s3_client *client, const char *bucket,
                   const char *key, struct s3_error *reterr)
{
    memset(o, 0, sizeof(*o));
    return s3_resource_init(&o->meta, &OBJECT, client, (const char *const[]){bucket, key}, reterr);
}

/* What was loaded does not hold any more. */
static void forget(struct s3_object *o)
{
    if (o->meta.loaded)
        s3_head_object_out_done(&o->head);
    memset(&o->head, 0, sizeof(o->head));
    o->meta.loaded = false;
    o->has_summary = false;
}

void s3_object_done(struct s3_object *o)
{
    forget(o);
    s3_resource_done(&o->meta);
}

const char *s3_object_bucket_name(const struct s3_object *o)
{
    return o->meta.ids[ID_BUCKET];
}

const char *s3_object_key(const struct s3_object *o)
{
    return o->meta.ids[ID_KEY];
}

/* ---- attributes ---- */

static void summarise(struct s3_object *o)
{
    const struct s3_head_object_out *h = &o->head;
    struct s3_object_summary *s = &o->summary;
    *s =
        (struct s3_object_summary){.size = h->object_size, .last_modified_ns = h->last_modified_ns};
    snprintf(s->etag, sizeof(s->etag), "%s", h->etag ? h->etag : "");
    snprintf(s->storage_class, sizeof(s->storage_class), "%s",
             h->storage_class ? h->storage_class : "STANDARD");
    o->has_summary = true;
}

int s3_object_load(struct s3_object *o, struct s3_error *reterr)
{
    struct s3_head_object_in in = {.bucket = s3_object_bucket_name(o), .key = s3_object_key(o)};
    struct s3_head_object_out out = {0};
    int r = s3_head_object(o->meta.client, &in, &out, reterr);
    if (r < 0)
        return r;
    forget(o);
    o->head = out;
    o->meta.loaded = true;
    summarise(o);
    return 0;
}

int s3_object_attributes(struct s3_object *o, const struct s3_head_object_out **ret,
                         struct s3_error *reterr)
{
    int r = o->meta.loaded ? 0 : s3_object_load(o, reterr);
    if (r == 0)
        *ret = &o->head;
    return r;
}

int s3_object_summary(struct s3_object *o, const struct s3_object_summary **ret,
                      struct s3_error *reterr)
{
    int r = o->has_summary ? 0 : s3_object_load(o, reterr);
    if (r == 0)
        *ret = &o->summary;
    return r;
}

/* ---- actions ---- */

static int get(struct s3_client *client, struct s3_get_object_in *in,
               struct s3_head_object_out *ret, struct s3_error *reterr)
{
    struct s3_head_object_out out = {0};
    if (!in->sink)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "get needs a sink for the bytes");
    int r = s3_get_object(client, in, &out, reterr);
    if (r < 0)
        return r;
    if (ret)
        *ret = out;
    else
        s3_head_object_out_done(&out);
    return 0;
}

static int write_strbuf(void *ctx, const void *data, size_t len)
{
    return strbuf_append(ctx, data, len);
}

static int get_memory(struct s3_client *client, struct s3_get_object_in *in, struct strbuf *sb,
                      struct s3_error *reterr)
{
    struct http_sink sink = {.write = write_strbuf, .ctx = sb};
    in->sink = &sink;
    int r = get(client, in, NULL, reterr);
    if (r < 0 && sb->error == -E2BIG)
        return s3_error_set(reterr, S3_ERROR_TOO_LARGE, "'%s/%s' has more than %zu bytes",
                            in->bucket, in->key, sb->max);
    if (r < 0 && sb->error < 0)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    return r;
}

int s3_object_get(const struct s3_object *o, const struct s3_get_object_in *params,
                  struct s3_head_object_out *ret, struct s3_error *reterr)
{
    struct s3_get_object_in in = params ? *params : (struct s3_get_object_in){0};
    in.bucket = s3_object_bucket_name(o);
    in.key = s3_object_key(o);
    return get(o->meta.client, &in, ret, reterr);
}

int s3_object_get_memory(const struct s3_object *o, struct strbuf *sb, struct s3_error *reterr)
{
    struct s3_get_object_in in = {.bucket = s3_object_bucket_name(o), .key = s3_object_key(o)};
    return get_memory(o->meta.client, &in, sb, reterr);
}

int s3_object_put(struct s3_object *o, const struct s3_put_object_in *params,
                  struct s3_put_object_out *ret, struct s3_error *reterr)
{
    struct s3_put_object_in in = params ? *params : (struct s3_put_object_in){0};
    struct s3_put_object_out out = {0};
    in.bucket = s3_object_bucket_name(o);
    in.key = s3_object_key(o);
    forget(o);
    return s3_put_object(o->meta.client, &in, ret ? ret : &out, reterr);
}

int s3_object_put_memory(struct s3_object *o, const void *data, size_t len, struct s3_error *reterr)
{
    struct iovec body = {.iov_base = (void *)data, .iov_len = len};
    struct s3_put_object_in in = {.body = &body, .n_body = 1};
    return s3_object_put(o, &in, NULL, reterr);
}

int s3_object_copy_from(struct s3_object *o, const struct s3_copy_object_in *params,
                        struct s3_copy_object_out *ret, struct s3_error *reterr)
{
    if (!params || !params->source_bucket || !params->source_key)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "copy_from needs a source bucket and key");
    struct s3_copy_object_in in = *params;
    struct s3_copy_object_out out = {0};
    in.bucket = s3_object_bucket_name(o);
    in.key = s3_object_key(o);
    forget(o);
    return s3_copy_object(o->meta.client, &in, ret ? ret : &out, reterr);
}

int s3_object_delete(struct s3_object *o, const struct s3_delete_object_in *params,
                     struct s3_delete_object_out *ret, struct s3_error *reterr)
{
    struct s3_delete_object_in in = params ? *params : (struct s3_delete_object_in){0};
    struct s3_delete_object_out out = {0};
    in.bucket = s3_object_bucket_name(o);
    in.key = s3_object_key(o);
    forget(o);
    return s3_delete_object(o->meta.client, &in, ret ? ret : &out, reterr);
}

int s3_object_initiate_multipart_upload(const struct s3_object *o,
                                        const struct s3_create_multipart_upload_in *params,
                                        struct s3_multipart_upload *ret, struct s3_error *reterr)
{
    struct s3_create_multipart_upload_in in =
        params ? *params : (struct s3_create_multipart_upload_in){0};
    struct s3_create_multipart_upload_out out = {0};
    in.bucket = s3_object_bucket_name(o);
    in.key = s3_object_key(o);
    int r = s3_create_multipart_upload(o->meta.client, &in, &out, reterr);
    if (r < 0)
        return r;
    return s3_object_multipart_upload(o, out.upload_id, ret, reterr);
}

int s3_object_presign(const struct s3_object *o, enum s3_op op, uint32_t expires_s, char **ret,
                      struct s3_error *reterr)
{
    const char *bucket = s3_object_bucket_name(o);
    const char *key = s3_object_key(o);
    union {
        struct s3_get_object_in get;
        struct s3_put_object_in put;
        struct s3_head_object_in head;
        struct s3_delete_object_in del;
    } in;
    switch ((int)op) {
    case S3_OP_GET_OBJECT:
        in.get = (struct s3_get_object_in){.bucket = bucket, .key = key};
        break;
    case S3_OP_PUT_OBJECT:
        in.put = (struct s3_put_object_in){.bucket = bucket, .key = key};
        break;
    case S3_OP_HEAD_OBJECT:
        in.head = (struct s3_head_object_in){.bucket = bucket, .key = key};
        break;
    case S3_OP_DELETE_OBJECT:
        in.del = (struct s3_delete_object_in){.bucket = bucket, .key = key};
        break;
    default:
        return s3_error_set(reterr, S3_ERROR_CONFIG, "an object has no URL for %s", s3_op_name(op));
    }
    return s3_presign_url(o->meta.client, op, &in, expires_s, ret, reterr);
}

int s3_object_upload_file(struct s3_object *o, const char *path,
                          const struct s3_transfer_options *opts, struct s3_put_object_out *ret,
                          struct s3_error *reterr)
{
    forget(o);
    return s3_upload_file(o->meta.client, path, s3_object_bucket_name(o), s3_object_key(o), opts,
                          ret, reterr);
}

int s3_object_download_file(const struct s3_object *o, const char *path,
                            const struct s3_transfer_options *opts, struct s3_head_object_out *ret,
                            struct s3_error *reterr)
{
    return s3_download_file(o->meta.client, s3_object_bucket_name(o), s3_object_key(o), path, opts,
                            ret, reterr);
}

int s3_object_wait_until_exists(const struct s3_object *o, const struct s3_waiter_options *opts,
                                struct s3_error *reterr)
{
    return s3_waiter_wait(o->meta.client, &s3_waiter_object_exists, s3_object_bucket_name(o),
                          s3_object_key(o), opts, reterr);
}

int s3_object_wait_until_not_exists(const struct s3_object *o, const struct s3_waiter_options *opts,
                                    struct s3_error *reterr)
{
    return s3_waiter_wait(o->meta.client, &s3_waiter_object_not_exists, s3_object_bucket_name(o),
                          s3_object_key(o), opts, reterr);
}

/* ---- sub-resources ---- */

int s3_object_bucket(const struct s3_object *o, struct s3_bucket *ret, struct s3_error *reterr)
{
    return s3_bucket_init(ret, o->meta.client, s3_object_bucket_name(o), reterr);
}

int s3_object_version(const struct s3_object *o, const char *version_id,
                      struct s3_object_version *ret, struct s3_error *reterr)
{
    return s3_object_version_init(ret, o->meta.client, s3_object_bucket_name(o), s3_object_key(o),
                                  version_id, reterr);
}

int s3_object_multipart_upload(const struct s3_object *o, const char *upload_id,
                               struct s3_multipart_upload *ret, struct s3_error *reterr)
{
    return s3_multipart_upload_init(ret, o->meta.client, s3_object_bucket_name(o), s3_object_key(o),
                                    upload_id, reterr);
}

/* ---- one version ---- */

int s3_object_version_init(struct s3_object_version *v, struct s3_client *client,
                           const char *bucket, const char *key, const char *version_id,
                           struct s3_error *reterr)
{
    memset(v, 0, sizeof(*v));
    return s3_resource_init(&v->meta, &OBJECT_VERSION, client,
                            (const char *const[]){bucket, key, version_id}, reterr);
}

void s3_object_version_done(struct s3_object_version *v)
{
    s3_resource_done(&v->meta);
}

const char *s3_object_version_key(const struct s3_object_version *v)
{
    return v->meta.ids[ID_KEY];
}

const char *s3_object_version_id(const struct s3_object_version *v)
{
    return v->meta.ids[ID_VERSION];
}

int s3_object_version_get(const struct s3_object_version *v, const struct s3_get_object_in *params,
                          struct s3_head_object_out *ret, struct s3_error *reterr)
{
    struct s3_get_object_in in = params ? *params : (struct s3_get_object_in){0};
    in.bucket = v->meta.ids[ID_BUCKET];
    in.key = v->meta.ids[ID_KEY];
    in.version_id = v->meta.ids[ID_VERSION];
    return get(v->meta.client, &in, ret, reterr);
}

int s3_object_version_get_memory(const struct s3_object_version *v, struct strbuf *sb,
                                 struct s3_error *reterr)
{
    struct s3_get_object_in in = {.bucket = v->meta.ids[ID_BUCKET],
                                  .key = v->meta.ids[ID_KEY],
                                  .version_id = v->meta.ids[ID_VERSION]};
    return get_memory(v->meta.client, &in, sb, reterr);
}

int s3_object_version_head(const struct s3_object_version *v,
                           const struct s3_head_object_in *params, struct s3_head_object_out *ret,
                           struct s3_error *reterr)
{
    struct s3_head_object_in in = params ? *params : (struct s3_head_object_in){0};
    struct s3_head_object_out out = {0};
    in.bucket = v->meta.ids[ID_BUCKET];
    in.key = v->meta.ids[ID_KEY];
    in.version_id = v->meta.ids[ID_VERSION];
    int r = s3_head_object(v->meta.client, &in, &out, reterr);
    if (r < 0)
        return r;
    if (ret)
        *ret = out;
    else
        s3_head_object_out_done(&out);
    return 0;
}

int s3_object_version_delete(const struct s3_object_version *v, struct s3_delete_object_out *ret,
                             struct s3_error *reterr)
{
    struct s3_delete_object_in in = {.bucket = v->meta.ids[ID_BUCKET],
                                     .key = v->meta.ids[ID_KEY],
                                     .version_id = v->meta.ids[ID_VERSION]};
    struct s3_delete_object_out out = {0};
    return s3_delete_object(v->meta.client, &in, ret ? ret : &out, reterr);
}

int s3_object_version_object(const struct s3_object_version *v, struct s3_object *ret,
                             struct s3_error *reterr)
{
    return s3_object_init(ret, v->meta.client, v->meta.ids[ID_BUCKET], v->meta.ids[ID_KEY], reterr);
}
