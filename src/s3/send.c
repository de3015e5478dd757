/* SPDX-License-Identifier: Apache-2.0 */
/* From a call to a signed request. What does not change over retries (parameters, the user's
 * headers, checksums of the body) is made once by s3_call_prepare; date, region, token and
 * signature are made anew for every try. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/sigv4.h"
#include "base/attr.h"
#include "base/encode.h"
#include "base/limits.h"
#include "base/timefmt.h"
#include "s3/call.h"

/* A DeleteObjects of 1,000 keys, every character escaped. */
#define XML_BODY_MAX (8u << 20)

/* Headers of ours beside those of the build function. */
#define OWN_HEADERS_MAX 12u

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static int fail_input(struct s3_call *call, const char *problem)
{
    return s3_error_set(&call->err, S3_ERROR_INVALID, "%s", problem);
}

/* An empty key would make the request one for the bucket: DELETE /bucket/ deletes the bucket. */
static int check_names(struct s3_call *call)
{
    if (call->def->path != S3_PATH_SERVICE && (!call->bucket || !*call->bucket))
        return fail_input(call, "no bucket is named");
    if (call->def->path == S3_PATH_KEY && (!call->key || !*call->key))
        return fail_input(call, "no key is named");
    return 0;
}

static int run_build(struct s3_call *call)
{
    struct s3_build *b = &call->build;

    b->arena = &call->arena;
    b->region = call->client->region;
    b->custom_endpoint = call->client->config->endpoint_url != NULL;
    strbuf_init(&b->xml, XML_BODY_MAX);
    if (call->def->query.name)
        b->params[b->n_params++] = call->def->query;
    if (call->def->build)
        call->def->build(b, call->in);
    if (b->error == -ENOMEM || b->xml.error == -ENOMEM)
        return s3_call_fail_memory(call);
    if (b->error)
        return fail_input(call, b->problem);
    if (b->xml.len > 0) {
        call->xml_iov = (struct iovec){b->xml.data, b->xml.len};
        call->body = &call->xml_iov;
        call->n_body = 1;
        s3_build_header(b, "Content-Type", "application/xml");
    } else if (b->n_body > 0) {
        call->body = b->body;
        call->n_body = b->n_body;
    }
    return b->error ? s3_call_fail_memory(call) : 0;
}

static int run_checksums(struct s3_call *call)
{
    struct s3_build *b = &call->build;
    int r = 0;

    if (b->checksum_algo != S3_CHECKSUM_NONE) {
        if (b->checksum && b->checksum->algo == b->checksum_algo)
            call->checksum = *b->checksum;
        else
            r = s3_checksum_iov(b->checksum_algo, call->body, call->n_body, &call->checksum);
        if (r)
            return r;
        /* Ceph looks at the checksum only when this header stands beside it. */
        s3_build_header(b, "x-amz-sdk-checksum-algorithm", s3_checksum_name(b->checksum_algo));
        s3_build_header(b, s3_checksum_header(b->checksum_algo), call->checksum.value);
    }
    if (call->def->flags & S3_OP_F_CONTENT_MD5) {
        r = s3_checksum_md5_base64(call->body, call->n_body, call->content_md5);
        s3_build_header(b, "Content-MD5", call->content_md5);
    }
    return r ? r : b->error;
}

int s3_call_prepare(struct s3_call *call)
{
    int r = check_names(call);

    if (r)
        return r;
    r = run_build(call);
    if (r)
        return r;
    return run_checksums(call) ? s3_call_fail_memory(call) : 0;
}

/* ---- one try ---- */

int s3_call_locate(struct s3_call *call)
{
    struct s3_client *c = call->client;
    char region[64];
    bool learned =
        s3_client_find_region(c, call->bucket ? call->bucket : "", region, sizeof(region));
    int r = aws_endpoint_resolve(c->config, call->bucket, learned ? region : NULL, &call->endpoint,
                                 &call->err);

    if (r)
        return r;
    strbuf_reset(&call->path);
    (void)strbuf_append_str(&call->path, call->endpoint.base_path);
    if (call->key) {
        (void)strbuf_append_char(&call->path, '/');
        encode_percent(&call->path, call->key, strlen(call->key), true);
    } else if (call->path.len == 0) {
        (void)strbuf_append_char(&call->path, '/');
    }
    if (call->path.error == -E2BIG)
        return s3_error_set(&call->err, S3_ERROR_KEY_TOO_LONG, "the key has %zu bytes",
                            strlen(call->key));
    return call->path.error ? s3_call_fail_memory(call) : 0;
}

static int make_url(struct s3_call *call)
{
    strbuf_reset(&call->url);
    (void)strbuf_appendf(&call->url, "%s://%s", call->endpoint.scheme, call->endpoint.authority);
    (void)strbuf_append(&call->url, call->path.data, call->path.len);
    if (call->build.n_params > 0) {
        (void)strbuf_append_char(&call->url, '?');
        sigv4_encode_query(call->build.params, call->build.n_params, &call->url);
    }
    if (call->url.error == -E2BIG)
        return fail_input(call, "the request's URL is too long");
    return call->url.error ? s3_call_fail_memory(call) : 0;
}

