/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "s3/waiter.h"
#include "s3_stub.h"

/* Answers one status after the other; the last one for ever. 0 = no answer at all. */
struct script {
    const int *statuses;
    size_t n;
    size_t at;
};

static int answer(void *ctx, enum s3_op op, const void *in, void *out, struct s3_error *err)
{
    struct script *s = ctx;
    int status = s->statuses[s->at];
    if (s->at + 1 < s->n)
        s->at++;
    if (op == S3_OP_HEAD_BUCKET) {
        assert_string_equal(((const struct s3_bucket_in *)in)->bucket, "bucket");
    } else {
        assert_int_equal(op, S3_OP_HEAD_OBJECT);
        assert_string_equal(((const struct s3_head_object_in *)in)->key, "key");
    }
    switch (status) {
    case 200:
        if (op == S3_OP_HEAD_OBJECT)
            assert_non_null(arena_alloc(&((struct s3_head_object_out *)out)->arena, 100));
        return 0;
    case 0:
        return s3_error_set(err, S3_ERROR_CONNECT, "no route");
    default:
        return s3_stub_fail(err, status, "");
    }
}

struct outcome {
    int r;
    unsigned calls;
    unsigned sleeps;
    uint64_t slept_ns;
    struct s3_error err;
};

static struct outcome run(const struct s3_waiter_def *def, struct s3_waiter_options *opts,
                          const int *statuses, size_t n)
{
    struct script s = {.statuses = statuses, .n = n};
    struct s3_client *c = s3_stub_new(answer, &s);
    struct clock_fake clock;
    clock_fake_init(&clock, 0);
    opts->clock = &clock.clock;
    struct outcome o = {0};
    o.r =
        s3_waiter_wait(c, def, "bucket", def->op == S3_OP_HEAD_OBJECT ? "key" : NULL, opts, &o.err);
    o.calls = s3_stub_calls(c);
    o.sleeps = clock.sleeps;
    o.slept_ns = clock.slept;
    s3_stub_done(c);
    return o;
}

