/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes. user.* is kept in the metadata (meta/xattr.h) and known where the other
 * attributes are: in marked directories, or with posix=on. user.s3.* is made up here, of what the
 * store says of the object, and not listed, so that no copy carries it on. Other namespaces cost no
 * request: cp, ls and the kernel itself ask for them all the time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "meta/xattr.h"
#include "vfs/vfs_impl.h"

#define USER_PREFIX    "user."
#define VIRTUAL_PREFIX "user.s3."
#define ACL_PREFIX     "system.posix_acl_"
#define CONTENT_TYPE   VIRTUAL_PREFIX "content-type"
#define STORAGE_CLASS  VIRTUAL_PREFIX "storage-class"

#define ARENA_BYTES_MAX (1u << 20)
/* S3 takes 2 KiB of user metadata, names and values; a reserve stays for attributes to grow. */
#define METADATA_MAX 2048u
#define RESERVE      64u
/* In base64 three bytes are four, and about 200 bytes go to what every object carries. */
#define VALUE_MAX        1350u
#define CONTENT_TYPE_MAX 255u
#define ENCODED_MAX      (64u << 10)

static bool has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* ---- knowing ---- */

/* Attributes that are fresh enough, where there are any to be known. */
static int know_locked(struct vfs *v, struct inode *i, struct s3_error *err)
{
    int r = vfs_refresh_locked(v, i, err);
    if (r == 0 && i->parent)
        r = vfs_complete_locked(v, i->parent, i, err);
    return r;
}

static int give(const void *value, size_t len, void *buf, size_t size, size_t *ret)
{
    *ret = len;
    if (size == 0)
        return 0;
    if (len > size)
        return -ERANGE;
    if (len > 0)
        memcpy(buf, value, len);
    return 0;
}

/* ---- what the store says ---- */

static const char *header_of(const struct store_object *o, const char *what)
{
    if (strcmp(what, "content-type") == 0)
        return o->attrs.content_type;
    if (strcmp(what, "storage-class") == 0)
        return o->attrs.storage_class ? o->attrs.storage_class : "STANDARD";
    for (size_t i = 0; i < o->n_facts; i++) {
        if (strcmp(o->facts[i].name, what) == 0)
            return o->facts[i].value;
    }
    return NULL;
}

static bool is_header(const char *what)
{
    static const char *const names[] = {"content-type", "storage-class", "version-id", "restore"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(what, names[i]) == 0)
            return true;
    }
    return has_prefix(what, "checksum-");
}

static int get_header_locked(struct vfs *v, struct inode *i, const char *what, void *buf,
                             size_t size, size_t *ret, struct s3_error *err)
{
    char key[COMPONENT_LENGTH_MAX + 1];
    struct store_object o = {0};
    struct s3_error local = {0};
    struct store_head_in in = {.key = key, .facts = true};
    int r = i->kind == NODE_DIR ? vfs_marker_key_locked(v, i, key)
                                : inode_key(i, COMPONENT_LENGTH_MAX, key);
    if (r < 0)
        return -ENODATA;
    pthread_mutex_unlock(&v->lock);
    r = store_call(v->store, STORE_HEAD, &in, &o, &local);
    pthread_mutex_lock(&v->lock);
    if (r < 0) {
        if (local.kind == S3_ERROR_NO_SUCH_KEY)
            return -ENODATA;
        if (err)
            *err = local;
        return r;
    }
    const char *value = header_of(&o, what);
    r = value ? give(value, strlen(value), buf, size, ret) : -ENODATA;
    store_object_done(&o);
    return r;
}

