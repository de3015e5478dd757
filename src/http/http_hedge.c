/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_hedge.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "http/http_answer.h"

/* Waits in microseconds by their two highest bits behind the first one: up to an hour, each within
 * a fifth of the truth. */
#define WAIT_SUBS    4u
#define WAIT_BUCKETS (32u * WAIT_SUBS)
/* Older answers count half after so many newer ones. */
#define WAITS_MAX 512u
/* How often the percentile is looked up anew. */
#define WAITS_PER_LOOK 8u

/* Bodies: none or up to 1 MiB, 16 MiB, 64 MiB, more. A server may hash what it was sent before it
 * answers. */
#define SIZES 4u

/* A first request adds so many, a repeat costs HEDGE_COST. */
#define HEDGE_GAIN HTTP_HEDGE_PERCENT
#define HEDGE_COST 100u

struct waits {
    uint16_t seen[WAIT_BUCKETS];
    unsigned total, since_look;
    uint32_t threshold_ms; /* 0 = not enough seen */
};

struct http_hedge {
    struct http_transport transport;

    /* constant */
    struct http_transport *below; /* owned */
    struct clock *clock;          /* borrowed */
    unsigned n_stats;

    pthread_mutex_t lock;
    /* protected by lock */
    struct waits *waits; /* n_stats times SIZES */
    unsigned tokens;
    uint64_t pause_until_ns; /* monotonic; 0 = never */
    struct http_hedge_totals totals;
};

struct hedged;

/* One of the exchanges of a request. */
struct leg {
    struct hedged *h;
    unsigned index;
    struct http_sink sink;
    unsigned quiets; /* calls of leg_quiet since a byte of the body; its I/O thread's */

    /* protected by h->lock */
    struct http_call *call; /* under way; NULL before it is known and after its end */
    bool ended;
    bool cancelled;
};

struct hedged {
    /* constant */
    struct http_hedge *t;
    struct http_request req; /* what it points to is the caller's until done begins */
    http_done_fn done;
    void *ctx;
    unsigned kind; /* index into t->waits */
    uint32_t quiet_ms;

    pthread_mutex_t lock;
    /* protected by lock */
    unsigned refs;    /* legs that have not ended, and who starts one */
    unsigned n_legs;  /* started */
    unsigned running; /* of them */
    int winner;       /* index, -1 = not decided. Set once */
    bool cancelled;   /* by the caller */
    bool broken_off;
    bool have_resp;
    struct http_response resp; /* the winner's, or of the last that failed */
    struct leg legs[HTTP_HEDGE_TRIES];
};

/* ---- what is usual ---- */

static unsigned size_index(uint64_t len)
{
    return len <= MIB ? 0 : len <= 16 * MIB ? 1 : len <= 64 * MIB ? 2 : 3;
}

static uint64_t body_length(const struct http_request *req)
{
    uint64_t len = 0;

    for (int i = 0; i < req->n_body; i++)
        len += req->body[i].iov_len;
    return len;
}

static unsigned wait_bucket(uint64_t ns)
{
    uint64_t us = MAX(ns / 1000, (uint64_t)WAIT_SUBS);
    unsigned log = 63u - (unsigned)__builtin_clzll(us);
    unsigned bucket = log * WAIT_SUBS + (unsigned)((us >> (log - 2)) & (WAIT_SUBS - 1));

    return MIN(bucket, WAIT_BUCKETS - 1);
}

/* The longest wait of the bucket. */
static uint64_t bucket_us(unsigned bucket)
{
    uint64_t sub = bucket % WAIT_SUBS;

    return ((WAIT_SUBS + sub + 1) << (bucket / WAIT_SUBS)) / WAIT_SUBS;
}

static void look_at_waits(struct waits *w)
{
    unsigned beyond = w->total / 20, bucket = WAIT_BUCKETS - 1;
    uint64_t ms;

    for (unsigned above = 0; bucket > 0; bucket--) {
        above += w->seen[bucket];
        if (above > beyond)
            break;
    }
    ms = 4 * bucket_us(bucket) / 1000;
    w->threshold_ms = (uint32_t)MIN(MAX(ms, (uint64_t)HTTP_HEDGE_MIN_MS), HTTP_HEDGE_MAX_MS);
}

