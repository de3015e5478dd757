/* SPDX-License-Identifier: Apache-2.0 */
/* Larger files, and walks over directories, are fetched ahead of their opens, and little in vain.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "store/store_count.h"
#include "vfs/vfs_impl.h"
#include "vfs_fixture.h"

/* The first request of such a file that is read from its start asks for 1 MiB. */
#define LARGE ((uint64_t)(2 * MIB + 256 * KIB))
#define PIECE (128 * KIB)

static char *large; /* LARGE bytes of text and a NUL */

static int make_text(void **state)
{
    large = malloc(LARGE + 1);
    assert_non_null(large);
    for (size_t i = 0; i < LARGE; i += 8)
        (void)snprintf(large + i, 9, "%08x", (unsigned)(i * 2654435761u));
    return 0;
}

static int free_text(void **state)
{
    free(large);
    return 0;
}

/* Its text begins with its key, or what is given. */
static void put_large(struct fixture *f, const char *key, const char *begin)
{
    char saved[64];
    size_t len = strlen(begin);
    memcpy(saved, large, len);
    memcpy(large, begin, len);
    fixture_object(f, key, large);
    memcpy(large, saved, len);
}

static uint64_t n_gets(struct fixture *f)
{
    return store_count_requests(f->count, STORE_GET);
}

static uint64_t n_bytes(struct fixture *f)
{
    struct store_count_figures got;
    store_count_get(f->count, STORE_GET, &got);
    return got.bytes;
}

/* Reads up to len bytes in pieces, and compares; returns the GETs that had been sent before. */
static uint64_t read_begin(struct fixture *f, const char *path, const char *begin, uint64_t len)
{
    struct vfs_file *file;
    static char buf[PIECE];
    size_t got, n = strlen(begin);
    assert_int_equal(fixture_open(f, path, O_RDONLY, &file), 0);
    uint64_t before = n_gets(f);
    for (uint64_t at = 0; at < len; at += got) {
        assert_int_equal(vfs_read(f->vfs, file, at, buf, MIN(PIECE, len - at), &got, &f->err), 0);
        assert_true(got > 0);
        size_t skip = at ? 0 : n;
        if (!at)
            assert_memory_equal(buf, begin, MIN(n, got));
        if (got > skip)
            assert_memory_equal(buf + skip, large + at + skip, got - skip);
    }
    assert_int_equal(fixture_close(f, file), 0);
    return before;
}

static void read_whole(struct fixture *f, const char *path)
{
    (void)read_begin(f, path, path, LARGE);
}

static const char *path_of(unsigned i, char buf[32])
{
    (void)snprintf(buf, 32, "d/f%03u", i);
    return buf;
}

static void make_large(struct fixture *f, unsigned n)
{
    char path[32];
    fixture_init(f, NULL);
    for (unsigned i = 0; i < n; i++)
        put_large(f, path_of(i, path), path);
    (void)fixture_ls(f, "d", true);
    store_count_reset(f->count);
}

/* Every byte once; from the third file on all of it was asked for before the open. */
static void larger_files_in_order_are_there(void **state)
{
    struct fixture f;
    char path[32];
    make_large(&f, 24);
    for (unsigned i = 0; i < 24; i++) {
        uint64_t before = n_gets(&f);
        read_whole(&f, path_of(i, path));
        if (i == 23)
            assert_int_equal(n_gets(&f), before);
        assert_true(n_bytes(&f) >= (i + 1) * LARGE);
        if (i >= 2)
            assert_true(n_bytes(&f) >= MIN((uint64_t)i + 2, 24u) * LARGE);
    }
    assert_int_equal(n_bytes(&f), 24 * LARGE);
    assert_int_equal(store_count_all(f.count), n_gets(&f));
    fixture_done(&f);
}

