/* SPDX-License-Identifier: Apache-2.0 */
/* The memory budget: who gets how much, that its limit holds for any number of writers, and that
 * nobody waits for ever, whatever programs do. A schedule that hangs is ended by an alarm. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "data_bed.h"
#include "data/buffer.h"
#include "data/landing_impl.h"
#include "tempfolder.h"

#define LIMIT (64 * MIB)
#define HANGS 300u /* seconds */

/* ---- rules ---- */

static void take(struct data_share *s, uint64_t bytes)
{
    assert_int_equal(data_share_reserve(s, bytes, DATA_TRY), 0);
}

static void refused(struct data_share *s, uint64_t bytes)
{
    assert_int_equal(data_share_reserve(s, bytes, DATA_TRY), -EAGAIN);
}

static uint64_t take_all(struct data_share *s, uint64_t step)
{
    uint64_t got = 0;
    for (; data_share_reserve(s, step, DATA_TRY) == 0; got += step)
        ;
    return got;
}

static void budget_open(struct bed *b, int writers)
{
    struct data_options o = {.memory_limit = LIMIT};
    bed_open(b, 0, &o, NULL);
    data_count(b->data, 0, writers);
}

static void budget_close(struct bed *b, int writers)
{
    data_count(b->data, 0, -writers);
    bed_close(b);
}

/* A quarter is for what is sent as soon as it is in memory. */
static void resting_leaves_a_quarter(void **state)
{
    struct bed b;
    budget_open(&b, 1);
    struct data_share w, other;
    data_share_init(&w, b.data, DATA_WRITER);
    data_share_init(&other, b.data, DATA_WRITER);
    assert_int_equal(take_all(&w, MIB), LIMIT / 4 * 3);
    refused(&w, 1);
    /* Once it is on its way more may rest, up to the limit. */
    data_share_leaving(&w, 8 * MIB);
    assert_int_equal(take_all(&w, MIB), 8 * MIB);
    data_share_load(&other, 8 * MIB);
    struct data_stats stats;
    data_stats(b.data, &stats);
    assert_int_equal(stats.memory_used, LIMIT);
    refused(&w, 1);
    data_share_drop_load(&other);
    data_share_stay(&w, 8 * MIB);
    data_share_release(&w, LIMIT / 4 * 3 + 8 * MIB);
    budget_close(&b, 1);
    /* Who only reads may have all of it. */
    budget_open(&b, 0);
    struct data_share r;
    data_share_init(&r, b.data, DATA_READER);
    assert_int_equal(take_all(&r, MIB), LIMIT);
    data_share_release(&r, LIMIT);
    budget_close(&b, 0);
}

/* Neither side can keep the other out. */
static void sides_have_claims(void **state)
{
    for (int first = 0; first < DATA_KINDS; first++) {
        struct bed b;
        budget_open(&b, 1);
        struct data_share s[8], late[8];
        for (int i = 0; i < 8; i++) {
            data_share_init(&s[i], b.data, (enum data_share_kind)first);
            data_share_init(&late[i], b.data, (enum data_share_kind) !first);
            take(&s[i], DATA_BLOCK_SIZE);
            take(&late[i], DATA_BLOCK_SIZE);
        }
        uint64_t got = 0, later = 0;
        for (int i = 0; i < 8; i++)
            got += DATA_BLOCK_SIZE + take_all(&s[i], DATA_BLOCK_SIZE);
        for (int i = 0; i < 8; i++)
            later += DATA_BLOCK_SIZE + take_all(&late[i], DATA_BLOCK_SIZE);
        assert_true(got >= LIMIT / 8 * 3 - 8 * DATA_BLOCK_SIZE && got <= LIMIT / 8 * 3);
        assert_true(later >= LIMIT / 8 * 3 - 8 * DATA_BLOCK_SIZE && later <= LIMIT / 8 * 3);
        for (int i = 0; i < 8; i++) {
            data_share_release(&s[i], s[i].used);
            data_share_release(&late[i], late[i].used);
        }
        budget_close(&b, 1);
    }
}

