/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are read in the order of their listings (vfs_order.c): the next ones are fetched ahead
 * of their opens. Opens alone say nothing: cp lets the store copy.
 *
 * Small ones are fetched whole, as by any read of them; so what is lost when the program stops is
 * what it did not come to. Larger ones are fetched as far as the walk is trusted: twice as much as
 * it has read of whole files, and nothing any more once it has closed one before its end.
 *
 * What is fetched is a reader that has asked already. It is handed to the first handle that reads
 * the file, if the file is still of the version that the listing told when it was asked for, and no
 * older than SIBLING_AGE_NS: a program that walks a directory sees what another host stored up to
 * that long before the open, not up to the open. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_impl.h"

/* Of small files, which need no trust: one, and all of them. */
#define SMALL_MAX      MIB
#define SMALL_MAX_ALL  (16 * MIB)
#define SIBLING_AGE_NS ((uint64_t)NS_PER_S)
/* Entries that are looked at for the next files. */
#define LOOK_MAX 512u

static bool is_of(const struct vfs_sibling *s, const char *key)
{
    return s->reader && strcmp(s->key, key) == 0;
}

/* Its reader is the caller's. */
static struct reader *empty_locked(struct vfs_siblings *all, struct vfs_sibling *s)
{
    struct reader *r = s->reader;
    all->bytes -= s->bytes;
    free(s->key);
    *s = (struct vfs_sibling){0};
    return r;
}

static bool is_old(struct vfs *v, const struct vfs_sibling *s)
{
    return vfs_now(v) - s->since_ns > SIBLING_AGE_NS;
}

/* The walk that it was for is trusted less. */
static void old_for_nothing_locked(struct vfs *v, const struct vfs_sibling *s)
{
    struct vfs_file_walk *w = vfs_order_find_locked(v, s->walk);
    if (w)
        vfs_order_wasted(w);
}

struct reader *vfs_sibling_take_locked(struct vfs *v, const char *key, const char *etag,
                                       struct reader **ret_old)
{
    struct vfs_siblings *all = &v->siblings;
    *ret_old = NULL;
    for (unsigned i = 0; all->bytes && i < VFS_SIBLINGS; i++) {
        struct vfs_sibling *s = &all->at[i];
        if (!is_of(s, key))
            continue;
        bool old = is_old(v, s), good = !old && strcmp(s->etag, etag) == 0;
        if (old)
            old_for_nothing_locked(v, s);
        struct reader *r = empty_locked(all, s);
        if (good)
            return r;
        *ret_old = r;
    }
    return NULL;
}

void vfs_siblings_free(struct vfs *v)
{
    for (unsigned i = 0; i < VFS_SIBLINGS; i++)
        if (v->siblings.at[i].reader)
            reader_free(empty_locked(&v->siblings, &v->siblings.at[i]));
}

void vfs_siblings_expire_locked(struct vfs *v)
{
    struct reader *old[VFS_SIBLINGS];
    uint64_t next = UINT64_MAX;
    unsigned n = 0;
    for (unsigned i = 0; i < VFS_SIBLINGS; i++) {
        struct vfs_sibling *s = &v->siblings.at[i];
        if (!s->reader)
            continue;
        if (is_old(v, s)) {
            old_for_nothing_locked(v, s);
            old[n++] = empty_locked(&v->siblings, s);
        } else {
            next = MIN(next, vfs_after(s->since_ns, SIBLING_AGE_NS + 1));
        }
    }
    vfs_idle_note_locked(v, next);
    if (n == 0)
        return;
    pthread_mutex_unlock(&v->lock);
    while (n > 0)
        reader_free(old[--n]);
    pthread_mutex_lock(&v->lock);
}

/* ---- fetching ---- */

/* What is done without the lock in the end. */
struct fetch {
    struct vfs *v;
    uint64_t walk;                     /* id */
    unsigned small, large;             /* how many may be ahead */
    uint64_t trust, trust_max;         /* bytes of larger ones */
    unsigned n_ahead;                  /* that are */
    uint64_t large_bytes, small_bytes; /* of them */
    struct {
        struct reader *reader;
        uint64_t bytes;
    } start[VFS_SIBLINGS];
    struct reader *old[VFS_SIBLINGS];
    unsigned n_start, n_old;
};

/* Those that nobody came for in time go. */
static void look_locked(struct fetch *f)
{
    struct vfs *v = f->v;
    for (unsigned i = 0; i < VFS_SIBLINGS; i++) {
        struct vfs_sibling *s = &v->siblings.at[i];
        if (!s->reader)
            continue;
        if (is_old(v, s)) {
            old_for_nothing_locked(v, s);
            f->old[f->n_old++] = empty_locked(&v->siblings, s);
            continue;
        }
        if (!s->large)
            f->small_bytes += s->bytes;
        if (s->walk != f->walk)
            continue;
        f->n_ahead++;
        if (s->large)
            f->large_bytes += s->bytes;
    }
}

static bool is_wanted_locked(struct vfs *v, struct inode *dir, const struct dir_entry *e)
{
    if (!*dir_entry_etag(e) || e->size == 0)
        return false;
    /* Open already, or changed here. */
    const struct inode *i = inode_child_awake(&v->inodes, dir, dir_entry_component(e), NODE_FILE);
    return !i || (!i->readers && !i->open);
}