/* A program that reads the beginnings of files gets no more than without. */
static void beginnings_cost_nothing_more(void **state)
{
    struct fixture f;
    char path[32];
    make_large(&f, 24);
    for (unsigned i = 0; i < 20; i++) {
        read_begin(&f, path_of(i, path), path, 4096);
        assert_int_equal(n_gets(&f), i + 1);
    }
    assert_int_equal(n_bytes(&f), 20 * MIB);
    fixture_done(&f);
}

/* One who reads whole files at first wastes what had been asked for until then, and no more. */
static void who_stops_reading_them_whole(void **state)
{
    struct fixture f;
    char path[32];
    make_large(&f, 40);
    for (unsigned i = 0; i < 3; i++)
        read_whole(&f, path_of(i, path));
    uint64_t before = n_bytes(&f);
    assert_in_range(before, 3 * LARGE, 9 * LARGE);
    for (unsigned i = 3; i < 30; i++)
        read_begin(&f, path_of(i, path), path, 4096);
    /* With the first of them that is only begun more are asked for: it was not known then. */
    assert_true(n_bytes(&f) <= 10 * LARGE + 27 * MIB);
    before = n_bytes(&f);
    for (unsigned i = 30; i < 40; i++)
        read_begin(&f, path_of(i, path), path, 4096);
    assert_int_equal(n_bytes(&f), before + 10 * MIB);
    fixture_done(&f);
}

/* Whatever was read: what was fetched in vain is less than twice as much. */
static void who_stops_has_cost_in_proportion(void **state)
{
    static const unsigned READ[] = {1, 2, 3, 5, 8};
    for (unsigned k = 0; k < ARRAY_SIZE(READ); k++) {
        struct fixture f;
        char path[32];
        unsigned n = READ[k];
        make_large(&f, 24);
        for (unsigned i = 0; i < n; i++)
            read_whole(&f, path_of(i, path));
        assert_true(n_bytes(&f) <= 3 * n * LARGE);
        assert_true(n_bytes(&f) <= n * LARGE + 64 * MIB);
        if (n == 1)
            assert_int_equal(n_bytes(&f), LARGE);
        fixture_done(&f);
    }
}

static void other_orders_of_larger_files(void **state)
{
    static const unsigned STEP[] = {2, 3, 7, 19};
    for (size_t s = 0; s < ARRAY_SIZE(STEP); s++) {
        struct fixture f;
        char path[32];
        make_large(&f, 24);
        for (unsigned i = 0, at = 0; i < 8; i++, at = (at + STEP[s]) % 24)
            read_whole(&f, path_of(at, path));
        assert_int_equal(n_bytes(&f), 8 * LARGE);
        fixture_done(&f);
    }
}

/* Every second file, or third: nothing between them is fetched. */
static void strides_fetch_nothing(void **state)
{
    for (unsigned stride = 2; stride < 6; stride++) {
        struct fixture f;
        char path[32];
        fixture_init(&f, NULL);
        for (unsigned i = 0; i < 100; i++)
            fixture_object(&f, path_of(i, path), path);
        (void)fixture_ls(&f, "d", true);
        store_count_reset(f.count);
        for (unsigned i = 0; i < 100; i += stride)
            assert_string_equal(fixture_read(&f, path_of(i, path)), path);
        assert_int_equal(n_gets(&f), (100 + stride - 1) / stride);
        fixture_done(&f);
    }
}

/* Somebody who takes 0.4 s for each file: what is asked for is taken before it is out of date. */
static void slow_programs_fetch_each_file_once(void **state)
{
    struct fixture f;
    char path[32];
    fixture_init(&f, NULL);
    for (unsigned i = 0; i < 60; i++)
        fixture_object(&f, path_of(i, path), path);
    (void)fixture_ls(&f, "d", true);
    store_count_reset(f.count);
    for (unsigned i = 0; i < 60; i++) {
        assert_string_equal(fixture_read(&f, path_of(i, path)), path);
        clock_fake_advance(&f.clock, 4 * NS_PER_S / 10);
    }
    assert_int_equal(n_gets(&f), 60);
    fixture_done(&f);
}

