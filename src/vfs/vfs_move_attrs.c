/* SPDX-License-Identifier: Apache-2.0 */
/* Times through the rename of a directory. A copy has another LastModified than its source, so a
 * file whose time that was needs it in its metadata, and the directory that the copy is in needs
 * the mark that there is some. To add to the metadata of an object it must be known: from the
 * inode, if this mount has just written it, else from a HEAD, many at a time.
 *
 * That is done where attributes are kept: everywhere with posix=on, else in a tree whose own
 * directory has a marker with attributes, as mkdir makes it. In one that is only a common prefix of
 * keys LastModified is the time, and remains it: a copy for each object and no more.
 *
 * Markers are copied last, when it is known which of them have to carry the mark. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_move_impl.h"

#define METADATA_BYTES_MAX     (256u << 10)
#define PAGE_BYTES_MAX         (1u << 30)
#define HEADS                  64u
#define DIRECTORY_CONTENT_TYPE "application/x-directory"

static bool is_marker(const char *key)
{
    size_t len = strlen(key);
    return len > 0 && key[len - 1] == '/';
}

static int64_t whole_second(int64_t ns)
{
    return ns - ns % NS_PER_S;
}

/* ---- whether times are kept ---- */

static bool has_mode(const struct store_object *o)
{
    struct posix_attrs p;
    attrs_read(o->attrs.metadata, o->attrs.n_metadata, &p);
    return (p.have & POSIX_MODE) != 0;
}

int move_marks_begin(struct vfs *v, const struct vfs_move *m, struct move_marks *k,
                     const struct store_page *first, struct s3_error *err)
{
    bool marker = first->n_entries > 0 && strcmp(first->entries[0].key, m->from) == 0;
    if (k->keeps != KNOWN_NOT)
        return 0;
    k->keeps = KNOWN_NO;
    arena_init(&k->page.arena, PAGE_BYTES_MAX);
    if (v->opts.posix == VFS_POSIX_OFF || !m->dir || first->n_entries == 0)
        return 0;
    {
        SCOPE_LOCK(&v->lock);
        if (v->opts.posix == VFS_POSIX_ON || m->dir->posix == KNOWN_YES || m->dir->marker_own)
            k->keeps = KNOWN_YES;
    }
    if (k->keeps == KNOWN_YES || !marker)
        return 0;
    struct store_object o = {0};
    struct s3_error local = {0};
    int r = store_head(v->store, m->from, &o, &local);
    if (r == 0) {
        k->keeps = has_mode(&o) ? KNOWN_YES : KNOWN_NO;
        store_object_done(&o);
    } else if (local.kind == S3_ERROR_NO_SUCH_KEY || local.kind == S3_ERROR_ACCESS_DENIED) {
        r = 0;
    } else if (err) {
        *err = local;
    }
    return r;
}

void move_marks_done(struct move_marks *k)
{
    for (size_t i = 0; i < k->n_dirs; i++)
        free(k->dirs[i]);
    free(k->dirs);
    free(k->set.slots);
    if (k->keeps != KNOWN_NOT)
        arena_done(&k->page.arena);
}

int move_marks_defer(struct move_marks *k, const struct store_entry *e)
{
    struct store_page *p = &k->page;
    if (p->n_entries == k->page_size) {
        size_t size = k->page_size ? 2 * k->page_size : 64;
        struct store_entry *all = arena_alloc(&p->arena, size * sizeof(*all));
        if (!all)
            return -ENOMEM;
        if (p->n_entries > 0)
            memcpy(all, p->entries, p->n_entries * sizeof(*all));
        p->entries = all;
        k->page_size = size;
    }
    struct store_entry *copy = &p->entries[p->n_entries];
    *copy = *e;
    copy->storage_class = NULL;
    copy->key = arena_strdup(&p->arena, e->key);
    copy->etag = e->etag ? arena_strdup(&p->arena, e->etag) : NULL;
    if (!copy->key || (e->etag && !copy->etag))
        return -ENOMEM;
    p->n_entries++;
    return 0;
}

int move_marks_note(struct move_marks *k, const char *key, const struct move_attrs *a,
                    const struct store_version *version)
{
    if (a->marker || !a->has_mtime || a->mtime_ns == whole_second(version->mtime_ns))
        return 0;
    char *dir = strdup(key);
    if (!dir)
        return -ENOMEM;
    strrchr(dir, '/')[1] = '\0';
    uint64_t hash = move_hash('d', dir, "");
    if (move_set_has(&k->set, hash)) {
        free(dir);
        return 0;
    }
    char **all = realloc(k->dirs, (k->n_dirs + 1) * sizeof(*all));
    int r = all ? move_set_add(&k->set, hash) : -ENOMEM;
    if (all)
        k->dirs = all;
    if (r < 0)
        free(dir);
    else
        k->dirs[k->n_dirs++] = dir;
    return r;
}

/* ---- one entry ---- */

static int add_time(const struct store_entry *e, const struct store_object *o, struct move_attrs *a)
{
    struct posix_attrs there, time = {.have = POSIX_MTIME};
    attrs_read(o->attrs.metadata, o->attrs.n_metadata, &there);
    a->has_mtime = true;
    a->mtime_ns = there.have & POSIX_MTIME ? there.mtime_ns : whole_second(e->mtime_ns);
    if (there.have & POSIX_MTIME)
        return 0;
    /* The time of change was LastModified as well; an older one counts beside a time only. */
    time.mtime_ns = time.ctime_ns = a->mtime_ns;
    time.have |= there.have & POSIX_CTIME;
    a->store = o->attrs;
    int r = attrs_write(&time, false, o->attrs.metadata, o->attrs.n_metadata, &a->arena,
                        &a->store.metadata, &a->store.n_metadata);
    a->attrs = r == 0 ? &a->store : NULL;
    return r;
}

