/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, creating and closing files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_impl.h"

static bool for_writing(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY;
}

static bool can_read(int flags)
{
    return (flags & O_ACCMODE) != O_WRONLY;
}

/* Who only writes goes past the page cache, as long as nobody uses it: see vfs_file_is_cached. A
 * write drops set-user-ID bits, but the kernel does that on the way through its cache. */
static bool is_direct_locked(const struct inode *i, int flags)
{
    return !can_read(flags) && i->handles == i->direct_handles &&
           !(i->attr.mode & (S_ISUID | S_ISGID));
}

static struct vfs_file *new_file_locked(struct inode *i, int flags)
{
    struct vfs_file *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->inode = inode_ref(i);
    f->flags = flags;
    f->direct = is_direct_locked(i, flags);
    i->handles++;
    if (f->direct)
        i->direct_handles++;
    if (can_read(flags))
        i->readers++;
    return f;
}

bool vfs_file_is_direct(const struct vfs_file *file)
{
    return file->direct;
}

bool vfs_file_is_cached(struct vfs *v, const struct vfs_file *file)
{
    SCOPE_LOCK(&v->lock);
    return file->inode->handles > file->inode->direct_handles;
}

static void free_file_locked(struct vfs *v, struct vfs_file *f)
{
    vfs_reader_drop_locked(v, f);
    f->inode->handles--;
    if (f->direct)
        f->inode->direct_handles--;
    if (can_read(f->flags))
        vfs_reader_left_locked(v, f->inode);
    inode_unref(&v->inodes, f->inode);
    free(f);
}

/* Attributes that old are asked for again before a file is overwritten: the upload's condition is
 * about what happens after the open, not about what the cache has missed before. */
#define OVERWRITE_AGE_NS NS_PER_S

/* Finds out whether the version that is known is the newest. If not, -ESTALE: the kernel then looks
 * the name up again and opens once more, with the size that is true. */
static int check_version_locked(struct vfs *v, struct vfs_file *f, struct s3_error *err)
{
    struct open_file *of = f->open;
    const struct inode *i = f->inode;
    /* Attributes that are still to be stored have kept it, and nobody has the file open. */
    if (of->writer && of->pending && of->handles == 0 && !of->dirty && !of->held &&
        !writer_dirty(of->writer))
        vfs_writer_drop_locked(v, of);
    if (of->absent || of->writer || !i->attr.etag[0])
        return 0;
    if (!(f->flags & O_TRUNC))
        return vfs_load_base_locked(v, of, false, err);
    uint64_t oldest = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
    if (vfs_after(i->attr_until_ns, OVERWRITE_AGE_NS) >= oldest)
        return 0;
    /* Overwritten whatever it is: the newest version is the one to replace. */
    int r = vfs_load_base_locked(v, of, false, err);
    return r == -ESTALE && f->inode->attr_until_ns ? 0 : r;
}

static int open_for_writing_locked(struct vfs *v, struct vfs_file *f, struct s3_error *err)
{
    int r = vfs_open_file_get_locked(v, f->inode, &f->open);
    if (r < 0)
        return r;
    vfs_open_file_begin_locked(v, f->open);
    r = check_version_locked(v, f, err);
    if (r == 0 && (f->flags & O_TRUNC))
        r = vfs_truncate_locked(v, f->open, 0, err);
    vfs_open_file_end_locked(v, f->open);
    if (r < 0) {
        vfs_open_file_put_locked(v, f->open);
        f->open = NULL;
        return r;
    }
    f->open->handles++;
    return 0;
}

