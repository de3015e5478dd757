/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount shows of random sets of keys, compared key by key with what the sets say, over
 * servers that do everything a server may do with a listing, and some that do what they may not.
 * The server is a sorted array. LISTING_SETS and LISTING_SEED in the environment: more, others. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "data/data.h"
#include "meta/names.h"
#include "vfs/vfs.h"

#define KEYS_MAX  120u
#define LINES_MAX 1000u

static uint64_t seed;

static unsigned pick(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((seed >> 33) % n);
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

struct bucket {
    struct store store;
    char *keys[KEYS_MAX]; /* in the server's order */
    unsigned n;
    /* what the server does */
    unsigned page;      /* keys of a page at most */
    bool utf16;         /* its order */
    bool ignores_after; /* StartAfter means nothing to it */
    bool empty_pages;   /* now and then one that is not the last */
    bool repeats;       /* the last key of a page is the first one of the next, too */
    bool hides;         /* a prefix that StartAfter lies in */
    unsigned circle;    /* 0: the token after so many pages leads back to the first */
    unsigned requests;
    unsigned empties;
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

static bool sorts_utf16;
static int by_key(const void *a, const void *b)
{
    return compare(*(char *const *)a, *(char *const *)b, sorts_utf16);
}

static void make_key(char *out, size_t size)
{
    size_t len = 0;
    unsigned depth = 1 + pick(4);
    for (unsigned d = 0; d < depth; d++) {
        for (unsigned n = pick(3) ? 1 : 2; n > 0; n--)
            len += (size_t)snprintf(out + len, size - len, "%s", pieces[pick(ARRAY_SIZE(pieces))]);
        if (pick(60) == 0 && len < 300)
            for (unsigned n = 230 + pick(60); n > 0; n--)
                out[len++] = 'x';
        if (d + 1 < depth || pick(8) == 0)
            out[len++] = '/';
        out[len] = '\0';
    }
    if (pick(300) == 0) {
        while (len < 1024)
            out[len++] = "y/z"[pick(40) ? 0 : pick(3)];
        out[len] = '\0';
    }
}

static void fill(struct bucket *b)
{
    unsigned want = 1 + pick(pick(4) ? 40 : KEYS_MAX);
    /* Many of one kind, for requests of several stretches; on both sides of U+E000. */
    bool wide = pick(6) == 0;
    if (wide) {
        want = KEYS_MAX;
        b->page = 1 + pick(8);
    }
    for (b->n = 0; b->n < want; b->n++) {
        char key[2048];
        do
            if (wide)
                snprintf(key, sizeof(key), "%s%02u%s", pieces[ARRAY_SIZE(pieces) - 1 - pick(4)],
                         pick(100), pick(9) ? "" : "/");
            else
                make_key(key, sizeof(key));
        while (!*key);
        assert_true(strlen(key) <= 1024);
        assert_non_null(b->keys[b->n] = strdup(key));
    }
    sorts_utf16 = b->utf16;
    qsort(b->keys, b->n, sizeof(b->keys[0]), by_key);
    unsigned unique = 0;
    for (unsigned i = 0; i < b->n; i++) {
        if (unique > 0 && strcmp(b->keys[unique - 1], b->keys[i]) == 0)
            free(b->keys[i]);
        else
            b->keys[unique++] = b->keys[i];
    }
    b->n = unique;
}

static void empty(struct bucket *b)
{
    while (b->n > 0)
        free(b->keys[--b->n]);
}

static uint64_t size_of(const char *key)
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

static int list(struct bucket *b, const struct store_list_in *in, struct store_page *page)
{
    unsigned max = in->max_keys ? MIN(in->max_keys, b->page) : b->page, i = 0;
    size_t len = strlen(in->prefix);
    *page = (struct store_page){.arena = ARENA_INIT(1 << 20)};
    page->entries = arena_alloc(&page->arena, (max + 2) * sizeof(*page->entries));
    page->prefixes = arena_alloc(&page->arena, (max + 2) * sizeof(*page->prefixes));
    if (in->token)
        i = (unsigned)strtoul(in->token, NULL, 10);
    if (b->empty_pages && b->empties < 20 && pick(3) == 0) {
        b->empties++;
        max = 0;
    }
    unsigned n = 0, last = i;
    for (; i < b->n; i++) {
        const char *key = b->keys[i];
        if (strncmp(key, in->prefix, len) != 0)
            continue;
        size_t rolled = roll(key, in);
        if (!in->token && in->start_after && !b->ignores_after &&
            (compare(key, in->start_after, b->utf16) <= 0 ||
             (b->hides && rolled && strncmp(in->start_after, key, rolled) == 0)))
            continue;
        if (n == max) {
            char token[32];
            /* The key that was the last one, again: then a page has to have two, or the next one
             * is the same. */
            bool again = b->repeats && n > 1 && pick(2);
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
                .key = arena_strdup(&page->arena, key), .size = size_of(key), .etag = "\"e\""};
        }
    }
    return 0;
}

static int submit(struct store *s, enum store_op op, const void *in, void *out, store_done_fn done,
                  void *ctx)
{
    struct bucket *b = CONTAINER_OF(s, struct bucket, store);
    struct s3_error err = {0};
    int r;
    b->requests++;
    assert_true(b->requests < 100000);
    if (op == STORE_LIST)
        r = list(b, in, out);
    else
        r = s3_error_set(&err, op == STORE_HEAD ? S3_ERROR_NO_SUCH_KEY : S3_ERROR_UNSUPPORTED,
                         "there is none");
    done(ctx, r, &err);
    return 0;
}

static void nothing(struct store *s ATTR_UNUSED)
{
}

static const struct store_ops ops = {.submit = submit, .free = nothing};

/* ---- what is to be seen ---- */

struct lines {
    char *at[LINES_MAX];
    unsigned n;
};

static void add_line(struct lines *l, const char *path, const char *name, bool dir, uint64_t size)
{
    char line[8192];
    snprintf(line, sizeof(line), "%s%s%s %llu", path, name, dir ? "/" : "",
             dir ? 0ull : (unsigned long long)size);
    assert_true(l->n < LINES_MAX);
    assert_non_null(l->at[l->n++] = strdup(line));
}

static void lines_done(struct lines *l)
{
    while (l->n > 0)
        free(l->at[--l->n]);
}

static bool is_dir(const struct bucket *b, const char *prefix)
{
    for (unsigned i = 0; i < b->n; i++)
        if (strncmp(b->keys[i], prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

static void expect(const struct bucket *b, const char *prefix, const char *path, struct lines *out)
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
            add_line(out, path, name, false, size_of(key));
        } else if (strcmp(below, before) != 0) {
            memcpy(before, below, sizeof(before));
            assert_int_equal(name_from_component(key + len, rest, false, name), 0);
            add_line(out, path, name, true, 0);
            snprintf(down, sizeof(down), "%s%s/", path, name);
            expect(b, below, down, out);
        }
    }
}

/* ---- what is seen ---- */

struct names {
    struct {
        char name[NAME_LENGTH_MAX + 1];
        uint64_t ino, size;
        bool dir;
    } at[KEYS_MAX];
    unsigned n, room;
    uint64_t next;
};

static bool take(void *ctx, const char *name, const struct vfs_entry *e, uint64_t next)
{
    struct names *l = ctx;
    if (l->room-- == 0)
        return false;
    l->next = next;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    assert_true(l->n < KEYS_MAX);
    snprintf(l->at[l->n].name, sizeof(l->at[0].name), "%s", name);
    l->at[l->n].ino = e->ino;
    l->at[l->n].size = (uint64_t)e->st.st_size;
    l->at[l->n++].dir = S_ISDIR(e->st.st_mode);
    return true;
}

static int read_dir(struct vfs *v, uint64_t ino, bool plus, struct names *l, struct s3_error *err)
{
    struct vfs_dir *dir;
    uint64_t before;
    int r;
    assert_int_equal(vfs_opendir(v, ino, &dir), 0);
    do {
        before = l->next;
        l->room = 1 + pick(30);
        r = vfs_readdir(v, dir, l->next, plus, take, l, err);
    } while (r == 0 && l->next != before);
    vfs_releasedir(v, dir);
    return r;
}

static void find(struct vfs *v, uint64_t ino, bool plus, const char *path, struct lines *out)
{
    struct names *l = calloc(1, sizeof(*l));
    struct s3_error err;
    assert_non_null(l);
    assert_int_equal(read_dir(v, ino, plus, l, &err), 0);
    for (unsigned i = 0; i < l->n; i++) {
        char below[8192];
        struct vfs_entry e = {.ino = l->at[i].ino, .st.st_size = (off_t)l->at[i].size};
        if (!plus)
            assert_int_equal(vfs_lookup(v, ino, l->at[i].name, &e, &err), 0);
        if (!plus)
            assert_int_equal(S_ISDIR(e.st.st_mode), l->at[i].dir);
        assert_int_equal(e.ino, l->at[i].ino);
        add_line(out, path, l->at[i].name, l->at[i].dir, (uint64_t)e.st.st_size);
        snprintf(below, sizeof(below), "%s%s/", path, l->at[i].name);
        if (l->at[i].dir)
            find(v, e.ino, plus, below, out);
        vfs_forget(v, e.ino, 1);
    }
    free(l);
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void compare_lines(struct lines *want, struct lines *got)
{
    qsort(want->at, want->n, sizeof(want->at[0]), by_line);
    qsort(got->at, got->n, sizeof(got->at[0]), by_line);
    for (unsigned i = 0; i < want->n && i < got->n; i++)
        assert_string_equal(got->at[i], want->at[i]);
    assert_int_equal(got->n, want->n);
}

/* Each name by lookups from the root, and one beside it that is not there. */
static void look_up(struct vfs *v, struct lines *want)
{
    for (unsigned i = 0; i < want->n; i++) {
        char line[8192];
        struct vfs_entry e = {.ino = VFS_ROOT};
        struct s3_error err;
        snprintf(line, sizeof(line), "%s", want->at[i]);
        char *size = strrchr(line, ' ');
        *size++ = '\0';
        char *rest = line, *part;
        uint64_t dir = VFS_ROOT;
        bool is_directory = false;
        while ((part = strsep(&rest, "/")) && *part) {
            dir = e.ino;
            if (vfs_lookup(v, dir, part, &e, &err) < 0)
                fail_msg("'%s' of '%s' is not found", part, want->at[i]);
            is_directory = rest != NULL;
            assert_int_equal(S_ISDIR(e.st.st_mode), is_directory);
        }
        if (!is_directory)
            assert_int_equal(e.st.st_size, strtoull(size, NULL, 10));
        if (pick(4) == 0)
            assert_int_equal(vfs_lookup(v, dir, "absent", &e, &err), -ENOENT);
    }
}

static struct vfs *mount_it(struct bucket *b, struct clock_fake *clock, struct data **ret_data)
{
    struct vfs *v;
    struct data_options d = {.store = &b->store, .clock = &clock->clock};
    assert_int_equal(data_new(&d, ret_data), 0);
    struct vfs_options o = {.store = &b->store,
                            .data = *ret_data,
                            .clock = &clock->clock,
                            .file_mode = 0644,
                            .dir_mode = 0755,
                            .metadata_ttl_ns = 60 * (uint64_t)NS_PER_S,
                            .negative_ttl_ns = 60 * (uint64_t)NS_PER_S,
                            .parallel = 1 + pick(8)};
    assert_int_equal(vfs_new(&o, &v), 0);
    return v;
}

/* ---- the tests ---- */

static void one_set(uint64_t number)
{
    struct lines *want = calloc(1, sizeof(*want)), *got = calloc(1, sizeof(*got));
    struct bucket b = {.store.ops = &ops};
    struct clock_fake clock;
    seed = number;
    clock_fake_init(&clock, INT64_C(1790000000) * NS_PER_S);
    assert_true(want && got);
    b.page = 1 + pick(pick(3) ? 12 : 1000);
    b.utf16 = pick(4) == 0;
    b.ignores_after = pick(4) == 0;
    b.empty_pages = pick(4) == 0;
    b.repeats = pick(4) == 0;
    b.hides = pick(4) == 0;
    fill(&b);
    expect(&b, "", "", want);
    for (unsigned way = 0; way < 3; way++) {
        struct data *data;
        struct vfs *v = mount_it(&b, &clock, &data);
        b.requests = b.empties = 0;
        if (way == 2)
            look_up(v, want);
        find(v, VFS_ROOT, way != 1, "", got);
        compare_lines(want, got);
        lines_done(got);
        vfs_free(v);
        data_free(data);
    }
    lines_done(want);
    empty(&b);
    free(want);
    free(got);
}

static unsigned environment(const char *name, unsigned otherwise)
{
    const char *value = getenv(name);
    return value ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

static void test_random_keys(void **state ATTR_UNUSED)
{
    unsigned from = environment("LISTING_SEED", 1), n = environment("LISTING_SETS", 1500);
    for (unsigned s = from; s < from + n; s++) {
        print_message("# seed %u\n", s);
        one_set(s);
    }
}

/* Whoever reads the directory is told so, in the end. */
static void test_circles(void **state ATTR_UNUSED)
{
    for (uint64_t s = 1; s <= 30; s++) {
        struct bucket b = {.store.ops = &ops};
        struct names *l = calloc(1, sizeof(*l));
        struct clock_fake clock;
        struct data *data;
        struct s3_error err = {0};
        seed = s;
        clock_fake_init(&clock, INT64_C(1790000000) * NS_PER_S);
        for (; b.n < 100; b.n++) {
            char key[32];
            snprintf(key, sizeof(key), "k%03u", b.n);
            assert_non_null(b.keys[b.n] = strdup(key));
        }
        b.page = 1 + pick(20);
        b.circle = 1 + pick(90 / b.page + 1);
        struct vfs *v = mount_it(&b, &clock, &data);
        assert_non_null(l);
        b.requests = 0;
        if ((b.circle + 1) * b.page < 100) {
            assert_int_equal(read_dir(v, VFS_ROOT, true, l, &err), -EIO);
            assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
            assert_non_null(strstr(err.message, "does not end"));
        }
        assert_true(b.requests < 1000);
        for (unsigned i = 0; i < l->n; i++)
            vfs_forget(v, l->at[i].ino, 1);
        vfs_free(v);
        data_free(data);
        empty(&b);
        free(l);
    }
}

/* A long name is looked for page by page. */
static void test_circles_of_a_search(void **state ATTR_UNUSED)
{
    char component[301], name[NAME_LENGTH_MAX + 1];
    memset(component, 'k', 300);
    component[300] = '\0';
    assert_int_equal(name_from_component(component, 300, false, name), 0);
    for (uint64_t s = 1; s <= 30; s++) {
        struct bucket b = {.store.ops = &ops};
        struct clock_fake clock;
        struct data *data;
        struct s3_error err = {0};
        struct vfs_entry e;
        seed = s;
        clock_fake_init(&clock, INT64_C(1790000000) * NS_PER_S);
        for (; b.n < 100; b.n++) {
            char key[320];
            snprintf(key, sizeof(key), "%.299s%02u%s", component, b.n, s % 3 ? "" : "/");
            assert_non_null(b.keys[b.n] = strdup(key));
        }
        b.page = 1 + pick(20);
        bool ends = s % 5 == 0;
        b.circle = ends ? 0 : 1 + pick(90 / b.page + 1);
        if (!ends && (b.circle + 1) * b.page >= 100)
            b.circle = 1;
        struct vfs *v = mount_it(&b, &clock, &data);
        b.requests = 0;
        assert_int_equal(vfs_lookup(v, VFS_ROOT, name, &e, &err), ends ? -ENOENT : -EIO);
        if (!ends) {
            assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
            assert_non_null(strstr(err.message, "does not end"));
        }
        assert_true(b.requests < 8000);
        vfs_free(v);
        data_free(data);
        empty(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_keys),
        cmocka_unit_test(test_circles),
        cmocka_unit_test(test_circles_of_a_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
