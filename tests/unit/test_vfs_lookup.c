/* SPDX-License-Identifier: Apache-2.0 */
/* Names and listings through the filesystem, with the requests that they cost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "store/store_count.h"
#include "store/store_fault.h"
#include "vfs/vfs_impl.h"
#include "vfs_fixture.h"

static void test_one_name(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    fixture_object(&f, "file", "12345");
    fixture_object(&f, "file-1", "x");
    fixture_object(&f, "dir/below", "x");

    assert_int_equal(fixture_lookup(&f, "file", &e), 0);
    fixture_expect(&f, "list 1");
    assert_true(S_ISREG(e.st.st_mode));
    assert_int_equal(e.st.st_mode & 07777, 0644);
    assert_int_equal(e.st.st_size, 5);
    assert_int_equal(e.st.st_uid, 1000);
    assert_int_equal(e.st.st_gid, 100);
    assert_true(e.st.st_ino == e.ino);
    assert_true(e.attr_ttl_ns == 60 * (uint64_t)NS_PER_S);
    uint64_t ino = e.ino;

    /* Again: known. Another name: the whole directory, which is small. Then nothing more. */
    assert_int_equal(fixture_lookup(&f, "file", &e), 0);
    assert_true(e.ino == ino);
    fixture_expect(&f, "");
    assert_int_equal(fixture_lookup(&f, "dir", &e), 0);
    fixture_expect(&f, "list 1");
    assert_true(S_ISDIR(e.st.st_mode));
    assert_int_equal(fixture_lookup(&f, "absent", &e), -ENOENT);
    assert_true(e.ino == 0);
    assert_int_equal(fixture_lookup(&f, "file-1", &e), 0);
    assert_int_equal(fixture_lookup(&f, "fil", &e), -ENOENT);
    fixture_expect(&f, "");

    assert_int_equal(fixture_lookup(&f, "file/x", &e), -ENOTDIR);
    fixture_done(&f);
}

static void test_absent_name_first(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    fixture_object(&f, "name-1", "x");
    assert_int_equal(fixture_lookup(&f, "name", &e), -ENOENT);
    fixture_expect(&f, "list 1");
    assert_true(e.entry_ttl_ns == 60 * (uint64_t)NS_PER_S);
    fixture_done(&f);
}

/* More keys between "name" and "name/" than the answer to a lookup holds. */
static void test_directory_behind_many_names(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    char key[64];
    fixture_init(&f, NULL);
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof(key), "name-%03d", i);
        fixture_object(&f, key, "x");
    }
    fixture_object(&f, "name/below", "x");
    assert_int_equal(fixture_lookup(&f, "name", &e), 0);
    assert_true(S_ISDIR(e.st.st_mode));
    fixture_expect(&f, "list 2");
    fixture_done(&f);
}

static void test_listed_directory_costs_nothing(void **state)
{
    struct fixture f;
    char key[64];
    fixture_init(&f, NULL);
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "d/f%02d", i);
        fixture_object(&f, key, "x");
    }
    uint64_t ino = fixture_ino(&f, "d");
    fixture_expect(&f, "list 1");
    (void)fixture_ls(&f, "d", false);
    fixture_expect(&f, "list 1");
    for (int i = 0; i < 200; i++) {
        struct vfs_entry e;
        snprintf(key, sizeof(key), "f%02d", i);
        assert_int_equal(vfs_lookup(f.vfs, ino, key, &e, &f.err), i < 100 ? 0 : -ENOENT);
    }
    fixture_expect(&f, "");
    fixture_done(&f);
}

