/* SPDX-License-Identifier: Apache-2.0 */
/* Readers: exact requests, one version only, cut and failed transfers, several threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "data_bed.h"

#define SEED 11

static void small_object_is_one_get(void **state)
{
    for (unsigned threads = 0; threads < 2; threads++) {
        struct bed b;
        bed_open(&b, threads, NULL, NULL);
        struct store_version v;
        bed_put(&b, "f", SEED, 100000, &v);
        struct reader *r = bed_open_reader(&b, "f", v.etag, 100000);
        assert_int_equal(bed_read_check(r, SEED, 50000, 4096, 4096), 0);
        for (uint64_t at = 0; at < 100000; at += 30000)
            assert_int_equal(bed_read_check(r, SEED, at, 30000, MIN(30000, 100000 - at)), 0);
        assert_int_equal(bed_read_check(r, SEED, 99999, 100, 1), 0);
        assert_int_equal(bed_read_check(r, SEED, 100000, 100, 0), 0);
        assert_int_equal(bed_read_check(r, SEED, 1ull << 60, 100, 0), 0);
        bed_assert_requests(&b, "get 1");
        reader_free(r);
        bed_close(&b);
    }
}

/* One request of 1 MiB to start with, then as many as may be under way at the same time, of a size
 * that grows to whole parts; nothing twice. */
static void sequential_read_of_64_mib(void **state)
{
    for (unsigned threads = 0; threads < 5; threads += 2) {
        static const size_t STEP[] = {4096 * 11, 128 * 1024, 1024 * 1024};
        for (size_t s = threads ? 1 : 0; s < (threads ? 2 : ARRAY_SIZE(STEP)); s++) {
            struct bed b;
            bed_open(&b, threads, NULL, NULL);
            struct store_version v;
            bed_put(&b, "f", SEED, 64 * MIB, &v);
            struct reader *r = bed_open_reader(&b, "f", v.etag, 64 * MIB);
            for (uint64_t at = 0; at < 64 * MIB; at += STEP[s])
                assert_int_equal(bed_read_check(r, SEED, at, STEP[s], MIN(STEP[s], 64 * MIB - at)),
                                 0);
            struct store_count_figures f;
            store_count_get(b.store, STORE_GET, &f);
            assert_int_equal(f.bytes, 64 * MIB);
            assert_true(f.requests <= 70);
            assert_true(f.running_max <= 32);
            reader_free(r);
            bed_close(&b);
        }
    }
}

struct ranges {
    struct {
        uint64_t offset, length;
        bool conditional;
    } get[256];
    atomic_uint n; /* readers may be several threads */
};

static void note_range(void *ctx, enum store_op op, const void *in)
{
    struct ranges *g = ctx;
    if (op != STORE_GET)
        return;
    const struct store_get_in *get = in;
    unsigned i = atomic_fetch_add(&g->n, 1);
    assert_true(i < ARRAY_SIZE(g->get));
    g->get[i].offset = get->offset;
    g->get[i].length = get->length;
    g->get[i].conditional = get->if_match != NULL;
}

static void random_read_is_right_sized(void **state)
{
    struct ranges g = {0};
    struct store_count_options c = {.observe = note_range, .ctx = &g};
    struct bed b;
    bed_open(&b, 0, NULL, &c);
    struct store_version v;
    bed_put(&b, "f", SEED, 64 * MIB, &v);
    static const uint64_t AT[] = {10 * MIB, 30 * MIB + 4096, 5 * MIB + 130000,
                                  40 * MIB, 64 * MIB - 4096, 20 * MIB + 131072 - 100};
    for (size_t i = 0; i < ARRAY_SIZE(AT); i++) {
        struct reader *r = bed_open_reader(&b, "f", v.etag, 64 * MIB);
        store_count_reset(b.store);
        assert_int_equal(bed_read_check(r, SEED, AT[i], 4096, 4096), 0);
        bed_assert_requests(&b, "get 1");
        struct store_count_figures f;
        store_count_get(b.store, STORE_GET, &f);
        assert_true(f.bytes <= 128 * KIB);
        reader_free(r);
    }
    /* Through one handle, and each after the first under the condition. */
    struct reader *r = bed_open_reader(&b, "f", v.etag, 64 * MIB);
    store_count_reset(b.store);
    g.n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(AT); i++)
        assert_int_equal(bed_read_check(r, SEED, AT[i], 4096, 4096), 0);
    bed_assert_requests(&b, "get 6");
    for (unsigned i = 0; i < g.n; i++) {
        assert_true(g.get[i].length <= 128 * KIB);
        assert_true(g.get[i].conditional == (i > 0));
    }
    /* A large one gets what it asks for. */
    assert_int_equal(bed_read_check(r, SEED, 50 * MIB + 1000, MIB, MIB), 0);
    assert_int_equal(g.get[g.n - 1].offset, 50 * MIB + 1000);
    assert_int_equal(g.get[g.n - 1].length, MIB);
    reader_free(r);
    bed_close(&b);
}

