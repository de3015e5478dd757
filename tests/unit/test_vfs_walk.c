/* SPDX-License-Identifier: Apache-2.0 */
/* Walks of trees and long directories: what they cost, and that they show what listing each
 * directory alone, page by page, shows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "store/store_count.h"
#include "store/store_fault.h"
#include "vfs_fixture.h"

/* ---- find(1) ---- */

struct names {
    char name[1200][64];
    uint64_t ino[1200];
    size_t n;
    uint64_t next;
};

static bool take_name(void *ctx, const char *name, const struct vfs_entry *e, uint64_t next)
{
    struct names *l = ctx;
    l->next = next;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    assert_true(l->n < ARRAY_SIZE(l->name));
    snprintf(l->name[l->n], sizeof(l->name[0]), "%.60s%s", name, S_ISDIR(e->st.st_mode) ? "/" : "");
    l->ino[l->n++] = e->ino;
    return true;
}

struct lines {
    char *line[10000];
    size_t n;
};

static void lines_done(struct lines *l)
{
    while (l->n > 0)
        free(l->line[--l->n]);
}

static struct names *list(struct fixture *f, uint64_t ino)
{
    struct names *l = calloc(1, sizeof(*l));
    struct vfs_dir *dir;
    uint64_t before;
    assert_non_null(l);
    assert_int_equal(vfs_opendir(f->vfs, ino, &dir), 0);
    do {
        before = l->next;
        assert_int_equal(vfs_readdir(f->vfs, dir, l->next, true, take_name, l, &f->err), 0);
    } while (l->next != before);
    vfs_releasedir(f->vfs, dir);
    return l;
}