/* What nobody came for goes, and its memory with it, when the next ones are fetched. */
static void what_is_left_behind_goes(void **state)
{
    struct fixture f;
    char path[32];
    make_large(&f, 24);
    for (unsigned i = 0; i < 8; i++)
        read_whole(&f, path_of(i, path));
    struct data_stats stats;
    data_stats(f.data, &stats);
    assert_in_range(stats.memory_used, 10 * LARGE, 64 * MIB);
    clock_fake_advance(&f.clock, 2 * NS_PER_S);
    read_whole(&f, "d/f023");
    data_stats(f.data, &stats);
    assert_int_equal(stats.memory_used, 0);
    fixture_done(&f);
}

/* ---- directories ---- */

#define DIRS  12u
#define PER   2u
#define FILES (DIRS * PER)

static const char *below_of(unsigned i, char buf[32])
{
    (void)snprintf(buf, 32, "t/d%02u/f%u", i / PER, i % PER);
    return buf;
}

static void list_all(struct fixture *f)
{
    char path[32];
    (void)fixture_ls(f, "t", true);
    for (unsigned i = 0; i < DIRS; i++) {
        (void)snprintf(path, sizeof(path), "t/d%02u", i);
        (void)fixture_ls(f, path, true);
    }
    store_count_reset(f->count);
}

static void walks_go_on_in_the_next_directory(void **state)
{
    struct fixture f;
    char path[32];
    fixture_init(&f, NULL);
    for (unsigned i = 0; i < FILES; i++)
        fixture_object(&f, below_of(i, path), path);
    list_all(&f);
    uint64_t there = 0;
    for (unsigned i = 0; i < FILES; i++) {
        uint64_t before = n_gets(&f);
        assert_string_equal(fixture_read(&f, below_of(i, path)), path);
        there += before >= i + 1;
    }
    assert_int_equal(n_gets(&f), FILES);
    assert_int_equal(there, FILES - 3);
    fixture_done(&f);
}

/* A name below t, in the order of three sorts of programs. */
static const char *const IN_PLACE[] = {"a",   "b/x", "b/y", "b/z/1", "b/z/2", "c", "d/x",
                                       "d/y", "e",   "f",   "g/1",   "g/2",   "h"};
static const char *const FILES_FIRST[] = {"a",     "c",     "e",   "f",   "h",   "b/x", "b/y",
                                          "b/z/1", "b/z/2", "d/x", "d/y", "g/1", "g/2"};

static void trees_in_both_orders(void **state)
{
    const char *const *const ORDERS[] = {IN_PLACE, FILES_FIRST};
    for (size_t o = 0; o < ARRAY_SIZE(ORDERS); o++) {
        struct fixture f;
        char path[32];
        fixture_init(&f, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(IN_PLACE); i++) {
            (void)snprintf(path, sizeof(path), "t/%s", IN_PLACE[i]);
            fixture_object(&f, path, path);
        }
        static const char *const LISTED[] = {"t", "t/b", "t/b/z", "t/d", "t/g"};
        for (size_t i = 0; i < ARRAY_SIZE(LISTED); i++)
            (void)fixture_ls(&f, LISTED[i], true);
        store_count_reset(f.count);
        uint64_t there = 0;
        for (size_t i = 0; i < ARRAY_SIZE(IN_PLACE); i++) {
            (void)snprintf(path, sizeof(path), "t/%s", ORDERS[o][i]);
            uint64_t before = n_gets(&f);
            assert_string_equal(fixture_read(&f, path), path);
            there += before >= i + 1;
        }
        assert_int_equal(n_gets(&f), ARRAY_SIZE(IN_PLACE));
        assert_true(there >= ARRAY_SIZE(IN_PLACE) - 4);
        fixture_done(&f);
    }
}

struct numbered {
    uint64_t ino;
    char path[32];
};

