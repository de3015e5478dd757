/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "writeback/writeback_impl.h"

/* ---- keys ---- */

struct wb_key *wb_key_get_locked(struct writeback *wb, const char *key, bool make)
{
    struct key_node *n = key_table_find(&wb->keys, key);
    if (n || !make)
        return n ? CONTAINER_OF(n, struct wb_key, node) : NULL;
    size_t len = strlen(key);
    struct wb_key *k = calloc(1, sizeof(*k) + len + 1);
    if (!k)
        return NULL;
    memcpy(k->key, key, len + 1);
    k->node.key = k->key;
    TAILQ_INIT(&k->ops);
    TAILQ_INIT(&k->readers);
    wb_calls_init(&k->stalled);
    key_table_add(&wb->keys, &k->node);
    return k;
}

void wb_key_put_locked(struct writeback *wb, struct wb_key *k)
{
    if (!TAILQ_EMPTY(&k->ops) || !TAILQ_EMPTY(&k->readers) || k->stalled.head || k->ghost ||
        k->pins)
        return;
    key_table_remove(&wb->keys, &k->node);
    free(k);
}

struct wb_op *wb_visible_locked(const struct wb_key *k)
{
    struct wb_op *op = k ? TAILQ_LAST(&k->ops, wb_op_chain) : NULL;
    while (op && !op->acked)
        op = TAILQ_PREV(op, wb_op_chain, chain);
    return op;
}

bool wb_undecided_locked(const struct wb_key *k)
{
    const struct wb_op *op = TAILQ_LAST(&k->ops, wb_op_chain);
    return op && (!op->acked || op->lost);
}

int wb_check_locked(const struct wb_op *visible, const char *key, const char *if_match,
                    bool if_absent, struct s3_error *err)
{
    bool there = visible->kind != WB_DELETE;
    if (if_absent && there)
        return wb_precondition(key, err);
    if (if_match && !there)
        return wb_no_such_key(key, err);
    if (if_match && strcmp(if_match, "*") != 0 && strcmp(if_match, visible->etag) != 0)
        return wb_precondition(key, err);
    return 0;
}

int wb_object_locked(const struct wb_op *op, struct store_object *ret)
{
    struct store_object o = {.size = op->size,
                             .mtime_ns = op->mtime_ns - op->mtime_ns % NS_PER_S,
                             .pending = true,
                             .arena = ARENA_INIT(LIMIT_PAGE_STRINGS)};
    memcpy(o.etag, op->etag, strlen(op->etag) + 1);
    if (wb_attrs_decode(op->attrs, op->attrs_len, &o.arena, &o.attrs)) {
        arena_done(&o.arena);
        return -ENOMEM;
    }
    if (!o.attrs.content_type)
        o.attrs.content_type = "binary/octet-stream";
    *ret = o;
    return 0;
}

/* ---- changes ---- */

struct wb_op *wb_op_new(enum wb_kind kind)
{
    struct wb_op *op = calloc(1, sizeof(*op));
    if (op)
        op->kind = kind;
    return op;
}

void wb_op_free_locked(struct writeback *wb, struct wb_op *op)
{
    if (op->body)
        wb_body_unref_locked(wb, op->body);
    if (op->source) {
        op->source->pins--;
        wb_key_put_locked(wb, op->source);
    }
    free(op->etag);
    free(op->if_match);
    free(op->source_etag);
    free(op->real_etag);
    free(op->merged_if_match);
    free(op->attrs);
    free(op->record);
    free(op->edges);
    free(op);
}

static void depend(struct wb_op *op, struct wb_op *pred)
{
    struct wb_edge *e = &op->edges[op->n_edges++];
    *e = (struct wb_edge){.pred = pred, .succ = op, .next = pred->waiters};
    pred->waiters = e;
    op->blockers++;
}

/* What a fence waits for: not again for what the one before it waits for. */
static struct wb_op *first_fenced_locked(const struct writeback *wb, const struct wb_op *op)
{
    if (!op->after_all)
        return NULL;
    return wb->fence && wb->fence->acked ? wb->fence : TAILQ_FIRST(&wb->ops);
}

