/* SPDX-License-Identifier: Apache-2.0 */
#include "data/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "data/reader_impl.h"

/* The first request of a large object at its start: more than the kernel's first readahead asks
 * for, little enough for a reader who wants only the first bytes. */
#define FIRST_REQUEST MIB
/* Up to here the first request takes the rest of the object along. */
#define FIRST_REQUEST_MAX (2 * MIB)
/* What is asked for ahead of the first read: requests at a time, half of the connections at most,
 * and the least of one, which takes as long as a round trip. */
#define START_REQUESTS    32u
#define START_REQUEST_MIN MIB
/* A reader that rested so long gives back its memory when others need it; looked for at most every
 * READERS_LOOK_NS. */
#define READER_IDLE_NS  (2 * NS_PER_S)
#define READERS_LOOK_NS (NS_PER_S / 10)

int reader_new(struct data *d, const struct reader_options *opts, struct reader **ret)
{
    struct reader *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->key = strdup(opts->key);
    if (!r->key) {
        free(r);
        return -ENOMEM;
    }
    r->d = d;
    r->hint_size = r->size = opts->size;
    if (opts->etag && strlen(opts->etag) < sizeof(r->hint_etag))
        snprintf(r->hint_etag, sizeof(r->hint_etag), "%s", opts->etag);
    r->version_changed = opts->version_changed;
    r->ctx = opts->ctx;
    data_share_init(&r->share, d, DATA_READER);
    r->share.unsummed = true;
    prefetch_init(&r->prefetch, d->read_part_size, d->parallel);
    reader_blocks_init(r, opts->believed);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->cond, NULL);
    r->refs = opts->start ? 2 : 1;
    r->ahead = opts->start;
    data_pin(d);
    data_count(d, 1, 0);
    pthread_mutex_lock(&d->readers_lock);
    r->prefetch.guess = d->path;
    r->next = d->first_reader;
    r->link = &d->first_reader;
    if (r->next)
        r->next->link = &r->next;
    d->first_reader = r;
    pthread_mutex_unlock(&d->readers_lock);
    *ret = r;
    return 0;
}

static void unlist(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    struct prefetch_path path = r->prefetch.path;
    pthread_mutex_unlock(&r->lock);
    SCOPE_LOCK(&r->d->readers_lock);
    if (path.fast_ns)
        r->d->path = path;
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
}

void readers_give_back(struct data *d)
{
    uint64_t now = clock_monotonic_ns(d->clock);
    SCOPE_LOCK(&d->readers_lock);
    if (d->reclaimed_ns && now - d->reclaimed_ns < READERS_LOOK_NS)
        return;
    d->reclaimed_ns = now;
    for (struct reader *r = d->first_reader; r; r = r->next) {
        pthread_mutex_lock(&r->lock);
        if (r->ranges && now - r->last_read_ns >= READER_IDLE_NS)
            range_drop_idle_locked(r);
        pthread_mutex_unlock(&r->lock);
    }
}

void reader_unref(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    bool last = --r->refs == 0;
    pthread_mutex_unlock(&r->lock);
    if (!last)
        return;
    struct data *d = r->d;
    if (r->has_changed)
        store_object_done(&r->changed);
    sums_done(&r->check.sums);
    pthread_cond_destroy(&r->cond);
    pthread_mutex_destroy(&r->lock);
    free(r->key);
    free(r);
    data_unpin(d);
}

void reader_free(struct reader *r)
{
    if (!r)
        return;
    unlist(r);
    data_count(r->d, -1, 0);
    pthread_mutex_lock(&r->lock);
    r->closed = true;
    range_drop_closed_locked(r);
    pthread_mutex_unlock(&r->lock);
    reader_unref(r);
}

/* ---- the version ---- */

void reader_set_version_locked(struct reader *r, const struct store_object *o)
{
    r->state = READER_KNOWN;
    r->size = o->size;
    snprintf(r->etag, sizeof(r->etag), "%s", o->etag);
    if (strcmp(r->etag, r->hint_etag) != 0)
        r->hint_wrong = true;
    if (strcmp(r->etag, r->hint_etag) != 0 || r->size != r->hint_size)
        reader_blocks_version_locked(r);
    if (strcmp(r->etag, r->hint_etag) != 0) {
        /* Without the memory for the copy the caller keeps attributes that are merely old. */
        r->has_changed = store_object_copy(o, &r->changed) == 0;
    }
}

static void tell_change(struct reader *r)
{
    struct store_object o;
    pthread_mutex_lock(&r->lock);
    bool tell = r->has_changed && r->version_changed;
    if (tell) {
        o = r->changed;
        r->changed = (struct store_object){0};
        r->has_changed = false;
    }
    pthread_mutex_unlock(&r->lock);
    if (tell) {
        r->version_changed(r->ctx, &o);
        store_object_done(&o);
    }
}

