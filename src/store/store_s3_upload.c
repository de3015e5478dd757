/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/limits.h"
#include "base/parse.h"
#include "s3/checksum.h"
#include "store/store_s3_impl.h"

int store_s3_prepare_create(struct store_s3_request *r)
{
    const struct store_upload_create_in *in = r->in;
    struct s3_create_multipart_upload_in *create = &r->s3_in.create;

    create->bucket = r->s->bucket;
    create->key = store_s3_key(r, in->key);
    create->checksum_algo = r->s->part_checksum;
    return create->key ? store_s3_attrs(r, &in->attrs, &create->attrs) : -ENOMEM;
}

int store_s3_finish_create(struct store_s3_request *r, int result)
{
    struct store_upload *u = r->out;

    if (result < 0)
        return result;
    (void)snprintf(u->id, sizeof(u->id), "%s", r->s3_out.create.upload_id);
    return 0;
}

/* A server that holds no condition at all does not put the changes of one thing in an order: s3rver
 * writes two uploads of one part into one another. */
static bool holds_something(const struct store_s3 *s)
{
    for (int cap = 0; cap < STORE_CAP_MAX; cap++)
        if (atomic_load(&s->caps[cap]) == STORE_CAP_HELD)
            return true;
    return false;
}

int store_s3_prepare_part(struct store_s3_request *r)
{
    const struct store_upload_part_in *in = r->in;

    r->s3_in.part = (struct s3_upload_part_in){.bucket = r->s->bucket,
                                               .key = store_s3_key(r, in->key),
                                               .upload_id = in->upload_id,
                                               .part_number = in->number,
                                               .body = in->body,
                                               .n_body = in->n_body,
                                               .checksum_algo = r->s->part_checksum,
                                               .one_at_a_time = !holds_something(r->s)};
    if (in->has_crc64 && r->s->part_checksum == S3_CHECKSUM_CRC64NVME) {
        struct s3_checksum_state sum = {.algo = S3_CHECKSUM_CRC64NVME, .crc = in->crc64};
        (void)s3_checksum_state_final(&sum, &r->s3_in.part.checksum);
    }
    return r->s3_in.part.key ? 0 : -ENOMEM;
}

static uint64_t body_size(const struct iovec *body, int n)
{
    uint64_t size = 0;

    for (int i = 0; i < n; i++)
        size += body[i].iov_len;
    return size;
}

/* "ALGO:base64", so that complete can give it back. */
static void checksum_to_text(const struct s3_checksum *sum, char text[STORE_CHECKSUM_SIZE])
{
    if (sum->algo != S3_CHECKSUM_NONE)
        (void)snprintf(text, STORE_CHECKSUM_SIZE, "%u:%s", (unsigned)sum->algo & 0xff, sum->value);
}

int store_s3_finish_part(struct store_s3_request *r, int result)
{
    const struct store_upload_part_in *in = r->in;
    struct store_part *p = r->out;

    if (result < 0)
        return result;
    memset(p, 0, sizeof(*p));
    p->number = in->number;
    p->size = body_size(in->body, in->n_body);
    p->late = r->s3_out.part.may_come;
    (void)snprintf(p->etag, sizeof(p->etag), "%s", r->s3_out.part.etag);
    checksum_to_text(&r->s3_out.part.checksum, p->checksum);
    return 0;
}

int store_s3_prepare_part_copy(struct store_s3_request *r)
{
    const struct store_upload_part_copy_in *in = r->in;
    struct s3_upload_part_copy_in *copy = &r->s3_in.part_copy;

    copy->bucket = r->s->bucket;
    copy->key = store_s3_key(r, in->key);
    copy->upload_id = in->upload_id;
    copy->part_number = in->number;
    copy->source_bucket = r->s->bucket;
    copy->source_key = store_s3_key(r, in->source_key);
    copy->source_conditions.if_match = in->source_if_match;
    copy->has_range = true;
    copy->range_offset = in->offset;
    copy->range_length = in->length;
    return copy->key && copy->source_key ? 0 : -ENOMEM;
}

int store_s3_finish_part_copy(struct store_s3_request *r, int result)
{
    const struct store_upload_part_copy_in *in = r->in;
    struct store_part *p = r->out;

    if (result < 0)
        return result;
    memset(p, 0, sizeof(*p));
    p->number = in->number;
    p->size = in->length;
    (void)snprintf(p->etag, sizeof(p->etag), "%s", r->s3_out.copy.etag);
    return 0;
}

static void checksum_from_text(const char *text, struct s3_checksum *ret)
{
    const char *colon = strchr(text, ':');
    char number[8];
    uint64_t algo;

    memset(ret, 0, sizeof(*ret));
    if (!colon || colon - text >= (ptrdiff_t)sizeof(number))
        return;
    (void)snprintf(number, sizeof(number), "%.*s", (int)(colon - text), text);
    if (parse_u64(number, &algo) < 0 || algo >= S3_CHECKSUM_MAX)
        return;
    ret->algo = (enum s3_checksum_algo)algo;
    (void)snprintf(ret->value, sizeof(ret->value), "%s", colon + 1);
}

