/* SPDX-License-Identifier: Apache-2.0 */
#include "data/landing.h"

#include <stdlib.h>
#include <string.h>

#include "data/landing_impl.h"

/* So much of the limit for one that waits for a write. */
#define TURN_SHARE (32 * MIB)
#define TURNS_MIN  2u
#define TURNS_MAX  16u

_Static_assert(LANDING_SIZE == LANDING_IOV * DATA_BLOCK_SIZE, "a piece is a block");

struct landing *landing_new(struct data *d)
{
    struct landing *l = calloc(1, sizeof(*l));
    if (l)
        l->d = d;
    return l;
}

void landing_free(struct landing *l)
{
    if (!l)
        return;
    int64_t bytes = 0;
    pthread_mutex_lock(&l->d->lock);
    for (int i = 0; i < LANDING_IOV; i++)
        if (l->blocks[i]) {
            data_blocks_put_locked(l->d, &l->blocks[i], 1);
            bytes += DATA_BLOCK_SIZE;
        }
    data_note_landed_locked(l->d, -bytes);
    data_blocks_fit_locked(l->d);
    pthread_mutex_unlock(&l->d->lock);
    free(l);
}

unsigned landing_turns(const struct data *d)
{
    return (unsigned)MIN(MAX(d->memory_limit / TURN_SHARE, TURNS_MIN), TURNS_MAX);
}

bool landing_iov(struct landing *l, struct iovec iov[LANDING_IOV])
{
    for (int i = 0, n; i < LANDING_IOV; i += n) {
        for (n = 0; i + n < LANDING_IOV && !l->blocks[i + n];)
            n++;
        if (n && data_blocks_get(l->d, &l->blocks[i], (size_t)n)) {
            /* What it got it has given back. */
            memset(&l->blocks[i], 0, (size_t)n * sizeof(l->blocks[i]));
            return false;
        }
        if (n)
            data_note_landed(l->d, n * (int64_t)DATA_BLOCK_SIZE);
        n = MAX(n, 1);
    }
    for (int i = 0; i < LANDING_IOV; i++)
        iov[i] = (struct iovec){l->blocks[i], DATA_BLOCK_SIZE};
    return true;
}

void landing_copy(const struct landing *l, void *to, size_t len)
{
    for (size_t at = 0; at < len; at += DATA_BLOCK_SIZE)
        memcpy((char *)to + at, l->blocks[at / DATA_BLOCK_SIZE], MIN(len - at, DATA_BLOCK_SIZE));
}
