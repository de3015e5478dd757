/* SPDX-License-Identifier: Apache-2.0 */
#include "data/block_index.h"

#include <errno.h>
#include <stdlib.h>

#include "base/attr.h"

#define FIRST_SIZE 256u
#define LAST_SIZE  (1u << 30)

void block_index_init(struct block_index *x)
{
    *x = (struct block_index){
        .free = BLOCK_INDEX_NONE, .newest = BLOCK_INDEX_NONE, .oldest = BLOCK_INDEX_NONE};
}

void block_index_done(struct block_index *x)
{
    free(x->entries);
    free(x->buckets);
    block_index_init(x);
}

/* The id is a hash already. */
static uint32_t bucket_of(const struct block_index *x, const uint64_t id[2], uint32_t block)
{
    uint64_t h = (id[1] ^ block) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(h >> 32) & x->mask;
}

uint32_t block_index_find(const struct block_index *x, const uint64_t id[2], uint32_t block)
{
    if (!x->n)
        return BLOCK_INDEX_NONE;
    uint32_t at = x->buckets[bucket_of(x, id, block)];
    while (at != BLOCK_INDEX_NONE) {
        const struct block_entry *e = &x->entries[at];
        if (e->block == block && e->id[0] == id[0] && e->id[1] == id[1])
            break;
        at = e->next;
    }
    return at;
}

/* ---- the order of use ---- */

static void unlink_entry(struct block_index *x, struct block_entry *e)
{
    if (e->newer == BLOCK_INDEX_NONE)
        x->newest = e->older;
    else
        x->entries[e->newer].older = e->older;
    if (e->older == BLOCK_INDEX_NONE)
        x->oldest = e->newer;
    else
        x->entries[e->older].newer = e->newer;
}

static void link_newest(struct block_index *x, uint32_t at)
{
    struct block_entry *e = &x->entries[at];
    e->newer = BLOCK_INDEX_NONE;
    e->older = x->newest;
    if (x->newest == BLOCK_INDEX_NONE)
        x->oldest = at;
    else
        x->entries[x->newest].newer = at;
    x->newest = at;
}

static void link_oldest(struct block_index *x, uint32_t at)
{
    struct block_entry *e = &x->entries[at];
    e->older = BLOCK_INDEX_NONE;
    e->newer = x->oldest;
    if (x->oldest == BLOCK_INDEX_NONE)
        x->newest = at;
    else
        x->entries[x->oldest].older = at;
    x->oldest = at;
}

void block_index_use(struct block_index *x, uint32_t entry)
{
    if (x->newest == entry)
        return;
    unlink_entry(x, &x->entries[entry]);
    link_newest(x, entry);
}

/* ---- adding and removing ---- */

static int grow(struct block_index *x)
{
    uint32_t size = x->n_alloc ? x->n_alloc * 2 : FIRST_SIZE;
    if (size > LAST_SIZE)
        return -ENOMEM;
    uint32_t *buckets = malloc(size * sizeof(*buckets));
    struct block_entry *entries = realloc(x->entries, size * sizeof(*entries));
    if (entries)
        x->entries = entries;
    if (!buckets || !entries) {
        free(buckets);
        return -ENOMEM;
    }
    free(x->buckets);
    x->buckets = buckets;
    x->n_alloc = size;
    x->mask = size - 1;
    for (uint32_t i = 0; i < size; i++)
        buckets[i] = BLOCK_INDEX_NONE;
    /* Only called when no entry is free: all that were made are in use. */
    for (uint32_t i = 0; i < x->n_made; i++) {
        uint32_t *bucket = &buckets[bucket_of(x, x->entries[i].id, x->entries[i].block)];
        x->entries[i].next = *bucket;
        *bucket = i;
    }
    return 0;
}

int block_index_add(struct block_index *x, const uint64_t id[2], uint32_t block, uint64_t bytes,
                    uint32_t used_s, bool oldest)
{
    uint32_t at = x->free;
    if (at != BLOCK_INDEX_NONE) {
        x->free = x->entries[at].next;
    } else {
        if (x->n_made == x->n_alloc) {
            int result = grow(x);
            if (result)
                return result;
        }
        at = x->n_made++;
    }
    uint32_t *bucket = &x->buckets[bucket_of(x, id, block)];
    x->entries[at] = (struct block_entry){
        .id = {id[0], id[1]},
        .block = block,
        .units =
            (uint32_t)MIN((bytes + BLOCK_INDEX_UNIT - 1) / BLOCK_INDEX_UNIT, (uint64_t)UINT32_MAX),
        .used_s = used_s,
        .next = *bucket,
    };
    *bucket = at;
    if (oldest)
        link_oldest(x, at);
    else
        link_newest(x, at);
    x->n++;
    x->units += x->entries[at].units;
    return 0;
}

void block_index_remove(struct block_index *x, uint32_t entry)
{
    struct block_entry *e = &x->entries[entry];
    uint32_t *link = &x->buckets[bucket_of(x, e->id, e->block)];
    while (*link != entry)
        link = &x->entries[*link].next;
    *link = e->next;
    unlink_entry(x, e);
    x->n--;
    x->units -= e->units;
    e->next = x->free;
    x->free = entry;
}
