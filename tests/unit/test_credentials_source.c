/* SPDX-License-Identifier: Apache-2.0 */
/* When keys are renewed, by whom, and who waits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials.h"
#include "aws_world.h"
#include "base/attr.h"
#include "base/cleanup.h"

DEFINE_CLEANUP(cleanup_source, struct aws_credentials_source *, aws_credentials_source_free)
DEFINE_CLEANUP(cleanup_credentials, struct aws_credentials *, aws_credentials_unref)

#define CLEANUP_SOURCE      CLEANUP(cleanup_source)
#define CLEANUP_CREDENTIALS CLEANUP(cleanup_credentials)

/* A provider that does what the test says. One at a time: it is reached through static state. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned loads; /* begun */
    bool fail;
    bool gate; /* loads wait while it is closed */
    int64_t lifetime_ns;
} script = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void script_reset(int64_t lifetime_ns)
{
    script.loads = 0;
    script.fail = false;
    script.gate = false;
    script.lifetime_ns = lifetime_ns;
}

static int script_load(const struct aws_config *config, struct clock *clock,
                       struct aws_credentials **ret, struct s3_error *reterr)
{
    int64_t expiry = clock_realtime_ns(clock);
    char id[16];

    SCOPE_LOCK(&script.lock);
    snprintf(id, sizeof(id), "KEY%u", ++script.loads);
    pthread_cond_broadcast(&script.changed);
    while (script.gate)
        pthread_cond_wait(&script.changed, &script.lock);
    if (script.fail)
        return s3_error_set(reterr, S3_ERROR_TIMEOUT, "the provider is silent");
    if (script.lifetime_ns == AWS_CREDENTIALS_NO_EXPIRY)
        expiry = AWS_CREDENTIALS_NO_EXPIRY;
    else
        expiry += script.lifetime_ns;
    assert_int_equal(aws_credentials_new(id, "s", "t", expiry, "script", ret), 0);
    return 1;
}

static int nothing_load(const struct aws_config *config, struct clock *clock,
                        struct aws_credentials **ret, struct s3_error *reterr)
{
    return 0;
}

static const struct aws_credentials_provider script_chain[] = {
    {"nothing", nothing_load},
    {"script", script_load},
    {NULL, NULL},
};

static void set_gate(bool closed)
{
    SCOPE_LOCK(&script.lock);
    script.gate = closed;
    pthread_cond_broadcast(&script.changed);
}

static void wait_for_loads(unsigned n)
{
    SCOPE_LOCK(&script.lock);
    while (script.loads < n)
        pthread_cond_wait(&script.changed, &script.lock);
}

static struct aws_credentials_source *script_source(struct aws_world *w, int64_t lifetime_ns)
{
    struct aws_credentials_source *s = NULL;

    script_reset(lifetime_ns);
    assert_int_equal(aws_credentials_source_new(NULL, script_chain, &w->clock.clock, &s), 0);
    return s;
}

static void assert_get(struct aws_credentials_source *s, const char *id)
{
    CLEANUP_CREDENTIALS struct aws_credentials *c = NULL;
    struct s3_error error = {0};

    if (aws_credentials_source_get(s, &c, &error) < 0)
        fail_msg("%s", error.message);
    assert_string_equal(c->access_key_id, id);
}

static void assert_get_fails(struct aws_credentials_source *s, enum s3_error_kind kind)
{
    CLEANUP_CREDENTIALS struct aws_credentials *c = NULL;
    struct s3_error error = {0};

    assert_true(aws_credentials_source_get(s, &c, &error) < 0);
    assert_int_equal(error.kind, kind);
}

static void assert_try_get(struct aws_credentials_source *s, const char *id)
{
    CLEANUP_CREDENTIALS struct aws_credentials *c = NULL;
    int r = aws_credentials_source_try_get(s, &c);

    if (!id) {
        assert_int_equal(r, -EAGAIN);
        return;
    }
    assert_int_equal(r, 0);
    assert_string_equal(c->access_key_id, id);
}

#define MINUTE (60 * NS_PER_S)

