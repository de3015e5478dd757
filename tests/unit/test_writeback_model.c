/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations on a store with write-back and on a plain one: the same answers, the same
 * listings in pages of every size, the same objects in the end; while changes are sent at random
 * moments, requests fail, and the process is killed and started again. The seed is printed. */
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
#include "base/strbuf.h"
#include "journal_memory.h"
#include "store/store_fault.h"
#include "store/store_memory.h"
#include "writeback/writeback.h"

#define N_KEYS 18
static const char *const KEYS[N_KEYS] = {"a",     "a/",  "a/b", "a/c", "a0",     "b/x/1",
                                         "b/x/2", "b/y", "b0",  "c",   "c/d/e/", "c/d/e/f",
                                         "d",     "d/1", "d/2", "d/3", "d/4",    "z"};

struct etags { /* of the versions of a key, as each store told them; "" = absent */
    char model[STORE_ETAG_SIZE];
    char real[STORE_ETAG_SIZE];
};

struct world {
    char dir[64];
    struct clock_fake clock;
    struct store *memory, *fault, *wb, *model;
    struct journal_disk *disk;
    struct etags etags[N_KEYS];
    uint64_t seed;
    unsigned conflicts;
    unsigned step;
};

static unsigned pick(struct world *w, unsigned n)
{
    w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(w->seed >> 33) % n;
}

static int keep(void *ctx, const struct writeback_lost *l)
{
    ((struct world *)ctx)->conflicts++;
    return 0;
}

static void open_wb(struct world *w)
{
    struct store_fault_rule flaky = {.op = STORE_OP_MAX, .every = 7, .error = S3_ERROR_SERVER};
    struct writeback_options o = {.inner = w->fault,
                                  .journal = journal_memory_new(w->disk),
                                  .dir = w->dir,
                                  .clock = &w->clock.clock,
                                  .linger_ns = 4ull * NS_PER_S,
                                  .lost = keep,
                                  .ctx = w};
    assert_int_equal(writeback_new(&o, &w->wb, NULL), 0);
    store_fault_clear(w->fault); /* of the process before */
    flaky.op = STORE_PUT;        /* what is asked at the call is not tried again by anybody */
    assert_int_equal(store_fault_add(w->fault, &flaky), 0);
    flaky.lose_answer = true;
    assert_int_equal(store_fault_add(w->fault, &flaky), 0);
    flaky.op = STORE_COPY;
    assert_int_equal(store_fault_add(w->fault, &flaky), 0);
    flaky.op = STORE_DELETE_MANY;
    assert_int_equal(store_fault_add(w->fault, &flaky), 0);
}

