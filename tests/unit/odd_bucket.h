/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket of random keys that are hard to show, as a store: a sorted array, listed as any server
 * may list it, and as some do that should not. And what a mount must show of it.
 *
 *   struct odd_bucket b = {.seed = 1, .page = 7};     and whatever the server is to do
 *   odd_bucket_fill(&b, 100);
 *   vfs over &b.store
 *   odd_lines_of(&b, want);        "path/name size" of each file, "path/name/ 0" of each directory
 *   odd_bucket_empty(&b);
 *
 * Include after cmocka.h. Threads: with b.lock initialised and b.pool set, answers come from the
 * pool's threads, and other hosts may change keys beside each page (b.changes). */
#ifndef PAILFS_TESTS_ODD_BUCKET_H
#define PAILFS_TESTS_ODD_BUCKET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

#define ODD_KEYS_MAX  600u
#define ODD_LINES_MAX 4000u

struct threadpool;

struct odd_bucket {
    struct store store; /* ops are set by odd_bucket_fill */
    uint64_t seed;
    char *keys[ODD_KEYS_MAX]; /* in the server's order */
    unsigned n;
    /* what the server does */
    unsigned page;      /* keys of a page at most */
    bool utf16;         /* its order */
    bool ignores_after; /* StartAfter means nothing to it */
    bool empty_pages;   /* now and then one that is not the last */
    bool repeats;       /* the last key of a page is the first one of the next, too */
    bool hides;         /* a prefix that StartAfter lies in */
    unsigned circle;    /* 0: the token after so many pages leads back to the first */
    unsigned requests;
    unsigned empties;
    /* threads */
    pthread_mutex_t lock;    /* of all of it, when there is a pool */
    struct threadpool *pool; /* NULL = answers before submit returns */
    bool changes;            /* other hosts store and remove the passing keys at any time */
    bool passing[ODD_KEYS_MAX];
    bool gone[ODD_KEYS_MAX]; /* just now */
};

/* Of the bucket's seed; unlocked. */
unsigned odd_pick(uint64_t *seed, unsigned n);
/* At most so many keys of it, or many of one kind, for requests of several stretches. */
void odd_bucket_fill(struct odd_bucket *b, unsigned max);
/* Keys of one's own, then odd_bucket_sort. */
void odd_bucket_sort(struct odd_bucket *b);
void odd_bucket_empty(struct odd_bucket *b);
uint64_t odd_size_of(const char *key);

struct odd_lines {
    char *at[ODD_LINES_MAX];
    unsigned n;
};

void odd_line(struct odd_lines *l, const char *path, const char *name, bool dir, uint64_t size);
void odd_lines_done(struct odd_lines *l);
void odd_lines_sort(struct odd_lines *l);
/* What there is to see when all keys are there. */
void odd_lines_of(const struct odd_bucket *b, struct odd_lines *out);

#endif
