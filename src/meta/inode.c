/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/inode.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BUCKETS_MIN 256u
/* Numbers stay below 2^62, so that tools that keep them in signed integers are at ease. */
#define INO_MASK  ((UINT64_C(1) << 62) - 1)
#define INO_FIRST 16u

/* FNV-1a, which can be carried on from the parent's key to the child's. */
#define FNV_START UINT64_C(14695981039346656037)
#define FNV_PRIME UINT64_C(1099511628211)

static uint64_t fnv(uint64_t h, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)s[i]) * FNV_PRIME;
    return h;
}

static uint64_t child_key_hash(const struct inode *parent, const char *name, size_t len,
                               enum node_kind kind)
{
    uint64_t h = fnv(parent->key_hash, name, len);
    return kind == NODE_DIR ? fnv(h, "/", 1) : h;
}

/* FNV leaves regular patterns in the high bits; this mixes every bit into every other. */
static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 33;
    h *= UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ (h >> 33);
}

static uint64_t first_number(uint64_t key_hash)
{
    uint64_t ino = mix(key_hash) & INO_MASK;
    return ino < INO_FIRST ? ino + INO_FIRST : ino;
}

static struct inode **ino_bucket(struct inode_table *t, uint64_t ino)
{
    return &t->by_ino[mix(ino) & (t->n_buckets - 1)];
}

static struct inode **name_bucket(struct inode_table *t, const struct inode *parent,
                                  const char *name, size_t len, enum node_kind kind)
{
    uint64_t h = fnv(parent->ino ^ FNV_START ^ (uint64_t)kind, name, len);
    return &t->by_name[mix(h) & (t->n_buckets - 1)];
}

static void link_ino(struct inode_table *t, struct inode *i)
{
    struct inode **b = ino_bucket(t, i->ino);
    i->next_by_ino = *b;
    *b = i;
}

static void link_name(struct inode_table *t, struct inode *i)
{
    if (!i->parent)
        return;
    struct inode **b = name_bucket(t, i->parent, i->name, i->name_len, i->kind);
    i->next_by_name = *b;
    *b = i;
}

static void unlink_ino(struct inode_table *t, struct inode *i)
{
    struct inode **p = ino_bucket(t, i->ino);
    while (*p != i)
        p = &(*p)->next_by_ino;
    *p = i->next_by_ino;
}

static void unlink_name(struct inode_table *t, struct inode *i)
{
    if (!i->parent)
        return;
    struct inode **p = name_bucket(t, i->parent, i->name, i->name_len, i->kind);
    while (*p != i)
        p = &(*p)->next_by_name;
    *p = i->next_by_name;
}

/* Tables that cannot grow only get slower. */
static void grow(struct inode_table *t)
{
    size_t old_n = t->n_buckets, n = old_n * 2;
    struct inode **ino = calloc(n, sizeof(struct inode *));
    struct inode **name = calloc(n, sizeof(struct inode *));
    if (!ino || !name) {
        free(ino);
        free(name);
        return;
    }
    struct inode **old = t->by_ino;
    free(t->by_name);
    t->by_ino = ino;
    t->by_name = name;
    t->n_buckets = n;
    for (size_t b = 0; b < old_n; b++) {
        for (struct inode *i = old[b], *next; i; i = next) {
            next = i->next_by_ino;
            link_ino(t, i);
            link_name(t, i);
        }
    }
    free(old);
}

static struct inode *make(enum node_kind kind, const char *name)
{
    struct inode *i = calloc(1, sizeof(*i));
    if (!i || !(i->name = strdup(name))) {
        free(i);
        return NULL;
    }
    i->name_len = strlen(name);
    i->kind = kind;
    return i;
}

