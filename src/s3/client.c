/* SPDX-License-Identifier: Apache-2.0 */
/* The client object: what all calls share. The funnel itself is in call.c. */
#include "s3/client.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "aws/endpoint.h"
#include "base/attr.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "http/http_curl.h"
#include "http/http_hedge.h"
#include "s3/call.h"
#include "s3/client_priv.h"

/* A mount knows one bucket; tools that walk an account know a few hundred. */
#define REGIONS_MAX 4096u

#define REFRESH_WINDOW_NS   (15 * 60 * NS_PER_S)
#define REFRESH_INTERVAL_NS ((uint64_t)(60 * NS_PER_S))

#define DEFAULT_CONNECT_MS    5000u
#define DEFAULT_FIRST_BYTE_MS 30000u
#define DEFAULT_STALL_MS      30000u

struct s3_bucket_region {
    char region[64];
    UT_hash_handle hh;
    char bucket[];
};

static _Thread_local unsigned callback_depth;

void s3_client_enter_callback(void)
{
    callback_depth++;
}

void s3_client_leave_callback(void)
{
    callback_depth--;
}

/* ---- life ---- */

static uint64_t system_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
        seed = clock_monotonic_ns(clock_system());
    return seed;
}

static void set_options(struct s3_client *c, const struct s3_client_options *opts)
{
    c->sign_payload = opts->sign_payload;
    c->retry = opts->retry;
    if (c->retry.max_attempts == 0 && c->config->max_attempts > 0)
        c->retry.max_attempts = (unsigned)c->config->max_attempts;
    aws_retry_options_default(&c->retry);
    c->deadlines = opts->deadlines;
    if (!c->deadlines.connect_ms)
        c->deadlines.connect_ms = DEFAULT_CONNECT_MS;
    if (!c->deadlines.first_byte_ms)
        c->deadlines.first_byte_ms = DEFAULT_FIRST_BYTE_MS;
    if (!c->deadlines.stall_ms)
        c->deadlines.stall_ms = DEFAULT_STALL_MS;
    atomic_init(&c->random, opts->random_seed ? opts->random_seed : system_seed());
}

static int set_transport(struct s3_client *c, const struct s3_client_options *opts)
{
    struct http_curl_options curl = {
        .io_threads = opts->io_threads,
        .max_connections = opts->max_connections,
        .ca_bundle = c->config->ca_bundle,
        .insecure = opts->no_verify_ssl,
        .n_stats = S3_OP_MAX,
    };

    c->transport = opts->transport;
    if (c->transport)
        return 0;
    int r = http_curl_new(&curl, &c->transport);
    if (r)
        return r;
    c->own_transport = true;
    if (opts->no_hedge)
        return 0;
    r = http_hedge_new(c->transport, c->clock, S3_OP_MAX, &c->transport);
    c->hedged = r == 0;
    return r;
}

void s3_client_figures(struct s3_client *c, struct s3_client_figures *ret)
{
    struct http_hedge_totals hedge = {0};

    if (c->hedged)
        http_hedge_totals(c->transport, &hedge);
    *ret = (struct s3_client_figures){
        .checked_bytes = atomic_load_explicit(&c->checked_bytes, memory_order_relaxed),
        .mismatches = atomic_load_explicit(&c->mismatches, memory_order_relaxed),
        .hedges = hedge.repeated,
        .hedges_won = hedge.won,
        .hedges_held = hedge.held_back,
        .broken_off = hedge.broken_off,
    };
}

