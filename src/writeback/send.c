/* SPDX-License-Identifier: Apache-2.0 */
/* The sender: picks what may go, loads its content, sends it; drops the rows of what was stored. */
#include "writeback/send.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "store/store_limits.h"

#define SEND_BYTES_MAX  (64 * MIB) /* content in memory, of requests under way */
#define BATCHES_MAX     4u         /* removals in batches under way */
#define LINGER_PARTS    4u         /* of the linger time, for what is not a removal */
#define WAKE_MAX_NS     (10 * (uint64_t)NS_PER_S)
#define AGAIN_FIRST_NS  (500 * (uint64_t)NS_PER_MS)
#define AGAIN_MAX_NS    (30 * (uint64_t)NS_PER_S)
#define THROTTLE_MAX_NS (30 * (uint64_t)NS_PER_S)  /* then failures are told to those who wait */
#define ENDINGS_NS      (50 * (uint64_t)NS_PER_MS) /* rows of what is stored wait for company */
#define DROP_AGAIN_NS   ((uint64_t)NS_PER_S)
#define LOG_EVERY_NS    (30 * (uint64_t)NS_PER_S)

/* ---- what comes next ---- */

static uint64_t backoff_locked(struct writeback *wb, unsigned tries)
{
    uint64_t ns = AGAIN_FIRST_NS << MIN(tries, 7u);
    wb->random = wb->random * 6364136223846793005ull + 1442695040888963407ull;
    ns = MIN(ns, AGAIN_MAX_NS);
    return ns / 2 + (wb->random >> 33) % (ns / 2 + 1);
}

/* The first of a queue when its time has come; else *ret_when is lowered to that time. */
static struct wb_op *due_locked(struct writeback *wb, struct wb_op_queue *q, uint64_t linger,
                                uint64_t now, uint64_t *ret_when)
{
    struct wb_op *op = TAILQ_FIRST(q);
    if (!op)
        return NULL;
    uint64_t when = op->ready_ns + (wb_urgent_locked(wb) ? 0 : linger);
    if (when <= now)
        return op;
    *ret_when = MIN(*ret_when, when);
    return NULL;
}

static void wake_sleepers_locked(struct writeback *wb, uint64_t now, uint64_t *ret_when)
{
    struct wb_op *op, *next;
    for (op = TAILQ_FIRST(&wb->sleeping); op; op = next) {
        next = TAILQ_NEXT(op, queue);
        if (op->again_ns > now) {
            *ret_when = MIN(*ret_when, op->again_ns);
            continue;
        }
        wb_dequeue_locked(op);
        op->again_ns = 0;
        wb_enqueue_locked(wb, op);
    }
}

static bool batch_is_full_locked(const struct writeback *wb)
{
    const struct wb_op *op;
    size_t n = 0;
    TAILQ_FOREACH (op, &wb->ready_deletes, queue)
        if (++n == STORE_DELETE_MANY_MAX)
            return true;
    return false;
}

/* What to send now, NULL = nothing; then *ret_when is when to look again. */
static struct wb_op *pick_locked(struct writeback *wb, uint64_t now, uint64_t *ret_when)
{
    struct wb_op *op = TAILQ_FIRST(&wb->ready_direct);
    if (op)
        return op;
    wake_sleepers_locked(wb, now, ret_when);
    if (wb->pause_until_ns > now) {
        *ret_when = MIN(*ret_when, wb->pause_until_ns);
        return NULL;
    }
    unsigned parallel = wb->pauses ? 1 : wb->opts.parallel;
    if (wb->running >= parallel)
        return NULL;
    op = due_locked(wb, &wb->ready, wb->opts.linger_ns / LINGER_PARTS, now, ret_when);
    if (op &&
        (!wb->running_bytes || !op->body || wb->running_bytes + op->body->size <= SEND_BYTES_MAX))
        return op;
    if (wb->running_deletes >= BATCHES_MAX)
        return NULL;
    if (batch_is_full_locked(wb))
        return TAILQ_FIRST(&wb->ready_deletes);
    return due_locked(wb, &wb->ready_deletes, wb->opts.linger_ns, now, ret_when);
}

