/* SPDX-License-Identifier: Apache-2.0 */
/* Writing: one open_file for all handles that have the file open for writing, with one writer
 * (data/writer.h) in it, made at the first change. A commit is what puts it into the store. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_limits.h"
#include "vfs/vfs_impl.h"

#define METADATA_BYTES_MAX (256u << 10)

/* ---- the shared state ---- */

int vfs_open_file_get_locked(struct vfs *v, struct inode *i, struct open_file **ret)
{
    if (i->open) {
        i->open->refs++;
        *ret = i->open;
        return 0;
    }
    struct open_file *of = calloc(1, sizeof(*of));
    if (!of)
        return -ENOMEM;
    of->vfs = v;
    of->inode = inode_ref(i);
    of->refs = 1;
    arena_init(&of->attrs_arena, METADATA_BYTES_MAX);
    TAILQ_INSERT_TAIL(&v->open_files, of, link);
    i->open = of;
    *ret = of;
    return 0;
}

void vfs_open_file_put_locked(struct vfs *v, struct open_file *of)
{
    if (--of->refs > 0)
        return;
    vfs_note_leave_locked(of);
    TAILQ_REMOVE(&v->open_files, of, link);
    of->inode->open = NULL;
    inode_unref(&v->inodes, of->inode);
    pthread_mutex_unlock(&v->lock);
    writer_free(of->writer);
    arena_done(&of->attrs_arena);
    if (of->base) {
        store_object_done(of->base);
        free(of->base);
    }
    free(of->lost_path);
    free(of);
    pthread_mutex_lock(&v->lock);
}

void vfs_open_file_begin_locked(struct vfs *v, struct open_file *of)
{
    of->waiting++;
    while (of->busy || of->writing > 0)
        pthread_cond_wait(&v->changed, &v->lock);
    of->waiting--;
    of->busy = true;
}

int vfs_open_file_begin_named_locked(struct vfs *v, struct open_file *of, const struct inode *dir,
                                     const char *component)
{
    const struct inode *i = of->inode;
    vfs_open_file_begin_locked(v, of);
    if (i->parent == dir && strcmp(i->name, component) == 0)
        return 0;
    vfs_open_file_end_locked(v, of);
    return -ENOENT;
}

void vfs_open_file_end_locked(struct vfs *v, struct open_file *of)
{
    vfs_note_settle_locked(of);
    of->busy = false;
    pthread_cond_broadcast(&v->changed);
}

/* ---- the writer ---- */

/* What the object will carry, as of now; runs inside a writer call. */
static int writer_attrs(void *ctx, struct store_attrs *ret)
{
    struct open_file *of = ctx;
    SCOPE_LOCK(&of->vfs->lock);
    struct store_attrs attrs;
    const struct inode_attr *a = &of->inode->attr;
    arena_done(&of->attrs_arena);
    of->attrs_dirty = false;
    of->sent.known = true;
    of->sent.times_set = a->times_set;
    of->sent.mtime_ns = a->mtime_ns;
    of->sent.atime_ns = a->atime_ns;
    of->sent.ctime_ns = a->ctime_ns;
    int r = vfs_posix_metadata_locked(of->vfs, of->inode, false, of->base ? &of->base->attrs : NULL,
                                      &of->attrs_arena, &attrs);
    /* Copied, because the base may be another one before the upload is over. */
    return r < 0 ? r : store_attrs_copy(&attrs, &of->attrs_arena, ret);
}

/* The writer has stored a version between two commits. */
static void writer_stored(void *ctx, const struct store_version *version, uint64_t size)
{
    struct open_file *of = ctx;
    SCOPE_LOCK(&of->vfs->lock);
    bool dirty = of->dirty;
    of->dirty = true; /* the size of what is being written stays */
    vfs_committed_locked(of->vfs, of, version, size);
    of->dirty = dirty;
}

