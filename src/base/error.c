/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* test_error.c notices a kind without a name. */
static const char *const KIND_NAMES[S3_ERROR_KIND_MAX] = {
    [S3_ERROR_NONE] = "none",
    [S3_ERROR_NO_SUCH_KEY] = "no-such-key",
    [S3_ERROR_NO_SUCH_UPLOAD] = "no-such-upload",
    [S3_ERROR_NO_SUCH_BUCKET] = "no-such-bucket",
    [S3_ERROR_ACCESS_DENIED] = "access-denied",
    [S3_ERROR_BAD_CREDENTIALS] = "bad-credentials",
    [S3_ERROR_EXPIRED_CREDENTIALS] = "expired-credentials",
    [S3_ERROR_NO_CREDENTIALS] = "no-credentials",
    [S3_ERROR_CLOCK_SKEW] = "clock-skew",
    [S3_ERROR_WRONG_REGION] = "wrong-region",
    [S3_ERROR_PRECONDITION] = "precondition",
    [S3_ERROR_CONFLICT] = "conflict",
    [S3_ERROR_NOT_MODIFIED] = "not-modified",
    [S3_ERROR_BUCKET_EXISTS] = "bucket-exists",
    [S3_ERROR_BUCKET_NOT_EMPTY] = "bucket-not-empty",
    [S3_ERROR_BAD_RANGE] = "bad-range",
    [S3_ERROR_TOO_LARGE] = "too-large",
    [S3_ERROR_KEY_TOO_LONG] = "key-too-long",
    [S3_ERROR_ARCHIVED] = "archived",
    [S3_ERROR_QUOTA] = "quota",
    [S3_ERROR_INVALID] = "invalid",
    [S3_ERROR_UNSUPPORTED] = "unsupported",
    [S3_ERROR_THROTTLED] = "throttled",
    [S3_ERROR_SERVER] = "server",
    [S3_ERROR_BAD_RESPONSE] = "bad-response",
    [S3_ERROR_CONNECT] = "connect",
    [S3_ERROR_TLS] = "tls",
    [S3_ERROR_TIMEOUT] = "timeout",
    [S3_ERROR_CANCELLED] = "cancelled",
    [S3_ERROR_CONFIG] = "config",
    [S3_ERROR_OUT_OF_MEMORY] = "out-of-memory",
};

