/* SPDX-License-Identifier: Apache-2.0 */
/* What the content is made of is told in writer_impl.h. */
#include "data/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "data/dirty.h"
#include "data/landing_impl.h"
#include "data/writer_impl.h"
#include "store/store_limits.h"

/* A large base is copied in about this size, in parallel. */
#define COPY_PIECE (64 * MIB)

/* ---- one at a time ---- */

void writer_enter(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    while (w->busy)
        pthread_cond_wait(&w->idle, &w->lock);
    w->busy = true;
    pthread_mutex_unlock(&w->lock);
}

void writer_reads_begin(struct writer *w)
{
    SCOPE_LOCK(&w->lock);
    w->open_for_reads = true;
    pthread_cond_broadcast(&w->idle);
}

void writer_reads_end(struct writer *w)
{
    SCOPE_LOCK(&w->lock);
    w->open_for_reads = false;
    while (w->reads)
        pthread_cond_wait(&w->idle, &w->lock);
}

/* Enters, or false: reads beside who is inside, until leave_read. */
static bool enter_to_read(struct writer *w)
{
    SCOPE_LOCK(&w->lock);
    while (w->busy && !w->open_for_reads)
        pthread_cond_wait(&w->idle, &w->lock);
    bool alone = !w->busy;
    if (alone)
        w->busy = true;
    else
        w->reads++;
    return alone;
}

static void leave_read(struct writer *w)
{
    SCOPE_LOCK(&w->lock);
    if (--w->reads == 0)
        pthread_cond_broadcast(&w->idle);
}

bool writer_try_enter(struct writer *w)
{
    SCOPE_LOCK(&w->lock);
    if (w->busy)
        return false;
    w->busy = true;
    return true;
}

void writer_leave(struct writer *w)
{
    uint64_t now = w->dirty ? writer_held(w) : 0;
    if (w->stage && w->dirty)
        now += stage_dirty_bytes(w->stage);
    if (now != w->counted)
        data_count_dirty(w->d, (int64_t)(now - w->counted), 0);
    w->counted = now;
    data_share_drop_credit(w->share);

    pthread_mutex_lock(&w->lock);
    w->busy = false;
    pthread_cond_broadcast(&w->idle);
    pthread_mutex_unlock(&w->lock);
}

void writer_set_size(struct writer *w, uint64_t size, bool dirty)
{
    SCOPE_LOCK(&w->lock);
    w->size = size;
    w->dirty = dirty;
}

uint64_t writer_size(struct writer *w)
{
    SCOPE_LOCK(&w->lock);
    return w->size;
}

bool writer_dirty(struct writer *w)
{
    SCOPE_LOCK(&w->lock);
    return w->dirty && !w->orphan;
}

bool writer_is_orphan(struct writer *w)
{
    SCOPE_LOCK(&w->lock);
    return w->orphan;
}

/* ---- errors ---- */

int writer_no_memory(struct s3_error *reterr)
{
    return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no memory to write into");
}

int writer_keep_failure(struct writer *w, int result, const struct s3_error *err)
{
    w->failed = result;
    w->failed_err = *err;
    return result;
}

int writer_old_failure(const struct writer *w, struct s3_error *reterr)
{
    if (w->failed && reterr)
        *reterr = w->failed_err;
    return w->failed;
}

/* ---- life ---- */

int writer_new(struct data *d, const struct writer_options *opts, struct writer **ret)
{
    struct writer *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->key = strdup(opts->key);
    w->share = data_share_new(d, DATA_WRITER);
    if (!w->key || !w->share) {
        free(w->key);
        free(w->share);
        free(w);
        return -ENOMEM;
    }
    w->d = d;
    data_share_set_least(w->share, d->write_part_size);
    w->attrs = opts->attrs;
    w->attrs_ctx = opts->attrs_ctx;
    w->stored = opts->stored;
    w->stored_ctx = opts->stored_ctx;
    w->dirty = true;
    if (opts->base_etag) {
        snprintf(w->base_etag, sizeof(w->base_etag), "%s", opts->base_etag);
        w->base_keep = w->start = w->size = opts->base_size;
        w->dirty = false;
        snprintf(w->last.version.etag, sizeof(w->last.version.etag), "%s", opts->base_etag);
        w->last.size = opts->base_size;
    }
    if (opts->if_match)
        snprintf(w->if_match, sizeof(w->if_match), "%s", opts->if_match);
    w->if_absent = opts->if_absent;
    w->through = opts->through;
    arena_init(&w->doubt.arena, LIMIT_PAGE_STRINGS);
    buffer_init(&w->buffer, w->share);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->idle, NULL);
    data_pin(d);
    data_count(d, 0, 1);
    *ret = w;
    return 0;
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    struct data *d = w->d;
    writer_enter(w);
    upload_free(w->upload);
    buffer_done(&w->buffer);
    writer_drop_spill(w);
    writer_drop_stage(w);
    writer_leave(w);
    pthread_cond_destroy(&w->idle);
    pthread_mutex_destroy(&w->lock);
    arena_done(&w->doubt.arena);
    data_share_unref(w->share);
    free(w->key);
    free(w);
    data_count(d, 0, -1);
    data_unpin(d);
}

