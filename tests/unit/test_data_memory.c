/* SPDX-License-Identifier: Apache-2.0 */
/* Every single allocation of a reader's and a writer's life fails once: an error or a success that
 * is true, never a crash, a leak, wrong bytes or a half object. (The memory store is part of what
 * runs out of memory; a store that fails is what a network that fails looks like.) */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "alloc_fail.h"
#include "data_bed.h"
#include "data/data_impl.h"
#include "data/landing_impl.h"
#include "tempfolder.h"

#define SEED 5

static char *content; /* of SEED, long enough for all */

static int write_at(struct writer *w, uint64_t offset, size_t len)
{
    int r = 0;
    while (len && !r) {
        size_t n = MIN(len, MIB);
        r = writer_write(w, offset, content + offset, n, NULL);
        offset += n;
        len -= n;
    }
    return r;
}

/* Small, committed, then beyond the first part, committed, appended to, committed. *ret_size: of
 * the last commit that said success. */
static int write_life(struct bed *b, uint64_t *ret_size)
{
    struct writer_options o = {.key = "f"};
    struct writer_result res;
    struct writer *w = NULL;
    int r = writer_new(b->data, &o, &w);
    if (!r)
        r = write_at(w, 0, 100000);
    if (!r)
        r = writer_commit(w, &res, NULL);
    if (!r) {
        *ret_size = res.size;
        r = write_at(w, 100000, 6 * MIB);
    }
    if (!r)
        r = writer_commit(w, &res, NULL);
    if (!r) {
        *ret_size = res.size;
        r = write_at(w, res.size, 1000);
    }
    if (!r)
        r = writer_commit(w, &res, NULL);
    if (!r)
        *ret_size = res.size;
    writer_free(w);
    return r;
}

/* spill: the budget grants nothing, so that parts go over the local disk. */
static void writers_and_failures(bool spill)
{
    static const uint64_t COMMITS[] = {0, 100000, 100000 + 6 * MIB, 101000 + 6 * MIB};
    char *folder = spill ? tempfolder_make() : NULL;
    struct data_options o = {.write_part_size = 5 * MIB, .dirty_dir = folder};
    long n = 0;
    unsigned failed = 0;
    char *buf = malloc(8 * MIB);
    for (bool more = true; more; n++) {
        struct bed b;
        struct data_stats stats;
        bed_open(&b, 0, &o, NULL);
        struct data_share *hog = data_share_new(b.data, DATA_READER);
        data_stats(b.data, &stats);
        if (spill)
            data_share_force(hog, stats.memory_limit);
        uint64_t told = 0, size = 0;
        alloc_fail_begin(n);
        int r = write_life(&b, &told);
        more = alloc_fail_end();
        assert_true(r <= 0);
        failed += r < 0;
        long len = bed_get(&b, "f", 0, buf, 8 * MIB, &size);
        bool known = false;
        for (size_t i = 0; i < ARRAY_SIZE(COMMITS); i++)
            known = known || size == COMMITS[i];
        assert_true(known && size >= told);
        assert_true(len < 0 || (len == (long)size && memcmp(buf, content, size) == 0));
        if (!r)
            assert_int_equal(told, COMMITS[3]);
        data_share_drop_credit(hog);
        data_share_unref(hog);
        data_stats(b.data, &stats);
        assert_true(more || (stats.spilled > 0) == spill);
        bed_close(&b);
    }
    free(buf);
    tempfolder_remove(folder);
    assert_true(n > 60 && failed > 40);
}

static void writers_without_memory(void **state)
{
    writers_and_failures(false);
}

static void writers_that_spill_without_memory(void **state)
{
    writers_and_failures(true);
}

static int read_life(struct bed *b, const char *key, const char *etag, uint64_t size, char *buf,
                     bool *ret_right)
{
    struct reader_options o = {.key = key, .size = size, .etag = etag};
    struct reader *reader = NULL;
    *ret_right = true;
    int r = reader_new(b->data, &o, &reader);
    for (uint64_t at = 0; !r && at < size; at += 256 * KIB) {
        size_t n = 0;
        r = reader_read(reader, at, buf, 256 * KIB, &n, NULL);
        if (!r && (n != MIN(256 * KIB, size - at) || memcmp(buf, content + at, n) != 0))
            *ret_right = false;
    }
    reader_free(reader);
    return r;
}

static void readers_without_memory(void **state)
{
    static const uint64_t SIZES[] = {1000, 300000, 5 * MIB};
    struct data_options o = {.read_part_size = MIB};
    char *buf = malloc(256 * KIB);
    for (size_t i = 0; i < ARRAY_SIZE(SIZES); i++) {
        unsigned failed = 0;
        long n = 0;
        for (bool more = true; more; n++) {
            struct bed b;
            bed_open(&b, 0, &o, NULL);
            struct store_version v;
            bed_put(&b, "f", SEED, SIZES[i], &v);
            bool right = false;
            alloc_fail_begin(n);
            int r = read_life(&b, "f", v.etag, SIZES[i], buf, &right);
            more = alloc_fail_end();
            assert_true(r <= 0 && right);
            failed += r < 0;
            bed_close(&b);
        }
        assert_true(n > 5 && failed > 3);
    }
    free(buf);
}

/* What it could not get in full, it has not got: the pool may give it to others. */
static void landing_without_memory(void **state)
{
    enum { OTHERS = 12 }; /* of the 16 blocks of a chunk */
    char *others[OTHERS];
    struct iovec iov[LANDING_IOV];
    struct bed b;
    bed_open(&b, 0, NULL, NULL);
    assert_int_equal(data_blocks_get(b.data, others, OTHERS), 0);
    struct landing *l = landing_new(b.data);
    assert_non_null(l);
    alloc_fail_begin(0);
    assert_false(landing_iov(l, iov));
    assert_true(alloc_fail_end());
    assert_true(landing_iov(l, iov));
    for (int i = 0; i < LANDING_IOV; i++)
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(iov[i].iov_base, iov[k].iov_base);
    landing_free(l);
    pthread_mutex_lock(&b.data->lock);
    data_blocks_put_locked(b.data, others, OTHERS);
    pthread_mutex_unlock(&b.data->lock);
    bed_close(&b);
}

int main(void)
{
    content = malloc(8 * MIB);
    if (!content)
        return 1;
    content_fill(SEED, 0, content, 8 * MIB);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writers_without_memory),
        cmocka_unit_test(writers_that_spill_without_memory),
        cmocka_unit_test(readers_without_memory),
        cmocka_unit_test(landing_without_memory),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    free(content);
    return r;
}
