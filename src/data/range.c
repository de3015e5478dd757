/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "data/reader_impl.h"

/* Kept of what random reads fetched, for the neighbours they may read next. */
#define IDLE_MAX (2 * MIB)

static void not_demanded(struct range *g)
{
    if (g->demanded)
        data_note_demanded(g->buffer.share->d, -(int64_t)g->demanded);
    g->demanded = 0;
}

static void range_free(struct range *g)
{
    not_demanded(g);
    buffer_done(&g->buffer);
    free(g);
}

static void free_if_unused_locked(struct range *g)
{
    if (!g->listed && g->done && !g->pins)
        range_free(g);
}

void range_pin_locked(struct range *g)
{
    g->pins++;
    g->last_use = ++g->reader->tick;
}

void range_unpin_locked(struct range *g)
{
    g->pins--;
    free_if_unused_locked(g);
}

static void unlist_locked(struct range *g)
{
    for (struct range **link = &g->reader->ranges; *link; link = &(*link)->next)
        if (*link == g) {
            *link = g->next;
            break;
        }
    g->listed = false;
}

void range_cut_locked(struct range *g)
{
    if (!g->listed)
        return;
    unlist_locked(g);
    free_if_unused_locked(g);
}

struct range *range_new_locked(struct reader *r, uint64_t offset, uint64_t length,
                               enum data_reserve_mode mode)
{
    r->refused = false;
    struct range *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    buffer_init(&g->buffer, &r->share);
    int result = buffer_allocate(&g->buffer, length, mode);
    if (result) {
        r->refused = result == -EAGAIN;
        range_free(g);
        return NULL;
    }
    if (mode == DATA_DEMAND) {
        g->demanded = buffer_cost(&g->buffer);
        data_note_demanded(r->d, (int64_t)g->demanded);
    }
    g->reader = r;
    g->offset = offset;
    g->length = length;
    g->demand = mode != DATA_TRY;
    g->listed = true;
    g->last_use = ++r->tick;
    g->next = r->ranges;
    r->ranges = g;
    return g;
}

int range_wait_room_locked(struct reader *r)
{
    pthread_mutex_unlock(&r->lock);
    data_give_back(r->d);
    int result = data_wait_demanded(r->d);
    pthread_mutex_lock(&r->lock);
    return result;
}

struct range *range_find_locked(struct reader *r, uint64_t pos)
{
    for (struct range *g = r->ranges; g; g = g->next)
        if (pos >= g->offset && pos - g->offset < g->length)
            return g;
    return NULL;
}

uint64_t range_end_before_locked(const struct reader *r, uint64_t pos)
{
    uint64_t best = 0;
    for (const struct range *g = r->ranges; g; g = g->next)
        if (g->offset + g->length <= pos)
            best = MAX(best, g->offset + g->length);
    return best;
}

uint64_t range_start_after_locked(const struct reader *r, uint64_t pos)
{
    uint64_t best = UINT64_MAX;
    for (const struct range *g = r->ranges; g; g = g->next)
        if (g->offset > pos)
            best = MIN(best, g->offset);
    return best;
}

uint64_t range_available_locked(const struct range *g, uint64_t pos)
{
    uint64_t end = g->offset + g->filled;
    if (g->whole && !(g->done && !g->result))
        return 0;
    return pos < end ? end - pos : 0;
}

/* Each waits on its own condition: one packet wakes the one reader that has all its bytes now, not
 * all who wait for anything. */
int range_wait_locked(struct range *g, uint64_t until)
{
    struct range_waiter w = {.next = g->waiters, .until = until}, **link = &g->waiters;
    int result = 0;
    pthread_cond_init(&w.cond, NULL);
    range_pin_locked(g);
    g->waiters = &w;
    while (!w.woken && !result) {
        interrupt_wait(&w.cond, &g->reader->lock);
        result = !w.woken && interrupt_is_over() ? -EINTR : 0;
    }
    if (result) {
        while (*link != &w)
            link = &(*link)->next;
        *link = w.next;
    }
    pthread_cond_destroy(&w.cond);
    range_unpin_locked(g);
    return result;
}

