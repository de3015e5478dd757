/* SPDX-License-Identifier: Apache-2.0 */
/* What data/prefetch.h decides: alone, and as a schedule over connections with a round trip and a
 * rate, on a clock of the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "data/prefetch.h"

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t window_at(struct prefetch *p, uint64_t offset, uint64_t len)
{
    return prefetch_note(p, offset, len, 100 * GIB)->window;
}

static void runs_are_recognised(void **state)
{
    struct prefetch p;
    prefetch_init(&p, 8 * MIB, 8);
    assert_int_equal(window_at(&p, 0, 128 * KIB), 0);
    assert_int_equal(window_at(&p, 128 * KIB, 128 * KIB), 4 * MIB);
    /* The window grows with what was read, up to all requests that may be under way. */
    uint64_t at = 256 * KIB, before = 0;
    for (; at < 8 * MIB; at += 128 * KIB) {
        uint64_t window = window_at(&p, at, 128 * KIB);
        assert_true(window >= before && window <= 16 * (at + 128 * KIB));
        before = window;
    }
    assert_int_equal(before, 64 * MIB);
    for (; at < 40 * MIB; at += 128 * KIB)
        assert_int_equal(window_at(&p, at, 128 * KIB), 64 * MIB);
    assert_true(prefetch_wants(&p, at, MIB, true, true));
    assert_true(prefetch_wants(&p, at - 2 * MIB, MIB, true, false));
    assert_false(prefetch_wants(&p, at - 2 * MIB, MIB, true, true));
    assert_false(prefetch_wants(&p, at + 64 * MIB, MIB, true, false));
    assert_false(prefetch_wants(&p, 0, MIB, true, false));
    /* What nobody has had yet is a late request's. */
    assert_true(prefetch_wants(&p, at - 8 * MIB, MIB, false, true));
    assert_false(prefetch_wants(&p, at - 9 * MIB, MIB, false, false));
    assert_int_equal(window_at(&p, at - 8 * MIB, MIB), 64 * MIB);
    /* Somewhere else begins another one, and the first is not forgotten. */
    assert_int_equal(window_at(&p, 500 * MIB, 128 * KIB), 0);
    assert_true(window_at(&p, at + MIB, 128 * KIB) > 0);
    /* Two share the requests. */
    assert_int_equal(window_at(&p, 500 * MIB + 128 * KIB, 128 * KIB), 4 * MIB);
    assert_int_equal(window_at(&p, at + MIB + 128 * KIB, 128 * KIB), 32 * MIB);
    /* A small object is wanted whole when a program begins at its start, and not just a header. */
    prefetch_init(&p, 8 * MIB, 8);
    assert_int_equal(prefetch_note(&p, 0, 128 * KIB, 5 * MIB)->window, 8 * MIB);
    prefetch_init(&p, 8 * MIB, 8);
    assert_int_equal(prefetch_note(&p, 0, 64 * KIB, 5 * MIB)->window, 0);
    prefetch_init(&p, 8 * MIB, 8);
    assert_int_equal(prefetch_note(&p, MIB, 128 * KIB, 5 * MIB)->window, 0);
    assert_int_equal(prefetch_note(&p, 0, 128 * KIB, 5 * MIB)->window, 0);
}

/* A window that was found to be too large costs nothing twice. */
static void what_was_asked_for_stays_wanted(void **state)
{
    struct prefetch p;
    prefetch_init(&p, 8 * MIB, 8);
    uint64_t at = 0;
    for (; at < 8 * MIB; at += MIB)
        (void)window_at(&p, at, MIB);
    assert_int_equal(window_at(&p, at, MIB), 64 * MIB);
    prefetch_latency(&p, NS_PER_MS);
    prefetch_took(&p, MIB, 2 * NS_PER_MS);
    assert_int_equal(window_at(&p, at + MIB, MIB), 8 * MIB);
    assert_true(prefetch_wants(&p, at + 64 * MIB, MIB, true, true));
    assert_false(prefetch_wants(&p, at + 65 * MIB, MIB, true, true));
}

static void random_reads_are_no_run(void **state)
{
    uint64_t random = 99;
    struct prefetch p;
    prefetch_init(&p, 8 * MIB, 8);
    unsigned windows = 0;
    for (int i = 0; i < 10000; i++)
        windows += window_at(&p, next_random(&random) % (10 * GIB) / 4096 * 4096, 4096) > 0;
    assert_true(windows < 10);
    /* Reading the same again and again is no progress. */
    prefetch_init(&p, 8 * MIB, 8);
    for (int i = 0; i < 100; i++)
        assert_int_equal(window_at(&p, 4096, 4096), 0);
    /* Nor is reading backwards. */
    prefetch_init(&p, 8 * MIB, 8);
    for (uint64_t at = 100 * MIB; at > 0; at -= MIB)
        assert_int_equal(window_at(&p, at, MIB), 0);
}

