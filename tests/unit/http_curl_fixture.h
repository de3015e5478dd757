/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the libcurl transport share: a server, a transport, and a submitted request
 * that can be waited for. Header-only; included once per test program. */
#ifndef PAILFS_TESTS_HTTP_CURL_FIXTURE_H
#define PAILFS_TESTS_HTTP_CURL_FIXTURE_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "http/http_curl.h"
#include "wire_server.h"

struct fixture {
    struct wire_server *server;
    struct http_transport *t;
};

static struct fixture fx;

static inline void fixture_start(const struct http_curl_options *opts, wire_script script)
{
    static const struct http_curl_options one = {.io_threads = 1, .max_connections = 4};

    fx.server = wire_server_new(script, NULL);
    assert_int_equal(http_curl_new(opts ? opts : &one, &fx.t), 0);
}

static inline void fixture_stop(void)
{
    http_transport_free(fx.t);
    wire_server_free(fx.server);
}

/* Two buffers in turn. */
static inline const char *url_of(const char *path)
{
    static char buf[2][8192];
    static unsigned turn;
    char *url = buf[turn++ % 2];

    snprintf(url, sizeof(buf[0]), "http://127.0.0.1:%u%s", wire_server_port(fx.server), path);
    return url;
}

static inline uint64_t connections_opened(void)
{
    struct http_curl_totals totals;
    http_curl_totals(fx.t, &totals);
    return totals.connections_opened;
}

static inline void get(const char *path, struct http_response *resp)
{
    const struct http_request req = {.method = HTTP_GET, .url = url_of(path)};
    assert_int_equal(http_perform(fx.t, &req, resp), 0);
}

/* GETs and compares; everything else about the response is dropped. */
static inline void expect(const char *path, int status, enum s3_error_kind kind, const char *body)
{
    struct http_response resp;

    get(path, &resp);
    if (resp.status != status || resp.kind != kind)
        fail_msg("%s: status %d, kind %d: %s", path, resp.status, (int)resp.kind, resp.message);
    if (body)
        assert_string_equal(strbuf_str(&resp.body), body);
    http_response_done(&resp);
}

/* One submitted request. */
struct waiter {
    struct http_request req;
    struct http_call *call;
    struct http_response resp;
    struct gate done;
};

static inline void waiter_done(void *ctx, struct http_response *resp)
{
    struct waiter *w = ctx;

    w->resp = *resp;
    resp->headers = NULL;
    resp->n_headers = 0;
    arena_init(&resp->arena, 0);
    strbuf_init(&resp->body, 0);
    gate_raise(&w->done);
}

static inline void waiter_submit(struct waiter *w)
{
    w->done = (struct gate)GATE_INIT;
    assert_int_equal(http_submit(fx.t, &w->req, waiter_done, w, &w->call), 0);
}

static inline void waiter_wait(struct waiter *w)
{
    gate_wait(&w->done, 1);
}

#endif