/* Of all parts together. A copied part has none that this host has computed, and then the whole has
 * none either. */
static void whole_checksum(const struct store_s3_request *r, struct s3_checksum *ret)
{
    const struct store_upload_complete_in *in = r->in;
    struct s3_checksum_state whole = {.algo = S3_CHECKSUM_CRC64NVME};
    struct s3_checksum part;
    uint64_t crc;

    if (!r->s->whole_checksum)
        return;
    for (size_t i = 0; i < in->n_parts; i++) {
        checksum_from_text(in->parts[i].checksum, &part);
        if (!s3_checksum_crc64(&part, &crc))
            return;
        whole.crc = crc64nvme_combine(whole.crc, crc, in->parts[i].size);
    }
    if (s3_checksum_state_final(&whole, ret))
        *ret = (struct s3_checksum){0};
}

int store_s3_prepare_complete(struct store_s3_request *r)
{
    const struct store_upload_complete_in *in = r->in;
    struct s3_complete_multipart_upload_in *complete = &r->s3_in.complete;
    struct s3_completed_part *parts = arena_alloc(&r->arena, in->n_parts * sizeof(*parts) + 1);

    if (!parts)
        return -ENOMEM;
    for (size_t i = 0; i < in->n_parts; i++) {
        parts[i].part_number = in->parts[i].number;
        parts[i].etag = in->parts[i].etag;
        /* Of others some refuse every header that they do not know. */
        complete->object_size += r->s->whole_checksum ? in->parts[i].size : 0;
        checksum_from_text(in->parts[i].checksum, &parts[i].checksum);
    }
    complete->bucket = r->s->bucket;
    complete->key = store_s3_key(r, in->key);
    complete->upload_id = in->upload_id;
    complete->parts = parts;
    complete->n_parts = in->n_parts;
    complete->conditions.if_match = in->if_match;
    complete->conditions.if_none_match = in->if_absent ? "*" : NULL;
    whole_checksum(r, &complete->checksum);
    return complete->key ? 0 : -ENOMEM;
}

/* Then the object that was there before stays; and what is refused for that would be again. */
static bool size_differs(const struct store_s3_request *r, int result)
{
    return result < 0 && strcmp(r->err.code, "InvalidRequest") == 0 &&
           strstr(r->err.message, "x-amz-mp-object-size");
}

/* A server that has another checksum than was sent refuses the request. One that has it and does
 * not refuse has stored other bytes. */
int store_s3_finish_complete(struct store_s3_request *r, int result)
{
    const struct store_upload_complete_in *in = r->in;
    const struct s3_checksum *ours = &r->s3_in.complete.checksum;
    const char *theirs = r->s3_out.put.crc64nvme;

    if (result == 0 && ours->algo != S3_CHECKSUM_NONE && *theirs && strcmp(ours->value, theirs)) {
        result = s3_error_set(&r->err, S3_ERROR_BAD_RESPONSE,
                              "'%s' was stored with the checksum %s instead of %s", in->key, theirs,
                              ours->value);
        (void)snprintf(r->err.code, sizeof(r->err.code), "BadDigest");
        (void)store_s3_finish_version(r, 0);
    } else if (size_differs(r, result)) {
        result = s3_error_set(&r->err, S3_ERROR_BAD_RESPONSE,
                              "'%s' is not stored: the server has not put together the %" PRIu64
                              " bytes that were sent",
                              in->key, r->s3_in.complete.object_size);
        (void)snprintf(r->err.code, sizeof(r->err.code), "BadDigest");
    }
    return store_s3_finish_version(r, result);
}

int store_s3_prepare_abort(struct store_s3_request *r)
{
    const struct store_upload_abort_in *in = r->in;

    r->s3_in.abort = (struct s3_abort_multipart_upload_in){
        .bucket = r->s->bucket, .key = store_s3_key(r, in->key), .upload_id = in->upload_id};
    return r->s3_in.abort.key ? 0 : -ENOMEM;
}

int store_s3_finish_abort(struct store_s3_request *r, int result)
{
    return result < 0 && r->err.kind == S3_ERROR_NO_SUCH_UPLOAD ? 0 : result;
}

/* ---- listings ---- */

/* S3 goes on by two markers; the port has one token: the key marker, a line feed (which an upload
 * id cannot hold), the upload id marker; taken apart at the last line feed. */
