/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that alter something: held against what is pending, put into the chain of their key,
 * journaled, acknowledged. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "store/store_limits.h"
#include "writeback/writeback_impl.h"

#define CACHED_MAX  (64 * MIB) /* small bodies kept in memory beside their rows */
#define LOG_EVERY_S 60

/* ---- what every change goes through ---- */

static uint64_t body_size(const struct iovec *iov, int n)
{
    uint64_t size = 0;
    for (int i = 0; i < n; i++)
        size += iov[i].iov_len;
    return size;
}

/* What S3 would refuse for ever must not be acknowledged. */
static int check_key(const char *key, struct s3_error *err)
{
    size_t len = strlen(key);
    if (!len)
        return s3_error_set(err, S3_ERROR_INVALID, "the key is empty");
    if (len > STORE_KEY_MAX)
        return s3_error_set(err, S3_ERROR_KEY_TOO_LONG, "the key has %zu bytes", len);
    return 0;
}

static int check_attrs(const struct store_attrs *attrs, struct s3_error *err)
{
    size_t size = 0;
    for (size_t i = 0; i < attrs->n_metadata; i++)
        size += strlen(attrs->metadata[i].name) + strlen(attrs->metadata[i].value);
    if (size > STORE_METADATA_MAX)
        return s3_error_set(err, S3_ERROR_INVALID, "the metadata has %zu bytes", size);
    return 0;
}

bool wb_full_locked(const struct writeback *wb)
{
    const struct wb_op *oldest = TAILQ_FIRST(&wb->ops);
    while (oldest && oldest->stuck) /* it is stored */
        oldest = TAILQ_NEXT(oldest, all);
    if (wb->n_ops >= wb->opts.max_changes || wb->bytes >= wb->opts.max_bytes)
        return true;
    return oldest && wb->opts.max_age_ns && wb_now(wb) - oldest->since_ns > wb->opts.max_age_ns;
}

static bool throttle_locked(struct wb_call *c)
{
    struct writeback *wb = c->wb;
    if (wb->opts.only_old || !wb_full_locked(wb))
        return false;
    if (!c->since_ns)
        c->since_ns = wb_now(wb);
    wb_calls_add(&wb->throttled, c);
    wb->stats.waiting++;
    return true;
}

/* Waits until the newest change of the key is decided: true, and it is dispatched anew then. */
static bool stall_locked(struct wb_call *c, struct wb_key *k)
{
    if (!wb_undecided_locked(k))
        return false;
    wb_calls_add(&k->stalled, c);
    return true;
}

/* On condition that the key is what v makes of it, or has made by now. */
static int follow_locked(struct wb_op *op, const struct wb_op *v)
{
    const char *etag = v->stored && v->real_etag ? v->real_etag : "";
    op->cond = v->stored ? *etag ? WB_ETAG : WB_ANY : WB_PREV;
    free(op->if_match);
    op->if_match = *etag ? strdup(etag) : NULL;
    return *etag && !op->if_match ? -ENOMEM : 0;
}

/* The version that the key has, as far as it was made here: should the change have to be sent
 * twice, that one is not somebody else's, whatever the clocks say. */
static const char *own_version_locked(const struct writeback *wb, const struct wb_op *visible,
                                      const char *key)
{
    if (visible) /* else the end of that one tells */
        return visible->stored && visible->real_etag ? visible->real_etag : "";
    const struct alias *a = alias_find(wb->aliases, key);
    return a ? a->real : "";
}

static int set_condition_locked(struct wb_op *op, const struct wb_op *visible, const char *key,
                                const char *if_match, bool if_absent)
{
    struct writeback *wb = op->call->wb;
    if (if_match && visible)
        return follow_locked(op, visible);
    op->cond = if_absent ? WB_ABSENT : if_match ? WB_ETAG : WB_ANY;
    const char *etag = "";
    if (op->cond == WB_ETAG)
        etag = alias_real(wb->aliases, key, if_match);
    else if (op->cond == WB_ANY)
        etag = own_version_locked(wb, visible, key);
    op->if_match = *etag ? strdup(etag) : NULL;
    return *etag && !op->if_match ? -ENOMEM : 0;
}

