/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"

const char *http_method_name(enum http_method m)
{
    static const char *const names[HTTP_METHOD_MAX] = {
        [HTTP_GET] = "GET",   [HTTP_HEAD] = "HEAD",     [HTTP_PUT] = "PUT",
        [HTTP_POST] = "POST", [HTTP_DELETE] = "DELETE",
    };

    assert((unsigned)m < HTTP_METHOD_MAX);
    return names[m];
}

const char *http_response_header(const struct http_response *resp, const char *name)
{
    for (size_t i = 0; i < resp->n_headers; i++)
        if (strcasecmp(resp->headers[i].name, name) == 0)
            return resp->headers[i].value;
    return NULL;
}

void http_response_done(struct http_response *resp)
{
    arena_done(&resp->arena);
    strbuf_done(&resp->body);
    resp->headers = NULL;
    resp->n_headers = 0;
}

int http_submit(struct http_transport *t, const struct http_request *req, http_done_fn done,
                void *ctx, struct http_call **ret_call)
{
    assert(req->url && (unsigned)req->method < HTTP_METHOD_MAX);
    return t->ops->submit(t, req, done, ctx, ret_call);
}

void http_cancel(struct http_transport *t, struct http_call *call)
{
    t->ops->cancel(t, call);
}

int http_timer(struct http_transport *t, uint32_t delay_ms, void (*fn)(void *ctx), void *ctx)
{
    return t->ops->timer(t, delay_ms, fn, ctx);
}

void http_transport_free(struct http_transport *t)
{
    if (t)
        t->ops->free(t);
}

/* The wait of http_perform. */
struct perform {
    struct http_response *resp; /* the caller's */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool finished; /* protected by lock */
};

static void perform_done(void *ctx, struct http_response *resp)
{
    struct perform *p = ctx;

    /* Everything moves to the caller: what the transport releases afterwards is empty. */
    *p->resp = *resp;
    resp->headers = NULL;
    resp->n_headers = 0;
    arena_init(&resp->arena, 0);
    strbuf_init(&resp->body, 0);

    pthread_mutex_lock(&p->lock);
    p->finished = true;
    pthread_cond_signal(&p->cond);
    pthread_mutex_unlock(&p->lock);
}

int http_perform(struct http_transport *t, const struct http_request *req,
                 struct http_response *resp)
{
    struct perform p = {
        .resp = resp, .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

    int r = http_submit(t, req, perform_done, &p, NULL);
    if (r < 0)
        return r;
    pthread_mutex_lock(&p.lock);
    while (!p.finished)
        pthread_cond_wait(&p.cond, &p.lock);
    pthread_mutex_unlock(&p.lock);
    pthread_cond_destroy(&p.cond);
    pthread_mutex_destroy(&p.lock);
    return 0;
}
