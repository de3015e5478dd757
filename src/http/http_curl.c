/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_curl.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/http_curl_priv.h"

#define DEFAULT_CONNECTIONS 64u
#define DEFAULT_IDLE_MS     4000u /* S3 closes idle connections after about 5 s */

uint64_t http_curl_now(void)
{
    return clock_monotonic_ns(clock_system());
}

static struct http_curl *from_transport(struct http_transport *t)
{
    return CONTAINER_OF(t, struct http_curl, transport);
}

/* Submitting, cancelling */

void http_curl_mail_locked(struct http_loop *l, struct http_call *c)
{
    assert(!c->in_mail);
    c->in_mail = true;
    c->loop = l;
    TAILQ_INSERT_TAIL(&l->mail, c, link);
    http_loop_wake(l);
}

void http_curl_call_free(struct http_call *c)
{
    http_response_done(&c->answer.resp);
    free(c->headers);
    free(c->addresses);
    free(c);
}
DEFINE_CLEANUP(cleanup_call, struct http_call *, http_curl_call_free)

static void count(struct http_call *c)
{
    const struct http_response *resp = &c->answer.resp;

    if (c->req.stat >= c->t->n_stats)
        return;
    struct stat_counters *s = &c->t->stats[c->req.stat];
    atomic_fetch_add_explicit(&s->requests, 1, memory_order_relaxed);
    if (resp->status == 0 || resp->status >= 400)
        atomic_fetch_add_explicit(&s->failures, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->bytes_sent, c->sent, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->bytes_received, resp->received, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->total_ns, resp->total_ns, memory_order_relaxed);
}

/* How many calls at a time. "503 Slow Down" halves it, answers raise it again slowly: retries
 * alone, even with growing delays, would keep up the pressure of all who have not been refused yet.
 */
#define CALLS_MIN 2u

static unsigned assigned_locked(const struct http_curl *t)
{
    unsigned n = 0;

    for (unsigned i = 0; i < t->n_loops; i++)
        n += t->loops[i].assigned;
    return n;
}

static void adapt_locked(struct http_curl *t, const struct http_call *c)
{
    int status = c->answer.resp.status;

    if (c->req.direct || status == 0)
        return;
    if (status != 503 && status != 429) {
        if (t->calls_max < t->max_connections && ++t->answers >= MAX(t->calls_max / 4, 1u)) {
            t->calls_max++;
            t->answers = 0;
        }
        return;
    }
    t->answers = 0;
    /* Those that were on their way already say nothing about the new limit. */
    if (c->started_ns < t->lowered_ns)
        return;
    t->calls_max = MAX(MIN(t->calls_max, assigned_locked(t)) / 2, CALLS_MIN);
    t->calls_max = MIN(t->calls_max, t->max_connections);
    t->lowered_ns = http_curl_now();
    log_debug("the server asks for fewer requests: %u at a time from now on", t->calls_max);
}

/* The loop with a free slot and the fewest calls; NULL when all slots are taken. Ties go to the
 * first, so that requests made one after another find the same warm connection. */
static struct http_loop *pick_loop_locked(struct http_curl *t)
{
    struct http_loop *best = NULL;

    if (assigned_locked(t) >= t->calls_max)
        return NULL;
    for (unsigned i = 0; i < t->n_loops; i++) {
        struct http_loop *l = &t->loops[i];
        if (l->assigned < l->slots && (!best || l->assigned < best->assigned))
            best = l;
    }
    return best;
}

/* From the FIFO, first to the loop that has just got a free slot. */
static void dispatch_locked(struct http_curl *t, struct http_loop *freed)
{
    struct http_call *next;

    while ((next = TAILQ_FIRST(&t->queue)) && !t->stopping) {
        bool here = freed->assigned < freed->slots && assigned_locked(t) < t->calls_max;
        struct http_loop *l = here ? freed : pick_loop_locked(t);
        if (!l)
            return;
        TAILQ_REMOVE(&t->queue, next, link);
        t->queued--;
        http_deadline_clear(&t->queue_deadlines, &next->deadline);
        l->assigned++;
        next->where = CALL_MAILED;
        http_curl_mail_locked(l, next);
    }
}

void http_curl_finish(struct http_call *c)
{
    struct http_curl *t = c->t;
    struct http_loop *l = c->loop;

    c->answer.resp.total_ns = http_curl_now() - c->submit_ns;
    count(c);

    /* The slot first: a follow-up submitted by done is then not queued behind its own parent. */
    pthread_mutex_lock(&t->lock);
    c->where = CALL_ENDED;
    if (c->in_mail)
        TAILQ_REMOVE(&l->mail, c, link);
    c->in_mail = false;
    l->assigned--;
    adapt_locked(t, c);
    dispatch_locked(t, l);
    pthread_mutex_unlock(&t->lock);

    c->done(c->ctx, &c->answer.resp);
    http_curl_call_free(c);
}

