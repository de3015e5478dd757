/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/crc.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/strbuf.h"

#define RECORD_MAX    (8u << 20) /* a version of 10,000 parts is about 1 MiB */
#define RECORD_HEADER 8u

enum record_type {
    RECORD_BUCKET_CREATED = 1,
    RECORD_BUCKET_DELETED,
    RECORD_VERSIONING,
    RECORD_PUBLISHED,
    RECORD_REMOVED,
    RECORD_UPLOAD_CREATED,
    RECORD_PART_ADDED,
    RECORD_UPLOAD_ENDED,
};

struct journal {
    pthread_mutex_t lock;
    int fd;          /* protected by lock */
    uint64_t offset; /* end of the last whole record; protected by lock */
};

/* ---- writing ---- */

static void put_u8(struct strbuf *sb, uint8_t v)
{
    (void)strbuf_append(sb, &v, 1);
}

static void put_u32(struct strbuf *sb, uint32_t v)
{
    (void)strbuf_append(sb, &v, sizeof(v));
}

static void put_u64(struct strbuf *sb, uint64_t v)
{
    (void)strbuf_append(sb, &v, sizeof(v));
}

static void put_bytes(struct strbuf *sb, const void *data, size_t len)
{
    put_u32(sb, (uint32_t)len);
    (void)strbuf_append(sb, data, len);
}

static void put_text(struct strbuf *sb, const char *s)
{
    put_bytes(sb, s, strlen(s));
}

static void put_checksum(struct strbuf *sb, const struct checksum *c)
{
    put_u8(sb, c->algo);
    put_u8(sb, c->type);
    put_text(sb, c->text);
}

static void put_fields(struct strbuf *sb, const struct fields *f)
{
    put_u32(sb, f->count);
    for (unsigned i = 0; i < f->count; i++) {
        put_text(sb, f->list[i].name);
        put_text(sb, f->list[i].value);
    }
}

static void put_segments(struct strbuf *sb, const struct segment *s, unsigned n)
{
    put_u32(sb, n);
    for (unsigned i = 0; i < n; i++) {
        put_u64(sb, s[i].blob->id);
        put_u64(sb, s[i].offset);
        put_u64(sb, s[i].len);
    }
}

static void put_head(struct strbuf *sb, enum record_type t, const char *bucket, const char *key,
                     size_t len)
{
    static const char room[RECORD_HEADER];

    (void)strbuf_append(sb, room, sizeof(room));
    put_u8(sb, (uint8_t)t);
    put_text(sb, bucket);
    if (key)
        put_bytes(sb, key, len);
}

static int journal_append(struct journal *j, struct strbuf *sb)
{
    uint32_t head[2];
    ssize_t n;
    int r = sb->error;

    if (r == 0) {
        head[0] = (uint32_t)(sb->len - RECORD_HEADER);
        head[1] = crc32c_update(0, sb->data + RECORD_HEADER, head[0]);
        memcpy(sb->data, head, sizeof(head));
        pthread_mutex_lock(&j->lock);
        n = pwrite(j->fd, sb->data, sb->len, (off_t)j->offset);
        if (n == (ssize_t)sb->len)
            j->offset += sb->len;
        else
            r = n < 0 ? -errno : -ENOSPC;
        pthread_mutex_unlock(&j->lock);
    }
    strbuf_done(sb);
    return r;
}

int journal_bucket_created(struct journal *j, const struct bucket *b)
{
    struct strbuf sb = STRBUF_INIT(RECORD_MAX);

    put_head(&sb, RECORD_BUCKET_CREATED, b->name, NULL, 0);
    put_text(&sb, b->region);
    put_u64(&sb, (uint64_t)b->created_ns);
    return journal_append(j, &sb);
}

int journal_bucket_deleted(struct journal *j, const char *name)
{
    struct strbuf sb = STRBUF_INIT(RECORD_MAX);

    put_head(&sb, RECORD_BUCKET_DELETED, name, NULL, 0);
    return journal_append(j, &sb);
}

int journal_versioning(struct journal *j, const struct bucket *b, enum versioning v)
{
    struct strbuf sb = STRBUF_INIT(RECORD_MAX);

    put_head(&sb, RECORD_VERSIONING, b->name, NULL, 0);
    put_u8(&sb, (uint8_t)v);
    return journal_append(j, &sb);
}

