/* SPDX-License-Identifier: Apache-2.0 */
/* Owner, mode and times in object metadata, and when to look for them.
 *
 * A listing does not tell metadata, and a HEAD for each file would make every `ls -l` as slow as
 * the network. So a directory whose children have something in their metadata that the listing
 * alone would show differently is marked, in the metadata of its marker object; only there HEADs
 * are sent (posix=auto). The mark is written before the first child that needs it, and never taken
 * away; with posix=on too, where everything has times of its own: a directory is made with the mark
 * then. What we write always carries its attributes, marked or not: it costs nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "meta/mime.h"
#include "vfs/vfs_impl.h"

/* Another host keeps writing the marker that is being written. */
#define MARKER_TRIES 4
/* A marker that this mount has written is not looked at for that long: chmod after mkdir. */
#define MARKER_OWN_NS (3 * NS_PER_S)

#define DIRECTORY_CONTENT_TYPE "application/x-directory"
#define METADATA_BYTES_MAX     (256u << 10)

int vfs_marker_key_locked(struct vfs *v, const struct inode *dir,
                          char key[COMPONENT_LENGTH_MAX + 1])
{
    if (dir == v->inodes.root && !v->opts.root_has_key) {
        memcpy(key, VFS_ROOT_KEY, sizeof(VFS_ROOT_KEY));
        return 0;
    }
    return inode_key(dir, COMPONENT_LENGTH_MAX, key);
}

static void own_attrs_locked(const struct inode *i, struct posix_attrs *p)
{
    const struct inode_attr *a = &i->attr;
    *p = (struct posix_attrs){
        .have = POSIX_MODE | POSIX_TYPE | POSIX_UID | POSIX_GID | POSIX_CTIME | POSIX_XATTR,
        .mode = a->mode,
        .uid = a->uid,
        .gid = a->gid,
        .mtime_ns = a->mtime_ns,
        .atime_ns = a->atime_ns,
        .ctime_ns = a->ctime_ns,
        .xattr = i->xattr,
        .directory = i->kind == NODE_DIR,
    };
    /* Of a file that has only been written LastModified is the time, before and after its
     * directory is marked. */
    if (i->kind == NODE_DIR || a->times_set)
        p->have |= POSIX_MTIME | POSIX_ATIME;
    else
        p->drop = POSIX_MTIME | POSIX_ATIME;
}

int vfs_posix_metadata_locked(struct vfs *v, const struct inode *i, bool flag,
                              const struct store_attrs *old, struct arena *arena,
                              struct store_attrs *ret)
{
    struct posix_attrs p;
    own_attrs_locked(i, &p);
    /* What the object says of itself was never read: only what writing changed is replaced. */
    if (old && !i->attr.posix_known)
        p.have &= i->kind == NODE_DIR ? 0 : POSIX_MTIME | POSIX_ATIME | POSIX_CTIME;
    *ret = old ? *old : (struct store_attrs){0};
    if (i->content_type && !(ret->content_type = arena_strdup(arena, i->content_type)))
        return -ENOMEM;
    if (i->storage_class && !(ret->storage_class = arena_strdup(arena, i->storage_class)))
        return -ENOMEM;
    if (i->kind == NODE_FILE && !ret->content_type)
        ret->content_type = S_ISREG(i->attr.mode) ? mime_type(i->name) : MIME_DEFAULT;
    if (i->kind == NODE_DIR && !ret->content_type)
        ret->content_type = DIRECTORY_CONTENT_TYPE;
    return attrs_write(&p, flag, old ? old->metadata : NULL, old ? old->n_metadata : 0, arena,
                       &ret->metadata, &ret->n_metadata);
}

bool vfs_posix_deviates_locked(struct vfs *v, const struct inode *i)
{
    const struct inode_attr *a = &i->attr;
    mode_t usual = i->kind == NODE_DIR ? S_IFDIR | v->opts.dir_mode : S_IFREG | v->opts.file_mode;
    return a->mode != usual || a->uid != v->opts.uid || a->gid != v->opts.gid || a->times_set ||
           i->xattr;
}

