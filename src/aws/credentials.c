/* SPDX-License-Identifier: Apache-2.0 */
/* The key object, and the source: a provider chain with the keys it gave last.
 *
 * At most one thread runs the chain (`refreshing`), without the lock. The others either have keys
 * that are still good, or wait for its end and take its result, good or bad: a hundred requests
 * that find no keys run the chain once. */
#include "aws/credentials.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "aws/config.h"
#include "base/attr.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/timefmt.h"

#define ADVISORY_WINDOW_NS  (15 * 60 * NS_PER_S)
#define MANDATORY_WINDOW_NS (10 * 60 * NS_PER_S)

/* After a refresh that failed: how long the old keys are used without another try, and how long
 * its error is repeated when there are none. */
#define RETRY_WITH_KEYS_NS    ((uint64_t)(10 * NS_PER_S))
#define RETRY_WITHOUT_KEYS_NS ((uint64_t)(1 * NS_PER_S))
#define SHORT_LIVED_PAUSE_NS  ((uint64_t)(60 * NS_PER_S))

/* ---- keys ---- */

static void wipe_and_free(char *s)
{
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

static void credentials_free(struct aws_credentials *c)
{
    wipe_and_free(c->access_key_id);
    wipe_and_free(c->secret_access_key);
    wipe_and_free(c->session_token);
    free(c);
}

DEFINE_CLEANUP(cleanup_credentials, struct aws_credentials *, aws_credentials_unref)

int aws_credentials_new(const char *access_key_id, const char *secret_access_key,
                        const char *session_token, int64_t expiry_ns, const char *provider,
                        struct aws_credentials **ret)
{
    CLEANUP(cleanup_credentials) struct aws_credentials *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->refs = 1;
    c->expiry_ns = expiry_ns;
    snprintf(c->provider, sizeof(c->provider), "%s", provider);
    c->access_key_id = strdup(access_key_id);
    c->secret_access_key = strdup(secret_access_key);
    if (!c->access_key_id || !c->secret_access_key)
        return -ENOMEM;
    if (session_token && *session_token) {
        c->session_token = strdup(session_token);
        if (!c->session_token)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(c);
    return 0;
}

int aws_credentials_new_anonymous(struct aws_credentials **ret)
{
    struct aws_credentials *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->refs = 1;
    c->anonymous = true;
    c->expiry_ns = AWS_CREDENTIALS_NO_EXPIRY;
    snprintf(c->provider, sizeof(c->provider), "anonymous");
    *ret = c;
    return 0;
}

struct aws_credentials *aws_credentials_ref(struct aws_credentials *c)
{
    __atomic_fetch_add(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

void aws_credentials_unref(struct aws_credentials *c)
{
    if (c && __atomic_fetch_sub(&c->refs, 1, __ATOMIC_ACQ_REL) == 1)
        credentials_free(c);
}

/* ---- source ---- */

struct aws_credentials_source {
    const struct aws_config *config; /* borrowed */
    const struct aws_credentials_provider *chain;
    struct clock *clock;
    pthread_mutex_t lock;
    pthread_cond_t finished; /* a refresh has ended */
    /* all below protected by lock */
    struct aws_credentials *current; /* owned reference, NULL before the first success */
    bool refused;                    /* the server called current expired */
    bool refreshing;
    uint64_t generation; /* counts ended refreshes */
    uint64_t not_before; /* monotonic: no new refresh until then unless it must be */
    int last_r;          /* of the last refresh */
    struct s3_error last_error;
};

enum freshness {
    FRESH,
    ADVISORY,  /* good, a refresh is due */
    MANDATORY, /* good, a refresh is waited for */
    STALE,     /* none, expired, or refused by the server */
};

static enum freshness judge_locked(const struct aws_credentials_source *s)
{
    int64_t left;

    if (!s->current || s->refused)
        return STALE;
    if (s->current->expiry_ns == AWS_CREDENTIALS_NO_EXPIRY)
        return FRESH;
    if (__builtin_sub_overflow(s->current->expiry_ns, clock_realtime_ns(s->clock), &left))
        left = s->current->expiry_ns < 0 ? INT64_MIN : INT64_MAX;
    if (left <= 0)
        return STALE;
    if (left < MANDATORY_WINDOW_NS)
        return MANDATORY;
    return left < ADVISORY_WINDOW_NS ? ADVISORY : FRESH;
}

int aws_credentials_source_new(const struct aws_config *config,
                               const struct aws_credentials_provider *chain, struct clock *clock,
                               struct aws_credentials_source **ret)
{
    struct aws_credentials_source *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->config = config;
    s->chain = chain ? chain : aws_credentials_chain;
    s->clock = clock;
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        return -ENOMEM;
    }
    if (pthread_cond_init(&s->finished, NULL) != 0) {
        pthread_mutex_destroy(&s->lock);
        free(s);
        return -ENOMEM;
    }
    *ret = s;
    return 0;
}

void aws_credentials_source_free(struct aws_credentials_source *s)
{
    if (!s)
        return;
    aws_credentials_unref(s->current);
    pthread_cond_destroy(&s->finished);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- running the chain ---- */

static int nothing_found(const struct aws_credentials_source *s, struct s3_error *reterr)
{
    CLEANUP_STRBUF struct strbuf names = STRBUF_INIT(300);

    for (const struct aws_credentials_provider *p = s->chain; p->name; p++)
        strbuf_appendf(&names, "%s%s", names.len > 0 ? ", " : "", p->name);
    if (!s->config)
        return s3_error_set(reterr, S3_ERROR_NO_CREDENTIALS, "no access keys found (looked at: %s)",
                            strbuf_str(&names));
    return s3_error_set(reterr, S3_ERROR_NO_CREDENTIALS,
                        "no access keys found (looked at: %s; profile '%.60s' of %.100s and "
                        "%.100s); for a public bucket ask for unsigned requests",
                        strbuf_str(&names), s->config->profile, s->config->credentials_path,
                        s->config->config_path);
}

static int refuse_expired(const struct aws_credentials *c, struct s3_error *reterr)
{
    char when[TIMEFMT_ISO8601_SIZE];

    timefmt_iso8601(c->expiry_ns, when);
    return s3_error_set(reterr, S3_ERROR_EXPIRED_CREDENTIALS,
                        "the access keys from %s expired at %s", c->provider, when);
}

static int run_chain(const struct aws_credentials_source *s, struct aws_credentials **ret,
                     struct s3_error *reterr)
{
    CLEANUP(cleanup_credentials) struct aws_credentials *c = NULL;

    for (const struct aws_credentials_provider *p = s->chain; p->name; p++) {
        int r = p->load(s->config, s->clock, &c, reterr);

        if (r < 0)
            return r;
        if (r == 0)
            continue;
        if (c->expiry_ns <= clock_realtime_ns(s->clock))
            return refuse_expired(c, reterr);
        log_debug("credentials: using those from %s", p->name);
        *ret = TAKE_PTR(c);
        return 0;
    }
    return nothing_found(s, reterr);
}

/* New keys that are due for a refresh at once: a role's shortest session lasts 15 minutes, and an
 * environment variable stays what it is. They are used for a while all the same. */
static uint64_t pause_ns(const struct aws_credentials *c, int64_t now)
{
    int64_t left = c->expiry_ns - now;

    return left > 0 ? MIN((uint64_t)left / 4, SHORT_LIVED_PAUSE_NS) : 0;
}

/* Takes fresh (NULL when r < 0) into the source. */
static void finish_refresh_locked(struct aws_credentials_source *s, int r,
                                  struct aws_credentials *fresh)
{
    uint64_t now = clock_monotonic_ns(s->clock);

    s->refreshing = false;
    s->generation++;
    s->last_r = r;
    s->not_before = 0;
    if (r == 0) {
        aws_credentials_unref(s->current);
        s->current = fresh;
        s->refused = false;
        if (judge_locked(s) != FRESH)
            s->not_before = now + pause_ns(fresh, clock_realtime_ns(s->clock));
    } else if (judge_locked(s) == STALE) {
        s->not_before = now + RETRY_WITHOUT_KEYS_NS;
    } else {
        s->not_before = now + RETRY_WITH_KEYS_NS;
        log_debug("credentials: refresh failed, the old ones are still good: %s",
                  s->last_error.message);
    }
    pthread_cond_broadcast(&s->finished);
}

/* Called with the lock, which it gives up in between. */
static void refresh_locked(struct aws_credentials_source *s)
{
    struct aws_credentials *fresh = NULL;
    struct s3_error error = {0};
    int r;

    s->refreshing = true;
    pthread_mutex_unlock(&s->lock);
    r = run_chain(s, &fresh, &error);
    pthread_mutex_lock(&s->lock);
    s->last_error = error;
    finish_refresh_locked(s, r, fresh);
}

/* The keys if they are good, else the last refresh's error. */
static int result_locked(struct aws_credentials_source *s, struct aws_credentials **ret,
                         struct s3_error *reterr)
{
    if (judge_locked(s) != STALE) {
        *ret = aws_credentials_ref(s->current);
        return 0;
    }
    if (s->last_r == 0)
        return refuse_expired(s->current, reterr);
    if (reterr)
        *reterr = s->last_error;
    return s->last_r;
}

/* Whether the state allows an answer now, without a refresh. */
static bool can_answer_locked(const struct aws_credentials_source *s)
{
    bool too_early = clock_monotonic_ns(s->clock) < s->not_before;

    switch (judge_locked(s)) {
    case FRESH:
        return true;
    case ADVISORY:
        return too_early || s->refreshing;
    case MANDATORY:
        return too_early;
    case STALE:
        break;
    }
    /* Repeats the last error for a moment. Keys that went stale after a refresh that succeeded are
     * no such case. */
    return too_early && s->last_r < 0;
}

int aws_credentials_source_get(struct aws_credentials_source *s, struct aws_credentials **ret,
                               struct s3_error *reterr)
{
    SCOPE_LOCK(&s->lock);
    uint64_t seen;

    if (can_answer_locked(s))
        return result_locked(s, ret, reterr);
    while (s->refreshing) {
        for (seen = s->generation; s->generation == seen;)
            pthread_cond_wait(&s->finished, &s->lock);
        /* Stale although the refresh succeeded: the server refused also those keys before this
         * thread woke up. Then there is another round. */
        if (judge_locked(s) != STALE || s->last_r < 0)
            return result_locked(s, ret, reterr);
    }
    refresh_locked(s);
    return result_locked(s, ret, reterr);
}

int aws_credentials_source_try_get(struct aws_credentials_source *s, struct aws_credentials **ret)
{
    SCOPE_LOCK(&s->lock);
    enum freshness f = judge_locked(s);

    if (f == STALE || (f == MANDATORY && clock_monotonic_ns(s->clock) >= s->not_before))
        return -EAGAIN;
    *ret = aws_credentials_ref(s->current);
    return 0;
}

void aws_credentials_source_expire(struct aws_credentials_source *s,
                                   const struct aws_credentials *seen)
{
    SCOPE_LOCK(&s->lock);

    /* Others may have renewed them since that request was signed. */
    if (s->current == seen) {
        s->refused = true;
        s->not_before = 0;
    }
}
