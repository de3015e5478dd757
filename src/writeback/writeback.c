/* SPDX-License-Identifier: Apache-2.0 */
/* Life, dispatch, and what a crash left. */
#include "writeback/writeback.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "writeback/writeback_impl.h"

#define PARALLEL_DEFAULT    32u
#define MAX_BYTES_DEFAULT   GIB
#define MAX_CHANGES_DEFAULT 100000u
#define ALIASES_MAX         65536u
#define POOL_THREADS        4u

uint64_t wb_now(const struct writeback *wb)
{
    return clock_monotonic_ns(wb->clock);
}

int wb_no_memory(struct s3_error *err)
{
    return s3_error_set(err, S3_ERROR_OUT_OF_MEMORY, "no memory for a pending change");
}

static int answer(struct s3_error *err, enum s3_error_kind kind, int status, const char *code,
                  const char *text, const char *key)
{
    int r = s3_error_set(err, kind, "%s '%s'", text, key);
    if (err) {
        err->http_status = status;
        err->tries = 1;
        (void)snprintf(err->code, sizeof(err->code), "%s", code);
    }
    return r;
}

int wb_no_such_key(const char *key, struct s3_error *err)
{
    return answer(err, S3_ERROR_NO_SUCH_KEY, 404, "NoSuchKey", "there is no object", key);
}

int wb_precondition(const char *key, struct s3_error *err)
{
    return answer(err, S3_ERROR_PRECONDITION, 412, "PreconditionFailed",
                  "the condition does not hold for", key);
}

/* ---- calls ---- */

void wb_finish(struct wb_call *c, int result, const struct s3_error *err)
{
    c->done(c->ctx, result, result < 0 ? err : NULL);
    free(c);
}

void wb_finish_locked(struct wb_call *c, int result, const struct s3_error *err)
{
    c->result = result;
    if (err)
        c->err = *err;
    wb_calls_add(&c->wb->finished, c);
}

void wb_unlock(struct writeback *wb)
{
    struct wb_op *op;
    while ((op = TAILQ_FIRST(&wb->empties))) {
        wb_dequeue_locked(op);
        wb_unlink_locked(wb, op);
    }
    struct wb_call *finished = wb->finished.head, *again = wb->again.head;
    wb_calls_init(&wb->finished);
    wb_calls_init(&wb->again);
    pthread_mutex_unlock(&wb->lock);
    while (finished) {
        struct wb_call *c = finished;
        finished = c->next;
        wb_finish(c, c->result, &c->err);
    }
    while (again) {
        struct wb_call *c = again;
        again = c->next;
        wb_dispatch(c);
    }
}

void wb_dispatch(struct wb_call *c)
{
    switch (c->op) {
    case STORE_LIST:
        wb_list(c);
        break;
    case STORE_HEAD:
        wb_head(c);
        break;
    case STORE_GET:
        wb_get(c);
        break;
    case STORE_PUT:
        wb_put(c);
        break;
    case STORE_COPY:
        wb_copy(c);
        break;
    case STORE_DELETE:
        wb_delete(c);
        break;
    case STORE_DELETE_MANY:
        wb_delete_many(c);
        break;
    case STORE_UPLOAD_COMPLETE:
        wb_complete(c);
        break;
    case STORE_UPLOAD_PART_COPY:
        wb_part_copy(c);
        break;
    case STORE_FLUSH:
        wb_flush(c);
        break;
    case STORE_UPLOAD_CREATE:
    case STORE_UPLOAD_PART:
    case STORE_UPLOAD_ABORT:
    case STORE_UPLOAD_LIST:
    case STORE_UPLOAD_PARTS:
    case STORE_OP_MAX:
        wb_pass(c);
        break;
    }
}

static int writeback_submit(struct store *s, enum store_op op, const void *in, void *out,
                            store_done_fn done, void *ctx)
{
    struct wb_call *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->wb = CONTAINER_OF(s, struct writeback, store);
    c->op = op;
    c->in = in;
    c->out = out;
    c->done = done;
    c->ctx = ctx;
    wb_dispatch(c);
    return 0;
}

