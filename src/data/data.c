/* SPDX-License-Identifier: Apache-2.0 */
#include "data/data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "data/block_index.h"
#include "data/data_impl.h"
#include "data/dirty.h"
#include "store/store_limits.h"

#define MEMORY_LIMIT_DEFAULT (512 * MIB)
#define MEMORY_LIMIT_MIN     (64 * MIB)
#define PART_SIZE_DEFAULT    (8 * MIB)
#define READ_PART_SIZE_MIN   (256 * KIB)
#define PARALLEL_DEFAULT     8u
#define CONNECTIONS_DEFAULT  64u
#define IDLE_NS_DEFAULT      (5 * NS_PER_S)
/* A part waits for its answer in memory, so one may take this share of the limit. */
#define PART_MEMORY_SHARE 4u
/* What waits for the disk cache has been read, and stays in memory until it is written. */
#define CACHE_MEMORY_SHARE 4u
/* And its index, in the memory beside it. */
#define CACHE_INDEX_SHARE 8

/* ---- part sizes ---- */

/* The size doubles at each of these indexes. A stream's length is not known ahead, so parts stay
 * small while a file is of common size (117 GiB at 64 MiB and less, from 8 MiB) and only then race
 * to S3's maximum. */
static const uint32_t PART_SIZE_DOUBLES[] = {1000, 2000, 3000, 4000, 4250,
                                             4500, 4750, 5000, 5250, 5500};

uint64_t data_part_size(uint64_t first, uint32_t index)
{
    uint64_t size = MAX(MIN(first, STORE_PART_SIZE_MAX), STORE_PART_SIZE_MIN);
    for (size_t i = 0; i < ARRAY_SIZE(PART_SIZE_DOUBLES) && index >= PART_SIZE_DOUBLES[i]; i++)
        size *= 2;
    return MIN(size, STORE_PART_SIZE_MAX);
}

#define AHEAD_MAX   (64 * MIB)
#define AHEAD_SHARE 8u

uint64_t data_ahead_max(const struct data *d)
{
    return MIN(d->memory_limit / AHEAD_SHARE, AHEAD_MAX);
}

/* ---- life and figures ---- */

void data_pin(struct data *d)
{
    SCOPE_LOCK(&d->lock);
    d->pins++;
}

void data_unpin(struct data *d)
{
    SCOPE_LOCK(&d->lock);
    if (--d->pins == 0)
        pthread_cond_broadcast(&d->unpinned);
}

void data_count(struct data *d, int readers, int writers)
{
    SCOPE_LOCK(&d->lock);
    d->readers += (unsigned)readers;
    d->writers += (unsigned)writers;
}

void data_count_dirty(struct data *d, int64_t bytes, int uploads)
{
    SCOPE_LOCK(&d->lock);
    d->dirty_bytes += (uint64_t)bytes;
    d->uploads += (unsigned)uploads;
}

void data_note_spilled(struct data *d, uint64_t bytes)
{
    SCOPE_LOCK(&d->lock);
    d->spilled += bytes;
}

void data_stats(struct data *d, struct data_stats *ret)
{
    pthread_mutex_lock(&d->lock);
    *ret = (struct data_stats){
        .memory_used = d->used,
        .memory_limit = d->memory_limit,
        .memory_peak = d->peak,
        .memory_kept = d->chunks.n_kept * DATA_BLOCK_SIZE,
        .readers = d->readers,
        .writers = d->writers,
        .dirty_bytes = d->dirty_bytes,
        .uploads = d->uploads,
        .spilled = d->spilled,
        .disk_bytes = dirty_used(d->dirty),
        .checked_bytes = atomic_load_explicit(&d->checked_bytes, memory_order_relaxed),
        .mismatches = atomic_load_explicit(&d->mismatches, memory_order_relaxed),
        .refetched = atomic_load_explicit(&d->refetched, memory_order_relaxed),
    };
    pthread_mutex_unlock(&d->lock);
    if (d->blocks)
        block_cache_stats(d->blocks, &ret->cache);
}

/* The mount works without it. */
/* A power of two, because the index grows by doubling. */
static uint32_t blocks_max(const struct data *d)
{
    uint64_t most = d->memory_limit / CACHE_INDEX_SHARE / BLOCK_INDEX_COST, max = 1;
    while (max * 2 <= MIN(most, (uint64_t)1 << 30))
        max *= 2;
    return (uint32_t)max;
}

