/* SPDX-License-Identifier: Apache-2.0 */
/* A transport over another one that does not wait for the odd exchange that hangs. One in a few
 * hundred requests to a large S3 service takes seconds where its neighbours take milliseconds,
 * because of one disk, host or path; the same request on another connection is answered as usual.
 *
 * What is done about an exchange whose request is ->repeatable and that is silent (no byte in
 * either direction) for far longer than answers of its kind usually take:
 *   - before the answer begins: it is sent once more on another connection. Whichever is answered
 *     first wins, and the other is cancelled. The sink sees the winner's bytes alone.
 *   - within the answer's body: it is given up, with response.broken_off, and its owner asks for
 *     the rest.
 * "Usually": the 95th percentile of the wait for an answer, for each stat index and size of body,
 * four times that, HTTP_HEDGE_MIN_MS at least.
 *
 * Bounds:  HTTP_HEDGE_PERCENT of the requests, and none for a while after a 503 or 429: a server
 *          that is slow because it has too much to do gets no more of it.
 * Life:    http_hedge_new takes the transport below over and frees it. Timers, deadlines and
 *          callbacks are those of the transport below.
 * Threads: as http.h. The exchanges of one request may be on different I/O threads. */
#ifndef PAILFS_HTTP_HTTP_HEDGE_H
#define PAILFS_HTTP_HTTP_HEDGE_H

#include "base/clock.h"
#include "http/http.h"

#define HTTP_HEDGE_MIN_MS   500u
#define HTTP_HEDGE_FIRST_MS 1000u /* while too few answers of the kind were seen */
#define HTTP_HEDGE_MAX_MS   20000u
#define HTTP_HEDGE_SAMPLES  16u /* are enough */
#define HTTP_HEDGE_PERCENT  5u
#define HTTP_HEDGE_BURST    8u            /* repeats that may be saved up */
#define HTTP_HEDGE_PAUSE_MS (10u * 1000u) /* after a 503 or 429 */
#define HTTP_HEDGE_TRIES    3u            /* at the same time, the first included */

/* n_stats: stat indexes are below it. 0, or -ENOMEM (then `below` is still the caller's). */
int http_hedge_new(struct http_transport *below, struct clock *clock, unsigned n_stats,
                   struct http_transport **ret);

struct http_hedge_totals {
    uint64_t repeated;   /* requests sent once more */
    uint64_t won;        /* of them answered first */
    uint64_t broken_off; /* answers given up in the middle */
    uint64_t held_back;  /* silence that nothing was done about: no budget, or a 503 before */
};
void http_hedge_totals(struct http_transport *t, struct http_hedge_totals *ret);
/* The silence that is too long at present, in milliseconds. */
uint32_t http_hedge_threshold_ms(struct http_transport *t, unsigned stat, uint64_t body_len);

#endif
