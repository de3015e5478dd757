/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes that wait to be stored are noted in state.db, so that a crash in that second does not
 * lose them. The note is written without waiting for the disk: chmod costs no fsync, and what was
 * changed in the last moments may be gone all the same; fsync(2) of the file makes certain.
 *
 * Payload of STATE_INTENT_ATTRS: strings, each with its NUL: the version (1), the ETag of the
 * object that the attributes are meant for ("" for a directory), its content type when that was set
 * ("" = as it is), and then name and value of each attribute as it would be in the metadata. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "meta/state_note.h"
#include "vfs/vfs_impl.h"

#define VERSION     "1"
#define PAYLOAD_MAX (64u << 10)

static void append(struct strbuf *sb, const char *s)
{
    (void)strbuf_append(sb, s, strlen(s) + 1);
}

static int write_payload_locked(struct vfs *v, struct inode *i, struct strbuf *sb)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(PAYLOAD_MAX);
    struct store_attrs attrs;
    bool set = i->attr.times_set;
    i->attr.times_set = true; /* as it is stored, see vfs_attr.c */
    int r = vfs_posix_metadata_locked(v, i, false, NULL, &arena, &attrs);
    i->attr.times_set = set;
    if (r < 0)
        return r;
    append(sb, VERSION);
    append(sb, i->kind == NODE_DIR ? "" : i->attr.etag);
    append(sb, i->content_type ? i->content_type : "");
    for (size_t k = 0; k < attrs.n_metadata; k++) {
        append(sb, attrs.metadata[k].name);
        append(sb, attrs.metadata[k].value);
    }
    return sb->error;
}

void vfs_note_locked(struct vfs *v, struct open_file *of)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(PAYLOAD_MAX);
    char key[COMPONENT_LENGTH_MAX + 1];
    struct inode *i = of->inode;
    if (!v->opts.state)
        return;
    int r = i->kind == NODE_DIR ? vfs_marker_key_locked(v, i, key)
                                : inode_key(i, COMPONENT_LENGTH_MAX, key);
    if (r == 0 && !of->note && !(of->note = state_note_new(v->opts.state, STATE_INTENT_ATTRS, key)))
        r = -ENOMEM;
    if (r == 0)
        r = write_payload_locked(v, i, &sb);
    if (r == 0)
        r = state_note_set(of->note, sb.data, sb.len);
    if (r < 0)
        log_debug("attributes of '%s' are not noted: %s", i->name, strerror(-r));
}

void vfs_note_settle_locked(struct open_file *of)
{
    if (of->attrs_dirty && !of->inode->unlinked)
        return;
    state_note_end(of->note);
    of->note = NULL;
}

void vfs_note_leave_locked(struct open_file *of)
{
    vfs_note_settle_locked(of);
    state_note_leave(of->note);
    of->note = NULL;
}

/* ---- the next mount ---- */

#define PAIRS_MAX 16u

struct noted {
    const char *etag;
    struct store_attrs attrs;
    struct store_metadata metadata[PAIRS_MAX];
};

static const char *next_string(const char **p, const char *end)
{
    const char *s = *p;
    size_t len = s < end ? strnlen(s, (size_t)(end - s)) : 0;
    if (s >= end || s + len == end)
        return NULL;
    *p = s + len + 1;
    return s;
}

static bool read_payload(const struct state_intent *t, struct noted *ret)
{
    const char *p = t->payload, *end = p + t->payload_len;
    *ret = (struct noted){0};
    const char *version = p ? next_string(&p, end) : NULL;
    if (!version || strcmp(version, VERSION) != 0 || !(ret->etag = next_string(&p, end)) ||
        strlen(ret->etag) >= STORE_ETAG_SIZE || !(ret->attrs.content_type = next_string(&p, end)))
        return false;
    if (!*ret->attrs.content_type)
        ret->attrs.content_type = NULL;
    size_t n = 0;
    for (; p < end && n < PAIRS_MAX; n++) {
        struct store_metadata *m = &ret->metadata[n];
        if (!(m->name = next_string(&p, end)) || !(m->value = next_string(&p, end)))
            return false;
    }
    ret->attrs.metadata = ret->metadata;
    ret->attrs.n_metadata = n;
    return p == end && n > 0;
}

