/* SPDX-License-Identifier: Apache-2.0 */
/* Was it us? A conditional write whose answer was lost is tried again, and then meets its own
 * success: PutObject with If-None-Match:* or If-Match gets 412, CompleteMultipartUpload gets 412 or
 * NoSuchUpload. Taken at its word that would be a conflict which did not happen, or lost data which
 * is not lost. So the object is looked at:
 *
 * PutObject   it is ours when its length, its MD5 (where the ETag is one) and every piece of user
 *             metadata are what we sent. For If-None-Match:* this proves nothing when there is
 *             nothing in the object that another host would not write too: an empty body. Two hosts
 *             that both make the same empty lock file must not both be told that they made it, so
 *             then, as wherever the ETag is not an MD5, the error stays and its message says that
 *             the outcome of the first try is unknown.
 * Complete    it is ours when its ETag is the one that follows from our parts' ETags: MD5 over
 *             their MD5s, "-", their number.
 *
 * For all other operations only the message says so. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/encode.h"
#include "base/log.h"
#include "s3/call.h"

bool s3_outcome_doubtful(const struct s3_call *call)
{
    enum s3_error_kind kind = call->err.kind;

    switch (call->op) {
    case S3_OP_PUT_OBJECT:
    case S3_OP_COPY_OBJECT:
        return kind == S3_ERROR_PRECONDITION;
    case S3_OP_COMPLETE_MULTIPART_UPLOAD:
        return kind == S3_ERROR_PRECONDITION || kind == S3_ERROR_NO_SUCH_UPLOAD;
    case S3_OP_ABORT_MULTIPART_UPLOAD:
        return kind == S3_ERROR_NO_SUCH_UPLOAD;
    case S3_OP_DELETE_OBJECT:
        return kind == S3_ERROR_PRECONDITION || kind == S3_ERROR_NO_SUCH_KEY;
    case S3_OP_CREATE_BUCKET:
        return kind == S3_ERROR_BUCKET_EXISTS;
    case S3_OP_DELETE_BUCKET:
        return kind == S3_ERROR_NO_SUCH_BUCKET;
    case S3_OP_LIST_BUCKETS:
    case S3_OP_HEAD_BUCKET:
    case S3_OP_GET_BUCKET_LOCATION:
    case S3_OP_GET_BUCKET_VERSIONING:
    case S3_OP_PUT_BUCKET_VERSIONING:
    case S3_OP_LIST_OBJECTS_V2:
    case S3_OP_LIST_OBJECT_VERSIONS:
    case S3_OP_HEAD_OBJECT:
    case S3_OP_GET_OBJECT:
    case S3_OP_DELETE_OBJECTS:
    case S3_OP_GET_OBJECT_ATTRIBUTES:
    case S3_OP_CREATE_MULTIPART_UPLOAD:
    case S3_OP_UPLOAD_PART:
    case S3_OP_UPLOAD_PART_COPY:
    case S3_OP_LIST_MULTIPART_UPLOADS:
    case S3_OP_LIST_PARTS:
    case S3_OP_MAX:
        break;
    }
    return false;
}

static void finish_unknown(struct s3_call *call)
{
    static const char note[] = "; an earlier try whose answer was lost may have succeeded: its "
                               "outcome is unknown";
    size_t n = strlen(call->err.message);

    call->err.maybe_done = true;
    if (n + sizeof(note) <= sizeof(call->err.message))
        memcpy(call->err.message + n, note, sizeof(note));
    s3_call_finish(call, -s3_error_errno(call->err.kind));
}

/* `"32 hex digits"`, also with "-N" behind them. */
static bool md5_of_etag(const char *etag, bool composite, uint8_t md5[DIGEST_MD5_SIZE])
{
    char hex[2 * DIGEST_MD5_SIZE + 1];
    size_t len = strlen(etag);
    size_t n = 0;

    if (len < sizeof(hex) + 1 || etag[0] != '"' || etag[len - 1] != '"')
        return false;
    memcpy(hex, etag + 1, sizeof(hex) - 1);
    hex[sizeof(hex) - 1] = '\0';
    if (composite ? etag[sizeof(hex)] != '-' : len != sizeof(hex) + 1)
        return false;
    return decode_hex(hex, md5, DIGEST_MD5_SIZE, &n) == 0 && n == DIGEST_MD5_SIZE;
}

/* ---- PutObject ---- */

static bool same_metadata(const struct s3_object_attrs *sent,
                          const struct s3_head_object_out *found)
{
    if (sent->n_metadata != found->n_metadata)
        return false;
    for (size_t i = 0; i < sent->n_metadata; i++) {
        const char *value = sent->metadata[i].value ? sent->metadata[i].value : "";
        bool same = false;
        for (size_t j = 0; j < found->n_metadata && !same; j++)
            same = !strcasecmp(sent->metadata[i].name, found->metadata[j].name) &&
                   !strcmp(value, found->metadata[j].value);
        if (!same)
            return false;
    }
    return true;
}

