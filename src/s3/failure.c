/* SPDX-License-Identifier: Apache-2.0 */
/* From an answer that is no success to a struct s3_error: what kind it is, and one sentence that
 * tells a person what is wrong and, where we know, what to do. Nothing here comes from credentials
 * but the name of the provider that gave them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/attr.h"
#include "base/limits.h"
#include "base/timefmt.h"
#include "s3/call.h"

/* What people meet. Others show the server's own words. */
static const struct {
    const char *code;
    const char *text;
} texts[] = {
    {"InvalidAccessKeyId", "the access key id is not known to the server"},
    {"SignatureDoesNotMatch",
     "the secret access key does not belong to the access key id, or something on the way changed "
     "the request"},
    {"InvalidToken", "the session token does not belong to the access key id"},
    {"ExpiredToken", "the session token has expired: get new credentials"},
    {"AccessDenied", "these credentials are not allowed to do this"},
    {"AccountProblem", "there is a problem with the account: ask the provider"},
    {"NoSuchBucket", "there is no such bucket"},
    {"NoSuchKey", "there is no such object"},
    {"NoSuchVersion", "there is no such version of the object"},
    {"NoSuchUpload", "there is no such multipart upload: it was completed, aborted or cleaned up"},
    {"BucketAlreadyExists", "the bucket's name is taken by another owner"},
    {"BucketAlreadyOwnedByYou", "the bucket exists and is yours already"},
    {"BucketNotEmpty", "the bucket is not empty"},
    {"IllegalLocationConstraintException", "the server does not make the bucket in that location: "
                                           "name the endpoint's region as location"},
    {"InvalidLocationConstraint", "the server has no such location for buckets"},
    {"PreconditionFailed", "the object is not in the state that was the condition"},
    {"ConditionalRequestConflict", "another request changed the object at the same time"},
    {"OperationAborted", "another request on the same thing is under way"},
    {"InvalidObjectState", "the object is archived: restore it first"},
    {"EntityTooLarge", "the object or part is larger than the server takes"},
    {"EntityTooSmall", "a part other than the last is smaller than the server takes"},
    {"KeyTooLongError", "the key is longer than 1,024 bytes"},
    {"SlowDown", "the server asks for fewer requests"},
    {"QuotaExceeded", "the quota is used up"},
    {"NotImplemented", "the server does not have this operation, or a header of it"},
    {"MethodNotAllowed", "the server does not allow this operation here"},
};

/* For answers without a code: HEAD has no body, proxies have their own. */
static const char *kind_text(enum s3_error_kind kind)
{
    switch (kind) {
    case S3_ERROR_NO_SUCH_KEY:
        return "there is no such object";
    case S3_ERROR_NO_SUCH_BUCKET:
        return "there is no such bucket";
    case S3_ERROR_ACCESS_DENIED:
        return "access denied: wrong keys, or keys that are not allowed to do this";
    case S3_ERROR_EXPIRED_CREDENTIALS:
        return "the session token has expired: get new credentials";
    case S3_ERROR_PRECONDITION:
        return "the object is not in the state that was the condition";
    case S3_ERROR_NOT_MODIFIED:
        return "the object has not changed";
    case S3_ERROR_BAD_RANGE:
        return "the range is outside the object";
    case S3_ERROR_THROTTLED:
        return "the server asks for fewer requests";
    case S3_ERROR_UNSUPPORTED:
        return "the server does not have this operation";
    case S3_ERROR_TOO_LARGE:
        return "the object or part is larger than the server takes";
    case S3_ERROR_NONE:
    case S3_ERROR_NO_SUCH_UPLOAD:
    case S3_ERROR_BAD_CREDENTIALS:
    case S3_ERROR_NO_CREDENTIALS:
    case S3_ERROR_CLOCK_SKEW:
    case S3_ERROR_WRONG_REGION:
    case S3_ERROR_CONFLICT:
    case S3_ERROR_BUCKET_EXISTS:
    case S3_ERROR_BUCKET_NOT_EMPTY:
    case S3_ERROR_KEY_TOO_LONG:
    case S3_ERROR_ARCHIVED:
    case S3_ERROR_QUOTA:
    case S3_ERROR_INVALID:
    case S3_ERROR_SERVER:
    case S3_ERROR_BAD_RESPONSE:
    case S3_ERROR_CONNECT:
    case S3_ERROR_TLS:
    case S3_ERROR_TIMEOUT:
    case S3_ERROR_CANCELLED:
    case S3_ERROR_CONFIG:
    case S3_ERROR_OUT_OF_MEMORY:
    case S3_ERROR_KIND_MAX:
        break;
    }
    return NULL;
}

