/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"

#define DIR_ENTRIES_MAX (UINT32_MAX - 1) /* numbers are 32 bits in the chains */
#define BUCKETS_MIN     16u
#define MALLOC_OVERHEAD 8u /* glibc's per block, for ->bytes */
/* Pages in a row that are not the last and tell nothing: empty ones are legal, of a stretch where
 * everything was deleted; what is known already may come again as often as there were pages, when a
 * server is found out that cannot be asked for several stretches (meta/ranges.h). */
#define EMPTY_MAX  1000u
#define STALE_MORE 16u

static uint32_t hash_component(const char *s, size_t len, enum node_kind kind)
{
    uint32_t h = 2166136261u ^ (uint32_t)kind;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h ^ (h >> 15);
}

static size_t entry_bytes(const struct dir_entry *e)
{
    return sizeof(*e) + e->name_len + 1u + e->etag_len + 1u;
}

void dir_entry_release(struct dir_entry *e)
{
    if (e && (e->flags & DIR_ENTRY_SHARED))
        e->flags &= (uint8_t)~DIR_ENTRY_SHARED;
    else
        free(e);
}

int dir_new(uint64_t now_ns, struct dir **ret)
{
    struct dir *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->buckets = calloc(BUCKETS_MIN, sizeof(*d->buckets));
    if (!d->buckets) {
        free(d);
        return -ENOMEM;
    }
    d->n_buckets = BUCKETS_MIN;
    d->refs = 1;
    d->since_ns = now_ns;
    d->bytes = sizeof(*d) + BUCKETS_MIN * sizeof(*d->buckets);
    *ret = d;
    return 0;
}

struct dir *dir_ref(struct dir *d)
{
    d->refs++;
    return d;
}

void dir_unref(struct dir *d)
{
    if (!d || --d->refs > 0)
        return;
    if (d->pager)
        d->pager_free(d->pager);
    for (size_t i = 0; i < d->n; i++)
        dir_entry_release(d->entries[i]);
    for (size_t i = 0; i < d->n_held; i++)
        free(d->held[i]);
    free(d->by_number);
    free(d->entries);
    free(d->held);
    free(d->buckets);
    free(d->token);
    free(d->after);
    free(d);
}

static uint32_t *bucket_of(struct dir *d, const char *s, size_t len, enum node_kind kind)
{
    return &d->buckets[hash_component(s, len, kind) & (d->n_buckets - 1)];
}

static void link_number(struct dir *d, size_t number)
{
    struct dir_entry *e = d->entries[number];
    uint32_t *bucket = bucket_of(d, e->text, e->name_len, dir_entry_kind(e));
    e->next = *bucket;
    *bucket = (uint32_t)number + 1;
}

/* A table that cannot grow only gets slower. */
static void grow_buckets(struct dir *d)
{
    size_t n = d->n_buckets * 2;
    uint32_t *bigger = calloc(n, sizeof(*bigger));
    if (!bigger)
        return;
    free(d->buckets);
    d->bytes += (n - d->n_buckets) * sizeof(*bigger);
    d->buckets = bigger;
    d->n_buckets = n;
    for (size_t i = 0; i < d->n; i++) {
        if (d->entries[i])
            link_number(d, i);
    }
}

/* The entry with its number, removed ones too. */
static struct dir_entry *find_any(struct dir *d, const char *s, size_t len, enum node_kind kind,
                                  size_t *ret_number)
{
    for (uint32_t i = *bucket_of(d, s, len, kind); i != 0; i = d->entries[i - 1]->next) {
        struct dir_entry *e = d->entries[i - 1];
        if (e->name_len == len && dir_entry_kind(e) == kind && memcmp(e->text, s, len) == 0) {
            if (ret_number)
                *ret_number = i - 1;
            return e;
        }
    }
    return NULL;
}

static struct dir_entry *find_len(struct dir *d, const char *s, size_t len, enum node_kind kind)
{
    struct dir_entry *e = find_any(d, s, len, kind, NULL);
    return e && !(e->flags & DIR_ENTRY_GONE) ? e : NULL;
}

