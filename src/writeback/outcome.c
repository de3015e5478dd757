/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer means. Stored; or refused by a condition, and then a HEAD decides: it may have
 * been an earlier try of ours that changed the key. Only what is seen to be another version is a
 * conflict; an object that is gone must be seen gone twice. Everything else is tried again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "writeback/send.h"

#define GONE_LOOKS 2u /* that must find the object gone, with a pause between them */

/* ---- conflicts ---- */

struct losing {
    struct writeback *wb;
    struct wb_op *op;
    enum lost_reason reason;
};

static void lose_end_locked(struct writeback *wb, struct wb_op *op)
{
    op->state = WB_ENDING;
    wb->endings_now = true;
    wb_queue_locked(&wb->endings, op);
    wb_wake_locked(wb);
}

/* There is nothing to keep. Whatever else fails (no descriptor left, a disk that does not answer)
 * may go better the next time. */
static bool is_nowhere(const struct wb_body *b, int result, int fd)
{
    if (b->file)
        return result == -ENOENT && fd == -ENOENT;
    return result == -ENOENT || result == -EBADMSG;
}

/* Who waits for the key hears of it: lost+found that is full may stay so until somebody acts. */
static void not_kept_locked(struct writeback *wb, struct wb_op *op, int result, uint64_t again_ns)
{
    struct s3_error err;
    struct wb_calls *stalled = &op->key->stalled;
    struct wb_call *c = stalled->head;
    bool full = result == -ENOSPC || result == -EDQUOT;
    (void)s3_error_set(&err, full ? S3_ERROR_QUOTA : S3_ERROR_BAD_RESPONSE,
                       "lost+found: what was written to '%s' cannot be kept there: %s",
                       op->key->key, strerror(-result));
    op->state = WB_READY;
    op->again_ns = wb_now(wb) + again_ns;
    wb_enqueue_locked(wb, op);
    wb_calls_init(stalled);
    while (c) {
        struct wb_call *next = c->next;
        wb_finish_locked(c, result, &err);
        c = next;
    }
    wb_flush_failed_locked(wb, op, false, result, &err);
}

static void keep_lost(void *arg)
{
    struct losing *l = arg;
    struct writeback *wb = l->wb;
    struct wb_op *op = l->op;
    CLEANUP_FREE void *data = NULL;
    CLEANUP_FD int fd = -1;
    struct writeback_lost lost = {.key = op->key->key,
                                  .base_etag = op->if_match ? op->if_match : "",
                                  .reason = l->reason,
                                  .time_ns = op->mtime_ns,
                                  .size = op->size,
                                  .fd = -1};
    int r = wb_body_load(wb, op->body, op->seq, &data);
    if (r < 0 && r != -ENOMEM && op->body->file)
        lost.fd = fd = wb_body_open(wb, op->body); /* what there is of it */
    lost.data = data;
    if (data || lost.fd >= 0)
        r = wb->opts.lost(wb->opts.ctx, &lost);
    pthread_mutex_lock(&wb->lock);
    wb->tasks--;
    pthread_cond_broadcast(&wb->idle);
    if (r < 0 && !is_nowhere(op->body, r, fd)) {
        log_error("what was written to '%s' could not be moved to lost+found and stays in the "
                  "journal: %s",
                  op->key->key, strerror(-r));
        op->tries++;
        not_kept_locked(wb, op, r, 10 * (uint64_t)NS_PER_S);
    } else {
        if (r < 0)
            log_error("what was written to '%s' is lost: the journal does not have it: %s",
                      op->key->key, strerror(-r));
        lose_end_locked(wb, op);
    }
    wb_unlock(wb);
    free(l);
}

/* It leaves nothing of what its key holds. */
static bool is_replacing(const struct wb_op *op)
{
    return op->kind != WB_COPY || op->source != op->key;
}

/* What builds on it has lost too. And what a copy was of must stay, for it is nowhere else: what
 * was to take its place, as a new log does after the old one was renamed, goes to lost+found. */
