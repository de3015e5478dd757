/* SPDX-License-Identifier: Apache-2.0 */
/* Immutable bytes for store_memory: a rope of shared chunks, so that copies and completed uploads
 * share what they are made of, and runs of zeros take no memory (an object of many GiB fits a
 * unit test).
 * Life: blob_new_* -> blob_ref/blob_unref (NULL ok). Immutable, hence read by any thread. */
#ifndef PAILFS_STORE_BLOB_H
#define PAILFS_STORE_BLOB_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct blob;

/* NULL = out of memory, as with every constructor here. */
struct blob *blob_new_copy(const struct iovec *iov, int n_iov);
struct blob *blob_new_zeros(uint64_t size);
struct blob *blob_new_concat(struct blob *const *blobs, size_t n);
/* [offset, offset + length) must lie inside b. */
struct blob *blob_new_slice(const struct blob *b, uint64_t offset, uint64_t length);

struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob *b);
uint64_t blob_size(const struct blob *b);

/* Calls write for consecutive pieces of at most `piece` bytes; ends with its first result that is
 * not 0. */
int blob_read(const struct blob *b, uint64_t offset, uint64_t length, size_t piece,
              int (*write)(void *ctx, const void *data, size_t len), void *ctx);

#endif
