/* SPDX-License-Identifier: Apache-2.0 */
/* The libcurl transport under load and in trouble: deadlines, cancelling, the queue, timers, many
 * threads, the end of the transport, memory that runs out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "alloc_fail.h"
#include "http_curl_fixture.h"

static struct gate arrived = GATE_INIT; /* requests that reached a script */
static struct gate go_on = GATE_INIT;   /* lets held scripts go on */
static int arrivals[64];                /* targets that are numbers, as they came */
static atomic_int n_arrivals;
static atomic_uint busy, busiest; /* requests in scripts at the same time */

static void note_busy(int step)
{
    unsigned n = atomic_fetch_add(&busy, (unsigned)step) + (unsigned)step, max = busiest;

    while (n > max && !atomic_compare_exchange_weak(&busiest, &max, n))
        ;
}

/* /held waits for go_on; /silent never answers; /stall stops within the body; /sink-all reads
 * nothing of an upload; anything else is answered at once. */
static bool serve(struct wire_conn *c, const struct wire_request *r)
{
    if (strcmp(r->target, "/silent") == 0 || strcmp(r->target, "/silent-upload") == 0) {
        gate_raise(&arrived);
        wire_wait_closed(c);
        return false;
    }
    if (strcmp(r->target, "/slow-down") == 0) {
        wire_send(c, "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n");
        return true;
    }
    if (strcmp(r->target, "/stall") == 0) {
        wire_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        gate_raise(&arrived);
        wire_wait_closed(c);
        return false;
    }
    if (strcmp(r->target, "/unread") == 0) {
        gate_raise(&arrived);
        gate_wait(&go_on, 1);
        return false;
    }
    if (r->target[1] >= '0' && r->target[1] <= '9')
        arrivals[atomic_fetch_add(&n_arrivals, 1) % 64] = (int)strtol(r->target + 1, NULL, 10);
    note_busy(1);
    gate_raise(&arrived);
    if (strcmp(r->target, "/held") == 0)
        gate_wait(&go_on, 1);
    bool whole = wire_read_body(c, r->length) != UINT64_MAX;
    note_busy(-1);
    wire_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    return whole;
}

static void script(struct wire_conn *c, void *ctx)
{
    struct wire_request *r = calloc(1, sizeof(*r));

    while (r && wire_read_head(c, r) && serve(c, r))
        ;
    free(r);
}

static int setup(void **state)
{
    gate_reset(&arrived);
    gate_reset(&go_on);
    busiest = 0;
    fixture_start(NULL, script);
    return 0;
}

static int setup_8_connections(void **state)
{
    static const struct http_curl_options opts = {
        .io_threads = 2, .max_connections = 8, .n_stats = 2};

    gate_reset(&arrived);
    gate_reset(&go_on);
    busiest = 0;
    fixture_start(&opts, script);
    return 0;
}

static int teardown(void **state)
{
    if (gate_count(&go_on) == 0)
        gate_raise(&go_on);
    fixture_stop();
    return 0;
}

/* Deadlines */

/* The deadlines in d that are for being reached, with more time on a machine that is busy. */
static struct http_deadlines longer(struct http_deadlines d, uint32_t factor)
{
    uint32_t *all[] = {&d.first_byte_ms, &d.stall_ms, &d.total_ms};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (*all[i] < 60000)
            *all[i] *= factor;
    return d;
}

static void expect_timeout(const char *path, struct http_deadlines d, const char *message)
{
    struct http_request req = {.method = HTTP_GET, .url = url_of(path)};
    struct http_response r;

    for (uint32_t factor = 1;; factor *= 8) {
        req.deadlines = longer(d, factor);
        assert_int_equal(http_perform(fx.t, &req, &r), 0);
        assert_int_equal(r.status, 0);
        if ((r.request_sent && strstr(r.message, message)) || factor > 500)
            break;
        http_response_done(&r); /* it did not come so far in time */
    }
    assert_int_equal(r.kind, S3_ERROR_TIMEOUT);
    assert_true(r.request_sent);
    if (!strstr(r.message, message))
        fail_msg("%s: %s", path, r.message);
    http_response_done(&r);
}

