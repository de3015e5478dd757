/* SPDX-License-Identifier: Apache-2.0 */
/* The operations: each reads the request, works on the store and fills the reply. */
#ifndef S3D_OPS_H
#define S3D_OPS_H

#include <stdbool.h>

struct request;

/* buckets.c */
void op_list_buckets(struct request *r);
void op_create_bucket(struct request *r);
void op_delete_bucket(struct request *r);
void op_head_bucket(struct request *r);
void op_get_bucket_location(struct request *r);
void op_get_bucket_versioning(struct request *r);
void op_put_bucket_versioning(struct request *r);

/* list.c, versions.c */
void op_list_objects(struct request *r);
void op_list_objects_v2(struct request *r);
void op_list_object_versions(struct request *r);

/* get.c */
void op_get_object(struct request *r); /* HeadObject too */

/* attributes.c */
void op_get_object_attributes(struct request *r);

/* put.c, copy.c, delete.c */
bool op_put_object_begin(struct request *r);
void op_put_object(struct request *r);
void op_copy_object(struct request *r);
void op_delete_object(struct request *r);
void op_delete_objects(struct request *r);
void op_restore_object(struct request *r);

/* multipart.c, parts.c */
void op_create_multipart_upload(struct request *r);
bool op_upload_part_begin(struct request *r);
void op_upload_part(struct request *r);
void op_upload_part_copy(struct request *r);
void op_complete_multipart_upload(struct request *r);
void op_abort_multipart_upload(struct request *r);
void op_list_multipart_uploads(struct request *r);
void op_list_parts(struct request *r);

void op_not_implemented(struct request *r);

#endif
