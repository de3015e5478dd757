/* SPDX-License-Identifier: Apache-2.0 */
/* Writers: exact requests, what each kind of change sends, conditions, failures. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "data_bed.h"

#define SEED 7

static struct writer *open_writer(struct bed *b, const char *key, const char *base_etag,
                                  uint64_t base_size)
{
    struct writer_options o = {.key = key, .base_etag = base_etag, .base_size = base_size};
    struct writer *w = NULL;
    assert_int_equal(writer_new(b->data, &o, &w), 0);
    return w;
}

/* Writes content of the seed to [offset, offset + len) in pieces. */
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

static void assert_object(struct bed *b, const char *key, uint64_t seed, size_t size)
{
    char *buf = malloc(size + 1);
    uint64_t stored = 0;
    assert_int_equal(bed_get(b, key, 0, buf, size, &stored), size);
    assert_int_equal(stored, size);
    assert_true(content_is(seed, 0, buf, size));
    free(buf);
}

static void small_file_is_one_put(void **state)
{
    for (unsigned threads = 0; threads < 2; threads++) {
        struct bed b;
        bed_open(&b, threads, NULL, NULL);
        struct writer *w = open_writer(&b, "f", NULL, 0);
        assert_true(writer_dirty(w));
        assert_int_equal(write_content(w, SEED, 0, 10000), 0);
        bed_assert_requests(&b, "");
        struct writer_result res;
        assert_int_equal(writer_commit(w, &res, NULL), 0);
        bed_assert_requests(&b, "put 1");
        assert_int_equal(res.size, 10000);
        assert_false(res.attrs_stale);
        assert_false(writer_dirty(w));
        assert_int_equal(writer_commit(w, &res, NULL), 0);
        bed_assert_requests(&b, "put 1");
        assert_int_equal(res.size, 10000);
        assert_object(&b, "f", SEED, 10000);
        writer_free(w);
        bed_close(&b);
    }
}

static void empty_file_is_one_put(void **state)
{
    struct bed b;
    bed_open(&b, 0, NULL, NULL);
    struct writer *w = open_writer(&b, "f", NULL, 0);
    struct writer_result res;
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    bed_assert_requests(&b, "put 1");
    assert_object(&b, "f", SEED, 0);
    writer_free(w);

    /* An existing file that nobody changed is no request. */
    w = open_writer(&b, "f", res.version.etag, 0);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    writer_free(w);
    /* A new one that is never committed leaves nothing. */
    w = open_writer(&b, "g", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 100), 0);
    writer_free(w);
    bed_assert_requests(&b, "put 1");
    assert_int_equal(store_memory_object_count(b.memory), 1);
    bed_close(&b);
}

static void stream_is_multipart(void **state)
{
    for (unsigned threads = 0; threads < 5; threads += 2) {
        struct bed b;
        bed_open(&b, threads, NULL, NULL);
        struct writer *w = open_writer(&b, "f", NULL, 0);
        assert_int_equal(write_content(w, SEED, 0, 20 * MIB), 0);
        struct writer_result res;
        assert_int_equal(writer_commit(w, &res, NULL), 0);
        bed_assert_requests(&b, "upload-create 1, upload-part 3, upload-complete 1");
        assert_int_equal(res.size, 20 * MIB);
        assert_true(res.attrs_stale);
        assert_object(&b, "f", SEED, 20 * MIB);
        writer_free(w);
        assert_int_equal(store_memory_upload_count(b.memory), 0);
        bed_close(&b);
    }
}

/* What fits the first part is one PUT, to the byte; one byte more is an upload. */
static void boundary_of_the_first_part(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct writer *w = open_writer(&b, "f", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 8 * MIB), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    bed_assert_requests(&b, "put 1");
    writer_free(w);
    store_count_reset(b.store);
    w = open_writer(&b, "g", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 8 * MIB + 1), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    bed_assert_requests(&b, "upload-create 1, upload-part 2, upload-complete 1");
    assert_object(&b, "g", SEED, 8 * MIB + 1);
    writer_free(w);
    store_count_reset(b.store);
    w = open_writer(&b, "h", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 16 * MIB), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    bed_assert_requests(&b, "upload-create 1, upload-part 2, upload-complete 1");
    assert_object(&b, "h", SEED, 16 * MIB);
    writer_free(w);
    bed_close(&b);
}