static int set_attrs(struct wb_op *op, const struct store_attrs *attrs)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(JOURNAL_RECORD_MAX);
    wb_attrs_encode(&sb, attrs);
    size_t len = sb.len;
    void *data = strbuf_take(&sb);
    if (!data)
        return -ENOMEM;
    free(op->attrs);
    op->attrs = data;
    op->attrs_len = len;
    return 0;
}

static int share_attrs(struct wb_op *op, const struct wb_op *from)
{
    op->attrs = from->attrs_len ? malloc(from->attrs_len) : NULL;
    if (from->attrs_len && !op->attrs)
        return -ENOMEM;
    if (from->attrs_len)
        memcpy(op->attrs, from->attrs, from->attrs_len);
    op->attrs_len = from->attrs_len;
    return 0;
}

static int set_text(char **to, const char *s)
{
    free(*to);
    *to = strdup(s);
    return *to ? 0 : -ENOMEM;
}

static void out_version(const struct wb_op *op, struct store_version *v)
{
    if (!v)
        return;
    (void)snprintf(v->etag, sizeof(v->etag), "%s", op->etag ? op->etag : "");
    v->mtime_ns = op->mtime_ns - op->mtime_ns % NS_PER_S;
}

/* ---- journaling ---- */

int wb_encode_locked(const struct wb_op *op, bool merged, void **ret, size_t *ret_len)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(JOURNAL_RECORD_MAX);
    const char *if_match = merged ? op->merged_if_match : op->if_match;
    struct wb_record r = {.kind = op->kind,
                          .cond = merged ? op->merged_cond : op->cond,
                          .keep_attrs = op->keep_attrs,
                          .after_all = op->after_all,
                          .seq = op->seq,
                          .size = op->size,
                          .mtime_ns = op->mtime_ns,
                          .body_file = op->body ? op->body->file : 0,
                          .source_seq = op->source_op ? op->source_op->seq : 0,
                          .key = op->key->key,
                          .etag = op->etag ? op->etag : "",
                          .if_match = if_match ? if_match : "",
                          .source_key = op->source ? op->source->key : "",
                          .source_etag = op->source_etag ? op->source_etag : "",
                          .attrs = op->attrs,
                          .attrs_len = op->attrs_len};
    wb_record_encode(&sb, &r);
    *ret_len = sb.len;
    *ret = strbuf_take(&sb);
    return *ret ? 0 : -ENOMEM;
}

static void direct_locked(struct writeback *wb, struct wb_op *op)
{
    op->direct = true;
    wb->directs++;
    wb_hurry_locked(wb);
    wb_ready_locked(wb, op);
}

/* Nobody was told that it is done: it waits for its turn and goes to the store itself. */
static void go_direct_locked(struct writeback *wb, struct wb_op *op, int result)
{
    uint64_t now = wb_now(wb);
    if (!wb->last_log_ns || now - wb->last_log_ns > LOG_EVERY_S * (uint64_t)NS_PER_S) {
        wb->last_log_ns = now;
        log_warn("'%s' could not be noted in the journal and goes to the store directly: %s",
                 op->key->key, strerror(-result));
    }
    wb_absorbed_locked(wb, op, false);
    direct_locked(wb, op);
}