int reader_stale(const struct reader *r, struct s3_error *reterr)
{
    s3_error_set(reterr, S3_ERROR_PRECONDITION, "'%s' was replaced while it was being read",
                 r->key);
    return -ESTALE;
}

int reader_no_memory(struct s3_error *reterr)
{
    return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no memory to read into");
}

void reader_plan_random_locked(const struct reader *r, uint64_t pos, uint64_t end,
                               uint64_t *ret_offset, uint64_t *ret_length)
{
    uint64_t start = pos, unit = prefetch_random_unit(&r->prefetch);
    if (end - pos < unit) {
        uint64_t block = pos / unit * unit;
        start = end <= block + unit ? MAX(block, range_end_before_locked(r, pos)) : pos;
        end = (start == pos ? pos : block) + unit;
    }
    *ret_offset = start;
    *ret_length = end - start;
}

static struct range *first_range_locked(struct reader *r, uint64_t offset, size_t len)
{
    if (r->hint_etag[0] && r->hint_size <= READER_WHOLE_MAX) {
        struct range *g = range_new_locked(r, 0, r->hint_size, DATA_DEMAND);
        if (g)
            g->whole = true;
        return g;
    }
    if (offset == 0) {
        uint64_t known = r->hint_etag[0] ? r->hint_size : 0;
        uint64_t want = known && known <= FIRST_REQUEST_MAX ? known : FIRST_REQUEST;
        return range_new_locked(r, 0, MAX(want, len), DATA_DEMAND);
    }
    uint64_t start, length;
    reader_plan_random_locked(r, offset, offset + len, &start, &length);
    return range_new_locked(r, start, length, DATA_DEMAND);
}

/* A range request of an empty object, or of one that is shorter than it was, does not tell the
 * version: ask for it. */
static int ask_by_head(struct reader *r, struct s3_error *reterr)
{
    struct store_object o;
    int result = store_head(r->d->store, r->key, &o, reterr);
    if (result)
        return result;
    pthread_mutex_lock(&r->lock);
    if (r->state != READER_KNOWN)
        reader_set_version_locked(r, &o);
    else if (strcmp(r->etag, o.etag) != 0 || r->size != o.size)
        r->stale = true; /* a read that went by the hint has decided meanwhile */
    pthread_cond_broadcast(&r->cond);
    pthread_mutex_unlock(&r->lock);
    store_object_done(&o);
    return 0;
}

/* What the run wants beside the request that decides: the rest of a small object that is read from
 * its start. */
static unsigned plan_beside_locked(struct reader *r, const struct prefetch_run *run,
                                   const struct range *first, struct range **batch)
{
    bool refused = false;
    if (first->whole || !r->hint_etag[0] || r->hint_wrong || !run->window)
        return 0;
    return reader_plan_ahead_locked(r, run, batch, READER_BATCH, &refused);
}

/* Sends the request that decides the version. *ret_first is pinned (the first reader watches it)
 * or NULL. *ret_left: this thread gave up, the request goes on. */
static int ask_version(struct reader *r, const struct prefetch_run *run, uint64_t offset,
                       size_t len, struct range **ret_first, bool *ret_left,
                       struct s3_error *reterr)
{
    struct range *batch[READER_BATCH];
    unsigned n = 0;
    *ret_first = NULL;
    pthread_mutex_lock(&r->lock);
    struct range *g;
    int waited = 0;
    while (!(g = first_range_locked(r, offset, len)) && r->refused && !waited)
        waited = range_wait_room_locked(r);
    if (g) {
        g->decides = true;
        range_pin_locked(g);
        n = plan_beside_locked(r, run, g, batch);
    }
    pthread_mutex_unlock(&r->lock);
    if (!g)
        return waited ? waited : reader_no_memory(reterr);

    range_submit(g);
    for (unsigned i = 0; i < n; i++)
        range_submit(batch[i]);
    pthread_mutex_lock(&r->lock);
    while (r->state != READER_KNOWN && !g->done) {
        interrupt_wait(&r->cond, &r->lock);
        if (r->state != READER_KNOWN && !g->done && interrupt_is_over()) {
            g->started = true; /* as if nobody had waited for it from the start */
            range_unpin_locked(g);
            pthread_mutex_unlock(&r->lock);
            *ret_left = true;
            return -EINTR;
        }
    }
    bool known = r->state == READER_KNOWN;
    int result = g->result;
    enum s3_error_kind kind = result ? g->err.kind : S3_ERROR_NONE;
    if (!known || g->too_large) {
        if (!known && reterr)
            *reterr = g->err;
        range_cut_locked(g);
        range_unpin_locked(g);
        g = NULL;
    }
    pthread_mutex_unlock(&r->lock);
    *ret_first = g;
    if (known)
        return 0;
    return kind == S3_ERROR_BAD_RANGE ? ask_by_head(r, reterr) : result;
}

