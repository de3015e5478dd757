/* SPDX-License-Identifier: Apache-2.0 */
/* An ordered map from (key bytes, sequence) to a pointer: the order of S3 listings, which is that
 * of unsigned bytes, a shorter key first. Expected O(log n); next[0] walks in order.
 * Life: skiplist_init -> insert/remove -> skiplist_done (nodes only; values belong to the caller).
 * Not thread-safe: the owner's lock protects it. */
#ifndef S3D_SKIPLIST_H
#define S3D_SKIPLIST_H

#include <stddef.h>
#include <stdint.h>

#define SKIPLIST_LEVELS 20

struct skipnode {
    void *value;
    uint64_t seq; /* tells equal keys apart (uploads of one key); 0 where keys are unique */
    char *key;    /* inside this allocation, NUL-terminated */
    uint32_t key_len;
    uint32_t levels;
    struct skipnode *next[];
};

struct skiplist {
    struct skipnode *head; /* next[] of every level; its key is never looked at */
    size_t count;
    uint64_t random;
};

int skiplist_init(struct skiplist *l);
void skiplist_done(struct skiplist *l);
/* The first node >= (key, seq), or NULL. */
struct skipnode *skiplist_seek(const struct skiplist *l, const void *key, size_t len, uint64_t seq);
/* The node (key, seq) itself, or NULL. */
struct skipnode *skiplist_find(const struct skiplist *l, const void *key, size_t len, uint64_t seq);
/* The pair must not be there yet. NULL when memory is out. */
struct skipnode *skiplist_insert(struct skiplist *l, const void *key, size_t len, uint64_t seq,
                                 void *value);
void skiplist_remove(struct skiplist *l, struct skipnode *n);
/* The first node behind every key that starts with these bytes, or NULL. */
struct skipnode *skiplist_seek_past_prefix(const struct skiplist *l, const void *prefix,
                                           size_t len);

static inline struct skipnode *skiplist_first(const struct skiplist *l)
{
    return l->head->next[0];
}

static inline struct skipnode *skipnode_next(const struct skipnode *n)
{
    return n->next[0];
}

/* <0, 0, >0 as memcmp, the shorter first. */
int key_compare(const void *a, size_t a_len, const void *b, size_t b_len);

#endif