static void acknowledge_locked(struct writeback *wb, struct wb_op *op)
{
    struct wb_call *c = TAKE_PTR(op->call);
    struct wb_body *b = op->body;
    op->acked = true;
    op->flush_seq = ++wb->acks;
    free(TAKE_PTR(op->record));
    /* Others may have it in memory, or not: only a new one is decided about. */
    if (b && b->data && !b->counted) {
        b->counted = wb->cached + b->size <= CACHED_MAX;
        if (b->counted)
            wb->cached += b->size;
        else
            free(TAKE_PTR(b->data));
    }
    wb_absorbed_locked(wb, op, true);
    if (c->op == STORE_PUT || c->op == STORE_COPY)
        out_version(op, c->out);
    wb_finish_locked(c, 0, NULL);
    wb_wake_stalled_locked(wb, op->key);
    wb_ready_locked(wb, op);
}

static void journaled(void *ctx, int result)
{
    struct wb_op *op = ctx;
    struct writeback *wb = op->call->wb;
    CRASH_POINT("writeback.journaled");
    pthread_mutex_lock(&wb->lock);
    wb->tasks--;
    pthread_cond_broadcast(&wb->idle);
    if (result < 0)
        go_direct_locked(wb, op, result);
    else
        acknowledge_locked(wb, op);
    wb_unlock(wb);
}

static void journal_locked(struct writeback *wb, struct wb_op *op)
{
    size_t len = 0;
    if (wb->opts.only_old) {
        wb_absorbed_locked(wb, op, false);
        direct_locked(wb, op);
        return;
    }
    int r = wb_encode_locked(op, op->absorbs != NULL, &op->record, &len);
    if (r == 0) {
        const struct wb_body *b = op->body;
        bool inside = b && !b->file && b->size && b->data;
        op->drop = op->absorbs ? op->absorbs->seq : 0;
        op->row = (struct journal_row){.seq = op->seq,
                                       .record = op->record,
                                       .record_len = len,
                                       .body = inside ? b->data : NULL,
                                       .body_len = inside ? b->size : 0};
        op->change = (struct journal_change){.rows = &op->row,
                                             .n_rows = op->merged_empty ? 0 : 1,
                                             .drops = &op->drop,
                                             .n_drops = op->absorbs ? 1 : 0,
                                             .done = journaled,
                                             .ctx = op};
        wb->tasks++;
        r = journal_submit(wb->journal, &op->change);
        if (r < 0)
            wb->tasks--;
    }
    if (r < 0)
        go_direct_locked(wb, op, r);
}

/* ---- PUT ---- */

/* On a thread of the pool: a large body goes into a file of its own. */
static void prepare_file(void *arg)
{
    struct wb_op *op = arg;
    struct writeback *wb = op->call->wb;
    const struct store_put_in *in = op->call->in;
    char etag[STORE_ETAG_SIZE];
    int r = wb_body_write(wb, op->seq, in->body, in->n_body, etag);
    if ((r == -ENOSPC || r == -EDQUOT) && wb->opts.make_room &&
        wb->opts.make_room(wb->opts.ctx, op->size))
        r = wb_body_write(wb, op->seq, in->body, in->n_body, etag);
    CRASH_POINT("writeback.file.written");
    pthread_mutex_lock(&wb->lock);
    wb->tasks--;
    pthread_cond_broadcast(&wb->idle);
    if (r == 0) {
        op->body->file = op->seq;
        r = set_text(&op->etag, etag);
    }
    if (r < 0)
        go_direct_locked(wb, op, r);
    else
        journal_locked(wb, op);
    wb_unlock(wb);
}

/* A small one stays in memory for now; with its ETag. */
static int small_body(const struct store_put_in *in, uint64_t size, struct wb_op *op)
{
    char etag[STORE_ETAG_SIZE];
    char *data = malloc(size + 1);
    if (!data)
        return -ENOMEM;
    op->body->data = data;
    for (int i = 0; i < in->n_body; i++) {
        memcpy(data, in->body[i].iov_base, in->body[i].iov_len);
        data += in->body[i].iov_len;
    }
    int r = wb_etag_of(in->body, in->n_body, etag);
    return r < 0 ? r : set_text(&op->etag, etag);
}

static bool goes_through(const struct writeback *wb, const struct store_put_in *in)
{
    return in->through || wb->opts.only_old;
}

