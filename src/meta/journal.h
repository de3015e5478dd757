/* SPDX-License-Identifier: Apache-2.0 */
/* Where write-back (writeback/) notes what it has acknowledged: rows in the order of their numbers,
 * each a record and perhaps a small body. An interface, so that tests keep the rows in memory;
 * state_journal.h keeps them in state.db.
 *
 * Threads: any. submit never blocks, so it may be called with locks held; changes take effect in
 * the order of their submits. done runs on a thread of the journal's. Errors:  0 or -errno: -ENOSPC
 * disk full, -EIO, -ENOMEM. */
#ifndef PAILFS_META_JOURNAL_H
#define PAILFS_META_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_RECORD_MAX (64u << 10) /* bytes */
#define JOURNAL_BODY_MAX   (64u << 10) /* bytes; larger ones are files of their own */

struct journal_row {
    uint64_t seq; /* > 0 */
    const void *record;
    size_t record_len;
    const void *body; /* NULL = none */
    size_t body_len;
    bool update; /* the row is there: it gets this record and keeps its body */
};

/* All of it or nothing. It and what it points to stay valid until done has run. */
struct journal_change {
    const struct journal_row *rows;
    size_t n_rows;
    const uint64_t *drops; /* numbers of rows that are no longer needed */
    size_t n_drops;
    /* Once, never inside submit. It must not block. With result 0 the change survives a crash of
     * the machine. */
    void (*done)(void *ctx, int result);
    void *ctx;
};

struct journal;
struct journal_ops {
    /* 0, or -errno and then done does not run. */
    int (*submit)(struct journal *j, const struct journal_change *c);
    /* The rows, oldest first, without their bodies; one that cannot be read has no record. fn's
     * result other than 0 ends it. */
    int (*load)(struct journal *j, int (*fn)(void *ctx, const struct journal_row *row), void *ctx);
    /* Its length, 0 = none; -ENOENT. Blocks. */
    int (*body_size)(struct journal *j, uint64_t seq, size_t *ret);
    /* Copies the body of a row into buf; -ENOENT when it is not there with that length. Blocks. */
    int (*body)(struct journal *j, uint64_t seq, void *buf, size_t len);
    void (*free)(struct journal *j);
};
struct journal { /* embedded first in an implementation */
    const struct journal_ops *ops;
};

static inline int journal_submit(struct journal *j, const struct journal_change *c)
{
    return j->ops->submit(j, c);
}

#endif
