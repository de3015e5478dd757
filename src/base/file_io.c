/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* offset NULL: where the descriptor stands. */
static int write_at(int fd, const char *buf, size_t len, const uint64_t *offset)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = offset ? pwrite(fd, buf + done, len - done, (off_t)(*offset + done))
                           : write(fd, buf + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}

static int read_at(int fd, char *buf, size_t len, const uint64_t *offset, size_t *ret_len)
{
    *ret_len = 0;
    while (*ret_len < len) {
        size_t done = *ret_len;
        ssize_t n = offset ? pread(fd, buf + done, len - done, (off_t)(*offset + done))
                           : read(fd, buf + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        *ret_len += (size_t)n;
    }
    return 0;
}

int file_write(int fd, const void *buf, size_t len)
{
    return write_at(fd, buf, len, NULL);
}

int file_pwrite(int fd, const void *buf, size_t len, uint64_t offset)
{
    return write_at(fd, buf, len, &offset);
}

int file_read(int fd, void *buf, size_t len, size_t *ret_len)
{
    return read_at(fd, buf, len, NULL, ret_len);
}

int file_pread(int fd, void *buf, size_t len, uint64_t offset, size_t *ret_len)
{
    return read_at(fd, buf, len, &offset, ret_len);
}

int file_make_folders(const char *path)
{
    CLEANUP_FREE char *copy = strdup(path);
    char *p;

    if (!copy)
        return -ENOMEM;
    for (p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST && access(copy, F_OK) < 0)
            return -errno;
        *p = '/';
    }
    if (mkdir(copy, 0700) < 0 && errno != EEXIST)
        return -errno;
    return 0;
}
