/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Signature Version 4 for S3: header and query (presigned) form.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
 * Pure functions of their input plus a cache of the day's signing key (thread-safe). */
#ifndef PAILFS_AWS_SIGV4_H
#define PAILFS_AWS_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "http/http.h"

struct aws_credentials;

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

/* A query parameter, not yet encoded. value NULL = "name=" in the canonical form ("?uploads"). */
struct sigv4_param {
    const char *name;
    const char *value;
};

struct sigv4_input {
    enum http_method method;
    const char *path; /* already percent-encoded as sent (S3: encoded once, not normalised) */
    const struct sigv4_param *params; /* any order */
    size_t n_params;
    /* All of them are signed; must hold Host. White space inside a value is signed as one space, as
     * AWS says; other servers may not, so do not send runs of it. */
    const struct http_header *headers;
    size_t n_headers;
    const char *payload_hash; /* hex SHA-256, or SIGV4_UNSIGNED_PAYLOAD */
    const char *region;
    const char *service;                       /* "s3" */
    int64_t time_ns;                           /* corrected for clock skew */
    const struct aws_credentials *credentials; /* borrowed */
    bool normalize_path; /* other services (AWS' test vectors): remove dot segments, encode twice */
};

/* Appends the value of the Authorization header. The caller has put x-amz-date,
 * x-amz-content-sha256 and x-amz-security-token among the headers. 0 or -errno. */
int sigv4_authorization(const struct sigv4_input *in, struct strbuf *ret);
/* Appends the whole encoded query string (parameters of `in` plus X-Amz-*), valid for expires_s
 * seconds (1 to 604800). */
int sigv4_presign_query(const struct sigv4_input *in, uint32_t expires_s, struct strbuf *ret);

/* Wipes the cached signing keys (they are valid for the rest of their day). */
void sigv4_forget_keys(void);

/* The steps, for tests: AWS publishes each as a vector. */
int sigv4_canonical_request(const struct sigv4_input *in, struct strbuf *ret);
int sigv4_string_to_sign(const struct sigv4_input *in, const char *canonical_request, size_t len,
                         struct strbuf *ret);

/* "a=b&c=" encoded and in the given order, as it stands in the URL. */
void sigv4_encode_query(const struct sigv4_param *params, size_t n_params, struct strbuf *ret);

#endif
