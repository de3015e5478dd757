/* SPDX-License-Identifier: Apache-2.0 */
/* Walks of a tree (find, du, grep -r, a backup): when directories beside each other are read one
 * after the other, or names are asked for in them (git status, rsync to the mount), the next one is
 * asked for without a delimiter, and the page's 1,000 keys tell what is in those that follow it,
 * too. So a tree of small directories costs requests by its keys and not by its directories.
 *
 * Each such request begins at the directory that is wanted now, wherever the walk has come to; it
 * costs no more than a page of that directory alone would. Of a large directory the
 * page has the beginning; it goes on with a delimited listing after its last key. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meta/subtree.h"
#include "vfs/vfs_impl.h"

/* From one directory to the next, with whatever the program does to the files between. */
#define WALK_NS (10 * (uint64_t)NS_PER_S)
/* Names are asked for in all sorts of orders. So many times in a row the directory must have been
 * the next one of the listing that both are in, or one soon after it, */
#define STEPS_NEXT  2u
#define SKIPPED_MAX 3u
/* or, where that is not listed, one that sorts behind it. */
#define STEPS_UP 4u

/* Whether the walk has just been there. */
static bool is_recent(const struct vfs_walked *w, uint64_t now)
{
    return w->since_ns > 0 && now - w->since_ns <= WALK_NS;
}

/* The length of what both keys begin with. */
static size_t same_length(const char *a, const char *b)
{
    size_t same = 0;
    while (a[same] && a[same] == b[same])
        same++;
    return same;
}

/* Into a directory or back up: that tells nothing about those beside it. */
static bool is_beside(const struct vfs_walked *w, const char *key, size_t same)
{
    return key[same] && w->key[same];
}

/* The key of what both are in, as its length; VFS_NO_WALK where nothing need be fetched ahead. */
static size_t base_of(const struct vfs *v, const char *key, size_t same)
{
    if (v->walk.off || v->opts.metadata_ttl_ns < (uint64_t)NS_PER_S)
        return VFS_NO_WALK;
    while (same > 0 && key[same - 1] != '/')
        same--;
    return same;
}

static void go_on(struct vfs_walked *w, const char *key, uint64_t now)
{
    memcpy(w->key, key, strlen(key) + 1);
    w->since_ns = now;
}

size_t vfs_walk_note_locked(struct vfs *v, const struct inode *dir)
{
    char key[COMPONENT_LENGTH_MAX + 1];
    struct vfs_walked *w = &v->walk.read;
    uint64_t now = vfs_now(v);
    if (inode_key(dir, COMPONENT_LENGTH_MAX, key) < 0)
        return VFS_NO_WALK;
    size_t same = same_length(key, w->key);
    bool walk = is_recent(w, now) && is_beside(w, key, same);
    go_on(w, key, now);
    return walk ? base_of(v, key, same) : VFS_NO_WALK;
}

/* ---- names that are asked for ---- */

/* The number of the directory that the rest of a key begins with. */
static int number_of(struct dir *d, const char *rest, size_t *ret)
{
    char component[COMPONENT_LENGTH_MAX + 1];
    size_t len = strcspn(rest, "/");
    memcpy(component, rest, len);
    component[len] = '\0';
    return dir_number(d, component, NODE_DIR, ret);
}

/* Whether the one comes soon after the other in the listing of what both are in. */
static enum known is_next_locked(struct vfs *v, const struct inode *dir, const char *from,
                                 const char *to, size_t same)
{
    size_t base = base_of(v, to, same), len = strlen(to), a, b, dirs = 0;
    const struct inode *i = dir;
    while (i->parent && len > base) {
        len -= i->name_len + 1;
        i = i->parent;
    }
    if (to[same] < from[same])
        return KNOWN_NO;
    if (len != base || !i->dir || !i->dir->complete)
        return KNOWN_NOT;
    if (number_of(i->dir, from + base, &a) < 0 || number_of(i->dir, to + base, &b) < 0 || b <= a)
        return KNOWN_NO;
    for (; a < b && dirs <= SKIPPED_MAX; a++) {
        const struct dir_entry *e = dir_at(i->dir, a);
        dirs += e && dir_entry_kind(e) == NODE_DIR;
    }
    return dirs <= SKIPPED_MAX ? KNOWN_YES : KNOWN_NO;
}

