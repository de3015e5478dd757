/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of DATA_BLOCK_SIZE, cut from chunks of the size of a huge page: a page fault for each 4
 * KiB costs as much as receiving them, and the kernel looks up each page that is copied to it.
 *
 * A free block is kept (its memory is there) or cold (it is not). What is kept and what is in use
 * stay within memory_limit together, until little is in use for a while (idle.c); beyond that,
 * whole chunks are unmapped, and single blocks of the others given back to the system. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "data/data_impl.h"

#define CHUNK_SIZE   (2 * MIB)
#define CHUNK_BLOCKS (CHUNK_SIZE / DATA_BLOCK_SIZE)
#define CHUNK_ALL    ((1u << CHUNK_BLOCKS) - 1)
#define BUCKETS_MAX  (64 * KIB)

struct data_chunk {
    char *memory; /* CHUNK_SIZE, aligned to it */
    struct data_chunk *same_bucket;
    TAILQ_ENTRY(data_chunk) link; /* in partial or unused; not linked when no block is free */
    unsigned free, cold;          /* a bit for each block; a cold one is free */
    bool linked;
    bool split; /* no huge page any more */
};

static struct data_chunk **bucket_of(const struct data_chunk_pool *b, const void *memory)
{
    return &b->buckets[((uintptr_t)memory / CHUNK_SIZE) & (b->n_buckets - 1)];
}

