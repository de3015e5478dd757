/* SPDX-License-Identifier: Apache-2.0 */
/* The funnel's states.
 *
 *   start -> prepare -> credentials -+-> submit -> (transport) -> on_answer -+-> finish
 *                          |         ^                                       |
 *                     worker thread -+-- correction: region, clock, token ---+
 *                                    +-- timer <-- retry --------------------+
 *
 * Corrections are not retries: something about the request is changed (each of the three at most
 * once a call), it costs no attempt and no wait. Every callback holds a reference, so a timer that
 * fires after a cancel finds a finished call and lets go. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/crash_point.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "s3/call.h"

/* Headers, URL pieces and small texts of one call: metadata is at most a few KiB. */
#define CALL_ARENA_MAX (1u << 20)

/* S3 refuses 15 minutes; a Date 4 minutes off beside a 403 is suspicious enough to try. */
#define SKEW_MIN_NS (4 * 60 * NS_PER_S)

static void get_credentials(struct s3_call *call);

/* ---- life ---- */

struct s3_call *s3_call_ref(struct s3_call *call)
{
    atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
    return call;
}

void s3_call_unref(struct s3_call *call)
{
    if (!call || atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) != 1)
        return;
    strbuf_done(&call->build.xml);
    strbuf_done(&call->url);
    strbuf_done(&call->path);
    strbuf_done(&call->authorization);
    aws_credentials_unref(call->credentials);
    arena_done(&call->arena);
    pthread_mutex_destroy(&call->lock);
    free(call);
}

static const char *input_string(const struct s3_op_def *def, const void *in, size_t offset,
                                enum s3_path from)
{
    return def->path < from ? NULL : *(const char *const *)((const char *)in + offset);
}

int s3_call_new(struct s3_client *c, enum s3_op op, const void *in, void *out, s3_done_fn done,
                void *ctx, struct s3_call **ret)
{
    const struct s3_op_def *def = s3_op_find(op);
    struct s3_call *call = calloc(1, sizeof(*call));

    if (!call)
        return -ENOMEM;
    atomic_init(&call->refs, 1);
    (void)pthread_mutex_init(&call->lock, NULL);
    arena_init(&call->arena, CALL_ARENA_MAX);
    strbuf_init(&call->build.xml, 0);
    strbuf_init(&call->url, LIMIT_URL);
    strbuf_init(&call->path, LIMIT_URL);
    strbuf_init(&call->authorization, LIMIT_HEADER_LINE);
    call->op = op;
    call->def = def;
    call->in = in;
    call->out = out;
    call->done = done;
    call->ctx = ctx;
    call->bucket = input_string(def, in, def->bucket_offset, S3_PATH_BUCKET);
    call->key = input_string(def, in, def->key_offset, S3_PATH_KEY);
    call->attempts = 1;
    if (def->out_size) {
        call->tmp = calloc(1, def->out_size);
        if (!call->tmp) {
            s3_call_unref(call);
            return -ENOMEM;
        }
        if (def->flags & S3_OP_F_ARENA)
            arena_init(call->tmp, LIMIT_PAGE_STRINGS);
    }
    call->client = s3_client_ref(c);
    *ret = call;
    return 0;
}

int s3_call_fail_memory(struct s3_call *call)
{
    return s3_error_set(&call->err, S3_ERROR_OUT_OF_MEMORY, "out of memory");
}

/* ---- end ---- */

void s3_call_finish(struct s3_call *call, int result)
{
    struct s3_client *client;

    pthread_mutex_lock(&call->lock);
    if (call->finished) {
        pthread_mutex_unlock(&call->lock);
        return;
    }
    call->finished = true;
    client = TAKE_PTR(call->client);
    pthread_mutex_unlock(&call->lock);

    (void)snprintf(call->err.operation, sizeof(call->err.operation), "%s", call->def->name);
    call->err.tries = call->tries;
    if (result == 0) {
        CRASH_POINT3("s3", call->def->name, "after");
        aws_retry_success(&client->quota, call->retry_cost);
        if (call->out && call->tmp) {
            memcpy(call->out, call->tmp, call->def->out_size);
            memset(call->tmp, 0, call->def->out_size); /* the arena has moved */
        }
    } else if (log_enabled(LOG_LEVEL_DEBUG)) {
        char text[700];
        log_debug("%s", s3_error_describe(&call->err, text, sizeof(text)));
    }
    s3_call_receive_done(call);
    /* Before done: whoever waits for it may release the client next, and should be the last. */
    s3_client_unref(client);
    call->done(call->ctx, result, result ? &call->err : NULL);
    s3_call_unref(call); /* the operation's own reference */
}

