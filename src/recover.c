/* SPDX-License-Identifier: Apache-2.0 */
#include "recover.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

static void *recover_main(void *arg)
{
    struct recover *r = arg;
    struct vfs_recovery names = {0};
    struct store_ledger_recovery uploads = {0};

    /* Said at the start already, but then the log was not open yet. */
    if (state_begun_anew(r->start->state))
        log_error(
            "local state was damaged: what could not be read of it is in '%s/state.db.broken-*', "
            "and may have been about operations that are unfinished now",
            state_path(r->start->state));
    vfs_recover(r->start->vfs, &r->stop, &names);
    {
        SCOPE_LOCK(&r->lock);
        r->names = names;
    }
    if (r->start->ledger)
        store_ledger_recover(r->start->ledger, &r->stop, &uploads);
    if (uploads.aborted || uploads.left)
        log_info("unfinished uploads from before: %" PRIu64 " aborted, %" PRIu64 " left",
                 uploads.aborted, uploads.left);
    SCOPE_LOCK(&r->lock);
    r->uploads = uploads;
    r->done = true;
    return NULL;
}

void recover_init(struct recover *r, struct start *s)
{
    r->start = s;
    r->done = !s->state;
    pthread_mutex_init(&r->lock, NULL);
}

void recover_begin(struct recover *r)
{
    int failed;

    if (!r->start->state)
        return;
    failed = pthread_create(&r->thread, NULL, recover_main, r);
    if (failed)
        log_error("no thread to finish what a crash interrupted: %s", strerror(failed));
    r->running = failed == 0;
}

void recover_end(struct recover *r)
{
    if (!r->running)
        return;
    atomic_store(&r->stop, true);
    pthread_join(r->thread, NULL);
    r->running = false;
}
