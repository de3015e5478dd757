/* SPDX-License-Identifier: Apache-2.0 */
#include "chunked.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth.h"
#include "base/digest.h"
#include "base/encode.h"

#define CHUNK_MIN      8192 /* every chunk but the last */
#define CHUNK_LINE_MAX 1024
#define EMPTY_SHA256   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

int chunked_init(struct chunked *c, const struct auth *auth)
{
    memset(c, 0, sizeof(*c));
    c->auth = auth;
    c->is_signed = auth->payload != AUTH_PAYLOAD_UNSIGNED_TRAILER;
    c->trailers = auth->payload != AUTH_PAYLOAD_CHUNKS;
    strbuf_init(&c->line, CHUNK_LINE_MAX);
    strbuf_init(&c->trailer, CHUNKED_TRAILERS_MAX);
    snprintf(c->previous, sizeof(c->previous), "%s", auth->signature);
    return 0;
}

void chunked_done(struct chunked *c)
{
    strbuf_done(&c->line);
    strbuf_done(&c->trailer);
    digest_free(c->digest);
    c->digest = NULL;
}

/* Signs "algorithm\ndate\nscope\nprevious\n" + rest, compares, and becomes the previous one. */
static enum s3d_error check_signature(struct chunked *c, const char *algorithm, const char *rest,
                                      const char *claimed)
{
    char text[512], hex[65];
    uint8_t mac[DIGEST_SHA256_SIZE];

    snprintf(text, sizeof(text), "%s\n%s\n%s\n%s\n%s", algorithm, c->auth->amz_date, c->auth->scope,
             c->previous, rest);
    if (digest_hmac_sha256(c->auth->signing_key, sizeof(c->auth->signing_key), text, strlen(text),
                           mac) < 0)
        return ERR_INTERNAL;
    encode_hex(mac, sizeof(mac), hex);
    if (strlen(claimed) != 64 || !digest_equal(hex, claimed, 64))
        return ERR_SIGNATURE_MISMATCH;
    memcpy(c->previous, hex, sizeof(hex));
    return ERR_NONE;
}

static enum s3d_error end_chunk(struct chunked *c)
{
    uint8_t sum[DIGEST_SHA256_SIZE];
    char rest[160], hex[65];

    if (!c->is_signed)
        return ERR_NONE;
    if (!c->digest && digest_new(DIGEST_SHA256, &c->digest) < 0)
        return ERR_INTERNAL;
    if (digest_final(c->digest, sum) < 0)
        return ERR_INTERNAL;
    digest_free(c->digest);
    c->digest = NULL;
    encode_hex(sum, sizeof(sum), hex);
    snprintf(rest, sizeof(rest), "%s\n%s", EMPTY_SHA256, hex);
    return check_signature(c, "AWS4-HMAC-SHA256-PAYLOAD", rest, c->claimed);
}

/* c->line: "SIZE" or "SIZE;chunk-signature=HEX". */
static enum s3d_error begin_chunk(struct chunked *c)
{
    const char *line = strbuf_str(&c->line);
    size_t digits = strspn(line, "0123456789abcdefABCDEF");

    if (!digits || digits > 12 || (line[digits] && line[digits] != ';'))
        return ERR_INVALID_REQUEST;
    c->left = strtoull(line, NULL, 16);
    c->claimed[0] = '\0';
    if (c->is_signed) {
        const char *mark = strstr(line, ";chunk-signature=");

        if (!mark || strlen(mark + 17) != 64)
            return ERR_SIGNATURE_MISMATCH;
        memcpy(c->claimed, mark + 17, 65);
    }
    if (c->left) {
        if (c->small_seen)
            return ERR_INVALID_CHUNK_SIZE;
        c->small_seen = c->left < CHUNK_MIN;
        c->state = CHUNKED_DATA;
        return ERR_NONE;
    }
    c->state = CHUNKED_TRAILER;
    return end_chunk(c);
}

/* One trailer line; an empty one ends the body. */
static enum s3d_error take_trailer(struct chunked *c)
{
    const char *line = strbuf_str(&c->line), *colon;

