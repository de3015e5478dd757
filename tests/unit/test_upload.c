/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads by themselves; what writers make of them is in test_writer.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/crc.h"
#include "data/data_impl.h"
#include "data/upload.h"
#include "data_bed.h"

/* A store whose answers to parts say that another request for them was let go of. */
struct late_store {
    struct store store; /* first */
    struct store *inner;
};
struct late_call {
    struct store_part *out;
    store_done_fn done;
    void *ctx;
};

static void late_done(void *ctx, int result, const struct s3_error *err)
{
    struct late_call c = *(struct late_call *)ctx;
    free(ctx);
    c.out->late = true;
    c.done(c.ctx, result, err);
}

static int late_submit(struct store *s, enum store_op op, const void *in, void *out,
                       store_done_fn done, void *ctx)
{
    struct store *inner = ((struct late_store *)s)->inner;
    if (op != STORE_UPLOAD_PART)
        return store_submit(inner, op, in, out, done, ctx);
    struct late_call *c = malloc(sizeof(*c));
    assert_non_null(c);
    *c = (struct late_call){out, done, ctx};
    return store_submit(inner, op, in, out, late_done, c);
}

/* A part whose request was given up may be stored behind the abort's back: that is said twice. */
static void abort_after_a_part_without_an_answer(void **state)
{
    static const struct {
        enum s3_error_kind kind;
        uint64_t aborts;
        bool late;
    } CASES[] = {{S3_ERROR_NONE, 1, false},    {S3_ERROR_ACCESS_DENIED, 1, false},
                 {S3_ERROR_TIMEOUT, 2, false}, {S3_ERROR_CONNECT, 2, false},
                 {S3_ERROR_NONE, 2, true},     {S3_ERROR_CANCELLED, 2, false}};
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct bed b;
        bed_open(&b, 2, NULL, NULL);
        static const struct store_ops late_ops = {.submit = late_submit};
        struct late_store late = {{&late_ops}, b.data->store};
        if (CASES[i].late)
            b.data->store = &late.store;
        struct store_fault_rule rule = {
            .op = STORE_UPLOAD_PART, .after = 1, .error = CASES[i].kind, .lose_answer = true};
        if (CASES[i].kind)
            assert_int_equal(store_fault_add(b.fault, &rule), 0);
        struct data_share *share = data_share_new(b.data, DATA_WRITER);
        struct store_attrs attrs = {0};
        struct upload *u = NULL;
        struct s3_error err;
        assert_int_equal(upload_begin(share, "f", &attrs, &u, NULL), 0);
        for (int part = 0; part < 2; part++) {
            struct buffer buffer;
            size_t done;
            buffer_init(&buffer, share);
            assert_int_equal(buffer_write(&buffer, 0, "content", 7, DATA_FORCE, &done), 0);
            assert_int_equal(upload_part(u, &buffer, &err), 0);
            buffer_done(&buffer);
        }
        assert_int_equal(upload_wait(u, &err) == 0, CASES[i].kind == S3_ERROR_NONE);
        upload_free(u);
        data_share_unref(share);
        for (int k = 0; k < 20000; k++) { /* requests of the abort end on their own */
            pthread_mutex_lock(&b.data->lock);
            bool pinned = b.data->pins != 0;
            pthread_mutex_unlock(&b.data->lock);
            if (!pinned)
                break;
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        b.data->store = late.inner;
        assert_int_equal(store_count_requests(b.store, STORE_UPLOAD_ABORT), CASES[i].aborts);
        bed_close(&b);
    }
}

/* Written in order, over what is there, with holes and cut: the sum is the one of the bytes. */
static void sum_of_a_buffer(void **state)
{
    enum { SIZE = 900 * KIB };
    struct bed b;
    bed_open(&b, 0, NULL, NULL);
    struct data_share *share = data_share_new(b.data, DATA_WRITER);
    CLEANUP_FREE uint8_t *want = calloc(1, SIZE), *from = malloc(SIZE);
    unsigned short seed[3] = {1, 2, 3};
    for (int round = 0; round < 40; round++) {
        struct buffer buffer;
        buffer_init(&buffer, share);
        memset(want, 0, SIZE);
        for (int step = 0; step < 12; step++) {
            size_t len = (size_t)nrand48(seed) % (SIZE / 8), done = 0;
            uint64_t zeros = 0, at = buffer.len;
            int what = (int)(nrand48(seed) % 8);
            if (what == 0 && at)
                at = (uint64_t)nrand48(seed) % at;
            if (what == 1) {
                buffer_truncate(&buffer, at ? (uint64_t)nrand48(seed) % at : 0);
                memset(want + buffer.len, 0, SIZE - buffer.len);
            } else if (at + len <= SIZE && what == 2) {
                assert_int_equal(buffer_append_zeros(&buffer, len, DATA_FORCE, &zeros), 0);
            } else if (at + len <= SIZE) {
                content_fill((uint64_t)round, (uint64_t)step * 8, from, len);
                assert_int_equal(buffer_write(&buffer, at, from, len, DATA_FORCE, &done), 0);
                memcpy(want + at, from, len);
            }
            assert_true(buffer_sum(&buffer) == crc64nvme_update(0, want, buffer.len));
        }
        buffer_done(&buffer);
    }
    data_share_unref(share);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sum_of_a_buffer),
        cmocka_unit_test(abort_after_a_part_without_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
