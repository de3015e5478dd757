/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes that had not been stored when the process died. */
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

#include "meta/state.h"
#include "store/store_count.h"
#include "vfs_bed.h"

static void begin(struct vfs_bed *b)
{
    vfs_bed_begin(b);
    assert_int_equal(fixture_mkdir(&b->f, "d", 0755), 0);
    assert_int_equal(fixture_write(&b->f, "d/a", "x"), 0);
    clock_fake_advance(&b->f.clock, NS_PER_S / 10);
}

/* What was pending is not stored; whatever happens before the next mount is the caller's. */
static void crash(struct vfs_bed *b)
{
    vfs_bed_crash(b);
    clock_fake_advance(&b->f.clock, 10 * (uint64_t)NS_PER_S);
}

static void recover(struct vfs_bed *b)
{
    vfs_bed_mount(b);
    vfs_bed_recover(b);
    assert_int_equal(b->figures.left, 0);
}

static void end(struct vfs_bed *b)
{
    assert_int_equal(vfs_bed_intents(b), 0);
    vfs_bed_end(b);
}

static int set_mtime(struct fixture *f, const char *path, int64_t ns)
{
    struct vfs_entry e;
    struct vfs_changes c = {.set = VFS_SET_MTIME, .mtime_ns = ns};
    return vfs_setattr(f->vfs, fixture_ino(f, path), NULL, &c, &e, &f->err);
}

static struct stat stat_of(struct fixture *f, const char *path)
{
    struct vfs_entry e;
    assert_int_equal(fixture_lookup(f, path, &e), 0);
    return e.st;
}

static void test_finished(void **state)
{
    struct vfs_bed b;
    begin(&b);
    struct stat before = stat_of(&b.f, "d/a");
    assert_int_equal(fixture_chmod(&b.f, "d/a", 0600), 0);
    assert_int_equal(vfs_setxattr(b.f.vfs, fixture_ino(&b.f, "d/a"), "user.x", "y", 1, 0, &b.f.err),
                     0);
    assert_int_equal(fixture_chmod(&b.f, "d", 0700), 0);
    assert_int_equal(set_mtime(&b.f, "d", 5), 0);
    crash(&b);
    recover(&b);
    assert_int_equal(vfs_bed_intents(&b), 0);
    for (int i = 0; i < 2; i++) {
        char value;
        size_t len;
        struct stat st = stat_of(&b.f, "d/a");
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_true(st.st_mtim.tv_sec == before.st_mtim.tv_sec && st.st_mtim.tv_nsec == 0);
        assert_int_equal(
            vfs_getxattr(b.f.vfs, fixture_ino(&b.f, "d/a"), "user.x", &value, 1, &len, &b.f.err),
            0);
        assert_int_equal(stat_of(&b.f, "d").st_mode & 07777, 0700);
        assert_true(stat_of(&b.f, "d").st_mtim.tv_nsec == 5);
        vfs_bed_mount(&b);
    }
    assert_string_equal(fixture_get(&b.f, "d/a"), "x");
    end(&b);
}

static void test_not_of_another_version(void **state)
{
    struct vfs_bed b;
    begin(&b);
    assert_int_equal(fixture_write(&b.f, "d/b", "x"), 0);
    assert_int_equal(fixture_chmod(&b.f, "d/a", 0600), 0);
    assert_int_equal(fixture_chmod(&b.f, "d/b", 0600), 0);
    crash(&b);
    fixture_object(&b.f, "d/a", "theirs");
    fixture_remove(&b.f, "d/b");
    recover(&b);
    assert_string_equal(fixture_metadata(&b.f, "d/a", "mode"), "");
    assert_string_equal(fixture_get(&b.f, "d/a"), "theirs");
    assert_null(fixture_get(&b.f, "d/b"));
    end(&b);
}

/* Somebody has set them since, of the same version. */
static void test_not_over_newer_ones(void **state)
{
    struct vfs_bed b;
    begin(&b);
    assert_int_equal(fixture_chmod(&b.f, "d/a", 0600), 0);
    crash(&b);
    const struct store_metadata m[] = {{"mode", "33279"}, {"ctime", "1790000005.000000000"}};
    struct store_attrs attrs = {.metadata = m, .n_metadata = 2};
    fixture_object_attrs(&b.f, "d/a", "x", &attrs);
    recover(&b);
    assert_string_equal(fixture_metadata(&b.f, "d/a", "mode"), "33279");
    end(&b);
}

static void test_notes_go_with_what_they_are_of(void **state)
{
    struct vfs_bed b;
    begin(&b);
    assert_int_equal(fixture_chmod(&b.f, "d/a", 0600), 0);
    assert_int_equal(vfs_bed_intents(&b), 1);
    assert_int_equal(fixture_chmod(&b.f, "d/a", 0640), 0);
    assert_int_equal(vfs_bed_intents(&b), 1);
    assert_int_equal(vfs_sync(b.f.vfs, &b.f.err), 0);
    assert_int_equal(vfs_bed_intents(&b), 0);
    assert_int_equal(fixture_chmod(&b.f, "d/a", 0600), 0);
    assert_int_equal(fixture_rename(&b.f, "d/a", "d/b", 0), 0);
    assert_int_equal(vfs_bed_intents(&b), 0);
    assert_int_equal(fixture_chmod(&b.f, "d/b", 0640), 0);
    assert_int_equal(fixture_write(&b.f, "d/b", "new"), 0);
    assert_int_equal(vfs_bed_intents(&b), 0);
    assert_int_equal(fixture_chmod(&b.f, "d/b", 0600), 0);
    assert_int_equal(vfs_bed_intents(&b), 1);
    assert_int_equal(fixture_unlink(&b.f, "d/b"), 0);
    assert_int_equal(vfs_bed_intents(&b), 0);
    end(&b);
}

static void test_nonsense_is_dropped(void **state)
{
    static const char *const payloads[] = {"", "1", "2\0\"e\"\0\0mode\0", "1\0\"e\"\0\0mode\0x"};
    static const size_t lengths[] = {0, 1, 12, 13};
    struct vfs_bed b;
    begin(&b);
    for (size_t i = 0; i < ARRAY_SIZE(payloads); i++)
        vfs_bed_note(&b, STATE_INTENT_ATTRS, "d/a", NULL, payloads[i], lengths[i]);
    crash(&b);
    recover(&b);
    assert_string_equal(fixture_get(&b.f, "d/a"), "x");
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finished),
        cmocka_unit_test(test_not_of_another_version),
        cmocka_unit_test(test_not_over_newer_ones),
        cmocka_unit_test(test_notes_go_with_what_they_are_of),
        cmocka_unit_test(test_nonsense_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
