/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/parse.h"
#include "request.h"
#include "route.h"

/* The one x-amz-checksum-* header, or the algorithm that x-amz-trailer or
 * x-amz-sdk-checksum-algorithm announces. */
static bool find_checksum(struct request *r, enum checksum_algo *ret)
{
    struct body *b = &r->body;
    const char *value;

    *ret = CHECKSUM_NONE;
    for (unsigned a = CHECKSUM_CRC32; a < CHECKSUM_MAX; a++) {
        value = request_header(r, checksum_header(a));
        if (!value)
            continue;
        if (*ret != CHECKSUM_NONE) {
            reply_error_message(r, ERR_INVALID_REQUEST,
                                "Expecting a single x-amz-checksum- header. Multiple checksum "
                                "Types are not allowed.");
            return false;
        }
        if (!checksum_valid(a, value)) {
            reply_error_message(r, ERR_INVALID_REQUEST, "Value for %s header is invalid.",
                                checksum_header(a));
            return false;
        }
        *ret = a;
        b->expected.algo = a;
        snprintf(b->expected.text, sizeof(b->expected.text), "%s", value);
    }
    if (*ret == CHECKSUM_NONE) {
        value = request_header(r, "x-amz-trailer");
        *ret = value ? checksum_from_header(value) : CHECKSUM_NONE;
        if (*ret == CHECKSUM_MAX) {
            reply_error_message(r, ERR_INVALID_REQUEST,
                                "The value specified in the x-amz-trailer header is not supported");
            return false;
        }
    }
    value = request_header(r, "x-amz-sdk-checksum-algorithm");
    if (value) {
        enum checksum_algo named = checksum_from_name(value);

        if (named == CHECKSUM_MAX || (*ret != CHECKSUM_NONE && *ret != named) ||
            (*ret == CHECKSUM_NONE && b->kind == BODY_BLOB)) {
            reply_error_message(r, ERR_INVALID_REQUEST,
                                "x-amz-sdk-checksum-algorithm specified, but no corresponding "
                                "x-amz-checksum-* or x-amz-trailer headers were found.");
            return false;
        }
    }
    return true;
}

static bool begin_chunks(struct request *r)
{
    struct body *b = &r->body;
    const char *value = request_header(r, "x-amz-decoded-content-length");

    if (!value || parse_u64(value, &b->decoded_length) < 0) {
        reply_error(r, ERR_MISSING_CONTENT_LENGTH);
        return false;
    }
    b->chunks = true;
    if (chunked_init(&b->chunked, &r->auth) < 0) {
        reply_failure(r, ENOMEM, "aws-chunked");
        return false;
    }
    return true;
}

