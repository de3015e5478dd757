/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and the log of the last requests, readable at /_s3d/counters and /_s3d/log.
 * Thread-safe. */
#ifndef S3D_STATS_H
#define S3D_STATS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define STATS_OPS_MAX 96
#define STATS_LOG     4096 /* requests remembered */

struct strbuf;

struct stats_line {
    uint64_t number; /* from 1 */
    uint64_t connection;
    uint64_t bytes_in, bytes_out;
    uint32_t micros;
    uint16_t status; /* 0: no answer was sent */
    const char *op;
    const char *fault; /* name of the fault that struck, or "-" */
    char bucket[64];
    char *key; /* percent-encoded */
    char range[64];
};

struct stats {
    _Atomic uint64_t ops[STATS_OPS_MAX]; /* by row of the route table */
    _Atomic uint64_t status[600];
    _Atomic uint64_t bytes_in, bytes_out;
    _Atomic uint64_t connections, open_connections, max_connections;
    _Atomic uint64_t requests, auth_failures, faults;
    pthread_mutex_t lock;
    struct stats_line log[STATS_LOG]; /* ring, protected by lock */
    uint64_t logged;                  /* protected by lock */
};

void stats_init(struct stats *st);
/* Takes line->key over. */
void stats_log(struct stats *st, struct stats_line *line);
/* Counters to 0 and the log empty; open connections stay counted. */
void stats_reset(struct stats *st);
void stats_write_counters(struct stats *st, struct strbuf *out);
void stats_write_log(struct stats *st, uint64_t last_n, struct strbuf *out);

#endif