/* Neighbours are fetched along as long as somebody might want them. */
static void scattered_reads_get_less(void **state)
{
    uint64_t random = 7;
    struct prefetch p;
    prefetch_init(&p, 8 * MIB, 8);
    unsigned large = 0;
    for (int i = 0; i < 1000; i++) {
        (void)window_at(&p, next_random(&random) % GIB / 4096 * 4096, 4096);
        large += prefetch_random_unit(&p) == 128 * KIB;
    }
    assert_in_range(large, 16, 60);
    /* A program that comes back to where it was gets more again: a database and its pages. */
    for (int i = 0; i < 32; i++)
        (void)window_at(&p, 100 * MIB + next_random(&random) % (2 * MIB) / 4096 * 4096, 4096);
    assert_int_equal(prefetch_random_unit(&p), 128 * KIB);
    prefetch_init(&p, 8 * MIB, 8);
    for (int i = 0; i < 1000; i++) {
        (void)window_at(&p, next_random(&random) % (4 * MIB) / 4096 * 4096, 4096);
        assert_true(i < 8 || prefetch_random_unit(&p) == 128 * KIB);
    }
}

static void requests_end_at_parts(void **state)
{
    struct prefetch p;
    prefetch_init(&p, 8 * MIB, 8);
    prefetch_set_share(&p, 8, 1);
    struct prefetch_run run = {.window = 64 * MIB};
    assert_int_equal(prefetch_request_end(&p, &run, 0, 100 * MIB), 8 * MIB);
    assert_int_equal(prefetch_request_end(&p, &run, MIB, 100 * MIB), 8 * MIB);
    assert_int_equal(prefetch_request_end(&p, &run, 8 * MIB, 100 * MIB), 16 * MIB);
    assert_int_equal(prefetch_request_end(&p, &run, 88 * MIB, 97 * MIB), 97 * MIB);
    assert_int_equal(prefetch_request_end(&p, &run, 88 * MIB, 97 * MIB + 1), 96 * MIB);
    assert_int_equal(prefetch_request_end(&p, &run, 96 * MIB, 97 * MIB + 1), 97 * MIB + 1);
    /* A little before an end is not worth a request. */
    assert_int_equal(prefetch_request_end(&p, &run, 8 * MIB - 4096, 100 * MIB), 16 * MIB);
    /* Any part size. */
    prefetch_init(&p, 5 * MIB, 8);
    prefetch_set_share(&p, 8, 1);
    run.window = 40 * MIB;
    assert_int_equal(prefetch_request_end(&p, &run, 5 * MIB, GIB), 10 * MIB);
    prefetch_init(&p, 256 * KIB, 8);
    assert_int_equal(prefetch_request_end(&p, &run, 256 * KIB, GIB), 512 * KIB);
}

/* A window is cut into requests for all connections that are there, and not into crumbs. */
static void windows_use_all_connections(void **state)
{
    static const struct {
        unsigned connections, window, unit, requests;
    } CASE[] = {{64, 1, 1, 32},  {64, 63, 1, 32}, {64, 64, 2, 32}, {64, 128, 4, 16},
                {64, 256, 8, 8}, {16, 64, 4, 16}, {8, 15, 1, 8},   {8, 16, 2, 8},
                {8, 32, 4, 8},   {8, 64, 8, 8},   {1, 4, 2, 2},    {1, 16, 8, 2}};
    for (size_t i = 0; i < ARRAY_SIZE(CASE); i++) {
        struct prefetch p;
        struct prefetch_run run = {.window = CASE[i].window * MIB};
        prefetch_init(&p, 8 * MIB, 8);
        prefetch_set_share(&p, CASE[i].connections, 1);
        assert_int_equal(prefetch_request_end(&p, &run, 16 * MIB, GIB), (16 + CASE[i].unit) * MIB);
        assert_int_equal(prefetch_requests(&p, &run), CASE[i].requests);
    }
}

/* ---- a schedule ---- */

#define STEP_NS    50000u
#define REQUESTS   256
#define READ_SIZE  MIB
#define READS_AWAY 4u /* the kernel's readahead */
#define LUCKY_NS   (NS_PER_MS / 2)
#define LUCKY_RATE (3000 * 1000 * 1000ull)

struct world {
    uint64_t rtt_ns;
    uint64_t connection, line, program; /* bytes per second */
    unsigned handles;                   /* that read at the same time */
    uint64_t size;
    unsigned lucky; /* of so many requests one is answered at once; 0 = none */
};

