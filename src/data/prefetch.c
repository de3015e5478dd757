/* SPDX-License-Identifier: Apache-2.0 */
#include "data/prefetch.h"

#include "base/attr.h"

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

void prefetch_init(struct prefetch *p, uint64_t part, unsigned parallel)
{
    *p = (struct prefetch){.part = part, .window_max = part * parallel};
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

const struct prefetch_run *prefetch_note(struct prefetch *p, uint64_t offset, uint64_t len)
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
        run = oldest;
        *run = (struct prefetch_run){
            .end = offset + len, .bytes = len, .last_read = len, .reads = 1, .tick = p->tick};
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
        /* Twice what was read: the window doubles as the run goes on, and what a reader who stops
         * has cost stays in proportion to what it wanted. */
        uint64_t most = MAX(p->window_max / live_runs(p), p->part);
        run->window = MIN(MAX(2 * run->bytes, p->part), most);
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

uint64_t prefetch_request_end(const struct prefetch *p, uint64_t offset, uint64_t size)
{
    uint64_t end = (offset / p->part + 1) * p->part;
    return end >= size || size - end <= REST_MAX ? size : end;
}
