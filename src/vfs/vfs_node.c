/* SPDX-License-Identifier: Apache-2.0 */
/* Symbolic links, FIFOs and sockets: objects whose metadata says what they are. Each is one PUT
 * that replaces nothing; the directory is marked first, because a listing would show a file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_impl.h"

#define METADATA_BYTES_MAX (16u << 10)

/* ---- making ---- */

static int put_node_locked(struct vfs *v, struct inode *dir, struct inode *i, const char *key,
                           const char *target, struct store_version *ret, struct s3_error *err)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(METADATA_BYTES_MAX);
    struct iovec body = {.iov_base = (void *)target, .iov_len = strlen(target)};
    struct store_put_in in = {.key = key,
                              .body = &body,
                              .n_body = 1,
                              .if_absent = true,
                              .through =
                                  v->opts.excl == VFS_EXCL_OPEN || vfs_is_lock(v, dir, i->name)};
    struct s3_error local = {0};
    int r = vfs_posix_mark_locked(v, dir, err);
    if (r == 0)
        r = vfs_posix_metadata_locked(v, i, false, NULL, &arena, &in.attrs);
    if (r < 0)
        return r;
    pthread_mutex_unlock(&v->lock);
    r = store_put(v->store, &in, ret, &local);
    pthread_mutex_lock(&v->lock);
    if (r < 0 && err)
        *err = local;
    if (r == 0 || local.kind != S3_ERROR_PRECONDITION)
        return r;
    vfs_listing_drop_locked(v, dir); /* it did not know of the name */
    return -EEXIST;
}

static struct inode_link *new_link(const char *target, size_t len, const char *etag)
{
    struct inode_link *l = malloc(sizeof(*l) + len + 1);
    if (!l)
        return NULL;
    memcpy(l->etag, etag, sizeof(l->etag));
    memcpy(l->target, target, len);
    l->target[len] = '\0';
    return l;
}

static void made_locked(struct vfs *v, struct inode *dir, struct inode *i, const char *target,
                        const struct store_version *version)
{
    struct inode_attr *a = &i->attr;
    a->size = strlen(target);
    memcpy(a->etag, version->etag, sizeof(a->etag));
    a->modified_ns = version->mtime_ns - version->mtime_ns % NS_PER_S;
    i->attr_until_ns = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
    i->own_metadata = true;
    i->changes++;
    i->version++;
    free(i->link);
    /* Without memory it is read back. */
    i->link = S_ISLNK(a->mode) ? new_link(target, a->size, a->etag) : NULL;
    vfs_listing_put_locked(v, dir, i);
    vfs_dir_changed_locked(v, dir);
}

int vfs_make_node(struct vfs *v, const struct vfs_caller *caller, uint64_t parent, const char *name,
                  mode_t mode, const char *target, struct vfs_entry *ret, struct s3_error *err)
{
    struct name_target t;
    char key[COMPONENT_LENGTH_MAX + 1];
    struct inode *dir, *i;
    if (v->opts.read_only)
        return -EROFS;
    if (v->opts.posix == VFS_POSIX_OFF)
        return -EPERM;
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_dir_locked(v, parent, &dir);
    if (r < 0)
        return r;
    VFS_GUARD(v, dir);
    if (r == 0)
        r = vfs_decode_new_name(v, dir, name, NODE_FILE, &t, key);
    if (r == 0 && vfs_is_taken_locked(v, dir, t.component))
        r = -EEXIST;
    if (r == 0)
        r = inode_get(&v->inodes, dir, t.component, NODE_FILE, &i);
    if (r < 0)
        return r;

    struct store_version version;
    target = target ? target : "";
    vfs_new_attr_locked(v, caller, dir, mode, i);
    r = put_node_locked(v, dir, i, key, target, &version, err);
    if (r == 0) {
        made_locked(v, dir, i, target, &version);
        vfs_fill_entry_locked(v, i, ret);
    } else {
        i->attr_until_ns = 0;
    }
    inode_unref(&v->inodes, i);
    return r;
}

int vfs_symlink(struct vfs *v, const struct vfs_caller *caller, uint64_t parent, const char *name,
                const char *target, struct vfs_entry *ret, struct s3_error *err)
{
    size_t len = strlen(target);
    if (len == 0)
        return -ENOENT;
    if (len > VFS_LINK_MAX)
        return -ENAMETOOLONG;
    return vfs_make_node(v, caller, parent, name, S_IFLNK | 0777, target, ret, err);
}

/* ---- reading ---- */

struct body {
    char data[VFS_LINK_MAX + 1];
    size_t len;
};

static int take_body(void *ctx, const void *data, size_t len)
{
    struct body *b = ctx;
    if (len > VFS_LINK_MAX - b->len)
        return -EFBIG;
    memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

/* Of the version whose metadata said that it is a link. */
static int load_link_locked(struct vfs *v, struct inode *i, struct s3_error *err)
{
    char key[COMPONENT_LENGTH_MAX + 1], etag[STORE_ETAG_SIZE];
    struct body body = {.len = 0};
    struct store_object o = {0};
    struct store_sink sink = {.write = take_body, .ctx = &body};
    struct store_get_in in = {.key = key, .if_match = etag, .sink = &sink};
    struct s3_error local = {0};
    int r = inode_key(i, COMPONENT_LENGTH_MAX, key);
    if (r < 0)
        return -ESTALE;
    memcpy(etag, i->attr.etag, sizeof(etag));
    pthread_mutex_unlock(&v->lock);
    r = store_get(v->store, &in, &o, &local);
    pthread_mutex_lock(&v->lock);
    if (r < 0) {
        if (err)
            *err = local;
        bool other = local.kind == S3_ERROR_PRECONDITION || local.kind == S3_ERROR_NO_SUCH_KEY;
        if (other)
            i->attr_until_ns = 0;
        return other ? -ESTALE : r; /* the kernel looks the name up again */
    }
    store_object_done(&o);
    if (body.len == 0 || strlen(body.data) != body.len)
        return -EIO; /* no path has a NUL */
    struct inode_link *l = new_link(body.data, body.len, etag);
    if (!l)
        return -ENOMEM;
    free(i->link);
    i->link = l;
    return 0;
}

static int readlink_locked(struct vfs *v, struct inode *i, char *ret, struct s3_error *err)
{
    if (!S_ISLNK(i->attr.mode))
        return -EINVAL;
    int r = 0;
    if (!i->link || strcmp(i->link->etag, i->attr.etag) != 0)
        r = load_link_locked(v, i, err);
    if (r == 0)
        memcpy(ret, i->link->target, strlen(i->link->target) + 1);
    return r;
}

int vfs_readlink(struct vfs *v, uint64_t ino, char ret[VFS_LINK_MAX + 1], struct s3_error *err)
{
    struct inode *i;
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_locked(v, ino, &i);
    if (r < 0)
        return r;
    inode_ref(i);
    r = readlink_locked(v, i, ret, err);
    inode_unref(&v->inodes, i);
    return r;
}
