/* SPDX-License-Identifier: Apache-2.0 */
/* From a name to an inode, with as few requests as can be:
 *   listed directory              0, also for names that are not there
 *   first name asked for          1: LIST of the keys that begin with it, which tells the object,
 *                                 the directory and the absence of both
 *   second name, small directory  1: its first page, which makes it a listed one
 *   names in one directory after the other, in order (git status, restic)
 *                                 1 for the 1,000 keys that follow in the tree (vfs_walk.c)
 *   names in a large directory    1 each; in order 1 for a page of them (vfs_window.c)
 * With posix=auto a HEAD of the directory's marker goes beside the LIST, once in a while; in a
 * directory whose children have attributes in their metadata a HEAD of the child follows. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_impl.h"

/* Keys that begin with the name and sort before "name/", such as "name-1" and "name.txt", are in
 * the answer before the directory; with more of them a second request follows. */
#define PROBE_KEYS 64u
/* A file changed by this host while an answer was under way makes the answer worthless; asked again
 * that often before the answer is taken as it is. */
#define PROBE_TRIES 3

struct probe {
    bool file;
    bool dir;
    bool folder_mark;
    uint64_t size;
    int64_t modified_ns;
    char etag[STORE_ETAG_SIZE];
    char component[COMPONENT_LENGTH_MAX + 1]; /* what the name stands for */
};

static void take_file(struct probe *p, const struct store_entry *e)
{
    p->file = true;
    p->size = e->size;
    p->modified_ns = e->mtime_ns;
    size_t len = e->etag ? strnlen(e->etag, sizeof(p->etag) - 1) : 0;
    memcpy(p->etag, e->etag ? e->etag : "", len);
    p->etag[len] = '\0';
}

/* ---- one name, without the lock ---- */

static bool is_dir_key(const char *prefix, const char *key)
{
    size_t len = strlen(key);
    return strlen(prefix) == len + 1 && memcmp(prefix, key, len) == 0;
}

/* Whether the page went past where key and the tail would be. */
static bool covers(const struct store_page *page, const char *key, const char *tail)
{
    if (!page->next_token)
        return true;
    char whole[COMPONENT_LENGTH_MAX + sizeof(FOLDER_MARK)];
    size_t len = strlen(key);
    memcpy(whole, key, len);
    memcpy(whole + len, tail, strlen(tail) + 1);
    return (page->n_entries > 0 && strcmp(page->entries[page->n_entries - 1].key, whole) > 0) ||
           (page->n_prefixes > 0 && strcmp(page->prefixes[page->n_prefixes - 1], whole) > 0);
}

/* The first key that begins with key and the tail: whether there is one, and if `only`, whether it
 * is just that and empty. */
static int probe_tail(struct vfs *v, const char *key, const char *tail, bool only, bool *ret,
                      struct s3_error *err)
{
    char whole[COMPONENT_LENGTH_MAX + sizeof(FOLDER_MARK)];
    size_t len = strlen(key);
    memcpy(whole, key, len);
    memcpy(whole + len, tail, strlen(tail) + 1);
    struct store_page page = {0};
    struct store_list_in in = {.prefix = whole, .max_keys = 1};
    int r = vfs_list_some(v, &in, &page, err);
    if (r < 0)
        return r;
    const struct store_entry *e = page.n_entries > 0 ? &page.entries[0] : NULL;
    *ret = e && (!only || (e->size == 0 && strcmp(e->key, whole) == 0));
    store_page_done(&page);
    return 0;
}