int vfs_load_base_locked(struct vfs *v, struct open_file *of, bool attrs, struct s3_error *err)
{
    struct inode *i = of->inode;
    char key[COMPONENT_LENGTH_MAX + 1];
    int r = inode_key(i, COMPONENT_LENGTH_MAX, key);
    if (r < 0)
        return r == -ENOENT ? -ESTALE : r;
    struct store_object *o = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    uint64_t until = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
    pthread_mutex_unlock(&v->lock);
    r = store_head(v->store, key, o, err);
    pthread_mutex_lock(&v->lock);
    if (r < 0) {
        free(o);
        i->attr_until_ns = 0;
        return r == -ENOENT ? -ESTALE : r;
    }
    if (of->base) {
        store_object_done(of->base);
        free(of->base);
    }
    of->base = o;
    bool same = strcmp(i->attr.etag, o->etag) == 0;
    if (!same) {
        vfs_take_version_locked(v, i, o->size, o->mtime_ns, o->etag, until);
        if (i->parent)
            vfs_listing_put_locked(v, i->parent, i);
    }
    i->attr_until_ns = until;
    if (attrs && !i->attr.posix_known)
        vfs_apply_posix_locked(v, i, &o->attrs);
    return same ? 0 : -ESTALE;
}

/* Of a file that has lost its name: nothing will be stored. Its content is under the hidden key, or
 * nobody had it open for reading, and then it may be zeros. */
static int make_nameless_writer_locked(struct vfs *v, struct open_file *of, bool truncated,
                                       struct s3_error *err)
{
    struct inode *i = of->inode;
    const struct vfs_hidden *h = of->hidden;
    struct writer_options o = {.key = h ? h->key : ""};
    if (h && !truncated) {
        o.base_etag = h->etag;
        o.base_size = i->attr.size;
    }
    int r = writer_new(v->opts.data, &o, &of->writer);
    if (r < 0)
        return r;
    writer_orphan(of->writer);
    if (h || truncated || i->attr.size == 0)
        return 0;
    pthread_mutex_unlock(&v->lock);
    r = writer_truncate(of->writer, i->attr.size, err);
    pthread_mutex_lock(&v->lock);
    return r;
}

static int make_writer_locked(struct vfs *v, struct open_file *of, bool truncated,
                              struct s3_error *err)
{
    struct inode *i = of->inode;
    char key[COMPONENT_LENGTH_MAX + 1];
    if (i->unlinked)
        return make_nameless_writer_locked(v, of, truncated, err);
    int r = inode_key(i, COMPONENT_LENGTH_MAX, key);
    if (r < 0)
        return r == -ENOENT ? -ESTALE : r;
    bool based = i->attr.etag[0] && !of->absent;
    if (based && !truncated && (!of->base || strcmp(of->base->etag, i->attr.etag) != 0) &&
        (r = vfs_load_base_locked(v, of, false, err)) < 0)
        return r;

    struct writer_options o = {.key = key,
                               .attrs = writer_attrs,
                               .attrs_ctx = of,
                               .stored = writer_stored,
                               .stored_ctx = of};
    if (based && !truncated) {
        o.base_etag = i->attr.etag;
        o.base_size = i->attr.size;
    }
    if (based)
        o.if_match = i->attr.etag;
    o.if_absent = of->absent && of->exclusive;
    o.through = i->parent && vfs_is_lock_name(v, i->parent->name);
    return writer_new(v->opts.data, &o, &of->writer);
}

void vfs_writer_drop_locked(struct vfs *v, struct open_file *of)
{
    struct writer *w = TAKE_PTR(of->writer);
    of->held = false;
    while (of->reading > 0)
        pthread_cond_wait(&v->changed, &v->lock);
    pthread_mutex_unlock(&v->lock);
    writer_free(w);
    pthread_mutex_lock(&v->lock);
}

int vfs_writer_locked(struct vfs *v, struct open_file *of, bool truncated, struct s3_error *err)
{
    int r = 0;
    if (!of->writer) {
        r = make_writer_locked(v, of, truncated, err);
    } else if (truncated) {
        pthread_mutex_unlock(&v->lock);
        r = writer_truncate(of->writer, 0, err);
        pthread_mutex_lock(&v->lock);
    }
    return r;
}

