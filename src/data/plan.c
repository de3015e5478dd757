/* SPDX-License-Identifier: Apache-2.0 */
#include "data/plan.h"

#include <errno.h>
#include <stdlib.h>

#include "store/store_limits.h"

/* Copies of about this size go in parallel: S3 copies some 100 MB a second in one request. */
#define COPY_PIECE (64 * MIB)

/* What is sent, as ranges in order; between them is what is copied. */
struct region {
    uint64_t start, end;
};

struct regions {
    struct region *r;
    size_t n; /* at most STORE_PARTS_MAX */
};

static uint64_t div_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

/* ---- regions ---- */

static bool is_change(enum extent_kind kind)
{
    return kind == EXTENT_DATA || kind == EXTENT_ZERO;
}

/* false when there are too many. */
static bool add_change(struct regions *g, uint64_t start, uint64_t end, uint64_t join)
{
    struct region *last = g->n ? &g->r[g->n - 1] : NULL;
    if (last && start - last->end < join) {
        last->end = end;
        return true;
    }
    if (g->n == STORE_PARTS_MAX)
        return false;
    g->r[g->n++] = (struct region){start, end};
    return true;
}

/* The changes; unchanged pieces shorter than join are part of them. */
static bool find_changes(const struct plan_in *in, uint64_t join, struct regions *g)
{
    uint64_t base = MIN(in->base_size, in->size);
    g->n = 0;
    /* A range of an object that small cannot be copied. */
    if (base <= STORE_PART_SIZE_MIN)
        return add_change(g, 0, in->size, join);
    for (uint64_t at = 0; at < base;) {
        struct extent e = extents_at(in->extents, at, base);
        if (is_change(e.kind) && !add_change(g, e.start, e.end, join))
            return false;
        at = e.end;
    }
    return base == in->size || add_change(g, base, in->size, join);
}

/* Regions of a part's minimum, and copies between them that have it too. */
static void widen(struct regions *g, uint64_t size)
{
    const uint64_t min = STORE_PART_SIZE_MIN;
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++) {
        struct region r = g->r[i];
        if (n == 0 && r.start < min)
            r.start = 0;
        for (;;) {
            if (r.end - r.start < min)
                r.end = MIN(r.start + min, size);
            if (i + 1 == g->n || g->r[i + 1].start >= r.end + min)
                break;
            r.end = MAX(r.end, g->r[++i].end);
        }
        g->r[n++] = r;
    }
    g->n = n;
}

/* ---- parts ---- */

static uint64_t data_pieces(uint64_t length, uint64_t part_size)
{
    uint64_t most = length / STORE_PART_SIZE_MIN;
    return MAX(MIN(div_up(length, part_size), most), 1u);
}

static uint64_t copy_pieces(uint64_t length, uint64_t parallel)
{
    uint64_t fewest = div_up(length, STORE_COPY_SIZE_MAX);
    return MAX(fewest, MIN(length / COPY_PIECE, parallel));
}

/* Gives each piece of [start, end) to p->parts, or counts them when there are none yet. */
static void add_parts(struct plan *p, uint64_t start, uint64_t end, uint64_t pieces, bool copy)
{
    for (uint64_t i = 0; p->parts && i < pieces; i++) {
        uint64_t n = (end - start) / (pieces - i);
        p->parts[p->n_parts + i] = (struct plan_part){start, n, copy};
        if (!copy) {
            p->sent += n;
            p->largest = MAX(p->largest, n);
        }
        start += n;
    }
    p->n_parts += (uint32_t)MIN(pieces, STORE_PARTS_MAX + 1u);
}

static void lay_out(const struct plan_in *in, const struct regions *g, uint64_t part_size,
                    uint64_t parallel, struct plan *p)
{
    uint64_t at = 0;
    p->n_parts = 0;
    for (size_t i = 0; i < g->n && p->n_parts <= STORE_PARTS_MAX; i++) {
        struct region r = g->r[i];
        if (r.start > at)
            add_parts(p, at, r.start, copy_pieces(r.start - at, parallel), true);
        add_parts(p, r.start, r.end, data_pieces(r.end - r.start, part_size), false);
        at = r.end;
    }
    if (at < in->size)
        add_parts(p, at, in->size, copy_pieces(in->size - at, parallel), true);
}

static int fill(const struct plan_in *in, const struct regions *g, uint64_t part_size,
                uint64_t parallel, struct plan *ret)
{
    struct plan p = {0};
    lay_out(in, g, part_size, parallel, &p);
    p.parts = calloc(p.n_parts, sizeof(*p.parts));
    if (!p.parts)
        return -ENOMEM;
    lay_out(in, g, part_size, parallel, &p);
    *ret = p;
    return 0;
}

static bool fits(const struct plan_in *in, const struct regions *g, uint64_t part_size,
                 uint64_t parallel)
{
    struct plan p = {0};
    lay_out(in, g, part_size, parallel, &p);
    return p.n_parts <= STORE_PARTS_MAX;
}

/* Near the largest object there is but one way: parts of the largest size, each copied or sent. */
static int make_grid(const struct plan_in *in, struct regions *g, struct plan *ret)
{
    const uint64_t cell = STORE_PART_SIZE_MAX;
    if (in->part_size_max < cell || div_up(in->size, cell) > STORE_PARTS_MAX)
        return -EFBIG;
    uint64_t base = MIN(in->base_size, in->size);
    g->n = 0;
    for (uint64_t at = 0; at < in->size; at += cell) {
        uint64_t end = MIN(at + cell, in->size);
        bool sent = end > base;
        for (uint64_t pos = at; !sent && pos < end;) {
            struct extent e = extents_at(in->extents, pos, end);
            sent = is_change(e.kind);
            pos = e.end;
        }
        if (sent)
            (void)add_change(g, at, end, 1);
    }
    return fill(in, g, cell, 1, ret);
}

int plan_make(const struct plan_in *in, struct plan *ret)
{
    struct regions g = {.r = malloc(STORE_PARTS_MAX * sizeof(*g.r))};
    if (!g.r)
        return -ENOMEM;
    int r = -EFBIG;
    for (uint64_t join = STORE_PART_SIZE_MIN; r == -EFBIG; join *= 2) {
        if (find_changes(in, join, &g)) {
            widen(&g, in->size);
            for (uint64_t size = in->part_size; r == -EFBIG; size *= 2) {
                size = MIN(size, in->part_size_max);
                if (fits(in, &g, size, in->parallel))
                    r = fill(in, &g, size, in->parallel, ret);
                else if (fits(in, &g, size, 1))
                    r = fill(in, &g, size, 1, ret);
                if (size == in->part_size_max)
                    break;
            }
        }
        if (join > in->size)
            break;
    }
    if (r == -EFBIG)
        r = make_grid(in, &g, ret);
    free(g.r);
    return r;
}

void plan_done(struct plan *p)
{
    free(p->parts);
    *p = (struct plan){0};
}