static void test_refresh_windows(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_SOURCE struct aws_credentials_source *s = script_source(w, 60 * MINUTE);

    assert_try_get(s, NULL);
    assert_get(s, "KEY1");
    assert_try_get(s, "KEY1");
    clock_fake_advance(&w->clock, 45 * MINUTE); /* exactly 15 min left: fresh */
    assert_get(s, "KEY1");
    assert_int_equal(script.loads, 1);
    clock_fake_advance(&w->clock, NS_PER_S); /* advisory */
    assert_try_get(s, "KEY1");
    assert_get(s, "KEY2");
    assert_try_get(s, "KEY2");
    clock_fake_advance(&w->clock, 50 * MINUTE + NS_PER_S); /* mandatory */
    assert_try_get(s, NULL);
    assert_get(s, "KEY3");
    clock_fake_advance(&w->clock, 24 * 60 * MINUTE); /* the machine was asleep */
    assert_try_get(s, NULL);
    assert_get(s, "KEY4");
    assert_int_equal(script.loads, 4);
}

static void test_no_expiry_loads_once(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_SOURCE struct aws_credentials_source *s = script_source(w, AWS_CREDENTIALS_NO_EXPIRY);

    for (unsigned i = 0; i < 100; i++) {
        assert_get(s, "KEY1");
        clock_fake_advance(&w->clock, 24 * 60 * MINUTE);
    }
    assert_int_equal(script.loads, 1);
}

static void test_failing_refresh_keeps_good_keys(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_SOURCE struct aws_credentials_source *s = script_source(w, 60 * MINUTE);

    assert_get(s, "KEY1");
    script.fail = true;
    clock_fake_advance(&w->clock, 46 * MINUTE);
    assert_get(s, "KEY1");
    assert_int_equal(script.loads, 2);
    /* a provider that fails is not asked by every request */
    for (unsigned i = 0; i < 10; i++)
        assert_get(s, "KEY1");
    assert_int_equal(script.loads, 2);
    clock_fake_advance(&w->clock, 6 * MINUTE); /* mandatory: tried, and the old ones do */
    assert_try_get(s, NULL);
    assert_get(s, "KEY1");
    assert_int_equal(script.loads, 3);
    assert_try_get(s, "KEY1"); /* no use in waiting for what has just failed */
    clock_fake_advance(&w->clock, 10 * NS_PER_S);
    assert_get(s, "KEY1");
    assert_int_equal(script.loads, 4);
    clock_fake_advance(&w->clock, 10 * MINUTE); /* expired */
    assert_get_fails(s, S3_ERROR_TIMEOUT);
    assert_int_equal(script.loads, 5);
    assert_get_fails(s, S3_ERROR_TIMEOUT);
    assert_int_equal(script.loads, 5);
    clock_fake_advance(&w->clock, NS_PER_S);
    script.fail = false;
    assert_get(s, "KEY6");
}

/* Keys that are inside a window from the start do not make every request a refresh. */
static void test_short_lived_keys(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_SOURCE struct aws_credentials_source *s = script_source(w, 15 * MINUTE - NS_PER_S);

    for (unsigned i = 0; i < 10; i++)
        assert_get(s, "KEY1");
    clock_fake_advance(&w->clock, 59 * NS_PER_S);
    assert_get(s, "KEY1");
    clock_fake_advance(&w->clock, NS_PER_S);
    assert_get(s, "KEY2");
    script.lifetime_ns = 20 * NS_PER_S; /* mandatory from the start: a quarter of what is left */
    clock_fake_advance(&w->clock, MINUTE);
    assert_get(s, "KEY3");
    clock_fake_advance(&w->clock, 4 * NS_PER_S);
    assert_get(s, "KEY3");
    assert_try_get(s, "KEY3");
    clock_fake_advance(&w->clock, NS_PER_S);
    assert_try_get(s, NULL);
    assert_get(s, "KEY4");
    clock_fake_advance(&w->clock, 21 * NS_PER_S);
    assert_get(s, "KEY5");
    assert_int_equal(script.loads, 5);
}