/* Also the check that region and endpoint make sense, before the first request. */
static int set_meta(struct s3_client *c, struct s3_error *reterr)
{
    struct aws_endpoint e;
    struct aws_endpoint of_bucket;
    int r = aws_endpoint_resolve(c->config, NULL, NULL, &e, reterr);

    if (!r)
        r = aws_endpoint_resolve(c->config, "bucket", NULL, &of_bucket, reterr);
    if (r)
        return r;
    (void)snprintf(c->region, sizeof(c->region), "%s", e.region);
    if (c->config->endpoint_url)
        (void)snprintf(c->endpoint_url, sizeof(c->endpoint_url), "%s", c->config->endpoint_url);
    else
        (void)snprintf(c->endpoint_url, sizeof(c->endpoint_url), "%s://%s", e.scheme, e.authority);
    c->meta = (struct s3_client_meta){
        .service = "s3",
        .region = c->region,
        .endpoint_url = c->endpoint_url,
        .profile = c->config->profile,
        .anonymous = c->config->no_sign_request,
        .path_style = of_bucket.path_style,
    };
    return 0;
}

static void client_free(struct s3_client *c)
{
    struct s3_bucket_region *r;
    struct s3_bucket_region *next;

    threadpool_free(c->workers);
    if (c->own_transport)
        http_transport_free(c->transport);
    HASH_ITER (hh, c->regions, r, next) {
        HASH_DEL(c->regions, r);
        free(r);
    }
    aws_retry_quota_done(&c->quota);
    pthread_mutex_destroy(&c->lock);
    s3_session_unref(c->session);
    free(c);
}

