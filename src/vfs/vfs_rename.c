/* SPDX-License-Identifier: Apache-2.0 */
/* rename of files: a copy inside the store, then the old key is deleted, on condition that it is
 * still the version that was copied. Whatever fails, the old name or both names have the content.
 * Directories are in vfs_rename_dir.c. */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>

#include "vfs/vfs_intent.h"

/* Somebody else keeps replacing the file while it is copied. */
#define COPY_TRIES 4

#define METADATA_BYTES_MAX (256u << 10)

int vfs_rename_mark_locked(struct vfs *v, struct inode *dir, const struct inode *i,
                           struct s3_error *err)
{
    return vfs_posix_deviates_locked(v, i) ? vfs_posix_mark_locked(v, dir, err) : 0;
}

/* Copies the newest version, and says which it was. */
static int copy_newest(struct vfs *v, struct vfs_copy *c, char etag[STORE_ETAG_SIZE],
                       struct store_version *version, struct s3_error *err)
{
    for (int tries = 1;; tries++) {
        struct s3_error local = {0}, refusal;
        c->if_match = etag[0] ? etag : NULL;
        int r = etag[0] ? vfs_copy_object(v, c, version, &local) : 0;
        if (r == 0 && etag[0])
            return 0;
        refusal = local;
        /* 412 for the source and for the destination look alike: only a look at the source tells.
         */
        bool look = r == 0 || local.kind == S3_ERROR_PRECONDITION;
        struct store_object o = {0};
        if (look && tries < COPY_TRIES) {
            int head = store_head(v->store, c->source, &o, &local);
            bool other = head == 0 && strcmp(o.etag, etag) != 0;
            bool own =
                head == 0 && !other && c->if_absent &&
                vfs_posix_is_own(v, c->key, c->attrs ? c->attrs : &o.attrs, &refusal, version);
            if (head == 0) {
                memcpy(etag, o.etag, STORE_ETAG_SIZE);
                c->size = o.size;
                store_object_done(&o);
            }
            if (other) {
                c->attrs = NULL; /* those were of the version before */
                continue;
            }
            if (own)
                return 0;
            r = head < 0 ? head : c->if_absent ? -EEXIST : r;
        }
        if (err)
            *err = local;
        return r;
    }
}

/* replaced: the ETag of what has the new name, as far as is known. */
static int copy_and_delete_locked(struct vfs *v, struct open_file *of, const char *component,
                                  const char *key, bool if_absent, bool through,
                                  const char replaced[STORE_ETAG_SIZE], struct store_object *o,
                                  struct store_version *version, struct s3_error *err)
{
    struct inode *i = of->inode;
    char source[COMPONENT_LENGTH_MAX + 1], etag[STORE_ETAG_SIZE];
    struct s3_error local = {0};
    int r = inode_key(i, COMPONENT_LENGTH_MAX, source);
    if (r < 0)
        return r;
    memcpy(etag, i->attr.etag, sizeof(etag));
    struct vfs_copy c = {.source = source,
                         .size = i->attr.size,
                         .key = key,
                         .if_absent = if_absent,
                         .through = through};
    CLEANUP_ARENA struct arena arena = ARENA_INIT(METADATA_BYTES_MAX);
    struct store_attrs attrs;
    r = vfs_rename_attrs_locked(v, of, component, &c, etag, &arena, o, &attrs, err);
    if (r < 0)
        return r;
    bool dirty = of->attrs_dirty;
    /* A lock file that gets the name of what it guards is released by that. */
    struct store_delete_in old = {
        .key = source, .if_match = etag, .after_all = vfs_is_lock(v, i->parent, i->name)};
    of->attrs_dirty = false;
    of->storing = true;
    pthread_mutex_unlock(&v->lock);
    /* A crash between the copy and the delete must not leave both names for ever. */
    uint64_t intent =
        vfs_intent_begin(v, STATE_INTENT_RENAME_FILE, source, key, replaced, strlen(replaced) + 1);
    r = copy_newest(v, &c, etag, version, err);
    if (r == 0) {
        r = store_call(v->store, STORE_DELETE, &old, NULL, &local);
        /* Replaced since it was copied: as if it had been written after the rename. Gone: by a
         * try of ours whose answer was lost, or by somebody else. */
        if (r < 0 && (local.kind == S3_ERROR_PRECONDITION || local.kind == S3_ERROR_NO_SUCH_KEY))
            r = 0;
        else if (r < 0 && err)
            *err = local;
    }
    vfs_intent_end(v, intent);
    pthread_mutex_lock(&v->lock);
    of->storing = false;
    if (r < 0)
        of->attrs_dirty |= dirty;
    if (strcmp(etag, i->attr.etag) != 0) /* another version was moved than the one that is known */
        i->own_metadata = i->attr.posix_known = false;
    return r;
}