static void test_expired_on_arrival(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_SOURCE struct aws_credentials_source *s = script_source(w, -NS_PER_S);

    assert_get_fails(s, S3_ERROR_EXPIRED_CREDENTIALS);
    script.lifetime_ns = 60 * MINUTE;
    clock_fake_advance(&w->clock, NS_PER_S);
    assert_get(s, "KEY2");
    /* bad news later do not take away what is good */
    script.lifetime_ns = 0;
    clock_fake_advance(&w->clock, 46 * MINUTE);
    assert_get(s, "KEY2");
    assert_int_equal(script.loads, 3);
}

static void test_refused_by_the_server(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_SOURCE struct aws_credentials_source *s = script_source(w, 60 * MINUTE);
    CLEANUP_CREDENTIALS struct aws_credentials *c = NULL;

    assert_int_equal(aws_credentials_source_get(s, &c, NULL), 0);
    aws_credentials_source_expire(s, c);
    assert_try_get(s, NULL);
    script.fail = true;
    assert_get_fails(s, S3_ERROR_TIMEOUT); /* not the refused ones */
    script.fail = false;
    clock_fake_advance(&w->clock, NS_PER_S);
    assert_get(s, "KEY3");
    /* the reference taken before is still whole */
    assert_string_equal(c->access_key_id, "KEY1");
}

static void test_chain_stops_at_an_error(void **state)
{
    static const struct aws_credentials_provider nothing_chain[] = {
        {"nothing", nothing_load}, {"nothing-either", nothing_load}, {NULL, NULL}};
    struct aws_world *w = *state;
    CLEANUP_SOURCE struct aws_credentials_source *s = NULL;
    CLEANUP_CREDENTIALS struct aws_credentials *c = NULL;
    struct s3_error error = {0};

    assert_int_equal(aws_credentials_source_new(NULL, nothing_chain, &w->clock.clock, &s), 0);
    assert_true(aws_credentials_source_get(s, &c, &error) < 0);
    assert_string_equal(error.message, "no access keys found (looked at: nothing, nothing-either)");
    assert_int_equal(error.kind, S3_ERROR_NO_CREDENTIALS);
}

/* ---- threads ---- */

struct getter {
    pthread_t thread;
    struct aws_credentials_source *s;
    pthread_barrier_t *start; /* may be NULL */
    int r;
    char id[16];
};

static void *get_once(void *arg)
{
    struct getter *g = arg;
    struct aws_credentials *c = NULL;

    if (g->start)
        pthread_barrier_wait(g->start);
    g->r = aws_credentials_source_get(g->s, &c, NULL);
    if (g->r == 0)
        snprintf(g->id, sizeof(g->id), "%s", c->access_key_id);
    aws_credentials_unref(c);
    return NULL;
}

static void start_getter(struct getter *g, struct aws_credentials_source *s,
                         pthread_barrier_t *start)
{
    *g = (struct getter){.s = s, .start = start};
    assert_int_equal(pthread_create(&g->thread, NULL, get_once, g), 0);
}

static void run_many(struct aws_credentials_source *s, struct getter *getters, unsigned n)
{
    pthread_barrier_t start;

    assert_int_equal(pthread_barrier_init(&start, NULL, n), 0);
    for (unsigned i = 0; i < n; i++)
        start_getter(&getters[i], s, &start);
    wait_for_loads(1);
    set_gate(false);
    for (unsigned i = 0; i < n; i++)
        pthread_join(getters[i].thread, NULL);
    pthread_barrier_destroy(&start);
}

static void test_many_threads_load_once(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_SOURCE struct aws_credentials_source *s = script_source(w, 60 * MINUTE);
    struct getter getters[8];

    script.gate = true;
    run_many(s, getters, ARRAY_SIZE(getters));
    for (size_t i = 0; i < ARRAY_SIZE(getters); i++) {
        assert_int_equal(getters[i].r, 0);
        assert_string_equal(getters[i].id, "KEY1");
    }
    assert_int_equal(script.loads, 1);
}

