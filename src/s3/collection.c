/* SPDX-License-Identifier: Apache-2.0 */
#include "s3/collection.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/parse.h"
#include "s3/paginator.h"
#include "s3/resource_bucket.h"
#include "s3/resource_object.h"
#include "s3/resource_upload.h"

struct s3_iter {
    struct s3_collection c;
    union {
        struct s3_list_buckets_in buckets;
        struct s3_list_objects_v2_in objects;
        struct s3_list_object_versions_in versions;
        struct s3_list_multipart_uploads_in uploads;
        struct s3_list_parts_in parts;
    } in;
    struct s3_paginator *pages;
    const void *page; /* borrowed from the paginator; NULL between pages */
    size_t at;        /* the next item of the page */
};

/* ---- the query ---- */

struct s3_collection s3_collection_filter(struct s3_collection c, struct s3_filter f)
{
    if (f.prefix)
        c.filter.prefix = f.prefix;
    if (f.delimiter)
        c.filter.delimiter = f.delimiter;
    if (f.start_after)
        c.filter.start_after = f.start_after;
    if (f.id_marker)
        c.filter.id_marker = f.id_marker;
    return c;
}

struct s3_collection s3_collection_limit(struct s3_collection c, uint64_t limit)
{
    c.limit = limit;
    return c;
}

struct s3_collection s3_collection_page_size(struct s3_collection c, uint32_t page_size)
{
    c.page_size = page_size;
    return c;
}

struct s3_collection s3_collection_resume(struct s3_collection c, const char *token)
{
    c.resume_token = token;
    return c;
}

/* ---- from the query to the operation's input ---- */

static int no_filter(const char *what, const char *given, const char *of, struct s3_error *reterr)
{
    if (!given)
        return 0;
    return s3_error_set(reterr, S3_ERROR_CONFIG, "%s cannot be filtered by %s ('%s')", of, what,
                        given);
}

static int buckets_in(struct s3_iter *it, struct s3_error *reterr)
{
    const struct s3_filter *f = &it->c.filter;
    int r = no_filter("delimiter", f->delimiter, "buckets", reterr);
    if (r == 0)
        r = no_filter("start_after", f->start_after, "buckets", reterr);
    if (r == 0)
        r = no_filter("id_marker", f->id_marker, "buckets", reterr);
    it->in.buckets = (struct s3_list_buckets_in){.prefix = f->prefix};
    return r;
}

static int objects_in(struct s3_iter *it, struct s3_error *reterr)
{
    const struct s3_filter *f = &it->c.filter;
    it->in.objects = (struct s3_list_objects_v2_in){.bucket = it->c.bucket,
                                                    .prefix = f->prefix,
                                                    .delimiter = f->delimiter,
                                                    .start_after = f->start_after};
    return no_filter("id_marker", f->id_marker, "objects", reterr);
}

static int versions_in(struct s3_iter *it, struct s3_error *reterr ATTR_UNUSED)
{
    const struct s3_filter *f = &it->c.filter;
    it->in.versions = (struct s3_list_object_versions_in){.bucket = it->c.bucket,
                                                          .prefix = f->prefix,
                                                          .delimiter = f->delimiter,
                                                          .key_marker = f->start_after,
                                                          .version_id_marker = f->id_marker};
    return 0;
}

static int uploads_in(struct s3_iter *it, struct s3_error *reterr ATTR_UNUSED)
{
    const struct s3_filter *f = &it->c.filter;
    it->in.uploads = (struct s3_list_multipart_uploads_in){.bucket = it->c.bucket,
                                                           .prefix = f->prefix,
                                                           .delimiter = f->delimiter,
                                                           .key_marker = f->start_after,
                                                           .upload_id_marker = f->id_marker};
    return 0;
}

static int parts_in(struct s3_iter *it, struct s3_error *reterr)
{
    const struct s3_filter *f = &it->c.filter;
    int r = no_filter("prefix", f->prefix, "parts", reterr);
    if (r == 0)
        r = no_filter("delimiter", f->delimiter, "parts", reterr);
    if (r == 0)
        r = no_filter("id_marker", f->id_marker, "parts", reterr);
    if (r < 0)
        return r;
    uint64_t marker = 0;
    if (f->start_after && (parse_u64(f->start_after, &marker) < 0 || marker > S3_PARTS_MAX))
        return s3_error_set(reterr, S3_ERROR_CONFIG, "'%s' is no part number", f->start_after);
    it->in.parts = (struct s3_list_parts_in){.bucket = it->c.bucket,
                                             .key = it->c.key,
                                             .upload_id = it->c.upload_id,
                                             .part_number_marker = (uint32_t)marker};
    return 0;
}