#define RUN(def, ...)                                                                              \
    run((def), &(struct s3_waiter_options){0}, (const int[]){__VA_ARGS__},                         \
        sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void test_exists_waits_for_the_200(void **state ATTR_UNUSED)
{
    const struct s3_waiter_def *defs[] = {&s3_waiter_bucket_exists, &s3_waiter_object_exists};
    for (size_t i = 0; i < ARRAY_SIZE(defs); i++) {
        struct outcome o = RUN(defs[i], 404, 404, 200);
        assert_int_equal(o.r, 0);
        assert_int_equal(o.calls, 3);
        assert_int_equal(o.sleeps, 2);
        assert_int_equal(o.slept_ns, 10 * NS_PER_S);
        assert_int_equal(RUN(defs[i], 200).sleeps, 0);
    }
}

static void test_not_exists_waits_for_the_404(void **state ATTR_UNUSED)
{
    const struct s3_waiter_def *defs[] = {&s3_waiter_bucket_not_exists,
                                          &s3_waiter_object_not_exists};
    for (size_t i = 0; i < ARRAY_SIZE(defs); i++) {
        struct outcome o = RUN(defs[i], 200, 404);
        assert_int_equal(o.r, 0);
        assert_int_equal(o.calls, 2);
        assert_int_equal(o.slept_ns, 5 * NS_PER_S);
    }
}

static void test_bucket_in_another_region_or_of_another_exists(void **state ATTR_UNUSED)
{
    assert_int_equal(RUN(&s3_waiter_bucket_exists, 301).r, 0);
    assert_int_equal(RUN(&s3_waiter_bucket_exists, 403).r, 0);
    assert_int_equal(RUN(&s3_waiter_bucket_exists, 404, 403).calls, 2);
}

static void test_unknown_errors_end_the_wait(void **state ATTR_UNUSED)
{
    struct outcome o = RUN(&s3_waiter_object_exists, 403);
    assert_true(o.r < 0);
    assert_int_equal(o.calls, 1);
    assert_int_equal(o.err.http_status, 403);
    assert_int_equal(o.err.kind, S3_ERROR_ACCESS_DENIED);

    o = RUN(&s3_waiter_bucket_not_exists, 403);
    assert_true(o.r < 0);
    assert_int_equal(o.calls, 1);

    o = RUN(&s3_waiter_bucket_exists, 500);
    assert_true(o.r < 0);
    assert_int_equal(o.err.kind, S3_ERROR_SERVER);

    o = RUN(&s3_waiter_object_not_exists, 0);
    assert_true(o.r < 0);
    assert_int_equal(o.err.kind, S3_ERROR_CONNECT);
}

static void test_gives_up_after_twenty_attempts(void **state ATTR_UNUSED)
{
    struct outcome o = RUN(&s3_waiter_object_exists, 404);
    assert_int_equal(o.r, -ETIMEDOUT);
    assert_int_equal(o.err.kind, S3_ERROR_TIMEOUT);
    assert_int_equal(o.err.tries, 20);
    assert_int_equal(o.calls, 20);
    assert_int_equal(o.sleeps, 19);
    assert_int_equal(o.slept_ns, 95 * NS_PER_S);
    assert_non_null(strstr(o.err.message, "'bucket/key'"));
}

static void test_options_override_the_definition(void **state ATTR_UNUSED)
{
    struct outcome o =
        run(&s3_waiter_bucket_exists, &(struct s3_waiter_options){.delay_ms = 7, .max_attempts = 3},
            (const int[]){404}, 1);
    assert_int_equal(o.r, -ETIMEDOUT);
    assert_int_equal(o.calls, 3);
    assert_int_equal(o.slept_ns, 14 * NS_PER_MS);
}

static bool cancelled_third_time(void *ctx)
{
    return ++*(unsigned *)ctx == 3;
}

static void test_cancel_is_felt_within_one_delay(void **state ATTR_UNUSED)
{
    unsigned asked = 0;
    struct s3_waiter_options opts = {.cancelled = cancelled_third_time, .cancelled_ctx = &asked};
    struct outcome o = run(&s3_waiter_bucket_exists, &opts, (const int[]){404}, 1);
    assert_true(o.r < 0);
    assert_int_equal(o.err.kind, S3_ERROR_CANCELLED);
    assert_int_equal(o.calls, 1);
    assert_in_range(o.slept_ns, 1, NS_PER_S);
}

static void test_find_by_name(void **state ATTR_UNUSED)
{
    assert_ptr_equal(s3_waiter_find("bucket_exists"), &s3_waiter_bucket_exists);
    assert_ptr_equal(s3_waiter_find("bucket_not_exists"), &s3_waiter_bucket_not_exists);
    assert_ptr_equal(s3_waiter_find("object_exists"), &s3_waiter_object_exists);
    assert_ptr_equal(s3_waiter_find("object_not_exists"), &s3_waiter_object_not_exists);
    assert_null(s3_waiter_find("bucket"));
    assert_null(s3_waiter_find(""));
}

static void test_object_waiter_needs_a_key(void **state ATTR_UNUSED)
{
    struct script s = {.statuses = (const int[]){200}, .n = 1};
    struct s3_client *c = s3_stub_new(answer, &s);
    struct s3_error err;
    assert_true(s3_waiter_wait(c, &s3_waiter_object_exists, "bucket", NULL, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
    assert_int_equal(s3_stub_calls(c), 0);
    /* Without options: the system's clock, which a first success never asks. */
    assert_int_equal(s3_waiter_wait(c, &s3_waiter_object_exists, "bucket", "key", NULL, NULL), 0);
    s3_stub_done(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exists_waits_for_the_200),
        cmocka_unit_test(test_not_exists_waits_for_the_404),
        cmocka_unit_test(test_bucket_in_another_region_or_of_another_exists),
        cmocka_unit_test(test_unknown_errors_end_the_wait),
        cmocka_unit_test(test_gives_up_after_twenty_attempts),
        cmocka_unit_test(test_options_override_the_definition),
        cmocka_unit_test(test_cancel_is_felt_within_one_delay),
        cmocka_unit_test(test_find_by_name),
        cmocka_unit_test(test_object_waiter_needs_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