static void moved_locked(struct vfs *v, struct inode *i, struct inode *dir,
                         const struct store_object *o, const struct store_version *version)
{
    struct inode_attr *a = &i->attr;
    bool same = strcmp(a->etag, version->etag) == 0;
    bool kernel_has_it = i->kernel_version == i->version && same;
    memcpy(a->etag, version->etag, sizeof(a->etag));
    vfs_renamed_attrs_locked(v, i, dir, o, version->mtime_ns);
    i->changes++;
    if (!kernel_has_it)
        i->version++;
    i->attr_until_ns = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
}

int vfs_rename_inode_locked(struct vfs *v, struct inode *i, struct inode *dir,
                            const char *component)
{
    struct inode *old_dir = i->parent, *other = inode_child(&v->inodes, dir, component, i->kind);
    if (!old_dir) {
        /* Removed here while it was renamed in the store: what is where, the store must tell. */
        vfs_listing_drop_locked(v, dir);
        dir->changes++;
        return -ENOENT;
    }
    if (other && other != i) {
        inode_ref(other);
        vfs_listing_drop_locked(v, other);
        inode_unlink(&v->inodes, other);
        inode_unref(&v->inodes, other);
    }
    inode_ref(old_dir);
    vfs_listing_remove_locked(v, old_dir, i->name, i->kind);
    vfs_dir_changed_locked(v, old_dir);
    int r = inode_move(&v->inodes, i, dir, component);
    if (r == 0) {
        vfs_listing_put_locked(v, dir, i);
        vfs_dir_changed_locked(v, dir);
    } else {
        vfs_listing_drop_locked(v, dir);
        inode_unlink(&v->inodes, i);
    }
    inode_unref(&v->inodes, old_dir);
    return r;
}

static int rename_file_locked(struct vfs *v, struct open_file *of, struct inode *dir,
                              const char *component, const char *key, bool noreplace,
                              const struct inode *target, struct s3_error *err)
{
    char replaced[STORE_ETAG_SIZE] = "";
    struct inode *i = of->inode;
    struct store_version version;
    struct store_object o = {0};
    int r = i->unlinked ? -ENOENT : 0;
    /* What was written must be under the old name before it can be copied; changed attributes go
     * with the copy. */
    if (r == 0)
        r = vfs_commit_content_locked(v, of, err);
    if (r == 0)
        r = vfs_rename_mark_locked(v, dir, i, err);
    if (r == 0 && i->parent && i->parent != dir)
        r = vfs_keep_dir_locked(v, i->parent, err);
    if (target)
        memcpy(replaced, target->attr.etag, sizeof(replaced));
    if (r == 0)
        r = copy_and_delete_locked(v, of, component, key, noreplace,
                                   (noreplace && v->opts.excl != VFS_EXCL_LOCAL) ||
                                       vfs_is_lock(v, dir, component),
                                   replaced, &o, &version, err);
    if (r == 0)
        r = vfs_rename_inode_locked(v, i, dir, component);
    if (r < 0) {
        store_object_done(&o);
        return r;
    }
    moved_locked(v, i, dir, &o, &version);
    store_object_done(&o);
    vfs_listing_put_locked(v, dir, i);
    if (of->writer) {
        pthread_mutex_unlock(&v->lock);
        r = writer_set_key(of->writer, key, version.etag);
        pthread_mutex_lock(&v->lock);
    }
    return r;
}

