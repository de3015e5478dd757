/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which a program reads the files of a tree: that of the listings, as they come, with
 * directories where they stand (grep -r, tar, find -exec, restic) or after the files beside them
 * (rsync, os.walk); or that of the inode numbers (cp -r, borg, and what uses fts in directories of
 * more than 10,000 files). A walk is known by the last file that it has come to; the next one is
 * one of those that follow it. What is not listed yet is passed over: its names are not known.
 *
 * How much is fetched ahead of a walk is decided here, too. It has to show more the more often it
 * was wrong, and for larger files, of which only the beginning may be read (file, head), it has to
 * have read whole ones. */
#include <stdlib.h>
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
#define LARGE_PER_FILE 2u
/* What is ahead should be wanted within that time: it is out of date after twice as long. */
#define AHEAD_NS ((uint64_t)NS_PER_S / 2)
/* Entries that are looked at for the place of a file. */
#define LOOK_MAX 128u
/* Directories whose entries are sorted by inode number: when in doubt, and when files were read in
 * ascending order so many times in a row. */
#define NUMBERS_FEW 1000u
#define NUMBERS_MAX 100000u
#define UPWARDS_MIN 3u

/* ---- places ---- */

static struct dir *listed_locked(struct vfs *v, const struct inode *dir)
{
    return dir->dir && vfs_now(v) < dir->dir_until_ns ? dir->dir : NULL;
}

/* The entries of a listing by inode number. */
struct numbers {
    size_t n;
    struct numbered {
        uint64_t ino;
        size_t number;
    } at[];
};

static size_t numbers_bytes(size_t n)
{
    return sizeof(struct numbers) + n * sizeof(struct numbered);
}

