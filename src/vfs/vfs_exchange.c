/* SPDX-License-Identifier: Apache-2.0 */
/* renameat2's RENAME_EXCHANGE of two files: through a hidden key, three copies and a delete, noted
 * in an intent. Whatever fails, both contents are there, if not under which names one would like.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "meta/state.h"
#include "vfs/vfs_intent.h"
#include "vfs/vfs_move.h"

/* For a moment while two inodes exchange their names; no key can have this component. */
#define BETWEEN "\n/"

struct side {
    struct open_file *of;
    struct inode *dir;
    char component[COMPONENT_LENGTH_MAX + 1];
    char key[COMPONENT_LENGTH_MAX + 1];
    char etag[STORE_ETAG_SIZE];
    uint64_t size;
    struct store_version version; /* of what has this name afterwards */
};

static int copy(struct vfs *v, const char *source, const char *etag, uint64_t size, const char *key,
                const char *replaces, struct store_version *ret, struct s3_error *err)
{
    struct vfs_copy c = {
        .source = source, .if_match = etag, .size = size, .key = key, .replaces = replaces};
    return vfs_copy_object(v, &c, ret, err);
}

static int begin_intent(struct vfs *v, const struct side *a, const struct side *b,
                        const char *hidden, uint64_t *ret_id)
{
    char payload[2 * STORE_ETAG_SIZE + VFS_HIDDEN_KEY_SIZE];
    const char *parts[] = {a->etag, b->etag, hidden};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        size_t len = strlen(parts[i]) + 1;
        memcpy(payload + n, parts[i], len);
        n += len;
    }
    return vfs_intent_require(v, STATE_INTENT_RENAME_FILE, a->key, b->key, payload, n, ret_id);
}

/* In the store. */
static int exchange(struct vfs *v, struct side *a, struct side *b, struct s3_error *err)
{
    char hidden[VFS_HIDDEN_KEY_SIZE];
    struct store_version h, undone;
    uint64_t intent;
    bool needed = false;
    int r = vfs_hidden_key(hidden);
    if (r == 0)
        r = begin_intent(v, a, b, hidden, &intent);
    if (r < 0)
        return r;
    r = copy(v, a->key, a->etag, a->size, hidden, NULL, &h, err);
    if (r == 0)
        r = copy(v, b->key, b->etag, b->size, a->key, a->etag, &a->version, err);
    if (r == 0) {
        r = copy(v, hidden, h.etag, a->size, b->key, b->etag, &b->version, err);
        /* Back. If that does not succeed either, the next mount goes on. */
        if (r < 0)
            needed = copy(v, hidden, h.etag, a->size, a->key, a->version.etag, &undone, NULL) < 0;
    }
    if (needed)
        log_error("'%s' and '%s' could not be exchanged; what '%s' had is in '%s'", a->key, b->key,
                  a->key, hidden);
    else if (store_delete(v->store, hidden, NULL, NULL) == 0)
        vfs_intent_end(v, intent);
    return r;
}

/* And here. */
static void swap_names_locked(struct vfs *v, struct side *a, struct side *b)
{
    struct inode *i = a->of->inode, *k = b->of->inode;
    int r = inode_move(&v->inodes, i, a->dir, BETWEEN);
    if (r == 0)
        r = inode_move(&v->inodes, k, a->dir, a->component);
    if (r == 0)
        r = inode_move(&v->inodes, i, b->dir, b->component);
    struct side *sides[] = {a, b};
    for (size_t n = 0; n < ARRAY_SIZE(sides); n++) {
        struct inode *was = sides[n]->of->inode;
        const struct store_version *version = &sides[1 - n]->version;
        memcpy(was->attr.etag, version->etag, sizeof(was->attr.etag));
        was->attr.modified_ns = version->mtime_ns - version->mtime_ns % NS_PER_S;
        was->attr.ctime_ns = clock_realtime_ns(v->clock);
        was->attr_until_ns = r == 0 ? vfs_after(vfs_now(v), v->opts.metadata_ttl_ns) : 0;
        was->changes++;
        was->version++;
        vfs_dir_changed_locked(v, sides[n]->dir);
        if (r < 0) {
            vfs_listing_drop_locked(v, sides[n]->dir);
            inode_unlink(&v->inodes, was); /* without memory: found anew by its name */
        }
    }
    for (size_t n = 0; n < ARRAY_SIZE(sides) && r == 0; n++)
        vfs_listing_put_locked(v, sides[1 - n]->dir, sides[n]->of->inode);
}