/* Everything that needs no lock; NULL = no memory. */
static struct wb_op *new_put(struct wb_call *c, uint64_t size)
{
    const struct store_put_in *in = c->in;
    struct wb_op *op = wb_op_new(WB_PUT);
    if (!op)
        return NULL;
    op->call = c;
    op->size = size;
    op->mtime_ns = clock_realtime_ns(c->wb->clock);
    op->body = wb_body_new(size);
    if (op->body && set_attrs(op, &in->attrs) == 0 &&
        (goes_through(c->wb, in) || size > JOURNAL_BODY_MAX || small_body(in, size, op) == 0))
        return op;
    if (op->body)
        free(op->body->data);
    free(op->body);
    free(op->etag);
    free(op->attrs);
    free(op);
    return NULL;
}

/* The call could not become a change. */
static void refuse_locked(struct wb_call *c, struct wb_op *op, struct wb_key *k, int result,
                          const struct s3_error *err)
{
    struct writeback *wb = c->wb;
    if (op)
        wb_op_free_locked(wb, op);
    if (k)
        wb_key_put_locked(wb, k);
    wb_finish_locked(c, result, err);
}

void wb_put(struct wb_call *c)
{
    struct writeback *wb = c->wb;
    const struct store_put_in *in = c->in;
    struct s3_error err = {0};
    uint64_t size = body_size(in->body, in->n_body);
    bool through = goes_through(wb, in);
    int r = check_key(in->key, &err);
    if (r == 0)
        r = check_attrs(&in->attrs, &err);
    if (r == 0 && size > STORE_PUT_SIZE_MAX)
        r = s3_error_set(&err, S3_ERROR_TOO_LARGE, "more than 5 GiB");
    struct wb_op *op = r == 0 ? new_put(c, size) : NULL;
    if (r == 0 && !op)
        r = wb_no_memory(&err);
    if (r < 0) {
        wb_finish(c, r, &err);
        return;
    }

    pthread_mutex_lock(&wb->lock);
    struct wb_key *k = wb_key_get_locked(wb, in->key, true);
    bool wait = k && (stall_locked(c, k) || (!through && throttle_locked(c)));
    if (wait || !k) {
        wb_op_free_locked(wb, op);
        if (k)
            wb_key_put_locked(wb, k);
        if (!wait)
            wb_finish_locked(c, wb_no_memory(&err), &err);
        wb_unlock(wb);
        return;
    }
    struct wb_op *v = wb_visible_locked(k);
    r = v ? wb_check_locked(v, in->key, in->if_match, in->if_absent, &err) : 0;
    if (r == 0 && (set_condition_locked(op, v, in->key, in->if_match, in->if_absent) ||
                   wb_link_locked(wb, op, k, NULL)))
        r = wb_no_memory(&err);
    bool file = size > JOURNAL_BODY_MAX;
    if (r < 0) {
        refuse_locked(c, op, k, r, &err);
    } else if (through) {
        direct_locked(wb, op);
    } else {
        wb_absorb_locked(wb, op);
        if (!file) {
            journal_locked(wb, op);
        } else {
            wb->tasks++;
            if (threadpool_submit(wb->pool, prepare_file, op) < 0) {
                wb->tasks--;
                go_direct_locked(wb, op, -ENOMEM);
            }
        }
    }
    wb_unlock(wb);
}

/* ---- COPY ---- */

/* MD5 of the bytes: that of a copy is the same then. */
static bool is_plain_md5(const char *etag)
{
    return strlen(etag) == 34 && strspn(etag + 1, "0123456789abcdef") == 32 && etag[33] == '"';
}

/* A number alone would be given again by the next mount, to another version: whoever keeps
 * something under the ETag must not find that there. */
