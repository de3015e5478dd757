/* SPDX-License-Identifier: Apache-2.0 */
/* The local disk for content that is not in the store yet: files without a name in one folder, so
 * that nothing of them is left when the process ends, however it ends; and the account of what they
 * may take. Space is asked for before it is used: within the limit, and with a rest of the disk
 * kept free for others (a twentieth, at most 1 GiB).
 *
 * Without a folder the files are in memory.
 *
 * Life:    dirty_new -> dirty_open, dirty_reserve ... -> dirty_free.
 * Threads: any. */
#ifndef PAILFS_DATA_DIRTY_H
#define PAILFS_DATA_DIRTY_H

#include <stdint.h>

struct dirty;

/* dir is copied, and looked at when it is first needed; NULL = memory. limit: bytes of all files
 * together, 0 = what the disk has. */
int dirty_new(const char *dir, uint64_t limit, struct dirty **ret);
void dirty_free(struct dirty *d); /* NULL ok */

/* NULL = memory. */
const char *dirty_folder(const struct dirty *d);
/* A new, empty file; *ret_fd is the caller's to close. 0 or -errno. */
int dirty_open(struct dirty *d, int *ret_fd);
/* 0 or -ENOSPC. */
int dirty_reserve(struct dirty *d, uint64_t bytes);
/* What the disk lacks to spare so much; 0 = it does not, or the limit is what refuses. */
uint64_t dirty_lacks(struct dirty *d, uint64_t bytes);
void dirty_release(struct dirty *d, uint64_t bytes);
uint64_t dirty_used(struct dirty *d);

#endif