/* How much of the file is fetched: 0 = nothing, as it is left out; false = no more now. */
static bool share_of(const struct fetch *f, uint64_t size, uint64_t *ret)
{
    bool large = size > SMALL_MAX;
    *ret = 0;
    if (!(large ? f->large : f->small))
        return true;
    if (f->n_ahead >= (large ? f->large : f->small))
        return false;
    uint64_t bytes = large ? MIN(size, f->trust_max / 2) : size;
    uint64_t most = large ? f->trust : MAX(MIN(SMALL_MAX_ALL, f->trust_max), f->trust);
    if ((large ? f->large_bytes : f->small_bytes) + bytes > most ||
        f->v->siblings.bytes + bytes > f->trust_max)
        return false;
    *ret = bytes;
    return true;
}

/* False: no more now. */
static bool add_locked(struct fetch *f, struct inode *dir, const struct dir_entry *e)
{
    struct vfs *v = f->v;
    char key[COMPONENT_LENGTH_MAX + 1];
    struct vfs_sibling *s = NULL;
    uint64_t bytes;
    if (!is_wanted_locked(v, dir, e) ||
        inode_child_key(dir, dir_entry_component(e), NODE_FILE, COMPONENT_LENGTH_MAX, key) < 0)
        return true;
    for (unsigned i = 0; i < VFS_SIBLINGS; i++) {
        if (is_of(&v->siblings.at[i], key))
            return true;
        if (!v->siblings.at[i].reader)
            s = &v->siblings.at[i];
    }
    if (!s || !share_of(f, e->size, &bytes))
        return false;
    if (!bytes)
        return true;
    /* The listing is believed. */
    struct reader_options o = {
        .key = key, .size = e->size, .etag = dir_entry_etag(e), .believed = true, .start = true};
    char *own = strdup(key);
    if (!own || reader_new(v->opts.data, &o, &s->reader) < 0) {
        free(own);
        return false;
    }
    s->key = own;
    s->bytes = bytes;
    s->large = e->size > SMALL_MAX;
    s->walk = f->walk;
    s->since_ns = vfs_now(v);
    (void)snprintf(s->etag, sizeof(s->etag), "%s", o.etag);
    v->siblings.bytes += bytes;
    vfs_idle_note_locked(v, vfs_after(s->since_ns, SIBLING_AGE_NS + 1));
    *(s->large ? &f->large_bytes : &f->small_bytes) += bytes;
    f->n_ahead++;
    f->start[f->n_start].reader = s->reader;
    f->start[f->n_start++].bytes = bytes;
    return true;
}

static void more_locked(struct vfs *v, uint64_t id)
{
    struct fetch f = {.v = v, .walk = id, .trust_max = data_ahead_max(v->opts.data)};
    unsigned budget = LOOK_MAX;
    struct vfs_place p;
    const struct dir_entry *e;
    look_locked(&f);
    struct vfs_file_walk *w = vfs_order_find_locked(v, id);
    if (w && vfs_order_place_locked(v, w, &p)) {
        f.small = vfs_order_small(w);
        f.large = vfs_order_large(w);
        f.trust = w->trust;
        /* In batches: some of them have been used before more are asked for. */
        if (f.n_ahead <= MAX(f.small, f.large) * 3 / 4)
            while ((e = vfs_order_next_locked(v, w, &p, &budget)) && add_locked(&f, p.dir, e))
                ;
    }
    if (!f.n_start && !f.n_old)
        return;
    pthread_mutex_unlock(&v->lock);
    for (unsigned k = 0; k < f.n_start; k++)
        reader_start(f.start[k].reader, f.start[k].bytes, f.large_bytes);
    for (unsigned k = 0; k < f.n_old; k++)
        reader_free(f.old[k]);
    pthread_mutex_lock(&v->lock);
}

void vfs_sibling_read_locked(struct vfs *v, struct file_reader *fr)
{
    const struct inode *i = fr->inode;
    uint64_t window = data_ahead_max(v->opts.data) / 2;
    struct vfs_file_walk *w = vfs_order_note_locked(v, i);
    if (!w)
        return;
    fr->walk = w->id;
    /* Those behind a large one wait for its end. */
    if (i->attr.size > window)
        fr->more_at = i->attr.size - window;
    else
        more_locked(v, w->id);
}

/* The kernel may leave out what it has of the file, and asks for a little beyond its end. */
static bool is_whole(const struct file_reader *fr)
{
    uint64_t size = fr->inode->attr.size;
    return fr->bytes >= size - size / 8;
}

void vfs_sibling_progress_locked(struct vfs *v, struct file_reader *fr, uint64_t end, size_t len)
{
    bool whole = is_whole(fr);
    struct vfs_file_walk *w = vfs_order_find_locked(v, fr->walk);
    fr->bytes += len;
    if (w && !whole && is_whole(fr))
        vfs_order_whole(w, fr->inode->attr.size, data_ahead_max(v->opts.data));
    if (w && fr->more_at && end >= fr->more_at) {
        fr->more_at = 0;
        more_locked(v, w->id);
    }
}

void vfs_sibling_left_locked(struct vfs *v, const struct file_reader *fr)
{
    struct vfs_file_walk *w = vfs_order_find_locked(v, fr->walk);
    if (w && fr->inode->attr.size > SMALL_MAX && !is_whole(fr))
        vfs_order_left(w);
}
