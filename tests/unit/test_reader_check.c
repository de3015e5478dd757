/* SPDX-License-Identifier: Apache-2.0 */
/* Large objects against their stored checksum: which ones are asked about, what is said when that
 * fails, and that what the disk cache has counts. Over a store that tells a checksum with HEAD, or
 * does not, and that can alter what it gives. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/crc.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "data/block_folder.h"
#include "data/data_impl.h"
#include "data_bed.h"
#include "tempfolder.h"

#define SEED 9
#define SIZE (3 * MIB + 777)

/* ---- the store ---- */

struct teller {
    struct store store; /* first */
    struct store *inner;
    bool silent;  /* tells no checksum */
    bool pending; /* as write-back says of what is not stored yet */
    enum s3_error_kind fail;
    uint64_t spoil_at; /* the byte there is another one; 0 = none */
    unsigned heads;
    char crc[16];
    struct store_metadata facts[2];
};

struct told {
    struct teller *t;
    struct store_object *out;
    store_done_fn done;
    void *ctx;
};

static void told(void *ctx, int result, const struct s3_error *err)
{
    struct told c = *(struct told *)ctx;
    free(ctx);
    if (!result && !c.t->silent) {
        c.out->facts = c.t->facts;
        c.out->n_facts = ARRAY_SIZE(c.t->facts);
    }
    if (!result)
        c.out->pending = c.t->pending;
    c.done(c.ctx, result, err);
}

struct spoiler {
    struct teller *t;
    const struct store_sink *to;
    struct store_sink sink;
    struct store_get_in in;
    uint64_t at;
    store_done_fn done;
    void *ctx;
};

static int spoil_begin(void *ctx, const struct store_object *o)
{
    struct spoiler *s = ctx;
    return s->to->begin ? s->to->begin(s->to->ctx, o) : 0;
}

static int spoil_write(void *ctx, const void *data, size_t len)
{
    struct spoiler *s = ctx;
    char *copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy, data, len);
    if (s->t->spoil_at >= s->at && s->t->spoil_at - s->at < len && s->t->spoil_at)
        copy[s->t->spoil_at - s->at] ^= 1;
    s->at += len;
    int result = s->to->write(s->to->ctx, copy, len);
    free(copy);
    return result;
}

static void spoil_done(void *ctx, int result, const struct s3_error *err)
{
    struct spoiler s = *(struct spoiler *)ctx;
    free(ctx);
    s.done(s.ctx, result, err);
}

static int teller_submit(struct store *store, enum store_op op, const void *in, void *out,
                         store_done_fn done, void *ctx)
{
    struct teller *t = (struct teller *)store;
    if (op == STORE_HEAD && ((const struct store_head_in *)in)->facts) {
        t->heads++;
        if (t->fail) {
            struct s3_error err;
            done(ctx, s3_error_set(&err, t->fail, "there is no answer"), &err);
            return 0;
        }
        struct told *c = malloc(sizeof(*c));
        assert_non_null(c);
        *c = (struct told){t, out, done, ctx};
        return store_submit(t->inner, op, in, out, told, c);
    }
    if (op == STORE_GET) {
        struct spoiler *s = malloc(sizeof(*s));
        assert_non_null(s);
        *s = (struct spoiler){
            .t = t, .in = *(const struct store_get_in *)in, .done = done, .ctx = ctx};
        s->to = s->in.sink;
        s->at = s->in.length ? s->in.offset : 0;
        s->sink = (struct store_sink){spoil_begin, spoil_write, s};
        s->in.sink = &s->sink;
        return store_submit(t->inner, op, &s->in, out, spoil_done, s);
    }
    return store_submit(t->inner, op, in, out, done, ctx);
}

static const struct store_ops TELLER_OPS = {.submit = teller_submit};

/* ---- the bed ---- */

struct checked {
    struct bed bed;
    struct teller teller;
    char *dir, *log;
    char etag[STORE_ETAG_SIZE];
};

static void mount_checked(struct checked *c, bool always)
{
    struct data_options o = {.store = &c->teller.store,
                             .verify_min = 1,
                             .verify_always = always,
                             .cache_dir = c->dir,
                             .cache_limit = c->dir ? GIB : 0};
    assert_int_equal(data_new(&o, &c->bed.data), 0);
}

static void open_checked(struct checked *c, bool always, bool cached)
{
    *c = (struct checked){0};
    c->dir = cached ? tempfolder_make() : NULL;
    bed_open(&c->bed, 0, NULL, NULL);
    data_free(c->bed.data);
    c->teller.store.ops = &TELLER_OPS;
    c->teller.inner = c->bed.store;
    char *content = malloc(SIZE);
    uint8_t bytes[8];
    struct strbuf text = STRBUF_INIT(64);
    assert_non_null(content);
    content_fill(SEED, 0, content, SIZE);
    uint64_t crc = crc64nvme_update(0, content, SIZE);
    free(content);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(crc >> (56 - 8 * i));
    encode_base64(&text, bytes, sizeof(bytes));
    snprintf(c->teller.crc, sizeof(c->teller.crc), "%s", strbuf_str(&text));
    strbuf_done(&text);
    c->teller.facts[0] = (struct store_metadata){"checksum-crc64nvme", c->teller.crc};
    c->teller.facts[1] = (struct store_metadata){"checksum-type", "FULL_OBJECT"};
    struct store_version v;
    bed_put(&c->bed, "f", SEED, SIZE, &v);
    memcpy(c->etag, v.etag, sizeof(c->etag));
    mount_checked(c, always);
}