static void wake_locked(struct range *g)
{
    struct range_waiter **link = &g->waiters;
    while (*link) {
        struct range_waiter *w = *link;
        if (!g->done && (g->whole || g->filled < MIN(w->until, g->length))) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        w->woken = true;
        pthread_cond_signal(&w->cond);
    }
}

void range_trim_locked(struct reader *r)
{
    bool tight = data_is_tight(r->d);
    uint64_t idle_max = tight ? 0 : IDLE_MAX;
    for (;;) {
        uint64_t idle = 0;
        struct range *oldest = NULL;
        for (struct range *g = r->ranges; g; g = g->next) {
            if (g->pins || (g->demand && !g->done) || (g->unread && !tight) ||
                prefetch_wants(&r->prefetch, g->offset, g->length, g->read >= g->length, tight))
                continue;
            idle += g->length;
            if (!oldest || g->last_use < oldest->last_use)
                oldest = g;
        }
        if (idle <= idle_max)
            return;
        range_cut_locked(oldest);
    }
}

void range_drop_idle_locked(struct reader *r)
{
    struct range *g = r->ranges;
    while (g) {
        struct range *next = g->next;
        if (g->done && !g->pins)
            range_cut_locked(g);
        g = next;
    }
}

void range_drop_closed_locked(struct reader *r)
{
    bool keep = r->blocks.usable && r->in_flight;
    struct range *g = r->ranges;
    while (g) {
        struct range *next = g->next;
        if (!keep || !g->done)
            range_cut_locked(g);
        g = next;
    }
}

/* ---- the request; these run on an I/O thread and do not block ---- */

/* -errno ends the transfer. */
static int check_version_locked(struct range *g, const struct store_object *o)
{
    struct reader *r = g->reader;
    if (r->state != READER_KNOWN) {
        if (g->guess && strcmp(o->etag, r->hint_etag) != 0) {
            /* A server that ignores If-Match. The request without a condition decides. */
            r->hint_wrong = true;
            return -ESTALE;
        }
        reader_set_version_locked(r, o);
    } else if (strcmp(r->etag, o->etag) != 0 || r->size != o->size) {
        /* A server that ignores If-Match. What was only guessed says nothing. */
        if (!g->guess || !r->hint_wrong)
            r->stale = true;
        return -ESTALE;
    }
    /* Such a range is answered with 416. */
    return g->offset > o->size ? -EIO : 0;
}

static int range_begin(void *ctx, const struct store_object *o)
{
    struct range *g = ctx;
    struct reader *r = g->reader;
    SCOPE_LOCK(&r->lock);
    prefetch_latency(&r->prefetch, clock_monotonic_ns(r->d->clock) - g->sent_ns);
    int result = check_version_locked(g, o);
    if (!result && g->whole && o->size > g->length) {
        /* It grew since it was listed. */
        if (o->size > READER_WHOLE_MAX) {
            g->too_large = true;
            result = -EFBIG;
        } else {
            buffer_done(&g->buffer);
            result = buffer_allocate(&g->buffer, o->size, DATA_FORCE);
            g->length = o->size;
        }
    }
    if (!result)
        g->length = MIN(g->length, o->size - g->offset);
    pthread_cond_broadcast(&r->cond);
    return result;
}

/* The end of a request that nobody waits for any more is not worth a new connection. */
#define DRAIN_MAX (512 * KIB)

static bool is_unwanted_locked(const struct range *g)
{
    return !g->listed && !g->pins && g->length - g->filled > DRAIN_MAX;
}

static int range_write(void *ctx, const void *data, size_t len)
{
    struct range *g = ctx;
    struct reader *r = g->reader;
    /* filled and length change on this thread only once the transfer has begun. */
    if (len > g->length - g->filled)
        return -EIO;
    size_t done;
    int result = buffer_write(&g->buffer, g->filled, data, len, DATA_FORCE, &done);
    if (result)
        return result;
    if (g->sum)
        reader_check_bytes(g, data, len);
    SCOPE_LOCK(&r->lock);
    g->filled += len;
    if (g->filled == g->length) {
        prefetch_took(&r->prefetch, g->length, clock_monotonic_ns(r->d->clock) - g->sent_ns);
        reader_check_add_locked(g);
    }
    if (g->waiters)
        wake_locked(g);
    return is_unwanted_locked(g) ? -ECANCELED : 0;
}

