/* SPDX-License-Identifier: Apache-2.0 */
/* A journal in memory, for tests of what is above it: it survives the store that it was given to,
 * as a disk does, and can be full. */
#ifndef PAILFS_TESTS_JOURNAL_MEMORY_H
#define PAILFS_TESTS_JOURNAL_MEMORY_H

#include "meta/journal.h"

struct journal_disk; /* the rows */

struct journal_disk *journal_disk_new(void);
void journal_disk_free(struct journal_disk *d);
/* Frees itself with the store; the disk stays. */
struct journal *journal_memory_new(struct journal_disk *d);
/* The disk as it is now, in another: for a crash. */
struct journal_disk *journal_disk_copy(struct journal_disk *d);
/* Changes with rows to add fail with -ENOSPC. */
void journal_disk_fill(struct journal_disk *d, bool full);
/* Changes with rows to drop do. */
void journal_disk_stick(struct journal_disk *d, bool stuck);
/* Changes wait until it is released. */
void journal_disk_hold(struct journal_disk *d, bool held);
size_t journal_disk_rows(struct journal_disk *d);
/* Flips a byte of the last row's body. */
void journal_disk_damage_body(struct journal_disk *d);
/* The n-th row's. */
void journal_disk_damage_record(struct journal_disk *d, size_t n);
/* All rows are gone. */
void journal_disk_lose(struct journal_disk *d);

#endif