/* Codes whose meaning a caller acts on. A code that is not here counts by its status.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList */
static const struct {
    const char *code;
    enum s3_error_kind kind;
} CODES[] = {
    {"NoSuchKey", S3_ERROR_NO_SUCH_KEY},
    {"NoSuchVersion", S3_ERROR_NO_SUCH_KEY},
    {"NoSuchUpload", S3_ERROR_NO_SUCH_UPLOAD},
    {"NoSuchBucket", S3_ERROR_NO_SUCH_BUCKET},

    {"AccessDenied", S3_ERROR_ACCESS_DENIED},
    {"AccessForbidden", S3_ERROR_ACCESS_DENIED},
    {"AllAccessDisabled", S3_ERROR_ACCESS_DENIED},
    {"AccountProblem", S3_ERROR_ACCESS_DENIED},
    {"NotSignedUp", S3_ERROR_ACCESS_DENIED},
    {"UnauthorizedAccess", S3_ERROR_ACCESS_DENIED},
    {"UserSuspended", S3_ERROR_ACCESS_DENIED}, /* Ceph */

    {"InvalidAccessKeyId", S3_ERROR_BAD_CREDENTIALS},
    {"SignatureDoesNotMatch", S3_ERROR_BAD_CREDENTIALS},
    {"InvalidToken", S3_ERROR_BAD_CREDENTIALS},
    {"InvalidSecurity", S3_ERROR_BAD_CREDENTIALS},
    {"InvalidClientTokenId", S3_ERROR_BAD_CREDENTIALS},
    {"UnrecognizedClientException", S3_ERROR_BAD_CREDENTIALS},
    {"ExpiredToken", S3_ERROR_EXPIRED_CREDENTIALS},
    {"ExpiredTokenException", S3_ERROR_EXPIRED_CREDENTIALS},
    {"TokenRefreshRequired", S3_ERROR_EXPIRED_CREDENTIALS},
    {"RequestTimeTooSkewed", S3_ERROR_CLOCK_SKEW},
    {"RequestExpired", S3_ERROR_CLOCK_SKEW},
    {"RequestInTheFuture", S3_ERROR_CLOCK_SKEW},

    {"PermanentRedirect", S3_ERROR_WRONG_REGION},
    {"TemporaryRedirect", S3_ERROR_WRONG_REGION},
    {"Redirect", S3_ERROR_WRONG_REGION},
    {"AuthorizationHeaderMalformed", S3_ERROR_WRONG_REGION},
    {"IllegalLocationConstraintException", S3_ERROR_WRONG_REGION},
    {"InvalidLocationConstraint", S3_ERROR_WRONG_REGION},
    {"InvalidRegion", S3_ERROR_WRONG_REGION},

    {"PreconditionFailed", S3_ERROR_PRECONDITION},
    {"ConditionalRequestConflict", S3_ERROR_CONFLICT},
    {"OperationAborted", S3_ERROR_CONFLICT},
    {"ConcurrentModification", S3_ERROR_CONFLICT}, /* Ceph */
    {"NotModified", S3_ERROR_NOT_MODIFIED},
    {"BucketAlreadyExists", S3_ERROR_BUCKET_EXISTS},
    {"BucketAlreadyOwnedByYou", S3_ERROR_BUCKET_EXISTS},
    {"BucketNotEmpty", S3_ERROR_BUCKET_NOT_EMPTY},

    {"InvalidRange", S3_ERROR_BAD_RANGE},
    {"EntityTooLarge", S3_ERROR_TOO_LARGE},
    {"MaxMessageLengthExceeded", S3_ERROR_TOO_LARGE},
    {"KeyTooLongError", S3_ERROR_KEY_TOO_LONG},
    {"KeyTooLong", S3_ERROR_KEY_TOO_LONG},
    {"InvalidObjectState", S3_ERROR_ARCHIVED},

    {"QuotaExceeded", S3_ERROR_QUOTA},                  /* Ceph */
    {"XMinioStorageFull", S3_ERROR_QUOTA},              /* MinIO */
    {"XMinioAdminBucketQuotaExceeded", S3_ERROR_QUOTA}, /* MinIO */

    {"InvalidBucketName", S3_ERROR_INVALID},
    {"InvalidArgument", S3_ERROR_INVALID},
    {"InvalidRequest", S3_ERROR_INVALID},
    {"InvalidPart", S3_ERROR_INVALID},
    {"InvalidPartOrder", S3_ERROR_INVALID},
    {"InvalidStorageClass", S3_ERROR_INVALID},
    {"EntityTooSmall", S3_ERROR_INVALID},
    {"MalformedXML", S3_ERROR_INVALID},
    {"MetadataTooLarge", S3_ERROR_INVALID},
    {"MissingContentLength", S3_ERROR_INVALID},

    {"NotImplemented", S3_ERROR_UNSUPPORTED},
    {"MethodNotAllowed", S3_ERROR_UNSUPPORTED},

    {"SlowDown", S3_ERROR_THROTTLED},
    {"SlowDownRead", S3_ERROR_THROTTLED},  /* MinIO */
    {"SlowDownWrite", S3_ERROR_THROTTLED}, /* MinIO */
    {"ServerBusy", S3_ERROR_THROTTLED},
    {"Busy", S3_ERROR_THROTTLED},
    {"Throttling", S3_ERROR_THROTTLED},
    {"ThrottlingException", S3_ERROR_THROTTLED},
    {"ThrottledException", S3_ERROR_THROTTLED},
    {"RequestThrottled", S3_ERROR_THROTTLED},
    {"RequestThrottledException", S3_ERROR_THROTTLED},
    {"RequestLimitExceeded", S3_ERROR_THROTTLED},
    {"BandwidthLimitExceeded", S3_ERROR_THROTTLED},
    {"LimitExceededException", S3_ERROR_THROTTLED},
    {"TooManyRequests", S3_ERROR_THROTTLED},
    {"TooManyRequestsException", S3_ERROR_THROTTLED},
    {"ProvisionedThroughputExceededException", S3_ERROR_THROTTLED},
    {"PriorRequestNotComplete", S3_ERROR_THROTTLED},
    {"EC2ThrottledException", S3_ERROR_THROTTLED},

    {"InternalError", S3_ERROR_SERVER},
    {"InternalServerError", S3_ERROR_SERVER},
    {"ServiceUnavailable", S3_ERROR_SERVER},
    {"RequestTimeout", S3_ERROR_TIMEOUT}, /* 400: our body came too slowly; may be sent again */
    {"RequestTimeoutException", S3_ERROR_TIMEOUT},

    /* What was sent arrived as something else. Sending it again is right; believing it is not. */
    {"BadDigest", S3_ERROR_BAD_RESPONSE},
    {"XAmzContentSHA256Mismatch", S3_ERROR_BAD_RESPONSE},
    {"XAmzContentChecksumMismatch", S3_ERROR_BAD_RESPONSE},
    {"IncompleteBody", S3_ERROR_BAD_RESPONSE},
};