static void finish_cancelled(struct s3_call *call)
{
    s3_call_finish(call, s3_error_set(&call->err, S3_ERROR_CANCELLED, "cancelled"));
}

static bool is_cancelled(struct s3_call *call)
{
    SCOPE_LOCK(&call->lock);
    return call->cancelled;
}

/* ---- waiting for a timer ---- */

static void on_timer(void *ctx)
{
    struct s3_call *call = ctx;
    bool mine;

    s3_client_enter_callback();
    pthread_mutex_lock(&call->lock);
    mine = call->waiting; /* else s3_call_cancel was here before */
    call->waiting = false;
    pthread_mutex_unlock(&call->lock);
    if (mine)
        get_credentials(call);
    s3_call_unref(call);
    s3_client_leave_callback();
}

static void on_early_end(void *ctx)
{
    struct s3_call *call = ctx;

    s3_client_enter_callback();
    if (call->err.kind == S3_ERROR_NONE)
        finish_cancelled(call);
    else
        s3_call_finish(call, -s3_error_errno(call->err.kind));
    s3_call_unref(call);
    s3_client_leave_callback();
}

static void retry_later(struct s3_call *call, uint32_t delay_ms)
{
    struct http_transport *t = call->client->transport;
    int r;

    pthread_mutex_lock(&call->lock);
    call->waiting = true;
    pthread_mutex_unlock(&call->lock);
    r = http_timer(t, delay_ms, on_timer, s3_call_ref(call));
    if (!r)
        return;
    s3_call_unref(call);
    pthread_mutex_lock(&call->lock);
    bool mine = call->waiting;
    call->waiting = false;
    pthread_mutex_unlock(&call->lock);
    if (mine)
        s3_call_finish(call,
                       -s3_error_errno(call->err.kind)); /* the error that was to be retried */
}

void s3_call_cancel(struct s3_call *call)
{
    struct http_transport *t = NULL;
    struct s3_call *inner = NULL;

    pthread_mutex_lock(&call->lock);
    call->cancelled = true;
    if (call->finished) {
        /* done is about to run or running */
    } else if (call->http) {
        /* Its callback takes the lock before it returns, so the exchange is still there. */
        http_cancel(call->client->transport, call->http);
    } else if (call->inner) {
        inner = s3_call_ref(call->inner);
    } else if (call->waiting) {
        t = call->client->transport;
        call->waiting = false;
        call->err = (struct s3_error){0};
        (void)s3_call_ref(call);
    }
    pthread_mutex_unlock(&call->lock);
    if (inner) {
        s3_call_cancel(inner);
        s3_call_unref(inner);
    }
    if (t && http_timer(t, 0, on_early_end, call)) {
        /* The transport is going down or memory is out: this thread is as good as any. */
        finish_cancelled(call);
        s3_call_unref(call);
    }
}

/* ---- corrections ---- */

static bool correct_region(struct s3_call *call)
{
    const struct s3_error *e = &call->err;
    const char *here = aws_region_dns_suffix(call->endpoint.region);
    const char *there = aws_region_dns_suffix(e->region);
    bool signature_only = !strcmp(e->code, "AuthorizationHeaderMalformed");

    if (call->region_corrected || e->kind != S3_ERROR_WRONG_REGION || !e->region[0] ||
        !strcmp(e->region, call->endpoint.region))
        return false;
    /* IllegalLocationConstraint speaks of what the body asks for, not of where to ask. */
    if ((call->def->flags & S3_OP_F_NO_BUCKET) && !signature_only)
        return false;
    /* On AWS the region becomes part of the host: never one of another partition. A custom endpoint
     * stays where it is, and may call its regions what it likes. */
    if (!call->endpoint.custom && (!here || !there || strcmp(here, there) != 0))
        return false;
    call->region_corrected = true;
    s3_client_learn_region(call->client, call->bucket ? call->bucket : "", e->region);
    log_debug("%s: '%s' is in region %s", call->def->name, call->bucket ? call->bucket : "S3",
              e->region);
    return true;
}

