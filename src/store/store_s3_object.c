/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "s3/checksum.h"
#include "store/store_s3_impl.h"

/* ---- HEAD and GET ---- */

/* The strings stay in head's arena; only the metadata array is of the port's type. */
static int object_from_head(const struct s3_head_object_out *head, struct arena *arena,
                            struct store_object *o)
{
    struct store_metadata *metadata = NULL;

    memset(o, 0, sizeof(*o));
    if (head->n_metadata) {
        metadata = arena_alloc(arena, head->n_metadata * sizeof(*metadata));
        if (!metadata)
            return -ENOMEM;
    }
    for (size_t i = 0; i < head->n_metadata; i++)
        metadata[i] = (struct store_metadata){head->metadata[i].name, head->metadata[i].value};
    o->size = head->object_size;
    o->length = head->content_length;
    o->mtime_ns = head->last_modified_ns;
    o->date_ns = head->date_ns;
    (void)snprintf(o->etag, sizeof(o->etag), "%s", head->etag ? head->etag : "");
    o->attrs = (struct store_attrs){
        .content_type = head->content_type,
        .content_encoding = head->content_encoding,
        .content_disposition = head->content_disposition,
        .content_language = head->content_language,
        .cache_control = head->cache_control,
        .storage_class = head->storage_class,
        .metadata = metadata,
        .n_metadata = head->n_metadata,
    };
    return 0;
}

static const char *checksum_fact(enum s3_checksum_algo algo, struct arena *arena)
{
    char name[48];
    int n = snprintf(name, sizeof(name), "checksum-%s", s3_checksum_name(algo));
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return arena_strndup(arena, name, (size_t)n);
}

static int take_facts(const struct s3_head_object_out *head, struct arena *arena,
                      struct store_object *o)
{
    const struct store_metadata texts[] = {
        {"version-id", head->version_id},
        {"checksum-type", head->checksum_type},
        {"restore", head->restore},
    };
    struct store_metadata *facts =
        arena_alloc(arena, (ARRAY_SIZE(texts) + S3_CHECKSUM_MAX) * sizeof(*facts));
    size_t n = 0;

    if (!facts)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (texts[i].value && *texts[i].value)
            facts[n++] = texts[i];
    for (size_t i = 0; i < head->n_checksums; i++) {
        facts[n].name = checksum_fact(head->checksums[i].algo, arena);
        facts[n].value = arena_strdup(arena, head->checksums[i].value);
        if (!facts[n].name || !facts[n].value)
            return -ENOMEM;
        n++;
    }
    o->facts = facts;
    o->n_facts = n;
    return 0;
}

int store_s3_prepare_head(struct store_s3_request *r)
{
    const struct store_head_in *in = r->in;

    r->s3_in.head.bucket = r->s->bucket;
    r->s3_in.head.key = store_s3_key(r, in->key);
    r->s3_in.head.checksum_mode = in->facts;
    r->s3_in.head.part_number = in->part;
    return r->s3_in.head.key ? 0 : -ENOMEM;
}

