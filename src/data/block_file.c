/* SPDX-License-Identifier: Apache-2.0 */
#include "data/block_file.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc.h"

#define VERSION 1u
/* Shorter ones are no hash of anything. */
#define ETAG_MIN 8u

static const char MAGIC[8] = "pailblk\n";

/* Little endian on the disk. */
struct header {
    char magic[8];
    uint32_t version;
    uint32_t length; /* of the content */
    uint64_t offset; /* of its first byte in the object */
    uint64_t object_size;
    uint8_t key_hash[DIGEST_SHA256_SIZE];
    char etag[STORE_ETAG_SIZE]; /* NULs behind it */
    uint32_t crc[BLOCK_FILE_CHUNKS];
    uint8_t zero[60];
    uint32_t header_crc; /* of all before */
};
_Static_assert(sizeof(struct header) == 256, "the content begins there");

/* ---- objects ---- */

/* What write-back makes up where it does not know the store's (writeback/change.c). The store never
 * tells it, and nothing that it names is worth keeping: the next mount sees the store's. */
static const char MADE_UP[] = "\"pailfs-";

/* Some gateways give every object an ETag of zeros, with or without a number of parts behind it. */
static bool tells_versions_apart(const char *etag)
{
    size_t len = strlen(etag);
    if (len < ETAG_MIN + 2 || len >= STORE_ETAG_SIZE || etag[0] != '"' || etag[len - 1] != '"')
        return false;
    if (strncmp(etag, MADE_UP, sizeof(MADE_UP) - 1) == 0)
        return false;
    size_t zeros = strspn(etag + 1, "0");
    return zeros < ETAG_MIN || (etag[1 + zeros] != '-' && etag[1 + zeros] != '"');
}

bool block_object_init(struct block_object *o, const char *key, const char *etag, uint64_t size)
{
    uint64_t little = htole64(size);
    if (!size || !tells_versions_apart(etag) || (size - 1) / BLOCK_FILE_SIZE >= UINT32_MAX)
        return false;
    *o = (struct block_object){.size = size};
    memcpy(o->etag, etag, strlen(etag) + 1);
    const struct iovec all[] = {
        {(void *)(uintptr_t)key, strlen(key) + 1},
        {o->etag, strlen(etag) + 1},
        {&little, sizeof(little)},
    };
    uint8_t hash[DIGEST_SHA256_SIZE];
    if (digest_buffer(DIGEST_SHA256, key, strlen(key), o->key_hash) ||
        digest_iov(DIGEST_SHA256, all, ARRAY_SIZE(all), hash))
        return false;
    memcpy(o->id, hash, sizeof(o->id));
    return true;
}

uint32_t block_object_count(const struct block_object *o)
{
    return (uint32_t)((o->size + BLOCK_FILE_SIZE - 1) / BLOCK_FILE_SIZE);
}

size_t block_object_length(const struct block_object *o, uint32_t block)
{
    return MIN(o->size - block * BLOCK_FILE_SIZE, BLOCK_FILE_SIZE);
}

/* ---- names ---- */

void block_file_name(const uint64_t id[2], uint32_t block, char name[BLOCK_FILE_NAME])
{
    const uint8_t *p = (const uint8_t *)id;
    char *to = name;
    for (size_t i = 0; i < 16; i++)
        to += snprintf(to, 4, i == 0 ? "%02x/" : "%02x", p[i]);
    (void)snprintf(to, 10, ".%08x", block);
}

