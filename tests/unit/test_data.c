/* SPDX-License-Identifier: Apache-2.0 */
/* What readers and writers share: part sizes, memory that is given back, buffers. And the limits of
 * S3 that a stream meets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

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

/* ---- memory ---- */

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
        data_share_init(&share, b.data, DATA_READER);
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
    data_share_init(&share, b.data, DATA_READER);
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
        cmocka_unit_test(unused_memory_goes_back),
        cmocka_unit_test(small_files_are_small),
        cmocka_unit_test(buffer_against_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