/* Copies what may be printed; a server's words may hold anything. */
static void copy_printable(const char *s, char *buf, size_t size)
{
    size_t n = 0;

    for (; s && *s && n + 1 < size; s++) {
        unsigned char c = (unsigned char)*s;
        buf[n++] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    buf[n] = '\0';
}

/* "'bucket/key': " */
static const char *subject(const struct s3_call *call, char *buf, size_t size)
{
    char key[160];

    buf[0] = '\0';
    if (call->key) {
        copy_printable(call->key, key, sizeof(key));
        (void)snprintf(buf, size, "'%.64s/%s': ", call->bucket, key);
    } else if (call->bucket) {
        (void)snprintf(buf, size, "bucket '%.64s': ", call->bucket);
    }
    return buf;
}

static void explain_skew(const struct s3_call *call, const struct http_response *resp, char *buf,
                         size_t size)
{
    const char *date = http_response_header(resp, "Date");
    int64_t theirs;

    if (!date || timefmt_parse_http(date, &theirs))
        (void)snprintf(buf, size, "this machine's clock differs too much from the server's");
    else
        (void)snprintf(buf, size, "this machine's clock is %" PRId64 " s off the server's: set it",
                       (int64_t)((clock_realtime_ns(call->client->clock) - theirs) / NS_PER_S));
}

static void explain(const struct s3_call *call, const struct http_response *resp,
                    const struct s3_error *e, const char *server_words, char *buf, size_t size)
{
    const char *text = NULL;

    if (e->kind == S3_ERROR_CLOCK_SKEW) {
        explain_skew(call, resp, buf, size);
        return;
    }
    if (e->kind == S3_ERROR_WRONG_REGION && call->op != S3_OP_CREATE_BUCKET) {
        (void)snprintf(buf, size, "it is not in region '%s'%s%s", call->endpoint.region,
                       e->region[0] ? " but in " : "", e->region);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(texts) && e->code[0]; i++) {
        if (!strcmp(texts[i].code, e->kind == S3_ERROR_NO_SUCH_UPLOAD ? "NoSuchUpload" : e->code))
            text = texts[i].text;
    }
    if (!text && !e->code[0])
        text = kind_text(e->kind);
    if (text)
        (void)snprintf(buf, size, "%s", text);
    else if (server_words && *server_words)
        copy_printable(server_words, buf, MIN(size, (size_t)200));
    else
        (void)snprintf(buf, size, "the server answered with status %d", e->http_status);
    if (e->kind == S3_ERROR_BAD_CREDENTIALS && call->credentials) {
        size_t n = strlen(buf);
        (void)snprintf(buf + n, size - n, "; the keys came from %s", call->credentials->provider);
    }
}

static void take_region(struct s3_error *e, const struct http_response *resp,
                        const struct xml_error *xml)
{
    const char *region = http_response_header(resp, "x-amz-bucket-region");

    if (!region && xml)
        region = xml->region;
    if (region && aws_region_valid(region) && strlen(region) < sizeof(e->region))
        memcpy(e->region, region, strlen(region) + 1);
}

static void take_request_id(struct s3_error *e, const struct http_response *resp,
                            const struct xml_error *xml)
{
    const char *id = http_response_header(resp, "x-amz-request-id");

    copy_printable(id || !xml ? id : xml->request_id, e->request_id, sizeof(e->request_id));
}

/* What the status alone leaves open. */
static enum s3_error_kind refine(const struct s3_call *call, const struct s3_error *e,
                                 enum s3_error_kind kind)
{
    bool other_region = e->region[0] && strcmp(e->region, call->endpoint.region) != 0;

    if (e->http_status >= 200 && e->http_status < 300 && kind == S3_ERROR_BAD_RESPONSE &&
        e->code[0])
        return S3_ERROR_SERVER; /* an unknown failure inside a 200 */
    /* Ceph says NoSuchKey of an upload; these operations need no object of that key. */
    if (kind == S3_ERROR_NO_SUCH_KEY && (call->def->flags & S3_OP_F_UPLOAD))
        return S3_ERROR_NO_SUCH_UPLOAD;
    if (e->code[0])
        return kind;
    if (kind == S3_ERROR_NO_SUCH_KEY && call->def->path != S3_PATH_KEY)
        return S3_ERROR_NO_SUCH_BUCKET;
    if (call->def->method == HTTP_HEAD && other_region &&
        (e->http_status == 400 || e->http_status == 403))
        return S3_ERROR_WRONG_REGION;
    /* S3 refuses a token that has run out with 400, and HEAD cannot say so. */
    if (call->def->method == HTTP_HEAD && e->http_status == 400 && call->credentials &&
        call->credentials->session_token)
        return S3_ERROR_EXPIRED_CREDENTIALS;
    return kind;
}

int s3_failure_from_answer(struct s3_call *call, const struct http_response *resp,
                           const struct xml_error *xml)
{
    struct s3_error e = {.http_status = resp->status};
    char where[256];
    char why[320];
    int r;

    if (xml)
        copy_printable(xml->code, e.code, sizeof(e.code));
    take_region(&e, resp, xml);
    take_request_id(&e, resp, xml);
    e.kind = refine(call, &e, s3_error_kind_from_s3(e.code, resp->status));
    explain(call, resp, &e, xml ? xml->message : NULL, why, sizeof(why));
    r = s3_error_set(&call->err, e.kind, "%s%s%s%s%s", subject(call, where, sizeof(where)), why,
                     e.code[0] ? " (" : "", e.code, e.code[0] ? ")" : "");
    call->err.http_status = e.http_status;
    memcpy(call->err.code, e.code, sizeof(e.code));
    memcpy(call->err.region, e.region, sizeof(e.region));
    memcpy(call->err.request_id, e.request_id, sizeof(e.request_id));
    return r;
}

int s3_failure_from_error_body(struct s3_call *call, const struct http_response *resp)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(LIMIT_ERROR_BODY * 2);
    struct xml_error xml = {0};
    struct xml_parser *p = NULL;
    bool parsed = false;
    int r;

    /* Not one of ours: a redirect's or a proxy's page says nothing that we could rely on, the
     * status does. */
    if (resp->body.len > 0 && xml_parser_new(&xml_error_root, &xml, &arena, &p) == 0)
        parsed =
            xml_parser_feed(p, resp->body.data, resp->body.len) == 0 && xml_parser_finish(p) == 0;
    if (resp->status >= 200 && resp->status < 300) {
        char problem[64];
        (void)snprintf(problem, sizeof(problem), "the status %d is not expected here",
                       resp->status);
        r = s3_failure_bad_answer(call, resp, S3_ERROR_BAD_RESPONSE, problem);
    } else {
        r = s3_failure_from_answer(call, resp, parsed ? &xml : NULL);
    }
    xml_parser_free(p);
    return r;
}

int s3_failure_from_transport(struct s3_call *call, const struct http_response *resp)
{
    char where[256];
    int r = s3_error_set(&call->err, resp->kind, "%s%s", subject(call, where, sizeof(where)),
                         resp->message);

    take_request_id(&call->err, resp, NULL);
    return r;
}

int s3_failure_bad_answer(struct s3_call *call, const struct http_response *resp,
                          enum s3_error_kind kind, const char *problem)
{
    char where[256];
    int r = s3_error_set(&call->err, kind, "%s%s", subject(call, where, sizeof(where)), problem);

    call->err.http_status = resp->status;
    take_request_id(&call->err, resp, NULL);
    return r;
}
