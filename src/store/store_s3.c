/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "store/store_limits.h"
#include "store/store_s3_impl.h"

static int prepare_list(struct store_s3_request *r)
{
    const struct store_list_in *in = r->in;
    struct s3_list_objects_v2_in *list = &r->s3_in.list;

    list->bucket = r->s->bucket;
    list->prefix = store_s3_key(r, in->prefix ? in->prefix : "");
    list->delimiter = in->delimited ? "/" : NULL;
    list->continuation_token = in->token;
    list->max_keys = in->max_keys;
    if (in->start_after) {
        list->start_after = store_s3_key(r, in->start_after);
        if (!list->start_after)
            return -ENOMEM;
    }
    return list->prefix ? 0 : -ENOMEM;
}

/* A server that answers with a key outside the prefix would make us read beyond a string's end,
 * or show what was not asked for. */
static bool inside(const struct store_s3 *s, const char *key)
{
    return strncmp(key, s->prefix, s->prefix_len) == 0;
}

static int finish_list(struct store_s3_request *r, int result)
{
    struct s3_list_objects_v2_out *list = &r->s3_out.list;
    const struct store_list_in *in = r->in;
    struct store_page *page = r->out;

    if (result < 0)
        return result;
    /* Going on with the token just used would never end. */
    if (in->token && list->is_truncated && strcmp(in->token, list->next_continuation_token) == 0) {
        s3_list_objects_v2_out_done(list);
        return s3_error_set(&r->err, S3_ERROR_BAD_RESPONSE,
                            "the listing's next page has the token of this one");
    }
    memset(page, 0, sizeof(*page));
    page->entries = arena_alloc(&list->arena, list->n_objects * sizeof(*page->entries) + 1);
    if (!page->entries) {
        s3_list_objects_v2_out_done(list);
        return s3_error_set(&r->err, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < list->n_objects; i++) {
        const struct s3_object_entry *o = &list->objects[i];

        if (!inside(r->s, o->key)) {
            s3_list_objects_v2_out_done(list);
            return s3_error_set(&r->err, S3_ERROR_BAD_RESPONSE,
                                "the listing has a key outside the prefix");
        }
        page->entries[i] = (struct store_entry){.key = store_s3_relative(r->s, o->key),
                                                .size = o->size,
                                                .mtime_ns = o->last_modified_ns,
                                                .etag = o->etag,
                                                .storage_class = o->storage_class};
    }
    for (size_t i = 0; i < list->n_common_prefixes; i++) {
        if (!inside(r->s, list->common_prefixes[i])) {
            s3_list_objects_v2_out_done(list);
            return s3_error_set(&r->err, S3_ERROR_BAD_RESPONSE,
                                "the listing has a prefix outside the prefix");
        }
        list->common_prefixes[i] = store_s3_relative(r->s, list->common_prefixes[i]);
    }
    page->n_entries = list->n_objects;
    page->prefixes = list->common_prefixes;
    page->n_prefixes = list->n_common_prefixes;
    page->next_token = list->is_truncated ? list->next_continuation_token : NULL;
    page->arena = list->arena; /* strings and arrays stay where they are */
    return 0;
}

const struct store_s3_row store_s3_rows[STORE_OP_MAX] = {
    [STORE_LIST] = {S3_OP_LIST_OBJECTS_V2, true, prepare_list, finish_list},
    [STORE_HEAD] = {S3_OP_HEAD_OBJECT, true, store_s3_prepare_head, store_s3_finish_head},
    [STORE_GET] = {S3_OP_GET_OBJECT, true, store_s3_prepare_get, store_s3_finish_get},
    [STORE_PUT] = {S3_OP_PUT_OBJECT, true, store_s3_prepare_put, store_s3_finish_put},
    [STORE_COPY] = {S3_OP_COPY_OBJECT, true, store_s3_prepare_copy, store_s3_finish_copy},
    [STORE_DELETE] = {S3_OP_DELETE_OBJECT, true, store_s3_prepare_delete, store_s3_finish_delete},
    [STORE_DELETE_MANY] = {S3_OP_DELETE_OBJECTS, true, store_s3_prepare_delete_many,
                           store_s3_finish_delete_many},
    [STORE_UPLOAD_CREATE] = {S3_OP_CREATE_MULTIPART_UPLOAD, true, store_s3_prepare_create,
                             store_s3_finish_create},
    [STORE_UPLOAD_PART] = {S3_OP_UPLOAD_PART, true, store_s3_prepare_part, store_s3_finish_part},
    [STORE_UPLOAD_PART_COPY] = {S3_OP_UPLOAD_PART_COPY, true, store_s3_prepare_part_copy,
                                store_s3_finish_part_copy},
    [STORE_UPLOAD_COMPLETE] = {S3_OP_COMPLETE_MULTIPART_UPLOAD, true, store_s3_prepare_complete,
                               store_s3_finish_complete},
    [STORE_UPLOAD_ABORT] = {S3_OP_ABORT_MULTIPART_UPLOAD, false, store_s3_prepare_abort,
                            store_s3_finish_abort},
    [STORE_UPLOAD_LIST] = {S3_OP_LIST_MULTIPART_UPLOADS, true, store_s3_prepare_uploads,
                           store_s3_finish_uploads},
    [STORE_UPLOAD_PARTS] = {S3_OP_LIST_PARTS, true, store_s3_prepare_parts, store_s3_finish_parts},
};

const char *store_s3_key(struct store_s3_request *r, const char *key)
{
    size_t len = strlen(key);
    char *whole;

    if (!r->s->prefix_len)
        return key;
    whole = arena_alloc(&r->arena, r->s->prefix_len + len + 1);
    if (!whole)
        return NULL;
    memcpy(whole, r->s->prefix, r->s->prefix_len);
    memcpy(whole + r->s->prefix_len, key, len + 1);
    return whole;
}

const char *store_s3_relative(const struct store_s3 *s, const char *key)
{
    return key + s->prefix_len;
}

int store_s3_attrs(struct store_s3_request *r, const struct store_attrs *in,
                   struct s3_object_attrs *ret)
{
    struct s3_metadata *metadata = NULL;

    if (in->n_metadata) {
        metadata = arena_alloc(&r->arena, in->n_metadata * sizeof(*metadata));
        if (!metadata)
            return -ENOMEM;
    }
    for (size_t i = 0; i < in->n_metadata; i++)
        metadata[i] = (struct s3_metadata){in->metadata[i].name, in->metadata[i].value};
    *ret = (struct s3_object_attrs){
        .content_type = in->content_type,
        .content_encoding = in->content_encoding,
        .content_disposition = in->content_disposition,
        .content_language = in->content_language,
        .cache_control = in->cache_control,
        .storage_class = in->storage_class ? in->storage_class : r->s->storage_class,
        .metadata = metadata,
        .n_metadata = in->n_metadata,
    };
    return 0;
}

static void request_free(struct store_s3_request *r)
{
    store_s3_rewrite_done(r);
    arena_done(&r->arena);
    free(r);
}

static enum s3_op op_of(enum store_s3_look look)
{
    if (look == STORE_S3_LOOK_UPLOAD)
        return S3_OP_LIST_PARTS;
    return look == STORE_S3_LOOK_CONTENT ? S3_OP_GET_OBJECT : S3_OP_HEAD_OBJECT;
}

static void on_done(void *ctx, int result, const struct s3_error *err)
{
    struct store_s3_request *r = ctx;
    const struct store_s3_row *row = &store_s3_rows[r->op];

    if (err)
        r->err = *err;
    if (r->look != STORE_S3_LOOK_NONE) {
        result = store_s3_guard_looked(r, result);
    } else {
        if (row->finish)
            result = row->finish(r, result);
        if (result < 0 && result != -EINPROGRESS)
            result = store_s3_guard_end(r, result);
    }
    if (result == -EINPROGRESS) {
        store_s3_send(r);
        return;
    }
    r->done(r->ctx, result, result < 0 ? &r->err : NULL);
    request_free(r);
}

void store_s3_send(struct store_s3_request *r)
{
    const struct store_s3_row *row = &store_s3_rows[r->op];
    int result;

    memset(&r->s3_out, 0, sizeof(r->s3_out));
    if (r->look != STORE_S3_LOOK_NONE)
        result =
            s3_client_submit(r->s->client, op_of(r->look), &r->s3_in, &r->s3_out, on_done, r, NULL);
    else
        result = s3_client_submit(r->s->client, row->op, &r->s3_in,
                                  row->has_out ? &r->s3_out : NULL, on_done, r, NULL);
    if (result < 0) {
        (void)s3_error_set(&r->err, S3_ERROR_OUT_OF_MEMORY, "the request could not be sent: %s",
                           strerror(-result));
        r->done(r->ctx, result, &r->err);
        request_free(r);
    }
}

/* Ceph 16, the server that takes bare ETags, decodes the source of a copied part twice: a key with
 * a percent sign is not found, or another one is, or the server falls over. */
static bool is_beyond(struct store_s3 *s, enum store_op op, const void *in)
{
    const struct store_upload_part_copy_in *copy = in;
    return op == STORE_UPLOAD_PART_COPY && atomic_load(&s->bare_etags) &&
           (strchr(copy->source_key, '%') || strchr(s->prefix, '%'));
}

static int s3_submit(struct store *store, enum store_op op, const void *in, void *out,
                     store_done_fn done, void *ctx)
{
    struct store_s3_request *r;
    int result;

    if (op == STORE_FLUSH) { /* what is done here is in S3 */
        done(ctx, 0, NULL);
        return 0;
    }
    if (is_beyond((struct store_s3 *)store, op, in)) {
        struct s3_error err;
        result = s3_error_set(&err, S3_ERROR_UNSUPPORTED,
                              "this server does not copy ranges of keys with a percent sign");
        done(ctx, result, &err);
        return 0;
    }
    r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->s = (struct store_s3 *)store;
    r->op = op;
    r->in = in;
    r->out = out;
    r->done = done;
    r->ctx = ctx;
    arena_init(&r->arena, LIMIT_PAGE_STRINGS);
    result = store_s3_guard_begin(r);
    if (result == 0)
        result = store_s3_rows[op].prepare(r);
    if (result < 0 && result != -EINPROGRESS) {
        request_free(r);
        return result;
    }
    store_s3_send(r);
    return 0;
}

static void s3_free(struct store *store)
{
    struct store_s3 *s = (struct store_s3 *)store;

    s3_client_unref(s->client);
    free(s->bucket);
    free(s->prefix);
    free(s->storage_class);
    free(s);
}

static const struct store_ops s3_ops = {.submit = s3_submit, .free = s3_free};

/* A prefix names a folder: "a" and "a/b" are not beside each other under it. */
static char *folder_prefix(const char *prefix)
{
    size_t len = strlen(prefix);
    bool closed = !len || prefix[len - 1] == '/';
    char *s = malloc(len + 2);

    if (s)
        (void)snprintf(s, len + 2, "%s%s", prefix, closed ? "" : "/");
    return s;
}

int store_s3_new(const struct store_s3_options *opts, struct store **ret, struct s3_error *reterr)
{
    struct store_s3 *s = calloc(1, sizeof(*s));
    struct store_caps all = store_caps_all();

    if (!s)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    s->store.ops = &s3_ops;
    s->client = s3_client_ref(opts->client);
    s->bucket = strdup(opts->bucket);
    s->prefix = folder_prefix(opts->prefix ? opts->prefix : "");
    s->storage_class = opts->storage_class ? strdup(opts->storage_class) : NULL;
    s->checksum = opts->checksum;
    s->part_checksum = opts->part_checksum;
    s->whole_checksum = opts->whole_checksum;
    s->check_whole = opts->check_whole;
    s->unknown = opts->unknown;
    s->unknown_ctx = opts->unknown_ctx;
    store_s3_set_caps(&s->store, opts->caps ? opts->caps : &all);
    if (!opts->caps)
        atomic_store(&s->etag_form_known, false);
    s->clock = opts->clock ? opts->clock : clock_system();
    if (!s->bucket || !s->prefix || (opts->storage_class && !s->storage_class)) {
        s3_free(&s->store);
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    }
    s->prefix_len = strlen(s->prefix);
    *ret = &s->store;
    return 0;
}

void store_s3_caps(const struct store *store, struct store_caps *ret)
{
    const struct store_s3 *s = (const struct store_s3 *)store;

    for (int i = 0; i < STORE_CAP_MAX; i++)
        ret->state[i] = atomic_load(&s->caps[i]);
    ret->bare_etags = atomic_load(&s->bare_etags);
}

void store_s3_set_caps(struct store *store, const struct store_caps *caps)
{
    struct store_s3 *s = (struct store_s3 *)store;

    atomic_store(&s->bare_etags, caps->bare_etags);
    atomic_store(&s->etag_form_known, caps->state[STORE_CAP_PUT_IF_MATCH] == STORE_CAP_HELD);
    for (int i = 0; i < STORE_CAP_MAX; i++)
        atomic_store(&s->caps[i], caps->state[i]);
}

const char *store_s3_prefix(const struct store *store)
{
    return ((const struct store_s3 *)store)->prefix;
}

_Static_assert(STORE_KEY_MAX == S3_KEY_MAX && STORE_LIST_MAX == S3_LIST_PAGE_MAX &&
                   STORE_DELETE_MANY_MAX == S3_DELETE_BATCH_MAX &&
                   STORE_PARTS_MAX == S3_PARTS_MAX && STORE_PART_SIZE_MIN == S3_PART_SIZE_MIN &&
                   STORE_PART_SIZE_MAX == S3_PART_SIZE_MAX &&
                   STORE_COPY_SIZE_MAX == S3_COPY_SIZE_MAX &&
                   STORE_PUT_SIZE_MAX == S3_PUT_SIZE_MAX &&
                   STORE_OBJECT_SIZE_MAX == S3_OBJECT_SIZE_MAX &&
                   STORE_METADATA_MAX == S3_USER_METADATA_MAX && STORE_ETAG_SIZE >= S3_ETAG_SIZE &&
                   STORE_UPLOAD_ID_SIZE >= S3_UPLOAD_ID_SIZE,
               "the port's limits are S3's");
