/* SPDX-License-Identifier: Apache-2.0 */
/* Managed transfers of whole objects, in one request when small and in parallel parts or ranges
 * when not (boto3's upload_file, download_file, copy).
 *
 * All or nothing: an upload that fails is aborted, so no parts are left to pay for; a download is
 * written beside the file and renamed at the end, so a file that is there is complete, and all of
 * one version of the object (If-Match). Memory: concurrency x part size.
 *
 * Threads: the call blocks; requests run on the client's I/O threads, files are read and written
 *          and callbacks run on the calling thread.
 * Errors:  as the client's; for the local file -errno with S3_ERROR_CONFIG and the path. */
#ifndef PAILFS_S3_TRANSFER_H
#define PAILFS_S3_TRANSFER_H

#include "s3/client.h"

#define S3_TRANSFER_PART_SIZE      (8 * MIB)
#define S3_TRANSFER_COPY_PART_SIZE (64 * MIB)
#define S3_TRANSFER_CONCURRENCY    10u

struct s3_transfer_options {
    uint64_t multipart_threshold; /* in one request below this; 0 = the part size */
    uint64_t part_size;           /* 0 = S3_TRANSFER_PART_SIZE or, for copies, ..COPY_PART_SIZE.
                                     Raised to S3's minimum, and so that 10,000 parts do */
    unsigned concurrency;         /* requests at a time; 0 = S3_TRANSFER_CONCURRENCY */

    /* Uploads, copies. */
    struct s3_object_attrs attrs; /* copies: with replace_metadata; the storage class always */
    bool replace_metadata;
    struct s3_conditions conditions; /* on the object written */
    enum s3_checksum_algo checksum_algo;
    /* Downloads, copies: which version. */
    const char *version_id;

    /* After each part; total is the object's size. May be NULL. */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
    /* Asked now and then; true ends the transfer with S3_ERROR_CANCELLED. May be NULL. */
    bool (*cancelled)(void *ctx);
    void *ctx;
};

/* opts and ret may be NULL. path must be a regular file; if it shrinks meanwhile that is an
 * error. */
int s3_upload_file(struct s3_client *client, const char *path, const char *bucket, const char *key,
                   const struct s3_transfer_options *opts, struct s3_put_object_out *ret,
                   struct s3_error *reterr);
/* ret is to be released with s3_head_object_out_done. */
int s3_download_file(struct s3_client *client, const char *bucket, const char *key,
                     const char *path, const struct s3_transfer_options *opts,
                     struct s3_head_object_out *ret, struct s3_error *reterr);
/* Inside S3. Attributes and user metadata go along also when it is done in parts (tags do not). */
int s3_copy(struct s3_client *client, const char *source_bucket, const char *source_key,
            const char *bucket, const char *key, const struct s3_transfer_options *opts,
            struct s3_put_object_out *ret, struct s3_error *reterr);

#endif
