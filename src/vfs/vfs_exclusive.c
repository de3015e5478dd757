/* SPDX-License-Identifier: Apache-2.0 */
/* O_EXCL that is decided at the open, for lock files: an empty object is put on condition that
 * there is none, before the open returns. And names that look like locks, which are asked for again
 * when they were last looked at a second ago: another host waits for them to go. */
#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "vfs/vfs_impl.h"

#define METADATA_BYTES_MAX (64u << 10)

/* names: patterns of fnmatch(3) with ':' between them. */
static bool matches_one(const char *names, const char *name)
{
    char pattern[NAME_LENGTH_MAX + 1];
    while (*names) {
        size_t len = strcspn(names, ":");
        if (len > 0 && len < sizeof(pattern)) {
            memcpy(pattern, names, len);
            pattern[len] = '\0';
            if (fnmatch(pattern, name, 0) == 0)
                return true;
        }
        names += len + (names[len] == ':');
    }
    return false;
}

bool vfs_is_lock_name(const struct vfs *v, const char *name)
{
    return v->opts.excl != VFS_EXCL_LOCAL && v->opts.excl_names &&
           matches_one(v->opts.excl_names, name);
}

bool vfs_is_lock(const struct vfs *v, const struct inode *dir, const char *name)
{
    return vfs_is_lock_name(v, name) || (dir && vfs_is_lock_name(v, dir->name));
}

bool vfs_excl_at_open(const struct vfs *v, const char *name)
{
    return v->opts.excl == VFS_EXCL_OPEN || vfs_is_lock_name(v, name);
}

uint64_t vfs_lock_name_ttl(const struct vfs *v, const char *name, uint64_t ttl_ns)
{
    return ttl_ns > VFS_LOCK_TTL_NS && vfs_is_lock_name(v, name) ? VFS_LOCK_TTL_NS : ttl_ns;
}

static int put_stub_locked(struct vfs *v, struct open_file *of, struct store_version *version,
                           struct s3_error *err)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(METADATA_BYTES_MAX);
    struct inode *i = of->inode;
    char key[COMPONENT_LENGTH_MAX + 1];
    struct s3_error local = {0};
    struct store_put_in in = {.key = key, .if_absent = true, .through = true};
    int r = inode_key(i, v->opts.key_max, key);
    if (r == 0 && i->parent && vfs_posix_deviates_locked(v, i))
        r = vfs_posix_mark_locked(v, i->parent, err);
    if (r == 0)
        r = vfs_posix_metadata_locked(v, i, false, NULL, &arena, &in.attrs);
    if (r < 0)
        return r;
    pthread_mutex_unlock(&v->lock);
    r = store_put(v->store, &in, version, &local);
    if (r < 0 && vfs_posix_is_own(v, key, &in.attrs, &local, version))
        r = 0;
    if (r == 0)
        r = writer_adopt(of->writer, version, 0);
    pthread_mutex_lock(&v->lock);
    if (r < 0 && err)
        *err = local;
    return r < 0 && local.kind == S3_ERROR_PRECONDITION ? -EEXIST : r;
}

int vfs_make_stub_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    struct store_version version;
    vfs_open_file_begin_locked(v, of);
    int r = of->absent && of->writer && !of->dirty ? put_stub_locked(v, of, &version, err) : 0;
    if (r == 0 && of->absent) {
        memcpy(of->stub, version.etag, sizeof(of->stub));
        vfs_committed_locked(v, of, &version, 0);
    }
    struct inode *dir = of->inode->parent;
    if (r == -EEXIST && dir) {
        vfs_listing_drop_locked(v, dir); /* it did not know of the name */
        dir->changes++;
    }
    vfs_open_file_end_locked(v, of);
    return r;
}

void vfs_remove_stub_locked(struct vfs *v, struct open_file *of)
{
    struct inode *i = of->inode;
    char key[COMPONENT_LENGTH_MAX + 1], etag[STORE_ETAG_SIZE];
    struct s3_error err = {0};
    if (!of->stub[0] || strcmp(of->stub, i->attr.etag) != 0 ||
        inode_key(i, v->opts.key_max, key) < 0)
        return;
    memcpy(etag, of->stub, sizeof(etag));
    of->stub[0] = '\0';
    pthread_mutex_unlock(&v->lock);
    int r = store_delete(v->store, key, etag, &err);
    pthread_mutex_lock(&v->lock);
    if (r == 0)
        vfs_never_stored_locked(v, i);
}
