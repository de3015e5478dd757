/* SPDX-License-Identifier: Apache-2.0 */
/* How many parts of each upload are under way: as many as bring more, and no more. Each is a part's
 * memory, a connection and a thread of the server's; where the CPU, the server or the line is at
 * its limit two of each upload are as fast as eight.
 *
 * All uploads together begin with as many as one may have, and never have fewer. Then the rate of a
 * round (as many parts as are under way) is compared with the one before: half as many again stay
 * if they brought more, and a third fewer stay if they cost nothing. What was in vain is tried
 * again later and later. Rounds in which no writer waits for a place tell nothing.
 *
 * Where little comes through, all have as many as they may: that costs no CPU worth saving, and
 * writers that pause after a few parts each would end before anything is found out.
 *
 * Threads: any. */
#ifndef PAILFS_DATA_PACE_H
#define PAILFS_DATA_PACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum pace_state { PACE_MEASURE, PACE_SETTLE, PACE_PROBE, PACE_HOLD };

struct pace {
    pthread_mutex_t lock;
    unsigned most;   /* of one upload */
    unsigned active; /* uploads with parts under way; protected by lock, as all below */
    unsigned window; /* parts of all of them */
    /* This round: */
    uint64_t start_ns, bytes;
    unsigned parts;
    bool limited; /* a writer waited for a place */
    bool slow;    /* little came through in the last round that tells something */
    /* What is being tried: */
    enum pace_state state;
    unsigned before; /* the window, and the rate with it, bytes per second */
    double rate;
    bool down;           /* fewer are tried */
    unsigned hold, left; /* rounds until the next try: after one in vain, and as of now */
};

void pace_init(struct pace *p, unsigned most);
void pace_done(struct pace *p);
/* An upload has its first part under way (+1), or none any more (-1). */
void pace_count(struct pace *p, int uploads, uint64_t now_ns);
/* Parts that each upload may have under way. */
unsigned pace_share(struct pace *p);
/* A writer waits for a place. */
void pace_waits(struct pace *p);
void pace_stored(struct pace *p, uint64_t bytes, uint64_t now_ns);

#endif
