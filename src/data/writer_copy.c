/* SPDX-License-Identifier: Apache-2.0 */
/* Content that comes out of the store without passing through here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "data/writer_impl.h"
#include "store/store_limits.h"

/* Few requests, and still some of them beside each other. */
#define PIECE_SIZE (512 * MIB)

int writer_adopt(struct writer *w, const struct store_version *version, uint64_t size)
{
    writer_enter(w);
    int r = w->size || w->upload || w->failed ? -EBUSY : 0;
    if (!r) {
        writer_drop_stage(w);
        writer_cut_base(w, size);
        snprintf(w->base_etag, sizeof(w->base_etag), "%s", version->etag);
        snprintf(w->if_match, sizeof(w->if_match), "%s", version->etag);
        w->if_absent = false;
        w->last = (struct writer_result){.version = *version, .size = size};
        writer_set_size(w, size, false);
    }
    writer_leave(w);
    return r;
}

/* Whether the range can be the next parts: everything before it is, or can be, whole parts. */
static bool can_append(const struct writer *w, uint64_t offset, uint64_t length)
{
    bool base_is_parts = w->upload || !w->base_keep || w->base_keep > w->d->write_part_size;
    return length >= STORE_PART_SIZE_MIN && offset == w->size && offset == w->start &&
           !writer_held(w) && base_is_parts && length <= STORE_OBJECT_SIZE_MAX - offset;
}

static int append(struct writer *w, const struct writer_source *source, uint64_t length,
                  struct s3_error *err)
{
    uint64_t pieces = (length + PIECE_SIZE - 1) / PIECE_SIZE, done = 0;
    int r = writer_need_upload(w, err);
    if (w->upload)
        upload_drop_retained(w->upload);
    for (uint64_t i = 0; i < pieces && !r; i++) {
        uint64_t n = (length - done) / (pieces - i);
        r = upload_copy(w->upload, source->key, source->etag, source->offset + done, n, err);
        done += n;
    }
    /* What is reported as copied is in the store: the source may be removed next. */
    int waited = w->upload ? upload_wait(w->upload, r ? NULL : err) : 0;
    return r ? r : waited;
}

int writer_copy_range(struct writer *w, uint64_t offset, const struct writer_source *source,
                      uint64_t length, struct s3_error *reterr)
{
    struct s3_error err = {0};
    writer_enter(w);
    int r = writer_old_failure(w, &err);
    if (!r && (writer_is_orphan(w) || w->stage || !can_append(w, offset, length)))
        r = -EXDEV;
    if (!r) {
        r = append(w, source, length, &err);
        /* What was not appended can be written. */
        if (r && (r = writer_stream_failed(w, r, &err), !w->failed))
            r = -EXDEV;
    }
    if (!r) {
        w->start += length;
        writer_set_size(w, offset + length, true);
    }
    writer_leave(w);
    if (r && reterr)
        *reterr = err;
    return r;
}

int writer_move_base(struct writer *w, const char *key, const char *etag)
{
    char *copy = strdup(key);
    if (!copy)
        return -ENOMEM;
    writer_enter(w);
    int r = w->stage ? stage_move_base(w->stage, key, etag) : 0;
    if (!r) {
        free(w->key);
        w->key = TAKE_PTR(copy);
        snprintf(w->base_etag, sizeof(w->base_etag), "%s", etag);
    }
    writer_leave(w);
    free(copy);
    return r;
}
