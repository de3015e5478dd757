/* SPDX-License-Identifier: Apache-2.0 */
/* The asynchronous form: cancelling in every state, who runs what where, and how long things live.
 * The transport here holds exchanges and timers until the test lets them go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials.h"
#include "base/attr.h"
#include "base/cleanup.h"
#include "s3/call.h"
#include "s3_bed.h"

#define EMPTY_LIST "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"

/* ---- a transport that waits ---- */

struct http_call {
    struct http_request req;
    http_done_fn done;
    void *ctx;
    bool cancelled;
};

struct held_timer {
    uint32_t delay_ms;
    void (*fn)(void *ctx);
    void *ctx;
};

struct held {
    struct http_transport transport;
    pthread_mutex_t lock;
    struct http_call *calls[16]; /* protected by lock */
    unsigned n_calls;
    struct held_timer timers[16];
    unsigned n_timers;
    int refuse;                      /* the next submit fails with it */
    int refuse_timer;                /* the next timer fails with it */
    struct http_deadlines deadlines; /* of the last request */
};

static int held_submit(struct http_transport *t, const struct http_request *req, http_done_fn done,
                       void *ctx, struct http_call **ret_call)
{
    struct held *h = (struct held *)t;
    struct http_call *c = NULL;
    SCOPE_LOCK(&h->lock);

    if (h->refuse) {
        int r = h->refuse;
        h->refuse = 0;
        return r;
    }
    c = calloc(1, sizeof(*c));
    *c = (struct http_call){.req = *req, .done = done, .ctx = ctx};
    h->deadlines = req->deadlines;
    h->calls[h->n_calls++] = c;
    *ret_call = c;
    return 0;
}

static void held_cancel(struct http_transport *t, struct http_call *call)
{
    struct held *h = (struct held *)t;
    SCOPE_LOCK(&h->lock);

    call->cancelled = true;
}

static int held_timer(struct http_transport *t, uint32_t delay_ms, void (*fn)(void *ctx), void *ctx)
{
    struct held *h = (struct held *)t;
    SCOPE_LOCK(&h->lock);

    if (h->refuse_timer) {
        int r = h->refuse_timer;
        h->refuse_timer = 0;
        return r;
    }
    h->timers[h->n_timers++] = (struct held_timer){delay_ms, fn, ctx};
    return 0;
}

static void held_free(struct http_transport *t)
{
}

static const struct http_transport_ops held_ops = {held_submit, held_cancel, held_timer, held_free};

/* Ends the oldest exchange with a status (or, 0, with a failure) and a body. */
static void finish_call(struct held *h, int status, const char *body)
{
    struct http_response resp = {.status = status,
                                 .kind = status ? S3_ERROR_NONE : S3_ERROR_CONNECT,
                                 .request_sent = true,
                                 .content_length = strlen(body)};
    struct http_call *c;

    pthread_mutex_lock(&h->lock);
    assert_true(h->n_calls > 0);
    c = h->calls[0];
    memmove(h->calls, h->calls + 1, --h->n_calls * sizeof(h->calls[0]));
    if (c->cancelled)
        resp = (struct http_response){.kind = S3_ERROR_CANCELLED, .request_sent = true};
    pthread_mutex_unlock(&h->lock);
    arena_init(&resp.arena, 4096);
    strbuf_init(&resp.body, 4096);
    if (resp.status == 200 && c->req.sink && *body) {
        int r = c->req.sink->begin ? c->req.sink->begin(c->req.sink->ctx, &resp) : 0;
        if (r == 0)
            r = c->req.sink->write(c->req.sink->ctx, body, strlen(body));
        assert_int_equal(r, 0);
    } else {
        strbuf_append_str(&resp.body, body);
    }
    c->done(c->ctx, &resp);
    http_response_done(&resp);
    free(c);
}

/* Runs the timer with that index. */
static void run_timer(struct held *h, unsigned index)
{
    struct held_timer t;

    pthread_mutex_lock(&h->lock);
    assert_true(index < h->n_timers);
    t = h->timers[index];
    memmove(&h->timers[index], &h->timers[index + 1],
            (--h->n_timers - index) * sizeof(h->timers[0]));
    pthread_mutex_unlock(&h->lock);
    t.fn(t.ctx);
}