static void enqueue_locked(struct http_curl *t, struct http_call *c)
{
    c->where = CALL_QUEUED;
    if (c->req.first)
        TAILQ_INSERT_HEAD(&t->queue, c, link);
    else
        TAILQ_INSERT_TAIL(&t->queue, c, link);
    t->queued++;
    if (c->req.deadlines.total_ms) {
        http_deadline_set(&t->queue_deadlines, &c->deadline,
                          c->submit_ns + c->req.deadlines.total_ms * (uint64_t)NS_PER_MS);
        if (t->queue_deadlines.root == &c->deadline)
            http_loop_wake(&t->loops[0]);
    }
}

static int curl_submit(struct http_transport *transport, const struct http_request *req,
                       http_done_fn done, void *ctx, struct http_call **ret_call)
{
    struct http_curl *t = from_transport(transport);
    CLEANUP(cleanup_call) struct http_call *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->t = t;
    c->req = *req;
    c->done = done;
    c->ctx = ctx;
    c->submit_ns = http_curl_now();
    c->fd = -1;
    http_answer_init(&c->answer, &c->req);
    for (int i = 0; i < req->n_body; i++)
        c->body_len += req->body[i].iov_len;
    int r = http_call_build_headers(c);
    if (r == -EINVAL)
        /* Found here, told by the I/O thread: done is the only way out for a bad request. */
        http_answer_fail(&c->answer, S3_ERROR_INVALID,
                         "a request header holds a control character");
    else if (r < 0)
        return r;

    SCOPE_LOCK(&t->lock);
    if (t->stopping)
        return -ESHUTDOWN;
    if (ret_call)
        *ret_call = c;
    struct http_loop *l = pick_loop_locked(t);
    if (l) {
        l->assigned++;
        c->where = CALL_MAILED;
        http_curl_mail_locked(l, TAKE_PTR(c));
    } else {
        enqueue_locked(t, TAKE_PTR(c));
    }
    return 0;
}

static void curl_cancel(struct http_transport *transport, struct http_call *c)
{
    struct http_curl *t = from_transport(transport);

    SCOPE_LOCK(&t->lock);
    if (c->where == CALL_ENDED || c->cancel)
        return;
    c->cancel = true;
    if (c->where == CALL_QUEUED) {
        /* It takes a slot over the limit for the moment in which it is ended. */
        TAILQ_REMOVE(&t->queue, c, link);
        t->queued--;
        http_deadline_clear(&t->queue_deadlines, &c->deadline);
        t->loops[0].assigned++;
        c->where = CALL_MAILED;
        http_curl_mail_locked(&t->loops[0], c);
    } else if (!c->in_mail) {
        http_curl_mail_locked(c->loop, c);
    }
}

static int curl_timer(struct http_transport *transport, uint32_t delay_ms, void (*fn)(void *ctx),
                      void *ctx)
{
    struct http_curl *t = from_transport(transport);
    CLEANUP_FREE struct http_timer *timer = calloc(1, sizeof(*timer));

    if (!timer)
        return -ENOMEM;
    timer->at = http_curl_now() + delay_ms * (uint64_t)NS_PER_MS;
    timer->fn = fn;
    timer->ctx = ctx;

    SCOPE_LOCK(&t->lock);
    if (t->stopping)
        return -ESHUTDOWN;
    struct http_loop *l = http_loop_current();
    if (!l || l->t != t)
        l = &t->loops[t->next_timer_loop++ % t->n_loops];
    TAILQ_INSERT_TAIL(&l->timer_mail, timer, link);
    http_loop_wake(l);
    timer = NULL;
    return 0;
}

/* Life */

/* Runs on a lookup's thread. Lock order: the resolver's, then ours. */
static void names_changed(void *ctx)
{
    struct http_curl *t = ctx;

    SCOPE_LOCK(&t->lock);
    for (unsigned i = 0; i < t->n_loops; i++) {
        t->loops[i].names_changed = true;
        http_loop_wake(&t->loops[i]);
    }
}

/* With a proxy it may be the proxy alone that can resolve the names behind it. */
static bool proxy_configured(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            return true;
    }
    return false;
}

