/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/inode_numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/crc.h"
#include "base/file_io.h"
#include "base/limits.h"

#define BUCKETS_MIN   64u
#define MAGIC         "pailnum1"
#define MAGIC_LEN     8u
#define PAIR_LEN      16u
#define CRC_LEN       4u
#define PAIRS_AT_ONCE 256u

struct inode_number {
    uint64_t key_hash;
    uint64_t ino;
    uint32_t next_by_key; /* entry + 1 */
    uint32_t next_by_ino;
};

static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    return h ^ (h >> 33);
}

static uint32_t *key_bucket(const struct inode_numbers *t, uint64_t key_hash)
{
    return &t->by_key[mix(key_hash) & (t->n_buckets - 1)];
}

static uint32_t *ino_bucket(const struct inode_numbers *t, uint64_t ino)
{
    return &t->by_ino[mix(ino) & (t->n_buckets - 1)];
}

/* The place that holds the entry's number + 1, or 0 at the end of its chain. */
static uint32_t *find_key(const struct inode_numbers *t, uint64_t key_hash)
{
    uint32_t *p = key_bucket(t, key_hash);

    while (*p && t->entries[*p - 1].key_hash != key_hash)
        p = &t->entries[*p - 1].next_by_key;
    return p;
}

static uint32_t *find_ino(const struct inode_numbers *t, uint64_t ino)
{
    uint32_t *p = ino_bucket(t, ino);

    while (*p && t->entries[*p - 1].ino != ino)
        p = &t->entries[*p - 1].next_by_ino;
    return p;
}

static void link_entry(struct inode_numbers *t, uint32_t at)
{
    struct inode_number *e = &t->entries[at];
    uint32_t *key = key_bucket(t, e->key_hash), *ino = ino_bucket(t, e->ino);

    e->next_by_key = *key;
    *key = at + 1;
    e->next_by_ino = *ino;
    *ino = at + 1;
}

static void unlink_entry(struct inode_numbers *t, uint32_t at)
{
    struct inode_number *e = &t->entries[at];

    *find_key(t, e->key_hash) = e->next_by_key;
    *find_ino(t, e->ino) = e->next_by_ino;
}

void inode_numbers_done(struct inode_numbers *t)
{
    free(t->entries);
    free(t->by_key);
    free(t->by_ino);
    *t = (struct inode_numbers){0};
}

uint64_t inode_numbers_get(const struct inode_numbers *t, uint64_t key_hash)
{
    uint32_t at = t->n > 0 ? *find_key(t, key_hash) : 0;

    return at ? t->entries[at - 1].ino : 0;
}

bool inode_numbers_is_taken(const struct inode_numbers *t, uint64_t ino, uint64_t key_hash)
{
    uint32_t at = t->n > 0 ? *find_ino(t, ino) : 0;

    return at && t->entries[at - 1].key_hash != key_hash;
}

/* The last entry takes the place. */
static void drop(struct inode_numbers *t, uint32_t at)
{
    unlink_entry(t, at);
    if (at != --t->n) {
        unlink_entry(t, t->n);
        t->entries[at] = t->entries[t->n];
        link_entry(t, at);
    }
    t->changed = true;
}

void inode_numbers_remove(struct inode_numbers *t, uint64_t key_hash)
{
    uint32_t at = t->n > 0 ? *find_key(t, key_hash) : 0;

    if (at)
        drop(t, at - 1);
}

void inode_numbers_remove_ino(struct inode_numbers *t, uint64_t ino)
{
    uint32_t at = t->n > 0 ? *find_ino(t, ino) : 0;

    if (at)
        drop(t, at - 1);
}

static int grow(struct inode_numbers *t)
{
    uint32_t n = t->alloc ? t->alloc * 2 : BUCKETS_MIN;
    struct inode_number *entries;

    if (t->n < t->alloc)
        return 0;
    uint32_t *by_key = calloc(n, sizeof(*by_key)), *by_ino = calloc(n, sizeof(*by_ino));
    entries = by_key && by_ino ? realloc(t->entries, n * sizeof(*entries)) : NULL;
    if (!entries) {
        free(by_key);
        free(by_ino);
        return -ENOMEM;
    }
    free(t->by_key);
    free(t->by_ino);
    t->entries = entries;
    t->by_key = by_key;
    t->by_ino = by_ino;
    t->alloc = t->n_buckets = n;
    for (uint32_t at = 0; at < t->n; at++)
        link_entry(t, at);
    return 0;
}

void inode_numbers_put(struct inode_numbers *t, uint64_t key_hash, uint64_t ino)
{
    if (inode_numbers_get(t, key_hash) == ino)
        return;
    inode_numbers_remove(t, key_hash);
    inode_numbers_remove_ino(t, ino);
    if (t->n >= LIMIT_INODE_NUMBERS || grow(t) < 0)
        return;
    t->entries[t->n] = (struct inode_number){.key_hash = key_hash, .ino = ino};
    link_entry(t, t->n++);
    t->changed = true;
}

/* ---- the file ---- */

static void put64(unsigned char *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t get64(const unsigned char *p)
{
    uint64_t v = 0;

    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static void put32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int read_all(int fd, size_t len, unsigned char *data)
{
    size_t got = 0;
    int r = file_read(fd, data, len, &got);

    return r < 0 ? r : got == len ? 0 : -EBADMSG;
}

int inode_numbers_load(struct inode_numbers *t, const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    size_t len = st.st_size > 0 ? (size_t)st.st_size : 0, over = MAGIC_LEN + CRC_LEN;
    if (!S_ISREG(st.st_mode) || len < over || (len - over) % PAIR_LEN != 0 ||
        (len - over) / PAIR_LEN > LIMIT_INODE_NUMBERS)
        return -EBADMSG;
    CLEANUP_FREE unsigned char *data = malloc(len);
    if (!data)
        return -ENOMEM;
    int r = read_all(fd, len, data);
    if (r < 0)
        return r;
    if (memcmp(data, MAGIC, MAGIC_LEN) != 0 ||
        get32(data + len - CRC_LEN) != crc32c_update(0, data, len - CRC_LEN))
        return -EBADMSG;
    for (const unsigned char *p = data + MAGIC_LEN; p < data + len - CRC_LEN; p += PAIR_LEN)
        inode_numbers_put(t, get64(p), get64(p + 8));
    t->changed = false;
    return 0;
}

static int append(int fd, const unsigned char *data, size_t len, uint32_t *crc)
{
    *crc = crc32c_update(*crc, data, len);
    return file_write(fd, data, len);
}

static int write_file(const struct inode_numbers *t, int fd)
{
    unsigned char data[PAIRS_AT_ONCE * PAIR_LEN];
    uint32_t crc = 0;
    int r = append(fd, (const unsigned char *)MAGIC, MAGIC_LEN, &crc);

    for (uint32_t at = 0; r == 0 && at < t->n;) {
        size_t len = 0;
        for (; at < t->n && len < sizeof(data); at++, len += PAIR_LEN) {
            put64(data + len, t->entries[at].key_hash);
            put64(data + len + 8, t->entries[at].ino);
        }
        r = append(fd, data, len, &crc);
    }
    put32(data, crc);
    return r < 0 ? r : file_write(fd, data, CRC_LEN);
}

int inode_numbers_save(struct inode_numbers *t, const char *path)
{
    CLEANUP_FREE char *temporary = NULL;

    if (!t->changed)
        return 0;
    if (asprintf(&temporary, "%s.new", path) < 0) {
        temporary = NULL;
        return -ENOMEM;
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = write_file(t, fd);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(temporary);
    else
        t->changed = false;
    return r;
}
