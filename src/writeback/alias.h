/* SPDX-License-Identifier: Apache-2.0 */
/* What was announced for versions that the store has meanwhile: its own ETag or time may be others
 * than those that a change was acknowledged with. While a version stands, it is shown as announced,
 * so that nobody here takes it for another one. Bounded: the oldest entries are forgotten, and
 * those versions look new once. Not thread-safe. */
#ifndef PAILFS_WRITEBACK_ALIAS_H
#define PAILFS_WRITEBACK_ALIAS_H

#include "store/store.h"

struct alias_table;

struct alias {
    char *key;
    char *announced; /* ETag */
    char *real;
    int64_t mtime_ns; /* announced */
};

int alias_table_new(size_t max, struct alias_table **ret);
void alias_table_free(struct alias_table *t);
/* Replaces what is known for the key. Without memory nothing is remembered. */
void alias_add(struct alias_table *t, const char *key, const char *announced, const char *real,
               int64_t mtime_ns);
/* NULL = nothing was announced for the key. Borrowed until the next change. */
const struct alias *alias_find(struct alias_table *t, const char *key);
/* The store's ETag for one that a caller has: itself when none was announced. */
const char *alias_real(struct alias_table *t, const char *key, const char *etag);

#endif
