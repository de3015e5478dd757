/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on names and attributes. */
#include <errno.h>

#include "base/attr.h"
#include "fuse/adapter.h"

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct adapter_request a = adapter_begin(req, "lookup", parent, name);
    struct vfs_entry e = {0};
    int r = vfs_lookup(adapter_vfs(req), parent, name, &e, &a.err);

    /* An entry with inode 0 makes the kernel remember the absence. */
    if (r == 0 || (r == -ENOENT && e.ino == 0 && e.entry_ttl_ns > 0))
        adapter_reply_entry(&a, &e);
    else
        adapter_fail(&a, r);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
    vfs_forget(adapter_vfs(req), ino, n);
    fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        vfs_forget(adapter_vfs(req), forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct adapter_request a = adapter_begin(req, "getattr", ino, NULL);
    struct vfs_entry e = {0};
    int r = vfs_getattr(adapter_vfs(req), ino, adapter_file(fi), &e, &a.err);

    if (r < 0)
        adapter_fail(&a, r);
    else
        fuse_reply_attr(req, &e.st, adapter_seconds(e.attr_ttl_ns));
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                struct fuse_file_info *fi)
{
    static const struct {
        int fuse;
        unsigned vfs;
    } bits[] = {
        {FUSE_SET_ATTR_MODE, VFS_SET_MODE},
        {FUSE_SET_ATTR_UID, VFS_SET_UID},
        {FUSE_SET_ATTR_GID, VFS_SET_GID},
        {FUSE_SET_ATTR_SIZE, VFS_SET_SIZE},
        {FUSE_SET_ATTR_ATIME, VFS_SET_ATIME},
        {FUSE_SET_ATTR_MTIME, VFS_SET_MTIME},
        {FUSE_SET_ATTR_ATIME_NOW, VFS_SET_ATIME_NOW},
        {FUSE_SET_ATTR_MTIME_NOW, VFS_SET_MTIME_NOW},
    };
    struct adapter_request a = adapter_begin(req, "setattr", ino, NULL);
    struct vfs_changes c = {
        .mode = attr->st_mode,
        .uid = attr->st_uid,
        .gid = attr->st_gid,
        .size = (uint64_t)attr->st_size,
        .atime_ns = attr->st_atim.tv_sec * NS_PER_S + attr->st_atim.tv_nsec,
        .mtime_ns = attr->st_mtim.tv_sec * NS_PER_S + attr->st_mtim.tv_nsec,
    };
    struct vfs_entry e = {0};
    int r;

    for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
        if (to_set & bits[i].fuse)
            c.set |= bits[i].vfs;
    r = vfs_setattr(adapter_vfs(req), ino, adapter_file(fi), &c, &e, &a.err);
    if (r < 0)
        adapter_fail(&a, r);
    else
        fuse_reply_attr(req, &e.st, adapter_seconds(e.attr_ttl_ns));
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    struct adapter_request a = adapter_begin(req, "mknod", parent, name);
    struct vfs_caller caller = adapter_caller(req);
    struct vfs_entry e = {0};
    int r = vfs_mknod(adapter_vfs(req), &caller, parent, name, mode, &e, &a.err);

    if (r < 0)
        adapter_fail(&a, r);
    else
        adapter_reply_entry(&a, &e);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct adapter_request a = adapter_begin(req, "mkdir", parent, name);
    struct vfs_caller caller = adapter_caller(req);
    struct vfs_entry e = {0};
    int r = vfs_mkdir(adapter_vfs(req), &caller, parent, name, mode, &e, &a.err);

    if (r < 0)
        adapter_fail(&a, r);
    else
        adapter_reply_entry(&a, &e);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct adapter_request a = adapter_begin(req, "unlink", parent, name);

    adapter_finish(&a, vfs_unlink(adapter_vfs(req), parent, name, &a.err));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct adapter_request a = adapter_begin(req, "rmdir", parent, name);

    adapter_finish(&a, vfs_rmdir(adapter_vfs(req), parent, name, &a.err));
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
               const char *newname, unsigned int flags)
{
    struct adapter_request a = adapter_begin(req, "rename", parent, name);

    adapter_finish(&a,
                   vfs_rename(adapter_vfs(req), parent, name, newparent, newname, flags, &a.err));
}

/* One object has one key: link(2) says EPERM where the filesystem has no hard links. */
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
    fuse_reply_err(req, EPERM);
}

void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
    struct adapter_request a = adapter_begin(req, "symlink", parent, name);
    struct vfs_caller caller = adapter_caller(req);
    struct vfs_entry e = {0};
    int r = vfs_symlink(adapter_vfs(req), &caller, parent, name, link, &e, &a.err);

    if (r < 0)
        adapter_fail(&a, r);
    else
        adapter_reply_entry(&a, &e);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct adapter_request a = adapter_begin(req, "readlink", ino, NULL);
    char target[VFS_LINK_MAX + 1];
    int r = vfs_readlink(adapter_vfs(req), ino, target, &a.err);

    if (r < 0)
        adapter_fail(&a, r);
    else
        fuse_reply_readlink(req, target);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct adapter_request a = adapter_begin(req, "statfs", ino, NULL);
    struct statvfs st = {0};
    int r = vfs_statfs(adapter_vfs(req), &st);

    if (r < 0)
        adapter_fail(&a, r);
    else
        fuse_reply_statfs(req, &st);
}
