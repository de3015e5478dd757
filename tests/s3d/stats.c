/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/strbuf.h"
#include "route.h"

void stats_init(struct stats *st)
{
    memset(st, 0, sizeof(*st));
    pthread_mutex_init(&st->lock, NULL);
}

void stats_log(struct stats *st, struct stats_line *line)
{
    struct stats_line *slot;
    char *old;

    pthread_mutex_lock(&st->lock);
    slot = &st->log[st->logged % STATS_LOG];
    line->number = ++st->logged;
    old = slot->key;
    *slot = *line;
    pthread_mutex_unlock(&st->lock);
    free(old);
}

void stats_reset(struct stats *st)
{
    for (unsigned i = 0; i < STATS_OPS_MAX; i++)
        atomic_store(&st->ops[i], 0);
    for (unsigned i = 0; i < ARRAY_SIZE(st->status); i++)
        atomic_store(&st->status[i], 0);
    atomic_store(&st->bytes_in, 0);
    atomic_store(&st->bytes_out, 0);
    atomic_store(&st->connections, 0);
    atomic_store(&st->max_connections, atomic_load(&st->open_connections));
    atomic_store(&st->requests, 0);
    atomic_store(&st->auth_failures, 0);
    atomic_store(&st->faults, 0);
    pthread_mutex_lock(&st->lock);
    for (unsigned i = 0; i < STATS_LOG; i++) {
        free(st->log[i].key);
        st->log[i].key = NULL;
    }
    st->logged = 0;
    pthread_mutex_unlock(&st->lock);
}

static void write_counter(struct strbuf *out, const char *name, _Atomic uint64_t *v)
{
    strbuf_appendf(out, "%s %" PRIu64 "\n", name, atomic_load(v));
}

void stats_write_counters(struct stats *st, struct strbuf *out)
{
    for (unsigned i = 0; i < route_count() && i < STATS_OPS_MAX; i++) {
        uint64_t sum = 0;
        unsigned first = 0;

        /* An operation may have several rows; the first one speaks for all. */
        while (strcmp(route_name(first), route_name(i)))
            first++;
        if (first != i)
            continue;
        for (unsigned k = i; k < route_count() && k < STATS_OPS_MAX; k++) {
            if (!strcmp(route_name(k), route_name(i)))
                sum += atomic_load(&st->ops[k]);
        }
        strbuf_appendf(out, "%s %" PRIu64 "\n", route_name(i), sum);
    }
    write_counter(out, "requests", &st->requests);
    write_counter(out, "auth_failures", &st->auth_failures);
    write_counter(out, "faults", &st->faults);
    write_counter(out, "connections", &st->connections);
    write_counter(out, "open_connections", &st->open_connections);
    write_counter(out, "max_connections", &st->max_connections);
    write_counter(out, "bytes_in", &st->bytes_in);
    write_counter(out, "bytes_out", &st->bytes_out);
    for (unsigned i = 0; i < ARRAY_SIZE(st->status); i++) {
        uint64_t n = atomic_load(&st->status[i]);

        if (n)
            strbuf_appendf(out, "status_%u %" PRIu64 "\n", i, n);
    }
}

void stats_write_log(struct stats *st, uint64_t last_n, struct strbuf *out)
{
    uint64_t from;

    pthread_mutex_lock(&st->lock);
    last_n = MIN(last_n, (uint64_t)STATS_LOG);
    from = st->logged > last_n ? st->logged - last_n : 0;
    for (uint64_t i = from; i < st->logged; i++) {
        const struct stats_line *l = &st->log[i % STATS_LOG];

        strbuf_appendf(out,
                       "%" PRIu64 " connection=%" PRIu64 " op=%s status=%u in=%" PRIu64
                       " out=%" PRIu64 " us=%u fault=%s bucket=%s key=%s range=%s\n",
                       l->number, l->connection, l->op, l->status, l->bytes_in, l->bytes_out,
                       l->micros, l->fault, l->bucket[0] ? l->bucket : "-",
                       l->key && l->key[0] ? l->key : "-", l->range[0] ? l->range : "-");
    }
    pthread_mutex_unlock(&st->lock);
}
