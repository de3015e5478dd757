/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the adapter share. Private to src/fuse. */
#ifndef PAILFS_FUSE_ADAPTER_H
#define PAILFS_FUSE_ADAPTER_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "vfs/vfs.h"

/* fuse_req_userdata: the mount. */
struct vfs *adapter_vfs(fuse_req_t req);

/* The kernel drops the file's cached pages of that range before this returns, while it waits for
 * the answer to a write of them past its cache. */
void adapter_range_changed(fuse_req_t req, uint64_t ino, uint64_t offset, size_t size);

/* For what must wait until the kernel has our answer to its greeting. */
void adapter_first_request(fuse_req_t req);

/* What fi->fh points to. The mount lists them, because an unmount right after the last close drops
 * RELEASE requests that the kernel has queued: what is left is released when the session is over.
 */
struct adapter_handle;
/* Exactly one of file and dir is not NULL. 0 or -ENOMEM. */
int adapter_handle_new(fuse_req_t req, struct vfs_file *file, struct vfs_dir *dir,
                       uint64_t *ret_fh);
/* The handle is gone, what it held is the caller's. */
struct vfs_file *adapter_handle_take_file(fuse_req_t req, uint64_t fh);
struct vfs_dir *adapter_handle_take_dir(fuse_req_t req, uint64_t fh);
/* Borrowed; NULL for a NULL fi. */
struct vfs_file *adapter_file(const struct fuse_file_info *fi);
struct vfs_dir *adapter_dir(const struct fuse_file_info *fi);

/* Whether this is the first write through the handle to fail with that errno: a program that does
 * not look goes on writing, and each write fails for the same reason. */
bool adapter_handle_first_failure(const struct fuse_file_info *fi, int r);

/* Who opened it and how; before the reply. */
void adapter_handle_opened(fuse_req_t req, const struct fuse_file_info *fi);
void adapter_handle_written(fuse_req_t req, const struct fuse_file_info *fi);
/* Whether a close of one descriptor is none of the file. Either nothing has been written through
 * the handle, and the process that closes or the one that opened has another descriptor to write
 * into that file: storing it then would put an empty object in the place of the old one before the
 * program has begun. Or the one that closes, a child that inherited it, has neither opened nor
 * written, and the others go on: it is not its work. */
bool adapter_handle_is_in_use(fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi);

struct adapter_handles {
    pthread_mutex_t lock;
    TAILQ_HEAD(, adapter_handle) list; /* protected by lock */
};
void adapter_handles_init(struct adapter_handles *h);
/* Releases what is left. Only when no request is running. */
void adapter_handles_release(struct adapter_handles *h, struct vfs *v);
void adapter_handles_done(struct adapter_handles *h);
/* Of the mount that the request came through. */
struct adapter_handles *adapter_handles_of(fuse_req_t req);

/* One struct per request on the worker's stack: what it is about, and what the store said. */
struct adapter_request {
    fuse_req_t req;
    const char *op; /* "read" */
    uint64_t ino;
    const char *name; /* within ino, or NULL */
    struct s3_error err;
};

struct adapter_request adapter_begin(fuse_req_t req, const char *op, uint64_t ino,
                                     const char *name);
/* Answers with the errno -r, and logs what a user must know: failures of the store and what is
 * not supported; an absent name or a refused rmdir is an answer, not a failure. */
void adapter_fail(struct adapter_request *a, int r);
/* r == 0: success without data; otherwise adapter_fail. */
void adapter_finish(struct adapter_request *a, int r);
/* Answers with the entry. When the kernel does not take it, its lookup is given back. */
void adapter_reply_entry(struct adapter_request *a, const struct vfs_entry *e);
void adapter_entry_param(const struct vfs_entry *e, struct fuse_entry_param *ret);
struct vfs_caller adapter_caller(fuse_req_t req);
double adapter_seconds(uint64_t ns);
/* A buffer of this worker thread, of at least size bytes, kept for its next request. NULL = no
 * memory. Allocating 1 MiB anew for each read would fault in 256 pages each time. */
void *adapter_buffer(size_t size);

extern const struct fuse_lowlevel_ops adapter_ops;

/* ops_dir.c, ops_file.c, ops_name.c, ops_xattr.c: one function per operation, in adapter_ops. */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                struct fuse_file_info *fi);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
               const char *newname, unsigned int flags);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname);
void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                 int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
              struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
                        struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
                        struct fuse_file_info *fi_out, size_t len, int flags);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                  struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

#endif