static void end_one_locked(struct vfs *v, struct open_file *of)
{
    if (!of)
        return;
    vfs_open_file_end_locked(v, of);
    vfs_open_file_put_locked(v, of);
}

/* What is renamed, and the name that it had when it was found. */
struct source {
    struct inode *inode;
    struct inode *dir;
    char component[COMPONENT_LENGTH_MAX + 1];
};

/* Nobody stores the file, or the one that it replaces, at the same time. Both are taken in the
 * order of their addresses, so that two renames do not wait for each other. */
static int begin_both_locked(struct vfs *v, const struct source *from, struct inode *target,
                             struct open_file *of[2])
{
    int r = vfs_open_file_get_locked(v, from->inode, &of[0]);
    if (r == 0 && target && (r = vfs_open_file_get_locked(v, target, &of[1])) < 0)
        vfs_open_file_put_locked(v, of[0]);
    if (r < 0)
        return r;
    bool source_first = !of[1] || of[0] < of[1];
    if (of[1] && !source_first)
        vfs_open_file_begin_locked(v, of[1]);
    r = vfs_open_file_begin_named_locked(v, of[0], from->dir, from->component);
    if (of[1] && source_first && r == 0)
        vfs_open_file_begin_locked(v, of[1]);
    if (r == 0)
        return 0;
    vfs_open_file_put_locked(v, of[0]);
    if (of[1] && source_first)
        vfs_open_file_put_locked(v, of[1]);
    else
        end_one_locked(v, of[1]);
    return r;
}

/* -EDEADLK: to be called again, alone, for there is a directory. */
static int exchange_locked(struct vfs *v, const struct source *from, struct inode *dir,
                           const char *name, bool alone, struct s3_error *err)
{
    struct open_file *of[2] = {0};
    struct inode *target;
    int r = vfs_resolve_any_locked(v, dir, name, &target, err);
    if (r < 0)
        return r;
    if (target == from->inode)
        r = 0;
    else if (target->kind == NODE_DIR || from->inode->kind == NODE_DIR)
        r = alone ? vfs_exchange_dir_locked(v, from->inode, target, err) : -EDEADLK;
    else if ((r = begin_both_locked(v, from, target, of)) == 0) {
        r = vfs_exchange_locked(v, of, dir, err);
        end_one_locked(v, of[0]);
        end_one_locked(v, of[1]);
    }
    inode_unref(&v->inodes, target);
    return r;
}

static int rename_file_alone_locked(struct vfs *v, const struct source *from, struct inode *dir,
                                    const char *component, const char *key, struct inode *target,
                                    bool noreplace, struct s3_error *err)
{
    struct open_file *of[2] = {0};
    int r = begin_both_locked(v, from, target, of);
    if (r < 0)
        return r;
    if (of[1])
        r = vfs_preserve_locked(v, of[1], err);
    if (r == 0)
        r = rename_file_locked(v, of[0], dir, component, key, noreplace, target, err);
    if (of[1] && of[1]->inode->unlinked)
        vfs_name_lost_locked(v, of[1]);
    else if (of[1])
        vfs_name_kept_locked(v, of[1]);
    end_one_locked(v, of[0]);
    end_one_locked(v, of[1]);
    return r;
}

/* What is under the new name: NULL when nothing is, as far as the cache believes; with ask, as the
 * store says now. Referenced. */
