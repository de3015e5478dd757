/* SPDX-License-Identifier: Apache-2.0 */
/* Owner, mode and times through the filesystem: what is stored where, and what is asked when. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "store/store_count.h"
#include "store/store_fault.h"
#include "store/store_memory.h"
#include "vfs_fixture.h"

static int set_times(struct fixture *f, const char *path, int64_t ns)
{
    struct vfs_entry e;
    struct vfs_changes c = {.set = VFS_SET_ATIME | VFS_SET_MTIME, .atime_ns = ns, .mtime_ns = ns};
    return vfs_setattr(f->vfs, fixture_ino(f, path), NULL, &c, &e, &f->err);
}

static mode_t mode_of(struct fixture *f, const char *path)
{
    struct vfs_entry e;
    assert_int_equal(fixture_lookup(f, path, &e), 0);
    return e.st.st_mode & 07777;
}

static void test_chmod_is_a_copy_and_a_mark(void **state)
{
    struct fixture f;
    const struct store_metadata m[] = {{"color", "blue"}};
    struct store_attrs attrs = {.content_type = "text/x-test", .metadata = m, .n_metadata = 1};
    fixture_init(&f, NULL);
    fixture_object_attrs(&f, "d/a", "content", &attrs);
    fixture_object(&f, "d/b", "x");
    (void)fixture_ls(&f, "d", true);
    fixture_expect(&f, "list 2");
    assert_int_equal(fixture_chmod(&f, "d/a", 0600), 0);
    fixture_settle(&f);
    fixture_expect(&f, "head 1, put 1, copy 1");
    assert_int_equal(mode_of(&f, "d/a"), 0600);
    assert_string_equal(fixture_get(&f, "d/a"), "content");
    assert_string_equal(fixture_metadata(&f, "d/a", "mode"), "33152");
    assert_string_equal(fixture_metadata(&f, "d/a", "color"), "blue");
    assert_string_equal(fixture_metadata(&f, "d/", "pailfs-posix"), "1");
    fixture_expect(&f, "");
    /* The same again is nothing; another is a copy alone. */
    assert_int_equal(fixture_chmod(&f, "d/a", 0600), 0);
    fixture_expect(&f, "");
    assert_int_equal(fixture_chmod(&f, "d/a", 0640), 0);
    fixture_settle(&f);
    fixture_expect(&f, "head 1, copy 1");

    /* A mount that knows nothing finds it, with a HEAD for each file of the marked directory. */
    fixture_remount(&f, NULL);
    assert_string_equal(fixture_ls(&f, "d", true), "a=7 b=1 ");
    fixture_expect(&f, "list 2, head 3");
    assert_int_equal(mode_of(&f, "d/a"), 0640);
    assert_int_equal(mode_of(&f, "d/b"), 0644);
    fixture_expect(&f, "");
    fixture_done(&f);
}

static void test_unmarked_directories_cost_no_heads(void **state)
{
    struct fixture f;
    char key[32];
    const struct store_metadata m[] = {{"mode", "33152"}};
    struct store_attrs attrs = {.metadata = m, .n_metadata = 1};
    fixture_init(&f, NULL);
    for (int i = 0; i < 30; i++) {
        snprintf(key, sizeof(key), "d/%02d", i);
        fixture_object_attrs(&f, key, "x", &attrs);
    }
    (void)fixture_ls(&f, "d", true);
    assert_int_equal(mode_of(&f, "d/05"), 0644);
    fixture_expect(&f, "list 2");
    fixture_done(&f);

    /* posix=on asks for each, in parallel; off never. */
    struct vfs_options o = fixture_options();
    o.posix = VFS_POSIX_ON;
    fixture_init(&f, &o);
    for (int i = 0; i < 30; i++) {
        snprintf(key, sizeof(key), "%02d", i);
        fixture_object_attrs(&f, key, "x", &attrs);
    }
    (void)fixture_ls(&f, "", true);
    fixture_expect(&f, "list 1, head 30");
    assert_int_equal(mode_of(&f, "05"), 0600);
    fixture_expect(&f, "");
    fixture_done(&f);
}

static void test_folded_into_the_upload(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_entry e;
    int64_t when = INT64_C(1500000000123456789);
    fixture_init(&f, NULL);
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    assert_int_equal(fixture_create(&f, "a", O_WRONLY | O_EXCL, 0600, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 0, "x", 1, &f.err), 0);
    struct vfs_changes c = {.set = VFS_SET_ATIME | VFS_SET_MTIME | VFS_SET_MODE,
                            .mode = 0755,
                            .atime_ns = when,
                            .mtime_ns = when};
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "a"), file, &c, &e, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_expect(&f, "put 2"); /* the mark of the root, and the file */
    assert_string_equal(fixture_metadata(&f, "a", "mtime"), "1500000000.123456789");
    assert_string_equal(fixture_metadata(&f, "a", "mode"), "33261");
    fixture_remount(&f, NULL);
    assert_int_equal(fixture_lookup(&f, "a", &e), 0);
    assert_true(e.st.st_mtim.tv_sec == 1500000000 && e.st.st_mtim.tv_nsec == 123456789);
    assert_int_equal(e.st.st_mode & 07777, 0755);
    /* The stand-in of the root is nobody's file. */
    assert_string_equal(fixture_ls(&f, "", false), "a ");
    assert_string_equal(fixture_keys(&f), ".pailfs-root a ");
    fixture_done(&f);
}

