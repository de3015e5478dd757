/* SPDX-License-Identifier: Apache-2.0 */
#include "data/block_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "data/block_cache_impl.h"

/* Blocks of one object that are asked for on the disk, while the thread is still finding out. */
#define LOOK_MAX 4096u
/* After its content was wrong, nothing of an object is taken for so long. */
#define DROPPED_NS (60 * (uint64_t)NS_PER_S)
/* A use is noted on the disk no more often: it is for the order after the next mount. */
#define NOTE_USE_S 60u

int block_cache_new(const struct block_cache_options *opts, struct block_cache **ret)
{
    struct block_cache *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    int result = block_folder_open(&c->folder, opts->dir);
    if (result) {
        free(c);
        return result;
    }
    c->limit = opts->limit;
    c->queue_max = opts->queue_max;
    c->blocks_max = opts->blocks_max ? opts->blocks_max : UINT32_MAX;
    c->clock = opts->clock;
    c->last = &c->first;
    block_index_init(&c->index);
    block_index_init(&c->gone);
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&c->settled, NULL);
    c->running = true;
    result = -pthread_create(&c->thread, NULL, block_cache_main, c);
    if (result) {
        c->running = false;
        block_cache_free(c);
        return result;
    }
    *ret = c;
    return 0;
}

void block_cache_stop(struct block_cache *c)
{
    if (!c || !c->running)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    c->running = false;
}