/* ---- the base version ---- */

struct base_sink {
    struct buffer *buffer; /* into one of these */
    char *to;
    uint64_t left;
};

static int base_write(void *ctx, const void *data, size_t len)
{
    struct base_sink *s = ctx;
    if (len > s->left)
        return -EIO;
    s->left -= len;
    if (s->to) {
        memcpy(s->to, data, len);
        s->to += len;
        return 0;
    }
    size_t done;
    return buffer_write(s->buffer, s->buffer->len, data, len, DATA_FORCE, &done);
}

/* Reads [offset, offset + length) of the base into sink. */
static int get_base(struct writer *w, uint64_t offset, uint64_t length, struct base_sink *target,
                    struct s3_error *reterr)
{
    struct s3_error err = {0};
    target->left = length;
    struct store_sink sink = {.write = base_write, .ctx = target};
    /* Without an ETag when a server did not tell the one of our own commit. */
    const char *etag = w->base_etag[0] ? w->base_etag : NULL;
    struct store_get_in in = {
        .key = w->key, .offset = offset, .length = length, .if_match = etag, .sink = &sink};
    struct store_object o;
    int r = store_get(w->d->store, &in, &o, &err);
    if (!r) {
        bool same = !etag || strcmp(o.etag, etag) == 0;
        store_object_done(&o);
        if (!same)
            r = s3_error_set(&err, S3_ERROR_PRECONDITION, "'%s' was replaced", w->key);
        else if (target->left)
            r = s3_error_set(&err, S3_ERROR_BAD_RESPONSE, "'%s' ended too early", w->key);
    } else if (err.kind == S3_ERROR_NO_SUCH_KEY) {
        r = -ESTALE; /* the version that the content begins with is gone */
    }
    if (r && reterr)
        *reterr = err;
    return r;
}

int writer_get_base(struct writer *w, uint64_t offset, uint64_t length, char *to,
                    struct s3_error *reterr)
{
    struct base_sink target = {.to = to};
    return get_base(w, offset, length, &target, reterr);
}

/* Puts [from, until) of the base before the buffer's content; [until, base_keep) is about to be
 * overwritten. */
static int pull_base(struct writer *w, uint64_t from, uint64_t until, struct s3_error *reterr)
{
    struct buffer joined;
    buffer_init(&joined, w->share);
    if (until > from) {
        struct base_sink target = {.buffer = &joined};
        int r = get_base(w, from, until - from, &target, reterr);
        if (r) {
            buffer_done(&joined);
            return r;
        }
    }
    /* Between until and base_keep there is nothing to keep: zeros hold the place. */
    uint64_t zeros;
    size_t copied;
    int r = buffer_append_zeros(&joined, w->base_keep - until, DATA_FORCE, &zeros);
    for (uint64_t at = 0; !r && at < w->buffer.len; at += copied) {
        size_t n = MIN(w->buffer.len - at, DATA_BLOCK_SIZE);
        r = buffer_write(&joined, joined.len, w->buffer.blocks[at / DATA_BLOCK_SIZE], n, DATA_FORCE,
                         &copied);
    }
    if (r) {
        buffer_done(&joined);
        return writer_no_memory(reterr);
    }
    buffer_done(&w->buffer);
    buffer_move(&w->buffer, &joined);
    w->base_keep = w->start = from;
    return 0;
}