static int copied_etag(const struct writeback *wb, struct wb_op *op, const char *source_etag)
{
    char etag[STORE_ETAG_SIZE];
    if (is_plain_md5(source_etag))
        (void)snprintf(etag, sizeof(etag), "%s", source_etag);
    else
        (void)snprintf(etag, sizeof(etag), "\"pailfs-%016llx-%llu\"", (unsigned long long)wb->mark,
                       (unsigned long long)op->seq);
    return set_text(&op->etag, etag);
}

struct copy_look {
    struct wb_op *op;
    struct store_head_in in;
    struct store_object out;
};

static bool copy_goes_through(const struct writeback *wb, const struct store_copy_in *in)
{
    return in->through || wb->opts.only_old;
}

/* The source is in the store: what it is like decides what the copy is like. */
static int looked_locked(struct wb_op *op, const struct store_object *o, struct s3_error *err)
{
    const struct store_copy_in *in = op->call->in;
    struct writeback *wb = op->call->wb;
    const char *want = alias_real(wb->aliases, in->source_key, in->source_if_match);
    if (want && strcmp(want, o->etag) != 0)
        return wb_precondition(in->source_key, err);
    if (o->size > STORE_COPY_SIZE_MAX)
        return s3_error_set(err, S3_ERROR_INVALID, "'%s' is too large for one copy",
                            in->source_key);
    op->size = o->size;
    if (set_text(&op->source_etag, o->etag) || copied_etag(wb, op, o->etag) ||
        (op->keep_attrs && set_attrs(op, &o->attrs)))
        return wb_no_memory(err);
    return 0;
}

static void copy_looked(void *ctx, int result, const struct s3_error *e)
{
    struct copy_look *look = ctx;
    struct wb_op *op = look->op;
    struct wb_call *c = op->call;
    struct writeback *wb = c->wb;
    struct s3_error err = {0};
    if (e)
        err = *e;
    pthread_mutex_lock(&wb->lock);
    wb->tasks--;
    pthread_cond_broadcast(&wb->idle);
    if (result == 0) {
        result = looked_locked(op, &look->out, &err);
        store_object_done(&look->out);
    }
    if (result < 0) {
        op->call = NULL;
        wb_absorbed_locked(wb, op, false);
        wb_unlink_locked(wb, op);
        wb_finish_locked(c, result, &err);
    } else {
        journal_locked(wb, op);
    }
    wb_unlock(wb);
    free(look);
}

/* From what is pending: the content is at hand, so it is a PUT of its own; unless it is itself a
 * copy of something, or was left by a crash. */
static int copy_pending_locked(struct wb_call *c, struct wb_op *op, struct wb_op *from)
{
    const struct store_copy_in *in = c->in;
    op->size = from->size;
    if (!in->replace_attrs && share_attrs(op, from))
        return -ENOMEM;
    if (from->body && (from->body->data || from->body->file)) {
        op->kind = WB_PUT;
        op->keep_attrs = false;
        op->body = from->body;
        op->body->refs++;
        return set_text(&op->etag, from->etag);
    }
    op->seq = c->wb->next_seq; /* as it is going to be */
    if (from->stored) {
        if (from->real_etag && *from->real_etag && !(op->source_etag = strdup(from->real_etag)))
            return -ENOMEM;
    } else {
        op->source_op = from;
        from->copies++;
    }
    return copied_etag(c->wb, op, from->etag);
}

