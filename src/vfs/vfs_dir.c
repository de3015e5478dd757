/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: reading them, making them, and keeping them from vanishing with their last file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_impl.h"

/* Offsets: "." and ".." come first, then the numbers of the listing. */
#define FIRST_ENTRY 2u
/* Entries whose attributes are asked for at once, ahead of the reader. */
#define AHEAD_MAX 64u
/* Of a directory that is thought to be empty. */
#define PAGES_MAX 1000u

struct vfs_dir {
    struct inode *inode; /* referenced */
    /* protected by vfs.lock */
    struct dir *listing; /* referenced; NULL before the first read */
    size_t walk;         /* see vfs_walk_note_locked */
    struct inode
        *ahead[AHEAD_MAX]; /* referenced: their attributes were loaded for the next reads */
    size_t n_ahead;
};

int vfs_opendir(struct vfs *v, uint64_t ino, struct vfs_dir **ret)
{
    struct inode *i;
    struct vfs_dir *dir = calloc(1, sizeof(*dir));
    if (!dir)
        return -ENOMEM;
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_dir_locked(v, ino, &i);
    if (r < 0) {
        free(dir);
        return r;
    }
    dir->inode = inode_ref(i);
    dir->walk = VFS_NO_WALK;
    *ret = dir;
    return 0;
}

static void drop_ahead_locked(struct vfs *v, struct vfs_dir *dir)
{
    while (dir->n_ahead > 0)
        inode_unref(&v->inodes, dir->ahead[--dir->n_ahead]);
}

void vfs_releasedir(struct vfs *v, struct vfs_dir *dir)
{
    {
        SCOPE_LOCK(&v->lock);
        drop_ahead_locked(v, dir);
        if (dir->listing)
            vfs_idle_note_locked(v, vfs_after(dir->listing->since_ns, v->opts.metadata_ttl_ns));
        dir_unref(dir->listing);
        inode_unref(&v->inodes, dir->inode);
    }
    free(dir);
}

/* ---- reading ---- */

/* Loads the attributes of the entries from `number` on. */
static int load_ahead_locked(struct vfs *v, struct vfs_dir *dir, size_t number,
                             struct s3_error *err)
{
    drop_ahead_locked(v, dir);
    for (; number < dir->listing->n && dir->n_ahead < AHEAD_MAX; number++) {
        const struct dir_entry *e = dir_at(dir->listing, number);
        struct inode *i;
        if (!e)
            continue;
        int r = vfs_inode_of_entry_locked(v, dir->inode, dir->listing, e, &i);
        if (r < 0)
            return r;
        dir->ahead[dir->n_ahead++] = i;
        vfs_expire_posix_locked(v, i);
    }
    vfs_list_markers_locked(v, dir->ahead, dir->n_ahead);
    return vfs_posix_load_locked(v, dir->ahead, dir->n_ahead, err);
}

/* What readdirplus tells of an entry. 0, or -EAGAIN: look at the entry again. */
static int plus_entry_locked(struct vfs *v, struct vfs_dir *dir, size_t number, bool posix,
                             struct vfs_entry *ret, struct s3_error *err)
{
    struct dir_entry *e = dir_at(dir->listing, number);
    struct inode *i;
    int r = -EEXIST;
    if (!posix && dir_entry_kind(e) == NODE_FILE && *dir_entry_etag(e))
        r = vfs_tell_entry_locked(v, dir->inode, dir->listing, e, ret);
    if (r != -EEXIST)
        return r;
    r = vfs_inode_of_entry_locked(v, dir->inode, dir->listing, e, &i);
    if (r < 0)
        return r;
    /* The kernel keeps what it gets here, and does not look the name up. */
    vfs_expire_posix_locked(v, i);
    if (posix && !i->attr.posix_known && !(i->open && vfs_open_file_unclean(i->open)))
        r = load_ahead_locked(v, dir, number, err);
    if (r == 0)
        r = vfs_ask_time_locked(v, i, err);
    /* Its attributes may have shown that it is gone. */
    if (r == 0 && !dir_at(dir->listing, number))
        r = -EAGAIN;
    if (r == 0)
        vfs_fill_entry_locked(v, i, ret);
    inode_unref(&v->inodes, i);
    return r;
}