int writer_open_base(struct writer *w, uint64_t from, uint64_t until, struct s3_error *reterr)
{
    if (from >= w->base_keep)
        return 0;
    if (w->upload || w->start > w->base_keep || w->base_keep > w->d->write_part_size)
        return WRITER_NEEDS_STAGE;
    /* Memory for all of it at once; or the local disk, where it comes as it is needed. */
    bool staged = w->spill || !data_share_try(w->share, w->base_keep + writer_held(w));
    if (staged && dirty_folder(w->d->dirty))
        return WRITER_NEEDS_STAGE;
    /* A write over all of it needs nothing of it. */
    bool all_new = from == 0 && until == 0;
    return pull_base(w, 0, all_new ? 0 : w->base_keep, reterr);
}

void writer_cut_base(struct writer *w, uint64_t size)
{
    buffer_done(&w->buffer);
    writer_drop_spill(w);
    w->base_keep = w->start = size;
}

/* ---- the upload ---- */

/* The parts that the kept base takes. */
static uint32_t copy_pieces(const struct writer *w)
{
    uint64_t fewest = (w->base_keep + STORE_COPY_SIZE_MAX - 1) / STORE_COPY_SIZE_MAX;
    uint64_t wanted = MIN(w->base_keep / COPY_PIECE, (uint64_t)w->d->parallel);
    return (uint32_t)MAX(MAX(fewest, wanted), 1u);
}

static uint64_t part_size(const struct writer *w, uint64_t first)
{
    uint32_t index = w->upload ? upload_next_index(w->upload) : copy_pieces(w);
    return MIN(data_part_size(first, index), w->d->write_part_max);
}

/* Bytes that the buffer may take before it is sent. */
static uint64_t buffer_capacity(const struct writer *w)
{
    if (!w->upload && !w->start)
        return w->d->write_part_size;
    return part_size(w, w->d->write_part_size);
}

/* Under pressure a part may go at this size; below, memory is granted always. Were it less, a long
 * stream would run out of part numbers. The last number takes what comes. */
static uint64_t early_size(const struct writer *w)
{
    bool last = w->upload && upload_next_index(w->upload) + 1 >= STORE_PARTS_MAX;
    return part_size(w, last ? w->d->write_part_size : STORE_PART_SIZE_MIN);
}

static int copy_base(struct writer *w, struct s3_error *reterr)
{
    uint32_t pieces = copy_pieces(w);
    uint64_t done = 0;
    for (uint32_t i = 0; i < pieces && done < w->base_keep; i++) {
        uint64_t n = (w->base_keep - done) / (pieces - i);
        int r = upload_copy(w->upload, w->key, w->base_etag, done, n, reterr);
        if (r)
            return r;
        done += n;
    }
    return 0;
}

int writer_get_attrs(struct writer *w, struct store_attrs *ret, struct s3_error *reterr)
{
    *ret = (struct store_attrs){0};
    int r = w->attrs ? w->attrs(w->attrs_ctx, ret) : 0;
    if (r)
        s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no attributes for '%s'", w->key);
    return r;
}

int writer_need_upload(struct writer *w, struct s3_error *reterr)
{
    if (w->upload)
        return 0;
    struct store_attrs attrs;
    int r = writer_get_attrs(w, &attrs, reterr);
    if (!r)
        r = upload_begin(w->share, w->key, &attrs, &w->upload, reterr);
    if (r)
        return r;
    data_share_set_least(w->share, buffer_capacity(w));
    return w->base_keep ? copy_base(w, reterr) : 0;
}

/* What is held as the next part. On the disk it stays until the part has it. */
static int send_part(struct writer *w, struct s3_error *err)
{
    struct buffer loaded;
    if (!w->spill)
        return upload_part(w->upload, &w->buffer, err);
    int r = writer_load(w, &loaded, err);
    if (r)
        return r;
    r = upload_part(w->upload, &loaded, err);
    if (!loaded.len)
        writer_drop_spill(w);
    buffer_done(&loaded);
    return r;
}