static void open_world(struct world *w, uint64_t seed, unsigned threads)
{
    *w = (struct world){.seed = seed};
    snprintf(w->dir, sizeof(w->dir), "/tmp/test_writeback.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    clock_fake_init(&w->clock, 1700000000ll * NS_PER_S);
    struct store_memory_options o = {.threads = threads, .clock = &w->clock.clock, .page_size = 3};
    assert_int_equal(store_memory_new(&o, &w->memory), 0);
    assert_int_equal(store_fault_new(w->memory, &w->clock.clock, &w->fault), 0);
    o.threads = 0;
    assert_int_equal(store_memory_new(&o, &w->model), 0);
    w->disk = journal_disk_new();
    open_wb(w);
}

static void drain(struct world *w)
{
    for (int i = 0; i < 2000; i++) {
        if (writeback_settle(w->wb))
            return;
        clock_fake_advance(&w->clock, 31ull * NS_PER_S);
    }
    fail_msg("the queue does not drain");
}

static void compare_results(struct world *w, const char *what, const char *key, int model, int real)
{
    if (model != real)
        fail_msg("step %u: %s '%s': %d, with write-back %d", w->step, what, key, model, real);
}

/* A condition: none, absent, the version that is there, or one that is not. */
static void conditions(struct world *w, unsigned k, const char **model, const char **real,
                       bool *absent)
{
    *model = *real = NULL;
    *absent = false;
    switch (pick(w, 4)) {
    case 0:
        /* Only where it decides something here: else it is held against the store later. */
        *absent = !w->etags[k].model[0];
        break;
    case 1:
        if (w->etags[k].model[0]) {
            *model = w->etags[k].model;
            *real = w->etags[k].real;
        }
        break;
    default:
        break;
    }
}

static void do_put(struct world *w)
{
    static char body[70000];
    unsigned k = pick(w, N_KEYS);
    size_t len = pick(w, 12) == 0 ? 66000 + pick(w, 3000) : pick(w, 40);
    memset(body, 'a' + (int)pick(w, 26), len);
    struct iovec iov = {body, len};
    char mode[8];
    snprintf(mode, sizeof(mode), "%u", pick(w, 100));
    struct store_metadata m = {"mode", mode};
    struct store_put_in in = {.key = KEYS[k],
                              .body = &iov,
                              .n_body = 1,
                              .attrs = {.metadata = &m, .n_metadata = pick(w, 2)}};
    struct store_version a = {{0}}, b = {{0}};
    const char *real;
    conditions(w, k, &in.if_match, &real, &in.if_absent);
    int r = store_put(w->model, &in, &a, NULL);
    in.if_match = real;
    compare_results(w, "put", KEYS[k], r, store_put(w->wb, &in, &b, NULL));
    if (r == 0) {
        memcpy(w->etags[k].model, a.etag, sizeof(a.etag));
        memcpy(w->etags[k].real, b.etag, sizeof(b.etag));
    }
}

static void do_copy(struct world *w)
{
    unsigned from = pick(w, N_KEYS), to = pick(w, 3) ? pick(w, N_KEYS) : from;
    char mode[8];
    snprintf(mode, sizeof(mode), "%u", pick(w, 100));
    struct store_metadata m = {"mode", mode};
    struct store_copy_in in = {.source_key = KEYS[from],
                               .key = KEYS[to],
                               .replace_attrs = from == to || pick(w, 2),
                               .attrs = {.metadata = &m, .n_metadata = 1}};
    struct store_version a = {{0}}, b = {{0}};
    const char *real;
    bool pinned = w->etags[from].model[0] && pick(w, 2);
    conditions(w, to, &in.if_match, &real, &in.if_absent);
    in.source_if_match = pinned ? w->etags[from].model : NULL;
    int r = store_copy(w->model, &in, &a, NULL);
    in.source_if_match = pinned ? w->etags[from].real : NULL;
    in.if_match = real;
    compare_results(w, "copy", KEYS[to], r, store_copy(w->wb, &in, &b, NULL));
    if (r == 0) {
        memcpy(w->etags[to].model, a.etag, sizeof(a.etag));
        memcpy(w->etags[to].real, b.etag, sizeof(b.etag));
    }
}

static void do_delete(struct world *w)
{
    unsigned k = pick(w, N_KEYS);
    bool pinned = w->etags[k].model[0] && pick(w, 2);
    int r = store_delete(w->model, KEYS[k], pinned ? w->etags[k].model : NULL, NULL);
    compare_results(w, "delete", KEYS[k], r,
                    store_delete(w->wb, KEYS[k], pinned ? w->etags[k].real : NULL, NULL));
    w->etags[k] = (struct etags){{0}, {0}};
}

static void do_delete_many(struct world *w)
{
    const char *keys[4], *model_etags[4], *real_etags[4];
    struct etags etags[4];
    struct store_delete_many_in in = {.keys = keys, .n_keys = 1 + pick(w, 4)};
    struct store_delete_many_out out;
    for (size_t i = 0; i < in.n_keys; i++) {
        unsigned k = pick(w, N_KEYS);
        keys[i] = KEYS[k];
        etags[i] = w->etags[k];
        bool pinned = etags[i].model[0] && pick(w, 2);
        model_etags[i] = pinned ? etags[i].model : NULL;
        real_etags[i] = pinned ? etags[i].real : NULL;
        w->etags[k] = (struct etags){{0}, {0}};
    }
    in.etags = model_etags;
    assert_int_equal(store_call(w->model, STORE_DELETE_MANY, &in, &out, NULL), 0);
    size_t refused = out.n_failures;
    store_delete_many_out_done(&out);
    in.etags = real_etags;
    assert_int_equal(store_call(w->wb, STORE_DELETE_MANY, &in, &out, NULL), 0);
    assert_int_equal(out.n_failures, refused);
    store_delete_many_out_done(&out);
}

static int take(void *ctx, const void *data, size_t len)
{
    return strbuf_append(ctx, data, len);
}

static int get(struct store *s, const char *key, const char *etag, uint64_t offset, uint64_t length,
               struct strbuf *to, char told[STORE_ETAG_SIZE])
{
    struct store_sink sink = {NULL, take, to};
    struct store_get_in in = {
        .key = key, .offset = offset, .length = length, .if_match = etag, .sink = &sink};
    struct store_object o;
    int r = store_get(s, &in, &o, NULL);
    if (r == 0) {
        snprintf(told, STORE_ETAG_SIZE, "%s", o.etag);
        (void)strbuf_appendf(to, "|%llu|%zu|%s", (unsigned long long)o.size, o.attrs.n_metadata,
                             o.attrs.n_metadata ? o.attrs.metadata[0].value : "");
        store_object_done(&o);
    }
    return r;
}

static void do_get(struct world *w)
{
    unsigned k = pick(w, N_KEYS);
    CLEANUP_STRBUF struct strbuf a = STRBUF_INIT(1 << 20), b = STRBUF_INIT(1 << 20);
    uint64_t offset = pick(w, 30), length = pick(w, 3) ? pick(w, 60) : 0;
    char told[STORE_ETAG_SIZE] = "";
    bool pinned = w->etags[k].model[0] && pick(w, 2);
    if (!length)
        offset = 0;
    int r = get(w->model, KEYS[k], pinned ? w->etags[k].model : NULL, offset, length, &a, told);
    compare_results(
        w, "get", KEYS[k], r,
        get(w->wb, KEYS[k], pinned ? w->etags[k].real : NULL, offset, length, &b, told));
    assert_string_equal(strbuf_str(&a), strbuf_str(&b));
    if (r == 0)
        assert_string_equal(told, w->etags[k].real);
}

/* All pages as one text: entries with their sizes, prefixes. */
static void list(struct store *s, const struct store_list_in *how, struct strbuf *to)
{
    struct store_list_in in = *how;
    CLEANUP_FREE char *token = NULL;
    CLEANUP_STRBUF struct strbuf prefixes = STRBUF_INIT(1 << 20);
    for (int pages = 0; pages < 200; pages++) {
        struct store_page page;
        in.token = token;
        assert_int_equal(store_list(s, &in, &page, NULL), 0);
        assert_true(page.n_entries + page.n_prefixes <= (in.max_keys ? in.max_keys : 1000));
        for (size_t i = 0; i < page.n_entries; i++)
            (void)strbuf_appendf(to, "%s %llu\n", page.entries[i].key,
                                 (unsigned long long)page.entries[i].size);
        for (size_t i = 0; i < page.n_prefixes; i++)
            (void)strbuf_appendf(&prefixes, "%s\n", page.prefixes[i]);
        free(token);
        token = page.next_token ? strdup(page.next_token) : NULL;
        store_page_done(&page);
        if (!token)
            break;
    }
    assert_null(token);
    (void)strbuf_append_str(to, strbuf_str(&prefixes));
}

static void do_list(struct world *w)
{
    static const char *const PREFIXES[] = {"", "a", "a/", "b/", "b/x/", "c/d/", "d", "nothing"};
    CLEANUP_STRBUF struct strbuf a = STRBUF_INIT(1 << 20), b = STRBUF_INIT(1 << 20);
    struct store_list_in in = {.prefix = PREFIXES[pick(w, ARRAY_SIZE(PREFIXES))],
                               .delimited = pick(w, 2),
                               .max_keys = pick(w, 6)};
    if (pick(w, 4) == 0)
        in.start_after = KEYS[pick(w, N_KEYS)];
    list(w->model, &in, &a);
    list(w->wb, &in, &b);
    if (strcmp(strbuf_str(&a), strbuf_str(&b)) != 0)
        fail_msg("step %u: list of '%s'%s after '%s', pages of %u:\n%s-- with write-back:\n%s",
                 w->step, in.prefix, in.delimited ? " delimited" : "",
                 in.start_after ? in.start_after : "", in.max_keys, strbuf_str(&a), strbuf_str(&b));
}

/* Some of what is pending goes, at its own pace. */
static void let_go(struct world *w)
{
    clock_fake_advance(&w->clock, (1 + pick(w, 6)) * (uint64_t)NS_PER_S);
    writeback_kick(w->wb);
}

/* Ends without storing what is pending; what is on the disk is taken up. */
static void restart(struct world *w)
{
    writeback_leave(w->wb);
    open_wb(w);
}

static void same_answers(uint64_t seed, unsigned threads)
{
    struct world w;
    open_world(&w, seed, threads);
    for (w.step = 0; w.step < 1500; w.step++) {
        switch (pick(&w, 16)) {
        case 0:
        case 1:
        case 2:
        case 3:
            do_put(&w);
            break;
        case 4:
        case 5:
            do_copy(&w);
            break;
        case 6:
        case 7:
            do_delete(&w);
            break;
        case 8:
            do_delete_many(&w);
            break;
        case 9:
        case 10:
            do_get(&w);
            break;
        case 11:
        case 12:
        case 13:
            do_list(&w);
            break;
        case 14:
            let_go(&w);
            break;
        default:
            if (pick(&w, 10) == 0)
                restart(&w);
            else if (pick(&w, 10) == 0)
                drain(&w);
            break;
        }
    }
    drain(&w);
    assert_int_equal(journal_disk_rows(w.disk), 0);
    CLEANUP_STRBUF struct strbuf a = STRBUF_INIT(1 << 20), b = STRBUF_INIT(1 << 20);
    struct store_list_in all = {.prefix = ""};
    list(w.model, &all, &a);
    list(w.memory, &all, &b);
    assert_string_equal(strbuf_str(&a), strbuf_str(&b));
    assert_int_equal(w.conflicts, 0);
    struct writeback_stats st;
    writeback_stats(w.wb, &st);
    assert_int_equal(st.conflicts, 0);
    assert_int_equal(st.bytes, 0);
    store_free(w.wb);
    store_free(w.model);
    journal_disk_free(w.disk);
    char command[128];
    snprintf(command, sizeof(command), "rmdir %s", w.dir); /* no file is left in it */
    assert_int_equal(system(command), 0);
}

static void random_operations(void **state)
{
    const char *text = getenv("SEED");
    uint64_t first = text ? strtoull(text, NULL, 10) : 1;
    unsigned n = text ? 1 : 6;
    for (unsigned i = 0; i < n; i++) {
        print_message("seed %llu\n", (unsigned long long)(first + i));
        same_answers(first + i, (first + i) % 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_operations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
