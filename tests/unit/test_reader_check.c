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
#include "data/reader_impl.h"
#include "data_bed.h"
#include "tempfolder.h"

#define SEED  9
#define SIZE  (3 * MIB + 777)
#define PARTS 4u /* of composite checksums */

/* ---- the store ---- */

struct teller {
    struct store store; /* first */
    struct store *inner;
    bool silent;  /* tells no checksum */
    bool pending; /* as write-back says of what is not stored yet */
    enum s3_error_kind fail;
    uint64_t spoil_at;   /* the byte there is another one; 0 = none */
    unsigned spoil_left; /* answers of which it is; 0 = all */
    unsigned heads;
    char crc[16];
    struct store_metadata facts[2];
    bool composite;           /* its checksum is one of parts */
    uint32_t fail_part;       /* 0 = none */
    struct checked *replaces; /* that is asked for: the object is another one then */
    struct range *loading;    /* from the disk cache: ends when all has been found wrong */
    char part_crcs[PARTS + 1][16];
    struct store_metadata part_facts[PARTS + 1][2];
};

struct told {
    struct teller *t;
    uint32_t part;
    struct store_object *out;
    store_done_fn done;
    void *ctx;
};

static void told(void *ctx, int result, const struct s3_error *err)
{
    struct told c = *(struct told *)ctx;
    free(ctx);
    if (!result && !c.t->silent) {
        c.out->facts = c.t->composite ? c.t->part_facts[c.part] : c.t->facts;
        c.out->n_facts = ARRAY_SIZE(c.t->facts);
    }
    if (!result && c.part)
        c.out->length = MIN(SIZE - (c.part - 1) * MIB, MIB);
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

static void spoil(struct teller *t, char *byte)
{
    *byte ^= 1;
    if (t->spoil_left && --t->spoil_left == 0)
        t->spoil_at = 0;
}

static int spoil_write(void *ctx, const void *data, size_t len)
{
    struct spoiler *s = ctx;
    char *copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy, data, len);
    if (s->t->spoil_at >= s->at && s->t->spoil_at - s->at < len && s->t->spoil_at)
        spoil(s->t, &copy[s->t->spoil_at - s->at]);
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

static void replace(struct teller *t);

/* What it brought is the wrong bytes. */
static void end_loading(struct teller *t)
{
    static const struct sums_crcs crcs[BLOCK_FILE_CHUNKS];
    struct range *g = t->loading;
    SCOPE_LOCK(&g->reader->lock);
    if (!g->reader->check.turn)
        return;
    t->loading = NULL;
    reader_check_add_local_locked(g, crcs);
}

static int teller_submit(struct store *store, enum store_op op, const void *in, void *out,
                         store_done_fn done, void *ctx)
{
    struct teller *t = (struct teller *)store;
    if (op == STORE_HEAD && ((const struct store_head_in *)in)->facts) {
        uint32_t part = ((const struct store_head_in *)in)->part;
        t->heads++;
        if (part > 1 && t->replaces)
            replace(t);
        if (t->fail || (part && part == t->fail_part)) {
            struct s3_error err;
            enum s3_error_kind kind = t->fail ? t->fail : S3_ERROR_TIMEOUT;
            done(ctx, s3_error_set(&err, kind, "there is no answer"), &err);
            return 0;
        }
        struct told *c = malloc(sizeof(*c));
        assert_non_null(c);
        *c = (struct told){t, part, out, done, ctx};
        return store_submit(t->inner, op, in, out, told, c);
    }
    if (op == STORE_GET) {
        if (t->loading)
            end_loading(t);
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

static void replace(struct teller *t)
{
    struct checked *c = t->replaces;
    t->replaces = NULL;
    bed_put(&c->bed, "f", SEED + 1, SIZE, NULL);
}

/* Of n bytes, as base64. */
static void crc_text(char text[16], const void *data, size_t n, const char *suffix)
{
    uint8_t bytes[4];
    uint32_t crc = crc32c_update(0, data, n);
    struct strbuf b = STRBUF_INIT(64);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(crc >> (24 - 8 * i));
    encode_base64(&b, bytes, sizeof(bytes));
    snprintf(text, 16, "%.11s%.3s", strbuf_str(&b), suffix);
    strbuf_done(&b);
}

static void compute_parts(struct teller *t, const char *content)
{
    uint8_t all[PARTS * 4];
    for (uint32_t i = 0; i < PARTS; i++) {
        size_t n = MIN(SIZE - i * MIB, MIB);
        uint32_t crc = crc32c_update(0, content + i * MIB, n);
        for (size_t k = 0; k < 4; k++)
            all[4 * i + k] = (uint8_t)(crc >> (24 - 8 * k));
        crc_text(t->part_crcs[i + 1], content + i * MIB, n, "");
    }
    crc_text(t->part_crcs[0], all, sizeof(all), "-4");
    for (uint32_t i = 0; i <= PARTS; i++) {
        t->part_facts[i][0] = (struct store_metadata){"checksum-crc32c", t->part_crcs[i]};
        t->part_facts[i][1] = (struct store_metadata){"checksum-type", "COMPOSITE"};
    }
}

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
    compute_parts(&c->teller, content);
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
        if (!result && (!c->teller.spoil_at || c->teller.spoil_left))
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

/* ---- what is fetched again ---- */

static int read_at(struct reader *r, uint64_t at, struct s3_error *err)
{
    static char buf[128 * KIB];
    size_t n = 0;
    int result = reader_read(r, at, buf, sizeof(buf), &n, err);
    if (!result)
        assert_true(content_is(SEED, at, buf, n));
    return result;
}

static int read_on(struct reader *r, uint64_t at, struct s3_error *err)
{
    int result = 0;
    for (; at < SIZE && !result; at += 128 * KIB)
        result = read_at(r, at, err);
    return result;
}

/* All of it has come before the first byte is given out. */
static void what_nobody_has_read_comes_again(void **state)
{
    for (int composite = 0; composite < 2; composite++)
        for (uint64_t at = 5; at < SIZE; at += MIB / 2 + 1) {
            struct checked c;
            struct data_stats s;
            open_checked(&c, true, false);
            c.teller.composite = composite;
            c.teller.spoil_at = at;
            c.teller.spoil_left = 1;
            assert_int_equal(read_from(&c, 0), 0);
            data_stats(c.bed.data, &s);
            assert_int_equal(c.teller.spoil_at, 0);
            assert_int_equal(s.refetched, 1);
            assert_int_equal(s.mismatches, 1);
            assert_int_equal(s.checked_bytes, SIZE);
            close_checked(&c);
        }
}

/* What was read was wrong: that cannot be undone, but it is told, and so what was tried. */
static void what_was_read_stays_wrong(void **state)
{
    static char buf[128 * KIB];
    for (int composite = 0; composite < 2; composite++) {
        struct checked c;
        struct s3_error err = {0};
        size_t n;
        open_checked(&c, true, false);
        c.teller.composite = composite;
        c.teller.spoil_at = 2 * MIB + 5;
        c.teller.spoil_left = 1;
        struct reader *r = open_reader(&c);
        assert_int_equal(reader_read(r, 2 * MIB, buf, sizeof(buf), &n, NULL), 0);
        assert_int_equal(c.teller.spoil_at, 0);
        assert_int_equal(read_on(r, 0, &err), -EIO);
        assert_true(reader_is_spoilt(r));
        if (!composite)
            assert_non_null(strstr(err.message, "from 3145728 on were fetched again: they were"));
        else
            assert_non_null(strstr(err.message, "bytes 2097152 to 3145727 that came of 'f'"));
        reader_free(r);
        close_checked(&c);
    }
}

/* It is wrong each time. */
static void once_only(void **state)
{
    for (int composite = 0; composite < 2; composite++) {
        struct checked c;
        struct s3_error err = {0};
        struct store_count_figures f;
        open_checked(&c, true, false);
        c.teller.composite = composite;
        c.teller.spoil_at = 2 * MIB + 5;
        store_count_reset(c.bed.store);
        struct reader *r = open_reader(&c);
        for (uint64_t at = 0; at < SIZE && !err.kind; at += 128 * KIB) {
            static char buf[128 * KIB];
            size_t n;
            (void)reader_read(r, at, buf, sizeof(buf), &n, &err);
        }
        assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
        assert_non_null(strstr(err.message, "were fetched again: they were changed on the way"));
        assert_int_equal(read_at(r, 0, NULL), -EIO);
        reader_free(r);
        store_count_get(c.bed.store, STORE_GET, &f);
        assert_in_range(f.bytes, SIZE + 1, 2 * SIZE);
        close_checked(&c);
    }
}

/* Another thread reads of the disk cache, a chunk or a block, while all is found wrong. */
static void what_was_on_its_way_from_the_cache(void **state)
{
    static const uint64_t LENGTHS[] = {BLOCK_FILE_CHUNK, BLOCK_FILE_SIZE};
    for (size_t i = 0; i < ARRAY_SIZE(LENGTHS); i++) {
        struct checked c;
        struct data_stats s;
        open_checked(&c, true, false);
        c.teller.spoil_at = 2 * MIB + 5;
        c.teller.spoil_left = 1;
        struct reader *r = open_reader(&c);
        struct range loading = {.reader = r, .offset = 2 * MIB, .length = LENGTHS[i]};
        pthread_mutex_lock(&r->lock);
        reader_check_local_locked(&loading);
        pthread_mutex_unlock(&r->lock);
        assert_true(loading.sum);
        c.teller.loading = &loading;
        assert_int_equal(read_on(r, 0, NULL), 0);
        assert_null(c.teller.loading);
        reader_free(r);
        data_stats(c.bed.data, &s);
        assert_int_equal(s.checked_bytes, SIZE);
        close_checked(&c);
    }
}

/* ---- which part it is ---- */

/* A byte of the third part is wrong, once. */
static struct reader *open_with_a_wrong_part(struct checked *c)
{
    open_checked(c, true, false);
    c->teller.composite = true;
    c->teller.spoil_at = 2 * MIB + 5;
    c->teller.spoil_left = 1;
    return open_reader(c);
}

/* What is not known is not said, and asked for again. */
static void a_part_that_cannot_be_asked_for(void **state)
{
    struct checked c;
    struct s3_error err = {0};
    struct reader *r = open_with_a_wrong_part(&c);
    c.teller.fail_part = 2;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(read_at(r, 0, &err), -EIO);
        assert_false(reader_is_spoilt(r));
        assert_non_null(strstr(err.message, "cannot be told: there is no answer"));
    }
    c.teller.fail_part = 0;
    assert_int_equal(read_on(r, 0, &err), 0);
    reader_free(r);
    close_checked(&c);
}

static void replaced_before_it_is_known(void **state)
{
    struct checked c;
    struct s3_error err = {0};
    struct reader *r = open_with_a_wrong_part(&c);
    c.teller.replaces = &c;
    assert_int_equal(read_on(r, 0, &err), -ESTALE);
    assert_false(reader_is_spoilt(r));
    assert_non_null(strstr(err.message, "was replaced while it was being read"));
    assert_int_equal(read_at(r, 0, NULL), -ESTALE);
    reader_free(r);
    close_checked(&c);
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
        assert_int_equal(f.bytes, MIB + SIZE % MIB); /* the end, which nobody had read, again */
        assert_int_equal(c.teller.heads, 1);
        block_cache_settle(c.bed.data->blocks);
        struct data_stats s;
        data_stats(c.bed.data, &s);
        assert_int_equal(s.cache.blocks, 0);
        assert_int_equal(read_from(&c, 0), 0);
        store_count_get(c.bed.store, STORE_GET, &f);
        assert_int_equal(f.bytes, MIB + SIZE % MIB + SIZE);
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
        assert_int_equal(store_count_requests(c.bed.store, STORE_GET), always);
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
        cmocka_unit_test(what_nobody_has_read_comes_again),
        cmocka_unit_test(what_was_read_stays_wrong),
        cmocka_unit_test(once_only),
        cmocka_unit_test(what_was_on_its_way_from_the_cache),
        cmocka_unit_test(a_part_that_cannot_be_asked_for),
        cmocka_unit_test(replaced_before_it_is_known),
        cmocka_unit_test(failures_are_told_with_always),
        cmocka_unit_test(what_a_part_brought_is_checked),
        cmocka_unit_test(reads_of_any_size),
        cmocka_unit_test(all_from_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
