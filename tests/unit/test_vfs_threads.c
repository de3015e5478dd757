/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on one filesystem over a store that answers from threads of its own: every file ends
 * with the content of its last writer, names and inodes stay consistent. Run it under TSan. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_memory.h"
#include "vfs_fixture.h"

enum { THREADS = 8, ROUNDS = 60, FILES = 6 };

struct worker {
    struct fixture *f;
    unsigned number;
    unsigned seed;
    pthread_t thread;
    atomic_int failures;
    char what[128];
};

static void failed(struct worker *w, const char *op, int r)
{
    if (atomic_fetch_add(&w->failures, 1) == 0)
        snprintf(w->what, sizeof(w->what), "%s: %s", op, strerror(-r));
}

static bool ignore_entry(void *ctx, const char *name, const struct vfs_entry *e, uint64_t next)
{
    return true;
}

/* Operations on names that all threads use: any of the expected errnos may come. */
static void shared_names(struct worker *w)
{
    struct vfs *v = w->f->vfs;
    struct s3_error err = {0};
    struct vfs_entry e;
    struct vfs_dir *dir;
    char name[32], other[32];
    snprintf(name, sizeof(name), "s%d", rand_r(&w->seed) % FILES);
    snprintf(other, sizeof(other), "s%d", rand_r(&w->seed) % FILES);
    char what[96];
    int r = 0, op = rand_r(&w->seed) % 6;
    switch (op) {
    case 0:
        r = vfs_lookup(v, VFS_ROOT, name, &e, &err);
        if (r == 0)
            vfs_forget(v, e.ino, 1);
        break;
    case 1:
        r = vfs_unlink(v, VFS_ROOT, name, &err);
        break;
    case 2:
        r = vfs_rename(v, VFS_ROOT, name, VFS_ROOT, other,
                       rand_r(&w->seed) % 2 ? RENAME_NOREPLACE : 0, &err);
        break;
    case 3:
        r = vfs_opendir(v, VFS_ROOT, &dir);
        if (r == 0) {
            r = vfs_readdir(v, dir, 0, false, ignore_entry, w, &err);
            vfs_releasedir(v, dir);
        }
        break;
    case 4: {
        struct vfs_file *file;
        r = vfs_create(v, &fixture_caller, VFS_ROOT, name, 0644, O_WRONLY | O_CREAT, &e, &file,
                       &err);
        if (r < 0)
            break;
        r = vfs_write(v, file, 0, name, strlen(name), &err);
        int closed = vfs_flush(v, file, &err);
        r = r < 0 ? r : closed;
        (void)vfs_release(v, file, &err);
        vfs_forget(v, e.ino, 1);
        break;
    }
    default: {
        struct vfs_changes c = {.set = VFS_SET_MODE, .mode = 0600 + rand_r(&w->seed) % 64};
        r = vfs_lookup(v, VFS_ROOT, name, &e, &err);
        if (r == 0) {
            r = vfs_setattr(v, e.ino, NULL, &c, &(struct vfs_entry){0}, &err);
            vfs_forget(v, e.ino, 1);
        }
        break;
    }
    }
    /* The kernel serialises more than this test does: an object may be gone or another between two
     * requests of one operation. */
    if (r < 0 && r != -ENOENT && r != -EEXIST && r != -ESTALE)
        snprintf(what, sizeof(what), "operation %d on a shared name, %s, %.48s", op,
                 s3_error_kind_name(err.kind), err.message),
            failed(w, what, r);
}

/* A file of the thread's own must always be what was written last. */
static void own_file(struct worker *w, unsigned round)
{
    struct vfs *v = w->f->vfs;
    struct s3_error err = {0};
    struct vfs_entry e;
    struct vfs_file *file;
    char name[32], text[64], back[64];
    bool keep;
    size_t len;
    snprintf(name, sizeof(name), "own-%u", w->number);
    snprintf(text, sizeof(text), "thread %u round %u", w->number, round);
    int r = vfs_lookup(v, VFS_ROOT, name, &e, &err);
    if (r == -ENOENT)
        r = vfs_create(v, &fixture_caller, VFS_ROOT, name, 0644, O_RDWR | O_CREAT, &e, &file, &err);
    else if (r == 0)
        r = vfs_open(v, e.ino, O_RDWR | O_TRUNC, &file, &keep, &err);
    if (r < 0) {
        failed(w, "open", r);
        return;
    }
    if ((r = vfs_write(v, file, 0, text, strlen(text), &err)) < 0)
        failed(w, "write", r);
    if ((r = vfs_flush(v, file, &err)) < 0)
        failed(w, "flush", r);
    if ((r = vfs_read(v, file, 0, back, sizeof(back), &len, &err)) < 0)
        failed(w, "read", r);
    else if (len != strlen(text) || memcmp(back, text, len) != 0)
        failed(w, "wrong content", -EIO);
    if ((r = vfs_release(v, file, &err)) < 0)
        failed(w, "release", r);
    vfs_forget(v, e.ino, 1);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    for (unsigned round = 0; round < ROUNDS; round++) {
        own_file(w, round);
        for (int i = 0; i < 3; i++)
            shared_names(w);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    static struct fixture f;
    struct worker workers[THREADS] = {0};
    char name[32], text[64];
    setenv("FIXTURE_THREADS", "3", 1);
    fixture_init(&f, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].f = &f;
        workers[i].number = i;
        workers[i].seed = 7 + i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        if (atomic_load(&workers[i].failures))
            fail_msg("thread %u: %d failures, first %s", i, atomic_load(&workers[i].failures),
                     workers[i].what);
        snprintf(name, sizeof(name), "own-%u", i);
        snprintf(text, sizeof(text), "thread %u round %u", i, ROUNDS - 1);
        assert_string_equal(fixture_get(&f, name), text);
    }
    /* What the cache shows is what the store has. */
    char cached[4096];
    snprintf(cached, sizeof(cached), "%s", fixture_ls(&f, "", false));
    fixture_remount(&f, NULL);
    unsigned n = 0;
    (void)fixture_ls(&f, "", false);
    for (char *at = f.text; (at = strchr(at, ' ')); at++)
        n++;
    for (char *at = cached; (at = strchr(at, ' ')); at++)
        n--;
    assert_int_equal(n, 0);
    fixture_done(&f);
}

