/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/remember_own.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "base/limits.h"

struct own_key {
    const char *key; /* first: what the trees compare; at text but in a search */
    uint64_t due_ns;
    bool metadata;
    bool again;
    TAILQ_ENTRY(own_key) link;
    char text[];
};

struct remember_own {
    bool every;
    void *tree; /* of tsearch(3), by key */
    TAILQ_HEAD(, own_key) by_due;
    size_t n;
    void *marked; /* of struct own_key: the keys of directories, "" for the root */
    size_t n_marked;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct own_key *)a)->key, ((const struct own_key *)b)->key);
}

static struct own_key *find(void *const *tree, const char *key)
{
    const struct own_key wanted = {.key = key};
    void *found = tfind(&wanted, tree, by_key);

    return found ? *(struct own_key **)found : NULL;
}

/* NULL without memory. The key must not be in the tree. */
static struct own_key *add(void **tree, const char *key, size_t len)
{
    struct own_key *k = calloc(1, sizeof(*k) + len + 1);

    if (!k)
        return NULL;
    memcpy(k->text, key, len);
    k->key = k->text;
    if (tsearch(k, tree, by_key))
        return k;
    free(k);
    return NULL;
}

struct remember_own *remember_own_new(bool every)
{
    struct remember_own *o = calloc(1, sizeof(*o));

    if (!o)
        return NULL;
    o->every = every;
    TAILQ_INIT(&o->by_due);
    return o;
}

void remember_own_free(struct remember_own *o)
{
    if (!o)
        return;
    tdestroy(o->tree, free);
    tdestroy(o->marked, free);
    free(o);
}

static void drop(struct remember_own *o, struct own_key *k)
{
    (void)tdelete(k, &o->tree, by_key);
    TAILQ_REMOVE(&o->by_due, k, link);
    o->n--;
    free(k);
}

void remember_own_changed(struct remember_own *o, const char *key, bool metadata, uint64_t due_ns)
{
    struct own_key *k = find(&o->tree, key);

    if (k) {
        TAILQ_REMOVE(&o->by_due, k, link);
    } else if (o->n >= LIMIT_METADATA_OWN || !(k = add(&o->tree, key, strlen(key)))) {
        return;
    } else {
        o->n++;
    }
    k->metadata = metadata;
    k->again = false;
    k->due_ns = due_ns;
    TAILQ_INSERT_TAIL(&o->by_due, k, link);
}

void remember_own_again(struct remember_own *o, const char *key, uint64_t due_ns)
{
    struct own_key *k = find(&o->tree, key);

    if (k) /* it was changed since */
        return;
    remember_own_changed(o, key, true, due_ns);
    k = find(&o->tree, key);
    if (k)
        k->again = true;
}

void remember_own_gone(struct remember_own *o, const char *key)
{
    struct own_key *k = find(&o->tree, key);

    if (k)
        drop(o, k);
}

/* Bytes of the key of the directory that a marker stands for. */
static size_t dir_len(const char *marker)
{
    size_t len = strlen(marker);

    return len > 0 && marker[len - 1] == '/' ? len : 0;
}

void remember_own_marked(struct remember_own *o, const char *marker)
{
    if (o->every || o->n_marked >= LIMIT_METADATA_OWN || remember_own_is_marked(o, marker))
        return;
    if (add(&o->marked, marker, dir_len(marker)))
        o->n_marked++;
}

bool remember_own_is_marked(const struct remember_own *o, const char *marker)
{
    return find(&o->marked, dir_len(marker) > 0 ? marker : "") != NULL;
}

uint64_t remember_own_due_ns(const struct remember_own *o)
{
    const struct own_key *k = TAILQ_FIRST(&o->by_due);

    return k ? k->due_ns : UINT64_MAX;
}

static bool is_wanted(const struct remember_own *o, const struct own_key *k)
{
    size_t len = strlen(k->key);

    if (o->every || k->metadata)
        return true;
    if (len > 0 && k->key[len - 1] == '/')
        len--;
    while (len > 0 && k->key[len - 1] != '/')
        len--;
    CLEANUP_FREE char *dir = strndup(k->key, len);
    return dir && find(&o->marked, dir);
}

char *remember_own_take(struct remember_own *o, uint64_t now_ns, bool *ret_again)
{
    struct own_key *k;
    char *key = NULL;

    while (!key && (k = TAILQ_FIRST(&o->by_due)) && k->due_ns <= now_ns) {
        if (is_wanted(o, k))
            key = strdup(k->key);
        if (ret_again)
            *ret_again = k->again;
        drop(o, k);
    }
    return key;
}

size_t remember_own_count(const struct remember_own *o)
{
    return o->n;
}
