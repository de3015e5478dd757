/* SPDX-License-Identifier: Apache-2.0 */
/* The cache's own thread: finds out what is there, writes what was read, and makes room. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "data/block_cache_impl.h"

/* While nothing is written, the disk is looked at so often: others may want its space. */
#define LOOK_S 10
/* After a write that failed nothing is taken for so long: a full disk, another failure. */
#define PAUSE_FAILED_NS (30 * (uint64_t)NS_PER_S)
/* Removed at once when the disk is full. */
#define FULL_STEP (16 * MIB)
/* At the end, for what still waits. */
#define STOP_NS (5 * (uint64_t)NS_PER_S)
/* Entries that one hold of the lock adds. */
#define ADD_BATCH 1024u

void block_cache_remove_locked(struct block_cache *c, uint32_t entry)
{
    const struct block_entry e = c->index.entries[entry];
    block_index_remove(&c->index, entry);
    if (!c->ready && block_index_find(&c->gone, e.id, e.block) == BLOCK_INDEX_NONE)
        (void)block_index_add(&c->gone, e.id, e.block, 0, 0, false);
    pthread_mutex_unlock(&c->lock);
    int result = block_folder_remove(&c->folder, e.id, e.block);
    if (result && result != -ENOENT)
        log_debug("a block of the cache cannot be removed: %s", strerror(-result));
    pthread_mutex_lock(&c->lock);
}

/* ---- at the start ---- */

struct scan {
    struct block_cache *c;
    struct block_found *found;
    size_t n, alloc;
};

static int by_use(const void *a, const void *b)
{
    const struct block_found *x = a, *y = b;
    return x->used_s > y->used_s ? -1 : x->used_s < y->used_s;
}

/* The newest ones, as many as may be: the others go from the disk. */
static void sort_and_cut(struct scan *s)
{
    if (s->n)
        qsort(s->found, s->n, sizeof(*s->found), by_use);
    while (s->n > s->c->blocks_max) {
        const struct block_found *b = &s->found[--s->n];
        (void)block_folder_remove(&s->c->folder, b->id, b->block);
    }
}

static int add_found(void *ctx, const struct block_found *b)
{
    struct scan *s = ctx;
    if (s->n > s->c->blocks_max && s->n - s->c->blocks_max > s->c->blocks_max / 4)
        sort_and_cut(s);
    if (s->n == s->alloc) {
        size_t alloc = s->alloc ? s->alloc * 2 : 1024;
        struct block_found *more = realloc(s->found, alloc * sizeof(*more));
        if (!more) {
            /* What cannot be counted must not stay. */
            (void)block_folder_remove(&s->c->folder, b->id, b->block);
            return 0;
        }
        s->found = more;
        s->alloc = alloc;
    }
    s->found[s->n++] = *b;
    return 0;
}

/* The newest first, each behind the one before and all behind what was used since the start. */
static void add_all(struct block_cache *c, const struct scan *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct block_found *b = &s->found[i];
        if (i % ADD_BATCH == 0) {
            if (i)
                pthread_mutex_unlock(&c->lock);
            pthread_mutex_lock(&c->lock);
        }
        if (block_index_find(&c->index, b->id, b->block) != BLOCK_INDEX_NONE ||
            block_index_find(&c->gone, b->id, b->block) != BLOCK_INDEX_NONE)
            continue;
        if (!block_cache_is_dropped_locked(c, b->id) &&
            block_index_add(&c->index, b->id, b->block, b->bytes, b->used_s, true) == 0)
            continue;
        pthread_mutex_unlock(&c->lock);
        (void)block_folder_remove(&c->folder, b->id, b->block);
        pthread_mutex_lock(&c->lock);
    }
    if (s->n)
        pthread_mutex_unlock(&c->lock);
}

static bool is_stopped(struct block_cache *c)
{
    SCOPE_LOCK(&c->lock);
    return c->stop;
}

/* False when it was stopped before its end. */
static bool find_out(struct block_cache *c)
{
    struct scan s = {.c = c};
    int failed = 0;
    block_folder_sweep(&c->folder, false);
    for (unsigned i = 0; i < BLOCK_FOLDERS; i++) {
        if (is_stopped(c)) {
            free(s.found);
            return false;
        }
        int result = block_folder_scan(&c->folder, i, add_found, &s);
        failed = result ? result : failed;
    }
    if (failed)
        log_warn("the cache of file content cannot be read in part: %s", strerror(-failed));
    sort_and_cut(&s);
    add_all(c, &s);
    free(s.found);
    return true;
}

/* ---- room ---- */

uint64_t block_cache_evict_locked(struct block_cache *c, uint64_t bytes)
{
    while (bytes && c->index.n) {
        uint64_t freed = (uint64_t)c->index.entries[c->index.oldest].units * BLOCK_INDEX_UNIT;
        block_cache_remove_locked(c, c->index.oldest);
        c->stats.evicted++;
        bytes -= MIN(bytes, freed);
    }
    return bytes;
}

/* Room in the index for `more` blocks. */
static void keep_count(struct block_cache *c, uint32_t more)
{
    SCOPE_LOCK(&c->lock);
    while (c->index.n && (uint64_t)c->index.n + more > c->blocks_max)
        block_cache_remove_locked(c, c->index.oldest);
}

