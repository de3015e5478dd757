/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the parse functions: response headers, checked. A header that is there but makes no
 * sense is a broken answer, never a default. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/parse.h"
#include "base/timefmt.h"
#include "s3/checksum.h"
#include "s3/op.h"

#define META_PREFIX "x-amz-meta-"

int s3_answer_fail(struct s3_answer *a, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(a->problem, sizeof(a->problem), fmt, ap);
    va_end(ap);
    return -EBADMSG;
}

int s3_answer_text(struct s3_answer *a, const char *header, const char **ret)
{
    const char *v = http_response_header(a->resp, header);

    if (!v)
        return 0;
    v = arena_strdup(a->arena, v);
    if (!v)
        return -ENOMEM;
    *ret = v;
    return 0;
}

int s3_answer_chars(struct s3_answer *a, const char *header, char *buf, size_t size)
{
    const char *v = http_response_header(a->resp, header);

    if (!v)
        return 0;
    if (strlen(v) >= size)
        return s3_answer_fail(a, "the header %s is longer than %zu bytes", header, size - 1);
    memcpy(buf, v, strlen(v) + 1);
    return 0;
}

int s3_answer_etag(struct s3_answer *a, char *buf, size_t size)
{
    const char *v = http_response_header(a->resp, "ETag");

    if (!v || !*v)
        return 0;
    bool quoted = v[0] == '"' || (v[0] == 'W' && v[1] == '/');
    int n = snprintf(buf, size, quoted ? "%s" : "\"%s\"", v);
    if (n < 0 || (size_t)n >= size) {
        buf[0] = '\0';
        return s3_answer_fail(a, "the ETag is longer than %zu bytes", size - 1);
    }
    return 0;
}

/* Seen with gates that drop a body which they do not understand, and answer 200. */
int s3_answer_not_empty(struct s3_answer *a, const char *etag, const struct iovec *body, int n_body)
{
    bool sent = false;

    for (int i = 0; body && i < n_body; i++)
        sent |= body[i].iov_len > 0;
    if (sent && strcmp(etag, "\"d41d8cd98f00b204e9800998ecf8427e\"") == 0)
        return s3_answer_fail(a, "the server has stored nothing of what was sent: its ETag is that "
                                 "of no bytes");
    return 0;
}

int s3_answer_u32(struct s3_answer *a, const char *header, uint32_t *ret)
{
    const char *v = http_response_header(a->resp, header);
    uint64_t n = 0;

    if (!v)
        return 0;
    if (parse_u64(v, &n) || n > UINT32_MAX)
        return s3_answer_fail(a, "the header %s is not a number: '%.40s'", header, v);
    *ret = (uint32_t)n;
    return 0;
}

int s3_answer_time(struct s3_answer *a, const char *header, int64_t *ret_ns)
{
    const char *v = http_response_header(a->resp, header);

    if (!v)
        return 0;
    if (timefmt_parse_http(v, ret_ns))
        return s3_answer_fail(a, "the header %s is not a date: '%.40s'", header, v);
    return 0;
}

int s3_answer_bool(struct s3_answer *a, const char *header, bool *ret)
{
    const char *v = http_response_header(a->resp, header);

    if (!v)
        return 0;
    if (strcasecmp(v, "true") != 0 && strcasecmp(v, "false") != 0)
        return s3_answer_fail(a, "the header %s is neither true nor false: '%.40s'", header, v);
    *ret = strcasecmp(v, "true") == 0;
    return 0;
}

/* Digits at *s up to `end`; *s moves behind end. */
static int take_number(const char **s, char end, uint64_t *ret)
{
    char digits[24];
    const char *stop = end ? strchr(*s, end) : *s + strlen(*s);

    if (!stop || stop == *s || (size_t)(stop - *s) >= sizeof(digits))
        return -EBADMSG;
    memcpy(digits, *s, (size_t)(stop - *s));
    digits[stop - *s] = '\0';
    *s = end ? stop + 1 : stop;
    return parse_u64(digits, ret) ? -EBADMSG : 0;
}

int s3_answer_content_range(struct s3_answer *a, uint64_t *ret_first, uint64_t *ret_last,
                            uint64_t *ret_total)
{
    const char *v = http_response_header(a->resp, "Content-Range");
    const char *s = v;
    uint64_t first = 0;
    uint64_t last = 0;
    uint64_t total = UINT64_MAX;

    if (!v)
        return -ENOENT;
    if (strncasecmp(s, "bytes ", 6) != 0)
        return s3_answer_fail(a, "Content-Range is not in bytes: '%.60s'", v);
    s += 6;
    if (take_number(&s, '-', &first) || take_number(&s, '/', &last) ||
        (strcmp(s, "*") != 0 && take_number(&s, '\0', &total)) || last < first || last >= total)
        return s3_answer_fail(a, "Content-Range makes no sense: '%.60s'", v);
    *ret_first = first;
    *ret_last = last;
    *ret_total = total;
    return 0;
}

