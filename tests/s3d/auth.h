/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of AWS Signature Version 4, written from the specification and not shared with the
 * client library on purpose: each checks the other.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html */
#ifndef S3D_AUTH_H
#define S3D_AUTH_H

#include <stdbool.h>
#include <stdint.h>

struct request;

enum auth_payload {
    AUTH_PAYLOAD_UNSIGNED,
    AUTH_PAYLOAD_SHA256,           /* auth.payload_sha256 must come out */
    AUTH_PAYLOAD_CHUNKS,           /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD */
    AUTH_PAYLOAD_CHUNKS_TRAILER,   /* ...-TRAILER */
    AUTH_PAYLOAD_UNSIGNED_TRAILER, /* STREAMING-UNSIGNED-PAYLOAD-TRAILER */
};

struct auth {
    bool anonymous;
    bool presigned;
    enum auth_payload payload;
    char payload_sha256[65];
    char region[32]; /* of the credential scope */
    /* for the signatures of chunks */
    uint8_t signing_key[32];
    char amz_date[17];
    char scope[96];
    char signature[65];
};

/* False: refused, and the reply says why. Leaves r->auth filled otherwise. */
bool auth_check(struct request *r);
/* Whether the signature's region fits the bucket (or the endpoint); false: refused. */
bool auth_check_region(struct request *r);

#endif