/* A line for each name below, with the sizes of files. */
static void find(struct fixture *f, uint64_t ino, const char *path, struct lines *out)
{
    struct names *l = list(f, ino);
    for (size_t i = 0; i < l->n; i++) {
        struct vfs_entry e;
        char below[1024], line[1100];
        snprintf(below, sizeof(below), "%s%s", path, l->name[i]);
        assert_int_equal(vfs_getattr(f->vfs, l->ino[i], NULL, &e, &f->err), 0);
        snprintf(line, sizeof(line), "%s %lld", below, (long long)e.st.st_size);
        assert_true(out->n < ARRAY_SIZE(out->line));
        assert_non_null(out->line[out->n++] = strdup(line));
        if (S_ISDIR(e.st.st_mode))
            find(f, l->ino[i], below, out);
        vfs_forget(f->vfs, l->ino[i], 1);
    }
    free(l);
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void find_all(struct fixture *f, struct lines *out)
{
    *out = (struct lines){0};
    find(f, VFS_ROOT, "", out);
    qsort(out->line, out->n, sizeof(out->line[0]), by_line);
}

static void assert_same(const struct lines *a, const struct lines *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        assert_string_equal(a->line[i], b->line[i]);
    assert_int_equal(a->n, b->n);
}

static uint64_t lists(struct fixture *f)
{
    uint64_t n = store_count_requests(f->count, STORE_LIST);
    store_count_reset(f->count);
    return n;
}

/* Listings that are not believed are not fetched ahead. */
static struct vfs_options plain_options(void)
{
    struct vfs_options o = fixture_options();
    o.metadata_ttl_ns = 1;
    return o;
}

/* ---- what it costs ---- */

static void make_tree(struct fixture *f, unsigned dirs, unsigned files)
{
    char key[64];
    for (unsigned d = 0; d < dirs; d++) {
        for (unsigned n = 0; n < files; n++) {
            snprintf(key, sizeof(key), "t/d%03u/f%u", d, n);
            fixture_object(f, key, "x");
        }
    }
}

static void test_small_directories(void **state ATTR_UNUSED)
{
    struct fixture f;
    struct lines *l = calloc(1, sizeof(*l));
    fixture_init(&f, NULL);
    make_tree(&f, 900, 3);
    find_all(&f, l);
    assert_int_equal(l->n, 1 + 900 + 900 * 3);
    /* The root, t, its first directory, and 899 x 3 keys. */
    assert_int_equal(lists(&f), 3 + 3);
    lines_done(l);
    /* All of it is known for a while. */
    find_all(&f, l);
    assert_int_equal(lists(&f), 0);
    lines_done(l);
    free(l);
    fixture_done(&f);
}

/* Directories that do not fit a page cost what they would alone. */
static void test_large_directories(void **state ATTR_UNUSED)
{
    struct fixture f;
    struct lines *l = calloc(1, sizeof(*l));
    fixture_page_size = 10;
    fixture_init(&f, NULL);
    make_tree(&f, 8, 35);
    find_all(&f, l);
    assert_int_equal(l->n, 1 + 8 + 8 * 35);
    assert_int_equal(lists(&f), 2 + 8 * 4);
    lines_done(l);
    free(l);
    fixture_page_size = 0;
    fixture_done(&f);
}

/* Holds back what is asked of the directories but of the first ones, which tell that this is a
 * walk, until MANY wait beside each other. */
#define MANY 16u

struct keeper {
    struct fixture *f;
    unsigned held;
};

static void *keeper_main(void *arg)
{
    struct keeper *k = arg;
    uint64_t deadline = clock_monotonic_ns(clock_system()) + 60 * (uint64_t)NS_PER_S;
    do {
        k->held = store_fault_held(k->f->fault);
        usleep(1000);
    } while (k->held < MANY && clock_monotonic_ns(clock_system()) < deadline);
    store_fault_clear(k->f->fault);
    store_fault_release(k->f->fault, 0);
    return NULL;
}

/* Directories with markers are asked whether they are marked, many at a time. */
static void test_markers(void **state ATTR_UNUSED)
{
    struct store_fault_rule hold = {.op = STORE_HEAD, .prefix = "t/d", .after = 1, .hold = true};
    struct fixture f;
    struct keeper k = {.f = &f};
    struct store_count_figures heads;
    struct lines *l = calloc(1, sizeof(*l));
    pthread_t thread;
    fixture_init(&f, NULL);
    make_tree(&f, 150, 1);
    for (unsigned d = 0; d < 150; d++) {
        char key[64];
        snprintf(key, sizeof(key), "t/d%03u/", d);
        fixture_object(&f, key, "");
    }
    assert_int_equal(store_fault_add(f.fault, &hold), 0);
    assert_int_equal(pthread_create(&thread, NULL, keeper_main, &k), 0);
    find_all(&f, l);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(l->n, 1 + 2 * 150);
    store_count_get(f.count, STORE_HEAD, &heads);
    /* Each once, and the root's, which has none. */
    assert_in_range(heads.requests, 150, 152);
    assert_in_range(k.held, MANY, 64);
    assert_in_range(heads.running_max, MANY, 64);
    assert_in_range(lists(&f), 3, 4);
    lines_done(l);
    free(l);
    fixture_done(&f);
}

/* Down, up, the same directory again: nothing that is not asked for is fetched. */
static void test_no_walk(void **state ATTR_UNUSED)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "a/b/c/1", "x");
    fixture_object(&f, "a/b/d/1", "x");
    fixture_object(&f, "a/e/1", "x");
    uint64_t b = fixture_ino(&f, "a/b");
    lists(&f);
    free(list(&f, b));
    assert_string_equal(fixture_ls(&f, "a/b/c", false), "1 ");
    assert_string_equal(fixture_ls(&f, "a/b", false), "c/ d/ ");
    fixture_expect(&f, "list 2");
    /* A long time later. */
    clock_fake_advance(&f.clock, 20 * (uint64_t)NS_PER_S);
    assert_string_equal(fixture_ls(&f, "a/b/d", false), "1 ");
    assert_int_equal(lists(&f), 1);
    clock_fake_advance(&f.clock, 20 * (uint64_t)NS_PER_S);
    assert_string_equal(fixture_ls(&f, "a/e", false), "1 ");
    fixture_done(&f);
}

/* ---- what it shows ---- */

static uint64_t seed;

static unsigned pick(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((seed >> 33) % n);
}

static void random_key(char *key, size_t size)
{
    static const char *const parts[] = {"a",   "b",          "a-",      "a.",       "a.~z",
                                        "a0",  "",           "..",      "c",        "d",
                                        "e f", "b_$folder$", "caf\xe9", "\xc3\xa9", "%@x"};
    size_t len = 0;
    for (unsigned depth = 1 + pick(4); depth > 0; depth--)
        len += (size_t)snprintf(key + len, size - len, "%s%s", parts[pick(ARRAY_SIZE(parts))],
                                depth > 1 || pick(8) == 0 ? "/" : "");
}

