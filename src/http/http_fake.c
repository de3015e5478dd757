/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_fake.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "http/http_answer.h"

#define RECORD_BODY_MAX (1u << 30)

struct http_call {
    bool cancelled;
    /* of one that is held, by itself in memory: */
    size_t index;
    struct http_request req;
    http_done_fn done;
    void *ctx;
    struct http_answer a;
    struct http_fake_answer answer;
    struct http_call *next;
};

struct http_fake {
    struct http_transport transport;
    struct clock_fake *clock; /* borrowed, may be NULL */

    pthread_mutex_t lock;
    /* protected by lock */
    struct http_fake_answer *answers; /* owned, first n_used of n_answers are used up */
    size_t n_answers, n_used;
    struct http_fake_request **requests; /* owned, each allocated alone so that it never moves */
    size_t n_requests;
    size_t unexpected;
    struct http_call *held; /* owned */
};

static void request_free(struct http_fake_request *r)
{
    if (!r)
        return;
    free(r->url);
    free(r->headers);
    free(r->body);
    free(r);
}
DEFINE_CLEANUP(cleanup_request, struct http_fake_request *, request_free)

/* A copy of what was asked, because the caller's memory is borrowed for the exchange only. */
static struct http_fake_request *request_copy(const struct http_request *req)
{
    CLEANUP(cleanup_request)
    struct http_fake_request *r = calloc(1, sizeof(*r));
    CLEANUP_STRBUF struct strbuf headers = STRBUF_INIT(RECORD_BODY_MAX);
    CLEANUP_STRBUF struct strbuf body = STRBUF_INIT(RECORD_BODY_MAX);

    if (!r)
        return NULL;
    r->method = req->method;
    r->url = strdup(req->url);
    strbuf_append(&headers, "", 0);
    for (size_t i = 0; i < req->n_headers; i++)
        strbuf_appendf(&headers, "%s: %s\n", req->headers[i].name, req->headers[i].value);
    strbuf_append(&body, "", 0);
    for (int i = 0; i < req->n_body; i++)
        strbuf_append(&body, req->body[i].iov_base, req->body[i].iov_len);
    r->body_len = body.len;
    r->headers = headers.len ? strbuf_take(&headers) : strdup("");
    r->body = body.len ? strbuf_take(&body) : strdup("");
    if (!r->url || !r->headers || !r->body)
        return NULL;
    return TAKE_PTR(r);
}

/* 0 or -ENOMEM; *ret is the next answer, or "nothing is there" when the queue is empty. */
static int record(struct http_fake *f, const struct http_request *req, struct http_fake_answer *ret,
                  size_t *ret_index)
{
    CLEANUP(cleanup_request)
    struct http_fake_request *r = request_copy(req);

    if (!r)
        return -ENOMEM;
    SCOPE_LOCK(&f->lock);
    struct http_fake_request **grown =
        realloc(f->requests, (f->n_requests + 1) * sizeof(f->requests[0]));
    if (!grown)
        return -ENOMEM;
    f->requests = grown;
    *ret_index = f->n_requests;
    f->requests[f->n_requests++] = TAKE_PTR(r);

    if (f->n_used < f->n_answers) {
        *ret = f->answers[f->n_used++];
    } else {
        f->unexpected++;
        *ret = (struct http_fake_answer){.kind = S3_ERROR_CONNECT, .request_not_sent = true};
    }
    return 0;
}

static int feed_headers(struct http_answer *a, const struct http_fake_answer *answer, size_t len)
{
    char line[64];
    bool framed = false;

    snprintf(line, sizeof(line), "HTTP/1.1 %d fake", answer->status);
    int r = http_answer_line(a, line, strlen(line));
    for (const char *p = answer->headers; r == 0 && p && *p;) {
        size_t n = strcspn(p, "\n");
        framed = framed || strncasecmp(p, "Content-Length:", 15) == 0 ||
                 strncasecmp(p, "Transfer-Encoding:", 18) == 0;
        if (n > 0)
            r = http_answer_line(a, p, n);
        p += n + (p[n] == '\n');
    }
    if (r == 0 && !framed) {
        snprintf(line, sizeof(line), "Content-Length: %zu", len);
        r = http_answer_line(a, line, strlen(line));
    }
    return r < 0 ? r : http_answer_line(a, "", 0);
}

