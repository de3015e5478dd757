/* SPDX-License-Identifier: Apache-2.0 */
/* getattr and setattr. A change of attributes of a file with an upload still to come goes with the
 * upload; of any other file it is a copy of the object onto itself with new metadata; of a
 * directory it is its marker. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_impl.h"

#define METADATA_BYTES_MAX (256u << 10)
/* touch(1) sets the times of what it has just made. */
#define NOW_NS (2 * NS_PER_S)

/* ---- getattr ---- */

int vfs_refresh_locked(struct vfs *v, struct inode *i, struct s3_error *err)
{
    struct inode *dir = i->parent, *found;
    char name[NAME_LENGTH_MAX + 1];
    if (!dir || i->kind == NODE_DIR || i->unlinked)
        return 0;
    if (i->open && vfs_open_file_unclean(i->open))
        return 0;
    int asked = vfs_ask_time_locked(v, i, err);
    if (asked < 0 || vfs_now(v) < i->attr_until_ns)
        return asked;
    /* By its one unambiguous name: a directory of the same component must not get in its way. */
    int r = name_from_component(i->name, i->name_len, true, name);
    if (r < 0)
        return r;
    inode_ref(dir);
    r = vfs_resolve_locked(v, dir, name, &found, err);
    if (r == 0) {
        if (found != i)
            r = -ESTALE;
        inode_unref(&v->inodes, found);
    }
    inode_unref(&v->inodes, dir);
    return r;
}

/* The bucket's root has attributes if its stand-in has; looked for once. */
static int load_root_locked(struct vfs *v, struct s3_error *err)
{
    bool ignored;
    if (v->opts.posix == VFS_POSIX_OFF || v->inodes.root->posix != KNOWN_NOT)
        return 0;
    if (v->opts.posix == VFS_POSIX_AUTO)
        return vfs_posix_known_locked(v, v->inodes.root, &ignored, err);
    vfs_list_markers_locked(v, &v->inodes.root, 1);
    return vfs_posix_load_locked(v, &v->inodes.root, 1, err);
}

int vfs_getattr(struct vfs *v, uint64_t ino, struct vfs_file *file, struct vfs_entry *ret,
                struct s3_error *err)
{
    struct inode *i;
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_locked(v, ino, &i);
    if (r < 0)
        return r;
    inode_ref(i);
    if (i == v->inodes.root) {
        r = load_root_locked(v, err);
        i->attr_until_ns = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
    } else if (!file && i->readers == 0) {
        /* Not of an open file: the kernel asks often, and it reads on in the version that is open,
         * from its page cache too, which must not get the size of another one. A lookup of the
         * name shows what is new. */
        r = vfs_refresh_locked(v, i, err);
    }
    if (r == 0)
        vfs_fill_attr_locked(v, i, ret);
    inode_unref(&v->inodes, i);
    return r;
}

/* ---- storing attributes ---- */

bool vfs_metadata_is_own_locked(struct vfs *v, const struct inode *i)
{
    return i->own_metadata && i->attr.posix_known && i->attr.etag[0] &&
           vfs_now(v) < i->attr_until_ns;
}

/* The version whose attributes are changed, with all that its metadata holds. */
static int know_version_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    struct inode *i = of->inode;
    if (of->base && strcmp(of->base->etag, i->attr.etag) == 0 && i->attr.posix_known &&
        i->attr_until_ns != 0)
        return 0;
    int r = vfs_load_base_locked(v, of, true, err);
    /* Attributes are changed of whatever version there is. */
    return r == -ESTALE && i->attr_until_ns ? 0 : r;
}

/* Content is being written over a version whose headers are at hand: its mode, owner and extended
 * attributes are the file's, its times are not any more. */
static void take_base_locked(struct vfs *v, struct open_file *of)
{
    struct inode_attr *a = &of->inode->attr, now = *a;
    if (a->posix_known || !of->base)
        return;
    vfs_apply_posix_locked(v, of->inode, &of->base->attrs);
    a->mtime_ns = now.mtime_ns;
    a->ctime_ns = now.ctime_ns;
    a->times_set = now.times_set;
}

int vfs_know_attrs_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    if (vfs_upload_pending(of)) {
        take_base_locked(v, of);
        return 0;
    }
    /* Below a renamed directory the version is a copy, whose ETag may be another one. */
    return of->inode->attr.posix_known && of->inode->attr_until_ns != 0
               ? 0
               : know_version_locked(v, of, err);
}

