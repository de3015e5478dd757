/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of any bytes: what is accepted keeps every promise of struct http_response, and does not
 * depend on where the body was cut into pieces. The same bytes as a URL. */
#include <string.h>

#include "base/limits.h"
#include "fuzz.h"
#include "http/http_answer.h"

const char *const fuzz_seeds[] = {
    "",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\nhello",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n"
    "Content-Range: bytes 0-2/9\r\n\r\nabc",
    "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n<Error/>",
    "HTTP/1.1 204 No Content\r\nx-amz-meta-a: b\r\n\r\n",
    "HTTP/1.0 304\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA:\r\nB: \t c d \t\r\n\r\nuntil close",
    "http://[::1]:9000/a/b/",
    "https://bucket.s3.eu-central-1.amazonaws.com:443/prefix",
    NULL,
};

struct collected {
    struct strbuf body;
    int begins;
};

static int begin(void *ctx, const struct http_response *resp)
{
    ((struct collected *)ctx)->begins++;
    FUZZ_CHECK(resp->status >= 200 && resp->status < 300);
    return 0;
}

static int collect(void *ctx, const void *data, size_t len)
{
    return strbuf_append(&((struct collected *)ctx)->body, data, len);
}

static void check_response(const struct http_answer *a, const struct collected *c, bool sink)
{
    const struct http_response *r = &a->resp;

    FUZZ_CHECK((r->status == 0) == (r->kind != S3_ERROR_NONE));
    FUZZ_CHECK(strlen(r->message) < sizeof(r->message));
    FUZZ_CHECK((r->kind == S3_ERROR_NONE) == (r->message[0] == '\0'));
    FUZZ_CHECK(r->n_headers <= LIMIT_HEADERS);
    for (size_t i = 0; i < r->n_headers; i++) {
        FUZZ_CHECK(r->headers[i].name[0] && !strpbrk(r->headers[i].name, "\n:"));
        FUZZ_CHECK(!strchr(r->headers[i].value, '\n'));
    }
    FUZZ_CHECK(c->begins <= 1 && (sink || c->begins == 0));
    if (r->kind != S3_ERROR_NONE)
        return;
    FUZZ_CHECK(r->status >= 200 && r->status < 600);
    bool to_sink = sink && r->status < 300;
    FUZZ_CHECK((to_sink ? c->body.len : r->body.len) == r->received || a->body_cut);
    FUZZ_CHECK(to_sink ? r->body.len == 0 : c->body.len == 0);
    if (r->content_length != HTTP_LENGTH_UNKNOWN && r->status != 204 && r->status != 304 &&
        a->req->method != HTTP_HEAD)
        FUZZ_CHECK(r->received == r->content_length || a->body_cut);
}

static void run(const struct http_request *req, const char *text, size_t size, size_t piece,
                struct http_answer *a)
{
    size_t at = 0;
    int r = 0;

    http_answer_init(a, req);
    while (r == 0 && at < size && !a->headers_done) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t len = end ? (size_t)(end - text - at) + 1 : size - at;
        r = http_answer_line(a, text + at, len);
        at += len;
    }
    while (r == 0 && at < size) {
        size_t len = size - at < piece ? size - at : piece;
        r = http_answer_data(a, text + at, len);
        at += len;
    }
    http_answer_end(a);
}

static void check_url(const char *text, size_t size)
{
    char url[512], where[HTTP_WHERE_MAX];
    struct http_url u;

    if (size >= sizeof(url) || memchr(text, '\0', size))
        return;
    memcpy(url, text, size);
    url[size] = '\0';
    FUZZ_CHECK(strlen(http_url_where(url, where, sizeof(where))) > 0);
    if (http_url_parse(url, &u) < 0)
        return;
    size_t len = strlen(u.path);
    FUZZ_CHECK(u.host[0] && u.port > 0 && !strpbrk(u.host, "/@?#[] "));
    FUZZ_CHECK(len == 0 || (u.path[0] == '/' && u.path[len - 1] != '/'));
    FUZZ_CHECK(strcmp(u.scheme, "http") == 0 || strcmp(u.scheme, "https") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum http_method methods[] = {HTTP_GET, HTTP_HEAD, HTTP_PUT};
    const char *text = (const char *)data;

    check_url(text, size);
    for (size_t m = 0; m < 3; m++)
        for (int with_sink = 0; with_sink < 2; with_sink++) {
            struct collected c[2] = {{.body = STRBUF_INIT(1 << 20)},
                                     {.body = STRBUF_INIT(1 << 20)}};
            struct http_answer a[2];
            for (int i = 0; i < 2; i++) {
                const struct http_sink sink = {.begin = begin, .write = collect, .ctx = &c[i]};
                const struct http_request req = {
                    .method = methods[m], .url = "http://h/", .sink = with_sink ? &sink : NULL};
                run(&req, text, size, i == 0 ? size + 1 : 3, &a[i]);
                check_response(&a[i], &c[i], with_sink);
            }
            FUZZ_CHECK(a[0].resp.status == a[1].resp.status);
            FUZZ_CHECK(a[0].resp.kind == a[1].resp.kind);
            FUZZ_CHECK(a[0].resp.n_headers == a[1].resp.n_headers);
            if (a[0].resp.kind == S3_ERROR_NONE) {
                FUZZ_CHECK(a[0].resp.body.len == a[1].resp.body.len);
                FUZZ_CHECK(c[0].body.len == c[1].body.len);
            }
            for (int i = 0; i < 2; i++) {
                http_response_done(&a[i].resp);
                strbuf_done(&c[i].body);
            }
        }
    return 0;
}
