/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes that are remembered over mounts: of exactly one version, never wrong ones, within
 * bounds, and never in the way. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "meta/attrs.h"
#include "meta/store_remember.h"
#include "store/store_count.h"
#include "store/store_memory.h"
#include "tempfolder.h"

struct bed {
    char *folder;
    struct clock_fake clock;
    struct store *memory; /* stays over remounts */
    struct store *count;  /* borrowed: part of store */
    struct store *store;  /* what a mount sees */
    const char *bucket;
    uint64_t max_rows;
    uint64_t max_bytes;
    uint64_t own_after_ns;
};

/* The objects outlive the mount. */
struct keep {
    struct store store;
    struct store *inner;
};
/* Requests that take their time, when they are wanted. */
static struct slow {
    bool wanted;
    const void *in;
    void *out;
    store_done_fn done;
    void *ctx;
} slow_copy, slow_head;

static int keep_submit(struct store *s, enum store_op op, const void *in, void *out,
                       store_done_fn done, void *ctx)
{
    if (op == STORE_COPY && slow_copy.wanted) {
        slow_copy = (struct slow){.in = in, .out = out, .done = done, .ctx = ctx};
        return 0;
    }
    if (op == STORE_HEAD && slow_head.wanted) {
        slow_head = (struct slow){.in = in, .out = out, .done = done, .ctx = ctx};
        return 0;
    }
    return store_submit(CONTAINER_OF(s, struct keep, store)->inner, op, in, out, done, ctx);
}
static void keep_free(struct store *s)
{
    free(CONTAINER_OF(s, struct keep, store));
}
static const struct store_ops KEEP_OPS = {.submit = keep_submit, .free = keep_free};

static void begin(struct bed *b)
{
    struct keep *k = calloc(1, sizeof(*k));
    struct metadata_db_options opts = {.folder = b->folder,
                                       .endpoint = "http://127.0.0.1:9000",
                                       .bucket = b->bucket,
                                       .prefix = "",
                                       .clock = &b->clock.clock,
                                       .max_rows = b->max_rows,
                                       .max_bytes = b->max_bytes};

    struct store_remember_options all = {.db = opts, .own_after_ns = b->own_after_ns};
    assert_non_null(k);
    k->store.ops = &KEEP_OPS;
    k->inner = b->memory;
    assert_int_equal(store_count_new(&k->store, NULL, &b->count), 0);
    assert_int_equal(store_remember_new(b->count, &all, &b->store), 0);
}

static void end(struct bed *b)
{
    store_free(b->store);
    b->store = NULL;
}

static void remount(struct bed *b)
{
    if (b->store)
        end(b);
    begin(b);
}

static int setup(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));
    struct store_memory_options opts = {0};

    log_set_level(LOG_LEVEL_ERROR);
    clock_fake_init(&b->clock, 1700000000 * NS_PER_S);
    b->bucket = "bucket";
    b->folder = tempfolder_make();
    opts.clock = &b->clock.clock;
    assert_int_equal(store_memory_new(&opts, &b->memory), 0);
    begin(b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;

    store_free(b->store);
    store_free(b->memory);
    tempfolder_remove(b->folder);
    free(b);
    return 0;
}

static void put_in(struct store *s, const char *key, const char *body, const char *mode)
{
    struct iovec iov = {(void *)(uintptr_t)body, strlen(body)};
    struct store_metadata m[] = {{"mode", mode}, {"empty", ""}};
    struct store_put_in in = {.key = key,
                              .body = &iov,
                              .n_body = 1,
                              .attrs = {.content_type = "text/plain",
                                        .cache_control = "no-store",
                                        .metadata = m,
                                        .n_metadata = ARRAY_SIZE(m)}};
    struct store_version version;

    assert_int_equal(store_put(s, &in, &version, NULL), 0);
}

/* As another host does it. */
static void put(struct bed *b, const char *key, const char *body, const char *mode)
{
    put_in(b->memory, key, body, mode);
}