int wb_link_locked(struct writeback *wb, struct wb_op *op, struct wb_key *k, struct wb_key *source)
{
    struct wb_op *before = TAILQ_LAST(&k->ops, wb_op_chain);
    struct wb_op *origin = source && source != k ? TAILQ_LAST(&source->ops, wb_op_chain) : NULL;
    struct wb_op *r;
    size_t n = (before ? 1 : 0) + (origin ? 1 : 0);
    TAILQ_FOREACH (r, &k->readers, reader)
        n++;
    for (r = first_fenced_locked(wb, op); r; r = TAILQ_NEXT(r, all))
        n++;
    op->edges = n ? calloc(n, sizeof(*op->edges)) : NULL;
    if (n && !op->edges)
        return -ENOMEM;

    op->seq = wb->next_seq++;
    op->flush_seq = UINT64_MAX;
    op->since_ns = wb_now(wb);
    op->key = k;
    if (before)
        depend(op, before);
    if (origin)
        depend(op, origin);
    for (r = first_fenced_locked(wb, op); r; r = TAILQ_NEXT(r, all))
        depend(op, r);
    if (op->after_all)
        wb->fence = op;
    /* They stay there until they end: this one may be refused, and then the next has to wait. */
    TAILQ_FOREACH (r, &k->readers, reader)
        depend(op, r);
    if (source) {
        op->source = source;
        source->pins++;
        if (source != k) {
            TAILQ_INSERT_TAIL(&source->readers, op, reader);
            op->reading = true;
        }
    }
    TAILQ_INSERT_TAIL(&k->ops, op, chain);
    TAILQ_INSERT_TAIL(&wb->ops, op, all);
    wb->n_ops++;
    wb->bytes += op->body ? op->body->size : 0;
    return 0;
}

static void release_locked(struct writeback *wb, struct wb_op *op)
{
    struct wb_edge *e = op->waiters;
    op->waiters = NULL;
    while (e) {
        struct wb_edge *next = e->next;
        e->pred = NULL;
        if (--e->succ->blockers == 0)
            wb_enqueue_locked(wb, e->succ);
        e = next;
    }
}

static void forget_edges_locked(struct wb_op *op)
{
    for (unsigned i = 0; i < op->n_edges; i++) {
        struct wb_edge *e = &op->edges[i];
        if (!e->pred)
            continue;
        struct wb_edge **link = &e->pred->waiters;
        while (*link != e)
            link = &(*link)->next;
        *link = e->next;
    }
    op->n_edges = 0;
}

static void keep_ghost_locked(struct writeback *wb, struct wb_op *op)
{
    struct wb_key *k = op->key;
    if (k->ghost) {
        wb_dequeue_locked(k->ghost);
        wb_op_free_locked(wb, k->ghost);
    }
    op->ghost_stamp = ++wb->stamp;
    k->ghost = op;
    wb_queue_locked(&wb->ghosts, op);
}

void wb_ghosts_locked(struct writeback *wb)
{
    uint64_t oldest = wb_list_oldest_locked(wb);
    struct wb_op *op;
    while ((op = TAILQ_FIRST(&wb->ghosts)) && op->ghost_stamp < oldest) {
        struct wb_key *k = op->key;
        wb_dequeue_locked(op);
        k->pins++; /* it may be its source, too */
        k->ghost = NULL;
        wb_op_free_locked(wb, op);
        k->pins--;
        wb_key_put_locked(wb, k);
    }
}

void wb_wake_stalled_locked(struct writeback *wb, struct wb_key *k)
{
    struct wb_call *c = k->stalled.head;
    wb_calls_init(&k->stalled);
    while (c) {
        struct wb_call *next = c->next;
        wb_calls_add(&wb->again, c);
        c = next;
    }
}

/* Room for those that waited for it; more than one, for some may not need it any more. */
static void let_in_locked(struct writeback *wb)
{
    for (int i = 0; i < 8 && wb->throttled.head && !wb_full_locked(wb); i++) {
        struct wb_call *c = wb->throttled.head;
        wb->throttled.head = c->next;
        if (!c->next)
            wb->throttled.tail = &wb->throttled.head;
        wb_calls_add(&wb->again, c);
        wb->stats.waiting--;
    }
}

void wb_unlink_locked(struct writeback *wb, struct wb_op *op)
{
    struct wb_key *k = op->key;
    k->pins++; /* until all is done here */
    wb_dequeue_locked(op);
    if (op->source_op) {
        op->source_op->copies--;
        op->source_op = NULL;
    }
    if (op->reading) {
        TAILQ_REMOVE(&op->source->readers, op, reader);
        op->reading = false;
    }
    TAILQ_REMOVE(&k->ops, op, chain);
    TAILQ_REMOVE(&wb->ops, op, all);
    if (wb->fence == op)
        wb->fence = NULL;
    wb->n_ops--;
    wb->bytes -= op->body ? op->body->size : 0;
    forget_edges_locked(op);
    if (op->acked)
        wb_flush_ended_locked(wb, op);
    release_locked(wb, op);
    wb_wake_stalled_locked(wb, k);
    if (op->stored && op->acked && wb_list_oldest_locked(wb) != UINT64_MAX)
        keep_ghost_locked(wb, op);
    else
        wb_op_free_locked(wb, op);
    k->pins--;
    wb_key_put_locked(wb, k);
    let_in_locked(wb);
    pthread_cond_broadcast(&wb->idle);
    wb_wake_locked(wb);
}