/* Sends what is held as a part, with more to follow it. */
static int send_buffer(struct writer *w, struct s3_error *reterr)
{
    if (writer_is_orphan(w))
        return WRITER_NEEDS_STAGE; /* there is no key to send it to */
    struct s3_error err = {0};
    uint64_t len = writer_held(w);
    int r = writer_need_upload(w, &err);
    bool begun = !r; /* with what it copies of the version before */
    if (!r && upload_next_index(w->upload) + 1 >= STORE_PARTS_MAX) {
        /* The file is as large as it can be; what it has stays good. */
        s3_error_set(reterr, S3_ERROR_TOO_LARGE, "'%s' has all the parts that S3 allows", w->key);
        return -EFBIG;
    }
    if (!r)
        r = send_part(w, &err);
    /* A part that has failed before is tried once more first. */
    if (r && begun && writer_held(w) && !upload_mend(w->upload, &err)) {
        err = (struct s3_error){0};
        r = send_part(w, &err);
    }
    if (r) {
        if (len && !writer_held(w))
            w->start += len; /* the upload has it, as a part that has failed */
        if (reterr)
            *reterr = err;
        return writer_stream_failed(w, r, &err);
    }
    w->start += len;
    w->no_spill = false;
    data_share_set_least(w->share, buffer_capacity(w));
    return 0;
}

/* Room for the next bytes, up to `until` of what is held: the budget said no. */
static int make_room(struct writer *w, uint64_t until, struct s3_error *reterr)
{
    bool whole = !w->upload && !w->start && writer_held(w) < w->d->write_part_size;
    if (!whole && writer_held(w) >= early_size(w))
        return send_buffer(w, reterr);
    /* To wait for memory is to give up what has failed and could be sent again. */
    if (w->upload && upload_can_mend(w->upload)) {
        int r = upload_mend(w->upload, reterr);
        if (r)
            return r;
    }
    if (!data_share_wait(w->share, DATA_BLOCK_SIZE, DATA_FILL))
        writer_spill(w, until);
    return 0;
}

/* The same for a hole in what is held, in the middle of a write: nothing of it is sent, and nothing
 * fails. */
static void make_room_inside(struct writer *w)
{
    bool mend = w->upload && upload_can_mend(w->upload);
    if (mend || !data_share_wait(w->share, DATA_BLOCK_SIZE, DATA_FILL))
        writer_spill(w, writer_held(w));
}

int writer_fill_to(struct writer *w, uint64_t end, struct s3_error *reterr)
{
    while (w->start + writer_held(w) < end) {
        uint64_t capacity = buffer_capacity(w), held = writer_held(w), done = 0;
        if (held >= capacity) {
            int r = send_buffer(w, reterr);
            if (r)
                return r;
            continue;
        }
        uint64_t n = MIN(end - w->start - held, capacity - held);
        int r = w->spill ? writer_spill_resize(w, held + n, reterr)
                         : buffer_append_zeros(&w->buffer, n, DATA_TRY, &done);
        if (r == -EAGAIN)
            r = make_room(w, held + n, reterr);
        else if (r && !w->spill)
            r = writer_no_memory(reterr);
        if (r)
            return r;
    }
    return 0;
}

/* ---- calls ---- */

static int write_bytes(struct writer *w, uint64_t offset, const char *from, size_t len,
                       struct s3_error *reterr)
{
    uint64_t pos = offset;
    while (len) {
        uint64_t at = pos - w->start, capacity = buffer_capacity(w);
        if (at >= capacity && at == writer_held(w)) {
            int r = send_buffer(w, reterr);
            if (r)
                return r;
            continue;
        }
        /* Bytes that are there are rewritten where they are, also in holes and beyond the
         * capacity: they must not be sent while that is half done. */
        bool rewrite = at < writer_held(w), spilled = w->spill;
        size_t n = MIN(len, (rewrite ? writer_held(w) : capacity) - at), done = 0;
        int r;
        if (spilled) {
            bool written;
            r = writer_spill_write(w, at, from, n, &written, reterr);
            done = written ? n : 0;
        } else {
            r = buffer_write(&w->buffer, at, from, n, DATA_TRY, &done);
        }
        pos += done;
        from += done;
        len -= done;
        if (done)
            writer_set_size(w, MAX(w->size, pos), true);
        if (r == -EAGAIN && rewrite && !spilled) {
            make_room_inside(w);
            r = 0;
        } else if (r == -EAGAIN && !spilled) {
            r = make_room(w, at + n, reterr);
        } else if (r && !spilled) {
            /* Half a write is in the content: it must not become the object. */
            struct s3_error err;
            r = writer_keep_failure(w, writer_no_memory(&err), &err);
            writer_old_failure(w, reterr);
        }
        if (r)
            return r;
    }
    return 0;
}

