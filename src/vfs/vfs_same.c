/* SPDX-License-Identifier: Apache-2.0 */
/* Whether two objects have the same bytes: what decides whether one of them may be deleted when
 * nobody knows any more whether it was copied from the other. An ETag tells it only when both have
 * the same one: that of a copy is another one where an object was made of parts, or is encrypted
 * with a key of KMS. Size and time tell nothing. So checksums of the whole are compared where the
 * server keeps them, and else the bytes, which works everywhere; it costs something only after a
 * crash, or when an answer was lost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "vfs/vfs_impl.h"

/* What differs mostly does so soon. */
#define FIRST 65536u
#define CHUNK (4 * MIB)

enum verdict { OTHER, SAME, UNDECIDED };

/* What will not be different the next time. Rights may be: credentials that may not read tell
 * nothing of the content. */
static bool is_final(enum s3_error_kind kind)
{
    return kind == S3_ERROR_NO_SUCH_KEY || kind == S3_ERROR_PRECONDITION ||
           kind == S3_ERROR_ARCHIVED || kind == S3_ERROR_BAD_RANGE;
}

/* ---- checksums ---- */

static const char *fact(const struct store_object *o, const char *name)
{
    for (size_t i = 0; i < o->n_facts; i++) {
        if (strcmp(o->facts[i].name, name) == 0)
            return o->facts[i].value;
    }
    return NULL;
}

/* Of the whole object, NULL when there is none: "-N" at the end, that of the checksums of N parts,
 * depends on the parts too. */
static const char *whole(const struct store_object *o, const char *name)
{
    const char *type = fact(o, "checksum-type"), *value = fact(o, name);
    return value && !strchr(value, '-') && (!type || strcmp(type, "FULL_OBJECT") == 0) ? value
                                                                                       : NULL;
}

static enum verdict compare_sums(const struct store_object *one, const struct store_object *other)
{
    /* 32 bits are too few to delete anything. */
    static const char *const names[] = {"checksum-crc64nvme", "checksum-sha256", "checksum-sha1"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *a = whole(one, names[i]), *b = whole(other, names[i]);
        if (a && b)
            return strcmp(a, b) == 0 ? SAME : OTHER;
    }
    return UNDECIDED;
}

static int ask(struct vfs *v, const struct vfs_content *c, struct store_object *ret,
               struct s3_error *err)
{
    struct store_head_in in = {.key = c->key, .facts = true};
    return store_call(v->store, STORE_HEAD, &in, ret, err);
}

static int compare_stored(struct vfs *v, const struct vfs_content *one,
                          const struct vfs_content *other, enum verdict *ret, struct s3_error *err)
{
    struct store_object a = {0}, b = {0};
    int r = ask(v, one, &a, err);
    if (r == 0)
        r = ask(v, other, &b, err);
    if (r == 0) {
        bool changed = strcmp(a.etag, one->etag) != 0 || strcmp(b.etag, other->etag) != 0;
        *ret = changed ? OTHER : compare_sums(&a, &b);
    }
    store_object_done(&a);
    store_object_done(&b);
    return r;
}

/* ---- bytes ---- */

struct piece {
    char *data;
    size_t n;
};

static int take(void *ctx, const void *data, size_t len)
{
    struct piece *p = ctx;
    if (len > CHUNK - p->n)
        return -EIO;
    memcpy(p->data + p->n, data, len);
    p->n += len;
    return 0;
}

static int read_piece(struct vfs *v, const struct vfs_content *c, uint64_t offset, size_t length,
                      struct piece *p, struct s3_error *err)
{
    struct store_object o = {0};
    struct store_sink sink = {.write = take, .ctx = p};
    struct store_get_in in = {
        .key = c->key, .offset = offset, .length = length, .if_match = c->etag, .sink = &sink};
    p->n = 0;
    int r = store_get(v->store, &in, &o, err);
    store_object_done(&o);
    return r < 0 ? r : p->n == length ? 0 : -EIO;
}

static int compare_bytes(struct vfs *v, const struct vfs_content *one,
                         const struct vfs_content *other, const atomic_bool *stop,
                         enum verdict *ret, struct s3_error *err)
{
    CLEANUP_FREE char *buffers = malloc(2 * CHUNK);
    if (!buffers)
        return -ENOMEM;
    struct piece a = {.data = buffers}, b = {.data = buffers + CHUNK};
    *ret = SAME;
    for (uint64_t at = 0; at < one->size && *ret == SAME;) {
        size_t n = (size_t)MIN(one->size - at, at == 0 ? (uint64_t)FIRST : (uint64_t)CHUNK);
        if (stop && atomic_load(stop))
            return -ECANCELED;
        int r = read_piece(v, one, at, n, &a, err);
        if (r == 0)
            r = read_piece(v, other, at, n, &b, err);
        if (r < 0)
            return r;
        if (memcmp(a.data, b.data, n) != 0)
            *ret = OTHER;
        at += n;
    }
    return 0;
}

int vfs_same_content(struct vfs *v, const struct vfs_content *one, const struct vfs_content *other,
                     const atomic_bool *stop, struct s3_error *err)
{
    enum verdict verdict = UNDECIDED;
    struct s3_error local = {0};
    int r = 0;
    if (one->size != other->size || !one->etag[0] || !other->etag[0])
        return OTHER;
    if (one->size == 0 || strcmp(one->etag, other->etag) == 0)
        return SAME;
    if (one->size > FIRST)
        r = compare_stored(v, one, other, &verdict, &local);
    if (r == 0 && verdict == UNDECIDED) {
        if (one->size > FIRST)
            log_info("comparing the bytes of '%s' and '%s'", one->key, other->key);
        r = compare_bytes(v, one, other, stop, &verdict, &local);
    }
    if (r == 0)
        return verdict;
    if (is_final(local.kind))
        return OTHER;
    if (err)
        *err = local;
    return r;
}
