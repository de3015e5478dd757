/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the data layer: the memory budget that readers and writers share.
 *
 * A share is one reader's or writer's account. What lies within its guarantee is always granted,
 * even over the limit: a writer that could be refused its first part would wait for memory that
 * only its own next write would free, and 64 such writers for each other. All else is granted
 * while the sum stays within the limit and, once half of it is in use, within an equal share.
 *
 * Locks: readers_lock, then a reader's, then data's lock, which is the last one taken: readers and
 * uploads call in here with their own held. */
#ifndef PAILFS_DATA_DATA_IMPL_H
#define PAILFS_DATA_DATA_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/attr.h"
#include "data/data.h"
#include "data/pace.h"
#include "data/prefetch.h"

#define DATA_BLOCK_SIZE (128 * KIB)

struct dirty;
struct reader;
struct upload;
struct writer;
struct data_waiter;
struct data_chunk;
TAILQ_HEAD(data_chunks, data_chunk);

/* chunks.c; protected by data's lock. */
struct data_chunk_pool {
    struct data_chunk **buckets; /* by address */
    size_t n_buckets;
    struct data_chunks partial; /* some of their blocks are free */
    struct data_chunks unused;  /* all are */
    size_t n_kept;              /* free blocks whose memory is there */
};

struct data {
    struct store *store;
    struct clock *clock;
    uint64_t memory_limit;
    uint64_t write_part_size;
    uint64_t write_part_max; /* growth stops here: parts wait for their answer in memory */
    uint64_t read_part_size;
    uint64_t verify_min;
    bool verify_always;
    bool sum_parts;
    atomic_uint vain_checks, vain_skipped; /* see reader_check.c */
    atomic_bool vain_told;
    atomic_uint_fast64_t checked_bytes, mismatches, refetched; /* figures */
    unsigned parallel;
    struct pace pace; /* of parts */
    unsigned connections;
    atomic_uint streams; /* readers with requests under way */
    uint64_t idle_ns;
    char *zero_block; /* DATA_BLOCK_SIZE zeros; stands for holes in bodies, never written */

    pthread_mutex_t readers_lock;
    struct reader *first_reader; /* protected by readers_lock, as the next one */
    uint64_t reclaimed_ns;       /* when readers_give_back last looked */
    struct prefetch_path path;   /* as the last one knew it when it was closed */

    struct dirty *dirty;
    struct block_cache *blocks; /* NULL = nothing that was read is kept */
    pthread_mutex_t writers_lock;
    struct writer *first_writer; /* of those with a stage; protected by writers_lock */

    pthread_mutex_t retain_lock;    /* taken before an upload's lock */
    struct upload *first_retaining; /* protected by retain_lock, as the next ones */
    uint64_t retained;
    unsigned no_retain; /* threads that wait for memory */

    pthread_mutex_t lock;
    pthread_cond_t unpinned;
    uint64_t used, peak;                         /* protected by lock, as all below */
    unsigned holders;                            /* shares with memory */
    struct data_waiter *waiters, **waiters_tail; /* first come, first served */
    unsigned n_waiters;
    struct data_chunk_pool chunks;
    uint64_t high; /* most in use since memory was given back */
    struct data_idle {
        pthread_cond_t wake; /* on the monotonic clock */
        pthread_t thread;
        bool running, due, stop;
    } idle;
    unsigned pins; /* objects that a request under way may still reach */
    unsigned readers, writers, uploads;
    uint64_t dirty_bytes;
};

struct data_share {
    struct data *d;
    bool unsummed;       /* nobody asks for the sums of its buffers (sum_parts) */
    unsigned refs;       /* of one made by data_share_new; protected by d->lock */
    uint64_t guaranteed; /* protected by d->lock, as all below */
    uint64_t used;
    uint64_t credit; /* of used: granted by data_share_wait, not yet taken */
};

enum data_reserve_mode {
    DATA_TRY,   /* -EAGAIN when it does not fit */
    DATA_FORCE, /* always granted: bounded by the caller in another way */
};

void data_share_init(struct data_share *s, struct data *d, uint64_t guaranteed);
/* For a share that requests under way use after its owner is gone. NULL = out of memory. */
struct data_share *data_share_new(struct data *d, uint64_t guaranteed);
struct data_share *data_share_ref(struct data_share *s);
void data_share_unref(struct data_share *s);
void data_share_set_guaranteed(struct data_share *s, uint64_t guaranteed);
int data_share_reserve(struct data_share *s, uint64_t bytes, enum data_reserve_mode mode);
/* Blocks until `bytes` are granted; the next reservation takes them. The caller has more in its
 * share than the guarantee, and all above it under way to the store: so it ends. */
void data_share_wait(struct data_share *s, uint64_t bytes);
/* The same after everybody has given back what is only nice to have. */
void data_share_wait_hard(struct data_share *s, uint64_t bytes);
/* As data_share_wait, but false instead of blocking. */
bool data_share_try(struct data_share *s, uint64_t bytes);
void data_share_release(struct data_share *s, uint64_t bytes);
/* Half of the limit is free: nobody has to share. */
bool data_has_room(struct data *d);
/* More than the limit is in use: what is not needed should go. */
bool data_is_tight(struct data *d);
/* Gives back what was granted and not taken. */
void data_share_drop_credit(struct data_share *s);

/* chunks.c. n times DATA_BLOCK_SIZE bytes, aligned to a page, content undefined; reserve first. 0
 * or -ENOMEM. */
int data_blocks_get(struct data *d, char **ret, size_t n);
/* zero_block may be among them. Release, then fit. */
void data_blocks_put_locked(struct data *d, char *const *blocks, size_t n);
/* Free blocks beyond the limit, or beyond `most`, go back to the system. May drop the lock. */
void data_blocks_fit_locked(struct data *d);
void data_blocks_trim_locked(struct data *d, size_t most);
int data_blocks_init(struct data *d);
void data_blocks_done(struct data *d);
/* Gives blocks back, and `bytes` to the budget. */
void data_share_put_blocks(struct data_share *s, char *const *blocks, size_t n, uint64_t bytes);

/* idle.c. Less is in use by far than has been. */
void data_idle_note_locked(struct data *d);
void data_idle_init(struct data *d);
void data_idle_done(struct data *d);

/* data_free waits for the last unpin. */
void data_pin(struct data *d);
void data_unpin(struct data *d);

/* Somebody was refused: readers that nobody has read from for a while give back what they fetched
 * ahead. No lock is held. */
void readers_give_back(struct data *d);

/* That, and what uploads have sent and keep. */
void data_give_back(struct data *d);
/* Local disk is wanted: writers that nobody is in give back what the store has too. */
void writers_drop_clean(struct data *d);

void data_count(struct data *d, int readers, int writers);
/* An upload request began (+1) or ended (-1) and the bytes not yet stored changed. */
void data_count_dirty(struct data *d, int64_t bytes, int uploads);

#endif