/* ---- what a crash left ---- */

static struct wb_op *find_seq_locked(const struct wb_key *k, uint64_t seq)
{
    struct wb_op *op;
    TAILQ_FOREACH (op, &k->ops, chain)
        if (op->seq == seq)
            return op;
    return NULL;
}

/* Two changes may have the same file. */
static struct wb_body *find_body_locked(const struct writeback *wb, uint64_t file)
{
    struct wb_op *op;
    if (!file)
        return NULL;
    TAILQ_FOREACH_REVERSE(op, &wb->ops, wb_op_all, all)
    if (op->body && op->body->file == file)
        return op->body;
    return NULL;
}

static char *text_or_null(const char *s)
{
    return *s ? strdup(s) : NULL;
}

static int fill_op_locked(struct writeback *wb, struct wb_op *op, const struct wb_record *r)
{
    op->cond = r->cond;
    op->size = r->size;
    op->mtime_ns = r->mtime_ns;
    op->keep_attrs = r->keep_attrs;
    op->after_all = r->after_all;
    op->etag = text_or_null(r->etag);
    op->if_match = text_or_null(r->if_match);
    op->source_etag = text_or_null(r->source_etag);
    op->attrs = r->attrs_len ? malloc(r->attrs_len) : NULL;
    if ((*r->etag && !op->etag) || (*r->if_match && !op->if_match) ||
        (*r->source_etag && !op->source_etag) || (r->attrs_len && !op->attrs))
        return -ENOMEM;
    if (r->attrs_len)
        memcpy(op->attrs, r->attrs, r->attrs_len);
    op->attrs_len = r->attrs_len;
    if (r->kind != WB_PUT)
        return 0;
    /* A file that has the number of another change is that one's: it was written before. */
    op->body = r->body_file == r->seq ? NULL : find_body_locked(wb, r->body_file);
    if (op->body) {
        op->body->refs++;
        return 0;
    }
    op->body = wb_body_new(r->size);
    if (op->body)
        op->body->file = r->body_file;
    return op->body ? 0 : -ENOMEM;
}

static int add_op_locked(struct writeback *wb, const struct wb_record *r)
{
    struct wb_op *op = wb_op_new(r->kind);
    struct wb_key *k = wb_key_get_locked(wb, r->key, true);
    struct wb_key *source = r->kind == WB_COPY ? wb_key_get_locked(wb, r->source_key, true) : NULL;
    if (!op || !k || (r->kind == WB_COPY && !source) || fill_op_locked(wb, op, r))
        return -ENOMEM; /* the start fails as a whole */
    wb->next_seq = r->seq;
    if (wb_link_locked(wb, op, k, source))
        return -ENOMEM;
    if (r->source_seq) {
        op->source_op = find_seq_locked(source, r->source_seq);
        if (op->source_op)
            op->source_op->copies++;
    }
    /* Sent before the crash, perhaps; not when the row of one that it waits for is still there. */
    op->maybe_sent = true;
    op->looked = op->blockers != 0;
    op->acked = true;
    op->flush_seq = ++wb->acks;
    if (op->cond == WB_PREV && TAILQ_FIRST(&k->ops) == op) {
        log_warn("'%s' was to follow a change that the journal does not have", k->key);
        op->cond = WB_ANY;
    }
    wb_ready_locked(wb, op);
    return 0;
}

static int load_row(void *ctx, const struct journal_row *row)
{
    struct writeback *wb = ctx;
    struct wb_record r;
    int result = wb_record_decode(row->record, row->record_len, &r);
    if (result < 0 || r.seq != row->seq) {
        wb->next_seq = MAX(wb->next_seq, row->seq + 1);
        return wb_damaged_add(wb, row->seq);
    }
    return add_op_locked(wb, &r);
}

