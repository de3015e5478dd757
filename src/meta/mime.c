/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/mime.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/attr.h"

#define MIME_TYPES "/etc/mime.types"
#define GLOBS2     "/usr/share/mime/globs2"

#define EXTENSIONS_MAX 32768u
#define TYPE_MAX       127u /* RFC 6838: each half */
#define EXTENSION_MAX  63u
#define TEXT_MAX       (4u << 20)

struct entry {
    const char *extension;
    const char *type;
    size_t order; /* the first of equal ones counts */
};

struct mime_table {
    struct arena arena;
    struct entry *entries; /* by extension */
    size_t n;
    size_t alloc;
};

static const char *const OWN[][2] = {
    {"bz2", "application/x-bzip2"},
    {"css", "text/css"},
    {"csv", "text/csv"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"ico", "image/vnd.microsoft.icon"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript"},
    {"json", "application/json"},
    {"md", "text/markdown"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"txt", "text/plain"},
    {"wasm", "application/wasm"},
    {"webp", "image/webp"},
    {"woff2", "font/woff2"},
    {"xml", "application/xml"},
    {"xz", "application/x-xz"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

/* ---- reading ---- */

/* What can stand in a header as it is: token "/" token. */
static bool is_type(const char *s)
{
    size_t len = strlen(s);
    return len <= 2 * TYPE_MAX + 1 && strchr(s, '/') == strrchr(s, '/') && strchr(s, '/') &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&-^_.+/") ==
               len &&
           s[0] != '/' && s[len - 1] != '/';
}

static int add(struct mime_table *t, const char *extension, const char *type)
{
    size_t len = strlen(extension);
    if (len == 0 || len > EXTENSION_MAX || !is_type(type) || t->n == EXTENSIONS_MAX)
        return 0;
    if (t->n == t->alloc) {
        size_t alloc = t->alloc ? 2 * t->alloc : 256;
        struct entry *grown = realloc(t->entries, alloc * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        t->entries = grown;
        t->alloc = alloc;
    }
    struct entry *e = &t->entries[t->n];
    *e = (struct entry){.extension = arena_strdup(&t->arena, extension),
                        .type = arena_strdup(&t->arena, type),
                        .order = t->n};
    if (!e->extension || !e->type)
        return -ENOMEM;
    t->n++;
    return 0;
}

/* "text/html  html htm" */
static int read_types_line(struct mime_table *t, char *line)
{
    char *state, *type = strtok_r(line, " \t\r\n", &state), *extension;
    int r = 0;
    if (!type || *type == '#')
        return 0;
    while (r == 0 && (extension = strtok_r(NULL, " \t\r\n", &state)))
        r = add(t, extension, type);
    return r;
}

/* "50:text/html:*.html[:flags]"; patterns that are no extension say nothing here. */
static int read_globs_line(struct mime_table *t, char *line)
{
    char *state, *weight = strtok_r(line, ":\r\n", &state);
    if (!weight || *weight == '#')
        return 0;
    char *type = strtok_r(NULL, ":\r\n", &state), *glob = strtok_r(NULL, ":\r\n", &state);
    if (!type || !glob || strncmp(glob, "*.", 2) != 0 || strpbrk(glob + 1, "*?["))
        return 0;
    return add(t, glob + 2, type);
}

static int read_file(struct mime_table *t, const char *path,
                     int (*read_line)(struct mime_table *t, char *line))
{
    FILE *f = path ? fopen(path, "re") : NULL;
    char *line = NULL;
    size_t alloc = 0, total = 0;
    ssize_t len;
    int r = 0;
    if (!f)
        return 0;
    while (r == 0 && total < TEXT_MAX && (len = getline(&line, &alloc, f)) > 0) {
        total += (size_t)len;
        r = read_line(t, line);
    }
    free(line);
    fclose(f);
    return r;
}

static int by_extension(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = strcasecmp(x->extension, y->extension);
    return c ? c : x->order < y->order ? -1 : x->order > y->order;
}

int mime_table_new(const char *mime_types, const char *globs2, struct mime_table **ret)
{
    struct mime_table *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    arena_init(&t->arena, 2 * TEXT_MAX);
    int r = read_file(t, mime_types, read_types_line);
    if (r == 0 && t->n == 0)
        r = read_file(t, globs2, read_globs_line);
    for (size_t i = 0; i < ARRAY_SIZE(OWN) && r == 0; i++)
        r = add(t, OWN[i][0], OWN[i][1]);
    if (r < 0) {
        mime_table_free(t);
        return r;
    }
    qsort(t->entries, t->n, sizeof(*t->entries), by_extension);
    size_t n = 1;
    for (size_t i = 1; i < t->n; i++) {
        if (strcasecmp(t->entries[i].extension, t->entries[n - 1].extension) != 0)
            t->entries[n++] = t->entries[i];
    }
    t->n = n;
    *ret = t;
    return 0;
}

void mime_table_free(struct mime_table *t)
{
    if (!t)
        return;
    arena_done(&t->arena);
    free(t->entries);
    free(t);
}

/* ---- asking ---- */

static int compare(const void *key, const void *entry)
{
    return strcasecmp(key, ((const struct entry *)entry)->extension);
}

const char *mime_table_find(const struct mime_table *t, const char *name)
{
    /* The dot of a hidden file begins no extension. */
    const char *dot = *name ? strchr(name + 1, '.') : NULL;
    for (; dot; dot = strchr(dot + 1, '.')) {
        const struct entry *e = bsearch(dot + 1, t->entries, t->n, sizeof(*t->entries), compare);
        if (e)
            return e->type;
    }
    return MIME_DEFAULT;
}

static struct mime_table *table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    /* Without memory every type is the default. */
    if (mime_table_new(MIME_TYPES, GLOBS2, &table) < 0)
        table = NULL;
}

const char *mime_type(const char *name)
{
    pthread_once(&once, load);
    return table ? mime_table_find(table, name) : MIME_DEFAULT;
}