/* tar's and cp -p's order on a descriptor that was flushed before; and after the upload of a large
 * file had begun. */
static void test_changed_after_the_upload(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_entry e;
    struct vfs_changes c = {.set = VFS_SET_MODE, .mode = 0711};
    static char piece[1 << 20];
    fixture_init(&f, NULL);
    assert_int_equal(fixture_create(&f, "big", O_WRONLY, 0644, &file), 0);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(vfs_write(f.vfs, file, i * sizeof(piece), piece, sizeof(piece), &f.err),
                         0);
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "big"), file, &c, &e, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_string_equal(fixture_metadata(&f, "big", "mode"), "33225");
    assert_int_equal(mode_of(&f, "big"), 0711);

    assert_int_equal(fixture_create(&f, "b", O_WRONLY, 0644, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 0, "x", 1, &f.err), 0);
    assert_int_equal(vfs_flush(f.vfs, file, &f.err), 0);
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "b"), file, &c, &e, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_string_equal(fixture_metadata(&f, "b", "mode"), "33225");
    assert_string_equal(fixture_get(&f, "b"), "x");
    fixture_done(&f);
}

static void test_touch(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_entry e;
    struct vfs_changes now = {.set = VFS_SET_ATIME | VFS_SET_MTIME | VFS_SET_ATIME_NOW |
                                     VFS_SET_MTIME_NOW};
    fixture_init(&f, NULL);
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    /* touch(1) flushes a duplicate before it sets the times. */
    assert_int_equal(fixture_create(&f, "a", O_WRONLY, 0644, &file), 0);
    assert_int_equal(vfs_flush(f.vfs, file, &f.err), 0);
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "a"), file, &now, &e, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_expect(&f, "put 1");

    /* Later it is a copy, whose time a listing tells: no mark, and no question. */
    clock_fake_advance(&f.clock, 10 * (uint64_t)NS_PER_S);
    int64_t then = clock_realtime_ns(&f.clock.clock) / NS_PER_S;
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "a"), NULL, &now, &e, &f.err), 0);
    fixture_expect(&f, "copy 1");
    fixture_remount(&f, NULL);
    assert_int_equal(fixture_lookup(&f, "a", &e), 0);
    assert_true(e.st.st_mtim.tv_sec == then);
    assert_string_equal(fixture_keys(&f), "a ");

    /* A time of access that was set outlives a change of the content, but no touch. */
    assert_int_equal(fixture_write(&f, "b", "x"), 0);
    assert_int_equal(set_times(&f, "b", NS_PER_S), 0);
    assert_int_equal(fixture_write(&f, "b", "y"), 0);
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "b"), NULL, &now, &e, &f.err), 0);
    assert_true(e.st.st_atim.tv_sec == then && e.st.st_mtim.tv_sec == then);
    fixture_done(&f);
}

static void test_directories(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "p", 0755), 0);
    assert_int_equal(fixture_mkdir(&f, "p/private", 0700), 0);
    assert_int_equal(fixture_mkdir(&f, "p/usual", 0755), 0);
    assert_int_equal(fixture_chmod(&f, "p/usual", 0750), 0);
    assert_int_equal(set_times(&f, "p/usual", INT64_C(1400000000000000001)), 0);
    assert_string_equal(fixture_metadata(&f, "p/", "pailfs-posix"), "1");
    fixture_remount(&f, NULL);
    assert_int_equal(mode_of(&f, "p"), 0755);
    assert_int_equal(mode_of(&f, "p/private"), 0700);
    assert_int_equal(fixture_lookup(&f, "p/usual", &e), 0);
    assert_int_equal(e.st.st_mode & 07777, 0750);
    assert_true(e.st.st_mtim.tv_sec == 1400000000 && e.st.st_mtim.tv_nsec == 1);

    /* An implicit one gets a marker for its attributes. */
    fixture_object(&f, "i/x/y", "z");
    assert_int_equal(fixture_chmod(&f, "i/x", 0711), 0);
    assert_string_equal(fixture_metadata(&f, "i/x/", "mode"), "16841");
    fixture_remount(&f, NULL);
    assert_int_equal(mode_of(&f, "i/x"), 0711);

    /* And so does the root of the bucket. */
    struct vfs_changes c = {.set = VFS_SET_MODE, .mode = 0700};
    assert_int_equal(vfs_setattr(f.vfs, VFS_ROOT, NULL, &c, &e, &f.err), 0);
    fixture_remount(&f, NULL);
    assert_int_equal(mode_of(&f, ""), 0700);
    fixture_done(&f);
}