static void close_checked(struct checked *c)
{
    if (c->dir)
        block_cache_stop(c->bed.data->blocks);
    bed_close(&c->bed);
    tempfolder_remove(c->dir);
}

static struct reader *open_reader(struct checked *c)
{
    struct reader_options o = {.key = "f", .size = SIZE, .etag = c->etag, .believed = true};
    struct reader *r = NULL;
    assert_int_equal(reader_new(c->bed.data, &o, &r), 0);
    return r;
}

/* A program that reads [from, SIZE) in order. What its last read comes to. */
static int read_from(struct checked *c, uint64_t from)
{
    static char buf[128 * KIB];
    struct reader *r = open_reader(c);
    int result = 0;
    for (uint64_t at = from; at < SIZE && !result; at += sizeof(buf)) {
        size_t n;
        result = reader_read(r, at, buf, sizeof(buf), &n, NULL);
        if (!result && !c->teller.spoil_at)
            assert_true(content_is(SEED, at, buf, n));
    }
    reader_free(r);
    if (c->dir)
        block_cache_settle(c->bed.data->blocks);
    return result;
}

static unsigned heads_for(struct checked *c, unsigned objects)
{
    unsigned before = c->teller.heads;
    for (unsigned i = 0; i < objects; i++)
        assert_int_equal(read_from(c, 0), 0);
    return c->teller.heads - before;
}

/* ---- who is asked about ---- */

static void every_object_with_always(void **state)
{
    struct checked c;
    open_checked(&c, true, false);
    c.teller.silent = true;
    assert_int_equal(heads_for(&c, 20), 20);
    c.teller.silent = false;
    c.teller.spoil_at = 2 * MIB;
    assert_int_equal(read_from(&c, 0), -EIO);
    close_checked(&c);
}

static void one_in_some_where_none_is_told(void **state)
{
    struct checked c;
    open_checked(&c, false, false);
    c.teller.silent = true;
    assert_int_equal(heads_for(&c, 4), 4);
    assert_int_equal(heads_for(&c, 15), 0);
    assert_int_equal(heads_for(&c, 1), 1);
    assert_int_equal(heads_for(&c, 15), 0);
    c.teller.silent = false;
    assert_int_equal(heads_for(&c, 1), 1);
    assert_int_equal(heads_for(&c, 5), 5);
    c.teller.spoil_at = 2 * MIB;
    assert_int_equal(read_from(&c, 0), -EIO);
    close_checked(&c);
}

static void pending_objects_tell_nothing_of_the_server(void **state)
{
    struct checked c;
    open_checked(&c, false, false);
    c.teller.silent = c.teller.pending = true;
    assert_int_equal(heads_for(&c, 8), 8);
    c.teller.silent = c.teller.pending = false;
    assert_int_equal(heads_for(&c, 3), 3);
    close_checked(&c);
}

