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
#include "s3/paginator.h"
#include "s3_stub.h"

/* A list of n items, item i named "k<i>" (part number i + 1), told in pages. Tokens with every kind
 * of byte, as servers make them. */
struct list {
    size_t n;
    size_t server_page;   /* when the request does not say */
    size_t n_prefixes;    /* on every page */
    unsigned fail_call;   /* the call with this number (1...) fails; 0 = none */
    unsigned no_token_at; /* the call that says "truncated" without a token */
    size_t loop_from;     /* a page that would begin here begins at loop_to instead; 0 = never */
    size_t loop_to;
    unsigned calls;
    uint32_t last_page_size;
    const char *last_start;
};

#define TOKEN_FMT "tok:%zu/+= \"%%&<\xc3\xa4>"

static size_t number_in(const char *s)
{
    return strtoul(strpbrk(s, "0123456789"), NULL, 10);
}

struct window {
    size_t first;
    size_t count;
    size_t next; /* 0 = no more */
};

static struct window window(struct list *l, size_t first, uint32_t page_size)
{
    size_t size = page_size ? page_size : l->server_page;
    l->last_page_size = page_size;
    assert_in_range(first, 0, l->n);
    struct window w = {.first = first, .count = MIN(size, l->n - first)};
    if (first + w.count < l->n)
        w.next = first + w.count;
    if (l->loop_from && w.next >= l->loop_from)
        w.next = l->loop_to;
    return w;
}

static ATTR_PRINTF(2, 3) char *text(struct arena *a, const char *fmt, ...)
{
    char buf[100];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    return arena_strdup(a, buf);
}

static void prefixes(struct list *l, struct arena *a, const char ***ret, size_t *ret_n)
{
    *ret_n = l->n_prefixes;
    *ret = arena_alloc(a, l->n_prefixes * sizeof(char *) + 1);
    for (size_t i = 0; i < l->n_prefixes; i++)
        (*ret)[i] = "p/";
}