/* old: the version with its metadata; NULL = the one that is known, which has ours alone. */
static int copy_version_locked(struct vfs *v, struct open_file *of, const char *key,
                               const struct store_object *old, struct store_version *version,
                               struct s3_error *err)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(METADATA_BYTES_MAX);
    struct inode *i = of->inode;
    struct store_attrs attrs;
    char etag[STORE_ETAG_SIZE];
    int r = vfs_posix_metadata_locked(v, i, false, old ? &old->attrs : NULL, &arena, &attrs);
    if (r < 0)
        return r;
    memcpy(etag, old ? old->etag : i->attr.etag, sizeof(etag));
    struct vfs_copy c = {.source = key,
                         .if_match = etag,
                         .size = old ? old->size : i->attr.size,
                         .key = key,
                         .attrs = &attrs};
    of->attrs_dirty = false;
    pthread_mutex_unlock(&v->lock);
    r = vfs_copy_object(v, &c, version, err);
    pthread_mutex_lock(&v->lock);
    if (r < 0)
        of->attrs_dirty = true;
    return r;
}

#define NOTHING_TO_STORE 1

static int copy_onto_itself_locked(struct vfs *v, struct open_file *of, const char *key,
                                   struct store_version *version, struct s3_error *err)
{
    if (vfs_metadata_is_own_locked(v, of->inode)) {
        int r = copy_version_locked(v, of, key, NULL, version, err);
        if (r == 0 || err->kind != S3_ERROR_PRECONDITION)
            return r;
        *err = (struct s3_error){0};
        of->inode->own_metadata = false;
    }
    int r = know_version_locked(v, of, err);
    /* Another host was first: what was changed were the attributes of another version. */
    if (r < 0 || !of->attrs_dirty)
        return r < 0 ? r : NOTHING_TO_STORE;
    return copy_version_locked(v, of, key, of->base, version, err);
}

static int store_dir_attrs_locked(struct vfs *v, struct inode *dir, struct s3_error *err)
{
    int r = 0;
    if (dir->parent && vfs_posix_deviates_locked(v, dir))
        r = vfs_posix_mark_locked(v, dir->parent, err);
    if (r == 0)
        r = vfs_marker_write_locked(v, dir, false, err);
    if (r < 0)
        return r;
    dir->attr.posix_known = true;
    dir->posix_until_ns = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
    if (dir->posix == KNOWN_NOT)
        dir->posix_until_ns = 0;
    return 0;
}

/* Nothing but the time of change is different, and that will be LastModified. */
static bool is_touch_locked(const struct vfs *v, const struct inode *i)
{
    const struct inode_attr *a = &i->attr;
    return i->kind == NODE_FILE && !a->times_set && a->mtime_ns != a->modified_ns;
}

static int store_file_attrs_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    struct inode *i = of->inode;
    struct inode_attr *a = &i->attr;
    char key[COMPONENT_LENGTH_MAX + 1];
    struct store_version version;
    struct s3_error local = {0};
    int r = inode_key(i, v->opts.key_max, key);
    if (r < 0)
        return r;
    /* The copy has another LastModified: the time that the file had is kept in the metadata. */
    if (v->opts.posix != VFS_POSIX_OFF && !is_touch_locked(v, i))
        a->times_set = true;
    if (i->parent && vfs_posix_deviates_locked(v, i) &&
        (r = vfs_posix_mark_locked(v, i->parent, err)) < 0)
        return r;
    of->storing = true;
    r = copy_onto_itself_locked(v, of, key, &version, &local);
    of->storing = false;
    if (r == NOTHING_TO_STORE)
        return 0;
    if (r < 0) {
        if (err)
            *err = local;
        return local.kind == S3_ERROR_PRECONDITION ? -ESTALE : r;
    }
    bool kernel_has_it = i->kernel_version == i->version && strcmp(version.etag, a->etag) == 0;
    memcpy(a->etag, version.etag, sizeof(a->etag));
    a->modified_ns = version.mtime_ns - version.mtime_ns % NS_PER_S;
    a->modified_told = true;
    a->modified_guess = false;
    if (!a->times_set)
        a->mtime_ns = a->atime_ns = a->ctime_ns = a->modified_ns;
    a->posix_known = true;
    i->changes++;
    if (!kernel_has_it)
        i->version++;
    i->attr_until_ns = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
    if (i->parent) {
        i->parent->changes++;
        vfs_listing_put_locked(v, i->parent, i);
    }
    if (of->writer) {
        /* The next commit replaces this version. */
        pthread_mutex_unlock(&v->lock);
        r = writer_set_key(of->writer, key, version.etag);
        pthread_mutex_lock(&v->lock);
    }
    return r;
}