struct request {
    uint64_t offset, length, filled, since_ns;
    bool lucky;
};

struct schedule {
    const struct world *w;
    struct prefetch p;
    struct request at[REQUESTS];
    size_t n;
    unsigned sent, most;
    uint64_t most_bytes;
    uint64_t now_ns;
};

static struct request *covering(struct schedule *s, uint64_t pos)
{
    for (size_t i = 0; i < s->n; i++)
        if (pos >= s->at[i].offset && pos - s->at[i].offset < s->at[i].length)
            return &s->at[i];
    return NULL;
}

static unsigned under_way(const struct schedule *s)
{
    unsigned n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->at[i].filled < s->at[i].length;
    return n;
}

static void ask(struct schedule *s, uint64_t offset, uint64_t end)
{
    assert_true(s->n < REQUESTS);
    s->at[s->n++] = (struct request){.offset = offset,
                                     .length = end - offset,
                                     .since_ns = s->now_ns,
                                     .lucky = s->w->lucky && s->sent % s->w->lucky == 0};
    s->sent++;
    s->most = MAX(s->most, under_way(s));
}

/* As a reader does: its own bytes, and what the run wants beside them. */
static void begin_read(struct schedule *s, uint64_t pos)
{
    const struct prefetch_run *run = prefetch_note(&s->p, pos, READ_SIZE, s->w->size);
    if (!covering(s, pos))
        ask(s, pos,
            run->window ? prefetch_request_end(&s->p, run, pos, s->w->size) : pos + READ_SIZE);
    uint64_t at = run->end, until = MIN(run->end + run->window, s->w->size);
    while (run->window && at < until && under_way(s) < prefetch_requests(&s->p, run)) {
        const struct request *have = covering(s, at);
        uint64_t end =
            have ? have->offset + have->length : prefetch_request_end(&s->p, run, at, s->w->size);
        if (!have)
            ask(s, at, end);
        at = end;
    }
}

static uint64_t missing(struct schedule *s, uint64_t pos)
{
    uint64_t n = 0;
    for (uint64_t at = pos; at < pos + READ_SIZE; at += 64 * KIB) {
        const struct request *have = covering(s, at);
        n += !have || at - have->offset >= have->filled ? 64 * KIB : 0;
    }
    return n;
}

static bool has_begun(const struct schedule *s, const struct request *r)
{
    return s->now_ns - r->since_ns >= (r->lucky ? LUCKY_NS : s->w->rtt_ns);
}

static void receive(struct schedule *s)
{
    uint64_t n = 0, held = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->at[i].filled < s->at[i].length && has_begun(s, &s->at[i]);
    for (size_t i = 0; i < s->n; i++) {
        struct request *r = &s->at[i];
        held += r->length;
        if (r->filled == r->length || !has_begun(s, r))
            continue;
        uint64_t rate = r->lucky ? LUCKY_RATE : MIN(s->w->connection, s->w->line / n);
        r->filled = MIN(r->filled + rate / (NS_PER_S / STEP_NS), r->length);
        if (r->filled == r->length)
            prefetch_took(&s->p, r->length, s->now_ns - r->since_ns);
    }
    s->most_bytes = MAX(s->most_bytes, held);
}

/* Milliseconds until a program has read the object from its start to its end. */
static unsigned run_schedule(struct schedule *s, const struct world *w)
{
    uint64_t waited = 0, begun = 0, read = 0, free_ns = 0;
    *s = (struct schedule){.w = w, .now_ns = NS_PER_S};
    prefetch_init(&s->p, 8 * MIB, 8);
    prefetch_latency(&s->p, w->lucky ? LUCKY_NS : w->rtt_ns);
    while (read < w->size) {
        prefetch_set_share(&s->p, 64, w->handles);
        while (begun < w->size && begun < read + READS_AWAY * READ_SIZE) {
            begin_read(s, begun);
            begun += READ_SIZE;
        }
        uint64_t late = 0;
        for (uint64_t at = read; at < begun; at += READ_SIZE)
            late += missing(s, at);
        waited += late ? STEP_NS : 0;
        receive(s);
        s->now_ns += STEP_NS;
        while (read < begun && s->now_ns >= free_ns && !missing(s, read)) {
            prefetch_pace(&s->p, READ_SIZE, waited, s->now_ns);
            waited = 0;
            read += READ_SIZE;
            free_ns = MAX(free_ns, s->now_ns) + READ_SIZE * NS_PER_S / w->program;
        }
        for (size_t i = 0; i < s->n;)
            if (s->at[i].offset + s->at[i].length <= read)
                s->at[i] = s->at[--s->n];
            else
                i++;
    }
    return (unsigned)((s->now_ns - NS_PER_S) / NS_PER_MS);
}

