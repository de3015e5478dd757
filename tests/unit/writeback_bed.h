/* SPDX-License-Identifier: Apache-2.0 */
/* Write-back over the store in memory, with faults and counts between them, a journal in memory and
 * a clock that stands still. */
#ifndef PAILFS_TESTS_WRITEBACK_BED_H
#define PAILFS_TESTS_WRITEBACK_BED_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "journal_memory.h"
#include "store/store_count.h"
#include "store/store_fault.h"
#include "store/store_memory.h"
#include "writeback/writeback.h"

struct kept { /* in lost+found */
    char key[64];
    char data[256];
    enum lost_reason reason;
    uint64_t size;
};

struct bed {
    char dir[100];
    struct clock_fake clock;
    struct store *memory, *fault, *count, *wb;
    struct journal_disk *disk;
    pthread_mutex_t lock;
    struct kept kept[8]; /* protected by lock */
    int n_kept;
    int refuse_kept;
    bool doubtful, settled;
};

static inline int keep(void *ctx, const struct writeback_lost *l)
{
    struct bed *b = ctx;
    if (b->refuse_kept)
        return -ENOSPC;
    pthread_mutex_lock(&b->lock);
    struct kept *k = &b->kept[b->n_kept++ % 8];
    snprintf(k->key, sizeof(k->key), "%s", l->key);
    k->reason = l->reason;
    k->size = l->size;
    memset(k->data, 0, sizeof(k->data));
    if (l->data)
        memcpy(k->data, l->data, MIN(l->size, sizeof(k->data) - 1));
    pthread_mutex_unlock(&b->lock);
    return 0;
}

static inline void note_settled(void *ctx)
{
    ((struct bed *)ctx)->settled = true;
}

static inline int kept(struct bed *b)
{
    pthread_mutex_lock(&b->lock);
    int n = b->n_kept;
    pthread_mutex_unlock(&b->lock);
    return n;
}

static inline void open_wb(struct bed *b)
{
    struct s3_error err = {0};
    struct writeback_options o = {.inner = b->count,
                                  .journal = journal_memory_new(b->disk),
                                  .dir = b->dir,
                                  .clock = &b->clock.clock,
                                  .linger_ns = 3600ull * NS_PER_S,
                                  .doubtful = b->doubtful,
                                  .settled = note_settled,
                                  .lost = keep,
                                  .ctx = b};
    assert_int_equal(writeback_new(&o, &b->wb, &err), 0);
}

static inline void open_bed(struct bed *b, unsigned threads)
{
    *b = (struct bed){0};
    snprintf(b->dir, sizeof(b->dir), "/tmp/test_writeback.XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    pthread_mutex_init(&b->lock, NULL);
    clock_fake_init(&b->clock, 1700000000ll * NS_PER_S);
    struct store_memory_options o = {
        .threads = threads, .clock = &b->clock.clock, .part_size_min = 4, .page_size = 5};
    assert_int_equal(store_memory_new(&o, &b->memory), 0);
    assert_int_equal(store_fault_new(b->memory, &b->clock.clock, &b->fault), 0);
    assert_int_equal(store_count_new(b->fault, NULL, &b->count), 0);
    b->disk = journal_disk_new();
    open_wb(b);
}

static inline void close_bed(struct bed *b)
{
    char command[128];
    store_free(b->wb);
    journal_disk_free(b->disk);
    snprintf(command, sizeof(command), "rm -rf %s", b->dir);
    assert_int_equal(system(command), 0);
}

/* Everything that failed or lingers has its turn. */
static inline void drain(struct bed *b)
{
    for (int i = 0; i < 400; i++) {
        if (writeback_settle(b->wb))
            return;
        clock_fake_advance(&b->clock, 31ull * NS_PER_S);
    }
    fail_msg("the queue does not drain");
}

static inline int put(struct store *s, const char *key, const char *text, const char *if_match,
                      bool if_absent, struct store_version *v)
{
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    struct store_version local;
    struct store_put_in in = {
        .key = key, .body = &iov, .n_body = 1, .if_match = if_match, .if_absent = if_absent};
    return store_put(s, &in, v ? v : &local, NULL);
}

static inline int take(void *ctx, const void *data, size_t len)
{
    strncat(ctx, data, len);
    return 0;
}

/* The content into a static buffer, NULL = no such object. */
static inline const char *get(struct store *s, const char *key)
{
    static char text[4096];
    struct store_sink sink = {NULL, take, text};
    struct store_get_in in = {.key = key, .sink = &sink};
    struct store_object o;
    text[0] = '\0';
    if (store_get(s, &in, &o, NULL))
        return NULL;
    store_object_done(&o);
    return text;
}

static inline int copy(struct store *s, const char *from, const char *etag, const char *to,
                       struct store_version *v)
{
    struct store_version local;
    struct store_copy_in in = {.source_key = from, .source_if_match = etag, .key = to};
    return store_copy(s, &in, v ? v : &local, NULL);
}

#endif
