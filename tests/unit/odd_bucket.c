/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "odd_bucket.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/pool.h"
#include "meta/names.h"

unsigned odd_pick(uint64_t *seed, unsigned n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((*seed >> 33) % n);
}

/* ---- keys ---- */

static const char *const pieces[] = {
    "",
    "",
    ".",
    "..",
    "a",
    "a",
    "a-",
    "a.",
    "a0",
    "a!",
    "b",
    "0",
    "-",
    " ",
    "~",
    "\x01",
    "\x7f",
    "\xc3\xa9",
    "\xe6\x97",
    "\xef\xbf\xbf",
    "\xef\xbc\xa1",
    "\xef\xbc\xa1-",
    "\xef\xa4\x80",
    "\xf0\x9f\x98\x80",
    "\xf0\x9f\x98\x80-",
    "%@",
    "%@.",
    "%",
    "file",
    "\xed\x9f\xbf",
};

static unsigned rank(unsigned char c, bool utf16)
{
    return utf16 && (c == 0xee || c == 0xef) ? c + 0x10u : c;
}

static int compare(const char *a, const char *b, bool utf16)
{
    while (*a && *a == *b)
        a++, b++;
    return (int)rank((unsigned char)*a, utf16) - (int)rank((unsigned char)*b, utf16);
}

static int by_utf8(const void *a, const void *b)
{
    return compare(*(char *const *)a, *(char *const *)b, false);
}

static int by_utf16(const void *a, const void *b)
{
    return compare(*(char *const *)a, *(char *const *)b, true);
}

static void make_key(uint64_t *seed, char *out, size_t size)
{
    size_t len = 0;
    unsigned depth = 1 + odd_pick(seed, 4);
    for (unsigned d = 0; d < depth; d++) {
        for (unsigned n = odd_pick(seed, 3) ? 1 : 2; n > 0; n--)
            len += (size_t)snprintf(out + len, size - len, "%s",
                                    pieces[odd_pick(seed, ARRAY_SIZE(pieces))]);
        if (odd_pick(seed, 60) == 0 && len < 300)
            for (unsigned n = 230 + odd_pick(seed, 60); n > 0; n--)
                out[len++] = 'x';
        if (d + 1 < depth || odd_pick(seed, 8) == 0)
            out[len++] = '/';
        out[len] = '\0';
    }
    if (odd_pick(seed, 300) == 0) {
        while (len < 1024)
            out[len++] = "y/z"[odd_pick(seed, 40) ? 0 : odd_pick(seed, 3)];
        out[len] = '\0';
    }
}

void odd_bucket_fill(struct odd_bucket *b, unsigned max)
{
    uint64_t *seed = &b->seed;
    unsigned want = 1 + odd_pick(seed, odd_pick(seed, 4) ? max / 3 : max);
    /* Many of one kind, for requests of several stretches; on both sides of U+E000. */
    bool wide = odd_pick(seed, 6) == 0;
    if (wide) {
        want = max;
        b->page = 1 + odd_pick(seed, 8);
    }
    assert_true(max <= ODD_KEYS_MAX);
    for (b->n = 0; b->n < want; b->n++) {
        char key[2048];
        do
            if (wide)
                snprintf(key, sizeof(key), "%s%02u%s",
                         pieces[ARRAY_SIZE(pieces) - 1 - odd_pick(seed, 4)], odd_pick(seed, max),
                         odd_pick(seed, 9) ? "" : "/");
            else
                make_key(seed, key, sizeof(key));
        while (!*key);
        assert_true(strlen(key) <= 1024);
        assert_non_null(b->keys[b->n] = strdup(key));
    }
    odd_bucket_sort(b);
}

void odd_bucket_empty(struct odd_bucket *b)
{
    while (b->n > 0)
        free(b->keys[--b->n]);
}

uint64_t odd_size_of(const char *key)
{
    uint64_t h = 1;
    for (; *key; key++)
        h = h * 31 + (unsigned char)*key;
    return h % 1000;
}

/* ---- the server ---- */

static size_t roll(const char *key, const struct store_list_in *in)
{
    const char *slash = in->delimited ? strchr(key + strlen(in->prefix), '/') : NULL;
    return slash ? (size_t)(slash - key) + 1 : 0;
}

static bool is_after(const struct odd_bucket *b, const char *key, size_t rolled, const char *after)
{
    return compare(key, after, b->utf16) > 0 &&
           !(b->hides && rolled && strncmp(after, key, rolled) == 0);
}

static int list(struct odd_bucket *b, const struct store_list_in *in, struct store_page *page)
{
    unsigned max = in->max_keys ? MIN(in->max_keys, b->page) : b->page, i = 0;
    size_t len = strlen(in->prefix);
    *page = (struct store_page){.arena = ARENA_INIT(4 << 20)};
    page->entries = arena_alloc(&page->arena, (max + 2) * sizeof(*page->entries));
    page->prefixes = arena_alloc(&page->arena, (max + 2) * sizeof(*page->prefixes));
    if (in->token)
        i = (unsigned)strtoul(in->token, NULL, 10);
    if (b->empty_pages && b->empties < 20 && odd_pick(&b->seed, 3) == 0) {
        b->empties++;
        max = 0;
    }
    unsigned n = 0, last = i;
    for (; i < b->n; i++) {
        const char *key = b->keys[i];
        if (b->gone[i] || strncmp(key, in->prefix, len) != 0)
            continue;
        size_t rolled = roll(key, in);
        if (!in->token && in->start_after && !b->ignores_after &&
            !is_after(b, key, rolled, in->start_after))
            continue;
        if (n == max) {
            char token[32];
            /* The key that was the last one, again: then a page has to have two, or the next one
             * is the same. */
            bool again = b->repeats && n > 1 && odd_pick(&b->seed, 2);
            snprintf(token, sizeof(token), "%u",
                     b->circle && b->requests > b->circle ? 0
                     : again                              ? last
                                                          : i);
            page->next_token = arena_strdup(&page->arena, token);
            break;
        }
        n++;
        last = i;
        if (rolled) {
            page->prefixes[page->n_prefixes++] = arena_strndup(&page->arena, key, rolled);
            while (i + 1 < b->n && strncmp(b->keys[i + 1], key, rolled) == 0)
                i++;
        } else {
            page->entries[page->n_entries++] = (struct store_entry){
                .key = arena_strdup(&page->arena, key), .size = odd_size_of(key), .etag = "\"e\""};
        }
    }
    return 0;
}

