/* SPDX-License-Identifier: Apache-2.0 */
#include "data/dirty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/file_io.h"
#include "base/log.h"

/* Of the disk, for others. */
#define KEEP_FREE_MAX   GIB
#define KEEP_FREE_SHARE 20u
/* How much is handed out before the disk is asked again. */
#define ALLOWANCE_MAX (32 * MIB)

struct dirty {
    char *dir; /* NULL = memory */
    uint64_t limit;
    pthread_mutex_t lock;
    uint64_t used;      /* protected by lock */
    uint64_t allowance; /* protected by lock: free on the disk when it was last asked */
};

int dirty_new(const char *dir, uint64_t limit, struct dirty **ret)
{
    struct dirty *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    if (dir && !(d->dir = strdup(dir))) {
        free(d);
        return -ENOMEM;
    }
    d->limit = limit ? limit : UINT64_MAX;
    pthread_mutex_init(&d->lock, NULL);
    *ret = d;
    return 0;
}

void dirty_free(struct dirty *d)
{
    if (!d)
        return;
    pthread_mutex_destroy(&d->lock);
    free(d->dir);
    free(d);
}

const char *dirty_folder(const struct dirty *d)
{
    return d->dir;
}

/* For filesystems without O_TMPFILE: the name lives for a moment. */
static int open_and_unlink(const char *dir)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/write.XXXXXX", dir);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (unlink(path)) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

int dirty_open(struct dirty *d, int *ret_fd)
{
    int fd;
    if (!d->dir) {
        fd = memfd_create("pailfs-dirty", MFD_CLOEXEC);
        if (fd < 0)
            return -errno;
    } else {
        fd = open(d->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        /* Somebody has cleaned up ~/.cache under us. Nothing else in here is needed to go on. */
        if (fd < 0 && errno == ENOENT && file_make_folders(d->dir) == 0) {
            log_warn("'%s' was removed while it was in use, and is made anew", d->dir);
            fd = open(d->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        }
        if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
            fd = open_and_unlink(d->dir);
        else if (fd < 0)
            fd = -errno;
        if (fd < 0)
            return fd;
    }
    *ret_fd = fd;
    return 0;
}

/* What is free, and what of it is for others. */
static void ask_disk(const struct dirty *d, uint64_t *ret_free, uint64_t *ret_keep)
{
    struct statvfs s;
    *ret_free = *ret_keep = 0;
    if (!d->dir) {
        *ret_free = UINT64_MAX;
    } else if (statvfs(d->dir, &s) == 0) {
        *ret_free = (uint64_t)s.f_bavail * s.f_frsize;
        *ret_keep = MIN((uint64_t)s.f_blocks * s.f_frsize / KEEP_FREE_SHARE, KEEP_FREE_MAX);
    }
}

/* Bytes that others can spare. */
static uint64_t ask_spare(const struct dirty *d)
{
    uint64_t free_bytes, keep;
    ask_disk(d, &free_bytes, &keep);
    return free_bytes > keep ? free_bytes - keep : 0;
}

uint64_t dirty_lacks(struct dirty *d, uint64_t bytes)
{
    uint64_t free_bytes, keep;
    pthread_mutex_lock(&d->lock);
    bool limited = bytes > d->limit || d->used > d->limit - bytes;
    pthread_mutex_unlock(&d->lock);
    ask_disk(d, &free_bytes, &keep);
    return limited || free_bytes >= keep + bytes ? 0 : keep + bytes - free_bytes;
}

int dirty_reserve(struct dirty *d, uint64_t bytes)
{
    pthread_mutex_lock(&d->lock);
    bool ask = bytes > d->allowance;
    pthread_mutex_unlock(&d->lock);
    uint64_t spare = ask ? ask_spare(d) : 0;

    SCOPE_LOCK(&d->lock);
    if (ask) {
        /* A half, for those who ask beside us. */
        if (spare < bytes)
            return -ENOSPC;
        d->allowance = MAX(MIN(spare / 2, ALLOWANCE_MAX), bytes);
    }
    if (bytes > d->limit || d->used > d->limit - bytes)
        return -ENOSPC;
    d->allowance -= MIN(bytes, d->allowance);
    d->used += bytes;
    return 0;
}

void dirty_release(struct dirty *d, uint64_t bytes)
{
    SCOPE_LOCK(&d->lock);
    d->used -= bytes;
}

uint64_t dirty_used(struct dirty *d)
{
    SCOPE_LOCK(&d->lock);
    return d->used;
}