static int take_up(struct writeback *wb, struct s3_error *err)
{
    pthread_mutex_lock(&wb->lock);
    int r = wb->journal->ops->load(wb->journal, load_row, wb);
    uint64_t n = wb->n_ops;
    wb_unlock(wb);
    if (r == 0)
        wb_salvage(wb);
    if (r < 0)
        return s3_error_set(err, S3_ERROR_CONFIG, "the journal cannot be read: %s", strerror(-r));
    if (n)
        log_info("%llu changes of before are still to be stored", (unsigned long long)n);
    return 0;
}

/* ---- life ---- */

static void writeback_free(struct store *s)
{
    struct writeback *wb = CONTAINER_OF(s, struct writeback, store);
    pthread_mutex_lock(&wb->lock);
    wb->stopping = true;
    wb_wake_locked(wb);
    pthread_mutex_unlock(&wb->lock);
    if (wb->sender_started)
        pthread_join(wb->sender, NULL);
    pthread_mutex_lock(&wb->lock);
    while (wb->running || wb->tasks)
        pthread_cond_wait(&wb->idle, &wb->lock);
    wb_unlock(wb);
    threadpool_free(wb->pool);
    if (wb->journal)
        wb->journal->ops->free(wb->journal);
    if (wb->inner && !wb->leave_inner)
        store_free(wb->inner);

    struct wb_op *op;
    while ((op = TAILQ_FIRST(&wb->ghosts))) {
        struct wb_key *k = op->key;
        wb_dequeue_locked(op);
        k->pins++;
        k->ghost = NULL;
        wb_op_free_locked(wb, op);
        k->pins--;
        wb_key_put_locked(wb, k);
    }
    /* The files of what is pending stay: forgotten here, not removed. */
    while ((op = TAILQ_LAST(&wb->ops, wb_op_all))) {
        struct wb_body *b = op->body;
        if (b && b->refs == 1) {
            b->file = 0;
        }
        op->stored = false;
        op->acked = false;
        wb_unlink_locked(wb, op);
    }
    wb_bodies_remove(wb, TAKE_PTR(wb->dead));
    alias_table_free(wb->aliases);
    if (wb->dir_fd >= 0)
        (void)close(wb->dir_fd);
    free(wb->dir);
    free(wb->damaged);
    pthread_cond_destroy(&wb->wake);
    pthread_cond_destroy(&wb->idle);
    pthread_mutex_destroy(&wb->lock);
    free(wb);
}

static const struct store_ops WRITEBACK_OPS = {.submit = writeback_submit, .free = writeback_free};

static void init_lists(struct writeback *wb)
{
    TAILQ_INIT(&wb->ops);
    TAILQ_INIT(&wb->lists);
    TAILQ_INIT(&wb->ghosts);
    TAILQ_INIT(&wb->ready);
    TAILQ_INIT(&wb->ready_deletes);
    TAILQ_INIT(&wb->ready_direct);
    TAILQ_INIT(&wb->sleeping);
    TAILQ_INIT(&wb->flushes);
    TAILQ_INIT(&wb->empties);
    TAILQ_INIT(&wb->endings);
    TAILQ_INIT(&wb->undropped);
    TAILQ_INIT(&wb->failing);
    wb_calls_init(&wb->throttled);
    wb_calls_init(&wb->finished);
    wb_calls_init(&wb->again);
}

static void init_sync(struct writeback *wb)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&wb->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&wb->wake, &attr);
    pthread_cond_init(&wb->idle, &attr);
    pthread_condattr_destroy(&attr);
}