static int serve(void *ctx, enum s3_op op, const void *in, void *out, struct s3_error *err)
{
    struct list *l = ctx;
    l->calls++;
    if (l->calls == l->fail_call)
        return s3_error_set(err, S3_ERROR_TIMEOUT, "too slow");
    bool no_token = l->calls == l->no_token_at;

    switch ((int)op) {
    case S3_OP_LIST_BUCKETS: {
        const struct s3_list_buckets_in *i = in;
        struct s3_list_buckets_out *o = out;
        const char *t = i->continuation_token;
        struct window w = window(l, t ? number_in(t) : 0, i->max_buckets);
        o->buckets = arena_alloc(&o->arena, w.count * sizeof(*o->buckets) + 1);
        for (o->n_buckets = 0; o->n_buckets < w.count; o->n_buckets++)
            o->buckets[o->n_buckets].name = text(&o->arena, "k%zu", w.first + o->n_buckets);
        if (w.next)
            o->continuation_token = text(&o->arena, TOKEN_FMT, w.next);
        return 0;
    }
    case S3_OP_LIST_OBJECTS_V2: {
        const struct s3_list_objects_v2_in *i = in;
        struct s3_list_objects_v2_out *o = out;
        const char *t = i->continuation_token;
        l->last_start = i->start_after;
        assert_string_equal(i->bucket, "bucket");
        struct window w = window(l, t ? number_in(t) : 0, i->max_keys);
        o->objects = arena_alloc(&o->arena, w.count * sizeof(*o->objects) + 1);
        for (o->n_objects = 0; o->n_objects < w.count; o->n_objects++)
            o->objects[o->n_objects].key = text(&o->arena, "k%zu", w.first + o->n_objects);
        prefixes(l, &o->arena, &o->common_prefixes, &o->n_common_prefixes);
        o->is_truncated = w.next > 0;
        if (w.next && !no_token)
            o->next_continuation_token = text(&o->arena, TOKEN_FMT, w.next);
        return 0;
    }
    case S3_OP_LIST_OBJECT_VERSIONS: {
        const struct s3_list_object_versions_in *i = in;
        struct s3_list_object_versions_out *o = out;
        size_t first = 0;
        if (i->key_marker) {
            first = number_in(i->key_marker);
            /* The pair travels together; every third page has no version id. */
            if (first % 3 == 0)
                assert_null(i->version_id_marker);
            else
                assert_int_equal(number_in(i->version_id_marker), first * 7);
        }
        struct window w = window(l, first, i->max_keys);
        o->versions = arena_alloc(&o->arena, w.count * sizeof(*o->versions) + 1);
        for (o->n_versions = 0; o->n_versions < w.count; o->n_versions++)
            o->versions[o->n_versions].key = text(&o->arena, "k%zu", w.first + o->n_versions);
        prefixes(l, &o->arena, &o->common_prefixes, &o->n_common_prefixes);
        o->is_truncated = w.next > 0;
        if (w.next && !no_token) {
            o->next_key_marker = text(&o->arena, TOKEN_FMT, w.next);
            if (w.next % 3 != 0)
                o->next_version_id_marker = text(&o->arena, "v%zu", w.next * 7);
            else
                o->next_version_id_marker = "";
        }
        return 0;
    }
    case S3_OP_LIST_MULTIPART_UPLOADS: {
        const struct s3_list_multipart_uploads_in *i = in;
        struct s3_list_multipart_uploads_out *o = out;
        size_t first = 0;
        if (i->key_marker) {
            first = number_in(i->key_marker);
            assert_int_equal(number_in(i->upload_id_marker), first * 7);
        }
        struct window w = window(l, first, i->max_uploads);
        o->uploads = arena_alloc(&o->arena, w.count * sizeof(*o->uploads) + 1);
        for (o->n_uploads = 0; o->n_uploads < w.count; o->n_uploads++)
            o->uploads[o->n_uploads].key = text(&o->arena, "k%zu", w.first + o->n_uploads);
        prefixes(l, &o->arena, &o->common_prefixes, &o->n_common_prefixes);
        o->is_truncated = w.next > 0;
        if (w.next && !no_token) {
            o->next_key_marker = text(&o->arena, TOKEN_FMT, w.next);
            o->next_upload_id_marker = text(&o->arena, "u%zu", w.next * 7);
        }
        return 0;
    }
    case S3_OP_LIST_PARTS: {
        const struct s3_list_parts_in *i = in;
        struct s3_list_parts_out *o = out;
        struct window w = window(l, i->part_number_marker, i->max_parts);
        o->parts = arena_alloc(&o->arena, w.count * sizeof(*o->parts) + 1);
        for (o->n_parts = 0; o->n_parts < w.count; o->n_parts++)
            o->parts[o->n_parts].part_number = (uint32_t)(w.first + o->n_parts + 1);
        o->is_truncated = w.next > 0;
        if (!no_token)
            o->next_part_number_marker = (uint32_t)w.next;
        return 0;
    }
    default:
        fail_msg("unexpected operation %d", op);
        return -EIO;
    }
}

/* ---- the five operations under one roof ---- */

struct operation {
    const struct s3_paginator_def *def;
    const void *in;
};

static const struct s3_list_buckets_in BUCKETS_IN;
static const struct s3_list_objects_v2_in OBJECTS_IN = {.bucket = "bucket"};
static const struct s3_list_object_versions_in VERSIONS_IN = {.bucket = "bucket"};
static const struct s3_list_multipart_uploads_in UPLOADS_IN = {.bucket = "bucket"};
static const struct s3_list_parts_in PARTS_IN = {.bucket = "b", .key = "k", .upload_id = "u"};

static const struct operation OPERATIONS[] = {
    {&s3_paginator_list_buckets, &BUCKETS_IN},
    {&s3_paginator_list_objects_v2, &OBJECTS_IN},
    {&s3_paginator_list_object_versions, &VERSIONS_IN},
    {&s3_paginator_list_multipart_uploads, &UPLOADS_IN},
    {&s3_paginator_list_parts, &PARTS_IN},
};

/* The number of the current page's item. */
static size_t item_number(const struct operation *op, struct s3_paginator *p, size_t index)
{
    const void *item = s3_paginator_item_at(p, index);
    assert_non_null(item);
    if (op->def == &s3_paginator_list_parts)
        return ((const struct s3_part_entry *)item)->part_number - 1;
    return number_in(*(const char *const *)item); /* key or name is the first member */
}