/* Asks as a mount does that has listed the key; the mode it is told. */
static const char *mode_of(struct bed *b, const char *key)
{
    static char mode[32];
    struct store_page page = {0};
    struct store_list_in list = {.prefix = key, .max_keys = 1};
    struct store_known known;
    struct store_head_in in = {.key = key, .known = &known};
    struct store_object o = {0};

    assert_int_equal(store_list(b->memory, &list, &page, NULL), 0);
    assert_int_equal(page.n_entries, 1);
    known =
        (struct store_known){page.entries[0].etag, page.entries[0].mtime_ns, page.entries[0].size};
    assert_int_equal(store_call(b->store, STORE_HEAD, &in, &o, NULL), 0);
    assert_int_equal(o.size, known.size);
    assert_int_equal(o.mtime_ns, known.mtime_ns);
    assert_string_equal(o.etag, known.etag);
    assert_int_equal(o.attrs.n_metadata, 2);
    assert_string_equal(o.attrs.metadata[0].name, "mode");
    assert_string_equal(o.attrs.metadata[1].name, "empty");
    assert_string_equal(o.attrs.metadata[1].value, "");
    assert_string_equal(o.attrs.content_type, "text/plain");
    assert_string_equal(o.attrs.cache_control, "no-store");
    assert_null(o.attrs.content_language);
    (void)snprintf(mode, sizeof(mode), "%s", o.attrs.metadata[0].value);
    store_object_done(&o);
    store_page_done(&page);
    return mode;
}

/* HEADs that reached the store since the last time. */
static unsigned heads(struct bed *b)
{
    unsigned n = (unsigned)store_count_requests(b->count, STORE_HEAD);

    store_count_reset(b->count);
    return n;
}

static uint64_t rows(struct bed *b)
{
    struct store_remember_figures f;

    store_remember_settle(b->store);
    store_remember_get(b->store, &f);
    return f.rows;
}

static void later(struct bed *b, unsigned seconds)
{
    if (b->store)
        store_remember_settle(b->store); /* or it looks as if the disk had kept it for so long */
    clock_fake_advance(&b->clock, seconds * (uint64_t)NS_PER_S);
}

/* An object that is remembered and asked for without a request. */
static void remember_one(struct bed *b, const char *key)
{
    put(b, key, "body", "33188");
    later(b, 10);
    assert_string_equal(mode_of(b, key), "33188");
    assert_int_equal(rows(b), 1);
}

static void test_kept_over_mounts(void **state)
{
    struct bed *b = *state;

    remember_one(b, "a/b");
    assert_int_equal(heads(b), 1);
    remount(b);
    assert_string_equal(mode_of(b, "a/b"), "33188");
    assert_int_equal(heads(b), 0);
    assert_true(store_remember_has_rows(b->store));
}

static void test_other_versions(void **state)
{
    struct bed *b = *state;

    remember_one(b, "a");
    assert_int_equal(heads(b), 1);
    /* Metadata alone: the same ETag and size, another LastModified. */
    put(b, "a", "body", "33152");
    assert_string_equal(mode_of(b, "a"), "33152");
    assert_int_equal(heads(b), 1);
    later(b, 10);
    put(b, "a", "longer body", "33024");
    assert_string_equal(mode_of(b, "a"), "33024");
    assert_int_equal(heads(b), 1);
    remount(b);
    assert_string_equal(mode_of(b, "a"), "33024");
    assert_int_equal(heads(b), 1);
}

/* What is seen in the second of LastModified, or in the next one, may change without a trace. */
static void test_racy_second(void **state)
{
    struct bed *b = *state;

    put(b, "a", "body", "33188");
    assert_string_equal(mode_of(b, "a"), "33188");
    put(b, "a", "body", "33152");
    assert_string_equal(mode_of(b, "a"), "33152");
    assert_int_equal(heads(b), 2);
    later(b, 1);
    assert_string_equal(mode_of(b, "a"), "33152");
    assert_int_equal(rows(b), 0);
    later(b, 1);
    assert_string_equal(mode_of(b, "a"), "33152");
    assert_int_equal(rows(b), 1);
    assert_int_equal(heads(b), 2);
    assert_string_equal(mode_of(b, "a"), "33152");
    assert_int_equal(heads(b), 0);
}

