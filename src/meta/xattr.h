/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes in s3fs' form: one metadata value, a percent-encoded JSON object of names and
 * base64 values,
 *     xattr: {"user.comment":"aGVsbG8=","user.empty":""}     (here without the percent-encoding)
 *
 * Reading is tolerant, others have written it: white space, members that are no strings and values
 * that are no base64 are passed over, and after a syntax error what came before it counts.
 *
 * Pure functions; names and values live in the arena. */
#ifndef PAILFS_META_XATTR_H
#define PAILFS_META_XATTR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/strbuf.h"

#define XATTR_METADATA_NAME   "xattr"
#define XATTRS_MAX            128u /* of one file: more do not fit into S3's 2 KiB of metadata */
#define XATTR_NAME_LENGTH_MAX 255u

struct xattr {
    const char *name;
    const void *value;
    size_t size;
};

struct xattr_list {
    struct xattr items[XATTRS_MAX];
    size_t n;
    bool cut; /* there were more */
};

/* encoded NULL: none. 0, or -ENOMEM. */
int xattrs_decode(const char *encoded, struct arena *arena, struct xattr_list *ret);
/* Appends the metadata value; nothing for an empty list. Errors are left in sb. */
void xattrs_encode(const struct xattr_list *list, struct strbuf *sb);
/* NULL = not there. */
struct xattr *xattrs_find(struct xattr_list *list, const char *name);

#endif
