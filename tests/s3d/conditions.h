/* SPDX-License-Identifier: Apache-2.0 */
/* Conditional requests, RFC 9110 section 13 as S3 applies it. */
#ifndef S3D_CONDITIONS_H
#define S3D_CONDITIONS_H

#include "errors.h"

struct request;
struct version;

/* If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since of a read.
 * ERR_NONE, ERR_NOT_MODIFIED or ERR_PRECONDITION_FAILED. */
enum s3d_error condition_read(const struct request *r, const struct version *v);
/* The same of x-amz-copy-source-if-*: every failure is ERR_PRECONDITION_FAILED. */
enum s3d_error condition_copy_source(const struct request *r, const struct version *v);
/* If-Match and If-None-Match of a write; v: the current version or NULL (a delete marker counts as
 * none). Call with the bucket locked for writing until the new version is published. */
enum s3d_error condition_write(const struct request *r, const struct version *v);
/* If-Match of a delete. */
enum s3d_error condition_delete(const struct request *r, const char *if_match,
                                const struct version *v);
/* The combinations that S3 refuses outright (If-None-Match other than *), before the body. */
enum s3d_error condition_write_supported(const struct request *r);

#endif
