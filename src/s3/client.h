/* SPDX-License-Identifier: Apache-2.0 */
/* The low level: one typed function per S3 operation, all through one funnel
 * (build, checksum, sign, send, parse, retry with a fresh signature).
 *
 * Life:    s3_session_client_new -> calls -> s3_client_unref (waits for nothing: every call under
 *          way holds its own reference).
 * Threads: shared by any number of threads. Blocking functions must not run on an HTTP I/O thread.
 *          Completion callbacks run on an I/O thread, on the client's worker thread (after waiting
 *          for credentials), or inside submit (with a fake transport; out of memory; shutting
 *          down).
 * Errors:  0 or -errno with *reterr (may be NULL) filled; see base/error.h.
 * Retries: the AWS standard mode, aws/retry.h. A wrong region is learned from the answer, kept and
 *          tried once more; a clock skew likewise. */
#ifndef PAILFS_S3_CLIENT_H
#define PAILFS_S3_CLIENT_H

#include "base/clock.h"
#include "base/error.h"
#include "http/http.h"
#include "s3/types.h"

struct s3_client;
struct s3_call;

/* One row each in ops_table.c. */
enum s3_op {
    S3_OP_LIST_BUCKETS,
    S3_OP_CREATE_BUCKET,
    S3_OP_DELETE_BUCKET,
    S3_OP_HEAD_BUCKET,
    S3_OP_GET_BUCKET_LOCATION,
    S3_OP_GET_BUCKET_VERSIONING,
    S3_OP_PUT_BUCKET_VERSIONING,
    S3_OP_LIST_OBJECTS_V2,
    S3_OP_LIST_OBJECT_VERSIONS,
    S3_OP_HEAD_OBJECT,
    S3_OP_GET_OBJECT,
    S3_OP_PUT_OBJECT,
    S3_OP_COPY_OBJECT,
    S3_OP_DELETE_OBJECT,
    S3_OP_DELETE_OBJECTS,
    S3_OP_GET_OBJECT_ATTRIBUTES,
    S3_OP_CREATE_MULTIPART_UPLOAD,
    S3_OP_UPLOAD_PART,
    S3_OP_UPLOAD_PART_COPY,
    S3_OP_COMPLETE_MULTIPART_UPLOAD,
    S3_OP_ABORT_MULTIPART_UPLOAD,
    S3_OP_LIST_MULTIPART_UPLOADS,
    S3_OP_LIST_PARTS,
    S3_OP_MAX,
};

const char *s3_op_name(enum s3_op op); /* "GetObject" */

struct s3_client *s3_client_ref(struct s3_client *c);
void s3_client_unref(struct s3_client *c); /* NULL ok */

/* boto3's client.meta: what the client is about. Borrowed for the client's life. */
struct s3_client_meta {
    const char *service;      /* "s3" */
    const char *region;       /* as configured; a bucket's own may have been learned since */
    const char *endpoint_url; /* scheme://host[:port][/path] without a bucket */
    const char *profile;
    bool anonymous;
    bool path_style;
};
const struct s3_client_meta *s3_client_meta(const struct s3_client *c);
/* Since the client was made. */
struct s3_client_figures {
    uint64_t checked_bytes; /* of whole objects that matched their stored checksum */
    uint64_t mismatches;    /* and answers that did not */
    uint64_t hedges;        /* requests that were sent once more, as no answer came */
    uint64_t hedges_won;    /* of them answered first */
    uint64_t hedges_held;   /* not sent: too many, or the server was overloaded */
    uint64_t broken_off;    /* answers that stood still: the rest was asked for again */
};
void s3_client_figures(struct s3_client *c, struct s3_client_figures *ret);
/* The region learned for the bucket, else the configured one. */
void s3_client_bucket_region(struct s3_client *c, const char *bucket, char *buf, size_t size);

/* ---- asynchronous form ----
 * in and what it points to, and out, are borrowed until done has run. err is NULL on success.
 * ret_call may be NULL; it is valid until done returns, which may be before submit does: who keeps
 * it shares a lock with done that tells whether done has run. 0, or -errno and then done does not
 * run. */
typedef void (*s3_done_fn)(void *ctx, int result, const struct s3_error *err);
int s3_client_submit(struct s3_client *c, enum s3_op op, const void *in, void *out, s3_done_fn done,
                     void *ctx, struct s3_call **ret_call);
