/* SPDX-License-Identifier: Apache-2.0 */
/* The funnel against a server that misbehaves on order (s3d's fault rules): lost answers, cuts,
 * silence, wrong bytes. Every outcome is the right one or an error, and took as many requests as it
 * should.
 *
 *   S3_ENDPOINT=http://127.0.0.1:PORT AWS_ACCESS_KEY_ID=... client_faults */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "client_ops.h"
#include "http/http_curl.h"

#define SIZE (3u << 20)

static struct http_transport *control; /* for s3d's own URLs */

static void request(enum http_method method, const char *path, const char *body,
                    struct strbuf *answer)
{
    char url[256];
    struct iovec iov = {(void *)(uintptr_t)body, body ? strlen(body) : 0};
    struct http_response resp = {0};
    struct http_request req = {.method = method,
                               .url = url,
                               .body = body ? &iov : NULL,
                               .n_body = body ? 1 : 0,
                               .direct = true,
                               .deadlines = {.total_ms = 30000}};

    (void)snprintf(url, sizeof(url), "%s/_s3d/%s", getenv("S3_ENDPOINT"), path);
    if (http_perform(control, &req, &resp) || resp.status != 200) {
        fprintf(stderr, "%s: status %d %s\n", url, resp.status, resp.message);
        exit(1);
    }
    if (answer)
        (void)strbuf_append(answer, strbuf_str(&resp.body), resp.body.len);
    http_response_done(&resp);
}

static void set_faults(const char *rules)
{
    request(HTTP_DELETE, "faults", NULL, NULL);
    request(HTTP_POST, "reset", "", NULL);
    if (rules)
        request(HTTP_POST, "faults", rules, NULL);
}

static unsigned count(const char *op)
{
    CLEANUP_STRBUF struct strbuf text = STRBUF_INIT(65536);
    char line[64];
    const char *at;

    request(HTTP_GET, "counters", NULL, &text);
    (void)snprintf(line, sizeof(line), "\n%s ", op);
    (void)strbuf_append_char(&text, '\n');
    at = strstr(strbuf_str(&text), line);
    if (!at && !strncmp(strbuf_str(&text), line + 1, strlen(line) - 1))
        at = strbuf_str(&text) - 1;
    return at ? (unsigned)strtoul(at + strlen(line), NULL, 10) : 0;
}

/* ---- uploads ---- */

static int put_new(struct ops *o, const char *key, const char *text, struct s3_put_object_out *out,
                   struct s3_error *err)
{
    struct iovec body = {(void *)(uintptr_t)text, strlen(text)};
    struct s3_put_object_in in = {.bucket = o->bucket,
                                  .key = key,
                                  .body = &body,
                                  .n_body = 1,
                                  .conditions.if_none_match = "*",
                                  .checksum_algo = S3_CHECKSUM_CRC32C};

    return s3_put_object(o->client, &in, out, err);
}

static void test_lost_put(struct ops *o)
{
    struct s3_put_object_out out = {0};
    struct s3_error err = {0};
    int r;

    set_faults("op=PutObject count=1 action=lost-answer");
    r = put_new(o, "lost", "exactly these", &out, &err);
    CHECK_OK(o, r, &err);
    CHECK_STR(o, out.etag, "\"13d5eed8ca98d4ab2707554d07c0eace\"");
    CHECK_NUM(o, count("PutObject"), 2);
    CHECK_NUM(o, count("HeadObject"), 1);
    set_faults(NULL);
    r = put_new(o, "lost", "exactly these", &out, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_PRECONDITION);
    CHECK(o, strstr(err.message, "unknown") == NULL);
    /* Another's object, and our answer got lost before that was known. */
    set_faults("op=PutObject count=1 action=reset");
    r = put_new(o, "lost", "other bytes", &out, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_PRECONDITION);
    /* An empty object says nothing about who made it. */
    set_faults("op=PutObject count=1 action=lost-answer");
    r = put_new(o, "lost-empty", "", &out, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_PRECONDITION);
    CHECK(o, strstr(err.message, "unknown") != NULL);
}

