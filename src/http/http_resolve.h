/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of host names. A name is looked up once for all that wait for it, by a thread of its
 * own (getaddrinfo can block for long), kept for a minute, refreshed in the background, and its
 * addresses are handed out in turn, so that connections spread over all of them. Internal to this
 * layer.
 *
 * libcurl's own resolver cannot do that: all transfers that wait for a name get the same order.
 *
 * Life:    http_resolver_new -> http_resolver_get... -> http_resolver_free, which does not wait for
 *          lookups under way: they end into nothing.
 * Threads: all functions from any thread. changed() runs on a lookup's thread, with the resolver's
 *          lock held, never after http_resolver_free. */
#ifndef PAILFS_HTTP_HTTP_RESOLVE_H
#define PAILFS_HTTP_HTTP_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct http_resolver;

enum http_resolution {
    HTTP_RESOLVED,       /* the list is in buf */
    HTTP_RESOLVE_WAIT,   /* ask again after changed() */
    HTTP_RESOLVE_FAILED, /* the reason is in buf */
    HTTP_RESOLVE_UNABLE, /* no memory, no thread, too many names: somebody else's turn */
};

/* 0 or -ENOMEM. changed: a lookup has ended. clock is borrowed; a lookup under way outlives the
 * resolver, so it must be one that is never freed. */
int http_resolver_new(struct clock *clock, void (*changed)(void *ctx), void *ctx,
                      struct http_resolver **ret);
void http_resolver_free(struct http_resolver *r);

/* Fills buf with a comma-separated list, IPv6 addresses in brackets, another one first each time.
 * since: monotonic ns; a failure that is older leads to a new lookup. */
enum http_resolution http_resolver_get(struct http_resolver *r, const char *host, uint64_t since,
                                       char *buf, size_t size);
/* Nothing answers at the known addresses: unless they are seconds old, the next one who asks waits
 * for new ones. */
void http_resolver_forget(struct http_resolver *r, const char *host);

#define HTTP_RESOLVE_ADDRESSES 16 /* more are not kept */
#define HTTP_RESOLVE_BUF       (HTTP_RESOLVE_ADDRESSES * 49)

#endif
