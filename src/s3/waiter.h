/* SPDX-License-Identifier: Apache-2.0 */
/* Polls an operation until a state is reached: a constant description per state, one driver.
 * Figures as boto3's: buckets and objects every 5 s, 20 times.
 * Errors: -ETIMEDOUT with S3_ERROR_TIMEOUT when the attempts are used up; any error that no
 *         acceptor knows ends the wait with that error. */
#ifndef PAILFS_S3_WAITER_H
#define PAILFS_S3_WAITER_H

#include "s3/client.h"

enum s3_waiter_state { S3_WAITER_SUCCESS, S3_WAITER_RETRY, S3_WAITER_FAILURE };

struct s3_waiter_acceptor {
    int http_status;         /* 0 = matches by kind */
    enum s3_error_kind kind; /* S3_ERROR_NONE with status 0 = the operation succeeded */
    enum s3_waiter_state state;
};

struct s3_waiter_def {
    const char *name; /* "bucket_exists" */
    enum s3_op op;
    uint32_t delay_ms;
    unsigned max_attempts;
    const struct s3_waiter_acceptor *acceptors;
    size_t n_acceptors;
};

extern const struct s3_waiter_def s3_waiter_bucket_exists;
extern const struct s3_waiter_def s3_waiter_bucket_not_exists;
extern const struct s3_waiter_def s3_waiter_object_exists;
extern const struct s3_waiter_def s3_waiter_object_not_exists;
/* By name, for pailctl; NULL = unknown. */
const struct s3_waiter_def *s3_waiter_find(const char *name);

struct s3_waiter_options {
    uint32_t delay_ms;            /* 0 = the definition's */
    unsigned max_attempts;        /* 0 = the definition's */
    struct clock *clock;          /* NULL = clock_system() */
    bool (*cancelled)(void *ctx); /* asked before each sleep; NULL = never */
    void *cancelled_ctx;
};

/* key NULL for the bucket states. opts may be NULL. */
int s3_waiter_wait(struct s3_client *client, const struct s3_waiter_def *def, const char *bucket,
                   const char *key, const struct s3_waiter_options *opts, struct s3_error *reterr);

#endif
