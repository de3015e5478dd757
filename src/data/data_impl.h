/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the data layer: the memory budget that readers and writers share (budget.c).
 *
 * A share is one reader's or writer's account. What is charged to it either rests, until a program
 * reads it or writes more, or is leaving: requests are under way, or about to be, that free it
 * without anybody's doing. Resting memory of both sides is three quarters of the limit at most
 * while anything is open for writing, and each side has a claim to half of that. Once half of the
 * limit is in use, nobody may have more than an equal share of its side, but for a writer's part.
 *
 * No wait for memory lasts for ever, whatever programs do:
 * - to wait is to wait for what is leaving, and only for so much as was leaving, or was waited for,
 *   when the wait began. What is leaving needs no more memory to go, and who holds it waits for
 *   none;
 * - a writer that waited in vain brings its unsent part to the local disk (writer_spill.c) and goes
 *   on there; it has no memory then;
 * - to send that part it waits for the memory again, of which a quarter of the limit is never
 *   resting; in vain is at an end when nothing is leaving, and then it is granted over the limit,
 *   which makes it the one thing that leaves.
 * So more than the limit is in use only by such a part, by what reads under way ask for, and by
 * unsent parts that the local disk has no room for.
 *
 * What a read waits for is granted beyond the limit while an eighth of that is so under way, or
 * less. Further reads wait for those answers, which need no memory more: so many readers at a time
 * go on, however little is left.
 *
 * What has come from the kernel and is in no part yet (landing.h) is not refused, but leaves the
 * others less: half of the limit at least.
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

enum data_share_kind { DATA_READER, DATA_WRITER, DATA_KINDS };

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
    uint64_t used, peak;             /* protected by lock, as all below */
    uint64_t class_used[DATA_KINDS]; /* their sum is used */
    uint64_t leaving[DATA_KINDS];    /* of that */
    uint64_t left;                   /* what was leaving, and does no more; ever */
    uint64_t demanded;               /* bytes that reads under way have asked the store for */
    pthread_cond_t demanded_less;
    uint64_t landed; /* blocks of landings: beside used, and the limit is less by them */
    unsigned holders[DATA_KINDS];                /* shares with memory */
    struct data_waiter *waiters, **waiters_tail; /* first come, first served */
    unsigned n_waiters, waiting[DATA_KINDS];
    uint64_t waiting_bytes;
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
    uint64_t spilled; /* bytes of unsent parts that went to the local disk; ever */
    atomic_bool beyond_told;
};

struct data_share {
    struct data *d;
    enum data_share_kind kind;
    bool unsummed;  /* nobody asks for the sums of its buffers (sum_parts) */
    unsigned refs;  /* of one made by data_share_new; protected by d->lock, as all below */
    uint64_t least; /* a writer's: not refused for the sake of others' equal shares */
    uint64_t used;
    uint64_t credit; /* of used: granted by data_share_wait, not yet taken */
    uint64_t load;   /* of used, and leaving: granted by data_share_load, not yet taken */
};

enum data_reserve_mode {
    DATA_TRY,    /* -EAGAIN when it does not fit */
    DATA_FORCE,  /* always granted: bounded by the caller in another way */
    DATA_LOADED, /* taken from what data_share_load has granted; it is leaving */
    DATA_DEMAND, /* -EAGAIN when it does not fit and much is demanded already */
    DATA_LANDED, /* as DATA_TRY, of blocks that count as landed, and no more when it fits */
};

enum data_purpose {
    DATA_FETCH, /* bytes from the store, until a program reads them */
    DATA_FILL,  /* a program's bytes, until their part is full */
    DATA_LOAD,  /* bytes that are sent as soon as they are in memory */
};

void data_share_init(struct data_share *s, struct data *d, enum data_share_kind kind);
/* For a share that requests under way use after its owner is gone. NULL = out of memory. */
struct data_share *data_share_new(struct data *d, enum data_share_kind kind);
struct data_share *data_share_ref(struct data_share *s);
void data_share_unref(struct data_share *s);
void data_share_set_least(struct data_share *s, uint64_t least);
int data_share_reserve(struct data_share *s, uint64_t bytes, enum data_reserve_mode mode);
/* Everybody gives back what is only nice to have. Then blocks until `bytes` are granted, which the
 * next reservation takes, or (false) there is nothing left to wait for. */
bool data_share_wait(struct data_share *s, uint64_t bytes, enum data_purpose purpose);
/* As data_share_wait, but false instead of blocking. */
bool data_share_try(struct data_share *s, uint64_t bytes);
/* Grants them over the limit. */
void data_share_force(struct data_share *s, uint64_t bytes);
/* Blocks until `bytes` are granted, for DATA_LOADED. The caller holds nothing but what is leaving,
 * and waits for nothing but the store from now on until they leave. */
void data_share_load(struct data_share *s, uint64_t bytes);
void data_share_release(struct data_share *s, uint64_t bytes);
/* Of what is charged, bytes are leaving; and are not any more (the other: only if there is room
 * for them to rest). */
void data_share_leaving(struct data_share *s, uint64_t bytes);
void data_share_stay(struct data_share *s, uint64_t bytes);
bool data_share_try_stay(struct data_share *s, uint64_t bytes);
/* Bytes that a read waits for: so many more or (negative) less are under way. */
void data_note_demanded(struct data *d, int64_t bytes);
/* Waits until DATA_DEMAND may be granted, for what needs nothing but the store's answer. 0, or
 * -EINTR: nobody waits for this read any more. */
int data_wait_demanded(struct data *d);
/* Blocks of landings, so many bytes more or (negative) less. */
void data_note_landed(struct data *d, int64_t bytes);
void data_note_landed_locked(struct data *d, int64_t bytes);
/* Give back what was granted and not taken. */
void data_share_drop_credit(struct data_share *s);
void data_share_drop_load(struct data_share *s);
/* Half of the limit is free: nobody has to share. */
bool data_has_room(struct data *d);
/* More than the limit is in use: what is not needed should go. */
bool data_is_tight(struct data *d);

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
void data_share_put_blocks(struct data_share *s, char *const *blocks, size_t n, uint64_t bytes,
                           bool leaving);

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
void data_note_spilled(struct data *d, uint64_t bytes);
/* An upload request began (+1) or ended (-1) and the bytes not yet stored changed. */
void data_count_dirty(struct data *d, int64_t bytes, int uploads);

#endif
