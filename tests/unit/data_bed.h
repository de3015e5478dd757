/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the data layer stand on: a memory store behind a fault and a counting
 * decorator, a data context, and content that can be computed for any offset.
 * Include after cmocka.h. */
#ifndef PAILFS_TESTS_UNIT_DATA_BED_H
#define PAILFS_TESTS_UNIT_DATA_BED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/attr.h"
#include "data/reader.h"
#include "data/writer.h"
#include "store/store_count.h"
#include "store/store_fault.h"
#include "store/store_memory.h"

struct bed {
    struct store *memory, *fault, *store; /* store = count(fault(memory)) */
    struct data *data;
};

static inline void bed_open(struct bed *b, unsigned threads, const struct data_options *opts,
                            const struct store_count_options *count)
{
    struct store_memory_options m = {.threads = threads, .get_piece = 100000};
    assert_int_equal(store_memory_new(&m, &b->memory), 0);
    assert_int_equal(store_fault_new(b->memory, NULL, &b->fault), 0);
    assert_int_equal(store_count_new(b->fault, count, &b->store), 0);
    struct data_options o = opts ? *opts : (struct data_options){0};
    o.store = b->store;
    o.sum_parts = true; /* the memory store holds parts against it */
    assert_int_equal(data_new(&o, &b->data), 0);
}

/* Checks that all memory came back. */
static inline void bed_close(struct bed *b)
{
    /* Requests under way at the last free end on their own. */
    struct data_stats stats = {0};
    for (int i = 0; i < 20000; i++) {
        data_stats(b->data, &stats);
        if (!stats.memory_used && !stats.dirty_bytes && !stats.uploads)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_int_equal(stats.memory_used, 0);
    assert_int_equal(stats.dirty_bytes, 0);
    assert_int_equal(stats.uploads, 0);
    assert_int_equal(stats.readers, 0);
    assert_int_equal(stats.writers, 0);
    data_free(b->data);
    store_free(b->store);
}

static inline void bed_assert_requests(struct bed *b, const char *expected)
{
    char text[256];
    assert_string_equal(store_count_describe(b->store, text, sizeof(text)), expected);
}

static inline uint64_t content_word(uint64_t seed, uint64_t index)
{
    uint64_t x = (index + 1) * 0x9e3779b97f4a7c15ull ^ seed * 0xff51afd7ed558ccdull;
    x ^= x >> 31;
    x *= 0xbf58476d1ce4e5b9ull;
    return x ^ x >> 29;
}

/* Bytes of a content: a function of seed and offset. */
static inline void content_fill(uint64_t seed, uint64_t offset, void *buf, size_t len)
{
    char *p = buf;
    while (len) {
        uint64_t word = content_word(seed, offset / 8);
        size_t skip = offset % 8, n = MIN(len, 8 - skip);
        if (n == 8)
            memcpy(p, &word, 8);
        else
            memcpy(p, (char *)&word + skip, n);
        p += n;
        offset += n;
        len -= n;
    }
}

static inline bool content_is(uint64_t seed, uint64_t offset, const void *buf, size_t len)
{
    unsigned char expect[4096];
    const unsigned char *p = buf;
    for (size_t at = 0; at < len;) {
        size_t n = MIN(len - at, sizeof(expect));
        content_fill(seed, offset + at, expect, n);
        if (memcmp(expect, p + at, n) != 0)
            return false;
        at += n;
    }
    return true;
}

/* Puts an object past the counters. */
static inline void bed_put(struct bed *b, const char *key, uint64_t seed, size_t size,
                           struct store_version *ret)
{
    char *data = malloc(size + 1);
    assert_non_null(data);
    content_fill(seed, 0, data, size);
    struct iovec iov = {data, size};
    struct store_put_in in = {.key = key, .body = &iov, .n_body = 1};
    struct store_version v;
    assert_int_equal(store_put(b->memory, &in, ret ? ret : &v, NULL), 0);
    free(data);
}

static inline struct reader *bed_open_reader(struct bed *b, const char *key, const char *etag,
                                             uint64_t size)
{
    struct reader_options o = {.key = key, .size = size, .etag = etag};
    struct reader *r = NULL;
    assert_int_equal(reader_new(b->data, &o, &r), 0);
    return r;
}

/* What a read comes to; when it succeeds, `expect` bytes of that content. */
static inline int bed_read_check(struct reader *r, uint64_t seed, uint64_t offset, size_t len,
                                 size_t expect)
{
    char *buf = malloc(len + 1);
    size_t n = 0;
    assert_non_null(buf);
    int result = reader_read(r, offset, buf, len, &n, NULL);
    if (!result) {
        assert_int_equal(n, expect);
        assert_true(content_is(seed, offset, buf, n));
    }
    free(buf);
    return result;
}

struct bed_take {
    char *data;
    size_t len, alloc;
};

static inline int bed_take_write(void *ctx, const void *data, size_t len)
{
    struct bed_take *t = ctx;
    if (t->len + len > t->alloc)
        return -1;
    memcpy(t->data + t->len, data, len);
    t->len += len;
    return 0;
}

/* The bytes [offset, offset + len) of an object, past the counters. *ret_size: of the object; -1 as
 * the result when there is none. */
static inline long bed_get(struct bed *b, const char *key, uint64_t offset, void *buf, size_t len,
                           uint64_t *ret_size)
{
    struct store_object o;
    if (store_head(b->memory, key, &o, NULL))
        return -1;
    if (ret_size)
        *ret_size = o.size;
    uint64_t size = o.size;
    store_object_done(&o);
    if (offset >= size || !len)
        return 0;
    struct bed_take t = {.data = buf, .alloc = len};
    struct store_sink sink = {.write = bed_take_write, .ctx = &t};
    struct store_get_in in = {.key = key, .offset = offset, .length = len, .sink = &sink};
    assert_int_equal(store_get(b->memory, &in, &o, NULL), 0);
    store_object_done(&o);
    return (long)t.len;
}

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dull >> 16;
}

#endif
