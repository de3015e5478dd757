/* SPDX-License-Identifier: Apache-2.0 */
/* Where a request's body goes: nowhere, into memory (XML) or into a new blob (object data), with
 * everything verified on the way: length, x-amz-content-sha256, Content-MD5, x-amz-checksum-*,
 * the signatures of aws-chunked. */
#ifndef S3D_BODY_H
#define S3D_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/strbuf.h"
#include "checksum.h"
#include "chunked.h"

struct request;
struct blob;

enum body_kind {
    BODY_DISCARD,
    BODY_MEMORY,
    BODY_BLOB,
};

#define BODY_MEMORY_MAX (4u << 20)

struct body {
    enum body_kind kind;
    uint64_t len; /* decoded bytes so far */
    uint64_t max; /* EntityTooLarge beyond */
    struct strbuf memory;
    struct blob *blob; /* owned until taken */
    int fd;
    struct digest *md5;
    struct digest *sha256; /* of the payload */
    struct checksum_state sum;
    struct checksum expected; /* from a header or a trailer */
    bool sum_implied;         /* CRC64NVME of our own accord */
    bool chunks;              /* aws-chunked */
    struct chunked chunked;
    uint64_t decoded_length; /* x-amz-decoded-content-length */
    /* after body_finish */
    uint8_t md5_raw[DIGEST_MD5_SIZE];
    struct checksum checksum; /* what was computed */
};

/* Before the first byte; false: refused (reply filled). implied: the algorithm to use when the
 * request names none. */
bool body_begin(struct request *r, enum body_kind kind, uint64_t max, enum checksum_algo implied);
/* Bytes as they came. False: refused (reply filled); later bytes are discarded. */
bool body_data(struct request *r, const void *data, size_t len);
/* All has arrived: verifies. */
bool body_finish(struct request *r);
/* Lets go of everything, also the blob when it was not taken. */
void body_drop(struct request *r);

#endif