/* The kernel's first reads come side by side: any of them may be the first. */
static void the_first_reads_in_any_order(void **state)
{
    static const uint64_t FIRST[][3] = {{1, 0, 2}, {2, 1, 0}, {2, 0, 1}, {8, 0, 1}, {9, 8, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(FIRST); i++) {
        struct checked c;
        open_checked(&c, false, false);
        c.teller.spoil_at = FIRST[i][0] * 128 * KIB + 5;
        struct reader *r = open_reader(&c);
        static char buf[128 * KIB];
        size_t n;
        int result = 0;
        for (size_t k = 0; k < ARRAY_SIZE(FIRST[i]) && !result; k++)
            result = reader_read(r, FIRST[i][k] * sizeof(buf), buf, sizeof(buf), &n, NULL);
        for (uint64_t at = sizeof(buf); at < SIZE && !result; at += sizeof(buf))
            result = reader_read(r, at, buf, sizeof(buf), &n, NULL);
        assert_int_equal(result, -EIO);
        reader_free(r);
        close_checked(&c);
    }
}

/* ---- what is said ---- */

static unsigned lines(const char *path, const char *words)
{
    char line[1024];
    unsigned n = 0;
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        n += strstr(line, words) != NULL;
    fclose(f);
    return n;
}

static void failures_are_told_with_always(void **state)
{
    char *dir = tempfolder_make(), path[256];
    snprintf(path, sizeof(path), "%s/log", dir);
    enum log_level level = log_get_level();
    log_set_level(LOG_LEVEL_INFO);
    assert_int_equal(log_open(LOG_TARGET_FILE, path), 0);
    for (int always = 0; always < 2; always++) {
        struct checked c;
        open_checked(&c, always, false);
        c.teller.fail = S3_ERROR_ACCESS_DENIED;
        assert_int_equal(heads_for(&c, 3), 3);
        assert_int_equal(lines(path, "'f' is read without being held"), always ? 3 : 0);
        assert_int_equal(lines(path, "there is no answer"), always ? 3 : 0);
        c.teller.fail = S3_ERROR_NONE;
        c.teller.silent = true;
        assert_int_equal(heads_for(&c, 10), always ? 10 : 4);
        assert_int_equal(lines(path, "the server tells no checksum"), 1);
        close_checked(&c);
    }
    assert_int_equal(log_open(LOG_TARGET_STDERR, NULL), 0);
    log_set_level(level);
    tempfolder_remove(dir);
}

/* ---- with the disk cache ---- */

/* A reader of the end has put wrong bytes there. Who reads all of it finds out, and they go. */
static void what_a_part_brought_is_checked(void **state)
{
    for (int always = 0; always < 2; always++) {
        struct checked c;
        open_checked(&c, always, true);
        c.teller.spoil_at = 2 * MIB + 5;
        assert_int_equal(read_from(&c, MIB), 0);
        assert_int_equal(c.teller.heads, 0);
        c.teller.spoil_at = 0;
        store_count_reset(c.bed.store);
        struct store_count_figures f;
        /* Only what was not there is asked for: the rest is compared as it lies there. */
        static char buf[128 * KIB];
        size_t n;
        struct reader *r = open_reader(&c);
        int result = 0;
        for (uint64_t at = 0; at < SIZE && !result; at += sizeof(buf))
            result = reader_read(r, at, buf, sizeof(buf), &n, NULL);
        assert_int_equal(result, -EIO);
        assert_true(reader_is_spoilt(r));
        reader_free(r);
        store_count_get(c.bed.store, STORE_GET, &f);
        assert_int_equal(f.bytes, MIB);
        assert_int_equal(c.teller.heads, 1);
        block_cache_settle(c.bed.data->blocks);
        struct data_stats s;
        data_stats(c.bed.data, &s);
        assert_int_equal(s.cache.blocks, 0);
        assert_int_equal(read_from(&c, 0), 0);
        store_count_get(c.bed.store, STORE_GET, &f);
        assert_int_equal(f.bytes, MIB + SIZE);
        close_checked(&c);
    }
}

/* Reads that begin and end anywhere, over ranges of both kinds; by the last one all has come. */
static void reads_of_any_size(void **state)
{
    static const size_t STEPS[] = {4097, 65536, 100000, 128 * KIB, 300000, MIB};
    for (size_t i = 0; i < ARRAY_SIZE(STEPS); i++) {
        struct checked c;
        open_checked(&c, true, true);
        c.teller.spoil_at = 2 * MIB + 5;
        assert_int_equal(read_from(&c, 2 * MIB), 0);
        c.teller.spoil_at = 0;
        char *buf = malloc(STEPS[i]);
        assert_non_null(buf);
        struct reader *r = open_reader(&c);
        int result = 0;
        for (uint64_t at = 0; at < SIZE; at += STEPS[i]) {
            size_t n;
            result = reader_read(r, at, buf, STEPS[i], &n, NULL);
            assert_true(result == 0 || at + STEPS[i] > 3 * MIB);
        }
        assert_int_equal(result, -EIO);
        reader_free(r);
        assert_int_equal(c.teller.heads, 1);
        free(buf);
        close_checked(&c);
    }
}

static void all_from_the_cache(void **state)
{
    for (int always = 0; always < 2; always++) {
        struct checked c;
        open_checked(&c, always, true);
        c.teller.spoil_at = 2 * MIB + 5;
        assert_int_equal(read_from(&c, MIB), 0);
        static char buf[MIB];
        size_t n;
        struct reader *r = open_reader(&c);
        assert_int_equal(reader_read(r, 0, buf, MIB, &n, NULL), 0);
        reader_free(r);
        block_cache_settle(c.bed.data->blocks);
        unsigned before = c.teller.heads;
        store_count_reset(c.bed.store);
        /* Without any request, as it is promised; or with one, as it was wished. */
        assert_int_equal(read_from(&c, 0), always ? -EIO : 0);
        assert_int_equal(c.teller.heads - before, always);
        assert_int_equal(store_count_requests(c.bed.store, STORE_GET), 0);
        if (always) {
            c.teller.spoil_at = 0;
            assert_int_equal(read_from(&c, 0), 0);
        }
        close_checked(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_object_with_always),
        cmocka_unit_test(one_in_some_where_none_is_told),
        cmocka_unit_test(pending_objects_tell_nothing_of_the_server),
        cmocka_unit_test(the_first_reads_in_any_order),
        cmocka_unit_test(failures_are_told_with_always),
        cmocka_unit_test(what_a_part_brought_is_checked),
        cmocka_unit_test(reads_of_any_size),
        cmocka_unit_test(all_from_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