static struct s3_paginator *open_list(struct s3_client *c, const struct operation *op,
                                      struct s3_paginator_options opts)
{
    struct s3_paginator *p = NULL;
    assert_int_equal(s3_paginator_new(c, op->def, op->in, &opts, &p, NULL), 0);
    return p;
}

/* Reads to the end and checks that the items are first, first + 1, ... Returns how many. */
static size_t drain(const struct operation *op, struct s3_paginator *p, size_t first)
{
    size_t n = 0;
    int r;
    const void *page;
    while ((r = s3_paginator_next(p, &page, NULL)) > 0)
        for (size_t i = 0; i < s3_paginator_item_count(p); i++)
            assert_int_equal(item_number(op, p, i), first + n++);
    assert_int_equal(r, 0);
    assert_int_equal(s3_paginator_next(p, &page, NULL), 0);
    assert_int_equal(s3_paginator_item_count(p), 0);
    assert_null(s3_paginator_item_at(p, 0));
    return n;
}

static void test_three_thousand_items_are_three_requests(void **state ATTR_UNUSED)
{
    for (size_t o = 0; o < ARRAY_SIZE(OPERATIONS); o++) {
        struct list l = {.n = 3000, .server_page = 1000};
        struct s3_client *c = s3_stub_new(serve, &l);
        struct s3_paginator *p = open_list(c, &OPERATIONS[o], (struct s3_paginator_options){0});
        assert_int_equal(s3_stub_calls(c), 0);
        assert_int_equal(drain(&OPERATIONS[o], p, 0), 3000);
        assert_int_equal(s3_stub_calls(c), 3);
        assert_int_equal(s3_paginator_pages(p), 3);
        assert_null(s3_paginator_resume_token(p));
        s3_paginator_free(p);
        s3_stub_done(c);
    }
}

static void test_empty_list_is_one_empty_page(void **state ATTR_UNUSED)
{
    struct list l = {.n = 0, .server_page = 1000};
    struct s3_client *c = s3_stub_new(serve, &l);
    struct s3_paginator *p = open_list(c, &OPERATIONS[1], (struct s3_paginator_options){0});
    const void *page;
    assert_int_equal(s3_paginator_next(p, &page, NULL), 1);
    assert_int_equal(s3_paginator_item_count(p), 0);
    assert_int_equal(s3_paginator_next(p, &page, NULL), 0);
    assert_int_equal(s3_stub_calls(c), 1);
    s3_paginator_free(p);
    s3_stub_done(c);
}

static void test_page_size_is_sent_and_capped(void **state ATTR_UNUSED)
{
    for (size_t o = 0; o < ARRAY_SIZE(OPERATIONS); o++) {
        struct list l = {.n = 10, .server_page = 1000};
        struct s3_client *c = s3_stub_new(serve, &l);
        struct s3_paginator *p =
            open_list(c, &OPERATIONS[o], (struct s3_paginator_options){.page_size = 4});
        assert_int_equal(drain(&OPERATIONS[o], p, 0), 10);
        assert_int_equal(l.last_page_size, 4);
        assert_int_equal(l.calls, 3);
        s3_paginator_free(p);

        p = open_list(c, &OPERATIONS[o], (struct s3_paginator_options){.page_size = 1u << 30});
        assert_int_equal(drain(&OPERATIONS[o], p, 0), 10);
        assert_int_equal(l.last_page_size, o == 0 ? 10000 : 1000);
        s3_paginator_free(p);
        s3_stub_done(c);
    }
}

static void test_the_callers_input_is_kept(void **state ATTR_UNUSED)
{
    struct list l = {.n = 10, .server_page = 1000};
    struct s3_client *c = s3_stub_new(serve, &l);
    struct s3_list_objects_v2_in in = {.bucket = "bucket", .start_after = "x", .max_keys = 3};
    struct s3_paginator *p;
    assert_int_equal(s3_paginator_new(c, &s3_paginator_list_objects_v2, &in, NULL, &p, NULL), 0);
    assert_int_equal(drain(&OPERATIONS[1], p, 0), 10);
    assert_int_equal(l.last_page_size, 3);
    assert_string_equal(l.last_start, "x");
    assert_null(in.continuation_token);
    s3_paginator_free(p);
    s3_stub_done(c);
}

