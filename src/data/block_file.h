/* SPDX-License-Identifier: Apache-2.0 */
/* One block of the disk cache as a file that proves itself: a header that says of which version of
 * which object and which bytes these are, and CRCs of it and of the content (meta/FORMAT.md,
 * blocks/). Who reads trusts nothing: a block that does not hold is -EBADMSG.
 * Pure functions on a descriptor. Thread-safe. */
#ifndef PAILFS_DATA_BLOCK_FILE_H
#define PAILFS_DATA_BLOCK_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/attr.h"
#include "base/digest.h"
#include "store/store.h"

/* As large as a request of a program's or the kernel's largest read; every part that the reader
 * asks for in a sequence is made of whole ones. */
#define BLOCK_FILE_SIZE MIB
/* Has a CRC of its own, so that a small read need not check the whole block. */
#define BLOCK_FILE_CHUNK  (128 * KIB)
#define BLOCK_FILE_CHUNKS (BLOCK_FILE_SIZE / BLOCK_FILE_CHUNK)
/* "ab/" and 30 hex digits, '.', 8 hex digits. */
#define BLOCK_FILE_NAME 43

/* A version of an object; names its blocks. */
struct block_object {
    uint8_t key_hash[DIGEST_SHA256_SIZE];
    uint64_t id[2]; /* hash of key, ETag and size */
    uint64_t size;
    char etag[STORE_ETAG_SIZE];
};

/* False: this ETag does not tell versions apart (weak, or a server's word for none), or is one of
 * write-back's own, or there is no content; nothing of it is cached. */
bool block_object_init(struct block_object *o, const char *key, const char *etag, uint64_t size);
/* Number of blocks, and the length of one of them. */
uint32_t block_object_count(const struct block_object *o);
size_t block_object_length(const struct block_object *o, uint32_t block);

/* The file's name below the cache's folder. */
void block_file_name(const uint64_t id[2], uint32_t block, char name[BLOCK_FILE_NAME]);
/* The other way round, from the folder's number and the name in it. */
bool block_file_name_parse(unsigned folder, const char *name, uint64_t id[2], uint32_t *ret_block);

/* iov has the block's content, at most BLOCK_FILE_IOV pieces. 0 or -errno. */
#define BLOCK_FILE_IOV 32
int block_file_write(int fd, const struct block_object *o, uint32_t block, const struct iovec *iov,
                     int n_iov);
/* [offset, offset + length of iov) of the block's content: whole chunks, the block's last one may
 * be shorter. 0, -EBADMSG, or what read(2) says. The memory is undefined after a failure. */
int block_file_read(int fd, const struct block_object *o, uint32_t block, size_t offset,
                    const struct iovec *iov, int n_iov);

#endif
