/* SPDX-License-Identifier: Apache-2.0 */
/* Private to src/s3: the client's insides, for the funnel. */
#ifndef PAILFS_S3_CLIENT_PRIV_H
#define PAILFS_S3_CLIENT_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "aws/config.h"
#include "aws/credentials.h"
#include "aws/retry.h"
#include "base/pool.h"
#include "s3/client.h"
#include "s3/session.h"

struct s3_bucket_region; /* one learned region, client.c */

struct s3_client {
    atomic_uint refs;

    /* immutable after s3_client_new */
    struct s3_session *session;                 /* shared */
    const struct aws_config *config;            /* the session's */
    struct aws_credentials_source *credentials; /* the session's */
    struct clock *clock;
    struct http_transport *transport;
    bool own_transport;
    bool sign_payload;
    bool hedged;           /* transport is an http_hedge */
    atomic_bool sums_held; /* the server has repeated a checksum of ours: it looks at them */
    struct aws_retry_options retry;
    struct http_deadlines deadlines;
    struct s3_client_meta meta;
    char region[64];
    char endpoint_url[352];

    struct aws_retry_quota quota;        /* locks itself */
    atomic_uint_fast64_t random;         /* state of the jitter's generator */
    atomic_int_fast64_t clock_offset_ns; /* server's clock minus ours, once learned */

    atomic_uint_fast64_t checked_bytes; /* figures, see client.h */
    atomic_uint_fast64_t mismatches;

    pthread_mutex_t lock;
    struct s3_bucket_region *regions; /* hash by bucket, protected by lock */
    struct threadpool *workers;       /* NULL until needed, protected by lock */
    uint64_t refresh_ns;              /* monotonic, of the last refresh ahead; by lock */
};

/* Takes over what opts gives; references session. */
int s3_client_new(struct s3_session *session, const struct aws_config *config,
                  struct aws_credentials_source *credentials, struct clock *clock,
                  const struct s3_client_options *opts, struct s3_client **ret,
                  struct s3_error *reterr);

/* Remembers that the bucket ("" = the service) is in region. */
void s3_client_learn_region(struct s3_client *c, const char *bucket, const char *region);
/* Copies the learned region; false = none, *buf untouched. */
bool s3_client_find_region(struct s3_client *c, const char *bucket, char *buf, size_t size);

/* Runs fn on the client's worker thread, where it may block. 0 or -errno. */
int s3_client_work(struct s3_client *c, void (*fn)(void *arg), void *arg);
/* Keys that expire soon are renewed on the worker thread, at most once a minute. */
void s3_client_refresh_ahead(struct s3_client *c, const struct aws_credentials *current);
uint64_t s3_client_random(struct s3_client *c);

/* Between these two, this thread is inside a callback of a transport or of the worker: a client
 * whose last reference goes is then freed by another thread, as these cannot wait for themselves.
 */
void s3_client_enter_callback(void);
void s3_client_leave_callback(void);

#endif