/* Stored already, or changed again since by somebody who knew what he did. */
static bool is_newer(const struct store_attrs *there, const struct store_attrs *noted)
{
    struct posix_attrs a, b;
    attrs_read(there->metadata, there->n_metadata, &a);
    attrs_read(noted->metadata, noted->n_metadata, &b);
    return (a.have & POSIX_CTIME) && a.ctime_ns >= b.ctime_ns;
}

static int apply_locked(struct vfs *v, struct open_file *of, const struct noted *noted,
                        struct s3_error *err)
{
    vfs_apply_posix_locked(v, of->inode, &noted->attrs);
    if (!of->inode->attr.posix_known)
        return -ENOMEM;
    of->attrs_dirty = true;
    int r = vfs_store_attrs_locked(v, of, err);
    if (r < 0) {
        of->attrs_dirty = false;
        vfs_default_attr_locked(v, of->inode);
        of->inode->attr_until_ns = 0;
    }
    return r;
}

static int recover_file_locked(struct vfs *v, struct open_file *of, const struct noted *noted,
                               struct s3_error *err)
{
    struct s3_error local = {0};
    /* What is there and what this mount does to it by now. */
    int r = vfs_load_base_locked(v, of, true, &local);
    if (r < 0 &&
        (local.kind == S3_ERROR_NO_SUCH_KEY || (r == -ESTALE && !of->inode->attr_until_ns)))
        return 0; /* gone, or renamed: then they went along */
    if (r < 0 && r != -ESTALE) {
        *err = local;
        return r;
    }
    if (strcmp(of->base->etag, noted->etag) != 0 || is_newer(&of->base->attrs, &noted->attrs))
        return 0;
    return apply_locked(v, of, noted, err);
}

static int recover_dir_locked(struct vfs *v, struct open_file *of, const char *key,
                              const struct noted *noted, struct s3_error *err)
{
    struct store_object o = {0};
    pthread_mutex_unlock(&v->lock);
    int r = store_head(v->store, key, &o, err);
    pthread_mutex_lock(&v->lock);
    /* Without a marker there may be no such directory any more. */
    if (r < 0)
        return err->kind == S3_ERROR_NO_SUCH_KEY ? 0 : r;
    bool newer = is_newer(&o.attrs, &noted->attrs);
    store_object_done(&o);
    return newer ? 0 : apply_locked(v, of, noted, err);
}

int vfs_recover_attrs(struct vfs *v, const struct state_intent *t, struct s3_error *err)
{
    struct noted noted;
    struct inode *i;
    struct open_file *of;
    if (!read_payload(t, &noted)) {
        log_warn("a note of attributes of '%s' is not understood: it is dropped", t->key);
        return 0;
    }
    SCOPE_LOCK(&v->lock);
    int r = strcmp(t->key, VFS_ROOT_KEY) == 0 ? (i = inode_ref(v->inodes.root), 0)
                                              : vfs_inode_of_key_locked(v, t->key, &i);
    if (r < 0)
        return r;
    VFS_GUARD(v, i);
    inode_unref(&v->inodes, i);
    if ((r = vfs_open_file_get_locked(v, i, &of)) < 0)
        return r;
    vfs_open_file_begin_locked(v, of);
    /* Whoever has changed it in the new mount already knew better. */
    if (!of->attrs_dirty && !of->writer)
        r = i->kind == NODE_DIR ? recover_dir_locked(v, of, t->key, &noted, err)
                                : recover_file_locked(v, of, &noted, err);
    vfs_open_file_end_locked(v, of);
    vfs_open_file_put_locked(v, of);
    return r;
}