static void aborted_when_not_committed(void **state)
{
    for (unsigned threads = 0; threads < 3; threads++) {
        struct bed b;
        bed_open(&b, threads, NULL, NULL);
        struct writer *w = open_writer(&b, "f", NULL, 0);
        assert_int_equal(write_content(w, SEED, 0, 20 * MIB), 0);
        assert_int_equal(store_memory_upload_count(b.memory), 1);
        writer_free(w);
        struct store *memory = b.memory;
        struct data_stats stats;
        data_stats(b.data, &stats);
        assert_int_equal(stats.writers, 0);
        data_free(b.data);
        assert_int_equal(store_memory_upload_count(memory), 0);
        assert_int_equal(store_memory_object_count(memory), 0);
        store_free(b.store);
    }
}

static void rewriting_what_is_in_memory(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct writer *w = open_writer(&b, "f", NULL, 0);
    assert_int_equal(write_content(w, SEED, 500, 1000), 0);
    assert_int_equal(write_content(w, SEED, 0, 500), 0);
    char buf[2000];
    size_t n;
    assert_int_equal(writer_read(w, 200, buf, sizeof(buf), &n, NULL), 0);
    assert_int_equal(n, 1300);
    assert_true(content_is(SEED, 200, buf, n));
    assert_int_equal(writer_read(w, 1500, buf, 1, &n, NULL), 0);
    assert_int_equal(n, 0);
    assert_int_equal(writer_truncate(w, 100, NULL), 0);
    assert_int_equal(writer_truncate(w, 300, NULL), 0);
    assert_int_equal(writer_size(w), 300);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    assert_int_equal(bed_get(&b, "f", 0, buf, sizeof(buf), NULL), 300);
    assert_true(content_is(SEED, 0, buf, 100));
    for (int i = 100; i < 300; i++)
        assert_int_equal(buf[i], 0);
    bed_assert_requests(&b, "put 1");
    writer_free(w);
    bed_close(&b);
}

static void what_has_left_is_changed_all_the_same(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct writer *w = open_writer(&b, "f", NULL, 0);
    assert_int_equal(write_content(w, SEED + 1, 0, 20 * MIB), 0);
    char c = 0;
    size_t n;
    assert_int_equal(writer_read(w, 100, &c, 1, &n, NULL), 0);
    assert_true(n == 1 && content_is(SEED + 1, 100, &c, 1));
    assert_int_equal(write_content(w, SEED, 0, 19 * MIB), 0);
    assert_int_equal(writer_read(w, 17 * MIB, &c, 1, &n, NULL), 0);
    assert_true(n == 1 && content_is(SEED, 17 * MIB, &c, 1));
    assert_int_equal(writer_truncate(w, 18 * MIB, NULL), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    assert_object(&b, "f", SEED, 18 * MIB);
    writer_free(w);
    bed_close(&b);
}

static void truncated_to_nothing_starts_again(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct writer *w = open_writer(&b, "f", NULL, 0);
    assert_int_equal(write_content(w, SEED + 1, 0, 20 * MIB), 0);
    assert_int_equal(writer_truncate(w, 0, NULL), 0);
    assert_int_equal(write_content(w, SEED, 0, 1000), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    assert_object(&b, "f", SEED, 1000);
    writer_free(w);
    struct store *memory = b.memory;
    data_free(b.data);
    assert_int_equal(store_memory_upload_count(memory), 0);
    store_free(b.store);
}

/* 1 GiB of hole between two bytes: parts of zeros, no memory. */
static void holes_take_no_memory(void **state)
{
    struct bed b;
    bed_open(&b, 2, NULL, NULL);
    struct writer *w = open_writer(&b, "f", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 10), 0);
    assert_int_equal(write_content(w, SEED, 300 * MIB, 10), 0);
    assert_int_equal(writer_truncate(w, 500 * MIB, NULL), 0);
    assert_int_equal(writer_size(w), 500 * MIB);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    struct data_stats stats;
    data_stats(b.data, &stats);
    assert_true(stats.memory_peak < MIB);
    char buf[30];
    uint64_t size;
    assert_int_equal(bed_get(&b, "f", 300 * MIB - 10, buf, 30, &size), 30);
    assert_int_equal(size, 500 * MIB);
    assert_int_equal(buf[9], 0);
    assert_true(content_is(SEED, 300 * MIB, buf + 10, 10));
    assert_int_equal(buf[20], 0);
    writer_free(w);
    bed_close(&b);
}

static void small_base_is_read_when_needed(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 10000, &v);

    struct writer *w = open_writer(&b, "f", v.etag, 10000);
    assert_false(writer_dirty(w));
    assert_int_equal(writer_size(w), 10000);
    assert_int_equal(write_content(w, SEED, 10000, 5), 0); /* append */
    bed_assert_requests(&b, "get 1");
    struct writer_result res;
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    bed_assert_requests(&b, "get 1, put 1");
    assert_object(&b, "f", SEED, 10005);
    writer_free(w);

    store_count_reset(b.store);
    w = open_writer(&b, "f", res.version.etag, 10005);
    assert_int_equal(write_content(w, SEED + 1, 0, 20000), 0); /* over all of it */
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    bed_assert_requests(&b, "put 1");
    assert_object(&b, "f", SEED + 1, 20000);
    writer_free(w);

    store_count_reset(b.store);
    w = open_writer(&b, "f", res.version.etag, 20000);
    assert_int_equal(writer_truncate(w, 0, NULL), 0);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    bed_assert_requests(&b, "put 1");
    assert_object(&b, "f", SEED, 0);
    writer_free(w);

    bed_put(&b, "f", SEED, 9000, &v);
    store_count_reset(b.store);
    w = open_writer(&b, "f", v.etag, 9000);
    assert_int_equal(writer_truncate(w, 100, NULL), 0);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    bed_assert_requests(&b, "get 1, put 1");
    assert_object(&b, "f", SEED, 100);
    writer_free(w);
    bed_close(&b);
}

