/* SPDX-License-Identifier: Apache-2.0 */
/* Listings of directories in the cache: fetched page by page by whoever needs the next one, shared
 * by all, believed for metadata_ttl from the time they were begun, dropped least recently used
 * first when they take too much memory. A listing keeps its inode: what was listed ahead of a
 * reader (vfs_walk.c) is of directories that the kernel has not heard of. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_impl.h"

/* In a row, that are not the last; legal where everything was deleted. */
#define EMPTY_PAGES_MAX 1000u
/* A listing that is not believed any more, and was not asked for since, goes after so long. */
#define LISTING_IDLE_NS (60 * (uint64_t)NS_PER_S)
/* Of the directory's inode, which stays with the listing. */
#define LISTING_INODE_BYTES (sizeof(struct inode) + 64u)

/* A listing leaves room for an inode of each entry in the same measure; see opts.listing_memory. */
static void account_locked(struct vfs *v, size_t before, size_t after)
{
    v->listing_bytes += after;
    v->listing_bytes -= before;
}

void vfs_listing_grown_locked(struct vfs *v, struct dir *d, size_t before, size_t after)
{
    d->bytes += after;
    d->bytes -= before;
    account_locked(v, before, after);
}

void vfs_listing_drop_locked(struct vfs *v, struct inode *dir)
{
    if (!dir->dir)
        return;
    TAILQ_REMOVE(&v->listings, dir, by_use);
    account_locked(v, dir->dir->bytes + LISTING_INODE_BYTES, 0);
    dir_unref(dir->dir);
    dir->dir = NULL;
    inode_unref(&v->inodes, dir);
}

static void used_locked(struct vfs *v, struct inode *dir)
{
    TAILQ_REMOVE(&v->listings, dir, by_use);
    TAILQ_INSERT_TAIL(&v->listings, dir, by_use);
}

/* Listings in use stay: their readers go on, and the next reader would fetch them again. The next
 * one in the list has a reference of its own, so it outlives what a drop frees. */
static void shrink_locked(struct vfs *v)
{
    struct inode *dir = TAILQ_FIRST(&v->listings);
    uint64_t now = vfs_now(v);
    while (dir && (v->listing_bytes > v->opts.listing_memory ||
                   now >= vfs_after(dir->dir_until_ns, LISTING_IDLE_NS))) {
        struct inode *next = TAILQ_NEXT(dir, by_use);
        if (dir->dir->refs == 1)
            vfs_listing_drop_locked(v, dir);
        dir = next;
    }
}

/* The next one that nobody uses: they are in the order of their use. */
void vfs_listings_expire_locked(struct vfs *v)
{
    struct inode *dir;
    shrink_locked(v);
    TAILQ_FOREACH (dir, &v->listings, by_use) {
        if (dir->dir->refs == 1)
            break;
    }
    if (dir)
        vfs_idle_note_locked(v, vfs_after(dir->dir_until_ns, LISTING_IDLE_NS));
}

void vfs_listing_forgotten_locked(struct vfs *v, struct inode *dir)
{
    if (dir->dir && (!dir->dir->complete || vfs_now(v) >= dir->dir_until_ns))
        vfs_listing_drop_locked(v, dir);
}

void vfs_listing_drop_below_locked(struct vfs *v, const struct inode *dir)
{
    struct inode *i = TAILQ_FIRST(&v->listings);
    while (i) {
        struct inode *next = TAILQ_NEXT(i, by_use);
        if (inode_is_under(i, dir))
            vfs_listing_drop_locked(v, i);
        i = next;
    }
}

struct dir *vfs_listing_fresh_locked(struct vfs *v, struct inode *dir)
{
    if (!dir->dir)
        return NULL;
    if (vfs_now(v) >= dir->dir_until_ns) {
        vfs_listing_drop_locked(v, dir);
        return NULL;
    }
    used_locked(v, dir);
    return dir->dir;
}

static void install_locked(struct vfs *v, struct inode *dir, struct dir *d)
{
    inode_ref(dir);
    vfs_listing_drop_locked(v, dir);
    dir->dir = d;
    dir->dir_until_ns = vfs_after(d->since_ns, v->opts.metadata_ttl_ns);
    TAILQ_INSERT_TAIL(&v->listings, dir, by_use);
    account_locked(v, 0, d->bytes + LISTING_INODE_BYTES);
    vfs_idle_note_locked(v, vfs_after(dir->dir_until_ns, LISTING_IDLE_NS));
}