static int probe_name(struct vfs *v, const char *key, struct probe *p, struct s3_error *err)
{
    struct store_page page = {0};
    struct store_list_in in = {.prefix = key, .delimited = true, .max_keys = PROBE_KEYS};
    int r = vfs_list_some(v, &in, &page, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < page.n_entries; i++) {
        const struct store_entry *e = &page.entries[i];
        if (strcmp(e->key, key) == 0)
            take_file(p, e);
        p->folder_mark |= e->size == 0 && name_folder_mark(e->key, strlen(e->key)) == strlen(key);
    }
    p->dir = p->folder_mark;
    for (size_t i = 0; i < page.n_prefixes; i++)
        p->dir |= is_dir_key(page.prefixes[i], key);
    bool dir_told = p->dir || covers(&page, key, "/"), mark_told = covers(&page, key, FOLDER_MARK);
    store_page_done(&page);
    if (!dir_told)
        r = probe_tail(v, key, "/", false, &p->dir, err);
    /* Of what is there otherwise the mark would tell nothing new. */
    if (r == 0 && !p->dir && !mark_told) {
        r = probe_tail(v, key, FOLDER_MARK, true, &p->folder_mark, err);
        p->dir = p->folder_mark;
    }
    return r;
}

/* The component of a key below the directory, without the '/' at a directory's end; false when the
 * name is not made from it. */
static bool matches(const char *key, const char *dir_key, bool is_dir, const char *name,
                    char component[COMPONENT_LENGTH_MAX + 1])
{
    size_t len = strlen(key), dir_len = strlen(dir_key);
    if (len < dir_len + is_dir || len > COMPONENT_LENGTH_MAX || memcmp(key, dir_key, dir_len) != 0)
        return false;
    len -= dir_len + is_dir;
    if (!name_matches(name, key + dir_len, len))
        return false;
    memcpy(component, key + dir_len, len);
    component[len] = '\0';
    return true;
}

/* Looks through what begins like the component for the one that the hash is of. */
static bool scan_page(struct probe *p, const struct store_page *page, const char *dir_key,
                      const char *name, bool file_only)
{
    for (size_t i = 0; i < page->n_entries && !p->file; i++) {
        if (matches(page->entries[i].key, dir_key, false, name, p->component))
            take_file(p, &page->entries[i]);
    }
    for (size_t i = 0; i < page->n_prefixes && !file_only && !p->dir; i++)
        p->dir = matches(page->prefixes[i], dir_key, true, name, p->component);
    return p->dir || (p->file && file_only);
}

/* Pages in a row that tell nothing, or that have been there before. */
#define EMPTY_MAX 1000u
#define AGAIN_MAX 16u

/* Whether a listing goes round in circles: some page comes again and again. Which one is looked
 * for changes after 1, 2, 4, 8 ... pages, so that it is one of the circle in the end. Whatever the
 * server's order is, the last key of a page is not that of another one. */
struct circle {
    char last[COMPONENT_LENGTH_MAX + 1];
    unsigned pages, next;
    unsigned empty, again;
};

static int check_circle(struct circle *c, const char *prefix, const struct store_page *page,
                        struct s3_error *err)
{
    const char *last = page->n_entries > 0    ? page->entries[page->n_entries - 1].key
                       : page->n_prefixes > 0 ? page->prefixes[page->n_prefixes - 1]
                                              : NULL;
    c->pages++;
    c->empty = last ? 0 : c->empty + 1;
    c->again += last && strncmp(last, c->last, COMPONENT_LENGTH_MAX) == 0;
    if (last && c->pages > c->next) {
        snprintf(c->last, sizeof(c->last), "%s", last);
        c->next = 2 * c->pages;
        c->again = 0;
    }
    if (c->empty <= EMPTY_MAX && c->again <= AGAIN_MAX)
        return 0;
    return s3_error_set(err, S3_ERROR_BAD_RESPONSE,
                        "the listing of '%s' does not end: after %u pages there is nothing new",
                        prefix, c->pages);
}