/* With an upload under way a full part goes at once. */
static int send_full(struct writer *w, struct s3_error *reterr)
{
    if (!w->upload || writer_held(w) < buffer_capacity(w) ||
        upload_next_index(w->upload) + 1 >= STORE_PARTS_MAX)
        return 0;
    return send_buffer(w, reterr);
}

/* Ahead of what was written, in a file that was given its size before: who does that writes here
 * and there. (Who writes ahead of the end is a copy with holes, a stream.) */
static bool is_scattered(const struct writer *w, uint64_t offset)
{
    uint64_t end = w->start + writer_held(w);
    return !w->upload && offset < w->size && offset > end && offset - end > w->d->write_part_size;
}

static int write_stream(struct writer *w, uint64_t offset, const void *buf, size_t len,
                        struct s3_error *reterr)
{
    int r = 0;
    if (is_scattered(w, offset))
        return WRITER_NEEDS_STAGE;
    if (offset < w->base_keep) {
        bool to_end = offset + len >= w->base_keep;
        r = writer_open_base(w, offset, to_end ? offset : w->base_keep, reterr);
    } else if (offset < w->start) {
        r = WRITER_NEEDS_STAGE;
    } else if (w->base_keep && w->base_keep <= w->d->write_part_size && !w->upload) {
        r = writer_open_base(w, 0, w->base_keep, reterr);
    }
    if (!r)
        r = writer_fill_to(w, offset, reterr);
    if (!r)
        r = write_bytes(w, offset, buf, len, reterr);
    if (!r)
        r = send_full(w, reterr);
    return r;
}

/* The stage was, or may have been, changed. */
static void staged_change(struct writer *w)
{
    w->changed = true;
    writer_set_size(w, stage_size(w->stage), true);
}

static int write_inside(struct writer *w, uint64_t offset, const void *buf, size_t len,
                        struct s3_error *reterr)
{
    int r = writer_old_failure(w, reterr);
    if (r || !len)
        return r;
    if (offset > STORE_OBJECT_SIZE_MAX || len > STORE_OBJECT_SIZE_MAX - offset) {
        s3_error_set(reterr, S3_ERROR_TOO_LARGE, "'%s' would be larger than S3 allows", w->key);
        return -EFBIG;
    }
    if (!w->stage) {
        r = write_stream(w, offset, buf, len, reterr);
        if (r != WRITER_NEEDS_STAGE)
            return r;
        r = writer_to_stage(w, reterr);
        if (r)
            return r;
    }
    r = stage_write(w->stage, offset, buf, len, reterr);
    staged_change(w);
    return r;
}

int writer_write(struct writer *w, uint64_t offset, const void *buf, size_t len,
                 struct s3_error *reterr)
{
    writer_enter(w);
    int r = write_inside(w, offset, buf, len, reterr);
    writer_leave(w);
    return r;
}

/* A write at offset goes on with the stream that is here. */
static bool goes_on(const struct writer *w, uint64_t offset, size_t len)
{
    bool base_to_read = w->base_keep && w->base_keep <= w->d->write_part_size && !w->upload;
    return !w->failed && !w->stage && !base_to_read && offset == w->start + writer_held(w) &&
           offset <= STORE_OBJECT_SIZE_MAX - len;
}

/* Blocks become part of the stream. The last one need not be full: a MiB out of memory that is not
 * aligned to a page comes as two writes, the second one of a few bytes. False: not as things are
 * here, or not without waiting for memory. */
static bool take_blocks(struct writer *w, uint64_t offset, struct landing *l, size_t len)
{
    if (w->spill || w->buffer.len + len > buffer_capacity(w) ||
        buffer_take(&w->buffer, l->blocks, len))
        return false;
    writer_set_size(w, MAX(w->size, offset + len), true);
    return true;
}

/* Other writes of several blocks are done as a whole or not at all: that needs their bytes in one
 * piece. */
