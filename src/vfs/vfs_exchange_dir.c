/* SPDX-License-Identifier: Apache-2.0 */
/* RENAME_EXCHANGE with a directory: the steps of vfs_exchange.h, with what is open and cached below
 * the two names going along, and what a crash left of one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "vfs/vfs_exchange.h"

/* For a moment while two directories exchange their names; no key can have this component. */
#define BETWEEN "\n/"

#define METADATA_BYTES_MAX (256u << 10)

struct end {
    struct inode *inode;
    struct inode *dir; /* where it is */
    char component[COMPONENT_LENGTH_MAX + 1];
    char key[COMPONENT_LENGTH_MAX + 1];
    struct vfs_move move; /* of a directory: its last step; watch is owned */
    bool marks_itself;
};

struct swap {
    struct vfs *v;
    struct end a;         /* a directory */
    struct end b;         /* another one, or a file */
    struct open_file *of; /* of the file; this thread is busy with it */
    uint64_t size;
    struct store_version version; /* of the file's copy */
    /* what that carries */
    struct arena arena;
    struct store_object o;
    struct store_attrs attrs;
    struct exchange x;
};

/* ---- one at a time ---- */

void vfs_exchange_begin_locked(struct vfs *v)
{
    while (v->exchange.busy)
        pthread_cond_wait(&v->changed, &v->lock);
    v->exchange.busy = true;
}

void vfs_exchange_end_locked(struct vfs *v)
{
    v->exchange.busy = false;
    pthread_cond_broadcast(&v->changed);
}

static bool is_exchanging(const struct vfs *v, const struct inode *dir, const char *name)
{
    for (size_t n = 0; n < ARRAY_SIZE(v->exchange.ends); n++) {
        const struct inode *end = v->exchange.ends[n];
        if (end && (inode_is_under(dir, end) ||
                    (name && end->parent == dir && strcmp(end->name, name) == 0)))
            return true;
    }
    return false;
}

void vfs_exchange_wait_locked(struct vfs *v, const struct inode *dir, const char *name)
{
    while (is_exchanging(v, dir, name))
        pthread_cond_wait(&v->changed, &v->lock);
}

/* ---- in the store, without the lock ---- */

static int all_copied(void *ctx)
{
    struct swap *s = ctx;
    int r = exchange_enter(&s->x, s->x.step, VFS_INTENT_DELETING, false);
    /* The first step would be undone after a crash, but not of what is deleted by then. Of the
     * others it is as if the last copy were missing, which costs a comparison. */
    return s->x.step == 1 ? r : 0;
}

/* The watched keys of the step before, under the names that it gave them. */
static int rename_watched(struct vfs_move *m, const char *from, const char *to)
{
    size_t from_len = strlen(from), to_len = strlen(to), n = 0;
    for (size_t k = 0; k < m->n_watch; k++) {
        struct vfs_move_watch *w = &m->watch[k];
        size_t len = strlen(w->key);
        if (!w->etag[0] || len - from_len + to_len > COMPONENT_LENGTH_MAX)
            continue;
        memmove(w->key + to_len, w->key + from_len, len - from_len + 1);
        memcpy(w->key, to, to_len);
        w->etag[0] = '\0';
        m->watch[n++] = *w;
    }
    m->n_watch = n;
    return 0;
}

static int move_step(struct swap *s, struct end *e, const char *from, const char *to,
                     struct s3_error *err)
{
    struct vfs_move *m = &e->move;
    if (m->from)
        (void)rename_watched(m, m->from, from);
    *m = (struct vfs_move){.dir = e->inode,
                           .from = from,
                           .to = to,
                           .watch = m->watch,
                           .n_watch = m->n_watch,
                           .all_copied = all_copied,
                           .ctx = s};
    int r = vfs_move_tree(s->v, m, err);
    e->marks_itself |= m->marks_itself;
    CRASH_POINT("exchange.moved");
    return r;
}

