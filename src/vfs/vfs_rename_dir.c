/* SPDX-License-Identifier: Apache-2.0 */
/* rename of a directory: what is open or cached below it goes along with its keys, which
 * vfs_move.c moves. An intent in state.db stands for it while it lasts, so that the next mount
 * finishes what a crash interrupts (vfs_recover_names.c). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash_point.h"
#include "meta/state.h"
#include "vfs/vfs_intent.h"
#include "vfs/vfs_move.h"

/* ---- what is open below ---- */

static bool is_below(const struct open_file *of, const struct inode *dir)
{
    return inode_is_under(of->inode, dir) && of->inode != dir;
}

static int commit_one_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    of->refs++;
    vfs_open_file_begin_locked(v, of);
    int r = vfs_commit_locked(v, of, err);
    vfs_open_file_end_locked(v, of);
    vfs_open_file_put_locked(v, of);
    return r;
}

/* Everything written below the directory is stored under its old key. */
static int commit_below_locked(struct vfs *v, struct inode *dir, struct s3_error *err)
{
    struct open_file *of = TAILQ_FIRST(&v->open_files);
    int r = 0;
    if (of)
        of->refs++;
    while (of) {
        if (r == 0 && is_below(of, dir))
            r = commit_one_locked(v, of, err);
        struct open_file *next = TAILQ_NEXT(of, link);
        if (next)
            next->refs++;
        vfs_open_file_put_locked(v, of);
        of = next;
    }
    return r;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct vfs_move_watch *)a)->key, ((const struct vfs_move_watch *)b)->key);
}

/* The keys of the files below that are open for writing, written or not: their next commits go to
 * the new ones, with the copies' ETags, which are others where an object was made of parts. */
int vfs_move_watch_locked(struct vfs *v, struct inode *dir, struct vfs_move *m)
{
    const struct open_file *of;
    size_t n = 0;
    TAILQ_FOREACH (of, &v->open_files, link)
        n += is_below(of, dir);
    if (n == 0)
        return 0;
    m->watch = calloc(n, sizeof(*m->watch));
    if (!m->watch)
        return -ENOMEM;
    TAILQ_FOREACH (of, &v->open_files, link) {
        if (is_below(of, dir) && m->n_watch < n &&
            inode_key(of->inode, COMPONENT_LENGTH_MAX, m->watch[m->n_watch].key) == 0)
            m->n_watch++;
    }
    qsort(m->watch, m->n_watch, sizeof(*m->watch), by_key);
    return 0;
}

int vfs_move_follow_locked(struct vfs *v, struct inode *dir, const struct vfs_move *m)
{
    struct open_file *of = TAILQ_FIRST(&v->open_files);
    size_t from_len = strlen(m->from), to_len = strlen(m->to);
    int r = 0;
    if (of)
        of->refs++;
    while (of) {
        struct vfs_move_watch old;
        char key[COMPONENT_LENGTH_MAX + 1];
        const struct vfs_move_watch *w = NULL;
        if (is_below(of, dir) && m->n_watch > 0 &&
            inode_key(of->inode, v->opts.key_max, key) == 0 &&
            strlen(key) - to_len + from_len <= COMPONENT_LENGTH_MAX) {
            memcpy(old.key, m->from, from_len);
            memcpy(old.key + from_len, key + to_len, strlen(key + to_len) + 1);
            w = bsearch(&old, m->watch, m->n_watch, sizeof(*m->watch), by_key);
        }
        if (w && w->etag[0]) {
            memcpy(of->inode->attr.etag, w->etag, sizeof(w->etag));
            if (of->writer) {
                pthread_mutex_unlock(&v->lock);
                int set = writer_set_key(of->writer, key, w->etag);
                pthread_mutex_lock(&v->lock);
                r = r == 0 ? set : r;
            }
        }
        struct open_file *next = TAILQ_NEXT(of, link);
        if (next)
            next->refs++;
        vfs_open_file_put_locked(v, of);
        of = next;
    }
    return r;
}

