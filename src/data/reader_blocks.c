/* SPDX-License-Identifier: Apache-2.0 */
/* A reader and the disk cache. Bytes are taken from there for the reader's version alone, and only
 * when that is decided: by belief (the attributes are not too old, and all of the object is there),
 * or by an answer of the store. What requests bring goes there in whole blocks.
 *
 * A block need not come in one request: it is put together from the ranges that are in memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "data/reader_impl.h"

/* Ranges that one block is put together from: a chunk each, and what came for a damaged one. */
#define PIECES_MAX (BLOCK_FILE_CHUNKS + 1)

void reader_blocks_init(struct reader *r, bool believed)
{
    r->blocks.usable = block_cache_is_on(r->d->blocks) &&
                       block_object_init(&r->blocks.object, r->key, r->hint_etag, r->hint_size);
    r->blocks.looking = r->blocks.usable;
    r->blocks.believed = believed;
}

void reader_blocks_version_locked(struct reader *r)
{
    r->blocks.usable = block_cache_is_on(r->d->blocks) &&
                       block_object_init(&r->blocks.object, r->key, r->etag, r->size);
    r->blocks.all = false;
}

/* ---- what is there ---- */

bool reader_blocks_has_some(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    bool look = r->blocks.looking;
    struct block_object o = r->blocks.object;
    pthread_mutex_unlock(&r->lock);
    return look && block_cache_look(r->d->blocks, &o) != BLOCK_CACHE_NONE;
}

/* Also before the version is known: then it is a guess, good enough for what not to ask for. */
static bool may_have_locked(struct reader *r, uint64_t pos)
{
    return r->blocks.usable && pos < r->size &&
           block_cache_has(r->d->blocks, &r->blocks.object, (uint32_t)(pos / BLOCK_FILE_SIZE));
}

bool reader_blocks_has_locked(struct reader *r, uint64_t pos)
{
    bool has = may_have_locked(r, pos);
    /* Blocks go when others need the room. */
    if (!has && pos < r->size)
        r->blocks.all = false;
    return has && r->state == READER_KNOWN;
}

uint64_t reader_blocks_end_locked(struct reader *r, uint64_t pos)
{
    if (r->blocks.all)
        return r->size;
    if (!may_have_locked(r, pos))
        return pos;
    return MIN((pos / BLOCK_FILE_SIZE + 1) * BLOCK_FILE_SIZE, r->size);
}

uint64_t reader_blocks_next_locked(struct reader *r, uint64_t pos, uint64_t end)
{
    uint64_t at = (pos / BLOCK_FILE_SIZE + 1) * BLOCK_FILE_SIZE;
    while (at < end && !may_have_locked(r, at))
        at += BLOCK_FILE_SIZE;
    return MIN(at, end);
}

/* ---- reading ---- */

static bool load_locked(struct reader *r, uint64_t pos, uint64_t end)
{
    struct reader_blocks *b = &r->blocks;
    uint32_t block = (uint32_t)(pos / BLOCK_FILE_SIZE);
    uint64_t from = pos / BLOCK_FILE_CHUNK * BLOCK_FILE_CHUNK;
    uint64_t to = (end + BLOCK_FILE_CHUNK - 1) / BLOCK_FILE_CHUNK * BLOCK_FILE_CHUNK;
    to = MIN(MIN(to, (block + 1ull) * BLOCK_FILE_SIZE), r->size);
    struct range *g = range_new_locked(r, from, to - from, DATA_FORCE);
    if (!g)
        return false;
    g->local = true;
    range_pin_locked(g);
    reader_check_local_locked(g);
    struct sums_crcs crcs[BLOCK_FILE_CHUNKS];
    pthread_mutex_unlock(&r->lock);
    struct iovec iov[BLOCK_FILE_CHUNKS + 1];
    int n = (int)buffer_point(&g->buffer, 0, to - from, iov);
    int result =
        block_cache_read(r->d->blocks, &b->object, block, from - block * BLOCK_FILE_SIZE, iov, n);
    if (!result && g->sum)
        reader_check_sum_local(g->sum, iov, n, crcs);
    pthread_mutex_lock(&r->lock);
    if (result)
        b->all = false;
    else if (g->sum)
        reader_check_add_local_locked(g, crcs);
    range_end_locked(g, result);
    range_unpin_locked(g);
    return result == 0;
}

bool reader_blocks_load_locked(struct reader *r, uint64_t pos, uint64_t end)
{
    return reader_blocks_has_locked(r, pos) && load_locked(r, pos, end);
}

/* ---- the version ---- */

void reader_blocks_begun_locked(struct reader *r)
{
    r->blocks.looking = false;
    pthread_cond_broadcast(&r->cond);
}