static void test_large_directory(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    char key[64];
    fixture_init(&f, NULL);
    for (int i = 0; i < 3500; i++) {
        snprintf(key, sizeof(key), "d/f%04d", i);
        fixture_object(&f, key, "x");
    }
    uint64_t ino = fixture_ino(&f, "d");
    fixture_expect(&f, "list 1");
    /* The first name also asks whether the directory is marked. The second loads the first page;
     * after that it is one request a name. */
    assert_int_equal(vfs_lookup(f.vfs, ino, "f3000", &e, &f.err), 0);
    fixture_expect(&f, "list 1, head 1");
    assert_int_equal(vfs_lookup(f.vfs, ino, "f3001", &e, &f.err), 0);
    fixture_expect(&f, "list 2");
    assert_int_equal(vfs_lookup(f.vfs, ino, "g", &e, &f.err), -ENOENT);
    fixture_expect(&f, "list 1");
    assert_int_equal(vfs_lookup(f.vfs, ino, "f0001", &e, &f.err), 0);
    fixture_expect(&f, "");
    /* The first page is there already. */
    struct vfs_dir *dir;
    assert_int_equal(vfs_opendir(f.vfs, ino, &dir), 0);
    vfs_releasedir(f.vfs, dir);
    fixture_done(&f);
}

struct counter {
    unsigned n;
    uint64_t next;
    unsigned room;
};

static bool count_fill(void *ctx, const char *name, const struct vfs_entry *e, uint64_t next)
{
    struct counter *c = ctx;
    if (c->room == 0)
        return false;
    c->room--;
    c->n++;
    c->next = next;
    return true;
}

static unsigned read_all(struct fixture *f, struct vfs_dir *dir, unsigned room)
{
    struct counter c = {0};
    for (unsigned before = 1; before != c.n;) {
        before = c.n;
        c.room = room;
        assert_int_equal(vfs_readdir(f->vfs, dir, c.next, true, count_fill, &c, &f->err), 0);
    }
    return c.n - 2;
}

static void test_pages(void **state)
{
    struct fixture f;
    char key[64];
    fixture_init(&f, NULL);
    for (int i = 0; i < 3500; i++) {
        snprintf(key, sizeof(key), "d/f%04d", i);
        fixture_object(&f, key, "x");
    }
    struct vfs_dir *dir;
    uint64_t ino = fixture_ino(&f, "d");
    fixture_expect(&f, "list 1");
    assert_int_equal(vfs_opendir(f.vfs, ino, &dir), 0);
    fixture_expect(&f, "");

    /* The first entries come with the first page. */
    struct counter c = {.room = 10};
    assert_int_equal(vfs_readdir(f.vfs, dir, 0, true, count_fill, &c, &f.err), 0);
    assert_int_equal(c.n, 10);
    fixture_expect(&f, "list 1");
    assert_int_equal(read_all(&f, dir, 33), 3500);
    fixture_expect(&f, "list 3");
    vfs_releasedir(f.vfs, dir);

    /* Again, from the cache; and anew after its time. */
    assert_int_equal(vfs_opendir(f.vfs, ino, &dir), 0);
    assert_int_equal(read_all(&f, dir, 1000), 3500);
    fixture_expect(&f, "");
    clock_fake_advance(&f.clock, 61 * (uint64_t)NS_PER_S);
    assert_int_equal(read_all(&f, dir, 1000), 3500);
    fixture_expect(&f, "list 4");
    vfs_releasedir(f.vfs, dir);
    fixture_done(&f);
}

static void test_broken_page_is_an_error(void **state)
{
    struct fixture f;
    char key[64];
    fixture_init(&f, NULL);
    for (int i = 0; i < 2500; i++) {
        snprintf(key, sizeof(key), "d/f%04d", i);
        fixture_object(&f, key, "x");
    }
    struct vfs_dir *dir;
    uint64_t ino = fixture_ino(&f, "d");
    struct store_fault_rule rule = {
        .op = STORE_LIST, .after = 1, .count = 1, .error = S3_ERROR_BAD_RESPONSE};
    assert_int_equal(store_fault_add(f.fault, &rule), 0);
    assert_int_equal(vfs_opendir(f.vfs, ino, &dir), 0);
    struct counter c = {.room = 10000};
    assert_int_equal(vfs_readdir(f.vfs, dir, 0, true, count_fill, &c, &f.err), 0);
    assert_int_equal(c.n, 1001); /* of the page's last name it is not yet known what it is */
    assert_int_equal(vfs_readdir(f.vfs, dir, c.next, true, count_fill, &c, &f.err), -EIO);
    assert_int_equal(f.err.kind, S3_ERROR_BAD_RESPONSE);
    assert_int_equal(c.n, 1001);
    /* The reader may go on where it was. */
    while (c.n < 2502)
        assert_int_equal(vfs_readdir(f.vfs, dir, c.next, true, count_fill, &c, &f.err), 0);
    vfs_releasedir(f.vfs, dir);
    fixture_done(&f);
}

