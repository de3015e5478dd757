/* SPDX-License-Identifier: Apache-2.0 */
/* The transport on libcurl: N I/O threads, each with its own multi handle, epoll and keep-alive
 * pool. A request goes to the thread with the fewest exchanges under way; when max_connections are
 * in use it waits in a FIFO.
 *
 * Repeating: a request whose kept-alive connection dies before a byte of the answer is repeated by
 *          libcurl on a new connection (response.resent). Nothing else is ever repeated here.
 * Names:   looked up once for all requests that wait; connections spread over all addresses.
 * Proxies: http_proxy, https_proxy, all_proxy and no_proxy of the environment are honoured as
 * curl(1) does, except for requests with ->direct. Threads: the I/O threads block all signals. The
 * environment must not be changed while they run. */
#ifndef PAILFS_HTTP_HTTP_CURL_H
#define PAILFS_HTTP_HTTP_CURL_H

#include "http/http.h"

struct http_curl_options {
    unsigned io_threads;      /* 0 = 1 */
    unsigned max_connections; /* over all threads; more requests wait in a FIFO; 0 = 64 */
    uint32_t max_idle_ms;     /* an idle connection older than this is not used again; 0 = 4000 */
    const char *ca_bundle;    /* PEM file, copied; NULL = the system's */
    bool insecure;            /* no certificate checks (option no_verify_ssl); logged once */
    const char *user_agent;   /* copied; NULL = "pailfs/VERSION" */
    unsigned n_stats;         /* how many stat indexes to count */
};

/* Starts the threads: call after daemonising. */
int http_curl_new(const struct http_curl_options *opts, struct http_transport **ret);

struct http_stat {
    uint64_t requests;
    uint64_t failures; /* status 0 or >= 400 */
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t total_ns;
};
/* A snapshot of counter `index`; zeros when out of range. */
void http_curl_stat(struct http_transport *t, unsigned index, struct http_stat *ret);

struct http_curl_totals {
    uint64_t connections_opened;
    unsigned in_flight;
    unsigned queued;
    unsigned limit; /* of in_flight at present: lower than max_connections after a 503 or 429 */
};
void http_curl_totals(struct http_transport *t, struct http_curl_totals *ret);

#endif
