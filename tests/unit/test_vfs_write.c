/* SPDX-License-Identifier: Apache-2.0 */
/* Files through the filesystem: content, conditions, errors, and the requests that they cost. */
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
#include "base/cleanup.h"
#include "store/store_fault.h"
#include "store/store_memory.h"
#include "vfs_fixture.h"

static void fail_once(struct fixture *f, enum store_op op, enum s3_error_kind kind)
{
    struct store_fault_rule rule = {.op = op, .count = 1, .error = kind};
    assert_int_equal(store_fault_add(f->fault, &rule), 0);
}

static void test_small_file_is_one_put(void **state)
{
    struct fixture f;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    fixture_object(&f, "other", "x");
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof(name), "file-%d", i);
        assert_int_equal(fixture_write(&f, name, "hello"), 0);
        fixture_expect(&f, "put 1");
    }
    assert_string_equal(fixture_get(&f, "file-7"), "hello");
    assert_int_equal(fixture_lookup(&f, "file-7", &e), 0);
    assert_int_equal(e.st.st_size, 5);
    fixture_expect(&f, "");
    /* Attributes travel with it, and the directory needs no mark for usual ones. */
    assert_string_equal(fixture_metadata(&f, "file-7", "mode"), "33188");
    assert_string_equal(fixture_metadata(&f, "file-7", "uid"), "1000");
    fixture_remount(&f, NULL);
    assert_int_equal(fixture_lookup(&f, "file-7", &e), 0);
    assert_int_equal(e.st.st_size, 5);
    fixture_done(&f);
}

static void test_cold_read_is_one_get(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "content");
    (void)fixture_ls(&f, "", true);
    fixture_expect(&f, "list 1");
    assert_string_equal(fixture_read(&f, "a"), "content");
    fixture_expect(&f, "get 1");
    fixture_done(&f);
}

static void test_empty_and_dup(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_create(&f, "empty", O_WRONLY, 0644, &file), 0);
    assert_int_equal(vfs_flush(f.vfs, file, &f.err), 0);
    assert_string_equal(fixture_get(&f, "empty"), "");
    assert_int_equal(vfs_write(f.vfs, file, 0, "ab", 2, &f.err), 0);
    assert_int_equal(vfs_flush(f.vfs, file, &f.err), 0);
    assert_string_equal(fixture_get(&f, "empty"), "ab");
    assert_int_equal(vfs_flush(f.vfs, file, &f.err), 0);
    assert_int_equal(vfs_write(f.vfs, file, 2, "cd", 2, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_expect(&f, "put 3");
    assert_string_equal(fixture_get(&f, "empty"), "abcd");
    fixture_done(&f);
}

static void test_everybody_sees_what_is_written(void **state)
{
    struct fixture f;
    struct vfs_file *w, *r;
    struct vfs_entry e;
    char buf[16];
    size_t len;
    fixture_init(&f, NULL);
    (void)fixture_ls(&f, "", false);
    assert_int_equal(fixture_create(&f, "a", O_WRONLY | O_EXCL, 0644, &w), 0);
    assert_int_equal(vfs_write(f.vfs, w, 0, "12345", 5, &f.err), 0);
    assert_int_equal(fixture_lookup(&f, "a", &e), 0);
    assert_int_equal(e.st.st_size, 5);
    assert_true(e.attr_ttl_ns == 0);
    assert_string_equal(fixture_ls(&f, "", true), "a=5 ");
    assert_int_equal(fixture_open(&f, "a", O_RDONLY, &r), 0);
    assert_int_equal(vfs_read(f.vfs, r, 1, buf, sizeof(buf), &len, &f.err), 0);
    assert_int_equal(len, 4);
    assert_memory_equal(buf, "2345", 4);
    assert_null(fixture_get(&f, "a"));
    /* Also in a listing that is made anew meanwhile. */
    clock_fake_advance(&f.clock, 100 * (uint64_t)NS_PER_S);
    assert_string_equal(fixture_ls(&f, "", true), "a=5 ");
    assert_int_equal(fixture_create(&f, "a", O_WRONLY | O_EXCL, 0644, &(struct vfs_file *){0}),
                     -EEXIST);

    assert_int_equal(fixture_close(&f, w), 0);
    assert_string_equal(fixture_get(&f, "a"), "12345");
    /* The reader goes on with the committed version, and the next one. */
    assert_int_equal(vfs_read(f.vfs, r, 0, buf, sizeof(buf), &len, &f.err), 0);
    assert_memory_equal(buf, "12345", 5);
    assert_int_equal(fixture_write(&f, "a", "next"), 0);
    assert_int_equal(vfs_read(f.vfs, r, 0, buf, sizeof(buf), &len, &f.err), 0);
    assert_int_equal(len, 4);
    assert_memory_equal(buf, "next", 4);
    assert_int_equal(fixture_close(&f, r), 0);
    fixture_done(&f);
}

static void test_two_writers_share(void **state)
{
    struct fixture f;
    struct vfs_file *a, *b;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_create(&f, "x", O_WRONLY, 0644, &a), 0);
    assert_int_equal(fixture_open(&f, "x", O_RDWR, &b), 0);
    assert_int_equal(vfs_write(f.vfs, a, 0, "aaaa", 4, &f.err), 0);
    assert_int_equal(vfs_write(f.vfs, b, 2, "bbbb", 4, &f.err), 0);
    assert_int_equal(fixture_close(&f, a), 0);
    assert_string_equal(fixture_get(&f, "x"), "aabbbb");
    assert_int_equal(vfs_write(f.vfs, b, 0, "c", 1, &f.err), 0);
    assert_int_equal(fixture_close(&f, b), 0);
    assert_string_equal(fixture_get(&f, "x"), "cabbbb");
    fixture_done(&f);
}