/* Of HEAD and GET, whose inputs differ. */
static int finish_object(struct store_s3_request *r, bool facts, int result)
{
    struct s3_head_object_out *head = &r->s3_out.head;
    struct store_object *o = r->out;

    if (result < 0)
        return result;
    if (!o) {
        s3_head_object_out_done(head);
        return 0;
    }
    if (object_from_head(head, &head->arena, o) < 0 ||
        (facts && take_facts(head, &head->arena, o) < 0)) {
        s3_head_object_out_done(head);
        return s3_error_set(&r->err, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    }
    o->arena = head->arena;
    return 0;
}

int store_s3_finish_head(struct store_s3_request *r, int result)
{
    const struct store_head_in *in = r->in;
    return finish_object(r, in->facts, result);
}

static int get_head(void *ctx, const struct s3_head_object_out *head)
{
    struct store_s3_request *r = ctx;
    const struct store_get_in *in = r->in;
    struct store_object o;

    r->begun = true;
    if (!in->sink->begin)
        return 0;
    if (object_from_head(head, &r->arena, &o) < 0)
        return -ENOMEM;
    return in->sink->begin(in->sink->ctx, &o);
}

static int get_write(void *ctx, const void *data, size_t len)
{
    struct store_s3_request *r = ctx;
    const struct store_get_in *in = r->in;

    return in->sink->write(in->sink->ctx, data, len);
}

static bool get_unwanted(void *ctx)
{
    struct store_s3_request *r = ctx;
    const struct store_get_in *in = r->in;

    return in->sink->unwanted && in->sink->unwanted(in->sink->ctx);
}

int store_s3_prepare_get(struct store_s3_request *r)
{
    const struct store_get_in *in = r->in;
    struct s3_get_object_in *get = &r->s3_in.get;

    r->sink = (struct http_sink){.write = get_write, .unwanted = get_unwanted, .ctx = r};
    get->bucket = r->s->bucket;
    get->key = store_s3_key(r, in->key);
    get->conditions.if_match = in->if_match;
    get->has_range = in->length > 0;
    get->range_offset = in->offset;
    get->range_length = in->length;
    get->fresh = in->fresh;
    /* A whole object can be held against its stored checksum. */
    get->checksum_mode = in->length == 0 && r->s->check_whole;
    get->sink = &r->sink;
    get->head = get_head;
    return get->key ? 0 : -ENOMEM;
}

/* An empty body is no reason for the layers below to begin anything; the port does. */
int store_s3_finish_get(struct store_s3_request *r, int result)
{
    const struct store_get_in *in = r->in;
    struct store_object *o = r->out;

    result = finish_object(r, false, result);
    if (result < 0 || r->begun || !in->sink->begin || !o)
        return result;
    result = in->sink->begin(in->sink->ctx, o);
    if (result < 0) {
        store_object_done(o);
        (void)s3_error_set(&r->err, S3_ERROR_CANCELLED, "the receiver gave up");
    }
    return result;
}

/* ---- COPY ---- */

int store_s3_prepare_copy(struct store_s3_request *r)
{
    const struct store_copy_in *in = r->in;
    struct s3_copy_object_in *copy = &r->s3_in.copy;

    copy->bucket = r->s->bucket;
    copy->key = store_s3_key(r, in->key);
    copy->source_bucket = r->s->bucket;
    copy->source_key = store_s3_key(r, in->source_key);
    copy->source_conditions.if_match = in->source_if_match;
    copy->conditions.if_match = in->if_match;
    copy->conditions.if_none_match = in->if_absent ? "*" : NULL;
    copy->metadata_directive = in->replace_attrs ? S3_METADATA_REPLACE : S3_METADATA_COPY;
    if (!copy->key || !copy->source_key)
        return -ENOMEM;
    return store_s3_attrs(r, &in->attrs, &copy->attrs);
}

int store_s3_finish_copy(struct store_s3_request *r, int result)
{
    struct store_version *v = r->out;

    if (result < 0 || !v)
        return result;
    (void)snprintf(v->etag, sizeof(v->etag), "%s", r->s3_out.copy.etag);
    v->mtime_ns = r->s3_out.copy.last_modified_ns ? r->s3_out.copy.last_modified_ns
                                                  : clock_realtime_ns(r->s->clock);
    return 0;
}

/* ---- DELETE ---- */

int store_s3_prepare_delete(struct store_s3_request *r)
{
    const struct store_delete_in *in = r->in;

    r->s3_in.remove.bucket = r->s->bucket;
    r->s3_in.remove.key = store_s3_key(r, in->key);
    r->s3_in.remove.if_match = in->if_match;
    return r->s3_in.remove.key ? 0 : -ENOMEM;
}

/* S3 answers 204 for an absent key; some servers 404. With a condition it is a failed condition. */
int store_s3_finish_delete(struct store_s3_request *r, int result)
{
    const struct store_delete_in *in = r->in;

    return result < 0 && r->err.kind == S3_ERROR_NO_SUCH_KEY && !in->if_match ? 0 : result;
}

int store_s3_prepare_delete_many(struct store_s3_request *r)
{
    const struct store_delete_many_in *in = r->in;
    struct s3_delete_entry *entries = arena_alloc(&r->arena, in->n_keys * sizeof(*entries) + 1);
    bool told =
        in->etags && atomic_load(&r->s->caps[STORE_CAP_DELETE_MANY_IF_MATCH]) == STORE_CAP_HELD;

    if (!entries)
        return -ENOMEM;
    for (size_t i = 0; i < in->n_keys; i++) {
        entries[i] = (struct s3_delete_entry){.key = store_s3_key(r, in->keys[i]),
                                              .etag = told ? in->etags[i] : NULL};
        if (!entries[i].key)
            return -ENOMEM;
    }
    r->s3_in.remove_many = (struct s3_delete_objects_in){
        .bucket = r->s->bucket, .entries = entries, .n_entries = in->n_keys, .quiet = true};
    return 0;
}

int store_s3_finish_delete_many(struct store_s3_request *r, int result)
{
    struct s3_delete_objects_out *s3 = &r->s3_out.remove_many;
    struct store_delete_many_out *out = r->out;
    size_t n = 0;

    if (result < 0)
        return result;
    memset(out, 0, sizeof(*out));
    out->failures = arena_alloc(&s3->arena, s3->n_results * sizeof(*out->failures) + 1);
    if (!out->failures) {
        s3_delete_objects_out_done(s3);
        return s3_error_set(&r->err, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < s3->n_results; i++) {
        const struct s3_delete_result *f = &s3->results[i];
        enum s3_error_kind kind = f->code ? s3_error_kind_from_s3(f->code, 0) : S3_ERROR_NONE;

        if (!f->code || kind == S3_ERROR_NO_SUCH_KEY)
            continue;
        out->failures[n++] = (struct store_delete_failure){
            .key = strncmp(f->key, r->s->prefix, r->s->prefix_len) == 0
                       ? store_s3_relative(r->s, f->key)
                       : f->key,
            .kind = kind,
            .message = f->message ? f->message : f->code};
    }
    out->n_failures = n;
    out->arena = s3->arena;
    return 0;
}
