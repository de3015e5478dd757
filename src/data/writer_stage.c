/* SPDX-License-Identifier: Apache-2.0 */
/* A staged writer: how it becomes one, and its commit. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "data/plan.h"
#include "data/writer_impl.h"

/* ---- the list of staged writers ---- */

static void list_add(struct writer *w)
{
    struct data *d = w->d;
    SCOPE_LOCK(&d->writers_lock);
    w->next_staged = d->first_writer;
    if (w->next_staged)
        w->next_staged->link_staged = &w->next_staged;
    w->link_staged = &d->first_writer;
    d->first_writer = w;
}

static void list_remove(struct writer *w)
{
    SCOPE_LOCK(&w->d->writers_lock);
    *w->link_staged = w->next_staged;
    if (w->next_staged)
        w->next_staged->link_staged = w->link_staged;
    w->link_staged = NULL;
}

void writer_drop_stage(struct writer *w)
{
    if (!w->stage)
        return;
    list_remove(w);
    stage_free(TAKE_PTR(w->stage));
}

/* One that nobody is in, and that has something to give; its free waits while we are inside. */
static struct writer *enter_any(struct data *d)
{
    SCOPE_LOCK(&d->writers_lock);
    for (struct writer *w = d->first_writer; w; w = w->next_staged) {
        if (!writer_try_enter(w))
            continue;
        if (extents_bytes(stage_extents(w->stage), EXTENT_CLEAN))
            return w;
        writer_leave(w);
    }
    return NULL;
}

void writers_drop_clean(struct data *d)
{
    struct writer *w;
    while ((w = enter_any(d))) {
        stage_drop_clean(w->stage);
        writer_leave(w);
    }
}

/* ---- from a stream to a stage ---- */

/* Completes what was sent: it cannot be had back, but as a version in the store it can be read and
 * copied from. */
static int checkpoint(struct writer *w, struct s3_error *reterr)
{
    struct s3_error err = {0};
    struct store_version version = {0};
    if (writer_is_orphan(w)) {
        /* Nobody had it open for reading when it lost its name: what was sent is lost, too, and to
         * be read it would be stale. */
        snprintf(w->base_etag, sizeof(w->base_etag), "\"-\"");
        w->base_keep = w->start;
        return 0;
    }
    int r = upload_mend(w->upload, &err);
    if (r) {
        if (!upload_can_mend(w->upload))
            writer_keep_failure(w, r, &err);
        if (reterr)
            *reterr = err;
        return r;
    }
    r = writer_complete(w, &version, &err);
    if (r) {
        if (reterr)
            *reterr = err;
        return writer_conflict(w, r, &err);
    }
    upload_free(TAKE_PTR(w->upload));
    writer_builds_on(w, &version);
    w->base_keep = w->start;
    w->last = (struct writer_result){.version = version, .size = w->start, .attrs_stale = true};
    data_share_set_least(w->share, w->d->write_part_size);
    if (w->stored)
        w->stored(w->stored_ctx, &version, w->start);
    return 0;
}

static int move_buffer(const struct buffer *b, uint64_t offset, struct stage *s,
                       struct s3_error *reterr)
{
    int r = 0;
    for (uint64_t at = 0; !r && at < b->len; at += DATA_BLOCK_SIZE) {
        const char *block = b->blocks[at / DATA_BLOCK_SIZE];
        if (block != b->share->d->zero_block)
            r = stage_write(s, offset + at, block, (size_t)MIN(b->len - at, DATA_BLOCK_SIZE),
                            reterr);
    }
    return r;
}

struct move {
    struct stage *stage;
    uint64_t offset; /* of the first part that was sent */
    struct s3_error *reterr;
};

static int move_piece(void *ctx, uint64_t position, const char *data, size_t len)
{
    struct move *m = ctx;
    return stage_write(m->stage, m->offset + position, data, len, m->reterr);
}

static int move_part(void *ctx, uint64_t position, const struct buffer *b)
{
    struct move *m = ctx;
    return move_buffer(b, m->offset + position, m->stage, m->reterr);
}

/* What was sent: it is here still, or the store has it. */
static int move_sent(struct writer *w, struct stage *s, struct s3_error *reterr)
{
    struct move m = {s, w->base_keep, reterr};
    int r;
    if (w->start == w->base_keep)
        return 0;
    (void)upload_wait(w->upload, NULL);
    return upload_hand_out(w->upload, move_part, &m, &r) ? r : checkpoint(w, reterr);
}

/* Whether the upload has failed because the store cannot copy from this key. Ceph 16 decodes the
 * name of a part's source twice, and does not find what has a percent sign in its own. */
static void note_refused_copy(struct writer *w, const struct s3_error *err)
{
    if (!w->upload || !upload_copy_failed(w->upload))
        return;
    if (err->kind == S3_ERROR_UNSUPPORTED || (err->kind == S3_ERROR_SERVER && strchr(w->key, '%')))
        w->no_copies = true;
}

int writer_stream_failed(struct writer *w, int result, const struct s3_error *err)
{
    bool at_hand = w->start == w->base_keep;
    if (w->upload)
        (void)upload_wait(w->upload, NULL);
    note_refused_copy(w, err);
    if (!at_hand && w->upload)
        at_hand = upload_is_retained(w->upload);
    if (!at_hand && w->upload && upload_can_mend(w->upload))
        return result;
    if (!at_hand || writer_to_stage(w, NULL))
        return writer_keep_failure(w, result, err);
    return result;
}