/* A millisecond; after half a minute of them the test fails. */
static void nap(unsigned *naps)
{
    if (++*naps > 30000)
        fail_msg("waited for half a minute");
    (void)usleep(1000);
}

/* ---- a client on it ---- */

struct world {
    struct held held;
    struct clock_fake clock;
    struct s3_session *session;
    struct s3_client *client;
};

static const char *no_environment(void *ctx, const char *name)
{
    return strcmp(name, "HOME") ? NULL : "/nonexistent";
}

static void world_open(struct world *w, const struct aws_credentials_provider *chain)
{
    struct s3_session_options so;
    struct s3_client_options co = {.transport = &w->held.transport, .random_seed = 1};
    struct s3_error err;
    struct aws_credentials *keys = NULL;

    memset(w, 0, sizeof(*w));
    w->held.transport.ops = &held_ops;
    pthread_mutex_init(&w->held.lock, NULL);
    clock_fake_init(&w->clock, BED_TIME_NS);
    s3_session_options_init(&so);
    so.args.getenv = no_environment;
    so.args.access_key_id = "AKID";
    so.args.secret_access_key = "SECRET";
    so.args.region = "us-east-1";
    so.chain = chain;
    so.clock = &w->clock.clock;
    assert_int_equal(s3_session_new(&so, &w->session, &err), 0);
    assert_int_equal(s3_session_client_new(w->session, &co, &w->client, &err), 0);
    if (!chain) { /* so that no call has to wait for them */
        assert_int_equal(s3_session_credentials(w->session, &keys, &err), 0);
        aws_credentials_unref(keys);
    }
}

static void world_close(struct world *w)
{
    assert_int_equal(w->held.n_calls, 0);
    assert_int_equal(w->held.n_timers, 0);
    s3_client_unref(w->client);
    s3_session_unref(w->session);
    pthread_mutex_destroy(&w->held.lock);
}

/* One asynchronous list. */
struct listing {
    struct s3_list_objects_v2_in in;
    struct s3_list_objects_v2_out out;
    struct s3_call *call;
    pthread_mutex_t lock; /* done waits for it: while it is held, call is valid if done is 0 */
    atomic_int done;      /* how often the callback ran */
    int result;
    enum s3_error_kind kind;
    struct s3_client *unref; /* released inside done when set */
    pthread_t thread;        /* that ran done */
};

static void listing_done(void *ctx, int result, const struct s3_error *err)
{
    struct listing *l = ctx;

    l->result = result;
    l->kind = err ? err->kind : S3_ERROR_NONE;
    assert_true((result == 0) == (err == NULL));
    l->thread = pthread_self();
    s3_client_unref(l->unref);
    SCOPE_LOCK(&l->lock);
    atomic_fetch_add(&l->done, 1);
}

static void listing_start(struct listing *l, struct world *w)
{
    memset(l, 0, sizeof(*l));
    pthread_mutex_init(&l->lock, NULL);
    l->in.bucket = "bkt";
    assert_int_equal(s3_client_submit(w->client, S3_OP_LIST_OBJECTS_V2, &l->in, &l->out,
                                      listing_done, l, &l->call),
                     0);
}

static void check_cancelled(const struct listing *l)
{
    assert_int_equal(atomic_load(&l->done), 1);
    assert_int_equal(l->result, -EINTR);
    assert_int_equal(l->kind, S3_ERROR_CANCELLED);
    assert_null(l->out.objects);
}

/* ---- tests ---- */

static void test_success(void **state)
{
    struct world w;
    struct listing l;

    world_open(&w, NULL);
    listing_start(&l, &w);
    assert_int_equal(atomic_load(&l.done), 0);
    finish_call(&w.held, 200, EMPTY_LIST);
    assert_int_equal(atomic_load(&l.done), 1);
    assert_int_equal(l.result, 0);
    s3_list_objects_v2_out_done(&l.out);
    world_close(&w);
}

static void test_cancel_under_way(void **state)
{
    struct world w;
    struct listing l;

    world_open(&w, NULL);
    listing_start(&l, &w);
    s3_call_cancel(l.call);
    s3_call_cancel(l.call);
    assert_int_equal(atomic_load(&l.done), 0); /* the exchange has to end first */
    finish_call(&w.held, 200, EMPTY_LIST);
    check_cancelled(&l);
    world_close(&w);
}

