/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/attr.h"

struct outer {
    int first;
    struct {
        int x;
    } member;
};

static void test_min_max(void **state)
{
    int calls = 0;
    assert_int_equal(MIN(calls++, 5), 0);
    assert_int_equal(calls, 1);
    assert_int_equal(MAX(3, MAX(MIN(9, 7), 2)), 7);
    assert_int_equal(CONTAINER_OF(&((struct outer *)4096)->member, struct outer, member), 4096);
    int three[3];
    assert_int_equal(ARRAY_SIZE(three), 3);
}

static int open_fd_at_scope_end(void)
{
    CLEANUP_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void test_fd_is_closed(void **state)
{
    int fd = open_fd_at_scope_end();
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
}

static void test_take_keeps(void **state)
{
    int kept;
    char *text;
    {
        CLEANUP_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CLEANUP_FREE char *p = malloc(2);
        assert_non_null(p);
        p[0] = 'x';
        kept = TAKE_FD(fd);
        text = TAKE_PTR(p);
        assert_int_equal(fd, -1);
        assert_null(p);
    }
    assert_int_not_equal(fcntl(kept, F_GETFD), -1);
    assert_int_equal(text[0], 'x');
    close(kept);
    free(text);
}

static int fail_with_close(void)
{
    CLEANUP_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (close(12345) < 0)
        return -errno;
    return fd;
}

static void test_errno_of_a_failure_survives(void **state)
{
    assert_int_equal(fail_with_close(), -EBADF);
}

static void test_scope_lock(void **state)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    for (int i = 0; i < 2; i++) {
        SCOPE_LOCK(&lock);
        assert_int_equal(pthread_mutex_trylock(&lock), EBUSY);
        if (i == 0)
            continue;
    }
    assert_int_equal(pthread_mutex_trylock(&lock), 0);
    pthread_mutex_unlock(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_min_max),    cmocka_unit_test(test_fd_is_closed),
        cmocka_unit_test(test_take_keeps), cmocka_unit_test(test_errno_of_a_failure_survives),
        cmocka_unit_test(test_scope_lock),
    };
    return cmocka_run_group_tests_name("cleanup", tests, NULL, NULL);
}