void vfs_written_locked(struct vfs *v, struct open_file *of, uint64_t size)
{
    struct inode_attr *a = &of->inode->attr;
    a->size = size;
    a->times_set = vfs_keeps_times_locked(v, of->inode);
    a->mtime_ns = a->ctime_ns = vfs_write_time_locked(v, of->inode);
    of->dirty = true;
    of->refused = 0;
    of->lost_is_current = false;
}

int vfs_truncate_locked(struct vfs *v, struct open_file *of, uint64_t size, struct s3_error *err)
{
    if (size > STORE_OBJECT_SIZE_MAX)
        return -EFBIG;
    int r = vfs_writer_locked(v, of, size == 0, err);
    if (r == 0 && size > 0) {
        of->dirty = true;
        pthread_mutex_unlock(&v->lock);
        r = writer_truncate(of->writer, size, err);
        pthread_mutex_lock(&v->lock);
    }
    if (r < 0)
        return r;
    vfs_written_locked(v, of, size);
    /* It had that size, and no upload will carry the new time. */
    if (!writer_dirty(of->writer))
        of->attrs_dirty = true;
    return 0;
}

/* Writes run beside each other, but not beside a commit, a rename or a change of attributes, which
 * do not wait for ever for writes that keep coming. Makes the writer if there is none. */
static int begin_writing_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    while (!of->writer || of->busy || of->waiting > 0) {
        if (of->writer) {
            pthread_cond_wait(&v->changed, &v->lock);
            continue;
        }
        vfs_open_file_begin_locked(v, of);
        int r = vfs_writer_locked(v, of, false, err);
        vfs_open_file_end_locked(v, of);
        if (r < 0)
            return r;
    }
    of->writing++;
    return 0;
}

/* One of buf and landing. */
static int write_bytes(struct vfs *v, struct vfs_file *file, uint64_t offset, const void *buf,
                       struct landing *landing, size_t len, struct s3_error *err)
{
    struct open_file *of = file->open;
    uint64_t end;
    if (!of)
        return -EBADF;
    if (__builtin_add_overflow(offset, len, &end) || end > STORE_OBJECT_SIZE_MAX)
        return -EFBIG;
    SCOPE_LOCK(&v->lock);
    VFS_GUARD(v, of->inode);
    int r = begin_writing_locked(v, of, err);
    if (r < 0)
        return r;
    of->dirty = true;
    pthread_mutex_unlock(&v->lock);
    struct s3_error local = {0};
    r = landing ? writer_write_landed(of->writer, offset, landing, len, &local)
                : writer_write(of->writer, offset, buf, len, &local);
    pthread_mutex_lock(&v->lock);
    if (r == 0)
        vfs_written_locked(v, of, end > of->inode->attr.size ? end : of->inode->attr.size);
    else if (local.operation[0])
        of->refused = r;
    if (r < 0 && err)
        *err = local;
    if (--of->writing == 0)
        pthread_cond_broadcast(&v->changed);
    return r;
}

int vfs_write(struct vfs *v, struct vfs_file *file, uint64_t offset, const void *buf, size_t len,
              struct s3_error *err)
{
    return write_bytes(v, file, offset, buf, NULL, len, err);
}

int vfs_write_landed(struct vfs *v, struct vfs_file *file, uint64_t offset, struct landing *l,
                     size_t len, struct s3_error *err)
{
    return write_bytes(v, file, offset, NULL, l, len, err);
}

unsigned vfs_landing_turns(struct vfs *v)
{
    return landing_turns(v->opts.data);
}

struct landing *vfs_landing_new(struct vfs *v)
{
    return landing_new(v->opts.data);
}

void vfs_drop_set_ids(struct vfs *v, struct vfs_file *file)
{
    struct inode *i = file->inode;
    SCOPE_LOCK(&v->lock);
    mode_t mode = i->attr.mode & ~(mode_t)S_ISUID;
    if (mode & S_IXGRP)
        mode &= ~(mode_t)S_ISGID;
    if (!file->open || mode == i->attr.mode)
        return;
    i->attr.mode = mode;
    file->open->attrs_dirty = true;
}

