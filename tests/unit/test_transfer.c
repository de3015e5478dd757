/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "s3/transfer.h"
#include "s3/transfer_parts.h"
#include "s3_stub.h"

#define SET_TEXT(array, text) snprintf((array), sizeof(array), "%s", (text))

enum { PARTS_MAX = 64 };

/* One object, and one upload that collects parts in a buffer. Handlers run on the stub's thread:
 * they record, the tests assert. */
struct world {
    pthread_mutex_t lock;
    uint8_t *object; /* what GET serves */
    size_t object_size;
    const char *etag;

    uint8_t *uploaded; /* what arrived, by PUT or by completed parts */
    size_t uploaded_size;
    uint64_t part_size;
    bool got_part[PARTS_MAX];
    uint64_t part_length[PARTS_MAX];
    bool created, completed, aborted;
    char if_match[32]; /* of PUT, Complete or the source of a copy */
    char if_none_match[32];
    char content_type[32];
    char first_metadata[32];
    char storage_class[32];
    bool checksum_seen;

    /* Faults. */
    unsigned fail_part; /* UploadPart / UploadPartCopy of this number */
    bool fail_complete;
    uint64_t replaced_from; /* GETs of ranges behind this find another version; 0 = never */
    uint64_t short_from;    /* GETs of ranges behind this miss the last byte */
    bool bad_condition;     /* a later range came without If-Match */
};

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    pthread_mutex_init(&w->lock, NULL);
    w->etag = "\"v1\"";
    return w;
}

static void world_free(struct world *w)
{
    pthread_mutex_destroy(&w->lock);
    free(w->object);
    free(w->uploaded);
    free(w);
}

static void fill(uint8_t *p, size_t n)
{
    uint32_t x = 2463534242u;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        p[i] = (uint8_t)x;
    }
}

static void give_object(struct world *w, size_t size)
{
    w->object = malloc(size + 1);
    w->object_size = size;
    fill(w->object, size);
}

static void give_head(struct world *w, struct s3_head_object_out *o, uint64_t length)
{
    o->content_length = length;
    o->object_size = w->object_size;
    o->etag = arena_strdup(&o->arena, w->etag);
    o->content_type = "text/x-source";
    o->metadata = arena_alloc(&o->arena, sizeof(*o->metadata));
    o->metadata[0] = (struct s3_metadata){.name = "mode", .value = "33188"};
    o->n_metadata = 1;
}

static int get_object(struct world *w, const struct s3_get_object_in *in,
                      struct s3_head_object_out *o, struct s3_error *err)
{
    uint64_t from = 0, to = w->object_size;
    if (in->has_range) {
        from = in->range_offset;
        to = in->range_length ? MIN(from + in->range_length, w->object_size) : w->object_size;
        if (from >= w->object_size)
            return s3_stub_fail(err, 416, "InvalidRange");
    }
    if (from > 0 && (!in->conditions.if_match || strcmp(in->conditions.if_match, w->etag) != 0))
        w->bad_condition = true;
    if (w->replaced_from && from >= w->replaced_from)
        return s3_stub_fail(err, 412, "PreconditionFailed");
    if (w->short_from && from >= w->short_from)
        to--;
    for (uint64_t at = from; at < to; at += 50000) {
        size_t n = (size_t)MIN(to - at, 50000ull);
        if (in->sink->write(in->sink->ctx, w->object + at, n) < 0)
            return s3_error_set(err, S3_ERROR_BAD_RESPONSE, "the sink refused");
    }
    give_head(w, o, to - from);
    return 0;
}

static int take_attrs(struct world *w, const struct s3_object_attrs *a)
{
    SET_TEXT(w->content_type, a->content_type ? a->content_type : "");
    SET_TEXT(w->storage_class, a->storage_class ? a->storage_class : "");
    SET_TEXT(w->first_metadata, a->n_metadata ? a->metadata[0].value : "");
    return 0;
}

