/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions over servers that hold, ignore or refuse them: which requests go out, and which
 * answers are a conflict. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "s3_bed.h"
#include "store/store_s3.h"

#define V1    "\"11111111111111111111111111111111\""
#define V2    "\"22222222222222222222222222222222\""
#define DATED "\nLast-Modified: Sun, 22 Nov 2026 15:00:00 GMT"
#define COPIED                                                                                     \
    "<CopyObjectResult><ETag>" V2 "</ETag><LastModified>2026-11-22T15:00:00Z</LastModified>"       \
    "</CopyObjectResult>"
#define PART_COPIED                                                                                \
    "<CopyPartResult><ETag>" V2 "</ETag><LastModified>2026-11-22T15:00:00Z</LastModified>"         \
    "</CopyPartResult>"
#define COMPLETED                                                                                  \
    "<CompleteMultipartUploadResult><Key>k</Key><ETag>" V2 "</ETag>"                               \
    "</CompleteMultipartUploadResult>"

#define PARTS                                                                                      \
    "<ListPartsResult><UploadId>u</UploadId><IsTruncated>false</IsTruncated></ListPartsResult>"

struct world {
    struct bed bed;
    struct store *store;
    struct s3_error err;
    int asked; /* for what is unknown */
};

static void count_unknown(void *ctx)
{
    ((struct world *)ctx)->asked++;
}

static void world_open(struct world *w, const char *caps)
{
    struct store_caps c = store_caps_all();
    struct store_s3_options o = {.bucket = "bkt",
                                 .prefix = "",
                                 .clock = &w->bed.clock.clock,
                                 .caps = &c,
                                 .unknown = count_unknown,
                                 .unknown_ctx = w};

    memset(w, 0, sizeof(*w));
    struct bed_options once = {.client.retry.max_attempts = 1};
    bed_open_with(&w->bed, &once);
    if (caps)
        assert_int_equal(store_caps_parse(caps, &c), 0);
    o.client = w->bed.client;
    assert_int_equal(store_s3_new(&o, &w->store, NULL), 0);
}

static void world_close(struct world *w)
{
    store_free(w->store);
    bed_close(&w->bed);
}

static int put(struct world *w, const char *if_match)
{
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct store_put_in in = {
        .key = "k", .body = &iov, .n_body = 1, .if_match = if_match, .if_absent = !if_match};
    struct store_version v;
    return store_put(w->store, &in, &v, &w->err);
}

static int complete(struct world *w, const char *if_match)
{
    struct store_part part = {.number = 1, .etag = V1};
    struct store_upload_complete_in in = {.key = "k",
                                          .upload_id = "u",
                                          .parts = &part,
                                          .n_parts = 1,
                                          .if_match = if_match,
                                          .if_absent = !if_match};
    struct store_version v;
    return store_call(w->store, STORE_UPLOAD_COMPLETE, &in, &v, &w->err);
}

static int copy(struct world *w, const char *source, const char *if_match)
{
    struct store_copy_in in = {.source_key = source,
                               .source_if_match = V1,
                               .key = "k",
                               .if_match = if_match,
                               .if_absent = !if_match,
                               .replace_attrs = true};
    struct store_version v;
    return store_copy(w->store, &in, &v, &w->err);
}

static int part_copy(struct world *w)
{
    struct store_upload_part_copy_in in = {.key = "k",
                                           .upload_id = "u",
                                           .number = 1,
                                           .source_key = "s",
                                           .source_if_match = V1,
                                           .offset = 0,
                                           .length = 10};
    struct store_part p;
    return store_call(w->store, STORE_UPLOAD_PART_COPY, &in, &p, &w->err);
}

static void found(struct world *w, const char *etag)
{
    static char headers[4][128];
    static unsigned next;
    char *buf = headers[next++ % ARRAY_SIZE(headers)];

    snprintf(buf, sizeof(headers[0]), "ETag: %s" DATED, etag);
    bed_answer(&w->bed, 200, buf, NULL);
}

static void absent(struct world *w)
{
    bed_answer(&w->bed, 404, NULL, NULL);
}