void vfs_expire_below_locked(struct vfs *v, struct inode *dir)
{
    vfs_listing_drop_below_locked(v, dir);
    inode_stubs_expire(&v->inodes, dir);
    for (size_t b = 0; b < v->inodes.n_buckets; b++) {
        for (struct inode *i = v->inodes.by_ino[b]; i; i = i->next_by_ino) {
            if (i == dir || !inode_is_under(i, dir))
                continue;
            i->changes++;
            if (i->kind == NODE_FILE && !i->open) {
                /* A copy is another version, however close its time. */
                i->attr_until_ns = 0;
                i->attr.modified_told = true;
                i->attr.posix_known = i->own_metadata = false;
            }
            i->marker = KNOWN_NOT;
            i->marker_own = false;
            /* A mark stays, its absence may be over. */
            i->posix = i->posix == KNOWN_YES ? KNOWN_YES : KNOWN_NOT;
        }
    }
    dir->posix = dir->posix == KNOWN_YES ? KNOWN_YES : KNOWN_NOT;
    dir->changes++;
}

/* ---- the directory ---- */

int vfs_move_prepare_locked(struct vfs *v, struct inode *i, struct inode *dir, struct s3_error *err)
{
    int r = commit_below_locked(v, i, err);
    if (r == 0 && i->open)
        r = commit_one_locked(v, i->open, err);
    if (r == 0)
        r = vfs_rename_mark_locked(v, dir, i, err);
    if (r == 0 && i->parent && i->parent != dir)
        r = vfs_keep_dir_locked(v, i->parent, err);
    return r;
}

static int prepare_locked(struct vfs *v, struct inode *i, struct inode *dir, struct inode *target,
                          bool *ret_marker, struct s3_error *err)
{
    *ret_marker = false;
    int r = target ? vfs_check_empty_locked(v, target, ret_marker, err) : 0;
    return r < 0 ? r : vfs_move_prepare_locked(v, i, dir, err);
}

struct intent {
    struct vfs *v;
    struct vfs_move *m;
    struct vfs_intent_dir body;
    uint64_t id;
};

static void begin_intent(struct intent *t, uint8_t phase, int64_t claim_ns)
{
    t->body = (struct vfs_intent_dir){.version = VFS_INTENT_VERSION, .phase = phase};
    for (size_t k = 0; k < sizeof(t->body.claim); k++)
        t->body.claim[k] = (uint8_t)((uint64_t)claim_ns >> (8 * k));
    t->id = vfs_intent_begin(t->v, STATE_INTENT_RENAME_DIR, t->m->from, t->m->to, &t->body,
                             sizeof(t->body));
}

/* What follows a crash from here on. */
static int enter_phase(struct intent *t, uint8_t phase)
{
    t->body.phase = phase;
    return t->id ? state_intent_update(t->v->opts.state, t->id, &t->body, sizeof(t->body)) : 0;
}

/* The new names are kept, and a crash is followed by deletes alone. (Could it not be noted, what
 * somebody removes under its new name would come back after a crash; no more.) */
static int all_copied(void *ctx)
{
    (void)enter_phase(ctx, VFS_INTENT_DELETING);
    return 0;
}

int vfs_unclaim(struct vfs *v, const char *key, int64_t ctime_ns, struct s3_error *err)
{
    struct store_object o = {0};
    struct posix_attrs there;
    struct s3_error local = {0};
    int r = store_head(v->store, key, &o, &local);
    if (r == 0) {
        attrs_read(o.attrs.metadata, o.attrs.n_metadata, &there);
        if (ctime_ns != 0 && (there.have & POSIX_CTIME) && there.ctime_ns == ctime_ns)
            r = store_delete(v->store, key, o.etag, &local);
        store_object_done(&o);
    }
    if (r == 0 || local.kind == S3_ERROR_NO_SUCH_KEY || local.kind == S3_ERROR_PRECONDITION)
        return 0;
    if (err)
        *err = local;
    return r;
}

/* A marker made on condition: of two hosts that rename to the same new name, one wins. Its time of
 * change is that of the rename, and nobody else's. It is noted before, so that the next mount takes
 * it away when nothing follows. */
static int claim_locked(struct vfs *v, struct inode *i, struct intent *t, struct s3_error *err)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(16 << 10);
    const char *key = t->m->to;
    struct store_put_in in = {
        .key = key, .if_absent = true, .through = v->opts.excl != VFS_EXCL_LOCAL};
    struct store_version version;
    struct s3_error local = {0};
    int64_t now = clock_realtime_ns(v->clock);
    i->attr.ctime_ns = now;
    int r = vfs_posix_metadata_locked(v, i, false, NULL, &arena, &in.attrs);
    if (r < 0)
        return r;
    pthread_mutex_unlock(&v->lock);
    begin_intent(t, VFS_INTENT_CLAIMING, now);
    r = store_put(v->store, &in, &version, &local);
    if (r < 0 && vfs_posix_is_own(v, key, &in.attrs, &local, &version))
        r = 0;
    CRASH_POINT("rename.claimed");
    if (r == 0)
        r = enter_phase(t, VFS_INTENT_COPYING);
    if (r < 0 && local.kind == S3_ERROR_PRECONDITION)
        r = -EEXIST;
    else if (r < 0) /* it may be there all the same */
        (void)vfs_unclaim(v, key, now, NULL);
    if (r < 0)
        vfs_intent_end(v, t->id);
    pthread_mutex_lock(&v->lock);
    if (r < 0 && err)
        *err = local;
    return r;
}

