/* SPDX-License-Identifier: Apache-2.0 */
/* HEAD and GET: what is pending, else what the store has, under the names that were announced. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_limits.h"
#include "writeback/writeback_impl.h"

#define PIECE_SIZE (1 * MIB)
#define TRIES_MAX  8u /* reads that found that what they were to read had moved on */

/* ---- passing on ---- */

static void passed(void *ctx, int result, const struct s3_error *err)
{
    wb_finish(ctx, result, err);
}

void wb_pass(struct wb_call *c)
{
    struct s3_error err;
    int r = store_submit(c->wb->inner, c->op, c->in, c->out, passed, c);
    if (r < 0)
        wb_finish(c, r == -ENOMEM ? wb_no_memory(&err) : r, r == -ENOMEM ? &err : NULL);
}

/* The version that the store tells of is one that was announced otherwise. */
static void announce_locked(struct writeback *wb, const char *key, struct store_object *o)
{
    const struct alias *a = alias_find(wb->aliases, key);
    if (!a || strcmp(a->real, o->etag) != 0)
        return;
    (void)snprintf(o->etag, sizeof(o->etag), "%s", a->announced);
    o->mtime_ns = a->mtime_ns;
}

/* ---- HEAD ---- */

static void headed(void *ctx, int result, const struct s3_error *err)
{
    struct wb_call *c = ctx;
    struct writeback *wb = c->wb;
    const struct store_head_in *in = c->in;
    if (result == 0 && c->out) {
        pthread_mutex_lock(&wb->lock);
        announce_locked(wb, in->key, c->out);
        pthread_mutex_unlock(&wb->lock);
    }
    wb_finish(c, result, err);
}

void wb_head(struct wb_call *c)
{
    struct writeback *wb = c->wb;
    const struct store_head_in *in = c->in;
    struct s3_error err = {0};
    pthread_mutex_lock(&wb->lock);
    struct wb_op *v = wb_visible_locked(wb_key_get_locked(wb, in->key, false));
    if (v) {
        int r = 0;
        if (v->kind == WB_DELETE)
            r = wb_no_such_key(in->key, &err);
        else if (c->out && wb_object_locked(v, c->out))
            r = wb_no_memory(&err);
        wb_finish_locked(c, r, r ? &err : NULL);
    }
    wb_unlock(wb);
    if (v)
        return;
    int r = store_submit(wb->inner, STORE_HEAD, c->in, c->out, headed, c);
    if (r < 0)
        headed(c, wb_no_memory(&err), &err);
}

/* ---- GET from the store, or of what a pending copy is of ---- */

struct get_pass {
    struct wb_call *call;
    struct store_get_in in;
    struct store_sink sink;
    char *key; /* owned when it is not the caller's */
    char etag[STORE_ETAG_SIZE];
    bool copied; /* shown as: */
    struct store_object shown;
    bool begun;
};

static int pass_begin(void *ctx, const struct store_object *o)
{
    struct get_pass *g = ctx;
    const struct store_get_in *in = g->call->in;
    struct writeback *wb = g->call->wb;
    struct store_object as = *o;
    g->begun = true;
    if (!in->sink->begin)
        return 0;
    if (g->copied)
        return in->sink->begin(in->sink->ctx, &g->shown);
    pthread_mutex_lock(&wb->lock);
    announce_locked(wb, in->key, &as);
    pthread_mutex_unlock(&wb->lock);
    return in->sink->begin(in->sink->ctx, &as);
}

static int pass_write(void *ctx, const void *data, size_t len)
{
    struct get_pass *g = ctx;
    const struct store_get_in *in = g->call->in;
    return in->sink->write(in->sink->ctx, data, len);
}

static bool pass_unwanted(void *ctx)
{
    struct get_pass *g = ctx;
    const struct store_get_in *in = g->call->in;
    return in->sink->unwanted && in->sink->unwanted(in->sink->ctx);
}

