/* SPDX-License-Identifier: Apache-2.0 */
/* What vfs keeps in the payload of its intents (meta/FORMAT.md), and what the next mount makes of
 * them. Bytes, so that no alignment or byte order is on disk. */
#ifndef PAILFS_VFS_VFS_INTENT_H
#define PAILFS_VFS_VFS_INTENT_H

#include <stdint.h>

#include "meta/state.h"
#include "vfs/vfs_impl.h"

#define VFS_INTENT_VERSION 1u

enum {
    VFS_INTENT_COPYING = 1,
    VFS_INTENT_DELETING = 2,
    VFS_INTENT_CLAIMING = 3, /* the new name's marker may have been made, nothing else */
};

/* STATE_INTENT_RENAME_DIR: key and key2 are the prefixes. */
struct vfs_intent_dir {
    uint8_t version;
    uint8_t phase;
    uint8_t claim[8]; /* ctime of the marker that claims key2, little endian; 0 = there is none */
};
/* Without a claim: what earlier versions wrote. */
#define VFS_INTENT_DIR_SHORT 2u

/* STATE_INTENT_RENAME_FILE: the ETag of what is to be replaced, with its NUL, "" = nothing that is
 * known of (earlier versions: no payload); or that of an exchange: the ETags, each with its NUL, of
 * key and key2 before it, the hidden key that the content of `key` is under meanwhile, the step and
 * the ETags of the first two copies (earlier versions: the first three).
 * STATE_INTENT_DELETE has none: `key` is a hidden key. */

/* Notes an operation before its first step: durable when it returns, without the lock. 0 = it could
 * not be noted, which is logged: the operation goes on, and a crash in it stays unfinished. */
uint64_t vfs_intent_begin(struct vfs *v, enum state_intent_kind kind, const char *key,
                          const char *key2, const void *payload, size_t len);
/* The same for what must not begin without a note, because a crash in the middle of it would hide
 * something: -EOPNOTSUPP without a state.db, or why it could not be noted. */
int vfs_intent_require(struct vfs *v, enum state_intent_kind kind, const char *key,
                       const char *key2, const void *payload, size_t len, uint64_t *ret_id);
void vfs_intent_end(struct vfs *v, uint64_t id); /* 0 ok */

/* The marker that was made to claim a new name goes, if it is still that: it carries the very time
 * of change, to the nanosecond, that it was made with. 0 also when it is another one, or gone.
 * Without the lock. */
int vfs_unclaim(struct vfs *v, const char *key, int64_t ctime_ns, struct s3_error *err);

#endif
