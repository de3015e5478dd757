/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that ask a running mount. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/parse.h"
#include "ctl/ctl.h"
#include "ctl/pailctl.h"

#define STATUS_TIMEOUT_MS 10000u
#define POLL_MS           200

struct mount_list {
    struct ctl_mount *mounts;
    size_t n;
};

static void mount_list_done(struct mount_list *l)
{
    ctl_mounts_free(l->mounts, l->n);
}

/* An absolute path without touching the last component, which may be a mount that hangs. */
static int absolute_path(const char *path, char *buf, size_t size)
{
    char folder[PATH_MAX], resolved[PATH_MAX];
    const char *name;
    char *slash;
    int n = snprintf(folder, sizeof(folder), "%s", path);

    if (n <= 0 || (size_t)n >= sizeof(folder))
        return -ENAMETOOLONG;
    while (n > 1 && folder[n - 1] == '/')
        folder[--n] = '\0';
    slash = strrchr(folder, '/');
    name = slash ? slash + 1 : folder;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return realpath(path, buf) ? 0 : -errno;
    if (slash == folder)
        n = snprintf(buf, size, "/%s", name);
    else {
        char kept[NAME_MAX + 1];

        (void)snprintf(kept, sizeof(kept), "%.*s", NAME_MAX, name);
        if (slash)
            *slash = '\0';
        if (!realpath(slash ? folder : ".", resolved))
            return -errno;
        n = snprintf(buf, size, "%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, kept);
    }
    return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

/* The mount that holds `path`; prints why there is none. Borrowed from list. */
static const struct ctl_mount *find_mount(struct mount_list *list, const char *path)
{
    char absolute[PATH_MAX];
    const struct ctl_mount *m;
    int r = ctl_mounts_list(&list->mounts, &list->n);

    if (r == 0)
        r = absolute_path(path, absolute, sizeof(absolute));
    if (r < 0) {
        fprintf(stderr, "pailctl: '%s': %s\n", path, strerror(-r));
        return NULL;
    }
    m = ctl_mounts_find(list->mounts, list->n, absolute);
    if (!m)
        fprintf(stderr, "pailctl: '%s' is not on a pailfs mount (see 'pailctl status')\n", path);
    return m;
}

static int ask(const struct ctl_mount *m, const char *verb, unsigned timeout_ms,
               struct strbuf *answer)
{
    struct s3_error err = {0};

    if (ctl_request(m->mountpoint, m->uid, verb, timeout_ms, answer, &err) < 0) {
        fprintf(stderr, "pailctl: %s: %s\n", m->mountpoint, err.message);
        return PAILCTL_FAILED;
    }
    return PAILCTL_OK;
}

int pailctl_ask_mount(const char *path, const char *verb, char ret_mountpoint[PATH_MAX],
                      uid_t *ret_uid, struct strbuf *answer)
{
    CLEANUP(mount_list_done) struct mount_list list = {0};
    const struct ctl_mount *m = find_mount(&list, path);

    if (!m)
        return PAILCTL_FAILED;
    (void)snprintf(ret_mountpoint, PATH_MAX, "%s", m->mountpoint);
    *ret_uid = m->uid;
    return ask(m, verb, STATUS_TIMEOUT_MS, answer);
}

int pailctl_status(struct pailctl *p, int argc, char **argv)
{
    CLEANUP(mount_list_done) struct mount_list list = {0};
    const struct ctl_mount *only = NULL;
    int status = PAILCTL_OK;

    if (argc == 1) {
        only = find_mount(&list, argv[0]);
        if (!only)
            return PAILCTL_FAILED;
    } else if (ctl_mounts_list(&list.mounts, &list.n) < 0) {
        fputs("pailctl: cannot read /proc/self/mountinfo\n", stderr);
        return PAILCTL_FAILED;
    }
    for (size_t i = 0; i < list.n; i++) {
        CLEANUP_STRBUF struct strbuf answer = STRBUF_INIT(2 * LIMIT_CTL_MESSAGE);

        if (only && only != &list.mounts[i])
            continue;
        if (ask(&list.mounts[i], "status", STATUS_TIMEOUT_MS, &answer) == PAILCTL_OK)
            pailctl_out_lines(p->out, list.mounts[i].mountpoint, strbuf_str(&answer));
        else
            status = PAILCTL_FAILED;
    }
    return status;
}

int pailctl_log_level(struct pailctl *p, int argc, char **argv)
{
    CLEANUP(mount_list_done) struct mount_list list = {0};
    CLEANUP_STRBUF struct strbuf answer = STRBUF_INIT(2 * LIMIT_CTL_MESSAGE);
    CLEANUP_STRBUF struct strbuf request = STRBUF_INIT(LIMIT_CTL_MESSAGE);
    const struct ctl_mount *m = find_mount(&list, argv[0]);

    if (!m)
        return PAILCTL_FAILED;
    (void)strbuf_appendf(&request, "log-level %s", argv[1]);
    if (request.error) {
        fprintf(stderr, "pailctl: %s\n", strerror(-request.error));
        return PAILCTL_FAILED;
    }
    return ask(m, strbuf_str(&request), STATUS_TIMEOUT_MS, &answer);
}

/* "name: number" from a status answer; 0 when it is not there. */
static uint64_t status_number(const char *answer, const char *name)
{
    char label[64], value[32];
    const char *at;
    uint64_t n = 0;
    int len = snprintf(label, sizeof(label), "%s: ", name);

    for (at = answer; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, label, (size_t)len) == 0) {
            (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(at + len, "\n"), at + len);
            (void)parse_u64(value, &n);
            return n;
        }
    }
    return 0;
}