/* Files that only this host knows are not in the store's pages. */
static int add_own_files_locked(struct vfs *v, struct inode *dir, struct dir *d)
{
    struct open_file *of;
    TAILQ_FOREACH (of, &v->open_files, link) {
        const struct inode *i = of->inode;
        if (i->parent != dir || !of->absent)
            continue;
        int r = dir_put(d, i->name, NODE_FILE, i->attr.size, i->attr.mtime_ns, NULL);
        if (r < 0)
            return r;
    }
    return 0;
}

int vfs_listing_new_locked(struct vfs *v, struct inode *dir, uint64_t since_ns, struct dir **ret)
{
    struct dir *d;
    int r = dir_new(since_ns, &d);
    if (r < 0)
        return r;
    if ((r = add_own_files_locked(v, dir, d)) < 0) {
        dir_unref(d);
        return r;
    }
    install_locked(v, dir, d);
    *ret = d;
    return 0;
}

int vfs_listing_get_locked(struct vfs *v, struct inode *dir, struct dir **ret)
{
    struct dir *d = vfs_listing_fresh_locked(v, dir);
    int r = d ? 0 : vfs_listing_new_locked(v, dir, vfs_now(v), &d);
    if (r == 0)
        *ret = dir_ref(d);
    return r;
}

void vfs_listing_empty_locked(struct vfs *v, struct inode *dir)
{
    struct dir *d;
    if (dir_new(vfs_now(v), &d) < 0)
        return; /* then it will be asked for */
    d->complete = d->marker = true;
    install_locked(v, dir, d);
}

/* The object that stands in for the bucket's root is its marker, not an entry. */
static void hide_own_keys(struct vfs *v, struct dir *d)
{
    if (dir_find(d, VFS_HIDDEN_DIR, NODE_DIR))
        (void)dir_remove(d, VFS_HIDDEN_DIR, NODE_DIR);
    if (v->opts.root_has_key)
        return;
    const struct dir_entry *e = dir_find(d, VFS_ROOT_KEY, NODE_FILE);
    if (!e)
        return;
    dir_set_marker(d, VFS_ROOT_KEY, e->size, e->mtime_ns, dir_entry_etag(e));
    (void)dir_remove(d, VFS_ROOT_KEY, NODE_FILE);
}

/* What the page tells about the directory itself. */
static void learn_locked(struct vfs *v, struct inode *dir, struct dir *d)
{
    /* That a page of several directories ended in this one says nothing of its length. */
    if (d->complete || (d->pages == 1 && !d->after))
        dir->large = !d->complete;
    if (d->marker) {
        dir->marker = KNOWN_YES;
    } else if (((dir != v->inodes.root || v->opts.root_has_key) && dir_has_begun(d)) ||
               d->complete) {
        if (dir->marker == KNOWN_YES && !vfs_attrs_pending(dir))
            dir->attr.posix_known = false; /* what it said has gone with it */
        dir->marker = KNOWN_NO;
        dir->posix = KNOWN_NO;
        dir->posix_until_ns = dir->dir_until_ns;
    }
}

/* The key of the directory, the same as for the pages before. */
static int prefix_locked(struct inode *dir, struct dir *d, char prefix[COMPONENT_LENGTH_MAX + 1])
{
    int r = inode_key(dir, COMPONENT_LENGTH_MAX, prefix);
    if (r < 0)
        return r;
    /* The directory was renamed since the last page: the token goes on under the old name, where
     * nothing is any more. */
    if (d->prefix_hash && d->prefix_hash != dir_key_hash(prefix))
        return -ESTALE;
    d->prefix_hash = dir_key_hash(prefix);
    return 0;
}

void vfs_listing_added_locked(struct vfs *v, struct inode *dir, struct dir *d, size_t before,
                              int result)
{
    if (result == 0 && dir == v->inodes.root)
        hide_own_keys(v, d);
    d->broken |= result == -ENOMEM;
    if (dir->dir != d)
        return;
    account_locked(v, before, d->bytes);
    if (result == 0)
        learn_locked(v, dir, d);
    if (result == -ENOMEM)
        vfs_listing_drop_locked(v, dir);
}