static void spread_locked(struct wb_op *op)
{
    struct wb_op *next = wb_next_to_send_locked(op);
    if (next && (next->cond == WB_PREV || (next->kind == WB_DELETE && next->cond == WB_ANY)))
        next->lost = true;
    for (const struct wb_edge *e = op->waiters; e; e = e->next) {
        struct wb_op *w = e->succ;
        if (w->source_op == op) {
            w->source_op = NULL;
            op->copies--;
            w->lost = true;
        }
        if (op->kind == WB_COPY && op->source != op->key && w->key == op->source && is_replacing(w))
            w->lost = true;
    }
}

static void tell_lost(const struct wb_op *op, const char *reason)
{
    if (op->kind == WB_PUT)
        log_error("conflict: '%s': %s; what was written here is kept in lost+found", op->key->key,
                  reason);
    else if (op->kind == WB_COPY && op->source != op->key)
        log_error("conflict: '%s': %s; '%s' keeps its name", op->key->key, reason, op->source->key);
    else
        log_error("conflict: '%s': %s; its %s was given up", op->key->key, reason,
                  op->kind == WB_COPY ? "change of attributes" : "removal");
}

void wb_lose_locked(struct writeback *wb, struct wb_op *op, enum lost_reason why, const char *text)
{
    op->lost = true;
    if (!op->lost_told) {
        op->lost_told = true;
        wb->stats.conflicts++;
        tell_lost(op, text);
        spread_locked(op);
    }
    if (!op->body) {
        lose_end_locked(wb, op);
        return;
    }
    struct losing *l = calloc(1, sizeof(*l));
    op->state = WB_SENDING;
    if (l) {
        *l = (struct losing){wb, op, why};
        wb->tasks++;
        if (threadpool_submit(wb->pool, keep_lost, l) == 0)
            return;
        wb->tasks--;
        free(l);
    }
    not_kept_locked(wb, op, -ENOMEM, NS_PER_S);
}

/* ---- decisions; each ends the request ---- */

static void stored(struct wb_send *s, const char *etag)
{
    struct writeback *wb = s->wb;
    struct wb_op *op = s->op;
    char copy[STORE_ETAG_SIZE];
    (void)snprintf(copy, sizeof(copy), "%s", etag);
    pthread_mutex_lock(&wb->lock);
    wb_stored_locked(wb, op, copy);
    if (op->direct) {
        if (op->call->out && op->kind != WB_DELETE)
            *(struct store_version *)op->call->out = s->out.version;
        wb_direct_done_locked(wb, op, 0, NULL);
    }
    wb_send_free_locked(s);
    wb_unlock(wb);
}

static void retry(struct wb_send *s, int result, const struct s3_error *err)
{
    struct writeback *wb = s->wb;
    pthread_mutex_lock(&wb->lock);
    wb_retry_locked(wb, s->op, result, err);
    wb_send_free_locked(s);
    wb_unlock(wb);
}

static void lose(struct wb_send *s, enum lost_reason why, const char *text)
{
    struct writeback *wb = s->wb;
    pthread_mutex_lock(&wb->lock);
    wb_lose_locked(wb, s->op, why, text);
    wb_send_free_locked(s);
    wb_unlock(wb);
}

/* The server refuses the very version that it tells. */
static void retry_without(struct wb_send *s)
{
    log_warn("the server refuses If-Match with the ETag that it tells itself: '%s' is stored "
             "without",
             s->op->key->key);
    s->op->no_cond = true;
    retry(s, -EIO, &s->refusal);
}

static void gone(struct wb_send *s, const char *text)
{
    if (++s->op->confirmed >= GONE_LOOKS)
        lose(s, LOST_REMOVED, text);
    else
        retry(s, -EIO, &s->refusal);
}

/* ---- looking ---- */

static bool same_metadata(const struct store_attrs *ours, const struct store_attrs *theirs)
{
    for (size_t i = 0; i < ours->n_metadata; i++) {
        bool found = false;
        for (size_t k = 0; k < theirs->n_metadata && !found; k++)
            found = strcmp(ours->metadata[i].name, theirs->metadata[k].name) == 0 &&
                    strcmp(ours->metadata[i].value, theirs->metadata[k].value) == 0;
        if (!found)
            return false;
    }
    return true;
}

/* Nobody knows the ETag that the server gives the copy: one of ours was announced. */
static bool is_etag_unknown(const struct wb_op *op)
{
    return op->kind == WB_COPY && strncmp(op->etag, "\"pailfs-", 8) == 0;
}

