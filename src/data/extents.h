/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of the bytes of a file: a map from offsets to kinds, as sorted extents that neither
 * overlap nor touch a neighbour of their own kind. Pure memory, no I/O.
 *
 * Kept in leaves of up to some hundred extents under one sorted array, 24 bytes an extent: random
 * writes of 4 KiB into 10 GiB are 2.6 million of them, and each costs two binary searches and a
 * move within a leaf.
 *
 * Life:    extents_init -> ... -> extents_done (may be used again).
 * Threads: one at a time.
 * Errors:  0 or -ENOMEM, and then nothing has changed. */
#ifndef PAILFS_DATA_EXTENTS_H
#define PAILFS_DATA_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum extent_kind {
    EXTENT_NONE,  /* nothing is known: a gap between extents */
    EXTENT_DATA,  /* the bytes are at hand, and differ from the base */
    EXTENT_ZERO,  /* zeros, where the base may have other bytes */
    EXTENT_CLEAN, /* the bytes are at hand, and the base has the same */
    EXTENT_KINDS,
};

struct extent {
    uint64_t start, end;
    enum extent_kind kind;
};

struct extents_leaf;

struct extents {
    struct extents_leaf **leaves;
    size_t n_leaves, alloc_leaves;
    struct extents_leaf *spare; /* so that a change cannot fail in the middle */
    uint64_t bytes[EXTENT_KINDS];
};

void extents_init(struct extents *x);
void extents_done(struct extents *x);

/* After this, one change cannot fail. */
int extents_prepare(struct extents *x);
/* [start, end) is of that kind from now on. */
int extents_set(struct extents *x, uint64_t start, uint64_t end, enum extent_kind kind);
/* Forgets all from `start` on. Cannot fail. */
void extents_cut(struct extents *x, uint64_t start);
/* Every extent of `from` becomes one of `to` (EXTENT_NONE: is forgotten). Cannot fail. */
void extents_turn(struct extents *x, enum extent_kind from, enum extent_kind to);
/* The piece at pos, cut to [pos, end), also when that is a gap: kind NONE then. */
struct extent extents_at(const struct extents *x, uint64_t pos, uint64_t end);
/* Bytes of the kind. */
static inline uint64_t extents_bytes(const struct extents *x, enum extent_kind kind)
{
    return x->bytes[kind];
}

#endif
