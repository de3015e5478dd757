/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/1.1 exchange, and the transport that carries it out. No S3 words here.
 *
 * Life:    the caller fills a struct http_request, submits it, and gets exactly one http_done_fn
 *          call per accepted submit. Everything the request points to (URL, headers, body, sink)
 *          is borrowed until that call has begun.
 * Threads: http_submit and http_cancel from any thread. Sink and done callbacks run on one of the
 *          transport's I/O threads (a fake transport may run them inside http_submit): they must
 *          not block, and must not be called with a lock held that they take themselves.
 * Errors:  a transport failure is a response with status 0 and a kind; an HTTP error status is a
 *          success at this level. */
#ifndef PAILFS_HTTP_HTTP_H
#define PAILFS_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/strbuf.h"

struct http_response;

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_DELETE, HTTP_METHOD_MAX };

const char *http_method_name(enum http_method m);

struct http_header {
    const char *name; /* compared without case */
    const char *value;
};

#define HTTP_UNWANTED_MS 1000u

/* Takes the body of a 2xx answer as it arrives. The body has a known end (Content-Length or
 * chunked): one that only the closing of the connection would end is refused, because a cut cannot
 * be told from its end. A non-zero return (-errno) ends the exchange with S3_ERROR_BAD_RESPONSE
 * and sink_error. */
struct http_sink {
    /* Called once before the first write with the answer's status and headers (not for an empty
     * body); may be NULL. */
    int (*begin)(void *ctx, const struct http_response *resp);
    /* 0 or -errno. data is borrowed for the call. */
    int (*write)(void *ctx, const void *data, size_t len);
    void *ctx;
    /* Asked every HTTP_UNWANTED_MS in which no byte goes either way: true ends the exchange with
     * S3_ERROR_CANCELLED. May be NULL. */
    bool (*unwanted)(void *ctx);
};

/* Milliseconds; 0 = none. All measured on the monotonic clock. */
struct http_deadlines {
    uint32_t connect_ms;    /* name resolution, TCP and TLS */
    uint32_t first_byte_ms; /* from the last byte of the request (acknowledged by the peer's TCP)
                               to the first of the answer; when 0, stall_ms covers this wait */
    uint32_t stall_ms;      /* no byte in either direction for so long */
    uint32_t total_ms;      /* the whole exchange from http_submit on, waiting for a free
                               connection included */
};

struct http_request {
    enum http_method method;
    const char *url;                   /* complete, percent-encoded; http:// or https:// */
    const struct http_header *headers; /* no Content-Length, no Expect: the transport sets them */
    size_t n_headers;
    const struct iovec *body; /* NULL = no body; PUT and POST then send Content-Length: 0 */
    int n_body;
    const struct http_sink *sink; /* NULL = a 2xx body goes to http_response.body, capped */
    size_t body_max;              /* cap for http_response.body; 0 = LIMIT_XML_BODY */
    bool direct;                  /* no proxy, whatever the environment says (instance metadata) */
    struct http_deadlines deadlines;
    unsigned stat;   /* index for http_stats, the caller's numbering (S3: the operation) */
    bool repeatable; /* the server may carry it out twice, at the same time; see http_hedge.h */
    bool fresh;      /* over a connection that has carried nothing else */
    bool first;      /* goes ahead of those that wait for a free connection */
    /* Called on the I/O thread, with the ctx of done, for every quiet_ms of a running exchange in
     * which no byte went either way; answering: the answer has begun. 0 or NULL = never. */
    uint32_t quiet_ms;
    void (*quiet)(void *ctx, bool answering);
};