static void test_random_trees(void **state ATTR_UNUSED)
{
    struct lines *plain = calloc(1, sizeof(*plain)), *walked = calloc(1, sizeof(*walked));
    for (uint64_t s = 1; s <= 25; s++) {
        struct fixture f;
        struct vfs_options o = plain_options();
        print_message("# seed %llu\n", (unsigned long long)s);
        seed = s;
        fixture_page_size = 3 + pick(40);
        fixture_init(&f, &o);
        for (unsigned n = 20 + pick(300); n > 0; n--) {
            char key[256];
            random_key(key, sizeof(key));
            if (key[0])
                fixture_object(&f, key, key[strlen(key) - 1] == '/' || pick(3) == 0 ? "" : "xyz");
        }
        find_all(&f, plain);
        uint64_t alone = lists(&f);
        fixture_remount(&f, NULL);
        find_all(&f, walked);
        assert_same(walked, plain);
        assert_true(lists(&f) <= alone + 2);
        lines_done(plain);
        lines_done(walked);
        fixture_done(&f);
    }
    fixture_page_size = 0;
    free(plain);
    free(walked);
}

/* ---- several pages of one directory at a time ---- */

static void make_directory(struct fixture *f)
{
    static const char *const ends[] = {"", "", "", "/below", "-1", ".x", "/", "\xc3\xa9"};
    for (unsigned n = 50 + pick(500); n > 0; n--) {
        char key[64];
        snprintf(key, sizeof(key), "d/n%03u%s", pick(400), ends[pick(ARRAY_SIZE(ends))]);
        fixture_object(f, key, pick(3) == 0 ? "" : "xyz");
    }
}

static void test_random_directories(void **state ATTR_UNUSED)
{
    struct lines *plain = calloc(1, sizeof(*plain)), *wide = calloc(1, sizeof(*wide));
    for (uint64_t s = 1; s <= 25; s++) {
        struct fixture f;
        struct vfs_options o = plain_options();
        print_message("# seed %llu\n", (unsigned long long)s);
        seed = s;
        fixture_page_size = 3 + pick(20);
        assert_int_equal(setenv("FIXTURE_THREADS", s % 2 ? "3" : "0", 1), 0);
        o.parallel = 1;
        fixture_init(&f, &o);
        make_directory(&f);
        find_all(&f, plain);
        uint64_t alone = lists(&f);
        o.parallel = 1 + pick(20);
        fixture_remount(&f, &o);
        find_all(&f, wide);
        assert_same(wide, plain);
        assert_true(lists(&f) * 10 <= alone * 13);
        lines_done(plain);
        lines_done(wide);
        fixture_done(&f);
    }
    assert_int_equal(unsetenv("FIXTURE_THREADS"), 0);
    fixture_page_size = 0;
    free(plain);
    free(wide);
}

/* A request that fails is an error of the reader's call; the next one goes on, and nothing is
 * missing. */
static void test_failed_pages(void **state ATTR_UNUSED)
{
    struct fixture f;
    struct vfs_dir *dir;
    seed = 3;
    fixture_page_size = 10;
    fixture_init(&f, NULL);
    make_directory(&f);
    struct names *all = list(&f, fixture_ino(&f, "d")), *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    fixture_remount(&f, NULL);
    uint64_t ino = fixture_ino(&f, "d"), before;
    const struct store_fault_rule fault = {
        .op = STORE_LIST, .after = 3, .every = 3, .error = S3_ERROR_SERVER};
    assert_int_equal(store_fault_add(f.fault, &fault), 0);
    assert_int_equal(vfs_opendir(f.vfs, ino, &dir), 0);
    unsigned failed = 0;
    int r;
    do {
        before = l->next;
        r = vfs_readdir(f.vfs, dir, l->next, false, take_name, l, &f.err);
        assert_true(r == 0 || r == -EIO);
        failed += r < 0;
    } while (r < 0 || l->next != before);
    assert_true(failed > 2);
    assert_int_equal(l->n, all->n);
    vfs_releasedir(f.vfs, dir);
    free(all);
    free(l);
    fixture_page_size = 0;
    fixture_done(&f);
}

