/* SPDX-License-Identifier: Apache-2.0 */
#include "data/prefetch.h"

#include "base/attr.h"
#include "base/clock.h"

/* How far from the end of an established run a read may be: the kernel's readahead (up to 4 MiB by
 * the tuning of the mount) is dispatched to threads in any order. Before a run is established only
 * two requests can have changed places. */
#define SLACK_RUN (4 * MIB)
/* Kept behind the end of a run for the late ones of them. */
#define KEEP_BEHIND (2 * MIB)
/* A run that has not been read for so many reads of the handle is no longer fetched for. */
#define RUN_FORGOTTEN 64u
/* A rest of the object up to this size joins the request before it. */
#define REST_MAX MIB
/* The smallest request ahead: at 90 MB/s of one connection it takes as long as a round trip. */
#define REQUEST_MIN MIB
/* What is fetched ahead for each byte that was read: a reader of 1 MiB pieces has its full window
 * with the fourth, and one who stops has cost in proportion to what it wanted. */
#define WINDOW_PER_BYTE 16u
/* More requests at the same time than asked for, where a connection is slow and many are not. At
 * first as smaller ones, which costs no memory and hardly any CPU; if that is not enough, with more
 * ahead. */
#define PARALLEL_GROWTH 4u
/* Of a handle among very many: one that comes and one that is read. */
#define SHARE_MIN 2u
/* A raise has to bring so much, or it is taken back for HOLD_SPANS. */
#define GAIN_PERCENT 10u
#define HOLD_SPANS   16u
/* What is ahead is enough at so many times what comes within a round trip: who still waits then,
 * waits for something else, and more memory would only cost CPU. */
#define ROUND_TRIPS 2u

/* Random reads are rounded up to the first of these, and after SCATTERED of them of which none was
 * near another to the second. */
#define RANDOM_UNIT       (128 * KIB)
#define RANDOM_UNIT_SMALL (16 * KIB)
#define SCATTERED         16u

void prefetch_init(struct prefetch *p, uint64_t part, unsigned parallel)
{
    *p = (struct prefetch){.part = part,
                           .parallel = parallel,
                           .parallel_min = parallel,
                           .parallel_max = parallel * PARALLEL_GROWTH,
                           .spread = parallel * PARALLEL_GROWTH,
                           .share = parallel * PARALLEL_GROWTH,
                           .settling = true};
}

static bool belongs(const struct prefetch_run *r, uint64_t offset, uint64_t len)
{
    if (!r->tick)
        return false;
    uint64_t slack = r->window ? SLACK_RUN : 2 * MAX(len, r->last_read);
    uint64_t behind = r->window ? SLACK_RUN : slack + len;
    return offset <= r->end + slack && offset + behind >= r->end;
}

static bool is_live(const struct prefetch *p, const struct prefetch_run *r)
{
    return r->tick && p->tick - r->tick < RUN_FORGOTTEN;
}

static unsigned live_runs(const struct prefetch *p)
{
    unsigned n = 0;
    for (int i = 0; i < PREFETCH_RUNS; i++)
        n += is_live(p, &p->runs[i]) && p->runs[i].window;
    return n ? n : 1;
}

static void note_place(struct prefetch *p, uint64_t offset)
{
    uint64_t place = offset / RANDOM_UNIT + 1;
    bool near = false;
    for (unsigned i = 0; i < PREFETCH_PLACES; i++)
        near |= p->places[i] && p->places[i] + 1 >= place && p->places[i] <= place + 1;
    /* One that is near by chance does not undo what many have shown. */
    p->scattered = near ? p->scattered / 2 : MIN(p->scattered + 1, 4 * SCATTERED);
    p->places[p->n_places++ % PREFETCH_PLACES] = place;
}

uint64_t prefetch_random_unit(const struct prefetch *p)
{
    return p->scattered > SCATTERED ? RANDOM_UNIT_SMALL : RANDOM_UNIT;
}

