/* SPDX-License-Identifier: Apache-2.0 */
/* One request from its first line to its answer.
 *
 * Life: server.c makes it when the request line arrived, request_parse takes it apart, route.c
 * finds the operation, auth.c checks the signature, body.c takes the body, the operation's
 * function fills the reply, server.c sends it. One thread at a time uses it. */
#ifndef S3D_REQUEST_H
#define S3D_REQUEST_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth.h"
#include "base/attr.h"
#include "base/strbuf.h"
#include "body.h"
#include "errors.h"
#include "faults.h"
#include "s3d.h"

#define REQUEST_PARAMS_MAX 64
#define REPLY_HEADERS_MAX  128
#define REPLY_BODY_MAX     (64u << 20)

struct route;

struct param {
    char *name; /* decoded, NUL-terminated; may hold NULs: see len */
    char *value;
    size_t name_len, value_len;
};

struct connection {
    uint64_t number;
    int fd;
    uint64_t due_ns; /* --rate: when the bytes so far may have passed, monotonic */
};

struct reply_header {
    char *name;
    char *value;
};

struct reply {
    int status; /* 0: not decided yet */
    enum s3d_error error;
    struct strbuf body; /* XML or text */
    bool is_xml;
    struct reply_header headers[REPLY_HEADERS_MAX];
    unsigned n_headers;
    struct version *data; /* body is [offset, offset + length) of it; reference owned */
    uint64_t offset, length;
};

struct request {
    struct s3d *s;
    struct MHD_Connection *mhd;
    struct connection *conn;
    uint64_t start_ns; /* monotonic */
    int64_t now_ns;    /* server's wall clock at the start */
    char id[20];

    char *uri; /* raw: path?query; cut up in place */
    const char *method;
    bool head;
    char *path; /* raw, without query */
    struct param params[REQUEST_PARAMS_MAX];
    unsigned n_params;
    char *decoded_path; /* path with escapes resolved; bucket and key point into it */
    size_t decoded_len;
    char host[256];       /* without port */
    char host_region[32]; /* named by the host, or "" */
    char bucket_name[256];
    const char *key; /* NULL: none */
    size_t key_len;
    bool virtual_host;

    const struct route *route;
    struct bucket *bucket; /* NULL: the operation has none */
    struct auth auth;
    struct body body;
    struct fault fault;
    struct reply reply;

    uint64_t content_length;
    bool has_length, chunked, expects_continue;
    bool begun, answered, control;
    uint64_t raw_in; /* bytes of body that arrived */
};

/* Takes uri, host and query apart. Failures are left in the reply. */
void request_parse(struct request *r);
void request_free(struct request *r);

/* First header of that name, NULL when there is none. Borrowed. */
const char *request_header(const struct request *r, const char *name);
const struct param *request_param(const struct request *r, const char *name);
/* Value or NULL. */
const char *request_param_value(const struct request *r, const char *name);
/* A decimal query parameter: fallback when absent; InvalidArgument (and false) when broken. */
bool request_param_number(struct request *r, const char *name, uint64_t fallback, uint64_t *ret);
/* An ETag of a condition without quotes and W/, into buf. */
const char *etag_strip(const char *s, char *buf, size_t size);

/* Reply. The last status wins; headers add up. */
void reply_status(struct request *r, int status);
void reply_header(struct request *r, const char *name, const char *value);
void reply_headerf(struct request *r, const char *name, const char *fmt, ...) ATTR_PRINTF(3, 4);
void reply_etag(struct request *r, const char *etag);
/* Starts an XML body with status 200; the returned buffer is the body. */
struct strbuf *reply_xml(struct request *r, const char *root);
/* An error answer; extra XML elements and message may be NULL. */
void reply_error(struct request *r, enum s3d_error e);
void reply_error_message(struct request *r, enum s3d_error e, const char *fmt, ...)
    ATTR_PRINTF(3, 4);
void reply_error_extra(struct request *r, enum s3d_error e, const char *message, const char *extra);
/* A status and code that is no row of errors.h (fault injection). */
void reply_error_raw(struct request *r, int status, const char *code, const char *message);
/* InternalError with the reason in the server's log. */
void reply_failure(struct request *r, int err, const char *what);
/* Body, headers and data of an earlier reply go away. */
void reply_clear(struct request *r);

#endif
