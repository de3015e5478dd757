/* SPDX-License-Identifier: Apache-2.0 */
/* AWS' standard retry mode: exponential backoff with full jitter and a token bucket shared by all
 * requests of a client.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
 * Threads: the quota is shared and locks itself; the rest are pure functions. */
#ifndef PAILFS_AWS_RETRY_H
#define PAILFS_AWS_RETRY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct aws_retry_options {
    unsigned max_attempts; /* first try included; 0 = 5 */
    uint32_t base_ms;      /* 0 = 100: the jitter's first ceiling */
    uint32_t max_ms;       /* 0 = 20000 */
    uint32_t quota;        /* tokens; 0 = 500 */
};

struct aws_retry_quota {
    pthread_mutex_t lock;
    uint32_t available; /* protected by lock */
    uint32_t capacity;
};

enum aws_idempotency {
    AWS_IDEMPOTENT,     /* may be sent again whatever happened */
    AWS_NOT_IDEMPOTENT, /* sent again only when the server cannot have acted, or said it did not */
};

void aws_retry_options_default(struct aws_retry_options *o);
int aws_retry_quota_init(struct aws_retry_quota *q, uint32_t capacity);
void aws_retry_quota_done(struct aws_retry_quota *q);

/* Whether err may be tried again at all: throttling, 5xx, timeouts, connection failures, broken
 * answers. */
bool aws_retry_retryable(const struct s3_error *err, enum aws_idempotency idempotency,
                         bool request_sent);
/* Takes the tokens for one retry; false: the bucket is empty, give up. *ret_cost is to be returned
 * through aws_retry_success when that retry succeeds. */
bool aws_retry_acquire(struct aws_retry_quota *q, const struct s3_error *err, uint32_t *ret_cost);
/* cost 0 = the first attempt succeeded (adds one token). */
void aws_retry_success(struct aws_retry_quota *q, uint32_t cost);
/* Delay before try number `attempt` (1 = the first retry), from a random number of the caller. */
uint32_t aws_retry_delay_ms(const struct aws_retry_options *o, unsigned attempt, uint64_t random);

#endif
