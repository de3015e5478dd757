/* SPDX-License-Identifier: Apache-2.0 */
/* What readers and writers share: part sizes, the memory budget, buffers, the recognition of
 * sequential reads. And the limits of S3 that a stream meets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "data_bed.h"
#include "data/buffer.h"
#include "store/store_limits.h"

/* ---- part sizes ---- */

static void part_sizes(void **state)
{
    static const uint64_t FIRST[] = {1, 5 * MIB, 8 * MIB, 64 * MIB, 5 * GIB, 6 * GIB};
    for (size_t f = 0; f < ARRAY_SIZE(FIRST); f++) {
        uint64_t before = 0, sum = 0;
        for (uint32_t i = 0; i < STORE_PARTS_MAX; i++) {
            uint64_t size = data_part_size(FIRST[f], i);
            assert_true(size >= STORE_PART_SIZE_MIN && size <= STORE_PART_SIZE_MAX);
            assert_true(size >= before);
            before = size;
            sum += size;
        }
        assert_true(sum >= 22 * TIB);
        if (FIRST[f] >= 5 * GIB)
            assert_int_equal(sum, STORE_OBJECT_SIZE_MAX);
    }
    /* What a stream can have with the default memory limit, of which a part takes a quarter. */
    uint64_t sum = 0;
    for (uint32_t i = 0; i < STORE_PARTS_MAX; i++)
        sum += MIN(data_part_size(8 * MIB, i), 128 * MIB);
    assert_int_equal(sum / GIB, 867);
    /* A file of common size has parts that fit the memory. */
    sum = 0;
    for (uint32_t i = 0; sum < 117 * GIB; i++) {
        assert_true(data_part_size(8 * MIB, i) <= 64 * MIB);
        sum += data_part_size(8 * MIB, i);
    }
    assert_int_equal(data_part_size(8 * MIB, 0), 8 * MIB);
    assert_int_equal(data_part_size(8 * MIB, 999), 8 * MIB);
    assert_int_equal(data_part_size(8 * MIB, 1000), 16 * MIB);
    assert_int_equal(data_part_size(8 * MIB, UINT32_MAX), 5 * GIB);
}

/* ---- a store that takes everything and keeps nothing ---- */

struct sponge {
    struct store store; /* first */
    uint64_t bytes, largest, smallest;
    uint32_t parts, completed_parts;
    unsigned aborts;
};

static int sponge_submit(struct store *s, enum store_op op, const void *in, void *out,
                         store_done_fn done, void *ctx)
{
    struct sponge *p = (struct sponge *)s;
    switch ((int)op) {
    case STORE_UPLOAD_CREATE:
        snprintf(((struct store_upload *)out)->id, STORE_UPLOAD_ID_SIZE, "u");
        break;
    case STORE_UPLOAD_PART: {
        const struct store_upload_part_in *part = in;
        uint64_t size = 0;
        for (int i = 0; i < part->n_body; i++)
            size += part->body[i].iov_len;
        assert_int_equal(part->number, ++p->parts);
        p->bytes += size;
        p->largest = MAX(p->largest, size);
        p->smallest = MIN(p->smallest, size);
        *(struct store_part *)out = (struct store_part){.etag = "\"e\"", .size = size};
        break;
    }
    case STORE_UPLOAD_COMPLETE: {
        const struct store_upload_complete_in *complete = in;
        p->completed_parts = (uint32_t)complete->n_parts;
        for (size_t i = 0; i < complete->n_parts; i++) {
            assert_int_equal(complete->parts[i].number, i + 1);
            assert_string_equal(complete->parts[i].etag, "\"e\"");
        }
        *(struct store_version *)out = (struct store_version){.etag = "\"v\""};
        break;
    }
    case STORE_UPLOAD_ABORT:
        p->aborts++;
        break;
    default:
        fail_msg("unexpected %s", store_op_name(op));
    }
    done(ctx, 0, NULL);
    return 0;
}