static bool take_some(void *ctx, const char *name ATTR_UNUSED,
                      const struct vfs_entry *e ATTR_UNUSED, uint64_t next)
{
    uint64_t *at = ctx;
    if (next > *at + 10)
        return false;
    *at = next;
    return true;
}

/* What a reader has left behind comes later, to nobody. */
static void test_abandoned_pages(void **state ATTR_UNUSED)
{
    struct fixture f;
    struct vfs_dir *dir;
    uint64_t next = 0;
    seed = 5;
    fixture_page_size = 10;
    fixture_init(&f, NULL);
    make_directory(&f);
    uint64_t ino = fixture_ino(&f, "d");
    const struct store_fault_rule hold = {.op = STORE_LIST, .after = 3, .hold = true};
    assert_int_equal(store_fault_add(f.fault, &hold), 0);
    assert_int_equal(vfs_opendir(f.vfs, ino, &dir), 0);
    while (store_fault_held(f.fault) == 0)
        assert_int_equal(vfs_readdir(f.vfs, dir, next, false, take_some, &next, &f.err), 0);
    vfs_releasedir(f.vfs, dir);
    clock_fake_advance(&f.clock, 61 * (uint64_t)NS_PER_S);
    store_fault_clear(f.fault);
    struct names *l = list(&f, ino);
    assert_true(l->n > 20);
    free(l);
    assert_true(store_fault_release(f.fault, 0) > 0);
    fixture_page_size = 0;
    fixture_done(&f);
}

/* ---- beside others ---- */

static void *walk_thread(void *arg)
{
    free(list(arg, fixture_ino(arg, "t/d001")));
    return NULL;
}

static void wait_held(struct fixture *f)
{
    for (int i = 0; store_fault_held(f->fault) == 0; i++) {
        assert_true(i < 30000);
        usleep(1000);
    }
}

/* What this mount does while the page is under way is not undone by it. */
static void test_own_changes(void **state ATTR_UNUSED)
{
    struct fixture f;
    pthread_t thread;
    fixture_init(&f, NULL);
    make_tree(&f, 6, 2);
    free(list(&f, fixture_ino(&f, "t")));
    free(list(&f, fixture_ino(&f, "t/d000")));
    uint64_t d5 = fixture_ino(&f, "t/d005"), d2 = fixture_ino(&f, "t/d002");
    const struct store_fault_rule hold = {.op = STORE_LIST, .count = 1, .hold = true};
    assert_int_equal(store_fault_add(f.fault, &hold), 0);
    assert_int_equal(pthread_create(&thread, NULL, walk_thread, &f), 0);
    wait_held(&f);
    /* Held before it reaches the store: what it tells of d002 and d003 is new, of d005 too, but
     * nobody can know. */
    assert_int_equal(fixture_write(&f, "t/d002/new", "text"), 0);
    assert_int_equal(fixture_unlink(&f, "t/d003/f0"), 0);
    assert_int_equal(fixture_mkdir(&f, "t/d005/sub", 0755), 0);
    store_fault_release(f.fault, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)lists(&f);
    (void)d2;
    (void)d5;
    assert_string_equal(fixture_ls(&f, "t/d004", true), "f0=1 f1=1 ");
    assert_int_equal(lists(&f), 0);
    assert_string_equal(fixture_ls(&f, "t/d002", true), "f0=1 f1=1 new=4 ");
    assert_string_equal(fixture_ls(&f, "t/d003", true), "f1=1 ");
    assert_string_equal(fixture_ls(&f, "t/d005", true), "sub/ f0=1 f1=1 ");
    /* And afterwards listings that were fetched ahead stay true. */
    assert_int_equal(fixture_write(&f, "t/d004/new", "text"), 0);
    assert_int_equal(fixture_unlink(&f, "t/d004/f1"), 0);
    (void)lists(&f);
    assert_string_equal(fixture_ls(&f, "t/d004", true), "f0=1 new=4 ");
    assert_int_equal(lists(&f), 0);
    fixture_done(&f);
}

