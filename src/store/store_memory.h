/* SPDX-License-Identifier: Apache-2.0 */
/* A store in memory with the semantics of S3 that the layers above rely on: keys in byte order,
 * pages of 1,000 with delimiters and tokens, ETags (MD5 of the bytes; of the parts' MD5s with
 * "-N" for uploads), atomic conditions, ranges, multipart uploads with the 5 MiB minimum, copies.
 * LastModified counts whole seconds, as HEAD tells them.
 *
 * Life:    store_memory_new -> store_... -> store_free (runs what is queued).
 * Threads: any. With threads = 0 the callbacks run inside store_submit, else on a worker thread:
 *          tests of users should pass with both. */
#ifndef PAILFS_STORE_STORE_MEMORY_H
#define PAILFS_STORE_STORE_MEMORY_H

#include "base/clock.h"
#include "store/store.h"

struct store_memory_options {
    unsigned threads;       /* 0 = complete inside store_submit */
    struct clock *clock;    /* borrowed; NULL = clock_system() */
    size_t get_piece;       /* bytes per sink write; 0 = 64 KiB */
    uint64_t part_size_min; /* 0 = 5 MiB, as S3 has it */
    uint32_t page_size;     /* keys per listing page at most; 0 = 1,000, as S3 has it */
};

/* opts may be NULL. 0 or -errno. */
int store_memory_new(const struct store_memory_options *opts, struct store **ret);

/* ---- for tests; not a request ---- */

/* An object of `size` zero bytes that takes no memory; its ETag is not an MD5. */
int store_memory_put_zeros(struct store *s, const char *key, uint64_t size);
size_t store_memory_object_count(struct store *s);
/* Multipart uploads neither completed nor aborted. */
size_t store_memory_upload_count(struct store *s);

#endif
