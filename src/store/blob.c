/* SPDX-License-Identifier: Apache-2.0 */
#include "store/blob.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

struct chunk {
    atomic_uint refs;
    char data[];
};

struct segment {
    struct chunk *chunk; /* a reference; NULL = zeros */
    uint64_t start;      /* in the chunk */
    uint64_t length;
};

struct blob {
    atomic_uint refs;
    uint64_t size;
    size_t n_segments;
    struct segment segments[];
};

static const char ZEROS[64u << 10];

static void chunk_unref(struct chunk *c)
{
    if (c && atomic_fetch_sub(&c->refs, 1) == 1)
        free(c);
}

static struct blob *blob_alloc(size_t n_segments)
{
    struct blob *b = calloc(1, sizeof(*b) + n_segments * sizeof(b->segments[0]));
    if (b)
        atomic_init(&b->refs, 1);
    return b;
}

static void blob_add(struct blob *b, struct chunk *c, uint64_t start, uint64_t length)
{
    if (!length)
        return;
    if (c)
        atomic_fetch_add(&c->refs, 1);
    b->segments[b->n_segments++] = (struct segment){.chunk = c, .start = start, .length = length};
    b->size += length;
}

static bool all_zero(const struct iovec *iov, int n_iov)
{
    for (int i = 0; i < n_iov; i++) {
        const char *p = iov[i].iov_base;
        size_t len = iov[i].iov_len;
        if (len && (p[0] || memcmp(p, p + 1, len - 1) != 0))
            return false;
    }
    return true;
}

struct blob *blob_new_copy(const struct iovec *iov, int n_iov)
{
    size_t size = 0;
    for (int i = 0; i < n_iov; i++)
        size += iov[i].iov_len;
    if (all_zero(iov, n_iov))
        return blob_new_zeros(size);

    struct blob *b = blob_alloc(1);
    struct chunk *c = malloc(sizeof(*c) + size);
    if (!b || !c) {
        free(b);
        free(c);
        return NULL;
    }
    atomic_init(&c->refs, 0);
    size_t at = 0;
    for (int i = 0; i < n_iov; i++) {
        if (iov[i].iov_len)
            memcpy(c->data + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    blob_add(b, c, 0, size);
    return b;
}

struct blob *blob_new_zeros(uint64_t size)
{
    struct blob *b = blob_alloc(1);
    if (b)
        blob_add(b, NULL, 0, size);
    return b;
}

struct blob *blob_new_concat(struct blob *const *blobs, size_t n)
{
    size_t segments = 0;
    for (size_t i = 0; i < n; i++)
        segments += blobs[i]->n_segments;
    struct blob *b = blob_alloc(segments);
    if (!b)
        return NULL;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < blobs[i]->n_segments; k++) {
            const struct segment *s = &blobs[i]->segments[k];
            blob_add(b, s->chunk, s->start, s->length);
        }
    return b;
}

struct blob *blob_new_slice(const struct blob *from, uint64_t offset, uint64_t length)
{
    struct blob *b = blob_alloc(from->n_segments);
    if (!b)
        return NULL;
    uint64_t at = 0;
    for (size_t i = 0; i < from->n_segments && length; i++) {
        const struct segment *s = &from->segments[i];
        if (offset < at + s->length) {
            uint64_t skip = offset - at;
            uint64_t n = MIN(length, s->length - skip);
            blob_add(b, s->chunk, s->start + skip, n);
            offset += n;
            length -= n;
        }
        at += s->length;
    }
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    atomic_fetch_add(&b->refs, 1);
    return b;
}

void blob_unref(struct blob *b)
{
    if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
        return;
    for (size_t i = 0; i < b->n_segments; i++)
        chunk_unref(b->segments[i].chunk);
    free(b);
}

uint64_t blob_size(const struct blob *b)
{
    return b->size;
}

int blob_read(const struct blob *b, uint64_t offset, uint64_t length, size_t piece,
              int (*write)(void *ctx, const void *data, size_t len), void *ctx)
{
    uint64_t at = 0;
    for (size_t i = 0; i < b->n_segments && length; i++) {
        const struct segment *s = &b->segments[i];
        while (length && offset < at + s->length) {
            uint64_t skip = offset - at;
            uint64_t n = MIN(MIN(length, s->length - skip), (uint64_t)piece);
            if (!s->chunk)
                n = MIN(n, (uint64_t)sizeof(ZEROS));
            int r = write(ctx, s->chunk ? s->chunk->data + s->start + skip : ZEROS, n);
            if (r)
                return r;
            offset += n;
            length -= n;
        }
        at += s->length;
    }
    return 0;
}
