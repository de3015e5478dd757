/* SPDX-License-Identifier: Apache-2.0 */
/* What libcurl is told about one exchange: headers, addresses, options. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http_curl_priv.h"

/* libcurl sends a body up to this size in one packet with the headers, out of the caller's memory.
 * Larger ones go through on_read, where sending can stop when the server has refused. */
#define INLINE_BODY_MAX (64 * KIB)
#define UPLOAD_BUFFER   (256 * KIB)
/* A recv per wake-up takes so much at most; fewer, larger ones cost less CPU per byte. */
#define RECEIVE_BUFFER_SINK (256 * KIB)
#define RECEIVE_BUFFER_BODY (64 * KIB)
#define RECEIVE_BUFFER_NONE (16 * KIB)
/* A connection lives no longer, so that changed addresses of the endpoint are noticed. */
#define MAX_LIFETIME_S 300L
/* Headers */

/* Not to be sent, although libcurl would: a header without a value takes it out. */
static const char *const unwanted[] = {"Expect:", "Accept:"};

static bool has_header(const struct http_request *req, const char *name)
{
    for (size_t i = 0; i < req->n_headers; i++)
        if (strcasecmp(req->headers[i].name, name) == 0)
            return true;
    return false;
}

static bool plain_text(const char *s)
{
    for (; *s; s++)
        if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
            return false;
    return true;
}

struct list_builder {
    struct curl_slist *nodes;
    size_t n;
    char *text;
};

static void list_add(struct list_builder *b, const char *name, const char *between,
                     const char *value)
{
    struct curl_slist *node = &b->nodes[b->n];

    node->data = b->text;
    node->next = NULL;
    if (b->n > 0)
        b->nodes[b->n - 1].next = node;
    b->n++;
    b->text = stpcpy(stpcpy(stpcpy(b->text, name), between), value) + 1;
}

/* libcurl only reads the list, so nodes and strings can share one block. */
int http_call_build_headers(struct http_call *c)
{
    const struct http_request *req = &c->req;
    bool own_type = has_header(req, "Content-Type");
    bool own_agent = has_header(req, "User-Agent");
    size_t nodes = req->n_headers + ARRAY_SIZE(unwanted) + 2;
    size_t size = nodes * sizeof(struct curl_slist);

    for (size_t i = 0; i < req->n_headers; i++) {
        const struct http_header *h = &req->headers[i];
        if (!h->name[0] || strchr(h->name, ':') || !plain_text(h->name) || !plain_text(h->value))
            return -EINVAL;
        size += strlen(h->name) + strlen(h->value) + sizeof(": ");
    }
    for (size_t i = 0; i < ARRAY_SIZE(unwanted); i++)
        size += strlen(unwanted[i]) + 1;
    size += sizeof("Content-Type:") + strlen(c->t->user_agent) + 1;

    char *block = malloc(size);
    if (!block)
        return -ENOMEM;
    struct list_builder b = {.nodes = (struct curl_slist *)(void *)block,
                             .text = block + nodes * sizeof(struct curl_slist)};
    for (size_t i = 0; i < req->n_headers; i++) {
        const struct http_header *h = &req->headers[i];
        /* "Name;" is libcurl's way to say: this header, with an empty value. */
        list_add(&b, h->name, h->value[0] ? ": " : ";", h->value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(unwanted); i++)
        list_add(&b, unwanted[i], "", "");
    if (!own_type)
        list_add(&b, "Content-Type:", "", "");
    if (!own_agent)
        list_add(&b, c->t->user_agent, "", "");
    c->headers = b.nodes;
    return 0;
}

/* Addresses */

static bool is_literal(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, address) == 1 || strchr(host, ':');
}

/* "+host:port:list": put into libcurl's cache for as long as any other entry. */
static struct curl_slist *resolve_list(const struct http_url *u, const char *list)
{
    struct curl_slist *node;
    size_t size = strlen(u->host) + strlen(list) + sizeof("+:65535:");

    node = malloc(sizeof(*node) + size);
    if (!node)
        return NULL;
    node->data = (char *)(node + 1);
    node->next = NULL;
    snprintf(node->data, size, "+%s:%u:%s", u->host, (unsigned)u->port, list);
    return node;
}

enum http_resolution http_call_resolve(struct http_call *c)
{
    struct http_loop *l = c->loop;
    char list[HTTP_RESOLVE_BUF], where[HTTP_WHERE_MAX];
    struct http_url u;

    /* More connections than calls: one of them is idle and will be used. */
    if (!c->t->resolver || (!c->parked && l->n_connected > l->n_active) ||
        http_url_origin(c->req.url, &u) < 0 || is_literal(u.host))
        return HTTP_RESOLVE_UNABLE;
    enum http_resolution r =
        http_resolver_get(c->t->resolver, u.host, c->started_ns, list, sizeof(list));
    if (r == HTTP_RESOLVED)
        c->addresses = resolve_list(&u, list);
    else if (r == HTTP_RESOLVE_FAILED)
        http_answer_fail(&c->answer, S3_ERROR_CONNECT, "could not resolve the host name of %s: %s",
                         http_url_where(c->req.url, where, sizeof(where)), list);
    return r;
}

