/* SPDX-License-Identifier: Apache-2.0 */
#include "data/prefetch.h"

#include "base/attr.h"
#include "base/clock.h"

/* How far from the end of an established run a read may be: the kernel's readahead (up to 4 MiB by
 * the tuning of the mount, and the next is asked for when the program has reached the one before)
 * is dispatched to threads in any order. Before a run is established only two requests can have
 * changed places. */
#define SLACK_RUN (8 * MIB)
/* Kept behind the end of a run although it was read. */
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
/* Of servers and lines of mixed speed the fastest request says little about the others. Those take
 * longer, too, when many are under way on a full line: only what more ahead brings tells which it
 * is. It is tried where they take so many times as long as is assumed. */
#define STRETCH_FROM 2u
#define STRETCH_MAX  64u
/* Of the time that is usual, a new one counts so much. */
#define USUAL_UNIT  16u
#define USUAL_MAX   (STRETCH_MAX * STRETCH_FROM * USUAL_UNIT)
#define USUAL_SHARE 8
/* What is ahead is taken so many times from one look to the next. */
#define LOOK_WINDOWS 4u
/* What is ahead need not be more than what the fastest machine takes while a request is under way,
 * its handles together, or so many times what this one has taken: more would not come sooner, and
 * memory that was not in use lately costs CPU, on virtual machines several times as much as to
 * receive the bytes. Before an answer has told how long a request takes, LONG_NS. */
#define MACHINE_RATE (2500 * 1000 * 1000ull)
#define RATE_MARGIN  2u
#define LONG_NS      (40 * NS_PER_MS)
#define WINDOW_MIN   (8 * MIB)
/* What is ahead has to bring so many halves of what is read: it is taken in bursts. */
#define RATE_SPARE 3u
/* The bytes by which a handle's rate is measured, and requests that it has under way at least. */
#define RATE_SPAN    (16 * MIB)
#define REQUESTS_MIN 4u
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
                           .handles = 1,
                           .stretch = 1,
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

/* Bytes per second that are to be possible. */
static uint64_t wanted_rate(const struct prefetch *p)
{
    return MAX(MACHINE_RATE / p->handles, RATE_MARGIN * p->rate);
}

static const struct prefetch_path *path_of(const struct prefetch *p)
{
    return p->path.fast_ns ? &p->path : &p->guess;
}

/* From sending a request to its last byte. */
static uint64_t request_ns(const struct prefetch *p, uint64_t length)
{
    const struct prefetch_path *path = path_of(p);
    if (!path->fast_ns)
        return LONG_NS;
    uint64_t transfer = path->fast_ns - MIN(path->fast_ns, path->latency_ns);
    transfer = transfer / KIB * (length / KIB) / (path->fast_length / KIB) * KIB;
    return (path->latency_ns + transfer) * p->stretch;
}

/* Ahead of all runs together. Where the connections are too few for small requests, each has to
 * bring more for its round trip. */
static uint64_t enough_ahead(const struct prefetch *p)
{
    uint64_t unit = MIN((uint64_t)REQUEST_MIN, p->part), need;
    for (;; unit *= 2) {
        need = wanted_rate(p) / NS_PER_MS * request_ns(p, unit) / 1000;
        if (need <= unit * p->share || unit >= p->part)
            break;
    }
    if (unit > REQUEST_MIN)
        need = unit * p->share;
    return MIN(MAX(need, WINDOW_MIN), p->part * p->parallel);
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
            run->window = run->reach = PREFETCH_WHOLE_MAX;
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
        uint64_t most = MAX(enough_ahead(p) / live_runs(p), p->part);
        uint64_t first = MIN((uint64_t)REQUEST_MIN, p->part);
        run->window = MIN(MAX(WINDOW_PER_BYTE * run->bytes, first), most);
        run->reach = MAX(run->reach, run->end + run->window);
    }
    return run;
}

bool prefetch_wants(const struct prefetch *p, uint64_t offset, uint64_t len, bool was_read,
                    bool tight)
{
    uint64_t behind = !was_read ? SLACK_RUN : tight ? 0 : KEEP_BEHIND;
    for (int i = 0; i < PREFETCH_RUNS; i++) {
        const struct prefetch_run *r = &p->runs[i];
        if (r->window && is_live(p, r) && offset < r->reach && offset + len + behind > r->end)
            return true;
    }
    return false;
}

void prefetch_set_share(struct prefetch *p, unsigned connections, unsigned handles)
{
    p->share = MIN(MAX(connections / handles, SHARE_MIN), p->parallel_max);
    p->handles = handles;
}