size_t vfs_walk_asked_locked(struct vfs *v, const struct inode *dir)
{
    char key[COMPONENT_LENGTH_MAX + 1];
    struct vfs_walked *newest = NULL, *oldest = &v->walk.asked[0];
    uint64_t now = vfs_now(v);
    if (inode_key(dir, COMPONENT_LENGTH_MAX, key) < 0 || base_of(v, key, 0) == VFS_NO_WALK)
        return VFS_NO_WALK;
    for (unsigned n = 0; n < VFS_WALKS; n++) {
        struct vfs_walked *w = &v->walk.asked[n];
        size_t same = same_length(key, w->key);
        if (w->since_ns < oldest->since_ns)
            oldest = w;
        if (!is_recent(w, now))
            continue;
        if (!is_beside(w, key, same)) {
            if (strlen(key) == same && !w->key[same])
                return VFS_NO_WALK; /* once more in the same one */
            continue;
        }
        if (is_next_locked(v, dir, w->key, key, same) == KNOWN_YES) {
            go_on(w, key, now);
            return ++w->steps >= STEPS_NEXT ? base_of(v, key, same) : VFS_NO_WALK;
        }
        if (!newest || w->since_ns > newest->since_ns)
            newest = w;
    }
    /* Whatever they are in is not listed: the order of the names must do. */
    size_t same = newest ? same_length(key, newest->key) : 0;
    if (newest && is_next_locked(v, dir, newest->key, key, same) == KNOWN_NOT) {
        go_on(newest, key, now);
        return ++newest->steps >= STEPS_UP ? base_of(v, key, same) : VFS_NO_WALK;
    }
    go_on(oldest, key, now);
    oldest->steps = 0;
    return VFS_NO_WALK;
}

/* ---- markers ---- */

/* A directory that has a marker has to be asked whether its children have attributes. */
#define MARKERS_AHEAD 64u

void vfs_walk_markers_locked(struct vfs *v, struct inode *dir)
{
    struct inode *inodes[MARKERS_AHEAD];
    struct marker_call *calls[MARKERS_AHEAD];
    size_t at = 0, n = 0;
    if (v->opts.posix != VFS_POSIX_AUTO || vfs_mark_known_locked(v, dir))
        return;
    while (at < v->walk.n_marked && v->walk.marked[at] != dir->ino)
        at++;
    for (; at < v->walk.n_marked && n < MARKERS_AHEAD; at++) {
        struct inode *i = inode_find(&v->inodes, v->walk.marked[at]);
        if (i && i->kind == NODE_DIR && i->marker == KNOWN_YES && !i->unlinked)
            inodes[n++] = inode_ref(i);
    }
    /* All are under way before the first one is waited for. */
    for (size_t k = 0; k < n; k++)
        calls[k] = vfs_marker_begin_locked(v, inodes[k]);
    for (size_t k = 0; k < n; k++) {
        vfs_marker_end_locked(v, inodes[k], calls[k]);
        inode_unref(&v->inodes, inodes[k]);
    }
}

/* Pages of which each must have told of several directories before more are asked for: HEADs go
 * many at a time, pages one after the other. */
#define LISTS_MIN     4u
#define DIRS_PER_LIST 8u

bool vfs_remembers(struct vfs *v)
{
    return v->opts.remembers && v->opts.metadata_ttl_ns >= (uint64_t)NS_PER_S &&
           v->opts.remembers(v->opts.remembers_ctx);
}

