/* SPDX-License-Identifier: Apache-2.0 */
/* Staged writers: what a change of something large sends, the local disk and its limit, failures
 * that leave everything for the next try, and content that outlives its object. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data_bed.h"

#define SEED 7

static struct writer *open_writer(struct bed *b, const char *key, const struct store_version *v,
                                  uint64_t size)
{
    struct writer *w = NULL;
    struct writer_options o = {.key = key};
    if (v) {
        o.base_etag = o.if_match = v->etag;
        o.base_size = size;
    }
    assert_int_equal(writer_new(b->data, &o, &w), 0);
    return w;
}

static struct writer *open_zeros(struct bed *b, const char *key, uint64_t size)
{
    struct store_object o;
    struct store_version v;
    assert_int_equal(store_memory_put_zeros(b->memory, key, size), 0);
    assert_int_equal(store_head(b->memory, key, &o, NULL), 0);
    memcpy(v.etag, o.etag, sizeof(v.etag));
    store_object_done(&o);
    return open_writer(b, key, &v, size);
}

static int write_content(struct writer *w, uint64_t seed, uint64_t offset, uint64_t len)
{
    char *buf = malloc(300000);
    assert_non_null(buf);
    int r = 0;
    while (len && !r) {
        size_t n = MIN(len, 300000u);
        content_fill(seed, offset, buf, n);
        r = writer_write(w, offset, buf, n, NULL);
        offset += n;
        len -= n;
    }
    free(buf);
    return r;
}

static bool reads_as(struct writer *w, uint64_t seed, uint64_t offset, size_t len)
{
    char *buf = malloc(len);
    size_t n = 0;
    assert_non_null(buf);
    assert_int_equal(writer_read(w, offset, buf, len, &n, NULL), 0);
    bool same = n == len && content_is(seed, offset, buf, len);
    free(buf);
    return same;
}

static bool object_has(struct bed *b, const char *key, uint64_t seed, uint64_t offset, size_t len)
{
    char *buf = malloc(len);
    assert_non_null(buf);
    bool same =
        bed_get(b, key, offset, buf, len, NULL) == (long)len && content_is(seed, offset, buf, len);
    free(buf);
    return same;
}

static uint64_t bytes_of(struct bed *b, enum store_op op)
{
    struct store_count_figures f;
    store_count_get(b->store, op, &f);
    return f.bytes;
}

/* 4 KiB in 10 GiB: one part is sent, its neighbours are fetched, the rest is copied. */
static void small_change_of_a_large_object(void **state)
{
    static const uint64_t AT[] = {5 * GIB + 777, 0, 3 * MIB, 10 * GIB - 4096};
    for (size_t i = 0; i < ARRAY_SIZE(AT); i++) {
        struct bed b;
        bed_open(&b, 2, NULL, NULL);
        struct writer *w = open_zeros(&b, "f", 10 * GIB);
        assert_int_equal(write_content(w, SEED, AT[i], 4096), 0);
        assert_true(reads_as(w, SEED, AT[i], 4096));
        assert_int_equal(writer_commit(w, NULL, NULL), 0);
        assert_in_range(bytes_of(&b, STORE_UPLOAD_PART), 4096, 10 * MIB);
        assert_in_range(bytes_of(&b, STORE_GET), 0, 10 * MIB);
        assert_int_equal(store_count_requests(b.store, STORE_UPLOAD_COMPLETE), 1);
        assert_true(object_has(&b, "f", SEED, AT[i], 4096));
        uint64_t size;
        char c;
        assert_int_equal(bed_get(&b, "f", 10 * GIB - 1, &c, 1, &size), 1);
        assert_int_equal(size, 10 * GIB);
        /* And again, on what it has made. */
        store_count_reset(b.store);
        assert_int_equal(write_content(w, SEED, AT[i] + 100, 10), 0);
        assert_int_equal(writer_commit(w, NULL, NULL), 0);
        assert_in_range(bytes_of(&b, STORE_UPLOAD_PART), 10, 10 * MIB);
        writer_free(w);
        bed_close(&b);
    }
}

