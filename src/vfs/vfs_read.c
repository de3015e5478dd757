/* SPDX-License-Identifier: Apache-2.0 */
/* Reading. A handle reads one version of the object; while the file is being written through this
 * mount, everybody reads what was written. After a commit of ours a handle goes over to the new
 * version: it is the same file to the programs of this host. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_impl.h"

/* The first answer told another version than the one that was known. */
static void version_changed(void *ctx, const struct store_object *o)
{
    struct file_reader *fr = ctx;
    struct vfs *v = fr->vfs;
    struct inode *i = fr->inode;
    SCOPE_LOCK(&v->lock);
    memcpy(fr->etag, o->etag, sizeof(fr->etag));
    if (i->changes != fr->changes)
        return;
    uint64_t until = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
    vfs_apply_version_locked(v, i, o->size, o->mtime_ns, o->etag, until);
    vfs_apply_posix_locked(v, i, &o->attrs);
    if (i->parent && !i->unlinked)
        vfs_listing_put_locked(v, i->parent, i);
}

static void reader_put_locked(struct vfs *v, struct file_reader *fr)
{
    if (!fr || --fr->refs > 0)
        return;
    vfs_sibling_left_locked(v, fr);
    pthread_mutex_unlock(&v->lock);
    reader_free(fr->reader);
    free(fr);
    pthread_mutex_lock(&v->lock);
}

/* The reader of the version that a read now must see, referenced for the caller. */
static int reader_get_locked(struct vfs *v, struct vfs_file *file, struct file_reader **ret)
{
    struct inode *i = file->inode;
    char key[COMPONENT_LENGTH_MAX + 1];
    if (file->reader && file->reader->changes == i->changes) {
        file->reader->refs++;
        *ret = file->reader;
        return 0;
    }
    int r = 0;
    if (i->unlinked && i->open && i->open->hidden)
        memcpy(key, i->open->hidden->key, sizeof(i->open->hidden->key));
    else
        r = inode_key(i, COMPONENT_LENGTH_MAX, key);
    if (r == -ENOENT)
        r = -ESTALE; /* the key went, and with it what was not read before */
    if (r < 0)
        return r;
    struct file_reader *fr = calloc(1, sizeof(*fr));
    if (!fr)
        return -ENOMEM;
    *fr = (struct file_reader){.vfs = v, .inode = i, .refs = 2, .changes = i->changes};
    memcpy(fr->etag, i->attr.etag, sizeof(fr->etag));
    struct reader_options o = {
        .key = key,
        .size = i->attr.size,
        .etag = i->attr.etag[0] ? i->attr.etag : NULL,
        .believed = i->attr_until_ns > vfs_now(v),
        .version_changed = version_changed,
        .ctx = fr,
    };
    struct reader *outdated = NULL;
    fr->reader = o.etag ? vfs_sibling_take_locked(v, key, o.etag, &outdated) : NULL;
    if (fr->reader)
        reader_adopt(fr->reader, version_changed, fr);
    else
        r = reader_new(v->opts.data, &o, &fr->reader);
    struct file_reader *old = NULL;
    if (r == 0) {
        old = file->reader;
        file->reader = *ret = fr;
    } else {
        free(fr);
    }
    reader_put_locked(v, old);
    if (outdated) {
        pthread_mutex_unlock(&v->lock);
        reader_free(outdated);
        pthread_mutex_lock(&v->lock);
    }
    if (r == 0)
        vfs_sibling_read_locked(v, fr);
    return r;
}

void vfs_reader_drop_locked(struct vfs *v, struct vfs_file *file)
{
    struct file_reader *fr = file->reader;
    file->reader = NULL;
    reader_put_locked(v, fr);
}