static int moved_locked(struct vfs *v, struct inode *i, struct inode *dir, struct inode *target,
                        const char *component, const struct vfs_move *m, bool marker,
                        struct s3_error *err)
{
    if (target)
        vfs_forget_name_locked(v, target);
    int r = vfs_rename_inode_locked(v, i, dir, component);
    vfs_expire_below_locked(v, i);
    if (r < 0)
        return r;
    i->attr.ctime_ns = clock_realtime_ns(v->clock);
    i->marker = marker || m->marker_moved ? KNOWN_YES : KNOWN_NO;
    i->marker_own = false;
    r = vfs_move_follow_locked(v, i, m);
    /* Nothing below it and no marker: it must not vanish by being renamed. */
    if (r == 0 && m->n == 0 && i->marker != KNOWN_YES)
        r = vfs_marker_write_locked(v, i, false, err);
    if (r == 0 && m->marks_itself)
        r = vfs_posix_mark_locked(v, i, err);
    return r;
}

static int rename_dir_locked(struct vfs *v, struct inode *i, struct inode *dir,
                             const char *component, const char *key, struct inode *target,
                             bool noreplace, struct s3_error *err)
{
    char from[COMPONENT_LENGTH_MAX + 1];
    struct vfs_move m = {
        .dir = i, .from = from, .to = key, .through = vfs_is_lock(v, dir, component)};
    struct intent t = {.v = v, .m = &m};
    int r = inode_key(i, COMPONENT_LENGTH_MAX, from);
    if (r == 0)
        r = prepare_locked(v, i, dir, target, &m.marker_there, err);
    if (r == 0)
        r = vfs_move_watch_locked(v, i, &m);
    /* Also when nothing need be kept: programs lock by renaming a directory to a name that has to
     * be new or empty, and between hosts only the condition on a marker can tell the two apart. */
    bool claim = noreplace || !target;
    if (r == 0 && claim)
        r = claim_locked(v, i, &t, err);
    if (r == -EEXIST && !noreplace) {
        vfs_listing_drop_locked(v, dir);
        r = -ENOTEMPTY;
    }
    if (r < 0) {
        free(m.watch);
        return r;
    }
    m.all_copied = all_copied;
    m.ctx = &t;
    int64_t claimed_ns = claim ? i->attr.ctime_ns : 0;
    pthread_mutex_unlock(&v->lock);
    if (!claim)
        begin_intent(&t, VFS_INTENT_COPYING, 0);
    r = vfs_move_tree(v, &m, err);
    /* Once all is copied the old marker may be gone: then the new one is the only one. */
    if (r < 0 && claim && !m.copied)
        (void)vfs_unclaim(v, key, claimed_ns, NULL);
    vfs_intent_end(v, t.id);
    pthread_mutex_lock(&v->lock);
    if (r == 0)
        r = moved_locked(v, i, dir, target, component, &m, claim || m.marker_there, err);
    if (r < 0) { /* which keys are where is for the store to tell */
        vfs_expire_below_locked(v, i);
        vfs_listing_drop_locked(v, dir);
        dir->changes++;
    }
    if (r == 0)
        r = vfs_folder_mark_delete_locked(v, i, from, err);
    free(m.watch);
    return r;
}

int vfs_rename_dir_locked(struct vfs *v, struct inode *i, struct inode *dir, const char *component,
                          const char *key, struct inode *target, bool noreplace,
                          struct s3_error *err)
{
    const struct inode *parent = i->parent;
    vfs_move_begin_locked(v, i);
    /* Somebody may have renamed or removed it while this one waited. */
    int r = i->parent && i->parent == parent ? 0 : -ENOENT;
    if (r == 0)
        r = rename_dir_locked(v, i, dir, component, key, target, noreplace, err);
    vfs_move_end_locked(v, i);
    return r;
}
