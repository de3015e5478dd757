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

static void join(struct sums_piece *a, const struct sums_piece *b)
{
    a->crc = crc64nvme_combine(a->crc, b->crc, b->end - b->offset);
    a->end = b->end;
}

static void take_out(struct sums *s, size_t at)
{
    s->n--;
    memmove(s->pieces + at, s->pieces + at + 1, (s->n - at) * sizeof(*s->pieces));
}

void sums_add(struct sums *s, uint64_t offset, uint64_t length, uint64_t crc)
{
    struct sums_piece piece = {offset, offset + length, crc};
    size_t at = place_of(s, offset);
    if (s->lost || !length || (at < s->n && s->pieces[at].offset < piece.end))
        return;
    s->covered += length;
    bool before = at > 0 && s->pieces[at - 1].end == offset;
    bool behind = at < s->n && s->pieces[at].offset == piece.end;
    if (before) {
        join(&s->pieces[at - 1], &piece);
        if (behind) {
            join(&s->pieces[at - 1], &s->pieces[at]);
            take_out(s, at);
        }
    } else if (behind) {
        join(&piece, &s->pieces[at]);
        s->pieces[at] = piece;
    } else if (make_room(s)) {
        memmove(s->pieces + at + 1, s->pieces + at, (s->n - at) * sizeof(*s->pieces));
        s->pieces[at] = piece;
        s->n++;
    } else {
        sums_done(s);
        s->lost = true;
    }
}

bool sums_whole(const struct sums *s, uint64_t size, uint64_t *ret_crc)
{
    if (s->n != 1 || s->pieces[0].offset != 0 || s->pieces[0].end != size)
        return false;
    *ret_crc = s->pieces[0].crc;
    return true;
}
