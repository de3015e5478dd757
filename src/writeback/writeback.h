/* SPDX-License-Identifier: Apache-2.0 */
/* Write-back: a decorator of the store that acknowledges changes once they are in a journal on the
 * local disk, shows them over what the store has, and sends them afterwards: in order for each key
 * (a copy has two), side by side for independent ones, removals in batches.
 *
 * What is never lost: a change that was acknowledged stays in the journal until the store has taken
 * it. Only a condition that positively does not hold (412, looked at again) ends it otherwise:
 * that is a conflict, and its content goes to lost+found. Whatever else fails is tried again.
 *
 * ETags:   a change is acknowledged with the ETag that the store is going to give it (MD5), or with
 *          one of ours where that cannot be known ("pailfs-<process>-<number>", never the same
 *          twice). The latter, and the time of the acknowledgement, are shown for as long as the
 *          process lives (alias.h).
 * Passed:  uploads: their parts are in the store and nowhere else, so a journaled completion would
 *          save one request of many, and an outage in the middle fails the close all the same;
 *          it fails it truthfully. Changes that must be the store's own (through: locks), or that
 *          the journal has no room for, wait for what is pending for their keys and go to the
 *          store directly. The release of a lock (after_all) waits for everything.
 *
 * Life:    writeback_new (takes up what a crash left) -> store_... -> writeback_drain -> store_free
 *          (keeps what is pending in the journal, frees the inner store and the journal).
 * Threads: any. One thread of its own sends; a small pool reads and writes bodies on disk. No lock
 *          is held over the inner store, the journal or the disk. */
#ifndef PAILFS_WRITEBACK_WRITEBACK_H
#define PAILFS_WRITEBACK_WRITEBACK_H

#include "base/clock.h"
#include "meta/journal.h"
#include "meta/lost.h"
#include "store/store.h"

/* What lost a conflict. */
struct writeback_lost {
    const char *key;
    const char *base_etag; /* the version that it was to replace; "" = none */
    enum lost_reason reason;
    int64_t time_ns; /* when it was acknowledged */
    uint64_t size;
    const void *data; /* the content, or NULL and then it is in the file: */
    int fd;
};

struct writeback_options {
    struct store *inner;     /* taken on success */
    struct journal *journal; /* taken on success */
    const char *dir;         /* for bodies over 64 KiB; made if needed; copied */
    struct clock *clock;     /* borrowed; NULL = clock_system() */
    unsigned parallel;       /* requests under way; 0 = 32 */
    uint64_t max_bytes;      /* of pending content; 0 = 1 GiB */
    uint64_t max_changes;    /* pending; 0 = 100,000 */
    uint64_t max_age_ns;     /* nothing new while something is pending for longer; 0 = no limit */
    bool only_old;           /* nothing new is acknowledged early: for what a mount before left */
    uint64_t linger_ns;      /* a removal waits that long for company, others a quarter */
    bool doubtful;           /* rows of the journal may be missing: content without one is kept */
    void (*settled)(void *ctx); /* all of that is kept; at the start, may be NULL */
    /* Keeps it, blocking; key "": nobody knows what it was meant for; 0 or -errno and then it is
     * tried again. Never NULL. */
    int (*lost)(void *ctx, const struct writeback_lost *l);
    /* The disk is full: whether something else there has made room for so much. May be NULL. */
    bool (*make_room)(void *ctx, uint64_t bytes);
    void *ctx;
};

int writeback_new(const struct writeback_options *opts, struct store **ret, struct s3_error *err);

struct writeback_stats {
    uint64_t changes; /* pending */
    uint64_t bytes;   /* of their content */
    uint64_t oldest_age_ns;
    uint64_t stored;    /* changes that the store has taken, since the start */
    uint64_t coalesced; /* changes that needed no request of their own */
    uint64_t conflicts;
    uint64_t failures; /* requests that failed and are tried again */
    uint64_t waiting;  /* operations that wait for room */
    unsigned running;
    char last_error[256]; /* "" when the last request went well */
};
void writeback_stats(struct store *s, struct writeback_stats *ret);

/* Waits until nothing is pending; false after timeout_ns. Nothing lingers meanwhile. */
bool writeback_drain(struct store *s, uint64_t timeout_ns);
/* As store_free, but the inner store stays: for tests, as a process that is killed. */
void writeback_leave(struct store *s);
/* For tests, whose clock stands still: looks at the clock now. */
void writeback_kick(struct store *s);
/* As writeback_drain, but returns when nothing goes on before the clock moves. true: nothing is
 * pending. */
bool writeback_settle(struct store *s);

#endif
