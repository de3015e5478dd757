/* SPDX-License-Identifier: Apache-2.0 */
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
#include <sys/stat.h>
#include <unistd.h>

#include "alloc_fail.h"
#include "base/limits.h"
#include "meta/inode.h"

static char path[64], folder[40];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/test_numbers.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/inode-numbers", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder); /* nothing else is left in it */
}

static void test_either_way(void **state)
{
    struct inode_numbers t = {0};
    assert_int_equal(inode_numbers_get(&t, 1), 0);
    assert_false(inode_numbers_is_taken(&t, 100, 1));
    inode_numbers_put(&t, 1, 100);
    assert_int_equal(inode_numbers_get(&t, 1), 100);
    assert_true(inode_numbers_is_taken(&t, 100, 2));
    assert_false(inode_numbers_is_taken(&t, 100, 1));
    /* One number for a key, one key for a number. */
    inode_numbers_put(&t, 1, 101);
    assert_false(inode_numbers_is_taken(&t, 100, 2));
    inode_numbers_put(&t, 2, 101);
    assert_int_equal(inode_numbers_get(&t, 1), 0);
    assert_int_equal(inode_numbers_get(&t, 2), 101);
    inode_numbers_remove(&t, 1);
    inode_numbers_remove_ino(&t, 101);
    inode_numbers_remove_ino(&t, 101);
    assert_int_equal(inode_numbers_get(&t, 2), 0);
    assert_int_equal(t.n, 0);
    inode_numbers_done(&t);
}

/* Against plain arrays. */
static void test_many(void **state)
{
    enum { KEYS = 500, STEPS = 20000 };
    static uint64_t want[KEYS + 1];
    struct inode_numbers t = {0};
    unsigned seed = 7;
    size_t n = 0;
    for (int step = 0; step < STEPS; step++) {
        uint64_t key = 1 + (uint64_t)rand_r(&seed) % KEYS, ino = 1 + (uint64_t)rand_r(&seed) % KEYS;
        if (rand_r(&seed) % 3) {
            for (size_t k = 1; k <= KEYS; k++)
                want[k] = want[k] == ino ? 0 : want[k];
            want[key] = ino;
            inode_numbers_put(&t, key, ino);
        } else {
            want[key] = 0;
            inode_numbers_remove(&t, key);
        }
    }
    for (size_t k = 1; k <= KEYS; k++) {
        assert_int_equal(inode_numbers_get(&t, k), want[k]);
        n += want[k] != 0;
    }
    assert_int_equal(t.n, n);
    assert_true(n > KEYS / 4);

    struct inode_numbers again = {0};
    assert_int_equal(inode_numbers_save(&t, path), 0);
    assert_false(t.changed);
    assert_int_equal(inode_numbers_load(&again, path), 0);
    for (size_t k = 1; k <= KEYS; k++)
        assert_int_equal(inode_numbers_get(&again, k), want[k]);
    assert_false(again.changed);
    inode_numbers_done(&t);
    inode_numbers_done(&again);
}

static void test_damage(void **state)
{
    struct inode_numbers t = {0}, again = {0};
    unsigned char data[8 + 16 + 4 + 1] = {0};
    assert_int_equal(inode_numbers_load(&t, path), 0); /* there is none */
    inode_numbers_put(&t, 5, 50);
    assert_int_equal(inode_numbers_save(&t, path), 0);
    int fd = open(path, O_RDWR);
    assert_int_equal(read(fd, data, sizeof(data)), sizeof(data) - 1);
    for (size_t at = 0; at < sizeof(data) - 1; at++) {
        data[at] ^= 4;
        assert_int_equal(pwrite(fd, data, sizeof(data) - 1, 0), sizeof(data) - 1);
        assert_int_equal(inode_numbers_load(&again, path), -EBADMSG);
        data[at] ^= 4;
    }
    for (size_t len = 0; len < sizeof(data) + 1; len++) {
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, data, sizeof(data) - 1, 0), sizeof(data) - 1);
        assert_int_equal(ftruncate(fd, (off_t)len), 0);
        assert_int_equal(inode_numbers_load(&again, path), len == sizeof(data) - 1 ? 0 : -EBADMSG);
    }
    assert_int_equal(inode_numbers_get(&again, 5), 50);
    close(fd);
    inode_numbers_done(&t);
    inode_numbers_done(&again);
}

static void test_no_place(void **state)
{
    struct inode_numbers t = {0};
    char nowhere[80];
    snprintf(nowhere, sizeof(nowhere), "%s/no/where", folder);
    inode_numbers_put(&t, 5, 50);
    assert_int_equal(inode_numbers_save(&t, nowhere), -ENOENT);
    assert_true(t.changed);
    /* A directory is in its place: the temporary file goes. */
    assert_int_equal(inode_numbers_save(&t, folder), -EISDIR);
    snprintf(nowhere, sizeof(nowhere), "%s.new", folder);
    assert_int_equal(access(nowhere, F_OK), -1);
    assert_int_equal(inode_numbers_load(&t, folder), -EBADMSG);
    inode_numbers_done(&t);
}

