/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_answer.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/parse.h"

/* Strings, their NULs, and the arrays that grew before the last one. */
#define ARENA_MAX     (2 * LIMIT_HEADER_BYTES + 4 * LIMIT_HEADERS * sizeof(struct http_header))
#define HEADERS_FIRST 16u

void http_answer_init(struct http_answer *a, const struct http_request *req)
{
    *a = (struct http_answer){.req = req};
    arena_init(&a->resp.arena, ARENA_MAX);
    strbuf_init(&a->resp.body, LIMIT_ERROR_BODY);
    a->resp.content_length = HTTP_LENGTH_UNKNOWN;
}

void http_answer_fail(struct http_answer *a, enum s3_error_kind kind, const char *fmt, ...)
{
    va_list ap;

    a->resp.status = 0;
    if (a->resp.kind != S3_ERROR_NONE)
        return;
    a->resp.kind = kind;
    va_start(ap, fmt);
    vsnprintf(a->resp.message, sizeof(a->resp.message), fmt, ap);
    va_end(ap);
}

/* Always -1, to return it. */
static int bad(struct http_answer *a, const char *what)
{
    char where[HTTP_WHERE_MAX];

    http_answer_fail(a, S3_ERROR_BAD_RESPONSE, "bad answer from %s: %s",
                     http_url_where(a->req->url, where, sizeof(where)), what);
    return -1;
}

static int out_of_memory(struct http_answer *a)
{
    http_answer_fail(a, S3_ERROR_OUT_OF_MEMORY, "out of memory while reading an answer");
    return -1;
}

/* "HTTP/1.1 200 OK" begins a new block: what a 1xx block said is dropped. */
static int status_line(struct http_answer *a, const char *line, size_t len)
{
    const char *sp = memchr(line, ' ', len);
    const char *end = line + len;

    if (!sp || end - sp < 4 || !isdigit((unsigned char)sp[1]) || !isdigit((unsigned char)sp[2]) ||
        !isdigit((unsigned char)sp[3]) || (end - sp > 4 && sp[4] != ' '))
        return bad(a, "no valid status line");
    a->resp.status = (sp[1] - '0') * 100 + (sp[2] - '0') * 10 + (sp[3] - '0');
    a->resp.n_headers = 0;
    a->resp.content_length = HTTP_LENGTH_UNKNOWN;
    a->chunked = false;
    if (a->resp.status < 100 || a->resp.status > 599 || a->resp.status == 101)
        return bad(a, "no valid status");
    return 0;
}

static struct http_header *next_header(struct http_answer *a)
{
    struct http_response *r = &a->resp;

    if (r->n_headers == a->headers_alloc) {
        size_t want = a->headers_alloc ? a->headers_alloc * 2 : HEADERS_FIRST;
        struct http_header *grown = arena_alloc(&r->arena, want * sizeof(*grown));
        if (!grown)
            return NULL;
        if (r->n_headers)
            memcpy(grown, r->headers, r->n_headers * sizeof(*grown));
        r->headers = grown;
        a->headers_alloc = want;
    }
    return &r->headers[r->n_headers];
}

/* Framing that two readers could understand differently is refused. */
static int note_framing(struct http_answer *a, const struct http_header *h)
{
    if (strcasecmp(h->name, "Content-Length") == 0) {
        uint64_t length;
        if (strspn(h->value, "0123456789") != strlen(h->value) ||
            parse_u64(h->value, &length) < 0 || length > INT64_MAX)
            return bad(a, "no valid Content-Length");
        if (a->resp.content_length != HTTP_LENGTH_UNKNOWN && a->resp.content_length != length)
            return bad(a, "two different Content-Lengths");
        a->resp.content_length = length;
    } else if (strcasecmp(h->name, "Transfer-Encoding") == 0) {
        if (strcasecmp(h->value, "chunked") != 0 && strcasecmp(h->value, "identity") != 0)
            return bad(a, "a Transfer-Encoding that was not asked for");
        a->chunked = a->chunked || strcasecmp(h->value, "chunked") == 0;
    }
    return 0;
}

static int header_line(struct http_answer *a, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    const char *end = line + len;

    if (!colon || colon == line || isspace((unsigned char)line[0]) ||
        isspace((unsigned char)colon[-1]))
        return bad(a, "a header line without a name");
    if (a->resp.n_headers >= LIMIT_HEADERS)
        return bad(a, "too many headers");

    const char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;

    struct http_header *h = next_header(a);
    if (!h)
        return out_of_memory(a);
    h->name = arena_strndup(&a->resp.arena, line, (size_t)(colon - line));
    h->value = arena_strndup(&a->resp.arena, value, (size_t)(end - value));
    if (!h->name || !h->value)
        return out_of_memory(a);
    a->resp.n_headers++;
    return note_framing(a, h);
}

