/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/attr.h"
#include "http/http_fake.h"

struct fixture {
    struct clock_fake clock;
    struct http_fake *fake;
    struct http_transport *t;
};

static int setup(void **state)
{
    static struct fixture f;

    clock_fake_init(&f.clock, 0);
    if (http_fake_new(&f.clock, &f.fake) < 0)
        return -1;
    f.t = http_fake_transport(f.fake);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_transport_free(f->t);
    return 0;
}

static void push(struct fixture *f, struct http_fake_answer a)
{
    assert_int_equal(http_fake_push(f->fake, &a), 0);
}

static void get(struct fixture *f, struct http_response *resp)
{
    const struct http_request req = {.method = HTTP_GET, .url = "http://h/k"};
    assert_int_equal(http_perform(f->t, &req, resp), 0);
}

static void test_answers_in_order(void **state)
{
    struct fixture *f = *state;
    struct http_response r;

    push(f, (struct http_fake_answer){.status = 200, .body = "one", .headers = "ETag: a\nX: \n"});
    push(f, (struct http_fake_answer){.status = 503});
    push(f, (struct http_fake_answer){.kind = S3_ERROR_TIMEOUT});
    assert_int_equal(http_fake_unused_answers(f->fake), 3);

    get(f, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.content_length, 3);
    assert_true(r.request_sent);
    assert_string_equal(strbuf_str(&r.body), "one");
    assert_string_equal(http_response_header(&r, "etag"), "a");
    assert_string_equal(http_response_header(&r, "x"), "");
    http_response_done(&r);

    get(f, &r);
    assert_int_equal(r.status, 503);
    http_response_done(&r);

    get(f, &r);
    assert_int_equal(r.status, 0);
    assert_int_equal(r.kind, S3_ERROR_TIMEOUT);
    http_response_done(&r);

    assert_int_equal(http_fake_unexpected(f->fake), 0);
    get(f, &r);
    assert_int_equal(r.kind, S3_ERROR_CONNECT);
    assert_false(r.request_sent);
    http_response_done(&r);
    assert_int_equal(http_fake_unexpected(f->fake), 1);
    assert_int_equal(http_fake_unused_answers(f->fake), 0);
    assert_int_equal(http_fake_request_count(f->fake), 4);
}

static void test_requests_are_recorded(void **state)
{
    struct fixture *f = *state;
    const struct http_header headers[] = {{"Host", "h"}, {"X-Empty", ""}, {"Range", "bytes=0-1"}};
    struct iovec body[] = {{(void *)(uintptr_t) "ab", 2}, {(void *)(uintptr_t) "c\0d", 3}};
    struct http_request req = {.method = HTTP_PUT,
                               .url = "http://h/a?b=c",
                               .headers = headers,
                               .n_headers = ARRAY_SIZE(headers),
                               .body = body,
                               .n_body = 2};
    struct http_response r;
    char buf[64];

    push(f, (struct http_fake_answer){.status = 200});
    assert_int_equal(http_perform(f->t, &req, &r), 0);
    http_response_done(&r);
    const struct http_fake_request *q = http_fake_request_at(f->fake, 0);
    assert_int_equal(q->method, HTTP_PUT);
    assert_string_equal(q->url, "http://h/a?b=c");
    assert_string_equal(q->headers, "Host: h\nX-Empty: \nRange: bytes=0-1\n");
    assert_string_equal(http_fake_request_header(q, "range", buf, sizeof(buf)), "bytes=0-1");
    assert_string_equal(http_fake_request_header(q, "x-empty", buf, sizeof(buf)), "");
    assert_null(http_fake_request_header(q, "rang", buf, sizeof(buf)));
    assert_int_equal(q->body_len, 5);
    assert_memory_equal(q->body, "abc\0d", 5);
    assert_null(http_fake_request_at(f->fake, 1));
}

static struct strbuf sunk = STRBUF_INIT(100);
static int writes;

static int sink_write(void *ctx, const void *data, size_t len)
{
    writes++;
    return strbuf_append(&sunk, data, len);
}

static void test_sink_cut_and_chunks(void **state)
{
    struct fixture *f = *state;
    const struct http_sink sink = {.write = sink_write};
    struct http_request req = {.method = HTTP_GET, .url = "http://h/k", .sink = &sink};
    struct http_response r;

    push(f, (struct http_fake_answer){.status = 200, .body = "abcdefgh", .chunk = 3});
    assert_int_equal(http_perform(f->t, &req, &r), 0);
    assert_int_equal(r.kind, S3_ERROR_NONE);
    assert_int_equal(writes, 3);
    assert_string_equal(strbuf_str(&sunk), "abcdefgh");
    http_response_done(&r);

    strbuf_reset(&sunk);
    push(f, (struct http_fake_answer){.status = 200, .body = "abcdefgh", .cut_after = 5});
    assert_int_equal(http_perform(f->t, &req, &r), 0);
    assert_int_equal(r.kind, S3_ERROR_BAD_RESPONSE);
    assert_int_equal(r.received, 5);
    assert_string_equal(strbuf_str(&sunk), "abcde");
    http_response_done(&r);

    /* A length that the body does not keep is caught as on the wire. */
    push(f, (struct http_fake_answer){
                .status = 200, .headers = "Content-Length: 9\n", .body = "abcdefgh"});
    assert_int_equal(http_perform(f->t, &req, &r), 0);
    assert_int_equal(r.kind, S3_ERROR_BAD_RESPONSE);
    http_response_done(&r);

    req.method = HTTP_HEAD;
    push(f, (struct http_fake_answer){.status = 200, .headers = "Content-Length: 9\n"});
    assert_int_equal(http_perform(f->t, &req, &r), 0);
    assert_int_equal(r.kind, S3_ERROR_NONE);
    assert_int_equal(r.content_length, 9);
    http_response_done(&r);
    strbuf_done(&sunk);
}

static void count(void *ctx)
{
    ++*(int *)ctx;
}

static void test_timer_moves_the_clock(void **state)
{
    struct fixture *f = *state;
    int ran = 0;
    uint64_t before = clock_monotonic_ns(&f->clock.clock);

    assert_int_equal(http_timer(f->t, 1500, count, &ran), 0);
    assert_int_equal(ran, 1);
    assert_int_equal(clock_monotonic_ns(&f->clock.clock) - before, 1500 * NS_PER_MS);
}

struct cancelling {
    struct http_transport *t;
    struct http_call *call;
    enum s3_error_kind kind;
    int done;
};

static int cancelling_write(void *ctx, const void *data, size_t len)
{
    struct cancelling *c = ctx;
    http_cancel(c->t, c->call);
    return 0;
}

static void cancelling_done(void *ctx, struct http_response *resp)
{
    struct cancelling *c = ctx;
    c->kind = resp->kind;
    c->done++;
}

static void test_cancel_from_the_sink(void **state)
{
    struct fixture *f = *state;
    struct cancelling c = {.t = f->t};
    const struct http_sink sink = {.write = cancelling_write, .ctx = &c};
    const struct http_request req = {.method = HTTP_GET, .url = "http://h/k", .sink = &sink};

    push(f, (struct http_fake_answer){.status = 200, .body = "abc", .chunk = 1});
    assert_int_equal(http_submit(f->t, &req, cancelling_done, &c, &c.call), 0);
    assert_int_equal(c.done, 1);
    assert_int_equal(c.kind, S3_ERROR_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_requests_are_recorded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sink_cut_and_chunks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timer_moves_the_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_from_the_sink, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