/* Content that is the same by its ETag: the announced one, or that of what was copied, which some
 * servers keep. */
static bool is_same_etag(const struct wb_op *op, const char *etag)
{
    return strcmp(etag, op->etag) == 0 ||
           (op->kind == WB_COPY && op->source_etag && strcmp(etag, op->source_etag) == 0);
}

/* The ETag may be that of a change of attributes: the server has made it, so it is not one of
 * parts. */
static bool may_be_etag_of_touch(const struct wb_op *op, const char *etag)
{
    return op->source == op->key && is_etag_unknown(op) && !strchr(etag, '-');
}

/* Metadata that no other object of that size has by chance. */
static bool has_times(const struct store_attrs *attrs)
{
    for (size_t i = 0; i < attrs->n_metadata; i++)
        if (strstr(attrs->metadata[i].name, "mtime") || strstr(attrs->metadata[i].name, "ctime"))
            return true;
    return false;
}

/* What stands there is what we were about to make. Where that is taken for true by mistake, the
 * source of a rename is removed and its content is nowhere: a copy to another key has to prove it,
 * by the ETag or by metadata that has times in it. A copy of another program's object of parts has
 * neither: when its answer was lost it is a conflict, and both names stay. */
static bool is_ours(struct wb_send *s, const struct store_object *o)
{
    const struct wb_op *op = s->op;
    struct arena arena = ARENA_INIT(JOURNAL_RECORD_MAX * 2);
    struct store_attrs attrs;
    if (op->kind == WB_DELETE || o->size != op->size ||
        wb_attrs_decode(op->attrs, op->attrs_len, &arena, &attrs))
        return false;
    bool same = same_metadata(&attrs, &o->attrs), told = has_times(&attrs);
    arena_done(&arena);
    if (op->kind == WB_PUT)
        return same && strcmp(o->etag, op->etag) == 0;
    if (!same || (!op->maybe_sent && s->refusal.tries <= 1))
        return false;
    if (op->source == op->key) /* one without a source's ETag proves nothing */
        return op->source_etag != NULL;
    return is_same_etag(op, o->etag) || told;
}

/* Two hosts that have made a directory have made the same one. */
static bool is_same_marker(const struct wb_op *op, const struct store_object *o)
{
    return op->kind == WB_PUT && op->cond == WB_ABSENT && !op->size && !o->size &&
           op->key->key[strlen(op->key->key) - 1] == '/';
}

static void judge_target(struct wb_send *s, const struct store_object *o)
{
    struct wb_op *op = s->op;
    if (o && (is_ours(s, o) || is_same_marker(op, o))) {
        stored(s, o->etag);
        return;
    }
    if (op->cond == WB_ABSENT) {
        if (o)
            lose(s, LOST_EXISTS, "somebody else has created it");
        else if (op->kind == WB_COPY)
            wb_send_look(s, WB_PHASE_LOOK_SOURCE, op->source->key);
        else
            retry(s, -EIO, &s->refusal);
        return;
    }
    if (op->cond == WB_ETAG) {
        if (!o)
            gone(s, "somebody else has removed it");
        else if (strcmp(o->etag, op->if_match) != 0)
            lose(s, LOST_REPLACED, "somebody else has replaced it");
        else if (op->kind == WB_COPY)
            wb_send_look(s, WB_PHASE_LOOK_SOURCE, op->source->key);
        else
            retry_without(s);
        return;
    }
    if (op->kind == WB_COPY)
        wb_send_look(s, WB_PHASE_LOOK_SOURCE, op->source->key);
    else
        retry(s, -EIO, &s->refusal);
}

static void judge_source(struct wb_send *s, const struct store_object *o)
{
    struct wb_op *op = s->op;
    if (!o)
        gone(s, "somebody else has removed what it is a copy of");
    else if (op->source_etag && strcmp(o->etag, op->source_etag) != 0)
        lose(s, LOST_REPLACED, "somebody else has replaced what it is a copy of");
    else if (op->cond == WB_ABSENT) /* what was in its way has gone meanwhile */
        retry(s, -EIO, &s->refusal);
    else
        retry_without(s);
}

