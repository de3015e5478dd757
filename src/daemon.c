/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define EXIT_LOST 2 /* mount(8)'s "system error": the daemon died without a word */

static void wait_for_child(int fd, pid_t pid)
{
    char byte;
    int status;
    ssize_t n;

    do
        n = read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n == 1)
        _exit(0);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            _exit(EXIT_LOST);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_LOST);
}

int daemon_fork(struct daemon *d)
{
    int fds[2];
    pid_t pid;

    d->ready_fd = -1;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid < 0) {
        int r = -errno;

        (void)close(fds[0]);
        (void)close(fds[1]);
        return r;
    }
    if (pid > 0) {
        (void)close(fds[1]);
        wait_for_child(fds[0], pid);
    }
    (void)close(fds[0]);
    d->ready_fd = fds[1];
    (void)setsid();
    return 0;
}

void daemon_ready(struct daemon *d)
{
    CLEANUP_FD int null_fd = -1;

    if (d->ready_fd < 0)
        return;
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd >= 0)
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
            (void)dup2(null_fd, fd);
    /* A folder that stays would hold its filesystem. */
    (void)!chdir("/");
    (void)!write(d->ready_fd, "R", 1);
    (void)close(d->ready_fd);
    d->ready_fd = -1;
}
