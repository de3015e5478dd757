/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the operations: one request of a bed, looked at in full. */
#ifndef PAILFS_TESTS_S3_REQUEST_CHECK_H
#define PAILFS_TESTS_S3_REQUEST_CHECK_H

#include "s3_bed.h"

#define XMLNS "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

#define HOST         "bkt.s3.us-east-1.amazonaws.com"
#define SERVICE_HOST "s3.us-east-1.amazonaws.com"
#define KEY          "a b/\xc3\xa4+%"
#define KEY_PATH     "/a%20b/%C3%A4%2B%25"

/* The first request, in full. target is what follows https://HOST; headers the lines beside Host,
 * x-amz-date, x-amz-content-sha256 and Authorization, which are checked too. */
void check_request(const struct bed *b, const char *method, const char *host, const char *target,
                   const char *headers, const char *body, bool unsigned_payload);
/* x-amz-content-sha256 is the body's hash, or UNSIGNED-PAYLOAD. */
void check_payload_hash(const struct bed *b, size_t index, bool unsigned_payload);

#endif
