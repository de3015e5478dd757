/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the S3 protocol.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
#ifndef PAILFS_S3_S3_LIMITS_H
#define PAILFS_S3_S3_LIMITS_H

#include "base/attr.h"

#define S3_KEY_MAX            1024u
#define S3_BUCKET_NAME_MIN    3u
#define S3_BUCKET_NAME_MAX    63u
#define S3_LIST_PAGE_MAX      1000u
#define S3_DELETE_BATCH_MAX   1000u
#define S3_PARTS_MAX          10000u
#define S3_PART_SIZE_MIN      (5 * MIB) /* every part but the last */
#define S3_PART_SIZE_MAX      (5 * GIB)
#define S3_PUT_SIZE_MAX       (5 * GIB)
#define S3_COPY_SIZE_MAX      (5 * GIB) /* one CopyObject; larger: UploadPartCopy */
#define S3_OBJECT_SIZE_MAX    (S3_PARTS_MAX * S3_PART_SIZE_MAX) /* 48.8 TiB */
#define S3_USER_METADATA_MAX  2048u   /* bytes of names and values without the prefix */
#define S3_PRESIGN_EXPIRY_MAX 604800u /* seconds */

/* Longest ETag with quotes that we keep: md5 "-" part count is 40; others give opaque ones. */
#define S3_ETAG_SIZE       96u
#define S3_VERSION_ID_SIZE 128u
#define S3_UPLOAD_ID_SIZE  1024u

#endif