/* ---- a directory that moves under its writers ---- */

enum { MOVES = 12, WRITES = 25 };

struct mover {
    struct fixture *f;
    uint64_t dir;
    unsigned number;
    pthread_t thread;
    int result;
    char last[32];
};

/* Writes through one handle, and makes new files, while the directory is renamed again and again.
 */
static void *write_below(void *arg)
{
    struct mover *m = arg;
    struct vfs *v = m->f->vfs;
    struct s3_error err = {0};
    struct vfs_entry e;
    struct vfs_file *file, *fresh;
    char name[32];
    snprintf(name, sizeof(name), "w%u", m->number);
    int r = vfs_create(v, &fixture_caller, m->dir, name, 0644, O_WRONLY | O_CREAT | O_EXCL, &e,
                       &file, &err);
    bool created = r == 0;
    for (unsigned i = 0; i < WRITES && r == 0; i++) {
        snprintf(m->last, sizeof(m->last), "writer %u, %04u", m->number, i);
        r = vfs_write(v, file, 0, m->last, strlen(m->last), &err);
        if (r == 0)
            r = vfs_flush(v, file, &err);
        if (r < 0 || i % 5)
            continue;
        snprintf(name, sizeof(name), "n%u-%u", m->number, i);
        r = vfs_create(v, &fixture_caller, m->dir, name, 0644, O_WRONLY | O_CREAT, &e, &fresh,
                       &err);
        if (r == 0)
            r = vfs_release(v, fresh, &err);
    }
    if (created)
        (void)vfs_release(v, file, &err);
    m->result = r;
    return NULL;
}

static void test_directory_moves_under_its_writers(void **state)
{
    static struct fixture f;
    struct mover movers[4] = {0};
    struct s3_error err = {0};
    char key[64];
    fixture_init(&f, NULL);
    assert_int_equal(fixture_mkdir(&f, "m0", 0755), 0);
    assert_int_equal(fixture_mkdir(&f, "m0/sub", 0755), 0);
    assert_int_equal(fixture_write(&f, "m0/sub/rest", "rest"), 0);
    uint64_t dir = fixture_ino(&f, "m0");
    for (unsigned i = 0; i < 4; i++) {
        movers[i] = (struct mover){.f = &f, .dir = dir, .number = i};
        assert_int_equal(pthread_create(&movers[i].thread, NULL, write_below, &movers[i]), 0);
    }
    for (unsigned i = 0; i < MOVES; i++) {
        const char *from = i % 2 ? "m1" : "m0", *to = i % 2 ? "m0" : "m1";
        int r = vfs_rename(f.vfs, VFS_ROOT, from, VFS_ROOT, to, 0, &err);
        if (r < 0)
            fail_msg("rename %u: %s, %s", i, strerror(-r), err.message);
    }
    for (unsigned i = 0; i < 4; i++)
        pthread_join(movers[i].thread, NULL);
    /* All is under the name that it had last, nothing under the other. */
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(movers[i].result, 0);
        snprintf(key, sizeof(key), "m0/w%u", i);
        assert_string_equal(fixture_get(&f, key), movers[i].last);
        for (unsigned k = 0; k < WRITES; k += 5) {
            snprintf(key, sizeof(key), "m0/n%u-%u", i, k);
            assert_non_null(fixture_get(&f, key));
        }
    }
    assert_string_equal(fixture_get(&f, "m0/sub/rest"), "rest");
    assert_int_equal(store_memory_object_count(f.memory), 3 + 4 * (1 + WRITES / 5));
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_directory_moves_under_its_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