int journal_published(struct journal *j, const struct bucket *b, const char *key, size_t len,
                      const struct version *v)
{
    struct strbuf sb = STRBUF_INIT(RECORD_MAX);

    put_head(&sb, RECORD_PUBLISHED, b->name, key, len);
    put_text(&sb, v->id);
    put_u8(&sb, v->delete_marker);
    put_u64(&sb, v->size);
    put_u64(&sb, (uint64_t)v->mtime_ns);
    put_text(&sb, v->etag);
    put_text(&sb, v->storage_class);
    put_checksum(&sb, &v->checksum);
    put_fields(&sb, &v->fields);
    put_segments(&sb, v->segments, v->n_segments);
    put_u32(&sb, v->n_parts);
    for (unsigned i = 0; i < v->n_parts; i++) {
        put_u32(&sb, v->parts[i].number);
        put_u64(&sb, v->parts[i].size);
        put_checksum(&sb, &v->parts[i].checksum);
    }
    return journal_append(j, &sb);
}

int journal_removed(struct journal *j, const struct bucket *b, const char *key, size_t len,
                    const struct version *v)
{
    struct strbuf sb = STRBUF_INIT(RECORD_MAX);

    put_head(&sb, RECORD_REMOVED, b->name, key, len);
    put_text(&sb, v->id);
    return journal_append(j, &sb);
}

int journal_upload_created(struct journal *j, const struct bucket *b, const char *key, size_t len,
                           const struct upload *u)
{
    struct strbuf sb = STRBUF_INIT(RECORD_MAX);

    put_head(&sb, RECORD_UPLOAD_CREATED, b->name, key, len);
    put_text(&sb, u->id);
    put_u64(&sb, u->seq);
    put_u64(&sb, (uint64_t)u->initiated_ns);
    put_u8(&sb, u->algo);
    put_u8(&sb, u->type);
    put_u8(&sb, u->algo_implied);
    put_text(&sb, u->storage_class);
    put_fields(&sb, &u->fields);
    return journal_append(j, &sb);
}

int journal_part_added(struct journal *j, const struct bucket *b, const char *key, size_t len,
                       const struct upload *u, const struct part *p)
{
    struct strbuf sb = STRBUF_INIT(RECORD_MAX);

    put_head(&sb, RECORD_PART_ADDED, b->name, key, len);
    put_text(&sb, u->id);
    put_u32(&sb, p->number);
    put_u64(&sb, p->size);
    put_u64(&sb, (uint64_t)p->mtime_ns);
    put_text(&sb, p->etag);
    put_checksum(&sb, &p->checksum);
    put_segments(&sb, p->segments, p->n_segments);
    return journal_append(j, &sb);
}

int journal_upload_ended(struct journal *j, const struct bucket *b, const char *key, size_t len,
                         const struct upload *u)
{
    struct strbuf sb = STRBUF_INIT(RECORD_MAX);

    put_head(&sb, RECORD_UPLOAD_ENDED, b->name, key, len);
    put_text(&sb, u->id);
    return journal_append(j, &sb);
}

/* ---- reading ---- */

struct blob_row {
    uint64_t id;
    struct blob *blob;
    UT_hash_handle hh;
};

struct replay {
    struct store *st;
    struct blob_row *blobs;
    const uint8_t *p, *end;
    bool bad;
};

static const uint8_t *get_raw(struct replay *rp, size_t len)
{
    const uint8_t *at = rp->p;

    if (rp->bad || (size_t)(rp->end - rp->p) < len) {
        rp->bad = true;
        return NULL;
    }
    rp->p += len;
    return at;
}

static uint8_t get_u8(struct replay *rp)
{
    const uint8_t *at = get_raw(rp, 1);

    return at ? *at : 0;
}

static uint32_t get_u32(struct replay *rp)
{
    const uint8_t *at = get_raw(rp, 4);
    uint32_t v = 0;

    if (at)
        memcpy(&v, at, sizeof(v));
    return v;
}

static uint64_t get_u64(struct replay *rp)
{
    const uint8_t *at = get_raw(rp, 8);
    uint64_t v = 0;

    if (at)
        memcpy(&v, at, sizeof(v));
    return v;
}