int reader_learn_version(struct reader *r, const struct prefetch_run *run, uint64_t offset,
                         size_t len, struct range **ret_first, struct s3_error *reterr)
{
    *ret_first = NULL;
    pthread_mutex_lock(&r->lock);
    /* What was fetched ahead is not here any more: nobody has read of that version. */
    if (r->adopted && r->state == READER_KNOWN && !r->ranges && !r->stale && !r->has_changed)
        r->state = READER_UNKNOWN;
    r->adopted = false;
    /* A read within what the hint tells need not wait: it goes by the hint's version. */
    bool guess = r->hint_etag[0] && r->hint_size > READER_WHOLE_MAX;
    while (r->state == READER_ASKING && (!guess || r->blocks.looking || r->hint_wrong ||
                                         offset >= r->hint_size || len > r->hint_size - offset)) {
        interrupt_wait(&r->cond, &r->lock);
        if (interrupt_is_over()) {
            pthread_mutex_unlock(&r->lock);
            return -EINTR;
        }
    }
    bool ask = r->state == READER_UNKNOWN;
    if (ask)
        r->state = READER_ASKING;
    bool tell = r->has_changed;
    pthread_mutex_unlock(&r->lock);
    if (!ask) {
        /* The request that decided was nobody's. */
        if (tell)
            tell_change(r);
        return 0;
    }

    bool left = false;
    enum reader_ask how = reader_blocks_begin(r, offset, len);
    int result = how == READER_ASK_GET ? ask_version(r, run, offset, len, ret_first, &left, reterr)
                 : how == READER_ASK_HEAD ? ask_by_head(r, reterr)
                                          : 0;
    if (how == READER_ASK_HEAD) {
        pthread_mutex_lock(&r->lock);
        reader_blocks_begun_locked(r);
        pthread_mutex_unlock(&r->lock);
    }
    if (left)
        return result; /* it is still being asked for */
    if (result) {
        pthread_mutex_lock(&r->lock);
        if (r->state == READER_ASKING)
            r->state = READER_UNKNOWN;
        pthread_cond_broadcast(&r->cond);
        pthread_mutex_unlock(&r->lock);
        return result;
    }
    tell_change(r);
    return 0;
}

/* ---- ahead of the first read ---- */

void reader_count_locked(struct reader *r)
{
    bool is = r->in_flight && !r->ahead;
    if (is == r->is_stream)
        return;
    r->is_stream = is;
    if (is)
        atomic_fetch_add_explicit(&r->d->streams, 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(&r->d->streams, 1, memory_order_relaxed);
}

/* The first of them decides about the version, the others go by the hint. */
static unsigned plan_start_locked(struct reader *r, uint64_t ahead, uint64_t window,
                                  struct range **batch)
{
    bool whole = r->hint_size <= READER_WHOLE_MAX;
    uint64_t until = whole ? r->hint_size : MIN(ahead, r->hint_size);
    uint64_t piece = START_REQUEST_MIN, most = MAX(MIN(r->d->connections / 2, START_REQUESTS), 1u);
    unsigned n = 0;
    while (piece < window / most && piece < until)
        piece *= 2;
    if (whole || piece > until / 4 * 3)
        piece = until;
    for (uint64_t pos = 0; pos < until && n < READER_BATCH && data_has_room(r->d); n++) {
        uint64_t length = until - pos < piece + piece / 4 ? until - pos : piece;
        struct range *g = range_new_locked(r, pos, length, DATA_TRY);
        if (!g)
            break;
        g->whole = whole;
        g->decides = g->started = n == 0;
        g->unread = true;
        batch[n] = g;
        pos += length;
    }
    return n;
}

void reader_start(struct reader *r, uint64_t ahead, uint64_t window)
{
    struct range *batch[READER_BATCH];
    unsigned n = 0;
    bool cached = reader_blocks_has_some(r);
    pthread_mutex_lock(&r->lock);
    if (!cached && r->state == READER_UNKNOWN && !r->closed && r->hint_etag[0])
        n = plan_start_locked(r, ahead, window, batch);
    if (n) {
        r->state = READER_ASKING;
        r->blocks.looking = false;
        r->last_read_ns = clock_monotonic_ns(r->d->clock); /* not idle: it is about to be read */
    }
    pthread_mutex_unlock(&r->lock);
    for (unsigned i = 0; i < n; i++)
        range_submit(batch[i]);
    reader_unref(r);
}

void reader_adopt(struct reader *r,
                  void (*version_changed)(void *ctx, const struct store_object *o), void *ctx)
{
    r->version_changed = version_changed;
    r->ctx = ctx;
    SCOPE_LOCK(&r->lock);
    r->adopted = true;
    r->ahead = false;
    reader_count_locked(r);
}

_Static_assert(READER_WHOLE_MAX <= FIRST_REQUEST_MAX, "a whole object is a first request");