static int probe_hashed(struct vfs *v, const char *key, const char *dir_key, const char *name,
                        bool file_only, struct probe *p, struct s3_error *err)
{
    CLEANUP_FREE char *token = NULL;
    struct circle circle = {0};
    bool more = true;
    while (more) {
        struct store_page page = {0};
        struct store_list_in in = {.prefix = key, .delimited = true, .token = token};
        int r = store_list(v->store, &in, &page, err);
        if (r < 0)
            return r;
        more = !scan_page(p, &page, dir_key, name, file_only) && page.next_token;
        free(token);
        token = more ? strdup(page.next_token) : NULL;
        if (more)
            r = token ? check_circle(&circle, key, &page, err) : -ENOMEM;
        store_page_done(&page);
        if (r < 0)
            return r;
    }
    return 0;
}

static int probe(struct vfs *v, struct inode *dir, const char *name, const struct name_target *t,
                 struct probe *p, struct s3_error *err)
{
    char key[COMPONENT_LENGTH_MAX + 1], dir_key[COMPONENT_LENGTH_MAX + 1];
    *p = (struct probe){0};
    memcpy(p->component, t->component, t->len + 1);
    int r = inode_child_key(dir, t->component, NODE_FILE, COMPONENT_LENGTH_MAX, key);
    if (r == 0)
        r = inode_key(dir, COMPONENT_LENGTH_MAX, dir_key);
    if (r < 0)
        return r == -ENAMETOOLONG ? -ENOENT : r;

    pthread_mutex_unlock(&v->lock);
    r = t->hashed ? probe_hashed(v, key, dir_key, name, t->file_only, p, err)
                  : probe_name(v, key, p, err);
    pthread_mutex_lock(&v->lock);
    return r;
}

/* ---- the cache ---- */

#define MUST_ASK VFS_MUST_ASK

int vfs_inode_of_entry_locked(struct vfs *v, struct inode *dir, const struct dir *d,
                              const struct dir_entry *e, struct inode **ret)
{
    struct inode *i;
    uint64_t until = vfs_after(d->since_ns, v->opts.metadata_ttl_ns);
    int r = inode_get(&v->inodes, dir, dir_entry_component(e), dir_entry_kind(e), &i);
    if (r < 0)
        return r;
    if (i->kind == NODE_DIR) {
        if (i->attr.mode == 0)
            vfs_default_attr_locked(v, i);
        i->folder_mark = (e->flags & DIR_ENTRY_FOLDER) != 0;
        i->attr_until_ns = until;
    } else {
        i->beside = (e->flags & DIR_ENTRY_BESIDE) != 0;
        vfs_apply_version_locked(v, i, e->size, e->mtime_ns, dir_entry_etag(e), until);
    }
    *ret = i;
    return 0;
}

void vfs_woken(void *ctx, struct inode *i, const struct dir_entry *e, uint64_t until_ns)
{
    i->beside = (e->flags & DIR_ENTRY_BESIDE) != 0;
    vfs_take_version_locked(ctx, i, e->size, e->mtime_ns, dir_entry_etag(e), until_ns);
}

int vfs_tell_entry_locked(struct vfs *v, struct inode *dir, const struct dir *d,
                          struct dir_entry *e, struct vfs_entry *ret)
{
    uint64_t until = vfs_after(d->since_ns, v->opts.metadata_ttl_ns);
    struct inode i = {.kind = NODE_FILE, .name = e->text, .name_len = e->name_len, .parent = dir};
    int r = inode_stub_put(&v->inodes, dir, e, until, &i.ino);
    if (r < 0)
        return r;
    vfs_woken(v, &i, e, until);
    vfs_fill_attr_locked(v, &i, ret);
    return 0;
}

static bool is_fresh_locked(struct vfs *v, const struct inode *i)
{
    return i && ((i->open && vfs_open_file_unclean(i->open)) || vfs_now(v) < i->attr_until_ns);
}

/* Whether what was learned at that time is too old for a name that looks like a lock. */
static bool is_old_lock(struct vfs *v, const char *name, uint64_t since_ns)
{
    return vfs_now(v) >= vfs_after(since_ns, VFS_LOCK_TTL_NS) && vfs_is_lock_name(v, name);
}