/* ---- one request ---- */

void wb_send_free_locked(struct wb_send *s)
{
    s->wb->running--;
    s->wb->running_bytes -= s->bytes;
    s->wb->running_deletes -= s->batch != NULL;
    wb_wake_locked(s->wb);
    pthread_cond_broadcast(&s->wb->idle);
    arena_done(&s->arena);
    free(s->batch);
    free(s->keys);
    free(s->etags);
    free(s->data);
    free(s->if_match);
    free(s->source_etag);
    free(s);
}

static void sent(void *ctx, int result, const struct s3_error *err)
{
    CRASH_POINT("writeback.sent");
    wb_outcome(ctx, result, err);
}

static void submit(struct wb_send *s, enum store_op op)
{
    struct s3_error err;
    int r = store_submit(s->wb->inner, op, &s->in, op == STORE_DELETE ? NULL : &s->out, sent, s);
    if (r < 0) {
        (void)s3_error_set(&err, r == -ENOMEM ? S3_ERROR_OUT_OF_MEMORY : S3_ERROR_CANCELLED,
                           "the request was not sent");
        wb_outcome(s, r, &err);
    }
}

void wb_send_look(struct wb_send *s, enum wb_phase phase, const char *key)
{
    s->phase = phase;
    memset(&s->out, 0, sizeof(s->out));
    s->in.head = (struct store_head_in){.key = key};
    submit(s, STORE_HEAD);
}

/* Everything of the change that the request needs, so that it may be altered meanwhile. */
static int prepare_locked(struct wb_send *s)
{
    const struct wb_op *op = s->op;
    struct store_attrs attrs = {0};
    if (op->cond == WB_ETAG && !op->no_cond && !(s->if_match = strdup(op->if_match)))
        return -ENOMEM;
    if (op->source_etag && !(s->source_etag = strdup(op->source_etag)))
        return -ENOMEM;
    if (!op->keep_attrs && wb_attrs_decode(op->attrs, op->attrs_len, &s->arena, &attrs))
        return -ENOMEM;
    const char *key = op->key->key;
    bool absent = op->cond == WB_ABSENT && !op->no_cond;
    if (op->direct && op->call->op == STORE_UPLOAD_COMPLETE) {
        s->in.complete = *(const struct store_upload_complete_in *)op->call->in;
        s->in.complete.if_match = s->if_match;
        s->in.complete.if_absent = absent;
    } else if (op->kind == WB_PUT) {
        s->in.put = (struct store_put_in){.key = key,
                                          .body = &s->iov,
                                          .n_body = op->size ? 1 : 0,
                                          .attrs = attrs,
                                          .if_match = s->if_match,
                                          .if_absent = absent};
    } else if (op->kind == WB_COPY) {
        s->in.copy = (struct store_copy_in){.source_key = op->source->key,
                                            .source_if_match = s->source_etag,
                                            .key = key,
                                            .if_match = s->if_match,
                                            .if_absent = absent,
                                            .replace_attrs = !op->keep_attrs,
                                            .attrs = attrs};
    } else {
        s->in.remove = (struct store_delete_in){.key = key, .if_match = s->if_match};
    }
    return 0;
}

/* Reads the content and holds it against what was announced: what the disk has altered is not what
 * was acknowledged, and never becomes an object. */
static int load(struct wb_send *s)
{
    struct wb_op *op = s->op;
    if (op->direct && op->call->op == STORE_PUT) {
        const struct store_put_in *in = op->call->in;
        s->in.put.body = in->body;
        s->in.put.n_body = in->n_body;
        return 0;
    }
    int r = wb_body_load(s->wb, op->body, op->seq, &s->data);
    if (r < 0)
        return r;
    s->iov = (struct iovec){s->data, op->size};
    s->in.put.body = &s->iov;
    return wb_data_check(s->data, op->size, op->etag);
}

