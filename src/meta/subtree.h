/* SPDX-License-Identifier: Apache-2.0 */
/* Listings of many directories out of one page of keys: an undelimited listing tells all that is
 * below a prefix in the order of the keys, so whole directories follow each other in it.
 *
 * Threads: pure. Errors: -EIO when the page has what was not asked for, -EPROTO when it is not in
 *          byte order or begins before it should, -ENOMEM, or what fn returned. */
#ifndef PAILFS_META_SUBTREE_H
#define PAILFS_META_SUBTREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "store/store.h"

/* One directory: its key with '/' at the end, and of the page what a delimited listing of it would
 * tell. last NULL: that is all of it; else the page ended within it, with that key. n_keys: of the
 * page's keys so many are below it. */
typedef int (*subtree_fn)(void *ctx, const char *key, const struct store_page *part,
                          const char *last, size_t n_keys);

/* The page was asked for with the prefix `base` ("" or with '/' at the end), without a delimiter,
 * after the key `after`. Calls fn for each directory below base that begins after it, those below
 * another one first. What is passed is valid during the call. */
int subtree_split(const char *base, const char *after, const struct store_page *page, subtree_fn fn,
                  void *ctx, struct s3_error *reterr);

#endif
