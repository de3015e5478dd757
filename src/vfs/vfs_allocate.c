/* SPDX-License-Identifier: Apache-2.0 */
/* fallocate and lseek. A bucket has neither blocks to reserve nor holes: space is only a size, and
 * what is punched out is zeros, which are stored as such. */
#include <errno.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "store/store_limits.h"
#include "vfs/vfs_impl.h"

static int allocate_locked(struct vfs *v, struct open_file *of, int mode, uint64_t offset,
                           uint64_t len, struct s3_error *err)
{
    uint64_t end = offset + len;
    int r = vfs_writer_locked(v, of, false, err);
    if (r == 0 && (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) &&
        offset < of->inode->attr.size) {
        of->dirty = true;
        pthread_mutex_unlock(&v->lock);
        r = writer_zero(of->writer, offset, len, err);
        pthread_mutex_lock(&v->lock);
        if (r == 0)
            vfs_written_locked(v, of, of->inode->attr.size);
    }
    if (r == 0 && !(mode & FALLOC_FL_KEEP_SIZE) && end > of->inode->attr.size)
        r = vfs_truncate_locked(v, of, end, err);
    return r;
}

int vfs_fallocate(struct vfs *v, struct vfs_file *file, int mode, uint64_t offset, uint64_t len,
                  struct s3_error *err)
{
    struct open_file *of = file->open;
    uint64_t end;
    bool known = mode == 0 || mode == FALLOC_FL_KEEP_SIZE ||
                 mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) ||
                 (mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_ZERO_RANGE;
    if (!of)
        return -EBADF;
    if (!known)
        return -EOPNOTSUPP;
    if (__builtin_add_overflow(offset, len, &end) || end > STORE_OBJECT_SIZE_MAX)
        return -EFBIG;
    SCOPE_LOCK(&v->lock);
    VFS_GUARD(v, of->inode);
    vfs_open_file_begin_locked(v, of);
    int r = allocate_locked(v, of, mode, offset, len, err);
    vfs_open_file_end_locked(v, of);
    return r;
}

int vfs_lseek(struct vfs *v, struct vfs_file *file, uint64_t offset, int whence, uint64_t *ret)
{
    SCOPE_LOCK(&v->lock);
    struct inode *i = file->inode;
    struct open_file *of = i->open;
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return -EINVAL;
    if (of && vfs_open_file_unclean(of)) {
        struct writer *w = of->writer;
        of->refs++;
        of->reading++;
        pthread_mutex_unlock(&v->lock);
        int r = writer_seek(w, offset, whence == SEEK_HOLE, ret);
        pthread_mutex_lock(&v->lock);
        if (--of->reading == 0)
            pthread_cond_broadcast(&v->changed);
        vfs_open_file_put_locked(v, of);
        return r;
    }
    if (offset >= i->attr.size)
        return -ENXIO;
    *ret = whence == SEEK_DATA ? offset : i->attr.size;
    return 0;
}
