/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the adapter share. Private to src/fuse. */
#ifndef PAILFS_FUSE_ADAPTER_H
#define PAILFS_FUSE_ADAPTER_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "fuse/waiting.h"
#include "vfs/vfs.h"

struct fuse_mount;
struct receive;
struct notifier;

/* fuse_req_userdata, and what requests use of it. */
struct fuse_mount *adapter_mount(fuse_req_t req);
struct vfs *adapter_vfs(fuse_req_t req);
struct waiting *adapter_waiting(struct fuse_mount *m);

/* For what must wait until the kernel has our answer to its greeting. */
void adapter_first_request(fuse_req_t req);

/* ---- requests ---- */

struct adapter_handle;

/* One struct per request on the worker's stack: what it is about, and what the store said. Its
 * fuse_req_t is gone when the process was killed and got its answer meanwhile (waiting.h): between
 * the beginning and adapter_may_reply only the fields here are used. */
struct adapter_request {
    struct fuse_mount *mount;
    struct vfs *vfs;
    const char *op; /* "read" */
    uint64_t ino;
    const char *name;       /* within ino, or NULL */
    const char *other_name; /* of rename, within waiting.other_ino */
    struct fuse_ctx caller;
    struct adapter_handle *handle;    /* of requests on what is open: kept until the end */
    struct adapter_handle *in_handle; /* of copy_file_range */
    struct waiting_entry waiting;
    atomic_bool over; /* nobody waits for the answer any more */
    struct s3_error err;
};

/* ADAPTER_REQUEST(a, req, WAITING_LOOKS, "read", ino, NULL, fi): defines it for the scope. Every
 * path through it replies once, with a function here or after adapter_may_reply. */
#define ADAPTER_REQUEST(var, req, kind, op, ino, name, fi)                                         \
    CLEANUP(adapter_end) struct adapter_request var;                                               \
    adapter_begin(&(var), req, kind, op, ino, name, fi, 0, 0)
/* The same of a change that has a second directory. */
#define ADAPTER_CHANGE_OF_TWO(var, req, op, ino, name, other_ino)                                  \
    CLEANUP(adapter_end) struct adapter_request var;                                               \
    adapter_begin(&(var), req, WAITING_CHANGES, op, ino, name, NULL, other_ino, 0)
/* The same of a write. */
#define ADAPTER_WRITE(var, req, ino, fi, size)                                                     \
    CLEANUP(adapter_end) struct adapter_request var;                                               \
    adapter_begin(&(var), req, WAITING_CHANGES, "write", ino, NULL, fi, 0, size)
void adapter_begin(struct adapter_request *a, fuse_req_t req, enum waiting_kind kind,
                   const char *op, uint64_t ino, const char *name, const struct fuse_file_info *fi,
                   uint64_t other_ino, size_t write_size);
void adapter_end(struct adapter_request *a);
/* Waits for the end of older changes of the inode that have been answered for their workers. What
 * changes it does so in adapter_begin; this is for what tells of the outcome of changes. */
void adapter_settle(struct adapter_request *a);
/* 0, or what a write through this handle failed with that had been answered as done: who shares the
 * open file is told by each later write, fsync and close. */
int adapter_lost_write(const struct adapter_request *a);
/* Who writes; returns the same. */
int adapter_write_begin(const struct adapter_request *a);
/* It ended so. */
void adapter_write_end(const struct adapter_request *a, int r);
/* false: it has been answered; what the answer would have given away is still the caller's. */
bool adapter_may_reply(struct adapter_request *a, fuse_req_t *ret);
/* Answers with the errno -r, and logs what a user must know: failures of the store and what is
 * not supported; an absent name or a refused rmdir is an answer, not a failure. */
void adapter_fail(struct adapter_request *a, int r);
/* The same without a line. */
void adapter_fail_quietly(struct adapter_request *a, int r);
/* r == 0: success without data; otherwise adapter_fail. */
void adapter_finish(struct adapter_request *a, int r);
/* Answers with the entry. When the kernel does not take it, its lookup is given back. */
void adapter_reply_entry(struct adapter_request *a, const struct vfs_entry *e);
void adapter_entry_param(const struct vfs_entry *e, struct fuse_entry_param *ret);
struct vfs_caller adapter_caller(const struct adapter_request *a);
/* The kernel may believe that a change did not happen that did. */
void adapter_unheard_change(const struct adapter_request *a);

/* The kernel drops the file's cached pages of that range before this returns, while it waits for
 * the answer to a write of them past its cache. */
void adapter_range_changed(const struct adapter_request *a, uint64_t offset, size_t size);

/* ---- what is open ---- */

/* What fi->fh points to. The mount lists them, because an unmount right after the last close drops
 * RELEASE requests that the kernel has queued: what is left is released when the session is over.
 */
/* Exactly one of file and dir is not NULL, and the handle's, also after a failure. 0 or -ENOMEM. */
int adapter_handle_new(struct adapter_request *a, struct vfs_file *file, struct vfs_dir *dir,
                       struct fuse_file_info *fi);
/* The kernel is done with it, or never learned of it. Whoever uses it last closes it: 0, or what
 * the close says. */
int adapter_handle_release(struct adapter_request *a, uint64_t fh);
/* For adapter_begin and adapter_end. */
struct adapter_handle *adapter_handle_ref(const struct fuse_file_info *fi);
int adapter_handle_unref(struct adapter_request *a, struct adapter_handle *h);
/* Borrowed; NULL for a NULL fi. */
struct vfs_file *adapter_file(const struct fuse_file_info *fi);
struct vfs_dir *adapter_dir(const struct fuse_file_info *fi);

/* Whether this is the first write through the handle to fail with that errno: a program that does
 * not look goes on writing, and each write fails for the same reason. */
bool adapter_handle_first_failure(const struct fuse_file_info *fi, int r);

/* Whether a close of one descriptor is none of the file. Either nothing has been written through
 * the handle, and the process that closes or the one that opened has another descriptor to write
 * into that file: storing it then would put an empty object in the place of the old one before the
 * program has begun. Or the one that closes, a child that inherited it, has neither opened nor
 * written, and the others go on: it is not its work. */
bool adapter_handle_is_in_use(const struct adapter_request *a);

struct adapter_handles {
    pthread_mutex_t lock;
    TAILQ_HEAD(, adapter_handle) list; /* protected by lock */
};
void adapter_handles_init(struct adapter_handles *h);
/* Releases what is left. Only when no request is running. */
void adapter_handles_release(struct adapter_handles *h, struct vfs *v);
void adapter_handles_done(struct adapter_handles *h);
struct receive *adapter_receive(struct fuse_mount *m);
struct adapter_handles *adapter_handles_of(struct fuse_mount *m);

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
