/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on names and attributes. */
#include <errno.h>

#include "base/attr.h"
#include "fuse/adapter.h"

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    ADAPTER_REQUEST(a, req, WAITING_LOOKS, "lookup", parent, name, NULL);
    struct vfs_entry e = {0};
    int r = vfs_lookup(a.vfs, parent, name, &e, &a.err);

    /* An entry with inode 0 makes the kernel remember the absence. */
    if (r == 0 || (r == -ENOENT && e.ino == 0 && e.entry_ttl_ns > 0))
        adapter_reply_entry(&a, &e);
    else
        adapter_fail(&a, r);
}

static void forget(fuse_req_t req, uint64_t ino, uint64_t n)
{
    if (!waiting_defer_forget(adapter_waiting(adapter_mount(req)), ino, n))
        vfs_forget(adapter_vfs(req), ino, n);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
    forget(req, ino, n);
    fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        forget(req, forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    ADAPTER_REQUEST(a, req, WAITING_LOOKS, "getattr", ino, NULL, fi);
    struct vfs_entry e = {0};
    int r = vfs_getattr(a.vfs, ino, adapter_file(fi), &e, &a.err);

    if (r < 0)
        adapter_fail(&a, r);
    else if (adapter_may_reply(&a, &req))
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
    ADAPTER_REQUEST(a, req, WAITING_CHANGES, "setattr", ino, NULL, fi);
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
    r = vfs_setattr(a.vfs, ino, adapter_file(fi), &c, &e, &a.err);
    if (r < 0)
        adapter_fail(&a, r);
    else if (adapter_may_reply(&a, &req))
        fuse_reply_attr(req, &e.st, adapter_seconds(e.attr_ttl_ns));
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    ADAPTER_REQUEST(a, req, WAITING_CHANGES, "mknod", parent, name, NULL);
    struct vfs_caller caller = adapter_caller(&a);
    struct vfs_entry e = {0};
    int r = vfs_mknod(a.vfs, &caller, parent, name, mode, &e, &a.err);

    if (r < 0)
        adapter_fail(&a, r);
    else
        adapter_reply_entry(&a, &e);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    ADAPTER_REQUEST(a, req, WAITING_CHANGES, "mkdir", parent, name, NULL);
    struct vfs_caller caller = adapter_caller(&a);
    struct vfs_entry e = {0};
    int r = vfs_mkdir(a.vfs, &caller, parent, name, mode, &e, &a.err);

    if (r < 0)
        adapter_fail(&a, r);
    else
        adapter_reply_entry(&a, &e);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    ADAPTER_REQUEST(a, req, WAITING_CHANGES, "unlink", parent, name, NULL);

    adapter_finish(&a, vfs_unlink(a.vfs, parent, name, &a.err));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    ADAPTER_REQUEST(a, req, WAITING_CHANGES, "rmdir", parent, name, NULL);

    adapter_finish(&a, vfs_rmdir(a.vfs, parent, name, &a.err));
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
               const char *newname, unsigned int flags)
{
    ADAPTER_CHANGE_OF_TWO(a, req, "rename", parent, name, newparent);

    adapter_finish(&a, vfs_rename(a.vfs, parent, name, newparent, newname, flags, &a.err));
}

/* One object has one key: link(2) says EPERM where the filesystem has no hard links. */
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
    fuse_reply_err(req, EPERM);
}

void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
    ADAPTER_REQUEST(a, req, WAITING_CHANGES, "symlink", parent, name, NULL);
    struct vfs_caller caller = adapter_caller(&a);
    struct vfs_entry e = {0};
    int r = vfs_symlink(a.vfs, &caller, parent, name, link, &e, &a.err);

    if (r < 0)
        adapter_fail(&a, r);
    else
        adapter_reply_entry(&a, &e);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    ADAPTER_REQUEST(a, req, WAITING_LOOKS, "readlink", ino, NULL, NULL);
    char target[VFS_LINK_MAX + 1];
    int r = vfs_readlink(a.vfs, ino, target, &a.err);

    if (r < 0)
        adapter_fail(&a, r);
    else if (adapter_may_reply(&a, &req))
        fuse_reply_readlink(req, target);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    ADAPTER_REQUEST(a, req, WAITING_LOOKS, "statfs", ino, NULL, NULL);
    struct statvfs st = {0};
    int r = vfs_statfs(a.vfs, &st);

    if (r < 0)
        adapter_fail(&a, r);
    else if (adapter_may_reply(&a, &req))
        fuse_reply_statfs(req, &st);
}