static void test_change_in_place(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    const struct store_metadata m[] = {{"color", "blue"}, {"mode", "33152"}};
    struct store_attrs attrs = {.content_type = "text/x-test", .metadata = m, .n_metadata = 2};
    fixture_init(&f, NULL);
    fixture_object_attrs(&f, "a", "0123456789", &attrs);
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    assert_int_equal(fixture_open(&f, "a", O_RDWR, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 4, "xx", 2, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_expect(&f, "head 1, get 1, put 1");
    assert_string_equal(fixture_get(&f, "a"), "0123xx6789");
    /* What others have said of it stays. */
    assert_string_equal(fixture_metadata(&f, "a", "color"), "blue");
    assert_string_equal(fixture_metadata(&f, "a", "mode"), "33152");
    fixture_done(&f);
}

static void test_append_and_truncate(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    fixture_object(&f, "log", "one\n");
    assert_int_equal(fixture_open(&f, "log", O_WRONLY | O_APPEND, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 4, "two\n", 4, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_string_equal(fixture_get(&f, "log"), "one\ntwo\n");

    struct vfs_changes c = {.set = VFS_SET_SIZE, .size = 2};
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "log"), NULL, &c, &e, &f.err), 0);
    assert_int_equal(e.st.st_size, 2);
    assert_string_equal(fixture_get(&f, "log"), "on");
    c.size = 0;
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "log"), NULL, &c, &e, &f.err), 0);
    assert_string_equal(fixture_get(&f, "log"), "");
    c.size = (uint64_t)60 << 40;
    assert_int_equal(vfs_setattr(f.vfs, fixture_ino(&f, "log"), NULL, &c, &e, &f.err), -EFBIG);
    assert_int_equal(fixture_open(&f, "log", O_WRONLY, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, (uint64_t)49 << 40, "x", 1, &f.err), -EFBIG);
    assert_int_equal(vfs_write(f.vfs, file, UINT64_MAX, "x", 1, &f.err), -EFBIG);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_done(&f);
}

static void test_failed_upload_is_told_and_old_content_stays(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "old");
    fail_once(&f, STORE_PUT, S3_ERROR_ACCESS_DENIED);
    assert_int_equal(fixture_write(&f, "a", "newer"), -EACCES);
    assert_int_equal(f.err.kind, S3_ERROR_ACCESS_DENIED);
    assert_string_equal(fixture_get(&f, "a"), "old");
    assert_int_equal(fixture_lookup(&f, "a", &e), 0);
    assert_int_equal(e.st.st_size, 3);
    assert_string_equal(fixture_read(&f, "a"), "old");

    /* A new file whose upload failed was never there. */
    fail_once(&f, STORE_PUT, S3_ERROR_SERVER);
    assert_int_equal(fixture_write(&f, "b", "x"), -EIO);
    assert_int_equal(fixture_lookup(&f, "b", &e), -ENOENT);
    assert_string_equal(fixture_ls(&f, "", true), "a=3 ");

    /* Told at fsync, a later close may still succeed. */
    assert_int_equal(fixture_create(&f, "c", O_WRONLY, 0644, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 0, "x", 1, &f.err), 0);
    fail_once(&f, STORE_PUT, S3_ERROR_SERVER);
    assert_int_equal(vfs_flush(f.vfs, file, &f.err), -EIO);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_string_equal(fixture_get(&f, "c"), "x");
    fixture_done(&f);
}

