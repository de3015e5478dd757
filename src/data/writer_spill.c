/* SPDX-License-Identifier: Apache-2.0 */
/* The unsent part of a stream on the local disk, when memory is short and nothing will free any:
 * programs that hold files open half written would else have it all, or more than all. What is
 * there goes on as a part: it is loaded to be sent, and then only, and the file is dropped when the
 * part has it. It is authoritative as long as it exists. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "data/dirty.h"
#include "data/writer_impl.h"

/* A file takes a descriptor, and a page at least. */
#define SPILL_MIN (64 * KIB)

uint64_t writer_held(const struct writer *w)
{
    return w->spill ? w->spill_len : w->buffer.len;
}

void writer_drop_spill(struct writer *w)
{
    stage_free(TAKE_PTR(w->spill));
    w->spill_len = 0;
}

static int write_out(const struct buffer *b, struct stage *s)
{
    int r = 0;
    for (uint64_t at = 0; !r && at < b->len; at += DATA_BLOCK_SIZE) {
        const char *block = b->blocks[at / DATA_BLOCK_SIZE];
        if (block != b->share->d->zero_block)
            r = stage_write(s, at, block, (size_t)MIN(b->len - at, DATA_BLOCK_SIZE), NULL);
    }
    return r ? r : stage_truncate(s, b->len, NULL);
}

/* The limit says less than the user's data. */
static void tell_beyond(struct data *d)
{
    if (!atomic_exchange(&d->beyond_told, true))
        log_warn("the local disk has no room for unsent parts of open files: they may take more "
                 "than memory_limit");
}

static bool to_disk(struct writer *w)
{
    struct stage *s;
    if (stage_new(w->d, &s, NULL))
        return false;
    if (write_out(&w->buffer, s)) {
        stage_free(s);
        return false;
    }
    w->spill = s;
    w->spill_len = w->buffer.len;
    buffer_done(&w->buffer);
    data_note_spilled(w->d, w->spill_len);
    return true;
}

void writer_spill(struct writer *w, uint64_t until)
{
    bool possible = dirty_folder(w->d->dirty) && until > SPILL_MIN;
    if (possible && !w->no_spill) {
        if (to_disk(w))
            return;
        w->no_spill = true;
        tell_beyond(w->d);
    }
    data_share_force(w->share, DATA_BLOCK_SIZE);
}

int writer_load(struct writer *w, struct buffer *ret, struct s3_error *reterr)
{
    buffer_init(ret, w->share);
    ret->leaving = true;
    data_share_load(w->share, stage_buffer_cost(w->spill, 0, w->spill_len));
    int r = stage_read_buffer(w->spill, 0, w->spill_len, ret, reterr);
    data_share_drop_load(w->share);
    if (r)
        buffer_done(ret);
    return r;
}

/* Back into memory: the disk takes no more. */
static int take_back(struct writer *w, struct s3_error *reterr)
{
    struct buffer b;
    int r = writer_load(w, &b, reterr);
    if (r)
        return r;
    w->no_spill = true;
    tell_beyond(w->d);
    buffer_stay(&b);
    buffer_done(&w->buffer);
    buffer_move(&w->buffer, &b);
    writer_drop_spill(w);
    return 0;
}

int writer_spill_write(struct writer *w, uint64_t at, const char *from, size_t len, bool *ret_done,
                       struct s3_error *reterr)
{
    /* What it goes over may be overwritten in part when it fails; the caller writes it again. */
    *ret_done = !stage_write(w->spill, at, from, len, NULL);
    if (!*ret_done)
        return take_back(w, reterr);
    w->spill_len = MAX(w->spill_len, at + len);
    data_note_spilled(w->d, len);
    return 0;
}

int writer_spill_resize(struct writer *w, uint64_t len, struct s3_error *reterr)
{
    int r = stage_truncate(w->spill, len, reterr);
    if (!r)
        w->spill_len = len;
    return r;
}

int writer_held_visit(const struct writer *w, writer_piece_fn fn, void *ctx)
{
    if (!w->spill) {
        int r = 0;
        for (uint64_t at = 0; !r && at < w->buffer.len; at += DATA_BLOCK_SIZE) {
            const char *block = w->buffer.blocks[at / DATA_BLOCK_SIZE];
            if (block != w->d->zero_block)
                r = fn(ctx, at, block, (size_t)MIN(w->buffer.len - at, DATA_BLOCK_SIZE));
        }
        return r;
    }
    CLEANUP_FREE char *block = malloc(DATA_BLOCK_SIZE);
    int r = block ? 0 : -ENOMEM;
    for (uint64_t at = 0, next; !r && at < w->spill_len; at = next) {
        bool hole = stage_is_hole(w->spill, at, &next);
        next = hole ? MIN(next, w->spill_len) : MIN(at + DATA_BLOCK_SIZE, w->spill_len);
        if (hole)
            continue;
        r = stage_read(w->spill, at, block, (size_t)(next - at), NULL);
        if (!r)
            r = fn(ctx, at, block, (size_t)(next - at));
    }
    return r;
}