static void not_loaded(struct wb_send *s, int result)
{
    struct writeback *wb = s->wb;
    struct wb_op *op = s->op;
    struct s3_error err;
    (void)s3_error_set(&err, result == -ENOMEM ? S3_ERROR_OUT_OF_MEMORY : S3_ERROR_BAD_RESPONSE,
                       "the pending content of '%s' cannot be read: %s", op->key->key,
                       strerror(-result));
    pthread_mutex_lock(&wb->lock);
    wb_send_free_locked(s);
    if (op->direct)
        wb_direct_done_locked(wb, op, result, &err);
    else if (result == -EBADMSG || result == -ENOENT)
        wb_lose_locked(wb, op, LOST_UNKNOWN, "its content in the journal is damaged");
    else
        wb_retry_locked(wb, op, result, &err);
    wb_unlock(wb);
}

static enum store_op request_of(const struct wb_op *op)
{
    if (op->direct && op->call->op == STORE_UPLOAD_COMPLETE)
        return STORE_UPLOAD_COMPLETE;
    return op->kind == WB_PUT ? STORE_PUT : op->kind == WB_COPY ? STORE_COPY : STORE_DELETE;
}

/* ---- removals in batches ---- */

static bool is_refusal(enum s3_error_kind kind)
{
    return kind == S3_ERROR_PRECONDITION || kind == S3_ERROR_CONFLICT ||
           kind == S3_ERROR_NO_SUCH_KEY;
}

static void batch_done(void *ctx, int result, const struct s3_error *err)
{
    struct wb_send *s = ctx;
    struct writeback *wb = s->wb;
    struct store_delete_many_out *out = &s->out.many;
    pthread_mutex_lock(&wb->lock);
    for (size_t i = 0; i < s->n_batch; i++) {
        struct wb_op *op = s->batch[i];
        struct s3_error one = {0};
        int r = result;
        if (err)
            one = *err;
        for (size_t k = 0; result == 0 && k < out->n_failures && r == 0; k++)
            if (strcmp(out->failures[k].key, op->key->key) == 0)
                r = s3_error_set(&one, out->failures[k].kind, "%s", out->failures[k].message);
        if (r == 0) {
            wb_stored_locked(wb, op, "");
        } else if (result == 0 && s->etags[i] && is_refusal(one.kind)) {
            op->of_many = false; /* by itself, so that what it means is found out */
            wb_ready_locked(wb, op);
        } else {
            wb_retry_locked(wb, op, r, &one);
        }
    }
    if (result == 0)
        store_delete_many_out_done(out);
    wb_send_free_locked(s);
    wb_unlock(wb);
}

/* 0 or -ENOMEM; takes as many as there are. */
static int gather_locked(struct wb_send *s)
{
    struct writeback *wb = s->wb;
    struct wb_op *op;
    size_t n = 0;
    TAILQ_FOREACH (op, &wb->ready_deletes, queue)
        if (++n == STORE_DELETE_MANY_MAX)
            break;
    s->batch = calloc(n, sizeof(struct wb_op *));
    s->keys = calloc(n, sizeof(char *));
    s->etags = calloc(n, sizeof(char *));
    wb->running_deletes += s->batch != NULL;
    if (!s->batch || !s->keys || !s->etags)
        return -ENOMEM;
    while (s->n_batch < n) {
        op = TAILQ_FIRST(&wb->ready_deletes);
        wb_dequeue_locked(op);
        op->state = WB_SENDING;
        s->keys[s->n_batch] = op->key->key;
        s->etags[s->n_batch] = op->cond == WB_ETAG ? op->if_match : NULL;
        s->batch[s->n_batch++] = op;
    }
    s->in.many = (struct store_delete_many_in){.keys = s->keys, .n_keys = n, .etags = s->etags};
    return 0;
}

static void send_batch(struct wb_send *s)
{
    struct s3_error err;
    int r = store_submit(s->wb->inner, STORE_DELETE_MANY, &s->in, &s->out, batch_done, s);
    if (r < 0) {
        (void)s3_error_set(&err, S3_ERROR_OUT_OF_MEMORY, "the request was not sent");
        batch_done(s, r, &err);
    }
}

/* ---- what became of it ---- */

