/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/attr.h"
#include "base/limits.h"

static const char *const OP_NAMES[STORE_OP_MAX] = {
    [STORE_LIST] = "list",
    [STORE_HEAD] = "head",
    [STORE_GET] = "get",
    [STORE_PUT] = "put",
    [STORE_COPY] = "copy",
    [STORE_DELETE] = "delete",
    [STORE_DELETE_MANY] = "delete-many",
    [STORE_UPLOAD_CREATE] = "upload-create",
    [STORE_UPLOAD_PART] = "upload-part",
    [STORE_UPLOAD_PART_COPY] = "upload-part-copy",
    [STORE_UPLOAD_COMPLETE] = "upload-complete",
    [STORE_UPLOAD_ABORT] = "upload-abort",
    [STORE_UPLOAD_LIST] = "upload-list",
    [STORE_UPLOAD_PARTS] = "upload-parts",
    [STORE_FLUSH] = "flush",
};

const char *store_op_name(enum store_op op)
{
    return (unsigned)op < STORE_OP_MAX ? OP_NAMES[op] : "unknown";
}

int store_submit(struct store *s, enum store_op op, const void *in, void *out, store_done_fn done,
                 void *ctx)
{
    return s->ops->submit(s, op, in, out, done, ctx);
}

void store_free(struct store *s)
{
    if (s)
        s->ops->free(s);
}

struct waiting_call {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool finished;        /* protected by lock */
    int result;           /* protected by lock */
    struct s3_error *err; /* the caller's, may be NULL */
};

static void call_done(void *ctx, int result, const struct s3_error *err)
{
    struct waiting_call *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->result = result;
    if (w->err && err)
        *w->err = *err;
    w->finished = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

int store_call(struct store *s, enum store_op op, const void *in, void *out,
               struct s3_error *reterr)
{
    struct waiting_call w = {.err = reterr};
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.cond, NULL);

    int r = store_submit(s, op, in, out, call_done, &w);
    if (r < 0) {
        s3_error_set(reterr, r == -ENOMEM ? S3_ERROR_OUT_OF_MEMORY : S3_ERROR_CANCELLED,
                     "the request was not sent: %s",
                     r == -ENOMEM ? "out of memory" : "shutting down");
    } else {
        pthread_mutex_lock(&w.lock);
        while (!w.finished)
            pthread_cond_wait(&w.cond, &w.lock);
        r = w.result;
        pthread_mutex_unlock(&w.lock);
    }
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.lock);
    return r;
}

/* ---- copies ---- */

static int copy_string(struct arena *a, const char *s, const char **ret)
{
    *ret = arena_strdup(a, s);
    return s && !*ret ? -ENOMEM : 0;
}

int store_attrs_copy(const struct store_attrs *attrs, struct arena *a, struct store_attrs *ret)
{
    struct store_attrs c = {0};
    int r = copy_string(a, attrs->content_type, &c.content_type);
    if (!r)
        r = copy_string(a, attrs->content_encoding, &c.content_encoding);
    if (!r)
        r = copy_string(a, attrs->content_disposition, &c.content_disposition);
    if (!r)
        r = copy_string(a, attrs->content_language, &c.content_language);
    if (!r)
        r = copy_string(a, attrs->cache_control, &c.cache_control);
    if (!r)
        r = copy_string(a, attrs->storage_class, &c.storage_class);
    if (r)
        return r;

    if (attrs->n_metadata) {
        struct store_metadata *m = arena_alloc(a, attrs->n_metadata * sizeof(*m));
        if (!m)
            return -ENOMEM;
        for (size_t i = 0; i < attrs->n_metadata; i++)
            if (copy_string(a, attrs->metadata[i].name, &m[i].name) ||
                copy_string(a, attrs->metadata[i].value, &m[i].value))
                return -ENOMEM;
        c.metadata = m;
        c.n_metadata = attrs->n_metadata;
    }
    *ret = c;
    return 0;
}

