/* SPDX-License-Identifier: Apache-2.0 */
#include "s3/resource_upload.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "s3/resource_impl.h"
#include "s3/resource_object.h"

enum { ID_BUCKET, ID_KEY, ID_UPLOAD };

static const struct s3_resource_type MULTIPART_UPLOAD = {
    .name = "MultipartUpload",
    .n_ids = 3,
    .id_names = {[ID_BUCKET] = "bucket_name", [ID_KEY] = "object_key", [ID_UPLOAD] = "id"},
};

int s3_multipart_upload_init(struct s3_multipart_upload *u, struct s3_client *client,
                             const char *bucket, const char *key, const char *upload_id,
                             struct s3_error *reterr)
{
    memset(u, 0, sizeof(*u));
    return s3_resource_init(&u->meta, &MULTIPART_UPLOAD, client,
                            (const char *const[]){bucket, key, upload_id}, reterr);
}

void s3_multipart_upload_done(struct s3_multipart_upload *u)
{
    s3_resource_done(&u->meta);
}

const char *s3_multipart_upload_key(const struct s3_multipart_upload *u)
{
    return u->meta.ids[ID_KEY];
}

const char *s3_multipart_upload_id(const struct s3_multipart_upload *u)
{
    return u->meta.ids[ID_UPLOAD];
}

int s3_multipart_upload_upload_part(const struct s3_multipart_upload *u, uint32_t part_number,
                                    const struct s3_upload_part_in *params,
                                    struct s3_upload_part_out *ret, struct s3_error *reterr)
{
    struct s3_upload_part_in in = params ? *params : (struct s3_upload_part_in){0};
    struct s3_upload_part_out out = {0};
    in.bucket = u->meta.ids[ID_BUCKET];
    in.key = u->meta.ids[ID_KEY];
    in.upload_id = u->meta.ids[ID_UPLOAD];
    in.part_number = part_number;
    return s3_upload_part(u->meta.client, &in, ret ? ret : &out, reterr);
}

int s3_multipart_upload_copy_part(const struct s3_multipart_upload *u, uint32_t part_number,
                                  const struct s3_upload_part_copy_in *params,
                                  struct s3_copy_object_out *ret, struct s3_error *reterr)
{
    if (!params || !params->source_bucket || !params->source_key)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "copy_part needs a source bucket and key");
    struct s3_upload_part_copy_in in = *params;
    struct s3_copy_object_out out = {0};
    in.bucket = u->meta.ids[ID_BUCKET];
    in.key = u->meta.ids[ID_KEY];
    in.upload_id = u->meta.ids[ID_UPLOAD];
    in.part_number = part_number;
    return s3_upload_part_copy(u->meta.client, &in, ret ? ret : &out, reterr);
}

int s3_multipart_upload_complete(const struct s3_multipart_upload *u,
                                 const struct s3_complete_multipart_upload_in *params,
                                 struct s3_put_object_out *ret, struct s3_error *reterr)
{
    if (!params || params->n_parts == 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "complete needs the parts");
    struct s3_complete_multipart_upload_in in = *params;
    struct s3_put_object_out out = {0};
    in.bucket = u->meta.ids[ID_BUCKET];
    in.key = u->meta.ids[ID_KEY];
    in.upload_id = u->meta.ids[ID_UPLOAD];
    return s3_complete_multipart_upload(u->meta.client, &in, ret ? ret : &out, reterr);
}

/* Appends what S3 holds to *parts (owned by the caller); ETags go into the arena. */
static int list_parts(const struct s3_multipart_upload *u, struct s3_completed_part **parts,
                      size_t *n_parts, struct arena *arena, struct s3_error *reterr)
{
    struct s3_collection c = s3_multipart_upload_parts(u);
    struct s3_iter *it = NULL;
    int r = s3_iter_open(&c, &it, reterr);
    if (r < 0)
        return r;
    const void *entries;
    size_t n;
    while ((r = s3_iter_next_page(it, &entries, &n, reterr)) > 0) {
        const struct s3_part_entry *e = entries;
        struct s3_completed_part *more = reallocarray(*parts, *n_parts + n + 1, sizeof(*more));
        if (!more)
            goto oom;
        *parts = more;
        for (size_t i = 0; i < n; i++) {
            char *etag = arena_strdup(arena, e[i].etag);
            if (!etag)
                goto oom;
            more[(*n_parts)++] = (struct s3_completed_part){
                .part_number = e[i].part_number, .etag = etag, .checksum = e[i].checksum};
        }
    }
    s3_iter_close(it);
    return r;
oom:
    s3_iter_close(it);
    return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
}

int s3_multipart_upload_complete_listed(const struct s3_multipart_upload *u,
                                        struct s3_put_object_out *ret, struct s3_error *reterr)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(LIMIT_PAGE_STRINGS);
    CLEANUP_FREE struct s3_completed_part *parts = NULL;
    size_t n_parts = 0;
    int r = list_parts(u, &parts, &n_parts, &arena, reterr);
    if (r < 0)
        return r;
    struct s3_complete_multipart_upload_in in = {.parts = parts, .n_parts = n_parts};
    return s3_multipart_upload_complete(u, &in, ret, reterr);
}

int s3_multipart_upload_abort(const struct s3_multipart_upload *u, struct s3_error *reterr)
{
    struct s3_abort_multipart_upload_in in = {.bucket = u->meta.ids[ID_BUCKET],
                                              .key = u->meta.ids[ID_KEY],
                                              .upload_id = u->meta.ids[ID_UPLOAD]};
    return s3_abort_multipart_upload(u->meta.client, &in, reterr);
}

struct s3_collection s3_multipart_upload_parts(const struct s3_multipart_upload *u)
{
    return (struct s3_collection){.kind = S3_COLLECTION_PARTS,
                                  .client = u->meta.client,
                                  .bucket = u->meta.ids[ID_BUCKET],
                                  .key = u->meta.ids[ID_KEY],
                                  .upload_id = u->meta.ids[ID_UPLOAD]};
}

int s3_multipart_upload_object(const struct s3_multipart_upload *u, struct s3_object *ret,
                               struct s3_error *reterr)
{
    return s3_object_init(ret, u->meta.client, u->meta.ids[ID_BUCKET], u->meta.ids[ID_KEY], reterr);
}
