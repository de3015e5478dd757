/* SPDX-License-Identifier: Apache-2.0 */
/* Content of files. flush comes with every close of a descriptor, also of a duplicate; release
 * once, after the last. */
#include <errno.h>
#include <linux/fuse.h>

#include "base/log.h"
#include "fuse/adapter.h"

#ifndef FOPEN_PARALLEL_DIRECT_WRITES /* Linux 6.2 */
#define FOPEN_PARALLEL_DIRECT_WRITES (1 << 6)
#endif

/* Writes of 1 MiB cost a quarter past the page cache. libfuse has a name for the flag that lets
 * several threads write a file at a time only from 3.15 on, but answers are bytes in any version.
 */
static int reply_open_direct(fuse_req_t req, const struct fuse_file_info *fi)
{
    const struct fuse_open_out out = {.fh = fi->fh,
                                      .open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES};

    return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct adapter_request a = adapter_begin(req, "open", ino, NULL);
    struct vfs *v = adapter_vfs(req);
    struct vfs_file *file = NULL;
    bool keep = false;
    int r = vfs_open(v, ino, fi->flags, &file, &keep, &a.err);

    if (r < 0) {
        adapter_fail(&a, r);
        return;
    }
    r = adapter_handle_new(req, file, NULL, &fi->fh);
    if (r < 0) {
        (void)vfs_release(v, file, &a.err);
        adapter_fail(&a, r);
        return;
    }
    adapter_handle_opened(req, fi);
    fi->keep_cache = keep;
    if ((vfs_file_is_direct(file) ? reply_open_direct(req, fi) : fuse_reply_open(req, fi)) != 0)
        (void)vfs_release(v, adapter_handle_take_file(req, fi->fh), &a.err);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *fi)
{
    struct adapter_request a = adapter_begin(req, "create", parent, name);
    struct vfs *v = adapter_vfs(req);
    struct vfs_caller caller = adapter_caller(req);
    struct vfs_entry e = {0};
    struct vfs_file *file = NULL;
    struct fuse_entry_param p;
    int r = vfs_create(v, &caller, parent, name, mode, fi->flags, &e, &file, &a.err);

    if (r < 0) {
        adapter_fail(&a, r);
        return;
    }
    r = adapter_handle_new(req, file, NULL, &fi->fh);
    if (r < 0) {
        (void)vfs_release(v, file, &a.err);
        vfs_forget(v, e.ino, 1);
        adapter_fail(&a, r);
        return;
    }
    adapter_handle_opened(req, fi);
    fi->direct_io = vfs_file_is_direct(file); /* what is new grows: one write at a time */
    adapter_entry_param(&e, &p);
    if (fuse_reply_create(req, &p, fi) != 0) {
        (void)vfs_release(v, adapter_handle_take_file(req, fi->fh), &a.err);
        vfs_forget(v, e.ino, 1);
    }
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    struct adapter_request a = adapter_begin(req, "read", ino, NULL);
    struct reader_view view;
    int r = vfs_read_view(adapter_vfs(req), adapter_file(fi), (uint64_t)off, size, &view, &a.err);

    if (r < 0) {
        adapter_fail(&a, r);
        return;
    }
    fuse_reply_iov(req, view.iov, view.n);
    reader_view_done(&view);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
              struct fuse_file_info *fi)
{
    struct adapter_request a = adapter_begin(req, "write", ino, NULL);

    adapter_handle_written(req, fi);
    if (fuse_req_ctx(req)->uid != 0 && vfs_file_is_direct(adapter_file(fi)))
        vfs_drop_set_ids(adapter_vfs(req), adapter_file(fi));
    /* Pages that a mapping has changed are stored before, not over what is written here. */
    if (vfs_file_is_direct(adapter_file(fi)) &&
        vfs_file_is_cached(adapter_vfs(req), adapter_file(fi)))
        adapter_range_changed(req, ino, (uint64_t)off, size);
    int r = vfs_write(adapter_vfs(req), adapter_file(fi), (uint64_t)off, buf, size, &a.err);

    if (r == 0 && vfs_file_is_direct(adapter_file(fi)) &&
        vfs_file_is_cached(adapter_vfs(req), adapter_file(fi)))
        adapter_range_changed(req, ino, (uint64_t)off, size);
    if (r == 0)
        fuse_reply_write(req, size);
    else if (adapter_handle_first_failure(fi, r))
        adapter_fail(&a, r);
    else
        fuse_reply_err(req, -r);
}

/* EXDEV: the kernel reads and writes instead. */
void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
                        struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
                        struct fuse_file_info *fi_out, size_t len, int flags)
{
    struct adapter_request a = adapter_begin(req, "copy_file_range", ino_out, NULL);
    uint64_t copied = 0;

    adapter_handle_written(req, fi_out);
    int r = flags ? -EINVAL
                  : vfs_copy_range(adapter_vfs(req), adapter_file(fi_in), (uint64_t)off_in,
                                   adapter_file(fi_out), (uint64_t)off_out, len, &copied, &a.err);

    if (r < 0)
        adapter_fail(&a, r);
    else
        fuse_reply_write(req, copied);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                  struct fuse_file_info *fi)
{
    struct adapter_request a = adapter_begin(req, "fallocate", ino, NULL);
    int r = vfs_fallocate(adapter_vfs(req), adapter_file(fi), mode, (uint64_t)offset,
                          (uint64_t)length, &a.err);

    /* Programs try the modes that no bucket can have, and do without. */
    if (r == -EOPNOTSUPP)
        fuse_reply_err(req, EOPNOTSUPP);
    else
        adapter_finish(&a, r);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
    uint64_t found = 0;
    int r = vfs_lseek(adapter_vfs(req), adapter_file(fi), (uint64_t)off, whence, &found);

    if (r < 0)
        fuse_reply_err(req, -r);
    else
        fuse_reply_lseek(req, (off_t)found);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct adapter_request a = adapter_begin(req, "close", ino, NULL);

    if (adapter_handle_is_in_use(req, ino, fi)) {
        fuse_reply_err(req, 0);
        return;
    }
    adapter_finish(&a, vfs_flush(adapter_vfs(req), adapter_file(fi), &a.err));
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    struct adapter_request a = adapter_begin(req, "fsync", ino, NULL);

    adapter_finish(&a, vfs_fsync(adapter_vfs(req), adapter_file(fi), &a.err));
}

/* Nobody hears what release answers: the log is the only place for its failure. */
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct adapter_request a = adapter_begin(req, "release", ino, NULL);

    adapter_finish(&a,
                   vfs_release(adapter_vfs(req), adapter_handle_take_file(req, fi->fh), &a.err));
}
