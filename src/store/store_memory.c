/* SPDX-License-Identifier: Apache-2.0 */
/* Objects, listings and the dispatch. Each operation takes the lock once, so conditions and their
 * writes are atomic; bytes are handed to sinks without it. */
#include "store/store_memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/digest.h"
#include "store/store_limits.h"
#include "store/store_memory_impl.h"

#define GET_PIECE_DEFAULT (64u << 10)

int memory_fail(struct s3_error *err, enum s3_error_kind kind, int status, const char *code,
                const char *fmt, ...)
{
    char message[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    int r = s3_error_set(err, kind, "%s", message);
    if (err) {
        err->http_status = status;
        err->tries = 1;
        snprintf(err->code, sizeof(err->code), "%s", code);
    }
    return r;
}

static int out_of_memory(struct s3_error *err)
{
    return s3_error_set(err, S3_ERROR_OUT_OF_MEMORY, "the memory store is out of memory");
}

int64_t memory_now(const struct store_memory *m)
{
    return clock_realtime_ns(m->clock) / NS_PER_S * NS_PER_S;
}

void memory_etag(const uint8_t md5[16], size_t parts, char etag[STORE_ETAG_SIZE])
{
    char hex[33], suffix[24] = "";
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", md5[i]);
    if (parts)
        snprintf(suffix, sizeof(suffix), "-%zu", parts);
    snprintf(etag, STORE_ETAG_SIZE, "\"%s%s\"", hex, suffix);
}

int memory_check_key(const char *key, struct s3_error *err)
{
    size_t len = strlen(key);
    if (!len)
        return memory_fail(err, S3_ERROR_INVALID, 400, "InvalidRequest", "the key is empty");
    if (len > STORE_KEY_MAX)
        return memory_fail(err, S3_ERROR_KEY_TOO_LONG, 400, "KeyTooLongError",
                           "the key has %zu bytes", len);
    return 0;
}

/* ---- the table ---- */

size_t memory_lower_bound_locked(const struct store_memory *m, const char *key)
{
    size_t low = 0, high = m->n_objects;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(m->objects[mid]->key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct memory_object *memory_find_locked(const struct store_memory *m, const char *key)
{
    size_t at = memory_lower_bound_locked(m, key);
    return at < m->n_objects && strcmp(m->objects[at]->key, key) == 0 ? m->objects[at] : NULL;
}

static int no_such_key(const char *key, struct s3_error *err)
{
    return memory_fail(err, S3_ERROR_NO_SUCH_KEY, 404, "NoSuchKey", "there is no object '%s'", key);
}

static int precondition(const char *key, struct s3_error *err)
{
    return memory_fail(err, S3_ERROR_PRECONDITION, 412, "PreconditionFailed",
                       "the condition on '%s' does not hold", key);
}

int memory_check_locked(const struct store_memory *m, const char *key, const char *if_match,
                        bool if_absent, struct s3_error *err)
{
    const struct memory_object *o = memory_find_locked(m, key);
    if (if_absent && o)
        return precondition(key, err);
    if (if_match && !o)
        return no_such_key(key, err);
    if (if_match && strcmp(if_match, "*") != 0 && strcmp(if_match, o->head.etag) != 0)
        return precondition(key, err);
    return 0;
}

static void object_free(struct memory_object *o)
{
    if (!o)
        return;
    blob_unref(o->blob);
    store_object_done(&o->head);
    free(o->key);
    free(o);
}

int memory_store_locked(struct store_memory *m, const char *key, struct blob *blob,
                        struct store_object *head, struct store_version *ret, struct s3_error *err)
{
    head->size = blob_size(blob);
    head->mtime_ns = memory_now(m);

    struct memory_object *o = memory_find_locked(m, key);
    if (!o) {
        if (m->n_objects == m->alloc_objects) {
            size_t alloc = MAX(m->alloc_objects * 2, (size_t)64);
            struct memory_object **bigger = realloc(m->objects, alloc * sizeof(*bigger));
            if (!bigger)
                goto no_memory;
            m->objects = bigger;
            m->alloc_objects = alloc;
        }
        o = calloc(1, sizeof(*o));
        if (o)
            o->key = strdup(key);
        if (!o || !o->key) {
            free(o);
            goto no_memory;
        }
        size_t at = memory_lower_bound_locked(m, key);
        memmove(m->objects + at + 1, m->objects + at, (m->n_objects - at) * sizeof(*m->objects));
        m->objects[at] = o;
        m->n_objects++;
    }
    blob_unref(o->blob);
    store_object_done(&o->head);
    o->blob = blob;
    o->head = *head;
    if (ret) {
        memcpy(ret->etag, head->etag, sizeof(ret->etag));
        ret->mtime_ns = head->mtime_ns;
    }
    return 0;

no_memory:
    blob_unref(blob);
    store_object_done(head);
    return out_of_memory(err);
}

static void remove_locked(struct store_memory *m, const char *key)
{
    size_t at = memory_lower_bound_locked(m, key);
    if (at == m->n_objects || strcmp(m->objects[at]->key, key) != 0)
        return;
    object_free(m->objects[at]);
    m->n_objects--;
    memmove(m->objects + at, m->objects + at + 1, (m->n_objects - at) * sizeof(*m->objects));
}

/* ---- objects ---- */

static int op_head(struct store_memory *m, const struct store_head_in *in, struct store_object *out,
                   struct s3_error *err)
{
    SCOPE_LOCK(&m->lock);
    const struct memory_object *o = memory_find_locked(m, in->key);
    if (!o)
        return no_such_key(in->key, err);
    if (store_object_copy(&o->head, out))
        return out_of_memory(err);
    out->date_ns = memory_now(m);
    return 0;
}

/* Looks the object up and checks range and condition. *ret_blob is a reference. */
static int get_begin(struct store_memory *m, const struct store_get_in *in,
                     struct store_object *head, struct blob **ret_blob, uint64_t *ret_length,
                     struct s3_error *err)
{
    SCOPE_LOCK(&m->lock);
    const struct memory_object *o = memory_find_locked(m, in->key);
    if (!o)
        return no_such_key(in->key, err);
    if (in->if_match && strcmp(in->if_match, o->head.etag) != 0)
        return precondition(in->key, err);
    if (in->length && in->offset >= o->head.size)
        return memory_fail(err, S3_ERROR_BAD_RANGE, 416, "InvalidRange",
                           "'%s' ends before the range", in->key);
    if (store_object_copy(&o->head, head))
        return out_of_memory(err);
    *ret_blob = blob_ref(o->blob);
    *ret_length = in->length ? MIN(in->length, o->head.size - in->offset) : o->head.size;
    return 0;
}

static int op_get(struct store_memory *m, const struct store_get_in *in, struct store_object *out,
                  struct s3_error *err)
{
    struct store_object head;
    struct blob *blob = NULL;
    uint64_t length = 0;
    int r = get_begin(m, in, &head, &blob, &length, err);
    if (r)
        return r;

    int sink_error = in->sink->begin ? in->sink->begin(in->sink->ctx, &head) : 0;
    if (!sink_error)
        sink_error =
            blob_read(blob, in->offset, length, m->get_piece, in->sink->write, in->sink->ctx);
    blob_unref(blob);
    if (sink_error) {
        store_object_done(&head);
        s3_error_set(err, S3_ERROR_BAD_RESPONSE, "the receiver ended the transfer of '%s'",
                     in->key);
        return sink_error;
    }
    *out = head;
    return 0;
}

static int check_attrs(const struct store_attrs *attrs, struct s3_error *err)
{
    size_t size = 0;
    for (size_t i = 0; i < attrs->n_metadata; i++)
        size += strlen(attrs->metadata[i].name) + strlen(attrs->metadata[i].value);
    if (size > STORE_METADATA_MAX)
        return memory_fail(err, S3_ERROR_INVALID, 400, "MetadataTooLarge",
                           "the metadata has %zu bytes", size);
    return 0;
}

static int op_put(struct store_memory *m, const struct store_put_in *in, struct store_version *out,
                  struct s3_error *err)
{
    uint64_t size = 0;
    for (int i = 0; i < in->n_body; i++)
        size += in->body[i].iov_len;
    if (size > STORE_PUT_SIZE_MAX)
        return memory_fail(err, S3_ERROR_TOO_LARGE, 400, "EntityTooLarge", "more than 5 GiB");
    int r = memory_check_key(in->key, err);
    if (!r)
        r = check_attrs(&in->attrs, err);
    if (r)
        return r;

    struct store_object head = {.arena = ARENA_INIT(LIMIT_PAGE_STRINGS)};
    uint8_t md5[DIGEST_MD5_SIZE];
    struct blob *blob = blob_new_copy(in->body, in->n_body);
    if (!blob || digest_iov(DIGEST_MD5, in->body, in->n_body, md5) ||
        store_attrs_copy(&in->attrs, &head.arena, &head.attrs)) {
        blob_unref(blob);
        arena_done(&head.arena);
        return out_of_memory(err);
    }
    memory_etag(md5, 0, head.etag);
    if (!head.attrs.content_type)
        head.attrs.content_type = "binary/octet-stream";

    SCOPE_LOCK(&m->lock);
    r = memory_check_locked(m, in->key, in->if_match, in->if_absent, err);
    if (r) {
        blob_unref(blob);
        arena_done(&head.arena);
        return r;
    }
    return memory_store_locked(m, in->key, blob, &head, out, err);
}

static int op_copy(struct store_memory *m, const struct store_copy_in *in,
                   struct store_version *out, struct s3_error *err)
{
    int r = memory_check_key(in->key, err);
    if (!r && in->replace_attrs)
        r = check_attrs(&in->attrs, err);
    if (r)
        return r;

    SCOPE_LOCK(&m->lock);
    const struct memory_object *source = memory_find_locked(m, in->source_key);
    if (!source)
        return no_such_key(in->source_key, err);
    if (in->source_if_match && strcmp(in->source_if_match, source->head.etag) != 0)
        return precondition(in->source_key, err);
    if (source->head.size > STORE_COPY_SIZE_MAX)
        return memory_fail(err, S3_ERROR_INVALID, 400, "InvalidRequest",
                           "'%s' is too large for one copy", in->source_key);
    if (strcmp(in->source_key, in->key) == 0 && !in->replace_attrs)
        return memory_fail(err, S3_ERROR_INVALID, 400, "InvalidRequest",
                           "a copy of '%s' to itself changes nothing", in->key);
    r = memory_check_locked(m, in->key, in->if_match, in->if_absent, err);
    if (r)
        return r;

    struct store_object head;
    if (store_object_copy(&source->head, &head))
        return out_of_memory(err);
    /* As in S3 the copy of an object made of parts is not made of parts. */
    if (strchr(head.etag, '-') && memory_blob_etag(source->blob, ++m->next_etag, head.etag)) {
        store_object_done(&head);
        return out_of_memory(err);
    }
    if (in->replace_attrs && store_attrs_copy(&in->attrs, &head.arena, &head.attrs)) {
        store_object_done(&head);
        return out_of_memory(err);
    }
    if (!head.attrs.content_type)
        head.attrs.content_type = "binary/octet-stream";
    return memory_store_locked(m, in->key, blob_ref(source->blob), &head, out, err);
}

static int op_delete(struct store_memory *m, const struct store_delete_in *in, struct s3_error *err)
{
    SCOPE_LOCK(&m->lock);
    const struct memory_object *o = memory_find_locked(m, in->key);
    if (o && in->if_match && strcmp(in->if_match, o->head.etag) != 0)
        return precondition(in->key, err);
    remove_locked(m, in->key);
    return 0;
}

static int op_delete_many(struct store_memory *m, const struct store_delete_many_in *in,
                          struct store_delete_many_out *out, struct s3_error *err)
{
    if (!in->n_keys || in->n_keys > STORE_DELETE_MANY_MAX)
        return memory_fail(err, S3_ERROR_INVALID, 400, "MalformedXML", "%zu keys in one request",
                           in->n_keys);
    *out = (struct store_delete_many_out){.arena = ARENA_INIT(LIMIT_PAGE_STRINGS)};
    out->failures = arena_alloc(&out->arena, in->n_keys * sizeof(*out->failures));
    if (!out->failures)
        return out_of_memory(err);
    SCOPE_LOCK(&m->lock);
    for (size_t i = 0; i < in->n_keys; i++) {
        const struct memory_object *o = memory_find_locked(m, in->keys[i]);
        const char *etag = in->etags ? in->etags[i] : NULL;
        if (etag && (!o || strcmp(etag, o->head.etag) != 0))
            out->failures[out->n_failures++] = (struct store_delete_failure){
                .key = in->keys[i], .kind = S3_ERROR_PRECONDITION, .message = "another version"};
        else
            remove_locked(m, in->keys[i]);
    }
    return 0;
}

/* ---- listing ---- */

/* The first index whose key does not begin with prefix, counting from `from`. */
static size_t skip_prefix_locked(const struct store_memory *m, size_t from, const char *prefix,
                                 size_t len)
{
    size_t low = from, high = m->n_objects;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strncmp(m->objects[mid]->key, prefix, len) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static size_t first_after_locked(const struct store_memory *m, const char *key)
{
    size_t at = memory_lower_bound_locked(m, key);
    return at < m->n_objects && strcmp(m->objects[at]->key, key) == 0 ? at + 1 : at;
}

static size_t list_start_locked(const struct store_memory *m, const struct store_list_in *in)
{
    size_t at = memory_lower_bound_locked(m, in->prefix);
    /* A token is 'k' and the last key of the page before, or 'p' and its last prefix. */
    if (in->token) {
        const char *last = in->token + 1;
        size_t after =
            in->token[0] == 'p'
                ? skip_prefix_locked(m, memory_lower_bound_locked(m, last), last, strlen(last))
                : first_after_locked(m, last);
        return MAX(at, after);
    }
    if (in->start_after)
        at = MAX(at, first_after_locked(m, in->start_after));
    return at;
}

static int list_token(struct store_page *page, char kind, const char *last)
{
    size_t len = strlen(last);
    char *token = arena_alloc(&page->arena, len + 2);
    if (!token)
        return -ENOMEM;
    token[0] = kind;
    memcpy(token + 1, last, len + 1);
    page->next_token = token;
    return 0;
}

static int list_fill_locked(const struct store_memory *m, const struct store_list_in *in,
                            struct store_page *page, uint32_t max)
{
    page->entries = arena_alloc(&page->arena, max * sizeof(*page->entries));
    page->prefixes = arena_alloc(&page->arena, max * sizeof(*page->prefixes));
    if (!page->entries || !page->prefixes)
        return -ENOMEM;

    size_t prefix_len = strlen(in->prefix);
    size_t at = list_start_locked(m, in);
    char kind = 'k';
    const char *last = NULL;
    while (at < m->n_objects && strncmp(m->objects[at]->key, in->prefix, prefix_len) == 0) {
        if (page->n_entries + page->n_prefixes == max)
            return list_token(page, kind, last);
        const struct memory_object *o = m->objects[at];
        const char *slash = in->delimited ? strchr(o->key + prefix_len, '/') : NULL;
        if (slash) {
            size_t len = (size_t)(slash - o->key) + 1;
            last = arena_strndup(&page->arena, o->key, len);
            if (!last)
                return -ENOMEM;
            kind = 'p';
            page->prefixes[page->n_prefixes++] = last;
            at = skip_prefix_locked(m, at, last, len);
            continue;
        }
        last = arena_strdup(&page->arena, o->key);
        const char *etag = arena_strdup(&page->arena, o->head.etag);
        const char *class = arena_strdup(&page->arena, o->head.attrs.storage_class);
        if (!last || !etag || (o->head.attrs.storage_class && !class))
            return -ENOMEM;
        kind = 'k';
        page->entries[page->n_entries++] = (struct store_entry){
            .key = last,
            .size = o->head.size,
            .mtime_ns = o->head.mtime_ns,
            .etag = etag,
            .storage_class = class ? class : "STANDARD",
        };
        at++;
    }
    return 0;
}

static int op_list(struct store_memory *m, const struct store_list_in *in, struct store_page *out,
                   struct s3_error *err)
{
    struct store_list_in all = *in;
    if (!all.prefix)
        all.prefix = "";
    if (all.token && all.token[0] != 'k' && all.token[0] != 'p')
        return memory_fail(err, S3_ERROR_INVALID, 400, "InvalidArgument", "not a token of ours");
    uint32_t max = in->max_keys ? MIN(in->max_keys, m->page_size) : m->page_size;
    struct store_page page = {.arena = ARENA_INIT(LIMIT_PAGE_STRINGS)};
    SCOPE_LOCK(&m->lock);
    if (list_fill_locked(m, &all, &page, max)) {
        store_page_done(&page);
        return out_of_memory(err);
    }
    *out = page;
    return 0;
}

/* ---- dispatch ---- */

static int memory_run(struct store_memory *m, enum store_op op, const void *in, void *out,
                      struct s3_error *err)
{
    switch (op) {
    case STORE_LIST:
        return op_list(m, in, out, err);
    case STORE_HEAD:
        return op_head(m, in, out, err);
    case STORE_GET:
        return op_get(m, in, out, err);
    case STORE_PUT:
        return op_put(m, in, out, err);
    case STORE_COPY:
        return op_copy(m, in, out, err);
    case STORE_DELETE:
        return op_delete(m, in, err);
    case STORE_DELETE_MANY:
        return op_delete_many(m, in, out, err);
    case STORE_UPLOAD_CREATE:
        return memory_upload_create(m, in, out, err);
    case STORE_UPLOAD_PART:
        return memory_upload_part(m, in, out, err);
    case STORE_UPLOAD_PART_COPY:
        return memory_upload_part_copy(m, in, out, err);
    case STORE_UPLOAD_COMPLETE:
        return memory_upload_complete(m, in, out, err);
    case STORE_UPLOAD_ABORT:
        return memory_upload_abort(m, in, err);
    case STORE_UPLOAD_LIST:
        return memory_upload_list(m, in, out, err);
    case STORE_UPLOAD_PARTS:
        return memory_upload_parts(m, in, out, err);
    case STORE_FLUSH:
        return 0;
    case STORE_OP_MAX:
        break;
    }
    return s3_error_set(err, S3_ERROR_UNSUPPORTED, "no such operation");
}

struct memory_call {
    struct store_memory *m;
    enum store_op op;
    const void *in;
    void *out;
    store_done_fn done;
    void *ctx;
};

static void memory_call_run(void *arg)
{
    struct memory_call c = *(struct memory_call *)arg;
    struct s3_error err = {0};
    int r = memory_run(c.m, c.op, c.in, c.out, &err);
    if (r)
        snprintf(err.operation, sizeof(err.operation), "%s", store_op_name(c.op));
    c.done(c.ctx, r, r ? &err : NULL);
}

static void memory_call_run_queued(void *arg)
{
    memory_call_run(arg);
    free(arg);
}

static int memory_submit(struct store *s, enum store_op op, const void *in, void *out,
                         store_done_fn done, void *ctx)
{
    struct store_memory *m = CONTAINER_OF(s, struct store_memory, store);
    struct memory_call c = {.m = m, .op = op, .in = in, .out = out, .done = done, .ctx = ctx};
    if (!m->pool) {
        memory_call_run(&c);
        return 0;
    }
    struct memory_call *queued = malloc(sizeof(*queued));
    if (!queued)
        return -ENOMEM;
    *queued = c;
    int r = threadpool_submit(m->pool, memory_call_run_queued, queued);
    if (r)
        free(queued);
    return r;
}

static void memory_free(struct store *s)
{
    struct store_memory *m = CONTAINER_OF(s, struct store_memory, store);
    threadpool_free(m->pool);
    for (size_t i = 0; i < m->n_objects; i++)
        object_free(m->objects[i]);
    free(m->objects);
    while (m->uploads) {
        struct memory_upload *next = m->uploads->next;
        memory_upload_free(m->uploads);
        m->uploads = next;
    }
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static const struct store_ops MEMORY_OPS = {.submit = memory_submit, .free = memory_free};

int store_memory_new(const struct store_memory_options *opts, struct store **ret)
{
    struct store_memory_options o = opts ? *opts : (struct store_memory_options){0};
    struct store_memory *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    m->store.ops = &MEMORY_OPS;
    m->clock = o.clock ? o.clock : clock_system();
    m->get_piece = o.get_piece ? o.get_piece : GET_PIECE_DEFAULT;
    m->part_size_min = o.part_size_min ? o.part_size_min : STORE_PART_SIZE_MIN;
    m->page_size = o.page_size ? MIN(o.page_size, STORE_LIST_MAX) : STORE_LIST_MAX;
    pthread_mutex_init(&m->lock, NULL);
    if (o.threads) {
        int r = threadpool_new(o.threads, "store-memory", &m->pool);
        if (r) {
            memory_free(&m->store);
            return r;
        }
    }
    *ret = &m->store;
    return 0;
}

int store_memory_put_zeros(struct store *s, const char *key, uint64_t size)
{
    struct store_memory *m = CONTAINER_OF(s, struct store_memory, store);
    struct blob *blob = blob_new_zeros(size);
    if (!blob)
        return -ENOMEM;
    SCOPE_LOCK(&m->lock);
    struct store_object head = {.arena = ARENA_INIT(LIMIT_PAGE_STRINGS),
                                .attrs = {.content_type = "binary/octet-stream"}};
    snprintf(head.etag, sizeof(head.etag), "\"zeros-%llu\"", (unsigned long long)++m->next_etag);
    return memory_store_locked(m, key, blob, &head, NULL, NULL);
}

size_t store_memory_object_count(struct store *s)
{
    struct store_memory *m = CONTAINER_OF(s, struct store_memory, store);
    SCOPE_LOCK(&m->lock);
    return m->n_objects;
}

size_t store_memory_upload_count(struct store *s)
{
    struct store_memory *m = CONTAINER_OF(s, struct store_memory, store);
    SCOPE_LOCK(&m->lock);
    size_t n = 0;
    for (const struct memory_upload *u = m->uploads; u; u = u->next)
        n++;
    return n;
}