static void take_conditions(struct world *w, const struct s3_conditions *c)
{
    SET_TEXT(w->if_match, c->if_match ? c->if_match : "");
    SET_TEXT(w->if_none_match, c->if_none_match ? c->if_none_match : "");
}

static void store_part(struct world *w, uint32_t number, const void *data, uint64_t length,
                       uint64_t offset)
{
    if (offset + length > w->uploaded_size) {
        w->uploaded = realloc(w->uploaded, offset + length);
        w->uploaded_size = offset + length;
    }
    memcpy(w->uploaded + offset, data, length);
    w->got_part[number] = true;
    w->part_length[number] = length;
}

static int locked_serve(struct world *w, enum s3_op op, const void *in, void *out,
                        struct s3_error *err)
{
    switch ((int)op) {
    case S3_OP_HEAD_OBJECT:
        give_head(w, out, w->object_size);
        return 0;
    case S3_OP_GET_OBJECT:
        return get_object(w, in, out, err);
    case S3_OP_PUT_OBJECT: {
        const struct s3_put_object_in *i = in;
        w->uploaded_size = i->body[0].iov_len;
        w->uploaded = malloc(w->uploaded_size + 1);
        memcpy(w->uploaded, i->body[0].iov_base, w->uploaded_size);
        take_conditions(w, &i->conditions);
        SET_TEXT(((struct s3_put_object_out *)out)->etag, "\"put\"");
        return take_attrs(w, &i->attrs);
    }
    case S3_OP_COPY_OBJECT: {
        const struct s3_copy_object_in *i = in;
        take_conditions(w, &i->source_conditions);
        SET_TEXT(((struct s3_copy_object_out *)out)->etag, "\"copied\"");
        return take_attrs(w, &i->attrs);
    }
    case S3_OP_CREATE_MULTIPART_UPLOAD: {
        const struct s3_create_multipart_upload_in *i = in;
        w->created = true;
        SET_TEXT(((struct s3_create_multipart_upload_out *)out)->upload_id, "up");
        return take_attrs(w, &i->attrs);
    }
    case S3_OP_UPLOAD_PART: {
        const struct s3_upload_part_in *i = in;
        if (i->part_number == w->fail_part)
            return s3_stub_fail(err, 500, "InternalError");
        store_part(w, i->part_number, i->body[0].iov_base, i->body[0].iov_len,
                   (i->part_number - 1) * w->part_size);
        struct s3_upload_part_out *o = out;
        snprintf(o->etag, sizeof(o->etag), "\"p%u\"", i->part_number);
        o->checksum.algo = i->checksum_algo;
        return 0;
    }
    case S3_OP_UPLOAD_PART_COPY: {
        const struct s3_upload_part_copy_in *i = in;
        if (i->part_number == w->fail_part)
            return s3_stub_fail(err, 412, "PreconditionFailed");
        if (!i->source_conditions.if_match || strcmp(i->source_conditions.if_match, w->etag) != 0)
            w->bad_condition = true;
        store_part(w, i->part_number, w->object + i->range_offset, i->range_length,
                   i->range_offset);
        struct s3_copy_object_out *o = out;
        snprintf(o->etag, sizeof(o->etag), "\"p%u\"", i->part_number);
        return 0;
    }
    case S3_OP_COMPLETE_MULTIPART_UPLOAD: {
        const struct s3_complete_multipart_upload_in *i = in;
        if (w->fail_complete)
            return s3_stub_fail(err, 412, "PreconditionFailed");
        for (size_t p = 0; p < i->n_parts; p++) {
            char etag[32];
            snprintf(etag, sizeof(etag), "\"p%zu\"", p + 1);
            if (i->parts[p].part_number != p + 1 || !w->got_part[p + 1] ||
                strcmp(i->parts[p].etag, etag) != 0)
                return s3_stub_fail(err, 400, "InvalidPart");
            if (i->parts[p].checksum.algo == S3_CHECKSUM_CRC32C)
                w->checksum_seen = true;
        }
        take_conditions(w, &i->conditions);
        w->completed = true;
        SET_TEXT(((struct s3_put_object_out *)out)->etag, "\"done\"");
        return 0;
    }
    case S3_OP_ABORT_MULTIPART_UPLOAD:
        w->aborted = true;
        return 0;
    default:
        return s3_error_set(err, S3_ERROR_UNSUPPORTED, "unexpected %s", s3_op_name(op));
    }
}