/* An outage is one line now and then, not one for each change. */
static void note_failure_locked(struct writeback *wb, const struct wb_op *op,
                                const struct s3_error *err)
{
    char text[200];
    uint64_t now = wb_now(wb);
    wb->stats.failures++;
    (void)snprintf(wb->stats.last_error, sizeof(wb->stats.last_error), "'%.40s': %s", op->key->key,
                   s3_error_describe(err, text, sizeof(text)));
    if (wb->last_log_ns && now - wb->last_log_ns < LOG_EVERY_NS)
        return;
    wb->last_log_ns = now;
    log_warn("'%s' is not stored yet and will be tried again, with %llu other changes: %s",
             op->key->key, (unsigned long long)(wb->n_ops - 1),
             s3_error_describe(err, text, sizeof(text)));
}

/* Not about this one change: nothing else would go better. */
static bool is_general(const struct s3_error *err)
{
    switch ((int)err->kind) {
    case S3_ERROR_CONNECT:
    case S3_ERROR_TLS:
    case S3_ERROR_TIMEOUT:
    case S3_ERROR_BAD_CREDENTIALS:
    case S3_ERROR_EXPIRED_CREDENTIALS:
    case S3_ERROR_NO_CREDENTIALS:
    case S3_ERROR_CLOCK_SKEW:
    case S3_ERROR_WRONG_REGION:
    case S3_ERROR_NO_SUCH_BUCKET:
    case S3_ERROR_THROTTLED:
        return true;
    default:
        return false;
    }
}

/* The request may have had its effect all the same. */
static bool is_uncertain(const struct s3_error *err)
{
    switch ((int)err->kind) {
    case S3_ERROR_SERVER:
    case S3_ERROR_BAD_RESPONSE:
    case S3_ERROR_CONNECT:
    case S3_ERROR_TLS:
    case S3_ERROR_TIMEOUT:
    case S3_ERROR_CANCELLED:
        return true;
    default:
        return err->tries > 1;
    }
}

static void fail_throttled_locked(struct writeback *wb, uint64_t now, int result,
                                  const struct s3_error *err)
{
    struct wb_call *c;
    while ((c = wb->throttled.head) && now - c->since_ns > THROTTLE_MAX_NS) {
        wb->throttled.head = c->next;
        if (!c->next)
            wb->throttled.tail = &wb->throttled.head;
        wb->stats.waiting--;
        wb_finish_locked(c, result, err);
    }
}

void wb_retry_locked(struct writeback *wb, struct wb_op *op, int result, const struct s3_error *err)
{
    uint64_t now = wb_now(wb);
    struct s3_error none = {0};
    if (!err)
        err = &none;
    op->tries++;
    op->maybe_sent |= is_uncertain(err);
    op->looked = false;
    note_failure_locked(wb, op, err);
    op->again_ns = now + backoff_locked(wb, op->tries);
    if (is_general(err)) {
        op->again_ns = 0;
        if (wb->pause_until_ns <= now)
            wb->pause_until_ns = now + backoff_locked(wb, wb->pauses++);
    }
    op->state = WB_READY;
    wb_enqueue_locked(wb, op);
    wb_flush_failed_locked(wb, op, is_general(err), result, err);
    fail_throttled_locked(wb, now, result, err);
}

struct wb_op *wb_next_to_send_locked(const struct wb_op *op)
{
    struct wb_op *next = TAILQ_NEXT(op, chain);
    while (next && next->empty)
        next = TAILQ_NEXT(next, chain);
    return next;
}

static struct wb_op *heir_locked(const struct wb_op *op)
{
    struct wb_op *next = op->held ? TAILQ_NEXT(op, chain) : NULL;
    return next && next->absorbs == op ? next : NULL;
}

static void successor_locked(struct writeback *wb, struct wb_op *op, const char *etag)
{
    struct wb_op *next = wb_next_to_send_locked(op);
    if (!next)
        return;
    /* One that is about to take its place has its condition. */
    struct wb_op *heir = heir_locked(next);
    if (heir && heir->merged_cond == WB_PREV) {
        heir->merged_if_match = *etag ? strdup(etag) : NULL;
        heir->merged_cond = heir->merged_if_match ? WB_ETAG : WB_ANY;
    } else if (heir && heir->merged_cond == WB_ANY && !heir->merged_if_match) {
        heir->merged_if_match = *etag ? strdup(etag) : NULL;
    }
    if (next->cond == WB_ANY && !next->if_match)
        next->if_match = *etag ? strdup(etag) : NULL;
    if (next->cond != WB_PREV)
        return;
    next->if_match = *etag ? strdup(etag) : NULL;
    next->cond = next->if_match ? WB_ETAG : WB_ANY;
}