bool vfs_posix_is_own(struct vfs *v, const char *key, const struct store_attrs *sent,
                      const struct s3_error *refusal, struct store_version *ret)
{
    const unsigned times = POSIX_CTIME | POSIX_MTIME;
    struct store_object o = {0};
    struct posix_attrs there, ours;
    if (refusal->kind != S3_ERROR_PRECONDITION || !refusal->maybe_done ||
        store_head(v->store, key, &o, NULL) < 0)
        return false;
    attrs_read(sent->metadata, sent->n_metadata, &ours);
    attrs_read(o.attrs.metadata, o.attrs.n_metadata, &there);
    bool own = (ours.have & POSIX_CTIME) && (ours.have & times) == (there.have & times) &&
               ours.ctime_ns == there.ctime_ns &&
               (!(ours.have & POSIX_MTIME) || ours.mtime_ns == there.mtime_ns);
    *ret = (struct store_version){.mtime_ns = o.mtime_ns};
    memcpy(ret->etag, o.etag, sizeof(ret->etag));
    store_object_done(&o);
    return own;
}

/* ---- the marker of a directory ---- */

static void marker_seen_locked(struct vfs *v, struct inode *dir, const struct store_object *o,
                               uint64_t until_ns)
{
    dir->marker = o ? KNOWN_YES : KNOWN_NO;
    dir->posix =
        o && attrs_directory_flag(o->attrs.metadata, o->attrs.n_metadata) ? KNOWN_YES : KNOWN_NO;
    dir->posix_until_ns = until_ns;
}

/* 0 with *ret_there, or a failure other than the object's absence. */
static int head(struct vfs *v, const char *key, struct store_object *o, bool *ret_there,
                struct s3_error *err)
{
    struct s3_error local;
    int r = store_head(v->store, key, o, &local);
    *ret_there = r == 0;
    if (r < 0 && local.kind == S3_ERROR_NO_SUCH_KEY)
        return 0;
    if (r < 0 && err)
        *err = local;
    return r;
}

/* Listing is allowed, reading is not: names and sizes are shown all the same. */
static bool is_denied(int result, const struct s3_error *err)
{
    return result < 0 && err && err->kind == S3_ERROR_ACCESS_DENIED;
}

/* Takes in what a HEAD of the marker answered. */
static int marker_answer_locked(struct vfs *v, struct inode *dir, uint64_t changes,
                                uint64_t until_ns, int result, struct store_object *o,
                                const struct s3_error *answer)
{
    if (is_denied(result, answer)) {
        marker_seen_locked(v, dir, NULL, until_ns);
        return 0;
    }
    bool absent = result < 0 && answer->kind == S3_ERROR_NO_SUCH_KEY;
    if (result < 0 && !absent)
        return result;
    if (dir->posix != KNOWN_YES || dir->changes == changes)
        marker_seen_locked(v, dir, absent ? NULL : o, until_ns);
    if (dir == v->inodes.root && !absent && !dir->attr.posix_known)
        vfs_apply_posix_locked(v, dir, &o->attrs);
    return 0;
}

/* ---- what listings tell of what is about to be asked for ---- */

struct known_version {
    struct store_known known;
    uint64_t until_ns; /* that the listing is believed: what is remembered of it is no newer */
    char etag[STORE_ETAG_SIZE];
};

/* NULL: nothing that could be remembered. */
static const struct store_known *known_set(struct known_version *k, const char *etag,
                                           int64_t mtime_ns, uint64_t size, uint64_t until_ns)
{
    if (!etag[0])
        return NULL;
    k->until_ns = until_ns;
    memcpy(k->etag, etag, sizeof(k->etag));
    k->known = (struct store_known){.etag = k->etag, .mtime_ns = mtime_ns, .size = size};
    return &k->known;
}

/* The directory's listing, when it is not older than what this mount did to the marker. */
static const struct dir *listing_of_marker_locked(struct vfs *v, const struct inode *dir)
{
    const struct dir *d = dir->dir;
    if (!d || vfs_now(v) >= dir->dir_until_ns || !dir_has_begun(d))
        return NULL;
    bool newer = dir->marker_until_ns == 0 || d->since_ns + MARKER_OWN_NS > dir->marker_until_ns;
    return newer && !dir->marker_busy ? d : NULL;
}

