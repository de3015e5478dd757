/* SPDX-License-Identifier: Apache-2.0 */
/* copy_file_range: bytes go from object to object inside the store. A whole file into an empty one
 * is one COPY, and the new file is stored when the call returns; large ranges that are appended are
 * parts of an upload. All else is -EXDEV, for which the kernel, or the program, reads and writes.
 *
 * Nothing is put off to the close: the source may be removed right after the call. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_limits.h"
#include "vfs/vfs_impl.h"

/* The kernel takes 32 bits as the length that was copied. */
#define RANGE_MAX UINT64_C(0xfffff000)

#define METADATA_BYTES_MAX (256u << 10)

struct range {
    char key[COMPONENT_LENGTH_MAX + 1]; /* of the source, and its version: */
    char etag[STORE_ETAG_SIZE];
    uint64_t size;
    uint64_t source_offset;
    uint64_t offset;
    uint64_t length;
};

/* The version of the source that the range is of, with all that was written to it. */
static int open_source_locked(struct vfs *v, struct vfs_file *in, struct range *c,
                              struct s3_error *err)
{
    struct inode *i = in->inode;
    struct open_file *of = i->open;
    int r = 0;
    if (of && vfs_open_file_unclean(of)) {
        of->refs++;
        vfs_open_file_begin_locked(v, of);
        r = vfs_commit_locked(v, of, err);
        vfs_open_file_end_locked(v, of);
        vfs_open_file_put_locked(v, of);
    }
    if (r == 0)
        r = vfs_refresh_locked(v, i, err);
    /* The handle's own version is not the newest: it must not be mixed with that. */
    bool other = in->reader && in->reader->changes == i->changes && in->reader->etag[0] &&
                 strcmp(in->reader->etag, i->attr.etag) != 0;
    if (r == -ESTALE || i->unlinked || other || !i->attr.etag[0])
        return -EXDEV;
    if (r == 0)
        r = inode_key(i, COMPONENT_LENGTH_MAX, c->key);
    if (r < 0)
        return r;
    memcpy(c->etag, i->attr.etag, sizeof(c->etag));
    c->size = i->attr.size;
    c->length = c->source_offset < c->size ? MIN(c->length, c->size - c->source_offset) : 0;
    if (c->length <= RANGE_MAX)
        return 0;
    /* What is left for the next call must be large enough for a part. */
    c->length = c->length - RANGE_MAX < STORE_PART_SIZE_MIN ? RANGE_MAX / 2 : RANGE_MAX;
    return 0;
}

/* ---- a whole file ---- */

static int put_copy(struct vfs *v, const struct range *c, const struct store_copy_in *in,
                    struct store_version *version, struct s3_error *err)
{
    struct s3_error local = {0};
    int r = store_copy(v->store, in, version, &local);
    if (r < 0 && vfs_posix_is_own(v, in->key, &in->attrs, &local, version))
        r = 0;
    if (r == 0)
        return 0;
    /* Whose version it was that is another one, and what that means, is found out on the usual
     * way: by reading it and by the conditions of the upload. */
    if (local.kind == S3_ERROR_PRECONDITION || local.kind == S3_ERROR_NO_SUCH_KEY ||
        local.kind == S3_ERROR_UNSUPPORTED)
        return -EXDEV;
    if (err)
        *err = local;
    return r;
}

static int copy_whole_locked(struct vfs *v, struct open_file *of, const struct range *c,
                             struct s3_error *err)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(METADATA_BYTES_MAX);
    struct inode *i = of->inode;
    char key[COMPONENT_LENGTH_MAX + 1], etag[STORE_ETAG_SIZE];
    struct store_version version;
    int r = inode_key(i, v->opts.key_max, key);
    if (r == 0 && i->parent && vfs_posix_deviates_locked(v, i))
        r = vfs_posix_mark_locked(v, i->parent, err);
    if (r < 0)
        return r == -ENOENT ? -EXDEV : r;
    memcpy(etag, i->attr.etag, sizeof(etag));
    struct store_copy_in in = {.source_key = c->key,
                               .source_if_match = c->etag,
                               .key = key,
                               .if_absent = of->absent && of->exclusive,
                               .replace_attrs = true};
    if (!of->absent)
        in.if_match = etag;
    i->attr.mtime_ns = i->attr.ctime_ns = clock_realtime_ns(v->clock);
    i->attr.times_set = false;
    r = vfs_posix_metadata_locked(v, i, false, of->base ? &of->base->attrs : NULL, &arena,
                                  &in.attrs);
    if (r < 0)
        return r;
    of->attrs_dirty = false;
    pthread_mutex_unlock(&v->lock);
    r = put_copy(v, c, &in, &version, err);
    if (r == 0)
        r = writer_adopt(of->writer, &version, c->size);
    pthread_mutex_lock(&v->lock);
    if (r < 0) {
        of->attrs_dirty = true;
        return r;
    }
    of->dirty = false;
    vfs_committed_locked(v, of, &version, c->size);
    return 0;
}

/* ---- any range ---- */

static int append_range_locked(struct vfs *v, struct open_file *of, const struct range *c,
                               struct s3_error *err)
{
    struct writer_source source = {.key = c->key, .etag = c->etag, .offset = c->source_offset};
    bool was_dirty = of->dirty;
    of->dirty = true;
    pthread_mutex_unlock(&v->lock);
    int r = writer_copy_range(of->writer, c->offset, &source, c->length, err);
    pthread_mutex_lock(&v->lock);
    if (r == 0)
        vfs_written_locked(v, of, c->offset + c->length);
    else if (r == -EXDEV)
        of->dirty = was_dirty;
    return r;
}

static int copy_range_locked(struct vfs *v, struct open_file *of, const struct range *c,
                             struct s3_error *err)
{
    if (of->inode->unlinked)
        return -EXDEV;
    int r = vfs_writer_locked(v, of, false, err);
    if (r < 0)
        return r;
    bool whole = c->source_offset == 0 && c->offset == 0 && c->length == c->size &&
                 of->inode->attr.size == 0;
    return whole ? copy_whole_locked(v, of, c, err) : append_range_locked(v, of, c, err);
}

int vfs_copy_range(struct vfs *v, struct vfs_file *in, uint64_t in_offset, struct vfs_file *out,
                   uint64_t offset, uint64_t len, uint64_t *ret, struct s3_error *err)
{
    struct open_file *of = out->open;
    struct range c = {.source_offset = in_offset, .offset = offset, .length = len};
    *ret = 0;
    if (!of || (in->flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    if (in->inode == out->inode)
        return -EXDEV;
    SCOPE_LOCK(&v->lock);
    while (vfs_wait_settled_locked(v, in->inode) || vfs_wait_settled_locked(v, out->inode))
        continue;
    VFS_GUARD(v, in->inode);
    VFS_GUARD_NAMED(out_guard, v, out->inode);
    int r = open_source_locked(v, in, &c, err);
    if (r < 0 || c.length == 0)
        return r;
    vfs_open_file_begin_locked(v, of);
    r = copy_range_locked(v, of, &c, err);
    vfs_open_file_end_locked(v, of);
    if (r == 0)
        *ret = c.length;
    return r;
}