static int from_cache_locked(struct vfs *v, struct inode *dir, const char *name,
                             const struct name_target *t, struct inode **ret)
{
    struct dir *d = vfs_listing_fresh_locked(v, dir);
    struct dir_entry *e;
    if (d && is_old_lock(v, name, d->since_ns))
        d = NULL;
    enum dir_answer answer = d ? dir_lookup(d, name, t, &e) : DIR_UNKNOWN;
    if (answer == DIR_FOUND)
        return vfs_inode_of_entry_locked(v, dir, d, e, ret);
    if (answer == DIR_ABSENT && v->opts.negative_ttl_ns > 0)
        return -ENOENT;
    if (t->hashed)
        return MUST_ASK;

    struct inode *i = t->file_only ? NULL : inode_child(&v->inodes, dir, t->component, NODE_DIR);
    if (!is_fresh_locked(v, i))
        i = inode_child(&v->inodes, dir, t->component, NODE_FILE);
    /* The plain name of an object beside a directory is the directory's. */
    if (!is_fresh_locked(v, i) || (i->kind == NODE_FILE && i->beside && !t->file_only))
        return MUST_ASK;
    bool own = i->open && vfs_open_file_unclean(i->open);
    uint64_t ttl = MIN(v->opts.metadata_ttl_ns, i->attr_until_ns);
    if (!own && is_old_lock(v, name, i->attr_until_ns - ttl))
        return MUST_ASK;
    *ret = inode_ref(i);
    return 0;
}

static int from_probe_locked(struct vfs *v, struct inode *dir, const struct name_target *t,
                             const struct probe *p, uint64_t until_ns, struct inode **ret)
{
    enum node_kind kind = p->dir && !t->file_only ? NODE_DIR : NODE_FILE;
    struct inode *i;
    if (kind == NODE_FILE && !p->file) {
        /* What was known of the name is over. */
        for (int k = NODE_FILE; k <= NODE_DIR; k++) {
            i = inode_child(&v->inodes, dir, p->component, (enum node_kind)k);
            if (i)
                i->attr_until_ns = 0;
        }
        return -ENOENT;
    }
    int r = inode_get(&v->inodes, dir, p->component, kind, &i);
    if (r < 0)
        return r;
    if (kind == NODE_FILE) {
        /* The search for a hash does not look for the directory. */
        i->beside = p->dir || (t->hashed && t->file_only);
        vfs_apply_version_locked(v, i, p->size, p->modified_ns, p->etag, until_ns);
    } else {
        if (i->attr.mode == 0)
            vfs_default_attr_locked(v, i);
        i->folder_mark = p->folder_mark;
        i->attr_until_ns = until_ns;
    }
    *ret = i;
    return 0;
}

/* ---- both ---- */

/* One name, whatever the cache believes. */
static int probe_locked(struct vfs *v, struct inode *dir, const char *name,
                        const struct name_target *t, bool believe_cache, struct inode **ret,
                        struct s3_error *err)
{
    for (int tries = 1;; tries++) {
        struct probe p;
        uint64_t changes = dir->changes, start = vfs_now(v);
        /* Whether the name has attributes of its own is found out on the way. */
        struct marker_call *marker = vfs_marker_begin_locked(v, dir);
        int r = probe(v, dir, name, t, &p, err);
        vfs_marker_end_locked(v, dir, marker);
        if (r < 0)
            return r;
        if (dir->changes == changes || tries == PROBE_TRIES)
            return from_probe_locked(v, dir, t, &p, vfs_after(start, v->opts.metadata_ttl_ns), ret);
        r = believe_cache ? from_cache_locked(v, dir, name, t, ret) : MUST_ASK;
        if (r != MUST_ASK)
            return r;
    }
}

