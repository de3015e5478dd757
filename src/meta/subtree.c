/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/subtree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* A directory that the key just looked at is in. */
struct level {
    char *key;
    size_t len;
    bool whole;   /* it begins within the page */
    size_t first; /* of the page's keys */
    struct store_entry *entries;
    size_t n_entries;
    size_t alloc_entries;
    const char **prefixes; /* owned strings */
    size_t n_prefixes;
    size_t alloc_prefixes;
};

struct split {
    const char *after;
    subtree_fn fn;
    void *ctx;
    struct level *levels;
    size_t n;
    size_t alloc;
};

static void level_done(struct level *l)
{
    for (size_t i = 0; i < l->n_prefixes; i++)
        free((char *)l->prefixes[i]);
    free(l->prefixes);
    free(l->entries);
    free(l->key);
}

static void split_done(struct split *s)
{
    while (s->n > 0)
        level_done(&s->levels[--s->n]);
    free(s->levels);
}

static int grow(void **array, size_t n, size_t *alloc, size_t size)
{
    if (n < *alloc)
        return 0;
    size_t more = *alloc ? *alloc * 2 : 8;
    void *p = realloc(*array, more * size);
    if (!p)
        return -ENOMEM;
    *array = p;
    *alloc = more;
    return 0;
}

static int add_prefix(struct level *l, const char *key, size_t len)
{
    if (grow((void **)&l->prefixes, l->n_prefixes, &l->alloc_prefixes, sizeof(*l->prefixes)) < 0)
        return -ENOMEM;
    char *copy = strndup(key, len);
    if (!copy)
        return -ENOMEM;
    l->prefixes[l->n_prefixes++] = copy;
    return 0;
}

static int push(struct split *s, const char *key, size_t len, size_t number)
{
    struct level *up = s->n > 0 ? &s->levels[s->n - 1] : NULL;
    if (up && up->whole && add_prefix(up, key, len) < 0)
        return -ENOMEM;
    if (grow((void **)&s->levels, s->n, &s->alloc, sizeof(*s->levels)) < 0)
        return -ENOMEM;
    char *copy = strndup(key, len);
    if (!copy)
        return -ENOMEM;
    s->levels[s->n++] = (struct level){
        .key = copy, .len = len, .whole = strcmp(copy, s->after) > 0, .first = number};
    return 0;
}

static int pop(struct split *s, const char *last, size_t number)
{
    struct level *l = &s->levels[--s->n];
    struct store_page part = {.entries = l->entries,
                              .n_entries = l->n_entries,
                              .prefixes = l->prefixes,
                              .n_prefixes = l->n_prefixes};
    int r = l->whole ? s->fn(s->ctx, l->key, &part, last, number - l->first) : 0;
    level_done(l);
    return r;
}

static int take(struct split *s, size_t base_len, const struct store_entry *e, size_t number)
{
    int r = 0;
    while (r == 0 && s->n > 0 &&
           strncmp(e->key, s->levels[s->n - 1].key, s->levels[s->n - 1].len) != 0)
        r = pop(s, NULL, number);
    size_t from = s->n > 0 ? s->levels[s->n - 1].len : base_len;
    const char *slash;
    while (r == 0 && (slash = strchr(e->key + from, '/'))) {
        from = (size_t)(slash - e->key) + 1;
        r = push(s, e->key, from, number);
    }
    struct level *l = s->n > 0 ? &s->levels[s->n - 1] : NULL;
    if (r < 0 || !l || !l->whole)
        return r;
    r = grow((void **)&l->entries, l->n_entries, &l->alloc_entries, sizeof(*l->entries));
    if (r == 0)
        l->entries[l->n_entries++] = *e;
    return r;
}

int subtree_split(const char *base, const char *after, const struct store_page *page, subtree_fn fn,
                  void *ctx, struct s3_error *reterr)
{
    CLEANUP(split_done) struct split s = {.after = after, .fn = fn, .ctx = ctx};
    size_t base_len = strlen(base);
    const char *last = after;
    int r = 0;
    if (page->n_prefixes > 0)
        return s3_error_set(reterr, S3_ERROR_BAD_RESPONSE,
                            "the listing of '%s' is rolled up, which was not asked for", base);
    for (size_t i = 0; i < page->n_entries; i++) {
        const char *key = page->entries[i].key;
        if (strncmp(key, base, base_len) != 0)
            return s3_error_set(
                reterr, S3_ERROR_BAD_RESPONSE,
                "the listing of '%s' contains '%.200s', which does not belong there", base, key);
        if (strcmp(key, last) <= 0)
            return -EPROTO;
        last = key;
    }
    for (size_t i = 0; i < page->n_entries && r == 0; i++)
        r = take(&s, base_len, &page->entries[i], i);
    while (r == 0 && s.n > 0)
        r = pop(&s, page->next_token ? last : NULL, page->n_entries);
    return r;
}