/* done may run inside (then hold no lock that it takes), on another thread, or have run before. */
void s3_call_cancel(struct s3_call *call);
/* Keeps a call valid beyond done, for who cancels it from another thread. */
struct s3_call *s3_call_ref(struct s3_call *call);
void s3_call_unref(struct s3_call *call); /* NULL ok */

/* The funnel's blocking form; the typed functions below are wrappers. */
int s3_client_call(struct s3_client *c, enum s3_op op, const void *in, void *out,
                   struct s3_error *reterr);

#define S3_CALL_DECLARE(name, in_type, out_type)                                                   \
    int s3_##name(struct s3_client *c, const struct in_type *in, struct out_type *out,             \
                  struct s3_error *reterr)
#define S3_CALL_DECLARE_NO_OUT(name, in_type)                                                      \
    int s3_##name(struct s3_client *c, const struct in_type *in, struct s3_error *reterr)

S3_CALL_DECLARE(list_buckets, s3_list_buckets_in, s3_list_buckets_out);
S3_CALL_DECLARE_NO_OUT(create_bucket, s3_create_bucket_in);
S3_CALL_DECLARE_NO_OUT(delete_bucket, s3_bucket_in);
S3_CALL_DECLARE(head_bucket, s3_bucket_in, s3_head_bucket_out);
S3_CALL_DECLARE(get_bucket_location, s3_bucket_in, s3_get_bucket_location_out);
S3_CALL_DECLARE(get_bucket_versioning, s3_bucket_in, s3_get_bucket_versioning_out);
S3_CALL_DECLARE_NO_OUT(put_bucket_versioning, s3_put_bucket_versioning_in);
S3_CALL_DECLARE(list_objects_v2, s3_list_objects_v2_in, s3_list_objects_v2_out);
S3_CALL_DECLARE(list_object_versions, s3_list_object_versions_in, s3_list_object_versions_out);
S3_CALL_DECLARE(head_object, s3_head_object_in, s3_head_object_out);
S3_CALL_DECLARE(get_object, s3_get_object_in, s3_head_object_out);
S3_CALL_DECLARE(put_object, s3_put_object_in, s3_put_object_out);
S3_CALL_DECLARE(copy_object, s3_copy_object_in, s3_copy_object_out);
S3_CALL_DECLARE(delete_object, s3_delete_object_in, s3_delete_object_out);
/* Succeeds when the request did; look at n_failed. */
S3_CALL_DECLARE(delete_objects, s3_delete_objects_in, s3_delete_objects_out);
S3_CALL_DECLARE(get_object_attributes, s3_get_object_attributes_in, s3_get_object_attributes_out);
S3_CALL_DECLARE(create_multipart_upload, s3_create_multipart_upload_in,
                s3_create_multipart_upload_out);
S3_CALL_DECLARE(upload_part, s3_upload_part_in, s3_upload_part_out);
S3_CALL_DECLARE(upload_part_copy, s3_upload_part_copy_in, s3_copy_object_out);
S3_CALL_DECLARE(complete_multipart_upload, s3_complete_multipart_upload_in, s3_put_object_out);
S3_CALL_DECLARE_NO_OUT(abort_multipart_upload, s3_abort_multipart_upload_in);
S3_CALL_DECLARE(list_multipart_uploads, s3_list_multipart_uploads_in,
                s3_list_multipart_uploads_out);
S3_CALL_DECLARE(list_parts, s3_list_parts_in, s3_list_parts_out);

/* A URL that lets its holder do `op` (GetObject, PutObject, HeadObject, DeleteObject, UploadPart)
 * for expires_s seconds (1 to S3_PRESIGN_EXPIRY_MAX). No request is sent. *ret is owned. */
int s3_presign_url(struct s3_client *c, enum s3_op op, const void *in, uint32_t expires_s,
                   char **ret, struct s3_error *reterr);

void s3_list_buckets_out_done(struct s3_list_buckets_out *o);
void s3_list_objects_v2_out_done(struct s3_list_objects_v2_out *o);
void s3_list_object_versions_out_done(struct s3_list_object_versions_out *o);
void s3_head_object_out_done(struct s3_head_object_out *o);
void s3_delete_objects_out_done(struct s3_delete_objects_out *o);
void s3_get_object_attributes_out_done(struct s3_get_object_attributes_out *o);
void s3_list_multipart_uploads_out_done(struct s3_list_multipart_uploads_out *o);
void s3_list_parts_out_done(struct s3_list_parts_out *o);

#endif