static void test_settled(void **state)
{
    (void)state;
    assert_false(metadata_is_settled(0, 100 * NS_PER_S));
    assert_false(metadata_is_settled(100 * NS_PER_S, 99 * NS_PER_S));
    assert_false(metadata_is_settled(100 * NS_PER_S, 100 * NS_PER_S + 1999999999));
    assert_true(metadata_is_settled(100 * NS_PER_S, 102 * NS_PER_S));
    assert_true(metadata_is_settled(100 * NS_PER_S + 900 * NS_PER_MS, 102 * NS_PER_S));
}

static void test_own_changes_are_forgotten(void **state)
{
    struct bed *b = *state;
    const char *many[] = {"c", "d"};
    struct store_delete_many_in in = {.keys = many, .n_keys = 2};
    struct store_delete_many_out out = {0};

    for (const char *key = "a\0b\0c\0d\0"; *key; key += 2)
        put(b, key, "body", "33188");
    later(b, 10);
    for (const char *key = "a\0b\0c\0d\0"; *key; key += 2)
        (void)mode_of(b, key);
    assert_int_equal(rows(b), 4);
    put_in(b->store, "a", "body", "33188");
    assert_int_equal(rows(b), 3);
    assert_int_equal(store_delete(b->store, "b", NULL, NULL), 0);
    assert_int_equal(rows(b), 2);
    assert_int_equal(store_call(b->store, STORE_DELETE_MANY, &in, &out, NULL), 0);
    store_delete_many_out_done(&out);
    assert_int_equal(rows(b), 0);
}

static void test_bounded_rows(void **state)
{
    struct bed *b = *state;
    char key[32];

    b->max_rows = 10;
    remount(b);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(key, sizeof(key), "file-%02d", i);
        put(b, key, "body", "33188");
        later(b, 10);
        (void)mode_of(b, key);
        assert_in_range(rows(b), 1, 10);
    }
    assert_int_equal(rows(b), 10);
    (void)heads(b);
    /* The newest ones are there. */
    (void)mode_of(b, "file-39");
    (void)mode_of(b, "file-30");
    assert_int_equal(heads(b), 0);
    (void)mode_of(b, "file-29");
    assert_int_equal(heads(b), 1);
}

static void test_used_ones_stay(void **state)
{
    struct bed *b = *state;
    char key[32];

    b->max_rows = 10;
    remount(b);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(key, sizeof(key), "file-%02d", i);
        put(b, key, "body", "33188");
    }
    later(b, 10);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(key, sizeof(key), "file-%02d", i);
        (void)mode_of(b, key);
        (void)rows(b); /* its own transaction */
        later(b, 1);
    }
    later(b, 2 * 24 * 60 * 60);
    (void)mode_of(b, "file-00"); /* the oldest one is used again */
    later(b, 60);
    put(b, "new", "body", "33188");
    later(b, 10);
    (void)mode_of(b, "new");
    assert_int_equal(rows(b), 10);
    (void)heads(b);
    (void)mode_of(b, "file-00");
    assert_int_equal(heads(b), 0);
    (void)mode_of(b, "file-01");
    assert_int_equal(heads(b), 1);
}

static uint64_t file_size(struct bed *b, const char *name)
{
    CLEANUP_FREE char *path = NULL;
    struct stat st;

    assert_true(asprintf(&path, "%s/%s", b->folder, name) > 0);
    return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

static void test_bounded_bytes(void **state)
{
    struct bed *b = *state;
    char key[900];

    b->max_bytes = 256 << 10;
    remount(b);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(key, sizeof(key), "%0700d", i);
        put(b, key, "", "33188");
    }
    later(b, 10);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(key, sizeof(key), "%0700d", i);
        (void)mode_of(b, key);
        if (i % 100 == 99)
            (void)rows(b);
    }
    assert_in_range(rows(b), 50, 400);
    end(b);
    assert_in_range(file_size(b, "metadata.db"), 100 << 10, 700 << 10);
}

