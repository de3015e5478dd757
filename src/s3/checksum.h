/* SPDX-License-Identifier: Apache-2.0 */
/* S3's object checksums (x-amz-checksum-*): names, values of buffers, incremental for downloads.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html */
#ifndef PAILFS_S3_CHECKSUM_H
#define PAILFS_S3_CHECKSUM_H

#include <sys/uio.h>

#include "base/digest.h"
#include "s3/types.h"

/* "CRC64NVME", and "x-amz-checksum-crc64nvme". NULL for S3_CHECKSUM_NONE. */
const char *s3_checksum_name(enum s3_checksum_algo algo);
const char *s3_checksum_header(enum s3_checksum_algo algo);

/* 0 or -ENOMEM / -EIO from the digest library. */
int s3_checksum_iov(enum s3_checksum_algo algo, const struct iovec *iov, int n_iov,
                    struct s3_checksum *ret);
/* Base64 text of the body's MD5, for Content-MD5. */
int s3_checksum_md5_base64(const struct iovec *iov, int n_iov, char out[32]);

/* The number that a CRC64NVME stands for. False: it is another checksum, or none. */
bool s3_checksum_crc64(const struct s3_checksum *sum, uint64_t *ret);

/* Life: init -> update... -> final -> done. Embedded; init with S3_CHECKSUM_NONE is allowed. */
struct s3_checksum_state {
    enum s3_checksum_algo algo;
    uint64_t crc;
    struct digest *digest; /* owned, for SHA-1 and SHA-256 */
};
int s3_checksum_state_init(struct s3_checksum_state *s, enum s3_checksum_algo algo);
int s3_checksum_state_update(struct s3_checksum_state *s, const void *data, size_t len);
int s3_checksum_state_final(struct s3_checksum_state *s, struct s3_checksum *ret);
void s3_checksum_state_done(struct s3_checksum_state *s);

#endif