static void replaced_base_is_stale(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 10000, &v);
    struct writer *w = open_writer(&b, "f", v.etag, 10000);
    bed_put(&b, "f", SEED + 1, 10000, NULL);
    assert_int_equal(write_content(w, SEED, 10000, 5), -ESTALE);
    assert_int_equal(store_delete(b.memory, "f", NULL, NULL), 0);
    assert_int_equal(write_content(w, SEED, 10000, 5), -ESTALE);
    writer_free(w);

    bed_put(&b, "g", SEED, 20 * MIB, &v);
    w = open_writer(&b, "g", v.etag, 20 * MIB);
    bed_put(&b, "g", SEED + 1, 20 * MIB, NULL);
    assert_int_equal(write_content(w, SEED, 20 * MIB, 5), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), -ESTALE);
    assert_object(&b, "g", SEED + 1, 20 * MIB);
    writer_free(w);
    bed_close(&b);
}

static void append_to_a_large_base_copies(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 20 * MIB, &v);
    struct writer *w = open_writer(&b, "f", v.etag, 20 * MIB);
    assert_int_equal(write_content(w, SEED, 20 * MIB, 1000), 0);
    struct writer_result res;
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    bed_assert_requests(&b,
                        "upload-create 1, upload-part 1, upload-part-copy 1, upload-complete 1");
    struct store_count_figures f;
    store_count_get(b.store, STORE_UPLOAD_PART, &f);
    assert_int_equal(f.bytes, 1000);
    assert_object(&b, "f", SEED, 20 * MIB + 1000);

    /* And goes on after the commit. */
    store_count_reset(b.store);
    assert_int_equal(write_content(w, SEED, 20 * MIB + 1000, 9 * MIB), 0);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    assert_int_equal(res.size, 29 * MIB + 1000);
    bed_assert_requests(&b,
                        "upload-create 1, upload-part 2, upload-part-copy 1, upload-complete 1");
    assert_object(&b, "f", SEED, 29 * MIB + 1000);

    /* Its end can be rewritten. */
    char c = 0;
    assert_int_equal(writer_truncate(w, 25 * MIB, NULL), 0);
    assert_int_equal(write_content(w, SEED, 24 * MIB, 2 * MIB), 0);
    store_count_reset(b.store);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    assert_object(&b, "f", SEED, 26 * MIB);
    assert_int_equal(writer_write(w, 26 * MIB - 100, &c, 1, NULL), 0);
    content_fill(SEED, 26 * MIB - 100, &c, 1);
    assert_int_equal(writer_write(w, 26 * MIB - 100, &c, 1, NULL), 0);
    store_count_reset(b.store);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    assert_object(&b, "f", SEED, 26 * MIB);

    /* Reading it does not need it in memory. */
    char buf[100];
    size_t n;
    assert_int_equal(writer_read(w, 100, buf, 100, &n, NULL), 0);
    assert_int_equal(n, 100);
    assert_true(content_is(SEED, 100, buf, 100));
    /* Cut in the middle: copied, nothing is sent. */
    store_count_reset(b.store);
    assert_int_equal(writer_truncate(w, 12 * MIB + 1, NULL), 0);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    bed_assert_requests(&b, "upload-create 1, upload-part-copy 1, upload-complete 1");
    assert_object(&b, "f", SEED, 12 * MIB + 1);
    writer_free(w);
    bed_close(&b);
}

