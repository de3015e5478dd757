/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "journal.h"

static int make_dirs(struct store *st, const char *dir)
{
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return -errno;
    st->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (st->dir_fd < 0)
        return -errno;
    if (flock(st->dir_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (mkdirat(st->dir_fd, "data", 0700) < 0 && errno != EEXIST)
        return -errno;
    st->data_fd = openat(st->dir_fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (st->data_fd < 0)
        return -errno;
    for (unsigned i = 0; i < 256; i++) {
        char name[3];

        snprintf(name, sizeof(name), "%02x", i);
        if (mkdirat(st->data_fd, name, 0700) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

int store_open(struct store *st, const char *dir)
{
    int r;

    *st = (struct store){.dir_fd = -1, .data_fd = -1, .next_blob = 1, .next_upload = 1};
    pthread_rwlock_init(&st->lock, NULL);
    r = skiplist_init(&st->buckets);
    if (r == 0)
        r = make_dirs(st, dir);
    if (r == 0)
        r = journal_open(st, &st->journal);
    if (r < 0)
        store_close(st);
    return r;
}

void store_close(struct store *st)
{
    /* The index is left to the end of the process: its blobs must keep their files. */
    journal_close(st->journal);
    st->journal = NULL;
    if (st->data_fd >= 0)
        close(st->data_fd);
    if (st->dir_fd >= 0)
        close(st->dir_fd);
    st->data_fd = st->dir_fd = -1;
}

struct bucket *store_find_bucket(struct store *st, const char *name)
{
    struct skipnode *n;

    pthread_rwlock_rdlock(&st->lock);
    n = skiplist_find(&st->buckets, name, strlen(name), 0);
    pthread_rwlock_unlock(&st->lock);
    return n ? n->value : NULL;
}

struct bucket *bucket_new(const char *name, const char *region, int64_t now_ns)
{
    struct bucket *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    snprintf(b->name, sizeof(b->name), "%s", name);
    snprintf(b->region, sizeof(b->region), "%s", region);
    b->created_ns = now_ns;
    pthread_rwlock_init(&b->lock, NULL);
    if (skiplist_init(&b->keys) < 0 || skiplist_init(&b->uploads) < 0) {
        skiplist_done(&b->keys);
        free(b);
        return NULL;
    }
    return b;
}

int store_create_bucket(struct store *st, const char *name, const char *region, int64_t now_ns)
{
    struct bucket *b;
    int r;

    pthread_rwlock_wrlock(&st->lock);
    if (skiplist_find(&st->buckets, name, strlen(name), 0)) {
        r = -EEXIST;
    } else {
        b = bucket_new(name, region, now_ns);
        r = b ? journal_bucket_created(st->journal, b) : -ENOMEM;
        if (r == 0 && !skiplist_insert(&st->buckets, name, strlen(name), 0, b))
            r = -ENOMEM;
    }
    pthread_rwlock_unlock(&st->lock);
    return r;
}

int store_delete_bucket(struct store *st, const char *name)
{
    struct skipnode *n;
    int r = 0;

    pthread_rwlock_wrlock(&st->lock);
    n = skiplist_find(&st->buckets, name, strlen(name), 0);
    if (!n) {
        r = -ENOENT;
    } else {
        struct bucket *b = n->value;

        pthread_rwlock_wrlock(&b->lock);
        /* As with AWS, unfinished uploads do not keep a bucket; they go with it. */
        if (b->keys.count)
            r = -ENOTEMPTY;
        else
            r = journal_bucket_deleted(st->journal, name);
        if (r == 0) {
            b->deleted = true;
            for (struct skipnode *u = skiplist_first(&b->uploads); u; u = skipnode_next(u))
                upload_free(st, u->value);
            skiplist_done(&b->uploads);
            (void)skiplist_init(&b->uploads);
            skiplist_remove(&st->buckets, n);
        }
        pthread_rwlock_unlock(&b->lock);
    }
    pthread_rwlock_unlock(&st->lock);
    return r;
}

struct entry *bucket_find_entry(const struct bucket *b, const char *key, size_t len)
{
    struct skipnode *n = skiplist_find(&b->keys, key, len, 0);

    return n ? n->value : NULL;
}

struct version *entry_latest(const struct entry *e)
{
    return e && e->count ? e->versions[e->count - 1] : NULL;
}

struct version *entry_find_version(const struct entry *e, const char *version_id)
{
    for (unsigned i = 0; e && i < e->count; i++) {
        if (!strcmp(e->versions[i]->id, version_id))
            return e->versions[i];
    }
    return NULL;
}

static struct version *entry_drop(struct entry *e, unsigned i)
{
    struct version *v = e->versions[i];

    memmove(&e->versions[i], &e->versions[i + 1], (e->count - i - 1) * sizeof(struct version *));
    e->count--;
    return v;
}

/* Room for one more version; creates the key. NULL when memory is out. */
static struct entry *entry_prepare(struct bucket *b, const char *key, size_t len)
{
    struct entry *e = bucket_find_entry(b, key, len);

    if (!e) {
        e = calloc(1, sizeof(*e));
        if (!e)
            return NULL;
        if (!skiplist_insert(&b->keys, key, len, 0, e)) {
            free(e);
            return NULL;
        }
    }
    if (e->count == e->alloc) {
        unsigned alloc = e->alloc ? e->alloc * 2 : 1;
        struct version **grown = realloc(e->versions, alloc * sizeof(struct version *));

        if (!grown)
            return NULL;
        e->versions = grown;
        e->alloc = alloc;
    }
    return e;
}

static void drop_key_if_empty(struct bucket *b, const char *key, size_t len)
{
    struct skipnode *n = skiplist_find(&b->keys, key, len, 0);
    struct entry *e = n ? n->value : NULL;

    if (e && !e->count) {
        skiplist_remove(&b->keys, n);
        free(e->versions);
        free(e);
    }
}

static void entry_put(struct entry *e, struct version *v, struct version **ret_old)
{
    *ret_old = NULL;
    for (unsigned i = 0; i < e->count; i++) {
        if (!strcmp(e->versions[i]->id, v->id)) {
            *ret_old = entry_drop(e, i);
            break;
        }
    }
    e->versions[e->count++] = v;
}

int bucket_publish_quiet(struct bucket *b, const char *key, size_t len, struct version *v,
                         struct version **ret_old)
{
    struct entry *e = entry_prepare(b, key, len);

    if (!e) {
        drop_key_if_empty(b, key, len);
        return -ENOMEM;
    }
    entry_put(e, v, ret_old);
    return 0;
}

int bucket_publish(struct store *st, struct bucket *b, const char *key, size_t len,
                   struct version *v, struct version **ret_old)
{
    struct entry *e = entry_prepare(b, key, len);
    int r = e ? journal_published(st->journal, b, key, len, v) : -ENOMEM;

    if (r < 0) {
        drop_key_if_empty(b, key, len);
        return r;
    }
    entry_put(e, v, ret_old);
    return 0;
}

void bucket_remove_quiet(struct bucket *b, const char *key, size_t len, struct version *v)
{
    struct entry *e = bucket_find_entry(b, key, len);

    for (unsigned i = 0; e && i < e->count; i++) {
        if (e->versions[i] == v) {
            entry_drop(e, i);
            break;
        }
    }
    drop_key_if_empty(b, key, len);
}

int bucket_remove_version(struct store *st, struct bucket *b, const char *key, size_t len,
                          struct version *v, struct version **ret_old)
{
    int r = journal_removed(st->journal, b, key, len, v);

    if (r < 0)
        return r;
    bucket_remove_quiet(b, key, len, v);
    *ret_old = v;
    return 0;
}

int bucket_set_versioning(struct store *st, struct bucket *b, enum versioning v)
{
    int r = journal_versioning(st->journal, b, v);

    if (r == 0)
        b->versioning = v;
    return r;
}

struct upload *bucket_find_upload(struct bucket *b, const char *key, size_t len, const char *id)
{
    for (struct skipnode *n = skiplist_seek(&b->uploads, key, len, 0);
         n && key_compare(n->key, n->key_len, key, len) == 0; n = skipnode_next(n)) {
        struct upload *u = n->value;

        if (!strcmp(u->id, id))
            return u;
    }
    return NULL;
}

int bucket_add_upload_quiet(struct bucket *b, const char *key, size_t len, struct upload *u)
{
    return skiplist_insert(&b->uploads, key, len, u->seq, u) ? 0 : -ENOMEM;
}

int bucket_add_upload(struct store *st, struct bucket *b, const char *key, size_t len,
                      struct upload *u)
{
    int r = journal_upload_created(st->journal, b, key, len, u);

    return r < 0 ? r : bucket_add_upload_quiet(b, key, len, u);
}

int upload_add_part_quiet(struct upload *u, struct part *p, struct part **ret_old)
{
    if (p->number > u->alloc) {
        unsigned alloc = u->alloc ? u->alloc : 4;
        struct part **grown;

        while (alloc < p->number)
            alloc *= 2;
        grown = realloc(u->parts, alloc * sizeof(struct part *));
        if (!grown)
            return -ENOMEM;
        memset(grown + u->alloc, 0, (alloc - u->alloc) * sizeof(struct part *));
        u->parts = grown;
        u->alloc = alloc;
    }
    *ret_old = u->parts[p->number - 1];
    if (!*ret_old)
        u->n_parts++;
    u->parts[p->number - 1] = p;
    return 0;
}

int bucket_add_part(struct store *st, struct bucket *b, const char *key, size_t len,
                    struct upload *u, struct part *p, struct part **ret_old)
{
    int r = journal_part_added(st->journal, b, key, len, u, p);

    return r < 0 ? r : upload_add_part_quiet(u, p, ret_old);
}

int bucket_end_upload(struct store *st, struct bucket *b, const char *key, size_t len,
                      struct upload *u, struct upload **ret_old)
{
    struct skipnode *n = skiplist_find(&b->uploads, key, len, u->seq);
    int r = journal_upload_ended(st->journal, b, key, len, u);

    if (r < 0)
        return r;
    if (n)
        skiplist_remove(&b->uploads, n);
    *ret_old = u;
    return 0;
}