struct dir_entry *dir_find(struct dir *d, const char *component, enum node_kind kind)
{
    return find_len(d, component, strlen(component), kind);
}

int dir_number(struct dir *d, const char *component, enum node_kind kind, size_t *ret)
{
    const struct dir_entry *e = find_any(d, component, strlen(component), kind, ret);
    return e && !(e->flags & DIR_ENTRY_GONE) ? 0 : -ENOENT;
}

static struct dir_entry *make_entry(const char *s, size_t len, enum node_kind kind, uint64_t size,
                                    int64_t mtime_ns, const char *etag)
{
    size_t etag_len = etag ? strlen(etag) : 0;
    if (len > UINT16_MAX || etag_len > UINT8_MAX)
        return NULL;
    struct dir_entry *e = malloc(sizeof(*e) + len + 1 + etag_len + 1);
    if (!e)
        return NULL;
    *e = (struct dir_entry){
        .name_len = (uint16_t)len,
        .etag_len = (uint8_t)etag_len,
        .size = size,
        .mtime_ns = mtime_ns,
        .flags = kind == NODE_DIR ? DIR_ENTRY_DIR : 0,
    };
    if (!name_is_plain(s, len))
        e->flags |= DIR_ENTRY_ODD;
    memcpy(e->text, s, len);
    e->text[len] = '\0';
    memcpy(e->text + len + 1, etag ? etag : "", etag_len + 1);
    return e;
}

static void count(struct dir *d, const struct dir_entry *e, int sign)
{
    d->n_live += (size_t)sign;
    /* An escaped form longer than a name is a hash; a byte takes three at most. */
    if (e->name_len >= NAME_LENGTH_MAX / 3 - 4 &&
        (e->name_len > NAME_LENGTH_MAX - 8 || (e->flags & DIR_ENTRY_ODD)))
        d->n_long += (size_t)sign;
}

/* Keeps DIR_ENTRY_BESIDE of the object true after the directory came or went. */
static void update_beside(struct dir *d, const char *s, size_t len)
{
    struct dir_entry *file = find_len(d, s, len, NODE_FILE);
    if (!file)
        return;
    if (find_len(d, s, len, NODE_DIR))
        file->flags |= DIR_ENTRY_BESIDE;
    else
        file->flags &= (uint8_t)~DIR_ENTRY_BESIDE;
}

static int append(struct dir *d, struct dir_entry *e)
{
    if (d->n == d->alloc) {
        size_t alloc = d->alloc ? d->alloc * 2 : 16;
        if (alloc > DIR_ENTRIES_MAX)
            return -ENOMEM;
        struct dir_entry **p = realloc(d->entries, alloc * sizeof(*p));
        if (!p)
            return -ENOMEM;
        d->bytes += (alloc - d->alloc) * sizeof(*p);
        d->entries = p;
        d->alloc = alloc;
    }
    d->entries[d->n] = e;
    link_number(d, d->n++);
    d->bytes += entry_bytes(e) + MALLOC_OVERHEAD;
    if (d->n > d->n_buckets)
        grow_buckets(d);
    if (!(e->flags & DIR_ENTRY_GONE)) {
        count(d, e, 1);
        update_beside(d, e->text, e->name_len);
    }
    return 0;
}

/* Puts a new version in the place of the old one, or a new entry at the end. What comes back while
 * its removal is still remembered takes its old number. */
static int put(struct dir *d, const char *s, size_t len, enum node_kind kind, uint64_t size,
               int64_t mtime_ns, const char *etag, uint8_t flags)
{
    size_t number;
    struct dir_entry *old = find_any(d, s, len, kind, &number);
    struct dir_entry *e = make_entry(s, len, kind, size, mtime_ns, etag);
    if (!e)
        return -ENOMEM;
    e->flags |= flags;
    if (!old) {
        int r = append(d, e);
        if (r < 0)
            free(e);
        return r;
    }
    e->next = old->next;
    d->entries[number] = e;
    d->bytes += entry_bytes(e);
    d->bytes -= entry_bytes(old);
    if ((old->flags ^ e->flags) & DIR_ENTRY_GONE)
        count(d, e, old->flags & DIR_ENTRY_GONE ? 1 : -1);
    dir_entry_release(old);
    update_beside(d, s, len);
    return 0;
}