/* For answers without a body (HEAD) and codes that the table does not know. */
static enum s3_error_kind kind_from_status(int status)
{
    switch (status) {
    case 301:
    case 302:
    case 307:
    case 308:
        return S3_ERROR_WRONG_REGION;
    case 304:
        return S3_ERROR_NOT_MODIFIED;
    case 401:
        return S3_ERROR_BAD_CREDENTIALS;
    case 403:
        return S3_ERROR_ACCESS_DENIED;
    case 404:
    case 410:
        /* A HEAD cannot tell a missing key from a missing bucket; HeadBucket's caller knows. */
        return S3_ERROR_NO_SUCH_KEY;
    case 405:
    case 501:
        return S3_ERROR_UNSUPPORTED;
    case 408:
        return S3_ERROR_TIMEOUT;
    case 409:
        return S3_ERROR_CONFLICT;
    case 412:
        return S3_ERROR_PRECONDITION;
    case 413:
        return S3_ERROR_TOO_LARGE;
    case 416:
        return S3_ERROR_BAD_RANGE;
    case 429:
    case 509:
        return S3_ERROR_THROTTLED;
    case 507:
        return S3_ERROR_QUOTA;
    default:
        break;
    }
    if (status >= 400 && status < 500)
        return S3_ERROR_INVALID;
    if (status >= 500 && status < 600)
        return S3_ERROR_SERVER;
    /* No HTTP status, or one that makes no sense of an error. */
    return S3_ERROR_BAD_RESPONSE;
}

enum s3_error_kind s3_error_kind_from_s3(const char *code, int http_status)
{
    if (code && *code) {
        for (size_t i = 0; i < ARRAY_SIZE(CODES); i++)
            if (strcmp(code, CODES[i].code) == 0)
                return CODES[i].kind;
        /* A 404 that speaks of something else than a key or an upload (NoSuchTagSet,
         * NoSuchLifecycleConfiguration, a proxy's words) does not show that a key is absent, and a
         * 409 about something else (InvalidBucketState) is not worth another try. */
        if (http_status == 404 || http_status == 410 || http_status == 409)
            return S3_ERROR_INVALID;
    }
    return kind_from_status(http_status);
}

const char *s3_error_kind_name(enum s3_error_kind kind)
{
    return (unsigned)kind < S3_ERROR_KIND_MAX ? KIND_NAMES[kind] : "unknown";
}