int http_answer_line(struct http_answer *a, const char *line, size_t len)
{
    if (a->resp.kind != S3_ERROR_NONE)
        return -1;
    if (len > LIMIT_HEADER_LINE)
        return bad(a, "a header line is too long");
    a->header_bytes += len;
    if (a->header_bytes > LIMIT_HEADER_BYTES)
        return bad(a, "the headers are too long");
    if (a->headers_done)
        return 0; /* trailers of a chunked body: nobody asks for them */
    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (memchr(line, '\0', len))
        return bad(a, "a NUL byte in a header");

    if (a->resp.status == 0)
        return status_line(a, line, len);
    if (len > 0)
        return header_line(a, line, len);
    if (a->resp.status < 200) {
        a->resp.status = 0; /* an interim answer: the real one follows */
        return 0;
    }
    if (a->chunked)
        a->resp.content_length = HTTP_LENGTH_UNKNOWN;
    a->headers_done = true;
    return 0;
}

static bool status_ok(const struct http_answer *a)
{
    return a->resp.status >= 200 && a->resp.status < 300;
}

static bool without_body(const struct http_answer *a)
{
    return a->req->method == HTTP_HEAD || a->resp.status == 204 || a->resp.status == 304;
}

static int to_sink(struct http_answer *a, const void *data, size_t len)
{
    const struct http_sink *sink = a->req->sink;
    int r = 0;

    if (!a->began) {
        a->began = true;
        if (!a->chunked && a->resp.content_length == HTTP_LENGTH_UNKNOWN)
            return bad(a, "neither Content-Length nor chunked, so a cut could not be seen");
        if (sink->begin)
            r = sink->begin(sink->ctx, &a->resp);
    }
    if (r == 0)
        r = sink->write(sink->ctx, data, len);
    if (r == 0)
        return 0;
    a->resp.sink_error = r;
    return bad(a, "the receiver refused it");
}

static int to_body(struct http_answer *a, const void *data, size_t len)
{
    struct strbuf *body = &a->resp.body;
    bool ok = status_ok(a);

    if (!a->began) {
        a->began = true;
        if (ok)
            body->max = a->req->body_max ? a->req->body_max : LIMIT_XML_BODY;
        /* One allocation where the length is told and believable. */
        if (a->resp.content_length <= body->max &&
            strbuf_reserve(body, (size_t)a->resp.content_length) < 0)
            return out_of_memory(a);
    }
    if (!ok && len > body->max - body->len) {
        len = body->max - body->len;
        a->body_cut = true;
    }
    switch (strbuf_append(body, data, len)) {
    case 0:
        return a->body_cut ? -1 : 0;
    case -E2BIG:
        return bad(a, "the body is too long");
    default:
        return out_of_memory(a);
    }
}

int http_answer_data(struct http_answer *a, const void *data, size_t len)
{
    if (a->resp.kind != S3_ERROR_NONE || a->body_cut)
        return -1;
    if (!a->headers_done)
        return bad(a, "a body before the headers");
    if (without_body(a))
        return bad(a, "a body where none is allowed");
    if (len == 0)
        return 0;
    a->resp.received += len;
    if (a->resp.content_length != HTTP_LENGTH_UNKNOWN && a->resp.received > a->resp.content_length)
        return bad(a, "more bytes than Content-Length");
    return status_ok(a) && a->req->sink ? to_sink(a, data, len) : to_body(a, data, len);
}

void http_answer_end(struct http_answer *a)
{
    char where[HTTP_WHERE_MAX];

    if (a->resp.kind != S3_ERROR_NONE)
        return;
    if (!a->headers_done) {
        bad(a, "it ended within the headers");
        return;
    }
    if (without_body(a) || a->body_cut || a->transport_cut ||
        a->resp.content_length == HTTP_LENGTH_UNKNOWN || a->resp.received == a->resp.content_length)
        return;
    http_answer_fail(a, S3_ERROR_BAD_RESPONSE,
                     "the answer from %s ended after %" PRIu64 " of %" PRIu64 " bytes",
                     http_url_where(a->req->url, where, sizeof(where)), a->resp.received,
                     a->resp.content_length);
}

bool http_answer_refused(const struct http_answer *a)
{
    return a->headers_done && a->resp.status >= 300;
}