static int take_metadata(struct s3_answer *a, struct s3_head_object_out *out)
{
    size_t prefix_len = strlen(META_PREFIX);
    size_t n = 0;

    for (size_t i = 0; i < a->resp->n_headers; i++)
        n += strncasecmp(a->resp->headers[i].name, META_PREFIX, prefix_len) == 0;
    if (n == 0)
        return 0;
    out->metadata = arena_alloc(a->arena, n * sizeof(*out->metadata));
    if (!out->metadata)
        return -ENOMEM;
    for (size_t i = 0; i < a->resp->n_headers; i++) {
        const struct http_header *h = &a->resp->headers[i];
        if (strncasecmp(h->name, META_PREFIX, prefix_len) != 0)
            continue;
        char *name = arena_strdup(a->arena, h->name + prefix_len);
        const char *value = arena_strdup(a->arena, h->value);
        if (!name || !value)
            return -ENOMEM;
        for (char *c = name; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        out->metadata[out->n_metadata++] = (struct s3_metadata){name, value};
    }
    return 0;
}

static int take_checksums(struct s3_answer *a, struct s3_head_object_out *out)
{
    int r = s3_answer_text(a, "x-amz-checksum-type", &out->checksum_type);

    for (unsigned i = S3_CHECKSUM_NONE + 1; !r && i < S3_CHECKSUM_MAX; i++) {
        enum s3_checksum_algo algo = (enum s3_checksum_algo)i;
        struct s3_checksum *sum = &out->checksums[out->n_checksums];
        r = s3_answer_chars(a, s3_checksum_header(algo), sum->value, sizeof(sum->value));
        if (!r && sum->value[0]) {
            sum->algo = algo;
            out->n_checksums++;
        }
    }
    return r;
}

static int take_texts(struct s3_answer *a, struct s3_head_object_out *out)
{
    const struct {
        const char *header;
        const char **field;
    } texts[] = {
        {"x-amz-version-id", &out->version_id},
        {"Content-Type", &out->content_type},
        {"Content-Encoding", &out->content_encoding},
        {"Content-Disposition", &out->content_disposition},
        {"Content-Language", &out->content_language},
        {"Cache-Control", &out->cache_control},
        {"x-amz-storage-class", &out->storage_class},
        {"x-amz-restore", &out->restore},
    };
    int r = 0;

    for (size_t i = 0; !r && i < ARRAY_SIZE(texts); i++)
        r = s3_answer_text(a, texts[i].header, texts[i].field);
    return r;
}

int s3_answer_object(struct s3_answer *a, struct s3_head_object_out *out)
{
    char etag[S3_ETAG_SIZE] = "";
    uint64_t first;
    uint64_t last;
    uint64_t total;
    int r;

    /* Without a length the size is unknown, and 0 would be a lie. */
    if (a->resp->content_length == HTTP_LENGTH_UNKNOWN)
        return s3_answer_fail(a, "the answer does not tell the object's length");
    out->content_length = a->resp->content_length;
    out->object_size = a->resp->content_length;
    r = s3_answer_content_range(a, &first, &last, &total);
    if (r == 0 && total != UINT64_MAX)
        out->object_size = total;
    if (r && r != -ENOENT)
        return r;
    r = s3_answer_etag(a, etag, sizeof(etag));
    if (r)
        return r;
    out->etag = arena_strdup(a->arena, etag);
    if (!out->etag)
        return -ENOMEM;
    r = s3_answer_time(a, "Last-Modified", &out->last_modified_ns);
    if (s3_answer_time(a, "Date", &out->date_ns) < 0)
        out->date_ns = 0;
    if (!r)
        r = s3_answer_u32(a, "x-amz-mp-parts-count", &out->parts_count);
    if (!r)
        r = s3_answer_u32(a, "x-amz-tagging-count", &out->tags_count);
    if (!r)
        r = s3_answer_bool(a, "x-amz-delete-marker", &out->delete_marker);
    if (!r)
        r = take_texts(a, out);
    if (!r)
        r = take_checksums(a, out);
    return r ? r : take_metadata(a, out);
}