/* The base's parts never fall below the minimum, wherever the change is. */
static void copies_keep_the_minimum(void **state)
{
    static const uint64_t AT[] = {0,           1,           5 * MIB - 1, 5 * MIB,
                                  5 * MIB + 1, 8 * MIB - 1, 8 * MIB + 1};
    struct bed b;
    bed_open(&b, 0, NULL, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(AT); i++) {
        struct store_version v;
        bed_put(&b, "f", SEED + 1, 9 * MIB, &v);
        char *all = malloc(20 * MIB), *got = malloc(20 * MIB);
        content_fill(SEED + 1, 0, all, 9 * MIB);
        struct writer *w = open_writer(&b, "f", v.etag, 9 * MIB);
        assert_int_equal(write_content(w, SEED, AT[i], 100), 0);
        content_fill(SEED, AT[i], all + AT[i], 100);
        assert_int_equal(write_content(w, SEED, 10 * MIB, 8 * MIB), 0);
        memset(all + 9 * MIB, 0, MIB);
        content_fill(SEED, 10 * MIB, all + 10 * MIB, 8 * MIB);
        assert_int_equal(writer_commit(w, NULL, NULL), 0);
        uint64_t size;
        assert_int_equal(bed_get(&b, "f", 0, got, 20 * MIB, &size), 18 * MIB);
        assert_memory_equal(all, got, 18 * MIB);
        writer_free(w);
        free(all);
        free(got);
    }
    bed_close(&b);
}