/* Its last reader gave up, or was killed, while the store is silent. */
static bool range_unwanted(void *ctx)
{
    struct range *g = ctx;
    SCOPE_LOCK(&g->reader->lock);
    return !g->listed && !g->pins;
}

static void finish_locked(struct range *g, int result, const struct s3_error *err)
{
    struct reader *r = g->reader;
    if (!result && g->filled != g->length)
        result = s3_error_set(&g->err, S3_ERROR_BAD_RESPONSE, "'%s' ended after %llu of %llu bytes",
                              r->key, (unsigned long long)g->filled, (unsigned long long)g->length);
    else if (err)
        g->err = *err;
    bool gone = err && (err->kind == S3_ERROR_PRECONDITION || err->kind == S3_ERROR_NO_SUCH_KEY);
    if (result && gone && g->guess && (r->state != READER_KNOWN || r->hint_wrong))
        r->hint_wrong = true;
    else if (result && gone && r->state == READER_KNOWN)
        r->stale = true;
    g->result = result;
    g->done = true;
    not_demanded(g);
    if (!result || (g->filled && g->listed))
        reader_check_add_locked(g);
    r->in_flight--;
    reader_count_locked(r);
    if (g->started && result) {
        /* The first read asks again. */
        if (r->state == READER_ASKING)
            r->state = READER_UNKNOWN;
        if (g->listed)
            unlist_locked(g);
    }
    if (!result)
        reader_blocks_offer_locked(r, g);
    if (r->closed && !r->in_flight)
        range_drop_closed_locked(r);
    wake_locked(g);
    pthread_cond_broadcast(&r->cond);
    free_if_unused_locked(g);
}

void range_end_locked(struct range *g, int result)
{
    g->result = result;
    if (!result)
        g->filled = g->length;
    g->done = true;
    if (result && g->listed)
        unlist_locked(g);
    wake_locked(g);
    free_if_unused_locked(g);
}

static void range_done(void *ctx, int result, const struct s3_error *err)
{
    struct range *g = ctx;
    struct reader *r = g->reader;
    if (!result)
        store_object_done(&g->out);
    pthread_mutex_lock(&r->lock);
    finish_locked(g, result, err);
    pthread_mutex_unlock(&r->lock);
    reader_unref(r);
}

void range_submit(struct range *g)
{
    struct reader *r = g->reader;
    g->sink = (struct store_sink){
        .begin = range_begin, .write = range_write, .unwanted = range_unwanted, .ctx = g};
    g->in = (struct store_get_in){.key = r->key, .sink = &g->sink, .fresh = g->in.fresh};
    pthread_mutex_lock(&r->lock);
    if (!g->whole) {
        g->in.offset = g->offset;
        g->in.length = g->length;
    }
    /* The reader's ETag does not change once it is known. */
    if (r->state == READER_KNOWN && r->etag[0]) {
        g->in.if_match = r->etag;
    } else if (r->state != READER_KNOWN && !g->decides && r->hint_etag[0]) {
        g->guess = true;
        g->in.if_match = r->hint_etag;
    }
    reader_check_range_locked(r, g);
    r->refs++;
    g->sent_ns = clock_monotonic_ns(r->d->clock);
    r->in_flight++;
    reader_count_locked(r);
    if (r->blocks.usable)
        block_cache_note_miss(r->d->blocks, g->length);
    pthread_mutex_unlock(&r->lock);

    int result = store_submit(r->d->store, STORE_GET, &g->in, &g->out, range_done, g);
    if (result) {
        struct s3_error err;
        result = s3_error_set(&err, result == -ENOMEM ? S3_ERROR_OUT_OF_MEMORY : S3_ERROR_CANCELLED,
                              "the request for '%s' was not sent", r->key);
        range_done(g, result, &err);
    }
}