/* Released without a flush, as after a write through a mapping. */
static void test_release_commits(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_create(&f, "a", O_WRONLY, 0644, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 0, "x", 1, &f.err), 0);
    assert_int_equal(vfs_release(f.vfs, file, &f.err), 0);
    assert_string_equal(fixture_get(&f, "a"), "x");
    assert_int_equal(fixture_create(&f, "b", O_WRONLY, 0644, &file), 0);
    fail_once(&f, STORE_PUT, S3_ERROR_SERVER);
    assert_int_equal(vfs_release(f.vfs, file, &f.err), -EIO);
    assert_int_equal(fixture_lookup(&f, "b", NULL), -ENOENT);
    fixture_done(&f);
}

static void test_exclusive(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    (void)fixture_ls(&f, "", false);
    assert_int_equal(fixture_create(&f, "a", O_WRONLY | O_EXCL, 0644, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 0, "mine", 4, &f.err), 0);
    fixture_object(&f, "a", "theirs");
    assert_int_equal(fixture_close(&f, file), -EEXIST);
    assert_string_equal(fixture_get(&f, "a"), "theirs");
    clock_fake_advance(&f.clock, 61 * (uint64_t)NS_PER_S);
    assert_string_equal(fixture_read(&f, "a"), "theirs");
    fixture_done(&f);
}

static void test_lost_update(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "base");
    for (int truncate = 0; truncate < 2; truncate++) {
        assert_int_equal(fixture_open(&f, "a", O_WRONLY | (truncate ? O_TRUNC : 0), &file), 0);
        assert_int_equal(vfs_write(f.vfs, file, 0, "mine", 4, &f.err), 0);
        fixture_object(&f, "a", truncate ? "theirs 2" : "theirs 1");
        assert_int_equal(fixture_close(&f, file), -ESTALE);
        assert_string_equal(fixture_get(&f, "a"), truncate ? "theirs 2" : "theirs 1");
        /* The next attempt begins with what is there. */
        clock_fake_advance(&f.clock, 61 * (uint64_t)NS_PER_S);
        assert_string_equal(fixture_read(&f, "a"), truncate ? "theirs 2" : "theirs 1");
    }
    fixture_done(&f);
}

