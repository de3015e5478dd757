/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes in the metadata of names that are looked up one after the other (git status, a backup
 * that looks at each file of its index, rsync to the mount): when those before it in the listing
 * have been asked for, those after it are asked for at the same time, more of them the longer it
 * goes on. A reader of the directory has the same from vfs_dir.c. */
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_impl.h"

/* HEADs at a time, and how many names must have come in a row. */
#define AHEAD_MAX 64u
#define ROW_MIN   2u
/* Entries looked at for either: what was removed leaves holes, and what is known is passed over. A
 * directory of 100,000 that is removed in its order must not be gone through for each name. */
#define LOOKED_AT_MAX (4 * AHEAD_MAX)

static struct inode *known_before_locked(struct vfs *v, struct inode *dir,
                                         const struct dir_entry *e)
{
    struct inode *i = inode_child_awake(&v->inodes, dir, dir_entry_component(e), dir_entry_kind(e));
    return i && i->attr.posix_known ? i : NULL;
}

/* How many in a row before that one are known. */
static size_t row_length_locked(struct vfs *v, struct inode *dir, size_t number,
                                enum node_kind kind)
{
    size_t row = 0, stop = number > LOOKED_AT_MAX ? number - LOOKED_AT_MAX : 0;
    while (number > stop && row < AHEAD_MAX / 2) {
        const struct dir_entry *e = dir_at(dir->dir, --number);
        if (!e)
            continue;
        if (dir_entry_kind(e) != kind || !known_before_locked(v, dir, e))
            break;
        row++;
    }
    return row;
}

/* Those that come after it, with references; the number of them. */
static size_t next_ones_locked(struct vfs *v, struct inode *dir, const struct inode *i,
                               struct inode *ret[AHEAD_MAX])
{
    struct dir *d = vfs_listing_fresh_locked(v, dir);
    size_t number, n = 0;
    if (!d || dir_number(d, i->name, i->kind, &number) < 0)
        return 0;
    size_t row = row_length_locked(v, dir, number, i->kind);
    size_t stop = MIN(d->n, number + 1 + LOOKED_AT_MAX);
    for (number++; row >= ROW_MIN && number < stop && n < 2 * row - 1; number++) {
        const struct dir_entry *e = dir_at(d, number);
        if (!e || dir_entry_kind(e) != i->kind || known_before_locked(v, dir, e))
            continue;
        if (vfs_inode_of_entry_locked(v, dir, d, e, &ret[n]) < 0)
            break;
        n++;
    }
    return n;
}

int vfs_load_in_order_locked(struct vfs *v, struct inode *dir, struct inode *i,
                             struct s3_error *err)
{
    struct inode *inodes[1 + AHEAD_MAX] = {i};
    size_t n = 1 + next_ones_locked(v, dir, i, inodes + 1);
    vfs_list_markers_locked(v, inodes, n);
    int r = vfs_posix_load_locked(v, inodes, n, err);
    /* It may have been another one that failed. */
    if (r < 0 && n > 1)
        r = vfs_posix_load_locked(v, inodes, 1, err);
    /* Nobody has them yet: they stay for whoever asks soon. */
    for (size_t k = 1; k < n; k++) {
        struct inode **place = &v->ahead.at[v->ahead.next++ % ARRAY_SIZE(v->ahead.at)];
        inode_unref(&v->inodes, *place);
        *place = inodes[k];
    }
    return r;
}