/* A marker of somebody else with something in it. */
static void test_foreign_marker_is_kept(void **state)
{
    struct fixture f;
    const struct store_metadata m[] = {{"color", "blue"}};
    struct store_attrs attrs = {.content_type = "text/x-dir", .metadata = m, .n_metadata = 1};
    fixture_init(&f, NULL);
    fixture_object_attrs(&f, "d/", "what is in it", &attrs);
    fixture_object(&f, "d/a", "x");
    assert_int_equal(fixture_chmod(&f, "d/a", 0600), 0);
    assert_string_equal(fixture_get(&f, "d/"), "what is in it");
    assert_string_equal(fixture_metadata(&f, "d/", "color"), "blue");
    assert_string_equal(fixture_metadata(&f, "d/", "pailfs-posix"), "1");
    fixture_done(&f);
}

static void test_rename_keeps_attributes(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "a", 0755), 0);
    assert_int_equal(fixture_mkdir(&f, "b", 0755), 0);
    assert_int_equal(fixture_write(&f, "a/x", "x"), 0);
    assert_int_equal(fixture_chmod(&f, "a/x", 0755), 0);
    assert_int_equal(fixture_rename(&f, "a/x", "b/y", 0), 0);
    fixture_remount(&f, NULL);
    assert_int_equal(mode_of(&f, "b/y"), 0755);
    assert_int_equal(fixture_rename(&f, "b", "c", 0), 0);
    fixture_remount(&f, NULL);
    assert_int_equal(mode_of(&f, "c/y"), 0755);
    fixture_done(&f);
}

static void test_failed_change_is_undone(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "x");
    struct store_fault_rule rule = {.op = STORE_COPY, .count = 1, .error = S3_ERROR_ACCESS_DENIED};
    assert_int_equal(store_fault_add(f.fault, &rule), 0);
    assert_int_equal(fixture_chmod(&f, "a", 0600), 0);
    assert_int_equal(mode_of(&f, "a"), 0600);
    clock_fake_advance(&f.clock, NS_PER_S);
    assert_true(vfs_tick(f.vfs, false) == UINT64_MAX);
    assert_int_equal(mode_of(&f, "a"), 0644);
    /* The next fsync tells, once. */
    assert_int_equal(fixture_open(&f, "a", O_RDONLY, &file), 0);
    assert_int_equal(vfs_fsync(f.vfs, file, &f.err), -EACCES);
    assert_int_equal(vfs_fsync(f.vfs, file, &f.err), 0);
    assert_int_equal(fixture_chmod(&f, "a", 0600), 0);
    store_count_reset(f.count);
    assert_int_equal(vfs_fsync(f.vfs, file, &f.err), 0);
    fixture_expect(&f, "head 1, copy 1");
    assert_int_equal(fixture_close(&f, file), 0);
    assert_int_equal(mode_of(&f, "a"), 0600);
    fixture_done(&f);
}

static void test_large_object(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    assert_int_equal(store_memory_put_zeros(f.memory, "big", (uint64_t)6 << 30), 0);
    assert_int_equal(fixture_chmod(&f, "big", 0600), 0);
    assert_int_equal(fixture_lookup(&f, "big", &e), 0);
    assert_true((uint64_t)e.st.st_size == (uint64_t)6 << 30);
    assert_string_equal(fixture_metadata(&f, "big", "mode"), "33152");
    assert_int_equal(store_memory_upload_count(f.memory), 0);
    fixture_done(&f);
}

static void test_posix_off(void **state)
{
    struct fixture f;
    struct vfs_options o = fixture_options();
    o.posix = VFS_POSIX_OFF;
    fixture_init(&f, &o);
    fixture_object(&f, "a", "x");
    assert_int_equal(fixture_chmod(&f, "a", 0644), 0);
    assert_int_equal(fixture_chmod(&f, "a", 0600), -EOPNOTSUPP);
    assert_int_equal(set_times(&f, "a", 1), -EOPNOTSUPP);
    fixture_done(&f);
}

/* Files may be listed but not read: names and sizes are shown all the same. */
static void test_denied_head(void **state)
{
    struct fixture f;
    struct vfs_options o = fixture_options();
    o.posix = VFS_POSIX_ON;
    fixture_init(&f, &o);
    fixture_object(&f, "a", "x");
    struct store_fault_rule rule = {.op = STORE_HEAD, .error = S3_ERROR_ACCESS_DENIED};
    assert_int_equal(store_fault_add(f.fault, &rule), 0);
    assert_string_equal(fixture_ls(&f, "", true), "a=1 ");
    assert_int_equal(mode_of(&f, "a"), 0644);
    fixture_done(&f);
}