static void get_text(struct replay *rp, char *out, size_t size)
{
    uint32_t len = get_u32(rp);
    const uint8_t *at = get_raw(rp, len);

    out[0] = '\0';
    if (!at || len >= size) {
        rp->bad = true;
        return;
    }
    memcpy(out, at, len);
    out[len] = '\0';
}

static void get_checksum(struct replay *rp, struct checksum *c)
{
    c->algo = get_u8(rp);
    c->type = get_u8(rp);
    get_text(rp, c->text, sizeof(c->text));
    if (c->algo >= CHECKSUM_MAX)
        rp->bad = true;
}

static void get_fields(struct replay *rp, struct fields *f)
{
    uint32_t n = get_u32(rp);

    for (uint32_t i = 0; i < n && !rp->bad; i++) {
        char name[512], value[8192];

        get_text(rp, name, sizeof(name));
        get_text(rp, value, sizeof(value));
        if (!rp->bad && fields_add(f, name, value) < 0)
            rp->bad = true;
    }
}

static struct blob *blob_of(struct replay *rp, uint64_t id)
{
    struct blob_row *row = NULL;

    HASH_FIND(hh, rp->blobs, &id, sizeof(id), row);
    if (row)
        return blob_ref(row->blob);
    row = calloc(1, sizeof(*row));
    if (!row)
        return NULL;
    row->id = id;
    row->blob = calloc(1, sizeof(*row->blob));
    if (row->blob) {
        row->blob->id = id;
        row->blob->refs = 1; /* the table's own, until the replay ends */
        HASH_ADD(hh, rp->blobs, id, sizeof(id), row);
    }
    if (!row->blob || HASH_ADD_FAILED(row)) {
        free(row->blob);
        free(row);
        return NULL;
    }
    return blob_ref(row->blob);
}

static void get_segments(struct replay *rp, struct segment **ret, unsigned *ret_n)
{
    uint32_t n = get_u32(rp);

    if (rp->bad || n > (size_t)(rp->end - rp->p) / 24) {
        rp->bad = true;
        return;
    }
    if (!n)
        return;
    *ret = calloc(n, sizeof(**ret));
    if (!*ret) {
        rp->bad = true;
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct segment *s = &(*ret)[i];

        s->blob = blob_of(rp, get_u64(rp));
        s->offset = get_u64(rp);
        s->len = get_u64(rp);
        if (!s->blob) {
            rp->bad = true;
            return;
        }
        *ret_n = i + 1;
    }
}

static struct version *get_version(struct replay *rp)
{
    struct version *v = version_new();

    if (!v)
        return NULL;
    get_text(rp, v->id, sizeof(v->id));
    v->delete_marker = get_u8(rp);
    v->size = get_u64(rp);
    v->mtime_ns = (int64_t)get_u64(rp);
    get_text(rp, v->etag, sizeof(v->etag));
    get_text(rp, v->storage_class, sizeof(v->storage_class));
    get_checksum(rp, &v->checksum);
    get_fields(rp, &v->fields);
    get_segments(rp, &v->segments, &v->n_segments);
    v->n_parts = get_u32(rp);
    if (v->n_parts > STORE_PARTS_MAX)
        rp->bad = true;
    if (rp->bad)
        v->n_parts = 0;
    v->parts = v->n_parts ? calloc(v->n_parts, sizeof(*v->parts)) : NULL;
    if (!v->parts)
        v->n_parts = 0;
    for (unsigned i = 0; i < v->n_parts; i++) {
        v->parts[i].number = get_u32(rp);
        v->parts[i].size = get_u64(rp);
        get_checksum(rp, &v->parts[i].checksum);
    }
    if (rp->bad) {
        version_unref(rp->st, v);
        return NULL;
    }
    return v;
}

static struct upload *get_upload(struct replay *rp)
{
    struct upload *u = calloc(1, sizeof(*u));