static const struct store_ops SPONGE_OPS = {.submit = sponge_submit};

/* Exactly 10,000 parts are an object; one byte more is EFBIG, and what was there stays good. */
static void ten_thousand_parts(void **state)
{
    struct sponge sponge = {.store = {&SPONGE_OPS}, .smallest = UINT64_MAX};
    struct data_options o = {
        .store = &sponge.store, .memory_limit = 64 * MIB, .write_part_size = 5 * MIB};
    struct data *d = NULL;
    assert_int_equal(data_new(&o, &d), 0);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < STORE_PARTS_MAX; i++)
        sum += MIN(data_part_size(5 * MIB, i), 16 * MIB);

    struct writer_options wo = {.key = "f"};
    struct writer *w = NULL;
    struct writer_result res;
    struct s3_error err;
    assert_int_equal(writer_new(d, &wo, &w), 0);
    assert_int_equal(writer_truncate(w, sum - 1, NULL), 0);
    assert_int_equal(writer_write(w, sum - 1, "x", 1, NULL), 0);
    assert_int_equal(writer_write(w, sum, "x", 1, &err), -EFBIG);
    assert_int_equal(err.kind, S3_ERROR_TOO_LARGE);
    assert_int_equal(writer_size(w), sum);
    assert_int_equal(writer_truncate(w, sum + 1, NULL), 0);
    assert_int_equal(writer_commit(w, &res, &err), -EFBIG);
    assert_int_equal(writer_truncate(w, sum, NULL), 0);
    assert_int_equal(writer_commit(w, &res, &err), 0);
    assert_int_equal(res.size, sum);
    assert_int_equal(sponge.completed_parts, 10000);
    assert_int_equal(sponge.bytes, sum);
    assert_int_equal(sponge.largest, 16 * MIB);
    assert_int_equal(sponge.smallest, 5 * MIB);
    assert_int_equal(sponge.aborts, 0);
    struct data_stats stats;
    data_stats(d, &stats);
    assert_true(stats.memory_peak <= MIB);
    writer_free(w);

    assert_int_equal(writer_new(d, &wo, &w), 0);
    assert_int_equal(writer_truncate(w, STORE_OBJECT_SIZE_MAX + 1, &err), -EFBIG);
    assert_int_equal(writer_write(w, STORE_OBJECT_SIZE_MAX, "x", 1, &err), -EFBIG);
    assert_int_equal(writer_write(w, UINT64_MAX, "xy", 2, &err), -EFBIG);
    writer_free(w);
    data_free(d);
}

/* ---- budget ---- */

static void guarantee_is_always_granted(void **state)
{
    struct data_options o = {.memory_limit = 64 * MIB};
    struct bed b;
    bed_open(&b, 0, &o, NULL);
    struct data_share first, second;
    data_share_init(&first, b.data, 10 * MIB);
    data_share_init(&second, b.data, 10 * MIB);
    assert_int_equal(data_share_reserve(&first, 64 * MIB, DATA_TRY), 0);
    assert_int_equal(data_share_reserve(&first, 1, DATA_TRY), -EAGAIN);
    assert_int_equal(data_share_reserve(&second, 10 * MIB, DATA_TRY), 0);
    assert_int_equal(data_share_reserve(&second, 1, DATA_TRY), -EAGAIN);
    assert_int_equal(data_share_reserve(&second, 1, DATA_FORCE), 0);
    assert_true(data_is_tight(b.data));
    data_share_release(&second, 10 * MIB + 1);
    data_share_release(&first, 64 * MIB);
    assert_false(data_is_tight(b.data));
    bed_close(&b);
}

