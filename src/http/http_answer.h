/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a struct http_response out of header lines and body bytes as they arrive from a transport,
 * and is the one place that judges them: caps, framing, who gets the body. Internal to this layer.
 *
 * Life:    http_answer_init -> http_answer_line... -> http_answer_data... -> http_answer_end, then
 *          the response is in ->resp, owned by whoever owns the struct.
 * Errors:  the first one is kept in resp.kind and resp.message and sets resp.status to 0; the
 *          functions return -1 when the transport has to stop. Not thread-safe. */
#ifndef PAILFS_HTTP_HTTP_ANSWER_H
#define PAILFS_HTTP_HTTP_ANSWER_H

#include "base/attr.h"
#include "http/http.h"

struct http_answer {
    struct http_response resp;
    const struct http_request *req; /* borrowed */
    size_t headers_alloc;
    size_t header_bytes; /* of all header blocks, 1xx included */
    bool headers_done;   /* of the final answer, not of a 1xx */
    bool chunked;
    bool began;         /* the sink has seen its first byte */
    bool body_cut;      /* an error body reached its cap: the rest is not wanted */
    bool transport_cut; /* the transport gave up on the rest of an error body */
};

void http_answer_init(struct http_answer *a, const struct http_request *req);
/* One line as received, with or without CR LF: a status line, a header, or the empty line. */
int http_answer_line(struct http_answer *a, const char *line, size_t len);
int http_answer_data(struct http_answer *a, const void *data, size_t len);
/* The transport saw the end of the message without an error. */
void http_answer_end(struct http_answer *a);
/* Keeps the first failure. fmt: a sentence that names the server by http_url_where. */
void http_answer_fail(struct http_answer *a, enum s3_error_kind kind, const char *fmt, ...)
    ATTR_PRINTF(3, 4);
/* An error answer has begun, so the rest of the request is of no interest to the server. */
bool http_answer_refused(const struct http_answer *a);

/* Scheme, host and port of any URL with or without path and query; ->path stays empty. 0 or
 * -EINVAL. */
int http_url_origin(const char *url, struct http_url *ret);
/* "host:port" of any URL, for messages; never its path, query or user info. Returns buf. */
const char *http_url_where(const char *url, char *buf, size_t size);
#define HTTP_WHERE_MAX 272

#endif