    if (!u)
        return NULL;
    get_text(rp, u->id, sizeof(u->id));
    u->seq = get_u64(rp);
    u->initiated_ns = (int64_t)get_u64(rp);
    u->algo = get_u8(rp);
    u->type = get_u8(rp);
    u->algo_implied = get_u8(rp);
    get_text(rp, u->storage_class, sizeof(u->storage_class));
    get_fields(rp, &u->fields);
    if (rp->bad || u->algo >= CHECKSUM_MAX) {
        rp->bad = true;
        upload_free(rp->st, u);
        return NULL;
    }
    return u;
}

static struct part *get_part(struct replay *rp)
{
    struct part *p = part_new();

    if (!p)
        return NULL;
    p->number = get_u32(rp);
    p->size = get_u64(rp);
    p->mtime_ns = (int64_t)get_u64(rp);
    get_text(rp, p->etag, sizeof(p->etag));
    get_checksum(rp, &p->checksum);
    get_segments(rp, &p->segments, &p->n_segments);
    if (rp->bad || p->number < 1 || p->number > STORE_PARTS_MAX) {
        rp->bad = true;
        part_unref(rp->st, p);
        return NULL;
    }
    return p;
}

static void replay_key_record(struct replay *rp, enum record_type type, struct bucket *b)
{
    uint32_t len = get_u32(rp);
    const char *key = (const char *)get_raw(rp, len);
    struct store *st = rp->st;
    char id[64] = "";

    if (!key)
        return;
    if (type == RECORD_PUBLISHED) {
        struct version *v = get_version(rp), *old = NULL;

        if (v && bucket_publish_quiet(b, key, len, v, &old) < 0)
            rp->bad = true;
        version_unref(st, old);
    } else if (type == RECORD_REMOVED) {
        struct version *v;

        get_text(rp, id, sizeof(id));
        v = entry_find_version(bucket_find_entry(b, key, len), id);
        if (v) {
            bucket_remove_quiet(b, key, len, v);
            version_unref(st, v);
        }
    } else if (type == RECORD_UPLOAD_CREATED) {
        struct upload *u = get_upload(rp);

        if (u && bucket_add_upload_quiet(b, key, len, u) < 0)
            rp->bad = true;
        if (u && u->seq >= st->next_upload)
            st->next_upload = u->seq + 1;
    } else if (type == RECORD_PART_ADDED) {
        struct upload *u;
        struct part *p, *old = NULL;

        get_text(rp, id, sizeof(id));
        u = bucket_find_upload(b, key, len, id);
        p = get_part(rp);
        if (u && p && upload_add_part_quiet(u, p, &old) == 0)
            part_unref(st, old);
        else
            part_unref(st, p);
    } else if (type == RECORD_UPLOAD_ENDED) {
        struct upload *u;
        struct skipnode *n;

        get_text(rp, id, sizeof(id));
        u = bucket_find_upload(b, key, len, id);
        n = u ? skiplist_find(&b->uploads, key, len, u->seq) : NULL;
        if (n) {
            skiplist_remove(&b->uploads, n);
            upload_free(st, u);
        }
    }
}

static void replay_record(struct replay *rp)
{
    enum record_type type = get_u8(rp);
    struct store *st = rp->st;
    struct skipnode *n;
    char name[64], region[32];

    get_text(rp, name, sizeof(name));
    if (rp->bad)
        return;
    n = skiplist_find(&st->buckets, name, strlen(name), 0);
    if (type == RECORD_BUCKET_CREATED) {
        struct bucket *b;

        get_text(rp, region, sizeof(region));
        b = n ? NULL : bucket_new(name, region, (int64_t)get_u64(rp));
        if (!rp->bad && b && !skiplist_insert(&st->buckets, name, strlen(name), 0, b))
            rp->bad = true;
    } else if (!n) {
        rp->bad = true;
    } else if (type == RECORD_BUCKET_DELETED) {
        struct bucket *b = n->value;

        for (struct skipnode *u = skiplist_first(&b->uploads); u; u = skipnode_next(u))
            upload_free(st, u->value);
        skiplist_remove(&st->buckets, n);
    } else if (type == RECORD_VERSIONING) {
        ((struct bucket *)n->value)->versioning = get_u8(rp);
    } else {
        replay_key_record(rp, type, n->value);
    }
}

