/* SPDX-License-Identifier: Apache-2.0 */
/* A writer's content into a local file: what is kept for the user when the store did not take it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file_io.h"
#include "data/writer_impl.h"

struct save {
    uint64_t offset;
    int fd;
};

static int save_piece(void *ctx, uint64_t position, const char *data, size_t len)
{
    const struct save *s = ctx;
    return file_pwrite(s->fd, data, len, s->offset + position);
}

/* *ret_got: so many bytes from the start are in the file. */
static int save_base(struct writer *w, uint64_t end, int fd, uint64_t *ret_got)
{
    char buf[64 * KIB];
    uint64_t at = 0;
    int r = 0;
    *ret_got = 0;
    while (!r && at < end) {
        size_t n = MIN(end - at, sizeof(buf));
        if (writer_get_base(w, at, n, buf, NULL))
            return 0;
        r = file_pwrite(fd, buf, n, at);
        if (!r)
            *ret_got = at += n;
    }
    return r;
}

/* What cannot be had of the base is a hole, and is reported from the first byte to the last. */
static int save_stage(struct writer *w, int fd, struct writer_saved *ret)
{
    const struct extents *x = stage_extents(w->stage);
    char buf[64 * KIB];
    uint64_t next, missing_end = 0;
    int r = 0;
    for (uint64_t at = 0; !r && at < w->size; at = next) {
        struct extent e = extents_at(x, at, w->size);
        next = MIN(e.end, at + sizeof(buf));
        bool is_base = e.kind == EXTENT_NONE && at < stage_base_size(w->stage);
        if (e.kind == EXTENT_ZERO || (e.kind == EXTENT_NONE && !is_base))
            continue;
        bool known = is_base && missing_end; /* one failure is enough */
        size_t n = (size_t)(next - at);
        int failed = known ? -ESTALE : stage_read(w->stage, at, buf, n, NULL);
        if (failed && !is_base)
            return failed;
        if (failed) {
            ret->missing_offset = missing_end ? ret->missing_offset : at;
            missing_end = next;
        } else {
            r = file_pwrite(fd, buf, n, at);
        }
    }
    if (missing_end)
        ret->missing_length = missing_end - ret->missing_offset;
    return r;
}

static int save_inside(struct writer *w, int fd, struct writer_saved *ret)
{
    *ret = (struct writer_saved){.size = w->size};
    if (ftruncate(fd, (off_t)w->size))
        return -errno;
    if (w->stage)
        return save_stage(w, fd, ret);
    uint64_t got;
    int r = save_base(w, w->base_keep, fd, &got);
    if (!r)
        r = writer_held_visit(w, save_piece, &(struct save){w->start, fd});
    if (r)
        return r;
    if (got < w->start) {
        ret->missing_offset = got;
        ret->missing_length = w->start - got;
    }
    if (w->upload) {
        upload_id(w->upload, ret->upload_id);
        ret->upload_length = w->start;
    }
    return 0;
}

int writer_save(struct writer *w, int fd, struct writer_saved *ret, struct s3_error *reterr)
{
    writer_enter(w);
    int r = save_inside(w, fd, ret);
    writer_leave(w);
    if (r)
        s3_error_set(reterr, S3_ERROR_NONE, "cannot keep the content of '%s'", w->key);
    return r;
}

void writer_keep_upload(struct writer *w)
{
    writer_enter(w);
    if (w->upload)
        upload_keep(w->upload);
    writer_leave(w);
}