static void plain_entry_locked(struct vfs *v, struct vfs_dir *dir, const struct dir_entry *e,
                               struct vfs_entry *ret)
{
    enum node_kind kind = dir_entry_kind(e);
    *ret = (struct vfs_entry){0};
    ret->ino = inode_number(&v->inodes, dir->inode, dir_entry_component(e), e->name_len, kind);
    ret->st.st_ino = ret->ino;
    ret->st.st_mode = vfs_posix_type_locked(v, dir->inode, e);
}

/* "." and "..": false when the buffer is full. */
static bool fill_dots_locked(struct vfs *v, struct vfs_dir *dir, uint64_t *offset, vfs_fill_fn fill,
                             void *ctx)
{
    struct inode *up = dir->inode->parent ? dir->inode->parent : dir->inode;
    const struct inode *dots[FIRST_ENTRY] = {dir->inode, up};
    static const char *const names[FIRST_ENTRY] = {".", ".."};
    for (; *offset < FIRST_ENTRY; ++*offset) {
        struct vfs_entry e = {.ino = dots[*offset]->ino};
        e.st.st_ino = e.ino;
        e.st.st_mode = S_IFDIR;
        if (!fill(ctx, names[*offset], &e, *offset + 1))
            return false;
    }
    return true;
}

static int fill_entries_locked(struct vfs *v, struct vfs_dir *dir, uint64_t offset, bool plus,
                               vfs_fill_fn fill, void *ctx, struct s3_error *err)
{
    size_t filled = 0, number;
    bool posix = false, posix_asked = !plus;
    int r;
    if (!fill_dots_locked(v, dir, &offset, fill, ctx))
        return 0;
    for (number = offset - FIRST_ENTRY;; number++) {
        struct dir *d = dir->listing;
        char name[NAME_LENGTH_MAX + 1];
        struct vfs_entry entry;

        /* What there is goes to the reader before the next page is waited for. */
        while (number >= d->n && !d->complete) {
            if (filled > 0)
                return 0;
            if ((r = vfs_listing_more_locked(v, dir->inode, d, dir->walk, err)) < 0)
                return r;
        }
        if (number >= d->n)
            return 0;
        if (!posix_asked)
            vfs_walk_markers_locked(v, dir->inode);
        if (!posix_asked && (r = vfs_posix_known_locked(v, dir->inode, &posix, err)) < 0)
            return r;
        posix_asked = true;

        if (!dir_at(d, number))
            continue;
        r = plus ? plus_entry_locked(v, dir, number, posix, &entry, err) : 0;
        if (r == -EAGAIN)
            continue;
        if (r < 0)
            return filled > 0 ? 0 : r;
        if (!plus)
            plain_entry_locked(v, dir, dir_at(d, number), &entry);
        r = dir_entry_name(dir_at(d, number), name);
        if (r < 0 || !fill(ctx, name, &entry, number + FIRST_ENTRY + 1)) {
            if (plus && !inode_stub_forget(&v->inodes, entry.ino, 1))
                inode_forget(&v->inodes, inode_find(&v->inodes, entry.ino), 1);
            return r;
        }
        filled++;
    }
}

int vfs_readdir(struct vfs *v, struct vfs_dir *dir, uint64_t offset, bool plus, vfs_fill_fn fill,
                void *ctx, struct s3_error *err)
{
    SCOPE_LOCK(&v->lock);
    vfs_exchange_wait_locked(v, dir->inode, NULL);
    if (dir->inode->unlinked)
        return 0; /* rmdir'ed while open: empty */
    if (offset == 0)
        dir->walk = vfs_walk_note_locked(v, dir->inode);
    /* rewinddir() shows the directory anew. */
    if (!dir->listing || (offset == 0 && vfs_listing_fresh_locked(v, dir->inode) != dir->listing)) {
        struct dir *d;
        int r = vfs_listing_get_locked(v, dir->inode, &d);
        if (r < 0)
            return r;
        dir_unref(dir->listing);
        dir->listing = d;
    }
    return fill_entries_locked(v, dir, offset, plus, fill, ctx, err);
}

/* ---- existence ---- */