static const struct {
    const char *name;
    const struct s3_paginator_def *def;
    int (*build)(struct s3_iter *it, struct s3_error *reterr);
} KINDS[] = {
    [S3_COLLECTION_BUCKETS] = {"buckets", &s3_paginator_list_buckets, buckets_in},
    [S3_COLLECTION_OBJECTS] = {"objects", &s3_paginator_list_objects_v2, objects_in},
    [S3_COLLECTION_OBJECT_VERSIONS] = {"versions", &s3_paginator_list_object_versions, versions_in},
    [S3_COLLECTION_MULTIPART_UPLOADS] = {"uploads", &s3_paginator_list_multipart_uploads,
                                         uploads_in},
    [S3_COLLECTION_PARTS] = {"parts", &s3_paginator_list_parts, parts_in},
};

/* ---- iterating ---- */

int s3_iter_open(const struct s3_collection *c, struct s3_iter **ret, struct s3_error *reterr)
{
    struct s3_iter *it = calloc(1, sizeof(*it));
    if (!it)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    it->c = *c;
    struct s3_paginator_options opts = {
        .page_size = c->page_size, .max_items = c->limit, .resume_token = c->resume_token};
    int r = KINDS[c->kind].build(it, reterr);
    if (r == 0)
        r = s3_paginator_new(c->client, KINDS[c->kind].def, &it->in, &opts, &it->pages, reterr);
    if (r < 0) {
        free(it);
        return r;
    }
    *ret = it;
    return 0;
}

void s3_iter_close(struct s3_iter *it)
{
    if (!it)
        return;
    s3_paginator_free(it->pages);
    free(it);
}

static int next_page(struct s3_iter *it, struct s3_error *reterr)
{
    it->at = 0;
    it->page = NULL;
    return s3_paginator_next(it->pages, &it->page, reterr);
}

int s3_iter_next(struct s3_iter *it, const void **ret_entry, struct s3_error *reterr)
{
    for (;;) {
        if (it->at < s3_paginator_item_count(it->pages)) {
            *ret_entry = s3_paginator_item_at(it->pages, it->at++);
            return 1;
        }
        int r = next_page(it, reterr);
        if (r <= 0)
            return r;
    }
}

int s3_iter_next_page(struct s3_iter *it, const void **ret_entries, size_t *ret_n,
                      struct s3_error *reterr)
{
    int r = next_page(it, reterr);
    if (r <= 0)
        return r;
    *ret_n = s3_paginator_item_count(it->pages);
    *ret_entries = s3_paginator_item_at(it->pages, 0); /* the items are one array */
    it->at = *ret_n;
    return 1;
}

const char *const *s3_iter_prefixes(const struct s3_iter *it, size_t *ret_n)
{
    *ret_n = 0;
    if (!it->page)
        return NULL;
    switch (it->c.kind) {
    case S3_COLLECTION_OBJECTS: {
        const struct s3_list_objects_v2_out *o = it->page;
        *ret_n = o->n_common_prefixes;
        return o->common_prefixes;
    }
    case S3_COLLECTION_OBJECT_VERSIONS: {
        const struct s3_list_object_versions_out *o = it->page;
        *ret_n = o->n_common_prefixes;
        return o->common_prefixes;
    }
    case S3_COLLECTION_MULTIPART_UPLOADS: {
        const struct s3_list_multipart_uploads_out *o = it->page;
        *ret_n = o->n_common_prefixes;
        return o->common_prefixes;
    }
    case S3_COLLECTION_BUCKETS:
    case S3_COLLECTION_PARTS:
        break;
    }
    return NULL;
}

unsigned s3_iter_pages(const struct s3_iter *it)
{
    return s3_paginator_pages(it->pages);
}

char *s3_iter_resume_token(const struct s3_iter *it)
{
    return s3_paginator_resume_token(it->pages);
}

/* ---- entries as resources ---- */

/* The next entry of a collection of that kind. A failed step to a resource is taken again by the
 * next call, so nothing is passed over. */
static int next_of(struct s3_iter *it, enum s3_collection_kind kind, const void **ret_entry,
                   struct s3_error *reterr)
{
    if (it->c.kind != kind)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "this is a collection of %s, not of %s",
                            KINDS[it->c.kind].name, KINDS[kind].name);
    int r = s3_iter_next(it, ret_entry, reterr);
    return r > 0 && !*ret_entry ? 0 : r; /* the latter never; gcc cannot know */
}

static int delivered(struct s3_iter *it, int r)
{
    if (r == 0)
        return 1;
    it->at--;
    return r;
}

static void set_text(char *dst, size_t size, const char *src, const char *otherwise)
{
    snprintf(dst, size, "%s", src ? src : otherwise);
}