/* The next page of a delimited listing. */
static int fetch_page_locked(struct vfs *v, struct inode *dir, struct dir *d, const char *prefix,
                             size_t walk, struct s3_error *err)
{
    if (d->pager)
        return vfs_pager_more_locked(v, dir, d, prefix, err);
    struct store_page page = {0};
    struct store_list_in in = {.prefix = prefix,
                               .delimited = true,
                               .token = d->token,
                               .start_after = d->token ? NULL : d->after};
    pthread_mutex_unlock(&v->lock);
    int r = store_list(v->store, &in, &page, err);
    pthread_mutex_lock(&v->lock);
    if (r < 0)
        return r;
    size_t before = d->bytes;
    r = dir_add_page(d, prefix, &page, err);
    vfs_listing_added_locked(v, dir, d, before, r);
    /* Without memory for more at a time it goes on one by one. */
    if (r == 0 && d->token && walk != VFS_FIRST_PAGE && !v->walk.off && v->opts.parallel > 1)
        (void)vfs_pager_new(v, prefix, &page, d);
    store_page_done(&page);
    return r;
}

static int fetch_locked(struct vfs *v, struct inode *dir, struct dir *d, size_t walk,
                        struct s3_error *err)
{
    char prefix[COMPONENT_LENGTH_MAX + 1];
    int r = prefix_locked(dir, d, prefix);
    if (r < 0)
        return r;
    d->loading = true;
    r = walk < VFS_NO_WALK && d->pages == 0 ? vfs_walk_fetch_locked(v, dir, d, prefix, walk, err)
                                            : -EAGAIN;
    if (r == -EAGAIN)
        r = fetch_page_locked(v, dir, d, prefix, walk, err);
    d->loading = false;
    shrink_locked(v);
    pthread_cond_broadcast(&v->changed);
    return r;
}

int vfs_listing_more_locked(struct vfs *v, struct inode *dir, struct dir *d, size_t walk,
                            struct s3_error *err)
{
    unsigned pages = d->pages;
    if (d->broken)
        return -ENOMEM;
    /* When the one who was at it failed, this caller finds out why by itself. */
    while (!d->complete && d->pages == pages) {
        if (!d->loading)
            return fetch_locked(v, dir, d, walk, err);
        pthread_cond_wait(&v->changed, &v->lock);
    }
    return 0;
}

int vfs_listing_first_locked(struct vfs *v, struct inode *dir, size_t walk, struct s3_error *err)
{
    struct dir *d;
    int r = vfs_listing_get_locked(v, dir, &d);
    if (r < 0)
        return r;
    if (d->pages == 0 && !d->complete)
        r = vfs_listing_more_locked(v, dir, d, walk, err);
    dir_unref(d);
    return r;
}

int vfs_list_some(struct vfs *v, const struct store_list_in *in, struct store_page *page,
                  struct s3_error *err)
{
    struct store_list_in next = *in;
    CLEANUP_FREE char *token = NULL;
    for (unsigned n = 0; n < EMPTY_PAGES_MAX; n++) {
        int r = store_list(v->store, &next, page, err);
        if (r < 0 || page->n_entries + page->n_prefixes > 0 || !page->next_token)
            return r;
        free(token);
        token = strdup(page->next_token);
        store_page_done(page);
        if (!token)
            return -ENOMEM;
        next.token = token;
    }
    return s3_error_set(err, S3_ERROR_BAD_RESPONSE,
                        "the listing of '%s' does not end: %u pages were empty", in->prefix,
                        EMPTY_PAGES_MAX);
}

/* ---- own changes ---- */

static void changed_locked(struct vfs *v, struct inode *dir, size_t before, int result)
{
    account_locked(v, before, dir->dir->bytes);
    if (result < 0)
        vfs_listing_drop_locked(v, dir);
}

void vfs_listing_put_locked(struct vfs *v, struct inode *dir, const struct inode *child)
{
    vfs_walk_changed_locked(v, dir);
    if (!dir->dir)
        return;
    size_t before = dir->dir->bytes;
    const struct inode_attr *a = &child->attr;
    int r = child->kind == NODE_DIR
                ? dir_put(dir->dir, child->name, NODE_DIR, 0, 0, NULL)
                : dir_put(dir->dir, child->name, NODE_FILE, a->size, a->modified_ns, a->etag);
    changed_locked(v, dir, before, r);
}

void vfs_listing_remove_locked(struct vfs *v, struct inode *dir, const char *component,
                               enum node_kind kind)
{
    vfs_walk_changed_locked(v, dir);
    if (!dir->dir)
        return;
    size_t before = dir->dir->bytes;
    changed_locked(v, dir, before, dir_remove(dir->dir, component, kind));
}
