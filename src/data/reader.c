/* SPDX-License-Identifier: Apache-2.0 */
#include "data/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/reader_impl.h"

/* The first request of a large object at its start: more than the kernel's first readahead asks
 * for, little enough for a reader who wants only the first bytes. */
#define FIRST_REQUEST MIB
/* Up to here the first request takes the rest of the object along. */
#define FIRST_REQUEST_MAX (2 * MIB)
/* Random reads are rounded up to this. */
#define RANDOM_REQUEST DATA_BLOCK_SIZE
/* Requests of one reader_read that end early after having brought bytes, before that is an error:
 * the layer below has retried each. */
#define RESUMES_MAX 4
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
    r->hint_size = opts->size;
    if (opts->etag && strlen(opts->etag) < sizeof(r->hint_etag))
        snprintf(r->hint_etag, sizeof(r->hint_etag), "%s", opts->etag);
    r->version_changed = opts->version_changed;
    r->ctx = opts->ctx;
    data_share_init(&r->share, d, 0);
    prefetch_init(&r->prefetch, d->read_part_size, d->parallel);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->cond, NULL);
    r->refs = 1;
    data_pin(d);
    data_count(d, 1, 0);
    pthread_mutex_lock(&d->readers_lock);
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
    SCOPE_LOCK(&r->d->readers_lock);
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
    while (r->ranges)
        range_cut_locked(r->ranges);
    pthread_mutex_unlock(&r->lock);
    reader_unref(r);
}

/* ---- the version ---- */

void reader_set_version_locked(struct reader *r, const struct store_object *o)
{
    r->state = READER_KNOWN;
    r->size = o->size;
    snprintf(r->etag, sizeof(r->etag), "%s", o->etag);
    if (r->version_changed && strcmp(r->etag, r->hint_etag) != 0) {
        /* Without the memory for the copy the caller keeps attributes that are merely old. */
        r->has_changed = store_object_copy(o, &r->changed) == 0;
    }
}