static int begin_copy_locked(struct wb_call *c, struct wb_op *op, struct wb_key *k,
                             struct wb_key *source, bool *ret_look, struct s3_error *err)
{
    struct writeback *wb = c->wb;
    const struct store_copy_in *in = c->in;
    struct wb_op *from = wb_visible_locked(source), *v = wb_visible_locked(k);
    int r = 0;
    if (from)
        r = from->kind == WB_DELETE
                ? wb_no_such_key(in->source_key, err)
                : wb_check_locked(from, in->source_key, in->source_if_match, false, err);
    if (r == 0 && v)
        r = wb_check_locked(v, in->key, in->if_match, in->if_absent, err);
    if (r < 0)
        return r;
    op->keep_attrs = !in->replace_attrs;
    if ((in->replace_attrs && set_attrs(op, &in->attrs)) ||
        set_condition_locked(op, v, in->key, in->if_match, in->if_absent) ||
        (from && copy_pending_locked(c, op, from)))
        return wb_no_memory(err);
    bool local = op->kind == WB_PUT;
    /* A copy of something onto itself is a change of that version. */
    if (local && source == k && op->cond == WB_ANY && follow_locked(op, from))
        return wb_no_memory(err);
    *ret_look = !from && !copy_goes_through(wb, in);
    if (!from && !*ret_look && in->source_if_match &&
        set_text(&op->source_etag, alias_real(wb->aliases, in->source_key, in->source_if_match)))
        return wb_no_memory(err);
    /* The last that may fail: what is in a chain cannot just be freed. */
    if (wb_link_locked(wb, op, k, local ? NULL : source))
        return wb_no_memory(err);
    return 0;
}

void wb_copy(struct wb_call *c)
{
    struct writeback *wb = c->wb;
    const struct store_copy_in *in = c->in;
    struct s3_error err = {0};
    int r = check_key(in->key, &err);
    if (r == 0 && in->replace_attrs)
        r = check_attrs(&in->attrs, &err);
    if (r == 0 && !in->replace_attrs && strcmp(in->key, in->source_key) == 0)
        r = s3_error_set(&err, S3_ERROR_INVALID, "a copy of '%s' to itself changes nothing",
                         in->key);
    struct copy_look *look = r == 0 ? calloc(1, sizeof(*look)) : NULL;
    struct wb_op *op = look ? wb_op_new(WB_COPY) : NULL;
    if (!look || !op) {
        free(look);
        wb_finish(c, r < 0 ? r : wb_no_memory(&err), &err);
        return;
    }
    op->call = c;
    op->mtime_ns = clock_realtime_ns(wb->clock);

    pthread_mutex_lock(&wb->lock);
    struct wb_key *k = wb_key_get_locked(wb, in->key, true);
    struct wb_key *source = k ? wb_key_get_locked(wb, in->source_key, true) : NULL;
    bool ask = false;
    if (k)
        k->pins++;
    if (!source) {
        wb_finish_locked(c, wb_no_memory(&err), &err);
        r = -ENOMEM;
    } else if (stall_locked(c, k) || stall_locked(c, source) ||
               (!copy_goes_through(wb, in) && throttle_locked(c))) {
        r = -EAGAIN;
    } else {
        source->pins++;
        r = begin_copy_locked(c, op, k, source, &ask, &err);
        source->pins--;
        if (r < 0)
            wb_finish_locked(c, r, &err);
    }
    if (r < 0 && op->source_op)
        op->source_op->copies--;
    if (r < 0)
        wb_op_free_locked(wb, op);
    if (k) {
        k->pins--;
        wb_key_put_locked(wb, k);
    }
    if (source && source != k)
        wb_key_put_locked(wb, source);
    if (r == 0 && copy_goes_through(wb, in)) {
        direct_locked(wb, op);
    } else if (r == 0 && !ask) {
        wb_absorb_locked(wb, op);
        journal_locked(wb, op);
    }
    wb->tasks += r == 0 && ask;
    wb_unlock(wb);
    if (r < 0 || !ask) {
        free(look);
        return;
    }
    look->op = op;
    look->in.key = in->source_key;
    r = store_submit(wb->inner, STORE_HEAD, &look->in, &look->out, copy_looked, look);
    if (r < 0) {
        (void)s3_error_set(&err, r == -ENOMEM ? S3_ERROR_OUT_OF_MEMORY : S3_ERROR_CANCELLED,
                           "the request was not sent");
        copy_looked(look, r, &err);
    }
}

/* ---- DELETE ---- */

static void many_done(void *ctx, int result, const struct s3_error *err);