int vfs_store_attrs_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    return of->inode->kind == NODE_DIR ? store_dir_attrs_locked(v, of->inode, err)
                                       : store_file_attrs_locked(v, of, err);
}

int vfs_attrs_changed_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    const struct inode *i = of->inode;
    /* Now is now: a second later LastModified would be another time than the one that is shown. */
    bool touch = is_touch_locked(v, i) && !vfs_posix_deviates_locked(v, i);
    if (!touch && vfs_pending_add_locked(v, of))
        return 0;
    int r = vfs_store_attrs_locked(v, of, err);
    return r < 0 ? r : vfs_take_attrs_error(of->inode);
}

int vfs_take_attrs_error(struct inode *i)
{
    int error = i->attrs_error;
    i->attrs_error = 0;
    return error;
}

/* ---- times ---- */

bool vfs_keeps_times_locked(const struct vfs *v, const struct inode *i)
{
    if (v->opts.posix == VFS_POSIX_AUTO)
        return i->parent && i->parent->posix == KNOWN_YES;
    return v->opts.posix == VFS_POSIX_ON;
}

int64_t vfs_write_time_locked(struct vfs *v, const struct inode *i)
{
    int64_t now = clock_realtime_ns(v->clock);
    /* LastModified, which will be the time, has whole seconds. */
    return i->kind == NODE_FILE && !i->attr.times_set ? now - now % NS_PER_S : now;
}

/* ---- setattr ---- */

/* Applies the changes to the inode; false when nothing is different afterwards. */
static bool apply_locked(struct vfs *v, struct inode *i, const struct vfs_changes *c)
{
    struct inode_attr *a = &i->attr, old = *a;
    int64_t now = clock_realtime_ns(v->clock);
    if (c->set & VFS_SET_MODE)
        a->mode = (a->mode & S_IFMT) | (c->mode & 07777);
    if (c->set & VFS_SET_UID)
        a->uid = c->uid;
    if (c->set & VFS_SET_GID)
        a->gid = c->gid;
    if (c->set & VFS_SET_ATIME)
        a->atime_ns = c->set & VFS_SET_ATIME_NOW ? now : c->atime_ns;
    if (c->set & VFS_SET_MTIME) {
        bool is_now = (c->set & VFS_SET_MTIME_NOW) != 0;
        a->times_set = i->kind == NODE_DIR ? !is_now : !is_now || vfs_keeps_times_locked(v, i);
        a->mtime_ns = is_now ? vfs_write_time_locked(v, i) : c->mtime_ns;
        i->names_changed_ns = 0;
    }
    bool only_access = (c->set & ~(unsigned)(VFS_SET_ATIME | VFS_SET_ATIME_NOW)) == 0;
    bool same = a->mode == old.mode && a->uid == old.uid && a->gid == old.gid &&
                a->mtime_ns == old.mtime_ns && a->atime_ns == old.atime_ns;
    if (same) {
        *a = old;
        return false;
    }
    a->ctime_ns = now;
    if (only_access || ((c->set & VFS_SET_ATIME) && !(c->set & VFS_SET_ATIME_NOW)))
        a->times_set = true;
    return true;
}

static bool is_within(int64_t age_ns, int64_t limit_ns)
{
    return age_ns >= 0 && age_ns < limit_ns;
}

/* Whether the times are now already: to the second where LastModified tells them, and where the
 * file was just made through this handle, as touch(1) does. */
static bool is_recent_locked(struct vfs *v, const struct inode *i, const struct vfs_file *file,
                             const struct vfs_changes *c)
{
    unsigned now = VFS_SET_ATIME | VFS_SET_MTIME | VFS_SET_ATIME_NOW | VFS_SET_MTIME_NOW;
    const struct inode_attr *a = &i->attr;
    if (c->set != now || !a->modified_ns)
        return false;
    int64_t realtime = clock_realtime_ns(v->clock);
    int64_t age = realtime - a->mtime_ns, access_age = realtime - a->atime_ns;
    int64_t limit = file && (file->flags & O_CREAT) && i->own_metadata ? NOW_NS
                    : a->times_set                                     ? 0
                                                                       : NS_PER_S;
    return is_within(age, limit) && is_within(access_age, limit);
}

/* Without metadata there is nothing that could keep it. */
static bool is_kept_locked(struct vfs *v, const struct inode *i, const struct vfs_changes *c)
{
    const struct inode_attr *a = &i->attr;
    if (v->opts.posix != VFS_POSIX_OFF)
        return true;
    return !((c->set & VFS_SET_MODE) && (c->mode & 07777) != (a->mode & 07777)) &&
           !((c->set & VFS_SET_UID) && c->uid != a->uid) &&
           !((c->set & VFS_SET_GID) && c->gid != a->gid) &&
           !((c->set & VFS_SET_MTIME) && !(c->set & VFS_SET_MTIME_NOW));
}

