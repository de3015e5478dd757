/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the build functions: parameters, headers and XML of a request. What the user gave is
 * checked here for what HTTP or XML could not carry, so that no value can smuggle in a header. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/encode.h"
#include "base/limits.h"
#include "base/timefmt.h"
#include "s3/op.h"

void s3_build_fail(struct s3_build *b, int error, const char *fmt, ...)
{
    va_list ap;

    if (b->error)
        return;
    b->error = error;
    va_start(ap, fmt);
    (void)vsnprintf(b->problem, sizeof(b->problem), fmt, ap);
    va_end(ap);
}

static void fail_memory(struct s3_build *b)
{
    s3_build_fail(b, -ENOMEM, "out of memory");
}

void s3_build_param(struct s3_build *b, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    if (b->n_params == ARRAY_SIZE(b->params)) {
        s3_build_fail(b, -EINVAL, "too many parameters");
        return;
    }
    b->params[b->n_params++] = (struct sigv4_param){name, value};
}

void s3_build_param_u32(struct s3_build *b, const char *name, uint32_t value)
{
    char text[16];

    if (value == 0)
        return;
    (void)snprintf(text, sizeof(text), "%u", value);
    const char *copy = arena_strdup(b->arena, text);
    if (!copy)
        fail_memory(b);
    else
        s3_build_param(b, name, copy);
}

void s3_build_param_needed(struct s3_build *b, const char *name, const char *value)
{
    if (!value || !*value)
        s3_build_fail(b, -EINVAL, "%s is missing", name);
    s3_build_param(b, name, value);
}

static bool token_char(unsigned char c) /* RFC 9110, 5.6.2 */
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool header_value_valid(const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

void s3_build_header(struct s3_build *b, const char *name, const char *value)
{
    if (!value || b->error)
        return;
    if (!*name || !header_value_valid(value)) {
        s3_build_fail(b, -EINVAL, "the value for %s holds a control character", name);
        return;
    }
    for (const char *c = name; *c; c++) {
        if (!token_char((unsigned char)*c)) {
            s3_build_fail(b, -EINVAL, "'%.80s' cannot be the name of a header", name);
            return;
        }
    }
    if (b->n_headers == b->headers_alloc) {
        size_t n = b->headers_alloc ? b->headers_alloc * 2 : 16;
        struct http_header *h = arena_alloc(b->arena, n * sizeof(*h));
        if (!h) {
            fail_memory(b);
            return;
        }
        if (b->n_headers)
            memcpy(h, b->headers, b->n_headers * sizeof(*h));
        b->headers = h;
        b->headers_alloc = n;
    }
    b->headers[b->n_headers++] = (struct http_header){name, value};
}

void s3_build_headerf(struct s3_build *b, const char *name, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    const char *copy = arena_strdup(b->arena, text);
    if (!copy)
        fail_memory(b);
    s3_build_header(b, name, copy);
}

void s3_build_replace_header(struct s3_build *b, const char *name, const char *value)
{
    size_t kept = 0;

    for (size_t i = 0; i < b->n_headers; i++) {
        if (strcasecmp(b->headers[i].name, name) != 0)
            b->headers[kept++] = b->headers[i];
    }
    b->n_headers = kept;
    s3_build_header(b, name, value);
}

static void build_date(struct s3_build *b, const char *name, int64_t ns)
{
    char text[TIMEFMT_HTTP_SIZE];

    if (ns == 0)
        return;
    timefmt_http(ns, text);
    s3_build_headerf(b, name, "%s", text);
}

void s3_build_conditions(struct s3_build *b, const struct s3_conditions *c)
{
    s3_build_header(b, "If-Match", c->if_match);
    s3_build_header(b, "If-None-Match", c->if_none_match);
    build_date(b, "If-Modified-Since", c->if_modified_since_ns);
    build_date(b, "If-Unmodified-Since", c->if_unmodified_since_ns);
}

void s3_build_copy_source(struct s3_build *b, const char *bucket, const char *key,
                          const char *version_id, const struct s3_conditions *c)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(LIMIT_URL);

    if (!bucket || !*bucket || !key || !*key) {
        s3_build_fail(b, -EINVAL, "the copy has no source");
        return;
    }
    (void)strbuf_append_char(&sb, '/');
    encode_percent(&sb, bucket, strlen(bucket), false);
    (void)strbuf_append_char(&sb, '/');
    encode_percent(&sb, key, strlen(key), true);
    if (version_id && *version_id) {
        (void)strbuf_append_str(&sb, "?versionId=");
        encode_percent(&sb, version_id, strlen(version_id), false);
    }
    const char *source = sb.error ? NULL : arena_strdup(b->arena, strbuf_str(&sb));
    if (!source)
        fail_memory(b);
    s3_build_header(b, "x-amz-copy-source", source);
    s3_build_header(b, "x-amz-copy-source-if-match", c->if_match);
    s3_build_header(b, "x-amz-copy-source-if-none-match", c->if_none_match);
    build_date(b, "x-amz-copy-source-if-modified-since", c->if_modified_since_ns);
    build_date(b, "x-amz-copy-source-if-unmodified-since", c->if_unmodified_since_ns);
}