/* 12 GiB of base: pieces of at most 5 GiB, in parallel. */
static void huge_base(void **state)
{
    struct bed b;
    bed_open(&b, 0, NULL, NULL);
    assert_int_equal(store_memory_put_zeros(b.memory, "f", 50 * GIB), 0);
    struct store_object o;
    assert_int_equal(store_head(b.memory, "f", &o, NULL), 0);
    struct writer *w = open_writer(&b, "f", o.etag, o.size);
    store_object_done(&o);
    assert_int_equal(write_content(w, SEED, 50 * GIB, 3), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    bed_assert_requests(&b,
                        "upload-create 1, upload-part 1, upload-part-copy 10, upload-complete 1");
    char buf[4];
    uint64_t size;
    assert_int_equal(bed_get(&b, "f", 50 * GIB, buf, 4, &size), 3);
    assert_int_equal(size, 50 * GIB + 3);
    assert_true(content_is(SEED, 50 * GIB, buf, 3));
    writer_free(w);
    bed_close(&b);
}

static void conditions_hold(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct s3_error err;
    struct writer_options o = {.key = "f", .if_absent = true};
    struct writer *w = NULL;
    assert_int_equal(writer_new(b.data, &o, &w), 0);
    bed_put(&b, "f", SEED + 1, 5, NULL);
    assert_int_equal(write_content(w, SEED, 0, 10), 0);
    assert_int_equal(writer_commit(w, NULL, &err), -EEXIST);
    assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
    assert_object(&b, "f", SEED + 1, 5);
    writer_free(w);

    /* The same for an upload; the parts are given up. */
    assert_int_equal(writer_new(b.data, &o, &w), 0);
    assert_int_equal(write_content(w, SEED, 0, 20 * MIB), 0);
    assert_int_equal(writer_commit(w, NULL, &err), -EEXIST);
    assert_object(&b, "f", SEED + 1, 5);
    writer_free(w);

    /* A second commit asks for the version of the first. */
    o.key = "g";
    assert_int_equal(writer_new(b.data, &o, &w), 0);
    assert_int_equal(write_content(w, SEED, 0, 10), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    assert_int_equal(write_content(w, SEED, 10, 10), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    assert_object(&b, "g", SEED, 20);
    bed_put(&b, "g", SEED + 1, 5, NULL);
    assert_int_equal(write_content(w, SEED, 20, 10), 0);
    assert_int_equal(writer_commit(w, NULL, &err), -ESTALE);
    assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
    /* Removed by somebody else is stale too. */
    assert_int_equal(store_delete(b.memory, "g", NULL, NULL), 0);
    assert_int_equal(writer_commit(w, NULL, &err), -ESTALE);
    writer_free(w);
    bed_close(&b);
}

/* Of a stream that has left memory a part fails: it is sent again, by the write that follows or by
 * the commit; as long as that fails too nothing is lost. */
static void failed_part_is_sent_again(void **state)
{
    /* So little memory that what was sent is not kept. */
    struct data_options options = {.memory_limit = 64 * MIB, .write_part_size = 5 * MIB};
    for (unsigned threads = 0; threads < 3; threads++) {
        struct bed b;
        bed_open(&b, threads, &options, NULL);
        struct store_fault_rule once = {
            .op = STORE_UPLOAD_PART, .after = 3, .count = 1, .error = S3_ERROR_CONNECT};
        assert_int_equal(store_fault_add(b.fault, &once), 0);
        struct writer *w = open_writer(&b, "f", NULL, 0);
        assert_int_equal(write_content(w, SEED, 0, 40 * MIB), 0);
        assert_int_equal(writer_commit(w, NULL, NULL), 0);
        assert_object(&b, "f", SEED, 40 * MIB);
        writer_free(w);

        /* For a while nothing gets through. */
        store_fault_clear(b.fault);
        struct store_fault_rule all = {
            .op = STORE_UPLOAD_PART, .after = 3, .error = S3_ERROR_CONNECT};
        assert_int_equal(store_fault_add(b.fault, &all), 0);
        w = open_writer(&b, "g", NULL, 0);
        uint64_t at = 0;
        while (at < 40 * MIB && !write_content(w, SEED, at, MIB))
            at += MIB;
        struct s3_error err;
        assert_true(writer_commit(w, NULL, &err) < 0);
        assert_int_equal(err.kind, S3_ERROR_CONNECT);
        assert_true(writer_commit(w, NULL, &err) < 0);
        assert_int_equal(store_count_requests(b.store, STORE_UPLOAD_COMPLETE), 1);
        store_fault_clear(b.fault);
        if (at < 40 * MIB)
            assert_int_equal(write_content(w, SEED, at, 40 * MIB - at), 0);
        assert_int_equal(writer_commit(w, NULL, &err), 0);
        assert_object(&b, "g", SEED, 40 * MIB);
        /* Only the last part. */
        store_fault_clear(b.fault);
        once.after = 7;
        assert_int_equal(store_fault_add(b.fault, &once), 0);
        writer_free(w);
        w = open_writer(&b, "h", NULL, 0);
        assert_int_equal(write_content(w, SEED, 0, 39 * MIB), 0);
        assert_int_equal(writer_commit(w, NULL, &err), 0);
        assert_object(&b, "h", SEED, 39 * MIB);
        writer_free(w);
        bed_close(&b);
    }
}

/* The upload is gone, and with it what was sent: there is nothing to send again. */
static void failure_stays(void **state)
{
    struct data_options options = {.memory_limit = 64 * MIB};
    for (unsigned threads = 0; threads < 3; threads++) {
        struct bed b;
        bed_open(&b, threads, &options, NULL);
        bed_put(&b, "f", SEED + 1, 1000, NULL);
        struct store_fault_rule rule = {
            .op = STORE_UPLOAD_PART, .after = 1, .count = 1, .error = S3_ERROR_NO_SUCH_UPLOAD};
        assert_int_equal(store_fault_add(b.fault, &rule), 0);
        struct writer *w = open_writer(&b, "f", NULL, 0);
        (void)write_content(w, SEED, 0, 40 * MIB);
        struct s3_error err;
        assert_true(writer_commit(w, NULL, &err) < 0);
        assert_int_equal(err.kind, S3_ERROR_NO_SUCH_UPLOAD);
        assert_true(write_content(w, SEED, 40 * MIB, 10) < 0);
        assert_true(writer_commit(w, NULL, &err) < 0);
        assert_int_equal(err.kind, S3_ERROR_NO_SUCH_UPLOAD);
        assert_object(&b, "f", SEED + 1, 1000);
        assert_int_equal(store_count_requests(b.store, STORE_UPLOAD_COMPLETE), 0);
        writer_free(w);
        struct store *memory = b.memory;
        data_free(b.data);
        assert_int_equal(store_memory_upload_count(memory), 0);
        store_free(b.store);
    }
}

/* A failed completion leaves the parts: the next commit succeeds, also after more was written and
 * with a last part below the minimum in between. */
static void failed_complete_can_be_repeated(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct store_fault_rule rule = {
        .op = STORE_UPLOAD_COMPLETE, .count = 1, .error = S3_ERROR_SERVER};
    assert_int_equal(store_fault_add(b.fault, &rule), 0);
    struct writer *w = open_writer(&b, "f", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 17 * MIB), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), -EIO);
    assert_true(writer_dirty(w));
    assert_int_equal(write_content(w, SEED, 17 * MIB, 20 * MIB), 0);
    struct writer_result res;
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    assert_object(&b, "f", SEED, 37 * MIB);
    writer_free(w);
    bed_close(&b);
}

/* The server has computed another checksum: what it has must not become the object, and is not
 * asked for again. What is here still is sent anew; else the failure stays. */
static void wrong_sums_are_not_completed(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct store_fault_rule rule = {.op = STORE_UPLOAD_COMPLETE,
                                    .count = 1,
                                    .error = S3_ERROR_BAD_RESPONSE,
                                    .code = "BadDigest",
                                    .tries = 3};
    bed_put(&b, "f", SEED + 1, 1000, NULL);
    assert_int_equal(store_fault_add(b.fault, &rule), 0);
    struct writer *w = open_writer(&b, "f", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 17 * MIB), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), -EIO);
    assert_object(&b, "f", SEED + 1, 1000);
    assert_true(writer_dirty(w));
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    assert_object(&b, "f", SEED, 17 * MIB);
    /* The same of a staged one. */
    store_fault_clear(b.fault);
    assert_int_equal(store_fault_add(b.fault, &rule), 0);
    assert_int_equal(write_content(w, SEED + 2, 0, 17 * MIB), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), -EIO);
    assert_object(&b, "f", SEED, 17 * MIB);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    assert_object(&b, "f", SEED + 2, 17 * MIB);
    writer_free(w);
    assert_int_equal(store_count_requests(b.store, STORE_HEAD), 0);

    store_fault_clear(b.fault);
    assert_int_equal(store_fault_add(b.fault, &rule), 0);
    w = open_writer(&b, "g", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 150 * MIB), 0);
    struct s3_error err;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(writer_commit(w, NULL, &err), -EIO);
        assert_string_equal(err.code, "BadDigest");
    }
    writer_free(w);
    struct store *memory = b.memory;
    data_free(b.data);
    assert_int_equal(store_memory_upload_count(memory), 0);
    store_free(b.store);
}

