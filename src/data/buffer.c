/* SPDX-License-Identifier: Apache-2.0 */
#include "data/buffer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"

#define SMALL_MIN (4 * KIB)
#define SMALL_MAX (DATA_BLOCK_SIZE / 2)

void buffer_init(struct buffer *b, struct data_share *share)
{
    *b = (struct buffer){.share = share};
}

static uint64_t block_cost(const struct buffer *b, size_t i)
{
    if (b->blocks[i] == b->share->d->zero_block)
        return 0;
    return i == 0 && b->small ? b->small : DATA_BLOCK_SIZE;
}

uint64_t buffer_cost(const struct buffer *b)
{
    uint64_t cost = 0;
    for (size_t i = 0; i < b->n_blocks; i++)
        cost += block_cost(b, i);
    return cost;
}

void buffer_leave(struct buffer *b)
{
    if (!b->leaving)
        data_share_leaving(b->share, buffer_cost(b));
    b->leaving = true;
}

void buffer_stay(struct buffer *b)
{
    if (b->leaving)
        data_share_stay(b->share, buffer_cost(b));
    b->leaving = false;
}

bool buffer_try_stay(struct buffer *b)
{
    if (b->leaving && data_share_try_stay(b->share, buffer_cost(b)))
        b->leaving = false;
    return !b->leaving;
}

/* Gives blocks [from, n_blocks) back. */
static void free_blocks(struct buffer *b, size_t from)
{
    size_t first = from;
    uint64_t cost = 0;
    for (size_t i = from; i < b->n_blocks; i++)
        cost += block_cost(b, i);
    if (from == 0 && b->n_blocks && b->small) {
        free(b->blocks[0]);
        b->small = 0;
        first = 1;
    }
    if (b->n_blocks > from)
        data_share_put_blocks(b->share, b->blocks + first, b->n_blocks - first, cost, b->leaving);
    b->n_blocks = MIN(from, b->n_blocks);
}

void buffer_done(struct buffer *b)
{
    free_blocks(b, 0);
    free(b->blocks);
    *b = (struct buffer){.share = b->share};
}

void buffer_move(struct buffer *to, struct buffer *from)
{
    *to = *from;
    *from = (struct buffer){.share = from->share};
}

static int reserve(struct buffer *b, uint64_t bytes, enum data_reserve_mode mode)
{
    return data_share_reserve(b->share, bytes, b->leaving ? DATA_LOADED : mode);
}

/* What was reserved cannot be had. */
static void unreserve(struct buffer *b, uint64_t bytes)
{
    data_share_put_blocks(b->share, NULL, 0, bytes, b->leaving);
}

static int reserve_slots(struct buffer *b, size_t n)
{
    if (n <= b->alloc_blocks)
        return 0;
    size_t alloc = MAX(n, b->alloc_blocks * 2);
    char **bigger = realloc(b->blocks, alloc * sizeof(*bigger));
    if (!bigger)
        return -ENOMEM;
    b->blocks = bigger;
    b->alloc_blocks = alloc;
    return 0;
}

/* A full block in place of what slot i has (nothing, the zero block or a small one); the content
 * is kept. slot i may be the one after the last. */
static int fill_slot(struct buffer *b, size_t i, enum data_reserve_mode mode)
{
    struct data *d = b->share->d;
    int r = reserve_slots(b, i + 1);
    if (r)
        return r;
    bool fresh = i == b->n_blocks;
    uint64_t old_cost = fresh ? 0 : block_cost(b, i);
    r = reserve(b, DATA_BLOCK_SIZE - old_cost, mode);
    if (r)
        return r;
    char *block;
    r = data_blocks_get(d, &block, 1);
    if (r) {
        unreserve(b, DATA_BLOCK_SIZE - old_cost);
        return r;
    }
    if (fresh) {
        b->n_blocks++;
    } else if (i == 0 && b->small) {
        memcpy(block, b->blocks[0], b->small);
        free(b->blocks[0]);
        b->small = 0;
    } else {
        memset(block, 0, DATA_BLOCK_SIZE);
    }
    b->blocks[i] = block;
    return 0;
}

