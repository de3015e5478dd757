/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one version of one object. The first bytes decide the version: that request carries no
 * condition, and what it returns (ETag, size, attributes) is the version for the reader's life;
 * every later request carries If-Match, and another version then is -ESTALE, never a mix.
 * Sequential reads are recognised although the kernel's readahead arrives out of order, and read
 * ahead in parallel ranges; the rest is fetched as asked.
 *
 * Life:    reader_new -> reader_read... -> reader_free (cancels nothing, waits for nothing: late
 *          answers find the reader's remains through their own reference).
 * Threads: reader_read from any number of threads; it blocks until the bytes are there. */
#ifndef PAILFS_DATA_READER_H
#define PAILFS_DATA_READER_H

#include "data/data.h"

struct reader;

struct reader_options {
    const char *key;  /* copied */
    uint64_t size;    /* as cached; only a hint for prefetching until the first answer */
    const char *etag; /* as cached, or NULL */
    /* Once, from the thread of the first read, when the answer's version is not the one above (or
     * none was given): the caller refreshes its attributes. o is borrowed. May be NULL. */
    void (*version_changed)(void *ctx, const struct store_object *o);
    void *ctx;
};

int reader_new(struct data *d, const struct reader_options *opts, struct reader **ret);
/* *ret_len < len only at the object's end. -ESTALE: replaced since the first read. -ENOENT: gone
 * before the first read. */
int reader_read(struct reader *r, uint64_t offset, void *buf, size_t len, size_t *ret_len,
                struct s3_error *reterr);
void reader_free(struct reader *r); /* NULL ok */

#endif