/* The answer was there before the cancel: a success stays one. */
static void test_cancel_too_late(void **state)
{
    struct world w;
    struct listing l;

    world_open(&w, NULL);
    listing_start(&l, &w);
    struct s3_call *call = s3_call_ref(l.call);
    finish_call(&w.held, 200, EMPTY_LIST);
    assert_int_equal(l.result, 0);
    s3_call_cancel(call);
    s3_call_unref(call);
    assert_int_equal(atomic_load(&l.done), 1);
    s3_list_objects_v2_out_done(&l.out);
    world_close(&w);
}

static void test_cancel_waiting_for_retry(void **state)
{
    struct world w;
    struct listing l;

    world_open(&w, NULL);
    listing_start(&l, &w);
    finish_call(&w.held, 503, "");
    assert_int_equal(w.held.n_timers, 1);
    assert_in_range(w.held.timers[0].delay_ms, 0, 100);
    s3_call_cancel(l.call);
    assert_int_equal(w.held.n_timers, 2);
    assert_int_equal(w.held.timers[1].delay_ms, 0);
    run_timer(&w.held, 1);
    check_cancelled(&l);
    run_timer(&w.held, 0); /* the retry finds the call over */
    assert_int_equal(atomic_load(&l.done), 1);
    world_close(&w);

    /* the transport takes no more timers */
    world_open(&w, NULL);
    listing_start(&l, &w);
    finish_call(&w.held, 503, "");
    w.held.refuse_timer = -ESHUTDOWN;
    s3_call_cancel(l.call);
    check_cancelled(&l);
    run_timer(&w.held, 0);
    world_close(&w);
}

static void test_retry_after_wait(void **state)
{
    struct world w;
    struct listing l;

    world_open(&w, NULL);
    listing_start(&l, &w);
    finish_call(&w.held, 0, "");
    run_timer(&w.held, 0);
    finish_call(&w.held, 200, EMPTY_LIST);
    assert_int_equal(l.result, 0);
    s3_list_objects_v2_out_done(&l.out);
    /* no timer to be had: the error that was to be retried is the result */
    listing_start(&l, &w);
    w.held.refuse_timer = -ENOMEM;
    finish_call(&w.held, 503, "");
    assert_int_equal(l.kind, S3_ERROR_SERVER);
    world_close(&w);
}

static void test_transport_refuses(void **state)
{
    struct world w;
    struct listing l;

    world_open(&w, NULL);
    w.held.refuse = -ENOMEM;
    listing_start(&l, &w);
    assert_int_equal(l.kind, S3_ERROR_OUT_OF_MEMORY);
    w.held.refuse = -ESHUTDOWN;
    listing_start(&l, &w);
    assert_int_equal(l.kind, S3_ERROR_CANCELLED);
    world_close(&w);
}

/* An input that cannot be sent: done still does not run inside submit. */
static void test_bad_input(void **state)
{
    struct world w;
    struct listing l = {.in.bucket = "", .lock = PTHREAD_MUTEX_INITIALIZER};

    world_open(&w, NULL);
    assert_int_equal(
        s3_client_submit(w.client, S3_OP_LIST_OBJECTS_V2, &l.in, &l.out, listing_done, &l, &l.call),
        0);
    assert_int_equal(atomic_load(&l.done), 0);
    run_timer(&w.held, 0);
    assert_int_equal(l.kind, S3_ERROR_INVALID);
    w.held.refuse_timer = -ESHUTDOWN;
    assert_int_equal(
        s3_client_submit(w.client, S3_OP_LIST_OBJECTS_V2, &l.in, &l.out, listing_done, &l, &l.call),
        -ESHUTDOWN);
    assert_null(l.call);
    assert_int_equal(atomic_load(&l.done), 1);
    world_close(&w);
}

static void test_client_lives_as_long_as_calls(void **state)
{
    struct world w;
    struct listing l;

    world_open(&w, NULL);
    listing_start(&l, &w);
    l.unref = TAKE_PTR(w.client); /* the user's reference goes inside done */
    finish_call(&w.held, 200, EMPTY_LIST);
    assert_int_equal(l.result, 0);
    s3_list_objects_v2_out_done(&l.out);
    s3_session_unref(w.session);

    world_open(&w, NULL);
    listing_start(&l, &w);
    s3_client_unref(TAKE_PTR(w.client)); /* only the call holds it now */
    finish_call(&w.held, 503, "");
    run_timer(&w.held, 0);
    finish_call(&w.held, 200, EMPTY_LIST);
    assert_int_equal(l.result, 0);
    s3_list_objects_v2_out_done(&l.out);
    s3_session_unref(w.session);
}