/* When half is in use, nobody may have more than an equal share of its side. */
static void shares_are_fair(void **state)
{
    struct bed b;
    budget_open(&b, 0);
    struct data_share s[4];
    for (int i = 0; i < 4; i++) {
        data_share_init(&s[i], b.data, DATA_READER);
        take(&s[i], MIB);
    }
    uint64_t got = MIB + take_all(&s[0], MIB);
    assert_true(got >= 16 * MIB && got < 32 * MIB); /* half of the limit, less what others have */
    for (int i = 1; i < 4; i++)
        take(&s[i], 10 * MIB);
    for (int i = 0; i < 4; i++)
        data_share_release(&s[i], s[i].used);
    budget_close(&b, 0);
}

static struct landing *arrived(struct bed *b)
{
    struct iovec iov[LANDING_IOV];
    struct landing *l = landing_new(b->data);
    assert_non_null(l);
    assert_true(landing_iov(l, iov));
    return l;
}

/* What has come from the kernel is there, whatever the limit says: others have less, and what a
 * part takes of it is not counted twice. */
static void arrived_bytes_count(void **state)
{
    enum { MOST = 40 };
    struct bed b;
    budget_open(&b, 1);
    struct data_share w;
    struct landing *l[MOST];
    data_share_init(&w, b.data, DATA_WRITER);
    for (unsigned i = 0; i < 8; i++)
        l[i] = arrived(&b);
    assert_int_equal(take_all(&w, DATA_BLOCK_SIZE), (LIMIT - 8 * MIB) / 4 * 3);
    struct buffer part;
    buffer_init(&part, &w);
    /* Neither does it fit when it is taken, nor is anything changed. */
    assert_int_equal(buffer_take(&part, l[0]->blocks, LANDING_SIZE), -EAGAIN);
    refused(&w, 1);
    data_share_release(&w, MIB);
    assert_int_equal(buffer_take(&part, l[0]->blocks, LANDING_SIZE), 0);
    for (int i = 0; i < LANDING_IOV; i++)
        assert_null(l[0]->blocks[i]);
    struct data_stats stats;
    data_stats(b.data, &stats);
    assert_int_equal(stats.memory_used, (LIMIT - 8 * MIB) / 4 * 3);
    assert_int_equal(take_all(&w, DATA_BLOCK_SIZE), MIB / 4 * 3);
    /* Memory that is kept for the next use is within the limit, too. */
    buffer_done(&part);
    data_share_release(&w, w.used);
    struct buffer all;
    buffer_init(&all, &w);
    data_share_force(&w, LIMIT);
    assert_int_equal(buffer_allocate(&all, LIMIT, DATA_FORCE), 0);
    buffer_done(&all);
    data_stats(b.data, &stats);
    assert_int_equal(stats.memory_used, 0);
    assert_int_equal(stats.memory_kept, LIMIT - 7 * MIB);
    /* However much it is, half is left. */
    l[0] = (landing_free(l[0]), arrived(&b));
    for (unsigned i = 8; i < MOST; i++)
        l[i] = arrived(&b);
    assert_int_equal(take_all(&w, DATA_BLOCK_SIZE), LIMIT / 2 / 4 * 3);
    for (unsigned i = 0; i < MOST; i++)
        landing_free(l[i]);
    assert_int_equal(take_all(&w, DATA_BLOCK_SIZE), LIMIT / 2 / 4 * 3);
    data_share_release(&w, w.used);
    assert_int_equal(b.data->landed, 0);
    budget_close(&b, 1);
}

/* ---- waiting ---- */

struct waiter {
    struct data_share share;
    pthread_t thread;
    int *order, *next;
    int index;
    bool granted;
    pthread_mutex_t *lock;
};

static void *wait_run(void *arg)
{
    struct waiter *w = arg;
    w->granted = data_share_wait(&w->share, DATA_BLOCK_SIZE, DATA_FILL);
    pthread_mutex_lock(w->lock);
    w->order[(*w->next)++] = w->index;
    pthread_mutex_unlock(w->lock);
    return NULL;
}

