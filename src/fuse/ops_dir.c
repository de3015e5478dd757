/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: the reply buffer is filled from the listing until it is full. */
#include <errno.h>

#include "fuse/adapter.h"

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct adapter_request a = adapter_begin(req, "opendir", ino, NULL);
    struct vfs_dir *dir = NULL;
    int r = vfs_opendir(adapter_vfs(req), ino, &dir);

    if (r < 0) {
        adapter_fail(&a, r);
        return;
    }
    r = adapter_handle_new(req, NULL, dir, &fi->fh);
    if (r < 0) {
        vfs_releasedir(adapter_vfs(req), dir);
        adapter_fail(&a, r);
        return;
    }
    if (fuse_reply_open(req, fi) != 0)
        vfs_releasedir(adapter_vfs(req), adapter_handle_take_dir(req, fi->fh));
}

struct fill {
    fuse_req_t req;
    char *buf;
    size_t size;
    size_t used;
    bool plus;
};

static bool fill_entry(void *ctx, const char *name, const struct vfs_entry *e, uint64_t next)
{
    struct fill *f = ctx;
    size_t left = f->size - f->used, need;

    if (f->plus) {
        struct fuse_entry_param p;

        adapter_entry_param(e, &p);
        need = fuse_add_direntry_plus(f->req, f->buf + f->used, left, name, &p, (off_t)next);
    } else {
        need = fuse_add_direntry(f->req, f->buf + f->used, left, name, &e->st, (off_t)next);
    }
    if (need > left)
        return false;
    f->used += need;
    return true;
}

static void read_directory(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                           struct fuse_file_info *fi, bool plus)
{
    struct adapter_request a = adapter_begin(req, "readdir", ino, NULL);
    struct fill f = {.req = req, .buf = adapter_buffer(size), .size = size, .plus = plus};
    int r = -ENOMEM;

    if (f.buf)
        r = vfs_readdir(adapter_vfs(req), adapter_dir(fi), (uint64_t)off, plus, fill_entry, &f,
                        &a.err);
    /* Entries that are in the buffer count as looked up: they must reach the kernel. The error
     * comes again with the next call. */
    if (r < 0 && f.used == 0)
        adapter_fail(&a, r);
    else
        fuse_reply_buf(req, f.buf, f.used);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    read_directory(req, ino, size, off, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi)
{
    read_directory(req, ino, size, off, fi, true);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    vfs_releasedir(adapter_vfs(req), adapter_handle_take_dir(req, fi->fh));
    fuse_reply_err(req, 0);
}

/* Every change of a directory is in S3 when its call returns, or journaled, with writeback. */
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    struct adapter_request a = adapter_begin(req, "fsyncdir", ino, NULL);

    adapter_finish(&a, vfs_fsync_dir(adapter_vfs(req), ino, &a.err));
}