static void test_odd_keys(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    char longest[420];
    memset(longest, 'l', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "file a");
    fixture_object(&f, "a/b", "b in a");
    fixture_object(&f, "a//c", "below nothing");
    fixture_object(&f, "/lead", "lead");
    fixture_object(&f, "x/../y", "dots");
    fixture_object(&f, "x/.", "dot");
    fixture_object(&f, "caf\xE9", "latin");
    fixture_object(&f, longest, "long");

    assert_string_equal(fixture_read(&f, "a/b"), "b in a");
    assert_string_equal(fixture_read(&f, "%@a%file"), "file a");
    assert_string_equal(fixture_read(&f, "a/%@/c"), "below nothing");
    assert_string_equal(fixture_read(&f, "%@/lead"), "lead");
    assert_string_equal(fixture_read(&f, "x/%@../y"), "dots");
    assert_string_equal(fixture_read(&f, "x/%@."), "dot");
    assert_string_equal(fixture_read(&f, "%@caf%E9"), "latin");
    assert_string_equal(fixture_ls(&f, "x", true), "%@../ %@.=3 ");
    assert_string_equal(fixture_ls(&f, "a", true), "%@/ b=6 ");

    /* The long one, by the name that the listing shows. */
    const char *names = fixture_ls(&f, "", false);
    const char *name = strstr(names, "%@lll");
    assert_non_null(name);
    char copy[300];
    snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(name, " "), name);
    assert_string_equal(fixture_read(&f, copy), "long");
    /* And without any listing. */
    fixture_remount(&f, NULL);
    assert_string_equal(fixture_read(&f, copy), "long");
    fixture_expect(&f, "list 1, get 1");
    copy[strlen(copy) - 1] ^= 1;
    assert_int_equal(fixture_lookup(&f, copy, &e), -ENOENT);
    fixture_done(&f);
}

static void test_expiry(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "1");
    fixture_object(&f, "b", "1");
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    fixture_object(&f, "a", "333");
    fixture_remove(&f, "b");
    fixture_object(&f, "c", "1");
    assert_int_equal(fixture_lookup(&f, "a", &e), 0);
    assert_int_equal(e.st.st_size, 1);
    clock_fake_advance(&f.clock, 60 * (uint64_t)NS_PER_S);
    assert_int_equal(fixture_lookup(&f, "a", &e), 0);
    assert_int_equal(e.st.st_size, 3);
    assert_int_equal(fixture_lookup(&f, "b", &e), -ENOENT);
    assert_int_equal(fixture_lookup(&f, "c", &e), 0);
    assert_string_equal(fixture_ls(&f, "", true), "a=3 c=1 ");
    fixture_done(&f);
}

static void test_no_negative_cache(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    struct vfs_options o = fixture_options();
    o.negative_ttl_ns = 0;
    fixture_init(&f, &o);
    fixture_object(&f, "a", "1");
    (void)fixture_ls(&f, "", false);
    assert_int_equal(fixture_lookup(&f, "b", &e), -ENOENT);
    assert_true(e.entry_ttl_ns == 0);
    fixture_object(&f, "b", "1");
    assert_int_equal(fixture_lookup(&f, "b", &e), 0);
    fixture_done(&f);
}