/* What the cache has missed before the open is no conflict. */
static void test_overwriting_the_newest(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "base");
    (void)fixture_ls(&f, "", false);
    clock_fake_advance(&f.clock, 30 * (uint64_t)NS_PER_S);
    fixture_object(&f, "a", "theirs, longer");
    assert_int_equal(fixture_write(&f, "a", "mine"), 0);
    assert_string_equal(fixture_get(&f, "a"), "mine");

    /* Opened to be changed, the kernel has to look again first. */
    fixture_object(&f, "a", "theirs");
    assert_int_equal(fixture_open(&f, "a", O_RDWR, &file), -ESTALE);
    assert_int_equal(fixture_open(&f, "a", O_RDWR, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 6, "!", 1, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_string_equal(fixture_get(&f, "a"), "theirs!");
    fixture_done(&f);
}

static void test_one_version_per_open(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_entry e;
    size_t len;
    char *big = malloc(3 << 20);
    CLEANUP_FREE char *guard = big;
    assert_non_null(guard);
    fixture_init(&f, NULL);
    assert_int_equal(store_memory_put_zeros(f.memory, "big", 20 << 20), 0);
    assert_int_equal(fixture_open(&f, "big", O_RDONLY, &file), 0);
    /* Replaced before the first byte is read: the new one is served. */
    assert_int_equal(store_memory_put_zeros(f.memory, "big", 30 << 20), 0);
    assert_int_equal(vfs_read(f.vfs, file, 0, big, 4096, &len, &f.err), 0);
    assert_int_equal(len, 4096);
    assert_int_equal(fixture_lookup(&f, "big", &e), 0);
    assert_int_equal(e.st.st_size, 30 << 20);
    /* After that: never a mix. */
    fixture_object(&f, "big", "small");
    assert_int_equal(vfs_read(f.vfs, file, 25 << 20, big, 4096, &len, &f.err), -ESTALE);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_string_equal(fixture_read(&f, "big"), "small");
    fixture_done(&f);
}

static void test_large_file(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_entry e;
    size_t piece = 1 << 20;
    CLEANUP_FREE char *buf = malloc(piece);
    assert_non_null(buf);
    fixture_init(&f, NULL);
    assert_int_equal(fixture_create(&f, "big", O_WRONLY, 0644, &file), 0);
    for (unsigned i = 0; i < 40; i++) {
        memset(buf, (int)i, piece);
        assert_int_equal(vfs_write(f.vfs, file, i * piece, buf, piece, &f.err), 0);
    }
    assert_int_equal(fixture_lookup(&f, "big", &e), 0);
    assert_int_equal(e.st.st_size, 40 << 20);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_int_equal(store_memory_upload_count(f.memory), 0);

    assert_int_equal(fixture_open(&f, "big", O_RDONLY, &file), 0);
    for (unsigned i = 0; i < 40; i++) {
        size_t len;
        assert_int_equal(vfs_read(f.vfs, file, i * piece + 5, buf, 1000, &len, &f.err), 0);
        assert_int_equal(len, 1000);
        assert_int_equal(buf[0], i);
        assert_int_equal(buf[999], i);
    }
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_done(&f);
}

static void test_unlink_while_open(void **state)
{
    struct fixture f;
    struct vfs_file *file, *other;
    char buf[8];
    size_t len;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_create(&f, "a", O_RDWR, 0644, &file), 0);
    assert_int_equal(vfs_write(f.vfs, file, 0, "temp", 4, &f.err), 0);
    assert_int_equal(fixture_unlink(&f, "a"), 0);
    assert_int_equal(fixture_lookup(&f, "a", NULL), -ENOENT);
    assert_int_equal(vfs_write(f.vfs, file, 4, "more", 4, &f.err), 0);
    assert_int_equal(vfs_read(f.vfs, file, 0, buf, 8, &len, &f.err), 0);
    assert_memory_equal(buf, "tempmore", 8);
    /* A successor of the name is another file. */
    assert_int_equal(fixture_create(&f, "a", O_WRONLY | O_EXCL, 0644, &other), 0);
    assert_int_equal(vfs_write(f.vfs, other, 0, "new", 3, &f.err), 0);
    assert_int_equal(fixture_close(&f, other), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_string_equal(fixture_get(&f, "a"), "new");
    fixture_done(&f);
}

static void test_sync_commits_all(void **state)
{
    struct fixture f;
    struct vfs_file *a, *b;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_create(&f, "a", O_WRONLY, 0644, &a), 0);
    assert_int_equal(fixture_create(&f, "b", O_WRONLY, 0644, &b), 0);
    assert_int_equal(vfs_write(f.vfs, b, 0, "x", 1, &f.err), 0);
    assert_int_equal(vfs_sync(f.vfs, &f.err), 0);
    assert_string_equal(fixture_keys(&f), "a b ");
    assert_int_equal(fixture_close(&f, a), 0);
    assert_int_equal(fixture_close(&f, b), 0);
    fixture_done(&f);
}

static void test_read_only(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    struct vfs_options o = fixture_options();
    o.read_only = true;
    fixture_init(&f, &o);
    fixture_object(&f, "a", "x");
    fixture_object(&f, "d/", "");
    assert_int_equal(fixture_write(&f, "a", "y"), -EROFS);
    assert_int_equal(fixture_create(&f, "b", O_WRONLY, 0644, &file), -EROFS);
    assert_int_equal(fixture_mkdir(&f, "e", 0755), -EROFS);
    assert_int_equal(fixture_unlink(&f, "a"), -EROFS);
    assert_int_equal(fixture_rmdir(&f, "d"), -EROFS);
    assert_int_equal(fixture_rename(&f, "a", "b", 0), -EROFS);
    assert_int_equal(fixture_chmod(&f, "a", 0600), -EROFS);
    assert_string_equal(fixture_read(&f, "a"), "x");
    fixture_done(&f);
}

