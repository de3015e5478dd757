/* SPDX-License-Identifier: Apache-2.0 */
/* What the mount does about a crash before it: a thread that begins when the filesystem is there,
 * and works beside it. First the names (vfs_recover), then uploads that nobody finishes
 * (store_ledger_recover). Nothing waits for it but the unmount, which stops it.
 * Life: recover_init -> recover_begin -> recover_end; a zeroed struct is fine for recover_end. */
#ifndef PAILFS_RECOVER_H
#define PAILFS_RECOVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "meta/store_ledger.h"
#include "start.h"

struct recover {
    struct start *start; /* borrowed */
    pthread_t thread;
    bool running; /* to be joined */
    atomic_bool stop;
    pthread_mutex_t lock;
    /* protected by lock */
    bool done;
    struct vfs_recovery names;
    struct store_ledger_recovery uploads;
};

void recover_init(struct recover *r, struct start *s);
/* A failure is told and lived with. */
void recover_begin(struct recover *r);
void recover_end(struct recover *r);

#endif