/* A file that is being written is in the store's listing only when it is closed. */
static void test_open_files(void **state ATTR_UNUSED)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    make_tree(&f, 4, 1);
    assert_int_equal(fixture_create(&f, "t/d003/new", O_WRONLY, 0644, &file), 0);
    free(list(&f, fixture_ino(&f, "t/d000")));
    free(list(&f, fixture_ino(&f, "t/d001")));
    (void)lists(&f);
    assert_string_equal(fixture_ls(&f, "t/d003", false), "new f0 ");
    assert_int_equal(fixture_close(&f, file), 0);
    assert_string_equal(fixture_ls(&f, "t/d003", false), "new f0 ");
    fixture_done(&f);
}

static void test_foreign_changes(void **state ATTR_UNUSED)
{
    struct fixture f;
    fixture_init(&f, NULL);
    make_tree(&f, 4, 1);
    free(list(&f, fixture_ino(&f, "t/d000")));
    free(list(&f, fixture_ino(&f, "t/d001")));
    fixture_object(&f, "t/d003/other", "x");
    assert_string_equal(fixture_ls(&f, "t/d003", false), "f0 ");
    clock_fake_advance(&f.clock, 61 * (uint64_t)NS_PER_S);
    assert_string_equal(fixture_ls(&f, "t/d003", false), "f0 other ");
    fixture_done(&f);
}

/* The store refuses, or does not answer: nothing is taken for absent. */
static void test_failures(void **state ATTR_UNUSED)
{
    struct fixture f;
    struct vfs_dir *dir;
    struct names l = {0};
    fixture_init(&f, NULL);
    make_tree(&f, 4, 1);
    free(list(&f, fixture_ino(&f, "t")));
    free(list(&f, fixture_ino(&f, "t/d000")));
    uint64_t d1 = fixture_ino(&f, "t/d001");
    const struct store_fault_rule broken = {.op = STORE_LIST, .count = 1, .error = S3_ERROR_SERVER};
    assert_int_equal(store_fault_add(f.fault, &broken), 0);
    assert_int_equal(vfs_opendir(f.vfs, d1, &dir), 0);
    assert_int_equal(vfs_readdir(f.vfs, dir, 2, true, take_name, &l, &f.err), -EIO);
    vfs_releasedir(f.vfs, dir);
    store_fault_clear(f.fault);
    assert_string_equal(fixture_ls(&f, "t/d001", false), "f0 ");
    fixture_remount(&f, NULL);

    /* A policy that allows listings of directories alone. */
    free(list(&f, fixture_ino(&f, "t")));
    free(list(&f, fixture_ino(&f, "t/d000")));
    const struct store_fault_rule denied = {
        .op = STORE_LIST, .count = 1, .error = S3_ERROR_ACCESS_DENIED};
    assert_int_equal(store_fault_add(f.fault, &denied), 0);
    (void)lists(&f);
    assert_string_equal(fixture_ls(&f, "t/d001", false), "f0 ");
    assert_int_equal(lists(&f), 2);
    assert_string_equal(fixture_ls(&f, "t/d002", false), "f0 ");
    assert_string_equal(fixture_ls(&f, "t/d003", false), "f0 ");
    assert_int_equal(lists(&f), 2);
    fixture_done(&f);
}

/* A renamed tree takes its listings to the store again. */
static void test_rename(void **state ATTR_UNUSED)
{
    struct fixture f;
    fixture_init(&f, NULL);
    make_tree(&f, 4, 1);
    free(list(&f, fixture_ino(&f, "t/d000")));
    free(list(&f, fixture_ino(&f, "t/d001")));
    fixture_object(&f, "t/d002/other", "x");
    assert_int_equal(fixture_rename(&f, "t", "u", 0), 0);
    assert_string_equal(fixture_ls(&f, "u/d002", false), "f0 other ");
    assert_int_equal(fixture_lookup(&f, "t", NULL), -ENOENT);
    assert_int_equal(fixture_unlink(&f, "u/d003/f0"), 0);
    assert_int_equal(fixture_rmdir(&f, "u/d003"), 0);
    assert_string_equal(fixture_ls(&f, "u", false), "d000/ d001/ d002/ ");
    fixture_done(&f);
}

/* ---- names that are asked for, in directories that nobody reads ---- */

