/* SPDX-License-Identifier: Apache-2.0 */
/* Slots, locks, and folders that are refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "meta/state_dir.h"
#include "tempfolder.h"

static int setup(void **state)
{
    *state = tempfolder_make();
    return 0;
}

static int teardown(void **state)
{
    tempfolder_remove(*state);
    return 0;
}

static struct state_dir_options slots(const char *cache)
{
    return (struct state_dir_options){
        .cache_dir = cache, .endpoint = "http://h", .bucket = "my-bucket", .prefix = ""};
}

static struct state_dir *must_open(const struct state_dir_options *o)
{
    struct state_dir *d = NULL;
    struct s3_error err = {0};
    int r = state_dir_open(o, &d, &err);

    if (r < 0)
        fail_msg("open: %d %s", r, err.message);
    return d;
}

static const char *slot_of(const struct state_dir *d)
{
    const char *name = strrchr(d->path, '/') + 1;
    const char *dot = strchr(name, '.');

    assert_int_equal(strncmp(name, "my-bucket-", 10), 0);
    return dot ? dot : "";
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode;
}

static void folders_are_private(void **state)
{
    struct state_dir_options o = slots(*state);
    struct state_dir *d = must_open(&o);

    assert_int_equal(mode_of(d->path), S_IFDIR | 0700);
    assert_int_equal(mode_of(d->dirty), S_IFDIR | 0700);
    assert_int_equal(mode_of(d->lost), S_IFDIR | 0700);
    assert_int_equal(mode_of(d->blocks), S_IFDIR | 0700);
    state_dir_close(d, false);
}

static void mounts_take_slots(void **state)
{
    struct state_dir_options o = slots(*state), other = slots(*state);
    struct state_dir *one = must_open(&o), *two = must_open(&o), *three = must_open(&o), *else_;

    assert_string_equal(slot_of(one), "");
    assert_string_equal(slot_of(two), ".2");
    assert_string_equal(slot_of(three), ".3");
    other.prefix = "p/";
    else_ = must_open(&other);
    assert_string_equal(slot_of(else_), "");
    assert_string_not_equal(else_->path, one->path);
    state_dir_close(else_, false);
    state_dir_close(two, false);
    two = must_open(&o);
    assert_string_equal(slot_of(two), ".2");
    state_dir_close(one, false);
    state_dir_close(two, false);
    state_dir_close(three, false);
}

/* What a crash left in slot 2 is adopted first. */
static void unfinished_work_goes_first(void **state)
{
    struct state_dir_options o = slots(*state);
    struct state_dir *one = must_open(&o), *two = must_open(&o);

    state_dir_close(one, false);
    state_dir_close(two, true);
    one = must_open(&o);
    assert_string_equal(slot_of(one), ".2");
    two = must_open(&o);
    assert_string_equal(slot_of(two), "");
    state_dir_close(one, false);
    state_dir_close(two, false);
    one = must_open(&o);
    assert_string_equal(slot_of(one), "");
    state_dir_close(one, false);
}

static void a_named_folder_has_one_mount(void **state)
{
    CLEANUP_FREE char *path = NULL;
    struct state_dir_options o = {.endpoint = "http://h", .bucket = "b", .prefix = ""};
    struct state_dir *one, *two = NULL;
    struct s3_error err = {0};

    assert_true(asprintf(&path, "%s/deep/er", (char *)*state) > 0);
    o.state_dir = path;
    one = must_open(&o);
    assert_string_equal(one->path, path);
    assert_int_equal(state_dir_open(&o, &two, &err), -EBUSY);
    assert_non_null(strstr(err.message, "in use by another pailfs"));
    state_dir_close(one, false);
    one = must_open(&o);
    state_dir_close(one, false);
}

static void foreign_folders_are_refused(void **state)
{
    CLEANUP_FREE char *path = NULL, *link = NULL;
    struct state_dir_options o = {.endpoint = "http://h", .bucket = "b", .prefix = ""};
    struct state_dir *d = NULL;
    struct s3_error err = {0};

    assert_true(asprintf(&path, "%s/open", (char *)*state) > 0);
    assert_true(asprintf(&link, "%s/link", (char *)*state) > 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(symlink(path, link), 0);
    o.state_dir = link;
    assert_int_equal(state_dir_open(&o, &d, &err), -ENOTDIR);
    assert_int_equal(chmod(path, 0777), 0);
    o.state_dir = path;
    assert_int_equal(state_dir_open(&o, &d, &err), -EPERM);
    assert_non_null(strstr(err.message, "may be written by others"));
    o.state_dir = "/proc/nowhere/at-all";
    assert_true(state_dir_open(&o, &d, &err) < 0);
    assert_non_null(strstr(err.message, "/proc/nowhere"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folders_are_private, setup, teardown),
        cmocka_unit_test_setup_teardown(mounts_take_slots, setup, teardown),
        cmocka_unit_test_setup_teardown(unfinished_work_goes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(a_named_folder_has_one_mount, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_folders_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