static int all_steps(struct swap *s, struct s3_error *err)
{
    struct exchange *x = &s->x;
    unsigned n = exchange_steps(x);
    int r = 0;
    for (unsigned step = 1; step <= n && r == 0; step++) {
        const char *from, *to;
        if (step > 1)
            r = exchange_enter(x, step, VFS_INTENT_COPYING, false);
        if (r < 0)
            break;
        struct s3_error local = {0};
        if (exchange_step(x, step, &from, &to))
            r = move_step(s, step == 2 ? &s->b : &s->a, from, to, &local);
        else
            r = exchange_move_file(x, s->size, &s->version, &local);
        if (r < 0 && exchange_delete_again(x, &local, NULL) == 0)
            r = 0;
        if (r < 0 && err)
            *err = local;
    }
    return r;
}

/* ---- and here ---- */

static int rename_both_locked(struct swap *s)
{
    struct inode_table *t = &s->v->inodes;
    struct inode *a = s->a.inode, *b = s->b.inode;
    if (s->of) {
        int r = vfs_rename_inode_locked(s->v, a, s->b.dir, s->b.component);
        return r < 0 ? r : vfs_rename_inode_locked(s->v, b, s->a.dir, s->a.component);
    }
    int r = inode_move(t, a, s->a.dir, BETWEEN);
    if (r == 0)
        r = inode_move(t, b, s->a.dir, s->a.component);
    if (r == 0)
        r = inode_move(t, a, s->b.dir, s->b.component);
    struct inode *both[] = {a, b}, *dirs[] = {s->b.dir, s->a.dir};
    for (size_t n = 0; n < ARRAY_SIZE(both); n++) {
        vfs_dir_changed_locked(s->v, dirs[n]);
        if (r == 0) {
            vfs_listing_put_locked(s->v, dirs[n], both[n]);
            continue;
        }
        vfs_listing_drop_locked(s->v, dirs[n]);
        inode_unlink(t, both[n]); /* without memory: found anew by its name */
    }
    if (r == 0) { /* another tool's marks are of the names */
        bool mark = a->folder_mark;
        a->folder_mark = b->folder_mark;
        b->folder_mark = mark;
    }
    return r;
}

static int dir_moved_locked(struct swap *s, struct end *e, struct s3_error *err)
{
    struct inode *i = e->inode;
    vfs_expire_below_locked(s->v, i);
    i->attr.ctime_ns = clock_realtime_ns(s->v->clock);
    i->marker = e->move.marker_moved ? KNOWN_YES : KNOWN_NO;
    i->marker_own = false;
    int r = vfs_move_follow_locked(s->v, i, &e->move);
    if (r == 0 && e->marks_itself)
        r = vfs_posix_mark_locked(s->v, i, err);
    return r;
}

static int file_moved_locked(struct swap *s)
{
    struct vfs *v = s->v;
    struct inode *i = s->b.inode;
    memcpy(i->attr.etag, s->version.etag, sizeof(i->attr.etag));
    vfs_renamed_attrs_locked(v, i, s->a.dir, &s->o, s->version.mtime_ns);
    i->attr_until_ns = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
    i->changes++;
    i->version++;
    if (i->parent == s->a.dir)
        vfs_listing_put_locked(v, s->a.dir, i);
    if (!s->of->writer)
        return 0;
    pthread_mutex_unlock(&v->lock);
    int r = writer_set_key(s->of->writer, s->x.plain, s->version.etag);
    pthread_mutex_lock(&v->lock);
    return r;
}

static int moved_locked(struct swap *s, struct s3_error *err)
{
    int r = rename_both_locked(s);
    if (r == 0)
        r = dir_moved_locked(s, &s->a, err);
    if (r == 0)
        r = s->of ? file_moved_locked(s) : dir_moved_locked(s, &s->b, err);
    if (r == 0 && s->of)
        r = vfs_folder_mark_delete_locked(s->v, s->a.inode, s->a.key, err);
    return r;
}

/* Which keys are where is for the store to tell. */
static void failed_locked(struct swap *s)
{
    struct end *ends[] = {&s->a, &s->b};
    for (size_t n = 0; n < ARRAY_SIZE(ends); n++) {
        struct inode *i = ends[n]->inode;
        if (i->kind == NODE_DIR) {
            vfs_expire_below_locked(s->v, i);
            i->marker = KNOWN_NOT;
        }
        i->attr_until_ns = 0;
        vfs_listing_drop_locked(s->v, ends[n]->dir);
        ends[n]->dir->changes++;
    }
}