static void test_lost_complete(struct ops *o)
{
    struct s3_create_multipart_upload_in create = {.bucket = o->bucket, .key = "mp"};
    struct s3_create_multipart_upload_out upload = {0};
    struct iovec body = {(void *)(uintptr_t) "only part", 9};
    struct s3_upload_part_in part = {
        .bucket = o->bucket, .key = "mp", .part_number = 1, .body = &body, .n_body = 1};
    struct s3_upload_part_out stored = {0};
    struct s3_complete_multipart_upload_in complete = {
        .bucket = o->bucket, .key = "mp", .n_parts = 1, .conditions.if_none_match = "*"};
    struct s3_put_object_out out = {0};
    struct s3_error err = {0};
    int r;

    set_faults("op=CompleteMultipartUpload count=1 action=lost-answer");
    r = s3_create_multipart_upload(o->client, &create, &upload, &err);
    CHECK_OK(o, r, &err);
    part.upload_id = complete.upload_id = upload.upload_id;
    r = s3_upload_part(o->client, &part, &stored, &err);
    CHECK_OK(o, r, &err);
    struct s3_completed_part parts[] = {{1, stored.etag, {0}}};
    complete.parts = parts;
    r = s3_complete_multipart_upload(o->client, &complete, &out, &err);
    CHECK_OK(o, r, &err);
    CHECK(o, strstr(out.etag, "-1\"") != NULL);
    CHECK_NUM(o, count("CompleteMultipartUpload"), 2);
}

/* ---- downloads ---- */

static char data[SIZE];

static int get(struct ops *o, bool checksum_mode, struct ops_sink *sink, struct s3_error *err)
{
    struct s3_get_object_in in = {
        .bucket = o->bucket, .key = "big", .checksum_mode = checksum_mode, .sink = &sink->sink};
    struct s3_head_object_out out = {0};
    int r;

    strbuf_reset(&sink->data);
    r = s3_get_object(o->client, &in, &out, err);
    s3_head_object_out_done(&out);
    return r;
}

static void test_downloads(struct ops *o)
{
    static const char *const overcome[] = {
        "op=GetObject count=3 action=cut:100000",          "op=GetObject count=3 action=reset:1",
        "op=GetObject count=4 action=status:503:SlowDown", "op=GetObject count=2 action=cut",
        "op=GetObject count=1 action=stall:70000",         "op=GetObject count=1 action=hang",
        "op=GetObject count=1 action=empty-body",
    };
    struct iovec body = {data, SIZE};
    struct s3_put_object_in put = {.bucket = o->bucket,
                                   .key = "big",
                                   .body = &body,
                                   .n_body = 1,
                                   .checksum_algo = S3_CHECKSUM_CRC64NVME};
    struct s3_put_object_out stored = {0};
    struct ops_sink sink;
    struct s3_error err = {0};
    int r;

    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    ops_sink_init(&sink);
    set_faults(NULL);
    r = s3_put_object(o->client, &put, &stored, &err);
    CHECK_OK(o, r, &err);
    for (size_t i = 0; i < ARRAY_SIZE(overcome); i++) {
        set_faults(overcome[i]);
        r = get(o, true, &sink, &err);
        ops_check(o, r == 0, __FILE__, __LINE__, "%s: %s", overcome[i], ops_describe(&err));
        ops_check(o, sink.data.len == SIZE && !memcmp(sink.data.data, data, SIZE), __FILE__,
                  __LINE__, "%s: wrong bytes", overcome[i]);
    }
    /* What the first answer said of the length cannot be taken back. */
    set_faults("op=GetObject count=1 action=wrong-length:+1");
    r = get(o, true, &sink, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_BAD_RESPONSE);
    /* Wrong bytes of the right length: only the checksum tells. */
    set_faults("op=GetObject action=corrupt-body");
    r = get(o, true, &sink, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_BAD_RESPONSE);
    CHECK_NUM(o, count("GetObject"), 1);
    set_faults("op=GetObject action=wrong-checksum");
    r = get(o, true, &sink, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_BAD_RESPONSE);
    /* For ever: an error in the end, after all attempts. */
    set_faults("op=GetObject action=hang");
    r = get(o, true, &sink, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_TIMEOUT);
    CHECK_NUM(o, count("GetObject"), 5);
    ops_sink_done(&sink);
}

