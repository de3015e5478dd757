/* SPDX-License-Identifier: Apache-2.0 */
/* The CRCs of a whole object, or of its parts, from those of its ranges, which come in any order.
 * Ranges that lie beside each other are put together, but for what lies on both sides of a multiple
 * of SUMS_GRID, or of the parts' size once that is known.
 * One thread at a time. Embedded; zeroed = nothing has come. */
#ifndef PAILFS_DATA_SUMS_H
#define PAILFS_DATA_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/* A part's size is a multiple of this, or its checksum is not checked. */
#define SUMS_GRID MIB
/* At most, beyond them nothing more is put together; parts are 10,000 at most, and what of the
 * whole is not put together (sums_join) is what lies ahead of a reader. */
#define SUMS_PIECES_MAX 16384u

enum sums_algo { SUMS_CRC64NVME, SUMS_CRC32C, SUMS_CRC32, SUMS_ALGO_MAX };
#define SUMS_ALL ((1u << SUMS_ALGO_MAX) - 1)

/* Of the same bytes; those that were not asked for are undefined. */
struct sums_crcs {
    uint64_t of[SUMS_ALGO_MAX];
};
/* algos: 1 << each that is wanted. Zeroed = of no bytes. */
void sums_crcs_update(struct sums_crcs *c, unsigned algos, const void *data, size_t len);

struct sums_piece {
    uint64_t offset, end;
    struct sums_crcs crcs;
};

struct sums {
    struct sums_piece *pieces; /* owned; in order, disjoint, with holes between them */
    size_t n, alloc;
    uint64_t covered;
    uint64_t grid;    /* 0 = SUMS_GRID */
    bool whole;       /* its CRC is wanted, not one of parts */
    unsigned without; /* 1 << each that is not known of all pieces */
    bool lost;        /* too many, or no memory */
};

void sums_done(struct sums *s);
/* Of bytes that have come already, in part or whole, the first CRCs count: these are left out. */
void sums_add(struct sums *s, uint64_t offset, uint64_t length, const struct sums_crcs *crcs,
              unsigned algos);
/* From now on only that CRC is wanted, of parts of that size; 0 = of the whole. */
void sums_only(struct sums *s, enum sums_algo algo, uint64_t part_size);
/* Of the whole: what lies before that is put together. */
void sums_join(struct sums *s, uint64_t until);
/* What lies behind that has not come: a multiple of the grid. */
void sums_cut(struct sums *s, uint64_t from);
/* Whether all of an object of that size has come. */
bool sums_is_whole(const struct sums *s, uint64_t size);
/* Of an object that has, after sums_only: false: it is not known. Of parts it is that of their CRCs
 * in a row, most significant byte first. */
bool sums_get(const struct sums *s, enum sums_algo algo, uint64_t *ret_crc);

#endif