static int landed_inside(struct writer *w, uint64_t offset, struct landing *l, size_t len,
                         struct s3_error *reterr)
{
    int r = 0;
    if (len < DATA_BLOCK_SIZE)
        return write_inside(w, offset, l->blocks[0], len, reterr);
    if (!goes_on(w, offset, len))
        return -EXDEV;
    if (take_blocks(w, offset, l, len)) {
        r = send_full(w, reterr);
        if (r == WRITER_NEEDS_STAGE && !(r = writer_to_stage(w, reterr)))
            staged_change(w);
        return r;
    }
    for (size_t at = 0; !r && at < len; at += DATA_BLOCK_SIZE)
        r = write_inside(w, offset + at, l->blocks[at / DATA_BLOCK_SIZE],
                         MIN(len - at, DATA_BLOCK_SIZE), reterr);
    return r;
}

int writer_write_landed(struct writer *w, uint64_t offset, struct landing *l, size_t len,
                        struct s3_error *reterr)
{
    writer_enter(w);
    int r = landed_inside(w, offset, l, len, reterr);
    writer_leave(w);
    return r;
}

/* Back to empty; an upload under way is given up. */
static void restart(struct writer *w)
{
    upload_free(TAKE_PTR(w->upload));
    writer_drop_stage(w);
    writer_cut_base(w, 0);
    data_share_set_least(w->share, w->d->write_part_size);
}

static int truncate_stream(struct writer *w, uint64_t size, struct s3_error *reterr)
{
    if (size < w->start) {
        if (w->upload || w->start > w->base_keep)
            return WRITER_NEEDS_STAGE;
        writer_cut_base(w, size);
    } else if (size < w->start + writer_held(w)) {
        if (w->spill)
            return writer_spill_resize(w, size - w->start, reterr);
        buffer_truncate(&w->buffer, size - w->start);
    }
    return 0;
}

static int truncate_inside(struct writer *w, uint64_t size, struct s3_error *reterr)
{
    int r = writer_old_failure(w, reterr);
    if (r || size == w->size)
        return r;
    if (size > STORE_OBJECT_SIZE_MAX) {
        s3_error_set(reterr, S3_ERROR_TOO_LARGE, "'%s' would be larger than S3 allows", w->key);
        return -EFBIG;
    }
    if (size == 0) {
        restart(w);
    } else if (!w->stage && (r = truncate_stream(w, size, reterr)) == WRITER_NEEDS_STAGE) {
        r = writer_to_stage(w, reterr);
    }
    if (!r && w->stage)
        r = stage_truncate(w->stage, size, reterr);
    if (r)
        return r;
    w->changed = true;
    writer_set_size(w, size, true);
    return 0;
}

int writer_truncate(struct writer *w, uint64_t size, struct s3_error *reterr)
{
    writer_enter(w);
    int r = truncate_inside(w, size, reterr);
    writer_leave(w);
    return r;
}

static int zero_stream(struct writer *w, uint64_t offset, uint64_t end, struct s3_error *reterr)
{
    int r = 0;
    if (offset < w->base_keep)
        r = writer_open_base(w, offset, w->base_keep, reterr);
    else if (offset < w->start)
        r = WRITER_NEEDS_STAGE;
    end = MIN(end, w->start + writer_held(w));
    while (!r && offset < end) {
        if (w->spill)
            return stage_zero(w->spill, offset - w->start, end - offset, reterr);
        size_t n = MIN(end - offset, DATA_BLOCK_SIZE), done;
        r = buffer_write(&w->buffer, offset - w->start, w->d->zero_block, n, DATA_TRY, &done);
        offset += done;
        if (r == -EAGAIN) {
            make_room_inside(w);
            r = 0;
        } else if (r) {
            r = writer_no_memory(reterr); /* some are zeros already, and may be */
        }
    }
    return r;
}

static int zero_inside(struct writer *w, uint64_t offset, uint64_t len, struct s3_error *reterr)
{
    int r = writer_old_failure(w, reterr);
    if (r || offset >= w->size || !len)
        return r;
    len = MIN(len, w->size - offset);
    if (!w->stage) {
        r = zero_stream(w, offset, offset + len, reterr);
        if (r == WRITER_NEEDS_STAGE)
            r = writer_to_stage(w, reterr);
    }
    if (!r && w->stage)
        r = stage_zero(w->stage, offset, len, reterr);
    w->changed = true;
    writer_set_size(w, w->size, true);
    return r;
}