static void wait_done(struct listing *l)
{
    for (unsigned naps = 0; atomic_load(&l->done) == 0;)
        nap(&naps);
    pthread_mutex_lock(&l->lock); /* until done has let go of it */
    pthread_mutex_unlock(&l->lock);
}

static unsigned threads_now(void)
{
    CLEANUP_DIR DIR *d = opendir("/proc/self/task");
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    return n;
}

/* A client with a transport of its own whose last reference goes on one of that transport's
 * threads: these cannot wait for themselves. */
static void test_last_reference_on_an_io_thread(void **state)
{
    struct s3_session_options so;
    struct s3_client_options co = {.retry.max_attempts = 1};
    struct s3_session *session = NULL;
    struct s3_client *client = NULL;
    struct aws_credentials *keys = NULL;
    struct listing l = {.in.bucket = "bkt", .lock = PTHREAD_MUTEX_INITIALIZER};
    unsigned before = threads_now();

    s3_session_options_init(&so);
    so.args.getenv = no_environment;
    so.args.access_key_id = "AKID";
    so.args.secret_access_key = "SECRET";
    so.args.endpoint_url = "http://127.0.0.1:1"; /* nobody is there */
    assert_int_equal(s3_session_new(&so, &session, NULL), 0);
    assert_int_equal(s3_session_client_new(session, &co, &client, NULL), 0);
    assert_int_equal(s3_session_credentials(session, &keys, NULL), 0);
    aws_credentials_unref(keys);
    s3_session_unref(session);
    l.unref = client;
    assert_int_equal(
        s3_client_submit(client, S3_OP_LIST_OBJECTS_V2, &l.in, &l.out, listing_done, &l, &l.call),
        0);
    wait_done(&l);
    assert_int_equal(l.kind, S3_ERROR_CONNECT);
    for (unsigned naps = 0; threads_now() > before;) /* the transport's, and who ends them */
        nap(&naps);
}

static void test_slow_operations_may_be_silent(void **state)
{
    struct world w;
    struct listing l;
    struct s3_copy_object_in copy = {
        .bucket = "bkt", .key = "k", .source_bucket = "bkt", .source_key = "s"};
    struct s3_copy_object_out out;

    world_open(&w, NULL);
    listing_start(&l, &w);
    assert_int_equal(w.held.deadlines.first_byte_ms, 30000);
    assert_int_equal(w.held.deadlines.stall_ms, 30000);
    assert_int_equal(w.held.deadlines.connect_ms, 5000);
    finish_call(&w.held, 403, "");
    l = (struct listing){.lock = PTHREAD_MUTEX_INITIALIZER};
    assert_int_equal(
        s3_client_submit(w.client, S3_OP_COPY_OBJECT, &copy, &out, listing_done, &l, &l.call), 0);
    assert_int_equal(w.held.deadlines.first_byte_ms, S3_SLOW_FIRST_BYTE_MS);
    assert_int_equal(w.held.deadlines.stall_ms, S3_SLOW_FIRST_BYTE_MS);
    assert_int_equal(w.held.deadlines.connect_ms, 5000);
    finish_call(&w.held, 403, "");
    world_close(&w);
}

/* HeadObject that finds out about a lost PutObject can be cancelled too. */
static void test_cancel_while_looking(void **state)
{
    struct world w;
    struct listing l = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct s3_put_object_in put = {.bucket = "bkt", .key = "k", .conditions.if_none_match = "*"};
    struct s3_put_object_out out;

    world_open(&w, NULL);
    assert_int_equal(
        s3_client_submit(w.client, S3_OP_PUT_OBJECT, &put, &out, listing_done, &l, &l.call), 0);
    finish_call(&w.held, 0, "");
    run_timer(&w.held, 0);
    finish_call(&w.held, 412, "");
    assert_int_equal(w.held.n_calls, 1);
    assert_int_equal(w.held.calls[0]->req.method, HTTP_HEAD);
    s3_call_cancel(l.call);
    assert_true(w.held.calls[0]->cancelled);
    finish_call(&w.held, 200, "");
    assert_int_equal(atomic_load(&l.done), 1);
    assert_int_equal(l.kind, S3_ERROR_PRECONDITION); /* what is known */
    world_close(&w);
}

