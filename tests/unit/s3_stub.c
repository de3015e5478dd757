/* SPDX-License-Identifier: Apache-2.0 */
#include "s3_stub.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "s3/session.h"

struct s3_call {
    unsigned refs;        /* atomic; one until done has returned */
    struct s3_call *next; /* older */
    enum s3_op op;
    const void *in;
    void *out;
    s3_done_fn done;
    void *ctx;
    bool cancelled;
};

struct s3_client {
    unsigned refs; /* atomic */
    s3_stub_fn fn;
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned calls[S3_OP_MAX]; /* protected by lock, as all below */
    bool threaded;
    bool stop;
    struct s3_call *newest;
    pthread_t thread;
};

static const char *const NAMES[S3_OP_MAX] = {
    "ListBuckets",
    "CreateBucket",
    "DeleteBucket",
    "HeadBucket",
    "GetBucketLocation",
    "GetBucketVersioning",
    "PutBucketVersioning",
    "ListObjectsV2",
    "ListObjectVersions",
    "HeadObject",
    "GetObject",
    "PutObject",
    "CopyObject",
    "DeleteObject",
    "DeleteObjects",
    "GetObjectAttributes",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "ListMultipartUploads",
    "ListParts",
};

const char *s3_op_name(enum s3_op op)
{
    return NAMES[op];
}

struct s3_client *s3_stub_new(s3_stub_fn fn, void *ctx)
{
    struct s3_client *c = calloc(1, sizeof(*c));
    assert(c);
    c->refs = 1;
    c->fn = fn;
    c->ctx = ctx;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    return c;
}

void s3_stub_done(struct s3_client *c)
{
    if (c->threaded) {
        pthread_mutex_lock(&c->lock);
        c->stop = true;
        pthread_cond_signal(&c->changed);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
    }
    assert(c->refs == 1);
    s3_client_unref(c);
}

struct s3_client *s3_client_ref(struct s3_client *c)
{
    __atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

void s3_client_unref(struct s3_client *c)
{
    if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->changed);
    free(c);
}

unsigned s3_stub_refs(const struct s3_client *c)
{
    return c->refs;
}

unsigned s3_stub_calls_of(const struct s3_client *c, enum s3_op op)
{
    return c->calls[op];
}

unsigned s3_stub_calls(const struct s3_client *c)
{
    unsigned n = 0;
    for (int op = 0; op < S3_OP_MAX; op++)
        n += c->calls[op];
    return n;
}

int s3_stub_fail(struct s3_error *err, int http_status, const char *code)
{
    int r = s3_error_set(err, s3_error_kind_from_s3(code, http_status), "the stub says %s", code);
    err->http_status = http_status;
    snprintf(err->code, sizeof(err->code), "%s", code);
    return r;
}

const struct s3_client_meta *s3_client_meta(const struct s3_client *c ATTR_UNUSED)
{
    static const struct s3_client_meta meta = {
        .service = "s3",
        .region = "stub-1",
        .endpoint_url = "http://stub.invalid",
        .profile = "default",
    };
    return &meta;
}

/* ---- a session that knows one client ---- */

static struct s3_client *session_client; /* borrowed from the test */

void s3_stub_set_session_client(struct s3_client *c)
{
    session_client = c;
}

int s3_session_default(struct s3_session **ret, struct s3_error *reterr)
{
    if (!session_client)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "the stub has no session");
    *ret = (struct s3_session *)session_client;
    return 0;
}

void s3_session_unref(struct s3_session *s ATTR_UNUSED)
{
}

int s3_session_client_new(struct s3_session *s, const struct s3_client_options *opts ATTR_UNUSED,
                          struct s3_client **ret, struct s3_error *reterr ATTR_UNUSED)
{
    *ret = s3_client_ref((struct s3_client *)s);
    return 0;
}

/* ---- calls ---- */

static struct arena *out_arena(enum s3_op op, void *out)
{
    /* The arena is the first member of every output that has one. */
    switch ((int)op) {
    case S3_OP_LIST_BUCKETS:
    case S3_OP_LIST_OBJECTS_V2:
    case S3_OP_LIST_OBJECT_VERSIONS:
    case S3_OP_HEAD_OBJECT:
    case S3_OP_GET_OBJECT:
    case S3_OP_DELETE_OBJECTS:
    case S3_OP_GET_OBJECT_ATTRIBUTES:
    case S3_OP_LIST_MULTIPART_UPLOADS:
    case S3_OP_LIST_PARTS:
        return out;
    default:
        return NULL;
    }
}

int s3_client_call(struct s3_client *c, enum s3_op op, const void *in, void *out,
                   struct s3_error *reterr)
{
    struct s3_error local;
    struct s3_error *err = reterr ? reterr : &local;
    struct arena *arena = out ? out_arena(op, out) : NULL;
    if (arena)
        arena_init(arena, LIMIT_PAGE_STRINGS);
    __atomic_add_fetch(&c->calls[op], 1, __ATOMIC_RELAXED);
    int r = c->fn(c->ctx, op, in, out, err);
    if (r < 0 && arena)
        arena_done(arena);
    return r;
}