static void lost_answers_are_recognised(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct store_fault_rule rule = {
        .op = STORE_UPLOAD_COMPLETE, .count = 1, .error = S3_ERROR_CONNECT, .lose_answer = true};
    assert_int_equal(store_fault_add(b.fault, &rule), 0);
    struct writer_options o = {.key = "f", .if_absent = true};
    struct writer *w = NULL;
    assert_int_equal(writer_new(b.data, &o, &w), 0);
    assert_int_equal(write_content(w, SEED, 0, 17 * MIB), 0);
    struct writer_result res;
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    assert_object(&b, "f", SEED, 17 * MIB);
    bed_assert_requests(&b, "head 1, upload-create 1, upload-part 3, upload-complete 1");
    /* The version is the right one: the next commit builds on it. */
    assert_int_equal(write_content(w, SEED, 17 * MIB, 10), 0);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    writer_free(w);

    /* Another object under the key is not ours. */
    store_fault_clear(b.fault);
    rule.lose_answer = false;
    assert_int_equal(store_fault_add(b.fault, &rule), 0);
    o.key = "g";
    o.if_absent = false;
    assert_int_equal(writer_new(b.data, &o, &w), 0);
    assert_int_equal(write_content(w, SEED, 0, 17 * MIB), 0);
    bed_put(&b, "g", SEED, 17 * MIB, NULL);
    assert_int_equal(writer_commit(w, &res, NULL), -EIO);
    assert_true(writer_dirty(w));
    writer_free(w);

    /* A PUT: the caller hears of the failure; trying again finds the object in place. */
    store_fault_clear(b.fault);
    rule.op = STORE_PUT;
    rule.lose_answer = true;
    assert_int_equal(store_fault_add(b.fault, &rule), 0);
    o.key = "h";
    o.if_absent = true;
    assert_int_equal(writer_new(b.data, &o, &w), 0);
    assert_int_equal(write_content(w, SEED, 0, 1000), 0);
    assert_int_equal(writer_commit(w, &res, NULL), -EIO);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    assert_object(&b, "h", SEED, 1000);
    assert_int_equal(write_content(w, SEED, 1000, 1000), 0);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    assert_object(&b, "h", SEED, 2000);
    writer_free(w);

    /* Also when the content has changed since: what stands there is ours, and is replaced. */
    store_fault_clear(b.fault);
    assert_int_equal(store_fault_add(b.fault, &rule), 0);
    o.key = "i";
    assert_int_equal(writer_new(b.data, &o, &w), 0);
    assert_int_equal(write_content(w, SEED, 0, 1000), 0);
    assert_int_equal(writer_commit(w, &res, NULL), -EIO);
    assert_int_equal(write_content(w, SEED, 1000, 10), 0);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    assert_object(&b, "i", SEED, 1010);
    writer_free(w);

    /* But not when somebody else's stands there, or when nothing shows whose it is. */
    for (size_t len = 0; len <= 1000; len += 1000) {
        store_fault_clear(b.fault);
        assert_int_equal(store_fault_add(b.fault, &rule), 0);
        o.key = len ? "j" : "k";
        assert_int_equal(writer_new(b.data, &o, &w), 0);
        assert_int_equal(write_content(w, SEED, 0, len), 0);
        assert_int_equal(writer_commit(w, &res, NULL), -EIO);
        if (len)
            bed_put(&b, o.key, SEED + 1, 1000, NULL);
        assert_int_equal(writer_commit(w, &res, NULL), -EEXIST);
        writer_free(w);
    }
    bed_close(&b);
}