    if (!*line) {
        /* AWS' description of the form has an empty line before the trailer's signature. */
        if (c->auth->payload != AUTH_PAYLOAD_CHUNKS_TRAILER || c->trailer_signature[0])
            c->state = CHUNKED_DONE;
        return ERR_NONE;
    }
    colon = strchr(line, ':');
    if (!c->trailers || !colon)
        return ERR_MALFORMED_TRAILER;
    if (!strncasecmp(line, "x-amz-trailer-signature:", 24)) {
        snprintf(c->trailer_signature, sizeof(c->trailer_signature), "%s",
                 line + 24 + strspn(line + 24, " "));
        return ERR_NONE;
    }
    strbuf_append(&c->trailer, line, (size_t)(colon - line) + 1);
    strbuf_append_str(&c->trailer, colon + 1 + strspn(colon + 1, " "));
    strbuf_append_char(&c->trailer, '\n');
    return c->trailer.error ? ERR_MALFORMED_TRAILER : ERR_NONE;
}

/* Collects up to a line's end. 1: c->line is whole, 0: more input is needed, -1: broken. Trailers
 * may end in a bare "\n", as the trailer's signature form shows it. */
static int collect_line(struct chunked *c, const char **data, size_t *len)
{
    while (*len) {
        char ch = *(*data)++;

        (*len)--;
        if (ch == '\n') {
            if (c->line.len && c->line.data[c->line.len - 1] == '\r')
                strbuf_truncate(&c->line, c->line.len - 1);
            else if (c->state != CHUNKED_TRAILER)
                return -1;
            return 1;
        }
        if (!ch || strbuf_append_char(&c->line, ch) < 0)
            return -1;
    }
    return 0;
}

enum s3d_error chunked_next(struct chunked *c, const char **data, size_t *len,
                            const char **ret_data, size_t *ret_len)
{
    *ret_len = 0;
    while (*len) {
        enum s3d_error e = ERR_NONE;
        int got;

        if (c->state == CHUNKED_DONE)
            return ERR_INCOMPLETE_BODY;
        if (c->state == CHUNKED_DATA) {
            size_t take = *len < c->left ? *len : (size_t)c->left;

            if (c->is_signed && !c->digest && digest_new(DIGEST_SHA256, &c->digest) < 0)
                return ERR_INTERNAL;
            if (c->is_signed && digest_update(c->digest, *data, take) < 0)
                return ERR_INTERNAL;
            *ret_data = *data;
            *ret_len = take;
            *data += take;
            *len -= take;
            c->left -= take;
            if (!c->left) {
                c->state = CHUNKED_DATA_END;
                e = end_chunk(c);
            }
            return e;
        }
        got = collect_line(c, data, len);
        if (got < 0)
            return ERR_INVALID_REQUEST;
        if (!got)
            return ERR_NONE;
        if (c->state == CHUNKED_HEADER) {
            e = begin_chunk(c);
        } else if (c->state == CHUNKED_DATA_END) {
            if (c->line.len)
                return ERR_INCOMPLETE_BODY;
            c->state = CHUNKED_HEADER;
        } else {
            e = take_trailer(c);
        }
        strbuf_reset(&c->line);
        if (e != ERR_NONE)
            return e;
    }
    return ERR_NONE;
}

enum s3d_error chunked_finish(struct chunked *c)
{
    char rest[65];
    uint8_t sum[DIGEST_SHA256_SIZE];

    if (c->state != CHUNKED_DONE)
        return ERR_INCOMPLETE_BODY;
    if (c->auth->payload != AUTH_PAYLOAD_CHUNKS_TRAILER)
        return ERR_NONE;
    if (digest_buffer(DIGEST_SHA256, strbuf_str(&c->trailer), c->trailer.len, sum) < 0)
        return ERR_INTERNAL;
    encode_hex(sum, sizeof(sum), rest);
    return check_signature(c, "AWS4-HMAC-SHA256-TRAILER", rest, c->trailer_signature);
}

bool chunked_trailer(const struct chunked *c, const char *name, char *buf, size_t size)
{
    size_t name_len = strlen(name);

    for (const char *line = strbuf_str(&c->trailer); *line; line = strchr(line, '\n') + 1) {
        if (!strncasecmp(line, name, name_len) && line[name_len] == ':') {
            const char *value = line + name_len + 1;

            snprintf(buf, size, "%.*s", (int)strcspn(value, "\n"), value);
            return true;
        }
    }
    return false;
}