bool vfs_marker_listed_locked(struct vfs *v, const struct inode *dir)
{
    const struct dir *d = listing_of_marker_locked(v, dir);
    bool first = dir != v->inodes.root || v->opts.root_has_key; /* it has the first key of all */
    return d && (d->marker || first || d->complete);
}

static const struct store_known *known_marker_locked(struct vfs *v, const struct inode *dir,
                                                     const char *key, struct known_version *k)
{
    const struct dir *d = listing_of_marker_locked(v, dir);
    if (!d || !d->marker || d->marker_version.key_hash != dir_key_hash(key))
        return NULL;
    return known_set(k, d->marker_version.etag, d->marker_version.mtime_ns, d->marker_version.size,
                     dir->dir_until_ns);
}

static const struct store_known *known_file_locked(struct vfs *v, const struct inode *i,
                                                   struct known_version *k)
{
    const struct inode_attr *a = &i->attr;
    if (!a->modified_told || a->modified_guess || vfs_now(v) >= i->attr_until_ns)
        return NULL;
    return known_set(k, a->etag, a->modified_ns, a->size, i->attr_until_ns);
}

struct marker_call {
    struct fanout *fanout;
    char key[COMPONENT_LENGTH_MAX + 1];
    struct known_version known;
    struct store_head_in in;
    struct store_object object;
    int result;
    struct s3_error error;
    uint64_t changes;
    uint64_t until_ns;
};

static void marker_done(void *ctx, int result, const struct s3_error *err)
{
    struct marker_call *c = ctx;
    c->result = result;
    if (err)
        c->error = *err;
}

static void marker_free(struct marker_call *c)
{
    if (!c)
        return;
    fanout_free(c->fanout);
    free(c);
}

bool vfs_mark_known_locked(struct vfs *v, const struct inode *dir)
{
    /* A mark is never taken away; its absence is believed for a while. */
    return dir->posix == KNOWN_YES || (dir->posix == KNOWN_NO && vfs_now(v) < dir->posix_until_ns);
}

uint32_t vfs_posix_type_locked(struct vfs *v, const struct inode *dir, const struct dir_entry *e)
{
    if (dir_entry_kind(e) == NODE_DIR)
        return S_IFDIR;
    bool listed =
        v->opts.posix == VFS_POSIX_OFF || (v->opts.posix == VFS_POSIX_AUTO &&
                                           dir->posix == KNOWN_NO && vfs_mark_known_locked(v, dir));
    if (listed)
        return S_IFREG;
    const struct inode *i =
        inode_child_awake(&v->inodes, dir, dir_entry_component(e), dir_entry_kind(e));
    if (!i || !i->attr.posix_known || vfs_now(v) >= i->attr_until_ns)
        return 0;
    return i->attr.mode & S_IFMT;
}

static struct marker_call *marker_begin_locked(struct vfs *v, struct inode *dir)
{
    struct marker_call *c = calloc(1, sizeof(*c));
    if (!c || vfs_marker_key_locked(v, dir, c->key) < 0 ||
        fanout_new(v->store, 1, &c->fanout) < 0) {
        marker_free(c);
        return NULL;
    }
    c->in.key = c->key;
    c->in.known = known_marker_locked(v, dir, c->key, &c->known);
    c->changes = dir->changes;
    c->until_ns = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
    c->result = -EIO;
    pthread_mutex_unlock(&v->lock);
    int r = fanout_submit(c->fanout, STORE_HEAD, &c->in, &c->object, marker_done, c);
    pthread_mutex_lock(&v->lock);
    if (r == 0)
        return c;
    marker_free(c);
    return NULL;
}

/* NULL when there is nothing to ask, or no memory for it: then it is asked later. */
struct marker_call *vfs_marker_begin_locked(struct vfs *v, struct inode *dir)
{
    bool wanted = v->opts.posix == VFS_POSIX_AUTO && !vfs_mark_known_locked(v, dir);
    return wanted ? marker_begin_locked(v, dir) : NULL;
}