static int get_virtual_locked(struct vfs *v, struct inode *i, const char *name, void *buf,
                              size_t size, size_t *ret, struct s3_error *err)
{
    char text[COMPONENT_LENGTH_MAX + 1];
    const char *what = name + strlen(VIRTUAL_PREFIX);
    int r = 0;
    if (strcmp(name, CONTENT_TYPE) == 0 && i->content_type)
        return give(i->content_type, strlen(i->content_type), buf, size, ret);
    if (strcmp(name, STORAGE_CLASS) == 0 && i->storage_class)
        return give(i->storage_class, strlen(i->storage_class), buf, size, ret);
    if (is_header(what))
        return get_header_locked(v, i, what, buf, size, ret, err);
    if (strcmp(what, "key") == 0) {
        r = inode_key(i, COMPONENT_LENGTH_MAX, text);
        return r < 0 ? -ENODATA : give(text, strlen(text), buf, size, ret);
    }
    if (i->kind == NODE_DIR || (strcmp(what, "etag") != 0 && strcmp(what, "size") != 0))
        return -ENODATA;
    r = vfs_refresh_locked(v, i, err);
    if (r < 0 || !i->attr.etag[0])
        return r < 0 ? r : -ENODATA; /* not stored yet */
    if (strcmp(what, "size") == 0) {
        int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)i->attr.size);
        return give(text, (size_t)n, buf, size, ret);
    }
    const char *etag = i->attr.etag;
    size_t len = strlen(etag), quoted = len > 1 && etag[0] == '"' && etag[len - 1] == '"';
    return give(etag + quoted, len - 2 * quoted, buf, size, ret);
}

/* ---- reading ---- */

static int get_user_locked(struct vfs *v, struct inode *i, const char *name, void *buf, size_t size,
                           size_t *ret, struct s3_error *err)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(ARENA_BYTES_MAX);
    struct xattr_list list;
    int r = know_locked(v, i, err);
    if (r == 0)
        r = xattrs_decode(i->xattr, &arena, &list);
    if (r < 0)
        return r;
    const struct xattr *x = xattrs_find(&list, name);
    return x ? give(x->value, x->size, buf, size, ret) : -ENODATA;
}

int vfs_getxattr(struct vfs *v, uint64_t ino, const char *name, void *buf, size_t size, size_t *ret,
                 struct s3_error *err)
{
    struct inode *i;
    /* As any filesystem without them says; ENODATA would mean that this file may have one. */
    if (has_prefix(name, ACL_PREFIX))
        return -EOPNOTSUPP;
    if (!has_prefix(name, USER_PREFIX))
        return -ENODATA;
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_locked(v, ino, &i);
    if (r < 0)
        return r;
    inode_ref(i);
    r = has_prefix(name, VIRTUAL_PREFIX) ? get_virtual_locked(v, i, name, buf, size, ret, err)
                                         : get_user_locked(v, i, name, buf, size, ret, err);
    inode_unref(&v->inodes, i);
    return r;
}

static int list_locked(struct vfs *v, struct inode *i, char *buf, size_t size, size_t *ret,
                       struct s3_error *err)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(ARENA_BYTES_MAX);
    struct xattr_list list;
    int r = know_locked(v, i, err);
    if (r == 0)
        r = xattrs_decode(i->xattr, &arena, &list);
    if (r < 0)
        return r;
    size_t used = 0;
    for (size_t k = 0; k < list.n; k++) {
        const char *name = list.items[k].name;
        size_t len = strlen(name) + 1;
        if (!has_prefix(name, USER_PREFIX) || has_prefix(name, VIRTUAL_PREFIX))
            continue;
        if (size > 0 && len > size - used)
            return -ERANGE;
        if (size > 0)
            memcpy(buf + used, name, len);
        used += len;
    }
    *ret = used;
    return 0;
}

int vfs_listxattr(struct vfs *v, uint64_t ino, char *buf, size_t size, size_t *ret,
                  struct s3_error *err)
{
    struct inode *i;
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_locked(v, ino, &i);
    if (r < 0)
        return r;
    inode_ref(i);
    r = list_locked(v, i, buf, size, ret, err);
    inode_unref(&v->inodes, i);
    return r;
}

/* ---- changing ---- */

struct change {
    const char *name;
    const void *value; /* NULL = remove */
    size_t size;
    int flags; /* XATTR_CREATE, XATTR_REPLACE */
};

