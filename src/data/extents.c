/* SPDX-License-Identifier: Apache-2.0 */
#include "data/extents.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

#define LEAF_SIZE 256u

struct extents_leaf {
    size_t n;
    struct extent e[LEAF_SIZE];
};

/* A place in the map: extent i of leaf l; l == n_leaves behind the last. */
struct place {
    size_t l, i;
};

void extents_init(struct extents *x)
{
    *x = (struct extents){0};
}

void extents_done(struct extents *x)
{
    for (size_t l = 0; l < x->n_leaves; l++)
        free(x->leaves[l]);
    free(x->leaves);
    free(x->spare);
    extents_init(x);
}

/* ---- places ---- */

static bool at_end(const struct extents *x, struct place p)
{
    return p.l == x->n_leaves;
}

static struct extent *get(const struct extents *x, struct place p)
{
    return &x->leaves[p.l]->e[p.i];
}

static struct place next(const struct extents *x, struct place p)
{
    if (++p.i == x->leaves[p.l]->n)
        p = (struct place){p.l + 1, 0};
    return p;
}

/* The first extent that ends behind pos. */
static struct place seek(const struct extents *x, uint64_t pos)
{
    size_t low = 0, high = x->n_leaves;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct extents_leaf *leaf = x->leaves[mid];
        if (leaf->e[leaf->n - 1].end > pos)
            high = mid;
        else
            low = mid + 1;
    }
    struct place p = {low, 0};
    if (at_end(x, p))
        return p;
    const struct extents_leaf *leaf = x->leaves[low];
    high = leaf->n;
    low = 0;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (leaf->e[mid].end > pos)
            high = mid;
        else
            low = mid + 1;
    }
    p.i = low;
    return p;
}

struct extent extents_at(const struct extents *x, uint64_t pos, uint64_t end)
{
    struct place p = seek(x, pos);
    struct extent gap = {pos, end, EXTENT_NONE};
    if (at_end(x, p))
        return gap;
    struct extent e = *get(x, p);
    if (e.start > pos) {
        gap.end = MIN(end, e.start);
        return gap;
    }
    return (struct extent){pos, MIN(end, e.end), e.kind};
}

/* ---- changes ---- */

/* Two more extents are at most one more leaf. */
int extents_prepare(struct extents *x)
{
    if (x->n_leaves + 1 >= x->alloc_leaves) {
        size_t alloc = MAX(x->alloc_leaves * 2, (size_t)8);
        struct extents_leaf **bigger = realloc(x->leaves, alloc * sizeof(struct extents_leaf *));
        if (!bigger)
            return -ENOMEM;
        x->leaves = bigger;
        x->alloc_leaves = alloc;
    }
    if (!x->spare && !(x->spare = malloc(sizeof(*x->spare))))
        return -ENOMEM;
    return 0;
}

static void add_leaf(struct extents *x, size_t at)
{
    assert(x->spare);
    memmove(x->leaves + at + 1, x->leaves + at, (x->n_leaves - at) * sizeof(struct extents_leaf *));
    x->leaves[at] = x->spare;
    x->spare = NULL;
    x->leaves[at]->n = 0;
    x->n_leaves++;
}

static void remove_leaf(struct extents *x, size_t at)
{
    free(x->spare);
    x->spare = x->leaves[at];
    x->n_leaves--;
    memmove(x->leaves + at, x->leaves + at + 1, (x->n_leaves - at) * sizeof(struct extents_leaf *));
}

/* Inserts before the place. */
static void insert(struct extents *x, struct place p, struct extent e)
{
    x->bytes[e.kind] += e.end - e.start;
    if (at_end(x, p)) {
        if (p.l > 0 && x->leaves[p.l - 1]->n < LEAF_SIZE)
            p = (struct place){p.l - 1, x->leaves[p.l - 1]->n};
        else
            add_leaf(x, p.l);
    } else if (x->leaves[p.l]->n == LEAF_SIZE) {
        /* Appending, the common order, leaves full leaves behind. */
        struct extents_leaf *full = x->leaves[p.l];
        size_t keep = LEAF_SIZE / 2;
        add_leaf(x, p.l + 1);
        struct extents_leaf *right = x->leaves[p.l + 1];
        right->n = LEAF_SIZE - keep;
        memcpy(right->e, full->e + keep, right->n * sizeof(right->e[0]));
        full->n = keep;
        if (p.i > keep)
            p = (struct place){p.l + 1, p.i - keep};
    }
    struct extents_leaf *leaf = x->leaves[p.l];
    memmove(leaf->e + p.i + 1, leaf->e + p.i, (leaf->n - p.i) * sizeof(leaf->e[0]));
    leaf->e[p.i] = e;
    leaf->n++;
}

