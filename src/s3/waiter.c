/* SPDX-License-Identifier: Apache-2.0 */
#include "s3/waiter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* With `cancelled` given, a sleep is cut into naps of this length, so that Ctrl-C is felt soon. */
#define NAP_MS 200u

/* boto3's figures for all four. */
#define DELAY_MS     5000u
#define MAX_ATTEMPTS 20u

#define OK_IS(st)                                                                                  \
    {                                                                                              \
        .kind = S3_ERROR_NONE, .state = (st)                                                       \
    }
#define STATUS_IS(code, st)                                                                        \
    {                                                                                              \
        .http_status = (code), .state = (st)                                                       \
    }

/* 301 and 403 prove that the bucket is there, though in another region or another's. */
static const struct s3_waiter_acceptor BUCKET_EXISTS[] = {
    OK_IS(S3_WAITER_SUCCESS),
    STATUS_IS(301, S3_WAITER_SUCCESS),
    STATUS_IS(403, S3_WAITER_SUCCESS),
    STATUS_IS(404, S3_WAITER_RETRY),
};

static const struct s3_waiter_acceptor OBJECT_EXISTS[] = {
    OK_IS(S3_WAITER_SUCCESS),
    STATUS_IS(404, S3_WAITER_RETRY),
};

/* A success that no acceptor names means: not yet. */
static const struct s3_waiter_acceptor NOT_EXISTS[] = {
    STATUS_IS(404, S3_WAITER_SUCCESS),
};

const struct s3_waiter_def s3_waiter_bucket_exists = {
    .name = "bucket_exists",
    .op = S3_OP_HEAD_BUCKET,
    .delay_ms = DELAY_MS,
    .max_attempts = MAX_ATTEMPTS,
    .acceptors = BUCKET_EXISTS,
    .n_acceptors = ARRAY_SIZE(BUCKET_EXISTS),
};

const struct s3_waiter_def s3_waiter_bucket_not_exists = {
    .name = "bucket_not_exists",
    .op = S3_OP_HEAD_BUCKET,
    .delay_ms = DELAY_MS,
    .max_attempts = MAX_ATTEMPTS,
    .acceptors = NOT_EXISTS,
    .n_acceptors = ARRAY_SIZE(NOT_EXISTS),
};

const struct s3_waiter_def s3_waiter_object_exists = {
    .name = "object_exists",
    .op = S3_OP_HEAD_OBJECT,
    .delay_ms = DELAY_MS,
    .max_attempts = MAX_ATTEMPTS,
    .acceptors = OBJECT_EXISTS,
    .n_acceptors = ARRAY_SIZE(OBJECT_EXISTS),
};

const struct s3_waiter_def s3_waiter_object_not_exists = {
    .name = "object_not_exists",
    .op = S3_OP_HEAD_OBJECT,
    .delay_ms = DELAY_MS,
    .max_attempts = MAX_ATTEMPTS,
    .acceptors = NOT_EXISTS,
    .n_acceptors = ARRAY_SIZE(NOT_EXISTS),
};

const struct s3_waiter_def *s3_waiter_find(const char *name)
{
    static const struct s3_waiter_def *const ALL[] = {
        &s3_waiter_bucket_exists,
        &s3_waiter_bucket_not_exists,
        &s3_waiter_object_exists,
        &s3_waiter_object_not_exists,
    };
    for (size_t i = 0; i < ARRAY_SIZE(ALL); i++)
        if (strcmp(ALL[i]->name, name) == 0)
            return ALL[i];
    return NULL;
}

static int probe(struct s3_client *client, const struct s3_waiter_def *def, const char *bucket,
                 const char *key, struct s3_error *err)
{
    if (def->op == S3_OP_HEAD_BUCKET) {
        struct s3_head_bucket_out out = {0};
        return s3_client_call(client, def->op, &(struct s3_bucket_in){.bucket = bucket}, &out, err);
    }
    struct s3_head_object_out out = {0};
    struct s3_head_object_in in = {.bucket = bucket, .key = key};
    int r = s3_client_call(client, def->op, &in, &out, err);
    if (r == 0)
        s3_head_object_out_done(&out);
    return r;
}

static enum s3_waiter_state judge(const struct s3_waiter_def *def, int r,
                                  const struct s3_error *err)
{
    for (size_t i = 0; i < def->n_acceptors; i++) {
        const struct s3_waiter_acceptor *a = &def->acceptors[i];
        bool match;
        if (a->http_status)
            match = r < 0 && err->http_status == a->http_status;
        else if (a->kind == S3_ERROR_NONE)
            match = r == 0;
        else
            match = r < 0 && err->kind == a->kind;
        if (match)
            return a->state;
    }
    return r == 0 ? S3_WAITER_RETRY : S3_WAITER_FAILURE;
}

/* False: cancelled. */
static bool pause_between(const struct s3_waiter_options *opts, struct clock *clock,
                          uint32_t delay_ms)
{
    if (!opts->cancelled) {
        clock_sleep_ns(clock, (uint64_t)delay_ms * NS_PER_MS);
        return true;
    }
    while (delay_ms > 0) {
        if (opts->cancelled(opts->cancelled_ctx))
            return false;
        uint32_t nap = MIN(delay_ms, NAP_MS);
        clock_sleep_ns(clock, (uint64_t)nap * NS_PER_MS);
        delay_ms -= nap;
    }
    return true;
}

static void set_subject(struct s3_error *reterr, const struct s3_waiter_def *def, unsigned tries)
{
    if (!reterr)
        return;
    reterr->tries = tries;
    snprintf(reterr->operation, sizeof(reterr->operation), "%s", s3_op_name(def->op));
}

int s3_waiter_wait(struct s3_client *client, const struct s3_waiter_def *def, const char *bucket,
                   const char *key, const struct s3_waiter_options *opts, struct s3_error *reterr)
{
    static const struct s3_waiter_options none;
    if (!opts)
        opts = &none;
    struct clock *clock = opts->clock ? opts->clock : clock_system();
    uint32_t delay_ms = opts->delay_ms ? opts->delay_ms : def->delay_ms;
    unsigned max_attempts = opts->max_attempts ? opts->max_attempts : def->max_attempts;
    bool of_object = def->op == S3_OP_HEAD_OBJECT;
    if (!bucket || (of_object && !key))
        return s3_error_set(reterr, S3_ERROR_CONFIG, "%s needs the name of %s", def->name,
                            bucket ? "an object" : "a bucket");

    for (unsigned attempt = 1;; attempt++) {
        struct s3_error err = {0};
        int r = probe(client, def, bucket, key, &err);
        switch (judge(def, r, &err)) {
        case S3_WAITER_SUCCESS:
            return 0;
        case S3_WAITER_FAILURE:
            if (reterr)
                *reterr = err;
            return r < 0 ? r : -EIO;
        case S3_WAITER_RETRY:
            break;
        }
        if (attempt >= max_attempts) {
            s3_error_set(reterr, S3_ERROR_TIMEOUT, "%s: '%s%s%s' did not get there in %u attempts",
                         def->name, bucket, of_object ? "/" : "", of_object ? key : "", attempt);
            set_subject(reterr, def, attempt);
            return -ETIMEDOUT;
        }
        if (!pause_between(opts, clock, delay_ms)) {
            r = s3_error_set(reterr, S3_ERROR_CANCELLED, "%s: cancelled after %u attempts",
                             def->name, attempt);
            set_subject(reterr, def, attempt);
            return r;
        }
    }
}
