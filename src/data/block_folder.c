/* SPDX-License-Identifier: Apache-2.0 */
#include "data/block_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"

/* What is being written; one at a time. */
#define NEW_NAME "new"
/* Of the disk, for others: more than the changes that wait there leave (dirty.c). */
#define KEEP_FREE_MAX   (4 * GIB)
#define KEEP_FREE_SHARE 20u

int block_folder_open(struct block_folder *f, const char *path)
{
    f->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return f->fd < 0 ? -errno : 0;
}

void block_folder_close(struct block_folder *f)
{
    if (f->fd >= 0)
        (void)close(f->fd);
    f->fd = -1;
}

/* Some filesystems tell late what a file takes, and those that compress tell less. */
static uint64_t bytes_of(const struct stat *st)
{
    return MAX((uint64_t)st->st_blocks * 512, (uint64_t)st->st_size);
}

static int rename_new(struct block_folder *f, const char *name)
{
    const char folder[3] = {name[0], name[1]};
    if (renameat(f->fd, NEW_NAME, f->fd, name) == 0)
        return 0;
    if (errno != ENOENT)
        return -errno;
    if (mkdirat(f->fd, folder, 0700) < 0 && errno != EEXIST)
        return -errno;
    return renameat(f->fd, NEW_NAME, f->fd, name) < 0 ? -errno : 0;
}

int block_folder_store(struct block_folder *f, const struct block_object *o, uint32_t block,
                       const struct iovec *iov, int n_iov, uint64_t *ret_bytes)
{
    char name[BLOCK_FILE_NAME];
    struct stat st;
    /* What a failure before has left may be anything. */
    if (unlinkat(f->fd, NEW_NAME, 0) < 0 && errno != ENOENT)
        return -errno;
    CLEANUP_FD int fd =
        openat(f->fd, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int result = block_file_write(fd, o, block, iov, n_iov);
    if (!result && fstat(fd, &st) < 0)
        result = -errno;
    block_file_name(o->id, block, name);
    if (!result)
        result = rename_new(f, name);
    if (result)
        (void)unlinkat(f->fd, NEW_NAME, 0);
    else
        *ret_bytes = bytes_of(&st);
    return result;
}

int block_folder_find(struct block_folder *f, const uint64_t id[2], uint32_t block, int *ret_fd)
{
    char name[BLOCK_FILE_NAME];
    block_file_name(id, block, name);
    /* A pipe under that name must not stop us. */
    int fd = openat(f->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

static int look_at(int dir_fd, const char *name, struct block_found *ret)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -ENOENT;
    ret->bytes = bytes_of(&st);
    ret->used_s = st.st_mtim.tv_sec < 0 ? 0 : (uint32_t)st.st_mtim.tv_sec;
    return 0;
}

int block_folder_look(struct block_folder *f, const uint64_t id[2], uint32_t block,
                      struct block_found *ret)
{
    char name[BLOCK_FILE_NAME];
    block_file_name(id, block, name);
    *ret = (struct block_found){.id = {id[0], id[1]}, .block = block};
    return look_at(f->fd, name, ret);
}

void block_folder_note_use(int fd)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
    (void)futimens(fd, times);
}

int block_folder_remove(struct block_folder *f, const uint64_t id[2], uint32_t block)
{
    char name[BLOCK_FILE_NAME];
    block_file_name(id, block, name);
    return unlinkat(f->fd, name, 0) < 0 ? -errno : 0;
}

static void folder_name(unsigned folder, char name[3])
{
    (void)snprintf(name, 3, "%02x", folder & 0xff);
}

int block_folder_scan(struct block_folder *f, unsigned folder,
                      int (*found)(void *ctx, const struct block_found *b), void *ctx)
{
    char name[3];
    folder_name(folder, name);
    int fd = openat(f->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    CLEANUP_DIR DIR *dir = fdopendir(fd);
    if (!dir) {
        (void)close(fd);
        return -ENOMEM;
    }
    const struct dirent *e;
    while (errno = 0, (e = readdir(dir)) != NULL) {
        struct block_found b;
        if (!block_file_name_parse(folder, e->d_name, b.id, &b.block) ||
            look_at(fd, e->d_name, &b) < 0)
            continue;
        int result = found(ctx, &b);
        if (result)
            return result;
    }
    return -errno;
}

void block_folder_sweep(struct block_folder *f, bool all)
{
    char name[3];
    (void)unlinkat(f->fd, NEW_NAME, 0);
    for (unsigned i = 0; all && i < BLOCK_FOLDERS; i++) {
        folder_name(i, name);
        (void)unlinkat(f->fd, name, AT_REMOVEDIR);
    }
}

bool block_folder_is_beside(struct block_folder *f, const char *path)
{
    struct stat mine, other;
    return fstat(f->fd, &mine) == 0 && stat(path, &other) == 0 && mine.st_dev == other.st_dev;
}

int64_t block_folder_spare(struct block_folder *f)
{
    struct statvfs s;
    if (fstatvfs(f->fd, &s) < 0)
        return INT64_MAX; /* the next write finds out */
    uint64_t keep = MIN((uint64_t)s.f_blocks * s.f_frsize / KEEP_FREE_SHARE, KEEP_FREE_MAX);
    return (int64_t)((uint64_t)s.f_bavail * s.f_frsize) - (int64_t)keep;
}