static int compare_numbers(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static uint64_t ino_of_entry(struct vfs *v, const struct inode *dir, const struct dir_entry *e)
{
    return inode_number(&v->inodes, dir, dir_entry_component(e), e->name_len, dir_entry_kind(e));
}

/* NULL: it has more entries than that, or is not whole. */
static const struct numbers *numbers_locked(struct vfs *v, const struct inode *dir, size_t most)
{
    struct dir *d = listed_locked(v, dir);
    if (!d || !d->complete || (d->n > most && !d->by_number))
        return NULL;
    struct numbers *by = d->by_number;
    /* What has been made since is in no order yet: else who makes a file for each that he reads
     * would have all of them sorted each time. */
    if (by && d->n - by->n <= by->n / 4)
        return by;
    size_t old = by ? numbers_bytes(by->n) : 0;
    free(by);
    d->by_number = by = d->n > most ? NULL : malloc(numbers_bytes(d->n));
    vfs_listing_grown_locked(v, d, old, by ? numbers_bytes(d->n) : 0);
    if (!by)
        return NULL;
    by->n = d->n;
    for (size_t k = 0; k < d->n; k++) {
        /* A hole has no number, and stays one. */
        const struct dir_entry *e = dir_at(d, k);
        by->at[k] = (struct numbered){.ino = e ? ino_of_entry(v, dir, e) : 0, .number = k};
    }
    qsort(by->at, by->n, sizeof(by->at[0]), compare_numbers);
    return by;
}

/* Where the entry of that number stands in the walk's order. */
static bool place_of_locked(struct vfs *v, const struct vfs_file_walk *w, struct inode *dir,
                            size_t number, struct vfs_place *ret)
{
    struct dir *d = listed_locked(v, dir);
    *ret = (struct vfs_place){.dir = dir, .at = number};
    if (w->order != VFS_ORDER_BY_NUMBER)
        return d && number < d->n;
    const struct numbers *by = numbers_locked(v, dir, NUMBERS_MAX);
    const struct dir_entry *e = by && number < d->n ? dir_at(d, number) : NULL;
    if (!e)
        return false;
    struct numbered key = {.ino = ino_of_entry(v, dir, e)};
    const struct numbered *at = bsearch(&key, by->at, by->n, sizeof(by->at[0]), compare_numbers);
    if (!at)
        return false;
    ret->at = (size_t)(at - by->at);
    return true;
}

/* The number of the entry that stands there, or SIZE_MAX behind the last one. */
static size_t number_at_locked(struct vfs *v, const struct vfs_file_walk *w,
                               const struct vfs_place *p)
{
    const struct dir *d = listed_locked(v, p->dir);
    if (!d || p->at >= d->n)
        return SIZE_MAX;
    if (w->order != VFS_ORDER_BY_NUMBER)
        return p->at;
    const struct numbers *by = numbers_locked(v, p->dir, NUMBERS_MAX);
    return by && p->at < by->n ? by->at[p->at].number : SIZE_MAX;
}

static bool up_locked(struct vfs *v, const struct vfs_file_walk *w, struct vfs_place *p)
{
    struct inode *up = p->dir->parent;
    struct dir *d = up && !p->dir->unlinked ? listed_locked(v, up) : NULL;
    size_t number;
    if (!d || dir_number(d, p->dir->name, NODE_DIR, &number) < 0 ||
        !place_of_locked(v, w, up, number, p))
        return false;
    p->dirs = w->order == VFS_ORDER_FILES_FIRST;
    return true;
}

/* Into a directory, if its listing is known. */
static bool down_locked(struct vfs *v, struct vfs_place *p, const struct dir_entry *e)
{
    struct inode *i = inode_child_awake(&v->inodes, p->dir, dir_entry_component(e), NODE_DIR);
    if (!i || !listed_locked(v, i))
        return false;
    *p = (struct vfs_place){.dir = i, .at = SIZE_MAX};
    return true;
}

/* Which directories are gone into. */
enum cross {
    CROSS_NOT,
    CROSS_LISTED, /* the others are passed over */
    CROSS_ALL,    /* one that is not listed is the end: what is behind it will take its time */
};

static const struct dir_entry *next_locked(struct vfs *v, const struct vfs_file_walk *w,
                                           enum cross cross, struct vfs_place *p, unsigned *budget)
{
    while (*budget) {
        struct dir *d = listed_locked(v, p->dir);
        (*budget)--;
        if (!d)
            return NULL;
        p->at++;
        size_t number = number_at_locked(v, w, p);
        if (number == SIZE_MAX) {
            if (p->at < d->n || !d->complete || !cross)
                return NULL;
            if (w->order == VFS_ORDER_FILES_FIRST && !p->dirs)
                *p = (struct vfs_place){.dir = p->dir, .at = SIZE_MAX, .dirs = true};
            else if (!up_locked(v, w, p))
                return NULL;
            continue;
        }
        const struct dir_entry *e = dir_at(d, number);
        if (!e)
            continue;
        if (dir_entry_kind(e) == NODE_FILE && !p->dirs)
            return e;
        bool enter = dir_entry_kind(e) == NODE_DIR && cross &&
                     p->dirs == (w->order == VFS_ORDER_FILES_FIRST);
        if (enter && !down_locked(v, p, e) && cross == CROSS_ALL)
            return NULL;
    }
    return NULL;
}

const struct dir_entry *vfs_order_next_locked(struct vfs *v, const struct vfs_file_walk *w,
                                              struct vfs_place *p, unsigned *budget)
{
    return next_locked(v, w, w->crossed ? CROSS_ALL : CROSS_NOT, p, budget);
}

bool vfs_order_place_locked(struct vfs *v, const struct vfs_file_walk *w, struct vfs_place *ret)
{
    struct inode *dir = inode_find(&v->inodes, w->ino);
    if (!dir || dir->kind != NODE_DIR || listed_locked(v, dir) != w->listing)
        return false;
    return place_of_locked(v, w, dir, w->last, ret);
}

/* How many files on from the walk's last one the place is; 0 = not near. */
static unsigned distance_locked(struct vfs *v, const struct vfs_file_walk *w, enum cross cross,
                                const struct inode *dir, size_t number)
{
    struct vfs_place p;
    unsigned budget = LOOK_MAX;
    if (!vfs_order_place_locked(v, w, &p))
        return 0;
    for (unsigned n = 1; n <= GAP_MAX; n++) {
        if (!next_locked(v, w, cross, &p, &budget))
            return 0;
        if (p.dir == dir && number_at_locked(v, w, &p) == number)
            return n;
    }
    return 0;
}

/* Whether it is one of those that the walk has just passed. */
static bool is_late_locked(struct vfs *v, const struct vfs_file_walk *w, struct inode *dir,
                           size_t number)
{
    struct vfs_place last, p;
    return w->ino == dir->ino && place_of_locked(v, w, dir, number, &p) &&
           place_of_locked(v, w, dir, w->last, &last) && p.at <= last.at &&
           last.at - p.at <= GAP_MAX;
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
    w->upwards = 0;
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

static struct vfs_file_walk *begin_locked(struct vfs *v, struct vfs_file_walk *w,
                                          const struct inode *i, size_t number)
{
    struct inode *dir = i->parent;
    bool same = w->ino == dir->ino;
    *w = (struct vfs_file_walk){.id = ++v->n_file_walks,
                                .ino = dir->ino,
                                .listing = dir->dir,
                                .last = number,
                                .last_ns = vfs_now(v),
                                .files = 1,
                                .faults = same ? w->faults : 0,
                                .from_start = is_first_file(dir->dir, number),
                                .number = i->ino,
                                .upwards = same && i->ino > w->number ? w->upwards + 1 : 0};
    return w;
}

/* Whether it is worth looking for the inode numbers of all that is there: it is for few, or when
 * those that were read became greater and greater. */
static bool may_be_by_number_locked(struct vfs *v, const struct vfs_file_walk *w, struct inode *dir)
{
    if (w->order == VFS_ORDER_BY_NUMBER)
        return true;
    if (w->tick != v->file_walks_tick)
        return false;
    size_t most = w->upwards >= UPWARDS_MIN ? NUMBERS_MAX : NUMBERS_FEW;
    const struct inode *last = inode_find(&v->inodes, w->ino);
    return numbers_locked(v, dir, most) && last && numbers_locked(v, last, most);
}

/* Whether it is what comes next in another order than the one that was supposed. */
static bool turns_locked(struct vfs *v, struct vfs_file_walk *w, struct inode *dir, size_t number)
{
    enum vfs_file_order before = w->order;
    for (unsigned way = 1; way < VFS_ORDERS; way++) {
        w->order = (before + way) % VFS_ORDERS;
        bool other = w->order == VFS_ORDER_BY_NUMBER || before == VFS_ORDER_BY_NUMBER;
        if (w->order == VFS_ORDER_BY_NUMBER && !may_be_by_number_locked(v, w, dir))
            continue;
        unsigned distance = distance_locked(v, w, CROSS_LISTED, dir, number);
        if (!distance || (other && distance > 1))
            continue;
        if (other) {
            /* It may be by chance. */
            w->files = 1;
            w->skipped = w->even = 0;
            w->from_start = w->crossed = false;
        }
        go_on_locked(v, w, dir, number, distance);
        return true;
    }
    w->order = before;
    return false;
}

/* The walk that comes to it from another directory: of several the one that has shown most. */
static struct vfs_file_walk *cross_locked(struct vfs *v, struct inode *dir, size_t number)
{
    struct vfs_file_walk *best = NULL;
    unsigned best_distance = 0;
    for (unsigned n = 0; n < VFS_FILE_WALKS; n++) {
        struct vfs_file_walk *w = &v->file_walks[n];
        if (!w->id || (best && w->files <= best->files))
            continue;
        unsigned distance = distance_locked(v, w, CROSS_LISTED, dir, number);
        if (distance) {
            best = w;
            best_distance = distance;
        }
    }
    if (best)
        go_on_locked(v, best, dir, number, best_distance);
    return best;
}

struct vfs_file_walk *vfs_order_note_locked(struct vfs *v, const struct inode *i)
{
    struct inode *dir = i->parent;
    size_t number;
    struct dir *d = dir && !i->unlinked ? vfs_listing_fresh_locked(v, dir) : NULL;
    if (!d || dir_number(d, i->name, NODE_FILE, &number) < 0)
        return NULL;
    struct vfs_file_walk *here = NULL, *oldest = &v->file_walks[0], *newest = oldest;
    for (unsigned n = 0; n < VFS_FILE_WALKS; n++) {
        struct vfs_file_walk *at = &v->file_walks[n];
        if (at->id && at->ino == dir->ino && at->listing == d)
            here = at;
        if (at->tick < oldest->tick)
            oldest = at;
        if (at->tick > newest->tick)
            newest = at;
    }
    struct vfs_file_walk *w = here;
    unsigned distance = here ? distance_locked(v, here, CROSS_NOT, dir, number) : 0;
    bool late = here && !distance && is_late_locked(v, here, dir, number);
    if (distance) {
        go_on_locked(v, here, dir, number, distance);
    } else if (late && (here->files >= ORDER_MIN || number == here->last)) {
        here->skipped -= number != here->last && here->skipped > 0;
        here->even = 0;
    } else if (!(w = cross_locked(v, dir, number))) {
        /* In a small directory all that is behind the last one is near it. */
        if (newest->id && turns_locked(v, newest, dir, number))
            w = newest;
        else if (late)
            w = here;
        else
            w = begin_locked(v, here ? here : oldest, i, number);
    }
    w->number = i->ino;
    w->tick = ++v->file_walks_tick;
    return w;
}

/* ---- how much ---- */

static unsigned ahead(const struct vfs_file_walk *w, unsigned least, unsigned per_file)
{
    /* In a small directory a file is easily the next one of some order. */
    if (w->order == VFS_ORDER_BY_NUMBER)
        least = ORDER_MIN + 1;
    least <<= w->faults;
    if (w->files < least || 2 * w->skipped >= w->files)
        return 0;
    uint64_t n = MIN((uint64_t)per_file * (w->files - least + 1), (uint64_t)AHEAD_MAX);
    if (w->step_ns)
        n = MIN(n, MAX(AHEAD_NS / w->step_ns, 1u));
    return (unsigned)n;
}

unsigned vfs_order_small(const struct vfs_file_walk *w)
{
    return ahead(w, ORDER_MIN, AHEAD_PER_FILE);
}

unsigned vfs_order_large(const struct vfs_file_walk *w)
{
    return w->trust ? ahead(w, w->from_start ? ORDER_MIN - 1 : ORDER_MIN, LARGE_PER_FILE) : 0;
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