static void test_deadlines(void **state)
{
    expect_timeout("/silent", (struct http_deadlines){.first_byte_ms = 50}, "no answer from");
    expect_timeout("/silent", (struct http_deadlines){.stall_ms = 50}, "no byte to or from");
    expect_timeout("/silent", (struct http_deadlines){.total_ms = 50}, "no complete answer from");
    expect_timeout("/stall", (struct http_deadlines){.stall_ms = 50, .first_byte_ms = 60000},
                   "no byte to or from");
    expect_timeout("/stall", (struct http_deadlines){.total_ms = 50, .stall_ms = 60000},
                   "no complete answer from");
    expect("/", 200, S3_ERROR_NONE, "ok");
}

static void test_upload_deadlines(void **state)
{
    const size_t size = 64 << 20;
    char *data = calloc(1, size);
    struct iovec v = {data, size};
    struct http_request req = {.method = HTTP_PUT,
                               .url = url_of("/unread"),
                               .body = &v,
                               .n_body = 1,
                               .deadlines = {.stall_ms = 100, .first_byte_ms = 60000}};
    struct http_response r;

    /* The peer does not read: our bytes stay in the socket. */
    assert_non_null(data);
    assert_int_equal(http_perform(fx.t, &req, &r), 0);
    assert_int_equal(r.kind, S3_ERROR_TIMEOUT);
    assert_non_null(strstr(r.message, "no byte to or from"));
    http_response_done(&r);

    /* It read everything and says nothing. */
    req.url = url_of("/silent-upload");
    req.deadlines = (struct http_deadlines){.stall_ms = 60000, .first_byte_ms = 100};
    assert_int_equal(http_perform(fx.t, &req, &r), 0);
    assert_int_equal(r.kind, S3_ERROR_TIMEOUT);
    assert_non_null(strstr(r.message, "no answer from"));
    http_response_done(&r);
    free(data);
}

static void test_deadlines_are_not_for_the_quick(void **state)
{
    const struct http_request req = {
        .method = HTTP_GET, .url = url_of("/"), .deadlines = {60000, 60000, 60000, 60000}};
    struct http_response r;

    for (int i = 0; i < 100; i++) {
        assert_int_equal(http_perform(fx.t, &req, &r), 0);
        assert_int_equal(r.status, 200);
        http_response_done(&r);
    }
    assert_int_equal(connections_opened(), 1);
}

/* Cancelling */

static void test_cancel(void **state)
{
    struct waiter w[6] = {0};

    /* four in flight, two in the queue */
    for (int i = 0; i < 6; i++) {
        w[i].req = (struct http_request){.method = HTTP_GET,
                                         .url = i == 0 ? url_of("/stall") : url_of("/silent")};
        char *url = strdup(w[i].req.url);
        assert_non_null(url);
        w[i].req.url = url;
        waiter_submit(&w[i]);
    }
    gate_wait(&arrived, 4);
    struct http_curl_totals totals;
    http_curl_totals(fx.t, &totals);
    assert_int_equal(totals.in_flight, 4);
    assert_int_equal(totals.queued, 2);

    http_cancel(fx.t, w[4].call); /* queued */
    waiter_wait(&w[4]);
    assert_int_equal(w[4].resp.kind, S3_ERROR_CANCELLED);
    assert_false(w[4].resp.request_sent);

    http_cancel(fx.t, w[0].call); /* reading its body */
    waiter_wait(&w[0]);
    assert_int_equal(w[0].resp.kind, S3_ERROR_CANCELLED);
    assert_int_equal(w[0].resp.status, 0);
    gate_wait(&arrived, 5); /* its slot went to the last one */

    for (int i = 1; i < 6; i++)
        if (i != 4)
            http_cancel(fx.t, w[i].call);
    for (int i = 1; i < 6; i++) {
        waiter_wait(&w[i]);
        assert_int_equal(w[i].resp.kind, S3_ERROR_CANCELLED);
    }
    for (int i = 0; i < 6; i++) {
        http_response_done(&w[i].resp);
        free((char *)(uintptr_t)w[i].req.url);
    }
    http_curl_totals(fx.t, &totals);
    assert_int_equal(totals.in_flight, 0);
    assert_int_equal(totals.queued, 0);
    expect("/", 200, S3_ERROR_NONE, "ok");
}

static void test_cancel_right_after_submit(void **state)
{
    for (int i = 0; i < 200; i++) {
        struct waiter w = {.req = {.method = HTTP_GET, .url = url_of("/silent")}};
        waiter_submit(&w);
        http_cancel(fx.t, w.call);
        waiter_wait(&w);
        assert_int_equal(w.resp.kind, S3_ERROR_CANCELLED);
        http_response_done(&w.resp);
    }
}