static void test_errors_are_not_absence(void **state)
{
    static const struct {
        enum s3_error_kind kind;
        int result;
    } cases[] = {
        {S3_ERROR_SERVER, -EIO},       {S3_ERROR_ACCESS_DENIED, -EACCES}, {S3_ERROR_TIMEOUT, -EIO},
        {S3_ERROR_BAD_RESPONSE, -EIO}, {S3_ERROR_NO_SUCH_BUCKET, -EIO},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture f;
        struct vfs_entry e;
        fixture_init(&f, NULL);
        fixture_object(&f, "a", "1");
        struct store_fault_rule rule = {.op = STORE_LIST, .count = 1, .error = cases[i].kind};
        assert_int_equal(store_fault_add(f.fault, &rule), 0);
        int r = fixture_lookup(&f, "a", &e);
        assert_true(r < 0 && r != -ENOENT);
        assert_int_equal(f.err.kind, cases[i].kind);
        assert_int_equal(fixture_lookup(&f, "a", &e), 0);
        fixture_done(&f);
    }
}

static void test_forget(void **state)
{
    struct fixture f;
    struct vfs_entry e, again;
    fixture_init(&f, NULL);
    fixture_object(&f, "d/a", "1");
    uint64_t d = fixture_ino(&f, "d");
    assert_int_equal(vfs_lookup(f.vfs, d, "a", &e, &f.err), 0);
    assert_int_equal(vfs_lookup(f.vfs, d, "a", &e, &f.err), 0);
    vfs_forget(f.vfs, e.ino, 1);
    assert_int_equal(vfs_getattr(f.vfs, e.ino, NULL, &again, &f.err), 0);
    vfs_forget(f.vfs, e.ino, 1);
    assert_int_equal(vfs_getattr(f.vfs, e.ino, NULL, &again, &f.err), -ESTALE);
    assert_int_equal(vfs_lookup(f.vfs, d, "a", &again, &f.err), 0);
    assert_true(again.ino == e.ino);
    fixture_done(&f);
}

/* The kernel forgets all that it is not using when memory is short. What was listed in full is
 * known all the same, as far as the memory for listings goes. */
static void forget_all(struct fixture *f, const char *path)
{
    struct vfs_entry e;
    assert_int_equal(fixture_lookup(f, path, &e), 0);
    vfs_forget(f->vfs, e.ino, 1000);
}

static void test_forgotten_directory(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    fixture_object(&f, "d/sub/a", "1");
    (void)fixture_ls(&f, "", false);
    (void)fixture_ls(&f, "d", false);
    (void)fixture_ls(&f, "d/sub", false);
    fixture_expect(&f, "list 3");
    forget_all(&f, "d/sub");
    forget_all(&f, "d");
    assert_int_equal(fixture_lookup(&f, "d/sub/absent", &e), -ENOENT);
    assert_int_equal(fixture_lookup(&f, "d/sub/a", &e), 0);
    fixture_expect(&f, "");
    /* It can be renamed and removed. */
    forget_all(&f, "d/sub");
    forget_all(&f, "d");
    assert_int_equal(fixture_rename(&f, "d", "e", 0), 0);
    assert_int_equal(fixture_lookup(&f, "d", &e), -ENOENT);
    assert_string_equal(fixture_ls(&f, "e/sub", false), "a ");
    forget_all(&f, "e/sub");
    assert_int_equal(fixture_unlink(&f, "e/sub/a"), 0);
    assert_int_equal(fixture_rmdir(&f, "e/sub"), 0);
    assert_int_equal(fixture_lookup(&f, "e/sub", &e), -ENOENT);
    fixture_done(&f);
}

static void test_forgotten_directories_are_bounded(void **state)
{
    struct fixture f;
    struct vfs_options o = fixture_options();
    char path[32];
    o.listing_memory = 16 << 10;
    fixture_init(&f, &o);
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof(path), "d%03d/a", i);
        fixture_object(&f, path, "1");
    }
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof(path), "d%03d", i);
        (void)fixture_ls(&f, path, false);
        forget_all(&f, path);
    }
    (void)fixture_ls(&f, "", false);
    size_t known = 0;
    for (int i = 99; i >= 0; i--) {
        struct vfs_entry e;
        char requests[256];
        store_count_reset(f.count);
        snprintf(path, sizeof(path), "d%03d/absent", i);
        assert_int_equal(fixture_lookup(&f, path, &e), -ENOENT);
        store_count_describe(f.count, requests, sizeof(requests));
        known += requests[0] == '\0';
    }
    assert_in_range(known, 1, 40);
    fixture_done(&f);
}