/* Every cut of a list, taken up again with another page size, gives each item once. */
static void test_max_items_and_resume(void **state ATTR_UNUSED)
{
    enum { N = 11, PAGE = 4 };
    for (size_t o = 0; o < ARRAY_SIZE(OPERATIONS); o++) {
        const struct operation *op = &OPERATIONS[o];
        struct list l = {.n = N, .server_page = PAGE};
        struct s3_client *c = s3_stub_new(serve, &l);
        for (size_t max = 1; max <= N + 1; max++) {
            l.calls = 0;
            struct s3_paginator *p =
                open_list(c, op, (struct s3_paginator_options){.max_items = max});
            assert_int_equal(drain(op, p, 0), MIN(max, (size_t)N));
            assert_int_equal(l.calls, (MIN(max, (size_t)N) + PAGE - 1) / PAGE);
            CLEANUP_FREE char *token = s3_paginator_resume_token(p);
            s3_paginator_free(p);
            if (max >= N) {
                assert_null(token);
                continue;
            }
            assert_non_null(token);
            for (uint32_t size = 1; size <= 5; size++) {
                p = open_list(
                    c, op, (struct s3_paginator_options){.resume_token = token, .page_size = size});
                assert_int_equal(drain(op, p, max), N - max);
                s3_paginator_free(p);
            }
        }
        s3_stub_done(c);
    }
}

static void test_chain_of_resumes(void **state ATTR_UNUSED)
{
    struct list l = {.n = 20, .server_page = 7};
    struct s3_client *c = s3_stub_new(serve, &l);
    char *token = NULL;
    size_t seen = 0;
    do {
        struct s3_paginator_options opts = {.max_items = 3, .resume_token = token};
        struct s3_paginator *p = open_list(c, &OPERATIONS[2], opts);
        seen += drain(&OPERATIONS[2], p, seen);
        free(token);
        token = s3_paginator_resume_token(p);
        s3_paginator_free(p);
    } while (token);
    assert_int_equal(seen, 20);
    s3_stub_done(c);
}

static void test_resume_before_the_first_page_begins_anew(void **state ATTR_UNUSED)
{
    struct list l = {.n = 5, .server_page = 2};
    struct s3_client *c = s3_stub_new(serve, &l);
    struct s3_paginator *p = open_list(c, &OPERATIONS[1], (struct s3_paginator_options){0});
    CLEANUP_FREE char *token = s3_paginator_resume_token(p);
    s3_paginator_free(p);
    p = open_list(c, &OPERATIONS[1], (struct s3_paginator_options){.resume_token = token});
    assert_int_equal(drain(&OPERATIONS[1], p, 0), 5);
    s3_paginator_free(p);
    s3_stub_done(c);
}

static void test_prefixes_are_delivered_once(void **state ATTR_UNUSED)
{
    struct list l = {.n = 10, .server_page = 10, .n_prefixes = 3};
    struct s3_client *c = s3_stub_new(serve, &l);
    struct s3_paginator *p =
        open_list(c, &OPERATIONS[1], (struct s3_paginator_options){.max_items = 4});
    const void *page;
    assert_int_equal(s3_paginator_next(p, &page, NULL), 1);
    const struct s3_list_objects_v2_out *o = page;
    assert_int_equal(o->n_objects, 4);
    assert_int_equal(o->n_common_prefixes, 3);
    CLEANUP_FREE char *token = s3_paginator_resume_token(p);
    s3_paginator_free(p);

    p = open_list(c, &OPERATIONS[1], (struct s3_paginator_options){.resume_token = token});
    assert_int_equal(s3_paginator_next(p, &page, NULL), 1);
    o = page;
    assert_int_equal(o->n_objects, 6);
    assert_string_equal(o->objects[0].key, "k4");
    assert_int_equal(o->n_common_prefixes, 0);
    s3_paginator_free(p);
    s3_stub_done(c);
}