/* When half is in use, nobody may have more than an equal share. */
static void shares_are_fair(void **state)
{
    struct data_options o = {.memory_limit = 64 * MIB};
    struct bed b;
    bed_open(&b, 0, &o, NULL);
    struct data_share s[4];
    for (int i = 0; i < 4; i++) {
        data_share_init(&s[i], b.data, 0);
        assert_int_equal(data_share_reserve(&s[i], MIB, DATA_TRY), 0);
    }
    unsigned got = 1;
    while (data_share_reserve(&s[0], MIB, DATA_TRY) == 0)
        got++;
    assert_true(got >= 16 && got < 32); /* half of the limit, but for what the others have */
    for (int i = 1; i < 4; i++)
        for (unsigned k = 1; k < 11; k++)
            assert_int_equal(data_share_reserve(&s[i], MIB, DATA_TRY), 0);
    data_share_release(&s[0], got * MIB);
    for (int i = 1; i < 4; i++)
        data_share_release(&s[i], 11 * MIB);
    bed_close(&b);
}

struct waiter {
    struct data_share share;
    pthread_t thread;
    int *order, *next;
    int index;
    pthread_mutex_t *lock;
};

static void *wait_run(void *arg)
{
    struct waiter *w = arg;
    data_share_wait(&w->share, DATA_BLOCK_SIZE);
    pthread_mutex_lock(w->lock);
    w->order[(*w->next)++] = w->index;
    pthread_mutex_unlock(w->lock);
    return NULL;
}

/* Waiters are served in their order, and nobody else before them. */
static void first_come_first_served(void **state)
{
    struct data_options o = {.memory_limit = 64 * MIB};
    struct bed b;
    bed_open(&b, 0, &o, NULL);
    struct data_share hog, late;
    data_share_init(&hog, b.data, 0);
    data_share_init(&late, b.data, 0);
    assert_int_equal(data_share_reserve(&hog, 64 * MIB, DATA_TRY), 0);
    struct waiter w[5];
    int order[5], next = 0;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    for (int i = 0; i < 5; i++) {
        w[i] = (struct waiter){.order = order, .next = &next, .index = i, .lock = &lock};
        data_share_init(&w[i].share, b.data, 0);
        assert_int_equal(pthread_create(&w[i].thread, NULL, wait_run, &w[i]), 0);
        /* Until it waits. */
        for (int queued = 0; queued <= i;) {
            pthread_mutex_lock(&b.data->lock);
            queued = (int)b.data->n_waiters;
            pthread_mutex_unlock(&b.data->lock);
            sched_yield();
        }
    }
    assert_int_equal(data_share_reserve(&late, 1, DATA_TRY), -EAGAIN);
    for (int i = 0; i < 5; i++) {
        data_share_release(&hog, DATA_BLOCK_SIZE);
        pthread_join(w[i].thread, NULL);
        assert_int_equal(next, i + 1);
        assert_int_equal(order[i], i);
        /* The next reservation takes what was granted. */
        assert_int_equal(data_share_reserve(&w[i].share, DATA_BLOCK_SIZE, DATA_TRY), 0);
    }
    for (int i = 0; i < 5; i++)
        data_share_release(&w[i].share, DATA_BLOCK_SIZE);
    data_share_release(&hog, 64 * MIB - 5 * DATA_BLOCK_SIZE);
    bed_close(&b);
}

struct file_writer {
    struct bed *b;
    int index;
    uint64_t size;
    int result;
    pthread_t thread;
};

static void *file_run(void *arg)
{
    struct file_writer *f = arg;
    char key[16], *buf = malloc(500000);
    snprintf(key, sizeof(key), "f%d", f->index);
    struct writer_options o = {.key = key};
    struct writer *w = NULL;
    f->result = writer_new(f->b->data, &o, &w);
    for (uint64_t at = 0; at < f->size && !f->result;) {
        size_t n = MIN(f->size - at, 500000u);
        content_fill((uint64_t)f->index, at, buf, n);
        f->result = writer_write(w, at, buf, n, NULL);
        at += n;
    }
    if (!f->result)
        f->result = writer_commit(w, NULL, NULL);
    writer_free(w);
    free(buf);
    return NULL;
}

