/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

#define ARENA_ALIGN 16u
/* Large enough that a page of 1,000 keys takes a handful of blocks, small enough for one key. */
#define ARENA_BLOCK_FIRST 1024u
#define ARENA_BLOCK_MAX   (256u << 10)

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    size_t used;
    _Alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena)ARENA_INIT(max);
}

void arena_done(struct arena *a)
{
    while (a->head) {
        struct arena_block *next = a->head->next;
        free(a->head);
        a->head = next;
    }
    a->used = 0;
}

static void *take(struct arena *a, size_t size, size_t align)
{
    if (size > a->max - a->used)
        return NULL;

    struct arena_block *b = a->head;
    size_t at = b ? (b->used + align - 1) & ~(align - 1) : 0;
    if (!b || at > b->size || size > b->size - at) {
        size_t want = b ? MIN(b->size * 2, (size_t)ARENA_BLOCK_MAX) : ARENA_BLOCK_FIRST;
        want = MAX(want, size);
        if (want > SIZE_MAX - sizeof(*b))
            return NULL;
        b = malloc(sizeof(*b) + want);
        if (!b)
            return NULL;
        b->next = a->head;
        b->size = want;
        b->used = 0;
        a->head = b;
        at = 0;
    }
    b->used = at + size;
    a->used += size;
    return b->data + at;
}

void *arena_alloc(struct arena *a, size_t size)
{
    void *p = take(a, size, ARENA_ALIGN);
    if (p)
        memset(p, 0, size);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    if (!s || len == SIZE_MAX)
        return NULL;
    char *p = take(a, len + 1, 1);
    if (!p)
        return NULL;
    memcpy(p, s, len);
    p[len] = '\0';
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}