/* The kernel's requests arrive in any order near the front. */
static void reordered_readahead_is_sequential(void **state)
{
    struct bed b;
    bed_open(&b, 2, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 64 * MIB, &v);
    struct reader *r = bed_open_reader(&b, "f", v.etag, 64 * MIB);
    for (uint64_t at = 0; at < 64 * MIB; at += 8 * 128 * KIB) {
        static const int ORDER[8] = {1, 0, 3, 2, 6, 7, 4, 5};
        for (int i = 0; i < 8; i++)
            assert_int_equal(
                bed_read_check(r, SEED, at + (uint64_t)ORDER[i] * 128 * KIB, 128 * KIB, 128 * KIB),
                0);
    }
    assert_true(store_count_requests(b.store, STORE_GET) <= 70);
    reader_free(r);
    bed_close(&b);
}

/* Nor is what a late one of them wants given up: the first of 4 MiB may come after the last of the
 * next 4. */
static void late_readahead_is_not_fetched_again(void **state)
{
    static const int ORDER[][8] = {{1, 2, 3, 4, 5, 6, 7, 0},
                                   {7, 0, 1, 2, 3, 4, 5, 6},
                                   {4, 5, 6, 7, 0, 1, 2, 3},
                                   {6, 7, 4, 5, 2, 3, 0, 1}};
    for (unsigned threads = 0; threads < 3; threads += 2) {
        struct bed b;
        bed_open(&b, threads, NULL, NULL);
        struct store_version v;
        bed_put(&b, "f", SEED, 96 * MIB, &v);
        struct reader *r = bed_open_reader(&b, "f", v.etag, 96 * MIB);
        for (uint64_t at = 0; at < 8 * MIB; at += MIB)
            assert_int_equal(bed_read_check(r, SEED, at, MIB, MIB), 0);
        for (uint64_t at = 8 * MIB; at < 96 * MIB; at += 8 * MIB)
            for (int i = 0; i < 8; i++) {
                uint64_t late = (uint64_t)ORDER[at / (8 * MIB) % ARRAY_SIZE(ORDER)][i] * MIB;
                assert_int_equal(bed_read_check(r, SEED, at + late, MIB, MIB), 0);
            }
        struct store_count_figures f;
        store_count_get(b.store, STORE_GET, &f);
        assert_int_equal(f.bytes, 96 * MIB);
        reader_free(r);
        bed_close(&b);
    }
}

struct changed {
    int calls;
    uint64_t size;
    char etag[STORE_ETAG_SIZE];
};

static void on_change(void *ctx, const struct store_object *o)
{
    struct changed *c = ctx;
    c->calls++;
    c->size = o->size;
    snprintf(c->etag, sizeof(c->etag), "%s", o->etag);
}

/* The hint is wrong: the object grew, shrank, or was emptied since it was listed. */
static void wrong_hints(void **state)
{
    static const uint64_t SIZES[] = {0, 1, 1000, 900000, 5 * MIB};
    for (size_t hint = 0; hint < ARRAY_SIZE(SIZES); hint++)
        for (size_t real = 0; real < ARRAY_SIZE(SIZES); real++)
            for (int at_end = 0; at_end < 2; at_end++) {
                struct bed b;
                bed_open(&b, 1, NULL, NULL);
                struct store_version v;
                bed_put(&b, "f", SEED, SIZES[real], &v);
                struct changed c = {0};
                struct reader_options o = {.key = "f",
                                           .size = SIZES[hint],
                                           .etag = "\"old\"",
                                           .version_changed = on_change,
                                           .ctx = &c};
                struct reader *r = NULL;
                assert_int_equal(reader_new(b.data, &o, &r), 0);
                uint64_t from = at_end && SIZES[hint] > 100 ? SIZES[hint] - 100 : 0;
                uint64_t left = from < SIZES[real] ? SIZES[real] - from : 0;
                assert_int_equal(bed_read_check(r, SEED, from, 4096, MIN(left, 4096)), 0);
                assert_int_equal(c.calls, 1);
                assert_int_equal(c.size, SIZES[real]);
                assert_string_equal(c.etag, v.etag);
                assert_int_equal(bed_read_check(r, SEED, 0, 6 * MIB, SIZES[real]), 0);
                assert_int_equal(c.calls, 1);
                reader_free(r);
                bed_close(&b);
            }
}