static int list_one_locked(struct vfs *v, struct inode *dir, bool alone)
{
    char key[COMPONENT_LENGTH_MAX + 1];
    size_t walk = VFS_FIRST_PAGE;
    struct dir *d;
    if (alone)
        walk = vfs_walk_asked_locked(v, dir);
    else if (!v->walk.off && dir->parent && inode_key(dir->parent, COMPONENT_LENGTH_MAX, key) == 0)
        walk = strlen(key);
    if (walk == VFS_NO_WALK)
        walk = VFS_FIRST_PAGE;
    int r = vfs_listing_get_locked(v, dir, &d);
    if (r < 0)
        return r;
    if (d->pages == 0 && !d->complete)
        r = vfs_listing_more_locked(v, dir, d, walk, NULL);
    dir_unref(d);
    return r;
}

void vfs_list_markers_locked(struct vfs *v, struct inode *const *inodes, size_t n)
{
    size_t lists = 0, dirs = 0;
    if (!vfs_remembers(v))
        return;
    for (size_t k = 0; k < n; k++) {
        struct inode *i = inodes[k];
        if (i->kind != NODE_DIR || i->unlinked || i->moving || vfs_marker_listed_locked(v, i)) {
            dirs += i->kind == NODE_DIR;
            continue;
        }
        if (lists >= LISTS_MIN && dirs < lists * DIRS_PER_LIST)
            return;
        lists++;
        dirs++;
        if (list_one_locked(v, i, n == 1) < 0)
            return;
    }
}

/* ---- own changes while a page is under way ---- */

void vfs_walk_changed_locked(struct vfs *v, const struct inode *dir)
{
    v->walk.changed[v->walk.n_changes++ % VFS_WALK_CHANGES] = dir->key_hash;
}

void vfs_walk_all_changed_locked(struct vfs *v)
{
    v->walk.n_changes += VFS_WALK_CHANGES + 1;
    v->window.ino = 0;
}

/* ---- the page ---- */

struct take {
    struct vfs *v;
    struct inode *dir; /* the directory that was asked for */
    struct dir *d;
    const char *prefix;
    struct inode *base; /* the one that is walked */
    size_t base_len;
    size_t n_keys; /* of the page */
    uint64_t start_ns;
    uint64_t n_changes;                  /* at the start */
    bool taken;                          /* there was something in the directory */
    char next[COMPONENT_LENGTH_MAX + 2]; /* where the next page will begin; "" = not known */
};

static bool was_changed_locked(const struct take *t, const struct inode *i)
{
    const struct vfs *v = t->v;
    for (uint64_t n = t->n_changes; n < v->walk.n_changes; n++) {
        if (v->walk.changed[n % VFS_WALK_CHANGES] == i->key_hash)
            return true;
    }
    return i->moving || i->unlinked;
}

/* The inode of a directory of the page, referenced; NULL when the page may be older than what this
 * mount did there. */
static int find_dir_locked(const struct take *t, const char *key, struct inode **ret)
{
    struct vfs *v = t->v;
    char component[COMPONENT_LENGTH_MAX + 1];
    struct inode *i = inode_ref(t->base);
    const char *p = key + t->base_len;
    *ret = NULL;
    while (*p) {
        size_t len = strcspn(p, "/");
        struct inode *child = NULL;
        memcpy(component, p, len);
        component[len] = '\0';
        bool hidden = i == v->inodes.root && strcmp(component, VFS_HIDDEN_DIR) == 0;
        int r = hidden || was_changed_locked(t, i)
                    ? 0
                    : inode_get(&v->inodes, i, component, NODE_DIR, &child);
        inode_unref(&v->inodes, i);
        if (r < 0 || !child)
            return r;
        i = child;
        p += len + 1;
    }
    if (was_changed_locked(t, i))
        inode_unref(&v->inodes, i);
    else
        *ret = i;
    return 0;
}

static int add_locked(struct vfs *v, struct inode *i, struct dir *d, const char *key,
                      const struct store_page *part, const char *last, struct s3_error *err)
{
    struct dir_gap rest = {.from = last ? last + strlen(key) : ""};
    char *after = last ? strdup(last) : NULL;
    size_t before = d->bytes;
    int r = last && !after ? -ENOMEM : dir_add_part(d, key, part, &rest, last ? 1 : 0, err);
    if (r == 0) {
        d->after = after;
        after = NULL;
    }
    free(after);
    vfs_listing_added_locked(v, i, d, before, r);
    return r;
}

