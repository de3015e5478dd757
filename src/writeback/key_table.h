/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that something is pending for, in byte order: a treap, whose priorities are random
 * enough (a hash of the key). Nodes are embedded. Not thread-safe. */
#ifndef PAILFS_WRITEBACK_KEY_TABLE_H
#define PAILFS_WRITEBACK_KEY_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct key_node {
    struct key_node *left, *right;
    uint32_t priority;
    const char *key; /* of the embedding object; constant while it is in the table */
};

struct key_table {
    struct key_node *root;
    size_t n;
};

/* The key must not be in it. */
void key_table_add(struct key_table *t, struct key_node *n);
void key_table_remove(struct key_table *t, struct key_node *n);
struct key_node *key_table_find(const struct key_table *t, const char *key);
/* The first whose key is >= key (> key with after); NULL = none. */
struct key_node *key_table_from(const struct key_table *t, const char *key, int after);

#endif