void wb_delete(struct wb_call *c)
{
    struct writeback *wb = c->wb;
    const struct store_delete_in *in = c->in;
    struct s3_error err = {0};
    struct wb_op *op = wb_op_new(WB_DELETE);
    int r = op ? check_key(in->key, &err) : wb_no_memory(&err);
    if (r < 0) {
        free(op);
        wb_finish(c, r, &err);
        return;
    }
    op->call = c;
    op->after_all = in->after_all;
    op->of_many = c->done == many_done;
    op->mtime_ns = clock_realtime_ns(wb->clock);

    pthread_mutex_lock(&wb->lock);
    struct wb_key *k = wb_key_get_locked(wb, in->key, true);
    if (!k) {
        refuse_locked(c, op, NULL, wb_no_memory(&err), &err);
    } else if (stall_locked(c, k) || throttle_locked(c)) {
        wb_op_free_locked(wb, op);
        wb_key_put_locked(wb, k);
    } else {
        struct wb_op *v = wb_visible_locked(k);
        bool gone = v && v->kind == WB_DELETE;
        if (v && !gone)
            r = wb_check_locked(v, in->key, in->if_match, false, &err);
        if (gone || r < 0) {
            refuse_locked(c, op, k, r, &err);
        } else if (set_condition_locked(op, v, in->key, in->if_match, false) ||
                   wb_link_locked(wb, op, k, NULL)) {
            refuse_locked(c, op, k, wb_no_memory(&err), &err);
        } else {
            wb_absorb_locked(wb, op);
            journal_locked(wb, op);
        }
    }
    wb_unlock(wb);
}

struct many {
    struct wb_call *parent;
    struct writeback *wb;
    size_t left; /* protected by wb->lock */
    size_t n_failures;
};
struct many_one {
    struct wb_call call; /* first: it is freed as one */
    struct store_delete_in in;
    struct many *many;
};

static void add_failure_locked(struct many *m, const char *key, const struct s3_error *err)
{
    struct store_delete_many_out *out = m->parent->out;
    char *message = err ? arena_strdup(&out->arena, err->message) : NULL;
    out->failures[m->n_failures++] =
        (struct store_delete_failure){.key = key, /* of the caller's input */
                                      .kind = err ? err->kind : S3_ERROR_OUT_OF_MEMORY,
                                      .message = message ? message : ""};
}

static void many_done(void *ctx, int result, const struct s3_error *err)
{
    struct many_one *one = ctx;
    struct many *m = one->many;
    pthread_mutex_lock(&m->wb->lock);
    if (result < 0)
        add_failure_locked(m, one->in.key, err);
    bool last = --m->left == 0;
    if (last) {
        struct store_delete_many_out *out = m->parent->out;
        out->n_failures = m->n_failures;
        wb_finish_locked(m->parent, 0, NULL);
    }
    wb_unlock(m->wb);
    if (last)
        free(m);
}

void wb_delete_many(struct wb_call *c)
{
    const struct store_delete_many_in *in = c->in;
    struct store_delete_many_out *out = c->out;
    struct s3_error err;
    if (!in->n_keys || in->n_keys > STORE_DELETE_MANY_MAX) {
        int r = s3_error_set(&err, S3_ERROR_INVALID, "%zu keys in one request", in->n_keys);
        wb_finish(c, r, &err);
        return;
    }
    struct many *m = calloc(1, sizeof(*m));
    CLEANUP_FREE struct many_one **all = calloc(in->n_keys, sizeof(struct many_one *));
    size_t n = 0;
    *out = (struct store_delete_many_out){.arena = ARENA_INIT(4 * MIB)};
    out->failures = arena_alloc(&out->arena, in->n_keys * sizeof(*out->failures));
    while (m && all && out->failures && n < in->n_keys && (all[n] = calloc(1, sizeof(*all[n]))))
        n++;
    if (n < in->n_keys) {
        while (n > 0)
            free(all[--n]);
        free(m);
        store_delete_many_out_done(out);
        wb_finish(c, wb_no_memory(&err), &err);
        return;
    }
    *m = (struct many){.parent = c, .wb = c->wb, .left = n};
    for (size_t i = 0; i < n; i++) {
        struct many_one *one = all[i];
        one->many = m;
        one->in = (struct store_delete_in){.key = in->keys[i],
                                           .if_match = in->etags ? in->etags[i] : NULL};
        one->call = (struct wb_call){
            .wb = c->wb, .op = STORE_DELETE, .in = &one->in, .done = many_done, .ctx = one};
        wb_delete(&one->call);
    }
}