static int find_target_locked(struct vfs *v, struct inode *dir, const char *name, bool ask,
                              struct inode **ret, struct s3_error *err)
{
    *ret = NULL;
    int r = ask ? vfs_resolve_anew_locked(v, dir, name, ret, err)
                : vfs_resolve_any_locked(v, dir, name, ret, err);
    return r == -ENOENT ? 0 : r;
}

static int check_kinds(const struct inode *i, const struct inode *target)
{
    if (!target)
        return 0;
    if (target->kind == NODE_DIR && i->kind != NODE_DIR)
        return -EISDIR;
    return target->kind != NODE_DIR && i->kind == NODE_DIR ? -ENOTDIR : 0;
}

static int rename_locked(struct vfs *v, const struct source *from, struct inode *dir,
                         const char *name, unsigned flags, struct s3_error *err)
{
    struct inode *i = from->inode;
    bool noreplace = (flags & RENAME_NOREPLACE) != 0;
    char key[COMPONENT_LENGTH_MAX + 1];
    struct name_target t;
    struct inode *target;
    int r = vfs_decode_new_name(v, dir, name, i->kind, &t, key);
    if (r == 0 && i->kind == NODE_DIR && inode_is_under(dir, i))
        r = -EINVAL;
    if (r == 0)
        /* Nothing must be replaced. Of a file the store sees to that; of a directory, which need
         * not have an object, the cache is not believed. */
        r = find_target_locked(v, dir, name, noreplace && i->kind == NODE_DIR, &target, err);
    if (r < 0)
        return r;
    if (target && noreplace)
        r = -EEXIST;
    if (r == 0 && target != i && (r = check_kinds(i, target)) == 0) {
        r = i->kind == NODE_DIR
                ? vfs_rename_dir_locked(v, i, dir, t.component, key, target, noreplace, err)
                : rename_file_alone_locked(v, from, dir, t.component, key, target, noreplace, err);
    }
    inode_unref(&v->inodes, target);
    return r;
}

static int rename_found_locked(struct vfs *v, uint64_t parent, const char *name,
                               uint64_t new_parent, const char *new_name, unsigned flags,
                               bool alone, struct s3_error *err)
{
    struct inode *dir, *new_dir, *i = NULL;
    int r = vfs_find_dir_locked(v, parent, &dir);
    if (r == 0)
        r = vfs_find_dir_locked(v, new_parent, &new_dir);
    if (r < 0)
        return r;
    /* Both at once: whoever waits for the second must not keep others from the first. */
    inode_ref(dir);
    inode_ref(new_dir);
    while (vfs_wait_settled_locked(v, dir) || vfs_wait_settled_locked(v, new_dir))
        continue;
    VFS_GUARD(v, dir);
    VFS_GUARD_NAMED(new_guard, v, new_dir);
    inode_unref(&v->inodes, dir);
    inode_unref(&v->inodes, new_dir);
    r = vfs_resolve_any_locked(v, dir, name, &i, err);
    if (r == 0) {
        struct source from = {.inode = i, .dir = dir};
        memcpy(from.component, i->name, i->name_len + 1);
        r = flags & RENAME_EXCHANGE ? exchange_locked(v, &from, new_dir, new_name, alone, err)
                                    : rename_locked(v, &from, new_dir, new_name, flags, err);
        inode_unref(&v->inodes, i);
    }
    return r;
}

int vfs_rename(struct vfs *v, uint64_t parent, const char *name, uint64_t new_parent,
               const char *new_name, unsigned flags, struct s3_error *err)
{
    if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
        return -EINVAL;
    if (v->opts.read_only)
        return -EROFS;
    SCOPE_LOCK(&v->lock);
    int r = rename_found_locked(v, parent, name, new_parent, new_name, flags, false, err);
    if (r != -EDEADLK)
        return r;
    vfs_exchange_begin_locked(v);
    r = rename_found_locked(v, parent, name, new_parent, new_name, flags, true, err);
    vfs_exchange_end_locked(v);
    return r;
}