/* False: no more is to come. */
static bool feed_body(struct http_answer *a, const struct http_call *call,
                      const struct http_fake_answer *answer, size_t from, size_t end)
{
    size_t chunk = answer->chunk ? answer->chunk : end;

    for (size_t at = from; at < end; at += chunk) {
        size_t n = end - at < chunk ? end - at : chunk;
        if (http_answer_data(a, answer->body + at, n) < 0)
            return true;
        if (call->cancelled)
            return false;
    }
    return true;
}

static void feed(struct http_answer *a, const struct http_call *call,
                 const struct http_fake_answer *answer)
{
    size_t len = answer->body_len ? answer->body_len : answer->body ? strlen(answer->body) : 0;
    size_t end = answer->cut_after && answer->cut_after < len ? answer->cut_after : len;

    if (feed_headers(a, answer, len) < 0)
        return;
    if (a->req->method != HTTP_HEAD) {
        if (!feed_body(a, call, answer, 0, end) || answer->held)
            return;
        if (end < len)
            http_answer_fail(a, S3_ERROR_BAD_RESPONSE, "the answer ended after %zu of %zu bytes",
                             end, len);
    }
    http_answer_end(a);
}

/* Nobody else sees it before http_submit has returned, but for the sink and quiet callbacks. */
static int hold(struct http_fake *f, size_t index, const struct http_request *req,
                http_done_fn done, void *ctx, const struct http_fake_answer *answer,
                struct http_call **ret_call)
{
    struct http_call *call = calloc(1, sizeof(*call));

    if (!call)
        return -ENOMEM;
    *call = (struct http_call){
        .index = index, .req = *req, .done = done, .ctx = ctx, .answer = *answer};
    http_answer_init(&call->a, &call->req);
    call->a.resp.request_sent = true;
    if (ret_call)
        *ret_call = call;
    if (answer->cut_after)
        feed(&call->a, call, answer);
    SCOPE_LOCK(&f->lock);
    call->next = f->held;
    f->held = call;
    return 0;
}

static int fake_submit(struct http_transport *t, const struct http_request *req, http_done_fn done,
                       void *ctx, struct http_call **ret_call)
{
    struct http_fake *f = (struct http_fake *)t;
    struct http_fake_answer answer;
    struct http_call call = {0};
    struct http_answer a;
    size_t index;

    int r = record(f, req, &answer, &index);
    if (r < 0)
        return r;
    if (answer.held)
        return hold(f, index, req, done, ctx, &answer, ret_call);
    if (ret_call)
        *ret_call = &call;
    http_answer_init(&a, req);
    a.resp.request_sent = !answer.request_not_sent;
    a.resp.wait_ns = answer.wait_ns;
    if (answer.status == 0)
        http_answer_fail(&a, answer.kind, "the fake transport was told to fail");
    else
        feed(&a, &call, &answer);
    if (call.cancelled)
        http_answer_fail(&a, S3_ERROR_CANCELLED, "the request was cancelled");
    done(ctx, &a.resp);
    http_response_done(&a.resp);
    return 0;
}

static void fake_cancel(struct http_transport *t, struct http_call *call)
{
    (void)t;
    call->cancelled = true;
}

static int fake_timer(struct http_transport *t, uint32_t delay_ms, void (*fn)(void *ctx), void *ctx)
{
    struct http_fake *f = (struct http_fake *)t;

    if (f->clock)
        clock_fake_advance(f->clock, (uint64_t)delay_ms * NS_PER_MS);
    fn(ctx);
    return 0;
}

static struct http_call *held_take(struct http_fake *f, size_t index)
{
    SCOPE_LOCK(&f->lock);
    for (struct http_call **link = &f->held; *link; link = &(*link)->next) {
        struct http_call *call = *link;
        if (call->index == index) {
            *link = call->next;
            return call;
        }
    }
    return NULL;
}

static const struct http_call *held_find(const struct http_fake *f, size_t index)
{
    SCOPE_LOCK((pthread_mutex_t *)&f->lock);
    for (const struct http_call *call = f->held; call; call = call->next)
        if (call->index == index)
            return call;
    return NULL;
}