static bool keep_limit(struct block_cache *c, uint64_t more)
{
    SCOPE_LOCK(&c->lock);
    uint64_t after = block_index_bytes(&c->index) + more;
    return after <= c->limit || block_cache_evict_locked(c, after - c->limit) == 0;
}

/* Whether the disk has so much for us, after others have been given what they need. */
static bool keep_free(struct block_cache *c, uint64_t more)
{
    int64_t spare = block_folder_spare(&c->folder);
    if (spare >= (int64_t)more)
        return true;
    SCOPE_LOCK(&c->lock);
    return block_cache_evict_locked(c, (uint64_t)((int64_t)more - spare)) == 0;
}

void block_cache_pause_locked(struct block_cache *c, uint64_t ns)
{
    c->paused_until = clock_monotonic_ns(c->clock) + ns;
}

/* ---- writing ---- */

static void store_failed(struct block_cache *c, int result)
{
    SCOPE_LOCK(&c->lock);
    c->stats.left_out++;
    if (result == -ENOSPC || result == -EDQUOT) {
        (void)block_cache_evict_locked(c, FULL_STEP);
        block_cache_pause_locked(c, BLOCK_CACHE_PAUSE_FULL_NS);
        return;
    }
    /* Somebody has put a folder where the block belongs: no reason to do without the others. */
    if (result == -EISDIR || result == -ENOTEMPTY || result == -EEXIST)
        return;
    block_cache_pause_locked(c, PAUSE_FAILED_NS);
    if (!c->told)
        log_warn("the cache of file content cannot be written: %s", strerror(-result));
    c->told = true;
}

/* Whether it is to be written. */
static bool is_wanted(struct block_cache *c, const struct block_job *job)
{
    SCOPE_LOCK(&c->lock);
    /* Two may have read it at the same time. */
    return !job->dropped &&
           block_index_find(&c->index, job->object.id, job->block) == BLOCK_INDEX_NONE;
}

static void store_job(struct block_cache *c, const struct block_job *job)
{
    const struct block_object *o = &job->object;
    uint64_t bytes = block_object_length(o, job->block) + BLOCK_INDEX_UNIT;
    if (!is_wanted(c, job))
        return;
    keep_count(c, 1);
    int result = keep_limit(c, bytes) && keep_free(c, bytes) ? 0 : -ENOSPC;
    if (!result)
        result = block_folder_store(&c->folder, o, job->block, job->iov, job->n_iov, &bytes);
    if (result) {
        store_failed(c, result);
        return;
    }
    pthread_mutex_lock(&c->lock);
    uint32_t now_s = (uint32_t)(clock_realtime_ns(c->clock) / NS_PER_S);
    c->told = false;
    bool kept =
        !job->dropped && block_index_add(&c->index, o->id, job->block, bytes, now_s, false) == 0;
    c->stats.stored += kept;
    pthread_mutex_unlock(&c->lock);
    if (!kept)
        (void)block_folder_remove(&c->folder, o->id, job->block);
}

static struct block_job *take_locked(struct block_cache *c)
{
    struct block_job *job = c->first;
    if (!job)
        return NULL;
    c->first = job->next;
    if (!c->first)
        c->last = &c->first;
    return job;
}

static void do_job_locked(struct block_cache *c, struct block_job *job, bool write)
{
    uint64_t length = block_object_length(&job->object, job->block);
    c->busy = true;
    c->writing = job;
    pthread_mutex_unlock(&c->lock);
    if (write)
        store_job(c, job);
    pthread_mutex_lock(&c->lock);
    c->writing = NULL;
    pthread_mutex_unlock(&c->lock);
    job->release(job);
    pthread_mutex_lock(&c->lock);
    c->busy = false;
    c->queued -= length;
    if (!c->first)
        pthread_cond_broadcast(&c->settled);
}

/* Waits for work; false after LOOK_S without any. */
static bool wait_locked(struct block_cache *c)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LOOK_S;
    int result = 0;
    while (!c->first && !c->stop && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&c->wake, &c->lock, &until);
    return result != ETIMEDOUT;
}

void *block_cache_main(void *arg)
{
    struct block_cache *c = arg;
    bool complete = find_out(c);
    if (complete) {
        (void)keep_limit(c, 0);
        keep_count(c, 0);
        if (!c->limit)
            block_folder_sweep(&c->folder, true);
    }
    pthread_mutex_lock(&c->lock);
    c->ready = complete;
    block_index_done(&c->gone);
    pthread_cond_broadcast(&c->settled);
    uint64_t end_ns = 0;
    while (c->limit && (c->first || !c->stop)) {
        if (c->stop && !end_ns)
            end_ns = clock_monotonic_ns(c->clock) + STOP_NS;
        /* What is there is not known: what comes would not be counted against the limit. */
        bool write = complete && (!end_ns || clock_monotonic_ns(c->clock) < end_ns);
        struct block_job *job = take_locked(c);
        if (job) {
            do_job_locked(c, job, write);
        } else if (!wait_locked(c)) {
            pthread_mutex_unlock(&c->lock);
            (void)keep_free(c, 0);
            pthread_mutex_lock(&c->lock);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}
