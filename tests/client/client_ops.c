/* SPDX-License-Identifier: Apache-2.0 */
/* Runs every operation of the client against a real server and checks what comes back.
 *
 *   S3_ENDPOINT=http://127.0.0.1:7480 AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... client_ops
 *
 * TEST_SERVER=rgw leaves out what Ceph 16 does not have. Makes a bucket of its own and removes it.
 * Exit status 0 when every check held. */
#include "client_ops.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void ops_check(struct ops *o, bool ok, const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    o->checks++;
    if (ok)
        return;
    o->failures++;
    printf("%s:%d: ", file, line);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

void ops_check_str(struct ops *o, const char *got, const char *want, const char *what,
                   const char *file, int line)
{
    got = got ? got : "(none)";
    ops_check(o, !strcmp(got, want), file, line, "%s is '%s', expected '%s'", what, got, want);
}

const char *ops_describe(const struct s3_error *e)
{
    static char text[1024];

    return s3_error_describe(e, text, sizeof(text));
}

static int sink_write(void *ctx, const void *data, size_t len)
{
    struct ops_sink *s = ctx;

    return strbuf_append(&s->data, data, len);
}

void ops_sink_init(struct ops_sink *s)
{
    strbuf_init(&s->data, 64u << 20);
    s->sink = (struct http_sink){.write = sink_write, .ctx = s};
}

void ops_sink_done(struct ops_sink *s)
{
    strbuf_done(&s->data);
}

int ops_put(struct ops *o, const char *key, const char *text, struct s3_put_object_out *out)
{
    struct iovec body = {(void *)(uintptr_t)text, strlen(text)};
    struct s3_put_object_in in = {.bucket = o->bucket, .key = key, .body = &body, .n_body = 1};
    struct s3_put_object_out ignored;
    struct s3_error err = {0};
    int r = s3_put_object(o->client, &in, out ? out : &ignored, &err);

    ops_check(o, r == 0, __FILE__, __LINE__, "put '%s': %s", key, ops_describe(&err));
    return r;
}

int ops_get(struct ops *o, const char *key, struct ops_sink *sink, struct s3_error *err)
{
    struct s3_get_object_in in = {.bucket = o->bucket, .key = key, .sink = &sink->sink};
    struct s3_head_object_out out = {0};
    int r;

    strbuf_reset(&sink->data);
    r = s3_get_object(o->client, &in, &out, err);
    s3_head_object_out_done(&out);
    return r;
}

/* Whatever a failed part has left behind. */
static void remove_everything(struct ops *o)
{
    struct s3_list_object_versions_in in = {.bucket = o->bucket};
    struct s3_list_object_versions_out page;
    struct s3_error err = {0};
    struct s3_bucket_in bucket = {.bucket = o->bucket};
    int r;

    while (s3_list_object_versions(o->client, &in, &page, &err) == 0) {
        size_t n = page.n_versions;
        for (size_t i = 0; i < n; i++) {
            struct s3_delete_object_in del = {.bucket = o->bucket,
                                              .key = page.versions[i].key,
                                              .version_id = page.versions[i].version_id};
            struct s3_delete_object_out out;
            r = s3_delete_object(o->client, &del, &out, &err);
            CHECK_OK(o, r, &err);
        }
        s3_list_object_versions_out_done(&page);
        if (n == 0)
            break;
    }
    r = s3_delete_bucket(o->client, &bucket, &err);
    CHECK_OK(o, r, &err);
}

static int connect_client(struct ops *o)
{
    struct s3_session_options opts;
    struct s3_session *session = NULL;
    struct s3_error err = {0};

    s3_session_options_init(&opts);
    opts.args.endpoint_url = getenv("S3_ENDPOINT");
    if (s3_session_new(&opts, &session, &err) ||
        s3_session_client_new(session, NULL, &o->client, &err)) {
        fprintf(stderr, "client_ops: %s\n", ops_describe(&err));
        s3_session_unref(session);
        return -1;
    }
    s3_session_unref(session); /* the client has its own reference */
    return 0;
}

int main(void)
{
    struct ops o = {0};
    const char *server = getenv("TEST_SERVER");
    struct timespec now;

    if (!getenv("S3_ENDPOINT")) {
        fprintf(stderr, "client_ops: S3_ENDPOINT is not set\n");
        return 77;
    }
    o.strict = !server || strcmp(server, "rgw") != 0;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(o.bucket, sizeof(o.bucket), "client-ops-%d-%lld", (int)getpid(),
                   (long long)now.tv_sec);
    if (connect_client(&o))
        return 1;
    ops_test_buckets(&o);
    if (o.failures == 0) {
        ops_test_objects(&o);
        ops_test_conditions(&o);
        ops_test_listings(&o);
        ops_test_multipart(&o);
        ops_test_access(&o);
        ops_test_versions(&o);
    }
    remove_everything(&o);
    s3_client_unref(o.client);
    printf("client_ops: %u checks, %u failed\n", o.checks, o.failures);
    return o.failures ? 1 : 0;
}