/* The bytes are safe without the signature over them: by TLS, or because nobody is on the way, and
 * the checksum tells what else may happen to them. (SHA-256 takes 0.7 s/GB, where the CPU has
 * instructions for it.) */
static bool is_safe_unsigned(const struct s3_call *call)
{
    if (!(call->def->flags & S3_OP_F_PAYLOAD) || call->client->sign_payload)
        return false;
    if (!strcmp(call->endpoint.scheme, "https"))
        return true;
    return call->op == S3_OP_UPLOAD_PART && call->checksum.algo != S3_CHECKSUM_NONE &&
           atomic_load_explicit(&call->client->sums_held, memory_order_relaxed) &&
           aws_endpoint_is_loopback(call->endpoint.authority);
}

/* What stands in x-amz-content-sha256. */
static int payload_hash(struct s3_call *call, const char **ret)
{
    uint8_t hash[DIGEST_SHA256_SIZE];

    if (!call->body) {
        *ret = EMPTY_SHA256;
        return 0;
    }
    if (is_safe_unsigned(call)) {
        *ret = SIGV4_UNSIGNED_PAYLOAD;
        return 0;
    }
    if (!call->payload_hash[0]) {
        int r = digest_iov(DIGEST_SHA256, call->body, call->n_body, hash);
        if (r)
            return s3_call_fail_memory(call);
        encode_hex(hash, sizeof(hash), call->payload_hash);
    }
    *ret = call->payload_hash;
    return 0;
}

static void add_header(struct s3_call *call, const char *name, const char *value)
{
    call->headers[call->n_headers++] = (struct http_header){name, value};
}

static int sign(struct s3_call *call)
{
    int64_t now = clock_realtime_ns(call->client->clock) +
                  atomic_load_explicit(&call->client->clock_offset_ns, memory_order_relaxed);
    struct sigv4_input in = {
        .method = call->def->method,
        .path = call->path.data,
        .params = call->build.params,
        .n_params = call->build.n_params,
        .region = call->endpoint.region,
        .service = "s3",
        .time_ns = now,
        .credentials = call->credentials,
    };
    int r = payload_hash(call, &in.payload_hash);

    if (r)
        return r;
    timefmt_basic(now, call->date);
    add_header(call, "x-amz-date", call->date);
    add_header(call, "x-amz-content-sha256", in.payload_hash);
    if (call->credentials->session_token)
        add_header(call, "x-amz-security-token", call->credentials->session_token);
    in.headers = call->headers;
    in.n_headers = call->n_headers;
    strbuf_reset(&call->authorization);
    if (sigv4_authorization(&in, &call->authorization))
        return s3_call_fail_memory(call);
    add_header(call, "Authorization", call->authorization.data);
    return 0;
}

static bool is_repeatable(const struct s3_call *call)
{
    const struct s3_upload_part_in *part = call->op == S3_OP_UPLOAD_PART ? call->in : NULL;

    return call->def->flags & S3_OP_F_REPEATABLE && !(part && part->one_at_a_time);
}

static void set_deadlines(const struct s3_call *call, struct http_deadlines *d)
{
    *d = call->client->deadlines;
    if (call->def->min_first_byte_ms) {
        d->first_byte_ms = MAX(d->first_byte_ms, call->def->min_first_byte_ms);
        d->stall_ms = MAX(d->stall_ms, call->def->min_first_byte_ms);
    }
}

int s3_call_request(struct s3_call *call, struct http_request *req)
{
    struct s3_build *b = &call->build;
    int r = s3_call_locate(call);

    if (!r)
        r = make_url(call);
    if (r)
        return r;
    if (call->headers_alloc < b->n_headers + OWN_HEADERS_MAX) {
        call->headers_alloc = b->n_headers + OWN_HEADERS_MAX;
        call->headers = arena_alloc(&call->arena, call->headers_alloc * sizeof(*call->headers));
        if (!call->headers) {
            call->headers_alloc = 0;
            return s3_call_fail_memory(call);
        }
    }
    call->n_headers = 0;
    add_header(call, "Host", call->endpoint.authority);
    for (size_t i = 0; i < b->n_headers; i++)
        call->headers[call->n_headers++] = b->headers[i];
    if (!call->credentials->anonymous) {
        r = sign(call);
        if (r)
            return r;
    }
    *req = (struct http_request){
        .method = call->def->method,
        .url = call->url.data,
        .headers = call->headers,
        .n_headers = call->n_headers,
        .body = call->body,
        .n_body = call->n_body,
        .sink = call->sink.write ? &call->sink : NULL,
        .stat = call->op,
        .repeatable = is_repeatable(call),
        .fresh = call->op == S3_OP_GET_OBJECT && ((const struct s3_get_object_in *)call->in)->fresh,
    };
    set_deadlines(call, &req->deadlines);
    return 0;
}