/* ---- before ---- */

static int prepare_dir_locked(struct vfs *v, struct end *e, struct inode *new_dir,
                              struct s3_error *err)
{
    bool marker = false;
    int r = vfs_move_prepare_locked(v, e->inode, new_dir, err);
    if (r == 0) {
        r = vfs_check_empty_locked(v, e->inode, &marker, err);
        /* Without a key at all a crash in the middle would be its end. */
        if (r == 0 && !marker)
            r = vfs_marker_write_locked(v, e->inode, false, err);
        r = r == -ENOTEMPTY ? 0 : r;
    }
    if (r == 0)
        r = inode_key(e->inode, v->opts.key_max, e->key);
    if (r == 0)
        r = vfs_move_watch_locked(v, e->inode, &e->move);
    return r;
}

static int prepare_file_locked(struct swap *s, struct s3_error *err)
{
    struct inode *i = s->b.inode;
    if (i->unlinked || i->beside)
        return i->beside ? -ENOTEMPTY : -ENOENT;
    int r = vfs_commit_locked(s->v, s->of, err);
    if (r == 0)
        r = vfs_rename_mark_locked(s->v, s->a.dir, i, err);
    if (r == 0)
        r = inode_key(i, s->v->opts.key_max, s->b.key);
    if (r < 0)
        return r;
    memcpy(s->x.etag, i->attr.etag, sizeof(s->x.etag));
    struct vfs_copy c = {.source = s->b.key, .size = i->attr.size};
    r = vfs_rename_attrs_locked(s->v, s->of, s->a.component, &c, s->x.etag, &s->arena, &s->o,
                                &s->attrs, err);
    s->size = c.size;
    s->x.carried = c.attrs;
    if (r == 0 && strcmp(s->x.etag, i->attr.etag) != 0) {
        i->attr_until_ns = 0;
        return -ESTALE; /* another host's, by now */
    }
    return r;
}

static int exchange_locked(struct swap *s, struct s3_error *err)
{
    struct vfs *v = s->v;
    int r = prepare_dir_locked(v, &s->a, s->b.dir, err);
    if (r == 0)
        r = s->of ? prepare_file_locked(s, err) : prepare_dir_locked(v, &s->b, s->a.dir, err);
    s->x.v = v;
    s->x.key = s->a.key;
    s->x.key2 = s->b.key;
    if (r == 0)
        r = exchange_init(&s->x);
    if (r < 0)
        return r;
    v->exchange.ends[0] = s->a.inode;
    v->exchange.ends[1] = s->b.inode;
    pthread_mutex_unlock(&v->lock);
    r = exchange_begin(&s->x);
    bool begun = r == 0;
    if (begun)
        r = all_steps(s, err);
    if (r == 0)
        vfs_intent_end(v, s->x.intent);
    else if (begun)
        (void)exchange_go_back(&s->x, NULL);
    pthread_mutex_lock(&v->lock);
    v->exchange.ends[0] = v->exchange.ends[1] = NULL;
    if (r == 0)
        r = moved_locked(s, err);
    else if (err && err->kind == S3_ERROR_PRECONDITION)
        r = -ESTALE;
    if (r < 0 && begun)
        failed_locked(s);
    pthread_cond_broadcast(&v->changed);
    return r;
}

static int with_file_locked(struct swap *s, struct s3_error *err)
{
    int r = vfs_open_file_get_locked(s->v, s->b.inode, &s->of);
    if (r < 0)
        return r;
    r = vfs_open_file_begin_named_locked(s->v, s->of, s->b.dir, s->b.component);
    if (r == 0) {
        r = exchange_locked(s, err);
        vfs_open_file_end_locked(s->v, s->of);
    }
    vfs_open_file_put_locked(s->v, s->of);
    return r;
}

