/* SPDX-License-Identifier: Apache-2.0 */
/* A mount that nobody uses any more frees what it has listed, fetched and kept, with few looks, and
 * then looks no more. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>

#include "base/attr.h"
#include "store/store_count.h"
#include "vfs/vfs_impl.h"
#include "vfs_fixture.h"

#define SECOND  ((uint64_t)NS_PER_S)
#define LOOKS   8u
#define AT_ONCE (5 * SECOND)

/* Lets the time go by that the mount asks for until there is nothing more to do; how long it was.
 */
static uint64_t rest(struct fixture *f)
{
    uint64_t all = 0, wait;
    for (unsigned looks = 0; (wait = vfs_tick(f->vfs, false)) != UINT64_MAX; looks++) {
        assert_true(looks < LOOKS);
        assert_true(wait > 0);
        clock_fake_advance(&f->clock, (int64_t)wait);
        all += wait;
    }
    return all;
}

static void assert_free(struct fixture *f)
{
    assert_true(f->vfs->listing_bytes == 0);
    assert_true(TAILQ_EMPTY(&f->vfs->listings));
    assert_null(f->vfs->walk.ahead);
    assert_null(f->vfs->window.d);
    assert_true(f->vfs->siblings.bytes == 0);
    assert_true(f->vfs->idle_due_ns == UINT64_MAX);
}

static void make_tree(struct fixture *f, unsigned dirs)
{
    char key[32];
    for (unsigned d = 0; d < dirs; d++) {
        (void)snprintf(key, sizeof(key), "t/d%03u/f", d);
        fixture_object(f, key, "x");
    }
}

static void read_dirs(struct fixture *f, unsigned from, unsigned to)
{
    char path[32];
    for (unsigned d = from; d < to; d++) {
        (void)snprintf(path, sizeof(path), "t/d%03u", d);
        assert_string_equal(fixture_ls(f, path, false), "f ");
    }
}

/* Believed for a minute, kept for another one. */
static void listings_go(void **state ATTR_UNUSED)
{
    struct fixture f;
    fixture_init(&f, NULL);
    make_tree(&f, 200);
    assert_true(vfs_tick(f.vfs, false) == UINT64_MAX);
    (void)fixture_ls(&f, "t", false);
    read_dirs(&f, 0, 200);
    assert_true(f.vfs->listing_bytes > 0);
    clock_fake_advance(&f.clock, 100 * NS_PER_S);
    assert_in_range(vfs_tick(f.vfs, false), 1, 25 * SECOND);
    assert_true(f.vfs->listing_bytes > 0);
    assert_in_range(rest(&f), 1, 30 * SECOND);
    assert_free(&f);
    /* Listed anew they go anew. */
    (void)fixture_ls(&f, "t", false);
    assert_in_range(rest(&f), 120 * SECOND, 130 * SECOND);
    assert_free(&f);
    fixture_done(&f);
}

static bool take(void *ctx, const char *name ATTR_UNUSED, const struct vfs_entry *e ATTR_UNUSED,
                 uint64_t next)
{
    *(uint64_t *)ctx = next;
    return true;
}

/* What a program reads stays until it has closed it; nobody looks at it again and again. */
static void an_open_directory_stays(void **state ATTR_UNUSED)
{
    struct fixture f;
    struct vfs_dir *dir;
    uint64_t next = 0;
    fixture_init(&f, NULL);
    make_tree(&f, 2);
    assert_int_equal(vfs_opendir(f.vfs, fixture_ino(&f, "t"), &dir), 0);
    assert_int_equal(vfs_readdir(f.vfs, dir, 0, false, take, &next, &f.err), 0);
    (void)rest(&f);
    assert_true(f.vfs->listing_bytes > 0);
    vfs_releasedir(f.vfs, dir);
    assert_in_range(rest(&f), 1, AT_ONCE);
    assert_free(&f);
    fixture_done(&f);
}

