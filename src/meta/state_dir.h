/* SPDX-License-Identifier: Apache-2.0 */
/* The folder on the local disk that belongs to a mount: $cache_dir/<id>/ with dirty/, lost+found/,
 * blocks/, lock and (state.h) state.db. See FORMAT.md.
 *
 * <id> names endpoint, bucket and prefix. Several mounts of one bucket on one host take slots:
 * <id>, <id>.2, <id>.3 ... A mount takes, of those that nobody holds, the lowest with unfinished
 * work in it, else the lowest: what a crash left behind is adopted by whoever comes next. A process
 * that was killed holds its lock until the kernel is done with it: that is waited for, some
 * seconds at most.
 *
 * Life:    state_dir_open -> state_dir_close. The lock is held in between and goes with the
 * process. Threads: constant after open. Errors: 0 or -errno, and a whole sentence in *err. */
#ifndef PAILFS_META_STATE_DIR_H
#define PAILFS_META_STATE_DIR_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/strbuf.h"

#define STATE_DIR_DIRTY  "dirty"
#define STATE_DIR_LOST   "lost+found"
#define STATE_DIR_BLOCKS "blocks"

struct state_dir_options {
    const char *state_dir; /* this folder and no other; NULL = a slot below cache_dir */
    const char *cache_dir; /* NULL = $XDG_CACHE_HOME/pailfs, root: /var/cache/pailfs, else
                            * ~/.cache/pailfs */
    const char *endpoint;
    const char *bucket;
    const char *prefix;  /* "" = none */
    bool read_only;      /* the lowest without unfinished work, which is left as it is */
    struct clock *clock; /* borrowed; NULL = clock_system() */
};

struct state_dir {
    char *path;  /* absolute; all below it */
    char *dirty; /* content that is not in the store yet */
    char *lost;  /* what lost a conflict */
    char *blocks;
    int lock_fd;
};

/* -EBUSY: state_dir is held by another mount. */
int state_dir_open(const struct state_dir_options *opts, struct state_dir **ret,
                   struct s3_error *err);
/* unfinished: something is left that the next mount has to look at. NULL ok. */
void state_dir_close(struct state_dir *d, bool unfinished);

/* Appends where cache_dir is when none is given. 0 or -errno. */
int state_dir_default(struct strbuf *sb);

#endif