/* The metadata value after the change; *ret NULL when nothing is left. */
static int encode_changed(const char *old, const struct change *c, char **ret)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(ARENA_BYTES_MAX);
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(ENCODED_MAX);
    struct xattr_list list;
    int r = xattrs_decode(old, &arena, &list);
    if (r < 0)
        return r;
    struct xattr *x = xattrs_find(&list, c->name);
    if (!x && (!c->value || (c->flags & XATTR_REPLACE)))
        return -ENODATA;
    if (x && (c->flags & XATTR_CREATE))
        return -EEXIST;
    if (list.cut || (!x && list.n == XATTRS_MAX))
        return -ENOSPC;
    if (!c->value)
        *x = list.items[--list.n];
    else if (x)
        *x = (struct xattr){.name = c->name, .value = c->value, .size = c->size};
    else
        list.items[list.n++] = (struct xattr){.name = c->name, .value = c->value, .size = c->size};
    *ret = NULL;
    if (list.n == 0)
        return 0;
    xattrs_encode(&list, &sb);
    if (sb.error)
        return sb.error == -E2BIG ? -ENOSPC : sb.error;
    *ret = strbuf_take(&sb);
    return *ret ? 0 : -ENOMEM;
}

/* Whether the metadata is still what S3 takes. old: the object's, NULL = none. */
static int check_room_locked(struct vfs *v, const struct inode *i, const struct store_object *old)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(ARENA_BYTES_MAX);
    struct store_attrs attrs;
    size_t total = RESERVE;
    int r = vfs_posix_metadata_locked(v, i, false, old ? &old->attrs : NULL, &arena, &attrs);
    if (r < 0)
        return r;
    for (size_t k = 0; k < attrs.n_metadata; k++)
        total += strlen(attrs.metadata[k].name) + strlen(attrs.metadata[k].value);
    return total > METADATA_MAX ? -ENOSPC : 0;
}

/* What is stored as a header of the object; NULL for what is in its metadata. */
static char **header_field(struct inode *i, const char *name)
{
    if (strcmp(name, CONTENT_TYPE) == 0)
        return &i->content_type;
    return strcmp(name, STORAGE_CLASS) == 0 ? &i->storage_class : NULL;
}

/* What is about to be stored; the old value is the caller's, to free or to bring back. */
static int apply_locked(struct vfs *v, struct inode *i, const struct change *c,
                        const struct store_object *base, char **ret_old)
{
    char *changed, **header = header_field(i, c->name);
    int r;
    if (header) {
        changed = strndup(c->value, c->size);
        if (!changed)
            return -ENOMEM;
        *ret_old = *header;
        *header = changed;
        return 0;
    }
    r = encode_changed(i->xattr, c, &changed);
    if (r < 0)
        return r;
    *ret_old = i->xattr;
    i->xattr = changed;
    r = c->value ? check_room_locked(v, i, base) : 0;
    if (r < 0) {
        i->xattr = *ret_old;
        free(changed);
    }
    return r;
}

static void settle_locked(struct inode *i, const struct change *c, char *old, bool failed)
{
    char **header = header_field(i, c->name), **field = header ? header : &i->xattr;
    if (failed) {
        free(*field);
        *field = old;
    } else {
        free(old);
    }
}

static int change_file_locked(struct vfs *v, struct open_file *of, const struct change *c,
                              struct s3_error *err)
{
    struct inode *i = of->inode;
    char *old;
    int r = i->unlinked ? 0 : vfs_know_attrs_locked(v, of, err);
    if (r == 0)
        r = apply_locked(v, i, c, of->base, &old);
    if (r < 0)
        return r;
    i->attr.ctime_ns = clock_realtime_ns(v->clock);
    if (!i->unlinked) {
        of->attrs_dirty = true;
        /* Or its upload is still to come. */
        if (!vfs_upload_pending(of))
            r = strcmp(c->name, STORAGE_CLASS) == 0 ? vfs_store_attrs_locked(v, of, err)
                                                    : vfs_attrs_changed_locked(v, of, err);
        if (r < 0)
            of->attrs_dirty = false;
    }
    settle_locked(i, c, old, r < 0);
    return r;
}