/* Only the thread that asks for the version is here; the hint does not change. */
enum reader_ask reader_blocks_begin(struct reader *r, uint64_t offset, size_t len)
{
    struct reader_blocks *b = &r->blocks;
    enum reader_ask how = READER_ASK_GET;
    pthread_mutex_lock(&r->lock);
    bool look = b->looking;
    pthread_mutex_unlock(&r->lock);
    if (!look)
        return READER_ASK_GET;
    enum block_cache_found found = block_cache_look(r->d->blocks, &b->object);
    uint32_t block = (uint32_t)(MIN(offset, b->object.size - 1) / BLOCK_FILE_SIZE);
    if (found == BLOCK_CACHE_ALL && b->believed)
        how = READER_ASK_NONE;
    else if (found != BLOCK_CACHE_NONE && block_cache_has(r->d->blocks, &b->object, block))
        how = READER_ASK_HEAD;

    pthread_mutex_lock(&r->lock);
    b->all = found == BLOCK_CACHE_ALL;
    if (how == READER_ASK_NONE) {
        /* The bytes first: when they do not hold, nothing has been read of that version yet. */
        uint64_t end = offset < r->size ? offset + MIN(len, r->size - offset) : offset;
        if (offset >= r->size || load_locked(r, offset, end)) {
            r->state = READER_KNOWN;
            memcpy(r->etag, r->hint_etag, sizeof(r->etag));
        } else {
            /* With the answer the blocks behind it may be used. */
            how = block_object_count(&b->object) > 1 ? READER_ASK_HEAD : READER_ASK_GET;
        }
    }
    if (how != READER_ASK_HEAD)
        reader_blocks_begun_locked(r);
    pthread_mutex_unlock(&r->lock);
    return how;
}

/* ---- writing ---- */

struct offer {
    struct block_job job;
    struct reader *reader;            /* referenced */
    struct range *pieces[PIECES_MAX]; /* pinned */
    unsigned n_pieces;
};

static void offer_drop_locked(struct offer *o)
{
    while (o->n_pieces)
        range_unpin_locked(o->pieces[--o->n_pieces]);
    free(o);
}

static void offer_release(struct block_job *job)
{
    struct offer *o = CONTAINER_OF(job, struct offer, job);
    struct reader *r = o->reader;
    pthread_mutex_lock(&r->lock);
    offer_drop_locked(o);
    range_trim_locked(r);
    pthread_mutex_unlock(&r->lock);
    reader_unref(r);
}

/* A range with the byte at pos that has ended well; g may be out of the list already. */
static struct range *find_piece_locked(struct reader *r, struct range *g, uint64_t pos)
{
    if (pos >= g->offset && pos - g->offset < g->length)
        return g;
    for (g = r->ranges; g; g = g->next)
        if (g->done && !g->result && pos >= g->offset && pos - g->offset < g->length)
            return g;
    return NULL;
}

static bool collect_pieces_locked(struct offer *o, struct range *g, uint64_t pos, uint64_t end)
{
    while (pos < end) {
        struct range *piece = find_piece_locked(o->reader, g, pos);
        if (!piece || o->n_pieces == PIECES_MAX)
            return false;
        uint64_t n = MIN(end, piece->offset + piece->length) - pos;
        size_t pointers = buffer_pieces(pos - piece->offset, n);
        if ((size_t)o->job.n_iov + pointers > BLOCK_FILE_IOV)
            return false;
        range_pin_locked(piece);
        o->pieces[o->n_pieces++] = piece;
        o->job.n_iov +=
            (int)buffer_point(&piece->buffer, pos - piece->offset, n, o->job.iov + o->job.n_iov);
        pos += n;
    }
    return true;
}

static void offer_block_locked(struct reader *r, struct range *g, uint32_t block)
{
    uint64_t pos = block * BLOCK_FILE_SIZE;
    if (!block_cache_wants(r->d->blocks, &r->blocks.object, block))
        return;
    struct offer *o = calloc(1, sizeof(*o));
    if (!o)
        return;
    o->reader = r;
    o->job.block = block;
    o->job.release = offer_release;
    o->job.object = r->blocks.object;
    r->refs++;
    if (collect_pieces_locked(o, g, pos, pos + block_object_length(&o->job.object, block)) &&
        block_cache_put(r->d->blocks, &o->job))
        return;
    r->refs--; /* the caller has one */
    offer_drop_locked(o);
}

void reader_blocks_offer_locked(struct reader *r, struct range *g)
{
    /* What waits to be written counts as the reader's memory, which it has other use for. */
    if (!r->blocks.usable || r->state != READER_KNOWN || !g->length || !data_has_room(r->d))
        return;
    uint64_t last = (g->offset + g->length - 1) / BLOCK_FILE_SIZE;
    g->pins++; /* a block that is refused must not be the last to let go of it */
    for (uint64_t b = g->offset / BLOCK_FILE_SIZE; b <= last; b++)
        offer_block_locked(r, g, (uint32_t)b);
    g->pins--;
}

void reader_blocks_spoilt_locked(struct reader *r)
{
    const struct block_object object = r->blocks.object;
    if (!r->blocks.usable)
        return;
    r->blocks.usable = false;
    pthread_mutex_unlock(&r->lock);
    block_cache_drop(r->d->blocks, &object);
    pthread_mutex_lock(&r->lock);
}
