/* SPDX-License-Identifier: Apache-2.0 */
/* One read: which requests it sends, and the bytes it waits for. They are not copied: the caller
 * gets them where they lie, and gives them back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "data/reader_impl.h"

/* Requests of one read that end early after having brought bytes, before that is an error: the
 * layer below has retried each. */
#define RESUMES_MAX 4
/* The smallest request of a run that is short of memory. */
#define REQUEST_MIN MIB

/* A range of the run from pos on: up to end, or as far as there is memory for half of it, or of
 * that, but `least`. Who is short of memory would else ask for what is just free, crumb by crumb.
 */
static struct range *range_ahead_locked(struct reader *r, uint64_t pos, uint64_t end,
                                        uint64_t least)
{
    struct range *g = range_new_locked(r, pos, end - pos, DATA_TRY);
    while (!g && (end - pos) / 2 >= least) {
        uint64_t half = pos + (end - pos) / 2;
        end = half - half % MIB > pos ? half - half % MIB : half;
        g = range_new_locked(r, pos, end - pos, DATA_TRY);
    }
    return g;
}

unsigned reader_plan_ahead_locked(struct reader *r, const struct prefetch_run *run,
                                  struct range **batch, unsigned max, bool *ret_refused)
{
    unsigned n = 0, most = prefetch_requests(&r->prefetch, run);
    uint64_t pos = run->end, until = MIN(run->end + run->window, r->size);
    while (run->window && !r->stale && pos < until && n < max && r->in_flight + n < most) {
        const struct range *have = range_find_locked(r, pos);
        if (have) {
            pos = have->offset + have->length;
            continue;
        }
        uint64_t there = reader_blocks_end_locked(r, pos);
        if (there > pos) {
            pos = there;
            continue;
        }
        uint64_t end = MIN(prefetch_request_end(&r->prefetch, run, pos, r->size),
                           range_start_after_locked(r, pos));
        end = reader_blocks_next_locked(r, pos, end);
        struct range *g = range_ahead_locked(r, pos, end, MAX((end - pos) / 2, REQUEST_MIN));
        if (!g) {
            *ret_refused = true;
            break;
        }
        batch[n++] = g;
        pos = g->offset + g->length;
    }
    return n;
}

/* The range that brings pos, for a reader who wants [pos, end). */
static struct range *demand_locked(struct reader *r, const struct prefetch_run *run, uint64_t pos,
                                   uint64_t end)
{
    uint64_t start = pos, length = end - pos, next = range_start_after_locked(r, pos);
    if (r->state == READER_KNOWN && r->size <= READER_WHOLE_MAX) {
        /* Only the whole can be held against its stored checksum. */
        struct range *g = range_new_locked(r, 0, r->size, DATA_DEMAND);
        if (g)
            g->whole = true;
        return g;
    }
    if (run->window) {
        uint64_t request_end = MIN(prefetch_request_end(&r->prefetch, run, pos, r->size), next);
        request_end = reader_blocks_next_locked(r, pos, request_end);
        struct range *g = range_ahead_locked(r, pos, request_end, REQUEST_MIN);
        if (g) {
            g->demand = true;
            return g;
        }
        /* No budget to read ahead: what is asked for, then. */
    }
    reader_plan_random_locked(r, pos, end, &start, &length);
    length = MIN(MIN(start + length, r->size), next) - start;
    return range_new_locked(r, start, length, DATA_DEMAND);
}

/* A read under way. */
struct want {
    uint64_t pos, end;
    bool guess; /* begun before the version was known */
    bool fresh; /* what is asked for next takes a new connection */
    unsigned resumes;
    struct range *mine; /* pinned: demanded by this read, its failure is this read's */
    struct reader_view *view;
};

/* ---- the view ---- */

/* From here on the view has its own memory. */
static int view_own(struct reader_view *v, size_t len)
{
    v->owned = malloc(len);
    if (!v->owned)
        return -ENOMEM;
    v->iov[v->n++] = (struct iovec){v->owned, 0};
    return 0;
}

static void view_copy(struct reader_view *v, const struct range *g, uint64_t at, size_t len)
{
    struct iovec *last = &v->iov[v->n - 1];
    buffer_read(&g->buffer, at, (char *)last->iov_base + last->iov_len, len);
    last->iov_len += len;
    v->len += len;
}

/* Adds [w->pos, w->pos + n), which has arrived. Few pieces are pointed at; a read that is made of
 * many is put together. */
