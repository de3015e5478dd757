/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a file's attributes when it is renamed. The copy under the new name has another
 * LastModified, so a file whose time that was gets the time into its metadata; changes that wait to
 * be stored go with the copy; and a content type made from the old name is made from the new one.
 */
#include <string.h>

#include "base/log.h"
#include "meta/mime.h"
#include "vfs/vfs_impl.h"

/* All that the metadata says stays, and the time comes to it. */
static int add_time(const struct store_object *o, int64_t ctime_ns, struct arena *arena,
                    struct store_attrs *attrs)
{
    struct posix_attrs there, time = {.have = POSIX_CTIME, .ctime_ns = ctime_ns};
    attrs_read(o->attrs.metadata, o->attrs.n_metadata, &there);
    if (!(there.have & POSIX_MTIME))
        time.have |= POSIX_MTIME;
    time.mtime_ns = o->mtime_ns - o->mtime_ns % NS_PER_S;
    return attrs_write(&time, false, o->attrs.metadata, o->attrs.n_metadata, arena,
                       &attrs->metadata, &attrs->n_metadata);
}

/* The source's attributes are asked for; *o is filled. */
static int from_source_locked(struct vfs *v, struct open_file *of, struct vfs_copy *c,
                              char etag[STORE_ETAG_SIZE], bool carry, struct arena *arena,
                              struct store_object *o, struct store_attrs *attrs,
                              struct s3_error *err)
{
    struct inode *i = of->inode;
    pthread_mutex_unlock(&v->lock);
    int r = store_head(v->store, c->source, o, err);
    pthread_mutex_lock(&v->lock);
    if (r < 0)
        return r;
    bool other = strcmp(o->etag, i->attr.etag) != 0;
    if (other && of->attrs_dirty)
        vfs_pending_conflict_locked(v, of);
    memcpy(etag, o->etag, STORE_ETAG_SIZE);
    c->size = o->size;
    *attrs = o->attrs;
    if (other || !i->attr.posix_known)
        return carry ? add_time(o, i->attr.ctime_ns, arena, attrs) : 0;
    bool set = i->attr.times_set;
    i->attr.times_set |= carry;
    r = vfs_posix_metadata_locked(v, i, false, &o->attrs, arena, attrs);
    i->attr.times_set = set;
    return r;
}

static int from_inode_locked(struct vfs *v, struct inode *i, bool carry, struct arena *arena,
                             struct store_attrs *attrs)
{
    bool set = i->attr.times_set;
    i->attr.times_set |= carry;
    int r = vfs_posix_metadata_locked(v, i, false, NULL, arena, attrs);
    i->attr.times_set = set;
    return r;
}

int vfs_rename_attrs_locked(struct vfs *v, struct open_file *of, const char *component,
                            struct vfs_copy *c, char etag[STORE_ETAG_SIZE], struct arena *arena,
                            struct store_object *o, struct store_attrs *attrs, struct s3_error *err)
{
    struct inode *i = of->inode;
    const char *type = mime_type(component);
    bool retype =
        S_ISREG(i->attr.mode) && !i->content_type && strcmp(type, mime_type(i->name)) != 0;
    bool carry = v->opts.posix != VFS_POSIX_OFF && !i->attr.times_set;
    bool own = vfs_metadata_is_own_locked(v, i);
    i->attr.ctime_ns = clock_realtime_ns(v->clock);
    if (!own && !retype && !carry && !of->attrs_dirty)
        return 0;
    int r = own ? from_inode_locked(v, i, carry, arena, attrs)
                : from_source_locked(v, of, c, etag, carry, arena, o, attrs, err);
    if (r < 0)
        return r;
    if (retype && vfs_is_derived_type(o->attrs.content_type, i->name))
        attrs->content_type = type;
    c->attrs = attrs;
    return 0;
}

/* Marks the directory, where the new LastModified is not the file's time. The rename has been done
 * whatever comes of it. */
static void mark_locked(struct vfs *v, struct inode *dir)
{
    struct s3_error err = {0};
    char text[1024];
    if (vfs_posix_mark_locked(v, dir, &err) < 0)
        log_warn("the time of a file that was moved into '%s' is kept in its metadata, but the "
                 "directory could not be marked as having some: %s",
                 dir->name, s3_error_describe(&err, text, sizeof(text)));
}

void vfs_renamed_attrs_locked(struct vfs *v, struct inode *i, struct inode *dir,
                              const struct store_object *o, int64_t modified_ns)
{
    struct inode_attr *a = &i->attr;
    const struct inode_attr before = *a;
    struct posix_attrs there = {0};
    a->modified_ns = modified_ns - modified_ns % NS_PER_S;
    a->modified_told = true;
    a->modified_guess = false;
    if (a->times_set)
        return;
    if (v->opts.posix == VFS_POSIX_OFF) {
        a->mtime_ns = a->atime_ns = a->ctime_ns = a->modified_ns;
        return;
    }
    bool asked = !a->posix_known && o->etag[0];
    if (asked)
        attrs_read(o->attrs.metadata, o->attrs.n_metadata, &there);
    bool own_time = (there.have & POSIX_MTIME) != 0;
    if (v->opts.posix == VFS_POSIX_AUTO && dir->posix != KNOWN_YES) {
        if ((own_time ? there.mtime_ns : before.mtime_ns) == a->modified_ns) {
            /* Within the same second: a listing goes on to tell it. */
            a->ctime_ns = a->modified_ns;
            return;
        }
        mark_locked(v, dir);
    }
    if (asked)
        vfs_apply_posix_locked(v, i, &o->attrs);
    if (!own_time) {
        a->mtime_ns = before.mtime_ns;
        a->atime_ns = before.atime_ns;
    }
    a->ctime_ns = before.ctime_ns;
    a->times_set = true;
}