int inode_table_init(struct inode_table *t)
{
    *t = (struct inode_table){.n_buckets = BUCKETS_MIN};
    t->by_ino = calloc(BUCKETS_MIN, sizeof(struct inode *));
    t->by_name = calloc(BUCKETS_MIN, sizeof(struct inode *));
    t->root = make(NODE_DIR, "");
    if (!t->by_ino || !t->by_name || !t->root) {
        if (t->root)
            free(t->root->name);
        free(t->root);
        free(t->by_ino);
        free(t->by_name);
        *t = (struct inode_table){0};
        return -ENOMEM;
    }
    t->root->ino = INODE_ROOT;
    t->root->key_hash = FNV_START;
    t->root->lookups = 1;
    t->root->attr.mode = S_IFDIR;
    link_ino(t, t->root);
    t->n = 1;
    return 0;
}

static void destroy(struct inode_table *t, struct inode *i)
{
    if (t->freed)
        t->freed(t->ctx, i);
    dir_unref(i->dir);
    free(i->link);
    free(i->xattr);
    free(i->content_type);
    free(i->storage_class);
    free(i->name);
    free(i);
}

void inode_table_done(struct inode_table *t)
{
    for (size_t b = 0; b < t->n_buckets; b++) {
        for (struct inode *i = t->by_ino[b], *next; i; i = next) {
            next = i->next_by_ino;
            destroy(t, i);
        }
    }
    stubs_done(&t->stubs);
    inode_numbers_done(&t->numbers);
    free(t->by_ino);
    free(t->by_name);
    *t = (struct inode_table){0};
}

static void insert(struct inode_table *t, struct inode *i)
{
    link_ino(t, i);
    link_name(t, i);
    if (++t->n > t->n_buckets)
        grow(t);
}

/* The inode that takes its place. NULL: no memory, and the stub stays. */
static struct inode *wake(struct inode_table *t, struct inode_stub *s)
{
    struct inode *i = s ? make(NODE_FILE, dir_entry_component(s->entry)) : NULL;
    if (!i)
        return NULL;
    i->ino = s->ino;
    i->parent = s->parent; /* with its reference */
    i->key_hash = child_key_hash(i->parent, i->name, i->name_len, NODE_FILE);
    i->lookups = s->lookups;
    insert(t, i);
    if (t->woken)
        t->woken(t->ctx, i, s->entry, s->until_ns);
    stubs_remove(&t->stubs, s);
    return i;
}

static struct inode *find_awake(struct inode_table *t, uint64_t ino)
{
    struct inode *i = *ino_bucket(t, ino);
    while (i && i->ino != ino)
        i = i->next_by_ino;
    return i;
}

struct inode *inode_find(struct inode_table *t, uint64_t ino)
{
    struct inode *i = find_awake(t, ino);
    return i ? i : wake(t, stubs_find(&t->stubs, ino));
}

static struct inode *find_child(struct inode_table *t, const struct inode *parent, const char *name,
                                size_t len, enum node_kind kind)
{
    struct inode *i = *name_bucket(t, parent, name, len, kind);
    while (i && (i->parent != parent || i->kind != kind || i->name_len != len ||
                 memcmp(i->name, name, len) != 0))
        i = i->next_by_name;
    return i;
}

struct inode *inode_child(struct inode_table *t, const struct inode *parent, const char *name,
                          enum node_kind kind)
{
    struct inode *i = inode_child_awake(t, parent, name, kind);
    return i || kind != NODE_FILE ? i : wake(t, stubs_child(&t->stubs, parent, name, strlen(name)));
}

struct inode *inode_child_awake(struct inode_table *t, const struct inode *parent, const char *name,
                                enum node_kind kind)
{
    return find_child(t, parent, name, strlen(name), kind);
}

static uint64_t free_number(struct inode_table *t, uint64_t key_hash)
{
    uint64_t noted = inode_numbers_get(&t->numbers, key_hash);
    uint64_t ino = noted ? noted : first_number(key_hash);
    while (find_awake(t, ino) || stubs_find(&t->stubs, ino) ||
           inode_numbers_is_taken(&t->numbers, ino, key_hash))
        ino = (ino + 1) & INO_MASK ? (ino + 1) & INO_MASK : INO_FIRST;
    return ino;
}

