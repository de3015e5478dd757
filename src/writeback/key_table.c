/* SPDX-License-Identifier: Apache-2.0 */
#include "writeback/key_table.h"

#include <string.h>

#include "base/crc.h"

/* Everything below key into left, the rest into right. */
static void split(struct key_node *n, const char *key, struct key_node **left,
                  struct key_node **right)
{
    while (n) {
        if (strcmp(n->key, key) < 0) {
            *left = n;
            left = &n->right;
            n = n->right;
        } else {
            *right = n;
            right = &n->left;
            n = n->left;
        }
    }
    *left = *right = NULL;
}

static struct key_node *merge(struct key_node *a, struct key_node *b)
{
    struct key_node *root = NULL, **link = &root;
    while (a && b) {
        if (a->priority > b->priority) {
            *link = a;
            link = &a->right;
            a = a->right;
        } else {
            *link = b;
            link = &b->left;
            b = b->left;
        }
    }
    *link = a ? a : b;
    return root;
}

void key_table_add(struct key_table *t, struct key_node *n)
{
    struct key_node **link = &t->root;
    n->priority = crc32c_update(0x9e3779b9u, n->key, strlen(n->key));
    while (*link && (*link)->priority >= n->priority)
        link = strcmp(n->key, (*link)->key) < 0 ? &(*link)->left : &(*link)->right;
    split(*link, n->key, &n->left, &n->right);
    *link = n;
    t->n++;
}

void key_table_remove(struct key_table *t, struct key_node *n)
{
    struct key_node **link = &t->root;
    while (*link != n)
        link = strcmp(n->key, (*link)->key) < 0 ? &(*link)->left : &(*link)->right;
    *link = merge(n->left, n->right);
    t->n--;
}

struct key_node *key_table_find(const struct key_table *t, const char *key)
{
    struct key_node *n = t->root;
    while (n) {
        int c = strcmp(key, n->key);
        if (!c)
            return n;
        n = c < 0 ? n->left : n->right;
    }
    return NULL;
}

struct key_node *key_table_from(const struct key_table *t, const char *key, int after)
{
    struct key_node *n = t->root, *best = NULL;
    while (n) {
        int c = strcmp(n->key, key);
        if (c > 0 || (!c && !after)) {
            best = n;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    return best;
}