/* Many changes close to each other: what lies between them is not asked for piece by piece. */
static void many_small_changes(void **state)
{
    enum { SIZE = 40 << 20, FIRST = 12 << 20, STEP = 8192, N = 300 };
    struct bed b;
    struct store_version v;
    bed_open(&b, 1, NULL, NULL);
    bed_put(&b, "f", SEED, SIZE, &v);
    struct writer *w = open_writer(&b, "f", &v, SIZE);
    for (int i = 0; i < N; i++) {
        char page[4096];
        content_fill(SEED + 1, FIRST + (uint64_t)i * STEP, page, sizeof(page));
        assert_int_equal(writer_write(w, FIRST + (uint64_t)i * STEP, page, sizeof(page), NULL), 0);
    }
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    assert_true(store_count_requests(b.store, STORE_GET) <= 3);
    for (int i = 0; i < N; i++) {
        assert_true(reads_as(w, SEED + 1, FIRST + (uint64_t)i * STEP, 4096));
        assert_true(reads_as(w, SEED, FIRST + (uint64_t)i * STEP + 4096, 4096));
    }
    writer_free(w);
    /* And so it is in the store. */
    char *got = malloc(SIZE), *want = malloc(SIZE);
    uint64_t size = 0;
    assert_true(got && want);
    content_fill(SEED, 0, want, SIZE);
    for (int i = 0; i < N; i++)
        content_fill(SEED + 1, FIRST + (uint64_t)i * STEP, want + FIRST + (size_t)i * STEP, 4096);
    assert_int_equal(bed_get(&b, "f", 0, got, SIZE, &size), SIZE);
    assert_memory_equal(got, want, SIZE);
    free(got);
    free(want);
    bed_close(&b);
}