struct http_response {
    int status;              /* 0: no complete answer, see kind */
    enum s3_error_kind kind; /* NONE, CONNECT, TLS, TIMEOUT, CANCELLED, BAD_RESPONSE, OUT_OF_MEMORY,
                                INVALID (the URL or a header cannot be sent) */
    char message[256];       /* for kind != NONE: one sentence, names host and port */
    struct http_header *headers; /* owned by arena; names as sent by the server */
    size_t n_headers;
    struct arena arena;
    struct strbuf body;      /* answer body when there was no sink, or the status was not 2xx
                                (then cut at LIMIT_ERROR_BODY) */
    uint64_t content_length; /* as told, also for HEAD; HTTP_LENGTH_UNKNOWN when not told */
    uint64_t received;       /* body bytes that arrived */
    uint64_t first_byte_ns;  /* from submit to the first byte of the answer */
    uint64_t wait_ns;        /* from the request's last byte to the first of the answer */
    uint64_t total_ns;       /* from submit to the end */
    int sink_error;          /* -errno that the sink returned, else 0 */
    bool reused_connection;
    bool request_sent; /* false: the server cannot have acted on it */
    bool resent;       /* a kept-alive connection died before it answered, and the request was
                          repeated on a new one: the server may have acted twice, so a 412 or
                          404 may be the echo of the first */
    bool repeated;     /* sent more than once at the same time (http_hedge.h): the server may carry
                          out the others yet, whatever this answer says */
    bool broken_off;   /* its body stood still and was given up early: the rest is worth asking for
                          at once (kind TIMEOUT) */
};

#define HTTP_LENGTH_UNKNOWN UINT64_MAX

/* First header of that name, or NULL. Borrowed from the response. */
const char *http_response_header(const struct http_response *resp, const char *name);
void http_response_done(struct http_response *resp);

/* resp is borrowed for the call; fields may be moved out (body, arena) by zeroing them. */
typedef void (*http_done_fn)(void *ctx, struct http_response *resp);

struct http_call; /* one exchange under way; valid until its done callback returns */
struct http_transport;

struct http_transport_ops {
    int (*submit)(struct http_transport *t, const struct http_request *req, http_done_fn done,
                  void *ctx, struct http_call **ret_call);
    void (*cancel)(struct http_transport *t, struct http_call *call);
    int (*timer)(struct http_transport *t, uint32_t delay_ms, void (*fn)(void *ctx), void *ctx);
    void (*free)(struct http_transport *t);
};

/* Embedded first in an implementation. */
struct http_transport {
    const struct http_transport_ops *ops;
};

/* 0, or -ENOMEM / -ESHUTDOWN (then done is not called). ret_call may be NULL. Redirects are never
 * followed. A message shorter than Content-Length is S3_ERROR_BAD_RESPONSE, never a success. */
int http_submit(struct http_transport *t, const struct http_request *req, http_done_fn done,
                void *ctx, struct http_call **ret_call);
/* Ends the exchange with S3_ERROR_CANCELLED soon; done still runs once. The caller guarantees that
 * done has not returned yet (it holds its own reference until then). */
void http_cancel(struct http_transport *t, struct http_call *call);
/* Runs fn on an I/O thread after delay_ms (0 = soon). Runs early when the transport is freed.
 * 0 or -ENOMEM / -ESHUTDOWN (then fn does not run). */
int http_timer(struct http_transport *t, uint32_t delay_ms, void (*fn)(void *ctx), void *ctx);
/* Blocking form. Must not be called on an I/O thread. Fills *resp (http_response_done after use).
 */
int http_perform(struct http_transport *t, const struct http_request *req,
                 struct http_response *resp);
/* Cancels what is under way, waits for the callbacks, frees. NULL ok. */
void http_transport_free(struct http_transport *t);

/* Splits "host:port" facts out of a URL for messages and endpoint checks; see http_url.c. */
struct http_url {
    char scheme[6]; /* "http" or "https" */
    char host[256]; /* without brackets for IPv6 literals */
    uint16_t port;  /* explicit, or the scheme's default */
    bool explicit_port;
    char path[1024]; /* "" or begins with '/', no trailing '/' */
};
/* 0 or -EINVAL (foreign scheme, user info, query, fragment, bad port, control characters). */
int http_url_parse(const char *url, struct http_url *ret);

#endif
