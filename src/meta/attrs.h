/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX attributes in the user metadata of objects.
 *
 * Written: s3fs' names, each also understood by others:
 *     mode   decimal st_mode with the file type
 *     uid, gid   decimal
 *     mtime, atime, ctime   seconds '.' exactly nine digits (s3fs reads the fraction as a number)
 * Read, first one found wins, per attribute:
 *     s3fs            as above; "permissions", "owner", "group" of its predecessor
 *     AWS DataSync, FSx, File Gateway   file-permissions (octal), file-owner, file-group,
 *                     file-mtime, file-atime (nanoseconds with "ns", milliseconds with "ms", or
 *                     seconds with an optional fraction)
 *     rclone          mtime with a fraction of any length, or as RFC 3339 has it; mode octal with
 *                     a leading zero
 *     Google          goog-reserved-posix-mode (octal), -uid, -gid, goog-reserved-file-mtime,
 *                     goog-reserved-file-is-symlink "true" (gcsfuse)
 *     s3cmd           s3cmd-attrs: "atime:1/ctime:2/gid:3/mode:33188/mtime:4/uid:5/..."
 *     xattr   extended attributes, see meta/xattr.h
 * A value that makes no sense is as if it were not there.
 *
 * A symbolic link is an object whose type says so and whose body is the target; FIFOs and sockets
 * have an empty body.
 *
 * Pure functions. */
#ifndef PAILFS_META_ATTRS_H
#define PAILFS_META_ATTRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "store/store.h"

enum posix_attr_bit {
    POSIX_MODE = 1u << 0, /* permission bits and the three special ones */
    POSIX_TYPE = 1u << 1, /* the S_IFMT part of mode */
    POSIX_UID = 1u << 2,
    POSIX_GID = 1u << 3,
    POSIX_MTIME = 1u << 4,
    POSIX_ATIME = 1u << 5,
    POSIX_CTIME = 1u << 6,
    POSIX_XATTR = 1u << 7,
};

struct posix_attrs {
    unsigned have; /* POSIX_* */
    unsigned drop; /* POSIX_*: written without a value, so that no name tells an old one */
    uint32_t mode; /* st_mode */
    uint32_t uid;
    uint32_t gid;
    int64_t mtime_ns;
    int64_t atime_ns;
    int64_t ctime_ns;
    const char
        *xattr;     /* meta/xattr.h; borrowed from the metadata; NULL = none (written: removed) */
    bool directory; /* written: it says too when children have no attributes */
};

/* On an object that stands for a directory: "1" = children have attributes in their metadata that a
 * listing cannot tell, "0" = they have none. Without it, a mode: whoever keeps the mode of
 * directories in metadata (s3fs, DataSync, FSx) keeps that of files there too. */
#define ATTRS_DIRECTORY_FLAG "pailfs-posix"

void attrs_read(const struct store_metadata *metadata, size_t n, struct posix_attrs *ret);
bool attrs_directory_flag(const struct store_metadata *metadata, size_t n);

/* The metadata that an object with the attributes `a` carries: what `old` has of others' names,
 * and ours for everything in a->have (with POSIX_TYPE or POSIX_MODE the whole mode is written).
 * Foreign spellings of an attribute that is written are dropped, so that no reader sees the old
 * value. flag: add ATTRS_DIRECTORY_FLAG. Strings live in the arena or are old's.
 * 0, or -ENOMEM. */
int attrs_write(const struct posix_attrs *a, bool flag, const struct store_metadata *old,
                size_t n_old, struct arena *arena, const struct store_metadata **ret,
                size_t *ret_n);

#endif