/* ---- progress, on a terminal: one line that is written over ---- */

struct progress {
    const struct ctl_mount *mount;
    int stop_fd; /* eventfd; -1 = there is no thread */
    pthread_t thread;
};

static void show_progress(const struct ctl_mount *m)
{
    CLEANUP_STRBUF struct strbuf answer = STRBUF_INIT(2 * LIMIT_CTL_MESSAGE);

    if (ctl_request(m->mountpoint, m->uid, "status", STATUS_TIMEOUT_MS, &answer, NULL) < 0)
        return;
    uint64_t bytes = status_number(strbuf_str(&answer), "dirty_bytes");
    uint64_t changes = status_number(strbuf_str(&answer), "writeback_pending");

    bytes += status_number(strbuf_str(&answer), "writeback_bytes");
    fprintf(stderr, "\r%s: %llu bytes to go", m->mountpoint, (unsigned long long)bytes);
    if (changes)
        fprintf(stderr, ", %llu changes", (unsigned long long)changes);
    fprintf(stderr, ", %llu requests under way\033[K",
            (unsigned long long)status_number(strbuf_str(&answer), "uploads"));
}

static void *progress_main(void *arg)
{
    const struct progress *progress = arg;
    struct pollfd stop = {.fd = progress->stop_fd, .events = POLLIN};

    do
        show_progress(progress->mount);
    while (poll(&stop, 1, POLL_MS) <= 0);
    return NULL;
}

static void progress_start(struct progress *progress, const struct ctl_mount *m)
{
    *progress = (struct progress){.mount = m, .stop_fd = -1};
    if (!isatty(STDERR_FILENO))
        return;
    progress->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (progress->stop_fd >= 0 &&
        pthread_create(&progress->thread, NULL, progress_main, progress) != 0) {
        (void)close(progress->stop_fd);
        progress->stop_fd = -1;
    }
}

static void progress_stop(struct progress *progress)
{
    uint64_t one = 1;

    if (progress->stop_fd < 0)
        return;
    (void)!write(progress->stop_fd, &one, sizeof(one));
    pthread_join(progress->thread, NULL);
    (void)close(progress->stop_fd);
    fputs("\r\033[K", stderr);
}

static int flush_mount(const struct ctl_mount *m)
{
    CLEANUP_STRBUF struct strbuf answer = STRBUF_INIT(2 * LIMIT_CTL_MESSAGE);
    struct s3_error err = {0};
    struct progress progress;
    int r;

    progress_start(&progress, m);
    r = ctl_request(m->mountpoint, m->uid, "flush", 0, &answer, &err);
    progress_stop(&progress);
    if (r < 0)
        fprintf(stderr, "pailctl: %s: %s\n", m->mountpoint, err.message);
    return r < 0 ? PAILCTL_FAILED : PAILCTL_OK;
}

int pailctl_flush(struct pailctl *p, int argc, char **argv)
{
    CLEANUP(mount_list_done) struct mount_list list = {0};
    const struct ctl_mount *m = find_mount(&list, argv[0]);

    return m ? flush_mount(m) : PAILCTL_FAILED;
}

/* ---- unmount ---- */

/* Runs `umount` or `fusermount3 -u`; its messages go to our standard error. */
static int run_unmount(const char *mountpoint)
{
    const char *args_root[] = {"umount", mountpoint, NULL};
    const char *args_user[] = {"fusermount3", "-u", mountpoint, NULL};
    const char **args = geteuid() == 0 ? args_root : args_user;
    int wait_status;
    pid_t pid = fork();

    if (pid < 0)
        return -errno;
    if (pid == 0) {
        execvp(args[0], (char *const *)args);
        fprintf(stderr, "pailctl: cannot run %s: %s\n", args[0], strerror(errno));
        _exit(127);
    }
    while (waitpid(pid, &wait_status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0 ? 0 : -EBUSY;
}

/* Becomes readable at the daemon's end; -1 when the system has no such descriptors. */
static int open_pidfd(pid_t pid)
{
    return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

static void wait_for_end(pid_t pid, int pidfd)
{
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};

    if (pidfd >= 0) {
        while (poll(&fd, 1, -1) < 0 && errno == EINTR)
            ;
        return;
    }
    while (pid > 0 && (kill(pid, 0) == 0 || errno == EPERM))
        (void)poll(NULL, 0, POLL_MS);
}

int pailctl_unmount(struct pailctl *p, int argc, char **argv)
{
    CLEANUP(mount_list_done) struct mount_list list = {0};
    CLEANUP_FD int pidfd = -1;
    const struct ctl_mount *m = find_mount(&list, argv[0]);
    struct s3_error err = {0};
    struct progress progress;
    pid_t pid;
    int status;

    if (!m)
        return PAILCTL_FAILED;
    if (ctl_daemon_pid(m->mountpoint, m->uid, &pid, &err) < 0) {
        fprintf(stderr, "pailctl: %s: %s\n", m->mountpoint, err.message);
        return PAILCTL_FAILED;
    }
    pidfd = open_pidfd(pid);
    /* What is open stays open: flush first, so that an error is told while the mount still is. */
    status = flush_mount(m);
    if (status != PAILCTL_OK) {
        fputs("pailctl: not unmounted, nothing is lost: mend the cause and try again\n", stderr);
        return status;
    }
    if (run_unmount(m->mountpoint) < 0)
        return PAILCTL_FAILED;
    progress_start(&progress, m);
    wait_for_end(pid, pidfd);
    progress_stop(&progress);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "%s: everything is in S3\n", m->mountpoint);
    return PAILCTL_OK;
}
