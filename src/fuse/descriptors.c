/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A line of fdinfo's "name:\tvalue", or 0. */
static uint64_t number(const char *text, const char *name, int base)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, base) : 0;
}

static bool is_writer(int dir, const char *name, uint64_t ino)
{
    char text[512];
    CLEANUP_FD int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = 0;
    uint64_t flags = number(text, "flags:\t", 8);
    return (flags & O_ACCMODE) != O_RDONLY && number(text, "ino:\t", 10) == ino;
}

bool descriptors_have_writer(pid_t thread, uint64_t ino)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%ld/fdinfo", (long)thread);
    CLEANUP_DIR DIR *d = opendir(path);
    if (!d)
        return false;
    bool found = false;
    for (struct dirent *e; !found && (e = readdir(d));)
        found = e->d_name[0] != '.' && is_writer(dirfd(d), e->d_name, ino);
    return found;
}