static void no_hint_at_all(void **state)
{
    static const uint64_t SIZES[] = {0, 1, 3 * MIB};
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(SIZES); i++) {
        bed_put(&b, "f", SEED, SIZES[i], NULL);
        struct changed c = {0};
        struct reader_options o = {.key = "f", .version_changed = on_change, .ctx = &c};
        struct reader *r = NULL;
        assert_int_equal(reader_new(b.data, &o, &r), 0);
        assert_int_equal(bed_read_check(r, SEED, 0, 4096, MIN(SIZES[i], 4096)), 0);
        assert_int_equal(c.calls, 1);
        reader_free(r);
    }
    struct reader *r = bed_open_reader(&b, "none", NULL, 0);
    assert_int_equal(bed_read_check(r, SEED, 0, 4096, 0), -ENOENT);
    /* It may come into being. */
    bed_put(&b, "none", SEED, 10, NULL);
    assert_int_equal(bed_read_check(r, SEED, 0, 4096, 10), 0);
    reader_free(r);
    r = bed_open_reader(&b, "gone", "\"x\"", 10);
    assert_int_equal(bed_read_check(r, SEED, 0, 4096, 0), -ENOENT);
    reader_free(r);
    bed_close(&b);
}

/* Replaced before the first read: the new version. After it: ESTALE, never a mix. */
static void replaced_object(void **state)
{
    for (int removed = 0; removed < 2; removed++) {
        struct bed b;
        bed_open(&b, 1, NULL, NULL);
        struct store_version v;
        bed_put(&b, "f", SEED, 30 * MIB, &v);
        struct reader *r = bed_open_reader(&b, "f", v.etag, 30 * MIB);
        bed_put(&b, "f", SEED + 1, 31 * MIB, NULL);
        assert_int_equal(bed_read_check(r, SEED + 1, 0, 1000, 1000), 0);
        if (removed)
            assert_int_equal(store_delete(b.memory, "f", NULL, NULL), 0);
        else
            bed_put(&b, "f", SEED + 2, 31 * MIB, NULL);
        struct s3_error err = {0};
        char buf[100];
        size_t n;
        assert_int_equal(reader_read(r, 20 * MIB, buf, 100, &n, &err), -ESTALE);
        assert_int_equal(n, 0);
        assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
        /* Stays, without another request; what was read before is still that version. */
        store_count_reset(b.store);
        assert_int_equal(bed_read_check(r, SEED + 1, 25 * MIB, 1000, 0), -ESTALE);
        bed_assert_requests(&b, "");
        assert_int_equal(bed_read_check(r, SEED + 1, 0, 1000, 1000), 0);
        reader_free(r);
        bed_close(&b);
    }
}

static void replaced_under_a_sequential_read(void **state)
{
    for (unsigned threads = 0; threads < 3; threads++) {
        struct bed b;
        bed_open(&b, threads, NULL, NULL);
        struct store_version v;
        bed_put(&b, "f", SEED, 100 * MIB, &v);
        struct reader *r = bed_open_reader(&b, "f", v.etag, 100 * MIB);
        int result = 0;
        for (uint64_t at = 0; at < 100 * MIB && !result; at += 128 * KIB) {
            if (at == 20 * MIB)
                bed_put(&b, "f", SEED + 1, 100 * MIB, NULL);
            result = bed_read_check(r, SEED, at, 128 * KIB, 128 * KIB);
        }
        assert_int_equal(result, -ESTALE);
        reader_free(r);
        bed_close(&b);
    }
}

