/* SPDX-License-Identifier: Apache-2.0 */
/* The decorators do what their scripts say, and nothing else. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/attr.h"
#include "store/store_count.h"
#include "store/store_fault.h"
#include "store/store_memory.h"

struct stack {
    struct clock_fake clock;
    struct store *memory, *fault, *count;
};

static void open_stack(struct stack *s)
{
    clock_fake_init(&s->clock, 1700000000ll * NS_PER_S);
    struct store_memory_options o = {.clock = &s->clock.clock, .get_piece = 4};
    assert_int_equal(store_memory_new(&o, &s->memory), 0);
    assert_int_equal(store_fault_new(s->memory, &s->clock.clock, &s->fault), 0);
    assert_int_equal(store_count_new(s->fault, NULL, &s->count), 0);
}

static int put(struct store *s, const char *key, const char *text, struct s3_error *err)
{
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    struct store_put_in in = {.key = key, .body = &iov, .n_body = 1};
    struct store_version v;
    return store_put(s, &in, &v, err);
}

struct taken {
    char data[64];
    size_t len;
    int begins;
};

static int take_begin(void *ctx, const struct store_object *o)
{
    ((struct taken *)ctx)->begins++;
    return 0;
}

static int take_write(void *ctx, const void *data, size_t len)
{
    struct taken *t = ctx;
    memcpy(t->data + t->len, data, len);
    t->len += len;
    return 0;
}

static int get(struct store *s, const char *key, struct taken *t, struct s3_error *err)
{
    *t = (struct taken){0};
    struct store_sink sink = {take_begin, take_write, t};
    struct store_get_in in = {.key = key, .sink = &sink};
    struct store_object o;
    int r = store_get(s, &in, &o, err);
    if (!r)
        store_object_done(&o);
    return r;
}

static void rules_match(void **state)
{
    struct stack s;
    open_stack(&s);
    struct s3_error err;
    /* The second and the fourth PUT under a/. */
    struct store_fault_rule rule = {.op = STORE_PUT,
                                    .prefix = "a/",
                                    .after = 1,
                                    .every = 2,
                                    .count = 2,
                                    .error = S3_ERROR_QUOTA,
                                    .tries = 3};
    assert_int_equal(store_fault_add(s.fault, &rule), 0);
    static const int RESULTS[] = {0, -ENOSPC, 0, -ENOSPC, 0, 0, 0};
    for (size_t i = 0; i < ARRAY_SIZE(RESULTS); i++) {
        assert_int_equal(put(s.count, "b", "x", &err), 0);
        assert_int_equal(put(s.count, "a/k", "x", &err), RESULTS[i]);
        if (RESULTS[i]) {
            assert_int_equal(err.kind, S3_ERROR_QUOTA);
            assert_int_equal(err.tries, 3);
            assert_string_equal(err.operation, "put");
        }
    }
    struct taken t;
    assert_int_equal(get(s.count, "a/k", &t, &err), 0);
    assert_int_equal(store_fault_applied(s.fault), 2);

    struct store_count_figures f;
    store_count_get(s.count, STORE_PUT, &f);
    assert_int_equal(f.requests, 14);
    assert_int_equal(f.failed, 2);
    assert_int_equal(f.bytes, 14);
    assert_int_equal(f.running, 0);
    assert_int_equal(f.running_max, 1);
    assert_int_equal(store_count_all(s.count), 15);
    char text[64];
    assert_string_equal(store_count_describe(s.count, text, sizeof(text)), "get 1, put 14");
    store_count_reset(s.count);
    assert_string_equal(store_count_describe(s.count, text, sizeof(text)), "");
    store_fault_clear(s.fault);
    assert_int_equal(put(s.count, "a/k", "x", &err), 0);
    store_free(s.count);
}

