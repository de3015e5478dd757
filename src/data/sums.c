/* SPDX-License-Identifier: Apache-2.0 */
#include "data/sums.h"

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/crc.h"

void sums_done(struct sums *s)
{
    free(s->pieces);
    *s = (struct sums){0};
}

/* The first piece that ends behind offset. */
static size_t place_of(const struct sums *s, uint64_t offset)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->pieces[middle].end > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool make_room(struct sums *s)
{
    if (s->n < s->alloc)
        return true;
    size_t alloc = MAX(s->alloc * 2, (size_t)16);
    struct sums_piece *bigger =
        s->n < SUMS_PIECES_MAX ? realloc(s->pieces, alloc * sizeof(*bigger)) : NULL;
    if (!bigger)
        return false;
    s->pieces = bigger;
    s->alloc = alloc;
    return true;
}

void sums_crcs_update(struct sums_crcs *c, unsigned algos, const void *data, size_t len)
{
    if (algos & 1u << SUMS_CRC64NVME)
        c->of[SUMS_CRC64NVME] = crc64nvme_update(c->of[SUMS_CRC64NVME], data, len);
    if (algos & 1u << SUMS_CRC32C)
        c->of[SUMS_CRC32C] = crc32c_update((uint32_t)c->of[SUMS_CRC32C], data, len);
    if (algos & 1u << SUMS_CRC32)
        c->of[SUMS_CRC32] = crc32_update((uint32_t)c->of[SUMS_CRC32], data, len);
}

static uint64_t join_crcs(enum sums_algo algo, uint64_t a, uint64_t b, uint64_t len_b)
{
    switch (algo) {
    case SUMS_CRC64NVME:
        return crc64nvme_combine(a, b, len_b);
    case SUMS_CRC32C:
        return crc32c_join((uint32_t)a, (uint32_t)b, len_b);
    case SUMS_CRC32:
        return crc32_join((uint32_t)a, (uint32_t)b, len_b);
    case SUMS_ALGO_MAX:
        break;
    }
    return 0;
}

static void join(const struct sums *s, struct sums_piece *a, const struct sums_piece *b)
{
    for (unsigned i = 0; i < SUMS_ALGO_MAX; i++)
        if (!(s->without & 1u << i))
            a->crcs.of[i] =
                join_crcs((enum sums_algo)i, a->crcs.of[i], b->crcs.of[i], b->end - b->offset);
    a->end = b->end;
}

static uint64_t grid_of(const struct sums *s)
{
    return s->grid ? s->grid : SUMS_GRID;
}

static void lose(struct sums *s)
{
    sums_done(s);
    s->lost = true;
}

static void take_out(struct sums *s, size_t at)
{
    s->n--;
    memmove(s->pieces + at, s->pieces + at + 1, (s->n - at) * sizeof(*s->pieces));
}

void sums_add(struct sums *s, uint64_t offset, uint64_t length, const struct sums_crcs *crcs,
              unsigned algos)
{
    struct sums_piece piece = {offset, offset + length, *crcs};
    uint64_t grid = grid_of(s);
    size_t at = place_of(s, offset);
    if (s->lost || !length || (at < s->n && s->pieces[at].offset < piece.end))
        return;
    if (offset / grid != (piece.end - 1) / grid) {
        lose(s);
        return;
    }
    s->covered += length;
    s->without |= SUMS_ALL & ~algos;
    bool before = at > 0 && s->pieces[at - 1].end == offset && offset % grid;
    bool behind = at < s->n && s->pieces[at].offset == piece.end && piece.end % grid;
    if (before) {
        join(s, &s->pieces[at - 1], &piece);
        if (behind) {
            join(s, &s->pieces[at - 1], &s->pieces[at]);
            take_out(s, at);
        }
    } else if (behind) {
        join(s, &piece, &s->pieces[at]);
        s->pieces[at] = piece;
    } else if (make_room(s)) {
        memmove(s->pieces + at + 1, s->pieces + at, (s->n - at) * sizeof(*s->pieces));
        s->pieces[at] = piece;
        s->n++;
    } else {
        lose(s);
    }
}

void sums_only(struct sums *s, enum sums_algo algo, uint64_t part_size)
{
    struct sums_piece *last = s->pieces;
    s->without |= SUMS_ALL & ~(1u << algo);
    s->whole = !part_size;
    if (s->whole)
        return;
    s->grid = part_size;
    for (size_t i = 0; i < s->n; i++) {
        struct sums_piece *p = &s->pieces[i];
        if (p->offset / s->grid != (p->end - 1) / s->grid) {
            lose(s);
            return;
        }
        if (i == 0)
            continue;
        if (p->offset == last->end && p->offset % s->grid)
            join(s, last, p);
        else
            *++last = *p;
    }
    if (s->n)
        s->n = (size_t)(last - s->pieces) + 1;
}

void sums_join(struct sums *s, uint64_t until)
{
    size_t n = 1;
    if (!s->whole || !s->n)
        return;
    while (n < s->n && s->pieces[n].offset == s->pieces[0].end && s->pieces[n].end <= until)
        join(s, &s->pieces[0], &s->pieces[n++]);
    if (n == 1)
        return;
    memmove(s->pieces + 1, s->pieces + n, (s->n - n) * sizeof(*s->pieces));
    s->n -= n - 1;
}

void sums_cut(struct sums *s, uint64_t from)
{
    while (s->n && s->pieces[s->n - 1].offset >= from) {
        const struct sums_piece *p = &s->pieces[--s->n];
        s->covered -= p->end - p->offset;
    }
}

bool sums_is_whole(const struct sums *s, uint64_t size)
{
    return s->n && s->covered == size;
}

static void put_bytes(uint8_t *to, uint64_t crc, unsigned size)
{
    for (unsigned i = size; i > 0; i--) {
        to[i - 1] = (uint8_t)crc;
        crc >>= 8;
    }
}

bool sums_get(const struct sums *s, enum sums_algo algo, uint64_t *ret_crc)
{
    struct sums_crcs all = {0};
    unsigned size = algo == SUMS_CRC64NVME ? 8 : 4;
    uint8_t bytes[8];
    if (!s->n || s->without & 1u << algo)
        return false;
    if (s->whole || s->grid == UINT64_MAX) {
        struct sums_piece whole = s->pieces[0];
        for (size_t i = 1; i < s->n; i++)
            join(s, &whole, &s->pieces[i]);
        *ret_crc = whole.crcs.of[algo];
        return true;
    }
    for (size_t i = 0; i < s->n; i++) {
        put_bytes(bytes, s->pieces[i].crcs.of[algo], size);
        sums_crcs_update(&all, 1u << algo, bytes, size);
    }
    *ret_crc = all.of[algo];
    return true;
}
