/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fail.h"
#include "base/limits.h"
#include "http/http_answer.h"

static const struct http_request plain_get = {.method = HTTP_GET, .url = "http://h/secret?sig=1"};

/* Feeds lines that end in '\n'. */
static int feed(struct http_answer *a, const char *text)
{
    int r = 0;

    while (*text && r == 0) {
        size_t n = strcspn(text, "\n") + 1;
        r = http_answer_line(a, text, n);
        text += n;
    }
    return r;
}

static void expect_bad(const char *text, const char *message_part)
{
    struct http_answer a;

    http_answer_init(&a, &plain_get);
    feed(&a, text);
    http_answer_end(&a);
    assert_int_equal(a.resp.kind, S3_ERROR_BAD_RESPONSE);
    assert_int_equal(a.resp.status, 0);
    if (!strstr(a.resp.message, message_part) || !strstr(a.resp.message, "h:80") ||
        strstr(a.resp.message, "secret"))
        fail_msg("message: %s", a.resp.message);
    http_response_done(&a.resp);
}

static void test_headers(void **state)
{
    struct http_answer a;

    http_answer_init(&a, &plain_get);
    assert_int_equal(feed(&a,
                          "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nX-Empty:\r\nx-two:1\r\nX-TWO: 2\r\n"
                          "Spaces: \t a b \t \r\nContent-Length: 3\r\n\r\n"),
                     0);
    assert_int_equal(a.resp.status, 200);
    assert_int_equal(a.resp.n_headers, 6);
    assert_string_equal(http_response_header(&a.resp, "etag"), "\"x\"");
    assert_string_equal(http_response_header(&a.resp, "x-empty"), "");
    assert_string_equal(http_response_header(&a.resp, "X-Two"), "1");
    assert_string_equal(http_response_header(&a.resp, "spaces"), "a b");
    assert_null(http_response_header(&a.resp, "x-tw"));
    assert_int_equal(a.resp.content_length, 3);
    assert_int_equal(http_answer_data(&a, "abc", 3), 0);
    http_answer_end(&a);
    assert_int_equal(a.resp.kind, S3_ERROR_NONE);
    assert_string_equal(strbuf_str(&a.resp.body), "abc");
    http_response_done(&a.resp);
}

static void test_interim_answers(void **state)
{
    struct http_answer a;

    http_answer_init(&a, &plain_get);
    assert_int_equal(feed(&a,
                          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n"
                          "Content-Length: 99\r\n\r\nHTTP/1.1 204\r\nA: b\r\n\r\n"),
                     0);
    http_answer_end(&a);
    assert_int_equal(a.resp.kind, S3_ERROR_NONE);
    assert_int_equal(a.resp.status, 204);
    assert_int_equal(a.resp.n_headers, 1);
    assert_null(http_response_header(&a.resp, "link"));
    assert_int_equal(a.resp.content_length, HTTP_LENGTH_UNKNOWN);
    http_response_done(&a.resp);

    expect_bad("HTTP/1.1 101 Switching\r\n\r\n", "status");
    expect_bad("HTTP/1.1 100 Continue\r\n\r\n", "within the headers");
}

static void test_bad_heads(void **state)
{
    expect_bad("", "within the headers");
    expect_bad("HTTP/1.1 200 OK\r\nA: b\r\n", "within the headers");
    expect_bad("garbage\r\n", "status line");
    expect_bad("HTTP/1.1\r\n", "status line");
    expect_bad("HTTP/1.1 20\r\n", "status line");
    expect_bad("HTTP/1.1 2000 OK\r\n", "status line");
    expect_bad("HTTP/1.1 abc OK\r\n", "status line");
    expect_bad("HTTP/1.1 099 x\r\n", "status");
    expect_bad("HTTP/1.1 600 x\r\n", "status");
    expect_bad("HTTP/1.1 200 OK\r\nno colon\r\n", "without a name");
    expect_bad("HTTP/1.1 200 OK\r\n: v\r\n", "without a name");
    expect_bad("HTTP/1.1 200 OK\r\nname : v\r\n", "without a name");
    expect_bad("HTTP/1.1 200 OK\r\na: b\r\n folded: c\r\n", "without a name");
    expect_bad("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n", "Content-Length");
    expect_bad("HTTP/1.1 200 OK\r\nContent-Length: \r\n", "Content-Length");
    expect_bad("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n", "Content-Length");
    expect_bad("HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n", "Content-Length");
    expect_bad("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n", "Content-Length");
    expect_bad("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n", "Content-Length");
    expect_bad("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n", "two different");
    expect_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding");
}

