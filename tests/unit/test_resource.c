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
#include "s3/resource_bucket.h"
#include "s3/resource_object.h"
#include "s3/resource_upload.h"
#include "s3_stub.h"

/* What the stub was asked last, as text, and what it answers. */
struct world {
    char said[256];            /* "PutObject bucket/key abc" */
    const char *listed_bucket; /* in ListBuckets, on the second page; NULL = not there */
    bool deny_list;
    bool no_bucket;
    const char *content; /* of the object */
    size_t n_parts;
};

static ATTR_PRINTF(2, 3) void say(struct world *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->said, sizeof(w->said), fmt, ap);
    va_end(ap);
}

#define SET_TEXT(array, text) snprintf((array), sizeof(array), "%s", (text))

static const char *or_dash(const char *s)
{
    return s ? s : "-";
}

static int give_head(struct world *w, struct s3_head_object_out *o)
{
    o->content_length = o->object_size = strlen(w->content);
    o->etag = arena_strdup(&o->arena, "\"e1\"");
    assert_non_null(o->etag);
    o->last_modified_ns = 3;
    return 0;
}

static int list_buckets(struct world *w, const struct s3_list_buckets_in *in,
                        struct s3_list_buckets_out *o, struct s3_error *err)
{
    if (w->deny_list)
        return s3_stub_fail(err, 403, "AccessDenied");
    o->buckets = arena_alloc(&o->arena, sizeof(*o->buckets));
    o->n_buckets = 1;
    if (!in->continuation_token) { /* a server that ignores the prefix */
        o->buckets[0] = (struct s3_bucket_entry){.name = "another", .creation_ns = 1};
        o->continuation_token = "2";
    } else {
        o->n_buckets = w->listed_bucket ? 1 : 0;
        o->buckets[0] = (struct s3_bucket_entry){.name = w->listed_bucket, .creation_ns = 77};
    }
    return 0;
}

static int list_parts(struct world *w, const struct s3_list_parts_in *in,
                      struct s3_list_parts_out *o)
{
    o->parts = arena_alloc(&o->arena, 2 * sizeof(*o->parts));
    uint32_t n = in->part_number_marker;
    for (; n < w->n_parts && o->n_parts < 2; n++)
        o->parts[o->n_parts++] = (struct s3_part_entry){
            .part_number = n + 1, .etag = n % 2 ? "\"odd\"" : "\"even\"", .size = 1};
    o->is_truncated = n < w->n_parts;
    o->next_part_number_marker = n;
    return 0;
}

