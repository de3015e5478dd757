/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/attr.h"
#include "base/cleanup.h"

#define NAMES_MAX 64u
#define FRESH_NS  (60 * (uint64_t)NS_PER_S) /* then a lookup in the background */
#define USABLE_NS                                                                                  \
    (10 * 60 * (uint64_t)NS_PER_S)          /* while that fails, the old ones serve so long        \
                                             */
#define REFRESH_NS (5 * (uint64_t)NS_PER_S) /* between two such attempts */

struct name {
    char *host;
    bool busy;          /* a lookup is under way */
    uint64_t good_ns;   /* when the addresses were found; 0 = there are none */
    uint64_t next_ns;   /* not looked up again before */
    uint64_t failed_ns; /* when a lookup failed last */
    char reason[64];    /* of that failure */
    unsigned n_first;   /* addresses of the family that the system prefers */
    unsigned n_second;  /* of the other one, behind them */
    unsigned turn;
    char addresses[HTTP_RESOLVE_ADDRESSES][INET6_ADDRSTRLEN + 2];
    TAILQ_ENTRY(name) link; /* the most recently used first */
};

TAILQ_HEAD(name_list, name);

struct http_resolver {
    struct clock *clock;
    pthread_mutex_t lock;
    /* protected by lock */
    unsigned refs; /* the owner's and one per lookup */
    void (*changed)(void *ctx);
    void *ctx;
    struct name_list names;
    unsigned n_names;
};

struct lookup {
    struct http_resolver *resolver; /* holds a reference */
    char host[256];
};

static void free_name(struct name *n)
{
    free(n->host);
    free(n);
}

static void unref(struct http_resolver *r)
{
    pthread_mutex_lock(&r->lock);
    bool last = --r->refs == 0;
    pthread_mutex_unlock(&r->lock);
    if (!last)
        return;
    struct name *n;
    while ((n = TAILQ_FIRST(&r->names))) {
        TAILQ_REMOVE(&r->names, n, link);
        free_name(n);
    }
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static struct name *find_locked(struct http_resolver *r, const char *host)
{
    struct name *n;

    TAILQ_FOREACH (n, &r->names, link)
        if (strcmp(n->host, host) == 0)
            return n;
    return NULL;
}

/* Lookups */

static bool address_text(const struct addrinfo *ai, char *buf, size_t size)
{
    char ip[INET6_ADDRSTRLEN];

    if (ai->ai_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)ai->ai_addr;
        return inet_ntop(AF_INET, &in->sin_addr, buf, (socklen_t)size) != NULL;
    }
    if (ai->ai_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)ai->ai_addr;
        if (!inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip)))
            return false;
        snprintf(buf, size, "[%s]", ip);
        return true;
    }
    return false;
}

/* Families stay apart and in the system's order of preference: turns are taken within each. */
static void keep_addresses_locked(struct name *n, const struct addrinfo *list)
{
    int preferred = list->ai_family;
    unsigned count = 0;

    n->n_first = n->n_second = 0;
    for (int round = 0; round < 2; round++)
        for (const struct addrinfo *ai = list; ai && count < HTTP_RESOLVE_ADDRESSES;
             ai = ai->ai_next) {
            if ((ai->ai_family == preferred) != (round == 0) ||
                !address_text(ai, n->addresses[count], sizeof(n->addresses[count])))
                continue;
            count++;
            if (round == 0)
                n->n_first++;
            else
                n->n_second++;
        }
}

static void note_result_locked(struct name *n, uint64_t now, int error, const struct addrinfo *list)
{
    n->busy = false;
    if (error == 0 && list)
        keep_addresses_locked(n, list);
    if (error == 0 && n->n_first + n->n_second > 0) {
        n->good_ns = now;
        n->next_ns = now + FRESH_NS;
        return;
    }
    n->failed_ns = now;
    n->next_ns = now + REFRESH_NS;
    snprintf(n->reason, sizeof(n->reason), "%s", error ? gai_strerror(error) : "no address");
}

static void *run_lookup(void *arg)
{
    struct lookup *l = arg;
    struct http_resolver *r = l->resolver;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;

    int error = getaddrinfo(l->host, NULL, &hints, &list);

    pthread_mutex_lock(&r->lock);
    struct name *n = find_locked(r, l->host);
    if (n)
        note_result_locked(n, clock_monotonic_ns(r->clock), error, list);
    if (r->changed)
        r->changed(r->ctx);
    pthread_mutex_unlock(&r->lock);
    if (list)
        freeaddrinfo(list);
    free(l);
    unref(r);
    return NULL;
}