/* ---- commit ---- */

/* Parts leave while a file is written, and its metadata before the first of them: what is shown
 * from now on is what the next mount will read, not the time of the last write. When times are to
 * be stored after the upload they are those that are shown already. */
static void take_sent_times_locked(struct open_file *of)
{
    struct inode_attr *a = &of->inode->attr;
    if (of->sent.known && !of->dirty && !of->attrs_dirty) {
        a->times_set = of->sent.times_set;
        a->mtime_ns = of->sent.mtime_ns;
        a->atime_ns = of->sent.atime_ns;
        a->ctime_ns = of->sent.ctime_ns;
    }
    of->sent.known = false;
}

void vfs_committed_locked(struct vfs *v, struct open_file *of, const struct store_version *version,
                          uint64_t size)
{
    struct inode *i = of->inode;
    struct inode_attr *a = &i->attr;
    take_sent_times_locked(of);
    memcpy(a->etag, version->etag, sizeof(a->etag));
    a->modified_ns = version->mtime_ns - version->mtime_ns % NS_PER_S;
    a->modified_told = false;
    /* Of a multipart upload, as its ETag shows, the server may count from the beginning: asked for
     * when somebody looks. */
    a->modified_guess = !a->times_set && strchr(a->etag, '-') != NULL;
    if (!of->dirty)
        a->size = size;
    a->posix_known |= !of->base; /* else it may have said more than was looked at */
    i->own_metadata = !of->base;
    of->absent = of->exclusive = false;
    i->changes++;
    i->version++; /* written past the page cache, perhaps */
    i->attr_until_ns = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);

    struct inode *dir = i->parent;
    if (!dir)
        return;
    if (!of->dirty && !a->times_set)
        a->mtime_ns = a->atime_ns = a->ctime_ns = a->modified_ns;
    dir->changes++;
    vfs_listing_put_locked(v, dir, i);
}

static int writer_commit_locked(struct vfs *v, struct open_file *of, struct writer_result *res,
                                struct s3_error *err)
{
    pthread_mutex_unlock(&v->lock);
    int r = writer_commit(of->writer, res, err);
    pthread_mutex_lock(&v->lock);
    return r;
}

int vfs_commit_content_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    struct inode *i = of->inode;
    struct writer_result res;
    struct s3_error local = {0};
    int r;
    if (i->unlinked) {
        of->dirty = of->attrs_dirty = false;
        return 0;
    }
    if (!vfs_upload_pending(of))
        return 0;
    /* The program may not have looked. What it had written before would take the place of the old
     * object, as if it were all. */
    if (of->refused) {
        if (err)
            s3_error_set(err, S3_ERROR_SERVER, "a write to it has failed");
        return of->refused;
    }
    if (i->parent && vfs_posix_deviates_locked(v, i) &&
        (r = vfs_posix_mark_locked(v, i->parent, err)) < 0)
        return r;
    of->dirty = false;
    if ((r = writer_commit_locked(v, of, &res, &local)) < 0) {
        of->dirty = true;
        vfs_keep_lost_locked(v, of, r, &local);
        if (err)
            *err = local;
        return r;
    }
    vfs_committed_locked(v, of, &res.version, res.size);
    return 0;
}

int vfs_commit_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    int r = vfs_commit_content_locked(v, of, err);
    if (r < 0 || !of->attrs_dirty)
        return r;
    /* Changed after the upload had begun, or without any. */
    struct s3_error local = {0};
    r = vfs_store_attrs_locked(v, of, &local);
    if (r < 0) {
        vfs_pending_failed_locked(v, of, r, &local);
        if (err)
            *err = local;
    }
    return r;
}

