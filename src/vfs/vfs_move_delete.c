/* SPDX-License-Identifier: Apache-2.0 */
/* Walking through all keys below a prefix, and deleting them by the page, each on condition. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/store_limits.h"
#include "vfs/vfs_move_impl.h"

/* Batches under way. */
#define PARALLEL 4u

/* ---- pages of a listing ---- */

int move_next_page(struct vfs *v, struct move_cursor *c, struct store_page *ret,
                   struct s3_error *err)
{
    struct store_list_in in = {.prefix = c->prefix, .token = c->token};
    if (c->end)
        return 0;
    int r = store_list(v->store, &in, ret, err);
    if (r < 0)
        return r;
    c->pages++;
    free(c->token);
    c->token = ret->next_token ? strdup(ret->next_token) : NULL;
    c->end = !ret->next_token;
    if (ret->next_token && !c->token) {
        store_page_done(ret);
        return -ENOMEM;
    }
    return 1;
}

char *move_key(const char *key, const char *from, const char *to)
{
    size_t from_len = strlen(from), to_len = strlen(to), len = strlen(key);
    char *p;
    if (len < from_len || memcmp(key, from, from_len) != 0 || !(p = malloc(to_len + len + 1)))
        return NULL;
    memcpy(p, to, to_len);
    memcpy(p + to_len, key + from_len, len - from_len + 1);
    return p;
}

/* ---- batches ---- */

int move_deleter_init(struct move_deleter *d, struct vfs *v, const char *prefix)
{
    *d = (struct move_deleter){.v = v, .prefix = prefix};
    int r = fanout_new(v->store, PARALLEL, &d->f);
    if (r == 0)
        pthread_mutex_init(&d->lock, NULL);
    return r;
}

struct move_batch *move_batch_new(struct move_deleter *d)
{
    struct move_batch *b = calloc(1, sizeof(*b));
    if (b)
        b->deleter = d;
    return b;
}

void move_batch_add(struct move_batch *b, const struct store_entry *e)
{
    b->keys[b->n] = e->key;
    b->etags[b->n++] = e->etag;
}

static void batch_free(struct move_batch *b)
{
    store_page_done(&b->page);
    free(b);
}

static void fail(struct move_deleter *d, int result, const struct s3_error *err)
{
    pthread_mutex_lock(&d->lock);
    if (d->result == 0) {
        d->result = result;
        if (err)
            d->error = *err;
    }
    pthread_mutex_unlock(&d->lock);
}

static bool is_refusal(enum s3_error_kind kind)
{
    return kind == S3_ERROR_PRECONDITION || kind == S3_ERROR_CONFLICT;
}

/* To be looked at when all is answered. */
static void note_refused(struct move_batch *b, const char *key)
{
    struct move_deleter *d = b->deleter;
    int r = -EIO; /* of none that was asked for */
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < b->n; i++) {
        if (strcmp(b->keys[i], key) != 0)
            continue;
        r = move_set_add(&d->refused, move_hash('r', key, b->etags[i]));
        if (r == 0)
            r = move_set_add(&d->refused, move_hash('k', key, ""));
        break;
    }
    pthread_mutex_unlock(&d->lock);
    if (r < 0)
        fail(d, r, NULL);
}

static void batch_done(void *ctx, int result, const struct s3_error *err)
{
    struct move_batch *b = ctx;
    if (result < 0)
        fail(b->deleter, result, err);
    for (size_t i = 0; result == 0 && i < b->out.n_failures; i++) {
        const struct store_delete_failure *f = &b->out.failures[i];
        struct s3_error e;
        if (is_refusal(f->kind))
            note_refused(b, f->key);
        else if (f->kind != S3_ERROR_NO_SUCH_KEY)
            fail(b->deleter,
                 s3_error_set(&e, f->kind, "'%s': %s", f->key, f->message ? f->message : ""), &e);
    }
    if (result == 0)
        store_delete_many_out_done(&b->out);
    batch_free(b);
}

int move_batch_send(struct move_batch *b, int result)
{
    if (!b || b->n == 0 || result < 0) {
        if (b)
            batch_free(b);
        return result;
    }
    struct move_deleter *d = b->deleter;
    pthread_mutex_lock(&d->lock);
    result = d->result;
    pthread_mutex_unlock(&d->lock);
    b->in = (struct store_delete_many_in){.keys = b->keys, .n_keys = b->n, .etags = b->etags};
    if (result == 0)
        result = fanout_submit(d->f, STORE_DELETE_MANY, &b->in, &b->out, batch_done, b);
    if (result < 0)
        batch_free(b);
    return result;
}

static int settle_refused(struct move_deleter *d, const struct store_entry *e, struct s3_error *err)
{
    if (!move_set_has(&d->refused, move_hash('k', e->key, "")))
        return 0;
    struct s3_error local = {0};
    int r = -ESTALE;
    local.kind = S3_ERROR_PRECONDITION;
    if (e->etag && move_set_has(&d->refused, move_hash('r', e->key, e->etag)))
        r = store_delete(d->v->store, e->key, e->etag, &local);
    if (r == 0 || local.kind == S3_ERROR_NO_SUCH_KEY)
        return 0;
    if (local.kind != S3_ERROR_PRECONDITION) {
        *err = local;
        return r;
    }
    log_info("'%s' was stored by somebody else meanwhile, and stays", e->key);
    d->left++;
    return 0;
}

/* Lists anew, which is little when most has gone. */
static int settle_all_refused(struct move_deleter *d, struct s3_error *err)
{
    struct move_cursor c = {.prefix = d->prefix};
    struct store_page page;
    int r = 0;
    while (r == 0 && (r = move_next_page(d->v, &c, &page, err)) > 0) {
        r = 0;
        for (size_t i = 0; i < page.n_entries && r == 0; i++)
            r = settle_refused(d, &page.entries[i], err);
        store_page_done(&page);
    }
    free(c.token);
    return r;
}

int move_deleter_done(struct move_deleter *d, int result, struct s3_error *err)
{
    (void)fanout_wait(d->f, NULL);
    fanout_free(d->f);
    pthread_mutex_destroy(&d->lock);
    if (result == 0 && d->result == 0 && d->refused.n > 0)
        d->result = settle_all_refused(d, &d->error);
    free(d->refused.slots);
    if (d->result < 0 && err)
        *err = d->error;
    return d->result < 0 ? d->result : result;
}