void http_call_forget_addresses(const struct http_call *c)
{
    struct http_url u;

    if (c->t->resolver && http_url_origin(c->req.url, &u) == 0)
        http_resolver_forget(c->t->resolver, u.host);
}

/* Options */

static CURLcode set_connection(struct http_call *c, CURL *easy)
{
    const struct http_curl *t = c->t;
    CURLcode rc = CURLE_OK;

    HTTP_SET(NOSIGNAL, 1L);
    HTTP_SET(PROTOCOLS_STR, "http,https");
    HTTP_SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    HTTP_SET(DISALLOW_USERNAME_IN_URL, 1L);
    HTTP_SET(PATH_AS_IS, 1L);
    HTTP_SET(HTTP_CONTENT_DECODING, 0L);
    /* Without this, ending a call whose host name is still being resolved joins the resolver's
     * thread, and a silent name server then stops every exchange of this loop. */
    HTTP_SET(QUICK_EXIT, 1L);
    if (c->addresses)
        HTTP_SET(RESOLVE, c->addresses);
    else
        HTTP_SET(DNS_SHUFFLE_ADDRESSES, 1L); /* for the names that it looks up itself */
    HTTP_SET(TCP_NODELAY, 1L);
    HTTP_SET(FRESH_CONNECT, c->req.fresh ? 1L : 0L);
    HTTP_SET(TCP_KEEPALIVE, 1L);
    HTTP_SET(MAXAGE_CONN, t->max_idle_s);
    HTTP_SET(MAXLIFETIME_CONN, MAX_LIFETIME_S);
    if (c->req.deadlines.connect_ms)
        /* libcurl divides it among the addresses of the host; our own timer comes on top. */
        HTTP_SET(CONNECTTIMEOUT_MS, (long)c->req.deadlines.connect_ms);
    if (c->req.direct)
        HTTP_SET(PROXY, "");
    HTTP_SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (t->ca_bundle)
        HTTP_SET(CAINFO, t->ca_bundle);
    if (t->insecure) {
        HTTP_SET(SSL_VERIFYPEER, 0L);
        HTTP_SET(SSL_VERIFYHOST, 0L);
    }
    return rc;
}

static CURLcode set_body(struct http_call *c, CURL *easy)
{
    CURLcode rc = CURLE_OK;
    bool empty = c->body_len == 0;

    HTTP_SET(CUSTOMREQUEST, http_method_name(c->req.method));
    if (empty || (c->req.n_body == 1 && c->body_len <= INLINE_BODY_MAX)) {
        HTTP_SET(POSTFIELDSIZE_LARGE, (curl_off_t)c->body_len);
        HTTP_SET(POSTFIELDS, empty ? "" : (const char *)c->req.body[0].iov_base);
        return rc;
    }
    HTTP_SET(UPLOAD, 1L);
    HTTP_SET(INFILESIZE_LARGE, (curl_off_t)c->body_len);
    HTTP_SET(UPLOAD_BUFFERSIZE,
             (long)MIN((uint64_t)UPLOAD_BUFFER, MAX(c->body_len, INLINE_BODY_MAX)));
    return rc;
}

static CURLcode set_method(struct http_call *c, CURL *easy)
{
    CURLcode rc = CURLE_OK;
    long buffer = RECEIVE_BUFFER_NONE;

    switch (c->req.method) {
    case HTTP_HEAD:
        HTTP_SET(NOBODY, 1L);
        break;
    case HTTP_PUT:
    case HTTP_POST:
        rc = set_body(c, easy);
        break;
    case HTTP_DELETE:
    case HTTP_GET:
    case HTTP_METHOD_MAX:
    default:
        if (c->body_len > 0)
            rc = set_body(c, easy);
        else if (c->req.method == HTTP_DELETE)
            HTTP_SET(CUSTOMREQUEST, "DELETE");
        break;
    }
    if (c->req.method == HTTP_GET)
        buffer = c->req.sink ? RECEIVE_BUFFER_SINK : RECEIVE_BUFFER_BODY;
    /* A wish: libcurl refuses it for a handle that still has a buffer. */
    (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, buffer);
    return rc;
}

CURLcode http_call_setup(struct http_call *c, CURL *easy)
{
    CURLcode rc = set_connection(c, easy);

    HTTP_SET(URL, c->req.url);
    if (rc == CURLE_OK)
        rc = set_method(c, easy);
    HTTP_SET(HTTPHEADER, c->headers);
    if (rc == CURLE_OK)
        rc = http_call_set_callbacks(c, easy);
    HTTP_SET(ERRORBUFFER, c->curl_error);
    HTTP_SET(PRIVATE, (char *)c);
    return rc;
}