void wb_stored_locked(struct writeback *wb, struct wb_op *op, const char *etag)
{
    wb->pauses = 0;
    wb->pause_until_ns = 0;
    wb->stats.last_error[0] = '\0';
    wb->stats.stored++;
    op->stored = true;
    op->real_etag = strdup(etag);
    successor_locked(wb, op, etag);
    for (const struct wb_edge *e = op->waiters; e; e = e->next) {
        struct wb_op *copy = e->succ;
        if (copy->source_op != op)
            continue;
        copy->source_op = NULL;
        op->copies--;
        copy->source_etag = *etag ? strdup(etag) : NULL;
    }
    if (op->direct)
        return;
    op->state = WB_ENDING;
    op->ready_ns = wb_now(wb);
    wb->endings_now |= op->waiters != NULL;
    wb_queue_locked(&wb->endings, op);
}

/* ---- dropping rows, with the records of those that went on from there ---- */

struct ending {
    struct writeback *wb;
    struct wb_op **ops;
    size_t n;
    uint64_t *drops;
    struct journal_row *rows; /* records owned */
    size_t n_rows;
    struct journal_change change;
    bool failed;
};

static void ending_free(struct ending *e)
{
    for (size_t i = 0; i < e->n_rows; i++)
        free((void *)(uintptr_t)e->rows[i].record);
    free(e->rows);
    free(e->drops);
    free(e->ops);
    free(e);
}

static void ended_locked(struct writeback *wb, struct wb_op *op)
{
    bool moved = op->etag && op->real_etag && *op->real_etag;
    if (op->stored && moved)
        alias_add(wb->aliases, op->key->key, op->etag, op->real_etag,
                  op->mtime_ns - op->mtime_ns % NS_PER_S);
    wb_unlink_locked(wb, op);
}

/* Its row is still there. What waits for it is not sent before it has gone, for a crash would bring
 * the row back over that. At the end it stays in the chain: its file must not go without its row.
 */
static void not_dropped_locked(struct writeback *wb, struct wb_op *op)
{
    wb->undropped_again_ns = wb_now(wb) + DROP_AGAIN_NS;
    if (!wb->stopping)
        wb_queue_locked(&wb->undropped, op);
}

/* The journal refuses, as on a full disk: nobody hangs for that. */
static void stuck_locked(struct ending *e, int result)
{
    struct writeback *wb = e->wb;
    struct s3_error err;
    bool told = true;
    (void)s3_error_set(&err, result == -ENOMEM ? S3_ERROR_OUT_OF_MEMORY : S3_ERROR_QUOTA,
                       "the journal cannot drop what is stored: %s", strerror(-result));
    for (size_t i = 0; i < e->n; i++) {
        told = told && e->ops[i]->stuck;
        not_dropped_locked(wb, e->ops[i]);
        wb_flush_stuck_locked(wb, e->ops[i], result, &err);
    }
    fail_throttled_locked(wb, wb_now(wb), result, &err);
    if (!told || wb->stopping)
        log_warn("the journal keeps %zu changes that are stored: %s; %s", e->n, strerror(-result),
                 wb->stopping ? "they are held against the store at the next start"
                              : "what follows them waits until they can be dropped");
}

static void rows_dropped(void *ctx, int result)
{
    struct ending *e = ctx;
    struct writeback *wb = e->wb;
    CRASH_POINT("writeback.dropped");
    pthread_mutex_lock(&wb->lock);
    wb->tasks--;
    if (result < 0) {
        stuck_locked(e, result);
    } else {
        wb->undropped_again_ns = 0;
        for (size_t i = 0; i < e->n; i++)
            ended_locked(wb, e->ops[i]);
    }
    pthread_cond_broadcast(&wb->idle);
    wb_wake_locked(wb);
    wb_unlock(wb);
    ending_free(e);
}

