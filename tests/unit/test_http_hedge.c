/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "alloc_fail.h"
#include "base/attr.h"
#include "base/limits.h"
#include "http/http_fake.h"
#include "http/http_hedge.h"

#define STATS 4u

struct fixture {
    struct clock_fake clock;
    struct http_fake *fake;
    struct http_transport *t;
    unsigned dones;
    int status;
    enum s3_error_kind kind;
    bool broken_off;
    bool repeated;
    char body[64]; /* of the response, or what the sink got */
    size_t len;
    unsigned begins;
};

static const struct http_fake_answer silent = {.held = true};
static const struct http_fake_answer good = {.status = 200, .body = "good", .wait_ns = NS_PER_MS};
static const struct http_fake_answer other = {.status = 200, .body = "other", .wait_ns = NS_PER_MS};
static const struct http_fake_answer broken = {.status = 500, .body = "oops"};
static const struct http_fake_answer slow_down = {.status = 503, .body = "slow"};
static const struct http_fake_answer lost = {.kind = S3_ERROR_CONNECT};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){0};
    clock_fake_init(&f.clock, 0);
    assert_int_equal(http_fake_new(&f.clock, &f.fake), 0);
    assert_int_equal(http_hedge_new(http_fake_transport(f.fake), &f.clock.clock, STATS, &f.t), 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(http_fake_unexpected(f->fake), 0);
    assert_int_equal(http_fake_unused_answers(f->fake), 0);
    http_transport_free(f->t);
    return 0;
}

static void on_done(void *ctx, struct http_response *resp)
{
    struct fixture *f = ctx;

    f->dones++;
    f->status = resp->status;
    f->kind = resp->kind;
    f->broken_off = resp->broken_off;
    f->repeated = resp->repeated;
    if (resp->body.len && resp->body.len < sizeof(f->body)) {
        memcpy(f->body, resp->body.data, resp->body.len);
        f->len = resp->body.len;
    }
}

static int sink_begin(void *ctx, const struct http_response *resp)
{
    struct fixture *f = ctx;

    (void)resp;
    f->begins++;
    return 0;
}

static int sink_write(void *ctx, const void *data, size_t len)
{
    struct fixture *f = ctx;

    assert_true(f->len + len < sizeof(f->body));
    memcpy(f->body + f->len, data, len);
    f->len += len;
    return 0;
}

static int submit(struct fixture *f, struct http_request *req, struct http_call **ret_call)
{
    req->url = "http://h/k";
    f->dones = 0;
    f->len = 0;
    f->begins = 0;
    return http_submit(f->t, req, on_done, f, ret_call);
}

static struct http_call *get(struct fixture *f, const struct http_sink *sink)
{
    struct http_request req = {.method = HTTP_GET, .sink = sink, .stat = 1, .repeatable = true};
    struct http_call *call = NULL;

    assert_int_equal(submit(f, &req, &call), 0);
    return call;
}

static void push(struct fixture *f, const struct http_fake_answer *answer)
{
    assert_int_equal(http_fake_push(f->fake, answer), 0);
}

static void assert_result(const struct fixture *f, int status, const char *body)
{
    assert_int_equal(f->dones, 1);
    assert_int_equal(f->status, status);
    assert_int_equal(f->len, strlen(body));
    assert_memory_equal(f->body, body, f->len);
}

static struct http_hedge_totals totals(struct fixture *f)
{
    struct http_hedge_totals t;

    http_hedge_totals(f->t, &t);
    return t;
}

/* ---- who wins ---- */

static void test_passes_on(void **state)
{
    struct fixture *f = *state;

    push(f, &good);
    (void)get(f, NULL);
    assert_result(f, 200, "good");
    assert_int_equal(http_fake_request_count(f->fake), 1);
    assert_int_equal(totals(f).repeated, 0);
    assert_false(f->repeated);
}

static void test_the_repeat_wins(void **state)
{
    struct fixture *f = *state;

    push(f, &silent);
    push(f, &silent);
    (void)get(f, NULL);
    assert_int_equal(http_fake_request_count(f->fake), 1);
    http_fake_quiet(f->fake, 0, false);
    assert_int_equal(http_fake_request_count(f->fake), 2);
    assert_string_equal(http_fake_request_at(f->fake, 1)->url, "http://h/k");

    http_fake_end(f->fake, 1, &good);
    assert_true(http_fake_is_cancelled(f->fake, 0));
    assert_int_equal(f->dones, 0); /* what was borrowed is still in use */
    http_fake_end(f->fake, 0, &other);
    assert_result(f, 200, "good");
    assert_true(f->repeated);
    assert_int_equal(totals(f).repeated, 1);
    assert_int_equal(totals(f).won, 1);
}