struct attrs_ctx {
    int calls;
    struct store_metadata m;
    char value[16];
};

static int give_attrs(void *ctx, struct store_attrs *ret)
{
    struct attrs_ctx *a = ctx;
    snprintf(a->value, sizeof(a->value), "%d", ++a->calls);
    a->m = (struct store_metadata){"mtime", a->value};
    *ret = (struct store_attrs){.content_type = "text/plain", .metadata = &a->m, .n_metadata = 1};
    return 0;
}

static void attributes_go_along(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct attrs_ctx a = {0};
    struct writer_options o = {.key = "f", .attrs = give_attrs, .attrs_ctx = &a};
    struct writer *w = NULL;
    assert_int_equal(writer_new(b.data, &o, &w), 0);
    assert_int_equal(write_content(w, SEED, 0, 10), 0);
    assert_int_equal(a.calls, 0);
    struct writer_result res;
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    assert_int_equal(a.calls, 1);
    assert_int_equal(write_content(w, SEED, 10, 20 * MIB), 0);
    assert_int_equal(a.calls, 2);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    assert_int_equal(a.calls, 2);
    assert_true(res.attrs_stale);
    struct store_object obj;
    assert_int_equal(store_head(b.memory, "f", &obj, NULL), 0);
    assert_string_equal(obj.attrs.content_type, "text/plain");
    assert_string_equal(obj.attrs.metadata[0].value, "2");
    store_object_done(&obj);
    /* An upload that begins inside the commit has them fresh. */
    assert_int_equal(write_content(w, SEED, 20 * MIB + 10, 10), 0);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    assert_int_equal(a.calls, 3);
    assert_false(res.attrs_stale);
    writer_free(w);
    bed_close(&b);
}

static void orphans_store_nothing(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct writer *w = open_writer(&b, "f", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 1000), 0);
    writer_orphan(w);
    assert_false(writer_dirty(w));
    assert_int_equal(write_content(w, SEED, 1000, 1000), 0);
    char buf[2000];
    size_t n;
    assert_int_equal(writer_read(w, 0, buf, 2000, &n, NULL), 0);
    assert_true(n == 2000 && content_is(SEED, 0, buf, n));
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    assert_int_equal(write_content(w, SEED, 2000, 30 * MIB), 0);
    assert_int_equal(writer_size(w), 30 * MIB + 2000);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    bed_assert_requests(&b, "");
    writer_free(w);

    w = open_writer(&b, "f", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 10 * MIB), 0);
    assert_int_equal(writer_hold(w, NULL), 0);
    assert_int_equal(store_delete(b.memory, "f", NULL, NULL), 0);
    writer_orphan(w);
    store_count_reset(b.store);
    assert_int_equal(write_content(w, SEED, 10 * MIB, 30 * MIB), 0);
    assert_int_equal(writer_commit(w, NULL, NULL), 0);
    for (uint64_t at = 0; at < 40 * MIB; at += 3 * MIB) {
        assert_int_equal(writer_read(w, at, buf, 2000, &n, NULL), 0);
        assert_true(n == 2000 && content_is(SEED, at, buf, n));
    }
    bed_assert_requests(&b, "");
    writer_free(w);
    bed_close(&b);
}

