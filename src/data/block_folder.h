/* SPDX-License-Identifier: Apache-2.0 */
/* The disk cache's folder: 256 folders of block files (block_file.h). Nothing is kept in memory but
 * a descriptor; what others do to the folder is an error of the call that meets it.
 *
 * A block is written under the name `new` and renamed when it is whole. Nothing is synced: what a
 * power loss tears does not hold when it is read.
 *
 * Life:    block_folder_open -> ... -> block_folder_close.
 * Threads: block_folder_store from one; the others from any. 0 or -errno. */
#ifndef PAILFS_DATA_BLOCK_FOLDER_H
#define PAILFS_DATA_BLOCK_FOLDER_H

#include <time.h>

#include "data/block_file.h"

struct block_folder {
    int fd;
};

int block_folder_open(struct block_folder *f, const char *path);
void block_folder_close(struct block_folder *f);

/* *ret_bytes: what it takes on the disk. */
int block_folder_store(struct block_folder *f, const struct block_object *o, uint32_t block,
                       const struct iovec *iov, int n_iov, uint64_t *ret_bytes);
/* Opened for block_file_read; *ret_fd is the caller's. */
int block_folder_find(struct block_folder *f, const uint64_t id[2], uint32_t block, int *ret_fd);
/* A file that is there, not looked into. */
struct block_found {
    uint64_t id[2];
    uint32_t block;
    uint32_t used_s; /* wall clock of its last noted use */
    uint64_t bytes;
};
int block_folder_look(struct block_folder *f, const uint64_t id[2], uint32_t block,
                      struct block_found *ret);
/* Notes the use of an open block on the disk. */
void block_folder_note_use(int fd);
int block_folder_remove(struct block_folder *f, const uint64_t id[2], uint32_t block);

/* Calls found for each block in one of the 256 folders, until it returns other than 0, which is
 * returned then. */
#define BLOCK_FOLDERS 256u
int block_folder_scan(struct block_folder *f, unsigned folder,
                      int (*found)(void *ctx, const struct block_found *b), void *ctx);
/* Removes what was being written; with all also the folders, which are empty. */
void block_folder_sweep(struct block_folder *f, bool all);
/* Bytes that the disk has free beyond what is left to others: a twentieth of it, 4 GiB at most;
 * negative when that is short. */
/* Whether path is on the same disk. */
bool block_folder_is_beside(struct block_folder *f, const char *path);
int64_t block_folder_spare(struct block_folder *f);

#endif