static void test_the_first_wins(void **state)
{
    struct fixture *f = *state;

    push(f, &silent);
    push(f, &silent);
    (void)get(f, NULL);
    http_fake_quiet(f->fake, 0, false);
    http_fake_end(f->fake, 0, &good);
    assert_true(http_fake_is_cancelled(f->fake, 1));
    http_fake_end(f->fake, 1, &other);
    assert_result(f, 200, "good");
    assert_int_equal(totals(f).won, 0);
}

static void test_a_refusal_wins(void **state)
{
    static const struct http_fake_answer missing = {.status = 404, .body = "none"};
    struct fixture *f = *state;

    push(f, &silent);
    push(f, &missing);
    (void)get(f, NULL);
    http_fake_quiet(f->fake, 0, false);
    http_fake_end(f->fake, 0, &good);
    assert_result(f, 404, "none");
}

static void test_a_failure_waits_for_the_other(void **state)
{
    struct fixture *f = *state;

    push(f, &silent);
    push(f, &silent);
    (void)get(f, NULL);
    http_fake_quiet(f->fake, 0, false);
    http_fake_end(f->fake, 0, &broken);
    assert_int_equal(f->dones, 0);
    assert_false(http_fake_is_cancelled(f->fake, 1));
    http_fake_end(f->fake, 1, &good);
    assert_result(f, 200, "good");
}

static void test_both_fail(void **state)
{
    struct fixture *f = *state;

    for (int status_first = 0; status_first < 2; status_first++) {
        size_t i = http_fake_request_count(f->fake);

        push(f, &silent);
        push(f, &silent);
        (void)get(f, NULL);
        http_fake_quiet(f->fake, i, false);
        http_fake_end(f->fake, i, status_first ? &broken : &lost);
        http_fake_end(f->fake, i + 1, status_first ? &lost : &broken);
        assert_result(f, 500, "oops");
    }
}

static void test_one_sink_one_answer(void **state)
{
    struct fixture *f = *state;
    struct http_sink sink = {.begin = sink_begin, .write = sink_write, .ctx = f};
    static const struct http_fake_answer half = {
        .status = 200, .body = "abcdef", .cut_after = 3, .held = true};

    push(f, &silent);
    push(f, &half);
    (void)get(f, &sink);
    http_fake_quiet(f->fake, 0, false);
    assert_int_equal(f->len, 3);
    assert_true(http_fake_is_cancelled(f->fake, 0));
    http_fake_end(f->fake, 0, &other);
    assert_int_equal(f->dones, 0);
    http_fake_end(f->fake, 1, NULL);
    assert_result(f, 200, "abcdef");
    assert_int_equal(f->begins, 1);
}

/* The cancel came too late: the answer arrives all the same. */
static void test_a_late_answer_is_dropped(void **state)
{
    struct fixture *f = *state;
    struct http_sink sink = {.begin = sink_begin, .write = sink_write, .ctx = f};
    struct http_request req;

    push(f, &silent);
    push(f, &silent);
    push(f, &good);
    (void)get(f, &sink);
    http_fake_quiet(f->fake, 0, false);
    http_fake_quiet(f->fake, 1, false); /* the third answers at once */
    assert_int_equal(f->len, 4);
    req = http_fake_held_request(f->fake, 0);
    struct http_response late = {.status = 200};
    assert_int_equal(req.sink->begin(req.sink->ctx, &late), -ECANCELED);
    http_fake_end(f->fake, 0, &other);
    http_fake_end(f->fake, 1, &other);
    assert_result(f, 200, "good");
    assert_int_equal(f->begins, 1);
}

/* ---- the middle of an answer ---- */

static void test_breaks_off(void **state)
{
    struct fixture *f = *state;
    struct http_sink sink = {.begin = sink_begin, .write = sink_write, .ctx = f};
    static const struct http_fake_answer half = {
        .status = 200, .body = "abcdef", .cut_after = 3, .held = true};

    push(f, &half);
    (void)get(f, &sink);
    http_fake_quiet(f->fake, 0, true);
    assert_false(http_fake_is_cancelled(f->fake, 0));
    http_fake_quiet(f->fake, 0, true);
    assert_true(http_fake_is_cancelled(f->fake, 0));
    http_fake_end(f->fake, 0, NULL);
    assert_result(f, 0, "abc");
    assert_int_equal(f->kind, S3_ERROR_TIMEOUT);
    assert_true(f->broken_off);
    assert_int_equal(totals(f).broken_off, 1);
    assert_int_equal(totals(f).repeated, 0);
}

