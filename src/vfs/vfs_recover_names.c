/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash left of renames and of files without a name. It goes by what is in the store: an
 * intent says what may have happened, never that it has. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "meta/state.h"
#include "vfs/vfs_intent.h"
#include "vfs/vfs_move.h"

int vfs_inode_of_key_locked(struct vfs *v, const char *key, struct inode **ret)
{
    struct inode *i = inode_ref(v->inodes.root);
    int r = 0;
    while (*key && r == 0) {
        char component[COMPONENT_LENGTH_MAX + 1];
        size_t len = strcspn(key, "/");
        enum node_kind kind = key[len] == '/' ? NODE_DIR : NODE_FILE;
        struct inode *child;
        if (len > COMPONENT_LENGTH_MAX)
            r = -EINVAL;
        else
            memcpy(component, key, len);
        if (r == 0) {
            component[len] = '\0';
            r = inode_get(&v->inodes, i, component, kind, &child);
        }
        inode_unref(&v->inodes, i);
        if (r < 0)
            return r;
        if (kind == NODE_DIR && child->attr.mode == 0)
            vfs_default_attr_locked(v, child);
        i = child;
        key += len + (kind == NODE_DIR);
    }
    *ret = i;
    return r;
}

int vfs_dirs_of_keys_locked(struct vfs *v, const char *key, const char *key2, struct inode *ret[2])
{
    for (;;) {
        int r = vfs_inode_of_key_locked(v, key, &ret[0]);
        if (r == 0 && (r = vfs_inode_of_key_locked(v, key2, &ret[1])) < 0)
            inode_unref(&v->inodes, ret[0]);
        if (r < 0)
            return r;
        /* Those that it waits for may have changed which directory has that name. */
        bool waited = vfs_wait_settled_locked(v, ret[0]) || vfs_wait_settled_locked(v, ret[1]);
        if (!waited && ret[0]->parent && ret[1]->parent)
            return 0;
        inode_unref(&v->inodes, ret[0]);
        inode_unref(&v->inodes, ret[1]);
        if (!waited)
            return -EINVAL;
    }
}

static bool is_dir_key(const char *key)
{
    return key && *key && key[strlen(key) - 1] == '/';
}

/* 0, so that the note goes: there will never be anything to do about it. */
static int not_understood(const struct state_intent *t)
{
    log_warn("a note of an interrupted %s of '%s' is not understood: it is dropped",
             state_intent_kind_name(t->kind), t->key);
    return 0;
}

/* ---- a file ---- */

/* 1 when it is there, 0 when it is not. */
static int look(struct vfs *v, const char *key, struct store_object *o, struct s3_error *err)
{
    int r = store_head(v->store, key, o, err);
    if (r == 0)
        return 1;
    return err->kind == S3_ERROR_NO_SUCH_KEY ? 0 : r;
}

/* Whether the new name has the copy of the old one. replaced: the ETag of what was to be replaced,
 * NULL = not known. */
static int is_copied(struct vfs *v, const struct state_intent *t, const char *replaced,
                     const struct store_object *old, const struct store_object *new,
                     struct s3_error *err)
{
    struct vfs_content from = {t->key, old->etag, old->size}, to = {t->key2, new->etag, new->size};
    bool same = strcmp(old->etag, new->etag) == 0;
    /* That is it still, or what was there before: nothing need be read. */
    if (!same && ((replaced && strcmp(replaced, new->etag) == 0) ||
                  new->mtime_ns < t->time_ns - VFS_CLOCK_NS))
        return 0;
    int r = vfs_same_content(v, &from, &to, v->recover_stop, err);
    if (r == 0)
        log_warn("'%s' was being renamed to '%s', where something else is now: both stay", t->key,
                 t->key2);
    return r;
}

/* Copied, but not deleted: the old name goes. Whatever else there is stays as it is, also what was
 * to be replaced: files of one size that are written again and again, and rotated by renames, look
 * like copies of each other. */
static int finish_file(struct vfs *v, const struct state_intent *t, const char *replaced,
                       struct s3_error *err)
{
    struct store_object old, new;
    int r = look(v, t->key, &old, err);
    if (r <= 0)
        return r;
    r = look(v, t->key2, &new, err);
    if (r > 0) {
        r = is_copied(v, t, replaced, &old, &new, err);
        store_object_done(&new);
        r = r > 0 ? store_delete(v->store, t->key, old.etag, err) : r;
        if (r < 0 && err->kind == S3_ERROR_PRECONDITION)
            r = 0;
    }
    store_object_done(&old);
    return r;
}