int vfs_keep_dir_locked(struct vfs *v, struct inode *dir, struct s3_error *err)
{
    if (dir == v->inodes.root || dir->marker == KNOWN_YES)
        return 0;
    struct dir *d = vfs_listing_fresh_locked(v, dir);
    int r = 0;
    if (!d && !dir->large) {
        r = vfs_listing_first_locked(v, dir, VFS_FIRST_PAGE, err);
        if (r < 0)
            return r;
        d = dir->dir; /* just fetched: good for this question, however short the TTL */
    }
    if (!d)
        return 0;
    dir_ref(d);
    while (r == 0 && !d->complete && d->n_live <= 1)
        r = vfs_listing_more_locked(v, dir, d, VFS_FIRST_PAGE, err);
    bool last = r == 0 && d->complete && !d->marker && d->n_live <= 1;
    dir_unref(d);
    if (r < 0)
        return r;
    return last ? vfs_marker_write_locked(v, dir, false, err) : 0;
}

/* Pages until one tells of something else: servers may send fewer keys than were asked for. */
static int check_empty(struct vfs *v, const char *key, bool *ret_marker, struct s3_error *err)
{
    CLEANUP_FREE char *token = NULL;
    *ret_marker = false;
    for (unsigned n = 0; n < PAGES_MAX; n++) {
        struct store_page page = {0};
        struct store_list_in in = {.prefix = key, .max_keys = 2, .token = token};
        int r = vfs_list_some(v, &in, &page, err);
        if (r < 0)
            return r;
        for (size_t i = 0; i < page.n_entries; i++) {
            if (strcmp(page.entries[i].key, key) == 0)
                *ret_marker = true;
            else
                r = -ENOTEMPTY;
        }
        bool more = r == 0 && page.next_token;
        free(token);
        token = more ? strdup(page.next_token) : NULL;
        store_page_done(&page);
        if (!more)
            return r;
        if (!token)
            return -ENOMEM;
    }
    return s3_error_set(err, S3_ERROR_BAD_RESPONSE,
                        "the listing of '%s' does not end: %u pages tell of the same key", key,
                        PAGES_MAX);
}

int vfs_check_empty_locked(struct vfs *v, struct inode *dir, bool *ret_marker, struct s3_error *err)
{
    char key[COMPONENT_LENGTH_MAX + 1];
    const struct open_file *of;
    TAILQ_FOREACH (of, &v->open_files, link) {
        if (of->absent && of->inode->parent == dir)
            return -ENOTEMPTY;
    }
    int r = inode_key(dir, COMPONENT_LENGTH_MAX, key);
    if (r < 0)
        return r;

    pthread_mutex_unlock(&v->lock);
    r = check_empty(v, key, ret_marker, err);
    pthread_mutex_lock(&v->lock);
    return r;
}

int vfs_folder_mark_delete_locked(struct vfs *v, struct inode *dir, const char *key,
                                  struct s3_error *err)
{
    char mark[COMPONENT_LENGTH_MAX + sizeof(FOLDER_MARK)];
    size_t len = strlen(key);
    if (!dir->folder_mark || len == 0)
        return 0;
    memcpy(mark, key, len - 1);
    memcpy(mark + len - 1, FOLDER_MARK, sizeof(FOLDER_MARK));
    pthread_mutex_unlock(&v->lock);
    int r = store_delete(v->store, mark, NULL, err);
    pthread_mutex_lock(&v->lock);
    if (r == 0)
        dir->folder_mark = false;
    return r;
}

void vfs_forget_name_locked(struct vfs *v, struct inode *i)
{
    struct inode *dir = i->parent;
    if (!dir)
        return;
    vfs_listing_remove_locked(v, dir, i->name, i->kind);
    vfs_dir_changed_locked(v, dir);
    inode_ref(i);
    vfs_listing_drop_locked(v, i);
    inode_unlink(&v->inodes, i);
    inode_unref(&v->inodes, i);
}

/* ---- making ---- */

