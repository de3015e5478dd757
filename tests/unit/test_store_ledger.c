/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads are known to the next life, and those that nobody finished are aborted; nobody else's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/log.h"
#include "meta/store_ledger.h"
#include "store/store_count.h"
#include "store/store_fault.h"
#include "store/store_memory.h"
#include "tempfolder.h"

struct bed {
    char *folder;
    struct clock_fake local, server;
    struct store *memory, *fault, *ledger;
    struct state *st;
    atomic_bool stop;
};

static void open_state(struct bed *b)
{
    struct state_options o = {
        .path = b->folder, .endpoint = "e", .bucket = "b", .prefix = "", .clock = &b->local.clock};
    struct s3_error err = {0};

    if (state_open(&o, &b->st, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(store_ledger_new(b->fault, b->st, &b->local.clock, &b->ledger), 0);
}

static int setup(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));
    struct store_memory_options o = {.clock = &b->server.clock, .part_size_min = 1};

    log_set_level(LOG_LEVEL_ERROR);
    clock_fake_init(&b->local, 1000000 * NS_PER_S);
    clock_fake_init(&b->server, 1000777 * NS_PER_S); /* clocks differ */
    assert_int_equal(store_memory_new(&o, &b->memory), 0);
    assert_int_equal(store_fault_new(b->memory, &b->local.clock, &b->fault), 0);
    b->folder = tempfolder_make();
    open_state(b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;

    store_free(b->ledger);
    state_close(b->st);
    tempfolder_remove(b->folder);
    free(b);
    return 0;
}

/* The process dies and the next mount begins; the ledger object stays, as it holds nothing. */
static void next_life(struct bed *b)
{
    struct state_options o = {
        .path = b->folder, .endpoint = "e", .bucket = "b", .prefix = "", .clock = &b->local.clock};
    struct store *old = b->ledger;

    state_close(b->st);
    assert_int_equal(state_open(&o, &b->st, NULL), 0);
    assert_int_equal(store_ledger_new(b->fault, b->st, &b->local.clock, &b->ledger), 0);
    free(old); /* not what it wraps */
    store_fault_clear(b->fault);
    clock_fake_advance(&b->local, 60 * NS_PER_S);
    clock_fake_advance(&b->server, 60 * NS_PER_S);
}

static struct store_ledger_recovery recover(struct bed *b)
{
    struct store_ledger_recovery figures;

    store_ledger_recover(b->ledger, &b->stop, &figures);
    return figures;
}

static int create(struct store *s, const char *key, struct store_upload *u)
{
    struct store_upload_create_in in = {.key = key};

    return store_call(s, STORE_UPLOAD_CREATE, &in, u, NULL);
}

static void part(struct store *s, const char *key, const struct store_upload *u,
                 struct store_part *ret)
{
    struct iovec iov = {(void *)"x", 1};
    struct store_upload_part_in in = {
        .key = key, .upload_id = u->id, .number = 1, .body = &iov, .n_body = 1};

    assert_int_equal(store_call(s, STORE_UPLOAD_PART, &in, ret, NULL), 0);
}

static int complete(struct store *s, const char *key, const struct store_upload *u,
                    const struct store_part *p)
{
    struct store_upload_complete_in in = {.key = key, .upload_id = u->id, .parts = p, .n_parts = 1};
    struct store_version v;

    return store_call(s, STORE_UPLOAD_COMPLETE, &in, &v, NULL);
}

static uint64_t noted(struct bed *b)
{
    uint64_t n = 99;

    assert_int_equal(state_upload_count(b->st, &n), 0);
    return n;
}

static void what_ends_is_forgotten(void **state)
{
    struct bed *b = *state;
    struct store_upload one, two;
    struct store_part p;

    assert_int_equal(create(b->ledger, "a", &one), 0);
    assert_int_equal(create(b->ledger, "b", &two), 0);
    assert_int_equal(noted(b), 2);
    part(b->ledger, "a", &one, &p);
    assert_int_equal(complete(b->ledger, "a", &one, &p), 0);
    assert_int_equal(noted(b), 1);
    struct store_upload_abort_in in = {.key = "b", .upload_id = two.id};
    assert_int_equal(store_call(b->ledger, STORE_UPLOAD_ABORT, &in, NULL, NULL), 0);
    assert_int_equal(noted(b), 0);
    assert_false(state_unfinished(b->st));
}

static void unfinished_is_aborted(void **state)
{
    struct bed *b = *state;
    struct store_upload mine, foreign, now;
    struct store_part p;

    assert_int_equal(create(b->ledger, "k", &mine), 0);
    part(b->ledger, "k", &mine, &p);
    assert_int_equal(create(b->memory, "k", &foreign), 0);
    next_life(b);
    assert_int_equal(create(b->ledger, "k", &now), 0);
    struct store_ledger_recovery f = recover(b);
    assert_int_equal(f.aborted, 1);
    assert_int_equal(f.left, 0);
    assert_int_equal(store_memory_upload_count(b->memory), 2);
    /* Another host's and this life's go on. */
    part(b->memory, "k", &foreign, &p);
    part(b->ledger, "k", &now, &p);
    assert_int_equal(noted(b), 1);
}

static void a_lost_answer_to_complete_is_done(void **state)
{
    struct bed *b = *state;
    struct store_upload u;
    struct store_part p;
    struct store_fault_rule rule = {
        .op = STORE_UPLOAD_COMPLETE, .error = S3_ERROR_TIMEOUT, .lose_answer = true, .count = 1};

    assert_int_equal(create(b->ledger, "k", &u), 0);
    part(b->ledger, "k", &u, &p);
    assert_int_equal(store_fault_add(b->fault, &rule), 0);
    assert_true(complete(b->ledger, "k", &u, &p) < 0);
    assert_int_equal(noted(b), 1);
    next_life(b);
    struct store_ledger_recovery f = recover(b);
    assert_int_equal(f.finished, 1);
    assert_int_equal(f.aborted, 0);
    assert_int_equal(noted(b), 0);
    assert_int_equal(store_memory_object_count(b->memory), 1);
}

static void a_lost_answer_to_create_is_found(void **state)
{
    struct bed *b = *state;
    struct store_upload u, old, with_parts, later;
    struct store_part p;
    struct store_fault_rule rule = {
        .op = STORE_UPLOAD_CREATE, .error = S3_ERROR_TIMEOUT, .lose_answer = true, .count = 1};

    /* Others' uploads of the same key: long before, at the same time with parts, and after. */
    assert_int_equal(create(b->memory, "k", &old), 0);
    clock_fake_advance(&b->local, 600 * NS_PER_S);
    clock_fake_advance(&b->server, 600 * NS_PER_S);
    assert_int_equal(create(b->memory, "k", &with_parts), 0);
    part(b->memory, "k", &with_parts, &p);
    assert_int_equal(store_fault_add(b->fault, &rule), 0);
    assert_true(create(b->ledger, "k", &u) < 0);
    assert_int_equal(noted(b), 1);
    assert_int_equal(store_memory_upload_count(b->memory), 3);
    clock_fake_advance(&b->local, 600 * NS_PER_S);
    clock_fake_advance(&b->server, 600 * NS_PER_S);
    assert_int_equal(create(b->memory, "k", &later), 0);
    next_life(b);
    struct store_ledger_recovery f = recover(b);
    assert_int_equal(f.aborted, 1);
    assert_int_equal(store_memory_upload_count(b->memory), 3);
    part(b->memory, "k", &old, &p);
    part(b->memory, "k", &with_parts, &p);
    part(b->memory, "k", &later, &p);
    assert_int_equal(noted(b), 0);
}

/* The wall clock was set back meanwhile: nothing is found, nothing foreign is touched. */
static void a_clock_that_jumped_aborts_nothing_foreign(void **state)
{
    struct bed *b = *state;
    struct store_upload u, foreign;
    struct store_part p;
    struct store_fault_rule rule = {
        .op = STORE_UPLOAD_CREATE, .error = S3_ERROR_TIMEOUT, .lose_answer = true, .count = 1};

    assert_int_equal(create(b->memory, "k", &foreign), 0);
    clock_fake_advance(&b->local, 600 * NS_PER_S);
    clock_fake_advance(&b->server, 600 * NS_PER_S);
    assert_int_equal(store_fault_add(b->fault, &rule), 0);
    assert_true(create(b->ledger, "k", &u) < 0);
    clock_fake_advance(&b->local, 86400 * NS_PER_S);
    next_life(b);
    struct store_ledger_recovery f = recover(b);
    assert_int_equal(f.aborted, 0);
    part(b->memory, "k", &foreign, &p);
    assert_int_equal(noted(b), 0);
}

static void a_refused_create_leaves_nothing(void **state)
{
    struct bed *b = *state;
    struct store_upload u;
    struct store_fault_rule rule = {
        .op = STORE_UPLOAD_CREATE, .error = S3_ERROR_ACCESS_DENIED, .count = 1};

    assert_int_equal(store_fault_add(b->fault, &rule), 0);
    assert_true(create(b->ledger, "k", &u) < 0);
    next_life(b);
    struct store_ledger_recovery f = recover(b);
    assert_int_equal(f.aborted, 0);
    assert_int_equal(noted(b), 0);
    assert_int_equal(store_memory_upload_count(b->memory), 0);
}

static void what_is_kept_stays(void **state)
{
    struct bed *b = *state;
    struct store_upload u;

    assert_int_equal(create(b->ledger, "k", &u), 0);
    assert_int_equal(state_upload_keep(b->st, u.id, true), 0);
    next_life(b);
    assert_int_equal(recover(b).kept, 1);
    assert_int_equal(store_memory_upload_count(b->memory), 1);
    assert_int_equal(state_upload_keep(b->st, u.id, false), 0);
    next_life(b);
    assert_int_equal(recover(b).aborted, 1);
    assert_int_equal(store_memory_upload_count(b->memory), 0);
}

static void an_outage_leaves_it_to_the_next(void **state)
{
    struct bed *b = *state;
    struct store_upload u;
    struct store_fault_rule rule = {.op = STORE_OP_MAX, .error = S3_ERROR_CONNECT};

    assert_int_equal(create(b->ledger, "k", &u), 0);
    next_life(b);
    assert_int_equal(store_fault_add(b->fault, &rule), 0);
    assert_int_equal(recover(b).left, 1);
    next_life(b);
    assert_int_equal(recover(b).aborted, 1);
    assert_int_equal(noted(b), 0);
}

static void told_to_stop_it_stops(void **state)
{
    struct bed *b = *state;
    struct store_upload u;

    assert_int_equal(create(b->ledger, "k", &u), 0);
    next_life(b);
    atomic_store(&b->stop, true);
    assert_int_equal(recover(b).aborted, 0);
    assert_int_equal(noted(b), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_ends_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(unfinished_is_aborted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_answer_to_complete_is_done, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_answer_to_create_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_jumped_aborts_nothing_foreign, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_refused_create_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_kept_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(an_outage_leaves_it_to_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(told_to_stop_it_stops, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