static int marker_end_locked(struct vfs *v, struct inode *dir, struct marker_call *c,
                             struct s3_error *err)
{
    pthread_mutex_unlock(&v->lock);
    (void)fanout_wait(c->fanout, NULL);
    pthread_mutex_lock(&v->lock);
    if (c->result == 0 && c->object.remembered)
        c->until_ns = MIN(c->until_ns, c->known.until_ns);
    int r = marker_answer_locked(v, dir, c->changes, c->until_ns, c->result, &c->object, &c->error);
    if (r < 0 && err)
        *err = c->error;
    if (c->result == 0)
        store_object_done(&c->object);
    marker_free(c);
    return r;
}

void vfs_marker_end_locked(struct vfs *v, struct inode *dir, struct marker_call *c)
{
    if (c)
        (void)marker_end_locked(v, dir, c, NULL); /* a failure is met again when it matters */
}

static int know_mark_locked(struct vfs *v, struct inode *dir, struct s3_error *err)
{
    if (vfs_mark_known_locked(v, dir))
        return 0;
    struct marker_call *c = marker_begin_locked(v, dir);
    return c ? marker_end_locked(v, dir, c, err) : -ENOMEM;
}

int vfs_posix_known_locked(struct vfs *v, struct inode *dir, bool *ret, struct s3_error *err)
{
    if (v->opts.posix == VFS_POSIX_AUTO && !vfs_mark_known_locked(v, dir))
        vfs_list_markers_locked(v, &dir, 1);
    int r = v->opts.posix == VFS_POSIX_AUTO ? know_mark_locked(v, dir, err) : 0;
    if (r == 0)
        *ret = v->opts.posix == VFS_POSIX_ON ||
               (v->opts.posix == VFS_POSIX_AUTO && dir->posix == KNOWN_YES);
    return r;
}

/* The directory's marker as it is about to be written. */
struct marker_state {
    struct store_object old; /* valid with there */
    bool there;
    bool own; /* written by this mount: what it carries is known, but for the note of others */
};

static int marker_put(struct vfs *v, const char *key, const struct store_attrs *attrs,
                      const struct marker_state *m, struct store_version *version,
                      struct s3_error *err)
{
    if (!m->there || m->own) {
        /* Another host may be about to make it too: that is for now, not a conflict later. */
        struct store_put_in in = {
            .key = key, .attrs = *attrs, .if_absent = !m->there, .through = !m->there};
        return store_put(v->store, &in, version, err);
    }
    /* Somebody's marker: whatever is in it stays in it. */
    struct store_copy_in in = {.source_key = key,
                               .source_if_match = m->old.etag,
                               .key = key,
                               .if_match = m->old.etag,
                               .replace_attrs = true,
                               .attrs = *attrs,
                               .size_hint = m->old.size};
    return store_copy(v->store, &in, version, err);
}

void vfs_marker_written_locked(struct vfs *v, struct inode *dir)
{
    dir->marker = KNOWN_YES;
    vfs_walk_changed_locked(v, dir);
    dir->marker_until_ns = vfs_after(vfs_now(v), MARKER_OWN_NS);
}

static int write_marker_once_locked(struct vfs *v, struct inode *dir, const char *key, bool flag,
                                    struct marker_state *m, struct s3_error *err)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(METADATA_BYTES_MAX);
    struct store_version version;
    struct store_attrs attrs;
    int r = vfs_posix_metadata_locked(v, dir, flag, m->there && !m->own ? &m->old.attrs : NULL,
                                      &arena, &attrs);
    if (r < 0)
        return r;
    /* Attributes that wait to be stored go with it. */
    struct open_file *of = dir->open && dir->open->attrs_dirty ? dir->open : NULL;
    if (of) {
        of->attrs_dirty = false;
        of->refs++;
    }
    pthread_mutex_unlock(&v->lock);
    r = marker_put(v, key, &attrs, m, &version, err);
    pthread_mutex_lock(&v->lock);
    if (of) {
        of->attrs_dirty |= r < 0;
        vfs_note_settle_locked(of);
        vfs_open_file_put_locked(v, of);
    }
    if (r < 0)
        return r;
    vfs_marker_written_locked(v, dir);
    dir->marker_own |= !m->there;
    if (dir->dir)
        dir->dir->marker = true;
    if (flag)
        dir->posix = KNOWN_YES;
    return 0;
}