void vfs_new_attr_locked(struct vfs *v, const struct vfs_caller *caller, const struct inode *dir,
                         mode_t mode, struct inode *i)
{
    struct inode_attr *a = &i->attr;
    bool is_dir = i->kind == NODE_DIR;
    *a = (struct inode_attr){
        .mode = (is_dir            ? S_IFDIR
                 : (mode & S_IFMT) ? mode & S_IFMT
                                   : S_IFREG) |
                (mode & 07777),
        .uid = caller->uid,
        .gid = caller->gid,
        .posix_known = true,
    };
    if (dir->attr.mode & S_ISGID) {
        a->gid = dir->attr.gid;
        if (is_dir)
            a->mode |= S_ISGID;
    }
    a->times_set = !is_dir && (!S_ISREG(a->mode) || vfs_keeps_times_locked(v, i));
    a->mtime_ns = a->atime_ns = a->ctime_ns = vfs_write_time_locked(v, i);
}

bool vfs_is_taken_locked(struct vfs *v, struct inode *dir, const char *component)
{
    struct dir *d = vfs_listing_fresh_locked(v, dir);
    if (d && (dir_find(d, component, NODE_DIR) || dir_find(d, component, NODE_FILE)))
        return true;
    for (int kind = NODE_FILE; kind <= NODE_DIR; kind++) {
        const struct inode *i = inode_child(&v->inodes, dir, component, (enum node_kind)kind);
        if (i && (vfs_now(v) < i->attr_until_ns || (i->open && vfs_open_file_unclean(i->open))))
            return true;
    }
    return false;
}

static int make_dir_locked(struct vfs *v, struct inode *dir, struct inode *i, const char *key,
                           bool through, struct s3_error *err)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(16 << 10);
    struct store_put_in in = {.key = key, .if_absent = true, .through = through};
    struct store_version version;
    struct s3_error local = {0};
    int r = 0;
    if (vfs_posix_deviates_locked(v, i))
        r = vfs_posix_mark_locked(v, dir, err);
    if (r == 0)
        r = vfs_posix_metadata_locked(v, i, v->opts.posix == VFS_POSIX_ON, NULL, &arena, &in.attrs);
    if (r < 0)
        return r;
    pthread_mutex_unlock(&v->lock);
    r = store_put(v->store, &in, &version, &local);
    if (r < 0 && vfs_posix_is_own(v, key, &in.attrs, &local, &version))
        r = 0;
    pthread_mutex_lock(&v->lock);
    if (r < 0 && err)
        *err = local;
    return r < 0 && local.kind == S3_ERROR_PRECONDITION ? -EEXIST : r;
}

int vfs_mkdir(struct vfs *v, const struct vfs_caller *caller, uint64_t parent, const char *name,
              mode_t mode, struct vfs_entry *ret, struct s3_error *err)
{
    struct name_target t;
    char key[COMPONENT_LENGTH_MAX + 1];
    struct inode *dir, *i;
    if (v->opts.read_only)
        return -EROFS;
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_dir_locked(v, parent, &dir);
    if (r < 0)
        return r;
    VFS_GUARD(v, dir);
    if (r == 0)
        r = vfs_decode_new_name(v, dir, name, NODE_DIR, &t, key);
    if (r == 0 && vfs_is_taken_locked(v, dir, t.component)) {
        r = -EEXIST;
        /* Somebody waits for a lock to go. */
        if (vfs_is_lock_name(v, name) &&
            (r = vfs_resolve_anew_locked(v, dir, name, &i, err)) == 0) {
            inode_unref(&v->inodes, i);
            r = -EEXIST;
        }
        r = r == -ENOENT ? 0 : r;
    }
    if (r == 0)
        r = inode_get(&v->inodes, dir, t.component, NODE_DIR, &i);
    if (r < 0)
        return r;

    vfs_new_attr_locked(v, caller, dir, mode, i);
    r = make_dir_locked(v, dir, i, key, v->opts.excl == VFS_EXCL_OPEN || vfs_is_lock(v, dir, name),
                        err);
    if (r == 0) {
        i->attr_until_ns = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
        vfs_marker_written_locked(v, i);
        i->marker_own = true;
        i->posix = v->opts.posix == VFS_POSIX_ON ? KNOWN_YES : KNOWN_NO;
        i->posix_until_ns = i->attr_until_ns;
        vfs_listing_empty_locked(v, i);
        vfs_listing_put_locked(v, dir, i);
        vfs_dir_changed_locked(v, dir);
        vfs_fill_entry_locked(v, i, ret);
    }
    inode_unref(&v->inodes, i);
    return r;
}