static int open_dir(struct writeback *wb, struct s3_error *err)
{
    if (mkdir(wb->dir, 0700) < 0 && errno != EEXIST)
        return s3_error_set(err, S3_ERROR_CONFIG, "'%s': %s", wb->dir, strerror(errno));
    wb->dir_fd = open(wb->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return wb->dir_fd < 0 ? s3_error_set(err, S3_ERROR_CONFIG, "'%s': %s", wb->dir, strerror(errno))
                          : 0;
}

/* Not the caller's clock, which may tell the same twice. */
static uint64_t process_mark(void)
{
    uint64_t mark;
    struct timespec t;
    if (getrandom(&mark, sizeof(mark), GRND_NONBLOCK) == (ssize_t)sizeof(mark))
        return mark;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec << 30 ^ (uint64_t)t.tv_nsec ^ (uint64_t)getpid() << 48;
}

int writeback_new(const struct writeback_options *opts, struct store **ret, struct s3_error *err)
{
    struct writeback *wb = calloc(1, sizeof(*wb));
    if (!wb)
        return wb_no_memory(err);
    wb->store.ops = &WRITEBACK_OPS;
    wb->opts = *opts;
    wb->clock = opts->clock ? opts->clock : clock_system();
    wb->opts.parallel = opts->parallel ? opts->parallel : PARALLEL_DEFAULT;
    wb->opts.max_bytes = opts->max_bytes ? opts->max_bytes : MAX_BYTES_DEFAULT;
    wb->opts.max_changes = opts->max_changes ? opts->max_changes : MAX_CHANGES_DEFAULT;
    wb->next_seq = 1;
    wb->dir_fd = -1;
    wb->random = (uint64_t)clock_realtime_ns(wb->clock);
    wb->mark = process_mark();
    init_lists(wb);
    init_sync(wb);
    wb->dir = strdup(opts->dir);
    wb->journal = opts->journal;
    int r = wb->dir && alias_table_new(ALIASES_MAX, &wb->aliases) == 0 &&
                    threadpool_new(POOL_THREADS, "writeback", &wb->pool) == 0
                ? 0
                : wb_no_memory(err);
    if (r == 0)
        r = open_dir(wb, err);
    if (r == 0)
        r = take_up(wb, err);
    if (r == 0) {
        r = -pthread_create(&wb->sender, NULL, wb_sender_main, wb);
        wb->sender_started = r == 0;
        if (r < 0)
            (void)wb_no_memory(err);
    }
    if (r < 0) {
        wb->journal = NULL; /* still the caller's */
        writeback_free(&wb->store);
        return r;
    }
    wb->inner = opts->inner;
    *ret = &wb->store;
    return 0;
}

void writeback_stats(struct store *s, struct writeback_stats *ret)
{
    struct writeback *wb = CONTAINER_OF(s, struct writeback, store);
    SCOPE_LOCK(&wb->lock);
    const struct wb_op *oldest = TAILQ_FIRST(&wb->ops);
    *ret = wb->stats;
    ret->changes = wb->n_ops;
    ret->bytes = wb->bytes;
    ret->running = wb->running;
    ret->oldest_age_ns = oldest ? wb_now(wb) - oldest->since_ns : 0;
}

bool writeback_drain(struct store *s, uint64_t timeout_ns)
{
    struct writeback *wb = CONTAINER_OF(s, struct writeback, store);
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    timeout_ns += (uint64_t)t.tv_nsec;
    t.tv_sec += (time_t)(timeout_ns / (uint64_t)NS_PER_S);
    t.tv_nsec = (long)(timeout_ns % (uint64_t)NS_PER_S);
    SCOPE_LOCK(&wb->lock);
    wb->draining++;
    wb_wake_locked(wb);
    int r = 0;
    while (wb->n_ops && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&wb->idle, &wb->lock, &t);
    wb->draining--;
    return wb->n_ops == 0;
}

void writeback_leave(struct store *s)
{
    CONTAINER_OF(s, struct writeback, store)->leave_inner = true;
    writeback_free(s);
}

void writeback_kick(struct store *s)
{
    struct writeback *wb = CONTAINER_OF(s, struct writeback, store);
    SCOPE_LOCK(&wb->lock);
    wb_wake_locked(wb);
}

bool writeback_settle(struct store *s)
{
    struct writeback *wb = CONTAINER_OF(s, struct writeback, store);
    SCOPE_LOCK(&wb->lock);
    wb->draining++;
    wb_wake_locked(wb);
    while (wb->n_ops && (wb->running || wb->tasks || !wb->resting))
        pthread_cond_wait(&wb->idle, &wb->lock);
    wb->draining--;
    return wb->n_ops == 0;
}