static bool correct_clock(struct s3_call *call, const struct http_response *resp)
{
    const char *date = http_response_header(resp, "Date");
    int64_t ours = clock_realtime_ns(call->client->clock);
    int64_t offset = atomic_load_explicit(&call->client->clock_offset_ns, memory_order_relaxed);
    int64_t theirs;
    int64_t off;

    if (call->clock_corrected || (resp->status != 403 && call->err.kind != S3_ERROR_CLOCK_SKEW) ||
        (call->err.kind != S3_ERROR_CLOCK_SKEW && call->err.kind != S3_ERROR_ACCESS_DENIED &&
         call->err.kind != S3_ERROR_BAD_CREDENTIALS))
        return false;
    if (!date || timefmt_parse_http(date, &theirs) || __builtin_sub_overflow(theirs, ours, &off))
        return false;
    if (call->err.kind != S3_ERROR_CLOCK_SKEW && llabs(off - offset) < SKEW_MIN_NS)
        return false;
    call->clock_corrected = true;
    atomic_store_explicit(&call->client->clock_offset_ns, off, memory_order_relaxed);
    log_debug("the clock is %lld s off the server's; requests carry the server's time",
              (long long)(-off / NS_PER_S));
    return true;
}

static bool correct_token(struct s3_call *call)
{
    if (call->token_renewed || call->err.kind != S3_ERROR_EXPIRED_CREDENTIALS ||
        !call->credentials || call->credentials->anonymous)
        return false;
    call->token_renewed = true;
    aws_credentials_source_expire(call->client->credentials, call->credentials);
    return true;
}

/* ---- after a failure ---- */

/* The server may have acted although we were told of no success. */
static bool leaves_doubt(const struct s3_call *call, const struct http_response *resp)
{
    if (resp->resent)
        return true;
    if (!resp->request_sent)
        return false;
    return resp->status == 0 || call->err.kind == S3_ERROR_BAD_RESPONSE ||
           (call->err.kind == S3_ERROR_SERVER && call->err.http_status != 503);
}

static bool may_retry(struct s3_call *call, const struct http_response *resp)
{
    bool retryable = aws_retry_retryable(&call->err, call->def->idempotency, resp->request_sent);

    /* The server did not act and says to try again, except where only a new upload helps. */
    if (call->err.kind == S3_ERROR_CONFLICT && call->op != S3_OP_COMPLETE_MULTIPART_UPLOAD)
        retryable = true;
    if (!retryable || call->no_retry || call->attempts >= call->client->retry.max_attempts)
        return false;
    if ((call->def->flags & S3_OP_F_STREAM) && !s3_get_resume(call))
        return false;
    return aws_retry_acquire(&call->client->quota, &call->err, &call->retry_cost);
}

static void after_failure(struct s3_call *call, const struct http_response *resp, int result)
{
    bool doubt_before = call->outcome_unknown || resp->resent;
    uint32_t delay;

    if (is_cancelled(call)) {
        finish_cancelled(call);
        return;
    }
    if (correct_region(call) || correct_clock(call, resp) || correct_token(call)) {
        if (!(call->def->flags & S3_OP_F_STREAM) || s3_get_resume(call)) {
            get_credentials(call);
            return;
        }
    }
    /* Not a retry either: the answer was given up early, within a budget of its own. */
    if (resp->broken_off && (!(call->def->flags & S3_OP_F_STREAM) || s3_get_resume(call))) {
        log_debug("%s: the rest is asked for again", call->def->name);
        get_credentials(call);
        return;
    }
    call->outcome_unknown = doubt_before || leaves_doubt(call, resp);
    if (may_retry(call, resp)) {
        delay = aws_retry_delay_ms(&call->client->retry, call->attempts,
                                   s3_client_random(call->client));
        call->attempts++;
        log_debug("%s: try %u failed (%s), the next in %u ms", call->def->name, call->tries,
                  s3_error_kind_name(call->err.kind), delay);
        retry_later(call, delay);
        return;
    }
    if (doubt_before && s3_outcome_doubtful(call)) {
        s3_outcome_resolve(call);
        return;
    }
    call->err.maybe_done = call->outcome_unknown;
    s3_call_finish(call, result);
}

