/* SPDX-License-Identifier: Apache-2.0 */
#include "s3/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file_io.h"
#include "s3/transfer_parts.h"

/* Of a download's parts: the largest object then has fewer than 2^32. */
#define RANGE_MIN (64 * KIB)

static const struct s3_transfer_options DEFAULTS;

/* ---- upload ---- */

struct upload {
    struct s3_multipart_writer writer;
    const struct s3_transfer_options *opts;
    const char *path;
    int fd;
};

static int read_exactly(int fd, const char *path, void *buf, uint64_t length, uint64_t offset,
                        struct s3_error *reterr)
{
    size_t done;
    int r = file_pread(fd, buf, length, offset, &done);
    if (r < 0)
        return s3_transfer_file_error(reterr, -r, "read", path);
    if (done < length) {
        s3_error_set(reterr, S3_ERROR_CONFIG, "'%s' became shorter while it was uploaded", path);
        return -EIO;
    }
    return 0;
}

static int upload_prepare(void *ctx, struct s3_part *part, struct s3_error *reterr)
{
    struct upload *u = ctx;
    int r = read_exactly(u->fd, u->path, part->buf, part->length, part->offset, reterr);
    if (r < 0)
        return r;
    part->iov = (struct iovec){.iov_base = part->buf, .iov_len = part->length};
    part->in.upload = (struct s3_upload_part_in){.bucket = u->writer.bucket,
                                                 .key = u->writer.key,
                                                 .upload_id = u->writer.upload_id,
                                                 .part_number = part->number,
                                                 .body = &part->iov,
                                                 .n_body = 1,
                                                 .checksum_algo = u->opts->checksum_algo};
    return 0;
}

static int upload_finish(void *ctx, struct s3_part *part, struct s3_error *reterr ATTR_UNUSED)
{
    struct upload *u = ctx;
    s3_multipart_writer_part(&u->writer, part->number, part->out.upload.etag,
                             &part->out.upload.checksum);
    return 0;
}

static int upload_in_parts(struct s3_client *client, struct upload *u, uint64_t size,
                           uint64_t part_size, const char *bucket, const char *key,
                           struct s3_put_object_out *ret, struct s3_error *reterr)
{
    struct s3_create_multipart_upload_in create = {.bucket = bucket,
                                                   .key = key,
                                                   .attrs = u->opts->attrs,
                                                   .checksum_algo = u->opts->checksum_algo};
    int r = s3_multipart_writer_begin(&u->writer, client, &create, s3_parts_count(size, part_size),
                                      reterr);
    if (r < 0)
        return r;
    struct s3_parts_job job = {.client = client,
                               .op = S3_OP_UPLOAD_PART,
                               .size = size,
                               .part_size = part_size,
                               .first = 1,
                               .buffers = true,
                               .opts = u->opts,
                               .prepare = upload_prepare,
                               .finish = upload_finish,
                               .ctx = u};
    r = s3_parts_run(&job, reterr);
    return s3_multipart_writer_end(&u->writer, r, &u->opts->conditions, ret, reterr);
}

static int upload_at_once(struct s3_client *client, struct upload *u, uint64_t size,
                          const char *bucket, const char *key, struct s3_put_object_out *ret,
                          struct s3_error *reterr)
{
    CLEANUP_FREE void *buf = malloc(size + 1);
    if (!buf)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no memory for %" PRIu64 " bytes",
                            size);
    int r = read_exactly(u->fd, u->path, buf, size, 0, reterr);
    if (r < 0)
        return r;
    struct iovec body = {.iov_base = buf, .iov_len = size};
    struct s3_put_object_in in = {.bucket = bucket,
                                  .key = key,
                                  .body = &body,
                                  .n_body = 1,
                                  .attrs = u->opts->attrs,
                                  .conditions = u->opts->conditions,
                                  .checksum_algo = u->opts->checksum_algo};
    struct s3_put_object_out out = {0};
    r = s3_put_object(client, &in, ret ? ret : &out, reterr);
    if (r == 0)
        s3_transfer_progress(u->opts, size, size);
    return r;
}

