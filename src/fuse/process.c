/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BIT(signal) (UINT64_C(1) << ((signal)-1))

/* The default is to go on, or to stop for a while. */
#define HARMLESS                                                                                   \
    (BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGSTOP) | BIT(SIGTSTP) |     \
     BIT(SIGTTIN) | BIT(SIGTTOU))
/* Somebody asks it to end. Programs use the others among themselves, some all the time. */
#define ASKS (BIT(SIGHUP) | BIT(SIGINT) | BIT(SIGQUIT) | BIT(SIGTERM))

/* include/linux/sched.h of the kernel; proc(5) names the file for it. */
#define PF_EXITING 0x4ul

static uint64_t number(const char *text, const char *name, int base)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, base) : 0;
}

enum process_fate process_fate_by_status(const char *text)
{
    uint64_t pending = number(text, "\nSigPnd:\t", 16) | number(text, "\nShdPnd:\t", 16);
    uint64_t caught = number(text, "\nSigCgt:\t", 16);
    uint64_t deaf = number(text, "\nSigIgn:\t", 16) | number(text, "\nSigBlk:\t", 16);
    if (pending & BIT(SIGKILL))
        return PROCESS_DEAD;
    if (number(text, "\nTracerPid:\t", 10))
        return PROCESS_WAITS;
    pending &= ~(deaf | HARMLESS);
    if (pending & ~caught)
        return PROCESS_DEAD;
    return pending & ASKS ? PROCESS_TOLD : PROCESS_WAITS;
}

enum process_fate process_fate_by_stat(const char *text)
{
    /* The name of the program is in parentheses and may have any byte in it. */
    const char *at = strrchr(text, ')'), *last = strrchr(text, ' ');
    unsigned long flags;
    if (!at || !last || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) != 1)
        return PROCESS_WAITS;
    /* As wait(2) tells it; 0 for those who may not know. */
    long status = strtol(last, NULL, 10);
    return (flags & PF_EXITING) && (status & 0x7f) ? PROCESS_DEAD : PROCESS_WAITS;
}

static bool read_text(pid_t thread, const char *name, char *buf, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%ld/%s", (long)thread, name);
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, buf, size - 1);
    if (n <= 0)
        return false;
    buf[n] = '\0';
    return true;
}

pid_t process_of(pid_t thread)
{
    char text[4096];
    return read_text(thread, "status", text, sizeof(text)) ? (pid_t)number(text, "\nTgid:\t", 10)
                                                           : 0;
}

enum process_fate process_fate(pid_t thread)
{
    char text[4096];
    enum process_fate fate = PROCESS_WAITS;
    if (thread <= 0)
        return fate;
    /* Not by /proc, which may hide those of others. */
    if (kill(thread, 0) < 0 && errno == ESRCH)
        return PROCESS_GONE;
    if (read_text(thread, "status", text, sizeof(text)))
        fate = process_fate_by_status(text);
    if (fate == PROCESS_WAITS && read_text(thread, "stat", text, sizeof(text)))
        fate = process_fate_by_stat(text);
    return fate;
}