static void test_bounds(void **state)
{
    struct inode_numbers t = {0};
    for (long n = 0; alloc_fail_begin(n), inode_numbers_put(&t, 5, 50), alloc_fail_end(); n++)
        assert_int_equal(inode_numbers_get(&t, 5), 0);
    assert_int_equal(inode_numbers_get(&t, 5), 50);
    inode_numbers_remove(&t, 5);
    for (uint64_t k = 1; k <= LIMIT_INODE_NUMBERS + 10; k++)
        inode_numbers_put(&t, k, k + 7);
    assert_int_equal(t.n, LIMIT_INODE_NUMBERS);
    assert_int_equal(inode_numbers_get(&t, LIMIT_INODE_NUMBERS), LIMIT_INODE_NUMBERS + 7);
    assert_int_equal(inode_numbers_get(&t, LIMIT_INODE_NUMBERS + 1), 0);
    inode_numbers_done(&t);
}

static struct inode *get(struct inode_table *t, struct inode *parent, const char *name,
                         enum node_kind kind)
{
    struct inode *i;
    assert_int_equal(inode_get(t, parent, name, kind, &i), 0);
    return i;
}

/* What the next mount shows. */
static void next_mount(struct inode_table *t)
{
    assert_int_equal(inode_numbers_save(&t->numbers, path), 0);
    inode_table_done(t);
    assert_int_equal(inode_table_init(t), 0);
    assert_int_equal(inode_numbers_load(&t->numbers, path), 0);
}

static void test_renamed_over_mounts(void **state)
{
    struct inode_table t;
    assert_int_equal(inode_table_init(&t), 0);
    struct inode *log = get(&t, t.root, "log", NODE_FILE);
    uint64_t first = log->ino;
    assert_int_equal(inode_move(&t, log, t.root, "log.1"), 0);
    struct inode *fresh = get(&t, t.root, "log", NODE_FILE);
    uint64_t second = fresh->ino;
    assert_int_not_equal(first, second);

    next_mount(&t);
    /* Whoever comes first. */
    assert_int_equal(inode_number(&t, t.root, "log", 3, NODE_FILE), second);
    assert_int_equal(get(&t, t.root, "log", NODE_FILE)->ino, second);
    log = get(&t, t.root, "log.1", NODE_FILE);
    assert_int_equal(log->ino, first);
    /* Back under its old name, where the other one has gone. */
    fresh = inode_child(&t, t.root, "log", NODE_FILE);
    inode_unlink(&t, fresh);
    assert_int_equal(inode_move(&t, log, t.root, "log"), 0);
    assert_int_equal(t.numbers.n, 0);
    next_mount(&t);
    assert_int_equal(get(&t, t.root, "log", NODE_FILE)->ino, first);
    inode_table_done(&t);
}

static void test_renamed_directory(void **state)
{
    struct inode_table t;
    assert_int_equal(inode_table_init(&t), 0);
    struct inode *d = get(&t, t.root, "d", NODE_DIR), *sub = get(&t, d, "sub", NODE_DIR);
    struct inode *f = get(&t, sub, "f", NODE_FILE);
    uint64_t numbers[] = {d->ino, sub->ino, f->ino};
    assert_int_equal(inode_move(&t, d, t.root, "e"), 0);
    /* Below it, too, keys are what they are now. */
    struct inode *young = get(&t, sub, "young", NODE_FILE);
    uint64_t of_young = young->ino;

    next_mount(&t);
    d = get(&t, t.root, "e", NODE_DIR);
    sub = get(&t, d, "sub", NODE_DIR);
    f = get(&t, sub, "f", NODE_FILE);
    assert_int_equal(d->ino, numbers[0]);
    assert_int_equal(sub->ino, numbers[1]);
    assert_int_equal(f->ino, numbers[2]);
    assert_int_equal(get(&t, sub, "young", NODE_FILE)->ino, of_young);
    /* What is removed leaves nothing. */
    inode_unlink(&t, f);
    assert_int_equal(t.numbers.n, 2);
    struct inode *anew = get(&t, t.root, "d", NODE_DIR);
    assert_int_not_equal(anew->ino, numbers[0]);
    inode_table_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_either_way),
        cmocka_unit_test_setup_teardown(test_many, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damage, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_no_place, make_folder, remove_folder),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test_setup_teardown(test_renamed_over_mounts, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_renamed_directory, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
