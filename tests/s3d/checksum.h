/* SPDX-License-Identifier: Apache-2.0 */
/* S3's additional checksums (x-amz-checksum-*): of whole objects, of parts, and of multipart
 * objects as a checksum of checksums (composite) or of all bytes (full object).
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html */
#ifndef S3D_CHECKSUM_H
#define S3D_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct digest;

enum checksum_algo {
    CHECKSUM_NONE,
    CHECKSUM_CRC32,
    CHECKSUM_CRC32C,
    CHECKSUM_CRC64NVME,
    CHECKSUM_SHA1,
    CHECKSUM_SHA256,
    CHECKSUM_MAX,
};

enum checksum_type {
    CHECKSUM_FULL_OBJECT,
    CHECKSUM_COMPOSITE,
};

#define CHECKSUM_TEXT_SIZE 56 /* base64 of SHA-256, "-10000" and NUL */
#define CHECKSUM_RAW_MAX   32

struct checksum {
    uint8_t algo; /* enum checksum_algo; CHECKSUM_NONE: there is none */
    uint8_t type; /* enum checksum_type */
    char text[CHECKSUM_TEXT_SIZE];
};

const char *checksum_name(enum checksum_algo a);    /* "CRC32C" */
const char *checksum_header(enum checksum_algo a);  /* "x-amz-checksum-crc32c" */
const char *checksum_element(enum checksum_algo a); /* "ChecksumCRC32C" */
const char *checksum_type_name(enum checksum_type t);
size_t checksum_size(enum checksum_algo a);
/* CHECKSUM_MAX for an unknown one. Case-insensitive. */
enum checksum_algo checksum_from_name(const char *name);
enum checksum_algo checksum_from_header(const char *header);
/* A CRC of the whole is known from those of its pieces (checksum_combiner, FULL_OBJECT). */
bool checksum_is_crc(enum checksum_algo a);
/* Whether text is base64 of the algorithm's size. */
bool checksum_valid(enum checksum_algo a, const char *text);

/* Incremental. start -> update... -> finish (text) -> drop (also without finish). */
struct checksum_state {
    enum checksum_algo algo;
    uint64_t crc;
    struct digest *digest;
};
int checksum_start(struct checksum_state *s, enum checksum_algo a);
int checksum_update(struct checksum_state *s, const void *data, size_t len);
int checksum_finish(struct checksum_state *s, struct checksum *ret);
void checksum_drop(struct checksum_state *s);

/* Checksum of an object from those of its parts. add in order of the parts; type as asked. */
struct checksum_combiner {
    enum checksum_algo algo;
    enum checksum_type type;
    unsigned parts;
    uint64_t crc;
    struct checksum_state composite;
    bool failed;
};
void checksum_combine_start(struct checksum_combiner *c, enum checksum_algo a,
                            enum checksum_type t);
void checksum_combine_add(struct checksum_combiner *c, const struct checksum *part, uint64_t size);
/* -EINVAL when a part had no usable checksum. */
int checksum_combine_finish(struct checksum_combiner *c, struct checksum *ret);

#endif