static int serve(void *ctx, enum s3_op op, const void *in, void *out, struct s3_error *err)
{
    struct world *w = ctx;
    const char *name = s3_op_name(op);
    switch ((int)op) {
    case S3_OP_LIST_BUCKETS:
        return list_buckets(w, in, out, err);
    case S3_OP_LIST_PARTS:
        return list_parts(w, in, out);
    case S3_OP_CREATE_BUCKET: {
        const struct s3_create_bucket_in *i = in;
        say(w, "%s %s %s", name, i->bucket, or_dash(i->location));
        return 0;
    }
    case S3_OP_HEAD_BUCKET:
        if (w->no_bucket)
            return s3_stub_fail(err, 404, "NoSuchBucket");
        SET_TEXT(((struct s3_head_bucket_out *)out)->region, "there-1");
        return 0;
    case S3_OP_DELETE_BUCKET:
        say(w, "%s %s", name, ((const struct s3_bucket_in *)in)->bucket);
        return 0;
    case S3_OP_GET_BUCKET_VERSIONING:
        ((struct s3_get_bucket_versioning_out *)out)->status = S3_VERSIONING_SUSPENDED;
        return 0;
    case S3_OP_PUT_BUCKET_VERSIONING: {
        const struct s3_put_bucket_versioning_in *i = in;
        say(w, "%s %s %d", name, i->bucket, i->status);
        return 0;
    }
    case S3_OP_HEAD_OBJECT: {
        const struct s3_head_object_in *i = in;
        say(w, "%s %s/%s %s", name, i->bucket, i->key, or_dash(i->version_id));
        return w->content ? give_head(w, out) : s3_stub_fail(err, 404, "NoSuchKey");
    }
    case S3_OP_GET_OBJECT: {
        const struct s3_get_object_in *i = in;
        say(w, "%s %s/%s %s", name, i->bucket, i->key, or_dash(i->version_id));
        if (!w->content)
            return s3_stub_fail(err, 404, "NoSuchKey");
        int r = i->sink->write(i->sink->ctx, w->content, strlen(w->content));
        if (r < 0)
            return s3_error_set(err, S3_ERROR_BAD_RESPONSE, "the sink refused");
        return give_head(w, out);
    }
    case S3_OP_PUT_OBJECT: {
        const struct s3_put_object_in *i = in;
        say(w, "%s %s/%s %.*s %s", name, i->bucket, i->key, i->n_body ? (int)i->body[0].iov_len : 1,
            i->n_body ? (char *)i->body[0].iov_base : "-", or_dash(i->conditions.if_none_match));
        return 0;
    }
    case S3_OP_COPY_OBJECT: {
        const struct s3_copy_object_in *i = in;
        say(w, "%s %s/%s from %s/%s", name, i->bucket, i->key, i->source_bucket, i->source_key);
        return 0;
    }
    case S3_OP_DELETE_OBJECT: {
        const struct s3_delete_object_in *i = in;
        say(w, "%s %s/%s %s", name, i->bucket, i->key, or_dash(i->version_id));
        return 0;
    }
    case S3_OP_CREATE_MULTIPART_UPLOAD: {
        const struct s3_create_multipart_upload_in *i = in;
        say(w, "%s %s/%s %s", name, i->bucket, i->key, or_dash(i->attrs.content_type));
        SET_TEXT(((struct s3_create_multipart_upload_out *)out)->upload_id, "up1");
        return 0;
    }
    case S3_OP_UPLOAD_PART: {
        const struct s3_upload_part_in *i = in;
        say(w, "%s %s/%s %s %u", name, i->bucket, i->key, i->upload_id, i->part_number);
        SET_TEXT(((struct s3_upload_part_out *)out)->etag, "\"p\"");
        return 0;
    }
    case S3_OP_UPLOAD_PART_COPY: {
        const struct s3_upload_part_copy_in *i = in;
        say(w, "%s %s/%s %s %u from %s/%s", name, i->bucket, i->key, i->upload_id, i->part_number,
            i->source_bucket, i->source_key);
        return 0;
    }
    case S3_OP_COMPLETE_MULTIPART_UPLOAD: {
        const struct s3_complete_multipart_upload_in *i = in;
        say(w, "%s %s/%s %s %zu parts", name, i->bucket, i->key, i->upload_id, i->n_parts);
        for (size_t p = 0; p < i->n_parts; p++) {
            assert_int_equal(i->parts[p].part_number, p + 1);
            assert_string_equal(i->parts[p].etag, p % 2 ? "\"odd\"" : "\"even\"");
        }
        return 0;
    }
    case S3_OP_ABORT_MULTIPART_UPLOAD: {
        const struct s3_abort_multipart_upload_in *i = in;
        say(w, "%s %s/%s %s", name, i->bucket, i->key, i->upload_id);
        return 0;
    }
    default:
        fail_msg("unexpected operation %s", name);
        return -EIO;
    }
}