struct http_request http_fake_held_request(const struct http_fake *f, size_t index)
{
    const struct http_call *call = held_find(f, index);

    return call ? call->req : (struct http_request){0};
}

bool http_fake_is_cancelled(const struct http_fake *f, size_t index)
{
    const struct http_call *call = held_find(f, index);

    return call && call->cancelled;
}

void http_fake_quiet(struct http_fake *f, size_t index, bool answering)
{
    const struct http_call *call = held_find(f, index);

    if (call && call->req.quiet)
        call->req.quiet(call->ctx, answering);
}

void http_fake_end(struct http_fake *f, size_t index, const struct http_fake_answer *answer)
{
    struct http_call *call = held_take(f, index);

    if (!call)
        return;
    if (call->cancelled) {
        http_answer_fail(&call->a, S3_ERROR_CANCELLED, "the request was cancelled");
    } else if (!answer) {
        if (feed_body(&call->a, call, &call->answer, call->answer.cut_after,
                      call->answer.body_len ? call->answer.body_len : strlen(call->answer.body)))
            http_answer_end(&call->a);
    } else if (answer->status == 0) {
        http_answer_fail(&call->a, answer->kind, "the fake transport was told to fail");
    } else {
        call->a.resp.wait_ns = answer->wait_ns;
        feed(&call->a, call, answer);
    }
    call->done(call->ctx, &call->a.resp);
    http_response_done(&call->a.resp);
    free(call);
}

static void fake_free(struct http_transport *t)
{
    struct http_fake *f = (struct http_fake *)t;

    while (f->held) {
        f->held->cancelled = true;
        http_fake_end(f, f->held->index, NULL);
    }
    for (size_t i = 0; i < f->n_requests; i++)
        request_free(f->requests[i]);
    free(f->requests);
    free(f->answers);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static const struct http_transport_ops fake_ops = {
    .submit = fake_submit,
    .cancel = fake_cancel,
    .timer = fake_timer,
    .free = fake_free,
};

int http_fake_new(struct clock_fake *clock, struct http_fake **ret)
{
    struct http_fake *f = calloc(1, sizeof(*f));

    if (!f)
        return -ENOMEM;
    f->transport.ops = &fake_ops;
    f->clock = clock;
    pthread_mutex_init(&f->lock, NULL);
    *ret = f;
    return 0;
}

struct http_transport *http_fake_transport(struct http_fake *f)
{
    return &f->transport;
}

int http_fake_push(struct http_fake *f, const struct http_fake_answer *answer)
{
    SCOPE_LOCK(&f->lock);
    struct http_fake_answer *grown =
        realloc(f->answers, (f->n_answers + 1) * sizeof(f->answers[0]));
    if (!grown)
        return -ENOMEM;
    f->answers = grown;
    f->answers[f->n_answers++] = *answer;
    return 0;
}

const struct http_fake_request *http_fake_request_at(const struct http_fake *f, size_t index)
{
    SCOPE_LOCK((pthread_mutex_t *)&f->lock);
    return index < f->n_requests ? f->requests[index] : NULL;
}

size_t http_fake_request_count(const struct http_fake *f)
{
    SCOPE_LOCK((pthread_mutex_t *)&f->lock);
    return f->n_requests;
}

size_t http_fake_unexpected(const struct http_fake *f)
{
    SCOPE_LOCK((pthread_mutex_t *)&f->lock);
    return f->unexpected;
}

size_t http_fake_unused_answers(const struct http_fake *f)
{
    SCOPE_LOCK((pthread_mutex_t *)&f->lock);
    return f->n_answers - f->n_used;
}

const char *http_fake_request_header(const struct http_fake_request *r, const char *name, char *buf,
                                     size_t size)
{
    size_t name_len = strlen(name);

    for (const char *p = r->headers; *p;) {
        size_t n = strcspn(p, "\n");
        if (n > name_len + 1 && p[name_len] == ':' && strncasecmp(p, name, name_len) == 0) {
            const char *value = p + name_len + 2;
            snprintf(buf, size, "%.*s", (int)(p + n - value), value);
            return buf;
        }
        p += n + (p[n] == '\n');
    }
    return NULL;
}
