/* SPDX-License-Identifier: Apache-2.0 */
/* Presigned URLs. The operation is built as for a request, so that what can be presigned and what
 * can be sent never differ; then the signature goes into the query.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html */
#include <errno.h>
#include <string.h>

#include "aws/sigv4.h"
#include "base/limits.h"
#include "s3/call.h"

static int sign_url(struct s3_call *call, uint32_t expires_s, char **ret)
{
    CLEANUP_STRBUF struct strbuf url = STRBUF_INIT(LIMIT_URL);
    struct http_header host = {"host", call->endpoint.authority};
    struct sigv4_input in = {
        .method = call->def->method,
        .path = call->path.data,
        .params = call->build.params,
        .n_params = call->build.n_params,
        .headers = &host,
        .n_headers = 1,
        .payload_hash = SIGV4_UNSIGNED_PAYLOAD,
        .region = call->endpoint.region,
        .service = "s3",
        .time_ns = clock_realtime_ns(call->client->clock) +
                   atomic_load_explicit(&call->client->clock_offset_ns, memory_order_relaxed),
        .credentials = call->credentials,
    };
    char *text;

    (void)strbuf_appendf(&url, "%s://%s%s", call->endpoint.scheme, call->endpoint.authority,
                         call->path.data);
    if (!call->credentials->anonymous) {
        (void)strbuf_append_char(&url, '?');
        (void)sigv4_presign_query(&in, expires_s, &url);
    } else if (in.n_params > 0) {
        (void)strbuf_append_char(&url, '?');
        sigv4_encode_query(in.params, in.n_params, &url);
    }
    if (url.error == -E2BIG)
        return s3_error_set(&call->err, S3_ERROR_INVALID, "the URL is too long");
    text = strbuf_take(&url);
    if (!text)
        return s3_call_fail_memory(call);
    *ret = text;
    return 0;
}

static int presign(struct s3_call *call, uint32_t expires_s, char **ret)
{
    struct s3_client *c = call->client;
    int r;

    if (!(call->def->flags & S3_OP_F_PRESIGN))
        return s3_error_set(&call->err, S3_ERROR_INVALID, "%s cannot be presigned",
                            call->def->name);
    if (expires_s < 1 || expires_s > S3_PRESIGN_EXPIRY_MAX)
        return s3_error_set(&call->err, S3_ERROR_INVALID,
                            "a URL can be valid for 1 to %u seconds, not %u", S3_PRESIGN_EXPIRY_MAX,
                            expires_s);
    r = s3_call_prepare(call);
    if (r)
        return r;
    /* They would have to be sent by whoever uses the URL, and a URL does not say so. */
    if (call->build.n_headers > 0)
        return s3_error_set(&call->err, S3_ERROR_INVALID,
                            "a presigned URL cannot carry the header %s",
                            call->build.headers[0].name);
    r = aws_credentials_source_get(c->credentials, &call->credentials, &call->err);
    if (!r)
        r = s3_call_locate(call);
    return r ? r : sign_url(call, expires_s, ret);
}

static void never_done(void *ctx, int result, const struct s3_error *err)
{
    (void)ctx;
    (void)result;
    (void)err;
}

int s3_presign_url(struct s3_client *c, enum s3_op op, const void *in, uint32_t expires_s,
                   char **ret, struct s3_error *reterr)
{
    struct s3_call *call = NULL;
    int r = s3_call_new(c, op, in, NULL, never_done, NULL, &call);

    if (r)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    r = presign(call, expires_s, ret);
    if (r && reterr)
        *reterr = call->err;
    s3_call_receive_done(call);
    s3_client_unref(TAKE_PTR(call->client));
    s3_call_unref(call);
    return r;
}