int dir_put(struct dir *d, const char *component, enum node_kind kind, uint64_t size,
            int64_t mtime_ns, const char *etag)
{
    return put(d, component, strlen(component), kind, size, mtime_ns, etag,
               d->complete ? 0 : DIR_ENTRY_OWN);
}

static void drop_held(struct dir *d, const char *component, size_t len)
{
    for (size_t i = 0; i < d->n_held; i++) {
        if (d->held[i]->name_len == len && memcmp(d->held[i]->text, component, len) == 0) {
            free(d->held[i]);
            d->held[i] = d->held[--d->n_held];
            return;
        }
    }
}

int dir_remove(struct dir *d, const char *component, enum node_kind kind)
{
    size_t number, len = strlen(component);
    if (!d->complete) {
        /* Remembered, so that a page made before the removal does not bring it back. */
        if (kind == NODE_FILE)
            drop_held(d, component, len);
        return put(d, component, len, kind, 0, 0, NULL, DIR_ENTRY_OWN | DIR_ENTRY_GONE);
    }
    struct dir_entry *e = find_any(d, component, len, kind, &number);
    if (!e)
        return 0;
    uint32_t *link = bucket_of(d, component, len, kind);
    while (*link != number + 1)
        link = &d->entries[*link - 1]->next;
    *link = e->next;
    d->entries[number] = NULL;
    d->bytes -= entry_bytes(e) + MALLOC_OVERHEAD;
    if (!(e->flags & DIR_ENTRY_GONE))
        count(d, e, -1);
    dir_entry_release(e);
    update_beside(d, component, len);
    return 0;
}

/* ---- pages ---- */

/* The component of a key of the page: what follows the prefix, without the '/' of a directory. */
static bool component_of(const char *key, const char *prefix, enum node_kind kind, const char **ret,
                         size_t *ret_len)
{
    size_t prefix_len = strlen(prefix), len = strlen(key);
    if (len < prefix_len || len > COMPONENT_LENGTH_MAX || memcmp(key, prefix, prefix_len) != 0)
        return false;
    key += prefix_len;
    len -= prefix_len;
    if (kind == NODE_DIR && (len == 0 || key[--len] != '/'))
        return false;
    if (memchr(key, '/', len))
        return false;
    *ret = key;
    *ret_len = len;
    return true;
}

int dir_check_page(const char *prefix, const struct store_page *page, struct s3_error *reterr)
{
    const char *component, *bad = NULL;
    size_t len;
    for (size_t i = 0; i < page->n_entries && !bad; i++) {
        if (!component_of(page->entries[i].key, prefix, NODE_FILE, &component, &len))
            bad = page->entries[i].key;
    }
    for (size_t i = 0; i < page->n_prefixes && !bad; i++) {
        if (!component_of(page->prefixes[i], prefix, NODE_DIR, &component, &len))
            bad = page->prefixes[i];
    }
    if (!bad)
        return 0;
    return s3_error_set(reterr, S3_ERROR_BAD_RESPONSE,
                        "the listing of '%s' contains '%.200s', which does not belong there",
                        prefix, bad);
}

static bool own_change(struct dir *d, const char *s, size_t len, enum node_kind kind)
{
    const struct dir_entry *e = find_any(d, s, len, kind, NULL);
    return e && (e->flags & DIR_ENTRY_OWN);
}

/* "component/" against a key without the prefix. */
static int compare_as_directory(const char *component, size_t len, const char *key)
{
    int c = strncmp(component, key, len);
    if (c != 0)
        return c;
    if (key[len] != '/')
        return '/' - (int)(unsigned char)key[len];
    return key[len + 1] ? -1 : 0;
}

/* Whether the order of the two depends on the server: some have what is beyond U+FFFF before
 * U+E000, as UTF-16 does. */
