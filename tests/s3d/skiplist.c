/* SPDX-License-Identifier: Apache-2.0 */
#include "skiplist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"

int key_compare(const void *a, size_t a_len, const void *b, size_t b_len)
{
    size_t common = MIN(a_len, b_len);
    int c = common ? memcmp(a, b, common) : 0;

    if (c)
        return c;
    return a_len < b_len ? -1 : a_len > b_len;
}

static int node_compare(const struct skipnode *n, const void *key, size_t len, uint64_t seq)
{
    int c = key_compare(n->key, n->key_len, key, len);

    if (c)
        return c;
    return n->seq < seq ? -1 : n->seq > seq;
}

static struct skipnode *node_new(const void *key, size_t len, unsigned levels)
{
    struct skipnode *n = calloc(1, sizeof(*n) + levels * sizeof(n->next[0]) + len + 1);

    if (!n)
        return NULL;
    n->levels = levels;
    n->key = (char *)&n->next[levels];
    n->key_len = (uint32_t)len;
    if (len)
        memcpy(n->key, key, len);
    return n;
}

int skiplist_init(struct skiplist *l)
{
    l->head = node_new("", 0, SKIPLIST_LEVELS);
    l->count = 0;
    l->random = 0x9e3779b97f4a7c15ull;
    return l->head ? 0 : -ENOMEM;
}

void skiplist_done(struct skiplist *l)
{
    struct skipnode *n = l->head;

    while (n) {
        struct skipnode *next = n->next[0];

        free(n);
        n = next;
    }
    l->head = NULL;
    l->count = 0;
}

/* Each level holds a quarter of the one below. */
static unsigned random_levels(struct skiplist *l)
{
    unsigned levels = 1;

    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    for (uint64_t bits = l->random; levels < SKIPLIST_LEVELS && !(bits & 3); bits >>= 2)
        levels++;
    return levels;
}

static struct skipnode *find_before(const struct skiplist *l, const void *key, size_t len,
                                    uint64_t seq, struct skipnode **before)
{
    struct skipnode *n = l->head;

    for (int level = SKIPLIST_LEVELS - 1; level >= 0; level--) {
        while (n->next[level] && node_compare(n->next[level], key, len, seq) < 0)
            n = n->next[level];
        if (before)
            before[level] = n;
    }
    return n;
}

struct skipnode *skiplist_seek(const struct skiplist *l, const void *key, size_t len, uint64_t seq)
{
    return find_before(l, key, len, seq, NULL)->next[0];
}

struct skipnode *skiplist_find(const struct skiplist *l, const void *key, size_t len, uint64_t seq)
{
    struct skipnode *n = skiplist_seek(l, key, len, seq);

    return n && node_compare(n, key, len, seq) == 0 ? n : NULL;
}

struct skipnode *skiplist_insert(struct skiplist *l, const void *key, size_t len, uint64_t seq,
                                 void *value)
{
    struct skipnode *before[SKIPLIST_LEVELS];
    struct skipnode *n = node_new(key, len, random_levels(l));

    if (!n)
        return NULL;
    n->seq = seq;
    n->value = value;
    find_before(l, key, len, seq, before);
    for (unsigned i = 0; i < n->levels; i++) {
        n->next[i] = before[i]->next[i];
        before[i]->next[i] = n;
    }
    l->count++;
    return n;
}

void skiplist_remove(struct skiplist *l, struct skipnode *n)
{
    struct skipnode *before[SKIPLIST_LEVELS];

    find_before(l, n->key, n->key_len, n->seq, before);
    for (unsigned i = 0; i < n->levels; i++) {
        if (before[i]->next[i] == n)
            before[i]->next[i] = n->next[i];
    }
    l->count--;
    free(n);
}

struct skipnode *skiplist_seek_past_prefix(const struct skiplist *l, const void *prefix, size_t len)
{
    CLEANUP_FREE unsigned char *successor = NULL;
    const unsigned char *p = prefix;

    /* The smallest key behind all with this prefix: its last byte that is not 0xff, plus one. */
    while (len && p[len - 1] == 0xff)
        len--;
    if (!len)
        return NULL;
    successor = malloc(len);
    if (!successor)
        return NULL;
    memcpy(successor, prefix, len);
    successor[len - 1]++;
    return skiplist_seek(l, successor, len, 0);
}