static void test_error_is_not_the_end_and_can_be_retried(void **state ATTR_UNUSED)
{
    for (size_t o = 0; o < ARRAY_SIZE(OPERATIONS); o++) {
        for (unsigned fail = 1; fail <= 3; fail++) {
            struct list l = {.n = 10, .server_page = 4, .fail_call = fail};
            struct s3_client *c = s3_stub_new(serve, &l);
            struct s3_paginator *p = open_list(c, &OPERATIONS[o], (struct s3_paginator_options){0});
            size_t n = 0;
            unsigned errors = 0;
            int r;
            const void *page;
            struct s3_error err = {0};
            while ((r = s3_paginator_next(p, &page, &err)) != 0) {
                if (r < 0) {
                    errors++;
                    assert_int_equal(err.kind, S3_ERROR_TIMEOUT);
                    assert_int_equal(s3_paginator_item_count(p), 0);
                    continue;
                }
                for (size_t i = 0; i < s3_paginator_item_count(p); i++)
                    assert_int_equal(item_number(&OPERATIONS[o], p, i), n++);
            }
            assert_int_equal(n, 10);
            assert_int_equal(errors, 1);
            assert_int_equal(l.calls, 4);
            assert_int_equal(s3_paginator_pages(p), 3);
            s3_paginator_free(p);
            s3_stub_done(c);
        }
    }
}

static void test_truncated_without_token_is_an_error(void **state ATTR_UNUSED)
{
    for (size_t o = 1; o < ARRAY_SIZE(OPERATIONS); o++) { /* buckets: the token is the flag */
        struct list l = {.n = 10, .server_page = 4, .no_token_at = 2};
        struct s3_client *c = s3_stub_new(serve, &l);
        struct s3_paginator *p = open_list(c, &OPERATIONS[o], (struct s3_paginator_options){0});
        const void *page;
        struct s3_error err = {0};
        assert_int_equal(s3_paginator_next(p, &page, &err), 1);
        int r = s3_paginator_next(p, &page, &err);
        assert_int_equal(r, -s3_error_errno(S3_ERROR_BAD_RESPONSE));
        assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
        assert_string_equal(err.operation, s3_op_name(OPERATIONS[o].def->op));
        /* The same page again, and this time it is whole. */
        assert_int_equal(drain(&OPERATIONS[o], p, 4), 6);
        s3_paginator_free(p);
        s3_stub_done(c);
    }
}

static void test_loops_of_tokens_are_errors(void **state ATTR_UNUSED)
{
    static const struct {
        size_t from, to;
    } LOOPS[] = {{8, 4}, {8, 8}, {40, 4}, {60, 20}, {400, 4}};
    for (size_t o = 0; o < ARRAY_SIZE(OPERATIONS); o++) {
        for (size_t i = 0; i < ARRAY_SIZE(LOOPS); i++) {
            struct list l = {
                .n = 1000, .server_page = 4, .loop_from = LOOPS[i].from, .loop_to = LOOPS[i].to};
            struct s3_client *c = s3_stub_new(serve, &l);
            struct s3_paginator *p = open_list(c, &OPERATIONS[o], (struct s3_paginator_options){0});
            struct s3_error err = {0};
            int r;
            const void *page;
            while ((r = s3_paginator_next(p, &page, &err)) > 0)
                assert_in_range(l.calls, 1, 3 * LOOPS[i].from / 4 + 3);
            assert_true(r < 0);
            assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
            s3_paginator_free(p);
            s3_stub_done(c);
        }
    }
}

static void expect_bad_token(struct s3_client *c, const struct operation *op, const char *token)
{
    struct s3_paginator *p = NULL;
    struct s3_error err = {0};
    struct s3_paginator_options opts = {.resume_token = token};
    assert_int_equal(s3_paginator_new(c, op->def, op->in, &opts, &p, &err),
                     -s3_error_errno(S3_ERROR_CONFIG));
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
    assert_null(p);
}

static void test_damaged_resume_tokens_are_refused(void **state ATTR_UNUSED)
{
    struct list l = {.n = 10, .server_page = 4};
    struct s3_client *c = s3_stub_new(serve, &l);
    struct s3_paginator *p =
        open_list(c, &OPERATIONS[2], (struct s3_paginator_options){.max_items = 6});
    drain(&OPERATIONS[2], p, 0);
    CLEANUP_FREE char *token = s3_paginator_resume_token(p);
    s3_paginator_free(p);
    for (const char *s = token; *s; s++)
        assert_in_range(*s, '!', '~');

    size_t len = strlen(token);
    for (size_t i = 0; i < len; i++) {
        CLEANUP_FREE char *cut = strndup(token, i);
        expect_bad_token(c, &OPERATIONS[2], cut);
        CLEANUP_FREE char *changed = strdup(token);
        changed[i] = changed[i] == 'x' ? 'y' : 'x';
        expect_bad_token(c, &OPERATIONS[2], changed);
    }
    CLEANUP_FREE char *longer = NULL;
    assert_true(asprintf(&longer, "%s0", token) > 0);
    expect_bad_token(c, &OPERATIONS[2], longer);
    expect_bad_token(c, &OPERATIONS[1], token);
    expect_bad_token(c, &OPERATIONS[4], token);
    expect_bad_token(c, &OPERATIONS[1], "tok:4");
    assert_int_equal(s3_stub_refs(c), 1);
    s3_stub_done(c);
}

