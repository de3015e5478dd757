/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange of a directory with another one, or with a file, as steps in the store:
 *
 *   two directories    key -> hidden prefix, key2 -> key, hidden prefix -> key2
 *   with a file        the directory's keys -> below the file's name, then the file to the
 *                      directory's; an object and a prefix of one name are not in each other's way
 *
 * One intent stands for all of it: it says which step is under way, whether its copies are all
 * there, and whether it goes forward or back. It is on disk before a step begins, so that the next
 * mount goes on with that one: each step finds done what is done, but only the right one may be
 * looked at (after the second step of two directories, what is under `key` is not what was).
 * Forward, unless the first step had not all its copies; back when one failed. Nothing is deleted
 * that is not under its other name as well. Keys only, no inodes; the mount's lock is not held. */
#ifndef PAILFS_VFS_VFS_EXCHANGE_H
#define PAILFS_VFS_VFS_EXCHANGE_H

#include "vfs/vfs_intent.h"
#include "vfs/vfs_move.h"

#define EXCHANGE_STEPS_MAX 3u

struct exchange {
    struct vfs *v;
    const char *key;  /* of the first directory, with '/' */
    const char *key2; /* of the second, or of the file */
    bool with_file;
    char hidden[VFS_HIDDEN_KEY_SIZE];  /* with '/'; two directories */
    char etag[STORE_ETAG_SIZE];        /* of the file before */
    char copied[STORE_ETAG_SIZE];      /* of its copy; "" = not there, or not known */
    const struct store_attrs *carried; /* by the file; NULL = as they are, also after a crash */
    uint64_t intent;
    const atomic_bool *stop; /* as vfs_move_undo */
    bool only_on;            /* a delete that was given up may come: there is no way back */

    /* as in the intent */
    unsigned step; /* 1 is the first */
    uint8_t phase; /* VFS_INTENT_COPYING or _DELETING */
    bool back;
    int64_t time_ns; /* when the step, or the way back, began */

    char beside[COMPONENT_LENGTH_MAX + 2]; /* with a file: key2 with '/' */
    char plain[COMPONENT_LENGTH_MAX + 1];  /* key without */
};

/* Of x only v, key, key2, etag and stop are filled in. A new hidden prefix is made; nothing is
 * noted. -ENAMETOOLONG. */
int exchange_init(struct exchange *x);
unsigned exchange_steps(const struct exchange *x);
/* The names of a step; false when it moves the file. */
bool exchange_step(const struct exchange *x, unsigned step, const char **ret_from,
                   const char **ret_to);

/* Notes where it stands. A failed begin: nothing may be done (vfs_intent_require). A failed enter:
 * it stands where it stood. */
int exchange_begin(struct exchange *x);
int exchange_enter(struct exchange *x, unsigned step, uint8_t phase, bool back);
/* -EBADMSG: not understood. t stays the caller's. */
int exchange_load(struct exchange *x, const struct state_intent *t);

/* What is left of the steps, forward or back. -EEXIST: all is done, but there are keys in the
 * hidden prefix whose places are taken. */
int exchange_resume(struct exchange *x, struct s3_error *err);
/* After a failed delete of the step under way that may be carried out all the same, even later: to
 * go back would be to leave what it deletes as the only one. So it is tried once more, and if that
 * fails, only the next mount goes on. 0: the step is done. */
int exchange_delete_again(struct exchange *x, const struct s3_error *failure, struct s3_error *err);
/* After the failure of the step under way. 0: all is as it was, and the intent is over. */
int exchange_go_back(struct exchange *x, struct s3_error *err);

/* Moves the object, if it is still that version, by a copy and a delete. What its copy is is noted
 * between them. ret: of the copy. */
int exchange_move_file(struct exchange *x, uint64_t size, struct store_version *ret,
                       struct s3_error *err);

#endif