static bool is_ambiguous(const char *component, size_t len, const char *key)
{
    size_t i = 0;
    while (i < len && component[i] == key[i])
        i++;
    unsigned char a = i < len ? (unsigned char)component[i] : '/', b = (unsigned char)key[i];
    return MIN(a, b) >= 0xee && MIN(a, b) < 0xf0 && MAX(a, b) >= 0xf0;
}

/* Whether a directory of the same component may still come. */
static bool undecided(const char *component, size_t len, const struct dir_gap *gaps, size_t n_gaps)
{
    for (size_t i = 0; i < n_gaps; i++) {
        if (is_ambiguous(component, len, gaps[i].from))
            return true;
        if (compare_as_directory(component, len, gaps[i].from) > 0 &&
            (!gaps[i].to || compare_as_directory(component, len, gaps[i].to) <= 0))
            return true;
    }
    return false;
}

/* What follows the prefix in the greatest key of a page; NULL when there is none. */
static const char *last_of_page(const struct store_page *page, const char *prefix)
{
    const char *a = page->n_entries > 0 ? page->entries[page->n_entries - 1].key : NULL;
    const char *b = page->n_prefixes > 0 ? page->prefixes[page->n_prefixes - 1] : NULL;
    const char *last = !a || (b && strcmp(b, a) > 0) ? b : a;
    return last ? last + strlen(prefix) : NULL;
}

static int hold(struct dir *d, const struct store_entry *o, const char *s, size_t len)
{
    drop_held(d, s, len);
    struct dir_entry **p = realloc(d->held, (d->n_held + 1) * sizeof(*p));
    if (!p)
        return -ENOMEM;
    d->held = p;
    p[d->n_held] = make_entry(s, len, NODE_FILE, o->size, o->mtime_ns, o->etag);
    return p[d->n_held] ? (d->n_held++, 0) : -ENOMEM;
}

/* Shows the held objects that the page has decided. */
static int release_held(struct dir *d, const struct dir_gap *gaps, size_t n_gaps)
{
    for (size_t i = 0; i < d->n_held;) {
        struct dir_entry *e = d->held[i];
        if (undecided(e->text, e->name_len, gaps, n_gaps)) {
            i++;
            continue;
        }
        d->held[i] = d->held[--d->n_held];
        int r = 0;
        if (find_any(d, e->text, e->name_len, NODE_FILE, NULL))
            free(e); /* changed by us meanwhile */
        else
            r = append(d, e);
        if (r < 0) {
            free(e);
            return r;
        }
    }
    return 0;
}

int dir_add_page(struct dir *d, const char *prefix, const struct store_page *page,
                 struct s3_error *reterr)
{
    char *token = NULL;
    if (page->next_token && !(token = strdup(page->next_token)))
        return -ENOMEM;
    /* An empty page that is not the last decides nothing. */
    const char *last = last_of_page(page, prefix);
    struct dir_gap rest = {.from = last ? last : ""};
    int r = dir_add_part(d, prefix, page, &rest, token ? 1 : 0, reterr);
    if (r < 0) {
        free(token);
        return r;
    }
    free(d->token);
    free(d->after);
    d->token = token;
    d->after = NULL;
    return 0;
}

/* FNV-1a */
uint64_t dir_key_hash(const char *key)
{
    uint64_t h = 14695981039346656037u;

    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 1099511628211u;
    return h ? h : 1;
}

bool dir_has_begun(const struct dir *d)
{
    return d->complete || d->pages > d->empty;
}

void dir_set_marker(struct dir *d, const char *key, uint64_t size, int64_t mtime_ns,
                    const char *etag)
{
    d->marker = true;
    d->marker_version =
        (struct dir_marker){.key_hash = dir_key_hash(key), .size = size, .mtime_ns = mtime_ns};
    (void)snprintf(d->marker_version.etag, sizeof(d->marker_version.etag), "%s", etag ? etag : "");
}

/* After a page that was not the last. */
static int check_progress(struct dir *d, const char *prefix, bool empty, bool news,
                          struct s3_error *reterr)
{
    d->stale = news || empty ? 0 : d->stale + 1;
    d->empty = empty ? d->empty + 1 : 0;
    if (d->empty <= EMPTY_MAX && d->stale <= d->pages / 2 + STALE_MORE)
        return 0;
    return s3_error_set(reterr, S3_ERROR_BAD_RESPONSE,
                        "the listing of '%s' does not end: the last %u pages told nothing new",
                        prefix, d->empty ? d->empty : d->stale);
}