/* Takes n extents of one leaf out; the place is then that of the one behind. */
static struct place take_out(struct extents *x, struct place p, size_t n)
{
    struct extents_leaf *leaf = x->leaves[p.l];
    for (size_t i = p.i; i < p.i + n; i++)
        x->bytes[leaf->e[i].kind] -= leaf->e[i].end - leaf->e[i].start;
    memmove(leaf->e + p.i, leaf->e + p.i + n, (leaf->n - p.i - n) * sizeof(leaf->e[0]));
    leaf->n -= n;
    if (leaf->n == 0) {
        remove_leaf(x, p.l);
        p.i = 0;
    } else if (p.i == leaf->n) {
        p = (struct place){p.l + 1, 0};
    }
    return p;
}

static void set_start(struct extents *x, struct extent *e, uint64_t start)
{
    x->bytes[e->kind] += e->start - start;
    e->start = start;
}

static void set_end(struct extents *x, struct extent *e, uint64_t end)
{
    x->bytes[e->kind] += end - e->end;
    e->end = end;
}

/* Nothing is known of [start, end) any more; the place of what follows. extents_prepare was called.
 */
static struct place clear(struct extents *x, uint64_t start, uint64_t end)
{
    struct place p = seek(x, start);
    if (at_end(x, p))
        return p;
    struct extent *e = get(x, p);
    if (e->start < start) {
        struct extent rest = {end, e->end, e->kind};
        set_end(x, e, start);
        p = next(x, p);
        if (rest.start < rest.end) {
            insert(x, p, rest);
            return seek(x, start);
        }
    }
    while (!at_end(x, p) && get(x, p)->end <= end) {
        const struct extents_leaf *leaf = x->leaves[p.l];
        size_t n = 1;
        while (p.i + n < leaf->n && leaf->e[p.i + n].end <= end)
            n++;
        p = take_out(x, p, n);
    }
    if (!at_end(x, p) && get(x, p)->start < end)
        set_start(x, get(x, p), end);
    return p;
}

static bool before(const struct extents *x, struct place p, struct place *ret)
{
    if (p.i > 0) {
        *ret = (struct place){p.l, p.i - 1};
        return true;
    }
    if (p.l == 0)
        return false;
    *ret = (struct place){p.l - 1, x->leaves[p.l - 1]->n - 1};
    return true;
}

int extents_set(struct extents *x, uint64_t start, uint64_t end, enum extent_kind kind)
{
    assert(start <= end);
    if (start == end)
        return 0;
    int r = extents_prepare(x);
    if (r)
        return r;
    struct place p = clear(x, start, end), left;
    if (kind == EXTENT_NONE)
        return 0;
    bool join_right = !at_end(x, p) && get(x, p)->start == end && get(x, p)->kind == kind;
    bool join_left =
        before(x, p, &left) && get(x, left)->end == start && get(x, left)->kind == kind;
    if (join_left && join_right) {
        end = get(x, p)->end;
        (void)take_out(x, p, 1);
        set_end(x, get(x, left), end);
    } else if (join_left) {
        set_end(x, get(x, left), end);
    } else if (join_right) {
        set_start(x, get(x, p), start);
    } else {
        /* A split in clear has used the spare leaf only together with room for this one. */
        insert(x, p, (struct extent){start, end, kind});
    }
    return 0;
}

void extents_cut(struct extents *x, uint64_t start)
{
    struct place p = seek(x, start);
    if (at_end(x, p))
        return;
    if (get(x, p)->start < start) {
        set_end(x, get(x, p), start);
        p = next(x, p);
    }
    while (!at_end(x, p))
        p = take_out(x, p, x->leaves[p.l]->n - p.i);
}

void extents_turn(struct extents *x, enum extent_kind from, enum extent_kind to)
{
    /* Rewritten in place: what is written is never ahead of what is read. */
    struct place to_place = {0, 0};
    struct extent *last = NULL;
    for (struct place p = {0, 0}; !at_end(x, p); p = next(x, p)) {
        struct extent e = *get(x, p);
        if (e.kind == from)
            e.kind = to;
        if (e.kind == EXTENT_NONE)
            continue;
        if (last && last->end == e.start && last->kind == e.kind) {
            last->end = e.end;
            continue;
        }
        last = get(x, to_place);
        *last = e;
        to_place = next(x, to_place);
    }
    size_t keep = to_place.l + (to_place.i > 0);
    while (x->n_leaves > keep)
        free(x->leaves[--x->n_leaves]);
    if (to_place.i > 0)
        x->leaves[to_place.l]->n = to_place.i;
    if (from != to) {
        if (to != EXTENT_NONE)
            x->bytes[to] += x->bytes[from];
        x->bytes[from] = 0;
    }
}