static void until_waiting(struct bed *b, unsigned n)
{
    for (unsigned waiting = 0; waiting != n; sched_yield()) {
        pthread_mutex_lock(&b->data->lock);
        waiting = b->data->n_waiters;
        pthread_mutex_unlock(&b->data->lock);
    }
}

/* Waiters are served in their order, and nobody else before them. */
static void first_come_first_served(void **state)
{
    struct bed b;
    budget_open(&b, 1);
    struct data_share hog, late;
    data_share_init(&hog, b.data, DATA_WRITER);
    data_share_init(&late, b.data, DATA_WRITER);
    data_share_load(&hog, LIMIT);
    struct waiter w[5];
    int order[5], next = 0;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    for (int i = 0; i < 5; i++) {
        w[i] = (struct waiter){.order = order, .next = &next, .index = i, .lock = &lock};
        data_share_init(&w[i].share, b.data, DATA_WRITER);
        data_share_set_least(&w[i].share, MIB);
        assert_int_equal(pthread_create(&w[i].thread, NULL, wait_run, &w[i]), 0);
        until_waiting(&b, (unsigned)i + 1);
    }
    refused(&late, 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(data_share_reserve(&hog, DATA_BLOCK_SIZE, DATA_LOADED), 0);
        data_share_put_blocks(&hog, NULL, 0, DATA_BLOCK_SIZE, true);
        pthread_join(w[i].thread, NULL);
        assert_int_equal(next, i + 1);
        assert_int_equal(order[i], i);
        assert_true(w[i].granted);
        /* The next reservation takes what was granted. */
        take(&w[i].share, DATA_BLOCK_SIZE);
    }
    for (int i = 0; i < 5; i++)
        data_share_release(&w[i].share, DATA_BLOCK_SIZE);
    data_share_drop_load(&hog);
    budget_close(&b, 1);
}

/* It waits for a write that gives its bytes back, too. */
static void arrived_bytes_are_waited_for(void **state)
{
    struct bed b;
    budget_open(&b, 1);
    struct data_share hog;
    struct landing *l = arrived(&b);
    data_share_init(&hog, b.data, DATA_WRITER);
    data_share_load(&hog, LIMIT - MIB);
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int order[1], next = 0;
    struct waiter w = {.order = order, .next = &next, .lock = &lock};
    data_share_init(&w.share, b.data, DATA_WRITER);
    assert_int_equal(pthread_create(&w.thread, NULL, wait_run, &w), 0);
    until_waiting(&b, 1);
    landing_free(l);
    pthread_join(w.thread, NULL);
    assert_true(w.granted);
    data_share_drop_credit(&w.share);
    data_share_drop_load(&hog);
    budget_close(&b, 1);
}

static void *demand_run(void *arg)
{
    struct data *d = arg;
    return (void *)(intptr_t)data_wait_demanded(d);
}

/* Reads go on without room, but not all of them at once; whose reader is gone does not wait. */
static void reads_take_turns(void **state)
{
    struct bed b;
    budget_open(&b, 0);
    struct data_share hog, r;
    data_share_init(&hog, b.data, DATA_READER);
    data_share_init(&r, b.data, DATA_READER);
    (void)take_all(&hog, MIB);
    refused(&r, MIB);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(data_wait_demanded(b.data), 0);
        assert_int_equal(data_share_reserve(&r, MIB, DATA_DEMAND), 0);
        data_note_demanded(b.data, MIB);
    }
    assert_int_equal(data_share_reserve(&r, 1, DATA_DEMAND), -EAGAIN);
    atomic_bool gone = true, *before = interrupt_watch(&gone);
    assert_int_equal(data_wait_demanded(b.data), -EINTR);
    (void)interrupt_watch(before);
    pthread_t t;
    void *result;
    assert_int_equal(pthread_create(&t, NULL, demand_run, b.data), 0);
    data_note_demanded(b.data, -(int64_t)MIB);
    pthread_join(t, &result);
    assert_null(result);
    assert_int_equal(data_share_reserve(&r, MIB, DATA_DEMAND), 0);
    /* With room it does not matter how many are under way. */
    data_note_demanded(b.data, 8 * MIB);
    data_share_release(&hog, 16 * MIB);
    assert_int_equal(data_share_reserve(&r, MIB, DATA_DEMAND), 0);
    data_note_demanded(b.data, -15 * (int64_t)MIB);
    data_share_release(&hog, hog.used);
    data_share_release(&r, r.used);
    budget_close(&b, 0);
}