int vfs_recover_rename_file(struct vfs *v, const struct state_intent *t, struct s3_error *err)
{
    struct inode *i;
    struct open_file *of;
    const char *etag_b = NULL, *hidden = NULL, *etag_a = t->payload;
    bool plain = t->payload_len == 0 || strlen(etag_a) + 1 == t->payload_len;
    if (!plain) {
        const char *end = etag_a + t->payload_len; /* a NUL follows */
        etag_b = etag_a + strlen(etag_a) + 1;
        hidden = etag_b < end ? etag_b + strlen(etag_b) + 1 : end;
        if (hidden >= end || strncmp(hidden, VFS_HIDDEN_DIR "/", strlen(VFS_HIDDEN_DIR "/")) != 0)
            return not_understood(t);
    }
    if (!t->key2 || is_dir_key(t->key) || is_dir_key(t->key2))
        return not_understood(t);
    SCOPE_LOCK(&v->lock);
    int r = vfs_inode_of_key_locked(v, t->key, &i);
    if (r < 0)
        return r;
    VFS_GUARD(v, i);
    r = vfs_open_file_get_locked(v, i, &of);
    if (r == 0) {
        /* Nobody stores it meanwhile. What is being written under that name is a new file; an
         * exchange stores nothing there. */
        vfs_open_file_begin_locked(v, of);
        if (!of->writer || hidden) {
            pthread_mutex_unlock(&v->lock);
            r = hidden ? vfs_recover_exchange(v, t, etag_a, etag_b, hidden, err)
                       : finish_file(v, t, t->payload_len > 0 ? etag_a : NULL, err);
            pthread_mutex_lock(&v->lock);
        }
        vfs_open_file_end_locked(v, of);
        vfs_open_file_put_locked(v, of);
    }
    i->attr_until_ns = 0;
    if (i->parent) {
        vfs_listing_drop_locked(v, i->parent);
        i->parent->changes++;
    }
    inode_unref(&v->inodes, i);
    return r;
}

/* ---- a directory ---- */

static int finish_dir(struct vfs *v, const struct state_intent *t,
                      const struct vfs_intent_dir *body, struct s3_error *err)
{
    uint64_t left = 0, claim = 0;
    bool deleting = body->phase == VFS_INTENT_DELETING;
    if (body->phase == VFS_INTENT_CLAIMING) {
        for (size_t k = 0; k < sizeof(body->claim); k++)
            claim |= (uint64_t)body->claim[k] << (8 * k);
        return vfs_unclaim(v, t->key2, (int64_t)claim, err);
    }
    log_info("going on with the rename of '%s' to '%s'", t->key, t->key2);
    int r = vfs_move_resume(v, t->key, t->key2, deleting, t->time_ns, &left, err);
    if (r == 0 && left > 0)
        log_warn("the rename of '%s' to '%s' left %llu objects under the old name, which were "
                 "stored since, or have another one in their new place",
                 t->key, t->key2, (unsigned long long)left);
    return r;
}

static int resume_dir_locked(struct vfs *v, const struct state_intent *t,
                             const struct vfs_intent_dir *body, struct inode *const both[2],
                             struct s3_error *err)
{
    /* Those above them stay where they are. */
    VFS_GUARD(v, both[0]->parent);
    VFS_GUARD_NAMED(second_guard, v, both[1]->parent);
    vfs_move_begin_both_locked(v, both[0], both[1]);
    pthread_mutex_unlock(&v->lock);
    int r = finish_dir(v, t, body, err);
    pthread_mutex_lock(&v->lock);
    for (size_t k = 0; k < 2; k++) {
        vfs_expire_below_locked(v, both[k]);
        both[k]->attr_until_ns = 0;
        both[k]->marker = KNOWN_NOT;
        if (both[k]->parent) {
            vfs_listing_drop_locked(v, both[k]->parent);
            both[k]->parent->changes++;
        }
        vfs_move_end_locked(v, both[k]);
    }
    return r;
}

int vfs_recover_rename_dir(struct vfs *v, const struct state_intent *t, struct s3_error *err)
{
    struct vfs_intent_dir body = {0};
    struct inode *both[2];
    bool known = t->payload_len == sizeof(body) || t->payload_len == VFS_INTENT_DIR_SHORT;
    if (known)
        memcpy(&body, t->payload, t->payload_len);
    if (!known || body.version != VFS_INTENT_VERSION || body.phase < VFS_INTENT_COPYING ||
        body.phase > VFS_INTENT_CLAIMING || !is_dir_key(t->key) || !is_dir_key(t->key2) ||
        strncmp(t->key, t->key2, MIN(strlen(t->key), strlen(t->key2))) == 0)
        return not_understood(t);
    SCOPE_LOCK(&v->lock);
    int r = vfs_dirs_of_keys_locked(v, t->key, t->key2, both);
    if (r < 0)
        return r;
    r = resume_dir_locked(v, t, &body, both, err);
    inode_unref(&v->inodes, both[0]);
    inode_unref(&v->inodes, both[1]);
    return r;
}

/* ---- what was removed while it was open ---- */

int vfs_recover_hidden(struct vfs *v, const struct state_intent *t, struct s3_error *err)
{
    if (strncmp(t->key, VFS_HIDDEN_DIR "/", strlen(VFS_HIDDEN_DIR "/")) != 0)
        return not_understood(t);
    return store_delete(v->store, t->key, NULL, err);
}