static void cut_transfers(void **state)
{
    for (unsigned threads = 0; threads < 2; threads++) {
        struct bed b;
        bed_open(&b, threads, NULL, NULL);
        struct store_version v;
        bed_put(&b, "f", SEED, 20 * MIB, &v);
        /* Cut in the middle: what came is kept, the rest is asked for again. */
        struct store_fault_rule rule = {.op = STORE_GET,
                                        .every = 2,
                                        .error = S3_ERROR_CONNECT,
                                        .cut = true,
                                        .cut_after = 700000};
        assert_int_equal(store_fault_add(b.fault, &rule), 0);
        struct reader *r = bed_open_reader(&b, "f", v.etag, 20 * MIB);
        for (uint64_t at = 0; at < 20 * MIB; at += 128 * KIB)
            assert_int_equal(bed_read_check(r, SEED, at, 128 * KIB, 128 * KIB), 0);
        assert_true(store_fault_applied(b.fault) > 2);
        reader_free(r);

        /* Nothing comes at all: an error, and the next read tries again. */
        store_fault_clear(b.fault);
        rule = (struct store_fault_rule){.op = STORE_GET, .count = 1, .error = S3_ERROR_TIMEOUT};
        assert_int_equal(store_fault_add(b.fault, &rule), 0);
        r = bed_open_reader(&b, "f", v.etag, 20 * MIB);
        assert_int_equal(bed_read_check(r, SEED, 0, 1000, 1000), -EIO);
        assert_int_equal(bed_read_check(r, SEED, 0, 1000, 1000), 0);
        reader_free(r);

        /* A whole small object is served when all of it came, or not at all. */
        store_fault_clear(b.fault);
        rule = (struct store_fault_rule){.op = STORE_GET,
                                         .count = 1,
                                         .error = S3_ERROR_BAD_RESPONSE,
                                         .cut = true,
                                         .cut_after = 90000};
        assert_int_equal(store_fault_add(b.fault, &rule), 0);
        bed_put(&b, "s", SEED, 100000, &v);
        r = bed_open_reader(&b, "s", v.etag, 100000);
        assert_int_equal(bed_read_check(r, SEED, 0, 1000, 1000), -EIO);
        assert_int_equal(bed_read_check(r, SEED, 0, 1000, 1000), 0);
        assert_int_equal(bed_read_check(r, SEED, 95000, 10000, 5000), 0);
        reader_free(r);
        bed_close(&b);
    }
}

/* All bytes came and do not match the stored checksum: none are served; once more, whole again, and
 * then it is an error. */
static void mismatch_is_tried_once_more(void **state)
{
    for (unsigned times = 1; times < 4; times++)
        for (unsigned threads = 0; threads < 2; threads++) {
            struct ranges g = {0};
            struct store_count_options c = {.observe = note_range, .ctx = &g};
            struct bed b;
            bed_open(&b, threads, NULL, &c);
            struct store_version v;
            bed_put(&b, "s", SEED, 100000, &v);
            struct store_fault_rule rule = {.op = STORE_GET,
                                            .count = times,
                                            .error = S3_ERROR_BAD_RESPONSE,
                                            .cut = true,
                                            .cut_after = 100000};
            assert_int_equal(store_fault_add(b.fault, &rule), 0);
            struct reader *r = bed_open_reader(&b, "s", v.etag, 100000);
            assert_int_equal(bed_read_check(r, SEED, 5000, 1000, 1000), times < 2 ? 0 : -EIO);
            assert_int_equal(g.n, 2);
            assert_int_equal(bed_read_check(r, SEED, 0, 1000, 1000), 0);
            assert_int_equal(g.n, times < 2 ? 2 : times + 1);
            for (unsigned i = 0; i < g.n; i++)
                assert_int_equal(g.get[i].length, 0);
            reader_free(r);
            bed_close(&b);
        }
}

/* A failure of what was only fetched ahead is nobody's error. */
static void failed_prefetch_is_tried_again(void **state)
{
    struct bed b;
    bed_open(&b, 2, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 64 * MIB, &v);
    struct store_fault_rule rule = {
        .op = STORE_GET, .after = 2, .every = 2, .error = S3_ERROR_SERVER};
    assert_int_equal(store_fault_add(b.fault, &rule), 0);
    struct reader *r = bed_open_reader(&b, "f", v.etag, 64 * MIB);
    unsigned failures = 0;
    for (uint64_t at = 0; at < 64 * MIB;) {
        int result = bed_read_check(r, SEED, at, 128 * KIB, 128 * KIB);
        if (result)
            failures++;
        else
            at += 128 * KIB;
        assert_true(failures < 40);
    }
    assert_true(store_fault_applied(b.fault) > 2);
    reader_free(r);
    bed_close(&b);
}