static void test_same_length_twice_is_fine(void **state)
{
    struct http_answer a;

    http_answer_init(&a, &plain_get);
    assert_int_equal(feed(&a, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"),
                     0);
    http_answer_end(&a);
    assert_int_equal(a.resp.kind, S3_ERROR_NONE);
    http_response_done(&a.resp);
}

static void test_header_caps(void **state)
{
    struct http_answer a;
    static char line[LIMIT_HEADER_LINE + 8];

    /* count */
    http_answer_init(&a, &plain_get);
    assert_int_equal(feed(&a, "HTTP/1.1 200 OK\r\n"), 0);
    for (unsigned i = 0; i < LIMIT_HEADERS; i++)
        assert_int_equal(feed(&a, "a: b\r\n"), 0);
    assert_int_equal(feed(&a, "a: b\r\n"), -1);
    assert_non_null(strstr(a.resp.message, "too many headers"));
    http_response_done(&a.resp);

    /* one line */
    memset(line, 'x', sizeof(line));
    line[1] = ':';
    http_answer_init(&a, &plain_get);
    assert_int_equal(feed(&a, "HTTP/1.1 200 OK\r\n"), 0);
    assert_int_equal(http_answer_line(&a, line, LIMIT_HEADER_LINE), 0);
    assert_int_equal(http_answer_line(&a, line, LIMIT_HEADER_LINE + 1), -1);
    assert_non_null(strstr(a.resp.message, "line is too long"));
    http_response_done(&a.resp);

    /* all together, interim answers included */
    http_answer_init(&a, &plain_get);
    int r = 0, lines = 0;
    while (r == 0 && lines < 1000000) {
        r = feed(&a, "HTTP/1.1 100 Continue\r\n\r\n");
        lines++;
    }
    assert_int_equal(r, -1);
    assert_true(lines <= (int)LIMIT_HEADER_BYTES / 25 + 1);
    assert_non_null(strstr(a.resp.message, "headers are too long"));
    http_response_done(&a.resp);

    /* a NUL would hide what follows it */
    http_answer_init(&a, &plain_get);
    assert_int_equal(feed(&a, "HTTP/1.1 200 OK\r\n"), 0);
    assert_int_equal(http_answer_line(&a, "a: b\0c\r\n", 8), -1);
    http_response_done(&a.resp);
}

static void test_largest_allowed_head_is_kept(void **state)
{
    struct http_answer a;
    char line[256];

    http_answer_init(&a, &plain_get);
    assert_int_equal(feed(&a, "HTTP/1.1 200 OK\r\n"), 0);
    for (unsigned i = 0; i < LIMIT_HEADERS; i++) {
        int n = snprintf(line, sizeof(line), "x-amz-meta-%03u: %0230u\r\n", i, i);
        assert_int_equal(http_answer_line(&a, line, (size_t)n), 0);
    }
    assert_int_equal(feed(&a, "\r\n"), 0);
    assert_int_equal(a.resp.n_headers, LIMIT_HEADERS);
    for (unsigned i = 0; i < LIMIT_HEADERS; i++) {
        snprintf(line, sizeof(line), "X-Amz-Meta-%03u", i);
        assert_int_equal(strtoul(http_response_header(&a.resp, line), NULL, 10), i);
    }
    http_response_done(&a.resp);
}

static void test_short_and_long_bodies(void **state)
{
    struct http_answer a;

    http_answer_init(&a, &plain_get);
    feed(&a, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert_int_equal(http_answer_data(&a, "abcd", 4), 0);
    http_answer_end(&a);
    assert_int_equal(a.resp.kind, S3_ERROR_BAD_RESPONSE);
    assert_non_null(strstr(a.resp.message, "after 4 of 5 bytes"));
    assert_int_equal(a.resp.status, 0);
    http_response_done(&a.resp);

    http_answer_init(&a, &plain_get);
    feed(&a, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert_int_equal(http_answer_data(&a, "abcdef", 6), -1);
    assert_int_equal(a.resp.kind, S3_ERROR_BAD_RESPONSE);
    http_response_done(&a.resp);

    /* Chunked overrides a length (RFC 9112 6.3). */
    http_answer_init(&a, &plain_get);
    feed(&a, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: Chunked\r\n\r\n");
    assert_int_equal(http_answer_data(&a, "abcdef", 6), 0);
    assert_int_equal(feed(&a, "Trailer-Field: x\r\n"), 0);
    http_answer_end(&a);
    assert_int_equal(a.resp.kind, S3_ERROR_NONE);
    assert_int_equal(a.resp.content_length, HTTP_LENGTH_UNKNOWN);
    assert_null(http_response_header(&a.resp, "trailer-field"));
    http_response_done(&a.resp);
}

static void test_statuses_without_a_body(void **state)
{
    static const struct http_request head = {.method = HTTP_HEAD, .url = "http://h/"};
    struct http_answer a;

    http_answer_init(&a, &head);
    feed(&a, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    http_answer_end(&a);
    assert_int_equal(a.resp.kind, S3_ERROR_NONE);
    assert_int_equal(a.resp.content_length, 5);
    assert_int_equal(a.resp.received, 0);
    assert_int_equal(http_answer_data(&a, "x", 1), -1);
    http_response_done(&a.resp);

    static const char *const heads[] = {
        "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    };
    for (int i = 0; i < 2; i++) {
        http_answer_init(&a, &plain_get);
        feed(&a, heads[i]);
        http_answer_end(&a);
        assert_int_equal(a.resp.kind, S3_ERROR_NONE);
        http_response_done(&a.resp);
    }
}

static void test_body_caps(void **state)
{
    struct http_request req = plain_get;
    struct http_answer a;
    static char big[LIMIT_ERROR_BODY];

    req.body_max = 10;
    http_answer_init(&a, &req);
    feed(&a, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(http_answer_data(&a, big, 10), 0);
    assert_int_equal(http_answer_data(&a, big, 1), -1);
    assert_int_equal(a.resp.kind, S3_ERROR_BAD_RESPONSE);
    http_response_done(&a.resp);

    /* A long error body is cut, because the status is what matters. */
    http_answer_init(&a, &req);
    feed(&a, "HTTP/1.1 404 Not Found\r\nContent-Length: 100000\r\n\r\n");
    assert_int_equal(http_answer_data(&a, big, sizeof(big) - 1), 0);
    assert_int_equal(http_answer_data(&a, "xyz", 3), -1);
    http_answer_end(&a);
    assert_int_equal(a.resp.kind, S3_ERROR_NONE);
    assert_int_equal(a.resp.status, 404);
    assert_int_equal(a.resp.body.len, LIMIT_ERROR_BODY);
    assert_int_equal(a.resp.body.data[LIMIT_ERROR_BODY - 1], 'x');
    http_response_done(&a.resp);
}

struct capture {
    int begins, writes, begin_status;
    int fail_begin, fail_write;
    struct strbuf got;
};

static int capture_begin(void *ctx, const struct http_response *resp)
{
    struct capture *c = ctx;
    c->begins++;
    c->begin_status = resp->status;
    assert_non_null(http_response_header(resp, "ETag"));
    return c->fail_begin;
}

static int capture_write(void *ctx, const void *data, size_t len)
{
    struct capture *c = ctx;
    c->writes++;
    if (c->fail_write)
        return c->fail_write;
    return strbuf_append(&c->got, data, len);
}

static void test_sink(void **state)
{
    struct capture c = {.got = STRBUF_INIT(100)};
    const struct http_sink sink = {.begin = capture_begin, .write = capture_write, .ctx = &c};
    struct http_request req = plain_get;
    struct http_answer a;

    req.sink = &sink;
    http_answer_init(&a, &req);
    feed(&a, "HTTP/1.1 206 Partial\r\nETag: x\r\nContent-Length: 4\r\n\r\n");
    assert_int_equal(c.begins, 0);
    assert_int_equal(http_answer_data(&a, "ab", 2), 0);
    assert_int_equal(http_answer_data(&a, "cd", 2), 0);
    http_answer_end(&a);
    assert_int_equal(a.resp.kind, S3_ERROR_NONE);
    assert_int_equal(c.begins, 1);
    assert_int_equal(c.begin_status, 206);
    assert_string_equal(strbuf_str(&c.got), "abcd");
    assert_int_equal(a.resp.body.len, 0);
    http_response_done(&a.resp);

    /* An error body is not data. */
    http_answer_init(&a, &req);
    feed(&a, "HTTP/1.1 404 No\r\nETag: x\r\nContent-Length: 4\r\n\r\n");
    assert_int_equal(http_answer_data(&a, "oops", 4), 0);
    http_answer_end(&a);
    assert_int_equal(c.begins, 1);
    assert_string_equal(strbuf_str(&c.got), "abcd");
    assert_string_equal(strbuf_str(&a.resp.body), "oops");
    http_response_done(&a.resp);

    /* Neither is a body whose end is wherever the connection broke. */
    http_answer_init(&a, &req);
    feed(&a, "HTTP/1.1 200 OK\r\nETag: x\r\n\r\n");
    assert_int_equal(http_answer_data(&a, "abcd", 4), -1);
    assert_int_equal(a.resp.kind, S3_ERROR_BAD_RESPONSE);
    assert_int_equal(c.begins, 1);
    http_response_done(&a.resp);
    strbuf_done(&c.got);
}

static void test_sink_refuses(void **state)
{
    struct capture c = {.got = STRBUF_INIT(100), .fail_begin = -ESTALE};
    const struct http_sink sink = {.begin = capture_begin, .write = capture_write, .ctx = &c};
    struct http_request req = plain_get;
    struct http_answer a;

    req.sink = &sink;
    http_answer_init(&a, &req);
    feed(&a, "HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 4\r\n\r\n");
    assert_int_equal(http_answer_data(&a, "abcd", 4), -1);
    assert_int_equal(a.resp.kind, S3_ERROR_BAD_RESPONSE);
    assert_int_equal(a.resp.sink_error, -ESTALE);
    assert_int_equal(a.resp.status, 0);
    assert_int_equal(c.writes, 0);
    http_response_done(&a.resp);

    c.fail_begin = 0;
    c.fail_write = -EIO;
    http_answer_init(&a, &req);
    feed(&a, "HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 4\r\n\r\n");
    assert_int_equal(http_answer_data(&a, "ab", 2), -1);
    assert_int_equal(http_answer_data(&a, "cd", 2), -1); /* not asked again */
    assert_int_equal(c.writes, 1);
    assert_int_equal(a.resp.sink_error, -EIO);
    http_response_done(&a.resp);
    strbuf_done(&c.got);
}

static void test_first_failure_stays(void **state)
{
    struct http_answer a;

    http_answer_init(&a, &plain_get);
    http_answer_fail(&a, S3_ERROR_TIMEOUT, "first");
    http_answer_fail(&a, S3_ERROR_CONNECT, "second");
    http_answer_end(&a);
    assert_int_equal(a.resp.kind, S3_ERROR_TIMEOUT);
    assert_string_equal(a.resp.message, "first");
    http_response_done(&a.resp);
}

static void test_out_of_memory(void **state)
{
    static char big[5000];

    for (long n = 0;; n++) {
        struct http_answer a;

        http_answer_init(&a, &plain_get);
        alloc_fail_begin(n);
        int r = feed(&a, "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5000\r\n\r\n");
        if (r == 0)
            r = http_answer_data(&a, big, sizeof(big));
        bool failed = alloc_fail_end();
        http_answer_end(&a);
        assert_int_equal(r, failed ? -1 : 0);
        assert_int_equal(a.resp.kind, failed ? S3_ERROR_OUT_OF_MEMORY : S3_ERROR_NONE);
        http_response_done(&a.resp);
        if (!failed) {
            assert_true(n >= 2);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_interim_answers),
        cmocka_unit_test(test_bad_heads),
        cmocka_unit_test(test_same_length_twice_is_fine),
        cmocka_unit_test(test_header_caps),
        cmocka_unit_test(test_largest_allowed_head_is_kept),
        cmocka_unit_test(test_short_and_long_bodies),
        cmocka_unit_test(test_statuses_without_a_body),
        cmocka_unit_test(test_body_caps),
        cmocka_unit_test(test_sink),
        cmocka_unit_test(test_sink_refuses),
        cmocka_unit_test(test_first_failure_stays),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
