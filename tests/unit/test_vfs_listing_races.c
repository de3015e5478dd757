/* SPDX-License-Identifier: Apache-2.0 */
/* Walks of random sets of keys by several threads at once, answers that overtake each other, and
 * keys that other hosts store and remove from one page to the next: what was there all the time is
 * seen exactly once by each walk, what came or went may be seen once, and nothing else.
 * LISTING_SETS and LISTING_SEED in the environment: more, others. */
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
#include "base/pool.h"
#include "data/data.h"
#include "meta/names.h"
#include "odd_bucket.h"
#include "vfs/vfs.h"

#define WALKERS_MAX 4u
#define PROBLEM     9000u

struct walker {
    struct vfs *v;
    uint64_t seed;
    const char *from; /* path of the directory that it begins with, "" or with '/' at the end */
    bool plus;
    bool passing; /* keys come and go */
    struct odd_lines *seen;
    char problem[PROBLEM]; /* "" = none */
};

static void fail_walk(struct walker *w, const char *what, const char *path, const char *name, int r)
{
    if (!w->problem[0])
        snprintf(w->problem, sizeof(w->problem), "%s: '%s' in '%s': %d", what, name, path, r);
}

/* ---- one directory ---- */

struct names {
    struct name {
        char name[NAME_LENGTH_MAX + 1];
        uint64_t ino, size;
        bool dir;
    } * at;
    unsigned n, alloc, room;
    uint64_t next;
};

static bool take(void *ctx, const char *name, const struct vfs_entry *e, uint64_t next)
{
    struct names *l = ctx;
    if (l->room == 0)
        return false;
    l->room--;
    l->next = next;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    if (l->n == l->alloc) {
        l->alloc = l->alloc ? 2 * l->alloc : 16;
        l->at = realloc(l->at, l->alloc * sizeof(l->at[0]));
        if (!l->at)
            abort();
    }
    struct name *at = &l->at[l->n++];
    snprintf(at->name, sizeof(at->name), "%s", name);
    at->ino = e->ino;
    at->size = (uint64_t)e->st.st_size;
    at->dir = S_ISDIR(e->st.st_mode);
    return true;
}

static int read_dir(struct walker *w, uint64_t ino, struct names *l)
{
    struct vfs_dir *dir;
    struct s3_error err;
    uint64_t before;
    int r = vfs_opendir(w->v, ino, &dir);
    if (r < 0)
        return r;
    do {
        before = l->next;
        l->room = 1 + odd_pick(&w->seed, 30);
        r = vfs_readdir(w->v, dir, l->next, w->plus, take, l, &err);
    } while (r == 0 && l->next != before);
    vfs_releasedir(w->v, dir);
    return r;
}

/* ---- a walk ---- */

static void find(struct walker *w, uint64_t ino, const char *path);

static void visit(struct walker *w, uint64_t dir, const char *path, const struct name *at)
{
    struct vfs_entry e = {.ino = at->ino, .st.st_size = (off_t)at->size};
    struct s3_error err;
    char below[8192];
    if (!w->plus) {
        int r = vfs_lookup(w->v, dir, at->name, &e, &err);
        if (r < 0 && !(w->passing && r == -ENOENT))
            fail_walk(w, "lookup", path, at->name, r);
        if (r == 0 && !w->passing && (S_ISDIR(e.st.st_mode) != at->dir || e.ino != at->ino))
            fail_walk(w, "other than listed", path, at->name, 0);
        if (r < 0 || S_ISDIR(e.st.st_mode) != at->dir) {
            /* It came or went, or what is beside it did. */
            odd_line(w->seen, path, at->name, at->dir, at->size);
            if (r == 0)
                vfs_forget(w->v, e.ino, 1);
            return;
        }
    }
    odd_line(w->seen, path, at->name, at->dir, (uint64_t)e.st.st_size);
    snprintf(below, sizeof(below), "%s%s/", path, at->name);
    if (at->dir)
        find(w, e.ino, below);
    vfs_forget(w->v, e.ino, 1);
}

