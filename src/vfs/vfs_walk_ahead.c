/* SPDX-License-Identifier: Apache-2.0 */
/* The next page of a walk, asked for while the program still goes through the last one: when two
 * pages in a row were those of the same walk. One at a time, and of one walk; what it tells is
 * taken only by who asks for that very page (vfs_walk.c). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_impl.h"

struct vfs_walk_ahead {
    struct vfs *vfs;
    /* constant */
    char *base;
    char *after;
    uint64_t start_ns;
    uint64_t n_changes; /* walk.n_changes at the start */
    struct store_list_in in;
    /* protected by vfs.lock; page and result while it does not run */
    bool running;
    bool abandoned; /* the answer frees it */
    int result;
    struct store_page page;
};

static void ahead_free(struct vfs_walk_ahead *a)
{
    if (a->result == 0)
        store_page_done(&a->page);
    free(a->base);
    free(a->after);
    free(a);
}

static void ended_locked(struct vfs_walk_ahead *a, int result)
{
    struct vfs *v = a->vfs;
    a->running = false;
    a->result = result;
    if (a->abandoned)
        ahead_free(a);
    v->n_list_calls--;
    pthread_cond_broadcast(&v->changed);
}

static void on_page(void *ctx, int result, const struct s3_error *err)
{
    struct vfs_walk_ahead *a = ctx;
    (void)err; /* who wants the page asks again */
    SCOPE_LOCK(&a->vfs->lock);
    ended_locked(a, result);
}

void vfs_walk_ahead_drop_locked(struct vfs *v)
{
    struct vfs_walk_ahead *a = v->walk.ahead;
    v->walk.ahead = NULL;
    if (a && a->running)
        a->abandoned = true;
    else if (a)
        ahead_free(a);
}

void vfs_walk_ahead_send_locked(struct vfs *v, const char *base, const char *after)
{
    struct vfs_walk_ahead *a = calloc(1, sizeof(*a));
    vfs_walk_ahead_drop_locked(v);
    if (!a)
        return;
    a->vfs = v;
    a->base = strdup(base);
    a->after = strdup(after);
    a->result = -EIO;
    if (!a->base || !a->after) {
        ahead_free(a);
        return;
    }
    a->start_ns = vfs_now(v);
    a->n_changes = v->walk.n_changes;
    a->in = (struct store_list_in){.prefix = a->base, .start_after = a->after};
    a->running = true;
    v->walk.ahead = a;
    v->n_list_calls++;
    pthread_mutex_unlock(&v->lock);
    int r = store_submit(v->store, STORE_LIST, &a->in, &a->page, on_page, a);
    pthread_mutex_lock(&v->lock);
    if (r < 0)
        ended_locked(a, r);
}

static bool is_it(const struct vfs_walk_ahead *a, const char *base, const char *after)
{
    return a && strcmp(a->base, base) == 0 && strcmp(a->after, after) == 0;
}

bool vfs_walk_ahead_take_locked(struct vfs *v, const char *base, const char *after,
                                struct store_page *page, uint64_t *start_ns, uint64_t *n_changes)
{
    while (is_it(v->walk.ahead, base, after) && v->walk.ahead->running)
        pthread_cond_wait(&v->changed, &v->lock);
    struct vfs_walk_ahead *a = v->walk.ahead;
    if (!is_it(a, base, after))
        return false;
    bool use = a->result == 0 && v->walk.n_changes - a->n_changes <= VFS_WALK_CHANGES &&
               vfs_now(v) < vfs_after(a->start_ns, v->opts.metadata_ttl_ns);
    if (use) {
        *page = a->page;
        *start_ns = a->start_ns;
        *n_changes = a->n_changes;
        a->result = -EIO; /* the page is the caller's */
    }
    vfs_walk_ahead_drop_locked(v);
    return use;
}
