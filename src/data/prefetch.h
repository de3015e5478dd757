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

#define PREFETCH_RUNS   4
#define PREFETCH_PLACES 32

struct prefetch_run {
    uint64_t end;       /* highest byte read, exclusive */
    uint64_t bytes;     /* by which the end moved on since the run began */
    uint64_t window;    /* bytes to have under way or in memory behind end; 0 = not sequential */
    uint64_t reach;     /* end of what was asked for so, when the window was larger */
    uint64_t last_read; /* length */
    uint64_t tick;      /* of the last read in it; 0 = unused */
    unsigned reads;     /* that moved the end on */
};

/* How long requests take where the bytes come from. */
struct prefetch_path {
    uint64_t latency_ns;           /* least time to a first byte; 0 = none was told */
    uint64_t fast_ns, fast_length; /* of the request with the most bytes for its time; 0 = none */
};

struct prefetch {
    struct prefetch_run runs[PREFETCH_RUNS];
    uint64_t tick;
    /* Of the reads that began a run: whether they come back to where others were. */
    uint64_t places[PREFETCH_PLACES]; /* 128 KiB each, counted from 1; the latest ones */
    unsigned n_places, scattered;
    uint64_t part;     /* size of one request, at most */
    unsigned parallel; /* parts under way or in memory ahead, now */
    unsigned parallel_min, parallel_max;
    unsigned spread;  /* requests that those are cut into, while they are not too small for it */
    unsigned share;   /* requests that this handle may have under way beside the others */
    unsigned handles; /* of the mount that read at the same time, this one among them */
    /* Whether more ahead brings more bytes: all runs together, from one look to the next. */
    uint64_t look_ns;     /* when the present span began */
    uint64_t look_bytes;  /* by which ends moved on since */
    uint64_t look_waited; /* nanoseconds in which reads waited for bytes */
    uint64_t best_rate;   /* bytes per second before the last raise; 0 = nothing was raised */
    unsigned stretch;     /* requests are taken to last so many times what the fastest did */
    bool stretched;       /* that was the last raise, else p->parallel */
    unsigned usual;       /* what they took of late, in sixteenths of that */
    struct prefetch_path path;
    struct prefetch_path guess;   /* until that is known: of other handles before */
    uint64_t rate;                /* bytes per second that were read, the most of late */
    uint64_t rate_ns, rate_bytes; /* of the span that is measured: since when, and bytes */
    bool settling; /* much of the present span was asked for before the last change */
    unsigned hold; /* spans until it may be tried again */
};

/* A small object is fetched whole when a program begins at its start with a read of this size. */
#define PREFETCH_WHOLE_MAX  (8 * MIB)
#define PREFETCH_WHOLE_READ (128 * KIB)

void prefetch_init(struct prefetch *p, uint64_t part, unsigned parallel);
/* Notes a read; returns its run. From the second read on, run->window says how far ahead. size: of
 * the object. */
const struct prefetch_run *prefetch_note(struct prefetch *p, uint64_t offset, uint64_t len,
                                         uint64_t size);
/* A request had its first byte after so long. */
void prefetch_latency(struct prefetch *p, uint64_t ns);
/* And its last of so many. */
void prefetch_took(struct prefetch *p, uint64_t length, uint64_t ns);
/* So many handles share the mount's connections. */
void prefetch_set_share(struct prefetch *p, unsigned connections, unsigned handles);
/* Notes that a sequential read has its bytes, and that reads waited for so long since the last
 * call; decides about p->spread and p->parallel. */
void prefetch_pace(struct prefetch *p, uint64_t bytes, uint64_t waited_ns, uint64_t now_ns);
/* What a read that is in no run is rounded up to: so much that its neighbours are there too, unless
 * the program has shown that it reads none. */
uint64_t prefetch_random_unit(const struct prefetch *p);
/* Bytes that a run is about to read, a late request's among them, or (unless `tight`) has read
 * lately: worth keeping. */
bool prefetch_wants(const struct prefetch *p, uint64_t offset, uint64_t len, bool was_read,
                    bool tight);
/* How many requests may be under way at the same time. */
unsigned prefetch_requests(const struct prefetch *p, const struct prefetch_run *run);
/* Where a request of the run that begins at offset ends: at a multiple of a size that is the
 * smaller the more connections there are for the window: the same memory ahead is there sooner from
 * many of them. Handles of one object ask for the same ranges; a small rest of the object is taken
 * along. */
uint64_t prefetch_request_end(const struct prefetch *p, const struct prefetch_run *run,
                              uint64_t offset, uint64_t size);

#endif