/* ---- credentials that take their time ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    bool entered;
    bool fail;
    pthread_t thread; /* that ran the provider */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int load_behind_gate(const struct aws_config *config, struct clock *clock,
                            struct aws_credentials **ret, struct s3_error *reterr)
{
    SCOPE_LOCK(&gate.lock);

    gate.entered = true;
    gate.thread = pthread_self();
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    if (gate.fail)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "no keys today");
    return aws_credentials_new("ID", "S", NULL, AWS_CREDENTIALS_NO_EXPIRY, "gate", ret) == 0;
}
static const struct aws_credentials_provider gated_chain[] = {{"gate", load_behind_gate},
                                                              {NULL, NULL}};

static void gate_wait_entered(void)
{
    SCOPE_LOCK(&gate.lock);

    while (!gate.entered)
        pthread_cond_wait(&gate.changed, &gate.lock);
}

static void gate_open(bool fail)
{
    SCOPE_LOCK(&gate.lock);

    gate.open = true;
    gate.fail = fail;
    pthread_cond_broadcast(&gate.changed);
}

static void gate_close(void)
{
    SCOPE_LOCK(&gate.lock);

    gate.open = gate.entered = gate.fail = false;
}

/* Waits for the worker thread: the client's free joins it, but a call holds the client. */
static void wait_calls(struct held *h, unsigned n)
{
    for (unsigned naps = 0;;) {
        pthread_mutex_lock(&h->lock);
        bool there = h->n_calls >= n;
        pthread_mutex_unlock(&h->lock);
        if (there)
            return;
        nap(&naps);
    }
}

static void test_credentials_on_the_worker(void **state)
{
    struct world w;
    struct listing l;

    gate_close();
    world_open(&w, gated_chain);
    listing_start(&l, &w); /* returns although the provider blocks */
    gate_wait_entered();
    assert_false(pthread_equal(gate.thread, pthread_self()));
    assert_int_equal(w.held.n_calls, 0);
    gate_open(false);
    wait_calls(&w.held, 1);
    finish_call(&w.held, 200, EMPTY_LIST);
    assert_int_equal(l.result, 0);
    s3_list_objects_v2_out_done(&l.out);
    world_close(&w);
}

static void test_credentials_fail(void **state)
{
    struct world w;
    struct listing l;

    gate_close();
    world_open(&w, gated_chain);
    listing_start(&l, &w);
    gate_wait_entered();
    gate_open(true);
    wait_done(&l);
    assert_int_equal(l.kind, S3_ERROR_CONFIG);
    world_close(&w);
}

static void test_cancel_waiting_for_credentials(void **state)
{
    struct world w;
    struct listing l;

    gate_close();
    world_open(&w, gated_chain);
    listing_start(&l, &w);
    gate_wait_entered();
    s3_call_cancel(l.call);
    gate_open(false);
    wait_done(&l);
    check_cancelled(&l);
    world_close(&w);
}

static atomic_uint short_lived_loads;

static int load_short_lived(const struct aws_config *config, struct clock *clock,
                            struct aws_credentials **ret, struct s3_error *reterr)
{
    char id[16];
    unsigned n = atomic_fetch_add(&short_lived_loads, 1) + 1;

    (void)snprintf(id, sizeof(id), "KEY%u", n);
    return aws_credentials_new(id, "S", "T", clock_realtime_ns(clock) + 3600 * NS_PER_S, "short",
                               ret) == 0;
}
static const struct aws_credentials_provider short_chain[] = {{"short", load_short_lived},
                                                              {NULL, NULL}};

/* Nobody waits for keys that expire soon: the worker renews them while requests go on. */
static void test_keys_are_renewed_ahead(void **state)
{
    struct world w;
    struct listing l;
    struct aws_credentials *keys = NULL;

    atomic_store(&short_lived_loads, 0);
    world_open(&w, short_chain);
    assert_int_equal(s3_session_credentials(w.session, &keys, NULL), 0);
    aws_credentials_unref(keys);
    clock_fake_advance(&w.clock, 48ull * 60 * NS_PER_S); /* 12 minutes are left */
    for (int i = 0; i < 3; i++) {
        listing_start(&l, &w);
        assert_int_equal(w.held.n_calls, 1); /* at once */
        finish_call(&w.held, 200, EMPTY_LIST);
        assert_int_equal(l.result, 0);
        s3_list_objects_v2_out_done(&l.out);
    }
    for (unsigned naps = 0; atomic_load(&short_lived_loads) < 2;)
        nap(&naps);
    world_close(&w); /* joins the worker */
    assert_int_equal(atomic_load(&short_lived_loads), 2);
}