static void test_cancel_upload(void **state)
{
    const size_t size = 64 << 20;
    char *data = calloc(1, size);
    struct iovec v = {data, size};
    struct waiter w = {
        .req = {.method = HTTP_PUT, .url = url_of("/unread"), .body = &v, .n_body = 1}};

    assert_non_null(data);
    waiter_submit(&w);
    gate_wait(&arrived, 1);
    http_cancel(fx.t, w.call);
    waiter_wait(&w);
    free(data); /* borrowed until done: nobody may look at it now */
    assert_int_equal(w.resp.kind, S3_ERROR_CANCELLED);
    http_response_done(&w.resp);
}

/* The queue */

static void test_never_more_than_max_connections(void **state)
{
    enum { N = 200 };
    struct waiter *w = calloc(N, sizeof(*w));
    char *url = strdup(url_of("/held"));

    assert_non_null(w);
    for (int i = 0; i < N; i++) {
        w[i].req = (struct http_request){.method = HTTP_GET, .url = url};
        waiter_submit(&w[i]);
    }
    gate_wait(&arrived, 8);
    struct http_curl_totals totals;
    http_curl_totals(fx.t, &totals);
    assert_int_equal(totals.in_flight, 8);
    assert_int_equal(totals.queued, N - 8);
    assert_int_equal(gate_count(&arrived), 8);
    gate_raise(&go_on);
    for (int i = 0; i < N; i++) {
        waiter_wait(&w[i]);
        assert_int_equal(w[i].resp.status, 200);
        http_response_done(&w[i].resp);
    }
    assert_int_equal(busiest, 8);
    assert_int_equal(wire_server_accepted(fx.server), 8);
    assert_int_equal(connections_opened(), 8);
    free(url);
    free(w);
}

static unsigned limit_now(void)
{
    struct http_curl_totals totals;

    http_curl_totals(fx.t, &totals);
    return totals.limit;
}

/* "Slow down" halves what goes on at a time, once for all that were on their way; answers raise it
 * again, up to what it was. */
static void test_slow_down(void **state)
{
    struct waiter w[8] = {0};
    struct http_curl_totals totals;
    char *held = strdup(url_of("/held"));

    assert_non_null(held);
    assert_int_equal(limit_now(), 8);
    for (int i = 0; i < 7; i++) {
        w[i].req = (struct http_request){.method = HTTP_GET, .url = held};
        waiter_submit(&w[i]);
    }
    gate_wait(&arrived, 7);
    expect("/slow-down", 503, S3_ERROR_NONE, NULL);
    assert_int_equal(limit_now(), 3);
    gate_raise(&go_on);
    for (int i = 0; i < 7; i++) {
        waiter_wait(&w[i]);
        assert_int_equal(w[i].resp.status, 200);
        http_response_done(&w[i].resp);
    }
    assert_in_range(limit_now(), 3, 8);
    for (int i = 0; i < 20; i++)
        expect("/slow-down", 503, S3_ERROR_NONE, NULL);
    assert_int_equal(limit_now(), 2);
    /* No more than that at a time; the others wait. */
    gate_reset(&go_on);
    gate_reset(&arrived);
    for (int i = 0; i < 8; i++) {
        w[i].req = (struct http_request){.method = HTTP_GET, .url = held};
        waiter_submit(&w[i]);
    }
    gate_wait(&arrived, 2);
    http_curl_totals(fx.t, &totals);
    assert_int_equal(totals.in_flight, 2);
    assert_int_equal(totals.queued, 6);
    gate_raise(&go_on);
    for (int i = 0; i < 8; i++) {
        waiter_wait(&w[i]);
        assert_int_equal(w[i].resp.status, 200);
        http_response_done(&w[i].resp);
    }
    for (int i = 0; i < 20; i++)
        expect("/", 200, S3_ERROR_NONE, "ok");
    assert_int_equal(limit_now(), 8);
    free(held);
}