int vfs_exchange_dir_locked(struct vfs *v, struct inode *i, struct inode *k, struct s3_error *err)
{
    struct inode *a = i->kind == NODE_DIR ? i : k, *b = a == i ? k : i;
    if (inode_is_under(a, b) || inode_is_under(b, a))
        return -EINVAL;
    struct swap *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    *s = (struct swap){.v = v, .a.inode = a, .a.dir = a->parent, .b.inode = b, .b.dir = b->parent};
    int r = a->parent && b->parent ? 0 : -ENOENT;
    if (r == 0 && (a->name_len == 0 || b->name_len == 0))
        r = -EINVAL;
    if (r < 0) {
        free(s);
        return r;
    }
    arena_init(&s->arena, METADATA_BYTES_MAX);
    memcpy(s->a.component, a->name, a->name_len + 1);
    memcpy(s->b.component, b->name, b->name_len + 1);
    bool dirs = b->kind == NODE_DIR;
    if (dirs)
        vfs_move_begin_both_locked(v, a, b);
    else
        vfs_move_begin_locked(v, a);
    /* Somebody may have renamed or removed one while this one waited. */
    if (a->parent != s->a.dir || b->parent != s->b.dir || strcmp(a->name, s->a.component) != 0 ||
        strcmp(b->name, s->b.component) != 0)
        r = -ENOENT;
    else
        r = dirs ? exchange_locked(s, err) : with_file_locked(s, err);
    vfs_move_end_locked(v, a);
    if (dirs)
        vfs_move_end_locked(v, b);
    free(s->a.move.watch);
    free(s->b.move.watch);
    store_object_done(&s->o);
    arena_done(&s->arena);
    free(s);
    return r;
}

/* ---- after a crash ---- */

static int resume_with_file_locked(struct vfs *v, struct exchange *x, struct s3_error *err)
{
    struct inode *i;
    struct open_file *of;
    int r = vfs_inode_of_key_locked(v, x->key2, &i);
    if (r < 0)
        return r;
    r = vfs_open_file_get_locked(v, i, &of);
    if (r == 0) {
        vfs_open_file_begin_locked(v, of);
        pthread_mutex_unlock(&v->lock);
        r = exchange_resume(x, err);
        pthread_mutex_lock(&v->lock);
        vfs_open_file_end_locked(v, of);
        vfs_open_file_put_locked(v, of);
    }
    i->attr_until_ns = 0;
    inode_unref(&v->inodes, i);
    return r;
}

static int resume_locked(struct vfs *v, struct exchange *x, struct inode *const both[2],
                         struct s3_error *err)
{
    int r;
    VFS_GUARD(v, both[0]->parent);
    VFS_GUARD_NAMED(second_guard, v, both[1]->parent);
    vfs_move_begin_both_locked(v, both[0], both[1]);
    if (x->with_file) {
        r = resume_with_file_locked(v, x, err);
    } else {
        pthread_mutex_unlock(&v->lock);
        r = exchange_resume(x, err);
        pthread_mutex_lock(&v->lock);
    }
    for (size_t n = 0; n < 2; n++) {
        struct inode *i = both[n];
        vfs_expire_below_locked(v, i);
        i->attr_until_ns = 0;
        i->marker = KNOWN_NOT;
        if (i->parent) {
            vfs_listing_drop_locked(v, i->parent);
            i->parent->changes++;
        }
        vfs_move_end_locked(v, i);
    }
    return r;
}

int vfs_recover_exchange_dir(struct vfs *v, const struct state_intent *t, struct s3_error *err)
{
    struct inode *both[2];
    struct exchange *x = calloc(1, sizeof(*x));
    if (!x)
        return -ENOMEM;
    x->v = v;
    x->stop = v->recover_stop;
    if (exchange_load(x, t) < 0) {
        log_warn("a note of an interrupted exchange of '%s' is not understood: it is dropped",
                 t->key);
        free(x);
        return 0;
    }
    log_info("%s the exchange of '%s' and '%s'", x->back ? "undoing" : "going on with", x->key,
             x->key2);
    SCOPE_LOCK(&v->lock);
    vfs_exchange_begin_locked(v);
    int r = vfs_dirs_of_keys_locked(v, x->key, x->beside, both);
    if (r == 0) {
        r = resume_locked(v, x, both, err);
        inode_unref(&v->inodes, both[0]);
        inode_unref(&v->inodes, both[1]);
    }
    vfs_exchange_end_locked(v);
    free(x);
    return r;
}