static void note_wait_locked(struct http_hedge *t, unsigned kind, uint64_t ns)
{
    struct waits *w = &t->waits[kind];

    w->seen[wait_bucket(ns)]++;
    if (++w->total >= WAITS_MAX) {
        w->total = 0;
        for (unsigned i = 0; i < WAIT_BUCKETS; i++)
            w->total += w->seen[i] /= 2;
    }
    if (w->total < HTTP_HEDGE_SAMPLES)
        return;
    if (w->threshold_ms && ++w->since_look < WAITS_PER_LOOK)
        return;
    w->since_look = 0;
    look_at_waits(w);
}

static uint32_t threshold_locked(const struct http_hedge *t, unsigned kind)
{
    uint32_t ms = t->waits[kind].threshold_ms;

    return ms ? ms : HTTP_HEDGE_FIRST_MS;
}

/* ---- the budget ---- */

/* With the lock of the request. */
static void note_answer(struct http_hedge *t, const struct leg *leg,
                        const struct http_response *resp)
{
    SCOPE_LOCK(&t->lock);
    if (resp->status == 503 || resp->status == 429) {
        t->tokens = 0;
        t->pause_until_ns =
            clock_monotonic_ns(t->clock) + HTTP_HEDGE_PAUSE_MS * (uint64_t)NS_PER_MS;
        return;
    }
    if (!leg->h->req.repeatable)
        return;
    if (resp->status)
        note_wait_locked(t, leg->h->kind, resp->wait_ns);
    else if (leg->cancelled && leg->quiets)
        /* It would have taken longer still. Were it left out, a server that has become slow would
         * look as fast as the fastest of its answers. */
        note_wait_locked(t, leg->h->kind, leg->h->quiet_ms * (uint64_t)NS_PER_MS);
    if (leg->index == 0 && resp->status)
        t->tokens = MIN(t->tokens + HEDGE_GAIN, HTTP_HEDGE_BURST * HEDGE_COST);
}

static bool take_token(struct http_hedge *t, uint64_t *count)
{
    SCOPE_LOCK(&t->lock);
    if (t->tokens < HEDGE_COST || clock_monotonic_ns(t->clock) < t->pause_until_ns) {
        t->totals.held_back++;
        return false;
    }
    t->tokens -= HEDGE_COST;
    ++*count;
    return true;
}

/* ---- life of a request ---- */