/* What rests is not waited for, nor what is on its way longer than it takes. */
static void nobody_waits_in_vain(void **state)
{
    struct bed b;
    budget_open(&b, 1);
    struct data_share hog, sender, reads, w;
    data_share_init(&reads, b.data, DATA_READER);
    data_share_init(&hog, b.data, DATA_WRITER);
    data_share_init(&sender, b.data, DATA_WRITER);
    data_share_init(&w, b.data, DATA_WRITER);
    (void)take_all(&hog, MIB);
    assert_false(data_share_wait(&w, DATA_BLOCK_SIZE, DATA_FILL));
    /* It is granted what it is to send, even over the limit. */
    data_share_force(&hog, LIMIT / 4);
    data_share_load(&w, 8 * MIB);
    struct data_stats stats;
    data_stats(b.data, &stats);
    assert_int_equal(stats.memory_used, LIMIT + 8 * MIB);
    data_share_drop_load(&w);
    /* Something goes, and something comes in its place, for ever: the wait has an end. */
    data_share_drop_credit(&hog);
    data_share_load(&sender, 8 * MIB);
    struct waiter waiter = {.order = (int[1]){0},
                            .next = (int[1]){0},
                            .lock = &(pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER};
    data_share_init(&waiter.share, b.data, DATA_WRITER);
    assert_int_equal(pthread_create(&waiter.thread, NULL, wait_run, &waiter), 0);
    until_waiting(&b, 1);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(data_share_reserve(&sender, MIB, DATA_LOADED), 0);
        data_share_force(&reads, MIB);
        data_share_leaving(&reads, MIB);
        data_share_put_blocks(&sender, NULL, 0, MIB, true);
        until_waiting(&b, i < 7);
    }
    pthread_join(waiter.thread, NULL);
    assert_false(waiter.granted);
    data_share_stay(&reads, 8 * MIB);
    data_share_drop_credit(&reads);
    data_share_release(&hog, hog.used);
    budget_close(&b, 1);
}

/* ---- writers ---- */

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
    char key[16], *buf = malloc(size + 1);
    uint64_t stored;
    snprintf(key, sizeof(key), "f%d", index);
    assert_int_equal(bed_get(b, key, 0, buf, size, &stored), size);
    assert_int_equal(stored, size);
    assert_true(content_is((uint64_t)index, 0, buf, size));
    free(buf);
}

static uint64_t peak(struct bed *b)
{
    struct data_stats stats;
    data_stats(b->data, &stats);
    assert_int_equal(stats.memory_limit, LIMIT);
    return stats.memory_peak;
}

static void writers_open(struct bed *b, unsigned threads, const char *folder, uint64_t disk)
{
    struct data_options o = {.memory_limit = 1,
                             .write_part_size = 5 * MIB,
                             .parallel = 3,
                             .dirty_dir = folder,
                             .dirty_limit = disk};
    alarm(HANGS);
    bed_open(b, threads, &o, NULL);
}

/* 64 writers of three parts each with the least memory there can be. */
static void many_writers_little_memory(void **state)
{
    struct bed b;
    char *folder = tempfolder_make();
    writers_open(&b, 2, folder, 0);
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
    assert_true(peak(&b) <= LIMIT);
    bed_close(&b);
    tempfolder_remove(folder);
}

enum { N_TURNS = 32 };

