/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting until what was acknowledged is stored. */
#include <errno.h>
#include <stdlib.h>

#include "writeback/writeback_impl.h"

static bool covers(const struct wb_flush *f, const struct wb_op *op)
{
    if (op->stuck && f->call->op == STORE_FLUSH)
        return false;
    return op->flush_seq <= f->seq && (!f->key || f->key == op->key);
}

static void end_locked(struct writeback *wb, struct wb_flush *f, int result,
                       const struct s3_error *err)
{
    TAILQ_REMOVE(&wb->flushes, f, link);
    if (f->key) {
        f->key->pins--;
        wb_key_put_locked(wb, f->key);
    }
    if (result == 0 && f->call->op != STORE_FLUSH)
        wb_calls_add(&wb->again, f->call);
    else
        wb_finish_locked(f->call, result, err);
    free(f);
}

bool wb_urgent_locked(const struct writeback *wb)
{
    return !TAILQ_EMPTY(&wb->flushes) || wb->directs || wb->draining || wb->stopping ||
           wb->n_ops >= wb->opts.max_changes / 2 || wb->bytes >= wb->opts.max_bytes / 2;
}

static int wait_locked(struct wb_call *c, struct wb_key *k)
{
    struct writeback *wb = c->wb;
    struct wb_flush *f = calloc(1, sizeof(*f));
    struct wb_op *op;
    if (!f)
        return -ENOMEM;
    *f = (struct wb_flush){.call = c, .key = k, .seq = wb->acks};
    if (k) {
        k->pins++;
        TAILQ_FOREACH (op, &k->ops, chain)
            f->left += covers(f, op);
    } else {
        TAILQ_FOREACH (op, &wb->ops, all)
            f->left += covers(f, op);
    }
    TAILQ_INSERT_TAIL(&wb->flushes, f, link);
    if (!f->left)
        end_locked(wb, f, 0, NULL);
    else
        wb_hurry_locked(wb);
    return 0;
}

/* One who waits is reason enough to try what was put off. */
void wb_hurry_locked(struct writeback *wb)
{
    struct wb_op *op;
    wb->pause_until_ns = 0;
    wb->undropped_again_ns = 0;
    while ((op = TAILQ_FIRST(&wb->sleeping))) {
        wb_dequeue_locked(op);
        op->again_ns = 0;
        wb_enqueue_locked(wb, op);
    }
    wb_wake_locked(wb);
}

int wb_wait_for_key_locked(struct wb_call *c, struct wb_key *k)
{
    return wait_locked(c, k);
}

void wb_flush(struct wb_call *c)
{
    struct writeback *wb = c->wb;
    const struct store_flush_in *in = c->in;
    struct s3_error err;
    pthread_mutex_lock(&wb->lock);
    struct wb_key *k = in->key ? wb_key_get_locked(wb, in->key, false) : NULL;
    if (in->key && !k)
        wb_finish_locked(c, 0, NULL);
    else if (wait_locked(c, k) < 0)
        wb_finish_locked(c, wb_no_memory(&err), &err);
    wb_unlock(wb);
}

static void ended_locked(struct writeback *wb, const struct wb_op *op, bool only_flushes)
{
    struct wb_flush *f, *next;
    struct s3_error err;
    for (f = TAILQ_FIRST(&wb->flushes); f; f = next) {
        next = TAILQ_NEXT(f, link);
        if (!covers(f, op) || (only_flushes && f->call->op != STORE_FLUSH))
            continue;
        f->left--;
        if (op->lost)
            end_locked(wb, f, wb_precondition(op->key->key, &err), &err);
        else if (!f->left)
            end_locked(wb, f, 0, NULL);
    }
}

void wb_flush_ended_locked(struct writeback *wb, const struct wb_op *op)
{
    ended_locked(wb, op, false);
}

void wb_flush_absorbed_locked(struct writeback *wb, struct wb_op *op, struct wb_op *by)
{
    struct wb_flush *f, *next;
    for (f = TAILQ_FIRST(&wb->flushes); f; f = next) {
        next = TAILQ_NEXT(f, link);
        /* Counted twice before, once from now on. */
        if (covers(f, op) && covers(f, by) && --f->left == 0)
            end_locked(wb, f, 0, NULL);
    }
    by->flush_seq = MIN(by->flush_seq, op->flush_seq);
    op->flush_seq = UINT64_MAX;
}

/* Also who waits for what waits for op, to some depth. */
static void failed_locked(struct writeback *wb, struct wb_op *op, int result,
                          const struct s3_error *err, unsigned depth)
{
    struct wb_flush *f, *next;
    for (f = TAILQ_FIRST(&wb->flushes); f; f = next) {
        next = TAILQ_NEXT(f, link);
        if (!f->key ? covers(f, op) : f->key == op->key)
            end_locked(wb, f, result, err);
    }
    for (const struct wb_edge *e = depth ? op->waiters : NULL; e; e = e->next) {
        failed_locked(wb, e->succ, result, err, depth - 1);
        if (e->succ->direct && e->succ->call && !e->succ->in)
            wb_queue_locked(&wb->failing, e->succ);
    }
}

void wb_flush_failed_locked(struct writeback *wb, struct wb_op *op, bool general, int result,
                            const struct s3_error *err)
{
    struct wb_flush *f;
    failed_locked(wb, op, result, err, 16);
    if (general) {
        while ((f = TAILQ_FIRST(&wb->flushes)))
            end_locked(wb, f, result, err);
        TAILQ_FOREACH (op, &wb->ops, all)
            if (op->direct && op->blockers && !op->in)
                wb_queue_locked(&wb->failing, op);
    }
    while ((op = TAILQ_FIRST(&wb->failing)))
        wb_direct_done_locked(wb, op, result, err);
}

void wb_flush_stuck_locked(struct writeback *wb, struct wb_op *op, int result,
                           const struct s3_error *err)
{
    if (!op->stuck)
        ended_locked(wb, op, true);
    op->stuck = true;
    wb_flush_failed_locked(wb, op, false, result, err);
}
