/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which a program reads the files of a tree: that of the listings, as they come, with
 * directories where they stand (grep -r, tar, find -exec, restic) or after the files beside them
 * (rsync, os.walk). A walk is known by the last file that it has come to; the next one is one of
 * those that follow it. What is not listed yet is passed over: its names are not known.
 *
 * How much is fetched ahead of a walk is decided here, too. It has to show more the more often it
 * was wrong, and for larger files, of which only the beginning may be read (file, head), it has to
 * have read whole ones. */
#include <string.h>

#include "vfs/vfs_impl.h"

/* A file may be skipped, or its neighbour opened before it, as parallel readers do. */
#define GAP_MAX 4u
/* Files in order before anything is fetched; doubled for each fault. */
#define ORDER_MIN  3u
#define FAULTS_MAX 5u
/* So many in a row make up for a fault. */
#define EVEN_FILES 16u
/* Fetched ahead of the newest one, at most; the number grows with the files in order. */
#define AHEAD_MAX      48u
#define AHEAD_PER_FILE 8u
/* What is ahead should be wanted within that time: it is out of date after twice as long. */
#define AHEAD_NS ((uint64_t)NS_PER_S / 2)
/* Entries that are looked at for the place of a file. */
#define LOOK_MAX 128u

/* ---- places ---- */

static struct dir *listed_locked(struct vfs *v, const struct inode *dir)
{
    return dir->dir && vfs_now(v) < dir->dir_until_ns ? dir->dir : NULL;
}

static bool up_locked(struct vfs *v, const struct vfs_file_walk *w, struct vfs_place *p)
{
    struct inode *up = p->dir->parent;
    struct dir *d = up && !p->dir->unlinked ? listed_locked(v, up) : NULL;
    if (!d || dir_number(d, p->dir->name, NODE_DIR, &p->at) < 0)
        return false;
    p->dir = up;
    p->dirs = w->files_first;
    return true;
}

/* Into a directory, if its listing is known. */
static void down_locked(struct vfs *v, struct vfs_place *p, const struct dir_entry *e)
{
    struct inode *i = inode_child_awake(&v->inodes, p->dir, dir_entry_component(e), NODE_DIR);
    if (i && listed_locked(v, i))
        *p = (struct vfs_place){.dir = i, .at = SIZE_MAX};
}

static const struct dir_entry *next_locked(struct vfs *v, const struct vfs_file_walk *w, bool cross,
                                           struct vfs_place *p, unsigned *budget)
{
    while (*budget) {
        const struct dir *d = listed_locked(v, p->dir);
        (*budget)--;
        if (!d)
            return NULL;
        if (++p->at >= d->n) {
            if (!d->complete || !cross)
                return NULL;
            if (w->files_first && !p->dirs)
                *p = (struct vfs_place){.dir = p->dir, .at = SIZE_MAX, .dirs = true};
            else if (!up_locked(v, w, p))
                return NULL;
            continue;
        }
        const struct dir_entry *e = dir_at(p->dir->dir, p->at);
        if (!e)
            continue;
        if (dir_entry_kind(e) == NODE_FILE && !p->dirs)
            return e;
        if (dir_entry_kind(e) == NODE_DIR && cross && p->dirs == w->files_first)
            down_locked(v, p, e);
    }
    return NULL;
}

const struct dir_entry *vfs_order_next_locked(struct vfs *v, const struct vfs_file_walk *w,
                                              struct vfs_place *p, unsigned *budget)
{
    return next_locked(v, w, w->crossed, p, budget);
}

bool vfs_order_place_locked(struct vfs *v, const struct vfs_file_walk *w, struct vfs_place *ret)
{
    struct inode *dir = inode_find(&v->inodes, w->ino);
    if (!dir || dir->kind != NODE_DIR || listed_locked(v, dir) != w->listing)
        return false;
    *ret = (struct vfs_place){.dir = dir, .at = w->last};
    return true;
}

/* How many files on from the walk's last one the place is; 0 = not near. */
static unsigned distance_locked(struct vfs *v, const struct vfs_file_walk *w, bool cross,
                                const struct inode *dir, size_t number)
{
    struct vfs_place p;
    unsigned budget = LOOK_MAX;
    if (!vfs_order_place_locked(v, w, &p))
        return 0;
    for (unsigned n = 1; n <= GAP_MAX; n++) {
        if (!next_locked(v, w, cross, &p, &budget))
            return 0;
        if (p.dir == dir && p.at == number)
            return n;
    }
    return 0;
}

/* ---- walks ---- */

struct vfs_file_walk *vfs_order_find_locked(struct vfs *v, uint64_t id)
{
    for (unsigned n = 0; id && n < VFS_FILE_WALKS; n++)
        if (v->file_walks[n].id == id)
            return &v->file_walks[n];
    return NULL;
}

static void fault(struct vfs_file_walk *w)
{
    w->faults = MIN(w->faults + 1, FAULTS_MAX);
    w->files = 1;
    w->skipped = w->even = 0;
    w->trust = 0;
    w->from_start = w->crossed = false;
}