static void flip(struct bed *b, uint64_t at)
{
    CLEANUP_FREE char *path = NULL;
    uint8_t byte;

    assert_true(asprintf(&path, "%s/metadata.db", b->folder) > 0);
    CLEANUP_FD int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

/* Whatever byte is wrong: the answer is right, with a request or without. */
static void test_flipped_bytes(void **state)
{
    struct bed *b = *state;
    unsigned kept = 0, asked = 0;

    for (const char *key = "a\0b\0c\0"; *key; key += 2)
        put(b, key, key, "33188");
    later(b, 10);
    for (const char *key = "a\0b\0c\0"; *key; key += 2)
        (void)mode_of(b, key);
    end(b);
    uint64_t size = file_size(b, "metadata.db");
    assert_true(size >= 8192);
    log_set_level(LOG_LEVEL_ERROR);
    for (uint64_t at = 0; at < size; at += at < 200 || (at & 4095) > 3700 ? 3 : 97) {
        if (file_size(b, "metadata.db") <= at)
            break; /* begun anew, with fewer pages so far */
        flip(b, at);
        begin(b);
        for (const char *key = "a\0b\0c\0"; *key; key += 2)
            assert_string_equal(mode_of(b, key), "33188");
        unsigned n = heads(b);
        asked += n > 0;
        kept += n == 0;
        for (const char *key = "a\0b\0c\0"; *key; key += 2)
            assert_string_equal(mode_of(b, key), "33188");
        end(b);
    }
    assert_true(asked > 5);
    assert_true(kept > 5);
}

static void write_file(struct bed *b, const char *name, const char *text)
{
    CLEANUP_FREE char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", b->folder, name) > 0);
    CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* The count of the rows is no row: nothing says that it is right. */
static void test_wrong_count(void **state)
{
    struct bed *b = *state;
    CLEANUP_FREE char *path = NULL;
    sqlite3 *db;

    b->max_rows = 100;
    remount(b);
    remember_one(b, "a");
    end(b);
    assert_true(asprintf(&path, "%s/metadata.db", b->folder) > 0);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE meta SET value = 1000000000000 WHERE name = 'rows'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    begin(b);
    put(b, "b", "body", "33188");
    later(b, 10);
    assert_string_equal(mode_of(b, "b"), "33188");
    assert_int_equal(rows(b), 2);
    remount(b);
    (void)heads(b);
    assert_string_equal(mode_of(b, "a"), "33188");
    assert_string_equal(mode_of(b, "b"), "33188");
    assert_int_equal(heads(b), 0);
}

static void test_no_database(void **state)
{
    struct bed *b = *state;

    remember_one(b, "a");
    end(b);
    write_file(b, "metadata.db", "this is no database at all, but long enough to look like some");
    begin(b);
    (void)heads(b);
    assert_string_equal(mode_of(b, "a"), "33188");
    assert_int_equal(heads(b), 1);
    assert_int_equal(rows(b), 1);
    remount(b);
    assert_string_equal(mode_of(b, "a"), "33188");
    assert_int_equal(heads(b), 0);
}

static void test_other_bucket(void **state)
{
    struct bed *b = *state;

    remember_one(b, "a");
    end(b);
    b->bucket = "another";
    begin(b);
    assert_int_equal(rows(b), 0);
    assert_string_equal(mode_of(b, "a"), "33188");
    assert_int_equal(heads(b), 1);
}

/* A folder that is not there stands for every disk that does not work. */
static void test_off(void **state)
{
    struct bed *b = *state;
    struct store_remember_figures f;
    char *folder = b->folder;

    end(b);
    b->folder = (char *)(uintptr_t) "/nonexistent/folder";
    begin(b);
    b->folder = folder;
    put(b, "a", "body", "33188");
    later(b, 10);
    assert_string_equal(mode_of(b, "a"), "33188");
    assert_string_equal(mode_of(b, "a"), "33188");
    assert_int_equal(heads(b), 2);
    store_remember_settle(b->store);
    store_remember_get(b->store, &f);
    assert_true(f.off);
}

static void test_disk_full(void **state)
{
    struct bed *b = *state;
    struct rlimit before, small = {.rlim_cur = 64 << 10};
    struct store_remember_figures f = {0};
    char key[900];

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    remember_one(b, "a");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof(key), "%0700d", i);
        put(b, key, "", "33188");
    }
    later(b, 10);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof(key), "%0700d", i);
        assert_string_equal(mode_of(b, key), "33188");
    }
    store_remember_settle(b->store);
    store_remember_get(b->store, &f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(f.off);
    assert_string_equal(mode_of(b, "a"), "33188");
    remount(b);
    (void)heads(b);
    assert_string_equal(mode_of(b, "a"), "33188");
}