/* What `ended` was has come into the record of op. */
static bool is_altered(const struct wb_op *op, const struct wb_op *ended)
{
    return op->key == ended->key || op->source == ended->key;
}

static int add_row_locked(struct ending *e, struct wb_op *op)
{
    void *record;
    size_t len;
    if (!op->acked && !op->record)
        return 0; /* not written yet: it will be right */
    if (op->direct || op->empty || op->merged_empty)
        return 0;
    int r = wb_encode_locked(op, op->absorbs != NULL, &record, &len);
    if (r < 0)
        return r;
    e->rows[e->n_rows++] =
        (struct journal_row){.seq = op->seq, .record = record, .record_len = len, .update = true};
    return 0;
}

/* The rows that referred to it. 0 or -ENOMEM. */
static int add_rows_locked(struct ending *e, struct wb_op *op)
{
    int r = 0;
    for (const struct wb_edge *w = op->waiters; w && r == 0; w = w->next)
        if (is_altered(w->succ, op))
            r = add_row_locked(e, w->succ);
    /* It may wait for one without a request that is between them. */
    struct wb_op *next = wb_next_to_send_locked(op);
    if (r == 0 && next && next != TAILQ_NEXT(op, chain))
        r = add_row_locked(e, next);
    struct wb_op *heir = next ? heir_locked(next) : NULL;
    return r == 0 && heir ? add_row_locked(e, heir) : r;
}

static bool undropped_due_locked(const struct writeback *wb, uint64_t now)
{
    return !TAILQ_EMPTY(&wb->undropped) && (wb->stopping || wb->undropped_again_ns <= now);
}

/* All that are waiting to end, as one change of the journal. */
static void submit_endings_locked(struct writeback *wb)
{
    struct wb_op *op;
    size_t n = 0, rows = 0;
    while (undropped_due_locked(wb, wb_now(wb)) && (op = TAILQ_FIRST(&wb->undropped))) {
        wb_dequeue_locked(op);
        wb_queue_locked(&wb->endings, op);
    }
    TAILQ_FOREACH (op, &wb->endings, queue) {
        n++;
        rows += 2;
        for (const struct wb_edge *w = op->waiters; w; w = w->next)
            rows++;
    }
    struct ending *e = calloc(1, sizeof(*e));
    if (e) {
        e->wb = wb;
        e->ops = calloc(n, sizeof(struct wb_op *));
        e->drops = calloc(n, sizeof(*e->drops));
        e->rows = calloc(rows + 1, sizeof(*e->rows));
    }
    bool usable = e && e->ops && e->drops && e->rows;
    while ((op = TAILQ_FIRST(&wb->endings))) {
        wb_dequeue_locked(op);
        if (!usable || add_rows_locked(e, op) < 0) {
            not_dropped_locked(wb, op);
            continue;
        }
        e->ops[e->n] = op;
        e->drops[e->n++] = op->seq;
    }
    if (!usable || !e->n) {
        if (e)
            ending_free(e);
        return;
    }
    e->change = (struct journal_change){.rows = e->rows,
                                        .n_rows = e->n_rows,
                                        .drops = e->drops,
                                        .n_drops = e->n,
                                        .done = rows_dropped,
                                        .ctx = e};
    wb->tasks++;
    int r = journal_submit(wb->journal, &e->change);
    if (r < 0) {
        wb->tasks--;
        stuck_locked(e, r);
        ending_free(e);
    }
}

/* ---- the thread ---- */

