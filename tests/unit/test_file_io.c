/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file_io.h"

static void test_places(void **state)
{
    CLEANUP_FD int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    char buf[16] = "";
    size_t n;
    assert_true(fd >= 0);
    assert_int_equal(file_write(fd, "hello", 5), 0);
    assert_int_equal(file_pwrite(fd, "world", 5, 6), 0);
    assert_int_equal(file_pread(fd, buf, 11, 0, &n), 0);
    assert_int_equal(n, 11);
    assert_memory_equal(buf, "hello\0world", 11);
    assert_int_equal(file_pread(fd, buf, sizeof(buf), 8, &n), 0); /* the end */
    assert_int_equal(n, 3);
    assert_int_equal(file_pread(fd, buf, sizeof(buf), 11, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(file_read(fd, buf, 5, &n), 0);
    assert_int_equal(n, 5);
    assert_int_equal(file_write(fd, "", 0), 0);
}

static void *write_pieces(void *ctx)
{
    int fd = *(int *)ctx;
    for (const char *p = "in pieces"; *p; p++)
        (void)!write(fd, p, 1);
    close(fd);
    return NULL;
}

static void test_short_counts(void **state)
{
    int pipes[2];
    pthread_t thread;
    char buf[16] = "";
    size_t n;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(pthread_create(&thread, NULL, write_pieces, &pipes[1]), 0);
    assert_int_equal(file_read(pipes[0], buf, sizeof(buf), &n), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(n, 9);
    assert_string_equal(buf, "in pieces");
    close(pipes[0]);
}

static void test_failures(void **state)
{
    CLEANUP_FD int full = open("/dev/full", O_RDWR);
    char buf[4];
    size_t n = 7;
    assert_true(full >= 0);
    assert_int_equal(file_write(full, "x", 1), -ENOSPC);
    assert_int_equal(file_pwrite(full, "x", 1, 0), -ENOSPC);
    assert_int_equal(file_read(-1, buf, sizeof(buf), &n), -EBADF);
    assert_int_equal(n, 0);
    assert_int_equal(file_pread(-1, buf, sizeof(buf), 0, &n), -EBADF);
    assert_int_equal(file_write(-1, buf, 1), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_short_counts),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