static void got(void *ctx, int result, const struct s3_error *err)
{
    struct get_pass *g = ctx;
    struct wb_call *c = g->call;
    struct store_object *out = c->out;
    const struct store_get_in *in = c->in;
    /* What was to be copied went, because it has been: the answer is elsewhere now. */
    bool moved = result < 0 && g->copied && !g->begun && err &&
                 (err->kind == S3_ERROR_PRECONDITION || err->kind == S3_ERROR_NO_SUCH_KEY) &&
                 ++c->tries < TRIES_MAX;
    if (result == 0 && out && g->copied) {
        store_object_done(out);
        *out = g->shown;
        g->shown = (struct store_object){0};
    } else if (result == 0 && out) {
        pthread_mutex_lock(&c->wb->lock);
        announce_locked(c->wb, in->key, out);
        pthread_mutex_unlock(&c->wb->lock);
    }
    store_object_done(&g->shown);
    free(g->key);
    free(g);
    if (moved)
        wb_get(c);
    else
        wb_finish(c, result, err);
}

static void get_submit(struct get_pass *g)
{
    struct s3_error err;
    int r = store_submit(g->call->wb->inner, STORE_GET, &g->in, g->call->out, got, g);
    if (r < 0)
        got(g, wb_no_memory(&err), &err);
}

/* What a copy of a copy is of. */
static struct wb_op *origin_of(const struct wb_op *v)
{
    while (v->source_op)
        v = v->source_op;
    return (struct wb_op *)(uintptr_t)v;
}

/* v NULL: the key itself. */
static struct get_pass *new_pass_locked(struct wb_call *c, const struct wb_op *v)
{
    const struct store_get_in *in = c->in;
    struct writeback *wb = c->wb;
    struct get_pass *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->call = c;
    g->in = *in;
    g->sink = (struct store_sink){
        .begin = pass_begin, .write = pass_write, .ctx = g, .unwanted = pass_unwanted};
    g->in.sink = &g->sink;
    if (!v) {
        if (in->if_match) {
            (void)snprintf(g->etag, sizeof(g->etag), "%s",
                           alias_real(wb->aliases, in->key, in->if_match));
            g->in.if_match = g->etag;
        }
        return g;
    }
    g->copied = true;
    const struct wb_op *origin = origin_of(v);
    g->key = strdup(origin->source->key);
    g->in.key = g->key;
    g->in.if_match = NULL;
    if (origin->source_etag) {
        (void)snprintf(g->etag, sizeof(g->etag), "%s", origin->source_etag);
        g->in.if_match = g->etag;
    }
    if (!g->key || wb_object_locked(v, &g->shown)) {
        free(g->key);
        free(g);
        return NULL;
    }
    return g;
}

/* ---- GET of content that is here ---- */

struct get_body {
    struct wb_call *call;
    struct wb_body *body;
    uint64_t seq;
    char etag[STORE_ETAG_SIZE]; /* of the content */
    struct store_object o;
    uint64_t offset, length;
};

static int serve_memory(const struct get_body *g, const char *data)
{
    const struct store_get_in *in = g->call->in;
    for (uint64_t at = 0; at < g->length;) {
        size_t n = MIN(g->length - at, PIECE_SIZE);
        int r = in->sink->write(in->sink->ctx, data + g->offset + at, n);
        if (r)
            return r;
        at += n;
    }
    return 0;
}

