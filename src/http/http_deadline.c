/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_deadline.h"

#include <stddef.h>

/* Both are roots (no siblings); the later one becomes the first child of the other. */
static struct http_deadline *meld(struct http_deadline *a, struct http_deadline *b)
{
    if (!a)
        return b;
    if (!b)
        return a;
    if (b->at < a->at) {
        struct http_deadline *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* The two passes of a pairing heap: meld neighbours left to right, then all pairs right to left. */
static struct http_deadline *meld_siblings(struct http_deadline *first)
{
    struct http_deadline *pairs = NULL, *root = NULL;

    while (first) {
        struct http_deadline *a = first, *b = a->next;
        first = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b)
            b->next = b->prev = NULL;
        a = meld(a, b);
        a->next = pairs; /* a stack */
        pairs = a;
    }
    while (pairs) {
        struct http_deadline *a = pairs;
        pairs = a->next;
        a->next = NULL;
        root = meld(root, a);
    }
    return root;
}

void http_deadline_clear(struct http_deadlines_heap *h, struct http_deadline *d)
{
    if (!d->queued)
        return;
    struct http_deadline *rest = meld_siblings(d->child);
    if (d == h->root) {
        h->root = rest;
    } else {
        if (d->prev->child == d)
            d->prev->child = d->next;
        else
            d->prev->next = d->next;
        if (d->next)
            d->next->prev = d->prev;
        h->root = meld(h->root, rest);
    }
    d->child = d->next = d->prev = NULL;
    d->queued = false;
}

void http_deadline_set(struct http_deadlines_heap *h, struct http_deadline *d, uint64_t at)
{
    http_deadline_clear(h, d);
    d->at = at;
    d->queued = true;
    h->root = meld(h->root, d);
}