int writer_zero(struct writer *w, uint64_t offset, uint64_t len, struct s3_error *reterr)
{
    writer_enter(w);
    int r = zero_inside(w, offset, len, reterr);
    writer_leave(w);
    return r;
}

static int read_stream(struct writer *w, uint64_t offset, char *to, size_t len,
                       struct s3_error *reterr)
{
    uint64_t pos = offset, end = offset + len;
    uint64_t held_end = w->start + writer_held(w);
    if (w->start > w->base_keep && pos < w->start && end > w->base_keep)
        return WRITER_NEEDS_STAGE;
    if (pos < w->base_keep && !w->upload) {
        /* A large base is read with prefetch there. */
        int r = writer_open_base(w, 0, w->base_keep, reterr);
        if (r)
            return r;
        held_end = w->start + writer_held(w);
    } else if (pos < w->base_keep) {
        uint64_t n = MIN(end, w->base_keep) - pos;
        struct base_sink target = {.to = to};
        int r = get_base(w, pos, n, &target, reterr);
        if (r)
            return r;
        to += n;
        pos += n;
    }
    if (pos < end && pos < held_end) {
        size_t n = (size_t)(MIN(end, held_end) - pos);
        int r = w->spill ? stage_read(w->spill, pos - w->start, to, n, reterr) : 0;
        if (r)
            return r;
        if (!w->spill)
            buffer_read(&w->buffer, pos - w->start, to, n);
        to += n;
        pos += n;
    }
    if (pos < end)
        memset(to, 0, (size_t)(end - pos));
    return 0;
}

static int read_inside(struct writer *w, uint64_t offset, char *to, size_t len,
                       struct s3_error *reterr)
{
    if (!w->stage) {
        int r = read_stream(w, offset, to, len, reterr);
        if (r != WRITER_NEEDS_STAGE)
            return r;
        r = writer_to_stage(w, reterr);
        if (r)
            return r;
    }
    return stage_read(w->stage, offset, to, len, reterr);
}

int writer_read(struct writer *w, uint64_t offset, void *buf, size_t len, size_t *ret_len,
                struct s3_error *reterr)
{
    *ret_len = 0;
    bool alone = enter_to_read(w);
    size_t n = offset < w->size ? (size_t)MIN((uint64_t)len, w->size - offset) : 0;
    int r = n ? read_inside(w, offset, buf, n, reterr) : 0;
    if (alone)
        writer_leave(w);
    else
        leave_read(w);
    if (!r)
        *ret_len = n;
    return r;
}

/* Whether [offset, *ret_end) is a hole. */
static bool is_hole(const struct writer *w, uint64_t offset, uint64_t *ret_end)
{
    if (w->stage)
        return stage_is_hole(w->stage, offset, ret_end);
    uint64_t end = w->start + writer_held(w);
    *ret_end = offset < end ? end : w->size;
    return offset >= end;
}

int writer_seek(struct writer *w, uint64_t offset, bool hole, uint64_t *ret)
{
    uint64_t end;
    writer_enter(w);
    int r = offset < w->size ? 0 : -ENXIO;
    while (!r && offset < w->size && is_hole(w, offset, &end) != hole)
        offset = end;
    if (!r && !hole && offset >= w->size)
        r = -ENXIO;
    writer_leave(w);
    if (!r)
        *ret = offset;
    return r;
}

/* ---- names ---- */

int writer_set_key(struct writer *w, const char *key, const char *etag)
{
    char *copy = strdup(key);
    if (!copy)
        return -ENOMEM;
    writer_enter(w);
    int r = w->dirty || w->upload ? -EBUSY : 0;
    if (!r && w->stage)
        r = stage_set_base(w->stage, key, etag, w->last.size, stage_base_size(w->stage));
    if (!r) {
        free(w->key);
        w->key = TAKE_PTR(copy);
        snprintf(w->base_etag, sizeof(w->base_etag), "%s", etag);
        snprintf(w->if_match, sizeof(w->if_match), "%s", etag);
        w->if_absent = false;
    }
    writer_leave(w);
    free(copy);
    return r;
}

void writer_orphan(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->orphan = true;
    pthread_mutex_unlock(&w->lock);
}
