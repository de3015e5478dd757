/* SPDX-License-Identifier: Apache-2.0 */
/* Recognises sequential runs among the reads of one handle, and says how far ahead of each to
 * fetch. Pure bookkeeping: no memory, no locks, no requests.
 *
 * The kernel's readahead arrives out of order, and two threads may read different places through
 * one handle: so a read belongs to a run when it is near its end, on either side, and several runs
 * are told apart. */
#ifndef PAILFS_DATA_PREFETCH_H
#define PAILFS_DATA_PREFETCH_H

#include <stdbool.h>
#include <stdint.h>

#define PREFETCH_RUNS 4

struct prefetch_run {
    uint64_t end;       /* highest byte read, exclusive */
    uint64_t bytes;     /* by which the end moved on since the run began */
    uint64_t window;    /* bytes to have under way or in memory behind end; 0 = not sequential */
    uint64_t last_read; /* length */
    uint64_t tick;      /* of the last read in it; 0 = unused */
    unsigned reads;     /* that moved the end on */
};

struct prefetch {
    struct prefetch_run runs[PREFETCH_RUNS];
    uint64_t tick;
    uint64_t part;       /* size of one request */
    uint64_t window_max; /* all runs together */
};

void prefetch_init(struct prefetch *p, uint64_t part, unsigned parallel);
/* Notes a read; returns its run. From the second read on, run->window says how far ahead. */
const struct prefetch_run *prefetch_note(struct prefetch *p, uint64_t offset, uint64_t len);
/* Bytes that a run is about to read, or has read lately and a late request may want: worth keeping.
 * With `tight` only the former. */
bool prefetch_wants(const struct prefetch *p, uint64_t offset, uint64_t len, bool tight);
/* Where a request that begins at offset ends: at a multiple of the part size, so that handles of
 * one object ask for the same ranges; a small rest of the object is taken along. */
uint64_t prefetch_request_end(const struct prefetch *p, uint64_t offset, uint64_t size);

#endif