/* Of a walk that stops in the middle. */
static void pages_ahead_go(void **state ATTR_UNUSED)
{
    struct fixture f;
    fixture_page_size = 20;
    fixture_init(&f, NULL);
    make_tree(&f, 900);
    (void)fixture_ls(&f, "t", false);
    uint64_t names = f.vfs->listing_bytes;
    read_dirs(&f, 0, 100);
    assert_non_null(f.vfs->walk.ahead);
    /* Its pages count as listings do. */
    uint64_t with = f.vfs->listing_bytes;
    vfs_walk_ahead_drop_locked(f.vfs);
    assert_true(with > f.vfs->listing_bytes);
    assert_true(f.vfs->listing_bytes > names);
    read_dirs(&f, 100, 200);
    assert_non_null(f.vfs->walk.ahead);
    clock_fake_advance(&f.clock, 61 * NS_PER_S);
    (void)vfs_tick(f.vfs, false);
    assert_null(f.vfs->walk.ahead);
    (void)rest(&f);
    assert_free(&f);
    read_dirs(&f, 200, 300);
    fixture_page_size = 0;
    fixture_done(&f);
}

static void files_ahead_go(void **state ATTR_UNUSED)
{
    struct fixture f;
    char path[32];
    fixture_init(&f, NULL);
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(path, sizeof(path), "d/f%02u", i);
        fixture_object(&f, path, "content");
    }
    (void)fixture_ls(&f, "d", true);
    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(path, sizeof(path), "d/f%02u", i);
        assert_string_equal(fixture_read(&f, path), "content");
    }
    assert_true(f.vfs->siblings.bytes > 0);
    assert_in_range(vfs_tick(f.vfs, false), 1, AT_ONCE);
    clock_fake_advance(&f.clock, (int64_t)AT_ONCE);
    assert_in_range(vfs_tick(f.vfs, false), AT_ONCE, 120 * SECOND);
    assert_true(f.vfs->siblings.bytes == 0);
    assert_true(f.vfs->listing_bytes > 0);
    assert_string_equal(fixture_read(&f, "d/f10"), "content");
    (void)rest(&f);
    assert_free(&f);
    fixture_done(&f);
}

/* Names that were asked for in order, without a listing. */
static void the_page_of_names_goes(void **state ATTR_UNUSED)
{
    struct fixture f;
    char path[32];
    fixture_page_size = 100;
    fixture_init(&f, NULL);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(path, sizeof(path), "d/f%03u", i);
        fixture_object(&f, path, "x");
    }
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(path, sizeof(path), "d/f%03u", i);
        assert_int_equal(fixture_lookup(&f, path, NULL), 0);
    }
    assert_non_null(f.vfs->window.d);
    (void)rest(&f);
    assert_free(&f);
    fixture_page_size = 0;
    fixture_done(&f);
}

/* The entries by inode number are counted with their listing. */
static void numbers_are_counted(void **state ATTR_UNUSED)
{
    struct fixture f;
    char path[32];
    fixture_init(&f, NULL);
    for (unsigned i = 0; i < 60; i++) {
        (void)snprintf(path, sizeof(path), "d/f%02u", i);
        fixture_object(&f, path, "x");
    }
    (void)fixture_ls(&f, "d", true);
    const struct inode *dir = inode_find(&f.vfs->inodes, fixture_ino(&f, "d"));
    uint64_t before = f.vfs->listing_bytes;
    for (unsigned i = 0; i < 60 && !dir->dir->by_number; i++) {
        (void)snprintf(path, sizeof(path), "d/f%02u", i * 37 % 60);
        assert_string_equal(fixture_read(&f, path), "x");
    }
    assert_non_null(dir->dir->by_number);
    assert_in_range(f.vfs->listing_bytes - before, 60 * 16, 60 * 32);
    (void)rest(&f);
    assert_free(&f);
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listings_go),
        cmocka_unit_test(an_open_directory_stays),
        cmocka_unit_test(pages_ahead_go),
        cmocka_unit_test(files_ahead_go),
        cmocka_unit_test(the_page_of_names_goes),
        cmocka_unit_test(numbers_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