/* Allocates nothing itself, so that every allocation that fails is the paginator's. */
static int serve_static(void *ctx, enum s3_op op ATTR_UNUSED, const void *in, void *out,
                        struct s3_error *err ATTR_UNUSED)
{
    static struct s3_version_entry entry = {.key = "k"};
    static const char *const MARKERS[] = {"a", "b", "c", "d", NULL};
    const struct s3_list_object_versions_in *i = in;
    struct s3_list_object_versions_out *o = out;
    size_t page = i->key_marker ? (size_t)(i->key_marker[0] - 'a') + 1 : 0;
    assert_int_equal(page, *(size_t *)ctx);
    o->versions = &entry;
    o->n_versions = 1;
    o->is_truncated = MARKERS[page] != NULL;
    o->next_key_marker = MARKERS[page];
    o->next_version_id_marker = MARKERS[page];
    return 0;
}

static void test_out_of_memory_changes_nothing(void **state ATTR_UNUSED)
{
    size_t page = 0;
    struct s3_client *c = s3_stub_new(serve_static, &page);
    struct s3_paginator *p = NULL;
    struct s3_error err = {0};
    int r;
    for (long n = 0; alloc_fail_begin(n),
              r = s3_paginator_new(c, &s3_paginator_list_object_versions, &VERSIONS_IN, NULL, &p,
                                   &err),
              alloc_fail_end();
         n++)
        assert_int_equal(r, -ENOMEM);
    assert_int_equal(r, 0);

    for (; page < 5; page++) {
        const void *out;
        for (long n = 0;
             alloc_fail_begin(n), r = s3_paginator_next(p, &out, &err), alloc_fail_end(); n++) {
            assert_int_equal(r, -ENOMEM);
            assert_int_equal(err.kind, S3_ERROR_OUT_OF_MEMORY);
            assert_int_equal(s3_paginator_pages(p), page);
        }
        assert_int_equal(r, 1);

        char *token = NULL;
        for (long n = 0;
             alloc_fail_begin(n), token = s3_paginator_resume_token(p), alloc_fail_end(); n++)
            assert_null(token);
        assert_true((token != NULL) == (page < 4));
        if (token) {
            struct s3_paginator_options opts = {.resume_token = token};
            struct s3_paginator *again = NULL;
            for (long n = 0; alloc_fail_begin(n),
                      r = s3_paginator_new(c, &s3_paginator_list_object_versions, &VERSIONS_IN,
                                           &opts, &again, &err),
                      alloc_fail_end();
                 n++)
                assert_int_equal(r, -ENOMEM);
            assert_int_equal(r, 0);
            s3_paginator_free(again);
        }
        free(token);
    }
    s3_paginator_free(p);
    s3_stub_done(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_thousand_items_are_three_requests),
        cmocka_unit_test(test_empty_list_is_one_empty_page),
        cmocka_unit_test(test_page_size_is_sent_and_capped),
        cmocka_unit_test(test_the_callers_input_is_kept),
        cmocka_unit_test(test_max_items_and_resume),
        cmocka_unit_test(test_chain_of_resumes),
        cmocka_unit_test(test_resume_before_the_first_page_begins_anew),
        cmocka_unit_test(test_prefixes_are_delivered_once),
        cmocka_unit_test(test_error_is_not_the_end_and_can_be_retried),
        cmocka_unit_test(test_truncated_without_token_is_an_error),
        cmocka_unit_test(test_loops_of_tokens_are_errors),
        cmocka_unit_test(test_damaged_resume_tokens_are_refused),
        cmocka_unit_test(test_out_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