static void cache_init(struct data *d, const struct data_options *opts)
{
    struct block_cache_options o = {
        .dir = opts->cache_dir,
        .limit = opts->cache_limit,
        .queue_max = d->memory_limit / CACHE_MEMORY_SHARE,
        .blocks_max = blocks_max(d),
        .clock = d->clock,
    };
    if (!o.dir)
        return;
    int result = block_cache_new(&o, &d->blocks);
    if (result && o.limit)
        log_warn("'%s': %s: file content will not be cached", o.dir, strerror(-result));
}

bool data_make_room(struct data *d, uint64_t bytes)
{
    const char *dir = d ? dirty_folder(d->dirty) : NULL;
    return dir && block_cache_is_on(d->blocks) && block_cache_make_room(d->blocks, dir, bytes);
}

int data_new(const struct data_options *opts, struct data **ret)
{
    struct data *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->zero_block = calloc(1, DATA_BLOCK_SIZE);
    if (!d->zero_block) {
        free(d);
        return -ENOMEM;
    }
    d->store = opts->store;
    d->clock = opts->clock ? opts->clock : clock_system();
    d->memory_limit =
        MAX(opts->memory_limit ? opts->memory_limit : MEMORY_LIMIT_DEFAULT, MEMORY_LIMIT_MIN);
    d->write_part_max = MIN(d->memory_limit / PART_MEMORY_SHARE, STORE_PART_SIZE_MAX);
    d->write_part_size = opts->write_part_size ? opts->write_part_size : PART_SIZE_DEFAULT;
    d->write_part_size = MAX(MIN(d->write_part_size, d->write_part_max), STORE_PART_SIZE_MIN);
    d->verify_min = opts->verify_min;
    d->verify_always = opts->verify_always;
    d->sum_parts = opts->sum_parts;
    d->read_part_size = opts->read_part_size ? opts->read_part_size : PART_SIZE_DEFAULT;
    d->read_part_size =
        MAX(MIN(d->read_part_size, d->memory_limit / PART_MEMORY_SHARE), READ_PART_SIZE_MIN);
    d->parallel = opts->parallel ? opts->parallel : PARALLEL_DEFAULT;
    d->connections = opts->connections ? opts->connections : CONNECTIONS_DEFAULT;
    if (opts->answer_ns) /* A guess: as much again for the bytes. */
        d->path = (struct prefetch_path){opts->answer_ns, 2 * opts->answer_ns, MIB};
    d->idle_ns = opts->idle_ns ? opts->idle_ns : IDLE_NS_DEFAULT;
    d->waiters_tail = &d->waiters;
    uint64_t dirty_limit = opts->dirty_limit;
    if (!opts->dirty_dir)
        dirty_limit = d->memory_limit / 4;
    if (data_blocks_init(d) || dirty_new(opts->dirty_dir, dirty_limit, &d->dirty)) {
        data_blocks_done(d);
        free(d->zero_block);
        free(d);
        return -ENOMEM;
    }
    pace_init(&d->pace, d->parallel);
    pthread_mutex_init(&d->readers_lock, NULL);
    pthread_mutex_init(&d->writers_lock, NULL);
    pthread_mutex_init(&d->retain_lock, NULL);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->unpinned, NULL);
    pthread_cond_init(&d->demanded_less, NULL);
    data_idle_init(d);
    cache_init(d, opts);
    *ret = d;
    return 0;
}

void data_free(struct data *d)
{
    if (!d)
        return;
    block_cache_stop(d->blocks); /* what waits there has pins */
    pthread_mutex_lock(&d->lock);
    while (d->pins)
        pthread_cond_wait(&d->unpinned, &d->lock);
    pthread_mutex_unlock(&d->lock);

    block_cache_free(d->blocks);
    data_idle_done(d);
    data_blocks_done(d);
    pthread_cond_destroy(&d->unpinned);
    pthread_cond_destroy(&d->demanded_less);
    pthread_mutex_destroy(&d->lock);
    pthread_mutex_destroy(&d->readers_lock);
    pace_done(&d->pace);
    pthread_mutex_destroy(&d->writers_lock);
    pthread_mutex_destroy(&d->retain_lock);
    dirty_free(d->dirty);
    free(d->zero_block);
    free(d);
}