static void ask(struct fixture *f, unsigned d, unsigned n)
{
    char path[64];
    struct vfs_entry e;
    snprintf(path, sizeof(path), "t/d%03u/f%u", d, n);
    assert_int_equal(fixture_lookup(f, path, &e), 0);
    assert_int_equal(e.st.st_size, 1);
}

static void test_asked_in_order(void **state ATTR_UNUSED)
{
    struct fixture f;
    fixture_init(&f, NULL);
    make_tree(&f, 300, 3);
    for (unsigned d = 0; d < 300; d++)
        for (unsigned n = 0; n < 3; n++)
            ask(&f, d, n);
    /* The name of t, the first name in it, its listing; d000 and d001 with a name and a listing;
     * and the 900 keys from d002 on. */
    uint64_t n = lists(&f);
    print_message("# %llu requests\n", (unsigned long long)n);
    assert_in_range(n, 3, 8);
    for (unsigned d = 0; d < 300; d++)
        ask(&f, d, 1);
    assert_int_equal(lists(&f), 0);
    fixture_done(&f);
}

/* git asks in several threads, each for its part of the names. */
static void test_asked_by_several(void **state ATTR_UNUSED)
{
    struct fixture f;
    fixture_init(&f, NULL);
    make_tree(&f, 300, 3);
    for (unsigned d = 0; d < 75; d++)
        for (unsigned part = 0; part < 4; part++)
            for (unsigned n = 0; n < 3; n++)
                ask(&f, part * 75 + d, n);
    uint64_t n = lists(&f);
    print_message("# %llu requests\n", (unsigned long long)n);
    assert_in_range(n, 3, 28);
    fixture_done(&f);
}

/* A directory of so many that it is not listed for a name in it: the order alone tells. */
static void test_asked_in_many(void **state ATTR_UNUSED)
{
    struct fixture f;
    fixture_page_size = 100;
    fixture_init(&f, NULL);
    make_tree(&f, 400, 1);
    for (unsigned d = 0; d < 400; d++)
        ask(&f, d, 0);
    uint64_t n = lists(&f);
    print_message("# %llu requests\n", (unsigned long long)n);
    assert_in_range(n, 4, 30);
    fixture_done(&f);
    fixture_page_size = 0;
}

/* Names in a directory of several pages, whose listing is not there (any more). */
static void test_asked_in_large(void **state ATTR_UNUSED)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_page_size = 100;
    fixture_init(&f, NULL);
    make_tree(&f, 1, 1000);
    for (unsigned n = 100; n < 1000; n++)
        ask(&f, 0, n);
    uint64_t n = lists(&f);
    print_message("# %llu requests\n", (unsigned long long)n);
    assert_in_range(n, 9, 24);
    /* What changes here is seen. */
    assert_int_equal(fixture_unlink(&f, "t/d000/f995"), 0);
    assert_int_equal(fixture_lookup(&f, "t/d000/f995", &e), -ENOENT);
    assert_int_equal(fixture_write(&f, "t/d000/f996", "longer"), 0);
    assert_int_equal(fixture_lookup(&f, "t/d000/f996", &e), 0);
    assert_int_equal(e.st.st_size, 6);
    /* Downwards each is asked for; so is what is not there. */
    lists(&f);
    clock_fake_advance(&f.clock, 61 * NS_PER_S);
    for (unsigned k = 600; k > 580; k--)
        ask(&f, 0, k);
    assert_in_range(lists(&f), 20, 24);
    fixture_done(&f);
    fixture_page_size = 0;
}

/* Without an order nothing is fetched ahead: a page of what follows would be in vain. */
static void test_asked_at_random(void **state ATTR_UNUSED)
{
    struct fixture f;
    fixture_init(&f, NULL);
    make_tree(&f, 300, 3);
    unsigned random = 3, asked = 0;
    bool seen[300] = {false};
    print_message("# seed %u\n", random);
    for (unsigned k = 0; k < 60; k++) {
        unsigned d = (unsigned)rand_r(&random) % 300;
        asked += !seen[d];
        if (!seen[d])
            ask(&f, d, 0);
        seen[d] = true;
    }
    /* One for each, and for t its name, the first name in it, and its listing. */
    assert_int_equal(lists(&f), asked + 3);
    fixture_done(&f);
}