static void test_setgid_directory(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    struct vfs_file *file;
    struct vfs_changes c = {.set = VFS_SET_MODE | VFS_SET_GID, .mode = 02775, .gid = 777};
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "d", 0775), 0);
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "d"), NULL, &c, &e, &f.err), 0);
    assert_int_equal(fixture_create(&f, "d/x", O_WRONLY, 0644, &file), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_int_equal(fixture_mkdir(&f, "d/sub", 0755), 0);
    fixture_remount(&f, NULL);
    assert_int_equal(fixture_lookup(&f, "d/x", &e), 0);
    assert_int_equal(e.st.st_gid, 777);
    assert_int_equal(mode_of(&f, "d/sub"), 02755);
    fixture_done(&f);
}

struct modes {
    char text[64];
    uint64_t next;
};

static bool fill_modes(void *ctx, const char *name, const struct vfs_entry *e, uint64_t next)
{
    struct modes *m = ctx;
    size_t len = strlen(m->text);
    m->next = next;
    if (name[0] != '.')
        snprintf(m->text + len, sizeof(m->text) - len, "%s=%o ", name,
                 (unsigned)(e->st.st_mode & 07777));
    return true;
}

/* What `ls -l` shows where the kernel asks for no name, because each answer tells it anew. */
static const char *modes_of(struct fixture *f, uint64_t ino)
{
    struct vfs_dir *dir;
    struct modes m = {0};
    uint64_t before;
    assert_int_equal(vfs_opendir(f->vfs, ino, &dir), 0);
    do {
        before = m.next;
        assert_int_equal(vfs_readdir(f->vfs, dir, m.next, true, fill_modes, &m, &f->err), 0);
    } while (m.next != before);
    vfs_releasedir(f->vfs, dir);
    snprintf(f->text, sizeof(f->text), "%s", m.text);
    return f->text;
}

/* The entries' lookups stay counted: their inodes are kept. */
static void test_directories_listed_again_and_again(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    char value[16];
    struct store_metadata mark = {"pailfs-posix", "1"}, mode = {"mode", value};
    struct store_attrs marked = {.metadata = &mark, .n_metadata = 1},
                       own = {.metadata = &mode, .n_metadata = 1};
    static const struct {
        unsigned mode;
        const char *want;
    } changes[] = {{0750, "s=750 t=755 "}, {0700, "s=700 t=755 "}, {0711, "s=711 t=755 "}};
    fixture_init(&f, NULL);
    fixture_object_attrs(&f, "p/", "", &marked);
    fixture_object(&f, "p/t/x", "");
    for (size_t k = 0; k < ARRAY_SIZE(changes); k++) {
        snprintf(value, sizeof(value), "%u", S_IFDIR | changes[k].mode);
        fixture_object_attrs(&f, "p/s/", "", &own);
        if (k == 0)
            assert_int_equal(fixture_lookup(&f, "p", &e), 0);
        assert_string_equal(modes_of(&f, e.ino), changes[k].want);
        clock_fake_advance(&f.clock, 30 * (uint64_t)NS_PER_S);
        assert_string_equal(modes_of(&f, e.ino), changes[k].want); /* as the TTL allows */
        clock_fake_advance(&f.clock, 31 * (uint64_t)NS_PER_S);
    }
    /* The marker goes, which a listing tells. */
    fixture_object(&f, "p/s/x", "");
    fixture_object_attrs(&f, "p/s/", "", &own);
    assert_string_equal(modes_of(&f, e.ino), "s=711 t=755 ");
    fixture_remove(&f, "p/s/");
    clock_fake_advance(&f.clock, 59 * (uint64_t)NS_PER_S);
    (void)fixture_ls(&f, "p/s", false);
    clock_fake_advance(&f.clock, 2 * (uint64_t)NS_PER_S);
    assert_string_equal(modes_of(&f, e.ino), "s=755 t=755 ");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chmod_is_a_copy_and_a_mark),
        cmocka_unit_test(test_unmarked_directories_cost_no_heads),
        cmocka_unit_test(test_folded_into_the_upload),
        cmocka_unit_test(test_changed_after_the_upload),
        cmocka_unit_test(test_touch),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_directories_listed_again_and_again),
        cmocka_unit_test(test_foreign_marker_is_kept),
        cmocka_unit_test(test_rename_keeps_attributes),
        cmocka_unit_test(test_failed_change_is_undone),
        cmocka_unit_test(test_large_object),
        cmocka_unit_test(test_posix_off),
        cmocka_unit_test(test_denied_head),
        cmocka_unit_test(test_setgid_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