/* Lower case alone: a name has one spelling. */
static bool parse_hex(const char *text, size_t digits, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = text[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *ret = value;
    return true;
}

bool block_file_name_parse(unsigned folder, const char *name, uint64_t id[2], uint32_t *ret_block)
{
    uint64_t value;
    uint8_t bytes[16] = {(uint8_t)folder};
    if (strlen(name) != 39 || name[30] != '.' || !parse_hex(name + 31, 8, &value))
        return false;
    *ret_block = (uint32_t)value;
    for (size_t i = 1; i < sizeof(bytes); i++) {
        if (!parse_hex(name + 2 * (i - 1), 2, &value))
            return false;
        bytes[i] = (uint8_t)value;
    }
    memcpy(id, bytes, sizeof(bytes));
    return true;
}

/* ---- content ---- */

/* CRCs of the chunks that iov holds, from the first one on. */
static void sum_chunks(const struct iovec *iov, int n_iov, uint32_t crc[BLOCK_FILE_CHUNKS])
{
    size_t chunk = 0, room = BLOCK_FILE_CHUNK;
    memset(crc, 0, BLOCK_FILE_CHUNKS * sizeof(*crc));
    for (int i = 0; i < n_iov; i++) {
        const char *from = iov[i].iov_base;
        for (size_t left = iov[i].iov_len; left && chunk < BLOCK_FILE_CHUNKS;) {
            size_t n = MIN(left, room);
            crc[chunk] = crc32c_update(crc[chunk], from, n);
            from += n;
            left -= n;
            room -= n;
            if (!room) {
                chunk++;
                room = BLOCK_FILE_CHUNK;
            }
        }
    }
}

static size_t iov_length(const struct iovec *iov, int n_iov)
{
    size_t len = 0;
    for (int i = 0; i < n_iov; i++)
        len += iov[i].iov_len;
    return len;
}

/* All but the CRCs of the content. */
static void header_init(struct header *h, const struct block_object *o, uint32_t block)
{
    *h = (struct header){
        .version = htole32(VERSION),
        .length = htole32((uint32_t)block_object_length(o, block)),
        .offset = htole64(block * BLOCK_FILE_SIZE),
        .object_size = htole64(o->size),
    };
    memcpy(h->magic, MAGIC, sizeof(h->magic));
    memcpy(h->key_hash, o->key_hash, sizeof(h->key_hash));
    memcpy(h->etag, o->etag, sizeof(h->etag));
}

static uint32_t header_crc(const struct header *h)
{
    return htole32(crc32c_update(0, h, offsetof(struct header, header_crc)));
}

int block_file_write(int fd, const struct block_object *o, uint32_t block, const struct iovec *iov,
                     int n_iov)
{
    struct header h;
    struct iovec all[BLOCK_FILE_IOV + 1] = {{&h, sizeof(h)}};
    size_t length = iov_length(iov, n_iov);
    if (n_iov > BLOCK_FILE_IOV || length != block_object_length(o, block))
        return -EINVAL;
    header_init(&h, o, block);
    sum_chunks(iov, n_iov, h.crc);
    for (size_t i = 0; i < BLOCK_FILE_CHUNKS; i++)
        h.crc[i] = htole32(h.crc[i]);
    h.header_crc = header_crc(&h);
    memcpy(all + 1, iov, (size_t)n_iov * sizeof(*iov));
    ssize_t n;
    do
        n = pwritev(fd, all, n_iov + 1, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    /* Short only when the disk is full, or a signal came: not worth a second try. */
    return (size_t)n == sizeof(h) + length ? 0 : -ENOSPC;
}

static int read_all(int fd, const struct iovec *iov, int n_iov, size_t offset)
{
    ssize_t n;
    do
        n = preadv(fd, iov, n_iov, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == iov_length(iov, n_iov) ? 0 : -EBADMSG;
}

static bool header_holds(const struct header *h, const struct block_object *o, uint32_t block)
{
    struct header expected;
    header_init(&expected, o, block);
    memcpy(expected.crc, h->crc, sizeof(expected.crc));
    expected.header_crc = header_crc(h);
    return memcmp(&expected, h, sizeof(expected)) == 0;
}

int block_file_read(int fd, const struct block_object *o, uint32_t block, size_t offset,
                    const struct iovec *iov, int n_iov)
{
    struct header h;
    const struct iovec head = {&h, sizeof(h)};
    uint32_t crc[BLOCK_FILE_CHUNKS];
    size_t length = iov_length(iov, n_iov), end = offset + length;
    size_t whole = block_object_length(o, block);
    if (offset % BLOCK_FILE_CHUNK || end > whole || (end % BLOCK_FILE_CHUNK && end != whole))
        return -EINVAL;
    int result = read_all(fd, &head, 1, 0);
    if (!result && !header_holds(&h, o, block))
        result = -EBADMSG;
    if (!result)
        result = read_all(fd, iov, n_iov, sizeof(h) + offset);
    if (result)
        return result;
    sum_chunks(iov, n_iov, crc);
    size_t first = offset / BLOCK_FILE_CHUNK;
    size_t chunks = (length + BLOCK_FILE_CHUNK - 1) / BLOCK_FILE_CHUNK;
    for (size_t i = 0; i < chunks; i++)
        if (htole32(crc[i]) != h.crc[first + i])
            return -EBADMSG;
    return 0;
}