/* Takes it from its queue and sends it; called with the lock, which it gives up. */
static void start_locked(struct writeback *wb, struct wb_op *op)
{
    struct wb_send *s = calloc(1, sizeof(*s));
    int r = s ? 0 : -ENOMEM;
    bool batch = op->in == &wb->ready_deletes;
    if (s) {
        s->wb = wb;
        arena_init(&s->arena, JOURNAL_RECORD_MAX * 2);
        wb->running++;
        if (batch) {
            r = gather_locked(s);
        } else {
            s->op = op;
            wb_dequeue_locked(op);
            op->state = WB_SENDING;
            r = prepare_locked(s);
            s->bytes = op->body && !op->direct ? op->body->size : 0;
            wb->running_bytes += s->bytes;
        }
    }
    if (r < 0) {
        if (s)
            wb_send_free_locked(s);
        if (!batch && s)
            wb_ready_locked(wb, op);
        wb->pause_until_ns = wb_now(wb) + AGAIN_FIRST_NS; /* memory may come back */
        wb_unlock(wb);
        return;
    }
    bool content = !batch && op->kind == WB_PUT && request_of(op) == STORE_PUT;
    bool lost = !batch && op->lost, look = !batch && wb_looks_first(op);
    if (lost) {
        struct s3_error err = {0};
        wb_send_free_locked(s);
        if (op->direct) /* whoever waits for it has its content still */
            wb_direct_done_locked(wb, op, wb_precondition(op->key->key, &err), &err);
        else
            wb_lose_locked(wb, op, LOST_REPLACED, "it builds on a version that lost a conflict");
    }
    wb_unlock(wb);
    if (lost)
        return;
    if (batch) {
        send_batch(s);
        return;
    }
    if (look) {
        wb_send_look(s, WB_PHASE_LOOK_FIRST, op->key->key);
        return;
    }
    r = content ? load(s) : 0;
    if (r < 0)
        not_loaded(s, r);
    else
        submit(s, request_of(op));
}

/* Dropping a row is a commit, which those wait for who are being acknowledged: many at a time, when
 * nobody waits for it. */
static bool endings_due_locked(const struct writeback *wb, uint64_t now, uint64_t *ret_when)
{
    const struct wb_op *first = TAILQ_FIRST(&wb->endings);
    if (undropped_due_locked(wb, now))
        return true;
    if (!TAILQ_EMPTY(&wb->undropped))
        *ret_when = MIN(*ret_when, wb->undropped_again_ns);
    if (!first)
        return false;
    uint64_t when = first->ready_ns + ENDINGS_NS;
    if (wb->endings_now || wb_urgent_locked(wb) || when <= now)
        return true;
    *ret_when = MIN(*ret_when, when);
    return false;
}

static void wait_locked(struct writeback *wb, uint64_t now, uint64_t when)
{
    struct timespec t;
    uint64_t ns = MIN(when > now ? when - now : 0, WAKE_MAX_NS);
    clock_gettime(CLOCK_MONOTONIC, &t);
    ns += (uint64_t)t.tv_nsec;
    t.tv_sec += (time_t)(ns / (uint64_t)NS_PER_S);
    t.tv_nsec = (long)(ns % (uint64_t)NS_PER_S);
    wb->resting = true;
    pthread_cond_broadcast(&wb->idle);
    (void)pthread_cond_timedwait(&wb->wake, &wb->lock, &t);
    wb->resting = false;
}

void *wb_sender_main(void *arg)
{
    struct writeback *wb = arg;
    pthread_mutex_lock(&wb->lock);
    /* At the end: no new requests, but what was stored is noted. */
    while (!wb->stopping || wb->running || !TAILQ_EMPTY(&wb->endings) ||
           !TAILQ_EMPTY(&wb->undropped)) {
        uint64_t now = wb_now(wb), when = UINT64_MAX;
        if (endings_due_locked(wb, now, &when)) {
            wb->endings_now = false;
            submit_endings_locked(wb);
            wb_unlock(wb);
            pthread_mutex_lock(&wb->lock);
            continue;
        }
        if (wb->dead) {
            struct wb_body *dead = TAKE_PTR(wb->dead);
            pthread_mutex_unlock(&wb->lock);
            wb_bodies_remove(wb, dead);
            pthread_mutex_lock(&wb->lock);
            continue;
        }
        struct wb_op *op = wb->stopping ? NULL : pick_locked(wb, now, &when);
        if (op) {
            start_locked(wb, op);
            pthread_mutex_lock(&wb->lock);
        } else {
            wait_locked(wb, now, when);
        }
    }
    pthread_mutex_unlock(&wb->lock);
    return NULL;
}
