/* SPDX-License-Identifier: Apache-2.0 */
/* Copies inside the store, of any size. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_limits.h"
#include "vfs/vfs_impl.h"

/* Parts of a copy: no bytes come here, so they may be large; 10,000 of them reach the largest
 * object. Parts of one object are copied in parallel. */
#define COPY_PART_SIZE (512 * MIB)

/* A copy onto itself replaces the version that it copies and no other: what another host has stored
 * after the server looked at the source must not be undone. */
static const char *target_condition(const struct vfs_copy *c)
{
    if (c->replaces)
        return c->replaces;
    return strcmp(c->source, c->key) == 0 ? c->if_match : NULL;
}

struct part_job {
    struct store_upload_part_copy_in in;
    struct store_part out;
};

static uint64_t part_size(uint64_t size)
{
    uint64_t least = (size + STORE_PARTS_MAX - 1) / STORE_PARTS_MAX;
    return MAX(least, (uint64_t)COPY_PART_SIZE);
}

static int copy_parts(struct vfs *v, const struct vfs_copy *c, const char *upload_id,
                      struct part_job *jobs, size_t n, struct s3_error *err)
{
    struct fanout *f;
    uint64_t size = part_size(c->size);
    int r = fanout_new(v->store, v->opts.parallel, &f);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n && r == 0; i++) {
        uint64_t offset = i * size;
        jobs[i].in = (struct store_upload_part_copy_in){
            .key = c->key,
            .upload_id = upload_id,
            .number = (uint32_t)i + 1,
            .source_key = c->source,
            .source_if_match = c->if_match,
            .offset = offset,
            .length = MIN(size, c->size - offset),
        };
        r = fanout_submit(f, STORE_UPLOAD_PART_COPY, &jobs[i].in, &jobs[i].out, NULL, NULL);
    }
    int waited = fanout_wait(f, err);
    fanout_free(f);
    return waited < 0 ? waited : r;
}

static int copy_upload(struct vfs *v, const struct vfs_copy *c, const struct store_attrs *attrs,
                       struct store_version *ret, struct s3_error *err)
{
    struct store_upload_create_in create = {.key = c->key, .attrs = *attrs};
    CLEANUP_FREE struct store_upload *upload = calloc(1, sizeof(*upload));
    size_t n = (size_t)((c->size + part_size(c->size) - 1) / part_size(c->size));
    CLEANUP_FREE struct part_job *jobs = calloc(n, sizeof(*jobs));
    CLEANUP_FREE struct store_part *parts = calloc(n, sizeof(*parts));
    if (!upload || !jobs || !parts)
        return -ENOMEM;
    int r = store_call(v->store, STORE_UPLOAD_CREATE, &create, upload, err);
    if (r < 0)
        return r;
    r = copy_parts(v, c, upload->id, jobs, n, err);
    if (r == 0) {
        for (size_t i = 0; i < n; i++)
            parts[i] = jobs[i].out;
        struct store_upload_complete_in complete = {.key = c->key,
                                                    .upload_id = upload->id,
                                                    .parts = parts,
                                                    .n_parts = n,
                                                    .if_match = target_condition(c),
                                                    .if_absent = c->if_absent};
        r = store_call(v->store, STORE_UPLOAD_COMPLETE, &complete, ret, err);
    }
    if (r < 0) {
        struct store_upload_abort_in abort_in = {.key = c->key, .upload_id = upload->id};
        (void)store_call(v->store, STORE_UPLOAD_ABORT, &abort_in, NULL, NULL);
    }
    return r;
}

int vfs_copy_object(struct vfs *v, const struct vfs_copy *c, struct store_version *ret,
                    struct s3_error *err)
{
    if (c->size <= STORE_COPY_SIZE_MAX) {
        struct store_copy_in in = {.source_key = c->source,
                                   .source_if_match = c->if_match,
                                   .key = c->key,
                                   .if_match = target_condition(c),
                                   .if_absent = c->if_absent,
                                   .through = c->through,
                                   .replace_attrs = c->attrs != NULL,
                                   .size_hint = c->size};
        if (c->attrs)
            in.attrs = *c->attrs;
        return store_copy(v->store, &in, ret, err);
    }
    if (c->attrs)
        return copy_upload(v, c, c->attrs, ret, err);
    /* An upload knows nothing of the source: its attributes are carried over by hand. */
    struct store_object o = {0};
    int r = store_head(v->store, c->source, &o, err);
    if (r < 0)
        return r;
    struct vfs_copy pinned = *c;
    if (!pinned.if_match)
        pinned.if_match = o.etag;
    pinned.size = o.size;
    r = copy_upload(v, &pinned, &o.attrs, ret, err);
    store_object_done(&o);
    return r;
}
