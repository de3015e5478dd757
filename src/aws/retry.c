/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/retry.h"

#include <errno.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"

#define DEFAULT_MAX_ATTEMPTS 5
#define DEFAULT_BASE_MS      100
#define DEFAULT_MAX_MS       20000
#define DEFAULT_QUOTA        500

/* The costs of AWS' standard mode. A timeout costs double: it has already held a connection for
 * its whole length, and a server that is silent is helped least by more requests. */
#define COST_RETRY     5
#define COST_TIMEOUT   10
#define GAIN_FIRST_TRY 1

void aws_retry_options_default(struct aws_retry_options *o)
{
    if (o->max_attempts == 0)
        o->max_attempts = DEFAULT_MAX_ATTEMPTS;
    if (o->base_ms == 0)
        o->base_ms = DEFAULT_BASE_MS;
    if (o->max_ms == 0)
        o->max_ms = DEFAULT_MAX_MS;
    if (o->quota == 0)
        o->quota = DEFAULT_QUOTA;
}

int aws_retry_quota_init(struct aws_retry_quota *q, uint32_t capacity)
{
    q->capacity = capacity ? capacity : DEFAULT_QUOTA;
    q->available = q->capacity;
    return -pthread_mutex_init(&q->lock, NULL);
}

void aws_retry_quota_done(struct aws_retry_quota *q)
{
    pthread_mutex_destroy(&q->lock);
}

/* Error codes that ask for another try although their status is 4xx. */
static bool is_transient_code(const char *code)
{
    static const char *const codes[] = {
        "RequestTimeout", /* S3 waited for the body in vain; nothing was stored */
        "RequestTimeoutException",
        "PriorRequestNotComplete",
    };

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return false;
}

/* Not here, on purpose:
 * TLS: a certificate that does not verify will not verify next time either.
 * EXPIRED_CREDENTIALS, CLOCK_SKEW, WRONG_REGION: the same request fails again; the client changes
 *   something first (fresh keys, the server's time, the right region), which is not a retry.
 * CONFLICT: what to do depends on the operation: a conditional PUT may be sent again, a Complete
 *   must begin a new upload. */
bool aws_retry_retryable(const struct s3_error *err, enum aws_idempotency idempotency,
                         bool request_sent)
{
    bool repeatable = idempotency == AWS_IDEMPOTENT || !request_sent;

    /* The server says that it did not act. */
    if (err->kind == S3_ERROR_THROTTLED || is_transient_code(err->code))
        return true;
    /* 503 is a refusal; after 500, 502 and 504 the work may have been done all the same. */
    if (err->kind == S3_ERROR_SERVER)
        return repeatable || err->http_status == 503;
    if (err->kind == S3_ERROR_CONNECT || err->kind == S3_ERROR_TIMEOUT ||
        err->kind == S3_ERROR_BAD_RESPONSE)
        return repeatable;
    return false;
}

bool aws_retry_acquire(struct aws_retry_quota *q, const struct s3_error *err, uint32_t *ret_cost)
{
    uint32_t cost = err->kind == S3_ERROR_TIMEOUT ? COST_TIMEOUT : COST_RETRY;
    SCOPE_LOCK(&q->lock);

    if (cost > q->available)
        return false;
    q->available -= cost;
    *ret_cost = cost;
    return true;
}

void aws_retry_success(struct aws_retry_quota *q, uint32_t cost)
{
    uint32_t gain = cost ? cost : GAIN_FIRST_TRY;
    SCOPE_LOCK(&q->lock);

    q->available += MIN(gain, q->capacity - q->available);
}

uint32_t aws_retry_delay_ms(const struct aws_retry_options *o, unsigned attempt, uint64_t random)
{
    uint64_t base = o->base_ms ? o->base_ms : DEFAULT_BASE_MS;
    uint64_t max = o->max_ms ? o->max_ms : DEFAULT_MAX_MS;
    /* base has 32 bits, so 31 doublings cannot overflow 64. */
    unsigned doublings = attempt > 1 ? MIN(attempt - 1, 31u) : 0;
    uint64_t ceiling = MIN(base << doublings, max);

    /* Scales random to 0..ceiling without the bias of a modulus. */
    return (uint32_t)(((unsigned __int128)random * (ceiling + 1)) >> 64);
}
