/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in blocks of DATA_BLOCK_SIZE from the pool, charged to a share. Content that fits half a
 * block has one smaller block, so that many small files cost what they hold; holes are the shared
 * zero block and cost nothing.
 *
 * Life:    buffer_init -> ... -> buffer_done (may be used again). buffer_move hands over content.
 * Threads: one at a time; different blocks of a buffer filled by buffer_allocate may be written
 *          and read by different threads. */
#ifndef PAILFS_DATA_BUFFER_H
#define PAILFS_DATA_BUFFER_H

#include <sys/uio.h>

#include "data/data_impl.h"

struct buffer {
    struct data_share *share;
    char **blocks; /* owned, or d->zero_block */
    size_t n_blocks, alloc_blocks;
    size_t small; /* capacity of block 0 while it is smaller than a block, else 0 */
    uint64_t len;
    uint64_t sum;    /* CRC-64/NVME of the first `summed` bytes */
    uint64_t summed; /* as far as they came in order and were not changed; see data_options */
    bool leaving;    /* all of it counts as that; what is added is taken from data_share_load */
};

void buffer_init(struct buffer *b, struct data_share *share);
void buffer_done(struct buffer *b);
/* to is empty and gets the content and its share; from stays usable. */
void buffer_move(struct buffer *to, struct buffer *from);

/* Memory that is charged for the content. */
uint64_t buffer_cost(const struct buffer *b);
/* It is about to be sent, and freed then; or is not any more. */
void buffer_leave(struct buffer *b);
void buffer_stay(struct buffer *b);
/* False, and it still counts as leaving: there is no room for it to stay. */
bool buffer_try_stay(struct buffer *b);

/* Makes len bytes of undefined content (from an empty buffer). 0, -EAGAIN (refused by the budget;
 * nothing changed) or -ENOMEM. */
int buffer_allocate(struct buffer *b, uint64_t len, enum data_reserve_mode mode);
/* Writes at offset <= len. *ret_done counts the bytes written, also on -EAGAIN and -ENOMEM. */
int buffer_write(struct buffer *b, uint64_t offset, const void *data, size_t len,
                 enum data_reserve_mode mode, size_t *ret_done);
/* Appends len bytes that fill blocks of a landing, the last one perhaps in part. The blocks
 * are the buffer's then (NULL stands in their place). -EAGAIN or -EXDEV (not as things are here),
 * and nothing was done. */
int buffer_take(struct buffer *b, char **blocks, size_t len);
/* Appends zeros, as holes where a whole block is free. As buffer_write. */
int buffer_append_zeros(struct buffer *b, uint64_t len, enum data_reserve_mode mode,
                        uint64_t *ret_done);
/* [offset, offset + len) lies inside the content. */
void buffer_read(const struct buffer *b, uint64_t offset, void *data, size_t len);
/* The same range as buffer_pieces() pieces of the buffer's memory; returns their number. */
size_t buffer_point(const struct buffer *b, uint64_t offset, size_t len, struct iovec *iov);
size_t buffer_pieces(uint64_t offset, size_t len);
/* The CRC-64/NVME of the content: what was written in order, with sum_parts, need not be read for
 * it. */
uint64_t buffer_sum(const struct buffer *b);
/* Cuts to len <= b->len and gives back the memory behind it. */
void buffer_truncate(struct buffer *b, uint64_t len);
/* The content as an array for a request body; *ret is owned by the caller and points into the
 * buffer. Empty content gives NULL and 0. */
int buffer_iov(const struct buffer *b, struct iovec **ret, int *ret_n);

#endif
