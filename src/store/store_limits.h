/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of what a store takes: those of S3 (s3/s3_limits.h), whose headers are not for the layers
 * above. store_s3.c checks that they are the same. */
#ifndef PAILFS_STORE_STORE_LIMITS_H
#define PAILFS_STORE_STORE_LIMITS_H

#include "base/attr.h"

#define STORE_KEY_MAX         1024u
#define STORE_LIST_MAX        1000u     /* keys per page */
#define STORE_DELETE_MANY_MAX 1000u     /* keys per request */
#define STORE_PARTS_MAX       10000u    /* of one upload */
#define STORE_PART_SIZE_MIN   (5 * MIB) /* every part but the last */
#define STORE_PART_SIZE_MAX   (5 * GIB)
#define STORE_COPY_SIZE_MAX   (5 * GIB) /* one COPY or UPLOAD_PART_COPY */
#define STORE_PUT_SIZE_MAX    (5 * GIB)
#define STORE_OBJECT_SIZE_MAX (STORE_PARTS_MAX * STORE_PART_SIZE_MAX)
#define STORE_METADATA_MAX    2048u /* bytes of names and values */

#endif