static void holes_and_cuts(void **state)
{
    struct bed b;
    bed_open(&b, 2, NULL, NULL);
    struct writer *w = open_zeros(&b, "f", 2 * GIB);
    assert_int_equal(write_content(w, SEED, 0, 40 * MIB), 0);
    assert_int_equal(writer_zero(w, 10 * MIB, 20 * MIB, NULL), 0);
    struct data_stats stats;
    data_stats(b.data, &stats);
    assert_int_equal(stats.disk_bytes, 20 * MIB);
    assert_int_equal(stats.dirty_bytes, 20 * MIB);
    uint64_t at;
    assert_int_equal(writer_seek(w, 5 * MIB, true, &at), 0);
    assert_int_equal(at, 10 * MIB);
    assert_int_equal(writer_seek(w, at, false, &at), 0);
    assert_int_equal(at, 30 * MIB);
    assert_int_equal(writer_seek(w, at, true, &at), 0);
    assert_int_equal(at, 2 * GIB);
    assert_int_equal(writer_truncate(w, 35 * MIB, NULL), 0);
    /* A terabyte of hole costs nothing until it is committed. */
    assert_int_equal(writer_truncate(w, TIB, NULL), 0);
    assert_int_equal(write_content(w, SEED, TIB / 2, 4096), 0);
    data_stats(b.data, &stats);
    assert_int_equal(stats.disk_bytes, 15 * MIB + 4096);
    assert_true(stats.memory_used < MIB);
    assert_int_equal(writer_truncate(w, 36 * MIB, NULL), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    char *got = malloc(36 * MIB), *zeros = calloc(1, 20 * MIB);
    assert_int_equal(bed_get(&b, "f", 0, got, 36 * MIB, &at), 36 * MIB);
    assert_int_equal(at, 36 * MIB);
    assert_true(content_is(SEED, 0, got, 10 * MIB));
    assert_memory_equal(got + 10 * MIB, zeros, 20 * MIB);
    assert_true(content_is(SEED, 30 * MIB, got + 30 * MIB, 5 * MIB));
    assert_memory_equal(got + 35 * MIB, zeros, MIB);
    free(got);
    free(zeros);
    writer_free(w);
    bed_close(&b);
}

/* A part that fails is no end: what is staged is still there, and the next commit sends it. */
static void failures_are_tried_again(void **state)
{
    static const enum store_op OPS[] = {STORE_UPLOAD_CREATE, STORE_UPLOAD_PART,
                                        STORE_UPLOAD_PART_COPY, STORE_UPLOAD_COMPLETE, STORE_GET};
    for (size_t i = 0; i < ARRAY_SIZE(OPS); i++) {
        for (int lost = 0; lost < 2; lost++) {
            struct bed b;
            bed_open(&b, 2, NULL, NULL);
            struct store_version v;
            bed_put(&b, "f", SEED, 60 * MIB, &v);
            struct writer *w = open_writer(&b, "f", &v, 60 * MIB);
            assert_int_equal(write_content(w, SEED + 1, 20 * MIB, 1000), 0);
            struct store_fault_rule rule = {
                .op = OPS[i], .count = 1, .error = S3_ERROR_SERVER, .lose_answer = lost};
            assert_int_equal(store_fault_add(b.fault, &rule), 0);
            int r = writer_commit(w, NULL, NULL);
            /* A completion whose answer was lost is recognised. */
            assert_int_equal(r, lost && OPS[i] == STORE_UPLOAD_COMPLETE ? 0 : -EIO);
            assert_int_equal(writer_dirty(w), r != 0);
            assert_int_equal(write_content(w, SEED + 1, 21 * MIB, 1000), 0);
            assert_int_equal(writer_commit(w, NULL, NULL), 0);
            assert_true(object_has(&b, "f", SEED + 1, 20 * MIB, 1000));
            assert_true(object_has(&b, "f", SEED + 1, 21 * MIB, 1000));
            assert_true(object_has(&b, "f", SEED, 0, 20 * MIB));
            assert_true(object_has(&b, "f", SEED, 22 * MIB, 38 * MIB));
            writer_free(w);
            bed_close(&b);
        }
    }
}

/* Where the store cannot copy from a key, its bytes are fetched and sent. */
static void without_copies(void **state)
{
    for (int staged = 0; staged < 2; staged++) {
        struct bed b;
        bed_open(&b, 2, NULL, NULL);
        struct store_fault_rule rule = {.op = STORE_UPLOAD_PART_COPY, .error = S3_ERROR_SERVER};
        assert_int_equal(store_fault_add(b.fault, &rule), 0);
        struct store_version v;
        bed_put(&b, "100%25", SEED, 30 * MIB, &v);
        struct writer *w = open_writer(&b, "100%25", &v, 30 * MIB);
        assert_int_equal(write_content(w, SEED, staged ? 20 * MIB : 30 * MIB, MIB), 0);
        assert_int_equal(writer_commit(w, NULL, NULL), 0);
        assert_true(object_has(&b, "100%25", SEED, 0, (staged ? 30 : 31) * MIB));
        writer_free(w);
        bed_close(&b);
    }
}

/* The completion had its effect, and nobody could be asked: the next commit finds out, whether the
 * content has changed since or not. */
static void doubtful_completions(void **state)
{
    for (int changed = 0; changed < 2; changed++) {
        struct bed b;
        bed_open(&b, 2, NULL, NULL);
        struct store_version v;
        bed_put(&b, "f", SEED, 60 * MIB, &v);
        struct writer *w = open_writer(&b, "f", &v, 60 * MIB);
        assert_int_equal(write_content(w, SEED + 1, 20 * MIB, 1000), 0);
        struct store_fault_rule rule = {.op = STORE_UPLOAD_COMPLETE,
                                        .count = 1,
                                        .error = S3_ERROR_CONNECT,
                                        .lose_answer = true};
        assert_int_equal(store_fault_add(b.fault, &rule), 0);
        rule = (struct store_fault_rule){.op = STORE_HEAD, .count = 1, .error = S3_ERROR_CONNECT};
        assert_int_equal(store_fault_add(b.fault, &rule), 0);
        assert_int_equal(writer_commit(w, NULL, NULL), -EIO);
        if (changed) {
            assert_int_equal(write_content(w, SEED + 1, 40 * MIB, 1000), 0);
            assert_int_equal(writer_truncate(w, 50 * MIB, NULL), 0);
        }
        store_count_reset(b.store);
        struct writer_result res;
        assert_int_equal(writer_commit(w, &res, NULL), 0);
        assert_int_equal(store_count_requests(b.store, STORE_UPLOAD_PART) > 0, changed);
        assert_true(object_has(&b, "f", SEED + 1, 20 * MIB, 1000));
        assert_true(object_has(&b, "f", changed ? SEED + 1 : SEED, 40 * MIB, 1000));
        assert_int_equal(res.size, (changed ? 50 : 60) * MIB);
        writer_free(w);
        bed_close(&b);
    }
}

static void another_host_was_first(void **state)
{
    struct bed b;
    bed_open(&b, 2, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 60 * MIB, &v);
    struct writer *w = open_writer(&b, "f", &v, 60 * MIB);
    assert_int_equal(write_content(w, SEED + 1, 20 * MIB, 1000), 0);
    bed_put(&b, "f", SEED + 2, 50 * MIB, NULL);
    struct s3_error err;
    assert_int_equal(writer_commit(w, NULL, &err), -ESTALE);
    assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
    assert_true(object_has(&b, "f", SEED + 2, 0, 50 * MIB));
    /* What was written is there, what was only in the other version is not. */
    assert_true(reads_as(w, SEED + 1, 20 * MIB, 1000));
    char c;
    size_t n;
    assert_int_equal(writer_read(w, 0, &c, 1, &n, NULL), -ESTALE);
    FILE *f = tmpfile();
    struct writer_saved saved;
    assert_non_null(f);
    assert_int_equal(writer_save(w, fileno(f), &saved, NULL), 0);
    assert_true(saved.size == 60 * MIB && saved.missing_offset == 0);
    assert_int_equal(saved.missing_length, 60 * MIB);
    char buf[1000];
    assert_int_equal(pread(fileno(f), buf, 1000, 20 * MIB), 1000);
    assert_true(content_is(SEED + 1, 20 * MIB, buf, 1000));
    fclose(f);
    writer_free(w);
    bed_close(&b);
}

static unsigned files_in(const char *dir)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* The limit holds at the write; what is clean makes room first, also another writer's. */
static void limit_of_the_local_disk(void **state)
{
    char dir[] = "/tmp/test_stage.XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct data_options o = {.dirty_dir = dir, .dirty_limit = 20 * MIB};
    struct bed b;
    bed_open(&b, 2, &o, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 100 * MIB, &v);
    struct writer *w = open_writer(&b, "f", &v, 100 * MIB);
    assert_int_equal(write_content(w, SEED + 1, 10 * MIB, 12 * MIB), 0);
    struct data_stats stats;
    data_stats(b.data, &stats);
    assert_int_equal(stats.disk_bytes, 12 * MIB);
    assert_int_equal(write_content(w, SEED + 1, 30 * MIB, 12 * MIB), -ENOSPC);
    assert_true(reads_as(w, SEED + 1, 10 * MIB, 12 * MIB));
    /* Over what is there already there is room. */
    assert_int_equal(write_content(w, SEED + 2, 10 * MIB, 12 * MIB), 0);
    assert_int_equal(writer_truncate(w, 30 * MIB, NULL), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    assert_true(object_has(&b, "f", SEED + 2, 10 * MIB, 12 * MIB));
    assert_true(object_has(&b, "f", SEED, 22 * MIB, 8 * MIB));
    data_stats(b.data, &stats);
    assert_int_equal(stats.disk_bytes, 12 * MIB);
    struct writer *other = open_zeros(&b, "g", GIB);
    assert_int_equal(write_content(other, SEED, 0, 16 * MIB), 0);
    data_stats(b.data, &stats);
    assert_int_equal(stats.disk_bytes, 16 * MIB);
    assert_true(reads_as(w, SEED + 2, 10 * MIB, 12 * MIB));
    assert_int_equal(files_in(dir), 0);
    writer_free(w);
    writer_free(other);
    data_stats(b.data, &stats);
    assert_int_equal(stats.disk_bytes, 0);
    bed_close(&b);
    assert_int_equal(rmdir(dir), 0);
}

/* Removed while open: all of it stays readable and writable. */
static void content_outlives_the_object(void **state)
{
    for (int grown = 0; grown < 2; grown++) {
        struct bed b;
        bed_open(&b, 2, NULL, NULL);
        struct store_version v;
        bed_put(&b, "f", SEED, 20 * MIB, &v);
        struct writer *w = open_writer(&b, "f", &v, 20 * MIB);
        if (grown)
            assert_int_equal(writer_truncate(w, 30 * MIB, NULL), 0);
        assert_int_equal(write_content(w, SEED, 5 * MIB, 9 * MIB), 0);
        assert_int_equal(write_content(w, SEED, 0, 5 * MIB), 0);
        assert_int_equal(writer_hold(w, NULL), 0);
        assert_int_equal(store_delete(b.memory, "f", NULL, NULL), 0);
        writer_orphan(w);
        store_count_reset(b.store);
        assert_true(reads_as(w, SEED, 0, 20 * MIB));
        assert_int_equal(write_content(w, SEED + 1, 0, 60 * MIB), 0);
        assert_true(reads_as(w, SEED + 1, 0, 60 * MIB));
        assert_int_equal(writer_commit(w, NULL, NULL), 0);
        bed_assert_requests(&b, "");
        writer_free(w);
        bed_close(&b);
    }
    /* Of something large a copy under another key is all that is wanted. */
    struct bed b;
    bed_open(&b, 2, NULL, NULL);
    struct store_version v;
    struct writer *w = open_zeros(&b, "f", 10 * GIB);
    assert_int_equal(write_content(w, SEED, 5 * GIB, 9 * MIB), 0);
    assert_int_equal(writer_hold(w, NULL), -EXDEV);
    bed_put(&b, "hidden", SEED, 60 * MIB, &v);
    writer_orphan(w);
    assert_int_equal(writer_move_base(w, "hidden", v.etag), 0);
    assert_true(reads_as(w, SEED, 0, 60 * MIB));
    assert_true(reads_as(w, SEED, 5 * GIB, 9 * MIB));
    assert_int_equal(write_content(w, SEED + 1, 0, 30 * MIB), 0);
    assert_true(reads_as(w, SEED + 1, 0, 30 * MIB));
    assert_true(reads_as(w, SEED, 30 * MIB, 30 * MIB));
    writer_free(w);

    /* Nobody could read it: the stream goes on, what was sent is gone. */
    w = open_writer(&b, "g", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 100 * MIB), 0);
    writer_orphan(w);
    assert_int_equal(write_content(w, SEED, 100 * MIB, 20 * MIB), 0);
    assert_true(reads_as(w, SEED, 100 * MIB, 20 * MIB));
    char c;
    size_t n;
    assert_int_equal(writer_read(w, 0, &c, 1, &n, NULL), -ESTALE);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    writer_free(w);
    bed_close(&b);
}

struct told {
    int times;
    uint64_t size;
};

static void tell(void *ctx, const struct store_version *version, uint64_t size)
{
    struct told *t = ctx;
    t->times++;
    t->size = size;
    assert_true(version->etag[0]);
}

/* A shorter one has all of it at hand: the object comes with the commit, and an upload that fails
 * is tried again. */
static void what_was_sent_is_still_here(void **state)
{
    static const enum store_op OPS[] = {STORE_OP_MAX, STORE_UPLOAD_CREATE, STORE_UPLOAD_PART};
    for (size_t i = 0; i < ARRAY_SIZE(OPS); i++) {
        struct bed b;
        bed_open(&b, 2, NULL, NULL);
        struct told told = {0};
        struct writer_options o = {
            .key = "f", .if_absent = true, .stored = tell, .stored_ctx = &told};
        struct store_fault_rule rule = {
            .op = OPS[i], .after = 1, .count = 1, .error = S3_ERROR_SERVER};
        rule.after = OPS[i] == STORE_UPLOAD_PART;
        if (OPS[i] != STORE_OP_MAX)
            assert_int_equal(store_fault_add(b.fault, &rule), 0);
        struct writer *w = NULL;
        assert_int_equal(writer_new(b.data, &o, &w), 0);
        int failed = 0;
        for (uint64_t at = 0; at < 40 * MIB; at += MIB) {
            int r = write_content(w, SEED, at, MIB);
            failed += r != 0;
            if (r)
                assert_int_equal(write_content(w, SEED, at, MIB), 0);
        }
        assert_int_equal(write_content(w, SEED + 1, 20 * MIB, 1000), 0);
        assert_true(reads_as(w, SEED, 0, 20 * MIB));
        assert_int_equal(store_memory_object_count(b.memory), 0);
        assert_true(failed <= 1 && failed <= (OPS[i] != STORE_OP_MAX));
        assert_int_equal(writer_commit(w, NULL, NULL), 0);
        assert_int_equal(told.times, 0);
        assert_true(object_has(&b, "f", SEED, 0, 20 * MIB));
        assert_true(object_has(&b, "f", SEED + 1, 20 * MIB, 1000));
        assert_true(object_has(&b, "f", SEED, 21 * MIB, 19 * MIB));
        writer_free(w);
        bed_close(&b);
    }
}

/* A long stream that goes back: what was sent becomes the object, then the change does. */
static void going_back_in_a_stream(void **state)
{
    struct bed b;
    bed_open(&b, 2, NULL, NULL);
    struct told told = {0};
    struct writer_options o = {.key = "f", .if_absent = true, .stored = tell, .stored_ctx = &told};
    struct writer *w = NULL;
    assert_int_equal(writer_new(b.data, &o, &w), 0);
    assert_int_equal(write_content(w, SEED, 0, 100 * MIB), 0);
    assert_int_equal(write_content(w, SEED + 1, 50 * MIB, 1000), 0);
    assert_int_equal(told.times, 1);
    assert_in_range(told.size, 80 * MIB, 100 * MIB);
    assert_int_equal(write_content(w, SEED, 100 * MIB, 10 * MIB), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    assert_int_equal(told.times, 1);
    assert_true(object_has(&b, "f", SEED, 0, 50 * MIB));
    assert_true(object_has(&b, "f", SEED + 1, 50 * MIB, 1000));
    assert_true(object_has(&b, "f", SEED, 51 * MIB, 59 * MIB));
    writer_free(w);
    bed_close(&b);
}

static void *commit_thread(void *w)
{
    return (void *)(intptr_t)writer_commit(w, NULL, NULL);
}

/* A long upload does not keep others from reading the file. */
static void reads_beside_a_commit(void **state)
{
    struct bed b;
    bed_open(&b, 2, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 60 * MIB, &v);
    struct writer *w = open_writer(&b, "f", &v, 60 * MIB);
    assert_int_equal(write_content(w, SEED + 1, 20 * MIB, 10 * MIB), 0);
    struct store_fault_rule rule = {.op = STORE_UPLOAD_PART, .hold = true};
    assert_int_equal(store_fault_add(b.fault, &rule), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, commit_thread, w), 0);
    while (!store_fault_held(b.fault))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_true(reads_as(w, SEED + 1, 20 * MIB, 10 * MIB));
    assert_true(reads_as(w, SEED, 40 * MIB, 10 * MIB));
    store_fault_clear(b.fault);
    void *result;
    store_fault_release(b.fault, 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_int_equal((intptr_t)result, 0);
    assert_true(object_has(&b, "f", SEED + 1, 20 * MIB, 10 * MIB));
    writer_free(w);
    bed_close(&b);
}

static void wait_held(struct bed *b, unsigned n)
{
    for (int i = 0; i < 60000 && store_fault_held(b->fault) < n; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(store_fault_held(b->fault), n);
}

/* The neighbours of changes are fetched side by side, while the upload is begun; copies do not wait
 * for them. A fetch that fails fails the commit, and the next one has all of it. */
static void neighbours_are_fetched_side_by_side(void **state)
{
    struct bed b;
    bed_open(&b, 2, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 100 * MIB, &v);
    struct writer *w = open_writer(&b, "f", &v, 100 * MIB);
    for (uint64_t at = 20 * MIB; at <= 80 * MIB; at += 20 * MIB)
        assert_int_equal(write_content(w, SEED + 1, at, 1000), 0);
    for (int round = 0; round < 2; round++) {
        struct store_fault_rule get = {.op = STORE_GET, .hold = true},
                                create = {.op = STORE_UPLOAD_CREATE, .hold = true};
        if (round == 0)
            get.error = S3_ERROR_CONNECT;
        store_count_reset(b.store);
        assert_int_equal(store_fault_add(b.fault, &get), 0);
        assert_int_equal(store_fault_add(b.fault, &create), 0);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, commit_thread, w), 0);
        wait_held(&b, 5);
        bed_assert_requests(&b, "get 4, upload-create 1");
        store_fault_clear(b.fault);
        store_fault_release(b.fault, 0);
        void *result;
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_int_equal((intptr_t)result, round == 0 ? -EIO : 0);
        if (round == 0)
            assert_true(object_has(&b, "f", SEED, 0, 100 * MIB));
    }
    for (uint64_t at = 0; at < 100 * MIB; at += 20 * MIB) {
        assert_true(object_has(&b, "f", at ? SEED + 1 : SEED, at, 1000));
        assert_true(object_has(&b, "f", SEED, at + 1000, 20 * MIB - 1000));
    }
    writer_free(w);
    bed_close(&b);
}

/* Many at once stay within the memory that they share. */
static void memory_is_shared(void **state)
{
    struct data_options o = {.memory_limit = 64 * MIB, .parallel = 4};
    struct bed b;
    bed_open(&b, 4, &o, NULL);
    struct writer *w[4];
    for (int i = 0; i < 4; i++) {
        char key[8];
        snprintf(key, sizeof(key), "f%d", i);
        w[i] = open_zeros(&b, key, GIB);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(writer_truncate(w[i], 900 * MIB, NULL), 0);
    for (uint64_t at = 0; at < 16 * MIB; at += 4 * MIB)
        for (int i = 0; i < 4; i++)
            assert_int_equal(write_content(w[i], SEED, 50 * at, 100000), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(writer_commit(w[i], NULL, NULL), 0);
        writer_free(w[i]);
    }
    struct data_stats stats;
    data_stats(b.data, &stats);
    assert_in_range(stats.memory_peak, 1, 64 * MIB);
    bed_close(&b);
}

/* Somebody cleans up below ~/.cache: what is open goes on, and what comes has its folder again. */
static void folder_that_is_removed(void **state)
{
    char top[] = "/tmp/test_stage.XXXXXX", middle[64], dir[80];
    assert_non_null(mkdtemp(top));
    snprintf(middle, sizeof(middle), "%s/mount", top);
    snprintf(dir, sizeof(dir), "%s/dirty", middle);
    assert_int_equal(mkdir(middle, 0700) | mkdir(dir, 0700), 0);
    struct data_options o = {.dirty_dir = dir};
    struct bed b;
    bed_open(&b, 2, &o, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 100 * MIB, &v);
    bed_put(&b, "g", SEED, 100 * MIB, &v);
    struct writer *before = open_writer(&b, "f", &v, 100 * MIB);
    assert_int_equal(write_content(before, SEED + 1, 10 * MIB, MIB), 0);
    assert_int_equal(rmdir(dir) | rmdir(middle) | rmdir(top), 0);
    assert_int_equal(write_content(before, SEED + 1, 30 * MIB, MIB), 0);
    struct writer *after = open_writer(&b, "g", &v, 100 * MIB);
    assert_int_equal(write_content(after, SEED + 2, 20 * MIB, MIB), 0);
    assert_true(reads_as(before, SEED + 1, 30 * MIB, MIB));
    assert_int_equal(writer_commit(after, NULL, NULL), 0);
    assert_true(object_has(&b, "g", SEED + 2, 20 * MIB, MIB));
    writer_free(before);
    writer_free(after);
    bed_close(&b);
    assert_int_equal(rmdir(dir) | rmdir(middle) | rmdir(top), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_change_of_a_large_object),
        cmocka_unit_test(many_small_changes),
        cmocka_unit_test(holes_and_cuts),
        cmocka_unit_test(failures_are_tried_again),
        cmocka_unit_test(without_copies),
        cmocka_unit_test(doubtful_completions),
        cmocka_unit_test(another_host_was_first),
        cmocka_unit_test(limit_of_the_local_disk),
        cmocka_unit_test(folder_that_is_removed),
        cmocka_unit_test(content_outlives_the_object),
        cmocka_unit_test(what_was_sent_is_still_here),
        cmocka_unit_test(going_back_in_a_stream),
        cmocka_unit_test(reads_beside_a_commit),
        cmocka_unit_test(neighbours_are_fetched_side_by_side),
        cmocka_unit_test(memory_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