static int set_file_locked(struct vfs *v, struct open_file *of, struct vfs_file *file,
                           const struct vfs_changes *c, struct s3_error *err)
{
    struct inode *i = of->inode;
    bool unclean = vfs_upload_pending(of), known = i->attr.posix_known;
    if (i->unlinked) {
        (void)apply_locked(v, i, c);
        return 0;
    }
    if (!unclean && is_recent_locked(v, i, file, c))
        return 0;
    int r = vfs_know_attrs_locked(v, of, err);
    if (r < 0)
        return r;
    struct inode_attr old = i->attr;
    if (!apply_locked(v, i, c)) {
        /* What it had already is to be seen from now on. */
        return !known && i->parent && vfs_posix_deviates_locked(v, i)
                   ? vfs_posix_mark_locked(v, i->parent, err)
                   : 0;
    }
    of->attrs_dirty = true;
    if (unclean)
        return 0; /* its upload is still to come */
    r = vfs_attrs_changed_locked(v, of, err);
    if (r < 0) {
        of->attrs_dirty = false;
        i->attr = old;
    }
    return r;
}

int vfs_know_dir_locked(struct vfs *v, struct inode *dir, struct s3_error *err)
{
    if (dir->attr.posix_known || dir->marker_own || dir->marker == KNOWN_NO)
        return 0;
    return vfs_posix_load_locked(v, &dir, 1, err);
}

static int set_dir_locked(struct vfs *v, struct open_file *of, const struct vfs_changes *c,
                          struct s3_error *err)
{
    struct inode *i = of->inode;
    int r = i->unlinked ? 0 : vfs_know_dir_locked(v, i, err);
    if (r < 0)
        return r;
    struct inode_attr old = i->attr;
    if (!apply_locked(v, i, c) || i->unlinked)
        return 0;
    of->attrs_dirty = true;
    r = vfs_attrs_changed_locked(v, of, err);
    if (r < 0) {
        of->attrs_dirty = false;
        i->attr = old;
    }
    return r;
}

static int change_dir_locked(struct vfs *v, struct inode *i, const struct vfs_changes *c,
                             struct s3_error *err)
{
    struct open_file *of;
    if (!is_kept_locked(v, i, c))
        return -EOPNOTSUPP;
    int r = vfs_open_file_get_locked(v, i, &of);
    if (r < 0)
        return r;
    vfs_open_file_begin_locked(v, of);
    r = set_dir_locked(v, of, c, err);
    vfs_open_file_end_locked(v, of);
    vfs_open_file_put_locked(v, of);
    return r;
}

static int change_file_locked(struct vfs *v, struct inode *i, struct vfs_file *file,
                              const struct vfs_changes *c, struct s3_error *err)
{
    struct open_file *of;
    struct vfs_changes rest = *c;
    rest.set &= ~(unsigned)VFS_SET_SIZE;
    int r = vfs_open_file_get_locked(v, i, &of);
    if (r < 0)
        return r;
    vfs_open_file_begin_locked(v, of);
    if (c->set & VFS_SET_SIZE)
        r = vfs_truncate_locked(v, of, c->size, err);
    if (r == 0 && rest.set)
        r = is_kept_locked(v, i, &rest) ? set_file_locked(v, of, file, &rest, err) : -EOPNOTSUPP;
    /* truncate(2) of a file that nobody has open for writing: no close will store it. */
    if (r == 0 && (c->set & VFS_SET_SIZE) && of->handles == 0)
        r = vfs_commit_locked(v, of, err);
    if (r < 0 && of->handles == 0)
        i->attr_until_ns = 0;
    vfs_open_file_end_locked(v, of);
    vfs_open_file_put_locked(v, of);
    return r;
}

int vfs_setattr(struct vfs *v, uint64_t ino, struct vfs_file *file,
                const struct vfs_changes *changes, struct vfs_entry *ret, struct s3_error *err)
{
    struct inode *i;
    if (v->opts.read_only)
        return -EROFS;
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_locked(v, ino, &i);
    if (r < 0)
        return r;
    if (i->kind == NODE_DIR && (changes->set & VFS_SET_SIZE))
        return -EISDIR;
    VFS_GUARD(v, i);
    if (i->kind == NODE_FILE)
        r = change_file_locked(v, i, file, changes, err);
    else
        r = change_dir_locked(v, i, changes, err);
    if (r == 0)
        vfs_fill_attr_locked(v, i, ret);
    return r;
}