int vfs_open(struct vfs *v, uint64_t ino, int flags, struct vfs_file **ret, bool *ret_keep,
             struct s3_error *err)
{
    struct inode *i;
    if (v->opts.read_only && (for_writing(flags) || (flags & O_TRUNC)))
        return -EROFS;
    /* Nobody writes through this handle, so no close would store it. */
    if (!for_writing(flags) && (flags & O_TRUNC)) {
        struct vfs_changes empty = {.set = VFS_SET_SIZE, .size = 0};
        struct vfs_entry ignored;
        int t = vfs_setattr(v, ino, NULL, &empty, &ignored, err);
        if (t < 0)
            return t;
        flags &= ~O_TRUNC;
    }
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_locked(v, ino, &i);
    if (r == 0 && i->kind == NODE_DIR)
        r = -EISDIR;
    /* The kernel opens these by itself: it has another idea of what the name stands for. */
    if (r == 0 && !S_ISREG(i->attr.mode))
        r = -ESTALE;
    /* It looks the name up again then, and opens once more with the size of what is there now. */
    if (r == 0 && i->outdated && !i->open) {
        i->outdated = false;
        if (i->attr_until_ns == 0)
            r = -ESTALE;
    }
    if (r < 0)
        return r;
    struct vfs_file *f = new_file_locked(i, flags);
    if (!f)
        return -ENOMEM;
    if (for_writing(flags)) {
        VFS_GUARD(v, i);
        r = open_for_writing_locked(v, f, err);
    }
    if (r < 0) {
        free_file_locked(v, f);
        return r;
    }
    /* Pages of readers that have closed are not dropped by writes past the cache. */
    bool behind = i->direct_handles > 0;
    *ret_keep = i->kernel_version == i->version && !behind;
    if (*ret_keep)
        memcpy(f->kept_etag, i->attr.etag, sizeof(f->kept_etag));
    f->kept_changes = i->changes;
    i->kernel_version = behind ? INODE_NO_VERSION : i->version;
    *ret = f;
    return 0;
}

/* A new, empty file that is only known here until its first commit. -EAGAIN: look again. */
static int make_file_locked(struct vfs *v, const struct vfs_caller *caller, struct inode *dir,
                            const char *name, mode_t mode, bool exclusive, struct inode **ret,
                            struct open_file **ret_open, struct s3_error *err)
{
    struct name_target t;
    char key[COMPONENT_LENGTH_MAX + 1];
    struct inode *i;
    struct open_file *of;
    int r = vfs_decode_new_name(v, dir, name, NODE_FILE, &t, key);
    if (r == 0)
        r = inode_get(&v->inodes, dir, t.component, NODE_FILE, &i);
    if (r < 0)
        return r;
    if (i->open && (i->open->busy || i->open->writing > 0)) {
        /* Somebody is at it, under this or another name soon. */
        pthread_cond_wait(&v->changed, &v->lock);
        inode_unref(&v->inodes, i);
        return -EAGAIN;
    }
    if ((r = vfs_open_file_get_locked(v, i, &of)) < 0) {
        inode_unref(&v->inodes, i);
        return r;
    }
    vfs_new_attr_locked(v, caller, dir, mode, i);
    i->version++;
    i->kernel_version = i->version;
    of->absent = true;
    of->exclusive = exclusive && v->opts.excl != VFS_EXCL_LOCAL;
    r = vfs_writer_locked(v, of, true, err);
    if (r < 0) {
        of->absent = false;
        vfs_open_file_put_locked(v, of);
        inode_unref(&v->inodes, i);
        return r;
    }
    i->attr_until_ns = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
    vfs_listing_put_locked(v, dir, i);
    vfs_dir_changed_locked(v, dir);
    *ret = i;
    *ret_open = of;
    return 0;
}

/* The kernel asked first and found nothing; but somebody else's file may have been seen since. */
static int existing_locked(struct vfs *v, struct inode *dir, const char *name, struct inode **ret)
{
    struct name_target t;
    struct dir_entry *e;
    int r = name_to_component(name, &t);
    if (r < 0 || t.hashed)
        return r;
    *ret = NULL;
    struct dir *d = vfs_listing_fresh_locked(v, dir);
    if (d && dir_lookup(d, name, &t, &e) == DIR_FOUND)
        return vfs_inode_of_entry_locked(v, dir, d, e, ret);
    struct inode *i = inode_child(&v->inodes, dir, t.component, NODE_FILE);
    if (i && ((i->open && vfs_open_file_unclean(i->open)) || vfs_now(v) < i->attr_until_ns))
        *ret = inode_ref(i);
    return 0;
}