/* Requests that are not of a listed version pass through. */
static void test_others_pass(void **state)
{
    struct bed *b = *state;
    struct store_object o = {0};
    struct s3_error err = {0};

    remember_one(b, "a");
    (void)heads(b);
    assert_int_equal(store_head(b->store, "a", &o, NULL), 0);
    store_object_done(&o);
    assert_int_equal(heads(b), 1);
    assert_int_not_equal(store_head(b->store, "none", &o, &err), 0);
    assert_int_equal(err.kind, S3_ERROR_NO_SUCH_KEY);
    /* Gone since it was listed. */
    struct store_known known = {"\"x\"", 1, 1};
    struct store_head_in in = {.key = "none", .known = &known};
    assert_int_not_equal(store_call(b->store, STORE_HEAD, &in, &o, &err), 0);
    assert_int_equal(err.kind, S3_ERROR_NO_SUCH_KEY);
    assert_int_equal(rows(b), 1);
}

/* ---- a disk that does not answer ---- */

struct stop {
    sem_t begun, go_on, done;
    int result;
};

/* The thread that looks up runs this, too: while it waits, no lookup is answered. */
static void hold(void *ctx, int result, const struct s3_error *err)
{
    struct stop *s = ctx;

    (void)err;
    s->result = result;
    sem_post(&s->begun);
    sem_wait(&s->go_on);
    sem_post(&s->done);
}

static void note_done(void *ctx, int result, const struct s3_error *err)
{
    struct stop *s = ctx;

    (void)err;
    s->result = result;
    sem_post(&s->done);
}

static void test_stuck_disk(void **state)
{
    struct bed *b = *state;
    struct stop held, queued;
    struct store_object of_held = {0}, of_queued = {0};
    struct store_page page = {0};
    struct store_list_in list = {.prefix = "a", .max_keys = 1};

    remember_one(b, "a");
    (void)heads(b);
    assert_int_equal(store_list(b->memory, &list, &page, NULL), 0);
    struct store_known known = {page.entries[0].etag, page.entries[0].mtime_ns,
                                page.entries[0].size};
    struct store_head_in in = {.key = "a", .known = &known};
    for (int i = 0; i < 2; i++) {
        struct stop *s = i ? &queued : &held;
        assert_int_equal(sem_init(&s->begun, 0, 0), 0);
        assert_int_equal(sem_init(&s->go_on, 0, 0), 0);
        assert_int_equal(sem_init(&s->done, 0, 0), 0);
        s->result = -1;
    }
    assert_int_equal(store_submit(b->store, STORE_HEAD, &in, &of_held, hold, &held), 0);
    assert_int_equal(sem_wait(&held.begun), 0);
    assert_int_equal(store_submit(b->store, STORE_HEAD, &in, &of_queued, note_done, &queued), 0);
    assert_int_equal(heads(b), 0);
    clock_fake_advance(&b->clock, (uint64_t)NS_PER_S);
    assert_string_equal(mode_of(b, "a"), "33188"); /* the store was asked, for both */
    assert_int_equal(sem_wait(&queued.done), 0);
    assert_int_equal(heads(b), 2);
    assert_int_equal(queued.result, 0);
    assert_false(of_queued.remembered);
    assert_int_equal(sem_post(&held.go_on), 0);
    assert_int_equal(sem_wait(&held.done), 0);
    assert_int_equal(held.result, 0);
    assert_true(of_held.remembered);
    (void)rows(b);
    assert_string_equal(mode_of(b, "a"), "33188"); /* and it looks up again */
    assert_int_equal(heads(b), 0);
    store_object_done(&of_held);
    store_object_done(&of_queued);
    store_page_done(&page);
}

/* What a HEAD tells while a change of ours is under way is not remembered beyond it: where the time
 * of the change is that of its beginning, both versions may have the same one. */