static int add_mark(const struct store_object *o, struct move_attrs *a)
{
    const struct posix_attrs none = {0};
    if (attrs_directory_flag(o->attrs.metadata, o->attrs.n_metadata))
        return 0;
    a->store = o->attrs;
    int r = attrs_write(&none, true, o->attrs.metadata, o->attrs.n_metadata, &a->arena,
                        &a->store.metadata, &a->store.n_metadata);
    a->attrs = r == 0 ? &a->store : NULL;
    return r;
}

int move_attrs_from(const struct move_marks *k, const struct store_entry *e,
                    const struct store_object *o, struct move_attrs *a)
{
    if (k->keeps != KNOWN_YES)
        return 0;
    if (!is_marker(e->key))
        return add_time(e, o, a);
    return move_set_has(&k->set, move_hash('d', e->key, "")) ? add_mark(o, a) : 0;
}

/* ---- what the mount knows ---- */

static struct inode *find_locked(struct vfs *v, const struct vfs_move *m, const char *key)
{
    struct inode *i = m->dir;
    key += strlen(m->from);
    while (i && *key) {
        char component[COMPONENT_LENGTH_MAX + 1];
        size_t len = strcspn(key, "/");
        enum node_kind kind = key[len] == '/' ? NODE_DIR : NODE_FILE;
        if (len > COMPONENT_LENGTH_MAX)
            return NULL;
        memcpy(component, key, len);
        component[len] = '\0';
        i = inode_child(&v->inodes, i, component, kind);
        key += len + (kind == NODE_DIR);
    }
    return i;
}

/* Of a file: 0, or a->ask is left on. */
static int from_inode_locked(struct vfs *v, struct inode *i, const struct store_entry *e,
                             struct move_attrs *a)
{
    if (!i || i->kind != NODE_FILE || !i->attr.posix_known || vfs_attrs_pending(i) ||
        vfs_now(v) >= i->attr_until_ns || strcmp(i->attr.etag, e->etag) != 0)
        return 0;
    a->has_mtime = true;
    a->mtime_ns = i->attr.times_set ? i->attr.mtime_ns : whole_second(e->mtime_ns);
    if (i->attr.times_set) {
        a->ask = false; /* in the metadata already */
        return 0;
    }
    if (!vfs_metadata_is_own_locked(v, i))
        return 0;
    struct inode_attr saved = i->attr;
    i->attr.times_set = true;
    i->attr.mtime_ns = i->attr.atime_ns = i->attr.ctime_ns = a->mtime_ns;
    int r = vfs_posix_metadata_locked(v, i, false, NULL, &a->arena, &a->store);
    i->attr = saved;
    a->ask = false;
    a->attrs = &a->store;
    return r;
}

static void head_done(void *ctx, int result, const struct s3_error *err)
{
    struct move_attrs *a = ctx;
    a->result = result;
    if (err)
        a->error = *err;
}

/* What was asked for and answered. */
static int apply(const struct move_marks *k, const struct store_entry *e, struct move_attrs *a,
                 struct s3_error *err)
{
    if (!a->ask)
        return 0;
    if (a->result == 0)
        /* Another version than the listed one is refused by the copy's condition. */
        return move_attrs_from(k, e, &a->object, a);
    if (a->error.kind == S3_ERROR_NO_SUCH_KEY || a->error.kind == S3_ERROR_ACCESS_DENIED)
        return 0;
    if (err)
        *err = a->error;
    return a->result;
}

int move_attrs_load(struct vfs *v, const struct vfs_move *m, const struct move_marks *k,
                    const struct store_entry *entries, struct move_attrs *all, size_t n,
                    struct s3_error *err)
{
    struct fanout *f;
    int r = 0;
    {
        SCOPE_LOCK(&v->lock);
        for (size_t i = 0; i < n && r == 0; i++) {
            struct move_attrs *a = &all[i];
            const char *key = entries[i].key;
            *a = (struct move_attrs){.marker = is_marker(key), .head.key = key, .result = -ENOENT};
            a->error.kind = S3_ERROR_NO_SUCH_KEY; /* until there is an answer */
            arena_init(&a->arena, METADATA_BYTES_MAX);
            a->ask = !a->marker || move_set_has(&k->set, move_hash('d', key, ""));
            if (!a->marker && entries[i].etag)
                r = from_inode_locked(v, find_locked(v, m, key), &entries[i], a);
        }
    }
    if (r == 0)
        r = fanout_new(v->store, HEADS, &f);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n && r == 0; i++) {
        if (all[i].ask)
            r = fanout_submit(f, STORE_HEAD, &all[i].head, &all[i].object, head_done, &all[i]);
    }
    (void)fanout_wait(f, NULL);
    fanout_free(f);
    for (size_t i = 0; i < n && r == 0; i++)
        r = apply(k, &entries[i], &all[i], err);
    return r;
}

void move_attrs_done(struct move_attrs *a)
{
    if (a->ask && a->result == 0)
        store_object_done(&a->object);
    arena_done(&a->arena);
}

int move_marker_put(struct vfs *v, const char *key, struct store_version *version,
                    struct s3_error *err)
{
    const struct store_metadata mark = {ATTRS_DIRECTORY_FLAG, "1"};
    struct store_put_in in = {
        .key = key,
        .if_absent = true,
        .attrs = {.content_type = DIRECTORY_CONTENT_TYPE, .metadata = &mark, .n_metadata = 1}};
    return store_put(v->store, &in, version, err);
}