static void find(struct walker *w, uint64_t ino, const char *path)
{
    struct names l = {0};
    int r = read_dir(w, ino, &l);
    if (r < 0)
        fail_walk(w, "readdir", path, "", r);
    for (unsigned i = 0; i < l.n; i++)
        visit(w, ino, path, &l.at[i]);
    free(l.at);
}

static void *walk(void *arg)
{
    struct walker *w = arg;
    struct vfs_entry e = {.ino = VFS_ROOT};
    struct s3_error err;
    char path[8192];
    uint64_t inos[64];
    unsigned n = 0;
    snprintf(path, sizeof(path), "%s", w->from);
    for (char *rest = path, *part; (part = strsep(&rest, "/")) && *part;) {
        int r = vfs_lookup(w->v, e.ino, part, &e, &err);
        if (r < 0) {
            fail_walk(w, "way down", w->from, part, r);
            return NULL;
        }
        if (n < ARRAY_SIZE(inos))
            inos[n++] = e.ino;
    }
    find(w, e.ino, w->from);
    while (n > 0)
        vfs_forget(w->v, inos[--n], 1);
    return NULL;
}

/* ---- what it saw ---- */

/* Where `path/name size` may be shown instead: beside a directory that came or went. */
static void other_form(const char *line, char *out, size_t size)
{
    const char *slash = line, *space = strrchr(line, ' ');
    struct name_target t;
    char name[2 * NAME_LENGTH_MAX], other[NAME_LENGTH_MAX + 1];
    for (const char *p = line; p < space; p++)
        if (*p == '/')
            slash = p + 1;
    snprintf(name, sizeof(name), "%.*s", (int)(space - slash), slash);
    out[0] = '\0';
    if (slash == space || strlen(name) > NAME_LENGTH_MAX || name_to_component(name, &t) < 0 ||
        t.hashed || name_from_component(t.component, t.len, !t.file_only, other) < 0)
        return;
    snprintf(out, size, "%.*s%s%s", (int)(slash - line), line, other, space);
}

static unsigned count(const struct odd_lines *l, const char *line)
{
    unsigned n = 0;
    for (unsigned i = 0; i < l->n; i++)
        n += strcmp(l->at[i], line) == 0;
    return n;
}

static bool is_below(const char *line, const char *from)
{
    size_t len = strlen(from);
    return strncmp(line, from, len) == 0 && strcmp(line + len, " 0") != 0;
}

static void check(struct walker *w, const struct odd_lines *stable, const struct odd_lines *all)
{
    char other[8192];
    if (w->problem[0])
        fail_msg("%s", w->problem);
    for (unsigned i = 0; i < stable->n; i++) {
        const char *line = stable->at[i];
        if (!is_below(line, w->from))
            continue;
        unsigned n = count(w->seen, line);
        if (w->passing) {
            other_form(line, other, sizeof(other));
            n += other[0] && strcmp(other, line) != 0 ? count(w->seen, other) : 0;
        }
        if (n != 1)
            fail_msg("'%s' was seen %u times from '%s'", line, n, w->from);
    }
    for (unsigned i = 0; i < w->seen->n; i++) {
        const char *line = w->seen->at[i];
        other_form(line, other, sizeof(other));
        if (count(w->seen, line) != 1)
            fail_msg("'%s' was seen several times", line);
        if (!is_below(line, w->from) || (!count(all, line) && !(w->passing && count(all, other))))
            fail_msg("'%s' is not there", line);
    }
}

/* ---- the tests ---- */

static struct vfs *mount_it(struct odd_bucket *b, struct clock_fake *clock, unsigned parallel,
                            struct data **ret_data)
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
                            .parallel = parallel};
    assert_int_equal(vfs_new(&o, &v), 0);
    return v;
}

/* A directory of those that stay. */
static void pick_directory(uint64_t *seed, const struct odd_lines *stable, char *out, size_t size)
{
    const char *line = "";
    for (unsigned tries = 0; tries < 20 && stable->n > 0; tries++) {
        const char *one = stable->at[odd_pick(seed, stable->n)];
        if (strcmp(one + strlen(one) - 3, "/ 0") == 0)
            line = one;
    }
    snprintf(out, size, "%.*s", (int)(*line ? strlen(line) - 2 : 0), line);
}