/* There is something in it, so its name need not be asked for. */
static void is_there_locked(const struct take *t, struct inode *i)
{
    uint64_t until = vfs_after(t->start_ns, t->v->opts.metadata_ttl_ns);
    if (i->attr.mode == 0)
        vfs_default_attr_locked(t->v, i);
    i->attr_until_ns = MAX(i->attr_until_ns, until);
}

static int take_dir(void *ctx, const char *key, const struct store_page *part, const char *last,
                    size_t n_keys)
{
    struct take *t = ctx;
    struct vfs *v = t->v;
    struct inode *i;
    struct dir *d;
    if (strcmp(key, t->prefix) == 0) {
        int added = add_locked(v, t->dir, t->d, key, part, last, NULL);
        t->taken = added == 0;
        if (t->taken && t->d->marker && v->walk.n_marked < VFS_WALK_MARKED)
            v->walk.marked[v->walk.n_marked++] = t->dir->ino;
        return added;
    }
    /* A small directory across the page's end is whole in the one that begins with it. */
    if (last && n_keys < t->n_keys / 2) {
        if (vfs_walk_before(key, t->next) < 0)
            t->next[0] = '\0';
        return 0;
    }
    if (v->walk.n_changes - t->n_changes > VFS_WALK_CHANGES || v->moves > 0)
        return 0;
    int r = find_dir_locked(t, key, &i);
    if (r < 0 || !i)
        return r;
    if (!vfs_listing_fresh_locked(v, i)) {
        r = vfs_listing_new_locked(v, i, t->start_ns, &d);
        if (r == 0)
            r = add_locked(v, i, d, key, part, last, NULL);
        if (r < 0)
            vfs_listing_drop_locked(v, i);
        else if (d->marker && v->walk.n_marked < VFS_WALK_MARKED)
            v->walk.marked[v->walk.n_marked++] = i->ino;
        if (r == 0)
            is_there_locked(t, i);
    }
    inode_unref(&v->inodes, i);
    return r;
}

/* Whether the page tells that nothing is in the directory. */
static bool is_past(const struct store_page *page, const char *prefix)
{
    return !page->next_token ||
           (page->n_entries > 0 && strcmp(page->entries[page->n_entries - 1].key, prefix) > 0);
}

static int take_page_locked(struct take *t, const char *base, const char *after,
                            const struct store_page *page, struct s3_error *err)
{
    static const struct store_page empty;
    t->n_keys = page->n_entries;
    t->v->walk.n_marked = 0;
    int r = subtree_split(base, after, page, take_dir, t, err);
    if (r == -EPROTO)
        t->v->walk.off = true;
    if (t->taken)
        return 0; /* what is missing of the others will be asked for */
    if (r == 0 && is_past(page, t->prefix))
        return add_locked(t->v, t->dir, t->d, t->prefix, &empty, NULL, err);
    return r == -ENOMEM ? r : -EAGAIN;
}

/* A key before all that are in the directory, and after nearly all that are before it: '.' comes
 * before '/'. What is between them is only told in vain. */
int vfs_walk_before(const char *prefix, char after[COMPONENT_LENGTH_MAX + 2])
{
    size_t len = strlen(prefix);
    if (len + 1 > COMPONENT_LENGTH_MAX)
        return -EAGAIN;
    memcpy(after, prefix, len - 1);
    memcpy(after + len - 1, ".~", 3);
    return 0;
}

/* The page was asked for before the listing d was begun: what this mount did in between is not in
 * either. */
