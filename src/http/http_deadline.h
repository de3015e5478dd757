/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of deadlines: an intrusive pairing heap, so that arming one never allocates and thus
 * never fails. Insert O(1), remove and take-first O(log n) amortised. Not thread-safe.
 *
 * Life:  a zeroed node is not queued; the owner keeps it alive while it is. */
#ifndef PAILFS_HTTP_HTTP_DEADLINE_H
#define PAILFS_HTTP_HTTP_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

struct http_deadline {
    uint64_t at; /* monotonic ns; constant while queued */
    bool queued;
    struct http_deadline *child; /* first of the later ones */
    struct http_deadline *next;  /* sibling */
    struct http_deadline *prev;  /* sibling, or the parent for a first child; NULL at the root */
};

struct http_deadlines_heap {
    struct http_deadline *root; /* the earliest, NULL = empty; borrow it to peek */
};

/* Queues it, or moves it when it is queued already. */
void http_deadline_set(struct http_deadlines_heap *h, struct http_deadline *d, uint64_t at);
/* No effect when it is not queued. */
void http_deadline_clear(struct http_deadlines_heap *h, struct http_deadline *d);

#endif
