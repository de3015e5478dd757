/* SPDX-License-Identifier: Apache-2.0 */
/* What was fetched or kept for later, and is of no more use to anybody: files that were fetched
 * ahead of their opens, pages of a walk that has stopped, listings that are not believed any more.
 * Whoever comes next would free it or replace it; when nobody comes, a thread does that stores
 * attributes (vfs_pending.c), some seconds later. Where there is nothing of the kind it sleeps. */
#include <malloc.h>

#include "vfs/vfs_impl.h"

/* Between two looks, so that a mount which is in use is not looked through all the time. */
#define LOOK_NS (5 * (uint64_t)NS_PER_S)
/* After so many bytes the allocator, too, is asked to give back what it keeps. */
#define TRIM_MIN (8 * MIB)

void vfs_idle_note_locked(struct vfs *v, uint64_t at_ns)
{
    if (at_ns >= v->idle_due_ns || at_ns == UINT64_MAX)
        return;
    at_ns = MAX(at_ns, vfs_after(vfs_now(v), LOOK_NS));
    if (at_ns >= v->idle_due_ns)
        return;
    v->idle_due_ns = at_ns;
    vfs_pending_wake_locked(v);
}

bool vfs_idle_run_locked(struct vfs *v)
{
    if (vfs_now(v) < v->idle_due_ns)
        return false;
    uint64_t before = v->listing_bytes;
    v->idle_due_ns = UINT64_MAX;
    vfs_window_expire_locked(v);
    vfs_walk_ahead_expire_locked(v);
    vfs_listings_expire_locked(v);
    bool trim = before - MIN(before, v->listing_bytes) >= TRIM_MIN;
    vfs_siblings_expire_locked(v);
    if (trim) {
        pthread_mutex_unlock(&v->lock);
        (void)malloc_trim(0);
        pthread_mutex_lock(&v->lock);
    }
    return true;
}
