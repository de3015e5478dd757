/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client_ops.h"

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