int writer_to_stage(struct writer *w, struct s3_error *reterr)
{
    struct stage *s;
    int r = stage_new(w->d, &s, reterr);
    if (r)
        return r;
    r = move_sent(w, s, reterr);
    if (r) {
        stage_free(s);
        return r;
    }
    /* Of the version's own size no more is known than that; w->last has it when it is ours. */
    uint64_t object_size = MAX(w->last.size, w->base_keep);
    if (stage_set_base(s, w->key, w->base_etag, object_size, w->base_keep))
        r = writer_no_memory(reterr);
    if (!r)
        r = writer_held_visit(w, move_piece, &(struct move){s, w->start, reterr});
    if (!r)
        r = stage_truncate(s, w->size, reterr);
    if (r) {
        stage_free(s);
        return r;
    }
    upload_free(TAKE_PTR(w->upload));
    writer_cut_base(w, 0);
    data_share_set_least(w->share, w->d->write_part_size);
    w->stage = s;
    w->changed = true;
    list_add(w);
    return 0;
}

int writer_hold(struct writer *w, struct s3_error *reterr)
{
    writer_enter(w);
    bool sent = w->start > w->base_keep;
    int r = sent && !w->stage ? writer_to_stage(w, reterr) : 0;
    if (!r && !w->stage && w->base_keep)
        r = writer_open_base(w, 0, w->base_keep, reterr);
    /* To copy a large one inside the store is cheaper than to fetch it. */
    if (!r && w->stage)
        r = stage_missing(w->stage) <= w->d->write_part_size ? stage_fill(w->stage, reterr)
                                                             : WRITER_NEEDS_STAGE;
    writer_leave(w);
    return r == -ENOSPC || r == WRITER_NEEDS_STAGE ? -EXDEV : r;
}

/* ---- commit ---- */

/* The upload is complete, or may be. */
static int complete(struct writer *w, struct store_version *ret, struct s3_error *err)
{
    int r = writer_complete(w, ret, err);
    /* Only what may have had its effect is worth asking about again. */
    if (!r || !upload_error_is_uncertain(err) || err->kind == S3_ERROR_NO_SUCH_UPLOAD ||
        upload_sum_differs(err))
        upload_free(TAKE_PTR(w->upload));
    return r;
}

static int commit_parts(struct writer *w, struct store_version *ret, struct s3_error *err)
{
    struct plan plan;
    struct plan_in in = {.extents = stage_extents(w->stage),
                         .size = w->size,
                         .base_size = w->no_copies ? 0 : stage_base_size(w->stage),
                         .part_size = w->d->write_part_size,
                         .part_size_max = w->d->write_part_max,
                         .parallel = w->d->parallel};
    int r = plan_make(&in, &plan);
    if (r == -EFBIG) {
        s3_error_set(err, S3_ERROR_TOO_LARGE, "'%s' has more changes than fit an upload", w->key);
        return r;
    }
    if (r)
        return writer_no_memory(err);
    w->changed = false;
    r = writer_send_plan(w, &plan, err);
    plan_done(&plan);
    if (r) {
        bool copied = !w->no_copies;
        note_refused_copy(w, err);
        upload_free(TAKE_PTR(w->upload));
        if (!copied || !w->no_copies)
            return r;
        *err = (struct s3_error){0};
        return commit_parts(w, ret, err);
    }
    return complete(w, ret, err);
}

/* Small again: one PUT, and the content stays in memory, if there is room. */
static int commit_small(struct writer *w, struct store_version *ret, struct s3_error *err)
{
    w->buffer.leaving = true;
    data_share_load(w->share, stage_buffer_cost(w->stage, 0, w->size));
    int r = stage_read_buffer(w->stage, 0, w->size, &w->buffer, err);
    data_share_drop_load(w->share);
    if (!r)
        r = writer_put(w, ret, err);
    if (r || !buffer_try_stay(&w->buffer))
        buffer_done(&w->buffer);
    else
        writer_drop_stage(w);
    return r;
}

/* The completion before this commit may have had its effect. Then what it made is the version to
 * replace, and where nothing has changed since, the result. */
static int finish_doubtful(struct writer *w, struct store_version *ret, bool *ret_done,
                           struct s3_error *err)
{
    *ret_done = false;
    int r = complete(w, ret, err);
    if (r && err->kind == S3_ERROR_NO_SUCH_UPLOAD) {
        *err = (struct s3_error){0};
        return 0;
    }
    if (r)
        return r;
    *ret_done = !w->changed;
    if (!*ret_done) {
        /* Where there are no changes it has the same bytes as the version before. */
        writer_builds_on(w, ret);
        if (stage_set_base(w->stage, w->key, ret->etag, w->size, stage_base_size(w->stage)))
            return writer_no_memory(err);
    }
    return 0;
}

int writer_commit_stage(struct writer *w, struct store_version *ret, struct s3_error *err)
{
    bool done = false;
    int r = w->upload ? finish_doubtful(w, ret, &done, err) : 0;
    if (r || !done) {
        if (!r)
            r = w->size <= w->d->write_part_size ? commit_small(w, ret, err)
                                                 : commit_parts(w, ret, err);
        if (r)
            return r;
    }
    if (w->stage && stage_committed(w->stage, w->key, ret->etag))
        return writer_no_memory(err);
    return 0;
}