/* What is there has the content of the change: by its ETag; or, where the server makes other ones,
 * by metadata, which has the times of the change in it; or as the object itself with other
 * attributes, whose ETag nobody knows. */
static bool is_the_same(const struct wb_op *op, const struct store_object *o, bool newer)
{
    struct arena arena = ARENA_INIT(JOURNAL_RECORD_MAX * 2);
    struct store_attrs attrs;
    if (op->kind == WB_DELETE || o->size != op->size ||
        wb_attrs_decode(op->attrs, op->attrs_len, &arena, &attrs))
        return false;
    bool same = same_metadata(&attrs, &o->attrs) &&
                (strcmp(o->etag, op->etag) == 0 ||
                 (newer && (has_times(&attrs) || may_be_etag_of_touch(op, o->etag) ||
                            (is_etag_unknown(op) && is_same_etag(op, o->etag)))));
    arena_done(&arena);
    return same;
}

/* It may have been sent before. What another host has stored after it was acknowledged came later
 * in any case, and stays. */
static void judge_first(struct wb_send *s, const struct store_object *o)
{
    struct wb_op *op = s->op;
    struct writeback *wb = s->wb;
    bool newer = o && o->mtime_ns / NS_PER_S > op->mtime_ns / NS_PER_S;
    if (o && is_the_same(op, o, newer)) {
        stored(s, o->etag);
    } else if (!o && op->kind == WB_DELETE) {
        stored(s, "");
    } else if (newer && (!op->if_match || strcmp(o->etag, op->if_match) != 0)) {
        lose(s, LOST_REPLACED, "somebody else has stored it since");
    } else {
        pthread_mutex_lock(&wb->lock);
        op->looked = true;
        wb_ready_locked(wb, op);
        wb_send_free_locked(s);
        wb_unlock(wb);
    }
}

static void looked(struct wb_send *s, int result, const struct s3_error *err)
{
    struct store_object o = {0};
    bool there = result == 0;
    if (result < 0 && (!err || err->kind != S3_ERROR_NO_SUCH_KEY)) {
        retry(s, result, err);
        return;
    }
    if (there)
        o = s->out.object;
    if (s->phase == WB_PHASE_LOOK_FIRST)
        judge_first(s, there ? &o : NULL);
    else if (s->phase == WB_PHASE_ETAG)
        stored(s, there ? o.etag : "");
    else if (s->op->kind == WB_DELETE) {
        if (!there)
            stored(s, "");
        else if (s->op->if_match && strcmp(o.etag, s->op->if_match) == 0)
            retry_without(s);
        else
            lose(s, LOST_REPLACED, "somebody else has replaced it");
    } else if (s->phase == WB_PHASE_LOOK) {
        judge_target(s, there ? &o : NULL);
    } else {
        judge_source(s, there ? &o : NULL);
    }
    store_object_done(&o);
}

void wb_outcome(struct wb_send *s, int result, const struct s3_error *err)
{
    struct wb_op *op = s->op;
    struct writeback *wb = s->wb;
    if (s->phase != WB_PHASE_SEND) {
        looked(s, result, err);
        return;
    }
    if (result == 0) {
        const char *etag = op->kind == WB_DELETE ? "" : s->out.version.etag;
        if (op->kind != WB_DELETE && !op->direct && (!*etag || strcmp(etag, "\"\"") == 0))
            wb_send_look(s, WB_PHASE_ETAG, op->key->key);
        else
            stored(s, etag);
        return;
    }
    if (op->direct) {
        pthread_mutex_lock(&wb->lock);
        wb_direct_done_locked(wb, op, result, err);
        wb_send_free_locked(s);
        wb_unlock(wb);
        return;
    }
    enum s3_error_kind kind = err ? err->kind : S3_ERROR_NONE;
    if (op->kind == WB_DELETE && kind == S3_ERROR_NO_SUCH_KEY) {
        stored(s, "");
    } else if (kind == S3_ERROR_PRECONDITION || kind == S3_ERROR_NO_SUCH_KEY) {
        s->refusal = *err;
        wb_send_look(s, WB_PHASE_LOOK, op->key->key);
    } else {
        retry(s, result, err);
    }
}