static int compare_numbers(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

#define NUMBERED 40u

/* Directories by their inode numbers, and the files in them likewise: cp -r, borg. Each is listed
 * when the program comes to it, or all were before. */
static void trees_by_inode_number(void **state)
{
    static const unsigned PER_DIR[] = {3, 5, 40};
    for (size_t k = 0; k < 2 * ARRAY_SIZE(PER_DIR); k++) {
        struct fixture f;
        unsigned per = PER_DIR[k / 2];
        bool listed = k % 2;
        struct numbered dirs[NUMBERED], files[40];
        char path[64];
        fixture_init(&f, NULL);
        for (unsigned d = 0; d < NUMBERED; d++)
            for (unsigned i = 0; i < per; i++) {
                (void)snprintf(path, sizeof(path), "t/d%02u/f%u", d, i);
                fixture_object(&f, path, path);
            }
        (void)fixture_ls(&f, "t", true);
        for (unsigned d = 0; d < NUMBERED; d++) {
            (void)snprintf(dirs[d].path, sizeof(dirs[d].path), "t/d%02u", d);
            dirs[d].ino = fixture_ino(&f, dirs[d].path);
            if (listed)
                (void)fixture_ls(&f, dirs[d].path, true);
        }
        store_count_reset(f.count);
        qsort(dirs, NUMBERED, sizeof(dirs[0]), compare_numbers);
        uint64_t there = 0, n = 0;
        for (unsigned d = 0; d < NUMBERED; d++) {
            (void)fixture_ls(&f, dirs[d].path, true);
            for (unsigned i = 0; i < per; i++) {
                (void)snprintf(files[i].path, sizeof(files[i].path), "%.10s/f%u", dirs[d].path, i);
                files[i].ino = fixture_ino(&f, files[i].path);
            }
            qsort(files, per, sizeof(files[0]), compare_numbers);
            for (unsigned i = 0; i < per; i++) {
                uint64_t before = n_gets(&f);
                assert_string_equal(fixture_read(&f, files[i].path), files[i].path);
                there += before >= ++n;
            }
        }
        assert_int_equal(n_gets(&f), n);
        assert_true(there >= n - 8);
        fixture_done(&f);
    }
}

/* A directory that grows while it is read is not sorted anew for each file. */
static void numbers_of_a_directory_that_grows(void **state)
{
    struct fixture f;
    char path[64];
    unsigned sorted = 0;
    const void *last = NULL;
    fixture_init(&f, NULL);
    for (unsigned i = 0; i < 200; i++)
        fixture_object(&f, path_of(i, path), path);
    (void)fixture_ls(&f, "d", true);
    for (unsigned i = 0; i < 100; i++) {
        assert_non_null(fixture_read(&f, path_of((i * 37) % 200, path)));
        (void)snprintf(path, sizeof(path), "d/z%03u", i);
        assert_int_equal(fixture_write(&f, path, path), 0);
        struct inode *dir = inode_find(&f.vfs->inodes, fixture_ino(&f, "d"));
        const struct dir *d = dir->dir;
        assert_non_null(d);
        sorted += d->by_number && d->by_number != last;
        last = d->by_number;
    }
    assert_true(sorted > 0);
    assert_true(sorted < 10);
    fixture_done(&f);
}

/* No order: hardly anything is fetched that is not read then, whatever the order of the dice. */
static void no_order(void **state)
{
    uint64_t gets = 0, files = 0, bytes = 0;
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct fixture f;
        unsigned order[100], x = seed;
        char path[32];
        fixture_init(&f, NULL);
        for (unsigned i = 0; i < 100; i++) {
            fixture_object(&f, path_of(i, path), path);
            order[i] = i;
        }
        (void)fixture_ls(&f, "d", true);
        store_count_reset(f.count);
        for (unsigned i = 99; i > 0; i--) {
            x = x * 1664525u + 1013904223u;
            unsigned with = (x >> 8) % (i + 1), was = order[i];
            order[i] = order[with];
            order[with] = was;
        }
        /* The first sixty: the others would be read later, whatever was fetched of them. */
        for (unsigned i = 0; i < 60; i++)
            assert_string_equal(fixture_read(&f, path_of(order[i], path)), path);
        files += 60;
        gets += n_gets(&f);
        bytes += n_bytes(&f);
        fixture_done(&f);
    }
    assert_in_range(gets, files, files * 105 / 100);
    assert_int_equal(bytes, gets * strlen("d/f000"));
}