void block_cache_free(struct block_cache *c)
{
    if (!c)
        return;
    block_cache_stop(c);
    block_index_done(&c->index);
    block_index_done(&c->gone);
    block_folder_close(&c->folder);
    pthread_cond_destroy(&c->settled);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

bool block_cache_is_on(const struct block_cache *c)
{
    return c && c->limit;
}

/* ---- what is there ---- */

/* Asks the disk for a block that the index does not have yet. */
static bool look_at(struct block_cache *c, const struct block_object *o, uint32_t block)
{
    struct block_found b;
    if (block_folder_look(&c->folder, o->id, block, &b) < 0)
        return false;
    SCOPE_LOCK(&c->lock);
    if (block_index_find(&c->index, o->id, block) != BLOCK_INDEX_NONE)
        return true;
    return !block_cache_is_dropped_locked(c, o->id) &&
           block_index_add(&c->index, o->id, block, b.bytes, b.used_s, false) == 0;
}

enum block_cache_found block_cache_look(struct block_cache *c, const struct block_object *o)
{
    uint32_t count = block_object_count(o);
    bool some = false, missing = false;
    for (uint32_t b = 0; b < count; b++) {
        pthread_mutex_lock(&c->lock);
        bool ready = c->ready;
        bool has = block_index_find(&c->index, o->id, b) != BLOCK_INDEX_NONE;
        pthread_mutex_unlock(&c->lock);
        if (!has && !ready && b < LOOK_MAX)
            has = look_at(c, o, b);
        some |= has;
        missing |= !has;
        /* Of an object so large there may be something further on. */
        if (missing && b >= LOOK_MAX)
            return BLOCK_CACHE_SOME;
        if (some && missing && ready)
            return BLOCK_CACHE_SOME;
    }
    return missing ? some ? BLOCK_CACHE_SOME : BLOCK_CACHE_NONE : BLOCK_CACHE_ALL;
}

bool block_cache_has(struct block_cache *c, const struct block_object *o, uint32_t block)
{
    SCOPE_LOCK(&c->lock);
    return block_index_find(&c->index, o->id, block) != BLOCK_INDEX_NONE;
}

/* ---- reading ---- */

static void note_hit(struct block_cache *c, const struct block_object *o, uint32_t block, int fd,
                     uint64_t bytes)
{
    uint32_t now_s = (uint32_t)(clock_realtime_ns(c->clock) / NS_PER_S);
    bool note = false;
    pthread_mutex_lock(&c->lock);
    uint32_t entry = block_index_find(&c->index, o->id, block);
    if (entry != BLOCK_INDEX_NONE) {
        struct block_entry *e = &c->index.entries[entry];
        note = now_s < e->used_s || now_s - e->used_s >= NOTE_USE_S;
        if (note)
            e->used_s = now_s;
        block_index_use(&c->index, entry);
    }
    c->stats.hits++;
    c->stats.hit_bytes += bytes;
    pthread_mutex_unlock(&c->lock);
    if (note)
        block_folder_note_use(fd);
}

/* Whether the block is not to blame. */
static bool is_passing(int result)
{
    return result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -EINVAL;
}

int block_cache_read(struct block_cache *c, const struct block_object *o, uint32_t block,
                     size_t offset, const struct iovec *iov, int n_iov)
{
    CLEANUP_FD int fd = -1;
    int result = block_folder_find(&c->folder, o->id, block, &fd);
    if (!result)
        result = block_file_read(fd, o, block, offset, iov, n_iov);
    if (!result) {
        uint64_t bytes = 0;
        for (int i = 0; i < n_iov; i++)
            bytes += iov[i].iov_len;
        note_hit(c, o, block, fd, bytes);
        return 0;
    }
    if (is_passing(result))
        return result;
    pthread_mutex_lock(&c->lock);
    uint32_t entry = block_index_find(&c->index, o->id, block);
    if (entry != BLOCK_INDEX_NONE) {
        if (result != -ENOENT) {
            c->stats.damaged++;
            log_debug("a block of the cache does not hold: %s", strerror(-result));
        }
        block_cache_remove_locked(c, entry);
    }
    pthread_mutex_unlock(&c->lock);
    return result;
}

/* ---- writing ---- */

static bool takes_locked(struct block_cache *c, const struct block_object *o, uint32_t block)
{
    return c->limit && !c->stop && c->queued + block_object_length(o, block) <= c->queue_max &&
           (!c->paused_until || clock_monotonic_ns(c->clock) >= c->paused_until) &&
           !block_cache_is_dropped_locked(c, o->id);
}

bool block_cache_wants(struct block_cache *c, const struct block_object *o, uint32_t block)
{
    SCOPE_LOCK(&c->lock);
    if (block_index_find(&c->index, o->id, block) != BLOCK_INDEX_NONE)
        return false;
    if (takes_locked(c, o, block))
        return true;
    c->stats.left_out++;
    return false;
}

bool block_cache_put(struct block_cache *c, struct block_job *job)
{
    SCOPE_LOCK(&c->lock);
    if (!takes_locked(c, &job->object, job->block)) {
        c->stats.left_out++;
        return false;
    }
    job->next = NULL;
    job->dropped = false;
    *c->last = job;
    c->last = &job->next;
    c->queued += block_object_length(&job->object, job->block);
    pthread_cond_signal(&c->wake);
    return true;
}

/* ---- what is wrong ---- */

static bool is_same(const uint64_t a[2], const uint64_t b[2])
{
    return a[0] == b[0] && a[1] == b[1];
}

bool block_cache_is_dropped_locked(const struct block_cache *c, const uint64_t id[2])
{
    for (unsigned i = 0; i < BLOCK_CACHE_DROPPED; i++)
        if (c->dropped[i].until_ns && is_same(c->dropped[i].id, id) &&
            clock_monotonic_ns(c->clock) < c->dropped[i].until_ns)
            return true;
    return !c->ready && block_index_find(&c->gone, id, BLOCK_CACHE_WHOLE) != BLOCK_INDEX_NONE;
}

static void note_dropped_locked(struct block_cache *c, const uint64_t id[2])
{
    struct block_dropped *d = NULL;
    for (unsigned i = 0; i < BLOCK_CACHE_DROPPED && !d; i++)
        if (c->dropped[i].until_ns && is_same(c->dropped[i].id, id))
            d = &c->dropped[i];
    if (!d)
        d = &c->dropped[c->n_dropped++ % BLOCK_CACHE_DROPPED];
    *d = (struct block_dropped){{id[0], id[1]}, clock_monotonic_ns(c->clock) + DROPPED_NS};
    /* What is on the disk of it and not known yet: without the memory for that it stays, and is
     * compared again by who reads all of it. */
    if (!c->ready && block_index_find(&c->gone, id, BLOCK_CACHE_WHOLE) == BLOCK_INDEX_NONE)
        (void)block_index_add(&c->gone, id, BLOCK_CACHE_WHOLE, 0, 0, false);
}

void block_cache_drop(struct block_cache *c, const struct block_object *o)
{
    SCOPE_LOCK(&c->lock);
    note_dropped_locked(c, o->id);
    if (c->writing && is_same(c->writing->object.id, o->id))
        c->writing->dropped = true;
    for (struct block_job *job = c->first; job; job = job->next)
        if (is_same(job->object.id, o->id))
            job->dropped = true;
    for (uint32_t b = 0; b < block_object_count(o); b++) {
        uint32_t entry = block_index_find(&c->index, o->id, b);
        if (entry != BLOCK_INDEX_NONE)
            block_cache_remove_locked(c, entry);
    }
}

/* Beyond what is missing, so that the next one need not come again. */
#define ROOM_MORE (16 * MIB)

uint64_t block_cache_make_room(struct block_cache *c, const char *beside, uint64_t bytes)
{
    if (!block_folder_is_beside(&c->folder, beside))
        return 0;
    bytes += ROOM_MORE;
    SCOPE_LOCK(&c->lock);
    block_cache_pause_locked(c, BLOCK_CACHE_PAUSE_FULL_NS);
    return bytes - block_cache_evict_locked(c, bytes);
}

/* ---- figures ---- */

void block_cache_note_miss(struct block_cache *c, uint64_t bytes)
{
    SCOPE_LOCK(&c->lock);
    c->stats.misses++;
    c->stats.miss_bytes += bytes;
}

void block_cache_stats(struct block_cache *c, struct block_cache_stats *ret)
{
    SCOPE_LOCK(&c->lock);
    *ret = c->stats;
    ret->limit = c->limit;
    ret->used = block_index_bytes(&c->index);
    ret->blocks = c->index.n;
    ret->waiting = c->queued;
    ret->ready = c->ready;
}

void block_cache_settle(struct block_cache *c)
{
    SCOPE_LOCK(&c->lock);
    while (!c->ready || c->first || c->busy)
        pthread_cond_wait(&c->settled, &c->lock);
}
