/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/limits.h"
#include "mount-helper/helper.h"

static struct mount_request request;
static struct s3_error err;

/* Parses an argument vector that ends with NULL; argv[0] is added. */
static int parse(const char *const *args)
{
    static char *argv[200];
    int argc = 0;

    mount_request_done(&request);
    memset(&err, 0, sizeof(err));
    argv[argc++] = (char *)"mount.pailfs";
    while (*args)
        argv[argc++] = (char *)*args++;
    argv[argc] = NULL;
    return mount_request_parse(&request, argc, argv, &err);
}
#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static int release(void **state)
{
    mount_request_done(&request);
    return 0;
}

static void accepted(int r, const char *options)
{
    if (r < 0)
        print_error("refused: %s\n", err.message);
    assert_int_equal(r, 0);
    assert_string_equal(request.source, "bucket");
    assert_string_equal(request.mountpoint, "/mnt");
    assert_string_equal(strbuf_str(&request.options), options);
}

static void refused(int r, const char *word)
{
    assert_int_equal(r, -EINVAL);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
    if (!strstr(err.message, word))
        print_error("no '%s' in: %s\n", word, err.message);
    assert_non_null(strstr(err.message, word));
}

/* mount(8) puts SPEC and DIR first, people and scripts put them last: both are the contract. */
static void test_argument_order(void **state)
{
    accepted(PARSE("bucket", "/mnt"), "");
    accepted(PARSE("bucket", "/mnt", "-o", "rw,region=eu-west-1"), "rw,region=eu-west-1");
    accepted(PARSE("-o", "ro", "bucket", "/mnt"), "ro");
    accepted(PARSE("bucket", "-oro", "/mnt"), "ro");
    accepted(PARSE("-o", "ro", "--", "bucket", "/mnt"), "ro");
    accepted(PARSE("-o", "ro", "bucket", "--", "/mnt"), "ro");
    /* An environment in which getopt(3) does not permute. */
    assert_int_equal(setenv("POSIXLY_CORRECT", "1", 1), 0);
    accepted(PARSE("bucket", "/mnt", "-o", "ro"), "ro");
    unsetenv("POSIXLY_CORRECT");
}

static void test_flags(void **state)
{
    accepted(PARSE("bucket", "/mnt"), "");
    assert_false(request.sloppy || request.fake || request.verbose);
    assert_null(request.namespace_path);
    accepted(PARSE("bucket", "/mnt", "-sfnv"), "");
    assert_true(request.sloppy && request.fake && request.verbose);
    accepted(PARSE("bucket", "/mnt", "-v", "-N", "/proc/1/ns/mnt", "-n"), "");
    assert_string_equal(request.namespace_path, "/proc/1/ns/mnt");
    assert_true(request.verbose);
    assert_false(request.fake);
}

static void test_type(void **state)
{
    accepted(PARSE("bucket", "/mnt", "-t", "pailfs"), "");
    accepted(PARSE("bucket", "/mnt", "-t", "fuse.pailfs"), "");
    refused(PARSE("bucket", "/mnt", "-t", "nfs"), "nfs");
    refused(PARSE("bucket", "/mnt", "-t", "fuse.s3fs"), "fuse.s3fs");
}

static void test_option_lists(void **state)
{
    /* What mount(8) and systemd add goes through: the driver's table knows these words. */
    accepted(PARSE("bucket", "/mnt", "-o", "rw,_netdev,nofail,x-systemd.automount"),
             "rw,_netdev,nofail,x-systemd.automount");
    /* Several lists are one, in order: the last of two equal names wins in the driver. */
    accepted(PARSE("bucket", "/mnt", "-o", "ro,uid=1", "-o", "uid=2"), "ro,uid=1,uid=2");
    accepted(PARSE("bucket", "/mnt", "-o", ",,ro,,", "-o", ""), "ro");
    /* A comma within a value stays one value. */
    accepted(PARSE("bucket", "/mnt", "-o", "passwd_file=/a\\,b,ro"), "passwd_file=/a\\,b,ro");
    /* A backslash at the very end protects nothing and is not read past. */
    accepted(PARSE("bucket", "/mnt", "-o", "log_file=/x\\"), "log_file=/x\\");
    /* Without -s nothing is dropped: the driver says what is wrong with it. */
    accepted(PARSE("bucket", "/mnt", "-o", "nosuchoption=1,ro"), "nosuchoption=1,ro");
}