static void test_many_threads_fail_once(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_SOURCE struct aws_credentials_source *s = script_source(w, 60 * MINUTE);
    struct getter getters[8];

    script.gate = true;
    script.fail = true;
    run_many(s, getters, ARRAY_SIZE(getters));
    for (size_t i = 0; i < ARRAY_SIZE(getters); i++)
        assert_true(getters[i].r < 0);
    assert_int_equal(script.loads, 1);
}

/* While one thread refreshes in the advisory window, the others go on with the old keys. */
static void test_advisory_does_not_wait(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_SOURCE struct aws_credentials_source *s = script_source(w, 60 * MINUTE);
    struct getter refresher;

    assert_get(s, "KEY1");
    clock_fake_advance(&w->clock, 46 * MINUTE);
    set_gate(true);
    start_getter(&refresher, s, NULL);
    wait_for_loads(2);
    assert_get(s, "KEY1"); /* would hang here if it waited */
    assert_try_get(s, "KEY1");
    set_gate(false);
    pthread_join(refresher.thread, NULL);
    assert_string_equal(refresher.id, "KEY2");
    assert_get(s, "KEY2");
    assert_int_equal(script.loads, 2);
}

/* In the mandatory window they wait: nobody gets the old keys any more. */
static void test_mandatory_waits(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_SOURCE struct aws_credentials_source *s = script_source(w, 60 * MINUTE);
    struct getter refresher, waiter;

    assert_get(s, "KEY1");
    clock_fake_advance(&w->clock, 51 * MINUTE);
    set_gate(true);
    start_getter(&refresher, s, NULL);
    wait_for_loads(2);
    start_getter(&waiter, s, NULL);
    assert_try_get(s, NULL);
    set_gate(false);
    pthread_join(refresher.thread, NULL);
    pthread_join(waiter.thread, NULL);
    assert_string_equal(refresher.id, "KEY2");
    assert_string_equal(waiter.id, "KEY2");
    assert_int_equal(script.loads, 2);
}

struct churner {
    pthread_t thread;
    struct aws_credentials_source *s;
    struct clock_fake *clock;
    unsigned wrong;
};

static void *churn(void *arg)
{
    struct churner *t = arg;

    for (unsigned i = 0; i < 2000; i++) {
        struct aws_credentials *c = NULL;

        if (aws_credentials_source_get(t->s, &c, NULL) < 0) {
            t->wrong++;
            continue;
        }
        if (memcmp(c->access_key_id, "KEY", 3) != 0)
            t->wrong++;
        if (i % 50 == 0)
            aws_credentials_source_expire(t->s, c);
        if (i % 7 == 0)
            clock_fake_advance(t->clock, 10 * NS_PER_S);
        aws_credentials_unref(c);
    }
    return NULL;
}

/* For the sanitizers: everything at once. */
static void test_churn(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_SOURCE struct aws_credentials_source *s = script_source(w, 60 * MINUTE);
    struct churner churners[4];

    for (size_t i = 0; i < ARRAY_SIZE(churners); i++) {
        churners[i] = (struct churner){.s = s, .clock = &w->clock};
        assert_int_equal(pthread_create(&churners[i].thread, NULL, churn, &churners[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(churners); i++) {
        pthread_join(churners[i].thread, NULL);
        assert_int_equal(churners[i].wrong, 0);
    }
    assert_in_range(script.loads, 2, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AWS_WORLD_TEST(test_refresh_windows),
        AWS_WORLD_TEST(test_no_expiry_loads_once),
        AWS_WORLD_TEST(test_failing_refresh_keeps_good_keys),
        AWS_WORLD_TEST(test_short_lived_keys),
        AWS_WORLD_TEST(test_expired_on_arrival),
        AWS_WORLD_TEST(test_refused_by_the_server),
        AWS_WORLD_TEST(test_chain_stops_at_an_error),
        AWS_WORLD_TEST(test_many_threads_load_once),
        AWS_WORLD_TEST(test_many_threads_fail_once),
        AWS_WORLD_TEST(test_advisory_does_not_wait),
        AWS_WORLD_TEST(test_mandatory_waits),
        AWS_WORLD_TEST(test_churn),
    };

    return cmocka_run_group_tests_name("credentials_source", tests, NULL, NULL);
}