/* One who reads all of a directory, and no other, asks for nothing outside. */
static void one_directory_alone(void **state)
{
    struct fixture f;
    char path[32];
    fixture_init(&f, NULL);
    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(path, sizeof(path), "t/d00/f%u", i);
        fixture_object(&f, path, path);
        (void)snprintf(path, sizeof(path), "t/d01/f%u", i);
        fixture_object(&f, path, path);
    }
    (void)fixture_ls(&f, "t", true);
    (void)fixture_ls(&f, "t/d00", true);
    (void)fixture_ls(&f, "t/d01", true);
    store_count_reset(f.count);
    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(path, sizeof(path), "t/d00/f%u", i);
        assert_string_equal(fixture_read(&f, path), path);
    }
    assert_int_equal(n_gets(&f), 10);
    fixture_done(&f);
}

/* ---- what changes between the request and the read ---- */

static void changed_after_it_was_fetched(void **state)
{
    struct fixture f;
    char path[32];
    struct vfs_file *file;
    struct vfs_entry e;
    make_large(&f, 24);
    for (unsigned i = 0; i < 5; i++)
        read_whole(&f, path_of(i, path));
    assert_true(n_bytes(&f) >= 12 * LARGE);
    uint64_t before = n_bytes(&f);
    /* By this mount. */
    assert_int_equal(fixture_write(&f, "d/f005", "ours"), 0);
    assert_string_equal(fixture_read(&f, "d/f005"), "ours");
    struct vfs_changes cut = {.set = VFS_SET_SIZE, .size = 7};
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "d/f006"), NULL, &cut, &e, &f.err), 0);
    assert_int_equal(e.st.st_size, 7);
    assert_memory_equal(fixture_read(&f, "d/f006"), "d/f006", 6);
    assert_int_equal(fixture_rename(&f, "d/f008", "d/f007", 0), 0);
    read_begin(&f, "d/f007", "d/f008", LARGE);
    assert_int_equal(fixture_unlink(&f, "d/f009"), 0);
    assert_int_equal(fixture_open(&f, "d/f009", O_RDONLY, &file), -ENOENT);
    assert_true(n_bytes(&f) > before);
    fixture_done(&f);
}

/* By another host, before it was fetched: what is there now is read, and its size is told. */
static void replaced_before_it_was_fetched(void **state)
{
    struct fixture f;
    char path[32];
    static char buf[64];
    size_t len;
    struct vfs_file *file;
    struct vfs_entry e;
    make_large(&f, 12);
    put_large(&f, "d/f003", "another");
    fixture_object(&f, "d/f004", "a short one");
    fixture_remove(&f, "d/f005");
    fixture_object(&f, "d/f006", "");
    for (unsigned i = 0; i < 3; i++)
        read_whole(&f, path_of(i, path));
    read_begin(&f, "d/f003", "another", LARGE);
    assert_int_equal(fixture_open(&f, "d/f004", O_RDONLY, &file), 0);
    assert_int_equal(vfs_read(f.vfs, file, 0, buf, sizeof(buf), &len, &f.err), 0);
    assert_int_equal(len, 11);
    assert_memory_equal(buf, "a short one", 11);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_int_equal(fixture_lookup(&f, "d/f004", &e), 0);
    assert_int_equal(e.st.st_size, 11);
    assert_int_equal(fixture_open(&f, "d/f005", O_RDONLY, &file), 0);
    assert_int_equal(vfs_read(f.vfs, file, 0, buf, sizeof(buf), &len, &f.err), -ENOENT);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_int_equal(fixture_open(&f, "d/f006", O_RDONLY, &file), 0);
    assert_int_equal(vfs_read(f.vfs, file, 0, buf, sizeof(buf), &len, &f.err), 0);
    assert_int_equal(len, 0);
    assert_int_equal(fixture_close(&f, file), 0);
    for (unsigned i = 7; i < 12; i++)
        read_whole(&f, path_of(i, path));
    fixture_done(&f);
}