static void test_names_that_cannot_be(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    char name[300], path[1200] = "";
    fixture_init(&f, NULL);
    memset(name, 'n', 255);
    name[255] = '\0';
    name[250] = '\0';
    size_t len = 0;
    for (int i = 0; i < 4; i++) {
        len += (size_t)snprintf(path + len, sizeof(path) - len, "%s%s", i ? "/" : "", name);
        assert_int_equal(fixture_mkdir(&f, path, 0755), 0);
    }
    snprintf(path + len, sizeof(path) - len, "/123456789012345678901234");
    assert_int_equal(fixture_create(&f, path, O_WRONLY, 0644, &file), -ENAMETOOLONG);
    assert_int_equal(fixture_mkdir(&f, path, 0755), -ENAMETOOLONG);
    assert_int_equal(fixture_create(&f, ".pailfs-root", O_WRONLY, 0644, &file), -EPERM);
    assert_int_equal(fixture_lookup(&f, ".pailfs-root", NULL), -ENOENT);
    /* Not UTF-8: stored under a key that is. */
    assert_int_equal(fixture_write(&f, "caf\xE9", "x"), 0);
    assert_string_equal(fixture_get(&f, "%@=caf%E9"), "x");
    assert_string_equal(fixture_read(&f, "caf\xE9"), "x");
    fixture_done(&f);
}

/* A refused condition is a conflict, whatever a look at the object says then: how a server wants
 * ETags written is the store's business. And the next file has its condition again. */
static void test_refused_condition(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "base");
    fixture_object(&f, "b", "base");
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    fail_once(&f, STORE_PUT, S3_ERROR_PRECONDITION);
    assert_int_equal(fixture_write(&f, "a", "mine"), -ESTALE);
    fixture_expect(&f, "put 1");
    assert_string_equal(fixture_get(&f, "a"), "base");
    assert_int_equal(fixture_lookup(&f, "b", NULL), 0);
    fixture_object(&f, "b", "theirs");
    assert_int_equal(fixture_write(&f, "b", "mine"), -ESTALE);
    assert_string_equal(fixture_get(&f, "b"), "theirs");
    fixture_done(&f);
}

/* The first write comes after the name went: nobody can read it, and it is stored nowhere. */
static void test_first_write_after_unlink(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "base");
    assert_int_equal(fixture_open(&f, "a", O_WRONLY, &file), 0);
    assert_int_equal(fixture_unlink(&f, "a"), 0);
    assert_int_equal(vfs_write(f.vfs, file, 1, "x", 1, &f.err), 0);
    assert_int_equal(vfs_fsync(f.vfs, file, &f.err), 0);
    assert_int_equal(fixture_close(&f, file), 0);
    assert_null(fixture_get(&f, "a"));
    fixture_done(&f);
}

/* Truncated at the open although nobody will write through the handle. */
static void test_truncated_for_reading(void **state)
{
    struct fixture f;
    struct vfs_file *file;
    char buf[8];
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "base");
    assert_int_equal(fixture_open(&f, "a", O_RDONLY | O_TRUNC, &file), 0);
    assert_string_equal(fixture_get(&f, "a"), "");
    size_t got = 1;
    assert_int_equal(vfs_read(f.vfs, file, 0, buf, sizeof(buf), &got, &f.err), 0);
    assert_int_equal(got, 0);
    assert_int_equal(fixture_close(&f, file), 0);
    fixture_done(&f);
}

/* Write-only handles go past the page cache unless somebody uses it; who comes later does use it,
 * and the writer knows. */
static void test_who_goes_past_the_page_cache(void **state)
{
    struct fixture f;
    struct vfs_file *writer, *second, *reader;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_create(&f, "a", O_WRONLY, 0644, &writer), 0);
    assert_true(vfs_file_is_direct(writer));
    assert_int_equal(fixture_open(&f, "a", O_WRONLY, &second), 0);
    assert_true(vfs_file_is_direct(second));
    assert_false(vfs_file_is_cached(f.vfs, writer));
    assert_int_equal(fixture_close(&f, second), 0);
    assert_int_equal(fixture_open(&f, "a", O_RDONLY, &reader), 0);
    assert_false(vfs_file_is_direct(reader));
    assert_true(vfs_file_is_cached(f.vfs, writer));
    assert_int_equal(fixture_open(&f, "a", O_WRONLY, &second), 0);
    assert_false(vfs_file_is_direct(second));
    assert_int_equal(fixture_close(&f, reader), 0);
    assert_true(vfs_file_is_cached(f.vfs, writer));
    assert_int_equal(fixture_close(&f, second), 0);
    assert_false(vfs_file_is_cached(f.vfs, writer));
    assert_int_equal(fixture_close(&f, writer), 0);
    assert_int_equal(fixture_open(&f, "a", O_RDWR, &second), 0);
    assert_false(vfs_file_is_direct(second));
    assert_int_equal(fixture_close(&f, second), 0);
    fixture_done(&f);
}