static int ask_locked(struct vfs *v, struct inode *dir, const char *name,
                      const struct name_target *t, struct inode **ret, struct s3_error *err)
{
    bool listed = vfs_listing_fresh_locked(v, dir) && dir->dir->complete;
    size_t walk = listed ? VFS_NO_WALK : vfs_walk_asked_locked(v, dir);
    /* A listing tells of the directory's marker, too, where that may be remembered. */
    bool marker =
        v->opts.posix == VFS_POSIX_AUTO && !vfs_mark_known_locked(v, dir) && vfs_remembers(v);
    if ((dir->misses > 0 || walk < VFS_NO_WALK || marker) && !dir->large && !listed) {
        int r = vfs_listing_first_locked(v, dir, walk < VFS_NO_WALK ? walk : VFS_FIRST_PAGE, err);
        if (r < 0)
            return r;
        r = from_cache_locked(v, dir, name, t, ret);
        if (r != MUST_ASK)
            return r;
    }
    if (!listed) {
        int r = vfs_window_ask_locked(v, dir, name, t, ret);
        if (r != MUST_ASK)
            return r;
    }
    dir->misses++;
    return probe_locked(v, dir, name, t, true, ret, err);
}

int vfs_ask_time_locked(struct vfs *v, struct inode *i, struct s3_error *err)
{
    char key[COMPONENT_LENGTH_MAX + 1];
    struct store_object o = {0};
    if (!i->attr.modified_guess || i->unlinked || (i->open && vfs_open_file_unclean(i->open)))
        return 0;
    if (i->attr.times_set || inode_key(i, COMPONENT_LENGTH_MAX, key) < 0)
        return 0;
    uint64_t until = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns), changes = i->changes;
    pthread_mutex_unlock(&v->lock);
    int r = store_head(v->store, key, &o, err);
    pthread_mutex_lock(&v->lock);
    if (r < 0)
        return r;
    if (i->changes == changes && i->attr.modified_guess) {
        i->attr.modified_guess = false;
        vfs_apply_version_locked(v, i, o.size, o.mtime_ns, o.etag, until);
        if (i->parent)
            vfs_listing_put_locked(v, i->parent, i);
    }
    store_object_done(&o);
    return 0;
}

int vfs_complete_locked(struct vfs *v, struct inode *dir, struct inode *i, struct s3_error *err)
{
    bool wanted;
    int asked = vfs_ask_time_locked(v, i, err);
    if (asked < 0 || vfs_attrs_pending(i))
        return asked;
    vfs_expire_posix_locked(v, i);
    if (i->attr.posix_known || (i->open && vfs_open_file_unclean(i->open)))
        return 0;
    vfs_walk_markers_locked(v, dir);
    int r = vfs_posix_known_locked(v, dir, &wanted, err);
    if (r < 0 || !wanted)
        return r;
    r = vfs_load_in_order_locked(v, dir, i, err);
    if (r < 0)
        return r;
    if (i->attr.posix_known)
        return 0;
    return i->attr_until_ns ? -ENOMEM : -ENOENT;
}

int vfs_resolve_locked(struct vfs *v, struct inode *dir, const char *name, struct inode **ret,
                       struct s3_error *err)
{
    struct name_target t;
    int r = vfs_decode_name(v, dir, name, &t);
    if (r < 0)
        return r;
    struct inode *i = NULL;
    r = from_cache_locked(v, dir, name, &t, &i);
    if (r == MUST_ASK)
        r = ask_locked(v, dir, name, &t, &i, err);
    if (r == 0 && (r = vfs_complete_locked(v, dir, i, err)) < 0)
        inode_unref(&v->inodes, i);
    if (r == 0)
        *ret = i;
    return r;
}