/* Content at once; attributes at once too, or after the usual while. */
static int commit_now_locked(struct vfs *v, struct open_file *of, bool attrs, struct s3_error *err)
{
    of->refs++;
    vfs_open_file_begin_locked(v, of);
    int r = vfs_commit_content_locked(v, of, err);
    if (r == 0 && of->attrs_dirty && (attrs || (!of->pending && !vfs_pending_add_locked(v, of))))
        r = vfs_commit_locked(v, of, err);
    of->failed = r < 0;
    int error = vfs_take_attrs_error(of->inode);
    r = r < 0 ? r : error;
    vfs_open_file_end_locked(v, of);
    vfs_open_file_put_locked(v, of);
    return r;
}

int vfs_flush(struct vfs *v, struct vfs_file *file, struct s3_error *err)
{
    if (!file->open)
        return 0;
    SCOPE_LOCK(&v->lock);
    VFS_GUARD(v, file->inode);
    return commit_now_locked(v, file->open, false, err);
}

/* fsync(2) is about the file, not about what went through this descriptor. */
int vfs_fsync(struct vfs *v, struct vfs_file *file, struct s3_error *err)
{
    SCOPE_LOCK(&v->lock);
    VFS_GUARD(v, file->inode);
    struct inode *i = file->inode;
    struct open_file *of = file->open ? file->open : i->open;
    char key[COMPONENT_LENGTH_MAX + 1];
    int r = of ? commit_now_locked(v, of, true, err) : vfs_take_attrs_error(i);
    if (r < 0 || v->opts.fsync_local || i->unlinked || inode_key(i, COMPONENT_LENGTH_MAX, key) < 0)
        return r;
    pthread_mutex_unlock(&v->lock);
    r = store_flush(v->store, key, err);
    pthread_mutex_lock(&v->lock);
    return r;
}

int vfs_fsync_dir(struct vfs *v, uint64_t ino, struct s3_error *err)
{
    {
        struct inode *i;
        SCOPE_LOCK(&v->lock);
        int r = vfs_find_locked(v, ino, &i);
        if (r < 0)
            return r;
        VFS_GUARD(v, i);
        r = i->open ? commit_now_locked(v, i->open, true, err) : vfs_take_attrs_error(i);
        if (r < 0)
            return r;
    }
    return v->opts.fsync_local ? 0 : store_flush(v->store, NULL, err);
}

int vfs_sync(struct vfs *v, struct s3_error *err)
{
    int first = 0;
    SCOPE_LOCK(&v->lock);
    vfs_pending_hurry_locked(v);
    struct open_file *of = TAILQ_FIRST(&v->open_files);
    if (of)
        of->refs++;
    while (of) {
        struct s3_error local = {0};
        VFS_GUARD(v, of->inode);
        int r = commit_now_locked(v, of, true, &local);
        if (r < 0 && first == 0) {
            first = r;
            if (err)
                *err = local;
        }
        struct open_file *next = TAILQ_NEXT(of, link);
        if (next)
            next->refs++;
        vfs_open_file_put_locked(v, of);
        of = next;
    }
    return first;
}

/* ---- the last close ---- */

void vfs_never_stored_locked(struct vfs *v, struct inode *i)
{
    struct inode *dir = i->parent;
    if (!dir)
        return;
    char name[NAME_LENGTH_MAX + 1];
    if (v->opts.notify.entry_gone && name_from_component(i->name, i->name_len, false, name) == 0)
        v->opts.notify.entry_gone(v->opts.notify.ctx, dir->ino, name);
    vfs_forget_name_locked(v, i);
}

int vfs_close_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    int r = 0;
    if (--of->handles == 0) {
        /* Written through a mapping after the last flush. */
        if (!of->failed)
            r = commit_now_locked(v, of, false, err);
        struct inode *i = of->inode;
        /* The commit gave up the lock: somebody may have opened the file meanwhile. */
        if (of->handles == 0 && of->absent)
            vfs_never_stored_locked(v, i);
        else if (of->handles == 0 && of->dirty) {
            vfs_remove_stub_locked(v, of);
            /* Back to what the store has; the page cache holds what did not get there. */
            i->attr_until_ns = 0;
            i->version++;
            vfs_notify_inode(v, i);
        }
    }
    vfs_open_file_put_locked(v, of);
    return r;
}