static void test_queue_is_first_in_first_out(void **state)
{
    enum { N = 40 };
    struct waiter *w = calloc(N, sizeof(*w));
    char paths[N][16];

    /* Four connections, all held; what is queued behind must arrive in order. With one slot free at
     * a time the order of arrival is the order of starting. */
    assert_non_null(w);
    for (int i = 0; i < N; i++) {
        snprintf(paths[i], sizeof(paths[i]), i < 4 ? "/silent" : "/%d", i);
        char *url = strdup(url_of(paths[i]));
        w[i].req = (struct http_request){.method = HTTP_GET, .url = url};
        waiter_submit(&w[i]);
    }
    gate_wait(&arrived, 4);
    http_cancel(fx.t, w[0].call);
    for (int i = 4; i < N; i++) {
        waiter_wait(&w[i]);
        assert_int_equal(w[i].resp.status, 200);
    }
    assert_int_equal(n_arrivals, N - 4);
    for (int i = 4; i < N; i++)
        assert_int_equal(arrivals[i - 4], i);
    for (int i = 1; i < 4; i++)
        http_cancel(fx.t, w[i].call);
    for (int i = 0; i < N; i++) {
        waiter_wait(&w[i]);
        http_response_done(&w[i].resp);
        free((char *)(uintptr_t)w[i].req.url);
    }
    free(w);
}

static void test_total_deadline_in_the_queue(void **state)
{
    struct waiter w[5] = {0};
    char *silent = strdup(url_of("/silent"));

    for (int i = 0; i < 5; i++) {
        w[i].req = (struct http_request){.method = HTTP_GET, .url = silent};
        if (i == 4)
            w[i].req.deadlines.total_ms = 50;
        waiter_submit(&w[i]);
    }
    waiter_wait(&w[4]);
    assert_int_equal(w[4].resp.kind, S3_ERROR_TIMEOUT);
    assert_false(w[4].resp.request_sent);
    assert_non_null(strstr(w[4].resp.message, "became free"));
    for (int i = 0; i < 4; i++)
        http_cancel(fx.t, w[i].call);
    for (int i = 0; i < 5; i++) {
        waiter_wait(&w[i]);
        http_response_done(&w[i].resp);
    }
    free(silent);
}

/* Callbacks that go on working */

struct chain {
    struct http_request req;
    int left;
    struct gate end;
};

static void chain_next(void *ctx, struct http_response *resp)
{
    struct chain *c = ctx;

    if (resp->status != 200) {
        c->left = -1;
        gate_raise(&c->end);
    } else if (--c->left == 0) {
        gate_raise(&c->end);
    } else if (http_submit(fx.t, &c->req, chain_next, c, NULL) < 0) {
        c->left = -2;
        gate_raise(&c->end);
    }
}

static void test_done_submits_the_next(void **state)
{
    struct chain c = {
        .req = {.method = HTTP_GET, .url = url_of("/")}, .left = 500, .end = GATE_INIT};

    assert_int_equal(http_submit(fx.t, &c.req, chain_next, &c, NULL), 0);
    gate_wait(&c.end, 1);
    assert_int_equal(c.left, 0);
    assert_int_equal(connections_opened(), 1);
}

static struct gate ticks = GATE_INIT;
static uint64_t order[3];
static atomic_int n_order;

static void tick(void *ctx)
{
    order[atomic_fetch_add(&n_order, 1)] = (uint64_t)(uintptr_t)ctx;
    gate_raise(&ticks);
}

static void test_timers(void **state)
{
    gate_reset(&ticks);
    n_order = 0;
    assert_int_equal(http_timer(fx.t, 200, tick, (void *)3), 0);
    assert_int_equal(http_timer(fx.t, 100, tick, (void *)2), 0);
    assert_int_equal(http_timer(fx.t, 0, tick, (void *)1), 0);
    gate_wait(&ticks, 3);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    assert_int_equal(order[2], 3);
}

/* Many threads */

static atomic_uint finished;

static void count_done(void *ctx, struct http_response *resp)
{
    if (resp->status == 200 || resp->kind == S3_ERROR_CANCELLED)
        atomic_fetch_add(&finished, 1);
    gate_raise(ctx);
}

struct submitter {
    pthread_t thread;
    struct gate *done;
    const char *url;
    int failed;
};

static void *submit_many(void *arg)
{
    struct submitter *s = arg;
    static char data[100000];
    static const struct iovec v = {data, sizeof(data)}; /* borrowed beyond the end of this thread */

    for (int i = 0; i < 100; i++) {
        struct http_request req = {.method = i % 4 ? HTTP_GET : HTTP_PUT,
                                   .url = s->url,
                                   .body = i % 4 ? NULL : &v,
                                   .n_body = i % 4 ? 0 : 1,
                                   .stat = (unsigned)(i % 4 == 0)};
        if (http_submit(fx.t, &req, count_done, s->done, NULL) < 0)
            s->failed++;
    }
    return NULL;
}

