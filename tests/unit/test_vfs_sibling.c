/* SPDX-License-Identifier: Apache-2.0 */
/* Small files that are read in listing order are fetched before their opens; others are not. */
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
#include "vfs_fixture.h"

#define FILES 40u

static const char *path_of(unsigned i, char buf[32])
{
    (void)snprintf(buf, 32, "d/f%03u", i);
    return buf;
}

static void make_files(struct fixture *f, unsigned n)
{
    char path[32], content[32];
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(content, sizeof(content), "content %u", i);
        fixture_object(f, path_of(i, path), content);
    }
    (void)fixture_ls(f, "d", true);
}

static uint64_t n_gets(struct fixture *f)
{
    return store_count_requests(f->count, STORE_GET);
}

static void read_file(struct fixture *f, unsigned i)
{
    char path[32], content[32];
    (void)snprintf(content, sizeof(content), "content %u", i);
    assert_string_equal(fixture_read(f, path_of(i, path)), content);
}

/* One GET for each file, as without; but from the third on it comes before the open, and an answer
 * that is there already means that no open waits for a round trip. */
static void files_in_order_are_there(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    make_files(&f, FILES);
    store_count_reset(f.count);
    uint64_t before_open = 0;
    for (unsigned i = 0; i < FILES; i++) {
        char path[32];
        struct vfs_file *file;
        assert_int_equal(fixture_open(&f, path_of(i, path), O_RDONLY, &file), 0);
        uint64_t asked = n_gets(&f);
        char buf[64] = "";
        char content[32];
        size_t len;
        (void)snprintf(content, sizeof(content), "content %u", i);
        assert_int_equal(vfs_read(f.vfs, file, 0, buf, sizeof(buf), &len, &f.err), 0);
        assert_string_equal(buf, content);
        before_open += asked >= i + 1;
        assert_true(n_gets(&f) <= i + 1 + 48);
        assert_int_equal(fixture_close(&f, file), 0);
    }
    assert_int_equal(before_open, FILES - 3);
    assert_int_equal(n_gets(&f), FILES);
    assert_int_equal(store_count_all(f.count), FILES);
    fixture_done(&f);
}

static void other_orders_fetch_nothing(void **state)
{
    static const unsigned STEP[] = {7, 11, 33};
    for (size_t s = 0; s < ARRAY_SIZE(STEP); s++) {
        struct fixture f;
        fixture_init(&f, NULL);
        make_files(&f, FILES);
        store_count_reset(f.count);
        for (unsigned i = 0, at = 3; i < 20; i++, at = (at + STEP[s]) % FILES) {
            read_file(&f, at);
            assert_int_equal(n_gets(&f), i + 1);
        }
        fixture_done(&f);
    }
    /* One file again and again, and two in a row, are no walk. */
    struct fixture f;
    fixture_init(&f, NULL);
    make_files(&f, FILES);
    store_count_reset(f.count);
    for (unsigned i = 0; i < 10; i++) {
        read_file(&f, i % 2);
        assert_int_equal(n_gets(&f), i + 1);
    }
    /* Nor are opens without reads: a copy inside the store begins so. */
    struct vfs_file *file;
    char path[32];
    for (unsigned i = 0; i < FILES; i++) {
        assert_int_equal(fixture_open(&f, path_of(i, path), O_RDONLY, &file), 0);
        assert_int_equal(fixture_close(&f, file), 0);
    }
    assert_int_equal(n_gets(&f), 10);
    fixture_done(&f);
}

/* What changed after it was fetched is fetched again: by this mount, by another host with a listing
 * that tells, or after a while. */
static void outdated_content_is_not_served(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    make_files(&f, FILES);
    for (unsigned i = 0; i < 4; i++)
        read_file(&f, i);
    assert_int_equal(fixture_write(&f, "d/f005", "ours"), 0);
    assert_string_equal(fixture_read(&f, "d/f005"), "ours");
    /* Longer than it is believed. */
    fixture_object(&f, "d/f006", "theirs 6");
    clock_fake_advance(&f.clock, 2 * NS_PER_S);
    assert_string_equal(fixture_read(&f, "d/f006"), "theirs 6");
    fixture_done(&f);
}

/* Found to be another version than the listing told: the new one is served, and told. */
static void replaced_before_it_was_fetched(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    make_files(&f, FILES);
    fixture_object(&f, "d/f004", "a longer content that replaces");
    fixture_remove(&f, "d/f005");
    for (unsigned i = 0; i < 4; i++)
        read_file(&f, i);
    struct vfs_file *file;
    char buf[64] = "";
    size_t len;
    assert_int_equal(fixture_open(&f, "d/f004", O_RDONLY, &file), 0);
    assert_int_equal(vfs_read(f.vfs, file, 0, buf, sizeof(buf), &len, &f.err), 0);
    assert_string_equal(buf, "a longer content that replaces");
    assert_int_equal(fixture_close(&f, file), 0);
    struct vfs_entry e;
    assert_int_equal(fixture_lookup(&f, "d/f004", &e), 0);
    assert_int_equal(e.st.st_size, 30);
    assert_int_equal(fixture_open(&f, "d/f005", O_RDONLY, &file), 0);
    assert_int_equal(vfs_read(f.vfs, file, 0, buf, sizeof(buf), &len, &f.err), -ENOENT);
    assert_int_equal(fixture_close(&f, file), 0);
    read_file(&f, 6);
    fixture_done(&f);
}

/* Large and empty ones are left out, and there is an end to what waits for its open. */
static void amount_is_bounded(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    make_files(&f, 6);
    char *large = malloc(900001), path[32];
    memset(large, 'x', 900000);
    large[900000] = '\0';
    for (unsigned i = 6; i < 40; i++)
        fixture_object(&f, path_of(i, path), large);
    free(large);
    fixture_remount(&f, NULL);
    (void)fixture_ls(&f, "d", true);
    store_count_reset(f.count);
    struct data_stats stats;
    for (unsigned i = 0; i < 6; i++)
        read_file(&f, i);
    data_stats(f.data, &stats);
    assert_true(stats.memory_used <= 24 * MIB);
    assert_in_range(n_gets(&f), 20, 6 + 48);
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_in_order_are_there),
        cmocka_unit_test(other_orders_fetch_nothing),
        cmocka_unit_test(outdated_content_is_not_served),
        cmocka_unit_test(replaced_before_it_was_fetched),
        cmocka_unit_test(amount_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
