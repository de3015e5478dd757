/* SPDX-License-Identifier: Apache-2.0 */
/* Content of files. flush comes with every close of a descriptor, also of a duplicate; release
 * once, after the last. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>

#include "base/log.h"
#include "fuse/adapter.h"
#include "fuse/receive.h"

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
    ADAPTER_REQUEST(a, req, fi->flags & O_TRUNC ? WAITING_CHANGES : WAITING_LOOKS, "open", ino,
                    NULL, NULL);
    struct vfs_file *file = NULL;
    bool keep = false;
    int r = vfs_open(a.vfs, ino, fi->flags, &file, &keep, &a.err);

    if (r == 0)
        r = adapter_handle_new(&a, file, NULL, fi);
    if (r < 0) {
        adapter_fail(&a, r);
        return;
    }
    fi->keep_cache = keep;
    if (!adapter_may_reply(&a, &req) ||
        (vfs_file_is_direct(file) ? reply_open_direct(req, fi) : fuse_reply_open(req, fi)) != 0)
        (void)adapter_handle_release(&a, fi->fh);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *fi)
{
    ADAPTER_REQUEST(a, req, WAITING_CHANGES, "create", parent, name, NULL);
    struct vfs_caller caller = adapter_caller(&a);
    struct vfs_entry e = {0};
    struct vfs_file *file = NULL;
    struct fuse_entry_param p;
    int r = vfs_create(a.vfs, &caller, parent, name, mode, fi->flags, &e, &file, &a.err);

    if (r < 0) {
        adapter_fail(&a, r);
        return;
    }
    r = adapter_handle_new(&a, file, NULL, fi);
    if (r < 0) {
        vfs_forget(a.vfs, e.ino, 1);
        adapter_fail(&a, r);
        return;
    }
    fi->direct_io = vfs_file_is_direct(file); /* what is new grows: one write at a time */
    adapter_entry_param(&e, &p);
    if (!adapter_may_reply(&a, &req) || fuse_reply_create(req, &p, fi) != 0) {
        (void)adapter_handle_release(&a, fi->fh);
        vfs_forget(a.vfs, e.ino, 1);
    }
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    ADAPTER_REQUEST(a, req, WAITING_LOOKS, "read", ino, NULL, fi);
    struct reader_view view;
    int r = vfs_read_view(a.vfs, adapter_file(fi), (uint64_t)off, size, &view, &a.err);

    if (r < 0) {
        adapter_fail(&a, r);
        return;
    }
    if (adapter_may_reply(&a, &req))
        fuse_reply_iov(req, view.iov, view.n);
    reader_view_done(&view);
}

/* buf is libfuse's, where the bytes are, or have room. */
static int write_received(struct adapter_request *a, struct fuse_file_info *fi, uint64_t offset,
                          const char *buf, size_t size)
{
    struct landing *landing = receive_landing();

    if (landing) {
        int r = vfs_write_landed(a->vfs, adapter_file(fi), offset, landing, size, &a->err);
        if (r != -EXDEV)
            return r;
        receive_copy((char *)buf, size);
    }
    return vfs_write(a->vfs, adapter_file(fi), offset, buf, size, &a->err);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
              struct fuse_file_info *fi)
{
    ADAPTER_WRITE(a, req, ino, fi, size);
    int r = adapter_write_begin(&a);

    receive_write_begin(adapter_receive(a.mount), size);
    if (a.caller.uid != 0 && vfs_file_is_direct(adapter_file(fi)))
        vfs_drop_set_ids(a.vfs, adapter_file(fi));
    /* Pages that a mapping has changed are stored before, not over what is written here. */
    if (vfs_file_is_direct(adapter_file(fi)) && vfs_file_is_cached(a.vfs, adapter_file(fi)))
        adapter_range_changed(&a, (uint64_t)off, size);
    if (r == 0)
        r = write_received(&a, fi, (uint64_t)off, buf, size);
    receive_write_end(adapter_receive(a.mount));
    if (r == 0 && vfs_file_is_direct(adapter_file(fi)) &&
        vfs_file_is_cached(a.vfs, adapter_file(fi)))
        adapter_range_changed(&a, (uint64_t)off, size);
    if (r < 0 && adapter_handle_first_failure(fi, r))
        adapter_fail(&a, r);
    else if (r < 0)
        adapter_fail_quietly(&a, r);
    else if (adapter_may_reply(&a, &req))
        fuse_reply_write(req, size);
    adapter_write_end(&a, r);
}

/* EXDEV: the kernel reads and writes instead. */
void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
                        struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
                        struct fuse_file_info *fi_out, size_t len, int flags)
{
    ADAPTER_REQUEST(a, req, WAITING_COPIES, "copy_file_range", ino_out, NULL, fi_out);
    uint64_t copied = 0;
    int r = adapter_write_begin(&a);

    a.in_handle = adapter_handle_ref(fi_in);
    if (r == 0)
        r = flags ? -EINVAL
                  : vfs_copy_range(a.vfs, adapter_file(fi_in), (uint64_t)off_in,
                                   adapter_file(fi_out), (uint64_t)off_out, len, &copied, &a.err);

    if (r < 0)
        adapter_fail(&a, r);
    else if (adapter_may_reply(&a, &req))
        fuse_reply_write(req, copied);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                  struct fuse_file_info *fi)
{
    ADAPTER_REQUEST(a, req, WAITING_CHANGES, "fallocate", ino, NULL, fi);
    int r =
        vfs_fallocate(a.vfs, adapter_file(fi), mode, (uint64_t)offset, (uint64_t)length, &a.err);

    /* Programs try the modes that no bucket can have, and do without. */
    if (r == -EOPNOTSUPP)
        adapter_fail_quietly(&a, r);
    else
        adapter_finish(&a, r);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
    uint64_t found = 0;
    ADAPTER_REQUEST(a, req, WAITING_LOOKS, "lseek", ino, NULL, fi);
    int r = vfs_lseek(a.vfs, adapter_file(fi), (uint64_t)off, whence, &found);

    if (r < 0)
        adapter_fail_quietly(&a, r);
    else if (adapter_may_reply(&a, &req))
        fuse_reply_lseek(req, (off_t)found);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    ADAPTER_REQUEST(a, req, WAITING_STORES, "close", ino, NULL, fi);

    adapter_settle(&a);
    int r = adapter_handle_is_in_use(&a) ? 0 : vfs_flush(a.vfs, adapter_file(fi), &a.err);
    adapter_finish(&a, r ? r : adapter_lost_write(&a));
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    ADAPTER_REQUEST(a, req, WAITING_STORES, "fsync", ino, NULL, fi);

    adapter_settle(&a);
    int r = vfs_fsync(a.vfs, adapter_file(fi), &a.err);
    adapter_finish(&a, r ? r : adapter_lost_write(&a));
}

/* Nobody hears what release answers: the log is the only place for its failure. */
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    ADAPTER_REQUEST(a, req, WAITING_STORES, "release", ino, NULL, NULL);

    adapter_finish(&a, adapter_handle_release(&a, fi->fh));
}