/* The key has that number from now on. */
static void note_number(struct inode_table *t, uint64_t key_hash, uint64_t ino)
{
    if (ino != first_number(key_hash)) {
        inode_numbers_put(&t->numbers, key_hash, ino);
        return;
    }
    inode_numbers_remove(&t->numbers, key_hash);
    inode_numbers_remove_ino(&t->numbers, ino);
}

uint64_t inode_number(struct inode_table *t, const struct inode *parent, const char *name,
                      size_t name_len, enum node_kind kind)
{
    const struct inode *i = find_child(t, parent, name, name_len, kind);
    const struct inode_stub *s =
        i || kind != NODE_FILE ? NULL : stubs_child(&t->stubs, parent, name, name_len);
    if (s)
        return s->ino;
    return i ? i->ino : free_number(t, child_key_hash(parent, name, name_len, kind));
}

int inode_get(struct inode_table *t, struct inode *parent, const char *name, enum node_kind kind,
              struct inode **ret)
{
    struct inode *i = inode_child(t, parent, name, kind);
    if (i) {
        *ret = inode_ref(i);
        return 0;
    }
    if (kind == NODE_FILE && stubs_child(&t->stubs, parent, name, strlen(name)))
        return -ENOMEM; /* it could not be woken */
    i = make(kind, name);
    if (!i)
        return -ENOMEM;
    i->key_hash = child_key_hash(parent, i->name, i->name_len, kind);
    i->ino = free_number(t, i->key_hash);
    note_number(t, i->key_hash, i->ino);
    i->parent = inode_ref(parent);
    i->refs = 1;
    insert(t, i);
    *ret = i;
    return 0;
}

struct inode *inode_ref(struct inode *i)
{
    i->refs++;
    return i;
}

/* Frees the inode when nobody has it, and then its parent, and so on; no recursion, because trees
 * may be deep. */
static void release(struct inode_table *t, struct inode *i)
{
    while (i && i->refs == 0 && i->lookups == 0) {
        struct inode *parent = i->parent;
        unlink_name(t, i);
        unlink_ino(t, i);
        t->n--;
        destroy(t, i);
        if (parent) {
            assert(parent->refs > 0);
            parent->refs--;
        }
        i = parent;
    }
}

void inode_unref(struct inode_table *t, struct inode *i)
{
    if (!i)
        return;
    assert(i->refs > 0);
    i->refs--;
    release(t, i);
}

void inode_lookup_add(struct inode *i)
{
    i->lookups++;
}

void inode_forget(struct inode_table *t, struct inode *i, uint64_t n)
{
    if (i == t->root)
        return;
    i->lookups -= n < i->lookups ? n : i->lookups;
    release(t, i);
}

/* ---- stubs ---- */

static bool same_version(const struct dir_entry *a, const struct dir_entry *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns &&
           !((a->flags ^ b->flags) & DIR_ENTRY_BESIDE) &&
           strcmp(dir_entry_etag(a), dir_entry_etag(b)) == 0;
}

int inode_stub_put(struct inode_table *t, struct inode *dir, struct dir_entry *e, uint64_t until_ns,
                   uint64_t *ret_ino)
{
    const char *name = dir_entry_component(e);
    if (find_child(t, dir, name, e->name_len, NODE_FILE))
        return -EEXIST;
    struct inode_stub *s = stubs_child(&t->stubs, dir, name, e->name_len);
    if (s && !same_version(s->entry, e))
        return -EEXIST;
    if (s && s->entry != e) { /* of a listing that may have gone */
        dir_entry_release(s->entry);
        s->entry = dir_entry_share(e);
    }
    if (!s) {
        uint64_t key_hash = child_key_hash(dir, name, e->name_len, NODE_FILE);
        s = stubs_add(&t->stubs, free_number(t, key_hash), dir, e);
        if (!s)
            return -ENOMEM;
        note_number(t, key_hash, s->ino);
        inode_ref(dir);
    }
    s->until_ns = until_ns;
    s->lookups++;
    *ret_ino = s->ino;
    return 0;
}