/* ---- bounds ---- */

static void test_three_at_most(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++)
        push(f, &silent);
    (void)get(f, NULL);
    http_fake_quiet(f->fake, 0, false);
    http_fake_quiet(f->fake, 0, false); /* the second has not been silent for so long */
    assert_int_equal(http_fake_request_count(f->fake), 2);
    http_fake_quiet(f->fake, 1, false);
    assert_int_equal(http_fake_request_count(f->fake), 3);
    http_fake_quiet(f->fake, 2, false);
    assert_int_equal(http_fake_request_count(f->fake), 3);
    http_fake_end(f->fake, 1, &good);
    http_fake_end(f->fake, 0, &good);
    http_fake_end(f->fake, 2, &good);
    assert_result(f, 200, "good");
}

static void test_only_what_is_repeatable(void **state)
{
    struct fixture *f = *state;
    struct http_request put = {.method = HTTP_PUT, .stat = 1};
    struct http_request foreign = {.method = HTTP_GET, .stat = STATS, .repeatable = true};

    push(f, &silent);
    push(f, &silent);
    assert_int_equal(submit(f, &put, NULL), 0);
    assert_null(http_fake_held_request(f->fake, 0).quiet);
    http_fake_end(f->fake, 0, &good);
    assert_result(f, 200, "good");
    assert_int_equal(submit(f, &foreign, NULL), 0);
    assert_null(http_fake_held_request(f->fake, 1).quiet);
    http_fake_end(f->fake, 1, &good);
}

/* One that hangs; true when it was repeated. */
static bool hang(struct fixture *f)
{
    size_t i = http_fake_request_count(f->fake);
    size_t n;

    push(f, &silent);
    (void)get(f, NULL);
    push(f, &good);
    http_fake_quiet(f->fake, i, false);
    n = http_fake_request_count(f->fake) - i;
    if (n == 1) { /* uses the answer up */
        struct http_request req = {.method = HTTP_PUT};
        unsigned dones = f->dones;

        assert_int_equal(submit(f, &req, NULL), 0);
        f->dones = dones;
        f->len = 0;
    }
    http_fake_end(f->fake, i, &good);
    assert_result(f, 200, "good");
    return n == 2;
}

static void test_budget(void **state)
{
    struct fixture *f = *state;
    unsigned before = HTTP_HEDGE_BURST, repeated = 0, n = 0;

    while (hang(f))
        n++;
    /* Those of before, and what the hanging ones themselves earned (none: they were cancelled). */
    assert_int_equal(n, before);
    assert_int_equal(totals(f).held_back, 1);
    for (unsigned i = 0; i < 400; i++) {
        push(f, &good);
        (void)get(f, NULL);
        if (i % 20 == 19)
            repeated += hang(f);
    }
    assert_in_range(repeated, 19, 21); /* 5 of 100 */
    for (unsigned i = 0; i < 4000; i++) {
        push(f, &good);
        (void)get(f, NULL);
    }
    for (n = 0; hang(f);)
        n++;
    assert_int_equal(n, HTTP_HEDGE_BURST);
}

static void test_not_after_slow_down(void **state)
{
    struct fixture *f = *state;
    struct http_request put = {.method = HTTP_PUT};

    assert_true(hang(f));
    push(f, &slow_down);
    assert_int_equal(submit(f, &put, NULL), 0);
    assert_int_equal(f->status, 503);
    for (unsigned i = 0; i < 100; i++) {
        push(f, &good);
        (void)get(f, NULL);
    }
    assert_false(hang(f));
    clock_fake_advance(&f->clock, (HTTP_HEDGE_PAUSE_MS - 1) * (uint64_t)NS_PER_MS);
    assert_false(hang(f));
    clock_fake_advance(&f->clock, NS_PER_MS);
    assert_true(hang(f));
}

/* ---- what is long ---- */