static void test_eight_threads_submit(void **state)
{
    struct gate done = GATE_INIT;
    struct submitter s[8];
    char *url = strdup(url_of("/"));

    finished = 0;
    for (int i = 0; i < 8; i++) {
        s[i] = (struct submitter){.done = &done, .url = url};
        assert_int_equal(pthread_create(&s[i].thread, NULL, submit_many, &s[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(s[i].thread, NULL);
    gate_wait(&done, 800);
    assert_int_equal(finished, 800);
    assert_true(busiest <= 8);
    assert_true(connections_opened() <= 8);

    struct http_stat stat;
    http_curl_stat(fx.t, 0, &stat);
    assert_int_equal(stat.requests, 600);
    assert_int_equal(stat.failures, 0);
    assert_int_equal(stat.bytes_sent, 0);
    assert_int_equal(stat.bytes_received, 1200);
    http_curl_stat(fx.t, 1, &stat);
    assert_int_equal(stat.requests, 200);
    assert_int_equal(stat.bytes_sent, 200 * 100000);
    assert_true(stat.total_ns > 0);
    http_curl_stat(fx.t, 2, &stat);
    assert_int_equal(stat.requests, 0);
    free(url);
}

/* Every waiter is cancelled by another thread while it may be at any point of its life. */
struct race {
    pthread_mutex_t lock;
    struct http_call *call;
    bool over; /* protected by lock */
    struct gate done;
    enum s3_error_kind kind;
};

static void race_done(void *ctx, struct http_response *resp)
{
    struct race *r = ctx;

    pthread_mutex_lock(&r->lock);
    r->over = true;
    pthread_mutex_unlock(&r->lock);
    r->kind = resp->kind;
    gate_raise(&r->done);
}

static void test_cancel_races_with_completion(void **state)
{
    const struct http_request req = {.method = HTTP_GET, .url = url_of("/")};
    int cancelled = 0;

    for (int i = 0; i < 1000; i++) {
        struct race r = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = GATE_INIT};
        unsigned before = gate_count(&arrived);
        assert_int_equal(http_submit(fx.t, &req, race_done, &r, &r.call), 0);
        if (i % 3) /* by now the answer is on its way */
            gate_wait(&arrived, before + 1);
        pthread_mutex_lock(&r.lock);
        if (!r.over)
            http_cancel(fx.t, r.call);
        pthread_mutex_unlock(&r.lock);
        gate_wait(&r.done, 1);
        assert_true(r.kind == S3_ERROR_NONE || r.kind == S3_ERROR_CANCELLED);
        cancelled += r.kind == S3_ERROR_CANCELLED;
    }
    print_message("%d of 1000 were cancelled\n", cancelled);
}

/* The end */

static void resubmit_done(void *ctx, struct http_response *resp)
{
    const struct http_request req = {.method = HTTP_GET, .url = "http://127.0.0.1:9/"};

    if (resp->kind == S3_ERROR_CANCELLED)
        atomic_fetch_add(&finished, 1);
    if (http_submit(fx.t, &req, resubmit_done, ctx, NULL) != -ESHUTDOWN ||
        http_timer(fx.t, 1, tick, NULL) != -ESHUTDOWN)
        atomic_fetch_add(&finished, 1000);
}

static void test_free_cancels_and_waits(void **state)
{
    struct http_request req = {.method = HTTP_GET, .url = url_of("/silent")};

    gate_reset(&ticks);
    n_order = 0;
    finished = 0;
    for (int i = 0; i < 30; i++)
        assert_int_equal(http_submit(fx.t, &req, resubmit_done, NULL, NULL), 0);
    assert_int_equal(http_timer(fx.t, 3600000, tick, NULL), 0);
    gate_wait(&arrived, 8);
    http_transport_free(fx.t);
    assert_int_equal(finished, 30);
    assert_int_equal(gate_count(&ticks), 1); /* early rather than never */

    static const struct http_curl_options opts = {.io_threads = 1};
    assert_int_equal(http_curl_new(&opts, &fx.t), 0);
    http_transport_free(fx.t); /* nothing under way */
    http_transport_free(NULL);
    assert_int_equal(http_curl_new(&opts, &fx.t), 0);
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += lseek(fd, 0, SEEK_CUR) >= 0 || errno != EBADF;
    return n;
}

static void test_no_descriptor_is_left(void **state)
{
    static const struct http_curl_options opts = {.io_threads = 2, .max_connections = 8};
    unsigned before = 0;

    for (int i = 0; i < 5; i++) {
        struct http_transport *t;
        struct http_response r;
        const struct http_request req = {.method = HTTP_GET, .url = url_of("/")};

        assert_int_equal(http_curl_new(&opts, &t), 0);
        assert_int_equal(http_perform(t, &req, &r), 0);
        http_response_done(&r);
        http_transport_free(t);
        /* The server's side of the connection closes in its own time: counted from the client's
         * view, with one that stays open for the whole test. */
        if (i == 0)
            before = open_descriptors();
    }
    assert_true(open_descriptors() <= before + 4);
}

/* Memory */

static void fail_next(void *ctx)
{
    alloc_fail_begin((long)(intptr_t)ctx);
}

static struct gate measured = GATE_INIT;
static atomic_bool did_fail;

static void end_failing(void *ctx)
{
    did_fail = alloc_fail_end();
    gate_raise(&measured);
}

static void test_out_of_memory_on_the_io_thread(void **state)
{
    int good = 0, bad = 0;

    for (long n = 0; n < 40; n++) {
        struct waiter w = {.req = {.method = HTTP_GET, .url = url_of("/")}};

        gate_reset(&measured);
        assert_int_equal(http_timer(fx.t, 0, fail_next, (void *)(intptr_t)n), 0);
        waiter_submit(&w);
        waiter_wait(&w);
        assert_int_equal(http_timer(fx.t, 0, end_failing, NULL), 0);
        gate_wait(&measured, 1);
        if (w.resp.status == 200) {
            good++;
        } else {
            assert_true(did_fail);
            assert_true(w.resp.kind == S3_ERROR_OUT_OF_MEMORY || w.resp.kind == S3_ERROR_CONNECT);
            bad++;
        }
        http_response_done(&w.resp);
    }
    print_message("%d failed for want of memory, %d did not\n", bad, good);
    assert_true(bad > 0 && good > 0);
    expect("/", 200, S3_ERROR_NONE, "ok");
}

static void test_out_of_memory_in_submit(void **state)
{
    const struct http_request req = {.method = HTTP_GET, .url = url_of("/")};
    struct gate done = GATE_INIT;
    unsigned accepted = 0;
    int r;

    finished = 0;
    for (long n = 0; alloc_fail_begin(n), r = http_submit(fx.t, &req, count_done, &done, NULL),
              alloc_fail_end();
         n++) {
        assert_int_equal(r, -ENOMEM);
        assert_true(n < 100);
    }
    assert_int_equal(r, 0);
    accepted++;
    for (long n = 0; alloc_fail_begin(n), r = http_timer(fx.t, 0, tick, NULL), alloc_fail_end();
         n++)
        assert_int_equal(r, -ENOMEM);
    gate_wait(&done, accepted);
    assert_int_equal(finished, accepted);
}

static void test_out_of_memory_in_new(void **state)
{
    static const struct http_curl_options opts = {
        .io_threads = 2, .ca_bundle = "/nowhere", .user_agent = "x", .n_stats = 3};
    struct http_transport *t;
    int r;

    for (long n = 0; alloc_fail_begin(n), r = http_curl_new(&opts, &t), alloc_fail_end(); n++)
        assert_int_equal(r, -ENOMEM);
    assert_int_equal(r, 0);
    http_transport_free(t);
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_8(name) cmocka_unit_test_setup_teardown(name, setup_8_connections, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_deadlines),
        TEST(test_upload_deadlines),
        TEST(test_deadlines_are_not_for_the_quick),
        TEST(test_cancel),
        TEST(test_cancel_right_after_submit),
        TEST(test_cancel_upload),
        TEST_8(test_never_more_than_max_connections),
        TEST_8(test_slow_down),
        TEST(test_queue_is_first_in_first_out),
        TEST(test_total_deadline_in_the_queue),
        TEST(test_done_submits_the_next),
        TEST(test_timers),
        TEST_8(test_eight_threads_submit),
        TEST_8(test_cancel_races_with_completion),
        TEST_8(test_free_cancels_and_waits),
        TEST(test_no_descriptor_is_left),
        TEST(test_out_of_memory_on_the_io_thread),
        TEST(test_out_of_memory_in_submit),
        TEST(test_out_of_memory_in_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