static bool put_was_ours(const struct s3_call *call, const struct s3_head_object_out *found)
{
    const struct s3_put_object_in *in = call->in;
    uint8_t theirs[DIGEST_MD5_SIZE];
    uint8_t ours[DIGEST_MD5_SIZE];
    uint64_t len = 0;

    for (int i = 0; i < call->n_body; i++)
        len += call->body[i].iov_len;
    if (found->object_size != len || !same_metadata(&in->attrs, found))
        return false;
    if (len == 0 && in->conditions.if_none_match)
        return false;
    return md5_of_etag(found->etag, false, theirs) &&
           digest_iov(DIGEST_MD5, call->body, call->n_body, ours) == 0 &&
           digest_equal(ours, theirs, sizeof(ours));
}

/* ---- CompleteMultipartUpload ---- */

static bool complete_was_ours(const struct s3_call *call, const struct s3_head_object_out *found)
{
    const struct s3_complete_multipart_upload_in *in = call->in;
    struct digest *d = NULL;
    uint8_t md5[DIGEST_MD5_SIZE];
    char hex[2 * DIGEST_MD5_SIZE + 1];
    char expected[64];
    bool ok = digest_new(DIGEST_MD5, &d) == 0;

    for (size_t i = 0; ok && i < in->n_parts; i++)
        ok = md5_of_etag(in->parts[i].etag, false, md5) && digest_update(d, md5, sizeof(md5)) == 0;
    ok = ok && digest_final(d, md5) == 0;
    digest_free(d);
    if (!ok)
        return false;
    encode_hex(md5, sizeof(md5), hex);
    (void)snprintf(expected, sizeof(expected), "\"%s-%zu\"", hex, in->n_parts);
    return !strcmp(found->etag, expected);
}

/* ---- looking ---- */

static void judge(void *arg)
{
    struct s3_call *call = arg;
    const struct s3_head_object_out *found = call->verify_out;
    bool ours;

    s3_client_enter_callback();
    ours =
        call->op == S3_OP_PUT_OBJECT ? put_was_ours(call, found) : complete_was_ours(call, found);
    if (ours) {
        struct s3_put_object_out *out = call->tmp;
        memset(out, 0, sizeof(*out));
        (void)snprintf(out->etag, sizeof(out->etag), "%s", found->etag);
        if (found->version_id)
            (void)snprintf(out->version_id, sizeof(out->version_id), "%s", found->version_id);
        out->date_ns = found->last_modified_ns;
        log_debug("%s: an earlier try had succeeded", call->def->name);
    }
    s3_head_object_out_done(call->verify_out);
    if (ours)
        s3_call_finish(call, 0);
    else
        finish_unknown(call);
    s3_call_unref(call);
    s3_client_leave_callback();
}

static void on_head(void *ctx, int result, const struct s3_error *err ATTR_UNUSED)
{
    struct s3_call *call = ctx;

    pthread_mutex_lock(&call->lock);
    call->inner = NULL;
    call->answered = true;
    pthread_mutex_unlock(&call->lock);
    /* The body may be gigabytes: its MD5 is not for an I/O thread. */
    if (result == 0 && s3_client_work(call->client, judge, s3_call_ref(call)) == 0) {
        s3_call_unref(call);
        return;
    }
    if (result == 0) {
        s3_head_object_out_done(call->verify_out);
        s3_call_unref(call);
    }
    finish_unknown(call);
    s3_call_unref(call);
}

void s3_outcome_resolve(struct s3_call *call)
{
    struct s3_call *inner = NULL;

    if (call->op != S3_OP_PUT_OBJECT && call->op != S3_OP_COMPLETE_MULTIPART_UPLOAD) {
        finish_unknown(call);
        return;
    }
    call->verify_in = arena_alloc(&call->arena, sizeof(*call->verify_in));
    call->verify_out = arena_alloc(&call->arena, sizeof(*call->verify_out));
    if (!call->verify_in || !call->verify_out) {
        finish_unknown(call);
        return;
    }
    call->verify_in->bucket = call->bucket;
    call->verify_in->key = call->key;
    pthread_mutex_lock(&call->lock);
    call->answered = false;
    pthread_mutex_unlock(&call->lock);
    (void)s3_call_ref(call);
    if (s3_client_submit(call->client, S3_OP_HEAD_OBJECT, call->verify_in, call->verify_out,
                         on_head, s3_call_ref(call), &inner)) {
        s3_call_unref(call);
        finish_unknown(call);
    } else {
        pthread_mutex_lock(&call->lock);
        if (!call->answered)
            call->inner = inner;
        pthread_mutex_unlock(&call->lock);
    }
    s3_call_unref(call);
}