int s3_upload_file(struct s3_client *client, const char *path, const char *bucket, const char *key,
                   const struct s3_transfer_options *opts, struct s3_put_object_out *ret,
                   struct s3_error *reterr)
{
    struct upload u = {.opts = opts ? opts : &DEFAULTS, .path = path};
    /* O_NONBLOCK: a pipe is refused below instead of waited for. */
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return s3_transfer_file_error(reterr, errno, "open", path);
    if (!S_ISREG(st.st_mode)) {
        s3_error_set(reterr, S3_ERROR_CONFIG, "'%s' is not a regular file", path);
        return -EINVAL;
    }
    u.fd = fd;
    uint64_t size = (uint64_t)st.st_size;
    if (size > S3_OBJECT_SIZE_MAX)
        return s3_error_set(reterr, S3_ERROR_TOO_LARGE, "'%s' is larger than an object can be",
                            path);
    uint64_t part_size = s3_parts_size(u.opts->part_size, S3_TRANSFER_PART_SIZE, size);
    uint64_t threshold = u.opts->multipart_threshold ? u.opts->multipart_threshold : part_size;
    if (size < threshold && size <= S3_PUT_SIZE_MAX)
        return upload_at_once(client, &u, size, bucket, key, ret, reterr);
    if (size == 0)
        return upload_at_once(client, &u, 0, bucket, key, ret, reterr);
    return upload_in_parts(client, &u, size, part_size, bucket, key, ret, reterr);
}

/* ---- download ---- */

struct download {
    const struct s3_transfer_options *opts;
    const char *bucket;
    const char *key;
    const char *path;
    char temporary[4096];
    int fd;
    char etag[S3_ETAG_SIZE]; /* of the version that the first range was of */
};