bool body_begin(struct request *r, enum body_kind kind, uint64_t max, enum checksum_algo implied)
{
    struct body *b = &r->body;
    enum checksum_algo algo = CHECKSUM_NONE;
    uint64_t announced;
    int err = 0;

    b->kind = kind;
    b->max = max;
    if (kind == BODY_DISCARD)
        return true;
    if (!(r->route->flags & ROUTE_OWN_SUM) && !find_checksum(r, &algo))
        return false;
    if (r->auth.payload >= AUTH_PAYLOAD_CHUNKS && !begin_chunks(r))
        return false;
    if (kind == BODY_BLOB && !r->has_length && !b->chunks) {
        reply_error(r, ERR_MISSING_CONTENT_LENGTH);
        return false;
    }
    announced = b->chunks ? b->decoded_length : r->content_length;
    if (announced > max) {
        if (kind == BODY_MEMORY)
            reply_error(r, ERR_MALFORMED_XML);
        else
            reply_error(r, ERR_ENTITY_TOO_LARGE);
        return false;
    }
    if (algo == CHECKSUM_NONE && kind == BODY_BLOB && implied != CHECKSUM_NONE) {
        algo = implied;
        b->sum_implied = true;
    }
    strbuf_init(&b->memory, BODY_MEMORY_MAX);
    if (algo != CHECKSUM_NONE)
        err = checksum_start(&b->sum, algo);
    if (err == 0 &&
        (request_header(r, "Content-MD5") || (kind == BODY_BLOB && !r->s->config.opaque_etag)))
        err = digest_new(DIGEST_MD5, &b->md5);
    if (err == 0 && r->auth.payload == AUTH_PAYLOAD_SHA256)
        err = digest_new(DIGEST_SHA256, &b->sha256);
    if (err == 0 && kind == BODY_BLOB && announced)
        err = blob_create(&r->s->store, &b->blob, &b->fd);
    if (err < 0) {
        reply_failure(r, err, "body");
        return false;
    }
    return true;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static bool take_payload(struct request *r, const char *data, size_t len)
{
    struct body *b = &r->body;
    int err = 0;

    b->len += len;
    if (b->len > b->max || (b->chunks && b->len > b->decoded_length)) {
        reply_error(r, b->kind == BODY_MEMORY ? ERR_MALFORMED_XML
                       : b->chunks            ? ERR_INCOMPLETE_BODY
                                              : ERR_ENTITY_TOO_LARGE);
        return false;
    }
    if (b->md5)
        err = digest_update(b->md5, data, len);
    if (err == 0 && b->sha256)
        err = digest_update(b->sha256, data, len);
    if (err == 0)
        err = checksum_update(&b->sum, data, len);
    if (err == 0 && b->kind == BODY_MEMORY)
        err = strbuf_append(&b->memory, data, len);
    if (err == 0 && b->kind == BODY_BLOB)
        err = write_all(b->fd, data, len);
    if (err < 0)
        reply_failure(r, err, "body");
    return err == 0;
}

bool body_data(struct request *r, const void *data, size_t len)
{
    struct body *b = &r->body;
    const char *at = data;

    if (b->kind == BODY_DISCARD || r->reply.status)
        return true;
    if (!b->chunks)
        return take_payload(r, at, len);
    while (len) {
        const char *payload = NULL;
        size_t payload_len = 0;
        enum s3d_error e = chunked_next(&b->chunked, &at, &len, &payload, &payload_len);

        if (e != ERR_NONE) {
            reply_error(r, e);
            return false;
        }
        if (payload_len && !take_payload(r, payload, payload_len))
            return false;
    }
    return true;
}

static bool finish_chunks(struct request *r)
{
    struct body *b = &r->body;
    enum s3d_error e = chunked_finish(&b->chunked);
    char value[CHECKSUM_TEXT_SIZE];

    if (e == ERR_NONE && b->len != b->decoded_length)
        e = ERR_INCOMPLETE_BODY;
    if (e != ERR_NONE) {
        reply_error(r, e);
        return false;
    }
    if (b->expected.algo == CHECKSUM_NONE && b->sum.algo != CHECKSUM_NONE && !b->sum_implied) {
        if (!chunked_trailer(&b->chunked, checksum_header(b->sum.algo), value, sizeof(value))) {
            reply_error(r, ERR_MALFORMED_TRAILER);
            return false;
        }
        if (!checksum_valid(b->sum.algo, value)) {
            reply_error_message(r, ERR_INVALID_REQUEST, "Value for %s trailing header is invalid.",
                                checksum_header(b->sum.algo));
            return false;
        }
        b->expected.algo = b->sum.algo;
        snprintf(b->expected.text, sizeof(b->expected.text), "%s", value);
    }
    return true;
}

static bool check_md5(struct request *r)
{
    const char *want = request_header(r, "Content-MD5");
    uint8_t raw[DIGEST_MD5_SIZE];
    size_t len = 0;

    if (!want)
        return true;
    if (decode_base64(want, raw, sizeof(raw), &len) < 0 || len != sizeof(raw)) {
        reply_error(r, ERR_INVALID_DIGEST);
        return false;
    }
    if (memcmp(raw, r->body.md5_raw, sizeof(raw))) {
        reply_error(r, ERR_BAD_DIGEST);
        return false;
    }
    return true;
}

static bool check_sha256(struct request *r)
{
    uint8_t raw[DIGEST_SHA256_SIZE];
    char hex[2 * DIGEST_SHA256_SIZE + 1];

    if (!r->body.sha256)
        return true;
    if (digest_final(r->body.sha256, raw) < 0) {
        reply_failure(r, EIO, "sha256");
        return false;
    }
    encode_hex(raw, sizeof(raw), hex);
    if (!strcasecmp(hex, r->auth.payload_sha256))
        return true;
    reply_error(r, ERR_CONTENT_SHA256_MISMATCH);
    return false;
}

bool body_finish(struct request *r)
{
    struct body *b = &r->body;

    if (b->kind == BODY_DISCARD)
        return true;
    if (b->chunks && !finish_chunks(r))
        return false;
    if (!b->chunks && r->has_length && b->len != r->content_length) {
        reply_error(r, ERR_INCOMPLETE_BODY);
        return false;
    }
    if ((b->md5 && digest_final(b->md5, b->md5_raw) < 0) ||
        checksum_finish(&b->sum, &b->checksum) < 0) {
        reply_failure(r, EIO, "digest");
        return false;
    }
    if (!check_md5(r) || !check_sha256(r))
        return false;
    if (b->expected.algo != CHECKSUM_NONE && strcmp(b->expected.text, b->checksum.text)) {
        reply_error_message(r, ERR_BAD_DIGEST,
                            "The %s you specified did not match the calculated checksum.",
                            checksum_name(b->expected.algo));
        return false;
    }
    return true;
}

void body_drop(struct request *r)
{
    struct body *b = &r->body;

    strbuf_done(&b->memory);
    if (b->blob) {
        close(b->fd);
        blob_unref(&r->s->store, b->blob);
        b->blob = NULL;
    }
    digest_free(b->md5);
    digest_free(b->sha256);
    b->md5 = b->sha256 = NULL;
    checksum_drop(&b->sum);
    if (b->chunks)
        chunked_done(&b->chunked);
    b->chunks = false;
}
