/* SPDX-License-Identifier: Apache-2.0 */
/* What vfs keeps in the payload of its intents (meta/FORMAT.md), and what the next mount makes of
 * them. Bytes, so that no alignment or byte order is on disk. */
#ifndef PAILFS_VFS_VFS_INTENT_H
#define PAILFS_VFS_VFS_INTENT_H

#include <stdint.h>

#define VFS_INTENT_VERSION 1u

enum { VFS_INTENT_COPYING = 1, VFS_INTENT_DELETING = 2 };

/* STATE_INTENT_RENAME_DIR: key and key2 are the prefixes. */
struct vfs_intent_dir {
    uint8_t version;
    uint8_t phase;
};

/* STATE_INTENT_RENAME_FILE has no payload, or that of an exchange: the ETags, each with its NUL, of
 * key and key2 before it, and the hidden key that the content of `key` is under meanwhile.
 * STATE_INTENT_DELETE has none: `key` is a hidden key. */

#endif