bool inode_stub_forget(struct inode_table *t, uint64_t ino, uint64_t n)
{
    struct inode_stub *s = stubs_find(&t->stubs, ino);
    if (!s)
        return false;
    s->lookups -= n < s->lookups ? n : s->lookups;
    if (s->lookups == 0) {
        struct inode *dir = s->parent;
        stubs_remove(&t->stubs, s);
        inode_unref(t, dir);
    }
    return true;
}

void inode_stubs_expire(struct inode_table *t, const struct inode *dir)
{
    for (size_t b = 0; b < t->stubs.n_buckets; b++) {
        for (struct inode_stub *s = t->stubs.by_ino[b]; s; s = s->next_by_ino) {
            if (inode_is_under(s->parent, dir))
                s->until_ns = 0;
        }
    }
}

void inode_unlink(struct inode_table *t, struct inode *i)
{
    assert(i != t->root);
    unlink_name(t, i);
    inode_numbers_remove_ino(&t->numbers, i->ino);
    struct inode *parent = i->parent;
    i->parent = NULL;
    i->unlinked = true;
    inode_unref(t, parent);
}

/* The keys of what is below a directory that was renamed are others, and its numbers are not. */
static void rename_below(struct inode_table *t, const struct inode *dir)
{
    char key[COMPONENT_LENGTH_MAX + 1];
    for (size_t b = 0; b < t->n_buckets; b++) {
        for (struct inode *i = t->by_ino[b]; i; i = i->next_by_ino) {
            if (i == dir || !inode_is_under(i, dir) || inode_key(i, COMPONENT_LENGTH_MAX, key) < 0)
                continue;
            i->key_hash = fnv(FNV_START, key, strlen(key));
            note_number(t, i->key_hash, i->ino);
        }
    }
    for (size_t b = 0; b < t->stubs.n_buckets; b++) {
        for (const struct inode_stub *s = t->stubs.by_ino[b]; s; s = s->next_by_ino) {
            const char *name = dir_entry_component(s->entry);
            if (inode_is_under(s->parent, dir))
                note_number(t, child_key_hash(s->parent, name, s->entry->name_len, NODE_FILE),
                            s->ino);
        }
    }
}

int inode_move(struct inode_table *t, struct inode *i, struct inode *parent, const char *name)
{
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    assert(!inode_child(t, parent, name, i->kind) || inode_child(t, parent, name, i->kind) == i);
    struct inode *old_parent = i->parent;
    unlink_name(t, i);
    free(i->name);
    i->name = copy;
    i->name_len = strlen(copy);
    i->parent = inode_ref(parent);
    i->key_hash = child_key_hash(parent, i->name, i->name_len, i->kind);
    note_number(t, i->key_hash, i->ino);
    i->unlinked = false;
    link_name(t, i);
    if (i->kind == NODE_DIR)
        rename_below(t, i);
    inode_unref(t, old_parent);
    return 0;
}

bool inode_is_under(const struct inode *i, const struct inode *dir)
{
    while (i && i != dir)
        i = i->parent;
    return i != NULL;
}

int inode_child_key(const struct inode *dir, const char *name, enum node_kind kind, size_t max,
                    char out[COMPONENT_LENGTH_MAX + 1])
{
    size_t name_len = strlen(name);
    size_t total = name_len + (kind == NODE_DIR);
    const struct inode *i;
    for (i = dir; i->parent; i = i->parent)
        total += i->name_len + 1;
    if (i->unlinked)
        return -ENOENT;
    if (total > max || max > COMPONENT_LENGTH_MAX)
        return -ENAMETOOLONG;

    char *p = out + total;
    *p = '\0';
    if (kind == NODE_DIR)
        *--p = '/';
    p -= name_len;
    memcpy(p, name, name_len);
    for (i = dir; i->parent; i = i->parent) {
        *--p = '/';
        p -= i->name_len;
        memcpy(p, i->name, i->name_len);
    }
    return 0;
}

int inode_key(const struct inode *i, size_t max, char out[COMPONENT_LENGTH_MAX + 1])
{
    if (i->unlinked)
        return -ENOENT;
    if (!i->parent) {
        out[0] = '\0';
        return 0;
    }
    return inode_child_key(i->parent, i->name, i->kind, max, out);
}
