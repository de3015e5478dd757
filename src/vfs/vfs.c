/* SPDX-License-Identifier: Apache-2.0 */
/* The mount's state, and what every operation needs: finding inodes, checking names, attributes. */
#include "vfs/vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "meta/mime.h"
#include "vfs/vfs_impl.h"

#define PARALLEL_DEFAULT       16u
#define LISTING_MEMORY_DEFAULT (256 * MIB)

/* S3 has no size. Large enough that no program thinks the disk is full, small enough for programs
 * that compute with signed 64-bit bytes: 1 PiB. */
#define STATFS_BLOCK_SIZE 4096u
#define STATFS_BLOCKS     (UINT64_C(1) << 38)
#define STATFS_FILES      (UINT64_C(1) << 40)

/* What a program reads and writes at a time best (st_blksize); coreutils take it literally. */
#define STAT_BLOCK_SIZE (1 << 20)

int vfs_new(const struct vfs_options *opts, struct vfs **ret)
{
    struct vfs *v = calloc(1, sizeof(*v));
    if (!v)
        return -ENOMEM;
    v->opts = *opts;
    v->store = opts->store;
    v->clock = opts->clock ? opts->clock : clock_system();
    v->started_ns = clock_realtime_ns(v->clock);
    v->idle_due_ns = UINT64_MAX;
    if (v->opts.key_max == 0 || v->opts.key_max > COMPONENT_LENGTH_MAX)
        v->opts.key_max = COMPONENT_LENGTH_MAX;
    if (v->opts.parallel == 0)
        v->opts.parallel = PARALLEL_DEFAULT;
    if (v->opts.listing_memory == 0)
        v->opts.listing_memory = LISTING_MEMORY_DEFAULT;
    TAILQ_INIT(&v->open_files);
    TAILQ_INIT(&v->listings);
    LIST_INIT(&v->guards);
    if (inode_table_init(&v->inodes) < 0) {
        free(v);
        return -ENOMEM;
    }
    int r = opts->numbers ? inode_numbers_load(&v->inodes.numbers, opts->numbers) : 0;
    if (r < 0)
        log_warn("'%s' is not used: %s; renamed files have new inode numbers", opts->numbers,
                 strerror(-r));
    v->inodes.woken = vfs_woken;
    v->inodes.ctx = v;
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->changed, NULL);
    vfs_pending_init(v);
    vfs_default_attr_locked(v, v->inodes.root);
    *ret = v;
    return 0;
}

