/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of memory: nobody gets one that another has, and what is in use and what is kept for the
 * next use stay within the limit together, in the budget's account and in the system's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "data/data_impl.h"
#include "data_bed.h"

#define LIMIT (64 * MIB)
#define CHUNK (2 * MIB) /* granted at once: so much may be kept beyond the limit, until a free */

struct piece {
    char *blocks[80];
    size_t n;
    uint64_t stamp;
};

static bool take(struct data_share *s, struct piece *p, size_t n, uint64_t stamp)
{
    if (data_share_reserve(s, n * DATA_BLOCK_SIZE, DATA_TRY))
        return false;
    assert_int_equal(data_blocks_get(s->d, p->blocks, n), 0);
    p->n = n;
    p->stamp = stamp;
    for (size_t i = 0; i < n; i++)
        for (size_t at = 0; at < DATA_BLOCK_SIZE; at += 4096) {
            uint64_t value = stamp + i;
            memcpy(p->blocks[i] + at, &value, sizeof(value));
        }
    return true;
}

static void give_back(struct data_share *s, struct piece *p)
{
    for (size_t i = 0; i < p->n; i++)
        for (size_t at = 0; at < DATA_BLOCK_SIZE; at += 4096) {
            uint64_t value;
            memcpy(&value, p->blocks[i] + at, sizeof(value));
            assert_int_equal(value, p->stamp + i);
        }
    data_share_put_blocks(s, p->blocks, p->n, p->n * DATA_BLOCK_SIZE, false);
    p->n = 0;
}

static void check_account(struct bed *b)
{
    struct data_stats stats;
    data_stats(b->data, &stats);
    assert_true(stats.memory_used + stats.memory_kept <= LIMIT + CHUNK);
}

struct worker {
    struct bed *b;
    uint64_t random;
};

static void *mix(void *arg)
{
    struct worker *w = arg;
    struct data_share share;
    struct piece pieces[16] = {0};
    data_share_init(&share, w->b->data, DATA_READER);
    for (int step = 0; step < 1500; step++) {
        struct piece *p = &pieces[next_random(&w->random) % ARRAY_SIZE(pieces)];
        size_t n = next_random(&w->random) % 4 ? 1 + next_random(&w->random) % 8 : 64;
        if (p->n)
            give_back(&share, p);
        else
            (void)take(&share, p, n, w->random << 8);
    }
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
        if (pieces[i].n)
            give_back(&share, &pieces[i]);
    return NULL;
}

static void nobody_gets_what_another_has(void **state)
{
    struct data_options o = {.memory_limit = LIMIT, .idle_ns = 3600 * NS_PER_S};
    struct worker workers[4];
    pthread_t threads[4];
    struct bed b;
    print_message("# seeds 1 to 4\n");
    bed_open(&b, 0, &o, NULL);
    for (unsigned i = 0; i < 4; i++) {
        workers[i] = (struct worker){&b, i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, mix, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    check_account(&b);
    bed_close(&b);
}

static uint64_t resident(void)
{
    unsigned long size, pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &size, &pages), 2);
    fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Sanitizers keep memory of their own. */
static void expect_resident(uint64_t most, uint64_t limit)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(most <= limit);
#endif
}

/* Of the memory up to the limit every other block stays in use, in a different place each round:
 * free blocks between others count too. */
static void holes_count(void **state)
{
    enum { N = LIMIT / DATA_BLOCK_SIZE };
    struct data_options o = {.memory_limit = LIMIT, .idle_ns = 3600 * NS_PER_S};
    static struct piece pieces[N], large[8];
    struct data_share share;
    struct bed b;
    bed_open(&b, 0, &o, NULL);
    data_share_init(&share, b.data, DATA_READER);
    uint64_t before = resident(), most = 0;
    for (unsigned round = 0; round < 4; round++) {
        for (size_t i = 0; i < N; i++)
            if (!pieces[i].n)
                assert_true(take(&share, &pieces[i], 1, i << 8));
        assert_false(take(&share, &large[0], 1, 1));
        for (size_t i = round % 2; i < N; i += 2)
            give_back(&share, &pieces[i]);
        check_account(&b);
        for (size_t i = 0; i < ARRAY_SIZE(large); i++)
            assert_true(take(&share, &large[i], 32, i << 8));
        check_account(&b);
        most = MAX(most, resident());
        for (size_t i = 0; i < ARRAY_SIZE(large); i++)
            give_back(&share, &large[i]);
        check_account(&b);
    }
    for (size_t i = 0; i < N; i++)
        if (pieces[i].n)
            give_back(&share, &pieces[i]);
    assert_int_equal(share.used, 0);
    expect_resident(most, before + LIMIT + 2 * CHUNK);
    bed_close(&b);
}

/* Holes that a small one cannot have filled go back to the system one by one. */
static void holes_go_back(void **state)
{
    enum { N = LIMIT / DATA_BLOCK_SIZE };
    struct data_options o = {.memory_limit = LIMIT, .idle_ns = 3600 * NS_PER_S};
    static struct piece pieces[N];
    struct data_share share;
    struct data_stats stats;
    struct bed b;
    bed_open(&b, 0, &o, NULL);
    data_share_init(&share, b.data, DATA_READER);
    for (size_t i = 0; i < N; i++)
        assert_true(take(&share, &pieces[i], 1, i << 8));
    uint64_t before = resident();
    for (size_t i = 0; i < N; i++)
        if (i % 16)
            give_back(&share, &pieces[i]);
    pthread_mutex_lock(&b.data->lock);
    data_blocks_trim_locked(b.data, 5);
    pthread_mutex_unlock(&b.data->lock);
    data_stats(b.data, &stats);
    assert_int_equal(stats.memory_kept, 5 * DATA_BLOCK_SIZE);
    expect_resident(resident() + LIMIT * 3 / 4, before);
    for (size_t i = 0; i < N; i++)
        if (i % 16 == 0)
            give_back(&share, &pieces[i]);
    assert_int_equal(share.used, 0);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_gets_what_another_has),
        cmocka_unit_test(holes_count),
        cmocka_unit_test(holes_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