/* Beside the target, so that the rename stays inside one filesystem; permissions by the umask. */
static int open_temporary(struct download *d, struct s3_error *reterr)
{
    for (int attempt = 0; attempt < 100; attempt++) {
        uint64_t random;
        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
            return s3_transfer_file_error(reterr, errno, "name a temporary file for", d->path);
        int n = snprintf(d->temporary, sizeof(d->temporary), "%s.%016" PRIx64, d->path, random);
        if (n < 0 || (size_t)n >= sizeof(d->temporary))
            return s3_transfer_file_error(reterr, ENAMETOOLONG, "create", d->path);
        d->fd = open(d->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (d->fd >= 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return s3_transfer_file_error(reterr, errno, "create", d->temporary);
}

static int write_exactly(const struct download *d, const void *buf, size_t length, uint64_t offset,
                         struct s3_error *reterr)
{
    int r = file_pwrite(d->fd, buf, length, offset);
    return r < 0 ? s3_transfer_file_error(reterr, -r, "write", d->temporary) : 0;
}

/* More than was asked for is refused: the buffer has no room, the object another size. */
static int collect(void *ctx, const void *data, size_t len)
{
    struct s3_part *part = ctx;
    if (len > part->length - part->received)
        return -EMSGSIZE;
    memcpy(part->buf + part->received, data, len);
    part->received += len;
    return 0;
}

static int download_prepare(void *ctx, struct s3_part *part, struct s3_error *reterr ATTR_UNUSED)
{
    struct download *d = ctx;
    part->sink = (struct http_sink){.write = collect, .ctx = part};
    part->in.get = (struct s3_get_object_in){.bucket = d->bucket,
                                             .key = d->key,
                                             .version_id = d->opts->version_id,
                                             .conditions = {.if_match = d->etag},
                                             .has_range = true,
                                             .range_offset = part->offset,
                                             .range_length = part->length,
                                             .sink = &part->sink};
    return 0;
}

static int short_answer(const struct download *d, uint64_t got, uint64_t expected,
                        struct s3_error *reterr)
{
    return s3_error_set(reterr, S3_ERROR_BAD_RESPONSE,
                        "%" PRIu64 " bytes of '%s/%s' arrived instead of %" PRIu64, got, d->bucket,
                        d->key, expected);
}

static int download_finish(void *ctx, struct s3_part *part, struct s3_error *reterr)
{
    struct download *d = ctx;
    if (part->received != part->length)
        return short_answer(d, part->received, part->length, reterr);
    return write_exactly(d, part->buf, part->received, part->offset, reterr);
}

/* The first part tells size and ETag, so a small object takes one request. */
static int download_first(struct s3_client *client, struct download *d, uint64_t length,
                          struct s3_head_object_out *out, struct s3_error *reterr)
{
    struct s3_part part = {.length = length, .buf = malloc(length)};
    CLEANUP_FREE uint8_t *buf = part.buf;
    if (!buf)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no memory for %" PRIu64 " bytes",
                            length);
    struct http_sink sink = {.write = collect, .ctx = &part};
    struct s3_get_object_in in = {.bucket = d->bucket,
                                  .key = d->key,
                                  .version_id = d->opts->version_id,
                                  .conditions = d->opts->conditions,
                                  .has_range = true,
                                  .range_length = length,
                                  .sink = &sink};
    struct s3_error err = {0};
    int r = s3_get_object(client, &in, out, &err);
    if (r < 0 && err.kind == S3_ERROR_BAD_RANGE) {
        /* An empty object has no first byte. */
        in.has_range = false;
        in.range_length = 0;
        part.received = 0;
        r = s3_get_object(client, &in, out, &err);
    }
    if (r < 0) {
        if (reterr)
            *reterr = err;
        return r;
    }
    if (part.received != MIN(length, out->object_size))
        r = short_answer(d, part.received, MIN(length, out->object_size), reterr);
    else
        r = write_exactly(d, part.buf, part.received, 0, reterr);
    if (r < 0) {
        s3_head_object_out_done(out);
        return r;
    }
    s3_transfer_progress(d->opts, part.received, out->object_size);
    return 0;
}

static int download_rest(struct s3_client *client, struct download *d, uint64_t size,
                         uint64_t part_size, uint32_t first, const char *etag,
                         struct s3_error *reterr)
{
    if (size <= (first - 1) * part_size)
        return 0;
    /* Without an ETag the ranges could be of different versions. */
    if (!etag || !*etag)
        return s3_error_set(reterr, S3_ERROR_BAD_RESPONSE, "'%s/%s' has no ETag", d->bucket,
                            d->key);
    snprintf(d->etag, sizeof(d->etag), "%s", etag);
    struct s3_parts_job job = {.client = client,
                               .op = S3_OP_GET_OBJECT,
                               .size = size,
                               .part_size = part_size,
                               .first = first,
                               .buffers = true,
                               .opts = d->opts,
                               .prepare = download_prepare,
                               .finish = download_finish,
                               .ctx = d};
    return s3_parts_run(&job, reterr);
}

int s3_download_file(struct s3_client *client, const char *bucket, const char *key,
                     const char *path, const struct s3_transfer_options *opts,
                     struct s3_head_object_out *ret, struct s3_error *reterr)
{
    struct download d = {
        .opts = opts ? opts : &DEFAULTS, .bucket = bucket, .key = key, .path = path, .fd = -1};
    uint64_t part_size = d.opts->part_size ? d.opts->part_size : S3_TRANSFER_PART_SIZE;
    part_size = MAX(part_size, RANGE_MIN);
    uint32_t n_first = MAX(s3_parts_count(d.opts->multipart_threshold, part_size), 1u);
    int r = open_temporary(&d, reterr);
    if (r < 0)
        return r;
    struct s3_head_object_out out = {0};
    r = download_first(client, &d, n_first * part_size, &out, reterr);
    if (r == 0) {
        r = download_rest(client, &d, out.object_size, part_size, n_first + 1, out.etag, reterr);
        if (r < 0)
            s3_head_object_out_done(&out);
    }
    /* close tells of a full disk where writes are delayed (NFS). */
    if (close(d.fd) < 0 && r == 0) {
        r = s3_transfer_file_error(reterr, errno, "write", d.temporary);
        s3_head_object_out_done(&out);
    }
    if (r == 0 && rename(d.temporary, path) < 0) {
        r = s3_transfer_file_error(reterr, errno, "rename the download to", path);
        s3_head_object_out_done(&out);
    }
    if (r < 0) {
        (void)unlink(d.temporary);
        return r;
    }
    if (ret)
        *ret = out;
    else
        s3_head_object_out_done(&out);
    return 0;
}

/* ---- copy ---- */

struct copy {
    struct s3_multipart_writer writer;
    const struct s3_transfer_options *opts;
    const char *source_bucket;
    const char *source_key;
    const char *etag;
};

static int copy_prepare(void *ctx, struct s3_part *part, struct s3_error *reterr ATTR_UNUSED)
{
    struct copy *c = ctx;
    part->in.copy = (struct s3_upload_part_copy_in){.bucket = c->writer.bucket,
                                                    .key = c->writer.key,
                                                    .upload_id = c->writer.upload_id,
                                                    .part_number = part->number,
                                                    .source_bucket = c->source_bucket,
                                                    .source_key = c->source_key,
                                                    .source_version_id = c->opts->version_id,
                                                    .source_conditions = {.if_match = c->etag},
                                                    .has_range = true,
                                                    .range_offset = part->offset,
                                                    .range_length = part->length};
    return 0;
}

static int copy_finish(void *ctx, struct s3_part *part, struct s3_error *reterr ATTR_UNUSED)
{
    struct copy *c = ctx;
    s3_multipart_writer_part(&c->writer, part->number, part->out.copy.etag, NULL);
    return 0;
}

/* A multipart upload does not inherit what the source carries beside its bytes. */
static struct s3_object_attrs inherited_attrs(const struct s3_head_object_out *head,
                                              const struct s3_transfer_options *opts)
{
    if (opts->replace_metadata)
        return opts->attrs;
    return (struct s3_object_attrs){.content_type = head->content_type,
                                    .content_encoding = head->content_encoding,
                                    .content_disposition = head->content_disposition,
                                    .content_language = head->content_language,
                                    .cache_control = head->cache_control,
                                    .storage_class = opts->attrs.storage_class,
                                    .metadata = head->metadata,
                                    .n_metadata = head->n_metadata};
}

static int copy_in_parts(struct s3_client *client, struct copy *c,
                         const struct s3_head_object_out *head, const char *bucket, const char *key,
                         struct s3_put_object_out *ret, struct s3_error *reterr)
{
    uint64_t size = head->object_size;
    uint64_t part_size = s3_parts_size(c->opts->part_size, S3_TRANSFER_COPY_PART_SIZE, size);
    struct s3_create_multipart_upload_in create = {.bucket = bucket,
                                                   .key = key,
                                                   .attrs = inherited_attrs(head, c->opts),
                                                   .checksum_algo = c->opts->checksum_algo};
    int r = s3_multipart_writer_begin(&c->writer, client, &create, s3_parts_count(size, part_size),
                                      reterr);
    if (r < 0)
        return r;
    struct s3_parts_job job = {.client = client,
                               .op = S3_OP_UPLOAD_PART_COPY,
                               .size = size,
                               .part_size = part_size,
                               .first = 1,
                               .opts = c->opts,
                               .prepare = copy_prepare,
                               .finish = copy_finish,
                               .ctx = c};
    r = s3_parts_run(&job, reterr);
    return s3_multipart_writer_end(&c->writer, r, &c->opts->conditions, ret, reterr);
}

static int copy_at_once(struct s3_client *client, const struct copy *c, const char *bucket,
                        const char *key, uint64_t size, struct s3_put_object_out *ret,
                        struct s3_error *reterr)
{
    struct s3_copy_object_in in = {
        .bucket = bucket,
        .key = key,
        .source_bucket = c->source_bucket,
        .source_key = c->source_key,
        .source_version_id = c->opts->version_id,
        .source_conditions = {.if_match = c->etag},
        .conditions = c->opts->conditions,
        .metadata_directive = c->opts->replace_metadata ? S3_METADATA_REPLACE : S3_METADATA_COPY,
        .attrs = c->opts->attrs};
    struct s3_copy_object_out out = {0};
    int r = s3_copy_object(client, &in, &out, reterr);
    if (r < 0)
        return r;
    if (ret) {
        *ret = (struct s3_put_object_out){.date_ns = out.last_modified_ns};
        memcpy(ret->etag, out.etag, sizeof(ret->etag));
        memcpy(ret->version_id, out.version_id, sizeof(ret->version_id));
    }
    s3_transfer_progress(c->opts, size, size);
    return 0;
}

int s3_copy(struct s3_client *client, const char *source_bucket, const char *source_key,
            const char *bucket, const char *key, const struct s3_transfer_options *opts,
            struct s3_put_object_out *ret, struct s3_error *reterr)
{
    struct copy c = {
        .opts = opts ? opts : &DEFAULTS, .source_bucket = source_bucket, .source_key = source_key};
    struct s3_head_object_in in = {
        .bucket = source_bucket, .key = source_key, .version_id = c.opts->version_id};
    struct s3_head_object_out head = {0};
    int r = s3_head_object(client, &in, &head, reterr);
    if (r < 0)
        return r;
    c.etag = head.etag && *head.etag ? head.etag : NULL;
    uint64_t threshold = c.opts->multipart_threshold ? c.opts->multipart_threshold
                         : c.opts->part_size         ? c.opts->part_size
                                                     : S3_TRANSFER_COPY_PART_SIZE;
    if (head.object_size == 0 || head.object_size < MIN(threshold, S3_COPY_SIZE_MAX))
        r = copy_at_once(client, &c, bucket, key, head.object_size, ret, reterr);
    else
        r = copy_in_parts(client, &c, &head, bucket, key, ret, reterr);
    s3_head_object_out_done(&head);
    return r;
}