static void test_sloppy_drops_what_is_unknown(void **state)
{
    accepted(PARSE("bucket", "/mnt", "-s", "-o", "nosuchoption,ro,other=3,uid=7"), "ro,uid=7");
    /* Also when -s stands behind the list. */
    accepted(PARSE("bucket", "/mnt", "-o", "nosuchoption,ro", "-s"), "ro");
    accepted(PARSE("bucket", "/mnt", "-s", "-o", "nosuchoption"), "");
    accepted(PARSE("bucket", "/mnt", "-s", "-o", "nosuch=a\\,ro,nosuid"), "nosuid");
    /* Known by another name, by a wildcard, or as a long option. */
    accepted(PARSE("bucket", "/mnt", "-s", "-o", "use-cache=/c,x-gvfs-show,--ro"),
             "use-cache=/c,x-gvfs-show,--ro");
    /* A wrong value and an option that is refused stay: mounting without them could harm. */
    accepted(PARSE("bucket", "/mnt", "-s", "-o", "uid=nobody-of-that-name,use_sse"),
             "uid=nobody-of-that-name,use_sse");
}

static void test_errors_name_the_cause(void **state)
{
    refused(PARSE("bucket"), "DIR");
    refused(parse((const char *const[]){NULL}), "usage");
    refused(PARSE("bucket", "/mnt", "surplus"), "3 operands");
    refused(PARSE("bucket", "/mnt", "-o"), "-o needs a value");
    refused(PARSE("bucket", "/mnt", "-x"), "-x");
    refused(PARSE("bucket", "/mnt", "-N"), "-N needs a value");
}

static void test_caps(void **state)
{
    static char list[LIMIT_OPTION_VALUE + 64];
    const char *many[140] = {"bucket", "/mnt"};

    memset(list, 'x', sizeof(list) - 1);
    memcpy(list, "log_file=/", 10);
    refused(PARSE("bucket", "/mnt", "-o", list), "longer than");
    for (size_t i = 2; i + 1 < ARRAY_SIZE(many); i += 2) {
        many[i] = "-o";
        many[i + 1] = "ro";
    }
    many[ARRAY_SIZE(many) - 2] = NULL;
    refused(parse(many), "-o lists");
}

static void make_program(const char *path, mode_t mode)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void test_driver_is_found_beside(void **state)
{
    char dir[] = "/tmp/pailfs-test-helper-XXXXXX";
    char sbin[64], path[128], buf[PATH_MAX];
    const char *found;

    assert_non_null(mkdtemp(dir));
    snprintf(sbin, sizeof(sbin), "%s/sbin", dir);
    assert_int_equal(mkdir(sbin, 0700), 0);
    snprintf(path, sizeof(path), "%s/bin", dir);
    assert_int_equal(mkdir(path, 0700), 0);

    found = mount_find_driver(sbin, buf, sizeof(buf));
    assert_true(!found || strncmp(found, dir, strlen(dir)) != 0);

    snprintf(path, sizeof(path), "%s/bin/pailfs", dir);
    make_program(path, 0600);
    found = mount_find_driver(sbin, buf, sizeof(buf));
    assert_true(!found || strncmp(found, dir, strlen(dir)) != 0);
    assert_int_equal(chmod(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/../bin/pailfs", sbin);
    found = mount_find_driver(sbin, buf, sizeof(buf));
    assert_non_null(found);
    assert_string_equal(found, path);

    /* One in the same folder comes first; a buffer that is too short never makes half a path. */
    snprintf(path, sizeof(path), "%s/pailfs", sbin);
    make_program(path, 0700);
    assert_string_equal(mount_find_driver(sbin, buf, sizeof(buf)), path);
    found = mount_find_driver(sbin, buf, (unsigned)strlen(path));
    assert_true(!found || strncmp(found, dir, strlen(dir)) != 0);

    unlink(path);
    snprintf(path, sizeof(path), "%s/bin/pailfs", dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/bin", dir);
    rmdir(path);
    rmdir(sbin);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_argument_order),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_type),
        cmocka_unit_test(test_option_lists),
        cmocka_unit_test(test_sloppy_drops_what_is_unknown),
        cmocka_unit_test(test_errors_name_the_cause),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_driver_is_found_beside),
    };
    return cmocka_run_group_tests_name("mount_helper", tests, NULL, release);
}