static void answer_after(struct fixture *f, unsigned stat, uint64_t ms)
{
    struct http_fake_answer answer = {.status = 200, .wait_ns = ms * NS_PER_MS};
    struct http_request req = {.method = HTTP_GET, .stat = stat, .repeatable = true};

    push(f, &answer);
    assert_int_equal(submit(f, &req, NULL), 0);
}

static void test_threshold(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < HTTP_HEDGE_SAMPLES - 1; i++)
        answer_after(f, 1, 10);
    assert_int_equal(http_hedge_threshold_ms(f->t, 1, 0), HTTP_HEDGE_FIRST_MS);
    answer_after(f, 1, 10);
    assert_int_equal(http_hedge_threshold_ms(f->t, 1, 0), HTTP_HEDGE_MIN_MS);
    /* Each kind and size for itself. */
    assert_int_equal(http_hedge_threshold_ms(f->t, 2, 0), HTTP_HEDGE_FIRST_MS);
    assert_int_equal(http_hedge_threshold_ms(f->t, 1, 8 * MIB), HTTP_HEDGE_FIRST_MS);

    for (unsigned i = 0; i < 1000; i++)
        answer_after(f, 2, i % 100 < 94 ? 20 : 1000);
    assert_in_range(http_hedge_threshold_ms(f->t, 2, 0), 4000, 5000);
    /* One in a hundred does not count. */
    for (unsigned i = 0; i < 2000; i++)
        answer_after(f, 2, i % 100 ? 200 : 5000);
    assert_in_range(http_hedge_threshold_ms(f->t, 2, 0), 800, 1000);
    /* Quicker again. */
    for (unsigned i = 0; i < 5000; i++)
        answer_after(f, 2, 20);
    assert_int_equal(http_hedge_threshold_ms(f->t, 2, 0), HTTP_HEDGE_MIN_MS);
    for (unsigned i = 0; i < 100; i++)
        answer_after(f, 3, 3600 * 1000);
    assert_int_equal(http_hedge_threshold_ms(f->t, 3, 0), HTTP_HEDGE_MAX_MS);
}

static void test_threshold_is_passed_on(void **state)
{
    struct fixture *f = *state;

    push(f, &silent);
    (void)get(f, NULL);
    assert_int_equal(http_fake_held_request(f->fake, 0).quiet_ms, HTTP_HEDGE_FIRST_MS);
    assert_false(http_fake_held_request(f->fake, 0).first);
    push(f, &silent);
    http_fake_quiet(f->fake, 0, false);
    assert_true(http_fake_held_request(f->fake, 1).first);
    http_fake_end(f->fake, 0, &good);
    http_fake_end(f->fake, 1, &good);
    assert_int_equal(f->dones, 1);
}

/* ---- ends ---- */

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    struct http_call *call;

    push(f, &silent);
    push(f, &silent);
    call = get(f, NULL);
    http_fake_quiet(f->fake, 0, false);
    http_cancel(f->t, call);
    assert_true(http_fake_is_cancelled(f->fake, 0));
    assert_true(http_fake_is_cancelled(f->fake, 1));
    http_fake_quiet(f->fake, 1, false); /* no more of it */
    assert_int_equal(http_fake_request_count(f->fake), 2);
    http_fake_end(f->fake, 1, &good);
    assert_int_equal(f->dones, 0);
    http_fake_end(f->fake, 0, &good);
    assert_int_equal(f->dones, 1);
    assert_int_equal(f->kind, S3_ERROR_CANCELLED);
}

static void test_memory(void **state)
{
    struct fixture *f = *state;
    struct http_request req = {.method = HTTP_GET, .stat = 1, .repeatable = true};

    /* Its own, and the first of the transport below. */
    for (long n = 0; n < 2; n++) {
        alloc_fail_begin(n);
        int r = submit(f, &req, NULL);
        assert_true(alloc_fail_end());
        assert_int_equal(r, -ENOMEM);
        assert_int_equal(f->dones, 0);
    }

    /* A repeat for which there is no memory: the first goes on. */
    push(f, &silent);
    (void)get(f, NULL);
    alloc_fail_begin(0);
    http_fake_quiet(f->fake, 0, false);
    assert_true(alloc_fail_end());
    assert_int_equal(totals(f).repeated, 1);
    http_fake_end(f->fake, 0, &good);
    assert_result(f, 200, "good");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_passes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_repeat_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_first_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refusal_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failure_waits_for_the_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_both_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_sink_one_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_late_answer_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_breaks_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_three_at_most, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_what_is_repeatable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_after_slow_down, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threshold, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threshold_is_passed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