static bool must_look_locked(struct vfs *v, const struct inode *dir, const struct marker_state *m)
{
    if (dir->marker == KNOWN_NO)
        return false;
    return !(m->own && dir->marker == KNOWN_YES && vfs_now(v) < dir->marker_until_ns);
}

/* Another host may write the same marker. Its ETag, that of an empty object, does not tell: it is
 * looked at before each change, and written on condition that it is absent where it is believed to
 * be. */
static int write_marker_locked(struct vfs *v, struct inode *dir, bool flag, struct s3_error *err)
{
    char key[COMPONENT_LENGTH_MAX + 1];
    int r = vfs_marker_key_locked(v, dir, key);
    for (int tries = 1; r == 0; tries++) {
        struct marker_state m = {.own = dir->marker_own};
        struct s3_error local = {0};
        bool looked = tries > 1 || must_look_locked(v, dir, &m);
        m.there = !looked && dir->marker == KNOWN_YES;
        if (looked) {
            pthread_mutex_unlock(&v->lock);
            r = head(v, key, &m.old, &m.there, &local);
            pthread_mutex_lock(&v->lock);
        }
        looked &= m.there && r == 0;
        if (r == 0) {
            bool keep =
                looked && attrs_directory_flag(m.old.attrs.metadata, m.old.attrs.n_metadata);
            /* Not looked at: another host may have marked it since. */
            keep |= !looked && m.there;
            r = write_marker_once_locked(v, dir, key, flag || keep || dir->posix == KNOWN_YES, &m,
                                         &local);
        }
        if (looked)
            store_object_done(&m.old);
        if (r == 0)
            return 0;
        if (local.kind == S3_ERROR_PRECONDITION && tries < MARKER_TRIES) {
            dir->marker_own = false;
            r = 0;
            continue;
        }
        if (err)
            *err = local;
    }
    return r;
}

/* One at a time: each begins with what the one before has written. */
int vfs_marker_write_locked(struct vfs *v, struct inode *dir, bool flag, struct s3_error *err)
{
    inode_ref(dir);
    while (dir->marker_busy)
        pthread_cond_wait(&v->changed, &v->lock);
    int r = 0;
    if (!flag || dir->posix != KNOWN_YES) {
        dir->marker_busy = true;
        /* Attributes that wait go along: from here on they are to be looked for. */
        if (vfs_attrs_pending(dir) && dir->parent && vfs_posix_deviates_locked(v, dir))
            r = vfs_posix_mark_locked(v, dir->parent, err);
        if (r == 0)
            r = write_marker_locked(v, dir, flag, err);
        dir->marker_busy = false;
        pthread_cond_broadcast(&v->changed);
    }
    inode_unref(&v->inodes, dir);
    return r;
}

int vfs_posix_mark_locked(struct vfs *v, struct inode *dir, struct s3_error *err)
{
    if (v->opts.posix == VFS_POSIX_OFF)
        return 0;
    /* With posix=on for other mounts, which may have another setting. */
    int r = know_mark_locked(v, dir, err);
    if (r < 0 || dir->posix == KNOWN_YES)
        return r;
    return vfs_marker_write_locked(v, dir, true, err);
}

/* ---- attributes of children ---- */

void vfs_expire_posix_locked(struct vfs *v, struct inode *i)
{
    if (i->kind == NODE_DIR && vfs_now(v) >= i->posix_until_ns && !vfs_attrs_pending(i))
        i->attr.posix_known = false;
}

struct head_job {
    struct inode *inode;
    uint64_t changes;
    bool told; /* there is nothing to ask: the listing has no such object */
    int result;
    struct s3_error error;
    struct store_head_in in;
    struct store_object object;
    struct known_version known;
    char key[COMPONENT_LENGTH_MAX + 1];
};

static void head_done(void *ctx, int result, const struct s3_error *err)
{
    struct head_job *j = ctx;
    j->result = result;
    if (err)
        j->error = *err;
}