static int read_written_locked(struct vfs *v, struct open_file *of, uint64_t offset, size_t len,
                               struct reader_view *ret, struct s3_error *err)
{
    struct writer *w = of->writer;
    void *buf;
    size_t got = 0;
    of->refs++;
    of->reading++;
    pthread_mutex_unlock(&v->lock);
    int r = reader_view_own(ret, len, &buf);
    if (r == 0) {
        r = writer_read(w, offset, buf, len, &got, err);
        reader_view_set_length(ret, got);
        if (r < 0)
            reader_view_done(ret);
    }
    pthread_mutex_lock(&v->lock);
    if (--of->reading == 0)
        pthread_cond_broadcast(&v->changed);
    vfs_open_file_put_locked(v, of);
    return r;
}

/* Another host's version is known by now: bytes of the old one would get into the page cache that
 * all handles share, beside those of the new one. */
static bool is_outdated_locked(const struct file_reader *fr)
{
    const struct inode *i = fr->inode;
    return fr->changes == i->changes && fr->etag[0] && i->attr.etag[0] &&
           strcmp(fr->etag, i->attr.etag) != 0;
}

/* The first request found another version than the one that the page cache holds bytes of. */
static bool is_mix_locked(const struct vfs_file *file, const struct file_reader *fr)
{
    return file->kept_etag[0] && fr->changes == file->kept_changes && fr->etag[0] &&
           strcmp(fr->etag, file->kept_etag) != 0;
}

static int read_once_locked(struct vfs *v, struct vfs_file *file, uint64_t offset, size_t len,
                            struct reader_view *ret, struct s3_error *err)
{
    struct inode *i = file->inode;
    struct file_reader *fr;
    if (i->open && (vfs_open_file_unclean(i->open) || (i->unlinked && i->open->writer)))
        return read_written_locked(v, i->open, offset, len, ret, err);
    int r = reader_get_locked(v, file, &fr);
    if (r < 0)
        return r;
    pthread_mutex_unlock(&v->lock);
    r = reader_read_view(fr->reader, offset, len, ret, err);
    bool spoilt = r == -EIO && reader_is_spoilt(fr->reader);
    pthread_mutex_lock(&v->lock);
    if (spoilt) {
        /* The next open begins anew, and not with what is in the page cache. */
        i->version++;
        vfs_notify_inode(v, i);
    }
    if (r == 0)
        vfs_sibling_progress_locked(v, fr, offset + ret->len, ret->len);
    bool mix = r == 0 && (is_outdated_locked(fr) || is_mix_locked(file, fr));
    reader_put_locked(v, fr);
    if (!mix)
        return r;
    pthread_mutex_unlock(&v->lock);
    reader_view_done(ret);
    pthread_mutex_lock(&v->lock);
    return -ESTALE;
}

int vfs_read_view(struct vfs *v, struct vfs_file *file, uint64_t offset, size_t len,
                  struct reader_view *ret, struct s3_error *err)
{
    if ((file->flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    SCOPE_LOCK(&v->lock);
    struct inode *i = file->inode;
    uint64_t changes = i->changes;
    int r = read_once_locked(v, file, offset, len, ret, err);
    /* The key went, or changed, because this mount renamed the file or stored a new version. */
    if ((r == -ENOENT || r == -ESTALE) && (vfs_wait_settled_locked(v, i) || i->changes != changes))
        r = read_once_locked(v, file, offset, len, ret, err);
    if (r < 0)
        i->attr_until_ns = 0; /* what was known of it no longer holds */
    if ((r == -ENOENT || r == -ESTALE) && !i->outdated) {
        i->outdated = true;
        if (i->parent)
            vfs_listing_drop_locked(v, i->parent);
    }
    return r;
}

int vfs_read(struct vfs *v, struct vfs_file *file, uint64_t offset, void *buf, size_t len,
             size_t *ret_len, struct s3_error *err)
{
    struct reader_view view;
    *ret_len = 0;
    int r = vfs_read_view(v, file, offset, len, &view, err);
    if (r < 0)
        return r;
    *ret_len = reader_view_copy(&view, buf);
    reader_view_done(&view);
    return 0;
}