struct fixture {
    struct world w;
    struct s3_client *c;
    struct s3_bucket bucket;
    struct s3_object object;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->c = s3_stub_new(serve, &f->w);
    assert_int_equal(s3_bucket_init(&f->bucket, f->c, "bucket", NULL), 0);
    assert_int_equal(s3_bucket_object(&f->bucket, "key", &f->object, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    s3_object_done(&f->object);
    s3_bucket_done(&f->bucket);
    s3_stub_done(f->c);
    free(f);
    return 0;
}

/* ---- meta ---- */

static void test_meta_round_trip(void **state)
{
    struct fixture *f = *state;
    /* From the resource to its client, and from that to what it is about. */
    struct s3_client *client = f->object.meta.client;
    assert_ptr_equal(client, f->c);
    assert_string_equal(s3_client_meta(client)->service, "s3");
    assert_string_equal(s3_client_meta(client)->region, "stub-1");
    /* And back: the same resource from the client and the identifiers. */
    const struct s3_resource_meta *m = &f->object.meta;
    assert_string_equal(m->type->name, "Object");
    assert_int_equal(m->type->n_ids, 2);
    assert_string_equal(m->type->id_names[0], "bucket_name");
    assert_string_equal(m->type->id_names[1], "key");
    struct s3_object again;
    assert_int_equal(s3_object_init(&again, client, m->ids[0], m->ids[1], NULL), 0);
    assert_true(s3_resource_equal(&again.meta, m));
    s3_object_done(&again);
    assert_int_equal(s3_stub_calls(f->c), 0);
}

static void test_equality_is_of_type_and_identifiers(void **state)
{
    struct fixture *f = *state;
    struct s3_object o;
    assert_int_equal(s3_object_init(&o, f->c, "bucket", "key2", NULL), 0);
    assert_false(s3_resource_equal(&o.meta, &f->object.meta));
    s3_object_done(&o);
    assert_int_equal(s3_object_init(&o, f->c, "bucket2", "key", NULL), 0);
    assert_false(s3_resource_equal(&o.meta, &f->object.meta));
    s3_object_done(&o);

    struct s3_client *other = s3_stub_new(serve, &f->w);
    assert_int_equal(s3_object_init(&o, other, "bucket", "key", NULL), 0);
    assert_true(s3_resource_equal(&o.meta, &f->object.meta));
    s3_object_done(&o);
    s3_stub_done(other);

    struct s3_object_version v;
    struct s3_multipart_upload u;
    assert_int_equal(s3_object_version(&f->object, "id", &v, NULL), 0);
    assert_int_equal(s3_object_multipart_upload(&f->object, "id", &u, NULL), 0);
    assert_false(s3_resource_equal(&v.meta, &u.meta));
    s3_object_version_done(&v);
    s3_multipart_upload_done(&u);
}

static void test_describe(void **state)
{
    struct fixture *f = *state;
    char buf[100];
    assert_string_equal(s3_resource_describe(&f->object.meta, buf, sizeof(buf)),
                        "s3.Object(bucket_name='bucket', key='key')");
    assert_string_equal(s3_resource_describe(&f->bucket.meta, buf, sizeof(buf)),
                        "s3.Bucket(name='bucket')");
    /* Cut, never overrun. */
    char small[8];
    assert_true(strlen(s3_resource_describe(&f->object.meta, small, sizeof(small))) < 8);
}

static void test_missing_identifiers(void **state)
{
    struct fixture *f = *state;
    struct s3_error err = {0};
    struct s3_object o;
    assert_true(s3_bucket_object(&f->bucket, "", &o, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
    assert_non_null(strstr(err.message, "key"));
    struct s3_bucket b;
    assert_true(s3_bucket_init(&b, f->c, NULL, &err) < 0);
    struct s3_object_version v;
    assert_true(s3_object_version(&f->object, NULL, &v, &err) < 0);
    assert_int_equal(s3_stub_refs(f->c), 3); /* ours, the bucket's, the object's */
}

static void test_out_of_memory_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    struct s3_object_version v;
    int r;
    for (long n = 0;
         alloc_fail_begin(n), r = s3_object_version(&f->object, "id", &v, NULL), alloc_fail_end();
         n++)
        assert_int_equal(r, -ENOMEM);
    assert_int_equal(r, 0);
    s3_object_version_done(&v);
    s3_object_version_done(&v); /* a zeroed one is fine */
    assert_int_equal(s3_stub_refs(f->c), 3);
}

/* ---- service and bucket ---- */

static void test_service(void **state)
{
    struct fixture *f = *state;
    struct s3_service s;
    struct s3_error err = {0};
    s3_stub_set_session_client(NULL);
    assert_true(s3_service_open(NULL, NULL, &s, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);

    s3_stub_set_session_client(f->c);
    assert_int_equal(s3_service_open(NULL, NULL, &s, &err), 0);
    s3_stub_set_session_client(NULL);
    assert_ptr_equal(s.meta.client, f->c);
    struct s3_bucket b;
    assert_int_equal(s3_service_create_bucket(&s, "new", "eu-west-1", &b, &err), 0);
    assert_string_equal(f->w.said, "CreateBucket new eu-west-1");
    s3_bucket_done(&b);
    assert_int_equal(s3_service_create_bucket(&s, "new", NULL, NULL, &err), 0);
    assert_string_equal(f->w.said, "CreateBucket new -");
    struct s3_object o;
    assert_int_equal(s3_service_object(&s, "bucket", "key", &o, &err), 0);
    assert_true(s3_resource_equal(&o.meta, &f->object.meta));
    s3_object_done(&o);
    s3_service_done(&s);
}

static void test_bucket_attributes_are_loaded_once(void **state)
{
    struct fixture *f = *state;
    f->w.listed_bucket = "bucket";
    const struct s3_bucket_attributes *a = NULL;
    assert_int_equal(s3_bucket_attributes(&f->bucket, &a, NULL), 0);
    assert_int_equal(a->creation_ns, 77);
    assert_int_equal(s3_bucket_attributes(&f->bucket, &a, NULL), 0);
    assert_int_equal(s3_stub_calls_of(f->c, S3_OP_LIST_BUCKETS), 2); /* two pages */
    assert_int_equal(s3_stub_calls(f->c), 2);
    assert_int_equal(s3_bucket_load(&f->bucket, NULL), 0);
    assert_int_equal(s3_stub_calls(f->c), 4);
}

static void test_bucket_that_is_not_ours(void **state)
{
    struct fixture *f = *state;
    const struct s3_bucket_attributes *a = NULL;
    struct s3_error err = {0};
    for (int denied = 0; denied < 2; denied++) {
        f->w.deny_list = denied;
        assert_int_equal(s3_bucket_load(&f->bucket, NULL), 0);
        assert_int_equal(s3_bucket_attributes(&f->bucket, &a, NULL), 0);
        assert_int_equal(a->creation_ns, 0);
        assert_string_equal(a->region, "there-1");
    }
    f->w.no_bucket = true;
    assert_true(s3_bucket_load(&f->bucket, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_NO_SUCH_BUCKET);
}

static void test_bucket_actions(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(s3_bucket_create(&f->bucket, NULL, NULL), 0);
    assert_string_equal(f->w.said, "CreateBucket bucket -");
    enum s3_versioning v = S3_VERSIONING_NEVER;
    assert_int_equal(s3_bucket_versioning(&f->bucket, &v, NULL), 0);
    assert_int_equal(v, S3_VERSIONING_SUSPENDED);
    assert_int_equal(s3_bucket_set_versioning(&f->bucket, S3_VERSIONING_ENABLED, NULL), 0);
    assert_string_equal(f->w.said, "PutBucketVersioning bucket 1");

    struct s3_object o;
    struct iovec body = {.iov_base = (char[]){"abc"}, .iov_len = 3};
    struct s3_put_object_in put = {.body = &body,
                                   .n_body = 1,
                                   .conditions = {.if_none_match = "*"},
                                   .bucket = "ignored",
                                   .key = "ignored"};
    assert_int_equal(s3_bucket_put_object(&f->bucket, "new", &put, &o, NULL), 0);
    assert_string_equal(f->w.said, "PutObject bucket/new abc *");
    assert_string_equal(s3_object_key(&o), "new");
    struct s3_bucket b;
    assert_int_equal(s3_object_bucket(&o, &b, NULL), 0);
    assert_true(s3_resource_equal(&b.meta, &f->bucket.meta));
    s3_bucket_done(&b);
    s3_object_done(&o);
    assert_int_equal(s3_bucket_put_object(&f->bucket, "new", NULL, NULL, NULL), 0);
    assert_string_equal(f->w.said, "PutObject bucket/new - -");

    assert_int_equal(s3_bucket_wait_until_exists(&f->bucket, NULL, NULL), 0);
    f->w.no_bucket = true;
    assert_int_equal(s3_bucket_wait_until_not_exists(&f->bucket, NULL, NULL), 0);
    assert_int_equal(s3_bucket_delete(&f->bucket, NULL), 0);
    assert_string_equal(f->w.said, "DeleteBucket bucket");
}

/* ---- object ---- */

static void test_object_attributes_are_loaded_once_and_after_changes(void **state)
{
    struct fixture *f = *state;
    f->w.content = "hello";
    const struct s3_head_object_out *head = NULL;
    const struct s3_object_summary *s = NULL;
    assert_false(f->object.meta.loaded);
    assert_int_equal(s3_object_attributes(&f->object, &head, NULL), 0);
    assert_true(f->object.meta.loaded);
    assert_int_equal(head->content_length, 5);
    assert_int_equal(s3_object_attributes(&f->object, &head, NULL), 0);
    assert_int_equal(s3_object_summary(&f->object, &s, NULL), 0);
    assert_int_equal(s->size, 5);
    assert_string_equal(s->etag, "\"e1\"");
    assert_string_equal(s->storage_class, "STANDARD");
    assert_int_equal(s3_stub_calls_of(f->c, S3_OP_HEAD_OBJECT), 1);

    assert_int_equal(s3_object_load(&f->object, NULL), 0); /* reload */
    assert_int_equal(s3_stub_calls_of(f->c, S3_OP_HEAD_OBJECT), 2);
    assert_int_equal(s3_object_put_memory(&f->object, "xy", 2, NULL), 0);
    assert_string_equal(f->w.said, "PutObject bucket/key xy -");
    f->w.content = "xy";
    assert_int_equal(s3_object_summary(&f->object, &s, NULL), 0);
    assert_int_equal(s->size, 2);
    assert_int_equal(s3_stub_calls_of(f->c, S3_OP_HEAD_OBJECT), 3);

    /* A failed load keeps what was known. */
    f->w.content = NULL;
    struct s3_error err = {0};
    assert_true(s3_object_load(&f->object, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_NO_SUCH_KEY);
    assert_int_equal(s3_object_attributes(&f->object, &head, NULL), 0);
    assert_int_equal(head->object_size, 2);
}

static void test_object_get(void **state)
{
    struct fixture *f = *state;
    struct s3_error err = {0};
    f->w.content = "hello";
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(100);
    assert_int_equal(s3_object_get_memory(&f->object, &sb, NULL), 0);
    assert_string_equal(strbuf_str(&sb), "hello");
    assert_string_equal(f->w.said, "GetObject bucket/key -");

    CLEANUP_STRBUF struct strbuf tiny = STRBUF_INIT(4);
    assert_true(s3_object_get_memory(&f->object, &tiny, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_TOO_LARGE);

    assert_true(s3_object_get(&f->object, NULL, NULL, &err) < 0); /* no sink */
    assert_int_equal(err.kind, S3_ERROR_CONFIG);

    f->w.content = NULL;
    strbuf_reset(&sb);
    assert_true(s3_object_get_memory(&f->object, &sb, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_NO_SUCH_KEY);
    assert_int_equal(sb.len, 0);
}

static void test_object_actions(void **state)
{
    struct fixture *f = *state;
    struct s3_error err = {0};
    f->w.content = "x";
    struct s3_copy_object_in copy = {.source_bucket = "sb", .source_key = "sk"};
    assert_int_equal(s3_object_copy_from(&f->object, &copy, NULL, NULL), 0);
    assert_string_equal(f->w.said, "CopyObject bucket/key from sb/sk");
    assert_true(s3_object_copy_from(&f->object, NULL, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);

    assert_int_equal(s3_object_wait_until_exists(&f->object, NULL, NULL), 0);
    f->w.content = NULL;
    assert_int_equal(s3_object_wait_until_not_exists(&f->object, NULL, NULL), 0);

    assert_int_equal(s3_object_delete(&f->object, NULL, NULL, NULL), 0);
    assert_string_equal(f->w.said, "DeleteObject bucket/key -");

    static const enum s3_op OPS[] = {S3_OP_GET_OBJECT, S3_OP_PUT_OBJECT, S3_OP_HEAD_OBJECT,
                                     S3_OP_DELETE_OBJECT};
    for (size_t i = 0; i < ARRAY_SIZE(OPS); i++) {
        CLEANUP_FREE char *url = NULL;
        char expected[64];
        snprintf(expected, sizeof(expected), "stub:%s:bucket/key:60", s3_op_name(OPS[i]));
        assert_int_equal(s3_object_presign(&f->object, OPS[i], 60, &url, NULL), 0);
        assert_string_equal(url, expected);
    }
    char *url = NULL;
    assert_true(s3_object_presign(&f->object, S3_OP_LIST_BUCKETS, 60, &url, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
}

static void test_version(void **state)
{
    struct fixture *f = *state;
    f->w.content = "old";
    struct s3_object_version v;
    assert_int_equal(s3_object_version(&f->object, "v7", &v, NULL), 0);
    assert_false(v.has_summary);
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(100);
    assert_int_equal(s3_object_version_get_memory(&v, &sb, NULL), 0);
    assert_string_equal(strbuf_str(&sb), "old");
    assert_string_equal(f->w.said, "GetObject bucket/key v7");
    assert_int_equal(s3_object_version_head(&v, NULL, NULL, NULL), 0);
    assert_string_equal(f->w.said, "HeadObject bucket/key v7");
    struct s3_head_object_out head = {0};
    assert_int_equal(s3_object_version_head(&v, NULL, &head, NULL), 0);
    assert_int_equal(head.object_size, 3);
    s3_head_object_out_done(&head);
    assert_int_equal(s3_object_version_delete(&v, NULL, NULL), 0);
    assert_string_equal(f->w.said, "DeleteObject bucket/key v7");
    struct s3_object o;
    assert_int_equal(s3_object_version_object(&v, &o, NULL), 0);
    assert_true(s3_resource_equal(&o.meta, &f->object.meta));
    s3_object_done(&o);
    s3_object_version_done(&v);
}

/* ---- upload ---- */

static void test_upload(void **state)
{
    struct fixture *f = *state;
    struct s3_error err = {0};
    struct s3_multipart_upload u;
    struct s3_create_multipart_upload_in create = {.attrs = {.content_type = "text/plain"}};
    assert_int_equal(s3_object_initiate_multipart_upload(&f->object, &create, &u, NULL), 0);
    assert_string_equal(f->w.said, "CreateMultipartUpload bucket/key text/plain");
    assert_string_equal(s3_multipart_upload_id(&u), "up1");
    assert_string_equal(s3_multipart_upload_key(&u), "key");

    struct s3_upload_part_out part = {0};
    assert_int_equal(s3_multipart_upload_upload_part(&u, 3, NULL, &part, NULL), 0);
    assert_string_equal(f->w.said, "UploadPart bucket/key up1 3");
    assert_string_equal(part.etag, "\"p\"");
    struct s3_upload_part_copy_in copy = {.source_bucket = "sb", .source_key = "sk"};
    assert_int_equal(s3_multipart_upload_copy_part(&u, 4, &copy, NULL, NULL), 0);
    assert_string_equal(f->w.said, "UploadPartCopy bucket/key up1 4 from sb/sk");
    assert_true(s3_multipart_upload_copy_part(&u, 4, NULL, NULL, &err) < 0);

    assert_true(s3_multipart_upload_complete(&u, NULL, NULL, &err) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONFIG);
    struct s3_completed_part parts[] = {{1, "\"even\"", {0}}, {2, "\"odd\"", {0}}};
    struct s3_complete_multipart_upload_in complete = {.parts = parts, .n_parts = 2};
    assert_int_equal(s3_multipart_upload_complete(&u, &complete, NULL, NULL), 0);
    assert_string_equal(f->w.said, "CompleteMultipartUpload bucket/key up1 2 parts");

    f->w.n_parts = 5; /* three pages */
    assert_int_equal(s3_multipart_upload_complete_listed(&u, NULL, NULL), 0);
    assert_string_equal(f->w.said, "CompleteMultipartUpload bucket/key up1 5 parts");
    assert_int_equal(s3_stub_calls_of(f->c, S3_OP_LIST_PARTS), 3);

    assert_int_equal(s3_multipart_upload_abort(&u, NULL), 0);
    assert_string_equal(f->w.said, "AbortMultipartUpload bucket/key up1");
    struct s3_object o;
    assert_int_equal(s3_multipart_upload_object(&u, &o, NULL), 0);
    assert_true(s3_resource_equal(&o.meta, &f->object.meta));
    s3_object_done(&o);
    s3_multipart_upload_done(&u);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_meta_round_trip),
        TEST(test_equality_is_of_type_and_identifiers),
        TEST(test_describe),
        TEST(test_missing_identifiers),
        TEST(test_out_of_memory_leaks_nothing),
        TEST(test_service),
        TEST(test_bucket_attributes_are_loaded_once),
        TEST(test_bucket_that_is_not_ours),
        TEST(test_bucket_actions),
        TEST(test_object_attributes_are_loaded_once_and_after_changes),
        TEST(test_object_get),
        TEST(test_object_actions),
        TEST(test_version),
        TEST(test_upload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