static int serve(void *ctx, enum s3_op op, const void *in, void *out, struct s3_error *err)
{
    struct world *w = ctx;
    SCOPE_LOCK(&w->lock);
    return locked_serve(w, op, in, out, err);
}

struct fixture {
    struct world *w;
    struct s3_client *c;
    char dir[64];
    char path[96];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->w = world_new();
    f->c = s3_stub_new(serve, f->w);
    s3_stub_set_threaded(f->c);
    SET_TEXT(f->dir, "/tmp/test_transfer.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/file", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    s3_stub_done(f->c);
    world_free(f->w);
    (void)unlink(f->path);
    assert_int_equal(rmdir(f->dir), 0); /* fails when a temporary file was left */
    free(f);
    return 0;
}

static uint8_t *make_file(const struct fixture *f, size_t size)
{
    uint8_t *data = malloc(size + 1);
    fill(data, size);
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return data;
}

static void check_file(const struct fixture *f, const uint8_t *data, size_t size)
{
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_size, size);
    uint8_t *got = malloc(size + 1);
    FILE *file = fopen(f->path, "r");
    assert_int_equal(fread(got, 1, size, file), size);
    fclose(file);
    assert_memory_equal(got, data, size);
    free(got);
}

struct progress {
    unsigned calls;
    uint64_t done;
    uint64_t total;
    unsigned cancel_at; /* answer "cancelled" after so many calls; 0 = never */
};

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct progress *p = ctx;
    assert_true(done > p->done || total == 0);
    p->calls++;
    p->done = done;
    p->total = total;
}

static bool on_cancelled(void *ctx)
{
    struct progress *p = ctx;
    return p->cancel_at && p->calls >= p->cancel_at;
}

/* ---- upload ---- */

static void test_small_file_is_one_put(void **state)
{
    struct fixture *f = *state;
    CLEANUP_FREE uint8_t *data = make_file(f, 1000);
    struct progress p = {0};
    struct s3_put_object_out out;
    struct s3_transfer_options opts = {.attrs = {.content_type = "text/plain"},
                                       .conditions = {.if_none_match = "*"},
                                       .progress = on_progress,
                                       .ctx = &p};
    assert_int_equal(s3_upload_file(f->c, f->path, "b", "k", &opts, &out, NULL), 0);
    assert_int_equal(s3_stub_calls(f->c), 1);
    assert_int_equal(f->w->uploaded_size, 1000);
    assert_memory_equal(f->w->uploaded, data, 1000);
    assert_string_equal(f->w->content_type, "text/plain");
    assert_string_equal(f->w->if_none_match, "*");
    assert_string_equal(out.etag, "\"put\"");
    assert_int_equal(p.calls, 1);
    assert_int_equal(p.done, 1000);
}

static void test_empty_file(void **state)
{
    struct fixture *f = *state;
    CLEANUP_FREE uint8_t *data = make_file(f, 0);
    assert_int_equal(s3_upload_file(f->c, f->path, "b", "k", NULL, NULL, NULL), 0);
    assert_int_equal(s3_stub_calls_of(f->c, S3_OP_PUT_OBJECT), 1);
    assert_int_equal(f->w->uploaded_size, 0);
}

