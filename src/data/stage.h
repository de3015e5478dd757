/* SPDX-License-Identifier: Apache-2.0 */
/* Content that is changed anywhere, at any size: a sparse local file with what was written, over a
 * version in the store that has the rest. What the file has is told by extents:
 *
 *     DATA, CLEAN   the bytes are in the file (CLEAN: in the base too)
 *     ZERO          zeros, where the base has something
 *     gap           the base's bytes up to base_size, zeros behind that
 *
 * Life:    stage_new -> ... -> stage_free.
 * Threads: stage_read beside itself; all else alone (the writer serialises).
 * Errors:  0 or -errno: of the local disk (-ENOSPC, -EIO; *reterr then says which), or of the base:
 *          -ESTALE when it was replaced or removed. */
#ifndef PAILFS_DATA_STAGE_H
#define PAILFS_DATA_STAGE_H

#include "data/buffer.h"
#include "data/extents.h"

struct stage;

int stage_new(struct data *d, struct stage **ret, struct s3_error *reterr);
void stage_free(struct stage *s); /* NULL ok */

/* The base from now on: gaps below base_size are its bytes. key is copied (-ENOMEM only for another
 * one); etag "" = whatever is there. object_size: of that version. */
int stage_set_base(struct stage *s, const char *key, const char *etag, uint64_t object_size,
                   uint64_t base_size);
/* The same bytes under another key. */
int stage_move_base(struct stage *s, const char *key, const char *etag);
uint64_t stage_base_size(const struct stage *s);
uint64_t stage_size(const struct stage *s);
const struct extents *stage_extents(const struct stage *s);
/* Bytes that the store does not have. */
uint64_t stage_dirty_bytes(const struct stage *s);

int stage_write(struct stage *s, uint64_t offset, const void *buf, size_t len,
                struct s3_error *reterr);
/* Zeros in [offset, offset + len), which lies within the size; gives space back. */
int stage_zero(struct stage *s, uint64_t offset, uint64_t len, struct s3_error *reterr);
int stage_truncate(struct stage *s, uint64_t size, struct s3_error *reterr);
/* [offset, offset + len) lies within the size. */
int stage_read(struct stage *s, uint64_t offset, void *buf, size_t len, struct s3_error *reterr);
/* Whether [offset, *ret_end) is zeros that take no space. */
bool stage_is_hole(const struct stage *s, uint64_t offset, uint64_t *ret_end);
/* Appends [offset, offset + len) to b, zeros as holes. What is to be had from the base is asked for
 * in few requests: small changes in between are fetched along. */
int stage_read_buffer(struct stage *s, uint64_t offset, uint64_t len, struct buffer *b,
                      struct s3_error *reterr);
/* Memory that stage_read_buffer needs at most. */
uint64_t stage_buffer_cost(const struct stage *s, uint64_t offset, uint64_t len);

/* Bytes that only the base has. */
uint64_t stage_missing(const struct stage *s);
/* Fetches what only the base has. Nothing is asked of the base any more, and nothing is clean. */
int stage_fill(struct stage *s, struct s3_error *reterr);
/* The content is the store's version now. */
int stage_committed(struct stage *s, const char *key, const char *etag);
/* Gives back the space of what the base has too. */
void stage_drop_clean(struct stage *s);

#endif