static void check_file(struct bed *b, int index, uint64_t size)
{
    char key[16], *buf = malloc(size);
    uint64_t stored;
    snprintf(key, sizeof(key), "f%d", index);
    assert_int_equal(bed_get(b, key, 0, buf, size, &stored), size);
    assert_int_equal(stored, size);
    assert_true(content_is((uint64_t)index, 0, buf, size));
    free(buf);
}

/* 64 writers of three parts each with the least memory there can be. */
static void many_writers_little_memory(void **state)
{
    struct data_options o = {.memory_limit = 1, .write_part_size = 5 * MIB, .parallel = 3};
    struct bed b;
    bed_open(&b, 2, &o, NULL);
    struct file_writer f[64];
    uint64_t size = 11 * MIB;
    for (int i = 0; i < 64; i++) {
        f[i] = (struct file_writer){.b = &b, .index = i, .size = size};
        assert_int_equal(pthread_create(&f[i].thread, NULL, file_run, &f[i]), 0);
    }
    for (int i = 0; i < 64; i++) {
        pthread_join(f[i].thread, NULL);
        assert_int_equal(f[i].result, 0);
    }
    for (int i = 0; i < 64; i++)
        check_file(&b, i, size);
    assert_int_equal(store_memory_upload_count(b.memory), 0);
    struct data_stats stats;
    data_stats(b.data, &stats);
    assert_int_equal(stats.memory_limit, 64 * MIB);
    assert_true(stats.memory_peak <= 64 * MIB + 64 * 5 * MIB);
    bed_close(&b);
}

/* The same by one thread in turns: nobody but it could ever free memory. */
static void many_writers_one_thread(void **state)
{
    for (unsigned threads = 0; threads < 2; threads++) {
        struct data_options o = {.memory_limit = 1, .write_part_size = 5 * MIB, .parallel = 3};
        struct bed b;
        bed_open(&b, threads, &o, NULL);
        struct writer *w[32];
        char key[16], *buf = malloc(MIB);
        for (int i = 0; i < 32; i++) {
            snprintf(key, sizeof(key), "f%d", i);
            struct writer_options wo = {.key = key};
            assert_int_equal(writer_new(b.data, &wo, &w[i]), 0);
        }
        for (uint64_t at = 0; at < 11 * MIB; at += MIB)
            for (int i = 0; i < 32; i++) {
                content_fill((uint64_t)i, at, buf, MIB);
                assert_int_equal(writer_write(w[i], at, buf, MIB, NULL), 0);
            }
        for (int i = 0; i < 32; i++)
            assert_int_equal(writer_commit(w[i], NULL, NULL), 0);
        for (int i = 0; i < 32; i++)
            writer_free(w[i]);
        for (int i = 0; i < 32; i++)
            check_file(&b, i, 11 * MIB);
        free(buf);
        bed_close(&b);
    }
}

/* What a large transfer has needed goes back after a while; until then it is kept for the next. */
static void unused_memory_goes_back(void **state)
{
    struct bed b;
    struct data_share share;
    struct buffer buffer;
    struct data_stats stats;
    struct data_options often = {.idle_ns = NS_PER_MS}, never = {.idle_ns = 3600 * NS_PER_S};
    for (int i = 0; i < 4; i++) {
        bed_open(&b, 1, i % 2 ? &often : &never, NULL);
        data_share_init(&share, b.data, 0);
        buffer_init(&buffer, &share);
        uint64_t size = i < 2 ? 48 * MIB : 16 * MIB;
        assert_int_equal(buffer_allocate(&buffer, size, DATA_TRY), 0);
        buffer_done(&buffer);
        bool goes = i == 1;
        data_stats(b.data, &stats);
        for (int k = 0; goes && stats.memory_kept && k < 20000; k++) {
            nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
            data_stats(b.data, &stats);
        }
        assert_int_equal(stats.memory_kept, goes ? 0 : size);
        bed_close(&b);
    }
}

