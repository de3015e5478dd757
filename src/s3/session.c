/* SPDX-License-Identifier: Apache-2.0 */
#include "s3/session.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "s3/client_priv.h"

struct s3_session {
    atomic_uint refs;
    /* immutable */
    struct aws_config *config;                  /* owned */
    struct aws_credentials_source *credentials; /* owned, locks itself */
    struct clock *clock;
};

void s3_session_options_init(struct s3_session_options *o)
{
    *o = (struct s3_session_options){.args.path_style = -1};
}

static void session_free(struct s3_session *s)
{
    aws_credentials_source_free(s->credentials);
    if (s->config)
        aws_config_free(s->config);
    free(s);
}

int s3_session_new(const struct s3_session_options *opts, struct s3_session **ret,
                   struct s3_error *reterr)
{
    struct s3_session_options defaults;
    struct s3_session *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    if (!opts) {
        s3_session_options_init(&defaults);
        opts = &defaults;
    }
    atomic_init(&s->refs, 1);
    s->clock = opts->clock ? opts->clock : clock_system();
    r = aws_config_load(&opts->args, &s->config, reterr);
    if (r == 0) {
        r = aws_credentials_source_new(s->config, opts->chain, s->clock, &s->credentials);
        if (r)
            r = s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    }
    if (r) {
        session_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static struct s3_session *default_session; /* protected by default_lock; kept for good */

int s3_session_default(struct s3_session **ret, struct s3_error *reterr)
{
    SCOPE_LOCK(&default_lock);

    if (!default_session) {
        /* A failure is not kept: the user may mend the file and try again. */
        int r = s3_session_new(NULL, &default_session, reterr);
        if (r)
            return r;
    }
    *ret = s3_session_ref(default_session);
    return 0;
}

struct s3_session *s3_session_ref(struct s3_session *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void s3_session_unref(struct s3_session *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        session_free(s);
}

const struct aws_config *s3_session_config(const struct s3_session *s)
{
    return s->config;
}

int s3_session_credentials(struct s3_session *s, struct aws_credentials **ret,
                           struct s3_error *reterr)
{
    return aws_credentials_source_get(s->credentials, ret, reterr);
}

int s3_session_client_new(struct s3_session *s, const struct s3_client_options *opts,
                          struct s3_client **ret, struct s3_error *reterr)
{
    return s3_client_new(s, s->config, s->credentials, s->clock, opts, ret, reterr);
}
