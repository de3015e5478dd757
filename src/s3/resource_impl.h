/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the resource_*.c files only. */
#ifndef PAILFS_S3_RESOURCE_IMPL_H
#define PAILFS_S3_RESOURCE_IMPL_H

#include "s3/resource.h"

/* ids: type->n_ids strings, copied. A missing or empty one is S3_ERROR_CONFIG. After an error *m is
 * zeroed. */
int s3_resource_init(struct s3_resource_meta *m, const struct s3_resource_type *type,
                     struct s3_client *client, const char *const ids[], struct s3_error *reterr);
void s3_resource_done(struct s3_resource_meta *m);

#endif
