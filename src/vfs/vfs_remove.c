/* SPDX-License-Identifier: Apache-2.0 */
/* unlink and rmdir. Only the key of the name itself is ever deleted. */
#include <errno.h>
#include <string.h>

#include "vfs/vfs_impl.h"

static int delete_key_locked(struct vfs *v, const struct inode *i, const char *key,
                             struct s3_error *err)
{
    /* Who gets a lock next must see what was written under it. */
    struct store_delete_in in = {.key = key, .after_all = vfs_is_lock(v, i->parent, i->name)};
    pthread_mutex_unlock(&v->lock);
    int r = store_call(v->store, STORE_DELETE, &in, NULL, err);
    pthread_mutex_lock(&v->lock);
    return r;
}

static int unlink_locked(struct vfs *v, struct inode *dir, struct open_file *of,
                         struct s3_error *err)
{
    struct inode *i = of->inode;
    char key[COMPONENT_LENGTH_MAX + 1];
    int r = inode_key(i, COMPONENT_LENGTH_MAX, key);
    if (r < 0)
        return r;
    /* What it has to keep may get into the store by that. */
    if ((r = vfs_preserve_locked(v, of, err)) < 0)
        return r;
    if (!of->absent) {
        if ((r = vfs_keep_dir_locked(v, dir, err)) < 0) {
            vfs_name_kept_locked(v, of);
            return r;
        }
        if ((r = delete_key_locked(v, i, key, err)) < 0) {
            vfs_name_kept_locked(v, of);
            return r;
        }
    }
    vfs_forget_name_locked(v, i);
    vfs_name_lost_locked(v, of);
    return 0;
}

static int unlink_alone_locked(struct vfs *v, struct inode *dir, struct inode *i,
                               const char *component, struct s3_error *err)
{
    struct open_file *of;
    if (i->kind == NODE_DIR)
        return -EISDIR;
    int r = vfs_open_file_get_locked(v, i, &of);
    if (r < 0)
        return r;
    /* Nobody may be about to store it while it goes. */
    r = vfs_open_file_begin_named_locked(v, of, dir, component);
    if (r == 0) {
        r = unlink_locked(v, dir, of, err);
        vfs_open_file_end_locked(v, of);
    }
    vfs_open_file_put_locked(v, of);
    return r;
}

static int rmdir_locked(struct vfs *v, struct inode *dir, struct inode *i, const char *component,
                        struct s3_error *err)
{
    char key[COMPONENT_LENGTH_MAX + 1];
    bool marker;
    if (i->kind != NODE_DIR)
        return -ENOTDIR;
    int r = inode_key(i, COMPONENT_LENGTH_MAX, key);
    if (r == 0)
        r = vfs_check_empty_locked(v, i, &marker, err);
    if (r == 0)
        r = vfs_keep_dir_locked(v, dir, err);
    if (r == 0 && marker)
        r = delete_key_locked(v, i, key, err);
    if (r == 0)
        r = vfs_folder_mark_delete_locked(v, i, key, err);
    if (r == 0)
        vfs_forget_name_locked(v, i);
    return r;
}

typedef int (*remove_fn)(struct vfs *v, struct inode *dir, struct inode *i, const char *component,
                         struct s3_error *err);

static int remove_name(struct vfs *v, uint64_t parent, const char *name, remove_fn remove,
                       struct s3_error *err)
{
    struct inode *dir, *i;
    if (v->opts.read_only)
        return -EROFS;
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_dir_locked(v, parent, &dir);
    if (r < 0)
        return r;
    VFS_GUARD(v, dir);
    r = vfs_resolve_any_locked(v, dir, name, &i, err);
    if (r < 0)
        return r;
    char component[COMPONENT_LENGTH_MAX + 1];
    memcpy(component, i->name, i->name_len + 1);
    r = remove(v, dir, i, component, err);
    inode_unref(&v->inodes, i);
    return r;
}

int vfs_unlink(struct vfs *v, uint64_t parent, const char *name, struct s3_error *err)
{
    return remove_name(v, parent, name, unlink_alone_locked, err);
}

int vfs_rmdir(struct vfs *v, uint64_t parent, const char *name, struct s3_error *err)
{
    return remove_name(v, parent, name, rmdir_locked, err);
}