static char *map_chunk(void)
{
    char *p = mmap(NULL, CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if ((uintptr_t)p % CHUNK_SIZE) {
        (void)munmap(p, CHUNK_SIZE);
        p = mmap(NULL, 2 * CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return NULL;
        size_t before = (CHUNK_SIZE - (uintptr_t)p % CHUNK_SIZE) % CHUNK_SIZE;
        if (before)
            (void)munmap(p, before);
        (void)munmap(p + before + CHUNK_SIZE, CHUNK_SIZE - before);
        p += before;
    }
    /* A wish: smaller pages do as well. */
    (void)madvise(p, CHUNK_SIZE, MADV_HUGEPAGE);
    return p;
}

static struct data_chunk *chunk_new(void)
{
    struct data_chunk *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->memory = map_chunk();
    if (!c->memory) {
        free(c);
        return NULL;
    }
    c->free = CHUNK_ALL;
    return c;
}

static void chunk_free(struct data_chunk *c)
{
    (void)munmap(c->memory, CHUNK_SIZE);
    free(c);
}

static void unlink_chunk(struct data_chunk_pool *b, struct data_chunk *c, bool unused)
{
    if (c->linked)
        TAILQ_REMOVE(unused ? &b->unused : &b->partial, c, link);
    c->linked = false;
}

/* In partial those with kept blocks stand before those with none; in unused those to be unmapped
 * next first. */
static void link_chunk(struct data_chunk_pool *b, struct data_chunk *c)
{
    if (c->free == CHUNK_ALL && c->split)
        TAILQ_INSERT_HEAD(&b->unused, c, link);
    else if (c->free == CHUNK_ALL)
        TAILQ_INSERT_TAIL(&b->unused, c, link);
    else if (c->free & ~c->cold)
        TAILQ_INSERT_HEAD(&b->partial, c, link);
    else if (c->free)
        TAILQ_INSERT_TAIL(&b->partial, c, link);
    c->linked = c->free != 0;
}

static void forget_chunk(struct data_chunk_pool *b, struct data_chunk *c)
{
    struct data_chunk **at = bucket_of(b, c->memory);
    while (*at != c)
        at = &(*at)->same_bucket;
    *at = c->same_bucket;
    b->n_kept -= (unsigned)__builtin_popcount(c->free & ~c->cold);
}

/* Kept blocks first, of chunks that are in use first: so others become free as a whole. */
static struct data_chunk *choose_chunk(const struct data_chunk_pool *b)
{
    struct data_chunk *partial = TAILQ_FIRST(&b->partial),
                      *unused = TAILQ_LAST(&b->unused, data_chunks);
    if (partial && (partial->free & ~partial->cold || !unused))
        return partial;
    return unused;
}

static char *take_block(struct data_chunk_pool *b, struct data_chunk *c)
{
    unsigned kept = c->free & ~c->cold;
    unsigned i = (unsigned)__builtin_ctz(kept ? kept : c->free);
    unlink_chunk(b, c, c->free == CHUNK_ALL);
    c->free &= ~(1u << i);
    c->cold &= ~(1u << i);
    if (kept)
        b->n_kept--;
    link_chunk(b, c);
    return c->memory + i * DATA_BLOCK_SIZE;
}

static void put_block(struct data_chunk_pool *b, char *block)
{
    struct data_chunk *c = *bucket_of(b, block);
    char *memory = block - (uintptr_t)block % CHUNK_SIZE;
    while (c->memory != memory)
        c = c->same_bucket;
    unlink_chunk(b, c, false);
    c->free |= 1u << ((size_t)(block - memory) / DATA_BLOCK_SIZE);
    b->n_kept++;
    link_chunk(b, c);
}

/* Gives the memory of free blocks of a chunk that is in use back to the system. Drops the lock. */
static void cool_locked(struct data *d, struct data_chunk *c, unsigned n)
{
    struct data_chunk_pool *b = &d->chunks;
    unsigned kept = c->free & ~c->cold, chosen = 0;
    for (; n && kept; n--, kept &= kept - 1)
        chosen |= kept & -kept;
    /* Nobody takes them meanwhile, and the chunk stays in use. */
    unlink_chunk(b, c, false);
    c->free &= ~chosen;
    b->n_kept -= (unsigned)__builtin_popcount(chosen);
    bool split = c->split;
    c->split = true;
    link_chunk(b, c);
    pthread_mutex_unlock(&d->lock);
    /* Or else the kernel might make one page of it again. */
    if (!split)
        (void)madvise(c->memory, CHUNK_SIZE, MADV_NOHUGEPAGE);
    for (unsigned i = 0; i < CHUNK_BLOCKS; i++)
        if (chosen & (1u << i))
            (void)madvise(c->memory + i * DATA_BLOCK_SIZE, DATA_BLOCK_SIZE, MADV_DONTNEED);
    pthread_mutex_lock(&d->lock);
    unlink_chunk(b, c, false);
    c->free |= chosen;
    c->cold |= chosen;
    link_chunk(b, c);
}

void data_blocks_trim_locked(struct data *d, size_t most)
{
    struct data_chunk_pool *b = &d->chunks;
    struct data_chunk *c;
    while ((c = TAILQ_FIRST(&b->unused), b->n_kept > most || (c && c->split))) {
        if (!c) {
            cool_locked(d, TAILQ_FIRST(&b->partial), (unsigned)(b->n_kept - most));
            continue;
        }
        unlink_chunk(b, c, true);
        forget_chunk(b, c);
        pthread_mutex_unlock(&d->lock);
        chunk_free(c);
        pthread_mutex_lock(&d->lock);
    }
}

void data_blocks_fit_locked(struct data *d)
{
    uint64_t taken = d->used + d->landed;
    uint64_t room = taken < d->memory_limit ? d->memory_limit - taken : 0;
    data_blocks_trim_locked(d, room / DATA_BLOCK_SIZE);
}

int data_blocks_get(struct data *d, char **ret, size_t n)
{
    struct data_chunk_pool *b = &d->chunks;
    size_t got = 0;
    pthread_mutex_lock(&d->lock);
    while (got < n) {
        struct data_chunk *c = choose_chunk(b);
        if (c) {
            ret[got++] = take_block(b, c);
            continue;
        }
        pthread_mutex_unlock(&d->lock);
        c = chunk_new();
        pthread_mutex_lock(&d->lock);
        if (!c)
            break;
        struct data_chunk **at = bucket_of(b, c->memory);
        c->same_bucket = *at;
        *at = c;
        b->n_kept += CHUNK_BLOCKS;
        link_chunk(b, c);
    }
    bool ok = got == n;
    while (!ok && got)
        put_block(b, ret[--got]);
    pthread_mutex_unlock(&d->lock);
    return ok ? 0 : -ENOMEM;
}

void data_blocks_put_locked(struct data *d, char *const *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (blocks[i] != d->zero_block)
            put_block(&d->chunks, blocks[i]);
}

int data_blocks_init(struct data *d)
{
    struct data_chunk_pool *b = &d->chunks;
    TAILQ_INIT(&b->partial);
    TAILQ_INIT(&b->unused);
    for (b->n_buckets = 1; b->n_buckets < MIN(d->memory_limit / CHUNK_SIZE, BUCKETS_MAX);)
        b->n_buckets *= 2;
    b->buckets = calloc(b->n_buckets, sizeof(*b->buckets));
    return b->buckets ? 0 : -ENOMEM;
}

void data_blocks_done(struct data *d)
{
    struct data_chunk_pool *b = &d->chunks;
    for (size_t i = 0; b->buckets && i < b->n_buckets; i++) {
        struct data_chunk *next;
        for (struct data_chunk *c = b->buckets[i]; c; c = next) {
            next = c->same_bucket;
            chunk_free(c);
        }
    }
    free(b->buckets);
}
