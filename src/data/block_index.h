/* SPDX-License-Identifier: Apache-2.0 */
/* Which blocks the disk cache has, in the order of their last use. 44 bytes for each, so that a
 * million blocks (1 TiB, or as many small files) need no more than 50 MB.
 *
 * Entries are numbered; a number is valid until that entry is removed.
 * Life:    block_index_init -> ... -> block_index_done. Memory only.
 * Threads: the caller's lock. */
#ifndef PAILFS_DATA_BLOCK_INDEX_H
#define PAILFS_DATA_BLOCK_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_INDEX_NONE UINT32_MAX
/* Space on the disk is counted in these. */
#define BLOCK_INDEX_UNIT 4096u

struct block_entry {
    uint64_t id[2];
    uint32_t block;
    uint32_t units;        /* of the disk */
    uint32_t used_s;       /* wall clock at its last noted use */
    uint32_t newer, older; /* in the order of use */
    uint32_t next;         /* in its bucket, or of the free ones */
};

/* Bytes of memory that a block takes, with its bucket. */
#define BLOCK_INDEX_COST (sizeof(struct block_entry) + sizeof(uint32_t))

struct block_index {
    struct block_entry *entries;
    uint32_t *buckets;
    uint32_t n, n_alloc, n_made; /* made: entries[0 .. n_made) have been used once */
    uint32_t mask;               /* of the buckets */
    uint32_t free;
    uint32_t newest, oldest;
    uint64_t units; /* of all */
};

void block_index_init(struct block_index *x);
void block_index_done(struct block_index *x);
uint32_t block_index_find(const struct block_index *x, const uint64_t id[2], uint32_t block);
/* The block is not there yet. oldest: it goes before all others when space is wanted. 0 or -ENOMEM.
 */
int block_index_add(struct block_index *x, const uint64_t id[2], uint32_t block, uint64_t bytes,
                    uint32_t used_s, bool oldest);
void block_index_remove(struct block_index *x, uint32_t entry);
/* It is the newest now. */
void block_index_use(struct block_index *x, uint32_t entry);

static inline uint64_t block_index_bytes(const struct block_index *x)
{
    return x->units * BLOCK_INDEX_UNIT;
}

#endif
