/* SPDX-License-Identifier: Apache-2.0 */
/* A decorator that counts: requests by operation, bytes each way, how many ran at the same time.
 * Life:    store_count_new(inner) -> store_... -> store_free (frees inner too).
 * Threads: any. */
#ifndef PAILFS_STORE_STORE_COUNT_H
#define PAILFS_STORE_STORE_COUNT_H

#include "store/store.h"

struct store_count_figures {
    uint64_t requests;
    uint64_t failed;
    uint64_t bytes;   /* of bodies sent (put, upload-part) or received (get) */
    unsigned running; /* now */
    unsigned running_max;
};

struct store_count_options {
    /* Sees each request before it is passed on, on the submitting thread. May be NULL. */
    void (*observe)(void *ctx, enum store_op op, const void *in);
    void *ctx;
};

/* Takes inner on success. opts may be NULL. */
int store_count_new(struct store *inner, const struct store_count_options *opts,
                    struct store **ret);
void store_count_get(struct store *s, enum store_op op, struct store_count_figures *ret);
/* Requests of one operation / of all. */
uint64_t store_count_requests(struct store *s, enum store_op op);
uint64_t store_count_all(struct store *s);
/* "put 1, upload-part 3": what is not 0, for messages and tests. Returns buf. */
const char *store_count_describe(struct store *s, char *buf, size_t size);
void store_count_reset(struct store *s);

#endif