static bool use_ahead_locked(struct take *t, char after[COMPONENT_LENGTH_MAX + 2],
                             struct store_page *page)
{
    struct vfs *v = t->v;
    uint64_t start_ns, n_changes;
    if (!vfs_walk_ahead_take_locked(v, t->prefix, after, page, &start_ns, &n_changes))
        return false;
    uint64_t own_start = t->n_changes;
    t->n_changes = n_changes;
    if (v->moves > 0 || v->walk.n_changes - n_changes > VFS_WALK_CHANGES ||
        was_changed_locked(t, t->dir)) {
        t->n_changes = own_start;
        store_page_done(page);
        *page = (struct store_page){0};
        return false;
    }
    t->start_ns = t->d->since_ns = start_ns;
    if (t->dir->dir == t->d)
        t->dir->dir_until_ns = vfs_after(start_ns, v->opts.metadata_ttl_ns);
    return true;
}

/* After a page that is not the last: from the second one in a row on those that follow are asked
 * for. */
static void ask_ahead_locked(struct take *t, const char *base, const char *after,
                             const struct store_page *page)
{
    struct vfs *v = t->v;
    size_t len = strlen(base);
    bool row = strcmp(v->walk.next.after, after) == 0 && strcmp(v->walk.next.base, base) == 0;
    memcpy(v->walk.next.base, base, len + 1);
    memcpy(v->walk.next.after, t->next, sizeof(t->next));
    if (row && t->next[0])
        vfs_walk_ahead_begin_locked(v, base, page, t->next + len);
}

/* The key below which the walk asks: that of the pages that are asked for ahead, or of the last
 * page if this directory is the one that it ended before, rather than that which is seen from here.
 */
static size_t wider_base_locked(const struct vfs *v, const char *prefix, const char *after,
                                size_t walk)
{
    size_t ahead = vfs_walk_ahead_base_locked(v, prefix);
    if (ahead == VFS_NO_WALK && strcmp(v->walk.next.after, after) == 0)
        ahead = strlen(v->walk.next.base);
    return MIN(ahead, walk);
}

int vfs_walk_fetch_locked(struct vfs *v, struct inode *dir, struct dir *d, const char *prefix,
                          size_t walk, struct s3_error *err)
{
    char base[COMPONENT_LENGTH_MAX + 1], after[COMPONENT_LENGTH_MAX + 2];
    if (vfs_walk_before(prefix, after) < 0)
        return -EAGAIN;
    walk = wider_base_locked(v, prefix, after, walk);
    struct take t = {.v = v,
                     .dir = dir,
                     .d = d,
                     .prefix = prefix,
                     .base = dir,
                     .base_len = walk,
                     .start_ns = vfs_now(v),
                     .n_changes = v->walk.n_changes};
    size_t up_len = strlen(prefix);
    while (t.base->parent && up_len > walk) {
        up_len -= t.base->name_len + 1;
        t.base = t.base->parent;
    }
    if (up_len != walk || t.base == dir)
        return -EAGAIN;
    memcpy(base, prefix, walk);
    base[walk] = '\0';

    struct store_page page = {0};
    struct store_list_in in = {.prefix = base, .start_after = after};
    struct s3_error local = {0};
    int r = 0;
    inode_ref(t.base);
    bool ahead = use_ahead_locked(&t, after, &page);
    if (!ahead) {
        pthread_mutex_unlock(&v->lock);
        r = store_list(v->store, &in, &page, &local);
        pthread_mutex_lock(&v->lock);
    }
    if (r == 0) {
        r = take_page_locked(&t, base, after, &page, &local);
        if (r == 0 && t.taken && page.next_token && !ahead)
            ask_ahead_locked(&t, base, after, &page);
        store_page_done(&page);
    } else if (local.kind == S3_ERROR_ACCESS_DENIED || local.kind == S3_ERROR_INVALID ||
               local.kind == S3_ERROR_UNSUPPORTED) {
        /* Some policies allow a listing of one directory only. */
        v->walk.off = true;
        r = -EAGAIN;
    }
    if (r < 0 && r != -EAGAIN && err)
        *err = local;
    inode_unref(&v->inodes, t.base);
    return r;
}