/* A store that gives half of what is asked for and keeps the rest until told. */
struct slow {
    struct store store; /* first */
    uint64_t size;
    struct {
        struct store_get_in in;
        struct store_object *out;
        store_done_fn done;
        void *ctx;
        uint64_t sent;
        int result;
    } get[64];
    unsigned n, cancelled;
};

static void slow_send(struct slow *s, unsigned i, uint64_t until)
{
    static char buf[16 * KIB]; /* as libcurl gives them */
    while (s->get[i].sent < until) {
        uint64_t n = MIN(until - s->get[i].sent, sizeof(buf));
        content_fill(SEED, s->get[i].in.offset + s->get[i].sent, buf, n);
        int result = s->get[i].in.sink->write(s->get[i].in.sink->ctx, buf, n);
        if (result == -ECANCELED) {
            s->cancelled++;
            s->get[i].result = result;
            return;
        }
        assert_int_equal(result, 0);
        s->get[i].sent += n;
    }
}

static int slow_submit(struct store *store, enum store_op op, const void *in, void *out,
                       store_done_fn done, void *ctx)
{
    struct slow *s = (struct slow *)store;
    assert_int_equal(op, STORE_GET);
    unsigned i = s->n++;
    assert_true(i < ARRAY_SIZE(s->get));
    s->get[i].in = *(const struct store_get_in *)in;
    s->get[i].out = out;
    s->get[i].done = done;
    s->get[i].ctx = ctx;
    struct store_object o = {.size = s->size, .etag = "\"v\""};
    assert_true(s->get[i].in.length && s->get[i].in.offset + s->get[i].in.length <= s->size);
    assert_int_equal(s->get[i].in.sink->begin(s->get[i].in.sink->ctx, &o), 0);
    slow_send(s, i, s->get[i].in.length / 2);
    return 0;
}

static void slow_finish(struct slow *s, unsigned i)
{
    slow_send(s, i, s->get[i].in.length);
    *s->get[i].out = (struct store_object){.size = s->size, .etag = "\"v\""};
    s->get[i].done(s->get[i].ctx, s->get[i].result, NULL);
}

static const struct store_ops SLOW_OPS = {.submit = slow_submit};

/* Bytes are served as they arrive, not when the request has ended: none has, here. */
static void served_while_arriving(void **state)
{
    struct slow s = {.store = {&SLOW_OPS}, .size = 64 * MIB};
    struct data_options o = {.store = &s.store, .connections = 8};
    struct data *d = NULL;
    assert_int_equal(data_new(&o, &d), 0);
    struct reader_options ro = {.key = "f", .size = s.size, .etag = "\"v\""};
    struct reader *r = NULL;
    assert_int_equal(reader_new(d, &ro, &r), 0);
    assert_int_equal(bed_read_check(r, SEED, 0, 128 * KIB, 128 * KIB), 0);
    assert_int_equal(s.n, 1);
    /* The second read begins to fetch ahead, beside the first request, which goes on. */
    assert_int_equal(bed_read_check(r, SEED, 128 * KIB, 128 * KIB, 128 * KIB), 0);
    assert_true(s.n >= 3);
    assert_int_equal(s.get[1].in.offset, MIB);
    /* From the half of another request that is there. */
    assert_int_equal(bed_read_check(r, SEED, MIB, 512 * KIB, 512 * KIB), 0);
    assert_int_equal(bed_read_check(r, SEED, 50 * MIB, 10000, 10000), 0);
    reader_free(r);
    /* What is still under way ends into nothing, and soon where much is left of it. */
    for (unsigned i = 0; i < s.n; i++)
        slow_finish(&s, i);
    assert_true(s.cancelled > 0 && s.cancelled < s.n);
    struct data_stats stats;
    data_stats(d, &stats);
    assert_int_equal(stats.memory_used, 0);
    data_free(d);
}

struct background {
    struct reader *r;
    uint64_t offset;
    size_t len;
    uint64_t seed;
    int result;
};