/* Files that the kernel only asks for take no inode each (du of a million), whether their directory
 * is listed or a page of it is at hand; whoever wants more of one finds it. */
static void test_listed_files_stay_small(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    char path[32];
    fixture_page_size = 100;
    fixture_init(&f, NULL);
    for (int i = 0; i < 1000; i++) {
        snprintf(path, sizeof(path), "d/n%04d", i);
        fixture_object(&f, path, "12345");
    }
    for (int round = 0; round < 3; round++) {
        /* The third time the directory has not been listed: pages are asked for instead. */
        if (round < 2)
            (void)fixture_ls(&f, "d", false);
        uint64_t ino = fixture_ino(&f, "d/n0007");
        for (int i = 0; i < 1000; i++) {
            snprintf(path, sizeof(path), "d/n%04d", i);
            assert_int_equal(fixture_lookup(&f, path, &e), 0);
            assert_int_equal(e.st.st_size, 5);
            assert_true(e.attr_ttl_ns > 0);
            if (i == 7)
                assert_true(e.ino == ino);
        }
        assert_in_range(f.vfs->inodes.stubs.n, 900, 1000);
        assert_int_equal(vfs_getattr(f.vfs, ino, NULL, &e, &f.err), 0);
        assert_int_equal(e.st.st_size, 5);
        assert_string_equal(fixture_read(&f, "d/n0500"), "12345");
        clock_fake_advance(&f.clock, (round < 1 ? 1 : 61) * (uint64_t)NS_PER_S);
        if (round == 1)
            vfs_listing_drop_below_locked(f.vfs, f.vfs->inodes.root);
    }
    /* Another version. */
    fixture_object(&f, "d/n0600", "1234567");
    clock_fake_advance(&f.clock, 61 * (uint64_t)NS_PER_S);
    (void)fixture_ls(&f, "d", false);
    assert_int_equal(fixture_lookup(&f, "d/n0600", &e), 0);
    assert_int_equal(e.st.st_size, 7);
    assert_string_equal(fixture_read(&f, "d/n0600"), "1234567");
    fixture_page_size = 0;
    fixture_done(&f);
}

/* What nobody believes any more goes when something else is listed. */
static void test_old_listings_go(void **state)
{
    struct fixture f;
    char path[32];
    fixture_init(&f, NULL);
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof(path), "d%03d/a", i);
        fixture_object(&f, path, "1");
    }
    for (int i = 0; i < 199; i++) {
        snprintf(path, sizeof(path), "d%03d", i);
        assert_string_equal(fixture_ls(&f, path, false), "a ");
        forget_all(&f, path);
    }
    uint64_t all = f.vfs->listing_bytes;
    clock_fake_advance(&f.clock, 90 * (uint64_t)NS_PER_S);
    assert_string_equal(fixture_ls(&f, "d199", false), "a ");
    assert_true(f.vfs->listing_bytes >= all); /* they might be asked for */
    clock_fake_advance(&f.clock, 120 * (uint64_t)NS_PER_S);
    assert_string_equal(fixture_ls(&f, "d199", false), "a ");
    assert_true(f.vfs->listing_bytes < all / 10);
    assert_string_equal(fixture_ls(&f, "d000", false), "a ");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_name),
        cmocka_unit_test(test_absent_name_first),
        cmocka_unit_test(test_directory_behind_many_names),
        cmocka_unit_test(test_listed_directory_costs_nothing),
        cmocka_unit_test(test_large_directory),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_broken_page_is_an_error),
        cmocka_unit_test(test_odd_keys),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_listed_files_stay_small),
        cmocka_unit_test(test_old_listings_go),
        cmocka_unit_test(test_no_negative_cache),
        cmocka_unit_test(test_errors_are_not_absence),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_forgotten_directory),
        cmocka_unit_test(test_forgotten_directories_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