static void tell_change(struct reader *r)
{
    struct store_object o;
    pthread_mutex_lock(&r->lock);
    bool tell = r->has_changed;
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

static int stale(const struct reader *r, struct s3_error *reterr)
{
    s3_error_set(reterr, S3_ERROR_PRECONDITION, "'%s' was replaced while it was being read",
                 r->key);
    return -ESTALE;
}

static int no_memory(struct s3_error *reterr)
{
    return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no memory to read into");
}

/* The start and length of the request that fetches pos, when nobody reads sequentially there. */
static void plan_random_locked(const struct reader *r, uint64_t pos, uint64_t end,
                               uint64_t *ret_offset, uint64_t *ret_length)
{
    uint64_t start = pos;
    if (end - pos < RANDOM_REQUEST) {
        uint64_t block = pos / RANDOM_REQUEST * RANDOM_REQUEST;
        start = end <= block + RANDOM_REQUEST ? MAX(block, range_end_before_locked(r, pos)) : pos;
        end = (start == pos ? pos : block) + RANDOM_REQUEST;
    }
    *ret_offset = start;
    *ret_length = end - start;
}

static struct range *first_range_locked(struct reader *r, uint64_t offset, size_t len)
{
    if (r->hint_etag[0] && r->hint_size <= READER_WHOLE_MAX) {
        struct range *g = range_new_locked(r, 0, r->hint_size, true);
        if (g)
            g->whole = true;
        return g;
    }
    if (offset == 0) {
        uint64_t known = r->hint_etag[0] ? r->hint_size : 0;
        uint64_t want = known && known <= FIRST_REQUEST_MAX ? known : FIRST_REQUEST;
        return range_new_locked(r, 0, MAX(want, len), true);
    }
    uint64_t start, length;
    plan_random_locked(r, offset, offset + len, &start, &length);
    return range_new_locked(r, start, length, true);
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
    reader_set_version_locked(r, &o);
    pthread_cond_broadcast(&r->cond);
    pthread_mutex_unlock(&r->lock);
    store_object_done(&o);
    return 0;
}

/* Sends the request that decides the version. *ret_first is pinned (the first reader watches it)
 * or NULL. */
static int ask_version(struct reader *r, uint64_t offset, size_t len, struct range **ret_first,
                       struct s3_error *reterr)
{
    *ret_first = NULL;
    pthread_mutex_lock(&r->lock);
    struct range *g = first_range_locked(r, offset, len);
    if (g)
        range_pin_locked(g);
    pthread_mutex_unlock(&r->lock);
    if (!g)
        return no_memory(reterr);

    range_submit(g);
    pthread_mutex_lock(&r->lock);
    while (r->state != READER_KNOWN && !g->done)
        pthread_cond_wait(&r->cond, &r->lock);
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

static int learn_version(struct reader *r, uint64_t offset, size_t len, struct range **ret_first,
                         struct s3_error *reterr)
{
    *ret_first = NULL;
    pthread_mutex_lock(&r->lock);
    while (r->state == READER_ASKING)
        pthread_cond_wait(&r->cond, &r->lock);
    bool ask = r->state == READER_UNKNOWN;
    if (ask)
        r->state = READER_ASKING;
    pthread_mutex_unlock(&r->lock);
    if (!ask)
        return 0;

    int result = ask_version(r, offset, len, ret_first, reterr);
    if (result) {
        pthread_mutex_lock(&r->lock);
        r->state = READER_UNKNOWN;
        pthread_cond_broadcast(&r->cond);
        pthread_mutex_unlock(&r->lock);
        return result;
    }
    tell_change(r);
    return 0;
}

/* ---- reading ---- */

/* Takes ranges ahead of the run into batch[], as far as window, parallelism and budget allow. */
static unsigned plan_ahead_locked(struct reader *r, const struct prefetch_run *run,
                                  struct range **batch, unsigned max, bool *ret_refused)
{
    unsigned n = 0;
    uint64_t pos = run->end, until = MIN(run->end + run->window, r->size);
    while (run->window && !r->stale && pos < until && n < max &&
           r->in_flight + n < r->d->parallel) {
        const struct range *have = range_find_locked(r, pos);
        if (have) {
            pos = have->offset + have->length;
            continue;
        }
        uint64_t end =
            MIN(prefetch_request_end(&r->prefetch, pos, r->size), range_start_after_locked(r, pos));
        struct range *g = range_new_locked(r, pos, end - pos, false);
        if (!g) {
            *ret_refused = true;
            break;
        }
        batch[n++] = g;
        pos = end;
    }
    return n;
}

/* The range that brings pos, for a reader who wants [pos, end). */
static struct range *demand_locked(struct reader *r, const struct prefetch_run *run, uint64_t pos,
                                   uint64_t end)
{
    uint64_t start = pos, length = end - pos, next = range_start_after_locked(r, pos);
    if (run->window) {
        uint64_t request_end = MIN(prefetch_request_end(&r->prefetch, pos, r->size), next);
        struct range *g = range_new_locked(r, pos, request_end - pos, false);
        if (g) {
            g->demand = true;
            return g;
        }
        /* No budget to read ahead: what is asked for, then. */
    }
    plan_random_locked(r, pos, end, &start, &length);
    length = MIN(MIN(start + length, r->size), next) - start;
    return range_new_locked(r, start, length, true);
}

struct copy {
    char *to;
    uint64_t pos, end;
    unsigned resumes;
    struct range *mine; /* pinned: demanded by this read, its failure is this read's */
};

/* A range that ended without the bytes at c->pos. 0 = go on and ask again. */
static int failed_range_locked(struct reader *r, struct range *g, struct copy *c,
                               struct s3_error *reterr)
{
    bool mine = g == c->mine;
    bool brought = !g->whole && g->filled > 0;
    int result = g->result;
    if (mine && result && reterr)
        *reterr = g->err;
    if (mine) {
        c->mine = NULL;
        range_unpin_locked(g);
    }
    if (brought) {
        /* What arrived before the cut stays of use. */
        g->length = g->filled;
    } else {
        range_cut_locked(g);
    }
    if (r->stale)
        return stale(r, reterr);
    if (!mine)
        return 0;
    return brought && c->resumes++ < RESUMES_MAX ? 0 : result;
}

static void copy_available_locked(struct reader *r, struct range *g, struct copy *c, uint64_t n)
{
    range_pin_locked(g);
    pthread_mutex_unlock(&r->lock);
    buffer_read(&g->buffer, c->pos - g->offset, c->to, n);
    pthread_mutex_lock(&r->lock);
    range_unpin_locked(g);
    c->to += n;
    c->pos += n;
}

/* Copies [c->pos, c->end), waiting and asking as needed. */
static int copy_locked(struct reader *r, const struct prefetch_run *run, struct copy *c,
                       struct s3_error *reterr)
{
    while (c->pos < c->end) {
        struct range *g = range_find_locked(r, c->pos);
        uint64_t n = g ? MIN(range_available_locked(g, c->pos), c->end - c->pos) : 0;
        if (n) {
            copy_available_locked(r, g, c, n);
        } else if (g && g->done) {
            int result = failed_range_locked(r, g, c, reterr);
            if (result)
                return result;
        } else if (g) {
            pthread_cond_wait(&r->cond, &r->lock);
        } else {
            if (r->stale)
                return stale(r, reterr);
            g = demand_locked(r, run, c->pos, c->end);
            if (!g)
                return no_memory(reterr);
            if (c->mine)
                range_unpin_locked(c->mine);
            c->mine = g;
            range_pin_locked(g);
            pthread_mutex_unlock(&r->lock);
            range_submit(g);
            pthread_mutex_lock(&r->lock);
        }
    }
    return 0;
}

int reader_read(struct reader *r, uint64_t offset, void *buf, size_t len, size_t *ret_len,
                struct s3_error *reterr)
{
    *ret_len = 0;
    if (!len)
        return 0;
    len = MIN(len, UINT64_MAX - offset);
    struct copy c = {.to = buf, .pos = offset};
    int result = learn_version(r, offset, len, &c.mine, reterr);
    if (result)
        return result;

    struct range *batch[PREFETCH_RUNS * 8];
    pthread_mutex_lock(&r->lock);
    c.end = offset < r->size ? offset + MIN(len, r->size - offset) : offset;
    struct prefetch_run run = *prefetch_note(&r->prefetch, offset, len);
    unsigned n = 0;
    bool refused = false;
    r->last_read_ns = clock_monotonic_ns(r->d->clock);
    if (c.pos < c.end && run.window) {
        /* Its own bytes first, when the window does not have them. */
        if (!range_find_locked(r, c.pos) && !r->stale && !c.mine) {
            struct range *g = demand_locked(r, &run, c.pos, c.end);
            if (g) {
                c.mine = g;
                range_pin_locked(g);
                batch[n++] = g;
            }
        }
        n += plan_ahead_locked(r, &run, batch + n, ARRAY_SIZE(batch) - n, &refused);
    }
    if (n || refused) {
        pthread_mutex_unlock(&r->lock);
        if (refused)
            data_give_back(r->d);
        for (unsigned i = 0; i < n; i++)
            range_submit(batch[i]);
        pthread_mutex_lock(&r->lock);
    }
    result = copy_locked(r, &run, &c, reterr);
    if (c.mine)
        range_unpin_locked(c.mine);
    range_trim_locked(r);
    pthread_mutex_unlock(&r->lock);
    if (result)
        return result;
    *ret_len = (size_t)(c.pos - offset);
    return 0;
}

_Static_assert(READER_WHOLE_MAX <= FIRST_REQUEST_MAX, "a whole object is a first request");
