/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/file_io.h"
#include "base/log.h"
#include "writeback/writeback_impl.h"

#define NAME_SIZE  24u
#define PIECE_SIZE (1 * MIB)

static const char *file_name(uint64_t number, char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "%llu", (unsigned long long)number);
    return name;
}

struct wb_body *wb_body_new(uint64_t size)
{
    struct wb_body *b = calloc(1, sizeof(*b));
    if (b) {
        b->refs = 1;
        b->size = size;
    }
    return b;
}

void wb_body_unref_locked(struct writeback *wb, struct wb_body *b)
{
    if (--b->refs)
        return;
    if (b->counted)
        wb->cached -= b->size;
    free(b->data);
    if (!b->file) {
        free(b);
        return;
    }
    b->next_dead = wb->dead;
    wb->dead = b;
    wb_wake_locked(wb);
}

void wb_bodies_remove(struct writeback *wb, struct wb_body *dead)
{
    char name[NAME_SIZE];
    while (dead) {
        struct wb_body *next = dead->next_dead;
        /* One that stays is removed by the next start. */
        (void)unlinkat(wb->dir_fd, file_name(dead->file, name), 0);
        free(dead);
        dead = next;
    }
}

static void etag_from_md5(const uint8_t md5[DIGEST_MD5_SIZE], char etag[STORE_ETAG_SIZE])
{
    char hex[2 * DIGEST_MD5_SIZE + 1];
    encode_hex(md5, DIGEST_MD5_SIZE, hex);
    (void)snprintf(etag, STORE_ETAG_SIZE, "\"%s\"", hex);
}

int wb_etag_of(const struct iovec *iov, int n_iov, char etag[STORE_ETAG_SIZE])
{
    uint8_t md5[DIGEST_MD5_SIZE];
    int r = digest_iov(DIGEST_MD5, iov, n_iov, md5);
    if (r == 0)
        etag_from_md5(md5, etag);
    return r;
}

int wb_data_check(const void *data, uint64_t size, const char *etag)
{
    char is[STORE_ETAG_SIZE];
    struct iovec iov = {(void *)(uintptr_t)data, size};
    int r = wb_etag_of(&iov, 1, is);
    return r < 0 ? r : strcmp(is, etag) != 0 ? -EBADMSG : 0;
}

int wb_body_write(struct writeback *wb, uint64_t number, const struct iovec *iov, int n_iov,
                  char etag[STORE_ETAG_SIZE])
{
    char name[NAME_SIZE];
    CLEANUP_FD int fd =
        openat(wb->dir_fd, file_name(number, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : 0;
    for (int i = 0; i < n_iov && r == 0; i++)
        r = file_write(fd, iov[i].iov_base, iov[i].iov_len);
    if (r == 0 && fdatasync(fd) < 0)
        r = -errno;
    /* The row will name the file: so must the folder, after a crash. */
    if (r == 0 && fsync(wb->dir_fd) < 0)
        r = -errno;
    if (r == 0)
        r = wb_etag_of(iov, n_iov, etag);
    if (r < 0 && fd >= 0)
        (void)unlinkat(wb->dir_fd, name, 0);
    return r;
}

int wb_body_open(struct writeback *wb, const struct wb_body *b)
{
    char name[NAME_SIZE];
    int fd = openat(wb->dir_fd, file_name(b->file, name), O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int read_all(int fd, void *buf, size_t len, uint64_t offset)
{
    size_t done;
    int r = file_pread(fd, buf, len, offset, &done);
    return r == 0 && done < len ? -EBADMSG : r; /* shorter than it was */
}

static int digest_file(struct digest *d, int fd, uint64_t size)
{
    CLEANUP_FREE char *piece = malloc(PIECE_SIZE);
    int r = piece ? 0 : -ENOMEM;
    for (uint64_t at = 0; at < size && r == 0;) {
        size_t n = MIN(size - at, PIECE_SIZE);
        r = read_all(fd, piece, n, at);
        if (r == 0)
            r = digest_update(d, piece, n);
        at += n;
    }
    return r;
}

int wb_file_check(struct wb_body *b, int fd, const char *etag)
{
    char is[STORE_ETAG_SIZE];
    uint8_t md5[DIGEST_MD5_SIZE];
    struct digest *d;
    if (atomic_load(&b->verified))
        return 0;
    int r = digest_new(DIGEST_MD5, &d);
    if (r < 0)
        return r;
    r = digest_file(d, fd, b->size);
    if (r == 0)
        r = digest_final(d, md5);
    digest_free(d);
    if (r < 0)
        return r;
    etag_from_md5(md5, is);
    if (strcmp(is, etag) != 0)
        return -EBADMSG;
    atomic_store(&b->verified, true);
    return 0;
}

int wb_body_load(struct writeback *wb, const struct wb_body *b, uint64_t seq, void **ret)
{
    CLEANUP_FREE char *data = malloc(b->size + 1);
    if (!data)
        return -ENOMEM;
    int r = 0;
    if (b->data) {
        memcpy(data, b->data, b->size);
    } else if (!b->file) {
        r = b->size ? wb->journal->ops->body(wb->journal, seq, data, b->size) : 0;
    } else {
        CLEANUP_FD int fd = wb_body_open(wb, b);
        r = fd < 0 ? fd : read_all(fd, data, b->size, 0);
    }
    if (r == 0)
        *ret = TAKE_PTR(data);
    return r;
}