/* What other hosts do. */
static void change(struct odd_bucket *b)
{
    for (unsigned n = odd_pick(&b->seed, 8); b->changes && n > 0; n--) {
        unsigned i = odd_pick(&b->seed, b->n);
        b->gone[i] = b->passing[i] && odd_pick(&b->seed, 2);
    }
}

static int carry_out(struct odd_bucket *b, enum store_op op, const void *in, void *out,
                     struct s3_error *err)
{
    b->requests++;
    assert_true(b->requests < 100000);
    change(b);
    if (op == STORE_LIST)
        return list(b, in, out);
    return s3_error_set(err, op == STORE_HEAD ? S3_ERROR_NO_SUCH_KEY : S3_ERROR_UNSUPPORTED,
                        "there is none");
}

struct question {
    struct odd_bucket *b;
    enum store_op op;
    const void *in;
    void *out;
    store_done_fn done;
    void *ctx;
    unsigned yields;
};

static void answer(void *arg)
{
    struct question *q = arg;
    struct s3_error err = {0};
    /* Answers overtake each other. */
    for (; q->yields > 0; q->yields--)
        sched_yield();
    pthread_mutex_lock(&q->b->lock);
    int r = carry_out(q->b, q->op, q->in, q->out, &err);
    pthread_mutex_unlock(&q->b->lock);
    q->done(q->ctx, r, &err);
    free(q);
}

static int submit(struct store *s, enum store_op op, const void *in, void *out, store_done_fn done,
                  void *ctx)
{
    struct odd_bucket *b = CONTAINER_OF(s, struct odd_bucket, store);
    struct s3_error err = {0};
    if (!b->pool) {
        done(ctx, carry_out(b, op, in, out, &err), &err);
        return 0;
    }
    struct question *q = malloc(sizeof(*q));
    assert_non_null(q);
    *q = (struct question){b, op, in, out, done, ctx, 0};
    pthread_mutex_lock(&b->lock);
    q->yields = odd_pick(&b->seed, 20);
    pthread_mutex_unlock(&b->lock);
    int r = threadpool_submit(b->pool, answer, q);
    if (r < 0)
        free(q);
    return r;
}

static void nothing(struct store *s ATTR_UNUSED)
{
}

void odd_bucket_sort(struct odd_bucket *b)
{
    static const struct store_ops ops = {.submit = submit, .free = nothing};
    b->store.ops = &ops;
    qsort(b->keys, b->n, sizeof(b->keys[0]), b->utf16 ? by_utf16 : by_utf8);
    unsigned unique = 0;
    for (unsigned i = 0; i < b->n; i++) {
        if (unique > 0 && strcmp(b->keys[unique - 1], b->keys[i]) == 0)
            free(b->keys[i]);
        else
            b->keys[unique++] = b->keys[i];
    }
    b->n = unique;
}

/* ---- what is to be seen ---- */

void odd_line(struct odd_lines *l, const char *path, const char *name, bool dir, uint64_t size)
{
    char line[8192];
    snprintf(line, sizeof(line), "%s%s%s %llu", path, name, dir ? "/" : "",
             dir ? 0ull : (unsigned long long)size);
    assert_true(l->n < ODD_LINES_MAX);
    assert_non_null(l->at[l->n++] = strdup(line));
}

void odd_lines_done(struct odd_lines *l)
{
    while (l->n > 0)
        free(l->at[--l->n]);
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void odd_lines_sort(struct odd_lines *l)
{
    qsort(l->at, l->n, sizeof(l->at[0]), by_line);
}

static bool is_dir(const struct odd_bucket *b, const char *prefix)
{
    for (unsigned i = 0; i < b->n; i++)
        if (strncmp(b->keys[i], prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

static void expect(const struct odd_bucket *b, const char *prefix, const char *path,
                   struct odd_lines *out)
{
    size_t len = strlen(prefix);
    char below[1200], name[NAME_LENGTH_MAX + 1], before[1200] = "\n", down[4096];
    for (unsigned i = 0; i < b->n; i++) {
        const char *key = b->keys[i];
        if (strncmp(key, prefix, len) != 0 || !key[len])
            continue;
        size_t rest = strcspn(key + len, "/");
        snprintf(below, sizeof(below), "%.*s/", (int)(len + rest), key);
        if (!key[len + rest]) {
            assert_int_equal(name_from_component(key + len, rest, is_dir(b, below), name), 0);
            odd_line(out, path, name, false, odd_size_of(key));
        } else if (strcmp(below, before) != 0) {
            memcpy(before, below, sizeof(before));
            assert_int_equal(name_from_component(key + len, rest, false, name), 0);
            odd_line(out, path, name, true, 0);
            snprintf(down, sizeof(down), "%s%s/", path, name);
            expect(b, below, down, out);
        }
    }
}

void odd_lines_of(const struct odd_bucket *b, struct odd_lines *out)
{
    expect(b, "", "", out);
    odd_lines_sort(out);
}
