/* SPDX-License-Identifier: Apache-2.0 */
/* What the operations on objects share. */
#ifndef S3D_OBJECTS_H
#define S3D_OBJECTS_H

#include "checksum.h"
#include "errors.h"
#include "store.h"

struct request;

#define OBJECT_PUT_MAX  (5ull << 30)  /* PutObject, CopyObject, one part */
#define OBJECT_SIZE_MAX (50ull << 40) /* 48.8 TiB is what 10,000 parts make; AWS says 50 TB */
#define OBJECT_PART_MIN (5ull << 20)
#define METADATA_MAX    2048

/* Takes Content-Type and its like, x-amz-meta-* and the storage class from the request. False:
 * refused (reply filled). */
bool object_take_fields(struct request *r, struct fields *f, char storage_class[24]);
/* The body's blob becomes the only segment of a list (none when the body is empty). False: no
 * memory. */
bool object_take_blob(struct request *r, struct segment **segments, unsigned *n);
/* Computes "etag" from the body's MD5 (or makes up an opaque one). */
void object_make_etag(struct request *r, char etag[48]);

/* The version that a read is about: the one named by ?versionId= or the current one, referenced.
 * NULL: the reply says why. */
struct version *object_find(struct request *r);
/* As S3 checks them: "null", or something that could be an id. */
bool object_version_id_valid(const char *id);

/* Publishes v (taken over in any case) under the request's conditions. The caller holds
 * bucket->lock for writing; *ret_old is to be unreferenced after it let go. ERR_NONE or why not;
 * v->id is then what it became. */
enum s3d_error object_publish_locked(struct request *r, struct version *v,
                                     struct version **ret_old);
/* The same with the locking, and the reply of a failure. False: failed. On success
 * x-amz-version-id is set. */
bool object_publish(struct request *r, struct version *v);

/* x-amz-version-id when the bucket has or had versioning. */
void object_reply_version(struct request *r, const char *id);
/* x-amz-checksum-... and x-amz-checksum-type */
void object_reply_checksum(struct request *r, const struct checksum *c);
/* A failed condition, with the element that names it. */
void object_reply_condition(struct request *r, enum s3d_error e);

#endif
