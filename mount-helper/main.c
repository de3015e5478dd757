/* SPDX-License-Identifier: Apache-2.0 */
/* mount.pailfs: called by mount(8) and fstab(5). Becomes the driver by execv, without a shell. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "conf/conf.h"
#include "mount-helper/helper.h"

static void complain(const char *text)
{
    fprintf(stderr, "mount.pailfs: %s\n", text);
}

/* systemd and boot scripts give no HOME: without it ~/.aws would not be found. */
static void provide_home(void)
{
    const char *home = getenv("HOME");
    struct passwd entry, *found = NULL;
    char buf[4096];

    if (home && *home)
        return;
    if (getpwuid_r(getuid(), &entry, buf, sizeof(buf), &found) == 0 && found && found->pw_dir)
        (void)setenv("HOME", found->pw_dir, 1);
}

static int enter_namespace(const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || setns(fd, CLONE_NEWNS) < 0) {
        fprintf(stderr, "mount.pailfs: mount namespace '%s': %s\n", path, strerror(errno));
        return MOUNT_EXIT_SYSTEM;
    }
    return MOUNT_EXIT_OK;
}

static const char *self_directory(char *buf, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", buf, size - 1);
    char *slash;

    if (n <= 0)
        return NULL;
    buf[n] = '\0';
    slash = strrchr(buf, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    return buf;
}

/* The driver's own check of its command line, for -f. */
static int check_only(int argc, char *const *argv)
{
    struct conf_options options;
    struct s3_error err = {0};
    int r = conf_load(&options, argc, argv, NULL, NULL, &err);

    conf_done(&options);
    if (r < 0) {
        complain(err.message);
        return MOUNT_EXIT_USAGE;
    }
    return MOUNT_EXIT_OK;
}

static int run(struct mount_request *request)
{
    char self_dir[PATH_MAX], path[PATH_MAX + 32];
    const char *driver;
    char *args[6];
    int n = 0, r;

    args[n++] = (char *)"pailfs";
    args[n++] = (char *)request->source;
    args[n++] = (char *)request->mountpoint;
    if (request->options.len) {
        args[n++] = (char *)"-o";
        args[n++] = (char *)strbuf_str(&request->options);
    }
    args[n] = NULL;
    if (request->fake)
        return check_only(n, args);

    driver = mount_find_driver(self_directory(self_dir, sizeof(self_dir)), path, sizeof(path));
    if (!driver) {
        complain("the program 'pailfs' is neither beside this one nor in /usr/bin or "
                 "/usr/local/bin: install it");
        return MOUNT_EXIT_SYSTEM;
    }
    if (request->namespace_path) {
        r = enter_namespace(request->namespace_path);
        if (r != MOUNT_EXIT_OK)
            return r;
    }
    provide_home();
    if (request->verbose) {
        fprintf(stderr, "mount.pailfs: %s", driver);
        for (int i = 1; i < n; i++)
            fprintf(stderr, " %s", args[i]);
        fputc('\n', stderr);
    }
    execv(driver, args);
    fprintf(stderr, "mount.pailfs: cannot run '%s': %s\n", driver, strerror(errno));
    return MOUNT_EXIT_SYSTEM;
}

int main(int argc, char **argv)
{
    struct mount_request request;
    struct s3_error err = {0};
    int status;

    if (mount_request_parse(&request, argc, argv, &err) < 0) {
        complain(err.message);
        status = MOUNT_EXIT_USAGE;
    } else {
        status = run(&request);
    }
    mount_request_done(&request);
    return status;
}