static void finish(struct s3_client *c, struct s3_call *call)
{
    struct s3_error err = {0};
    int r;
    if (__atomic_load_n(&call->cancelled, __ATOMIC_ACQUIRE))
        r = s3_error_set(&err, S3_ERROR_CANCELLED, "cancelled");
    else
        r = s3_client_call(c, call->op, call->in, call->out, &err);
    call->done(call->ctx, r, r < 0 ? &err : NULL);
    s3_call_unref(call);
}

static void *serve(void *arg)
{
    struct s3_client *c = arg;
    pthread_mutex_lock(&c->lock);
    while (!c->stop || c->newest) {
        struct s3_call *call = c->newest;
        if (!call) {
            pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        c->newest = call->next;
        pthread_mutex_unlock(&c->lock);
        finish(c, call);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

void s3_stub_set_threaded(struct s3_client *c)
{
    c->threaded = true;
    int r = pthread_create(&c->thread, NULL, serve, c);
    assert(r == 0);
}

int s3_client_submit(struct s3_client *c, enum s3_op op, const void *in, void *out, s3_done_fn done,
                     void *ctx, struct s3_call **ret_call)
{
    struct s3_call *call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    *call = (struct s3_call){.refs = 1, .op = op, .in = in, .out = out, .done = done, .ctx = ctx};
    if (ret_call)
        *ret_call = call;
    if (!c->threaded) {
        finish(c, call);
        return 0;
    }
    pthread_mutex_lock(&c->lock);
    call->next = c->newest;
    c->newest = call;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return 0;
}

struct s3_call *s3_call_ref(struct s3_call *call)
{
    __atomic_add_fetch(&call->refs, 1, __ATOMIC_RELAXED);
    return call;
}

void s3_call_unref(struct s3_call *call)
{
    if (call && __atomic_sub_fetch(&call->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(call);
}

void s3_call_cancel(struct s3_call *call)
{
    __atomic_store_n(&call->cancelled, true, __ATOMIC_RELEASE);
}

int s3_presign_url(struct s3_client *c ATTR_UNUSED, enum s3_op op, const void *in,
                   uint32_t expires_s, char **ret, struct s3_error *reterr ATTR_UNUSED)
{
    const struct s3_get_object_in *o = in; /* bucket and key come first in every input */
    int n = asprintf(ret, "stub:%s:%s/%s:%u", s3_op_name(op), o->bucket, o->key, expires_s);
    return n < 0 ? -ENOMEM : 0;
}

#define CALL(name, OP, in_type, out_type)                                                          \
    int s3_##name(struct s3_client *c, const struct in_type *in, struct out_type *out,             \
                  struct s3_error *reterr)                                                         \
    {                                                                                              \
        return s3_client_call(c, S3_OP_##OP, in, out, reterr);                                     \
    }
#define CALL_NO_OUT(name, OP, in_type)                                                             \
    int s3_##name(struct s3_client *c, const struct in_type *in, struct s3_error *reterr)          \
    {                                                                                              \
        return s3_client_call(c, S3_OP_##OP, in, NULL, reterr);                                    \
    }
CALL(list_buckets, LIST_BUCKETS, s3_list_buckets_in, s3_list_buckets_out)
CALL_NO_OUT(create_bucket, CREATE_BUCKET, s3_create_bucket_in)
CALL_NO_OUT(delete_bucket, DELETE_BUCKET, s3_bucket_in)
CALL(head_bucket, HEAD_BUCKET, s3_bucket_in, s3_head_bucket_out)
CALL(get_bucket_versioning, GET_BUCKET_VERSIONING, s3_bucket_in, s3_get_bucket_versioning_out)
CALL_NO_OUT(put_bucket_versioning, PUT_BUCKET_VERSIONING, s3_put_bucket_versioning_in)
CALL(head_object, HEAD_OBJECT, s3_head_object_in, s3_head_object_out)
CALL(get_object, GET_OBJECT, s3_get_object_in, s3_head_object_out)
CALL(put_object, PUT_OBJECT, s3_put_object_in, s3_put_object_out)
CALL(copy_object, COPY_OBJECT, s3_copy_object_in, s3_copy_object_out)
CALL(delete_object, DELETE_OBJECT, s3_delete_object_in, s3_delete_object_out)
CALL(delete_objects, DELETE_OBJECTS, s3_delete_objects_in, s3_delete_objects_out)
CALL(create_multipart_upload, CREATE_MULTIPART_UPLOAD, s3_create_multipart_upload_in,
     s3_create_multipart_upload_out)
CALL(upload_part, UPLOAD_PART, s3_upload_part_in, s3_upload_part_out)
CALL(upload_part_copy, UPLOAD_PART_COPY, s3_upload_part_copy_in, s3_copy_object_out)
CALL(complete_multipart_upload, COMPLETE_MULTIPART_UPLOAD, s3_complete_multipart_upload_in,
     s3_put_object_out)
CALL_NO_OUT(abort_multipart_upload, ABORT_MULTIPART_UPLOAD, s3_abort_multipart_upload_in)

#define OUT_DONE(name)                                                                             \
    void s3_##name##_out_done(struct s3_##name##_out *o)                                           \
    {                                                                                              \
        arena_done(&o->arena);                                                                     \
    }
OUT_DONE(list_buckets)
OUT_DONE(list_objects_v2)
OUT_DONE(list_object_versions)
OUT_DONE(head_object)
OUT_DONE(delete_objects)
OUT_DONE(list_multipart_uploads)
OUT_DONE(list_parts)
