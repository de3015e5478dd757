/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: the reply buffer is filled from the listing until it is full. */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

#include "fuse/adapter.h"

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    ADAPTER_REQUEST(a, req, WAITING_LOOKS, "opendir", ino, NULL, NULL);
    struct vfs_dir *dir = NULL;
    int r = vfs_opendir(a.vfs, ino, &dir);

    if (r == 0)
        r = adapter_handle_new(&a, NULL, dir, fi);
    if (r < 0)
        adapter_fail(&a, r);
    else if (!adapter_may_reply(&a, &req) || fuse_reply_open(req, fi) != 0)
        (void)adapter_handle_release(&a, fi->fh);
}

struct fill {
    fuse_req_t req; /* libfuse does not look at it */
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

/* Each entry that the kernel got counts as looked up, and it did not get these. */
static void forget_entries(struct vfs *v, const struct fill *f)
{
    for (size_t at = 0; f->plus && at < f->used;) {
        const struct fuse_direntplus *e = (const void *)(f->buf + at);
        const struct fuse_dirent *d = &e->dirent;

        if (strncmp(d->name, ".", d->namelen) != 0 && strncmp(d->name, "..", d->namelen) != 0)
            vfs_forget(v, e->entry_out.nodeid, 1);
        at += FUSE_DIRENTPLUS_SIZE(e);
    }
}

static void read_directory(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                           struct fuse_file_info *fi, bool plus)
{
    ADAPTER_REQUEST(a, req, WAITING_LOOKS, "readdir", ino, NULL, fi);
    struct fill f = {.req = req, .buf = adapter_buffer(size), .size = size, .plus = plus};
    int r = -ENOMEM;

    if (f.buf)
        r = vfs_readdir(a.vfs, adapter_dir(fi), (uint64_t)off, plus, fill_entry, &f, &a.err);
    /* Entries that are in the buffer count as looked up: they must reach the kernel. The error
     * comes again with the next call. */
    if (r < 0 && f.used == 0)
        adapter_fail(&a, r);
    else if (!adapter_may_reply(&a, &req) || fuse_reply_buf(req, f.buf, f.used) != 0)
        forget_entries(a.vfs, &f);
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
    ADAPTER_REQUEST(a, req, WAITING_LOOKS, "releasedir", ino, NULL, NULL);

    adapter_finish(&a, adapter_handle_release(&a, fi->fh));
}

/* Every change of a directory is in S3 when its call returns, or journaled, with writeback. */
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    ADAPTER_REQUEST(a, req, WAITING_STORES, "fsyncdir", ino, NULL, fi);

    adapter_finish(&a, vfs_fsync_dir(a.vfs, ino, &a.err));
}
