/* SPDX-License-Identifier: Apache-2.0 */
/* Decoder of aws-chunked bodies: "SIZE[;chunk-signature=HEX]\r\n" data "\r\n" ..., a chunk of size
 * 0, and trailers. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html */
#ifndef S3D_CHUNKED_H
#define S3D_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "errors.h"

struct auth;
struct digest;

#define CHUNKED_TRAILERS_MAX 4096

enum chunked_state {
    CHUNKED_HEADER,
    CHUNKED_DATA,
    CHUNKED_DATA_END,
    CHUNKED_TRAILER,
    CHUNKED_DONE,
};

struct chunked {
    const struct auth *auth;
    bool is_signed, trailers;
    enum chunked_state state;
    struct strbuf line;    /* header or trailer line being collected */
    struct strbuf trailer; /* "name:value\n" as signed */
    uint64_t left;         /* bytes of this chunk to come */
    bool small_seen;       /* a chunk below 8 KiB: it must be the last with data */
    char previous[65];     /* signature before */
    char claimed[65];      /* signature of this chunk */
    struct digest *digest; /* of this chunk's data */
    char trailer_signature[65];
};

int chunked_init(struct chunked *c, const struct auth *auth);
void chunked_done(struct chunked *c);
/* Consumes *data up to the next run of payload bytes: *ret_data, *ret_len (0: no more payload in
 * this input). ERR_NONE or what is wrong. Call until *len is 0. */
enum s3d_error chunked_next(struct chunked *c, const char **data, size_t *len,
                            const char **ret_data, size_t *ret_len);
/* The body has ended: ERR_NONE when it was complete. */
enum s3d_error chunked_finish(struct chunked *c);
/* Value of a trailer into buf, false when it did not come. */
bool chunked_trailer(const struct chunked *c, const char *name, char *buf, size_t size);

#endif
