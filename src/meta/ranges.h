/* SPDX-License-Identifier: Apache-2.0 */
/* A long listing in several stretches at the same time: which names to ask for next, so that few
 * requests are in vain. After the first page one stretch goes on with the server's token; where the
 * names seen so far let expect many more, it is split, and the upper part is asked for by the name
 * that it begins after. A split costs one request at most (the last page of the lower part may tell
 * what the upper one has told), so there are no more than 3 for 10 pages.
 *
 * All names are those of a delimited listing without its prefix: "file", "directory/"; see
 * ranges_new_deep for the other kind.
 *
 * Life:    ranges_new after the first page -> ranges_next, ranges_answer... until ranges_done.
 * Trust:   a server that orders otherwise, or does not begin where it was told, is found out by its
 *          answers; then only the stretch with the token goes on, which needs neither.
 * Threads: the owner serialises. Errors: -ENOMEM; nothing has changed then. */
#ifndef PAILFS_META_RANGES_H
#define PAILFS_META_RANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "meta/dir.h"
#include "store/store.h"

struct ranges;

/* first: the page that came, which is not the last; prefix: of its keys. */
int ranges_new(const char *prefix, const struct store_page *first, struct ranges **ret);
/* The same of a listing without a delimiter: names are "directory/below/file", and no stretch uses
 * a token: ranges_resume says where it goes on. */
int ranges_new_deep(const char *prefix, const struct store_page *first, struct ranges **ret);
void ranges_free(struct ranges *r); /* NULL ok */

struct range_request {
    size_t id;
    const char *token; /* borrowed until the answer; NULL: */
    const char *after; /* name that it begins after */
};
/* The next request to send, while fewer than `limit` are under way. False when there is none. */
bool ranges_next(struct ranges *r, unsigned limit, struct range_request *ret);
/* Its page. *ret_use: whether to take it into the listing. */
int ranges_answer(struct ranges *r, size_t id, const struct store_page *page, bool *ret_use);
/* After its answer, also after the first page (id 0): the stretch goes on after that name, which
 * may have been told already; NULL: not at all. */
int ranges_resume(struct ranges *r, size_t id, const char *name);
/* It failed: it will be the next one again. */
void ranges_failed(struct ranges *r, size_t id);

/* What is not known yet; borrowed until the next call. None: all is. */
size_t ranges_gaps(struct ranges *r, const struct dir_gap **ret);
/* Whether the server was found not to list as S3 does. */
bool ranges_distrusted(const struct ranges *r);

#endif
