/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "aws/retry.h"
#include "base/attr.h"

static struct s3_error error_of(enum s3_error_kind kind, int status, const char *code)
{
    struct s3_error e = {.kind = kind, .http_status = status};

    snprintf(e.code, sizeof(e.code), "%s", code);
    return e;
}

/* ---- what may be tried again ---- */

static void test_retryable(void **state)
{
    static const struct {
        enum s3_error_kind kind;
        int status;
        const char *code;
        bool idempotent;   /* expected for AWS_IDEMPOTENT */
        bool not_sent;     /* expected for AWS_NOT_IDEMPOTENT, request not sent */
        bool not_repeated; /* expected for AWS_NOT_IDEMPOTENT, request sent */
    } rows[] = {
        {S3_ERROR_THROTTLED, 503, "SlowDown", true, true, true},
        {S3_ERROR_THROTTLED, 429, "", true, true, true},
        {S3_ERROR_SERVER, 500, "InternalError", true, true, false},
        {S3_ERROR_SERVER, 502, "", true, true, false},
        {S3_ERROR_SERVER, 503, "ServiceUnavailable", true, true, true},
        {S3_ERROR_SERVER, 504, "", true, true, false},
        {S3_ERROR_SERVER, 200, "InternalError", true, true, false}, /* Complete, Copy */
        {S3_ERROR_TIMEOUT, 0, "", true, true, false},
        {S3_ERROR_TIMEOUT, 400, "RequestTimeout", true, true, true},
        {S3_ERROR_CONNECT, 0, "", true, true, false},
        {S3_ERROR_BAD_RESPONSE, 200, "", true, true, false},
        {S3_ERROR_INVALID, 400, "PriorRequestNotComplete", true, true, true},
        {S3_ERROR_TLS, 0, "", false, false, false},
        {S3_ERROR_INVALID, 400, "InvalidRequest", false, false, false},
        {S3_ERROR_NO_SUCH_KEY, 404, "NoSuchKey", false, false, false},
        {S3_ERROR_ACCESS_DENIED, 403, "AccessDenied", false, false, false},
        {S3_ERROR_PRECONDITION, 412, "PreconditionFailed", false, false, false},
        {S3_ERROR_CONFLICT, 409, "ConditionalRequestConflict", false, false, false},
        {S3_ERROR_EXPIRED_CREDENTIALS, 400, "ExpiredToken", false, false, false},
        {S3_ERROR_CLOCK_SKEW, 403, "RequestTimeTooSkewed", false, false, false},
        {S3_ERROR_WRONG_REGION, 301, "PermanentRedirect", false, false, false},
        {S3_ERROR_UNSUPPORTED, 501, "NotImplemented", false, false, false},
        {S3_ERROR_CANCELLED, 0, "", false, false, false},
        {S3_ERROR_OUT_OF_MEMORY, 0, "", false, false, false},
        {S3_ERROR_CONFIG, 0, "", false, false, false},
        {S3_ERROR_NONE, 200, "", false, false, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct s3_error e = error_of(rows[i].kind, rows[i].status, rows[i].code);

        if (aws_retry_retryable(&e, AWS_IDEMPOTENT, true) != rows[i].idempotent ||
            aws_retry_retryable(&e, AWS_IDEMPOTENT, false) != rows[i].idempotent ||
            aws_retry_retryable(&e, AWS_NOT_IDEMPOTENT, false) != rows[i].not_sent ||
            aws_retry_retryable(&e, AWS_NOT_IDEMPOTENT, true) != rows[i].not_repeated)
            fail_msg("%s %d %s", s3_error_kind_name(rows[i].kind), rows[i].status, rows[i].code);
    }
}

/* ---- quota ---- */

static void test_quota_costs(void **state)
{
    struct s3_error throttled = error_of(S3_ERROR_THROTTLED, 503, "SlowDown");
    struct s3_error timeout = error_of(S3_ERROR_TIMEOUT, 0, "");
    struct aws_retry_quota q;
    uint32_t cost = 0;

    assert_int_equal(aws_retry_quota_init(&q, 0), 0);
    assert_int_equal(q.available, 500);
    assert_true(aws_retry_acquire(&q, &throttled, &cost));
    assert_int_equal(cost, 5);
    assert_true(aws_retry_acquire(&q, &timeout, &cost));
    assert_int_equal(cost, 10);
    assert_int_equal(q.available, 485);
    aws_retry_success(&q, cost);
    assert_int_equal(q.available, 495);
    aws_retry_success(&q, 0);
    assert_int_equal(q.available, 496);
    aws_retry_success(&q, 10);
    assert_int_equal(q.available, 500);
    aws_retry_success(&q, 0);
    assert_int_equal(q.available, 500);
    aws_retry_quota_done(&q);
}

static void test_quota_runs_out(void **state)
{
    struct s3_error server = error_of(S3_ERROR_SERVER, 500, "");
    struct s3_error timeout = error_of(S3_ERROR_TIMEOUT, 0, "");
    struct aws_retry_quota q;
    uint32_t cost = 77;

    assert_int_equal(aws_retry_quota_init(&q, 14), 0);
    assert_true(aws_retry_acquire(&q, &server, &cost));
    cost = 77;
    assert_false(aws_retry_acquire(&q, &timeout, &cost)); /* 9 left, 10 needed */
    assert_int_equal(cost, 77);
    assert_true(aws_retry_acquire(&q, &server, &cost));
    assert_false(aws_retry_acquire(&q, &server, &cost));
    assert_int_equal(q.available, 4);
    aws_retry_success(&q, 0); /* a first try that succeeds helps the others */
    assert_true(aws_retry_acquire(&q, &server, &cost));
    assert_int_equal(q.available, 0);
    aws_retry_quota_done(&q);
}

struct taker {
    pthread_t thread;
    struct aws_retry_quota *q;
    unsigned taken;
};

static void *take_all(void *arg)
{
    struct taker *t = arg;
    struct s3_error e = error_of(S3_ERROR_SERVER, 500, "");
    uint32_t cost;

    while (aws_retry_acquire(t->q, &e, &cost))
        t->taken++;
    return NULL;
}

static void test_quota_threads(void **state)
{
    struct taker takers[4];
    struct aws_retry_quota q;
    unsigned sum = 0;

    assert_int_equal(aws_retry_quota_init(&q, 50003), 0);
    for (size_t i = 0; i < ARRAY_SIZE(takers); i++) {
        takers[i] = (struct taker){.q = &q};
        assert_int_equal(pthread_create(&takers[i].thread, NULL, take_all, &takers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(takers); i++) {
        pthread_join(takers[i].thread, NULL);
        sum += takers[i].taken;
    }
    assert_int_equal(sum, 10000);
    assert_int_equal(q.available, 3);
    aws_retry_quota_done(&q);
}

/* ---- delay ---- */

static void test_delay_ceilings(void **state)
{
    static const uint32_t ceilings[] = {100,  100,  200,   400,   800,   1600,
                                        3200, 6400, 12800, 20000, 20000, 20000};
    struct aws_retry_options o = {0};

    for (unsigned attempt = 0; attempt < ARRAY_SIZE(ceilings); attempt++) {
        assert_int_equal(aws_retry_delay_ms(&o, attempt, 0), 0);
        assert_int_equal(aws_retry_delay_ms(&o, attempt, UINT64_MAX), ceilings[attempt]);
        assert_int_equal(aws_retry_delay_ms(&o, attempt, UINT64_MAX / 2), ceilings[attempt] / 2);
    }
    assert_int_equal(aws_retry_delay_ms(&o, UINT32_MAX, UINT64_MAX), 20000);
    o = (struct aws_retry_options){.base_ms = UINT32_MAX, .max_ms = UINT32_MAX};
    assert_int_equal(aws_retry_delay_ms(&o, 40, UINT64_MAX), UINT32_MAX);
    o = (struct aws_retry_options){.base_ms = 500, .max_ms = 300};
    assert_int_equal(aws_retry_delay_ms(&o, 1, UINT64_MAX), 300);
}

/* Full jitter: the whole range is used, evenly. A generator with a fixed seed, so the counts are
 * always the same. */
static void test_delay_spreads(void **state)
{
    struct aws_retry_options o = {0};
    unsigned tenths[10] = {0};
    uint64_t x = 42;

    for (unsigned i = 0; i < 10000; i++) {
        uint32_t ms;

        x = x * 6364136223846793005u + 1442695040888963407u;
        ms = aws_retry_delay_ms(&o, 10, x);
        assert_in_range(ms, 0, 20000);
        tenths[ms / 2001]++;
    }
    for (size_t i = 0; i < ARRAY_SIZE(tenths); i++)
        assert_in_range(tenths[i], 850, 1150);
}

static void test_defaults(void **state)
{
    struct aws_retry_options o = {0};

    aws_retry_options_default(&o);
    assert_int_equal(o.max_attempts, 5);
    assert_int_equal(o.base_ms, 100);
    assert_int_equal(o.max_ms, 20000);
    assert_int_equal(o.quota, 500);
    o = (struct aws_retry_options){.max_attempts = 1, .base_ms = 2, .max_ms = 3, .quota = 4};
    aws_retry_options_default(&o);
    assert_int_equal(o.max_attempts, 1);
    assert_int_equal(o.base_ms, 2);
    assert_int_equal(o.max_ms, 3);
    assert_int_equal(o.quota, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retryable),      cmocka_unit_test(test_quota_costs),
        cmocka_unit_test(test_quota_runs_out), cmocka_unit_test(test_quota_threads),
        cmocka_unit_test(test_delay_ceilings), cmocka_unit_test(test_delay_spreads),
        cmocka_unit_test(test_defaults),
    };

    return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