static void renamed_while_open(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    struct writer *w = open_writer(&b, "f", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 1000), 0);
    assert_int_equal(writer_set_key(w, "g", "\"x\""), -EBUSY);
    struct writer_result res;
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    struct store_copy_in copy = {.source_key = "f", .key = "g"};
    struct store_version v;
    assert_int_equal(store_copy(b.memory, &copy, &v, NULL), 0);
    assert_int_equal(store_delete(b.memory, "f", NULL, NULL), 0);
    assert_int_equal(writer_set_key(w, "g", v.etag), 0);
    assert_int_equal(write_content(w, SEED, 1000, 10), 0);
    assert_int_equal(writer_commit(w, &res, NULL), 0);
    assert_object(&b, "g", SEED, 1010);
    assert_int_equal(store_memory_object_count(b.memory), 1);
    writer_free(w);
    bed_close(&b);
}

/* The content as a file, whatever has become of the writer. */
static void saved_into_a_file(void **state)
{
    struct bed b;
    bed_open(&b, 1, NULL, NULL);
    FILE *f = tmpfile();
    assert_non_null(f);
    struct writer *w = open_writer(&b, "f", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 100), 0);
    assert_int_equal(writer_truncate(w, 1000, NULL), 0);
    struct writer_saved saved;
    assert_int_equal(writer_save(w, fileno(f), &saved, NULL), 0);
    assert_true(saved.size == 1000 && saved.missing_length == 0 && !saved.upload_id[0]);
    char buf[1000], zeros[900] = {0};
    assert_int_equal(fread(buf, 1, 1000, f), 1000);
    assert_true(content_is(SEED, 0, buf, 100));
    assert_memory_equal(buf + 100, zeros, 900);
    assert_int_equal(fgetc(f), EOF);
    writer_free(w);
    fclose(f);

    /* What was sent is in the upload, which stays. */
    f = tmpfile();
    assert_non_null(f);
    w = open_writer(&b, "g", NULL, 0);
    assert_int_equal(write_content(w, SEED, 0, 20 * MIB), 0);
    assert_int_equal(writer_save(w, fileno(f), &saved, NULL), 0);
    assert_int_equal(saved.size, 20 * MIB);
    assert_int_equal(saved.missing_offset, 0);
    assert_int_equal(saved.missing_length, 16 * MIB);
    assert_int_equal(saved.upload_length, 16 * MIB);
    assert_true(saved.upload_id[0]);
    assert_int_equal(fseek(f, 16 * MIB, SEEK_SET), 0);
    assert_int_equal(fread(buf, 1, 1000, f), 1000);
    assert_true(content_is(SEED, 16 * MIB, buf, 1000));
    writer_keep_upload(w);
    writer_free(w);
    assert_int_equal(store_memory_upload_count(b.memory), 1);
    fclose(f);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_file_is_one_put),
        cmocka_unit_test(empty_file_is_one_put),
        cmocka_unit_test(stream_is_multipart),
        cmocka_unit_test(boundary_of_the_first_part),
        cmocka_unit_test(aborted_when_not_committed),
        cmocka_unit_test(rewriting_what_is_in_memory),
        cmocka_unit_test(what_has_left_is_changed_all_the_same),
        cmocka_unit_test(truncated_to_nothing_starts_again),
        cmocka_unit_test(holes_take_no_memory),
        cmocka_unit_test(small_base_is_read_when_needed),
        cmocka_unit_test(replaced_base_is_stale),
        cmocka_unit_test(append_to_a_large_base_copies),
        cmocka_unit_test(copies_keep_the_minimum),
        cmocka_unit_test(huge_base),
        cmocka_unit_test(conditions_hold),
        cmocka_unit_test(failed_part_is_sent_again),
        cmocka_unit_test(failure_stays),
        cmocka_unit_test(failed_complete_can_be_repeated),
        cmocka_unit_test(wrong_sums_are_not_completed),
        cmocka_unit_test(lost_answers_are_recognised),
        cmocka_unit_test(attributes_go_along),
        cmocka_unit_test(orphans_store_nothing),
        cmocka_unit_test(renamed_while_open),
        cmocka_unit_test(saved_into_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
