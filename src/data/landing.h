/* SPDX-License-Identifier: Apache-2.0 */
/* Where the bytes of a write arrive: blocks of the pool, so that a writer can take them into a part
 * instead of copying them there.
 *
 * Life: landing_new, for each write landing_iov, receive and writer_write_landed, then
 * landing_free; all are gone before data_free.
 *
 * Memory: the budget has so much less for readers and writers as all of them hold.
 *
 * Threads: one at a time. */
#ifndef PAILFS_DATA_LANDING_H
#define PAILFS_DATA_LANDING_H

#include <stddef.h>
#include <sys/uio.h>

#include "data/data.h"

#define LANDING_SIZE (1u << 20)
#define LANDING_IOV  8

struct landing;

struct landing *landing_new(struct data *d); /* NULL: out of memory */
void landing_free(struct landing *l);        /* NULL ok */
/* LANDING_IOV pieces of LANDING_SIZE bytes together. False: there is no memory for what was taken.
 */
bool landing_iov(struct landing *l, struct iovec iov[LANDING_IOV]);
/* As many may wait for a write at a time without taking too much of the memory. */
unsigned landing_turns(const struct data *d);
/* The first len bytes of what has arrived, before a writer has taken any. */
void landing_copy(const struct landing *l, void *to, size_t len);

#endif
