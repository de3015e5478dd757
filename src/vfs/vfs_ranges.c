/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of a long directory after the first one, several requests at a time (meta/ranges.h says
 * for what). Nobody fetches ahead of the reader by himself: whoever wants the next page sends what
 * is to be sent, and takes what has come meanwhile. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meta/ranges.h"
#include "vfs/vfs_impl.h"

struct call {
    struct vfs_pager *pager;
    size_t id;
    bool running;
    bool came; /* to be taken */
    int result;
    struct store_list_in in;
    struct store_page page;
    struct s3_error error;
    char *token;
    char *after;
};

/* Lives until the listing has gone and the last answer has come. */
struct vfs_pager {
    struct vfs *vfs;
    char *prefix;
    struct ranges *ranges; /* used by the one who loads */
    pthread_mutex_t lock;
    pthread_cond_t answer;
    /* protected by lock */
    unsigned running;
    bool abandoned;
    unsigned n;
    struct call calls[];
};

static void pager_destroy(struct vfs_pager *p)
{
    for (unsigned i = 0; i < p->n; i++) {
        struct call *c = &p->calls[i];
        if (c->came && c->result == 0)
            store_page_done(&c->page);
        free(c->token);
        free(c->after);
    }
    ranges_free(p->ranges);
    free(p->prefix);
    pthread_cond_destroy(&p->answer);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static void abandon(void *arg)
{
    struct vfs_pager *p = arg;
    pthread_mutex_lock(&p->lock);
    p->abandoned = true;
    bool last = p->running == 0;
    pthread_mutex_unlock(&p->lock);
    if (last)
        pager_destroy(p);
}

static void ended(struct vfs *v)
{
    SCOPE_LOCK(&v->lock);
    if (--v->n_list_calls == 0)
        pthread_cond_broadcast(&v->changed);
}

void vfs_pager_wait_locked(struct vfs *v)
{
    while (v->n_list_calls > 0)
        pthread_cond_wait(&v->changed, &v->lock);
}

static void on_page(void *ctx, int result, const struct s3_error *err)
{
    struct call *c = ctx;
    struct vfs_pager *p = c->pager;
    struct vfs *v = p->vfs;
    pthread_mutex_lock(&p->lock);
    c->result = result;
    if (result < 0 && err)
        c->error = *err;
    c->running = false;
    c->came = true;
    p->running--;
    bool last = p->abandoned && p->running == 0;
    pthread_cond_signal(&p->answer);
    pthread_mutex_unlock(&p->lock);
    if (last)
        pager_destroy(p);
    ended(v);
}

int vfs_pager_new(struct vfs *v, const char *prefix, const struct store_page *first, struct dir *d)
{
    unsigned n = v->opts.parallel;
    struct vfs_pager *p = calloc(1, sizeof(*p) + n * sizeof(p->calls[0]));
    if (!p)
        return -ENOMEM;
    int r = ranges_new(prefix, first, &p->ranges);
    if (r == 0 && !(p->prefix = strdup(prefix)))
        r = -ENOMEM;
    if (r < 0) {
        ranges_free(p->ranges);
        free(p);
        return r;
    }
    p->vfs = v;
    p->n = n;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->answer, NULL);
    d->pager = p;
    d->pager_free = abandon;
    return 0;
}

/* ---- without vfs.lock, by the one who loads ---- */

static int send_one(struct vfs_pager *p, struct call *c, const struct range_request *q)
{
    const char *prefix = p->prefix;
    free(c->token);
    free(c->after);
    size_t len = strlen(prefix), after_len = q->after ? strlen(q->after) : 0;
    c->token = q->token ? strdup(q->token) : NULL;
    c->after = q->token ? NULL : malloc(len + after_len + 1);
    if (q->token ? !c->token : !c->after)
        return -ENOMEM;
    if (c->after) {
        memcpy(c->after, prefix, len);
        memcpy(c->after + len, q->after, after_len + 1);
    }
    c->pager = p;
    c->id = q->id;
    c->page = (struct store_page){0};
    c->error = (struct s3_error){0};
    c->in = (struct store_list_in){
        .prefix = prefix, .delimited = true, .token = c->token, .start_after = c->after};
    pthread_mutex_lock(&p->lock);
    c->running = true;
    p->running++;
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_lock(&p->vfs->lock);
    p->vfs->n_list_calls++;
    pthread_mutex_unlock(&p->vfs->lock);
    int r = store_submit(p->vfs->store, STORE_LIST, &c->in, &c->page, on_page, c);
    if (r < 0) {
        pthread_mutex_lock(&p->lock);
        c->running = false;
        p->running--;
        pthread_mutex_unlock(&p->lock);
        ended(p->vfs);
    }
    return r;
}