static void read_dirs(struct fixture *f, unsigned from, unsigned to)
{
    char path[32];
    for (unsigned d = from; d < to; d++) {
        snprintf(path, sizeof(path), "t/d%03u", d);
        assert_string_equal(fixture_ls(f, path, false), "f0 ");
    }
}

/* From the second page in a row on the next one is there before it is wanted. */
static void test_page_ahead(void **state ATTR_UNUSED)
{
    struct store_fault_rule fail = {.op = STORE_LIST, .error = S3_ERROR_SERVER};
    struct fixture f;
    fixture_page_size = 100;
    fixture_init(&f, NULL);
    make_tree(&f, 600, 1);
    (void)fixture_ls(&f, "t", false);
    read_dirs(&f, 0, 100); /* d000 by itself, then the page from d001 */
    lists(&f);
    read_dirs(&f, 100, 199);
    assert_int_equal(lists(&f), 2);
    assert_int_equal(store_fault_add(f.fault, &fail), 0);
    read_dirs(&f, 199, 298); /* it is there */
    store_fault_clear(f.fault);
    read_dirs(&f, 298, 300); /* the one after that has failed, and is asked for again */
    lists(&f);

    /* The page from d397 is here; what is done in it is not forgotten. */
    assert_int_equal(fixture_write(&f, "t/d450/own", "x"), 0);
    assert_int_equal(fixture_unlink(&f, "t/d451/f0"), 0);
    assert_int_equal(fixture_mkdir(&f, "t/d452/made", 0755), 0);
    read_dirs(&f, 300, 450);
    assert_string_equal(fixture_ls(&f, "t/d450", false), "f0 own ");
    assert_string_equal(fixture_ls(&f, "t/d451", false), "");
    assert_string_equal(fixture_ls(&f, "t/d452", false), "made/ f0 ");
    read_dirs(&f, 453, 500);
    /* After a rename nothing of it is used; nor when it is too old. */
    assert_int_equal(fixture_rename(&f, "t/d590", "t/d590x", 0), 0);
    read_dirs(&f, 500, 550);
    fixture_object(&f, "t/d599/late", "x");
    clock_fake_advance(&f.clock, 61 * NS_PER_S);
    read_dirs(&f, 550, 590);
    assert_int_equal(fixture_lookup(&f, "t/d590", NULL), -ENOENT);
    assert_string_equal(fixture_ls(&f, "t/d590x", false), "f0 ");
    read_dirs(&f, 591, 599);
    assert_string_equal(fixture_ls(&f, "t/d599", false), "f0 late ");
    fixture_done(&f);
    fixture_page_size = 0;
}

/* Names of the n-th file: */
static void flat_name(char *out, size_t size, unsigned n)
{
    snprintf(out, size, "t/d%04u/f%u", n / 8, n % 8);
}

static void deep_name(char *out, size_t size, unsigned n)
{
    snprintf(out, size, "t/a%u/b%u/c%u/f%u", n / 800, n / 80 % 10, n / 8 % 10, n % 8);
}

/* Directories of 1 to 300 files, beside names that sort before and after '/'. */
static void uneven_name(char *out, size_t size, unsigned n)
{
    unsigned dir = n < 300 ? 0 : n % 97 < 60 ? n % 7 * 100 : n / 40;
    snprintf(out, size, "t/%s%u%s/f%05u", n % 3 ? "x-" : "y", dir, n % 5 ? "" : "-0", n);
}

/* Several pages of a large tree are asked for at a time, few of them in vain; all is there, once.
 */
