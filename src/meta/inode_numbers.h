/* SPDX-License-Identifier: Apache-2.0 */
/* Inode numbers that do not follow from the key: of what was renamed, and of what found its number
 * taken. Backup tools and git compare numbers, so they are kept over mounts, in a file of its own
 * (meta/FORMAT.md). A cache: without it a file has the number of its key, and is read once more by
 * who wonders why.
 *
 * Life:    zero -> inode_numbers_load -> ... -> inode_numbers_save -> inode_numbers_done.
 * Threads: one at a time (vfs: the mount's lock; load and save at its ends).
 * Errors:  without memory, and beyond LIMIT_INODE_NUMBERS, numbers are not noted. */
#ifndef PAILFS_META_INODE_NUMBERS_H
#define PAILFS_META_INODE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inode_numbers {
    struct inode_number *entries;
    uint32_t *by_key; /* buckets: entry + 1, 0 = none */
    uint32_t *by_ino;
    uint32_t n_buckets; /* of each */
    uint32_t n;         /* entries used, one after the other */
    uint32_t alloc;
    bool changed; /* since it was loaded */
};

void inode_numbers_done(struct inode_numbers *t);

/* Keys are told by their hashes (inode.key_hash). 0 = none is noted. */
uint64_t inode_numbers_get(const struct inode_numbers *t, uint64_t key_hash);
/* Whether it is the number of another key. */
bool inode_numbers_is_taken(const struct inode_numbers *t, uint64_t ino, uint64_t key_hash);
/* What was noted of the key and of the number before goes. */
void inode_numbers_put(struct inode_numbers *t, uint64_t key_hash, uint64_t ino);
void inode_numbers_remove(struct inode_numbers *t, uint64_t key_hash);
void inode_numbers_remove_ino(struct inode_numbers *t, uint64_t ino);

/* 0, also when there is no file; -EBADMSG: it is damaged, and nothing was taken from it; -errno. */
int inode_numbers_load(struct inode_numbers *t, const char *path);
/* In one piece, if anything has changed: at `path`.new first. 0 or -errno. */
int inode_numbers_save(struct inode_numbers *t, const char *path);

#endif
