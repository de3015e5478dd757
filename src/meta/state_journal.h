/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of write-back (journal.h) in the table journal of state.db. Changes that are
 * submitted at the same time share a commit and its fsync. */
#ifndef PAILFS_META_STATE_JOURNAL_H
#define PAILFS_META_STATE_JOURNAL_H

#include "meta/journal.h"
#include "meta/state.h"

/* st is borrowed until the journal is freed. 0 or -ENOMEM. */
int state_journal_new(struct state *st, struct journal **ret);

#endif