static int prepare_locked(struct vfs *v, struct side *s, struct inode *new_dir,
                          struct s3_error *err)
{
    struct inode *i = s->of->inode;
    if (i->unlinked)
        return -ENOENT;
    int r = vfs_commit_locked(v, s->of, err);
    if (r == 0)
        r = vfs_rename_mark_locked(v, new_dir, i, err);
    if (r == 0)
        r = inode_key(i, v->opts.key_max, s->key);
    memcpy(s->etag, i->attr.etag, sizeof(s->etag));
    s->size = i->attr.size;
    return r;
}

int vfs_exchange_locked(struct vfs *v, struct open_file *of[2], struct inode *dir,
                        struct s3_error *err)
{
    struct side sides[2], *a = &sides[0], *b = &sides[1];
    struct inode *old_dir = of[0]->inode->parent;
    if (!old_dir || of[1]->inode->parent != dir)
        return -ENOENT;
    *a = (struct side){.of = of[0], .dir = old_dir};
    *b = (struct side){.of = of[1], .dir = dir};
    for (size_t n = 0; n < ARRAY_SIZE(sides); n++)
        memcpy(sides[n].component, of[n]->inode->name, of[n]->inode->name_len + 1);
    int r = prepare_locked(v, a, dir, err);
    if (r == 0)
        r = prepare_locked(v, b, old_dir, err);
    if (r < 0)
        return r;
    pthread_mutex_unlock(&v->lock);
    r = exchange(v, a, b, err);
    pthread_mutex_lock(&v->lock);
    if (r < 0) {
        of[0]->inode->attr_until_ns = of[1]->inode->attr_until_ns = 0;
        return err && err->kind == S3_ERROR_PRECONDITION ? -ESTALE : r;
    }
    swap_names_locked(v, a, b);
    pthread_mutex_unlock(&v->lock);
    if (of[0]->writer)
        r = writer_set_key(of[0]->writer, b->key, b->version.etag);
    if (r == 0 && of[1]->writer)
        r = writer_set_key(of[1]->writer, a->key, a->version.etag);
    pthread_mutex_lock(&v->lock);
    return r;
}

/* ---- after a crash ---- */

static int look(struct vfs *v, const char *key, struct store_object *o, struct s3_error *err)
{
    *o = (struct store_object){0};
    int r = store_head(v->store, key, o, err);
    return r < 0 && err->kind == S3_ERROR_NO_SUCH_KEY ? 0 : r;
}

static bool is_copy(const struct state_intent *t, const struct store_object *o,
                    const struct store_object *copy)
{
    return o->etag[0] && copy->etag[0] &&
           vfs_is_copy(o->etag, o->size, MAX(o->mtime_ns, t->time_ns - VFS_CLOCK_NS), copy->etag,
                       copy->size, copy->mtime_ns);
}

/* What the first file had is in the hidden key. Whether it has to be anywhere else. */
static bool has_a_name(const struct state_intent *t, const struct store_object *h,
                       const struct store_object *a, const char *etag_a,
                       const struct store_object *b, const char *etag_b)
{
    bool not_begun = a->etag[0] && (strcmp(a->etag, etag_a) == 0 || is_copy(t, h, a));
    bool all_there = strcmp(b->etag, etag_b) != 0 && is_copy(t, h, b);
    return not_begun || all_there;
}

int vfs_recover_exchange(struct vfs *v, const struct state_intent *t, const char *etag_a,
                         const char *etag_b, const char *hidden, struct s3_error *err)
{
    struct store_object a, b = {0}, h = {0};
    struct store_version version;
    int r = look(v, t->key, &a, err);
    if (r == 0)
        r = look(v, t->key2, &b, err);
    if (r == 0)
        r = look(v, hidden, &h, err);
    bool second_done = a.etag[0] && strcmp(a.etag, etag_a) != 0 && is_copy(t, &b, &a);
    if (r == 0 && h.etag[0]) {
        bool keep = false;
        if (!has_a_name(t, &h, &a, etag_a, &b, etag_b)) {
            keep = !second_done || strcmp(b.etag, etag_b) != 0;
            if (!keep)
                r = copy(v, hidden, h.etag, h.size, t->key2, b.etag, &version, err);
        }
        if (r < 0 && err->kind == S3_ERROR_PRECONDITION) {
            keep = true;
            r = 0;
        }
        if (r == 0 && !keep)
            r = store_delete(v->store, hidden, NULL, err);
        /* Whether that was to go as well cannot be told any more. */
        if (keep)
            log_error("'%s' or '%s' has been replaced in the middle of their exchange; what '%s' "
                      "had is in '%s'",
                      t->key, t->key2, t->key, hidden);
    }
    store_object_done(&a);
    store_object_done(&b);
    store_object_done(&h);
    return r;
}