static void release(struct http_curl *t)
{
    http_resolver_free(t->resolver);
    for (unsigned i = 0; i < t->n_loops; i++)
        http_loop_done(&t->loops[i]);
    free(t->loops);
    free(t->stats);
    free(t->ca_bundle);
    free(t->user_agent);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static void stop(struct http_curl *t, unsigned n_started)
{
    pthread_mutex_lock(&t->lock);
    t->stopping = true;
    for (unsigned i = 0; i < n_started; i++)
        http_loop_wake(&t->loops[i]);
    pthread_mutex_unlock(&t->lock);
    for (unsigned i = 0; i < n_started; i++)
        pthread_join(t->loops[i].thread, NULL);
}

static void curl_free_transport(struct http_transport *transport)
{
    struct http_curl *t = from_transport(transport);

    assert(!http_loop_current() || http_loop_current()->t != t);
    stop(t, t->n_loops);
    release(t);
}

static const struct http_transport_ops curl_ops = {
    .submit = curl_submit,
    .cancel = curl_cancel,
    .timer = curl_timer,
    .free = curl_free_transport,
};

static CURLcode global_result;

static void global_init(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Starts one thread per loop. No signal is for them: they belong to the main thread, and a SIGPIPE
 * out of OpenSSL's write must not end the process. */
static int start(struct http_curl *t)
{
    sigset_t all, before;
    int r = 0;
    unsigned i;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (i = 0; i < t->n_loops && r == 0; i++) {
        char name[16];
        r = -pthread_create(&t->loops[i].thread, NULL, http_loop_main, &t->loops[i]);
        if (r < 0)
            break;
        snprintf(name, sizeof(name), "http-%u", i);
        pthread_setname_np(t->loops[i].thread, name);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0)
        stop(t, i);
    return r;
}

static int fill(struct http_curl *t, const struct http_curl_options *opts)
{
    unsigned threads = opts->io_threads ? opts->io_threads : 1;
    uint32_t idle_ms = opts->max_idle_ms ? opts->max_idle_ms : DEFAULT_IDLE_MS;

    t->max_connections = opts->max_connections ? opts->max_connections : DEFAULT_CONNECTIONS;
    t->calls_max = t->max_connections;
    threads = MIN(threads, t->max_connections);
    t->max_idle_s = (idle_ms + 999) / 1000;
    t->insecure = opts->insecure;
    t->n_stats = opts->n_stats;
    t->stats = calloc(MAX(opts->n_stats, 1u), sizeof(t->stats[0]));
    t->loops = calloc(threads, sizeof(t->loops[0]));
    if (!t->stats || !t->loops)
        return -ENOMEM;
    if (opts->ca_bundle && !(t->ca_bundle = strdup(opts->ca_bundle)))
        return -ENOMEM;
    if (asprintf(&t->user_agent, "User-Agent: %s",
                 opts->user_agent ? opts->user_agent : "pailfs/" PAILFS_VERSION) < 0) {
        t->user_agent = NULL;
        return -ENOMEM;
    }
    if (!proxy_configured() &&
        http_resolver_new(clock_system(), names_changed, t, &t->resolver) < 0)
        return -ENOMEM;
    for (unsigned i = 0; i < threads; i++) {
        unsigned slots = t->max_connections / threads + (i < t->max_connections % threads);
        int r = http_loop_init(&t->loops[i], t, i, slots);
        if (r < 0)
            return r;
        t->n_loops++;
    }
    return 0;
}

int http_curl_new(const struct http_curl_options *opts, struct http_transport **ret)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, global_init);
    if (global_result != CURLE_OK)
        return -ENOMEM;

    struct http_curl *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->transport.ops = &curl_ops;
    pthread_mutex_init(&t->lock, NULL);
    TAILQ_INIT(&t->queue);
    int r = fill(t, opts);
    if (r == 0)
        r = start(t);
    if (r < 0) {
        release(t);
        return r;
    }
    if (t->insecure)
        log_warn("TLS certificates are not checked (no_verify_ssl): anyone on the way to the "
                 "server can read and change the data");
    *ret = &t->transport;
    return 0;
}

/* Figures */

void http_curl_stat(struct http_transport *transport, unsigned index, struct http_stat *ret)
{
    struct http_curl *t = from_transport(transport);

    *ret = (struct http_stat){0};
    if (index >= t->n_stats)
        return;
    struct stat_counters *s = &t->stats[index];
    ret->requests = atomic_load_explicit(&s->requests, memory_order_relaxed);
    ret->failures = atomic_load_explicit(&s->failures, memory_order_relaxed);
    ret->bytes_sent = atomic_load_explicit(&s->bytes_sent, memory_order_relaxed);
    ret->bytes_received = atomic_load_explicit(&s->bytes_received, memory_order_relaxed);
    ret->total_ns = atomic_load_explicit(&s->total_ns, memory_order_relaxed);
}

void http_curl_totals(struct http_transport *transport, struct http_curl_totals *ret)
{
    struct http_curl *t = from_transport(transport);

    *ret = (struct http_curl_totals){
        .connections_opened = atomic_load_explicit(&t->connections_opened, memory_order_relaxed)};
    SCOPE_LOCK(&t->lock);
    ret->queued = t->queued;
    ret->limit = t->calls_max;
    for (unsigned i = 0; i < t->n_loops; i++)
        ret->in_flight += t->loops[i].assigned;
}