static int serve_file(const struct get_body *g, int fd, int *ret_disk)
{
    const struct store_get_in *in = g->call->in;
    CLEANUP_FREE char *piece = malloc(PIECE_SIZE);
    if (!piece)
        return *ret_disk = -ENOMEM;
    for (uint64_t at = 0; at < g->length;) {
        ssize_t n = pread(fd, piece, MIN(g->length - at, PIECE_SIZE), (off_t)(g->offset + at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return *ret_disk = n < 0 ? -errno : -EIO;
        int r = in->sink->write(in->sink->ctx, piece, (size_t)n);
        if (r)
            return r;
        at += (uint64_t)n;
    }
    return 0;
}

static void serve_end(struct get_body *g, int result, const struct s3_error *err)
{
    struct wb_call *c = g->call;
    struct writeback *wb = c->wb;
    struct store_object *out = c->out;
    if (result == 0 && out)
        *out = g->o;
    else
        store_object_done(&g->o);
    pthread_mutex_lock(&wb->lock);
    wb_body_unref_locked(wb, g->body);
    wb_finish_locked(c, result, err);
    wb_unlock(wb);
    free(g);
}

static void serve(void *arg)
{
    struct get_body *g = arg;
    struct wb_call *c = g->call;
    struct writeback *wb = c->wb;
    const struct store_get_in *in = c->in;
    struct s3_error err = {0};
    CLEANUP_FREE void *loaded = NULL;
    CLEANUP_FD int fd = -1;
    const void *data = g->body->data;
    int disk = 0, r = 0;
    if (!data && g->body->file) {
        fd = wb_body_open(wb, g->body);
        disk = fd < 0 ? fd : wb_file_check(g->body, fd, g->etag);
    } else if (!data) {
        disk = wb_body_load(wb, g->body, g->seq, &loaded);
        data = loaded;
        if (disk == 0) /* what the disk has altered is not shown */
            disk = wb_data_check(data, g->body->size, g->etag);
        if (disk == -ENOENT && ++c->tries < TRIES_MAX) { /* the row went: the store has it */
            pthread_mutex_lock(&wb->lock);
            wb_body_unref_locked(wb, g->body);
            wb_unlock(wb);
            store_object_done(&g->o);
            free(g);
            wb_get(c);
            return;
        }
    }
    if (disk == 0 && in->sink->begin)
        r = in->sink->begin(in->sink->ctx, &g->o);
    if (disk == 0 && r == 0)
        r = data ? serve_memory(g, data) : serve_file(g, fd, &disk);
    if (disk < 0) {
        (void)s3_error_set(&err, disk == -ENOMEM ? S3_ERROR_OUT_OF_MEMORY : S3_ERROR_BAD_RESPONSE,
                           "the pending content of '%s' cannot be read: %s", in->key,
                           strerror(-disk));
        r = disk == -ENOMEM ? disk : -EIO;
    } else if (r) {
        (void)s3_error_set(&err, S3_ERROR_BAD_RESPONSE, "the receiver ended the transfer of '%s'",
                           in->key);
    }
    serve_end(g, r, r ? &err : NULL);
}

static struct get_body *new_body_locked(struct wb_call *c, struct wb_op *v)
{
    struct wb_op *origin = origin_of(v);
    const struct store_get_in *in = c->in;
    struct get_body *g = calloc(1, sizeof(*g));
    if (!g || wb_object_locked(v, &g->o)) {
        free(g);
        return NULL;
    }
    g->call = c;
    g->seq = origin->seq;
    g->body = origin->body;
    (void)snprintf(g->etag, sizeof(g->etag), "%s", origin->etag);
    g->body->refs++;
    g->offset = in->length ? in->offset : 0;
    g->length = in->length ? MIN(in->length, v->size - in->offset) : v->size;
    return g;
}

static int check_locked(const struct wb_op *v, const struct store_get_in *in, struct s3_error *err)
{
    if (v->kind == WB_DELETE)
        return wb_no_such_key(in->key, err);
    if (in->if_match && strcmp(in->if_match, v->etag) != 0)
        return wb_precondition(in->key, err);
    if (in->length && in->offset >= v->size) {
        int r = s3_error_set(err, S3_ERROR_BAD_RANGE, "'%s' ends before the range", in->key);
        if (err)
            err->http_status = 416;
        return r;
    }
    return 0;
}

void wb_get(struct wb_call *c)
{
    struct writeback *wb = c->wb;
    const struct store_get_in *in = c->in;
    struct s3_error err = {0};
    struct get_body *here = NULL;
    struct get_pass *there = NULL;
    bool queued = false;
    pthread_mutex_lock(&wb->lock);
    struct wb_op *v = wb_visible_locked(wb_key_get_locked(wb, in->key, false));
    int r = v ? check_locked(v, in, &err) : 0;
    if (r == 0) {
        if (v && origin_of(v)->body)
            here = new_body_locked(c, v);
        else
            there = new_pass_locked(c, v);
        if (!here && !there)
            r = wb_no_memory(&err);
    }
    if (r < 0)
        wb_finish_locked(c, r, &err);
    wb_unlock(wb);
    if (here && !here->body->data)
        queued = threadpool_submit(wb->pool, serve, here) == 0;
    if (here && !queued)
        serve(here);
    if (there)
        get_submit(there);
}