/* The blocking form needs no thread of ours to wait on. */
static void *answer_one(void *arg)
{
    struct world *w = arg;

    wait_calls(&w->held, 1);
    finish_call(&w->held, 200, EMPTY_LIST);
    return NULL;
}

static void test_blocking_call_loads_credentials_itself(void **state)
{
    struct world w;
    struct s3_list_objects_v2_in in = {.bucket = "bkt"};
    struct s3_list_objects_v2_out out = {0};
    pthread_t server;

    gate_close();
    gate_open(false);
    world_open(&w, gated_chain);
    assert_int_equal(pthread_create(&server, NULL, answer_one, &w), 0);
    assert_int_equal(s3_list_objects_v2(w.client, &in, &out, NULL), 0);
    pthread_join(server, NULL);
    assert_true(pthread_equal(gate.thread, pthread_self()));
    s3_list_objects_v2_out_done(&out);
    world_close(&w);
}

/* ---- many at once ---- */

#define THREADS 4
#define ROUNDS  50

static void *hammer(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < ROUNDS; i++) {
        struct listing l;
        listing_start(&l, w);
        struct s3_call *call = NULL;
        pthread_mutex_lock(&l.lock);
        if (i % 3 == 0 && atomic_load(&l.done) == 0)
            call = s3_call_ref(l.call);
        pthread_mutex_unlock(&l.lock);
        if (call)
            s3_call_cancel(call);
        s3_call_unref(call);
        wait_done(&l);
        assert_true(l.result == 0 || l.result == -EINTR);
        s3_list_objects_v2_out_done(&l.out);
    }
    return NULL;
}

struct pump {
    struct world *w;
    atomic_bool stop;
};

static void *pump(void *arg)
{
    struct pump *p = arg;
    unsigned n = 0;

    while (!atomic_load(&p->stop)) {
        pthread_mutex_lock(&p->w->held.lock);
        bool call = p->w->held.n_calls > 0;
        bool timer = p->w->held.n_timers > 0;
        pthread_mutex_unlock(&p->w->held.lock);
        if (call)
            finish_call(&p->w->held, n % 4 ? 200 : 503, n % 4 ? EMPTY_LIST : "");
        n += call;
        if (timer)
            run_timer(&p->w->held, 0);
        if (!call && !timer)
            (void)usleep(500);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    struct world w;
    struct pump p = {.w = &w};
    pthread_t threads[THREADS];
    pthread_t io;

    world_open(&w, NULL);
    assert_int_equal(pthread_create(&io, NULL, pump, &p), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &w), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    /* timers of calls that were cancelled meanwhile */
    for (unsigned naps = 0;;) {
        pthread_mutex_lock(&w.held.lock);
        bool left = w.held.n_timers > 0;
        pthread_mutex_unlock(&w.held.lock);
        if (!left)
            break;
        nap(&naps);
    }
    atomic_store(&p.stop, true);
    pthread_join(io, NULL);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success),
        cmocka_unit_test(test_cancel_under_way),
        cmocka_unit_test(test_cancel_too_late),
        cmocka_unit_test(test_cancel_waiting_for_retry),
        cmocka_unit_test(test_retry_after_wait),
        cmocka_unit_test(test_transport_refuses),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_client_lives_as_long_as_calls),
        cmocka_unit_test(test_last_reference_on_an_io_thread),
        cmocka_unit_test(test_slow_operations_may_be_silent),
        cmocka_unit_test(test_cancel_while_looking),
        cmocka_unit_test(test_credentials_on_the_worker),
        cmocka_unit_test(test_credentials_fail),
        cmocka_unit_test(test_cancel_waiting_for_credentials),
        cmocka_unit_test(test_keys_are_renewed_ahead),
        cmocka_unit_test(test_blocking_call_loads_credentials_itself),
        cmocka_unit_test(test_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
