/* SPDX-License-Identifier: Apache-2.0 */
/* Views of what a reader has: they point at the bytes where these arrived. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "data/data_impl.h"
#include "data/reader_impl.h"
#include "data_bed.h"

#define SEED 11

/* A view points at the bytes where they arrived, and keeps them when the reader goes. */
static void view_keeps_the_bytes(void **state)
{
    struct bed b;
    bed_open(&b, 0, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 900000, &v);
    struct reader *r = bed_open_reader(&b, "f", v.etag, 900000);
    struct reader_view one, two;
    assert_int_equal(reader_read_view(r, 1000, 500000, &one, NULL), 0);
    assert_int_equal(reader_read_view(r, 1000, 500000, &two, NULL), 0);
    assert_int_equal(one.len, 500000);
    assert_int_equal(one.n, 4);
    for (int i = 0; i < one.n; i++)
        assert_ptr_equal(one.iov[i].iov_base, two.iov[i].iov_base);
    reader_view_done(&two);
    reader_free(r);
    struct data_stats stats;
    data_stats(b.data, &stats);
    assert_true(stats.memory_used >= 900000);
    char *buf = malloc(500000);
    assert_int_equal(reader_view_copy(&one, buf), 500000);
    assert_true(content_is(SEED, 1000, buf, 500000));
    free(buf);
    reader_view_done(&one);
    reader_view_done(&one);
    bed_close(&b);
}

/* What lies in too many pieces is put together; so is what comes from elsewhere. */
static void view_of_many_pieces(void **state)
{
    struct bed b;
    bed_open(&b, 0, NULL, NULL);
    struct store_version v;
    bed_put(&b, "f", SEED, 10 * MIB, &v);
    struct reader *r = bed_open_reader(&b, "f", v.etag, 10 * MIB);
    for (uint64_t at = 2 * MIB + 256 * KIB; at < 4 * MIB; at += 256 * KIB)
        assert_int_equal(bed_read_check(r, SEED, at, 4096, 4096), 0);
    struct reader_view view;
    assert_int_equal(reader_read_view(r, 2 * MIB, 2 * MIB, &view, NULL), 0);
    assert_int_equal(view.len, 2 * MIB);
    assert_non_null(view.owned);
    char *buf = malloc(2 * MIB);
    assert_int_equal(reader_view_copy(&view, buf), 2 * MIB);
    assert_true(content_is(SEED, 2 * MIB, buf, 2 * MIB));
    free(buf);
    reader_view_done(&view);
    reader_free(r);

    void *own;
    assert_int_equal(reader_view_own(&view, 100, &own), 0);
    memcpy(own, "abc", 3);
    reader_view_set_length(&view, 3);
    char three[3];
    assert_int_equal(reader_view_copy(&view, three), 3);
    assert_memory_equal(three, "abc", 3);
    reader_view_done(&view);
    bed_close(&b);
}

/* sum_parts is for what is written. */
static void no_sum_of_a_part_is_computed(void **state)
{
    struct bed b;
    struct store_version v;
    char buf[4096];
    size_t n;
    bed_open(&b, 0, NULL, NULL);
    bed_put(&b, "f", 1, 100000, &v);
    struct reader_options o = {.key = "f", .size = 100000, .etag = v.etag};
    struct reader *r = NULL;
    assert_int_equal(reader_new(b.data, &o, &r), 0);
    assert_int_equal(reader_read(r, 0, buf, sizeof(buf), &n, NULL), 0);
    assert_non_null(r->ranges);
    assert_int_equal(r->ranges->filled, 100000);
    assert_int_equal(r->ranges->buffer.summed, 0);
    reader_free(r);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(view_keeps_the_bytes),
        cmocka_unit_test(view_of_many_pieces),
        cmocka_unit_test(no_sum_of_a_part_is_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