void vfs_free(struct vfs *v)
{
    if (!v)
        return;
    vfs_pending_done(v);
    vfs_siblings_free(v);
    pthread_mutex_lock(&v->lock);
    vfs_listing_drop_below_locked(v, v->inodes.root);
    vfs_walk_ahead_drop_locked(v);
    vfs_pager_wait_locked(v);
    pthread_mutex_unlock(&v->lock);
    dir_unref(v->window.d);
    int r = v->opts.numbers && !v->opts.read_only
                ? inode_numbers_save(&v->inodes.numbers, v->opts.numbers)
                : 0;
    if (r < 0)
        log_warn("'%s': %s; renamed files will have new inode numbers", v->opts.numbers,
                 strerror(-r));
    inode_table_done(&v->inodes);
    pthread_cond_destroy(&v->changed);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

uint64_t vfs_after(uint64_t now_ns, uint64_t ttl_ns)
{
    uint64_t t;
    return __builtin_add_overflow(now_ns, ttl_ns, &t) ? UINT64_MAX : t;
}

/* ---- finding ---- */

int vfs_find_locked(struct vfs *v, uint64_t ino, struct inode **ret)
{
    struct inode *i = inode_find(&v->inodes, ino);
    if (!i)
        return -ESTALE;
    *ret = i;
    return 0;
}

int vfs_find_dir_locked(struct vfs *v, uint64_t ino, struct inode **ret)
{
    struct inode *i;
    int r = vfs_find_locked(v, ino, &i);
    if (r < 0)
        return r;
    if (i->kind != NODE_DIR)
        return -ENOTDIR;
    *ret = i;
    return 0;
}

void vfs_forget(struct vfs *v, uint64_t ino, uint64_t n)
{
    SCOPE_LOCK(&v->lock);
    struct inode *i = inode_stub_forget(&v->inodes, ino, n) ? NULL : inode_find(&v->inodes, ino);
    if (!i)
        return;
    bool last = i->kind == NODE_DIR && i->lookups <= n;
    inode_ref(i);
    inode_forget(&v->inodes, i, n);
    if (last)
        vfs_listing_forgotten_locked(v, i);
    inode_unref(&v->inodes, i);
}

void vfs_describe(struct vfs *v, uint64_t ino, char *buf, size_t size)
{
    char key[COMPONENT_LENGTH_MAX + 1] = "";
    SCOPE_LOCK(&v->lock);
    struct inode *i = inode_find(&v->inodes, ino);
    if (!i || inode_key(i, COMPONENT_LENGTH_MAX, key) < 0)
        snprintf(buf, size, "%s", i ? i->name : "");
    else
        snprintf(buf, size, "%s", key);
}

/* ---- changes against renames of directories ---- */

static bool is_moving(const struct vfs *v, const struct inode *i)
{
    if (v->moves == 0)
        return false;
    while (i && !i->moving)
        i = i->parent;
    return i != NULL;
}

bool vfs_wait_settled_locked(struct vfs *v, const struct inode *i)
{
    bool waited = is_moving(v, i);
    while (is_moving(v, i))
        pthread_cond_wait(&v->changed, &v->lock);
    return waited;
}

void vfs_guard_begin_locked(struct vfs *v, struct vfs_guard *g, struct inode *inode)
{
    *g = (struct vfs_guard){.vfs = v, .inode = inode_ref(inode)};
    (void)vfs_wait_settled_locked(v, inode);
    LIST_INSERT_HEAD(&v->guards, g, link);
}

void vfs_guard_end_locked(struct vfs_guard *g)
{
    struct vfs *v = g->vfs;
    LIST_REMOVE(g, link);
    if (v->moves > 0)
        pthread_cond_broadcast(&v->changed);
    inode_unref(&v->inodes, g->inode);
}

static bool is_changing_below(const struct vfs *v, const struct inode *dir)
{
    const struct vfs_guard *g;
    LIST_FOREACH (g, &v->guards, link) {
        if (inode_is_under(g->inode, dir))
            return true;
    }
    return false;
}

void vfs_move_begin_locked(struct vfs *v, struct inode *dir)
{
    /* Two renames of one directory: one after the other. Those above it do not move, for the caller
     * has a guard below them; they may wait for just that. */
    while (dir->moving)
        pthread_cond_wait(&v->changed, &v->lock);
    dir->moving = true;
    v->moves++;
    vfs_walk_all_changed_locked(v);
    while (is_changing_below(v, dir))
        pthread_cond_wait(&v->changed, &v->lock);
}

void vfs_move_begin_both_locked(struct vfs *v, struct inode *a, struct inode *b)
{
    vfs_move_begin_locked(v, a < b ? a : b);
    vfs_move_begin_locked(v, a < b ? b : a);
}

void vfs_move_end_locked(struct vfs *v, struct inode *dir)
{
    dir->moving = false;
    v->moves--;
    vfs_walk_all_changed_locked(v);
    pthread_cond_broadcast(&v->changed);
}

/* ---- names ---- */

/* The object that stands in for the bucket's root is nobody's file; nor is what has lost its name.
 */
static bool is_hidden(struct vfs *v, const struct inode *dir, const char *component)
{
    return dir == v->inodes.root &&
           (strcmp(component, VFS_ROOT_KEY) == 0 || strcmp(component, VFS_HIDDEN_DIR) == 0);
}

int vfs_decode_name(struct vfs *v, const struct inode *dir, const char *name,
                    struct name_target *ret)
{
    int r = name_to_component(name, ret);
    if (r < 0)
        return r;
    return is_hidden(v, dir, ret->component) ? -ENOENT : 0;
}

int vfs_decode_new_name(struct vfs *v, const struct inode *dir, const char *name,
                        enum node_kind kind, struct name_target *ret,
                        char key[COMPONENT_LENGTH_MAX + 1])
{
    int r = name_to_component(name, ret);
    if (r < 0)
        return r;
    /* A hash says nothing about what it was made from; and "a beside a/" is for objects. */
    if (ret->hashed || (ret->file_only && kind == NODE_DIR))
        return -EINVAL;
    /* What the name says would come true: a directory. */
    if (kind == NODE_FILE && name_folder_mark(ret->component, ret->len) > 0)
        return -EINVAL;
    if (is_hidden(v, dir, ret->component))
        return -EPERM;
    return inode_child_key(dir, ret->component, kind, v->opts.key_max, key);
}

/* ---- attributes ---- */

void vfs_default_attr_locked(struct vfs *v, struct inode *i)
{
    struct inode_attr *a = &i->attr;
    bool is_dir = i->kind == NODE_DIR;
    a->mode = is_dir ? S_IFDIR | v->opts.dir_mode : S_IFREG | v->opts.file_mode;
    a->uid = v->opts.uid;
    a->gid = v->opts.gid;
    a->mtime_ns = a->modified_ns ? a->modified_ns : v->started_ns;
    a->atime_ns = a->ctime_ns = a->mtime_ns;
    a->posix_known = a->times_set = false;
    free(i->xattr);
    free(i->content_type);
    free(i->storage_class);
    i->xattr = i->content_type = i->storage_class = NULL;
    i->own_metadata = false;
}

/* An upload's answer told the server's clock at its end; LastModified may be of its beginning. */
static bool is_told_late(const struct inode_attr *a, int64_t modified_ns)
{
    return !a->modified_told && modified_ns <= a->modified_ns + NS_PER_S;
}

static void take_modified(struct inode_attr *a, int64_t modified_ns)
{
    if (!a->times_set && a->mtime_ns == a->modified_ns)
        a->mtime_ns = a->atime_ns = a->ctime_ns = modified_ns;
    a->modified_ns = modified_ns;
    a->modified_told = true;
    a->modified_guess = false;
}

void vfs_take_version_locked(struct vfs *v, struct inode *i, uint64_t size, int64_t modified_ns,
                             const char *etag, uint64_t until_ns)
{
    struct inode_attr *a = &i->attr;
    modified_ns -= modified_ns % NS_PER_S; /* a HEAD tells whole seconds, a listing may tell more */
    /* While it is open for writing here, this host's content is what everybody here sees. */
    if (i->open && vfs_open_file_unclean(i->open))
        return;
    i->attr_until_ns = until_ns;
    bool same = etag[0] && strcmp(a->etag, etag) == 0 && a->size == size;
    /* The same version: what is known of its metadata stays known. */
    if (same && a->modified_ns == modified_ns)
        return; /* perhaps by our own word in a listing */
    if (same && (is_told_late(a, modified_ns) || vfs_attrs_pending(i))) {
        i->own_metadata &= is_told_late(a, modified_ns);
        take_modified(a, modified_ns);
        return;
    }
    if (vfs_attrs_pending(i))
        vfs_pending_conflict_locked(v, i->open);
    if (a->etag[0])
        vfs_notify_inode(v, i);
    i->version++;
    a->size = size;
    a->modified_ns = modified_ns;
    a->modified_told = true;
    a->modified_guess = false;
    snprintf(a->etag, sizeof(a->etag), "%s", etag);
    vfs_default_attr_locked(v, i);
}

void vfs_apply_version_locked(struct vfs *v, struct inode *i, uint64_t size, int64_t modified_ns,
                              const char *etag, uint64_t until_ns)
{
    /* It may tell of what is just being stored or renamed, or of what was before it. */
    if (i->open && i->open->busy)
        return;
    vfs_take_version_locked(v, i, size, modified_ns, etag, until_ns);
}

/* The types that a file's metadata can give it. A device would be a hole in the host's permissions,
 * a link without a target or with an impossible one cannot be followed: those stay what they are to
 * S3, bytes. */
static void apply_type(struct inode_attr *a, const struct posix_attrs *p)
{
    uint32_t type = p->have & POSIX_TYPE ? p->mode & S_IFMT : S_IFREG;
    if (type == S_IFLNK ? a->size == 0 || a->size > VFS_LINK_MAX
                        : type != S_IFIFO && type != S_IFSOCK)
        return;
    a->mode = type | (a->mode & 07777);
    if (type == S_IFLNK && !(p->have & POSIX_MODE))
        a->mode |= 0777;
}

void vfs_apply_posix_locked(struct vfs *v, struct inode *i, const struct store_attrs *attrs)
{
    struct posix_attrs p = {0};
    struct inode_attr *a = &i->attr;
    vfs_default_attr_locked(v, i);
    if (attrs)
        attrs_read(attrs->metadata, attrs->n_metadata, &p);
    if (p.have & POSIX_MODE)
        a->mode = (a->mode & S_IFMT) | (p.mode & 07777);
    if (i->kind == NODE_FILE)
        apply_type(a, &p);
    if (p.have & POSIX_UID)
        a->uid = p.uid;
    if (p.have & POSIX_GID)
        a->gid = p.gid;
    if (p.have & POSIX_MTIME)
        a->atime_ns = a->ctime_ns = a->mtime_ns = p.mtime_ns;
    if (p.have & POSIX_ATIME)
        a->atime_ns = p.atime_ns;
    /* Without a time of change in the metadata LastModified is both: a listing tells no more. */
    if ((p.have & POSIX_CTIME) && (p.have & POSIX_MTIME || i->kind == NODE_DIR))
        a->ctime_ns = p.ctime_ns;
    a->times_set = (p.have & (POSIX_MTIME | POSIX_ATIME)) != 0;
    if (p.xattr)
        i->xattr = strdup(p.xattr);
    const char *type = attrs && i->kind == NODE_FILE ? attrs->content_type : NULL;
    if (type && !vfs_is_derived_type(type, i->name))
        i->content_type = strdup(type); /* kept when the content is written anew */
    /* Without memory they are asked for again, rather than taken for none and overwritten. */
    a->posix_known = !p.xattr || i->xattr;
}

bool vfs_is_derived_type(const char *type, const char *name)
{
    /* The second is what S3 gives to an object that was stored without a type. */
    return !type || strcmp(type, MIME_DEFAULT) == 0 || strcmp(type, "binary/octet-stream") == 0 ||
           strcmp(type, mime_type(name)) == 0;
}

static struct timespec to_timespec(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    if (t.tv_nsec < 0) {
        t.tv_nsec += NS_PER_S;
        t.tv_sec--;
    }
    return t;
}

void vfs_fill_stat_locked(struct vfs *v, const struct inode *i, struct stat *st)
{
    const struct inode_attr *a = &i->attr;
    *st = (struct stat){
        .st_ino = i->ino,
        .st_mode = a->mode,
        /* One link says to find(1) that a directory's link count tells nothing. */
        .st_nlink = i->unlinked ? 0 : 1,
        .st_uid = a->uid,
        .st_gid = a->gid,
        .st_blksize = STAT_BLOCK_SIZE,
        .st_atim = to_timespec(a->atime_ns),
        .st_mtim = to_timespec(a->mtime_ns),
        .st_ctim = to_timespec(a->ctime_ns),
    };
    if (i->kind == NODE_FILE) {
        st->st_size = (off_t)a->size;
        st->st_blocks = (blkcnt_t)((a->size + 511) / 512);
    }
}

void vfs_fill_attr_locked(struct vfs *v, struct inode *i, struct vfs_entry *ret)
{
    uint64_t now = vfs_now(v);
    *ret = (struct vfs_entry){.ino = i->ino};
    vfs_fill_stat_locked(v, i, &ret->st);
    ret->entry_ttl_ns = i->attr_until_ns > now ? i->attr_until_ns - now : 0;
    ret->entry_ttl_ns = vfs_lock_name_ttl(v, i->name, ret->entry_ttl_ns);
    /* Directories exist while one looks into them; their attributes change by us alone. */
    ret->attr_ttl_ns = ret->entry_ttl_ns;
    /* Size and times move with each write. */
    if (i->open && (i->open->handles > 0 || i->open->writer))
        ret->attr_ttl_ns = 0;
}

void vfs_fill_entry_locked(struct vfs *v, struct inode *i, struct vfs_entry *ret)
{
    vfs_fill_attr_locked(v, i, ret);
    inode_lookup_add(i);
}

void vfs_dir_changed_locked(struct vfs *v, struct inode *dir)
{
    dir->changes++;
    vfs_walk_changed_locked(v, dir);
    dir->names_changed_ns = clock_realtime_ns(v->clock);
    dir->attr.mtime_ns = dir->attr.ctime_ns = dir->names_changed_ns;
}

void vfs_notify_inode(struct vfs *v, const struct inode *i)
{
    if (v->opts.notify.inode_changed && i->lookups > 0)
        v->opts.notify.inode_changed(v->opts.notify.ctx, i->ino);
}

int vfs_statfs(struct vfs *v, struct statvfs *ret)
{
    *ret = (struct statvfs){
        .f_bsize = STATFS_BLOCK_SIZE,
        .f_frsize = STATFS_BLOCK_SIZE,
        .f_blocks = STATFS_BLOCKS,
        .f_bfree = STATFS_BLOCKS,
        .f_bavail = STATFS_BLOCKS,
        .f_files = STATFS_FILES,
        .f_ffree = STATFS_FILES,
        .f_favail = STATFS_FILES,
        .f_namemax = NAME_LENGTH_MAX,
    };
    return 0;
}