int s3_error_errno(enum s3_error_kind kind)
{
    switch (kind) {
    case S3_ERROR_NONE:
        return 0;
    case S3_ERROR_NO_SUCH_KEY:
        return ENOENT;
    case S3_ERROR_NO_SUCH_UPLOAD:
        /* The upload under a writer was aborted by somebody. Its bytes are gone, but the file may
         * well be there: ENOENT would say the wrong thing at close. */
        return EIO;
    case S3_ERROR_NO_SUCH_BUCKET:
        /* The bucket was there at mount. Whatever made it vanish (a new gateway, a moved zone), a
         * tool that hears ENOENT believes that each file was deleted, and mirrors the deletion. */
        return EIO;
    case S3_ERROR_ACCESS_DENIED:
        /* Not EPERM: that says the operation is not for any user to do (POSIX: "not permitted"),
         * while a policy forbids this key to these credentials, which is EACCES. */
        return EACCES;
    case S3_ERROR_BAD_CREDENTIALS:
    case S3_ERROR_EXPIRED_CREDENTIALS:
    case S3_ERROR_NO_CREDENTIALS:
        /* Points a person at the keys; EIO would point at the disk and the network. */
        return EACCES;
    case S3_ERROR_CLOCK_SKEW:
    case S3_ERROR_WRONG_REGION:
        return EIO;
    case S3_ERROR_PRECONDITION:
        /* The version that the caller's handle stands for was replaced: what NFS calls stale.
         * Exclusive creation maps the same answer to EEXIST itself, knowing what it asked. */
        return ESTALE;
    case S3_ERROR_CONFLICT:
        /* Another writer was at the same key at the same time, also after the retries. EAGAIN
         * would be taken for a non-blocking descriptor, EIO for damage. */
        return EBUSY;
    case S3_ERROR_NOT_MODIFIED:
        /* An answer, not a failure; whoever asks with If-None-Match handles it before here. */
        return EIO;
    case S3_ERROR_BUCKET_EXISTS:
        return EEXIST;
    case S3_ERROR_BUCKET_NOT_EMPTY:
        return ENOTEMPTY;
    case S3_ERROR_BAD_RANGE:
        /* Readers ask within the size they know under If-Match, so the object is not what its
         * attributes say. */
        return EIO;
    case S3_ERROR_TOO_LARGE:
        return EFBIG;
    case S3_ERROR_KEY_TOO_LONG:
        return ENAMETOOLONG;
    case S3_ERROR_ARCHIVED:
        /* One file that cannot be read until somebody restores it: tools report and go on, as
         * with a file of another user. EIO makes them stop and blame the disk. */
        return EACCES;
    case S3_ERROR_QUOTA:
        /* ENOSPC and not EDQUOT: it is the one that backup tools know to stop at. */
        return ENOSPC;
    case S3_ERROR_INVALID:
        /* Not EINVAL: the application's arguments were right, the request we made of them was
         * refused. */
        return EIO;
    case S3_ERROR_UNSUPPORTED:
        return EOPNOTSUPP;
    case S3_ERROR_THROTTLED:
    case S3_ERROR_SERVER:
    case S3_ERROR_BAD_RESPONSE:
    case S3_ERROR_CONNECT:
    case S3_ERROR_TLS:
        return EIO;
    case S3_ERROR_TIMEOUT:
        /* A network that stays dead past `timeout` is EIO, as with a lost disk: ETIMEDOUT is not
         * among the errors that read(2) and close(2) prepare applications for. */
        return EIO;
    case S3_ERROR_CANCELLED:
        return EINTR;
    case S3_ERROR_CONFIG:
        return EINVAL;
    case S3_ERROR_OUT_OF_MEMORY:
        return ENOMEM;
    case S3_ERROR_KIND_MAX:
        break;
    }
    return EIO;
}

/* Cuts a half character off the end of a text that vsnprintf has shortened. */
static void trim_partial_utf8(char *s)
{
    size_t len = strlen(s), back = 0;
    while (back < 3 && back < len && ((unsigned char)s[len - 1 - back] & 0xc0) == 0x80)
        back++;
    if (back == len)
        return;
    unsigned char lead = (unsigned char)s[len - 1 - back];
    size_t need = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    if (need > back)
        s[len - 1 - back] = '\0';
}

int s3_error_set(struct s3_error *e, enum s3_error_kind kind, const char *fmt, ...)
{
    if (e) {
        /* Formatted apart first: the arguments may point into *e. */
        char message[sizeof(e->message)];
        va_list ap;
        va_start(ap, fmt);
        int n = vsnprintf(message, sizeof(message), fmt, ap);
        va_end(ap);
        if (n < 0)
            message[0] = '\0';
        else if ((size_t)n >= sizeof(message))
            trim_partial_utf8(message);
        *e = (struct s3_error){.kind = kind};
        memcpy(e->message, message, sizeof(message));
    }
    return -s3_error_errno(kind);
}

const char *s3_error_describe(const struct s3_error *e, char *buf, unsigned size)
{
    if (!size)
        return "";
    const char *what = e->code[0] ? e->code : s3_error_kind_name(e->kind);
    char status[32] = "", tries[32] = "";
    if (e->http_status)
        snprintf(status, sizeof(status), " (%d)", e->http_status);
    if (e->tries > 1)
        snprintf(tries, sizeof(tries), ", %u tries", e->tries);
    int n = snprintf(buf, size, "%s%s%s%s%s%s%s%s%s", e->operation, e->operation[0] ? ": " : "",
                     what, status, e->request_id[0] ? ", request " : "", e->request_id, tries,
                     e->message[0] ? ": " : "", e->message);
    if (n < 0)
        buf[0] = '\0';
    else if ((unsigned)n >= size)
        trim_partial_utf8(buf);
    return buf;
}
