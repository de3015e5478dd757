/* SPDX-License-Identifier: Apache-2.0 */
/* Moves all keys below one prefix to another one, inside the store: a copy of each, many at a time,
 * and when all are there the old keys are deleted in batches. It knows keys only, no inodes; the
 * mount's lock is not held.
 *
 * Safety:  a copy is of the version that was listed, and replaces nothing where the store keeps
 *          conditions of copies. Of every copy hashes of its keys and ETags are kept, 48 bytes a
 *          file: before the deletes the old keys are listed anew, and only what still is the
 * version that was copied goes, a page at a time and on that condition. Where the store has
 *          none for deletes by the page, what another host stores between the listing of a page and
 *          the delete of its keys, one round trip, is lost.
 *          When all copies are there the new names are listed once: another host's among them are
 *          a conflict, -ENOTEMPTY.
 * Times:   what has no time in its metadata gets that of LastModified into it: vfs_move_attrs.c.
 * Failure: before the last copy is there the copies are taken away again, in the same manner; after
 *          it the new keys stay, whatever happens. */
#ifndef PAILFS_VFS_VFS_MOVE_H
#define PAILFS_VFS_VFS_MOVE_H

#include "vfs/vfs_impl.h"

/* A key whose copy's ETag is wanted. */
struct vfs_move_watch {
    char key[COMPONENT_LENGTH_MAX + 1];
    char etag[STORE_ETAG_SIZE]; /* "" = not copied */
};

struct vfs_move {
    struct inode *dir; /* what is moved; nothing below it is changed by others */
    const char *from;  /* both end in '/' */
    const char *to;
    bool marker_there;            /* `to` itself is there, and stays when the move fails */
    bool through;                 /* the copies are, see store_copy_in */
    struct vfs_move_watch *watch; /* in the order of their keys */
    size_t n_watch;
    /* Called when all copies are there, before anything is deleted; when it fails, so does the
     * move, as if one copy had. May be NULL. */
    int (*all_copied)(void *ctx);
    void *ctx;

    /* results */
    uint64_t n; /* keys copied */
    bool marker_moved;
    bool copied;       /* all of them */
    bool marks_itself; /* the directory itself has to be marked, by the caller */
};

int vfs_move_tree(struct vfs *v, struct vfs_move *m, struct s3_error *err);

/* ---- vfs_rename_dir.c ---- what is open below the directory; lock held, given up meanwhile */

/* Stores what was written, and marks the directory that it is to be in. */
int vfs_move_prepare_locked(struct vfs *v, struct inode *i, struct inode *dir,
                            struct s3_error *err);
/* Fills m->watch, the caller's to free. */
int vfs_move_watch_locked(struct vfs *v, struct inode *dir, struct vfs_move *m);
/* When the directory has its new name: what is open below goes on with the copies. */
int vfs_move_follow_locked(struct vfs *v, struct inode *dir, const struct vfs_move *m);

/* ---- vfs_move_resume.c ---- */

/* Goes on with a move that ended in the middle, perhaps long ago: what has been changed after
 * `begun_ns` does not belong to it. Copies what is missing unless deleting had begun, and deletes
 * what is there under both names with the same content (vfs_same_content). *ret_left: keys that
 * were left under the old name because there is something else under the new one. */
int vfs_move_resume(struct vfs *v, const char *from, const char *to, bool deleting,
                    int64_t begun_ns, uint64_t *ret_left, struct s3_error *err);
/* The way back of a move from `to` to `from` that was carried out in part, or whole: what is
 * missing under `to` is copied there unless `deleting`, and what is the same under both goes from
 * `from`. What is changed after now_ns does not belong to it. stop: ends it with -ECANCELED; may be
 * NULL. *ret_left as above. */
int vfs_move_undo(struct vfs *v, const char *from, const char *to, bool deleting, int64_t now_ns,
                  const atomic_bool *stop, uint64_t *ret_left, struct s3_error *err);
/* The host's clock and the server's may differ by that, in both directions. */
#define VFS_CLOCK_NS (10 * NS_PER_S)

#endif