/* How many connections give the rate that is wanted. */
static unsigned enough_requests(const struct prefetch *p)
{
    const struct prefetch_path *path = path_of(p);
    unsigned most = MIN(p->spread, p->share);
    if (!path->fast_ns)
        return most;
    uint64_t n = wanted_rate(p) / MIB * request_ns(p, MIB) / NS_PER_S;
    return (unsigned)MIN(MAX(n, (uint64_t)REQUESTS_MIN), (uint64_t)most);
}

/* KiB in a millisecond that the window brings in requests of that size: those that last long are
 * few, and what is ahead waits for one of them. */
static uint64_t brings(const struct prefetch *p, const struct prefetch_run *run, uint64_t unit)
{
    uint64_t under_way = MIN(run->window, unit * p->share);
    return under_way / KIB * NS_PER_MS / MAX(request_ns(p, unit), 1u);
}

static uint64_t request_unit(const struct prefetch *p, const struct prefetch_run *run)
{
    uint64_t unit = MIN((uint64_t)REQUEST_MIN, p->part);
    unsigned n = enough_requests(p);
    uint64_t enough = RATE_SPARE * p->rate / KIB / 1000 / 2;
    while (unit * 2 <= p->part && unit * 2 * n <= run->window &&
           brings(p, run, unit * 2) >= MIN(enough, brings(p, run, unit)))
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
    if (!p->path.latency_ns || ns < p->path.latency_ns)
        p->path.latency_ns = ns;
}

void prefetch_took(struct prefetch *p, uint64_t length, uint64_t ns)
{
    struct prefetch_path *path = &p->path;
    if (length < REQUEST_MIN / 4)
        return;
    ns = MAX(ns, 1u);
    if (!path->fast_ns ||
        ns / KIB * (path->fast_length / KIB) < path->fast_ns / KIB * (length / KIB)) {
        path->fast_ns = ns;
        path->fast_length = length;
    }
    uint64_t ratio = ns * USUAL_UNIT / MAX(request_ns(p, length) / p->stretch, 1u);
    int64_t off = (int64_t)MIN(ratio, (uint64_t)USUAL_MAX) - p->usual;
    p->usual = (unsigned)(p->usual + off / USUAL_SHARE);
}

static void measure_rate(struct prefetch *p, uint64_t bytes, uint64_t now_ns)
{
    p->rate_bytes += bytes;
    if (!p->rate_ns)
        p->rate_ns = now_ns;
    uint64_t took = now_ns - p->rate_ns;
    if (p->rate_bytes < RATE_SPAN || took < 2 * p->path.latency_ns || took < NS_PER_MS)
        return;
    uint64_t rate = p->rate_bytes * NS_PER_MS / took * 1000;
    p->rate = MAX(rate, p->rate - p->rate / 8);
    p->rate_ns = now_ns;
    p->rate_bytes = 0;
}

/* Whether what is ahead follows a request that was faster than others are. */
static bool may_stretch(const struct prefetch *p)
{
    return p->usual > STRETCH_FROM * USUAL_UNIT * p->stretch && p->stretch < STRETCH_MAX &&
           enough_ahead(p) < p->part * p->parallel;
}

static bool may_raise(const struct prefetch *p, uint64_t rate)
{
    return p->parallel < p->parallel_max &&
           p->part * p->parallel < ROUND_TRIPS * rate * p->path.latency_ns / NS_PER_MS;
}

static void raise(struct prefetch *p, uint64_t rate)
{
    p->stretched = may_stretch(p);
    if (p->stretched)
        p->stretch *= 2;
    else
        p->parallel = MIN(p->parallel * 2, p->parallel_max);
    p->best_rate = rate;
    p->settling = true;
}

static void take_back(struct prefetch *p)
{
    if (p->stretched)
        p->stretch /= 2;
    else
        p->parallel = MAX(p->parallel / 2, p->parallel_min);
    p->best_rate = 0;
    p->hold = HOLD_SPANS;
}

void prefetch_pace(struct prefetch *p, uint64_t bytes, uint64_t waited_ns, uint64_t now_ns)
{
    measure_rate(p, bytes, now_ns);
    if (!p->look_ns)
        p->look_ns = now_ns;
    p->look_bytes += bytes;
    p->look_waited += waited_ns;
    uint64_t span = MIN(p->part * p->parallel, LOOK_WINDOWS * enough_ahead(p));
    if (p->look_bytes < span || now_ns <= p->look_ns)
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
        take_back(p);
    } else if (starved && (may_stretch(p) || may_raise(p, rate))) {
        raise(p, rate);
    } else {
        p->best_rate = 0;
    }
}