static int apply_head_locked(struct vfs *v, struct head_job *j, uint64_t until_ns,
                             struct s3_error *err)
{
    struct inode *i = j->inode;
    bool absent = j->result < 0 && j->error.kind == S3_ERROR_NO_SUCH_KEY;
    if (i->changes != j->changes || vfs_attrs_pending(i) ||
        (i->open && vfs_open_file_unclean(i->open))) {
        i->attr.posix_known = true; /* our own, newer than the answer */
        return 0;
    }
    if (is_denied(j->result, &j->error)) {
        vfs_apply_posix_locked(v, i, NULL);
        return 0;
    }
    if (j->result < 0 && !absent) {
        if (err)
            *err = j->error;
        return j->result;
    }
    if (i->kind == NODE_DIR) {
        marker_seen_locked(v, i, absent ? NULL : &j->object, until_ns);
        if (!absent)
            i->attr.modified_ns = j->object.mtime_ns;
        vfs_apply_posix_locked(v, i, absent ? NULL : &j->object.attrs);
        /* Names that came or went are not written down. */
        if (i->names_changed_ns > i->attr.mtime_ns && i->names_changed_ns > i->attr.modified_ns)
            i->attr.mtime_ns = i->attr.ctime_ns = i->names_changed_ns;
        return 0;
    }
    if (absent) {
        i->attr_until_ns = 0;
        if (i->parent)
            vfs_listing_remove_locked(v, i->parent, i->name, NODE_FILE);
        return 0;
    }
    uint64_t version = i->version;
    vfs_apply_version_locked(v, i, j->object.size, j->object.mtime_ns, j->object.etag, until_ns);
    vfs_apply_posix_locked(v, i, &j->object.attrs);
    /* The listing told of another version. */
    if (i->version != version && i->parent)
        vfs_listing_put_locked(v, i->parent, i);
    return 0;
}

static int load_jobs_locked(struct vfs *v, struct head_job *jobs, size_t n, struct s3_error *err)
{
    struct fanout *f;
    int r = fanout_new(v->store, v->opts.parallel, &f);
    if (r < 0)
        return r;
    uint64_t until = vfs_after(vfs_now(v), v->opts.metadata_ttl_ns);
    pthread_mutex_unlock(&v->lock);
    size_t sent = 0;
    for (; sent < n && r == 0; sent += r == 0) {
        if (!jobs[sent].told)
            r = fanout_submit(f, STORE_HEAD, &jobs[sent].in, &jobs[sent].object, head_done,
                              &jobs[sent]);
    }
    (void)fanout_wait(f, NULL);
    fanout_free(f);
    pthread_mutex_lock(&v->lock);
    for (size_t k = 0; k < sent; k++) {
        bool listed = jobs[k].told || (jobs[k].result == 0 && jobs[k].object.remembered);
        int applied = apply_head_locked(
            v, &jobs[k], listed ? MIN(until, jobs[k].known.until_ns) : until, r == 0 ? err : NULL);
        if (r == 0)
            r = applied;
        if (jobs[k].result == 0)
            store_object_done(&jobs[k].object);
    }
    return r;
}

int vfs_posix_load_locked(struct vfs *v, struct inode *const *inodes, size_t n,
                          struct s3_error *err)
{
    CLEANUP_FREE struct head_job *jobs = calloc(n, sizeof(*jobs));
    if (!jobs)
        return -ENOMEM;
    size_t count = 0;
    for (size_t k = 0; k < n; k++) {
        struct inode *i = inodes[k];
        struct head_job *j = &jobs[count];
        if (i->attr.posix_known || vfs_attrs_pending(i) ||
            (i->open && vfs_open_file_unclean(i->open)))
            continue;
        int r = i->kind == NODE_DIR ? vfs_marker_key_locked(v, i, j->key)
                                    : inode_key(i, COMPONENT_LENGTH_MAX, j->key);
        if (r < 0)
            continue;
        j->inode = i;
        j->changes = i->changes;
        j->in.key = j->key;
        j->in.known = i->kind == NODE_DIR ? known_marker_locked(v, i, j->key, &j->known)
                                          : known_file_locked(v, i, &j->known);
        if (i->kind == NODE_DIR && vfs_marker_listed_locked(v, i) && !i->dir->marker) {
            j->told = true;
            j->known.until_ns = i->dir_until_ns;
            j->result = -ENOENT;
            j->error.kind = S3_ERROR_NO_SUCH_KEY;
        }
        count++;
    }
    return count > 0 ? load_jobs_locked(v, jobs, count, err) : 0;
}