/* ---- the exchange ---- */

static void on_answer(void *ctx, struct http_response *resp)
{
    struct s3_call *call = ctx;
    int r;

    s3_client_enter_callback();
    pthread_mutex_lock(&call->lock);
    call->http = NULL;
    call->answered = true;
    pthread_mutex_unlock(&call->lock);

    call->tries++;
    call->err = (struct s3_error){0};
    r = s3_call_receive(call, resp);
    if (r == 0)
        s3_call_finish(call, 0);
    else
        after_failure(call, resp, r);
    s3_call_unref(call);
    s3_client_leave_callback();
}

static void submit(struct s3_call *call)
{
    struct http_request req;
    struct http_call *http = NULL;
    int r = s3_call_request(call, &req);

    if (r) {
        s3_call_finish(call, r);
        return;
    }
    pthread_mutex_lock(&call->lock);
    call->answered = false;
    pthread_mutex_unlock(&call->lock);
    CRASH_POINT3("s3", call->def->name, "before");
    /* One reference for the callback, one for the lines below it: the call may be over by then. */
    (void)s3_call_ref(call);
    r = http_submit(call->client->transport, &req, on_answer, s3_call_ref(call), &http);
    if (r) {
        s3_call_unref(call); /* the callback's */
        s3_call_finish(call, r == -ESHUTDOWN
                                 ? s3_error_set(&call->err, S3_ERROR_CANCELLED, "shutting down")
                                 : s3_call_fail_memory(call));
    } else {
        pthread_mutex_lock(&call->lock);
        if (!call->answered) {
            call->http = http;
            if (call->cancelled)
                http_cancel(call->client->transport, http);
        }
        pthread_mutex_unlock(&call->lock);
    }
    s3_call_unref(call);
}

/* ---- credentials ---- */

static void with_credentials(struct s3_call *call, struct aws_credentials *c)
{
    aws_credentials_unref(call->credentials);
    call->credentials = c;
    s3_client_refresh_ahead(call->client, c);
    if (is_cancelled(call)) {
        finish_cancelled(call);
        return;
    }
    s3_call_receive_begin(call);
    submit(call);
}

static void wait_for_credentials(struct s3_call *call)
{
    struct aws_credentials *c = NULL;
    int r = aws_credentials_source_get(call->client->credentials, &c, &call->err);

    if (r)
        s3_call_finish(call, r);
    else
        with_credentials(call, c);
}

static void on_worker(void *arg)
{
    struct s3_call *call = arg;

    s3_client_enter_callback();
    wait_for_credentials(call);
    s3_call_unref(call);
    s3_client_leave_callback();
}

static void get_credentials(struct s3_call *call)
{
    struct aws_credentials *c = NULL;

    if (aws_credentials_source_try_get(call->client->credentials, &c) == 0) {
        call->may_block = false;
        with_credentials(call, c);
    } else if (call->may_block) {
        call->may_block = false;
        wait_for_credentials(call);
    } else if (s3_client_work(call->client, on_worker, s3_call_ref(call))) {
        s3_call_unref(call);
        s3_call_finish(call, s3_call_fail_memory(call));
    }
}

int s3_call_start(struct s3_call *call, struct s3_call **ret_call)
{
    int r;

    if (ret_call)
        *ret_call = call;
    r = s3_call_prepare(call);
    if (r == 0 && call->op == S3_OP_GET_OBJECT)
        r = s3_get_check(call);
    if (r == 0) {
        get_credentials(call);
        return 0;
    }
    if (call->may_block) {
        s3_call_finish(call, r);
        return 0;
    }
    /* done must not run under the submitter's feet, so the news takes the way round. */
    r = http_timer(call->client->transport, 0, on_early_end, s3_call_ref(call));
    if (r == 0)
        return 0;
    if (ret_call)
        *ret_call = NULL;
    s3_call_receive_done(call);
    s3_client_unref(TAKE_PTR(call->client));
    s3_call_unref(call); /* the timer's */
    s3_call_unref(call);
    return r;
}