static void test_told_beside_a_change(void **state)
{
    static const struct store_metadata after[] = {{"mode", "33152"}, {"empty", ""}};
    struct store_copy_in in = {
        .source_key = "a",
        .key = "a",
        .replace_attrs = true,
        .attrs = {.content_type = "text/plain",
                  .cache_control = "no-store",
                  .metadata = after,
                  .n_metadata = ARRAY_SIZE(after)},
    };
    /* The row waits to be written, or it is written, or its answer comes last of all. */
    for (unsigned way = 0; way < 3; way++) {
        struct bed *b = *state;
        struct stop s = {.result = -1}, head = {.result = -1};
        struct store_head_in head_in = {.key = "a"};
        struct store_object of_head = {0};
        struct store_version version;
        assert_int_equal(sem_init(&s.done, 0, 0), 0);
        put(b, "a", "body", "33188");
        slow_copy.wanted = true;
        assert_int_equal(store_submit(b->store, STORE_COPY, &in, &version, note_done, &s), 0);
        later(b, 3);
        if (way < 2)
            assert_string_equal(mode_of(b, "a"), "33188");
        else
            slow_head.wanted = true;
        if (way == 1)
            assert_int_equal(rows(b), 1);
        if (way == 2) {
            assert_int_equal(sem_init(&head.done, 0, 0), 0);
            assert_int_equal(
                store_submit(b->store, STORE_HEAD, &head_in, &of_head, note_done, &head), 0);
            assert_int_equal(store_call(b->memory, STORE_HEAD, slow_head.in, slow_head.out, NULL),
                             0);
        }
        /* It is carried out, as of then. */
        b->clock.realtime -= 3 * NS_PER_S;
        assert_int_equal(store_submit(b->memory, STORE_COPY, slow_copy.in, slow_copy.out,
                                      slow_copy.done, slow_copy.ctx),
                         0);
        b->clock.realtime += 3 * NS_PER_S;
        assert_int_equal(sem_wait(&s.done), 0);
        assert_int_equal(s.result, 0);
        if (way == 2) {
            slow_head.done(slow_head.ctx, 0, NULL);
            assert_int_equal(sem_wait(&head.done), 0);
            store_object_done(&of_head);
        }
        assert_int_equal(rows(b), 0);
        remount(b);
        assert_string_equal(mode_of(b, "a"), "33152");
        assert_int_equal(rows(b), 1);
        later(b, 10);
        put_in(b->store, "a", "other", "33188");
        assert_int_equal(rows(b), 0);
    }
}

/* ---- own changes ---- */

static void put_own(struct bed *b, const char *key, const struct store_attrs *attrs)
{
    struct iovec iov = {(void *)(uintptr_t) "body", 4};
    struct store_put_in in = {.key = key, .body = &iov, .n_body = 1};
    struct store_version version;

    if (attrs)
        in.attrs = *attrs;
    assert_int_equal(store_put(b->store, &in, &version, NULL), 0);
}

static const struct store_metadata MODE[] = {{"mode", "33188"}, {"empty", ""}};
static const struct store_attrs WITH_MODE = {.content_type = "text/plain",
                                             .cache_control = "no-store",
                                             .metadata = MODE,
                                             .n_metadata = ARRAY_SIZE(MODE)};
static const struct store_metadata MARK[] = {{ATTRS_DIRECTORY_FLAG, "1"}};
static const struct store_attrs WITH_MARK = {.metadata = MARK, .n_metadata = ARRAY_SIZE(MARK)};

static struct store_remember_figures figures(struct bed *b)
{
    struct store_remember_figures f;

    store_remember_settle(b->store);
    store_remember_get(b->store, &f);
    return f;
}

static void own_begin(struct bed *b)
{
    b->own_after_ns = 10 * (uint64_t)NS_PER_S;
    remount(b);
}

static void test_own_are_asked_for_in_quiet(void **state)
{
    struct bed *b = *state;

    own_begin(b);
    put_own(b, "a", &WITH_MODE);
    put_own(b, "b", &WITH_MODE);
    later(b, 9);
    assert_int_equal(figures(b).own, 0);
    assert_int_equal(store_delete(b->store, "none", NULL, NULL), 0); /* somebody is at work */
    later(b, 9);
    assert_int_equal(figures(b).own, 0);
    assert_int_equal(figures(b).waiting, 2);
    later(b, 1);
    assert_int_equal(figures(b).own, 2);
    assert_int_equal(figures(b).rows, 2);
    assert_int_equal(heads(b), 2);
    remount(b);
    assert_string_equal(mode_of(b, "a"), "33188");
    assert_string_equal(mode_of(b, "b"), "33188");
    assert_int_equal(heads(b), 0);
    later(b, 100);
    assert_int_equal(figures(b).own, 0);
}