static void test_large_file_goes_in_parts(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 23 * 1024 * 1024 + 17 };
    f->w->part_size = S3_PART_SIZE_MIN;
    CLEANUP_FREE uint8_t *data = make_file(f, SIZE);
    struct progress p = {0};
    struct s3_put_object_out out;
    struct s3_transfer_options opts = {.part_size = 1, /* raised to the minimum */
                                       .concurrency = 3,
                                       .checksum_algo = S3_CHECKSUM_CRC32C,
                                       .conditions = {.if_match = "\"old\""},
                                       .progress = on_progress,
                                       .cancelled = on_cancelled,
                                       .ctx = &p};
    assert_int_equal(s3_upload_file(f->c, f->path, "b", "k", &opts, &out, NULL), 0);
    assert_true(f->w->completed);
    assert_false(f->w->aborted);
    assert_int_equal(s3_stub_calls_of(f->c, S3_OP_UPLOAD_PART), 5);
    assert_int_equal(f->w->uploaded_size, SIZE);
    assert_memory_equal(f->w->uploaded, data, SIZE);
    assert_true(f->w->checksum_seen);
    assert_string_equal(f->w->if_match, "\"old\"");
    assert_string_equal(out.etag, "\"done\"");
    assert_int_equal(p.calls, 5);
    assert_int_equal(p.done, SIZE);
    assert_int_equal(p.total, SIZE);
}

static void test_failed_part_aborts_the_upload(void **state)
{
    struct fixture *f = *state;
    f->w->part_size = S3_PART_SIZE_MIN;
    f->w->fail_part = 2;
    CLEANUP_FREE uint8_t *data = make_file(f, 4 * S3_PART_SIZE_MIN);
    struct s3_error err = {0};
    struct s3_transfer_options opts = {.part_size = S3_PART_SIZE_MIN, .concurrency = 2};
    assert_int_equal(s3_upload_file(f->c, f->path, "b", "k", &opts, NULL, &err),
                     -s3_error_errno(S3_ERROR_SERVER));
    assert_int_equal(err.kind, S3_ERROR_SERVER);
    assert_string_equal(err.code, "InternalError");
    assert_true(f->w->aborted);
    assert_false(f->w->completed);
}