int store_object_copy(const struct store_object *o, struct store_object *ret)
{
    struct store_object c = {
        .size = o->size, .mtime_ns = o->mtime_ns, .date_ns = o->date_ns, .pending = o->pending};
    arena_init(&c.arena, LIMIT_PAGE_STRINGS);
    memcpy(c.etag, o->etag, sizeof(c.etag));
    /* Facts are copied as attributes are. */
    struct store_attrs facts = {.metadata = o->facts, .n_metadata = o->n_facts}, copy;
    if (store_attrs_copy(&o->attrs, &c.arena, &c.attrs) ||
        store_attrs_copy(&facts, &c.arena, &copy)) {
        arena_done(&c.arena);
        return -ENOMEM;
    }
    c.facts = copy.metadata;
    c.n_facts = copy.n_metadata;
    *ret = c;
    return 0;
}

/* ---- releases; each takes a zeroed struct too ---- */

void store_object_done(struct store_object *o)
{
    arena_done(&o->arena);
    *o = (struct store_object){0};
}

void store_page_done(struct store_page *p)
{
    arena_done(&p->arena);
    *p = (struct store_page){0};
}

void store_delete_many_out_done(struct store_delete_many_out *o)
{
    arena_done(&o->arena);
    *o = (struct store_delete_many_out){0};
}

void store_upload_page_done(struct store_upload_page *p)
{
    arena_done(&p->arena);
    *p = (struct store_upload_page){0};
}

void store_parts_done(struct store_parts *p)
{
    arena_done(&p->arena);
    *p = (struct store_parts){0};
}

void store_out_done(enum store_op op, void *out)
{
    switch (op) {
    case STORE_LIST:
        store_page_done(out);
        break;
    case STORE_HEAD:
    case STORE_GET:
        store_object_done(out);
        break;
    case STORE_DELETE_MANY:
        store_delete_many_out_done(out);
        break;
    case STORE_UPLOAD_LIST:
        store_upload_page_done(out);
        break;
    case STORE_UPLOAD_PARTS:
        store_parts_done(out);
        break;
    case STORE_PUT:
    case STORE_COPY:
    case STORE_DELETE:
    case STORE_UPLOAD_CREATE:
    case STORE_UPLOAD_PART:
    case STORE_UPLOAD_PART_COPY:
    case STORE_UPLOAD_COMPLETE:
    case STORE_UPLOAD_ABORT:
    case STORE_FLUSH:
    case STORE_OP_MAX:
        break; /* nothing owned */
    }
}

const char *store_in_key(enum store_op op, const void *in)
{
    const char *key = NULL;
    switch (op) {
    case STORE_LIST:
        key = ((const struct store_list_in *)in)->prefix;
        break;
    case STORE_HEAD:
        key = ((const struct store_head_in *)in)->key;
        break;
    case STORE_GET:
        key = ((const struct store_get_in *)in)->key;
        break;
    case STORE_PUT:
        key = ((const struct store_put_in *)in)->key;
        break;
    case STORE_COPY:
        key = ((const struct store_copy_in *)in)->key;
        break;
    case STORE_DELETE:
        key = ((const struct store_delete_in *)in)->key;
        break;
    case STORE_DELETE_MANY: {
        const struct store_delete_many_in *many = in;
        key = many->n_keys ? many->keys[0] : NULL;
        break;
    }
    case STORE_UPLOAD_CREATE:
        key = ((const struct store_upload_create_in *)in)->key;
        break;
    case STORE_UPLOAD_PART:
        key = ((const struct store_upload_part_in *)in)->key;
        break;
    case STORE_UPLOAD_PART_COPY:
        key = ((const struct store_upload_part_copy_in *)in)->key;
        break;
    case STORE_UPLOAD_COMPLETE:
        key = ((const struct store_upload_complete_in *)in)->key;
        break;
    case STORE_UPLOAD_ABORT:
        key = ((const struct store_upload_abort_in *)in)->key;
        break;
    case STORE_UPLOAD_LIST:
        key = ((const struct store_upload_list_in *)in)->prefix;
        break;
    case STORE_UPLOAD_PARTS:
        key = ((const struct store_upload_parts_in *)in)->key;
        break;
    case STORE_FLUSH:
        key = ((const struct store_flush_in *)in)->key;
        break;
    case STORE_OP_MAX:
        break;
    }
    return key ? key : "";
}
