/* SPDX-License-Identifier: Apache-2.0 */
/* A transport for unit tests: answers come from a queue that the test fills; requests are recorded.
 * Answers pass the same checks as real ones (caps, Content-Length). An answer without a
 * Content-Length or Transfer-Encoding header gets a true Content-Length, also for HEAD.
 * Callbacks run inside http_submit. Timers run inside http_timer after the fake clock was moved on
 * by their delay, so that retries take no time. An empty queue answers S3_ERROR_CONNECT and counts
 * as a test failure in ->unexpected. An answer that is held leaves its exchange under way until the
 * test ends it; so does a cancel: the real thing does not run done inside http_cancel either. */
#ifndef PAILFS_HTTP_HTTP_FAKE_H
#define PAILFS_HTTP_HTTP_FAKE_H

#include "base/clock.h"
#include "http/http.h"

struct http_fake_answer {
    int status;              /* 0: transport failure of `kind` */
    enum s3_error_kind kind; /* not NONE when status is 0 */
    const char *headers;     /* "Name: value\n..." or NULL; borrowed */
    const char *body;        /* borrowed; NULL = none */
    size_t body_len;         /* 0 = strlen(body) */
    size_t cut_after;        /* > 0: the connection breaks after so many body bytes */
    size_t chunk;            /* body is delivered in pieces of this size; 0 = whole */
    bool request_not_sent;
    bool held;        /* nothing comes; with cut_after: headers and so many bytes, then nothing */
    uint64_t wait_ns; /* what the response tells */
};

struct http_fake_request {
    enum http_method method;
    char *url;
    char *headers; /* "Name: value\n..." */
    char *body;
    size_t body_len;
};

struct http_fake; /* its first member is the struct http_transport */

int http_fake_new(struct clock_fake *clock, struct http_fake **ret);
struct http_transport *http_fake_transport(struct http_fake *f);
int http_fake_push(struct http_fake *f, const struct http_fake_answer *answer);
/* Borrowed, NULL when fewer requests were made. */
const struct http_fake_request *http_fake_request_at(const struct http_fake *f, size_t index);
size_t http_fake_request_count(const struct http_fake *f);
size_t http_fake_unexpected(const struct http_fake *f);
size_t http_fake_unused_answers(const struct http_fake *f);
/* Of the held exchange of request `index`: its owner hears of silence. */
void http_fake_quiet(struct http_fake *f, size_t index, bool answering);
/* Ends it: cancelled if it was, else with that answer (borrowed; not one that is held). NULL: the
 * rest of the one that was held in its middle. */
void http_fake_end(struct http_fake *f, size_t index, const struct http_fake_answer *answer);
struct http_request http_fake_held_request(const struct http_fake *f, size_t index);
bool http_fake_is_cancelled(const struct http_fake *f, size_t index);
/* Value of a request header, or NULL. */
const char *http_fake_request_header(const struct http_fake_request *r, const char *name, char *buf,
                                     size_t size);

#endif