static void answers_are_lost_and_bodies_cut(void **state)
{
    struct stack s;
    open_stack(&s);
    struct s3_error err;
    struct store_object o;
    struct taken t;
    struct store_fault_rule rule = {
        .op = STORE_PUT, .count = 1, .error = S3_ERROR_CONNECT, .lose_answer = true};
    assert_int_equal(store_fault_add(s.fault, &rule), 0);
    assert_int_equal(put(s.count, "k", "hello world", &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_CONNECT);
    assert_int_equal(store_head(s.count, "k", &o, &err), 0);
    store_object_done(&o);

    rule = (struct store_fault_rule){
        .op = STORE_GET, .count = 1, .error = S3_ERROR_BAD_RESPONSE, .cut = true, .cut_after = 6};
    assert_int_equal(store_fault_add(s.fault, &rule), 0);
    assert_int_equal(get(s.count, "k", &t, &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
    assert_int_equal(t.len, 6);
    assert_memory_equal(t.data, "hello ", 6);
    assert_int_equal(t.begins, 1);
    assert_int_equal(get(s.count, "k", &t, &err), 0);
    assert_int_equal(t.len, 11);
    struct store_count_figures f;
    store_count_get(s.count, STORE_GET, &f);
    assert_int_equal(f.bytes, 17);
    /* A failure that has outputs to release. */
    rule = (struct store_fault_rule){
        .op = STORE_OP_MAX, .error = S3_ERROR_SERVER, .lose_answer = true};
    assert_int_equal(store_fault_add(s.fault, &rule), 0);
    struct store_list_in list = {.prefix = ""};
    struct store_page page;
    assert_int_equal(store_list(s.count, &list, &page, &err), -EIO);
    assert_int_equal(store_head(s.count, "k", &o, &err), -EIO);
    assert_int_equal(get(s.count, "k", &t, &err), -EIO);
    store_free(s.count);
}

static void delays_are_on_the_clock(void **state)
{
    struct stack s;
    open_stack(&s);
    struct store_fault_rule rule = {.op = STORE_PUT, .delay_ns = 3 * NS_PER_S};
    assert_int_equal(store_fault_add(s.fault, &rule), 0);
    assert_int_equal(put(s.count, "k", "x", NULL), 0);
    assert_int_equal(s.clock.slept, 3 * NS_PER_S);
    rule = (struct store_fault_rule){
        .op = STORE_HEAD, .delay_ns = NS_PER_S, .error = S3_ERROR_TIMEOUT};
    assert_int_equal(store_fault_add(s.fault, &rule), 0);
    struct store_object o;
    struct s3_error err;
    assert_int_equal(store_head(s.count, "k", &o, &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_TIMEOUT);
    assert_int_equal(s.clock.slept, 4 * NS_PER_S);
    store_free(s.count);
}

static void note_order(void *ctx, int result, const struct s3_error *err)
{
    static int turn;
    assert_int_equal(result, 0);
    *(int *)ctx = ++turn;
}

static void held_until_released(void **state)
{
    struct stack s;
    open_stack(&s);
    assert_int_equal(put(s.memory, "k", "x", NULL), 0);
    struct store_fault_rule rule = {.op = STORE_HEAD, .hold = true, .count = 4};
    assert_int_equal(store_fault_add(s.fault, &rule), 0);
    struct store_head_in in = {.key = "k"};
    struct store_object out[4];
    int order[4] = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(store_submit(s.count, STORE_HEAD, &in, &out[i], note_order, &order[i]), 0);
    assert_int_equal(store_fault_held(s.fault), 4);
    struct store_count_figures f;
    store_count_get(s.count, STORE_HEAD, &f);
    assert_int_equal(f.running, 4);
    assert_int_equal(f.running_max, 4);
    assert_int_equal(store_fault_release_newest(s.fault), 1);
    assert_true(order[3] && !order[0] && !order[1] && !order[2]);
    assert_int_equal(store_fault_release(s.fault, 1), 1);
    assert_true(order[0] > order[3] && !order[1] && !order[2]);
    assert_int_equal(store_fault_release(s.fault, 0), 2);
    assert_true(order[2] > order[1] && order[1] > order[0]);
    assert_int_equal(store_fault_release(s.fault, 0), 0);
    for (int i = 0; i < 4; i++)
        store_object_done(&out[i]);
    store_free(s.count);
}

/* What asks whether all is stored is no request: neither counted nor failed by a rule for any. */
static void flush_is_no_request(void **state)
{
    struct stack s;
    open_stack(&s);
    struct store_fault_rule any = {.op = STORE_OP_MAX, .error = S3_ERROR_SERVER};
    assert_int_equal(store_fault_add(s.fault, &any), 0);
    assert_int_equal(store_flush(s.count, NULL, NULL), 0);
    assert_int_equal(store_flush(s.count, "a", NULL), 0);
    assert_int_equal(store_count_all(s.count), 0);
    store_fault_clear(s.fault);
    struct store_fault_rule flush = {.op = STORE_FLUSH, .error = S3_ERROR_SERVER};
    assert_int_equal(store_fault_add(s.fault, &flush), 0);
    assert_int_equal(store_flush(s.count, NULL, NULL), -EIO);
    store_free(s.count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_match),
        cmocka_unit_test(answers_are_lost_and_bodies_cut),
        cmocka_unit_test(delays_are_on_the_clock),
        cmocka_unit_test(held_until_released),
        cmocka_unit_test(flush_is_no_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
