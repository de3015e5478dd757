/* SPDX-License-Identifier: Apache-2.0 */
/* A bump allocator for objects that die together (one parsed page, one configuration).
 * Life: ARENA_INIT(max) -> arena_alloc... -> arena_done. NULL when memory is out or max is
 * reached. Pointers stay valid until arena_done. Not thread-safe. */
#ifndef PAILFS_BASE_ARENA_H
#define PAILFS_BASE_ARENA_H

#include <stddef.h>

#include "base/cleanup.h"

struct arena_block;

struct arena {
    struct arena_block *head; /* newest first, owned */
    size_t used;              /* bytes handed out */
    size_t max;
};

#define ARENA_INIT(max_bytes)                                                                      \
    {                                                                                              \
        .max = (max_bytes)                                                                         \
    }

void arena_init(struct arena *a, size_t max);
void arena_done(struct arena *a);
/* Zeroed, aligned to 16 bytes. */
void *arena_alloc(struct arena *a, size_t size);
/* A NUL-terminated copy of len bytes / of s. NULL s gives NULL. Unaligned. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_strdup(struct arena *a, const char *s);

#define CLEANUP_ARENA CLEANUP(arena_done)

#endif