/* Sends what there is to ask for. 0, or why nothing is under way. */
static int send_all(struct vfs_pager *p)
{
    struct range_request q;
    int r = 0;
    for (unsigned i = 0; i < p->n && r == 0; i++) {
        struct call *c = &p->calls[i];
        pthread_mutex_lock(&p->lock);
        bool used = c->running || c->came;
        pthread_mutex_unlock(&p->lock);
        if (used)
            continue;
        if (!ranges_next(p->ranges, p->n, &q))
            break;
        r = send_one(p, c, &q);
        if (r < 0)
            ranges_failed(p->ranges, q.id);
    }
    pthread_mutex_lock(&p->lock);
    bool some = p->running > 0;
    for (unsigned i = 0; i < p->n; i++)
        some |= p->calls[i].came;
    pthread_mutex_unlock(&p->lock);
    return some ? 0 : r < 0 ? r : -EIO;
}

static void wait_answer(struct vfs_pager *p)
{
    pthread_mutex_lock(&p->lock);
    for (;;) {
        bool came = p->running == 0;
        for (unsigned i = 0; i < p->n; i++)
            came |= p->calls[i].came;
        if (came)
            break;
        pthread_cond_wait(&p->answer, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

/* ---- with it ---- */

static int take_locked(struct vfs *v, struct inode *dir, struct dir *d, const char *prefix,
                       struct call *c, struct s3_error *err)
{
    struct ranges *ranges = c->pager->ranges;
    const struct dir_gap *gaps;
    bool use = false;
    if (c->result < 0) {
        ranges_failed(ranges, c->id);
        if (err)
            *err = c->error;
        return c->result;
    }
    int r = dir_check_page(prefix, &c->page, err);
    if (r < 0)
        ranges_failed(ranges, c->id);
    else
        r = ranges_answer(ranges, c->id, &c->page, &use);
    size_t n_gaps = r == 0 ? ranges_gaps(ranges, &gaps) : 0;
    if (r == 0 && (use || n_gaps == 0)) {
        size_t before = d->bytes;
        r = dir_add_part(d, prefix, &c->page, gaps, n_gaps, err);
        vfs_listing_added_locked(v, dir, d, before, r);
    }
    store_page_done(&c->page);
    return r;
}

int vfs_pager_more_locked(struct vfs *v, struct inode *dir, struct dir *d, const char *prefix,
                          struct s3_error *err)
{
    struct vfs_pager *p = d->pager;
    pthread_mutex_unlock(&v->lock);
    int r = send_all(p);
    if (r == 0)
        wait_answer(p);
    pthread_mutex_lock(&v->lock);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < p->n; i++) {
        struct call *c = &p->calls[i];
        pthread_mutex_lock(&p->lock);
        bool came = c->came;
        pthread_mutex_unlock(&p->lock);
        if (!came)
            continue;
        int taken = take_locked(v, dir, d, prefix, c, err);
        pthread_mutex_lock(&p->lock);
        c->came = false;
        pthread_mutex_unlock(&p->lock);
        if (taken < 0)
            r = taken;
        if (d->complete)
            break;
    }
    v->walk.off |= ranges_distrusted(p->ranges);
    if (d->complete) {
        d->pager = NULL; /* what is still under way tells nothing new */
        abandon(p);
        return 0;
    }
    if (r < 0)
        return r;
    /* While the reader takes what has come, the next ones are on their way. */
    pthread_mutex_unlock(&v->lock);
    (void)send_all(p);
    pthread_mutex_lock(&v->lock);
    return 0;
}
