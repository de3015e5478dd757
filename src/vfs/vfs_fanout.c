/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "vfs/vfs_impl.h"

struct fanout {
    struct store *store;
    unsigned limit;
    pthread_mutex_t lock;
    pthread_cond_t less;
    /* protected by lock */
    unsigned running;
    int result; /* the first failure */
    struct s3_error error;
};

struct fanout_call {
    struct fanout *f;
    fanout_fn done;
    void *ctx;
};

int fanout_new(struct store *store, unsigned limit, struct fanout **ret)
{
    struct fanout *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->store = store;
    f->limit = limit > 0 ? limit : 1;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->less, NULL);
    *ret = f;
    return 0;
}

static void finish(struct fanout *f, int result, const struct s3_error *err)
{
    pthread_mutex_lock(&f->lock);
    if (result < 0 && f->result == 0) {
        f->result = result;
        if (err)
            f->error = *err;
    }
    f->running--;
    pthread_cond_signal(&f->less);
    pthread_mutex_unlock(&f->lock);
}

static void call_done(void *ctx, int result, const struct s3_error *err)
{
    struct fanout_call *c = ctx;
    struct fanout *f = c->f;
    if (c->done) {
        c->done(c->ctx, result, err);
        result = 0;
    }
    free(c);
    finish(f, result, err);
}

int fanout_submit(struct fanout *f, enum store_op op, const void *in, void *out, fanout_fn done,
                  void *ctx)
{
    struct fanout_call *c = malloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    *c = (struct fanout_call){.f = f, .done = done, .ctx = ctx};

    pthread_mutex_lock(&f->lock);
    while (f->running >= f->limit)
        pthread_cond_wait(&f->less, &f->lock);
    int r = f->result;
    if (r == 0)
        f->running++;
    pthread_mutex_unlock(&f->lock);
    if (r < 0) {
        free(c);
        return r;
    }
    r = store_submit(f->store, op, in, out, call_done, c);
    if (r < 0) {
        free(c);
        finish(f, r, NULL);
    }
    return r;
}

int fanout_wait(struct fanout *f, struct s3_error *err)
{
    SCOPE_LOCK(&f->lock);
    while (f->running > 0)
        pthread_cond_wait(&f->less, &f->lock);
    if (f->result < 0 && err)
        *err = f->error;
    return f->result;
}

void fanout_free(struct fanout *f)
{
    if (!f)
        return;
    (void)fanout_wait(f, NULL);
    pthread_cond_destroy(&f->less);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