static int view_add_locked(struct want *w, struct range *g, uint64_t n)
{
    struct reader_view *v = w->view;
    uint64_t at = w->pos - g->offset;
    g->unread = false;
    g->read += n;
    /* One slot stays for memory of its own. */
    size_t pieces = buffer_pieces(at, n);
    bool fits = v->n + pieces < READER_VIEW_IOV && v->n_pins < READER_VIEW_PINS;
    if (!v->owned && !fits) {
        int result = view_own(v, w->end - w->pos);
        if (result)
            return result;
    }
    if (v->owned) {
        view_copy(v, g, at, n);
    } else {
        range_pin_locked(g);
        v->pins[v->n_pins++] = g;
        v->n += (int)buffer_point(&g->buffer, at, n, v->iov + v->n);
        v->len += n;
    }
    w->pos += n;
    return 0;
}

void reader_view_done(struct reader_view *v)
{
    struct reader *r = v->reader;
    free(v->owned);
    v->owned = NULL;
    v->reader = NULL;
    v->n = 0;
    v->len = 0;
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    while (v->n_pins)
        range_unpin_locked(v->pins[--v->n_pins]);
    range_trim_locked(r);
    pthread_mutex_unlock(&r->lock);
    reader_unref(r);
}

int reader_view_own(struct reader_view *v, size_t len, void **ret)
{
    *v = (struct reader_view){0};
    int result = view_own(v, len ? len : 1);
    if (result)
        return result;
    *ret = v->owned;
    return 0;
}

void reader_view_set_length(struct reader_view *v, size_t len)
{
    v->iov[0].iov_len = v->len = len;
}

/* ---- reading ---- */

/* A range that ended without the bytes at w->pos. 0 = go on and ask again. */
static int failed_range_locked(struct reader *r, struct range *g, struct want *w,
                               struct s3_error *reterr)
{
    bool mine = g == w->mine;
    bool guess = g->guess;
    bool brought = !g->whole && g->filled > 0;
    /* All of it came, and it does not match its checksum: the layer below cannot begin anew. */
    bool again =
        g->whole && g->filled == g->length && g->err.kind == S3_ERROR_BAD_RESPONSE && !w->resumes;
    int result = g->result;
    if (mine && result && reterr)
        *reterr = g->err;
    if (mine) {
        w->mine = NULL;
        range_unpin_locked(g);
    }
    if (brought) {
        /* What arrived before the cut stays of use. */
        g->length = g->filled;
    } else {
        range_cut_locked(g);
    }
    if (r->stale)
        return reader_stale(r, reterr);
    if (!mine)
        return 0;
    if (guess && r->hint_wrong)
        return -EAGAIN;
    if (again) {
        /* Who damaged it may be on the way of that connection. */
        w->fresh = true;
        atomic_fetch_add_explicit(&r->d->refetched, 1, memory_order_relaxed);
        w->resumes = RESUMES_MAX;
        return 0;
    }
    return brought && w->resumes++ < RESUMES_MAX ? 0 : result;
}

static int wait_locked(struct reader *r, struct range *g, uint64_t until)
{
    if (r->waiting++ == 0)
        r->waiting_since = clock_monotonic_ns(r->d->clock);
    int result = range_wait_locked(g, until);
    if (--r->waiting == 0)
        r->waited_ns += clock_monotonic_ns(r->d->clock) - r->waiting_since;
    return result;
}

static void pace_locked(struct reader *r, uint64_t bytes)
{
    prefetch_pace(&r->prefetch, bytes, r->waited_ns, clock_monotonic_ns(r->d->clock));
    r->waited_ns = 0;
}

/* Collects [w->pos, w->end), waiting and asking as needed. */
static int collect_locked(struct reader *r, const struct prefetch_run *run, struct want *w,
                          struct s3_error *reterr)
{
    while (w->pos < w->end) {
        /* Nothing of another version than the hint's has been taken then. */
        if (w->guess && r->hint_wrong)
            return -EAGAIN;
        struct range *g = range_find_locked(r, w->pos);
        /* All that it can bring, in one piece: a reader that wakes for every packet costs more
         * than the packets. */
        uint64_t until = g ? MIN(g->offset + g->length, w->end) : 0;
        uint64_t n = g ? MIN(range_available_locked(g, w->pos), w->end - w->pos) : 0;
        if (n && (g->done || n == until - w->pos)) {
            int result = view_add_locked(w, g, n);
            if (result)
                return reader_no_memory(reterr);
        } else if (g && g->done) {
            int result = failed_range_locked(r, g, w, reterr);
            if (result)
                return result;
        } else if (g) {
            int result = wait_locked(r, g, until - g->offset);
            if (result)
                return result;
        } else {
            if (r->stale)
                return reader_stale(r, reterr);
            if (reader_blocks_load_locked(r, w->pos, w->end))
                continue;
            g = demand_locked(r, run, w->pos, w->end);
            if (!g && !r->refused)
                return reader_no_memory(reterr);
            if (!g) {
                int result = range_wait_room_locked(r);
                if (result)
                    return result;
                continue;
            }
            if (w->mine)
                range_unpin_locked(w->mine);
            w->mine = g;
            g->in.fresh = w->fresh;
            range_pin_locked(g);
            pthread_mutex_unlock(&r->lock);
            range_submit(g);
            pthread_mutex_lock(&r->lock);
        }
    }
    return 0;
}