/* A reader that has closed left pages in the kernel's cache; a write past it does not drop them. */
static void test_pages_behind_a_writer(void **state)
{
    struct fixture f;
    struct vfs_file *writer, *reader;
    struct vfs_entry e;
    struct s3_error err;
    bool keep = true;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_write(&f, "a", "one"), 0);
    assert_int_equal(fixture_lookup(&f, "a", &e), 0);
    assert_int_equal(vfs_open(f.vfs, e.ino, O_RDONLY, &reader, &keep, &err), 0);
    assert_int_equal(fixture_close(&f, reader), 0);
    assert_int_equal(vfs_open(f.vfs, e.ino, O_RDONLY, &reader, &keep, &err), 0);
    assert_true(keep);
    assert_int_equal(fixture_close(&f, reader), 0);
    assert_int_equal(fixture_open(&f, "a", O_WRONLY, &writer), 0);
    assert_true(vfs_file_is_direct(writer));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vfs_open(f.vfs, e.ino, O_RDONLY, &reader, &keep, &err), 0);
        assert_false(keep);
        assert_int_equal(fixture_close(&f, reader), 0);
        assert_int_equal(vfs_write(f.vfs, writer, 0, "two", 3, &err), 0);
    }
    assert_int_equal(fixture_close(&f, writer), 0);
    assert_int_equal(vfs_open(f.vfs, e.ino, O_RDONLY, &reader, &keep, &err), 0);
    assert_false(keep);
    assert_int_equal(fixture_close(&f, reader), 0);
    fixture_done(&f);
}

static void test_set_ids_and_writes(void **state)
{
    struct fixture f;
    struct vfs_file *writer;
    struct vfs_entry e;
    fixture_init(&f, NULL);
    assert_int_equal(fixture_write(&f, "a", "x"), 0);
    assert_int_equal(fixture_open(&f, "a", O_WRONLY, &writer), 0);
    assert_int_equal(fixture_chmod(&f, "a", 06755), 0);
    vfs_drop_set_ids(f.vfs, writer);
    assert_int_equal(fixture_lookup(&f, "a", &e), 0);
    assert_int_equal(e.st.st_mode & 07777, 0755);
    /* Without the right to execute it for the group, it is a lock. */
    assert_int_equal(fixture_chmod(&f, "a", 06745), 0);
    vfs_drop_set_ids(f.vfs, writer);
    assert_int_equal(fixture_lookup(&f, "a", &e), 0);
    assert_int_equal(e.st.st_mode & 07777, 02745);
    assert_int_equal(fixture_close(&f, writer), 0);
    /* The kernel does it, on the way through its cache. */
    assert_int_equal(fixture_open(&f, "a", O_WRONLY, &writer), 0);
    assert_false(vfs_file_is_direct(writer));
    assert_int_equal(fixture_close(&f, writer), 0);
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_file_is_one_put),
        cmocka_unit_test(test_cold_read_is_one_get),
        cmocka_unit_test(test_empty_and_dup),
        cmocka_unit_test(test_everybody_sees_what_is_written),
        cmocka_unit_test(test_two_writers_share),
        cmocka_unit_test(test_change_in_place),
        cmocka_unit_test(test_append_and_truncate),
        cmocka_unit_test(test_failed_upload_is_told_and_old_content_stays),
        cmocka_unit_test(test_release_commits),
        cmocka_unit_test(test_exclusive),
        cmocka_unit_test(test_lost_update),
        cmocka_unit_test(test_overwriting_the_newest),
        cmocka_unit_test(test_one_version_per_open),
        cmocka_unit_test(test_large_file),
        cmocka_unit_test(test_unlink_while_open),
        cmocka_unit_test(test_sync_commits_all),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_names_that_cannot_be),
        cmocka_unit_test(test_refused_condition),
        cmocka_unit_test(test_first_write_after_unlink),
        cmocka_unit_test(test_truncated_for_reading),
        cmocka_unit_test(test_who_goes_past_the_page_cache),
        cmocka_unit_test(test_pages_behind_a_writer),
        cmocka_unit_test(test_set_ids_and_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
