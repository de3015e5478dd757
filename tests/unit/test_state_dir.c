/* SPDX-License-Identifier: Apache-2.0 */
/* Slots, locks, and folders that are refused. */
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
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* A process that has ended and whose lock is held all the same, as while the kernel closes the
 * files of one that was killed: another one has the file open too. */
struct dying {
    struct clock_fake clock;
    pid_t pid; /* a zombie */
    int keep;  /* closing it ends who holds the lock */
    char lock[512];
    unsigned sleeps_left;
};

static void sleep_and_free(struct clock *c, uint64_t ns)
{
    struct dying *d = (struct dying *)c;

    d->clock.monotonic += ns;
    d->clock.sleeps++;
    if (d->sleeps_left == 0 || --d->sleeps_left > 0)
        return;
    close(d->keep); /* the other process ends, and the lock goes with it */
    d->keep = -1;
    CLEANUP_FD int fd = open(d->lock, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
}

static void begin_dying(struct dying *d, const char *folder)
{
    int ready[2], keep[2];
    siginfo_t info;
    char byte;

    clock_fake_init(&d->clock, 0);
    (void)snprintf(d->lock, sizeof(d->lock), "%s/lock", folder);
    assert_int_equal(pipe(ready) | pipe(keep), 0);
    d->pid = fork();
    assert_true(d->pid >= 0);
    if (d->pid == 0) {
        struct state_dir_options o = {
            .endpoint = "http://h", .bucket = "b", .prefix = "", .state_dir = folder};
        struct state_dir *dir = NULL;
        close(keep[1]);
        bool ok = state_dir_open(&o, &dir, NULL) == 0;
        pid_t other = fork();
        if (other == 0) {
            close(ready[1]);
            _exit(read(keep[0], &byte, 1) != 0);
        }
        _exit(ok && other > 0 && write(ready[1], "x", 1) == 1 ? 0 : 1);
    }
    close(ready[1]);
    close(keep[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    assert_int_equal(waitid(P_PID, (id_t)d->pid, &info, WEXITED | WNOWAIT), 0);
    d->keep = keep[1];
}

static void the_dying_are_waited_for(void **state)
{
    CLEANUP_FREE char *path = NULL;
    struct dying d = {0};
    struct state_dir_options o = {.endpoint = "http://h", .bucket = "b", .prefix = ""};
    struct state_dir *dir = NULL;
    struct s3_error err = {0};

    assert_true(asprintf(&path, "%s/dying", (char *)*state) > 0);
    begin_dying(&d, path);
    o.state_dir = path;
    o.clock = &d.clock.clock;
    /* For a time, and then it is in use. */
    assert_int_equal(state_dir_open(&o, &dir, &err), -EBUSY);
    assert_non_null(strstr(err.message, "in use by another pailfs"));
    assert_true(d.clock.slept >= 5 * (uint64_t)NS_PER_S);
    assert_true(d.clock.slept <= 30 * (uint64_t)NS_PER_S);
    /* It has ended meanwhile. */
    d.clock.clock.sleep_ns = sleep_and_free;
    d.sleeps_left = 3;
    d.clock.sleeps = 0;
    dir = must_open(&o);
    assert_true(d.clock.sleeps >= 3);
    state_dir_close(dir, false);
    assert_int_equal(waitpid(d.pid, NULL, 0), d.pid);
    /* Who lives is not waited for. */
    dir = must_open(&o);
    clock_fake_init(&d.clock, 0);
    struct state_dir *two = NULL;
    assert_int_equal(state_dir_open(&o, &two, &err), -EBUSY);
    assert_int_equal(d.clock.sleeps, 0);
    state_dir_close(dir, false);
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
        cmocka_unit_test_setup_teardown(the_dying_are_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_folders_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