static int start_lookup_locked(struct http_resolver *r, struct name *n)
{
    CLEANUP_FREE struct lookup *l = calloc(1, sizeof(*l));
    pthread_attr_t attr;
    pthread_t thread;

    if (!l || strlen(n->host) >= sizeof(l->host) || pthread_attr_init(&attr) != 0)
        return -ENOMEM;
    l->resolver = r;
    memcpy(l->host, n->host, strlen(n->host) + 1);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int e = pthread_create(&thread, &attr, run_lookup, l);
    pthread_attr_destroy(&attr);
    if (e != 0)
        return -e;
    TAKE_PTR(l);
    n->busy = true;
    r->refs++;
    return 0;
}

/* Names */

/* Room for one more: the one that was not used for longest goes. */
static bool make_room_locked(struct http_resolver *r)
{
    struct name *n;

    if (r->n_names < NAMES_MAX)
        return true;
    TAILQ_FOREACH_REVERSE(n, &r->names, name_list, link)
    if (!n->busy) {
        TAILQ_REMOVE(&r->names, n, link);
        r->n_names--;
        free_name(n);
        return true;
    }
    return false;
}

static struct name *find_or_add_locked(struct http_resolver *r, const char *host)
{
    struct name *n = find_locked(r, host);

    if (n) {
        TAILQ_REMOVE(&r->names, n, link);
    } else {
        if (!make_room_locked(r))
            return NULL;
        n = calloc(1, sizeof(*n));
        if (n)
            n->host = strdup(host);
        if (!n || !n->host) {
            free(n);
            return NULL;
        }
        r->n_names++;
    }
    TAILQ_INSERT_HEAD(&r->names, n, link);
    return n;
}

static void append(char *buf, size_t size, const char *address)
{
    size_t len = strlen(buf);
    snprintf(buf + len, size - len, "%s%s", len ? "," : "", address);
}

static void list_in_turn_locked(struct name *n, char *buf, size_t size)
{
    unsigned turn = n->turn++;

    buf[0] = '\0';
    for (unsigned i = 0; i < n->n_first; i++)
        append(buf, size, n->addresses[(i + turn) % n->n_first]);
    for (unsigned i = 0; i < n->n_second; i++)
        append(buf, size, n->addresses[n->n_first + (i + turn) % n->n_second]);
}

enum http_resolution http_resolver_get(struct http_resolver *r, const char *host, uint64_t since,
                                       char *buf, size_t size)
{
    SCOPE_LOCK(&r->lock);
    uint64_t now =
        clock_monotonic_ns(r->clock); /* under the lock: not before what is noted there */
    struct name *n = find_or_add_locked(r, host);
    if (!n)
        return HTTP_RESOLVE_UNABLE;
    if (n->good_ns && now - n->good_ns < USABLE_NS) {
        if (!n->busy && now >= n->next_ns)
            (void)start_lookup_locked(r, n); /* if it cannot be started now: at the next request */
        list_in_turn_locked(n, buf, size);
        return HTTP_RESOLVED;
    }
    if (n->busy)
        return HTTP_RESOLVE_WAIT;
    if (n->failed_ns && n->failed_ns >= since) {
        snprintf(buf, size, "%s", n->reason);
        return HTTP_RESOLVE_FAILED;
    }
    return start_lookup_locked(r, n) < 0 ? HTTP_RESOLVE_UNABLE : HTTP_RESOLVE_WAIT;
}

void http_resolver_forget(struct http_resolver *r, const char *host)
{
    SCOPE_LOCK(&r->lock);
    uint64_t now = clock_monotonic_ns(r->clock);
    struct name *n = find_locked(r, host);
    if (n && now - n->good_ns >= REFRESH_NS)
        n->good_ns = 0;
}

int http_resolver_new(struct clock *clock, void (*changed)(void *ctx), void *ctx,
                      struct http_resolver **ret)
{
    struct http_resolver *r = calloc(1, sizeof(*r));

    if (!r)
        return -ENOMEM;
    pthread_mutex_init(&r->lock, NULL);
    r->clock = clock;
    r->refs = 1;
    r->changed = changed;
    r->ctx = ctx;
    TAILQ_INIT(&r->names);
    *ret = r;
    return 0;
}

void http_resolver_free(struct http_resolver *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->changed = NULL;
    pthread_mutex_unlock(&r->lock);
    unref(r);
}
