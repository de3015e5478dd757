/* SPDX-License-Identifier: Apache-2.0 */
/* Files that only the kernel knows, from a listing that was read with attributes (`ls -l`): what
 * they are is in the listing's entry, so a stub of 64 bytes takes the place of an inode until
 * somebody wants more of the file than was told. A million of them are 61 MiB; inodes were 460.
 *
 * Owner:   the inode table (meta/inode.h); nobody else includes this, but its tests.
 * Life:    inode_stub_put -> inode_stub_forget, or it is turned into an inode. The entry is shared
 *          with its listing (dir_entry_share), and outlives it. */
#ifndef PAILFS_META_INODE_STUB_H
#define PAILFS_META_INODE_STUB_H

#include <stddef.h>
#include <stdint.h>

struct dir_entry;
struct inode;

struct inode_stub {
    uint64_t ino;
    struct inode *parent; /* referenced */
    struct dir_entry *entry;
    uint64_t until_ns; /* monotonic; the end of what the entry tells; 0 = over */
    uint64_t lookups;  /* the kernel's */
    struct inode_stub *next_by_ino;
    struct inode_stub *next_by_name;
};

struct inode_stubs {
    struct inode_stub **by_ino; /* NULL before the first one */
    struct inode_stub **by_name;
    size_t n_buckets; /* of each */
    size_t n;
};

/* Frees the stubs, not what they refer to but the entries. */
void stubs_done(struct inode_stubs *s);
/* NULL when not there. */
struct inode_stub *stubs_find(const struct inode_stubs *s, uint64_t ino);
struct inode_stub *stubs_child(const struct inode_stubs *s, const struct inode *parent,
                               const char *name, size_t len);
/* A stub with everything zero but these; the parent's reference is the caller's affair. NULL: no
 * memory. */
struct inode_stub *stubs_add(struct inode_stubs *s, uint64_t ino, struct inode *parent,
                             struct dir_entry *entry);
/* It goes, and with it its share of the entry. */
void stubs_remove(struct inode_stubs *s, struct inode_stub *stub);

#endif