/* Block 0 with a capacity of at least `need` <= SMALL_MAX, the content kept. */
static int fill_small(struct buffer *b, size_t need, enum data_reserve_mode mode)
{
    size_t capacity = MAX(b->small, (size_t)SMALL_MIN);
    while (capacity < need)
        capacity *= 2;
    if (capacity == b->small)
        return 0;
    int r = reserve_slots(b, 1);
    if (!r)
        r = reserve(b, capacity - b->small, mode);
    if (r)
        return r;
    char *block = realloc(b->small ? b->blocks[0] : NULL, capacity);
    if (!block) {
        unreserve(b, capacity - b->small);
        return -ENOMEM;
    }
    b->blocks[0] = block;
    b->n_blocks = 1;
    b->small = capacity;
    SCOPE_LOCK(&b->share->d->lock);
    data_blocks_fit_locked(b->share->d);
    return 0;
}

/* Makes block i writable for its first `end` bytes. */
static int prepare(struct buffer *b, size_t i, size_t end, enum data_reserve_mode mode)
{
    struct data *d = b->share->d;
    if (i == 0 && end <= SMALL_MAX && (b->n_blocks == 0 || b->small))
        return fill_small(b, end, mode);
    if (b->small && (i > 0 || end > b->small)) {
        int r = fill_slot(b, 0, mode);
        if (r)
            return r;
    }
    if (i < b->n_blocks && b->blocks[i] != d->zero_block)
        return 0;
    return fill_slot(b, i, mode);
}

int buffer_allocate(struct buffer *b, uint64_t len, enum data_reserve_mode mode)
{
    int r = 0;
    if (len <= SMALL_MAX) {
        r = len ? fill_small(b, len, mode) : 0;
        if (!r)
            b->len = len;
        return r;
    }
    size_t n = (len + DATA_BLOCK_SIZE - 1) / DATA_BLOCK_SIZE;
    /* One decision of the budget for all of it, then blocks within what was granted. */
    r = reserve(b, n * DATA_BLOCK_SIZE, mode);
    if (r)
        return r;
    r = reserve_slots(b, n);
    if (!r)
        r = data_blocks_get(b->share->d, b->blocks, n);
    if (r) {
        unreserve(b, n * DATA_BLOCK_SIZE);
        return r;
    }
    b->n_blocks = n;
    b->len = len;
    return 0;
}

/* While they are in the CPU's cache: to read them again later costs three times as much. */
static void sum_block(struct buffer *b, uint64_t offset, const char *bytes, size_t n)
{
    if (offset == b->summed && b->share->d->sum_parts && !b->share->unsummed) {
        b->sum = crc64nvme_update(b->sum, bytes, n);
        b->summed += n;
    } else if (offset < b->summed) {
        b->sum = b->summed = 0;
    }
}

uint64_t buffer_sum(const struct buffer *b)
{
    uint64_t sum = b->sum;
    for (uint64_t pos = b->summed; pos < b->len;) {
        size_t at = pos % DATA_BLOCK_SIZE;
        size_t n = (size_t)MIN(b->len - pos, (uint64_t)(DATA_BLOCK_SIZE - at));
        sum = crc64nvme_update(sum, b->blocks[pos / DATA_BLOCK_SIZE] + at, n);
        pos += n;
    }
    return sum;
}

int buffer_write(struct buffer *b, uint64_t offset, const void *data, size_t len,
                 enum data_reserve_mode mode, size_t *ret_done)
{
    const char *from = data;
    size_t done = 0;
    int r = 0;
    while (done < len) {
        size_t i = (offset + done) / DATA_BLOCK_SIZE;
        size_t at = (offset + done) % DATA_BLOCK_SIZE;
        size_t n = MIN(len - done, DATA_BLOCK_SIZE - at);
        r = prepare(b, i, at + n, mode);
        if (r)
            break;
        memcpy(b->blocks[i] + at, from + done, n);
        sum_block(b, offset + done, b->blocks[i] + at, n);
        done += n;
        b->len = MAX(b->len, offset + done);
    }
    *ret_done = done;
    return r;
}