int vfs_resolve_anew_locked(struct vfs *v, struct inode *dir, const char *name, struct inode **ret,
                            struct s3_error *err)
{
    struct name_target t;
    int r = vfs_decode_name(v, dir, name, &t);
    /* The store does not know of what is being written here. */
    struct inode *i =
        r == 0 && !t.hashed ? inode_child(&v->inodes, dir, t.component, NODE_FILE) : NULL;
    if (i && i->open && i->open->absent) {
        *ret = inode_ref(i);
        return 0;
    }
    if (r == 0)
        r = probe_locked(v, dir, name, &t, false, ret, err);
    if (r == 0) {
        vfs_listing_put_locked(v, dir, *ret);
    } else if (r == -ENOENT && !t.hashed) {
        vfs_listing_remove_locked(v, dir, t.component, NODE_FILE);
        if (!t.file_only)
            vfs_listing_remove_locked(v, dir, t.component, NODE_DIR);
    }
    return r;
}

int vfs_resolve_any_locked(struct vfs *v, struct inode *dir, const char *name, struct inode **ret,
                           struct s3_error *err)
{
    struct name_target t;
    int r = vfs_decode_name(v, dir, name, &t);
    if (r < 0)
        return r;
    struct inode *i = NULL;
    if (!t.hashed && !t.file_only)
        i = inode_child(&v->inodes, dir, t.component, NODE_DIR);
    /* An inode outlives its time in the cache; a directory that was there must still be there to
     * go before a file. */
    if (i && !is_fresh_locked(v, i) && inode_child(&v->inodes, dir, t.component, NODE_FILE))
        return vfs_resolve_locked(v, dir, name, ret, err);
    if (!t.hashed && !i)
        i = inode_child(&v->inodes, dir, t.component, NODE_FILE);
    if (!i || i->lookups == 0)
        return vfs_resolve_locked(v, dir, name, ret, err);
    *ret = inode_ref(i);
    return 0;
}

/* Of a file that is listed, and of which nothing else is known here, the kernel alone has to know,
 * as after a readdir with attributes: du and find -size of a million files make no million inodes.
 * MUST_ASK for all others. */
static int tell_listed_locked(struct vfs *v, struct inode *dir, const char *name,
                              struct vfs_entry *ret)
{
    struct name_target t;
    struct dir_entry *e = NULL;
    bool listed =
        v->opts.posix == VFS_POSIX_OFF || (v->opts.posix == VFS_POSIX_AUTO &&
                                           dir->posix == KNOWN_NO && vfs_mark_known_locked(v, dir));
    if (!listed || vfs_decode_name(v, dir, name, &t) < 0 || t.hashed)
        return MUST_ASK;
    struct dir *d = vfs_listing_fresh_locked(v, dir);
    if (d && is_old_lock(v, name, d->since_ns))
        return MUST_ASK;
    if (d && dir_lookup(d, name, &t, &e) != DIR_FOUND)
        e = NULL;
    if (!e && !(d && d->complete)) {
        e = vfs_window_find_locked(v, dir, name, &t);
        d = v->window.d;
    }
    if (!e || dir_entry_kind(e) != NODE_FILE || !*dir_entry_etag(e))
        return MUST_ASK;
    return vfs_tell_entry_locked(v, dir, d, e, ret) == 0 ? 0 : MUST_ASK;
}

int vfs_lookup(struct vfs *v, uint64_t parent, const char *name, struct vfs_entry *ret,
               struct s3_error *err)
{
    struct inode *dir, *i;
    *ret = (struct vfs_entry){0};
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_dir_locked(v, parent, &dir);
    if (r < 0)
        return r;
    inode_ref(dir);
    vfs_exchange_wait_locked(v, dir, name);
    r = tell_listed_locked(v, dir, name, ret);
    if (r == MUST_ASK && (r = vfs_resolve_locked(v, dir, name, &i, err)) == 0) {
        vfs_fill_entry_locked(v, i, ret);
        inode_unref(&v->inodes, i);
    } else if (r == -ENOENT) {
        ret->entry_ttl_ns = vfs_lock_name_ttl(v, name, v->opts.negative_ttl_ns);
    }
    inode_unref(&v->inodes, dir);
    return r;
}