static void share_locked(struct reader *r)
{
    unsigned others = atomic_load_explicit(&r->d->streams, memory_order_relaxed);
    if (r->is_stream)
        others--;
    prefetch_set_share(&r->prefetch, r->d->connections, others + 1);
}

static int read_once(struct reader *r, uint64_t offset, size_t len, struct reader_view *ret,
                     struct s3_error *reterr)
{
    struct want w = {.pos = offset, .view = ret};
    pthread_mutex_lock(&r->lock);
    bool hint = r->state == READER_KNOWN || r->hint_etag[0];
    share_locked(r);
    struct prefetch_run run =
        *prefetch_note(&r->prefetch, offset, len, hint ? r->size : UINT64_MAX);
    pthread_mutex_unlock(&r->lock);
    int result = reader_learn_version(r, &run, offset, len, &w.mine, reterr);
    if (result)
        return result;

    struct range *batch[READER_BATCH];
    pthread_mutex_lock(&r->lock);
    ret->reader = r;
    r->refs++;
    w.guess = r->state != READER_KNOWN;
    unsigned turn = r->check.turn;
    w.end = offset < r->size ? offset + MIN(len, r->size - offset) : offset;
    unsigned n = 0;
    bool refused = false;
    r->last_read_ns = clock_monotonic_ns(r->d->clock);
    /* Its own bytes first, when nothing under way brings them. */
    bool missing =
        !range_find_locked(r, w.pos) && !r->stale && !w.mine && !reader_blocks_has_locked(r, w.pos);
    if (w.pos < w.end && missing && (run.window || w.guess)) {
        struct range *g = demand_locked(r, &run, w.pos, w.end);
        if (g) {
            w.mine = g;
            range_pin_locked(g);
            batch[n++] = g;
        }
    }
    if (w.pos < w.end && run.window)
        n += reader_plan_ahead_locked(r, &run, batch + n, ARRAY_SIZE(batch) - n, &refused);
    if (n || refused) {
        pthread_mutex_unlock(&r->lock);
        if (refused)
            data_give_back(r->d);
        for (unsigned i = 0; i < n; i++)
            range_submit(batch[i]);
        pthread_mutex_lock(&r->lock);
    }
    reader_check_ask_locked(r);
    result = collect_locked(r, &run, &w, reterr);
    if (w.mine)
        range_unpin_locked(w.mine);
    if (!result)
        result = reader_check_result_locked(r, turn, w.end, reterr);
    if (run.window && !result)
        pace_locked(r, w.pos - offset);
    pthread_mutex_unlock(&r->lock);
    if (result)
        reader_view_done(ret);
    return result;
}

int reader_read_view(struct reader *r, uint64_t offset, size_t len, struct reader_view *ret,
                     struct s3_error *reterr)
{
    *ret = (struct reader_view){0};
    if (!len)
        return 0;
    len = MIN(len, UINT64_MAX - offset);
    int result, left = 3;
    /* A hint that was wrong is not gone by again, nor what is wrong fetched again twice. */
    do
        result = read_once(r, offset, len, ret, reterr);
    while (result == -EAGAIN && --left);
    return result;
}

int reader_read(struct reader *r, uint64_t offset, void *buf, size_t len, size_t *ret_len,
                struct s3_error *reterr)
{
    struct reader_view view;
    *ret_len = 0;
    /* Who reads so has begun something that is to be brought to its end. */
    atomic_bool *watched = interrupt_watch(NULL);
    int result = reader_read_view(r, offset, len, &view, reterr);
    (void)interrupt_watch(watched);
    if (result)
        return result;
    *ret_len = reader_view_copy(&view, buf);
    reader_view_done(&view);
    return 0;
}

size_t reader_view_copy(const struct reader_view *v, void *buf)
{
    char *to = buf;
    for (int i = 0; i < v->n; i++)
        to = mempcpy(to, v->iov[i].iov_base, v->iov[i].iov_len);
    return v->len;
}