static int change_dir_locked(struct vfs *v, struct open_file *of, const struct change *c,
                             struct s3_error *err)
{
    struct inode *i = of->inode;
    char *old;
    int r = header_field(i, c->name) ? -EPERM : 0; /* a marker has those that it needs */
    if (r == 0 && !i->unlinked)
        r = vfs_know_dir_locked(v, i, err);
    if (r == 0)
        r = apply_locked(v, i, c, NULL, &old);
    if (r < 0)
        return r;
    i->attr.ctime_ns = clock_realtime_ns(v->clock);
    if (!i->unlinked) {
        of->attrs_dirty = true;
        r = vfs_attrs_changed_locked(v, of, err);
        if (r < 0)
            of->attrs_dirty = false;
    }
    settle_locked(i, c, old, r < 0);
    return r;
}

static int change(struct vfs *v, uint64_t ino, const struct change *c, struct s3_error *err)
{
    struct inode *i;
    struct open_file *of;
    SCOPE_LOCK(&v->lock);
    int r = vfs_find_locked(v, ino, &i);
    if (r < 0)
        return r;
    VFS_GUARD(v, i);
    if ((r = vfs_open_file_get_locked(v, i, &of)) == 0) {
        vfs_open_file_begin_locked(v, of);
        r = i->kind == NODE_DIR ? change_dir_locked(v, of, c, err)
                                : change_file_locked(v, of, c, err);
        vfs_open_file_end_locked(v, of);
        vfs_open_file_put_locked(v, of);
    }
    return r;
}

static int check_name(struct vfs *v, const char *name)
{
    if (v->opts.read_only)
        return -EROFS;
    if (!has_prefix(name, USER_PREFIX))
        return -EOPNOTSUPP;
    if (has_prefix(name, VIRTUAL_PREFIX))
        return strcmp(name, CONTENT_TYPE) == 0 || strcmp(name, STORAGE_CLASS) == 0 ? 0 : -EPERM;
    return v->opts.posix == VFS_POSIX_OFF ? -EOPNOTSUPP : 0;
}

/* As "GLACIER_IR"; which there are the server knows. */
static bool is_class(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!(s[i] >= 'A' && s[i] <= 'Z') && !(s[i] >= '0' && s[i] <= '9') && s[i] != '_')
            return false;
    }
    return len > 0;
}

static bool is_header_text(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] < 0x20 || s[i] > 0x7e)
            return false;
    }
    return len > 0;
}

int vfs_setxattr(struct vfs *v, uint64_t ino, const char *name, const void *value, size_t size,
                 int flags, struct s3_error *err)
{
    struct change c = {.name = name, .value = value ? value : "", .size = size, .flags = flags};
    int r = check_name(v, name);
    if (r < 0)
        return r;
    if (strlen(name) == strlen(USER_PREFIX))
        return -EINVAL;
    bool class = strcmp(name, STORAGE_CLASS) == 0;
    if (strcmp(name, CONTENT_TYPE) == 0 || class) {
        if (flags & XATTR_CREATE)
            return -EEXIST; /* every object has one */
        if (size > CONTENT_TYPE_MAX)
            return -E2BIG;
        if (class ? !is_class(c.value, size) : !is_header_text(c.value, size))
            return -EINVAL;
    }
    return size > VALUE_MAX ? -E2BIG : change(v, ino, &c, err);
}

int vfs_removexattr(struct vfs *v, uint64_t ino, const char *name, struct s3_error *err)
{
    struct change c = {.name = name};
    int r = check_name(v, name);
    if (r == 0 && has_prefix(name, VIRTUAL_PREFIX))
        r = -EPERM;
    return r < 0 ? r : change(v, ino, &c, err);
}