/* Reads the whole file in; a torn or broken end is cut off with a warning. */
static int replay_file(struct replay *rp, int fd)
{
    CLEANUP_FREE uint8_t *data = NULL;
    struct stat sb;
    size_t size, got = 0, at = 0;

    if (fstat(fd, &sb) < 0)
        return -errno;
    size = (size_t)sb.st_size;
    data = malloc(size ? size : 1);
    if (!data)
        return -ENOMEM;
    while (got < size) {
        ssize_t n = read(fd, data + got, size - got);

        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    while (got - at >= RECORD_HEADER) {
        uint32_t head[2];

        memcpy(head, data + at, sizeof(head));
        if (head[0] > got - at - RECORD_HEADER ||
            crc32c_update(0, data + at + RECORD_HEADER, head[0]) != head[1])
            break;
        rp->p = data + at + RECORD_HEADER;
        rp->end = rp->p + head[0];
        replay_record(rp);
        if (rp->bad)
            return -EBADMSG;
        at += RECORD_HEADER + head[0];
    }
    if (at != got)
        log_warn("journal: %zu bytes at its end are not a whole record: dropped", got - at);
    return 0;
}

/* Files of blobs that no record names were never published, or were removed. */
static void remove_orphans(struct replay *rp)
{
    struct store *st = rp->st;

    for (unsigned i = 0; i < 256; i++) {
        CLEANUP_DIR DIR *dir = NULL;
        struct dirent *de;
        char name[3];
        int fd;

        snprintf(name, sizeof(name), "%02x", i);
        fd = openat(st->data_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
            if (fd >= 0)
                close(fd);
            continue;
        }
        while ((de = readdir(dir))) {
            uint64_t id = strtoull(de->d_name, NULL, 16);
            struct blob_row *row = NULL;

            if (de->d_name[0] == '.')
                continue;
            HASH_FIND(hh, rp->blobs, &id, sizeof(id), row);
            if (!row)
                (void)unlinkat(dirfd(dir), de->d_name, 0);
        }
    }
}

static int write_bucket(struct journal *j, struct bucket *b)
{
    int r = journal_bucket_created(j, b);

    if (r == 0 && b->versioning != VERSIONING_OFF)
        r = journal_versioning(j, b, b->versioning);
    for (struct skipnode *n = skiplist_first(&b->keys); n && r == 0; n = skipnode_next(n)) {
        struct entry *e = n->value;

        for (unsigned i = 0; i < e->count && r == 0; i++)
            r = journal_published(j, b, n->key, n->key_len, e->versions[i]);
    }
    for (struct skipnode *n = skiplist_first(&b->uploads); n && r == 0; n = skipnode_next(n)) {
        struct upload *u = n->value;

        r = journal_upload_created(j, b, n->key, n->key_len, u);
        for (unsigned i = 0; i < u->alloc && r == 0; i++) {
            if (u->parts[i])
                r = journal_part_added(j, b, n->key, n->key_len, u, u->parts[i]);
        }
    }
    return r;
}

int journal_open(struct store *st, struct journal **ret)
{
    struct replay rp = {.st = st};
    struct blob_row *row, *next;
    CLEANUP_FD int fd = -1;
    struct journal *j = calloc(1, sizeof(*j));
    int r = 0;

    if (!j)
        return -ENOMEM;
    j->fd = -1;
    pthread_mutex_init(&j->lock, NULL);
    fd = openat(st->dir_fd, "journal", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        r = replay_file(&rp, fd);
    else if (errno != ENOENT)
        r = -errno;
    if (r == 0) {
        remove_orphans(&rp);
        j->fd = openat(st->dir_fd, "journal.new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        r = j->fd < 0 ? -errno : 0;
    }
    for (struct skipnode *n = skiplist_first(&st->buckets); n && r == 0; n = skipnode_next(n))
        r = write_bucket(j, n->value);
    if (r == 0 && renameat(st->dir_fd, "journal.new", st->dir_fd, "journal") < 0)
        r = -errno;
    HASH_ITER (hh, rp.blobs, row, next) {
        HASH_DEL(rp.blobs, row);
        if (row->id >= st->next_blob)
            st->next_blob = row->id + 1;
        blob_unref(st, row->blob);
        free(row);
    }
    if (r < 0) {
        journal_close(j);
        return r;
    }
    *ret = j;
    return 0;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    pthread_mutex_destroy(&j->lock);
    free(j);
}