/* ---- another version comes while the first is being read ---- */

struct reading {
    struct ops_sink sink;
    sem_t begun; /* the first bytes are there */
    sem_t over;
    bool told;
    int result;
    struct s3_error err;
};

static int reading_write(void *ctx, const void *bytes, size_t len)
{
    struct reading *d = ctx;

    if (!d->told)
        (void)sem_post(&d->begun);
    d->told = true;
    return strbuf_append(&d->sink.data, bytes, len);
}

static void reading_done(void *ctx, int result, const struct s3_error *err)
{
    struct reading *d = ctx;

    d->result = result;
    if (err)
        d->err = *err;
    (void)sem_post(&d->over);
}

static void test_replaced(struct ops *o)
{
    struct reading d = {0};
    struct http_sink sink = {.write = reading_write, .ctx = &d};
    struct s3_get_object_in in = {.bucket = o->bucket, .key = "big", .sink = &sink};
    struct s3_head_object_out out = {0};
    struct iovec body = {data, SIZE - 1};
    struct s3_put_object_in put = {.bucket = o->bucket, .key = "big", .body = &body, .n_body = 1};
    struct s3_put_object_out stored = {0};
    struct s3_error err = {0};
    int r;

    ops_sink_init(&d.sink);
    (void)sem_init(&d.begun, 0, 0);
    (void)sem_init(&d.over, 0, 0);
    /* The rest is refused until the new version is there. */
    set_faults("op=GetObject count=1 action=cut:1000000\nop=GetObject action=status:503:SlowDown");
    r = s3_client_submit(o->client, S3_OP_GET_OBJECT, &in, &out, reading_done, &d, NULL);
    CHECK_NUM(o, r, 0);
    if (r)
        return;
    (void)sem_wait(&d.begun);
    r = s3_put_object(o->client, &put, &stored, &err);
    CHECK_OK(o, r, &err);
    set_faults(NULL);
    (void)sem_wait(&d.over);
    CHECK_KIND(o, d.result, &d.err, S3_ERROR_PRECONDITION);
    CHECK(o, d.sink.data.len > 0 && d.sink.data.len < SIZE);
    CHECK(o, !memcmp(strbuf_str(&d.sink.data), data, d.sink.data.len));
    ops_sink_done(&d.sink);
}

static int open_client(struct ops *o, unsigned max_attempts)
{
    struct s3_client_options opts = {
        .retry = {.max_attempts = max_attempts, .base_ms = 1, .max_ms = 20, .quota = 1000000},
        .deadlines = {.first_byte_ms = 400, .stall_ms = 400},
    };
    struct s3_session_options so;
    struct s3_session *session = NULL;
    struct s3_error err = {0};
    int r;

    s3_session_options_init(&so);
    so.args.endpoint_url = getenv("S3_ENDPOINT");
    r = s3_session_new(&so, &session, &err);
    if (r == 0)
        r = s3_session_client_new(session, &opts, &o->client, &err);
    if (r)
        fprintf(stderr, "client_faults: %s\n", ops_describe(&err));
    s3_session_unref(session);
    return r;
}

int main(void)
{
    struct ops o = {.strict = true};
    struct http_curl_options curl = {0};
    struct s3_error err = {0};

    (void)snprintf(o.bucket, sizeof(o.bucket), "client-faults-%d", (int)getpid());
    if (http_curl_new(&curl, &control) || open_client(&o, 5))
        return 1;
    set_faults(NULL);
    struct s3_create_bucket_in create = {.bucket = o.bucket};
    int r = s3_create_bucket(o.client, &create, &err);
    CHECK_OK(&o, r, &err);
    test_lost_put(&o);
    test_lost_complete(&o);
    test_downloads(&o);
    s3_client_unref(o.client);
    if (open_client(&o, 100000))
        return 1;
    test_replaced(&o);
    set_faults(NULL);
    s3_client_unref(o.client);
    http_transport_free(control);
    printf("client_faults: %u checks, %u failed\n", o.checks, o.failures);
    return o.failures ? 1 : 0;
}