/* Where everything is held nothing is looked at, neither before nor after a conflict. */
static void a_server_that_holds_conditions(void **state)
{
    struct world w;
    world_open(&w, NULL);
    bed_error(&w.bed, 412, "PreconditionFailed");
    assert_int_equal(put(&w, V1), -ESTALE);
    bed_error(&w.bed, 412, "PreconditionFailed");
    assert_int_equal(complete(&w, NULL), -ESTALE);
    bed_answer(&w.bed, 200, NULL, COPIED);
    assert_int_equal(copy(&w, "s", V1), 0);
    assert_string_equal(bed_header(&w.bed, 2, "If-Match"), V1);
    bed_error(&w.bed, 412, "PreconditionFailed");
    assert_int_equal(store_delete(w.store, "k", V1, &w.err), -ESTALE);
    assert_int_equal(bed_requests(&w.bed), 4);
    assert_int_equal(w.asked, 0);
    world_close(&w);
}

/* One that ignores them: looked at just before, and a difference sends nothing. */
static void a_server_that_ignores_conditions(void **state)
{
    struct world w;
    world_open(&w, "complete-if-absent=ignored complete-if-match=ignored delete-if-match=ignored "
                   "copy-source=ignored copy-if-absent=ignored copy-if-match=ignored "
                   "put-if-absent=held put-if-match=held delete-many-if-match=ignored");
    found(&w, V2);
    assert_int_equal(complete(&w, V1), -ESTALE);
    assert_int_equal(w.err.kind, S3_ERROR_PRECONDITION);
    found(&w, V1);
    assert_int_equal(complete(&w, NULL), -ESTALE);
    absent(&w);
    assert_int_equal(complete(&w, V1), -ENOENT);
    found(&w, V2);
    assert_int_equal(store_delete(w.store, "k", V1, &w.err), -ESTALE);
    assert_int_equal(bed_requests(&w.bed), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(bed_request(&w.bed, i)->method, HTTP_HEAD);

    found(&w, V1);
    bed_answer(&w.bed, 200, NULL, COMPLETED);
    assert_int_equal(complete(&w, V1), 0);
    assert_string_equal(bed_header(&w.bed, 5, "If-Match"), V1); /* it does no harm */
    found(&w, V1);
    bed_answer(&w.bed, 204, NULL, NULL);
    assert_int_equal(store_delete(w.store, "k", V1, &w.err), 0);
    /* A copy: its source, then where it goes. */
    found(&w, V1);
    absent(&w);
    bed_answer(&w.bed, 200, NULL, COPIED);
    assert_int_equal(copy(&w, "s", NULL), 0);
    assert_string_equal(bed_request(&w.bed, 8)->url, BED_AWS "/s");
    assert_string_equal(bed_request(&w.bed, 9)->url, BED_AWS "/k");
    found(&w, V1);
    found(&w, V1);
    assert_int_equal(copy(&w, "s", NULL), -ESTALE);
    found(&w, V2);
    assert_int_equal(part_copy(&w), -ESTALE);
    assert_int_equal(w.asked, 0); /* ignored is known */
    world_close(&w);
}

/* What is not known is treated like that, and somebody is told to find out, once. */
static void a_server_that_nobody_knows(void **state)
{
    struct world w;
    world_open(&w, "");
    absent(&w);
    bed_answer(&w.bed, 200, "ETag: " V1, "");
    assert_int_equal(put(&w, NULL), 0);
    found(&w, V1);
    assert_int_equal(put(&w, NULL), -ESTALE);
    assert_int_equal(w.asked, 1);
    struct store_caps c = store_caps_all();
    store_s3_set_caps(w.store, &c);
    bed_answer(&w.bed, 200, "ETag: " V1, "");
    assert_int_equal(put(&w, NULL), 0);
    assert_int_equal(bed_requests(&w.bed), 4);
    world_close(&w);
}

/* ---- a copy onto itself ---- */

static const struct store_metadata mode = {"mode", "33184"};

/* As chmod does it. size is the hint. */
static int change(struct world *w, uint64_t size)
{
    struct store_copy_in in = {.source_key = "k",
                               .source_if_match = V1,
                               .key = "k",
                               .if_match = V1,
                               .replace_attrs = true,
                               .attrs = {.content_type = "text/x",
                                         .content_encoding = "gzip",
                                         .storage_class = "STANDARD_IA",
                                         .metadata = &mode,
                                         .n_metadata = 1},
                               .size_hint = size};
    struct store_version v;
    int r = store_copy(w->store, &in, &v, &w->err);
    if (r == 0)
        assert_string_equal(v.etag, V2);
    return r;
}

static void content(struct world *w, const char *etag, const char *body)
{
    static char headers[4][128];
    static unsigned next;
    char *buf = headers[next++ % ARRAY_SIZE(headers)];

    snprintf(buf, sizeof(headers[0]), "ETag: %s" DATED, etag);
    bed_answer(&w->bed, 200, buf, body);
}

static void assert_put(struct world *w, size_t i, const char *if_match, const char *body)
{
    const struct http_fake_request *q = bed_request(&w->bed, i);

    assert_int_equal(q->method, HTTP_PUT);
    assert_string_equal(q->url, BED_AWS "/k");
    assert_string_equal(bed_header(&w->bed, i, "x-amz-copy-source"), "");
    assert_string_equal(bed_header(&w->bed, i, "If-Match"), if_match);
    assert_int_equal(q->body_len, strlen(body));
    assert_memory_equal(q->body ? q->body : "", body, strlen(body));
    assert_string_equal(bed_header(&w->bed, i, "Content-Type"), "text/x");
    assert_string_equal(bed_header(&w->bed, i, "Content-Encoding"), "gzip");
    assert_string_equal(bed_header(&w->bed, i, "x-amz-storage-class"), "STANDARD_IA");
    assert_string_equal(bed_header(&w->bed, i, "x-amz-meta-mode"), "33184");
}

#define WEAK_COPIES "put-if-match=held copy-source=ignored copy-if-match=ignored "

/* Where PUT holds If-Match and COPY does not: read and written again. What is stored in between is
 * not overwritten. */
static void a_copy_onto_itself(void **state)
{
    struct world w;
    world_open(&w, WEAK_COPIES);
    content(&w, V1, "text");
    bed_answer(&w.bed, 200, "ETag: " V2, "");
    assert_int_equal(change(&w, 4), 0);
    assert_int_equal(bed_request(&w.bed, 0)->method, HTTP_GET);
    assert_string_equal(bed_header(&w.bed, 0, "If-Match"), V1);
    assert_put(&w, 1, V1, "text");
    /* Another version comes between the two. */
    content(&w, V1, "text");
    bed_error(&w.bed, 412, "PreconditionFailed");
    assert_int_equal(change(&w, 4), -ESTALE);
    assert_int_equal(w.err.kind, S3_ERROR_PRECONDITION);
    assert_int_equal(bed_requests(&w.bed), 4);
    /* Before: seen by the server, or by us where it ignores the condition; or nothing is there. */
    bed_error(&w.bed, 412, "PreconditionFailed");
    assert_int_equal(change(&w, 4), -ESTALE);
    content(&w, V2, "other");
    assert_int_equal(change(&w, 4), -ESTALE);
    assert_int_equal(w.err.kind, S3_ERROR_PRECONDITION);
    bed_error(&w.bed, 404, "NoSuchKey");
    assert_int_equal(change(&w, 4), -ENOENT);
    assert_int_equal(w.err.kind, S3_ERROR_NO_SUCH_KEY);
    bed_answer(&w.bed, 403, NULL, NULL);
    assert_int_equal(change(&w, 4), -EACCES);
    assert_int_equal(bed_requests(&w.bed), 8);
    /* Nothing in it. */
    content(&w, V1, "");
    bed_answer(&w.bed, 200, "ETag: " V2, "");
    assert_int_equal(change(&w, 0), 0);
    assert_put(&w, 9, V1, "");
    /* Removed in between: looked for once more, as with every PUT. */
    content(&w, V1, "text");
    bed_error(&w.bed, 404, "NoSuchKey");
    absent(&w);
    assert_int_equal(change(&w, 4), -ENOENT);
    world_close(&w);
}

/* What is not known is found out on the way, and the PUT's ETag may need the other form. */
static void a_copy_onto_itself_at_first(void **state)
{
    struct world w;
    world_open(&w, "");
    content(&w, V1, "text");
    bed_error(&w.bed, 412, "PreconditionFailed");
    found(&w, V1);
    bed_answer(&w.bed, 200, "ETag: " V2, "");
    assert_int_equal(change(&w, 4), 0);
    assert_put(&w, 1, V1, "text");
    assert_put(&w, 3, "11111111111111111111111111111111", "text");
    assert_int_equal(bed_requests(&w.bed), 4);
    assert_int_equal(w.asked, 1);
    world_close(&w);
}

/* What stays a copy: large, with tags (which a PUT would lose), or the PUT is no better. */
static void a_copy_that_stays_one(void **state)
{
    char length[160];
    struct world w;
    world_open(&w, WEAK_COPIES);
    found(&w, V1);
    bed_answer(&w.bed, 200, NULL, COPIED);
    assert_int_equal(change(&w, STORE_S3_REWRITE_MAX + 1), 0);
    assert_int_equal(bed_request(&w.bed, 0)->method, HTTP_HEAD);
    assert_string_equal(bed_header(&w.bed, 1, "x-amz-copy-source"), "/bkt/k");
    /* Larger than thought: the GET ends at its headers, and has been the look. */
    snprintf(length, sizeof(length), "ETag: " V1 DATED "\nContent-Length: %llu",
             (unsigned long long)STORE_S3_REWRITE_MAX + 1);
    bed_answer_cut(&w.bed, 200, length, "xxx", 3);
    bed_answer(&w.bed, 200, NULL, COPIED);
    assert_int_equal(change(&w, 0), 0);
    assert_int_equal(bed_request(&w.bed, 2)->method, HTTP_GET);
    assert_string_equal(bed_header(&w.bed, 3, "x-amz-copy-source"), "/bkt/k");
    bed_answer(&w.bed, 200, "x-amz-tagging-count: 1\nETag: " V1 DATED, "text");
    bed_answer(&w.bed, 200, NULL, COPIED);
    assert_int_equal(change(&w, 4), 0);
    assert_string_equal(bed_header(&w.bed, 5, "x-amz-copy-source"), "/bkt/k");
    bed_answer(&w.bed, 200, "x-amz-tagging-count: 1\nETag: " V1 DATED, "");
    bed_answer(&w.bed, 200, NULL, COPIED);
    assert_int_equal(change(&w, 0), 0);
    assert_string_equal(bed_header(&w.bed, 7, "x-amz-copy-source"), "/bkt/k");
    bed_answer(&w.bed, 200, "x-amz-tagging-count: 1\nETag: " V2 DATED, "text");
    assert_int_equal(change(&w, 4), -ESTALE);
    world_close(&w);

    world_open(&w, "put-if-match=ignored copy-source=ignored copy-if-match=ignored");
    found(&w, V1);
    bed_answer(&w.bed, 200, NULL, COPIED);
    assert_int_equal(change(&w, 4), 0);
    found(&w, V2);
    assert_int_equal(change(&w, 4), -ESTALE);
    assert_int_equal(bed_requests(&w.bed), 3); /* one object, one look */
    world_close(&w);

    world_open(&w, NULL);
    bed_answer(&w.bed, 200, NULL, COPIED);
    assert_int_equal(change(&w, 4), 0);
    world_close(&w);
}

/* 501 to a condition: the same without it, looked at before; and so from then on. */
static void a_server_that_refuses_conditions(void **state)
{
    struct world w;
    world_open(&w, NULL);
    bed_error(&w.bed, 501, "NotImplemented");
    absent(&w);
    bed_answer(&w.bed, 200, "ETag: " V1, "");
    assert_int_equal(put(&w, NULL), 0);
    assert_string_equal(bed_header(&w.bed, 0, "If-None-Match"), "*");
    assert_string_equal(bed_header(&w.bed, 2, "If-None-Match"), "");
    found(&w, V1);
    assert_int_equal(put(&w, NULL), -ESTALE);
    assert_int_equal(bed_requests(&w.bed), 4);
    /* What is refused without a condition is refused. */
    absent(&w);
    bed_error(&w.bed, 501, "NotImplemented");
    assert_int_equal(put(&w, NULL), -EOPNOTSUPP);
    world_close(&w);
}

/* 412 to If-Match of a completion, and the very version is there: the parts are not lost. */
static void a_server_that_mistakes_a_target(void **state)
{
    struct world w;

    world_open(&w, "complete-if-match=held copy-if-match=refused");
    bed_error(&w.bed, 412, "PreconditionFailed");
    found(&w, V1);
    found(&w, V1);
    bed_answer(&w.bed, 200, NULL, COMPLETED);
    assert_int_equal(complete(&w, V1), 0);
    assert_string_equal(bed_header(&w.bed, 0, "If-Match"), V1);
    assert_string_equal(bed_header(&w.bed, 3, "If-Match"), "");
    found(&w, V2); /* from now on before */
    assert_int_equal(complete(&w, V1), -ESTALE);
    world_close(&w);
    world_open(&w, "complete-if-match=held copy-if-match=refused");
    bed_error(&w.bed, 412, "PreconditionFailed");
    found(&w, V2);
    assert_int_equal(complete(&w, V1), -ESTALE);
    world_close(&w);
}

/* From the second request on they go out before store_submit returns: the first one waits for the
 * credentials. */
static void warm_up(struct world *w)
{
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct store_upload_part_in in = {
        .key = "k", .upload_id = "u", .number = 1, .body = &iov, .n_body = 1};
    struct store_part part;

    bed_answer(&w->bed, 200, "ETag: " V1, "");
    assert_int_equal(store_call(w->store, STORE_UPLOAD_PART, &in, &part, &w->err), 0);
}

static void note_result(void *ctx, int result, const struct s3_error *err)
{
    *(int *)ctx = result;
}

/* Two at a time: what one has found out about the server is not the other one's failure. */
static void conditions_refused_twice_at_once(void **state)
{
    struct world w;
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct store_put_in in = {.key = "other", .body = &iov, .n_body = 1, .if_absent = true};
    struct http_fake_answer held = {.held = true};
    struct http_fake_answer refused = {.status = 501,
                                       .body = "<Error><Code>NotImplemented</Code></Error>"};
    struct store_version v;
    int result = 1;

    world_open(&w, NULL);
    warm_up(&w);
    assert_int_equal(http_fake_push(w.bed.http, &held), 0);
    assert_int_equal(store_submit(w.store, STORE_PUT, &in, &v, note_result, &result), 0);
    bed_error(&w.bed, 501, "NotImplemented");
    absent(&w);
    bed_answer(&w.bed, 200, "ETag: " V1, "");
    assert_int_equal(put(&w, NULL), 0);
    assert_int_equal(result, 1);
    absent(&w);
    bed_answer(&w.bed, 200, "ETag: " V1, "");
    http_fake_end(w.bed.http, 1, &refused);
    assert_int_equal(result, 0);
    assert_int_equal(bed_requests(&w.bed), 7);
    assert_string_equal(bed_header(&w.bed, 6, "If-None-Match"), "");
    world_close(&w);
}

/* 412 to the source's version, which a look finds there all the same. */
static void a_server_that_mistakes_a_source(void **state)
{
    struct world w;

    world_open(&w, "copy-source=held copy-if-absent=refused");
    bed_error(&w.bed, 412, "PreconditionFailed");
    found(&w, V1);
    bed_answer(&w.bed, 200, NULL, PART_COPIED);
    assert_int_equal(part_copy(&w), 0);
    assert_string_equal(bed_header(&w.bed, 0, "x-amz-copy-source-if-match"), V1);
    assert_string_equal(bed_header(&w.bed, 2, "x-amz-copy-source-if-match"), "");
    /* From now on it is looked at before, and that is as good. */
    found(&w, V2);
    assert_int_equal(part_copy(&w), -ESTALE);
    found(&w, V1);
    absent(&w);
    bed_answer(&w.bed, 200, NULL, COPIED);
    assert_int_equal(copy(&w, "s", NULL), 0);
    assert_string_equal(bed_header(&w.bed, 6, "x-amz-copy-source-if-match"), "");
    world_close(&w);
    /* Another version, or none: that is what the refusal meant. */
    world_open(&w, "copy-source=held");
    bed_error(&w.bed, 412, "PreconditionFailed");
    found(&w, V2);
    assert_int_equal(part_copy(&w), -ESTALE);
    bed_error(&w.bed, 412, "PreconditionFailed");
    absent(&w);
    assert_int_equal(part_copy(&w), -ENOENT);
    world_close(&w);
}

/* Two uploads of one part at the same time are for servers that put changes in an order. */
static void parts_go_once_where_nothing_is_held(void **state)
{
    static const struct {
        const char *caps;
        bool repeatable;
    } rows[] = {{NULL, true},
                {"", false},
                {"put-if-absent=ignored put-if-match=ignored", false},
                {"put-if-absent=refused complete-if-absent=held", true}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct world w;
        char byte = 'x';
        struct iovec iov = {&byte, 1};
        struct store_upload_part_in in = {
            .key = "k", .upload_id = "u", .number = 1, .body = &iov, .n_body = 1};
        struct http_fake_answer held = {.held = true};
        struct http_fake_answer stored = {.status = 200, .headers = "ETag: " V1};
        struct store_part part;
        int result = 1;

        world_open(&w, rows[i].caps);
        warm_up(&w);
        assert_int_equal(http_fake_push(w.bed.http, &held), 0);
        assert_int_equal(store_submit(w.store, STORE_UPLOAD_PART, &in, &part, note_result, &result),
                         0);
        assert_int_equal(http_fake_held_request(w.bed.http, 1).repeatable, rows[i].repeatable);
        http_fake_end(w.bed.http, 1, &stored);
        assert_int_equal(result, 0);
        world_close(&w);
    }
}

/* 412 to its own ETag, with quotes and without, and a look that finds the very version each time:
 * no conflict, but a server that cannot take this condition (Ceph 16 in a bucket with versions). */
static void a_server_that_refuses_its_own_etag(void **state)
{
    struct world w;
    for (int known = 0; known < 2; known++) {
        size_t first = (size_t)!known; /* what is not known is looked at before, too */
        world_open(&w, known ? "put-if-match=held bare-etags" : "");
        if (!known)
            found(&w, V1);
        bed_error(&w.bed, 412, "PreconditionFailed");
        found(&w, V1);
        bed_error(&w.bed, 412, "PreconditionFailed");
        found(&w, V1);
        found(&w, V1);
        bed_answer(&w.bed, 200, "ETag: " V2, "");
        assert_int_equal(put(&w, V1), 0);
        assert_int_equal(bed_requests(&w.bed), first + 6);
        assert_int_not_equal(strlen(bed_header(&w.bed, first, "If-Match")),
                             strlen(bed_header(&w.bed, first + 2, "If-Match")));
        assert_string_equal(bed_header(&w.bed, first + 5, "If-Match"), "");
        /* From then on: looked at before, and not asked for. */
        found(&w, V2);
        assert_int_equal(put(&w, V1), -ESTALE);
        found(&w, V2);
        bed_answer(&w.bed, 200, "ETag: " V1, "");
        assert_int_equal(put(&w, V2), 0);
        assert_int_equal(bed_requests(&w.bed), first + 9);
        world_close(&w);
    }
    /* A conflict is one also there. */
    world_open(&w, "put-if-match=held bare-etags");
    bed_error(&w.bed, 412, "PreconditionFailed");
    found(&w, V2);
    assert_int_equal(put(&w, V1), -ESTALE);
    assert_int_equal(bed_requests(&w.bed), 2);
    world_close(&w);
}

/* 409: a conflict only when another version is there. */
static void two_at_the_same_time(void **state)
{
    struct world w;
    world_open(&w, NULL);
    bed_error(&w.bed, 409, "ConcurrentModification");
    found(&w, V2);
    assert_int_equal(put(&w, V1), -ESTALE);
    assert_int_equal(w.err.kind, S3_ERROR_PRECONDITION);
    bed_error(&w.bed, 409, "ConditionalRequestConflict");
    found(&w, V1);
    assert_int_equal(put(&w, V1), -EBUSY);
    bed_error(&w.bed, 409, "ConditionalRequestConflict");
    found(&w, V1);
    assert_int_equal(put(&w, NULL), -ESTALE);
    bed_error(&w.bed, 409, "ConditionalRequestConflict");
    absent(&w);
    assert_int_equal(put(&w, NULL), -EBUSY);
    /* A look that fails decides nothing. */
    bed_error(&w.bed, 409, "ConditionalRequestConflict");
    bed_answer(&w.bed, 403, NULL, NULL);
    assert_int_equal(put(&w, V1), -EACCES);
    bed_error(&w.bed, 409, "ConditionalRequestConflict");
    found(&w, V2);
    assert_int_equal(complete(&w, V1), -ESTALE);
    world_close(&w);
}

/* 404 says "removed" only if it says so twice. */
static void not_there_after_all(void **state)
{
    struct world w;
    world_open(&w, NULL);
    bed_error(&w.bed, 404, "NoSuchKey");
    found(&w, V1);
    assert_int_equal(put(&w, V1), -EIO);
    assert_int_equal(w.err.kind, S3_ERROR_SERVER);
    bed_error(&w.bed, 404, "NoSuchKey");
    absent(&w);
    assert_int_equal(put(&w, V1), -ENOENT);
    bed_error(&w.bed, 404, "NoSuchKey");
    bed_answer(&w.bed, 200, NULL, PARTS);
    found(&w, V2);
    assert_int_equal(complete(&w, V1), -ESTALE);
    bed_error(&w.bed, 404, "NoSuchKey");
    bed_answer(&w.bed, 200, NULL, PARTS);
    absent(&w);
    assert_int_equal(complete(&w, V1), -ENOENT);
    assert_int_equal(w.err.kind, S3_ERROR_NO_SUCH_KEY);
    bed_error(&w.bed, 404, "NoSuchKey");
    bed_answer(&w.bed, 200, NULL, PARTS);
    found(&w, V1);
    assert_int_equal(complete(&w, V1), -EIO);
    assert_int_equal(w.err.kind, S3_ERROR_SERVER);
    bed_error(&w.bed, 404, "NoSuchKey");
    bed_answer(&w.bed, 200, NULL, PARTS);
    assert_int_equal(complete(&w, NULL), -EIO);
    assert_int_equal(w.err.kind, S3_ERROR_SERVER);
    bed_error(&w.bed, 404, "NoSuchKey");
    bed_error(&w.bed, 404, "NoSuchUpload");
    assert_int_equal(complete(&w, V1), -EIO);
    assert_int_equal(w.err.kind, S3_ERROR_NO_SUCH_UPLOAD);
    /* What is to be made cannot be missing. */
    bed_error(&w.bed, 404, "NoSuchKey");
    assert_int_equal(put(&w, NULL), -EIO);
    assert_int_equal(w.err.kind, S3_ERROR_SERVER);
    bed_error(&w.bed, 404, "NoSuchUpload");
    assert_int_equal(complete(&w, V1), -EIO);
    assert_int_equal(w.err.kind, S3_ERROR_NO_SUCH_UPLOAD);
    bed_error(&w.bed, 404, "NoSuchKey");
    found(&w, V1);
    assert_int_equal(copy(&w, "s", NULL), -EIO);
    bed_error(&w.bed, 404, "NoSuchKey");
    absent(&w);
    assert_int_equal(copy(&w, "s", NULL), -ENOENT);
    assert_int_equal(w.err.kind, S3_ERROR_NO_SUCH_KEY);
    world_close(&w);
}

/* The range was there in the version demanded, so a 416 comes from another one. */
static void a_source_cut_short(void **state)
{
    struct world w;
    world_open(&w, NULL);
    bed_error(&w.bed, 416, "InvalidRange");
    found(&w, V2);
    assert_int_equal(part_copy(&w), -ESTALE);
    assert_int_equal(w.err.kind, S3_ERROR_PRECONDITION);
    bed_error(&w.bed, 416, "InvalidRange");
    found(&w, V1);
    assert_int_equal(part_copy(&w), -EIO);
    bed_error(&w.bed, 416, "InvalidRange");
    absent(&w);
    assert_int_equal(part_copy(&w), -ENOENT);
    bed_answer(&w.bed, 200, NULL, PART_COPIED);
    assert_int_equal(part_copy(&w), 0);
    world_close(&w);
}

static int delete_two(struct world *w, struct store_delete_many_out *out)
{
    const char *const keys[] = {"a", "b"}, *const etags[] = {V1, NULL};
    struct store_delete_many_in in = {.keys = keys, .n_keys = 2, .etags = etags};
    memset(out, 0, sizeof(*out));
    return store_call(w->store, STORE_DELETE_MANY, &in, out, &w->err);
}

static size_t etags_sent(const struct world *w, size_t request)
{
    const char *body = bed_request(&w->bed, request)->body;
    size_t n = 0;
    for (; (body = strstr(body, "<ETag>")); body++)
        n++;
    return n;
}

/* Each key of a page has its own condition, where the server is known to hold it. */
static void deletes_by_the_page(void **state)
{
    static const char refused[] = "<DeleteResult><Error><Key>a</Key><VersionId></VersionId>"
                                  "<Code>PreconditionFailed</Code><Message>m</Message></Error>"
                                  "</DeleteResult>";
    struct store_delete_many_out out;
    struct store_caps caps;
    struct world w;
    world_open(&w, NULL);
    bed_answer(&w.bed, 200, NULL, refused);
    assert_int_equal(delete_two(&w, &out), 0);
    assert_int_equal(etags_sent(&w, 0), 1);
    assert_non_null(
        strstr(bed_request(&w.bed, 0)->body,
               "<Key>a</Key><ETag>&quot;11111111111111111111111111111111&quot;</ETag>"));
    assert_int_equal(out.n_failures, 1);
    assert_string_equal(out.failures[0].key, "a");
    assert_int_equal(out.failures[0].kind, S3_ERROR_PRECONDITION);
    store_delete_many_out_done(&out);
    /* It does not know them after all: left out, now and from now on. */
    bed_error(&w.bed, 400, "MalformedXML");
    bed_answer(&w.bed, 200, NULL, "<DeleteResult/>");
    assert_int_equal(delete_two(&w, &out), 0);
    assert_int_equal(etags_sent(&w, 1), 1);
    assert_int_equal(etags_sent(&w, 2), 0);
    assert_int_equal(out.n_failures, 0);
    store_delete_many_out_done(&out);
    store_s3_caps(w.store, &caps);
    assert_int_equal(caps.state[STORE_CAP_DELETE_MANY_IF_MATCH], STORE_CAP_REFUSED);
    /* Then what is wrong is something else. */
    bed_error(&w.bed, 400, "MalformedXML");
    assert_true(delete_two(&w, &out) < 0);
    assert_int_equal(etags_sent(&w, 3), 0);
    world_close(&w);

    static const char *const others[] = {"unknown", "ignored", "refused"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        char text[64];
        snprintf(text, sizeof(text), "delete-many-if-match=%s", others[i]);
        world_open(&w, text);
        bed_answer(&w.bed, 200, NULL, "<DeleteResult/>");
        assert_int_equal(delete_two(&w, &out), 0);
        assert_int_equal(etags_sent(&w, 0), 0);
        store_delete_many_out_done(&out);
        world_close(&w);
    }
}

static void capabilities_as_text(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1024);
    struct store_caps c = {0}, back;

    assert_false(store_caps_known(&c));
    c = store_caps_all();
    assert_true(store_caps_known(&c));
    c.state[STORE_CAP_DELETE_IF_MATCH] = STORE_CAP_IGNORED;
    c.state[STORE_CAP_COPY_IF_MATCH] = STORE_CAP_REFUSED;
    c.bare_etags = true;
    store_caps_print(&c, &sb);
    assert_int_equal(store_caps_parse(strbuf_str(&sb), &back), 0);
    assert_memory_equal(&c, &back, sizeof(c));
    assert_int_equal(store_caps_parse("put-if-match=perhaps", &back), -EBADMSG);
    assert_int_equal(store_caps_parse("of-the-future=held  other", &back), 0);
    assert_int_equal(back.state[STORE_CAP_PUT_IF_MATCH], STORE_CAP_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_holds_conditions),
        cmocka_unit_test(a_server_that_ignores_conditions),
        cmocka_unit_test(a_server_that_nobody_knows),
        cmocka_unit_test(a_copy_onto_itself),
        cmocka_unit_test(a_copy_onto_itself_at_first),
        cmocka_unit_test(a_copy_that_stays_one),
        cmocka_unit_test(a_server_that_refuses_conditions),
        cmocka_unit_test(conditions_refused_twice_at_once),
        cmocka_unit_test(a_server_that_mistakes_a_source),
        cmocka_unit_test(a_server_that_mistakes_a_target),
        cmocka_unit_test(parts_go_once_where_nothing_is_held),
        cmocka_unit_test(a_server_that_refuses_its_own_etag),
        cmocka_unit_test(two_at_the_same_time),
        cmocka_unit_test(not_there_after_all),
        cmocka_unit_test(a_source_cut_short),
        cmocka_unit_test(deletes_by_the_page),
        cmocka_unit_test(capabilities_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
