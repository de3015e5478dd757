/* SPDX-License-Identifier: Apache-2.0 */
/* Small files that are read in the order of their directory's listing: the next ones are fetched
 * whole, ahead of their opens. Opens alone say nothing: cp lets the store copy.
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

/* A file may be skipped, or its neighbour opened before it, as parallel readers do. */
#define GAP_MAX 4u
/* Files in order before anything is fetched. */
#define ORDER_MIN 3u
/* Fetched ahead of the newest one, at most; the number grows with the files in order. */
#define AHEAD_MAX      48u
#define AHEAD_PER_FILE 8u
/* Of one file, and of those that nobody has taken yet. */
#define SIZE_MAX_ONE   MIB
#define SIZE_MAX_ALL   (16 * MIB)
#define SIBLING_AGE_NS ((uint64_t)NS_PER_S)

static bool is_of(const struct vfs_sibling *s, const char *key)
{
    return s->reader && strcmp(s->key, key) == 0;
}

/* Its reader is the caller's. */
static struct reader *empty_locked(struct vfs_siblings *all, struct vfs_sibling *s)
{
    struct reader *r = s->reader;
    all->bytes -= s->size;
    free(s->key);
    *s = (struct vfs_sibling){0};
    return r;
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
        bool good = strcmp(s->etag, etag) == 0 && vfs_now(v) - s->since_ns <= SIBLING_AGE_NS;
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

/* ---- order ---- */

/* Notes a file; returns how many behind it are wanted. */
static unsigned note_locked(struct vfs *v, const struct inode *dir, size_t number,
                            struct vfs_walk_order **ret_order, size_t *ret_from)
{
    struct vfs_walk_order *o = NULL, *oldest = &v->siblings.order[0];
    for (unsigned i = 0; i < VFS_SIBLING_ORDERS; i++) {
        struct vfs_walk_order *at = &v->siblings.order[i];
        if (at->ino == dir->ino && at->listing == dir->dir)
            o = at;
        if (at->tick < oldest->tick)
            oldest = at;
    }
    if (!o) {
        o = oldest;
        *o = (struct vfs_walk_order){.ino = dir->ino, .listing = dir->dir, .last = number};
    }
    o->tick = ++v->siblings.tick;
    size_t apart = number > o->last ? number - o->last : o->last - number;
    if (o->files > 0 && apart <= GAP_MAX && number <= o->last)
        return 0; /* once more, or a little late */
    o->files = apart <= GAP_MAX ? o->files + 1 : 1;
    if (apart > GAP_MAX)
        o->fetched = 0;
    o->last = number;
    if (o->files < ORDER_MIN)
        return 0;
    size_t from = MAX(o->fetched, number + 1);
    size_t want = MIN((size_t)AHEAD_PER_FILE * (o->files - ORDER_MIN + 1), (size_t)AHEAD_MAX);
    /* In batches: some of them have been used before more are asked for. */
    if (from - (number + 1) > want * 3 / 4)
        return 0;
    *ret_order = o;
    *ret_from = from;
    return (unsigned)(number + 1 + want - from);
}

/* ---- fetching ---- */

static bool is_wanted_locked(struct vfs *v, struct inode *dir, const struct dir_entry *e)
{
    if (dir_entry_kind(e) != NODE_FILE || !*dir_entry_etag(e) || e->size == 0 ||
        e->size > SIZE_MAX_ONE)
        return false;
    /* Open already, or changed here. */
    const struct inode *i = inode_child_awake(&v->inodes, dir, dir_entry_component(e), NODE_FILE);
    return !i || (!i->readers && !i->open);
}

/* A free place; one that nobody came for in time is emptied into *ret_old. */
static struct vfs_sibling *place_locked(struct vfs *v, struct reader **ret_old)
{
    uint64_t now = vfs_now(v);
    for (unsigned i = 0; i < VFS_SIBLINGS; i++) {
        struct vfs_sibling *s = &v->siblings.at[i];
        if (!s->reader)
            return s;
        if (now - s->since_ns > SIBLING_AGE_NS) {
            *ret_old = empty_locked(&v->siblings, s);
            return s;
        }
    }
    return NULL;
}

/* 1: taken up, *ret is to be started. 0: left out. -1: no more now. */
static int add_locked(struct vfs *v, struct inode *dir, const struct dir_entry *e,
                      struct reader **ret, struct reader **ret_old)
{
    char key[COMPONENT_LENGTH_MAX + 1];
    if (!is_wanted_locked(v, dir, e) ||
        inode_child_key(dir, dir_entry_component(e), NODE_FILE, COMPONENT_LENGTH_MAX, key) < 0)
        return 0;
    for (unsigned i = 0; i < VFS_SIBLINGS; i++)
        if (is_of(&v->siblings.at[i], key))
            return 0;
    struct vfs_sibling *s = place_locked(v, ret_old);
    if (!s || v->siblings.bytes + e->size > SIZE_MAX_ALL)
        return -1;
    /* The listing is believed. */
    struct reader_options o = {
        .key = key, .size = e->size, .etag = dir_entry_etag(e), .believed = true, .start = true};
    char *own = strdup(key);
    if (!own || reader_new(v->opts.data, &o, &s->reader) < 0) {
        free(own);
        return -1;
    }
    s->key = own;
    s->size = e->size;
    s->since_ns = vfs_now(v);
    (void)snprintf(s->etag, sizeof(s->etag), "%s", o.etag);
    v->siblings.bytes += s->size;
    *ret = s->reader;
    return 1;
}

void vfs_sibling_read_locked(struct vfs *v, const struct inode *i)
{
    struct inode *dir = i->parent;
    if (!dir || i->unlinked || i->attr.size > SIZE_MAX_ONE)
        return;
    struct dir *d = vfs_listing_fresh_locked(v, dir);
    size_t number, from;
    if (!d || dir_number(d, i->name, NODE_FILE, &number) < 0)
        return;
    struct vfs_walk_order *order;
    unsigned n = note_locked(v, dir, number, &order, &from);
    if (!n)
        return;
    struct reader *start[AHEAD_MAX], *old[AHEAD_MAX];
    unsigned n_start = 0, n_old = 0;
    size_t at = from;
    for (; at < d->n && at < from + n; at++) {
        const struct dir_entry *e = dir_at(d, at);
        struct reader *gone = NULL;
        int r = e ? add_locked(v, dir, e, &start[n_start], &gone) : 0;
        n_start += r > 0;
        if (gone)
            old[n_old++] = gone;
        if (r < 0)
            break;
    }
    order->fetched = at;
    pthread_mutex_unlock(&v->lock);
    for (unsigned k = 0; k < n_start; k++)
        reader_start(start[k]);
    for (unsigned k = 0; k < n_old; k++)
        reader_free(old[k]);
    pthread_mutex_lock(&v->lock);
}