static void hedged_free(struct hedged *h)
{
    if (h->have_resp)
        http_response_done(&h->resp);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

static void hedged_unref(struct hedged *h)
{
    pthread_mutex_lock(&h->lock);
    bool last = --h->refs == 0;
    pthread_mutex_unlock(&h->lock);
    if (last)
        hedged_free(h);
}

/* The callback of a leg takes h->lock before it returns, so the exchange is still there. */
static void leg_cancel_locked(struct leg *leg)
{
    leg->cancelled = true;
    if (leg->call)
        http_cancel(leg->h->t->below, leg->call);
}

static void cancel_others_locked(struct hedged *h, const struct leg *but)
{
    for (unsigned i = 0; i < h->n_legs; i++)
        if (&h->legs[i] != but && !h->legs[i].ended)
            leg_cancel_locked(&h->legs[i]);
}

/* The first that has something to say. */
static bool leg_wins_locked(struct leg *leg)
{
    struct hedged *h = leg->h;

    if (h->winner < 0) {
        h->winner = (int)leg->index;
        cancel_others_locked(h, leg);
    }
    return h->winner == (int)leg->index;
}

/* ---- the sink ---- */

static int leg_begin(void *ctx, const struct http_response *resp)
{
    struct leg *leg = ctx;
    struct hedged *h = leg->h;

    pthread_mutex_lock(&h->lock);
    bool wins = leg_wins_locked(leg);
    pthread_mutex_unlock(&h->lock);
    if (!wins)
        return -ECANCELED;
    return h->req.sink->begin ? h->req.sink->begin(h->req.sink->ctx, resp) : 0;
}

/* Called only after leg_begin has let it pass. */
static int leg_write(void *ctx, const void *data, size_t len)
{
    struct leg *leg = ctx;

    leg->quiets = 0;
    return leg->h->req.sink->write(leg->h->req.sink->ctx, data, len);
}

static bool leg_unwanted(void *ctx)
{
    const struct http_sink *sink = ((struct leg *)ctx)->h->req.sink;

    return sink->unwanted && sink->unwanted(sink->ctx);
}

/* ---- the end of an exchange ---- */

static void keep_response_locked(struct hedged *h, struct http_response *resp)
{
    if (h->have_resp)
        http_response_done(&h->resp);
    h->resp = *resp;
    h->have_resp = true;
    /* Moved: what the transport below releases afterwards is empty. */
    resp->headers = NULL;
    resp->n_headers = 0;
    arena_init(&resp->arena, 0);
    strbuf_init(&resp->body, 0);
}

/* An answer that another try would get as well. Not so 400: S3 says RequestTimeout with it to a
 * body that stood still. */
static bool is_final(const struct http_response *resp)
{
    return resp->kind == S3_ERROR_NONE && resp->status > 0 && resp->status < 500 &&
           resp->status != 400 && resp->status != 408 && resp->status != 429;
}

static void leg_done(void *ctx, struct http_response *resp)
{
    struct leg *leg = ctx;
    struct hedged *h = leg->h;

    pthread_mutex_lock(&h->lock);
    note_answer(h->t, leg, resp);
    leg->ended = true;
    leg->call = NULL;
    h->running--;
    bool mine = is_final(resp) ? leg_wins_locked(leg) : h->winner == (int)leg->index;
    bool repeat_won = mine && leg->index > 0 && is_final(resp);
    /* While nobody has won, what the server said is of more interest than what the network did. */
    if (mine || (h->winner < 0 && (!h->have_resp || resp->status)))
        keep_response_locked(h, resp);
    bool over = h->running == 0;
    h->resp.repeated = h->n_legs > 1;
    if (over && h->broken_off && !h->cancelled && h->resp.kind == S3_ERROR_CANCELLED) {
        h->resp.kind = S3_ERROR_TIMEOUT;
        h->resp.broken_off = true;
        snprintf(h->resp.message, sizeof(h->resp.message), "the answer stood still in its middle");
    }
    pthread_mutex_unlock(&h->lock);

    if (repeat_won) {
        SCOPE_LOCK(&h->t->lock);
        h->t->totals.won++;
    }
    if (over)
        h->done(h->ctx, &h->resp);
    hedged_unref(h);
}

/* ---- the beginning of an exchange ---- */

static void leg_quiet(void *ctx, bool answering);

/* The caller holds a reference. 0 or -errno: then leg_done does not run. */
static int leg_start(struct leg *leg)
{
    struct hedged *h = leg->h;
    struct http_request req = h->req;
    struct http_call *call = NULL;
    int r;

    leg->sink = (struct http_sink){
        .begin = leg_begin, .write = leg_write, .unwanted = leg_unwanted, .ctx = leg};
    if (req.sink)
        req.sink = &leg->sink;
    if (req.repeatable) {
        req.quiet = leg_quiet;
        req.quiet_ms = h->quiet_ms;
    }
    req.first = leg->index > 0;
    r = http_submit(h->t->below, &req, leg_done, leg, &call);
    pthread_mutex_lock(&h->lock);
    if (r) {
        h->running--;
        h->refs--;
        leg->ended = true;
    } else if (!leg->ended) {
        leg->call = call;
        if (leg->cancelled)
            http_cancel(h->t->below, call);
    }
    pthread_mutex_unlock(&h->lock);
    return r;
}

static struct leg *add_leg_locked(struct hedged *h)
{
    struct leg *leg = &h->legs[h->n_legs];

    leg->h = h;
    leg->index = h->n_legs++;
    h->running++;
    h->refs++;
    return leg;
}

/* ---- silence ---- */

static void repeat(struct hedged *h, const struct leg *silent)
{
    struct leg *leg = NULL;
    char where[HTTP_WHERE_MAX];

    pthread_mutex_lock(&h->lock);
    if (h->winner < 0 && !h->cancelled && !silent->ended && silent->index == h->n_legs - 1 &&
        h->n_legs < HTTP_HEDGE_TRIES && take_token(h->t, &h->t->totals.repeated)) {
        leg = add_leg_locked(h);
        h->refs++; /* ours */
    }
    pthread_mutex_unlock(&h->lock);
    if (!leg)
        return;
    log_debug("%s: no answer from %s within %u ms, it is sent once more",
              http_method_name(h->req.method), http_url_where(h->req.url, where, sizeof(where)),
              h->quiet_ms);
    /* When it cannot be sent, the others go on; the silent one has not ended, as this runs in its
     * thread. */
    (void)leg_start(leg);
    hedged_unref(h);
}

static void break_off(struct hedged *h, struct leg *silent)
{
    SCOPE_LOCK(&h->lock);
    if (h->cancelled || h->broken_off || h->winner != (int)silent->index ||
        !take_token(h->t, &h->t->totals.broken_off))
        return;
    h->broken_off = true;
    leg_cancel_locked(silent);
}

static void leg_quiet(void *ctx, bool answering)
{
    struct leg *leg = ctx;
    struct hedged *h = leg->h;

    leg->quiets++;
    if (!answering)
        repeat(h, leg);
    else if (h->req.sink && leg->quiets >= 2)
        /* An answer that goes on costs nothing, one that is asked for again a round trip. */
        break_off(h, leg);
}

/* ---- the transport ---- */

static int hedge_submit(struct http_transport *transport, const struct http_request *req,
                        http_done_fn done, void *ctx, struct http_call **ret_call)
{
    struct http_hedge *t = CONTAINER_OF(transport, struct http_hedge, transport);
    struct hedged *h = calloc(1, sizeof(*h));
    struct leg *first;
    int r;

    if (!h)
        return -ENOMEM;
    h->t = t;
    h->req = *req;
    h->done = done;
    h->ctx = ctx;
    h->winner = -1;
    h->refs = 1;
    pthread_mutex_init(&h->lock, NULL);
    h->req.repeatable = req->repeatable && req->stat < t->n_stats;
    if (h->req.repeatable) {
        h->kind = req->stat * SIZES + size_index(body_length(req));
        SCOPE_LOCK(&t->lock);
        h->quiet_ms = threshold_locked(t, h->kind);
    }
    if (ret_call)
        *ret_call = (struct http_call *)h;
    first = add_leg_locked(h);
    r = leg_start(first);
    hedged_unref(h);
    return r;
}

static void hedge_cancel(struct http_transport *transport, struct http_call *call)
{
    struct hedged *h = (struct hedged *)call;

    (void)transport;
    SCOPE_LOCK(&h->lock);
    h->cancelled = true;
    cancel_others_locked(h, NULL);
}

static int hedge_timer(struct http_transport *transport, uint32_t delay_ms, void (*fn)(void *ctx),
                       void *ctx)
{
    struct http_hedge *t = CONTAINER_OF(transport, struct http_hedge, transport);

    return http_timer(t->below, delay_ms, fn, ctx);
}

static void hedge_free(struct http_transport *transport)
{
    struct http_hedge *t = CONTAINER_OF(transport, struct http_hedge, transport);

    http_transport_free(t->below);
    pthread_mutex_destroy(&t->lock);
    free(t->waits);
    free(t);
}

static const struct http_transport_ops hedge_ops = {
    .submit = hedge_submit,
    .cancel = hedge_cancel,
    .timer = hedge_timer,
    .free = hedge_free,
};

int http_hedge_new(struct http_transport *below, struct clock *clock, unsigned n_stats,
                   struct http_transport **ret)
{
    struct http_hedge *t = calloc(1, sizeof(*t));

    if (!t)
        return -ENOMEM;
    t->waits = calloc((size_t)MAX(n_stats, 1u) * SIZES, sizeof(*t->waits));
    if (!t->waits) {
        free(t);
        return -ENOMEM;
    }
    t->transport.ops = &hedge_ops;
    t->below = below;
    t->clock = clock;
    t->n_stats = n_stats;
    t->tokens = HTTP_HEDGE_BURST * HEDGE_COST;
    pthread_mutex_init(&t->lock, NULL);
    *ret = &t->transport;
    return 0;
}

void http_hedge_totals(struct http_transport *transport, struct http_hedge_totals *ret)
{
    struct http_hedge *t = CONTAINER_OF(transport, struct http_hedge, transport);

    SCOPE_LOCK(&t->lock);
    *ret = t->totals;
}

uint32_t http_hedge_threshold_ms(struct http_transport *transport, unsigned stat, uint64_t body_len)
{
    struct http_hedge *t = CONTAINER_OF(transport, struct http_hedge, transport);

    SCOPE_LOCK(&t->lock);
    return threshold_locked(t, stat * SIZES + size_index(body_len));
}