/* By one thread in turns: nobody but it could ever free memory. */
static void write_in_turns(struct bed *b, bool abandon)
{
    struct writer *w[N_TURNS];
    char key[16], *buf = malloc(MIB);
    for (int i = 0; i < N_TURNS; i++) {
        snprintf(key, sizeof(key), "f%d", i);
        struct writer_options wo = {.key = key};
        assert_int_equal(writer_new(b->data, &wo, &w[i]), 0);
    }
    for (uint64_t at = 0; at < 11 * MIB; at += MIB)
        for (int i = 0; i < N_TURNS; i++) {
            /* Some stop in the middle of a part, and are never heard of again. */
            if (abandon && i % 2 && at >= (uint64_t)i * MIB / 4)
                continue;
            content_fill((uint64_t)i, at, buf, MIB);
            assert_int_equal(writer_write(w[i], at, buf, MIB, NULL), 0);
        }
    for (int i = 0; i < N_TURNS; i++)
        if (!abandon || i % 2 == 0)
            assert_int_equal(writer_commit(w[i], NULL, NULL), 0);
    for (int i = 0; i < N_TURNS; i++)
        writer_free(w[i]);
    for (int i = 0; i < N_TURNS; i++)
        if (!abandon || i % 2 == 0)
            check_file(b, i, 11 * MIB);
    free(buf);
}

static void many_writers_one_thread(void **state)
{
    for (unsigned turn = 0; turn < 2; turn++) {
        struct bed b;
        char *folder = tempfolder_make();
        writers_open(&b, turn, folder, 0);
        write_in_turns(&b, turn == 1);
        assert_true(peak(&b) <= LIMIT);
        bed_close(&b);
        tempfolder_remove(folder);
    }
}

/* Files that were given their length by a write at the end have holes, which take memory when they
 * are filled, or zeroed. */
static void holes_are_within_the_limit(void **state)
{
    for (int zeroed = 0; zeroed < 2; zeroed++) {
        struct bed b;
        struct writer *w[N_TURNS];
        char key[16], *folder = tempfolder_make(), *buf = calloc(1, MIB);
        uint64_t size = 5 * MIB - 1;
        writers_open(&b, 1, folder, 0);
        for (int i = 0; i < N_TURNS; i++) {
            snprintf(key, sizeof(key), "f%d", i);
            struct writer_options wo = {.key = key};
            assert_int_equal(writer_new(b.data, &wo, &w[i]), 0);
            content_fill((uint64_t)i, size - 1, buf, 1);
            assert_int_equal(writer_write(w[i], size - 1, buf, 1, NULL), 0);
        }
        for (int i = 0; zeroed && i < N_TURNS; i++)
            assert_int_equal(writer_zero(w[i], 0, size - 1, NULL), 0);
        for (uint64_t at = 0; at < size; at += MIB)
            for (int i = 0; i < N_TURNS; i++) {
                size_t n = MIN(size - at, (uint64_t)MIB);
                content_fill((uint64_t)i, at, buf, n);
                assert_int_equal(writer_write(w[i], at, buf, n, NULL), 0);
            }
        for (int i = 0; i < N_TURNS; i++) {
            assert_int_equal(writer_commit(w[i], NULL, NULL), 0);
            writer_free(w[i]);
            check_file(&b, i, size);
        }
        assert_true(peak(&b) <= LIMIT);
        bed_close(&b);
        tempfolder_remove(folder);
        free(buf);
    }
}

/* Neither memory nor disk: then memory, because nobody may be refused for that. */
static void no_room_on_the_disk(void **state)
{
    static const uint64_t DISK[] = {1, 20 * MIB};
    for (size_t i = 0; i < ARRAY_SIZE(DISK); i++) {
        struct bed b;
        char *folder = tempfolder_make();
        writers_open(&b, 1, folder, DISK[i]);
        write_in_turns(&b, false);
        assert_true(peak(&b) > LIMIT && peak(&b) <= N_TURNS * 5 * MIB + LIMIT);
        bed_close(&b);
        tempfolder_remove(folder);
    }
}

