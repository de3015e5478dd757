/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the disk cache. Locks: the cache's lock is taken last, and never held over the disk. */
#ifndef PAILFS_DATA_BLOCK_CACHE_IMPL_H
#define PAILFS_DATA_BLOCK_CACHE_IMPL_H

#include <pthread.h>

#include "data/block_cache.h"
#include "data/block_folder.h"
#include "data/block_index.h"

#define BLOCK_CACHE_DROPPED 8u
/* In `gone`: all blocks of the object; no block has that number. */
#define BLOCK_CACHE_WHOLE UINT32_MAX

/* Of an object whose content was wrong nothing is taken for a while: what other readers have
 * fetched beside the one that found out may be wrong too. */
struct block_dropped {
    uint64_t id[2];
    uint64_t until_ns; /* monotonic; 0 = none is here */
};

struct block_cache {
    struct block_folder folder;
    uint64_t limit;
    uint64_t queue_max;
    uint32_t blocks_max;
    struct clock *clock;
    pthread_t thread;
    bool running; /* the thread; set before others come, cleared by block_cache_stop */

    pthread_mutex_t lock;
    pthread_cond_t wake;      /* on the monotonic clock */
    pthread_cond_t settled;   /* nothing waits */
    struct block_index index; /* protected by lock, as all below */
    struct block_index gone;  /* removed before it is ready: found all the same, perhaps */
    bool ready;               /* the index has all that is on the disk */
    bool stop;
    bool busy; /* the thread writes */
    struct block_job *first, **last, *writing;
    uint64_t queued;       /* bytes */
    uint64_t paused_until; /* monotonic: nothing is taken while the disk takes nothing */
    bool told;             /* that the disk takes nothing */
    struct block_dropped dropped[BLOCK_CACHE_DROPPED]; /* the last ones */
    unsigned n_dropped;
    struct block_cache_stats stats;
};

/* block_cache.c */
bool block_cache_is_dropped_locked(const struct block_cache *c, const uint64_t id[2]);
/* block_cache_thread.c */
void *block_cache_main(void *arg);
/* Takes the entry out of the index, and the file off the disk. The lock is given up meanwhile. */
void block_cache_remove_locked(struct block_cache *c, uint32_t entry);
/* Removes the oldest blocks until `bytes` are given back; returns those that are missing. The lock
 * is given up meanwhile. */
uint64_t block_cache_evict_locked(struct block_cache *c, uint64_t bytes);
/* Nothing is taken for so long. */
void block_cache_pause_locked(struct block_cache *c, uint64_t ns);
#define BLOCK_CACHE_PAUSE_FULL_NS NS_PER_S
#endif
