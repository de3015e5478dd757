/* SPDX-License-Identifier: Apache-2.0 */
/* A decorator that fails, delays, cuts and holds requests by a script of rules. The first rule that
 * matches a request and whose turn it is applies; the rest never hear of the request.
 *
 * Life:    store_fault_new(inner) -> store_fault_add... -> store_... -> store_free (releases what
 *          is held, frees inner too).
 * Threads: any. A request that is delayed or was held goes on from a thread of the decorator or
 *          from the one that released it. */
#ifndef PAILFS_STORE_STORE_FAULT_H
#define PAILFS_STORE_STORE_FAULT_H

#include "base/clock.h"
#include "store/store.h"

struct store_fault_rule {
    enum store_op op;   /* STORE_OP_MAX = any */
    const char *prefix; /* of the key; NULL = any. Borrowed until store_free */
    uint64_t after;     /* lets the first n matching requests pass */
    uint64_t every;     /* then every n-th; 0 = each */
    uint64_t count;     /* this many times; 0 = always */

    uint64_t delay_ns;        /* on the clock, before anything else */
    bool hold;                /* until store_fault_release, before anything else */
    enum s3_error_kind error; /* NONE = the request itself goes through */
    const char *code;         /* S3's; NULL = none. Borrowed until store_free */
    unsigned tries;           /* as the error reports it; 0 = 1. Over 1, and for
                                 what leaves it open whether it was done: with maybe_done */
    bool lose_answer;         /* with error: after the request has had its effect */
    bool cut;                 /* with error, for GET: after cut_after bytes of the body */
    uint64_t cut_after;
};

/* clock NULL = clock_system(). Takes inner on success. */
int store_fault_new(struct store *inner, struct clock *clock, struct store **ret);
int store_fault_add(struct store *s, const struct store_fault_rule *rule);
void store_fault_clear(struct store *s);
/* Requests that a rule was applied to, since the last clear. */
uint64_t store_fault_applied(struct store *s);
/* Requests held now. */
unsigned store_fault_held(struct store *s);
/* Lets the oldest n held requests go on (0 = all), in order. Returns how many. */
unsigned store_fault_release(struct store *s, unsigned n);
/* As above, but the newest one alone: answers overtake each other. */
unsigned store_fault_release_newest(struct store *s);

#endif