/* As the cache believes; a lock that is to be taken is asked for. */
static int find_existing_locked(struct vfs *v, struct inode *dir, const char *name, bool exclusive,
                                struct inode **ret, struct s3_error *err)
{
    int r = existing_locked(v, dir, name, ret);
    struct inode *i = r == 0 ? *ret : NULL;
    if (!i || !exclusive || !vfs_is_lock_name(v, name) ||
        (i->open && vfs_open_file_unclean(i->open)))
        return r;
    inode_unref(&v->inodes, i);
    *ret = NULL;
    r = vfs_resolve_anew_locked(v, dir, name, ret, err);
    return r == -ENOENT ? 0 : r;
}

int vfs_create(struct vfs *v, const struct vfs_caller *caller, uint64_t parent, const char *name,
               mode_t mode, int flags, struct vfs_entry *ret, struct vfs_file **ret_file,
               struct s3_error *err)
{
    struct inode *dir, *i = NULL;
    struct open_file *of = NULL;
    struct vfs_file *f = NULL;
    if (v->opts.read_only)
        return -EROFS;
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_dir_locked(v, parent, &dir);
    if (r < 0)
        return r;
    VFS_GUARD(v, dir);
    bool made;
    do {
        r = find_existing_locked(v, dir, name, (flags & O_EXCL) != 0, &i, err);
        made = r == 0 && !i;
        if (made)
            r = make_file_locked(v, caller, dir, name, mode, (flags & O_EXCL) != 0, &i, &of, err);
    } while (r == -EAGAIN);
    if (r == 0 && !made && (flags & O_EXCL))
        r = -EEXIST;
    if (r == 0 && i->kind == NODE_DIR)
        r = -EISDIR;
    if (r == 0 && !made && !S_ISREG(i->attr.mode))
        r = -ESTALE;
    if (r == 0 && made && (flags & O_EXCL) && vfs_excl_at_open(v, name))
        r = vfs_make_stub_locked(v, of, err);
    if (r == 0 && !(f = new_file_locked(i, flags)))
        r = -ENOMEM;
    if (r == 0 && for_writing(flags)) {
        /* What was made here is empty already. */
        f->flags = made ? flags & ~O_TRUNC : flags;
        r = open_for_writing_locked(v, f, err);
        f->flags = flags;
    }
    if (of) {
        /* Opened for reading only, it is stored now: no close of a writer will come. */
        if (r == 0 && !for_writing(flags)) {
            of->handles++;
            of->refs++;
            r = vfs_close_locked(v, of, err);
        }
        if (r < 0 && of->absent && of->handles == 0)
            vfs_never_stored_locked(v, i);
        vfs_open_file_put_locked(v, of);
    }
    if (r == 0) {
        vfs_fill_entry_locked(v, i, ret);
        *ret_file = f;
    } else if (f) {
        free_file_locked(v, f);
    }
    inode_unref(&v->inodes, i);
    return r;
}

int vfs_mknod(struct vfs *v, const struct vfs_caller *caller, uint64_t parent, const char *name,
              mode_t mode, struct vfs_entry *ret, struct s3_error *err)
{
    struct vfs_file *f;
    if (S_ISCHR(mode) || S_ISBLK(mode))
        return -EPERM;
    if (S_ISFIFO(mode) || S_ISSOCK(mode))
        return vfs_make_node(v, caller, parent, name, mode, NULL, ret, err);
    if (!S_ISREG(mode))
        return -EINVAL;
    int r = vfs_create(v, caller, parent, name, mode, O_WRONLY | O_CREAT | O_EXCL, ret, &f, err);
    if (r < 0)
        return r;
    r = vfs_release(v, f, err);
    if (r < 0)
        vfs_forget(v, ret->ino, 1);
    return r;
}

int vfs_release(struct vfs *v, struct vfs_file *file, struct s3_error *err)
{
    int r = 0;
    SCOPE_LOCK(&v->lock);
    if (file->open) {
        VFS_GUARD(v, file->inode);
        r = vfs_close_locked(v, file->open, err);
    }
    free_file_locked(v, file);
    return r;
}
