/* SPDX-License-Identifier: Apache-2.0 */
/* What vfs_move.c, vfs_move_delete.c and vfs_move_resume.c share. */
#ifndef PAILFS_VFS_VFS_MOVE_IMPL_H
#define PAILFS_VFS_VFS_MOVE_IMPL_H

#include "store/store_limits.h"
#include "vfs/vfs_move.h"

/* All keys that begin with the prefix, page by page. */
struct move_cursor {
    const char *prefix;
    char *token; /* owned */
    bool end;
    unsigned pages;
};
/* 1 with a page, 0 at the end. */
int move_next_page(struct vfs *v, struct move_cursor *c, struct store_page *ret,
                   struct s3_error *err);
/* The key below the other prefix. Owned by the caller; NULL without memory. */
char *move_key(const char *key, const char *from, const char *to);

/* Deletes in batches, some at a time. */
struct move_deleter {
    struct vfs *v;
    struct fanout *f;
    pthread_mutex_t lock;
    int result; /* the first failure; protected by lock */
    struct s3_error error;
};
struct move_batch {
    struct move_deleter *deleter;
    struct store_page page;                  /* whose keys these are */
    const char *keys[STORE_DELETE_MANY_MAX]; /* to be filled by the caller */
    size_t n;
    struct store_delete_many_in in;
    struct store_delete_many_out out;
};
int move_deleter_init(struct move_deleter *d, struct vfs *v);
struct move_batch *move_batch_new(struct move_deleter *d);
/* Takes the batch. With a result below 0 nothing is sent, and that is returned. b NULL ok. */
int move_batch_send(struct move_batch *b, int result);
/* Waits. result is returned unless a batch failed. */
int move_deleter_done(struct move_deleter *d, int result, struct s3_error *err);

#endif