/* Another host's change within the second of ours: what is remembered is what is there. */
static void test_own_and_another_hosts(void **state)
{
    struct bed *b = *state;

    own_begin(b);
    put_own(b, "a", &WITH_MODE);
    put(b, "a", "body", "33152");
    later(b, 10);
    assert_int_equal(figures(b).rows, 1);
    assert_int_equal(heads(b), 1);
    remount(b);
    assert_string_equal(mode_of(b, "a"), "33152");
    assert_int_equal(heads(b), 0);
}

/* The last change counts, and what is gone is not asked for. */
static void test_own_once(void **state)
{
    struct bed *b = *state;
    const char *many[] = {"c", "d"};
    struct store_delete_many_in in = {.keys = many, .n_keys = 2};
    struct store_delete_many_out out = {0};

    own_begin(b);
    for (int i = 0; i < 30; i++) {
        put_own(b, "a", &WITH_MODE);
        later(b, 3);
    }
    put_own(b, "b", &WITH_MODE);
    put_own(b, "c", &WITH_MODE);
    put_own(b, "d", &WITH_MODE);
    assert_int_equal(store_delete(b->store, "b", NULL, NULL), 0);
    assert_int_equal(store_call(b->store, STORE_DELETE_MANY, &in, &out, NULL), 0);
    store_delete_many_out_done(&out);
    assert_int_equal(figures(b).waiting, 1);
    later(b, 10);
    assert_int_equal(figures(b).own, 1);
}

/* Of files without metadata only those that a walk would ask for. */
static void test_own_without_metadata(void **state)
{
    struct bed *b = *state;
    struct store_copy_in copy = {.source_key = "x/", .key = "y/"};
    struct store_version version;

    own_begin(b);
    put_own(b, "plain/a", NULL);
    put_own(b, "x/a", NULL);
    put_own(b, "x/sub/", NULL);
    put_own(b, "x/sub/a", NULL);
    put_own(b, "top", NULL);
    put_own(b, "x/", &WITH_MARK);
    assert_int_equal(store_copy(b->store, &copy, &version, NULL), 0);
    put_own(b, "y/a", NULL);
    later(b, 10);
    (void)figures(b);
    /* "x/a", "x/sub/", "x/", "y/a"; "y/" itself is in the root, which is not marked. */
    assert_int_equal(figures(b).own, 4);
    put_own(b, ".root", &WITH_MARK);
    put_own(b, "top", NULL);
    later(b, 10);
    assert_int_equal(figures(b).own, 6);
    /* Of a directory that was marked before, a HEAD tells. */
    remount(b);
    struct store_object o = {0};
    assert_int_equal(store_head(b->store, "x/", &o, NULL), 0);
    store_object_done(&o);
    put_own(b, "x/b", NULL);
    put_own(b, "plain/b", NULL);
    later(b, 10);
    assert_int_equal(figures(b).own, 1);
    assert_int_equal(figures(b).waiting, 0);
}

/* When it is too young for the server's clock it is asked for once more, and no more. */
static void test_own_too_young(void **state)
{
    struct bed *b = *state;

    b->own_after_ns = (uint64_t)NS_PER_S;
    remount(b);
    put_own(b, "a", &WITH_MODE);
    later(b, 1);
    assert_int_equal(figures(b).own, 1);
    assert_int_equal(figures(b).rows, 0);
    later(b, 3);
    assert_int_equal(figures(b).own, 1);
    later(b, 1);
    assert_int_equal(figures(b).own, 2);
    assert_int_equal(figures(b).rows, 1);
    later(b, 100);
    assert_int_equal(figures(b).own, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept_over_mounts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_racy_second, setup, teardown),
        cmocka_unit_test(test_settled),
        cmocka_unit_test_setup_teardown(test_own_changes_are_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_used_ones_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flipped_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_database, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disk_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stuck_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_told_beside_a_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_are_asked_for_in_quiet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_and_another_hosts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_without_metadata, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_too_young, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
