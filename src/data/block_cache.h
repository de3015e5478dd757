/* SPDX-License-Identifier: Apache-2.0 */
/* File content that was read, kept on the local disk for the next read: by this mount or the next
 * one. Blocks of one version of an object (block_file.h), the least recently used ones removed when
 * their sum would exceed a limit or the disk gets full.
 *
 * It is a cache: whatever is wrong with it is a miss. What is damaged is removed; what cannot be
 * written, because the disk is slow, full or broken, is left out.
 *
 * Life:    block_cache_new -> ... -> block_cache_stop (what waits is written) -> block_cache_free.
 * Threads: any. One thread of its own writes, removes, and finds out after the start what is there.
 *          block_cache_has and block_cache_put do not block; the others read the disk. */
#ifndef PAILFS_DATA_BLOCK_CACHE_H
#define PAILFS_DATA_BLOCK_CACHE_H

#include "base/clock.h"
#include "data/block_file.h"

struct block_cache;

struct block_cache_options {
    const char *dir;     /* is there; nobody else uses it */
    uint64_t limit;      /* bytes on the disk; 0 = what is there is removed */
    uint64_t queue_max;  /* bytes that wait to be written */
    uint32_t blocks_max; /* each takes memory (block_index.h); 0 = no limit */
    struct clock *clock; /* borrowed */
};

int block_cache_new(const struct block_cache_options *opts, struct block_cache **ret);
/* Refuses what comes, writes what waits (for some seconds at most), ends the thread. */
void block_cache_stop(struct block_cache *c); /* NULL ok */
void block_cache_free(struct block_cache *c); /* NULL ok */
/* Whether it may hold anything. NULL ok */
bool block_cache_is_on(const struct block_cache *c);

enum block_cache_found { BLOCK_CACHE_NONE, BLOCK_CACHE_SOME, BLOCK_CACHE_ALL };
/* How much of the object is there; asks the disk while it is not known yet. */
enum block_cache_found block_cache_look(struct block_cache *c, const struct block_object *o);
bool block_cache_has(struct block_cache *c, const struct block_object *o, uint32_t block);
/* See block_file_read. Any failure is a miss: the block is gone then, or left for later. */
int block_cache_read(struct block_cache *c, const struct block_object *o, uint32_t block,
                     size_t offset, const struct iovec *iov, int n_iov);

/* A block to be written. */
struct block_job {
    struct block_job *next; /* the cache's, as the next one */
    bool dropped;           /* while it waited */
    struct block_object object;
    uint32_t block;
    int n_iov;
    struct iovec iov[BLOCK_FILE_IOV]; /* all of its content; borrowed until release */
    /* The memory is not needed any more, written or not; from the cache's thread, without a lock.
     */
    void (*release)(struct block_job *job);
};
/* Whether block_cache_put would take it now. */
bool block_cache_wants(struct block_cache *c, const struct block_object *o, uint32_t block);
/* True: the job is the cache's, and release runs once. False: it is refused, and stays the
 * caller's. */
bool block_cache_put(struct block_cache *c, struct block_job *job);
/* Its content turned out to be wrong: what is there of it goes, also what still waits, and for a
 * while no more is taken. */
void block_cache_drop(struct block_cache *c, const struct block_object *o);
/* The disk is full, and something more important than a cache wants so much of it: the oldest
 * blocks go. Returns what they took; 0 also when the folder is on another disk than `beside`. */
uint64_t block_cache_make_room(struct block_cache *c, const char *beside, uint64_t bytes);
/* A request to the store for bytes that are not here. */
void block_cache_note_miss(struct block_cache *c, uint64_t bytes);
/* Waits until all that was put is written and what is there is known. For tests. */
void block_cache_settle(struct block_cache *c);

struct block_cache_stats {
    uint64_t limit, used; /* bytes on the disk */
    uint64_t blocks;
    uint64_t hits, hit_bytes;
    uint64_t misses, miss_bytes; /* requests to the store */
    uint64_t stored;             /* blocks written */
    uint64_t waiting;            /* bytes to be written */
    uint64_t left_out;           /* not written: the disk is slow, full or broken */
    uint64_t evicted;            /* blocks that made room for others */
    uint64_t damaged;            /* blocks that did not hold */
    bool ready;                  /* it is known what is there */
};
void block_cache_stats(struct block_cache *c, struct block_cache_stats *ret);

#endif