/* ---- direct ones ---- */

/* Its parts are in the store already; what is pending for the key goes first. */
void wb_complete(struct wb_call *c)
{
    struct writeback *wb = c->wb;
    const struct store_upload_complete_in *in = c->in;
    struct s3_error err = {0};
    struct wb_op *op = wb_op_new(WB_PUT);
    if (!op) {
        wb_finish(c, wb_no_memory(&err), &err);
        return;
    }
    op->call = c;
    pthread_mutex_lock(&wb->lock);
    struct wb_key *k = wb_key_get_locked(wb, in->key, true);
    if (!k) {
        refuse_locked(c, op, NULL, wb_no_memory(&err), &err);
    } else if (stall_locked(c, k)) {
        wb_op_free_locked(wb, op);
    } else {
        struct wb_op *v = wb_visible_locked(k);
        int r = v ? wb_check_locked(v, in->key, in->if_match, in->if_absent, &err) : 0;
        if (r == 0 && (set_condition_locked(op, v, in->key, in->if_match, in->if_absent) ||
                       wb_link_locked(wb, op, k, NULL)))
            r = wb_no_memory(&err);
        if (r < 0)
            refuse_locked(c, op, k, r, &err);
        else
            direct_locked(wb, op);
    }
    wb_unlock(wb);
}

void wb_direct_done_locked(struct writeback *wb, struct wb_op *op, int result,
                           const struct s3_error *err)
{
    struct wb_call *c = TAKE_PTR(op->call);
    wb->directs--;
    wb_finish_locked(c, result, err);
    wb_unlink_locked(wb, op);
}

struct part_pass {
    struct wb_call *call;
    struct store_upload_part_copy_in in;
    char etag[STORE_ETAG_SIZE];
};

static void part_passed(void *ctx, int result, const struct s3_error *err)
{
    struct part_pass *p = ctx;
    wb_finish(p->call, result, err);
    free(p);
}

/* Reads a version that the store must have. */
void wb_part_copy(struct wb_call *c)
{
    struct writeback *wb = c->wb;
    const struct store_upload_part_copy_in *in = c->in;
    struct part_pass *p = calloc(1, sizeof(*p));
    struct s3_error err;
    if (!p) {
        wb_finish(c, wb_no_memory(&err), &err);
        return;
    }
    pthread_mutex_lock(&wb->lock);
    struct wb_key *k = wb_key_get_locked(wb, in->source_key, false);
    if (k && stall_locked(c, k)) {
        wb_unlock(wb);
        free(p);
        return;
    }
    if (k && wb_visible_locked(k)) {
        if (wb_wait_for_key_locked(c, k) < 0)
            wb_finish_locked(c, wb_no_memory(&err), &err);
        wb_unlock(wb);
        free(p);
        return;
    }
    p->call = c;
    p->in = *in;
    if (in->source_if_match) {
        (void)snprintf(p->etag, sizeof(p->etag), "%s",
                       alias_real(wb->aliases, in->source_key, in->source_if_match));
        p->in.source_if_match = p->etag;
    }
    wb_unlock(wb);
    int r = store_submit(wb->inner, STORE_UPLOAD_PART_COPY, &p->in, c->out, part_passed, p);
    if (r < 0)
        part_passed(p, wb_no_memory(&err), &err);
}