int buffer_take(struct buffer *b, char **blocks, size_t len)
{
    size_t n = (len + DATA_BLOCK_SIZE - 1) / DATA_BLOCK_SIZE;
    if (b->small || b->leaving || b->len != b->n_blocks * DATA_BLOCK_SIZE)
        return -EXDEV;
    if (reserve_slots(b, b->n_blocks + n))
        return -EXDEV;
    int r = reserve(b, n * DATA_BLOCK_SIZE, DATA_LANDED);
    if (r)
        return r;
    for (size_t i = 0; i < n; i++) {
        size_t part = MIN(len - i * DATA_BLOCK_SIZE, DATA_BLOCK_SIZE);
        sum_block(b, b->len, blocks[i], part);
        b->blocks[b->n_blocks++] = TAKE_PTR(blocks[i]);
        b->len += part;
    }
    return 0;
}

int buffer_append_zeros(struct buffer *b, uint64_t len, enum data_reserve_mode mode,
                        uint64_t *ret_done)
{
    uint64_t done = 0;
    int r = 0;
    while (done < len) {
        size_t i = b->len / DATA_BLOCK_SIZE;
        size_t at = b->len % DATA_BLOCK_SIZE;
        size_t n = MIN(len - done, (uint64_t)(DATA_BLOCK_SIZE - at));
        bool whole_free = at == 0 && i == b->n_blocks;
        if (whole_free && (i > 0 || n > SMALL_MAX)) {
            r = reserve_slots(b, i + 1);
            if (r)
                break;
            b->blocks[b->n_blocks++] = b->share->d->zero_block;
        } else if (i >= b->n_blocks || b->blocks[i] != b->share->d->zero_block) {
            r = prepare(b, i, at + n, mode);
            if (r)
                break;
            memset(b->blocks[i] + at, 0, n);
        }
        done += n;
        b->len += n;
    }
    *ret_done = done;
    return r;
}

void buffer_read(const struct buffer *b, uint64_t offset, void *data, size_t len)
{
    char *to = data;
    while (len) {
        size_t at = offset % DATA_BLOCK_SIZE;
        size_t n = MIN(len, DATA_BLOCK_SIZE - at);
        memcpy(to, b->blocks[offset / DATA_BLOCK_SIZE] + at, n);
        to += n;
        offset += n;
        len -= n;
    }
}

size_t buffer_pieces(uint64_t offset, size_t len)
{
    return len ? (offset + len - 1) / DATA_BLOCK_SIZE - offset / DATA_BLOCK_SIZE + 1 : 0;
}

size_t buffer_point(const struct buffer *b, uint64_t offset, size_t len, struct iovec *iov)
{
    size_t n = 0;
    while (len) {
        size_t at = offset % DATA_BLOCK_SIZE;
        size_t part = MIN(len, DATA_BLOCK_SIZE - at);
        iov[n++] = (struct iovec){b->blocks[offset / DATA_BLOCK_SIZE] + at, part};
        offset += part;
        len -= part;
    }
    return n;
}

void buffer_truncate(struct buffer *b, uint64_t len)
{
    size_t keep = (len + DATA_BLOCK_SIZE - 1) / DATA_BLOCK_SIZE;
    if (b->n_blocks > keep)
        free_blocks(b, keep);
    if (len < b->summed)
        b->sum = b->summed = 0;
    b->len = len;
}

int buffer_iov(const struct buffer *b, struct iovec **ret, int *ret_n)
{
    size_t n = (b->len + DATA_BLOCK_SIZE - 1) / DATA_BLOCK_SIZE;
    *ret = NULL;
    *ret_n = 0;
    if (!n)
        return 0;
    if (n > INT_MAX)
        return -EFBIG;
    struct iovec *iov = malloc(n * sizeof(*iov));
    if (!iov)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        iov[i] = (struct iovec){b->blocks[i], MIN(b->len - i * DATA_BLOCK_SIZE, DATA_BLOCK_SIZE)};
    *ret = iov;
    *ret_n = (int)n;
    return 0;
}