/* The keys that stay alone. */
static void stable_lines(const struct odd_bucket *b, struct odd_lines *out)
{
    struct odd_bucket some = *b;
    some.n = 0;
    for (unsigned i = 0; i < b->n; i++)
        if (!b->passing[i])
            some.keys[some.n++] = b->keys[i];
    odd_lines_of(&some, out);
}

static void walk_all(struct walker *walkers, unsigned n)
{
    pthread_t threads[WALKERS_MAX];
    for (unsigned i = 1; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, walk, &walkers[i]), 0);
    walk(&walkers[0]);
    for (unsigned i = 1; i < n; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void one_set(uint64_t seed, bool changes)
{
    struct odd_lines *all = calloc(1, sizeof(*all)), *stable = calloc(1, sizeof(*stable));
    struct walker *walkers = calloc(WALKERS_MAX, sizeof(*walkers));
    struct odd_bucket *b = calloc(1, sizeof(*b));
    struct clock_fake clock;
    struct data *data;
    char middle[8192];
    assert_true(all && stable && walkers && b);
    clock_fake_init(&clock, INT64_C(1790000000) * NS_PER_S);
    b->page = 1 + odd_pick(&seed, odd_pick(&seed, 3) ? 12 : 60);
    b->utf16 = odd_pick(&seed, 8) == 0;
    b->ignores_after = odd_pick(&seed, 8) == 0;
    b->empty_pages = odd_pick(&seed, 8) == 0;
    b->repeats = odd_pick(&seed, 8) == 0;
    b->hides = odd_pick(&seed, 8) == 0;
    b->seed = seed;
    odd_bucket_fill(b, odd_pick(&seed, 4) ? 120 : ODD_KEYS_MAX);
    pthread_mutex_init(&b->lock, NULL);
    for (unsigned i = 0; changes && i < b->n; i++)
        b->passing[i] = b->gone[i] = odd_pick(&seed, 3) == 0;
    b->changes = changes;
    if (odd_pick(&seed, 4))
        assert_int_equal(threadpool_new(2 + odd_pick(&seed, 2), "server", &b->pool), 0);
    odd_lines_of(b, all);
    stable_lines(b, stable);

    struct vfs *v = mount_it(b, &clock, 1 + odd_pick(&seed, 8), &data);
    unsigned n = 1 + odd_pick(&seed, WALKERS_MAX);
    pick_directory(&seed, stable, middle, sizeof(middle));
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < n; i++) {
            walkers[i] = (struct walker){.v = v,
                                         .seed = seed + i,
                                         .from = odd_pick(&seed, 3) ? "" : middle,
                                         .plus = odd_pick(&seed, 2),
                                         .passing = changes,
                                         .seen = calloc(1, sizeof(struct odd_lines))};
            assert_non_null(walkers[i].seen);
        }
        walk_all(walkers, n);
        for (unsigned i = 0; i < n; i++) {
            check(&walkers[i], stable, all);
            odd_lines_done(walkers[i].seen);
            free(walkers[i].seen);
        }
        /* Nothing is believed any more, or half of it. */
        clock_fake_advance(&clock, (odd_pick(&seed, 2) ? 61 : 30) * (uint64_t)NS_PER_S);
    }
    vfs_free(v);
    data_free(data);
    threadpool_free(b->pool);
    pthread_mutex_destroy(&b->lock);
    odd_lines_done(all);
    odd_lines_done(stable);
    odd_bucket_empty(b);
    free(all);
    free(stable);
    free(walkers);
    free(b);
}

static unsigned environment(const char *name, unsigned otherwise)
{
    const char *value = getenv(name);
    return value ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

static void run_sets(bool changes)
{
    unsigned from = environment("LISTING_SEED", 1), n = environment("LISTING_SETS", 100);
    for (unsigned s = from; s < from + n; s++) {
        print_message("# seed %u\n", s);
        one_set(s, changes);
    }
}

static void test_side_by_side(void **state ATTR_UNUSED)
{
    run_sets(false);
}

static void test_changed_meanwhile(void **state ATTR_UNUSED)
{
    run_sets(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_changed_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