const struct prefetch_run *prefetch_note(struct prefetch *p, uint64_t offset, uint64_t len,
                                         uint64_t size)
{
    struct prefetch_run *run = NULL, *oldest = &p->runs[0];
    p->tick++;
    for (int i = 0; i < PREFETCH_RUNS; i++) {
        struct prefetch_run *r = &p->runs[i];
        /* The nearest, when two runs have come close to each other. */
        if (belongs(r, offset, len)) {
            uint64_t far = offset > r->end ? offset - r->end : r->end - offset;
            uint64_t best = !run                ? UINT64_MAX
                            : offset > run->end ? offset - run->end
                                                : run->end - offset;
            if (far < best)
                run = r;
        }
        if (r->tick < oldest->tick)
            oldest = r;
    }
    if (!run) {
        note_place(p, offset);
        run = oldest;
        *run = (struct prefetch_run){
            .end = offset + len, .bytes = len, .last_read = len, .reads = 1, .tick = p->tick};
        if (p->tick == 1 && offset == 0 && len >= PREFETCH_WHOLE_READ && size <= PREFETCH_WHOLE_MAX)
            run->window = PREFETCH_WHOLE_MAX;
        return run;
    }
    run->tick = p->tick;
    run->last_read = len;
    if (offset + len > run->end) {
        run->bytes += offset + len - run->end;
        run->end = offset + len;
        run->reads++;
    }
    if (run->reads >= 2) {
        uint64_t most = MAX(p->part * p->parallel / live_runs(p), p->part);
        uint64_t first = MIN((uint64_t)REQUEST_MIN, p->part);
        run->window = MIN(MAX(WINDOW_PER_BYTE * run->bytes, first), most);
    }
    return run;
}

bool prefetch_wants(const struct prefetch *p, uint64_t offset, uint64_t len, bool tight)
{
    uint64_t behind = tight ? 0 : KEEP_BEHIND;
    for (int i = 0; i < PREFETCH_RUNS; i++) {
        const struct prefetch_run *r = &p->runs[i];
        if (r->window && is_live(p, r) && offset < r->end + r->window &&
            offset + len + behind > r->end)
            return true;
    }
    return false;
}

void prefetch_set_share(struct prefetch *p, unsigned connections)
{
    p->share = MIN(MAX(connections, SHARE_MIN), p->parallel_max);
}

static uint64_t request_unit(const struct prefetch *p, const struct prefetch_run *run)
{
    uint64_t unit = MIN((uint64_t)REQUEST_MIN, p->part);
    unsigned n = MIN(p->spread, p->share);
    while (unit * 2 <= p->part && unit * 2 * n <= run->window)
        unit *= 2;
    return unit * 2 > p->part ? p->part : unit;
}

unsigned prefetch_requests(const struct prefetch *p, const struct prefetch_run *run)
{
    uint64_t n = p->parallel * (p->part / request_unit(p, run));
    return (unsigned)MIN(n, (uint64_t)p->share);
}

uint64_t prefetch_request_end(const struct prefetch *p, const struct prefetch_run *run,
                              uint64_t offset, uint64_t size)
{
    uint64_t unit = request_unit(p, run);
    uint64_t end = (offset / unit + 1) * unit;
    if (end - offset < unit / 4)
        end += unit;
    return end >= size || size - end <= MIN(REST_MAX, unit / 8) ? size : end;
}

void prefetch_latency(struct prefetch *p, uint64_t ns)
{
    if (!p->latency_ns || ns < p->latency_ns)
        p->latency_ns = ns;
}

void prefetch_pace(struct prefetch *p, uint64_t bytes, uint64_t waited_ns, uint64_t now_ns)
{
    if (!p->look_ns)
        p->look_ns = now_ns;
    p->look_bytes += bytes;
    p->look_waited += waited_ns;
    if (p->look_bytes < p->part * p->parallel || now_ns <= p->look_ns)
        return;
    uint64_t rate = p->look_bytes * NS_PER_MS / (now_ns - p->look_ns);
    bool starved = p->look_waited > (now_ns - p->look_ns) / 4;
    p->look_ns = now_ns;
    p->look_bytes = p->look_waited = 0;
    p->spread = starved ? p->parallel_max : MAX(p->spread / 2, p->parallel_min);
    if (p->hold) {
        p->hold--;
    } else if (p->settling) {
        p->settling = false;
    } else if (p->best_rate && rate * 100 < p->best_rate * (100 + GAIN_PERCENT)) {
        /* The last raise brought nothing: the limit lies elsewhere. */
        p->parallel = MAX(p->parallel / 2, p->parallel_min);
        p->best_rate = 0;
        p->hold = HOLD_SPANS;
    } else if (starved && p->parallel < p->parallel_max &&
               p->part * p->parallel < ROUND_TRIPS * rate * p->latency_ns / NS_PER_MS) {
        p->best_rate = rate;
        p->parallel = MIN(p->parallel * 2, p->parallel_max);
        p->settling = true;
    } else {
        p->best_rate = 0;
    }
}
