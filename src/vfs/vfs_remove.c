/* SPDX-License-Identifier: Apache-2.0 */
/* unlink and rmdir. Only the key of the name itself is ever deleted. */
#include <errno.h>
#include <string.h>

#include "vfs/vfs_impl.h"

static int find_child_locked(struct vfs *v, uint64_t parent, const char *name,
                             struct inode **ret_dir, struct inode **ret, struct s3_error *err)
{
    struct inode *dir;
    if (v->opts.read_only)
        return -EROFS;
    int r = vfs_find_dir_locked(v, parent, &dir);
    if (r < 0)
        return r;
    inode_ref(dir);
    r = vfs_resolve_any_locked(v, dir, name, ret, err);
    if (r < 0)
        inode_unref(&v->inodes, dir);
    else
        *ret_dir = dir;
    return r;
}

static int delete_key_locked(struct vfs *v, const char *key, struct s3_error *err)
{
    pthread_mutex_unlock(&v->lock);
    int r = store_delete(v->store, key, NULL, err);
    pthread_mutex_lock(&v->lock);
    return r;
}

static int unlink_locked(struct vfs *v, struct inode *dir, struct inode *i, struct open_file *of,
                         struct s3_error *err)
{
    char key[COMPONENT_LENGTH_MAX + 1];
    int r = inode_key(i, COMPONENT_LENGTH_MAX, key);
    if (r < 0)
        return r;
    if (!of || !of->absent) {
        if ((r = vfs_keep_dir_locked(v, dir, err)) < 0)
            return r;
        if ((r = delete_key_locked(v, key, err)) < 0)
            return r;
    }
    vfs_forget_name_locked(v, i);
    return 0;
}

int vfs_unlink(struct vfs *v, uint64_t parent, const char *name, struct s3_error *err)
{
    struct inode *dir, *i;
    SCOPE_LOCK(&v->lock);
    int r = find_child_locked(v, parent, name, &dir, &i, err);
    if (r < 0)
        return r;

    struct open_file *of = i->open;
    if (i->kind == NODE_DIR) {
        r = -EISDIR;
    } else if (!of) {
        r = unlink_locked(v, dir, i, NULL, err);
    } else {
        of->refs++;
        vfs_open_file_begin_locked(v, of);
        r = unlink_locked(v, dir, i, of, err);
        if (r == 0 && of->writer) {
            /* What is written from now on has no name to be stored under. */
            pthread_mutex_unlock(&v->lock);
            writer_orphan(of->writer);
            pthread_mutex_lock(&v->lock);
        }
        vfs_open_file_end_locked(v, of);
        vfs_open_file_put_locked(v, of);
    }
    inode_unref(&v->inodes, i);
    inode_unref(&v->inodes, dir);
    return r;
}

static int rmdir_locked(struct vfs *v, struct inode *dir, struct inode *i, struct s3_error *err)
{
    char key[COMPONENT_LENGTH_MAX + 1];
    bool marker;
    int r = inode_key(i, COMPONENT_LENGTH_MAX, key);
    if (r == 0)
        r = vfs_check_empty_locked(v, i, &marker, err);
    if (r == 0)
        r = vfs_keep_dir_locked(v, dir, err);
    if (r == 0 && marker)
        r = delete_key_locked(v, key, err);
    if (r == 0)
        vfs_forget_name_locked(v, i);
    return r;
}

int vfs_rmdir(struct vfs *v, uint64_t parent, const char *name, struct s3_error *err)
{
    struct inode *dir, *i;
    SCOPE_LOCK(&v->lock);
    int r = find_child_locked(v, parent, name, &dir, &i, err);
    if (r < 0)
        return r;
    r = i->kind == NODE_DIR ? rmdir_locked(v, dir, i, err) : -ENOTDIR;
    inode_unref(&v->inodes, i);
    inode_unref(&v->inodes, dir);
    return r;
}
