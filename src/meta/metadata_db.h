/* SPDX-License-Identifier: Apache-2.0 */
/* metadata.db: what HEAD answered of versions of objects, kept over mounts beside state.db. A
 * cache: it may be deleted at any time, is written without an fsync, and begins anew when it is
 * damaged. FORMAT.md has the table.
 *
 * Trust:   a row tells of one version: key, ETag, LastModified, size. A change of metadata alone
 *          keeps ETag and size and moves LastModified, which counts in seconds; so a row is made,
 *          and believed, only when it was seen 2 s or more after LastModified, by the server's
 *          clock: whatever came later has another one. A row whose CRC does not hold goes.
 * Life:    metadata_db_open -> ... -> metadata_db_close.
 * Threads: one at a time.
 * Errors:  0 or -errno; after one the database is of no more use. Damage is no error: the database
 *          has begun anew then, with a line in the log, once; the second time it is -EUCLEAN. */
#ifndef PAILFS_META_METADATA_DB_H
#define PAILFS_META_METADATA_DB_H

#include <stdint.h>

#include "base/clock.h"
#include "store/store.h"

/* Between LastModified and the time when the version was seen, at least. */
#define METADATA_RACY_NS (2 * NS_PER_S)

struct metadata_db;

struct metadata_db_options {
    const char *folder;
    /* What the rows are of; rows of anything else are dropped. */
    const char *endpoint;
    const char *bucket;
    const char *prefix;
    struct clock *clock; /* borrowed; NULL = clock_system() */
    uint64_t max_rows;   /* 0 = LIMIT_METADATA_ROWS */
    uint64_t max_bytes;  /* 0 = LIMIT_METADATA_BYTES */
};

struct metadata_row {
    const char *key;
    int64_t observed_ns;        /* by the server's clock, not later than it was seen */
    struct store_object object; /* whole seconds in mtime_ns; without facts and storage class */
};

int metadata_db_open(const struct metadata_db_options *opts, struct metadata_db **ret);
void metadata_db_close(struct metadata_db *db); /* NULL ok */

/* Whether a version that was seen then can be told from later ones. */
bool metadata_is_settled(int64_t modified_ns, int64_t observed_ns);

/* 1 with *ret filled, 0 = nothing is known of that version. */
int metadata_db_get(struct metadata_db *db, const char *key, const struct store_known *known,
                    struct store_object *ret);
/* In one transaction: what was changed is forgotten, what was used is noted, rows are written (no
 * order among the three may matter), and the least recently used ones beyond the limits go. */
int metadata_db_write(struct metadata_db *db, const struct metadata_row *rows, size_t n_rows,
                      const char *const *gone, size_t n_gone);
uint64_t metadata_db_rows(const struct metadata_db *db);

#endif