#define FAR  20 * NS_PER_MS, 90 * 1000 * 1000ull
#define NEAR NS_PER_MS / 5, 1500 * 1000 * 1000ull
#define FAST 9000 * 1000 * 1000ull

/* Where a connection gives 90 MB/s, more of them give more, up to the line's rate; what brings
 * nothing is given up again. */
static void the_rise_is_quick(void **state)
{
    const uint64_t program = 1400 * 1000 * 1000ull, slow = 500 * 1000 * 1000ull;
    static struct schedule s;
    const struct {
        struct world w;
        unsigned most_ms, most_requests, most_at_once, most_mib, parallel_max;
    } CASE[] = {
        /* One object of 8 parts: two and a half round trips, and what all connections take. */
        {{FAR, FAST, program, 1, 64 * MIB}, 110, 56, 32, 64, 8},
        {{FAR, FAST, program, 1, GIB}, 950, 560, 32, 88, 8},
        {{100 * NS_PER_MS, 90 * 1000 * 1000ull, FAST, program, 1, GIB}, 1500, 300, 32, 288, 32},
        /* The line is the limit, whatever is ahead. */
        {{FAR, slow, program, 1, 2 * GIB}, 4600, 1100, 32, 144, 8},
        {{NEAR, program, program, 1, GIB}, 950, 600, 32, 76, 8},
        /* The program is: few large requests are enough. */
        {{NEAR, program, slow, 1, 2 * GIB}, 4500, 1100, 32, 76, 8},
        {{FAR, FAST, slow, 1, 2 * GIB}, 4500, 600, 32, 88, 8},
        /* One of eight that read, and of many. */
        {{FAR, FAST, program, 8, GIB}, 2000, 150, 8, 88, 16},
        {{FAR, FAST, program, 64, GIB}, 7500, 140, 2, 24, 8},
        /* No more ahead than what is taken while a request is under way. */
        {{FAR, FAST, slow / 4, 8, GIB}, 9000, 600, 8, 40, 8},
        {{NEAR, program, slow / 4, 8, GIB}, 9000, 600, 32, 24, 8},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASE); i++) {
        unsigned ms = run_schedule(&s, &CASE[i].w);
        print_message("case %zu: %u ms, %u requests, %u at once, %u MiB, %u parts ahead\n", i, ms,
                      s.sent, s.most, (unsigned)(s.most_bytes / MIB), s.p.parallel);
        assert_in_range(ms, 1, CASE[i].most_ms);
        assert_in_range(s.sent, 1, CASE[i].most_requests);
        assert_in_range(s.most, 1, CASE[i].most_at_once);
        assert_in_range(s.most_bytes / MIB, 1, CASE[i].most_mib);
        assert_in_range(s.p.parallel, 8, CASE[i].parallel_max);
    }
}

/* One request that was answered from somebody's memory says nothing about those that were not. */
static void the_luckiest_request_does_not_decide(void **state)
{
    const uint64_t program = 1400 * 1000 * 1000ull;
    static struct schedule s;
    const struct {
        struct world w;
        unsigned most_ms, most_at_once, most_mib;
    } CASE[] = {
        {{FAR, FAST, program, 1, 2 * GIB, 10000}, 3000, 32, 88},
        {{FAR, FAST, program, 1, 2 * GIB, 10}, 4000, 32, 88},
        {{100 * NS_PER_MS, 90 * 1000 * 1000ull, FAST, program, 1, 2 * GIB, 10000}, 12000, 32, 288},
        /* Where all wait for one line, more ahead brings nothing, and is given up. */
        {{NEAR / 5, program, program, 1, 2 * GIB, 100}, 4000, 32, 88},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASE); i++) {
        unsigned ms = run_schedule(&s, &CASE[i].w);
        print_message("case %zu: %u ms, %u requests, %u at once, %u MiB, %u times the fastest\n", i,
                      ms, s.sent, s.most, (unsigned)(s.most_bytes / MIB), s.p.stretch);
        assert_in_range(ms, 1, CASE[i].most_ms);
        assert_in_range(s.most, 1, CASE[i].most_at_once);
        assert_in_range(s.most_bytes / MIB, 1, CASE[i].most_mib);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_are_recognised),
        cmocka_unit_test(random_reads_are_no_run),
        cmocka_unit_test(scattered_reads_get_less),
        cmocka_unit_test(requests_end_at_parts),
        cmocka_unit_test(windows_use_all_connections),
        cmocka_unit_test(the_rise_is_quick),
        cmocka_unit_test(the_luckiest_request_does_not_decide),
        cmocka_unit_test(what_was_asked_for_stays_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
