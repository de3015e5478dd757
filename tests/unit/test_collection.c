/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fail.h"
#include "base/cleanup.h"
#include "s3/collection.h"
#include "s3/resource_bucket.h"
#include "s3/resource_object.h"
#include "s3/resource_upload.h"
#include "s3_stub.h"

/* A bucket of n objects "k00000" ...; deleting marks them. */
enum { MODEL_MAX = 3500 };
struct model {
    size_t n;
    bool deleted[MODEL_MAX];
    size_t refuse_every;    /* DeleteObjects refuses keys whose number is a multiple; 0 = none */
    unsigned fail_delete;   /* the DeleteObjects call of this number fails; 0 = none */
    unsigned forget_delete; /* ... leaves one key out of its answer */
    unsigned deletes;
    size_t biggest_batch;
    bool saw_versions;
    /* The last input of each kind. */
    struct s3_list_buckets_in buckets;
    struct s3_list_objects_v2_in objects;
    struct s3_list_object_versions_in versions;
    struct s3_list_multipart_uploads_in uploads;
    struct s3_list_parts_in parts;
};

static ATTR_PRINTF(2, 3) char *text(struct arena *a, const char *fmt, ...)
{
    char buf[64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    char *s = arena_strdup(a, buf);
    assert_non_null(s);
    return s;
}

static size_t first_of(const char *token)
{
    return token ? strtoul(token + 1, NULL, 10) : 0;
}

static int list_objects(struct model *m, struct s3_list_objects_v2_out *o)
{
    const struct s3_list_objects_v2_in *in = &m->objects;
    size_t max = in->max_keys ? in->max_keys : 1000;
    o->objects = arena_alloc(&o->arena, max * sizeof(*o->objects));
    size_t i = first_of(in->continuation_token);
    for (; i < m->n && o->n_objects < max; i++) {
        if (m->deleted[i])
            continue;
        o->objects[o->n_objects++] =
            (struct s3_object_entry){.key = text(&o->arena, "k%05zu", i),
                                     .etag = "\"e\"",
                                     .size = i,
                                     .last_modified_ns = 7,
                                     .storage_class = i % 2 ? "GLACIER" : NULL};
    }
    if (i < m->n) {
        o->is_truncated = true;
        o->next_continuation_token = text(&o->arena, "t%zu", i);
    }
    if (in->delimiter) {
        o->common_prefixes = arena_alloc(&o->arena, sizeof(char *));
        o->common_prefixes[0] = "dir/";
        o->n_common_prefixes = 1;
    }
    return 0;
}

static int list_versions(struct model *m, struct s3_list_object_versions_out *o)
{
    const struct s3_list_object_versions_in *in = &m->versions;
    size_t max = in->max_keys ? in->max_keys : 1000;
    o->versions = arena_alloc(&o->arena, max * sizeof(*o->versions));
    size_t i = first_of(in->key_marker);
    for (; i < m->n && o->n_versions < max; i++) {
        if (m->deleted[i])
            continue;
        o->versions[o->n_versions++] =
            (struct s3_version_entry){.key = text(&o->arena, "k%05zu", i),
                                      .version_id = text(&o->arena, "v%zu", i),
                                      .etag = i % 2 ? NULL : "\"e\"",
                                      .is_delete_marker = i % 2,
                                      .is_latest = i == 0};
    }
    if (i < m->n) {
        o->is_truncated = true;
        o->next_key_marker = text(&o->arena, "k%zu", i);
        o->next_version_id_marker = text(&o->arena, "v%zu", i);
    }
    return 0;
}

static int delete_objects(struct model *m, const struct s3_delete_objects_in *in,
                          struct s3_delete_objects_out *o, struct s3_error *err)
{
    assert_string_equal(in->bucket, "bucket");
    assert_in_range(in->n_entries, 1, 1000);
    m->deletes++;
    m->biggest_batch = MAX(m->biggest_batch, in->n_entries);
    if (m->deletes == m->fail_delete)
        return s3_stub_fail(err, 503, "SlowDown");
    o->results = arena_alloc(&o->arena, in->n_entries * sizeof(*o->results));
    size_t n = in->n_entries - (m->deletes == m->forget_delete);
    for (size_t i = 0; i < n; i++) {
        const struct s3_delete_entry *e = &in->entries[i];
        size_t number = first_of(e->key);
        struct s3_delete_result *r = &o->results[o->n_results++];
        *r = (struct s3_delete_result){.key = e->key, .version_id = e->version_id};
        if (e->version_id) {
            m->saw_versions = true;
            assert_int_equal(first_of(e->version_id), number);
        }
        if (m->refuse_every && number % m->refuse_every == 0) {
            r->code = "AccessDenied";
            r->message = "no";
            o->n_failed++;
        } else {
            m->deleted[number] = true;
        }
    }
    return 0;
}

static int serve(void *ctx, enum s3_op op, const void *in, void *out, struct s3_error *err)
{
    struct model *m = ctx;
    switch ((int)op) {
    case S3_OP_LIST_BUCKETS: {
        struct s3_list_buckets_out *o = out;
        m->buckets = *(const struct s3_list_buckets_in *)in;
        o->buckets = arena_alloc(&o->arena, 3 * sizeof(*o->buckets));
        for (; o->n_buckets < 3; o->n_buckets++)
            o->buckets[o->n_buckets] =
                (struct s3_bucket_entry){.name = text(&o->arena, "bucket%zu", o->n_buckets),
                                         .creation_ns = 5,
                                         .region = o->n_buckets ? "eu-west-1" : NULL};
        return 0;
    }
    case S3_OP_LIST_OBJECTS_V2:
        m->objects = *(const struct s3_list_objects_v2_in *)in;
        return list_objects(m, out);
    case S3_OP_LIST_OBJECT_VERSIONS:
        m->versions = *(const struct s3_list_object_versions_in *)in;
        return list_versions(m, out);
    case S3_OP_LIST_MULTIPART_UPLOADS: {
        struct s3_list_multipart_uploads_out *o = out;
        m->uploads = *(const struct s3_list_multipart_uploads_in *)in;
        o->uploads = arena_alloc(&o->arena, sizeof(*o->uploads));
        o->uploads[0] = (struct s3_upload_entry){.key = "k", .upload_id = "u", .initiated_ns = 9};
        o->n_uploads = 1;
        return 0;
    }
    case S3_OP_LIST_PARTS: {
        struct s3_list_parts_out *o = out;
        m->parts = *(const struct s3_list_parts_in *)in;
        o->parts = arena_alloc(&o->arena, 2 * sizeof(*o->parts));
        o->parts[0] = (struct s3_part_entry){.part_number = 1, .size = 10};
        o->parts[1] = (struct s3_part_entry){.part_number = 2, .size = 20};
        o->n_parts = 2;
        return 0;
    }
    case S3_OP_DELETE_OBJECTS:
        return delete_objects(m, in, out, err);
    default:
        fail_msg("unexpected operation %s", s3_op_name(op));
        return -EIO;
    }
}

struct fixture {
    struct model m;
    struct s3_client *c;
    struct s3_service service;
    struct s3_bucket bucket;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->c = s3_stub_new(serve, &f->m);
    assert_int_equal(s3_service_init(&f->service, f->c, NULL), 0);
    assert_int_equal(s3_service_bucket(&f->service, "bucket", &f->bucket, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    s3_bucket_done(&f->bucket);
    s3_service_done(&f->service);
    s3_stub_done(f->c);
    free(f);
    return 0;
}

static struct s3_iter *open_iter(struct s3_collection c)
{
    struct s3_iter *it = NULL;
    assert_int_equal(s3_iter_open(&c, &it, NULL), 0);
    return it;
}

/* Counts the entries; they must be k<first>, k<first + 1> ... */
static size_t count_objects(struct s3_collection c, size_t first)
{
    struct s3_iter *it = open_iter(c);
    size_t n = 0;
    const void *entry;
    int r;
    while ((r = s3_iter_next(it, &entry, NULL)) > 0)
        assert_int_equal(first_of(((const struct s3_object_entry *)entry)->key), first + n++);
    assert_int_equal(r, 0);
    s3_iter_close(it);
    return n;
}

static void test_nothing_is_sent_before_the_first_step(void **state)
{
    struct fixture *f = *state;
    f->m.n = 3;
    struct s3_collection c = s3_collection_limit(s3_bucket_objects(&f->bucket), 2);
    struct s3_iter *it = open_iter(c);
    assert_int_equal(s3_stub_calls(f->c), 0);
    const void *entry;
    assert_int_equal(s3_iter_next(it, &entry, NULL), 1);
    assert_int_equal(s3_stub_calls(f->c), 1);
    s3_iter_close(it);
}

static void test_items_limit_and_page_size(void **state)
{
    struct fixture *f = *state;
    f->m.n = 3000;
    struct s3_collection all = s3_bucket_objects(&f->bucket);
    assert_int_equal(count_objects(all, 0), 3000);
    assert_int_equal(s3_stub_calls(f->c), 3);

    assert_int_equal(count_objects(s3_collection_limit(all, 1500), 0), 1500);
    assert_int_equal(s3_stub_calls(f->c), 5);

    struct s3_collection paged = s3_collection_page_size(all, 100);
    assert_int_equal(count_objects(s3_collection_limit(paged, 250), 0), 250);
    assert_int_equal(s3_stub_calls(f->c), 8);
    assert_int_equal(f->m.objects.max_keys, 100);
    /* The queries that others were derived from are as they were. */
    assert_int_equal(all.limit, 0);
    assert_int_equal(all.page_size, 0);
    assert_int_equal(paged.limit, 0);
}

static void test_filters_chain(void **state)
{
    struct fixture *f = *state;
    f->m.n = 1;
    struct s3_collection base =
        s3_collection_filter(s3_bucket_objects(&f->bucket), (struct s3_filter){.prefix = "p/"});
    struct s3_collection both =
        s3_collection_filter(base, (struct s3_filter){.delimiter = "/", .start_after = "p/a"});
    assert_int_equal(count_objects(both, 0), 1);
    assert_string_equal(f->m.objects.bucket, "bucket");
    assert_string_equal(f->m.objects.prefix, "p/");
    assert_string_equal(f->m.objects.delimiter, "/");
    assert_string_equal(f->m.objects.start_after, "p/a");
    count_objects(base, 0);
    assert_null(f->m.objects.delimiter);
    assert_null(f->m.objects.start_after);

    struct s3_filter markers = {.start_after = "k0", .id_marker = "id"};
    const void *entry;
    struct s3_iter *it =
        open_iter(s3_collection_filter(s3_bucket_object_versions(&f->bucket), markers));
    assert_int_equal(s3_iter_next(it, &entry, NULL), 1);
    assert_string_equal(f->m.versions.key_marker, "k0");
    assert_string_equal(f->m.versions.version_id_marker, "id");
    s3_iter_close(it);

    it = open_iter(s3_collection_filter(s3_bucket_multipart_uploads(&f->bucket), markers));
    assert_int_equal(s3_iter_next(it, &entry, NULL), 1);
    assert_string_equal(f->m.uploads.key_marker, "k0");
    assert_string_equal(f->m.uploads.upload_id_marker, "id");
    s3_iter_close(it);
}

static void expect_config_error(struct s3_collection c, struct s3_filter filter)
{
    struct s3_iter *it = NULL;
    struct s3_error err = {0};
    c = s3_collection_filter(c, filter);
    assert_true(s3_iter_open(&c, &it, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
    assert_null(it);
}

static void test_filters_that_an_operation_lacks(void **state)
{
    struct fixture *f = *state;
    struct s3_multipart_upload u;
    assert_int_equal(s3_bucket_multipart_upload(&f->bucket, "k", "u", &u, NULL), 0);
    struct s3_collection buckets = s3_service_buckets(&f->service);
    struct s3_collection parts = s3_multipart_upload_parts(&u);
    expect_config_error(buckets, (struct s3_filter){.delimiter = "/"});
    expect_config_error(buckets, (struct s3_filter){.start_after = "a"});
    expect_config_error(s3_bucket_objects(&f->bucket), (struct s3_filter){.id_marker = "a"});
    expect_config_error(parts, (struct s3_filter){.prefix = "a"});
    expect_config_error(parts, (struct s3_filter){.start_after = "a"});
    expect_config_error(parts, (struct s3_filter){.start_after = "10001"});
    assert_int_equal(s3_stub_calls(f->c), 0);
    s3_multipart_upload_done(&u);
}

static void test_pages(void **state)
{
    struct fixture *f = *state;
    f->m.n = 7;
    struct s3_collection c = s3_collection_page_size(s3_bucket_objects(&f->bucket), 3);
    struct s3_iter *it = open_iter(s3_collection_filter(c, (struct s3_filter){.delimiter = "/"}));
    static const size_t SIZES[] = {3, 3, 1};
    const void *entries;
    size_t n, n_prefixes, seen = 0;
    assert_null(s3_iter_prefixes(it, &n_prefixes));
    for (size_t p = 0; p < ARRAY_SIZE(SIZES); p++) {
        assert_int_equal(s3_iter_next_page(it, &entries, &n, NULL), 1);
        assert_int_equal(n, SIZES[p]);
        const struct s3_object_entry *e = entries;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(first_of(e[i].key), seen++);
        const char *const *prefixes = s3_iter_prefixes(it, &n_prefixes);
        assert_int_equal(n_prefixes, 1);
        assert_string_equal(prefixes[0], "dir/");
        assert_int_equal(s3_iter_pages(it), p + 1);
    }
    assert_int_equal(s3_iter_next_page(it, &entries, &n, NULL), 0);
    assert_null(s3_iter_prefixes(it, &n_prefixes));
    assert_int_equal(n_prefixes, 0);
    s3_iter_close(it);
}

static void test_resume_behind_the_limit(void **state)
{
    struct fixture *f = *state;
    f->m.n = 2500;
    struct s3_collection all = s3_bucket_objects(&f->bucket);
    struct s3_iter *it = open_iter(s3_collection_limit(all, 1234));
    const void *entry;
    while (s3_iter_next(it, &entry, NULL) > 0)
        ;
    CLEANUP_FREE char *token = s3_iter_resume_token(it);
    s3_iter_close(it);
    assert_non_null(token);
    assert_int_equal(count_objects(s3_collection_resume(all, token), 1234), 2500 - 1234);
}

static void test_resources(void **state)
{
    struct fixture *f = *state;
    f->m.n = 2;

    struct s3_iter *it = open_iter(s3_service_buckets(&f->service));
    struct s3_bucket b;
    const struct s3_bucket_attributes *attributes;
    assert_int_equal(s3_iter_next_bucket(it, &b, NULL), 1);
    assert_string_equal(s3_bucket_name(&b), "bucket0");
    s3_bucket_done(&b);
    assert_int_equal(s3_iter_next_bucket(it, &b, NULL), 1);
    unsigned calls = s3_stub_calls(f->c);
    assert_int_equal(s3_bucket_attributes(&b, &attributes, NULL), 0);
    assert_int_equal(attributes->creation_ns, 5);
    assert_string_equal(attributes->region, "eu-west-1");
    assert_int_equal(s3_stub_calls(f->c), calls); /* the listing told it */
    s3_iter_close(it);
    /* It outlives the iterator, as all of them. */
    assert_string_equal(s3_bucket_name(&b), "bucket1");
    s3_bucket_done(&b);

    it = open_iter(s3_bucket_objects(&f->bucket));
    struct s3_object o;
    const struct s3_object_summary *s;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(s3_iter_next_object(it, &o, NULL), 1);
        assert_string_equal(s3_object_bucket_name(&o), "bucket");
        assert_int_equal(first_of(s3_object_key(&o)), i);
        assert_int_equal(s3_object_summary(&o, &s, NULL), 0);
        assert_int_equal(s->size, i);
        assert_string_equal(s->etag, "\"e\"");
        assert_string_equal(s->storage_class, i ? "GLACIER" : "STANDARD");
        s3_object_done(&o);
    }
    assert_int_equal(s3_iter_next_object(it, &o, NULL), 0);
    s3_iter_close(it);
    assert_int_equal(s3_stub_calls_of(f->c, S3_OP_HEAD_OBJECT), 0);

    it = open_iter(s3_bucket_object_versions(&f->bucket));
    struct s3_object_version v;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(s3_iter_next_version(it, &v, NULL), 1);
        assert_int_equal(first_of(s3_object_version_id(&v)), i);
        assert_true(v.has_summary);
        assert_true(v.summary.is_latest == (i == 0));
        assert_true(v.summary.is_delete_marker == (i == 1));
        s3_object_version_done(&v);
    }
    s3_iter_close(it);

    it = open_iter(s3_bucket_multipart_uploads(&f->bucket));
    struct s3_multipart_upload u;
    assert_int_equal(s3_iter_next_upload(it, &u, NULL), 1);
    assert_int_equal(u.initiated_ns, 9);
    s3_iter_close(it);

    it = open_iter(s3_multipart_upload_parts(&u));
    const void *entry;
    assert_int_equal(s3_iter_next(it, &entry, NULL), 1);
    assert_int_equal(s3_iter_next(it, &entry, NULL), 1);
    assert_int_equal(((const struct s3_part_entry *)entry)->size, 20);
    assert_string_equal(f->m.parts.key, "k");
    assert_string_equal(f->m.parts.upload_id, "u");
    s3_iter_close(it);
    s3_multipart_upload_done(&u);
}

static void test_the_wrong_kind_is_refused(void **state)
{
    struct fixture *f = *state;
    f->m.n = 1;
    struct s3_iter *it = open_iter(s3_bucket_objects(&f->bucket));
    struct s3_object_version v;
    struct s3_error err = {0};
    assert_true(s3_iter_next_version(it, &v, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
    assert_int_equal(s3_stub_calls(f->c), 0);
    s3_iter_close(it);
}

static void test_out_of_memory_passes_over_nothing(void **state)
{
    struct fixture *f = *state;
    f->m.n = 3;
    struct s3_iter *it = open_iter(s3_bucket_objects(&f->bucket));
    const void *entry;
    assert_int_equal(s3_iter_next(it, &entry, NULL), 1); /* the page is there now */
    for (size_t i = 1; i < 3; i++) {
        struct s3_object o;
        int r;
        for (long n = 0;
             alloc_fail_begin(n), r = s3_iter_next_object(it, &o, NULL), alloc_fail_end(); n++)
            assert_int_equal(r, -ENOMEM);
        assert_int_equal(r, 1);
        assert_int_equal(first_of(s3_object_key(&o)), i);
        s3_object_done(&o);
    }
    s3_iter_close(it);
}

/* ---- batch delete ---- */

static size_t left(const struct model *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++)
        n += !m->deleted[i];
    return n;
}

static void test_delete_goes_by_pages(void **state)
{
    struct fixture *f = *state;
    f->m.n = 3000;
    struct s3_collection c = s3_bucket_objects(&f->bucket);
    struct s3_delete_report report;
    s3_delete_report_init(&report);
    assert_int_equal(s3_collection_delete(&c, &report, NULL), 0);
    assert_int_equal(report.deleted, 3000);
    assert_int_equal(report.n_failed, 0);
    assert_int_equal(report.requests, 3);
    assert_int_equal(s3_stub_calls(f->c), 6);
    assert_int_equal(left(&f->m), 0);
    assert_false(f->m.saw_versions);
    s3_delete_report_done(&report);
}

static void test_delete_versions_with_limit(void **state)
{
    struct fixture *f = *state;
    f->m.n = 50;
    struct s3_collection c = s3_collection_limit(s3_bucket_object_versions(&f->bucket), 30);
    assert_int_equal(s3_collection_delete(&c, NULL, NULL), 0);
    assert_true(f->m.saw_versions);
    assert_int_equal(left(&f->m), 20);
}

static void test_refused_keys_are_reported_and_the_rest_deleted(void **state)
{
    struct fixture *f = *state;
    f->m.n = 2500;
    f->m.refuse_every = 100;
    struct s3_collection c = s3_bucket_objects(&f->bucket);
    struct s3_delete_report report;
    struct s3_error err = {0};
    s3_delete_report_init(&report);
    assert_int_equal(s3_collection_delete(&c, &report, &err),
                     -s3_error_errno(S3_ERROR_ACCESS_DENIED));
    assert_int_equal(err.kind, S3_ERROR_ACCESS_DENIED);
    assert_string_equal(err.code, "AccessDenied");
    assert_non_null(strstr(err.message, "25 of 2500"));
    assert_int_equal(report.deleted, 2475);
    assert_int_equal(report.n_failed, 25);
    assert_int_equal(report.n_failures, 25);
    for (size_t i = 0; i < 25; i++) {
        assert_int_equal(first_of(report.failures[i].key), i * 100);
        assert_string_equal(report.failures[i].code, "AccessDenied");
        assert_string_equal(report.failures[i].message, "no");
    }
    assert_int_equal(left(&f->m), 25);
    s3_delete_report_done(&report);
}

static void test_failed_request_stops_the_deletion(void **state)
{
    struct fixture *f = *state;
    f->m.n = 3000;
    f->m.fail_delete = 2;
    struct s3_collection c = s3_bucket_objects(&f->bucket);
    struct s3_delete_report report;
    struct s3_error err = {0};
    s3_delete_report_init(&report);
    assert_true(s3_collection_delete(&c, &report, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_THROTTLED);
    assert_int_equal(report.deleted, 1000);
    assert_int_equal(f->m.deletes, 2);
    assert_int_equal(left(&f->m), 2000);
    s3_delete_report_done(&report);
}

static void test_a_key_without_an_answer_is_an_error(void **state)
{
    struct fixture *f = *state;
    f->m.n = 10;
    f->m.forget_delete = 1;
    struct s3_collection c = s3_bucket_objects(&f->bucket);
    struct s3_error err = {0};
    assert_true(s3_collection_delete(&c, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
}

static void test_delete_of_given_keys_in_thousands(void **state)
{
    struct fixture *f = *state;
    enum { N = 2001 };
    f->m.n = N;
    struct s3_delete_entry *entries = calloc(N, sizeof(*entries));
    char(*keys)[8] = calloc(N, sizeof(*keys));
    for (size_t i = 0; i < N; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%05zu", i);
        entries[i].key = keys[i];
    }
    struct s3_delete_report report;
    s3_delete_report_init(&report);
    assert_int_equal(s3_bucket_delete_objects(&f->bucket, entries, N, &report, NULL), 0);
    assert_int_equal(report.requests, 3);
    assert_int_equal(report.deleted, N);
    assert_int_equal(f->m.biggest_batch, 1000);
    assert_int_equal(s3_bucket_delete_objects(&f->bucket, entries, 0, &report, NULL), 0);
    assert_int_equal(report.requests, 3);
    s3_delete_report_done(&report);
    free(keys);
    free(entries);
}

static void test_only_objects_and_versions_are_deleted(void **state)
{
    struct fixture *f = *state;
    struct s3_collection c = s3_service_buckets(&f->service);
    struct s3_error err = {0};
    assert_true(s3_collection_delete(&c, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
    c = s3_bucket_multipart_uploads(&f->bucket);
    assert_true(s3_collection_delete(&c, NULL, &err) < 0);
    assert_int_equal(s3_stub_calls(f->c), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_sent_before_the_first_step),
        TEST(test_items_limit_and_page_size),
        TEST(test_filters_chain),
        TEST(test_filters_that_an_operation_lacks),
        TEST(test_pages),
        TEST(test_resume_behind_the_limit),
        TEST(test_resources),
        TEST(test_the_wrong_kind_is_refused),
        TEST(test_out_of_memory_passes_over_nothing),
        TEST(test_delete_goes_by_pages),
        TEST(test_delete_versions_with_limit),
        TEST(test_refused_keys_are_reported_and_the_rest_deleted),
        TEST(test_failed_request_stops_the_deletion),
        TEST(test_a_key_without_an_answer_is_an_error),
        TEST(test_delete_of_given_keys_in_thousands),
        TEST(test_only_objects_and_versions_are_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
