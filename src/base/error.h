/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong with a request to S3, owned by the caller. Functions of the layers http, aws, s3
 * and store take a `struct s3_error *reterr` (may be NULL) and fill it when they return < 0.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
#ifndef PAILFS_BASE_ERROR_H
#define PAILFS_BASE_ERROR_H

#include <stdbool.h>

#include "base/attr.h"

enum s3_error_kind {
    S3_ERROR_NONE,
    S3_ERROR_NO_SUCH_KEY, /* key, version or upload is not there */
    S3_ERROR_NO_SUCH_UPLOAD,
    S3_ERROR_NO_SUCH_BUCKET,
    S3_ERROR_ACCESS_DENIED,
    S3_ERROR_BAD_CREDENTIALS, /* unknown key id, signature does not match, token invalid */
    S3_ERROR_EXPIRED_CREDENTIALS,
    S3_ERROR_NO_CREDENTIALS, /* none found by any provider */
    S3_ERROR_CLOCK_SKEW,
    S3_ERROR_WRONG_REGION,  /* 301, 400 AuthorizationHeaderMalformed, IllegalLocationConstraint */
    S3_ERROR_PRECONDITION,  /* 412: positively, the condition does not hold */
    S3_ERROR_CONFLICT,      /* 409 ConditionalRequestConflict / OperationAborted */
    S3_ERROR_NOT_MODIFIED,  /* 304 */
    S3_ERROR_BUCKET_EXISTS, /* BucketAlreadyExists / BucketAlreadyOwnedByYou */
    S3_ERROR_BUCKET_NOT_EMPTY,
    S3_ERROR_BAD_RANGE,    /* 416 */
    S3_ERROR_TOO_LARGE,    /* EntityTooLarge */
    S3_ERROR_KEY_TOO_LONG, /* KeyTooLongError */
    S3_ERROR_ARCHIVED,     /* InvalidObjectState: Glacier without a restore */
    S3_ERROR_QUOTA,        /* the server's space or quota is used up */
    S3_ERROR_INVALID,      /* any other 4xx */
    S3_ERROR_UNSUPPORTED,  /* 501, 405 */
    S3_ERROR_THROTTLED,    /* SlowDown, 503 with it, 429 */
    S3_ERROR_SERVER,       /* any other 5xx */
    S3_ERROR_BAD_RESPONSE, /* unparsable, cut, wrong checksum or length, headers over the caps */
    S3_ERROR_CONNECT,      /* name resolution, connect, reset, closed early */
    S3_ERROR_TLS,
    S3_ERROR_TIMEOUT,
    S3_ERROR_CANCELLED,
    S3_ERROR_CONFIG, /* something given by the user is wrong; message says what */
    S3_ERROR_OUT_OF_MEMORY,
    S3_ERROR_KIND_MAX,
};

struct s3_error {
    enum s3_error_kind kind;
    int http_status;     /* 0 when no answer arrived */
    unsigned tries;      /* requests sent */
    bool maybe_done;     /* a try whose answer was lost may have had its effect, or have it yet */
    char code[64];       /* S3's <Code>, "" when there was none */
    char request_id[64]; /* x-amz-request-id */
    char operation[32];  /* "GetObject" */
    char region[32];     /* from x-amz-bucket-region or <Region>, "" when not told */
    char message[512];   /* one sentence for a person, without secrets */
};

/* "no-such-key" ... for logs and tests. Never NULL. */
const char *s3_error_kind_name(enum s3_error_kind kind);
/* The errno (positive) that a filesystem call returns for this kind. */
int s3_error_errno(enum s3_error_kind kind);
/* Fills *e (NULL ok) and returns -s3_error_errno(kind). Clears the other fields. */
int s3_error_set(struct s3_error *e, enum s3_error_kind kind, const char *fmt, ...)
    ATTR_PRINTF(3, 4);
/* Kind for an S3 error code and HTTP status. One table. An empty code means an answer that has no
 * body by nature (HEAD), where 404 is "no such key"; a caller that got a body without a code in it
 * (a proxy's page) must not come here with 404, for that says nothing about the key. */
enum s3_error_kind s3_error_kind_from_s3(const char *code, int http_status);
/* "GetObject: NoSuchKey (404), request ABC: message" into buf; returns buf. */
const char *s3_error_describe(const struct s3_error *e, char *buf, unsigned size);

#endif