static bool is_first_file(struct dir *d, size_t number)
{
    for (size_t at = 0; at < number && at < LOOK_MAX; at++) {
        const struct dir_entry *e = dir_at(d, at);
        if (e && dir_entry_kind(e) == NODE_FILE)
            return false;
    }
    return number < LOOK_MAX;
}

static void go_on_locked(struct vfs *v, struct vfs_file_walk *w, struct inode *dir, size_t number,
                         unsigned distance)
{
    uint64_t now = vfs_now(v), step = (now - w->last_ns) / distance;
    w->step_ns = w->files > 1 ? (w->step_ns * 3 + step) / 4 : step;
    w->last_ns = now;
    w->crossed |= w->ino != dir->ino;
    w->ino = dir->ino;
    w->listing = dir->dir;
    w->last = number;
    w->files++;
    w->skipped += distance - 1;
    w->even = distance > 1 ? 0 : w->even + 1;
    if (w->even >= EVEN_FILES) {
        w->even = 0;
        w->skipped = 0;
        w->faults -= w->faults > 0;
    }
    if (w->skipped > GAP_MAX)
        fault(w);
}

static struct vfs_file_walk *begin_locked(struct vfs *v, struct vfs_file_walk *w, struct inode *dir,
                                          size_t number)
{
    *w = (struct vfs_file_walk){.id = ++v->n_file_walks,
                                .ino = dir->ino,
                                .listing = dir->dir,
                                .last = number,
                                .last_ns = vfs_now(v),
                                .files = 1,
                                .faults = w->ino == dir->ino ? w->faults : 0,
                                .from_start = is_first_file(dir->dir, number)};
    return w;
}

/* In a directory beside, above or below the last one. */
static struct vfs_file_walk *cross_locked(struct vfs *v, struct inode *dir, size_t number)
{
    for (unsigned n = 0; n < VFS_FILE_WALKS; n++) {
        struct vfs_file_walk *w = &v->file_walks[n];
        for (unsigned way = 0; w->id && way < 2; way++) {
            unsigned distance = distance_locked(v, w, true, dir, number);
            if (distance) {
                go_on_locked(v, w, dir, number, distance);
                return w;
            }
            w->files_first = !w->files_first;
        }
    }
    return NULL;
}

struct vfs_file_walk *vfs_order_note_locked(struct vfs *v, const struct inode *i)
{
    struct inode *dir = i->parent;
    size_t number;
    struct dir *d = dir && !i->unlinked ? vfs_listing_fresh_locked(v, dir) : NULL;
    if (!d || dir_number(d, i->name, NODE_FILE, &number) < 0)
        return NULL;
    struct vfs_file_walk *here = NULL, *oldest = &v->file_walks[0];
    for (unsigned n = 0; n < VFS_FILE_WALKS; n++) {
        struct vfs_file_walk *w = &v->file_walks[n];
        if (w->id && w->ino == dir->ino && w->listing == d)
            here = w;
        if (w->tick < oldest->tick)
            oldest = w;
    }
    unsigned distance = here ? distance_locked(v, here, false, dir, number) : 0;
    struct vfs_file_walk *w = here;
    if (distance) {
        go_on_locked(v, here, dir, number, distance);
    } else if (here && number <= here->last && here->last - number <= GAP_MAX) {
        /* Once more, or a little late. */
        here->skipped -= number < here->last && here->skipped > 0;
        here->even = 0;
    } else {
        w = cross_locked(v, dir, number);
        if (!w)
            w = begin_locked(v, here ? here : oldest, dir, number);
    }
    w->tick = ++v->file_walks_tick;
    return w;
}

/* ---- how much ---- */

static unsigned ahead(const struct vfs_file_walk *w, unsigned least)
{
    least <<= w->faults;
    if (w->files < least || 2 * w->skipped >= w->files)
        return 0;
    uint64_t n = MIN((uint64_t)AHEAD_PER_FILE * (w->files - least + 1), (uint64_t)AHEAD_MAX);
    if (w->step_ns)
        n = MIN(n, MAX(AHEAD_NS / w->step_ns, 1u));
    return (unsigned)n;
}

unsigned vfs_order_small(const struct vfs_file_walk *w)
{
    return ahead(w, ORDER_MIN);
}

unsigned vfs_order_large(const struct vfs_file_walk *w)
{
    return w->trust ? ahead(w, w->from_start ? ORDER_MIN - 1 : ORDER_MIN) : 0;
}

/* Twice as much as it has read, and not more at once than twice as before. */
void vfs_order_whole(struct vfs_file_walk *w, uint64_t size, uint64_t trust_max)
{
    w->trust = MIN(w->trust + MIN(w->trust + size, 2 * size), trust_max);
}

void vfs_order_left(struct vfs_file_walk *w)
{
    w->trust = 0;
}

void vfs_order_wasted(struct vfs_file_walk *w)
{
    fault(w);
}