int dir_add_part(struct dir *d, const char *prefix, const struct store_page *page,
                 const struct dir_gap *gaps, size_t n_gaps, struct s3_error *reterr)
{
    const char *s = NULL;
    size_t len = 0, before = d->n + d->n_held;
    int r = dir_check_page(prefix, page, reterr);
    if (r < 0)
        return r;
    for (size_t i = 0; i < page->n_prefixes; i++) {
        (void)component_of(page->prefixes[i], prefix, NODE_DIR, &s, &len);
        /* One that is there already may carry a flag, and a removal of ours stands. */
        if (!find_any(d, s, len, NODE_DIR, NULL) &&
            (r = put(d, s, len, NODE_DIR, 0, 0, NULL, 0)) < 0)
            return r;
    }
    if ((r = release_held(d, gaps, n_gaps)) < 0)
        return r;
    for (size_t i = 0; i < page->n_entries; i++) {
        const struct store_entry *o = &page->entries[i];
        (void)component_of(o->key, prefix, NODE_FILE, &s, &len);
        if (len == 0) {
            dir_set_marker(d, o->key, o->size, o->mtime_ns, o->etag);
            continue;
        }
        size_t folder = o->size == 0 ? name_folder_mark(s, len) : 0;
        if (folder > 0) {
            if (!own_change(d, s, folder, NODE_DIR) &&
                (r = put(d, s, folder, NODE_DIR, 0, 0, NULL, DIR_ENTRY_FOLDER)) < 0)
                return r;
            continue;
        }
        if (own_change(d, s, len, NODE_FILE))
            continue;
        r = undecided(s, len, gaps, n_gaps)
                ? hold(d, o, s, len)
                : put(d, s, len, NODE_FILE, o->size, o->mtime_ns, o->etag, 0);
        if (r < 0)
            return r;
    }
    d->pages++;
    d->complete = n_gaps == 0;
    return d->complete ? 0
                       : check_progress(d, prefix, page->n_entries + page->n_prefixes == 0,
                                        d->n + d->n_held != before, reterr);
}

/* ---- names ---- */

int dir_entry_name(const struct dir_entry *e, char out[NAME_LENGTH_MAX + 1])
{
    if (!(e->flags & (DIR_ENTRY_ODD | DIR_ENTRY_BESIDE))) {
        memcpy(out, e->text, e->name_len + 1u);
        return 0;
    }
    return name_from_component(e->text, e->name_len, (e->flags & DIR_ENTRY_BESIDE) != 0, out);
}

/* Names with a hash are rare: looked for from end to end, and only where there can be one. */
static struct dir_entry *find_hashed(struct dir *d, const char *name,
                                     const struct name_target *target)
{
    for (size_t i = 0; d->n_long > 0 && i < d->n; i++) {
        struct dir_entry *e = d->entries[i];
        if (e && !(e->flags & DIR_ENTRY_GONE) && e->name_len > target->len &&
            !(target->file_only && (e->flags & DIR_ENTRY_DIR)) &&
            memcmp(e->text, target->component, target->len) == 0 &&
            name_matches(name, e->text, e->name_len))
            return e;
    }
    return NULL;
}

enum dir_answer dir_lookup(struct dir *d, const char *name, const struct name_target *target,
                           struct dir_entry **ret)
{
    struct dir_entry *e = NULL;
    if (target->hashed) {
        e = find_hashed(d, name, target);
    } else {
        if (!target->file_only)
            e = find_len(d, target->component, target->len, NODE_DIR);
        /* While pages still come, a directory may follow that goes before the object. Objects
         * that are in the table are decided. */
        if (!e)
            e = find_len(d, target->component, target->len, NODE_FILE);
    }
    if (e) {
        *ret = e;
        return DIR_FOUND;
    }
    return d->complete ? DIR_ABSENT : DIR_UNKNOWN;
}