static void *read_in_background(void *arg)
{
    struct background *b = arg;
    b->result = bed_read_check(b->r, b->seed, b->offset, b->len, b->len);
    return NULL;
}

static void wait_for_held(struct bed *b, unsigned n)
{
    for (int i = 0; i < 60000 && store_fault_held(b->fault) < n; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(store_fault_held(b->fault), n);
}

/* Reads beside the first one do not wait for its answer: they go by what the listing told, under a
 * condition. When that was out of date they are sent again for the version that is there. */
static void reads_before_the_first_answer(void **state)
{
    for (int replaced = 0; replaced < 2; replaced++) {
        struct ranges g = {0};
        struct store_count_options c = {.observe = note_range, .ctx = &g};
        struct bed b;
        bed_open(&b, 1, NULL, &c);
        struct store_version v;
        bed_put(&b, "f", SEED, 64 * MIB, &v);
        struct store_fault_rule rule = {.op = STORE_GET, .hold = true};
        struct reader *r = bed_open_reader(&b, "f", v.etag, 64 * MIB);
        if (replaced)
            bed_put(&b, "f", SEED + 1, 50 * MIB, NULL);
        assert_int_equal(store_fault_add(b.fault, &rule), 0);
        struct background t[4];
        pthread_t id[4];
        for (unsigned i = 0; i < 4; i++) {
            t[i] = (struct background){r, (10 + i * 10) * MIB, 4096, SEED + (unsigned)replaced, 0};
            assert_int_equal(pthread_create(&id[i], NULL, read_in_background, &t[i]), 0);
            wait_for_held(&b, i + 1);
        }
        assert_int_equal(g.n, 4);
        for (unsigned i = 0; i < 4; i++)
            assert_true(g.get[i].conditional == (i > 0));
        store_fault_clear(b.fault);
        store_fault_release(b.fault, 0);
        for (unsigned i = 0; i < 4; i++) {
            pthread_join(id[i], NULL);
            assert_int_equal(t[i].result, 0);
        }
        assert_int_equal(g.n, replaced ? 7 : 4);
        reader_free(r);
        bed_close(&b);
    }
}

/* A small object that is read from its start comes in parallel at once. */
static void small_object_in_parallel(void **state)
{
    struct ranges g = {0};
    struct store_count_options c = {.observe = note_range, .ctx = &g};
    for (int replaced = 0; replaced < 2; replaced++) {
        struct bed b;
        bed_open(&b, replaced ? 1 : 0, NULL, &c);
        struct store_version v;
        bed_put(&b, "f", SEED, 5 * MIB, &v);
        struct reader *r = bed_open_reader(&b, "f", v.etag, 5 * MIB);
        if (replaced)
            bed_put(&b, "f", SEED + 1, 5 * MIB + 1, NULL);
        g.n = 0;
        assert_int_equal(bed_read_check(r, SEED + (unsigned)replaced, 0, 512 * KIB, 512 * KIB), 0);
        if (!replaced)
            assert_int_equal(g.n, 5);
        for (uint64_t at = 512 * KIB; at < 5 * MIB; at += 512 * KIB)
            assert_int_equal(bed_read_check(r, SEED + (unsigned)replaced, at, 512 * KIB, 512 * KIB),
                             0);
        if (!replaced)
            assert_int_equal(g.n, 5);
        reader_free(r);
        /* Just a look at its start does not fetch it. */
        r = bed_open_reader(&b, "f", v.etag, 5 * MIB);
        g.n = 0;
        assert_int_equal(bed_read_check(r, SEED + (unsigned)replaced, 0, 16 * KIB, 16 * KIB), 0);
        assert_int_equal(g.n, 1);
        reader_free(r);
        bed_close(&b);
    }
}

/* A reader that goes away leaves nothing behind. */
static void free_while_under_way(void **state)
{
    struct bed b;
    bed_open(&b, 0, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 64 * MIB, &v);
    struct reader *r = bed_open_reader(&b, "f", v.etag, 64 * MIB);
    assert_int_equal(bed_read_check(r, SEED, 0, 128 * KIB, 128 * KIB), 0);
    struct store_fault_rule rule = {.op = STORE_GET, .hold = true};
    assert_int_equal(store_fault_add(b.fault, &rule), 0);
    assert_int_equal(bed_read_check(r, SEED, 128 * KIB, 128 * KIB, 128 * KIB), 0);
    assert_true(store_fault_held(b.fault) >= 2);
    reader_free(r);
    struct data_stats stats;
    data_stats(b.data, &stats);
    assert_true(stats.memory_used > 0);
    store_fault_release(b.fault, 0);
    bed_close(&b);
}

struct thread_read {
    struct reader *r;
    uint64_t from, until;
    uint64_t seed;
    int result;
};

static void *thread_read_run(void *arg)
{
    struct thread_read *t = arg;
    char *buf = malloc(200000);
    for (uint64_t at = t->from; at < t->until && !t->result;) {
        size_t n = 0, want = MIN(t->until - at, 200000u);
        t->result = reader_read(t->r, at, buf, want, &n, NULL);
        if (!t->result && (n != want || !content_is(t->seed, at, buf, n)))
            t->result = -EBADMSG;
        at += n;
    }
    free(buf);
    return NULL;
}

static void two_threads_on_one_handle(void **state)
{
    struct bed b;
    bed_open(&b, 3, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 48 * MIB, &v);
    struct reader *r = bed_open_reader(&b, "f", v.etag, 48 * MIB);
    struct thread_read t[2] = {{.r = r, .from = 0, .until = 24 * MIB, .seed = SEED},
                               {.r = r, .from = 24 * MIB, .until = 48 * MIB, .seed = SEED}};
    pthread_t id[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&id[i], NULL, thread_read_run, &t[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(id[i], NULL);
        assert_int_equal(t[i].result, 0);
    }
    reader_free(r);
    bed_close(&b);
}

/* Two places of one handle, each read sequentially, in turns: both are recognised, so
 * requests are of 4 MiB soon. What the first one fetches ahead of its end is the second one's
 * start: at most its half of the window is fetched twice. */
static void two_streams_on_one_handle(void **state)
{
    struct bed b;
    bed_open(&b, 0, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 96 * MIB, &v);
    struct reader *r = bed_open_reader(&b, "f", v.etag, 96 * MIB);
    for (uint64_t at = 0; at < 48 * MIB; at += 128 * KIB) {
        assert_int_equal(bed_read_check(r, SEED, at, 128 * KIB, 128 * KIB), 0);
        assert_int_equal(bed_read_check(r, SEED, 48 * MIB + at, 128 * KIB, 128 * KIB), 0);
    }
    struct store_count_figures f;
    store_count_get(b.store, STORE_GET, &f);
    assert_true(f.requests <= 130);
    assert_true(f.bytes <= (96 + 40) * MIB);
    reader_free(r);
    bed_close(&b);
}

static void random_pattern(void **state)
{
    uint64_t seed = 20240607, random = seed;
    print_message("# seed %llu\n", (unsigned long long)seed);
    for (unsigned threads = 0; threads < 3; threads += 2) {
        struct data_options o = {.memory_limit = 64 * MIB, .read_part_size = MIB, .parallel = 4};
        struct bed b;
        bed_open(&b, threads, &o, NULL);
        struct store_version v;
        uint64_t size = 13 * MIB + 777;
        bed_put(&b, "f", SEED, size, &v);
        struct store_fault_rule rule = {.op = STORE_GET,
                                        .after = 3,
                                        .every = 17,
                                        .error = S3_ERROR_CONNECT,
                                        .cut = true,
                                        .cut_after = 50000};
        assert_int_equal(store_fault_add(b.fault, &rule), 0);
        struct reader *r = bed_open_reader(&b, "f", v.etag, size);
        uint64_t at = 0;
        for (int i = 0; i < 1500; i++) {
            if (next_random(&random) % 4 == 0)
                at = next_random(&random) % (size + 10000);
            else if (next_random(&random) % 8 == 0 && at > 100000)
                at -= 100000;
            size_t len = 1 + next_random(&random) % 300000;
            size_t expect = at < size ? MIN(len, size - at) : 0;
            int result = bed_read_check(r, SEED, at, len, expect);
            if (result)
                assert_int_equal(result, -EIO);
            at += expect;
        }
        reader_free(r);
        bed_close(&b);
    }
}

/* No budget left for prefetching: reads go on without. */
static void no_memory_to_read_ahead(void **state)
{
    struct data_options o = {.memory_limit = 64 * MIB};
    struct bed b;
    bed_open(&b, 1, &o, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 20 * MIB, &v);
    struct writer *w[8];
    for (int i = 0; i < 8; i++) {
        struct writer_options wo = {.key = "w"};
        assert_int_equal(writer_new(b.data, &wo, &w[i]), 0);
        char *data = malloc(8 * MIB);
        content_fill(SEED, 0, data, 8 * MIB);
        assert_int_equal(writer_write(w[i], 0, data, 8 * MIB, NULL), 0);
        free(data);
    }
    struct reader *r = bed_open_reader(&b, "f", v.etag, 20 * MIB);
    for (uint64_t at = 0; at < 20 * MIB; at += 256 * KIB)
        assert_int_equal(bed_read_check(r, SEED, at, 256 * KIB, 256 * KIB), 0);
    struct data_stats stats;
    data_stats(b.data, &stats);
    assert_true(stats.memory_peak <= 64 * MIB + 2 * MIB);
    reader_free(r);
    for (int i = 0; i < 8; i++)
        writer_free(w[i]);
    bed_close(&b);
}

#define IDLE_HANDLES 7

/* What idle handles have fetched ahead is given back when somebody else needs it. */
static void idle_readers_give_back(void **state)
{
    struct clock_fake clock;
    clock_fake_init(&clock, 0);
    clock_fake_advance(&clock, 100 * NS_PER_S);
    struct data_options o = {.memory_limit = 64 * MIB, .clock = &clock.clock};
    struct bed b;
    bed_open(&b, 0, &o, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 64 * MIB, &v);
    struct reader *idle[IDLE_HANDLES];
    struct reader *busy = bed_open_reader(&b, "f", v.etag, 64 * MIB);
    for (int i = 0; i < IDLE_HANDLES; i++) {
        idle[i] = bed_open_reader(&b, "f", v.etag, 64 * MIB);
        for (uint64_t at = 0; at < 24 * MIB; at += MIB)
            assert_int_equal(bed_read_check(idle[i], SEED, at, MIB, MIB), 0);
    }
    struct data_stats before, after;
    data_stats(b.data, &before);
    assert_true(before.memory_used > 48 * MIB);
    clock_fake_advance(&clock, NS_PER_S);
    for (uint64_t at = 0; at < 16 * MIB; at += MIB)
        assert_int_equal(bed_read_check(busy, SEED, at, MIB, MIB), 0);
    data_stats(b.data, &after);
    assert_true(after.memory_used >= before.memory_used); /* too early */
    clock_fake_advance(&clock, NS_PER_S);
    for (uint64_t at = 16 * MIB; at < 64 * MIB; at += MIB)
        assert_int_equal(bed_read_check(busy, SEED, at, MIB, MIB), 0);
    reader_free(busy);
    data_stats(b.data, &after);
    assert_int_equal(after.memory_used, 0);
    assert_true(after.memory_peak <= 64 * MIB + 2 * MIB);
    for (int i = 0; i < IDLE_HANDLES; i++) {
        assert_int_equal(bed_read_check(idle[i], SEED, 24 * MIB, MIB, MIB), 0);
        reader_free(idle[i]);
    }
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_object_is_one_get),
        cmocka_unit_test(sequential_read_of_64_mib),
        cmocka_unit_test(random_read_is_right_sized),
        cmocka_unit_test(reordered_readahead_is_sequential),
        cmocka_unit_test(late_readahead_is_not_fetched_again),
        cmocka_unit_test(wrong_hints),
        cmocka_unit_test(no_hint_at_all),
        cmocka_unit_test(replaced_object),
        cmocka_unit_test(replaced_under_a_sequential_read),
        cmocka_unit_test(cut_transfers),
        cmocka_unit_test(mismatch_is_tried_once_more),
        cmocka_unit_test(failed_prefetch_is_tried_again),
        cmocka_unit_test(served_while_arriving),
        cmocka_unit_test(reads_before_the_first_answer),
        cmocka_unit_test(small_object_in_parallel),
        cmocka_unit_test(free_while_under_way),
        cmocka_unit_test(two_threads_on_one_handle),
        cmocka_unit_test(two_streams_on_one_handle),
        cmocka_unit_test(random_pattern),
        cmocka_unit_test(no_memory_to_read_ahead),
        cmocka_unit_test(idle_readers_give_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