/* Many small files open at once cost what they hold. */
static void small_files_are_small(void **state)
{
    struct bed b;
    bed_open(&b, 0, NULL, NULL);
    enum { N = 1000 };
    struct writer *w[N];
    for (int i = 0; i < N; i++) {
        struct writer_options o = {.key = "f"};
        assert_int_equal(writer_new(b.data, &o, &w[i]), 0);
        assert_int_equal(writer_write(w[i], 0, "hello", 5, NULL), 0);
    }
    struct data_stats stats;
    data_stats(b.data, &stats);
    assert_int_equal(stats.memory_used, N * 4096);
    assert_int_equal(stats.dirty_bytes, N * 5);
    assert_int_equal(stats.writers, N);
    for (int i = 0; i < N; i++)
        writer_free(w[i]);
    bed_close(&b);
}

/* ---- buffers ---- */

static void buffer_against_reference(void **state)
{
    uint64_t seed = 424242, random = seed;
    print_message("# seed %llu\n", (unsigned long long)seed);
    struct bed b;
    bed_open(&b, 0, NULL, NULL);
    struct data_share share;
    data_share_init(&share, b.data, 0);
    enum { MAX_LEN = 700000 };
    char *reference = calloc(1, MAX_LEN), *bytes = malloc(MAX_LEN);
    for (int round = 0; round < 60; round++) {
        struct buffer buf;
        buffer_init(&buf, &share);
        uint64_t len = 0;
        for (int step = 0; step < 40; step++) {
            /* Small steps first, so that the growth of the first block is seen. */
            uint64_t most = step < 20 ? 5000 : 200000;
            uint64_t n = next_random(&random) % most;
            size_t done;
            uint64_t zeros;
            switch (next_random(&random) % 4) {
            case 0: {
                uint64_t at = len ? next_random(&random) % (len + 1) : 0;
                n = MIN(n, MAX_LEN - at);
                content_fill(random, at, bytes, n);
                memcpy(reference + at, bytes, n);
                assert_int_equal(buffer_write(&buf, at, bytes, n, DATA_TRY, &done), 0);
                assert_int_equal(done, n);
                len = MAX(len, at + n);
                break;
            }
            case 1:
                n = MIN(n, MAX_LEN - len);
                memset(reference + len, 0, n);
                assert_int_equal(buffer_append_zeros(&buf, n, DATA_TRY, &zeros), 0);
                len += n;
                break;
            case 2:
                len = len ? next_random(&random) % (len + 1) : 0;
                buffer_truncate(&buf, len);
                break;
            default: {
                struct iovec *iov;
                int n_iov;
                assert_int_equal(buffer_iov(&buf, &iov, &n_iov), 0);
                uint64_t at = 0;
                for (int i = 0; i < n_iov; i++) {
                    assert_memory_equal(iov[i].iov_base, reference + at, iov[i].iov_len);
                    at += iov[i].iov_len;
                }
                assert_int_equal(at, len);
                free(iov);
            }
            }
            assert_int_equal(buf.len, len);
            uint64_t from = len ? next_random(&random) % len : 0;
            buffer_read(&buf, from, bytes, len - from);
            assert_memory_equal(bytes, reference + from, len - from);
        }
        buffer_done(&buf);
        assert_int_equal(share.used, 0);
    }
    free(reference);
    free(bytes);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(part_sizes),
        cmocka_unit_test(ten_thousand_parts),
        cmocka_unit_test(guarantee_is_always_granted),
        cmocka_unit_test(shares_are_fair),
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(many_writers_little_memory),
        cmocka_unit_test(many_writers_one_thread),
        cmocka_unit_test(unused_memory_goes_back),
        cmocka_unit_test(small_files_are_small),
        cmocka_unit_test(buffer_against_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