int store_s3_prepare_uploads(struct store_s3_request *r)
{
    const struct store_upload_list_in *in = r->in;
    struct s3_list_multipart_uploads_in *uploads = &r->s3_in.uploads;
    char *token;
    char *end;

    uploads->bucket = r->s->bucket;
    uploads->prefix = store_s3_key(r, in->prefix ? in->prefix : "");
    if (in->token) {
        token = arena_strdup(&r->arena, in->token);
        end = token ? strrchr(token, '\n') : NULL;
        if (!end)
            return token ? -EINVAL : -ENOMEM;
        *end = '\0';
        uploads->key_marker = token;
        uploads->upload_id_marker = end + 1;
    }
    return uploads->prefix ? 0 : -ENOMEM;
}

static int convert_uploads(struct store_s3_request *r, struct s3_list_multipart_uploads_out *s3,
                           struct store_upload_page *page)
{
    size_t n = 0;

    page->uploads = arena_alloc(&s3->arena, s3->n_uploads * sizeof(*page->uploads) + 1);
    if (!page->uploads)
        return -ENOMEM;
    for (size_t i = 0; i < s3->n_uploads; i++) {
        const struct s3_upload_entry *u = &s3->uploads[i];

        if (strncmp(u->key, r->s->prefix, r->s->prefix_len) != 0)
            continue;
        page->uploads[n++] = (struct store_upload_entry){.key = store_s3_relative(r->s, u->key),
                                                         .upload_id = u->upload_id,
                                                         .initiated_ns = u->initiated_ns};
    }
    page->n_uploads = n;
    if (s3->is_truncated) {
        size_t key_len = strlen(s3->next_key_marker);
        const char *id = s3->next_upload_id_marker ? s3->next_upload_id_marker : "";
        char *token = arena_alloc(&s3->arena, key_len + strlen(id) + 2);

        if (!token)
            return -ENOMEM;
        memcpy(token, s3->next_key_marker, key_len);
        token[key_len] = '\n';
        memcpy(token + key_len + 1, id, strlen(id) + 1);
        page->next_token = token;
    }
    return 0;
}

int store_s3_finish_uploads(struct store_s3_request *r, int result)
{
    struct s3_list_multipart_uploads_out *s3 = &r->s3_out.uploads;
    struct store_upload_page *page = r->out;

    if (result < 0)
        return result;
    memset(page, 0, sizeof(*page));
    if (convert_uploads(r, s3, page) < 0) {
        s3_list_multipart_uploads_out_done(s3);
        memset(page, 0, sizeof(*page));
        return s3_error_set(&r->err, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    }
    page->arena = s3->arena;
    return 0;
}

int store_s3_prepare_parts(struct store_s3_request *r)
{
    const struct store_upload_parts_in *in = r->in;
    struct store_parts *out = r->out;

    memset(out, 0, sizeof(*out));
    arena_init(&out->arena, LIMIT_PAGE_STRINGS);
    r->s3_in.parts = (struct s3_list_parts_in){
        .bucket = r->s->bucket, .key = store_s3_key(r, in->key), .upload_id = in->upload_id};
    return r->s3_in.parts.key ? 0 : -ENOMEM;
}

static int append_parts(struct store_parts *out, const struct s3_list_parts_out *s3)
{
    struct store_part *all =
        arena_alloc(&out->arena, (out->n_parts + s3->n_parts) * sizeof(*all) + 1);

    if (!all)
        return -ENOMEM;
    if (out->n_parts)
        memcpy(all, out->parts, out->n_parts * sizeof(*all));
    for (size_t i = 0; i < s3->n_parts; i++) {
        struct store_part *p = &all[out->n_parts + i];

        p->number = s3->parts[i].part_number;
        p->size = s3->parts[i].size;
        (void)snprintf(p->etag, sizeof(p->etag), "%s", s3->parts[i].etag);
        checksum_to_text(&s3->parts[i].checksum, p->checksum);
    }
    out->parts = all;
    out->n_parts += s3->n_parts;
    return 0;
}

/* All pages: at most ten for 10,000 parts. */
int store_s3_finish_parts(struct store_s3_request *r, int result)
{
    struct s3_list_parts_out *s3 = &r->s3_out.parts;
    struct store_parts *out = r->out;
    bool more = s3->is_truncated;
    uint32_t next = s3->next_part_number_marker;

    if (result == 0) {
        if (append_parts(out, s3) < 0)
            result = s3_error_set(&r->err, S3_ERROR_OUT_OF_MEMORY, "out of memory");
        else if (more && next <= r->s3_in.parts.part_number_marker)
            result = s3_error_set(&r->err, S3_ERROR_BAD_RESPONSE,
                                  "the list of parts does not go forward");
        s3_list_parts_out_done(s3);
    }
    if (result < 0) {
        store_parts_done(out);
        return result;
    }
    if (!more)
        return 0;
    r->s3_in.parts.part_number_marker = next;
    return -EINPROGRESS;
}
