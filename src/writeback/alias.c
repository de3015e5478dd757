/* SPDX-License-Identifier: Apache-2.0 */
#include "writeback/alias.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

struct entry {
    struct alias alias;
    struct entry *older, *newer;
    UT_hash_handle hh;
};

struct alias_table {
    struct entry *by_key;
    struct entry *oldest, *newest;
    size_t n, max;
};

int alias_table_new(size_t max, struct alias_table **ret)
{
    struct alias_table *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->max = max;
    *ret = t;
    return 0;
}

static void entry_free(struct entry *e)
{
    free(e->alias.key);
    free(e->alias.announced);
    free(e->alias.real);
    free(e);
}

static void drop(struct alias_table *t, struct entry *e)
{
    HASH_DEL(t->by_key, e);
    *(e->older ? &e->older->newer : &t->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &t->newest) = e->older;
    t->n--;
    entry_free(e);
}

static struct entry *find(struct alias_table *t, const char *key)
{
    struct entry *e = NULL;
    HASH_FIND_STR(t->by_key, key, e);
    return e;
}

void alias_add(struct alias_table *t, const char *key, const char *announced, const char *real,
               int64_t mtime_ns)
{
    struct entry *e = find(t, key);
    if (e)
        drop(t, e);
    e = calloc(1, sizeof(*e));
    if (!e)
        return;
    e->alias = (struct alias){strdup(key), strdup(announced), strdup(real), mtime_ns};
    if (e->alias.key && e->alias.announced && e->alias.real)
        HASH_ADD_KEYPTR(hh, t->by_key, e->alias.key, strlen(e->alias.key), e);
    if (HASH_ADD_FAILED(e)) {
        entry_free(e);
        return;
    }
    e->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = e;
    t->newest = e;
    if (++t->n > t->max)
        drop(t, t->oldest);
}

const struct alias *alias_find(struct alias_table *t, const char *key)
{
    struct entry *e = find(t, key);
    return e ? &e->alias : NULL;
}

const char *alias_real(struct alias_table *t, const char *key, const char *etag)
{
    const struct alias *a = etag ? alias_find(t, key) : NULL;
    return a && strcmp(a->announced, etag) == 0 ? a->real : etag;
}

void alias_table_free(struct alias_table *t)
{
    if (!t)
        return;
    while (t->oldest)
        drop(t, t->oldest);
    free(t);
}