static void test_failed_complete_aborts_the_upload(void **state)
{
    struct fixture *f = *state;
    f->w->part_size = S3_PART_SIZE_MIN;
    f->w->fail_complete = true;
    CLEANUP_FREE uint8_t *data = make_file(f, S3_PART_SIZE_MIN);
    struct s3_error err = {0};
    struct s3_transfer_options opts = {.part_size = S3_PART_SIZE_MIN};
    assert_true(s3_upload_file(f->c, f->path, "b", "k", &opts, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
    assert_true(f->w->aborted);
}

static void test_cancelled_upload_is_aborted(void **state)
{
    struct fixture *f = *state;
    f->w->part_size = S3_PART_SIZE_MIN;
    CLEANUP_FREE uint8_t *data = make_file(f, 5 * S3_PART_SIZE_MIN);
    struct progress p = {.cancel_at = 1};
    struct s3_error err = {0};
    struct s3_transfer_options opts = {.part_size = S3_PART_SIZE_MIN,
                                       .concurrency = 1,
                                       .progress = on_progress,
                                       .cancelled = on_cancelled,
                                       .ctx = &p};
    assert_true(s3_upload_file(f->c, f->path, "b", "k", &opts, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CANCELLED);
    assert_int_equal(p.calls, 1);
    assert_true(f->w->aborted);
    assert_false(f->w->completed);
}

static void test_what_cannot_be_uploaded(void **state)
{
    struct fixture *f = *state;
    struct s3_error err = {0};
    assert_int_equal(s3_upload_file(f->c, f->path, "b", "k", NULL, NULL, &err), -ENOENT);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
    assert_non_null(strstr(err.message, f->path));
    assert_int_equal(s3_upload_file(f->c, f->dir, "b", "k", NULL, NULL, &err), -EINVAL);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(s3_upload_file(f->c, f->path, "b", "k", NULL, NULL, &err), -EINVAL);
    assert_int_equal(s3_stub_calls(f->c), 0);
}

static void test_part_sizes(void **state ATTR_UNUSED)
{
    assert_int_equal(s3_parts_size(0, 8 * MIB, 100), 8 * MIB);
    assert_int_equal(s3_parts_size(6 * MIB, 8 * MIB, 100), 6 * MIB);
    assert_int_equal(s3_parts_size(1, 8 * MIB, 100), S3_PART_SIZE_MIN);
    uint64_t size = s3_parts_size(0, 8 * MIB, TIB);
    assert_true(s3_parts_count(TIB, size) <= S3_PARTS_MAX);
    size = s3_parts_size(0, 8 * MIB, S3_OBJECT_SIZE_MAX);
    assert_int_equal(size, S3_PART_SIZE_MAX);
    assert_int_equal(s3_parts_count(S3_OBJECT_SIZE_MAX, size), S3_PARTS_MAX);
    assert_int_equal(s3_parts_count(0, 8), 0);
    assert_int_equal(s3_parts_count(8, 8), 1);
    assert_int_equal(s3_parts_count(9, 8), 2);
}

/* ---- download ---- */

static void test_small_object_is_one_get(void **state)
{
    struct fixture *f = *state;
    give_object(f->w, 1000);
    struct s3_head_object_out out;
    mode_t old = umask(027);
    assert_int_equal(s3_download_file(f->c, "b", "k", f->path, NULL, &out, NULL), 0);
    umask(old);
    assert_int_equal(s3_stub_calls(f->c), 1);
    assert_string_equal(out.etag, "\"v1\"");
    s3_head_object_out_done(&out);
    check_file(f, f->w->object, 1000);
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void test_empty_object(void **state)
{
    struct fixture *f = *state;
    give_object(f->w, 0);
    assert_int_equal(s3_download_file(f->c, "b", "k", f->path, NULL, NULL, NULL), 0);
    check_file(f, f->w->object, 0);
}

static void test_large_object_comes_in_ranges(void **state)
{
    struct fixture *f = *state;
    static const size_t SIZES[] = {64 << 10, (64 << 10) + 1, 128 << 10, (1 << 20) + 12345};
    for (size_t i = 0; i < ARRAY_SIZE(SIZES); i++) {
        for (uint64_t threshold = 0; threshold <= 200000; threshold += 100000) {
            unsigned before = s3_stub_calls(f->c);
            give_object(f->w, SIZES[i]);
            struct progress p = {0};
            struct s3_transfer_options opts = {.part_size = 64 << 10,
                                               .multipart_threshold = threshold,
                                               .concurrency = 4,
                                               .progress = on_progress,
                                               .ctx = &p};
            assert_int_equal(s3_download_file(f->c, "b", "k", f->path, &opts, NULL, NULL), 0);
            check_file(f, f->w->object, SIZES[i]);
            assert_false(f->w->bad_condition);
            assert_int_equal(p.done, SIZES[i]);
            uint64_t first = (MAX(threshold, 1ull) + 65535) / 65536;
            uint64_t all = (SIZES[i] + 65535) / 65536;
            assert_int_equal(s3_stub_calls(f->c) - before, all > first ? 1 + all - first : 1);
            free(f->w->object);
            f->w->object = NULL;
        }
    }
}

static void test_replaced_object_leaves_the_old_file(void **state)
{
    struct fixture *f = *state;
    CLEANUP_FREE uint8_t *data = make_file(f, 10);
    give_object(f->w, 1 << 20);
    f->w->replaced_from = 512 << 10;
    struct s3_transfer_options opts = {.part_size = 64 << 10, .concurrency = 3};
    struct s3_error err = {0};
    assert_true(s3_download_file(f->c, "b", "k", f->path, &opts, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
    check_file(f, data, 10);
}

static void test_short_range_is_an_error(void **state)
{
    struct fixture *f = *state;
    give_object(f->w, 1 << 20);
    f->w->short_from = 900 << 10;
    struct s3_transfer_options opts = {.part_size = 64 << 10, .concurrency = 3};
    struct s3_error err = {0};
    assert_true(s3_download_file(f->c, "b", "k", f->path, &opts, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
    assert_int_equal(access(f->path, F_OK), -1);
}

static void test_ranges_without_an_etag_are_refused(void **state)
{
    struct fixture *f = *state;
    give_object(f->w, 1 << 20);
    f->w->etag = "";
    struct s3_transfer_options opts = {.part_size = 64 << 10};
    struct s3_error err = {0};
    assert_true(s3_download_file(f->c, "b", "k", f->path, &opts, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
}

static void test_target_that_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    give_object(f->w, 10);
    struct s3_error err = {0};
    assert_int_equal(s3_download_file(f->c, "b", "k", "/nonexistent/x", NULL, NULL, &err), -ENOENT);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
    assert_int_equal(s3_stub_calls(f->c), 0);
    /* A folder of that name: found out at the rename. */
    char sub[128];
    snprintf(sub, sizeof(sub), "%s/sub", f->dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    assert_int_equal(s3_download_file(f->c, "b", "k", sub, NULL, NULL, &err), -EISDIR);
    assert_int_equal(rmdir(sub), 0);
}

/* ---- copy ---- */

static void test_small_copy_is_one_request_behind_the_head(void **state)
{
    struct fixture *f = *state;
    give_object(f->w, 1000);
    struct s3_put_object_out out;
    assert_int_equal(s3_copy(f->c, "sb", "sk", "b", "k", NULL, &out, NULL), 0);
    assert_int_equal(s3_stub_calls(f->c), 2);
    assert_string_equal(f->w->if_match, "\"v1\"");
    assert_string_equal(out.etag, "\"copied\"");
}

static void test_large_copy_takes_the_metadata_along(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 12 * 1024 * 1024 };
    give_object(f->w, SIZE);
    struct s3_transfer_options opts = {.part_size = S3_PART_SIZE_MIN,
                                       .attrs = {.storage_class = "GLACIER"}};
    assert_int_equal(s3_copy(f->c, "sb", "sk", "b", "k", &opts, NULL, NULL), 0);
    assert_true(f->w->completed);
    assert_int_equal(s3_stub_calls_of(f->c, S3_OP_UPLOAD_PART_COPY), 3);
    assert_memory_equal(f->w->uploaded, f->w->object, SIZE);
    assert_string_equal(f->w->content_type, "text/x-source");
    assert_string_equal(f->w->first_metadata, "33188");
    assert_string_equal(f->w->storage_class, "GLACIER");
    assert_false(f->w->bad_condition);

    opts.replace_metadata = true;
    opts.attrs.content_type = "text/new";
    assert_int_equal(s3_copy(f->c, "sb", "sk", "b", "k", &opts, NULL, NULL), 0);
    assert_string_equal(f->w->content_type, "text/new");
    assert_string_equal(f->w->first_metadata, "");
}

static void test_failed_copy_is_aborted(void **state)
{
    struct fixture *f = *state;
    give_object(f->w, 12 * MIB);
    f->w->fail_part = 3;
    struct s3_transfer_options opts = {.part_size = S3_PART_SIZE_MIN};
    struct s3_error err = {0};
    assert_true(s3_copy(f->c, "sb", "sk", "b", "k", &opts, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
    assert_true(f->w->aborted);
    assert_false(f->w->completed);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_small_file_is_one_put),
        TEST(test_empty_file),
        TEST(test_large_file_goes_in_parts),
        TEST(test_failed_part_aborts_the_upload),
        TEST(test_failed_complete_aborts_the_upload),
        TEST(test_cancelled_upload_is_aborted),
        TEST(test_what_cannot_be_uploaded),
        TEST(test_part_sizes),
        TEST(test_small_object_is_one_get),
        TEST(test_empty_object),
        TEST(test_large_object_comes_in_ranges),
        TEST(test_replaced_object_leaves_the_old_file),
        TEST(test_short_range_is_an_error),
        TEST(test_ranges_without_an_etag_are_refused),
        TEST(test_target_that_cannot_be_written),
        TEST(test_small_copy_is_one_request_behind_the_head),
        TEST(test_large_copy_takes_the_metadata_along),
        TEST(test_failed_copy_is_aborted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