int s3_client_new(struct s3_session *session, const struct aws_config *config,
                  struct aws_credentials_source *credentials, struct clock *clock,
                  const struct s3_client_options *opts, struct s3_client **ret,
                  struct s3_error *reterr)
{
    static const struct s3_client_options defaults;
    struct s3_client *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    atomic_init(&c->refs, 1);
    c->session = s3_session_ref(session);
    c->config = config;
    c->credentials = credentials;
    c->clock = clock;
    set_options(c, opts ? opts : &defaults);
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)aws_retry_quota_init(&c->quota, c->retry.quota);
    r = set_meta(c, reterr);
    if (!r) {
        r = set_transport(c, opts ? opts : &defaults);
        if (r)
            r = s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "cannot start the HTTP threads: %s",
                             strerror(-r));
    }
    if (r) {
        client_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

struct s3_client *s3_client_ref(struct s3_client *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

static void *free_thread(void *arg)
{
    client_free(arg);
    return NULL;
}

void s3_client_unref(struct s3_client *c)
{
    pthread_t thread;

    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (callback_depth == 0) {
        client_free(c);
        return;
    }
    /* Freeing waits for the transport's and the worker's threads, and this may be one of them. */
    if (pthread_create(&thread, NULL, free_thread, c) == 0)
        (void)pthread_detach(thread);
    else
        log_error("an S3 client is not released: no memory for a thread");
}

const struct s3_client_meta *s3_client_meta(const struct s3_client *c)
{
    return &c->meta;
}

/* ---- regions ---- */

void s3_client_learn_region(struct s3_client *c, const char *bucket, const char *region)
{
    struct s3_bucket_region *r;
    size_t len = strlen(bucket);

    SCOPE_LOCK(&c->lock);
    HASH_FIND(hh, c->regions, bucket, len, r);
    if (!r) {
        if (HASH_COUNT(c->regions) >= REGIONS_MAX)
            return;
        r = calloc(1, sizeof(*r) + len + 1);
        if (!r)
            return; /* it is learned again with the next answer */
        memcpy(r->bucket, bucket, len + 1);
        HASH_ADD_KEYPTR(hh, c->regions, r->bucket, len, r);
        if (HASH_ADD_FAILED(r)) {
            free(r);
            return;
        }
    }
    (void)snprintf(r->region, sizeof(r->region), "%s", region);
}

bool s3_client_find_region(struct s3_client *c, const char *bucket, char *buf, size_t size)
{
    struct s3_bucket_region *r;

    SCOPE_LOCK(&c->lock);
    HASH_FIND(hh, c->regions, bucket, strlen(bucket), r);
    if (r)
        (void)snprintf(buf, size, "%s", r->region);
    return r != NULL;
}

void s3_client_bucket_region(struct s3_client *c, const char *bucket, char *buf, size_t size)
{
    if (!s3_client_find_region(c, bucket, buf, size))
        (void)snprintf(buf, size, "%s", c->region);
}

/* ---- work ---- */

int s3_client_work(struct s3_client *c, void (*fn)(void *arg), void *arg)
{
    int r = 0;

    SCOPE_LOCK(&c->lock);
    if (!c->workers)
        r = threadpool_new(1, "s3-work", &c->workers);
    return r ? r : threadpool_submit(c->workers, fn, arg);
}

static void refresh_credentials(void *arg)
{
    struct s3_client *c = arg;
    struct aws_credentials *fresh = NULL;

    s3_client_enter_callback();
    if (aws_credentials_source_get(c->credentials, &fresh, NULL) == 0)
        aws_credentials_unref(fresh);
    s3_client_unref(c);
    s3_client_leave_callback();
}

void s3_client_refresh_ahead(struct s3_client *c, const struct aws_credentials *current)
{
    uint64_t now = clock_monotonic_ns(c->clock);

    if (current->expiry_ns == AWS_CREDENTIALS_NO_EXPIRY ||
        current->expiry_ns > clock_realtime_ns(c->clock) + REFRESH_WINDOW_NS)
        return;
    {
        SCOPE_LOCK(&c->lock);
        if (c->refresh_ns && now - c->refresh_ns < REFRESH_INTERVAL_NS)
            return;
        c->refresh_ns = now;
    }
    if (s3_client_work(c, refresh_credentials, s3_client_ref(c)))
        s3_client_unref(c); /* the next request tries again in a minute */
}

/* SplitMix64 (Steele, Lea, Flood 2014): jitter needs no more, and the state is one atomic add. */
uint64_t s3_client_random(struct s3_client *c)
{
    uint64_t z = atomic_fetch_add_explicit(&c->random, 0x9e3779b97f4a7c15u, memory_order_relaxed);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- calling ---- */

int s3_client_submit(struct s3_client *c, enum s3_op op, const void *in, void *out, s3_done_fn done,
                     void *ctx, struct s3_call **ret_call)
{
    struct s3_call *call = NULL;
    int r = s3_call_new(c, op, in, out, done, ctx, &call);

    return r ? r : s3_call_start(call, ret_call);
}

struct blocking_call {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool over; /* protected by lock */
    int result;
    struct s3_error *reterr;
};

static void blocking_done(void *ctx, int result, const struct s3_error *err)
{
    struct blocking_call *b = ctx;
    SCOPE_LOCK(&b->lock);

    b->result = result;
    if (b->reterr && err)
        *b->reterr = *err;
    b->over = true;
    pthread_cond_signal(&b->ended);
}

int s3_client_call(struct s3_client *c, enum s3_op op, const void *in, void *out,
                   struct s3_error *reterr)
{
    struct blocking_call b = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER, .reterr = reterr};
    struct s3_call *call = NULL;
    int r = s3_call_new(c, op, in, out, blocking_done, &b, &call);

    if (!r) {
        call->may_block = true;
        r = s3_call_start(call, NULL);
    }
    if (r)
        return s3_error_set(reterr, r == -ENOMEM ? S3_ERROR_OUT_OF_MEMORY : S3_ERROR_CANCELLED,
                            "%s: %s", s3_op_name(op), strerror(-r));
    pthread_mutex_lock(&b.lock);
    while (!b.over)
        pthread_cond_wait(&b.ended, &b.lock);
    pthread_mutex_unlock(&b.lock);
    pthread_cond_destroy(&b.ended);
    pthread_mutex_destroy(&b.lock);
    return b.result;
}

#define S3_CALL_DEFINE(name, in_type, out_type, op)                                                \
    int s3_##name(struct s3_client *c, const struct in_type *in, struct out_type *out,             \
                  struct s3_error *reterr)                                                         \
    {                                                                                              \
        return s3_client_call(c, op, in, out, reterr);                                             \
    }
#define S3_CALL_DEFINE_NO_OUT(name, in_type, op)                                                   \
    int s3_##name(struct s3_client *c, const struct in_type *in, struct s3_error *reterr)          \
    {                                                                                              \
        return s3_client_call(c, op, in, NULL, reterr);                                            \
    }

S3_CALL_DEFINE(list_buckets, s3_list_buckets_in, s3_list_buckets_out, S3_OP_LIST_BUCKETS)
S3_CALL_DEFINE_NO_OUT(create_bucket, s3_create_bucket_in, S3_OP_CREATE_BUCKET)
S3_CALL_DEFINE_NO_OUT(delete_bucket, s3_bucket_in, S3_OP_DELETE_BUCKET)
S3_CALL_DEFINE(head_bucket, s3_bucket_in, s3_head_bucket_out, S3_OP_HEAD_BUCKET)
S3_CALL_DEFINE(get_bucket_location, s3_bucket_in, s3_get_bucket_location_out,
               S3_OP_GET_BUCKET_LOCATION)
S3_CALL_DEFINE(get_bucket_versioning, s3_bucket_in, s3_get_bucket_versioning_out,
               S3_OP_GET_BUCKET_VERSIONING)
S3_CALL_DEFINE_NO_OUT(put_bucket_versioning, s3_put_bucket_versioning_in,
                      S3_OP_PUT_BUCKET_VERSIONING)
S3_CALL_DEFINE(list_objects_v2, s3_list_objects_v2_in, s3_list_objects_v2_out,
               S3_OP_LIST_OBJECTS_V2)
S3_CALL_DEFINE(list_object_versions, s3_list_object_versions_in, s3_list_object_versions_out,
               S3_OP_LIST_OBJECT_VERSIONS)
S3_CALL_DEFINE(head_object, s3_head_object_in, s3_head_object_out, S3_OP_HEAD_OBJECT)
S3_CALL_DEFINE(get_object, s3_get_object_in, s3_head_object_out, S3_OP_GET_OBJECT)
S3_CALL_DEFINE(put_object, s3_put_object_in, s3_put_object_out, S3_OP_PUT_OBJECT)
S3_CALL_DEFINE(copy_object, s3_copy_object_in, s3_copy_object_out, S3_OP_COPY_OBJECT)
S3_CALL_DEFINE(delete_object, s3_delete_object_in, s3_delete_object_out, S3_OP_DELETE_OBJECT)
S3_CALL_DEFINE(delete_objects, s3_delete_objects_in, s3_delete_objects_out, S3_OP_DELETE_OBJECTS)
S3_CALL_DEFINE(get_object_attributes, s3_get_object_attributes_in, s3_get_object_attributes_out,
               S3_OP_GET_OBJECT_ATTRIBUTES)
S3_CALL_DEFINE(create_multipart_upload, s3_create_multipart_upload_in,
               s3_create_multipart_upload_out, S3_OP_CREATE_MULTIPART_UPLOAD)
S3_CALL_DEFINE(upload_part, s3_upload_part_in, s3_upload_part_out, S3_OP_UPLOAD_PART)
S3_CALL_DEFINE(upload_part_copy, s3_upload_part_copy_in, s3_copy_object_out, S3_OP_UPLOAD_PART_COPY)
S3_CALL_DEFINE(complete_multipart_upload, s3_complete_multipart_upload_in, s3_put_object_out,
               S3_OP_COMPLETE_MULTIPART_UPLOAD)
S3_CALL_DEFINE_NO_OUT(abort_multipart_upload, s3_abort_multipart_upload_in,
                      S3_OP_ABORT_MULTIPART_UPLOAD)
S3_CALL_DEFINE(list_multipart_uploads, s3_list_multipart_uploads_in, s3_list_multipart_uploads_out,
               S3_OP_LIST_MULTIPART_UPLOADS)
S3_CALL_DEFINE(list_parts, s3_list_parts_in, s3_list_parts_out, S3_OP_LIST_PARTS)
