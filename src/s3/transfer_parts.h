/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the parts of one managed transfer, several at a time. Shared by the transfer_*.c files only.
 *
 * Threads: the calling thread prepares parts, submits them and finishes them one after the other;
 *          in between, a part belongs to its request. */
#ifndef PAILFS_S3_TRANSFER_PARTS_H
#define PAILFS_S3_TRANSFER_PARTS_H

#include "s3/transfer.h"

struct s3_parts_run;

struct s3_part {
    /* Set by the driver before prepare. */
    uint32_t number; /* from 1 */
    uint64_t offset;
    uint64_t length;
    uint8_t *buf; /* length bytes; NULL when the job has no buffers */

    /* For prepare. */
    union {
        struct s3_upload_part_in upload;
        struct s3_upload_part_copy_in copy;
        struct s3_get_object_in get;
    } in;
    struct iovec iov;
    struct http_sink sink;
    size_t received; /* for a sink's use; zeroed before prepare */

    /* For finish; a HeadObject output is released by the driver. */
    union {
        struct s3_upload_part_out upload;
        struct s3_copy_object_out copy;
        struct s3_head_object_out get;
    } out;

    /* The driver's own. */
    struct s3_parts_run *run;
    int state;            /* protected by run->lock, as the rest */
    struct s3_call *call; /* while it may be cancelled */
    int result;
    struct s3_error err;
};

struct s3_parts_job {
    struct s3_client *client;
    enum s3_op op;
    uint64_t size; /* of the whole object */
    uint64_t part_size;
    uint32_t first; /* number of the first part to do: those before are done */
    bool buffers;
    const struct s3_transfer_options *opts;
    /* Fills part->in. 0 or -errno. */
    int (*prepare)(void *ctx, struct s3_part *part, struct s3_error *reterr);
    /* Takes part->out. 0 or -errno. */
    int (*finish)(void *ctx, struct s3_part *part, struct s3_error *reterr);
    void *ctx;
};

/* The first error ends it: what is under way is cancelled and waited for. */
int s3_parts_run(const struct s3_parts_job *job, struct s3_error *reterr);

/* Parts that an object of that size has; 0 for an empty one. */
uint32_t s3_parts_count(uint64_t size, uint64_t part_size);
/* The size that was asked for (0 = fallback), raised to the minimum and so that S3_PARTS_MAX parts
 * hold `size`. */
uint64_t s3_parts_size(uint64_t wanted, uint64_t fallback, uint64_t size);

bool s3_transfer_cancelled(const struct s3_transfer_options *opts);
void s3_transfer_progress(const struct s3_transfer_options *opts, uint64_t done, uint64_t total);
/* S3_ERROR_CONFIG with "cannot WHAT 'path': strerror" and -err. */
int s3_transfer_file_error(struct s3_error *reterr, int err, const char *what, const char *path);

/* A multipart upload that is being filled by a transfer. */
struct s3_multipart_writer {
    struct s3_client *client;
    const char *bucket;
    const char *key;
    char upload_id[S3_UPLOAD_ID_SIZE];
    struct s3_completed_part *parts; /* by number - 1 */
    char (*etags)[S3_ETAG_SIZE];
    uint32_t n_parts;
};

int s3_multipart_writer_begin(struct s3_multipart_writer *w, struct s3_client *client,
                              const struct s3_create_multipart_upload_in *in, uint32_t n_parts,
                              struct s3_error *reterr);
void s3_multipart_writer_part(struct s3_multipart_writer *w, uint32_t number, const char *etag,
                              const struct s3_checksum *checksum);
/* r = the parts' result: completes after success, aborts after an error, and releases. */
int s3_multipart_writer_end(struct s3_multipart_writer *w, int r,
                            const struct s3_conditions *conditions, struct s3_put_object_out *ret,
                            struct s3_error *reterr);

#endif
