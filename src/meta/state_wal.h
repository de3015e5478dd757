/* SPDX-License-Identifier: Apache-2.0 */
/* The end of state.db-wal as it was after the last commit, in the file wal-end (FORMAT.md). SQLite
 * ends a log at the first frame whose checksum does not hold, in silence: that is how a crash
 * looks, and how a damaged byte looks too, which would take every later commit along. With the end
 * known, the two are told apart, and one damaged word is put right (the checksums say which it
 * was).
 *
 * Life:    state_wal_check before the database is opened; state_wal_watch after; state_wal_forget
 *          before it is closed, which ends the log.
 * Threads: those of the database. */
#ifndef PAILFS_META_STATE_WAL_H
#define PAILFS_META_STATE_WAL_H

#include "base/clock.h"

struct sqlite3;
struct state_wal;

#define STATE_WAL_END "wal-end" /* file in the folder */

enum state_wal_found {
    STATE_WAL_WHOLE,    /* or nothing is known of it */
    STATE_WAL_REPAIRED, /* damaged words were put right; logged */
    STATE_WAL_LOST,     /* acknowledged commits cannot be read; logged */
};
/* Never fails: what cannot be looked at is taken as it is. */
enum state_wal_found state_wal_check(const char *folder);

/* Notes the end after each commit from now on. It costs no fsync: a note that a power loss takes
 * away or leaves behind says less, never something wrong. 0 or -ENOMEM. */
int state_wal_watch(struct sqlite3 *db, const char *folder, struct state_wal **ret);
/* NULL ok. The database does not commit any more. */
void state_wal_forget(struct state_wal *w);

#endif