/* By another host, after it was fetched: all of the old one within a second, then the new one. */
static void replaced_after_it_was_fetched(void **state)
{
    struct fixture f;
    char path[32];
    make_large(&f, 24);
    for (unsigned i = 0; i < 6; i++)
        read_whole(&f, path_of(i, path));
    put_large(&f, "d/f006", "another");
    put_large(&f, "d/f007", "another");
    read_whole(&f, "d/f006");
    clock_fake_advance(&f.clock, 2 * NS_PER_S);
    read_begin(&f, "d/f007", "another", LARGE);
    fixture_done(&f);
}

/* Of a very large one only the beginning was fetched; what is missing is of another version. */
static void beginning_of_a_very_large_one(void **state)
{
    const uint64_t size = 33 * MIB;
    struct fixture f;
    struct vfs_file *file;
    static char buf[PIECE];
    size_t got = 1;
    char path[32], *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, 'a', size);
    text[size] = '\0';
    fixture_init(&f, NULL);
    for (unsigned i = 0; i < 3; i++)
        fixture_object(&f, path_of(i, path), text);
    (void)fixture_ls(&f, "d", true);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(fixture_open(&f, path_of(i, path), O_RDONLY, &file), 0);
        for (uint64_t at = 0; at < size; at += got)
            assert_int_equal(vfs_read(f.vfs, file, at, buf, PIECE, &got, &f.err), 0);
        assert_int_equal(fixture_close(&f, file), 0);
    }
    memset(text, 'b', size);
    fixture_object(&f, "d/f002", text);
    int r = 0;
    uint64_t at = 0;
    assert_int_equal(fixture_open(&f, "d/f002", O_RDONLY, &file), 0);
    while (r == 0 && at < size) {
        r = vfs_read(f.vfs, file, at, buf, PIECE, &got, &f.err);
        for (size_t k = 0; r == 0 && k < got; k++)
            assert_int_equal(buf[k], 'a');
        at += r == 0 ? got : 0;
    }
    assert_int_equal(r, -ESTALE);
    assert_true(at >= MIB);
    assert_int_equal(fixture_close(&f, file), 0);
    free(text);
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(larger_files_in_order_are_there),
        cmocka_unit_test(beginnings_cost_nothing_more),
        cmocka_unit_test(who_stops_reading_them_whole),
        cmocka_unit_test(who_stops_has_cost_in_proportion),
        cmocka_unit_test(other_orders_of_larger_files),
        cmocka_unit_test(strides_fetch_nothing),
        cmocka_unit_test(slow_programs_fetch_each_file_once),
        cmocka_unit_test(what_is_left_behind_goes),
        cmocka_unit_test(walks_go_on_in_the_next_directory),
        cmocka_unit_test(trees_in_both_orders),
        cmocka_unit_test(trees_by_inode_number),
        cmocka_unit_test(numbers_of_a_directory_that_grows),
        cmocka_unit_test(no_order),
        cmocka_unit_test(one_directory_alone),
        cmocka_unit_test(changed_after_it_was_fetched),
        cmocka_unit_test(replaced_before_it_was_fetched),
        cmocka_unit_test(replaced_after_it_was_fetched),
        cmocka_unit_test(beginning_of_a_very_large_one),
    };
    return cmocka_run_group_tests(tests, make_text, free_text);
}
