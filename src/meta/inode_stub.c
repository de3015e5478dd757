/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/inode_stub.h"

#include <stdlib.h>
#include <string.h>

#include "meta/dir.h"
#include "meta/inode.h"

#define BUCKETS_MIN 256u

/* Numbers are made from hashes; their low bits are as good as any. */
static struct inode_stub **ino_bucket(const struct inode_stubs *s, uint64_t ino)
{
    return &s->by_ino[ino & (s->n_buckets - 1)];
}

static struct inode_stub **name_bucket(const struct inode_stubs *s, const struct inode *parent,
                                       const char *name, size_t len)
{
    uint64_t h = parent->ino;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * UINT64_C(1099511628211);
    return &s->by_name[(h ^ (h >> 32)) & (s->n_buckets - 1)];
}

static struct inode_stub **name_bucket_of(const struct inode_stubs *s, const struct inode_stub *e)
{
    return name_bucket(s, e->parent, dir_entry_component(e->entry), e->entry->name_len);
}

static void link_stub(struct inode_stubs *s, struct inode_stub *e)
{
    struct inode_stub **ino = ino_bucket(s, e->ino), **name = name_bucket_of(s, e);
    e->next_by_ino = *ino;
    *ino = e;
    e->next_by_name = *name;
    *name = e;
}

/* Tables that cannot grow only get slower; without any there can be no stub. */
static int grow(struct inode_stubs *s)
{
    size_t old_n = s->n_buckets, n = old_n ? old_n * 2 : BUCKETS_MIN;
    struct inode_stub **ino = calloc(n, sizeof(struct inode_stub *));
    struct inode_stub **name = calloc(n, sizeof(struct inode_stub *));
    if (!ino || !name) {
        free(ino);
        free(name);
        return old_n ? 0 : -1;
    }
    struct inode_stub **old = s->by_ino;
    free(s->by_name);
    s->by_ino = ino;
    s->by_name = name;
    s->n_buckets = n;
    for (size_t b = 0; b < old_n; b++) {
        for (struct inode_stub *e = old[b], *next; e; e = next) {
            next = e->next_by_ino;
            link_stub(s, e);
        }
    }
    free(old);
    return 0;
}

void stubs_done(struct inode_stubs *s)
{
    for (size_t b = 0; b < s->n_buckets; b++) {
        for (struct inode_stub *e = s->by_ino[b], *next; e; e = next) {
            next = e->next_by_ino;
            dir_entry_release(e->entry);
            free(e);
        }
    }
    free(s->by_ino);
    free(s->by_name);
    *s = (struct inode_stubs){0};
}

struct inode_stub *stubs_find(const struct inode_stubs *s, uint64_t ino)
{
    struct inode_stub *e = s->n > 0 ? *ino_bucket(s, ino) : NULL;
    while (e && e->ino != ino)
        e = e->next_by_ino;
    return e;
}

struct inode_stub *stubs_child(const struct inode_stubs *s, const struct inode *parent,
                               const char *name, size_t len)
{
    struct inode_stub *e = s->n > 0 ? *name_bucket(s, parent, name, len) : NULL;
    while (e && (e->parent != parent || e->entry->name_len != len ||
                 memcmp(dir_entry_component(e->entry), name, len) != 0))
        e = e->next_by_name;
    return e;
}

struct inode_stub *stubs_add(struct inode_stubs *s, uint64_t ino, struct inode *parent,
                             struct dir_entry *entry)
{
    if (s->n >= s->n_buckets && grow(s) < 0)
        return NULL;
    struct inode_stub *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->ino = ino;
    e->parent = parent;
    e->entry = dir_entry_share(entry);
    link_stub(s, e);
    s->n++;
    return e;
}

void stubs_remove(struct inode_stubs *s, struct inode_stub *stub)
{
    struct inode_stub **p = ino_bucket(s, stub->ino);
    while (*p != stub)
        p = &(*p)->next_by_ino;
    *p = stub->next_by_ino;
    p = name_bucket_of(s, stub);
    while (*p != stub)
        p = &(*p)->next_by_name;
    *p = stub->next_by_name;
    dir_entry_release(stub->entry);
    free(stub);
    /* A million that are forgotten leave no table for a million. */
    if (--s->n == 0)
        stubs_done(s);
}