/* ---- taking the place of the change before ---- */

static bool is_fenced(const struct wb_op *p, const struct wb_op *but)
{
    for (const struct wb_edge *e = p->waiters; e; e = e->next)
        if (e->succ->after_all && e->succ != but)
            return true;
    return false;
}

void wb_absorb_locked(struct writeback *wb, struct wb_op *op)
{
    struct wb_op *p = TAILQ_PREV(op, wb_op_chain, chain);
    if (!p || is_fenced(p, op) || p->state != WB_READY || p->direct || p->empty || p->held ||
        p->maybe_sent || p->lost || p->tries || p->copies)
        return;
    enum wb_cond cond = p->cond;
    const char *if_match = p->if_match;
    /* A removal on condition that loses must not be found out by its successor. */
    if (p->kind == WB_DELETE && cond != WB_ANY)
        return;
    /* New attributes of a version are a change of that version. */
    if (p->kind == WB_COPY && p->source == p->key && cond == WB_ANY) {
        if (p->source_op || !p->source_etag)
            return;
        cond = WB_ETAG;
        if_match = p->source_etag;
    }
    op->merged_if_match = if_match ? strdup(if_match) : NULL;
    if (if_match && !op->merged_if_match)
        return;
    op->merged_cond = cond;
    /* Made and removed before anybody was told. */
    op->merged_empty = op->kind == WB_DELETE && cond == WB_ABSENT;
    op->absorbs = p;
    p->held = true;
    wb_dequeue_locked(p);
}

void wb_absorbed_locked(struct writeback *wb, struct wb_op *op, bool journaled)
{
    struct wb_op *p = op->absorbs;
    if (!p)
        return;
    op->absorbs = NULL;
    p->held = false;
    if (journaled) {
        op->cond = op->merged_cond;
        free(op->if_match);
        op->if_match = TAKE_PTR(op->merged_if_match);
        op->empty = op->merged_empty;
        op->lost |= p->lost;
        p->empty = true;
        wb->stats.coalesced++;
        wb->bytes -= p->body ? p->body->size : 0;
        if (p->body) {
            wb_body_unref_locked(wb, p->body);
            p->body = NULL;
        }
        wb_flush_absorbed_locked(wb, p, op);
    }
    wb_enqueue_locked(wb, p);
}

/* ---- queues of the sender ---- */

void wb_ready_locked(struct writeback *wb, struct wb_op *op)
{
    op->state = WB_READY;
    wb_enqueue_locked(wb, op);
}

static struct wb_op_queue *queue_for(struct writeback *wb, const struct wb_op *op)
{
    if (op->empty)
        return &wb->empties;
    if (op->direct)
        return &wb->ready_direct;
    if (op->again_ns)
        return &wb->sleeping;
    /* What may have been sent before goes by itself: there the condition is held in any case, by a
     * look where the server does not know it. */
    bool of_page = op->cond == WB_ETAG && op->of_many && !op->no_cond && !op->maybe_sent;
    bool in_batch = op->cond == WB_ANY || of_page;
    bool plain = op->kind == WB_DELETE && in_batch && !op->lost && !wb_looks_first(op);
    return plain ? &wb->ready_deletes : &wb->ready;
}

void wb_queue_locked(struct wb_op_queue *q, struct wb_op *op)
{
    op->in = q;
    TAILQ_INSERT_TAIL(q, op, queue);
}

void wb_enqueue_locked(struct writeback *wb, struct wb_op *op)
{
    if (op->in || op->held || op->state != WB_READY || op->blockers)
        return;
    op->ready_ns = wb_now(wb);
    wb_queue_locked(queue_for(wb, op), op);
    wb_wake_locked(wb);
}

void wb_dequeue_locked(struct wb_op *op)
{
    if (!op->in)
        return;
    TAILQ_REMOVE(op->in, op, queue);
    op->in = NULL;
}