int s3_iter_next_bucket(struct s3_iter *it, struct s3_bucket *ret, struct s3_error *reterr)
{
    const void *entry = NULL;
    int r = next_of(it, S3_COLLECTION_BUCKETS, &entry, reterr);
    if (r <= 0)
        return r;
    const struct s3_bucket_entry *e = entry;
    r = s3_bucket_init(ret, it->c.client, e->name, reterr);
    if (r == 0) {
        ret->attributes.creation_ns = e->creation_ns;
        set_text(ret->attributes.region, sizeof(ret->attributes.region), e->region, "");
        ret->meta.loaded = true;
    }
    return delivered(it, r);
}

int s3_iter_next_object(struct s3_iter *it, struct s3_object *ret, struct s3_error *reterr)
{
    const void *entry = NULL;
    int r = next_of(it, S3_COLLECTION_OBJECTS, &entry, reterr);
    if (r <= 0)
        return r;
    const struct s3_object_entry *e = entry;
    r = s3_object_init(ret, it->c.client, it->c.bucket, e->key, reterr);
    if (r == 0) {
        struct s3_object_summary *s = &ret->summary;
        s->size = e->size;
        s->last_modified_ns = e->last_modified_ns;
        set_text(s->etag, sizeof(s->etag), e->etag, "");
        set_text(s->storage_class, sizeof(s->storage_class), e->storage_class, "STANDARD");
        ret->has_summary = true;
    }
    return delivered(it, r);
}

int s3_iter_next_version(struct s3_iter *it, struct s3_object_version *ret, struct s3_error *reterr)
{
    const void *entry = NULL;
    int r = next_of(it, S3_COLLECTION_OBJECT_VERSIONS, &entry, reterr);
    if (r <= 0)
        return r;
    const struct s3_version_entry *e = entry;
    /* "null" is the id of what was written while versioning was off. */
    const char *id = e->version_id && *e->version_id ? e->version_id : "null";
    r = s3_object_version_init(ret, it->c.client, it->c.bucket, e->key, id, reterr);
    if (r == 0) {
        struct s3_object_summary *s = &ret->summary;
        s->size = e->size;
        s->last_modified_ns = e->last_modified_ns;
        set_text(s->etag, sizeof(s->etag), e->etag, "");
        set_text(s->storage_class, sizeof(s->storage_class), e->storage_class, "STANDARD");
        s->is_latest = e->is_latest;
        s->is_delete_marker = e->is_delete_marker;
        ret->has_summary = true;
    }
    return delivered(it, r);
}

int s3_iter_next_upload(struct s3_iter *it, struct s3_multipart_upload *ret,
                        struct s3_error *reterr)
{
    const void *entry = NULL;
    int r = next_of(it, S3_COLLECTION_MULTIPART_UPLOADS, &entry, reterr);
    if (r <= 0)
        return r;
    const struct s3_upload_entry *e = entry;
    r = s3_multipart_upload_init(ret, it->c.client, it->c.bucket, e->key, e->upload_id, reterr);
    if (r == 0) {
        ret->initiated_ns = e->initiated_ns;
        set_text(ret->storage_class, sizeof(ret->storage_class), e->storage_class, "");
    }
    return delivered(it, r);
}

/* ---- the batch action ---- */

static int delete_page(struct s3_iter *it, struct s3_delete_report *report, struct s3_error *reterr)
{
    size_t n = s3_paginator_item_count(it->pages);
    for (size_t at = 0; at < n;) {
        struct s3_delete_entry entries[S3_DELETE_BATCH_MAX];
        size_t batch = MIN(n - at, (size_t)S3_DELETE_BATCH_MAX);
        for (size_t i = 0; i < batch; i++, at++) {
            const void *item = s3_paginator_item_at(it->pages, at);
            if (it->c.kind == S3_COLLECTION_OBJECTS) {
                const struct s3_object_entry *e = item;
                entries[i] = (struct s3_delete_entry){.key = e->key};
            } else {
                const struct s3_version_entry *e = item;
                entries[i] = (struct s3_delete_entry){.key = e->key, .version_id = e->version_id};
            }
        }
        int r = s3_batch_delete_request(it->c.client, it->c.bucket, entries, batch, report, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

int s3_collection_delete(const struct s3_collection *c, struct s3_delete_report *report,
                         struct s3_error *reterr)
{
    if (c->kind != S3_COLLECTION_OBJECTS && c->kind != S3_COLLECTION_OBJECT_VERSIONS)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "a collection of %s has no batch delete",
                            KINDS[c->kind].name);
    struct s3_delete_report own;
    s3_delete_report_init(&own);
    struct s3_delete_report *rep = report ? report : &own;

    struct s3_iter *it = NULL;
    int r = s3_iter_open(c, &it, reterr);
    while (r >= 0 && (r = next_page(it, reterr)) > 0)
        r = delete_page(it, rep, reterr);
    s3_iter_close(it);
    if (r == 0)
        r = s3_delete_report_result(rep, reterr);
    s3_delete_report_done(&own);
    return r;
}