/* ---- random schedules ---- */

enum { N_FILES = 24, N_THREADS = 4 };

struct schedule {
    struct bed *b;
    struct writer *w[N_FILES];
    uint64_t size[N_FILES];
    bool idle[N_FILES];
    uint64_t random;
    int first;
    pthread_t thread;
    const char *failure;
};

/* Of its files, a thread writes to, fsyncs, reads and closes any in any order; some it leaves half
 * written until the end. A reader of it takes memory, and holds it. */
static void *schedule_run(void *arg)
{
    struct schedule *s = arg;
    char *buf = malloc(MIB);
    struct data_share reads;
    uint64_t held = 0;
    data_share_init(&reads, s->b->data, DATA_READER);
    for (int step = 0; step < 300 && !s->failure; step++) {
        int i = s->first + (int)(next_random(&s->random) % (N_FILES / N_THREADS)) * N_THREADS;
        uint64_t what = next_random(&s->random) % 40;
        size_t n = 1 + next_random(&s->random) % MIB, got = 0;
        if (what == 0)
            s->idle[i] = true;
        if (what == 1 && data_share_reserve(&reads, 2 * MIB, DATA_TRY) == 0)
            held += 2 * MIB;
        if (what == 2) {
            data_share_release(&reads, held);
            held = 0;
        }
        if (s->idle[i])
            continue;
        if (what == 3) {
            if (writer_commit(s->w[i], NULL, NULL))
                s->failure = "commit";
        } else if (what == 4) {
            uint64_t at = s->size[i] > n ? s->size[i] - n : 0;
            if (writer_read(s->w[i], at, buf, n, &got, NULL) ||
                !content_is((uint64_t)i, at, buf, got))
                s->failure = "read";
        } else {
            content_fill((uint64_t)i, s->size[i], buf, n);
            if (writer_write(s->w[i], s->size[i], buf, n, NULL))
                s->failure = "write";
            s->size[i] += n;
        }
    }
    data_share_release(&reads, held);
    free(buf);
    return NULL;
}

static void random_schedules(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        struct bed b;
        char *folder = tempfolder_make(), key[16];
        writers_open(&b, 2, folder, 0);
        struct schedule s[N_THREADS];
        struct writer *w[N_FILES];
        for (int i = 0; i < N_FILES; i++) {
            snprintf(key, sizeof(key), "f%d", i);
            struct writer_options wo = {.key = key};
            assert_int_equal(writer_new(b.data, &wo, &w[i]), 0);
        }
        for (int t = 0; t < N_THREADS; t++) {
            s[t] = (struct schedule){.b = &b, .random = seed * 10 + (uint64_t)t, .first = t};
            memcpy(s[t].w, w, sizeof(w));
            assert_int_equal(pthread_create(&s[t].thread, NULL, schedule_run, &s[t]), 0);
        }
        for (int t = 0; t < N_THREADS; t++) {
            pthread_join(s[t].thread, NULL);
            if (s[t].failure)
                fail_msg("%s", s[t].failure);
        }
        assert_true(peak(&b) <= LIMIT);
        for (int i = 0; i < N_FILES; i++) {
            assert_int_equal(writer_commit(w[i], NULL, NULL), 0);
            writer_free(w[i]);
            check_file(&b, i, s[i % N_THREADS].size[i]);
        }
        assert_true(peak(&b) <= LIMIT);
        bed_close(&b);
        tempfolder_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resting_leaves_a_quarter), cmocka_unit_test(sides_have_claims),
        cmocka_unit_test(shares_are_fair),          cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(nobody_waits_in_vain),     cmocka_unit_test(many_writers_little_memory),
        cmocka_unit_test(many_writers_one_thread),  cmocka_unit_test(holes_are_within_the_limit),
        cmocka_unit_test(no_room_on_the_disk),      cmocka_unit_test(random_schedules),
        cmocka_unit_test(arrived_bytes_count),      cmocka_unit_test(arrived_bytes_are_waited_for),
        cmocka_unit_test(reads_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
