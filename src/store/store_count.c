/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_count.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/cleanup.h"

struct store_count {
    struct store store; /* first */
    struct store *inner;
    struct store_count_options opts;
    pthread_mutex_t lock;
    struct store_count_figures figures[STORE_OP_MAX]; /* protected by lock */
};

struct count_call {
    struct store_count *c;
    enum store_op op;
    store_done_fn done;
    void *ctx;
    /* For GET: the caller's sink behind one that counts. */
    struct store_get_in get;
    const struct store_sink *sink;
    struct store_sink counting;
};

static void count_bytes(struct store_count *c, enum store_op op, uint64_t n)
{
    SCOPE_LOCK(&c->lock);
    c->figures[op].bytes += n;
}

static uint64_t body_size(const struct iovec *iov, int n)
{
    uint64_t size = 0;
    for (int i = 0; i < n; i++)
        size += iov[i].iov_len;
    return size;
}

static int sink_begin(void *ctx, const struct store_object *o)
{
    struct count_call *call = ctx;
    return call->sink->begin ? call->sink->begin(call->sink->ctx, o) : 0;
}

static int sink_write(void *ctx, const void *data, size_t len)
{
    struct count_call *call = ctx;
    count_bytes(call->c, STORE_GET, len);
    return call->sink->write(call->sink->ctx, data, len);
}

static void count_end(struct store_count *c, enum store_op op, int result)
{
    SCOPE_LOCK(&c->lock);
    c->figures[op].running--;
    if (result)
        c->figures[op].failed++;
}

static void count_done(void *ctx, int result, const struct s3_error *err)
{
    struct count_call *call = ctx;
    count_end(call->c, call->op, result);
    call->done(call->ctx, result, err);
    free(call);
}

static int count_submit(struct store *s, enum store_op op, const void *in, void *out,
                        store_done_fn done, void *ctx)
{
    struct store_count *c = CONTAINER_OF(s, struct store_count, store);
    if (op == STORE_FLUSH) /* no request */
        return store_submit(c->inner, op, in, out, done, ctx);
    struct count_call *call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    call->c = c;
    call->op = op;
    call->done = done;
    call->ctx = ctx;
    if (c->opts.observe)
        c->opts.observe(c->opts.ctx, op, in);

    pthread_mutex_lock(&c->lock);
    struct store_count_figures *f = &c->figures[op];
    f->requests++;
    f->running++;
    f->running_max = MAX(f->running_max, f->running);
    if (op == STORE_PUT)
        f->bytes += body_size(((const struct store_put_in *)in)->body,
                              ((const struct store_put_in *)in)->n_body);
    else if (op == STORE_UPLOAD_PART)
        f->bytes += body_size(((const struct store_upload_part_in *)in)->body,
                              ((const struct store_upload_part_in *)in)->n_body);
    pthread_mutex_unlock(&c->lock);

    if (op == STORE_GET) {
        call->get = *(const struct store_get_in *)in;
        call->sink = call->get.sink;
        call->counting = (struct store_sink){sink_begin, sink_write, call};
        call->get.sink = &call->counting;
        in = &call->get;
    }
    int r = store_submit(c->inner, op, in, out, count_done, call);
    if (r) {
        count_end(c, op, r);
        free(call);
    }
    return r;
}

static void count_free(struct store *s)
{
    struct store_count *c = CONTAINER_OF(s, struct store_count, store);
    store_free(c->inner);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static const struct store_ops COUNT_OPS = {.submit = count_submit, .free = count_free};

int store_count_new(struct store *inner, const struct store_count_options *opts, struct store **ret)
{
    struct store_count *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->store.ops = &COUNT_OPS;
    c->inner = inner;
    if (opts)
        c->opts = *opts;
    pthread_mutex_init(&c->lock, NULL);
    *ret = &c->store;
    return 0;
}

void store_count_get(struct store *s, enum store_op op, struct store_count_figures *ret)
{
    struct store_count *c = CONTAINER_OF(s, struct store_count, store);
    SCOPE_LOCK(&c->lock);
    *ret = c->figures[op];
}

uint64_t store_count_requests(struct store *s, enum store_op op)
{
    struct store_count_figures f;
    store_count_get(s, op, &f);
    return f.requests;
}

uint64_t store_count_all(struct store *s)
{
    uint64_t n = 0;
    for (int op = 0; op < STORE_OP_MAX; op++)
        n += store_count_requests(s, (enum store_op)op);
    return n;
}

const char *store_count_describe(struct store *s, char *buf, size_t size)
{
    size_t at = 0;
    if (size)
        buf[0] = '\0';
    for (int op = 0; op < STORE_OP_MAX && at < size; op++) {
        uint64_t n = store_count_requests(s, (enum store_op)op);
        if (!n)
            continue;
        int len = snprintf(buf + at, size - at, "%s%s %llu", at ? ", " : "",
                           store_op_name((enum store_op)op), (unsigned long long)n);
        at += len > 0 ? (size_t)len : 0;
    }
    return buf;
}

void store_count_reset(struct store *s)
{
    struct store_count *c = CONTAINER_OF(s, struct store_count, store);
    SCOPE_LOCK(&c->lock);
    for (int op = 0; op < STORE_OP_MAX; op++)
        c->figures[op] = (struct store_count_figures){.running = c->figures[op].running};
}