static void test_large_trees(void **state ATTR_UNUSED)
{
    static const struct {
        void (*name)(char *out, size_t size, unsigned n);
        unsigned most; /* requests, of 80 pages and the directories' own listings */
    } trees[] = {{flat_name, 118}, {deep_name, 135}, {uneven_name, 130}};
    enum { FILES = 8000 };
    for (size_t k = 0; k < 2 * ARRAY_SIZE(trees); k++) {
        struct vfs_options opts = fixture_options();
        struct lines *want = calloc(1, sizeof(*want)), *got = calloc(1, sizeof(*got));
        struct fixture f;
        assert_true(want && got);
        opts.parallel = k % 2 ? 1 : 8;
        fixture_page_size = 100;
        fixture_init(&f, &opts);
        for (unsigned n = 0; n < FILES; n++) {
            char key[64], line[72];
            trees[k / 2].name(key, sizeof(key), n);
            fixture_object(&f, key, "x");
            snprintf(line, sizeof(line), "%s 1", key);
            assert_non_null(want->line[want->n++] = strdup(line));
        }
        qsort(want->line, want->n, sizeof(want->line[0]), by_line);
        find_all(&f, got);
        uint64_t n = lists(&f);
        print_message("# tree %zu, %u at a time: %llu requests\n", k / 2, opts.parallel,
                      (unsigned long long)n);
        size_t files = 0;
        for (size_t i = 0; i < got->n; i++) {
            if (strstr(got->line[i], "/ "))
                free(got->line[i]);
            else
                got->line[files++] = got->line[i];
        }
        got->n = files;
        assert_same(got, want);
        assert_in_range(n, 80, trees[k / 2].most);
        lines_done(want);
        lines_done(got);
        free(want);
        free(got);
        fixture_done(&f);
    }
    fixture_page_size = 0;
}

static uint64_t heads(struct fixture *f)
{
    uint64_t n = store_count_requests(f->count, STORE_HEAD);
    store_count_reset(f->count);
    return n;
}

/* 400 files, listed, whose attributes nobody has asked for. */
static struct vfs_options listed(struct fixture *f)
{
    struct vfs_options opts = fixture_options();
    opts.posix = VFS_POSIX_ON;
    fixture_init(f, &opts);
    make_tree(f, 1, 400);
    assert_string_not_equal(fixture_ls(f, "t/d000", false), "");
    heads(f);
    return opts;
}

/* Attributes in the metadata: HEADs of those that will be asked for go beside the one's that is. */
static void test_attributes_in_order(void **state ATTR_UNUSED)
{
    struct fixture f;
    struct vfs_options opts = listed(&f);
    ask(&f, 0, 100);
    ask(&f, 0, 101);
    assert_int_equal(heads(&f), 2);
    for (unsigned n = 102; n < 110; n++)
        ask(&f, 0, n);
    uint64_t first = heads(&f);
    assert_in_range(first, 16, 64);
    for (unsigned n = 110; n < 400; n++)
        ask(&f, 0, n);
    /* Each once; in the listing "f11" comes between "f109" and "f110". */
    assert_in_range(first + heads(&f), 298, 332);
    /* What comes after f79 cannot be had: that is its own affair. */
    struct store_fault_rule fail = {
        .op = STORE_HEAD, .prefix = "t/d000/f8", .error = S3_ERROR_SERVER};
    struct vfs_entry e;
    fixture_remount(&f, &opts);
    assert_int_equal(store_fault_add(f.fault, &fail), 0);
    assert_string_not_equal(fixture_ls(&f, "t/d000", false), "");
    for (unsigned n = 70; n < 80; n++)
        ask(&f, 0, n);
    assert_true(store_fault_applied(f.fault) > 0);
    assert_int_equal(fixture_lookup(&f, "t/d000/f8", &e), -EIO);
    fixture_done(&f);
}

static void test_attributes_at_random(void **state ATTR_UNUSED)
{
    struct fixture f;
    (void)listed(&f);
    for (unsigned n = 399; n >= 200; n -= 7)
        ask(&f, 0, n);
    assert_int_equal(heads(&f), 29);
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_directories),
        cmocka_unit_test(test_large_directories),
        cmocka_unit_test(test_no_walk),
        cmocka_unit_test(test_random_trees),
        cmocka_unit_test(test_own_changes),
        cmocka_unit_test(test_open_files),
        cmocka_unit_test(test_foreign_changes),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_rename),
        cmocka_unit_test(test_random_directories),
        cmocka_unit_test(test_markers),
        cmocka_unit_test(test_failed_pages),
        cmocka_unit_test(test_abandoned_pages),
        cmocka_unit_test(test_asked_in_order),
        cmocka_unit_test(test_asked_by_several),
        cmocka_unit_test(test_asked_in_many),
        cmocka_unit_test(test_asked_in_large),
        cmocka_unit_test(test_asked_at_random),
        cmocka_unit_test(test_page_ahead),
        cmocka_unit_test(test_large_trees),
        cmocka_unit_test(test_attributes_in_order),
        cmocka_unit_test(test_attributes_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