void s3_build_range(struct s3_build *b, const char *header, uint64_t offset, uint64_t length)
{
    uint64_t last;

    if (length == 0)
        s3_build_headerf(b, header, "bytes=%ju-", (uintmax_t)offset);
    else if (__builtin_add_overflow(offset, length - 1, &last))
        s3_build_fail(b, -EINVAL, "the range's end is beyond 2^64");
    else
        s3_build_headerf(b, header, "bytes=%ju-%ju", (uintmax_t)offset, (uintmax_t)last);
}

void s3_build_attrs(struct s3_build *b, const struct s3_object_attrs *a)
{
    s3_build_header(b, "Content-Type", a->content_type);
    s3_build_header(b, "Content-Encoding", a->content_encoding);
    s3_build_header(b, "Content-Disposition", a->content_disposition);
    s3_build_header(b, "Content-Language", a->content_language);
    s3_build_header(b, "Cache-Control", a->cache_control);
    for (size_t i = 0; i < a->n_metadata; i++) {
        char name[256];
        int n = snprintf(name, sizeof(name), "x-amz-meta-%s", a->metadata[i].name);
        const char *copy = NULL;
        if (n < 0 || (size_t)n >= sizeof(name) || !*a->metadata[i].name) {
            s3_build_fail(b, -EINVAL, "a metadata name is empty or too long");
            return;
        }
        copy = arena_strdup(b->arena, name);
        if (!copy)
            fail_memory(b);
        else
            s3_build_header(b, copy, a->metadata[i].value ? a->metadata[i].value : "");
    }
}

void s3_build_part(struct s3_build *b, uint32_t part_number, const char *upload_id)
{
    if (part_number < 1 || part_number > S3_PARTS_MAX)
        s3_build_fail(b, -EINVAL, "part number %u is not between 1 and %u", part_number,
                      S3_PARTS_MAX);
    s3_build_param_u32(b, "partNumber", part_number);
    s3_build_param_needed(b, "uploadId", upload_id);
}

void s3_build_xml_raw(struct s3_build *b, const char *markup)
{
    if (strbuf_append_str(&b->xml, markup))
        s3_build_fail(b, b->xml.error == -ENOMEM ? -ENOMEM : -EINVAL, "the body is too long");
}

void s3_build_xml(struct s3_build *b, const char *name, const char *text)
{
    int r = xml_write_element(&b->xml, name, text);

    if (r == -EILSEQ)
        s3_build_fail(b, -EINVAL, "a %s holds a character that XML cannot carry", name);
    else if (r)
        s3_build_fail(b, r == -ENOMEM ? r : -EINVAL, "the body is too long");
}
