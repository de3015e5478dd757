/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a large directory that are asked for one after the other in their order (`ls -l` that
 * outlasts the time for which listings are believed, a backup that looks at each file of its
 * index): instead of a request for each, a page of the names that follow the last one. It is kept
 * apart from the directory's listing, which has to begin at the beginning, and answers only for
 * names that are in it. */
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_impl.h"

/* From one name to the next. */
#define WINDOW_NS (10 * (uint64_t)NS_PER_S)
/* So many names in a row, each behind the one before. */
#define ASCENTS_MIN 4u

static void begin_locked(struct vfs *v, const struct inode *dir)
{
    struct vfs_window *w = &v->window;
    dir_unref(w->d);
    w->d = NULL;
    w->ino = dir->ino;
    w->ascents = 0;
    w->last[0] = '\0';
}

static struct dir_entry *find_locked(struct vfs *v, const struct inode *dir, const char *name,
                                     const struct name_target *t)
{
    struct vfs_window *w = &v->window;
    struct dir_entry *e;
    if (!w->d || w->ino != dir->ino || w->changes != dir->changes ||
        vfs_now(v) >= vfs_after(w->d->since_ns, v->opts.metadata_ttl_ns) ||
        dir_lookup(w->d, name, t, &e) != DIR_FOUND)
        return NULL;
    return e;
}

static int answer_locked(struct vfs *v, struct inode *dir, const char *name,
                         const struct name_target *t, struct inode **ret)
{
    const struct dir_entry *e = find_locked(v, dir, name, t);
    return e ? vfs_inode_of_entry_locked(v, dir, v->window.d, e, ret) : VFS_MUST_ASK;
}

static void asked_locked(struct vfs_window *w, const struct name_target *t, uint64_t now)
{
    w->ascents = strcmp(t->component, w->last) > 0 ? w->ascents + 1 : 0;
    memcpy(w->last, t->component, t->len + 1);
    w->asked_ns = now;
}

struct dir_entry *vfs_window_find_locked(struct vfs *v, const struct inode *dir, const char *name,
                                         const struct name_target *t)
{
    struct vfs_window *w = &v->window;
    uint64_t now = vfs_now(v);
    struct dir_entry *e = w->busy || now - w->asked_ns > WINDOW_NS || vfs_is_lock_name(v, name)
                              ? NULL
                              : find_locked(v, dir, name, t);
    if (e)
        asked_locked(w, t, now);
    return e;
}

static int fetch(struct vfs *v, const char *prefix, const char *after, struct dir *d)
{
    char start[2 * COMPONENT_LENGTH_MAX + 2];
    struct store_page page = {0};
    struct store_list_in in = {.prefix = prefix, .delimited = true, .start_after = start};
    size_t len = strlen(prefix);
    memcpy(start, prefix, len);
    memcpy(start + len, after, strlen(after) + 1);
    int r = store_list(v->store, &in, &page, NULL);
    if (r < 0)
        return r;
    r = dir_add_page(d, prefix, &page, NULL);
    store_page_done(&page);
    return r;
}

void vfs_window_expire_locked(struct vfs *v)
{
    struct vfs_window *w = &v->window;
    uint64_t until = w->d ? vfs_after(w->d->since_ns, v->opts.metadata_ttl_ns) : UINT64_MAX;
    if (vfs_now(v) >= until && !w->busy) {
        dir_unref(w->d);
        w->d = NULL;
    } else {
        vfs_idle_note_locked(v, until);
    }
}

int vfs_window_ask_locked(struct vfs *v, struct inode *dir, const char *name,
                          const struct name_target *t, struct inode **ret)
{
    struct vfs_window *w = &v->window;
    char prefix[COMPONENT_LENGTH_MAX + 1], after[COMPONENT_LENGTH_MAX + 1];
    uint64_t now = vfs_now(v);
    struct dir *d;
    if (t->hashed || !dir->large || v->walk.off || w->busy || vfs_is_lock_name(v, name) ||
        v->opts.metadata_ttl_ns < (uint64_t)NS_PER_S)
        return VFS_MUST_ASK;
    if (w->ino != dir->ino || now - w->asked_ns > WINDOW_NS)
        begin_locked(v, dir);
    memcpy(after, w->last, sizeof(after));
    asked_locked(w, t, now);
    int r = answer_locked(v, dir, name, t, ret);
    if (r != VFS_MUST_ASK || w->ascents < ASCENTS_MIN)
        return r;
    if (inode_key(dir, COMPONENT_LENGTH_MAX, prefix) < 0 || dir_new(now, &d) < 0)
        return VFS_MUST_ASK;
    uint64_t changes = dir->changes;
    w->busy = true;
    pthread_mutex_unlock(&v->lock);
    r = fetch(v, prefix, after, d);
    pthread_mutex_lock(&v->lock);
    w->busy = false;
    dir_unref(w->d);
    w->d = d;
    w->changes = changes;
    vfs_idle_note_locked(v, vfs_after(now, v->opts.metadata_ttl_ns));
    if (r == 0)
        r = answer_locked(v, dir, name, t, ret);
    if (r == 0)
        return 0;
    /* It is asked for by itself, and so are some more before the next try. */
    begin_locked(v, dir);
    return VFS_MUST_ASK;
}
