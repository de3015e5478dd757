/* SPDX-License-Identifier: Apache-2.0 */
/* The CRC-64/NVME of a whole object from those of its ranges, which come in any order. Ranges that
 * lie beside each other are put together, so a reader that goes on in sequence has few.
 * One thread at a time. Embedded; zeroed = nothing has come. */
#ifndef PAILFS_DATA_SUMS_H
#define PAILFS_DATA_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Places in an object that a reader is at, and holes between them, at most; beyond, nothing more is
 * put together. */
#define SUMS_PIECES_MAX 1024u

struct sums_piece {
    uint64_t offset, end, crc;
};

struct sums {
    struct sums_piece *pieces; /* owned; in order, disjoint, with holes between them */
    size_t n, alloc;
    uint64_t covered;
    bool lost; /* too many, or no memory */
};

void sums_done(struct sums *s);
/* Of bytes that have come already, in part or whole, the first CRC counts: this one is left out. */
void sums_add(struct sums *s, uint64_t offset, uint64_t length, uint64_t crc);
/* Whether all of an object of that size has come. */
bool sums_whole(const struct sums *s, uint64_t size, uint64_t *ret_crc);

#endif
