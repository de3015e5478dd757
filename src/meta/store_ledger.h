/* SPDX-License-Identifier: Apache-2.0 */
/* A decorator of the store that keeps a ledger of multipart uploads in state.db, so that what a
 * crash leaves in the bucket is known and taken away by the next mount: parts of an unfinished
 * upload are paid for and no listing of objects shows them.
 *
 * A row is written, durably, before CREATE is sent, gets the id from its answer, and goes when
 * COMPLETE or ABORT has succeeded. Everything else passes through. A ledger that cannot be written
 * (disk full) is told once in the log and does not stop uploads.
 *
 * Life:    store_ledger_new(inner, state) -> store_... -> store_free (frees inner; the state
 * after). Threads: any. CREATE is sent from the state's writer thread. */
#ifndef PAILFS_META_STORE_LEDGER_H
#define PAILFS_META_STORE_LEDGER_H

#include <stdatomic.h>

#include "meta/state.h"
#include "store/store.h"

/* Takes inner on success; state and clock (NULL = clock_system()) are borrowed. */
int store_ledger_new(struct store *inner, struct state *st, struct clock *clock,
                     struct store **ret);

struct store_ledger_recovery {
    uint64_t aborted;  /* uploads that were there */
    uint64_t finished; /* that were there no more: completed or aborted before the crash */
    uint64_t kept;     /* somebody needs them */
    uint64_t left;     /* the store could not be asked: the next mount tries again */
};
/* Aborts the uploads of earlier lives. One whose CREATE may or may not have arrived is looked for:
 * an upload of exactly that key, without parts, begun at that time by the server's clock (which a
 * short upload of our own tells). Blocks for the store; for a background thread. stop: ends it
 * early, what is left waits for the next mount. */
void store_ledger_recover(struct store *ledger, const atomic_bool *stop,
                          struct store_ledger_recovery *ret);

#endif
