/* SPDX-License-Identifier: Apache-2.0 */
#include "data/parts_refresh.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* The checksums are "ALGORITHM:value". */
static bool same_bytes(const struct store_part *ours, const struct store_part *theirs, bool by_size)
{
    if (ours->size != theirs->size)
        return false;
    if (!ours->checksum[0] || !theirs->checksum[0])
        return by_size;
    return strcmp(ours->checksum, theirs->checksum) == 0;
}

static const struct store_part *find(const struct store_parts *all, uint32_t number)
{
    for (size_t i = 0; i < all->n_parts; i++)
        if (all->parts[i].number == number)
            return &all->parts[i];
    return NULL;
}

bool parts_refresh(struct store *store, const char *key, const char *upload_id, bool by_size,
                   struct store_part *parts, uint32_t n_parts)
{
    struct store_upload_parts_in in = {.key = key, .upload_id = upload_id};
    struct store_parts all;
    uint32_t changed = 0, right = 0;

    if (store_call(store, STORE_UPLOAD_PARTS, &in, &all, NULL))
        return false;
    for (uint32_t i = 0; i < n_parts; i++) {
        const struct store_part *now = find(&all, parts[i].number);
        bool same = now && strcmp(now->etag, parts[i].etag) == 0;
        if (!same && (!now || !same_bytes(&parts[i], now, by_size)))
            continue;
        right++;
        if (same)
            continue;
        changed++;
        snprintf(parts[i].etag, sizeof(parts[i].etag), "%s", now->etag);
    }
    store_parts_done(&all);
    log_debug("upload of '%s': %u of %u parts are there, %u by another request than was thought",
              key, right, n_parts, changed);
    return changed && right == n_parts;
}
