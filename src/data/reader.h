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

#include <stdbool.h>
#include <sys/uio.h>

#include "data/data.h"

struct range;
struct reader;

struct reader_options {
    const char *key;  /* copied */
    uint64_t size;    /* as cached; only a hint for prefetching until the first answer */
    const char *etag; /* as cached, or NULL */
    /* Once, from the thread of the first read, when the answer's version is not the one above (or
     * none was given): the caller refreshes its attributes. o is borrowed. May be NULL. */
    void (*version_changed)(void *ctx, const struct store_object *o);
    void *ctx;
    /* Nobody need be asked whether the version above is the newest. */
    bool believed;
    bool start; /* reader_start will be called, exactly once, perhaps after reader_free */
};

int reader_new(struct data *d, const struct reader_options *opts, struct reader **ret);
/* *ret_len < len only at the object's end. -ESTALE: replaced since the first read. -ENOENT: gone
 * before the first read. */
int reader_read(struct reader *r, uint64_t offset, void *buf, size_t len, size_t *ret_len,
                struct s3_error *reterr);
/* Whether reads fail with -EIO because the bytes that came do not match the checksum that is
 * stored: those that were read before did not either. */
bool reader_is_spoilt(struct reader *r);
void reader_free(struct reader *r); /* NULL ok */

/* For an object with a hint: asks for its first `ahead` bytes without waiting, as far as half of
 * the memory is free. A small object is asked for whole, a larger one in requests of such a size
 * that `window` bytes, which the caller has ahead in all, are under way at once. What fails is
 * asked for again by the first read. Until reader_adopt it does not count as one of the readers
 * that share the connections. */
void reader_start(struct reader *r, uint64_t ahead, uint64_t window);
/* Sets the callback of a reader that was made without one, before its first read. */
void reader_adopt(struct reader *r,
                  void (*version_changed)(void *ctx, const struct store_object *o), void *ctx);

/* The bytes of one read where they lie. They stay there, and in the memory budget, until
 * reader_view_done, which must come soon; the reader may be freed before. */
#define READER_VIEW_IOV  24
#define READER_VIEW_PINS 8
struct reader_view {
    struct iovec iov[READER_VIEW_IOV];
    int n;
    size_t len;
    /* The reader's: */
    struct reader *reader; /* referenced, or NULL */
    struct range *pins[READER_VIEW_PINS];
    unsigned n_pins;
    char *owned; /* the last of iov, when the bytes had to be put together */
};
/* As reader_read; *ret is to be released after success only. -EINTR: see base/interrupt.h. */
int reader_read_view(struct reader *r, uint64_t offset, size_t len, struct reader_view *ret,
                     struct s3_error *reterr);
/* A view of memory of its own, for bytes from elsewhere: *ret is to be filled, then the length set
 * (up to len). 0 or -ENOMEM. */
int reader_view_own(struct reader_view *v, size_t len, void **ret);
void reader_view_set_length(struct reader_view *v, size_t len);
/* Copies all of it; returns its length. */
size_t reader_view_copy(const struct reader_view *v, void *buf);
void reader_view_done(struct reader_view *v); /* twice is ok */

#endif
